/*
 * Numbers of ims-vmd, a virtual Volume Management Device
 *
 * docs/specs/ims-vmd.rst is the specification.
 *
 * This work is licensed under the terms of the GNU GPL, version 2 or later.
 * See the COPYING file in the top-level directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_IMS_VMD_REGS_H
#define HW_MISC_IMS_VMD_REGS_H

#define IMS_VMD_PCI_DEVICE          0x201d
#define IMS_VMD_PCI_DEVICE_BYPASS   0x28c0

#define IMS_VMD_BAR_CFG             0
#define IMS_VMD_BAR_MEM1            2
#define IMS_VMD_BAR_MEM2            4

/* What is at the start of MEMBAR2, and where the window begins */
#define IMS_VMD_MSIX_TABLE          0x0000
#define IMS_VMD_MSIX_PBA            0x1000
#define IMS_VMD_MEM2_WINDOW         0x2000

/* Configuration space */
#define IMS_VMD_VMCAP               0x40
#define IMS_VMD_VMCONFIG            0x44
#define   IMS_VMD_VMCONFIG_BYPASS   0x0002
#define IMS_VMD_VMLOCK              0x70

/* Vendor specific extended capability: what became of messages */
#define IMS_VMD_VSEC                0x100
#define   IMS_VMD_VSEC_ID           0x494d
#define   IMS_VMD_VSEC_SIZE         0x10
#define IMS_VMD_ACCEPTED            (IMS_VMD_VSEC + 0x8)
#define IMS_VMD_REFUSED             (IMS_VMD_VSEC + 0xc)

/* Where the devices behind the VMD send messages: one page for each vector */
#define IMS_VMD_MSI_BASE            0xfee00000
#define IMS_VMD_MSI_SIZE            0x00100000
#define IMS_VMD_MSI_VECTOR_SHIFT    12
#define IMS_VMD_VECTORS_MAX         (IMS_VMD_MSI_SIZE >> IMS_VMD_MSI_VECTOR_SHIFT)

#endif
