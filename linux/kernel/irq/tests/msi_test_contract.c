// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: Storage ops that break their contract
 *
 * For each rule in enum msi_contract there are ops that break it, and they have to
 * be caught. Most are invoked by the wrappers in msi_storage_debug.c directly, as
 * the kernel would not survive them in the context where the core invokes them.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>

#include "msi_test.h"

#ifdef CONFIG_MSI_STORAGE_DEBUG

enum contract_op {
	INIT_SLOT, FREE_SLOT, WRITE_MSG, MASK, UNMASK, SYNC, LOCK, UNLOCK, CONTRACT_OPS
};

static const char *const contract_op_names[CONTRACT_OPS] = {
	"init_slot", "free_slot", "write_msg", "mask", "unmask", "sync", "lock", "unlock",
};

enum contract_wrong {
	NOTHING, SLEEP, IRQS_OFF, IRQS_ON, PREEMPT_OFF, PREEMPT_ON, WRONG_MASK, WRONG_RESULT
};

static const char *const contract_wrong_names[] = {
	"nothing wrong", "sleeps", "disables interrupts", "enables interrupts",
	"disables preemption", "enables preemption", "wrong mask state", "wrong result",
};

/* What goes wrong, in which op. The device's mask bit is in msi_slot::ctrl */
static enum contract_wrong contract_wrong;
static enum contract_op contract_where;

/* Returns whether the mask bit has to be wrong */
static bool misbehave(enum contract_op op)
{
	if (op != contract_where)
		return false;

	switch (contract_wrong) {
	case NOTHING:
		break;
	case SLEEP:
		usleep_range(1000, 2000);
		break;
	case IRQS_OFF:
		local_irq_disable();
		break;
	case IRQS_ON:
		local_irq_enable();
		break;
	case PREEMPT_OFF:
		/* preempt_disable() does nothing in some configurations */
		preempt_count_inc();
		break;
	case PREEMPT_ON:
		preempt_count_dec();
		break;
	case WRONG_MASK:
		return true;
	case WRONG_RESULT:
		/* See contract_result() */
		break;
	}
	return false;
}

/* As of wait_for_completion_timeout() */
static int contract_result(enum contract_op op)
{
	return op == contract_where && contract_wrong == WRONG_RESULT ? 5 : 0;
}

static int contract_init_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	slot->ctrl = !misbehave(INIT_SLOT);
	return contract_result(INIT_SLOT);
}

static void contract_free_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	misbehave(FREE_SLOT);
}

static void contract_write_msg(struct msi_storage *storage, struct msi_slot *slot,
			       const struct msi_msg *msg)
{
	if (misbehave(WRITE_MSG))
		slot->ctrl = !slot->ctrl;
}

static void contract_mask(struct msi_storage *storage, struct msi_slot *slot)
{
	slot->ctrl = !misbehave(MASK);
}

static void contract_unmask(struct msi_storage *storage, struct msi_slot *slot)
{
	slot->ctrl = misbehave(UNMASK);
}

static int contract_sync(struct msi_storage *storage, struct msi_slot *slot, unsigned int what)
{
	slot->ctrl = misbehave(SYNC) ? !slot->masked : slot->masked;
	return contract_result(SYNC);
}

static void contract_lock(struct msi_storage *storage)
{
	misbehave(LOCK);
}

static void contract_unlock(struct msi_storage *storage)
{
	misbehave(UNLOCK);
}

static bool contract_is_masked(struct msi_storage *storage, struct msi_slot *slot)
{
	return slot->ctrl;
}

static const struct msi_storage_ops contract_direct_ops = {
	.init_slot	= contract_init_slot,
	.free_slot	= contract_free_slot,
	.write_msg	= contract_write_msg,
	.mask		= contract_mask,
	.unmask		= contract_unmask,
	.lock		= contract_lock,
	.unlock		= contract_unlock,
	.is_masked	= contract_is_masked,
};

static const struct msi_storage_ops contract_blind_ops = {
	.init_slot	= contract_init_slot,
	.write_msg	= contract_write_msg,
	.mask		= contract_mask,
	.unmask		= contract_unmask,
};

