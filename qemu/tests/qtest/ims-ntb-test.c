/*
 * QTest testcase for ims-ntb
 *
 * docs/specs/ims-ntb.rst says what is expected here. Windows lead to RAM, where
 * what has arrived can be read back, and messages as well.
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
#include "standard-headers/linux/pci_regs.h"
#include "standard-headers/misc/ims_ntb_regs.h"

#define DEVFN(port)     QPCI_DEVFN(4 + (port), 0)
#define WINDOW          (64 * KiB)
#define VECTORS         4
#define MSIX_PBA        0x8000

/* Where windows lead to, and where messages go */
#define RAM             0x400000
#define RAM_MSG(v)      (0x100000 + 4 * (v))
#define DATA            0xcafe1234
#define PATTERN         0x8877665544332211ULL
/* There is nothing at this address: above RAM, below the BARs */
#define NOWHERE         0xd0000000ULL

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

typedef struct Port {
    QPCIDevice *dev;
    QPCIBar regs;
    QPCIBar msix;
    QPCIBar windows[IMS_NTB_NR_WINDOWS];
} Port;

typedef struct NtbTest {
    QTestState *qts;
    QPCIBus *bus;
    Port ports[2];
} NtbTest;

static uint32_t ntb_read(Port *p, uint32_t reg)
{
    return qpci_io_readl(p->dev, p->regs, reg);
}

static void ntb_write(Port *p, uint32_t reg, uint32_t value)
{
    qpci_io_writel(p->dev, p->regs, reg, value);
}

static void ntb_map_at(NtbTest *t, int n, int devfn)
{
    Port *p = &t->ports[n];
    uint64_t size;
    int i;

    p->dev = qpci_device_find(t->bus, devfn);
    g_assert_nonnull(p->dev);
    p->regs = qpci_iomap(p->dev, IMS_NTB_BAR_REGS, &size);
    g_assert_cmphex(size, ==, IMS_NTB_REGS_SIZE);
    p->msix = qpci_iomap(p->dev, IMS_NTB_BAR_MSIX, NULL);
    for (i = 0; i < IMS_NTB_NR_WINDOWS; i++) {
        p->windows[i] = qpci_iomap(p->dev, IMS_NTB_BAR_WINDOW(i), &size);
        g_assert_cmphex(size, ==, WINDOW);
    }
    qpci_device_enable(p->dev);
}

static void ntb_map(NtbTest *t, int n)
{
    ntb_map_at(t, n, DEVFN(n));
}

static void ntb_boot(NtbTest *t, const char *more)
{
    memset(t, 0, sizeof(*t));
    t->qts = qtest_initf("-machine q35 -nodefaults %s "
                         "-device ims-ntb,id=a,addr=04.0,window-size=%d,"
                         "vectors=%d "
                         "-device ims-ntb,id=b,addr=05.0,window-size=%d,"
                         "vectors=%d,peer=a", more, (int)WINDOW, VECTORS,
                         (int)WINDOW, VECTORS);
    t->bus = qpci_new_pc(t->qts, NULL);
    ntb_map(t, 0);
    ntb_map(t, 1);
}

static void ntb_end(NtbTest *t)
{
    g_free(t->ports[0].dev);
    g_free(t->ports[1].dev);
    qpci_free_pc(t->bus);
    qtest_quit(t->qts);
}

