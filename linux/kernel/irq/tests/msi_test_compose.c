// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: What becomes of storage ops and a parent domain
 *
 * The table at the top of msi_device_domain.c, cell by cell, for each legal pair of
 * a kind of store and a kind of parent. There are 2^5 kinds of parents, one for
 * each set of MSI_PARENT_* flags.
 *
 * What is expected is put together here from the same words as the table is:
 * whether a part is there, and which one comes first.
 */
#include <linux/interrupt.h>

#include "msi_test.h"

#define COMPOSE_FLAGS	(MSI_PARENT_STABLE_MSG | MSI_PARENT_MASK | MSI_PARENT_ACK |	\
			 MSI_PARENT_EOI | MSI_PARENT_ENABLE)
#define COMPOSE_PARENTS	(COMPOSE_FLAGS + 1)

/* The flags count from 0, none is left out */
static_assert(!(COMPOSE_FLAGS & COMPOSE_PARENTS));

#define SLOT		3

/**
 * struct compose - A store and a parent that are put together
 * @mt:		The fixture
 * @kind:	The kind of store
 * @flags:	MSI_PARENT_* flags of the parent
 * @deferred:	The store is a deferred one
 * @direct:	It is not, and can mask
 * @lock:	It has a bus lock
 * @id:		Id of the store
 * @map:	An interrupt of it
 * @data:	The interrupt's data in the device domain
 * @chip:	The interrupt chip that came out of it
 */
struct compose {
	struct msi_test		*mt;
	enum msi_test_kind	kind;
	u32			flags;
	bool			deferred;
	bool			direct;
	bool			lock;
	int			id;
	struct msi_map		map;
	struct irq_data		*data;
	struct irq_chip		*chip;
};

/* A pair is a number, which starts with 1: The first pointer must not be NULL */
static const void *compose_gen(const void *prev, char *desc)
{
	static const char *const names[] = { "stable", "mask", "ack", "eoi", "enable" };
	unsigned long pair = (unsigned long)prev;
	enum msi_test_kind kind;
	unsigned int i, len;
	u32 flags;

	do {
		kind = pair / COMPOSE_PARENTS;
		flags = pair % COMPOSE_PARENTS;
		if (kind == MSI_TEST_KINDS)
			return NULL;
		pair++;
	} while (msi_test_is_deferred(kind) &&
		 (flags & (MSI_PARENT_STABLE_MSG | MSI_PARENT_ENABLE)) != MSI_PARENT_STABLE_MSG);

	len = scnprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s on", msi_test_templates[kind].name);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (flags & BIT(i))
			len += scnprintf(desc + len, KUNIT_PARAM_DESC_SIZE - len, " %s", names[i]);
	}
	if (!flags)
		scnprintf(desc + len, KUNIT_PARAM_DESC_SIZE - len, " plain");
	return (const void *)pair;
}

static struct compose *compose_pair(struct kunit *test)
{
	struct compose *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	unsigned long pair = (unsigned long)test->param_value - 1;

	KUNIT_ASSERT_NOT_NULL(test, c);
	c->mt = test->priv;
	c->kind = pair / COMPOSE_PARENTS;
	c->flags = pair % COMPOSE_PARENTS;
	c->deferred = msi_test_is_deferred(c->kind);
	c->direct = !c->deferred && msi_test_can_mask(c->kind);
	c->lock = msi_test_has_lock(c->kind);
	msi_test_parent_init(c->mt, c->flags);
	return c;
}

static void compose_store(struct compose *c)
{
	c->id = msi_test_create(c->mt, c->kind, 8, &c->mt->hw);
}

static void compose_irq(struct compose *c)
{
	c->map = msi_test_alloc(c->mt, c->id, SLOT);
	c->data = irq_get_irq_data(c->map.virq);
	c->chip = irq_data_get_irq_chip(c->data);
}

static struct compose *compose_init(struct kunit *test)
{
	struct compose *c = compose_pair(test);

