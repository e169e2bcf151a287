// SPDX-License-Identifier: GPL-2.0
/* Interrupts of ims-testdev, one by one: handlers, counters, freeing */
#include <linux/atomic.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/kref.h>
#include <linux/msi.h>
#include <linux/msi_api.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "ims_td.h"

void ims_td_free_kref(struct kref *ref)
{
	struct ims_testdev *td = container_of(ref, struct ims_testdev, ref);

	kfree(td->saved);
	kfree(td->misc.name);
	mutex_destroy(&td->ring.lock);
	mutex_destroy(&td->lock);
	kfree(td);
}

/* The handler, its counters, and installing and removing it */

static void ims_td_count(struct ims_td_slot *slot)
{
	/*
	 * The core runs the handler once at a time. Who sees that an interrupt was
	 * received must see what it was: pairs with ims_td_sum_up().
	 */
	if (atomic_read(&slot->received) >= atomic_read(&slot->expected))
		atomic_inc(&slot->spurious);
	atomic_inc_return_release(&slot->received);
}

static irqreturn_t ims_td_handler(int irq, void *data)
{
	ims_td_count(data);
	return IRQ_HANDLED;
}

/* A thread runs once for all interrupts that came in since it was woken. */
static irqreturn_t ims_td_wake(int irq, void *data)
{
	struct ims_td_slot *slot = data;

	atomic_inc(&slot->woken);
	return IRQ_WAKE_THREAD;
}

static irqreturn_t ims_td_thread(int irq, void *data)
{
	struct ims_td_slot *slot = data;
	int nr = atomic_xchg(&slot->woken, 0);

	while (nr--)
		ims_td_count(slot);
	return IRQ_HANDLED;
}

/*
 * Add the counters of a slot to @sum, and return what they were in @count. Returns how
 * many interrupts are missing.
 */
int ims_td_sum_up(struct ims_td_sum *sum, const struct ims_td_slot *slot,
		  struct ims_testdev_count *count)
{
	int missing;

	count->expected = atomic_read(&slot->expected);
	count->received = atomic_read_acquire(&slot->received);
	count->spurious = atomic_read(&slot->spurious);

	/*
	 * Of what was received, the spurious ones were not waited for. The
	 * handler may have run between the reads, and be ahead in either.
	 */
	missing = max((int)(count->expected - (count->received - count->spurious)), 0);

	sum->expected += count->expected;
	sum->received += count->received;
	sum->spurious += count->spurious;
	sum->lost += missing;
	return missing;
}

static void ims_td_clear_counters(struct ims_testdev *td, struct ims_td_slot *slot)
{
	struct ims_testdev_count count;

	lockdep_assert_held(&td->lock);

	ims_td_sum_up(&td->past[slot->kind], slot, &count);
	atomic_set(&slot->expected, 0);
	atomic_set(&slot->received, 0);
	atomic_set(&slot->spurious, 0);
}

int ims_td_request_one(struct ims_testdev *td, struct ims_td_slot *slot,
		       unsigned int flags)
{
	const bool threaded = flags & IMS_TESTDEV_REQUEST_THREADED;
	const bool disabled = flags & IMS_TESTDEV_REQUEST_NO_AUTOEN;
	int ret;

	lockdep_assert_held(&td->lock);

	ims_td_clear_counters(td, slot);

	/* free_irq() takes the flag back, an error of request_irq() doesn't. */
	if (flags & IMS_TESTDEV_REQUEST_UNLAZY)
		irq_set_status_flags(slot->map.virq, IRQ_DISABLE_UNLAZY);

	ret = request_threaded_irq(slot->map.virq, threaded ? ims_td_wake : ims_td_handler,
				   threaded ? ims_td_thread : NULL,
				   (flags & IMS_TESTDEV_REQUEST_ONESHOT ? IRQF_ONESHOT : 0) |
				   (disabled ? IRQF_NO_AUTOEN : 0),
				   slot->name, slot);
	if (ret) {
		irq_clear_status_flags(slot->map.virq, IRQ_DISABLE_UNLAZY);
		return ret;
	}

	slot->requested = true;
	slot->masked = disabled;
	return 0;
}

