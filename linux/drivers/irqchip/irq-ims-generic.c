// SPDX-License-Identifier: GPL-2.0
/*
 * Ready made Interrupt Message Stores for PCI devices
 *
 * Words:
 *
 *   table	slots in MMIO space, much like the MSI-X table but without the limit
 *		of 2048 entries and with a layout that the device defines
 *   memory	slots in memory, which the device reads by DMA when it is notified
 *   command	slots inside of the device, which are changed by commands
 *   field	a part of a slot in a table or in memory: the address, in one or two
 *		pieces, the data, and the control word with the mask bit
 *
 * Tables and slots in memory are direct stores, which can be written with
 * interrupts disabled. Commands make a deferred store.
 *
 * Invariants of the direct stores:
 *
 *   - The message in a slot changes only while the device knows that the slot is
 *     masked.
 *   - msi_slot::ctrl is the control word of the slot between operations. Each
 *     operation that changes it writes the whole word, and thereby restores what the
 *     device has lost.
 *   - Each operation that masks a slot or writes a message ends in a read from the
 *     device, so the change has reached the device when the operation returns.
 *   - The device is not accessed while it is not in D0. Slots in memory change
 *     nevertheless. The core writes all slots again when the device is back.
 *   - Neither the device nor slots in memory are accessed while the store is suspended.
 *     The core invokes no ops then but for init_slot(), free_slot() and set_cookie(). When
 *     the device was removed it invokes free_slot() only.
 *
 * The interrupt descriptor lock serializes the ops of one slot. Different slots share
 * nothing that is written but the notification register. The order of notifications
 * does not matter, as each one is about one slot, and the read after it cannot pass any.
 */
#include <linux/io.h>
#include <linux/irqchip/irq-ims-generic.h>
#include <linux/irqchip/msi-storage.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>

#define IMS_NAME		"PCI-IMS"

#define IMS_TABLE_FLAGS		(IMS_TABLE_ADDR_64 | IMS_TABLE_MASK_CLEAR |	\
				 IMS_TABLE_DATA_FIRST | IMS_TABLE_PASID)

typedef void (*ims_put_fn)(const struct ims_table_layout *layout, const struct msi_slot *slot,
			   const struct msi_msg *msg);

/**
 * struct ims_access - How the fields of a message get into a slot
 * @addr_32:	Write the address in two pieces
 * @addr_64:	Write the address in one piece, NULL if this CPU cannot do that
 * @data:	Write the data
 */
struct ims_access {
	ims_put_fn	addr_32;
	ims_put_fn	addr_64;
	ims_put_fn	data;
};

/**
 * struct ims_format - A layout in the form in which the ops use it
 * @layout:	The layout
 * @masked:	The value of the mask bit that masks a slot
 * @put:	The steps in which a message is written
 */
struct ims_format {
	struct ims_table_layout	layout;
	u32			masked;
	ims_put_fn		put[2];
};

static u32 ims_ctrl_mask(const struct ims_format *format, u32 ctrl)
{
	return (ctrl & ~format->layout.mask) | format->masked;
}

static u32 ims_ctrl_unmask(const struct ims_format *format, u32 ctrl)
{
	return (ctrl | format->layout.mask) ^ format->masked;
}

static bool ims_ctrl_masked(const struct ims_format *format, u32 ctrl)
{
	return (ctrl & format->layout.mask) == format->masked;
}

/* An access could hang or fail otherwise, PCIe r6.0, sec 5.3.1.4.1 */
static bool ims_reachable(const struct msi_storage *storage)
{
	return to_pci_dev(storage->dev)->current_state == PCI_D0;
}

static bool ims_overlap(u16 a, u16 a_size, u16 b, u16 b_size)
{
	return a < b + b_size && b < a + a_size;
}

static bool ims_fields_overlap(const struct ims_table_layout *layout)
{
	const bool addr_64 = layout->flags & IMS_TABLE_ADDR_64;
	const struct {
		u16	offset;
		u16	size;
	} fields[] = {
		{ layout->ctrl, sizeof(u32) },
		{ layout->data, sizeof(u32) },
		{ layout->addr_lo, addr_64 ? sizeof(u64) : sizeof(u32) },
		{ layout->addr_hi, sizeof(u32) },
	};
	const unsigned int count = addr_64 ? ARRAY_SIZE(fields) - 1 : ARRAY_SIZE(fields);
	unsigned int i, j;

	for (i = 1; i < count; i++) {
		for (j = 0; j < i; j++) {
			if (ims_overlap(fields[i].offset, fields[i].size,
					fields[j].offset, fields[j].size))
				return true;
		}
	}
	return false;
}

static bool ims_field_valid(const struct ims_table_layout *layout, u16 offset, u16 size)
{
	return IS_ALIGNED(offset, size) && offset + size <= layout->stride;
}

/* To which the slots have to be aligned, in bytes */
static unsigned int ims_alignment(const struct ims_table_layout *layout)
{
	return layout->flags & IMS_TABLE_ADDR_64 ? sizeof(u64) : sizeof(u32);
}

static u32 ims_pasid_mask(const struct ims_table_layout *layout)
{
	return GENMASK(IMS_PASID_BITS - 1, 0) << layout->pasid_shift;
}

