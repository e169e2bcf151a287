/*
 * QTest testcase for ims-testdev
 *
 * docs/specs/ims-testdev.rst says what is expected here. Messages go to RAM,
 * where the data that has arrived can be read back.
 *
 * This work is licensed under the terms of the GNU GPL, version 2 or later.
 * See the COPYING file in the top-level directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/units.h"
#include "libqtest.h"
#include "libqos/pci.h"
#include "libqos/pci-pc.h"
#include "qapi/qmp/qdict.h"
#include "standard-headers/linux/pci_regs.h"
#include "standard-headers/misc/ims_testdev_regs.h"

#define DEVFN           QPCI_DEVFN(4, 0)
#define MSI_VECTORS     32
#define MSIX_VECTORS    2048
#define SLOTS           2048
#define MSIX_PBA        0x8000

/* Where messages go: not a multiple of anything but four */
#define RAM_MSG         0x100004
#define DATA            0xcafe1234
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

typedef struct ImsTest {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *dev;
    QPCIBar regs;
    QPCIBar table;
    QPCIBar msix;
    uint64_t table_size;
    uint8_t msi_cap;
    uint8_t msix_cap;
} ImsTest;

static void ims_map(ImsTest *t, int devfn)
{
    uint64_t size;

    t->dev = qpci_device_find(t->bus, devfn);
    g_assert_nonnull(t->dev);
    t->regs = qpci_iomap(t->dev, IMS_TD_BAR_REGS, &size);
    g_assert_cmphex(size, ==, IMS_TD_REGS_SIZE);
    t->table = qpci_iomap(t->dev, IMS_TD_BAR_TABLE, &t->table_size);
    t->msix = qpci_iomap(t->dev, IMS_TD_BAR_MSIX, NULL);
    qpci_device_enable(t->dev);

    t->msi_cap = qpci_find_capability(t->dev, PCI_CAP_ID_MSI, 0);
    t->msix_cap = qpci_find_capability(t->dev, PCI_CAP_ID_MSIX, 0);
    g_assert_cmphex(t->msi_cap, !=, 0);
    g_assert_cmphex(t->msix_cap, !=, 0);
}

static void G_GNUC_PRINTF(2, 3) ims_start(ImsTest *t, const char *fmt, ...)
{
    va_list ap;
    g_autofree char *args = NULL;

    va_start(ap, fmt);
    args = g_strdup_vprintf(fmt, ap);
    va_end(ap);

    memset(t, 0, sizeof(*t));
    t->qts = qtest_initf("-machine q35 -nodefaults %s", args);
    t->bus = qpci_new_pc(t->qts, NULL);
}

static void ims_boot(ImsTest *t)
{
    ims_start(t, "-device ims-testdev,addr=04.0");
    ims_map(t, DEVFN);
}

static void ims_end(ImsTest *t)
{
    g_free(t->dev);
    qpci_free_pc(t->bus);
    qtest_quit(t->qts);
}

static uint32_t ims_read(ImsTest *t, uint32_t reg)
{
    return qpci_io_readl(t->dev, t->regs, reg);
}

static void ims_write(ImsTest *t, uint32_t reg, uint32_t value)
{
    qpci_io_writel(t->dev, t->regs, reg, value);
}

static uint32_t table_read(ImsTest *t, uint32_t slot, uint32_t field)
{
    return qpci_io_readl(t->dev, t->table, slot * IMS_TD_SLOT_SIZE + field);
}

static void table_write(ImsTest *t, uint32_t slot, uint32_t field,
                        uint32_t value)
{
    qpci_io_writel(t->dev, t->table, slot * IMS_TD_SLOT_SIZE + field, value);
}

static void ims_fire(ImsTest *t, uint32_t kind, uint32_t slot)
{
    ims_write(t, IMS_TD_REG_FIRE_KIND, kind);
    ims_write(t, IMS_TD_REG_FIRE_FIRST, slot);
    ims_write(t, IMS_TD_REG_FIRE, IMS_TD_FIRE_ONE);
}

static void ims_fire_range(ImsTest *t, uint32_t kind, uint32_t first,
                           uint32_t count)
{
    ims_write(t, IMS_TD_REG_FIRE_KIND, kind);
    ims_write(t, IMS_TD_REG_FIRE_FIRST, first);
    ims_write(t, IMS_TD_REG_FIRE_COUNT, count);
    ims_write(t, IMS_TD_REG_FIRE, IMS_TD_FIRE_RANGE);
}

static uint32_t kind_read(ImsTest *t, uint32_t kind, uint32_t reg)
{
    ims_write(t, IMS_TD_REG_SEL_KIND, kind);
    return ims_read(t, reg);
}

static uint32_t slot_read(ImsTest *t, uint32_t kind, uint32_t slot,
                          uint32_t reg)
{
    ims_write(t, IMS_TD_REG_SEL_SLOT, slot);
    return kind_read(t, kind, reg);
}

/* Is the message there exactly since the last look? */
static uint32_t ram_take(ImsTest *t, uint64_t addr)
{
    uint32_t value = qtest_readl(t->qts, addr);

    qtest_writel(t->qts, addr, 0);
    return value;
}

/*
 * A kind's way to set a message and the mask, so that the same tests run on
 * each of them.
 */
typedef struct ImsKind {
    const char *name;
    uint32_t kind;
    uint32_t nr_slots;
    void (*enable)(ImsTest *t, bool enable);
    void (*set_msg)(ImsTest *t, uint32_t slot, uint64_t addr, uint32_t data);
    void (*set_mask)(ImsTest *t, uint32_t slot, bool mask);
    /* What arrives of @data */
    uint32_t (*data)(uint32_t slot, uint32_t data);
} ImsKind;

static void msi_enable(ImsTest *t, bool enable)
{
    uint16_t flags = qpci_config_readw(t->dev, t->msi_cap + PCI_MSI_FLAGS);

    flags &= ~(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
    flags |= enable ? PCI_MSI_FLAGS_ENABLE | 5 << 4 : 0;
    qpci_config_writew(t->dev, t->msi_cap + PCI_MSI_FLAGS, flags);
}

static void msi_set_msg(ImsTest *t, uint32_t slot, uint64_t addr,
                        uint32_t data)
{
    qpci_config_writel(t->dev, t->msi_cap + PCI_MSI_ADDRESS_LO, addr);
    qpci_config_writel(t->dev, t->msi_cap + PCI_MSI_ADDRESS_HI, addr >> 32);
    qpci_config_writew(t->dev, t->msi_cap + PCI_MSI_DATA_64, data);
}

static void msi_set_mask(ImsTest *t, uint32_t slot, bool mask)
{
    uint32_t bits = qpci_config_readl(t->dev, t->msi_cap + PCI_MSI_MASK_64);

    qpci_config_writel(t->dev, t->msi_cap + PCI_MSI_MASK_64,
                       deposit32(bits, slot, 1, mask));
}

static uint32_t msi_data(uint32_t slot, uint32_t data)
{
    return (data & 0xffe0) | slot;
}

static void msix_enable(ImsTest *t, bool enable)
{
    qpci_config_writew(t->dev, t->msix_cap + PCI_MSIX_FLAGS,
                       enable ? PCI_MSIX_FLAGS_ENABLE : 0);
}

static uint32_t msix_read(ImsTest *t, uint32_t slot, uint32_t field)
{
    return qpci_io_readl(t->dev, t->msix, slot * PCI_MSIX_ENTRY_SIZE + field);
}

static void msix_write(ImsTest *t, uint32_t slot, uint32_t field,
                       uint32_t value)
{
    qpci_io_writel(t->dev, t->msix, slot * PCI_MSIX_ENTRY_SIZE + field, value);
}

static void msix_set_msg(ImsTest *t, uint32_t slot, uint64_t addr,
                         uint32_t data)
{
    msix_write(t, slot, PCI_MSIX_ENTRY_LOWER_ADDR, addr);
    msix_write(t, slot, PCI_MSIX_ENTRY_UPPER_ADDR, addr >> 32);
    msix_write(t, slot, PCI_MSIX_ENTRY_DATA, data);
}

static void msix_set_mask(ImsTest *t, uint32_t slot, bool mask)
{
    msix_write(t, slot, PCI_MSIX_ENTRY_VECTOR_CTRL, mask);
}

static void table_enable(ImsTest *t, bool enable)
{
}

static void table_set_msg(ImsTest *t, uint32_t slot, uint64_t addr,
                          uint32_t data)
{
    table_write(t, slot, IMS_TD_SLOT_ADDR_LO, addr);
    table_write(t, slot, IMS_TD_SLOT_ADDR_HI, addr >> 32);
    table_write(t, slot, IMS_TD_SLOT_DATA, data);
}

static void table_set_mask(ImsTest *t, uint32_t slot, bool mask)
{
    table_write(t, slot, IMS_TD_SLOT_CTRL, mask ? IMS_TD_SLOT_CTRL_MASK : 0);
}

static uint32_t same_data(uint32_t slot, uint32_t data)
{
    return data;
}

static const ImsKind kinds[] = {
    {
        .name = "msi", .kind = IMS_TD_KIND_MSI, .nr_slots = MSI_VECTORS,
        .enable = msi_enable, .set_msg = msi_set_msg, .set_mask = msi_set_mask,
        .data = msi_data,
    }, {
        .name = "msix", .kind = IMS_TD_KIND_MSIX, .nr_slots = MSIX_VECTORS,
        .enable = msix_enable, .set_msg = msix_set_msg,
        .set_mask = msix_set_mask, .data = same_data,
    }, {
        .name = "table", .kind = IMS_TD_KIND_TABLE, .nr_slots = SLOTS,
        .enable = table_enable, .set_msg = table_set_msg,
        .set_mask = table_set_mask, .data = same_data,
    },
};

/* The state in which MSI wakes up is unmasked */
static void kind_enable(ImsTest *t, const ImsKind *k)
{
    uint32_t slot;

    if (k->kind == IMS_TD_KIND_MSI) {
        for (slot = 0; slot < k->nr_slots; slot++) {
            k->set_mask(t, slot, true);
        }
    }
    k->enable(t, true);
}

static void kind_start(ImsTest *t, const ImsKind *k)
{
    ims_boot(t);
    kind_enable(t, k);
}

static void assert_breaches(ImsTest *t, uint32_t count)
{
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_COUNT), ==, count);
}