static void ntb_link_up(NtbTest *t)
{
    ntb_write(&t->ports[0], IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
    ntb_write(&t->ports[1], IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
}

/* Let the peer's window @w lead to @addr */
static void ntb_open(Port *p, int w, uint64_t addr, uint32_t size)
{
    ntb_write(p, IMS_NTB_REG_XLAT_LO(w), addr);
    ntb_write(p, IMS_NTB_REG_XLAT_HI(w), addr >> 32);
    ntb_write(p, IMS_NTB_REG_XLAT_SIZE(w), size);
}

static uint16_t msix_flags(Port *p)
{
    return qpci_find_capability(p->dev, PCI_CAP_ID_MSIX, 0) + PCI_MSIX_FLAGS;
}

static void msix_enable(Port *p)
{
    int v;

    /* qpci_msix_enable() would move the BAR */
    qpci_config_writew(p->dev, msix_flags(p), PCI_MSIX_FLAGS_ENABLE);
    for (v = 0; v < VECTORS; v++) {
        qpci_io_writel(p->dev, p->msix, v * 16 + PCI_MSIX_ENTRY_LOWER_ADDR,
                       RAM_MSG(v));
        qpci_io_writel(p->dev, p->msix, v * 16 + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
        qpci_io_writel(p->dev, p->msix, v * 16 + PCI_MSIX_ENTRY_DATA, DATA + v);
        qpci_io_writel(p->dev, p->msix, v * 16 + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    }
}

static void msix_set_msg(Port *p, int v, uint64_t addr, uint32_t data)
{
    qpci_io_writel(p->dev, p->msix, v * 16 + PCI_MSIX_ENTRY_LOWER_ADDR, addr);
    qpci_io_writel(p->dev, p->msix, v * 16 + PCI_MSIX_ENTRY_UPPER_ADDR,
                   addr >> 32);
    qpci_io_writel(p->dev, p->msix, v * 16 + PCI_MSIX_ENTRY_DATA, data);
}

/* Where configuration space is mapped to */
static uint64_t mapped_config(NtbTest *t, int devfn)
{
    QPCIDevice *mch = qpci_device_find(t->bus, 0);

    qpci_config_writel(mch, MCH_PCIEXBAR, MMCFG | 1);
    g_free(mch);
    return MMCFG + (devfn << 12);
}

/* Has vector @v sent its message since the last look? */
static bool msix_sent(NtbTest *t, int v)
{
    uint32_t data = qtest_readl(t->qts, RAM_MSG(v));

    qtest_writel(t->qts, RAM_MSG(v), 0);
    g_assert(!data || data == DATA + v);
    return data;
}

/* The counters of errors, which are cleared: all are 0 but @n of @reason */
static void assert_errors(Port *p, uint32_t reason, uint32_t n)
{
    uint32_t i;

    for (i = 0; i < IMS_NTB_NR_ERRORS; i++) {
        g_assert_cmpuint(ntb_read(p, IMS_NTB_REG_ERRORS(i)), ==,
                         i == reason ? n : 0);
    }
    ntb_write(p, IMS_NTB_REG_COUNT_CLEAR, 1);
    g_assert_cmpuint(ntb_read(p, IMS_NTB_REG_ERRORS(reason)), ==, 0);
}

static void assert_status(NtbTest *t, uint32_t first, uint32_t second)
{
    g_assert_cmphex(ntb_read(&t->ports[0], IMS_NTB_REG_LINK_STATUS), ==,
                    first | IMS_NTB_LINK_STATUS_PRESENT);
    g_assert_cmphex(ntb_read(&t->ports[1], IMS_NTB_REG_LINK_STATUS), ==,
                    second | IMS_NTB_LINK_STATUS_PRESENT);
}

static void test_absent(void)
{
    NtbTest t;
    int i;

    ntb_boot(&t, "");
    for (i = 0; i < 2; i++) {
        Port *p = &t.ports[i];

        g_assert_cmphex(ntb_read(p, IMS_NTB_REG_ID), ==, IMS_NTB_ID);
        g_assert_cmphex(ntb_read(p, IMS_NTB_REG_VERSION), ==, IMS_NTB_VERSION);
        g_assert_cmphex(ntb_read(p, IMS_NTB_REG_WINDOW_SIZE), ==, WINDOW);
        g_assert_cmphex(ntb_read(p, IMS_NTB_REG_DB), ==, 0);
        g_assert_cmphex(ntb_read(p, IMS_NTB_REG_DB_MASK), ==, UINT32_MAX);
    }
    assert_status(&t, 0, 0);
    ntb_end(&t);
}

static void add_fails(QTestState *qts, const char *id, const char *peer,
                      uint32_t size, uint32_t vectors, const char *why)
{
    QDict *response;

    response = qtest_qmp(qts, "{'execute': 'device_add', 'arguments': "
                         "{'driver': 'ims-ntb', 'bus': 'rp', 'id': %s, "
                         "'peer': %s, 'window-size': %u, 'vectors': %u}}",
                         id, peer, size, vectors);
    g_assert(qdict_haskey(response, "error"));
    g_assert_cmpstr(qdict_get_str(qdict_get_qdict(response, "error"), "desc"),
                    ==, why);
    qobject_unref(response);
}

static void test_bad_properties(void)
{
    QTestState *qts;

    qts = qtest_init("-machine q35 -nodefaults -device pcie-root-port,id=rp "
                     "-device ims-ntb,id=a -device ims-ntb,id=b,peer=a "
                     "-device ims-ntb,id=c");
    add_fails(qts, "x", "x", 4 * MiB, 32, "peer 'x' is the device itself");
    add_fails(qts, "x", "nobody", 4 * MiB, 32,
              "peer 'nobody' is no ims-ntb that is there yet");
    add_fails(qts, "x", "rp", 4 * MiB, 32,
              "peer 'rp' is no ims-ntb that is there yet");
    add_fails(qts, "x", "a", 4 * MiB, 32, "peer 'a' has a peer already");
    add_fails(qts, "x", "b", 4 * MiB, 32, "peer 'b' has a peer already");
    add_fails(qts, "x", "c", 1 * MiB, 32, "peer 'c' has another window-size");
    add_fails(qts, "x", "c", 3 * MiB, 32,
              "window-size must be a power of two from 4096 to 268435456");
    add_fails(qts, "x", "c", 4 * MiB, 0, "vectors must be from 1 to 2048");
    add_fails(qts, "x", "c", 4 * MiB, 2049, "vectors must be from 1 to 2048");
    qtest_quit(qts);
}

/* A size may have a suffix, as others have */
static void test_window_size(void)
{
    QTestState *qts;
    QPCIDevice *dev;
    QPCIBus *bus;
    QPCIBar bar;

    qts = qtest_init("-machine q35 -nodefaults "
                     "-device ims-ntb,addr=04.0,window-size=64K "
                     "-device ims-ntb,addr=05.0,window-size=4M");
    bus = qpci_new_pc(qts, NULL);
    dev = qpci_device_find(bus, QPCI_DEVFN(4, 0));
    bar = qpci_iomap(dev, IMS_NTB_BAR_REGS, NULL);
    qpci_device_enable(dev);
    g_assert_cmphex(qpci_io_readl(dev, bar, IMS_NTB_REG_WINDOW_SIZE), ==,
                    64 * KiB);
    g_free(dev);
    qpci_free_pc(bus);
    qtest_quit(qts);
}

static void test_link(void)
{
    Port *a, *b;
    NtbTest t;

    ntb_boot(&t, "");
    a = &t.ports[0];
    b = &t.ports[1];
    msix_enable(a);
    ntb_write(a, IMS_NTB_REG_LINK_VECTOR, 2);

    ntb_write(b, IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
    assert_status(&t, IMS_NTB_LINK_STATUS_PEER, IMS_NTB_LINK_STATUS_ENABLED);
    g_assert(!msix_sent(&t, 2));
    ntb_write(a, IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
    assert_status(&t, 7, 7);
    g_assert(msix_sent(&t, 2));
    ntb_write(a, IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
    g_assert(!msix_sent(&t, 2));
    ntb_write(b, IMS_NTB_REG_LINK_CTRL, 0);
    assert_status(&t, IMS_NTB_LINK_STATUS_ENABLED, IMS_NTB_LINK_STATUS_PEER);
    g_assert(msix_sent(&t, 2));

    /* No vector at all is none that is sent */
    ntb_write(a, IMS_NTB_REG_LINK_VECTOR, VECTORS);
    ntb_write(b, IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
    assert_status(&t, 7, 7);
    assert_errors(a, 0, 0);
    assert_errors(b, 0, 0);
    ntb_end(&t);
}

static uint64_t window_rw(Port *p, int w, uint64_t off, int size, bool write,
                          uint64_t value)
{
    uint8_t buf[8];

    if (write) {
        stq_le_p(buf, value);
        qpci_memwrite(p->dev, p->windows[w], off, buf, size);
        return 0;
    }
    memset(buf, 0, sizeof(buf));
    qpci_memread(p->dev, p->windows[w], off, buf, size);
    return ldq_le_p(buf);
}

static void test_window(void)
{
    uint32_t writes = 0, reads = 0;
    int from, w, size;
    NtbTest t;

    ntb_boot(&t, "");
    ntb_link_up(&t);
    for (from = 0; from < 2; from++) {
        Port *p = &t.ports[from], *peer = &t.ports[!from];

        for (w = 0; w < IMS_NTB_NR_WINDOWS; w++) {
            uint64_t to = RAM + (from * IMS_NTB_NR_WINDOWS + w) * WINDOW;

            ntb_open(peer, w, to, WINDOW);
            for (size = 1; size <= 8; size *= 2) {
                uint64_t off = 0x100 * size;
                uint64_t mask = MAKE_64BIT_MASK(0, size * 8);

                qtest_writeq(t.qts, to + off, UINT64_MAX);
                window_rw(p, w, off, size, true, PATTERN);
                g_assert_cmphex(qtest_readq(t.qts, to + off), ==,
                                (PATTERN & mask) | ~mask);
                qtest_writeq(t.qts, to + off, ~PATTERN);
                g_assert_cmphex(window_rw(p, w, off, size, false, 0), ==,
                                ~PATTERN & mask);
            }
        }
        writes = ntb_read(p, IMS_NTB_REG_WRITES);
        reads = ntb_read(p, IMS_NTB_REG_READS);
        g_assert_cmpuint(writes, ==, 4 * IMS_NTB_NR_WINDOWS);
        g_assert_cmpuint(reads, ==, 4 * IMS_NTB_NR_WINDOWS);
        assert_errors(p, 0, 0);
        assert_errors(peer, 0, 0);
    }
    ntb_end(&t);
}

static void test_window_refused(void)
{
    Port *a, *b;
    NtbTest t;

    ntb_boot(&t, "");
    a = &t.ports[0];
    b = &t.ports[1];

    /* The link is down; the counters tell, as nothing else can */
    ntb_open(b, 0, RAM, 0x100);
    qpci_io_writel(a->dev, a->windows[0], 0, DATA);
    g_assert_cmphex(qpci_io_readl(a->dev, a->windows[0], 0), ==, UINT32_MAX);
    assert_errors(a, IMS_NTB_ERROR_LINK, 2);
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_PEER_SPAD(0)), ==, UINT32_MAX);
    ntb_write(a, IMS_NTB_REG_PEER_DB_SET, 1);
    assert_errors(a, IMS_NTB_ERROR_LINK, 2);

    /* The end of what is translated, and what reaches beyond it */
    ntb_link_up(&t);
    qpci_io_writel(a->dev, a->windows[0], 0xfc, DATA);
    g_assert_cmphex(qtest_readl(t.qts, RAM + 0xfc), ==, DATA);
    assert_errors(a, 0, 0);
    qpci_io_writeq(a->dev, a->windows[0], 0xfc, 0);
    qpci_io_writel(a->dev, a->windows[0], 0x100, 0);
    qpci_io_writel(a->dev, a->windows[1], 0, 0);
    g_assert_cmphex(qtest_readl(t.qts, RAM + 0xfc), ==, DATA);
    assert_errors(a, IMS_NTB_ERROR_RANGE, 3);

    /* Nothing is there, or the peer is no bus master */
    ntb_open(b, 0, NOWHERE, WINDOW);
    qpci_io_writel(a->dev, a->windows[0], 0, 0);
    assert_errors(a, IMS_NTB_ERROR_BUS, 1);
    ntb_open(b, 0, RAM, WINDOW);
    qpci_config_writew(b->dev, PCI_COMMAND, PCI_COMMAND_MEMORY);
    qpci_io_writel(a->dev, a->windows[0], 0xfc, 0);
    g_assert_cmphex(qtest_readl(t.qts, RAM + 0xfc), ==, DATA);
    assert_errors(a, IMS_NTB_ERROR_BUS, 1);
    assert_errors(b, 0, 0);

    /* Low bits of the address and a size that is too large */
    ntb_open(b, 1, RAM + 0xfff8, UINT32_MAX);
    g_assert_cmphex(ntb_read(b, IMS_NTB_REG_XLAT_LO(1)), ==, RAM);
    g_assert_cmphex(ntb_read(b, IMS_NTB_REG_XLAT_SIZE(1)), ==, WINDOW);
    ntb_end(&t);
}

/* A window that leads to a window, of either port */
static void test_nested(void)
{
    Port *a, *b;
    NtbTest t;

    ntb_boot(&t, "");
    a = &t.ports[0];
    b = &t.ports[1];
    ntb_link_up(&t);

    ntb_open(b, 0, a->windows[0].addr, WINDOW);
    ntb_open(a, 0, b->windows[0].addr, WINDOW);
    qpci_io_writel(a->dev, a->windows[0], 0, DATA);
    g_assert_cmphex(qpci_io_readl(a->dev, a->windows[0], 0), ==, UINT32_MAX);
    assert_errors(a, IMS_NTB_ERROR_NESTED, 2);

    ntb_open(b, 0, b->windows[0].addr, WINDOW);
    qpci_io_writel(a->dev, a->windows[0], 0, DATA);
    assert_errors(b, IMS_NTB_ERROR_NESTED, 1);
    assert_errors(a, 0, 0);

    /* It is over with that access */
    ntb_open(b, 0, RAM, WINDOW);
    qpci_io_writel(a->dev, a->windows[0], 0, DATA);
    g_assert_cmphex(qtest_readl(t.qts, RAM), ==, DATA);
    assert_errors(a, 0, 0);
    ntb_end(&t);
}

/*
 * What comes out of the peer has the peer's requester id: VT-d lets a message
 * pass where the remapping entry asks for it, and refuses where the entry asks
 * for the id of the port that was written to.
 */
static void test_requester_id(void)
{
    NtbTest t;
    int from, i;

    ntb_boot(&t, "-device intel-iommu,intremap=on,eim=off");
    ntb_link_up(&t);
    qtest_writeq(t.qts, VTD_BASE + VTD_IRTA, VTD_TABLE | 7);
    qtest_writel(t.qts, VTD_BASE + VTD_GCMD, VTD_GCMD_SIRTP);
    qtest_writel(t.qts, VTD_BASE + VTD_GCMD, VTD_GCMD_IRE);
    for (i = 0; i < 2; i++) {
        qtest_writeq(t.qts, VTD_TABLE + i * 16, VTD_IRTE_PRESENT | 0x41 << 16);
        qtest_writeq(t.qts, VTD_TABLE + i * 16 + 8, VTD_IRTE_VERIFY | DEVFN(i));
    }
    for (from = 0; from < 2; from++) {
        Port *p = &t.ports[from];

        ntb_open(&t.ports[!from], 1, 0xfee00000, WINDOW);
        qpci_io_writel(p->dev, p->windows[1], !from << 5 | 1 << 4, 0);
        g_assert_cmpuint(ntb_read(p, IMS_NTB_REG_WRITES), ==, 1);
        assert_errors(p, 0, 0);
        qpci_io_writel(p->dev, p->windows[1], from << 5 | 1 << 4, 0);
        assert_errors(p, IMS_NTB_ERROR_BUS, 1);
    }
    ntb_end(&t);
}

static void test_spads(void)
{
    NtbTest t;
    int from, n;

    ntb_boot(&t, "");
    ntb_link_up(&t);
    for (from = 0; from < 2; from++) {
        Port *p = &t.ports[from], *peer = &t.ports[!from];

        for (n = 0; n < IMS_NTB_NR_SPADS; n++) {
            ntb_write(p, IMS_NTB_REG_SPAD(n), 0x100 * from + n);
        }
        for (n = 0; n < IMS_NTB_NR_SPADS; n++) {
            g_assert_cmphex(ntb_read(p, IMS_NTB_REG_SPAD(n)), ==,
                            0x100 * from + n);
            g_assert_cmphex(ntb_read(peer, IMS_NTB_REG_PEER_SPAD(n)), ==,
                            0x100 * from + n);
            ntb_write(peer, IMS_NTB_REG_PEER_SPAD(n), 0x80000000 | n);
            g_assert_cmphex(ntb_read(p, IMS_NTB_REG_SPAD(n)), ==,
                            0x80000000 | n);
        }
        assert_errors(p, 0, 0);
        assert_errors(peer, 0, 0);
    }
    ntb_end(&t);
}

static void test_doorbells(void)
{
    Port *a, *b;
    NtbTest t;

    ntb_boot(&t, "");
    a = &t.ports[0];
    b = &t.ports[1];
    ntb_link_up(&t);
    msix_enable(b);
    ntb_write(b, IMS_NTB_REG_LINK_VECTOR, 0);
    ntb_write(b, IMS_NTB_REG_DB_VECTOR, 1);

    /* Masked from reset on */
    ntb_write(a, IMS_NTB_REG_PEER_DB_SET, 0x80000003);
    g_assert_cmphex(ntb_read(b, IMS_NTB_REG_DB), ==, 0x80000003);
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_PEER_DB), ==, 0x80000003);
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_DB), ==, 0);
    g_assert(!msix_sent(&t, 1));

    /* Unmasking one that rang, clearing it, and ringing again, twice */
    ntb_write(b, IMS_NTB_REG_DB_MASK_CLEAR, 2);
    g_assert(msix_sent(&t, 1));
    ntb_write(b, IMS_NTB_REG_DB_MASK_CLEAR, 2);
    g_assert(!msix_sent(&t, 1));
    ntb_write(b, IMS_NTB_REG_DB_CLEAR, 2);
    g_assert_cmphex(ntb_read(b, IMS_NTB_REG_DB), ==, 0x80000001);
    ntb_write(a, IMS_NTB_REG_PEER_DB_SET, 2);
    g_assert(msix_sent(&t, 1));
    ntb_write(b, IMS_NTB_REG_DB_SET, 2);
    g_assert(msix_sent(&t, 1));
    ntb_write(a, IMS_NTB_REG_PEER_DB_SET, 4);
    g_assert(!msix_sent(&t, 1));

    /* The peer's mask */
    ntb_write(a, IMS_NTB_REG_PEER_DB_MASK_CLEAR, 4);
    g_assert(msix_sent(&t, 1));
    g_assert_cmphex(ntb_read(b, IMS_NTB_REG_DB_MASK), ==, ~6U);
    ntb_write(a, IMS_NTB_REG_PEER_DB_MASK_SET, 4);
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_PEER_DB_MASK), ==, ~2U);
    ntb_write(a, IMS_NTB_REG_PEER_DB_CLEAR, UINT32_MAX);
    g_assert_cmphex(ntb_read(b, IMS_NTB_REG_DB), ==, 0);
    g_assert(!msix_sent(&t, 0));
    assert_errors(a, 0, 0);
    assert_errors(b, 0, 0);
    ntb_end(&t);
}

