// SPDX-License-Identifier: GPL-2.0
/*
 * Storage ops that are wrong on purpose, for the slot table of ims-testdev
 *
 * Each rule for storage ops and their templates is broken by one set of them, which
 * is right in everything else, so that a test can tell that this rule is enforced.
 * The sets are numbered in ims_testdev_ops.h, which also says what
 * each of them leads to. Next to the wrong ones there are two that are right: one
 * for a direct store and one for a deferred store.
 *
 * There are three ways to go wrong:
 *
 *   refused	The core does not create a store from it
 *   reported	An op does its work, and a misdeed beyond it, which
 *		CONFIG_MSI_STORAGE_DEBUG finds and undoes. Or it does not do its work,
 *		which can be read back from the slot
 *   judged	An op does wrong what only the device can see
 *
 * Invariants:
 *
 *   - A template that is in writable memory stays there until the store is
 *     removed, even if the core should take it.
 *   - msi_slot::ctrl is what the ops believe the control word to be. A wrong op
 *     leaves it as if it were right, unless noted otherwise.
 */
#include <linux/io.h>
#include <linux/irqchip/msi-storage.h>
#include <linux/irqdomain.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "ims_testdev_ops.h"
#include "ims_testdev_regs.h"
#include "wrong_ops.h"

enum testdev_op {
	OP_NONE,
	OP_INIT_SLOT,
	OP_FREE_SLOT,
	OP_WRITE_MSG,
	OP_MASK,
	OP_UNMASK,
	OP_SYNC,
	OP_LOCK,
	OP_UNLOCK,
};

/**
 * struct testdev_set - A set of storage ops
 * @nr:		IMS_TESTDEV_OPS_*
 * @tmpl:	What to make the store from
 * @tmpl_copied: Make it from a copy of @tmpl on the heap
 * @ops_copied:	With a copy of its ops
 * @op:		The op that does a misdeed after its work
 * @misdeed:	What it does
 * @survivable:	Whether this kernel undoes @misdeed and can go on
 */
struct testdev_set {
	unsigned int				nr;
	const struct msi_storage_template	*tmpl;
	bool					tmpl_copied;
	bool					ops_copied;
	enum testdev_op				op;
	void					(*misdeed)(void);
	bool					survivable;
};

/**
 * struct testdev_store - Private data of a store
 * @base:	First slot
 * @nr_slots:	How many they are
 * @set:	The storage ops
 * @lock:	Held around batches
 * @first:	The first message that was written
 * @has_first:	There is one
 * @tmpl:	Copy of the template
 * @ops:	Copy of the storage ops
 */
struct testdev_store {
	void __iomem			*base;
	unsigned int			nr_slots;
	const struct testdev_set	*set;
	struct mutex			lock; /* not needed for anything, but to be held */
	struct msi_msg			first;
	bool				has_first;
	struct msi_storage_template	tmpl;
	struct msi_storage_ops		ops;
};

/* Misdeeds, and where one can live on after them */

#define DEBUGGED		IS_ENABLED(CONFIG_MSI_STORAGE_DEBUG)
/* Lockdep complains when interrupts are enabled with the descriptor lock held */
#define DEBUGGED_NO_LOCKDEP	(DEBUGGED && !IS_ENABLED(CONFIG_TRACE_IRQFLAGS))
#define DEBUGGED_COUNTED	(DEBUGGED && IS_ENABLED(CONFIG_PREEMPT_COUNT))

/*
 * Sleep with the descriptor lock held and interrupts disabled. The scheduler must not
 * know, and the interrupt must not come in meanwhile.
 */
static void testdev_sleep(void)
{
	if (!in_task())
		return;

	preempt_enable();
	local_irq_enable();
	schedule_timeout_uninterruptible(1);
	local_irq_disable();
	preempt_disable();
}

static void testdev_enable_irqs(void)
{
	local_irq_enable();
}

static void testdev_disable_irqs(void)
{
	local_irq_disable();
}

static void testdev_disable_preemption(void)
{
	preempt_disable();
}

static void testdev_misbehave(const struct testdev_store *store, enum testdev_op op)
{
	if (store->set->op == op)
		store->set->misdeed();
}

/* The right way to do it */

