// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: Interrupts of message stores which are allocated in runs
 *
 * Words:
 *
 *   run	interrupts for slots in a row which the parent domain is asked for with
 *		one call. There are runs only if it is MSI_PARENT_SEPARATE
 *   taken	a slot which is in use before a batch is allocated, so that there is a
 *		gap in the batch
 *   calls	what the parent was asked for, in order: the number of interrupts for
 *		each call, with an exclamation mark if it has refused
 *
 * Whoever gets a batch must not see whether it was made of runs. So most of the tests
 * are run with both kinds of parents, and expect the same.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include <trace/events/kmem.h>

#include "msi_test.h"

/* There are never as many in a test. From there on the parent has room for all */
#define RUN_CALLS_MAX	500

#define RUN_TAKEN_MAX	4

/**
 * struct run - What a test works with
 * @mt:			The fixture
 * @parent_ops:		Operations which the fixture has for the parent domain
 * @kind:		Kind of the store
 * @separate:		The parent is %MSI_PARENT_SEPARATE
 * @id:			Id of the store
 * @calls:		What the parent was asked for
 * @nr_calls:		How often it was asked
 * @room:		How many interrupts the parent has room for
 * @room_ret:		What it returns if there is no room
 * @activate_fails:	Which activation fails, from 1 on. None with 0
 * @activate_ret:	What it returns then
 * @nr_taken:		How many slots are taken
 * @taken:		The interrupts of these
 * @count:		How many interrupts the batch has
 * @maps:		The interrupts
 * @cookies:		Their cookies
 * @handled:		How often each of them was handled
 */
struct run {
	struct msi_test			*mt;
	const struct irq_domain_ops	*parent_ops;
	enum msi_test_kind		kind;
	bool				separate;
	int				id;
	struct msi_test_text		calls;
	unsigned int			nr_calls;
	unsigned int			room;
	int				room_ret;
	unsigned int			activate_fails;
	int				activate_ret;
	unsigned int			nr_taken;
	struct msi_map			taken[RUN_TAKEN_MAX];
	unsigned int			count;
	struct msi_map			maps[MSI_TEST_SLOTS];
	union msi_instance_cookie	cookies[MSI_TEST_SLOTS];
	atomic_t			handled[MSI_TEST_SLOTS];
};

/* --- The parent -------------------------------------------------------------- */

/* There is one test at a time */
static struct run *run_now;

static int run_parent_alloc(struct irq_domain *domain, unsigned int virq, unsigned int nr_irqs,
			    void *arg)
{
	struct run *r = run_now;
	msi_alloc_info_t *info = arg;
	int ret = 0;

	if (nr_irqs > (r->separate ? BITS_PER_LONG : 1))
		msi_test_called(r->mt, "p.alloc(%u)[too many]", nr_irqs);
	if (info->hwirq != info->desc->msi_index)
		msi_test_called(r->mt, "p.alloc(%lu)[wrong slot]", info->hwirq);

	/* Or somebody who does not give up would try forever */
	if (++r->nr_calls == RUN_CALLS_MAX) {
		msi_test_called(r->mt, "p.alloc(%u)[too often]", nr_irqs);
		r->room = MSI_TEST_SLOTS;
		r->mt->parent.limit = MSI_TEST_SLOTS;
	}

	if (r->mt->parent.irqs + nr_irqs > r->room)
		ret = r->room_ret;
	if (!ret)
		ret = r->parent_ops->alloc(domain, virq, nr_irqs, arg);
	msi_test_add(&r->calls, "%u%s", nr_irqs, ret ? "!" : "");
	return ret;
}

static void run_parent_free(struct irq_domain *domain, unsigned int virq, unsigned int nr_irqs)
{
	struct run *r = run_now;

	/* Each for itself, however they were allocated */
	if (nr_irqs != 1)
		msi_test_called(r->mt, "p.free(%u)[too many]", nr_irqs);
	r->parent_ops->free(domain, virq, nr_irqs);
}

static int run_parent_activate(struct irq_domain *domain, struct irq_data *data, bool reserve)
{
	struct run *r = run_now;

	if (r->activate_fails && !--r->activate_fails)
		return r->activate_ret;
	return r->parent_ops->activate(domain, data, reserve);
}

static void run_parent_deactivate(struct irq_domain *domain, struct irq_data *data)
{
	run_now->parent_ops->deactivate(domain, data);
}

/* As those of the fixture, of which they make use, but with an eye on the calls */
static const struct irq_domain_ops run_parent_ops = {
	.alloc		= run_parent_alloc,
	.free		= run_parent_free,
	.activate	= run_parent_activate,
	.deactivate	= run_parent_deactivate,
};

/* A store of a kind, on a parent which is separate or not */
static struct run *run_init(struct kunit *test, enum msi_test_kind kind, bool separate)
{
	struct run *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	struct msi_test *mt = test->priv;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, r);
	r->mt = mt;
	r->kind = kind;
	r->separate = separate;
	r->room = MSI_TEST_SLOTS;
	r->room_ret = -ENOSPC;
	for (i = 0; i < MSI_TEST_SLOTS; i++)
		r->cookies[i].value = 0x1000 + i;

	mt->quiet = true;
	msi_test_parent_init(mt, MSI_PARENT_STABLE_MSG | MSI_PARENT_ACK |
				 (separate ? MSI_PARENT_SEPARATE : 0));
	mt->parent.deliver = true;

	r->parent_ops = mt->parent.domain->ops;
	mt->parent.domain->ops = &run_parent_ops;
	run_now = r;

	r->id = msi_test_create(mt, kind, MSI_TEST_SLOTS, &mt->hw);
	return r;
}

