// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: What is refused when a message store is created
 *
 * Each rule for templates, storage ops, and what the parent has to be like. A
 * refusal is the right error code, the message that says which rule it was, and
 * nothing left behind. Each of the templates differs by one thing from one that
 * is accepted, and that one is tried as well.
 */
#include "msi_test.h"

/* Storage ops that differ in what is there */
#define REFUSE_OPS(_name, ...)							\
	static const struct msi_storage_ops refuse_ops_##_name = { __VA_ARGS__ }

REFUSE_OPS(direct, .write_msg = msi_test_op_write_msg, .mask = msi_test_op_mask,
	   .unmask = msi_test_op_unmask, .init_slot = msi_test_op_init_slot,
	   .free_slot = msi_test_op_free_slot);
REFUSE_OPS(deferred, .sync = msi_test_op_sync, .init_slot = msi_test_op_init_slot,
	   .free_slot = msi_test_op_free_slot);
REFUSE_OPS(nomask, .write_msg = msi_test_op_write_msg, .init_slot = msi_test_op_init_slot,
	   .free_slot = msi_test_op_free_slot);
REFUSE_OPS(nomask_cookie, .write_msg = msi_test_op_write_msg,
	   .set_cookie = msi_test_op_set_cookie);
REFUSE_OPS(nothing);
REFUSE_OPS(only_lock, .write_msg = msi_test_op_write_msg, .mask = msi_test_op_mask,
	   .unmask = msi_test_op_unmask, .lock = msi_test_op_lock);
REFUSE_OPS(only_unlock, .write_msg = msi_test_op_write_msg, .mask = msi_test_op_mask,
	   .unmask = msi_test_op_unmask, .unlock = msi_test_op_unlock);
REFUSE_OPS(locked, .write_msg = msi_test_op_write_msg, .mask = msi_test_op_mask,
	   .unmask = msi_test_op_unmask, .lock = msi_test_op_lock, .unlock = msi_test_op_unlock);
REFUSE_OPS(sync_write_msg, .sync = msi_test_op_sync, .write_msg = msi_test_op_write_msg);
REFUSE_OPS(sync_mask, .sync = msi_test_op_sync, .mask = msi_test_op_mask);
REFUSE_OPS(sync_unmask, .sync = msi_test_op_sync, .unmask = msi_test_op_unmask);
REFUSE_OPS(no_write_msg, .mask = msi_test_op_mask, .unmask = msi_test_op_unmask);
REFUSE_OPS(no_mask, .write_msg = msi_test_op_write_msg, .unmask = msi_test_op_unmask);
REFUSE_OPS(no_unmask, .write_msg = msi_test_op_write_msg, .mask = msi_test_op_mask);

/**
 * struct refuse_row - A store that is to be created
 * @what:		What is special with it
 * @says:		What the kernel log has to say, %NULL if it is accepted
 * @ret:		The error code, 0 if it is accepted
 * @size:		Number of slots, besides @tmpl->size
 * @without:		What the parent does not have of MSI_PARENT_* flags
 * @with:		What it has besides
 * @no_carry:		What the parent does not carry
 * @lacks:		What the parent says about that
 * @chip_flags:		Flags that the parent asks for
 * @no_parent:		There is none
 * @tmpl:		The template
 */
struct refuse_row {
	const char			*what;
	const char			*says;
	int				ret;
	unsigned int			size;
	u32				without;
	u32				with;
	u32				no_carry;
	const char			*lacks;
	unsigned long			chip_flags;
	bool				no_parent;
	struct msi_storage_template	tmpl;
};

#define INVALID(_what, _says, _size, _tmpl)					\
	{ .what = _what, .says = "Invalid message store: " _says,		\
	  .ret = -EINVAL, .size = _size, .tmpl = _tmpl }

