// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: Deferred message stores
 *
 * What is recorded, when the device is told, and that it is told what the core
 * thinks, whatever comes in between: interrupts, failures, suspension, and the end
 * of the store.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/prandom.h>

#include "msi_test.h"

#define IRQS	4

/**
 * struct deferred - A deferred store with some interrupts
 * @mt:		The fixture
 * @hw:		Hardware of the store
 * @id:		Id of the store
 * @store:	The store
 * @maps:	Its interrupts
 */
struct deferred {
	struct msi_test		*mt;
	struct msi_test_hw	*hw;
	int			id;
	struct msi_dev_store	*store;
	struct msi_map		maps[IRQS];
};

static struct deferred *deferred_init(struct kunit *test)
{
	struct deferred *d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, d);
	d->mt = test->priv;
	d->hw = &d->mt->hw;
	d->mt->parent.deliver = true;
	d->id = msi_test_create(d->mt, MSI_TEST_DEFERRED_LOCK, 8, d->hw);
	d->store = msi_test_store(d->mt, d->id);
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(d->mt, d->id, IRQS, IRQS, d->maps), IRQS);
	msi_test_log_reset(d->mt);
	return d;
}

static void deferred_request(struct deferred *d, unsigned int i)
{
	KUNIT_ASSERT_EQ(d->mt->test, request_irq(d->maps[i].virq, msi_test_handler, 0,
						 "msi_kunit", d->mt), 0);
}

static void deferred_exit(struct deferred *d)
{
	msi_test_expect_same(d->mt, d->hw, d->maps, IRQS);
	msi_store_free_irqs(d->mt->dev, d->id, d->maps, IRQS);
	msi_remove_store(d->mt->dev, d->id);
}

/* As the core does it, the bus lock is the caller's */
static void set_mask(struct deferred *d, unsigned int i, bool masked)
{
	struct irq_desc *desc = irq_to_desc(d->maps[i].virq);
	struct irq_data *data = irq_desc_get_irq_data(desc);
	unsigned long flags;

	raw_spin_lock_irqsave(&desc->lock, flags);
	if (masked)
		data->chip->irq_mask(data);
	else
		data->chip->irq_unmask(data);
	raw_spin_unlock_irqrestore(&desc->lock, flags);
}

static void set_msg(struct deferred *d, unsigned int i, u32 value)
{
	struct msi_msg msg = { .address_lo = 0xfee00000, .data = value };
	struct irq_desc *desc = irq_to_desc(d->maps[i].virq);
	struct irq_data *data = irq_desc_get_irq_data(desc);
	unsigned long flags;

	raw_spin_lock_irqsave(&desc->lock, flags);
	data->chip->irq_write_msi_msg(data, &msg);
	raw_spin_unlock_irqrestore(&desc->lock, flags);
}

static struct msi_test_slot *hw_slot(struct deferred *d, unsigned int i)
{
	return msi_test_find(d->hw, d->maps[i].index);
}

static struct msi_slot *slot_of(struct deferred *d, unsigned int i)
{
	return msi_test_irq_slot(d->maps[i].virq);
}

/* How often something is in the log */
static unsigned int count_log(struct msi_test *mt, const char *what)
{
	unsigned long flags;
	unsigned int n = 0;
	const char *p;

	raw_spin_lock_irqsave(&mt->loglock, flags);
	for (p = mt->log.buf; (p = strstr(p, what)); p++)
		n++;
	raw_spin_unlock_irqrestore(&mt->loglock, flags);
	return n;
}

/* --- When the device is told ------------------------------------------------ */

static void deferred_at_unlock(struct kunit *test)
{
	struct deferred *d = deferred_init(test);
	unsigned int i;

	msi_store_lock(d->store);
	for (i = 0; i < 3; i++) {
		set_mask(d, i, false);
		set_mask(d, i, true);
		set_mask(d, i, false);
	}
	MSI_TEST_EXPECT_LOG(d->mt, "lock");
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_TRUE(test, hw_slot(d, i)->masked);
		KUNIT_EXPECT_TRUE(test, slot_of(d, i)->masked);
		KUNIT_EXPECT_FALSE(test, msi_slot_core(slot_of(d, i))->next_masked);
	}
	KUNIT_EXPECT_EQ(test, msi_store_sync_unlock(d->store), 0);
	MSI_TEST_EXPECT_LOG(d->mt, "sync(0,mask=0) sync(1,mask=0) sync(2,mask=0) unlock");
	for (i = 0; i < IRQS; i++)
		KUNIT_EXPECT_EQ(test, hw_slot(d, i)->masked, i == 3);

	/* Message and mask at once */
	msi_store_lock(d->store);
	set_msg(d, 1, 0x1aa);
	set_mask(d, 1, true);
	set_msg(d, 1, 0x1bb);
	set_msg(d, 3, 0x1cc);
	MSI_TEST_EXPECT_LOG(d->mt, "lock");
	KUNIT_EXPECT_EQ(test, msi_store_sync_unlock(d->store), 0);
	KUNIT_EXPECT_PTR_NE(test, strstr(d->mt->log.buf, "sync(1,msg=1bb,mask=1)"), NULL);
	KUNIT_EXPECT_PTR_NE(test, strstr(d->mt->log.buf, "sync(3,msg=1cc)"), NULL);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync"), 2);
	msi_test_log_reset(d->mt);

	/* Nothing changes */
	msi_store_lock(d->store);
	set_msg(d, 1, 0x1bb);
	set_mask(d, 1, true);
	KUNIT_EXPECT_EQ(test, msi_store_sync_unlock(d->store), 0);
	MSI_TEST_EXPECT_LOG(d->mt, "lock unlock");

	deferred_exit(d);
}