/* Exactly one breach since the log was last cleared, and clear it */
static void assert_breach(ImsTest *t, uint32_t code, uint32_t kind,
                          uint32_t where, uint32_t value)
{
    uint32_t i;

    assert_breaches(t, 1);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_LOGGED), ==, 1);
    for (i = 0; i < IMS_TD_NR_BREACHES; i++) {
        g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_BY_CODE(i)), ==,
                         i == code);
    }
    ims_write(t, IMS_TD_REG_BREACH_SEL, 0);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_CODE), ==, code);
    g_assert_cmphex(ims_read(t, IMS_TD_REG_BREACH_KIND), ==, kind);
    g_assert_cmphex(ims_read(t, IMS_TD_REG_BREACH_WHERE), ==, where);
    g_assert_cmphex(ims_read(t, IMS_TD_REG_BREACH_VALUE), ==, value);

    ims_write(t, IMS_TD_REG_BREACH_CLEAR, 1);
    assert_breaches(t, 0);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_BY_CODE(code)), ==, 0);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_CODE), ==,
                     IMS_TD_BREACH_NONE);
}

static void assert_kind(ImsTest *t, uint32_t kind, uint32_t fired,
                        uint32_t sent, uint32_t held, uint32_t merged,
                        uint32_t pending)
{
    g_assert_cmpuint(kind_read(t, kind, IMS_TD_REG_KIND_FIRED), ==, fired);
    g_assert_cmpuint(kind_read(t, kind, IMS_TD_REG_KIND_SENT), ==, sent);
    g_assert_cmpuint(kind_read(t, kind, IMS_TD_REG_KIND_HELD), ==, held);
    g_assert_cmpuint(kind_read(t, kind, IMS_TD_REG_KIND_MERGED), ==, merged);
    g_assert_cmpuint(kind_read(t, kind, IMS_TD_REG_KIND_PENDING), ==, pending);
}

static void test_ident(void)
{
    ImsTest t;
    uint16_t flags;

    ims_boot(&t);
    g_assert_cmphex(qpci_config_readw(t.dev, PCI_VENDOR_ID), ==,
                    IMS_TD_PCI_VENDOR);
    g_assert_cmphex(qpci_config_readw(t.dev, PCI_DEVICE_ID), ==,
                    IMS_TD_PCI_DEVICE);
    g_assert_cmphex(qpci_config_readw(t.dev, PCI_CLASS_DEVICE), ==, 0xff00);
    g_assert_cmphex(qpci_find_capability(t.dev, PCI_CAP_ID_EXP, 0), !=, 0);

    flags = qpci_config_readw(t.dev, t.msi_cap + PCI_MSI_FLAGS);
    g_assert_cmphex(flags, ==,
                    PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT | 5 << 1);
    flags = qpci_config_readw(t.dev, t.msix_cap + PCI_MSIX_FLAGS);
    g_assert_cmphex(flags, ==, MSIX_VECTORS - 1);
    g_assert_cmphex(qpci_config_readl(t.dev, t.msix_cap + PCI_MSIX_TABLE), ==,
                    IMS_TD_BAR_MSIX);
    g_assert_cmphex(qpci_config_readl(t.dev, t.msix_cap + PCI_MSIX_PBA), ==,
                    IMS_TD_BAR_MSIX | MSIX_PBA);

    g_assert_cmphex(ims_read(&t, IMS_TD_REG_ID), ==, IMS_TD_ID);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_VERSION), ==, IMS_TD_VERSION);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_KINDS), ==,
                    (1 << IMS_TD_NR_KINDS) - 1);
    g_assert_cmpuint(kind_read(&t, IMS_TD_KIND_MSI, IMS_TD_REG_KIND_SLOTS), ==,
                     MSI_VECTORS);
    g_assert_cmpuint(kind_read(&t, IMS_TD_KIND_MSIX, IMS_TD_REG_KIND_SLOTS),
                     ==, MSIX_VECTORS);
    g_assert_cmpuint(kind_read(&t, IMS_TD_KIND_TABLE, IMS_TD_REG_KIND_SLOTS),
                     ==, SLOTS);
    g_assert_cmphex(t.table_size, ==, SLOTS * IMS_TD_SLOT_SIZE);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* A conventional bus behind a bridge, where the requester id is the bridge's */
static void test_conventional(void)
{
    ImsTest t;
    QPCIDevice *bridge;

    ims_start(&t, "-device i82801b11-bridge,id=br,addr=04.0 "
              "-device ims-testdev,bus=br,addr=01.0");
    bridge = qpci_device_find(t.bus, DEVFN);
    qpci_config_writel(bridge, PCI_PRIMARY_BUS, 0x00010100);
    qpci_config_writel(bridge, PCI_MEMORY_BASE, 0xe000e000 | 0x0ff00000);
    qpci_device_enable(bridge);

    ims_map(&t, 1 << 8 | QPCI_DEVFN(1, 0));
    g_assert_cmphex(qpci_find_capability(t.dev, PCI_CAP_ID_EXP, 0), ==, 0);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_ID), ==, IMS_TD_ID);

    table_set_msg(&t, 0, RAM_MSG, DATA);
    table_set_mask(&t, 0, false);
    ims_fire(&t, IMS_TD_KIND_TABLE, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_breaches(&t, 0);

    g_free(bridge);
    ims_end(&t);
}

static void test_slots(const void *opaque)
{
    uint32_t slots = GPOINTER_TO_UINT(opaque);
    uint32_t beyond;
    ImsTest t;

    ims_start(&t, "-device ims-testdev,addr=04.0,slots=%u", slots);
    ims_map(&t, DEVFN);
    g_assert_cmpuint(kind_read(&t, IMS_TD_KIND_TABLE, IMS_TD_REG_KIND_SLOTS),
                     ==, slots);
    g_assert_cmphex(t.table_size, ==,
                    MAX(pow2ceil(slots * IMS_TD_SLOT_SIZE), 4096));

    table_set_msg(&t, slots - 1, RAM_MSG, DATA);
    table_set_mask(&t, slots - 1, false);
    ims_fire(&t, IMS_TD_KIND_TABLE, slots - 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_breaches(&t, 0);

    ims_fire(&t, IMS_TD_KIND_TABLE, slots);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_TABLE, slots, 1);

    beyond = t.table_size / IMS_TD_SLOT_SIZE - 1;
    if (beyond >= slots) {
        table_write(&t, beyond, IMS_TD_SLOT_DATA, DATA);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_TABLE, beyond,
                      DATA);
        g_assert_cmphex(table_read(&t, slots, IMS_TD_SLOT_CTRL), ==, 0);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_TABLE, slots, 0);
    }

    /* All of them at once, the last one unmasked */
    ims_write(&t, IMS_TD_REG_RESET, 1);
    table_set_msg(&t, slots - 1, RAM_MSG, DATA);
    table_set_mask(&t, slots - 1, false);
    ims_write(&t, IMS_TD_REG_FIRE_KIND, IMS_TD_KIND_TABLE);
    ims_write(&t, IMS_TD_REG_FIRE, IMS_TD_FIRE_ALL);
    assert_kind(&t, IMS_TD_KIND_TABLE, slots, 1, slots - 1, 0, slots - 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_breaches(&t, 0);
    ims_end(&t);
}

static void device_add_fails(QTestState *qts, const char *prop, int value,
                             const char *why)
{
    QDict *response, *args = qdict_new();
    const char *desc;

    qdict_put_str(args, "driver", "ims-testdev");
    qdict_put_str(args, "bus", "rp");
    qdict_put_int(args, prop, value);
    response = qtest_qmp(qts, "{'execute': 'device_add', 'arguments': %p}",
                         args);
    g_assert(qdict_haskey(response, "error"));
    desc = qdict_get_str(qdict_get_qdict(response, "error"), "desc");
    g_assert_nonnull(strstr(desc, why));
    qobject_unref(response);
}

static void test_bad_properties(void)
{
    QTestState *qts;

    qts = qtest_init("-machine q35 -nodefaults -device pcie-root-port,id=rp");
    device_add_fails(qts, "slots", 0, "slots must be from 1 to 1048576");
    device_add_fails(qts, "slots", 1048577, "slots must be from 1 to 1048576");
    device_add_fails(qts, "msi-vectors", 0,
                     "msi-vectors must be a power of two from 1 to 32");
    device_add_fails(qts, "msi-vectors", 24,
                     "msi-vectors must be a power of two from 1 to 32");
    device_add_fails(qts, "msi-vectors", 64,
                     "msi-vectors must be a power of two from 1 to 32");
    device_add_fails(qts, "msix-vectors", 0,
                     "msix-vectors must be from 1 to 2048");
    device_add_fails(qts, "msix-vectors", 2049,
                     "msix-vectors must be from 1 to 2048");
    qtest_quit(qts);
}

/* Each form that PCI allows for the MSI capability */
typedef struct ImsMsiForm {
    const char *name;
    uint32_t nr;
    bool is_64bit;
    bool has_mask;
} ImsMsiForm;

static const ImsMsiForm msi_forms[] = {
    { "64bit-mask-16", 16, true, true },
    { "64bit-plain-32", 32, true, false },
    { "64bit-plain-1", 1, true, false },
    { "32bit-mask-8", 8, false, true },
    { "32bit-plain-4", 4, false, false },
    { "32bit-mask-1", 1, false, true },
};

