// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests: The ready made Interrupt Message Stores
 *
 * The device is emulated behind readl() and writel(), which needs INDIRECT_IOMEM. It
 * sees each access, unlike a device in an emulated machine, where a posted write is
 * there at once and nobody misses the read that flushes it.
 *
 * Words:
 *
 *   slot	of the device: a copy of each message and control word that it was told
 *   posted	of a write: no read came after it
 *   breach	the first rule of irq-ims-generic.c that was broken
 */
#include <linux/io.h>
#include <linux/irqchip/irq-ims-generic.h>
#include <linux/logic_iomem.h>
#include <linux/pci.h>

#include "msi_test.h"

#define GENERIC_BASE		0xe0000000
#define GENERIC_SIZE		0x1000
#define GENERIC_STRIDE		32
#define GENERIC_NR		4
#define GENERIC_FIRST		7

/* Where the register is that takes notifications */
#define GENERIC_NOTIFY		0x800

#define GENERIC_OTHER_BITS	0x00c00000
#define GENERIC_PASID		0xabcde

/**
 * struct generic_device - The device
 * @mt:		The fixture
 * @pdev:	The device as its bus knows it
 * @group:	Managed resources of the test
 * @regs:	Its registers
 * @layout:	Of the slots, %NULL if the test has none
 * @mem:	Slots in memory. Otherwise they are in @slots
 * @slots:	What the device knows of them
 * @posted:	Writes that nobody knows the arrival of
 * @accesses:	Accesses to the device
 * @changes:	Bits of the control word that the device has set
 * @order:	When a field of a slot in MMIO space was written last
 * @gone:	Reads return all ones, as Memory Space is disabled
 * @breach:	What was broken
 */
struct generic_device {
	struct msi_test			*mt;
	struct pci_dev			*pdev;
	void				*group;
	void __iomem			*regs;
	const struct ims_table_layout	*layout;
	u32				*mem;
	u32				slots[GENERIC_NR * GENERIC_STRIDE / sizeof(u32)];
	unsigned int			posted;
	unsigned int			accesses;
	u32				changes;
	unsigned int			order[GENERIC_STRIDE / sizeof(u32)];
	bool				gone;
	const char			*breach;
};

/* What readl() and writel() find. Tests run one after the other */
static struct generic_device *generic;

static bool generic_ctrl_masked(struct generic_device *gd, u32 ctrl)
{
	return !(ctrl & gd->layout->mask) == !!(gd->layout->flags & IMS_TABLE_MASK_CLEAR);
}

static u32 *generic_field(u32 *slots, unsigned int index, unsigned int offset)
{
	return &slots[(index * GENERIC_STRIDE + offset) / sizeof(u32)];
}

static bool generic_masked(struct generic_device *gd, unsigned int index)
{
	return generic_ctrl_masked(gd, *generic_field(gd->slots, index, gd->layout->ctrl));
}

static void generic_breach(struct generic_device *gd, const char *breach)
{
	gd->breach = gd->breach ?: breach;
}

static unsigned long generic_read(void *priv, unsigned int offset, int size)
{
	struct generic_device *gd = generic;

	gd->accesses++;
	gd->posted = 0;
	if (gd->gone)
		return ~0UL;
	if (offset == GENERIC_NOTIFY)
		return 0;
	if (size != sizeof(u32) || offset % sizeof(u32) || offset >= sizeof(gd->slots)) {
		generic_breach(gd, "read of nothing");
		return ~0UL;
	}
	return gd->slots[offset / sizeof(u32)];
}

/* The device looks at a slot in memory. What it knew until now it may have used */
static void generic_notified(struct generic_device *gd, unsigned int index)
{
	u32 *knows = generic_field(gd->slots, index, 0);
	u32 *has = generic_field(gd->mem, index, 0);
	const unsigned int ctrl = gd->layout->ctrl / sizeof(u32);
	bool changed = false;
	unsigned int i;

	for (i = 0; i < GENERIC_STRIDE / sizeof(u32); i++)
		changed |= i != ctrl && knows[i] != has[i];

	if (changed && !generic_masked(gd, index))
		generic_breach(gd, "message changed while unmasked");
	memcpy(knows, has, GENERIC_STRIDE);
}

static void generic_write(void *priv, unsigned int offset, int size, unsigned long val)
{
	unsigned int index = offset / GENERIC_STRIDE, field = offset % GENERIC_STRIDE;
	struct generic_device *gd = generic;
	bool wide;

	gd->accesses++;
	gd->posted++;
	/* The test is about something else */
	if (!gd->layout)
		return;

	wide = gd->layout->flags & IMS_TABLE_ADDR_64 && field == gd->layout->addr_lo;
	if (offset == GENERIC_NOTIFY && gd->mem) {
		index = val - GENERIC_FIRST;
		if (index < GENERIC_NR)
			generic_notified(gd, index);
		else
			generic_breach(gd, "notification of nothing");
		return;
	}
	if (gd->mem || index >= GENERIC_NR || size != (wide ? sizeof(u64) : sizeof(u32))) {
		generic_breach(gd, "write to nothing");
		return;
	}

	if (field != gd->layout->ctrl && !generic_masked(gd, index))
		generic_breach(gd, "message changed while unmasked");
	gd->order[field / sizeof(u32)] = gd->accesses;
	if (field == gd->layout->ctrl) {
		u32 old = *generic_field(gd->slots, index, field);

		val = (val & ~gd->layout->w1c) | (old & gd->layout->w1c & ~val);
	}
	*generic_field(gd->slots, index, field) = val;
	if (wide)
		*generic_field(gd->slots, index, field + sizeof(u32)) = val >> 32;
}

static const struct logic_iomem_ops generic_ops = {
	.read	= generic_read,
	.write	= generic_write,
};

static long generic_map(unsigned long offset, size_t size, const struct logic_iomem_ops **ops,
			void **priv)
{
	*ops = &generic_ops;
	return 0;
}

static const struct logic_iomem_region_ops generic_region = {
	.map	= generic_map,
};

/* A region is there for ever */
static struct resource generic_resource = {
	.name	= "msi_generic test",
	.start	= GENERIC_BASE,
	.end	= GENERIC_BASE + GENERIC_SIZE - 1,
	.flags	= IORESOURCE_MEM,
};