/* The core writes the slots again when the device is back */
static bool testdev_reachable(const struct msi_storage *storage)
{
	struct pci_dev *pdev = to_pci_dev(storage->dev);

	return pdev->current_state == PCI_D0 && !msi_storage_is_suspended(storage) &&
	       !pci_dev_is_disconnected(pdev);
}

static void testdev_write_ctrl(const struct msi_storage *storage, const struct msi_slot *slot,
			       u32 ctrl)
{
	if (!testdev_reachable(storage))
		return;

	writel(ctrl, slot->iobase + IMS_TD_SLOT_CTRL);
	readl(slot->iobase + IMS_TD_SLOT_CTRL);
}

static void testdev_put_msg(const struct msi_storage *storage, const struct msi_slot *slot,
			    const struct msi_msg *msg)
{
	if (!testdev_reachable(storage))
		return;

	writel(msg->address_lo, slot->iobase + IMS_TD_SLOT_ADDR_LO);
	writel(msg->address_hi, slot->iobase + IMS_TD_SLOT_ADDR_HI);
	writel(msg->data, slot->iobase + IMS_TD_SLOT_DATA);
	readl(slot->iobase + IMS_TD_SLOT_DATA);
}

static int testdev_set_up_slot(struct msi_storage *storage, struct msi_slot *slot,
			       unsigned int nr, u32 ctrl)
{
	struct testdev_store *store = storage->priv;

	slot->iobase = store->base + (size_t)nr * IMS_TD_SLOT_SIZE;
	slot->ctrl = ctrl;
	testdev_write_ctrl(storage, slot, ctrl);
	return 0;
}

static int testdev_init_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	testdev_set_up_slot(storage, slot, slot->index, IMS_TD_SLOT_CTRL_MASK);
	testdev_misbehave(storage->priv, OP_INIT_SLOT);
	return 0;
}

static void testdev_free_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	slot->iobase = NULL;
	testdev_misbehave(storage->priv, OP_FREE_SLOT);
}

static void testdev_mask(struct msi_storage *storage, struct msi_slot *slot)
{
	slot->ctrl |= IMS_TD_SLOT_CTRL_MASK;
	testdev_write_ctrl(storage, slot, slot->ctrl);
	testdev_misbehave(storage->priv, OP_MASK);
}

static void testdev_unmask(struct msi_storage *storage, struct msi_slot *slot)
{
	slot->ctrl &= ~IMS_TD_SLOT_CTRL_MASK;
	testdev_write_ctrl(storage, slot, slot->ctrl);
	testdev_misbehave(storage->priv, OP_UNMASK);
}

/* Write a message by @put while the slot is masked, unless it is believed to be */
static void testdev_write_masked(const struct msi_storage *storage, const struct msi_slot *slot,
				 const struct msi_msg *msg,
				 void (*put)(const struct msi_storage *storage,
					     const struct msi_slot *slot,
					     const struct msi_msg *msg))
{
	bool unmasked = !(slot->ctrl & IMS_TD_SLOT_CTRL_MASK);

	if (unmasked)
		testdev_write_ctrl(storage, slot, slot->ctrl | IMS_TD_SLOT_CTRL_MASK);
	put(storage, slot, msg);
	if (unmasked)
		testdev_write_ctrl(storage, slot, slot->ctrl);
}

static void testdev_write_msg(struct msi_storage *storage, struct msi_slot *slot,
			      const struct msi_msg *msg)
{
	testdev_write_masked(storage, slot, msg, testdev_put_msg);
	testdev_misbehave(storage->priv, OP_WRITE_MSG);
}

static int testdev_sync(struct msi_storage *storage, struct msi_slot *slot, unsigned int what)
{
	if (what & MSI_SYNC_MASK && slot->masked)
		testdev_mask(storage, slot);
	if (what & MSI_SYNC_MSG)
		testdev_write_masked(storage, slot, &slot->msg, testdev_put_msg);
	if (what & MSI_SYNC_MASK && !slot->masked)
		testdev_unmask(storage, slot);

	testdev_misbehave(storage->priv, OP_SYNC);
	return 0;
}

