// SPDX-License-Identifier: GPL-2.0
/*
 * Deferred message stores
 *
 * A deferred store can be changed only where sleeping is possible, while the
 * interrupt core changes interrupts with a raw spinlock held. So changes are
 * recorded, and carried out when the bus lock is released, see
 * irq_chip::irq_bus_lock().
 *
 * Words:
 *
 *   dirty	of a slot: the device has to be told something about it
 *   sync	tell the device, by the sync() callback of the store
 *   suspended	of a store: the device must not be accessed, changes only pile up
 *
 * Locking:
 *
 *   msi_deferred::lock, a mutex, is the bus lock. It protects msi_deferred::owner
 *   and ::suspended, msi_slot::msg and ::masked, and serializes sync(). Whoever
 *   changes a message holds it. It nests inside of msi_device_data::mutex.
 *
 *   msi_deferred::dirty_lock, a raw spinlock, protects the lists of dirty slots and
 *   msi_slot::next_masked, ::dirty and ::dirty_node. It nests inside of the
 *   interrupt descriptor lock and nothing nests inside of it.
 *
 * Invariants:
 *
 *   - While sync() runs for a slot, msi_slot::msg and ::masked do not change. What
 *     is recorded meanwhile makes the slot dirty again.
 *   - A slot is in one of the two lists if and only if msi_slot::dirty is not zero.
 *   - A dirty slot is never left alone: The bus lock is held, a work item or, for
 *     one which has failed, the retry is queued, or the store is suspended.
 *   - A slot which could not be synced does not delay others: It is tried again
 *     when it changes and by the retry work, but not with each bus unlock.
 *   - The message of a slot is not changed and its interrupt is not freed without
 *     the bus lock. What the interrupt core does without it is masking and
 *     unmasking: from a flow handler, when a storm is shut down, or when device
 *     interrupts are disabled for suspend. All of it is correct as soon as the
 *     flow handler or disable_irq() knows about it, and the device follows.
 */
#include <linux/device.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/msi.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <trace/events/msi.h>

#include "internals.h"

/* How long to wait before the next try when a sync has failed */
#define MSI_RETRY_MIN	(HZ / 10UL)
#define MSI_RETRY_MAX	(10UL * HZ)

/**
 * struct msi_deferred - What a deferred store has beyond a direct one
 * @store:		The store
 * @lock:		The bus lock
 * @owner:		The task which holds @lock
 * @locked:		The lock() callback of the store was invoked
 * @suspended:		The device must not be accessed
 * @dirty_lock:		Protects @dirty, @failed and what the slots have of them
 * @dirty:		The dirty slots
 * @failed:		Dirty slots as well, but the last sync of them has failed
 * @syncing:		The slot which is being synced, protected by @dirty_lock
 * @work:		Syncs what was recorded without the bus lock
 * @retry:		Syncs again what has failed
 * @delay:		How long @retry waits, in jiffies. Protected by @lock
 */
struct msi_deferred {
	struct msi_dev_store	*store;
	struct mutex		lock; /* see above */
	struct task_struct	*owner;
	bool			locked;
	bool			suspended;
	raw_spinlock_t		dirty_lock;
	struct list_head	dirty;
	struct list_head	failed;
	struct msi_slot		*syncing;
	struct work_struct	work;
	struct delayed_work	retry;
	unsigned long		delay;
};

static struct msi_deferred *msi_slot_deferred(const struct msi_slot *slot)
{
	return container_of(slot->storage, struct msi_dev_store, storage)->deferred;
}

static void msi_mark_dirty(struct msi_deferred *def, struct msi_slot *slot, u8 what)
{
	lockdep_assert_held(&def->dirty_lock);

	if (slot->dirty)
		list_move_tail(&slot->dirty_node, &def->dirty);
	else
		list_add_tail(&slot->dirty_node, &def->dirty);
	slot->dirty |= what;
}

static void msi_clear_dirty(struct msi_deferred *def, struct msi_slot *slot)
{
	lockdep_assert_held(&def->dirty_lock);

	if (slot->dirty)
		list_del(&slot->dirty_node);
	slot->dirty = 0;
}

/**
 * msi_deferred_init_slot - Have the device told everything about a slot
 * @slot:	The slot, which is masked and has no message
 *
 * For a new slot: What the device has in its place is not known.
 *
 * Context: Task context. The bus lock must be held.
 */
