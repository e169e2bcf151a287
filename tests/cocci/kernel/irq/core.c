// SPDX-License-Identifier: GPL-2.0
/* The core may do everything */

static struct msi_desc *core(struct device *dev, struct msi_msg *msg)
{
	struct msi_desc *desc;

	msi_for_each_desc(desc, dev, MSI_DESC_ALL) {
		if (desc->irq)
			__pci_read_msi_msg(desc, msg);
	}
	return desc;
}
