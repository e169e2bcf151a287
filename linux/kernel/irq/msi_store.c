// SPDX-License-Identifier: GPL-2.0
/*
 * Message stores of devices: create and remove, allocate and free interrupts
 *
 * The default store of a device, e.g. PCI MSI or MSI-X, comes with the MSI data of the
 * device, and uses a device domain if the interrupt domain of the device is a MSI parent.
 * Other stores are created with a device domain. See msi_device_domain.c for these.
 *
 * Locking: msi_dev_store::guard serializes allocation and release, and with them the ops
 * init_slot() and free_slot(). It is the MSI mutex of the device for the default store, and a
 * lock of its own for others. The interrupt descriptor lock serializes the changes of a slot of
 * a direct store, msi_dev_store::bus_lock those of a store with lock() or sync(). The MSI mutex
 * also protects changes of the list of stores.
 */
#include <linux/device.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/msi.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <asm/sections.h>

#include <trace/events/msi.h>

#include "internals.h"

static bool msi_store_has_bus_lock(const struct msi_dev_store *store)
{
	return store->deferred || store->tmpl->ops->lock;
}

/**
 * msi_store_lock - Start a batch of changes in a store
 * @store:	The store
 *
 * Context: Task context, can sleep. Nests inside of the lock of the store.
 */
void msi_store_lock(struct msi_dev_store *store)
{
	if (msi_store_has_bus_lock(store))
		msi_store_lock_if(store, true);
	else
		WRITE_ONCE(store->owner, current);
}

/**
 * msi_store_sync_unlock - Carry out what is left of a batch of changes and end it
 * @store:	The store
 *
 * Context: Task context, can sleep.
 *
 * Return: 0 if all slots that were added in the batch are in the device, or the error
 * code of the first one that is not
 */
int msi_store_sync_unlock(struct msi_dev_store *store)
{
	if (store->deferred)
		return msi_deferred_sync_unlock(store);
	if (store->tmpl->ops->lock)
		msi_store_end(store);
	else
		WRITE_ONCE(store->owner, NULL);
	return 0;
}

/* What is wrong with a template, NULL if nothing is */
static const char *msi_template_error(const struct msi_storage_template *tmpl,
				      unsigned int id, unsigned int size)
{
	const struct msi_storage_ops *ops = tmpl->ops;

	if (!tmpl->name)
		return "it has no name";
	if (!ops)
		return "it has no storage ops";
	if (!tmpl->requires)
		return "it does not say what it requires of the parent domain";
	if (tmpl->flags & ~MSI_STORAGE_FLAGS)
		return "it has flags which do not exist";
	if (!ops->lock != !ops->unlock)
		return "the storage ops have only one of lock and unlock";
	if (ops->complete && !ops->sync)
		return "the storage ops complete what they do not post";
	if (ops->sync) {
		if (ops->write_msg || ops->mask || ops->unmask)
			return "the storage ops are both direct and deferred";
		if (tmpl->flags & MSI_STORAGE_NO_MASK)
			return "the slots of a deferred store have to be maskable";
	} else if (tmpl->flags & MSI_STORAGE_DRIVER_RESTORE) {
		return "it waits for the driver and is not deferred";
	} else if (ops->lock && tmpl->flags & MSI_STORAGE_ACTIVATE_EARLY) {
		return "a store with lock is activated by request_irq() only";
	} else if (!ops->write_msg) {
		return "the storage ops cannot write a message";
	} else if (tmpl->flags & MSI_STORAGE_NO_MASK) {
		if (ops->mask || ops->unmask)
			return "the storage ops can mask and it says that they cannot";
		if (ops->set_cookie)
			return "the storage ops change the cookie of a slot that is not masked";
		if (tmpl->requires & MSI_PARENT_PCI_IMS)
			return "the slots of an IMS have to be maskable";
	} else if (!ops->mask || !ops->unmask) {
		return "the storage ops cannot mask and unmask a slot";
	}
	if (!size)
		return "it has no slots";
	if (size > MSI_MAX_INDEX || (tmpl->size && size > tmpl->size))
		return "it has more slots than can be handled";
	/* Its descriptors come and go without the bus lock, see msi_add_msi_desc() */
	if (id == MSI_DEFAULT_STORE && (ops->sync || ops->lock))
		return "a default store can't be deferred or locked";
	return NULL;
}

static void msi_template_refused(struct device *dev, const struct msi_storage_template *tmpl,
				 const char *error)
{
	dev_err(dev, "%s: Invalid message store: %s\n", tmpl->name ?: "(null)", error);
}

/*
 * Template and ops exist as long as the module that is pinned for them. In the kernel
 * itself they are in read only memory, so that they cannot change after the checks
 * above. In a module that depends on the architecture: constants with relocations can
 * be in .data.rel.ro, which is loaded as writable data. On s390 and powerpc this can be the
 * case in the kernel as well, so it is no condition for the default stores of a bus.
 */
static const char *msi_template_place_error(const struct msi_storage_template *tmpl,
					    unsigned int id)
{
	unsigned long addr = (unsigned long)tmpl, ops = (unsigned long)tmpl->ops;
	struct module *owner;
	bool constant;

	preempt_disable();
	owner = __module_address(ops);
	if (owner)
		constant = within_module_core(addr, owner) && within_module_core(ops, owner);
	else
		constant = id == MSI_DEFAULT_STORE ||
			   (is_kernel_rodata(addr) && is_kernel_rodata(ops));
	preempt_enable();

	if (!constant)
		return "it or the storage ops are not constant";
	return owner != tmpl->owner ? "its owner is not where the storage ops are" : NULL;
}

/* Why the parent cannot carry what comes out of the template, NULL if it can */
const char *msi_parent_error(const struct msi_storage_template *tmpl,
			     const struct msi_parent_ops *pops)
{
	if (!tmpl->ops->sync)
		return NULL;
	if (!(pops->flags & MSI_PARENT_STABLE_MSG))
		return "a deferred store requires that messages don't change with the affinity";
	/* Disabling is not lazy then, and is also done late in suspend */
	if (pops->chip_flags & IRQCHIP_MASK_ON_SUSPEND || pops->flags & MSI_PARENT_ENABLE)
		return "a deferred store can't be masked late in suspend";
	return NULL;
}

/*
 * The storage ops of a direct store whose slots must not be accessed: The core records what
 * it has to carry out in msi_slot_restore(). The slot is not dirty any more then.
 */
static const struct msi_storage_ops *msi_template_ops(const struct msi_storage *storage)
{
	return container_of(storage, struct msi_dev_store, storage)->tmpl->ops;
}

static void msi_quiet_write_msg(struct msi_storage *storage, struct msi_slot *slot,
				const struct msi_msg *msg)
{
	if (!msi_slot_core(slot)->dirty)
		msi_template_ops(storage)->write_msg(storage, slot, msg);
}

static void msi_quiet_mask(struct msi_storage *storage, struct msi_slot *slot)
{
	if (!msi_slot_core(slot)->dirty)
		msi_template_ops(storage)->mask(storage, slot);
}

static void msi_quiet_unmask(struct msi_storage *storage, struct msi_slot *slot)
{
	if (!msi_slot_core(slot)->dirty)
		msi_template_ops(storage)->unmask(storage, slot);
}

/* The storage ops of a removed device, see msi_device_gone() */
static int msi_gone_init_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	return -ENODEV;
}

static int msi_gone_set_cookie(struct msi_storage *storage, struct msi_slot *slot,
			       const union msi_instance_cookie *cookie)
{
	return -ENODEV;
}

static void msi_gone_write_msg(struct msi_storage *storage, struct msi_slot *slot,
			       const struct msi_msg *msg)
{
}

static void msi_gone_set_mask(struct msi_storage *storage, struct msi_slot *slot) { }

static int msi_gone_sync(struct msi_storage *storage, struct msi_slot *slot,
			 unsigned int what)
{
	return 0;
}

static int msi_gone_complete(struct msi_storage *storage, struct msi_slot *slot)
{
	return 0;
}

/**
 * msi_store_init - Make a message store from a template
 * @dev:	The device that has the store
 * @store:	The store, which has no template yet
 * @tmpl:	What to make the store from
 * @size:	Number of slots that the device has. 0 means @tmpl->size
 * @priv:	Private data for the storage ops
 *
 * Context: Task context, can sleep. The MSI lock of @dev must be held.
 *
 * Return: 0 on success, otherwise
 *	* %-ENODEV     - The owner of @tmpl is going away
 *	* %-EINVAL     - @tmpl or @size are invalid
 *	* %-ENOMEM     - Out of memory
 */
