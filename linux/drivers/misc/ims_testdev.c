// SPDX-License-Identifier: GPL-2.0
/*
 * Driver for ims-testdev, a virtual PCI device that stores interrupt messages
 * in every way a PCI device can.
 *
 * The driver has no policy. It lends the interrupt core's calls and the
 * device's registers to one test program at a time, by the ioctls that
 * include/uapi/misc/ims_testdev.h describes, and counts interrupts. The words
 * are explained there and in ims_testdev_regs.h.
 *
 * Locking and lifetime:
 *
 *   ims_testdev::lock, a mutex, guards the whole state: the file that has the
 *   device open, stores, slots and the device's selector and fire registers,
 *   which are sequences of writes. All calls of the interrupt core are made
 *   with it held, so that an ioctl, close() and unbind never meet half way.
 *   misc_mtx nests outside of it.
 *
 *   The handler takes no lock. Its counters are atomic, and it can't run any
 *   more when free_irq() has returned, which is before its slot is freed.
 *
 *   An open file and the bound PCI device each hold a reference on struct
 *   ims_testdev. Unbinding takes everything down and sets ims_testdev::dead;
 *   after that nobody touches @pdev, @regs or @table, and a file that is still
 *   open can only be closed. A test can have unbind forget to take things down,
 *   to see what the core makes of that: handlers can run then until the core
 *   has freed them, so slots stay until the last device managed action.
 *
 * Invariants:
 *
 *   A slot is in ims_testdev::slots exactly while the core has an interrupt
 *   allocated for it.
 *
 *   Windows of stores of one kind don't overlap.
 *
 *   A slot is unmasked only while it has a handler.
 */
#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/irq.h>
#include <linux/irqchip/irq-ims-generic.h>
#include <linux/kref.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/msi_api.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include <uapi/misc/ims_testdev.h>

#define DRV_NAME	"ims_testdev"

/* More than any device has, and few enough for one array of slots */
#define IMS_TD_ALLOC_MAX	0x100000

static DEFINE_IDA(ims_td_ida);

/**
 * struct ims_td_sum - Sum over the counters of slots
 * @expected:	See struct ims_td_slot
 * @received:	Likewise
 * @spurious:	Likewise
 * @lost:	Expected and not received
 */
struct ims_td_sum {
	u64	expected;
	u64	received;
	u64	spurious;
	u64	lost;
};

/**
 * struct ims_testdev - A device
 * @ref:	One reference for the PCI device, one for the open file
 * @lock:	See above
 * @pdev:	PCI device. Not to be used when @dead.
 * @regs:	Control registers, BAR 0. Likewise.
 * @table:	Slot table, BAR 2. Likewise.
 * @id:		The number in the name
 * @misc:	Character device, registered while bound
 * @dead:	The PCI device is gone. Guarded by @lock.
 * @busy:	A file is open. Guarded by @lock.
 * @forget:	Unbind is to take nothing down. Guarded by @lock.
 * @nr_slots:	Number of slots of each kind, constant
 * @nr_vectors:	Number of vectors enabled, of each kind. Guarded by @lock.
 * @slots:	Allocated interrupts of each kind: struct ims_td_slot by slot
 *		number. Guarded by @lock.
 * @stores:	struct ims_td_store by store id. Guarded by @lock.
 * @past:	Counters of each kind that slots had before they were freed or
 *		requested anew. Guarded by @lock.
 */
struct ims_testdev {
	struct kref		ref;
	struct mutex		lock; /* the whole state, see above */
	struct pci_dev		*pdev;
	void __iomem		*regs;
	void __iomem		*table;
	int			id;
	struct miscdevice	misc;
	bool			dead;
	bool			busy;
	bool			forget;
	unsigned int		nr_slots[IMS_TD_NR_KINDS];
	unsigned int		nr_vectors[IMS_TD_NR_KINDS];
	struct xarray		slots[IMS_TD_NR_KINDS];
	struct xarray		stores;
	struct ims_td_sum	past[IMS_TD_NR_KINDS];
};

/**
 * struct ims_td_store - A store that a test has created
 * @id:		What the core calls it
 * @kind:	Kind of its slots
 * @first:	First slot of its window
 * @nr_slots:	Size of its window
 * @layout:	Where a slot has its fields
 */
struct ims_td_store {
	unsigned int		id;
	unsigned int		kind;
	unsigned int		first;
	unsigned int		nr_slots;
	struct ims_table_layout	layout;
};

/**
 * struct ims_td_slot - A slot that has an interrupt
 * @kind:	Kind of the slot
 * @nr:		Number of the slot
 * @store:	Store it is allocated in, 0 for vectors
 * @map:	Index and Linux interrupt number as the core gave them
 * @requested:	The handler is installed. Guarded by ims_testdev::lock, as all
 *		above are.
 * @masked:	disable_irq() is in effect. Likewise.
 * @expected:	How often the handler should run. Raised before the slot is
 *		fired, so that the handler never sees it too low.
 * @received:	How often the handler ran
 * @spurious:	How often it ran without need
 * @name:	What /proc/interrupts shows
 */
struct ims_td_slot {
	unsigned int		kind;
	unsigned int		nr;
	unsigned int		store;
	struct msi_map		map;
	bool			requested;
	bool			masked;
	atomic_t		expected;
	atomic_t		received;
	atomic_t		spurious;
	char			name[40];
};

/**
 * struct ims_td_kind - How the driver gets at interrupts of a kind
 * @name:		Part of an interrupt's name
 * @vectors:		PCI_IRQ_* if all are enabled at once, or 0
 * @create_store:	Create a store of the kind, if it can be done. Returns
 *			the id or what the core says.
 * @can_free:		Whether @free_irq can be called, if it can be called
 *			but for that. May be NULL.
 * @free_irq:		Free a single interrupt, if it can be done
 * @read_slot:		Read the slot as the device has it, if it can be done
 */
struct ims_td_kind {
	const char	*name;
	unsigned int	vectors;
	int		(*create_store)(struct ims_testdev *td, struct ims_td_store *store,
					unsigned int flags);
	bool		(*can_free)(struct pci_dev *pdev);
	void		(*free_irq)(struct ims_testdev *td, const struct ims_td_slot *slot);
	void		(*read_slot)(struct ims_testdev *td, unsigned int nr,
				     struct ims_testdev_slot *to);
};

static const struct ims_table_layout ims_td_table_layout = {
	.stride		= IMS_TD_SLOT_SIZE,
	.addr_lo	= IMS_TD_SLOT_ADDR_LO,
	.addr_hi	= IMS_TD_SLOT_ADDR_HI,
	.data		= IMS_TD_SLOT_DATA,
	.ctrl		= IMS_TD_SLOT_CTRL,
	.mask		= IMS_TD_SLOT_CTRL_MASK,
};

