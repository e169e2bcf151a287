// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: What is held while storage ops run, and who waits for whom
 *
 * A storage op that is stuck must not stop others, nor the driver that would get it
 * going again. A device that is gone must not be waited for at all.
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>

#include "msi_test.h"

/* How long an op is stuck if nobody ends it, which is a failure of the test */
#define STUCK_MAX	(10 * HZ)

enum stuck_op { STUCK_INIT, STUCK_SYNC, STUCK_FREE, STUCK_OPS };

static const char *const stuck_op_names[] = { "init_slot", "sync", "free_slot" };

/**
 * struct stuck - A storage op that does not return
 * @mt:		The fixture
 * @hw:		The hardware of the store
 * @id:		The store
 * @map:	The interrupt that is allocated or freed
 * @op:		The op
 * @taken:	The op was invoked
 * @held:	The op is stuck
 * @resumes:	In the end it resumes a device that was suspended as one in an error state
 * @entered:	Completed when it is
 * @go:		Ends it
 * @done:	Completed when the interrupt is allocated or freed
 */
struct stuck {
	struct msi_test		*mt;
	struct msi_test_hw	*hw;
	int			id;
	struct msi_map		map;
	enum stuck_op		op;
	bool			taken;
	bool			held;
	bool			resumes;
	struct completion	entered;
	struct completion	go;
	struct completion	done;
};

static struct stuck *stuck;

static void stuck_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	if (stuck->taken)
		return;

	stuck->taken = true;
	WRITE_ONCE(stuck->held, true);
	complete(&stuck->entered);
	wait_for_completion_timeout(&stuck->go, STUCK_MAX);
	WRITE_ONCE(stuck->held, false);
	if (stuck->resumes)
		KUNIT_EXPECT_EQ(hw->mt->test, msi_store_resume(hw->mt->dev, stuck->id), -EIO);
}

static int stuck_thread(void *unused)
{
	struct device *dev = stuck->mt->dev;

	if (stuck->op == STUCK_FREE)
		msi_store_free_irq(dev, stuck->id, stuck->map);
	else
		stuck->map = msi_store_alloc_irq(dev, stuck->id, 3, NULL, NULL);
	complete(&stuck->done);
	return 0;
}

static void stuck_start(struct msi_test *mt, struct msi_test_hw *hw, int id, enum stuck_op op)
{
	struct kunit *test = mt->test;
	struct task_struct *task;

	stuck = kunit_kzalloc(test, sizeof(*stuck), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, stuck);
	stuck->mt = mt;
	stuck->hw = hw;
	stuck->id = id;
	stuck->op = op;
	init_completion(&stuck->entered);
	init_completion(&stuck->go);
	init_completion(&stuck->done);
	if (op == STUCK_FREE)
		stuck->map = msi_test_alloc(mt, id, 3);

	hw->init_hook = op == STUCK_INIT ? stuck_hook : NULL;
	hw->sync_hook = op == STUCK_SYNC ? stuck_hook : NULL;
	hw->free_hook = op == STUCK_FREE ? stuck_hook : NULL;
	task = kthread_run(stuck_thread, NULL, "msi_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&stuck->entered, STUCK_MAX), 0);
}

static void stuck_end(struct msi_test *mt)
{
	KUNIT_EXPECT_TRUE(mt->test, READ_ONCE(stuck->held));
	complete(&stuck->go);
	KUNIT_ASSERT_NE(mt->test, wait_for_completion_timeout(&stuck->done, 2 * STUCK_MAX), 0);
	stuck->hw->init_hook = NULL;
	stuck->hw->sync_hook = NULL;
	stuck->hw->free_hook = NULL;
}

/* Everything that may be called while an op is stuck, of this or another store */
static void lock_stuck(struct kunit *test)
{
	struct msi_desc init = { .nvec_used = 1 };
	struct msi_test *mt = test->priv;
	struct msi_test_hw *hw;
	enum msi_test_kind kind;
	struct msi_map first, map;
	unsigned int virq, found;
	struct msi_slot *slot;
	enum stuck_op op;
	int id, other;

	/* The default store, one that nobody touches, and the one with the op */
	KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);
	msi_lock_descs(mt->dev);
	KUNIT_EXPECT_EQ(test, msi_default_store_setup(mt->dev, &msi_test_templates[MSI_TEST_DIRECT],
						      8, NULL), 0);
	KUNIT_EXPECT_EQ(test, msi_add_msi_desc(mt->dev, &init), 0);
	KUNIT_EXPECT_EQ(test, msi_default_store_alloc_irqs(mt->dev), 0);
	msi_unlock_descs(mt->dev);
	virq = msi_get_virq(mt->dev, 0);
	KUNIT_ASSERT_NE(test, virq, 0);

	hw = kunit_kcalloc(test, 2, sizeof(*hw), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, hw);
	msi_test_hw_init(mt, &hw[1]);
	other = msi_test_create(mt, MSI_TEST_DIRECT, 8, &hw[1]);

	for (kind = 0; kind < MSI_TEST_KINDS; kind++) {
		for (op = 0; op < STUCK_OPS; op++) {
			if (op == STUCK_SYNC && !msi_test_is_deferred(kind))
				continue;

			msi_test_hw_init(mt, hw);
			id = msi_test_create(mt, kind, 8, hw);
			first = msi_test_alloc(mt, id, 0);
			stuck_start(mt, hw, id, op);

			local_irq_disable();
			found = msi_get_virq(mt->dev, 0);
			local_irq_enable();
			KUNIT_EXPECT_EQ(test, found, virq);
			msi_lock_descs(mt->dev);
			msi_unlock_descs(mt->dev);
			KUNIT_EXPECT_TRUE(test, msi_has_created_stores(mt->dev));
			msi_restore_stores(mt->dev);
			map = msi_test_alloc(mt, other, MSI_ANY_INDEX);
			msi_store_free_irq(mt->dev, other, map);
			KUNIT_EXPECT_TRUE_MSG(test, READ_ONCE(stuck->held), "kind %u, %s",
					      kind, stuck_op_names[op]);

			stuck_end(mt);
			if (op != STUCK_FREE) {
				KUNIT_EXPECT_EQ(test, stuck->map.index, 3);
				msi_store_free_irq(mt->dev, id, stuck->map);
			}
			slot = msi_test_irq_slot(first.virq);
			KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(slot)));
			msi_test_expect_same(mt, hw, &first, 1);
			msi_store_free_irq(mt->dev, id, first);
			msi_remove_store(mt->dev, id);
			msi_test_log_reset(mt);
		}
	}
	msi_remove_store(mt->dev, other);
	msi_lock_descs(mt->dev);
	msi_default_store_free_irqs(mt->dev);
	msi_free_msi_descs(mt->dev);
	msi_unlock_descs(mt->dev);
}