static void testdev_lock(struct msi_storage *storage)
{
	struct testdev_store *store = storage->priv;

	mutex_lock(&store->lock);
	testdev_misbehave(store, OP_LOCK);
}

static void testdev_unlock(struct msi_storage *storage)
{
	struct testdev_store *store = storage->priv;

	mutex_unlock(&store->lock);
	testdev_misbehave(store, OP_UNLOCK);
}

static bool testdev_is_masked(struct msi_storage *storage, struct msi_slot *slot)
{
	u32 ctrl = slot->ctrl;

	if (testdev_reachable(storage))
		ctrl = readl(slot->iobase + IMS_TD_SLOT_CTRL);
	return ctrl & IMS_TD_SLOT_CTRL_MASK;
}

static void testdev_release(struct msi_storage *storage)
{
	struct testdev_store *store = storage->priv;

	mutex_destroy(&store->lock);
	kfree(store);
}

/* Ops that don't do their work, or do it wrong */

/* It is unmasked, and the ops know that */
static int testdev_init_slot_unmasked(struct msi_storage *storage, struct msi_slot *slot)
{
	return testdev_set_up_slot(storage, slot, slot->index, 0);
}

static int testdev_init_wrong_slot(struct msi_storage *storage, struct msi_slot *slot)
{
	struct testdev_store *store = storage->priv;
	unsigned int nr = slot->index ^ 1;

	/* The last one may have no neighbour */
	if (nr >= store->nr_slots)
		return -EINVAL;
	return testdev_set_up_slot(storage, slot, nr, IMS_TD_SLOT_CTRL_MASK);
}

static void testdev_mask_nothing(struct msi_storage *storage, struct msi_slot *slot)
{
	slot->ctrl |= IMS_TD_SLOT_CTRL_MASK;
}

static void testdev_unmask_nothing(struct msi_storage *storage, struct msi_slot *slot)
{
	slot->ctrl &= ~IMS_TD_SLOT_CTRL_MASK;
}

static void testdev_write_msg_and_unmask(struct msi_storage *storage, struct msi_slot *slot,
					 const struct msi_msg *msg)
{
	testdev_write_masked(storage, slot, msg, testdev_put_msg);
	testdev_write_ctrl(storage, slot, slot->ctrl & ~IMS_TD_SLOT_CTRL_MASK);
}

/* Of all changes of the mask state, the one to @masked is forgotten */
static int testdev_sync_forget(struct msi_storage *storage, struct msi_slot *slot,
			       unsigned int what, bool masked)
{
	if (what & MSI_SYNC_MSG)
		testdev_write_masked(storage, slot, &slot->msg, testdev_put_msg);
	if (what & MSI_SYNC_MASK && slot->masked != masked) {
		slot->ctrl = slot->masked ? IMS_TD_SLOT_CTRL_MASK : 0;
		testdev_write_ctrl(storage, slot, slot->ctrl);
	}
	return 0;
}

static int testdev_sync_mask_nothing(struct msi_storage *storage, struct msi_slot *slot,
				     unsigned int what)
{
	return testdev_sync_forget(storage, slot, what, true);
}

static int testdev_sync_unmask_nothing(struct msi_storage *storage, struct msi_slot *slot,
				       unsigned int what)
{
	return testdev_sync_forget(storage, slot, what, false);
}

static void testdev_unmask_then_put(struct msi_storage *storage, struct msi_slot *slot)
{
	testdev_unmask(storage, slot);
	testdev_put_msg(storage, slot, &slot->msg);
}

static int testdev_sync_then_put(struct msi_storage *storage, struct msi_slot *slot,
				 unsigned int what)
{
	if (!(what & MSI_SYNC_MASK))
		return 0;

	if (slot->masked)
		testdev_mask(storage, slot);
	else
		testdev_unmask_then_put(storage, slot);
	return 0;
}

static void testdev_write_first_msg(struct msi_storage *storage, struct msi_slot *slot,
				    const struct msi_msg *msg)
{
	struct testdev_store *store = storage->priv;
	bool empty = !msg->address_lo && !msg->address_hi && !msg->data;

	if (!empty && !store->has_first) {
		store->first = *msg;
		store->has_first = true;
	}
	testdev_write_masked(storage, slot, empty ? msg : &store->first, testdev_put_msg);
}