static void test_msi_form(const void *opaque)
{
    const ImsMsiForm *f = opaque;
    uint32_t last = f->nr - 1, all = MAKE_64BIT_MASK(0, f->nr);
    uint8_t cap, data, mask, pending;
    uint16_t flags;
    ImsTest t;

    ims_start(&t, "-device ims-testdev,addr=04.0,msi-vectors=%u,msi-64bit=%s,"
              "msi-mask=%s", f->nr, f->is_64bit ? "on" : "off",
              f->has_mask ? "on" : "off");
    ims_map(&t, DEVFN);
    cap = t.msi_cap;
    data = cap + (f->is_64bit ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32);
    mask = cap + (f->is_64bit ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);
    pending = cap + (f->is_64bit ? PCI_MSI_PENDING_64 : PCI_MSI_PENDING_32);

    flags = qpci_config_readw(t.dev, cap + PCI_MSI_FLAGS);
    g_assert_cmphex(flags, ==, (f->is_64bit ? PCI_MSI_FLAGS_64BIT : 0) |
                    (f->has_mask ? PCI_MSI_FLAGS_MASKBIT : 0) |
                    ctz32(f->nr) << 1);
    g_assert_cmpuint(kind_read(&t, IMS_TD_KIND_MSI, IMS_TD_REG_KIND_SLOTS), ==,
                     f->nr);

    qpci_config_writel(t.dev, cap + PCI_MSI_ADDRESS_LO, RAM_MSG);
    if (f->is_64bit) {
        qpci_config_writel(t.dev, cap + PCI_MSI_ADDRESS_HI, 0);
    }
    qpci_config_writew(t.dev, data, 0x1200);
    qpci_config_writew(t.dev, cap + PCI_MSI_FLAGS,
                       flags | PCI_MSI_FLAGS_ENABLE | ctz32(f->nr) << 4);
    assert_breaches(&t, 0);

    ims_fire(&t, IMS_TD_KIND_MSI, last);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0x1200 | last);
    assert_kind(&t, IMS_TD_KIND_MSI, 1, 1, 0, 0, 0);
    ims_fire(&t, IMS_TD_KIND_MSI, f->nr);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_MSI, f->nr, 1);

    if (f->has_mask) {
        /* There is a bit for each vector, and for no more */
        qpci_config_writel(t.dev, mask, UINT32_MAX);
        g_assert_cmphex(qpci_config_readl(t.dev, mask), ==, all);
        ims_fire(&t, IMS_TD_KIND_MSI, last);
        g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
        g_assert_cmphex(qpci_config_readl(t.dev, pending), ==, 1U << last);
        assert_kind(&t, IMS_TD_KIND_MSI, 2, 1, 1, 0, 1);
        g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MSI, last,
                                  IMS_TD_REG_SLOT_STATE), ==,
                        IMS_TD_SLOT_MASKED | IMS_TD_SLOT_PENDING |
                        IMS_TD_SLOT_HAS_MSG);
        qpci_config_writel(t.dev, mask, 0);
        g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0x1200 | last);
        assert_kind(&t, IMS_TD_KIND_MSI, 2, 2, 1, 0, 0);
    } else {
        g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MSI, last,
                                  IMS_TD_REG_SLOT_STATE), ==,
                        IMS_TD_SLOT_HAS_MSG);
    }
    assert_breaches(&t, 0);

    /* Live: the change is a breach in whatever place the data is */
    qpci_config_writew(t.dev, data, 0x3400);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, IMS_TD_KIND_MSI, 0, 0x3400);
    ims_end(&t);
}

/* Devices with different properties side by side know nothing of each other */
static void test_several(void)
{
    ImsTest a, b;

    ims_start(&a, "-device ims-testdev,addr=04.0,slots=16,msi-vectors=1,"
              "msix-vectors=3 -device ims-testdev,addr=05.0,msi-mask=off");
    b = a;
    ims_map(&a, DEVFN);
    ims_map(&b, QPCI_DEVFN(5, 0));
    g_assert_cmpuint(kind_read(&a, IMS_TD_KIND_MSI, IMS_TD_REG_KIND_SLOTS), ==,
                     1);
    g_assert_cmpuint(kind_read(&a, IMS_TD_KIND_MSIX, IMS_TD_REG_KIND_SLOTS),
                     ==, 3);
    g_assert_cmpuint(kind_read(&a, IMS_TD_KIND_TABLE, IMS_TD_REG_KIND_SLOTS),
                     ==, 16);
    g_assert_cmpuint(kind_read(&b, IMS_TD_KIND_MSI, IMS_TD_REG_KIND_SLOTS), ==,
                     MSI_VECTORS);
    g_assert_cmpuint(kind_read(&b, IMS_TD_KIND_MSIX, IMS_TD_REG_KIND_SLOTS),
                     ==, MSIX_VECTORS);

    msix_set_msg(&a, 2, RAM_MSG, DATA);
    msix_set_mask(&a, 2, false);
    msix_enable(&a, true);
    ims_fire(&a, IMS_TD_KIND_MSIX, 2);
    g_assert_cmphex(ram_take(&a, RAM_MSG), ==, DATA);
    ims_fire(&b, IMS_TD_KIND_MSIX, 2);
    assert_breach(&b, IMS_TD_BREACH_NO_MSG, IMS_TD_KIND_MSIX, 2, 0);
    assert_kind(&a, IMS_TD_KIND_MSIX, 1, 1, 0, 0, 0);
    assert_breaches(&a, 0);
    g_free(b.dev);
    ims_end(&a);
}

/* An unmasked slot sends one message for each fire, and as it was stored */
static void test_fire_unmasked(const void *opaque)
{
    const ImsKind *k = opaque;
    uint32_t slot = k->nr_slots - 1;
    ImsTest t;

    kind_start(&t, k);
    k->set_msg(&t, slot, RAM_MSG, DATA);
    k->set_mask(&t, slot, false);
    g_assert_cmphex(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_STATE), ==,
                    IMS_TD_SLOT_HAS_MSG);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);

    ims_fire(&t, k->kind, slot);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, k->data(slot, DATA));
    g_assert_cmphex(qtest_readl(t.qts, RAM_MSG - 4), ==, 0);
    g_assert_cmphex(qtest_readl(t.qts, RAM_MSG + 4), ==, 0);
    assert_kind(&t, k->kind, 1, 1, 0, 0, 0);

    ims_write(&t, IMS_TD_REG_FIRE_DB(k->kind), slot);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, k->data(slot, DATA));
    assert_kind(&t, k->kind, 2, 2, 0, 0, 0);

    g_assert_cmpuint(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_FIRED), ==,
                     2);
    g_assert_cmpuint(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_SENT), ==,
                     2);
    g_assert_cmpuint(slot_read(&t, k->kind, 0, IMS_TD_REG_SLOT_FIRED), ==, 0);
    g_assert_cmpuint(slot_read(&t, k->kind, 0, IMS_TD_REG_SLOT_SENT), ==, 0);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* A masked slot holds any number of fires and sends once when it is unmasked */
static void test_fire_masked(const void *opaque)
{
    const ImsKind *k = opaque;
    uint32_t slot = 5;
    ImsTest t;

    kind_start(&t, k);
    g_assert_cmphex(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_STATE), ==,
                    IMS_TD_SLOT_MASKED);
    k->set_msg(&t, slot, RAM_MSG, DATA);
    ims_fire(&t, k->kind, slot);
    assert_kind(&t, k->kind, 1, 0, 1, 0, 1);
    ims_fire(&t, k->kind, slot);
    ims_fire(&t, k->kind, slot);
    assert_kind(&t, k->kind, 3, 0, 3, 2, 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    g_assert_cmphex(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_STATE), ==,
                    IMS_TD_SLOT_MASKED | IMS_TD_SLOT_PENDING |
                    IMS_TD_SLOT_HAS_MSG);
    g_assert_cmphex(slot_read(&t, k->kind, slot + 1, IMS_TD_REG_SLOT_STATE) &
                    IMS_TD_SLOT_PENDING, ==, 0);

    /* Masking what is masked changes nothing, unmasking another one neither */
    k->set_mask(&t, slot, true);
    assert_kind(&t, k->kind, 3, 0, 3, 2, 1);
    k->set_mask(&t, slot + 1, false);
    assert_kind(&t, k->kind, 3, 0, 3, 2, 1);

    k->set_mask(&t, slot, false);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, k->data(slot, DATA));
    assert_kind(&t, k->kind, 3, 1, 3, 2, 0);
    g_assert_cmpuint(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_SENT), ==,
                     1);
    g_assert_cmphex(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_STATE), ==,
                    IMS_TD_SLOT_HAS_MSG);

    /* Nothing is left to send */
    k->set_mask(&t, slot, false);
    k->set_mask(&t, slot, true);
    k->set_mask(&t, slot, false);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    assert_kind(&t, k->kind, 3, 1, 3, 2, 0);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* A message can be changed while it is masked, or to what it is already */
static void test_msg_unmasked(const void *opaque)
{
    const ImsKind *k = opaque;
    uint32_t slot = 0;
    ImsTest t;

    kind_start(&t, k);
    k->set_msg(&t, slot, RAM_MSG, DATA);
    k->set_msg(&t, slot, RAM_MSG + 8, DATA);
    k->set_mask(&t, slot, false);
    k->set_msg(&t, slot, RAM_MSG + 8, DATA);
    assert_breaches(&t, 0);

    k->set_msg(&t, slot, RAM_MSG + 16, DATA);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, k->kind, slot, RAM_MSG + 16);
    k->set_msg(&t, slot, RAM_MSG + 16, 0x4321);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, k->kind, slot, 0x4321);
    k->set_msg(&t, slot, RAM_MSG + 16 + (1ULL << 32), 0x4321);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, k->kind, slot, 1);
    k->set_msg(&t, slot, RAM_MSG + 16, 0x4321);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, k->kind, slot, 0);

    /* It takes effect all the same */
    ims_fire(&t, k->kind, slot);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 16), ==, k->data(slot, 0x4321));

    k->set_mask(&t, slot, true);
    k->set_msg(&t, slot, RAM_MSG, DATA);
    assert_breaches(&t, 0);
    ims_end(&t);
}

