/*
 * QTest testcase for ims-vmd
 *
 * docs/specs/ims-vmd.rst says what is expected here. Behind the VMD are two root
 * ports: an ims-testdev sends messages, and a port of an ims-ntb makes any access
 * as a bus master, which its peer on the machine's own bus is told to. What the VMD
 * sends goes to RAM, where it can be read back.
 *
 * This work is licensed under the terms of the GNU GPL, version 2 or later.
 * See the COPYING file in the top-level directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/units.h"
#include "libqos/pci.h"
#include "libqos/pci-pc.h"
#include "ims-qtest.h"
#include "hw/misc/ims_vmd_regs.h"
#include "standard-headers/linux/pci_regs.h"
#include "standard-headers/misc/ims_ntb_regs.h"
#include "standard-headers/misc/ims_testdev_regs.h"

#define VMD             QPCI_DEVFN(4, 0)
#define NTB             QPCI_DEVFN(5, 0)
#define BUSES           4
#define VECTORS         4

/* Behind the VMD: the ports on its bus, and what is behind these */
#define NR_PORTS        2
#define PORT(n)         QPCI_DEVFN(1 + (n), 0)
#define ROOT_PORT_ID    0x000c1b36
#define CHILD(n)        ((1 + (n)) << 8)
#define DEV             0
#define PEER            1
#define PORT_WINDOW     (4 * MiB)

/* What leads to the range of messages, or to RAM */
#define NTB_WINDOW      IMS_VMD_MSI_SIZE

#define RAM             0x400000
#define RAM_MSG(v)      (0x100000 + 4 * (v))
#define DATA            0xcafe1234
#define MESSAGE(v)      (IMS_VMD_MSI_BASE + ((v) << IMS_VMD_MSI_VECTOR_SHIFT))

/* Where q35 is told to have its memory mapped configuration space */
#define MMCFG           0xb0000000
#define MCH_PCIEXBAR    0x60

#define VTD_BASE        0xfed90000
#define VTD_GCMD        0x18
#define   VTD_GCMD_SIRTP    (1U << 24)
#define   VTD_GCMD_IRE      (1U << 25)
#define VTD_IRTA        0xb8
#define VTD_TABLE       0x200000
#define   VTD_IRTE_PRESENT  1ULL
#define   VTD_IRTE_VERIFY   (1ULL << 18)

#define ARGS            "-machine q35 -nodefaults "                         \
                        "-global ICH9-LPC."                                 \
                        "acpi-pci-hotplug-with-bridge-support=off "         \
                        "-device ims-vmd,id=vmd,addr=04.0,buses=4,"         \
                        "vectors=4,membar1-size=8M,membar2-size=8M%s "      \
                        "-device pcie-root-port,id=port0,bus=vmd,addr=1,"   \
                        "chassis=1 "                                        \
                        "-device pcie-root-port,id=port1,bus=vmd,addr=2,"   \
                        "chassis=2 "                                        \
                        "-device ims-testdev,id=dev,bus=port0 "             \
                        "-device ims-ntb,id=ntb,addr=05.0,window-size=1M "  \
                        "-device ims-ntb,bus=port1,window-size=1M,peer=ntb %s"

typedef struct VmdTest {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *vmd;
    QPCIBar cfg;
    QPCIBar mem[2];

    /* What is behind the VMD, with configuration space by way of CFGBAR */
    QPCIBus behind;
    QPCIDevice *ports[NR_PORTS];
    QPCIDevice *dev;
    QPCIBar regs;
    QPCIBar msix;

    /* An access to this window leaves the peer, which is behind the VMD */
    QPCIDevice *ntb;
    QPCIBar window;
    QPCIDevice *peer;
    QPCIBar peer_regs;
} VmdTest;

static uint64_t cfg_addr(QPCIBus *bus, int devfn, uint8_t offset)
{
    VmdTest *t = container_of(bus, VmdTest, behind);

    return t->cfg.addr + (devfn << 12) + offset;
}

static uint8_t cfg_readb(QPCIBus *bus, int devfn, uint8_t offset)
{
    return qtest_readb(bus->qts, cfg_addr(bus, devfn, offset));
}

static uint16_t cfg_readw(QPCIBus *bus, int devfn, uint8_t offset)
{
    return qtest_readw(bus->qts, cfg_addr(bus, devfn, offset));
}

static uint32_t cfg_readl(QPCIBus *bus, int devfn, uint8_t offset)
{
    return qtest_readl(bus->qts, cfg_addr(bus, devfn, offset));
}

static void cfg_writeb(QPCIBus *bus, int devfn, uint8_t offset, uint8_t value)
{
    qtest_writeb(bus->qts, cfg_addr(bus, devfn, offset), value);
}

static void cfg_writew(QPCIBus *bus, int devfn, uint8_t offset, uint16_t value)
{
    qtest_writew(bus->qts, cfg_addr(bus, devfn, offset), value);
}

static void cfg_writel(QPCIBus *bus, int devfn, uint8_t offset, uint32_t value)
{
    qtest_writel(bus->qts, cfg_addr(bus, devfn, offset), value);
}

/* Let the window of a port behind the VMD be at @addr, and what is behind it */
static void port_open(VmdTest *t, int n, uint64_t addr)
{
    uint32_t limit = addr + PORT_WINDOW - 1;

    qpci_config_writel(t->ports[n], PCI_PRIMARY_BUS, (1 + n) * 0x010100);
    qpci_config_writel(t->ports[n], PCI_MEMORY_BASE,
                       (limit & 0xfff00000) | (addr >> 16 & 0xfff0));
    qpci_device_enable(t->ports[n]);
    t->behind.mmio_alloc_ptr = addr;
    t->behind.mmio_limit = addr + PORT_WINDOW;
}

