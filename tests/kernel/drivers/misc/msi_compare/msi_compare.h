/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interface of msi_compare, for tests/compare/msi_compare.c and nothing else.
 * Dangerous: it lends the PCI interrupt calls to whoever opens the device.
 *
 *   CALL     one call of the PCI interrupt API, and the device's state after it
 *   VECTORS  what the API says of vectors that are enabled
 *   SLOTS    request, fire, mask and free single interrupts
 */
#ifndef MSI_COMPARE_H
#define MSI_COMPARE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* /dev/msi_compare-0000:00:03.0 */
#define MSI_COMPARE_NAME	"msi_compare"

enum {
	MSI_COMPARE_ALLOC,		/* pci_alloc_irq_vectors() */
	MSI_COMPARE_ALLOC_AFFINITY,	/* pci_alloc_irq_vectors_affinity() */
	MSI_COMPARE_FREE_VECTORS,
	MSI_COMPARE_ENABLE_MSI,
	MSI_COMPARE_DISABLE_MSI,
	MSI_COMPARE_ENABLE_MSIX_RANGE,
	MSI_COMPARE_ENABLE_MSIX_EXACT,	/* as many as @max says */
	MSI_COMPARE_DISABLE_MSIX,
	MSI_COMPARE_MSI_COUNT,
	MSI_COMPARE_MSIX_COUNT,
	MSI_COMPARE_VECTOR,		/* pci_irq_vector(@min) */
	MSI_COMPARE_SAVE,		/* pci_save_state() */
	MSI_COMPARE_RESTORE,		/* pci_restore_state() */
	MSI_COMPARE_LOSE,		/* the device forgets its messages, as in D3cold */
	MSI_COMPARE_BREACHES,		/* breaches since the last time; code in @min */
	MSI_COMPARE_RESET,		/* of the device's own state */
	MSI_COMPARE_IMS,		/* @max interrupts in a slot table: how many worked */
};

#define MSI_COMPARE_NO_AFFINITY	0xffffffffU

struct msi_compare_entry {
	__u32	entry;
	__u32	vector;
};

/**
 * struct msi_compare_call - a call
 * @op: MSI_COMPARE_*
 * @min: minimum of vectors
 * @max: maximum of vectors
 * @flags: PCI_IRQ_*
 * @affd: hand in a struct irq_affinity
 * @pre: its pre_vectors
 * @post: its post_vectors
 * @nr_sets: its sets, of about the same size; 0 leaves them to the core
 * @nr_entries: size of the array at @entries
 * @ret: what was returned
 * @entries: pointer to struct msi_compare_entry, or 0 for a NULL pointer
 * @msi: the device's msi_enabled
 * @msix: its msix_enabled
 * @irq: its irq
 * @reserved: not used
 */
struct msi_compare_call {
	__u32	op;
	__u32	min;
	__u32	max;
	__u32	flags;
	__u32	affd;
	__u32	pre;
	__u32	post;
	__u32	nr_sets;
	__u32	nr_entries;
	__s32	ret;
	__u64	entries;
	__u32	msi;
	__u32	msix;
	__u32	irq;
	__u32	reserved;
};

/**
 * struct msi_compare_vector - a vector that is enabled
 * @irq: pci_irq_vector()
 * @managed: irqd_affinity_is_managed()
 * @hint: pci_irq_get_affinity(), its first 64 CPUs; 0 for NULL
 */
struct msi_compare_vector {
	__s32	irq;
	__u32	managed;
	__u64	hint;
};

struct msi_compare_vectors {
	__u32	count;
	__u32	reserved;
	__u64	indices;	/* pointer to __u32 */
	__u64	vectors;	/* pointer to struct msi_compare_vector */
};

enum {
	MSI_COMPARE_REQUEST,
	MSI_COMPARE_FIRE,
	MSI_COMPARE_DISABLE_IRQ,
	MSI_COMPARE_ENABLE_IRQ,
	MSI_COMPARE_FREE,
};

/**
 * struct msi_compare_slot - an interrupt
 * @slot: the device's number of it
 * @irq: Linux's, for MSI_COMPARE_REQUEST
 * @ret: set to an errno
 * @received: set to how often the handler ran since the request
 * @sent: set to how many messages the device has sent for it
 * @cpu: set to the CPU on which the handler ran last
 */
struct msi_compare_slot {
	__u32	slot;
	__u32	irq;
	__s32	ret;
	__u32	received;
	__u32	sent;
	__u32	cpu;
};

struct msi_compare_slots {
	__u32	op;
	__u32	kind;
	__u32	count;
	__u32	wait;		/* how long FIRE and ENABLE_IRQ wait for an
				 * interrupt at most, in ms
				 */
	__u64	slots;
};

#define MSI_COMPARE_CALL	_IOWR(0xBF, 0, struct msi_compare_call)
#define MSI_COMPARE_VECTORS	_IOWR(0xBF, 1, struct msi_compare_vectors)
#define MSI_COMPARE_SLOTS	_IOWR(0xBF, 2, struct msi_compare_slots)

#endif