static void test_no_msg(const void *opaque)
{
    const ImsKind *k = opaque;
    uint32_t slot = 3;
    ImsTest t;

    kind_start(&t, k);

    /* When it fires, */
    k->set_mask(&t, slot, false);
    ims_fire(&t, k->kind, slot);
    assert_breach(&t, IMS_TD_BREACH_NO_MSG, k->kind, slot, 0);
    assert_kind(&t, k->kind, 1, 0, 0, 0, 0);

    /* and when it is released: that is the end of it */
    k->set_mask(&t, slot, true);
    ims_fire(&t, k->kind, slot);
    assert_breaches(&t, 0);
    k->set_mask(&t, slot, false);
    assert_breach(&t, IMS_TD_BREACH_NO_MSG, k->kind, slot, 0);
    assert_kind(&t, k->kind, 2, 0, 1, 0, 0);

    /* A capability that isn't enabled can't send, and doesn't remember */
    if (k->kind != IMS_TD_KIND_TABLE) {
        k->set_mask(&t, slot, true);
        k->set_msg(&t, slot, RAM_MSG, DATA);
        k->enable(&t, false);
        ims_fire(&t, k->kind, slot);
        assert_breach(&t, IMS_TD_BREACH_NO_MSG, k->kind, slot, 0);
        k->enable(&t, true);
        k->set_mask(&t, slot, false);
        assert_kind(&t, k->kind, 3, 0, 1, 0, 0);
        g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
        assert_breaches(&t, 0);
    }
    ims_end(&t);
}

static void test_bus(const void *opaque)
{
    const ImsKind *k = opaque;
    uint32_t slot = 1;
    uint32_t data = k->data(slot, DATA);
    uint16_t command;
    ImsTest t;

    kind_start(&t, k);
    command = qpci_config_readw(t.dev, PCI_COMMAND);

    k->set_msg(&t, slot, NOWHERE, DATA);
    k->set_mask(&t, slot, false);
    ims_fire(&t, k->kind, slot);
    assert_breach(&t, IMS_TD_BREACH_BUS, k->kind, slot, data);

    k->set_mask(&t, slot, true);
    k->set_msg(&t, slot, RAM_MSG, DATA);
    k->set_mask(&t, slot, false);
    qpci_config_writew(t.dev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
    ims_fire(&t, k->kind, slot);
    assert_breach(&t, IMS_TD_BREACH_BUS, k->kind, slot, data);

    /* Also when it is unmasking that sends */
    k->set_mask(&t, slot, true);
    ims_fire(&t, k->kind, slot);
    k->set_mask(&t, slot, false);
    assert_breach(&t, IMS_TD_BREACH_BUS, k->kind, slot, data);
    assert_kind(&t, k->kind, 3, 0, 1, 0, 0);

    qpci_config_writew(t.dev, PCI_COMMAND, command);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    ims_fire(&t, k->kind, slot);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, data);
    assert_breaches(&t, 0);

    /* MSI's address register has no such bits */
    if (k->kind != IMS_TD_KIND_MSI) {
        k->set_mask(&t, slot, true);
        k->set_msg(&t, slot, RAM_MSG + 2, DATA);
        k->set_mask(&t, slot, false);
        ims_fire(&t, k->kind, slot);
        assert_breach(&t, IMS_TD_BREACH_BUS, k->kind, slot, data);
        g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    }
    ims_end(&t);
}

/* A message that comes back as an access to the device is refused */
static void test_self(const void *opaque)
{
    const ImsKind *k = opaque;
    uint32_t slot = 2, data = k->data(slot, 2);
    uint64_t target[3];
    uint32_t i;
    ImsTest t;

    kind_start(&t, k);
    target[0] = t.regs.addr + IMS_TD_REG_FIRE_DB(k->kind);
    target[1] = t.table.addr + IMS_TD_SLOT_CTRL;
    target[2] = t.msix.addr + PCI_MSIX_ENTRY_VECTOR_CTRL;

    for (i = 0; i < ARRAY_SIZE(target); i++) {
        k->set_mask(&t, slot, true);
        k->set_msg(&t, slot, target[i], 2);
        k->set_mask(&t, slot, false);
        ims_fire(&t, k->kind, slot);
        assert_breach(&t, IMS_TD_BREACH_BUS, k->kind, slot, data);

        k->set_mask(&t, slot, true);
        ims_fire(&t, k->kind, slot);
        k->set_mask(&t, slot, false);
        assert_breach(&t, IMS_TD_BREACH_BUS, k->kind, slot, data);
        assert_kind(&t, k->kind, (i + 1) * 2, 0, i + 1, 0, 0);
    }

    /* From the device's own configuration space too */
    g_assert_cmphex(table_read(&t, 0, IMS_TD_SLOT_CTRL), ==,
                    IMS_TD_SLOT_CTRL_MASK);
    g_assert_cmphex(msix_read(&t, 0, PCI_MSIX_ENTRY_VECTOR_CTRL), ==,
                    PCI_MSIX_ENTRY_CTRL_MASKBIT);
    ims_end(&t);
}

/* None is fired when one of them is out of range */
static void test_range(const void *opaque)
{
    const ImsKind *k = opaque;
    uint32_t nr = k->nr_slots;
    uint32_t slot;
    ImsTest t;

    kind_start(&t, k);
    ims_fire(&t, k->kind, nr);
    assert_breach(&t, IMS_TD_BREACH_RANGE, k->kind, nr, 1);
    ims_fire(&t, k->kind, UINT32_MAX);
    assert_breach(&t, IMS_TD_BREACH_RANGE, k->kind, UINT32_MAX, 1);
    ims_write(&t, IMS_TD_REG_FIRE_DB(k->kind), nr);
    assert_breach(&t, IMS_TD_BREACH_RANGE, k->kind, nr, 1);

    ims_fire_range(&t, k->kind, 0, nr + 1);
    assert_breach(&t, IMS_TD_BREACH_RANGE, k->kind, nr, nr + 1);
    ims_fire_range(&t, k->kind, nr - 1, 2);
    assert_breach(&t, IMS_TD_BREACH_RANGE, k->kind, nr, 2);
    ims_fire_range(&t, k->kind, nr + 1, 0);
    assert_breach(&t, IMS_TD_BREACH_RANGE, k->kind, nr + 1, 0);
    ims_fire_range(&t, k->kind, 1, UINT32_MAX);
    assert_breach(&t, IMS_TD_BREACH_RANGE, k->kind, nr, UINT32_MAX);
    ims_fire_range(&t, k->kind, UINT32_MAX, UINT32_MAX);
    assert_breach(&t, IMS_TD_BREACH_RANGE, k->kind, UINT32_MAX, UINT32_MAX);
    assert_kind(&t, k->kind, 0, 0, 0, 0, 0);

    g_assert_cmphex(slot_read(&t, k->kind, nr, IMS_TD_REG_SLOT_STATE), ==, 0);
    assert_breach(&t, IMS_TD_BREACH_RANGE, k->kind, nr, 0);
    g_assert_cmphex(slot_read(&t, k->kind, UINT32_MAX, IMS_TD_REG_SLOT_SENT),
                    ==, 0);
    assert_breach(&t, IMS_TD_BREACH_RANGE, k->kind, UINT32_MAX, 0);

    /* An empty range is none, wherever it is */
    ims_fire_range(&t, k->kind, 0, 0);
    ims_fire_range(&t, k->kind, nr, 0);
    assert_breaches(&t, 0);

    ims_fire_range(&t, k->kind, 2, 3);
    assert_kind(&t, k->kind, 3, 0, 3, 0, 3);
    for (slot = 0; slot < 7; slot++) {
        g_assert_cmpuint(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_FIRED),
                         ==, slot >= 2 && slot < 5);
    }
    ims_write(&t, IMS_TD_REG_FIRE, IMS_TD_FIRE_ALL);
    assert_kind(&t, k->kind, nr + 3, 0, nr + 3, 3, nr);
    assert_breaches(&t, 0);
    ims_end(&t);
}

static void test_bad_kind(void)
{
    static const uint32_t bad[] = { IMS_TD_NR_KINDS, 0xff, UINT32_MAX };
    uint32_t i;
    ImsTest t;

    ims_boot(&t);
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        ims_fire(&t, bad[i], 0);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                      IMS_TD_REG_FIRE, bad[i]);
        ims_fire_range(&t, bad[i], 0, 0);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                      IMS_TD_REG_FIRE, bad[i]);
        ims_write(&t, IMS_TD_REG_FIRE, IMS_TD_FIRE_ALL);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                      IMS_TD_REG_FIRE, bad[i]);
        g_assert_cmphex(kind_read(&t, bad[i], IMS_TD_REG_KIND_SENT), ==, 0);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                      IMS_TD_REG_KIND_SENT, bad[i]);
        g_assert_cmphex(slot_read(&t, bad[i], 0, IMS_TD_REG_SLOT_STATE), ==, 0);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                      IMS_TD_REG_SLOT_STATE, bad[i]);
    }
    ims_end(&t);
}

