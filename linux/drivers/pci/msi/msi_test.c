// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: MSI and MSI-X as drivers/pci/msi/ sets them up
 *
 * The device is emulated: its configuration space by the operations of its bus, its
 * table behind readl() and writel(), which needs INDIRECT_IOMEM. Each write is in the
 * log, and so is what arrives too late, too early or nowhere.
 *
 * Words of the log, beside those of the fixture:
 *
 *   cmd=400		a write to the command register
 *   msi=81, msix=c003	a write to the control word of a capability
 *   lo=, hi=, data=	a write to the message of the MSI capability
 *   bits=		a write to its mask bits
 *   t2.lo=, t2.ctrl=	a write to entry 2 of the MSI-X table
 *   flush		a read of the table, after writes to it
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/irqchip/msi-storage.h>
#include <linux/kthread.h>
#include <linux/logic_iomem.h>
#include <linux/pci.h>

#include "../pci.h"
#include "../../../kernel/irq/tests/msi_test.h"
#include "msi.h"

#define PCI_TEST_BASE		0xe0010000
#define PCI_TEST_SIZE		0x1000

/* Table Offset and Table BIR */
#define PCI_TEST_TABLE		0x200
#define PCI_TEST_BAR		2
#define PCI_TEST_NR		4

#define PCI_TEST_MSI		0x50
#define PCI_TEST_MSIX		0x70
#define PCI_TEST_CONFIG		0x80
#define PCI_TEST_INTX		7

/* Eight messages */
#define PCI_TEST_8		(3 << 1)
#define PCI_TEST_64		PCI_MSI_FLAGS_64BIT
#define PCI_TEST_BITS		PCI_MSI_FLAGS_MASKBIT

/**
 * struct pci_test_device - The device
 * @mt:		The fixture
 * @pdev:	The device as its bus knows it
 * @bus:	Its bus
 * @upper:	The bus above
 * @group:	Managed resources of the test
 * @config:	Its configuration space
 * @table:	Its table
 * @posted:	Writes to the table that are not flushed yet
 * @mapped:	How often the table is mapped
 * @gone:	Reads return all ones, and writes do nothing
 * @reads_left:	Reads of configuration space until the device is gone, 0 for never
 * @cmd_hook:	Called before a write to the command register
 * @irq:	What it is about
 * @changes:	How often it was called
 * @touch:	An entry must be written before it is read
 * @stuck:	The next write to a control word does not return until @go
 * @entered:	Completed when it is in progress
 * @go:		Ends it
 * @running:	How many threads of the test there are
 * @global:	A global domain, if the test has one
 * @info:	Its description
 * @chip:	Its interrupt chip
 */
struct pci_test_device {
	struct msi_test	*mt;
	struct pci_dev	*pdev;
	struct pci_bus	bus;
	struct pci_bus	upper;
	void		*group;
	u8		config[PCI_TEST_CONFIG];
	u32		table[PCI_TEST_NR][4];
	unsigned int	posted;
	unsigned int	mapped;
	bool		gone;
	unsigned int	reads_left;
	void		(*cmd_hook)(struct pci_test_device *pt);
	unsigned int	irq;
	unsigned int	changes;
	bool		touch;
	bool		stuck;
	struct completion entered;
	struct completion go;
	atomic_t	running;
	struct irq_domain *global;
	struct msi_domain_info info;
	struct irq_chip	chip;
};

/* What readl() and writel() find. Tests run one after the other */
static struct pci_test_device *pci_test;

static u16 pci_test_get(struct pci_test_device *pt, unsigned int where)
{
	return pt->config[where] | pt->config[where + 1] << 8;
}

static void pci_test_put(struct pci_test_device *pt, unsigned int where, int size, u32 val)
{
	for (; size; size--, val >>= 8)
		pt->config[where++] = val;
}

static int pci_test_config_read(struct pci_bus *bus, unsigned int devfn, int where, int size,
				u32 *val)
{
	struct pci_test_device *pt = pci_test;

	*val = ~0;
	if (pt->reads_left && !--pt->reads_left)
		pt->gone = true;
	if (!pt->gone && where + size <= PCI_TEST_CONFIG) {
		*val = 0;
		memcpy(val, &pt->config[where], size);
	}
	return PCIBIOS_SUCCESSFUL;
}

static const char *pci_test_field(struct pci_test_device *pt, int where, int size)
{
	const u16 control = pci_test_get(pt, PCI_TEST_MSI + PCI_MSI_FLAGS);
	const bool wide = control & PCI_MSI_FLAGS_64BIT;

	/* It is restored along with the status register */
	if (where == PCI_COMMAND && size >= 2)
		return "cmd";
	if (where == PCI_TEST_MSI + PCI_MSI_FLAGS && size == 2)
		return "msi";
	if (where == PCI_TEST_MSI + PCI_MSI_ADDRESS_LO && size == 4)
		return "lo";
	if (where == PCI_TEST_MSI + PCI_MSI_ADDRESS_HI && size == 4 && wide)
		return "hi";
	if (where == PCI_TEST_MSI + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32) && size == 2)
		return "data";
	if (where == PCI_TEST_MSI + (wide ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32) && size == 4)
		return "bits";
	if (where == PCI_TEST_MSIX + PCI_MSIX_FLAGS && size == 2)
		return "msix";
	return "[nothing]";
}