/* The device is restored by an op, as when that resumes the device */
static void restore_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	msi_restore_stores(hw->mt->dev);
}

static void lock_restore_by_op(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind;
	struct msi_test_slot *s;
	struct msi_map maps[2];
	unsigned int i;
	int id;

	mt->quiet = true;
	for (kind = 0; kind < MSI_TEST_KINDS; kind++) {
		msi_test_hw_init(mt, &mt->hw);
		id = msi_test_create(mt, kind, 8, &mt->hw);
		mt->hw.init_hook = restore_hook;
		for (i = 0; i < ARRAY_SIZE(maps); i++) {
			maps[i] = msi_test_alloc(mt, id, i);
			KUNIT_ASSERT_EQ(test, request_irq(maps[i].virq, msi_test_handler, 0,
							  "msi_kunit", mt), 0);
		}
		/* What the device has lost is written, at the latest afterwards */
		memset(&msi_test_find(&mt->hw, 0)->msg, 0, sizeof(struct msi_msg));
		msi_restore_stores(mt->dev);
		s = msi_test_find(&mt->hw, 0);
		KUNIT_EXPECT_TRUE(test, msi_test_wait(READ_ONCE(s->msg.data)));
		msi_test_expect_same(mt, &mt->hw, maps, 2);

		mt->hw.free_hook = restore_hook;
		for (i = 0; i < ARRAY_SIZE(maps); i++) {
			free_irq(maps[i].virq, mt);
			msi_store_free_irq(mt->dev, id, maps[i]);
		}
		msi_remove_store(mt->dev, id);
		KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
		KUNIT_EXPECT_EQ(test, mt->hw.released, 1);
	}
}

/* The driver resumes its store, as its runtime_resume() callback does */
static void resume_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	hw->offline = false;
	KUNIT_EXPECT_EQ(hw->mt->test, msi_store_resume(hw->mt->dev, slot->storage->id), 0);
}