/* Each sequence of up to 5 changes of the mask, from both states */
static void deferred_sequences(struct kunit *test)
{
	struct deferred *d = deferred_init(test);
	unsigned int len, bits, i, tried = 0;
	const char *want;
	bool from, to;

	for (len = 0; len <= 5; len++) {
		for (bits = 0; bits < 2 << len; bits++) {
			from = bits & BIT(len);
			to = len ? bits & BIT(len - 1) : from;

			msi_store_lock(d->store);
			set_mask(d, 0, from);
			msi_store_sync_unlock(d->store);
			KUNIT_ASSERT_EQ(test, hw_slot(d, 0)->masked, from);
			msi_test_log_reset(d->mt);

			msi_store_lock(d->store);
			for (i = 0; i < len; i++)
				set_mask(d, 0, bits & BIT(i));
			msi_store_sync_unlock(d->store);

			want = from == to ? "lock unlock" :
			       to ? "lock sync(0,mask=1) unlock" : "lock sync(0,mask=0) unlock";
			MSI_TEST_EXPECT_LOG_MSG(d->mt, want, "%u changes, %x", len, bits);
			KUNIT_EXPECT_EQ(test, hw_slot(d, 0)->masked, to);
			KUNIT_EXPECT_EQ(test, msi_slot_core(slot_of(d, 0))->dirty, 0);
			tried++;
		}
	}
	KUNIT_EXPECT_EQ(test, tried, 126);
	deferred_exit(d);
}

/* What is recorded without the bus lock is carried out as well */
static void deferred_orphan(struct kunit *test)
{
	struct deferred *d = deferred_init(test);

	set_mask(d, 0, false);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(!hw_slot(d, 0)->masked));
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync(0,mask=0)"), 1);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync"), 1);

	set_mask(d, 0, true);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(hw_slot(d, 0)->masked));
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync(0,mask=1)"), 1);

	/* Whoever comes first */
	set_mask(d, 0, false);
	set_mask(d, 1, false);
	msi_store_lock(d->store);
	KUNIT_EXPECT_EQ(test, msi_store_sync_unlock(d->store), 0);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 0)->masked);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 1)->masked);

	msi_store_lock(d->store);
	set_mask(d, 0, true);
	set_mask(d, 1, true);
	msi_store_sync_unlock(d->store);
	deferred_exit(d);
}

/* --- Interrupts ------------------------------------------------------------- */

/* The flow handler masks what comes in while the interrupt is disabled */
static void deferred_hard_irq(struct kunit *test)
{
	struct deferred *d = deferred_init(test);
	unsigned int irq = d->maps[0].virq;

	deferred_request(d, 0);
	msi_test_fire(d->mt, d->hw, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&d->mt->handled), 1);

	disable_irq(irq);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 0)->masked);
	msi_test_log_reset(d->mt);
	msi_test_fire(d->mt, d->hw, 0);
	KUNIT_EXPECT_TRUE(test, irqd_irq_masked(irq_get_irq_data(irq)));
	KUNIT_EXPECT_TRUE(test, msi_test_wait(hw_slot(d, 0)->masked));
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync(0,mask=1)"), 1);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync"), 1);

	/* These stay in the device */
	msi_test_fire(d->mt, d->hw, 0);
	msi_test_fire(d->mt, d->hw, 0);
	KUNIT_EXPECT_TRUE(test, hw_slot(d, 0)->pending);
	KUNIT_EXPECT_EQ(test, atomic_read(&d->mt->handled), 1);

	/* The one that the core has, and the one that the device has */
	enable_irq(irq);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 0)->masked);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&d->mt->handled) == 3));
	msleep(50);
	KUNIT_EXPECT_EQ(test, atomic_read(&d->mt->handled), 3);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 0)->pending);

	free_irq(irq, d->mt);
	deferred_exit(d);
}