static void test_bad_register(void)
{
    static const uint32_t read_only[] = {
        IMS_TD_REG_ID, IMS_TD_REG_VERSION, IMS_TD_REG_KINDS,
        IMS_TD_REG_KIND_SLOTS, IMS_TD_REG_KIND_PENDING, IMS_TD_REG_SLOT_STATE,
        IMS_TD_REG_BREACH_COUNT, IMS_TD_REG_BREACH_LOGGED,
        IMS_TD_REG_BREACH_VALUE, IMS_TD_REG_BREACH_BY_CODE(0),
    };
    static const uint32_t missing[] = {
        0x010, 0x01c, 0x030, IMS_TD_REG_FIRE_DB(IMS_TD_NR_KINDS), 0x088, 0x0bc,
        IMS_TD_REG_BREACH_BY_CODE(IMS_TD_NR_BREACHES), IMS_TD_REGS_SIZE - 4,
    };
    static const uint32_t write_only[] = {
        IMS_TD_REG_RESET, IMS_TD_REG_FIRE,
        IMS_TD_REG_FIRE_DB(IMS_TD_KIND_TABLE), IMS_TD_REG_BREACH_CLEAR,
    };
    uint32_t i, old;
    ImsTest t;

    ims_boot(&t);
    for (i = 0; i < ARRAY_SIZE(read_only); i++) {
        old = ims_read(&t, read_only[i]);
        ims_write(&t, read_only[i], DATA);
        assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                      read_only[i], DATA);
        g_assert_cmphex(ims_read(&t, read_only[i]), ==, old);
    }
    for (i = 0; i < ARRAY_SIZE(missing); i++) {
        ims_write(&t, missing[i], DATA);
        assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                      missing[i], DATA);
        g_assert_cmphex(ims_read(&t, missing[i]), ==, 0);
        assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                      missing[i], 0);
    }
    for (i = 0; i < ARRAY_SIZE(write_only); i++) {
        g_assert_cmphex(ims_read(&t, write_only[i]), ==, 0);
    }
    assert_breaches(&t, 0);

    /* What is no command does nothing else; to FIRE, zero is none */
    ims_write(&t, IMS_TD_REG_RESET, 0);
    ims_write(&t, IMS_TD_REG_BREACH_CLEAR, 0);
    assert_breaches(&t, 0);
    ims_write(&t, IMS_TD_REG_RESET, 2);
    assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_RESET, 2);
    ims_write(&t, IMS_TD_REG_BREACH_CLEAR, 3);
    assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_BREACH_CLEAR, 3);
    ims_write(&t, IMS_TD_REG_FIRE, 0);
    assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_FIRE, 0);
    ims_write(&t, IMS_TD_REG_FIRE, IMS_TD_FIRE_ALL + 1);
    assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_FIRE, IMS_TD_FIRE_ALL + 1);
    ims_end(&t);
}

static uint64_t read_sized(ImsTest *t, QPCIBar bar, uint64_t off, int size)
{
    switch (size) {
    case 1:
        return qtest_readb(t->qts, bar.addr + off);
    case 2:
        return qtest_readw(t->qts, bar.addr + off);
    case 4:
        return qtest_readl(t->qts, bar.addr + off);
    default:
        return qtest_readq(t->qts, bar.addr + off);
    }
}

static void write_sized(ImsTest *t, QPCIBar bar, uint64_t off, int size,
                        uint64_t value)
{
    switch (size) {
    case 1:
        qtest_writeb(t->qts, bar.addr + off, value);
        break;
    case 2:
        qtest_writew(t->qts, bar.addr + off, value);
        break;
    case 4:
        qtest_writel(t->qts, bar.addr + off, value);
        break;
    default:
        qtest_writeq(t->qts, bar.addr + off, value);
        break;
    }
}

static void test_width(void)
{
    static const struct {
        int size;
        uint32_t offset;
        bool msix_ok;
    } access[] = {
        { 1, 0 }, { 1, 3 }, { 2, 0 }, { 2, 2 }, { 2, 1 },
        { 4, 1 }, { 4, 2 }, { 4, 3 }, { 8, 0, true }, { 8, 4 }, { 8, 1 },
    };
    ImsTest t;
    QPCIBar bars[3];
    uint32_t i, b;

    ims_boot(&t);
    bars[0] = t.regs;
    bars[1] = t.table;
    bars[2] = t.msix;
    for (b = 0; b < ARRAY_SIZE(bars); b++) {
        uint32_t base = b == 0 ? IMS_TD_REG_FIRE_KIND : 16 * 7;

        for (i = 0; i < ARRAY_SIZE(access); i++) {
            uint32_t off = base + access[i].offset;
            uint32_t kind = b == 0 ? IMS_TD_BREACH_KIND_REGS :
                            b == 1 ? IMS_TD_KIND_TABLE : IMS_TD_KIND_MSIX;
            uint32_t where = b == 0 ? off : 7;
            int size = access[i].size;

            if (b == 2 && access[i].msix_ok) {
                continue;
            }
            g_assert_cmphex(read_sized(&t, bars[b], off, size), ==,
                            MAKE_64BIT_MASK(0, size * 8));
            assert_breach(&t, IMS_TD_BREACH_WIDTH, kind, where, size);
            write_sized(&t, bars[b], off, size, 0);
            assert_breach(&t, IMS_TD_BREACH_WIDTH, kind, where, size);
            write_sized(&t, bars[b], off, size, UINT64_MAX);
            assert_breach(&t, IMS_TD_BREACH_WIDTH, kind, where, size);
        }
    }

    g_assert_cmphex(ims_read(&t, IMS_TD_REG_FIRE_KIND), ==, 0);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_FIRE_FIRST), ==, 0);
    for (i = 0; i < 12; i += 4) {
        g_assert_cmphex(table_read(&t, 7, i), ==, 0);
        g_assert_cmphex(msix_read(&t, 7, i), ==, 0);
    }
    g_assert_cmphex(table_read(&t, 7, IMS_TD_SLOT_CTRL), ==,
                    IMS_TD_SLOT_CTRL_MASK);
    g_assert_cmphex(msix_read(&t, 7, PCI_MSIX_ENTRY_VECTOR_CTRL), ==,
                    PCI_MSIX_ENTRY_CTRL_MASKBIT);
    assert_breaches(&t, 0);

    /* Across the end of a BAR, and of its last register */
    read_sized(&t, t.regs, IMS_TD_REGS_SIZE - 1, 1);
    assert_breach(&t, IMS_TD_BREACH_WIDTH, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REGS_SIZE - 1, 1);
    ims_end(&t);
}

static void test_table_fields(void)
{
    uint32_t rest = IMS_TD_SLOT_CTRL_WRITABLE & ~IMS_TD_SLOT_CTRL_MASK;
    ImsTest t;

    ims_boot(&t);
    table_write(&t, 9, IMS_TD_SLOT_CTRL, UINT32_MAX);
    g_assert_cmphex(table_read(&t, 9, IMS_TD_SLOT_CTRL), ==,
                    IMS_TD_SLOT_CTRL_WRITABLE);
    g_assert_cmpuint(kind_read(&t, IMS_TD_KIND_TABLE, IMS_TD_REG_KIND_PENDING),
                     ==, 0);
    table_write(&t, 9, IMS_TD_SLOT_CTRL, rest);
    g_assert_cmphex(table_read(&t, 9, IMS_TD_SLOT_CTRL), ==, rest);

    /* Pending is the device's own: writing does not clear it either */
    table_write(&t, 9, IMS_TD_SLOT_CTRL, IMS_TD_SLOT_CTRL_MASK);
    ims_fire(&t, IMS_TD_KIND_TABLE, 9);
    table_write(&t, 9, IMS_TD_SLOT_CTRL, IMS_TD_SLOT_CTRL_MASK);
    g_assert_cmphex(table_read(&t, 9, IMS_TD_SLOT_CTRL), ==,
                    IMS_TD_SLOT_CTRL_MASK | IMS_TD_SLOT_CTRL_PENDING);

    table_set_msg(&t, 9, 0x123456789abcdef0, DATA);
    g_assert_cmphex(table_read(&t, 9, IMS_TD_SLOT_ADDR_LO), ==, 0x9abcdef0);
    g_assert_cmphex(table_read(&t, 9, IMS_TD_SLOT_ADDR_HI), ==, 0x12345678);
    g_assert_cmphex(table_read(&t, 9, IMS_TD_SLOT_DATA), ==, DATA);
    g_assert_cmphex(table_read(&t, 8, IMS_TD_SLOT_DATA), ==, 0);
    g_assert_cmphex(table_read(&t, 10, IMS_TD_SLOT_ADDR_LO), ==, 0);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* The function mask, the enable bit, the pending array, eight byte accesses */
static void test_msix(void)
{
    uint16_t on = PCI_MSIX_FLAGS_ENABLE;
    ImsTest t;

    ims_boot(&t);

    /* A message can change while the entry is unmasked but MSI-X is not live */
    msix_set_mask(&t, 100, false);
    msix_set_msg(&t, 100, RAM_MSG, DATA);
    qpci_config_writew(t.dev, t.msix_cap + PCI_MSIX_FLAGS,
                       on | PCI_MSIX_FLAGS_MASKALL);
    msix_set_msg(&t, 100, RAM_MSG + 4, DATA);
    assert_breaches(&t, 0);
    g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MSIX, 100,
                              IMS_TD_REG_SLOT_STATE), ==,
                    IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG);

    ims_fire(&t, IMS_TD_KIND_MSIX, 100);
    ims_fire(&t, IMS_TD_KIND_MSIX, 101);
    assert_kind(&t, IMS_TD_KIND_MSIX, 2, 0, 2, 0, 2);
    g_assert_cmphex(qpci_io_readl(t.dev, t.msix, MSIX_PBA + 12), ==, 3 << 4);

    /* Clearing the function mask releases those that are not masked */
    qpci_config_writew(t.dev, t.msix_cap + PCI_MSIX_FLAGS, on);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 4), ==, DATA);
    assert_kind(&t, IMS_TD_KIND_MSIX, 2, 1, 2, 0, 1);
    g_assert_cmpuint(slot_read(&t, IMS_TD_KIND_MSIX, 100,
                               IMS_TD_REG_SLOT_SENT), ==, 1);
    g_assert_cmphex(qpci_io_readl(t.dev, t.msix, MSIX_PBA + 12), ==, 1 << 5);

    /* Eight bytes: the message first, then data and control at once */
    qtest_writeq(t.qts, t.msix.addr + 101 * 16, RAM_MSG);
    qtest_writeq(t.qts, t.msix.addr + 101 * 16 + 8, DATA);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_kind(&t, IMS_TD_KIND_MSIX, 2, 2, 2, 0, 0);
    g_assert_cmphex(qtest_readq(t.qts, t.msix.addr + 101 * 16), ==, RAM_MSG);
    g_assert_cmphex(qtest_readq(t.qts, t.msix.addr + 101 * 16 + 8), ==, DATA);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* Multiple Message Enable: what software did not allocate can't send */