static void run_take(struct run *r, unsigned int index)
{
	KUNIT_ASSERT_LT(r->mt->test, r->nr_taken, RUN_TAKEN_MAX);
	r->taken[r->nr_taken++] = msi_test_alloc(r->mt, r->id, index);
}

/* Everything but the batch, which was freed */
static void run_exit(struct run *r)
{
	while (r->nr_taken)
		msi_store_free_irq(r->mt->dev, r->id, r->taken[--r->nr_taken]);
	KUNIT_EXPECT_EQ(r->mt->test, r->mt->hw.used, 0);
	KUNIT_EXPECT_EQ(r->mt->test, r->mt->parent.irqs, 0);
	msi_remove_store(r->mt->dev, r->id);
}

/* --- Batches ----------------------------------------------------------------- */

static int run_alloc_affinity(struct run *r, unsigned int min, unsigned int max,
			      struct irq_affinity *affd)
{
	int ret;

	memset(&r->calls, 0, sizeof(r->calls));
	r->nr_calls = 0;
	ret = msi_store_alloc_irqs(r->mt->dev, r->id, min, max, affd, r->cookies, r->maps);
	r->count = max(ret, 0);
	return ret;
}

static int run_alloc(struct run *r, unsigned int min, unsigned int max)
{
	return run_alloc_affinity(r, min, max, NULL);
}

static void run_free(struct run *r)
{
	msi_store_free_irqs(r->mt->dev, r->id, r->maps, r->count);
	r->count = 0;
}

/* That all are there which have to be, and nothing else */
static void run_expect_count(struct run *r, unsigned int count)
{
	struct kunit *test = r->mt->test;

	KUNIT_EXPECT_EQ(test, r->mt->hw.used, r->nr_taken + count);
	KUNIT_EXPECT_EQ(test, r->mt->parent.irqs, r->nr_taken + count);
	KUNIT_EXPECT_EQ(test, msi_test_store(r->mt, r->id)->used, r->nr_taken + count);
	KUNIT_EXPECT_EQ(test, atomic_read(&r->mt->traced), r->nr_taken + count);
}

/* That an interrupt has its own of everything, as if it were the only one */
static void run_expect_own(struct run *r, unsigned int i)
{
	struct msi_dev_store *store = msi_test_store(r->mt, r->id);
	struct kunit *test = r->mt->test;
	struct msi_map map = r->maps[i];
	struct irq_data *data, *parent;
	struct msi_test_slot *s;
	struct msi_desc *desc;

	desc = xa_load(&store->descs, map.index);
	data = irq_get_irq_data(map.virq);
	KUNIT_ASSERT_NOT_NULL(test, desc);
	KUNIT_ASSERT_NOT_NULL(test, data);
	KUNIT_EXPECT_PTR_EQ(test, irq_get_msi_desc(map.virq), desc);
	KUNIT_EXPECT_EQ(test, desc->irq, map.virq);
	KUNIT_EXPECT_EQ(test, desc->msi_index, map.index);
	KUNIT_EXPECT_EQ(test, desc->nvec_used, 1);
	KUNIT_EXPECT_EQ(test, desc->slot.index, map.index);
	KUNIT_EXPECT_EQ(test, desc->slot.cookie.value, r->cookies[i].value);

	KUNIT_EXPECT_EQ(test, data->hwirq, map.index);
	KUNIT_EXPECT_PTR_EQ(test, irq_data_get_irq_chip_data(data), &desc->slot);
	KUNIT_EXPECT_PTR_EQ(test, data->chip, &store->devdom->chip);
	parent = data->parent_data;
	KUNIT_ASSERT_NOT_NULL(test, parent);
	KUNIT_EXPECT_PTR_EQ(test, irq_resolve_mapping(r->mt->parent.domain, parent->hwirq),
			    irq_data_to_desc(data));

	s = msi_test_find(&r->mt->hw, map.index);
	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_EXPECT_PTR_EQ(test, desc->slot.priv, s);
	KUNIT_EXPECT_EQ(test, s->cookie.value, r->cookies[i].value);
}

/* The same for all, in the order of their slots */
static void run_expect_all_own(struct run *r)
{
	unsigned int i;

	run_expect_count(r, r->count);
	for (i = 0; i < r->count; i++) {
		if (i)
			KUNIT_EXPECT_GT(r->mt->test, r->maps[i].index, r->maps[i - 1].index);
		run_expect_own(r, i);
	}
}

static irqreturn_t run_handler(int irq, void *handled)
{
	atomic_inc(handled);
	return IRQ_HANDLED;
}

