/* SPDX-License-Identifier: GPL-2.0 */
#ifndef IMS_TD_H
#define IMS_TD_H

/*
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
#include <linux/bitmap.h>
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/irqchip/irq-ims-generic.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/msi.h>
#include <linux/msi_api.h>
#include <linux/msi_notify.h>
#include <linux/pci.h>
#include <linux/xarray.h>

#include "ims_testdev.h"

/* More than any device has, and few enough for one array of slots */
#define IMS_TD_ALLOC_MAX	0x100000

/* Commands that can be under way at once, one for each store that is changed */
#define IMS_TD_RING_ENTRIES	64

/* Marks of slots that the call in progress is about, and of forgotten ones */
#define IMS_TD_CHOSEN		XA_MARK_1
#define IMS_TD_FORGOTTEN	XA_MARK_2

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

static inline u32 ims_td_read(struct ims_testdev *td, unsigned int reg)
{
	return readl(td->regs + reg);
}

static inline void ims_td_write(struct ims_testdev *td, unsigned int reg, u32 val)
{
	writel(val, td->regs + reg);
}

/* command.c */
extern const struct ims_cmd_ops ims_td_cmd_ops;
extern const struct ims_cmd_ops ims_td_half_cmd_ops;
void ims_td_ring_stop(struct ims_testdev *td);
void ims_td_ring_start(struct ims_testdev *td);
u64 ims_td_ring_trips(struct ims_td_ring *ring);

/* kinds.c */
extern const struct ims_td_kind ims_td_kinds[IMS_TD_NR_KINDS];
void *ims_td_mem_slot_addr(struct ims_testdev *td, unsigned int nr);

/* slots.c */
void ims_td_free_kref(struct kref *ref);
int ims_td_sum_up(struct ims_td_sum *sum, const struct ims_td_slot *slot,
		  struct ims_testdev_count *count);
int ims_td_request_one(struct ims_testdev *td, struct ims_td_slot *slot,
		       unsigned int flags);
int ims_td_release_one(struct ims_testdev *td, struct ims_td_slot *slot,
		       unsigned int flags);
int ims_td_mask_one(struct ims_testdev *td, struct ims_td_slot *slot, unsigned int flags);
int ims_td_unmask_one(struct ims_testdev *td, struct ims_td_slot *slot,
		      unsigned int flags);
struct ims_td_slot *ims_td_add_slot(struct ims_testdev *td, unsigned int kind,
				    unsigned int nr, unsigned int store,
				    struct msi_map map);
void ims_td_expect_pasid(struct ims_testdev *td, struct ims_td_slot *slot, u32 expect);
void ims_td_drop_slot(struct ims_testdev *td, struct ims_td_slot *slot);
int ims_td_free_one(struct ims_testdev *td, struct ims_td_slot *slot, unsigned int flags);
void ims_td_remove_store(struct ims_testdev *td, struct ims_td_store *store);

/* power.c */
void ims_td_copy_changed(struct msi_msg_notifier *notifier, unsigned int irq,
			 const struct msi_msg *msg);
int ims_td_copy_begin(struct ims_testdev *td, enum ims_td_copy copy);
void ims_td_copy_end(struct ims_testdev *td);
void ims_td_disable_vectors(struct ims_testdev *td, unsigned int kind);
void ims_td_clear_mem(struct ims_testdev *td);
void ims_td_start(struct ims_testdev *td);
void ims_td_stop(struct ims_testdev *td);
void ims_td_suspend_store(struct ims_testdev *td, unsigned int id);
void ims_td_leave(struct ims_testdev *td);
int ims_td_return(struct ims_testdev *td);
int ims_td_fetch(struct ims_testdev *td);
void ims_td_take_down(struct ims_testdev *td);

/* alloc.c */
int ims_td_ioc_store_create(struct ims_testdev *td, void *arg);
void ims_td_done_store_create(struct ims_testdev *td, void *arg, int err);
int ims_td_ioc_store_suspend(struct ims_testdev *td, void *arg);
int ims_td_ioc_store_resume(struct ims_testdev *td, void *arg);
int ims_td_ioc_store_remove(struct ims_testdev *td, void *arg);
int ims_td_ioc_vectors_enable(struct ims_testdev *td, void *arg);
void ims_td_done_vectors_enable(struct ims_testdev *td, void *arg, int err);
int ims_td_ioc_vectors_disable(struct ims_testdev *td, void *arg);
int ims_td_ioc_alloc(struct ims_testdev *td, void *arg);
int ims_td_ioc_alloc_batch(struct ims_testdev *td, void *arg);
void ims_td_done_alloc_batch(struct ims_testdev *td, void *arg, int err);
int ims_td_ioc_free_batch(struct ims_testdev *td, void *arg);
int ims_td_ioc_free(struct ims_testdev *td, void *arg);

/* ioctl.c */
int ims_td_check_range(struct ims_testdev *td, u32 kind, u32 first, u32 count);
int ims_td_can_free(struct ims_testdev *td, const struct ims_td_slot *slot);
int ims_td_do_range(struct ims_testdev *td, const struct ims_testdev_range *range,
		    const struct ims_td_range_op *op);
int ims_td_ioc_suspend(struct ims_testdev *td, void *arg);
int ims_td_ioc_runtime_suspend(struct ims_testdev *td, void *arg);
long ims_td_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

#endif /* IMS_TD_H */
