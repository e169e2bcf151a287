// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: Message stores and their interrupts
 *
 * Indices, stores side by side, batches, the default store, what debugfs shows,
 * suspend and restore, and what is left by drivers that forget something.
 */
#include <linux/cpu.h>
#include <linux/ctype.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/kernfs.h>
#include <linux/kthread.h>
#include <linux/panic.h>
#include <linux/slab.h>

#include <trace/events/kmem.h>

#include "msi_test.h"

/* For what is the same with each kind of store */
static const void *kind_gen(const void *prev, char *desc)
{
	const struct msi_storage_template *tmpl = prev;

	tmpl = tmpl ? tmpl + 1 : msi_test_templates;
	if (tmpl == msi_test_templates + MSI_TEST_TEMPLATES)
		return NULL;
	strscpy(desc, tmpl->name, KUNIT_PARAM_DESC_SIZE);
	return tmpl;
}

static enum msi_test_kind kind_of(struct kunit *test)
{
	return (const struct msi_storage_template *)test->param_value - msi_test_templates;
}

static struct msi_map alloc_irq(struct msi_test *mt, int id, unsigned int index)
{
	return msi_store_alloc_irq(mt->dev, id, index, NULL, NULL);
}

static void expect_error(struct msi_test *mt, struct msi_map map, int error)
{
	KUNIT_EXPECT_EQ(mt->test, map.index, error);
	KUNIT_EXPECT_EQ(mt->test, map.virq, 0);
}

static unsigned int used(struct msi_test *mt, int id)
{
	return msi_test_store(mt, id)->used;
}

/* One more hardware, for tests with several stores */
static struct msi_test_hw *more_hw(struct msi_test *mt)
{
	struct msi_test_hw *hw = kunit_kzalloc(mt->test, sizeof(*hw), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(mt->test, hw);
	msi_test_hw_init(mt, hw);
	return hw;
}

static void skip_if_warnings_are_fatal(struct kunit *test)
{
	if (panic_on_warn)
		kunit_skip(test, "it causes warnings, and panic_on_warn is set");
}

/* --- Indices ---------------------------------------------------------------- */

static void store_index(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map map[8];
	unsigned int i;
	int id;

	id = msi_test_create(mt, kind_of(test), 8, &mt->hw);
	map[0] = msi_test_alloc(mt, id, 0);
	map[7] = msi_test_alloc(mt, id, 7);

	expect_error(mt, alloc_irq(mt, id, 8), -ERANGE);
	expect_error(mt, alloc_irq(mt, id, MSI_MAX_INDEX), -ERANGE);
	expect_error(mt, alloc_irq(mt, id, MSI_MAX_INDEX + 1), -ERANGE);
	expect_error(mt, alloc_irq(mt, id, MSI_ANY_INDEX - 1), -ERANGE);
	expect_error(mt, alloc_irq(mt, id, 0), -EBUSY);
	expect_error(mt, alloc_irq(mt, id, 7), -EBUSY);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 2);
	KUNIT_EXPECT_EQ(test, used(mt, id), 2);

	/* The lowest one that is free */
	for (i = 1; i < 7; i++) {
		map[i] = msi_test_alloc(mt, id, MSI_ANY_INDEX);
		KUNIT_EXPECT_EQ(test, map[i].index, i);
		KUNIT_EXPECT_PTR_NE(test, msi_test_find(&mt->hw, i), NULL);
	}
	expect_error(mt, alloc_irq(mt, id, MSI_ANY_INDEX), -ENOSPC);
	expect_error(mt, alloc_irq(mt, id, 3), -EBUSY);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 8);
	KUNIT_EXPECT_EQ(test, used(mt, id), 8);

	msi_store_free_irq(mt->dev, id, map[5]);
	msi_store_free_irq(mt->dev, id, map[2]);
	KUNIT_EXPECT_NULL(test, msi_test_find(&mt->hw, 2));
	map[2] = msi_test_alloc(mt, id, MSI_ANY_INDEX);
	KUNIT_EXPECT_EQ(test, map[2].index, 2);
	map[5] = msi_test_alloc(mt, id, MSI_ANY_INDEX);
	KUNIT_EXPECT_EQ(test, map[5].index, 5);

	for (i = 0; i < 8; i++)
		msi_store_free_irq(mt->dev, id, map[i]);
	KUNIT_EXPECT_EQ(test, used(mt, id), 0);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	msi_remove_store(mt->dev, id);
}

static void store_large(struct kunit *test)
{
	static const unsigned int index[] = {
		0, 1, 63, 64, 4095, 4096, 65535, 65536, 524288, 1048574, 1048575,
	};
	struct msi_map map[ARRAY_SIZE(index)];
	struct msi_test *mt = test->priv;
	struct msi_map any;
	unsigned int i;
	int id;

	id = msi_test_create(mt, kind_of(test), 1 << 20, &mt->hw);
	MSI_TEST_EXPECT_LOG(mt, "p.prepare(1048576)");

	for (i = ARRAY_SIZE(index); i--; ) {
		map[i] = msi_test_alloc(mt, id, index[i]);
		KUNIT_EXPECT_EQ(test, msi_test_irq_slot(map[i].virq)->index, index[i]);
		KUNIT_EXPECT_EQ(test, irq_get_irq_data(map[i].virq)->hwirq, index[i]);
	}
	expect_error(mt, alloc_irq(mt, id, 1 << 20), -ERANGE);
	expect_error(mt, alloc_irq(mt, id, 1048575), -EBUSY);

	any = msi_test_alloc(mt, id, MSI_ANY_INDEX);
	KUNIT_EXPECT_EQ(test, any.index, 2);
	msi_store_free_irq(mt->dev, id, any);

	for (i = 0; i < ARRAY_SIZE(index); i++) {
		KUNIT_EXPECT_EQ(test, used(mt, id), ARRAY_SIZE(index) - i);
		msi_store_free_irq(mt->dev, id, map[i]);
	}
	msi_remove_store(mt->dev, id);
}

static void store_cookie(struct kunit *test)
{
	union msi_instance_cookie cookie = { .value = 0x123456789abcdef0ULL };
	struct msi_test *mt = test->priv;
	struct msi_map map;
	int id;

	id = msi_test_create(mt, kind_of(test), 8, &mt->hw);
	map = msi_store_alloc_irq(mt->dev, id, 5, NULL, &cookie);
	KUNIT_ASSERT_EQ(test, map.index, 5);
	KUNIT_EXPECT_EQ(test, msi_test_find(&mt->hw, 5)->cookie.value, cookie.value);
	msi_store_free_irq(mt->dev, id, map);

	/* One from before does not stay */
	map = msi_test_alloc(mt, id, 5);
	KUNIT_EXPECT_EQ(test, msi_test_find(&mt->hw, 5)->cookie.value, 0);
	msi_store_free_irq(mt->dev, id, map);

	/* What init_slot() says comes back as it is, and the slot stays free */
	mt->hw.bad_cookie = cookie.value;
	expect_error(mt, msi_store_alloc_irq(mt->dev, id, 5, NULL, &cookie), -EINVAL);
	mt->hw.init_ret = -EXDEV;
	expect_error(mt, alloc_irq(mt, id, 5), -EXDEV);
	mt->hw.init_ret = 0;
	KUNIT_EXPECT_EQ(test, used(mt, id), 0);
	KUNIT_EXPECT_EQ(test, mt->parent.irqs, 0);
	map = msi_test_alloc(mt, id, 5);
	msi_store_free_irq(mt->dev, id, map);
	msi_remove_store(mt->dev, id);
}

/* The parent domain and the interrupt numbers are exhausted */
static void store_exhausted(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map map[3];
	int id;

	id = msi_test_create(mt, kind_of(test), 8, &mt->hw);
	mt->parent.limit = 2;
	map[0] = msi_test_alloc(mt, id, MSI_ANY_INDEX);
	map[1] = msi_test_alloc(mt, id, MSI_ANY_INDEX);
	expect_error(mt, alloc_irq(mt, id, MSI_ANY_INDEX), -ENOSPC);
	expect_error(mt, alloc_irq(mt, id, 7), -ENOSPC);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 2);

	mt->parent.limit = 3;
	map[2] = msi_test_alloc(mt, id, MSI_ANY_INDEX);
	KUNIT_EXPECT_EQ(test, map[2].index, 2);
	msi_store_free_irqs(mt->dev, id, map, 3);

	/* Where activation takes something from the parent */
	mt->parent.activate_ret = -ENOSPC;
	if (kind_of(test) == MSI_TEST_DIRECT_EARLY || msi_test_is_deferred(kind_of(test))) {
		expect_error(mt, alloc_irq(mt, id, 3), -ENOSPC);
		KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
		KUNIT_EXPECT_EQ(test, mt->parent.irqs, 0);
	}
	mt->parent.activate_ret = 0;
	msi_remove_store(mt->dev, id);
}

static void store_no_irq_numbers(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map map, maps[4];
	int base, id;
	int n;

	id = msi_test_create(mt, kind_of(test), 8, &mt->hw);

	/* All that are in one piece, so that there are very few left at most */
	for (n = msi_test_free_irqs(); n; n--) {
		base = irq_alloc_descs(-1, 1, n, NUMA_NO_NODE);
		if (base > 0)
			break;
	}
	KUNIT_ASSERT_GT(test, base, 0);
	if (nr_irqs == IRQ_BITMAP_BITS) {
		expect_error(mt, alloc_irq(mt, id, 3), -ENOMEM);
		KUNIT_EXPECT_EQ(test, msi_test_alloc_irqs(mt, id, 1, 4, maps), -ENOMEM);
	}
	irq_free_descs(base, n);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	map = msi_test_alloc(mt, id, 3);
	msi_store_free_irq(mt->dev, id, map);
	msi_remove_store(mt->dev, id);
}

/* --- Stores side by side ---------------------------------------------------- */

#define MANY	9

static void store_many(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_test_hw *hw[MANY];
	struct msi_map map[MANY][2];
	unsigned int i, j;
	int id[MANY];

	for (i = 0; i < MANY; i++) {
		hw[i] = more_hw(mt);
		id[i] = msi_test_create(mt, i % MSI_TEST_TEMPLATES, 8 + i, hw[i]);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_NE(test, id[i], id[j]);
	}
	KUNIT_EXPECT_EQ(test, mt->parent.prepared, MANY);

	for (i = 0; i < MANY; i++) {
		map[i][0] = msi_test_alloc(mt, id[i], 3);
		map[i][1] = msi_test_alloc(mt, id[i], 7 + i);
		expect_error(mt, alloc_irq(mt, id[i], 8 + i), -ERANGE);
		expect_error(mt, alloc_irq(mt, id[i], 3), -EBUSY);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_NE(test, map[i][0].virq, map[j][0].virq);
	}

	for (i = 0; i < MANY; i++) {
		KUNIT_EXPECT_EQ(test, hw[i]->used, 2);
		KUNIT_EXPECT_EQ(test, msi_test_irq_slot(map[i][0].virq)->storage->id, id[i]);
		KUNIT_EXPECT_PTR_EQ(test, msi_test_irq_slot(map[i][0].virq)->storage->priv, hw[i]);
	}

	/* The default store is not concerned */
	KUNIT_EXPECT_EQ(test, msi_get_virq(mt->dev, 3), 0);
	KUNIT_EXPECT_EQ(test, used(mt, MSI_DEFAULT_STORE), 0);

	/* One goes, and the others stay as they are */
	msi_remove_store(mt->dev, id[4]);
	KUNIT_EXPECT_EQ(test, hw[4]->used, 0);
	KUNIT_EXPECT_EQ(test, hw[4]->released, 1);
	expect_error(mt, alloc_irq(mt, id[4], 0), -ENODEV);
	for (i = 0; i < MANY; i++) {
		if (i == 4)
			continue;
		KUNIT_EXPECT_EQ(test, hw[i]->used, 2);
		msi_store_free_irq(mt->dev, id[i], map[i][0]);
		msi_store_free_irq(mt->dev, id[i], map[i][1]);
		msi_remove_store(mt->dev, id[i]);
		KUNIT_EXPECT_EQ(test, hw[i]->released, 1);
	}
	KUNIT_EXPECT_FALSE(test, msi_has_created_stores(mt->dev));
}