static void testdev_write_no_msg(struct msi_storage *storage, struct msi_slot *slot,
				 const struct msi_msg *msg)
{
}

static void testdev_put_half(void __iomem *field, u32 value)
{
	writew(value & 0xffff, field);
	writew(value >> 16, field + sizeof(u16));
}

static void testdev_put_halves(const struct msi_storage *storage, const struct msi_slot *slot,
			       const struct msi_msg *msg)
{
	if (!testdev_reachable(storage))
		return;

	testdev_put_half(slot->iobase + IMS_TD_SLOT_ADDR_LO, msg->address_lo);
	testdev_put_half(slot->iobase + IMS_TD_SLOT_ADDR_HI, msg->address_hi);
	testdev_put_half(slot->iobase + IMS_TD_SLOT_DATA, msg->data);
}

static void testdev_write_halves(struct msi_storage *storage, struct msi_slot *slot,
				 const struct msi_msg *msg)
{
	testdev_write_masked(storage, slot, msg, testdev_put_halves);
}

/*
 * The sets. OPS() gets the names of the ops without their prefix, and none where one
 * is missing, in the order
 *
 *	init_slot, write_msg, mask, unmask, sync, lock, unlock, is_masked
 */
#define testdev_none	NULL

#define OPS(_init_slot, _write_msg, _mask, _unmask, _sync, _lock, _unlock, _is_masked)	\
	(&(const struct msi_storage_ops) {			\
		.init_slot	= testdev_##_init_slot,		\
		.free_slot	= testdev_free_slot,		\
		.write_msg	= testdev_##_write_msg,		\
		.mask		= testdev_##_mask,		\
		.unmask		= testdev_##_unmask,		\
		.sync		= testdev_##_sync,		\
		.lock		= testdev_##_lock,		\
		.unlock		= testdev_##_unlock,		\
		.is_masked	= testdev_##_is_masked,		\
		.release	= testdev_release,		\
	})

#define TEMPLATE(_name, _bus_token, _requires, _flags, _size, _ops, _owner)	\
	{							\
		.name		= _name,			\
		.mode		= "ims",			\
		.bus_token	= _bus_token,			\
		.requires	= _requires,			\
		.flags		= _flags,			\
		.size		= _size,			\
		.ops		= _ops,				\
		.owner		= _owner,			\
	}

#define NAME		"IMS-TESTDEV"
#define TOKEN		DOMAIN_BUS_PCI_DEVICE_IMS
#define REQUIRES	MSI_PARENT_PCI_IMS

#define CONST_TEMPLATE(...)	(&(const struct msi_storage_template)TEMPLATE(__VA_ARGS__))
#define FLAGGED(_flags, _ops)	CONST_TEMPLATE(NAME, TOKEN, REQUIRES, _flags, 0, _ops, THIS_MODULE)
#define PLAIN(_ops)		FLAGGED(0, _ops)

#define DIRECT_OPS	OPS(init_slot, write_msg, mask, unmask, none, lock, unlock, is_masked)
#define DEFERRED_OPS	OPS(init_slot, none, none, none, sync, lock, unlock, is_masked)

/* In a module this is writable. Some architectures have constants with relocations here */
static struct msi_storage_template testdev_direct __section(".data.rel.ro.testdev") =
	TEMPLATE(NAME, TOKEN, REQUIRES, 0, 0, DIRECT_OPS, THIS_MODULE);

static const struct msi_storage_template testdev_deferred = TEMPLATE(NAME, TOKEN, REQUIRES, 0, 0,
								     DEFERRED_OPS, THIS_MODULE);

/* A module that can be pinned, and does not have the ops. Nobody has one in a module */
#ifdef MODULE
#define OTHER_MODULE	NULL
#elif defined(CONFIG_MODULES)
static struct module testdev_other_module = {
	.state	= MODULE_STATE_LIVE,
#ifdef CONFIG_MODULE_UNLOAD
	.refcnt	= ATOMIC_INIT(1),
#endif
};

#define OTHER_MODULE	(&testdev_other_module)
#else
static char testdev_other_module;
#define OTHER_MODULE	((struct module *)&testdev_other_module)
#endif

