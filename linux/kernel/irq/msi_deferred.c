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
 *   posted	of a slot: sync() has told the device, and complete() has not returned yet
 *   suspended	of a store, by the driver or while the bus resets the device: the device must
 *		not be accessed, changes only pile up
 *
 * Locking:
 *
 *   msi_dev_store::bus_lock, a mutex, is the bus lock. It protects
 *   msi_storage::suspended, msi_slot::msg and ::masked, and serializes sync(). Each
 *   change of a message holds it. It nests inside of msi_dev_store::guard. To suspend a
 *   device that can't be accessed ::suspended is set without it, so that nothing more
 *   is synced while it is waited for.
 *
 *   msi_deferred::dirty_lock, a raw spinlock, protects the lists of slots and
 *   msi_core_desc::next_masked, ::posted, ::dirty and ::dirty_node. It nests inside of the
 *   interrupt descriptor lock and nothing nests inside of it.
 *
 * Invariants:
 *
 *   - While a slot is posted, msi_slot::msg and ::masked do not change. What is recorded
 *     meanwhile makes the slot dirty again.
 *   - A slot is in the list of posted ones if msi_core_desc::posted is not zero. Otherwise it is
 *     in one of the two lists of dirty ones if and only if msi_core_desc::dirty is not zero.
 *   - Without the bus lock no slot is posted.
 *   - A dirty slot is never left alone: The bus lock is held, a work item or, for
 *     one that has failed, the retry is queued, the store is suspended, or the device
 *     did not respond after a reset and was not restored.
 *   - A slot that could not be synced does not delay others: It is tried again
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

/* What the device has of a slot is not known */
#define MSI_SYNC_ALL	(MSI_SYNC_MSG | MSI_SYNC_MASK | MSI_SYNC_FORCE)

/**
 * struct msi_deferred - What a deferred store has beyond a direct one
 * @store:		The store
 * @frozen:		A suspended store is not resumed by a storage op either. Protected by
 *			@dirty_lock
 * @dirty_lock:		Protects the lists and what the slots have of them
 * @dirty:		The dirty slots
 * @failed:		Dirty slots as well, but the last sync of them has failed
 * @posted:		The posted slots, the oldest one first
 * @chosen:		The slot that a call is about. Protected by the bus lock
 * @chosen_err:		The result of the last sync of it. Likewise
 * @hold:		It stays masked. Likewise
 * @work:		Syncs what was recorded without the bus lock
 * @retry:		Syncs again what has failed
 * @delay:		How long @retry waits, in jiffies. Protected by the bus lock
 * @rcu:		Debugfs looks at it until the end of a grace period
 */
struct msi_deferred {
	struct msi_dev_store	*store;
	bool			frozen;
	raw_spinlock_t		dirty_lock;
	struct list_head	dirty;
	struct list_head	failed;
	struct list_head	posted;
	struct msi_slot		*chosen;
	int			chosen_err;
	bool			hold;
	struct work_struct	work;
	struct delayed_work	retry;
	unsigned long		delay;
	struct rcu_head		rcu;
};

/* A device that swaps can have such stores */
struct workqueue_struct *msi_wq;