/* The same while the bus lock is held, by a task that has nothing to do with it */
static void deferred_hard_irq_locked(struct kunit *test)
{
	struct deferred *d = deferred_init(test);
	unsigned int irq = d->maps[0].virq;

	deferred_request(d, 0);
	disable_irq(irq);

	msi_store_lock(d->store);
	msi_test_log_reset(d->mt);
	msi_test_fire(d->mt, d->hw, 0);
	KUNIT_EXPECT_TRUE(test, irqd_irq_masked(irq_get_irq_data(irq)));
	msleep(50);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 0)->masked);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync"), 0);
	KUNIT_EXPECT_EQ(test, msi_store_sync_unlock(d->store), 0);
	KUNIT_EXPECT_TRUE(test, hw_slot(d, 0)->masked);

	enable_irq(irq);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&d->mt->handled) == 1));
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync(0,mask=1)"), 1);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync(0,mask=0)"), 1);
	free_irq(irq, d->mt);
	deferred_exit(d);
}

/* A flow handler that masks and unmasks each time: That never gets anywhere */
static void deferred_level(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct deferred *d;
	unsigned int i;

	mt->parent.ops.handler = handle_level_irq;
	d = deferred_init(test);
	deferred_request(d, 0);
	msi_test_log_reset(mt);

	for (i = 1; i <= 5; i++) {
		msi_test_fire(mt, d->hw, 0);
		KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&mt->handled) == i));
	}
	KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(slot_of(d, 0))));
	msleep(50);
	/* On SMP another CPU can sync between mask and unmask */
	if (num_online_cpus() == 1)
		KUNIT_EXPECT_EQ(test, count_log(mt, "sync"), 0);
	KUNIT_EXPECT_EQ(test, count_log(mt, "sync(0,mask=1)"), count_log(mt, "sync(0,mask=0)"));
	KUNIT_EXPECT_FALSE(test, msi_slot_core(slot_of(d, 0))->next_masked);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 0)->masked);

	free_irq(d->maps[0].virq, mt);
	deferred_exit(d);
}

static irqreturn_t wake_thread(int irq, void *mt)
{
	return IRQ_WAKE_THREAD;
}

static void deferred_threaded(struct kunit *test)
{
	static const irq_flow_handler_t flows[] = { handle_edge_irq, handle_level_irq };
	static const unsigned long irqflags[] = { 0, IRQF_ONESHOT };
	struct msi_test *mt = test->priv;
	unsigned int i, n, irq;
	struct deferred *d;
	int ret;

	for (i = 0; i < 8; i++) {
		mt->parent.ops.handler = flows[i & 1];
		d = deferred_init(test);
		irq = d->maps[2].virq;
		atomic_set(&mt->handled, 0);
		/* Without a primary handler it has to be oneshot, or safe without it */
		ret = request_threaded_irq(irq, i & 2 ? wake_thread : NULL, msi_test_handler,
					   irqflags[i >> 2], "msi_kunit", mt);
		KUNIT_ASSERT_EQ(test, ret, 0);
		for (n = 1; n <= 5; n++) {
			msi_test_fire(mt, d->hw, 2);
			KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&mt->handled) == n));
		}
		synchronize_irq(irq);
		KUNIT_EXPECT_FALSE(test, msi_slot_core(slot_of(d, 2))->next_masked);
		KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(slot_of(d, 2))));
		KUNIT_EXPECT_FALSE(test, hw_slot(d, 2)->masked);
		free_irq(irq, mt);
		KUNIT_EXPECT_TRUE(test, hw_slot(d, 2)->masked);
		deferred_exit(d);
		mt->hw.released = 0;
	}
}

/* Whoever asks for it gets it at once */
static void deferred_disable_unlazy(struct kunit *test)
{
	struct deferred *d = deferred_init(test);
	unsigned int irq = d->maps[0].virq;

	deferred_request(d, 0);
	irq_modify_status(irq, 0, _IRQ_DISABLE_UNLAZY);
	msi_test_log_reset(d->mt);

	disable_irq(irq);
	MSI_TEST_EXPECT_LOG(d->mt, "lock sync(0,mask=1) unlock");
	disable_irq(irq);
	enable_irq(irq);
	MSI_TEST_EXPECT_LOG(d->mt, "lock unlock lock unlock");
	msi_test_fire(d->mt, d->hw, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&d->mt->handled), 0);
	MSI_TEST_EXPECT_LOG(d->mt, "");

	enable_irq(irq);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&d->mt->handled) == 1));
	/* The interrupt arrives when the device is told, or after the unlock if delayed */
	if (strcmp(d->mt->log.buf, "lock sync(0,mask=0) p.ack unlock"))
		MSI_TEST_EXPECT_LOG(d->mt, "lock sync(0,mask=0) unlock p.ack");
	msi_test_log_reset(d->mt);
	msleep(50);
	KUNIT_EXPECT_EQ(test, atomic_read(&d->mt->handled), 1);

	irq_modify_status(irq, _IRQ_DISABLE_UNLAZY, 0);
	free_irq(irq, d->mt);
	deferred_exit(d);
}

