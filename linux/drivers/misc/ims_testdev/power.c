// SPDX-License-Identifier: GPL-2.0
/* Suspend ims-testdev, restore it and drop its state; the copied message */
#include <linux/atomic.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/msi.h>
#include <linux/msi_notify.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/sched.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "ims_td.h"

/* The copied message: see IMS_TD_REG_COPY_VALID for the order */

static void ims_td_copy_write(struct ims_testdev *td, const struct msi_msg *msg)
{
	ims_td_write(td, IMS_TD_REG_COPY_ADDR_LO, msg->address_lo);
	ims_td_write(td, IMS_TD_REG_COPY_ADDR_HI, msg->address_hi);
	ims_td_write(td, IMS_TD_REG_COPY_DATA, msg->data);
	ims_td_write(td, IMS_TD_REG_COPY_VALID, 1);
}

/*
 * Atomic, with locks of the core held. The core makes one call at a time, and none
 * while the device is away, as the notifier isn't registered then.
 */
void ims_td_copy_changed(struct msi_msg_notifier *notifier, unsigned int irq,
			 const struct msi_msg *msg)
{
	ims_td_copy_write(container_of(notifier, struct ims_testdev, notifier), msg);
}

/* Also when the device has come back, and has forgotten what it was told */
static int ims_td_copy_start(struct ims_testdev *td)
{
	if (td->copy == IMS_TD_COPY_ONCE)
		ims_td_copy_write(td, &td->copied);
	if (td->copy != IMS_TD_COPY_FOLLOW)
		return 0;
	return msi_register_msg_notifier(pci_irq_vector(td->pdev, 0), &td->notifier);
}

static void ims_td_copy_stop(struct ims_testdev *td)
{
	if (td->copy == IMS_TD_COPY_FOLLOW)
		msi_unregister_msg_notifier(pci_irq_vector(td->pdev, 0), &td->notifier);
	if (td->copy != IMS_TD_COPY_NONE)
		ims_td_write(td, IMS_TD_REG_COPY_VALID, 0);
}

int ims_td_copy_begin(struct ims_testdev *td, enum ims_td_copy copy)
{
	int ret;

	lockdep_assert_held(&td->lock);

	/* The old way, on purpose: nobody keeps that up to date. */
	if (copy == IMS_TD_COPY_ONCE)
		get_cached_msi_msg(pci_irq_vector(td->pdev, 0), &td->copied);

	td->copy = copy;
	ret = ims_td_copy_start(td);
	if (ret)
		td->copy = IMS_TD_COPY_NONE;
	return ret;
}

void ims_td_copy_end(struct ims_testdev *td)
{
	lockdep_assert_held(&td->lock);

	/* It is stopped already while the device is away. */
	if (!td->away)
		ims_td_copy_stop(td);
	td->copy = IMS_TD_COPY_NONE;
}

void ims_td_disable_vectors(struct ims_testdev *td, unsigned int kind)
{
	struct ims_td_slot *slot;
	unsigned long nr;

	lockdep_assert_held(&td->lock);

	xa_for_each(&td->slots[kind], nr, slot)
		ims_td_drop_slot(td, slot);

	if (kind == IMS_TD_KIND_COPY)
		ims_td_copy_end(td);
	pci_free_irq_vectors(td->pdev);
	td->nr_vectors[kind] = 0;
}

/*
 * The device comes and goes. What it forgets it must be told again: where the slots
 * in memory are, and where the command ring is. The core tells it the rest.
 */

/* As they are when nobody has used them, and masked so that none can be sent */
void ims_td_clear_mem(struct ims_testdev *td)
{
	unsigned int nr;
	__le32 *ctrl;

	for (nr = 0; nr < td->nr_slots[IMS_TD_KIND_MEM]; nr++) {
		memset(ims_td_mem_slot_addr(td, nr), 0, IMS_TD_SLOT_SIZE);
		ctrl = ims_td_mem_slot_addr(td, nr) + IMS_TD_SLOT_CTRL;
		*ctrl = cpu_to_le32(IMS_TD_SLOT_CTRL_MASK);
	}
}

void ims_td_start(struct ims_testdev *td)
{
	if (td->nr_slots[IMS_TD_KIND_MEM]) {
		ims_td_write(td, IMS_TD_REG_MEM_BASE_LO, lower_32_bits(td->mem_dma));
		ims_td_write(td, IMS_TD_REG_MEM_BASE_HI, upper_32_bits(td->mem_dma));
		ims_td_write(td, IMS_TD_REG_MEM_COUNT, td->nr_slots[IMS_TD_KIND_MEM]);
	}
	if (td->nr_slots[IMS_TD_KIND_CMD])
		ims_td_ring_start(td);
	/* It was registered for this very interrupt before. */
	WARN_ON_ONCE(ims_td_copy_start(td));
}

void ims_td_stop(struct ims_testdev *td)
{
	ims_td_copy_stop(td);
	if (td->nr_slots[IMS_TD_KIND_CMD])
		ims_td_ring_stop(td);
	if (td->nr_slots[IMS_TD_KIND_MEM])
		ims_td_write(td, IMS_TD_REG_MEM_COUNT, 0);
}

