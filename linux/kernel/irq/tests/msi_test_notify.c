// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: What drivers that copy messages use
 *
 * Walking the descriptors of a store, and being told when a message changes: in which
 * order, of what, and what is refused.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/panic.h>
#include <linux/workqueue.h>

#include "msi_test.h"

static const void *kind_gen(const void *prev, char *desc)
{
	const struct msi_storage_template *tmpl = prev;

	tmpl = tmpl ? tmpl + 1 : msi_test_templates;
	if (tmpl == msi_test_templates + MSI_TEST_TEMPLATES)
		return NULL;
	strscpy(desc, tmpl->name, KUNIT_PARAM_DESC_SIZE);
	return tmpl;
}

/* Those that are allowed where the message depends on the affinity */
static const void *direct_gen(const void *prev, char *desc)
{
	const struct msi_storage_template *tmpl = prev;

	do {
		tmpl = kind_gen(tmpl, desc);
	} while (tmpl && tmpl->ops->sync);
	return tmpl;
}

static enum msi_test_kind kind_of(struct kunit *test)
{
	return (const struct msi_storage_template *)test->param_value - msi_test_templates;
}

/* The message is there as soon as the interrupt is allocated */
static bool is_early(enum msi_test_kind kind)
{
	return msi_test_is_deferred(kind) || kind == MSI_TEST_DIRECT_EARLY;
}

static void setup_default(struct msi_test *mt, unsigned int size)
{
	const struct msi_storage_template *tmpl = &msi_test_templates[MSI_TEST_DIRECT];

	KUNIT_ASSERT_EQ(mt->test, msi_setup_device_data(mt->dev), 0);
	msi_lock_descs(mt->dev);
	KUNIT_EXPECT_EQ(mt->test, msi_default_store_setup(mt->dev, tmpl, size, NULL), 0);
	msi_unlock_descs(mt->dev);
}

static void exit_default(struct msi_test *mt)
{
	msi_lock_descs(mt->dev);
	msi_default_store_free_irqs(mt->dev);
	msi_free_msi_descs(mt->dev);
	msi_unlock_descs(mt->dev);
}

/* --- Walking ---------------------------------------------------------------- */

/**
 * struct walk - A walk, and what it has seen
 * @mt:		The fixture
 * @id:		The store
 * @nr:		How many descriptors
 * @index:	Their indices
 * @irq:	Their interrupts
 * @stop_at:	The index where the walk is stopped
 * @stop:	What stops it there, 0 to go on
 * @work:	Allocates an interrupt in another task
 * @started:	It is about to do so
 * @map:	What came of that
 */
struct walk {
	struct msi_test		*mt;
	int			id;
	unsigned int		nr;
	unsigned int		index[8];
	unsigned int		irq[8];
	unsigned int		stop_at;
	int			stop;
	struct work_struct	work;
	struct msi_map		map;
};

static int walk_step(struct msi_map map, void *arg)
{
	struct walk *w = arg;

	if (w->nr == ARRAY_SIZE(w->index))
		return -E2BIG;

	w->index[w->nr] = map.index;
	w->irq[w->nr++] = map.virq;
	return map.index == w->stop_at ? w->stop : 0;
}

static int walk(struct walk *w, enum msi_desc_filter filter)
{
	w->nr = 0;
	return msi_on_each_desc(w->mt->dev, w->id, filter, walk_step, w);
}

static void walk_order(struct kunit *test)
{
	static const unsigned int sorted[] = { 2, 5, 7 };
	struct walk w = { .mt = test->priv };
	struct msi_map maps[3];
	unsigned int i;

	w.id = msi_test_create(w.mt, kind_of(test), 8, &w.mt->hw);
	KUNIT_EXPECT_EQ(test, walk(&w, MSI_DESC_ALL), 0);
	KUNIT_EXPECT_EQ(test, w.nr, 0);

	maps[2] = msi_test_alloc(w.mt, w.id, 7);
	maps[0] = msi_test_alloc(w.mt, w.id, 2);
	maps[1] = msi_test_alloc(w.mt, w.id, 5);

	KUNIT_EXPECT_EQ(test, walk(&w, MSI_DESC_ASSOCIATED), 0);
	KUNIT_ASSERT_EQ(test, w.nr, 3);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, w.index[i], sorted[i]);
		KUNIT_EXPECT_EQ(test, w.irq[i], maps[i].virq);
		msi_store_free_irq(w.mt->dev, w.id, maps[i]);
	}
	msi_remove_store(w.mt->dev, w.id);
}

