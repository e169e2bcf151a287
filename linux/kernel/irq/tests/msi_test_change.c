// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: Stores that are left alone, cookies that change, and slots that are written
 * one by one or posted together
 */
#include <linux/cpu.h>
#include <linux/interrupt.h>
#include <linux/delay.h>
#include <linux/kthread.h>

#include "msi_test.h"

#define IRQS	3

/* Those that have complete() as well */
static const enum msi_test_kind change_kinds[] = {
	MSI_TEST_DIRECT, MSI_TEST_DIRECT_LOCK, MSI_TEST_NOMASK, MSI_TEST_NOMASK_LOCK,
	MSI_TEST_DEFERRED, MSI_TEST_DEFERRED_LOCK, MSI_TEST_DEFERRED_POST,
};

static void change_desc(const enum msi_test_kind *kind, char *desc)
{
	strscpy(desc, msi_test_templates[*kind].name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(change, change_kinds, change_desc);

static enum msi_test_kind change_kind(struct kunit *test)
{
	return *(const enum msi_test_kind *)test->param_value;
}

/**
 * struct change - A store and some interrupts
 * @mt:		The fixture
 * @kind:	Kind of the store
 * @id:		The store
 * @maps:	The interrupts. The first one is not requested, all others are
 */
struct change {
	struct msi_test		*mt;
	enum msi_test_kind	kind;
	int			id;
	struct msi_map		maps[IRQS];
};

static void change_request(struct change *c, unsigned int i)
{
	unsigned int irq = c->maps[i].virq;

	irq_modify_status(irq, 0, _IRQ_DISABLE_UNLAZY);
	KUNIT_ASSERT_EQ(c->mt->test, request_irq(irq, msi_test_handler, 0, "msi_kunit", c->mt), 0);
}

static void change_init(struct change *c, struct msi_test *mt, enum msi_test_kind kind)
{
	unsigned int i;

	*c = (struct change) { .mt = mt, .kind = kind };
	memset(&mt->hw, 0, sizeof(mt->hw));
	msi_test_hw_init(mt, &mt->hw);
	c->id = msi_test_create(mt, kind, 16, &mt->hw);
	KUNIT_ASSERT_EQ(mt->test, msi_test_alloc_irqs(mt, c->id, IRQS, IRQS, c->maps), IRQS);
	for (i = 1; i < IRQS; i++)
		change_request(c, i);
	msi_test_log_reset(mt);
	atomic_set(&mt->handled, 0);
}

static void change_exit(struct change *c)
{
	unsigned int i;

	for (i = 1; i < IRQS; i++)
		free_irq(c->maps[i].virq, c->mt);
	msi_store_free_irqs(c->mt->dev, c->id, c->maps, IRQS);
	msi_remove_store(c->mt->dev, c->id);
	msi_test_log_reset(c->mt);
}

static struct msi_slot *slot_of(struct change *c, unsigned int i)
{
	return msi_test_irq_slot(c->maps[i].virq);
}

static struct msi_test_slot *hw_slot(struct change *c, unsigned int i)
{
	return msi_test_find(&c->mt->hw, c->maps[i].index);
}

/* Expect that these storage ops were called. What the parent was asked for is its own matter */
static void expect_ops(struct msi_test *mt, const char *what, const char *ops)
{
	char *from = mt->log.buf, *word;
	struct msi_test_text *said;

	said = kunit_kzalloc(mt->test, sizeof(*said), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(mt->test, said);
	while ((word = strsep(&from, " "))) {
		if (*word && strncmp(word, "p.", 2))
			msi_test_add(said, "%s", word);
	}
	KUNIT_EXPECT_STREQ_MSG(mt->test, said->buf, ops, "%s", what);
	msi_test_log_reset(mt);
}

/* The ops of a batch, with lock() and unlock() around them and complete() if the store has it */
static void expect_batch(struct change *c, const char *what, const char *ops)
{
	char *copy = kstrdup(ops, GFP_KERNEL), *from = copy, *word;
	struct msi_test_text *all;
	unsigned int index;

	all = kunit_kzalloc(c->mt->test, sizeof(*all), GFP_KERNEL);
	KUNIT_ASSERT_TRUE(c->mt->test, copy && all);
	if (msi_test_has_lock(c->kind))
		msi_test_add(all, "lock");
	while ((word = strsep(&from, " "))) {
		msi_test_add(all, "%s", word);
		if (c->kind == MSI_TEST_DEFERRED_POST && sscanf(word, "sync(%u", &index) == 1)
			msi_test_add(all, "done(%u)", index);
	}
	if (msi_test_has_lock(c->kind))
		msi_test_add(all, "unlock");
	expect_ops(c->mt, what, all->buf);
	kfree(copy);
}

/* --- Suspend ------------------------------------------------------------------ */

/* The device has forgotten its slots, which it masks */
static void forget(struct change *c)
{
	unsigned int i;

	for (i = 0; i < IRQS; i++) {
		hw_slot(c, i)->masked = true;
		memset(&hw_slot(c, i)->msg, 0, sizeof(struct msi_msg));
	}
}

/* Whatever is done to interrupts, and by whomever, the device is not accessed */
static void change_suspended(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct msi_map map;
	struct change c;

	change_init(&c, mt, kind);
	KUNIT_ASSERT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
	KUNIT_EXPECT_TRUE(test, msi_store_is_suspended(msi_test_store(mt, c.id)));
	msi_test_log_reset(mt);
	mt->hw.offline = true;
	forget(&c);

	disable_irq(c.maps[1].virq);
	change_request(&c, 0);
	free_irq(c.maps[2].virq, mt);
	map = msi_test_alloc(mt, c.id, 9);
	change_request(&c, 2);
	KUNIT_EXPECT_EQ(test, irq_set_affinity(c.maps[2].virq, cpu_online_mask),
			IS_ENABLED(CONFIG_SMP) ? 0 : -EINVAL);
	msi_lose_stores(mt->dev, false);
	msi_restore_stores(mt->dev);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
	KUNIT_EXPECT_EQ(test, msi_restore_msg(c.maps[2].virq),
			msi_test_is_deferred(kind) ? -EOPNOTSUPP : 0);
	KUNIT_EXPECT_EQ(test, msi_store_restore_irq(mt->dev, c.id, c.maps[2]), 0);
	msi_store_free_irq(mt->dev, c.id, map);
	expect_ops(mt, msi_test_templates[kind].name, "init(9) free(9)");
	KUNIT_EXPECT_TRUE(test, hw_slot(&c, 2)->masked || !msi_test_can_mask(kind));

	mt->hw.offline = false;
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	KUNIT_EXPECT_FALSE(test, msi_store_is_suspended(msi_test_store(mt, c.id)));
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	KUNIT_EXPECT_NE(test, hw_slot(&c, 0)->msg.data, 0);
	KUNIT_EXPECT_TRUE(test, slot_of(&c, 1)->masked || !msi_test_can_mask(kind));
	KUNIT_EXPECT_FALSE(test, slot_of(&c, 2)->masked);

	/* From here on everything reaches the device at once */
	enable_irq(c.maps[1].virq);
	disable_irq(c.maps[2].virq);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	enable_irq(c.maps[2].virq);
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	free_irq(c.maps[0].virq, mt);
	change_exit(&c);
}

/* What is unmasked while the store is suspended, or lost, sends what it has kept */
static void change_suspended_event(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct change c;

	if (!msi_test_can_mask(kind))
		return;
	change_init(&c, mt, kind);
	disable_irq(c.maps[1].virq);
	KUNIT_ASSERT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
	msi_test_fire(mt, &mt->hw, 1);
	enable_irq(c.maps[1].virq);
	KUNIT_EXPECT_EQ(test, atomic_read(&mt->handled), 0);
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&mt->handled) == 1));
	change_exit(&c);
}