/* Without a cookie the slot has no PASID, if its layout permits that */
static int ims_ctrl_set_pasid(const struct ims_table_layout *layout, struct msi_slot *slot,
			      const union msi_instance_cookie *cookie)
{
	u32 ctrl = slot->ctrl & ~(ims_pasid_mask(layout) | layout->pasid_enable);

	if (cookie ? cookie->value >> IMS_PASID_BITS : !layout->pasid_enable)
		return -EINVAL;

	if (cookie)
		ctrl |= cookie->value << layout->pasid_shift | layout->pasid_enable;
	slot->ctrl = ctrl;
	return 0;
}

static const union msi_instance_cookie *ims_cookie(const struct msi_slot *slot)
{
	return slot->has_cookie ? &slot->cookie : NULL;
}

/* What is wrong with the control word, NULL if nothing is */
static const char *ims_ctrl_error(const struct ims_table_layout *layout)
{
	u32 fields[] = { layout->mask, 0, 0, layout->live, layout->w1c }, used = 0;
	unsigned int i;

	if (hweight32(layout->mask) != 1)
		return "the mask is not one bit";

	if (layout->pending & ~(layout->live | layout->w1c))
		return "a pending bit is not one that the device changes";

	if (!(layout->flags & IMS_TABLE_PASID)) {
		if (layout->pasid_shift || layout->pasid_enable)
			return "it says where the PASID is, and has none";
	} else {
		if (layout->pasid_shift > 32 - IMS_PASID_BITS)
			return "the PASID is outside of the control word";
		if (hweight32(layout->pasid_enable) > 1)
			return "more than one bit enables the PASID";
		fields[1] = layout->pasid_enable;
		fields[2] = ims_pasid_mask(layout);
	}

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i] & used)
			return "fields of the control word overlap";
		used |= fields[i];
	}
	return NULL;
}

/* What is wrong with a layout, NULL if nothing is */
static const char *ims_layout_error(const struct ims_table_layout *layout)
{
	const unsigned int alignment = ims_alignment(layout);

	if (layout->flags & ~IMS_TABLE_FLAGS)
		return "it has flags which do not exist";
	if (!layout->stride || !IS_ALIGNED(layout->stride, alignment))
		return "the stride is not a multiple of the alignment of a slot";
	if (!ims_field_valid(layout, layout->addr_lo, alignment))
		return "the address is not aligned or not inside of the slot";
	if (layout->flags & IMS_TABLE_ADDR_64) {
		if (layout->addr_hi)
			return "an address of 64 bits has a second field";
	} else if (!ims_field_valid(layout, layout->addr_hi, sizeof(u32))) {
		return "the high address is not aligned or not inside of the slot";
	}
	if (!ims_field_valid(layout, layout->data, sizeof(u32)))
		return "the data is not aligned or not inside of the slot";
	if (!ims_field_valid(layout, layout->ctrl, sizeof(u32)))
		return "the control word is not aligned or not inside of the slot";
	if (ims_fields_overlap(layout))
		return "fields overlap";
	return ims_ctrl_error(layout);
}

static bool ims_slots_exceed(unsigned int nr_slots, const struct ims_table_layout *layout,
			     size_t length)
{
	return (u64)nr_slots * layout->stride > length;
}

static int ims_refused(struct pci_dev *pdev, const char *what, const char *error)
{
	pci_err(pdev, IMS_NAME ": Invalid %s: %s\n", what, error);
	return -EINVAL;
}

static int ims_format_init(struct ims_format *format, struct pci_dev *pdev,
			   const struct ims_table_layout *layout, const struct ims_access *access)
{
	const bool addr_64 = layout->flags & IMS_TABLE_ADDR_64;
	const bool data_first = layout->flags & IMS_TABLE_DATA_FIRST;

	if (addr_64 && !access->addr_64) {
		pci_err(pdev, IMS_NAME ": This CPU cannot write an address of 64 bits at once\n");
		return -EOPNOTSUPP;
	}

	format->layout = *layout;
	format->masked = layout->flags & IMS_TABLE_MASK_CLEAR ? 0 : layout->mask;
	format->put[data_first] = addr_64 ? access->addr_64 : access->addr_32;
	format->put[!data_first] = access->data;
	return 0;
}

static void ims_release(struct msi_storage *storage)
{
	kvfree(storage->priv);
}

/* Slot tables */

/**
 * struct ims_table - Private data of a slot table store
 * @base:	First slot
 * @format:	How the slots are written
 */
struct ims_table {
	void __iomem		*base;
	struct ims_format	format;
};

static void ims_table_put_addr_32(const struct ims_table_layout *layout,
				  const struct msi_slot *slot, const struct msi_msg *msg)
{
	writel(msg->address_lo, slot->iobase + layout->addr_lo);
	writel(msg->address_hi, slot->iobase + layout->addr_hi);
}

#ifdef writeq
static void ims_table_put_addr_64(const struct ims_table_layout *layout,
				  const struct msi_slot *slot, const struct msi_msg *msg)
{
	writeq((u64)msg->address_hi << 32 | msg->address_lo, slot->iobase + layout->addr_lo);
}
#else
#define ims_table_put_addr_64	NULL
#endif

static void ims_table_put_data(const struct ims_table_layout *layout,
			       const struct msi_slot *slot, const struct msi_msg *msg)
{
	writel(msg->data, slot->iobase + layout->data);
}

