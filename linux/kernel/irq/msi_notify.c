// SPDX-License-Identifier: GPL-2.0
/*
 * For drivers that copy messages
 *
 * Some drivers pass the message of an interrupt on: to the peer of a non-transparent
 * bridge, or to rings of the device that send it by themselves. A change of the
 * message makes the copy useless, so the core tells these drivers of each change.
 *
 * They can look at each interrupt of a store, and have one notifier for each.
 *
 * Words:
 *
 *   message	of a descriptor for several interrupts: the one of the first. The
 *		data of the others follows it
 *   told	of a notifier: its changed() was called with a message
 *
 * Invariants:
 *
 *   - A notifier is told of a message when that is in the store, and not before. While the
 *     slots of a direct store must not be accessed, it is told what they will have.
 *   - It is told of each message that is in the store for longer than it takes to
 *     change it, and not twice in a row of the same one.
 *   - An all-zero message marks an empty slot, and is not told. The interrupt does not
 *     come in any more.
 *
 * Locking:
 *
 *   Each write of a message holds the interrupt descriptor lock, or the bus lock if the
 *   store is a deferred one. Registration takes both, and so can't miss one.
 *
 *   msi_notify_lock protects msi_desc::notifier and what is in the notifier. It nests
 *   inside of the interrupt descriptor lock. The interrupts of a descriptor for several
 *   have different locks.
 */
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/msi_notify.h>
#include <linux/spinlock.h>

#include "internals.h"

/* The first descriptor that matches, at or after @index. 1 if there is one, 0 if not */
static int msi_find_map(struct device *dev, unsigned int id, enum msi_desc_filter filter,
			unsigned long index, struct msi_map *map)
{
	struct msi_dev_store *store;
	struct msi_device_data *md;
	struct msi_desc *desc;
	int ret = -ENODEV;

	rcu_read_lock();
	md = READ_ONCE(dev->msi.data);
	store = md ? xa_load(&md->stores, id) : NULL;
	if (!store || READ_ONCE(store->dying))
		goto unlock;

	ret = 0;
	xa_for_each_start(&store->descs, index, desc, index) {
		/* Read once: the interrupt can be freed */
		*map = (struct msi_map){ .index = index, .virq = READ_ONCE(desc->irq) };
		ret = filter == MSI_DESC_ALL || !map->virq == (filter == MSI_DESC_NOTASSOCIATED);
		if (ret)
			break;
	}
unlock:
	rcu_read_unlock();
	return ret;
}

/**
 * msi_on_each_desc - Call a function for each MSI descriptor of a store
 * @dev:	Device that has the store
 * @id:		Id of the store as returned by msi_create_store(), %MSI_DEFAULT_STORE for
 *		the one of PCI MSI or MSI-X
 * @filter:	Which descriptors
 * @fn:		The function, called with the index of a descriptor and the first of its
 *		interrupts, 0 if there is none. A return value other than 0 ends the walk
 * @arg:	Argument for @fn
 *
 * Visits the descriptors in the order of their indices. One that is added or freed by @fn
 * or by another task meanwhile is visited or not.
 *
 * @fn is called without a lock, and can do anything that the caller can: sleep, request
 * handlers, allocate and free interrupts, remove the store, walk another one. As with
 * pci_irq_vector(), the caller ensures that interrupts are not freed while @fn uses them, and
 * not being allocated if @fn requests them.
 *
 * Context: That of @fn, any context by itself.
 *
 * Return: The last return value of @fn, 0 if no descriptor matches @filter, -ENODEV if @dev
 * has no such store
 */
int msi_on_each_desc(struct device *dev, unsigned int id, enum msi_desc_filter filter,
		     int (*fn)(struct msi_map map, void *arg), void *arg)
{
	struct msi_map map;
	int ret;

	ret = msi_find_map(dev, id, filter, 0, &map);
	while (ret > 0) {
		ret = fn(map, arg);
		if (ret)
			return ret;
		/* @fn can have removed the store */
		ret = max(msi_find_map(dev, id, filter, map.index + 1UL, &map), 0);
	}
	return ret;
}
EXPORT_SYMBOL_GPL(msi_on_each_desc);