static void test_bad_register(void)
{
    static const uint32_t unreadable[] = {
        0x00c, IMS_NTB_REG_DB_SET, IMS_NTB_REG_PEER_DB_CLEAR, 0x058,
        IMS_NTB_REG_ERRORS(IMS_NTB_NR_ERRORS), 0x10c,
        IMS_NTB_REG_XLAT_LO(IMS_NTB_NR_WINDOWS),
        IMS_NTB_REG_SPAD(IMS_NTB_NR_SPADS),
        IMS_NTB_REG_PEER_SPAD(IMS_NTB_NR_SPADS), IMS_NTB_REGS_SIZE - 4,
    };
    static const uint32_t unwritable[] = {
        IMS_NTB_REG_ID, IMS_NTB_REG_LINK_STATUS, IMS_NTB_REG_DB,
        IMS_NTB_REG_PEER_DB_MASK, IMS_NTB_REG_WRITES, 0x11c,
    };
    NtbTest t;
    Port *a;
    int i;

    ntb_boot(&t, "");
    a = &t.ports[0];
    ntb_link_up(&t);
    for (i = 0; i < ARRAY_SIZE(unreadable); i++) {
        g_assert_cmphex(ntb_read(a, unreadable[i]), ==, UINT32_MAX);
    }
    assert_errors(a, IMS_NTB_ERROR_REG, i);
    for (i = 0; i < ARRAY_SIZE(unwritable); i++) {
        ntb_write(a, unwritable[i], 0);
    }
    assert_errors(a, IMS_NTB_ERROR_REG, i);
    qpci_io_readb(a->dev, a->regs, 0);
    qpci_io_readw(a->dev, a->regs, 0);
    qpci_io_readq(a->dev, a->regs, 0);
    qpci_io_readl(a->dev, a->regs, 2);
    assert_errors(a, IMS_NTB_ERROR_REG, 4);
    ntb_end(&t);
}