static const struct testdev_set testdev_sets[] = {
	/* Right */
	{ IMS_TESTDEV_OPS_DIRECT,	&testdev_direct },
	{ IMS_TESTDEV_OPS_DEFERRED,	&testdev_deferred },

	/* Refused: The template */
	{ IMS_TESTDEV_OPS_NO_NAME,
	  CONST_TEMPLATE(NULL, TOKEN, REQUIRES, 0, 0, DIRECT_OPS, THIS_MODULE) },
	{ IMS_TESTDEV_OPS_NO_OPS, PLAIN(NULL) },
	{ IMS_TESTDEV_OPS_NO_REQUIRES,
	  CONST_TEMPLATE(NAME, TOKEN, 0, 0, 0, DIRECT_OPS, THIS_MODULE) },
	{ IMS_TESTDEV_OPS_NOT_IMS,
	  CONST_TEMPLATE(NAME, DOMAIN_BUS_PCI_DEVICE_MSIX, REQUIRES, 0, 0, DIRECT_OPS,
			 THIS_MODULE) },
	{ IMS_TESTDEV_OPS_WRONG_OWNER,
	  CONST_TEMPLATE(NAME, TOKEN, REQUIRES, 0, 0, DIRECT_OPS, OTHER_MODULE) },
	{ IMS_TESTDEV_OPS_TOO_LARGE,
	  CONST_TEMPLATE(NAME, TOKEN, REQUIRES, 0, 1, DIRECT_OPS, THIS_MODULE) },
	{ IMS_TESTDEV_OPS_UNKNOWN_FLAG, FLAGGED(1U << 31, DIRECT_OPS) },
	{ IMS_TESTDEV_OPS_RESTORE_DIRECT, FLAGGED(MSI_STORAGE_DRIVER_RESTORE, DIRECT_OPS) },
	{ IMS_TESTDEV_OPS_MASK_DENIED, FLAGGED(MSI_STORAGE_NO_MASK, DIRECT_OPS) },
	{ IMS_TESTDEV_OPS_UNMASKABLE,
	  FLAGGED(MSI_STORAGE_NO_MASK,
		  OPS(init_slot, write_msg, none, none, none, lock, unlock, none)) },
	{ IMS_TESTDEV_OPS_SYNC_UNMASKABLE, FLAGGED(MSI_STORAGE_NO_MASK, DEFERRED_OPS) },

	/* Refused: Where it is */
	{ IMS_TESTDEV_OPS_TEMPLATE_ON_HEAP, &testdev_direct, .tmpl_copied = true },
	{ IMS_TESTDEV_OPS_OPS_ON_HEAP, &testdev_direct, .tmpl_copied = true, .ops_copied = true },

	/* Refused: The ops */
	{ IMS_TESTDEV_OPS_EMPTY,
	  PLAIN(OPS(init_slot, none, none, none, none, none, none, none)) },
	{ IMS_TESTDEV_OPS_NO_WRITE_MSG,
	  PLAIN(OPS(init_slot, none, mask, unmask, none, lock, unlock, is_masked)) },
	{ IMS_TESTDEV_OPS_NO_MASK,
	  PLAIN(OPS(init_slot, write_msg, none, unmask, none, lock, unlock, is_masked)) },
	{ IMS_TESTDEV_OPS_NO_UNMASK,
	  PLAIN(OPS(init_slot, write_msg, mask, none, none, lock, unlock, is_masked)) },
	{ IMS_TESTDEV_OPS_SYNC_AND_WRITE_MSG,
	  PLAIN(OPS(init_slot, write_msg, none, none, sync, lock, unlock, is_masked)) },
	{ IMS_TESTDEV_OPS_SYNC_AND_MASK,
	  PLAIN(OPS(init_slot, none, mask, none, sync, lock, unlock, is_masked)) },
	{ IMS_TESTDEV_OPS_SYNC_AND_UNMASK,
	  PLAIN(OPS(init_slot, none, none, unmask, sync, lock, unlock, is_masked)) },
	{ IMS_TESTDEV_OPS_LOCK_ONLY,
	  PLAIN(OPS(init_slot, write_msg, mask, unmask, none, lock, none, is_masked)) },
	{ IMS_TESTDEV_OPS_UNLOCK_ONLY,
	  PLAIN(OPS(init_slot, write_msg, mask, unmask, none, none, unlock, is_masked)) },

	/* Reported: Misdeeds */
#define MISDEED(_nr, _tmpl, _op, _misdeed, _survivable)			\
	{ IMS_TESTDEV_OPS_##_nr, &testdev_##_tmpl, .op = OP_##_op,	\
	  .misdeed = testdev_##_misdeed, .survivable = _survivable }

	MISDEED(MASK_SLEEPS, direct, MASK, sleep, DEBUGGED_NO_LOCKDEP),
	MISDEED(UNMASK_SLEEPS, direct, UNMASK, sleep, DEBUGGED_NO_LOCKDEP),
	MISDEED(WRITE_MSG_SLEEPS, direct, WRITE_MSG, sleep, DEBUGGED_NO_LOCKDEP),

	MISDEED(MASK_IRQS, direct, MASK, enable_irqs, DEBUGGED_NO_LOCKDEP),
	MISDEED(UNMASK_IRQS, direct, UNMASK, enable_irqs, DEBUGGED_NO_LOCKDEP),
	MISDEED(WRITE_MSG_IRQS, direct, WRITE_MSG, enable_irqs, DEBUGGED_NO_LOCKDEP),
	MISDEED(INIT_SLOT_IRQS, direct, INIT_SLOT, disable_irqs, DEBUGGED),
	MISDEED(FREE_SLOT_IRQS, direct, FREE_SLOT, disable_irqs, DEBUGGED),
	MISDEED(SYNC_IRQS, deferred, SYNC, disable_irqs, DEBUGGED),
	MISDEED(LOCK_IRQS, direct, LOCK, disable_irqs, DEBUGGED),
	MISDEED(UNLOCK_IRQS, direct, UNLOCK, disable_irqs, DEBUGGED),

	MISDEED(MASK_PREEMPT, direct, MASK, disable_preemption, DEBUGGED_COUNTED),
	MISDEED(UNMASK_PREEMPT, direct, UNMASK, disable_preemption, DEBUGGED_COUNTED),
	MISDEED(WRITE_MSG_PREEMPT, direct, WRITE_MSG, disable_preemption, DEBUGGED_COUNTED),
	MISDEED(INIT_SLOT_PREEMPT, direct, INIT_SLOT, disable_preemption, DEBUGGED_COUNTED),
	MISDEED(FREE_SLOT_PREEMPT, direct, FREE_SLOT, disable_preemption, DEBUGGED_COUNTED),
	MISDEED(SYNC_PREEMPT, deferred, SYNC, disable_preemption, DEBUGGED_COUNTED),
	MISDEED(LOCK_PREEMPT, direct, LOCK, disable_preemption, DEBUGGED_COUNTED),
	MISDEED(UNLOCK_PREEMPT, direct, UNLOCK, disable_preemption, DEBUGGED_COUNTED),

	/* Reported: Work that is not done */
	{ IMS_TESTDEV_OPS_INIT_SLOT_UNMASKS,
	  PLAIN(OPS(init_slot_unmasked, write_msg, mask, unmask, none, none, none, is_masked)) },
	{ IMS_TESTDEV_OPS_MASK_NOTHING,
	  PLAIN(OPS(init_slot, write_msg, mask_nothing, unmask, none, none, none, is_masked)) },
	{ IMS_TESTDEV_OPS_UNMASK_NOTHING,
	  PLAIN(OPS(init_slot, write_msg, mask, unmask_nothing, none, none, none, is_masked)) },
	{ IMS_TESTDEV_OPS_WRITE_MSG_UNMASKS,
	  PLAIN(OPS(init_slot, write_msg_and_unmask, mask, unmask, none, none, none, is_masked)) },
	{ IMS_TESTDEV_OPS_SYNC_MASKS_NOTHING,
	  PLAIN(OPS(init_slot, none, none, none, sync_mask_nothing, none, none, is_masked)) },
	{ IMS_TESTDEV_OPS_SYNC_UNMASKS_NOTHING,
	  PLAIN(OPS(init_slot, none, none, none, sync_unmask_nothing, none, none, is_masked)) },

	/* Judged */
	{ IMS_TESTDEV_OPS_MSG_LATE,
	  PLAIN(OPS(init_slot, write_no_msg, mask, unmask_then_put, none, none, none,
		    is_masked)) },
	{ IMS_TESTDEV_OPS_SYNC_MSG_LATE,
	  PLAIN(OPS(init_slot, none, none, none, sync_then_put, none, none, is_masked)) },
	{ IMS_TESTDEV_OPS_MSG_OF_FIRST,
	  PLAIN(OPS(init_slot, write_first_msg, mask, unmask, none, none, none, is_masked)) },
	{ IMS_TESTDEV_OPS_MSG_FORGOTTEN,
	  PLAIN(OPS(init_slot, write_no_msg, mask, unmask, none, none, none, is_masked)) },
	{ IMS_TESTDEV_OPS_MSG_IN_HALVES,
	  PLAIN(OPS(init_slot, write_halves, mask, unmask, none, none, none, is_masked)) },
	{ IMS_TESTDEV_OPS_WRONG_SLOT,
	  PLAIN(OPS(init_wrong_slot, write_msg, mask, unmask, none, none, none, is_masked)) },
};

static const struct testdev_set *testdev_find_set(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(testdev_sets); i++) {
		if (testdev_sets[i].nr == nr)
			return &testdev_sets[i];
	}
	return NULL;
}