static int mask_thread(void *data)
{
	struct change *c = data;

	disable_irq(c->maps[1].virq);
	return 0;
}

static int suspend_thread(void *data)
{
	struct change *c = data;

	return msi_store_suspend(c->mt->dev, c->id, false);
}

/* Who waits for the bus lock before the one who suspends has a device to lock, or none */
static void change_suspend_locks(struct kunit *test)
{
	static int (*const threads[])(void *) = { mask_thread, suspend_thread };
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct task_struct *tasks[ARRAY_SIZE(threads)];
	struct msi_dev_store *store;
	unsigned int i;
	struct change c;

	if (!msi_test_has_lock(kind))
		return;
	change_init(&c, mt, kind);
	store = msi_test_store(mt, c.id);
	msi_store_lock(store);
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		tasks[i] = kthread_create(threads[i], &c, "msi_kunit");
		KUNIT_ASSERT_FALSE(test, IS_ERR(tasks[i]));
		get_task_struct(tasks[i]);
		wake_up_process(tasks[i]);
		/* Sleeps in the bus lock */
		KUNIT_EXPECT_TRUE(test, msi_test_wait(READ_ONCE(tasks[i]->__state) ==
						      TASK_UNINTERRUPTIBLE));
	}
	msi_store_sync_unlock(store);
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		KUNIT_EXPECT_EQ(test, kthread_stop(tasks[i]), 0);
		put_task_struct(tasks[i]);
	}
	KUNIT_EXPECT_NULL_MSG(test, strchr(mt->log.buf, '['), "%s", mt->log.buf);
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	enable_irq(c.maps[1].virq);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	change_exit(&c);
}

/* A device that cannot be accessed any more is not locked either */
static void change_suspend_frozen(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
#ifdef CONFIG_PM
	enum rpm_status status = mt->dev->power.runtime_status;
#endif
	struct change c;

	change_init(&c, mt, kind);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, false), 0);
	expect_ops(mt, msi_test_templates[kind].name, "");
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
#ifdef CONFIG_PM
	msi_test_log_reset(mt);
	mt->dev->power.runtime_status = RPM_SUSPENDING;
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, false), 0);
	mt->dev->power.runtime_status = status;
	expect_ops(mt, msi_test_templates[kind].name, "");
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
#endif
	change_exit(&c);
}

/* A store that is removed as it is */
static void change_remove_suspended(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct change c;
	unsigned int i;

	change_init(&c, mt, kind);
	KUNIT_ASSERT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
	msi_test_log_reset(mt);
	mt->hw.offline = true;
	for (i = 1; i < IRQS; i++)
		free_irq(c.maps[i].virq, mt);
	msi_remove_store(mt->dev, c.id);
	expect_ops(mt, msi_test_templates[kind].name, "free(0) free(1) free(2) release");
	KUNIT_EXPECT_EQ(test, mt->hw.released, 1);
}

/* A device that is gone is neither waited for nor accessed */
static void change_gone(struct kunit *test)
{
	static const union msi_instance_cookie cookie = { .value = 5 };
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct change c;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		change_init(&c, mt, kind);
		if (i)
			KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
		msi_test_log_reset(mt);
		mt->hw.offline = true;
		msi_device_gone(mt->dev);
		KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, !i), -ENODEV);
		KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), -ENODEV);
		KUNIT_EXPECT_EQ(test, msi_store_restore_irq(mt->dev, c.id, c.maps[1]),
				-ENODEV);
		KUNIT_EXPECT_EQ(test, msi_store_set_cookie(mt->dev, c.id, c.maps[1],
							   &cookie), -ENODEV);
		msi_lose_stores(mt->dev, false);
		msi_restore_stores(mt->dev);
		disable_irq(c.maps[1].virq);
		enable_irq(c.maps[1].virq);
		expect_ops(mt, msi_test_templates[kind].name, "");
		change_exit(&c);
	}
}

#define ROUNDS	200

static int change_mask_thread(void *data)
{
	struct change *c = data;

	while (!kthread_should_stop()) {
		disable_irq(c->maps[1].virq);
		enable_irq(c->maps[1].virq);
		cond_resched();
	}
	return 0;
}

static int change_lose_thread(void *data)
{
	struct change *c = data;

	while (!kthread_should_stop()) {
		msi_lose_stores(c->mt->dev, false);
		forget(c);
		msi_restore_stores(c->mt->dev);
		cond_resched();
	}
	return 0;
}

