/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Test interface of the ims-testdev driver, /dev/ims_testdev<N>.
 *
 * This is for tests of interrupt message storage, and for nothing else. It
 * lets root break the rules that a driver has to keep, on purpose. It is not a
 * stable interface: the tests in tools/testing/selftests/msi/ change with it.
 *
 * Words used here, beside those of ims_testdev_regs.h:
 *
 *   store	what STORE_CREATE makes: a window of a kind's slots, with an id
 *   index	the place of an interrupt in its store; slot = window start + index
 *   vectors	what VECTORS_ENABLE makes: interrupts of MSI or of MSI-X. While
 *		MSI-X is enabled, ALLOC makes more of them and FREE takes them away.
 *		Those of kind COPY are MSI to the core. The device fires them with
 *		a copy of their message, which is the driver's to keep up to date.
 *   request	install the handler that counts; release removes it again
 *   expected	how often the handler of a slot should have run by now
 *   ops	the storage ops of a store, which say how its slots are written
 *   away	from SUSPEND to RESUME the device is in D3hot, and forgets its slots
 *
 * Everything but STORE_CREATE, STORE_REMOVE, ALLOC and ALLOC_BATCH names
 * interrupts by kind and slot, as the device does.
 *
 * Rules that hold for every call:
 *
 *   The device has one user at a time: a second open() gives EBUSY.
 *
 *   What was set up is taken down when the file is closed, and a device that
 *   is away comes back first.
 *
 *   What asks the device something or fires slots gives EBUSY while the device
 *   is away: FIRE, STATS, SLOTS, BREACHES and RESET. So does VECTORS_ENABLE for
 *   kind COPY. What only concerns the interrupt core does what the core does
 *   with it.
 *
 *   SUSPEND, suspend of the system and a function level reset make the device
 *   forget its pending slots. What they would have sent is not expected any
 *   more, and counts as forgotten in struct ims_testdev_stats.
 *
 *   A call does all of its work or none of it.
 *
 *   Flags that are not known and reserved fields that are not zero give EINVAL.
 *
 *   An error of the interrupt core reaches the caller as it is. The driver's
 *   own are EINVAL for an argument that has no meaning, ENXIO for a kind that
 *   the device does not have, ENOENT for a store or an interrupt that does not
 *   exist, ERANGE for slots beyond the kind's last one, EBUSY for what is in
 *   use, EFAULT, ENOMEM, and ENODEV once the device is gone.
 */
#ifndef IMS_TESTDEV_H
#define IMS_TESTDEV_H

#include <linux/ioctl.h>
#include <linux/types.h>

#include "ims_testdev_ops.h"
#include "ims_testdev_regs.h"

#define IMS_TESTDEV_API_VERSION		5
#define IMS_TESTDEV_MAX_KINDS		8
#define IMS_TESTDEV_MAX_CODES		16

/* As an index: any that is free */
#define IMS_TESTDEV_ANY_INDEX		0xffffffffU

/* As a store id: none is passed on, the core takes the device's first store */
#define IMS_TESTDEV_FIRST_STORE		0xffffffffU

/* How long the driver waits for a command, in ms. Then it restarts the ring. */
#define IMS_TESTDEV_CMD_TIMEOUT		1000

/**
 * struct ims_testdev_info - What the device is
 * @api_version: IMS_TESTDEV_API_VERSION of the driver
 * @nr_kinds: How many members of @slots have a meaning
 * @slots: The number of slots of each kind, zero if the device lacks it
 * @flags: IMS_TESTDEV_INFO_*
 * @reserved: Zero
 * @name: Name of the PCI device, as in /sys/bus/pci/devices
 */
struct ims_testdev_info {
	__u32	api_version;
	__u32	nr_kinds;
	__u32	slots[IMS_TESTDEV_MAX_KINDS];
	__u32	flags;
	__u32	reserved;
	char	name[32];
};

/* What pci_msix_can_alloc_dyn() says */
#define IMS_TESTDEV_INFO_MSIX_DYN	0x1

