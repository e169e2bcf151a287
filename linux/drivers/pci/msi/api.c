// SPDX-License-Identifier: GPL-2.0
/*
 * PCI Message Signaled Interrupts - Calls for device drivers
 *
 * Words: A store is where a device keeps messages of one kind. PCI MSI and PCI
 * MSI-X are defined by the PCIe specification (r6.0, sec 7.7.1 and 7.7.2). An
 * IMS (Interrupt Message Store) is one that only the device defines, and a
 * device can have several of them beside MSI-X. Each has slots, and each slot
 * holds the message of one interrupt.
 *
 * How messages get into an IMS is described by storage ops, see &struct
 * msi_storage_ops. They are not part of the device driver but belong into
 * drivers/irqchip. The driver allocates interrupts from the store.
 *
 * None of the calls that enable, disable, allocate or free may be concurrent
 * with another one for the same device, with the exception of those that
 * allocate or free interrupts of an IMS, or a single one of MSI-X.
 */
#include <linux/export.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqchip/msi-storage.h>

#include "../pci.h"
#include "msi.h"

/**
 * pci_msi_enabled - Check whether message signaled interrupts can be used at all
 *
 * Context: Any context.
 *
 * Return: False if they are disabled by pci=nomsi on the kernel command line or
 * by the firmware
 */
int pci_msi_enabled(void)
{
	return pci_msi_enable;
}
EXPORT_SYMBOL(pci_msi_enabled);

/**
 * pci_msi_vec_count - Number of MSI vectors that a device can send
 * @dev:	The PCI device
 *
 * That's the Multiple Message Capable field, PCIe r6.0, sec 7.7.1.2.
 *
 * Context: Any context in which configuration space can be accessed.
 *
 * Return: A power of two from 1 to 32, -EINVAL if @dev has no MSI capability,
 * -ENODEV if it was removed
 */
int pci_msi_vec_count(struct pci_dev *dev)
{
	u16 msgctl;

	if (!dev->msi_cap)
		return -EINVAL;

	pci_read_config_word(dev, dev->msi_cap + PCI_MSI_FLAGS, &msgctl);
	return PCI_POSSIBLE_ERROR(msgctl) ? -ENODEV : msi_max_messages(msgctl);
}
EXPORT_SYMBOL(pci_msi_vec_count);

/**
 * pci_msix_vec_count - Number of entries in the MSI-X table of a device
 * @dev:	The PCI device
 *
 * That's the Table Size field, PCIe r6.0, sec 7.7.2.2.
 *
 * Context: Any context in which configuration space can be accessed.
 *
 * Return: 1 to 2048, -EINVAL if @dev has no MSI-X capability, -ENODEV if it was removed
 */
int pci_msix_vec_count(struct pci_dev *dev)
{
	u16 control;

	if (!dev->msix_cap)
		return -EINVAL;

	pci_read_config_word(dev, dev->msix_cap + PCI_MSIX_FLAGS, &control);
	return PCI_POSSIBLE_ERROR(control) ? -ENODEV : msix_table_size(control);
}
EXPORT_SYMBOL(pci_msix_vec_count);

/**
 * pci_enable_msi - Enable MSI with a single vector
 * @dev:	The PCI device
 *
 * Deprecated, use pci_alloc_irq_vectors(). The interrupt number is @dev->irq.
 *
 * Context: Task context, can sleep.
 *
 * Return: 0 on success, otherwise an error code as
 * pci_alloc_irq_vectors_affinity() returns
 */
int pci_enable_msi(struct pci_dev *dev)
{
	int rc = __pci_enable_msi_range(dev, 1, 1, NULL);

	return rc < 0 ? rc : 0;
}
EXPORT_SYMBOL(pci_enable_msi);

/**
 * pci_disable_msi - Disable MSI and free its vectors
 * @dev:	The PCI device
 *
 * For drivers that use pci_enable_msi(). Does nothing if MSI is not enabled.
 * The interrupt must have been freed with free_irq(). @dev->irq is the INTx
 * interrupt afterwards.
 *
 * Context: Task context, can sleep.
 */