static const struct msi_storage_ops contract_deferred_ops = {
	.init_slot	= contract_init_slot,
	.free_slot	= contract_free_slot,
	.sync		= contract_sync,
	.lock		= contract_lock,
	.unlock		= contract_unlock,
	.is_masked	= contract_is_masked,
};

#define CONTRACT_TEMPLATE(_kind) {					\
	.name		= "contract-" #_kind,				\
	.bus_token	= DOMAIN_BUS_PLATFORM_MSI,			\
	.requires	= MSI_PARENT_PCI_IMS,				\
	.ops		= &contract_##_kind##_ops,			\
	.owner		= THIS_MODULE,					\
}

static const struct msi_storage_template contract_direct = CONTRACT_TEMPLATE(direct);
static const struct msi_storage_template contract_blind = CONTRACT_TEMPLATE(blind);
static const struct msi_storage_template contract_deferred = CONTRACT_TEMPLATE(deferred);

/**
 * struct contract - Stores whose ops can be told to break their contract
 * @mt:		The fixture
 * @id:		The direct and the deferred one
 * @map:	An interrupt of each
 * @slot:	Its slot
 * @count:	How often each rule was broken until now
 */
struct contract {
	struct msi_test	*mt;
	int		id[2];
	struct msi_map	map[2];
	struct msi_slot	*slot[2];
	unsigned int	count[MSI_NR_CONTRACTS];
};

static struct contract *contract_init(struct kunit *test)
{
	static const struct msi_storage_template *const tmpl[] = {
		&contract_direct, &contract_deferred,
	};
	struct contract *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, c);
	c->mt = test->priv;
	contract_wrong = NOTHING;
	for (i = 0; i < 2; i++) {
		c->id[i] = msi_create_store(c->mt->dev, tmpl[i], 8, NULL);
		KUNIT_ASSERT_GT(test, c->id[i], 0);
		c->map[i] = msi_test_alloc(c->mt, c->id[i], 3);
		c->slot[i] = msi_test_irq_slot(c->map[i].virq);
	}
	KUNIT_EXPECT_EQ_MSG(test, msi_test_broken(), c->mt->broken, "nothing was wrong");
	for (i = 0; i < MSI_NR_CONTRACTS; i++)
		c->count[i] = msi_contract_broken(i);
	return c;
}

static void contract_exit(struct contract *c)
{
	unsigned int i;

	contract_wrong = NOTHING;
	for (i = 0; i < 2; i++) {
		msi_store_free_irq(c->mt->dev, c->id[i], c->map[i]);
		msi_remove_store(c->mt->dev, c->id[i]);
	}
	/* What was broken until here was broken on purpose */
	c->mt->broken = msi_test_broken();
}

/* This rule was broken as often, and no other one */
static void expect_broken(struct contract *c, unsigned int rule, unsigned int times)
{
	unsigned int i, n;

	for (i = 0; i < MSI_NR_CONTRACTS; i++) {
		n = msi_contract_broken(i);
		KUNIT_EXPECT_EQ_MSG(c->mt->test, n - c->count[i], i == rule ? times : 0,
				    "rule %u, %s %s", i, contract_op_names[contract_where],
				    contract_wrong_names[contract_wrong]);
		c->count[i] = n;
	}
}

static void call_op(struct contract *c, enum contract_op op)
{
	struct msi_slot *slot = c->slot[op == SYNC];
	struct msi_msg msg = { .data = 1 };

	switch (op) {
	case INIT_SLOT:
		msi_debug_init_slot(slot);
		break;
	case FREE_SLOT:
		msi_debug_free_slot(slot);
		break;
	case WRITE_MSG:
		msi_debug_write_msg(slot, &msg);
		break;
	case MASK:
		msi_debug_mask(slot);
		break;
	case UNMASK:
		msi_debug_unmask(slot);
		break;
	case SYNC:
		msi_debug_sync(slot, MSI_SYNC_MASK);
		break;
	case LOCK:
		msi_debug_lock(slot->storage, slot->storage->ops->lock);
		break;
	case UNLOCK:
		msi_debug_unlock(slot->storage);
		break;
	case CONTRACT_OPS:
		break;
	}
}