int msi_store_init(struct device *dev, struct msi_dev_store *store,
		   const struct msi_storage_template *tmpl, unsigned int size,
		   void *priv)
{
	const char *error;
	int ret;

	lockdep_assert_held(&dev->msi.data->mutex);

	if (!size)
		size = tmpl->size;

	error = msi_template_error(tmpl, store->id, size);
	if (error) {
		msi_template_refused(dev, tmpl, error);
		return -EINVAL;
	}

	if (!try_module_get(tmpl->owner))
		return -ENODEV;

	error = msi_template_place_error(tmpl, store->id);
	if (error) {
		msi_template_refused(dev, tmpl, error);
		module_put(tmpl->owner);
		return -EINVAL;
	}

	store->storage.dev = dev;
	store->storage.id = store->id;
	store->storage.size = size;
	store->storage.priv = priv;

	store->quiet = *tmpl->ops;
	store->quiet.is_masked = NULL;
	store->quiet.write_msg = msi_quiet_write_msg;
	if (tmpl->ops->mask)
		store->quiet.mask = msi_quiet_mask;
	if (tmpl->ops->unmask)
		store->quiet.unmask = msi_quiet_unmask;

	store->gone = *tmpl->ops;
	store->gone.init_slot = msi_gone_init_slot;
	store->gone.lock = NULL;
	store->gone.is_masked = NULL;
	if (tmpl->ops->set_cookie)
		store->gone.set_cookie = msi_gone_set_cookie;
	if (tmpl->ops->write_msg)
		store->gone.write_msg = msi_gone_write_msg;
	if (tmpl->ops->mask)
		store->gone.mask = msi_gone_set_mask;
	if (tmpl->ops->unmask)
		store->gone.unmask = msi_gone_set_mask;
	if (tmpl->ops->sync)
		store->gone.sync = msi_gone_sync;
	if (tmpl->ops->complete)
		store->gone.complete = msi_gone_complete;

	WRITE_ONCE(store->storage.ops, tmpl->ops);
	/* msi_device_gone() exchanges the ops of a store that has a template */
	smp_store_release(&store->tmpl, tmpl);

	if (tmpl->ops->sync) {
		ret = msi_deferred_init(store);
		if (ret)
			goto exit_store;
	}
	return 0;

exit_store:
	msi_store_exit(store);
	return ret;
}

/**
 * msi_store_exit - Undo msi_store_init()
 * @store:	The store. It has no descriptors and no device domain any more
 *
 * The private data stays with the caller.
 *
 * Context: Task context, can sleep. The MSI lock of the device is held, or nothing else uses
 *	    the store.
 */
void msi_store_exit(struct msi_dev_store *store)
{
	msi_deferred_exit(store);
	module_put(store->tmpl->owner);
	memset(&store->storage, 0, sizeof(store->storage));
	store->tmpl = NULL;
}

static unsigned int msi_store_vflags(const struct msi_dev_store *store)
{
	unsigned int vflags = VIRQ_SYSFS;

	/* In a deferred store msi_store_arm_desc() activates them */
	if ((store->tmpl->flags & MSI_STORAGE_ACTIVATE_EARLY) && !store->deferred)
		vflags |= VIRQ_ACTIVATE;

	if (msi_store_can_reserve(store))
		vflags |= VIRQ_CAN_RESERVE;
	return vflags;
}

/* As msi_alloc_desc_irqs(), from the device domain of the store */
static int msi_store_alloc_desc_irqs(struct msi_dev_store *store, struct msi_desc *desc)
{
	struct msi_device_domain *dd = store->devdom;
	msi_alloc_info_t arg = dd->alloc_info;
	int ret;

	arg.desc = desc;
	arg.hwirq = desc->msi_index;
	ret = msi_alloc_desc_irqs(dd->domain, store, desc, &arg, msi_store_vflags(store));
	/* Also if an error leaves something that has to be freed */
	if (msi_desc_match(desc, MSI_DESC_ASSOCIATED))
		trace_msi_alloc(&desc->slot, desc->irq);
	return ret;
}

/* Interrupts that are allocated at once, at most: A block of a hbitmap has as many */
#define MSI_RUN_MAX	BITS_PER_LONG

/* How many descriptors, from the first one on, are in a row, if it matters */
static unsigned int msi_store_run(const struct msi_dev_store *store, struct msi_desc **descs,
				  unsigned int max)
{
	unsigned int n;

	if (!(store->devdom->pops->flags & MSI_PARENT_SEPARATE))
		return 1;

	for (n = 1; n < max; n++) {
		if (descs[n]->msi_index != descs[0]->msi_index + n)
			break;
	}
	return n;
}

/* The parent has mapped the doorbell for the first descriptor of a run only */
static void msi_desc_copy_iova(struct msi_desc *desc, const struct msi_desc *first)
{
#ifdef CONFIG_IRQ_MSI_IOMMU
	desc->iommu_msi_iova = first->iommu_msi_iova;
	desc->iommu_msi_shift = first->iommu_msi_shift;
#endif
}

/*
 * Allocate the interrupts of descriptors with consecutive indices, for one message
 * each. The locks of the hierarchy are taken, and numbers and remapping entries are
 * looked for, once for all of them. All interrupts are there, or none and an error
 * code is returned.
 */
static int msi_store_alloc_run(struct msi_dev_store *store, struct msi_desc **descs,
			       unsigned int count, const struct irq_affinity_desc *masks)
{
	struct msi_device_domain *dd = store->devdom;
	struct device *dev = store->storage.dev;
	msi_alloc_info_t arg = dd->alloc_info;
	unsigned int i;
	int virq;

	arg.desc = descs[0];
	arg.hwirq = descs[0]->msi_index;
	virq = __irq_domain_alloc_irqs(dd->domain, -1, count, dev_to_node(dev), &arg,
				       false, masks);
	if (virq < 0)
		return virq;

	for (i = 0; i < count; i++) {
		msi_desc_copy_iova(descs[i], descs[0]);
		irq_set_msi_desc_off(virq + i, 0, descs[i]);
		irq_debugfs_copy_devname(virq + i, dev);
		trace_msi_alloc(&descs[i]->slot, virq + i);
	}
	return 0;
}

/* Make them ready for use. Returns an error code, and @done has how many are */
static int msi_store_init_run(struct msi_dev_store *store, struct msi_desc **descs,
			      unsigned int count, unsigned int *done)
{
	unsigned int vflags = msi_store_vflags(store);
	int ret = 0;

	for (*done = 0; *done < count; ++*done) {
		struct msi_desc *desc = descs[*done];

		ret = msi_init_virq(store->devdom->domain, desc->irq, vflags);
		if (!ret && (vflags & VIRQ_SYSFS))
			ret = msi_sysfs_populate_desc(desc->dev, store, desc);
		if (ret)
			break;
		cond_resched();
	}
	return ret;
}

/* As msi_free_desc_irqs(), if @desc has interrupts */
static void msi_store_free_desc_irqs(struct msi_dev_store *store, struct msi_desc *desc)
{
	if (!msi_desc_match(desc, MSI_DESC_ASSOCIATED))
		return;

	trace_msi_free(&desc->slot, desc->irq);
	msi_free_desc_irqs(store->devdom->domain, desc);
}

/* The device domain and everything that came with the template */
static void msi_store_teardown(struct msi_dev_store *store)
{
	struct msi_storage *storage = &store->storage;

	msi_device_domain_detach(store);
	if (!store->tmpl)
		return;

	/* Its work uses what is released */
	msi_deferred_exit(store);
	if (storage->ops->release)
		storage->ops->release(storage);
	msi_store_exit(store);
}

/* The MSI parent of device domains of @dev, NULL if it has none */
static struct irq_domain *msi_parent_domain(struct device *dev)
{
	struct irq_domain *domain = dev_get_msi_domain(dev), *parent;

	if (!domain || irq_domain_is_msi_parent(domain))
		return domain;

	/* The device has a global domain, and the domain below that takes its place */
	parent = domain->parent;
	if (parent && irq_domain_is_msi_parent(parent) &&
	    parent->msi_parent_ops->global_tokens & BIT(domain->bus_token))
		return parent;
	return NULL;
}

/**
 * msi_parent_carries - Check what the MSI parent domain of a device can carry
 * @dev:	Device to check
 * @what:	What it has to carry, e.g. %MSI_PARENT_PCI_MSI
 *
 * Context: Any context.
 *
 * Return: True if @dev has a MSI parent domain and it carries all of @what
 */
bool msi_parent_carries(struct device *dev, u32 what)
{
	struct irq_domain *parent = msi_parent_domain(dev);

	return parent && !(what & ~parent->msi_parent_ops->carries);
}