static void run_request(struct run *r)
{
	struct kunit *test = r->mt->test;
	unsigned int i;

	for (i = 0; i < r->count; i++) {
		/* So that the device keeps what it can keep */
		if (msi_test_can_mask(r->kind))
			irq_set_status_flags(r->maps[i].virq, _IRQ_DISABLE_UNLAZY);
		KUNIT_ASSERT_EQ(test, request_irq(r->maps[i].virq, run_handler, 0, "msi_kunit",
						  &r->handled[i]), 0);
	}
	msi_test_expect_same(r->mt, &r->mt->hw, r->maps, r->count);
}

static void run_release(struct run *r)
{
	unsigned int i;

	for (i = 0; i < r->count; i++)
		free_irq(r->maps[i].virq, &r->handled[i]);
}

/* Whatever was handled since the last time: it was this one, so often, and no other */
static void run_expect_handled(struct run *r, unsigned int i, int count)
{
	unsigned int n;

	irq_work_sync(&r->mt->parent.redeliver);
	for (n = 0; n < r->count; n++) {
		KUNIT_EXPECT_EQ_MSG(r->mt->test, atomic_xchg(&r->handled[n], 0),
				    n == i ? count : 0, "interrupt %u after %u", n, i);
	}
}

static void run_fire(struct run *r, unsigned int i)
{
	msi_test_fire(r->mt, &r->mt->hw, r->maps[i].index);
}

/* --- Shapes: what a batch is made of ----------------------------------------- */

/**
 * struct run_shape - A batch
 * @name:	What it is
 * @nr_taken:	How many slots are taken
 * @taken:	Which these are
 * @count:	How many interrupts are allocated
 * @runs:	What the parent is asked for, up to the first 0
 */
static const struct run_shape {
	const char	*name;
	unsigned int	nr_taken;
	unsigned int	taken[RUN_TAKEN_MAX];
	unsigned int	count;
	unsigned int	runs[8];
} run_shapes[] = {
	{ "one", 0, { }, 1, { 1 } },
	{ "two", 0, { }, 2, { 2 } },
	{ "after the first", 1, { 0 }, 5, { 5 } },
	{ "a gap", 1, { 3 }, 10, { 3, 7 } },
	{ "a gap before the last", 1, { 6 }, 7, { 6, 1 } },
	{ "a wide gap", 3, { 2, 3, 4 }, 6, { 2, 4 } },
	{ "gaps everywhere", 4, { 1, 3, 5, 7 }, 8, { 1, 1, 1, 1, 4 } },
	{ "as many as can be", 0, { }, BITS_PER_LONG, { BITS_PER_LONG } },
	{ "one more", 0, { }, BITS_PER_LONG + 1, { BITS_PER_LONG, 1 } },
	{ "a lot more", 0, { }, BITS_PER_LONG + 20, { BITS_PER_LONG, 20 } },
	{ "more with a gap", 1, { 10 }, BITS_PER_LONG + 20, { 10, BITS_PER_LONG, 10 } },
};

/* A shape, a kind of store, and a parent: As many as there are of all. From 1 */
static const void *run_shape_gen(const void *prev, char *desc)
{
	unsigned long n = (unsigned long)prev;

	if (n == ARRAY_SIZE(run_shapes) * MSI_TEST_TEMPLATES * 2)
		return NULL;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s: %s%s",
		 msi_test_templates[n / 2 % MSI_TEST_TEMPLATES].name,
		 run_shapes[n / 2 / MSI_TEST_TEMPLATES].name, n % 2 ? ", separate" : "");
	return (const void *)(n + 1);
}

static void run_shape(struct kunit *test)
{
	unsigned long n = (unsigned long)test->param_value - 1;
	const struct run_shape *shape = &run_shapes[n / 2 / MSI_TEST_TEMPLATES];
	struct msi_test_text *want;
	unsigned int i;
	struct run *r;

	want = kunit_kzalloc(test, sizeof(*want), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, want);
	KUNIT_ASSERT_GE(test, msi_test_free_irqs(), shape->count + shape->nr_taken);

	r = run_init(test, n / 2 % MSI_TEST_TEMPLATES, n % 2);
	for (i = 0; i < shape->nr_taken; i++)
		run_take(r, shape->taken[i]);

	KUNIT_ASSERT_EQ(test, run_alloc(r, shape->count, shape->count), shape->count);
	for (i = 0; r->separate && shape->runs[i]; i++)
		msi_test_add(want, "%u", shape->runs[i]);
	for (i = 0; !r->separate && i < shape->count; i++)
		msi_test_add(want, "1");
	KUNIT_EXPECT_STREQ(test, r->calls.buf, want->buf);
	run_expect_all_own(r);

	/* Each has a message of its own */
	run_request(r);
	for (i = 0; i < r->count; i++) {
		run_fire(r, i);
		run_expect_handled(r, i, 1);
	}

	/* And each is masked on its own. Its neighbours are not */
	for (i = 0; i < r->count; i++) {
		disable_irq(r->maps[i].virq);
		run_fire(r, i);
		run_expect_handled(r, i, 0);
		if (r->count > 1) {
			run_fire(r, i ? i - 1 : 1);
			run_expect_handled(r, i ? i - 1 : 1, 1);
		}
		enable_irq(r->maps[i].virq);
		irq_work_sync(&msi_test_find(&r->mt->hw, r->maps[i].index)->work);
		run_expect_handled(r, i, 1);
	}
	run_release(r);

	run_free(r);
	run_expect_count(r, 0);
	run_exit(r);
}