/* The context: It is as it was before. If not, the next test has to survive it */
static void call_in_context(struct contract *c, enum contract_op op)
{
	bool off = contract_wrong == IRQS_ON, held = contract_wrong == PREEMPT_ON;
	bool irqs_are_off;
	unsigned int count;

	if (off)
		local_irq_disable();
	if (held)
		preempt_count_inc();
	count = preempt_count();

	call_op(c, op);

	irqs_are_off = irqs_disabled();
	count = preempt_count() - count;
	preempt_count_sub(count);
	if (held)
		preempt_count_dec();
	if (irqs_are_off)
		local_irq_enable();
	KUNIT_EXPECT_EQ_MSG(c->mt->test, irqs_are_off, off, "%s", contract_op_names[op]);
	KUNIT_EXPECT_EQ_MSG(c->mt->test, count, 0, "%s", contract_op_names[op]);
}

/* --- Each op, with everything that can be wrong with its context ------------ */

/* Numbers from 1: The first pointer must not be NULL */
static const void *contract_gen(const void *prev, char *desc)
{
	unsigned long n = (unsigned long)prev;

	if (n == CONTRACT_OPS * WRONG_MASK)
		return NULL;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s %s", contract_op_names[n % CONTRACT_OPS],
		 contract_wrong_names[n / CONTRACT_OPS]);
	return (const void *)(n + 1);
}

static void contract_context(struct kunit *test)
{
	static const unsigned int rules[] = {
		[NOTHING]	= MSI_NR_CONTRACTS,
		[SLEEP]		= MSI_CONTRACT_SLEPT,
		[IRQS_OFF]	= MSI_CONTRACT_IRQ_STATE,
		[IRQS_ON]	= MSI_CONTRACT_IRQ_STATE,
		[PREEMPT_OFF]	= MSI_CONTRACT_PREEMPT,
		[PREEMPT_ON]	= MSI_CONTRACT_PREEMPT,
	};
	unsigned long n = (unsigned long)test->param_value - 1;
	struct contract *c = contract_init(test);
	unsigned int rule;

	contract_where = n % CONTRACT_OPS;
	contract_wrong = n / CONTRACT_OPS;
	rule = rules[contract_wrong];

	/* Only these must not sleep */
	if (contract_wrong == SLEEP && contract_where != WRITE_MSG &&
	    contract_where != MASK && contract_where != UNMASK)
		rule = MSI_NR_CONTRACTS;

	call_in_context(c, contract_where);
	expect_broken(c, rule, 1);
	call_in_context(c, contract_where);
	expect_broken(c, rule, 1);

	contract_wrong = NOTHING;
	call_in_context(c, contract_where);
	expect_broken(c, rule, 0);
	contract_exit(c);
}

/* --- The mask state ---------------------------------------------------------- */

static void contract_mask_state(struct kunit *test)
{
	struct contract *c = contract_init(test);

	contract_wrong = WRONG_MASK;
	contract_where = INIT_SLOT;
	call_op(c, INIT_SLOT);
	expect_broken(c, MSI_CONTRACT_INIT_UNMASKED, 1);

	contract_where = MASK;
	call_op(c, MASK);
	expect_broken(c, MSI_CONTRACT_NOT_MASKED, 1);

	contract_where = UNMASK;
	call_op(c, UNMASK);
	expect_broken(c, MSI_CONTRACT_NOT_UNMASKED, 1);

	/* From masked, and from unmasked */
	contract_where = WRITE_MSG;
	call_op(c, WRITE_MSG);
	expect_broken(c, MSI_CONTRACT_MASK_STATE, 1);
	call_op(c, WRITE_MSG);
	expect_broken(c, MSI_CONTRACT_MASK_STATE, 1);

	contract_where = SYNC;
	c->slot[1]->masked = false;
	call_op(c, SYNC);
	expect_broken(c, MSI_CONTRACT_NOT_UNMASKED, 1);
	c->slot[1]->masked = true;
	call_op(c, SYNC);
	expect_broken(c, MSI_CONTRACT_NOT_MASKED, 1);
	/* It was not about the mask */
	msi_debug_sync(c->slot[1], MSI_SYNC_MSG);
	expect_broken(c, MSI_CONTRACT_NOT_MASKED, 0);

	contract_wrong = NOTHING;
	call_op(c, MASK);
	call_op(c, WRITE_MSG);
	call_op(c, UNMASK);
	call_op(c, WRITE_MSG);
	call_op(c, MASK);
	call_op(c, SYNC);
	expect_broken(c, MSI_NR_CONTRACTS, 0);
	contract_exit(c);
}