static const struct ims_access ims_table_access = {
	.addr_32	= ims_table_put_addr_32,
	.addr_64	= ims_table_put_addr_64,
	.data		= ims_table_put_data,
};

static u32 ims_table_read_ctrl(const struct ims_table *table, const struct msi_slot *slot)
{
	return readl(slot->iobase + table->format.layout.ctrl);
}

static void ims_table_write_ctrl(const struct ims_table *table, const struct msi_slot *slot,
				 u32 ctrl)
{
	if (table->format.layout.live)
		ctrl |= ims_table_read_ctrl(table, slot) & table->format.layout.live;
	writel(ctrl, slot->iobase + table->format.layout.ctrl);
}

/* Do not pass an event of the previous owner to the next one */
static void ims_table_clear_pending(const struct ims_table *table, const struct msi_slot *slot)
{
	const struct ims_table_layout *layout = &table->format.layout;
	u32 live = ims_table_read_ctrl(table, slot) & layout->live & ~layout->pending;

	writel(slot->ctrl | live | (layout->pending & layout->w1c), slot->iobase + layout->ctrl);
}

/* PCIe r6.0, sec 2.4.1: A read does not pass the posted writes before it */
static void ims_table_flush(const struct ims_table *table, const struct msi_slot *slot)
{
	ims_table_read_ctrl(table, slot);
}

/* Also false if the device does not respond. A VF has no such bit, PCIe r6.0, sec 9.3.4.1.3 */
static bool ims_memory_enabled(struct pci_dev *pdev)
{
	u16 cmd;

	pci_read_config_word(pdev, PCI_COMMAND, &cmd);
	return !PCI_POSSIBLE_ERROR(cmd) && (pdev->is_virtfn || cmd & PCI_COMMAND_MEMORY);
}

static int ims_table_init_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_table *table = storage->priv;
	const struct ims_table_layout *layout = &table->format.layout;
	u32 ctrl;
	int ret;

	/* What has to be preserved of the control word could not be read */
	if (msi_storage_is_suspended(storage) || !ims_reachable(storage))
		return -EIO;

	slot->iobase = table->base + (size_t)slot->index * layout->stride;
	ctrl = ims_table_read_ctrl(table, slot);
	/* Neither could it if a reset has begun meanwhile */
	if (PCI_POSSIBLE_ERROR(ctrl) && (msi_storage_is_suspended(storage) ||
					 !ims_memory_enabled(to_pci_dev(storage->dev))))
		return -EIO;

	slot->ctrl = ims_ctrl_mask(&table->format, ctrl & ~(layout->live | layout->w1c));
	if (layout->flags & IMS_TABLE_PASID) {
		ret = ims_ctrl_set_pasid(layout, slot, ims_cookie(slot));
		if (ret)
			return ret;
	}

	ims_table_write_ctrl(table, slot, slot->ctrl);
	if (layout->pending)
		ims_table_clear_pending(table, slot);
	ims_table_flush(table, slot);
	return 0;
}

static int ims_table_set_pasid(struct msi_storage *storage, struct msi_slot *slot,
			       const union msi_instance_cookie *cookie)
{
	struct ims_table *table = storage->priv;

	return ims_ctrl_set_pasid(&table->format.layout, slot, cookie);
}

/* A free slot must not contain a PASID */
static void ims_table_free_pasid_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_table *table = storage->priv;
	const struct ims_table_layout *layout = &table->format.layout;

	/* The core can have masked it while the slots were left alone */
	slot->ctrl = ims_ctrl_mask(&table->format, slot->ctrl);
	slot->ctrl &= ~(ims_pasid_mask(layout) | layout->pasid_enable);
	if (msi_storage_is_suspended(storage) ||
	    pci_dev_is_disconnected(to_pci_dev(storage->dev)) || !ims_reachable(storage))
		return;

	ims_table_write_ctrl(table, slot, slot->ctrl);
	ims_table_flush(table, slot);
}

static void ims_table_mask(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_table *table = storage->priv;

	slot->ctrl = ims_ctrl_mask(&table->format, slot->ctrl);
	if (!ims_reachable(storage))
		return;

	ims_table_write_ctrl(table, slot, slot->ctrl);
	ims_table_flush(table, slot);
}

static void ims_table_unmask(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_table *table = storage->priv;

	slot->ctrl = ims_ctrl_unmask(&table->format, slot->ctrl);
	if (ims_reachable(storage))
		ims_table_write_ctrl(table, slot, slot->ctrl);
}

static void ims_table_write_msg(struct msi_storage *storage, struct msi_slot *slot,
				const struct msi_msg *msg)
{
	struct ims_table *table = storage->priv;
	const struct ims_format *format = &table->format;
	bool unmasked = !ims_ctrl_masked(format, slot->ctrl);

	if (!ims_reachable(storage))
		return;

	/* A device could send half of the old and half of the new message */
	if (unmasked)
		ims_table_write_ctrl(table, slot, ims_ctrl_mask(format, slot->ctrl));

	format->put[0](&format->layout, slot, msg);
	format->put[1](&format->layout, slot, msg);

	if (unmasked)
		ims_table_write_ctrl(table, slot, slot->ctrl);
	ims_table_flush(table, slot);
}