	compose_store(c);
	compose_irq(c);
	msi_test_log_reset(c->mt);
	return c;
}

static void compose_exit(struct compose *c)
{
	msi_store_free_irq(c->mt->dev, c->id, c->map);
	msi_remove_store(c->mt->dev, c->id);
	msi_test_log_reset(c->mt);
}

#define WANT(_c, ...)		MSI_TEST_WANT((_c)->mt, __VA_ARGS__)
#define EXPECT_WANT(_c, _what)	MSI_TEST_EXPECT_WANT((_c)->mt, _what)

static void want_bus_lock(struct compose *c)
{
	WANT(c, c->lock, "lock");
}

static void want_bus_unlock(struct compose *c)
{
	WANT(c, c->lock, "unlock");
}

/* Something changes the affinity, which concerns the message of some */
static void want_affinity(struct compose *c, bool hook, int ret)
{
	bool stable = c->flags & MSI_PARENT_STABLE_MSG;

	hook = hook && !stable && !msi_test_can_mask(c->kind);
	WANT(c, !hook, "p.affinity");
	WANT(c, hook, "p.affinity_nomask");
	if (hook || (!stable && ret >= 0 && ret != IRQ_SET_MASK_OK_DONE)) {
		WANT(c, true, "p.compose");
		WANT(c, true, "msg(%u)=%x", SLOT, 0x100 + (c->mt->parent.generation << 12));
	}
}

/* The core starts the interrupt, and stops it */
static void want_enabled(struct compose *c)
{
	bool enable = c->flags & MSI_PARENT_ENABLE;

	WANT(c, enable, "p.enable");
	WANT(c, !enable && c->flags & MSI_PARENT_MASK, "p.unmask");
	WANT(c, c->direct, "unmask(%u)", SLOT);
}

static void want_disabled(struct compose *c)
{
	bool enable = c->flags & MSI_PARENT_ENABLE;

	WANT(c, c->direct, "mask(%u)", SLOT);
	WANT(c, enable, "p.disable");
	WANT(c, !enable && c->flags & MSI_PARENT_MASK, "p.mask");
}

/* The hardware and the core agree about what the slot is like */
static void expect_slot(struct compose *c, bool masked, u32 data)
{
	struct msi_slot *slot = msi_test_irq_slot(c->map.virq);
	struct msi_test_slot *s = msi_test_find(&c->mt->hw, SLOT);
	struct kunit *test = c->mt->test;

	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_EXPECT_EQ(test, s->masked, masked && msi_test_can_mask(c->kind));
	KUNIT_EXPECT_EQ(test, s->msg.data, data);
	KUNIT_EXPECT_EQ(test, s->msg.address_lo, data ? 0xfee00000 : 0);
	KUNIT_EXPECT_EQ(test, slot->masked, s->masked);
	KUNIT_EXPECT_EQ(test, slot->msg.data, s->msg.data);
	KUNIT_EXPECT_EQ(test, msi_slot_core(slot)->dirty, 0);
}

/* As the core invokes most callbacks */
static void compose_call(struct compose *c, void (*callback)(struct irq_data *data))
{
	struct irq_desc *desc = irq_to_desc(c->map.virq);
	unsigned long flags;

	chip_bus_lock(desc);
	raw_spin_lock_irqsave(&desc->lock, flags);
	callback(c->data);
	raw_spin_unlock_irqrestore(&desc->lock, flags);
	chip_bus_sync_unlock(desc);
}

static u32 message_of(struct compose *c)
{
	return msi_test_irq_slot(c->map.virq)->msg.data;
}

