// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: Allocation in runs
 *
 * Words:
 *
 *   run	descriptors with consecutive indices, at most as many as a long has
 *		bits. Their interrupts are allocated with one call if the parent has
 *		MSI_PARENT_SEPARATE
 *   parent	an interrupt controller of this file, below the device domain and on
 *		top of a root domain. It hands out hardware interrupts in no order,
 *		and fails as the test says
 *   asked	how many interrupts the parent was asked for, call by call
 *
 * A batch is compared with what the same number of single allocations is: each
 * interrupt has its own descriptor, slot, message, affinity and hardware interrupt,
 * is delivered to its own handler, and is freed by itself. A batch that fails leaves
 * nothing.
 *
 * Each case needs consecutive interrupt numbers. Cases that need more than are free are
 * left out. With CONFIG_SPARSE_IRQ none is: run_has_room() checks that.
 */
#include <linux/interrupt.h>

#include "msi_test.h"

#define RUN_SLOTS	1100
/* The data of the message of hardware interrupt 0 */
#define RUN_DATA	0x1000
#define RUN_CALLS	24

/**
 * struct run_slot - A slot of the device
 * @used:	It was initialized
 * @masked:	Its mask bit
 * @data:	The data of its message
 * @virq:	The interrupt number that the test expects it to be delivered as
 * @handled:	How often it was delivered as that
 */
struct run_slot {
	bool		used;
	bool		masked;
	u32		data;
	unsigned int	virq;
	unsigned int	handled;
};

/**
 * struct run - The fixture, in addition to that of all suites
 * @mt:		The fixture of all suites
 * @nr_irqs:	The value of nr_irqs when the test started
 * @ops:	What the parent says of itself
 * @chip:	The interrupt chip of parent and root
 * @fwnodes:	Firmware nodes of both
 * @root:	The root domain
 * @domain:	The parent
 * @hwirqs:	Hardware interrupts in use
 * @next:	Where to look for the next one
 * @irqs:	How many are in use
 * @limit:	How many there are
 * @most:	How many can be allocated with one call
 * @fail_in:	Countdown of interrupts to the one that fails with @error, if not 0
 * @stop_in:	The same for activations
 * @error:	The error code
 * @calls:	How many calls there were
 * @asked:	The first ones
 * @wrong:	What the parent has found to be wrong with a call
 * @used:	How many slots are in use
 * @slots:	The slots
 */
struct run {
	struct msi_test		*mt;
	int			nr_irqs;
	struct msi_parent_ops	ops;
	struct irq_chip		chip;
	struct fwnode_handle	*fwnodes[2];
	struct irq_domain	*root;
	struct irq_domain	*domain;
	DECLARE_BITMAP(hwirqs, RUN_SLOTS);
	unsigned int		next;
	unsigned int		irqs;
	unsigned int		limit;
	unsigned int		most;
	unsigned int		fail_in;
	unsigned int		stop_in;
	int			error;
	unsigned int		calls;
	unsigned short		asked[RUN_CALLS];
	const char		*wrong;
	unsigned int		used;
	struct run_slot		slots[RUN_SLOTS];
};

/* --- The parent -------------------------------------------------------------- */

static void run_compose(struct irq_data *data, struct msi_msg *msg)
{
	msg->address_lo = 0xfee00000;
	msg->address_hi = 0;
	msg->data = RUN_DATA + data->hwirq;
}

static int run_set_affinity(struct irq_data *data, const struct cpumask *mask, bool force)
{
	irq_data_update_effective_affinity(data, cpumask_of(cpumask_first(mask)));
	return IRQ_SET_MASK_OK;
}

static int run_root_alloc(struct irq_domain *domain, unsigned int virq, unsigned int nr_irqs,
			  void *arg)
{
	struct run *run = domain->host_data;
	unsigned int i;

	for (i = 0; i < nr_irqs; i++)
		irq_domain_set_hwirq_and_chip(domain, virq + i, virq + i, &run->chip, run);
	return 0;
}

static const struct irq_domain_ops run_root_ops = {
	.alloc	= run_root_alloc,
	.free	= irq_domain_free_irqs_common,
};

/* No two of them in a row */
static unsigned int run_take_hwirq(struct run *run)
{
	unsigned int hwirq = find_next_zero_bit(run->hwirqs, RUN_SLOTS, run->next);

	if (hwirq == RUN_SLOTS)
		hwirq = find_first_zero_bit(run->hwirqs, RUN_SLOTS);
	run->next = (hwirq + 389) % RUN_SLOTS;
	set_bit(hwirq, run->hwirqs);
	run->irqs++;
	return hwirq;
}