/**
 * struct ims_testdev_store - A store to create or to remove
 * @kind: Kind of the slots. STORE_REMOVE looks at @id alone, all the rest must
 *	  be zero.
 * @first: First slot of the window
 * @nr_slots: Size of the window. The driver checks only that it doesn't reach
 *	      beyond the last slot, or into another store; zero is the core's
 *	      to refuse.
 * @flags: IMS_TESTDEV_STORE_*
 * @stride: Slot layout, see struct ims_table_layout in the kernel. Taken only
 *	    with IMS_TESTDEV_STORE_LAYOUT, must be zero otherwise.
 * @addr_lo: Likewise
 * @addr_hi: Likewise
 * @data: Likewise
 * @ctrl: Likewise
 * @layout_flags: Likewise, the flags of the layout
 * @pasid_shift: Likewise
 * @mask: Likewise, the bit in @ctrl
 * @pasid_enable: Likewise
 * @live: Likewise
 * @w1c: Likewise
 * @pending: Likewise
 * @ops: IMS_TESTDEV_OPS_*. Those of IMS_TD_KIND_TABLE can be chosen, without
 *	 any of @flags; of all other kinds they are IMS_TESTDEV_OPS_GENERIC.
 * @id: Set by STORE_CREATE, which wants zero. Store to remove otherwise.
 * @depth: How many commands the core may submit before it waits for the first one, for
 *	   CMD. Zero for all other kinds
 */
struct ims_testdev_store {
	__u32	kind;
	__u32	first;
	__u32	nr_slots;
	__u32	flags;
	__u16	stride;
	__u16	addr_lo;
	__u16	addr_hi;
	__u16	data;
	__u16	ctrl;
	__u8	layout_flags;
	__u8	pasid_shift;
	__u32	mask;
	__u32	pasid_enable;
	__u32	live;
	__u32	w1c;
	__u32	pending;
	__u32	ops;
	__u32	id;
	__u32	depth;
};

/* Dangerous: use the layout given, rather than the device's. Not for CMD. */
#define IMS_TESTDEV_STORE_LAYOUT	0x1
/*
 * Dangerous: pass no layout, or no mapping, to the core. For MEM the register
 * to notify takes the place of the mapping, and for CMD the callback that waits
 * that of the layout, and the callbacks that of the mapping.
 */
#define IMS_TESTDEV_STORE_NO_LAYOUT	0x2
#define IMS_TESTDEV_STORE_NO_BASE	0x4
/* Dangerous: the mapping is one byte off. Not for CMD. */
#define IMS_TESTDEV_STORE_ODD_BASE	0x8
/*
 * The cookie of an interrupt is a PASID, which goes into the slot. Without this
 * cookies are ignored. Not with IMS_TESTDEV_STORE_LAYOUT, and for MEM only with
 * IMS_TESTDEV_STORE_BASE.
 */
#define IMS_TESTDEV_STORE_PASID		0x10
/* For MEM: the core finds a slot by its index, so that cookies are as for TABLE */
#define IMS_TESTDEV_STORE_BASE		0x20
/*
 * The driver does not suspend the store when the device is away, nor resume it, and leaves
 * it to the core. For TABLE and WIDE.
 */
#define IMS_TESTDEV_STORE_UNATTENDED	0x40

/**
 * struct ims_testdev_vectors - MSI or MSI-X vectors to enable or to disable
 * @kind: IMS_TD_KIND_MSI, IMS_TD_KIND_COPY or IMS_TD_KIND_MSIX. There can't be
 *	  vectors of the first two at once (EBUSY). VECTORS_DISABLE looks at this
 *	  alone, all the rest must be zero.
 * @count: How many to enable. Set to how many were.
 * @min: How many it must be, zero for all of them
 * @step: For MSI-X only: Enable every @step-th entry of the table. Zero is the
 *	  same as one, but for the call that is made.
 * @flags: IMS_TESTDEV_VECTORS_*
 * @reserved: Zero
 */
struct ims_testdev_vectors {
	__u32	kind;
	__u32	count;
	__u32	min;
	__u32	step;
	__u32	flags;
	__u32	reserved;
};