/* While the bus has the device forget its slots, and others mask and unmask */
static void change_lose_race(struct kunit *test)
{
	static int (*const threads[])(void *) = { change_mask_thread, change_lose_thread };
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct task_struct *tasks[ARRAY_SIZE(threads)];
	struct change c;
	unsigned int i;

	if (msi_test_is_deferred(kind) || !msi_test_can_mask(kind))
		return;
	mt->quiet = true;
	change_init(&c, mt, kind);
	mt->hw.suspends = true;
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		tasks[i] = kthread_run(threads[i], &c, "msi_kunit");
		KUNIT_ASSERT_FALSE(test, IS_ERR(tasks[i]));
	}
	for (i = 0; i < 10 * ROUNDS; i++) {
		KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
		WRITE_ONCE(mt->hw.offline, true);
		cond_resched();
		WRITE_ONCE(mt->hw.offline, false);
		KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		kthread_stop(tasks[i]);
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	change_exit(&c);
}

/* While another CPU masks and unmasks */
static void change_suspend_race(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct task_struct *task;
	enum msi_test_kind kind = change_kind(test);
	struct change c;
	unsigned int i;

	mt->quiet = true;
	change_init(&c, mt, kind);
	mt->hw.suspends = true;
	task = kthread_run(change_mask_thread, &c, "msi_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (i = 0; i < ROUNDS; i++) {
		KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
		WRITE_ONCE(mt->hw.offline, true);
		forget(&c);
		cond_resched();
		WRITE_ONCE(mt->hw.offline, false);
		KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	}
	kthread_stop(task);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	change_exit(&c);
}

/* It is lost again before somebody has got around to restore it: that does not count */
static void change_lost_twice(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_dev_store *store;
	enum msi_test_kind kind;
	struct change c;

	for (kind = 0; kind < MSI_TEST_DEFERRED; kind++) {
		if (!msi_test_can_mask(kind))
			continue;
		change_init(&c, mt, kind);
		store = msi_test_store(mt, c.id);
		mutex_lock(store->guard);
		msi_lose_stores(mt->dev, false);
		forget(&c);
		msi_restore_stores(mt->dev);
		msi_lose_stores(mt->dev, false);
		forget(&c);
		mt->hw.offline = true;
		mutex_unlock(store->guard);
		flush_work(&store->restore);
		mt->hw.offline = false;
		msi_test_log_reset(mt);
		disable_irq(c.maps[1].virq);
		disable_irq(c.maps[2].virq);
		enable_irq(c.maps[2].virq);
		KUNIT_EXPECT_FALSE_MSG(test, strstr(mt->log.buf, "mask("), "%s", mt->log.buf);

		msi_restore_stores(mt->dev);
		msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
		enable_irq(c.maps[1].virq);
		msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
		change_exit(&c);
	}
}

static void free_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	struct msi_test_slot *s = slot->priv;

	KUNIT_EXPECT_TRUE(hw->mt->test, s->masked);
	KUNIT_EXPECT_EQ(hw->mt->test, s->msg.data, 0);
}

/* An interrupt that is freed meanwhile is not sent, even if the device has kept the slot */
static void change_free_lost(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct change c;

	if (!msi_test_can_mask(kind))
		return;
	change_init(&c, mt, kind);
	msi_lose_stores(mt->dev, false);
	free_irq(c.maps[1].virq, mt);
	mt->hw.free_hook = free_hook;
	msi_store_free_irq(mt->dev, c.id, c.maps[1]);
	mt->hw.free_hook = NULL;
	msi_restore_stores(mt->dev);
	c.maps[1] = msi_test_alloc(mt, c.id, 1);
	change_request(&c, 1);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	change_exit(&c);
}

/* A deferred store that forgets without its driver: no slot is unmasked without a message */
static void change_lost_deferred(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct change c;

	change_init(&c, mt, MSI_TEST_DEFERRED);
	disable_irq(c.maps[1].virq);
	msi_lose_stores(mt->dev, false);
	forget(&c);
	msi_test_log_reset(mt);
	enable_irq(c.maps[1].virq);
	KUNIT_EXPECT_PTR_NE(test, strstr(mt->log.buf, "sync(1,msg=101,mask=0)"), NULL);
	msi_restore_stores(mt->dev);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	change_exit(&c);
}

/*
 * The bus resets the device, which nobody accesses before it is restored. That the driver
 * resumes the store meanwhile, as it does after a reset of its own, changes nothing.
 */
static void change_bus_reset(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct change c;

	change_init(&c, mt, kind);
	msi_lose_stores(mt->dev, true);
	KUNIT_EXPECT_TRUE(test, msi_storage_is_suspended(slot_of(&c, 0)->storage));
	mt->hw.offline = true;
	forget(&c);
	disable_irq(c.maps[1].virq);
	change_request(&c, 0);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	enable_irq(c.maps[1].virq);
	free_irq(c.maps[2].virq, mt);
	KUNIT_EXPECT_EQ(test, msi_store_restore_irq(mt->dev, c.id, c.maps[1]), 0);
	msi_store_free_irq(mt->dev, c.id, c.maps[2]);
	c.maps[2] = msi_test_alloc(mt, c.id, 2);
	flush_workqueue(msi_wq);
	expect_ops(mt, "during the reset", "free(2) init(2)");

	mt->hw.offline = false;
	msi_restore_stores(mt->dev);
	KUNIT_EXPECT_FALSE(test, msi_storage_is_suspended(slot_of(&c, 0)->storage));
	msi_test_expect_same(mt, &mt->hw, c.maps, 2);
	change_request(&c, 2);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	free_irq(c.maps[0].virq, mt);
	change_exit(&c);
}

/* The device does not respond after the reset. Later the driver resets it once more */
static void change_reset_failed(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct change c;

	change_init(&c, mt, kind);
	msi_lose_stores(mt->dev, true);
	forget(&c);
	mt->hw.offline = true;
	msi_end_reset(mt->dev);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, false), 0);
	mt->hw.offline = false;
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	change_exit(&c);
}