#define TMPL(_name, _ops, _requires, _flags, _size, _owner) {			\
	.name		= _name,						\
	.mode		= "test",						\
	.bus_token	= DOMAIN_BUS_PLATFORM_MSI,				\
	.requires	= _requires,						\
	.flags		= _flags,						\
	.size		= _size,						\
	.ops		= _ops,							\
	.owner		= _owner,						\
}

#define OPS(_ops)	(&refuse_ops_##_ops)
#define IMS(_ops, _flags)							\
	TMPL("refuse", OPS(_ops), MSI_PARENT_PCI_IMS, _flags, 0, NULL)
#define PCI_MSI(_ops, _flags)							\
	TMPL("refuse", OPS(_ops), MSI_PARENT_PCI_MSI, _flags, 0, NULL)

#ifdef CONFIG_MODULE_UNLOAD
/* No module that anybody knows of. That is enough to be somebody's owner */
static struct module refuse_module = {
	.name	= "msi_kunit_module",
	.state	= MODULE_STATE_LIVE,
	.refcnt	= ATOMIC_INIT(1),
};
#endif

static const struct refuse_row refuse_rows[] = {
	{ .what = "a direct store", .size = 8,
	  .tmpl = IMS(direct, 0) },
	{ .what = "a direct store which is activated early", .size = 8,
	  .tmpl = IMS(direct, MSI_STORAGE_ACTIVATE_EARLY) },
	{ .what = "a deferred store", .size = 8,
	  .tmpl = IMS(deferred, 0) },
	{ .what = "a deferred store which the driver restores", .size = 8,
	  .tmpl = IMS(deferred, MSI_STORAGE_DRIVER_RESTORE) },
	{ .what = "a store which cannot mask", .size = 8,
	  .tmpl = PCI_MSI(nomask, MSI_STORAGE_NO_MASK) },
	{ .what = "a direct store on a parent with unstable messages", .size = 8,
	  .without = MSI_PARENT_STABLE_MSG, .tmpl = IMS(direct, 0) },
	{ .what = "a direct store on a parent which masks on suspend", .size = 8,
	  .chip_flags = IRQCHIP_MASK_ON_SUSPEND, .tmpl = IMS(direct, 0) },
	{ .what = "a direct store on a parent which has to be enabled", .size = 8,
	  .with = MSI_PARENT_ENABLE, .tmpl = IMS(direct, 0) },
	{ .what = "as many slots as the storage ops can handle", .size = 8,
	  .tmpl = TMPL("refuse", OPS(direct), MSI_PARENT_PCI_IMS, 0, 8, NULL) },
	{ .what = "the size of the template", .size = 0,
	  .tmpl = TMPL("refuse", OPS(direct), MSI_PARENT_PCI_IMS, 0, 8, NULL) },

	INVALID("no name", "it has no name", 8,
		TMPL(NULL, OPS(direct), MSI_PARENT_PCI_IMS, 0, 0, NULL)),
	INVALID("no ops", "it has no storage ops", 8,
		TMPL("refuse", NULL, MSI_PARENT_PCI_IMS, 0, 0, NULL)),
	INVALID("no requirement", "it does not say what it requires of the parent domain", 8,
		TMPL("refuse", OPS(direct), 0, 0, 0, NULL)),
	INVALID("unknown flag", "it has flags which do not exist", 8,
		IMS(direct, MSI_STORAGE_FLAGS + 1)),
	INVALID("lock without unlock", "the storage ops have only one of lock and unlock", 8,
		IMS(only_lock, 0)),
	INVALID("unlock without lock", "the storage ops have only one of lock and unlock", 8,
		IMS(only_unlock, 0)),
	INVALID("sync and write_msg", "the storage ops are both direct and deferred", 8,
		IMS(sync_write_msg, 0)),
	INVALID("sync and mask", "the storage ops are both direct and deferred", 8,
		IMS(sync_mask, 0)),
	INVALID("sync and unmask", "the storage ops are both direct and deferred", 8,
		IMS(sync_unmask, 0)),
	INVALID("deferred, cannot mask", "the slots of a deferred store have to be maskable", 8,
		PCI_MSI(deferred, MSI_STORAGE_NO_MASK)),
	INVALID("direct, waits for the driver", "it waits for the driver and is not deferred", 8,
		IMS(direct, MSI_STORAGE_DRIVER_RESTORE)),
	INVALID("locked, activated early",
		"a store with lock is activated by request_irq() only", 8,
		IMS(locked, MSI_STORAGE_ACTIVATE_EARLY)),
	INVALID("no op at all", "the storage ops cannot write a message", 8,
		IMS(nothing, 0)),
	INVALID("no write_msg", "the storage ops cannot write a message", 8,
		IMS(no_write_msg, 0)),
	INVALID("no write_msg, cannot mask", "the storage ops cannot write a message", 8,
		PCI_MSI(nothing, MSI_STORAGE_NO_MASK)),
	INVALID("cannot mask, has mask", "the storage ops can mask and it says that they cannot", 8,
		PCI_MSI(no_unmask, MSI_STORAGE_NO_MASK)),
	INVALID("cannot mask, has unmask",
		"the storage ops can mask and it says that they cannot", 8,
		PCI_MSI(no_mask, MSI_STORAGE_NO_MASK)),
	INVALID("cannot mask, changes cookies",
		"the storage ops change the cookie of a slot that is not masked", 8,
		PCI_MSI(nomask_cookie, MSI_STORAGE_NO_MASK)),
	INVALID("cannot mask, is IMS", "the slots of an IMS have to be maskable", 8,
		IMS(nomask, MSI_STORAGE_NO_MASK)),
	INVALID("no mask", "the storage ops cannot mask and unmask a slot", 8,
		IMS(no_mask, 0)),
	INVALID("no unmask", "the storage ops cannot mask and unmask a slot", 8,
		IMS(no_unmask, 0)),
	INVALID("no mask and unmask", "the storage ops cannot mask and unmask a slot", 8,
		PCI_MSI(nomask, 0)),
	INVALID("no size", "it has no slots", 0,
		IMS(direct, 0)),
	INVALID("larger than the ops", "it has more slots than can be handled", 8,
		TMPL("refuse", OPS(direct), MSI_PARENT_PCI_IMS, 0, 7, NULL)),
	INVALID("larger than an index", "it has more slots than can be handled", MSI_MAX_INDEX + 1,
		IMS(direct, 0)),
#ifdef CONFIG_MODULE_UNLOAD
	{ .what = "somebody else's ops", .size = 8, .ret = -EINVAL,
	  .says = "Invalid message store: its owner is not where the storage ops are",
	  .tmpl = TMPL("refuse", OPS(direct), MSI_PARENT_PCI_IMS, 0, 0, &refuse_module) },
#endif

	{ .what = "the parent does not carry it", .size = 8, .ret = -EOPNOTSUPP,
	  .says = "refuse: Not supported by interrupt domain TEST\n",
	  .no_carry = MSI_PARENT_PCI_IMS, .tmpl = IMS(direct, 0) },
	{ .what = "the parent knows what is missing", .size = 8, .ret = -EOPNOTSUPP,
	  .says = "refuse: Not supported by interrupt domain TEST, this requires a miracle\n",
	  .no_carry = MSI_PARENT_PCI_IMS, .lacks = "a miracle", .tmpl = IMS(direct, 0) },
	{ .what = "the parent carries one of two", .size = 8, .ret = -EOPNOTSUPP,
	  .says = "refuse: Not supported by interrupt domain TEST\n",
	  .no_carry = MSI_PARENT_PCI_MSIX_DYN,
	  .tmpl = TMPL("refuse", OPS(direct), MSI_PARENT_PCI_MSIX | MSI_PARENT_PCI_MSIX_DYN,
		       0, 0, NULL) },
	{ .what = "deferred, unstable messages", .size = 8, .ret = -EOPNOTSUPP,
	  .says = "a deferred store requires that messages don't change with the affinity",
	  .without = MSI_PARENT_STABLE_MSG, .tmpl = IMS(deferred, 0) },
	{ .what = "deferred, masked on suspend", .size = 8, .ret = -EOPNOTSUPP,
	  .says = "a deferred store can't be masked late in suspend",
	  .chip_flags = IRQCHIP_MASK_ON_SUSPEND, .tmpl = IMS(deferred, 0) },
	{ .what = "deferred, disabled on suspend", .size = 8, .ret = -EOPNOTSUPP,
	  .says = "a deferred store can't be masked late in suspend",
	  .with = MSI_PARENT_ENABLE, .tmpl = IMS(deferred, 0) },
	{ .what = "no parent", .size = 8, .ret = -ENODEV, .no_parent = true,
	  .tmpl = IMS(direct, 0) },
};