static DEFINE_RAW_SPINLOCK(msi_notify_lock);

static bool msi_msg_is_none(const struct msi_msg *msg)
{
	return !msg->address_lo && !msg->address_hi && !msg->data;
}

static void msi_tell(struct msi_desc *desc, const struct msi_msg *msg)
{
	u64 address = (u64)msg->address_hi << 32 | msg->address_lo;
	struct msi_msg_notifier *notifier = desc->notifier;

	lockdep_assert_held(&msi_notify_lock);

	if (notifier->told && notifier->address == address && notifier->data == msg->data)
		return;

	notifier->told = true;
	notifier->address = address;
	notifier->data = msg->data;
	notifier->changed(notifier, desc->irq, msg);
}

static bool msi_tell_slot(struct msi_desc *desc, const struct msi_slot *slot)
{
	struct msi_msg msg = slot->msg;

	if (msi_msg_is_none(&msg))
		return false;

	msg.data -= slot->index - desc->msi_index;
	msi_tell(desc, &msg);
	return true;
}

/**
 * msi_msg_written - Tell the driver about a message that is in the store
 * @desc:	The descriptor
 * @slot:	The slot of @desc that the message is in
 *
 * For code that writes to msi_slot::msg, afterwards. If the message is the one that
 * was told last then nothing happens.
 *
 * Context: Any context. In a deferred store the bus lock must be held, elsewhere the
 *	    interrupt descriptor lock.
 */
void msi_msg_written(struct msi_desc *desc, struct msi_slot *slot)
{
	unsigned long flags;

	/* Pairs with the one in msi_notifier_add(): either is the message seen there */
	smp_mb();
	if (!READ_ONCE(desc->notifier))
		return;

	/* The last task to get the lock sees the last message */
	raw_spin_lock_irqsave(&msi_notify_lock, flags);
	if (desc->notifier)
		msi_tell_slot(desc, slot);
	raw_spin_unlock_irqrestore(&msi_notify_lock, flags);
}

/* The device has not been told about the message yet. The bus lock is held */
static bool msi_msg_is_pending(struct msi_desc *desc)
{
	return READ_ONCE(msi_core_desc(desc)->dirty) & MSI_SYNC_MSG;
}

static int msi_notifier_add(struct msi_desc *desc, struct msi_msg_notifier *notifier)
{
	int ret = -EBUSY;
	unsigned int i;

	raw_spin_lock(&msi_notify_lock);
	if (desc->notifier)
		goto unlock;

	notifier->told = false;
	WRITE_ONCE(desc->notifier, notifier);
	/*
	 * The locks of the other slots of several are not held. A concurrent write
	 * to one of them sees the notifier.
	 */
	smp_mb();
	for (i = 0; i < desc->nvec_used && !msi_msg_is_pending(desc); i++) {
		if (msi_tell_slot(desc, msi_desc_slot(desc, i)))
			break;
	}
	ret = 0;
unlock:
	raw_spin_unlock(&msi_notify_lock);
	return ret;
}

/**
 * msi_register_msg_notifier - Follow the message of an interrupt
 * @irq:	The Linux interrupt number. For PCI multi MSI, that of the first vector
 * @notifier:	The notifier to invoke. Belongs to the core until it is unregistered
 *
 * Invokes @notifier with the current message, if the store has one, before this returns,
 * and from then on with each new message as soon as that is in the store. The driver
 * does not have to read the message at any other time, before or after the interrupt is
 * requested.
 *
 * Until it is told, the driver's copy is the old message. On x86 that loses nothing, as
 * the old one leads to the interrupt until one has come in with the new one, unless its
 * CPU goes offline.
 *
 * A descriptor has one notifier. It can stay over free_irq() and request_irq(),
 * and has to be unregistered before the interrupt itself is freed.
 *
 * Context: Task context, can sleep. Takes the bus lock and the descriptor lock of @irq.
 *
 * Return: 0 on success, otherwise
 *	* %-EINVAL     - @irq is not the first interrupt of a MSI descriptor
 *	* %-EOPNOTSUPP - The core does not know when its message changes, as it is neither
 *	  PCI MSI or MSI-X nor in a store that was created
 *	* %-EBUSY      - It has a notifier already
 */
