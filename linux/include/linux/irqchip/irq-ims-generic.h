/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_IRQCHIP_IRQ_IMS_GENERIC_H
#define LINUX_IRQCHIP_IRQ_IMS_GENERIC_H

/*
 * Ready made Interrupt Message Stores for PCI devices.
 *
 * A driver describes what its device has and gets a store from which interrupts
 * are allocated with pci_ims_alloc_irq(). See drivers/pci/msi/api.c
 */

#include <linux/errno.h>
#include <linux/types.h>

struct pci_dev;

/**
 * struct ims_table_layout - Layout of the slots of a slot table
 * @stride:	Distance between the slots in bytes
 * @addr_lo:	Offset of the low 32 bits of the message address
 * @addr_hi:	Offset of the high 32 bits of the message address
 * @data:	Offset of the message data
 * @ctrl:	Offset of the control word
 * @mask:	The bit in the control word which masks the slot when it is set
 *
 * All fields are 32 bits wide, little endian, and accessed as a whole. Offsets
 * are in bytes from the start of the slot. Other bits in the control word than
 * @mask keep the value which they have when the slot is allocated.
 */
struct ims_table_layout {
	u16	stride;
	u16	addr_lo;
	u16	addr_hi;
	u16	data;
	u16	ctrl;
	u32	mask;
};

/**
 * struct ims_table_desc - A slot table of a device
 * @base:	First slot, aligned to 32 bits. The driver maps the table and must
 *		not unmap it before the store is removed
 * @nr_slots:	Number of slots in the table
 * @layout:	Layout of the slots
 */
struct ims_table_desc {
	void __iomem			*base;
	unsigned int			nr_slots;
	const struct ims_table_layout	*layout;
};

#if IS_ENABLED(CONFIG_IRQ_IMS_GENERIC)
int pci_create_ims_table_store(struct pci_dev *pdev, const struct ims_table_desc *desc);
#else
static inline int
pci_create_ims_table_store(struct pci_dev *pdev, const struct ims_table_desc *desc)
{
	return -ENODEV;
}
#endif

#endif /* LINUX_IRQCHIP_IRQ_IMS_GENERIC_H */