/* --- The order in which they are freed --------------------------------------- */

#define FREE_IRQS	12

/**
 * struct run_order - A way to free the interrupts of a batch
 * @name:	What it is
 * @at_once:	How many are freed with one call. One by one with 0
 * @step:	Distance of one which is freed to the next one. It has no divisor in
 *		common with %FREE_IRQS, so that all are freed
 */
static const struct run_order {
	const char	*name;
	unsigned int	at_once;
	unsigned int	step;
} run_orders[] = {
	{ "forwards", 0, 1 },
	{ "backwards", 0, FREE_IRQS - 1 },
	{ "mixed", 0, 5 },
	{ "some forwards", 4, 1 },
	{ "some backwards", 4, FREE_IRQS - 1 },
	{ "some mixed", 5, 7 },
	{ "all backwards", FREE_IRQS, FREE_IRQS - 1 },
	{ "all mixed", FREE_IRQS, 5 },
};

static const void *run_order_gen(const void *prev, char *desc)
{
	unsigned long n = (unsigned long)prev;

	if (n == ARRAY_SIZE(run_orders) * MSI_TEST_TEMPLATES)
		return NULL;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s: %s",
		 msi_test_templates[n % MSI_TEST_TEMPLATES].name,
		 run_orders[n / MSI_TEST_TEMPLATES].name);
	return (const void *)(n + 1);
}

static void run_free_order(struct kunit *test)
{
	unsigned long n = (unsigned long)test->param_value - 1;
	const struct run_order *order = &run_orders[n / MSI_TEST_TEMPLATES];
	struct run *r = run_init(test, n % MSI_TEST_TEMPLATES, true);
	DECLARE_BITMAP(left, FREE_IRQS);
	struct msi_map some[FREE_IRQS];
	unsigned int i, at, done, now;

	KUNIT_ASSERT_EQ(test, run_alloc(r, FREE_IRQS, FREE_IRQS), FREE_IRQS);
	KUNIT_ASSERT_EQ(test, r->nr_calls, 1);
	run_request(r);
	bitmap_fill(left, FREE_IRQS);

	for (at = order->step, done = 0; done < FREE_IRQS; done += now) {
		now = min(order->at_once ?: 1, FREE_IRQS - done);
		for (i = 0; i < now; i++, at = (at + order->step) % FREE_IRQS) {
			__clear_bit(at, left);
			some[i] = r->maps[at];
			free_irq(some[i].virq, &r->handled[at]);
		}
		if (order->at_once)
			msi_store_free_irqs(r->mt->dev, r->id, some, now);
		else
			msi_store_free_irq(r->mt->dev, r->id, some[0]);

		for (i = 0; i < now; i++) {
			KUNIT_EXPECT_NULL(test, msi_test_find(&r->mt->hw, some[i].index));
			KUNIT_EXPECT_NULL(test, irq_get_msi_desc(some[i].virq));
		}

		/* The others do not notice */
		run_expect_count(r, FREE_IRQS - done - now);
		for_each_set_bit(i, left, FREE_IRQS) {
			run_expect_own(r, i);
			run_fire(r, i);
			run_expect_handled(r, i, 1);
		}
	}
	KUNIT_EXPECT_TRUE(test, bitmap_empty(left, FREE_IRQS));
	run_exit(r);
}

/* --- Not enough for all ------------------------------------------------------ */

/* A kind of store and a parent. From 1 */
static const void *run_kind_gen(const void *prev, char *desc)
{
	unsigned long n = (unsigned long)prev;

	if (n == MSI_TEST_TEMPLATES * 2)
		return NULL;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s%s", msi_test_templates[n / 2].name,
		 n % 2 ? ", separate" : "");
	return (const void *)(n + 1);
}

static struct run *run_init_kind(struct kunit *test)
{
	unsigned long n = (unsigned long)test->param_value - 1;

	return run_init(test, n / 2, n % 2);
}

/* As many as there is room for, if these are enough */
static void run_room(struct kunit *test)
{
	unsigned int room, min, max = BITS_PER_LONG + 6;
	struct run *r = run_init_kind(test);
	int ret;

	KUNIT_ASSERT_GE(test, msi_test_free_irqs(), max);
	for (room = 0; room <= max + 1; room += room < 8 || room > max - 8 ? 1 : 7) {
		r->mt->parent.limit = room;
		for (min = max(room, 2U) - 1; min <= min(room + 1, max); min++) {
			ret = run_alloc(r, min, max);
			KUNIT_EXPECT_EQ_MSG(test, ret, room < min ? -ENOSPC : min(room, max),
					    "%u of %u with room for %u", min, max, room);
			run_expect_all_own(r);
			/* Each call has success, or halves what is asked for next */
			if (r->separate)
				KUNIT_EXPECT_LE_MSG(test, r->nr_calls, 2 * ilog2(BITS_PER_LONG) + 2,
						    "room for %u: %s", room, r->calls.buf);
			else
				KUNIT_EXPECT_EQ(test, r->nr_calls, min(room + 1, max));
			run_free(r);
			run_expect_count(r, 0);
		}
	}

	/* When there is room again then everything is as it was */
	r->mt->parent.limit = MSI_TEST_SLOTS;
	KUNIT_EXPECT_EQ(test, run_alloc(r, max, max), max);
	run_free(r);
	run_exit(r);
}