/**
 * msi_default_store_setup - Set up the default store of a device
 * @dev:	Device to operate on
 * @tmpl:	What to make the store from
 * @size:	Number of slots that the device has. 0 means @tmpl->size
 * @priv:	Private data for the storage ops, see &struct msi_storage_ops.release
 *
 * Called by the bus before it adds descriptors. The store has a device domain
 * afterwards if the interrupt domain of @dev is a MSI parent domain. If it is
 * not, the interrupts have to come from a global MSI domain or from architecture
 * hooks, and the template tells the core about the slots nevertheless.
 *
 * Does nothing if the store was made from @tmpl with the same size, private data and
 * parent domain already. What was made differently is removed first. The store must
 * not have descriptors at this point.
 *
 * Context: Task context, can sleep. The MSI lock of @dev must be held.
 *
 * Return: 0 on success, otherwise
 *	* %-ENODEV     - The owner of @tmpl is going away
 *	* %-EOPNOTSUPP - The parent domain cannot carry this kind of messages
 *	* %-EINVAL     - @tmpl or @size are invalid
 *	* %-ENOMEM     - Out of memory
 *	* Any error that the parent domain returns
 */
int msi_default_store_setup(struct device *dev, const struct msi_storage_template *tmpl,
			    unsigned int size, void *priv)
{
	struct msi_dev_store *store = msi_default_store(dev);
	struct irq_domain *parent = msi_parent_domain(dev);
	struct irq_domain *present;
	int ret;

	if (WARN_ON_ONCE(!xa_empty(&store->descs)))
		return -EINVAL;

	present = store->devdom ? store->devdom->domain->parent : NULL;
	if (store->tmpl == tmpl && store->storage.size == (size ?: tmpl->size) &&
	    store->storage.priv == priv && parent == present)
		return 0;

	msi_store_teardown(store);
	ret = msi_store_init(dev, store, tmpl, size, priv);
	if (ret || !parent)
		return ret;

	ret = msi_device_domain_attach(store, parent);
	if (ret)
		msi_store_exit(store);
	return ret;
}

/**
 * msi_default_store_teardown - Undo msi_default_store_setup()
 * @dev:	Device to operate on
 *
 * For a bus whose private data must not outlive the interrupts. The store must not have
 * descriptors. Without this, the next setup, or the end of the driver, does the same.
 *
 * Context: Task context, can sleep. The MSI lock of @dev must be held.
 */
void msi_default_store_teardown(struct device *dev)
{
	struct msi_dev_store *store = msi_default_store(dev);

	if (!WARN_ON_ONCE(!xa_empty(&store->descs)))
		msi_store_teardown(store);
}

/**
 * msi_default_store_has_domain - Check for a device domain of the default store
 * @dev:	Device to operate on
 *
 * Context: The MSI lock of @dev must be held.
 *
 * Return: True if the interrupts of the default store come from a device domain
 */
bool msi_default_store_has_domain(struct device *dev)
{
	return !!msi_default_store(dev)->devdom;
}

/**
 * msi_default_store_alloc_irqs - Allocate interrupts for the default store
 * @dev:	Device to operate on
 *
 * Allocates interrupts for all descriptors of the default store that have none
 * yet. The default store must have a device domain.
 *
 * When this fails, then the interrupts that were allocated stay until
 * msi_default_store_free_irqs() is invoked.
 *
 * Context: Task context, can sleep. The MSI lock of @dev must be held.
 *
 * Return: 0 on success. A positive number if only so many interrupts are
 * available. Otherwise an error code.
 */
int msi_default_store_alloc_irqs(struct device *dev)
{
	struct msi_dev_store *store = msi_default_store(dev);
	struct msi_desc *desc;
	unsigned long index;
	int allocated = 0;
	int ret;

	xa_for_each(&store->descs, index, desc) {
		if (!msi_desc_match(desc, MSI_DESC_NOTASSOCIATED))
			continue;
		ret = msi_store_alloc_desc_irqs(store, desc);
		if (ret)
			return desc->irq ? ret : msi_handle_fail(store, desc, allocated);
		allocated++;
	}
	return 0;
}

/**
 * msi_default_store_free_irqs - Free all interrupts of the default store
 * @dev:	Device to operate on
 *
 * The default store must have a device domain. The descriptors stay.
 *
 * Context: Task context, can sleep. The MSI lock of @dev must be held.
 */
void msi_default_store_free_irqs(struct device *dev)
{
	struct msi_dev_store *store = msi_default_store(dev);
	struct msi_desc *desc;
	unsigned long index;

	xa_for_each(&store->descs, index, desc)
		msi_store_free_desc_irqs(store, desc);
}

/*
 * Get the message of a new interrupt into a deferred store, while there is a caller
 * to be told if that fails. It is there when the store was unlocked.
 */
static int msi_store_arm_desc(struct msi_dev_store *store, struct msi_desc *desc)
{
	msi_deferred_init_slot(&desc->slot);
	return msi_init_virq(store->devdom->domain, desc->irq,
			     msi_store_vflags(store) | VIRQ_ACTIVATE);
}

/* From here on its changes reach the device */
static void msi_write_slot(struct msi_desc *desc, struct msi_slot *slot)
{
	msi_core_desc(desc)->dirty = 0;
	msi_slot_restore(slot);
}

static void msi_desc_write_slots(struct msi_desc *desc)
{
	rcu_read_lock();
	msi_desc_each_slot(desc, msi_write_slot);
	rcu_read_unlock();
}

/*
 * The reverse, for any store, before the interrupt is freed. Until then the device
 * can send its message. If its slots are about to be restored then that comes too late
 * for this one, and the device may still have what it was told before.
 */
static void msi_store_disarm_desc(struct msi_dev_store *store, struct msi_desc *desc)
{
	if (!msi_desc_match(desc, MSI_DESC_ASSOCIATED))
		return;

	msi_deactivate_desc_irqs(store->devdom->domain, desc);
	if (store->deferred)
		msi_slot_clear(&desc->slot);
	else if (msi_core_desc(desc)->dirty && !msi_store_is_suspended(store))
		msi_desc_write_slots(desc);
	msi_device_domain_drop_chip(desc->irq);
}

static void msi_store_del_desc(struct msi_dev_store *store, struct msi_desc *desc)
{
	msi_erase_desc(store, desc->msi_index);
	msi_free_desc(store, desc);
}

/*
 * Free interrupts with their descriptors. The bus lock is not held while interrupts are
 * freed or allocated, because the interrupt core takes it where it resets a handler, as when
 * an allocation fails half way. A slot that a device does not clear is left as it is.
 */
static void msi_store_free_descs(struct msi_dev_store *store, struct msi_desc **descs,
				 unsigned int count)
{
	unsigned int i;

	lockdep_assert_held(store->guard);

	msi_store_lock(store);
	for (i = 0; i < count; i++) {
		msi_store_disarm_desc(store, descs[i]);
		cond_resched();
	}
	msi_store_sync_unlock(store);

	for (i = 0; i < count; i++) {
		msi_store_free_desc_irqs(store, descs[i]);
		cond_resched();
	}

	msi_store_lock(store);
	for (i = 0; i < count; i++) {
		msi_store_del_desc(store, descs[i]);
		cond_resched();
	}
	msi_store_sync_unlock(store);
}

/**
 * struct msi_request - Interrupts to allocate from a store
 * @index:	The index of the first one, the others follow, or %MSI_ANY_INDEX
 * @min:	How many are required
 * @max:	How many are desired
 * @masks:	Optional: The affinity of each
 * @cookies:	Optional: The cookie of each
 * @init_desc:	What the descriptors start with
 */
struct msi_request {
	unsigned int				index;
	unsigned int				min;
	unsigned int				max;
	const struct irq_affinity_desc		*masks;
	const union msi_instance_cookie		*cookies;
	struct msi_desc				init_desc;
};

/*
 * The number of interrupts if allocation has come to an end after @done of them with
 * @err, or an error code: If at least the minimum was allocated before the parent was
 * exhausted, that is a success. Other errors fail the request.
 */
static int msi_request_result(const struct msi_request *req, unsigned int done, int err)
{
	if (!err || (done >= req->min && (err == -ENOSPC || err == -ENOMEM)))
		return done;
	return err;
}

/* Returns how many were added, or an error code and none was */
static int msi_store_add_descs(struct device *dev, struct msi_dev_store *store,
			       struct msi_request *req, struct msi_desc **descs)
{
	unsigned int i, n = 0;
	int ret, err = 0;

	lockdep_assert_held(store->guard);

	msi_store_lock(store);
	for (i = 0; i < req->max; i++) {
		if (req->masks)
			req->init_desc.affinity = (struct irq_affinity_desc *)&req->masks[i];
		if (req->cookies)
			msi_slot_set_cookie(&req->init_desc.slot, &req->cookies[i]);
		req->init_desc.msi_index = req->index;
		if (req->index != MSI_ANY_INDEX)
			req->init_desc.msi_index += i;

		descs[i] = msi_store_add_desc(dev, store, &req->init_desc);
		if (IS_ERR(descs[i])) {
			err = PTR_ERR(descs[i]);
			break;
		}
		n++;
		cond_resched();
	}