/* The bus does not find a store that is removed while it resets the device */
static void change_reset_removed(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	unsigned int i;
	struct change c;

	change_init(&c, mt, change_kind(test));
	for (i = 1; i < IRQS; i++)
		free_irq(c.maps[i].virq, mt);
	msi_lose_stores(mt->dev, true);
	mt->hw.offline = true;
	msi_test_log_reset(mt);
	msi_remove_store(mt->dev, c.id);
	msi_restore_stores(mt->dev);
	msi_end_reset(mt->dev);
	expect_ops(mt, "removal", "free(0) free(1) free(2) release");
}

/* What is left to restore is done before slots are released */
static void change_remove_lost(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_dev_store *store;
	struct change c;
	unsigned int i;

	change_init(&c, mt, MSI_TEST_DIRECT);
	for (i = 1; i < IRQS; i++)
		free_irq(c.maps[i].virq, mt);
	store = msi_test_store(mt, c.id);
	mutex_lock(store->guard);
	msi_lose_stores(mt->dev, false);
	forget(&c);
	msi_restore_stores(mt->dev);
	msi_test_log_reset(mt);
	mutex_unlock(store->guard);
	msi_remove_store(mt->dev, c.id);
	expect_ops(mt, "removal",
		   "mask(0) msg(0)=0 mask(1) msg(1)=0 mask(2) msg(2)=0 free(0) free(1) free(2) release");
}

static void resume_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	hw->init_hook = NULL;
	hw->offline = false;
	KUNIT_EXPECT_EQ(hw->mt->test, msi_store_resume(hw->mt->dev, slot->storage->id), 0);
}

/* An op resumes the store. The next one finds it locked */
static void change_resume_locks(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct msi_map maps[2];
	struct change c;

	if (!msi_test_has_lock(kind))
		return;
	change_init(&c, mt, kind);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
	mt->hw.offline = true;
	forget(&c);
	msi_test_log_reset(mt);
	mt->hw.init_hook = resume_hook;
	KUNIT_EXPECT_EQ(test, msi_test_alloc_irqs(mt, c.id, 2, 2, maps), 2);
	mt->hw.init_hook = NULL;
	KUNIT_EXPECT_TRUE_MSG(test, strstarts(mt->log.buf, "init(3) lock init(4)"),
			      "%s", mt->log.buf);
	KUNIT_EXPECT_FALSE_MSG(test, strchr(mt->log.buf, '['), "%s", mt->log.buf);
	/* Wait for the rest, if that is left to somebody else */
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	msi_store_free_irqs(mt->dev, c.id, maps, 2);
	change_exit(&c);
}

/* --- Cookies ------------------------------------------------------------------ */

static const union msi_instance_cookie five = { .value = 5 }, six = { .value = 6 };

static void fire_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	struct msi_test_slot *s = slot->priv;
	unsigned long flags;

	raw_spin_lock_irqsave(&hw->lock, flags);
	s->pending = true;
	raw_spin_unlock_irqrestore(&hw->lock, flags);
}

static int set_cookie(struct change *c, unsigned int i, const union msi_instance_cookie *cookie)
{
	return msi_store_set_cookie(c->mt->dev, c->id, c->maps[i], cookie);
}

static void expect_cookie(struct change *c, unsigned int i,
			  const union msi_instance_cookie *cookie)
{
	KUNIT_EXPECT_EQ(c->mt->test, (bool)slot_of(c, i)->has_cookie, !!cookie);
	KUNIT_EXPECT_EQ(c->mt->test, slot_of(c, i)->cookie.value, cookie ? cookie->value : 0);
	KUNIT_EXPECT_EQ(c->mt->test, hw_slot(c, i)->cookie.value, cookie ? cookie->value : 0);
}

/* The slot is masked meanwhile, and only if it has to be */
static void change_cookie(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct change c;
	bool deferred = msi_test_is_deferred(kind);

	change_init(&c, mt, kind);
	if (!msi_test_can_mask(kind)) {
		KUNIT_EXPECT_EQ(test, set_cookie(&c, 1, &five), -EOPNOTSUPP);
		change_exit(&c);
		return;
	}
	expect_cookie(&c, 1, NULL);

	mt->hw.cookie_hook = fire_hook;
	KUNIT_EXPECT_EQ(test, set_cookie(&c, 1, &five), 0);
	mt->hw.cookie_hook = NULL;
	expect_batch(&c, "in use", deferred ?
		     "sync(1,mask=1) cookie(1)=5 sync(1,msg=101,mask=1) sync(1,mask=0)" :
		     "mask(1) cookie(1)=5 mask(1) msg(1)=101 unmask(1)");
	expect_cookie(&c, 1, &five);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&mt->handled) == 1));
	KUNIT_EXPECT_EQ(test, hw_slot(&c, 1)->sent.value, 5);

	disable_irq(c.maps[2].virq);
	msi_test_log_reset(mt);
	KUNIT_EXPECT_EQ(test, set_cookie(&c, 2, &six), 0);
	expect_batch(&c, "masked", deferred ? "cookie(2)=6 sync(2,msg=102,mask=1)" :
		     "mask(2) cookie(2)=6 mask(2) msg(2)=102");
	expect_cookie(&c, 2, &six);
	enable_irq(c.maps[2].virq);
	KUNIT_EXPECT_EQ(test, set_cookie(&c, 2, NULL), 0);
	expect_cookie(&c, 2, NULL);
	KUNIT_EXPECT_FALSE(test, hw_slot(&c, 2)->masked);

	/* One that was not requested */
	KUNIT_EXPECT_EQ(test, set_cookie(&c, 0, &six), 0);
	expect_cookie(&c, 0, &six);
	KUNIT_EXPECT_TRUE(test, hw_slot(&c, 0)->masked);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	expect_cookie(&c, 1, &five);
	change_exit(&c);
}

