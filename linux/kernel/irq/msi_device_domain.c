// SPDX-License-Identifier: GPL-2.0
/*
 * Device MSI domains
 *
 * A device domain is the interrupt domain of one message store of one device:
 *
 *	device domain -> parent domain -> ... -> root domain
 *
 * It is made from a template, which comes with the storage ops of the store,
 * and from the parent domain, which describes itself in struct msi_parent_ops.
 *
 * Neither of them has to know the other. How they are composed is decided here
 * and nowhere else:
 *
 *   irq_chip callback		store's part		parent's part
 *   -----------------		------------		-------------
 *   irq_mask			mask, unless		afterwards, if MSI_PARENT_MASK
 *				MSI_STORAGE_NO_MASK
 *   irq_unmask			unmask, unless		first, if MSI_PARENT_MASK
 *				MSI_STORAGE_NO_MASK
 *   irq_enable			unmask, unless		first. Only if
 *				MSI_STORAGE_NO_MASK	MSI_PARENT_ENABLE
 *   irq_disable		mask, unless		afterwards. Only if
 *				MSI_STORAGE_NO_MASK	MSI_PARENT_ENABLE
 *   irq_ack			-			if MSI_PARENT_ACK
 *   irq_eoi			-			if MSI_PARENT_EOI
 *   irq_retrigger		-			the first that has it
 *   irq_set_wake		-			unless IRQCHIP_SKIP_SET_WAKE
 *   irq_set_vcpu_affinity	-			the core looks it up there
 *   irq_get_irqchip_state	-			the core looks it up there
 *   irq_set_irqchip_state	-			the core looks it up there
 *   irq_compose_msi_msg	-			the core looks it up there
 *   irq_set_affinity		write_msg, unless	decides
 *				MSI_PARENT_STABLE_MSG
 *				or IRQ_SET_MASK_OK_DONE
 *   the same with		write_msg, when		set_affinity_nomask, if
 *   MSI_STORAGE_NO_MASK	the parent says so	the parent has it
 *   irq_write_msi_msg		write_msg		-
 *   irq_bus_lock		lock			-
 *   irq_bus_sync_unlock	unlock			-
 *
 *   domain activate		write_msg		composes the message
 *   domain deactivate		mask, write_msg with	-
 *				an all zeros message
 *
 * While the slots of a direct store are lost, or the store is suspended, mask, unmask
 * and write_msg are recorded, and carried out when the slot is restored. See
 * msi_quiet_mask() and others.
 *
 * In a deferred store mask, unmask and write_msg are recorded, and irq_bus_lock and
 * irq_bus_sync_unlock are always there:
 *
 *   irq_bus_lock		take the bus lock, lock	-
 *   irq_bus_sync_unlock	sync each dirty slot,	-
 *				unlock, release the
 *				bus lock
 *
 * Invariants:
 *
 *   - The write_msg, mask and unmask of a direct store are invoked with the
 *     interrupt descriptor lock held and interrupts disabled.
 *   - A deferred store records only masking without the bus lock. Its
 *     message does not depend on the affinity, and the kernel does not manage the
 *     affinity of its interrupts, which would shut them down on a CPU that goes
 *     offline. See msi_deferred.c for what becomes of it.
 *   - A slot that has no interrupt, or one that is not activated, is masked, or
 *     has no message if the store cannot mask.
 *   - Interrupts are never probed: probe_irq_on() would start each one that is not
 *     requested, without the bus lock, and take a vector for it.
 *   - A slot is never unmasked while it has no message, also not while the device
 *     has lost its state.
 *   - msi_slot::msg and msi_slot::masked are what the device should have. The
 *     bus takes care of that when the device is shut down, loses its state or
 *     is restored.
 */
#include <linux/device.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/msi.h>
#include <linux/slab.h>

#include <trace/events/msi.h>

#include "internals.h"

static void msi_slot_mask(struct irq_data *data)
{
	struct msi_slot *slot = data->chip_data;

	msi_op_mask(slot);
	slot->masked = true;
	trace_msi_mask(slot, true);
}

static void msi_slot_unmask(struct irq_data *data)
{
	struct msi_slot *slot = data->chip_data;

	/* Before, as the interrupt can come in at once */
	trace_msi_mask(slot, false);
	msi_op_unmask(slot);
	slot->masked = false;
}

static void msi_slot_record_mask(struct irq_data *data)
{
	msi_deferred_set_mask(data->chip_data, true);
}