static void walk_filter(struct kunit *test)
{
	struct msi_desc init = { .nvec_used = 1 };
	struct walk w = { .mt = test->priv };
	unsigned int i;

	setup_default(w.mt, 8);
	msi_lock_descs(w.mt->dev);
	for (i = 0; i < 4; i++) {
		init.msi_index = i;
		KUNIT_EXPECT_EQ(test, msi_add_msi_desc(w.mt->dev, &init), 0);
		if (i == 1)
			KUNIT_EXPECT_EQ(test, msi_default_store_alloc_irqs(w.mt->dev), 0);
	}
	msi_unlock_descs(w.mt->dev);

	KUNIT_EXPECT_EQ(test, walk(&w, MSI_DESC_ALL), 0);
	KUNIT_EXPECT_EQ(test, w.nr, 4);

	KUNIT_EXPECT_EQ(test, walk(&w, MSI_DESC_ASSOCIATED), 0);
	KUNIT_ASSERT_EQ(test, w.nr, 2);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, w.index[i], i);
		KUNIT_EXPECT_EQ(test, w.irq[i], msi_get_virq(w.mt->dev, i));
	}

	KUNIT_EXPECT_EQ(test, walk(&w, MSI_DESC_NOTASSOCIATED), 0);
	KUNIT_ASSERT_EQ(test, w.nr, 2);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, w.index[i], 2 + i);
		KUNIT_EXPECT_EQ(test, w.irq[i], 0);
	}
	exit_default(w.mt);
}

static void walk_stop(struct kunit *test)
{
	struct walk w = { .mt = test->priv, .stop_at = 1 };
	struct msi_map maps[3];
	unsigned int i;

	w.id = msi_test_create(w.mt, MSI_TEST_DIRECT, 8, &w.mt->hw);
	for (i = 0; i < 3; i++)
		maps[i] = msi_test_alloc(w.mt, w.id, i);

	w.stop = 42;
	KUNIT_EXPECT_EQ(test, walk(&w, MSI_DESC_ALL), 42);
	KUNIT_EXPECT_EQ(test, w.nr, 2);
	w.stop = -EFAULT;
	KUNIT_EXPECT_EQ(test, walk(&w, MSI_DESC_ALL), -EFAULT);
	KUNIT_EXPECT_EQ(test, w.nr, 2);
	/* And the lock was given back */
	for (i = 0; i < 3; i++)
		msi_store_free_irq(w.mt->dev, w.id, maps[i]);
	msi_remove_store(w.mt->dev, w.id);
}

static void walk_none(struct kunit *test)
{
	struct walk w = { .mt = test->priv, .id = MSI_DEFAULT_STORE };
	int id;

	KUNIT_EXPECT_EQ(test, walk(&w, MSI_DESC_ALL), -ENODEV);
	KUNIT_ASSERT_EQ(test, msi_setup_device_data(w.mt->dev), 0);
	KUNIT_EXPECT_EQ(test, walk(&w, MSI_DESC_ALL), 0);
	w.id = 1;
	KUNIT_EXPECT_EQ(test, walk(&w, MSI_DESC_ALL), -ENODEV);

	/* A store has to be named */
	id = msi_test_create(w.mt, MSI_TEST_DIRECT, 8, &w.mt->hw);
	w.id = MSI_FIRST_STORE;
	KUNIT_EXPECT_EQ(test, walk(&w, MSI_DESC_ALL), -ENODEV);
	KUNIT_EXPECT_EQ(test, w.nr, 0);
	msi_remove_store(w.mt->dev, id);
}