static int pci_test_config_write(struct pci_bus *bus, unsigned int devfn, int where, int size,
				 u32 val)
{
	struct pci_test_device *pt = pci_test;

	if (where == PCI_COMMAND && pt->cmd_hook)
		pt->cmd_hook(pt);
	msi_test_called(pt->mt, "%s=%x%s", pci_test_field(pt, where, size), val,
			pt->gone ? "[gone]" : "");
	if (!pt->gone && where + size <= PCI_TEST_CONFIG)
		pci_test_put(pt, where, size, val);
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops pci_test_ops = {
	.read	= pci_test_config_read,
	.write	= pci_test_config_write,
};

/* The field of the table at an offset of the region, NULL if it is none */
static u32 *pci_test_entry(struct pci_test_device *pt, unsigned int offset, int size)
{
	u32 *field = &pt->table[0][0] + (offset - PCI_TEST_TABLE) / sizeof(u32);

	if (offset < PCI_TEST_TABLE || offset >= PCI_TEST_TABLE + sizeof(pt->table) ||
	    offset % sizeof(u32) || size != sizeof(u32) ||
	    !(pci_test_get(pt, PCI_COMMAND) & PCI_COMMAND_MEMORY))
		return NULL;
	return field;
}

static unsigned long pci_test_read(void *priv, unsigned int offset, int size)
{
	struct pci_test_device *pt = pci_test;
	u32 *field = pci_test_entry(pt, offset, size);

	if (pt->gone) {
		msi_test_called(pt->mt, "[read of what is gone]");
		return ~0UL;
	}
	if (!field || pt->touch)
		msi_test_called(pt->mt, "[read of %x]", offset);
	if (pt->posted)
		msi_test_called(pt->mt, "flush");
	pt->posted = 0;
	return field ? *field : ~0UL;
}

static void pci_test_write(void *priv, unsigned int offset, int size, unsigned long val)
{
	static const char * const names[] = { "lo", "hi", "data", "ctrl" };
	struct pci_test_device *pt = pci_test;
	u32 *field = pci_test_entry(pt, offset, size), *entry;
	unsigned int nr, what;
	bool sends;

	if (!field || pt->gone) {
		msi_test_called(pt->mt, "[write to %x]", offset);
		return;
	}
	pt->posted++;
	pt->touch = false;
	nr = (field - pt->table[0]) / 4;
	what = (field - pt->table[0]) % 4;
	entry = pt->table[nr];
	sends = !(entry[3] & PCI_MSIX_ENTRY_CTRL_MASKBIT) &&
		(pci_test_get(pt, PCI_TEST_MSIX + PCI_MSIX_FLAGS) &
		 (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)) == PCI_MSIX_FLAGS_ENABLE;
	msi_test_called(pt->mt, "t%u.%s=%lx%s", nr, names[what], val,
			sends && what != 3 && !pci_msi_ignore_mask ? "[unmasked]" : "");
	*field = val;

	if (pt->stuck && what == 3) {
		pt->stuck = false;
		complete(&pt->entered);
		wait_for_completion_timeout(&pt->go, 10 * HZ);
	}
}

static void pci_test_unmap(void *priv)
{
	pci_test->mapped--;
}

static const struct logic_iomem_ops pci_test_iomem_ops = {
	.read	= pci_test_read,
	.write	= pci_test_write,
	.unmap	= pci_test_unmap,
};

static long pci_test_map(unsigned long offset, size_t size, const struct logic_iomem_ops **ops,
			 void **priv)
{
	if (offset != PCI_TEST_TABLE || size != sizeof(pci_test->table))
		msi_test_called(pci_test->mt, "[map of %lx+%zx]", offset, size);
	pci_test->mapped++;
	*ops = &pci_test_iomem_ops;
	return offset;
}

static const struct logic_iomem_region_ops pci_test_region = {
	.map	= pci_test_map,
};

/* A region cannot be removed */
static struct resource pci_test_resource = {
	.name	= "msi_pci test",
	.start	= PCI_TEST_BASE,
	.end	= PCI_TEST_BASE + PCI_TEST_SIZE - 1,
	.flags	= IORESOURCE_MEM,
};

static void pci_test_release(struct device *dev)
{
	kfree(to_pci_dev(dev));
}

/* What a device has after a reset: MSI-X has PCI_TEST_NR entries */
static void pci_test_reset(struct pci_test_device *pt, u16 msi)
{
	unsigned int i;

	memset(pt->config, 0, sizeof(pt->config));
	memset(pt->table, 0, sizeof(pt->table));
	for (i = 0; i < PCI_TEST_NR; i++)
		pt->table[i][3] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
	pci_test_put(pt, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	pci_test_put(pt, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	pci_test_put(pt, PCI_CAPABILITY_LIST, 1, PCI_TEST_MSI);
	pci_test_put(pt, PCI_TEST_MSI, 2, PCI_CAP_ID_MSI | PCI_TEST_MSIX << 8);
	pci_test_put(pt, PCI_TEST_MSI + PCI_MSI_FLAGS, 2, msi);
	pci_test_put(pt, PCI_TEST_MSIX, 2, PCI_CAP_ID_MSIX);
	pci_test_put(pt, PCI_TEST_MSIX + PCI_MSIX_FLAGS, 2, PCI_TEST_NR - 1);
	pci_test_put(pt, PCI_TEST_MSIX + PCI_MSIX_TABLE, 4, PCI_TEST_TABLE | PCI_TEST_BAR);
}

static int pci_test_init(struct kunit *test)
{
	struct pci_test_device *pt;
	struct pci_dev *pdev;
	int ret;

	ret = msi_test_init(test);
	if (ret)
		return ret;

	pt = kunit_kzalloc(test, sizeof(*pt), GFP_KERNEL);
	pdev = kzalloc(sizeof(*pdev), GFP_KERNEL);
	if (!pt || !pdev) {
		kfree(pdev);
		return -ENOMEM;
	}

	pt->mt = test->priv;
	pt->pdev = pdev;
	pt->bus.ops = &pci_test_ops;
	pt->bus.parent = &pt->upper;
	pci_test_reset(pt, PCI_TEST_8 | PCI_TEST_64 | PCI_TEST_BITS);
	pdev->bus = &pt->bus;
	pdev->irq = PCI_TEST_INTX;
	pdev->current_state = PCI_D0;
	pdev->error_state = pci_channel_io_normal;
	pdev->resource[PCI_TEST_BAR] = pci_test_resource;
	raw_spin_lock_init(&pdev->msi_lock);
	init_completion(&pt->entered);
	init_completion(&pt->go);
	pdev->dev.release = pci_test_release;
	dev_set_name(&pdev->dev, "msi_pci");
	ret = device_register(&pdev->dev);
	if (ret) {
		put_device(&pdev->dev);
		return ret;
	}
	dev_set_msi_domain(&pdev->dev, pt->mt->parent.domain);
	pt->group = devres_open_group(&pdev->dev, NULL, GFP_KERNEL);
	pt->mt->dev = &pdev->dev;
	pci_test = pt;
	pci_msi_init(pdev);
	pci_msix_init(pdev);
	return pt->group ? 0 : -ENOMEM;
}

static void pci_test_exit(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;

	if (pt) {
		complete_all(&pt->go);
		KUNIT_EXPECT_TRUE(test, msi_test_wait(!atomic_read(&pt->running)));
		/* Nothing does so where the domain is a global one */
		pci_free_irq_vectors(pt->pdev);
		devres_release_group(&pt->pdev->dev, pt->group);
		dev_set_msi_domain(&pt->pdev->dev, pt->mt->parent.domain);
		if (pt->global)
			irq_domain_remove(pt->global);
		KUNIT_EXPECT_EQ(test, pt->mapped, 0);
		KUNIT_EXPECT_EQ(test, pt->posted, 0);
		KUNIT_EXPECT_EQ(test, pt->pdev->irq, PCI_TEST_INTX);
		pt->mt->dev = &pt->mt->pdev->dev;
		device_unregister(&pt->pdev->dev);
		pci_test = NULL;
	}
	msi_test_exit(test);
}

static int pci_test_suite_init(struct kunit_suite *suite)
{
	static bool done;
	int ret;

	ret = done ? 0 : logic_iomem_add_region(&pci_test_resource, &pci_test_region);
	if (ret)
		return ret;
	done = true;
	return msi_test_suite_init(suite);
}

/* Request a vector. The test is over if that fails */
static unsigned int pci_test_request(struct kunit *test, unsigned int nr)
{
	const int irq = pci_irq_vector(pci_test->pdev, nr);

	KUNIT_ASSERT_GT(test, irq, 0);
	KUNIT_ASSERT_EQ(test, request_irq(irq, msi_test_handler, 0, "msi_pci", pci_test->mt), 0);
	return irq;
}

static void pci_test_mask(unsigned int irq, bool mask)
{
	struct irq_desc *desc = irq_to_desc(irq);
	struct irq_data *data = &desc->irq_data;

	raw_spin_lock_irq(&desc->lock);
	if (mask)
		data->chip->irq_mask(data);
	else
		data->chip->irq_unmask(data);
	raw_spin_unlock_irq(&desc->lock);
}

/* Without SMP the interrupt core moves no interrupt */
static void pci_test_move(struct kunit *test, unsigned int irq)
{
	struct irq_desc *desc = irq_to_desc(irq);
	struct irq_data *data = &desc->irq_data;
	int ret;

	raw_spin_lock_irq(&desc->lock);
	ret = data->chip->irq_set_affinity(data, cpumask_of(0), false);
	raw_spin_unlock_irq(&desc->lock);
	KUNIT_EXPECT_GE(test, ret, 0);
}

/* Expect that exactly these were written since the last time, ended by %NULL */
static void pci_test_expect(int line, const char *const *words)
{
	struct msi_test *mt = pci_test->mt;

	for (; *words; words++)
		MSI_TEST_WANT(mt, **words, "%s", *words);
	KUNIT_EXPECT_STREQ_MSG(mt->test, mt->log.buf, mt->want.buf, "line %d", line);
	memset(&mt->want, 0, sizeof(mt->want));
	msi_test_log_reset(mt);
}

#define PCI_TEST_EXPECT(...)						\
	pci_test_expect(__LINE__, (const char *const []) { __VA_ARGS__, NULL })

/* --- MSI-X ------------------------------------------------------------------- */

static void pci_msix_life(struct kunit *test)
{
	struct pci_dev *pdev = pci_test->pdev;
	unsigned int irq;

	KUNIT_EXPECT_EQ(test, pci_msix_vec_count(pdev), PCI_TEST_NR);
	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 2, PCI_IRQ_ALL_TYPES), 2);
	PCI_TEST_EXPECT("msix=c003 p.prepare(4) p.alloc p.activate p.compose",
			"t0.lo=fee00000 t0.hi=0 t0.data=100 flush p.alloc p.activate",
			"p.compose t1.lo=fee00000 t1.hi=0 t1.data=101 flush cmd=402",
			"t0.ctrl=1 t1.ctrl=1 t2.ctrl=1 t3.ctrl=1 msix=8003");
	KUNIT_EXPECT_TRUE(test, pdev->msix_enabled);
	KUNIT_EXPECT_EQ(test, pci_irq_vector(pdev, 2), -EINVAL);
	KUNIT_EXPECT_EQ(test, pci_test->mapped, 1);

	irq = pci_test_request(test, 1);
	PCI_TEST_EXPECT("t1.ctrl=0");
	pci_test_mask(irq, true);
	PCI_TEST_EXPECT("t1.ctrl=1 flush");
	pci_test_mask(irq, false);
	PCI_TEST_EXPECT("t1.ctrl=0");
	free_irq(irq, pci_test->mt);
	PCI_TEST_EXPECT("t1.ctrl=1 flush t1.lo=0 t1.hi=0 t1.data=0 flush p.deactivate");

	pci_free_irq_vectors(pdev);
	PCI_TEST_EXPECT("t0.ctrl=1 flush t1.ctrl=1 flush msix=3 cmd=2 t0.lo=0 t0.hi=0",
			"t0.data=0 flush p.deactivate p.free p.free");
	KUNIT_EXPECT_FALSE(test, pdev->msix_enabled);
	KUNIT_EXPECT_EQ(test, pci_test->mapped, 0);
	KUNIT_EXPECT_EQ(test, pci_irq_vector(pdev, 0), PCI_TEST_INTX);
	KUNIT_EXPECT_EQ(test, pci_irq_vector(pdev, 1), -EINVAL);
	pci_free_irq_vectors(pdev);
	PCI_TEST_EXPECT("");
}

/* Entries that the driver chooses, and what it must not choose */
static void pci_msix_entries(struct kunit *test)
{
	struct msix_entry twice[] = { { .entry = 1 }, { .entry = 3 }, { .entry = 1 } };
	struct msix_entry beyond[] = { { .entry = 1 }, { .entry = PCI_TEST_NR } };
	struct msix_entry entries[] = { { .entry = 0 }, { .entry = 3 } };
	struct pci_dev *pdev = pci_test->pdev;

	KUNIT_EXPECT_EQ(test, pci_enable_msix_range(pdev, twice, 3, 3), -EINVAL);
	KUNIT_EXPECT_EQ(test, pci_enable_msix_range(pdev, beyond, 2, 2), -EINVAL);
	KUNIT_EXPECT_EQ(test, pci_enable_msix_range(pdev, entries, 2, 1), -ERANGE);
	KUNIT_EXPECT_EQ(test, pci_enable_msix_range(pdev, entries, 0, 0), -EINVAL);
	PCI_TEST_EXPECT("");

	KUNIT_ASSERT_EQ(test, pci_enable_msix_range(pdev, entries, 2, 2), 2);
	PCI_TEST_EXPECT("msix=c003 p.prepare(4) p.alloc p.activate p.compose",
			"t0.lo=fee00000 t0.hi=0 t0.data=100 flush p.alloc p.activate",
			"p.compose t3.lo=fee00000 t3.hi=0 t3.data=101 flush cmd=402",
			"t0.ctrl=1 t1.ctrl=1 t2.ctrl=1 t3.ctrl=1 msix=8003");
	KUNIT_EXPECT_EQ(test, entries[0].vector, pci_irq_vector(pdev, 0));
	KUNIT_EXPECT_EQ(test, entries[1].vector, pci_irq_vector(pdev, 3));
	KUNIT_EXPECT_EQ(test, pci_irq_vector(pdev, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, pci_enable_msi(pdev), -EINVAL);
	pci_disable_msix(pdev);
}

/* More vectors than the table has are less, or virtual */
static void pci_msix_count(struct kunit *test)
{
	struct pci_dev *pdev = pci_test->pdev;

	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, PCI_TEST_NR + 1, PCI_TEST_NR + 1,
						    PCI_IRQ_MSIX), -ENOSPC);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, PCI_TEST_NR + 1, PCI_IRQ_MSIX),
			PCI_TEST_NR);
	pci_free_irq_vectors(pdev);

	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 1, PCI_TEST_NR + 1,
						    PCI_IRQ_MSIX | PCI_IRQ_VIRTUAL),
			PCI_TEST_NR + 1);
	msi_test_log_reset(pci_test->mt);
	free_irq(pci_test_request(test, PCI_TEST_NR), pci_test->mt);
	PCI_TEST_EXPECT("p.deactivate");
	pci_free_irq_vectors(pdev);

	/* What the parent has */
	pci_test->mt->parent.limit = 3;
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 4, PCI_IRQ_MSIX), 3);
	msi_test_log_reset(pci_test->mt);
	pci_free_irq_vectors(pdev);
	pci_test->mt->parent.limit = 0;
	msi_test_log_reset(pci_test->mt);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), -ENOSPC);
	PCI_TEST_EXPECT("msix=c003 p.alloc msix=3");
	KUNIT_EXPECT_FALSE(test, pdev->msix_enabled);
	KUNIT_EXPECT_EQ(test, pci_test->mapped, 0);
}