/* --- Changes while sync() runs ---------------------------------------------- */

static void hook_mask(struct msi_test_hw *hw, struct msi_slot *slot)
{
	hw->sync_hook = NULL;
	msi_deferred_set_mask(slot, true);
}

static void hook_mask_unmask(struct msi_test_hw *hw, struct msi_slot *slot)
{
	hw->sync_hook = NULL;
	msi_deferred_set_mask(slot, true);
	msi_deferred_set_mask(slot, false);
}

static void hook_fire(struct msi_test_hw *hw, struct msi_slot *slot)
{
	hw->sync_hook = NULL;
	msi_test_fire(hw->mt, hw, 1);
}

static void deferred_while_syncing(struct kunit *test)
{
	struct deferred *d = deferred_init(test);

	d->hw->sync_hook = hook_mask;
	msi_store_lock(d->store);
	set_mask(d, 0, false);
	msi_store_sync_unlock(d->store);
	MSI_TEST_EXPECT_LOG(d->mt, "lock sync(0,mask=0) sync(0,mask=1) unlock");
	KUNIT_EXPECT_TRUE(test, hw_slot(d, 0)->masked);

	d->hw->sync_hook = hook_mask_unmask;
	msi_store_lock(d->store);
	set_mask(d, 0, false);
	msi_store_sync_unlock(d->store);
	MSI_TEST_EXPECT_LOG(d->mt, "lock sync(0,mask=0) unlock");
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 0)->masked);

	/* That fails, and what came in the meantime is tried at once */
	d->hw->sync_hook = hook_mask;
	d->hw->sync_ret = -EIO;
	msi_test_log_reset(d->mt);
	msi_store_lock(d->store);
	set_msg(d, 0, 0x1dd);
	KUNIT_EXPECT_EQ(test, msi_store_sync_unlock(d->store), 0);
	KUNIT_EXPECT_GE(test, count_log(d->mt, "sync(0,"), 2);
	KUNIT_EXPECT_NE(test, msi_slot_core(slot_of(d, 0))->dirty, 0);
	d->hw->sync_ret = 0;
	KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(slot_of(d, 0))));
	KUNIT_EXPECT_TRUE(test, hw_slot(d, 0)->masked);
	KUNIT_EXPECT_EQ(test, hw_slot(d, 0)->msg.data, 0x1dd);

	/* An interrupt, which is masked by its flow handler, while another is synced */
	deferred_request(d, 1);
	disable_irq(d->maps[1].virq);
	d->hw->sync_hook = hook_fire;
	msi_store_lock(d->store);
	set_msg(d, 0, 0x1ee);
	msi_store_sync_unlock(d->store);
	KUNIT_EXPECT_TRUE(test, hw_slot(d, 1)->masked);
	enable_irq(d->maps[1].virq);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&d->mt->handled) == 1));
	free_irq(d->maps[1].virq, d->mt);
	deferred_exit(d);
}

/* --- Failures --------------------------------------------------------------- */

static void deferred_alloc_fails(struct kunit *test)
{
	struct deferred *d = deferred_init(test);
	struct msi_map map;

	d->hw->sync_ret = -EREMOTEIO;
	map = msi_store_alloc_irq(d->mt->dev, d->id, 7, NULL, NULL);
	KUNIT_EXPECT_EQ(test, map.index, -EREMOTEIO);
	KUNIT_EXPECT_EQ(test, map.virq, 0);
	MSI_TEST_WANT(d->mt, true, "lock init(7) unlock p.alloc lock p.activate p.compose");
	MSI_TEST_WANT(d->mt, true, "sync(7,msg=104,mask=1) unlock");
	KUNIT_EXPECT_EQ(test, strncmp(d->mt->log.buf, d->mt->want.buf, d->mt->want.len), 0);
	KUNIT_EXPECT_NULL(test, msi_test_find(d->hw, 7));
	KUNIT_EXPECT_EQ(test, d->store->used, IRQS);
	KUNIT_EXPECT_EQ(test, d->mt->parent.irqs, IRQS);

	/* Nobody comes back to it, and it can be had when the device works again */
	msi_test_log_reset(d->mt);
	msleep(300);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync"), 0);
	d->hw->sync_ret = 0;
	map = msi_test_alloc(d->mt, d->id, 7);
	msi_store_free_irq(d->mt->dev, d->id, map);
	deferred_exit(d);
}

#define TRIES	4

/* When slot 0 was tried */
static unsigned long deferred_tries[TRIES];
static unsigned int deferred_tried;

static void hook_try(struct msi_test_hw *hw, struct msi_slot *slot)
{
	unsigned int n = deferred_tried;

	if (slot->index)
		return;
	if (n < TRIES)
		deferred_tries[n] = jiffies;
	WRITE_ONCE(deferred_tried, n + 1);
}

