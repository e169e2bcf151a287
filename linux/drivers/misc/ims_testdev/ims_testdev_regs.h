/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Registers of ims-testdev, a virtual PCI device that stores interrupt
 * messages in every way a PCI device can, and judges how they are handled.
 *
 * Words used here:
 *
 *   kind	where the device keeps a message: MSI, MSI-X or one of its stores
 *   slot	the place of one message of a kind
 *   fire	ask a slot to send its message; a masked slot stays pending instead
 *   breach	a rule that software has broken; the device records each one
 *
 * docs/specs/ims-testdev.rst in the device model's tree is the specification.
 * This file is the one definition of the numbers in it, for the device model,
 * the driver and the tests.
 */
#ifndef IMS_TESTDEV_REGS_H
#define IMS_TESTDEV_REGS_H

#define IMS_TD_PCI_VENDOR		0x1234
#define IMS_TD_PCI_DEVICE		0x11e9

/* BARs. BAR 4 holds the MSI-X table and pending bits as PCIe 7.7.2 has them. */
#define IMS_TD_BAR_REGS			0
#define IMS_TD_BAR_TABLE		2
#define IMS_TD_BAR_WIDE			3		/* if the kind is present */
#define IMS_TD_BAR_MSIX			4

#define IMS_TD_REGS_SIZE		0x1000

/* Where a message is kept: values of the FIRE_KIND and SEL_KIND registers */
#define IMS_TD_KIND_MSI			0
#define IMS_TD_KIND_MSIX		1
#define IMS_TD_KIND_TABLE		2		/* slot table in a BAR */
#define IMS_TD_KIND_WIDE		3		/* the same, in another layout */
#define IMS_TD_KIND_MEM			4		/* in memory, read by DMA */
#define IMS_TD_KIND_CMD			5		/* inside, changed by commands */
#define IMS_TD_KIND_COPY		6		/* made from one that was copied */
#define IMS_TD_NR_KINDS			7

/*
 * BAR 0: control registers. All are 32 bits wide, little endian, and are
 * accessed in one naturally aligned piece.
 */

/* Identification, read only */
#define IMS_TD_REG_ID			0x000
#define   IMS_TD_ID			0x44534d49	/* "IMSD" */
#define IMS_TD_REG_VERSION		0x004
#define   IMS_TD_VERSION		0x00010004	/* major << 16 | minor */
#define IMS_TD_REG_KINDS		0x008		/* bit n: kind n is present */

/* Write 1: reset every store and its registers, clear counters and log */
#define IMS_TD_REG_RESET		0x00c

/*
 * Fire: set kind, first and count, then write a command to FIRE. It reads as the
 * number of slots left, and ignores commands until that is zero.
 */
#define IMS_TD_REG_FIRE_KIND		0x020
#define IMS_TD_REG_FIRE_FIRST		0x024
#define IMS_TD_REG_FIRE_COUNT		0x028
#define IMS_TD_REG_FIRE			0x02c
#define   IMS_TD_FIRE_ONE		1		/* FIRE_FIRST alone */
#define   IMS_TD_FIRE_RANGE		2		/* FIRE_COUNT slots from FIRE_FIRST */
#define   IMS_TD_FIRE_ALL		3		/* every slot of the kind */
#define   IMS_TD_FIRE_ONCE		2048		/* as many leave nothing */

/* Doorbells: writing a slot number fires that slot of one kind */
#define IMS_TD_REG_FIRE_DB(kind)	(0x040 + 4 * (kind))

/* Selectors for the two blocks of read only registers below */
#define IMS_TD_REG_SEL_KIND		0x080
#define IMS_TD_REG_SEL_SLOT		0x084

/* Of the selected kind */
#define IMS_TD_REG_KIND_SLOTS		0x090		/* slots that it has */
#define IMS_TD_REG_KIND_FIRED		0x094		/* fires that named a slot in range */
#define IMS_TD_REG_KIND_SENT		0x098		/* messages written to the bus */
#define IMS_TD_REG_KIND_HELD		0x09c		/* fires that found the slot masked */
#define IMS_TD_REG_KIND_MERGED		0x0a0		/* of these, found it pending already */
#define IMS_TD_REG_KIND_PENDING		0x0a4		/* slots pending now */