static bool ims_table_is_masked(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_table *table = storage->priv;
	u32 ctrl = ~0;

	if (ims_reachable(storage))
		ctrl = ims_table_read_ctrl(table, slot);

	/* On its way back to D0 a device does not respond before its BARs are restored */
	if (PCI_POSSIBLE_ERROR(ctrl))
		ctrl = slot->ctrl;

	return ims_ctrl_masked(&table->format, ctrl);
}

static const struct msi_storage_ops ims_table_ops = {
	.init_slot	= ims_table_init_slot,
	.write_msg	= ims_table_write_msg,
	.mask		= ims_table_mask,
	.unmask		= ims_table_unmask,
	.is_masked	= ims_table_is_masked,
	.release	= ims_release,
};

static const struct msi_storage_ops ims_table_pasid_ops = {
	.init_slot	= ims_table_init_slot,
	.free_slot	= ims_table_free_pasid_slot,
	.set_cookie	= ims_table_set_pasid,
	.write_msg	= ims_table_write_msg,
	.mask		= ims_table_mask,
	.unmask		= ims_table_unmask,
	.is_masked	= ims_table_is_masked,
	.release	= ims_release,
};

#define IMS_TEMPLATE(_ops, _flags)				\
	{							\
		.name		= IMS_NAME,			\
		.mode		= "ims",			\
		.bus_token	= DOMAIN_BUS_PCI_DEVICE_IMS,	\
		.requires	= MSI_PARENT_PCI_IMS,		\
		.flags		= _flags,			\
		.ops		= _ops,				\
		.owner		= THIS_MODULE,			\
	}

static const struct msi_storage_template ims_table_template =
	IMS_TEMPLATE(&ims_table_ops, 0);

static const struct msi_storage_template ims_table_pasid_template =
	IMS_TEMPLATE(&ims_table_pasid_ops, 0);

/* What is wrong with a description, NULL if nothing is */
static const char *ims_table_error(const struct ims_table_desc *desc)
{
	if (!desc)
		return "there is no description";
	if (!desc->base)
		return "it has no mapping";
	if (!desc->nr_slots)
		return "it has no slots";
	if (!desc->layout)
		return "it has no layout";
	if (!IS_ALIGNED((unsigned long)desc->base, ims_alignment(desc->layout)))
		return "the mapping is not aligned";
	if (ims_slots_exceed(desc->nr_slots, desc->layout, desc->length))
		return "the slots exceed the mapping";
	return ims_layout_error(desc->layout);
}

/*
 * Another kernel can have left slots that send to wherever it was: the one that has
 * crashed, or which a guest has run. MSI-X is masked for that when it is enabled.
 */
static int ims_table_mask_all(struct pci_dev *pdev, const struct ims_table *table,
			      unsigned int nr_slots)
{
	const struct ims_format *format = &table->format;
	void __iomem *addr = table->base + format->layout.ctrl;
	unsigned int i, left = 0;
	u32 ctrl;

	if (pdev->current_state != PCI_D0 || !ims_memory_enabled(pdev))
		return -EIO;

	for (i = 0; i < nr_slots; i++, addr += format->layout.stride) {
		ctrl = readl(addr);
		/* Each read of a removed device can take a long time */
		if (PCI_POSSIBLE_ERROR(ctrl) && !ims_memory_enabled(pdev))
			return -EIO;
		if (!ims_ctrl_masked(format, ctrl)) {
			writel(ims_ctrl_mask(format, ctrl & ~format->layout.w1c), addr);
			left++;
		}
		cond_resched();
	}

	if (left) {
		readl(table->base + format->layout.ctrl);
		pci_info(pdev, IMS_NAME ": Masked %u slots which were left unmasked\n", left);
	}
	return 0;
}

/**
 * pci_create_ims_table_store - Create an IMS from a slot table
 * @pdev:	The PCI device that has the table
 * @desc:	Describes the table. Copied along with the layout, but the mapping
 *		has to stay until the store is removed, see pci_remove_ims_store()
 *
 * All slots are masked, each with a read of its control word and, if another kernel
 * has left it unmasked, a write. From then on slots that are not allocated are not
 * touched, so the device has to come out of reset with all slots masked.
 *
 * If the layout has %IMS_TABLE_PASID then the cookie of each interrupt is the PASID
 * that the device sends the message with, and pci_ims_store_set_cookie() changes it. The
 * driver has to check that the PASID belongs to the user of the interrupt. Without a cookie
 * the message is sent without a PASID. A PASID of more than %IMS_PASID_BITS bits, or none
 * if the layout has no bit that enables it, fails with -EINVAL. Without %IMS_TABLE_PASID
 * the cookie is ignored. An allocation fails with -EIO if @pdev is not in D0 or the store is
 * suspended.
 *
 * When the device has lost its state, then pci_restore_state() writes the slots
 * again. The driver has to invoke pci_ims_store_suspend() before the device is sent to
 * D3hot while interrupts can be masked or unmasked: The device enters D3hot before
 * &pci_dev.current_state says so.
 *
 * Context: Task context, can sleep.
 *
 * Return: The id of the store, which is greater than 0, otherwise
 *	* %-EINVAL     - @desc is invalid. The kernel log has the reason
 *	* %-EOPNOTSUPP - The layout has %IMS_TABLE_ADDR_64, and this CPU cannot write
 *	  64 bits at once, or the platform does not support IMS
 *	* %-EIO        - @pdev was removed, is not in D0, or Memory Space is not enabled
 *	* %-ENOMEM     - Out of memory
 *	* Any other error of pci_create_ims_store()
 */