static void run_put_hwirqs(struct run *run, unsigned int virq, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct irq_data *data = irq_domain_get_irq_data(run->domain, virq + i);

		if (!data || !test_and_clear_bit(data->hwirq, run->hwirqs))
			run->wrong = "a hardware interrupt is freed which is not in use";
		else
			run->irqs--;
	}
}

static int run_parent_alloc(struct irq_domain *domain, unsigned int virq, unsigned int nr_irqs,
			    void *arg)
{
	struct run *run = domain->host_data;
	msi_alloc_info_t *info = arg;
	unsigned int i;
	int ret;

	if (run->calls < RUN_CALLS)
		run->asked[run->calls] = nr_irqs;
	run->calls++;
	if (!info->desc || info->desc->msi_index != info->hwirq)
		run->wrong = "the allocation info is not that of the first descriptor";

	if (nr_irqs > run->most || run->irqs + nr_irqs > run->limit)
		return -ENOSPC;

	ret = irq_domain_alloc_irqs_parent(domain, virq, nr_irqs, arg);
	if (ret)
		return ret;

	for (i = 0; i < nr_irqs; i++) {
		if (run->fail_in && !--run->fail_in) {
			run_put_hwirqs(run, virq, i);
			irq_domain_free_irqs_common(domain, virq, nr_irqs);
			return run->error;
		}
		irq_domain_set_hwirq_and_chip(domain, virq + i, run_take_hwirq(run), &run->chip,
					      run);
	}
	return 0;
}

static void run_parent_free(struct irq_domain *domain, unsigned int virq, unsigned int nr_irqs)
{
	run_put_hwirqs(domain->host_data, virq, nr_irqs);
	irq_domain_free_irqs_common(domain, virq, nr_irqs);
}

static int run_parent_activate(struct irq_domain *domain, struct irq_data *data, bool reserve)
{
	struct run *run = domain->host_data;

	return run->stop_in && !--run->stop_in ? run->error : 0;
}

static const struct irq_domain_ops run_parent_ops = {
	.alloc		= run_parent_alloc,
	.free		= run_parent_free,
	.activate	= run_parent_activate,
};

/* --- The device -------------------------------------------------------------- */

static int run_init_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	struct run *run = storage->priv;
	struct run_slot *s = &run->slots[slot->index];

	if (s->used)
		return -EBUSY;
	*s = (struct run_slot){ .used = true, .masked = true };
	run->used++;
	return 0;
}

static void run_free_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	struct run *run = storage->priv;

	run->slots[slot->index].used = false;
	run->used--;
}

static void run_write_msg(struct msi_storage *storage, struct msi_slot *slot,
			  const struct msi_msg *msg)
{
	struct run *run = storage->priv;

	run->slots[slot->index].data = msg->data;
}

static void run_mask(struct msi_storage *storage, struct msi_slot *slot)
{
	struct run *run = storage->priv;

	run->slots[slot->index].masked = true;
}

static void run_unmask(struct msi_storage *storage, struct msi_slot *slot)
{
	struct run *run = storage->priv;

	run->slots[slot->index].masked = false;
}

static const struct msi_storage_ops run_ops = {
	.init_slot	= run_init_slot,
	.free_slot	= run_free_slot,
	.write_msg	= run_write_msg,
	.mask		= run_mask,
	.unmask		= run_unmask,
};

static const struct msi_storage_template run_template = {
	.name		= "run",
	.mode		= "test",
	.bus_token	= DOMAIN_BUS_PLATFORM_MSI,
	.requires	= MSI_PARENT_PCI_IMS,
	.ops		= &run_ops,
	.owner		= THIS_MODULE,
};

/* Messages are composed, and can fail, while the interrupts are allocated */
static const struct msi_storage_template run_early_template = {
	.name		= "run-early",
	.mode		= "test",
	.bus_token	= DOMAIN_BUS_PLATFORM_MSI,
	.requires	= MSI_PARENT_PCI_IMS,
	.flags		= MSI_STORAGE_ACTIVATE_EARLY,
	.ops		= &run_ops,
	.owner		= THIS_MODULE,
};

static struct run *run_of(struct kunit *test)
{
	return test->priv;
}