static const struct run_half {
	unsigned int	room;
	const char	*calls;
} run_halves[] = {
	{ 0, "16! 8! 4! 2! 1!" },
	{ 1, "16! 8! 4! 2! 1 1!" },
	{ 5, "16! 8! 4 4! 2! 1 1!" },
	{ 8, "16! 8 8! 4! 2! 1!" },
	{ 14, "16! 8 8! 4 4! 2 2! 1!" },
	{ 15, "16! 8 8! 4 4! 2 2! 1 1!" },
	{ 16, "16" },
};

static void run_half(struct kunit *test)
{
	struct run *r = run_init(test, MSI_TEST_DIRECT, true);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(run_halves); i++) {
		r->mt->parent.limit = run_halves[i].room;
		KUNIT_EXPECT_EQ(test, run_alloc(r, 1, 16), run_halves[i].room ?: -ENOSPC);
		KUNIT_EXPECT_STREQ(test, r->calls.buf, run_halves[i].calls);
		run_free(r);
	}
	run_exit(r);
}

/* There is room for all, but nowhere for as many in a row */
static void run_fragments(struct kunit *test)
{
	struct run *r = run_init_kind(test);
	unsigned int i;

	for (i = 3; i < MSI_TEST_SLOTS; i += 4)
		__set_bit(i, r->mt->parent.hwirqs);

	KUNIT_EXPECT_EQ(test, run_alloc(r, 13, 13), 13);
	KUNIT_EXPECT_STREQ(test, r->calls.buf, r->separate ? "13! 6! 3 3 3 3 1" :
			   "1 1 1 1 1 1 1 1 1 1 1 1 1");
	run_expect_all_own(r);
	run_request(r);
	for (i = 0; i < r->count; i++) {
		run_fire(r, i);
		run_expect_handled(r, i, 1);
	}
	run_release(r);
	run_free(r);

	for (i = 3; i < MSI_TEST_SLOTS; i += 4)
		__clear_bit(i, r->mt->parent.hwirqs);
	KUNIT_EXPECT_TRUE(test, bitmap_empty(r->mt->parent.hwirqs, MSI_TEST_SLOTS));
	run_exit(r);
}

/* What is not a matter of how many there are reaches the caller */
static void run_refused(struct kunit *test)
{
	struct run *r = run_init_kind(test);

	run_take(r, 4);
	r->room_ret = -EREMOTEIO;
	for (r->room = r->nr_taken; r->room < 12; r->room++) {
		KUNIT_EXPECT_EQ(test, run_alloc(r, 1, 12), -EREMOTEIO);
		KUNIT_EXPECT_LE(test, r->nr_calls, 12);
		run_expect_count(r, 0);
	}
	r->room = MSI_TEST_SLOTS;
	KUNIT_EXPECT_EQ(test, run_alloc(r, 12, 12), 12);
	run_expect_all_own(r);
	run_free(r);
	run_exit(r);
}

/* --- Errors in the middle ---------------------------------------------------- */

/*
 * One of them is allocated, but does not get ready for use. Those before it stay if they
 * are enough, unless the store is deferred, where all are activated at the end.
 */
static void run_activate(struct kunit *test)
{
	static const int errors[] = { -ENOSPC, -ENOMEM, -EREMOTEIO };
	unsigned int nth, min, i, max = 9;
	struct run *r = run_init_kind(test);
	int ret, expected;

	if (r->kind != MSI_TEST_DIRECT_EARLY && !msi_test_is_deferred(r->kind)) {
		/* Nothing of it is done before the interrupts are requested */
		r->activate_fails = 1;
		KUNIT_EXPECT_EQ(test, run_alloc(r, max, max), max);
		KUNIT_EXPECT_EQ(test, r->activate_fails, 1);
		run_free(r);
		run_exit(r);
		return;
	}

	/* A run of 4 and one of 5 */
	if (r->kind == MSI_TEST_DIRECT_EARLY)
		run_take(r, 4);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		r->activate_ret = errors[i];
		for (nth = 1; nth <= max; nth++) {
			for (min = 1; min <= max; min++) {
				r->activate_fails = nth;
				ret = run_alloc(r, min, max);
				expected = errors[i];
				if (!msi_test_is_deferred(r->kind) &&
				    errors[i] != -EREMOTEIO && nth > min)
					expected = nth - 1;
				KUNIT_EXPECT_EQ_MSG(test, ret, expected,
						    "%u of %u, and %u fails with %d", min, max, nth,
						    errors[i]);
				KUNIT_EXPECT_EQ(test, r->activate_fails, 0);
				run_expect_all_own(r);
				run_free(r);
				run_expect_count(r, 0);
			}
		}
	}
	KUNIT_EXPECT_EQ(test, run_alloc(r, max, max), max);
	run_expect_all_own(r);
	run_free(r);
	run_exit(r);
}