static void msi_slot_record_unmask(struct irq_data *data)
{
	msi_deferred_set_mask(data->chip_data, false);
}

static void msi_slot_mask_parent(struct irq_data *data)
{
	msi_slot_mask(data);
	irq_chip_mask_parent(data);
}

static void msi_slot_unmask_parent(struct irq_data *data)
{
	irq_chip_unmask_parent(data);
	msi_slot_unmask(data);
}

/* A parent that has irq_enable() and irq_disable() unmasks and masks in them */
static void msi_slot_enable_parent(struct irq_data *data)
{
	irq_chip_enable_parent(data);
	msi_slot_unmask(data);
}

static void msi_slot_disable_parent(struct irq_data *data)
{
	msi_slot_mask(data);
	irq_chip_disable_parent(data);
}

static void msi_slot_record_mask_parent(struct irq_data *data)
{
	msi_slot_record_mask(data);
	irq_chip_mask_parent(data);
}

static void msi_slot_record_unmask_parent(struct irq_data *data)
{
	irq_chip_unmask_parent(data);
	msi_slot_record_unmask(data);
}

/* The core expects an interrupt chip to have the callbacks, see irq_move_irq() */
static void msi_slot_no_mask(struct irq_data *data) { }

static void msi_slot_write_msg(struct irq_data *data, struct msi_msg *msg)
{
	struct msi_slot *slot = data->chip_data;

	msi_op_write_msg(slot, msg);
	slot->msg = *msg;
	trace_msi_write_msg(slot, msg);

	msi_msg_written(irq_data_get_msi_desc(data), slot);
}

static void msi_slot_record_msg(struct irq_data *data, struct msi_msg *msg)
{
	msi_deferred_set_msg(data->chip_data, msg);
}

static struct msi_dev_store *irq_data_to_store(struct irq_data *data)
{
	struct msi_slot *slot = READ_ONCE(data->chip_data);

	return slot ? container_of(slot->storage, struct msi_dev_store, storage) : NULL;
}

/*
 * The interrupt can be freed while this waits, see msi_device_domain_drop_chip(). It has
 * no chip then that could release the lock.
 */
static void msi_slot_bus_lock(struct irq_data *data)
{
	struct msi_dev_store *store = irq_data_to_store(data);

	if (!store)
		return;

	msi_store_lock_if(store, true);
	if (!READ_ONCE(data->chip)->irq_bus_sync_unlock)
		msi_store_sync_unlock(store);
}

/*
 * debugfs exposes an interrupt before its chip and slot are set, so the caller may not hold
 * the lock. A failure was logged and is tried again, so it is not
 * returned.
 */
static void msi_slot_bus_sync_unlock(struct irq_data *data)
{
	struct msi_dev_store *store = irq_data_to_store(data);

	if (store && READ_ONCE(store->owner) == current)
		msi_store_sync_unlock(store);
}

static int msi_slot_update_msg(struct irq_data *data)
{
	/* Parents that support level type messages write the second one too */
	struct msi_msg msg[2] = { };
	int ret;

	ret = irq_chip_compose_msi_msg(data, msg);
	if (!ret)
		data->chip->irq_write_msi_msg(data, msg);
	return ret;
}

static int msi_slot_set_affinity(struct irq_data *data,
				 const struct cpumask *mask, bool force)
{
	int ret, err;

	ret = irq_chip_set_affinity_parent(data, mask, force);
	if (ret < 0 || ret == IRQ_SET_MASK_OK_DONE)
		return ret;

	err = msi_slot_update_msg(data);
	return err ?: ret;
}

/*
 * What masks, unmasks and writes messages, by kind of store and by MSI_PARENT_MASK, and
 * what enables and disables on a parent with MSI_PARENT_ENABLE
 */
struct msi_chip_part {
	void	(*mask[2])(struct irq_data *data);
	void	(*unmask[2])(struct irq_data *data);
	void	(*enable)(struct irq_data *data);
	void	(*disable)(struct irq_data *data);
	void	(*write_msg)(struct irq_data *data, struct msi_msg *msg);
};

static const struct msi_chip_part msi_direct_part = {
	.mask		= { msi_slot_mask, msi_slot_mask_parent },
	.unmask		= { msi_slot_unmask, msi_slot_unmask_parent },
	.enable		= msi_slot_enable_parent,
	.disable	= msi_slot_disable_parent,
	.write_msg	= msi_slot_write_msg,
};