/* Have the kernel spread and manage the affinity. Not with @step. */
#define IMS_TESTDEV_VECTORS_AFFINITY	0x1
/*
 * Copy the message once, now, as drivers do that don't know better. For
 * IMS_TD_KIND_COPY only, which otherwise has the core tell of every change.
 */
#define IMS_TESTDEV_VECTORS_COPY_ONCE	0x2

/**
 * struct ims_testdev_map - An allocated interrupt
 * @index: Index in its store
 * @slot: Slot of the device
 * @virq: Linux interrupt number
 * @reserved: Zero
 */
struct ims_testdev_map {
	__u32	index;
	__u32	slot;
	__u32	virq;
	__u32	reserved;
};

/**
 * struct ims_testdev_alloc - Interrupts to allocate in a store, or for MSI-X
 * @store: Store id. The core gets it even if the driver doesn't know it. Zero
 *	   with IMS_TESTDEV_ALLOC_MSIX.
 * @index: Index of the first one, the others follow, or
 *	   IMS_TESTDEV_ANY_INDEX. Not checked by the driver.
 * @count: How many
 * @flags: IMS_TESTDEV_ALLOC_*
 * @cookie: Value handed to the store with each. For IMS_TD_KIND_MEM that is the
 *	    address of the slot in memory, plus this value, which must be less
 *	    than the size of a slot (EINVAL). Zero with IMS_TESTDEV_ALLOC_MSIX.
 * @cpu: Wanted CPU, with IMS_TESTDEV_ALLOC_CPU. Zero otherwise.
 * @reserved: Zero
 * @maps: Pointer to an array of @count struct ims_testdev_map to fill in, or 0
 */
struct ims_testdev_alloc {
	__u32	store;
	__u32	index;
	__u32	count;
	__u32	flags;
	__u64	cookie;
	__u32	cpu;
	__u32	reserved;
	__u64	maps;
};

/* Allocate with affinity to @cpu */
#define IMS_TESTDEV_ALLOC_CPU		0x1
/* That affinity is managed by the kernel. Needs IMS_TESTDEV_ALLOC_CPU. */
#define IMS_TESTDEV_ALLOC_MANAGED	0x2
/* Pass no cookie at all */
#define IMS_TESTDEV_ALLOC_NO_COOKIE	0x4
/* Allocate vectors of MSI-X, not in a store. Not with the one above. */
#define IMS_TESTDEV_ALLOC_MSIX		0x8

/**
 * struct ims_testdev_batch - Interrupts to allocate in a store at once
 * @store: Store id. The core gets it even if the driver doesn't know it.
 * @min: How many it must be. Not checked by the driver.
 * @max: How many it may be. Likewise, but for more than it can have memory for.
 * @flags: IMS_TESTDEV_BATCH_*
 * @pre: How many of the first ones are not spread, with IMS_TESTDEV_BATCH_SPREAD.
 *	 Zero otherwise.
 * @post: How many of the last ones are not. Likewise.
 * @count: Set to how many there are
 * @index: Index of the first one, the others follow, with IMS_TESTDEV_BATCH_AT. Not checked
 *	   by the driver. Zero otherwise.
 * @cookies: Pointer to an array of @max __u64, the cookies for the store in the
 *	     order of the interrupts, or 0 to pass none. For IMS_TD_KIND_MEM each
 *	     is what struct ims_testdev_alloc says.
 * @maps: Pointer to an array of @max struct ims_testdev_map to fill in, or 0
 */
struct ims_testdev_batch {
	__u32	store;
	__u32	min;
	__u32	max;
	__u32	flags;
	__u32	pre;
	__u32	post;
	__u32	count;
	__u32	index;
	__u64	cookies;
	__u64	maps;
};

/* Have the kernel spread the affinity, and manage it unless the store is CMD */
#define IMS_TESTDEV_BATCH_SPREAD	0x1
/* At given indices */
#define IMS_TESTDEV_BATCH_AT		0x2

