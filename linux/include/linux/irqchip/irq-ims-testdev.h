/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINUX_IRQCHIP_IRQ_IMS_TESTDEV_H
#define LINUX_IRQCHIP_IRQ_IMS_TESTDEV_H

#include <linux/errno.h>
#include <linux/types.h>

struct pci_dev;

#if IS_ENABLED(CONFIG_IRQ_IMS_TESTDEV)
int pci_create_ims_testdev_store(struct pci_dev *pdev, void __iomem *base,
				 unsigned int nr_slots, unsigned int ops);
#else
static inline int
pci_create_ims_testdev_store(struct pci_dev *pdev, void __iomem *base,
			     unsigned int nr_slots, unsigned int ops)
{
	return -ENODEV;
}
#endif

#endif /* LINUX_IRQCHIP_IRQ_IMS_TESTDEV_H */