/* What is pending now is not expected any more, as the device will forget it. */
static void ims_td_forget_pending(struct ims_testdev *td, unsigned int kind)
{
	struct ims_testdev_count count;
	struct ims_td_sum sum = { };
	struct ims_td_slot *slot;
	unsigned long nr;

	lockdep_assert_held(&td->lock);

	ims_td_write(td, IMS_TD_REG_SEL_KIND, kind);
	if (!ims_td_read(td, IMS_TD_REG_KIND_PENDING))
		return;

	xa_for_each(&td->slots[kind], nr, slot) {
		if (!slot->requested)
			continue;
		ims_td_write(td, IMS_TD_REG_SEL_SLOT, nr);
		if (!(ims_td_read(td, IMS_TD_REG_SLOT_STATE) & IMS_TD_SLOT_PENDING))
			continue;
		/* What was fired unexpectedly is not missed. */
		if (!ims_td_sum_up(&sum, slot, &count))
			continue;

		slot->forgotten_at = count.received;
		slot->spurious_at = atomic_read(&slot->spurious);
		atomic_dec(&slot->expected);
		xa_set_mark(&td->slots[kind], nr, IMS_TD_FORGOTTEN);
		td->forgotten[kind]++;
	}
}

/*
 * It was not taken away after all, if a suspend has failed or was only a test. Or it
 * was sent in time: A managed interrupt is unmasked when its CPU comes online.
 */
static void ims_td_recall_pending(struct ims_testdev *td, unsigned int kind)
{
	struct ims_testdev_count count;
	struct ims_td_sum sum = { };
	struct ims_td_slot *slot;
	unsigned long nr;

	lockdep_assert_held(&td->lock);

	ims_td_write(td, IMS_TD_REG_SEL_KIND, kind);
	xa_for_each_marked(&td->slots[kind], nr, slot, IMS_TD_FORGOTTEN) {
		xa_clear_mark(&td->slots[kind], nr, IMS_TD_FORGOTTEN);
		ims_td_sum_up(&sum, slot, &count);
		ims_td_write(td, IMS_TD_REG_SEL_SLOT, nr);
		/* The handler can have been in time, too, and found it expected. */
		if (atomic_read(&slot->spurious) != slot->spurious_at)
			atomic_dec(&slot->spurious);
		else if (count.received == slot->forgotten_at &&
			 !(ims_td_read(td, IMS_TD_REG_SLOT_STATE) & IMS_TD_SLOT_PENDING))
			continue;

		atomic_inc(&slot->expected);
		td->forgotten[kind]--;
	}
}

/* A device that was removed has nothing that could be suspended */
void ims_td_suspend_store(struct ims_testdev *td, unsigned int id)
{
	int ret = pci_ims_store_suspend(td->pdev, id);

	WARN_ON_ONCE(ret && !pci_dev_is_disconnected(td->pdev));
}

static long ims_td_nothing(void *unused)
{
	return 0;
}

void ims_td_leave(struct ims_testdev *td)
{
	struct ims_td_store *store;
	unsigned int kind, cpu;
	unsigned long id;

	lockdep_assert_held(&td->lock);

	xa_for_each(&td->stores, id, store) {
		if (!(store->flags & IMS_TESTDEV_STORE_UNATTENDED))
			ims_td_suspend_store(td, id);
	}

	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
		if (td->nr_slots[kind])
			ims_td_forget_pending(td, kind);
	}
	ims_td_stop(td);
	/*
	 * The flow handler of an interrupt that was sent before this can mask its MSI-X entry.
	 * Wait until each CPU has handled what it was sent.
	 */
	cpus_read_lock();
	for_each_online_cpu(cpu)
		work_on_cpu(cpu, ims_td_nothing, NULL);
	cpus_read_unlock();
}

/* Returns the first error of a store, which the core takes care of */
int ims_td_return(struct ims_testdev *td)
{
	struct ims_td_store *store;
	unsigned int kind;
	unsigned long id;
	int ret = 0, err;

	lockdep_assert_held(&td->lock);

	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
		if (td->nr_slots[kind])
			ims_td_recall_pending(td, kind);
	}

	ims_td_start(td);
	xa_for_each(&td->stores, id, store) {
		if (store->flags & IMS_TESTDEV_STORE_UNATTENDED)
			continue;
		err = pci_ims_store_resume(td->pdev, id);
		ret = ret ?: err;
	}
	return ret;
}

static int ims_td_fetch_runtime(struct ims_testdev *td)
{
	int ret = pm_runtime_resume_and_get(&td->pdev->dev);

	if (ret)
		return ret;

	pm_runtime_forbid(&td->pdev->dev);
	td->runtime = false;
	td->away = false;
	return ims_td_return(td);
}

/* Bring it back from where ims_td_ioc_suspend() has sent it */
int ims_td_fetch(struct ims_testdev *td)
{
	int ret;

	lockdep_assert_held(&td->lock);

	if (td->runtime)
		return ims_td_fetch_runtime(td);

	ret = pci_set_power_state(td->pdev, PCI_D0);
	if (ret)
		return ret;

	ret = pci_load_and_free_saved_state(td->pdev, &td->saved);
	if (ret)
		return ret;

	/* Drivers do it in any context, which is possible without an IMS */
	if (xa_empty(&td->stores)) {
		local_irq_disable();
		pci_restore_state(td->pdev);
		local_irq_enable();
	} else {
		pci_restore_state(td->pdev);
	}
	td->away = false;
	return ims_td_return(td);
}

/* Take down all that a test has set up, handlers first and stores last */
void ims_td_take_down(struct ims_testdev *td)
{
	struct ims_td_store *store;
	struct ims_td_slot *slot;
	unsigned int kind;
	unsigned long nr;

	lockdep_assert_held(&td->lock);

	if (td->away)
		ims_td_fetch(td);

	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
		xa_for_each(&td->slots[kind], nr, slot) {
			if (slot->requested)
				ims_td_release_one(td, slot, 0);
			if (slot->store)
				ims_td_free_one(td, slot, 0);
			cond_resched();
		}
		if (td->nr_vectors[kind])
			ims_td_disable_vectors(td, kind);
	}

	xa_for_each(&td->stores, nr, store)
		ims_td_remove_store(td, store);
}