/**
 * struct ims_testdev_batch_free - Interrupts of a store to free at once
 * @kind: IMS_TD_KIND_* of the store
 * @count: How many
 * @flags: Zero
 * @reserved: Zero
 * @slots: Pointer to an array of @count __u32, their slots in any order
 *
 * Each must have an interrupt (ENOENT) with no handler (EBUSY), and be there once
 * and in the same store as the others (EINVAL).
 */
struct ims_testdev_batch_free {
	__u32	kind;
	__u32	count;
	__u32	flags;
	__u32	reserved;
	__u64	slots;
};

/**
 * struct ims_testdev_cookie - A new cookie for an interrupt of a store
 * @kind: IMS_TD_KIND_* of the store
 * @slot: The slot, which must have an interrupt (ENOENT) in a store (EINVAL)
 * @flags: IMS_TESTDEV_COOKIE_*
 * @reserved: Zero
 * @cookie: The cookie. Zero with IMS_TESTDEV_COOKIE_NONE
 */
struct ims_testdev_cookie {
	__u32	kind;
	__u32	slot;
	__u32	flags;
	__u32	reserved;
	__u64	cookie;
};

/* Pass no cookie at all */
#define IMS_TESTDEV_COOKIE_NONE		0x1
/* The device takes each message that it then sends with another PASID for a breach */
#define IMS_TESTDEV_COOKIE_EXPECT	0x2

/**
 * struct ims_testdev_affinity - What CPUs an interrupt is for
 * @store: Store id
 * @index: Index in the store
 * @flags: Set to IMS_TESTDEV_AFFINITY_*
 * @reserved: Zero
 * @cpus: Set to the first 64 CPUs, bit n for CPU n
 */
struct ims_testdev_affinity {
	__u32	store;
	__u32	index;
	__u32	flags;
	__u32	reserved;
	__u64	cpus;
};

/* It was allocated with an affinity */
#define IMS_TESTDEV_AFFINITY_SET	0x1

/**
 * struct ims_testdev_range - Slots of a kind that a call is about
 * @kind: IMS_TD_KIND_*
 * @first: First slot
 * @count: How many. Each one must have an interrupt.
 * @flags: IMS_TESTDEV_REQUEST_* for REQUEST, otherwise zero
 *
 * FREE wants slots that have no handler (EBUSY) and are allocated in a store or
 * for MSI-X (EINVAL), which must be able to do that (EOPNOTSUPP). REQUEST wants
 * ones that have none (EBUSY), RELEASE, MASK and UNMASK ones that have
 * (ENOENT). MASK wants slots that are not masked (EBUSY), and UNMASK the
 * reverse (EINVAL): masking does not nest. RESTORE has the core write slots of a store
 * again, and wants such ones (EINVAL).
 */
struct ims_testdev_range {
	__u32	kind;
	__u32	first;
	__u32	count;
	__u32	flags;
};

/*
 * MASK reaches the device at once. Without this it does only when the
 * interrupt comes in, see "Delayed interrupt disable" in genericirq.rst.
 */
#define IMS_TESTDEV_REQUEST_UNLAZY	0x1
/* The handler that counts runs in a thread */
#define IMS_TESTDEV_REQUEST_THREADED	0x2
/* With IRQF_ONESHOT. Needs IMS_TESTDEV_REQUEST_THREADED. */
#define IMS_TESTDEV_REQUEST_ONESHOT	0x4
/* With IRQF_NO_AUTOEN: The slot is masked until it is unmasked for the first time */
#define IMS_TESTDEV_REQUEST_NO_AUTOEN	0x8

/**
 * struct ims_testdev_fire - Slots to fire
 * @kind: IMS_TD_KIND_*
 * @first: First slot, zero for IMS_TD_FIRE_ALL
 * @count: How many, used by IMS_TD_FIRE_RANGE and zero otherwise
 * @cmd: IMS_TD_FIRE_ONE, _RANGE or _ALL, or IMS_TESTDEV_FIRE_DOORBELL
 * @flags: IMS_TESTDEV_FIRE_*
 * @reserved: Zero
 *
 * Each slot named must have a handler (ENOENT) and is expected to run it once
 * more. For IMS_TD_FIRE_ALL that goes for the slots that have one.
 */
