/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Registers of ims-platform, a virtual device that is no PCI device, keeps interrupt
 * messages, and judges how they are handled
 *
 * docs/specs/ims-platform.rst in the device model's tree is the specification. Its words,
 * the layout of a slot and the codes of breaches are those of ims-testdev.
 */
#ifndef IMS_PLATFORM_REGS_H
#define IMS_PLATFORM_REGS_H

#include "ims_testdev_regs.h"

#define IMS_PLAT_SIZE			0x1000

/*
 * The first slots have no mask bit. No power of two of either, so that the tables of the
 * interrupt controller have room left.
 */
#define IMS_PLAT_NR_PLAIN		5
#define IMS_PLAT_NR_MASKABLE		3
#define IMS_PLAT_NR_SLOTS		(IMS_PLAT_NR_PLAIN + IMS_PLAT_NR_MASKABLE)

/* All are 32 bits wide, little endian, and are accessed in one naturally aligned piece */

/* Identification, read only */
#define IMS_PLAT_REG_ID			0x000
#define   IMS_PLAT_ID			0x50534d49	/* "IMSP" */
#define IMS_PLAT_REG_VERSION		0x004
#define   IMS_PLAT_VERSION		0x00010000	/* major << 16 | minor */

/* Write 1: empty all slots, mask those that can be, clear counters */
#define IMS_PLAT_REG_RESET		0x00c

/* Write the number of a slot: fire it */
#define IMS_PLAT_REG_FIRE		0x010

/* Read only, as IMS_TD_REG_KIND_FIRED and those after it, of all slots */
#define IMS_PLAT_REG_FIRED		0x020
#define IMS_PLAT_REG_SENT		0x024
#define IMS_PLAT_REG_HELD		0x028
#define IMS_PLAT_REG_MERGED		0x02c
#define IMS_PLAT_NR_COUNTS		4
#define IMS_PLAT_REG_PENDING		0x030		/* slots pending now */
#define IMS_PLAT_REG_SLOT_SENT(n)	(0x040 + 4 * (n))

/* Breaches: all, and those with a code */
#define IMS_PLAT_REG_BREACH_COUNT	0x100
#define IMS_PLAT_REG_BREACH_BY_CODE(code)	(0x140 + 4 * (code))

/* The slots, in the layout of ims-testdev's slot table. Writing 1 to PENDING clears it */
#define IMS_PLAT_SLOT(n)		(0x800 + IMS_TD_SLOT_SIZE * (n))

#endif /* IMS_PLATFORM_REGS_H */