static void compose_mask(struct kunit *test)
{
	struct compose *c = compose_init(test);
	u32 msg = message_of(c);

	expect_slot(c, true, msg);

	want_bus_lock(c);
	WANT(c, c->flags & MSI_PARENT_MASK, "p.unmask");
	WANT(c, c->direct, "unmask(%u)", SLOT);
	WANT(c, c->deferred, "sync(%u,mask=0)", SLOT);
	want_bus_unlock(c);
	compose_call(c, c->chip->irq_unmask);
	EXPECT_WANT(c, "irq_unmask");
	expect_slot(c, false, msg);

	want_bus_lock(c);
	WANT(c, c->direct, "mask(%u)", SLOT);
	WANT(c, c->flags & MSI_PARENT_MASK, "p.mask");
	WANT(c, c->deferred, "sync(%u,mask=1)", SLOT);
	want_bus_unlock(c);
	compose_call(c, c->chip->irq_mask);
	EXPECT_WANT(c, "irq_mask");
	expect_slot(c, true, msg);

	compose_exit(c);
}

/* Only for a parent that asks for it, whose irq_mask and irq_unmask are left out then */
static void compose_enable(struct kunit *test)
{
	struct compose *c = compose_init(test);
	bool has = c->flags & MSI_PARENT_ENABLE;
	u32 msg = message_of(c);

	KUNIT_EXPECT_EQ(test, !!c->chip->irq_enable, has);
	KUNIT_EXPECT_EQ(test, !!c->chip->irq_disable, has);
	/* The core would call these in their place */
	KUNIT_EXPECT_NULL(test, c->chip->irq_startup);
	KUNIT_EXPECT_NULL(test, c->chip->irq_shutdown);
	if (!has)
		goto exit;

	want_bus_lock(c);
	WANT(c, true, "p.enable");
	WANT(c, c->direct, "unmask(%u)", SLOT);
	want_bus_unlock(c);
	compose_call(c, c->chip->irq_enable);
	EXPECT_WANT(c, "irq_enable");
	expect_slot(c, false, msg);

	want_bus_lock(c);
	WANT(c, c->direct, "mask(%u)", SLOT);
	WANT(c, true, "p.disable");
	want_bus_unlock(c);
	compose_call(c, c->chip->irq_disable);
	EXPECT_WANT(c, "irq_disable");
	expect_slot(c, true, msg);

exit:
	compose_exit(c);
}

static void compose_ack_eoi(struct kunit *test)
{
	struct compose *c = compose_init(test);
	unsigned long flags;

	KUNIT_EXPECT_EQ(test, !!c->chip->irq_ack, !!(c->flags & MSI_PARENT_ACK));
	KUNIT_EXPECT_EQ(test, !!c->chip->irq_eoi, !!(c->flags & MSI_PARENT_EOI));

	/* By a flow handler: There is no bus lock */
	raw_spin_lock_irqsave(&irq_to_desc(c->map.virq)->lock, flags);
	if (c->chip->irq_ack)
		c->chip->irq_ack(c->data);
	if (c->chip->irq_eoi)
		c->chip->irq_eoi(c->data);
	raw_spin_unlock_irqrestore(&irq_to_desc(c->map.virq)->lock, flags);

	WANT(c, c->flags & MSI_PARENT_ACK, "p.ack");
	WANT(c, c->flags & MSI_PARENT_EOI, "p.eoi");
	EXPECT_WANT(c, "irq_ack, irq_eoi");

	compose_exit(c);
}