/* The entry gets another message while it sends */
static void pci_msix_move(struct kunit *test)
{
	struct msi_test *mt = pci_test->mt;
	struct pci_dev *pdev = pci_test->pdev;
	unsigned int irq;

	msi_test_parent_init(mt, MSI_PARENT_ACK);
	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), 1);
	irq = pci_test_request(test, 0);
	msi_test_log_reset(mt);
	pci_test_move(test, irq);
	PCI_TEST_EXPECT("p.affinity p.compose t0.ctrl=1 t0.lo=fee00000 t0.hi=0",
			"t0.data=1100 t0.ctrl=0 flush");
	pci_test_mask(irq, true);
	msi_test_log_reset(mt);
	pci_test_move(test, irq);
	PCI_TEST_EXPECT("p.affinity p.compose t0.lo=fee00000 t0.hi=0 t0.data=2100",
			"flush");
	free_irq(irq, pci_test->mt);

	/* A device without power is not written to */
	irq = pci_test_request(test, 0);
	pdev->current_state = PCI_D3hot;
	msi_test_log_reset(mt);
	pci_test_move(test, irq);
	PCI_TEST_EXPECT("p.affinity p.compose");
	pdev->current_state = PCI_D0;
	pci_restore_msi_state(pdev);
	PCI_TEST_EXPECT("msix=c003 cmd=402 t0.ctrl=1 t1.ctrl=1 t2.ctrl=1 t3.ctrl=1",
			"t0.ctrl=1 t0.lo=fee00000 t0.hi=0 t0.data=3100 t0.ctrl=0",
			"flush t0.ctrl=0 cmd=402 msix=8003");
	free_irq(irq, pci_test->mt);
	pci_free_irq_vectors(pdev);
}

/* A reset, after which the table is open and has anything in it */
static void pci_msix_lost(struct pci_test_device *pt, bool memory)
{
	unsigned int i;

	pci_test_reset(pt, PCI_TEST_8 | PCI_TEST_64 | PCI_TEST_BITS);
	pci_test_put(pt, PCI_COMMAND, 2, memory ? PCI_COMMAND_MEMORY : 0);
	for (i = 0; i < PCI_TEST_NR; i++)
		memset(pt->table[i], 0, sizeof(pt->table[i]));
	msi_test_log_reset(pt->mt);
}

static void pci_msix_restore(struct kunit *test)
{
	struct msix_entry entries[] = { { .entry = 0 }, { .entry = 2 } };
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;
	unsigned int irq, memory;

	pci_restore_msi_state(pdev);
	PCI_TEST_EXPECT("");
	KUNIT_ASSERT_EQ(test, pci_enable_msix_range(pdev, entries, 2, 2), 2);
	irq = pci_test_request(test, 2);

	for (memory = 0; memory < 2; memory++) {
		const char *const command = memory ? "cmd=402" : "cmd=400";

		pci_msix_lost(pt, memory);
		pci_restore_msi_state(pdev);
		PCI_TEST_EXPECT(command, "msix=c003 cmd=402 t0.ctrl=1 t1.ctrl=1 t2.ctrl=1",
				"t3.ctrl=1 t0.lo=fee00000 t0.hi=0 t0.data=100 flush t0.ctrl=1",
				"t2.ctrl=1 t2.lo=fee00000 t2.hi=0 t2.data=101 t2.ctrl=0 flush",
				"t2.ctrl=0", command, "msix=8003");
	}

	/* Nothing is restored to a device that is gone, or has no power */
	pt->gone = true;
	pci_restore_msi_state(pdev);
	PCI_TEST_EXPECT("");
	pt->gone = false;
	pdev->current_state = PCI_D3hot;
	pci_restore_msi_state(pdev);
	PCI_TEST_EXPECT("");
	pdev->current_state = PCI_D0;
	pdev->error_state = pci_channel_io_perm_failure;
	pci_restore_msi_state(pdev);
	PCI_TEST_EXPECT("");
	pdev->error_state = pci_channel_io_normal;

	free_irq(irq, pt->mt);
	pci_disable_msix(pdev);
	msi_test_log_reset(pt->mt);
	pci_restore_msi_state(pdev);
	PCI_TEST_EXPECT("");
}

/* Devices with bugs, and a platform that they don't fit */
static void pci_msix_quirks(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;

	pdev->dev_flags = PCI_DEV_FLAGS_MSIX_TOUCH_ENTRY_DATA_FIRST;
	pt->touch = true;
	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), 1);
	PCI_TEST_EXPECT("msix=c003 p.prepare(4) t0.data=0 flush p.alloc p.activate",
			"p.compose t0.lo=fee00000 t0.hi=0 t0.data=100 flush cmd=402",
			"t0.ctrl=1 t1.ctrl=1 t2.ctrl=1 t3.ctrl=1 msix=8003");
	pci_free_irq_vectors(pdev);

	pdev->dev_flags = PCI_DEV_FLAGS_MSI_INTX_DISABLE_BUG;
	msi_test_log_reset(pt->mt);
	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), 1);
	pci_restore_msi_state(pdev);
	pci_free_irq_vectors(pdev);
	PCI_TEST_EXPECT("msix=c003 p.alloc p.activate p.compose t0.lo=fee00000",
			"t0.hi=0 t0.data=100 flush t0.ctrl=1 t1.ctrl=1 t2.ctrl=1",
			"t3.ctrl=1 msix=8003 msix=c003 cmd=2 t0.ctrl=1 t1.ctrl=1",
			"t2.ctrl=1 t3.ctrl=1 t0.lo=fee00000 t0.hi=0 t0.data=100 flush",
			"t0.ctrl=1 cmd=2 msix=8003 t0.ctrl=1 flush msix=3 t0.lo=0",
			"t0.hi=0 t0.data=0 flush p.deactivate p.free");
}