static int run_create(struct run *run, const struct msi_storage_template *tmpl)
{
	int id = msi_create_store(run->mt->dev, tmpl, RUN_SLOTS, run);

	KUNIT_ASSERT_GT(run->mt->test, id, 0);
	return id;
}

static struct msi_map *run_maps(struct run *run, unsigned int count)
{
	struct msi_map *maps = kunit_kcalloc(run->mt->test, count, sizeof(*maps), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(run->mt->test, maps);
	return maps;
}

/* --- Expectations ------------------------------------------------------------ */

/* An interrupt is delivered as itself */
static irqreturn_t run_handler(int irq, void *slot)
{
	struct run_slot *s = slot;

	if (irq == s->virq)
		s->handled++;
	return IRQ_HANDLED;
}

/* What is wrong with an interrupt in use, "" if nothing is */
static const char *run_irq_wrong(struct run *run, struct msi_dev_store *store, struct msi_map map,
				 const struct irq_affinity_desc *mask, unsigned long *seen)
{
	struct irq_data *data = irq_get_irq_data(map.virq), *parent;
	struct msi_desc *desc = irq_get_msi_desc(map.virq);

	if (!data || !desc)
		return "it has no descriptor";
	if (desc != xa_load(&store->descs, map.index) || desc->msi_index != map.index)
		return "it has the descriptor of another index";
	if (desc->irq != map.virq)
		return "the descriptor has another interrupt";
	if (data->domain != store->devdom->domain || data->hwirq != map.index)
		return "it has another place in the device domain";
	if (data->chip_data != &desc->slot || desc->slot.index != map.index)
		return "it has another slot";
	if (!run->slots[map.index].used || !run->slots[map.index].masked)
		return "the slot is not in use, or not masked";

	parent = data->parent_data;
	if (!parent || parent->domain != run->domain || !parent->parent_data ||
	    parent->parent_data->domain != run->root)
		return "it has not all levels of the hierarchy";
	if (!test_bit(parent->hwirq, run->hwirqs) || test_and_set_bit(parent->hwirq, seen))
		return "it has a hardware interrupt of another one";
	if (store->tmpl->flags & MSI_STORAGE_ACTIVATE_EARLY &&
	    run->slots[map.index].data != RUN_DATA + parent->hwirq)
		return "the slot does not have its message";
#ifdef CONFIG_SYSFS
	if (!desc->sysfs_attrs)
		return "it has no file in sysfs";
#endif
#ifdef CONFIG_GENERIC_IRQ_DEBUGFS
	if (!irq_to_desc(map.virq)->dev_name)
		return "it has no device name in debugfs";
#endif
	if (mask && !cpumask_equal(irq_data_get_affinity_mask(data), &mask->mask))
		return "it has the affinity of another one";
	if (mask && irqd_affinity_is_managed(data) != mask->is_managed)
		return "its affinity is not managed as it should be";
	return "";
}

/* These are the interrupts of the store, and each is as expected */
static void run_expect(struct run *run, int id, const struct msi_map *maps, unsigned int count,
		       const struct irq_affinity_desc *masks)
{
	struct msi_dev_store *store = msi_test_store(run->mt, id);
	struct kunit *test = run->mt->test;
	DECLARE_BITMAP(seen, RUN_SLOTS);
	const char *wrong = "";
	unsigned int i;

	bitmap_zero(seen, RUN_SLOTS);
	for (i = 0; i < count && !*wrong; i++)
		wrong = run_irq_wrong(run, store, maps[i], masks ? masks + i : NULL, seen);
	KUNIT_EXPECT_STREQ_MSG(test, wrong, "", "interrupt %u of %u", i, count);
	KUNIT_EXPECT_EQ(test, store->used, count);
	KUNIT_EXPECT_EQ(test, run->used, count);
	KUNIT_EXPECT_EQ(test, run->irqs, count);
	KUNIT_EXPECT_NULL(test, run->wrong);
}

/* Nothing is left, neither here nor elsewhere */
static void run_expect_nothing(struct run *run, int id)
{
	struct kunit *test = run->mt->test;
	unsigned int irq, active = 0;

	run_expect(run, id, NULL, 0, NULL);
	KUNIT_EXPECT_TRUE(test, xa_empty(&msi_test_store(run->mt, id)->descs));
	KUNIT_EXPECT_TRUE(test, bitmap_empty(run->hwirqs, RUN_SLOTS));
	for_each_active_irq(irq)
		active++;
	KUNIT_EXPECT_EQ(test, active, run->mt->irqs);
	KUNIT_EXPECT_EQ(test, atomic_read(&run->mt->traced), 0);
}

/* The device sends the message of each slot, and each handler has its own */
static void run_fire(struct run *run, const struct msi_map *maps, unsigned int count)
{
	unsigned int i, requested, lost = 0, masked = 0;
	struct kunit *test = run->mt->test;

	for (i = 0; i < count; i++) {
		struct run_slot *s = &run->slots[maps[i].index];

		s->virq = maps[i].virq;
		s->handled = 0;
		if (request_irq(s->virq, run_handler, 0, "msi_kunit", s))
			break;
	}
	requested = i;
	KUNIT_EXPECT_EQ(test, requested, count);

	for (i = 0; i < requested; i++) {
		struct run_slot *s = &run->slots[maps[i].index];

		masked += s->masked;
		lost += !!generic_handle_domain_irq_safe(run->domain, s->data - RUN_DATA);
		lost += s->handled != 1;
	}
	for (i = 0; i < requested; i++)
		free_irq(maps[i].virq, &run->slots[maps[i].index]);
	KUNIT_EXPECT_EQ(test, lost, 0);
	KUNIT_EXPECT_EQ(test, masked, 0);
}

static void run_free_all(struct run *run, int id, const struct msi_map *maps, unsigned int count)
{
	msi_store_free_irqs(run->mt->dev, id, maps, count);
	run_expect_nothing(run, id);
}

static int run_alloc(struct run *run, int id, unsigned int min, unsigned int max,
		     struct msi_map *maps)
{
	run->calls = 0;
	memset(run->asked, 0, sizeof(run->asked));
	return msi_test_alloc_irqs(run->mt, id, min, max, maps);
}

/* --- How batches are divided ------------------------------------------------- */

/**
 * struct run_case - A batch, and the calls that it is made of
 * @name:	What it is
 * @count:	How many interrupts are asked for
 * @taken:	Indices that are in use
 * @nr_taken:	How many of them there are
 * @limit:	How many the parent has, beside these. 0 if that does not matter
 * @most:	How many it can allocate at once, in the same way
 * @plain:	The parent does not have MSI_PARENT_SEPARATE
 * @got:	How many there are in the end, 0 for @count
 * @asked:	What the parent is asked for, where a long has 64 bits
 */
struct run_case {
	const char	*name;
	unsigned int	count;
	unsigned int	taken[3];
	unsigned int	nr_taken;
	unsigned int	limit;
	unsigned int	most;
	bool		plain;
	unsigned int	got;
	unsigned short	asked[RUN_CALLS];
};

static const struct run_case run_cases[] = {
	{ "1", 1, .asked = { 1 } },
	{ "2", 2, .asked = { 2 } },
	{ "63", 63, .asked = { 63 } },
	{ "64", 64, .asked = { 64 } },
	{ "65", 65, .asked = { 64, 1 } },
	{ "66", 66, .asked = { 64, 2 } },
	{ "128", 128, .asked = { 64, 64 } },
	{ "129", 129, .asked = { 64, 64, 1 } },
	{ "1000", 1000, .asked = { 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
				   40 } },

	{ "64 behind a hole", 64, { 0 }, 1, .asked = { 64 } },
	{ "hole at 1", 4, { 1 }, 1, .asked = { 1, 3 } },
	{ "holes at 1 and 3", 6, { 1, 3 }, 2, .asked = { 1, 1, 4 } },
	{ "hole at 32", 64, { 32 }, 1, .asked = { 32, 32 } },
	{ "hole at 63", 65, { 63 }, 1, .asked = { 63, 2 } },
	{ "hole at 64", 66, { 64 }, 1, .asked = { 64, 2 } },
	{ "64 between holes", 68, { 2, 3, 68 }, 3, .asked = { 2, 64, 2 } },

	{ "plain parent", 4, .plain = true, .asked = { 1, 1, 1, 1 } },
	{ "plain parent, hole", 4, { 2 }, 1, .plain = true, .asked = { 1, 1, 1, 1 } },

	{ "32 at once", 64, .most = 32, .asked = { 64, 32, 32 } },
	{ "31 at once", 64, .most = 31, .asked = { 64, 32, 16, 16, 16, 16 } },
	{ "2 at once", 7, .most = 2, .asked = { 7, 3, 1, 1, 1, 1, 1, 1, 1 } },
	{ "1 at once", 10, .most = 1, .asked = { 10, 5, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 } },

	{ "64 of 65", 65, .limit = 64, .got = 64, .asked = { 64, 1 } },
	{ "80 of 100", 100, .limit = 80, .got = 80,
	  .asked = { 64, 36, 18, 9, 9, 4, 4, 2, 2, 1, 1 } },
	{ "3 of 64", 64, .limit = 3, .got = 3, .asked = { 64, 32, 16, 8, 4, 2, 2, 1, 1 } },
	{ "1 of 64", 64, .limit = 1, .got = 1, .asked = { 64, 32, 16, 8, 4, 2, 1, 1 } },
	{ "3 of 9, holes", 9, { 1, 4 }, 2, .limit = 3, .got = 3, .asked = { 1, 2, 6, 3, 1 } },
};

/* The most interrupt numbers in a row that can be allocated */
static unsigned int run_room(void)
{
	unsigned int irq, start = arch_dynirq_lower_bound(1), room = 0;

	for_each_active_irq(irq) {
		if (irq < start)
			continue;
		room = max(room, irq - start);
		start = irq + 1;
	}
	return max_t(unsigned int, room, IRQ_BITMAP_BITS - start);
}

/* The next one for which the kernel has enough interrupt numbers */
static const void *run_gen(const void *prev, char *desc)
{
	const struct run_case *c = prev;

	for (c = c ? c + 1 : run_cases; c < run_cases + ARRAY_SIZE(run_cases); c++) {
		if (c->count + c->nr_taken > run_room())
			continue;
		strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
		return c;
	}
	return NULL;
}

/* No parameter is left out where interrupt numbers are not from an array */
static void run_has_room(struct kunit *test)
{
	KUNIT_EXPECT_GE(test, run_room(), IS_ENABLED(CONFIG_SPARSE_IRQ) ? RUN_SLOTS : 64);
}

/* A store in which the slots of a case are taken, and what the parent is for it */
static int run_prepare(struct run *run, const struct run_case *c,
		       const struct msi_storage_template *tmpl, struct msi_map *taken)
{
	unsigned int i;
	int id;

	if (c->plain)
		run->ops.flags &= ~MSI_PARENT_SEPARATE;
	id = run_create(run, tmpl);
	for (i = 0; i < c->nr_taken; i++)
		taken[i] = msi_test_alloc(run->mt, id, c->taken[i]);
	if (c->limit)
		run->limit = c->nr_taken + c->limit;
	if (c->most)
		run->most = c->most;
	return id;
}

static bool run_is_taken(const struct run_case *c, unsigned int index)
{
	unsigned int i;

	for (i = 0; i < c->nr_taken; i++) {
		if (c->taken[i] == index)
			return true;
	}
	return false;
}

/* How many there are, which calls they are made of, and that each is one of its own */
static void run_batch(struct kunit *test)
{
	const struct run_case *c = test->param_value;
	unsigned int i, index = 0, got = c->got ?: c->count;
	struct run *run = run_of(test);
	struct msi_map *maps;
	int id;

	maps = run_maps(run, c->count + c->nr_taken);
	id = run_prepare(run, c, &run_early_template, maps + c->count);

	/* All or nothing if the parent has fewer */
	if (got < c->count) {
		KUNIT_EXPECT_EQ(test, run_alloc(run, id, got + 1, c->count, maps), -ENOSPC);
		run_expect(run, id, maps + c->count, c->nr_taken, NULL);
	}

	KUNIT_ASSERT_EQ(test, run_alloc(run, id, got, c->count, maps), got);
	for (i = 0; BITS_PER_LONG == 64 && i < RUN_CALLS; i++)
		KUNIT_EXPECT_EQ_MSG(test, run->asked[i], c->asked[i], "call %u", i);
	for (i = 0; i < got; i++) {
		while (run_is_taken(c, index))
			index++;
		KUNIT_EXPECT_EQ(test, maps[i].index, index);
		index++;
	}

	/* Together with those that were there before */
	memmove(maps + got, maps + c->count, c->nr_taken * sizeof(*maps));
	run_expect(run, id, maps, got + c->nr_taken, NULL);
	run_fire(run, maps, got + c->nr_taken);
	run_free_all(run, id, maps, got + c->nr_taken);
	msi_remove_store(run->mt->dev, id);
}

/* --- Failures ---------------------------------------------------------------- */

/* As many as a test would like to have, or as there is room for */
static unsigned int run_some(unsigned int count)
{
	return min(count, run_room());
}

static const int run_errors[] = { -EIO, -ENOSPC, -ENOMEM };

static void run_error_desc(const int *error, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%d", *error);
}

KUNIT_ARRAY_PARAM(run_error, run_errors, run_error_desc);

/* Which interrupt it is that fails */
static const unsigned int run_nth[] = { 1, 2, 3, 31, 32, 33, 63, 64, 65, 66, 127, 128, 129, 130 };

/*
 * The parent fails at one interrupt. After -ENOSPC fewer are tried. After -ENOMEM the runs
 * allocated so far remain. Any other error fails the batch, however many are required.
 */
static void run_parent_fails(struct kunit *test)
{
	int error = *(const int *)test->param_value;
	struct run *run = run_of(test);
	unsigned int count, got, i;
	struct msi_map *maps;
	int id, want;

	count = run_some(130);
	maps = run_maps(run, count);
	id = run_create(run, &run_template);
	run->error = error;

	for (i = 0; i < ARRAY_SIZE(run_nth) && run_nth[i] <= count; i++) {
		got = 0;
		if (error == -ENOSPC)
			got = count;
		else if (error == -ENOMEM)
			got = rounddown(run_nth[i] - 1, BITS_PER_LONG);
		want = got ?: error;

		run->fail_in = run_nth[i];
		KUNIT_ASSERT_EQ_MSG(test, run_alloc(run, id, 1, count, maps), want,
				    "interrupt %u fails", run_nth[i]);
		KUNIT_EXPECT_EQ(test, run->fail_in, 0);
		run_expect(run, id, maps, got, NULL);
		run_fire(run, maps, got);
		msi_store_free_irqs(run->mt->dev, id, maps, got);
		run_expect_nothing(run, id);
	}
	msi_remove_store(run->mt->dev, id);
}

/*
 * One interrupt cannot be activated after its run was allocated. Those before it remain if
 * they are enough; those after it are freed.
 */
static void run_activation_fails(struct kunit *test)
{
	int error = *(const int *)test->param_value;
	struct run *run = run_of(test);
	unsigned int count, got, i;
	struct msi_map *maps;
	int id;

	count = run_some(130);
	maps = run_maps(run, count);
	id = run_create(run, &run_early_template);
	run->error = error;

	for (i = 0; i < ARRAY_SIZE(run_nth) && run_nth[i] <= count; i++) {
		got = run_nth[i] - 1;
		run->stop_in = run_nth[i];
		KUNIT_EXPECT_EQ(test, run_alloc(run, id, run_nth[i], count, maps), error);
		KUNIT_EXPECT_EQ(test, run->stop_in, 0);
		run_expect_nothing(run, id);

		run->stop_in = run_nth[i];
		if (error == -EIO || !got) {
			KUNIT_EXPECT_EQ(test, run_alloc(run, id, 1, count, maps), error);
		} else {
			KUNIT_ASSERT_EQ(test, run_alloc(run, id, 1, count, maps), got);
			run_expect(run, id, maps, got, NULL);
			run_fire(run, maps, got);
			msi_store_free_irqs(run->mt->dev, id, maps, got);
		}
		run_expect_nothing(run, id);
	}
	msi_remove_store(run->mt->dev, id);
}

/**
 * struct run_area - Interrupt numbers that are in use for nothing
 * @first:	The first one
 * @count:	How many there are
 */
struct run_area {
	int		first;
	unsigned int	count;
};

#define RUN_AREAS	32

/* Whether a number is one of those that are given back: two of three */
static bool run_is_back(unsigned int i, unsigned int count)
{
	return i < count + count / 2 && i % 3 < 2;
}

/* There are interrupt numbers, but no more than two in a row */
static void run_numbers_in_pieces(struct kunit *test)
{
	struct run *run = run_of(test);
	struct run_area areas[RUN_AREAS];
	/* 64 is halved to 2 */
	unsigned int count = 40, want = 64, i, n, nr;
	struct msi_map *maps;
	int id;

	maps = run_maps(run, want);
	id = run_create(run, &run_template);

	for (nr = 0; nr < RUN_AREAS; nr++) {
		areas[nr].count = run_room();
		if (!areas[nr].count)
			break;
		areas[nr].first = irq_alloc_descs_sysfs(-1, 1, areas[nr].count, NUMA_NO_NODE, NULL,
							NULL, true);
		if (areas[nr].first < 0)
			break;
	}
	KUNIT_ASSERT_GT(test, nr, 0);
	for (i = 0; i < areas[0].count; i++) {
		if (run_is_back(i, count))
			irq_free_descs(areas[0].first + i, 1);
	}

	n = run_alloc(run, id, 1, want, maps);
	KUNIT_EXPECT_EQ(test, (int)n, count);
	KUNIT_EXPECT_EQ(test, run->calls, count / 2);
	if (n == count) {
		for (i = 0; i < n; i++)
			KUNIT_EXPECT_EQ(test, maps[i].virq, areas[0].first + i / 2 * 3 + i % 2);
		run_expect(run, id, maps, n, NULL);
		msi_store_free_irqs(run->mt->dev, id, maps, n);
	}
	KUNIT_EXPECT_EQ(test, run_alloc(run, id, count + 1, want, maps), -ENOMEM);

	for (i = 0; i < areas[0].count; i++) {
		if (!run_is_back(i, count))
			irq_free_descs(areas[0].first + i, 1);
	}
	for (i = 1; i < nr; i++)
		irq_free_descs(areas[i].first, areas[i].count);
	run_expect_nothing(run, id);
	msi_remove_store(run->mt->dev, id);
}

/* --- Affinity ---------------------------------------------------------------- */

/*
 * @before interrupts are not spread, then one per CPU is, up to @got. The last one is not
 * spread either.
 */
static void run_expect_spread(struct run *run, int id, unsigned int before, unsigned int got)
{
	struct irq_affinity affd = { .pre_vectors = before, .post_vectors = 1 };
	struct irq_affinity again = affd;
	unsigned int max = before + num_possible_cpus() + 1;
	struct msi_map *maps = run_maps(run, max);
	struct kunit *test = run->mt->test;
	struct irq_affinity_desc *masks;

	KUNIT_ASSERT_EQ(test, msi_store_alloc_irqs(run->mt->dev, id, MSI_ANY_INDEX, before + 2, max,
						   &affd, NULL, maps), got);
	/* There are none without SMP */
	masks = irq_create_affinity_masks(got, &again);
	KUNIT_EXPECT_EQ(test, !!masks, IS_ENABLED(CONFIG_SMP));
	run_expect(run, id, maps, got, masks);
	kfree(masks);
	run_free_all(run, id, maps, got);
}

/* Each interrupt has its own affinity, wherever in a run it is */
static void run_affinity(struct kunit *test)
{
	static const unsigned int before[] = { 0, 1, 2, 30, 61, 62, 63, 64, 65, 126, 127, 128 };
	unsigned int i, all, cpus = num_possible_cpus();
	struct run *run = run_of(test);
	int id;

	id = run_create(run, &run_template);
	for (i = 0; i < ARRAY_SIZE(before); i++) {
		all = before[i] + cpus + 1;
		if (all > run_room())
			break;
		run_expect_spread(run, id, before[i], all);

		/* In parts */
		run->most = 3;
		run_expect_spread(run, id, before[i], all);
		run->most = RUN_SLOTS;

		/* Spread anew over those that the parent has */
		run->limit = max(all - 2, before[i] + 2);
		run_expect_spread(run, id, before[i], run->limit);
		run->limit = RUN_SLOTS;
	}
	msi_remove_store(run->mt->dev, id);
}

/* --- One by one -------------------------------------------------------------- */

/* What was allocated at once is freed in any order, and allocated again into the holes */
static void run_any_order(struct kunit *test)
{
	unsigned int count, half, first, i, back = 0;
	struct run *run = run_of(test);
	struct msi_map *maps, *left;
	int id;

	/* A number that 7 does not divide, so that steps of 7 reach all of them */
	count = run_some(200);
	count -= !(count % 7);
	half = count / 2;
	maps = run_maps(run, count);
	left = run_maps(run, count);
	id = run_create(run, &run_early_template);

	for (first = 0; first < 3; first++) {
		KUNIT_ASSERT_EQ(test, run_alloc(run, id, count, count, maps), count);
		for (i = 0; i < half; i++)
			msi_store_free_irq(run->mt->dev, id, maps[(first + 7 * i) % count]);
		for (i = half; i < count; i++)
			left[i - half] = maps[(first + 7 * i) % count];
		run_expect(run, id, left, count - half, NULL);

		back = run_alloc(run, id, half, half, left + count - half);
		KUNIT_ASSERT_EQ(test, back, half);
		run_expect(run, id, left, count, NULL);
		run_fire(run, left, count);

		for (i = 0; i < count; i++)
			msi_store_free_irq(run->mt->dev, id, left[(first + 7 * i) % count]);
		run_expect_nothing(run, id);
	}
	msi_remove_store(run->mt->dev, id);
}

/* --- The suite --------------------------------------------------------------- */

static void run_remove_domains(struct run *run)
{
	if (run->domain)
		irq_domain_remove(run->domain);
	if (run->root)
		irq_domain_remove(run->root);
	if (run->fwnodes[1])
		irq_domain_free_fwnode(run->fwnodes[1]);
	if (run->fwnodes[0])
		irq_domain_free_fwnode(run->fwnodes[0]);
}

static int run_create_domains(struct run *run)
{
	run->fwnodes[0] = irq_domain_alloc_named_fwnode("TEST-RUN-ROOT");
	run->fwnodes[1] = irq_domain_alloc_named_fwnode("TEST-RUN");
	if (!run->fwnodes[0] || !run->fwnodes[1])
		return -ENOMEM;

	run->root = irq_domain_create_hierarchy(NULL, IRQ_DOMAIN_FLAG_NO_LOOKUP, 0,
						run->fwnodes[0], &run_root_ops, run);
	if (!run->root)
		return -ENOMEM;

	run->domain = irq_domain_create_hierarchy(run->root, IRQ_DOMAIN_FLAG_MSI_PARENT, RUN_SLOTS,
						  run->fwnodes[1], &run_parent_ops, run);
	if (!run->domain)
		return -ENOMEM;
	run->domain->msi_parent_ops = &run->ops;
	return 0;
}

static int run_init(struct kunit *test)
{
	struct run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);
	int ret;