static void deferred_retry(struct kunit *test)
{
	struct deferred *d = deferred_init(test);
	unsigned int i;
	char line[64];

	deferred_tried = 0;
	d->hw->sync_hook = hook_try;
	d->hw->sync_ret = -EIO;
	d->hw->sync_index = 0;

	/* Nobody can be told */
	deferred_request(d, 0);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync"), 1);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync(0,mask=0)"), 1);
	KUNIT_EXPECT_TRUE(test, hw_slot(d, 0)->masked);
	KUNIT_EXPECT_NE(test, msi_slot_core(slot_of(d, 0))->dirty, 0);
	msi_test_fire(d->mt, d->hw, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&d->mt->handled), 0);

	/* Others are not delayed, and don't delay others by trying that one */
	i = deferred_tried;
	deferred_request(d, 1);
	deferred_request(d, 2);
	free_irq(d->maps[2].virq, d->mt);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 1)->masked);
	msi_test_fire(d->mt, d->hw, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&d->mt->handled), 1);
	if (time_before(jiffies, deferred_tries[0] + HZ / 10))
		KUNIT_EXPECT_EQ(test, READ_ONCE(deferred_tried), i);

	/* It is tried again and again, at longer and longer intervals */
	KUNIT_ASSERT_TRUE(test, msi_test_wait(READ_ONCE(deferred_tried) >= TRIES));
	for (i = 1; i < TRIES; i++) {
		KUNIT_EXPECT_GE_MSG(test, deferred_tries[i] - deferred_tries[i - 1],
				    (HZ / 10) << (i - 1), "try %u", i);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&d->mt->handled), 1);

	/* What was waiting in the device comes as soon as it works */
	d->hw->sync_ret = 0;
	KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&d->mt->handled) == 2));
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 0)->masked);

	/* Next time it starts from the beginning. A change is tried at once, too */
	KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(slot_of(d, 0))));
	deferred_tried = 0;
	d->hw->sync_ret = -EIO;
	disable_irq(d->maps[0].virq);
	msi_store_lock(d->store);
	set_mask(d, 0, true);
	msi_store_sync_unlock(d->store);
	msi_store_lock(d->store);
	set_mask(d, 0, false);
	msi_store_sync_unlock(d->store);
	KUNIT_EXPECT_GE(test, READ_ONCE(deferred_tried), 2);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(READ_ONCE(deferred_tried) >= 3));
	KUNIT_EXPECT_LT(test, deferred_tries[2] - deferred_tries[0], 5 * HZ);

	/* Nobody knows what it is, and so it has to be told all, although nothing changes */
	d->hw->sync_ret = 0;
	msi_test_log_reset(d->mt);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(slot_of(d, 0))));
	snprintf(line, sizeof(line), "sync(0,msg=%x,mask=0)", slot_of(d, 0)->msg.data);
	KUNIT_EXPECT_NE(test, slot_of(d, 0)->msg.data, 0);
	KUNIT_EXPECT_EQ_MSG(test, count_log(d->mt, line), 1, "%s", line);
	enable_irq(d->maps[0].virq);

	d->hw->sync_hook = NULL;
	free_irq(d->maps[0].virq, d->mt);
	free_irq(d->maps[1].virq, d->mt);
	deferred_exit(d);
}

/* Change the mask of a slot and fail to tell the device */
static void deferred_fail(struct deferred *d, unsigned int i, bool masked)
{
	d->hw->sync_ret = -EIO;
	d->hw->sync_index = d->maps[i].index;
	msi_store_lock(d->store);
	set_mask(d, i, masked);
	msi_store_sync_unlock(d->store);
	KUNIT_EXPECT_NE(d->mt->test, msi_slot_core(slot_of(d, i))->dirty, 0);
}

/* A slot that fails now does not wait for one that has failed for long */
static void deferred_retry_another(struct kunit *test)
{
	struct deferred *d = deferred_init(test);
	unsigned long start;

	deferred_tried = 0;
	d->hw->sync_hook = hook_try;
	deferred_fail(d, 0, false);
	KUNIT_ASSERT_TRUE(test, msi_test_wait(READ_ONCE(deferred_tried) >= TRIES + 1));

	/* The next try of slot 0 is not due for more than a second */
	start = jiffies;
	deferred_fail(d, 1, false);
	d->hw->sync_ret = 0;
	KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(slot_of(d, 1))));
	KUNIT_EXPECT_LT(test, jiffies - start, HZ);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 1)->masked);

	d->hw->sync_hook = NULL;
	KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(slot_of(d, 0))));
	deferred_exit(d);
}