static void vmd_map(VmdTest *t)
{
    QPCIDevice *mch = qpci_device_find(t->bus, 0);
    QPCIBar regs;
    int n;

    qpci_config_writel(mch, MCH_PCIEXBAR, MMCFG | 1);
    g_free(mch);
    t->vmd = qpci_device_find(t->bus, VMD);
    g_assert_nonnull(t->vmd);
    t->cfg = qpci_iomap(t->vmd, IMS_VMD_BAR_CFG, NULL);
    t->mem[0] = qpci_iomap(t->vmd, IMS_VMD_BAR_MEM1, NULL);
    t->mem[1] = qpci_iomap(t->vmd, IMS_VMD_BAR_MEM2, NULL);
    qpci_device_enable(t->vmd);

    t->behind = *t->bus;
    t->behind.config_readb = cfg_readb;
    t->behind.config_readw = cfg_readw;
    t->behind.config_readl = cfg_readl;
    t->behind.config_writeb = cfg_writeb;
    t->behind.config_writew = cfg_writew;
    t->behind.config_writel = cfg_writel;

    for (n = 0; n < NR_PORTS; n++) {
        t->ports[n] = qpci_device_find(&t->behind, PORT(n));
        g_assert_nonnull(t->ports[n]);
    }
    port_open(t, DEV, t->mem[0].addr);
    t->dev = qpci_device_find(&t->behind, CHILD(DEV));
    g_assert_nonnull(t->dev);
    t->regs = qpci_iomap(t->dev, IMS_TD_BAR_REGS, NULL);
    t->msix = qpci_iomap(t->dev, IMS_TD_BAR_MSIX, NULL);
    qpci_device_enable(t->dev);

    port_open(t, PEER, t->mem[0].addr + PORT_WINDOW);
    t->peer = qpci_device_find(&t->behind, CHILD(PEER));
    g_assert_nonnull(t->peer);
    t->peer_regs = qpci_iomap(t->peer, IMS_NTB_BAR_REGS, NULL);
    qpci_device_enable(t->peer);
    qpci_io_writel(t->peer, t->peer_regs, IMS_NTB_REG_LINK_CTRL,
                   IMS_NTB_LINK_CTRL_ENABLE);

    t->ntb = qpci_device_find(t->bus, NTB);
    g_assert_nonnull(t->ntb);
    regs = qpci_iomap(t->ntb, IMS_NTB_BAR_REGS, NULL);
    t->window = qpci_iomap(t->ntb, IMS_NTB_BAR_WINDOW(0), NULL);
    qpci_device_enable(t->ntb);
    qpci_io_writel(t->ntb, regs, IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
}

static void vmd_start(VmdTest *t, const char *vmd, const char *more)
{
    memset(t, 0, sizeof(*t));
    t->qts = qtest_initf(ARGS, vmd, more);
    t->bus = qpci_new_pc(t->qts, NULL);
    vmd_map(t);
}

static void vmd_free(VmdTest *t)
{
    int n;

    g_free(t->peer);
    g_free(t->ntb);
    g_free(t->dev);
    for (n = 0; n < NR_PORTS; n++) {
        g_free(t->ports[n]);
    }
    g_free(t->vmd);
}

static void vmd_end(VmdTest *t)
{
    vmd_free(t);
    qpci_free_pc(t->bus);
    qtest_quit(t->qts);
}

/* Let the NTB's window lead to @addr, as an access from behind the VMD */
static void ntb_open(VmdTest *t, uint64_t addr)
{
    qpci_io_writel(t->peer, t->peer_regs, IMS_NTB_REG_XLAT_LO(0), addr);
    qpci_io_writel(t->peer, t->peer_regs, IMS_NTB_REG_XLAT_SIZE(0), NTB_WINDOW);
}

static uint16_t msix_flags(QPCIDevice *dev)
{
    return qpci_find_capability(dev, PCI_CAP_ID_MSIX, 0) + PCI_MSIX_FLAGS;
}

/* Masked meanwhile */
static void msix_set(QPCIDevice *dev, QPCIBar bar, int v, uint64_t addr,
                     uint32_t data, uint32_t ctrl)
{
    uint64_t entry = v * PCI_MSIX_ENTRY_SIZE;

    qpci_io_writel(dev, bar, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 1);
    qpci_io_writel(dev, bar, entry + PCI_MSIX_ENTRY_LOWER_ADDR, addr);
    qpci_io_writel(dev, bar, entry + PCI_MSIX_ENTRY_UPPER_ADDR, addr >> 32);
    qpci_io_writel(dev, bar, entry + PCI_MSIX_ENTRY_DATA, data);
    qpci_io_writel(dev, bar, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, ctrl);
}

/* All vectors of the VMD to RAM, and as many of its child's to them */
static void msix_enable(VmdTest *t)
{
    int v;

    qpci_config_writew(t->vmd, msix_flags(t->vmd), PCI_MSIX_FLAGS_ENABLE);
    qpci_config_writew(t->dev, msix_flags(t->dev), PCI_MSIX_FLAGS_ENABLE);
    for (v = 0; v < VECTORS; v++) {
        msix_set(t->vmd, t->mem[1], v, RAM_MSG(v), DATA + v, 0);
        msix_set(t->dev, t->msix, v, MESSAGE(v), 0, 0);
    }
}

static void fire(VmdTest *t, int slot)
{
    qpci_io_writel(t->dev, t->regs, IMS_TD_REG_FIRE_DB(IMS_TD_KIND_MSIX), slot);
}

/* Has vector @v of the VMD sent its message since the last look? */
static bool vmd_sent(VmdTest *t, int v)
{
    uint32_t data = qtest_readl(t->qts, RAM_MSG(v));

    qtest_writel(t->qts, RAM_MSG(v), 0);
    g_assert(!data || data == DATA + v);
    return data;
}

static bool vmd_sent_any(VmdTest *t)
{
    bool any = false;
    int v;

    for (v = 0; v < VECTORS; v++) {
        any |= vmd_sent(t, v);
    }
    return any;
}

static uint32_t count(VmdTest *t, uint32_t reg)
{
    return qtest_readl(t->qts, MMCFG + (VMD << 12) + reg);
}

static void assert_counts(VmdTest *t, uint32_t accepted, uint32_t refused)
{
    g_assert_cmpuint(count(t, IMS_VMD_ACCEPTED), ==, accepted);
    g_assert_cmpuint(count(t, IMS_VMD_REFUSED), ==, refused);
}

/* Breaches that the child has recorded, each of which has to be a refused message */
static uint32_t breaches(VmdTest *t)
{
    uint32_t n = qpci_io_readl(t->dev, t->regs, IMS_TD_REG_BREACH_COUNT);

    g_assert_cmpuint(qpci_io_readl(t->dev, t->regs,
                                   IMS_TD_REG_BREACH_BY_CODE(IMS_TD_BREACH_BUS)),
                     ==, n);
    return n;
}

static void test_identity(const void *opaque)
{
    bool bypass = opaque;
    uint16_t cap;
    VmdTest t;

    vmd_start(&t, bypass ? ",bypass=on" : "", "");
    g_assert_cmphex(qpci_config_readl(t.vmd, PCI_VENDOR_ID), ==,
                    (bypass ? 0x28c0 : 0x201d) << 16 | 0x8086);
    g_assert_cmphex(qpci_config_readl(t.vmd, IMS_VMD_VMCAP), ==, 0);
    g_assert_cmphex(qpci_config_readl(t.vmd, IMS_VMD_VMLOCK), ==, 0);
    qpci_config_writel(t.vmd, IMS_VMD_VMCAP, UINT32_MAX);
    qpci_config_writel(t.vmd, IMS_VMD_VMCONFIG, UINT32_MAX);
    qpci_config_writel(t.vmd, IMS_VMD_VMLOCK, UINT32_MAX);
    g_assert_cmphex(qpci_config_readl(t.vmd, IMS_VMD_VMCAP), ==, 0);
    g_assert_cmphex(qpci_config_readl(t.vmd, IMS_VMD_VMCONFIG), ==,
                    bypass ? IMS_VMD_VMCONFIG_BYPASS : 0);
    g_assert_cmphex(qpci_config_readl(t.vmd, IMS_VMD_VMLOCK), ==, 0);

    cap = qpci_find_capability(t.vmd, PCI_CAP_ID_MSIX, 0);
    g_assert_cmpuint(qpci_msix_table_size(t.vmd), ==, VECTORS);
    g_assert_cmphex(qpci_config_readl(t.vmd, cap + PCI_MSIX_TABLE), ==,
                    IMS_VMD_MSIX_TABLE | IMS_VMD_BAR_MEM2);
    g_assert_cmphex(qpci_config_readl(t.vmd, cap + PCI_MSIX_PBA), ==,
                    IMS_VMD_MSIX_PBA | IMS_VMD_BAR_MEM2);
    cap = qpci_find_capability(t.vmd, PCI_CAP_ID_EXP, 0);
    g_assert_cmphex(qpci_config_readw(t.vmd, cap + PCI_EXP_FLAGS) &
                    PCI_EXP_FLAGS_TYPE, ==, PCI_EXP_TYPE_RC_END << 4);

    g_assert_cmphex(count(&t, IMS_VMD_VSEC), ==, 0x10000 | PCI_EXT_CAP_ID_VNDR);
    g_assert_cmphex(count(&t, IMS_VMD_VSEC + PCI_VNDR_HEADER), ==,
                    IMS_VMD_VSEC_SIZE << 20 | IMS_VMD_VSEC_ID);
    qtest_writel(t.qts, MMCFG + (VMD << 12) + IMS_VMD_REFUSED, 1);
    assert_counts(&t, 0, 0);
    vmd_end(&t);
}

static void test_config(void)
{
    uint64_t port, child;
    VmdTest t;
    int devfn;

    vmd_start(&t, "", "");
    port = t.cfg.addr + (PORT(0) << 12);
    child = t.cfg.addr + (CHILD(DEV) << 12);

    /* All sizes */
    g_assert_cmphex(qtest_readb(t.qts, child + 1), ==, IMS_TD_PCI_VENDOR >> 8);
    g_assert_cmphex(qtest_readw(t.qts, child + 2), ==, IMS_TD_PCI_DEVICE);
    g_assert_cmphex(qtest_readq(t.qts, child) & UINT32_MAX, ==,
                    IMS_TD_PCI_DEVICE << 16 | IMS_TD_PCI_VENDOR);
    qtest_writel(t.qts, child + PCI_BASE_ADDRESS_0, DATA);
    qtest_writew(t.qts, child + PCI_BASE_ADDRESS_0 + 2, 0x1234);
    qtest_writeb(t.qts, child + PCI_BASE_ADDRESS_0 + 3, 0x56);
    g_assert_cmphex(qtest_readl(t.qts, child + PCI_BASE_ADDRESS_0), ==,
                    0x56340000 | (DATA & 0xf000));

    /* Extended: the port has AER, at the very end is nothing */
    g_assert_cmphex(qtest_readl(t.qts, port + 0x100) & 0xffff, ==,
                    PCI_EXT_CAP_ID_ERR);
    qtest_writeq(t.qts, port + 0xff8, UINT64_MAX);
    g_assert_cmphex(qtest_readl(t.qts, port), !=, UINT32_MAX);

    /* Nobody else is there, on the root bus, behind a port, or on no port's bus */
    for (devfn = 0; devfn < BUSES << 8; devfn++) {
        bool there = devfn == PORT(0) || devfn == PORT(1) ||
                     devfn == CHILD(DEV) || devfn == CHILD(PEER);
        uint64_t addr = t.cfg.addr + (devfn << 12);

        g_assert((qtest_readl(t.qts, addr) != UINT32_MAX) == there);
        if (!there) {
            qtest_writel(t.qts, addr + PCI_COMMAND, UINT32_MAX);
            g_assert_cmphex(qtest_readb(t.qts, addr + 0xfff), ==, 0xff);
        }
    }
    vmd_end(&t);
}

/* The child's registers, where its BAR is at @addr */
static bool child_at(VmdTest *t, uint64_t addr)
{
    return qtest_readl(t->qts, addr + IMS_TD_REG_ID) == IMS_TD_ID;
}

static void test_windows(void)
{
    uint64_t moved = 0xc0000000, at[2] = { moved, moved + 0x1000000 };
    VmdTest t;
    int i;

    vmd_start(&t, "", "");
    g_assert(child_at(&t, t.regs.addr));

    /* The windows move, the child follows when it is told to */
    qpci_config_writel(t.vmd, PCI_BASE_ADDRESS_2, at[0]);
    qpci_config_writel(t.vmd, PCI_BASE_ADDRESS_4, at[1]);
    g_assert(!child_at(&t, t.regs.addr));
    g_assert(!child_at(&t, at[0]));
    for (i = 0; i < 2; i++) {
        uint64_t addr = at[i] + i * MiB;

        port_open(&t, DEV, addr);
        g_assert(!child_at(&t, addr));
        qpci_config_writel(t.dev, PCI_BASE_ADDRESS_0, addr);
        g_assert(child_at(&t, addr));
        g_assert(!child_at(&t, at[!i] + i * MiB));
    }

    /* Above 4 GiB: addresses below stay those of the child */
    qpci_config_writel(t.vmd, PCI_BASE_ADDRESS_5, 1);
    g_assert(!child_at(&t, at[1] + MiB));
    g_assert(!child_at(&t, (1ULL << 32) + at[1] + MiB));
    qpci_config_writel(t.vmd, PCI_BASE_ADDRESS_5, 0);
    g_assert(child_at(&t, at[1] + MiB));

    /* Past MSI-X, which stays what it is wherever the BAR is */
    msix_set(t.vmd, (QPCIBar) { .addr = at[1] }, 1, RAM_MSG(1), DATA, 1);
    g_assert_cmphex(qtest_readl(t.qts, at[1] + 16 + PCI_MSIX_ENTRY_DATA), ==, DATA);
    qpci_config_writel(t.vmd, PCI_BASE_ADDRESS_4, moved + 0x2000000);
    g_assert_cmphex(qtest_readl(t.qts, moved + 0x2000000 + 16 + PCI_MSIX_ENTRY_DATA),
                    ==, DATA);
    qpci_config_writel(t.vmd, PCI_BASE_ADDRESS_4, at[1]);

    /* Both in one place, and none at all */
    qpci_config_writel(t.vmd, PCI_BASE_ADDRESS_2, at[1]);
    g_assert(child_at(&t, at[1] + MiB));
    qpci_config_writew(t.vmd, PCI_COMMAND, PCI_COMMAND_MASTER);
    g_assert(!child_at(&t, at[1] + MiB));
    qpci_config_writew(t.vmd, PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
    g_assert(child_at(&t, at[1] + MiB));
    vmd_end(&t);
}

/* DMA of what is behind the VMD: it needs the VMD as a bus master, and memory */
static void test_dma(void)
{
    VmdTest t;

    vmd_start(&t, "", "");
    ntb_open(&t, RAM);
    qpci_io_writeq(t.ntb, t.window, 0x18, 0x1122334455667788);
    g_assert_cmphex(qtest_readq(t.qts, RAM + 0x18), ==, 0x1122334455667788);
    qtest_writel(t.qts, RAM + 0x20, DATA);
    g_assert_cmphex(qpci_io_readl(t.ntb, t.window, 0x20), ==, DATA);

    qpci_config_writew(t.vmd, PCI_COMMAND, PCI_COMMAND_MEMORY);
    g_assert_cmphex(qpci_io_readl(t.ntb, t.window, 0x20), ==, UINT32_MAX);
    qpci_io_writel(t.ntb, t.window, 0x20, 0);
    g_assert_cmphex(qtest_readl(t.qts, RAM + 0x20), ==, DATA);
    qpci_device_enable(t.vmd);

    /* Another child, by way of the window; configuration space; just beside messages */
    ntb_open(&t, t.regs.addr);
    g_assert_cmphex(qpci_io_readl(t.ntb, t.window, IMS_TD_REG_ID), ==, IMS_TD_ID);
    ntb_open(&t, t.cfg.addr + (CHILD(DEV) << 12));
    g_assert_cmphex(qpci_io_readw(t.ntb, t.window, PCI_DEVICE_ID), ==,
                    IMS_TD_PCI_DEVICE);
    ntb_open(&t, IMS_VMD_MSI_BASE - NTB_WINDOW);
    qpci_io_writel(t.ntb, t.window, NTB_WINDOW - 4, 0);
    ntb_open(&t, IMS_VMD_MSI_BASE + NTB_WINDOW);
    qpci_io_writel(t.ntb, t.window, 0, 0);
    assert_counts(&t, 0, 0);
    vmd_end(&t);
}

static void test_messages(void)
{
    uint32_t accepted = 0;
    VmdTest t;
    int v;

    vmd_start(&t, "", "");
    msix_enable(&t);
    for (v = 0; v < VECTORS; v++) {
        fire(&t, v);
        g_assert(vmd_sent(&t, v));
        g_assert(!vmd_sent_any(&t));
        assert_counts(&t, ++accepted, 0);
    }
    /* Two slots of the child, one vector */
    msix_set(t.dev, t.msix, 3, MESSAGE(1), 0, 0);
    fire(&t, 3);
    g_assert(vmd_sent(&t, 1));
    fire(&t, 1);
    g_assert(vmd_sent(&t, 1));
    assert_counts(&t, accepted + 2, 0);
    g_assert_cmpuint(breaches(&t), ==, 0);
    vmd_end(&t);
}

/* Pending at the VMD, or at the child, which CFGBAR releases */
static void test_masked(void)
{
    uint16_t flags;
    VmdTest t;

    vmd_start(&t, "", "");
    msix_enable(&t);
    msix_set(t.vmd, t.mem[1], 2, RAM_MSG(2), DATA + 2, 1);
    fire(&t, 2);
    fire(&t, 2);
    g_assert(!vmd_sent_any(&t));
    g_assert_cmphex(qpci_io_readl(t.vmd, t.mem[1], IMS_VMD_MSIX_PBA), ==, 1 << 2);
    msix_set(t.vmd, t.mem[1], 2, RAM_MSG(2), DATA + 2, 0);
    g_assert(vmd_sent(&t, 2));
    g_assert_cmphex(qpci_io_readl(t.vmd, t.mem[1], IMS_VMD_MSIX_PBA), ==, 0);
    assert_counts(&t, 2, 0);

    flags = msix_flags(t.vmd);
    qpci_config_writew(t.vmd, flags, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    fire(&t, 0);
    fire(&t, 3);
    g_assert(!vmd_sent_any(&t));
    qpci_config_writew(t.vmd, flags, PCI_MSIX_FLAGS_ENABLE);
    g_assert(vmd_sent(&t, 0));
    g_assert(vmd_sent(&t, 3));
    assert_counts(&t, 4, 0);

    flags = msix_flags(t.dev);
    qpci_config_writew(t.dev, flags, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    fire(&t, 1);
    fire(&t, 2);
    assert_counts(&t, 4, 0);
    qpci_config_writew(t.dev, flags, PCI_MSIX_FLAGS_ENABLE);
    g_assert(vmd_sent(&t, 1));
    g_assert(vmd_sent(&t, 2));
    assert_counts(&t, 6, 0);
    g_assert_cmpuint(breaches(&t), ==, 0);
    vmd_end(&t);
}

static void test_refused(void)
{
    static const struct {
        uint64_t addr;
        uint32_t data;
    } wrong[] = {
        { MESSAGE(VECTORS), 0 },
        { MESSAGE(0xff), 0 },
        { MESSAGE(0), 1 },
        { MESSAGE(1), 0x4021 },
        { MESSAGE(1) + 4, 0 },
        /* A logical destination, remappable, a virtual one */
        { MESSAGE(1) + 0xc, 0 },
        { MESSAGE(1) + 0x10, 0 },
        { MESSAGE(1) + 0x20, 0 },
    };
    uint32_t refused = 0;
    VmdTest t;
    int i, size;

    vmd_start(&t, "", "");
    msix_enable(&t);
    for (i = 0; i < ARRAY_SIZE(wrong); i++) {
        msix_set(t.dev, t.msix, 0, wrong[i].addr, wrong[i].data, 0);
        fire(&t, 0);
        assert_counts(&t, 0, ++refused);
        g_assert_cmpuint(breaches(&t), ==, refused);
    }

    /* MSI-X off, and no bus master */
    qpci_config_writew(t.vmd, msix_flags(t.vmd), 0);
    fire(&t, 1);
    assert_counts(&t, 0, ++refused);
    qpci_config_writew(t.vmd, msix_flags(t.vmd), PCI_MSIX_FLAGS_ENABLE);
    qpci_config_writew(t.vmd, PCI_COMMAND, PCI_COMMAND_MEMORY);
    fire(&t, 1);
    assert_counts(&t, 0, ++refused);
    qpci_device_enable(t.vmd);
    g_assert_cmpuint(breaches(&t), ==, refused);
    g_assert_cmphex(qpci_io_readl(t.vmd, t.mem[1], IMS_VMD_MSIX_PBA), ==, 0);

    /* Any other access */
    ntb_open(&t, IMS_VMD_MSI_BASE);
    for (size = 1; size <= 8; size *= 2) {
        uint64_t data = 0;

        qpci_memread(t.ntb, t.window, 0x1000, &data, size);
        g_assert_cmphex(data, ==, MAKE_64BIT_MASK(0, size * 8));
        refused++;
        data = 0;
        qpci_memwrite(t.ntb, t.window, 0x1000, &data, size);
        refused += size != 4;
        g_assert(vmd_sent(&t, 1) == (size == 4));
    }
    qpci_io_writel(t.ntb, t.window, 0xffe, 0);
    assert_counts(&t, 1, refused + 1);
    g_assert(!vmd_sent_any(&t));
    vmd_end(&t);
}

/*
 * Messages that pass are those of the VMD: VT-d lets them pass where the remapping
 * entry asks for its requester id, and refuses where it asks for the child's.
 */
static void test_bypass(void)
{
    VmdTest t;
    int i;

    vmd_start(&t, ",bypass=on", "-device intel-iommu,intremap=on,eim=off");
    qtest_writeq(t.qts, VTD_BASE + VTD_IRTA, VTD_TABLE | 7);
    qtest_writel(t.qts, VTD_BASE + VTD_GCMD, VTD_GCMD_SIRTP);
    qtest_writel(t.qts, VTD_BASE + VTD_GCMD, VTD_GCMD_IRE);
    msix_enable(&t);
    for (i = 0; i < 2; i++) {
        qtest_writeq(t.qts, VTD_TABLE + i * 16, VTD_IRTE_PRESENT | 0x41 << 16);
        qtest_writeq(t.qts, VTD_TABLE + i * 16 + 8,
                     VTD_IRTE_VERIFY | (i ? CHILD(DEV) : VMD));
        msix_set(t.dev, t.msix, i, IMS_VMD_MSI_BASE | i << 5 | 1 << 4, 0, 0);
    }

    fire(&t, 0);
    assert_counts(&t, 0, 1);
    qpci_config_writew(t.vmd, IMS_VMD_VMCONFIG, IMS_VMD_VMCONFIG_BYPASS);
    fire(&t, 0);
    assert_counts(&t, 1, 1);
    fire(&t, 1);
    assert_counts(&t, 1, 2);
    fire(&t, 2);
    g_assert(!vmd_sent_any(&t));
    ntb_open(&t, IMS_VMD_MSI_BASE);
    qpci_io_writel(t.ntb, t.window, 1 << 4, 0);
    qpci_io_writeq(t.ntb, t.window, 1 << 4, 0);
    qpci_config_writew(t.vmd, PCI_COMMAND, PCI_COMMAND_MEMORY);
    fire(&t, 0);
    qpci_device_enable(t.vmd);

    qpci_config_writew(t.vmd, IMS_VMD_VMCONFIG, 0);
    fire(&t, 2);
    g_assert(vmd_sent(&t, 2));
    vmd_end(&t);
}

/* What a message leads to does not come back */
static void test_nested(void)
{
    uint64_t doorbell;
    VmdTest t;

    vmd_start(&t, "", "");
    msix_enable(&t);
    doorbell = t.regs.addr + IMS_TD_REG_FIRE_DB(IMS_TD_KIND_MSIX);

    /* To the child that has sent the message, which QEMU refuses */
    msix_set(t.vmd, t.mem[1], 0, doorbell, 1, 0);
    fire(&t, 0);
    assert_counts(&t, 1, 0);
    g_assert(!vmd_sent_any(&t));

    /* To another one, which sends one more */
    ntb_open(&t, IMS_VMD_MSI_BASE);
    qpci_io_writel(t.ntb, t.window, 0, 0);
    assert_counts(&t, 2, 1);
    g_assert_cmpuint(breaches(&t), ==, 1);
    g_assert(!vmd_sent_any(&t));

    /* From the VMD's own table: this one is not on behalf of a message */
    msix_set(t.vmd, t.mem[1], 0, doorbell, 1, 1);
    qpci_io_writel(t.ntb, t.window, 0, 0);
    msix_set(t.vmd, t.mem[1], 0, doorbell, 1, 0);
    assert_counts(&t, 4, 1);
    g_assert(vmd_sent(&t, 1));

    /* To CFGBAR, from there and from elsewhere; to the table; to the range itself */
    msix_set(t.vmd, t.mem[1], 0, t.cfg.addr + (CHILD(DEV) << 12) + PCI_INTERRUPT_LINE,
             0x12, 0);
    qpci_config_writew(t.dev, msix_flags(t.dev),
                       PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    fire(&t, 0);
    qpci_config_writew(t.dev, msix_flags(t.dev), PCI_MSIX_FLAGS_ENABLE);
    assert_counts(&t, 5, 1);
    g_assert_cmphex(qpci_config_readb(t.dev, PCI_INTERRUPT_LINE), ==, 0);
    fire(&t, 0);
    g_assert_cmphex(qpci_config_readb(t.dev, PCI_INTERRUPT_LINE), ==, 0x12);
    msix_set(t.vmd, t.mem[1], 0, t.mem[1].addr + PCI_MSIX_ENTRY_VECTOR_CTRL, 1, 0);
    fire(&t, 0);
    g_assert_cmphex(qpci_io_readl(t.vmd, t.mem[1], PCI_MSIX_ENTRY_VECTOR_CTRL), ==, 1);
    msix_set(t.vmd, t.mem[1], 0, MESSAGE(1), 0, 0);
    fire(&t, 0);
    g_assert(!vmd_sent_any(&t));

    /* It is over */
    fire(&t, 1);
    g_assert(vmd_sent(&t, 1));
    vmd_end(&t);
}

static void test_reset(void)
{
    VmdTest t;

    vmd_start(&t, ",bypass=on", "");
    msix_enable(&t);
    fire(&t, 0);
    msix_set(t.dev, t.msix, 0, MESSAGE(VECTORS), 0, 0);
    fire(&t, 0);
    assert_counts(&t, 1, 1);
    qpci_config_writew(t.vmd, IMS_VMD_VMCONFIG, IMS_VMD_VMCONFIG_BYPASS);
    vmd_free(&t);

    qtest_qmp_send(t.qts, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(t.qts, "RESET");
    g_assert_cmphex(qtest_readl(t.qts, t.cfg.addr + (PORT(0) << 12)), !=,
                    ROOT_PORT_ID);
    qpci_free_pc(t.bus);
    t.bus = qpci_new_pc(t.qts, NULL);
    vmd_map(&t);
    assert_counts(&t, 0, 0);
    g_assert_cmphex(qpci_config_readw(t.vmd, IMS_VMD_VMCONFIG), ==, 0);
    g_assert_cmphex(qpci_config_readw(t.vmd, msix_flags(t.vmd)), ==, VECTORS - 1);
    g_assert_cmphex(qpci_config_readw(t.dev, msix_flags(t.dev)) &
                    PCI_MSIX_FLAGS_ENABLE, ==, 0);
    msix_enable(&t);
    fire(&t, 0);
    g_assert(vmd_sent(&t, 0));
    vmd_end(&t);
}

/* A child goes and another one comes, while the VMD stays */
static void test_plug(void)
{
    QDict *response;
    uint16_t slot;
    VmdTest t;
    int i;

    vmd_start(&t, "", "");
    slot = qpci_find_capability(t.ports[DEV], PCI_CAP_ID_EXP, 0) + PCI_EXP_SLTCTL;
    for (i = 0; i < 3; i++) {
        msix_enable(&t);
        fire(&t, 1);
        g_assert(vmd_sent(&t, 1));
        qpci_config_writew(t.ports[DEV], slot,
                           PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF);
        qtest_qmp_eventwait(t.qts, "DEVICE_DELETED");
        g_assert(!child_at(&t, t.regs.addr));
        g_assert_cmphex(qpci_config_readl(t.dev, PCI_VENDOR_ID), ==, UINT32_MAX);

        response = qtest_qmp(t.qts, "{'execute': 'device_add', 'arguments': "
                             "{'driver': 'ims-testdev', 'bus': 'port0', "
                             "'id': 'dev'}}");
        g_assert(qdict_haskey(response, "return"));
        qobject_unref(response);
        qpci_config_writew(t.ports[DEV], slot, PCI_EXP_SLTCTL_PWR_IND_ON);
        qpci_config_writel(t.dev, PCI_BASE_ADDRESS_0, t.regs.addr);
        qpci_config_writel(t.dev, PCI_BASE_ADDRESS_4, t.msix.addr);
        qpci_device_enable(t.dev);
    }
    response = qtest_qmp(t.qts, "{'execute': 'device_del', 'arguments': "
                         "{'id': 'vmd'}}");
    g_assert(qdict_haskey(response, "error"));
    qobject_unref(response);
    vmd_end(&t);
}

/* A machine with @args does not start */
static void assert_no_start(const char *args, const char *why)
{
    const char *binary = getenv("QTEST_QEMU_BINARY");
    g_autofree char *cmd = NULL, *said = NULL;
    int status;

    cmd = g_strdup_printf("%s -machine q35 -accel qtest -display none -nodefaults "
                          "-no-user-config %s", binary, args);
    g_assert(g_spawn_command_line_sync(cmd, NULL, &said, &status, NULL));
    g_assert(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    g_assert_nonnull(strstr(said, why));
}

static void test_no_start(void)
{
    assert_no_start("-device ims-vmd,vectors=0", "vectors must be from 1 to 256");
    assert_no_start("-device ims-vmd,vectors=257", "vectors must be from 1 to 256");
    assert_no_start("-device ims-vmd,buses=0", "buses must be a power of two");
    assert_no_start("-device ims-vmd,buses=24", "buses must be a power of two");
    assert_no_start("-device ims-vmd,buses=512", "buses must be a power of two");
    assert_no_start("-device ims-vmd,membar1-size=3M", "membar1-size must be");
    assert_no_start("-device ims-vmd,membar2-size=8K", "membar2-size must be");
    assert_no_start("-device ims-vmd,membar2-size=2G", "membar2-size must be");
    assert_no_start("-device ims-vmd,romfile=/nowhere", "failed to find romfile");
    assert_no_start("-device ims-vmd,id=vmd -device ims-testdev,bus=vmd",
                    "Only PCI/PCIe bridges");
    assert_no_start("-device ims-vmd,id=vmd -device ims-vmd,bus=vmd",
                    "Only PCI/PCIe bridges");
    assert_no_start("-device ims-vmd,id=vmd -device pcie-root-port,id=rp,bus=vmd "
                    "-device ims-vmd,bus=rp", "root bus");
    assert_no_start("-device pcie-root-port,id=rp -device ims-vmd,bus=rp",
                    "root bus");
}

static void test_migrate(void)
{
    g_autofree char *file = NULL, *uri = NULL, *incoming = NULL;
    QDict *response;
    VmdTest t;
    int fd;

    vmd_start(&t, "", "");
    msix_enable(&t);
    fire(&t, 0);
    msix_set(t.vmd, t.mem[1], 1, RAM_MSG(1), DATA + 1, 1);
    fire(&t, 1);
    msix_set(t.dev, t.msix, 3, MESSAGE(VECTORS), 0, 0);
    fire(&t, 3);
    qtest_writel(t.qts, RAM_MSG(0), 0);
    fd = g_file_open_tmp("ims-vmd-XXXXXX", &file, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    uri = g_strdup_printf("exec:cat > %s", file);
    response = qtest_qmp(t.qts, "{'execute': 'migrate', "
                         "'arguments': {'uri': %s}}", uri);
    g_assert(qdict_haskey(response, "return"));
    qobject_unref(response);
    wait_migrated(t.qts);
    qtest_quit(t.qts);

    incoming = g_strdup_printf("-incoming \"exec:cat %s\"", file);
    t.qts = qtest_initf(ARGS, "", incoming);
    t.bus->qts = t.qts;
    t.behind.qts = t.qts;
    wait_migrated(t.qts);
    unlink(file);

    g_assert(child_at(&t, t.regs.addr));
    assert_counts(&t, 2, 1);
    g_assert_cmpuint(breaches(&t), ==, 1);
    g_assert_cmphex(qpci_io_readl(t.vmd, t.mem[1], IMS_VMD_MSIX_PBA), ==, 1 << 1);
    msix_set(t.vmd, t.mem[1], 1, RAM_MSG(1), DATA + 1, 0);
    g_assert(vmd_sent(&t, 1));
    fire(&t, 2);
    g_assert(vmd_sent(&t, 2));
    assert_counts(&t, 3, 1);
    vmd_end(&t);
}

/*
 * Whatever a guest does, QEMU and the device survive it. Messages and DMA lead to
 * RAM, the BARs of all, their configuration space, and the range of messages.
 */
static void test_fuzz(void)
{
    GRand *rand = g_rand_new_with_seed(0x494d5356);
    uint64_t targets[16];
    VmdTest t;
    int i, nr = 0;

    vmd_start(&t, ",bypass=on", "");
    targets[nr++] = RAM;
    targets[nr++] = IMS_VMD_MSI_BASE;
    targets[nr++] = t.cfg.addr + (PORT(0) << 12);
    targets[nr++] = t.cfg.addr + (PORT(1) << 12);
    targets[nr++] = t.cfg.addr + (CHILD(DEV) << 12);
    targets[nr++] = t.cfg.addr + (CHILD(PEER) << 12);
    targets[nr++] = t.mem[0].addr;
    targets[nr++] = t.mem[1].addr;
    targets[nr++] = t.regs.addr;
    targets[nr++] = t.msix.addr;
    targets[nr++] = t.peer_regs.addr;
    targets[nr++] = t.window.addr;
    targets[nr++] = MMCFG + (VMD << 12);
    targets[nr++] = MMCFG + (NTB << 12);

    for (i = 0; i < 30000; i++) {
        uint64_t target = targets[g_rand_int_range(rand, 0, nr)];
        uint32_t off = g_rand_int_range(rand, 0, 0x100 / 4) * 4;
        int v = g_rand_int_range(rand, 0, VECTORS);
        uint32_t value = g_rand_int(rand);

        /* Not the slots' power: children stay */
        if (target == targets[2] || target == targets[3]) {
            off %= PCI_STD_HEADER_SIZEOF;
        }
        switch (g_rand_int_range(rand, 0, 12)) {
        case 0:
            msix_set(t.vmd, t.mem[1], v, target + off, value & 3, value >> 31);
            break;
        case 1:
            msix_set(t.dev, t.msix, v, target + off, value & 3, value >> 31);
            break;
        case 2 ... 3:
            msix_set(t.dev, t.msix, v, MESSAGE(value % VECTORS), 0, value >> 31);
            break;
        case 4 ... 5:
            fire(&t, v);
            break;
        case 6:
            ntb_open(&t, target);
            break;
        case 7:
            qpci_io_writel(t.ntb, t.window, off + (target & 0xfffff), value);
            break;
        case 8:
            qtest_writel(t.qts, target + off, value);
            break;
        case 9:
            qtest_readq(t.qts, target + off);
            break;
        case 10:
            qpci_config_writew(t.vmd, msix_flags(t.vmd), PCI_MSIX_FLAGS_ENABLE |
                               (value & PCI_MSIX_FLAGS_MASKALL));
            qpci_config_writew(t.vmd, IMS_VMD_VMCONFIG, value >> 16);
            break;
        case 11:
            qtest_writew(t.qts, targets[4] + 2 + (off & 0xfc), value);
            break;
        }
        /* Nothing stays lost for long */
        if (i % 50 == 0) {
            qpci_config_writel(t.vmd, PCI_BASE_ADDRESS_0, t.cfg.addr);
            qpci_config_writel(t.vmd, PCI_BASE_ADDRESS_1, 0);
            qpci_config_writel(t.vmd, PCI_BASE_ADDRESS_2, t.mem[0].addr);
            qpci_config_writel(t.vmd, PCI_BASE_ADDRESS_4, t.mem[1].addr);
            qpci_config_writel(t.vmd, PCI_BASE_ADDRESS_5, 0);
            qpci_config_writew(t.vmd, PCI_COMMAND,
                               PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
            port_open(&t, DEV, t.mem[0].addr);
            port_open(&t, PEER, t.mem[0].addr + PORT_WINDOW);
        }
    }
    g_rand_free(rand);
    vmd_free(&t);

    qtest_qmp_send(t.qts, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(t.qts, "RESET");
    qpci_free_pc(t.bus);
    t.bus = qpci_new_pc(t.qts, NULL);
    t.vmd = qpci_device_find(t.bus, VMD);
    t.cfg = qpci_iomap(t.vmd, IMS_VMD_BAR_CFG, NULL);
    qpci_device_enable(t.vmd);
    g_assert_cmphex(qtest_readl(t.qts, t.cfg.addr + (PORT(0) << 12)), ==, ROOT_PORT_ID);
    g_free(t.vmd);
    qpci_free_pc(t.bus);
    qtest_quit(t.qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_data_func("/ims-vmd/identity/201d", NULL, test_identity);
    qtest_add_data_func("/ims-vmd/identity/28c0", "bypass", test_identity);
    qtest_add_func("/ims-vmd/config", test_config);
    qtest_add_func("/ims-vmd/windows", test_windows);
    qtest_add_func("/ims-vmd/dma", test_dma);
    qtest_add_func("/ims-vmd/messages", test_messages);
    qtest_add_func("/ims-vmd/masked", test_masked);
    qtest_add_func("/ims-vmd/refused", test_refused);
    qtest_add_func("/ims-vmd/bypass", test_bypass);
    qtest_add_func("/ims-vmd/nested", test_nested);
    qtest_add_func("/ims-vmd/reset", test_reset);
    qtest_add_func("/ims-vmd/plug", test_plug);
    qtest_add_func("/ims-vmd/no-start", test_no_start);
    qtest_add_func("/ims-vmd/migrate", test_migrate);
    qtest_add_func("/ims-vmd/fuzz", test_fuzz);

    return g_test_run();
}