static void store_first(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_test_hw *hw[3];
	struct msi_map map;
	unsigned int i;
	int id[3];

	expect_error(mt, alloc_irq(mt, MSI_FIRST_STORE, 0), -ENODEV);
	for (i = 0; i < 3; i++) {
		hw[i] = more_hw(mt);
		id[i] = msi_test_create(mt, MSI_TEST_DIRECT, 4, hw[i]);
	}
	KUNIT_EXPECT_LT(test, id[0], id[1]);
	KUNIT_EXPECT_LT(test, id[1], id[2]);

	map = msi_test_alloc(mt, MSI_FIRST_STORE, 1);
	KUNIT_EXPECT_EQ(test, hw[0]->used, 1);
	msi_store_free_irq(mt->dev, MSI_FIRST_STORE, map);
	KUNIT_EXPECT_EQ(test, hw[0]->used, 0);

	msi_remove_store(mt->dev, id[0]);
	map = msi_test_alloc(mt, MSI_FIRST_STORE, 1);
	KUNIT_EXPECT_EQ(test, hw[1]->used, 1);
	msi_store_free_irq(mt->dev, id[1], map);

	/* Who still has the old id does not get the new store */
	i = msi_test_create(mt, MSI_TEST_DIRECT, 4, hw[0]);
	KUNIT_EXPECT_GT(test, i, id[2]);
	expect_error(mt, alloc_irq(mt, id[0], 1), -ENODEV);
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, id[0], true), -ENODEV);

	msi_remove_store(mt->dev, id[1]);
	msi_remove_store(mt->dev, id[2]);
	msi_remove_store(mt->dev, i);
	expect_error(mt, alloc_irq(mt, MSI_FIRST_STORE, 0), -ENODEV);
}

/* Everything that can be asked for without a store */
static void store_none(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map maps[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		expect_error(mt, alloc_irq(mt, 1, 0), -ENODEV);
		expect_error(mt, alloc_irq(mt, MSI_DEFAULT_STORE, 0), -ENODEV);
		expect_error(mt, alloc_irq(mt, MSI_FIRST_STORE, 0), -ENODEV);
		KUNIT_EXPECT_EQ(test, msi_test_alloc_irqs(mt, 1, 1, 2, maps), -ENODEV);
		KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, 1, true), -ENODEV);
		KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, 1), -ENODEV);
		KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, MSI_DEFAULT_STORE, true), -ENODEV);
		KUNIT_EXPECT_FALSE(test, msi_has_created_stores(mt->dev));
		KUNIT_EXPECT_EQ(test, msi_get_virq(mt->dev, 0), 0);
		msi_restore_stores(mt->dev);

		/* Once more with a default store */
		KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);
	}
	MSI_TEST_EXPECT_LOG(mt, "");
}

/* What probe_irq_on() starts is what nobody has requested */
static void store_probe(struct kunit *test)
{
	struct msi_map map[MSI_TEST_TEMPLATES];
	struct msi_test *mt = test->priv;
	int id[MSI_TEST_TEMPLATES];
	enum msi_test_kind kind;

	for (kind = 0; kind < MSI_TEST_TEMPLATES; kind++) {
		id[kind] = msi_test_create(mt, kind, 4, more_hw(mt));
		map[kind] = msi_test_alloc(mt, id[kind], 1);
		KUNIT_EXPECT_FALSE(test, irq_settings_can_probe(irq_to_desc(map[kind].virq)));
	}

	msi_test_log_reset(mt);
	probe_irq_off(probe_irq_on());
	MSI_TEST_EXPECT_LOG(mt, "");

	for (kind = 0; kind < MSI_TEST_TEMPLATES; kind++)
		msi_remove_store(mt->dev, id[kind]);
}

/* --- Freeing what is not there ---------------------------------------------- */

static void store_free_wrong(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map map, other, wrong;
	struct msi_test_hw *hw;
	int id, other_id;

	skip_if_warnings_are_fatal(test);

	hw = more_hw(mt);
	id = msi_test_create(mt, kind_of(test), 8, &mt->hw);
	other_id = msi_test_create(mt, MSI_TEST_DIRECT, 8, hw);
	map = msi_test_alloc(mt, id, 3);
	other = msi_test_alloc(mt, other_id, 4);

	/* Neither the index, nor the number, nor the store alone */
	wrong = map;
	wrong.index = 4;
	msi_store_free_irq(mt->dev, id, wrong);
	wrong = map;
	wrong.virq = other.virq;
	msi_store_free_irq(mt->dev, id, wrong);
	msi_store_free_irq(mt->dev, other_id, map);
	msi_store_free_irq(mt->dev, id, other);
	msi_store_free_irq(mt->dev, other_id + 1, map);
	msi_store_free_irq(mt->dev, MSI_DEFAULT_STORE, map);
	msi_store_free_irq(mt->dev, id, (struct msi_map){ .index = -ENOSPC });
	msi_store_free_irq(mt->dev, id, (struct msi_map){ .index = 3 });
	KUNIT_EXPECT_EQ(test, mt->hw.used, 1);
	KUNIT_EXPECT_EQ(test, hw->used, 1);

	/* Requested */
	KUNIT_ASSERT_EQ(test, request_irq(map.virq, msi_test_handler, 0, "msi_kunit", mt), 0);
	msi_store_free_irq(mt->dev, id, map);
	msi_store_free_irqs(mt->dev, id, &map, 1);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 1);
	free_irq(map.virq, mt);

	/* Twice */
	msi_store_free_irq(mt->dev, id, map);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	msi_store_free_irq(mt->dev, id, map);
	KUNIT_EXPECT_EQ(test, used(mt, id), 0);

	msi_store_free_irq(mt->dev, other_id, other);
	msi_remove_store(mt->dev, other_id);
	msi_remove_store(mt->dev, id);
	msi_remove_store(mt->dev, id);
	msi_remove_store(mt->dev, MSI_DEFAULT_STORE);
	KUNIT_EXPECT_EQ(test, mt->hw.released, 1);
}

/* --- Batches ---------------------------------------------------------------- */

#define BATCH	6

/* What is not a matter of how many there are: one of each that is for all */
static void batch_log(struct kunit *test)
{
	enum msi_test_kind kind = kind_of(test);
	bool reserve = IS_ENABLED(CONFIG_GENERIC_IRQ_RESERVATION_MODE);
	bool early = kind == MSI_TEST_DIRECT_EARLY;
	bool deferred = msi_test_is_deferred(kind);
	bool post = kind == MSI_TEST_DEFERRED_POST;
	bool lock = msi_test_has_lock(kind);
	struct msi_test *mt = test->priv;
	union msi_instance_cookie cookies[3];
	struct msi_map maps[3], hole;
	unsigned int i;
	int id;

	id = msi_test_create(mt, kind, 8, &mt->hw);
	hole = msi_test_alloc(mt, id, 1);
	msi_test_log_reset(mt);

	for (i = 0; i < 3; i++)
		cookies[i].value = 0x70 + i;
	KUNIT_ASSERT_EQ(test, msi_store_alloc_irqs(mt->dev, id, MSI_ANY_INDEX, 3, 3, NULL, cookies,
						   maps), 3);

	MSI_TEST_WANT(mt, lock, "lock");
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, maps[i].index, i ? i + 1 : 0);
		KUNIT_EXPECT_EQ(test, msi_test_irq_slot(maps[i].virq)->index, maps[i].index);
		KUNIT_EXPECT_EQ(test, msi_test_find(&mt->hw, maps[i].index)->cookie.value,
				cookies[i].value);
		MSI_TEST_WANT(mt, true, "init(%d)", maps[i].index);
	}
	MSI_TEST_WANT(mt, lock, "unlock");
	for (i = 0; i < 3; i++) {
		MSI_TEST_WANT(mt, true, "p.alloc");
		MSI_TEST_WANT(mt, early, "p.activate p.compose msg(%d)=%x", maps[i].index,
			      0x101 + i);
	}
	MSI_TEST_WANT(mt, lock && deferred, "lock");
	for (i = 0; i < 3; i++)
		MSI_TEST_WANT(mt, deferred, "p.activate p.compose");
	for (i = 0; i < 3; i++)
		MSI_TEST_WANT(mt, deferred, "sync(%d,msg=%x,mask=1)", maps[i].index, 0x101 + i);
	for (i = 0; i < 3; i++)
		MSI_TEST_WANT(mt, post, "done(%d)", maps[i].index);
	MSI_TEST_WANT(mt, lock && deferred, "unlock");
	MSI_TEST_EXPECT_WANT(mt, "allocate");

	msi_store_free_irqs(mt->dev, id, maps, 3);
	MSI_TEST_WANT(mt, lock, "lock");
	for (i = 0; i < 3; i++) {
		MSI_TEST_WANT(mt, early, "msg(%d)=0", maps[i].index);
		MSI_TEST_WANT(mt, (early || deferred) && !reserve, "p.deactivate");
	}
	for (i = 0; i < 3; i++)
		MSI_TEST_WANT(mt, deferred, "sync(%d,msg=0)", maps[i].index);
	for (i = 0; i < 3; i++)
		MSI_TEST_WANT(mt, post, "done(%d)", maps[i].index);
	MSI_TEST_WANT(mt, lock, "unlock");
	for (i = 0; i < 3; i++)
		MSI_TEST_WANT(mt, true, "p.free");
	MSI_TEST_WANT(mt, lock, "lock");
	for (i = 0; i < 3; i++)
		MSI_TEST_WANT(mt, true, "free(%d)", maps[i].index);
	MSI_TEST_WANT(mt, lock, "unlock");
	MSI_TEST_EXPECT_WANT(mt, "free");

	msi_store_free_irq(mt->dev, id, hole);
	msi_remove_store(mt->dev, id);
}