static void lock_resume_by_op(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind;
	struct msi_map maps[2];
	int id;

	mt->quiet = true;
	for (kind = MSI_TEST_DEFERRED; kind <= MSI_TEST_DEFERRED_LOCK; kind++) {
		msi_test_hw_init(mt, &mt->hw);
		id = msi_test_create(mt, kind, 8, &mt->hw);
		maps[0] = msi_test_alloc(mt, id, 0);
		KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, id, true), 0);
		mt->hw.offline = true;
		mt->hw.init_hook = resume_hook;
		maps[1] = msi_test_alloc(mt, id, 1);
		KUNIT_EXPECT_FALSE(test, msi_store_is_suspended(msi_test_store(mt, id)));
		KUNIT_EXPECT_EQ(test, msi_test_find(&mt->hw, 0)->syncs, 2);
		KUNIT_EXPECT_EQ(test, msi_test_find(&mt->hw, 1)->syncs, 1);
		msi_test_expect_same(mt, &mt->hw, maps, 2);
		msi_remove_store(mt->dev, id);
	}
}

/* A direct store is written after the op */
static void lock_resume_direct_by_op(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_test_slot *s;
	struct msi_map maps[2];
	u32 data;
	int id;

	mt->quiet = true;
	id = msi_test_create(mt, MSI_TEST_DIRECT_LOCK, 8, &mt->hw);
	maps[0] = msi_test_alloc(mt, id, 0);
	KUNIT_ASSERT_EQ(test, request_irq(maps[0].virq, msi_test_handler, 0, "msi_kunit", mt), 0);
	s = msi_test_find(&mt->hw, 0);
	data = s->msg.data;
	s->msg.data = 0;
	mt->hw.init_hook = resume_hook;
	maps[1] = msi_test_alloc(mt, id, 1);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(READ_ONCE(s->msg.data) == data));

	free_irq(maps[0].virq, mt);
	msi_remove_store(mt->dev, id);
}

#ifdef CONFIG_PM
/* Run-time power management does not wait for an op, which can wait for it */
static void lock_runtime_pm(struct kunit *test)
{
	static const enum msi_test_kind kinds[] = {
		MSI_TEST_DIRECT, MSI_TEST_DIRECT_LOCK, MSI_TEST_DEFERRED, MSI_TEST_DEFERRED_LOCK,
	};
	struct msi_test *mt = test->priv;
	enum rpm_status status = mt->dev->power.runtime_status;
	struct msi_test_slot *s;
	struct msi_slot *slot;
	struct msi_map map;
	unsigned int i;
	u32 data;
	int id;

	mt->quiet = true;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		msi_test_hw_init(mt, &mt->hw);
		id = msi_test_create(mt, kinds[i], 8, &mt->hw);
		map = msi_test_alloc(mt, id, 0);
		KUNIT_ASSERT_EQ(test, request_irq(map.virq, msi_test_handler, 0, "msi_kunit",
						  mt), 0);
		s = msi_test_find(&mt->hw, 0);
		data = s->msg.data;
		stuck_start(mt, &mt->hw, id, STUCK_INIT);

		mt->dev->power.runtime_status = RPM_SUSPENDING;
		KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, id, true), -EBUSY);
		/* A device that has to stay is left as it is, with or without access */
		KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, id, false), -EBUSY);
		KUNIT_EXPECT_FALSE(test, msi_store_is_suspended(msi_test_store(mt, id)));
		mt->dev->power.runtime_status = RPM_RESUMING;
		s->msg.data = 0;
		KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, id), 0);
		mt->dev->power.runtime_status = status;
		stuck_end(mt);
		slot = msi_test_irq_slot(map.virq);
		KUNIT_EXPECT_TRUE(test, msi_test_wait(READ_ONCE(s->msg.data) == data &&
						      msi_test_synced(slot)));

		/* Without an op in the way it works, as soon as the work item has returned */
		mt->dev->power.runtime_status = RPM_SUSPENDING;
		KUNIT_EXPECT_TRUE(test, msi_test_wait(!msi_store_suspend(mt->dev, id, true)));
		KUNIT_EXPECT_TRUE(test, msi_store_is_suspended(msi_test_store(mt, id)));
		mt->dev->power.runtime_status = RPM_RESUMING;
		s->msg.data = 0;
		KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, id), 0);
		if (!msi_test_has_lock(kinds[i]))
			KUNIT_EXPECT_EQ(test, s->msg.data, data);
		KUNIT_EXPECT_TRUE(test, msi_test_wait(READ_ONCE(s->msg.data) == data &&
						      msi_test_synced(slot)));
		s->msg.data = 0;
		msi_restore_stores(mt->dev);
		KUNIT_EXPECT_TRUE(test, msi_test_wait(READ_ONCE(s->msg.data) == data &&
						      msi_test_synced(slot)));
		mt->dev->power.runtime_status = status;

		/* What is left to do has to be done first */
		if (msi_test_is_deferred(kinds[i])) {
			irq_modify_status(map.virq, 0, _IRQ_DISABLE_UNLAZY);
			mt->hw.sync_ret = -EIO;
			disable_irq(map.virq);
			mt->dev->power.runtime_status = RPM_SUSPENDING;
			KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, id, true),
					msi_test_has_lock(kinds[i]) ? -EBUSY : 0);
			mt->dev->power.runtime_status = status;
			mt->hw.sync_ret = 0;
			KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, id), 0);
			enable_irq(map.virq);
		}

		free_irq(map.virq, mt);
		msi_remove_store(mt->dev, id);
	}
}
#endif