/* Nothing is locked: each call that changes the store works, of this task and of another one */
static void walk_alloc_work(struct work_struct *work)
{
	struct walk *w = container_of(work, struct walk, work);

	w->map = msi_store_alloc_irq(w->mt->dev, w->id, 5, NULL, NULL);
}

static int walk_change(struct msi_map map, void *arg)
{
	struct walk *w = arg;
	struct device *dev = w->mt->dev;
	struct kunit *test = w->mt->test;
	struct msi_map more[2];
	struct msi_test_hw *hw;
	int id;

	/* The one that was added meanwhile */
	if (map.index)
		return map.index;

	KUNIT_EXPECT_EQ(test, msi_test_alloc_irqs(w->mt, w->id, 2, 2, more), 2);
	msi_store_free_irqs(dev, w->id, more, 2);
	hw = kunit_kzalloc(test, sizeof(*hw), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, hw);
	msi_test_hw_init(w->mt, hw);
	id = msi_create_store(dev, &msi_test_templates[MSI_TEST_DIRECT], 1, hw);
	KUNIT_EXPECT_GT(test, id, 0);
	msi_remove_store(dev, id);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(dev, w->id, true), 0);
	KUNIT_EXPECT_EQ(test, msi_store_resume(dev, w->id), 0);
	KUNIT_EXPECT_EQ(test, msi_store_set_cookie(dev, w->id, map, NULL), 0);
	KUNIT_EXPECT_EQ(test, msi_store_restore_irq(dev, w->id, map), 0);
	KUNIT_EXPECT_EQ(test, msi_on_each_desc(dev, w->id, MSI_DESC_ALL, walk_step, w), 0);

	queue_work(system_unbound_wq, &w->work);
	flush_work(&w->work);
	KUNIT_EXPECT_EQ(test, w->map.index, 5);
	return 0;
}

static void walk_changes(struct kunit *test)
{
	struct walk w = { .mt = test->priv };
	struct msi_map map;

	INIT_WORK_ONSTACK(&w.work, walk_alloc_work);
	w.id = msi_test_create(w.mt, MSI_TEST_DIRECT, 8, &w.mt->hw);
	map = msi_test_alloc(w.mt, w.id, 0);
	KUNIT_EXPECT_EQ(test, msi_on_each_desc(w.mt->dev, w.id, MSI_DESC_ALL, walk_change, &w), 5);
	KUNIT_EXPECT_EQ(test, w.nr, 1);
	destroy_work_on_stack(&w.work);
	msi_store_free_irq(w.mt->dev, w.id, w.map);
	msi_store_free_irq(w.mt->dev, w.id, map);
	msi_remove_store(w.mt->dev, w.id);
}

/* One that is freed meanwhile is not visited, and one that is added behind is */
static int walk_move(struct msi_map map, void *arg)
{
	struct walk *w = arg;

	if (!w->nr) {
		msi_store_free_irq(w->mt->dev, w->id, w->map);
		w->map = msi_test_alloc(w->mt, w->id, 6);
	}
	return walk_step(map, arg);
}

static void walk_moved(struct kunit *test)
{
	struct walk w = { .mt = test->priv };
	struct msi_map maps[2];

	w.id = msi_test_create(w.mt, kind_of(test), 8, &w.mt->hw);
	maps[0] = msi_test_alloc(w.mt, w.id, 1);
	w.map = msi_test_alloc(w.mt, w.id, 2);
	maps[1] = msi_test_alloc(w.mt, w.id, 4);
	KUNIT_EXPECT_EQ(test, msi_on_each_desc(w.mt->dev, w.id, MSI_DESC_ASSOCIATED, walk_move, &w),
			0);
	KUNIT_ASSERT_EQ(test, w.nr, 3);
	KUNIT_EXPECT_EQ(test, w.index[0], 1);
	KUNIT_EXPECT_EQ(test, w.index[1], 4);
	KUNIT_EXPECT_EQ(test, w.index[2], 6);
	msi_store_free_irqs(w.mt->dev, w.id, maps, 2);
	msi_store_free_irq(w.mt->dev, w.id, w.map);
	msi_remove_store(w.mt->dev, w.id);
}