/* The place of the table is not known, or has no address */
static void pci_msix_no_table(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;
	struct resource *bar = &pdev->resource[PCI_TEST_BAR];

	bar->flags |= IORESOURCE_UNSET;
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), -ENOMEM);
	PCI_TEST_EXPECT("msix=c003 msix=3");
	bar->flags = 0;
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), -ENOMEM);
	PCI_TEST_EXPECT("msix=c003 msix=3");
	bar->flags = IORESOURCE_MEM;
	pci_test_put(pt, PCI_TEST_MSIX + PCI_MSIX_TABLE, 4, ~0);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), -ENOMEM);
	PCI_TEST_EXPECT("msix=c003 msix=3");
	KUNIT_EXPECT_FALSE(test, pdev->msix_enabled);

	/* The kind that is tried next does not need it */
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES), 1);
	KUNIT_EXPECT_TRUE(test, pdev->msi_enabled);
	pci_free_irq_vectors(pdev);
}

static void pci_msix_dynamic(struct kunit *test)
{
	const struct irq_affinity_desc affinity = { .mask = *cpumask_of(0) };
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;
	struct msi_map map;

	KUNIT_EXPECT_EQ(test, pci_msix_alloc_irq_at(pdev, 0, NULL).index, -EINVAL);
	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), 1);
	msi_test_log_reset(pt->mt);
	KUNIT_EXPECT_EQ(test, pci_msix_alloc_irq_at(pdev, 0, NULL).index, -EBUSY);
	KUNIT_EXPECT_EQ(test, pci_msix_alloc_irq_at(pdev, PCI_TEST_NR, NULL).index, -ERANGE);
	PCI_TEST_EXPECT("");
	map = pci_msix_alloc_irq_at(pdev, 2, &affinity);
	PCI_TEST_EXPECT("flush p.alloc p.activate p.compose t2.lo=fee00000 t2.hi=0",
			"t2.data=101 flush");
	KUNIT_EXPECT_EQ(test, map.index, 2);
	KUNIT_EXPECT_EQ(test, map.virq, pci_irq_vector(pdev, 2));
	KUNIT_ASSERT_NOT_NULL(test, pci_irq_get_affinity(pdev, 2));
	KUNIT_EXPECT_TRUE(test, cpumask_equal(pci_irq_get_affinity(pdev, 2), cpumask_of(0)));
	KUNIT_EXPECT_NULL(test, pci_irq_get_affinity(pdev, 0));
	pci_msix_free_irq(pdev, map);
	PCI_TEST_EXPECT("t2.lo=0 t2.hi=0 t2.data=0 flush p.deactivate p.free");
	KUNIT_EXPECT_EQ(test, pci_irq_vector(pdev, 2), -EINVAL);

	map = pci_msix_alloc_irq_at(pdev, MSI_ANY_INDEX, NULL);
	KUNIT_EXPECT_EQ(test, map.index, 1);
	pci_free_irq_vectors(pdev);
	KUNIT_EXPECT_EQ(test, pci_msix_alloc_irq_at(pdev, 0, NULL).index, -EINVAL);
	pt->mt->parent.ops.carries &= ~MSI_PARENT_PCI_MSIX_DYN;
	KUNIT_EXPECT_FALSE(test, pci_msix_can_alloc_dyn(pdev));
	KUNIT_EXPECT_EQ(test, pci_msix_alloc_irq_at(pdev, 0, NULL).index, -EOPNOTSUPP);
}

/* --- MSI --------------------------------------------------------------------- */

/**
 * struct pci_msi_row - A capability
 * @what:	What is special with it
 * @control:	The control word
 * @flags:	Of the device
 * @enable:	The log of three vectors
 * @restore:	The log when the device has lost its state
 * @disable:	The log when they are freed
 */
struct pci_msi_row {
	const char	*what;
	u16		control;
	pci_dev_flags_t	flags;
	const char	*enable[4];
	const char	*restore[4];
	const char	*disable[4];
};

static const struct pci_msi_row pci_msi_rows[] = {
	{ "64 bits, mask bits", PCI_TEST_8 | PCI_TEST_64 | PCI_TEST_BITS, 0,
	  { "msi=186 p.prepare(8) bits=ff p.alloc p.activate p.compose msi=1a6 lo=fee00000",
	    "hi=0 data=100 p.activate p.compose p.activate p.compose cmd=402 msi=1a7" },
	  { "cmd=402 msi=186 msi=1a6 lo=fee00000 hi=0 data=100 lo=fee00000 hi=0 data=100",
	    "lo=fee00000 hi=0 data=100 bits=fd msi=1a7" },
	  { "msi=1a6 cmd=2 bits=0 p.deactivate lo=0 hi=0 data=0 p.deactivate p.free p.free",
	    "p.free" } },
	{ "32 bits, mask bits", PCI_TEST_8 | PCI_TEST_BITS, 0,
	  { "msi=106 p.prepare(8) bits=ff p.alloc p.activate p.compose msi=126 lo=fee00000",
	    "data=100 p.activate p.compose p.activate p.compose cmd=402 msi=127" },
	  { "cmd=402 msi=106 msi=126 lo=fee00000 data=100 lo=fee00000 data=100 lo=fee00000",
	    "data=100 bits=fd msi=127" },
	  { "msi=126 cmd=2 bits=0 p.deactivate lo=0 data=0 p.deactivate p.free p.free",
	    "p.free" } },
	{ "64 bits", PCI_TEST_8 | PCI_TEST_64, 0,
	  { "msi=86 p.prepare(8) p.alloc p.activate p.compose msi=a6 lo=fee00000 hi=0",
	    "data=100 p.activate p.compose p.activate p.compose cmd=402 msi=a7" },
	  { "cmd=402 msi=86 msi=a6 lo=fee00000 hi=0 data=100 lo=fee00000 hi=0 data=100",
	    "lo=fee00000 hi=0 data=100 msi=a7" },
	  { "msi=a6 cmd=2 p.deactivate lo=0 hi=0 data=0 p.deactivate p.free p.free p.free" } },
	{ "32 bits", PCI_TEST_8, 0,
	  { "msi=6 p.prepare(8) p.alloc p.activate p.compose msi=26 lo=fee00000 data=100",
	    "p.activate p.compose p.activate p.compose cmd=402 msi=27" },
	  { "cmd=402 msi=6 msi=26 lo=fee00000 data=100 lo=fee00000 data=100 lo=fee00000",
	    "data=100 msi=27" },
	  { "msi=26 cmd=2 p.deactivate lo=0 data=0 p.deactivate p.free p.free p.free" } },
	{ "hidden mask bits", PCI_TEST_8 | PCI_TEST_64, PCI_DEV_FLAGS_HAS_MSI_MASKING,
	  { "msi=86 p.prepare(8) bits=ff p.alloc p.activate p.compose msi=a6 lo=fee00000",
	    "hi=0 data=100 p.activate p.compose p.activate p.compose cmd=402 msi=a7" },
	  { "cmd=402 msi=86 msi=a6 lo=fee00000 hi=0 data=100 lo=fee00000 hi=0 data=100",
	    "lo=fee00000 hi=0 data=100 bits=fd msi=a7" },
	  { "msi=a6 cmd=2 bits=0 p.deactivate lo=0 hi=0 data=0 p.deactivate p.free p.free",
	    "p.free" } },
	{ "INTx needed", PCI_TEST_8, PCI_DEV_FLAGS_MSI_INTX_DISABLE_BUG,
	  { "msi=6 p.prepare(8) p.alloc p.activate p.compose msi=26 lo=fee00000 data=100",
	    "p.activate p.compose p.activate p.compose msi=27" },
	  { "msi=6 msi=26 lo=fee00000 data=100 lo=fee00000 data=100 lo=fee00000 data=100",
	    "msi=27" },
	  { "msi=26 p.deactivate lo=0 data=0 p.deactivate p.free p.free p.free" } },
};

static void pci_msi_describe(const struct pci_msi_row *row, char *desc)
{
	strscpy(desc, row->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(pci_msi, pci_msi_rows, pci_msi_describe);

static void pci_msi_life(struct kunit *test)
{
	const struct pci_msi_row *row = test->param_value;
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;
	unsigned int irq;

	pdev->dev_flags = row->flags;
	pci_test_reset(pt, row->control);
	KUNIT_EXPECT_EQ(test, pci_msi_vec_count(pdev), 8);
	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 3, PCI_IRQ_MSI | PCI_IRQ_LEGACY), 3);
	pci_test_expect(__LINE__, row->enable);
	KUNIT_EXPECT_TRUE(test, pdev->msi_enabled);
	irq = pci_irq_vector(pdev, 0);
	KUNIT_EXPECT_EQ(test, pdev->irq, irq);
	KUNIT_EXPECT_EQ(test, pci_irq_vector(pdev, 2), irq + 2);
	KUNIT_EXPECT_EQ(test, pci_irq_vector(pdev, 3), -EINVAL);

	irq = pci_test_request(test, 1);
	pci_test_reset(pt, row->control);
	msi_test_log_reset(pt->mt);
	pci_restore_msi_state(pdev);
	pci_test_expect(__LINE__, row->restore);
	free_irq(irq, pt->mt);

	msi_test_log_reset(pt->mt);
	pci_free_irq_vectors(pdev);
	pci_test_expect(__LINE__, row->disable);
	KUNIT_EXPECT_FALSE(test, pdev->msi_enabled);
	KUNIT_EXPECT_EQ(test, pdev->irq, PCI_TEST_INTX);
	pci_free_irq_vectors(pdev);
	PCI_TEST_EXPECT("");
}