/* The allocation passes it on, or that there is none */
static void change_cookie_alloc(struct kunit *test)
{
	static const union msi_instance_cookie zero[2];
	struct msi_test *mt = test->priv;
	struct msi_map maps[2];
	int id;

	id = msi_test_create(mt, MSI_TEST_DIRECT, 8, &mt->hw);
	maps[0] = msi_store_alloc_irq(mt->dev, id, 0, NULL, NULL);
	KUNIT_ASSERT_GT(test, maps[0].virq, 0);
	KUNIT_EXPECT_FALSE(test, msi_test_irq_slot(maps[0].virq)->has_cookie);
	maps[1] = msi_store_alloc_irq(mt->dev, id, 1, NULL, zero);
	KUNIT_ASSERT_GT(test, maps[1].virq, 0);
	KUNIT_EXPECT_TRUE(test, msi_test_irq_slot(maps[1].virq)->has_cookie);
	msi_store_free_irqs(mt->dev, id, maps, 2);

	KUNIT_ASSERT_EQ(test, msi_store_alloc_irqs(mt->dev, id, MSI_ANY_INDEX, 2, 2, NULL, zero,
						   maps), 2);
	KUNIT_EXPECT_TRUE(test, msi_test_irq_slot(maps[1].virq)->has_cookie);
	msi_store_free_irqs(mt->dev, id, maps, 2);
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(mt, id, 2, 2, maps), 2);
	KUNIT_EXPECT_FALSE(test, msi_test_irq_slot(maps[1].virq)->has_cookie);
	msi_remove_store(mt->dev, id);
}

/* What the ops or the device refuse leaves the old one */
static void fail_second_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	hw->sync_ret = slot->cookie.value == 6 ? -EREMOTEIO : 0;
}

static void change_cookie_refused(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct change c;
	bool deferred = msi_test_is_deferred(kind);

	if (!msi_test_can_mask(kind))
		return;
	change_init(&c, mt, kind);
	KUNIT_EXPECT_EQ(test, set_cookie(&c, 1, &five), 0);
	msi_test_log_reset(mt);

	mt->hw.bad_cookie = 6;
	mt->hw.cookie_hook = fire_hook;
	atomic_set(&mt->handled, 0);
	KUNIT_EXPECT_EQ(test, set_cookie(&c, 1, &six), -EINVAL);
	expect_batch(&c, "refused", deferred ?
		     "sync(1,mask=1) cookie(1)=6 sync(1,mask=0)" :
		     "mask(1) cookie(1)=6 mask(1) msg(1)=101 unmask(1)");
	expect_cookie(&c, 1, &five);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&mt->handled) == 1));
	KUNIT_EXPECT_EQ(test, hw_slot(&c, 1)->sent.value, 5);
	mt->hw.bad_cookie = 0;
	mt->hw.cookie_hook = NULL;

	if (deferred) {
		mt->hw.sync_hook = fail_second_hook;
		KUNIT_EXPECT_EQ(test, set_cookie(&c, 1, &six), -EREMOTEIO);
		expect_batch(&c, "failed",
			     "sync(1,mask=1) cookie(1)=6 sync(1,msg=101,mask=1) cookie(1)=5 sync(1,msg=101,mask=1) sync(1,mask=0)");
		expect_cookie(&c, 1, &five);
		mt->hw.sync_hook = NULL;

		/* Nobody can mask the slot: The cookie stays, and so does the error */
		mt->hw.sync_ret = -EREMOTEIO;
		KUNIT_EXPECT_EQ(test, set_cookie(&c, 1, &six), -EREMOTEIO);
		KUNIT_EXPECT_NULL(test, strstr(mt->log.buf, "cookie("));
		mt->hw.sync_ret = 0;
		expect_cookie(&c, 1, &five);
		KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(slot_of(&c, 1))));
	}
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	change_exit(&c);
}

static void change_cookie_suspended(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct change c;

	if (!msi_test_can_mask(kind))
		return;
	change_init(&c, mt, kind);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
	msi_test_log_reset(mt);
	mt->hw.offline = true;
	KUNIT_EXPECT_EQ(test, set_cookie(&c, 1, &five), 0);
	expect_ops(mt, msi_test_templates[kind].name, "cookie(1)=5");
	KUNIT_EXPECT_EQ(test, hw_slot(&c, 1)->cookie.value, 0);
	forget(&c);
	mt->hw.offline = false;
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	expect_cookie(&c, 1, &five);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	change_exit(&c);
}

/* Masked and unmasked by others while the cookie changes: it stays masked until it has */
static void mask_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	msi_deferred_set_mask(slot, true);
	msi_deferred_set_mask(slot, false);
}

static void change_cookie_deferred_mask(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct change c;

	change_init(&c, mt, MSI_TEST_DEFERRED);
	mt->hw.cookie_hook = mask_hook;
	KUNIT_EXPECT_EQ(test, set_cookie(&c, 1, &six), 0);
	mt->hw.cookie_hook = NULL;
	expect_batch(&c, "masked and unmasked meanwhile",
		     "sync(1,mask=1) cookie(1)=6 sync(1,msg=101,mask=1) sync(1,mask=0)");
	expect_cookie(&c, 1, &six);
	KUNIT_EXPECT_FALSE(test, hw_slot(&c, 1)->masked);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	change_exit(&c);
}

/* It could not be masked before: this is tried again first */
static void change_cookie_not_masked(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct change c;

	change_init(&c, mt, MSI_TEST_DEFERRED);
	mt->hw.sync_index = 1;
	mt->hw.sync_ret = -EREMOTEIO;
	disable_irq(c.maps[1].virq);
	KUNIT_EXPECT_FALSE(test, hw_slot(&c, 1)->masked);
	KUNIT_EXPECT_EQ(test, set_cookie(&c, 1, &five), -EREMOTEIO);
	expect_cookie(&c, 1, NULL);
	KUNIT_EXPECT_FALSE(test, strstr(mt->log.buf, "cookie"));
	mt->hw.sync_ret = 0;
	KUNIT_EXPECT_EQ(test, set_cookie(&c, 1, &five), 0);
	expect_cookie(&c, 1, &five);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	enable_irq(c.maps[1].virq);
	change_exit(&c);
}