int pci_create_ims_table_store(struct pci_dev *pdev, const struct ims_table_desc *desc)
{
	const struct msi_storage_template *tmpl;
	struct ims_table *table;
	const char *error;
	int ret;

	if (!pdev)
		return -EINVAL;

	error = ims_table_error(desc);
	if (error)
		return ims_refused(pdev, "slot table", error);

	table = kzalloc(sizeof(*table), GFP_KERNEL);
	if (!table)
		return -ENOMEM;

	table->base = desc->base;
	ret = ims_format_init(&table->format, pdev, desc->layout, &ims_table_access);
	if (ret)
		goto free_table;

	ret = ims_table_mask_all(pdev, table, desc->nr_slots);
	if (ret)
		goto free_table;

	tmpl = desc->layout->flags & IMS_TABLE_PASID ? &ims_table_pasid_template :
						       &ims_table_template;
	ret = pci_create_ims_store(pdev, tmpl, desc->nr_slots, table);
	if (ret < 0)
		goto free_table;
	return ret;

free_table:
	kfree(table);
	return ret;
}
EXPORT_SYMBOL_GPL(pci_create_ims_table_store);

/* Slots in memory */

/**
 * struct ims_mem - Private data of a store of slots in memory
 * @base:	Slot with index 0, NULL if cookies are the addresses
 * @notify:	Register that takes the number of a slot that was changed
 * @first:	Number of the slot with index 0
 * @format:	How the slots are written
 */
struct ims_mem {
	void			*base;
	void __iomem		*notify;
	unsigned int		first;
	struct ims_format	format;
};

static __le32 *ims_mem_field(const struct msi_slot *slot, u16 offset)
{
	return slot->priv + offset;
}

static void ims_mem_put_addr_32(const struct ims_table_layout *layout,
				const struct msi_slot *slot, const struct msi_msg *msg)
{
	WRITE_ONCE(*ims_mem_field(slot, layout->addr_lo), cpu_to_le32(msg->address_lo));
	dma_wmb();
	WRITE_ONCE(*ims_mem_field(slot, layout->addr_hi), cpu_to_le32(msg->address_hi));
}

#ifdef CONFIG_64BIT
static void ims_mem_put_addr_64(const struct ims_table_layout *layout,
				const struct msi_slot *slot, const struct msi_msg *msg)
{
	__le64 *addr = slot->priv + layout->addr_lo;

	WRITE_ONCE(*addr, cpu_to_le64((u64)msg->address_hi << 32 | msg->address_lo));
}
#else
#define ims_mem_put_addr_64	NULL
#endif

static void ims_mem_put_data(const struct ims_table_layout *layout,
			     const struct msi_slot *slot, const struct msi_msg *msg)
{
	WRITE_ONCE(*ims_mem_field(slot, layout->data), cpu_to_le32(msg->data));
}

static const struct ims_access ims_mem_access = {
	.addr_32	= ims_mem_put_addr_32,
	.addr_64	= ims_mem_put_addr_64,
	.data		= ims_mem_put_data,
};

static u32 ims_mem_read_ctrl(const struct ims_mem *mem, const struct msi_slot *slot)
{
	return le32_to_cpu(READ_ONCE(*ims_mem_field(slot, mem->format.layout.ctrl)));
}

static void ims_mem_write_ctrl(const struct ims_mem *mem, const struct msi_slot *slot, u32 ctrl)
{
	WRITE_ONCE(*ims_mem_field(slot, mem->format.layout.ctrl), cpu_to_le32(ctrl));
}

/*
 * Make the device see what was written to the slot. writel() does not pass the
 * stores to coherent memory before it, and the read does not pass writel().
 */
static void ims_mem_notify(struct msi_storage *storage, const struct msi_slot *slot)
{
	struct ims_mem *mem = storage->priv;

	if (!ims_reachable(storage))
		return;

	writel(mem->first + slot->index, mem->notify);
	readl(mem->notify);
}

static int ims_mem_init_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_mem *mem = storage->priv;
	const struct ims_table_layout *layout = &mem->format.layout;
	void *addr = slot->cookie.ptr;
	int ret;

	if (mem->base)
		addr = mem->base + (size_t)slot->index * layout->stride;
	else if (!addr || !IS_ALIGNED((unsigned long)addr, ims_alignment(layout)))
		return -EINVAL;
	if (msi_storage_is_suspended(storage))
		return -EIO;

	slot->priv = addr;
	slot->ctrl = ims_ctrl_mask(&mem->format, ims_mem_read_ctrl(mem, slot));
	if (layout->flags & IMS_TABLE_PASID) {
		ret = ims_ctrl_set_pasid(layout, slot, ims_cookie(slot));
		if (ret)
			return ret;
	}

	ims_mem_write_ctrl(mem, slot, slot->ctrl);
	ims_mem_notify(storage, slot);
	return 0;
}

static int ims_mem_set_pasid(struct msi_storage *storage, struct msi_slot *slot,
			     const union msi_instance_cookie *cookie)
{
	struct ims_mem *mem = storage->priv;

	return ims_ctrl_set_pasid(&mem->format.layout, slot, cookie);
}