/* What does not concern the store at all */
static void compose_parent_only(struct kunit *test)
{
	struct compose *c = compose_init(test);
	struct msi_test_parent *parent = &c->mt->parent;
	struct msi_msg msg[2] = { };
	bool state = false;

	KUNIT_EXPECT_NULL(test, c->chip->irq_set_vcpu_affinity);
	KUNIT_EXPECT_NULL(test, c->chip->irq_get_irqchip_state);
	KUNIT_EXPECT_NULL(test, c->chip->irq_set_irqchip_state);
	KUNIT_EXPECT_NULL(test, c->chip->irq_compose_msi_msg);
	KUNIT_ASSERT_NOT_NULL(test, c->chip->irq_retrigger);
	KUNIT_ASSERT_NOT_NULL(test, c->chip->irq_set_wake);

	KUNIT_EXPECT_EQ(test, c->chip->irq_set_wake(c->data, 1), 0);
	/* The parent has no irq_set_wake() */
	c->mt->parent.chip.irq_set_wake = NULL;
	KUNIT_EXPECT_EQ(test, c->chip->irq_set_wake(c->data, 1), -ENXIO);
	KUNIT_EXPECT_EQ(test, c->chip->irq_retrigger(c->data), 1);
	KUNIT_EXPECT_EQ(test, irq_set_vcpu_affinity(c->map.virq, NULL), 0);
	KUNIT_EXPECT_EQ(test, irq_chip_compose_msi_msg(c->data, msg), 0);
	WANT(c, true, "p.wake=1 p.retrigger p.vcpu p.compose");
	EXPECT_WANT(c, "what the parent has");
	KUNIT_EXPECT_NE(test, msg[0].data, 0);

	KUNIT_EXPECT_EQ(test, irq_get_irqchip_state(c->map.virq, IRQCHIP_STATE_PENDING, &state), 0);
	KUNIT_EXPECT_TRUE(test, state);
	want_bus_lock(c);
	WANT(c, true, "p.get_state");
	want_bus_unlock(c);
	EXPECT_WANT(c, "irq_get_irqchip_state");

	KUNIT_EXPECT_EQ(test, irq_set_irqchip_state(c->map.virq, IRQCHIP_STATE_PENDING, true), 0);
	want_bus_lock(c);
	WANT(c, true, "p.set_state=1");
	want_bus_unlock(c);
	EXPECT_WANT(c, "irq_set_irqchip_state");

	parent->chip.irq_retrigger = NULL;
	KUNIT_EXPECT_EQ(test, c->chip->irq_retrigger(c->data), 1);
	MSI_TEST_EXPECT_LOG(c->mt, "r.retrigger");
	parent->root_chip.irq_retrigger = NULL;
	KUNIT_EXPECT_EQ(test, c->chip->irq_retrigger(c->data), 0);

	parent->chip.irq_set_vcpu_affinity = NULL;
	KUNIT_EXPECT_LT(test, irq_set_vcpu_affinity(c->map.virq, NULL), 0);
	MSI_TEST_EXPECT_LOG(c->mt, "");

	compose_exit(c);
}

static void compose_chip_flags(struct kunit *test)
{
	struct compose *c = compose_pair(test);

	c->mt->parent.ops.chip_flags = IRQCHIP_SKIP_SET_WAKE | IRQCHIP_AFFINITY_PRE_STARTUP;
	compose_store(c);
	compose_irq(c);

	KUNIT_EXPECT_EQ(test, c->chip->flags, IRQCHIP_SKIP_SET_WAKE | IRQCHIP_AFFINITY_PRE_STARTUP |
			IRQCHIP_ONESHOT_SAFE);
	KUNIT_EXPECT_NULL(test, c->chip->irq_set_wake);
	KUNIT_EXPECT_PTR_EQ(test, irq_to_desc(c->map.virq)->handle_irq, c->mt->parent.ops.handler);
	KUNIT_EXPECT_STREQ(test, irq_to_desc(c->map.virq)->name, c->mt->parent.ops.handler_name);
	KUNIT_EXPECT_EQ(test, strncmp(c->chip->name, "TEST-", 5), 0);

	compose_exit(c);
}

