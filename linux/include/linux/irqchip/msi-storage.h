/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_IRQCHIP_MSI_STORAGE_H
#define LINUX_IRQCHIP_MSI_STORAGE_H

/*
 * For storage ops, which live in drivers/irqchip and nowhere else.
 *
 * A device driver creates a store with a function next to the ops, and never sees
 * them. Two things keep it that way: This header cannot be included elsewhere,
 * and what it declares is exported in the symbol namespace MSI_STORAGE, as is
 * msi_create_store() for devices that are no PCI devices.
 */

#include <linux/msi.h>

struct pci_dev;

/* From the Makefile of the directory */
#ifndef MSI_STORAGE_PROVIDER
#error "Message storage ops belong into drivers/irqchip"
#endif

#ifdef CONFIG_PCI_MSI
int pci_create_ims_store(struct pci_dev *pdev, const struct msi_storage_template *tmpl,
			 unsigned int size, void *priv);
#else
static inline int
pci_create_ims_store(struct pci_dev *pdev, const struct msi_storage_template *tmpl,
		     unsigned int size, void *priv)
{
	return -ENODEV;
}
#endif

#endif /* LINUX_IRQCHIP_MSI_STORAGE_H */
