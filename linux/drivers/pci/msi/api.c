// SPDX-License-Identifier: GPL-2.0
/*
 * PCI Message Signaled Interrupts - Calls for device drivers
 *
 * Words: A store is where a device keeps messages of one kind. PCI MSI and PCI
 * MSI-X are defined by the PCIe specification (r6.0, sec 7.7.1 and 7.7.2). An
 * IMS (Interrupt Message Store) is one which only the device defines, and a
 * device can have several of them beside MSI-X. Each has slots, and each slot
 * holds the message of one interrupt.
 *
 * How messages get into an IMS is described by storage ops, see &struct
 * msi_storage_ops. They are not part of the device driver but belong into
 * drivers/irqchip. The driver gets interrupts from the store and is otherwise
 * not concerned.
 */
#include <linux/export.h>

#include "msi.h"

/**
 * pci_create_ims_store - Create an Interrupt Message Store for a device
 * @pdev:	The PCI device which has the store
 * @tmpl:	What to make the store from. Storage ops in drivers/irqchip come
 *		with a function which wraps this
 * @size:	Number of slots which the device has. 0 means @tmpl->size
 * @priv:	Private data for the storage ops. It belongs to the store if this
 *		succeeds and stays with the caller otherwise
 *
 * Interrupts are allocated with pci_ims_alloc_irq(), before or after MSI or
 * MSI-X was enabled or disabled for @pdev, and independently of it.
 *
 * The driver has to remove the store with pci_remove_ims_store() before the
 * mappings which the storage ops use are gone. If it does not, then the store is
 * removed with a warning when the driver is unbound. That's too late for the
 * mappings unless they are device managed and older than the store.
 *
 * A store does not survive a loss of the device's state in D3 or by a reset: All
 * interrupts have to be freed before and allocated again afterwards.
 *
 * A message which is stored behind the back of the platform has to make sense
 * to it. On x86 that requires interrupt remapping.
 *
 * Context: Task context, can sleep. The first call for @pdev must not be
 *	    concurrent with the allocation of MSI or MSI-X vectors or with another
 *	    call of this function.
 *
 * Return: The id of the store, which is greater than 0, otherwise
 *	* -ENODEV     - The platform does not support MSI at all or has no device
 *			specific MSI domains
 *	* -EOPNOTSUPP - The platform does not support IMS. What it lacks is in the
 *			kernel log
 *	* -EINVAL     - @tmpl or @size are invalid. Why is in the kernel log
 *	* -ENOMEM     - Out of memory
 *	* Any error which the parent interrupt domain returns
 */
int pci_create_ims_store(struct pci_dev *pdev, const struct msi_storage_template *tmpl,
			 unsigned int size, void *priv)
{
	if (!pdev || !tmpl)
		return -EINVAL;

	if (!pci_msi_supported(pdev, 1))
		return -ENODEV;

	if (tmpl->bus_token != DOMAIN_BUS_PCI_DEVICE_IMS ||
	    !(tmpl->requires & MSI_PARENT_PCI_IMS)) {
		pci_err(pdev, "%s: Not a template for IMS\n", tmpl->name ?: "(null)");
		return -EINVAL;
	}
	return msi_create_store(&pdev->dev, tmpl, size, priv);
}
EXPORT_SYMBOL_GPL(pci_create_ims_store);

/**
 * pci_remove_ims_store - Remove an Interrupt Message Store of a device
 * @pdev:	The PCI device
 * @id:		Id of the store as returned by pci_create_ims_store()
 *
 * All interrupts of the store should have been freed. If there are any left,
 * they are freed, including the handlers with a warning.
 *
 * Context: Task context, can sleep.
 */
void pci_remove_ims_store(struct pci_dev *pdev, unsigned int id)
{
	msi_remove_store(&pdev->dev, id);
}
EXPORT_SYMBOL_GPL(pci_remove_ims_store);

/**
 * pci_ims_store_alloc_irq - Allocate an interrupt from one of several stores
 * @pdev:	The PCI device
 * @id:		Id of the store as returned by pci_create_ims_store()
 * @index:	Index of the slot or %MSI_ANY_INDEX
 * @icookie:	Optional: Cookie for the storage ops, depends on the store
 * @affdesc:	Optional: Affinity of the interrupt
 *
 * The interrupt number in the returned map is what request_irq() takes. The
 * index tells the device which message to send. The slot is masked until the
 * interrupt is requested.
 *
 * Context: Task context, can sleep.
 *
 * Return: A &struct msi_map. On failure the interrupt number is 0 and the index
 * is a negative error code:
 *	* -ENODEV - There is no such store
 *	* -ERANGE - @index is beyond the end of the store
 *	* -EBUSY  - @index is in use
 *	* -ENOSPC - The store or the interrupt remapping table is exhausted
 *	* -ENOMEM - Out of memory or of Linux interrupt numbers
 *	* Any error which the store has for @icookie
 *
 * CPU vectors are assigned when the interrupt is requested. It's request_irq()
 * which fails with -ENOSPC when there are none left.
 */
struct msi_map pci_ims_store_alloc_irq(struct pci_dev *pdev, unsigned int id,
				       unsigned int index,
				       union msi_instance_cookie *icookie,
				       const struct irq_affinity_desc *affdesc)
{
	if (id == MSI_DEFAULT_STORE || id == MSI_FIRST_STORE)
		return (struct msi_map){ .index = -ENODEV };
	return msi_store_alloc_irq(&pdev->dev, id, index, affdesc, icookie);
}
EXPORT_SYMBOL_GPL(pci_ims_store_alloc_irq);

/**
 * pci_ims_store_free_irq - Free an interrupt of one of several stores
 * @pdev:	The PCI device
 * @id:		Id of the store as returned by pci_create_ims_store()
 * @map:	What pci_ims_store_alloc_irq() returned
 *
 * The interrupt must have been freed with free_irq() before.
 *
 * Context: Task context, can sleep.
 */
void pci_ims_store_free_irq(struct pci_dev *pdev, unsigned int id, struct msi_map map)
{
	if (!WARN_ON_ONCE(id == MSI_DEFAULT_STORE || id == MSI_FIRST_STORE))
		msi_store_free_irq(&pdev->dev, id, map);
}
EXPORT_SYMBOL_GPL(pci_ims_store_free_irq);

/**
 * pci_ims_alloc_irq - Allocate an interrupt from the first store of a device
 * @pdev:	The PCI device
 * @icookie:	Optional: Cookie for the storage ops, depends on the store
 * @affdesc:	Optional: Affinity of the interrupt
 *
 * For devices which have one store. The slot is chosen by the core.
 *
 * Context: Task context, can sleep.
 *
 * Return: See pci_ims_store_alloc_irq()
 */
struct msi_map pci_ims_alloc_irq(struct pci_dev *pdev, union msi_instance_cookie *icookie,
				 const struct irq_affinity_desc *affdesc)
{
	return msi_store_alloc_irq(&pdev->dev, MSI_FIRST_STORE, MSI_ANY_INDEX,
				   affdesc, icookie);
}
EXPORT_SYMBOL_GPL(pci_ims_alloc_irq);

/**
 * pci_ims_free_irq - Free an interrupt of the first store of a device
 * @pdev:	The PCI device
 * @map:	What pci_ims_alloc_irq() returned
 *
 * The interrupt must have been freed with free_irq() before.
 *
 * Context: Task context, can sleep.
 */
void pci_ims_free_irq(struct pci_dev *pdev, struct msi_map map)
{
	msi_store_free_irq(&pdev->dev, MSI_FIRST_STORE, map);
}
EXPORT_SYMBOL_GPL(pci_ims_free_irq);