struct ims_testdev_fire {
	__u32	kind;
	__u32	first;
	__u32	count;
	__u32	cmd;
	__u32	flags;
	__u32	reserved;
};

/* As @cmd: ring the kind's doorbell register */
#define IMS_TESTDEV_FIRE_DOORBELL	0x100

/*
 * Expect nothing and check nothing: what arrives is spurious, and the device
 * gets kind and slots as they are.
 */
#define IMS_TESTDEV_FIRE_UNEXPECTED	0x1

/**
 * struct ims_testdev_count - What a slot's handler has seen since the request
 * @virq: Linux interrupt number, zero if nothing is allocated
 * @state: IMS_TESTDEV_SLOT_*
 * @expected: How often the handler should have run
 * @received: How often it has
 * @spurious: How often it had run as often as expected before
 * @reserved: Zero
 *
 * The counts survive the release, until the slot is requested again or freed.
 */
struct ims_testdev_count {
	__u32	virq;
	__u32	state;
	__u32	expected;
	__u32	received;
	__u32	spurious;
	__u32	reserved;
};

#define IMS_TESTDEV_SLOT_ALLOCATED	0x1
#define IMS_TESTDEV_SLOT_REQUESTED	0x2
#define IMS_TESTDEV_SLOT_MASKED		0x4

/**
 * struct ims_testdev_counts - Counts of a range of slots
 * @kind: IMS_TD_KIND_*
 * @first: First slot
 * @count: How many. They need not be allocated.
 * @flags: Zero
 * @slots: Pointer to an array of @count struct ims_testdev_count, or 0
 * @allocated: Slots in the range that have an interrupt
 * @requested: Slots in the range that have a handler
 * @expected: Sum over the range
 * @received: Sum over the range
 * @spurious: Sum over the range
 * @lost: Sum over the range of what a slot expected and did not receive. What
 *	  is on its way counts as lost until it arrives.
 */
struct ims_testdev_counts {
	__u32	kind;
	__u32	first;
	__u32	count;
	__u32	flags;
	__u64	slots;
	__u32	allocated;
	__u32	requested;
	__u64	expected;
	__u64	received;
	__u64	spurious;
	__u64	lost;
};

/**
 * struct ims_testdev_stats - What device and driver counted for a kind
 * @kind: IMS_TD_KIND_*
 * @flags: Zero
 * @slots: Register KIND_SLOTS; the others are likewise the registers KIND_*
 * @fired: KIND_FIRED
 * @sent: KIND_SENT
 * @held: KIND_HELD
 * @merged: KIND_MERGED
 * @pending: KIND_PENDING
 * @expected: Sum of what struct ims_testdev_count has over all slots, also over
 *	      those that were freed since the last RESET
 * @received: Likewise
 * @spurious: Likewise
 * @lost: Likewise, see struct ims_testdev_counts
 * @forgotten: How many slots with a handler were pending when the device was
 *	       made to forget them. Each one was taken off @expected.
 * @trips: For CMD: how often a command had to wait for another one before it was submitted
 *	   that had to wait as well, and so on: what the device is waited for. Zero for all
 *	   other kinds
 */
struct ims_testdev_stats {
	__u32	kind;
	__u32	flags;
	__u32	slots;
	__u32	fired;
	__u32	sent;
	__u32	held;
	__u32	merged;
	__u32	pending;
	__u64	expected;
	__u64	received;
	__u64	spurious;
	__u64	lost;
	__u64	forgotten;
	__u64	trips;
};

/**
 * struct ims_testdev_slot - What the device has for a slot
 * @state: Register SLOT_STATE, IMS_TD_SLOT_*
 * @fired: SLOT_FIRED
 * @sent: SLOT_SENT
 * @addr_lo: The message as it is in the table, of IMS_TD_KIND_TABLE and
 *	     IMS_TD_KIND_WIDE, or in memory, of IMS_TD_KIND_MEM. Zero for all
 *	     other kinds
 * @addr_hi: Likewise
 * @data: Likewise
 * @ctrl: The control word. Likewise, and of IMS_TD_KIND_CMD as the device says
 * @virq: What pci_irq_vector() says for a kind of vectors that are enabled, zero
 *	  if it says that there is none and for all other kinds
 */