static int ims_td_table_create_store(struct ims_testdev *td, struct ims_td_store *store,
				     unsigned int flags)
{
	struct ims_table_desc desc = {
		.base		= td->table + store->first * IMS_TD_SLOT_SIZE,
		.nr_slots	= store->nr_slots,
		.layout		= &store->layout,
	};

	lockdep_assert_held(&td->lock);

	if (flags & IMS_TESTDEV_STORE_NO_BASE)
		desc.base = NULL;
	if (flags & IMS_TESTDEV_STORE_NO_LAYOUT)
		desc.layout = NULL;

	return pci_create_ims_table_store(td->pdev, &desc);
}

static void ims_td_table_read_slot(struct ims_testdev *td, unsigned int nr,
				   struct ims_testdev_slot *to)
{
	void __iomem *slot = td->table + nr * IMS_TD_SLOT_SIZE;

	lockdep_assert_held(&td->lock);

	to->addr_lo = readl(slot + IMS_TD_SLOT_ADDR_LO);
	to->addr_hi = readl(slot + IMS_TD_SLOT_ADDR_HI);
	to->data = readl(slot + IMS_TD_SLOT_DATA);
	to->ctrl = readl(slot + IMS_TD_SLOT_CTRL);
}

static void ims_td_table_free_irq(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	lockdep_assert_held(&td->lock);

	pci_ims_store_free_irq(td->pdev, slot->store, slot->map);
}

static void ims_td_msix_free_irq(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	lockdep_assert_held(&td->lock);

	pci_msix_free_irq(td->pdev, slot->map);
}

static const struct ims_td_kind ims_td_kinds[IMS_TD_NR_KINDS] = {
	[IMS_TD_KIND_MSI]	= {
		.name		= "msi",
		.vectors	= PCI_IRQ_MSI,
	},
	[IMS_TD_KIND_MSIX]	= {
		.name		= "msix",
		.vectors	= PCI_IRQ_MSIX,
		.can_free	= pci_msix_can_alloc_dyn,
		.free_irq	= ims_td_msix_free_irq,
	},
	[IMS_TD_KIND_TABLE]	= {
		.name		= "table",
		.create_store	= ims_td_table_create_store,
		.free_irq	= ims_td_table_free_irq,
		.read_slot	= ims_td_table_read_slot,
	},
};

static u32 ims_td_read(struct ims_testdev *td, unsigned int reg)
{
	return readl(td->regs + reg);
}

static void ims_td_write(struct ims_testdev *td, unsigned int reg, u32 val)
{
	writel(val, td->regs + reg);
}

static void ims_td_free_kref(struct kref *ref)
{
	struct ims_testdev *td = container_of(ref, struct ims_testdev, ref);

	kfree(td->misc.name);
	mutex_destroy(&td->lock);
	kfree(td);
}

/* The handler, its counters, and installing and removing it */

static irqreturn_t ims_td_handler(int irq, void *data)
{
	struct ims_td_slot *slot = data;

	/*
	 * The core runs it once at a time. Who sees that an interrupt was
	 * received must see what it was: pairs with ims_td_sum_up().
	 */
	if (atomic_read(&slot->received) >= atomic_read(&slot->expected))
		atomic_inc(&slot->spurious);
	atomic_inc_return_release(&slot->received);

	return IRQ_HANDLED;
}