void pci_disable_msi(struct pci_dev *dev)
{
	if (!pci_msi_enable || !dev || !dev->msi_enabled)
		return;

	msi_lock_descs(&dev->dev);
	pci_msi_shutdown(dev);
	pci_free_msi_irqs(dev);
	msi_unlock_descs(&dev->dev);
}
EXPORT_SYMBOL(pci_disable_msi);

/**
 * pci_enable_msix_range - Enable MSI-X for chosen entries of the table
 * @dev:	The PCI device
 * @entries:	The indices of the entries to use, in ``entries[].entry``. The
 *		interrupt numbers are stored in ``entries[].vector``. NULL means the
 *		first entries of the table
 * @minvec:	Number of vectors that are required, at least 1
 * @maxvec:	Number of vectors that are desired, and size of @entries
 *
 * Drivers without need to choose should use pci_alloc_irq_vectors().
 *
 * Context: Task context, can sleep.
 *
 * Return: The number of vectors, which belong to the first so many @entries,
 * otherwise an error code as pci_alloc_irq_vectors_affinity() returns
 */
int pci_enable_msix_range(struct pci_dev *dev, struct msix_entry *entries,
			  int minvec, int maxvec)
{
	return __pci_enable_msix_range(dev, entries, minvec, maxvec, NULL, 0);
}
EXPORT_SYMBOL(pci_enable_msix_range);

/**
 * pci_disable_msix - Disable MSI-X and free its vectors
 * @dev:	The PCI device
 *
 * For drivers that use pci_enable_msix_range(). Does nothing if MSI-X is not
 * enabled. The interrupts must have been freed with free_irq(). Frees also what
 * pci_msix_alloc_irq_at() has allocated.
 *
 * Context: Task context, can sleep.
 */
void pci_disable_msix(struct pci_dev *dev)
{
	if (!pci_msi_enable || !dev || !dev->msix_enabled)
		return;

	msi_lock_descs(&dev->dev);
	pci_msix_shutdown(dev);
	pci_free_msi_irqs(dev);
	msi_unlock_descs(&dev->dev);
}
EXPORT_SYMBOL(pci_disable_msix);

/**
 * pci_alloc_irq_vectors_affinity - Allocate interrupt vectors for a device
 * @dev:	The PCI device
 * @min_vecs:	Number of vectors that are required, at least 1
 * @max_vecs:	Number of vectors that are desired
 * @flags:	%PCI_IRQ_MSIX, %PCI_IRQ_MSI, %PCI_IRQ_LEGACY: the kinds to try, in
 *		this order. %PCI_IRQ_AFFINITY: spread the vectors over the CPUs,
 *		%PCI_IRQ_VIRTUAL: allow more vectors than the MSI-X table has
 * @affd:	Optional, with %PCI_IRQ_AFFINITY: How to spread the vectors
 *
 * The interrupt number of a vector, for request_irq(), is pci_irq_vector().
 * The vectors are freed with pci_free_irq_vectors().
 *
 * Context: Task context, can sleep.
 *
 * Return: The number of vectors allocated, which can be less than @max_vecs,
 * otherwise the error of the last kind that was tried:
 *
 *	* %-ENOSPC - @dev or the platform has less than @min_vecs vectors
 *	* %-EINVAL - The kind is not supported by @dev, disabled for it, or a kind
 *	  of message signaled interrupts is enabled already
 *	* %-ERANGE - @max_vecs is less than @min_vecs
 *	* %-ENODEV - @dev was removed
 *	* %-ENOMEM - Out of memory
 *	* Any error that the interrupt domain returns
 */
int pci_alloc_irq_vectors_affinity(struct pci_dev *dev, unsigned int min_vecs,
				   unsigned int max_vecs, unsigned int flags,
				   struct irq_affinity *affd)
{
	struct irq_affinity msi_default_affd = {0};
	int nvecs = -ENOSPC;

	if (flags & PCI_IRQ_AFFINITY) {
		if (!affd)
			affd = &msi_default_affd;
	} else {
		if (WARN_ON(affd))
			affd = NULL;
	}

	if (flags & PCI_IRQ_MSIX) {
		nvecs = __pci_enable_msix_range(dev, NULL, min_vecs, max_vecs,
						affd, flags);
		if (nvecs > 0)
			return nvecs;
	}