static void refuse_desc(const struct refuse_row *row, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s%s", row->ret ? "" : "accepted: ", row->what);
}

KUNIT_ARRAY_PARAM(refuse, refuse_rows, refuse_desc);

static void refuse_parent(struct msi_test *mt, const struct refuse_row *row)
{
	mt->parent.ops.flags &= ~row->without;
	mt->parent.ops.flags |= row->with;
	mt->parent.ops.carries &= ~row->no_carry;
	mt->parent.ops.chip_flags = row->chip_flags;
	mt->parent.ops.lacks = row->lacks;
	if (row->no_parent)
		dev_set_msi_domain(mt->dev, mt->parent.root);
}

/* Nothing is there that was not there before */
static void expect_nothing(struct msi_test *mt)
{
	struct kunit *test = mt->test;

	KUNIT_EXPECT_FALSE(test, msi_has_created_stores(mt->dev));
	KUNIT_EXPECT_EQ(test, mt->parent.prepared, 0);
	MSI_TEST_EXPECT_LOG(mt, "");
}

static void refuse_store(struct kunit *test)
{
	const struct refuse_row *row = test->param_value;
	struct msi_test *mt = test->priv;
	struct msi_map map;
	int id;

	refuse_parent(mt, row);
	id = msi_create_store(mt->dev, &row->tmpl, row->size, &mt->hw);
	if (row->ret) {
		KUNIT_EXPECT_EQ(test, id, row->ret);
		if (row->says)
			KUNIT_EXPECT_TRUE_MSG(test, msi_test_printed(mt, row->says), "%s",
					      row->says);
		expect_nothing(mt);
#ifdef CONFIG_MODULE_UNLOAD
		KUNIT_EXPECT_EQ(test, atomic_read(&refuse_module.refcnt), 1);
#endif
		return;
	}

	KUNIT_ASSERT_GT(test, id, 0);
	KUNIT_EXPECT_FALSE(test, msi_test_printed(mt, "msi_kunit: "));
	KUNIT_EXPECT_EQ(test, msi_test_store(mt, id)->storage.size, 8);
	map = msi_test_alloc(mt, id, 7);
	msi_store_free_irq(mt->dev, id, map);
	msi_remove_store(mt->dev, id);
	msi_test_log_reset(mt);
	expect_nothing(mt);
}