/* Of the selected slot of the selected kind */
#define IMS_TD_REG_SLOT_FIRED		0x0b0
#define IMS_TD_REG_SLOT_SENT		0x0b4
#define IMS_TD_REG_SLOT_STATE		0x0b8
#define   IMS_TD_SLOT_MASKED		0x1U
#define   IMS_TD_SLOT_PENDING		0x2U
#define   IMS_TD_SLOT_HAS_MSG		0x4U
#define IMS_TD_REG_SLOT_PASID		0x0bc		/* of the last message sent */
#define   IMS_TD_PASID_EN		0x80000000U	/* there is a PASID */
#define   IMS_TD_PASID			0x000fffffU	/* this one */
#define IMS_TD_REG_SLOT_EXPECT		0x0c0		/* what it has to be, writable */
#define   IMS_TD_PASID_CHECK		0x40000000U	/* anything else is a breach */

/* What a write of IMS_TD_SLOT_CTRL_PENDING in the slot table does */
#define IMS_TD_REG_TABLE_MODE		0x0d0
#define   IMS_TD_TABLE_RO		0		/* nothing */
#define   IMS_TD_TABLE_W1C		1		/* 1 clears it */
#define   IMS_TD_TABLE_RW		2		/* it becomes what is written */

/*
 * The breach log. BREACH_COUNT counts all; the first IMS_TD_BREACH_ENTRIES of
 * them are kept and are read by setting BREACH_SEL.
 */
#define IMS_TD_REG_BREACH_COUNT		0x100		/* saturates */
#define IMS_TD_REG_BREACH_LOGGED	0x104		/* entries in the log */
#define IMS_TD_REG_BREACH_SEL		0x108
#define IMS_TD_REG_BREACH_CODE		0x10c
#define IMS_TD_REG_BREACH_KIND		0x110
#define IMS_TD_REG_BREACH_WHERE		0x114		/* slot number, or register offset */
#define IMS_TD_REG_BREACH_VALUE		0x118		/* what was written, or the width */
#define IMS_TD_REG_BREACH_CLEAR		0x11c		/* write 1: empty the log */
#define IMS_TD_BREACH_ENTRIES		64

/* A count for each code, whether or not the log had room for it */
#define IMS_TD_REG_BREACH_BY_CODE(code)	(0x140 + 4 * (code))

/*
 * Slots in memory: an array of MEM_COUNT slots in the layout of BAR 2, at bus
 * address MEM_BASE. Writing one of the first three forgets all slots.
 */
#define IMS_TD_REG_MEM_BASE_LO		0x180
#define IMS_TD_REG_MEM_BASE_HI		0x184
#define IMS_TD_REG_MEM_COUNT		0x188		/* not more than KIND_SLOTS */
#define IMS_TD_REG_MEM_NOTIFY		0x18c		/* write: slot that has changed */

/*
 * The command ring: CMD_ENTRIES commands at bus address CMD_BASE, carried out
 * one at a time and in order, up to CMD_TAIL.
 */
#define IMS_TD_REG_CMD_BASE_LO		0x1a0
#define IMS_TD_REG_CMD_BASE_HI		0x1a4
#define IMS_TD_REG_CMD_ENTRIES		0x1a8		/* a power of two */
#define   IMS_TD_CMD_ENTRIES_MIN	2
#define   IMS_TD_CMD_ENTRIES_MAX	4096
#define IMS_TD_REG_CMD_CTRL		0x1ac
#define   IMS_TD_CMD_CTRL_RUN		0x1U	/* starts at HEAD = TAIL = 0 */
#define IMS_TD_REG_CMD_TAIL		0x1b0		/* after the last one written */
#define IMS_TD_REG_CMD_HEAD		0x1b4		/* after the last one completed */
#define IMS_TD_REG_CMD_LATENCY		0x1b8		/* of each, in ns */
#define IMS_TD_REG_CMD_FAIL		0x1bc		/* so many of the next fail */
#define IMS_TD_REG_CMD_HANG		0x1c0		/* so many of the next hang */
#define IMS_TD_REG_CMD_DONE		0x1c4		/* completed with status OK */
#define IMS_TD_REG_CMD_PEEK		0x1c8		/* control word of SEL_SLOT */

/*
 * The copied message: what the slots of its kind send is made from. Slot n sends
 * COPY_DATA + n to COPY_ADDR, as these were when COPY_VALID was written.
 */