	ret = msi_request_result(req, n, err);
	for (i = 0; ret < 0 && i < n; i++)
		msi_store_del_desc(store, descs[i]);
	msi_store_sync_unlock(store);
	return ret;
}

/* The same for the interrupts of @count descriptors, of which it frees the rest */
static int msi_store_add_irqs(struct msi_dev_store *store, const struct msi_request *req,
			      struct msi_desc **descs, unsigned int count)
{
	unsigned int n = 0, run, max = MSI_RUN_MAX;
	int ret, err = 0;

	while (n < count && !err) {
		run = msi_store_run(store, descs + n, min(max, count - n));
		if (run == 1) {
			err = msi_store_alloc_desc_irqs(store, descs[n]);
			n += !err;
			cond_resched();
			continue;
		}

		err = msi_store_alloc_run(store, descs + n, run,
					  req->masks ? req->masks + n : NULL);
		if (err == -ENOSPC || (err == -ENOMEM && !irq_has_free_numbers(run))) {
			/* Too few interrupts, or consecutive numbers: Try half as many */
			max = run / 2;
			err = 0;
		} else if (!err) {
			err = msi_store_init_run(store, descs + n, run, &run);
			n += run;
		}
	}

	ret = msi_request_result(req, n, err);
	n = max(ret, 0);
	if (n < count)
		msi_store_free_descs(store, descs + n, count - n);
	return ret;
}

/* The same for their messages, of which all have to get into a deferred store */
static int msi_store_arm_descs(struct msi_dev_store *store, struct msi_desc **descs,
			       unsigned int count)
{
	int ret = 0, err;
	unsigned int i;

	if (!store->deferred)
		return count;

	msi_store_lock(store);
	for (i = 0; i < count && !ret; i++)
		ret = msi_store_arm_desc(store, descs[i]);
	err = msi_store_sync_unlock(store);

	ret = ret ?: err;
	if (!ret)
		return count;
	msi_store_free_descs(store, descs, count);
	return ret;
}

static int msi_store_alloc_descs(struct device *dev, struct msi_dev_store *store,
				 struct msi_request *req, struct msi_desc **descs)
{
	unsigned int noio;
	int ret;

	/*
	 * This device can be one that memory is written to. Its interrupts wait for the
	 * bus lock, and its recovery for the lock of the store.
	 */
	noio = memalloc_noio_save();
	ret = msi_store_add_descs(dev, store, req, descs);
	if (ret > 0)
		ret = msi_store_add_irqs(store, req, descs, ret);
	if (ret > 0)
		ret = msi_store_arm_descs(store, descs, ret);
	memalloc_noio_restore(noio);
	return ret;
}

/* A deferred store cannot shut down an interrupt when its last CPU goes offline. */
static bool msi_store_can_manage(const struct msi_dev_store *store,
				 const struct irq_affinity_desc *affdesc)
{
	return !store->deferred || !affdesc || !affdesc->is_managed;
}

static struct msi_map msi_store_alloc_locked(struct device *dev, struct msi_dev_store *store,
					     const struct msi_desc *init_desc)
{
	struct msi_request req = {
		.index = init_desc->msi_index, .min = 1, .max = 1, .init_desc = *init_desc,
	};
	struct msi_desc *desc;
	int ret;

	if (init_desc->msi_index != MSI_ANY_INDEX &&
	    init_desc->msi_index >= store->storage.size)
		return (struct msi_map){ .index = -ERANGE };

	if (!msi_store_can_manage(store, init_desc->affinity))
		return (struct msi_map){ .index = -EOPNOTSUPP };

	ret = msi_store_alloc_descs(dev, store, &req, &desc);
	if (ret < 0)
		return (struct msi_map){ .index = ret };
	return (struct msi_map){ .index = desc->msi_index, .virq = desc->irq };
}

/* The descriptor of an interrupt that can be freed */
static struct msi_desc *msi_store_find_irq(struct msi_dev_store *store, struct msi_map map)
{
	struct msi_desc *desc;

	if (WARN_ON_ONCE(map.index < 0 || map.virq <= 0))
		return NULL;

	desc = xa_load(&store->descs, map.index);
	if (WARN_ON_ONCE(!desc || desc->irq != map.virq || irq_has_action(map.virq)))
		return NULL;
	return desc;
}

static void msi_store_free_locked(struct msi_dev_store *store, struct msi_map map)
{
	struct msi_desc *desc = msi_store_find_irq(store, map);

	if (desc)
		msi_store_free_descs(store, &desc, 1);
}

/**
 * msi_default_store_alloc_irq - Allocate one more interrupt for the default store
 * @dev:	Device to operate on
 * @init_desc:	The descriptor to add, for one message. Its index is the slot to
 *		use or %MSI_ANY_INDEX
 *
 * Context: Task context, can sleep. The MSI lock of @dev must be held.
 *
 * Return: A &struct msi_map, with the errors of msi_store_alloc_irq(). -ENODEV if
 * the default store has no device domain.
 */
struct msi_map msi_default_store_alloc_irq(struct device *dev,
					   const struct msi_desc *init_desc)
{
	struct msi_dev_store *store = msi_default_store(dev);

	if (!store->devdom)
		return (struct msi_map){ .index = -ENODEV };
	return msi_store_alloc_locked(dev, store, init_desc);
}

/**
 * msi_default_store_free_irq - Free one interrupt of the default store
 * @dev:	Device to operate on
 * @map:	Index and interrupt number
 *
 * The interrupt must not be requested any more. If @map is not an interrupt of
 * the store or the interrupt is still requested then nothing is freed.
 *
 * Context: Task context, can sleep. The MSI lock of @dev must be held.
 */
void msi_default_store_free_irq(struct device *dev, struct msi_map map)
{
	struct msi_dev_store *store = msi_default_store(dev);

	if (!WARN_ON_ONCE(!store->devdom))
		msi_store_free_locked(store, map);
}

/**
 * msi_store_alloc_irq - Allocate an interrupt from a message store
 * @dev:	Device to operate on
 * @id:		Id of the store as returned by msi_create_store(), or
 *		%MSI_FIRST_STORE for the one with the lowest id
 * @index:	Index of the slot to use or MSI_ANY_INDEX
 * @affdesc:	Optional: Affinity of the interrupt
 * @cookie:	Optional: Cookie for the storage ops. Copied, but what it points to must
 *		stay valid until the interrupt is freed
 *
 * Context: Task context, can sleep. Takes the lock of the store.
 *
 * Return: A &struct msi_map. On failure the index is a negative error code and
 * the interrupt number is 0:
 *
 *	* %-ENODEV - @dev has no such store
 *	* %-ERANGE - @index is beyond the end of the store
 *	* %-EBUSY  - @index is in use
 *	* %-ENOSPC - The store or the resources of the parent domain are exhausted
 *	* %-ENOMEM - Out of memory or of Linux interrupt numbers
 *	* %-EOPNOTSUPP - The affinity is a managed one and the store is deferred
 *	* Any error that the init_slot() or sync() callback of the store returns
 */
struct msi_map msi_store_alloc_irq(struct device *dev, unsigned int id,
				   unsigned int index,
				   const struct irq_affinity_desc *affdesc,
				   const union msi_instance_cookie *cookie)
{
	struct msi_map map = { .index = -ENODEV, };
	struct msi_desc init_desc = {
		.nvec_used	= 1,
		.affinity	= (struct irq_affinity_desc *)affdesc,
	};
	struct msi_dev_store *store;

	store = msi_store_get(dev, id);
	if (!store)
		return map;

	init_desc.msi_index = index;
	msi_slot_set_cookie(&init_desc.slot, cookie);

	mutex_lock(&store->lock);
	map = msi_store_alloc_locked(dev, store, &init_desc);
	mutex_unlock(&store->lock);
	msi_store_put(store);
	return map;
}
EXPORT_SYMBOL_GPL(msi_store_alloc_irq);

/**
 * msi_store_free_irq - Free an interrupt that was allocated from a message store
 * @dev:	Device to operate on
 * @id:		Id of the store, as it was handed to msi_store_alloc_irq()
 * @map:	What msi_store_alloc_irq() returned
 *
 * The interrupt must not be requested any more. If @map is not an interrupt of
 * the store or the interrupt is still requested then nothing is freed.
 *
 * Context: Task context, can sleep. Takes the lock of the store.
 */
void msi_store_free_irq(struct device *dev, unsigned int id, struct msi_map map)
{
	struct msi_dev_store *store;

	store = msi_store_get(dev, id);
	if (WARN_ON_ONCE(!store))
		return;

	mutex_lock(&store->lock);
	msi_store_free_locked(store, map);
	mutex_unlock(&store->lock);
	msi_store_put(store);
}
EXPORT_SYMBOL_GPL(msi_store_free_irq);