static int walk_look(struct msi_map map, void *arg)
{
	struct walk *w = arg;

	w->nr++;
	KUNIT_EXPECT_EQ(w->mt->test, msi_get_virq(w->mt->dev, map.index), map.virq);
	return 0;
}

/* A look is not refused */
static void walk_virq(struct kunit *test)
{
	struct msi_desc init = { .nvec_used = 1 };
	struct walk w = { .mt = test->priv };

	setup_default(w.mt, 8);
	msi_lock_descs(w.mt->dev);
	for (init.msi_index = 0; init.msi_index < 3; init.msi_index++)
		KUNIT_EXPECT_EQ(test, msi_add_msi_desc(w.mt->dev, &init), 0);
	KUNIT_EXPECT_EQ(test, msi_default_store_alloc_irqs(w.mt->dev), 0);
	msi_unlock_descs(w.mt->dev);

	KUNIT_EXPECT_EQ(test, msi_on_each_desc(w.mt->dev, MSI_DEFAULT_STORE, MSI_DESC_ASSOCIATED,
					       walk_look, &w), 0);
	KUNIT_EXPECT_EQ(test, w.nr, 3);
	exit_default(w.mt);
}

static int walk_remove(struct msi_map map, void *arg)
{
	struct walk *w = arg;

	w->nr++;
	msi_store_free_irq(w->mt->dev, w->id, map);
	msi_remove_store(w->mt->dev, w->id);
	return w->stop;
}

/* The store is removed by the function, which ends the walk */
static void walk_removed(struct kunit *test)
{
	struct walk w = { .mt = test->priv };

	for (w.stop = 0; w.stop < 2; w.stop++) {
		w.nr = 0;
		w.id = msi_test_create(w.mt, MSI_TEST_DIRECT, 8, &w.mt->hw);
		msi_test_alloc(w.mt, w.id, 0);
		msi_test_alloc(w.mt, w.id, 1);
		KUNIT_EXPECT_EQ(test, msi_on_each_desc(w.mt->dev, w.id, MSI_DESC_ALL, walk_remove,
						       &w), w.stop);
		KUNIT_EXPECT_EQ(test, w.nr, 1);
		KUNIT_EXPECT_EQ(test, w.mt->hw.used, 0);
		msi_test_hw_init(w.mt, &w.mt->hw);
	}
}

static int walk_request_irq(struct msi_map map, void *arg)
{
	struct walk *w = arg;

	return request_irq(map.virq, msi_test_handler, 0, "msi_kunit", w->mt);
}

static int walk_free_irq(struct msi_map map, void *arg)
{
	struct walk *w = arg;

	free_irq(map.virq, w->mt);
	return 0;
}

/* Handlers can be requested and freed */
static void walk_handlers(struct kunit *test)
{
	struct walk w = { .mt = test->priv };
	struct msi_map maps[2];
	unsigned int i;

	w.id = msi_test_create(w.mt, kind_of(test), 8, &w.mt->hw);
	for (i = 0; i < 2; i++)
		maps[i] = msi_test_alloc(w.mt, w.id, i);

	KUNIT_EXPECT_EQ(test, msi_on_each_desc(w.mt->dev, w.id, MSI_DESC_ASSOCIATED,
					       walk_request_irq, &w), 0);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_TRUE(test, irq_has_action(maps[i].virq));
		KUNIT_EXPECT_NE(test, msi_test_find(&w.mt->hw, i)->msg.data, 0);
	}
	msi_test_expect_same(w.mt, &w.mt->hw, maps, 2);

	KUNIT_EXPECT_EQ(test, msi_on_each_desc(w.mt->dev, w.id, MSI_DESC_ASSOCIATED,
					       walk_free_irq, &w), 0);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_FALSE(test, irq_has_action(maps[i].virq));
		msi_store_free_irq(w.mt->dev, w.id, maps[i]);
	}
	msi_remove_store(w.mt->dev, w.id);
}

/* --- Being told ------------------------------------------------------------- */