/* Wrong arguments of the calls for one interrupt */
static void change_bad_arguments(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct change c;
	unsigned int i;

	change_init(&c, mt, MSI_TEST_DIRECT);
	{
		const struct msi_map bad[] = {
			{ .index = -1, .virq = c.maps[0].virq },
			{ .index = 0, .virq = 0 },
			{ .index = 0, .virq = -1 },
			{ .index = 0, .virq = c.maps[1].virq },
			{ .index = 7, .virq = c.maps[0].virq },
			{ .index = 16, .virq = c.maps[0].virq },
		};

		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			KUNIT_EXPECT_EQ(test, msi_store_set_cookie(mt->dev, c.id, bad[i], &five),
					-EINVAL);
			KUNIT_EXPECT_EQ(test, msi_store_restore_irq(mt->dev, c.id, bad[i]),
					-EINVAL);
		}
	}
	KUNIT_EXPECT_EQ(test, msi_store_set_cookie(mt->dev, 77, c.maps[0], &five), -ENODEV);
	KUNIT_EXPECT_EQ(test, msi_store_restore_irq(mt->dev, 77, c.maps[0]), -ENODEV);
	expect_ops(mt, "batch", "");
	change_exit(&c);
}

/* --- One slot ------------------------------------------------------------------- */

static void change_restore_irq(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	enum msi_test_kind kind = change_kind(test);
	struct change c;
	bool deferred = msi_test_is_deferred(kind), mask = msi_test_can_mask(kind);

	change_init(&c, mt, kind);
	forget(&c);
	KUNIT_EXPECT_EQ(test, msi_store_restore_irq(mt->dev, c.id, c.maps[1]), 0);
	expect_batch(&c, "one", deferred ? "sync(1,msg=101,mask=0)" :
		     mask ? "mask(1) msg(1)=101 unmask(1)" : "msg(1)=101");
	msi_test_expect_same(mt, &mt->hw, &c.maps[1], 1);
	KUNIT_EXPECT_EQ(test, hw_slot(&c, 2)->msg.data, 0);

	if (deferred) {
		mt->hw.sync_ret = -EREMOTEIO;
		KUNIT_EXPECT_EQ(test, msi_store_restore_irq(mt->dev, c.id, c.maps[2]),
				-EREMOTEIO);
		mt->hw.sync_ret = 0;
		KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(slot_of(&c, 2))));
		msi_test_expect_same(mt, &mt->hw, &c.maps[2], 1);
	}
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	change_exit(&c);
}

/* --- A batch at given indices ------------------------------------------------------ */

static void change_alloc_at(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map maps[8], one;
	unsigned int i;
	int id;

	id = msi_test_create(mt, MSI_TEST_DIRECT, 8, &mt->hw);
#define ALLOC_AT(index, min, max)	\
	msi_store_alloc_irqs(mt->dev, id, index, min, max, NULL, NULL, maps)

	KUNIT_ASSERT_EQ(test, ALLOC_AT(3, 2, 2), 2);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, maps[i].index, 3 + i);
	msi_store_free_irqs(mt->dev, id, maps, 2);

	/* Into a store that is not empty, and as far as it goes */
	one = msi_test_alloc(mt, id, 2);
	KUNIT_ASSERT_EQ(test, ALLOC_AT(5, 1, 8), 3);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, maps[i].index, 5 + i);
	msi_store_free_irqs(mt->dev, id, maps, 3);
	KUNIT_EXPECT_EQ(test, ALLOC_AT(0, 3, 3), -EBUSY);
	KUNIT_EXPECT_EQ(test, ALLOC_AT(0, 1, 3), -EBUSY);
	KUNIT_EXPECT_EQ(test, ALLOC_AT(2, 1, 1), -EBUSY);
	KUNIT_EXPECT_EQ(test, ALLOC_AT(6, 3, 3), -ERANGE);
	KUNIT_EXPECT_EQ(test, ALLOC_AT(8, 1, 1), -ERANGE);
	KUNIT_EXPECT_EQ(test, ALLOC_AT(MSI_ANY_INDEX - 1, 1, 1), -ERANGE);
	KUNIT_EXPECT_EQ(test, ALLOC_AT(0, 0, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 1);
	KUNIT_ASSERT_EQ(test, ALLOC_AT(0, 2, 2), 2);
	KUNIT_EXPECT_EQ(test, maps[1].index, 1);
	msi_store_free_irqs(mt->dev, id, maps, 2);
	msi_store_free_irq(mt->dev, id, one);
	msi_remove_store(mt->dev, id);
}

/* There is nothing to spread over one CPU */
#ifdef CONFIG_SMP
/* Slot n serves queue n */
static void change_affinity(struct kunit *test)
{
	static struct irq_affinity_desc single;
	struct irq_affinity affd = { .pre_vectors = 1 };
	unsigned int i, count = 1 + num_possible_cpus();
	struct msi_test *mt = test->priv;
	const struct cpumask *mask;
	struct msi_map maps[8], one;
	cpumask_var_t all;
	int id;

	count = min(count, 4U);
	KUNIT_ASSERT_TRUE(test, zalloc_cpumask_var(&all, GFP_KERNEL));
	id = msi_test_create(mt, MSI_TEST_DIRECT, 8, &mt->hw);
	cpumask_set_cpu(0, &single.mask);
	one = msi_store_alloc_irq(mt->dev, id, 0, &single, NULL);
	KUNIT_ASSERT_EQ(test, one.index, 0);
	KUNIT_ASSERT_EQ(test, msi_store_alloc_irqs(mt->dev, id, 2, count, count, &affd, NULL, maps),
			count);

	mask = msi_store_get_affinity(mt->dev, id, 0);
	KUNIT_ASSERT_NOT_NULL(test, mask);
	KUNIT_EXPECT_TRUE(test, cpumask_equal(mask, &single.mask));
	for (i = 1; i < count; i++) {
		mask = msi_store_get_affinity(mt->dev, id, 2 + i);
		KUNIT_ASSERT_NOT_NULL(test, mask);
		KUNIT_EXPECT_FALSE(test, cpumask_intersects(all, mask));
		cpumask_or(all, all, mask);
		KUNIT_EXPECT_TRUE(test, irqd_affinity_is_managed(irq_get_irq_data(maps[i].virq)));
	}
	/* Each CPU has one */
	KUNIT_EXPECT_TRUE(test, cpumask_equal(all, cpu_possible_mask));

	KUNIT_EXPECT_NULL(test, msi_store_get_affinity(mt->dev, id, 1));
	KUNIT_EXPECT_NULL(test, msi_store_get_affinity(mt->dev, id, UINT_MAX));
	KUNIT_EXPECT_NULL(test, msi_store_get_affinity(mt->dev, 77, 0));
	msi_store_free_irqs(mt->dev, id, maps, count);
	KUNIT_EXPECT_NULL(test, msi_store_get_affinity(mt->dev, id, 3));
	msi_store_free_irq(mt->dev, id, one);
	one = msi_test_alloc(mt, id, 0);
	KUNIT_EXPECT_NULL(test, msi_store_get_affinity(mt->dev, id, 0));
	msi_store_free_irq(mt->dev, id, one);
	msi_remove_store(mt->dev, id);
	free_cpumask_var(all);
}
#endif

