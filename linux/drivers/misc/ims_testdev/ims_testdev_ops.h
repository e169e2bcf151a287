/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Storage ops that a store of slots in the table of ims-testdev can have. The first
 * ones have nothing wrong with them, and each of the others breaks one rule.
 *
 * What they lead to is said in the words of ims_testdev.h, where STORE_CREATE
 * takes one of these numbers. The ops are in wrong_ops.c
 */
#ifndef IMS_TESTDEV_OPS_H
#define IMS_TESTDEV_OPS_H

/* Those of irq-ims-generic */
#define IMS_TESTDEV_OPS_GENERIC			0
/* Those of irq-ims-sample, the example in the documentation */
#define IMS_TESTDEV_OPS_SAMPLE			1
/* The ones that the wrong ones below differ from in one thing each */
#define IMS_TESTDEV_OPS_DIRECT			2
/* The same for a deferred store, which the core restores without the driver */
#define IMS_TESTDEV_OPS_DEFERRED		3

/*
 * Dangerous: Not to be had. STORE_CREATE gives EINVAL, or EPERM if the core lets
 * it pass, and the log says which rule is broken.
 */
#define IMS_TESTDEV_OPS_REFUSED			0x100
#define IMS_TESTDEV_OPS_NO_NAME			0x100
#define IMS_TESTDEV_OPS_NO_OPS			0x101
#define IMS_TESTDEV_OPS_NO_REQUIRES		0x102
/* Not the bus token of an IMS */
#define IMS_TESTDEV_OPS_NOT_IMS			0x103
/* Template, or storage ops, that are not where constants are */
#define IMS_TESTDEV_OPS_TEMPLATE_ON_HEAP	0x104
#define IMS_TESTDEV_OPS_OPS_ON_HEAP		0x105
/* The owner is not the module that has the ops */
#define IMS_TESTDEV_OPS_WRONG_OWNER		0x106
#define IMS_TESTDEV_OPS_NO_WRITE_MSG		0x107
#define IMS_TESTDEV_OPS_NO_MASK			0x108
#define IMS_TESTDEV_OPS_NO_UNMASK		0x109
/* No way at all to change a slot */
#define IMS_TESTDEV_OPS_EMPTY			0x10a
/* sync along with what a direct store has */
#define IMS_TESTDEV_OPS_SYNC_AND_WRITE_MSG	0x10b
#define IMS_TESTDEV_OPS_SYNC_AND_MASK		0x10c
#define IMS_TESTDEV_OPS_SYNC_AND_UNMASK		0x10d
#define IMS_TESTDEV_OPS_LOCK_ONLY		0x10e
#define IMS_TESTDEV_OPS_UNLOCK_ONLY		0x10f
/* MSI_STORAGE_NO_MASK: with mask and unmask, without them, and with sync */
#define IMS_TESTDEV_OPS_MASK_DENIED		0x110
#define IMS_TESTDEV_OPS_UNMASKABLE		0x111
#define IMS_TESTDEV_OPS_SYNC_UNMASKABLE		0x112
/* MSI_STORAGE_DRIVER_RESTORE without sync */
#define IMS_TESTDEV_OPS_RESTORE_DIRECT		0x113
#define IMS_TESTDEV_OPS_UNKNOWN_FLAG		0x114
/* The template can't handle more than one slot. The store has to have more. */
#define IMS_TESTDEV_OPS_TOO_LARGE		0x115
#define IMS_TESTDEV_OPS_REFUSED_END		0x116

/*
 * Dangerous: What a kernel with CONFIG_MSI_STORAGE_DEBUG reports each time the
 * callback named is invoked. It does its work nevertheless, and the kernel gets over
 * it. STORE_CREATE gives EOPNOTSUPP on a kernel that would not: one without that
 * option; for MASK, UNMASK and WRITE_MSG that sleep or change the interrupt state
 * one with lockdep, too. And one that has no preempt count to change.
 */