static void test_msi_allocated(void)
{
    uint16_t flags;
    ImsTest t;

    ims_boot(&t);
    flags = qpci_config_readw(t.dev, t.msi_cap + PCI_MSI_FLAGS);
    msi_set_msg(&t, 0, RAM_MSG, 0x1200);
    qpci_config_writew(t.dev, t.msi_cap + PCI_MSI_FLAGS,
                       flags | PCI_MSI_FLAGS_ENABLE | 2 << 4);
    ims_fire(&t, IMS_TD_KIND_MSI, 3);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0x1203);
    ims_fire(&t, IMS_TD_KIND_MSI, 4);
    assert_breach(&t, IMS_TD_BREACH_NO_MSG, IMS_TD_KIND_MSI, 4, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);

    /* More than the device has is as many as it has */
    qpci_config_writew(t.dev, t.msi_cap + PCI_MSI_FLAGS, flags | 7 << 4);
    ims_fire(&t, IMS_TD_KIND_MSI, 31);
    assert_breach(&t, IMS_TD_BREACH_NO_MSG, IMS_TD_KIND_MSI, 31, 0);
    g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MSI, 31, IMS_TD_REG_SLOT_STATE),
                    ==, IMS_TD_SLOT_HAS_MSG);
    qpci_config_writew(t.dev, t.msi_cap + PCI_MSI_FLAGS,
                       flags | PCI_MSI_FLAGS_ENABLE | 7 << 4);
    ims_fire(&t, IMS_TD_KIND_MSI, 31);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0x121f);

    /* Three at once */
    qpci_config_writel(t.dev, t.msi_cap + PCI_MSI_MASK_64, 0x7);
    ims_fire_range(&t, IMS_TD_KIND_MSI, 0, 3);
    g_assert_cmphex(qpci_config_readl(t.dev, t.msi_cap + PCI_MSI_PENDING_64),
                    ==, 0x7);
    qpci_config_writel(t.dev, t.msi_cap + PCI_MSI_MASK_64, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0x1202);
    assert_kind(&t, IMS_TD_KIND_MSI, 7, 5, 3, 0, 0);
    assert_breaches(&t, 0);
    ims_end(&t);
}

static void make_state(ImsTest *t)
{
    table_set_msg(t, 1, RAM_MSG, DATA);
    table_set_mask(t, 1, false);
    table_write(t, SLOTS - 1, IMS_TD_SLOT_CTRL,
                IMS_TD_SLOT_CTRL_MASK | IMS_TD_SLOT_CTRL_PASID_EN | 5 << 12);
    ims_fire(t, IMS_TD_KIND_TABLE, 1);
    ims_fire(t, IMS_TD_KIND_TABLE, SLOTS - 1);
    ims_fire(t, IMS_TD_KIND_TABLE, SLOTS - 1);
    ims_fire(t, IMS_TD_KIND_TABLE, SLOTS);
    msix_set_msg(t, 6, RAM_MSG, DATA);
    msix_enable(t, true);
    ims_fire(t, IMS_TD_KIND_MSIX, 6);
    ims_write(t, IMS_TD_REG_BREACH_SEL, 0);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_CODE), ==,
                     IMS_TD_BREACH_RANGE);
}

static void assert_table_reset(ImsTest *t)
{
    uint32_t slot, reg;

    for (slot = 0; slot < SLOTS; slot++) {
        g_assert_cmphex(table_read(t, slot, IMS_TD_SLOT_ADDR_LO), ==, 0);
        g_assert_cmphex(table_read(t, slot, IMS_TD_SLOT_ADDR_HI), ==, 0);
        g_assert_cmphex(table_read(t, slot, IMS_TD_SLOT_DATA), ==, 0);
        g_assert_cmphex(table_read(t, slot, IMS_TD_SLOT_CTRL), ==,
                        IMS_TD_SLOT_CTRL_MASK);
    }
    for (reg = IMS_TD_REG_FIRE_KIND; reg < IMS_TD_REG_FIRE; reg += 4) {
        g_assert_cmphex(ims_read(t, reg), ==, 0);
    }
    g_assert_cmphex(ims_read(t, IMS_TD_REG_SEL_KIND), ==, 0);
    g_assert_cmphex(ims_read(t, IMS_TD_REG_SEL_SLOT), ==, 0);
    g_assert_cmphex(ims_read(t, IMS_TD_REG_BREACH_SEL), ==, 0);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_LOGGED), ==, 0);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_CODE), ==, 0);
    for (reg = 0; reg < IMS_TD_NR_BREACHES; reg++) {
        g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_BY_CODE(reg)), ==, 0);
    }
    assert_breaches(t, 0);
    assert_kind(t, IMS_TD_KIND_TABLE, 0, 0, 0, 0, 0);
    g_assert_cmpuint(slot_read(t, IMS_TD_KIND_TABLE, SLOTS - 1,
                               IMS_TD_REG_SLOT_FIRED), ==, 0);
    g_assert_cmpuint(slot_read(t, IMS_TD_KIND_TABLE, 1, IMS_TD_REG_SLOT_SENT),
                     ==, 0);
    g_assert_cmpuint(slot_read(t, IMS_TD_KIND_MSIX, 6, IMS_TD_REG_SLOT_FIRED),
                     ==, 0);
}

static void test_reset(void)
{
    QDict *response;
    ImsTest t;

    ims_boot(&t);
    make_state(&t);
    ims_write(&t, IMS_TD_REG_RESET, 1);
    assert_table_reset(&t);
    /* MSI-X isn't the register's business */
    assert_kind(&t, IMS_TD_KIND_MSIX, 0, 0, 0, 0, 1);
    g_assert_cmphex(msix_read(&t, 6, PCI_MSIX_ENTRY_DATA), ==, DATA);

    make_state(&t);
    response = qtest_qmp(t.qts, "{'execute': 'system_reset'}");
    qobject_unref(response);
    qtest_qmp_eventwait(t.qts, "RESET");
    g_free(t.dev);
    ims_map(&t, DEVFN);
    assert_table_reset(&t);
    assert_kind(&t, IMS_TD_KIND_MSIX, 0, 0, 0, 0, 0);
    g_assert_cmphex(msix_read(&t, 6, PCI_MSIX_ENTRY_DATA), ==, 0);
    ims_end(&t);
}

static void test_log_overflow(void)
{
    uint32_t n = IMS_TD_BREACH_ENTRIES + 40;
    uint32_t i;
    ImsTest t;

    ims_boot(&t);
    for (i = 0; i < n; i++) {
        ims_write(&t, IMS_TD_REG_FIRE_DB(IMS_TD_KIND_TABLE), SLOTS + i);
    }
    read_sized(&t, t.regs, 0, 1);
    assert_breaches(&t, n + 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_BREACH_LOGGED), ==,
                     IMS_TD_BREACH_ENTRIES);
    g_assert_cmpuint(ims_read(&t,
                              IMS_TD_REG_BREACH_BY_CODE(IMS_TD_BREACH_RANGE)),
                     ==, n);
    g_assert_cmpuint(ims_read(&t,
                              IMS_TD_REG_BREACH_BY_CODE(IMS_TD_BREACH_WIDTH)),
                     ==, 1);
    /* The first ones are kept */
    for (i = 0; i < IMS_TD_BREACH_ENTRIES; i++) {
        ims_write(&t, IMS_TD_REG_BREACH_SEL, i);
        g_assert_cmpuint(ims_read(&t, IMS_TD_REG_BREACH_CODE), ==,
                         IMS_TD_BREACH_RANGE);
        g_assert_cmpuint(ims_read(&t, IMS_TD_REG_BREACH_WHERE), ==, SLOTS + i);
    }
    ims_write(&t, IMS_TD_REG_BREACH_SEL, IMS_TD_BREACH_ENTRIES);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_BREACH_CODE), ==, 0);
    ims_write(&t, IMS_TD_REG_BREACH_SEL, UINT32_MAX);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_BREACH_VALUE), ==, 0);
    assert_breaches(&t, n + 1);
    ims_end(&t);
}

static void vtd_set_irte(ImsTest *t, unsigned index, uint16_t sid)
{
    qtest_writeq(t->qts, VTD_TABLE + index * 16, VTD_IRTE_PRESENT | 0x41 << 16);
    qtest_writeq(t->qts, VTD_TABLE + index * 16 + 8, VTD_IRTE_VERIFY | sid);
}

/*
 * Messages carry the device's requester id: VT-d lets one pass where the
 * remapping entry asks for it and refuses where the entry asks for another.
 * Without an id it would not look at what the entry asks for.
 */