static void pci_msi_count(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		pci_test_reset(pt, i << 1);
		KUNIT_EXPECT_EQ(test, pci_msi_vec_count(pdev), 1 << min(i, 5U));
	}
	pci_test_reset(pt, PCI_TEST_8);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 9, 9, PCI_IRQ_MSI), -ENOSPC);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 2, 1, PCI_IRQ_MSI), -ERANGE);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 0, 0, PCI_IRQ_MSI), -EINVAL);
	PCI_TEST_EXPECT("");
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 8, 8, PCI_IRQ_MSI), 8);
	pci_free_irq_vectors(pdev);
	KUNIT_EXPECT_EQ(test, pci_enable_msi(pdev), 0);
	pci_disable_msi(pdev);
	KUNIT_EXPECT_EQ(test, pdev->irq, PCI_TEST_INTX);

	/* What the parent has, all of it or one, and then nothing is left behind */
	pt->mt->parent.ops.carries &= ~MSI_PARENT_PCI_MULTI_MSI;
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 2, 8, PCI_IRQ_MSI), -ENOSPC);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 8, PCI_IRQ_MSI), 1);
	pci_free_irq_vectors(pdev);
	pt->mt->parent.limit = 0;
	pci_test_reset(pt, PCI_TEST_8 | PCI_TEST_BITS);
	msi_test_log_reset(pt->mt);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI), -ENOSPC);
	PCI_TEST_EXPECT("msi=106 p.teardown p.prepare(8) bits=ff p.alloc bits=0");
	KUNIT_EXPECT_FALSE(test, pdev->msi_enabled);
}

/* The message stays as long as one of the vectors needs it */
static void pci_msi_order(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;
	unsigned int irq[2];

	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 2, 2, PCI_IRQ_MSI), 2);
	msi_test_log_reset(pt->mt);
	irq[1] = pci_test_request(test, 1);
	PCI_TEST_EXPECT("bits=fd");
	irq[0] = pci_test_request(test, 0);
	PCI_TEST_EXPECT("bits=fc");
	free_irq(irq[1], pt->mt);
	PCI_TEST_EXPECT("bits=fe p.deactivate");

	/* Masked without power, it is right after the restore */
	pdev->current_state = PCI_D3hot;
	pci_test_mask(irq[0], true);
	pdev->current_state = PCI_D0;
	pci_test_reset(pt, PCI_TEST_8 | PCI_TEST_64 | PCI_TEST_BITS);
	msi_test_log_reset(pt->mt);
	pci_restore_msi_state(pdev);
	PCI_TEST_EXPECT("cmd=402 msi=186 msi=196 lo=fee00000 hi=0 data=100 bits=ff",
			"msi=197");
	pt->gone = true;
	pci_restore_msi_state(pdev);
	PCI_TEST_EXPECT("");
	pt->gone = false;
	free_irq(irq[0], pt->mt);
	pci_free_irq_vectors(pdev);
}

/* --- Both -------------------------------------------------------------------- */

/* No message fits, or one of 32 bits only */
static void pci_test_compose_high(struct irq_data *data, struct msi_msg *msg)
{
	msg->address_lo = 0xfee00000;
	msg->address_hi = 1;
	msg->data = 0x100 + data->hwirq;
}

static void pci_both_no_64(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;

	pt->mt->parent.chip.irq_compose_msi_msg = pci_test_compose_high;
	pdev->no_64bit_msi = 1;
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), -EIO);
	PCI_TEST_EXPECT("msix=c003 p.prepare(4) p.alloc p.activate t0.lo=fee00000",
			"t0.hi=1 t0.data=100 flush t0.lo=0 t0.hi=0 t0.data=0 flush",
			"p.deactivate p.free msix=3");
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI), -EIO);
	PCI_TEST_EXPECT("msi=186 p.teardown p.prepare(8) bits=ff p.alloc p.activate",
			"lo=fee00000 hi=1 data=100 lo=0 hi=0 data=0 p.deactivate",
			"p.free bits=0");
	KUNIT_EXPECT_FALSE(test, pci_dev_msi_enabled(pdev));

	pdev->no_64bit_msi = 0;
	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI), 1);
	PCI_TEST_EXPECT("msi=186 bits=ff p.alloc p.activate lo=fee00000 hi=1 data=100",
			"cmd=402 msi=187");
	pci_free_irq_vectors(pdev);
	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), 1);
	msi_test_log_reset(pt->mt);
	pdev->no_64bit_msi = 1;
	KUNIT_EXPECT_EQ(test, pci_msix_alloc_irq_at(pdev, 1, NULL).index, -EIO);
	PCI_TEST_EXPECT("flush p.alloc p.activate t1.lo=fee00000 t1.hi=1 t1.data=101",
			"flush t1.lo=0 t1.hi=0 t1.data=0 flush p.deactivate p.free");
	pci_free_irq_vectors(pdev);
}

/* Reasons against MSI: each of them alone, and there is no write */
static void pci_both_refused(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;
	unsigned int i;

	for (i = 0; i < 7; i++) {
		pdev->no_msi = i == 0;
		pt->bus.bus_flags = i == 1 ? PCI_BUS_FLAGS_NO_MSI : 0;
		pt->upper.bus_flags = i == 2 ? PCI_BUS_FLAGS_NO_MSI : 0;
		pdev->current_state = i == 3 ? PCI_D3hot : PCI_D0;
		pci_msi_enable = i != 4;
		pt->gone = i == 5;
		if (i == 6) {
			pdev->msi_cap = 0;
			pdev->msix_cap = 0;
		}
		KUNIT_EXPECT_EQ_MSG(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI),
				    pt->gone ? -ENODEV : -EINVAL, "%u", i);
		KUNIT_EXPECT_EQ_MSG(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX),
				    pt->gone ? -ENODEV : -EINVAL, "%u", i);
		KUNIT_EXPECT_EQ_MSG(test, pci_msi_enabled(), i != 4, "%u", i);
		MSI_TEST_EXPECT_LOG_MSG(pt->mt, "", "%u", i);
		pci_disable_msi(pdev);
		pci_disable_msix(pdev);

		/* INTx needs none of it */
		if (!pt->gone) {
			KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1,
								    PCI_IRQ_ALL_TYPES), 1);
			KUNIT_EXPECT_EQ(test, pci_irq_vector(pdev, 0), PCI_TEST_INTX);
		}
		msi_test_log_reset(pt->mt);
	}
	KUNIT_EXPECT_EQ(test, pci_msi_vec_count(pdev), -EINVAL);
	KUNIT_EXPECT_EQ(test, pci_msix_vec_count(pdev), -EINVAL);
	KUNIT_EXPECT_FALSE(test, pci_msix_can_alloc_dyn(pdev));
}

/* What a driver has without MSI, and only if it needs no more than one vector */
static void pci_both_intx(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;

	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 2, 4, PCI_IRQ_LEGACY), -ENOSPC);
	pdev->irq = 0;
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 4, PCI_IRQ_LEGACY), -ENOSPC);
	pdev->irq = PCI_TEST_INTX;
	PCI_TEST_EXPECT("");

	/* Its line is enabled, whatever it was before */
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 4, PCI_IRQ_LEGACY), 1);
	PCI_TEST_EXPECT("");
	pci_test_put(pt, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 4, PCI_IRQ_LEGACY), 1);
	PCI_TEST_EXPECT("cmd=2");
	KUNIT_EXPECT_EQ(test, pci_irq_vector(pdev, 0), PCI_TEST_INTX);
	KUNIT_EXPECT_PTR_EQ(test, pci_irq_get_affinity(pdev, 0), cpu_possible_mask);

	/* Each kind that is allowed is tried, the first one that can be had is taken */
	pt->mt->parent.limit = 0;
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 4, PCI_IRQ_ALL_TYPES), 1);
	KUNIT_EXPECT_FALSE(test, pci_dev_msi_enabled(pdev));
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 4, PCI_IRQ_MSIX | PCI_IRQ_MSI),
			-ENOSPC);
	pt->mt->parent.limit = MSI_TEST_SLOTS;
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 8, PCI_IRQ_ALL_TYPES), PCI_TEST_NR);
	KUNIT_EXPECT_TRUE(test, pdev->msix_enabled);
	pci_free_irq_vectors(pdev);
	msi_test_log_reset(pt->mt);
}