static uint16_t power_offset(Port *p)
{
    return qpci_find_capability(p->dev, PCI_CAP_ID_PM, 0) + PCI_PM_CTRL;
}

/* After a reset of a port: BARs are gone */
static void ntb_restore(Port *p)
{
    int i;

    qpci_config_writel(p->dev, PCI_BASE_ADDRESS_0, p->regs.addr);
    qpci_config_writel(p->dev, PCI_BASE_ADDRESS_1, p->msix.addr);
    for (i = 0; i < IMS_NTB_NR_WINDOWS; i++) {
        qpci_config_writel(p->dev, PCI_BASE_ADDRESS_2 + 4 * i,
                           p->windows[i].addr);
    }
    qpci_device_enable(p->dev);
}

static void assert_reset(Port *p)
{
    int i;

    g_assert_cmphex(ntb_read(p, IMS_NTB_REG_LINK_CTRL), ==, 0);
    g_assert_cmphex(ntb_read(p, IMS_NTB_REG_DB), ==, 0);
    g_assert_cmphex(ntb_read(p, IMS_NTB_REG_DB_MASK), ==, UINT32_MAX);
    g_assert_cmphex(ntb_read(p, IMS_NTB_REG_SPAD(3)), ==, 0);
    for (i = 0; i < IMS_NTB_NR_WINDOWS; i++) {
        g_assert_cmphex(ntb_read(p, IMS_NTB_REG_XLAT_LO(i)), ==, 0);
        g_assert_cmphex(ntb_read(p, IMS_NTB_REG_XLAT_SIZE(i)), ==, 0);
    }
}