/* What was written while somebody else had the bus lock is written again afterwards */
static void lock_restore_later(struct kunit *test)
{
	static const enum msi_test_kind kinds[] = {
		MSI_TEST_DIRECT_LOCK, MSI_TEST_DEFERRED, MSI_TEST_DEFERRED_LOCK,
	};
	struct msi_test *mt = test->priv;
	struct msi_dev_store *store;
	struct msi_test_slot *s;
	struct msi_map map;
	unsigned int i;
	u32 data;
	int id;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		msi_test_hw_init(mt, &mt->hw);
		id = msi_test_create(mt, kinds[i], 8, &mt->hw);
		store = msi_test_store(mt, id);
		map = msi_test_alloc(mt, id, 0);
		KUNIT_ASSERT_EQ(test, request_irq(map.virq, msi_test_handler, 0, "msi_kunit",
						  mt), 0);
		s = msi_test_find(&mt->hw, 0);
		data = s->msg.data;

		msi_store_lock(store);
		s->msg.data = 0;
		msi_restore_stores(mt->dev);
		KUNIT_EXPECT_EQ(test, READ_ONCE(s->msg.data), 0);
		msi_store_sync_unlock(store);
		KUNIT_EXPECT_TRUE(test, msi_test_wait(READ_ONCE(s->msg.data) == data));

		free_irq(map.virq, mt);
		msi_store_free_irq(mt->dev, id, map);
		msi_remove_store(mt->dev, id);
		msi_test_log_reset(mt);
	}
}

/* --- Affinity --------------------------------------------------------------- */

/* There is nothing to spread over one CPU */
#ifdef CONFIG_SMP
static void sets_hook(struct irq_affinity *affd, unsigned int n)
{
	struct msi_test *mt = affd->priv;
	struct msi_dev_store *store = xa_load(&mt->dev->msi.data->stores, 1);

	KUNIT_EXPECT_FALSE(mt->test, mutex_is_locked(&mt->dev->msi.data->mutex));
	KUNIT_EXPECT_FALSE(mt->test, mutex_is_locked(&store->lock));
	KUNIT_EXPECT_FALSE(mt->test, mutex_is_locked(&store->bus_lock));
	/* As a driver may do */
	msi_get_virq(mt->dev, 0);
	cpus_read_lock();
	cpus_read_unlock();
	affd->nr_sets = 1;
	affd->set_size[0] = n;
	atomic_inc(&mt->handled);
}

static void lock_calc_sets(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct irq_affinity affd = { .calc_sets = sets_hook, .priv = mt };
	struct msi_map maps[4];
	int id, ret;

	id = msi_test_create(mt, MSI_TEST_DIRECT_LOCK, 8, &mt->hw);
	KUNIT_ASSERT_EQ(test, id, 1);
	ret = msi_store_alloc_irqs(mt->dev, id, MSI_ANY_INDEX, 1, 4, &affd, NULL, maps);
	KUNIT_EXPECT_GT(test, ret, 0);
	KUNIT_EXPECT_GT(test, atomic_read(&mt->handled), 0);
	if (ret > 0)
		msi_store_free_irqs(mt->dev, id, maps, ret);
	msi_remove_store(mt->dev, id);
}
#endif

/* --- The bus lock ----------------------------------------------------------- */

/**
 * struct waiter - A task that waits for the bus lock with an interrupt
 * @irq:	The interrupt
 * @waits:	Completed before it waits
 * @done:	Completed when it has released the lock
 */
struct waiter {
	unsigned int		irq;
	struct completion	waits;
	struct completion	done;
};

static int waiter_thread(void *arg)
{
	struct irq_desc *desc;
	struct waiter *w = arg;

	desc = irq_to_desc(w->irq);
	complete(&w->waits);
	chip_bus_lock(desc);
	chip_bus_sync_unlock(desc);
	complete(&w->done);
	return 0;
}