static void ims_mem_free_pasid_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_mem *mem = storage->priv;
	const struct ims_table_layout *layout = &mem->format.layout;

	/* The core can have masked it while the slots were left alone */
	slot->ctrl = ims_ctrl_mask(&mem->format, slot->ctrl);
	slot->ctrl &= ~(ims_pasid_mask(layout) | layout->pasid_enable);
	if (msi_storage_is_suspended(storage) || pci_dev_is_disconnected(to_pci_dev(storage->dev)))
		return;

	ims_mem_write_ctrl(mem, slot, slot->ctrl);
	ims_mem_notify(storage, slot);
}

static void ims_mem_mask(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_mem *mem = storage->priv;

	slot->ctrl = ims_ctrl_mask(&mem->format, slot->ctrl);
	ims_mem_write_ctrl(mem, slot, slot->ctrl);
	ims_mem_notify(storage, slot);
}

static void ims_mem_unmask(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_mem *mem = storage->priv;

	slot->ctrl = ims_ctrl_unmask(&mem->format, slot->ctrl);
	ims_mem_write_ctrl(mem, slot, slot->ctrl);
	ims_mem_notify(storage, slot);
}

static void ims_mem_write_msg(struct msi_storage *storage, struct msi_slot *slot,
			      const struct msi_msg *msg)
{
	struct ims_mem *mem = storage->priv;
	const struct ims_format *format = &mem->format;
	bool unmasked = !ims_ctrl_masked(format, slot->ctrl);

	/*
	 * The device can read the slot at any time. It must not find a part of the
	 * new message before it has seen that the slot is masked.
	 */
	if (unmasked) {
		ims_mem_write_ctrl(mem, slot, ims_ctrl_mask(format, slot->ctrl));
		ims_mem_notify(storage, slot);
	}

	format->put[0](&format->layout, slot, msg);
	dma_wmb();
	format->put[1](&format->layout, slot, msg);

	if (unmasked) {
		dma_wmb();
		ims_mem_write_ctrl(mem, slot, slot->ctrl);
	}
	ims_mem_notify(storage, slot);
}

static bool ims_mem_is_masked(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_mem *mem = storage->priv;

	return ims_ctrl_masked(&mem->format, ims_mem_read_ctrl(mem, slot));
}

static const struct msi_storage_ops ims_mem_ops = {
	.init_slot	= ims_mem_init_slot,
	.write_msg	= ims_mem_write_msg,
	.mask		= ims_mem_mask,
	.unmask		= ims_mem_unmask,
	.is_masked	= ims_mem_is_masked,
	.release	= ims_release,
};

static const struct msi_storage_ops ims_mem_pasid_ops = {
	.init_slot	= ims_mem_init_slot,
	.free_slot	= ims_mem_free_pasid_slot,
	.set_cookie	= ims_mem_set_pasid,
	.write_msg	= ims_mem_write_msg,
	.mask		= ims_mem_mask,
	.unmask		= ims_mem_unmask,
	.is_masked	= ims_mem_is_masked,
	.release	= ims_release,
};

static const struct msi_storage_template ims_mem_template =
	IMS_TEMPLATE(&ims_mem_ops, 0);

static const struct msi_storage_template ims_mem_pasid_template =
	IMS_TEMPLATE(&ims_mem_pasid_ops, 0);

static const char *ims_mem_error(const struct ims_mem_desc *desc)
{
	if (!desc)
		return "there is no description";
	if (!desc->notify)
		return "it has no register to notify the device";
	if (!IS_ALIGNED((unsigned long)desc->notify, sizeof(u32)))
		return "the register to notify the device is not aligned";
	if (!desc->nr_slots)
		return "it has no slots";
	if (desc->first > U32_MAX - (desc->nr_slots - 1))
		return "the numbers of the slots exceed 32 bits";
	if (!desc->layout)
		return "it has no layout";
	if (desc->layout->live || desc->layout->w1c)
		return "the device does not change slots in memory";
	if (!desc->base) {
		if (desc->layout->flags & IMS_TABLE_PASID)
			return "the cookie cannot be a PASID, as it is the address of the slot";
		if (desc->length)
			return "it says how long the memory is, and not where";
		return ims_layout_error(desc->layout);
	}
	if (!IS_ALIGNED((unsigned long)desc->base, ims_alignment(desc->layout)))
		return "the memory is not aligned";
	if (ims_slots_exceed(desc->nr_slots, desc->layout, desc->length))
		return "the slots exceed the memory";
	return ims_layout_error(desc->layout);
}