static void use_port(NtbTest *t)
{
    Port *a = &t->ports[0], *b = &t->ports[1];

    ntb_link_up(t);
    msix_enable(a);
    ntb_write(a, IMS_NTB_REG_LINK_VECTOR, 3);
    ntb_open(b, 0, RAM, WINDOW);
    ntb_write(b, IMS_NTB_REG_SPAD(3), DATA);
    ntb_write(b, IMS_NTB_REG_DB_SET, 1);
    ntb_write(b, IMS_NTB_REG_DB_MASK_CLEAR, 2);
}

static void test_flr(void)
{
    Port *a, *b;
    uint8_t exp;
    NtbTest t;

    ntb_boot(&t, "");
    a = &t.ports[0];
    b = &t.ports[1];
    use_port(&t);
    exp = qpci_find_capability(b->dev, PCI_CAP_ID_EXP, 0);
    qpci_config_writew(b->dev, exp + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
    ntb_restore(b);
    assert_reset(b);
    g_assert(msix_sent(&t, 3));
    assert_status(&t, IMS_NTB_LINK_STATUS_ENABLED, IMS_NTB_LINK_STATUS_PEER);
    qpci_io_writel(a->dev, a->windows[0], 0, 0);
    assert_errors(a, IMS_NTB_ERROR_LINK, 1);
    ntb_end(&t);
}

static void test_d3hot(void)
{
    uint16_t pm;
    Port *a, *b;
    NtbTest t;

    ntb_boot(&t, "");
    a = &t.ports[0];
    b = &t.ports[1];
    use_port(&t);
    pm = power_offset(b);
    /* A state that isn't there */
    qpci_config_writew(b->dev, pm, 1);
    g_assert_cmphex(qpci_config_readw(b->dev, pm), ==, 0);
    g_assert_cmphex(ntb_read(b, IMS_NTB_REG_ID), ==, IMS_NTB_ID);
    g_assert(!msix_sent(&t, 3));

    qpci_config_writew(b->dev, pm, 3);
    g_assert(msix_sent(&t, 3));
    g_assert_cmphex(ntb_read(b, IMS_NTB_REG_ID), ==, UINT32_MAX);
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_LINK_STATUS), ==,
                    IMS_NTB_LINK_STATUS_PRESENT | IMS_NTB_LINK_STATUS_ENABLED);
    qpci_io_writel(a->dev, a->windows[0], 0, DATA);
    assert_errors(a, IMS_NTB_ERROR_LINK, 1);

    qpci_config_writew(b->dev, pm, 0);
    g_assert(!msix_sent(&t, 3));
    ntb_restore(b);
    assert_reset(b);
    ntb_end(&t);
}