void msi_deferred_init_slot(struct msi_slot *slot)
{
	struct msi_deferred *def = msi_slot_deferred(slot);

	lockdep_assert_held(&def->lock);

	slot->next_masked = true;
	raw_spin_lock_irq(&def->dirty_lock);
	msi_mark_dirty(def, slot, MSI_SYNC_MSG | MSI_SYNC_MASK | MSI_SYNC_FORCE | MSI_SYNC_NEW);
	raw_spin_unlock_irq(&def->dirty_lock);
}

/**
 * msi_deferred_exit_slot - Take a slot out of a deferred store
 * @slot:	The slot. Its interrupt is gone
 *
 * If it was not possible to tell the device then it does not learn about it any
 * more.
 *
 * Context: Task context. The bus lock must be held.
 */
void msi_deferred_exit_slot(struct msi_slot *slot)
{
	struct msi_deferred *def = msi_slot_deferred(slot);

	lockdep_assert_held(&def->lock);

	raw_spin_lock_irq(&def->dirty_lock);
	msi_clear_dirty(def, slot);
	raw_spin_unlock_irq(&def->dirty_lock);
}

/**
 * msi_deferred_try_again - Have a slot synced which has failed
 * @slot:	The slot
 *
 * Context: Task context. The bus lock must be held.
 */
void msi_deferred_try_again(struct msi_slot *slot)
{
	struct msi_deferred *def = msi_slot_deferred(slot);

	lockdep_assert_held(&def->lock);

	raw_spin_lock_irq(&def->dirty_lock);
	if (slot->dirty)
		msi_mark_dirty(def, slot, 0);
	raw_spin_unlock_irq(&def->dirty_lock);
}

/**
 * msi_deferred_set_mask - Record that a slot has to be masked or unmasked
 * @slot:	The slot
 * @masked:	What it has to be
 *
 * Context: Any context. Usually the interrupt descriptor lock is held.
 */
void msi_deferred_set_mask(struct msi_slot *slot, bool masked)
{
	struct msi_deferred *def = msi_slot_deferred(slot);
	unsigned long flags;
	bool orphan;

	raw_spin_lock_irqsave(&def->dirty_lock, flags);
	slot->next_masked = masked;
	if (slot->masked != masked)
		msi_mark_dirty(def, slot, MSI_SYNC_MASK);
	else if (slot->dirty == MSI_SYNC_MASK)
		msi_clear_dirty(def, slot);
	/*
	 * Who has the bus lock syncs when it is released. An interrupt can come in
	 * after that was done and find the task still the owner.
	 */
	orphan = slot->dirty && (!in_task() || READ_ONCE(def->owner) != current);
	raw_spin_unlock_irqrestore(&def->dirty_lock, flags);

	trace_msi_mask(slot, masked);
	if (orphan)
		queue_work(system_unbound_wq, &def->work);
}

/**
 * msi_deferred_set_msg - Record that a slot has got a message
 * @slot:	The slot
 * @msg:	The message
 *
 * Context: Any context. The bus lock must be held.
 */
void msi_deferred_set_msg(struct msi_slot *slot, const struct msi_msg *msg)
{
	struct msi_deferred *def = msi_slot_deferred(slot);
	unsigned long flags;

	lockdep_assert_held(&def->lock);

	trace_msi_write_msg(slot, msg);
	if (!memcmp(&slot->msg, msg, sizeof(*msg)))
		return;

	slot->msg = *msg;
	raw_spin_lock_irqsave(&def->dirty_lock, flags);
	msi_mark_dirty(def, slot, MSI_SYNC_MSG);
	raw_spin_unlock_irqrestore(&def->dirty_lock, flags);
}

static int msi_sync_slot(struct msi_deferred *def, struct msi_slot *slot, unsigned int what)
{
	struct msi_desc *desc = container_of(slot, struct msi_desc, slot);
	int ret;

	ret = msi_op_sync(slot, what);
	trace_msi_sync(slot, what, ret);

	if (ret) {
		dev_err_ratelimited(slot->storage->dev, "%s: Slot %u was not updated: %pe\n",
				    def->store->tmpl->name, slot->index, ERR_PTR(ret));
		return ret;
	}

	if (what & MSI_SYNC_MSG)
		msi_msg_written(desc, slot);
	return 0;
}

/*
 * Sync all dirty slots. Those which fail stay dirty, and are tried again soon if it is
 * for the first time, or at once if they have changed meanwhile. As nobody knows then
 * what is in the device, the next sync is about everything. Returns the first error, and
 * in @new the first one of a slot which was never synced before.
 */