/* --- Affinity ---------------------------------------------------------------- */

/*
 * More than one run, and only the interrupts at the end are spread. So the masks which
 * are told apart are those which are not in the first run.
 */
static void run_affinity(struct kunit *test)
{
	struct irq_affinity affd = { .pre_vectors = BITS_PER_LONG + 2, .post_vectors = 1 };
	struct irq_affinity same = affd;
	unsigned int spread = min(num_possible_cpus(), 32U);
	unsigned int i, count = BITS_PER_LONG + 3 + spread;
	struct run *r = run_init_kind(test);
	struct irq_affinity_desc *masks;
	unsigned int managed = 0;
	struct irq_data *data;

	KUNIT_ASSERT_GE(test, msi_test_free_irqs(), count + 1);
	masks = irq_create_affinity_masks(count, &same);
	KUNIT_ASSERT_EQ(test, !!masks, IS_ENABLED(CONFIG_SMP));

	run_take(r, 3);
	KUNIT_ASSERT_EQ(test, run_alloc_affinity(r, count, count, &affd), count);
	KUNIT_EXPECT_EQ(test, r->nr_calls, r->separate ? 3 : count);
	run_expect_all_own(r);
	for (i = 0; i < count; i++) {
		data = irq_get_irq_data(r->maps[i].virq);
		managed += irqd_affinity_is_managed(data);
		if (!masks)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, irqd_affinity_is_managed(data),
				    masks[i].is_managed && !msi_test_is_deferred(r->kind),
				    "interrupt %u", i);
		KUNIT_EXPECT_TRUE_MSG(test, cpumask_equal(irq_data_get_affinity_mask(data),
							  &masks[i].mask), "interrupt %u", i);
	}
	KUNIT_EXPECT_EQ(test, managed, masks && !msi_test_is_deferred(r->kind) ? spread : 0);
	kfree(masks);
	run_free(r);
	run_exit(r);
}

/* --- The lowest free slot ---------------------------------------------------- */

#define FIRST_SLOTS	24

/**
 * struct first - A store with the knowledge which slots are in use
 * @r:		The store. Its interrupts are in the order of their slots
 * @used:	The slots in use
 * @random:	Where the next step comes from. The same each time
 */
struct first {
	struct run		*r;
	DECLARE_BITMAP(used, FIRST_SLOTS);
	struct rnd_state	random;
};

static unsigned int first_random(struct first *f, unsigned int limit)
{
	return prandom_u32_state(&f->random) % limit;
}

/* That an interrupt is in the lowest free slot, which it takes */
static void first_expect(struct first *f, struct msi_map map)
{
	unsigned int index = find_first_zero_bit(f->used, FIRST_SLOTS);
	struct kunit *test = f->r->mt->test;

	KUNIT_ASSERT_LT(test, index, FIRST_SLOTS);
	KUNIT_ASSERT_EQ(test, map.index, index);
	__set_bit(index, f->used);
	f->r->maps[index] = map;
}

static void first_alloc(struct first *f)
{
	bool full = bitmap_full(f->used, FIRST_SLOTS);
	struct run *r = f->r;
	struct msi_map map;

	map = msi_store_alloc_irq(r->mt->dev, r->id, MSI_ANY_INDEX, NULL, NULL);
	if (full)
		KUNIT_ASSERT_EQ(r->mt->test, map.index, -ENOSPC);
	else
		first_expect(f, map);
}

static void first_alloc_at(struct first *f)
{
	unsigned int index = first_random(f, FIRST_SLOTS);
	struct run *r = f->r;
	struct msi_map map;

	map = msi_store_alloc_irq(r->mt->dev, r->id, index, NULL, NULL);
	if (test_bit(index, f->used)) {
		KUNIT_ASSERT_EQ(r->mt->test, map.index, -EBUSY);
		return;
	}
	KUNIT_ASSERT_EQ(r->mt->test, map.index, index);
	__set_bit(index, f->used);
	r->maps[index] = map;
}

static void first_alloc_batch(struct first *f)
{
	unsigned int left = FIRST_SLOTS - bitmap_weight(f->used, FIRST_SLOTS);
	unsigned int i, count = 1 + first_random(f, FIRST_SLOTS / 2);
	struct msi_map maps[FIRST_SLOTS];
	struct run *r = f->r;
	int ret;

	ret = msi_store_alloc_irqs(r->mt->dev, r->id, 1, count, NULL, NULL, maps);
	KUNIT_ASSERT_EQ(r->mt->test, ret, left ? min(count, left) : -ENOSPC);
	for (i = 0; left && i < ret; i++)
		first_expect(f, maps[i]);
}

/* The last one of a batch is refused, or there are not enough. No slot is used up */
static void first_alloc_failing(struct first *f)
{
	unsigned int left = FIRST_SLOTS - bitmap_weight(f->used, FIRST_SLOTS);
	unsigned int count = 1 + first_random(f, FIRST_SLOTS / 2);
	union msi_instance_cookie cookies[FIRST_SLOTS] = { };
	struct msi_map maps[FIRST_SLOTS];
	struct run *r = f->r;
	int ret;

	cookies[count - 1].value = r->mt->hw.bad_cookie;
	ret = msi_store_alloc_irqs(r->mt->dev, r->id, count, count, NULL, cookies, maps);
	KUNIT_ASSERT_EQ(r->mt->test, ret, left < count ? -ENOSPC : -EINVAL);
}