static void batch_bounds(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map maps[BATCH], map;
	int id;

	id = msi_test_create(mt, kind_of(test), BATCH, &mt->hw);
	msi_test_log_reset(mt);

#define ALLOC(min, max)	msi_test_alloc_irqs(mt, id, min, max, maps)
	KUNIT_EXPECT_EQ(test, ALLOC(0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ALLOC(0, 3), -EINVAL);
	KUNIT_EXPECT_EQ(test, ALLOC(4, 3), -EINVAL);
	KUNIT_EXPECT_EQ(test, ALLOC(BATCH + 1, BATCH + 1), -ENOSPC);
	KUNIT_EXPECT_EQ(test, ALLOC(UINT_MAX, UINT_MAX), -ENOSPC);
	MSI_TEST_EXPECT_LOG(mt, "");

	/* As many as there are slots */
	map = msi_test_alloc(mt, id, 2);
	KUNIT_EXPECT_EQ(test, ALLOC(BATCH, BATCH), -ENOSPC);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 1);
	KUNIT_EXPECT_EQ(test, ALLOC(1, UINT_MAX), BATCH - 1);
	KUNIT_EXPECT_EQ(test, mt->hw.used, BATCH);
	KUNIT_EXPECT_EQ(test, maps[0].index, 0);
	KUNIT_EXPECT_EQ(test, maps[2].index, 3);
	KUNIT_EXPECT_EQ(test, maps[BATCH - 2].index, BATCH - 1);
	KUNIT_EXPECT_EQ(test, ALLOC(1, 1), -ENOSPC);
	msi_store_free_irqs(mt->dev, id, maps, BATCH - 1);
	msi_store_free_irq(mt->dev, id, map);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);

	/* As many as the parent has */
	mt->parent.limit = 4;
	KUNIT_EXPECT_EQ(test, ALLOC(5, BATCH), -ENOSPC);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	KUNIT_EXPECT_EQ(test, mt->parent.irqs, 0);
	KUNIT_EXPECT_EQ(test, ALLOC(4, BATCH), 4);
	KUNIT_EXPECT_EQ(test, mt->parent.irqs, 4);
	msi_store_free_irqs(mt->dev, id, maps, 4);
	mt->parent.limit = MSI_TEST_SLOTS;
#undef ALLOC

	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	msi_store_free_irqs(mt->dev, id, maps, 0);
	msi_remove_store(mt->dev, id);
}

/* One of them fails, and it is not because there are no more */
static void batch_undone(struct kunit *test)
{
	union msi_instance_cookie cookies[BATCH];
	struct msi_test *mt = test->priv;
	struct msi_map maps[BATCH];
	unsigned int bad;
	int id, ret;

	mt->quiet = true;
	id = msi_test_create(mt, kind_of(test), 2 * BATCH, &mt->hw);
	mt->hw.bad_cookie = 0xbad;

	for (bad = 0; bad <= BATCH; bad++) {
		memset(cookies, 0, sizeof(cookies));
		if (bad < BATCH)
			cookies[bad].value = 0xbad;
		ret = msi_store_alloc_irqs(mt->dev, id, MSI_ANY_INDEX, 1, BATCH, NULL, cookies,
					   maps);
		KUNIT_EXPECT_EQ(test, ret, bad < BATCH ? -EINVAL : BATCH);
		KUNIT_EXPECT_EQ(test, mt->hw.used, bad < BATCH ? 0 : BATCH);
		KUNIT_EXPECT_EQ(test, mt->parent.irqs, bad < BATCH ? 0 : BATCH);
		KUNIT_EXPECT_EQ(test, used(mt, id), bad < BATCH ? 0 : BATCH);
	}
	msi_store_free_irqs(mt->dev, id, maps, BATCH);

	mt->hw.sync_ret = -EREMOTEIO;
	for (bad = 0; msi_test_is_deferred(kind_of(test)) && bad < BATCH; bad++) {
		mt->hw.sync_index = bad;
		ret = msi_test_alloc_irqs(mt, id, 1, BATCH, maps);
		KUNIT_EXPECT_EQ(test, ret, -EREMOTEIO);
		KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
		KUNIT_EXPECT_EQ(test, mt->parent.irqs, 0);
	}
	msi_remove_store(mt->dev, id);
}

static void batch_free_wrong(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map maps[8];
	int id;

	skip_if_warnings_are_fatal(test);

	id = msi_test_create(mt, kind_of(test), 8, &mt->hw);
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(mt, id, 5, 5, maps), 5);

	/* Two of them twice, one that is none, and out of order */
	maps[7] = maps[0];
	maps[0] = maps[3];
	maps[5] = maps[1];
	maps[6] = (struct msi_map){ .index = 6, .virq = maps[1].virq };
	msi_test_log_reset(mt);
	msi_store_free_irqs(mt->dev, id, maps, 8);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	KUNIT_EXPECT_EQ(test, mt->parent.irqs, 0);
	KUNIT_EXPECT_EQ(test, used(mt, id), 0);
	KUNIT_EXPECT_PTR_NE(test, strstr(mt->log.buf, "free(3)"), NULL);
	KUNIT_EXPECT_PTR_NE(test, strstr(mt->log.buf, "free(0)"), NULL);

	/* All of it was freed: It can be had again */
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(mt, id, 8, 8, maps), 8);
	msi_store_free_irqs(mt->dev, id, maps, 8);
	msi_remove_store(mt->dev, id);
}

/* More than are freed at once, some of them from the middle first */
static void batch_large(struct kunit *test)
{
	unsigned int count = min(msi_test_free_irqs(), 100U);
	struct msi_test *mt = test->priv;
	struct msi_map *maps, some[3];
	unsigned int i;
	int id;

	/* There has to be more than one, or this is no test of anything */
	KUNIT_ASSERT_GT(test, count, 8);
	maps = kunit_kcalloc(test, count, sizeof(*maps), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, maps);
	mt->quiet = true;

	id = msi_test_create(mt, kind_of(test), MSI_TEST_SLOTS, &mt->hw);
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(mt, id, count, count, maps), count);
	for (i = 0; i < count; i++)
		KUNIT_EXPECT_EQ(test, maps[i].index, i);

	for (i = 0; i < 3; i++)
		some[i] = maps[3 + i];
	msi_store_free_irqs(mt->dev, id, some, 3);
	KUNIT_EXPECT_EQ(test, mt->hw.used, count - 3);
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(mt, id, 3, 3, some), 3);
	for (i = 0; i < 3; i++)
		maps[3 + i] = some[i];
	KUNIT_EXPECT_EQ(test, some[0].index, 3);

	msi_store_free_irqs(mt->dev, id, maps, count);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	msi_remove_store(mt->dev, id);
}

/* The affinity is spread, and managed where the store can do it */
static void batch_affinity(struct kunit *test)
{
	struct irq_affinity affd = { .pre_vectors = 1, .post_vectors = 1 };
	/* Once used, it has calc_sets(), and no limit by the number of CPUs any more */
	struct irq_affinity again = affd;
	unsigned int count = num_possible_cpus() + 2;
	struct msi_test *mt = test->priv;
	struct msi_map *maps;
	const struct cpumask *mask;
	struct cpumask *all;
	unsigned int i;
	int id, ret;

	maps = kunit_kcalloc(test, count, sizeof(*maps), GFP_KERNEL);
	all = kunit_kzalloc(test, sizeof(*all), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, maps);
	KUNIT_ASSERT_NOT_NULL(test, all);
	mt->quiet = true;

	id = msi_test_create(mt, kind_of(test), MSI_TEST_SLOTS, &mt->hw);
	ret = msi_store_alloc_irqs(mt->dev, id, MSI_ANY_INDEX, 3, count, &affd, NULL, maps);
	KUNIT_ASSERT_EQ(test, ret, count);

	for (i = 0; i < count; i++) {
		struct irq_data *data = irq_get_irq_data(maps[i].virq);
		bool spread = i && i < count - 1 && IS_ENABLED(CONFIG_SMP);

		KUNIT_EXPECT_EQ(test, irqd_affinity_is_managed(data),
				spread && !msi_test_is_deferred(kind_of(test)));
		/* Each CPU has one. The others can be on any CPU, or on the default ones */
		if (spread) {
			mask = irq_data_get_affinity_mask(data);
			KUNIT_EXPECT_FALSE(test, cpumask_intersects(all, mask));
			cpumask_or(all, all, mask);
		}
	}
	if (IS_ENABLED(CONFIG_SMP))
		KUNIT_EXPECT_TRUE(test, cpumask_equal(all, cpu_possible_mask));
	msi_store_free_irqs(mt->dev, id, maps, count);

	/* There are less than that: What is there is spread anew over all CPUs */
	mt->parent.limit = 3;
	KUNIT_ASSERT_EQ(test, msi_store_alloc_irqs(mt->dev, id, MSI_ANY_INDEX, 3, count, &affd,
						   NULL, maps), min(count, 3U));
	mask = irq_data_get_affinity_mask(irq_get_irq_data(maps[1].virq));
	if (IS_ENABLED(CONFIG_SMP))
		KUNIT_EXPECT_TRUE(test, cpumask_equal(cpu_possible_mask, mask));
	msi_store_free_irqs(mt->dev, id, maps, min(count, 3U));
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);

	/* Nothing to be spread is left */
	mt->parent.limit = 2;
	KUNIT_EXPECT_EQ(test, msi_store_alloc_irqs(mt->dev, id, MSI_ANY_INDEX, 3, count, &again,
						   NULL, maps), -ENOSPC);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	msi_remove_store(mt->dev, id);
}

/* A managed affinity for a single one */
static void store_affinity(struct kunit *test)
{
	struct irq_affinity_desc desc = { .is_managed = 1 };
	struct msi_test *mt = test->priv;
	struct msi_map map;
	int id;

	cpumask_copy(&desc.mask, cpu_possible_mask);
	id = msi_test_create(mt, kind_of(test), 8, &mt->hw);
	map = msi_store_alloc_irq(mt->dev, id, 3, &desc, NULL);
	if (msi_test_is_deferred(kind_of(test))) {
		expect_error(mt, map, -EOPNOTSUPP);
		KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
		desc.is_managed = 0;
		map = msi_store_alloc_irq(mt->dev, id, 3, &desc, NULL);
	}
	KUNIT_ASSERT_EQ(test, map.index, 3);
	if (IS_ENABLED(CONFIG_SPARSE_IRQ))
		KUNIT_EXPECT_EQ(test, irqd_affinity_is_managed(irq_get_irq_data(map.virq)),
				!!desc.is_managed);
	msi_store_free_irq(mt->dev, id, map);
	msi_remove_store(mt->dev, id);
}

/* --- The default store ------------------------------------------------------ */

static unsigned int count_descs(struct msi_test *mt, enum msi_desc_filter filter)
{
	struct msi_desc *desc;
	unsigned int n = 0;

	msi_for_each_desc(desc, mt->dev, filter)
		n++;
	return n;
}

/* The MSI lock is held */
static int setup_default(struct msi_test *mt, enum msi_test_kind kind, unsigned int size)
{
	return msi_default_store_setup(mt->dev, &msi_test_templates[kind], size, NULL);
}

/* The kinds that a default store can be of */
static const void *default_gen(const void *prev, char *desc)
{
	const struct msi_storage_template *tmpl = prev;

	do {
		tmpl = kind_gen(tmpl, desc);
	} while (tmpl && (tmpl->ops->sync || tmpl->ops->lock));
	return tmpl;
}