#define IMS_TESTDEV_OPS_REPORTED		0x200
#define IMS_TESTDEV_OPS_MASK_SLEEPS		0x200
#define IMS_TESTDEV_OPS_UNMASK_SLEEPS		0x201
#define IMS_TESTDEV_OPS_WRITE_MSG_SLEEPS	0x202
/* Return with interrupts enabled */
#define IMS_TESTDEV_OPS_MASK_IRQS		0x203
#define IMS_TESTDEV_OPS_UNMASK_IRQS		0x204
#define IMS_TESTDEV_OPS_WRITE_MSG_IRQS		0x205
/* Return with interrupts disabled */
#define IMS_TESTDEV_OPS_INIT_SLOT_IRQS		0x206
#define IMS_TESTDEV_OPS_FREE_SLOT_IRQS		0x207
#define IMS_TESTDEV_OPS_SYNC_IRQS		0x208
#define IMS_TESTDEV_OPS_LOCK_IRQS		0x209
#define IMS_TESTDEV_OPS_UNLOCK_IRQS		0x20a
/* Return with preemption disabled once more */
#define IMS_TESTDEV_OPS_MASK_PREEMPT		0x20b
#define IMS_TESTDEV_OPS_UNMASK_PREEMPT		0x20c
#define IMS_TESTDEV_OPS_WRITE_MSG_PREEMPT	0x20d
#define IMS_TESTDEV_OPS_INIT_SLOT_PREEMPT	0x20e
#define IMS_TESTDEV_OPS_FREE_SLOT_PREEMPT	0x20f
#define IMS_TESTDEV_OPS_SYNC_PREEMPT		0x210
#define IMS_TESTDEV_OPS_LOCK_PREEMPT		0x211
#define IMS_TESTDEV_OPS_UNLOCK_PREEMPT		0x212
/*
 * These can be had on every kernel, and the device has something to say, too.
 * A fresh slot stays unmasked. It has no message yet: IMS_TD_BREACH_NO_MSG if it
 * is fired, and the first message changes while it is masked again.
 */
#define IMS_TESTDEV_OPS_INIT_SLOT_UNMASKS	0x213
/* The slot sends while masked: IMS_TD_BREACH_MSG_UNMASKED when it is released */
#define IMS_TESTDEV_OPS_MASK_NOTHING		0x214
/* What is fired stays pending, and is lost */
#define IMS_TESTDEV_OPS_UNMASK_NOTHING		0x215
/* Without a handler, and when freed, the slot is unmasked and has no message */
#define IMS_TESTDEV_OPS_WRITE_MSG_UNMASKS	0x216
/* The same on a deferred store: masking, and unmasking */
#define IMS_TESTDEV_OPS_SYNC_MASKS_NOTHING	0x217
#define IMS_TESTDEV_OPS_SYNC_UNMASKS_NOTHING	0x218
#define IMS_TESTDEV_OPS_REPORTED_END		0x219

/*
 * Dangerous: What only the device can see. To be had on every kernel.
 */
#define IMS_TESTDEV_OPS_JUDGED			0x300
/*
 * A message is written when the slot has been unmasked, rather than before, and
 * stays there: IMS_TD_BREACH_MSG_UNMASKED when the interrupt is requested for the
 * first time. What is fired arrives.
 */
#define IMS_TESTDEV_OPS_MSG_LATE		0x300
/* The same on a deferred store */
#define IMS_TESTDEV_OPS_SYNC_MSG_LATE		0x301
/*
 * All slots of the store get the message of the first one that has got one: what
 * another slot sends is lost for that one, and spurious for the first one.
 */
#define IMS_TESTDEV_OPS_MSG_OF_FIRST		0x302
/* No message is written: IMS_TD_BREACH_NO_MSG when the slot is fired, and lost */
#define IMS_TESTDEV_OPS_MSG_FORGOTTEN		0x303
/* The same, as it is written 16 bits at a time: IMS_TD_BREACH_WIDTH beforehand */
#define IMS_TESTDEV_OPS_MSG_IN_HALVES		0x304
/* The neighbour, with the lowest bit inverted, is used: what is fired is lost */
#define IMS_TESTDEV_OPS_WRONG_SLOT		0x305
#define IMS_TESTDEV_OPS_JUDGED_END		0x306

#endif /* IMS_TESTDEV_OPS_H */