static void test_requester_id(const void *opaque)
{
    const ImsKind *k = opaque;
    uint32_t slot = 1;
    ImsTest t;

    ims_start(&t, "-device intel-iommu,intremap=on,eim=off "
              "-device ims-testdev,addr=04.0");
    ims_map(&t, DEVFN);
    qtest_writeq(t.qts, VTD_BASE + VTD_IRTA, VTD_TABLE | 7);
    qtest_writel(t.qts, VTD_BASE + VTD_GCMD, VTD_GCMD_SIRTP);
    qtest_writel(t.qts, VTD_BASE + VTD_GCMD, VTD_GCMD_IRE);
    vtd_set_irte(&t, 0, DEVFN);
    vtd_set_irte(&t, 1, DEVFN + 1);

    kind_enable(&t, k);
    k->set_msg(&t, slot, 0xfee00000 | 0 << 5 | 1 << 4, 0);
    k->set_mask(&t, slot, false);
    ims_fire(&t, k->kind, slot);
    assert_kind(&t, k->kind, 1, 1, 0, 0, 0);
    assert_breaches(&t, 0);

    k->set_mask(&t, slot, true);
    k->set_msg(&t, slot, 0xfee00000 | 1 << 5 | 1 << 4, 0);
    k->set_mask(&t, slot, false);
    ims_fire(&t, k->kind, slot);
    assert_kind(&t, k->kind, 2, 1, 0, 0, 0);
    assert_breach(&t, IMS_TD_BREACH_BUS, k->kind, slot, k->data(slot, 0));
    ims_end(&t);
}

/* A message that turns bus mastering off is the last to go out */
static void test_own_config(void)
{
    QPCIDevice *mch;
    ImsTest t;

    ims_boot(&t);
    mch = qpci_device_find(t.bus, 0);
    qpci_config_writel(mch, MCH_PCIEXBAR, MMCFG | 1);
    g_free(mch);

    table_set_msg(&t, 0, MMCFG + (DEVFN << 12) + PCI_COMMAND,
                  PCI_COMMAND_MEMORY);
    table_set_mask(&t, 0, false);
    table_set_msg(&t, 1, RAM_MSG, DATA);
    table_set_mask(&t, 1, false);
    ims_fire_range(&t, IMS_TD_KIND_TABLE, 0, 2);
    assert_kind(&t, IMS_TD_KIND_TABLE, 2, 1, 0, 0, 0);
    assert_breach(&t, IMS_TD_BREACH_BUS, IMS_TD_KIND_TABLE, 1, DATA);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);

    /* One that unmasks an MSI vector, whose message may not come back either */
    qpci_device_enable(t.dev);
    msi_set_msg(&t, 0, t.regs.addr + IMS_TD_REG_FIRE_DB(IMS_TD_KIND_TABLE), 0);
    qpci_config_writel(t.dev, t.msi_cap + PCI_MSI_MASK_64, 1);
    msi_enable(&t, true);
    ims_fire(&t, IMS_TD_KIND_MSI, 0);
    table_set_mask(&t, 0, true);
    table_set_msg(&t, 0, MMCFG + (DEVFN << 12) + t.msi_cap + PCI_MSI_MASK_64,
                  0);
    table_set_mask(&t, 0, false);
    ims_fire(&t, IMS_TD_KIND_TABLE, 0);
    assert_kind(&t, IMS_TD_KIND_TABLE, 3, 2, 0, 0, 0);
    assert_kind(&t, IMS_TD_KIND_MSI, 1, 0, 1, 0, 0);
    assert_breach(&t, IMS_TD_BREACH_BUS, IMS_TD_KIND_MSI, 0, 0);

    /* And the one after such a message may not come back, as the first */
    table_set_mask(&t, 1, true);
    table_set_msg(&t, 1, t.regs.addr + IMS_TD_REG_FIRE_DB(IMS_TD_KIND_TABLE),
                  2);
    table_set_mask(&t, 1, false);
    ims_fire_range(&t, IMS_TD_KIND_TABLE, 0, 2);
    assert_kind(&t, IMS_TD_KIND_TABLE, 5, 3, 0, 0, 0);
    assert_breach(&t, IMS_TD_BREACH_BUS, IMS_TD_KIND_TABLE, 1, 2);
    ims_end(&t);
}

/* A message that makes the bridge above take the device away while it fires */
static void test_unplug(const void *opaque)
{
    const ImsKind *k = opaque;
    QPCIDevice *mch, *port;
    uint8_t exp;
    uint16_t off = PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF;
    ImsTest t;

    ims_start(&t, "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
              "-device pcie-root-port,id=rp,addr=04.0,chassis=1 "
              "-device ims-testdev,bus=rp,id=ims");
    mch = qpci_device_find(t.bus, 0);
    qpci_config_writel(mch, MCH_PCIEXBAR, MMCFG | 1);
    port = qpci_device_find(t.bus, DEVFN);
    qpci_config_writel(port, PCI_PRIMARY_BUS, 0x00010100);
    qpci_config_writel(port, PCI_MEMORY_BASE, 0xe000e000 | 0x0ff00000);
    qpci_device_enable(port);
    exp = qpci_find_capability(port, PCI_CAP_ID_EXP, 0);
    ims_map(&t, 1 << 8);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_ID), ==, IMS_TD_ID);

    k->set_msg(&t, 0, MMCFG + (DEVFN << 12) + exp + PCI_EXP_SLTCTL, off);
    k->set_mask(&t, 0, false);
    /* All vectors of MSI have the one address */
    if (k->kind != IMS_TD_KIND_MSI) {
        k->set_msg(&t, 1, RAM_MSG, DATA);
        k->set_mask(&t, 1, false);
    }
    k->enable(&t, true);
    ims_write(&t, IMS_TD_REG_FIRE_KIND, k->kind);
    ims_write(&t, IMS_TD_REG_FIRE, IMS_TD_FIRE_ALL);

    qtest_qmp_eventwait(t.qts, "DEVICE_DELETED");
    g_assert_cmphex(qpci_config_readw(t.dev, PCI_VENDOR_ID), ==, 0xffff);
    /* What is gone sends nothing */
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);

    g_free(port);
    g_free(mch);
    ims_end(&t);
}

static void wait_migrated(QTestState *qts)
{
    for (;;) {
        QDict *response = qtest_qmp(qts, "{'execute': 'query-migrate'}");
        QDict *info = qdict_get_qdict(response, "return");
        g_autofree char *status = g_strdup(qdict_get_try_str(info, "status"));

        qobject_unref(response);
        if (!g_strcmp0(status, "completed")) {
            return;
        }
        g_assert_cmpstr(status, !=, "failed");
        g_usleep(10 * 1000);
    }
}

static void test_migrate(void)
{
    g_autofree char *file = NULL;
    g_autofree char *uri = NULL;
    QDict *response;
    ImsTest t;
    int fd;

    fd = g_file_open_tmp("ims-testdev-XXXXXX", &file, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(fd);

    ims_boot(&t);
    make_state(&t);
    uri = g_strdup_printf("exec:cat > %s", file);
    response = qtest_qmp(t.qts, "{'execute': 'migrate', "
                         "'arguments': {'uri': %s}}", uri);
    g_assert(qdict_haskey(response, "return"));
    qobject_unref(response);
    wait_migrated(t.qts);
    qtest_quit(t.qts);
    qpci_free_pc(t.bus);

    t.qts = qtest_initf("-machine q35 -nodefaults "
                        "-device ims-testdev,addr=04.0 "
                        "-incoming \"exec:cat %s\"", file);
    t.bus = qpci_new_pc(t.qts, NULL);
    t.dev->bus = t.bus;
    wait_migrated(t.qts);
    unlink(file);

    assert_kind(&t, IMS_TD_KIND_TABLE, 3, 1, 2, 1, 1);
    assert_kind(&t, IMS_TD_KIND_MSIX, 1, 0, 1, 0, 1);
    g_assert_cmpuint(slot_read(&t, IMS_TD_KIND_TABLE, SLOTS - 1,
                               IMS_TD_REG_SLOT_FIRED), ==, 2);
    g_assert_cmphex(table_read(&t, SLOTS - 1, IMS_TD_SLOT_CTRL), ==,
                    IMS_TD_SLOT_CTRL_MASK | IMS_TD_SLOT_CTRL_PENDING |
                    IMS_TD_SLOT_CTRL_PASID_EN | 5 << 12);
    ims_fire(&t, IMS_TD_KIND_TABLE, 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    msix_set_mask(&t, 6, false);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_TABLE, SLOTS, 1);
    ims_end(&t);
}

/* Random use of a few slots, against a model of what the device must count */
static void test_model(void)
{
    enum { MODEL_SLOTS = 8, STEPS = 20000 };
    struct {
        uint64_t addr;
        uint32_t data, sent, fired;
        bool masked, pending;
    } model[MODEL_SLOTS] = {};
    uint32_t sent = 0, held = 0, merged = 0, fired = 0, changed = 0, no_msg = 0;
    GRand *rand = g_rand_new_with_seed(0x494d5332);
    uint32_t i, step;
    ImsTest t;

    ims_boot(&t);
    for (i = 0; i < MODEL_SLOTS; i++) {
        model[i].masked = true;
    }

    for (step = 0; step < STEPS; step++) {
        uint32_t slot = g_rand_int_range(rand, 0, MODEL_SLOTS);
        uint32_t value = g_rand_int_range(rand, 0, 4);
        bool send = false;

        switch (g_rand_int_range(rand, 0, 8)) {
        case 0:
            value = value ? RAM_MSG + 64 * slot + 8 * value : 0;
            changed += !model[slot].masked && value != model[slot].addr;
            model[slot].addr = value;
            table_write(&t, slot, IMS_TD_SLOT_ADDR_LO, value);
            break;
        case 1:
            changed += !model[slot].masked && value != model[slot].data;
            model[slot].data = value;
            table_write(&t, slot, IMS_TD_SLOT_DATA, value);
            break;
        case 2:
        case 3:
            model[slot].masked = value & 1;
            send = !model[slot].masked && model[slot].pending;
            table_set_mask(&t, slot, model[slot].masked);
            break;
        default:
            fired++;
            model[slot].fired++;
            if (model[slot].masked) {
                held++;
                merged += model[slot].pending;
                model[slot].pending = true;
            }
            send = !model[slot].masked;
            ims_write(&t, IMS_TD_REG_FIRE_DB(IMS_TD_KIND_TABLE), slot);
            break;
        }

        if (send) {
            model[slot].pending = false;
            if (model[slot].addr) {
                model[slot].sent++;
                sent++;
                g_assert_cmphex(ram_take(&t, model[slot].addr), ==,
                                model[slot].data);
            } else {
                no_msg++;
            }
        }
    }

    g_assert_cmpuint(sent, >, STEPS / 10);
    g_assert_cmpuint(no_msg, >, 0);
    g_assert_cmpuint(changed, >, 0);
    g_assert_cmpuint(merged, >, 0);
    for (i = 0, step = 0; i < MODEL_SLOTS; i++) {
        step += model[i].pending;
        g_assert_cmpuint(slot_read(&t, IMS_TD_KIND_TABLE, i,
                                   IMS_TD_REG_SLOT_SENT), ==, model[i].sent);
        g_assert_cmpuint(slot_read(&t, IMS_TD_KIND_TABLE, i,
                                   IMS_TD_REG_SLOT_FIRED), ==, model[i].fired);
        g_assert_cmphex(slot_read(&t, IMS_TD_KIND_TABLE, i,
                                  IMS_TD_REG_SLOT_STATE), ==,
                        model[i].masked * IMS_TD_SLOT_MASKED |
                        model[i].pending * IMS_TD_SLOT_PENDING |
                        !!model[i].addr * IMS_TD_SLOT_HAS_MSG);
    }
    assert_kind(&t, IMS_TD_KIND_TABLE, fired, sent, held, merged, step);
    assert_breaches(&t, changed + no_msg);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_BREACH_BY_CODE(
                                  IMS_TD_BREACH_MSG_UNMASKED)), ==, changed);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_BREACH_BY_CODE(
                                  IMS_TD_BREACH_NO_MSG)), ==, no_msg);
    g_rand_free(rand);
    ims_end(&t);
}