static void compose_affinity_with(struct compose *c, bool hook)
{
	static const int rets[] = {
		IRQ_SET_MASK_OK, IRQ_SET_MASK_OK_DONE, IRQ_SET_MASK_OK_NOCOPY, -EIO,
	};
	struct msi_test_parent *parent = &c->mt->parent;
	struct kunit *test = c->mt->test;
	unsigned long flags;
	unsigned int i;
	int ret;

	parent->ops.set_affinity_nomask = hook ? parent->ops.set_affinity_nomask : NULL;
	compose_store(c);
	compose_irq(c);
	msi_test_log_reset(c->mt);

	for (i = 0; i < ARRAY_SIZE(rets); i++) {
		parent->affinity_ret = rets[i];

		/* The core does not take the bus lock for it */
		raw_spin_lock_irqsave(&irq_to_desc(c->map.virq)->lock, flags);
		ret = c->chip->irq_set_affinity(c->data, cpumask_of(0), false);
		raw_spin_unlock_irqrestore(&irq_to_desc(c->map.virq)->lock, flags);

		want_affinity(c, hook, rets[i]);
		if (strstr(c->mt->want.buf, "nomask"))
			KUNIT_EXPECT_EQ(test, ret, IRQ_SET_MASK_OK);
		else
			KUNIT_EXPECT_EQ(test, ret, rets[i]);
		EXPECT_WANT(c, "irq_set_affinity");
		expect_slot(c, true, message_of(c));
	}
	parent->affinity_ret = 0;
	compose_exit(c);
}

static void compose_affinity(struct kunit *test)
{
	struct compose *c = compose_pair(test);

	compose_affinity_with(c, true);
	compose_affinity_with(c, false);
}

/* A parent without a way to compose a message. The affinity has changed by then */
static void compose_affinity_no_message(struct kunit *test)
{
	struct compose *c = compose_pair(test);
	unsigned long flags;
	int ret;

	c->mt->parent.ops.set_affinity_nomask = NULL;
	compose_store(c);
	compose_irq(c);
	msi_test_log_reset(c->mt);
	c->mt->parent.chip.irq_compose_msi_msg = NULL;

	raw_spin_lock_irqsave(&irq_to_desc(c->map.virq)->lock, flags);
	ret = c->chip->irq_set_affinity(c->data, cpumask_of(0), false);
	raw_spin_unlock_irqrestore(&irq_to_desc(c->map.virq)->lock, flags);

	KUNIT_EXPECT_EQ(test, ret < 0, !(c->flags & MSI_PARENT_STABLE_MSG));
	MSI_TEST_EXPECT_LOG(c->mt, "p.affinity");

	compose_exit(c);
}

static void write_a_message(struct irq_data *data)
{
	struct msi_msg msg = { .address_lo = 0xfee00000, .data = 0x1ab };

	data->chip->irq_write_msi_msg(data, &msg);
}

/* Who wants to know the message */
struct told {
	struct msi_test		*mt;
	struct msi_msg_notifier	notifier;
};

static void tell_driver(struct msi_msg_notifier *notifier, unsigned int irq,
			const struct msi_msg *msg)
{
	struct told *told = container_of(notifier, struct told, notifier);

	msi_test_called(told->mt, "told(%x)", msg->data);
}

static void compose_write_msg(struct kunit *test)
{
	struct compose *c = compose_init(test);
	struct told told = { .mt = c->mt, .notifier.changed = tell_driver };

	KUNIT_ASSERT_EQ(test, msi_register_msg_notifier(c->map.virq, &told.notifier), 0);
	msi_test_log_reset(c->mt);

	want_bus_lock(c);
	WANT(c, !c->deferred, "msg(%u)=1ab", SLOT);
	WANT(c, c->deferred, "sync(%u,msg=1ab)", SLOT);
	WANT(c, true, "told(1ab)");
	want_bus_unlock(c);
	compose_call(c, write_a_message);
	EXPECT_WANT(c, "irq_write_msi_msg");
	expect_slot(c, true, 0x1ab);

	want_bus_lock(c);
	WANT(c, !c->deferred, "msg(%u)=1ab", SLOT);
	want_bus_unlock(c);
	compose_call(c, write_a_message);
	EXPECT_WANT(c, "irq_write_msi_msg of the same message");

	msi_unregister_msg_notifier(c->map.virq, &told.notifier);
	compose_exit(c);
}

static void do_nothing(struct irq_data *data) { }