/* Most of these are refused for the default store as well, and the next one is taken */
static void refuse_default_store(struct kunit *test)
{
	const struct refuse_row *row = test->param_value;
	struct msi_test *mt = test->priv;
	const char *says = row->says;
	int ret, want = row->ret;

	/* This one differs. And so it does not get as far as to the parent */
	if (want != -EINVAL && row->tmpl.ops->sync) {
		says = "refuse: Invalid message store: a default store can't be deferred or locked";
		want = -EINVAL;
	}
	refuse_parent(mt, row);
	KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);
	msi_lock_descs(mt->dev);
	ret = msi_default_store_setup(mt->dev, &row->tmpl, row->size, NULL);
	/* Without a parent the store has no domain, but the template can be used */
	KUNIT_EXPECT_EQ(test, ret, row->no_parent ? 0 : want);
	KUNIT_EXPECT_EQ(test, msi_default_store_has_domain(mt->dev), !want);
	msi_unlock_descs(mt->dev);
	if (ret && says)
		KUNIT_EXPECT_TRUE_MSG(test, msi_test_printed(mt, says), "%s", says);
	KUNIT_EXPECT_EQ(test, mt->parent.prepared, !want);

	msi_test_parent_init(mt, MSI_PARENT_STABLE_MSG | MSI_PARENT_ACK);
	dev_set_msi_domain(mt->dev, mt->parent.domain);
	msi_lock_descs(mt->dev);
	ret = msi_default_store_setup(mt->dev, &msi_test_templates[MSI_TEST_DIRECT], 4, NULL);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_TRUE(test, msi_default_store_has_domain(mt->dev));
	msi_unlock_descs(mt->dev);
	KUNIT_EXPECT_EQ(test, mt->parent.prepared, 1);
}