/* The masks of managed interrupts, if there are any, as the store can have them */
static struct irq_affinity_desc *msi_store_create_masks(struct msi_dev_store *store,
							unsigned int count,
							struct irq_affinity *affd)
{
	struct irq_affinity_desc *masks;
	unsigned int i;

	masks = irq_create_affinity_masks(count, affd);
	if (!masks && IS_ENABLED(CONFIG_SMP) && count > affd->pre_vectors + affd->post_vectors)
		return ERR_PTR(-ENOMEM);
	if (!masks || !store->deferred)
		return masks;

	for (i = 0; i < count; i++)
		masks[i].is_managed = 0;
	return masks;
}

/*
 * As msi_store_alloc_descs(), with the results in @maps. With @exact it is all that
 * were requested: If there are fewer then these are freed, and their number is returned.
 */
static int msi_store_alloc_maps(struct device *dev, struct msi_dev_store *store,
				struct msi_request *req, bool exact,
				struct msi_desc **descs, struct msi_map *maps)
{
	int i, ret;

	req->init_desc.affinity = NULL;
	mutex_lock(&store->lock);
	ret = msi_store_alloc_descs(dev, store, req, descs);
	if (exact && ret > 0 && ret < req->max) {
		msi_store_free_descs(store, descs, ret);
		goto unlock;
	}

	for (i = 0; i < ret; i++) {
		maps[i].index = descs[i]->msi_index;
		maps[i].virq = descs[i]->irq;
	}
unlock:
	mutex_unlock(&store->lock);
	return ret;
}

/*
 * With the affinity spread over what is available. Vectors and masks are calculated
 * without a lock, as that takes cpus_read_lock() and calls the driver.
 */
static int msi_store_spread_maps(struct device *dev, struct msi_dev_store *store,
				 struct msi_request *req, struct irq_affinity *affd,
				 struct msi_desc **descs, struct msi_map *maps)
{
	struct irq_affinity_desc *masks;
	int ret;

	for (;;) {
		req->max = irq_calc_affinity_vectors(req->min, req->max, affd);
		if (req->max < req->min)
			return -ENOSPC;

		masks = msi_store_create_masks(store, req->max, affd);
		if (IS_ERR(masks))
			return PTR_ERR(masks);
		req->masks = masks;
		ret = msi_store_alloc_maps(dev, store, req, true, descs, maps);
		kfree(masks);
		if (ret < 0 || ret == req->max)
			return ret;
		req->max = ret;
	}
}

/**
 * msi_store_alloc_irqs - Allocate several interrupts from a message store
 * @dev:	Device to operate on
 * @id:		Id of the store, as for msi_store_alloc_irq()
 * @index:	Index of the slot of the first one, the others get those that follow. Or
 *		MSI_ANY_INDEX for any slots that are free
 * @min:	How many are required, at least 1
 * @max:	How many are desired
 * @affd:	Optional: How to spread the affinity of the interrupts
 * @cookies:	Optional: @max cookies for the storage ops
 * @maps:	Room for @max results, in the order of their indices
 *
 * What does not depend on the number of interrupts is done once for all of them.
 *
 * The affinity that comes from @affd is managed by the kernel, see
 * irq_create_affinity_masks(), unless the store is deferred.
 *
 * Context: Task context, can sleep. Takes the lock of the store.
 *
 * Return: The number of interrupts, from @min to @max. Otherwise an error code,
 * and nothing was allocated:
 *
 *	* %-EINVAL - @min is 0 or greater than @max
 *	* %-ERANGE - From @index on the store has less than @min slots
 *	* %-EBUSY  - One of the slots from @index on, up to @max, is in use
 *	* %-ENOSPC - Fewer than @min are available
 *	* Any other error of msi_store_alloc_irq()
 */
int msi_store_alloc_irqs(struct device *dev, unsigned int id, unsigned int index,
			 unsigned int min, unsigned int max, struct irq_affinity *affd,
			 const union msi_instance_cookie *cookies, struct msi_map *maps)
{
	struct msi_request req = {
		.init_desc	= { .nvec_used = 1 },
		.cookies	= cookies,
		.index		= index,
		.min		= min,
	};
	struct msi_dev_store *store;
	struct msi_desc **descs;
	int ret;

	if (!min || min > max)
		return -EINVAL;

	store = msi_store_get(dev, id);
	if (!store)
		return -ENODEV;

	/* More slots are not free. Others can take and free some meanwhile */
	if (index == MSI_ANY_INDEX) {
		ret = -ENOSPC;
		req.max = store->storage.size - READ_ONCE(store->used);
	} else {
		ret = -ERANGE;
		req.max = store->storage.size - min(index, store->storage.size);
	}
	req.max = min(max, req.max);
	if (req.max < min)
		goto put_store;

	ret = -ENOMEM;
	descs = kvmalloc_array(req.max, sizeof(*descs), GFP_KERNEL);
	if (!descs)
		goto put_store;

	if (affd)
		ret = msi_store_spread_maps(dev, store, &req, affd, descs, maps);
	else
		ret = msi_store_alloc_maps(dev, store, &req, false, descs, maps);
	kvfree(descs);
put_store:
	msi_store_put(store);
	return ret;
}

/**
 * msi_store_get_affinity - Get the affinity that an interrupt was allocated with
 * @dev:	Device to operate on
 * @id:		Id of the store, as for msi_store_alloc_irq()
 * @index:	Index of the slot
 *
 * Context: Any context. Takes no lock.
 *
 * Return: The CPUs, valid as long as the interrupt is allocated. NULL if it was allocated
 *	   without affinity, or if there is no such interrupt
 */
const struct cpumask *msi_store_get_affinity(struct device *dev, unsigned int id,
					     unsigned int index)
{
	const struct cpumask *mask = NULL;
	struct msi_dev_store *store;
	struct msi_desc *desc;

	store = msi_store_get(dev, id);
	if (!store)
		return NULL;

	rcu_read_lock();
	desc = xa_load(&store->descs, index);
	if (desc && desc->affinity)
		mask = &desc->affinity->mask;
	rcu_read_unlock();
	msi_store_put(store);
	return mask;
}

/**
 * msi_store_free_irqs - Free several interrupts of a message store
 * @dev:	Device to operate on
 * @id:		Id of the store, as it was handed to msi_store_alloc_irqs()
 * @maps:	Interrupts that msi_store_alloc_irqs() or msi_store_alloc_irq() returned
 * @count:	How many they are
 *
 * None of them may be requested any more. What is not an interrupt of the store or
 * is still requested is not freed.
 *
 * Context: Task context, can sleep. Takes the lock of the store.
 */
void msi_store_free_irqs(struct device *dev, unsigned int id, const struct msi_map *maps,
			 unsigned int count)
{
	struct msi_desc *few[16], **descs = few, *desc;
	unsigned int size = ARRAY_SIZE(few);
	struct msi_dev_store *store;
	unsigned int i, noio, n = 0;

	store = msi_store_get(dev, id);
	if (WARN_ON_ONCE(!store))
		return;

	if (count > size) {
		/* As for msi_store_alloc_descs() */
		noio = memalloc_noio_save();
		descs = kvmalloc_array(count, sizeof(*descs), GFP_KERNEL | __GFP_NOWARN);
		memalloc_noio_restore(noio);
		if (descs)
			size = count;
		else
			descs = few;
	}

	mutex_lock(&store->lock);
	for (i = 0; i < count; i++) {
		desc = msi_store_find_irq(store, maps[i]);
		/* It stays in the store until its slot is cleared */
		if (desc && !WARN_ON_ONCE(msi_core_desc(desc)->freeing)) {
			msi_core_desc(desc)->freeing = true;
			descs[n++] = desc;
		}
		if (n == size || i == count - 1) {
			msi_store_free_descs(store, descs, n);
			n = 0;
		}
	}
	mutex_unlock(&store->lock);
	if (descs != few)
		kvfree(descs);
	msi_store_put(store);
}

static bool msi_store_is_gone(const struct msi_dev_store *store)
{
	return READ_ONCE(store->storage.ops) == &store->gone;
}

/* Unless that is done later, see msi_store_set_quiet() */
static void msi_slot_restore_now(struct msi_slot *slot)
{
	if (!msi_slot_core(slot)->dirty)
		msi_slot_restore(slot);
}

static void msi_direct_restore_irq(struct msi_slot *slot, unsigned int irq)
{
	struct irq_desc *irq_desc = irq_to_desc(irq);
	unsigned long flags;

	raw_spin_lock_irqsave(&irq_desc->lock, flags);
	msi_slot_restore_now(slot);
	raw_spin_unlock_irqrestore(&irq_desc->lock, flags);
}