/* What can't be read back is not checked */
static void contract_blind_store(struct kunit *test)
{
	struct contract *c = contract_init(test);
	struct msi_slot *slot;
	struct msi_map map;
	int id;

	id = msi_create_store(c->mt->dev, &contract_blind, 8, NULL);
	KUNIT_ASSERT_GT(test, id, 0);
	map = msi_test_alloc(c->mt, id, 3);
	slot = msi_test_irq_slot(map.virq);

	contract_wrong = WRONG_MASK;
	contract_where = INIT_SLOT;
	msi_debug_init_slot(slot);
	contract_where = MASK;
	msi_debug_mask(slot);
	contract_where = UNMASK;
	msi_debug_unmask(slot);
	contract_where = WRITE_MSG;
	msi_debug_write_msg(slot, &slot->msg);
	expect_broken(c, MSI_NR_CONTRACTS, 0);

	/* But its context is */
	contract_wrong = IRQS_OFF;
	contract_where = MASK;
	msi_debug_mask(slot);
	expect_broken(c, MSI_CONTRACT_IRQ_STATE, 1);

	contract_wrong = NOTHING;
	msi_remove_store(c->mt->dev, id);
	contract_exit(c);
}

/* --- Where the core invokes them --------------------------------------------- */

static void contract_core(struct kunit *test)
{
	struct contract *c = contract_init(test);
	struct msi_map map;
	unsigned int i;

	contract_wrong = WRONG_MASK;
	for (i = 0; i < 2; i++) {
		contract_where = INIT_SLOT;
		map = msi_test_alloc(c->mt, c->id[i], 4);
		expect_broken(c, MSI_CONTRACT_INIT_UNMASKED, 1);

		contract_where = i ? SYNC : UNMASK;
		KUNIT_ASSERT_EQ(test, request_irq(map.virq, msi_test_handler, 0, "msi_kunit",
						  c->mt), 0);
		expect_broken(c, MSI_CONTRACT_NOT_UNMASKED, 1);

		contract_where = i ? SYNC : MASK;
		free_irq(map.virq, c->mt);
		expect_broken(c, MSI_CONTRACT_NOT_MASKED, 1);
		msi_store_free_irq(c->mt->dev, c->id[i], map);
	}

	contract_where = WRITE_MSG;
	KUNIT_ASSERT_EQ(test, request_irq(c->map[0].virq, msi_test_handler, 0, "msi_kunit", c->mt),
			0);
	expect_broken(c, MSI_CONTRACT_MASK_STATE, 1);
	free_irq(c->map[0].virq, c->mt);
	expect_broken(c, MSI_CONTRACT_MASK_STATE, 1);

	/* These are reported, and the damage is undone */
	contract_wrong = PREEMPT_OFF;
	for (i = 0; i < 2; i++) {
		contract_where = INIT_SLOT;
		map = msi_test_alloc(c->mt, c->id[i], 4);
		expect_broken(c, MSI_CONTRACT_PREEMPT, 1);
		contract_where = FREE_SLOT;
		msi_store_free_irq(c->mt->dev, c->id[i], map);
		expect_broken(c, MSI_CONTRACT_PREEMPT, 1);
		contract_where = LOCK;
		map = msi_test_alloc(c->mt, c->id[i], 4);
		/* A deferred store is locked once more for the message */
		expect_broken(c, MSI_CONTRACT_PREEMPT, 1 + i);
		contract_where = UNLOCK;
		msi_store_free_irq(c->mt->dev, c->id[i], map);
		expect_broken(c, MSI_CONTRACT_PREEMPT, 2);
	}
	contract_exit(c);
}