#define IMS_TD_REG_COPY_ADDR_LO		0x1e0
#define IMS_TD_REG_COPY_ADDR_HI		0x1e4
#define IMS_TD_REG_COPY_DATA		0x1e8
#define IMS_TD_REG_COPY_VALID		0x1ec		/* 1: take all three, 0: drop them */
#define IMS_TD_COPY_SLOTS		32

/* Values of BREACH_CODE */
#define IMS_TD_BREACH_NONE		0
#define IMS_TD_BREACH_MSG_UNMASKED	1	/* message changed while unmasked */
#define IMS_TD_BREACH_NO_MSG		2	/* an unmasked slot fired with no message */
#define IMS_TD_BREACH_WIDTH		3	/* access of the wrong width or alignment */
#define IMS_TD_BREACH_RANGE		4	/* kind or slot out of range */
#define IMS_TD_BREACH_BUS		5	/* the bus refused a message */
#define IMS_TD_BREACH_REG		6	/* no such register or command, or not now */
#define IMS_TD_BREACH_DMA		7	/* memory of slots or commands out of reach */
#define IMS_TD_BREACH_POWER		8	/* access while the device is in D3hot */
#define IMS_TD_BREACH_PASID		9	/* message with another PASID than expected */
#define IMS_TD_NR_BREACHES		10

/* BREACH_KIND of a breach that concerns the control registers, not a slot */
#define IMS_TD_BREACH_KIND_REGS		0xff

/* BAR 2: the slot table, an array of these */
#define IMS_TD_SLOT_SIZE		16
#define IMS_TD_SLOT_ADDR_LO		0x0
#define IMS_TD_SLOT_ADDR_HI		0x4
#define IMS_TD_SLOT_DATA		0x8
#define IMS_TD_SLOT_CTRL		0xc
#define   IMS_TD_SLOT_CTRL_MASK		0x1U	/* 1 after reset */
#define   IMS_TD_SLOT_CTRL_PENDING	0x2U	/* see IMS_TD_REG_TABLE_MODE */
#define   IMS_TD_SLOT_CTRL_PASID_EN	0x8U
#define   IMS_TD_SLOT_CTRL_PASID	0xfffff000U
#define   IMS_TD_SLOT_CTRL_WRITABLE	(IMS_TD_SLOT_CTRL_MASK |	\
					 IMS_TD_SLOT_CTRL_PASID_EN |	\
					 IMS_TD_SLOT_CTRL_PASID)

/* BAR 3: the wide slot table, an array of these */
#define IMS_TD_WIDE_SIZE		32
#define IMS_TD_WIDE_CTRL		0x00
#define   IMS_TD_WIDE_CTRL_ENABLE	0x80000000U	/* 0, masked, after reset */
#define   IMS_TD_WIDE_CTRL_PENDING	0x40000000U	/* read only */
#define   IMS_TD_WIDE_CTRL_PASID_EN	0x10000000U
#define   IMS_TD_WIDE_CTRL_PASID	0x0fffff00U
#define   IMS_TD_WIDE_CTRL_WRITABLE	(IMS_TD_WIDE_CTRL_ENABLE |	\
					 IMS_TD_WIDE_CTRL_PASID_EN |	\
					 IMS_TD_WIDE_CTRL_PASID)
#define IMS_TD_WIDE_DATA		0x08		/* also makes ADDR take effect */
#define IMS_TD_WIDE_ADDR		0x10		/* 64 bits, in one piece */

/* A command in the ring: words of 32 bits, little endian */
#define IMS_TD_CMD_SIZE			32
#define IMS_TD_CMD_OPCODE		0x00
#define   IMS_TD_CMD_OP_MSG		1		/* set address and data */
#define   IMS_TD_CMD_OP_CTRL		2		/* set the control word */
#define   IMS_TD_CMD_OP_SET		3		/* set both */
#define IMS_TD_CMD_SLOT			0x04
#define IMS_TD_CMD_ADDR_LO		0x08
#define IMS_TD_CMD_ADDR_HI		0x0c
#define IMS_TD_CMD_DATA			0x10
#define IMS_TD_CMD_CTRL_WORD		0x14		/* bits of IMS_TD_SLOT_CTRL */
#define IMS_TD_CMD_STATUS		0x18		/* written by the device */
#define   IMS_TD_CMD_OK			1
#define   IMS_TD_CMD_FAILED		2		/* not carried out */
#define   IMS_TD_CMD_BAD		3		/* no such opcode or slot */

#endif /* IMS_TESTDEV_REGS_H */