/* The template to hand to the core, which can be a copy */
static const struct msi_storage_template *testdev_template(struct testdev_store *store)
{
	const struct testdev_set *set = store->set;

	if (!set->tmpl_copied)
		return set->tmpl;

	store->tmpl = *set->tmpl;
	if (set->ops_copied) {
		store->ops = *set->tmpl->ops;
		store->tmpl.ops = &store->ops;
	}
	return &store->tmpl;
}

/**
 * pci_create_ims_testdev_store - Create a store with storage ops that are wrong
 * @pdev:	The PCI device, an ims-testdev
 * @base:	First slot of the store in the slot table, mapped until the store is
 *		removed
 * @nr_slots:	How many slots the store has
 * @ops:	Which ops: %IMS_TESTDEV_OPS_DIRECT, %IMS_TESTDEV_OPS_DEFERRED or a wrong
 *		set, see ims_testdev_ops.h. What they lead to is described
 *		there as well
 *
 * Cookies are ignored.
 *
 * Context: Task context, can sleep.
 *
 * Return: The id of the store, which is greater than 0, otherwise
 *	* -EINVAL     - There is no such set, @base is %NULL, or the core has refused the
 *			set, as it should
 *	* -EPERM      - The core has not refused the set, but it should have
 *	* -EOPNOTSUPP - This kernel does not undo what the ops do, or does not notice it
 *	* -ENOMEM     - Out of memory
 *	* Any other error of pci_create_ims_store()
 */
