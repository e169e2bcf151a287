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
 *   ims_td_ring::lock, a mutex, guards the command ring. The interrupt core
 *   issues commands with its own locks held, and from a work item of its own,
 *   while an ioctl may hold ims_testdev::lock and wait for that. So the ring's
 *   lock nests inside of everything else, and whoever issues a command never
 *   takes ims_testdev::lock.
 *
 *   The core tells of a change of MSI's message with locks of its own held, some
 *   of them raw. It is passed on to the device without any other lock.
 *
 *   The handler takes no lock. Its counters are atomic, and it can't run any
 *   more when free_irq() has returned, which is before its slot is freed.
 *
 *   An open file and the bound PCI device each hold a reference on struct
 *   ims_testdev. Unbinding takes everything down and sets ims_testdev::dead;
 *   after that no ioctl touches the device, and a file that is still open can
 *   only be closed. A test can have unbind forget to take things down, to see
 *   what the core makes of that: handlers can run then, and commands be issued,
 *   until the core has freed the interrupts. So slots, stores, the ring and the
 *   memory that the device reads stay until device managed actions that come
 *   later.
 *
 *   When the device is taken away, by an ioctl, a suspend or a reset, then
 *   ims_td_leave() comes before and ims_td_return() after it, both with
 *   ims_testdev::lock held. A reset holds it all the time in between.
 *
 * Invariants:
 *
 *   A slot is in ims_testdev::slots exactly while the core has an interrupt
 *   allocated for it.
 *
 *   Windows of stores of one kind don't overlap.
 *
 *   A slot is unmasked only while it has a handler.
 *
 *   Between ims_td_leave() and ims_td_return() the ring is stopped and the core
 *   issues no commands.
 *
 *   In a store of slots in memory the core takes the lowest index that is free,
 *   so that the cookie of the next interrupt can be told beforehand.
 */
#include <linux/atomic.h>
#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/capability.h>
#include <linux/cpumask.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/irq.h>
#include <linux/irqchip/irq-ims-generic.h>
#include <linux/irqchip/irq-ims-sample.h>
#include <linux/irqchip/irq-ims-testdev.h>
#include <linux/kref.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/msi.h>
#include <linux/msi_api.h>
#include <linux/msi_copy.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pm.h>
#include <linux/pm_runtime.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <uapi/misc/ims_testdev.h>

#define DRV_NAME	"ims_testdev"

/* More than any device has, and few enough for one array of slots */
#define IMS_TD_ALLOC_MAX	0x100000

/* Commands that can be under way at once, one for each store that is changed */
#define IMS_TD_RING_ENTRIES	64

/* Marks of slots that the call in progress is about, and of forgotten ones */
#define IMS_TD_CHOSEN		XA_MARK_1
#define IMS_TD_FORGOTTEN	XA_MARK_2

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
 * struct ims_td_ring - The command ring of a device
 * @lock:	See above
 * @cmds:	The ring. While an entry is busy only its status changes.
 * @dma:	Its bus address
 * @tail:	The next entry to use. Guarded by @lock.
 * @trip:	How many trips each entry has come after, see struct ims_testdev_stats.
 *		Guarded by @lock.
 * @trips:	The most of the entries that were completed. Likewise.
 * @running:	The device carries out commands. Guarded by @lock.
 * @busy:	Entries whose status somebody is waiting for. Set with @lock held.
 * @room:	Woken when an entry is not busy any more
 */
struct ims_td_ring {
	struct mutex		lock; /* all of the ring, see above */
	void			*cmds;
	dma_addr_t		dma;
	unsigned int		tail;
	u64			trip[IMS_TD_RING_ENTRIES];
	u64			trips;
	bool			running;
	DECLARE_BITMAP(busy, IMS_TD_RING_ENTRIES);
	wait_queue_head_t	room;
};

/* Where the device has its copy of the message from, see IMS_TD_KIND_COPY */
enum ims_td_copy {
	IMS_TD_COPY_NONE,
	IMS_TD_COPY_ONCE,
	IMS_TD_COPY_FOLLOW,
};

/**
 * struct ims_testdev - A device
 * @ref:	One reference for the PCI device, one for the open file
 * @lock:	See above
 * @pdev:	PCI device. Not to be used by an ioctl when @dead.
 * @regs:	Control registers, BAR 0. Likewise.
 * @table:	Slot table, BAR 2. Likewise.
 * @wide:	Slot table in the other layout, BAR 3, if there is one. Likewise.
 * @mem:	Slots in memory, if the device has them. Likewise.
 * @mem_dma:	Their bus address
 * @ring:	The command ring, if the device has one
 * @id:		The number in the name
 * @misc:	Character device, registered while bound
 * @dead:	The PCI device is gone. Guarded by @lock.
 * @away:	A test has sent it away, to D3hot. Guarded by @lock.
 * @runtime:	By runtime power management. Guarded by @lock.
 * @saved:	Its configuration space since then. Guarded by @lock.
 * @busy:	A file is open. Guarded by @lock.
 * @forget:	Unbind is to take nothing down. Guarded by @lock.
 * @late:	A device managed action is to do it. Guarded by @lock.
 * @nr_slots:	Number of slots of each kind, constant
 * @nr_vectors:	Number of vectors enabled, of each kind. Guarded by @lock.
 * @slots:	Allocated interrupts of each kind: struct ims_td_slot by slot
 *		number. Guarded by @lock.
 * @stores:	struct ims_td_store by store id. Guarded by @lock.
 * @copy:	How the device gets a copy of MSI's message. Guarded by @lock.
 * @copied:	The message, if it is copied once. Guarded by @lock.
 * @notifier:	Tells of its changes otherwise. Registered with the core, which
 *		calls it one at a time.
 * @past:	Counters of each kind that slots had before they were freed or
 *		requested anew. Guarded by @lock.
 * @forgotten:	See struct ims_testdev_stats. Guarded by @lock.
 */
struct ims_testdev {
	struct kref		ref;
	struct mutex		lock; /* the whole state, see above */
	struct pci_dev		*pdev;
	void __iomem		*regs;
	void __iomem		*table;
	void __iomem		*wide;
	void			*mem;
	dma_addr_t		mem_dma;
	struct ims_td_ring	ring;
	int			id;
	struct miscdevice	misc;
	bool			dead;
	bool			away;
	bool			runtime;
	struct pci_saved_state	*saved;
	bool			busy;
	bool			forget;
	bool			late;
	unsigned int		nr_slots[IMS_TD_NR_KINDS];
	unsigned int		nr_vectors[IMS_TD_NR_KINDS];
	struct xarray		slots[IMS_TD_NR_KINDS];
	struct xarray		stores;
	enum ims_td_copy	copy;
	struct msi_msg		copied;
	struct msi_msg_notifier	notifier;
	struct ims_td_sum	past[IMS_TD_NR_KINDS];
	u64			forgotten[IMS_TD_NR_KINDS];
};

/**
 * struct ims_td_store - A store that a test has created
 * @td:		The device
 * @id:		What the core calls it
 * @kind:	Kind of its slots
 * @first:	First slot of its window
 * @nr_slots:	Size of its window
 * @depth:	See struct ims_testdev_store
 * @busy:	Commands that were submitted and not completed. The core makes one call at a
 *		time.
 * @flags:	IMS_TESTDEV_STORE_*
 * @ops:	IMS_TESTDEV_OPS_*
 * @layout:	Where a slot has its fields, if it has any
 * @next:	No index below this one is free. Guarded by ims_testdev::lock, all
 *		above is constant.
 */
