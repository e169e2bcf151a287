/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_IRQCHIP_IRQ_IMS_SAMPLE_H
#define LINUX_IRQCHIP_IRQ_IMS_SAMPLE_H

#include <linux/errno.h>
#include <linux/types.h>

struct pci_dev;

/* What the driver of the device sees. [begin: header] */
#if IS_ENABLED(CONFIG_IRQ_IMS_SAMPLE)
int pci_create_ims_sample_store(struct pci_dev *pdev, void __iomem *base,
				unsigned int nr_slots);
#else
static inline int
pci_create_ims_sample_store(struct pci_dev *pdev, void __iomem *base, unsigned int nr_slots)
{
	return -ENODEV;
}
#endif
/* [end: header] */

#endif /* LINUX_IRQCHIP_IRQ_IMS_SAMPLE_H */