	if (flags & PCI_IRQ_MSI) {
		nvecs = __pci_enable_msi_range(dev, min_vecs, max_vecs, affd);
		if (nvecs > 0)
			return nvecs;
	}

	/* use legacy IRQ if allowed */
	if (flags & PCI_IRQ_LEGACY) {
		if (min_vecs == 1 && dev->irq) {
			/*
			 * Invoke the affinity spreading logic to ensure that
			 * the device driver can adjust queue configuration
			 * for the single interrupt case.
			 */
			if (affd)
				kfree(irq_create_affinity_masks(1, affd));
			pci_intx(dev, 1);
			return 1;
		}
	}

	return nvecs;
}
EXPORT_SYMBOL(pci_alloc_irq_vectors_affinity);

/**
 * pci_free_irq_vectors - Free the interrupt vectors of a device
 * @dev:	The PCI device
 *
 * Undoes pci_alloc_irq_vectors() and everything that pci_msix_alloc_irq_at()
 * did since. The interrupts must have been freed with free_irq().
 *
 * Context: Task context, can sleep.
 */
void pci_free_irq_vectors(struct pci_dev *dev)
{
	pci_disable_msix(dev);
	pci_disable_msi(dev);
}
EXPORT_SYMBOL(pci_free_irq_vectors);

/**
 * pci_irq_vector - Get the interrupt number of a vector
 * @dev:	The PCI device
 * @nr:		With MSI-X the index of the entry in the table, with MSI the
 *		number of the vector, with INTx 0
 *
 * Context: Any context.
 *
 * Return: The Linux interrupt number, -EINVAL if there is no such vector
 */
int pci_irq_vector(struct pci_dev *dev, unsigned int nr)
{
	unsigned int irq;

	if (!dev->msi_enabled && !dev->msix_enabled)
		return !nr ? dev->irq : -EINVAL;

	irq = msi_get_virq(&dev->dev, nr);
	return irq ? irq : -EINVAL;
}
EXPORT_SYMBOL(pci_irq_vector);

/**
 * pci_irq_get_affinity - Get the affinity that a vector was allocated with
 * @dev:	The PCI device
 * @nr:		The vector, as for pci_irq_vector()
 *
 * Context: Any context.
 *
 * Return: The CPUs. All possible ones for INTx. NULL if the vector was allocated
 * without affinity or if there is no such vector. Valid as long as
 * the vector is allocated
 */
const struct cpumask *pci_irq_get_affinity(struct pci_dev *dev, int nr)
{
	int idx, irq = pci_irq_vector(dev, nr);
	struct msi_desc *desc;

	if (WARN_ON_ONCE(irq <= 0))
		return NULL;

	desc = irq_get_msi_desc(irq);
	/* Non-MSI does not have the information handy */
	if (!desc)
		return cpu_possible_mask;

	/* MSI[X] interrupts can be allocated without affinity descriptor */
	if (!desc->affinity)
		return NULL;

	/* A descriptor has one mask for each of its messages */
	idx = nr - desc->msi_index;
	return &desc->affinity[idx].mask;
}
EXPORT_SYMBOL(pci_irq_get_affinity);

/**
 * pci_restore_msi_state - Restore the MSI or MSI-X state of a device
 * @dev:	The PCI device
 *
 * Writes messages, mask bits and the enable bit after the device has lost them, and
 * the slots of every IMS that does not need the driver for it, see
 * pci_ims_store_resume(). pci_restore_state() calls this.
 *
 * Does not wait for a storage op that is in progress. The IMS is written after it then.
 *
 * Context: Task context, can sleep, if the device has an IMS. Any context otherwise. Takes
 *	    the lock of each interrupt.
 */
void pci_restore_msi_state(struct pci_dev *dev)
{
	__pci_restore_msi_state(dev);
	pci_restore_ims_state(dev);
}
EXPORT_SYMBOL_GPL(pci_restore_msi_state);

/**
 * pci_msix_can_alloc_dyn - Check whether MSI-X vectors can be allocated one by one
 * @dev:	The PCI device
 *
 * MSI-X does not have to be enabled for the check.
 *
 * Context: Any context.
 *
 * Return: True if pci_msix_alloc_irq_at() and pci_msix_free_irq() can be used for
 * @dev. That takes an MSI-X capability and a platform with device MSI
 * domains
 */