/* The interrupt with which somebody waits for the bus lock is freed meanwhile */
static void lock_free_while_waiting(struct kunit *test)
{
	static const enum msi_test_kind kinds[] = {
		MSI_TEST_DIRECT_LOCK, MSI_TEST_DEFERRED, MSI_TEST_DEFERRED_LOCK,
	};
	struct msi_test *mt = test->priv;
	struct msi_dev_store *store;
	struct waiter w;
	unsigned int i;
	int id;

	stuck = kunit_kzalloc(test, sizeof(*stuck), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, stuck);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		msi_test_hw_init(mt, &mt->hw);
		id = msi_test_create(mt, kinds[i], 8, &mt->hw);
		store = msi_test_store(mt, id);
		stuck->mt = mt;
		stuck->id = id;
		stuck->op = STUCK_FREE;
		stuck->map = msi_test_alloc(mt, id, 3);
		init_completion(&stuck->done);
		w.irq = stuck->map.virq;
		init_completion(&w.waits);
		init_completion(&w.done);

		/* First the one that frees it, and keeps the descriptor until the other is done */
		irq_lock_sparse();
		msi_store_lock(store);
		KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(stuck_thread, NULL, "msi_kunit")));
		msleep(50);
		KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(waiter_thread, &w, "msi_kunit")));
		wait_for_completion(&w.waits);
		msleep(50);
		msi_store_sync_unlock(store);
		KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&w.done, STUCK_MAX), 0);
		msleep(50);
		KUNIT_EXPECT_FALSE(test, mutex_is_locked(&store->bus_lock));
		if (mutex_is_locked(&store->bus_lock))
			msi_store_sync_unlock(store);
		irq_unlock_sparse();
		KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&stuck->done, STUCK_MAX), 0);
		msi_remove_store(mt->dev, id);
		msi_test_log_reset(mt);
	}
}

/* debugfs shows an interrupt before it has a chip: the bus lock is released, but not taken */
static void lock_release_of_another(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_dev_store *store;
	struct irq_data *data, early = { };
	struct msi_map map;
	int id;

	id = msi_test_create(mt, MSI_TEST_DEFERRED_LOCK, 8, &mt->hw);
	store = msi_test_store(mt, id);
	map = msi_test_alloc(mt, id, 0);
	data = irq_get_irq_data(map.virq);
	stuck_start(mt, &mt->hw, id, STUCK_SYNC);
	data->chip->irq_bus_sync_unlock(data);
	KUNIT_EXPECT_TRUE(test, mutex_is_locked(&store->bus_lock));
	/* It can have the chip before the slot */
	early.chip = data->chip;
	early.chip->irq_bus_lock(&early);
	early.chip->irq_bus_sync_unlock(&early);
	stuck_end(mt);
	KUNIT_EXPECT_FALSE(test, mutex_is_locked(&store->bus_lock));
	msi_remove_store(mt->dev, id);
}

/* --- Two stores --------------------------------------------------------------- */

static int other_store;

/* An op can change another store, if lockdep tells the two apart */
static void nested_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	struct msi_map map = msi_store_alloc_irq(hw->mt->dev, other_store, MSI_ANY_INDEX, NULL,
						 NULL);

	KUNIT_EXPECT_GE(hw->mt->test, map.index, 0);
	if (map.index >= 0)
		msi_store_free_irq(hw->mt->dev, other_store, map);
}

static void lock_nested(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind;
	struct msi_test_hw *hw;
	int id;

	hw = kunit_kzalloc(test, sizeof(*hw), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, hw);
	mt->quiet = true;
	for (kind = 0; kind < MSI_TEST_KINDS; kind++) {
		/* The lock of the simulated device has one class for all of them */
		if (msi_test_templates[kind].ops->lock)
			continue;
		msi_test_hw_init(mt, &mt->hw);
		msi_test_hw_init(mt, hw);
		other_store = msi_test_create(mt, MSI_TEST_DEFERRED, 8, hw);
		id = msi_test_create(mt, kind, 8, &mt->hw);
		mt->hw.init_hook = nested_hook;
		msi_store_free_irq(mt->dev, id, msi_test_alloc(mt, id, 0));
		msi_remove_store(mt->dev, id);
		msi_remove_store(mt->dev, other_store);
	}
}

static int count_desc(struct msi_map map, void *arg)
{
	++*(int *)arg;
	return 0;
}

/* A walk waits for nothing */
static void lock_walk(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	int id, count = 0;

	mt->quiet = true;
	id = msi_test_create(mt, MSI_TEST_DEFERRED, 8, &mt->hw);
	stuck_start(mt, &mt->hw, id, STUCK_SYNC);
	KUNIT_EXPECT_EQ(test, msi_on_each_desc(mt->dev, id, MSI_DESC_ALL, count_desc, &count), 0);
	KUNIT_EXPECT_GT(test, count, 0);
	stuck_end(mt);
	msi_remove_store(mt->dev, id);
}

