// SPDX-License-Identifier: GPL-2.0
/* A parent may look into a descriptor, but not read the message back: see cocci.py */

static void compose(struct irq_data *data, struct msi_msg *msg)
{
	struct msi_desc *desc = irq_data_get_msi_desc(data);

	info->desc = desc;
	if (desc->pci.msi_attrib.is_msix)
		get_cached_msi_msg(data->irq, msg);
	else
		__pci_read_msi_msg(desc, msg); /* BAD: read */
}