/* Add the counters of a slot to @sum, and return what they were in @count */
static void ims_td_sum_up(struct ims_td_sum *sum, const struct ims_td_slot *slot,
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
	missing = (int)(count->expected - (count->received - count->spurious));

	sum->expected += count->expected;
	sum->received += count->received;
	sum->spurious += count->spurious;
	sum->lost += max(missing, 0);
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

static int ims_td_request_one(struct ims_testdev *td, struct ims_td_slot *slot, unsigned int flags)
{
	int ret;

	lockdep_assert_held(&td->lock);

	ims_td_clear_counters(td, slot);

	/* free_irq() takes the flag back, an error of request_irq() doesn't. */
	if (flags & IMS_TESTDEV_REQUEST_UNLAZY)
		irq_set_status_flags(slot->map.virq, IRQ_DISABLE_UNLAZY);

	ret = request_irq(slot->map.virq, ims_td_handler, 0, slot->name, slot);
	if (ret) {
		irq_clear_status_flags(slot->map.virq, IRQ_DISABLE_UNLAZY);
		return ret;
	}

	slot->requested = true;
	slot->masked = false;
	return 0;
}

static int ims_td_release_one(struct ims_testdev *td, struct ims_td_slot *slot, unsigned int flags)
{
	lockdep_assert_held(&td->lock);

	free_irq(slot->map.virq, slot);
	slot->requested = false;
	slot->masked = false;
	return 0;
}

static int ims_td_mask_one(struct ims_testdev *td, struct ims_td_slot *slot, unsigned int flags)
{
	lockdep_assert_held(&td->lock);

	disable_irq(slot->map.virq);
	slot->masked = true;
	return 0;
}

static int ims_td_unmask_one(struct ims_testdev *td, struct ims_td_slot *slot, unsigned int flags)
{
	lockdep_assert_held(&td->lock);

	slot->masked = false;
	enable_irq(slot->map.virq);
	return 0;
}

/* Slots: the bookkeeping of what the core has allocated */

static struct ims_td_slot *ims_td_add_slot(struct ims_testdev *td, unsigned int kind,
					   unsigned int nr, unsigned int store, struct msi_map map)
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

static void ims_td_drop_slot(struct ims_testdev *td, struct ims_td_slot *slot)
{
	lockdep_assert_held(&td->lock);

	ims_td_clear_counters(td, slot);
	xa_erase(&td->slots[slot->kind], slot->nr);
	kfree(slot);
}

static int ims_td_free_one(struct ims_testdev *td, struct ims_td_slot *slot, unsigned int flags)
{
	lockdep_assert_held(&td->lock);

	ims_td_kinds[slot->kind].free_irq(td, slot);
	ims_td_drop_slot(td, slot);
	return 0;
}

/* Stores */

static void ims_td_remove_store(struct ims_testdev *td, struct ims_td_store *store)
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

static void ims_td_disable_vectors(struct ims_testdev *td, unsigned int kind)
{
	struct ims_td_slot *slot;
	unsigned long nr;

	lockdep_assert_held(&td->lock);

	xa_for_each(&td->slots[kind], nr, slot)
		ims_td_drop_slot(td, slot);

	pci_free_irq_vectors(td->pdev);
	td->nr_vectors[kind] = 0;
}

/* Take down all that a test has set up, handlers first and stores last */
static void ims_td_take_down(struct ims_testdev *td)
{
	struct ims_td_store *store;
	struct ims_td_slot *slot;
	unsigned int kind;
	unsigned long nr;

	lockdep_assert_held(&td->lock);

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

/* Arguments of ioctls */

static int ims_td_check_range(struct ims_testdev *td, u32 kind, u32 first, u32 count)
{
	if (kind >= IMS_TD_NR_KINDS || !td->nr_slots[kind])
		return -ENXIO;
	if (!count)
		return -EINVAL;
	if (first >= td->nr_slots[kind] || count > td->nr_slots[kind] - first)
		return -ERANGE;
	return 0;
}

static int ims_td_has_no_handler(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	return slot->requested ? -EBUSY : 0;
}

static int ims_td_has_handler(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	return slot->requested ? 0 : -ENOENT;
}

static int ims_td_can_free(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	const struct ims_td_kind *kind = &ims_td_kinds[slot->kind];

	if (!kind->free_irq)
		return -EINVAL;
	if (kind->can_free && !kind->can_free(td->pdev))
		return -EOPNOTSUPP;
	return ims_td_has_no_handler(td, slot);
}

static int ims_td_can_mask(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	if (slot->masked)
		return -EBUSY;
	return ims_td_has_handler(td, slot);
}

static int ims_td_can_unmask(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	if (!slot->requested)
		return -ENOENT;
	return slot->masked ? 0 : -EINVAL;
}

/**
 * ims_td_check_slots - Check that a call can be made for all slots of a range
 * @td:		The device
 * @range:	The range as it came from user space
 * @flags:	Flags that the call knows
 * @check:	Says whether the call can be made for a slot
 *
 * Context: Process context, with ims_testdev::lock held.
 * Return: 0, -EINVAL for flags that are not known, what ims_td_check_range()
 *	   says, -ENOENT if a slot has no interrupt, or what @check says.
 */
static int ims_td_check_slots(struct ims_testdev *td, const struct ims_testdev_range *range,
			      u32 flags,
			      int (*check)(struct ims_testdev *td, const struct ims_td_slot *slot))
{
	struct ims_td_slot *slot;
	unsigned int i;
	int ret;

	lockdep_assert_held(&td->lock);

	if (range->flags & ~flags)
		return -EINVAL;

	ret = ims_td_check_range(td, range->kind, range->first, range->count);
	if (ret)
		return ret;

	for (i = 0; i < range->count; i++) {
		slot = xa_load(&td->slots[range->kind], range->first + i);
		if (!slot)
			return -ENOENT;
		ret = check(td, slot);
		if (ret)
			return ret;
	}
	return 0;
}

/* The last slot of a range that ims_td_check_slots() has passed */
static unsigned long ims_td_last(const struct ims_testdev_range *range)
{
	return range->first + range->count - 1;
}

/**
 * struct ims_td_range_op - Something to do with all slots of a range, or with none
 * @flags:	Flags that are known
 * @check:	Says whether it can be done for a slot
 * @fn:		Does it, with the flags given
 * @undo:	Undoes it, for an @fn that can fail
 */
struct ims_td_range_op {
	u32	flags;
	int	(*check)(struct ims_testdev *td, const struct ims_td_slot *slot);
	int	(*fn)(struct ims_testdev *td, struct ims_td_slot *slot, unsigned int flags);
	int	(*undo)(struct ims_testdev *td, struct ims_td_slot *slot, unsigned int flags);
};

static int ims_td_do_range(struct ims_testdev *td, const struct ims_testdev_range *range,
			   const struct ims_td_range_op *op)
{
	struct ims_td_slot *slot;
	struct xarray *slots;
	unsigned long nr;
	int ret;

	ret = ims_td_check_slots(td, range, op->flags, op->check);
	if (ret)
		return ret;

	slots = &td->slots[range->kind];
	xa_for_each_range(slots, nr, slot, range->first, ims_td_last(range)) {
		ret = op->fn(td, slot, range->flags);
		if (ret)
			goto undo;
		cond_resched();
	}
	return 0;

undo:
	while (nr-- > range->first)
		op->undo(td, xa_load(slots, nr), 0);
	return ret;
}

/*
 * The ioctls. Each gets the argument as a kernel copy, which goes back to user
 * space if it succeeds and the command says so.
 */

static int ims_td_ioc_info(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_info *info = arg;
	unsigned int kind;

	BUILD_BUG_ON(IMS_TD_NR_KINDS > IMS_TESTDEV_MAX_KINDS);

	info->api_version = IMS_TESTDEV_API_VERSION;
	info->nr_kinds = IMS_TD_NR_KINDS;
	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++)
		info->slots[kind] = td->nr_slots[kind];
	if (pci_msix_can_alloc_dyn(td->pdev))
		info->flags |= IMS_TESTDEV_INFO_MSIX_DYN;
	strscpy(info->name, pci_name(td->pdev), sizeof(info->name));
	return 0;
}

static int ims_td_set_layout(struct ims_table_layout *layout, const struct ims_testdev_store *arg)
{
	const struct ims_table_layout given = {
		.stride		= arg->stride,
		.addr_lo	= arg->addr_lo,
		.addr_hi	= arg->addr_hi,
		.data		= arg->data,
		.ctrl		= arg->ctrl,
		.mask		= arg->mask,
	};

	if (arg->flags & IMS_TESTDEV_STORE_LAYOUT) {
		*layout = given;
		return 0;
	}

	if (given.stride || given.addr_lo || given.addr_hi || given.data || given.ctrl ||
	    given.mask)
		return -EINVAL;

	*layout = ims_td_table_layout;
	return 0;
}

static int ims_td_check_window(struct ims_testdev *td, const struct ims_td_store *new)
{
	struct ims_td_store *store;
	unsigned long id;

	lockdep_assert_held(&td->lock);

	if (new->first > td->nr_slots[new->kind] ||
	    new->nr_slots > td->nr_slots[new->kind] - new->first)
		return -ERANGE;

	xa_for_each(&td->stores, id, store) {
		if (store->kind == new->kind &&
		    new->first < store->first + store->nr_slots &&
		    store->first < new->first + new->nr_slots)
			return -EBUSY;
	}
	return 0;
}

static int ims_td_ioc_store_create(struct ims_testdev *td, void *arg)
{
	const u32 flags = IMS_TESTDEV_STORE_LAYOUT | IMS_TESTDEV_STORE_NO_LAYOUT |
			  IMS_TESTDEV_STORE_NO_BASE;
	struct ims_testdev_store *to = arg;
	struct ims_td_store *store;
	int ret;

	if (to->flags & ~flags || to->id || to->reserved || to->reserved2)
		return -EINVAL;
	if (to->kind >= IMS_TD_NR_KINDS || !td->nr_slots[to->kind] ||
	    !ims_td_kinds[to->kind].create_store)
		return -ENXIO;

	store = kzalloc(sizeof(*store), GFP_KERNEL);
	if (!store)
		return -ENOMEM;

	store->kind = to->kind;
	store->first = to->first;
	store->nr_slots = to->nr_slots;

	ret = ims_td_set_layout(&store->layout, to);
	if (ret)
		goto free_store;

	ret = ims_td_check_window(td, store);
	if (ret)
		goto free_store;

	ret = ims_td_kinds[to->kind].create_store(td, store, to->flags);
	if (ret < 0)
		goto free_store;
	store->id = ret;

	ret = xa_insert(&td->stores, store->id, store, GFP_KERNEL);
	if (ret)
		goto remove_store;

	to->id = store->id;
	return 0;

remove_store:
	pci_remove_ims_store(td->pdev, store->id);
free_store:
	kfree(store);
	return ret;
}

static void ims_td_done_store_create(struct ims_testdev *td, void *arg, int err)
{
	const struct ims_testdev_store *to = arg;

	if (err)
		ims_td_remove_store(td, xa_load(&td->stores, to->id));
}

static int ims_td_ioc_store_remove(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_store *from = arg;
	const struct ims_testdev_store id = { .id = from->id };
	struct ims_td_store *store;
	struct ims_td_slot *slot;
	unsigned long nr;

	if (memcmp(from, &id, sizeof(id)))
		return -EINVAL;

	/* The core takes a wrong id for a bug of the driver, and warns. */
	store = xa_load(&td->stores, from->id);
	if (!store)
		return -ENOENT;

	xa_for_each_range(&td->slots[store->kind], nr, slot, store->first,
			  store->first + store->nr_slots - 1) {
		if (slot->requested)
			return -EBUSY;
	}

	ims_td_remove_store(td, store);
	return 0;
}

static int ims_td_check_vectors(struct ims_testdev *td, const struct ims_testdev_vectors *vectors)
{
	if (vectors->flags & ~IMS_TESTDEV_VECTORS_AFFINITY || vectors->reserved)
		return -EINVAL;
	if (vectors->kind >= IMS_TD_NR_KINDS || !td->nr_slots[vectors->kind] ||
	    !ims_td_kinds[vectors->kind].vectors)
		return -ENXIO;
	if (!vectors->step)
		return 0;
	if (vectors->kind != IMS_TD_KIND_MSIX || vectors->flags || !vectors->count)
		return -EINVAL;
	return (u64)(vectors->count - 1) * vectors->step < td->nr_slots[IMS_TD_KIND_MSIX] ?
		0 : -ERANGE;
}

/* Enable chosen entries of the MSI-X table */
static int ims_td_enable_entries(struct ims_testdev *td, const struct ims_testdev_vectors *vectors,
				 unsigned int min)
{
	struct msix_entry *entries;
	unsigned int i;
	int ret;

	entries = kcalloc(vectors->count, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;

	for (i = 0; i < vectors->count; i++)
		entries[i].entry = i * vectors->step;

	ret = pci_enable_msix_range(td->pdev, entries, min, vectors->count);
	kfree(entries);
	return ret;
}

static int ims_td_ioc_vectors_enable(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_vectors *vectors = arg;
	unsigned int min = vectors->min ?: vectors->count;
	unsigned int step = vectors->step ?: 1;
	unsigned int kind = vectors->kind;
	struct ims_td_slot *slot;
	unsigned int i, flags;
	struct msi_map map;
	int ret;

	ret = ims_td_check_vectors(td, vectors);
	if (ret)
		return ret;
	if (td->nr_vectors[kind])
		return -EBUSY;

	flags = ims_td_kinds[kind].vectors;
	if (vectors->flags & IMS_TESTDEV_VECTORS_AFFINITY)
		flags |= PCI_IRQ_AFFINITY;

	if (vectors->step)
		ret = ims_td_enable_entries(td, vectors, min);
	else
		ret = pci_alloc_irq_vectors(td->pdev, min, vectors->count, flags);
	if (ret < 0)
		return ret;

	vectors->count = ret;
	td->nr_vectors[kind] = ret;

	for (i = 0; i < vectors->count; i++) {
		map.index = i * step;
		map.virq = pci_irq_vector(td->pdev, map.index);
		if (map.virq < 0) {
			ret = map.virq;
			goto disable;
		}

		slot = ims_td_add_slot(td, kind, map.index, 0, map);
		if (IS_ERR(slot)) {
			ret = PTR_ERR(slot);
			goto disable;
		}
	}
	return 0;

disable:
	ims_td_disable_vectors(td, kind);
	return ret;
}

static void ims_td_done_vectors_enable(struct ims_testdev *td, void *arg, int err)
{
	const struct ims_testdev_vectors *vectors = arg;

	if (err)
		ims_td_disable_vectors(td, vectors->kind);
}

static int ims_td_ioc_vectors_disable(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_vectors *vectors = arg;
	const struct ims_testdev_vectors only_kind = { .kind = vectors->kind };
	struct ims_td_slot *slot;
	unsigned long nr;
	int ret;

	if (memcmp(vectors, &only_kind, sizeof(only_kind)))
		return -EINVAL;
	ret = ims_td_check_vectors(td, vectors);
	if (ret)
		return ret;
	if (!td->nr_vectors[vectors->kind])
		return -ENOENT;

	xa_for_each(&td->slots[vectors->kind], nr, slot) {
		if (slot->requested)
			return -EBUSY;
	}

	ims_td_disable_vectors(td, vectors->kind);
	return 0;
}

/* Like ims_td_alloc_one(), in a store */
static struct ims_td_slot *ims_td_alloc_in_store(struct ims_testdev *td,
						 const struct ims_testdev_alloc *alloc,
						 unsigned int index,
						 const struct irq_affinity_desc *affdesc)
{
	union msi_instance_cookie value = { .value = alloc->cookie };
	unsigned long id = alloc->store;
	union msi_instance_cookie *cookie;
	struct ims_td_store *store;
	struct ims_td_slot *slot;
	struct msi_map map;

	lockdep_assert_held(&td->lock);

	cookie = alloc->flags & IMS_TESTDEV_ALLOC_NO_COOKIE ? NULL : &value;

	if (alloc->store == IMS_TESTDEV_FIRST_STORE) {
		id = 0;
		store = xa_find(&td->stores, &id, ULONG_MAX, XA_PRESENT);
		map = pci_ims_alloc_irq(td->pdev, cookie, affdesc);
	} else {
		store = xa_load(&td->stores, id);
		map = pci_ims_store_alloc_irq(td->pdev, id, index, cookie, affdesc);
	}

	if (map.index < 0)
		return ERR_PTR(map.index);

	/* The core makes no stores of its own, and keeps to the size. */
	if (WARN_ON_ONCE(!store || map.index >= store->nr_slots)) {
		pci_ims_store_free_irq(td->pdev, id, map);
		return ERR_PTR(-ENOENT);
	}

	slot = ims_td_add_slot(td, store->kind, store->first + map.index, store->id, map);
	if (IS_ERR(slot))
		pci_ims_store_free_irq(td->pdev, store->id, map);
	return slot;
}

/* Like ims_td_alloc_one(), for MSI-X */
static struct ims_td_slot *ims_td_alloc_msix(struct ims_testdev *td, unsigned int index,
					     const struct irq_affinity_desc *affdesc)
{
	struct ims_td_slot *slot;
	struct msi_map map;

	lockdep_assert_held(&td->lock);

	map = pci_msix_alloc_irq_at(td->pdev, index, affdesc);
	if (map.index < 0)
		return ERR_PTR(map.index);

	slot = ims_td_add_slot(td, IMS_TD_KIND_MSIX, map.index, 0, map);
	if (IS_ERR(slot))
		pci_msix_free_irq(td->pdev, map);
	return slot;
}

/**
 * ims_td_alloc_one - Allocate an interrupt in a store or for MSI-X
 * @td:		The device
 * @alloc:	What user space asks for
 * @i:		How many were allocated before for the same request
 * @affdesc:	Wanted affinity, or NULL
 *
 * Context: Process context, with ims_testdev::lock held.
 * Return: The slot, or an error pointer: what the core says, or -ENOMEM.
 */
static struct ims_td_slot *ims_td_alloc_one(struct ims_testdev *td,
					    const struct ims_testdev_alloc *alloc, unsigned int i,
					    const struct irq_affinity_desc *affdesc)
{
	unsigned int index;

	index = alloc->index == IMS_TESTDEV_ANY_INDEX ? MSI_ANY_INDEX : alloc->index + i;

	if (alloc->flags & IMS_TESTDEV_ALLOC_MSIX)
		return ims_td_alloc_msix(td, index, affdesc);
	return ims_td_alloc_in_store(td, alloc, index, affdesc);
}

static int ims_td_copy_maps(u64 to, struct ims_td_slot *const *slots, unsigned int count)
{
	struct ims_testdev_map __user *maps = u64_to_user_ptr(to);
	unsigned int i;

	if (!to)
		return 0;

	for (i = 0; i < count; i++) {
		const struct ims_testdev_map map = {
			.index	= slots[i]->map.index,
			.slot	= slots[i]->nr,
			.virq	= slots[i]->map.virq,
		};

		if (copy_to_user(maps + i, &map, sizeof(map)))
			return -EFAULT;
	}
	return 0;
}

static int ims_td_check_alloc(const struct ims_testdev_alloc *alloc)
{
	const u32 flags = IMS_TESTDEV_ALLOC_CPU | IMS_TESTDEV_ALLOC_MANAGED |
			  IMS_TESTDEV_ALLOC_NO_COOKIE | IMS_TESTDEV_ALLOC_MSIX;

	if (alloc->flags & ~flags || alloc->reserved)
		return -EINVAL;
	if (!alloc->count || alloc->count > IMS_TD_ALLOC_MAX)
		return -EINVAL;
	if (alloc->store == IMS_TESTDEV_FIRST_STORE && alloc->index != IMS_TESTDEV_ANY_INDEX)
		return -EINVAL;
	if (alloc->flags & IMS_TESTDEV_ALLOC_MSIX &&
	    (alloc->store || alloc->cookie || alloc->flags & IMS_TESTDEV_ALLOC_NO_COOKIE))
		return -EINVAL;

	if (alloc->flags & IMS_TESTDEV_ALLOC_CPU)
		return alloc->cpu < nr_cpu_ids ? 0 : -EINVAL;
	return alloc->cpu || alloc->flags & IMS_TESTDEV_ALLOC_MANAGED ? -EINVAL : 0;
}

static int ims_td_ioc_alloc(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_alloc *alloc = arg;
	struct irq_affinity_desc *affdesc = NULL;
	struct ims_td_slot **slots;
	unsigned int i;
	int ret;

	ret = ims_td_check_alloc(alloc);
	if (ret)
		return ret;

	if (alloc->flags & IMS_TESTDEV_ALLOC_CPU) {
		affdesc = kzalloc(sizeof(*affdesc), GFP_KERNEL);
		if (!affdesc)
			return -ENOMEM;
		cpumask_set_cpu(alloc->cpu, &affdesc->mask);
		affdesc->is_managed = !!(alloc->flags & IMS_TESTDEV_ALLOC_MANAGED);
	}

	slots = kvcalloc(alloc->count, sizeof(*slots), GFP_KERNEL);
	if (!slots) {
		ret = -ENOMEM;
		goto free_affdesc;
	}

	for (i = 0; i < alloc->count; i++) {
		slots[i] = ims_td_alloc_one(td, alloc, i, affdesc);
		if (IS_ERR(slots[i])) {
			ret = PTR_ERR(slots[i]);
			goto free_irqs;
		}
		cond_resched();
	}

	ret = ims_td_copy_maps(alloc->maps, slots, alloc->count);
	if (!ret)
		goto free_slots;

free_irqs:
	while (i--)
		ims_td_free_one(td, slots[i], 0);
free_slots:
	kvfree(slots);
free_affdesc:
	kfree(affdesc);
	return ret;
}

static int ims_td_ioc_free(struct ims_testdev *td, void *arg)
{
	static const struct ims_td_range_op op = {
		.check	= ims_td_can_free,
		.fn	= ims_td_free_one,
	};

	return ims_td_do_range(td, arg, &op);
}

static int ims_td_ioc_request(struct ims_testdev *td, void *arg)
{
	static const struct ims_td_range_op op = {
		.flags	= IMS_TESTDEV_REQUEST_UNLAZY,
		.check	= ims_td_has_no_handler,
		.fn	= ims_td_request_one,
		.undo	= ims_td_release_one,
	};

	return ims_td_do_range(td, arg, &op);
}

static int ims_td_ioc_release(struct ims_testdev *td, void *arg)
{
	static const struct ims_td_range_op op = {
		.check	= ims_td_has_handler,
		.fn	= ims_td_release_one,
	};

	return ims_td_do_range(td, arg, &op);
}

static int ims_td_ioc_mask(struct ims_testdev *td, void *arg)
{
	static const struct ims_td_range_op op = {
		.check	= ims_td_can_mask,
		.fn	= ims_td_mask_one,
	};

	return ims_td_do_range(td, arg, &op);
}

static int ims_td_ioc_unmask(struct ims_testdev *td, void *arg)
{
	static const struct ims_td_range_op op = {
		.check	= ims_td_can_unmask,
		.fn	= ims_td_unmask_one,
	};

	return ims_td_do_range(td, arg, &op);
}

/* Count one more interrupt as expected from each slot that is to be fired */
static int ims_td_expect(struct ims_testdev *td, const struct ims_testdev_fire *fire)
{
	struct ims_testdev_range range = {
		.kind	= fire->kind,
		.first	= fire->first,
		.count	= fire->cmd == IMS_TD_FIRE_RANGE ? fire->count : 1,
	};
	struct ims_td_slot *slot;
	unsigned long nr;
	int ret;

	lockdep_assert_held(&td->lock);

	if (fire->cmd == IMS_TD_FIRE_ALL) {
		if (range.kind >= IMS_TD_NR_KINDS || !td->nr_slots[range.kind])
			return -ENXIO;
		range.count = td->nr_slots[range.kind];
	} else {
		ret = ims_td_check_slots(td, &range, 0, ims_td_has_handler);
		if (ret)
			return ret;
	}

	xa_for_each_range(&td->slots[range.kind], nr, slot, range.first, ims_td_last(&range)) {
		if (slot->requested)
			atomic_inc(&slot->expected);
	}
	return 0;
}

static int ims_td_ioc_fire(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_fire *fire = arg;
	int ret;

	if (fire->flags & ~IMS_TESTDEV_FIRE_UNEXPECTED || fire->reserved)
		return -EINVAL;
	if (fire->cmd != IMS_TD_FIRE_RANGE && fire->count)
		return -EINVAL;

	switch (fire->cmd) {
	case IMS_TESTDEV_FIRE_DOORBELL:
		/* The kind makes the address of the register, check it always. */
		if (fire->kind >= IMS_TD_NR_KINDS || !td->nr_slots[fire->kind])
			return -ENXIO;
		break;
	case IMS_TD_FIRE_ALL:
		if (fire->first)
			return -EINVAL;
		break;
	case IMS_TD_FIRE_ONE:
	case IMS_TD_FIRE_RANGE:
		break;
	default:
		return -EINVAL;
	}

	if (!(fire->flags & IMS_TESTDEV_FIRE_UNEXPECTED)) {
		ret = ims_td_expect(td, fire);
		if (ret)
			return ret;
	}

	if (fire->cmd == IMS_TESTDEV_FIRE_DOORBELL) {
		ims_td_write(td, IMS_TD_REG_FIRE_DB(fire->kind), fire->first);
		return 0;
	}

	ims_td_write(td, IMS_TD_REG_FIRE_KIND, fire->kind);
	ims_td_write(td, IMS_TD_REG_FIRE_FIRST, fire->first);
	ims_td_write(td, IMS_TD_REG_FIRE_COUNT, fire->count);
	ims_td_write(td, IMS_TD_REG_FIRE, fire->cmd);
	return 0;
}

static int ims_td_ioc_counts(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_counts *counts = arg;
	struct ims_testdev_count __user *to = u64_to_user_ptr(counts->slots);
	struct ims_td_slot *slot;
	struct ims_td_sum sum = { };
	unsigned int i;
	int ret;

	if (counts->flags)
		return -EINVAL;

	ret = ims_td_check_range(td, counts->kind, counts->first, counts->count);
	if (ret)
		return ret;

	counts->allocated = 0;
	counts->requested = 0;

	for (i = 0; i < counts->count; i++) {
		struct ims_testdev_count count = { };

		slot = xa_load(&td->slots[counts->kind], counts->first + i);
		if (slot) {
			ims_td_sum_up(&sum, slot, &count);
			count.virq = slot->map.virq;
			count.state = IMS_TESTDEV_SLOT_ALLOCATED;
			if (slot->requested)
				count.state |= IMS_TESTDEV_SLOT_REQUESTED;
			if (slot->masked)
				count.state |= IMS_TESTDEV_SLOT_MASKED;
			counts->allocated++;
			counts->requested += slot->requested;
		}
		if (counts->slots && copy_to_user(to + i, &count, sizeof(count)))
			return -EFAULT;
	}

	counts->expected = sum.expected;
	counts->received = sum.received;
	counts->spurious = sum.spurious;
	counts->lost = sum.lost;
	return 0;
}

static int ims_td_ioc_stats(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_stats *stats = arg;
	struct ims_testdev_count count;
	struct ims_td_slot *slot;
	struct ims_td_sum sum;
	unsigned long nr;

	if (stats->flags)
		return -EINVAL;
	if (stats->kind >= IMS_TD_NR_KINDS || !td->nr_slots[stats->kind])
		return -ENXIO;

	ims_td_write(td, IMS_TD_REG_SEL_KIND, stats->kind);
	stats->slots = ims_td_read(td, IMS_TD_REG_KIND_SLOTS);
	stats->fired = ims_td_read(td, IMS_TD_REG_KIND_FIRED);
	stats->sent = ims_td_read(td, IMS_TD_REG_KIND_SENT);
	stats->held = ims_td_read(td, IMS_TD_REG_KIND_HELD);
	stats->merged = ims_td_read(td, IMS_TD_REG_KIND_MERGED);
	stats->pending = ims_td_read(td, IMS_TD_REG_KIND_PENDING);

	sum = td->past[stats->kind];
	xa_for_each(&td->slots[stats->kind], nr, slot)
		ims_td_sum_up(&sum, slot, &count);
	stats->expected = sum.expected;
	stats->received = sum.received;
	stats->spurious = sum.spurious;
	stats->lost = sum.lost;
	return 0;
}

static int ims_td_ioc_slots(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_slots *slots = arg;
	struct ims_testdev_slot __user *to = u64_to_user_ptr(slots->slots);
	unsigned int i;
	int ret;

	if (slots->flags)
		return -EINVAL;

	ret = ims_td_check_range(td, slots->kind, slots->first, slots->count);
	if (ret)
		return ret;

	ims_td_write(td, IMS_TD_REG_SEL_KIND, slots->kind);

	for (i = 0; i < slots->count; i++) {
		struct ims_testdev_slot slot = { };

		ims_td_write(td, IMS_TD_REG_SEL_SLOT, slots->first + i);
		slot.state = ims_td_read(td, IMS_TD_REG_SLOT_STATE);
		slot.fired = ims_td_read(td, IMS_TD_REG_SLOT_FIRED);
		slot.sent = ims_td_read(td, IMS_TD_REG_SLOT_SENT);
		if (ims_td_kinds[slots->kind].read_slot)
			ims_td_kinds[slots->kind].read_slot(td, slots->first + i, &slot);
		if (td->nr_vectors[slots->kind])
			slot.virq = max(pci_irq_vector(td->pdev, slots->first + i), 0);

		if (copy_to_user(to + i, &slot, sizeof(slot)))
			return -EFAULT;
		cond_resched();
	}
	return 0;
}

static int ims_td_ioc_breaches(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_breaches *breaches = arg;
	u32 flags = breaches->flags;
	unsigned int i;

	BUILD_BUG_ON(IMS_TD_NR_BREACHES > IMS_TESTDEV_MAX_CODES);

	if (flags & ~IMS_TESTDEV_BREACHES_CLEAR || breaches->reserved)
		return -EINVAL;

	memset(breaches, 0, sizeof(*breaches));
	breaches->flags = flags;
	breaches->count = ims_td_read(td, IMS_TD_REG_BREACH_COUNT);
	breaches->logged = min_t(u32, ims_td_read(td, IMS_TD_REG_BREACH_LOGGED),
				 IMS_TD_BREACH_ENTRIES);

	for (i = 0; i < IMS_TD_NR_BREACHES; i++)
		breaches->by_code[i] = ims_td_read(td, IMS_TD_REG_BREACH_BY_CODE(i));

	for (i = 0; i < breaches->logged; i++) {
		ims_td_write(td, IMS_TD_REG_BREACH_SEL, i);
		breaches->log[i].code = ims_td_read(td, IMS_TD_REG_BREACH_CODE);
		breaches->log[i].kind = ims_td_read(td, IMS_TD_REG_BREACH_KIND);
		breaches->log[i].where = ims_td_read(td, IMS_TD_REG_BREACH_WHERE);
		breaches->log[i].value = ims_td_read(td, IMS_TD_REG_BREACH_VALUE);
	}
	return 0;
}

static void ims_td_done_breaches(struct ims_testdev *td, void *arg, int err)
{
	const struct ims_testdev_breaches *breaches = arg;

	if (!err && breaches->flags & IMS_TESTDEV_BREACHES_CLEAR)
		ims_td_write(td, IMS_TD_REG_BREACH_CLEAR, 1);
}

static void ims_td_raw_write(void __iomem *addr, unsigned int width, u64 value)
{
	switch (width) {
	case 1:
		writeb(value, addr);
		break;
	case 2:
		writew(value, addr);
		break;
	case 4:
		writel(value, addr);
		break;
	case 8:
		writeq(value, addr);
		break;
	}
}

static u64 ims_td_raw_read(void __iomem *addr, unsigned int width)
{
	switch (width) {
	case 1:
		return readb(addr);
	case 2:
		return readw(addr);
	case 4:
		return readl(addr);
	case 8:
		return readq(addr);
	}
	return 0;
}

static int ims_td_ioc_raw(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_raw *raw = arg;
	void __iomem *base;
	u64 len;

	if (raw->flags & ~IMS_TESTDEV_RAW_WRITE)
		return -EINVAL;

	switch (raw->bar) {
	case IMS_TD_BAR_REGS:
		base = td->regs;
		break;
	case IMS_TD_BAR_TABLE:
		base = td->table;
		break;
	default:
		return -EINVAL;
	}

	if (!is_power_of_2(raw->width) || raw->width > 8 || raw->offset % raw->width)
		return -EINVAL;

	len = pci_resource_len(td->pdev, raw->bar);
	if (raw->offset > len || raw->width > len - raw->offset)
		return -ERANGE;

	if (raw->flags & IMS_TESTDEV_RAW_WRITE)
		ims_td_raw_write(base + raw->offset, raw->width, raw->value);
	else
		raw->value = ims_td_raw_read(base + raw->offset, raw->width);
	return 0;
}

static int ims_td_ioc_reset(struct ims_testdev *td, void *arg)
{
	unsigned int kind;

	if (!xa_empty(&td->stores))
		return -EBUSY;
	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
		if (!xa_empty(&td->slots[kind]))
			return -EBUSY;
	}

	ims_td_write(td, IMS_TD_REG_RESET, 1);
	memset(td->past, 0, sizeof(td->past));
	return 0;
}

static void ims_td_devres_take_down(void *data)
{
	struct ims_testdev *td = data;

	mutex_lock(&td->lock);
	ims_td_take_down(td);
	mutex_unlock(&td->lock);
}

static int ims_td_ioc_forget(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_forget *forget = arg;
	int ret;

	if (forget->reserved)
		return -EINVAL;

	switch (forget->how) {
	case IMS_TESTDEV_FORGET_UNTIL_DEVRES:
		ret = devm_add_action(&td->pdev->dev, ims_td_devres_take_down, td);
		if (ret)
			return ret;
		break;
	case IMS_TESTDEV_FORGET_ALL:
		break;
	default:
		return -EINVAL;
	}

	td->forget = true;
	return 0;
}

/**
 * struct ims_td_ioctl - An ioctl
 * @cmd:	The command, which has the size of the argument in it
 * @fn:		Does the work on a kernel copy of the argument
 * @done:	Called after @fn has succeeded, with 0 or with -EFAULT if user
 *		space couldn't be told of it. May be NULL.
 *
 * Both are called with ims_testdev::lock held and the device present.
 */
struct ims_td_ioctl {
	unsigned int	cmd;
	int		(*fn)(struct ims_testdev *td, void *arg);
	void		(*done)(struct ims_testdev *td, void *arg, int err);
};

static const struct ims_td_ioctl ims_td_ioctls[] = {
	{ IMS_TESTDEV_INFO,		ims_td_ioc_info },
	{ IMS_TESTDEV_STORE_CREATE,	ims_td_ioc_store_create, ims_td_done_store_create },
	{ IMS_TESTDEV_STORE_REMOVE,	ims_td_ioc_store_remove },
	{ IMS_TESTDEV_VECTORS_ENABLE,	ims_td_ioc_vectors_enable, ims_td_done_vectors_enable },
	{ IMS_TESTDEV_VECTORS_DISABLE,	ims_td_ioc_vectors_disable },
	{ IMS_TESTDEV_ALLOC,		ims_td_ioc_alloc },
	{ IMS_TESTDEV_FREE,		ims_td_ioc_free },
	{ IMS_TESTDEV_REQUEST,		ims_td_ioc_request },
	{ IMS_TESTDEV_RELEASE,		ims_td_ioc_release },
	{ IMS_TESTDEV_MASK,		ims_td_ioc_mask },
	{ IMS_TESTDEV_UNMASK,		ims_td_ioc_unmask },
	{ IMS_TESTDEV_FIRE,		ims_td_ioc_fire },
	{ IMS_TESTDEV_COUNTS,		ims_td_ioc_counts },
	{ IMS_TESTDEV_STATS,		ims_td_ioc_stats },
	{ IMS_TESTDEV_SLOTS,		ims_td_ioc_slots },
	{ IMS_TESTDEV_BREACHES,		ims_td_ioc_breaches, ims_td_done_breaches },
	{ IMS_TESTDEV_RAW,		ims_td_ioc_raw },
	{ IMS_TESTDEV_RESET,		ims_td_ioc_reset },
	{ IMS_TESTDEV_FORGET,		ims_td_ioc_forget },
};

static long ims_td_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ims_testdev *td = file->private_data;
	void __user *user = (void __user *)arg;
	const struct ims_td_ioctl *ioctl = NULL;
	size_t size = _IOC_SIZE(cmd);
	void *copy = NULL;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(ims_td_ioctls); i++) {
		if (ims_td_ioctls[i].cmd == cmd)
			ioctl = &ims_td_ioctls[i];
	}
	if (!ioctl)
		return -ENOTTY;

	if (size) {
		copy = kzalloc(size, GFP_KERNEL);
		if (!copy)
			return -ENOMEM;
	}

	if (_IOC_DIR(cmd) & _IOC_WRITE && copy_from_user(copy, user, size)) {
		ret = -EFAULT;
		goto free_copy;
	}

	mutex_lock(&td->lock);
	if (td->dead) {
		ret = -ENODEV;
		goto unlock;
	}

	ret = ioctl->fn(td, copy);
	if (ret)
		goto unlock;

	if (_IOC_DIR(cmd) & _IOC_READ && copy_to_user(user, copy, size))
		ret = -EFAULT;
	if (ioctl->done)
		ioctl->done(td, copy, ret);