	test->priv = NULL;
	if (!run)
		return -ENOMEM;

	/* run_exit() cleans up after a failure, too */
	run->nr_irqs = nr_irqs;
	ret = msi_test_init(test);
	run->mt = test->priv;
	test->priv = run;
	if (ret)
		return ret;

	run->limit = RUN_SLOTS;
	run->most = RUN_SLOTS;
	run->chip = (struct irq_chip) {
		.name			= "TEST-RUN",
		.irq_compose_msi_msg	= run_compose,
		.irq_set_affinity	= run_set_affinity,
	};
	run->ops = (struct msi_parent_ops) {
		.carries		= MSI_PARENT_PCI_IMS,
		.flags			= MSI_PARENT_STABLE_MSG | MSI_PARENT_SEPARATE,
		.prefix			= "TEST-RUN-",
		.handler		= handle_simple_irq,
		.handler_name		= "simple",
	};
	ret = run_create_domains(run);
	if (!ret)
		dev_set_msi_domain(run->mt->dev, run->domain);
	return ret;
}

static void run_exit(struct kunit *test)
{
	struct run *run = test->priv;

	if (!run)
		return;

	if (run->mt && run->mt->dev) {
		msi_test_unbind(run->mt);
		dev_set_msi_domain(run->mt->dev, run->mt->parent.domain);
	}
	run_remove_domains(run);
	test->priv = run->mt;
	msi_test_exit(test);
	/* It never decreases otherwise. A leaked number has to stay below it */
	if (irq_get_next_irq(run->nr_irqs) == nr_irqs)
		nr_irqs = run->nr_irqs;
}

static struct kunit_case run_test_cases[] = {
	KUNIT_CASE(run_has_room),
	KUNIT_CASE_PARAM(run_batch, run_gen),
	KUNIT_CASE_PARAM(run_parent_fails, run_error_gen_params),
	KUNIT_CASE_PARAM(run_activation_fails, run_error_gen_params),
	KUNIT_CASE(run_numbers_in_pieces),
	KUNIT_CASE(run_affinity),
	KUNIT_CASE(run_any_order),
	{}
};

static struct kunit_suite run_suite = {
	.name		= "msi_run",
	.suite_init	= msi_test_suite_init,
	.suite_exit	= msi_test_suite_exit,
	.init		= run_init,
	.exit		= run_exit,
	.test_cases	= run_test_cases,
};

kunit_test_suite(run_suite);