/**
 * struct copy - A driver that has a copy of a message
 * @mt:		The fixture
 * @id:		The store
 * @map:	The interrupt
 * @notifier:	Makes the copy
 * @msg:	The copy
 * @irq:	The interrupt that it was made for
 * @index:	Index of the first message in the hardware
 * @told:	How often it was made
 * @late:	The store had another message
 */
struct copy {
	struct msi_test		*mt;
	int			id;
	struct msi_map		map;
	struct msi_msg_notifier	notifier;
	struct msi_msg		msg;
	unsigned int		irq;
	unsigned int		index;
	unsigned int		told;
	unsigned int		late;
};

static void copy_changed(struct msi_msg_notifier *notifier, unsigned int irq,
			 const struct msi_msg *msg)
{
	struct copy *c = container_of(notifier, struct copy, notifier);
	struct msi_test_slot *s = msi_test_find(&c->mt->hw, c->index);

	c->irq = irq;
	c->msg = *msg;
	c->told++;
	if (!s || memcmp(&s->msg, msg, sizeof(*msg)))
		c->late++;
}

static struct copy *copy_init(struct kunit *test, enum msi_test_kind kind, u32 flags)
{
	struct copy *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, c);
	c->mt = test->priv;
	c->notifier.changed = copy_changed;
	c->index = 3;
	msi_test_parent_init(c->mt, flags);
	c->id = msi_test_create(c->mt, kind, 8, &c->mt->hw);
	c->map = msi_test_alloc(c->mt, c->id, c->index);
	return c;
}

static void copy_exit(struct copy *c)
{
	KUNIT_EXPECT_EQ(c->mt->test, c->late, 0);
	msi_store_free_irq(c->mt->dev, c->id, c->map);
	msi_remove_store(c->mt->dev, c->id);
}

static void copy_request(struct copy *c)
{
	KUNIT_ASSERT_EQ(c->mt->test, request_irq(c->map.virq, msi_test_handler, 0, "msi_kunit",
						 c->mt), 0);
}

/* It is as new, and nothing else was told since */
static void copy_expect(struct copy *c, unsigned int told)
{
	struct msi_test_slot *s = msi_test_find(&c->mt->hw, c->index);

	KUNIT_EXPECT_EQ(c->mt->test, c->told, told);
	KUNIT_ASSERT_NOT_NULL(c->mt->test, s);
	if (!told)
		return;
	KUNIT_EXPECT_EQ(c->mt->test, c->irq, c->map.virq);
	KUNIT_EXPECT_EQ(c->mt->test, c->msg.data, s->msg.data);
	KUNIT_EXPECT_EQ(c->mt->test, c->msg.address_lo, s->msg.address_lo);
}

static void copy_told(struct kunit *test)
{
	struct copy *c = copy_init(test, kind_of(test), MSI_PARENT_STABLE_MSG);
	unsigned int early = is_early(kind_of(test));
	struct msi_msg msg;

	KUNIT_EXPECT_EQ(test, msi_get_msg(c->map.virq, &msg), early ? 0 : -ENOENT);
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(c->map.virq, &c->notifier), 0);
	copy_expect(c, early);

	copy_request(c);
	copy_expect(c, 1);
	KUNIT_EXPECT_EQ(test, msi_get_msg(c->map.virq, &msg), 0);
	KUNIT_EXPECT_EQ(test, msg.data, c->msg.data);
	KUNIT_EXPECT_EQ(test, msg.address_lo, c->msg.address_lo);

	/* None is no news, and the same is none either */
	free_irq(c->map.virq, c->mt);
	KUNIT_EXPECT_EQ(test, msi_test_find(&c->mt->hw, c->index)->msg.data, 0);
	KUNIT_EXPECT_EQ(test, msi_get_msg(c->map.virq, &msg), -ENOENT);
	KUNIT_EXPECT_EQ(test, c->told, 1);
	copy_request(c);
	copy_expect(c, 1);
	KUNIT_EXPECT_EQ(test, msi_store_resume(c->mt->dev, c->id), 0);
	copy_expect(c, 1);

	/* Who comes later is told of what there is */
	msi_unregister_msg_notifier(c->map.virq, &c->notifier);
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(c->map.virq, &c->notifier), 0);
	copy_expect(c, 2);

	free_irq(c->map.virq, c->mt);
	msi_unregister_msg_notifier(c->map.virq, &c->notifier);
	copy_request(c);
	KUNIT_EXPECT_EQ(test, c->told, 2);
	free_irq(c->map.virq, c->mt);
	copy_exit(c);
}