bool pci_msix_can_alloc_dyn(struct pci_dev *dev)
{
	return dev->msix_cap &&
	       msi_parent_carries(&dev->dev, MSI_PARENT_PCI_MSIX | MSI_PARENT_PCI_MSIX_DYN);
}
EXPORT_SYMBOL_GPL(pci_msix_can_alloc_dyn);

/**
 * pci_msix_alloc_irq_at - Allocate an MSI-X vector while MSI-X is enabled
 * @dev:	The PCI device
 * @index:	The entry of the MSI-X table, or %MSI_ANY_INDEX for any that is free
 * @affdesc:	Optional: Affinity of the interrupt. NULL means the default one
 *
 * MSI-X must have been enabled, with at least one vector, by
 * pci_alloc_irq_vectors() or pci_enable_msix_range(). The new vector is like one
 * that was allocated then: pci_irq_vector() finds it and pci_free_irq_vectors()
 * frees it, unless pci_msix_free_irq() did so before. The entry is masked until
 * the interrupt is requested.
 *
 * CPU vectors are assigned when the interrupt is requested. It's request_irq()
 * that fails with -ENOSPC when there are none left.
 *
 * Context: Task context, can sleep. Takes the MSI lock of @dev.
 *
 * Return: A &struct msi_map. On failure the interrupt number is 0 and the index
 * is a negative error code:
 *
 *	* %-EOPNOTSUPP - See pci_msix_can_alloc_dyn()
 *	* %-EINVAL     - MSI-X is not enabled
 *	* %-ERANGE     - @index is beyond the end of the table
 *	* %-EBUSY      - @index is in use
 *	* %-ENOSPC     - The table or the resources of the platform are exhausted
 *	* %-EIO        - The platform's message does not fit the device
 *	* %-ENOMEM     - Out of memory or of Linux interrupt numbers
 */
struct msi_map pci_msix_alloc_irq_at(struct pci_dev *dev, unsigned int index,
				     const struct irq_affinity_desc *affdesc)
{
	struct msi_map map = { .index = -EOPNOTSUPP };
	struct msi_desc desc = {
		.affinity	= (struct irq_affinity_desc *)affdesc,
	};

	if (!pci_msix_can_alloc_dyn(dev))
		return map;
	/* Without device data MSI-X has never been enabled */
	map.index = -EINVAL;
	if (!dev->dev.msi.data)
		return map;

	pci_msix_init_desc(dev, &desc);
	desc.msi_index = index;

	msi_lock_descs(&dev->dev);
	if (dev->msix_enabled) {
		map = msi_default_store_alloc_irq(&dev->dev, &desc);
		if (map.virq && pci_msi_verify_desc(dev, irq_get_msi_desc(map.virq))) {
			msi_default_store_free_irq(&dev->dev, map);
			map = (struct msi_map){ .index = -EIO };
		}
	}
	msi_unlock_descs(&dev->dev);
	return map;
}
EXPORT_SYMBOL_GPL(pci_msix_alloc_irq_at);

/**
 * pci_msix_free_irq - Free an MSI-X vector while MSI-X is enabled
 * @dev:	The PCI device
 * @map:	What pci_msix_alloc_irq_at() returned, or index and interrupt number
 *		of a vector that was allocated when MSI-X was enabled
 *
 * The interrupt must have been freed with free_irq(). MSI-X stays enabled even
 * when this was the last vector.
 *
 * Context: Task context, can sleep. Takes the MSI lock of @dev.
 */
void pci_msix_free_irq(struct pci_dev *dev, struct msi_map map)
{
	if (WARN_ON_ONCE(!pci_msix_can_alloc_dyn(dev) || !dev->dev.msi.data))
		return;

	msi_lock_descs(&dev->dev);
	if (!WARN_ON_ONCE(!dev->msix_enabled))
		msi_default_store_free_irq(&dev->dev, map);
	msi_unlock_descs(&dev->dev);
}
EXPORT_SYMBOL_GPL(pci_msix_free_irq);