static const struct msi_chip_part msi_nomask_part = {
	.mask		= { msi_slot_no_mask, irq_chip_mask_parent },
	.unmask		= { msi_slot_no_mask, irq_chip_unmask_parent },
	.enable		= irq_chip_enable_parent,
	.disable	= irq_chip_disable_parent,
	.write_msg	= msi_slot_write_msg,
};

/* On no parent with MSI_PARENT_ENABLE, see msi_parent_error() */
static const struct msi_chip_part msi_deferred_part = {
	.mask		= { msi_slot_record_mask, msi_slot_record_mask_parent },
	.unmask		= { msi_slot_record_unmask, msi_slot_record_unmask_parent },
	.write_msg	= msi_slot_record_msg,
};

/* The same error as for a chip without the callback, if the parent has none */
static int msi_set_wake_parent(struct irq_data *data, unsigned int on)
{
	const struct irq_chip *chip = data->parent_data->chip;

	if (!chip->irq_set_wake && !(chip->flags & IRQCHIP_SKIP_SET_WAKE))
		return -ENXIO;
	return irq_chip_set_wake_parent(data, on);
}

/* The function that owns the table at the top of this file */
static void msi_device_domain_init_chip(struct msi_device_domain *dd,
					const struct msi_storage_template *tmpl,
					const struct msi_parent_ops *pops)
{
	bool mask_parent = pops->flags & MSI_PARENT_MASK;
	bool can_mask = !(tmpl->flags & MSI_STORAGE_NO_MASK);
	const struct msi_chip_part *part;
	struct irq_chip *chip = &dd->chip;

	chip->name = dd->name;
	/* A message is sent once per event. Masking is not required for oneshot */
	chip->flags = pops->chip_flags | IRQCHIP_ONESHOT_SAFE;

	part = tmpl->ops->sync ? &msi_deferred_part :
	       can_mask ? &msi_direct_part : &msi_nomask_part;
	chip->irq_mask = part->mask[mask_parent];
	chip->irq_unmask = part->unmask[mask_parent];
	chip->irq_write_msi_msg = part->write_msg;
	if (pops->flags & MSI_PARENT_ENABLE) {
		chip->irq_enable = part->enable;
		chip->irq_disable = part->disable;
	}

	if (tmpl->ops->sync || tmpl->ops->lock) {
		chip->irq_bus_lock = msi_slot_bus_lock;
		chip->irq_bus_sync_unlock = msi_slot_bus_sync_unlock;
	}

	if (pops->flags & MSI_PARENT_STABLE_MSG)
		chip->irq_set_affinity = irq_chip_set_affinity_parent;
	else if (!can_mask && pops->set_affinity_nomask)
		chip->irq_set_affinity = pops->set_affinity_nomask;
	else
		chip->irq_set_affinity = msi_slot_set_affinity;

	if (pops->flags & MSI_PARENT_ACK)
		chip->irq_ack = irq_chip_ack_parent;
	if (pops->flags & MSI_PARENT_EOI)
		chip->irq_eoi = irq_chip_eoi_parent;
	if (!(pops->chip_flags & IRQCHIP_SKIP_SET_WAKE))
		chip->irq_set_wake = msi_set_wake_parent;

	chip->irq_retrigger = irq_chip_retrigger_hierarchy;
}

static int msi_device_domain_activate(struct irq_domain *domain,
				      struct irq_data *data, bool reserve)
{
	return msi_slot_update_msg(data);
}

static void msi_device_domain_deactivate(struct irq_domain *domain,
					 struct irq_data *data)
{
	struct msi_slot *slot = data->chip_data;
	struct msi_msg msg = { };

	if (slot->storage->ops->sync)
		msi_slot_record_mask(data);
	else if (slot->storage->ops->mask && !slot->masked)
		msi_slot_mask(data);
	data->chip->irq_write_msi_msg(data, &msg);
}

/**
 * msi_device_domain_drop_chip - Take the chip from an interrupt that is about to be freed
 * @irq:	The interrupt, which is not activated any more
 *
 * The interrupt core does the same later, without the bus lock. A task that waits for
 * that lock would not find the callback then that releases it. The MSI descriptor is
 * taken as well, so that the slot is not written again after it was freed.
 *
 * Context: Task context. The bus lock of the store must be held, if it has one.
 */