struct ims_testdev_slot {
	__u32	state;
	__u32	fired;
	__u32	sent;
	__u32	addr_lo;
	__u32	addr_hi;
	__u32	data;
	__u32	ctrl;
	__u32	virq;
};

/**
 * struct ims_testdev_slots - Slots to look at
 * @kind: IMS_TD_KIND_*
 * @first: First slot
 * @count: How many
 * @flags: Zero
 * @slots: Pointer to an array of @count struct ims_testdev_slot to fill in
 */
struct ims_testdev_slots {
	__u32	kind;
	__u32	first;
	__u32	count;
	__u32	flags;
	__u64	slots;
};

/**
 * struct ims_testdev_breach - An entry of the breach log
 * @code: IMS_TD_BREACH_*
 * @kind: IMS_TD_KIND_*, or IMS_TD_BREACH_KIND_REGS
 * @where: Slot, or register offset
 * @value: What was written, or the width
 */
struct ims_testdev_breach {
	__u32	code;
	__u32	kind;
	__u32	where;
	__u32	value;
};

/**
 * struct ims_testdev_breaches - The breach log
 * @flags: IMS_TESTDEV_BREACHES_*
 * @count: All breaches
 * @logged: How many members of @log have a meaning
 * @reserved: Zero
 * @by_code: How many of each code
 * @log: The first ones
 */
struct ims_testdev_breaches {
	__u32	flags;
	__u32	count;
	__u32	logged;
	__u32	reserved;
	__u32	by_code[IMS_TESTDEV_MAX_CODES];
	struct ims_testdev_breach log[IMS_TD_BREACH_ENTRIES];
};

/* Empty the log after reading it */
#define IMS_TESTDEV_BREACHES_CLEAR	0x1

/**
 * struct ims_testdev_raw - Dangerous: an access to the device as it is
 * @bar: IMS_TD_BAR_REGS, IMS_TD_BAR_TABLE or IMS_TD_BAR_WIDE
 * @offset: Offset in the BAR, a multiple of @width
 * @width: 1, 2, 4 or 8 bytes
 * @flags: IMS_TESTDEV_RAW_*
 * @value: What to write, or what was read
 *
 * Can be done while the device is away: what then reads as all ones is a breach.
 */
struct ims_testdev_raw {
	__u32	bar;
	__u32	offset;
	__u32	width;
	__u32	flags;
	__u64	value;
};

#define IMS_TESTDEV_RAW_WRITE		0x1

/**
 * struct ims_testdev_forget - Dangerous: what unbind is to leave undone
 * @how: IMS_TESTDEV_FORGET_*
 * @reserved: Zero
 *
 * Closing the file before unbind takes everything down nevertheless.
 */
struct ims_testdev_forget {
	__u32	how;
	__u32	reserved;
};

/* Leave handlers, interrupts, vectors and stores to the core */
#define IMS_TESTDEV_FORGET_ALL		1
/* Take them down late, in a device managed action that is added now: the last call */
#define IMS_TESTDEV_FORGET_UNTIL_DEVRES	2

#define IMS_TESTDEV_IOC			0xBE