unlock:
	mutex_unlock(&td->lock);
free_copy:
	kfree(copy);
	return ret;
}

static int ims_td_open(struct inode *inode, struct file *file)
{
	/* misc_open() has put it there, and misc_mtx keeps it registered. */
	struct ims_testdev *td = container_of(file->private_data, struct ims_testdev, misc);
	int ret = 0;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	mutex_lock(&td->lock);
	if (td->busy) {
		ret = -EBUSY;
	} else {
		td->busy = true;
		kref_get(&td->ref);
		file->private_data = td;
	}
	mutex_unlock(&td->lock);

	return ret;
}

static int ims_td_release(struct inode *inode, struct file *file)
{
	struct ims_testdev *td = file->private_data;

	mutex_lock(&td->lock);
	if (!td->dead)
		ims_td_take_down(td);
	td->forget = false;
	td->busy = false;
	mutex_unlock(&td->lock);

	kref_put(&td->ref, ims_td_free_kref);
	return 0;
}

static const struct file_operations ims_td_fops = {
	.owner		= THIS_MODULE,
	.open		= ims_td_open,
	.release	= ims_td_release,
	.unlocked_ioctl	= ims_td_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

/* Find out what the device has, and check it against what the BARs hold */
static int ims_td_identify(struct ims_testdev *td)
{
	struct pci_dev *pdev = td->pdev;
	u32 id, version, kinds;
	unsigned int kind;

	if (pci_resource_len(pdev, IMS_TD_BAR_REGS) < IMS_TD_REGS_SIZE)
		return -ENODEV;

	id = ims_td_read(td, IMS_TD_REG_ID);
	version = ims_td_read(td, IMS_TD_REG_VERSION);
	if (id != IMS_TD_ID || version >> 16 != IMS_TD_VERSION >> 16) {
		pci_err(pdev, "unknown device, id %#x version %#x\n", id, version);
		return -ENODEV;
	}

	kinds = ims_td_read(td, IMS_TD_REG_KINDS);
	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
		if (!(kinds & BIT(kind)))
			continue;
		ims_td_write(td, IMS_TD_REG_SEL_KIND, kind);
		td->nr_slots[kind] = ims_td_read(td, IMS_TD_REG_KIND_SLOTS);
	}

	if (pci_resource_len(pdev, IMS_TD_BAR_TABLE) / IMS_TD_SLOT_SIZE <
	    td->nr_slots[IMS_TD_KIND_TABLE]) {
		pci_err(pdev, "%u slots don't fit into BAR %u\n", td->nr_slots[IMS_TD_KIND_TABLE],
			IMS_TD_BAR_TABLE);
		return -ENODEV;
	}
	return 0;
}