/**
 * pci_create_ims_mem_store - Create an IMS from slots in memory
 * @pdev:	The PCI device that reads the slots
 * @desc:	Describes the slots. Copied along with the layout, but the register
 *		has to stay mapped until the store is removed, see
 *		pci_remove_ims_store()
 *
 * For devices that have an interrupt message in the descriptor or context of a
 * queue or a similar place. The slots are in coherent memory, see
 * Documentation/core-api/dma-api.rst, and the driver tells the device where they are. While
 * the store is suspended allocation fails with -EIO.
 *
 * With &ims_mem_desc.base the index is enough to find a slot. The cookie is the one of a
 * table then, see pci_create_ims_table_store().
 *
 * Otherwise the cookie of each interrupt is the address at which the CPU finds its slot. The
 * driver has to keep the memory until the interrupt is freed. Without a cookie or with one
 * that is not aligned like the fields of a slot the allocation fails with -EINVAL.
 *
 * The other bits of the control word have to be initialized before the interrupt is
 * allocated. The device must treat a slot as masked until the first notification. It may
 * read a slot at any time.
 *
 * Where another kernel had its slots is not known. So that a crash kernel is not hit by
 * their messages the driver has to reset the device when it is probed, before
 * pci_set_master().
 *
 * When the device has lost its state, then pci_restore_state() writes the slots
 * again. If the device has to be told first where they are, then the driver has to
 * invoke pci_ims_store_suspend() before and pci_ims_store_resume() afterwards.
 *
 * Context: Task context, can sleep.
 *
 * Return: The id of the store, which is greater than 0, otherwise
 *	* %-EINVAL     - @desc is invalid. The kernel log has the reason
 *	* %-EOPNOTSUPP - The layout has %IMS_TABLE_ADDR_64, and this CPU cannot write
 *	  64 bits at once, or the platform does not support IMS
 *	* %-ENOMEM     - Out of memory
 *	* Any other error of pci_create_ims_store()
 */
int pci_create_ims_mem_store(struct pci_dev *pdev, const struct ims_mem_desc *desc)
{
	const struct msi_storage_template *tmpl = &ims_mem_template;
	struct ims_mem *mem;
	const char *error;
	int ret;

	if (!pdev)
		return -EINVAL;

	error = ims_mem_error(desc);
	if (error)
		return ims_refused(pdev, "slots in memory", error);

	mem = kzalloc(sizeof(*mem), GFP_KERNEL);
	if (!mem)
		return -ENOMEM;

	if (desc->layout->flags & IMS_TABLE_PASID)
		tmpl = &ims_mem_pasid_template;
	mem->base = desc->base;
	mem->notify = desc->notify;
	mem->first = desc->first;
	ret = ims_format_init(&mem->format, pdev, desc->layout, &ims_mem_access);
	if (ret)
		goto free_mem;

	ret = pci_create_ims_store(pdev, tmpl, desc->nr_slots, mem);
	if (ret < 0)
		goto free_mem;
	return ret;

free_mem:
	kfree(mem);
	return ret;
}
EXPORT_SYMBOL_GPL(pci_create_ims_mem_store);

/* Slots that are changed by commands */

/**
 * struct ims_cmd_store - Private data of a store that is changed by commands
 * @ops:	How commands get to the device
 * @priv:	For @ops
 * @depth:	Size of @cmds
 * @first:	The oldest command in @cmds
 * @count:	How many were submitted and not completed
 * @cmds:	Ring of these commands
 */
struct ims_cmd_store {
	const struct ims_cmd_ops	*ops;
	void				*priv;
	unsigned int			depth;
	unsigned int			first;
	unsigned int			count;
	struct ims_cmd			cmds[];
};

static int ims_cmd_submit(struct ims_cmd_store *store, struct ims_cmd *cmd,
			  const struct msi_slot *slot, unsigned int what)
{
	BUILD_BUG_ON(IMS_CMD_MSG != MSI_SYNC_MSG || IMS_CMD_MASK != MSI_SYNC_MASK);

	cmd->index = slot->index;
	cmd->what = what;
	cmd->address = (u64)slot->msg.address_hi << 32 | slot->msg.address_lo;
	cmd->data = slot->msg.data;
	cmd->masked = slot->masked;
	cmd->has_cookie = slot->has_cookie;
	cmd->cookie = slot->cookie;
	cmd->token = 0;
	return store->ops->submit(store->priv, cmd);
}

static int ims_cmd_sync(struct msi_storage *storage, struct msi_slot *slot, unsigned int what)
{
	struct ims_cmd_store *store = storage->priv;
	unsigned int next = (store->first + store->count) % store->depth;
	int ret;

	if (store->count == store->depth)
		return -EAGAIN;

	ret = ims_cmd_submit(store, &store->cmds[next], slot, what);
	if (!ret)
		store->count++;
	return ret;
}

static int ims_cmd_complete(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_cmd_store *store = storage->priv;
	struct ims_cmd *cmd = &store->cmds[store->first];

	store->first = (store->first + 1) % store->depth;
	store->count--;
	return store->ops->complete(store->priv, cmd);
}

/* If only one command can be under way then waiting for it is no operation of its own */
static int ims_cmd_sync_one(struct msi_storage *storage, struct msi_slot *slot,
			    unsigned int what)
{
	struct ims_cmd_store *store = storage->priv;
	int ret = ims_cmd_submit(store, store->cmds, slot, what);

	return ret ?: store->ops->complete(store->priv, store->cmds);
}

static int ims_cmd_set_cookie(struct msi_storage *storage, struct msi_slot *slot,
			      const union msi_instance_cookie *cookie)
{
	struct ims_cmd_store *store = storage->priv;

	return store->ops->set_cookie(store->priv, slot->index, cookie);
}

#define IMS_CMD_OPS(_sync, _complete, _set_cookie)	\
	{						\
		.set_cookie	= _set_cookie,		\
		.sync		= _sync,		\
		.complete	= _complete,		\
		.release	= ims_release,		\
	}