#define IMS_TESTDEV_INFO		_IOR(IMS_TESTDEV_IOC, 0x00, struct ims_testdev_info)
#define IMS_TESTDEV_STORE_CREATE	_IOWR(IMS_TESTDEV_IOC, 0x01, struct ims_testdev_store)
#define IMS_TESTDEV_STORE_REMOVE	_IOW(IMS_TESTDEV_IOC, 0x02, struct ims_testdev_store)
#define IMS_TESTDEV_VECTORS_ENABLE	_IOWR(IMS_TESTDEV_IOC, 0x03, struct ims_testdev_vectors)
#define IMS_TESTDEV_VECTORS_DISABLE	_IOW(IMS_TESTDEV_IOC, 0x04, struct ims_testdev_vectors)
#define IMS_TESTDEV_ALLOC		_IOW(IMS_TESTDEV_IOC, 0x05, struct ims_testdev_alloc)
#define IMS_TESTDEV_FREE		_IOW(IMS_TESTDEV_IOC, 0x06, struct ims_testdev_range)
#define IMS_TESTDEV_REQUEST		_IOW(IMS_TESTDEV_IOC, 0x07, struct ims_testdev_range)
#define IMS_TESTDEV_RELEASE		_IOW(IMS_TESTDEV_IOC, 0x08, struct ims_testdev_range)
#define IMS_TESTDEV_MASK		_IOW(IMS_TESTDEV_IOC, 0x09, struct ims_testdev_range)
#define IMS_TESTDEV_UNMASK		_IOW(IMS_TESTDEV_IOC, 0x0a, struct ims_testdev_range)
#define IMS_TESTDEV_FIRE		_IOW(IMS_TESTDEV_IOC, 0x0b, struct ims_testdev_fire)
#define IMS_TESTDEV_COUNTS		_IOWR(IMS_TESTDEV_IOC, 0x0c, struct ims_testdev_counts)
#define IMS_TESTDEV_STATS		_IOWR(IMS_TESTDEV_IOC, 0x0d, struct ims_testdev_stats)
#define IMS_TESTDEV_SLOTS		_IOW(IMS_TESTDEV_IOC, 0x0e, struct ims_testdev_slots)
#define IMS_TESTDEV_BREACHES		_IOWR(IMS_TESTDEV_IOC, 0x0f, struct ims_testdev_breaches)
#define IMS_TESTDEV_RAW			_IOWR(IMS_TESTDEV_IOC, 0x10, struct ims_testdev_raw)

/*
 * No argument. The device forgets everything, and so do the driver's sums in
 * struct ims_testdev_stats. EBUSY if a store or an interrupt is set up.
 */
#define IMS_TESTDEV_RESET		_IO(IMS_TESTDEV_IOC, 0x11)

#define IMS_TESTDEV_FORGET		_IOW(IMS_TESTDEV_IOC, 0x12, struct ims_testdev_forget)
#define IMS_TESTDEV_ALLOC_BATCH		_IOWR(IMS_TESTDEV_IOC, 0x13, struct ims_testdev_batch)
#define IMS_TESTDEV_FREE_BATCH		_IOW(IMS_TESTDEV_IOC, 0x14, struct ims_testdev_batch_free)

/*
 * No argument. SUSPEND sends the device away, to D3hot: EBUSY if it is there.
 * RESUME fetches it, and everything is as before: EINVAL if it is not away. It has
 * done so even if it passes on an error of a store, which the core then retries.
 * The system can't be suspended in between: EBUSY. RUNTIME_SUSPEND has runtime power
 * management of the PCI core send it there and fetch it: EBUSY if that does not.
 */
#define IMS_TESTDEV_SUSPEND		_IO(IMS_TESTDEV_IOC, 0x15)
#define IMS_TESTDEV_RESUME		_IO(IMS_TESTDEV_IOC, 0x16)
#define IMS_TESTDEV_RUNTIME_SUSPEND	_IO(IMS_TESTDEV_IOC, 0x17)

#define IMS_TESTDEV_SET_COOKIE		_IOW(IMS_TESTDEV_IOC, 0x18, struct ims_testdev_cookie)
#define IMS_TESTDEV_RESTORE		_IOW(IMS_TESTDEV_IOC, 0x19, struct ims_testdev_range)
#define IMS_TESTDEV_AFFINITY		_IOWR(IMS_TESTDEV_IOC, 0x1a, struct ims_testdev_affinity)

/*
 * What pci_ims_store_suspend() and pci_ims_store_resume() say about a store. They look at
 * the id alone, all the rest must be zero. A store that is suspended when the device comes
 * back is resumed, unless it is unattended.
 */
#define IMS_TESTDEV_STORE_SUSPEND	_IOW(IMS_TESTDEV_IOC, 0x1b, struct ims_testdev_store)
#define IMS_TESTDEV_STORE_RESUME	_IOW(IMS_TESTDEV_IOC, 0x1c, struct ims_testdev_store)

#endif /* IMS_TESTDEV_H */
