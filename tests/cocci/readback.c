// SPDX-License-Identifier: GPL-2.0
/* Messages that are read from the device: see cocci.py */

static void of_msi(struct pci_dev *pdev, struct saved *s)
{
	pci_read_config_dword(pdev, pdev->msi_cap + PCI_MSI_ADDRESS_LO, &s->lo); /* BAD: read */
	pci_read_config_dword(pdev, s->pos + PCI_MSI_ADDRESS_HI, &s->hi); /* BAD: read */
	pci_read_config_word(pdev, s->pos + PCI_MSI_DATA_32, &s->data); /* BAD: read */
	pci_read_config_word(pdev, PCI_MSI_DATA_64 + s->pos, &s->data); /* BAD: read */
	/* A driver's own names for registers at a fixed place */
	pci_read_config_dword(pdev, PCI_MSI_ADDR, &s->lo); /* BAD: read */
	pci_read_config_word(pdev, PCI_MSI_DATA, &s->data); /* BAD: read */
}

static void of_msix(void __iomem *entry, struct msi_msg *msg)
{
	msg->address_lo = readl(entry + PCI_MSIX_ENTRY_LOWER_ADDR); /* BAD: read */
	msg->address_hi = readl(entry + PCI_MSIX_ENTRY_UPPER_ADDR); /* BAD: read */
	msg->data = ioread32(entry + PCI_MSIX_ENTRY_DATA); /* BAD: read */
}

static void of_the_core(struct msi_desc *desc, struct msi_msg *msg)
{
	__pci_read_msi_msg(desc, msg); /* BAD: read */
}

static u32 of_no_message(struct pci_dev *pdev, void __iomem *entry)
{
	u16 control;

	pci_read_config_word(pdev, pdev->msi_cap + PCI_MSI_FLAGS, &control);
	pci_write_config_dword(pdev, pdev->msi_cap + PCI_MSI_ADDRESS_LO, 0);
	pci_read_config_word(pdev, PCI_COMMAND, &control);
	return readl(entry + PCI_MSIX_ENTRY_VECTOR_CTRL) + control;
}