static void test_reset(void)
{
    NtbTest t;

    ntb_boot(&t, "");
    use_port(&t);
    qtest_qmp_send(t.qts, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(t.qts, "RESET");
    ntb_restore(&t.ports[0]);
    ntb_restore(&t.ports[1]);
    assert_reset(&t.ports[0]);
    assert_reset(&t.ports[1]);
    assert_status(&t, 0, 0);
    ntb_end(&t);
}

/* The peer goes; a new one takes its place */
static void test_unplug(void)
{
    QPCIDevice *port;
    QDict *response;
    NtbTest t;
    Port *a;

    memset(&t, 0, sizeof(t));
    t.qts = qtest_initf("-machine q35 -nodefaults "
                        "-global ICH9-LPC."
                        "acpi-pci-hotplug-with-bridge-support=off "
                        "-device ims-ntb,id=a,addr=04.0,window-size=%d,"
                        "vectors=%d -device pcie-root-port,id=rp,addr=06.0 "
                        "-device ims-ntb,id=b,bus=rp,window-size=%d,peer=a",
                        (int)WINDOW, VECTORS, (int)WINDOW);
    t.bus = qpci_new_pc(t.qts, NULL);
    ntb_map(&t, 0);
    a = &t.ports[0];
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_LINK_STATUS), ==,
                    IMS_NTB_LINK_STATUS_PRESENT);
    /* The slot's power goes off, and the device with it */
    port = qpci_device_find(t.bus, DEVFN(2));
    qpci_config_writew(port, qpci_find_capability(port, PCI_CAP_ID_EXP, 0) +
                       PCI_EXP_SLTCTL,
                       PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF);
    g_free(port);
    qtest_qmp_eventwait(t.qts, "DEVICE_DELETED");
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_LINK_STATUS), ==, 0);
    ntb_write(a, IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
    qpci_io_writel(a->dev, a->windows[0], 0, DATA);
    assert_errors(a, IMS_NTB_ERROR_LINK, 1);

    response = qtest_qmp(t.qts, "{'execute': 'device_add', 'arguments': "
                         "{'driver': 'ims-ntb', 'bus': 'rp', 'id': 'c', "
                         "'peer': 'a', 'window-size': %u}}", (unsigned)WINDOW);
    g_assert(qdict_haskey(response, "return"));
    qobject_unref(response);
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_LINK_STATUS), ==,
                    IMS_NTB_LINK_STATUS_PRESENT | IMS_NTB_LINK_STATUS_ENABLED);
    g_free(a->dev);
    qpci_free_pc(t.bus);
    qtest_quit(t.qts);
}

/*
 * What the port that stays sends when the peer goes: to RAM, or to what is
 * being taken away
 */
static const struct {
    const char *name;
    /* 0: RAM; 1: the peer's command register; 2: the slot that it is in */
    int where;
    uint32_t data;
} farewells[] = {
    { "ram", 0, DATA },
    { "command-off", 1, 0 },
    { "command-on", 1, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER },
    { "slot-off", 2, PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF },
};

static void test_unplug_message(const void *opaque)
{
    uint32_t n = GPOINTER_TO_UINT(opaque);
    uint64_t to[3] = { RAM_MSG(0) };
    QPCIDevice *port;
    uint16_t slot;
    NtbTest t;
    Port *a, *b;
    int i;

    memset(&t, 0, sizeof(t));
    t.qts = qtest_initf("-machine q35 -nodefaults "
                        "-global ICH9-LPC."
                        "acpi-pci-hotplug-with-bridge-support=off "
                        "-device ims-ntb,id=a,addr=04.0,window-size=%d "
                        "-device pcie-root-port,id=rp,addr=06.0,chassis=1 "
                        "-device ims-ntb,id=b,bus=rp,window-size=%d,peer=a",
                        (int)WINDOW, (int)WINDOW);
    t.bus = qpci_new_pc(t.qts, NULL);
    a = &t.ports[0];
    b = &t.ports[1];
    port = qpci_device_find(t.bus, DEVFN(2));
    qpci_config_writel(port, PCI_PRIMARY_BUS, 0x00010100);
    qpci_config_writel(port, PCI_MEMORY_BASE, 0xe000e000 | 0x0ff00000);
    qpci_device_enable(port);
    slot = qpci_find_capability(port, PCI_CAP_ID_EXP, 0) + PCI_EXP_SLTCTL;
    ntb_map(&t, 0);
    ntb_map_at(&t, 1, 1 << 8);
    to[1] = mapped_config(&t, 1 << 8) + PCI_COMMAND;
    to[2] = mapped_config(&t, DEVFN(2)) + slot;

    ntb_write(a, IMS_NTB_REG_LINK_VECTOR, UINT32_MAX);
    ntb_link_up(&t);
    msix_enable(a);
    msix_set_msg(a, 0, to[farewells[n].where], farewells[n].data);
    ntb_write(a, IMS_NTB_REG_LINK_VECTOR, 0);
    assert_status(&t, 7, 7);

    qpci_config_writew(port, slot,
                       PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF);
    qtest_qmp_eventwait(t.qts, "DEVICE_DELETED");
    if (!farewells[n].where) {
        for (i = 0; i < 600 && !msix_sent(&t, 0); i++) {
            g_usleep(10000);
        }
        g_assert_cmpint(i, <, 600);
    }
    /* Once, and nothing is left of the peer */
    qtest_clock_step(t.qts, 1000000000);
    g_assert(!msix_sent(&t, 0));
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_LINK_STATUS), ==,
                    IMS_NTB_LINK_STATUS_ENABLED);
    g_assert_cmphex(ntb_read(b, IMS_NTB_REG_ID), !=, IMS_NTB_ID);
    assert_errors(a, 0, 0);
    g_free(port);
    g_free(b->dev);
    g_free(a->dev);
    qpci_free_pc(t.bus);
    qtest_quit(t.qts);
}

/*
 * While the registers of a port are accessed, nothing comes back to them, also
 * if a window of the port was accessed in between
 */