static void refuse_default_lock(struct kunit *test)
{
	static const enum msi_test_kind kinds[] = {
		MSI_TEST_DIRECT_LOCK, MSI_TEST_NOMASK_LOCK, MSI_TEST_DEFERRED,
		MSI_TEST_DEFERRED_LOCK, MSI_TEST_DEFERRED_DRIVER,
	};
	static const char says[] = "a default store can't be deferred or locked";
	struct msi_test *mt = test->priv;
	unsigned int i;
	int ret;

	KUNIT_ASSERT_EQ(test, msi_setup_device_data(mt->dev), 0);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		msi_lock_descs(mt->dev);
		ret = msi_default_store_setup(mt->dev, &msi_test_templates[kinds[i]], 4, NULL);
		msi_unlock_descs(mt->dev);
		KUNIT_EXPECT_EQ(test, ret, -EINVAL);
		KUNIT_EXPECT_TRUE(test, msi_test_printed(mt, says));
		expect_nothing(mt);
	}
}

/* A template, or ops, which somebody could change */
static void refuse_not_constant(struct kunit *test)
{
	static const char says[] = "Invalid message store: it or the storage ops are not constant";
	struct msi_storage_template *tmpl;
	struct msi_test *mt = test->priv;
	struct msi_storage_ops *ops;

	tmpl = kunit_kzalloc(test, sizeof(*tmpl), GFP_KERNEL);
	ops = kunit_kzalloc(test, sizeof(*ops), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tmpl);
	KUNIT_ASSERT_NOT_NULL(test, ops);

	*tmpl = msi_test_templates[MSI_TEST_DIRECT];
	KUNIT_EXPECT_EQ(test, msi_create_store(mt->dev, tmpl, 8, &mt->hw), -EINVAL);
	KUNIT_EXPECT_TRUE(test, msi_test_printed(mt, says));
	expect_nothing(mt);

	*ops = *tmpl->ops;
	tmpl->ops = ops;
	KUNIT_EXPECT_EQ(test, msi_create_store(mt->dev, tmpl, 8, &mt->hw), -EINVAL);
	KUNIT_EXPECT_TRUE(test, msi_test_printed(mt, says));
	expect_nothing(mt);
}

/* Constant as a template, with ops that are not */
static struct msi_storage_ops refuse_variable_ops = {
	.write_msg	= msi_test_op_write_msg,
	.mask		= msi_test_op_mask,
	.unmask		= msi_test_op_unmask,
};

static void refuse_ops_not_constant(struct kunit *test)
{
	static const struct msi_storage_template tmpl = {
		.name		= "variable",
		.requires	= MSI_PARENT_PCI_IMS,
		.ops		= &refuse_variable_ops,
	};
	struct msi_test *mt = test->priv;

	KUNIT_EXPECT_EQ(test, msi_create_store(mt->dev, &tmpl, 8, &mt->hw), -EINVAL);
	KUNIT_EXPECT_TRUE(test, msi_test_printed(mt, "it or the storage ops are not constant"));
	expect_nothing(mt);
}