/* The last chance to tell the device is taken, although nothing is new */
static void deferred_last_chance(struct kunit *test)
{
	struct deferred *d = deferred_init(test);

	deferred_fail(d, 0, false);
	d->hw->sync_ret = 0;
	KUNIT_EXPECT_EQ(test, msi_store_suspend(d->mt->dev, d->id, true), 0);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 0)->masked);
	KUNIT_EXPECT_EQ(test, msi_slot_core(slot_of(d, 0))->dirty, 0);
	KUNIT_EXPECT_EQ(test, msi_store_resume(d->mt->dev, d->id), 0);

	deferred_request(d, 1);
	d->hw->sync_ret = -EIO;
	d->hw->sync_index = 1;
	free_irq(d->maps[1].virq, d->mt);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 1)->masked);
	d->hw->sync_ret = 0;
	msi_test_log_reset(d->mt);
	msi_store_free_irq(d->mt->dev, d->id, d->maps[1]);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync(1,msg=0,mask=1)"), 1);

	d->maps[1] = msi_test_alloc(d->mt, d->id, 1);
	deferred_exit(d);
}

/* The error is that of the slot that is allocated, not the one of another slot */
static void deferred_error_of_another(struct kunit *test)
{
	struct deferred *d = deferred_init(test);
	struct msi_map map, maps[2];
	int ret;

	d->hw->sync_ret = -EIO;
	d->hw->sync_index = 0;

	/* Recorded without the bus lock, and found by who allocates */
	set_mask(d, 0, false);
	map = msi_store_alloc_irq(d->mt->dev, d->id, 7, NULL, NULL);
	KUNIT_EXPECT_EQ(test, map.index, 7);
	if (map.index == 7)
		msi_store_free_irq(d->mt->dev, d->id, map);

	set_mask(d, 0, true);
	ret = msi_test_alloc_irqs(d->mt, d->id, 2, 2, maps);
	KUNIT_EXPECT_EQ(test, ret, 2);
	if (ret == 2)
		msi_store_free_irqs(d->mt->dev, d->id, maps, 2);

	d->hw->sync_ret = 0;
	KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(slot_of(d, 0))));
	deferred_exit(d);
}

/* --- Suspension ------------------------------------------------------------- */

static void deferred_suspended(struct kunit *test)
{
	struct deferred *d = deferred_init(test);
	struct msi_map map, maps[2];

	deferred_request(d, 0);
	deferred_request(d, 1);

	/* What was recorded before is the last that reaches the device */
	set_mask(d, 3, false);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(d->mt->dev, d->id, true), 0);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 3)->masked);
	KUNIT_EXPECT_TRUE(test, msi_store_is_suspended(d->store));
	d->hw->offline = true;
	msi_test_log_reset(d->mt);

	KUNIT_EXPECT_EQ(test, msi_store_suspend(d->mt->dev, d->id, true), 0);
	msi_restore_stores(d->mt->dev);
	KUNIT_EXPECT_TRUE(test, msi_store_is_suspended(d->store));
	free_irq(d->maps[1].virq, d->mt);
	deferred_request(d, 2);
	disable_irq(d->maps[0].virq);
	msi_test_fire(d->mt, d->hw, 0);
	set_mask(d, 3, true);
	map = msi_test_alloc(d->mt, d->id, 7);
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(d->mt, d->id, 2, 2, maps), 2);
	msi_store_free_irqs(d->mt->dev, d->id, maps, 2);
	msleep(300);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync"), 0);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "lock"), 0);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 0)->masked);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 1)->masked);
	KUNIT_EXPECT_TRUE(test, hw_slot(d, 2)->masked);
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 3)->masked);

	/* All slots, whether or not something has changed, each of them once */
	d->hw->offline = false;
	msi_test_log_reset(d->mt);
	KUNIT_EXPECT_EQ(test, msi_store_resume(d->mt->dev, d->id), 0);
	KUNIT_EXPECT_FALSE(test, msi_store_is_suspended(d->store));
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync"), IRQS + 1);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync(0,msg=100,mask=1)"), 1);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync(1,msg=0,mask=1)"), 1);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync(2,msg=102,mask=0)"), 1);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync(3,msg=103,mask=1)"), 1);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync(7,msg="), 1);
	msi_test_expect_same(d->mt, d->hw, d->maps, IRQS);
	msi_test_expect_same(d->mt, d->hw, &map, 1);

	enable_irq(d->maps[0].virq);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&d->mt->handled) == 1));

	/* Without a suspension everything is written again, too */
	msi_test_log_reset(d->mt);
	KUNIT_EXPECT_EQ(test, msi_store_resume(d->mt->dev, d->id), 0);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync"), IRQS + 1);

	free_irq(d->maps[0].virq, d->mt);
	free_irq(d->maps[2].virq, d->mt);
	msi_store_free_irq(d->mt->dev, d->id, map);
	deferred_exit(d);
}