/* What an earlier kernel has left enabled is disabled when the device is found */
static void pci_both_found(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;

	pci_test_reset(pt, PCI_TEST_8 | PCI_MSI_FLAGS_ENABLE);
	pci_msi_init(pdev);
	PCI_TEST_EXPECT("msi=6");
	KUNIT_EXPECT_EQ(test, pdev->msi_cap, PCI_TEST_MSI);
	KUNIT_EXPECT_TRUE(test, pdev->no_64bit_msi);
	pci_msi_init(pdev);
	PCI_TEST_EXPECT("");

	pdev->no_64bit_msi = 0;
	pci_test_reset(pt, PCI_TEST_64);
	pci_msi_init(pdev);
	KUNIT_EXPECT_FALSE(test, pdev->no_64bit_msi);
	PCI_TEST_EXPECT("");

	pci_test_put(pt, PCI_TEST_MSIX + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | 3);
	pci_msix_init(pdev);
	PCI_TEST_EXPECT("msix=3");
	KUNIT_EXPECT_EQ(test, pdev->msix_cap, PCI_TEST_MSIX);
	pci_msix_init(pdev);
	PCI_TEST_EXPECT("");

	pci_test_put(pt, PCI_STATUS, 2, 0);
	pci_msi_init(pdev);
	pci_msix_init(pdev);
	PCI_TEST_EXPECT("");
	KUNIT_EXPECT_EQ(test, pdev->msi_cap, 0);
	KUNIT_EXPECT_EQ(test, pdev->msix_cap, 0);
}

/* The device is pulled out while its vectors are in use */
static void pci_both_gone(struct kunit *test)
{
	static const unsigned int kinds[] = { PCI_IRQ_MSIX, PCI_IRQ_MSI };
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;
	unsigned int irq, i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 2, 2, kinds[i]), 2);
		irq = pci_test_request(test, 1);
		pt->gone = true;
		KUNIT_EXPECT_TRUE(test, pci_dev_set_io_state(pdev, pci_channel_io_perm_failure));
		msi_test_log_reset(pt->mt);
		pci_test_mask(irq, true);
		pci_test_mask(irq, false);
		free_irq(irq, pt->mt);
		pci_free_irq_vectors(pdev);
		PCI_TEST_EXPECT("p.deactivate p.deactivate p.free p.free");
		pt->gone = false;
		pt->posted = 0;
		pdev->error_state = pci_channel_io_normal;
		/* What was gone stays gone */
		devres_release_group(&pdev->dev, pt->group);
		pt->group = devres_open_group(&pdev->dev, NULL, GFP_KERNEL);
		pci_test_reset(pt, PCI_TEST_8 | PCI_TEST_64 | PCI_TEST_BITS);
	}

	/* Before the first look at the capability, and before the second one */
	for (i = 1; i <= 2; i++) {
		msi_test_log_reset(pt->mt);
		pt->reads_left = i;
		KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI), -ENODEV);
		PCI_TEST_EXPECT("");
		KUNIT_EXPECT_TRUE(test, pt->gone);
		pt->gone = false;
	}
}

/* A driver that was unbound has forgotten its vectors, or lets devres free them */
static void pci_both_forgotten(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;

	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 2, 2, PCI_IRQ_MSIX), 2);
	devres_release_group(&pdev->dev, pt->group);
	KUNIT_EXPECT_TRUE(test, msi_test_printed(pt->mt, "MSI-X was not disabled by the driver"));
	KUNIT_EXPECT_FALSE(test, pdev->msix_enabled);
	KUNIT_EXPECT_NULL(test, pdev->dev.msi.data);

	pt->group = devres_open_group(&pdev->dev, NULL, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pt->group);
	pdev->is_managed = 1;
	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 2, 2, PCI_IRQ_MSI), 2);
	devres_release_group(&pdev->dev, pt->group);
	KUNIT_EXPECT_FALSE(test, msi_test_printed(pt->mt, "was not disabled by the driver"));
	KUNIT_EXPECT_FALSE(test, pdev->msi_enabled);
	pdev->is_managed = 0;
	pt->group = devres_open_group(&pdev->dev, NULL, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pt->group);
}

/* The handler, too, is left */
static void pci_both_forgotten_handler(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;

	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 2, 2, PCI_IRQ_MSI), 2);
	pci_test_request(test, 1);
	devres_release_group(&pdev->dev, pt->group);
	KUNIT_EXPECT_TRUE(test, msi_test_printed(pt->mt, "was not freed by the driver"));
	KUNIT_EXPECT_FALSE(test, pdev->msi_enabled);
	pt->group = devres_open_group(&pdev->dev, NULL, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pt->group);
}

/* A function of msi_on_each_desc() can change what is walked over */
static int pci_test_walk(struct msi_map map, void *arg)
{
	struct pci_dev *pdev = pci_test->pdev;
	struct kunit *test = arg;
	struct msi_map new;

	KUNIT_EXPECT_EQ(test, map.index, 0);
	KUNIT_EXPECT_EQ(test, map.virq, pci_irq_vector(pdev, 0));
	new = pci_msix_alloc_irq_at(pdev, 1, NULL);
	KUNIT_EXPECT_EQ(test, new.index, 1);
	pci_msix_free_irq(pdev, new);
	pci_free_irq_vectors(pdev);
	return 0;
}

static void pci_both_walk(struct kunit *test)
{
	struct pci_dev *pdev = pci_test->pdev;

	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), 1);
	KUNIT_EXPECT_EQ(test, msi_on_each_desc(&pdev->dev, MSI_DEFAULT_STORE, MSI_DESC_ALL,
					       pci_test_walk, test), 0);
	KUNIT_EXPECT_FALSE(test, pdev->msix_enabled);
	msi_test_log_reset(pci_test->mt);
}

/* A restore takes no lock, and what it writes to stays until it is done */
static int pci_test_restore_thread(void *unused)
{
	pci_restore_msi_state(pci_test->pdev);
	atomic_dec(&pci_test->running);
	return 0;
}

static int pci_test_free_thread(void *unused)
{
	pci_free_irq_vectors(pci_test->pdev);
	atomic_dec(&pci_test->running);
	return 0;
}

static void pci_test_run(struct kunit *test, int (*thread)(void *unused))
{
	atomic_inc(&pci_test->running);
	if (IS_ERR(kthread_run(thread, NULL, "msi_kunit"))) {
		atomic_dec(&pci_test->running);
		KUNIT_FAIL(test, "no thread");
	}
}

static void pci_both_free_during_restore(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;

	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 2, 2, PCI_IRQ_MSIX), 2);
	pt->stuck = true;
	pci_test_run(test, pci_test_restore_thread);
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&pt->entered, 10 * HZ), 0);
	pci_test_run(test, pci_test_free_thread);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(!pdev->msix_enabled));
	msleep(50);
	KUNIT_EXPECT_EQ(test, atomic_read(&pt->running), 2);
	KUNIT_EXPECT_EQ(test, pt->mapped, 1);

	complete(&pt->go);
	KUNIT_EXPECT_TRUE(test, msi_test_wait(!atomic_read(&pt->running)));
	KUNIT_EXPECT_EQ(test, pt->mapped, 0);
	msi_test_log_reset(pt->mt);
}

/* --- A global domain, as platforms have it that are not converted ------------ */

static void pci_global_compose(struct irq_data *data, struct msi_msg *msg)
{
	msi_test_called(pci_test->mt, "compose");
	msg->address_lo = 0xfee00000;
	msg->address_hi = 0;
	msg->data = 0x100 + pci_test->mt->parent.generation;
}

static int pci_global_set_affinity(struct irq_data *data, const struct cpumask *mask, bool force)
{
	struct msi_test_parent *parent = &pci_test->mt->parent;

	msi_test_called(pci_test->mt, "affinity");
	parent->generation++;
	return parent->affinity_ret;
}

static void pci_global_create(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct msi_domain_info *info = &pt->info;

	info->flags = MSI_FLAG_USE_DEF_DOM_OPS | MSI_FLAG_USE_DEF_CHIP_OPS | MSI_FLAG_PCI_MSIX;
	info->chip = &pt->chip;
	pt->chip.name = "TEST-PCI";
	pt->mt->parent.root_chip.irq_compose_msi_msg = pci_global_compose;
	pt->mt->parent.root_chip.irq_set_affinity = pci_global_set_affinity;
	pt->global = pci_msi_create_irq_domain(NULL, info, pt->mt->parent.root);
	KUNIT_ASSERT_NOT_NULL(test, pt->global);
	dev_set_msi_domain(&pt->pdev->dev, pt->global);
}