int pci_create_ims_testdev_store(struct pci_dev *pdev, void __iomem *base,
				 unsigned int nr_slots, unsigned int ops)
{
	const struct testdev_set *set = testdev_find_set(ops);
	struct testdev_store *store;
	int ret;

	if (!pdev || !base || !set)
		return -EINVAL;
	if (set->misdeed && !set->survivable)
		return -EOPNOTSUPP;

	store = kzalloc(sizeof(*store), GFP_KERNEL);
	if (!store)
		return -ENOMEM;

	store->base = base;
	store->nr_slots = nr_slots;
	store->set = set;
	mutex_init(&store->lock);

	ret = pci_create_ims_store(pdev, testdev_template(store), nr_slots, store);
	if (ret < 0)
		goto free_store;

	if (ops >= IMS_TESTDEV_OPS_REFUSED && ops < IMS_TESTDEV_OPS_REFUSED_END) {
		pci_remove_ims_store(pdev, ret);
		return -EPERM;
	}
	return ret;

free_store:
	mutex_destroy(&store->lock);
	kfree(store);
	return ret;
}
EXPORT_SYMBOL_GPL(pci_create_ims_testdev_store);

MODULE_IMPORT_NS(MSI_STORAGE);
MODULE_DESCRIPTION("Storage ops that are wrong on purpose");
MODULE_LICENSE("GPL");