/* With the slot masked, so that an event is sent with the old cookie or the new one */
static int msi_direct_set_cookie(struct msi_slot *slot, unsigned int irq,
				 const union msi_instance_cookie *cookie)
{
	struct irq_desc *irq_desc = irq_to_desc(irq);
	unsigned long flags;
	int ret;

	raw_spin_lock_irqsave(&irq_desc->lock, flags);
	msi_op_mask(slot);
	ret = msi_op_set_cookie(slot, cookie);
	if (!ret)
		msi_slot_set_cookie(slot, cookie);
	msi_slot_restore_now(slot);
	raw_spin_unlock_irqrestore(&irq_desc->lock, flags);
	return ret;
}

static int msi_desc_set_cookie(struct msi_dev_store *store, struct msi_desc *desc,
			       const union msi_instance_cookie *cookie)
{
	int ret;

	if (!store->tmpl->ops->set_cookie)
		return -EOPNOTSUPP;

	msi_store_lock(store);
	if (store->deferred)
		ret = msi_deferred_set_cookie(&desc->slot, cookie);
	else
		ret = msi_direct_set_cookie(&desc->slot, desc->irq, cookie);
	if (!ret)
		trace_msi_set_cookie(&desc->slot, desc->irq);
	msi_store_sync_unlock(store);
	return ret;
}

/* Get a store, locked, and an interrupt in it that is to be changed, or an error code */
static struct msi_desc *msi_store_get_irq(struct device *dev, unsigned int id,
					  struct msi_map map, struct msi_dev_store **store)
{
	struct msi_desc *desc = NULL;
	int err = -ENODEV;

	*store = msi_store_get(dev, id);
	if (!*store)
		return ERR_PTR(-ENODEV);

	mutex_lock(&(*store)->lock);
	if (!msi_store_is_gone(*store)) {
		err = -EINVAL;
		if (map.index >= 0 && map.virq > 0)
			desc = xa_load(&(*store)->descs, map.index);
	}
	if (desc && desc->irq == map.virq)
		return desc;

	mutex_unlock(&(*store)->lock);
	msi_store_put(*store);
	return ERR_PTR(err);
}

/**
 * msi_store_set_cookie - Change the cookie of an interrupt
 * @dev:	Device to operate on
 * @id:		Id of the store, as it was handed to msi_store_alloc_irq()
 * @map:	What msi_store_alloc_irq() returned
 * @cookie:	The new cookie, which is copied, or NULL for none
 *
 * The interrupt can be in use. It is masked meanwhile, and what comes in is sent with the
 * new cookie then. If the store is suspended then the device is told when it is resumed.
 *
 * Context: Task context, can sleep. Takes the lock of the store.
 *
 * Return: 0 on success, otherwise the interrupt has the cookie of before:
 *
 *	* %-ENODEV     - @dev has no such store, or was removed
 *	* %-EINVAL     - @map is not an interrupt of the store
 *	* %-EOPNOTSUPP - The store cannot change cookies
 *	* Any error that the set_cookie() or sync() callback of the store returns
 */
int msi_store_set_cookie(struct device *dev, unsigned int id, struct msi_map map,
			 const union msi_instance_cookie *cookie)
{
	struct msi_dev_store *store;
	struct msi_desc *desc;
	int ret;

	desc = msi_store_get_irq(dev, id, map, &store);
	if (IS_ERR(desc))
		return PTR_ERR(desc);

	ret = msi_desc_set_cookie(store, desc, cookie);
	mutex_unlock(&store->lock);
	msi_store_put(store);
	return ret;
}

/**
 * msi_store_restore_irq - Write one slot again
 * @dev:	Device to operate on
 * @id:		Id of the store, as it was handed to msi_store_alloc_irq()
 * @map:	What msi_store_alloc_irq() returned
 *
 * Message and mask state are in the device afterwards, or are when the store is resumed if
 * it is suspended.
 *
 * Context: Task context, can sleep. Takes the lock of the store.
 *
 * Return: 0 on success, otherwise
 *
 *	* %-ENODEV  - @dev has no such store, or was removed
 *	* %-EINVAL  - @map is not an interrupt of the store
 *	* Any error that the sync() callback of the store returns. The core tries again
 *	  later then
 */
int msi_store_restore_irq(struct device *dev, unsigned int id, struct msi_map map)
{
	struct msi_dev_store *store;
	struct msi_desc *desc;
	int ret = 0;

	desc = msi_store_get_irq(dev, id, map, &store);
	if (IS_ERR(desc))
		return PTR_ERR(desc);

	msi_store_lock(store);
	if (store->deferred)
		ret = msi_deferred_restore_slot(&desc->slot);
	else
		msi_direct_restore_irq(&desc->slot, desc->irq);
	msi_store_sync_unlock(store);
	mutex_unlock(&store->lock);
	msi_store_put(store);
	return ret;
}

/*
 * Call a function for each slot of a direct store, with the descriptor lock held. A slot
 * without an interrupt is still private to its allocation, and left out unless @new.
 */
static void msi_store_each_slot(struct msi_dev_store *store, msi_slot_fn fn, bool new)
{
	unsigned long index = 0;
	struct msi_desc *desc;

	do {
		rcu_read_lock();
		desc = xa_find(&store->descs, &index, ULONG_MAX, XA_PRESENT);
		if (desc && new && !READ_ONCE(desc->irq)) {
			fn(desc, &desc->slot);
			/* It has its interrupt now, or what sets that up sees the change */
			smp_mb();
		}
		if (desc && READ_ONCE(desc->irq))
			msi_desc_each_slot(desc, fn);
		rcu_read_unlock();
		cond_resched();
		index++;
	} while (desc);
}

static void msi_restore_slot(struct msi_desc *desc, struct msi_slot *slot)
{
	struct msi_dev_store *store = container_of(slot->storage, struct msi_dev_store, storage);

	/* With the descriptor lock, which suspension takes as well when it is marked */
	if (!READ_ONCE(store->lost) && !msi_store_is_suspended(store))
		msi_write_slot(desc, slot);
}

static void msi_lose_slot(struct msi_desc *desc, struct msi_slot *slot)
{
	msi_core_desc(desc)->dirty = MSI_SYNC_FORCE;
}

/*
 * Only record changes of a direct store, until msi_store_write_slots(). An op that has
 * begun before is over when the descriptor lock was taken once. A device that is gone
 * keeps its ops.
 */
static void msi_store_set_quiet(struct msi_dev_store *store, bool lost)
{
	xa_lock(&store->descs);
	if (lost) {
		WRITE_ONCE(store->lost, true);
		store->losses++;
	}
	cmpxchg(&store->storage.ops, store->tmpl->ops, &store->quiet);
	xa_unlock(&store->descs);
	msi_store_each_slot(store, msi_lose_slot, true);
}

/*
 * Write messages and mask state of all slots of a direct store again. If the device loses
 * them once more meanwhile, the store stays quiet for the next restore.
 */
static void msi_store_write_slots(struct msi_dev_store *store)
{
	unsigned int losses;

	lockdep_assert_held(store->guard);

	xa_lock(&store->descs);
	losses = store->losses;
	xa_unlock(&store->descs);
	if (READ_ONCE(store->lost))
		return;

	msi_store_each_slot(store, msi_restore_slot, false);
	xa_lock(&store->descs);
	if (!store->lost && !msi_store_is_suspended(store) && store->losses == losses)
		cmpxchg(&store->storage.ops, &store->quiet, store->tmpl->ops);
	xa_unlock(&store->descs);
}

/* False if it has to wait, and must not. The guard keeps out allocation and release */
static bool msi_store_try_rewrite(struct msi_dev_store *store, bool wait)
{
	bool done = true;

	if (!msi_mutex_lock_if(store->guard, wait))
		return false;

	if (msi_store_is_suspended(store) || READ_ONCE(store->lost)) {
		; /* Not yet */
	} else if (!store->tmpl->ops->lock) {
		msi_store_write_slots(store);
	} else if (msi_store_lock_if(store, wait)) {
		msi_store_write_slots(store);
		msi_store_end(store);
	} else {
		done = false;
	}
	mutex_unlock(store->guard);
	return done;
}

/*
 * If it does not wait for a change that is being carried out, then do it afterwards. Slots
 * with an interrupt need not wait unless lock() is required.
 */
static void msi_store_rewrite(struct msi_dev_store *store, bool wait)
{
	if (msi_store_try_rewrite(store, wait))
		return;

	if (!store->tmpl->ops->lock && !msi_store_is_suspended(store))
		msi_store_each_slot(store, msi_restore_slot, false);
	queue_work(msi_wq, &store->restore);
}

static void msi_store_rewrite_work(struct work_struct *work)
{
	msi_store_rewrite(container_of(work, struct msi_dev_store, restore), true);
}