static void default_iterate(struct kunit *test)
{
	static const unsigned int index[] = { 0, 1, 5, 7 };
	struct msi_desc init = { .nvec_used = 1 };
	struct msi_test *mt = test->priv;
	unsigned int i, sum = 0;
	struct msi_desc *desc;
	int ret = 0;

	KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);
	msi_lock_descs(mt->dev);
	KUNIT_EXPECT_EQ(test, setup_default(mt, kind_of(test), 8), 0);
	KUNIT_EXPECT_EQ(test, count_descs(mt, MSI_DESC_ALL), 0);

	for (i = 0; i < ARRAY_SIZE(index) && !ret; i++) {
		init.msi_index = index[i];
		ret = msi_add_msi_desc(mt->dev, &init);
	}
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, msi_add_msi_desc(mt->dev, &init), -EBUSY);
	KUNIT_EXPECT_EQ(test, count_descs(mt, MSI_DESC_ALL), 4);
	KUNIT_EXPECT_EQ(test, count_descs(mt, MSI_DESC_NOTASSOCIATED), 4);
	KUNIT_EXPECT_EQ(test, count_descs(mt, MSI_DESC_ASSOCIATED), 0);

	KUNIT_EXPECT_EQ(test, msi_default_store_alloc_irqs(mt->dev), 0);
	KUNIT_EXPECT_EQ(test, count_descs(mt, MSI_DESC_NOTASSOCIATED), 0);
	KUNIT_EXPECT_EQ(test, count_descs(mt, MSI_DESC_ASSOCIATED), 4);
	msi_for_each_desc(desc, mt->dev, MSI_DESC_ASSOCIATED)
		sum += desc->msi_index;
	KUNIT_EXPECT_EQ(test, sum, 13);
	msi_unlock_descs(mt->dev);

	for (i = 0; i < 9; i++) {
		KUNIT_EXPECT_EQ_MSG(test, !!msi_get_virq(mt->dev, i),
				    i == 0 || i == 1 || i == 5 || i == 7, "index %u", i);
	}

	/* A descriptor can be removed while it is the current one */
	msi_lock_descs(mt->dev);
	msi_default_store_free_irqs(mt->dev);
	sum = 0;
	msi_for_each_desc(desc, mt->dev, MSI_DESC_ALL) {
		unsigned int at = desc->msi_index;

		sum += at;
		msi_free_msi_descs_range(mt->dev, MSI_DESC_ALL, at, at);
	}
	KUNIT_EXPECT_EQ(test, sum, 13);
	KUNIT_EXPECT_EQ(test, count_descs(mt, MSI_DESC_ALL), 0);
	msi_unlock_descs(mt->dev);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
}

/* --- A parent with one table for all stores of a device, as an ITS has it ------ */

static int table_add_default(struct msi_test *mt, unsigned int size, unsigned int nr)
{
	struct msi_desc init = { .nvec_used = 1 };
	int ret;

	/* The one that was there before is released */
	mt->hw.released = 0;
	msi_lock_descs(mt->dev);
	ret = setup_default(mt, MSI_TEST_DIRECT, size);
	mt->hw.released = 0;
	for (; !ret && init.msi_index < nr; init.msi_index++)
		ret = msi_add_msi_desc(mt->dev, &init);
	if (!ret)
		ret = msi_default_store_alloc_irqs(mt->dev);
	msi_unlock_descs(mt->dev);
	return ret;
}

static void table_free_default(struct msi_test *mt)
{
	msi_lock_descs(mt->dev);
	msi_default_store_free_irqs(mt->dev);
	msi_free_msi_descs(mt->dev);
	msi_unlock_descs(mt->dev);
}

/* Each delivers, as often as it has an event, masked at the parent before and after */
static void table_use(struct msi_test *mt, struct msi_test_hw *hw, unsigned int irq,
		      unsigned int index)
{
	struct kunit *test = mt->test;
	const int handled = atomic_read(&mt->handled);

	KUNIT_ASSERT_EQ(test, request_irq(irq, msi_test_handler, 0, "msi_kunit", mt), 0);
	KUNIT_EXPECT_NOT_NULL(test, strstr(mt->log.buf, "p.unmask unmask"));
	msi_test_log_reset(mt);
	msi_test_fire(mt, hw, index);
	msi_test_fire(mt, hw, index);
	MSI_TEST_EXPECT_LOG(mt, "p.eoi p.eoi");
	KUNIT_EXPECT_EQ(test, atomic_read(&mt->handled), handled + 2);
	free_irq(irq, mt);
	KUNIT_EXPECT_NOT_NULL(test, strstr(mt->log.buf, "p.mask"));
	msi_test_log_reset(mt);
}

static void store_shared_table(struct kunit *test)
{
	enum { DEFAULT = 8, NR = 4 };
	struct msi_test *mt = test->priv;
	struct msi_test_hw *hw[3] = { more_hw(mt), more_hw(mt), more_hw(mt) };
	const struct msi_storage_template *tmpl = &msi_test_templates[MSI_TEST_DIRECT];
	struct msi_map maps[2][NR];
	unsigned int i, j, round;
	int id[2];

	msi_test_parent_init(mt, MSI_PARENT_MASK | MSI_PARENT_EOI | MSI_PARENT_STABLE_MSG);
	mt->parent.room = DEFAULT + 2 * NR + 1;
	KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);

	/* The default store first, and then the others; the reverse the second time */
	for (round = 0; round < 2; round++) {
		if (!round)
			KUNIT_ASSERT_EQ(test, table_add_default(mt, DEFAULT, NR), 0);
		for (i = 0; i < 2; i++) {
			id[i] = msi_test_create(mt, MSI_TEST_DIRECT, NR, hw[i]);
			KUNIT_EXPECT_EQ(test, msi_test_alloc_irqs(mt, id[i], NR, NR, maps[i]), NR);
		}
		if (round)
			KUNIT_ASSERT_EQ(test, table_add_default(mt, DEFAULT, NR), 0);
		KUNIT_EXPECT_EQ(test, mt->parent.reserved, DEFAULT + 2 * NR);

		/* What does not fit leaves nothing, and what fits is no more than that */
		hw[2]->released = 0;
		KUNIT_EXPECT_EQ(test, msi_create_store(mt->dev, tmpl, 2, hw[2]), -ENOSPC);
		KUNIT_EXPECT_EQ(test, mt->parent.reserved, DEFAULT + 2 * NR);
		KUNIT_EXPECT_EQ(test, hw[2]->released, 0);
		msi_remove_store(mt->dev, msi_test_create(mt, MSI_TEST_DIRECT, 1, hw[2]));

		msi_test_log_reset(mt);
		for (j = 0; j < NR; j++) {
			table_use(mt, &mt->hw, msi_get_virq(mt->dev, j), j);
			for (i = 0; i < 2; i++)
				table_use(mt, hw[i], maps[i][j].virq, maps[i][j].index);
		}

		/* Those of one are freed, and another one uses them */
		msi_store_free_irqs(mt->dev, id[0], maps[0], NR);
		msi_remove_store(mt->dev, id[0]);
		KUNIT_EXPECT_EQ(test, mt->parent.reserved, DEFAULT + NR);
		id[0] = msi_test_create(mt, MSI_TEST_DIRECT, NR + 1, hw[0]);
		maps[0][0] = msi_test_alloc(mt, id[0], NR);
		msi_test_log_reset(mt);
		table_use(mt, hw[0], maps[0][0].virq, NR);
		table_use(mt, hw[1], maps[1][0].virq, 0);
		msi_store_free_irq(mt->dev, id[0], maps[0][0]);
		msi_remove_store(mt->dev, id[0]);

		/* The default store grows into what they had */
		table_free_default(mt);
		KUNIT_EXPECT_EQ(test, table_add_default(mt, DEFAULT + NR + 2, 1), -ENOSPC);
		KUNIT_EXPECT_EQ(test, table_add_default(mt, DEFAULT + NR + 1, 1), 0);
		KUNIT_EXPECT_EQ(test, mt->parent.reserved, mt->parent.room);
		table_free_default(mt);
		KUNIT_EXPECT_EQ(test, table_add_default(mt, 1, 0), 0);

		msi_store_free_irqs(mt->dev, id[1], maps[1], NR);
		msi_remove_store(mt->dev, id[1]);
		KUNIT_EXPECT_EQ(test, mt->parent.reserved, 1);
	}
	msi_test_unbind(mt);
	KUNIT_EXPECT_EQ(test, mt->parent.reserved, 0);
}

/* Firmware finds the parent by the tokens of the domains that it replaces, and no other */
static void store_bus_tokens(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct fwnode_handle *fwnode = mt->parent.fwnodes[1];

	KUNIT_EXPECT_NULL(test, irq_find_matching_fwnode(fwnode, DOMAIN_BUS_PCI_MSI));
	mt->parent.ops.bus_tokens = BIT(DOMAIN_BUS_PCI_MSI);
	KUNIT_EXPECT_PTR_EQ(test, irq_find_matching_fwnode(fwnode, DOMAIN_BUS_PCI_MSI),
			    mt->parent.domain);
	KUNIT_EXPECT_NULL(test, irq_find_matching_fwnode(fwnode, DOMAIN_BUS_PLATFORM_MSI));
	KUNIT_EXPECT_NULL(test, irq_find_matching_fwnode(mt->parent.fwnodes[0],
							 DOMAIN_BUS_PCI_MSI));
	KUNIT_EXPECT_PTR_EQ(test, irq_find_matching_fwnode(fwnode, DOMAIN_BUS_ANY),
			    mt->parent.domain);
}

static const struct irq_domain_ops global_ops = { };

static void expect_parent(struct msi_test *mt, bool has)
{
	struct kunit *test = mt->test;
	int id;

	KUNIT_EXPECT_EQ(test, msi_has_parent(mt->dev), has);
	if (!has) {
		id = msi_create_store(mt->dev, &msi_test_templates[MSI_TEST_DIRECT], 4, &mt->hw);
		KUNIT_EXPECT_EQ(test, id, -ENODEV);
		return;
	}
	id = msi_test_create(mt, MSI_TEST_DIRECT, 4, &mt->hw);
	KUNIT_EXPECT_PTR_EQ(test, msi_test_store(mt, id)->devdom->domain->parent,
			    mt->parent.domain);
	msi_remove_store(mt->dev, id);
}