void msi_device_domain_drop_chip(unsigned int irq)
{
	struct irq_desc *desc = irq_to_desc(irq);
	unsigned long flags;

	raw_spin_lock_irqsave(&desc->lock, flags);
	WRITE_ONCE(desc->irq_data.chip, &no_irq_chip);
	desc->irq_common_data.msi_desc = NULL;
	raw_spin_unlock_irqrestore(&desc->lock, flags);
}

/**
 * msi_device_domain_clear - Leave no message in the slot of an interrupt to be freed
 * @data:	The interrupt in its device domain, of a direct store. Not activated, so
 *		that the parent domain is not concerned
 *
 * Context: Task context. Takes the interrupt descriptor lock.
 */
void msi_device_domain_clear(struct irq_data *data)
{
	struct irq_desc *desc = irq_data_to_desc(data);
	unsigned long flags;

	raw_spin_lock_irqsave(&desc->lock, flags);
	msi_device_domain_deactivate(data->domain, data);
	raw_spin_unlock_irqrestore(&desc->lock, flags);
}

/**
 * msi_slot_clear - Leave no message in a slot whose interrupt is about to be freed
 * @slot:	The slot, of a deferred store
 *
 * An interrupt that was never requested has its message, but is not activated.
 *
 * Context: Task context. The bus lock of the store must be held.
 */
void msi_slot_clear(struct msi_slot *slot)
{
	struct msi_msg msg = { };

	msi_deferred_set_mask(slot, true);
	msi_deferred_set_msg(slot, &msg);
	/* There may be nothing new, but this is the last chance */
	msi_deferred_try_again(slot);
}

/**
 * msi_slot_restore - Write a slot again after the device has lost its state
 * @slot:	The slot, of a direct store. Its changes reach the device
 *
 * Context: The interrupt descriptor lock is held and interrupts are disabled.
 */
void msi_slot_restore(struct msi_slot *slot)
{
	bool can_mask = slot->storage->ops->mask;

	if (can_mask)
		msi_op_mask(slot);
	msi_op_write_msg(slot, &slot->msg);
	if (can_mask && !slot->masked)
		msi_op_unmask(slot);
}

/*
 * Slot @i of a descriptor. Beyond the slots of @desc it is the slot of the descriptor
 * with the index of @desc plus @i.
 */
static struct msi_slot *msi_device_domain_slot(struct msi_desc *desc, unsigned int i)
{
	struct msi_dev_store *store;

	if (i < desc->nvec_used)
		return msi_desc_slot(desc, i);

	store = container_of(desc->slot.storage, struct msi_dev_store, storage);
	desc = xa_load(&store->descs, desc->msi_index + i);
	return desc ? &desc->slot : NULL;
}

static int msi_device_domain_alloc(struct irq_domain *domain, unsigned int virq,
				   unsigned int nr_irqs, void *arg)
{
	struct msi_device_domain *dd = domain->host_data;
	const struct msi_parent_ops *pops = dd->pops;
	msi_alloc_info_t *info = arg;
	irq_hw_number_t hwirq = info->hwirq;
	struct msi_slot *slot;
	unsigned int i;
	int ret;

	ret = irq_domain_alloc_irqs_parent(domain, virq, nr_irqs, arg);
	if (ret < 0)
		return ret;

	for (i = 0; i < nr_irqs; i++) {
		ret = -EINVAL;
		slot = msi_device_domain_slot(info->desc, i);
		if (WARN_ON_ONCE(!slot))
			goto free_irqs;
		/* Takes the bus lock of the chip, so before the chip is set */
		if (pops->handler)
			__irq_set_handler(virq + i, pops->handler, 0, pops->handler_name);
		/* Before the chip is set: without one, probe_irq_on() skips it */
		irq_set_noprobe(virq + i);
		ret = irq_domain_set_hwirq_and_chip(domain, virq + i, hwirq + i,
						    &dd->chip, slot);
		if (ret)
			goto free_irqs;
	}
	return 0;

free_irqs:
	/* The bus lock must not be waited for with the lock of all interrupt domains held */
	for (i = 0; i < nr_irqs; i++)
		msi_device_domain_drop_chip(virq + i);
	irq_domain_free_irqs_top(domain, virq, nr_irqs);
	return ret;
}

static const struct irq_domain_ops msi_device_domain_ops = {
	.alloc		= msi_device_domain_alloc,
	.free		= irq_domain_free_irqs_top,
	.activate	= msi_device_domain_activate,
	.deactivate	= msi_device_domain_deactivate,
};