/* --- Several slots at once ----------------------------------------------------------- */

static void change_post(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map maps[6];
	int id;

	id = msi_test_create(mt, MSI_TEST_DEFERRED_POST, 8, &mt->hw);
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(mt, id, 6, 6, maps), 6);
	expect_ops(mt, "batch",
		   "lock init(0) init(1) init(2) init(3) init(4) init(5) unlock lock sync(0,msg=100,mask=1) sync(1,msg=101,mask=1) sync(2,msg=102,mask=1) sync(3,msg=103,mask=1) done(0) sync(4,msg=104,mask=1) done(1) sync(5,msg=105,mask=1) done(2) done(3) done(4) done(5) unlock");
	msi_test_expect_same(mt, &mt->hw, maps, 6);

	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, id, true), 0);
	msi_test_log_reset(mt);
	mt->hw.room = 8;
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, id), 0);
	expect_ops(mt, "batch",
		   "lock sync(0,msg=100,mask=1) sync(1,msg=101,mask=1) sync(2,msg=102,mask=1) sync(3,msg=103,mask=1) sync(4,msg=104,mask=1) sync(5,msg=105,mask=1) done(0) done(1) done(2) done(3) done(4) done(5) unlock");

	/* One after the other, as without complete() */
	mt->hw.room = 1;
	msi_store_free_irqs(mt->dev, id, maps, 2);
	expect_ops(mt, "batch",
		   "lock sync(0,msg=0) done(0) sync(1,msg=0) done(1) unlock lock free(0) free(1) unlock");
	msi_store_free_irqs(mt->dev, id, maps + 2, 4);
	msi_remove_store(mt->dev, id);
}

#ifdef CONFIG_SPARSE_IRQ
/* As many commands are under way as the store has room for, however many that are */
static void change_post_many(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map *maps;
	int id;

	maps = kunit_kcalloc(test, MSI_TEST_POSTS, sizeof(*maps), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, maps);
	mt->hw.room = MSI_TEST_POSTS;
	id = msi_test_create(mt, MSI_TEST_DEFERRED_POST, MSI_TEST_POSTS, &mt->hw);
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(mt, id, MSI_TEST_POSTS, MSI_TEST_POSTS, maps),
			MSI_TEST_POSTS);
	KUNIT_EXPECT_EQ(test, mt->hw.most_posts, MSI_TEST_POSTS);
	mt->hw.most_posts = 0;
	msi_store_free_irqs(mt->dev, id, maps, MSI_TEST_POSTS);
	KUNIT_EXPECT_EQ(test, mt->hw.most_posts, MSI_TEST_POSTS);
	msi_remove_store(mt->dev, id);
}
#endif

/* Each error is one of its own slot, and is told to whom it concerns */
static void change_post_error(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map maps[4], more[2];
	unsigned int i;
	int id;

	id = msi_test_create(mt, MSI_TEST_DEFERRED_POST, 8, &mt->hw);
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(mt, id, 4, 4, maps), 4);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, id, true), 0);
	mt->hw.sync_index = 1;
	mt->hw.sync_ret = -EREMOTEIO;
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, id), -EREMOTEIO);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, !msi_slot_core(msi_test_irq_slot(maps[i].virq))->dirty,
				i != 1);
		KUNIT_EXPECT_EQ(test, msi_test_find(&mt->hw, i)->syncs, i == 1 ? 1 : 2);
	}
	/* New ones are not concerned */
	KUNIT_EXPECT_EQ(test, msi_test_alloc_irqs(mt, id, 2, 2, more), 2);
	msi_store_free_irqs(mt->dev, id, more, 2);
	mt->hw.sync_index = 5;
	KUNIT_EXPECT_EQ(test, msi_test_alloc_irqs(mt, id, 2, 2, more), -EREMOTEIO);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 4);
	mt->hw.sync_ret = 0;
	KUNIT_EXPECT_TRUE(test, msi_test_wait(msi_test_synced(msi_test_irq_slot(maps[1].virq))));
	msi_test_expect_same(mt, &mt->hw, maps, 4);

	/* Without a command under way, no room is an error like any other */
	mt->hw.room = 0;
	KUNIT_EXPECT_EQ(test, msi_test_alloc_irqs(mt, id, 2, 2, more), -EAGAIN);
	mt->hw.room = 4;
	msi_store_free_irqs(mt->dev, id, maps, 4);
	msi_remove_store(mt->dev, id);
}

static struct msi_slot *change_slot;

/* Slot 1 is posted, and changes */
static void change_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	hw->done_hook = NULL;
	KUNIT_EXPECT_TRUE(hw->mt->test, msi_slot_core(change_slot)->posted);
	msi_deferred_set_mask(change_slot, true);
	KUNIT_EXPECT_FALSE(hw->mt->test, change_slot->masked);
	KUNIT_EXPECT_NE(hw->mt->test, msi_slot_core(change_slot)->dirty, 0);
}