/* A device with a global domain has its device domains below that, if the parent says so */
static void store_global_domain(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct irq_domain *global, *stacked;

	global = irq_domain_create_hierarchy(mt->parent.domain, 0, 0, NULL, &global_ops, NULL);
	KUNIT_ASSERT_NOT_NULL(test, global);
	stacked = irq_domain_create_hierarchy(global, 0, 0, NULL, &global_ops, NULL);
	global->bus_token = DOMAIN_BUS_PLATFORM_MSI;
	mt->parent.ops.bus_tokens = BIT(DOMAIN_BUS_PLATFORM_MSI);

	dev_set_msi_domain(mt->dev, global);
	expect_parent(mt, false);
	mt->parent.ops.global_tokens = BIT(DOMAIN_BUS_FSL_MC_MSI);
	expect_parent(mt, false);
	mt->parent.ops.global_tokens |= BIT(DOMAIN_BUS_PLATFORM_MSI);
	expect_parent(mt, true);
	mt->parent.domain->flags &= ~IRQ_DOMAIN_FLAG_MSI_PARENT;
	expect_parent(mt, false);
	mt->parent.domain->flags |= IRQ_DOMAIN_FLAG_MSI_PARENT;

	/* What is on top of the global domain is none, and neither is the end of it all */
	KUNIT_EXPECT_NOT_NULL(test, stacked);
	if (stacked) {
		stacked->bus_token = DOMAIN_BUS_PLATFORM_MSI;
		dev_set_msi_domain(mt->dev, stacked);
		expect_parent(mt, false);
		irq_domain_remove(stacked);
	}
	dev_set_msi_domain(mt->dev, mt->parent.root);
	expect_parent(mt, false);

	/* The parent itself needs no token */
	mt->parent.ops.global_tokens = 0;
	dev_set_msi_domain(mt->dev, mt->parent.domain);
	expect_parent(mt, true);
	irq_domain_remove(global);
}

/* While the handler runs, the interrupt comes in once more, as it can on another CPU */
static irqreturn_t resend_handler(int irq, void *arg)
{
	struct msi_test *mt = arg;

	if (atomic_inc_return(&mt->handled) == 1)
		generic_handle_domain_irq(mt->parent.domain,
					  irq_get_irq_data(irq)->parent_data->hwirq);
	return IRQ_HANDLED;
}

static void store_resend(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map map;
	int id, resend;

	msi_test_parent_init(mt, MSI_PARENT_MASK | MSI_PARENT_EOI | MSI_PARENT_STABLE_MSG);
	mt->parent.deliver = true;
	id = msi_test_create(mt, MSI_TEST_DIRECT, 4, &mt->hw);
	for (resend = 0; resend < 2; resend++) {
		map = msi_test_alloc(mt, id, 0);
		if (resend)
			irqd_set_resend_when_in_progress(irq_get_irq_data(map.virq));
		KUNIT_ASSERT_EQ(test, request_irq(map.virq, resend_handler, 0, "msi_kunit", mt),
				0);
		msi_test_log_reset(mt);
		atomic_set(&mt->handled, 0);
		msi_test_fire(mt, &mt->hw, 0);
		irq_work_sync(&mt->parent.redeliver);
		KUNIT_EXPECT_EQ(test, atomic_read(&mt->handled), 1 + resend);
		MSI_TEST_EXPECT_LOG(mt, resend ? "p.eoi p.eoi p.retrigger p.eoi" : "p.eoi p.eoi");

		msi_test_fire(mt, &mt->hw, 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&mt->handled), 2 + resend);
		free_irq(map.virq, mt);
		msi_store_free_irq(mt->dev, id, map);
	}
	msi_remove_store(mt->dev, id);
}

/* One descriptor for several messages, as for PCI multi MSI */
static void default_multi(struct kunit *test)
{
	struct msi_desc init = { .nvec_used = 4 };
	struct msi_test *mt = test->priv;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);
	msi_lock_descs(mt->dev);
	KUNIT_EXPECT_EQ(test, setup_default(mt, MSI_TEST_DIRECT, 8), 0);
	KUNIT_EXPECT_EQ(test, msi_add_msi_desc(mt->dev, &init), 0);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 4);
	KUNIT_EXPECT_EQ(test, msi_default_store_alloc_irqs(mt->dev), 0);
	msi_unlock_descs(mt->dev);

	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, msi_get_virq(mt->dev, i), msi_get_virq(mt->dev, 0) + i);
	KUNIT_EXPECT_EQ(test, msi_get_virq(mt->dev, 4), 0);

	for (i = 0; i < 4; i++) {
		KUNIT_ASSERT_EQ(test, request_irq(msi_get_virq(mt->dev, i), msi_test_handler, 0,
						  "msi_kunit", mt), 0);
		KUNIT_EXPECT_FALSE(test, msi_test_find(&mt->hw, i)->masked);
		KUNIT_EXPECT_EQ(test, msi_test_find(&mt->hw, i)->msg.data, 0x100 + i);
	}
	for (i = 0; i < 4; i++) {
		free_irq(msi_get_virq(mt->dev, i), mt);
		KUNIT_EXPECT_TRUE(test, msi_test_find(&mt->hw, i)->masked);
		KUNIT_EXPECT_EQ(test, msi_test_find(&mt->hw, i)->msg.data, 0);
	}

	msi_lock_descs(mt->dev);
	msi_default_store_free_irqs(mt->dev);
	msi_free_msi_descs(mt->dev);

	/* The third slot is refused, and the first two are undone */
	init.slot.cookie.value = 1;
	mt->hw.bad_cookie = 1;
	KUNIT_EXPECT_EQ(test, msi_add_msi_desc(mt->dev, &init), -EINVAL);
	KUNIT_EXPECT_EQ(test, count_descs(mt, MSI_DESC_ALL), 0);
	mt->hw.bad_cookie = 0;
	msi_unlock_descs(mt->dev);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
}

/* What is written early is not left behind, whether it was requested or not */
static void default_early(struct kunit *test)
{
	struct msi_desc init = { .nvec_used = 4 };
	struct msi_test *mt = test->priv;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);
	msi_lock_descs(mt->dev);
	KUNIT_EXPECT_EQ(test, setup_default(mt, MSI_TEST_DIRECT_EARLY, 8), 0);
	KUNIT_EXPECT_EQ(test, msi_add_msi_desc(mt->dev, &init), 0);
	KUNIT_EXPECT_EQ(test, msi_default_store_alloc_irqs(mt->dev), 0);
	msi_unlock_descs(mt->dev);

	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, msi_test_find(&mt->hw, i)->msg.data, 0x100 + i);

	KUNIT_ASSERT_EQ(test, request_irq(msi_get_virq(mt->dev, 1), msi_test_handler, 0,
					  "msi_kunit", mt), 0);
	free_irq(msi_get_virq(mt->dev, 1), mt);
	KUNIT_EXPECT_EQ(test, msi_test_find(&mt->hw, 1)->msg.data, 0);

	msi_lock_descs(mt->dev);
	msi_default_store_free_irqs(mt->dev);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_TRUE(test, msi_test_find(&mt->hw, i)->masked);
		KUNIT_EXPECT_EQ(test, msi_test_find(&mt->hw, i)->msg.data, 0);
	}
	msi_free_msi_descs(mt->dev);
	msi_unlock_descs(mt->dev);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
}

/* One at a time, as for MSI-X that is enabled */
static void default_dynamic(struct kunit *test)
{
	struct msi_desc init = { .nvec_used = 1, .msi_index = MSI_ANY_INDEX };
	struct msi_test *mt = test->priv;
	struct msi_map map, last;

	KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);
	msi_lock_descs(mt->dev);
	map = msi_default_store_alloc_irq(mt->dev, &init);
	KUNIT_EXPECT_EQ(test, map.index, -ENODEV);

	KUNIT_EXPECT_EQ(test, setup_default(mt, kind_of(test), 4), 0);
	map = msi_default_store_alloc_irq(mt->dev, &init);
	init.msi_index = 3;
	last = msi_default_store_alloc_irq(mt->dev, &init);
	KUNIT_EXPECT_EQ(test, map.index, 0);
	KUNIT_EXPECT_EQ(test, last.index, 3);
	expect_error(mt, msi_default_store_alloc_irq(mt->dev, &init), -EBUSY);
	init.msi_index = 4;
	expect_error(mt, msi_default_store_alloc_irq(mt->dev, &init), -ERANGE);
	msi_unlock_descs(mt->dev);

	KUNIT_EXPECT_EQ(test, msi_get_virq(mt->dev, 0), map.virq);
	KUNIT_EXPECT_EQ(test, msi_get_virq(mt->dev, 3), last.virq);

	msi_lock_descs(mt->dev);
	if (map.index == 0)
		msi_default_store_free_irq(mt->dev, map);
	if (last.index == 3)
		msi_default_store_free_irq(mt->dev, last);
	msi_unlock_descs(mt->dev);
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
}

/* The same template again is no change, another one is */
static void default_setup_again(struct kunit *test)
{
	const struct msi_storage_template *tmpl = &msi_test_templates[MSI_TEST_DIRECT];
	struct msi_test *mt = test->priv;

	KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);
	msi_lock_descs(mt->dev);
	KUNIT_EXPECT_EQ(test, setup_default(mt, MSI_TEST_NOMASK, 4), 0);
	MSI_TEST_EXPECT_LOG(mt, "p.prepare(4)");
	KUNIT_EXPECT_EQ(test, setup_default(mt, MSI_TEST_NOMASK, 4), 0);
	MSI_TEST_EXPECT_LOG(mt, "");
	KUNIT_EXPECT_EQ(test, setup_default(mt, MSI_TEST_NOMASK, 5), 0);
	MSI_TEST_EXPECT_LOG(mt, "p.teardown release p.prepare(5)");
	mt->hw.released = 0;
	KUNIT_EXPECT_EQ(test, setup_default(mt, MSI_TEST_DIRECT, 5), 0);
	MSI_TEST_EXPECT_LOG(mt, "p.teardown release p.prepare(5)");
	mt->hw.released = 0;

	/* The storage ops get other private data */
	KUNIT_EXPECT_EQ(test, msi_default_store_setup(mt->dev, tmpl, 5, &mt->hw), 0);
	MSI_TEST_EXPECT_LOG(mt, "p.teardown release p.prepare(5)");
	KUNIT_EXPECT_PTR_EQ(test, msi_test_store(mt, MSI_DEFAULT_STORE)->storage.priv, &mt->hw);
	mt->hw.released = 0;
	KUNIT_EXPECT_EQ(test, msi_default_store_setup(mt->dev, tmpl, 5, &mt->hw), 0);
	MSI_TEST_EXPECT_LOG(mt, "");

	/* Nothing is left of it, and nothing is what can be undone once more */
	msi_default_store_teardown(mt->dev);
	MSI_TEST_EXPECT_LOG(mt, "p.teardown release");
	KUNIT_EXPECT_FALSE(test, msi_default_store_has_domain(mt->dev));
	msi_default_store_teardown(mt->dev);
	MSI_TEST_EXPECT_LOG(mt, "");
	mt->hw.released = 0;
	KUNIT_EXPECT_EQ(test, setup_default(mt, MSI_TEST_DIRECT, 5), 0);
	MSI_TEST_EXPECT_LOG(mt, "p.prepare(5)");

	/* The device has got another interrupt domain */
	dev_set_msi_domain(mt->dev, mt->parent.root);
	KUNIT_EXPECT_EQ(test, setup_default(mt, MSI_TEST_DIRECT, 5), 0);
	MSI_TEST_EXPECT_LOG(mt, "p.teardown release");
	mt->hw.released = 0;
	KUNIT_EXPECT_FALSE(test, msi_default_store_has_domain(mt->dev));
	msi_unlock_descs(mt->dev);
}

/* --- What can be seen ------------------------------------------------------- */

static const char debugfs_file[] = "irq/msi/msi_kunit";

