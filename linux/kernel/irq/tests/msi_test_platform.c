// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: Messages of platform devices
 *
 * A platform device has a global domain. Its driver has a callback that writes a message,
 * and must not notice whether the interrupts are in the global domain or in a device
 * domain on top of the MSI parent below that.
 */
#include <linux/interrupt.h>

#include "msi_test.h"

#define NR	3

/**
 * struct platform - A device with a global domain
 * @mt:		The fixture
 * @domain:	The global domain
 * @info:	What it was made from
 * @ops:	The same
 * @chip:	Its interrupt chip
 */
struct platform {
	struct msi_test		*mt;
	struct irq_domain	*domain;
	struct msi_domain_info	info;
	struct msi_domain_ops	ops;
	struct irq_chip		chip;
};

/* As the parent wants to see it */
static int platform_prepare(struct irq_domain *domain, struct device *dev, int nvec,
			    msi_alloc_info_t *arg)
{
	memset(arg, 0, sizeof(*arg));
	arg->flags = MSI_TEST_PREPARED;
	return 0;
}

/* The parent is one as a GICv3 ITS: stable, masked at the controller, fasteoi */
static struct platform *platform_init(struct kunit *test)
{
	struct platform *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	p->mt = test->priv;
	msi_test_parent_init(p->mt, MSI_PARENT_STABLE_MSG | MSI_PARENT_MASK | MSI_PARENT_EOI);
	p->mt->parent.ops.global_tokens = BIT(DOMAIN_BUS_PLATFORM_MSI);
	p->mt->parent.affinity_ret = IRQ_SET_MASK_OK_DONE;
	p->mt->parent.chip.irq_set_wake = NULL;

	p->ops.msi_prepare = platform_prepare;
	p->info.flags = MSI_FLAG_USE_DEF_DOM_OPS | MSI_FLAG_USE_DEF_CHIP_OPS;
	p->info.ops = &p->ops;
	p->info.chip = &p->chip;
	p->chip.name = "TEST-PLATFORM";
	p->domain = platform_msi_create_irq_domain(NULL, &p->info, p->mt->parent.domain);
	KUNIT_ASSERT_NOT_NULL(test, p->domain);
	dev_set_msi_domain(p->mt->dev, p->domain);
	return p;
}

static void platform_exit(struct platform *p)
{
	dev_set_msi_domain(p->mt->dev, p->mt->parent.domain);
	irq_domain_remove(p->domain);
}

static void platform_write(struct device *dev, unsigned int index, const struct msi_msg *msg)
{
	struct msi_test *mt = dev_get_drvdata(dev);

	msi_test_called(mt, "write(%u)=%x%s%s", index, msg->data,
			irqs_disabled() ? "" : "[interrupts enabled]",
			dev == mt->dev ? "" : "[wrong device]");
}

static int platform_alloc(struct platform *p)
{
	return platform_msi_domain_alloc_irqs(p->mt->dev, NR, platform_write);
}

static void platform_raise(struct platform *p, unsigned int irq)
{
	generic_handle_domain_irq_safe(p->mt->parent.domain,
				       irq_get_irq_data(irq)->parent_data->hwirq);
}

/* All that can happen to an interrupt, and what that was for the driver and the parent */
static void platform_use(struct platform *p, struct msi_test_text *text)
{
	struct kunit *test = p->mt->test;
	unsigned int irq = msi_get_virq(p->mt->dev, 1);

	msi_test_log_reset(p->mt);
	KUNIT_ASSERT_GT(test, irq, 0);
	/* As the GIC does it. A global domain leaves that to others */
	irq_set_handler(irq, handle_fasteoi_irq);
	KUNIT_ASSERT_EQ(test, request_irq(irq, msi_test_handler, 0, "msi_kunit", p->mt), 0);
	if (IS_ENABLED(CONFIG_SMP))
		KUNIT_EXPECT_EQ(test, irq_set_affinity(irq, cpumask_of(0)), 0);
	/* It comes in while it is enabled, and while it is not, which masks it */
	platform_raise(p, irq);
	disable_irq(irq);
	platform_raise(p, irq);
	enable_irq(irq);
	KUNIT_EXPECT_EQ(test, enable_irq_wake(irq), -ENXIO);
	free_irq(irq, p->mt);
	msi_test_log_take(p->mt, text);
}