static void deferred_resume_fails(struct kunit *test)
{
	struct deferred *d = deferred_init(test);

	deferred_request(d, 2);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(d->mt->dev, d->id, true), 0);
	d->hw->sync_ret = -EIO;
	d->hw->sync_index = 2;
	KUNIT_EXPECT_EQ(test, msi_store_resume(d->mt->dev, d->id), -EIO);
	KUNIT_EXPECT_NE(test, msi_slot_core(slot_of(d, 2))->dirty, 0);
	KUNIT_EXPECT_EQ(test, msi_slot_core(slot_of(d, 1))->dirty, 0);
	KUNIT_EXPECT_EQ(test, msi_slot_core(slot_of(d, 3))->dirty, 0);

	/* A suspension in between: It is not tried then */
	KUNIT_EXPECT_EQ(test, msi_store_suspend(d->mt->dev, d->id, true), 0);
	d->hw->offline = true;
	msleep(400);
	d->hw->offline = false;
	KUNIT_EXPECT_EQ(test, msi_store_resume(d->mt->dev, d->id), -EIO);

	d->hw->sync_ret = 0;
	KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(slot_of(d, 2))));
	KUNIT_EXPECT_FALSE(test, hw_slot(d, 2)->masked);
	free_irq(d->maps[2].virq, d->mt);
	deferred_exit(d);
}

static void deferred_remove_suspended(struct kunit *test)
{
	struct deferred *d = deferred_init(test);

	deferred_request(d, 0);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(d->mt->dev, d->id, true), 0);
	d->hw->offline = true;
	free_irq(d->maps[0].virq, d->mt);
	msi_remove_store(d->mt->dev, d->id);
	KUNIT_EXPECT_EQ(test, d->hw->released, 1);
	KUNIT_EXPECT_EQ(test, d->hw->used, 0);
	msleep(300);
}

/* --- The end ---------------------------------------------------------------- */

/* The device does not answer any more, and the store goes nevertheless */
static void deferred_remove_dirty(struct kunit *test)
{
	struct deferred *d = deferred_init(test);

	deferred_request(d, 0);
	d->hw->sync_ret = -ETIMEDOUT;
	disable_irq(d->maps[0].virq);
	msi_test_fire(d->mt, d->hw, 0);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_slot_core(slot_of(d, 0))->dirty));
	free_irq(d->maps[0].virq, d->mt);
	KUNIT_EXPECT_NE(test, msi_slot_core(slot_of(d, 0))->dirty, 0);
	set_mask(d, 1, false);

	msi_remove_store(d->mt->dev, d->id);
	KUNIT_EXPECT_EQ(test, d->hw->released, 1);
	KUNIT_EXPECT_EQ(test, d->hw->used, 0);
	KUNIT_EXPECT_EQ(test, d->mt->parent.irqs, 0);

	/* Long enough for what would still be on its way */
	msi_test_log_reset(d->mt);
	msleep(300);
	MSI_TEST_EXPECT_LOG(d->mt, "");
}

/* A single slot goes while it is dirty */
static void deferred_free_dirty(struct kunit *test)
{
	struct deferred *d = deferred_init(test);

	d->hw->sync_ret = -ETIMEDOUT;
	d->hw->sync_index = 1;
	set_mask(d, 1, false);
	msi_store_free_irq(d->mt->dev, d->id, d->maps[1]);
	KUNIT_EXPECT_NULL(test, msi_test_find(d->hw, 1));
	KUNIT_EXPECT_EQ(test, d->mt->parent.irqs, IRQS - 1);

	msi_test_log_reset(d->mt);
	msleep(300);
	KUNIT_EXPECT_EQ(test, count_log(d->mt, "sync"), 0);
	d->hw->sync_ret = 0;
	d->maps[1] = msi_test_alloc(d->mt, d->id, 1);
	deferred_exit(d);
}

/* --- Everything, in no order ------------------------------------------------ */

/**
 * struct walker - One of the interrupts
 * @requested:	It is requested
 * @depth:	How often it is disabled
 * @fired:	How often the device had an event
 * @handled:	@fired at the time of the last call of the handler
 */
struct walker {
	bool		requested;
	unsigned int	depth;
	atomic_t	fired;
	atomic_t	handled;
};

static irqreturn_t walk_handler(int irq, void *data)
{
	struct walker *w = data;

	atomic_set(&w->handled, atomic_read(&w->fired));
	return IRQ_HANDLED;
}

static bool walk_settled(struct deferred *d, struct walker *w)
{
	unsigned int i;

	for (i = 0; i < IRQS; i++) {
		if (msi_slot_core(slot_of(d, i))->dirty)
			return false;
		if (w[i].requested &&
		    (hw_slot(d, i)->pending ||
		     atomic_read(&w[i].handled) != atomic_read(&w[i].fired)))
			return false;
	}
	return true;
}