static int __init msi_init_wq(void)
{
	msi_wq = alloc_workqueue("msi_store", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return msi_wq ? 0 : -ENOMEM;
}
core_initcall(msi_init_wq);

static struct msi_deferred *msi_slot_deferred(const struct msi_slot *slot)
{
	return container_of(slot->storage, struct msi_dev_store, storage)->deferred;
}

static void msi_mark_dirty(struct msi_deferred *def, struct msi_slot *slot, u8 what)
{
	struct msi_core_desc *core = msi_slot_core(slot);

	lockdep_assert_held(&def->dirty_lock);

	if (core->posted)
		; /* Follows when it is completed */
	else if (core->dirty)
		list_move_tail(&core->dirty_node, &def->dirty);
	else
		list_add_tail(&core->dirty_node, &def->dirty);
	core->dirty |= what;
}

static void msi_clear_dirty(struct msi_deferred *def, struct msi_slot *slot)
{
	struct msi_core_desc *core = msi_slot_core(slot);

	lockdep_assert_held(&def->dirty_lock);

	if (core->dirty && !core->posted)
		list_del(&core->dirty_node);
	core->dirty = 0;
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

	lockdep_assert_held(&def->store->bus_lock);

	raw_spin_lock_irq(&def->dirty_lock);
	msi_slot_core(slot)->next_masked = true;
	msi_mark_dirty(def, slot, MSI_SYNC_ALL | MSI_SYNC_NEW);
	raw_spin_unlock_irq(&def->dirty_lock);
}

/**
 * msi_deferred_exit_slot - Take a slot out of a deferred store
 * @slot:	The slot. Its interrupt was freed
 *
 * If it was not possible to tell the device then it does not learn about it any
 * more.
 *
 * Context: Task context. The bus lock must be held.
 */
void msi_deferred_exit_slot(struct msi_slot *slot)
{
	struct msi_deferred *def = msi_slot_deferred(slot);

	lockdep_assert_held(&def->store->bus_lock);

	raw_spin_lock_irq(&def->dirty_lock);
	msi_clear_dirty(def, slot);
	raw_spin_unlock_irq(&def->dirty_lock);
}

/**
 * msi_deferred_try_again - Have a slot synced that has failed
 * @slot:	The slot
 *
 * Context: Task context. The bus lock must be held.
 */
void msi_deferred_try_again(struct msi_slot *slot)
{
	struct msi_deferred *def = msi_slot_deferred(slot);

	lockdep_assert_held(&def->store->bus_lock);

	raw_spin_lock_irq(&def->dirty_lock);
	if (msi_slot_core(slot)->dirty)
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
	struct msi_core_desc *core = msi_slot_core(slot);
	unsigned long flags;
	bool orphan;

	raw_spin_lock_irqsave(&def->dirty_lock, flags);
	core->next_masked = masked;
	if (slot->masked != masked)
		msi_mark_dirty(def, slot, MSI_SYNC_MASK);
	else if (core->dirty == MSI_SYNC_MASK)
		msi_clear_dirty(def, slot);
	/*
	 * The holder of the bus lock syncs when it releases it. An interrupt can come in
	 * after that was done and find the task still the owner.
	 */
	orphan = core->dirty && (!in_task() || READ_ONCE(def->store->owner) != current);
	raw_spin_unlock_irqrestore(&def->dirty_lock, flags);

	trace_msi_mask(slot, masked);
	if (orphan)
		queue_work(msi_wq, &def->work);
}

/**
 * msi_deferred_set_msg - Record a new message of a slot
 * @slot:	The slot
 * @msg:	The message
 *
 * Context: Any context. The bus lock must be held.
 */
void msi_deferred_set_msg(struct msi_slot *slot, const struct msi_msg *msg)
{
	struct msi_deferred *def = msi_slot_deferred(slot);
	unsigned long flags;

	lockdep_assert_held(&def->store->bus_lock);

	trace_msi_write_msg(slot, msg);
	if (!memcmp(&slot->msg, msg, sizeof(*msg)))
		return;

	slot->msg = *msg;
	raw_spin_lock_irqsave(&def->dirty_lock, flags);
	msi_mark_dirty(def, slot, MSI_SYNC_MSG);
	raw_spin_unlock_irqrestore(&def->dirty_lock, flags);
}

/* Post the first dirty slot, if any, if the device can be accessed */
static struct msi_core_desc *msi_post_first(struct msi_deferred *def)
{
	struct msi_core_desc *core = NULL;
	struct msi_slot *slot;

	raw_spin_lock_irq(&def->dirty_lock);
	if (!msi_store_is_suspended(def->store))
		core = list_first_entry_or_null(&def->dirty, struct msi_core_desc, dirty_node);
	if (core) {
		slot = &core->desc.slot;
		core->posted = core->dirty;
		core->dirty = 0;
		slot->masked = core->next_masked || (def->hold && slot == def->chosen);
		list_move_tail(&core->dirty_node, &def->posted);
	}
	raw_spin_unlock_irq(&def->dirty_lock);
	return core;
}

/* It had no room. The device does not have what &msi_slot.masked says any more */
static void msi_post_back(struct msi_deferred *def, struct msi_core_desc *core)
{
	raw_spin_lock_irq(&def->dirty_lock);
	core->dirty |= core->posted | MSI_SYNC_FORCE;
	core->posted = 0;
	list_move(&core->dirty_node, &def->dirty);
	raw_spin_unlock_irq(&def->dirty_lock);
}

/*
 * The device has been told what was posted, or that has failed. In the latter case the slot
 * stays dirty, and is tried again soon if it is for the first time, or at once if it has
 * changed meanwhile. The content of the device is unknown then, so the next sync writes
 * everything.
 */
static void msi_slot_synced(struct msi_deferred *def, struct msi_core_desc *core, int err)
{
	unsigned int what = core->posted & (MSI_SYNC_MSG | MSI_SYNC_MASK);
	struct msi_slot *slot = &core->desc.slot;
	bool changed;

	trace_msi_sync(slot, what, err);
	if (err)
		dev_err_ratelimited(slot->storage->dev, "%s: Slot %u was not updated: %pe\n",
				    def->store->tmpl->name, slot->index, ERR_PTR(err));
	else if (what & MSI_SYNC_MSG)
		msi_msg_written(&core->desc, slot);

	if (err && !(core->posted & MSI_SYNC_FAILED)) {
		/* It does not wait as long as another one that fails for long */
		def->delay = MSI_RETRY_MIN;
		mod_delayed_work(msi_wq, &def->retry, def->delay);
	}

	raw_spin_lock_irq(&def->dirty_lock);
	changed = core->dirty;
	list_del(&core->dirty_node);
	core->posted = 0;
	if (err)
		core->dirty |= MSI_SYNC_ALL | MSI_SYNC_FAILED;
	if (core->dirty)
		list_add_tail(&core->dirty_node, changed ? &def->dirty : &def->failed);
	raw_spin_unlock_irq(&def->dirty_lock);
}

/*
 * Sync all dirty slots. Storage ops that have complete() are told of several slots, as long
 * as they have room, before the first one is waited for. Returns the first error, and in
 * @new the first one of a slot that was never synced before.
 */
static int msi_deferred_sync(struct msi_deferred *def, int *new)
{
	bool completes = def->store->tmpl->ops->complete, room = true, more = false;
	struct msi_core_desc *core;
	int ret = 0, err;

	msi_store_begin_late(def->store);

	*new = 0;
	/* A slot that becomes dirty after this loop is synced by its task */
	while (!list_empty(&def->dirty) || !list_empty(&def->posted)) {
		if (more)
			cond_resched();
		more = true;

		core = room && !list_empty(&def->dirty) ? msi_post_first(def) : NULL;
		if (core) {
			err = msi_op_sync(&core->desc.slot,
					  core->posted & (MSI_SYNC_MSG | MSI_SYNC_MASK));
			/* Is there one to wait for? */
			if (err == -EAGAIN && !list_is_first(&core->dirty_node, &def->posted)) {
				msi_post_back(def, core);
				room = false;
				continue;
			}
			if (!err && completes)
				continue;
		} else {
			core = list_first_entry_or_null(&def->posted, struct msi_core_desc,
							dirty_node);
			if (!core)
				break;
			err = msi_op_complete(&core->desc.slot);
			room = true;
		}

		if (err) {
			ret = ret ?: err;
			if (core->posted & MSI_SYNC_NEW)
				*new = *new ?: err;
		}
		if (&core->desc.slot == def->chosen)
			def->chosen_err = err;
		msi_slot_synced(def, core, err);
	}

	if (list_empty(&def->failed))
		def->delay = MSI_RETRY_MIN;
	return ret;
}

/* Sync a slot, along with others that are dirty. Returns its result */
static int msi_sync_slot(struct msi_deferred *def, struct msi_slot *slot, u8 what)
{
	int new;

	lockdep_assert_held(&def->store->bus_lock);

	raw_spin_lock_irq(&def->dirty_lock);
	if (what)
		msi_mark_dirty(def, slot, what);
	raw_spin_unlock_irq(&def->dirty_lock);

	def->chosen = slot;
	def->chosen_err = 0;
	msi_deferred_sync(def, &new);
	return def->chosen_err;
}

/**
 * msi_deferred_restore_slot - Have the device told everything about a slot again
 * @slot:	The slot
 *
 * Context: Task context, can sleep. The bus lock must be held.
 *
 * Return: 0 if the slot is in the device, or the store is suspended. Otherwise the error
 * code of the storage ops
 */
int msi_deferred_restore_slot(struct msi_slot *slot)
{
	return msi_sync_slot(msi_slot_deferred(slot), slot, MSI_SYNC_ALL);
}

/* With the lock under which debugfs reads it */
static void msi_record_cookie(struct msi_slot *slot, const union msi_instance_cookie *cookie)
{
	struct msi_desc *desc = container_of(slot, struct msi_desc, slot);
	raw_spinlock_t *lock = &irq_to_desc(desc->irq)->lock;

	raw_spin_lock_irq(lock);
	msi_slot_set_cookie(slot, cookie);
	raw_spin_unlock_irq(lock);
}

/**
 * msi_deferred_set_cookie - Change the cookie of a slot
 * @slot:	The slot
 * @cookie:	The cookie, NULL for none
 *
 * The slot is masked before the device is told the cookie, and unmasked afterwards if it is
 * to be.
 *
 * Context: Task context, can sleep. The bus lock must be held.
 *
 * Return: 0 if the device has the cookie, or the store is suspended. Otherwise the error
 * code of the storage ops, and the slot has the cookie of before
 */
int msi_deferred_set_cookie(struct msi_slot *slot, const union msi_instance_cookie *cookie)
{
	struct msi_deferred *def = msi_slot_deferred(slot);
	const union msi_instance_cookie old = slot->cookie;
	bool had_cookie = slot->has_cookie;
	bool masked;
	int ret;

	lockdep_assert_held(&def->store->bus_lock);

	def->hold = true;
	/* If it could not be masked before then it is tried once more */
	masked = slot->masked && !msi_slot_core(slot)->dirty;
	ret = msi_sync_slot(def, slot, masked ? 0 : MSI_SYNC_MASK);
	if (ret)
		goto release;

	ret = msi_op_set_cookie(slot, cookie);
	if (ret)
		goto release;

	msi_record_cookie(slot, cookie);
	ret = msi_sync_slot(def, slot, MSI_SYNC_ALL);
	if (ret) {
		msi_op_set_cookie(slot, had_cookie ? &old : NULL);
		msi_record_cookie(slot, had_cookie ? &old : NULL);
		msi_sync_slot(def, slot, MSI_SYNC_ALL);
	}

release:
	def->hold = false;
	raw_spin_lock_irq(&def->dirty_lock);
	if (slot->masked != msi_slot_core(slot)->next_masked)
		msi_mark_dirty(def, slot, MSI_SYNC_MASK);
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

/**
 * msi_store_begin - Take the bus lock, and invoke the optional lock() callback
 * @store:	The store
 *
 * Context: Task context, can sleep. The bus lock of the store must be held.
 */
void msi_store_begin(struct msi_dev_store *store)
{
	/* Read once: msi_device_gone() exchanges the ops. */
	void (*lock)(struct msi_storage *storage) = READ_ONCE(store->storage.ops)->lock;

	lockdep_assert_held(&store->bus_lock);

	WRITE_ONCE(store->owner, current);
	if (lock && !msi_store_is_suspended(store)) {
		msi_op_lock(&store->storage, lock);
		store->locked = true;
	}
}

/**
 * msi_store_end - Undo msi_store_begin() and release the bus lock
 * @store:	The store
 *
 * What is recorded from here on is not a matter of this task any more.
 *
 * Context: Task context, can sleep. The bus lock of the store must be held.
 */
void msi_store_end(struct msi_dev_store *store)
{
	WRITE_ONCE(store->owner, NULL);
	if (store->locked) {
		msi_op_unlock(&store->storage);
		store->locked = false;
	}
	mutex_unlock(&store->bus_lock);
}

/**
 * msi_store_can_wait - Check whether to wait for the bus lock from a power transition
 * @store:	The store
 * @status:	The run-time status of the device in this transition
 *
 * Context: Any context.
 *
 * Return: False if the holder of the bus lock can be the caller, or be in a storage op
 * that waits for the end of the transition
 */
bool msi_store_can_wait(const struct msi_dev_store *store, enum rpm_status status)
{
#ifdef CONFIG_PM
	if (READ_ONCE(store->storage.dev->power.runtime_status) == status)
		return false;
#endif
	return READ_ONCE(store->owner) != current;
}

/* lock() can wait for the device to be resumed, so that must not wait for lock() */
static bool msi_store_can_begin(const struct msi_dev_store *store)
{
#ifdef CONFIG_PM
	const enum rpm_status status = READ_ONCE(store->storage.dev->power.runtime_status);

	if (store->tmpl->ops->lock && (status == RPM_SUSPENDING || status == RPM_RESUMING))
		return false;
#endif
	return true;
}

/**
 * msi_store_lock_if - Take the bus lock of a store, and wait for it or not
 * @store:	The store. Its storage ops have lock() or sync()
 * @wait:	Wait, for lock() as well
 *
 * Context: Task context, can sleep.
 *
 * Return: True if the bus lock is held
 */
bool msi_store_lock_if(struct msi_dev_store *store, bool wait)
{
	if (!wait && !msi_store_can_begin(store))
		return false;
	if (!msi_mutex_lock_if(&store->bus_lock, wait))
		return false;
	msi_store_begin(store);
	return true;
}

/* As msi_deferred_sync(), and release the bus lock */
static int __msi_deferred_sync_unlock(struct msi_dev_store *store, int *new)
{
	struct msi_deferred *def = store->deferred;
	int ret = 0;

	*new = 0;
	if (!msi_store_is_suspended(store)) {
		ret = msi_deferred_sync(def, new);
		if (ret)
			queue_delayed_work(msi_wq, &def->retry, def->delay);
	}
	msi_store_end(store);
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
 * Return: 0 if all slots that were added since the bus lock was taken are in the
 * device, or the store is suspended. Otherwise the first error code that
 * sync() returned for one of them. An error of another slot is not returned
 * when a slot is added.
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

	msi_store_lock_if(def->store, true);
	msi_deferred_sync_unlock(def->store);
}

static void msi_deferred_retry(struct work_struct *work)
{
	struct msi_deferred *def = container_of(to_delayed_work(work),
						struct msi_deferred, retry);

	msi_store_lock_if(def->store, true);
	msi_deferred_splice_failed(def);
	def->delay = min(def->delay * 2, MSI_RETRY_MAX);
	msi_deferred_sync_unlock(def->store);
}

/**
 * msi_deferred_suspend - Leave the device alone from here on
 * @store:	The store
 * @accessible:	The device can still be told what it was not told yet
 *
 * Context: Task context, can sleep.
 *
 * Return: 0, or -EBUSY if a change is being carried out, or one with lock() has to be, while
 * the device is suspended by run-time power management, which the change can wait for
 */
int msi_deferred_suspend(struct msi_dev_store *store, bool accessible)
{
	bool wait = msi_store_can_wait(store, RPM_SUSPENDING);
	struct msi_deferred *def = store->deferred;
	int new;

	if (wait && !accessible) {
		raw_spin_lock_irq(&def->dirty_lock);
		def->frozen = true;
		WRITE_ONCE(store->storage.suspended, true);
		raw_spin_unlock_irq(&def->dirty_lock);
	}

	if (!msi_mutex_lock_if(&store->bus_lock, wait))
		return -EBUSY;
	if (accessible && !msi_store_is_suspended(store) && !wait && !msi_store_can_begin(store)) {
		/* The device is up to date, or has to stay until it is */
		if (!list_empty(&def->dirty) || !list_empty(&def->failed)) {
			mutex_unlock(&store->bus_lock);
			return -EBUSY;
		}
	} else if (accessible && !msi_store_is_suspended(store)) {
		/* The last that reaches the device. The log has it if one fails again */
		msi_store_begin(store);
		msi_deferred_splice_failed(def);
		msi_deferred_sync(def, &new);
	}
	raw_spin_lock_irq(&def->dirty_lock);
	def->frozen = false;
	WRITE_ONCE(store->storage.suspended, true);
	raw_spin_unlock_irq(&def->dirty_lock);
	msi_store_end(store);
	return 0;
}

/**
 * msi_deferred_mark_slots - Have the next sync of each slot be about everything
 * @store:	The store
 *
 * A slot is marked with the lock held under which its descriptor is erased, before
 * msi_deferred_exit_slot(). One without an interrupt is new, or was cleared already.
 *
 * Context: Task context, can sleep.
 */
void msi_deferred_mark_slots(struct msi_dev_store *store)
{
	struct msi_deferred *def = store->deferred;
	struct msi_desc *desc;
	unsigned long index;

	xa_for_each(&store->descs, index, desc) {
		xa_lock(&store->descs);
		desc = xa_load(&store->descs, index);
		if (desc && READ_ONCE(desc->irq)) {
			raw_spin_lock_irq(&def->dirty_lock);
			msi_mark_dirty(def, &desc->slot, MSI_SYNC_ALL);
			raw_spin_unlock_irq(&def->dirty_lock);
		}
		xa_unlock(&store->descs);
		cond_resched();
	}
}

/**
 * msi_deferred_resume - Write everything again and end the suspension
 * @store:	The store
 *
 * Context: Task context, can sleep.
 *
 * Return: 0 if all slots are in the device, or will be when the storage op that waits for
 * this has returned or the bus has reset the device. -EIO if the device is being suspended as
 * one that can't be accessed. Otherwise the first error code that sync() returned
 */
int msi_deferred_resume(struct msi_dev_store *store)
{
	struct msi_deferred *def = store->deferred;
	bool locked, frozen;
	int new, ret;

	/* Mark all of it before a part can be synced */
	msi_deferred_mark_slots(store);

	locked = msi_store_lock_if(store, msi_store_can_wait(store, RPM_RESUMING));
	raw_spin_lock_irq(&def->dirty_lock);
	frozen = def->frozen;
	if (!frozen)
		WRITE_ONCE(store->storage.suspended, false);
	raw_spin_unlock_irq(&def->dirty_lock);

	if (locked) {
		ret = __msi_deferred_sync_unlock(store, &new);
		return frozen ? -EIO : ret;
	}
	if (frozen)
		return -EIO;
	queue_work(msi_wq, &def->work);
	return 0;
}

/**
 * msi_deferred_restore - Write everything again, unless the driver has suspended the store
 * @store:	The store
 *
 * Does not wait for the bus lock. If it is held, everything is written after it was
 * released.
 *
 * Context: Task context, can sleep.
 */
void msi_deferred_restore(struct msi_dev_store *store)
{
	struct msi_deferred *def = store->deferred;
	int new;

	/* The task that suspended it resumes it */
	if (msi_store_is_suspended(store))
		return;

	msi_deferred_mark_slots(store);
	if (msi_store_lock_if(store, false))
		__msi_deferred_sync_unlock(store, &new);
	else
		queue_work(msi_wq, &def->work);
}

/**
 * msi_deferred_get_state - Get a consistent view of a slot
 * @store:	The store
 * @slot:	The slot
 * @masked:	Set to what the interrupt core wants it to be
 * @dirty:	Set to what the device has not been told yet, MSI_SYNC_*
 *
 * Does nothing if the store is not a deferred one.
 *
 * Context: Any context. In a RCU read side critical section.
 */
void msi_deferred_get_state(const struct msi_dev_store *store, struct msi_slot *slot,
			    bool *masked, unsigned int *dirty)
{
	struct msi_deferred *def = READ_ONCE(store->deferred);
	unsigned long flags;

	if (!def)
		return;

	raw_spin_lock_irqsave(&def->dirty_lock, flags);
	*masked = msi_slot_core(slot)->next_masked;
	/* What the device is being told it does not have yet */
	*dirty = msi_slot_core(slot)->dirty | msi_slot_core(slot)->posted;
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
	raw_spin_lock_init(&def->dirty_lock);
	INIT_LIST_HEAD(&def->dirty);
	INIT_LIST_HEAD(&def->failed);
	INIT_LIST_HEAD(&def->posted);
	def->delay = MSI_RETRY_MIN;
	INIT_WORK(&def->work, msi_deferred_work);
	INIT_DELAYED_WORK(&def->retry, msi_deferred_retry);
	store->deferred = def;
	return 0;
}

static void msi_deferred_free_rcu(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct msi_deferred, rcu));
}

/**
 * msi_deferred_exit - Undo msi_deferred_init()
 * @store:	The store, which has no descriptors any more
 *
 * Context: Task context, can sleep. Waits for work that is in progress.
 */
void msi_deferred_exit(struct msi_dev_store *store)
{
	struct msi_deferred *def = store->deferred;

	if (!def)
		return;

	cancel_work_sync(&def->work);
	cancel_delayed_work_sync(&def->retry);
	store->deferred = NULL;
	call_rcu(&def->rcu, msi_deferred_free_rcu);
}
