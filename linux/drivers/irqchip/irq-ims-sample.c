// SPDX-License-Identifier: GPL-2.0
/*
 * Example of an Interrupt Message Store
 *
 * This is what has to be written for a device that keeps its messages in a way
 * that irq-ims-generic does not know. The example is explained in
 * Documentation/core-api/msi-ims.rst, which includes the parts between the marks.
 *
 * The device has an array of slots in MMIO space. A slot sends its message on
 * behalf of a process address space, so that it contains a PASID.
 */
#include <linux/bitfield.h>
#include <linux/io.h>
#include <linux/irqchip/irq-ims-sample.h>
#include <linux/irqchip/msi-storage.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/pci.h>

/* [begin: slot] */
#define SAMPLE_SLOT_SIZE	16
#define SAMPLE_ADDR_LO		0x0
#define SAMPLE_ADDR_HI		0x4
#define SAMPLE_DATA		0x8
#define SAMPLE_CTRL		0xc
#define   SAMPLE_CTRL_MASK	BIT(0)
#define   SAMPLE_CTRL_PASID_EN	BIT(3)
#define   SAMPLE_CTRL_PASID	GENMASK(31, 12)
/* [end: slot] */

/* [begin: mask] */
/*
 * The core writes the slots again when the device is back. While the store is suspended it
 * still invokes init_slot(), free_slot() and set_cookie(), and free_slot() when the device
 * was removed.
 */
static bool sample_reachable(struct msi_storage *storage)
{
	struct pci_dev *pdev = to_pci_dev(storage->dev);

	return pdev->current_state == PCI_D0 && !msi_storage_is_suspended(storage) &&
	       !pci_dev_is_disconnected(pdev);
}

static void sample_write_ctrl(struct msi_storage *storage, struct msi_slot *slot, u32 ctrl)
{
	slot->ctrl = ctrl;
	if (!sample_reachable(storage))
		return;

	writel(ctrl, slot->iobase + SAMPLE_CTRL);
	/* The change has to be in the device when the op returns */
	readl(slot->iobase + SAMPLE_CTRL);
}

static void sample_mask(struct msi_storage *storage, struct msi_slot *slot)
{
	sample_write_ctrl(storage, slot, slot->ctrl | SAMPLE_CTRL_MASK);
}

static void sample_unmask(struct msi_storage *storage, struct msi_slot *slot)
{
	sample_write_ctrl(storage, slot, slot->ctrl & ~SAMPLE_CTRL_MASK);
}

static bool sample_is_masked(struct msi_storage *storage, struct msi_slot *slot)
{
	u32 ctrl = slot->ctrl;

	if (sample_reachable(storage))
		ctrl = readl(slot->iobase + SAMPLE_CTRL);
	return ctrl & SAMPLE_CTRL_MASK;
}

/* [end: mask] */

/* [begin: write_msg] */
static void sample_write_msg(struct msi_storage *storage, struct msi_slot *slot,
			     const struct msi_msg *msg)
{
	u32 ctrl = slot->ctrl;

	if (!sample_reachable(storage))
		return;

	/* Half of a message is none. Does nothing to a slot that is masked */
	sample_mask(storage, slot);
	writel(msg->address_lo, slot->iobase + SAMPLE_ADDR_LO);
	writel(msg->address_hi, slot->iobase + SAMPLE_ADDR_HI);
	writel(msg->data, slot->iobase + SAMPLE_DATA);
	sample_write_ctrl(storage, slot, ctrl);
}

/* [end: write_msg] */

/* [begin: init_slot] */
/* The device is not accessed: mask() and unmask() write what is in ctrl */
static int sample_set_cookie(struct msi_storage *storage, struct msi_slot *slot,
			     const union msi_instance_cookie *cookie)
{
	u32 ctrl = slot->ctrl & SAMPLE_CTRL_MASK;

	if (cookie) {
		if (cookie->value > FIELD_MAX(SAMPLE_CTRL_PASID))
			return -EINVAL;
		ctrl |= SAMPLE_CTRL_PASID_EN | FIELD_PREP(SAMPLE_CTRL_PASID, cookie->value);
	}
	slot->ctrl = ctrl;
	return 0;
}

static int sample_init_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	void __iomem *base = (void __iomem __force *)storage->priv;
	int ret;

	slot->iobase = base + (size_t)slot->index * SAMPLE_SLOT_SIZE;
	slot->ctrl = SAMPLE_CTRL_MASK;
	ret = sample_set_cookie(storage, slot, slot->has_cookie ? &slot->cookie : NULL);
	if (!ret)
		sample_mask(storage, slot);
	return ret;
}

static void sample_free_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	/* The core has masked the slot and cleared the message */
	sample_write_ctrl(storage, slot, SAMPLE_CTRL_MASK);
}

/* [end: init_slot] */

/* [begin: template] */
static const struct msi_storage_ops sample_ops = {
	.init_slot	= sample_init_slot,
	.free_slot	= sample_free_slot,
	.set_cookie	= sample_set_cookie,
	.write_msg	= sample_write_msg,
	.mask		= sample_mask,
	.unmask		= sample_unmask,
	.is_masked	= sample_is_masked,
};

static const struct msi_storage_template sample_template = {
	.name		= "IMS-SAMPLE",
	.mode		= "ims",
	.bus_token	= DOMAIN_BUS_PCI_DEVICE_IMS,
	.requires	= MSI_PARENT_PCI_IMS,
	.ops		= &sample_ops,
	.owner		= THIS_MODULE,
};

/* [end: template] */

/* [begin: create] */
/**
 * pci_create_ims_sample_store - Create the Interrupt Message Store of the example
 * @pdev:	The PCI device
 * @base:	Its slots, mapped until the store is removed
 * @nr_slots:	How many they are
 *
 * The cookie of an interrupt is the PASID that the device sends the message with. Without
 * a cookie it is sent without a PASID. One of more than 20 bits is refused with -EINVAL.
 *
 * Context: Task context, can sleep.
 *
 * Return: The id of the store, which is greater than 0, or an error of
 * pci_create_ims_store(). -EINVAL if @base is %NULL
 */
int pci_create_ims_sample_store(struct pci_dev *pdev, void __iomem *base,
				unsigned int nr_slots)
{
	if (!base)
		return -EINVAL;

	/* The private data of the store is all that this device needs: the address */
	return pci_create_ims_store(pdev, &sample_template, nr_slots,
				    (void __force *)base);
}
EXPORT_SYMBOL_GPL(pci_create_ims_sample_store);

MODULE_IMPORT_NS(MSI_STORAGE);
/* [end: create] */

MODULE_DESCRIPTION("Example of an Interrupt Message Store");
MODULE_LICENSE("GPL");