static void pci_global(struct kunit *test)
{
	struct msix_entry entries[] = { { .entry = 0 }, { .entry = 2 } };
	struct pci_test_device *pt = pci_test;
	struct msi_domain_info *info = &pt->info;
	struct pci_dev *pdev = pt->pdev;
	unsigned int irq;

	pci_global_create(test);
	KUNIT_EXPECT_FALSE(test, pci_msix_can_alloc_dyn(pdev));
	KUNIT_EXPECT_FALSE(test, pci_dev_has_special_msi_domain(pdev));

	KUNIT_EXPECT_EQ(test, pci_enable_msix_range(pdev, entries, 2, 2), 2);
	PCI_TEST_EXPECT("msix=c003 compose t0.lo=fee00000 t0.hi=0 t0.data=100 flush",
			"compose t2.lo=fee00000 t2.hi=0 t2.data=100 flush cmd=402",
			"t0.ctrl=1 t1.ctrl=1 t2.ctrl=1 t3.ctrl=1 msix=8003");
	irq = pci_test_request(test, 2);
	PCI_TEST_EXPECT("t2.ctrl=0");
	pci_test_mask(irq, true);
	pci_test_mask(irq, false);
	pci_test_move(test, irq);
	PCI_TEST_EXPECT("t2.ctrl=1 flush t2.ctrl=0 affinity compose t2.ctrl=1",
			"t2.lo=fee00000 t2.hi=0 t2.data=101 t2.ctrl=0 flush");
	pt->mt->parent.affinity_ret = IRQ_SET_MASK_OK_DONE;
	pci_test_move(test, irq);
	PCI_TEST_EXPECT("affinity");
	free_irq(irq, pt->mt);
	PCI_TEST_EXPECT("t2.ctrl=1 flush t2.lo=0 t2.hi=0 t2.data=0 flush");
	pci_disable_msix(pdev);
	PCI_TEST_EXPECT("t0.ctrl=1 flush t2.ctrl=1 flush msix=3 cmd=2 t0.lo=0 t0.hi=0",
			"t0.data=0 flush");

	/* One MSI vector, or several */
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 2, 4, PCI_IRQ_MSI), -ENOSPC);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 4, PCI_IRQ_MSI), 1);
	msi_test_log_reset(pt->mt);
	irq = pci_test_request(test, 0);
	PCI_TEST_EXPECT("bits=fe");
	free_irq(irq, pt->mt);
	pci_disable_msi(pdev);
	info->flags |= MSI_FLAG_MULTI_PCI_MSI;
	msi_test_log_reset(pt->mt);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 2, 4, PCI_IRQ_MSI), 4);
	PCI_TEST_EXPECT("msi=186 bits=ff compose msi=1a6 lo=fee00000 hi=0 data=102",
			"compose",
			"compose",
			"compose",
			"cmd=402 msi=1a7");
	pci_disable_msi(pdev);

	/* What the platform cannot do */
	info->flags |= MSI_FLAG_MSIX_CONTIGUOUS;
	KUNIT_EXPECT_LT(test, pci_enable_msix_range(pdev, entries, 2, 2), 0);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 2, 2, PCI_IRQ_MSIX), 2);
	pci_disable_msix(pdev);
	info->flags &= ~MSI_FLAG_PCI_MSIX;
	KUNIT_EXPECT_LT(test, pci_alloc_irq_vectors(pdev, 1, 2, PCI_IRQ_MSIX), 0);
	KUNIT_EXPECT_FALSE(test, pci_dev_msi_enabled(pdev));
	msi_test_log_reset(pt->mt);
}

/* A hypervisor has the mask bits, but not those of devices with a MSI parent */
static void pci_msix_foreign_masks(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;
	unsigned int irq;
	int ret;

	pci_msi_ignore_mask = 1;
	KUNIT_EXPECT_TRUE(test, pci_msix_can_alloc_dyn(pdev));
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), 1);
	PCI_TEST_EXPECT("msix=c003 p.prepare(4) p.alloc p.activate p.compose",
			"t0.lo=fee00000 t0.hi=0 t0.data=100 flush cmd=402",
			"t0.ctrl=1 t1.ctrl=1 t2.ctrl=1 t3.ctrl=1 msix=8003");
	pci_free_irq_vectors(pdev);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI), 1);
	KUNIT_EXPECT_NE(test, pdev->msi_mask_pos, 0);
	pci_free_irq_vectors(pdev);
	msi_test_log_reset(pt->mt);

	pci_global_create(test);
	ret = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX);
	KUNIT_EXPECT_EQ(test, ret, 1);
	if (ret == 1) {
		PCI_TEST_EXPECT("msix=c003 p.teardown compose t0.lo=fee00000 t0.hi=0",
				"t0.data=100 flush cmd=402 msix=8003");
		irq = pci_irq_vector(pdev, 0);
		KUNIT_EXPECT_EQ(test, request_irq(irq, msi_test_handler, 0, "msi_pci", pt->mt), 0);
		pci_msix_lost(pt, true);
		pci_restore_msi_state(pdev);
		PCI_TEST_EXPECT("cmd=402 msix=c003 cmd=402 t0.lo=fee00000 t0.hi=0 t0.data=100",
				"flush cmd=402 msix=8003");
		free_irq(irq, pt->mt);
		pci_free_irq_vectors(pdev);
		PCI_TEST_EXPECT("t0.lo=0 t0.hi=0 t0.data=0 flush msix=3 cmd=2");
	}
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI), 1);
	KUNIT_EXPECT_EQ(test, pdev->msi_mask_pos, 0);
	pci_free_irq_vectors(pdev);
	msi_test_log_reset(pt->mt);
	pci_msi_ignore_mask = 0;
}

/* Where interrupts are not remapped, since another unit has them */
static void pci_special_domain(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct device *dev = &pt->pdev->dev;

	KUNIT_EXPECT_FALSE(test, pci_dev_has_special_msi_domain(pt->pdev));
	dev_set_msi_domain(dev, pt->mt->parent.root);
	KUNIT_EXPECT_TRUE(test, pci_dev_has_special_msi_domain(pt->pdev));

	/* Without one it is the one of the bus that counts */
	dev_set_msi_domain(dev, NULL);
	KUNIT_EXPECT_TRUE(test, pci_dev_has_special_msi_domain(pt->pdev));
	dev_set_msi_domain(&pt->bus.dev, pt->mt->parent.domain);
	KUNIT_EXPECT_FALSE(test, pci_dev_has_special_msi_domain(pt->pdev));

	/* A MSI parent that is no replacement for a global domain */
	irq_domain_update_bus_token(pt->mt->parent.domain, DOMAIN_BUS_VMD_MSI);
	KUNIT_EXPECT_TRUE(test, pci_dev_has_special_msi_domain(pt->pdev));
}

/* Neither a domain nor hooks of the architecture */
static void pci_no_domain(struct kunit *test)
{
	struct pci_dev *pdev = pci_test->pdev;

	dev_set_msi_domain(&pdev->dev, NULL);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), -ENODEV);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI), -ENODEV);
	KUNIT_EXPECT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES), 1);
	KUNIT_EXPECT_FALSE(test, pci_dev_msi_enabled(pdev));
	KUNIT_EXPECT_EQ(test, pci_irq_vector(pdev, 0), PCI_TEST_INTX);
	msi_test_log_reset(pci_test->mt);
	dev_set_msi_domain(&pdev->dev, pci_test->mt->parent.domain);
}

/* --- IMS --------------------------------------------------------------------- */

static const struct msi_storage_ops pci_ims_ops = {
	.init_slot	= msi_test_op_init_slot,
	.free_slot	= msi_test_op_free_slot,
	.write_msg	= msi_test_op_write_msg,
	.mask		= msi_test_op_mask,
	.unmask		= msi_test_op_unmask,
	.is_masked	= msi_test_op_is_masked,
	.release	= msi_test_op_release,
};

static const struct msi_storage_template pci_ims_template = {
	.name		= "ims",
	.mode		= "ims",
	.bus_token	= DOMAIN_BUS_PCI_DEVICE_IMS,
	.requires	= MSI_PARENT_PCI_IMS,
	.ops		= &pci_ims_ops,
	.owner		= THIS_MODULE,
};