static int add_store(char *buf, int id, const char *name, const char *kind, unsigned int size,
		     unsigned int in_use)
{
	int n;

	n = sprintf(buf, "store: %d\n", id);
	n += sprintf(buf + n, " name:    %s\n", name);
	n += sprintf(buf + n, " domain:  TEST-%s.%d-msi_kunit\n", name, id);
	n += sprintf(buf + n, " parent:  TEST\n");
	n += sprintf(buf + n, " kind:    %s\n", kind);
	n += sprintf(buf + n, " size:    %u\n", size);
	n += sprintf(buf + n, " used:    %u\n", in_use);
	n += sprintf(buf + n, " slot        irq cookie             address            ");
	return n + sprintf(buf + n, "data     state\n");
}

static void debugfs_text(struct kunit *test)
{
	static const char row[] = " %-8u %6d %-18s 0x%016x %08x %s\n";
	union msi_instance_cookie cookie = { .value = 0xfffff }, pointer = { };
	struct msi_test *mt = test->priv;
	struct msi_map map[3];
	struct msi_slot *slot;
	int direct, deferred;
	unsigned long hash = 0;
	char *want, *buf;
	char address[20], hashed[20];
	int n;

	if (!IS_ENABLED(CONFIG_GENERIC_IRQ_DEBUGFS))
		kunit_skip(test, "the kernel does not have CONFIG_GENERIC_IRQ_DEBUGFS");

	buf = kunit_kzalloc(test, 4096, GFP_KERNEL);
	want = kunit_kzalloc(test, 4096, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_ASSERT_NOT_NULL(test, want);

	KUNIT_EXPECT_STREQ(test, msi_test_read(debugfs_file, buf, 4096, true), "no file");
	direct = msi_test_create(mt, MSI_TEST_DIRECT, 8, more_hw(mt));
	deferred = msi_test_create(mt, MSI_TEST_DEFERRED, 1 << 20, &mt->hw);
	pointer.ptr = mt;
	/* Without a random number yet, nothing is shown */
	ptr_to_hashval(mt, &hash);
	snprintf(hashed, sizeof(hashed), "0x%016llx", (u64)hash);
	snprintf(address, sizeof(address), "%lx", (unsigned long)mt);
	map[0] = msi_store_alloc_irq(mt->dev, direct, 3, NULL, &pointer);
	KUNIT_ASSERT_EQ(test, map[0].index, 3);
	map[1] = msi_test_alloc(mt, deferred, 2);
	map[2] = msi_store_alloc_irq(mt->dev, deferred, 0xfffff, NULL, &cookie);
	KUNIT_ASSERT_EQ(test, map[2].index, 0xfffff);
	KUNIT_ASSERT_EQ(test, request_irq(map[0].virq, msi_test_handler, 0, "msi_kunit", mt), 0);
	KUNIT_ASSERT_EQ(test, request_irq(map[2].virq, msi_test_handler, 0, "msi_kunit", mt), 0);

	n = add_store(want, direct, "direct", "direct", 8, 1);
	n += sprintf(want + n, row, 3, map[0].virq, hashed, 0xfee00000, 0x100, "unmasked");
	n += add_store(want + n, deferred, "deferred", "deferred", 1 << 20, 2);
	n += sprintf(want + n, row, 2, map[1].virq, "none", 0xfee00000, 0x101, "masked");
	sprintf(want + n, row, 0xfffff, map[2].virq, "0x00000000000fffff", 0xfee00000, 0x102,
		"unmasked");
	KUNIT_EXPECT_STREQ(test, msi_test_read(debugfs_file, buf, 4096, true), want);
	KUNIT_EXPECT_NULL(test, strstr(buf, address));

	/* What the core wants is shown, and that the device has not been told yet */
	KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, deferred, true), 0);
	slot = msi_test_irq_slot(map[2].virq);
	msi_deferred_set_mask(slot, true);
	free_irq(map[0].virq, mt);
	n = add_store(want, direct, "direct", "direct", 8, 1);
	n += sprintf(want + n, row, 3, map[0].virq, hashed, 0, 0, "masked");
	n += add_store(want + n, deferred, "deferred", "deferred, suspended", 1 << 20, 2);
	n += sprintf(want + n, row, 2, map[1].virq, "none", 0xfee00000, 0x101, "masked");
	sprintf(want + n, row, 0xfffff, map[2].virq, "0x00000000000fffff", 0xfee00000, 0x102,
		"masked dirty");
	KUNIT_EXPECT_STREQ(test, msi_test_read(debugfs_file, buf, 4096, true), want);
	msi_deferred_set_mask(slot, false);
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, deferred), 0);

	free_irq(map[2].virq, mt);
	msi_store_free_irq(mt->dev, direct, map[0]);
	msi_store_free_irqs(mt->dev, deferred, &map[1], 2);
	msi_remove_store(mt->dev, direct);
	msi_remove_store(mt->dev, deferred);
	KUNIT_EXPECT_STREQ(test, msi_test_read(debugfs_file, buf, 4096, true), "");
	msi_test_unbind(mt);
	KUNIT_EXPECT_STREQ(test, msi_test_read(debugfs_file, buf, 4096, true), "no file");
}

/* More than one read() */
static void debugfs_long(struct kunit *test)
{
	unsigned int count = min(msi_test_free_irqs(), 100U), lines = 0;
	struct msi_test *mt = test->priv;
	struct msi_map *maps;
	int size = 65536;
	int id, other;
	char *buf, *p;

	if (!IS_ENABLED(CONFIG_GENERIC_IRQ_DEBUGFS))
		kunit_skip(test, "the kernel does not have CONFIG_GENERIC_IRQ_DEBUGFS");

	maps = kunit_kcalloc(test, count, sizeof(*maps), GFP_KERNEL);
	buf = kunit_kzalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, maps);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	mt->quiet = true;

	id = msi_test_create(mt, MSI_TEST_DEFERRED, MSI_TEST_SLOTS, &mt->hw);
	other = msi_test_create(mt, MSI_TEST_DIRECT, 8, more_hw(mt));
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(mt, id, count, count, maps), count);

	msi_test_read(debugfs_file, buf, size, true);
	for (p = buf; (p = strstr(p, " masked\n")); p++)
		lines++;
	KUNIT_EXPECT_EQ(test, lines, count);
	KUNIT_EXPECT_GT(test, strlen(buf), PAGE_SIZE);
	KUNIT_EXPECT_PTR_NE(test, strstr(buf, " name:    deferred\n"), NULL);
	KUNIT_EXPECT_PTR_NE(test, strstr(buf, " name:    direct\n"), NULL);

	msi_store_free_irqs(mt->dev, id, maps, count);
	msi_remove_store(mt->dev, other);
	msi_remove_store(mt->dev, id);
}

static void store_sysfs(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct kernfs_node *kn;
	struct msi_map map;
	char path[32];
	int id;

	if (!IS_ENABLED(CONFIG_SYSFS))
		kunit_skip(test, "the kernel does not have CONFIG_SYSFS");

	id = msi_test_create(mt, kind_of(test), 8, &mt->hw);
	map = msi_test_alloc(mt, id, 3);
	snprintf(path, sizeof(path), "msi_irqs/%d", map.virq);
	kn = kernfs_walk_and_get(mt->dev->kobj.sd, path);
	KUNIT_EXPECT_NOT_NULL(test, kn);
	kernfs_put(kn);

	msi_store_free_irq(mt->dev, id, map);
	kn = kernfs_walk_and_get(mt->dev->kobj.sd, path);
	KUNIT_EXPECT_NULL(test, kn);
	kernfs_put(kn);
	msi_remove_store(mt->dev, id);
}

/* --- Suspend and restore ---------------------------------------------------- */

#define RESTORE	3

/* The device has lost everything, and slots come up in the worst way */
static void forget(struct msi_test_hw *hw)
{
	unsigned int i;

	for (i = 0; i < MSI_TEST_SLOTS; i++) {
		hw->slots[i].masked = false;
		memset(&hw->slots[i].msg, 0xff, sizeof(hw->slots[i].msg));
	}
}

/* An interrupt can be unmasked while the device comes back, its slot cannot */
static void restore_unmask(struct kunit *test)
{
	enum msi_test_kind kind = kind_of(test);
	struct msi_test *mt = test->priv;
	struct msi_map maps[2];
	struct msi_test_slot *s;
	unsigned int i;
	int id;

	if (msi_test_is_deferred(kind) || !msi_test_can_mask(kind))
		kunit_skip(test, "the device is told later, or cannot mask");

	id = msi_test_create(mt, kind, 8, &mt->hw);
	for (i = 0; i < 2; i++) {
		maps[i] = msi_test_alloc(mt, id, i);
		irq_modify_status(maps[i].virq, 0, _IRQ_DISABLE_UNLAZY);
		KUNIT_ASSERT_EQ(test, request_irq(maps[i].virq, msi_test_handler, 0, "msi_kunit",
						  mt), 0);
		disable_irq(maps[i].virq);
	}

	/* Reset: all slots are masked, and have no message */
	for (i = 0; i < 2; i++) {
		s = msi_test_find(&mt->hw, i);
		KUNIT_EXPECT_TRUE(test, s->masked);
		memset(&s->msg, 0, sizeof(s->msg));
	}
	msi_lose_stores(mt->dev, false);
	msi_test_fire(mt, &mt->hw, 0);
	msi_test_log_reset(mt);

	enable_irq(maps[0].virq);
	KUNIT_EXPECT_NULL(test, strstr(mt->log.buf, "unmask("));
	KUNIT_EXPECT_TRUE(test, msi_test_find(&mt->hw, 0)->masked);
	KUNIT_EXPECT_EQ(test, atomic_read(&mt->handled), 0);

	msi_restore_stores(mt->dev);
	msi_test_expect_same(mt, &mt->hw, maps, 2);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&mt->handled) == 1));
	KUNIT_EXPECT_NULL(test, strstr(mt->log.buf, "lost"));

	/* From here on at once. What was not unmasked meanwhile is as it was */
	KUNIT_EXPECT_TRUE(test, msi_test_find(&mt->hw, 1)->masked);
	enable_irq(maps[1].virq);
	KUNIT_EXPECT_FALSE(test, msi_test_find(&mt->hw, 1)->masked);
	msi_test_fire(mt, &mt->hw, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&mt->handled), 2);

	/* Nobody has restored it: A driver can, and what was masked meanwhile stays so */
	msi_lose_stores(mt->dev, false);
	disable_irq(maps[1].virq);
	KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, id), 0);
	KUNIT_EXPECT_TRUE(test, msi_test_find(&mt->hw, 1)->masked);
	enable_irq(maps[1].virq);
	KUNIT_EXPECT_FALSE(test, msi_test_find(&mt->hw, 1)->masked);

	for (i = 0; i < 2; i++)
		free_irq(maps[i].virq, mt);
	msi_store_free_irqs(mt->dev, id, maps, 2);
	msi_remove_store(mt->dev, id);
}