static int alloc_thread(void *arg)
{
	struct msi_map map;
	unsigned int i;

	for (i = 0; i < 200; i++) {
		map = msi_store_alloc_irq(stuck->mt->dev, stuck->id, MSI_ANY_INDEX, NULL, NULL);
		KUNIT_EXPECT_GE(stuck->mt->test, map.index, 0);
		if (map.index >= 0)
			msi_store_free_irq(stuck->mt->dev, stuck->id, map);
		cond_resched();
	}
	complete(arg);
	return 0;
}

/* A number that one store has freed can be another one's at once */
static void lock_alloc_beside(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct msi_test *mt = test->priv;
	struct msi_test_hw *hw;
	struct msi_map map;
	unsigned int i;
	int other;

	hw = kunit_kzalloc(test, sizeof(*hw), GFP_KERNEL);
	stuck = kunit_kzalloc(test, sizeof(*stuck), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, hw);
	KUNIT_ASSERT_NOT_NULL(test, stuck);
	mt->quiet = true;
	msi_test_hw_init(mt, hw);
	other = msi_test_create(mt, MSI_TEST_DIRECT, 8, hw);
	stuck->mt = mt;
	stuck->id = msi_test_create(mt, MSI_TEST_DIRECT, 8, &mt->hw);
	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(alloc_thread, &done, "msi_kunit")));
	for (i = 0; i < 200; i++) {
		map = msi_test_alloc(mt, other, MSI_ANY_INDEX);
		msi_store_free_irq(mt->dev, other, map);
		cond_resched();
	}
	KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&done, 6 * STUCK_MAX), 0);
	msi_remove_store(mt->dev, stuck->id);
	msi_remove_store(mt->dev, other);
}

/* --- The end of the device's data -------------------------------------------- */

static int unbind_thread(void *arg)
{
	struct msi_test *mt = arg;

	msi_test_unbind(mt);
	complete(&stuck->done);
	return 0;
}

static unsigned int slots_seen;

static void see_slot(struct msi_desc *desc, struct msi_slot *slot)
{
	slots_seen += irqs_disabled() && slot->storage->ops->write_msg &&
		      raw_spin_is_locked(&irq_to_desc(desc->irq)->lock);
}

static unsigned int see_slots(struct msi_test *mt)
{
	slots_seen = 0;
	msi_default_store_each_slot(mt->dev, see_slot);
	return slots_seen;
}

/* The bus restores a device from anywhere, and while its driver is unbound */
static void lock_unbind(struct kunit *test)
{
	struct msi_desc init = { .nvec_used = 1 };
	struct msi_test *mt = test->priv;

	stuck = kunit_kzalloc(test, sizeof(*stuck), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, stuck);
	init_completion(&stuck->done);

	KUNIT_EXPECT_EQ(test, see_slots(mt), 0);
	KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);
	msi_lock_descs(mt->dev);
	KUNIT_EXPECT_EQ(test, msi_default_store_setup(mt->dev, &msi_test_templates[MSI_TEST_DIRECT],
						      8, NULL), 0);
	for (init.msi_index = 0; init.msi_index < 4; init.msi_index++)
		KUNIT_EXPECT_EQ(test, msi_add_msi_desc(mt->dev, &init), 0);
	KUNIT_EXPECT_EQ(test, see_slots(mt), 0);
	KUNIT_EXPECT_EQ(test, msi_default_store_alloc_irqs(mt->dev), 0);
	local_irq_disable();
	KUNIT_EXPECT_EQ(test, see_slots(mt), 4);
	local_irq_enable();
	msi_unlock_descs(mt->dev);

	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(unbind_thread, mt, "msi_kunit")));
	while (see_slots(mt))
		cond_resched();
	KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&stuck->done, STUCK_MAX), 0);

	KUNIT_EXPECT_EQ(test, see_slots(mt), 0);
	KUNIT_EXPECT_EQ(test, msi_get_virq(mt->dev, 0), 0);
	KUNIT_EXPECT_FALSE(test, msi_has_created_stores(mt->dev));
	msi_restore_stores(mt->dev);
	msi_device_gone(mt->dev);
}

/* A store is removed while somebody uses it */
static int remove_thread(void *arg)
{
	msi_remove_store(stuck->mt->dev, stuck->id);
	complete(arg);
	return 0;
}