static void pci_ims_refused(struct kunit *test)
{
	static const unsigned int none[] = { MSI_DEFAULT_STORE, MSI_FIRST_STORE };
	struct msi_storage_template tmpl = pci_ims_template;
	struct pci_test_device *pt = pci_test;
	struct msi_test_hw *hw = &pt->mt->hw;
	struct pci_dev *pdev = pt->pdev;
	struct msi_map map;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, pci_create_ims_store(NULL, &tmpl, 4, hw), -EINVAL);
	KUNIT_EXPECT_EQ(test, pci_create_ims_store(pdev, NULL, 4, hw), -EINVAL);
	tmpl.bus_token = DOMAIN_BUS_PCI_DEVICE_MSIX;
	KUNIT_EXPECT_EQ(test, pci_create_ims_store(pdev, &tmpl, 4, hw), -EINVAL);
	tmpl.bus_token = DOMAIN_BUS_PCI_DEVICE_IMS;
	tmpl.requires = MSI_PARENT_PCI_MSIX;
	KUNIT_EXPECT_EQ(test, pci_create_ims_store(pdev, &tmpl, 4, hw), -EINVAL);
	KUNIT_EXPECT_TRUE(test, msi_test_printed(pt->mt, "ims: Not a template for IMS"));
	tmpl.requires = MSI_PARENT_PCI_IMS;
	pdev->no_msi = 1;
	KUNIT_EXPECT_EQ(test, pci_create_ims_store(pdev, &tmpl, 4, hw), -ENODEV);
	pdev->no_msi = 0;
	pdev->error_state = pci_channel_io_perm_failure;
	KUNIT_EXPECT_EQ(test, pci_create_ims_store(pdev, &tmpl, 4, hw), -ENODEV);
	pdev->error_state = pci_channel_io_normal;
	pt->mt->parent.ops.carries &= ~MSI_PARENT_PCI_IMS;
	KUNIT_EXPECT_EQ(test, pci_create_ims_store(pdev, &pci_ims_template, 4, hw), -EOPNOTSUPP);
	PCI_TEST_EXPECT("");

	/* Ids that are none of IMS */
	KUNIT_ASSERT_EQ(test, pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSIX), 1);
	map = pci_ims_store_alloc_irq(pdev, MSI_DEFAULT_STORE, MSI_ANY_INDEX, NULL, NULL);
	KUNIT_EXPECT_EQ(test, map.index, -ENODEV);
	map = pci_ims_store_alloc_irq(pdev, MSI_FIRST_STORE, MSI_ANY_INDEX, NULL, NULL);
	KUNIT_EXPECT_EQ(test, map.index, -ENODEV);
	KUNIT_EXPECT_EQ(test, pci_ims_alloc_irq(pdev, NULL, NULL).index, -ENODEV);
	KUNIT_EXPECT_EQ(test, pci_ims_store_alloc_irqs(pdev, MSI_DEFAULT_STORE, MSI_ANY_INDEX, 1, 1,
						       NULL, NULL, &map), -ENODEV);
	KUNIT_EXPECT_EQ(test, pci_ims_store_alloc_irqs(pdev, MSI_FIRST_STORE, MSI_ANY_INDEX, 1, 1,
						       NULL, NULL, &map), -ENODEV);
	KUNIT_EXPECT_EQ(test, pci_ims_store_suspend(pdev, MSI_DEFAULT_STORE), -ENODEV);
	KUNIT_EXPECT_EQ(test, pci_ims_store_suspend(pdev, MSI_FIRST_STORE), -ENODEV);
	KUNIT_EXPECT_EQ(test, pci_ims_store_resume(pdev, MSI_DEFAULT_STORE), -ENODEV);
	KUNIT_EXPECT_EQ(test, pci_ims_store_resume(pdev, MSI_FIRST_STORE), -ENODEV);
	map = (struct msi_map){ .index = 0, .virq = pci_irq_vector(pdev, 0) };
	for (i = 0; i < ARRAY_SIZE(none); i++) {
		KUNIT_EXPECT_EQ(test, pci_ims_store_set_cookie(pdev, none[i], map, NULL), -ENODEV);
		KUNIT_EXPECT_EQ(test, pci_ims_store_restore_irq(pdev, none[i], map), -ENODEV);
		KUNIT_EXPECT_NULL(test, pci_ims_store_get_affinity(pdev, none[i], 0));
	}
	pci_free_irq_vectors(pdev);
	msi_test_log_reset(pt->mt);
}

/* The core does not access the slots before it restores them */
static void pci_test_change_ims(struct pci_test_device *pt)
{
	const unsigned int len = pt->mt->log.len;

	pci_test_mask(pt->irq, true);
	pci_test_mask(pt->irq, false);
	KUNIT_EXPECT_EQ(pt->mt->test, pt->mt->log.len, len);
	pt->changes++;
}

/* A reset by the core, of which neither the device nor its driver know */
static void pci_ims_reset(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;
	struct msi_map map;
	int id;

	id = pci_create_ims_store(pdev, &pci_ims_template, 4, &pt->mt->hw);
	KUNIT_ASSERT_GT(test, id, 0);
	map = pci_ims_alloc_irq(pdev, NULL, NULL);
	KUNIT_ASSERT_EQ(test, map.index, 0);
	KUNIT_ASSERT_EQ(test, request_irq(map.virq, msi_test_handler, 0, "msi_pci", pt->mt), 0);

	/* There is no method, but all that surrounds it is done */
	pdev->reset_methods[0] = 1;
	pt->irq = map.virq;
	pt->cmd_hook = pci_test_change_ims;
	pci_test_put(pt, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	KUNIT_EXPECT_EQ(test, pci_reset_function(pdev), -ENOTTY);
	pt->cmd_hook = NULL;
	pdev->reset_methods[0] = 0;
	KUNIT_EXPECT_EQ(test, pt->changes, 2);
	KUNIT_EXPECT_NOT_NULL(test, strstr(pt->mt->log.buf, "mask(0) msg(0)=100 unmask(0)"));
	msi_test_log_reset(pt->mt);
	pci_test_mask(map.virq, true);
	PCI_TEST_EXPECT("mask(0)");

	free_irq(map.virq, pt->mt);
	pci_remove_ims_store(pdev, id);
	msi_test_log_reset(pt->mt);
}

static void pci_ims_restore(struct kunit *test)
{
	struct pci_test_device *pt = pci_test;
	struct pci_dev *pdev = pt->pdev;
	struct msi_map map, maps[2];
	int id;

	/* Nothing is done for a device without an IMS */
	pci_lose_ims_state(pdev, false);
	pci_restore_msi_state(pdev);
	PCI_TEST_EXPECT("");

	id = pci_create_ims_store(pdev, &pci_ims_template, 4, &pt->mt->hw);
	KUNIT_ASSERT_GT(test, id, 0);
	map = pci_ims_alloc_irq(pdev, NULL, NULL);
	KUNIT_ASSERT_EQ(test, map.index, 0);
	KUNIT_ASSERT_EQ(test, request_irq(map.virq, msi_test_handler, 0, "msi_pci", pt->mt), 0);
	pci_test_mask(map.virq, true);
	msi_test_log_reset(pt->mt);

	/* A slot without a message is not unmasked before it is restored */
	pci_lose_ims_state(pdev, false);
	pci_test_mask(map.virq, false);
	PCI_TEST_EXPECT("");
	pci_restore_msi_state(pdev);
	PCI_TEST_EXPECT("mask(0) msg(0)=100 unmask(0)");
	pci_test_mask(map.virq, true);
	pci_test_mask(map.virq, false);
	PCI_TEST_EXPECT("mask(0) unmask(0)");

	/* One that is gone or without power neither loses nor has anything */
	pdev->current_state = PCI_D3hot;
	pci_lose_ims_state(pdev, false);
	pci_restore_msi_state(pdev);
	pci_test_mask(map.virq, true);
	pci_test_mask(map.virq, false);
	PCI_TEST_EXPECT("mask(0) unmask(0)");
	pdev->current_state = PCI_D0;
	pt->gone = true;
	pci_restore_msi_state(pdev);
	PCI_TEST_EXPECT("");
	pt->gone = false;

	free_irq(map.virq, pt->mt);
	msi_test_log_reset(pt->mt);
	pci_ims_free_irq(pdev, map);
	PCI_TEST_EXPECT("p.free free(0)");

	KUNIT_ASSERT_EQ(test, pci_ims_store_alloc_irqs(pdev, id, MSI_ANY_INDEX, 2, 2, NULL, NULL,
						       maps), 2);
	msi_test_log_reset(pt->mt);
	pci_ims_store_free_irqs(pdev, id, maps, 2);
	PCI_TEST_EXPECT("p.free p.free free(0) free(1)");
	pci_remove_ims_store(pdev, id);
	msi_test_log_reset(pt->mt);
}

static struct kunit_case pci_cases[] = {
	KUNIT_CASE(pci_msix_life),
	KUNIT_CASE(pci_msix_entries),
	KUNIT_CASE(pci_msix_count),
	KUNIT_CASE(pci_msix_move),
	KUNIT_CASE(pci_msix_restore),
	KUNIT_CASE(pci_msix_foreign_masks),
	KUNIT_CASE(pci_msix_quirks),
	KUNIT_CASE(pci_msix_no_table),
	KUNIT_CASE(pci_msix_dynamic),
	KUNIT_CASE_PARAM(pci_msi_life, pci_msi_gen_params),
	KUNIT_CASE(pci_msi_count),
	KUNIT_CASE(pci_msi_order),
	KUNIT_CASE(pci_both_no_64),
	KUNIT_CASE(pci_both_refused),
	KUNIT_CASE(pci_both_intx),
	KUNIT_CASE(pci_both_found),
	KUNIT_CASE(pci_both_gone),
	KUNIT_CASE(pci_both_forgotten),
	KUNIT_CASE(pci_both_forgotten_handler),
	KUNIT_CASE(pci_both_walk),
	KUNIT_CASE(pci_both_free_during_restore),
	KUNIT_CASE(pci_global),
	KUNIT_CASE(pci_special_domain),
	KUNIT_CASE(pci_no_domain),
	KUNIT_CASE(pci_ims_refused),
	KUNIT_CASE(pci_ims_reset),
	KUNIT_CASE(pci_ims_restore),
	{ }
};

static struct kunit_suite pci_suite = {
	.name		= "msi_pci",
	.suite_init	= pci_test_suite_init,
	.suite_exit	= msi_test_suite_exit,
	.init		= pci_test_init,
	.exit		= pci_test_exit,
	.test_cases	= pci_cases,
};

kunit_test_suite(pci_suite);