static void compose_bus_lock(struct kunit *test)
{
	struct compose *c = compose_init(test);
	bool has = c->deferred || c->lock;

	KUNIT_EXPECT_EQ(test, !!c->chip->irq_bus_lock, has);
	KUNIT_EXPECT_EQ(test, !!c->chip->irq_bus_sync_unlock, has);

	want_bus_lock(c);
	want_bus_unlock(c);
	compose_call(c, do_nothing);
	EXPECT_WANT(c, "irq_bus_lock, irq_bus_sync_unlock");

	compose_exit(c);
}

static void activate(struct irq_data *data)
{
	irq_domain_activate_irq(data, false);
}

static void compose_activate(struct kunit *test)
{
	struct compose *c = compose_init(test);
	unsigned int i;

	/* Whatever the allocation has made of it */
	compose_call(c, activate);
	compose_call(c, irq_domain_deactivate_irq);
	expect_slot(c, true, 0);
	msi_test_log_reset(c->mt);

	/* Deactivated once unmasked, and once masked */
	for (i = 0; i < 2; i++) {
		c->mt->parent.activate_ret = 0;
		compose_call(c, activate);
		want_bus_lock(c);
		WANT(c, true, "p.activate p.compose");
		WANT(c, !c->deferred, "msg(%u)=%x", SLOT, 0x100);
		WANT(c, c->deferred, "sync(%u,msg=%x)", SLOT, 0x100);
		want_bus_unlock(c);
		EXPECT_WANT(c, "activate");
		KUNIT_EXPECT_TRUE(test, irqd_is_activated(c->data));
		expect_slot(c, true, 0x100);

		if (!i)
			compose_call(c, c->chip->irq_unmask);
		msi_test_log_reset(c->mt);

		compose_call(c, irq_domain_deactivate_irq);
		want_bus_lock(c);
		WANT(c, c->direct && !i, "mask(%u)", SLOT);
		WANT(c, !c->deferred, "msg(%u)=0", SLOT);
		WANT(c, true, "p.deactivate");
		WANT(c, c->deferred && !i, "sync(%u,msg=0,mask=1)", SLOT);
		WANT(c, c->deferred && i, "sync(%u,msg=0)", SLOT);
		want_bus_unlock(c);
		EXPECT_WANT(c, "deactivate");
		expect_slot(c, true, 0);

		c->mt->parent.activate_ret = -ENOSPC;
		compose_call(c, activate);
		want_bus_lock(c);
		WANT(c, true, "p.activate");
		want_bus_unlock(c);
		EXPECT_WANT(c, "activate, and the parent fails");
		KUNIT_EXPECT_FALSE(test, irqd_is_activated(c->data));
		expect_slot(c, true, 0);
	}

	compose_exit(c);
}