static void restore(struct kunit *test)
{
	enum msi_test_kind kind = kind_of(test);
	bool mask = msi_test_can_mask(kind), lock = msi_test_has_lock(kind);
	bool deferred = msi_test_is_deferred(kind);
	struct msi_test *mt = test->priv;
	struct msi_map maps[RESTORE];
	unsigned int i, round;
	bool none;
	int id;

	id = msi_test_create(mt, kind, 8, &mt->hw);
	KUNIT_ASSERT_EQ(test, msi_test_alloc_irqs(mt, id, RESTORE, RESTORE, maps), RESTORE);

	/* One was never requested, one not yet enabled, one is */
	KUNIT_ASSERT_EQ(test, request_irq(maps[1].virq, msi_test_handler, IRQF_NO_AUTOEN,
					  "msi_kunit", mt), 0);
	KUNIT_ASSERT_EQ(test, request_irq(maps[2].virq, msi_test_handler, 0, "msi_kunit", mt), 0);
	msi_test_expect_same(mt, &mt->hw, maps, RESTORE);

	MSI_TEST_WANT(mt, lock, "lock");
	for (i = 0; i < RESTORE; i++) {
		struct msi_slot *slot = msi_test_irq_slot(maps[i].virq);

		if (deferred) {
			msi_test_add(&mt->want, "sync(%u,msg=%x,mask=%d)", i, slot->msg.data,
				     i < 2);
			continue;
		}
		if (mask)
			msi_test_add(&mt->want, "mask(%u)", i);
		msi_test_add(&mt->want, "msg(%u)=%x", i, slot->msg.data);
		if (mask && i == 2)
			msi_test_add(&mt->want, "unmask(%u)", i);
	}
	for (i = 0; i < RESTORE; i++)
		MSI_TEST_WANT(mt, kind == MSI_TEST_DEFERRED_POST, "done(%u)", i);
	MSI_TEST_WANT(mt, lock, "unlock");

	/* By the bus, unless it has to wait for the driver, and by the driver */
	for (round = 0; round < 2; round++) {
		if (round)
			KUNIT_EXPECT_EQ(test, msi_store_suspend(mt->dev, id, true), 0);
		forget(&mt->hw);
		msi_test_log_reset(mt);
		if (round) {
			KUNIT_EXPECT_EQ(test, msi_store_resume(mt->dev, id), 0);
		} else {
			msi_restore_stores(mt->dev);
			if (kind == MSI_TEST_DEFERRED_DRIVER) {
				MSI_TEST_EXPECT_LOG(mt, "");
				continue;
			}
		}
		MSI_TEST_EXPECT_LOG(mt, mt->want.buf);
		msi_test_expect_same(mt, &mt->hw, maps, RESTORE);
	}

	/* One by one, which a deferred store refuses. Without a message nothing is written */
	if (!deferred)
		forget(&mt->hw);
	for (i = 0; i < RESTORE; i++) {
		none = !msi_test_irq_slot(maps[i].virq)->msg.data;
		KUNIT_EXPECT_EQ(test, none, !i && !deferred && kind != MSI_TEST_DIRECT_EARLY);
		KUNIT_EXPECT_EQ(test, msi_restore_msg(maps[i].virq),
				deferred ? -EOPNOTSUPP : none ? -ENOENT : 0);
		if (!none)
			msi_test_expect_same(mt, &mt->hw, &maps[i], 1);
	}

	free_irq(maps[2].virq, mt);
	free_irq(maps[1].virq, mt);
	msi_test_expect_same(mt, &mt->hw, &maps[1], RESTORE - 1);
	/* It gets a message when it is requested again */
	KUNIT_EXPECT_EQ(test, msi_restore_msg(maps[2].virq), deferred ? -EOPNOTSUPP : -ENOENT);
	msi_store_free_irqs(mt->dev, id, maps, RESTORE);
	KUNIT_EXPECT_EQ(test, msi_restore_msg(maps[2].virq), -EINVAL);
	msi_remove_store(mt->dev, id);
}

/* --- Drivers that forget --------------------------------------------------- */

static void forgotten_irq(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map map;
	char says[64];
	int id;

	id = msi_test_create(mt, kind_of(test), 8, &mt->hw);
	map = msi_test_alloc(mt, id, 3);
	msi_test_alloc(mt, id, 4);
	KUNIT_ASSERT_EQ(test, request_irq(map.virq, msi_test_handler, 0, "msi_kunit", mt), 0);

	msi_remove_store(mt->dev, id);
	snprintf(says, sizeof(says), "Interrupt %d was not freed by the driver", map.virq);
	KUNIT_EXPECT_TRUE(test, msi_test_printed(mt, says));
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	KUNIT_EXPECT_EQ(test, mt->hw.released, 1);
	KUNIT_EXPECT_EQ(test, mt->parent.irqs, 0);
}

/* The handler of a demultiplexer, whose action belongs to the core */
static void forgotten_chained(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map map[2];
	char says[64];
	u64 mark;
	int id;

	id = msi_test_create(mt, kind_of(test), 8, &mt->hw);
	map[0] = msi_test_alloc(mt, id, 3);
	map[1] = msi_test_alloc(mt, id, 4);
	irq_set_chained_handler_and_data(map[0].virq, handle_simple_irq, mt);
	KUNIT_ASSERT_TRUE(test, irq_desc_is_chained(irq_to_desc(map[0].virq)));
	KUNIT_ASSERT_EQ(test, request_irq(map[1].virq, msi_test_handler, 0, "msi_kunit", mt), 0);
	mark = mt->mark;

	msi_remove_store(mt->dev, id);
	snprintf(says, sizeof(says), "Interrupt %d was not freed by the driver", map[0].virq);
	KUNIT_EXPECT_TRUE(test, msi_test_printed(mt, says));
	/* What kfree() says about an object that is not its own */
	mt->mark = mark;
	KUNIT_EXPECT_FALSE(test, msi_test_printed(mt, "cut here"));
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	KUNIT_EXPECT_EQ(test, mt->hw.released, 1);
	KUNIT_EXPECT_EQ(test, mt->parent.irqs, 0);
}

/* What is older than the store, as the mapping of its slots is, outlives it */
static void forgotten_action(void *arg)
{
	struct msi_test *mt = arg;

	KUNIT_EXPECT_EQ(mt->test, mt->hw.released, 1);
}

static void forgotten_store(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	struct msi_map map;
	char says[64];
	int id;

	KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);
	KUNIT_ASSERT_EQ(test, devm_add_action(mt->dev, forgotten_action, mt), 0);
	id = msi_test_create(mt, kind_of(test), 8, &mt->hw);
	map = msi_test_alloc(mt, id, 3);
	msi_test_alloc(mt, id, 4);
	KUNIT_ASSERT_EQ(test, request_irq(map.virq, msi_test_handler, 0, "msi_kunit", mt), 0);

	msi_test_unbind(mt);
	snprintf(says, sizeof(says), "TEST-%s.%d-msi_kunit was not removed by the driver",
		 msi_test_templates[kind_of(test)].name, id);
	KUNIT_EXPECT_TRUE(test, msi_test_printed(mt, says));
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	KUNIT_EXPECT_EQ(test, mt->hw.released, 1);
	KUNIT_EXPECT_EQ(test, mt->parent.irqs, 0);
}

/* The default store is the bus', but its interrupts are the driver's */
static void forgotten_default(struct kunit *test)
{
	static const char says[] =
		"Interrupts of TEST-direct-msi_kunit were not freed by the driver";
	struct msi_desc init = { .nvec_used = 1 };
	struct msi_test *mt = test->priv;
	unsigned int irq;

	KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);
	msi_lock_descs(mt->dev);
	KUNIT_EXPECT_EQ(test, setup_default(mt, MSI_TEST_DIRECT, 4), 0);
	KUNIT_EXPECT_EQ(test, msi_add_msi_desc(mt->dev, &init), 0);
	KUNIT_EXPECT_EQ(test, msi_default_store_alloc_irqs(mt->dev), 0);
	msi_unlock_descs(mt->dev);

	irq = msi_get_virq(mt->dev, 0);
	KUNIT_ASSERT_EQ(test, request_irq(irq, msi_test_handler, 0, "msi_kunit", mt), 0);
	msi_default_store_free_actions(mt->dev);
	KUNIT_EXPECT_FALSE(test, irq_has_action(irq));
	KUNIT_ASSERT_EQ(test, request_irq(irq, msi_test_handler, 0, "msi_kunit", mt), 0);

	msi_test_unbind(mt);
	KUNIT_EXPECT_TRUE(test, msi_test_printed(mt, says));
	KUNIT_EXPECT_EQ(test, mt->hw.used, 0);
	KUNIT_EXPECT_EQ(test, mt->hw.released, 1);
}

/* A domain without a reverse map, which still has interrupts or not */
static void domain_in_use(struct kunit *test)
{
	static const struct irq_domain_ops ops = { };
	struct msi_test *mt = test->priv;
	struct irq_domain *domain;
	unsigned int i;

	skip_if_warnings_are_fatal(test);

	for (i = 0; i < 2; i++) {
		domain = irq_domain_create_hierarchy(mt->parent.root, IRQ_DOMAIN_FLAG_NO_LOOKUP, 0,
						     NULL, &ops, NULL);
		KUNIT_ASSERT_NOT_NULL(test, domain);
		domain->mapcount = i;
		irq_domain_remove(domain);
		KUNIT_EXPECT_EQ(test, msi_test_printed(mt, "at kernel/irq/irqdomain.c"), i);
	}
}

/* --- Who looks at what goes -------------------------------------------------- */

/**
 * struct late - Memory that is to be freed after a grace period
 * @task:	Who must not free it
 * @ptr:	The memory
 * @frees:	How much of it was freed
 * @early:	How much of that by @task
 */
struct late {
	struct task_struct	*task;
	const void		*ptr[2];
	atomic_t		frees;
	atomic_t		early;
};

static void late_kfree(void *data, unsigned long site, const void *ptr)
{
	struct late *late = data;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(late->ptr); i++) {
		if (cmpxchg(&late->ptr[i], ptr, NULL) != ptr)
			continue;
		atomic_inc(&late->frees);
		/* RCU callbacks run elsewhere, or in a softirq */
		if (in_task() && current == late->task)
			atomic_inc(&late->early);
	}
}

/* An interrupt that comes in can still use the chip */
static void store_freed_late(struct kunit *test)
{
	struct late *late = kunit_kzalloc(test, sizeof(*late), GFP_KERNEL);
	struct msi_test *mt = test->priv;
	struct msi_device_domain *dd;
	int id;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "the kernel has no tracepoints");

	KUNIT_ASSERT_NOT_NULL(test, late);
	id = msi_test_create(mt, kind_of(test), 8, &mt->hw);
	msi_test_alloc(mt, id, 3);
	dd = msi_test_store(mt, id)->devdom;
	late->task = current;
	late->ptr[0] = dd;
	late->ptr[1] = dd->name;
	KUNIT_ASSERT_EQ(test, register_trace_kfree(late_kfree, late), 0);
	msi_remove_store(mt->dev, id);
	rcu_barrier();
	unregister_trace_kfree(late_kfree, late);
	tracepoint_synchronize_unregister();

	KUNIT_EXPECT_EQ(test, atomic_read(&late->frees), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&late->early), 0);
}