static void first_free(struct first *f)
{
	unsigned int index;

	index = find_next_bit(f->used, FIRST_SLOTS, first_random(f, FIRST_SLOTS));
	if (index == FIRST_SLOTS)
		return;
	msi_store_free_irq(f->r->mt->dev, f->r->id, f->r->maps[index]);
	__clear_bit(index, f->used);
}

/* The highest one first */
static void first_free_batch(struct first *f)
{
	struct msi_map maps[FIRST_SLOTS];
	unsigned int index, n = 0;

	for (index = FIRST_SLOTS; index--; ) {
		if (test_bit(index, f->used) && first_random(f, 2)) {
			maps[n++] = f->r->maps[index];
			__clear_bit(index, f->used);
		}
	}
	msi_store_free_irqs(f->r->mt->dev, f->r->id, maps, n);
}

static void (*const first_steps[])(struct first *f) = {
	first_alloc, first_alloc, first_alloc_at, first_alloc_batch, first_alloc_failing,
	first_free, first_free, first_free_batch,
};

static void run_first(struct kunit *test)
{
	struct run *r = run_init_kind(test);
	struct first *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	unsigned int step, index, full = 0;

	/* A store which can become full */
	KUNIT_ASSERT_NOT_NULL(test, f);
	msi_remove_store(r->mt->dev, r->id);
	r->id = msi_test_create(r->mt, r->kind, FIRST_SLOTS, &r->mt->hw);
	r->mt->hw.bad_cookie = 0xbad;
	prandom_seed_state(&f->random, 1);
	f->r = r;

	for (step = 0; step < 300; step++) {
		first_steps[first_random(f, ARRAY_SIZE(first_steps))](f);
		run_expect_count(r, bitmap_weight(f->used, FIRST_SLOTS));
		full += bitmap_full(f->used, FIRST_SLOTS);
	}
	KUNIT_EXPECT_GT(test, full, 0);

	for_each_set_bit(index, f->used, FIRST_SLOTS)
		msi_store_free_irq(r->mt->dev, r->id, r->maps[index]);
	run_exit(r);
}

/* --- Each memory allocation fails -------------------------------------------- */

#if defined(CONFIG_FAILSLAB) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS) && \
	defined(CONFIG_TRACEPOINTS)

#define RUN_MEMORY	512

/**
 * struct run_memory - Memory which was allocated and has not been freed
 * @lock:	Protects the others
 * @task:	Whose allocations are of interest
 * @used:	How many there are
 * @lost:	There were too many
 * @ptr:	The memory
 * @site:	Who has allocated it
 *
 * See msi_test_fault.c, which also tests that this finds memory which stays.
 */
static struct run_memory {
	raw_spinlock_t		lock; /* see above */
	struct task_struct	*task;
	unsigned int		used;
	bool			lost;
	const void		*ptr[RUN_MEMORY];
	unsigned long		site[RUN_MEMORY];
} run_memory = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(run_memory.lock),
};

static void run_memory_add(unsigned long site, const void *ptr)
{
	unsigned long flags;

	if (READ_ONCE(run_memory.task) != current || !in_task() || ZERO_OR_NULL_PTR(ptr))
		return;

	raw_spin_lock_irqsave(&run_memory.lock, flags);
	run_memory.lost |= run_memory.used == RUN_MEMORY;
	if (!run_memory.lost) {
		run_memory.ptr[run_memory.used] = ptr;
		run_memory.site[run_memory.used++] = site;
	}
	raw_spin_unlock_irqrestore(&run_memory.lock, flags);
}

static void run_memory_del(const void *ptr)
{
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&run_memory.lock, flags);
	for (i = run_memory.used; i--; ) {
		if (run_memory.ptr[i] == ptr) {
			run_memory.used--;
			run_memory.ptr[i] = run_memory.ptr[run_memory.used];
			run_memory.site[i] = run_memory.site[run_memory.used];
			break;
		}
	}
	raw_spin_unlock_irqrestore(&run_memory.lock, flags);
}

static void run_kmalloc(void *unused, unsigned long site, const void *ptr, size_t req,
			size_t size, gfp_t gfp, int node)
{
	run_memory_add(site, ptr);
}

static void run_cache_alloc(void *unused, unsigned long site, const void *ptr,
			    struct kmem_cache *cache, gfp_t gfp, int node)
{
	run_memory_add(site, ptr);
}

static void run_kfree(void *unused, unsigned long site, const void *ptr)
{
	run_memory_del(ptr);
}

static void run_cache_free(void *unused, unsigned long site, const void *ptr,
			   const struct kmem_cache *cache)
{
	run_memory_del(ptr);
}

static void run_memory_open(void)
{
	run_memory.used = 0;
	run_memory.lost = false;
	register_trace_kmalloc(run_kmalloc, NULL);
	register_trace_kmem_cache_alloc(run_cache_alloc, NULL);
	register_trace_kfree(run_kfree, NULL);
	register_trace_kmem_cache_free(run_cache_free, NULL);
	WRITE_ONCE(run_memory.task, current);
}