static void lock_remove_in_use(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(removed);
	struct msi_test *mt = test->priv;
	int id;

	id = msi_test_create(mt, MSI_TEST_DEFERRED_LOCK, 8, &mt->hw);
	stuck_start(mt, &mt->hw, id, STUCK_SYNC);
	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(remove_thread, &removed, "msi_kunit")));
	KUNIT_EXPECT_TRUE(test, msi_test_wait(READ_ONCE(msi_test_store(mt, id)->dying)));
	KUNIT_EXPECT_EQ(test, msi_store_alloc_irq(mt->dev, id, 4, NULL, NULL).index, -ENODEV);
	msleep(50);
	KUNIT_EXPECT_FALSE(test, completion_done(&removed));
	KUNIT_EXPECT_EQ(test, mt->hw.released, 0);

	stuck_end(mt);
	KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&removed, STUCK_MAX), 0);
	KUNIT_EXPECT_EQ(test, mt->hw.released, 1);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
}

/* --- Results ---------------------------------------------------------------- */

/* What is neither 0 nor an error code is an error all the same */
static void lock_results(struct kunit *test)
{
	static const int results[] = { 1, INT_MAX, -MAX_ERRNO - 1, INT_MIN };
	struct msi_test *mt = test->priv;
	struct msi_map maps[3];
	unsigned int i;
	int id;

	id = msi_test_create(mt, MSI_TEST_DEFERRED, 8, &mt->hw);
	for (i = 0; i < ARRAY_SIZE(results); i++) {
		mt->hw.init_ret = results[i];
		KUNIT_EXPECT_EQ(test, msi_store_alloc_irq(mt->dev, id, 1, NULL, NULL).index, -EIO);
		KUNIT_EXPECT_EQ(test, msi_test_alloc_irqs(mt, id, 1, 3, maps), -EIO);
		mt->hw.init_ret = 0;
		if (!i)
			KUNIT_EXPECT_TRUE(test,
					  msi_test_printed(mt, "init_slot of slot 1 returned"));

		mt->hw.sync_ret = results[i];
		KUNIT_EXPECT_EQ(test, msi_store_alloc_irq(mt->dev, id, 1, NULL, NULL).index, -EIO);
		KUNIT_EXPECT_EQ(test, msi_test_alloc_irqs(mt, id, 1, 3, maps), -EIO);
		KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
		mt->hw.sync_ret = 0;
		if (!i)
			KUNIT_EXPECT_TRUE(test, msi_test_printed(mt, "sync of slot 1 returned"));
	}
#ifdef CONFIG_MSI_STORAGE_DEBUG
	KUNIT_EXPECT_GE(test, msi_test_broken() - mt->broken, 4 * ARRAY_SIZE(results));
	mt->broken = msi_test_broken();
#endif
	msi_test_log_reset(mt);
	msi_remove_store(mt->dev, id);
}

/* --- A device that is gone --------------------------------------------------- */

static void lock_gone(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind;
	struct msi_map maps[4];
	unsigned int i;
	int id;

	for (kind = 0; kind < MSI_TEST_KINDS; kind++) {
		msi_test_hw_init(mt, &mt->hw);
		id = msi_test_create(mt, kind, 8, &mt->hw);
		KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(mt, id, 4, 4, maps), 4);
		for (i = 0; i < 2; i++)
			KUNIT_ASSERT_EQ(test, request_irq(maps[i].virq, msi_test_handler, 0,
							  "msi_kunit", mt), 0);
		if (msi_test_has_lock(kind))
			msi_store_lock(msi_test_store(mt, id));

		msi_device_gone(mt->dev);
		/* It was taken before */
		if (msi_test_has_lock(kind))
			msi_store_sync_unlock(msi_test_store(mt, id));
		KUNIT_EXPECT_FALSE(test, mt->hw.locked);

		msi_test_log_reset(mt);
		disable_irq(maps[0].virq);
		enable_irq(maps[0].virq);
		msi_restore_stores(mt->dev);
		KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, id), -ENODEV);
		KUNIT_EXPECT_EQ(test, msi_store_alloc_irq(mt->dev, id, 5, NULL, NULL).index,
				-ENODEV);
		free_irq(maps[0].virq, mt);
		free_irq(maps[1].virq, mt);
		KUNIT_EXPECT_PTR_EQ_MSG(test, strstr(mt->log.buf, "mask("), NULL, "%s",
					mt->log.buf);
		KUNIT_EXPECT_PTR_EQ_MSG(test, strstr(mt->log.buf, "msg"), NULL, "%s", mt->log.buf);
		KUNIT_EXPECT_PTR_EQ_MSG(test, strstr(mt->log.buf, "sync"), NULL, "%s", mt->log.buf);
		KUNIT_EXPECT_PTR_EQ_MSG(test, strstr(mt->log.buf, "lock"), NULL, "%s", mt->log.buf);
		KUNIT_EXPECT_PTR_EQ_MSG(test, strstr(mt->log.buf, "init"), NULL, "%s", mt->log.buf);

		msi_remove_store(mt->dev, id);
		KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
		KUNIT_EXPECT_EQ(test, mt->hw.released, 1);
		KUNIT_EXPECT_PTR_EQ_MSG(test, strstr(mt->log.buf, "sync"), NULL, "%s", mt->log.buf);
		KUNIT_EXPECT_PTR_EQ_MSG(test, strstr(mt->log.buf, "lock"), NULL, "%s", mt->log.buf);
		msi_test_log_reset(mt);
	}
}