/* irq_set_affinity() does nothing on a kernel without SMP */
static int copy_move(struct copy *c)
{
	struct irq_desc *desc = irq_to_desc(c->map.virq);
	struct irq_data *data = irq_desc_get_irq_data(desc);
	unsigned long flags;
	int ret;

	raw_spin_lock_irqsave(&desc->lock, flags);
	ret = data->chip->irq_set_affinity(data, cpumask_of(0), false);
	raw_spin_unlock_irqrestore(&desc->lock, flags);
	return ret;
}

/* The message depends on the affinity, so there are direct stores only */
static void copy_affinity(struct kunit *test)
{
	struct copy *c = copy_init(test, kind_of(test), 0);
	unsigned int i;

	copy_request(c);
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(c->map.virq, &c->notifier), 0);
	copy_expect(c, 1);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, copy_move(c), IRQ_SET_MASK_OK);
		copy_expect(c, 2 + i);
	}
	/* An affinity that the parent does not take is no change */
	if (msi_test_can_mask(kind_of(test))) {
		c->mt->parent.affinity_ret = -EINVAL;
		KUNIT_EXPECT_EQ(test, copy_move(c), -EINVAL);
		copy_expect(c, 4);
		c->mt->parent.affinity_ret = IRQ_SET_MASK_OK;
	}

	msi_unregister_msg_notifier(c->map.virq, &c->notifier);
	KUNIT_EXPECT_EQ(test, copy_move(c), IRQ_SET_MASK_OK);
	KUNIT_EXPECT_EQ(test, c->told, 4);
	free_irq(c->map.virq, c->mt);
	copy_exit(c);
}

static void copy_write_msg(struct copy *c, u32 value)
{
	struct irq_desc *desc = irq_to_desc(c->map.virq);
	struct irq_data *data = irq_desc_get_irq_data(desc);
	struct msi_msg msg = { .address_lo = 0xfee00000, .data = value };
	unsigned long flags;

	data->chip->irq_bus_lock(data);
	raw_spin_lock_irqsave(&desc->lock, flags);
	data->chip->irq_write_msi_msg(data, &msg);
	raw_spin_unlock_irqrestore(&desc->lock, flags);
	/* Recorded is not stored */
	KUNIT_EXPECT_NE(c->mt->test, c->msg.data, value);
	data->chip->irq_bus_sync_unlock(data);
}

/* A device that does not take a message goes on with the old one */
static void copy_deferred(struct kunit *test)
{
	struct copy *c = copy_init(test, MSI_TEST_DEFERRED_LOCK, MSI_PARENT_STABLE_MSG);

	copy_request(c);
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(c->map.virq, &c->notifier), 0);
	copy_expect(c, 1);
	copy_write_msg(c, 0x1234);
	copy_expect(c, 2);
	KUNIT_EXPECT_EQ(test, c->msg.data, 0x1234);

	c->mt->hw.sync_ret = -EIO;
	copy_write_msg(c, 0x5678);
	KUNIT_EXPECT_EQ(test, c->told, 2);
	KUNIT_EXPECT_EQ(test, c->msg.data, 0x1234);

	/* Who registers meanwhile is not told of it either */
	msi_unregister_msg_notifier(c->map.virq, &c->notifier);
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(c->map.virq, &c->notifier), 0);
	KUNIT_EXPECT_EQ(test, c->told, 2);

	c->mt->hw.sync_ret = 0;
	KUNIT_EXPECT_TRUE(test, msi_test_wait(READ_ONCE(c->told) == 3));
	KUNIT_EXPECT_EQ(test, c->msg.data, 0x5678);

	msi_unregister_msg_notifier(c->map.virq, &c->notifier);
	free_irq(c->map.virq, c->mt);
	copy_exit(c);
}