/* The owner can't be pinned any more */
static void refuse_owner_going(struct kunit *test)
{
#ifdef CONFIG_MODULE_UNLOAD
	static const struct msi_storage_template tmpl = {
		.name		= "going",
		.requires	= MSI_PARENT_PCI_IMS,
		.ops		= &refuse_ops_direct,
		.owner		= &refuse_module,
	};
	struct msi_test *mt = test->priv;

	refuse_module.state = MODULE_STATE_GOING;
	KUNIT_EXPECT_EQ(test, msi_create_store(mt->dev, &tmpl, 8, &mt->hw), -ENODEV);
	refuse_module.state = MODULE_STATE_LIVE;
	KUNIT_EXPECT_EQ(test, atomic_read(&refuse_module.refcnt), 1);
	expect_nothing(mt);
#else
	kunit_skip(test, "the kernel has no modules");
#endif
}

/* What the parent domain itself refuses reaches the caller */
static void refuse_prepare(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	int id;

	mt->parent.prepare_ret = -EXDEV;
	id = msi_create_store(mt->dev, &msi_test_templates[MSI_TEST_DIRECT], 8, &mt->hw);
	KUNIT_EXPECT_EQ(test, id, -EXDEV);
	MSI_TEST_EXPECT_LOG(mt, "p.prepare(8)");
	expect_nothing(mt);

	mt->parent.prepare_ret = 0;
	id = msi_test_create(mt, MSI_TEST_DIRECT, 8, &mt->hw);
	MSI_TEST_EXPECT_LOG(mt, "p.prepare(8)");
	msi_remove_store(mt->dev, id);
	MSI_TEST_EXPECT_LOG(mt, "p.teardown release");
}

/* A parent that needs neither of both */
static void refuse_no_prepare(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	int id;

	mt->parent.ops.prepare = NULL;
	mt->parent.ops.teardown = NULL;
	id = msi_test_create(mt, MSI_TEST_DIRECT, 8, &mt->hw);
	MSI_TEST_EXPECT_LOG(mt, "");
	msi_remove_store(mt->dev, id);
	MSI_TEST_EXPECT_LOG(mt, "release");
}

static void refuse_carries(struct kunit *test)
{
	struct msi_test *mt = test->priv;
	unsigned int bit;
	u32 what;

	for (bit = 0; bit < 6; bit++) {
		what = BIT(bit);
		mt->parent.ops.carries = what;
		KUNIT_EXPECT_TRUE(test, msi_parent_carries(mt->dev, what));
		KUNIT_EXPECT_FALSE(test, msi_parent_carries(mt->dev, 0x3f & ~what));
		KUNIT_EXPECT_FALSE(test, msi_parent_carries(mt->dev, 0x3f));
	}
	dev_set_msi_domain(mt->dev, NULL);
	KUNIT_EXPECT_FALSE(test, msi_parent_carries(mt->dev, what));
	dev_set_msi_domain(mt->dev, mt->parent.root);
	KUNIT_EXPECT_FALSE(test, msi_parent_carries(mt->dev, what));
}

static struct kunit_case msi_refuse_cases[] = {
	KUNIT_CASE_PARAM(refuse_store, refuse_gen_params),
	KUNIT_CASE_PARAM(refuse_default_store, refuse_gen_params),
	KUNIT_CASE(refuse_default_lock),
	KUNIT_CASE(refuse_not_constant),
	KUNIT_CASE(refuse_ops_not_constant),
	KUNIT_CASE(refuse_owner_going),
	KUNIT_CASE(refuse_prepare),
	KUNIT_CASE(refuse_no_prepare),
	KUNIT_CASE(refuse_carries),
	{ }
};

MSI_TEST_SUITE(msi_refuse, msi_refuse_cases);