/* The last hierarchy level of an interrupt */
static struct irq_domain *platform_domain(struct platform *p, unsigned int index)
{
	return irq_get_irq_data(msi_get_virq(p->mt->dev, index))->domain;
}

static void platform_device_domain(struct kunit *test)
{
	struct platform *p = platform_init(test);
	struct msi_test *mt = p->mt;
	struct irq_domain *domain;
	struct irq_data *data;
	unsigned int i;
	int round;

	for (round = 0; round < 2; round++) {
		KUNIT_ASSERT_EQ(test, platform_alloc(p), 0);
		MSI_TEST_EXPECT_LOG(mt, "p.prepare(3) p.alloc p.alloc p.alloc");
		KUNIT_EXPECT_EQ(test, platform_alloc(p), -EBUSY);

		domain = platform_domain(p, 0);
		KUNIT_EXPECT_PTR_EQ(test, domain->parent, mt->parent.domain);
		KUNIT_EXPECT_EQ(test, domain->bus_token, DOMAIN_BUS_DEVICE_MSI);
		for (i = 0; i < NR; i++) {
			data = irq_get_irq_data(msi_get_virq(mt->dev, i));
			KUNIT_EXPECT_PTR_EQ(test, data->domain, domain);
			KUNIT_EXPECT_EQ(test, data->hwirq, i);
			KUNIT_EXPECT_STREQ(test, data->chip->name, "TEST-pMSI-msi_kunit");
		}
		KUNIT_EXPECT_EQ(test, msi_get_virq(mt->dev, NR), 0);

		/* Nothing is written before an interrupt is requested */
		KUNIT_ASSERT_EQ(test, request_irq(msi_get_virq(mt->dev, 2), msi_test_handler, 0,
						  "msi_kunit", mt), 0);
		KUNIT_EXPECT_NOT_NULL(test, strstr(mt->log.buf,
						   "p.activate p.compose write(2)=102 p.unmask"));
		msi_test_log_reset(mt);
		KUNIT_EXPECT_EQ(test, msi_restore_msg(msi_get_virq(mt->dev, 2)), 0);
		MSI_TEST_EXPECT_LOG(mt, "write(2)=102");
		free_irq(msi_get_virq(mt->dev, 2), mt);
		MSI_TEST_EXPECT_LOG(mt, "p.mask write(2)=0 p.deactivate");

		platform_msi_domain_free_irqs(mt->dev);
		MSI_TEST_EXPECT_LOG(mt, "p.free p.free p.free p.teardown");
		KUNIT_EXPECT_EQ(test, msi_get_virq(mt->dev, 0), 0);
	}
	platform_exit(p);
}

/* In which way a device can have no device domain */
enum platform_global {
	NOT_CARRIED,
	NO_TOKEN,
	NO_PARENT,
};

static const char *const platform_globals[] = {
	[NOT_CARRIED]	= "the parent does not carry it",
	[NO_TOKEN]	= "the global domain is not the parent's",
	[NO_PARENT]	= "there is no parent",
};

