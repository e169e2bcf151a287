// SPDX-License-Identifier: GPL-2.0
/*
 * Ready made Interrupt Message Stores for PCI devices
 *
 * The slot table is an array of slots in MMIO space, much like the MSI-X table
 * but without the limit of 2048 entries and with a layout which the device
 * defines. It is a direct store: A slot can be written with interrupts disabled.
 *
 * Invariants:
 *
 *   - The message in a slot changes only while the slot is masked.
 *   - msi_slot::ctrl is what the control word of the slot is between operations.
 *   - A change has reached the device when the operation returns, because each
 *     one which masks or writes a message ends in a read from the slot.
 *
 * The ops of one slot are serialized by its interrupt descriptor lock, and
 * different slots do not share anything.
 */
#include <linux/io.h>
#include <linux/irqchip/irq-ims-generic.h>
#include <linux/irqchip/msi-storage.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <linux/slab.h>

/**
 * struct ims_table - Private data of a slot table store
 * @base:	First slot
 * @layout:	Layout of the slots
 */
struct ims_table {
	void __iomem			*base;
	struct ims_table_layout		layout;
};

static void ims_table_write_ctrl(struct ims_table *table, struct msi_slot *slot, u32 ctrl)
{
	writel(ctrl, slot->iobase + table->layout.ctrl);
}

/* PCIe r6.0, sec 2.4.1: A read does not pass the posted writes before it */
static void ims_table_flush(struct ims_table *table, struct msi_slot *slot)
{
	readl(slot->iobase + table->layout.ctrl);
}

static int ims_table_init_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_table *table = storage->priv;
	const struct ims_table_layout *layout = &table->layout;

	slot->iobase = table->base + (size_t)slot->index * layout->stride;
	slot->ctrl = readl(slot->iobase + layout->ctrl) | layout->mask;
	ims_table_write_ctrl(table, slot, slot->ctrl);
	ims_table_flush(table, slot);
	return 0;
}

static void ims_table_mask(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_table *table = storage->priv;

	slot->ctrl |= table->layout.mask;
	ims_table_write_ctrl(table, slot, slot->ctrl);
	ims_table_flush(table, slot);
}

static void ims_table_unmask(struct msi_storage *storage, struct msi_slot *slot)
{
	struct ims_table *table = storage->priv;

	slot->ctrl &= ~table->layout.mask;
	ims_table_write_ctrl(table, slot, slot->ctrl);
}

static void ims_table_write_msg(struct msi_storage *storage, struct msi_slot *slot,
				const struct msi_msg *msg)
{
	struct ims_table *table = storage->priv;
	const struct ims_table_layout *layout = &table->layout;
	bool unmasked = !(slot->ctrl & layout->mask);

	/* A device could send half of the old and half of the new message */
	if (unmasked)
		ims_table_write_ctrl(table, slot, slot->ctrl | layout->mask);

	writel(msg->address_lo, slot->iobase + layout->addr_lo);
	writel(msg->address_hi, slot->iobase + layout->addr_hi);
	writel(msg->data, slot->iobase + layout->data);

	if (unmasked)
		ims_table_write_ctrl(table, slot, slot->ctrl);
	ims_table_flush(table, slot);
}

static void ims_table_release(struct msi_storage *storage)
{
	kfree(storage->priv);
}

static const struct msi_storage_ops ims_table_ops = {
	.init_slot	= ims_table_init_slot,
	.write_msg	= ims_table_write_msg,
	.mask		= ims_table_mask,
	.unmask		= ims_table_unmask,
	.release	= ims_table_release,
};

static const struct msi_storage_template ims_table_template = {
	.name		= "PCI-IMS",
	.mode		= "ims",
	.bus_token	= DOMAIN_BUS_PCI_DEVICE_IMS,
	.requires	= MSI_PARENT_PCI_IMS,
	.ops		= &ims_table_ops,
	.owner		= THIS_MODULE,
};

static bool ims_table_field_valid(const struct ims_table_layout *layout, u16 offset)
{
	return IS_ALIGNED(offset, sizeof(u32)) && offset + sizeof(u32) <= layout->stride;
}

static bool ims_table_layout_valid(const struct ims_table_layout *layout)
{
	const u16 fields[] = {
		layout->addr_lo, layout->addr_hi, layout->data, layout->ctrl,
	};
	unsigned int i, j;

	if (!IS_ALIGNED(layout->stride, sizeof(u32)) || hweight32(layout->mask) != 1)
		return false;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!ims_table_field_valid(layout, fields[i]))
			return false;
		for (j = 0; j < i; j++) {
			if (fields[i] == fields[j])
				return false;
		}
	}
	return true;
}

/**
 * pci_create_ims_table_store - Create an IMS from a slot table
 * @pdev:	The PCI device which has the table
 * @desc:	Describes the table. Copied, but the mapping has to stay until the
 *		store is removed, see pci_create_ims_store()
 *
 * The slots which are not allocated are not touched, so the device has to come
 * out of reset with all slots masked.
 *
 * Context: Task context, can sleep.
 *
 * Return: The id of the store, which is greater than 0. -EINVAL if the
 * description is invalid, otherwise the errors of pci_create_ims_store().
 */
int pci_create_ims_table_store(struct pci_dev *pdev, const struct ims_table_desc *desc)
{
	struct ims_table *table;
	int ret;

	if (!pdev || !desc || !desc->base || !desc->nr_slots || !desc->layout)
		return -EINVAL;

	if (!IS_ALIGNED((unsigned long)desc->base, sizeof(u32)) ||
	    !ims_table_layout_valid(desc->layout)) {
		pci_err(pdev, "%s: Invalid slot table layout\n", ims_table_template.name);
		return -EINVAL;
	}

	table = kzalloc(sizeof(*table), GFP_KERNEL);
	if (!table)
		return -ENOMEM;

	table->base = desc->base;
	table->layout = *desc->layout;

	ret = pci_create_ims_store(pdev, &ims_table_template, desc->nr_slots, table);
	if (ret < 0)
		kfree(table);
	return ret;
}
EXPORT_SYMBOL_GPL(pci_create_ims_table_store);

MODULE_DESCRIPTION("Ready made Interrupt Message Stores for PCI devices");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(MSI_STORAGE);