/*
 * Does not call lock(), so that a device in an error state is not accessed. The holder of the
 * bus lock has called it before, or finds the store quiet.
 */
static int msi_direct_suspend(struct msi_dev_store *store)
{
	bool wait = msi_store_can_wait(store, RPM_SUSPENDING);
	struct mutex *bus_lock = store->tmpl->ops->lock ? &store->bus_lock : NULL;

	if (!msi_mutex_lock_if(store->guard, wait))
		return -EBUSY;

	if (bus_lock && !msi_mutex_lock_if(bus_lock, wait)) {
		mutex_unlock(store->guard);
		return -EBUSY;
	}
	WRITE_ONCE(store->storage.suspended, true);
	msi_store_set_quiet(store, false);
	if (bus_lock)
		mutex_unlock(bus_lock);
	mutex_unlock(store->guard);
	return 0;
}

static void msi_direct_resume(struct msi_dev_store *store)
{
	WRITE_ONCE(store->storage.suspended, false);
	/* After a reset msi_restore_stores() does that */
	if (!READ_ONCE(store->storage.resetting))
		WRITE_ONCE(store->lost, false);
	msi_store_rewrite(store, msi_store_can_wait(store, RPM_RESUMING));
}

/**
 * msi_store_suspend - Do not access the device for a store from here on
 * @dev:	Device to operate on
 * @id:		Id of the store
 * @accessible:	The device can still be accessed
 *
 * When this returns no storage op accesses the device or its slots. What changes is only
 * recorded, until msi_store_resume() is invoked.
 *
 * A direct store has nothing left to carry out. If @accessible, a deferred one carries out
 * what the core wanted the device to know so far, unless the device fails to do that. If
 * not, the changes that are being carried out are the last ones.
 *
 * Context: Task context, can sleep. Waits for allocations and changes that are being carried
 *	    out, unless run-time power management suspends @dev.
 *
 * Return: 0 on success, -ENODEV if @dev has no such store or was removed, -EBUSY if that does
 * not wait: the storage op can be about to resume @dev, so that it has to stay
 */
int msi_store_suspend(struct device *dev, unsigned int id, bool accessible)
{
	struct msi_dev_store *store;
	int ret;

	store = msi_store_get(dev, id);
	if (!store)
		return -ENODEV;

	if (msi_store_is_gone(store))
		ret = -ENODEV;
	else if (store->deferred)
		ret = msi_deferred_suspend(store, accessible);
	else
		ret = msi_direct_suspend(store);
	msi_store_put(store);
	return ret;
}

/**
 * msi_store_resume - Write a store again, and end its suspension
 * @dev:	Device to operate on
 * @id:		Id of the store
 *
 * For drivers of devices that have forgotten the slots. Messages and mask state of
 * all slots are in the device afterwards, or soon if this does not wait. While the bus resets
 * @dev nothing is written: msi_restore_stores() does it.
 *
 * Context: Task context, can sleep. Waits for the changes that are being carried out,
 *	    unless a storage op calls it or run-time power management resumes @dev: an op
 *	    can wait for that. The slots are written when the op has returned then, and by
 *	    a work item if the storage ops have lock().
 *
 * Return: 0 on success, -ENODEV if @dev has no such store or was removed, -EIO if @dev is being
 * suspended as one that cannot be accessed, so that the store stays suspended. Otherwise the
 * first error that the storage ops returned. The core tries again later then
 */
int msi_store_resume(struct device *dev, unsigned int id)
{
	struct msi_dev_store *store;
	int ret = 0;

	store = msi_store_get(dev, id);
	if (!store)
		return -ENODEV;

	if (msi_store_is_gone(store))
		ret = -ENODEV;
	else if (store->deferred)
		ret = msi_deferred_resume(store);
	else
		msi_direct_resume(store);
	msi_store_put(store);
	return ret;
}

/**
 * msi_has_created_stores - Check whether a device has more than its default store
 * @dev:	Device to check
 *
 * Lets atomic callers skip a device without created stores. While a store is created or
 * removed, either answer is possible.
 *
 * Context: Any context.
 *
 * Return: True if it has
 */
bool msi_has_created_stores(struct device *dev)
{
	unsigned long id = MSI_DEFAULT_STORE + 1;
	struct msi_device_data *md;
	bool ret;

	rcu_read_lock();
	md = READ_ONCE(dev->msi.data);
	ret = md && xa_find(&md->stores, &id, ULONG_MAX, XA_PRESENT);
	rcu_read_unlock();
	return ret;
}

/**
 * msi_lose_stores - Do not change slots before they are written again
 * @dev:	Device to operate on
 * @reset:	The device is reset. No op that is invoked from here on accesses it, before
 *		msi_restore_stores() or msi_end_reset()
 *
 * For the bus, before it resets a device or before a device that has forgotten its stores
 * can be accessed. An interrupt can be unmasked at any time, and its slot would send a
 * message that is not there. That is put off until the slot is written, by
 * msi_restore_stores() or, without @reset, msi_store_resume(). A change of a deferred store is
 * one of message and mask state then, unless the driver suspends it. Without @reset an
 * interrupt that is freed meanwhile is masked in the device, which can have kept its slot.
 *
 * Does not wait for an allocation. What that writes before the device can be accessed is
 * written again as well.
 *
 * Context: Task context, can sleep. Takes the lock of each interrupt.
 */
void msi_lose_stores(struct device *dev, bool reset)
{
	unsigned long id = MSI_DEFAULT_STORE + 1;
	struct msi_dev_store *store;

	for (; (store = msi_store_get_range(dev, &id, ULONG_MAX)); id++) {
		/* Where only the driver can write the slots, it suspends the store */
		if (reset && !(store->tmpl->flags & MSI_STORAGE_DRIVER_RESTORE))
			WRITE_ONCE(store->storage.resetting, true);
		if (!store->deferred)
			msi_store_set_quiet(store, true);
		else if (!(store->tmpl->flags & MSI_STORAGE_DRIVER_RESTORE))
			msi_deferred_mark_slots(store);
		msi_store_put(store);
	}
}

/**
 * msi_end_reset - End what msi_lose_stores() has begun for a reset
 * @dev:	Device to operate on
 *
 * For the bus, after msi_restore_stores(), or without it if the device does not respond. In
 * the latter case slots are not written before the driver invokes msi_store_resume(), or the
 * bus restores @dev.
 *
 * Context: Task context.
 */
void msi_end_reset(struct device *dev)
{
	unsigned long id = MSI_DEFAULT_STORE + 1;
	struct msi_dev_store *store;

	for (; (store = msi_store_get_range(dev, &id, ULONG_MAX)); id++) {
		WRITE_ONCE(store->storage.resetting, false);
		msi_store_put(store);
	}
}

/**
 * msi_restore_stores - Write the stores of a device again that it has forgotten
 * @dev:	Device to operate on
 *
 * For the bus, when the device can be accessed again and before its driver is told.
 * Skips the default store, which the bus restores itself. Stores that can only be
 * accessed by the driver, and those that it has suspended, have to wait for it to
 * invoke msi_store_resume().
 *
 * Does not wait for an allocation or a change that is being carried out, as the device may
 * be restored in order to finish that. Such a store is written afterwards.
 *
 * Context: Task context, can sleep.
 */
void msi_restore_stores(struct device *dev)
{
	unsigned long id = MSI_DEFAULT_STORE + 1;
	struct msi_dev_store *store;

	for (; (store = msi_store_get_range(dev, &id, ULONG_MAX)); id++) {
		WRITE_ONCE(store->lost, false);
		WRITE_ONCE(store->storage.resetting, false);
		if (store->tmpl->flags & MSI_STORAGE_DRIVER_RESTORE)
			; /* Has to wait for the driver */
		else if (store->deferred)
			msi_deferred_restore(store);
		else
			msi_store_rewrite(store, false);
		msi_store_put(store);
	}
}

/**
 * msi_device_gone - Do not access a device any more
 * @dev:	The device, which was removed while in use and does not come back
 *
 * For the bus. No storage ops are invoked for the device from here on, except for those
 * that release what the driver has: &msi_storage_ops.free_slot, unlock and release.
 *
 * Context: Any context.
 */
void msi_device_gone(struct device *dev)
{
	struct msi_dev_store *store;
	struct msi_device_data *md;
	unsigned long id;

	rcu_read_lock();
	md = READ_ONCE(dev->msi.data);
	if (md) {
		xa_for_each(&md->stores, id, store) {
			if (READ_ONCE(store->tmpl))
				WRITE_ONCE(store->storage.ops, &store->gone);
		}
	}
	rcu_read_unlock();
}