static int generic_read_config(struct pci_bus *bus, unsigned int devfn, int where, int size,
			       u32 *val)
{
	*val = where == PCI_COMMAND && !generic->gone ? PCI_COMMAND_MEMORY : 0;
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops generic_bus_ops = {
	.read	= generic_read_config,
};

static struct pci_bus generic_bus = {
	.ops	= &generic_bus_ops,
};

static void generic_release(struct device *dev)
{
	kfree(to_pci_dev(dev));
}

static int generic_init(struct kunit *test)
{
	struct generic_device *gd;
	int ret;

	ret = msi_test_init(test);
	if (ret)
		return ret;

	gd = kunit_kzalloc(test, sizeof(*gd), GFP_KERNEL);
	if (!gd)
		return -ENOMEM;
	gd->mt = test->priv;
	gd->regs = ioremap(GENERIC_BASE, GENERIC_SIZE);
	gd->pdev = kzalloc(sizeof(*gd->pdev), GFP_KERNEL);
	if (!gd->regs || !gd->pdev)
		return -ENOMEM;

	gd->pdev->bus = &generic_bus;
	gd->pdev->current_state = PCI_D0;
	gd->pdev->error_state = pci_channel_io_normal;
	gd->pdev->dev.release = generic_release;
	dev_set_name(&gd->pdev->dev, "msi_generic");
	ret = device_register(&gd->pdev->dev);
	if (ret) {
		put_device(&gd->pdev->dev);
		return ret;
	}
	dev_set_msi_domain(&gd->pdev->dev, gd->mt->parent.domain);
	gd->group = devres_open_group(&gd->pdev->dev, NULL, GFP_KERNEL);
	gd->mt->dev = &gd->pdev->dev;
	generic = gd;
	return gd->group ? 0 : -ENOMEM;
}

static void generic_exit(struct kunit *test)
{
	struct generic_device *gd = generic;

	if (gd) {
		devres_release_group(&gd->pdev->dev, gd->group);
		gd->mt->dev = &gd->mt->pdev->dev;
		device_unregister(&gd->pdev->dev);
		iounmap(gd->regs);
		generic = NULL;
	}
	msi_test_exit(test);
}

static int generic_suite_init(struct kunit_suite *suite)
{
	static bool done;
	int ret;

	ret = done ? 0 : logic_iomem_add_region(&generic_resource, &generic_region);
	if (ret)
		return ret;
	done = true;
	return msi_test_suite_init(suite);
}

/* --- Slot tables and slots in memory ----------------------------------------- */

/**
 * struct generic_row - A layout
 * @what:	What is special with it
 * @in_memory:	The slots are in memory
 * @layout:	The layout
 * @has_base:	The core knows where slots in memory are
 */
struct generic_row {
	const char		*what;
	bool			in_memory;
	struct ims_table_layout	layout;
	bool			has_base;
};

#define GENERIC_LAYOUT(_lo, _hi, _data, _ctrl, _flags, _mask, ...)		\
	{									\
		.stride	= GENERIC_STRIDE,					\
		.addr_lo = _lo, .addr_hi = _hi, .data = _data, .ctrl = _ctrl,	\
		.flags = _flags, .mask = _mask, __VA_ARGS__			\
	}

static const struct generic_row generic_rows[] = {
	{ "table", false, GENERIC_LAYOUT(0, 4, 8, 12, 0, BIT(0)) },
	{ "table, clear masks", false,
	  GENERIC_LAYOUT(4, 20, 0, 28, IMS_TABLE_MASK_CLEAR, BIT(31)) },
	{ "table, data first", false, GENERIC_LAYOUT(0, 4, 8, 12, IMS_TABLE_DATA_FIRST, BIT(3)) },
	{ "table, wide", false, GENERIC_LAYOUT(8, 0, 16, 0, IMS_TABLE_ADDR_64, BIT(0)) },
	{ "table, wide, data first", false,
	  GENERIC_LAYOUT(24, 0, 16, 0, IMS_TABLE_ADDR_64 | IMS_TABLE_DATA_FIRST, BIT(0)) },
	{ "table, PASID", false,
	  GENERIC_LAYOUT(0, 4, 8, 12, IMS_TABLE_PASID, BIT(24), .pasid_shift = 2,
			 .pasid_enable = BIT(31)) },
	{ "table, PASID always", false,
	  GENERIC_LAYOUT(0, 4, 8, 12, IMS_TABLE_PASID, BIT(24), .pasid_shift = 2) },
	{ "table, live bits", false,
	  GENERIC_LAYOUT(0, 4, 8, 12, 0, BIT(0), .live = BIT(1) | BIT(4), .pending = BIT(1)) },
	{ "table, bits cleared by 1", false,
	  GENERIC_LAYOUT(0, 4, 8, 12, IMS_TABLE_MASK_CLEAR, BIT(0), .w1c = BIT(1) | BIT(4),
			 .pending = BIT(1)) },
	{ "memory", true, GENERIC_LAYOUT(0, 4, 8, 12, 0, BIT(0)) },
	{ "memory, clear masks", true,
	  GENERIC_LAYOUT(4, 20, 0, 28, IMS_TABLE_MASK_CLEAR, BIT(31)) },
	{ "memory, data first", true, GENERIC_LAYOUT(0, 4, 8, 12, IMS_TABLE_DATA_FIRST, BIT(3)) },
	{ "memory, wide", true, GENERIC_LAYOUT(8, 0, 16, 0, IMS_TABLE_ADDR_64, BIT(0)) },
	{ "memory, base", true, GENERIC_LAYOUT(0, 4, 8, 12, 0, BIT(0)), true },
	{ "memory, PASID", true,
	  GENERIC_LAYOUT(0, 4, 8, 12, IMS_TABLE_PASID, BIT(24), .pasid_shift = 2,
			 .pasid_enable = BIT(31)), true },
};

static void generic_describe(const struct generic_row *row, char *desc)
{
	strscpy(desc, row->what, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(generic, generic_rows, generic_describe);

/* Create a store for a layout. The test is over if that fails */
static struct msi_storage *generic_create(struct kunit *test, const struct generic_row *row)
{
	struct generic_device *gd = generic;
	const struct ims_table_desc table = {
		.base		= gd->regs,
		.length		= sizeof(gd->slots),
		.nr_slots	= GENERIC_NR,
		.layout		= &row->layout,
	};
	struct ims_mem_desc mem = {
		.nr_slots	= GENERIC_NR,
		.first		= GENERIC_FIRST,
		.layout		= &row->layout,
		.notify		= gd->regs + GENERIC_NOTIFY,
	};
	struct msi_dev_store *store;
	int id;

	gd->layout = &row->layout;
	if (row->in_memory) {
		gd->mem = kunit_kzalloc(test, sizeof(gd->slots), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, gd->mem);
	}
	if (row->has_base) {
		mem.base = gd->mem;
		mem.length = sizeof(gd->slots);
	}

	id = row->in_memory ? pci_create_ims_mem_store(gd->pdev, &mem) :
			      pci_create_ims_table_store(gd->pdev, &table);
	KUNIT_ASSERT_GT(test, id, 0);
	store = msi_test_store(gd->mt, id);
	msi_test_log_reset(gd->mt);
	KUNIT_EXPECT_EQ(test, store->storage.size, GENERIC_NR);
	KUNIT_EXPECT_EQ(test, store->tmpl->requires, MSI_PARENT_PCI_IMS);
	return &store->storage;
}

/* A slot as the core has it before init_slot(). In the device it is open and in use */
static void generic_slot(struct generic_device *gd, struct msi_storage *storage,
			 struct msi_slot *slot, unsigned int index)
{
	const struct ims_table_layout *layout = gd->layout;
	u32 *slots = gd->mem ?: gd->slots;
	u32 ctrl = GENERIC_OTHER_BITS;

	*slot = (struct msi_slot) { .storage = storage, .index = index, .masked = true };
	if (layout->flags & IMS_TABLE_MASK_CLEAR)
		ctrl |= layout->mask;
	if (layout->flags & IMS_TABLE_PASID) {
		ctrl |= 0x12345 << layout->pasid_shift;
		slot->cookie.value = GENERIC_PASID;
		slot->has_cookie = true;
	}
	memset(gd->slots, 0, sizeof(gd->slots));
	*generic_field(slots, index, layout->ctrl) = ctrl | gd->changes | layout->pending;
	if (gd->mem) {
		if (!(layout->flags & IMS_TABLE_PASID)) {
			slot->cookie.ptr = generic_field(gd->mem, index, 0);
			slot->has_cookie = true;
		}
		/* Unless it is notified, the slot is masked for the device */
		*generic_field(gd->slots, index, layout->ctrl) =
			layout->flags & IMS_TABLE_MASK_CLEAR ? 0 : layout->mask;
	}
}

/* Expect that the device knows this, that the kernel knows that it does, and no more */
static void generic_expect(struct kunit *test, struct msi_slot *slot, bool masked, u32 pasid,
			   const struct msi_msg *msg, bool flushed)
{
	struct generic_device *gd = generic;
	const struct ims_table_layout *layout = gd->layout;
	u32 want[ARRAY_SIZE(gd->slots)] = { };
	unsigned int hi = layout->addr_hi;
	u32 ctrl = GENERIC_OTHER_BITS;

	if (layout->flags & IMS_TABLE_ADDR_64)
		hi = layout->addr_lo + sizeof(u32);
	if (masked == !(layout->flags & IMS_TABLE_MASK_CLEAR))
		ctrl |= layout->mask;
	if (pasid)
		ctrl |= pasid << layout->pasid_shift | layout->pasid_enable;
	*generic_field(want, slot->index, layout->ctrl) = ctrl | gd->changes;
	*generic_field(want, slot->index, layout->addr_lo) = msg->address_lo;
	*generic_field(want, slot->index, hi) = msg->address_hi;
	*generic_field(want, slot->index, layout->data) = msg->data;

	KUNIT_EXPECT_EQ(test, slot->ctrl, ctrl);
	KUNIT_EXPECT_EQ(test, memcmp(gd->slots, want, sizeof(want)), 0);
	if (gd->mem)
		KUNIT_EXPECT_EQ(test, memcmp(gd->mem, want, sizeof(want)), 0);
	if (flushed)
		KUNIT_EXPECT_EQ(test, gd->posted, 0);
	KUNIT_EXPECT_EQ(test, slot->storage->ops->is_masked(slot->storage, slot), masked);
	KUNIT_EXPECT_STREQ(test, gd->breach ?: "", "");
}

static const struct msi_msg generic_first_msg = {
	.address_lo = 0xfee01000, .address_hi = 0x12, .data = 0x4021,
};

static const struct msi_msg generic_second_msg = {
	.address_lo = 0xfee02000, .address_hi = 0x34, .data = 0x4063,
};

static void generic_life(struct kunit *test)
{
	const struct generic_row *row = test->param_value;
	struct msi_storage *storage = generic_create(test, row);
	const struct ims_table_layout *layout = &row->layout;
	const u32 pasid = layout->flags & IMS_TABLE_PASID ? GENERIC_PASID : 0;
	const struct msi_storage_ops *ops = storage->ops;
	struct generic_device *gd = generic;
	const struct msi_msg none = { };
	struct msi_slot slot;
	unsigned int index;

	for (index = 0; index < GENERIC_NR; index++) {
		generic_slot(gd, storage, &slot, index);
		KUNIT_ASSERT_EQ(test, ops->init_slot(storage, &slot), 0);
		generic_expect(test, &slot, true, pasid, &none, true);

		ops->write_msg(storage, &slot, &generic_first_msg);
		generic_expect(test, &slot, true, pasid, &generic_first_msg, true);
		if (!gd->mem)
			KUNIT_EXPECT_EQ(test, gd->order[layout->data / sizeof(u32)] <
					      gd->order[layout->addr_lo / sizeof(u32)],
					!!(layout->flags & IMS_TABLE_DATA_FIRST));

		ops->unmask(storage, &slot);
		generic_expect(test, &slot, false, pasid, &generic_first_msg, gd->mem);
		ops->write_msg(storage, &slot, &generic_second_msg);
		generic_expect(test, &slot, false, pasid, &generic_second_msg, true);
		ops->mask(storage, &slot);
		generic_expect(test, &slot, true, pasid, &generic_second_msg, true);

		ops->write_msg(storage, &slot, &none);
		/* The core could not mask it, while the slots were left alone */
		if (ops->free_slot) {
			ops->unmask(storage, &slot);
			ops->free_slot(storage, &slot);
		}
		KUNIT_EXPECT_EQ(test, !!ops->free_slot, !!pasid);
		generic_expect(test, &slot, true, 0, &none, true);
		if (gd->mem)
			memset(gd->mem, 0, sizeof(gd->slots));
	}
}

/* What the device has in its bits stays there, but for what an earlier owner has left */
static void generic_volatile(struct kunit *test)
{
	const struct generic_row *row = test->param_value;
	const u32 other = (row->layout.live | row->layout.w1c) & ~row->layout.pending;
	struct msi_storage *storage = generic_create(test, row);
	const struct msi_storage_ops *ops = storage->ops;
	struct generic_device *gd = generic;
	struct msi_slot slot;
	u32 *ctrl;

	if (!row->layout.pending)
		kunit_skip(test, "there is no such bit");

	gd->changes = other;
	generic_slot(gd, storage, &slot, 1);
	KUNIT_ASSERT_EQ(test, ops->init_slot(storage, &slot), 0);
	generic_expect(test, &slot, true, 0, &(struct msi_msg){ }, true);

	/* An event that comes in while it is masked */
	ctrl = generic_field(gd->slots, 1, row->layout.ctrl);
	*ctrl |= row->layout.pending;
	gd->changes |= row->layout.pending;
	ops->mask(storage, &slot);
	ops->write_msg(storage, &slot, &generic_first_msg);
	generic_expect(test, &slot, true, 0, &generic_first_msg, true);
	ops->unmask(storage, &slot);
	generic_expect(test, &slot, false, 0, &generic_first_msg, false);
	ops->write_msg(storage, &slot, &generic_second_msg);
	generic_expect(test, &slot, false, 0, &generic_second_msg, true);

	/* And has been sent */
	*ctrl &= ~(row->layout.pending | other);
	gd->changes = 0;
	ops->mask(storage, &slot);
	ops->unmask(storage, &slot);
	ops->mask(storage, &slot);
	generic_expect(test, &slot, true, 0, &generic_second_msg, true);
}

/* A device that must not be accessed is not, and the slot is right later */
static void generic_away(struct kunit *test, struct msi_slot *slot)
{
	const struct generic_row *row = test->param_value;
	const u32 pasid = row->layout.flags & IMS_TABLE_PASID ? GENERIC_PASID : 0;
	struct msi_storage *storage = slot->storage;
	const struct msi_storage_ops *ops = storage->ops;
	unsigned int before = generic->accesses;
	struct msi_slot other = *slot;

	KUNIT_EXPECT_EQ(test, ops->init_slot(storage, &other), row->in_memory ? 0 : -EIO);
	ops->unmask(storage, slot);
	KUNIT_EXPECT_FALSE(test, ops->is_masked(storage, slot));
	ops->write_msg(storage, slot, &generic_second_msg);
	ops->mask(storage, slot);
	KUNIT_EXPECT_TRUE(test, ops->is_masked(storage, slot));
	ops->unmask(storage, slot);
	KUNIT_EXPECT_EQ(test, generic->accesses, before);
	if (pasid) {
		other = *slot;
		ops->free_slot(storage, &other);
		KUNIT_EXPECT_EQ(test, generic->accesses, before);
	}
}

static void generic_back(struct kunit *test, struct msi_slot *slot)
{
	const struct generic_row *row = test->param_value;
	const u32 pasid = row->layout.flags & IMS_TABLE_PASID ? GENERIC_PASID : 0;
	const struct msi_storage_ops *ops = slot->storage->ops;

	/* As msi_slot_restore() does it */
	ops->mask(slot->storage, slot);
	ops->write_msg(slot->storage, slot, &generic_second_msg);
	generic_expect(test, slot, true, pasid, &generic_second_msg, true);
	ops->unmask(slot->storage, slot);
	generic_expect(test, slot, false, pasid, &generic_second_msg, row->in_memory);
	ops->mask(slot->storage, slot);
}

static void generic_unreachable(struct kunit *test)
{
	struct msi_storage *storage = generic_create(test, test->param_value);
	const struct msi_storage_ops *ops = storage->ops;
	struct generic_device *gd = generic;
	struct msi_slot slot, other;
	unsigned int before;

	generic_slot(gd, storage, &slot, 1);
	KUNIT_ASSERT_EQ(test, storage->ops->init_slot(storage, &slot), 0);

	gd->pdev->current_state = PCI_D3hot;
	generic_away(test, &slot);
	gd->pdev->current_state = PCI_D0;
	generic_back(test, &slot);

	/* While an error is recovered the slots are written again */
	gd->pdev->error_state = pci_channel_io_frozen;
	generic_back(test, &slot);
	gd->pdev->error_state = pci_channel_io_normal;

	/* What the core invokes all the same while a store is suspended, or the device gone */
	before = gd->accesses;
	storage->suspended = true;
	other = slot;
	KUNIT_EXPECT_EQ(test, ops->init_slot(storage, &other), -EIO);
	if (ops->free_slot)
		ops->free_slot(storage, &other);
	storage->suspended = false;
	gd->pdev->error_state = pci_channel_io_perm_failure;
	if (ops->free_slot)
		ops->free_slot(storage, &other);
	gd->pdev->error_state = pci_channel_io_normal;
	KUNIT_EXPECT_EQ(test, gd->accesses, before);
	generic_back(test, &slot);
}

/* While a function is reset, reads of its table return all ones */
static void generic_all_ones(struct kunit *test)
{
	const struct generic_row *row = test->param_value;
	struct msi_storage *storage = generic_create(test, row);
	struct generic_device *gd = generic;
	struct msi_slot slot, other;

	generic_slot(gd, storage, &slot, 1);
	KUNIT_ASSERT_EQ(test, storage->ops->init_slot(storage, &slot), 0);
	other = slot;
	gd->gone = true;
	KUNIT_EXPECT_EQ(test, storage->ops->init_slot(storage, &other),
			row->in_memory ? 0 : -EIO);
	KUNIT_EXPECT_TRUE(test, storage->ops->is_masked(storage, &slot));
	storage->ops->unmask(storage, &slot);
	KUNIT_EXPECT_FALSE(test, storage->ops->is_masked(storage, &slot));
	gd->gone = false;

	/* That is a control word as good as any */
	if (!row->in_memory) {
		generic_slot(gd, storage, &other, 2);
		*generic_field(gd->slots, 2, row->layout.ctrl) = ~0;
		KUNIT_EXPECT_EQ(test, storage->ops->init_slot(storage, &other), 0);
		KUNIT_EXPECT_TRUE(test, generic_masked(gd, 2));
	}
}

/* What another kernel has left could not be masked */
static void generic_memory_disabled(struct kunit *test)
{
	const struct generic_row *row = test->param_value;
	const struct ims_table_desc desc = {
		.base		= generic->regs,
		.length		= sizeof(generic->slots),
		.nr_slots	= GENERIC_NR,
		.layout		= &row->layout,
	};

	if (row->in_memory)
		return;
	generic->gone = true;
	KUNIT_EXPECT_EQ(test, pci_create_ims_table_store(generic->pdev, &desc), -EIO);
	KUNIT_EXPECT_EQ(test, generic->accesses, 0);
}

static void generic_cookie(struct kunit *test)
{
	const struct generic_row *row = test->param_value;
	struct msi_storage *storage = generic_create(test, row);
	struct generic_device *gd = generic;
	struct msi_slot slot;

	if (row->in_memory && !row->has_base) {
		generic_slot(gd, storage, &slot, 0);
		slot.cookie.ptr = NULL;
		KUNIT_EXPECT_EQ(test, storage->ops->init_slot(storage, &slot), -EINVAL);
		slot.cookie.ptr = (void *)gd->mem + 2;
		KUNIT_EXPECT_EQ(test, storage->ops->init_slot(storage, &slot), -EINVAL);
		slot.cookie.ptr = (void *)gd->mem + 4;
		KUNIT_EXPECT_EQ(test, storage->ops->init_slot(storage, &slot),
				row->layout.flags & IMS_TABLE_ADDR_64 ? -EINVAL : 0);
	} else if (row->layout.flags & IMS_TABLE_PASID) {
		generic_slot(gd, storage, &slot, 0);
		slot.cookie.value = BIT(IMS_PASID_BITS);
		KUNIT_EXPECT_EQ(test, storage->ops->init_slot(storage, &slot), -EINVAL);
		slot.cookie.value = BIT(IMS_PASID_BITS) - 1;
		KUNIT_EXPECT_EQ(test, storage->ops->init_slot(storage, &slot), 0);
		generic_expect(test, &slot, true, BIT(IMS_PASID_BITS) - 1,
			       &(struct msi_msg){ }, true);

		/* No cookie is no PASID, where that can be said */
		generic_slot(gd, storage, &slot, 0);
		slot.has_cookie = false;
		KUNIT_EXPECT_EQ(test, storage->ops->init_slot(storage, &slot),
				row->layout.pasid_enable ? 0 : -EINVAL);
		if (row->layout.pasid_enable)
			generic_expect(test, &slot, true, 0, &(struct msi_msg){ }, true);
	} else {
		generic_slot(gd, storage, &slot, 0);
		slot.cookie.value = ~0ULL;
		KUNIT_EXPECT_EQ(test, storage->ops->init_slot(storage, &slot), 0);
	}
}

/* A new cookie is what the next operation writes */
static void generic_set_cookie(struct kunit *test)
{
	static const union msi_instance_cookie next = { .value = 0x54321 };
	static const union msi_instance_cookie bad = { .value = BIT(IMS_PASID_BITS) };
	const struct generic_row *row = test->param_value;
	struct msi_storage *storage = generic_create(test, row);
	const struct msi_storage_ops *ops = storage->ops;
	const struct msi_msg none = { };
	struct msi_slot slot;
	unsigned int before;

	KUNIT_EXPECT_EQ(test, !!ops->set_cookie, !!(row->layout.flags & IMS_TABLE_PASID));
	if (!ops->set_cookie)
		return;

	generic_slot(generic, storage, &slot, 2);
	KUNIT_ASSERT_EQ(test, ops->init_slot(storage, &slot), 0);
	before = generic->accesses;
	KUNIT_EXPECT_EQ(test, ops->set_cookie(storage, &slot, &bad), -EINVAL);
	KUNIT_EXPECT_EQ(test, generic->accesses, before);
	ops->mask(storage, &slot);
	generic_expect(test, &slot, true, GENERIC_PASID, &none, true);
	before = generic->accesses;
	KUNIT_EXPECT_EQ(test, ops->set_cookie(storage, &slot, &next), 0);
	KUNIT_EXPECT_EQ(test, generic->accesses, before);
	ops->mask(storage, &slot);
	generic_expect(test, &slot, true, next.value, &none, true);

	if (!row->layout.pasid_enable) {
		KUNIT_EXPECT_EQ(test, ops->set_cookie(storage, &slot, NULL), -EINVAL);
		return;
	}
	KUNIT_EXPECT_EQ(test, ops->set_cookie(storage, &slot, NULL), 0);
	ops->unmask(storage, &slot);
	generic_expect(test, &slot, false, 0, &none, false);
}

/* --- Commands ----------------------------------------------------------------- */

/**
 * struct generic_queue - A queue of commands
 * @cmd:	The last command
 * @submit_ret:	What submit() returns
 * @ret:	What complete() returns
 * @submitted:	How many commands were submitted
 * @completed:	How many were waited for
 * @index:	The slot of the last one of these
 */
struct generic_queue {
	struct ims_cmd	cmd;
	int		submit_ret;
	int		ret;
	unsigned int	submitted;
	unsigned int	completed;
	unsigned int	index;
};

static int generic_submit(void *priv, struct ims_cmd *cmd)
{
	struct generic_queue *queue = priv;

	queue->submitted++;
	cmd->token = queue->submitted;
	queue->cmd = *cmd;
	return queue->submit_ret;
}

static int generic_complete(void *priv, struct ims_cmd *cmd)
{
	struct generic_queue *queue = priv;

	queue->completed++;
	queue->index = cmd->index;
	return queue->ret;
}

static int generic_cmd_set_cookie(void *priv, unsigned int index,
				  const union msi_instance_cookie *cookie)
{
	return !cookie || cookie->value == index ? 0 : -EDOM;
}

static const struct ims_cmd_ops generic_cmd_ops = {
	.submit		= generic_submit,
	.complete	= generic_complete,
};

static const struct ims_cmd_ops generic_cookie_ops = {
	.submit		= generic_submit,
	.complete	= generic_complete,
	.set_cookie	= generic_cmd_set_cookie,
};

/* As the core does it if there is room for one command */
static int generic_sync(struct msi_slot *slot, unsigned int what)
{
	const struct msi_storage_ops *ops = slot->storage->ops;
	int ret = ops->sync(slot->storage, slot, what);

	return ret || !ops->complete ? ret : ops->complete(slot->storage, slot);
}

static void generic_commands(struct kunit *test)
{
	struct generic_device *gd = generic;
	struct generic_queue queue = { };
	const struct ims_cmd_desc desc = {
		.nr_slots = GENERIC_NR, .ops = &generic_cmd_ops, .priv = &queue,
	};
	struct msi_slot slot = {
		.index = 3, .msg = generic_second_msg, .masked = true, .cookie.value = 0x5a,
		.has_cookie = true,
	};
	struct msi_dev_store *store;
	int id;

	id = pci_create_ims_cmd_store(gd->pdev, &desc);
	KUNIT_ASSERT_GT(test, id, 0);
	msi_test_log_reset(gd->mt);
	store = msi_test_store(gd->mt, id);
	slot.storage = &store->storage;
	KUNIT_EXPECT_TRUE(test, store->tmpl->flags & MSI_STORAGE_DRIVER_RESTORE);

	KUNIT_EXPECT_EQ(test, generic_sync(&slot, MSI_SYNC_MSG), 0);
	KUNIT_EXPECT_EQ(test, queue.cmd.index, 3);
	KUNIT_EXPECT_EQ(test, queue.cmd.what, IMS_CMD_MSG);
	KUNIT_EXPECT_EQ(test, queue.cmd.address, 0x34fee02000ULL);
	KUNIT_EXPECT_EQ(test, queue.cmd.data, 0x4063);
	KUNIT_EXPECT_TRUE(test, queue.cmd.masked);
	KUNIT_EXPECT_TRUE(test, queue.cmd.has_cookie);
	KUNIT_EXPECT_EQ(test, queue.cmd.cookie.value, 0x5a);
	KUNIT_EXPECT_EQ(test, queue.completed, 1);

	slot.masked = false;
	queue.ret = -ETIMEDOUT;
	KUNIT_EXPECT_EQ(test, generic_sync(&slot, MSI_SYNC_MASK), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, queue.cmd.what, IMS_CMD_MASK);
	KUNIT_EXPECT_FALSE(test, queue.cmd.masked);
	KUNIT_EXPECT_EQ(test, queue.completed, 2);

	/* There is nothing to wait for */
	queue.submit_ret = -EAGAIN;
	KUNIT_EXPECT_EQ(test, generic_sync(&slot, MSI_SYNC_MASK), -EAGAIN);
	KUNIT_EXPECT_EQ(test, queue.submitted, 3);
	KUNIT_EXPECT_EQ(test, queue.completed, 2);

	KUNIT_EXPECT_NULL(test, slot.storage->ops->set_cookie);
}

/* Several at once, and each is completed with the command that it was submitted with */
static void generic_depth(struct kunit *test)
{
	static const struct {
		unsigned int	depth;
		unsigned int	want;
	} rows[] = { { 0, 1 }, { 1, 1 }, { 3, 3 }, { GENERIC_NR, GENERIC_NR }, { 77, GENERIC_NR } };
	union msi_instance_cookie cookie = { .value = 2 };
	struct generic_device *gd = generic;
	struct generic_queue queue = { };
	struct ims_cmd_desc desc = {
		.nr_slots = GENERIC_NR, .ops = &generic_cookie_ops, .priv = &queue,
	};
	struct msi_storage *storage;
	struct msi_slot slot = { };
	unsigned int i, n, round, completed = 0;
	int id;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		desc.depth = rows[i].depth;
		id = pci_create_ims_cmd_store(gd->pdev, &desc);
		KUNIT_ASSERT_GT(test, id, 0);
		storage = &msi_test_store(gd->mt, id)->storage;
		slot.storage = storage;
		for (round = 0; round < 2; round++) {
			for (n = 0; n < rows[i].want; n++) {
				slot.index = n;
				KUNIT_EXPECT_EQ(test, storage->ops->sync(storage, &slot,
									 MSI_SYNC_MSG), 0);
			}
			KUNIT_EXPECT_EQ(test, !storage->ops->complete, rows[i].want == 1);
			if (!storage->ops->complete) {
				KUNIT_EXPECT_EQ(test, queue.completed, ++completed);
				continue;
			}
			KUNIT_EXPECT_EQ(test, storage->ops->sync(storage, &slot, MSI_SYNC_MSG),
					-EAGAIN);
			for (n = 0; n < rows[i].want; n++) {
				KUNIT_EXPECT_EQ(test, storage->ops->complete(storage, &slot), 0);
				KUNIT_EXPECT_EQ(test, queue.index, n);
				KUNIT_EXPECT_EQ(test, queue.completed, ++completed);
			}
		}
		slot.index = 2;
		KUNIT_EXPECT_EQ(test, storage->ops->set_cookie(storage, &slot, &cookie), 0);
		KUNIT_EXPECT_EQ(test, storage->ops->set_cookie(storage, &slot, NULL), 0);
		slot.index = 1;
		KUNIT_EXPECT_EQ(test, storage->ops->set_cookie(storage, &slot, &cookie), -EDOM);
		pci_remove_ims_store(gd->pdev, id);
		msi_test_log_reset(gd->mt);
	}
}

/* --- What is refused ---------------------------------------------------------- */

/* A layout, and what the kernel log has to say about it, NULL if it is accepted */
struct generic_refused {
	const char	*says;
	u16		stride, lo, hi, data, ctrl;
	u8		flags, shift;
	u32		mask, enable, live, w1c, pending;
};

#define WIDE	IMS_TABLE_ADDR_64
#define PASID	IMS_TABLE_PASID

static const struct generic_refused generic_layouts[] = {
	{ NULL, 16, 0, 4, 8, 12, 0, 0, BIT(31) },
	{ NULL, 16, 12, 8, 4, 0, 0, 0, BIT(0) },
	{ NULL, 16, 8, 0, 4, 0, WIDE, 0, BIT(0) },
	{ NULL, 16, 0, 4, 8, 12, PASID, 12, BIT(0) },
	{ NULL, 16, 0, 4, 8, 12, PASID, 11, BIT(31), BIT(10) },
	{ "it has flags which do not exist", 16, 0, 4, 8, 12, BIT(7), 0, 1 },
	{ "the stride is not a multiple", 0, 0, 4, 8, 12, 0, 0, 1 },
	{ "the stride is not a multiple", 18, 0, 4, 8, 12, 0, 0, 1 },
	{ "the stride is not a multiple", 20, 0, 0, 8, 12, WIDE, 0, 1 },
	{ "the address is not aligned or not inside", 16, 2, 8, 12, 4, 0, 0, 1 },
	{ "the address is not aligned or not inside", 16, 16, 0, 4, 8, 0, 0, 1 },
	{ "the address is not aligned or not inside", 16, 4, 0, 12, 0, WIDE, 0, 1 },
	{ "an address of 64 bits has a second field", 16, 0, 4, 8, 12, WIDE, 0, 1 },
	{ "the high address is not aligned or not inside", 16, 0, 6, 8, 12, 0, 0, 1 },
	{ "the high address is not aligned or not inside", 16, 0, 16, 8, 12, 0, 0, 1 },
	{ "the data is not aligned or not inside", 16, 0, 4, 9, 12, 0, 0, 1 },
	{ "the data is not aligned or not inside", 16, 0, 4, 16, 12, 0, 0, 1 },
	{ "the control word is not aligned or not inside", 16, 0, 4, 8, 13, 0, 0, 1 },
	{ "the control word is not aligned or not inside", 16, 0, 4, 8, 16, 0, 0, 1 },
	{ "fields overlap", 16, 0, 0, 8, 12, 0, 0, 1 },
	{ "fields overlap", 16, 0, 4, 0, 12, 0, 0, 1 },
	{ "fields overlap", 16, 0, 4, 4, 12, 0, 0, 1 },
	{ "fields overlap", 16, 0, 4, 8, 0, 0, 0, 1 },
	{ "fields overlap", 16, 0, 4, 8, 4, 0, 0, 1 },
	{ "fields overlap", 16, 0, 4, 8, 8, 0, 0, 1 },
	{ "fields overlap", 16, 0, 0, 4, 12, WIDE, 0, 1 },
	{ "fields overlap", 16, 8, 0, 0, 12, WIDE, 0, 1 },
	{ "the mask is not one bit", 16, 0, 4, 8, 12, 0, 0, 0 },
	{ "the mask is not one bit", 16, 0, 4, 8, 12, 0, 0, 3 },
	{ "it says where the PASID is, and has none", 16, 0, 4, 8, 12, 0, 1, 1 },
	{ "it says where the PASID is, and has none", 16, 0, 4, 8, 12, 0, 0, 1, 2 },
	{ "the PASID is outside of the control word", 16, 0, 4, 8, 12, PASID, 13, 1 },
	{ "more than one bit enables the PASID", 16, 0, 4, 8, 12, PASID, 12, 1, 6 },
	{ "fields of the control word overlap", 16, 0, 4, 8, 12, PASID, 12, 1, 1 },
	{ "fields of the control word overlap", 16, 0, 4, 8, 12, PASID, 0, 1 },
	{ "fields of the control word overlap", 16, 0, 4, 8, 12, PASID, 0, BIT(20), BIT(19) },
	{ "fields of the control word overlap", 16, 0, 4, 8, 12, 0, 0, 1, 0, 1 },
	{ "fields of the control word overlap", 16, 0, 4, 8, 12, 0, 0, 1, 0, 0, 3 },
	{ "fields of the control word overlap", 16, 0, 4, 8, 12, 0, 0, 1, 0, 6, 4 },
	{ "fields of the control word overlap", 16, 0, 4, 8, 12, PASID, 12, 1, 2, 2 },
	{ "fields of the control word overlap", 16, 0, 4, 8, 12, PASID, 12, 1, 0, 0, BIT(12) },
	{ "a pending bit is not one", 16, 0, 4, 8, 12, 0, 0, 1, 0, 0, 0, 2 },
	{ "a pending bit is not one", 16, 0, 4, 8, 12, 0, 0, 1, 0, 2, 4, 9 },
};

static void generic_expect_refused(struct kunit *test, int ret, const char *says)
{
	struct msi_test *mt = generic->mt;

	if (!says) {
		KUNIT_EXPECT_GT(test, ret, 0);
	} else {
		KUNIT_EXPECT_EQ_MSG(test, ret, -EINVAL, "%s", says);
		KUNIT_EXPECT_TRUE_MSG(test, msi_test_printed(mt, says), "%s", says);
	}
	if (ret > 0)
		pci_remove_ims_store(generic->pdev, ret);
	msi_test_log_reset(mt);
}

static void generic_refuse_layout(struct kunit *test)
{
	struct generic_device *gd = generic;
	struct ims_table_layout layout;
	const struct ims_table_desc table = {
		.base = gd->regs, .length = GENERIC_SIZE, .nr_slots = 1, .layout = &layout,
	};
	const struct ims_mem_desc mem = {
		.notify = gd->regs, .nr_slots = 1, .layout = &layout,
	};
	const struct ims_mem_desc base = {
		.base = gd->slots, .length = sizeof(gd->slots),
		.notify = gd->regs, .nr_slots = 1, .layout = &layout,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(generic_layouts); i++) {
		const struct generic_refused *row = &generic_layouts[i];

		layout = (struct ims_table_layout) {
			.stride = row->stride, .addr_lo = row->lo, .addr_hi = row->hi,
			.data = row->data, .ctrl = row->ctrl, .flags = row->flags,
			.pasid_shift = row->shift, .mask = row->mask, .pasid_enable = row->enable,
			.live = row->live, .w1c = row->w1c, .pending = row->pending,
		};
		generic_expect_refused(test, pci_create_ims_table_store(gd->pdev, &table),
				       row->says);
		if (row->live || row->w1c)
			continue;
		generic_expect_refused(test, pci_create_ims_mem_store(gd->pdev, &base),
				       row->says);
		if (!(row->flags & PASID))
			generic_expect_refused(test, pci_create_ims_mem_store(gd->pdev, &mem),
					       row->says);
	}
}

static void generic_refuse_desc(struct kunit *test)
{
	static const struct ims_table_layout narrow = { 16, 0, 4, 8, 12, 0, 0, 1, 0 };
	static const struct ims_table_layout wide = { 16, 0, 0, 8, 12, WIDE, 0, 1, 0 };
	static const struct ims_table_layout pasid = { 16, 0, 4, 8, 12, PASID, 12, 1, 0 };
	static const struct ims_table_layout live = { 16, 0, 4, 8, 12, 0, 0, 1, 0, 2 };
	static const struct ims_table_layout w1c = { 16, 0, 4, 8, 12, 0, 0, 1, 0, 0, 2 };
	u32 *slots = generic->slots;
	static const struct ims_cmd_ops no_submit = { .complete = generic_complete };
	static const struct ims_cmd_ops no_complete = { .submit = generic_submit };
	struct pci_dev *pdev = generic->pdev;
	void __iomem *regs = generic->regs;

#define REFUSED(_kind, _says, ...)						\
	generic_expect_refused(test, pci_create_ims_##_kind##_store(pdev,	\
			&(const struct ims_##_kind##_desc) { __VA_ARGS__ }), _says)

	generic_expect_refused(test, pci_create_ims_table_store(pdev, NULL),
			       "there is no description");
	REFUSED(table, "it has no mapping", .nr_slots = 1, .layout = &narrow);
	REFUSED(table, "it has no slots", .base = regs, .layout = &narrow);
	REFUSED(table, "it has no layout", .base = regs, .nr_slots = 1);
	REFUSED(table, "the mapping is not aligned", .base = regs + 2, .nr_slots = 1,
		.layout = &narrow);
	REFUSED(table, "the mapping is not aligned", .base = regs + 4, .nr_slots = 1,
		.layout = &wide);
	REFUSED(table, "the slots exceed the mapping", .base = regs, .nr_slots = 1,
		.layout = &narrow);
	REFUSED(table, "the slots exceed the mapping", .base = regs, .length = 31, .nr_slots = 2,
		.layout = &narrow);
	REFUSED(table, "the slots exceed the mapping", .base = regs, .length = 31,
		.nr_slots = BIT(28) + 1, .layout = &narrow);
	REFUSED(table, NULL, .base = regs + 4, .length = 32, .nr_slots = 2, .layout = &narrow);

	generic_expect_refused(test, pci_create_ims_mem_store(pdev, NULL),
			       "there is no description");
	REFUSED(mem, "it has no register", .nr_slots = 1, .layout = &narrow);
	REFUSED(mem, "the register to notify the device is not aligned", .notify = regs + 2,
		.nr_slots = 1, .layout = &narrow);
	REFUSED(mem, "it has no slots", .notify = regs, .layout = &narrow);
	REFUSED(mem, "exceed 32 bits", .notify = regs, .nr_slots = 2, .first = U32_MAX,
		.layout = &narrow);
	REFUSED(mem, NULL, .notify = regs + 4, .nr_slots = 2, .first = U32_MAX - 1,
		.layout = &narrow);
	REFUSED(mem, "it has no layout", .notify = regs, .nr_slots = 1);
	REFUSED(mem, "the cookie cannot be a PASID", .notify = regs, .nr_slots = 1,
		.layout = &pasid);
	REFUSED(mem, NULL, .base = slots, .length = 16, .notify = regs, .nr_slots = 1,
		.layout = &pasid);
	REFUSED(mem, "the device does not change", .notify = regs, .nr_slots = 1, .layout = &live);
	REFUSED(mem, "the device does not change", .base = slots, .length = 16, .notify = regs,
		.nr_slots = 1, .layout = &w1c);
	REFUSED(mem, "it says how long the memory is", .length = 16, .notify = regs, .nr_slots = 1,
		.layout = &narrow);
	REFUSED(mem, "the memory is not aligned", .base = slots + 1, .length = 32, .notify = regs,
		.nr_slots = 1, .layout = &wide);
	REFUSED(mem, "the slots exceed the memory", .base = slots, .length = 31, .notify = regs,
		.nr_slots = 2, .layout = &narrow);

	generic_expect_refused(test, pci_create_ims_cmd_store(pdev, NULL),
			       "there is no description");
	REFUSED(cmd, "it has no slots", .ops = &generic_cmd_ops);
	REFUSED(cmd, "no way to submit a command", .nr_slots = 1);
	REFUSED(cmd, "no way to submit a command", .nr_slots = 1, .ops = &no_submit);
	REFUSED(cmd, "no way to wait for a command", .nr_slots = 1, .ops = &no_complete);

	KUNIT_EXPECT_EQ(test, pci_create_ims_table_store(NULL, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, pci_create_ims_mem_store(NULL, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, pci_create_ims_cmd_store(NULL, NULL), -EINVAL);

	/* The private data of what the core refuses is freed, but not twice */
	generic->mt->parent.ops.carries = MSI_PARENT_PCI_MSIX;
	KUNIT_EXPECT_EQ(test, pci_create_ims_table_store(pdev, &(const struct ims_table_desc) {
				.base = regs, .length = 16, .nr_slots = 1, .layout = &narrow }),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, pci_create_ims_mem_store(pdev, &(const struct ims_mem_desc) {
				.notify = regs, .nr_slots = 1, .layout = &narrow }), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, pci_create_ims_cmd_store(pdev, &(const struct ims_cmd_desc) {
				.nr_slots = 1, .ops = &generic_cmd_ops }), -EOPNOTSUPP);
}

static struct kunit_case msi_generic_cases[] = {
	KUNIT_CASE_PARAM(generic_life, generic_gen_params),
	KUNIT_CASE_PARAM(generic_volatile, generic_gen_params),
	KUNIT_CASE_PARAM(generic_unreachable, generic_gen_params),
	KUNIT_CASE_PARAM(generic_memory_disabled, generic_gen_params),
	KUNIT_CASE_PARAM(generic_all_ones, generic_gen_params),
	KUNIT_CASE_PARAM(generic_cookie, generic_gen_params),
	KUNIT_CASE_PARAM(generic_set_cookie, generic_gen_params),
	KUNIT_CASE(generic_commands),
	KUNIT_CASE(generic_depth),
	KUNIT_CASE(generic_refuse_layout),
	KUNIT_CASE(generic_refuse_desc),
	{ }
};

static struct kunit_suite msi_generic_suite = {
	.name		= "msi_generic",
	.suite_init	= generic_suite_init,
	.suite_exit	= msi_test_suite_exit,
	.init		= generic_init,
	.exit		= generic_exit,
	.test_cases	= msi_generic_cases,
};

kunit_test_suite(msi_generic_suite);