static void walk_step(struct deferred *d, struct walker *walkers, struct rnd_state *rnd)
{
	u32 r = prandom_u32_state(rnd);
	unsigned int i = r % IRQS, irq = d->maps[i].virq;
	struct walker *w = &walkers[i];

	switch (r >> 24 & 15) {
	case 0 ... 1:
		if (w->requested)
			break;
		w->requested = !request_irq(irq, walk_handler, r & BIT(16) ? IRQF_NO_AUTOEN : 0,
					    "msi_kunit", w);
		w->depth = !!(r & BIT(16));
		break;
	case 2:
		if (!w->requested)
			break;
		free_irq(irq, w);
		w->requested = false;
		/* What had come in by then does not count any more */
		atomic_set(&w->handled, atomic_read(&w->fired));
		break;
	case 3 ... 4:
		if (!w->requested)
			break;
		if (r & BIT(16))
			irq_modify_status(irq, 0, _IRQ_DISABLE_UNLAZY);
		else
			irq_modify_status(irq, _IRQ_DISABLE_UNLAZY, 0);
		disable_irq(irq);
		w->depth++;
		break;
	case 5 ... 7:
		if (w->requested && w->depth) {
			w->depth--;
			enable_irq(irq);
		}
		break;
	case 8 ... 11:
		if (!w->requested)
			break;
		atomic_inc(&w->fired);
		msi_test_fire(d->mt, d->hw, i);
		break;
	case 12:
		d->hw->sync_ret = -EIO;
		d->hw->sync_index = r & BIT(16) ? i : MSI_ANY_INDEX;
		break;
	case 13:
		d->hw->sync_ret = 0;
		break;
	case 14:
		msi_store_suspend(d->mt->dev, d->id, true);
		break;
	case 15:
		msi_store_resume(d->mt->dev, d->id);
		break;
	}
}

/* Get everything into a state where nothing can be outstanding, and look at it */
static void walk_settle(struct deferred *d, struct walker *walkers, unsigned int step)
{
	struct kunit *test = d->mt->test;
	unsigned int i;

	d->hw->sync_ret = 0;
	KUNIT_EXPECT_EQ(test, msi_store_resume(d->mt->dev, d->id), 0);
	for (i = 0; i < IRQS; i++) {
		for (; walkers[i].requested && walkers[i].depth; walkers[i].depth--)
			enable_irq(d->maps[i].virq);
	}
	KUNIT_EXPECT_TRUE_MSG(test, msi_test_wait(walk_settled(d, walkers)), "step %u", step);
	for (i = 0; i < IRQS; i++) {
		KUNIT_EXPECT_EQ_MSG(test, hw_slot(d, i)->masked, !walkers[i].requested,
				    "slot %u, step %u", i, step);
		KUNIT_EXPECT_EQ_MSG(test, irqd_irq_masked(irq_get_irq_data(d->maps[i].virq)),
				    !walkers[i].requested, "slot %u, step %u", i, step);
	}
	msi_test_expect_same(d->mt, d->hw, d->maps, IRQS);
}

static void deferred_walk(struct kunit *test)
{
	struct deferred *d = deferred_init(test);
	struct walker *walkers;
	struct rnd_state rnd;
	unsigned int i;

	walkers = kunit_kcalloc(test, IRQS, sizeof(*walkers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, walkers);
	d->mt->quiet = true;
	prandom_seed_state(&rnd, 20221211);

	for (i = 1; i <= 2000; i++) {
		walk_step(d, walkers, &rnd);
		if (i % 50 == 0)
			walk_settle(d, walkers, i);
	}
	for (i = 0; i < IRQS; i++) {
		KUNIT_EXPECT_GT(test, atomic_read(&walkers[i].fired), 10);
		if (walkers[i].requested)
			free_irq(d->maps[i].virq, &walkers[i]);
	}
	deferred_exit(d);
}

static struct kunit_case msi_deferred_cases[] = {
	KUNIT_CASE(deferred_at_unlock),
	KUNIT_CASE(deferred_sequences),
	KUNIT_CASE(deferred_orphan),
	KUNIT_CASE(deferred_hard_irq),
	KUNIT_CASE(deferred_hard_irq_locked),
	KUNIT_CASE(deferred_level),
	KUNIT_CASE(deferred_threaded),
	KUNIT_CASE(deferred_disable_unlazy),
	KUNIT_CASE(deferred_while_syncing),
	KUNIT_CASE(deferred_alloc_fails),
	KUNIT_CASE(deferred_retry),
	KUNIT_CASE(deferred_retry_another),
	KUNIT_CASE(deferred_last_chance),
	KUNIT_CASE(deferred_error_of_another),
	KUNIT_CASE(deferred_suspended),
	KUNIT_CASE(deferred_resume_fails),
	KUNIT_CASE(deferred_remove_suspended),
	KUNIT_CASE(deferred_remove_dirty),
	KUNIT_CASE(deferred_free_dirty),
	KUNIT_CASE(deferred_walk),
	{ }
};

MSI_TEST_SUITE(msi_deferred, msi_deferred_cases);