struct ims_td_store {
	struct ims_testdev	*td;
	unsigned int		id;
	unsigned int		kind;
	unsigned int		first;
	unsigned int		nr_slots;
	unsigned int		depth;
	unsigned int		busy;
	u32			flags;
	u32			ops;
	struct ims_table_layout	layout;
	unsigned int		next;
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
 * @expect:	What the device judges its PASID by, 0 if it does not. Likewise.
 * @expected:	How often the handler should run. Raised before the slot is
 *		fired, so that the handler never sees it too low.
 * @woken:	How often the thread of the handler has to run
 * @received:	How often the handler ran
 * @spurious:	How often it ran without need
 * @forgotten_at: What @received was when the device was taken to forget that it is
 *		pending. Guarded by ims_testdev::lock
 * @spurious_at: And what @spurious was
 * @name:	What /proc/interrupts shows
 */
struct ims_td_slot {
	unsigned int		kind;
	unsigned int		nr;
	unsigned int		store;
	struct msi_map		map;
	bool			requested;
	bool			masked;
	u32			expect;
	atomic_t		expected;
	atomic_t		woken;
	atomic_t		received;
	atomic_t		spurious;
	u32			forgotten_at;
	int			spurious_at;
	char			name[40];
};

/**
 * struct ims_td_kind - How the driver gets at interrupts of a kind
 * @name:		Part of an interrupt's name
 * @vectors:		PCI_IRQ_* if all are enabled at once, or 0
 * @store_flags:	IMS_TESTDEV_STORE_* that make sense for the kind
 * @layout:		Where a slot has its fields, if the core has to know that
 * @pasid_enable:	See struct ims_table_layout. Taken when cookies are PASIDs.
 * @pasid_shift:	Likewise
 * @create_store:	Create a store of the kind, if it can be done. Returns
 *			the id or what the core says.
 * @slot_addr:		Where a slot is in memory, if its address can be the cookie
 * @can_free:		Whether @free_irq can be called, if it can be called
 *			but for that. May be NULL.
 * @free_irq:		Free a single interrupt, if it can be done
 * @read_slot:		Read the slot as the device has it, if it can be done
 */
struct ims_td_kind {
	const char	*name;
	unsigned int	vectors;
	u32		store_flags;
	const struct ims_table_layout *layout;
	u32		pasid_enable;
	u8		pasid_shift;
	int		(*create_store)(struct ims_testdev *td, struct ims_td_store *store);
	void		*(*slot_addr)(struct ims_testdev *td, unsigned int nr);
	bool		(*can_free)(struct pci_dev *pdev);
	void		(*free_irq)(struct ims_testdev *td, const struct ims_td_slot *slot);
	void		(*read_slot)(struct ims_testdev *td, unsigned int nr,
				     struct ims_testdev_slot *to);
};

static u32 ims_td_read(struct ims_testdev *td, unsigned int reg)
{
	return readl(td->regs + reg);
}

static void ims_td_write(struct ims_testdev *td, unsigned int reg, u32 val)
{
	writel(val, td->regs + reg);
}

/* The command ring */

/* What the driver writes to the status of a command that the device dropped */
#define IMS_TD_CMD_DROPPED	U32_MAX

static __le32 *ims_td_ring_word(struct ims_td_ring *ring, unsigned int nr, unsigned int offset)
{
	return ring->cmds + nr * IMS_TD_CMD_SIZE + offset;
}

static void ims_td_ring_put(struct ims_td_ring *ring, unsigned int nr, unsigned int offset,
			    u32 value)
{
	WRITE_ONCE(*ims_td_ring_word(ring, nr, offset), cpu_to_le32(value));
}

static u32 ims_td_ring_status(struct ims_td_ring *ring, unsigned int nr)
{
	return le32_to_cpu(READ_ONCE(*ims_td_ring_word(ring, nr, IMS_TD_CMD_STATUS)));
}

/* Whether the entry at the tail can be used, and the ring isn't full then */
static bool ims_td_ring_has_room(struct ims_td_ring *ring)
{
	unsigned int tail = READ_ONCE(ring->tail);

	return !test_bit(tail, ring->busy) &&
	       !test_bit((tail + 1) % IMS_TD_RING_ENTRIES, ring->busy);
}

static void ims_td_ring_stop_locked(struct ims_testdev *td)
{
	struct ims_td_ring *ring = &td->ring;
	unsigned int nr;

	lockdep_assert_held(&ring->lock);

	ring->running = false;
	ims_td_write(td, IMS_TD_REG_CMD_CTRL, 0);
	/* When this has returned, then no status is under way. */
	ims_td_read(td, IMS_TD_REG_CMD_CTRL);

	for_each_set_bit(nr, ring->busy, IMS_TD_RING_ENTRIES) {
		if (!ims_td_ring_status(ring, nr))
			ims_td_ring_put(ring, nr, IMS_TD_CMD_STATUS, IMS_TD_CMD_DROPPED);
	}
}

static void ims_td_ring_start_locked(struct ims_testdev *td)
{
	struct ims_td_ring *ring = &td->ring;

	lockdep_assert_held(&ring->lock);

	ims_td_write(td, IMS_TD_REG_CMD_BASE_LO, lower_32_bits(ring->dma));
	ims_td_write(td, IMS_TD_REG_CMD_BASE_HI, upper_32_bits(ring->dma));
	ims_td_write(td, IMS_TD_REG_CMD_ENTRIES, IMS_TD_RING_ENTRIES);
	ims_td_write(td, IMS_TD_REG_CMD_CTRL, IMS_TD_CMD_CTRL_RUN);

	WRITE_ONCE(ring->tail, 0);
	/* A device that is gone would let everybody wait for nothing. */
	ring->running = ims_td_read(td, IMS_TD_REG_CMD_CTRL) == IMS_TD_CMD_CTRL_RUN;
}

static void ims_td_ring_stop(struct ims_testdev *td)
{
	mutex_lock(&td->ring.lock);
	ims_td_ring_stop_locked(td);
	mutex_unlock(&td->ring.lock);
}

static void ims_td_ring_start(struct ims_testdev *td)
{
	mutex_lock(&td->ring.lock);
	ims_td_ring_stop_locked(td);
	ims_td_ring_start_locked(td);
	mutex_unlock(&td->ring.lock);
}

/*
 * Wait until the tail can be used, and return with the ring locked. The store can complete
 * its own commands instead.
 */
static int ims_td_ring_lock_room(struct ims_td_ring *ring, const struct ims_td_store *store)
{
	const unsigned long timeout = msecs_to_jiffies(IMS_TESTDEV_CMD_TIMEOUT);

	for (;;) {
		mutex_lock(&ring->lock);
		if (ims_td_ring_has_room(ring))
			return 0;
		mutex_unlock(&ring->lock);

		if (store->busy)
			return -EAGAIN;
		if (!wait_event_timeout(ring->room, ims_td_ring_has_room(ring), timeout))
			return -EBUSY;
	}
}

static u64 ims_td_ring_trips(struct ims_td_ring *ring)
{
	u64 trips;

	mutex_lock(&ring->lock);
	trips = ring->trips;
	mutex_unlock(&ring->lock);
	return trips;
}

static int ims_td_cmd_submit(void *priv, struct ims_cmd *cmd)
{
	struct ims_td_store *store = priv;
	struct ims_testdev *td = store->td;
	struct ims_td_ring *ring = &td->ring;
	u32 ctrl = cmd->masked ? IMS_TD_SLOT_CTRL_MASK : 0;
	unsigned int opcode, nr;
	int ret;

	/* A slot that is given back loses its PASID along with its message. */
	if (store->flags & IMS_TESTDEV_STORE_PASID && cmd->has_cookie &&
	    (cmd->address || cmd->data)) {
		if (cmd->cookie.value >> IMS_PASID_BITS)
			return -EINVAL;
		ctrl |= IMS_TD_SLOT_CTRL_PASID_EN;
		ctrl |= FIELD_PREP(IMS_TD_SLOT_CTRL_PASID, cmd->cookie.value);
	}

	/*
	 * A slot that stays unmasked gets its message in one step, and a PASID comes
	 * and goes with the message.
	 */
	if (!(cmd->what & IMS_CMD_MSG))
		opcode = IMS_TD_CMD_OP_CTRL;
	else if (cmd->what & IMS_CMD_MASK || !cmd->masked ||
		 store->flags & IMS_TESTDEV_STORE_PASID)
		opcode = IMS_TD_CMD_OP_SET;
	else
		opcode = IMS_TD_CMD_OP_MSG;

	ret = ims_td_ring_lock_room(ring, store);
	if (ret)
		return ret;
	if (!ring->running) {
		ret = -EIO;
		goto unlock;
	}

	nr = ring->tail;
	ims_td_ring_put(ring, nr, IMS_TD_CMD_OPCODE, opcode);
	ims_td_ring_put(ring, nr, IMS_TD_CMD_SLOT, store->first + cmd->index);
	ims_td_ring_put(ring, nr, IMS_TD_CMD_ADDR_LO, lower_32_bits(cmd->address));
	ims_td_ring_put(ring, nr, IMS_TD_CMD_ADDR_HI, upper_32_bits(cmd->address));
	ims_td_ring_put(ring, nr, IMS_TD_CMD_DATA, cmd->data);
	ims_td_ring_put(ring, nr, IMS_TD_CMD_CTRL_WORD, ctrl);
	ims_td_ring_put(ring, nr, IMS_TD_CMD_STATUS, 0);

	set_bit(nr, ring->busy);
	WRITE_ONCE(ring->tail, (nr + 1) % IMS_TD_RING_ENTRIES);
	/* Does not pass the writes to the entry. */
	ims_td_write(td, IMS_TD_REG_CMD_TAIL, ring->tail);
	cmd->token = nr;
	ring->trip[nr] = ring->trips + 1;
	store->busy++;
unlock:
	mutex_unlock(&ring->lock);
	return ret;
}

static int ims_td_cmd_complete(void *priv, struct ims_cmd *cmd)
{
	struct ims_td_store *store = priv;
	struct ims_testdev *td = store->td;
	struct ims_td_ring *ring = &td->ring;
	unsigned int nr = cmd->token;
	u32 status;
	int ret;

	ret = read_poll_timeout(ims_td_ring_status, status,
				status || pci_channel_offline(td->pdev), 50,
				IMS_TESTDEV_CMD_TIMEOUT * USEC_PER_MSEC, false, ring, nr);

	mutex_lock(&ring->lock);
	status = ims_td_ring_status(ring, nr);
	if (!status && ret) {
		/* Nothing comes after it any more, so that others wait in vain, too. */
		ims_td_ring_stop_locked(td);
		ims_td_ring_start_locked(td);
		status = ims_td_ring_status(ring, nr);
	}
	clear_bit(nr, ring->busy);
	ring->trips = max(ring->trips, ring->trip[nr]);
	mutex_unlock(&ring->lock);
	wake_up_all(&ring->room);
	store->busy--;

	switch (status) {
	case IMS_TD_CMD_OK:
		return 0;
	case IMS_TD_CMD_BAD:
		return -EINVAL;
	case IMS_TD_CMD_DROPPED:
		return ret ?: -EIO;
	default:
		return -EIO;
	}
}

static int ims_td_cmd_set_cookie(void *priv, unsigned int index,
				 const union msi_instance_cookie *cookie)
{
	struct ims_td_store *store = priv;

	if (!(store->flags & IMS_TESTDEV_STORE_PASID))
		return -EOPNOTSUPP;
	return cookie && cookie->value >> IMS_PASID_BITS ? -EINVAL : 0;
}

static const struct ims_cmd_ops ims_td_cmd_ops = {
	.submit		= ims_td_cmd_submit,
	.complete	= ims_td_cmd_complete,
	.set_cookie	= ims_td_cmd_set_cookie,
};

static const struct ims_cmd_ops ims_td_half_cmd_ops = {
	.submit		= ims_td_cmd_submit,
};

/* Stores of each kind */

static const struct ims_table_layout ims_td_table_layout = {
	.stride		= IMS_TD_SLOT_SIZE,
	.addr_lo	= IMS_TD_SLOT_ADDR_LO,
	.addr_hi	= IMS_TD_SLOT_ADDR_HI,
	.data		= IMS_TD_SLOT_DATA,
	.ctrl		= IMS_TD_SLOT_CTRL,
	.mask		= IMS_TD_SLOT_CTRL_MASK,
};

/* The address has to be there before the data, which makes it take effect. */
static const struct ims_table_layout ims_td_wide_layout = {
	.stride		= IMS_TD_WIDE_SIZE,
	.addr_lo	= IMS_TD_WIDE_ADDR,
	.data		= IMS_TD_WIDE_DATA,
	.ctrl		= IMS_TD_WIDE_CTRL,
	.flags		= IMS_TABLE_ADDR_64 | IMS_TABLE_MASK_CLEAR,
	.mask		= IMS_TD_WIDE_CTRL_ENABLE,
};

/* A slot table, with what @store asks to be wrong with its description */
static int ims_td_create_table(struct ims_testdev *td, struct ims_td_store *store,
			       void __iomem *base, unsigned int slot_size)
{
	struct ims_table_desc desc = {
		.base		= base,
		.length		= store->nr_slots * slot_size,
		.nr_slots	= store->nr_slots,
		.layout		= &store->layout,
	};

	lockdep_assert_held(&td->lock);

	if (store->flags & IMS_TESTDEV_STORE_ODD_BASE)
		desc.base++;
	if (store->flags & IMS_TESTDEV_STORE_NO_BASE)
		desc.base = NULL;
	if (store->flags & IMS_TESTDEV_STORE_NO_LAYOUT)
		desc.layout = NULL;

	return pci_create_ims_table_store(td->pdev, &desc);
}

static int ims_td_table_create_store(struct ims_testdev *td, struct ims_td_store *store)
{
	void __iomem *base = td->table + store->first * IMS_TD_SLOT_SIZE;

	switch (store->ops) {
	case IMS_TESTDEV_OPS_GENERIC:
		return ims_td_create_table(td, store, base, IMS_TD_SLOT_SIZE);
	case IMS_TESTDEV_OPS_SAMPLE:
		return pci_create_ims_sample_store(td->pdev, base, store->nr_slots);
	default:
		return pci_create_ims_testdev_store(td->pdev, base, store->nr_slots, store->ops);
	}
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

static int ims_td_wide_create_store(struct ims_testdev *td, struct ims_td_store *store)
{
	return ims_td_create_table(td, store, td->wide + store->first * IMS_TD_WIDE_SIZE,
				   IMS_TD_WIDE_SIZE);
}

static void ims_td_wide_read_slot(struct ims_testdev *td, unsigned int nr,
				  struct ims_testdev_slot *to)
{
	void __iomem *slot = td->wide + nr * IMS_TD_WIDE_SIZE;
	u64 addr = readq(slot + IMS_TD_WIDE_ADDR);

	lockdep_assert_held(&td->lock);

	to->addr_lo = lower_32_bits(addr);
	to->addr_hi = upper_32_bits(addr);
	to->data = readl(slot + IMS_TD_WIDE_DATA);
	to->ctrl = readl(slot + IMS_TD_WIDE_CTRL);
}

static void *ims_td_mem_slot_addr(struct ims_testdev *td, unsigned int nr)
{
	return td->mem + nr * IMS_TD_SLOT_SIZE;
}

static int ims_td_mem_create_store(struct ims_testdev *td, struct ims_td_store *store)
{
	struct ims_mem_desc desc = {
		.nr_slots	= store->nr_slots,
		.first		= store->first,
		.layout		= &store->layout,
		.notify		= td->regs + IMS_TD_REG_MEM_NOTIFY,
	};

	lockdep_assert_held(&td->lock);

	if (store->flags & IMS_TESTDEV_STORE_BASE) {
		desc.base = ims_td_mem_slot_addr(td, store->first);
		desc.length = store->nr_slots * IMS_TD_SLOT_SIZE;
	}
	if (store->flags & IMS_TESTDEV_STORE_ODD_BASE)
		desc.notify++;
	if (store->flags & IMS_TESTDEV_STORE_NO_BASE)
		desc.notify = NULL;
	if (store->flags & IMS_TESTDEV_STORE_NO_LAYOUT)
		desc.layout = NULL;

	return pci_create_ims_mem_store(td->pdev, &desc);
}

static u32 ims_td_mem_word(struct ims_testdev *td, unsigned int nr, unsigned int offset)
{
	const __le32 *word = ims_td_mem_slot_addr(td, nr) + offset;

	return le32_to_cpu(READ_ONCE(*word));
}

static void ims_td_mem_read_slot(struct ims_testdev *td, unsigned int nr,
				 struct ims_testdev_slot *to)
{
	to->addr_lo = ims_td_mem_word(td, nr, IMS_TD_SLOT_ADDR_LO);
	to->addr_hi = ims_td_mem_word(td, nr, IMS_TD_SLOT_ADDR_HI);
	to->data = ims_td_mem_word(td, nr, IMS_TD_SLOT_DATA);
	to->ctrl = ims_td_mem_word(td, nr, IMS_TD_SLOT_CTRL);
}

static int ims_td_cmd_create_store(struct ims_testdev *td, struct ims_td_store *store)
{
	struct ims_cmd_desc desc = {
		.nr_slots	= store->nr_slots,
		.depth		= store->depth,
		.ops		= &ims_td_cmd_ops,
		.priv		= store,
	};

	lockdep_assert_held(&td->lock);

	if (store->flags & IMS_TESTDEV_STORE_NO_LAYOUT)
		desc.ops = &ims_td_half_cmd_ops;
	if (store->flags & IMS_TESTDEV_STORE_NO_BASE)
		desc.ops = NULL;

	return pci_create_ims_cmd_store(td->pdev, &desc);
}

static void ims_td_cmd_read_slot(struct ims_testdev *td, unsigned int nr,
				 struct ims_testdev_slot *to)
{
	lockdep_assert_held(&td->lock);

	/* Kind and slot are selected. */
	to->ctrl = ims_td_read(td, IMS_TD_REG_CMD_PEEK);
}

static void ims_td_store_free_irq(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	lockdep_assert_held(&td->lock);

	pci_ims_store_free_irq(td->pdev, slot->store, slot->map);
}

static void ims_td_msix_free_irq(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	lockdep_assert_held(&td->lock);

	pci_msix_free_irq(td->pdev, slot->map);
}

#define IMS_TD_TABLE_FLAGS	(IMS_TESTDEV_STORE_LAYOUT | IMS_TESTDEV_STORE_NO_LAYOUT |	\
				 IMS_TESTDEV_STORE_NO_BASE | IMS_TESTDEV_STORE_ODD_BASE)

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
		.store_flags	= IMS_TD_TABLE_FLAGS | IMS_TESTDEV_STORE_PASID |
				  IMS_TESTDEV_STORE_UNATTENDED,
		.layout		= &ims_td_table_layout,
		.pasid_enable	= IMS_TD_SLOT_CTRL_PASID_EN,
		.pasid_shift	= __builtin_ctz(IMS_TD_SLOT_CTRL_PASID),
		.create_store	= ims_td_table_create_store,
		.free_irq	= ims_td_store_free_irq,
		.read_slot	= ims_td_table_read_slot,
	},
	[IMS_TD_KIND_WIDE]	= {
		.name		= "wide",
		.store_flags	= IMS_TD_TABLE_FLAGS | IMS_TESTDEV_STORE_PASID |
				  IMS_TESTDEV_STORE_UNATTENDED,
		.layout		= &ims_td_wide_layout,
		.pasid_enable	= IMS_TD_WIDE_CTRL_PASID_EN,
		.pasid_shift	= __builtin_ctz(IMS_TD_WIDE_CTRL_PASID),
		.create_store	= ims_td_wide_create_store,
		.free_irq	= ims_td_store_free_irq,
		.read_slot	= ims_td_wide_read_slot,
	},
	[IMS_TD_KIND_MEM]	= {
		.name		= "mem",
		.store_flags	= IMS_TD_TABLE_FLAGS | IMS_TESTDEV_STORE_PASID |
				  IMS_TESTDEV_STORE_BASE,
		.layout		= &ims_td_table_layout,
		.pasid_enable	= IMS_TD_SLOT_CTRL_PASID_EN,
		.pasid_shift	= __builtin_ctz(IMS_TD_SLOT_CTRL_PASID),
		.create_store	= ims_td_mem_create_store,
		.slot_addr	= ims_td_mem_slot_addr,
		.free_irq	= ims_td_store_free_irq,
		.read_slot	= ims_td_mem_read_slot,
	},
	[IMS_TD_KIND_CMD]	= {
		.name		= "cmd",
		.store_flags	= IMS_TESTDEV_STORE_NO_LAYOUT | IMS_TESTDEV_STORE_NO_BASE |
				  IMS_TESTDEV_STORE_PASID,
		.create_store	= ims_td_cmd_create_store,
		.free_irq	= ims_td_store_free_irq,
		.read_slot	= ims_td_cmd_read_slot,
	},
	[IMS_TD_KIND_COPY]	= {
		.name		= "copy",
		.vectors	= PCI_IRQ_MSI,
	},
};