static uint64_t fuzz_address(ImsTest *t, GRand *rand)
{
    uint64_t r = g_rand_int(rand);

    switch (r % 8) {
    case 0:
        return t->regs.addr + r / 8 % IMS_TD_REGS_SIZE;
    case 1:
        return t->table.addr + r / 8 % t->table_size;
    case 2:
        return t->msix.addr + r / 8 % 0x10000;
    case 3:
        /* Its own configuration space, beyond the BARs' addresses */
        return MMCFG + (DEVFN << 12) + 0x40 + r / 8 % (0x1000 - 0x40);
    case 4:
        return 0;
    default:
        return RAM_MSG + r / 8 % 0x10000;
    }
}

/* Whatever a guest does, QEMU and the device survive it */
static void test_fuzz(void)
{
    static const int sizes[] = { 1, 2, 4, 4, 4, 4, 4, 8 };
    GRand *rand = g_rand_new_with_seed(0x494d5331);
    QPCIDevice *mch;
    uint32_t i;
    ImsTest t;

    ims_boot(&t);
    mch = qpci_device_find(t.bus, 0);
    qpci_config_writel(mch, MCH_PCIEXBAR, MMCFG | 1);
    g_free(mch);

    for (i = 0; i < 100000; i++) {
        int size = sizes[g_rand_int_range(rand, 0, ARRAY_SIZE(sizes))];
        uint32_t op = g_rand_int_range(rand, 0, 16);
        uint64_t value = g_rand_int(rand);
        uint64_t off = g_rand_int(rand);
        uint32_t slot = g_rand_int_range(rand, 0, 40);

        if (op != 0 && size == 4) {
            off &= ~3ULL;
        }
        if (value & 1) {
            value >>= 26;
        }

        switch (op) {
        case 0:
            read_sized(&t, t.regs, off % (IMS_TD_REGS_SIZE - 8), size);
            break;
        case 1:
            write_sized(&t, t.regs, off % (IMS_TD_REGS_SIZE - 8), size, value);
            break;
        case 2:
            write_sized(&t, t.regs, off % 0x180, size, value);
            break;
        case 3:
            read_sized(&t, t.table, off % (t.table_size - 8), size);
            break;
        case 4:
            write_sized(&t, t.table, off % (t.table_size - 8), size, value);
            break;
        case 5:
            read_sized(&t, t.msix, off % (0x10000 - 8), size);
            break;
        case 6:
            write_sized(&t, t.msix, off % (0x10000 - 8), size, value);
            break;
        case 7:
            table_write(&t, slot, IMS_TD_SLOT_ADDR_LO, fuzz_address(&t, rand));
            break;
        case 8:
            table_set_mask(&t, slot, value & 1);
            break;
        case 9:
            msix_write(&t, slot, PCI_MSIX_ENTRY_LOWER_ADDR,
                       fuzz_address(&t, rand));
            break;
        case 10:
            msix_set_mask(&t, slot, value & 1);
            break;
        case 11:
            ims_write(&t, IMS_TD_REG_FIRE_DB(off / 4 % IMS_TD_NR_KINDS), slot);
            break;
        case 12:
            ims_fire_range(&t, off / 4 % (IMS_TD_NR_KINDS + 1), slot,
                           value % 64);
            break;
        case 13:
            qpci_config_writel(t.dev, t.msi_cap + off % 0x18 / 4 * 4, value);
            break;
        case 14:
            msi_set_msg(&t, 0, fuzz_address(&t, rand), value);
            break;
        case 15:
            qpci_config_writew(t.dev, t.msix_cap + PCI_MSIX_FLAGS, off);
            break;
        }

        /* A message may have turned the device off */
        if (i % 256 == 0) {
            qpci_device_enable(t.dev);
            ims_write(&t, IMS_TD_REG_FIRE_KIND, off / 4 % IMS_TD_NR_KINDS);
            ims_write(&t, IMS_TD_REG_FIRE, IMS_TD_FIRE_ALL);
        }
    }

    /* Alive, and as good as new */
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_BREACH_COUNT), >, 1000);
    qpci_device_enable(t.dev);
    ims_write(&t, IMS_TD_REG_RESET, 1);
    assert_table_reset(&t);
    ram_take(&t, RAM_MSG);
    table_set_msg(&t, 7, RAM_MSG, DATA);
    ims_fire(&t, IMS_TD_KIND_TABLE, 7);
    table_set_mask(&t, 7, false);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_kind(&t, IMS_TD_KIND_TABLE, 1, 1, 1, 0, 0);
    assert_breaches(&t, 0);
    g_rand_free(rand);
    ims_end(&t);
}

static void add_for_kinds(const char *name, void (*fn)(const void *))
{
    uint32_t i;

    for (i = 0; i < ARRAY_SIZE(kinds); i++) {
        g_autofree char *path = g_strdup_printf("/ims-testdev/%s/%s", name,
                                                kinds[i].name);

        qtest_add_data_func(path, &kinds[i], fn);
    }
}

int main(int argc, char **argv)
{
    static const uint32_t slots[] = { 1, 3, 300, 65536, 1000000, 1048576 };
    uint32_t i;

    g_test_init(&argc, &argv, NULL);

    qtest_add_func("/ims-testdev/ident", test_ident);
    qtest_add_func("/ims-testdev/conventional", test_conventional);
    for (i = 0; i < ARRAY_SIZE(slots); i++) {
        g_autofree char *path = g_strdup_printf("/ims-testdev/slots/%u",
                                                slots[i]);

        qtest_add_data_func(path, GUINT_TO_POINTER(slots[i]), test_slots);
    }
    for (i = 0; i < ARRAY_SIZE(msi_forms); i++) {
        g_autofree char *path = g_strdup_printf("/ims-testdev/msi-form/%s",
                                                msi_forms[i].name);

        qtest_add_data_func(path, &msi_forms[i], test_msi_form);
    }
    qtest_add_func("/ims-testdev/several", test_several);
    qtest_add_func("/ims-testdev/bad-properties", test_bad_properties);
    add_for_kinds("fire-unmasked", test_fire_unmasked);
    add_for_kinds("fire-masked", test_fire_masked);
    add_for_kinds("msg-unmasked", test_msg_unmasked);
    add_for_kinds("no-msg", test_no_msg);
    add_for_kinds("bus", test_bus);
    add_for_kinds("self", test_self);
    add_for_kinds("range", test_range);
    add_for_kinds("requester-id", test_requester_id);
    add_for_kinds("unplug", test_unplug);
    qtest_add_func("/ims-testdev/bad-kind", test_bad_kind);
    qtest_add_func("/ims-testdev/bad-register", test_bad_register);
    qtest_add_func("/ims-testdev/width", test_width);
    qtest_add_func("/ims-testdev/table-fields", test_table_fields);
    qtest_add_func("/ims-testdev/msix", test_msix);
    qtest_add_func("/ims-testdev/msi-allocated", test_msi_allocated);
    qtest_add_func("/ims-testdev/reset", test_reset);
    qtest_add_func("/ims-testdev/log-overflow", test_log_overflow);
    qtest_add_func("/ims-testdev/own-config", test_own_config);
    qtest_add_func("/ims-testdev/migrate", test_migrate);
    qtest_add_func("/ims-testdev/model", test_model);
    qtest_add_func("/ims-testdev/fuzz", test_fuzz);

    return g_test_run();
}