int ims_td_release_one(struct ims_testdev *td, struct ims_td_slot *slot,
		       unsigned int flags)
{
	lockdep_assert_held(&td->lock);

	free_irq(slot->map.virq, slot);
	slot->requested = false;
	slot->masked = false;
	return 0;
}

int ims_td_mask_one(struct ims_testdev *td, struct ims_td_slot *slot, unsigned int flags)
{
	lockdep_assert_held(&td->lock);

	disable_irq(slot->map.virq);
	slot->masked = true;
	return 0;
}

int ims_td_unmask_one(struct ims_testdev *td, struct ims_td_slot *slot,
		      unsigned int flags)
{
	lockdep_assert_held(&td->lock);

	slot->masked = false;
	enable_irq(slot->map.virq);
	return 0;
}

/* Slots: the bookkeeping of what the core has allocated */

struct ims_td_slot *ims_td_add_slot(struct ims_testdev *td, unsigned int kind,
				    unsigned int nr, unsigned int store,
				    struct msi_map map)
{
	struct ims_td_slot *slot;
	int ret;

	lockdep_assert_held(&td->lock);

	slot = kzalloc(sizeof(*slot), GFP_KERNEL);
	if (!slot)
		return ERR_PTR(-ENOMEM);

	slot->kind = kind;
	slot->nr = nr;
	slot->store = store;
	slot->map = map;
	snprintf(slot->name, sizeof(slot->name), "%s-%s-%u", td->misc.name,
		 ims_td_kinds[kind].name, nr);

	ret = xa_insert(&td->slots[kind], nr, slot, GFP_KERNEL);
	if (ret) {
		kfree(slot);
		return ERR_PTR(ret);
	}
	return slot;
}

/* Have the device judge with which PASID a slot sends */
void ims_td_expect_pasid(struct ims_testdev *td, struct ims_td_slot *slot, u32 expect)
{
	lockdep_assert_held(&td->lock);

	ims_td_write(td, IMS_TD_REG_SEL_KIND, slot->kind);
	ims_td_write(td, IMS_TD_REG_SEL_SLOT, slot->nr);
	ims_td_write(td, IMS_TD_REG_SLOT_EXPECT, expect);
	slot->expect = expect;
}

void ims_td_drop_slot(struct ims_testdev *td, struct ims_td_slot *slot)
{
	struct ims_td_store *store = xa_load(&td->stores, slot->store);

	lockdep_assert_held(&td->lock);

	if (store)
		store->next = min_t(unsigned int, store->next, slot->map.index);
	/* The next owner has another one. */
	if (slot->expect && !td->away && !td->dead)
		ims_td_expect_pasid(td, slot, 0);

	ims_td_clear_counters(td, slot);
	xa_erase(&td->slots[slot->kind], slot->nr);
	kfree(slot);
}

int ims_td_free_one(struct ims_testdev *td, struct ims_td_slot *slot, unsigned int flags)
{
	lockdep_assert_held(&td->lock);

	ims_td_kinds[slot->kind].free_irq(td, slot);
	ims_td_drop_slot(td, slot);
	return 0;
}

/* Stores */

void ims_td_remove_store(struct ims_testdev *td, struct ims_td_store *store)
{
	struct ims_td_slot *slot;
	unsigned long nr;

	lockdep_assert_held(&td->lock);

	/* The core frees the interrupts along with their store. */
	xa_for_each_range(&td->slots[store->kind], nr, slot, store->first,
			  store->first + store->nr_slots - 1)
		ims_td_drop_slot(td, slot);

	pci_remove_ims_store(td->pdev, store->id);
	xa_erase(&td->stores, store->id);
	kfree(store);
}