/* --- What is seen of it ------------------------------------------------------ */

static void contract_report(struct kunit *test)
{
	static const struct {
		enum contract_op	op;
		enum contract_wrong	wrong;
		const char		*who;
		const char		*what;
	} rows[MSI_NR_CONTRACTS] = {
		[MSI_CONTRACT_SLEPT] = {
			MASK, SLEEP, "contract-direct: storage ops: mask of slot 3", "slept" },
		[MSI_CONTRACT_IRQ_STATE] = {
			LOCK, IRQS_OFF, "contract-direct: storage ops: lock",
			"changed the interrupt state" },
		[MSI_CONTRACT_PREEMPT] = {
			SYNC, PREEMPT_OFF, "contract-deferred: storage ops: sync of slot 3",
			"changed the preempt count" },
		[MSI_CONTRACT_INIT_UNMASKED] = {
			INIT_SLOT, WRONG_MASK, "storage ops: init_slot of slot 3",
			"left the slot unmasked" },
		[MSI_CONTRACT_NOT_MASKED] = {
			MASK, WRONG_MASK, "storage ops: mask of slot 3",
			"did not mask the slot" },
		[MSI_CONTRACT_NOT_UNMASKED] = {
			UNMASK, WRONG_MASK, "storage ops: unmask of slot 3",
			"did not unmask the slot" },
		[MSI_CONTRACT_MASK_STATE] = {
			WRITE_MSG, WRONG_MASK, "storage ops: write_msg of slot 3",
			"changed the mask state" },
		[MSI_CONTRACT_RESULT] = {
			SYNC, WRONG_RESULT, "storage ops: sync of slot 3",
			"returned neither 0 nor an error code" },
	};
	struct contract *c = contract_init(test);
	char buf[512], line[128];
	unsigned int i;

	for (i = 0; i < MSI_NR_CONTRACTS; i++) {
		contract_where = rows[i].op;
		contract_wrong = rows[i].wrong;
		call_in_context(c, rows[i].op);
		snprintf(line, sizeof(line), "%s %s\n", rows[i].who, rows[i].what);
		KUNIT_EXPECT_TRUE_MSG(test, msi_test_printed(c->mt, line), "%s", line);
		expect_broken(c, i, 1);
	}

	if (IS_ENABLED(CONFIG_GENERIC_IRQ_DEBUGFS))
		msi_test_read("irq/msi_contract", buf, sizeof(buf), true);
	for (i = 0; IS_ENABLED(CONFIG_GENERIC_IRQ_DEBUGFS) && i < MSI_NR_CONTRACTS; i++) {
		snprintf(line, sizeof(line), "%s: %u\n", rows[i].what, msi_contract_broken(i));
		KUNIT_EXPECT_PTR_NE_MSG(test, strstr(buf, line), NULL, "%s", line);
	}
	contract_exit(c);
}

static struct kunit_case msi_contract_cases[] = {
	/* The first one, as the messages are limited in their number */
	KUNIT_CASE(contract_report),
	KUNIT_CASE_PARAM(contract_context, contract_gen),
	KUNIT_CASE(contract_mask_state),
	KUNIT_CASE(contract_blind_store),
	KUNIT_CASE(contract_core),
	{ }
};

#else /* CONFIG_MSI_STORAGE_DEBUG */

static void contract_nothing(struct kunit *test)
{
	kunit_skip(test, "the kernel does not have CONFIG_MSI_STORAGE_DEBUG");
}

static struct kunit_case msi_contract_cases[] = {
	KUNIT_CASE(contract_nothing),
	{ }
};

#endif /* !CONFIG_MSI_STORAGE_DEBUG */

MSI_TEST_SUITE(msi_contract, msi_contract_cases);