static int msi_deferred_sync(struct msi_deferred *def, int *new)
{
	unsigned int dirty, what;
	struct msi_slot *slot;
	int ret = 0, err;
	bool changed;

	lockdep_assert_held(&def->lock);

	*new = 0;
	raw_spin_lock_irq(&def->dirty_lock);
	while ((slot = list_first_entry_or_null(&def->dirty, struct msi_slot, dirty_node))) {
		dirty = slot->dirty;
		what = dirty & (MSI_SYNC_MSG | MSI_SYNC_MASK);
		msi_clear_dirty(def, slot);
		slot->masked = slot->next_masked;
		def->syncing = slot;
		raw_spin_unlock_irq(&def->dirty_lock);

		err = msi_sync_slot(def, slot, what);
		if (err && !(dirty & MSI_SYNC_FAILED)) {
			/* It does not wait as long as another one which fails for long */
			def->delay = MSI_RETRY_MIN;
			mod_delayed_work(system_unbound_wq, &def->retry, def->delay);
		}
		cond_resched();

		raw_spin_lock_irq(&def->dirty_lock);
		def->syncing = NULL;
		if (err) {
			changed = slot->dirty;
			msi_mark_dirty(def, slot, MSI_SYNC_MSG | MSI_SYNC_MASK | MSI_SYNC_FORCE |
				       MSI_SYNC_FAILED);
			if (!changed)
				list_move_tail(&slot->dirty_node, &def->failed);
			ret = ret ?: err;
			if (dirty & MSI_SYNC_NEW)
				*new = *new ?: err;
		}
	}
	if (list_empty(&def->failed))
		def->delay = MSI_RETRY_MIN;
	raw_spin_unlock_irq(&def->dirty_lock);
	return ret;
}

/* To be tried once more */
static void msi_deferred_splice_failed(struct msi_deferred *def)
{
	raw_spin_lock_irq(&def->dirty_lock);
	list_splice_tail_init(&def->failed, &def->dirty);
	raw_spin_unlock_irq(&def->dirty_lock);
}

static void __msi_deferred_lock(struct msi_dev_store *store)
{
	struct msi_deferred *def = store->deferred;

	mutex_lock(&def->lock);
	WRITE_ONCE(def->owner, current);
}

/* Whatever is between lock() and unlock() of the store */
static void msi_deferred_begin(struct msi_dev_store *store)
{
	struct msi_deferred *def = store->deferred;

	if (store->storage.ops->lock && !def->suspended) {
		msi_op_lock(&store->storage);
		def->locked = true;
	}
}

/**
 * msi_deferred_lock - Take the bus lock of a deferred store
 * @store:	The store
 *
 * Context: Task context, can sleep.
 */
void msi_deferred_lock(struct msi_dev_store *store)
{
	__msi_deferred_lock(store);
	msi_deferred_begin(store);
}

/* Release the bus lock after everything else was done */
static void msi_deferred_unlock(struct msi_dev_store *store)
{
	struct msi_deferred *def = store->deferred;

	if (def->locked) {
		msi_op_unlock(&store->storage);
		def->locked = false;
	}

	WRITE_ONCE(def->owner, NULL);
	mutex_unlock(&def->lock);
}

/* As msi_deferred_sync(), and release the bus lock */
static int __msi_deferred_sync_unlock(struct msi_dev_store *store, int *new)
{
	struct msi_deferred *def = store->deferred;
	int ret = 0;

	*new = 0;
	if (!def->suspended) {
		ret = msi_deferred_sync(def, new);
		if (ret)
			queue_delayed_work(system_unbound_wq, &def->retry, def->delay);
	}
	msi_deferred_unlock(store);
	return ret;
}

/**
 * msi_deferred_sync_unlock - Sync the dirty slots and release the bus lock
 * @store:	The store
 *
 * If a slot could not be synced then this is tried again in the background, and
 * when the slot is changed.
 *
 * Context: Task context, can sleep.
 *
 * Return: 0 if all slots which were added since the bus lock was taken are in the
 * device, or the store is suspended. Otherwise the first error code which
 * sync() returned for one of them. Nobody who adds a slot can do something
 * about an error of another slot.
 */
int msi_deferred_sync_unlock(struct msi_dev_store *store)
{
	int new;

	__msi_deferred_sync_unlock(store, &new);
	return new;
}

static void msi_deferred_work(struct work_struct *work)
{
	struct msi_deferred *def = container_of(work, struct msi_deferred, work);

	msi_deferred_lock(def->store);
	msi_deferred_sync_unlock(def->store);
}

