// SPDX-License-Identifier: GPL-2.0
/*
 * A driver that calls every function of PCI/MSI there is, whatever the kernel's
 * configuration: with CONFIG_PCI_MSI=n it gets stubs. Only compiled, by
 * scripts/imslib/cross.py, which also sees to it that no stub is forgotten here.
 */
#include <linux/interrupt.h>
#include <linux/irqchip/irq-ims-generic.h>
#include <linux/msi.h>
#include <linux/msi_api.h>
#include <linux/msi_notify.h>
#include <linux/pci.h>

int ims_stubs_msi(struct pci_dev *pdev);
int ims_stubs_ims(struct pci_dev *pdev, const struct ims_table_desc *desc);
int ims_stubs_generic(struct pci_dev *pdev, const struct ims_mem_desc *mem,
		      const struct ims_cmd_desc *cmd);
int ims_stubs_core(struct pci_dev *pdev, unsigned int irq);
int ims_stubs_copy(struct pci_dev *pdev, struct msi_msg_notifier *notifier);

int ims_stubs_msi(struct pci_dev *pdev)
{
	struct msix_entry entries[2] = { { .entry = 0 }, { .entry = 1 } };
	struct irq_affinity_desc affdesc = { .is_managed = 0 };
	struct irq_affinity affd = { .pre_vectors = 1 };
	struct msi_map map;
	int ret;

	ret = pci_msi_vec_count(pdev) + pci_msix_vec_count(pdev);
	ret += pci_msi_enabled() + pci_dev_msi_enabled(pdev);
	ret += pci_enable_msi(pdev);
	pci_disable_msi(pdev);
	ret += pci_enable_msix_range(pdev, entries, 1, 2);
	ret += pci_enable_msix_exact(pdev, entries, 2);
	pci_disable_msix(pdev);
	pci_restore_msi_state(pdev);

	ret += pci_alloc_irq_vectors(pdev, 1, 4, PCI_IRQ_ALL_TYPES);
	ret += pci_alloc_irq_vectors_affinity(pdev, 1, 4, PCI_IRQ_MSIX | PCI_IRQ_AFFINITY,
					      &affd);
	ret += pci_irq_vector(pdev, 0);
	ret += cpumask_weight(pci_irq_get_affinity(pdev, 0));
	if (pci_msix_can_alloc_dyn(pdev)) {
		map = pci_msix_alloc_irq_at(pdev, MSI_ANY_INDEX, &affdesc);
		if (map.index >= 0)
			pci_msix_free_irq(pdev, map);
	}
	pci_free_irq_vectors(pdev);
	return ret;
}

int ims_stubs_ims(struct pci_dev *pdev, const struct ims_table_desc *desc)
{
	union msi_instance_cookie cookie = { .value = 1 }, cookies[2] = { };
	struct irq_affinity_desc affdesc = { .is_managed = 0 };
	struct irq_affinity affd = { .pre_vectors = 1 };
	struct msi_map map, maps[2];
	int id, n;

	id = pci_create_ims_table_store(pdev, desc);
	if (id < 0)
		return id;

	map = pci_ims_alloc_irq(pdev, &cookie, &affdesc);
	if (map.index >= 0)
		pci_ims_free_irq(pdev, map);
	map = pci_ims_store_alloc_irq(pdev, id, MSI_ANY_INDEX, NULL, NULL);
	if (map.index >= 0)
		pci_ims_store_free_irq(pdev, id, map);
	n = pci_ims_store_alloc_irqs(pdev, id, MSI_ANY_INDEX, 1, 2, &affd, cookies, maps);
	if (n > 0 && pci_ims_store_get_affinity(pdev, id, maps[0].index))
		pci_ims_store_free_irqs(pdev, id, maps, n);
	n += pci_ims_store_set_cookie(pdev, id, map, NULL);
	n += pci_ims_store_restore_irq(pdev, id, map);
	n += pci_ims_store_suspend(pdev, id);
	n += pci_ims_store_resume(pdev, id);
	pci_remove_ims_store(pdev, id);
	return map.index + n;
}

static int ims_stubs_desc(struct msi_map map, void *arg)
{
	return map.virq + map.index;
}

int ims_stubs_copy(struct pci_dev *pdev, struct msi_msg_notifier *notifier)
{
	struct msi_msg msg = { };
	int ret;

	ret = msi_on_each_desc(&pdev->dev, MSI_DEFAULT_STORE, MSI_DESC_ASSOCIATED,
			       ims_stubs_desc, NULL);
	ret += msi_get_msg(pdev->irq, &msg) + msg.data;
	ret += msi_register_msg_notifier(pdev->irq, notifier);
	msi_unregister_msg_notifier(pdev->irq, notifier);
	return ret;
}

int ims_stubs_generic(struct pci_dev *pdev, const struct ims_mem_desc *mem,
		      const struct ims_cmd_desc *cmd)
{
	return pci_create_ims_mem_store(pdev, mem) + pci_create_ims_cmd_store(pdev, cmd);
}

int ims_stubs_core(struct pci_dev *pdev, unsigned int irq)
{
	struct msi_msg msg = { .data = 1 };

	get_cached_msi_msg(irq, &msg);
	pci_write_msi_msg(irq, &msg);
	if (msi_restore_msg(irq))
		return -EINVAL;
	return pci_msi_get_device_domain(pdev) ? 0 : -ENODEV;
}