/**
 * pci_create_ims_store - Create an Interrupt Message Store for a device
 * @pdev:	The PCI device that has the store
 * @tmpl:	What to make the store from
 * @size:	Number of slots that the device has. 0 means @tmpl->size
 * @priv:	Private data for the storage ops. It belongs to the store if this
 *		succeeds and stays with the caller otherwise
 *
 * For storage ops in drivers/irqchip, which come with a function that wraps this for
 * the driver of the device. Others can't include linux/irqchip/msi-storage.h.
 *
 * Interrupts are allocated with pci_ims_alloc_irq(), before or after MSI or
 * MSI-X was enabled or disabled for @pdev, and independently of it.
 *
 * The driver has to remove the store with pci_remove_ims_store() before the
 * mappings that the storage ops use are removed. If it does not, then the store is
 * removed with a warning when the driver is unbound. That's too late for the
 * mappings unless they are device managed and older than the store.
 *
 * A store survives that the device loses its state in D3 or by a reset, see
 * pci_ims_store_resume().
 *
 * The platform must accept messages whose place it does not know. On x86 that
 * requires interrupt remapping.
 *
 * Context: Task context, can sleep. The first call for @pdev must not be
 *	    concurrent with the allocation of MSI or MSI-X vectors or with another
 *	    call of this function.
 *
 * Return: The id of the store, which is greater than 0, otherwise
 *	* %-ENODEV     - The platform does not support MSI at all or has no device
 *	  specific MSI domains, or @pdev was removed
 *	* %-EOPNOTSUPP - The platform does not support IMS, or not this kind of store.
 *	  What it lacks is in the kernel log
 *	* %-EINVAL     - @tmpl or @size are invalid. Why is in the kernel log
 *	* %-ENOMEM     - Out of memory
 *	* Any error that the parent interrupt domain returns
 */