static void msi_deferred_retry(struct work_struct *work)
{
	struct msi_deferred *def = container_of(to_delayed_work(work),
						struct msi_deferred, retry);

	msi_deferred_lock(def->store);
	msi_deferred_splice_failed(def);
	def->delay = min(def->delay * 2, MSI_RETRY_MAX);
	msi_deferred_sync_unlock(def->store);
}

/**
 * msi_deferred_suspend - Leave the device alone from here on
 * @store:	The store
 *
 * Context: Task context, can sleep. The MSI lock of the device must be held.
 */
void msi_deferred_suspend(struct msi_dev_store *store)
{
	struct msi_deferred *def = store->deferred;
	int new;

	msi_deferred_lock(store);
	/* The last which reaches the device. The log has it if one fails again */
	if (!def->suspended) {
		msi_deferred_splice_failed(def);
		msi_deferred_sync(def, &new);
	}
	def->suspended = true;
	msi_deferred_unlock(store);
}

/**
 * msi_deferred_resume - Write everything again and end the suspension
 * @store:	The store
 *
 * Context: Task context, can sleep. The MSI lock of the device must be held.
 *
 * Return: 0 if all slots are in the device, otherwise the first error code which
 * sync() returned
 */
int msi_deferred_resume(struct msi_dev_store *store)
{
	struct msi_deferred *def = store->deferred;
	struct msi_desc *desc;
	unsigned long index;
	int new;

	/* Nobody may sync a part before all of it is marked */
	__msi_deferred_lock(store);
	def->suspended = false;
	msi_deferred_begin(store);
	xa_for_each(&store->descs, index, desc) {
		raw_spin_lock_irq(&def->dirty_lock);
		msi_mark_dirty(def, &desc->slot, MSI_SYNC_MSG | MSI_SYNC_MASK | MSI_SYNC_FORCE);
		raw_spin_unlock_irq(&def->dirty_lock);
	}
	return __msi_deferred_sync_unlock(store, &new);
}

/**
 * msi_deferred_is_suspended - Check whether a deferred store is suspended
 * @store:	The store
 *
 * Context: Any context. A snapshot.
 *
 * Return: True if it is
 */
bool msi_deferred_is_suspended(const struct msi_dev_store *store)
{
	return READ_ONCE(store->deferred->suspended);
}

/**
 * msi_deferred_get_state - Get a consistent view of a slot
 * @slot:	The slot
 * @masked:	Set to what the interrupt core wants it to be
 * @dirty:	Set to what the device has not been told yet, MSI_SYNC_*
 *
 * Context: Any context.
 */
void msi_deferred_get_state(struct msi_slot *slot, bool *masked, unsigned int *dirty)
{
	struct msi_deferred *def = msi_slot_deferred(slot);
	unsigned long flags;

	raw_spin_lock_irqsave(&def->dirty_lock, flags);
	*masked = slot->next_masked;
	*dirty = slot->dirty;
	/* What the device is being told it does not have yet */
	if (def->syncing == slot)
		*dirty |= MSI_SYNC_MSG | MSI_SYNC_MASK;
	raw_spin_unlock_irqrestore(&def->dirty_lock, flags);
}

/**
 * msi_deferred_init - Make a store a deferred one
 * @store:	The store, which has its template and no descriptors
 *
 * Context: Task context, can sleep.
 *
 * Return: 0 on success, -ENOMEM otherwise
 */
int msi_deferred_init(struct msi_dev_store *store)
{
	struct msi_deferred *def = kzalloc(sizeof(*def), GFP_KERNEL);

	if (!def)
		return -ENOMEM;

	def->store = store;
	mutex_init(&def->lock);
	raw_spin_lock_init(&def->dirty_lock);
	INIT_LIST_HEAD(&def->dirty);
	INIT_LIST_HEAD(&def->failed);
	def->delay = MSI_RETRY_MIN;
	INIT_WORK(&def->work, msi_deferred_work);
	INIT_DELAYED_WORK(&def->retry, msi_deferred_retry);
	store->deferred = def;
	return 0;
}

/**
 * msi_deferred_exit - Undo msi_deferred_init()
 * @store:	The store, which has no descriptors any more
 *
 * Context: Task context, can sleep. Waits for work which is in progress.
 */
void msi_deferred_exit(struct msi_dev_store *store)
{
	struct msi_deferred *def = store->deferred;

	if (!def)
		return;

	cancel_work_sync(&def->work);
	cancel_delayed_work_sync(&def->retry);
	mutex_destroy(&def->lock);
	store->deferred = NULL;
	kfree(def);
}