int msi_register_msg_notifier(unsigned int irq, struct msi_msg_notifier *notifier)
{
	struct irq_desc *irq_desc;
	struct msi_desc *desc;
	unsigned long flags;
	int ret = -EINVAL;

	might_sleep();

	irq_desc = irq_get_desc_buslock(irq, &flags, 0);
	if (!irq_desc)
		return -EINVAL;

	desc = irq_data_get_msi_desc(&irq_desc->irq_data);
	if (!desc || desc->irq != irq)
		goto unlock;

	ret = -EOPNOTSUPP;
	if (desc->slot.storage->ops)
		ret = msi_notifier_add(desc, notifier);
unlock:
	irq_put_desc_busunlock(irq_desc, flags);
	return ret;
}
EXPORT_SYMBOL_GPL(msi_register_msg_notifier);

/**
 * msi_unregister_msg_notifier - Undo msi_register_msg_notifier()
 * @irq:	The Linux interrupt number
 * @notifier:	The notifier. It is not called any more afterwards
 *
 * Does nothing if @notifier is not the one of @irq.
 *
 * Context: Task context, can sleep. Takes the bus lock and the descriptor lock of @irq.
 */
void msi_unregister_msg_notifier(unsigned int irq, struct msi_msg_notifier *notifier)
{
	struct irq_desc *irq_desc;
	struct msi_desc *desc;
	unsigned long flags;

	might_sleep();

	irq_desc = irq_get_desc_buslock(irq, &flags, 0);
	if (!irq_desc)
		return;

	desc = irq_data_get_msi_desc(&irq_desc->irq_data);
	if (desc) {
		raw_spin_lock(&msi_notify_lock);
		if (desc->notifier == notifier)
			desc->notifier = NULL;
		raw_spin_unlock(&msi_notify_lock);
	}
	irq_put_desc_busunlock(irq_desc, flags);
}
EXPORT_SYMBOL_GPL(msi_unregister_msg_notifier);

static int msi_read_slot(unsigned int irq, const struct msi_slot *slot, struct msi_msg *msg)
{
	struct irq_desc *irq_desc;
	unsigned long flags;

	irq_desc = irq_get_desc_buslock(irq, &flags, 0);
	if (!irq_desc)
		return -EINVAL;

	*msg = slot->msg;
	irq_put_desc_busunlock(irq_desc, flags);
	return msi_msg_is_none(msg) ? -ENOENT : 0;
}

/**
 * msi_get_msg - Get a copy of the message of an interrupt
 * @irq:	The Linux interrupt number
 * @msg:	Buffer for the message
 *
 * The copy is consistent in itself, but can be out of date when this returns: to keep
 * it, use msi_register_msg_notifier(). If a deferred store fails to take a message, this
 * is the message that it should have.
 *
 * The caller ensures that the interrupt is not freed meanwhile.
 *
 * Context: Task context, can sleep. Takes the bus lock and the descriptor lock of @irq.
 *
 * Return: 0 on success, otherwise
 *	* %-EINVAL - @irq is not a MSI interrupt
 *	* %-ENOENT - It has no message. An interrupt that is not requested may have none
 */
int msi_get_msg(unsigned int irq, struct msi_msg *msg)
{
	struct msi_desc *desc = irq_get_msi_desc(irq);
	unsigned int n;
	int ret;

	might_sleep();

	if (!desc)
		return -EINVAL;

	n = irq - desc->irq;
	ret = msi_read_slot(irq, msi_desc_slot(desc, n), msg);
	if (ret != -ENOENT || !n)
		return ret;

	/* In global domains only the first one is written */
	ret = msi_read_slot(desc->irq, &desc->slot, msg);
	if (!ret)
		msg->data += n;
	return ret;
}
EXPORT_SYMBOL_GPL(msi_get_msg);