static void platform_desc(const char *const *name, char *desc)
{
	strscpy(desc, *name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(platform, platform_globals, platform_desc);

/* In the global domain, everything is as in a device domain */
static void platform_global_domain(struct kunit *test)
{
	const char *const *name = test->param_value;
	struct platform *p = platform_init(test);
	struct msi_test *mt = p->mt;
	struct msi_test_text *text;

	text = kunit_kcalloc(test, 2, sizeof(*text), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);

	KUNIT_ASSERT_EQ(test, platform_alloc(p), 0);
	KUNIT_EXPECT_PTR_NE(test, platform_domain(p, 1), p->domain);
	platform_use(p, &text[0]);
	platform_msi_domain_free_irqs(mt->dev);
	KUNIT_EXPECT_EQ(test, mt->parent.prepared, 0);

	switch (name - platform_globals) {
	case NOT_CARRIED:
		mt->parent.ops.carries &= ~MSI_PARENT_PLATFORM;
		break;
	case NO_TOKEN:
		mt->parent.ops.global_tokens = BIT(DOMAIN_BUS_FSL_MC_MSI);
		break;
	case NO_PARENT:
		mt->parent.domain->flags &= ~IRQ_DOMAIN_FLAG_MSI_PARENT;
		break;
	}
	msi_test_log_reset(mt);
	KUNIT_ASSERT_EQ(test, platform_alloc(p), 0);
	MSI_TEST_EXPECT_LOG(mt, "p.alloc p.alloc p.alloc");
	KUNIT_EXPECT_EQ(test, platform_alloc(p), -EBUSY);
	KUNIT_EXPECT_PTR_EQ(test, platform_domain(p, 1), p->domain);
	platform_use(p, &text[1]);
	platform_msi_domain_free_irqs(mt->dev);
	MSI_TEST_EXPECT_LOG(mt, "p.free p.free p.free");
	mt->parent.domain->flags |= IRQ_DOMAIN_FLAG_MSI_PARENT;

	KUNIT_EXPECT_STREQ(test, text[1].buf, text[0].buf);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text[1].buf, "write(1)=101"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(text[1].buf, "write(1)=0"));

	/* And back again */
	msi_test_parent_init(mt, MSI_PARENT_STABLE_MSG | MSI_PARENT_MASK | MSI_PARENT_EOI);
	mt->parent.ops.global_tokens = BIT(DOMAIN_BUS_PLATFORM_MSI);
	KUNIT_ASSERT_EQ(test, platform_alloc(p), 0);
	KUNIT_EXPECT_PTR_NE(test, platform_domain(p, 1), p->domain);
	platform_msi_domain_free_irqs(mt->dev);
	platform_exit(p);
}

static void platform_refused(struct kunit *test)
{
	struct platform *p = platform_init(test);
	struct msi_test *mt = p->mt;
	struct device *dev = mt->dev;

	KUNIT_EXPECT_EQ(test, platform_msi_domain_alloc_irqs(dev, 0, platform_write), -EINVAL);
	KUNIT_EXPECT_EQ(test, platform_msi_domain_alloc_irqs(dev, 2049, platform_write), -EINVAL);
	KUNIT_EXPECT_EQ(test, platform_msi_domain_alloc_irqs(dev, NR, NULL), -EINVAL);
	dev_set_msi_domain(dev, NULL);
	KUNIT_EXPECT_EQ(test, platform_alloc(p), -EINVAL);
	dev_set_msi_domain(dev, mt->parent.root);
	KUNIT_EXPECT_EQ(test, platform_alloc(p), -EINVAL);
	KUNIT_EXPECT_TRUE(test, msi_test_printed(mt, "Incompatible msi_domain, giving up"));
	dev_set_msi_domain(dev, p->domain);
	MSI_TEST_EXPECT_LOG(mt, "");

	/* What the parent says, and how far it got before */
	mt->parent.prepare_ret = -EXDEV;
	KUNIT_EXPECT_EQ(test, platform_alloc(p), -EXDEV);
	MSI_TEST_EXPECT_LOG(mt, "p.prepare(3)");
	mt->parent.prepare_ret = 0;
	mt->parent.limit = NR - 1;
	KUNIT_EXPECT_EQ(test, platform_alloc(p), -ENOSPC);
	MSI_TEST_EXPECT_LOG(mt, "p.prepare(3) p.alloc p.alloc p.alloc p.free p.free p.teardown");
	mt->parent.limit = NR;
	KUNIT_EXPECT_EQ(test, platform_alloc(p), 0);
	platform_msi_domain_free_irqs(dev);
	platform_exit(p);
}

/* A store that is created, beside the default store and with the same parent */
static const struct msi_storage_ops platform_ims_ops = {
	.init_slot	= msi_test_op_init_slot,
	.free_slot	= msi_test_op_free_slot,
	.write_msg	= msi_test_op_write_msg,
	.mask		= msi_test_op_mask,
	.unmask		= msi_test_op_unmask,
	.release	= msi_test_op_release,
};

static const struct msi_storage_template platform_ims_template = {
	.name		= "pIMS",
	.mode		= "ims",
	.bus_token	= DOMAIN_BUS_DEVICE_IMS,
	.requires	= MSI_PARENT_PLATFORM | MSI_PARENT_PCI_IMS,
	.ops		= &platform_ims_ops,
	.owner		= THIS_MODULE,
};

static void platform_two_stores(struct kunit *test)
{
	struct platform *p = platform_init(test);
	struct msi_test *mt = p->mt;
	struct msi_map map;
	int id;

	KUNIT_ASSERT_EQ(test, platform_alloc(p), 0);
	id = msi_create_store(mt->dev, &platform_ims_template, 4, &mt->hw);
	KUNIT_ASSERT_GT(test, id, 0);
	MSI_TEST_EXPECT_LOG(mt, "p.prepare(3) p.alloc p.alloc p.alloc p.prepare(4)");
	map = msi_test_alloc(mt, id, 2);
	KUNIT_EXPECT_STREQ(test, irq_get_irq_data(map.virq)->chip->name,
			   "TEST-pIMS.1-msi_kunit");
	KUNIT_ASSERT_EQ(test, request_irq(map.virq, msi_test_handler, 0, "msi_kunit", mt), 0);
	msi_test_log_reset(mt);
	msi_test_fire(mt, &mt->hw, 2);
	MSI_TEST_EXPECT_LOG(mt, "p.eoi");
	KUNIT_EXPECT_EQ(test, atomic_read(&mt->handled), 1);

	/* The default store is neither needed for it nor affected by it */
	platform_msi_domain_free_irqs(mt->dev);
	MSI_TEST_EXPECT_LOG(mt, "p.free p.free p.free p.teardown");
	msi_test_fire(mt, &mt->hw, 2);
	MSI_TEST_EXPECT_LOG(mt, "p.eoi");
	KUNIT_ASSERT_EQ(test, platform_alloc(p), 0);

	free_irq(map.virq, mt);
	msi_store_free_irq(mt->dev, id, map);
	msi_remove_store(mt->dev, id);
	platform_msi_domain_free_irqs(mt->dev);

	/* A parent has to carry IMS for it, not only messages of platform devices */
	mt->parent.ops.carries &= ~MSI_PARENT_PCI_IMS;
	KUNIT_EXPECT_EQ(test, msi_create_store(mt->dev, &platform_ims_template, 4, &mt->hw),
			-EOPNOTSUPP);
	platform_exit(p);
}

/* The driver goes without freeing its interrupts */
static void platform_forgotten(struct kunit *test)
{
	static const char says[] =
		"Interrupts of TEST-pMSI-msi_kunit were not freed by the driver";
	struct platform *p = platform_init(test);
	struct msi_test *mt = p->mt;

	KUNIT_ASSERT_EQ(test, platform_alloc(p), 0);
	KUNIT_ASSERT_EQ(test, request_irq(msi_get_virq(mt->dev, 0), msi_test_handler, 0,
					  "msi_kunit", mt), 0);
	msi_test_log_reset(mt);
	msi_test_unbind(mt);
	MSI_TEST_EXPECT_LOG(mt, "p.mask write(0)=0 p.deactivate p.free p.free p.free p.teardown");
	KUNIT_EXPECT_TRUE(test, msi_test_printed(mt, says));
	platform_exit(p);
}

static struct kunit_case msi_platform_cases[] = {
	KUNIT_CASE(platform_device_domain),
	KUNIT_CASE_PARAM(platform_global_domain, platform_gen_params),
	KUNIT_CASE(platform_refused),
	KUNIT_CASE(platform_two_stores),
	KUNIT_CASE(platform_forgotten),
	{ }
};

MSI_TEST_SUITE(msi_platform, msi_platform_cases);