static const struct msi_storage_ops ims_cmd_one_ops =
	IMS_CMD_OPS(ims_cmd_sync_one, NULL, NULL);
static const struct msi_storage_ops ims_cmd_one_cookie_ops =
	IMS_CMD_OPS(ims_cmd_sync_one, NULL, ims_cmd_set_cookie);
static const struct msi_storage_ops ims_cmd_many_ops =
	IMS_CMD_OPS(ims_cmd_sync, ims_cmd_complete, NULL);
static const struct msi_storage_ops ims_cmd_many_cookie_ops =
	IMS_CMD_OPS(ims_cmd_sync, ims_cmd_complete, ims_cmd_set_cookie);

static const struct msi_storage_template ims_cmd_one_template =
	IMS_TEMPLATE(&ims_cmd_one_ops, MSI_STORAGE_DRIVER_RESTORE);
static const struct msi_storage_template ims_cmd_one_cookie_template =
	IMS_TEMPLATE(&ims_cmd_one_cookie_ops, MSI_STORAGE_DRIVER_RESTORE);
static const struct msi_storage_template ims_cmd_many_template =
	IMS_TEMPLATE(&ims_cmd_many_ops, MSI_STORAGE_DRIVER_RESTORE);
static const struct msi_storage_template ims_cmd_many_cookie_template =
	IMS_TEMPLATE(&ims_cmd_many_cookie_ops, MSI_STORAGE_DRIVER_RESTORE);

static const char *ims_cmd_error(const struct ims_cmd_desc *desc)
{
	if (!desc)
		return "there is no description";
	if (!desc->nr_slots)
		return "it has no slots";
	if (!desc->ops || !desc->ops->submit)
		return "there is no way to submit a command";
	if (!desc->ops->complete)
		return "there is no way to wait for a command";
	return NULL;
}

/**
 * pci_create_ims_cmd_store - Create an IMS that is changed by commands
 * @pdev:	The PCI device that carries out the commands
 * @desc:	Describes the slots. Copied, but &ims_cmd_desc.ops has to stay there
 *		until the store is removed, see pci_remove_ims_store(), and has to
 *		work while it is
 *
 * For devices that keep their messages where only their firmware or a controller
 * can change them. The store is a deferred one: request_irq(), free_irq(),
 * enable_irq(), disable_irq() and others return when the device has carried out the
 * change. All of them sleep, disable_irq_nosync() as well, which therefore must
 * not be called by the interrupt's own handler. An interrupt that comes in while it
 * is disabled can be sent again for a while. Its handler does not run then, and it is
 * not lost.
 *
 * An error of a command fails the allocation of an interrupt, which tells the device
 * to mask the slot and what the message is. Later errors are logged, and the
 * command is issued again after a while.
 *
 * The cookie of an interrupt is passed to &ims_cmd_ops.submit.
 *
 * When several slots change at once, as when interrupts are allocated or freed with
 * pci_ims_store_alloc_irqs() and pci_ims_store_free_irqs(), or the store is resumed, then
 * &ims_cmd_desc.depth commands are submitted before the first one is waited for.
 *
 * Slots that are not allocated are not changed. As with slots in memory, the driver has
 * to reset the device when it is probed.
 *
 * The driver has to invoke pci_ims_store_suspend() before the device cannot carry
 * out commands any more, and pci_ims_store_resume() when it can again. The slots are
 * written again then.
 *
 * Context: Task context, can sleep.
 *
 * Return: The id of the store, which is greater than 0, otherwise
 *	* %-EINVAL     - @desc is invalid. The kernel log has the reason
 *	* %-EOPNOTSUPP - The platform changes messages along with the affinity, or does
 *	  not support IMS at all. The kernel log has the reason
 *	* %-ENOMEM     - Out of memory
 *	* Any other error of pci_create_ims_store()
 */
int pci_create_ims_cmd_store(struct pci_dev *pdev, const struct ims_cmd_desc *desc)
{
	const struct msi_storage_template *tmpl;
	struct ims_cmd_store *store;
	unsigned int depth;
	const char *error;
	int ret;

	if (!pdev)
		return -EINVAL;

	error = ims_cmd_error(desc);
	if (error)
		return ims_refused(pdev, "command store", error);

	/* At most one command is submitted for each slot */
	depth = clamp(desc->depth, 1U, min(desc->nr_slots, IMS_CMD_MAX_DEPTH));
	store = kvzalloc(struct_size(store, cmds, depth), GFP_KERNEL);
	if (!store)
		return -ENOMEM;

	store->ops = desc->ops;
	store->priv = desc->priv;
	store->depth = depth;

	if (depth == 1)
		tmpl = desc->ops->set_cookie ? &ims_cmd_one_cookie_template :
					       &ims_cmd_one_template;
	else
		tmpl = desc->ops->set_cookie ? &ims_cmd_many_cookie_template :
					       &ims_cmd_many_template;
	ret = pci_create_ims_store(pdev, tmpl, desc->nr_slots, store);
	if (ret < 0)
		kvfree(store);
	return ret;
}
EXPORT_SYMBOL_GPL(pci_create_ims_cmd_store);

MODULE_IMPORT_NS(MSI_STORAGE);
MODULE_DESCRIPTION("Ready made Interrupt Message Stores for PCI devices");
MODULE_LICENSE("GPL");