/* A requested interrupt of the store at or after @index */
static unsigned int msi_find_requested(struct msi_dev_store *store, unsigned long *index)
{
	struct msi_desc *desc;
	unsigned int i;

	lockdep_assert_held(store->guard);

	xa_for_each_start(&store->descs, *index, desc, *index) {
		for (i = 0; desc->irq && i < desc->nvec_used; i++) {
			if (irq_has_action(desc->irq + i))
				return desc->irq + i;
		}
	}
	return 0;
}

static void msi_free_action(unsigned int irq)
{
	struct irq_desc *desc = irq_to_desc(irq);

	/* Its action is a static one, which free_irq() would free */
	if (irq_desc_is_chained(desc))
		irq_set_chained_handler_and_data(irq, NULL, NULL);
	else
		free_irq(irq, desc->action->dev_id);
}

/*
 * The driver is unbound, or the store removed, without free_irq(). Do that in its place,
 * because the interrupts cannot stay. The lock of the store must not be held, as this
 * waits for threaded handlers that can take it.
 */
static void msi_free_actions(struct device *dev, struct msi_dev_store *store)
{
	unsigned long index = 0;
	unsigned int irq;

	do {
		mutex_lock(store->guard);
		irq = msi_find_requested(store, &index);
		mutex_unlock(store->guard);

		if (irq) {
			dev_warn(dev, "Interrupt %u was not freed by the driver\n", irq);
			msi_free_action(irq);
		}
	} while (irq);
}

/* Free all interrupts of a store, which are not requested any more */
static void msi_store_free_all_irqs(struct msi_dev_store *store)
{
	struct msi_desc *desc;
	unsigned long index;

	msi_store_lock(store);
	xa_for_each(&store->descs, index, desc) {
		msi_store_disarm_desc(store, desc);
		cond_resched();
	}
	msi_store_sync_unlock(store);

	xa_for_each(&store->descs, index, desc) {
		msi_store_free_desc_irqs(store, desc);
		cond_resched();
	}

	msi_store_lock(store);
	xa_for_each(&store->descs, index, desc) {
		msi_store_del_desc(store, desc);
		cond_resched();
	}
	msi_store_sync_unlock(store);
}

/* The store, unless it is being removed already */
static struct msi_dev_store *msi_store_begin_removal(struct device *dev, unsigned int id)
{
	struct msi_dev_store *store;

	msi_lock_descs(dev);
	store = xa_load(&dev->msi.data->stores, id);
	if (store && store->dying)
		store = NULL;
	if (store)
		WRITE_ONCE(store->dying, true);
	msi_unlock_descs(dev);
	return store;
}

/* msi_device_gone() has to find the store as long as it has interrupts */
static void __msi_remove_store(struct device *dev, struct msi_dev_store *store)
{
	msi_store_put(store);
	wait_for_completion(&store->unused);

	msi_free_actions(dev, store);
	/* While no slot is released, and so that those that were not masked are */
	flush_work(&store->restore);
	msi_store_free_all_irqs(store);
	msi_lock_descs(dev);
	xa_erase(&dev->msi.data->stores, store->id);
	msi_device_domain_detach(store);
	msi_unlock_descs(dev);
	msi_store_teardown(store);
	msi_free_store(store);
}

/**
 * msi_default_store_free_actions - Free the handlers that a driver has left
 * @dev:	Device to operate on
 *
 * For the bus when the driver is gone. Invokes free_irq(), with a warning, for
 * each interrupt of the default store that is still requested.
 *
 * Context: Task context, can sleep. Takes the MSI lock of @dev. Waits for the
 *	    handlers.
 */
void msi_default_store_free_actions(struct device *dev)
{
	msi_free_actions(dev, xa_load(&dev->msi.data->stores, MSI_DEFAULT_STORE));
}

struct msi_store_devres {
	unsigned int	id;
};

static void msi_store_devres_release(struct device *dev, void *res)
{
	struct msi_store_devres *dr = res;
	struct msi_dev_store *store;

	/* An action of the driver, which ran before, can have removed it */
	store = msi_store_begin_removal(dev, dr->id);
	if (store) {
		dev_warn(dev, "%s was not removed by the driver\n", store->devdom->name);
		__msi_remove_store(dev, store);
	}
}

static int msi_store_devres_match(struct device *dev, void *res, void *data)
{
	struct msi_store_devres *dr = res;
	unsigned int *id = data;

	return dr->id == *id;
}

/**
 * msi_create_store - Create a message store with a device domain
 * @dev:	Device that has the store
 * @tmpl:	What to make the store from
 * @size:	Number of slots that the device has. 0 means @tmpl->size
 * @priv:	Private data for the storage ops, see
 *		&struct msi_storage_ops.release
 *
 * The store exists until msi_remove_store() is invoked. It is removed, with a
 * warning, when the driver is unbound from @dev without having done that.
 *
 * Context: Task context, can sleep. Takes the MSI lock of @dev. The first call
 *	    for @dev must not be concurrent with anything else that sets up MSI
 *	    for it, see msi_setup_device_data().
 *
 * Return: The id of the store, which is greater than 0, otherwise
 *	* %-ENODEV     - The interrupt domain of @dev has no device domains, or the
 *	  owner of @tmpl is going away
 *	* %-EOPNOTSUPP - The parent domain cannot carry this kind of messages
 *	* %-EINVAL     - @tmpl or @size are invalid
 *	* %-ENOMEM     - Out of memory
 *	* Any error that the parent domain returns
 */
int msi_create_store(struct device *dev, const struct msi_storage_template *tmpl,
		     unsigned int size, void *priv)
{
	struct irq_domain *parent = msi_parent_domain(dev);
	struct msi_store_devres *dr;
	struct msi_dev_store *store;
	int ret;

	if (!parent)
		return -ENODEV;
	ret = msi_setup_device_data(dev);
	if (ret)
		return ret;

	dr = devres_alloc(msi_store_devres_release, sizeof(*dr), GFP_KERNEL);
	if (!dr)
		return -ENOMEM;

	msi_lock_descs(dev);
	store = msi_alloc_store();
	if (!store) {
		ret = -ENOMEM;
		goto unlock;
	}

	INIT_WORK(&store->restore, msi_store_rewrite_work);
	lockdep_register_key(&store->key);
	lockdep_set_class_and_name(&store->lock, &store->key, "msi_store_lock");
	lockdep_set_class_and_subclass(&store->bus_lock, &store->key, 1);
	/* Publish it when it is complete */
	ret = xa_alloc_cyclic(&dev->msi.data->stores, &store->id, NULL,
			      XA_LIMIT(MSI_DEFAULT_STORE + 1, INT_MAX),
			      &dev->msi.data->next_id, GFP_KERNEL);
	if (ret < 0)
		goto free_store;

	ret = msi_store_init(dev, store, tmpl, size, priv);
	if (ret)
		goto erase_store;

	ret = msi_device_domain_attach(store, parent);
	if (ret)
		goto exit_store;
	/* There can be many of them, and most are not in use */
	store->devdom->domain->flags |= IRQ_DOMAIN_FLAG_LATE_SYSFS;

	/* Takes the place that is reserved, and so can't fail */
	xa_store(&dev->msi.data->stores, store->id, store, GFP_KERNEL);
	dr->id = store->id;
	devres_add(dev, dr);
	msi_unlock_descs(dev);
	return dr->id;

exit_store:
	msi_store_exit(store);
erase_store:
	xa_release(&dev->msi.data->stores, store->id);
free_store:
	msi_free_store(store);
unlock:
	msi_unlock_descs(dev);
	devres_free(dr);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(msi_create_store, MSI_STORAGE);

/**
 * msi_remove_store - Remove a message store
 * @dev:	Device that has the store
 * @id:		Id of the store as returned by msi_create_store()
 *
 * Interrupts that have not been freed yet are freed.
 *
 * Context: Task context, can sleep. Takes the MSI lock of @dev. Waits for those that use
 *	    the store and for the handlers of interrupts that are still requested.
 */
void msi_remove_store(struct device *dev, unsigned int id)
{
	struct msi_dev_store *store;

	if (WARN_ON_ONCE(!dev->msi.data || id == MSI_DEFAULT_STORE || id == MSI_FIRST_STORE))
		return;

	store = msi_store_begin_removal(dev, id);
	if (WARN_ON_ONCE(!store))
		return;

	__msi_remove_store(dev, store);
	devres_destroy(dev, msi_store_devres_release, msi_store_devres_match, &id);
}
EXPORT_SYMBOL_GPL(msi_remove_store);

/*
 * The driver is unbound. A device domain with interrupts cannot be removed, so free
 * those that the driver has left.
 */
void msi_store_unbind(struct device *dev, struct msi_dev_store *store)
{
	if (store->devdom && !xa_empty(&store->descs)) {
		dev_warn(dev, "Interrupts of %s were not freed by the driver\n",
			 store->devdom->name);
		msi_free_actions(dev, store);
		msi_store_free_all_irqs(store);
	}
	msi_store_teardown(store);
}