static void copy_errors(struct kunit *test)
{
	struct copy *c = copy_init(test, MSI_TEST_DIRECT, MSI_PARENT_STABLE_MSG);
	struct copy other = { .mt = c->mt, .notifier.changed = copy_changed };
	int irq = irq_alloc_desc(NUMA_NO_NODE);
	struct msi_msg msg;

	KUNIT_ASSERT_GT(test, irq, 0);
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(irq, &other.notifier), -EINVAL);
	KUNIT_EXPECT_EQ(test, msi_get_msg(irq, &msg), -EINVAL);
	msi_unregister_msg_notifier(irq, &other.notifier);
	irq_free_desc(irq);
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(nr_irqs, &other.notifier), -EINVAL);
	KUNIT_EXPECT_EQ(test, msi_get_msg(nr_irqs, &msg), -EINVAL);
	msi_unregister_msg_notifier(nr_irqs, &other.notifier);
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(irq, &other.notifier), -EINVAL);
	KUNIT_EXPECT_EQ(test, msi_get_msg(irq, &msg), -EINVAL);
	msi_unregister_msg_notifier(irq, &other.notifier);

	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(c->map.virq, &c->notifier), 0);
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(c->map.virq, &c->notifier), -EBUSY);
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(c->map.virq, &other.notifier), -EBUSY);
	/* Not its own */
	msi_unregister_msg_notifier(c->map.virq, &other.notifier);
	copy_request(c);
	copy_expect(c, 1);
	KUNIT_EXPECT_EQ(test, other.told, 0);
	free_irq(c->map.virq, c->mt);
	msi_unregister_msg_notifier(c->map.virq, &c->notifier);
	copy_exit(c);
}

/* The bus has not said how its messages are stored, and writes them by itself */
static void copy_unknown(struct kunit *test)
{
	struct msi_desc init = { .nvec_used = 1 };
	struct copy c = { .mt = test->priv, .notifier.changed = copy_changed };
	int irq = irq_alloc_desc(NUMA_NO_NODE);
	struct msi_desc *desc;

	KUNIT_ASSERT_GT(test, irq, 0);
	KUNIT_ASSERT_EQ(test, msi_setup_device_data(c.mt->dev), 0);
	msi_lock_descs(c.mt->dev);
	KUNIT_EXPECT_EQ(test, msi_add_msi_desc(c.mt->dev, &init), 0);
	desc = msi_first_desc(c.mt->dev, MSI_DESC_ALL);
	irq_set_msi_desc(irq, desc);
	msi_unlock_descs(c.mt->dev);

	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(irq, &c.notifier), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, c.told, 0);

	irq_free_desc(irq);
	msi_lock_descs(c.mt->dev);
	desc->irq = 0;
	msi_free_msi_descs(c.mt->dev);
	msi_unlock_descs(c.mt->dev);
}

