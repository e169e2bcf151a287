/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IMS_TESTDEV_WRONG_OPS_H
#define IMS_TESTDEV_WRONG_OPS_H

struct pci_dev;

int pci_create_ims_testdev_store(struct pci_dev *pdev, void __iomem *base,
				 unsigned int nr_slots, unsigned int ops);

#endif /* IMS_TESTDEV_WRONG_OPS_H */