#define WALKS	200
/* How long an interrupt stays locked */
#define WALK_US	20

/**
 * struct walk - Readers of an interrupt that comes and goes
 * @irq:	Its number
 * @rounds:	What each reader has done
 * @found:	How often the interrupt was there
 * @wrong:	How often it changed while it was locked
 */
struct walk {
	unsigned int	irq;
	atomic_t	rounds[2];
	atomic_t	found;
	atomic_t	wrong;
};

/* As irq_debug_show(), for a longer time */
static int walk_locked(void *data)
{
	struct irq_data *d, *parent;
	struct walk *w = data;
	struct irq_desc *desc;

	while (!kthread_should_stop()) {
		rcu_read_lock();
		desc = irq_to_desc(READ_ONCE(w->irq));
		if (desc) {
			raw_spin_lock_irq(&desc->lock);
			d = &desc->irq_data;
			parent = READ_ONCE(d->parent_data);
			if (parent) {
				udelay(WALK_US);
				atomic_inc(&w->found);
				if (READ_ONCE(d->parent_data) != parent)
					atomic_inc(&w->wrong);
			}
			raw_spin_unlock_irq(&desc->lock);
		}
		rcu_read_unlock();
		atomic_inc(&w->rounds[0]);
		cond_resched();
	}
	return 0;
}

static int walk_debugfs(void *data)
{
	char *buf = kzalloc(PAGE_SIZE, GFP_KERNEL), path[24];
	struct walk *w = data;

	while (!kthread_should_stop()) {
		snprintf(path, sizeof(path), "irq/irqs/%u", READ_ONCE(w->irq));
		if (buf && IS_ENABLED(CONFIG_GENERIC_IRQ_DEBUGFS))
			msi_test_read(path, buf, PAGE_SIZE, true);
		atomic_inc(&w->rounds[1]);
		cond_resched();
	}
	kfree(buf);
	return 0;
}

/* The levels of an interrupt stay while it is locked. KASAN notices what is used too long */
static void store_walked(struct kunit *test)
{
	static int (*const what[])(void *) = { walk_locked, walk_debugfs };
	struct walk *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	struct task_struct *task[ARRAY_SIZE(what)];
	struct msi_test *mt = test->priv;
	unsigned long end = jiffies + 30 * HZ;
	unsigned int i, round;
	struct msi_map map;
	int id;

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->irq = UINT_MAX;
	mt->quiet = true;
	for (i = 0; i < ARRAY_SIZE(what); i++)
		task[i] = kthread_run(what[i], w, "msi_kunit/%u", i);

	for (round = 0; time_before(jiffies, end); round++) {
		if (round >= WALKS && atomic_read(&w->rounds[0]) >= WALKS &&
		    atomic_read(&w->rounds[1]) >= WALKS && atomic_read(&w->found))
			break;
		id = msi_create_store(mt->dev, &msi_test_templates[round % 2 * MSI_TEST_DEFERRED],
				      8, &mt->hw);
		map = alloc_irq(mt, id, 3);
		WRITE_ONCE(w->irq, map.virq);
		/* So that one CPU is enough */
		if (round % 16 == 0)
			schedule_timeout_uninterruptible(1);
		msi_remove_store(mt->dev, id);
		mt->hw.released = 0;
	}
	for (i = 0; i < ARRAY_SIZE(what); i++) {
		if (!IS_ERR(task[i]))
			kthread_stop(task[i]);
	}
	KUNIT_EXPECT_GE(test, round, WALKS);
	KUNIT_EXPECT_GE(test, atomic_read(&w->rounds[0]), WALKS);
	KUNIT_EXPECT_GE(test, atomic_read(&w->rounds[1]), WALKS);
	KUNIT_EXPECT_GT(test, atomic_read(&w->found), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&w->wrong), 0);
}

/* --- All at once ------------------------------------------------------------ */

/**
 * struct crowd - Tasks that do all of it at the same time
 * @mt:		The fixture
 * @id:		The stores
 * @rounds:	What each task has done
 * @torn:	Reads of debugfs that contradict themselves
 * @stop:	The time is over
 */
struct crowd {
	struct msi_test	*mt;
	int		id[2];
	atomic_t	rounds[4];
	atomic_t	torn;
	bool		stop;
};

static int crowd_single(void *data)
{
	struct crowd *c = data;
	struct msi_map map;
	unsigned int i;

	for (i = 0; !kthread_should_stop(); i++) {
		map = alloc_irq(c->mt, c->id[i % 2], i % 3 ? MSI_ANY_INDEX : i % 8);
		cond_resched();
		if (map.index < 0)
			continue;
		if (!request_irq(map.virq, msi_test_handler, 0, "msi_kunit", c->mt)) {
			disable_irq(map.virq);
			cond_resched();
			enable_irq(map.virq);
			free_irq(map.virq, c->mt);
		}
		msi_store_free_irq(c->mt->dev, c->id[i % 2], map);
		atomic_inc(&c->rounds[0]);
	}
	return 0;
}

static int crowd_batch(void *data)
{
	struct crowd *c = data;
	struct msi_map maps[4];
	unsigned int i;
	int n;

	for (i = 0; !kthread_should_stop(); i++) {
		n = msi_test_alloc_irqs(c->mt, c->id[i % 2], 1, 4, maps);
		cond_resched();
		if (n < 0)
			continue;
		msi_store_free_irqs(c->mt->dev, c->id[i % 2], maps, n);
		atomic_inc(&c->rounds[1]);
	}
	return 0;
}

/* The line of each slot has all of a message or none */
static bool is_torn(const char *buf)
{
	unsigned int index, irq, data;
	const char *line;
	u64 address;

	for (line = buf; *line; line = strchrnul(line, '\n')) {
		line += *line == '\n';
		if (line[0] != ' ' || !isdigit(line[1]))
			continue;
		if (sscanf(line, " %u %u %*s 0x%llx %x", &index, &irq, &address, &data) != 4)
			return true;
		if (index >= 8 || !address != !data)
			return true;
	}
	return false;
}

static int crowd_read(void *data)
{
	char *buf = kzalloc(PAGE_SIZE, GFP_KERNEL);
	struct crowd *c = data;

	while (!kthread_should_stop()) {
		if (buf && IS_ENABLED(CONFIG_GENERIC_IRQ_DEBUGFS)) {
			msi_test_read(debugfs_file, buf, PAGE_SIZE, false);
			if (!strstr(buf, "store: ") || is_torn(buf))
				atomic_inc(&c->torn);
		}
		atomic_inc(&c->rounds[2]);
		cond_resched();
	}
	kfree(buf);
	return 0;
}

static int crowd_restore(void *data)
{
	struct crowd *c = data;

	while (!kthread_should_stop()) {
		msi_restore_stores(c->mt->dev);
		msi_store_suspend(c->mt->dev, c->id[1], true);
		cond_resched();
		msi_store_resume(c->mt->dev, c->id[1]);
		msi_lock_descs(c->mt->dev);
		count_descs(c->mt, MSI_DESC_ALL);
		msi_unlock_descs(c->mt->dev);
		atomic_inc(&c->rounds[3]);
		cond_resched();
	}
	return 0;
}

static void store_crowd(struct kunit *test)
{
	static int (*const what[])(void *) = {
		crowd_single, crowd_batch, crowd_read, crowd_restore,
		crowd_single, crowd_batch, crowd_read,
	};
	struct task_struct *task[ARRAY_SIZE(what)];
	struct msi_test *mt = test->priv;
	struct crowd *c;
	unsigned int i;

	c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, c);
	mt->quiet = true;
	c->mt = mt;
	c->id[0] = msi_test_create(mt, MSI_TEST_DIRECT_LOCK, 8, more_hw(mt));
	c->id[1] = msi_test_create(mt, MSI_TEST_DEFERRED_LOCK, 8, &mt->hw);
	mt->hw.suspends = true;

	for (i = 0; i < ARRAY_SIZE(what); i++)
		task[i] = kthread_run(what[i], c, "msi_kunit/%u", i);
	/* Until each has done something, but not for ever */
	for (i = 0; i < ARRAY_SIZE(c->rounds); i++)
		KUNIT_EXPECT_TRUE(test, msi_test_wait(atomic_read(&c->rounds[i]) > 100));
	for (i = 0; i < ARRAY_SIZE(what); i++) {
		if (!IS_ERR(task[i]))
			kthread_stop(task[i]);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&c->torn), 0);
	KUNIT_EXPECT_EQ(test, used(mt, c->id[0]), 0);
	KUNIT_EXPECT_EQ(test, used(mt, c->id[1]), 0);

	msi_remove_store(mt->dev, c->id[0]);
	msi_remove_store(mt->dev, c->id[1]);
}

static struct kunit_case msi_store_cases[] = {
	KUNIT_CASE_PARAM(store_index, kind_gen),
	KUNIT_CASE_PARAM(store_large, kind_gen),
	KUNIT_CASE_PARAM(store_cookie, kind_gen),
	KUNIT_CASE_PARAM(store_exhausted, kind_gen),
	KUNIT_CASE_PARAM(store_no_irq_numbers, kind_gen),
	KUNIT_CASE_PARAM(store_affinity, kind_gen),
	KUNIT_CASE_PARAM(store_free_wrong, kind_gen),
	KUNIT_CASE_PARAM(store_sysfs, kind_gen),
	KUNIT_CASE(store_many),
	KUNIT_CASE(store_first),
	KUNIT_CASE(store_none),
	KUNIT_CASE(store_probe),
	KUNIT_CASE_PARAM(batch_log, kind_gen),
	KUNIT_CASE_PARAM(batch_bounds, kind_gen),
	KUNIT_CASE_PARAM(batch_undone, kind_gen),
	KUNIT_CASE_PARAM(batch_free_wrong, kind_gen),
	KUNIT_CASE_PARAM(batch_large, kind_gen),
	KUNIT_CASE_PARAM(batch_affinity, kind_gen),
	KUNIT_CASE_PARAM(default_iterate, default_gen),
	KUNIT_CASE(store_shared_table),
	KUNIT_CASE(store_bus_tokens),
	KUNIT_CASE(store_global_domain),
	KUNIT_CASE(store_resend),
	KUNIT_CASE(default_multi),
	KUNIT_CASE(default_early),
	KUNIT_CASE_PARAM(default_dynamic, default_gen),
	KUNIT_CASE(default_setup_again),
	KUNIT_CASE(debugfs_text),
	KUNIT_CASE(debugfs_long),
	KUNIT_CASE_PARAM(restore, kind_gen),
	KUNIT_CASE_PARAM(restore_unmask, kind_gen),
	KUNIT_CASE_PARAM(forgotten_irq, kind_gen),
	KUNIT_CASE_PARAM(forgotten_chained, kind_gen),
	KUNIT_CASE_PARAM(forgotten_store, kind_gen),
	KUNIT_CASE(forgotten_default),
	KUNIT_CASE(domain_in_use),
	KUNIT_CASE_PARAM(store_freed_late, kind_gen),
	KUNIT_CASE(store_walked),
	KUNIT_CASE(store_crowd),
	{ }
};

MSI_TEST_SUITE(msi_store, msi_store_cases);