/* handle_fasteoi_irq() and others load the chip before they take the lock */
static void msi_device_domain_free(struct rcu_head *rcu)
{
	struct msi_device_domain *dd = container_of(rcu, struct msi_device_domain, rcu);

	kfree(dd->name);
	kfree(dd);
}

/**
 * msi_device_domain_attach - Create the device domain of a message store
 * @store:	The store, which has been initialized with msi_store_init()
 * @parent:	The MSI parent domain
 *
 * Context: Task context, can sleep. The MSI lock of the device must be held.
 *
 * Return: 0 on success, otherwise
 *	* %-EOPNOTSUPP - The parent domain cannot carry this kind of messages or of
 *	  store
 *	* %-ENOMEM     - Out of memory
 *	* Any error that the parent domain returns
 */
int msi_device_domain_attach(struct msi_dev_store *store, struct irq_domain *parent)
{
	const struct msi_storage_template *tmpl = store->tmpl;
	const struct msi_parent_ops *pops = parent->msi_parent_ops;
	struct device *dev = store->storage.dev;
	struct msi_device_domain *dd;
	struct fwnode_handle *fwnode;
	const char *error;
	int ret = -ENOMEM;

	lockdep_assert_held(&dev->msi.data->mutex);

	if (tmpl->requires & ~pops->carries) {
		dev_warn(dev, "%s: Not supported by interrupt domain %s%s%s\n",
			 tmpl->name, parent->name,
			 pops->lacks ? ", this requires " : "", pops->lacks ?: "");
		return -EOPNOTSUPP;
	}

	error = msi_parent_error(tmpl, pops);
	if (error) {
		dev_warn(dev, "%s: Not supported by interrupt domain %s: %s\n",
			 tmpl->name, parent->name, error);
		return -EOPNOTSUPP;
	}

	dd = kzalloc(sizeof(*dd), GFP_KERNEL);
	if (!dd)
		return -ENOMEM;

	if (store->id == MSI_DEFAULT_STORE)
		dd->name = kasprintf(GFP_KERNEL, "%s%s-%s", pops->prefix,
				     tmpl->name, dev_name(dev));
	else
		dd->name = kasprintf(GFP_KERNEL, "%s%s.%u-%s", pops->prefix,
				     tmpl->name, store->id, dev_name(dev));
	if (!dd->name)
		goto free_dd;

	dd->pops = pops;
	msi_device_domain_init_chip(dd, tmpl, pops);

	fwnode = irq_domain_alloc_named_fwnode(dd->name);
	if (!fwnode)
		goto free_name;

	/* An interrupt is found by the slot's descriptor */
	dd->domain = irq_domain_create_hierarchy(parent, IRQ_DOMAIN_FLAG_MSI |
						 IRQ_DOMAIN_FLAG_MSI_DEVICE |
						 IRQ_DOMAIN_FLAG_NO_LOOKUP, 0,
						 fwnode, &msi_device_domain_ops, dd);
	if (!dd->domain)
		goto free_fwnode;

	/* The node is only known here, so that no lookup finds it */
	dd->domain->bus_token = tmpl->bus_token;

	if (pops->prepare) {
		ret = pops->prepare(dd->domain, dev, store->storage.size,
				    &dd->alloc_info);
		if (ret)
			goto remove_domain;
	}

	store->devdom = dd;
	return 0;

remove_domain:
	irq_domain_remove(dd->domain);
free_fwnode:
	irq_domain_free_fwnode(fwnode);
free_name:
	kfree(dd->name);
free_dd:
	kfree(dd);
	return ret;
}

/**
 * msi_device_domain_detach - Remove the device domain of a message store
 * @store:	The store. All of its interrupts have been freed. It does not
 *		have to have a device domain
 *
 * Context: Task context, can sleep. The MSI lock of the device must be held,
 *	    or the device data is going away.
 */
void msi_device_domain_detach(struct msi_dev_store *store)
{
	struct msi_device_domain *dd = store->devdom;
	struct fwnode_handle *fwnode;

	if (!dd)
		return;

	fwnode = dd->domain->fwnode;
	store->devdom = NULL;

	if (dd->pops->teardown)
		dd->pops->teardown(dd->domain, store->storage.dev, &dd->alloc_info);
	irq_domain_remove(dd->domain);
	irq_domain_free_fwnode(fwnode);
	call_rcu(&dd->rcu, msi_device_domain_free);
}