int pci_create_ims_store(struct pci_dev *pdev, const struct msi_storage_template *tmpl,
			 unsigned int size, void *priv)
{
	int ret;

	if (!pdev || !tmpl)
		return -EINVAL;

	if (!pci_msi_supported(pdev, 1) || pci_dev_is_disconnected(pdev))
		return -ENODEV;

	if (tmpl->bus_token != DOMAIN_BUS_PCI_DEVICE_IMS ||
	    !(tmpl->requires & MSI_PARENT_PCI_IMS)) {
		pci_err(pdev, "%s: Not a template for IMS\n", tmpl->name ?: "(null)");
		return -EINVAL;
	}

	ret = msi_create_store(&pdev->dev, tmpl, size, priv);
	/* Either this sees the removal, or that sees the store, see pci_dev_set_io_state() */
	smp_mb();
	if (ret > 0 && pci_dev_is_disconnected(pdev))
		pci_msi_gone(pdev);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(pci_create_ims_store, MSI_STORAGE);

/**
 * pci_remove_ims_store - Remove an Interrupt Message Store of a device
 * @pdev:	The PCI device
 * @id:		Id of the store as returned by pci_create_ims_store()
 *
 * All interrupts of the store should have been freed. The remaining ones are freed
 * with a warning, along with their handlers.
 *
 * Context: Task context, can sleep. Waits for handlers and for calls that use the store.
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
 * interrupt is requested. What a cookie points to must stay valid until the interrupt is
 * freed.
 *
 * Context: Task context, can sleep. Takes the lock of the store.
 *
 * Return: A &struct msi_map. On failure the interrupt number is 0 and the index
 * is a negative error code:
 *
 *	* %-ENODEV - There is no such store, or @pdev was removed
 *	* %-EIO    - The store has to access the device for it, and is suspended, or the device
 *	  is not in D0 or is being reset by the PCI core
 *	* %-ERANGE - @index is beyond the end of the store
 *	* %-EBUSY  - @index is in use
 *	* %-ENOSPC - The store or the interrupt remapping table is exhausted
 *	* %-ENOMEM - Out of memory or of Linux interrupt numbers
 *	* %-EOPNOTSUPP - @affdesc is a managed affinity, and the store cannot be changed
 *	  where the kernel manages it: on a CPU that goes offline
 *	* Any error that the store has for @icookie, or when it is told the message
 *
 * CPU vectors are assigned when the interrupt is requested. It's request_irq()
 * that fails with -ENOSPC when there are none left.
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
 * The interrupt must have been freed with free_irq() before. The slot is cleared if the device
 * is in D0, and neither suspended nor being reset. Otherwise the device has to lose its state,
 * as it would go on to send the message.
 *
 * Context: Task context, can sleep. Takes the lock of the store.
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
 * For devices that have one store. The slot is chosen by the core.
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
 * The interrupt must have been freed with free_irq() before, and the device has to be in D0,
 * see pci_ims_store_free_irq().
 *
 * Context: Task context, can sleep.
 */
void pci_ims_free_irq(struct pci_dev *pdev, struct msi_map map)
{
	msi_store_free_irq(&pdev->dev, MSI_FIRST_STORE, map);
}
EXPORT_SYMBOL_GPL(pci_ims_free_irq);

/**
 * pci_ims_store_alloc_irqs - Allocate several interrupts from a store at once
 * @pdev:	The PCI device
 * @id:		Id of the store as returned by the function that created it
 * @index:	Index of the slot of the first one, the others get those that follow it. Or
 *		%MSI_ANY_INDEX for any slots that are free
 * @min:	Number of interrupts that are required, at least 1
 * @max:	Number of interrupts that are desired
 * @affd:	Optional: How to spread the interrupts over the CPUs. NULL means that
 *		all have the default affinity
 * @cookies:	Optional: @max cookies for the storage ops, in the order of @maps. Without,
 *		none of the interrupts has one
 * @maps:	Room for @max results, of which as many are valid as are returned
 *
 * Like pci_alloc_irq_vectors_affinity(). With @affd, pci_ims_store_get_affinity() has the
 * CPUs of each, and the kernel manages the affinity: An interrupt is shut down along with
 * the last of its CPUs. The store of a device that has to be told by commands can't do
 * that, there the interrupts are spread and move to other CPUs.
 *
 * Cheaper than one by one, the more so the slower the store is.
 *
 * Context: Task context, can sleep. Takes the lock of the store.
 *
 * Return: The number of interrupts, from @min to @max. Otherwise an error code, and
 * none was allocated:
 *
 *	* %-ENODEV - There is no such store, or @pdev was removed
 *	* %-EIO    - As pci_ims_store_alloc_irq()
 *	* %-EINVAL - @min is 0 or greater than @max
 *	* %-ERANGE - From @index on the store has less than @min slots
 *	* %-EBUSY  - One of the slots from @index on, up to @max of them, is in use
 *	* %-ENOSPC - Fewer than @min are available
 *	* %-ENOMEM - Out of memory or of Linux interrupt numbers
 *	* Any error that the store has for one of @cookies, or when it is told the
 *	  messages
 */
int pci_ims_store_alloc_irqs(struct pci_dev *pdev, unsigned int id, unsigned int index,
			     unsigned int min, unsigned int max, struct irq_affinity *affd,
			     const union msi_instance_cookie *cookies, struct msi_map *maps)
{
	if (id == MSI_DEFAULT_STORE || id == MSI_FIRST_STORE)
		return -ENODEV;
	return msi_store_alloc_irqs(&pdev->dev, id, index, min, max, affd, cookies, maps);
}
EXPORT_SYMBOL_GPL(pci_ims_store_alloc_irqs);

/**
 * pci_ims_store_get_affinity - Get the affinity that an interrupt was allocated with
 * @pdev:	The PCI device
 * @id:		Id of the store
 * @index:	Index of the slot
 *
 * The same as pci_irq_get_affinity(), e.g. to map the queues of a block device to CPUs.
 *
 * Context: Any context.
 *
 * Return: The CPUs. NULL if the interrupt was allocated without affinity or if there is no
 * such interrupt. Valid as long as the interrupt is allocated
 */
const struct cpumask *pci_ims_store_get_affinity(struct pci_dev *pdev, unsigned int id,
						 unsigned int index)
{
	if (id == MSI_DEFAULT_STORE || id == MSI_FIRST_STORE)
		return NULL;
	return msi_store_get_affinity(&pdev->dev, id, index);
}
EXPORT_SYMBOL_GPL(pci_ims_store_get_affinity);

/**
 * pci_ims_store_set_cookie - Change the cookie of an interrupt
 * @pdev:	The PCI device
 * @id:		Id of the store
 * @map:	What pci_ims_store_alloc_irq() or pci_ims_store_alloc_irqs() returned
 * @icookie:	The new cookie, or NULL for none
 *
 * The interrupt can be in use, and keeps handler and affinity. E.g. for a PASID that is
 * known only when a guest binds it. The slot is masked while the cookie changes, so a device
 * that keeps an event pending while it is masked loses none, unless &ims_table_layout.live
 * contains the pending bit. When this returns, then the device sends nothing with the old
 * cookie any more. If the store is suspended then the
 * device is told when it is resumed. No cookie is not the same as a cookie of 0: A slot with
 * a PASID sends without one then.
 *
 * Context: Task context, can sleep. Takes the locks of the store, and must not be called
 *	    while run-time power management resumes or suspends @pdev: The holder of a lock
 *	    can wait for that.
 *
 * Return: 0 on success. Otherwise the interrupt has the cookie of before. A device that has
 * failed is told that one again in the background:
 *
 *	* %-ENODEV - There is no such store, or @pdev was removed
 *	* %-EINVAL - @map is not an interrupt of the store, or the store refuses @icookie
 *	* %-EOPNOTSUPP - The store cannot change cookies: A table or memory store without
 *	  PASIDs, or a command store without &ims_cmd_ops.set_cookie
 *	* Any error that the store has for @icookie, or when it is told
 */
int pci_ims_store_set_cookie(struct pci_dev *pdev, unsigned int id, struct msi_map map,
			     const union msi_instance_cookie *icookie)
{
	if (id == MSI_DEFAULT_STORE || id == MSI_FIRST_STORE)
		return -ENODEV;
	return msi_store_set_cookie(&pdev->dev, id, map, icookie);
}
EXPORT_SYMBOL_GPL(pci_ims_store_set_cookie);

/**
 * pci_ims_store_free_irqs - Free several interrupts of a store at once
 * @pdev:	The PCI device
 * @id:		Id of the store
 * @maps:	What pci_ims_store_alloc_irqs() or pci_ims_store_alloc_irq() returned,
 *		in any order
 * @count:	Number of interrupts
 *
 * They must have been freed with free_irq() before, and the device has to be in D0, see
 * pci_ims_store_free_irq().
 *
 * Context: Task context, can sleep. Takes the lock of the store.
 */
void pci_ims_store_free_irqs(struct pci_dev *pdev, unsigned int id,
			     const struct msi_map *maps, unsigned int count)
{
	if (!WARN_ON_ONCE(id == MSI_DEFAULT_STORE || id == MSI_FIRST_STORE))
		msi_store_free_irqs(&pdev->dev, id, maps, count);
}
EXPORT_SYMBOL_GPL(pci_ims_store_free_irqs);

/**
 * pci_ims_store_suspend - Do not access the device for a store any more
 * @pdev:	The PCI device
 * @id:		Id of the store
 *
 * For every kind of store, before the device or its slots cannot be accessed for a while:
 * before it is sent to D3hot, before a reset by one of its own registers, before the device
 * is told another DMA address of the slots' memory, before the command queue is stopped. When
 * this has returned, nothing of the store accesses the device or the memory of its slots, in
 * any context, until pci_ims_store_resume() is called. Interrupts can be requested, freed,
 * masked and unmasked as before, and the device is told when the store is resumed. Until then
 * it must not send for an interrupt whose handler is freed.
 *
 * A store that is changed by commands is up to date when this returns, or the device has
 * failed to do it once more. If @pdev is in an error state, as in error_detected(), then the
 * changes that are being carried out are the last ones, and the device is not accessed.
 *
 * The device is not told of interrupts that are freed meanwhile. Free them before, unless the
 * device loses its state. Allocation fails if the store has to access the device for it.
 *
 * A store that is changed by commands requires it for each reset and suspension of the device.
 * Others do not for a reset by the PCI core, see pci_ims_store_resume(), and for a device
 * that is suspended along with the system. At run time, interrupts can be masked while the
 * device enters D3hot, and its slots are accessed until &pci_dev.current_state says so.
 *
 * One pci_ims_store_resume() ends it, however often this was called. A driver that does so
 * on several occasions serializes them, e.g. a reset by a register and error_detected().
 *
 * Context: Task context, can sleep. Waits for allocations and changes that are being carried
 *	    out. Does not wait for them while run-time power management suspends @pdev, or if
 *	    a storage op calls this.
 *
 * Return: 0 on success, also if the store was suspended. -ENODEV if there is no such store
 * or @pdev was removed, -EBUSY if something is being carried out that this does not wait for:
 * @pdev must stay in D0 then
 */
int pci_ims_store_suspend(struct pci_dev *pdev, unsigned int id)
{
	if (id == MSI_DEFAULT_STORE || id == MSI_FIRST_STORE)
		return -ENODEV;
	return msi_store_suspend(&pdev->dev, id, !pci_channel_offline(pdev));
}
EXPORT_SYMBOL_GPL(pci_ims_store_suspend);

/**
 * pci_ims_store_resume - Write all slots of a store again
 * @pdev:	The PCI device
 * @id:		Id of the store
 *
 * A device that was in D3cold, or was reset, has forgotten its slots. Those that
 * the core can reach by itself it writes again as soon as the configuration space is
 * restored, and before the driver's resume() or reset_done() callback is invoked. If an
 * interrupt is being allocated, changed or freed then, it does so right after that. From
 * the loss to that no slot is unmasked. A driver has to call this only
 *
 *   - after pci_ims_store_suspend(), when the device can be accessed again
 *   - for all stores, if the device forgets on an occasion of which the PCI core
 *     knows nothing, e.g. a reset by one of its own registers. The store is suspended
 *     before that
 *   - for all stores, in the resume() callback of the recovery from an error that
 *     error_detected() has suspended them for. Before that, commands still give up
 *
 * While the PCI core resets @pdev, nothing is written before it restores the device.
 *
 * Messages and mask state of all interrupts are in the device afterwards, or soon if this
 * does not wait. Slots without an interrupt are not touched: They have to be masked after a
 * reset.
 *
 * Context: Task context, can sleep. Takes the locks of the store, and does not wait for
 *	    them if a storage op calls this or run-time power management resumes @pdev.
 *
 * Return: 0 on success, -ENODEV if there is no such store or @pdev was removed, -EIO if @pdev is
 * being suspended in an error state: the store stays suspended then. Otherwise the first error
 * that the device had. The core tries again in the background then
 */
int pci_ims_store_resume(struct pci_dev *pdev, unsigned int id)
{
	if (id == MSI_DEFAULT_STORE || id == MSI_FIRST_STORE)
		return -ENODEV;
	return msi_store_resume(&pdev->dev, id);
}
EXPORT_SYMBOL_GPL(pci_ims_store_resume);

/**
 * pci_ims_store_restore_irq - Write one slot again
 * @pdev:	The PCI device
 * @id:		Id of the store
 * @map:	What pci_ims_store_alloc_irq() or pci_ims_store_alloc_irqs() returned
 *
 * For a driver that has reset a part of its device, e.g. one queue, along with the slot.
 * Other slots are not touched. If the store is suspended then pci_ims_store_resume() does
 * it, and if the PCI core is about to restore the device then that does.
 *
 * Context: Task context, can sleep. Takes the locks of the store, and must not be called
 *	    while run-time power management resumes or suspends @pdev: The holder of a lock
 *	    can wait for that.
 *
 * Return: 0 on success, -ENODEV if there is no such store or @pdev was removed, -EINVAL if
 * @map is not an interrupt of the store. Otherwise the error that the device had. The core
 * tries again in the background then
 */
int pci_ims_store_restore_irq(struct pci_dev *pdev, unsigned int id, struct msi_map map)
{
	if (id == MSI_DEFAULT_STORE || id == MSI_FIRST_STORE)
		return -ENODEV;
	return msi_store_restore_irq(&pdev->dev, id, map);
}
EXPORT_SYMBOL_GPL(pci_ims_store_restore_irq);