/*
 * The last device managed action. The interrupt core is through with the device
 * now, so what unbind has forgotten is no more than memory.
 */
static void ims_td_put(void *data)
{
	struct ims_testdev *td = data;
	struct ims_td_store *store;
	struct ims_td_slot *slot;
	unsigned int kind;
	unsigned long nr;

	mutex_lock(&td->lock);
	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
		xa_for_each(&td->slots[kind], nr, slot)
			ims_td_drop_slot(td, slot);
	}
	xa_for_each(&td->stores, nr, store) {
		xa_erase(&td->stores, nr);
		kfree(store);
	}
	mutex_unlock(&td->lock);

	kref_put(&td->ref, ims_td_free_kref);
}

static struct ims_testdev *ims_td_alloc(struct pci_dev *pdev)
{
	struct ims_testdev *td;
	unsigned int kind;

	td = kzalloc(sizeof(*td), GFP_KERNEL);
	if (!td)
		return NULL;

	kref_init(&td->ref);
	mutex_init(&td->lock);
	td->pdev = pdev;
	xa_init(&td->stores);
	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++)
		xa_init(&td->slots[kind]);
	return td;
}

static void ims_td_disable(void *pdev)
{
	pci_disable_device(pdev);
}

static int ims_td_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct ims_testdev *td;
	int ret;

	td = ims_td_alloc(pdev);
	if (!td)
		return -ENOMEM;

	/* Before everything else that is managed, to come after it at the end */
	ret = devm_add_action_or_reset(&pdev->dev, ims_td_put, td);
	if (ret)
		return ret;

	/*
	 * Managed, but not by pcim_enable_device(): that frees MSI and MSI-X
	 * vectors, and what the core does if nobody has is to be tested, too.
	 */
	ret = pci_enable_device(pdev);
	if (ret)
		return ret;
	ret = devm_add_action_or_reset(&pdev->dev, ims_td_disable, pdev);
	if (ret)
		return ret;

	td->regs = devm_ioremap_resource(&pdev->dev, &pdev->resource[IMS_TD_BAR_REGS]);
	if (IS_ERR(td->regs))
		return PTR_ERR(td->regs);
	td->table = devm_ioremap_resource(&pdev->dev, &pdev->resource[IMS_TD_BAR_TABLE]);
	if (IS_ERR(td->table))
		return PTR_ERR(td->table);

	ret = ims_td_identify(td);
	if (ret)
		return ret;

	ret = ida_alloc(&ims_td_ida, GFP_KERNEL);
	if (ret < 0)
		return ret;
	td->id = ret;

	td->misc.name = kasprintf(GFP_KERNEL, DRV_NAME "%d", td->id);
	if (!td->misc.name) {
		ret = -ENOMEM;
		goto free_id;
	}
	td->misc.minor = MISC_DYNAMIC_MINOR;
	td->misc.fops = &ims_td_fops;
	td->misc.parent = &pdev->dev;
	td->misc.mode = 0600;

	/* No reset: tests look at what unbind has left. */
	pci_set_master(pdev);
	pci_set_drvdata(pdev, td);

	ret = misc_register(&td->misc);
	if (ret)
		goto clear_master;
	return 0;

clear_master:
	pci_clear_master(pdev);
free_id:
	ida_free(&ims_td_ida, td->id);
	return ret;
}

static void ims_td_remove(struct pci_dev *pdev)
{
	struct ims_testdev *td = pci_get_drvdata(pdev);

	/* Nobody opens it from here on, and who has it open finds it dead. */
	misc_deregister(&td->misc);

	mutex_lock(&td->lock);
	if (!td->forget)
		ims_td_take_down(td);
	td->dead = true;
	mutex_unlock(&td->lock);

	pci_clear_master(pdev);
	ida_free(&ims_td_ida, td->id);
}

static const struct pci_device_id ims_td_ids[] = {
	{ PCI_DEVICE(IMS_TD_PCI_VENDOR, IMS_TD_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, ims_td_ids);

static struct pci_driver ims_td_driver = {
	.name		= DRV_NAME,
	.id_table	= ims_td_ids,
	.probe		= ims_td_probe,
	.remove		= ims_td_remove,
};
module_pci_driver(ims_td_driver);

MODULE_DESCRIPTION("Test driver for interrupt message storage on ims-testdev");
MODULE_LICENSE("GPL");