/* The message of the first, and what the others make of it */
static void copy_multi(struct kunit *test)
{
	struct msi_desc init = { .nvec_used = 4 };
	struct copy c = { .mt = test->priv, .notifier.changed = copy_changed };
	struct msi_msg msg;
	unsigned int i;

	msi_test_parent_init(c.mt, MSI_PARENT_STABLE_MSG);
	setup_default(c.mt, 8);
	msi_lock_descs(c.mt->dev);
	KUNIT_EXPECT_EQ(test, msi_add_msi_desc(c.mt->dev, &init), 0);
	KUNIT_EXPECT_EQ(test, msi_default_store_alloc_irqs(c.mt->dev), 0);
	msi_unlock_descs(c.mt->dev);
	c.map.virq = msi_get_virq(c.mt->dev, 0);

	for (i = 1; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(c.map.virq + i, &c.notifier),
				-EINVAL);
	}
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(c.map.virq, &c.notifier), 0);
	for (i = 0; i < 4; i++) {
		KUNIT_ASSERT_EQ(test, request_irq(c.map.virq + i, msi_test_handler, 0, "msi_kunit",
						  c.mt), 0);
		copy_expect(&c, 1);
		KUNIT_EXPECT_EQ(test, msi_test_find(&c.mt->hw, i)->msg.data, c.msg.data + i);
	}
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, msi_get_msg(c.map.virq + i, &msg), 0);
		KUNIT_EXPECT_EQ(test, msg.data, c.msg.data + i);
		KUNIT_EXPECT_EQ(test, msg.address_lo, c.msg.address_lo);
	}

	/* The same from another of them, while the first has none */
	free_irq(c.map.virq, c.mt);
	free_irq(c.map.virq + 3, c.mt);
	KUNIT_ASSERT_EQ(test, request_irq(c.map.virq + 3, msi_test_handler, 0, "msi_kunit",
					  c.mt), 0);
	KUNIT_EXPECT_EQ(test, c.told, 1);
	KUNIT_EXPECT_EQ(test, c.late, 0);

	/* The others have theirs, and who asks now can tell it from them */
	KUNIT_EXPECT_EQ(test, msi_get_msg(c.map.virq, &msg), -ENOENT);
	KUNIT_EXPECT_EQ(test, msi_get_msg(c.map.virq + 2, &msg), 0);
	KUNIT_EXPECT_EQ(test, msg.data, c.msg.data + 2);
	msi_unregister_msg_notifier(c.map.virq, &c.notifier);
	memset(&c.msg, 0, sizeof(c.msg));
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(c.map.virq, &c.notifier), 0);
	KUNIT_EXPECT_EQ(test, c.told, 2);
	KUNIT_EXPECT_EQ(test, c.msg.data, msg.data - 2);
	KUNIT_EXPECT_EQ(test, c.msg.address_lo, msg.address_lo);

	for (i = 1; i < 4; i++)
		free_irq(c.map.virq + i, c.mt);
	msi_unregister_msg_notifier(c.map.virq, &c.notifier);
	exit_default(c.mt);
}

/* A driver that forgets its notifier is told so */
static void copy_forgotten(struct kunit *test)
{
	struct copy *c;

	if (panic_on_warn)
		kunit_skip(test, "it causes warnings, and panic_on_warn is set");

	c = copy_init(test, MSI_TEST_DIRECT, MSI_PARENT_STABLE_MSG);
	KUNIT_EXPECT_EQ(test, msi_register_msg_notifier(c->map.virq, &c->notifier), 0);
	msi_store_free_irq(c->mt->dev, c->id, c->map);
	KUNIT_EXPECT_TRUE(test, msi_test_printed(c->mt, "WARNING: "));

	c->map = msi_test_alloc(c->mt, c->id, c->index);
	copy_request(c);
	KUNIT_EXPECT_EQ(test, c->told, 0);
	free_irq(c->map.virq, c->mt);
	copy_exit(c);
}

static struct kunit_case msi_walk_cases[] = {
	KUNIT_CASE_PARAM(walk_order, kind_gen),
	KUNIT_CASE(walk_filter),
	KUNIT_CASE(walk_stop),
	KUNIT_CASE(walk_none),
	KUNIT_CASE(walk_changes),
	KUNIT_CASE_PARAM(walk_moved, kind_gen),
	KUNIT_CASE(walk_virq),
	KUNIT_CASE(walk_removed),
	KUNIT_CASE_PARAM(walk_handlers, kind_gen),
	{}
};

static struct kunit_case msi_copy_cases[] = {
	KUNIT_CASE_PARAM(copy_told, kind_gen),
	KUNIT_CASE_PARAM(copy_affinity, direct_gen),
	KUNIT_CASE(copy_deferred),
	KUNIT_CASE(copy_errors),
	KUNIT_CASE(copy_unknown),
	KUNIT_CASE(copy_multi),
	KUNIT_CASE(copy_forgotten),
	{}
};

MSI_TEST_SUITE(msi_walk, msi_walk_cases);
MSI_TEST_SUITE(msi_notify, msi_copy_cases);
