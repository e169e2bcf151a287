/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Registers of ims-ntb, a virtual PCI device that is one end of a non-transparent
 * bridge. Two of them make a link.
 *
 * Words used here:
 *
 *   port	one end of the bridge: one instance of the device
 *   peer	the port at the other end
 *   window	a BAR; what is written to a port's window leaves the peer as a
 *		bus master, at an address that the peer translates it to
 *
 * docs/specs/ims-ntb.rst in the device model's tree is the specification. This file
 * is the one definition of the numbers in it, for the device model and the driver.
 */
#ifndef IMS_NTB_REGS_H
#define IMS_NTB_REGS_H

#define IMS_NTB_PCI_VENDOR		0x1234
#define IMS_NTB_PCI_DEVICE		0x11ea

/* BARs. BAR 1 holds the MSI-X table and pending bits as PCIe 7.7.2 has them. */
#define IMS_NTB_BAR_REGS		0
#define IMS_NTB_BAR_MSIX		1
#define IMS_NTB_BAR_WINDOW(n)		(2 + (n))

#define IMS_NTB_REGS_SIZE		0x1000

#define IMS_NTB_NR_WINDOWS		2
#define IMS_NTB_NR_SPADS		16
#define IMS_NTB_NR_DOORBELLS		32

/*
 * BAR 0: control registers. All are 32 bits wide, little endian, and are
 * accessed in one naturally aligned piece.
 */

/* Identification, read only */
#define IMS_NTB_REG_ID			0x000
#define   IMS_NTB_ID			0x4e534d49	/* "IMSN" */
#define IMS_NTB_REG_VERSION		0x004
#define   IMS_NTB_VERSION		0x00010000	/* major << 16 | minor */
#define IMS_NTB_REG_WINDOW_SIZE		0x008		/* of each window, in bytes */

/* The link is up when both ports enable it, and neither sleeps */
#define IMS_NTB_REG_LINK_CTRL		0x010
#define   IMS_NTB_LINK_CTRL_ENABLE	0x1
#define IMS_NTB_REG_LINK_STATUS		0x014		/* read only */
#define   IMS_NTB_LINK_STATUS_UP	0x1
#define   IMS_NTB_LINK_STATUS_ENABLED	0x2	/* by this port */
#define   IMS_NTB_LINK_STATUS_PEER	0x4	/* by the peer */
#define   IMS_NTB_LINK_STATUS_PRESENT	0x8	/* there is a peer */

/* MSI-X vectors of this port's own interrupts */
#define IMS_NTB_REG_LINK_VECTOR		0x018		/* the link went up or down */
#define IMS_NTB_REG_DB_VECTOR		0x01c		/* a doorbell rang */

/* Doorbells of this port: one bit each */
#define IMS_NTB_REG_DB			0x020		/* read only: those that rang */
#define IMS_NTB_REG_DB_SET		0x024		/* write 1: ring */
#define IMS_NTB_REG_DB_CLEAR		0x028		/* write 1: silence */
#define IMS_NTB_REG_DB_MASK		0x02c		/* read only: those masked */
#define IMS_NTB_REG_DB_MASK_SET		0x030		/* write 1: mask */
#define IMS_NTB_REG_DB_MASK_CLEAR	0x034		/* write 1: unmask */

/* The same of the peer; they need the link */
#define IMS_NTB_REG_PEER_DB		0x040
#define IMS_NTB_REG_PEER_DB_SET		0x044
#define IMS_NTB_REG_PEER_DB_CLEAR	0x048
#define IMS_NTB_REG_PEER_DB_MASK	0x04c
#define IMS_NTB_REG_PEER_DB_MASK_SET	0x050
#define IMS_NTB_REG_PEER_DB_MASK_CLEAR	0x054

/* Write 1: clear the counters below */
#define IMS_NTB_REG_COUNT_CLEAR		0x060
/* Read only: what went through this port's windows */
#define IMS_NTB_REG_WRITES		0x064
#define IMS_NTB_REG_READS		0x068
/* Read only: how often something did not work, by reason */
#define IMS_NTB_REG_ERRORS(reason)	(0x080 + 4 * (reason))
#define   IMS_NTB_ERROR_REG		0		/* no such register, or wrong width */
#define   IMS_NTB_ERROR_LINK		1		/* the link is down */
#define   IMS_NTB_ERROR_RANGE		2		/* beyond what the peer translates */
#define   IMS_NTB_ERROR_NESTED		3		/* came from an access to a window */
#define   IMS_NTB_ERROR_BUS		4		/* refused where it came out */
#define   IMS_NTB_NR_ERRORS		5

/*
 * Where accesses to the peer's window n come out of this port. The address is a
 * multiple of the size of the window. A size of 0 closes it.
 */
#define IMS_NTB_REG_XLAT_LO(n)		(0x100 + 0x10 * (n))
#define IMS_NTB_REG_XLAT_HI(n)		(0x104 + 0x10 * (n))
#define IMS_NTB_REG_XLAT_SIZE(n)	(0x108 + 0x10 * (n))

/* Scratchpads of this port, and of the peer, which need the link */
#define IMS_NTB_REG_SPAD(n)		(0x200 + 4 * (n))
#define IMS_NTB_REG_PEER_SPAD(n)	(0x300 + 4 * (n))

#endif /* IMS_NTB_REGS_H */