/* It vanishes while its store is removed */
static void gone_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	atomic_inc(&hw->mt->handled);
	msi_device_gone(hw->mt->dev);
}

static void lock_gone_while_removed(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map maps[4];
	int id;

	id = msi_test_create(mt, MSI_TEST_DEFERRED, 8, &mt->hw);
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(mt, id, 4, 4, maps), 4);
	mt->hw.sync_hook = gone_hook;
	msi_remove_store(mt->dev, id);
	KUNIT_EXPECT_EQ(test, atomic_read(&mt->handled), 1);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	KUNIT_EXPECT_EQ(test, mt->hw.released, 1);
}

/* Of a device in an error state nothing but the change in progress is waited for */
static int suspend_thread(void *arg)
{
	msi_store_suspend(stuck->mt->dev, stuck->id, false);
	complete(arg);
	return 0;
}

static void lock_suspend_error(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(suspended);
	struct msi_test *mt = test->priv;
	struct msi_dev_store *store;
	struct irq_data *data;
	struct msi_map map;
	int id;

	id = msi_test_create(mt, MSI_TEST_DEFERRED_LOCK, 8, &mt->hw);
	store = msi_test_store(mt, id);
	map = msi_test_alloc(mt, id, 0);
	stuck_start(mt, &mt->hw, id, STUCK_SYNC);
	msi_test_log_reset(mt);

	data = irq_get_irq_data(map.virq);
	raw_spin_lock_irq(&irq_data_to_desc(data)->lock);
	data->chip->irq_unmask(data);
	raw_spin_unlock_irq(&irq_data_to_desc(data)->lock);

	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(suspend_thread, &suspended, "msi_kunit")));
	KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_store_is_suspended(store)));
	stuck->resumes = true;
	stuck_end(mt);
	KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&suspended, STUCK_MAX), 0);
	KUNIT_EXPECT_PTR_EQ_MSG(test, strstr(mt->log.buf, "sync"), NULL, "%s", mt->log.buf);
	KUNIT_EXPECT_TRUE(test, msi_test_find(&mt->hw, 0)->masked);

	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, id), 0);
	KUNIT_EXPECT_FALSE(test, msi_test_find(&mt->hw, 0)->masked);
	msi_remove_store(mt->dev, id);
}

/* Deferred work goes on when memory is short: The workqueue has a rescuer */
static void lock_rescuer(struct kunit *test)
{
	struct task_struct *p;
	bool found = false;

	rcu_read_lock();
	for_each_process(p)
		found |= !strcmp(p->comm, "msi_store");
	rcu_read_unlock();
	KUNIT_EXPECT_TRUE(test, found);
}

static struct kunit_case msi_lock_cases[] = {
	KUNIT_CASE(lock_stuck),
	KUNIT_CASE(lock_restore_by_op),
	KUNIT_CASE(lock_resume_by_op),
	KUNIT_CASE(lock_resume_direct_by_op),
#ifdef CONFIG_PM
	KUNIT_CASE(lock_runtime_pm),
#endif
	KUNIT_CASE(lock_restore_later),
#ifdef CONFIG_SMP
	KUNIT_CASE(lock_calc_sets),
#endif
	KUNIT_CASE(lock_free_while_waiting),
	KUNIT_CASE(lock_release_of_another),
	KUNIT_CASE(lock_nested),
	KUNIT_CASE(lock_walk),
	KUNIT_CASE(lock_alloc_beside),
	KUNIT_CASE(lock_unbind),
	KUNIT_CASE(lock_remove_in_use),
	KUNIT_CASE(lock_results),
	KUNIT_CASE(lock_gone),
	KUNIT_CASE(lock_gone_while_removed),
	KUNIT_CASE(lock_suspend_error),
	KUNIT_CASE(lock_rescuer),
	{ }
};

MSI_TEST_SUITE(msi_lock, msi_lock_cases);