static void ims_td_free_kref(struct kref *ref)
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
static int ims_td_sum_up(struct ims_td_sum *sum, const struct ims_td_slot *slot,
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

static int ims_td_request_one(struct ims_testdev *td, struct ims_td_slot *slot, unsigned int flags)
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

/* Have the device judge with which PASID a slot sends */
static void ims_td_expect_pasid(struct ims_testdev *td, struct ims_td_slot *slot, u32 expect)
{
	lockdep_assert_held(&td->lock);

	ims_td_write(td, IMS_TD_REG_SEL_KIND, slot->kind);
	ims_td_write(td, IMS_TD_REG_SEL_SLOT, slot->nr);
	ims_td_write(td, IMS_TD_REG_SLOT_EXPECT, expect);
	slot->expect = expect;
}

static void ims_td_drop_slot(struct ims_testdev *td, struct ims_td_slot *slot)
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
static void ims_td_copy_changed(struct msi_msg_notifier *notifier, unsigned int irq,
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

static int ims_td_copy_begin(struct ims_testdev *td, enum ims_td_copy copy)
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

static void ims_td_copy_end(struct ims_testdev *td)
{
	lockdep_assert_held(&td->lock);

	/* It is stopped already while the device is away. */
	if (!td->away)
		ims_td_copy_stop(td);
	td->copy = IMS_TD_COPY_NONE;
}

static void ims_td_disable_vectors(struct ims_testdev *td, unsigned int kind)
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
static void ims_td_clear_mem(struct ims_testdev *td)
{
	unsigned int nr;
	__le32 *ctrl;

	for (nr = 0; nr < td->nr_slots[IMS_TD_KIND_MEM]; nr++) {
		memset(ims_td_mem_slot_addr(td, nr), 0, IMS_TD_SLOT_SIZE);
		ctrl = ims_td_mem_slot_addr(td, nr) + IMS_TD_SLOT_CTRL;
		*ctrl = cpu_to_le32(IMS_TD_SLOT_CTRL_MASK);
	}
}

static void ims_td_start(struct ims_testdev *td)
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

static void ims_td_stop(struct ims_testdev *td)
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
static void ims_td_suspend_store(struct ims_testdev *td, unsigned int id)
{
	int ret = pci_ims_store_suspend(td->pdev, id);

	WARN_ON_ONCE(ret && !pci_dev_is_disconnected(td->pdev));
}

static long ims_td_nothing(void *unused)
{
	return 0;
}

static void ims_td_leave(struct ims_testdev *td)
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
	for_each_online_cpu(cpu)
		work_on_cpu_safe(cpu, ims_td_nothing, NULL);
}

/* Returns the first error of a store, which the core takes care of */
static int ims_td_return(struct ims_testdev *td)
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
static int ims_td_fetch(struct ims_testdev *td)
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
static void ims_td_take_down(struct ims_testdev *td)
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

static int ims_td_set_layout(struct ims_td_store *store, const struct ims_testdev_store *arg)
{
	const struct ims_td_kind *kind = &ims_td_kinds[store->kind];
	struct ims_table_layout *layout = &store->layout;
	const struct ims_table_layout given = {
		.stride		= arg->stride,
		.addr_lo	= arg->addr_lo,
		.addr_hi	= arg->addr_hi,
		.data		= arg->data,
		.ctrl		= arg->ctrl,
		.flags		= arg->layout_flags,
		.pasid_shift	= arg->pasid_shift,
		.mask		= arg->mask,
		.pasid_enable	= arg->pasid_enable,
		.live		= arg->live,
		.w1c		= arg->w1c,
		.pending	= arg->pending,
	};

	if (arg->flags & IMS_TESTDEV_STORE_LAYOUT) {
		*layout = given;
		return arg->flags & IMS_TESTDEV_STORE_PASID ? -EINVAL : 0;
	}

	if (given.stride || given.addr_lo || given.addr_hi || given.data || given.ctrl ||
	    given.flags || given.pasid_shift || given.mask || given.pasid_enable ||
	    given.live || given.w1c || given.pending)
		return -EINVAL;
	if (!kind->layout)
		return 0;

	*layout = *kind->layout;
	if (arg->flags & IMS_TESTDEV_STORE_PASID) {
		layout->flags |= IMS_TABLE_PASID;
		layout->pasid_shift = kind->pasid_shift;
		layout->pasid_enable = kind->pasid_enable;
	}
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
	struct ims_testdev_store *to = arg;
	struct ims_td_store *store;
	int ret;

	if (to->kind >= IMS_TD_NR_KINDS || !td->nr_slots[to->kind] ||
	    !ims_td_kinds[to->kind].create_store)
		return -ENXIO;
	if (to->flags & ~ims_td_kinds[to->kind].store_flags || to->id ||
	    (to->depth && to->kind != IMS_TD_KIND_CMD))
		return -EINVAL;
	if (to->ops != IMS_TESTDEV_OPS_GENERIC && (to->kind != IMS_TD_KIND_TABLE || to->flags))
		return -EINVAL;

	store = kzalloc(sizeof(*store), GFP_KERNEL);
	if (!store)
		return -ENOMEM;

	store->td = td;
	store->kind = to->kind;
	store->first = to->first;
	store->nr_slots = to->nr_slots;
	store->depth = to->depth;
	store->flags = to->flags;
	store->ops = to->ops;

	ret = ims_td_set_layout(store, to);
	if (ret)
		goto free_store;

	ret = ims_td_check_window(td, store);
	if (ret)
		goto free_store;

	ret = ims_td_kinds[to->kind].create_store(td, store);
	if (ret < 0)
		goto free_store;
	store->id = ret;

	ret = xa_insert(&td->stores, store->id, store, GFP_KERNEL);
	if (ret)
		goto remove_store;

	/* What exists when the device leaves is told by ims_td_leave(). */
	if (td->away)
		ims_td_suspend_store(td, store->id);

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

static bool ims_td_is_only_id(const struct ims_testdev_store *arg)
{
	const struct ims_testdev_store id = { .id = arg->id };

	return !memcmp(arg, &id, sizeof(id));
}

static int ims_td_ioc_store_suspend(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_store *from = arg;

	return ims_td_is_only_id(from) ? pci_ims_store_suspend(td->pdev, from->id) : -EINVAL;
}

static int ims_td_ioc_store_resume(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_store *from = arg;

	return ims_td_is_only_id(from) ? pci_ims_store_resume(td->pdev, from->id) : -EINVAL;
}

static int ims_td_ioc_store_remove(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_store *from = arg;
	struct ims_td_store *store;
	struct ims_td_slot *slot;
	unsigned long nr;

	if (!ims_td_is_only_id(from))
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
	const u32 flags = IMS_TESTDEV_VECTORS_AFFINITY | IMS_TESTDEV_VECTORS_COPY_ONCE;

	if (vectors->flags & ~flags || vectors->reserved)
		return -EINVAL;
	if (vectors->kind >= IMS_TD_NR_KINDS || !td->nr_slots[vectors->kind] ||
	    !ims_td_kinds[vectors->kind].vectors)
		return -ENXIO;
	if (vectors->flags & IMS_TESTDEV_VECTORS_COPY_ONCE && vectors->kind != IMS_TD_KIND_COPY)
		return -EINVAL;
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
	if (td->nr_vectors[kind] || (td->away && kind == IMS_TD_KIND_COPY))
		return -EBUSY;
	/* To the core they are the same, and enabling MSI twice is a bug of the driver. */
	if (ims_td_kinds[kind].vectors == PCI_IRQ_MSI &&
	    (td->nr_vectors[IMS_TD_KIND_MSI] || td->nr_vectors[IMS_TD_KIND_COPY]))
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

	if (kind == IMS_TD_KIND_COPY) {
		ret = ims_td_copy_begin(td, vectors->flags & IMS_TESTDEV_VECTORS_COPY_ONCE ?
					IMS_TD_COPY_ONCE : IMS_TD_COPY_FOLLOW);
		if (ret)
			goto disable;
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

/* The lowest free index of a store from @index on, or its size if there is none */
static unsigned int ims_td_next_free(struct ims_testdev *td, const struct ims_td_store *store,
				     unsigned int index)
{
	lockdep_assert_held(&td->lock);

	while (index < store->nr_slots &&
	       xa_load(&td->slots[store->kind], store->first + index))
		index++;
	return index;
}

static bool ims_td_cookie_is_addr(const struct ims_td_store *store)
{
	return ims_td_kinds[store->kind].slot_addr && !(store->flags & IMS_TESTDEV_STORE_BASE);
}

/**
 * ims_td_set_cookie - Make the cookie for an interrupt of a store
 * @td:		The device
 * @store:	The store, NULL if the driver doesn't know it
 * @index:	Index that the interrupt will have
 * @cookie:	What user space asks for. Set to what the core gets.
 *
 * Context: Process context, with ims_testdev::lock held.
 * Return: 0, or -EINVAL if @cookie isn't an offset in the slot where it has to be
 */
static int ims_td_set_cookie(struct ims_testdev *td, const struct ims_td_store *store,
			     unsigned int index, union msi_instance_cookie *cookie)
{
	u64 value = cookie->value;

	lockdep_assert_held(&td->lock);

	if (!store || !ims_td_cookie_is_addr(store))
		return 0;
	if (value >= IMS_TD_SLOT_SIZE)
		return -EINVAL;

	/* An index beyond the end is the core's to refuse. */
	cookie->value = 0;
	if (index < store->nr_slots)
		cookie->ptr = ims_td_kinds[store->kind].slot_addr(td, store->first + index) +
			      value;
	return 0;
}

/* Whether the core has kept to the store and, if need be, to the index */
static bool ims_td_map_valid(const struct ims_td_store *store, unsigned int index,
			     struct msi_map map)
{
	if (!store || map.index >= store->nr_slots)
		return false;
	return !ims_td_cookie_is_addr(store) || map.index == index;
}

/* Like ims_td_alloc_one(), in a store */
static struct ims_td_slot *ims_td_alloc_in_store(struct ims_testdev *td,
						 const struct ims_testdev_alloc *alloc,
						 unsigned int index,
						 const struct irq_affinity_desc *affdesc)
{
	union msi_instance_cookie value = { .value = alloc->cookie };
	const bool first = alloc->store == IMS_TESTDEV_FIRST_STORE;
	unsigned int expected = index;
	unsigned long id = alloc->store;
	union msi_instance_cookie *cookie;
	struct ims_td_store *store;
	struct ims_td_slot *slot;
	struct msi_map map;
	int ret;

	lockdep_assert_held(&td->lock);

	if (first) {
		id = 0;
		store = xa_find(&td->stores, &id, ULONG_MAX, XA_PRESENT);
	} else {
		store = xa_load(&td->stores, id);
	}

	if (store && index == MSI_ANY_INDEX) {
		store->next = ims_td_next_free(td, store, store->next);
		expected = store->next;
	}
	ret = ims_td_set_cookie(td, store, expected, &value);
	if (ret)
		return ERR_PTR(ret);
	cookie = alloc->flags & IMS_TESTDEV_ALLOC_NO_COOKIE ? NULL : &value;

	if (first)
		map = pci_ims_alloc_irq(td->pdev, cookie, affdesc);
	else
		map = pci_ims_store_alloc_irq(td->pdev, id, index, cookie, affdesc);

	if (map.index < 0)
		return ERR_PTR(map.index);

	/* The core makes no stores of its own. */
	if (WARN_ON_ONCE(!ims_td_map_valid(store, expected, map))) {
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

static int ims_td_check_batch(const struct ims_testdev_batch *batch)
{
	if (batch->flags & ~(IMS_TESTDEV_BATCH_SPREAD | IMS_TESTDEV_BATCH_AT))
		return -EINVAL;
	if (!(batch->flags & IMS_TESTDEV_BATCH_AT) && batch->index)
		return -EINVAL;
	if (!(batch->flags & IMS_TESTDEV_BATCH_SPREAD) && (batch->pre || batch->post))
		return -EINVAL;
	return batch->max <= IMS_TD_ALLOC_MAX ? 0 : -EINVAL;
}

/* The cookies of a batch, as user space asks for them. NULL if it wants none. */
static union msi_instance_cookie *ims_td_get_cookies(struct ims_testdev *td,
						     const struct ims_td_store *store,
						     const struct ims_testdev_batch *batch)
{
	const __u64 __user *from = u64_to_user_ptr(batch->cookies);
	union msi_instance_cookie *cookies;
	unsigned int index = batch->index, i;
	int ret;

	lockdep_assert_held(&td->lock);

	if (!from || !batch->max)
		return NULL;

	cookies = kvcalloc(batch->max, sizeof(*cookies), GFP_KERNEL);
	if (!cookies)
		return ERR_PTR(-ENOMEM);

	for (i = 0; i < batch->max; i++) {
		if (get_user(cookies[i].value, from + i)) {
			ret = -EFAULT;
			goto free_cookies;
		}
		if (store && !(batch->flags & IMS_TESTDEV_BATCH_AT))
			index = ims_td_next_free(td, store, index);
		ret = ims_td_set_cookie(td, store, index++, &cookies[i]);
		if (ret)
			goto free_cookies;
		cond_resched();
	}
	return cookies;

free_cookies:
	kvfree(cookies);
	return ERR_PTR(ret);
}

/* Enter what the core has allocated, and mark it as what this call is about */
static int ims_td_add_batch(struct ims_testdev *td, const struct ims_td_store *store,
			    const struct ims_testdev_batch *batch, const struct msi_map *maps,
			    unsigned int count)
{
	struct ims_td_slot **slots;
	unsigned int index = batch->index, i;
	int ret;

	lockdep_assert_held(&td->lock);

	slots = kvcalloc(count, sizeof(*slots), GFP_KERNEL);
	if (!slots)
		return -ENOMEM;

	for (i = 0; i < count; i++) {
		ret = -ENOENT;
		index = store ? ims_td_next_free(td, store, index) : 0;
		if (WARN_ON_ONCE(!ims_td_map_valid(store, index, maps[i])))
			goto drop_slots;

		slots[i] = ims_td_add_slot(td, store->kind, store->first + maps[i].index,
					   store->id, maps[i]);
		if (IS_ERR(slots[i])) {
			ret = PTR_ERR(slots[i]);
			goto drop_slots;
		}
		xa_set_mark(&td->slots[store->kind], slots[i]->nr, IMS_TD_CHOSEN);
		cond_resched();
	}

	ret = ims_td_copy_maps(batch->maps, slots, count);
	if (!ret)
		goto free_slots;

drop_slots:
	while (i--)
		ims_td_drop_slot(td, slots[i]);
free_slots:
	kvfree(slots);
	return ret;
}

static int ims_td_ioc_alloc_batch(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_batch *batch = arg;
	struct irq_affinity affd = { };
	union msi_instance_cookie *cookies;
	struct ims_td_store *store;
	struct msi_map *maps;
	int ret, count;

	ret = ims_td_check_batch(batch);
	if (ret)
		return ret;

	store = xa_load(&td->stores, batch->store);
	cookies = ims_td_get_cookies(td, store, batch);
	if (IS_ERR(cookies))
		return PTR_ERR(cookies);

	ret = -ENOMEM;
	maps = kvcalloc(max(batch->max, 1U), sizeof(*maps), GFP_KERNEL);
	if (!maps)
		goto free_cookies;

	affd.pre_vectors = batch->pre;
	affd.post_vectors = batch->post;
	ret = pci_ims_store_alloc_irqs(td->pdev, batch->store, batch->flags & IMS_TESTDEV_BATCH_AT ?
				       batch->index : MSI_ANY_INDEX, batch->min, batch->max,
				       batch->flags & IMS_TESTDEV_BATCH_SPREAD ? &affd : NULL,
				       cookies, maps);
	if (ret < 0)
		goto free_maps;

	count = ret;
	ret = ims_td_add_batch(td, store, batch, maps, count);
	if (ret)
		pci_ims_store_free_irqs(td->pdev, batch->store, maps, count);
	batch->count = count;

free_maps:
	kvfree(maps);
free_cookies:
	kvfree(cookies);
	return ret;
}

static void ims_td_done_alloc_batch(struct ims_testdev *td, void *arg, int err)
{
	const struct ims_testdev_batch *batch = arg;
	struct ims_td_store *store = xa_load(&td->stores, batch->store);
	struct xarray *slots = &td->slots[store->kind];
	struct ims_td_slot *slot;
	unsigned long nr;

	xa_for_each_marked(slots, nr, slot, IMS_TD_CHOSEN) {
		xa_clear_mark(slots, nr, IMS_TD_CHOSEN);
		if (err)
			ims_td_free_one(td, slot, 0);
	}
}

/* Mark the slots to free, after checking that they can be freed at once */
static int ims_td_choose_batch(struct ims_testdev *td, const struct ims_testdev_batch_free *batch,
			       struct msi_map *maps, unsigned int *id)
{
	const __u32 __user *from = u64_to_user_ptr(batch->slots);
	struct xarray *slots = &td->slots[batch->kind];
	struct ims_td_slot *slot;
	unsigned int i;
	u32 nr;
	int ret;

	lockdep_assert_held(&td->lock);

	for (i = 0; i < batch->count; i++) {
		if (get_user(nr, from + i))
			return -EFAULT;
		ret = ims_td_check_range(td, batch->kind, nr, 1);
		if (ret)
			return ret;

		slot = xa_load(slots, nr);
		if (!slot)
			return -ENOENT;
		if (slot->requested)
			return -EBUSY;
		if (!slot->store || (i && slot->store != *id))
			return -EINVAL;
		if (xa_get_mark(slots, nr, IMS_TD_CHOSEN))
			return -EINVAL;

		xa_set_mark(slots, nr, IMS_TD_CHOSEN);
		maps[i] = slot->map;
		*id = slot->store;
		cond_resched();
	}
	return 0;
}

static int ims_td_ioc_free_batch(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_batch_free *batch = arg;
	struct ims_td_slot *slot;
	struct xarray *slots;
	struct msi_map *maps;
	unsigned long nr;
	unsigned int id;
	int ret;

	if (batch->flags || batch->reserved)
		return -EINVAL;
	ret = ims_td_check_range(td, batch->kind, 0, batch->count);
	if (ret)
		return ret;

	maps = kvcalloc(batch->count, sizeof(*maps), GFP_KERNEL);
	if (!maps)
		return -ENOMEM;

	ret = ims_td_choose_batch(td, batch, maps, &id);
	if (!ret)
		pci_ims_store_free_irqs(td->pdev, id, maps, batch->count);

	slots = &td->slots[batch->kind];
	xa_for_each_marked(slots, nr, slot, IMS_TD_CHOSEN) {
		xa_clear_mark(slots, nr, IMS_TD_CHOSEN);
		if (!ret)
			ims_td_drop_slot(td, slot);
	}
	kvfree(maps);
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
		.flags	= IMS_TESTDEV_REQUEST_UNLAZY | IMS_TESTDEV_REQUEST_THREADED |
			  IMS_TESTDEV_REQUEST_ONESHOT | IMS_TESTDEV_REQUEST_NO_AUTOEN,
		.check	= ims_td_has_no_handler,
		.fn	= ims_td_request_one,
		.undo	= ims_td_release_one,
	};
	const struct ims_testdev_range *range = arg;

	if ((range->flags & (IMS_TESTDEV_REQUEST_ONESHOT | IMS_TESTDEV_REQUEST_THREADED)) ==
	    IMS_TESTDEV_REQUEST_ONESHOT)
		return -EINVAL;
	return ims_td_do_range(td, range, &op);
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
	u32 count = fire->count, left;
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
		if (fire->kind < IMS_TD_NR_KINDS)
			count = td->nr_slots[fire->kind];
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
	if (count <= IMS_TD_FIRE_ONCE)
		return 0;

	/* The device fires a long range in pieces, with pauses between them */
	return read_poll_timeout(ims_td_read, left, !left || PCI_POSSIBLE_ERROR(left), 1000,
				 60 * USEC_PER_SEC, false, td, IMS_TD_REG_FIRE);
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
	stats->forgotten = td->forgotten[stats->kind];
	if (stats->kind == IMS_TD_KIND_CMD)
		stats->trips = ims_td_ring_trips(&td->ring);
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
	case IMS_TD_BAR_WIDE:
		base = td->wide;
		break;
	default:
		return -EINVAL;
	}

	if (!base)
		return -ENXIO;
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

	ims_td_stop(td);
	ims_td_write(td, IMS_TD_REG_RESET, 1);
	ims_td_clear_mem(td);
	ims_td_start(td);

	memset(td->past, 0, sizeof(td->past));
	memset(td->forgotten, 0, sizeof(td->forgotten));
	mutex_lock(&td->ring.lock);
	td->ring.trips = 0;
	mutex_unlock(&td->ring.lock);
	return 0;
}

static int ims_td_ioc_suspend(struct ims_testdev *td, void *arg)
{
	int ret;

	ims_td_leave(td);

	ret = pci_save_state(td->pdev);
	if (ret)
		goto come_back;

	/* A suspend that fails meanwhile makes the PCI core forget what it has saved. */
	td->saved = pci_store_saved_state(td->pdev);
	if (!td->saved) {
		ret = -ENOMEM;
		goto come_back;
	}

	ret = pci_set_power_state(td->pdev, PCI_D3hot);
	if (ret)
		goto free_saved;

	td->away = true;
	return 0;

free_saved:
	kfree(td->saved);
	td->saved = NULL;
come_back:
	ims_td_return(td);
	return ret;
}

static int ims_td_ioc_runtime_suspend(struct ims_testdev *td, void *arg)
{
	struct device *dev = &td->pdev->dev;

	ims_td_leave(td);

	/* The PCI core holds one reference while a driver is bound, the policy another. */
	pm_runtime_allow(dev);
	pm_runtime_put_sync(dev);
	td->away = true;
	td->runtime = true;
	if (pm_runtime_suspended(dev))
		return 0;

	ims_td_fetch(td);
	return -EBUSY;
}

static int ims_td_ioc_resume(struct ims_testdev *td, void *arg)
{
	return td->away ? ims_td_fetch(td) : -EINVAL;
}

static void ims_td_devres_take_down(void *data)
{
	struct ims_testdev *td = data;

	mutex_lock(&td->lock);
	if (td->late)
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
	td->late = forget->how == IMS_TESTDEV_FORGET_UNTIL_DEVRES;
	return 0;
}

static int ims_td_ioc_set_cookie(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_cookie *from = arg;
	const union msi_instance_cookie cookie = { .value = from->cookie };
	bool none = from->flags & IMS_TESTDEV_COOKIE_NONE;
	struct ims_td_slot *slot;
	u32 before, expect = IMS_TD_PASID_CHECK;
	int ret;

	if (from->flags & ~(IMS_TESTDEV_COOKIE_NONE | IMS_TESTDEV_COOKIE_EXPECT) ||
	    from->reserved || (none && from->cookie))
		return -EINVAL;
	ret = ims_td_check_range(td, from->kind, from->slot, 1);
	if (ret)
		return ret;
	slot = xa_load(&td->slots[from->kind], from->slot);
	if (!slot)
		return -ENOENT;
	if (!slot->store)
		return -EINVAL;

	/* Until it has changed, either is right, and then the one that it has. */
	before = slot->expect;
	if (before)
		ims_td_expect_pasid(td, slot, 0);
	ret = pci_ims_store_set_cookie(td->pdev, slot->store, slot->map, none ? NULL : &cookie);
	if (!none)
		expect |= IMS_TD_PASID_EN | from->cookie;
	if (ret)
		expect = before;
	if (before || (!ret && from->flags & IMS_TESTDEV_COOKIE_EXPECT))
		ims_td_expect_pasid(td, slot, expect);
	return ret;
}

static int ims_td_is_in_store(struct ims_testdev *td, const struct ims_td_slot *slot)
{
	return slot->store ? 0 : -EINVAL;
}

static int ims_td_ioc_restore(struct ims_testdev *td, void *arg)
{
	const struct ims_testdev_range *range = arg;
	struct ims_td_slot *slot;
	unsigned long nr;
	int ret;

	ret = ims_td_check_slots(td, range, 0, ims_td_is_in_store);
	if (ret)
		return ret;

	xa_for_each_range(&td->slots[range->kind], nr, slot, range->first, ims_td_last(range)) {
		ret = pci_ims_store_restore_irq(td->pdev, slot->store, slot->map);
		if (ret)
			return ret;
	}
	return 0;
}

static int ims_td_ioc_affinity(struct ims_testdev *td, void *arg)
{
	struct ims_testdev_affinity *to = arg;
	const struct cpumask *mask;
	unsigned int cpu;

	if (to->flags || to->reserved || to->cpus)
		return -EINVAL;

	mask = pci_ims_store_get_affinity(td->pdev, to->store, to->index);
	if (!mask)
		return 0;

	to->flags = IMS_TESTDEV_AFFINITY_SET;
	for_each_cpu(cpu, mask) {
		if (cpu < BITS_PER_TYPE(to->cpus))
			to->cpus |= BIT_ULL(cpu);
	}
	return 0;
}

/**
 * struct ims_td_ioctl - An ioctl
 * @cmd:	The command, which has the size of the argument in it
 * @fn:		Does the work on a kernel copy of the argument
 * @done:	Called after @fn has succeeded, with 0 or with -EFAULT if user
 *		space couldn't be told of it. May be NULL.
 * @asks:	The device has to be there
 *
 * Both are called with ims_testdev::lock held and the device present.
 */
struct ims_td_ioctl {
	unsigned int	cmd;
	int		(*fn)(struct ims_testdev *td, void *arg);
	void		(*done)(struct ims_testdev *td, void *arg, int err);
	bool		asks;
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
	{ IMS_TESTDEV_FIRE,		ims_td_ioc_fire, .asks = true },
	{ IMS_TESTDEV_COUNTS,		ims_td_ioc_counts },
	{ IMS_TESTDEV_STATS,		ims_td_ioc_stats, .asks = true },
	{ IMS_TESTDEV_SLOTS,		ims_td_ioc_slots, .asks = true },
	{ IMS_TESTDEV_BREACHES,		ims_td_ioc_breaches, ims_td_done_breaches,
					.asks = true },
	{ IMS_TESTDEV_RAW,		ims_td_ioc_raw },
	{ IMS_TESTDEV_RESET,		ims_td_ioc_reset, .asks = true },
	{ IMS_TESTDEV_FORGET,		ims_td_ioc_forget },
	{ IMS_TESTDEV_ALLOC_BATCH,	ims_td_ioc_alloc_batch, ims_td_done_alloc_batch },
	{ IMS_TESTDEV_FREE_BATCH,	ims_td_ioc_free_batch },
	{ IMS_TESTDEV_SUSPEND,		ims_td_ioc_suspend, .asks = true },
	{ IMS_TESTDEV_RESUME,		ims_td_ioc_resume },
	{ IMS_TESTDEV_RUNTIME_SUSPEND,	ims_td_ioc_runtime_suspend, .asks = true },
	{ IMS_TESTDEV_SET_COOKIE,	ims_td_ioc_set_cookie, .asks = true },
	{ IMS_TESTDEV_RESTORE,		ims_td_ioc_restore },
	{ IMS_TESTDEV_AFFINITY,		ims_td_ioc_affinity },
	{ IMS_TESTDEV_STORE_SUSPEND,	ims_td_ioc_store_suspend },
	{ IMS_TESTDEV_STORE_RESUME,	ims_td_ioc_store_resume, .asks = true },
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
	if (ioctl->asks && td->away) {
		ret = -EBUSY;
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
	td->late = false;
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

static int ims_td_check_bar(struct ims_testdev *td, unsigned int kind, unsigned int bar,
			    unsigned int slot_size)
{
	if (pci_resource_len(td->pdev, bar) / slot_size >= td->nr_slots[kind])
		return 0;

	pci_err(td->pdev, "%u slots don't fit into BAR %u\n", td->nr_slots[kind], bar);
	return -ENODEV;
}

/* Find out what the device has, and check it against what the BARs hold */
static int ims_td_identify(struct ims_testdev *td)
{
	struct pci_dev *pdev = td->pdev;
	u32 id, version, kinds;
	unsigned int kind;
	int ret;

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
		if (td->nr_slots[kind] > IMS_TD_ALLOC_MAX) {
			pci_err(pdev, "%u slots of kind %u\n", td->nr_slots[kind], kind);
			return -ENODEV;
		}
	}

	ret = ims_td_check_bar(td, IMS_TD_KIND_TABLE, IMS_TD_BAR_TABLE, IMS_TD_SLOT_SIZE);
	return ret ?: ims_td_check_bar(td, IMS_TD_KIND_WIDE, IMS_TD_BAR_WIDE, IMS_TD_WIDE_SIZE);
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
	mutex_init(&td->ring.lock);
	init_waitqueue_head(&td->ring.room);
	td->pdev = pdev;
	td->notifier.changed = ims_td_copy_changed;
	xa_init(&td->stores);
	for (kind = 0; kind < IMS_TD_NR_KINDS; kind++)
		xa_init(&td->slots[kind]);
	return td;
}

static void ims_td_disable(void *pdev)
{
	pci_disable_device(pdev);
}

static void ims_td_devres_stop(void *data)
{
	ims_td_stop(data);
}

/* Map the slots in BARs, and get memory for those that the device reads itself */
static int ims_td_set_up_slots(struct ims_testdev *td)
{
	const unsigned int nr_mem = td->nr_slots[IMS_TD_KIND_MEM];
	struct pci_dev *pdev = td->pdev;
	struct device *dev = &pdev->dev;
	int ret;

	td->table = devm_ioremap_resource(dev, &pdev->resource[IMS_TD_BAR_TABLE]);
	if (IS_ERR(td->table))
		return PTR_ERR(td->table);

	if (td->nr_slots[IMS_TD_KIND_WIDE]) {
		td->wide = devm_ioremap_resource(dev, &pdev->resource[IMS_TD_BAR_WIDE]);
		if (IS_ERR(td->wide))
			return PTR_ERR(td->wide);
	}

	ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;

	if (nr_mem) {
		td->mem = dmam_alloc_coherent(dev, nr_mem * IMS_TD_SLOT_SIZE, &td->mem_dma,
					      GFP_KERNEL);
		if (!td->mem)
			return -ENOMEM;
		ims_td_clear_mem(td);
	}

	if (td->nr_slots[IMS_TD_KIND_CMD]) {
		td->ring.cmds = dmam_alloc_coherent(dev, IMS_TD_RING_ENTRIES * IMS_TD_CMD_SIZE,
						    &td->ring.dma, GFP_KERNEL);
		if (!td->ring.cmds)
			return -ENOMEM;
	}

	ims_td_start(td);
	return devm_add_action_or_reset(dev, ims_td_devres_stop, td);
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

	ret = ims_td_identify(td);
	if (ret)
		return ret;

	/*
	 * No reset: tests look at what unbind has left. Until pci_disable_device() it
	 * stays a bus master, for what unbind is to forget.
	 */
	pci_set_master(pdev);
	ret = ims_td_set_up_slots(td);
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

	pci_set_drvdata(pdev, td);

	ret = misc_register(&td->misc);
	if (ret)
		goto free_id;
	return 0;

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
	if (td->away)
		ims_td_fetch(td);
	if (!td->forget)
		ims_td_take_down(td);
	/* What the core frees must not call into memory that the driver frees. */
	ims_td_copy_end(td);
	td->dead = true;
	mutex_unlock(&td->lock);

	ida_free(&ims_td_ida, td->id);
}

/* User space is frozen from before the one until after the other. */

static int ims_td_suspend(struct device *dev)
{
	struct ims_testdev *td = dev_get_drvdata(dev);
	int ret = 0;

	mutex_lock(&td->lock);
	if (td->away)
		ret = -EBUSY;
	else
		ims_td_leave(td);
	mutex_unlock(&td->lock);
	return ret;
}

static int ims_td_resume(struct device *dev)
{
	struct ims_testdev *td = dev_get_drvdata(dev);
	int ret;

	mutex_lock(&td->lock);
	ret = ims_td_return(td);
	mutex_unlock(&td->lock);
	return ret;
}

/* Runtime power management needs none: it is asked for by ims_td_ioc_runtime_suspend() */
static const struct dev_pm_ops ims_td_pm_ops = {
	SYSTEM_SLEEP_PM_OPS(ims_td_suspend, ims_td_resume)
};

/*
 * An ioctl that comes in between waits, as if the reset took place in no time. So a
 * test can go on firing.
 */

static void ims_td_reset_prepare(struct pci_dev *pdev)
{
	struct ims_testdev *td = pci_get_drvdata(pdev);

	mutex_lock(&td->lock);
	/* The core is about to wake it, and saves what it finds. */
	if (td->away)
		ims_td_fetch(td);
	ims_td_leave(td);
}

static void ims_td_reset_done(struct pci_dev *pdev)
{
	struct ims_testdev *td = pci_get_drvdata(pdev);

	ims_td_return(td);
	mutex_unlock(&td->lock);
}

static const struct pci_error_handlers ims_td_err_handler = {
	.reset_prepare	= ims_td_reset_prepare,
	.reset_done	= ims_td_reset_done,
};

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
	.err_handler	= &ims_td_err_handler,
	.driver.pm	= pm_ptr(&ims_td_pm_ops),
};
module_pci_driver(ims_td_driver);

MODULE_DESCRIPTION("Test driver for interrupt message storage on ims-testdev");
MODULE_LICENSE("GPL");