static void test_guard(void)
{
    Port *a, *b;
    NtbTest t;
    int i;

    ntb_boot(&t, "");
    a = &t.ports[0];
    b = &t.ports[1];
    msix_enable(a);
    msix_enable(b);
    ntb_open(b, 0, RAM, WINDOW);
    msix_set_msg(b, 0, a->regs.addr + IMS_NTB_REG_SPAD(0), DATA);
    ntb_write(b, IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
    for (i = 0; i < 2; i++) {
        msix_set_msg(a, 0, i ? a->windows[0].addr : RAM, DATA);
        ntb_write(a, IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
        g_assert_cmphex(qtest_readl(t.qts, RAM), ==, DATA);
        qtest_writel(t.qts, RAM, 0);
        g_assert_cmphex(ntb_read(a, IMS_NTB_REG_SPAD(0)), ==, 0);
        ntb_write(a, IMS_NTB_REG_LINK_VECTOR, VECTORS);
        ntb_write(b, IMS_NTB_REG_LINK_VECTOR, VECTORS);
        ntb_write(a, IMS_NTB_REG_LINK_CTRL, 0);
        ntb_write(a, IMS_NTB_REG_LINK_VECTOR, 0);
        ntb_write(b, IMS_NTB_REG_LINK_VECTOR, 0);
    }
    /* Elsewhere it arrives */
    ntb_write(b, IMS_NTB_REG_LINK_CTRL, 0);
    ntb_write(a, IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
    ntb_write(b, IMS_NTB_REG_LINK_CTRL, IMS_NTB_LINK_CTRL_ENABLE);
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_SPAD(0)), ==, DATA);
    ntb_end(&t);
}

/* What an access to configuration space releases does not come back to registers */
static void test_config_release(void)
{
    uint16_t flags;
    NtbTest t;
    Port *b;
    int v;

    ntb_boot(&t, "");
    b = &t.ports[1];
    flags = msix_flags(b);
    ntb_link_up(&t);
    msix_enable(b);
    qpci_config_writew(b->dev, flags,
                       PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    msix_set_msg(b, 1, b->regs.addr + IMS_NTB_REG_SPAD(0), DATA);
    ntb_write(b, IMS_NTB_REG_DB_MASK_CLEAR, 1);
    for (v = 0; v < 3; v++) {
        ntb_write(b, IMS_NTB_REG_DB_VECTOR, v);
        ntb_write(b, IMS_NTB_REG_DB_SET, 1);
    }
    g_assert_cmphex(qpci_io_readl(b->dev, b->msix, MSIX_PBA), ==, 7);

    qpci_config_writew(b->dev, flags, PCI_MSIX_FLAGS_ENABLE);
    g_assert_cmphex(qpci_io_readl(b->dev, b->msix, MSIX_PBA), ==, 0);
    g_assert(msix_sent(&t, 0));
    g_assert(msix_sent(&t, 2));
    g_assert_cmphex(ntb_read(b, IMS_NTB_REG_SPAD(0)), ==, 0);
    ntb_end(&t);
}

/*
 * Bridges in a row: the messages of both ports of each one have the link of the
 * next one go up, and down again, so that each has twice as many to send
 */
#define BRIDGES 16

static void test_limit(void)
{
    g_autoptr(GString) args = g_string_new("-machine q35 -nodefaults");
    QPCIDevice *dev[2 * BRIDGES];
    QPCIBar regs[2 * BRIDGES], msix;
    uint32_t i, errors = 0;
    QTestState *qts;
    QPCIBus *bus;

    for (i = 0; i < 2 * BRIDGES; i++) {
        g_string_append_printf(args, " -device ims-ntb,id=p%u,addr=%02x.%u,"
                               "multifunction=on,window-size=4K", i, 4 + i / 8,
                               i % 8);
        if (i % 2) {
            g_string_append_printf(args, ",peer=p%u", i - 1);
        }
    }
    qts = qtest_init(args->str);
    bus = qpci_new_pc(qts, NULL);
    for (i = 0; i < 2 * BRIDGES; i++) {
        dev[i] = qpci_device_find(bus, QPCI_DEVFN(4 + i / 8, i % 8));
        regs[i] = qpci_iomap(dev[i], IMS_NTB_BAR_REGS, NULL);
        qpci_device_enable(dev[i]);
        if (i % 2) {
            qpci_io_writel(dev[i], regs[i], IMS_NTB_REG_LINK_CTRL, 1);
        }
    }
    for (i = 0; i < 2 * BRIDGES; i++) {
        uint32_t next = (i & ~1) + 2;

        msix = qpci_iomap(dev[i], IMS_NTB_BAR_MSIX, NULL);
        qpci_io_writel(dev[i], msix, PCI_MSIX_ENTRY_LOWER_ADDR,
                       next < 2 * BRIDGES ?
                       regs[next].addr + IMS_NTB_REG_LINK_CTRL : RAM_MSG(0));
        qpci_io_writel(dev[i], msix, PCI_MSIX_ENTRY_DATA, !(i % 2));
        qpci_io_writel(dev[i], msix, PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
        qpci_config_writew(dev[i], qpci_find_capability(dev[i],
                                                        PCI_CAP_ID_MSIX, 0) +
                           PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
    }

    qpci_io_writel(dev[0], regs[0], IMS_NTB_REG_LINK_CTRL, 1);
    for (i = 0; i < 2 * BRIDGES; i++) {
        errors += qpci_io_readl(dev[i], regs[i],
                                IMS_NTB_REG_ERRORS(IMS_NTB_ERROR_BUS));
        g_free(dev[i]);
    }
    g_assert_cmpuint(errors, >, 0);
    g_assert_cmpuint(errors, <=, 16384);
    qpci_free_pc(bus);
    qtest_quit(qts);
}

static void test_migrate(void)
{
    g_autofree char *file = NULL, *uri = NULL;
    QDict *response;
    NtbTest t;
    Port *a;
    int fd;

    ntb_boot(&t, "");
    a = &t.ports[0];
    use_port(&t);
    fd = g_file_open_tmp("ims-ntb-XXXXXX", &file, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    uri = g_strdup_printf("exec:cat > %s", file);
    response = qtest_qmp(t.qts, "{'execute': 'migrate', "
                         "'arguments': {'uri': %s}}", uri);
    g_assert(qdict_haskey(response, "return"));
    qobject_unref(response);
    wait_migrated(t.qts);
    qtest_quit(t.qts);
    qpci_free_pc(t.bus);

    t.qts = qtest_initf("-machine q35 -nodefaults "
                        "-device ims-ntb,id=a,addr=04.0,window-size=%d,"
                        "vectors=%d "
                        "-device ims-ntb,id=b,addr=05.0,window-size=%d,"
                        "vectors=%d,peer=a -incoming \"exec:cat %s\"",
                        (int)WINDOW, VECTORS, (int)WINDOW, VECTORS, file);
    t.bus = qpci_new_pc(t.qts, NULL);
    t.ports[0].dev->bus = t.bus;
    t.ports[1].dev->bus = t.bus;
    wait_migrated(t.qts);
    unlink(file);

    assert_status(&t, 7, 7);
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_PEER_SPAD(3)), ==, DATA);
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_PEER_DB), ==, 1);
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_PEER_DB_MASK), ==, ~2U);
    g_assert_cmphex(ntb_read(a, IMS_NTB_REG_LINK_VECTOR), ==, 3);
    qpci_io_writel(a->dev, a->windows[0], 8, DATA);
    g_assert_cmphex(qtest_readl(t.qts, RAM + 8), ==, DATA);
    assert_errors(a, 0, 0);
    ntb_end(&t);
}