static void change_post_changed(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct change c;

	change_init(&c, mt, MSI_TEST_DEFERRED_POST);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
	msi_test_log_reset(mt);
	change_slot = slot_of(&c, 1);
	mt->hw.done_hook = change_hook;
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	expect_ops(mt, "batch",
		   "lock sync(0,msg=100,mask=1) sync(1,msg=101,mask=0) sync(2,msg=102,mask=0) done(0) done(1) sync(1,mask=1) done(2) done(1) unlock");
	KUNIT_EXPECT_TRUE(test, hw_slot(&c, 1)->masked);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	msi_store_lock(msi_test_store(mt, c.id));
	msi_deferred_set_mask(change_slot, false);
	msi_store_sync_unlock(msi_test_store(mt, c.id));
	change_exit(&c);
}

/* Slot 2 was posted and had no room, and is masked and unmasked before it is posted again */
static void back_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	hw->done_hook = NULL;
	KUNIT_EXPECT_FALSE(hw->mt->test, msi_slot_core(change_slot)->posted);
	msi_deferred_set_mask(change_slot, false);
	msi_deferred_set_mask(change_slot, true);
}

static void change_post_back(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_dev_store *store;
	struct change c;

	change_init(&c, mt, MSI_TEST_DEFERRED_POST);
	store = msi_test_store(mt, c.id);
	change_slot = slot_of(&c, 2);
	mt->hw.room = 1;
	mt->hw.done_hook = back_hook;
	msi_store_lock(store);
	msi_deferred_set_mask(slot_of(&c, 1), true);
	msi_deferred_set_mask(change_slot, true);
	msi_store_sync_unlock(store);
	expect_ops(mt, "batch", "lock sync(1,mask=1) done(1) sync(2,mask=1) done(2) unlock");
	KUNIT_EXPECT_TRUE(test, hw_slot(&c, 2)->masked);

	msi_store_lock(store);
	msi_deferred_set_mask(slot_of(&c, 1), false);
	msi_deferred_set_mask(change_slot, false);
	msi_store_sync_unlock(store);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	change_exit(&c);
}

/* The device is removed, or fails, while it is told */
static void gone_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	msi_device_gone(hw->mt->dev);
	hw->offline = true;
}

static void change_post_gone(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct change c;

	change_init(&c, mt, MSI_TEST_DEFERRED_POST);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
	msi_test_log_reset(mt);
	mt->hw.done_hook = gone_hook;
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	expect_ops(mt, "batch",
		   "lock sync(0,msg=100,mask=1) sync(1,msg=101,mask=0) sync(2,msg=102,mask=0) done(0) unlock");
	change_exit(&c);
}

static struct task_struct *frozen_task;

static void frozen_hook(struct msi_test_hw *hw, struct msi_slot *slot)
{
	struct msi_dev_store *store = container_of(slot->storage, struct msi_dev_store, storage);

	hw->done_hook = NULL;
	wake_up_process(frozen_task);
	KUNIT_EXPECT_TRUE(hw->mt->test, msi_test_wait(msi_store_is_suspended(store)));
}

/* Only what is under way is finished when the device is not accessible any more */
static void change_post_frozen(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct change c;

	change_init(&c, mt, MSI_TEST_DEFERRED_POST);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, c.id, true), 0);
	msi_test_log_reset(mt);
	frozen_task = kthread_create(suspend_thread, &c, "msi_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(frozen_task));
	get_task_struct(frozen_task);
	mt->hw.room = 2;
	mt->hw.done_hook = frozen_hook;
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	KUNIT_EXPECT_EQ(test, kthread_stop(frozen_task), 0);
	put_task_struct(frozen_task);
	KUNIT_EXPECT_PTR_NE(test, strstr(mt->log.buf,
					 "sync(1,msg=101,mask=0) done(0) done(1) unlock"), NULL);
	KUNIT_EXPECT_NULL(test, strstr(mt->log.buf, "sync(2"));
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, c.id), 0);
	msi_test_expect_same(mt, &mt->hw, c.maps, IRQS);
	change_exit(&c);
}

static struct kunit_case msi_change_cases[] = {
	KUNIT_CASE_PARAM(change_suspended, change_gen_params),
	KUNIT_CASE_PARAM(change_suspended_event, change_gen_params),
	KUNIT_CASE_PARAM(change_suspend_locks, change_gen_params),
	KUNIT_CASE_PARAM(change_suspend_frozen, change_gen_params),
	KUNIT_CASE_PARAM(change_remove_suspended, change_gen_params),
	KUNIT_CASE_PARAM(change_gone, change_gen_params),
	KUNIT_CASE_PARAM(change_suspend_race, change_gen_params),
	KUNIT_CASE_PARAM(change_lose_race, change_gen_params),
	KUNIT_CASE(change_lost_twice),
	KUNIT_CASE_PARAM(change_free_lost, change_gen_params),
	KUNIT_CASE(change_lost_deferred),
	KUNIT_CASE_PARAM(change_bus_reset, change_gen_params),
	KUNIT_CASE_PARAM(change_reset_failed, change_gen_params),
	KUNIT_CASE_PARAM(change_reset_removed, change_gen_params),
	KUNIT_CASE(change_remove_lost),
	KUNIT_CASE_PARAM(change_resume_locks, change_gen_params),
	KUNIT_CASE_PARAM(change_cookie, change_gen_params),
	KUNIT_CASE(change_cookie_alloc),
	KUNIT_CASE_PARAM(change_cookie_refused, change_gen_params),
	KUNIT_CASE_PARAM(change_cookie_suspended, change_gen_params),
	KUNIT_CASE(change_cookie_deferred_mask),
	KUNIT_CASE(change_cookie_not_masked),
	KUNIT_CASE(change_bad_arguments),
	KUNIT_CASE_PARAM(change_restore_irq, change_gen_params),
	KUNIT_CASE(change_alloc_at),
#ifdef CONFIG_SMP
	KUNIT_CASE(change_affinity),
#endif
	KUNIT_CASE(change_post),
#ifdef CONFIG_SPARSE_IRQ
	KUNIT_CASE(change_post_many),
#endif
	KUNIT_CASE(change_post_error),
	KUNIT_CASE(change_post_changed),
	KUNIT_CASE(change_post_back),
	KUNIT_CASE(change_post_gone),
	KUNIT_CASE(change_post_frozen),
	{ }
};

MSI_TEST_SUITE(msi_change, msi_change_cases);