/* What is left is to be freed soon, by RCU or a work item */
static void run_memory_close(void)
{
	unsigned int i;

	WRITE_ONCE(run_memory.task, NULL);
	rcu_barrier();
	for (i = 0; i < 10 && READ_ONCE(run_memory.used); i++)
		msleep(20);
	unregister_trace_kmem_cache_free(run_cache_free, NULL);
	unregister_trace_kfree(run_kfree, NULL);
	unregister_trace_kmem_cache_alloc(run_cache_alloc, NULL);
	unregister_trace_kmalloc(run_kmalloc, NULL);
	tracepoint_synchronize_unregister();
}

/* The variable behind a file of the allocator's fault injection */
static void *run_failslab(const char *name)
{
	struct dentry *dir = debugfs_lookup("failslab", NULL), *file = NULL;
	void *variable = NULL;

	if (dir)
		file = debugfs_lookup(name, dir);
	if (file)
		variable = d_inode(file)->i_private;
	dput(file);
	dput(dir);
	return variable;
}

#define MEMORY_IRQS	5

/*
 * Allocate a batch, with the nth memory allocation failing, and none with 0. A run which
 * fails is tried again with less, so that the batch can be there nevertheless. Then it
 * has to be whole. Returns true if there were that many allocations.
 */
static bool run_memory_once(struct run *r, unsigned int nth, unsigned int *failed)
{
	struct irq_affinity affd = { .pre_vectors = MEMORY_IRQS - 1 };
	struct kunit *test = r->mt->test;
	unsigned int left, i;
	int ret;

	memset(&r->calls, 0, sizeof(r->calls));
	r->nr_calls = 0;
	run_memory_open();
	current->fail_nth = nth;
	ret = msi_store_alloc_irqs(r->mt->dev, r->id, MEMORY_IRQS, MEMORY_IRQS, &affd, r->cookies,
				   r->maps);
	left = current->fail_nth;
	current->fail_nth = 0;

	r->count = max(ret, 0);
	run_expect_all_own(r);
	if (ret > 0)
		run_free(r);
	run_memory_close();
	if (!nth)
		return false;

	if (ret != -ENOMEM || left)
		KUNIT_EXPECT_EQ_MSG(test, ret, MEMORY_IRQS, "allocation %u failed", nth);
	else
		++*failed;
	KUNIT_EXPECT_FALSE(test, run_memory.lost);
	for (i = 0; i < run_memory.used; i++)
		KUNIT_FAIL(test, "allocation %u failed, and memory of %pS is left", nth,
			   (void *)run_memory.site[i]);
	run_expect_count(r, 0);
	return !left;
}

static void run_no_memory(struct kunit *test)
{
	bool *ignore_gfp_wait = run_failslab("ignore-gfp-wait");
	unsigned long *verbose = run_failslab("verbose");
	unsigned int nth, failed = 0, shorter = 0;
	struct run *r = run_init_kind(test);
	unsigned long old_verbose;
	bool more = true;

	KUNIT_ASSERT_NOT_NULL(test, ignore_gfp_wait);
	KUNIT_ASSERT_NOT_NULL(test, verbose);

	/* A run of 2 and one of 3. Once for what is allocated only the first time */
	run_take(r, 2);
	run_memory_once(r, 0, &failed);
	KUNIT_EXPECT_STREQ(test, r->calls.buf, r->separate ? "2 3" : "1 1 1 1 1");

	old_verbose = *verbose;
	*verbose = 0;
	*ignore_gfp_wait = false;
	for (nth = 1; more && nth < RUN_MEMORY; nth++) {
		more = run_memory_once(r, nth, &failed);
		shorter += more && r->nr_calls > 2;
	}
	*ignore_gfp_wait = true;
	*verbose = old_verbose;

	/* It came to an end, and there were some of all kinds */
	KUNIT_EXPECT_FALSE(test, more);
	KUNIT_EXPECT_GT(test, failed, 0);
	KUNIT_EXPECT_GT(test, shorter, 0);
	run_exit(r);
}

#else

static void run_no_memory(struct kunit *test)
{
	kunit_skip(test, "no CONFIG_FAILSLAB, FAULT_INJECTION_DEBUG_FS, or TRACEPOINTS");
}

#endif

static struct kunit_case msi_run_cases[] = {
	KUNIT_CASE_PARAM(run_shape, run_shape_gen),
	KUNIT_CASE_PARAM(run_free_order, run_order_gen),
	KUNIT_CASE_PARAM(run_room, run_kind_gen),
	KUNIT_CASE(run_half),
	KUNIT_CASE_PARAM(run_fragments, run_kind_gen),
	KUNIT_CASE_PARAM(run_refused, run_kind_gen),
	KUNIT_CASE_PARAM(run_activate, run_kind_gen),
	KUNIT_CASE_PARAM(run_affinity, run_kind_gen),
	KUNIT_CASE_PARAM(run_first, run_kind_gen),
	KUNIT_CASE_PARAM(run_no_memory, run_kind_gen),
	{ }
};

MSI_TEST_SUITE(msi_run, msi_run_cases);