/*
 * Whatever a guest does, QEMU and the device survive it. Windows and messages
 * lead to RAM, both ports' BARs and both ports' configuration space.
 */
static void test_fuzz(void)
{
    GRand *rand = g_rand_new_with_seed(0x494d534e);
    uint64_t targets[16], nr = 0;
    QPCIDevice *mch;
    NtbTest t;
    int i, n;

    ntb_boot(&t, "");
    mch = qpci_device_find(t.bus, 0);
    qpci_config_writel(mch, MCH_PCIEXBAR, MMCFG | 1);
    g_free(mch);
    for (i = 0; i < 2; i++) {
        targets[nr++] = t.ports[i].regs.addr;
        targets[nr++] = t.ports[i].msix.addr;
        for (n = 0; n < IMS_NTB_NR_WINDOWS; n++) {
            targets[nr++] = t.ports[i].windows[n].addr;
        }
        targets[nr++] = MMCFG + (DEVFN(i) << 12);
    }
    targets[nr++] = RAM;
    targets[nr++] = 0xfee00000;

    for (i = 0; i < 30000; i++) {
        Port *p = &t.ports[g_rand_int_range(rand, 0, 2)];
        uint32_t value = g_rand_int(rand);
        uint32_t off = g_rand_int_range(rand, 0, 0x400 / 4) * 4;
        uint64_t target = targets[g_rand_int_range(rand, 0, nr)];
        int w = g_rand_int_range(rand, 0, IMS_NTB_NR_WINDOWS);
        int v = g_rand_int_range(rand, 0, VECTORS);

        switch (g_rand_int_range(rand, 0, 12)) {
        case 0:
            ntb_read(p, off);
            break;
        case 1:
            ntb_write(p, off, value);
            break;
        case 2:
            ntb_write(p, off, value & 3);
            break;
        case 3 ... 5:
            qpci_io_writel(p->dev, p->windows[w], off, value);
            break;
        case 6:
            window_rw(p, w, off + value % 4, 1 << value % 4, value >> 31,
                      value);
            break;
        case 7:
            ntb_open(p, w, target, WINDOW);
            break;
        case 8:
            qpci_io_writel(p->dev, p->msix, v * 16, target + off);
            qpci_io_writel(p->dev, p->msix, v * 16 + 4, 0);
            qpci_io_writel(p->dev, p->msix, v * 16 + 8, value & 0xff);
            qpci_io_writel(p->dev, p->msix, v * 16 + 12, value >> 31);
            break;
        case 9:
            qpci_config_writel(p->dev, off & 0xfc, value);
            break;
        case 10:
            /* MSI-X on, with all masked or not */
            qpci_config_writew(p->dev, msix_flags(p),
                               PCI_MSIX_FLAGS_ENABLE |
                               (value & PCI_MSIX_FLAGS_MASKALL));
            break;
        case 11:
            ntb_link_up(&t);
            ntb_write(p, IMS_NTB_REG_DB_VECTOR, v);
            ntb_write(p, IMS_NTB_REG_DB_MASK_CLEAR, UINT32_MAX);
            break;
        }
        if (i % 50 == 0) {
            qpci_config_writew(p->dev, power_offset(p), 0);
            ntb_restore(p);
        }
    }
    g_rand_free(rand);

    for (i = 0; i < 2; i++) {
        qpci_config_writew(t.ports[i].dev, power_offset(&t.ports[i]), 3);
        qpci_config_writew(t.ports[i].dev, power_offset(&t.ports[i]), 0);
        ntb_restore(&t.ports[i]);
        assert_reset(&t.ports[i]);
    }
    ntb_end(&t);
}

int main(int argc, char **argv)
{
    uint32_t i;

    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/ims-ntb/absent", test_absent);
    qtest_add_func("/ims-ntb/bad-properties", test_bad_properties);
    qtest_add_func("/ims-ntb/window-size", test_window_size);
    qtest_add_func("/ims-ntb/link", test_link);
    qtest_add_func("/ims-ntb/window", test_window);
    qtest_add_func("/ims-ntb/window-refused", test_window_refused);
    qtest_add_func("/ims-ntb/nested", test_nested);
    qtest_add_func("/ims-ntb/requester-id", test_requester_id);
    qtest_add_func("/ims-ntb/spads", test_spads);
    qtest_add_func("/ims-ntb/doorbells", test_doorbells);
    qtest_add_func("/ims-ntb/bad-register", test_bad_register);
    qtest_add_func("/ims-ntb/flr", test_flr);
    qtest_add_func("/ims-ntb/d3hot", test_d3hot);
    qtest_add_func("/ims-ntb/reset", test_reset);
    qtest_add_func("/ims-ntb/unplug", test_unplug);
    for (i = 0; i < ARRAY_SIZE(farewells); i++) {
        g_autofree char *path = g_strdup_printf("/ims-ntb/unplug-message/%s",
                                                farewells[i].name);

        qtest_add_data_func(path, GUINT_TO_POINTER(i), test_unplug_message);
    }
    qtest_add_func("/ims-ntb/guard", test_guard);
    qtest_add_func("/ims-ntb/config-release", test_config_release);
    qtest_add_func("/ims-ntb/limit", test_limit);
    qtest_add_func("/ims-ntb/migrate", test_migrate);
    qtest_add_func("/ims-ntb/fuzz", test_fuzz);

    return g_test_run();
}