/* The whole life of an interrupt */
static void compose_life(struct kunit *test)
{
	/* What is activated early is not so afterwards */
	bool reserve = IS_ENABLED(CONFIG_GENERIC_IRQ_RESERVATION_MODE);
	struct compose *c = compose_pair(test);
	bool used;

	compose_store(c);
	MSI_TEST_EXPECT_LOG(c->mt, "p.prepare(8)");

	for (used = false; ; used = true) {
		compose_irq(c);
		WANT(c, c->lock, "lock");
		WANT(c, true, "init(%u)", SLOT);
		WANT(c, c->lock, "unlock");
		WANT(c, true, "p.alloc");
		WANT(c, c->deferred && c->lock, "lock");
		WANT(c, c->deferred, "p.activate p.compose sync(%u,msg=100,mask=1)", SLOT);
		WANT(c, c->deferred && c->lock, "unlock");
		EXPECT_WANT(c, "allocate");
		expect_slot(c, true, c->deferred ? 0x100 : 0);

		if (used)
			break;

		/* Nobody has requested it. The slot must not keep the message */
		msi_store_free_irq(c->mt->dev, c->id, c->map);
		WANT(c, c->lock, "lock");
		WANT(c, c->deferred && !reserve, "p.deactivate");
		WANT(c, c->deferred, "sync(%u,msg=0)", SLOT);
		WANT(c, c->lock, "unlock");
		WANT(c, true, "p.free");
		WANT(c, c->lock, "lock");
		WANT(c, true, "free(%u)", SLOT);
		WANT(c, c->lock, "unlock");
		EXPECT_WANT(c, "free what was never requested");
	}

	KUNIT_ASSERT_EQ(test, request_irq(c->map.virq, msi_test_handler, 0, "msi_kunit", c->mt), 0);
	want_bus_lock(c);
	WANT(c, !c->deferred || reserve, "p.activate p.compose");
	WANT(c, !c->deferred, "msg(%u)=100", SLOT);
	want_enabled(c);
	if (IS_ENABLED(CONFIG_SMP))
		want_affinity(c, true, 0);
	WANT(c, c->deferred, "sync(%u,mask=0)", SLOT);
	want_bus_unlock(c);
	EXPECT_WANT(c, "request_irq");
	expect_slot(c, false, message_of(c));
	KUNIT_EXPECT_NE(test, message_of(c), 0);

	/* That is lazy, unless the parent is told. Only an interrupt that comes in is masked */
	disable_irq(c->map.virq);
	enable_irq(c->map.virq);
	want_bus_lock(c);
	if (c->flags & MSI_PARENT_ENABLE)
		want_disabled(c);
	want_bus_unlock(c);
	want_bus_lock(c);
	if (c->flags & MSI_PARENT_ENABLE)
		want_enabled(c);
	want_bus_unlock(c);
	EXPECT_WANT(c, "disable_irq, enable_irq");
	expect_slot(c, false, message_of(c));

	free_irq(c->map.virq, c->mt);
	want_bus_lock(c);
	want_disabled(c);
	WANT(c, c->deferred, "sync(%u,mask=1)", SLOT);
	want_bus_unlock(c);
	want_bus_lock(c);
	WANT(c, !c->deferred, "msg(%u)=0", SLOT);
	WANT(c, true, "p.deactivate");
	WANT(c, c->deferred, "sync(%u,msg=0)", SLOT);
	want_bus_unlock(c);
	EXPECT_WANT(c, "free_irq");
	expect_slot(c, true, 0);

	msi_store_free_irq(c->mt->dev, c->id, c->map);
	WANT(c, c->lock, "lock unlock");
	WANT(c, true, "p.free");
	WANT(c, c->lock, "lock");
	WANT(c, true, "free(%u)", SLOT);
	WANT(c, c->lock, "unlock");
	EXPECT_WANT(c, "free");

	msi_remove_store(c->mt->dev, c->id);
	WANT(c, c->lock, "lock unlock lock unlock");
	WANT(c, true, "p.teardown release");
	EXPECT_WANT(c, "remove the store");
	KUNIT_EXPECT_EQ(test, c->mt->hw.released, 1);
}

static struct kunit_case msi_compose_cases[] = {
	KUNIT_CASE_PARAM(compose_mask, compose_gen),
	KUNIT_CASE_PARAM(compose_enable, compose_gen),
	KUNIT_CASE_PARAM(compose_ack_eoi, compose_gen),
	KUNIT_CASE_PARAM(compose_parent_only, compose_gen),
	KUNIT_CASE_PARAM(compose_chip_flags, compose_gen),
	KUNIT_CASE_PARAM(compose_affinity, compose_gen),
	KUNIT_CASE_PARAM(compose_affinity_no_message, compose_gen),
	KUNIT_CASE_PARAM(compose_write_msg, compose_gen),
	KUNIT_CASE_PARAM(compose_bus_lock, compose_gen),
	KUNIT_CASE_PARAM(compose_activate, compose_gen),
	KUNIT_CASE_PARAM(compose_life, compose_gen),
	{ }
};

MSI_TEST_SUITE(msi_compose, msi_compose_cases);
