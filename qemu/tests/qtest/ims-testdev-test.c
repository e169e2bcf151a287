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
#include "libqos/pci.h"
#include "libqos/pci-pc.h"
#include "ims-qtest.h"
#include "standard-headers/linux/pci_regs.h"
#include "standard-headers/misc/ims_testdev_regs.h"

#define DEVFN           QPCI_DEVFN(4, 0)
#define MSI_VECTORS     32
#define MSIX_VECTORS    2048
#define SLOTS           2048
#define WIDE_SLOTS      256
#define MEM_SLOTS       1024
#define CMD_SLOTS       1024
#define MSIX_PBA        0x8000

/* Where the slots in memory and the command ring are */
#define RAM_SLOTS       0x300000
#define RAM_RING        0x400000
#define RING_ENTRIES    64
#define CMD_RESERVED    0x1c

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
#define VTD_RTADDR      0x20
#define   VTD_GCMD_TE       (1U << 31)
#define   VTD_GCMD_SRTP     (1U << 30)
#define VTD_PAGES       0x210000
#define   VTD_PRESENT       1ULL
#define   VTD_READ          (1ULL << 0)
#define   VTD_WRITE         (1ULL << 1)
#define   VTD_3_LEVELS      1ULL

typedef struct ImsTest {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *dev;
    QPCIBar regs;
    QPCIBar table;
    QPCIBar wide;
    QPCIBar msix;
    uint64_t table_size;
    uint64_t wide_size;
    uint8_t msi_cap;
    uint8_t msix_cap;
    uint8_t pm_cap;
    uint8_t exp_cap;
    /* Index of the next command */
    uint32_t cmd_next;
} ImsTest;

static uint32_t ims_read(ImsTest *t, uint32_t reg)
{
    return qpci_io_readl(t->dev, t->regs, reg);
}

static void ims_write(ImsTest *t, uint32_t reg, uint32_t value)
{
    qpci_io_writel(t->dev, t->regs, reg, value);
}

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
    if (ims_read(t, IMS_TD_REG_KINDS) & 1 << IMS_TD_KIND_WIDE) {
        t->wide = qpci_iomap(t->dev, IMS_TD_BAR_WIDE, &t->wide_size);
    }

    t->msi_cap = qpci_find_capability(t->dev, PCI_CAP_ID_MSI, 0);
    t->msix_cap = qpci_find_capability(t->dev, PCI_CAP_ID_MSIX, 0);
    g_assert_cmphex(t->msi_cap, !=, 0);
    g_assert_cmphex(t->msix_cap, !=, 0);
    t->pm_cap = qpci_find_capability(t->dev, PCI_CAP_ID_PM, 0);
    t->exp_cap = qpci_find_capability(t->dev, PCI_CAP_ID_EXP, 0);
    g_assert_cmphex(t->pm_cap, !=, 0);
}

/* After a reset of the device that software can do: BARs are gone */
static void ims_restore(ImsTest *t)
{
    const struct {
        int nr;
        uint64_t addr;
    } bars[] = {
        { IMS_TD_BAR_REGS, t->regs.addr },
        { IMS_TD_BAR_TABLE, t->table.addr },
        { IMS_TD_BAR_WIDE, t->wide.addr },
        { IMS_TD_BAR_MSIX, t->msix.addr },
    };
    uint32_t i;

    for (i = 0; i < ARRAY_SIZE(bars); i++) {
        qpci_config_writel(t->dev, PCI_BASE_ADDRESS_0 + 4 * bars[i].nr,
                           bars[i].addr);
    }
    qpci_device_enable(t->dev);
}

static void ims_set_power(ImsTest *t, uint16_t state)
{
    qpci_config_writew(t->dev, t->pm_cap + PCI_PM_CTRL, state);
}

static uint16_t ims_get_power(ImsTest *t)
{
    return qpci_config_readw(t->dev, t->pm_cap + PCI_PM_CTRL);
}

static void ims_flr(ImsTest *t)
{
    uint16_t ctl = qpci_config_readw(t->dev, t->exp_cap + PCI_EXP_DEVCTL);

    qpci_config_writew(t->dev, t->exp_cap + PCI_EXP_DEVCTL,
                       ctl | PCI_EXP_DEVCTL_BCR_FLR);
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
    /* Firing a slot is a breach after enable(false) */
    bool can_disable;
    /* set_msg() changes the whole message at once, and not word by word */
    bool whole;
    /* set_msg() and set_mask() work only as long as the device is bus master */
    bool dma;
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

static uint32_t wide_read(ImsTest *t, uint32_t slot, uint32_t field)
{
    return qpci_io_readl(t->dev, t->wide, slot * IMS_TD_WIDE_SIZE + field);
}

static void wide_write(ImsTest *t, uint32_t slot, uint32_t field,
                       uint32_t value)
{
    qpci_io_writel(t->dev, t->wide, slot * IMS_TD_WIDE_SIZE + field, value);
}

static uint64_t wide_read_addr(ImsTest *t, uint32_t slot)
{
    return qtest_readq(t->qts, t->wide.addr + slot * IMS_TD_WIDE_SIZE +
                       IMS_TD_WIDE_ADDR);
}

static void wide_write_addr(ImsTest *t, uint32_t slot, uint64_t addr)
{
    qtest_writeq(t->qts, t->wide.addr + slot * IMS_TD_WIDE_SIZE +
                 IMS_TD_WIDE_ADDR, addr);
}

static void wide_set_msg(ImsTest *t, uint32_t slot, uint64_t addr,
                         uint32_t data)
{
    wide_write_addr(t, slot, addr);
    wide_write(t, slot, IMS_TD_WIDE_DATA, data);
}

static void wide_set_mask(ImsTest *t, uint32_t slot, bool mask)
{
    wide_write(t, slot, IMS_TD_WIDE_CTRL, mask ? 0 : IMS_TD_WIDE_CTRL_ENABLE);
}

static uint64_t mem_addr(uint32_t slot, uint32_t field)
{
    return RAM_SLOTS + slot * IMS_TD_SLOT_SIZE + field;
}

static void mem_store_msg(ImsTest *t, uint32_t slot, uint64_t addr,
                          uint32_t data)
{
    qtest_writeq(t->qts, mem_addr(slot, IMS_TD_SLOT_ADDR_LO), addr);
    qtest_writel(t->qts, mem_addr(slot, IMS_TD_SLOT_DATA), data);
}

static void mem_store_ctrl(ImsTest *t, uint32_t slot, uint32_t ctrl)
{
    qtest_writel(t->qts, mem_addr(slot, IMS_TD_SLOT_CTRL), ctrl);
}

static void mem_notify(ImsTest *t, uint32_t slot)
{
    ims_write(t, IMS_TD_REG_MEM_NOTIFY, slot);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_MEM_NOTIFY), ==, slot);
}

static void mem_enable(ImsTest *t, bool enable)
{
    uint32_t slot;

    for (slot = 0; enable && slot < MEM_SLOTS; slot++) {
        mem_store_ctrl(t, slot, IMS_TD_SLOT_CTRL_MASK);
    }
    ims_write(t, IMS_TD_REG_MEM_BASE_LO, RAM_SLOTS);
    ims_write(t, IMS_TD_REG_MEM_BASE_HI, 0);
    ims_write(t, IMS_TD_REG_MEM_COUNT, enable ? MEM_SLOTS : 0);
}

static void mem_set_msg(ImsTest *t, uint32_t slot, uint64_t addr,
                        uint32_t data)
{
    mem_store_msg(t, slot, addr, data);
    mem_notify(t, slot);
}

static void mem_set_mask(ImsTest *t, uint32_t slot, bool mask)
{
    mem_store_ctrl(t, slot, mask ? IMS_TD_SLOT_CTRL_MASK : 0);
    mem_notify(t, slot);
}

static uint64_t cmd_addr(uint32_t index, uint32_t field)
{
    return RAM_RING + index * IMS_TD_CMD_SIZE + field;
}

static void cmd_start(ImsTest *t, uint64_t base, uint32_t entries)
{
    ims_write(t, IMS_TD_REG_CMD_BASE_LO, base);
    ims_write(t, IMS_TD_REG_CMD_BASE_HI, base >> 32);
    ims_write(t, IMS_TD_REG_CMD_ENTRIES, entries);
    ims_write(t, IMS_TD_REG_CMD_CTRL, IMS_TD_CMD_CTRL_RUN);
    t->cmd_next = 0;
}

static void cmd_stop(ImsTest *t)
{
    ims_write(t, IMS_TD_REG_CMD_CTRL, 0);
}

/* Write an entry; to a ring of RING_ENTRIES at RAM_RING, see cmd_enable() */
static void cmd_store(ImsTest *t, uint32_t index, uint32_t opcode,
                      uint32_t slot, uint64_t addr, uint32_t data,
                      uint32_t ctrl)
{
    uint32_t word[IMS_TD_CMD_SIZE / 4] = {
        [IMS_TD_CMD_OPCODE / 4] = cpu_to_le32(opcode),
        [IMS_TD_CMD_SLOT / 4] = cpu_to_le32(slot),
        [IMS_TD_CMD_ADDR_LO / 4] = cpu_to_le32(addr),
        [IMS_TD_CMD_ADDR_HI / 4] = cpu_to_le32(addr >> 32),
        [IMS_TD_CMD_DATA / 4] = cpu_to_le32(data),
        [IMS_TD_CMD_CTRL_WORD / 4] = cpu_to_le32(ctrl),
        [CMD_RESERVED / 4] = UINT32_MAX,
    };

    qtest_bufwrite(t->qts, cmd_addr(index, 0), word, sizeof(word));
}

/* Write the next entry and let the device have it. Returns its index. */
static uint32_t cmd_submit(ImsTest *t, uint32_t opcode, uint32_t slot,
                           uint64_t addr, uint32_t data, uint32_t ctrl)
{
    uint32_t index = t->cmd_next;

    cmd_store(t, index, opcode, slot, addr, data, ctrl);
    t->cmd_next = (index + 1) % RING_ENTRIES;
    ims_write(t, IMS_TD_REG_CMD_TAIL, t->cmd_next);
    return index;
}

static uint32_t cmd_status(ImsTest *t, uint32_t index)
{
    return qtest_readl(t->qts, cmd_addr(index, IMS_TD_CMD_STATUS));
}

/* Without latency: it is completed, and nothing is left to do */
static void assert_cmd_done(ImsTest *t, uint32_t index, uint32_t status)
{
    g_assert_cmpuint(cmd_status(t, index), ==, status);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_CMD_HEAD), ==, t->cmd_next);
}

static void cmd_do(ImsTest *t, uint32_t opcode, uint32_t slot, uint64_t addr,
                   uint32_t data, uint32_t ctrl)
{
    uint32_t index = cmd_submit(t, opcode, slot, addr, data, ctrl);

    assert_cmd_done(t, index, IMS_TD_CMD_OK);
}

static uint32_t cmd_peek(ImsTest *t, uint32_t slot)
{
    ims_write(t, IMS_TD_REG_SEL_SLOT, slot);
    return kind_read(t, IMS_TD_KIND_CMD, IMS_TD_REG_CMD_PEEK);
}

static void cmd_enable(ImsTest *t, bool enable)
{
    cmd_stop(t);
    if (enable) {
        cmd_start(t, RAM_RING, RING_ENTRIES);
    }
}

static void cmd_set_msg(ImsTest *t, uint32_t slot, uint64_t addr,
                        uint32_t data)
{
    cmd_do(t, IMS_TD_CMD_OP_MSG, slot, addr, data, UINT32_MAX);
}

static void cmd_set_mask(ImsTest *t, uint32_t slot, bool mask)
{
    cmd_do(t, IMS_TD_CMD_OP_CTRL, slot, UINT64_MAX, UINT32_MAX,
           mask ? IMS_TD_SLOT_CTRL_MASK : 0);
}

static uint32_t same_data(uint32_t slot, uint32_t data)
{
    return data;
}

/* In the order of their numbers */
static const ImsKind kinds[] = {
    {
        .name = "msi", .kind = IMS_TD_KIND_MSI, .nr_slots = MSI_VECTORS,
        .can_disable = true,
        .enable = msi_enable, .set_msg = msi_set_msg, .set_mask = msi_set_mask,
        .data = msi_data,
    }, {
        .name = "msix", .kind = IMS_TD_KIND_MSIX, .nr_slots = MSIX_VECTORS,
        .can_disable = true,
        .enable = msix_enable, .set_msg = msix_set_msg,
        .set_mask = msix_set_mask, .data = same_data,
    }, {
        .name = "table", .kind = IMS_TD_KIND_TABLE, .nr_slots = SLOTS,
        .enable = table_enable, .set_msg = table_set_msg,
        .set_mask = table_set_mask, .data = same_data,
    }, {
        .name = "wide", .kind = IMS_TD_KIND_WIDE, .nr_slots = WIDE_SLOTS,
        .whole = true,
        .enable = table_enable, .set_msg = wide_set_msg,
        .set_mask = wide_set_mask, .data = same_data,
    }, {
        .name = "mem", .kind = IMS_TD_KIND_MEM, .nr_slots = MEM_SLOTS,
        .can_disable = true, .whole = true, .dma = true,
        .enable = mem_enable, .set_msg = mem_set_msg,
        .set_mask = mem_set_mask, .data = same_data,
    }, {
        .name = "cmd", .kind = IMS_TD_KIND_CMD, .nr_slots = CMD_SLOTS,
        .whole = true, .dma = true,
        .enable = cmd_enable, .set_msg = cmd_set_msg,
        .set_mask = cmd_set_mask, .data = same_data,
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
    uint32_t i;

    ims_boot(&t);
    g_assert_cmphex(qpci_config_readw(t.dev, PCI_VENDOR_ID), ==,
                    IMS_TD_PCI_VENDOR);
    g_assert_cmphex(qpci_config_readw(t.dev, PCI_DEVICE_ID), ==,
                    IMS_TD_PCI_DEVICE);
    g_assert_cmphex(qpci_config_readw(t.dev, PCI_CLASS_DEVICE), ==, 0xff00);
    g_assert_cmphex(t.exp_cap, !=, 0);
    g_assert_cmphex(qpci_config_readl(t.dev, t.exp_cap + PCI_EXP_DEVCAP) &
                    PCI_EXP_DEVCAP_FLR, !=, 0);
    /* D0, and no soft reset isn't there; neither are D1, D2 and PME */
    g_assert_cmphex(qpci_config_readw(t.dev, t.pm_cap + PCI_PM_PMC), ==, 3);
    g_assert_cmphex(ims_get_power(&t), ==, 0);

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
    for (i = 0; i < ARRAY_SIZE(kinds); i++) {
        g_assert_cmpuint(kind_read(&t, kinds[i].kind, IMS_TD_REG_KIND_SLOTS),
                         ==, kinds[i].nr_slots);
    }
    g_assert_cmpuint(kind_read(&t, IMS_TD_KIND_COPY, IMS_TD_REG_KIND_SLOTS),
                     ==, IMS_TD_COPY_SLOTS);
    g_assert_cmphex(t.table_size, ==, SLOTS * IMS_TD_SLOT_SIZE);
    g_assert_cmphex(t.wide_size, ==, WIDE_SLOTS * IMS_TD_WIDE_SIZE);
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
    g_assert_cmphex(t.exp_cap, ==, 0);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_ID), ==, IMS_TD_ID);

    table_set_msg(&t, 0, RAM_MSG, DATA);
    table_set_mask(&t, 0, false);
    ims_fire(&t, IMS_TD_KIND_TABLE, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_breaches(&t, 0);

    /* There is power management, but no FLR: where it would be is the header */
    qpci_config_writew(t.dev, PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
    ims_fire(&t, IMS_TD_KIND_TABLE, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    ims_set_power(&t, 3);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_ID), ==, UINT32_MAX);
    ims_set_power(&t, 0);
    ims_restore(&t);
    assert_kind(&t, IMS_TD_KIND_TABLE, 2, 2, 0, 0, 0);
    g_assert_cmphex(table_read(&t, 0, IMS_TD_SLOT_CTRL), ==,
                    IMS_TD_SLOT_CTRL_MASK);
    assert_breach(&t, IMS_TD_BREACH_POWER, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_ID, 0);

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
    while (ims_read(&t, IMS_TD_REG_FIRE)) {
        qtest_clock_step(t.qts, 10 * 1000 * 1000);
    }
    assert_kind(&t, IMS_TD_KIND_TABLE, slots, 1, slots - 1, 0, slots - 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_breaches(&t, 0);
    ims_end(&t);
}

static void device_add_fails(QTestState *qts, const char *prop, int64_t value,
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
    device_add_fails(qts, "wide-slots", 65537,
                     "wide-slots must be from 0 to 65536");
    device_add_fails(qts, "mem-slots", 65537,
                     "mem-slots must be from 0 to 65536");
    device_add_fails(qts, "cmd-slots", UINT32_MAX,
                     "cmd-slots must be from 0 to 65536");
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

/* Stores of any size, also where the BAR is larger than the wide table */
static void test_store_sizes(const void *opaque)
{
    uint32_t slots = GPOINTER_TO_UINT(opaque);
    uint32_t beyond;
    ImsTest t;

    ims_start(&t, "-device ims-testdev,addr=04.0,wide-slots=%u,mem-slots=%u,"
              "cmd-slots=%u", slots, slots, slots);
    ims_map(&t, DEVFN);
    g_assert_cmphex(t.wide_size, ==,
                    MAX(pow2ceil(slots * IMS_TD_WIDE_SIZE), 4096));
    g_assert_cmpuint(kind_read(&t, IMS_TD_KIND_WIDE, IMS_TD_REG_KIND_SLOTS),
                     ==, slots);
    g_assert_cmpuint(kind_read(&t, IMS_TD_KIND_MEM, IMS_TD_REG_KIND_SLOTS),
                     ==, slots);
    g_assert_cmpuint(kind_read(&t, IMS_TD_KIND_CMD, IMS_TD_REG_KIND_SLOTS),
                     ==, slots);

    wide_set_msg(&t, slots - 1, RAM_MSG, DATA);
    wide_set_mask(&t, slots - 1, false);
    ims_fire(&t, IMS_TD_KIND_WIDE, slots - 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    beyond = t.wide_size / IMS_TD_WIDE_SIZE - 1;
    if (beyond >= slots) {
        assert_breaches(&t, 0);
        wide_write(&t, beyond, IMS_TD_WIDE_DATA, DATA);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_WIDE, beyond, DATA);
        g_assert_cmphex(wide_read_addr(&t, slots), ==, 0);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_WIDE, slots, 0);
    }

    ims_write(&t, IMS_TD_REG_MEM_BASE_LO, RAM_SLOTS);
    ims_write(&t, IMS_TD_REG_MEM_COUNT, slots);
    mem_set_msg(&t, slots - 1, RAM_MSG, DATA);
    ims_fire(&t, IMS_TD_KIND_MEM, slots - 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_breaches(&t, 0);
    ims_write(&t, IMS_TD_REG_MEM_COUNT, slots + 1);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_MEM_COUNT, slots + 1);

    cmd_enable(&t, true);
    cmd_do(&t, IMS_TD_CMD_OP_SET, slots - 1, RAM_MSG, DATA, 0);
    ims_fire(&t, IMS_TD_KIND_CMD, slots - 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_breaches(&t, 0);
    assert_cmd_done(&t, cmd_submit(&t, IMS_TD_CMD_OP_SET, slots, 0, 0, 0),
                    IMS_TD_CMD_BAD);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_CMD, slots, 1);
    ims_end(&t);
}

/* A store that isn't there has its registers, but no slots and no BAR */
static void test_absent(void)
{
    static const uint32_t absent[] = {
        IMS_TD_KIND_WIDE, IMS_TD_KIND_MEM, IMS_TD_KIND_CMD,
    };
    uint32_t i, bar = PCI_BASE_ADDRESS_0 + 4 * IMS_TD_BAR_WIDE;
    ImsTest t;

    ims_start(&t, "-device ims-testdev,addr=04.0,wide-slots=0,mem-slots=0,"
              "cmd-slots=0");
    ims_map(&t, DEVFN);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_KINDS), ==,
                    1 << IMS_TD_KIND_MSI | 1 << IMS_TD_KIND_MSIX |
                    1 << IMS_TD_KIND_TABLE |
                    1 << IMS_TD_KIND_COPY);
    qpci_config_writel(t.dev, bar, UINT32_MAX);
    g_assert_cmphex(qpci_config_readl(t.dev, bar), ==, 0);

    for (i = 0; i < ARRAY_SIZE(absent); i++) {
        assert_kind(&t, absent[i], 0, 0, 0, 0, 0);
        g_assert_cmpuint(ims_read(&t, IMS_TD_REG_KIND_SLOTS), ==, 0);
        ims_fire_range(&t, absent[i], 0, 0);
        ims_write(&t, IMS_TD_REG_FIRE, IMS_TD_FIRE_ALL);
        assert_breaches(&t, 0);
        ims_fire(&t, absent[i], 0);
        assert_breach(&t, IMS_TD_BREACH_RANGE, absent[i], 0, 1);
        g_assert_cmphex(slot_read(&t, absent[i], 0, IMS_TD_REG_SLOT_STATE), ==,
                        0);
        assert_breach(&t, IMS_TD_BREACH_RANGE, absent[i], 0, 0);
    }

    ims_write(&t, IMS_TD_REG_MEM_COUNT, 0);
    assert_breaches(&t, 0);
    ims_write(&t, IMS_TD_REG_MEM_COUNT, 1);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_MEM_COUNT, 1);
    cmd_enable(&t, true);
    assert_cmd_done(&t, cmd_submit(&t, IMS_TD_CMD_OP_SET, 0, 0, 0, 0),
                    IMS_TD_CMD_BAD);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_CMD, 0, 0);

    /* Nor is there anything else that power could be taken from */
    ims_set_power(&t, 3);
    ims_set_power(&t, 0);
    ims_restore(&t);
    ims_flr(&t);
    ims_restore(&t);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_ID), ==, IMS_TD_ID);
    assert_breaches(&t, 0);
    ims_end(&t);
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
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, k->kind, slot,
                  k->whole ? DATA : RAM_MSG + 16);
    k->set_msg(&t, slot, RAM_MSG + 16, 0x4321);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, k->kind, slot, 0x4321);
    k->set_msg(&t, slot, RAM_MSG + 16 + (1ULL << 32), 0x4321);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, k->kind, slot,
                  k->whole ? 0x4321 : 1);
    k->set_msg(&t, slot, RAM_MSG + 16, 0x4321);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, k->kind, slot,
                  k->whole ? 0x4321 : 0);

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

    /* What isn't enabled can't send, and doesn't remember */
    if (k->can_disable) {
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

    /* Also when it is unmasking that sends */
    k->set_mask(&t, slot, true);
    ims_fire(&t, k->kind, slot);
    k->set_mask(&t, slot, false);
    assert_breach(&t, IMS_TD_BREACH_BUS, k->kind, slot, data);
    assert_kind(&t, k->kind, 2, 0, 1, 0, 0);

    k->set_mask(&t, slot, true);
    k->set_msg(&t, slot, RAM_MSG, DATA);
    k->set_mask(&t, slot, false);
    qpci_config_writew(t.dev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
    if (!k->dma) {
        ims_fire(&t, k->kind, slot);
        assert_breach(&t, IMS_TD_BREACH_BUS, k->kind, slot, data);
        k->set_mask(&t, slot, true);
        ims_fire(&t, k->kind, slot);
        k->set_mask(&t, slot, false);
        assert_breach(&t, IMS_TD_BREACH_BUS, k->kind, slot, data);
        assert_kind(&t, k->kind, 4, 0, 2, 0, 0);
    }

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
    uint64_t target[4];
    uint32_t i;
    ImsTest t;

    kind_start(&t, k);
    target[0] = t.regs.addr + IMS_TD_REG_FIRE_DB(k->kind);
    target[1] = t.table.addr + IMS_TD_SLOT_CTRL;
    target[2] = t.wide.addr + IMS_TD_WIDE_CTRL;
    target[3] = t.msix.addr + PCI_MSIX_ENTRY_VECTOR_CTRL;

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
    g_assert_cmphex(wide_read(&t, 0, IMS_TD_WIDE_CTRL), ==, 0);
    g_assert_cmphex(msix_read(&t, 0, PCI_MSIX_ENTRY_VECTOR_CTRL), ==,
                    PCI_MSIX_ENTRY_CTRL_MASKBIT);
    ims_end(&t);
}

static void store_set_ctrl(ImsTest *t, uint32_t kind, uint32_t slot,
                           uint32_t pasid, bool mask)
{
    uint32_t ctrl = mask ? IMS_TD_SLOT_CTRL_MASK : 0;

    if (kind == IMS_TD_KIND_WIDE) {
        ctrl = mask ? 0 : IMS_TD_WIDE_CTRL_ENABLE;
        if (pasid) {
            ctrl |= IMS_TD_WIDE_CTRL_PASID_EN | (pasid & IMS_TD_PASID) << 8;
        }
        wide_write(t, slot, IMS_TD_WIDE_CTRL, ctrl);
        return;
    }

    if (pasid) {
        ctrl |= IMS_TD_SLOT_CTRL_PASID_EN | (pasid & IMS_TD_PASID) << 12;
    }
    if (kind == IMS_TD_KIND_TABLE) {
        table_write(t, slot, IMS_TD_SLOT_CTRL, ctrl);
    } else if (kind == IMS_TD_KIND_MEM) {
        mem_store_ctrl(t, slot, ctrl);
        mem_notify(t, slot);
    } else {
        cmd_do(t, IMS_TD_CMD_OP_CTRL, slot, 0, 0, ctrl);
    }
}

/* Which PASID a message goes with is recorded, and judged if software asks for it */
static void test_pasid(const void *opaque)
{
    const uint32_t first = IMS_TD_PASID_EN | 0xabcde;
    const uint32_t second = IMS_TD_PASID_EN | 0x12345;
    const ImsKind *k = opaque;
    uint32_t slot = 5;
    ImsTest t;

    kind_start(&t, k);
    if (k->kind < IMS_TD_KIND_TABLE) {
        g_assert_cmphex(slot_read(&t, k->kind, 0, IMS_TD_REG_SLOT_PASID), ==, 0);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                      IMS_TD_REG_SLOT_PASID, k->kind);
        ims_write(&t, IMS_TD_REG_SLOT_EXPECT, IMS_TD_PASID_CHECK);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                      IMS_TD_REG_SLOT_EXPECT, k->kind);
        ims_end(&t);
        return;
    }

    k->set_msg(&t, slot, RAM_MSG, DATA);
    store_set_ctrl(&t, k->kind, slot, 0, false);
    ims_fire(&t, k->kind, slot);
    g_assert_cmphex(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_PASID), ==, 0);
    store_set_ctrl(&t, k->kind, slot, first, false);
    g_assert_cmphex(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_PASID), ==, 0);
    ims_fire(&t, k->kind, slot);
    g_assert_cmphex(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_PASID), ==,
                    first);
    g_assert_cmphex(slot_read(&t, k->kind, slot + 1, IMS_TD_REG_SLOT_PASID), ==,
                    0);

    ims_write(&t, IMS_TD_REG_SEL_SLOT, slot);
    ims_write(&t, IMS_TD_REG_SLOT_EXPECT, IMS_TD_PASID_CHECK | first);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_SLOT_EXPECT), ==,
                    IMS_TD_PASID_CHECK | first);
    ims_fire(&t, k->kind, slot);
    assert_breaches(&t, 0);
    ram_take(&t, RAM_MSG);
    ims_write(&t, IMS_TD_REG_SLOT_EXPECT, IMS_TD_PASID_CHECK | second);
    ims_fire(&t, k->kind, slot);
    assert_breach(&t, IMS_TD_BREACH_PASID, k->kind, slot, first);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    ims_write(&t, IMS_TD_REG_SLOT_EXPECT, IMS_TD_PASID_CHECK);
    ims_fire(&t, k->kind, slot);
    assert_breach(&t, IMS_TD_BREACH_PASID, k->kind, slot, first);
    ims_write(&t, IMS_TD_REG_SLOT_EXPECT, second);
    ims_fire(&t, k->kind, slot);
    assert_breaches(&t, 0);

    /* What was held goes with the new one */
    store_set_ctrl(&t, k->kind, slot, first, true);
    ims_fire(&t, k->kind, slot);
    ims_write(&t, IMS_TD_REG_SLOT_EXPECT, IMS_TD_PASID_CHECK | second);
    store_set_ctrl(&t, k->kind, slot, second, false);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_SLOT_PASID), ==, second);
    assert_kind(&t, k->kind, 7, 7, 1, 0, 0);

    /* Whoever has the slot next is not judged by it */
    store_set_ctrl(&t, k->kind, slot, 0, true);
    g_assert_cmphex(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_EXPECT), ==,
                    IMS_TD_PASID_CHECK | second);
    k->set_msg(&t, slot, 0, 0);
    g_assert_cmphex(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_EXPECT), ==, 0);

    ims_write(&t, IMS_TD_REG_SLOT_EXPECT, IMS_TD_PASID + 1);
    assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_SLOT_EXPECT, IMS_TD_PASID + 1);
    ims_write(&t, IMS_TD_REG_SEL_SLOT, k->nr_slots);
    ims_write(&t, IMS_TD_REG_SLOT_EXPECT, 0);
    assert_breach(&t, IMS_TD_BREACH_RANGE, k->kind, k->nr_slots, 0);
    ims_end(&t);
}

static void assert_table_pending(ImsTest *t, uint32_t slot, bool pending)
{
    g_assert_cmphex(table_read(t, slot, IMS_TD_SLOT_CTRL), ==,
                    IMS_TD_SLOT_CTRL_MASK |
                    (pending ? IMS_TD_SLOT_CTRL_PENDING : 0));
    g_assert_cmpuint(kind_read(t, IMS_TD_KIND_TABLE, IMS_TD_REG_KIND_PENDING),
                     ==, pending);
}

/* What a write to the pending bit does */
static void test_table_mode(void)
{
    const uint32_t both = IMS_TD_SLOT_CTRL_MASK | IMS_TD_SLOT_CTRL_PENDING;
    uint32_t slot = 9, mode;
    ImsTest t;

    ims_boot(&t);
    table_set_msg(&t, slot, RAM_MSG, DATA);
    for (mode = IMS_TD_TABLE_RO; mode <= IMS_TD_TABLE_RW; mode++) {
        ims_write(&t, IMS_TD_REG_TABLE_MODE, mode);
        g_assert_cmpuint(ims_read(&t, IMS_TD_REG_TABLE_MODE), ==, mode);

        ims_fire(&t, IMS_TD_KIND_TABLE, slot);
        assert_table_pending(&t, slot, true);
        table_write(&t, slot, IMS_TD_SLOT_CTRL, IMS_TD_SLOT_CTRL_MASK);
        assert_table_pending(&t, slot, mode != IMS_TD_TABLE_RW);
        table_write(&t, slot, IMS_TD_SLOT_CTRL, both);
        assert_table_pending(&t, slot, mode != IMS_TD_TABLE_W1C);
        table_write(&t, slot, IMS_TD_SLOT_CTRL, both);
        assert_table_pending(&t, slot, mode != IMS_TD_TABLE_W1C);

        /* Both in one write */
        table_write(&t, slot, IMS_TD_SLOT_CTRL, IMS_TD_SLOT_CTRL_PENDING);
        g_assert_cmphex(ram_take(&t, RAM_MSG), ==,
                        mode == IMS_TD_TABLE_W1C ? 0 : DATA);
        table_write(&t, slot, IMS_TD_SLOT_CTRL, IMS_TD_SLOT_CTRL_MASK);
        ims_fire(&t, IMS_TD_KIND_TABLE, slot);
        table_write(&t, slot, IMS_TD_SLOT_CTRL, 0);
        g_assert_cmphex(ram_take(&t, RAM_MSG), ==,
                        mode == IMS_TD_TABLE_RW ? 0 : DATA);
        table_write(&t, slot, IMS_TD_SLOT_CTRL, IMS_TD_SLOT_CTRL_MASK);
    }
    assert_breaches(&t, 0);

    ims_write(&t, IMS_TD_REG_TABLE_MODE, IMS_TD_TABLE_RW + 1);
    assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_TABLE_MODE, IMS_TD_TABLE_RW + 1);
    ims_flr(&t);
    ims_restore(&t);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_TABLE_MODE), ==, IMS_TD_TABLE_RW);
    ims_write(&t, IMS_TD_REG_RESET, 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_TABLE_MODE), ==, IMS_TD_TABLE_RO);
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
        IMS_TD_REG_CMD_HEAD, IMS_TD_REG_CMD_DONE,
    };
    static const uint32_t missing[] = {
        0x010, 0x01c, 0x030, IMS_TD_REG_FIRE_DB(IMS_TD_NR_KINDS), 0x088, 0x0c4,
        0x0cc, 0x0d4, IMS_TD_REG_BREACH_BY_CODE(IMS_TD_NR_BREACHES), 0x17c, 0x190, 0x19c,
        0x1cc, 0x1dc, 0x1f0, IMS_TD_REGS_SIZE - 4,
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

/* Each field has its own width; what is no field is another breach */
static void test_wide_width(void)
{
    static const struct {
        uint32_t offset;
        int size;
        uint32_t code;
    } access[] = {
        { IMS_TD_WIDE_CTRL, 4, IMS_TD_BREACH_NONE },
        { IMS_TD_WIDE_DATA, 4, IMS_TD_BREACH_NONE },
        { IMS_TD_WIDE_ADDR, 8, IMS_TD_BREACH_NONE },
        { IMS_TD_WIDE_CTRL, 1, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_CTRL, 2, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_CTRL, 8, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_CTRL + 2, 4, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_CTRL + 4, 8, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_DATA, 8, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_DATA + 1, 1, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_DATA + 4, 8, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_ADDR, 4, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_ADDR + 4, 4, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_ADDR, 2, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_ADDR + 4, 8, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_CTRL + 4, 2, IMS_TD_BREACH_WIDTH },
        { IMS_TD_WIDE_CTRL + 4, 4, IMS_TD_BREACH_REG },
        { IMS_TD_WIDE_DATA + 4, 4, IMS_TD_BREACH_REG },
        { IMS_TD_WIDE_ADDR + 8, 4, IMS_TD_BREACH_REG },
        { IMS_TD_WIDE_ADDR + 12, 4, IMS_TD_BREACH_REG },
        { IMS_TD_WIDE_ADDR + 8, 8, IMS_TD_BREACH_REG },
    };
    uint64_t value = 0x7000000070000000;
    uint32_t slot = 9, base = slot * IMS_TD_WIDE_SIZE;
    uint32_t i;
    ImsTest t;

    ims_boot(&t);
    for (i = 0; i < ARRAY_SIZE(access); i++) {
        uint32_t code = access[i].code;
        uint32_t off = base + access[i].offset;
        int size = access[i].size;
        uint64_t read = read_sized(&t, t.wide, off, size);

        switch (code) {
        case IMS_TD_BREACH_NONE:
            g_assert_cmphex(read, ==, 0);
            write_sized(&t, t.wide, off, size, 0);
            assert_breaches(&t, 0);
            break;
        case IMS_TD_BREACH_WIDTH:
            g_assert_cmphex(read, ==, MAKE_64BIT_MASK(0, size * 8));
            assert_breach(&t, code, IMS_TD_KIND_WIDE, slot, size);
            write_sized(&t, t.wide, off, size, value);
            assert_breach(&t, code, IMS_TD_KIND_WIDE, slot, size);
            break;
        default:
            g_assert_cmphex(read, ==, 0);
            assert_breach(&t, code, IMS_TD_KIND_WIDE, slot, 0);
            write_sized(&t, t.wide, off, size, value);
            assert_breach(&t, code, IMS_TD_KIND_WIDE, slot, value);
            break;
        }
    }

    g_assert_cmphex(wide_read(&t, slot, IMS_TD_WIDE_CTRL), ==, 0);
    g_assert_cmphex(wide_read(&t, slot, IMS_TD_WIDE_DATA), ==, 0);
    g_assert_cmphex(wide_read_addr(&t, slot), ==, 0);
    assert_breaches(&t, 0);
    ims_end(&t);
}

static void test_wide_fields(void)
{
    uint32_t rest = IMS_TD_WIDE_CTRL_WRITABLE & ~IMS_TD_WIDE_CTRL_ENABLE;
    ImsTest t;

    ims_boot(&t);
    wide_write(&t, 9, IMS_TD_WIDE_CTRL, UINT32_MAX);
    g_assert_cmphex(wide_read(&t, 9, IMS_TD_WIDE_CTRL), ==,
                    IMS_TD_WIDE_CTRL_WRITABLE);
    assert_kind(&t, IMS_TD_KIND_WIDE, 0, 0, 0, 0, 0);
    wide_write(&t, 9, IMS_TD_WIDE_CTRL, rest);
    g_assert_cmphex(wide_read(&t, 9, IMS_TD_WIDE_CTRL), ==, rest);

    /* Pending is the device's own: writing does not clear it either */
    ims_fire(&t, IMS_TD_KIND_WIDE, 9);
    wide_write(&t, 9, IMS_TD_WIDE_CTRL, 0);
    g_assert_cmphex(wide_read(&t, 9, IMS_TD_WIDE_CTRL), ==,
                    IMS_TD_WIDE_CTRL_PENDING);

    wide_set_msg(&t, 9, 0x123456789abcdef0, DATA);
    g_assert_cmphex(wide_read_addr(&t, 9), ==, 0x123456789abcdef0);
    g_assert_cmphex(wide_read(&t, 9, IMS_TD_WIDE_DATA), ==, DATA);
    g_assert_cmphex(wide_read(&t, 8, IMS_TD_WIDE_DATA), ==, 0);
    g_assert_cmphex(wide_read_addr(&t, 10), ==, 0);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* An address takes effect with the data that is written after it */
static void test_wide_order(void)
{
    ImsTest t;

    ims_boot(&t);
    wide_set_msg(&t, 0, RAM_MSG, DATA);
    wide_set_mask(&t, 0, false);

    /* Only prepared, and no breach as long as it is */
    wide_write_addr(&t, 0, RAM_MSG + 8);
    g_assert_cmphex(wide_read_addr(&t, 0), ==, RAM_MSG + 8);
    ims_fire(&t, IMS_TD_KIND_WIDE, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, 0);
    assert_breaches(&t, 0);

    /* The same data again makes it the address */
    wide_write(&t, 0, IMS_TD_WIDE_DATA, DATA);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, IMS_TD_KIND_WIDE, 0, DATA);
    ims_fire(&t, IMS_TD_KIND_WIDE, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, DATA);
    wide_write(&t, 0, IMS_TD_WIDE_DATA, DATA);
    assert_breaches(&t, 0);

    /* The wrong order: new data with the old address */
    wide_set_mask(&t, 0, true);
    wide_write(&t, 0, IMS_TD_WIDE_DATA, DATA + 1);
    wide_write_addr(&t, 0, RAM_MSG);
    wide_set_mask(&t, 0, false);
    ims_fire(&t, IMS_TD_KIND_WIDE, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, DATA + 1);

    /* An address without data is no message */
    wide_write_addr(&t, 1, RAM_MSG);
    g_assert_cmphex(slot_read(&t, IMS_TD_KIND_WIDE, 1, IMS_TD_REG_SLOT_STATE),
                    ==, IMS_TD_SLOT_MASKED);
    wide_write(&t, 1, IMS_TD_WIDE_DATA, 0);
    g_assert_cmphex(slot_read(&t, IMS_TD_KIND_WIDE, 1, IMS_TD_REG_SLOT_STATE),
                    ==, IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG);
    assert_breaches(&t, 0);
    ims_end(&t);
}

static void test_mem_registers(void)
{
    static const uint32_t forget[] = {
        IMS_TD_REG_MEM_BASE_LO, IMS_TD_REG_MEM_BASE_HI, IMS_TD_REG_MEM_COUNT,
    };
    uint32_t i;
    ImsTest t;

    ims_boot(&t);
    ims_write(&t, IMS_TD_REG_MEM_BASE_LO, UINT32_MAX);
    ims_write(&t, IMS_TD_REG_MEM_BASE_HI, UINT32_MAX - 1);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_MEM_BASE_LO), ==, UINT32_MAX);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_MEM_BASE_HI), ==, UINT32_MAX - 1);
    assert_breaches(&t, 0);

    /* A slot that isn't provided */
    ims_write(&t, IMS_TD_REG_MEM_NOTIFY, 0);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_MEM, 0, 0);
    mem_enable(&t, true);
    ims_write(&t, IMS_TD_REG_MEM_COUNT, 10);
    mem_notify(&t, 9);
    ims_fire(&t, IMS_TD_KIND_MEM, 9);
    assert_kind(&t, IMS_TD_KIND_MEM, 1, 0, 1, 0, 1);
    ims_write(&t, IMS_TD_REG_MEM_NOTIFY, 10);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_MEM, 10, 10);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_MEM_NOTIFY), ==, 9);
    ims_fire(&t, IMS_TD_KIND_MEM, 10);
    assert_breach(&t, IMS_TD_BREACH_NO_MSG, IMS_TD_KIND_MEM, 10, 0);
    assert_kind(&t, IMS_TD_KIND_MEM, 2, 0, 1, 0, 1);
    g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MEM, 10, IMS_TD_REG_SLOT_STATE),
                    ==, IMS_TD_SLOT_MASKED);

    /* Too many: nothing changes, and nothing is forgotten */
    ims_write(&t, IMS_TD_REG_MEM_COUNT, MEM_SLOTS + 1);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_MEM_COUNT, MEM_SLOTS + 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_MEM_COUNT), ==, 10);
    assert_kind(&t, IMS_TD_KIND_MEM, 2, 0, 1, 0, 1);

    /* What was read and what is pending goes with each of these */
    for (i = 0; i < ARRAY_SIZE(forget); i++) {
        mem_set_msg(&t, 3, RAM_MSG, DATA);
        mem_set_mask(&t, 3, true);
        ims_fire(&t, IMS_TD_KIND_MEM, 3);
        mem_set_mask(&t, 4, false);
        g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MEM, 3,
                                  IMS_TD_REG_SLOT_STATE), ==,
                        IMS_TD_SLOT_MASKED | IMS_TD_SLOT_PENDING |
                        IMS_TD_SLOT_HAS_MSG);
        ims_write(&t, forget[i], ims_read(&t, forget[i]));
        g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MEM, 3,
                                  IMS_TD_REG_SLOT_STATE), ==,
                        IMS_TD_SLOT_MASKED);
        g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MEM, 4,
                                  IMS_TD_REG_SLOT_STATE), ==,
                        IMS_TD_SLOT_MASKED);
        mem_set_mask(&t, 3, false);
        g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
        g_assert_cmpuint(kind_read(&t, IMS_TD_KIND_MEM,
                                   IMS_TD_REG_KIND_PENDING), ==, 0);
    }
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* Between two looks, the device goes by what it has seen */
static void test_mem_remembered(void)
{
    ImsTest t;

    ims_boot(&t);
    mem_enable(&t, true);
    mem_set_msg(&t, 2, RAM_MSG, DATA);

    /* Not notified: it doesn't know until it fires */
    mem_store_ctrl(&t, 2, 0);
    g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MEM, 2, IMS_TD_REG_SLOT_STATE),
                    ==, IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG);
    ims_fire(&t, IMS_TD_KIND_MEM, 2);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MEM, 2, IMS_TD_REG_SLOT_STATE),
                    ==, IMS_TD_SLOT_HAS_MSG);

    /* It had seen the slot unmasked: masked now, but nobody has told it */
    mem_store_ctrl(&t, 2, IMS_TD_SLOT_CTRL_MASK);
    mem_store_msg(&t, 2, RAM_MSG + 8, DATA);
    ims_fire(&t, IMS_TD_KIND_MEM, 2);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, IMS_TD_KIND_MEM, 2, DATA);
    assert_kind(&t, IMS_TD_KIND_MEM, 2, 1, 1, 0, 1);
    mem_set_mask(&t, 2, false);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, DATA);

    /* The same when it is told only once, of all that has changed */
    mem_store_ctrl(&t, 2, IMS_TD_SLOT_CTRL_MASK);
    mem_set_msg(&t, 2, RAM_MSG, DATA + 1);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, IMS_TD_KIND_MEM, 2, DATA + 1);

    /* As it should be */
    mem_set_mask(&t, 2, false);
    mem_set_mask(&t, 2, true);
    mem_store_msg(&t, 2, RAM_MSG, DATA + 2);
    mem_set_mask(&t, 2, false);
    ims_fire(&t, IMS_TD_KIND_MEM, 2);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA + 2);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* Pending state is the device's: it writes none, and ignores what it reads */
static void test_mem_pending(void)
{
    ImsTest t;

    ims_boot(&t);
    mem_enable(&t, true);
    mem_set_msg(&t, 2, RAM_MSG, DATA);
    mem_store_ctrl(&t, 2, UINT32_MAX);
    mem_notify(&t, 2);
    g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MEM, 2, IMS_TD_REG_SLOT_STATE),
                    ==, IMS_TD_SLOT_MASKED | IMS_TD_SLOT_HAS_MSG);
    mem_store_ctrl(&t, 2, UINT32_MAX & ~IMS_TD_SLOT_CTRL_MASK);
    mem_notify(&t, 2);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);

    mem_set_mask(&t, 2, true);
    ims_fire(&t, IMS_TD_KIND_MEM, 2);
    g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MEM, 2, IMS_TD_REG_SLOT_STATE),
                    ==, IMS_TD_SLOT_MASKED | IMS_TD_SLOT_PENDING |
                    IMS_TD_SLOT_HAS_MSG);
    g_assert_cmphex(qtest_readl(t.qts, mem_addr(2, IMS_TD_SLOT_CTRL)), ==,
                    IMS_TD_SLOT_CTRL_MASK);
    mem_notify(&t, 2);
    assert_kind(&t, IMS_TD_KIND_MEM, 1, 0, 1, 0, 1);
    mem_set_mask(&t, 2, false);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_kind(&t, IMS_TD_KIND_MEM, 1, 1, 1, 0, 0);

    /* A fire that finds it unmasked releases what is pending, and then sends */
    mem_set_mask(&t, 2, true);
    ims_fire(&t, IMS_TD_KIND_MEM, 2);
    mem_store_ctrl(&t, 2, 0);
    ims_fire(&t, IMS_TD_KIND_MEM, 2);
    assert_kind(&t, IMS_TD_KIND_MEM, 3, 3, 2, 0, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* Where the device can't read: it knows of no change, and keeps what is due */
static void test_mem_dma(void)
{
    uint64_t bad[4];
    uint16_t command;
    uint32_t i;
    ImsTest t;

    ims_boot(&t);
    mem_enable(&t, true);
    bad[0] = NOWHERE;
    bad[1] = t.regs.addr + IMS_TD_REG_SEL_KIND;
    bad[2] = t.wide.addr;
    bad[3] = UINT64_MAX - 40;
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        ims_write(&t, IMS_TD_REG_MEM_BASE_LO, bad[i]);
        ims_write(&t, IMS_TD_REG_MEM_BASE_HI, bad[i] >> 32);
        ims_write(&t, IMS_TD_REG_MEM_NOTIFY, 1);
        assert_breach(&t, IMS_TD_BREACH_DMA, IMS_TD_KIND_MEM, 1, 0);
        g_assert_cmpuint(ims_read(&t, IMS_TD_REG_MEM_NOTIFY), ==, 1);
        ims_fire(&t, IMS_TD_KIND_MEM, 1);
        assert_breach(&t, IMS_TD_BREACH_DMA, IMS_TD_KIND_MEM, 1, 0);
        assert_kind(&t, IMS_TD_KIND_MEM, i + 1, 0, i + 1, 0, 1);
        g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MEM, 1,
                                  IMS_TD_REG_SLOT_STATE), ==,
                        IMS_TD_SLOT_MASKED | IMS_TD_SLOT_PENDING);
    }
    ims_write(&t, IMS_TD_REG_RESET, 1);

    /* Not bus master any more */
    mem_enable(&t, true);
    mem_set_msg(&t, 1, RAM_MSG, DATA);
    mem_set_mask(&t, 1, false);
    command = qpci_config_readw(t.dev, PCI_COMMAND);
    qpci_config_writew(t.dev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
    ims_fire(&t, IMS_TD_KIND_MEM, 1);
    assert_breach(&t, IMS_TD_BREACH_DMA, IMS_TD_KIND_MEM, 1, 0);
    ims_fire(&t, IMS_TD_KIND_MEM, 1);
    assert_breach(&t, IMS_TD_BREACH_DMA, IMS_TD_KIND_MEM, 1, 0);
    assert_kind(&t, IMS_TD_KIND_MEM, 2, 0, 2, 1, 1);
    g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MEM, 1, IMS_TD_REG_SLOT_STATE),
                    ==, IMS_TD_SLOT_MASKED | IMS_TD_SLOT_PENDING |
                    IMS_TD_SLOT_HAS_MSG);
    qpci_config_writew(t.dev, PCI_COMMAND, command);
    mem_notify(&t, 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_kind(&t, IMS_TD_KIND_MEM, 2, 1, 2, 1, 0);

    /* Any alignment will do, if there is memory */
    ims_write(&t, IMS_TD_REG_MEM_BASE_LO, RAM_SLOTS + 0x10ffd);
    qtest_writeq(t.qts, RAM_SLOTS + 0x10ffd, RAM_MSG);
    qtest_writel(t.qts, RAM_SLOTS + 0x10ffd + IMS_TD_SLOT_DATA, DATA);
    ims_fire(&t, IMS_TD_KIND_MEM, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_breaches(&t, 0);
    ims_end(&t);
}

static void test_cmd_registers(void)
{
    static const uint32_t setup[] = {
        IMS_TD_REG_CMD_BASE_LO, IMS_TD_REG_CMD_BASE_HI, IMS_TD_REG_CMD_ENTRIES,
    };
    static const uint32_t value[] = {
        IMS_TD_REG_CMD_LATENCY, IMS_TD_REG_CMD_FAIL, IMS_TD_REG_CMD_HANG,
    };
    static const uint32_t bad[] = { 0, 1, 3, 4095, 8192, 1U << 31, UINT32_MAX };
    static const uint32_t good[] = { 2, 64, 4096 };
    uint32_t i;
    ImsTest t;

    ims_boot(&t);
    for (i = 0; i < ARRAY_SIZE(setup); i++) {
        ims_write(&t, setup[i], UINT32_MAX - i);
        g_assert_cmphex(ims_read(&t, setup[i]), ==, UINT32_MAX - i);
    }
    for (i = 0; i < ARRAY_SIZE(value); i++) {
        ims_write(&t, value[i], UINT32_MAX - i);
        g_assert_cmphex(ims_read(&t, value[i]), ==, UINT32_MAX - i);
        ims_write(&t, value[i], 0);
    }

    /* Stopped: there is no tail */
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_CTRL), ==, 0);
    ims_write(&t, IMS_TD_REG_CMD_CTRL, 0);
    assert_breaches(&t, 0);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 1);
    assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_CMD_TAIL, 1);
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        ims_write(&t, IMS_TD_REG_CMD_ENTRIES, bad[i]);
        ims_write(&t, IMS_TD_REG_CMD_CTRL, IMS_TD_CMD_CTRL_RUN);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                      IMS_TD_REG_CMD_CTRL, bad[i]);
        g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_CTRL), ==, 0);
    }
    ims_write(&t, IMS_TD_REG_CMD_CTRL, IMS_TD_CMD_CTRL_RUN | 2);
    assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_CMD_CTRL, IMS_TD_CMD_CTRL_RUN | 2);

    for (i = 0; i < ARRAY_SIZE(good); i++) {
        cmd_start(&t, RAM_RING, good[i]);
        g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_CTRL), ==,
                        IMS_TD_CMD_CTRL_RUN);
        g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 0);
        g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_TAIL), ==, 0);
        assert_breaches(&t, 0);
        ims_write(&t, IMS_TD_REG_CMD_TAIL, good[i]);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                      IMS_TD_REG_CMD_TAIL, good[i]);
        ims_write(&t, IMS_TD_REG_CMD_TAIL, UINT32_MAX);
        assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                      IMS_TD_REG_CMD_TAIL, UINT32_MAX);
        g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_TAIL), ==, 0);
        cmd_stop(&t);
        g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_CTRL), ==, 0);
    }

    /* Running: it stays where it is */
    cmd_enable(&t, true);
    for (i = 0; i < ARRAY_SIZE(setup); i++) {
        uint32_t old = ims_read(&t, setup[i]);

        ims_write(&t, setup[i], 0x80);
        assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, setup[i],
                      0x80);
        g_assert_cmphex(ims_read(&t, setup[i]), ==, old);
    }
    ims_write(&t, IMS_TD_REG_CMD_CTRL, 2);
    assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_CMD_CTRL, 2);

    /* Only a start begins anew, and stopping leaves the head to be seen */
    cmd_set_mask(&t, 0, true);
    ims_write(&t, IMS_TD_REG_CMD_CTRL, IMS_TD_CMD_CTRL_RUN);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 1);
    cmd_stop(&t);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_TAIL), ==, 1);
    cmd_enable(&t, true);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 0);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_TAIL), ==, 0);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_DONE), ==, 1);

    /* To look at a slot's control word, one has to be selected */
    g_assert_cmphex(kind_read(&t, IMS_TD_KIND_TABLE, IMS_TD_REG_CMD_PEEK), ==,
                    0);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_CMD_PEEK, IMS_TD_KIND_TABLE);
    g_assert_cmphex(cmd_peek(&t, CMD_SLOTS), ==, 0);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_CMD, CMD_SLOTS, 0);
    g_assert_cmphex(cmd_peek(&t, CMD_SLOTS - 1), ==, IMS_TD_SLOT_CTRL_MASK);
    ims_write(&t, IMS_TD_REG_CMD_PEEK, 1);
    assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_CMD_PEEK, 1);
    ims_end(&t);
}

static void test_cmd_ops(void)
{
    static const uint32_t bad_op[] = { 0, 4, 0x100, UINT32_MAX };
    uint32_t rest = IMS_TD_SLOT_CTRL_WRITABLE & ~IMS_TD_SLOT_CTRL_MASK;
    uint32_t i, index;
    ImsTest t;

    ims_boot(&t);
    cmd_enable(&t, true);

    /* Each changes what is its own, and of one slot */
    cmd_do(&t, IMS_TD_CMD_OP_CTRL, 4, RAM_MSG, DATA, UINT32_MAX);
    g_assert_cmphex(cmd_peek(&t, 4), ==, IMS_TD_SLOT_CTRL_WRITABLE);
    g_assert_cmphex(slot_read(&t, IMS_TD_KIND_CMD, 4, IMS_TD_REG_SLOT_STATE),
                    ==, IMS_TD_SLOT_MASKED);
    cmd_do(&t, IMS_TD_CMD_OP_MSG, 4, RAM_MSG, DATA, 0);
    g_assert_cmphex(cmd_peek(&t, 4), ==, IMS_TD_SLOT_CTRL_WRITABLE);
    cmd_do(&t, IMS_TD_CMD_OP_SET, 5, RAM_MSG + 8, DATA + 1, rest);
    g_assert_cmphex(cmd_peek(&t, 5), ==, rest);
    g_assert_cmphex(cmd_peek(&t, 3), ==, IMS_TD_SLOT_CTRL_MASK);
    cmd_do(&t, IMS_TD_CMD_OP_CTRL, 4, 0, 0, 0);
    g_assert_cmphex(cmd_peek(&t, 4), ==, 0);
    ims_fire_range(&t, IMS_TD_KIND_CMD, 4, 2);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, DATA + 1);

    /* A live message can be changed at once, but not by halves */
    cmd_do(&t, IMS_TD_CMD_OP_SET, 4, RAM_MSG + 16, DATA, 0);
    assert_breaches(&t, 0);
    ims_fire(&t, IMS_TD_KIND_CMD, 4);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 16), ==, DATA);
    cmd_do(&t, IMS_TD_CMD_OP_MSG, 4, RAM_MSG, DATA, 0);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, IMS_TD_KIND_CMD, 4, DATA);
    cmd_do(&t, IMS_TD_CMD_OP_SET, 4, RAM_MSG + 8, DATA, IMS_TD_SLOT_CTRL_MASK);
    assert_breaches(&t, 0);
    assert_kind(&t, IMS_TD_KIND_CMD, 3, 3, 0, 0, 0);

    /* Pending: what it is set to is what goes out, and only once */
    ims_fire(&t, IMS_TD_KIND_CMD, 4);
    g_assert_cmphex(cmd_peek(&t, 4), ==,
                    IMS_TD_SLOT_CTRL_MASK | IMS_TD_SLOT_CTRL_PENDING);
    cmd_do(&t, IMS_TD_CMD_OP_SET, 4, RAM_MSG, DATA, IMS_TD_SLOT_CTRL_MASK);
    assert_kind(&t, IMS_TD_KIND_CMD, 4, 3, 1, 0, 1);
    cmd_do(&t, IMS_TD_CMD_OP_SET, 4, RAM_MSG + 24, DATA, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 24), ==, DATA);
    assert_kind(&t, IMS_TD_KIND_CMD, 4, 4, 1, 0, 0);
    cmd_do(&t, IMS_TD_CMD_OP_SET, 4, RAM_MSG + 24, DATA, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 24), ==, 0);

    /* What is bad is not carried out, and doesn't count */
    i = ims_read(&t, IMS_TD_REG_CMD_DONE);
    index = cmd_submit(&t, IMS_TD_CMD_OP_SET, CMD_SLOTS, RAM_MSG, DATA, 0);
    assert_cmd_done(&t, index, IMS_TD_CMD_BAD);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_CMD, CMD_SLOTS, index);
    index = cmd_submit(&t, IMS_TD_CMD_OP_MSG, UINT32_MAX, RAM_MSG, DATA, 0);
    assert_cmd_done(&t, index, IMS_TD_CMD_BAD);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_CMD, UINT32_MAX, index);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_DONE), ==, i);
    for (i = 0; i < ARRAY_SIZE(bad_op); i++) {
        index = cmd_submit(&t, bad_op[i], 6, RAM_MSG, DATA, 0);
        assert_cmd_done(&t, index, IMS_TD_CMD_BAD);
        assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_KIND_CMD, index, bad_op[i]);
        g_assert_cmphex(cmd_peek(&t, 6), ==, IMS_TD_SLOT_CTRL_MASK);
    }

    /* The device writes the status and nothing else of the entry */
    cmd_do(&t, IMS_TD_CMD_OP_MSG, 6, 0x123456789abcdef0, DATA, 7);
    index = t.cmd_next - 1;
    g_assert_cmphex(qtest_readl(t.qts, cmd_addr(index, IMS_TD_CMD_OPCODE)), ==,
                    IMS_TD_CMD_OP_MSG);
    g_assert_cmphex(qtest_readl(t.qts, cmd_addr(index, IMS_TD_CMD_DATA)), ==,
                    DATA);
    g_assert_cmphex(qtest_readl(t.qts, cmd_addr(index, CMD_RESERVED)), ==,
                    UINT32_MAX);
    g_assert_cmphex(cmd_status(&t, index + 1), ==, 0);

    /* It does so when all that the command causes is done */
    index = (t.cmd_next + 1) % RING_ENTRIES;
    cmd_do(&t, IMS_TD_CMD_OP_MSG, 6, cmd_addr(index, IMS_TD_CMD_STATUS), 0x55,
           0);
    ims_fire(&t, IMS_TD_KIND_CMD, 6);
    cmd_do(&t, IMS_TD_CMD_OP_CTRL, 6, 0, 0, 0);
    assert_kind(&t, IMS_TD_KIND_CMD, 5, 5, 2, 0, 0);
    ims_fire(&t, IMS_TD_KIND_CMD, 6);
    g_assert_cmphex(cmd_status(&t, index), ==, 0x55);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* The largest ring and the smallest, full, and around the end */
static void test_cmd_full(void)
{
    uint32_t nr = IMS_TD_CMD_ENTRIES_MAX;
    uint32_t i;
    ImsTest t;

    ims_boot(&t);
    for (i = 0; i < nr; i++) {
        cmd_store(&t, i, IMS_TD_CMD_OP_SET, i % CMD_SLOTS, RAM_MSG, i, 0);
    }
    cmd_start(&t, RAM_RING, nr);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, nr - 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, nr - 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_DONE), ==, nr - 1);
    for (i = 0; i < nr; i++) {
        g_assert_cmpuint(cmd_status(&t, i), ==, i < nr - 1 ? IMS_TD_CMD_OK : 0);
    }

    /* The last entry, and then the first ones again */
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 2);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 2);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_DONE), ==, nr + 2);
    g_assert_cmpuint(cmd_status(&t, nr - 1), ==, IMS_TD_CMD_OK);
    ims_fire(&t, IMS_TD_KIND_CMD, CMD_SLOTS - 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, nr - 1);
    ims_fire(&t, IMS_TD_KIND_CMD, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    ims_fire(&t, IMS_TD_KIND_CMD, 2);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, nr - CMD_SLOTS + 2);

    /* Nothing is done for a tail that is where the head is */
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 2);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_DONE), ==, nr + 2);

    cmd_stop(&t);
    cmd_start(&t, RAM_RING, 2);
    for (i = 0; i < 6; i++) {
        ims_write(&t, IMS_TD_REG_CMD_TAIL, (i + 1) % 2);
        g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, (i + 1) % 2);
        g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_DONE), ==, nr + 3 + i);
    }
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* How many commands are completed, as memory and as the registers have it */
static void assert_cmds(ImsTest *t, uint32_t first, uint32_t count,
                        uint32_t done)
{
    uint32_t i;

    g_assert_cmpuint(ims_read(t, IMS_TD_REG_CMD_HEAD), ==, first + done);
    for (i = 0; i < count; i++) {
        g_assert_cmpuint(cmd_status(t, first + i), ==,
                         i < done ? IMS_TD_CMD_OK : 0);
    }
}

static void test_cmd_latency(void)
{
    uint32_t i;
    ImsTest t;

    ims_start(&t, "-device ims-testdev,addr=04.0,cmd-latency-ns=1000");
    ims_map(&t, DEVFN);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_LATENCY), ==, 1000);
    cmd_enable(&t, true);

    /* One after the other, and each takes its time */
    for (i = 0; i < 4; i++) {
        cmd_submit(&t, IMS_TD_CMD_OP_SET, i, RAM_MSG, DATA + i, 0);
    }
    for (i = 0; i < 4; i++) {
        assert_cmds(&t, 0, 4, i);
        qtest_clock_step(t.qts, 999);
        assert_cmds(&t, 0, 4, i);
        g_assert_cmphex(cmd_peek(&t, i), ==, IMS_TD_SLOT_CTRL_MASK);
        qtest_clock_step(t.qts, 1);
        assert_cmds(&t, 0, 4, i + 1);
        g_assert_cmphex(cmd_peek(&t, i), ==, 0);
    }

    /* Time begins with the first command of an empty ring, not before */
    qtest_clock_step(t.qts, 1500);
    cmd_submit(&t, IMS_TD_CMD_OP_SET, 4, RAM_MSG, DATA, 0);
    qtest_clock_step(t.qts, 600);
    cmd_submit(&t, IMS_TD_CMD_OP_SET, 5, RAM_MSG, DATA, 0);
    qtest_clock_step(t.qts, 399);
    assert_cmds(&t, 4, 2, 0);
    qtest_clock_step(t.qts, 1);
    assert_cmds(&t, 4, 2, 1);
    qtest_clock_step(t.qts, 999);
    assert_cmds(&t, 4, 2, 1);
    qtest_clock_step(t.qts, 1);
    assert_cmds(&t, 4, 2, 2);

    /* A change is for what has not begun */
    for (i = 0; i < 4; i++) {
        cmd_submit(&t, IMS_TD_CMD_OP_SET, i, RAM_MSG, DATA, 0);
    }
    ims_write(&t, IMS_TD_REG_CMD_LATENCY, 50);
    qtest_clock_step(t.qts, 999);
    assert_cmds(&t, 6, 4, 0);
    qtest_clock_step(t.qts, 1);
    assert_cmds(&t, 6, 4, 1);
    ims_write(&t, IMS_TD_REG_CMD_LATENCY, 0);
    cmd_submit(&t, IMS_TD_CMD_OP_SET, 4, RAM_MSG, DATA, 0);
    qtest_clock_step(t.qts, 49);
    assert_cmds(&t, 6, 5, 1);
    qtest_clock_step(t.qts, 1);
    assert_cmds(&t, 6, 5, 5);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_DONE), ==, 11);

    /* Commands that the tail takes back are not carried out */
    ims_write(&t, IMS_TD_REG_CMD_LATENCY, UINT32_MAX);
    cmd_submit(&t, IMS_TD_CMD_OP_SET, 7, RAM_MSG, DATA, 0);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 11);
    qtest_clock_step(t.qts, 3 * (int64_t)UINT32_MAX);
    assert_cmds(&t, 11, 1, 0);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 12);
    qtest_clock_step(t.qts, UINT32_MAX - 1);
    assert_cmds(&t, 11, 1, 0);
    qtest_clock_step(t.qts, 1);
    assert_cmds(&t, 11, 1, 1);

    /* Neither are those that the ring is stopped with */
    ims_write(&t, IMS_TD_REG_CMD_LATENCY, 10);
    cmd_submit(&t, IMS_TD_CMD_OP_SET, 8, RAM_MSG, DATA, 0);
    cmd_submit(&t, IMS_TD_CMD_OP_SET, 9, RAM_MSG, DATA, 0);
    qtest_clock_step(t.qts, 10);
    cmd_stop(&t);
    qtest_clock_step(t.qts, 1000);
    assert_cmds(&t, 12, 2, 1);
    g_assert_cmphex(cmd_peek(&t, 8), ==, 0);
    g_assert_cmphex(cmd_peek(&t, 9), ==, IMS_TD_SLOT_CTRL_MASK);
    cmd_enable(&t, true);
    qtest_clock_step(t.qts, 1000);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 0);

    /* A reset puts the latency back, and the ring to rest */
    ims_write(&t, IMS_TD_REG_CMD_HANG, 3);
    ims_write(&t, IMS_TD_REG_CMD_FAIL, 3);
    cmd_submit(&t, IMS_TD_CMD_OP_SET, 9, RAM_MSG, DATA, 0);
    ims_write(&t, IMS_TD_REG_RESET, 1);
    qtest_clock_step(t.qts, 1000);
    g_assert_cmphex(cmd_peek(&t, 9), ==, IMS_TD_SLOT_CTRL_MASK);
    g_assert_cmphex(cmd_status(&t, 0), ==, 0);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_LATENCY), ==, 1000);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HANG), ==, 0);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_FAIL), ==, 0);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_DONE), ==, 0);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* Commands that fail, and commands that never end */
static void test_cmd_inject(const void *opaque)
{
    uint32_t latency = GPOINTER_TO_UINT(opaque);
    uint32_t i, index;
    ImsTest t;

    ims_boot(&t);
    ims_write(&t, IMS_TD_REG_CMD_LATENCY, latency);
    cmd_enable(&t, true);

    /* Two fail, whatever they are, and the third is carried out */
    ims_write(&t, IMS_TD_REG_CMD_FAIL, 2);
    cmd_submit(&t, IMS_TD_CMD_OP_SET, 1, RAM_MSG, DATA, 0);
    cmd_submit(&t, IMS_TD_CMD_OP_SET, CMD_SLOTS, RAM_MSG, DATA, 0);
    cmd_submit(&t, IMS_TD_CMD_OP_SET, 2, RAM_MSG, DATA, 0);
    qtest_clock_step(t.qts, 3 * latency);
    g_assert_cmpuint(cmd_status(&t, 0), ==, IMS_TD_CMD_FAILED);
    g_assert_cmpuint(cmd_status(&t, 1), ==, IMS_TD_CMD_FAILED);
    assert_cmd_done(&t, 2, IMS_TD_CMD_OK);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_FAIL), ==, 0);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_DONE), ==, 1);
    g_assert_cmphex(cmd_peek(&t, 1), ==, IMS_TD_SLOT_CTRL_MASK);
    g_assert_cmphex(cmd_peek(&t, 2), ==, 0);

    /* A ring that hangs takes commands and does nothing, however long */
    ims_write(&t, IMS_TD_REG_CMD_HANG, 2);
    ims_write(&t, IMS_TD_REG_CMD_FAIL, 1);
    for (i = 3; i < 6; i++) {
        cmd_submit(&t, IMS_TD_CMD_OP_SET, i, RAM_MSG, DATA, 0);
        qtest_clock_step(t.qts, 100 * latency);
    }
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HANG), ==, 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_FAIL), ==, 1);
    assert_cmds(&t, 3, 3, 0);
    /* Not even if that is taken back */
    ims_write(&t, IMS_TD_REG_CMD_HANG, 0);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 4);
    qtest_clock_step(t.qts, 100 * latency);
    assert_cmds(&t, 3, 3, 0);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_CTRL), ==, IMS_TD_CMD_CTRL_RUN);

    /* Until it is stopped */
    cmd_stop(&t);
    cmd_enable(&t, true);
    index = cmd_submit(&t, IMS_TD_CMD_OP_SET, 4, RAM_MSG, DATA, 0);
    cmd_submit(&t, IMS_TD_CMD_OP_SET, 4, RAM_MSG, DATA, 0);
    qtest_clock_step(t.qts, 2 * latency);
    g_assert_cmpuint(cmd_status(&t, index), ==, IMS_TD_CMD_FAILED);
    assert_cmd_done(&t, index + 1, IMS_TD_CMD_OK);
    ims_fire(&t, IMS_TD_KIND_CMD, 4);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);

    /* Neither goes with the ring: the next one has them */
    ims_write(&t, IMS_TD_REG_CMD_HANG, 1);
    cmd_stop(&t);
    cmd_enable(&t, true);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HANG), ==, 1);
    cmd_submit(&t, IMS_TD_CMD_OP_SET, 5, RAM_MSG, DATA, 0);
    qtest_clock_step(t.qts, 100 * latency);
    assert_cmds(&t, 0, 1, 0);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HANG), ==, 0);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* A ring that the device can't read stops, and says where */
static void test_cmd_dma(void)
{
    uint64_t bad[4];
    uint16_t command;
    uint32_t i;
    ImsTest t;

    ims_boot(&t);
    bad[0] = NOWHERE;
    bad[1] = t.regs.addr + IMS_TD_REG_SEL_KIND;
    bad[2] = t.table.addr;
    bad[3] = UINT64_MAX - 3;
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        cmd_start(&t, bad[i], RING_ENTRIES);
        ims_write(&t, IMS_TD_REG_CMD_TAIL, 3);
        assert_breach(&t, IMS_TD_BREACH_DMA, IMS_TD_KIND_CMD, 0, 0);
        g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_CTRL), ==, 0);
        g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 0);
        ims_write(&t, IMS_TD_REG_CMD_TAIL, 4);
        assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                      IMS_TD_REG_CMD_TAIL, 4);
    }

    /* One that is to fail is looked at, one that hangs is not */
    ims_write(&t, IMS_TD_REG_CMD_FAIL, 1);
    cmd_start(&t, NOWHERE, RING_ENTRIES);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 1);
    assert_breach(&t, IMS_TD_BREACH_DMA, IMS_TD_KIND_CMD, 0, 0);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_FAIL), ==, 1);
    ims_write(&t, IMS_TD_REG_CMD_FAIL, 0);
    ims_write(&t, IMS_TD_REG_CMD_HANG, 1);
    cmd_start(&t, NOWHERE, RING_ENTRIES);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HANG), ==, 0);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_CTRL), ==, IMS_TD_CMD_CTRL_RUN);
    cmd_stop(&t);
    assert_breaches(&t, 0);

    /* Not bus master any more, with two commands to go */
    cmd_enable(&t, true);
    ims_write(&t, IMS_TD_REG_CMD_LATENCY, 100);
    for (i = 0; i < 3; i++) {
        cmd_submit(&t, IMS_TD_CMD_OP_SET, i, RAM_MSG, DATA, 0);
    }
    qtest_clock_step(t.qts, 100);
    command = qpci_config_readw(t.dev, PCI_COMMAND);
    qpci_config_writew(t.dev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
    assert_breaches(&t, 0);
    qtest_clock_step(t.qts, 1000);
    assert_breach(&t, IMS_TD_BREACH_DMA, IMS_TD_KIND_CMD, 1, 0);
    assert_cmds(&t, 0, 3, 1);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_CTRL), ==, 0);
    qpci_config_writew(t.dev, PCI_COMMAND, command);
    qtest_clock_step(t.qts, 1000);
    assert_cmds(&t, 0, 3, 1);

    /* Any alignment will do, if there is memory */
    ims_write(&t, IMS_TD_REG_CMD_LATENCY, 0);
    cmd_start(&t, RAM_RING + 0x10ffb, RING_ENTRIES);
    qtest_writel(t.qts, RAM_RING + 0x10ffb, IMS_TD_CMD_OP_CTRL);
    qtest_writel(t.qts, RAM_RING + 0x10ffb + IMS_TD_CMD_SLOT, 9);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 1);
    g_assert_cmpuint(qtest_readl(t.qts, RAM_RING + 0x10ffb + IMS_TD_CMD_STATUS),
                     ==, IMS_TD_CMD_OK);
    g_assert_cmphex(cmd_peek(&t, 9), ==, 0);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/*
 * A command that ends later is outside of any access to the device: what it
 * sends may not come back all the same.
 */
static void test_cmd_self(void)
{
    uint64_t target[4];
    uint32_t i;
    ImsTest t;

    ims_boot(&t);
    target[0] = t.regs.addr + IMS_TD_REG_CMD_TAIL;
    target[1] = t.regs.addr + IMS_TD_REG_FIRE_DB(IMS_TD_KIND_CMD);
    target[2] = t.table.addr + IMS_TD_SLOT_CTRL;
    target[3] = t.wide.addr + IMS_TD_WIDE_CTRL;
    cmd_enable(&t, true);
    for (i = 0; i < ARRAY_SIZE(target); i++) {
        ims_write(&t, IMS_TD_REG_CMD_LATENCY, 0);
        cmd_do(&t, IMS_TD_CMD_OP_SET, 1, target[i], 7, IMS_TD_SLOT_CTRL_MASK);
        ims_fire(&t, IMS_TD_KIND_CMD, 1);
        ims_write(&t, IMS_TD_REG_CMD_LATENCY, 10);
        cmd_submit(&t, IMS_TD_CMD_OP_CTRL, 1, 0, 0, 0);
        qtest_clock_step(t.qts, 10);
        assert_breach(&t, IMS_TD_BREACH_BUS, IMS_TD_KIND_CMD, 1, 7);
        assert_cmd_done(&t, t.cmd_next - 1, IMS_TD_CMD_OK);
    }
    assert_kind(&t, IMS_TD_KIND_CMD, 4, 0, 4, 0, 0);

    /* The ring neither */
    cmd_stop(&t);
    cmd_start(&t, t.table.addr, RING_ENTRIES);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 1);
    assert_breaches(&t, 0);
    qtest_clock_step(t.qts, 10);
    assert_breach(&t, IMS_TD_BREACH_DMA, IMS_TD_KIND_CMD, 0, 0);
    g_assert_cmphex(table_read(&t, 1, IMS_TD_SLOT_DATA), ==, 0);
    ims_end(&t);
}

/* The function mask, the enable bit, the pending array, eight byte accesses */
static void copy_store(ImsTest *t, uint64_t addr, uint32_t data)
{
    ims_write(t, IMS_TD_REG_COPY_ADDR_LO, addr);
    ims_write(t, IMS_TD_REG_COPY_ADDR_HI, addr >> 32);
    ims_write(t, IMS_TD_REG_COPY_DATA, data);
}

static void copy_set(ImsTest *t, uint64_t addr, uint32_t data)
{
    copy_store(t, addr, data);
    ims_write(t, IMS_TD_REG_COPY_VALID, 1);
}

static uint32_t copy_state(ImsTest *t, uint32_t slot)
{
    return slot_read(t, IMS_TD_KIND_COPY, slot, IMS_TD_REG_SLOT_STATE);
}

/* What is written takes effect when software says so, all at once */
static void test_copy_latch(void)
{
    const uint32_t last = IMS_TD_COPY_SLOTS - 1;
    ImsTest t;

    ims_boot(&t);
    copy_store(&t, RAM_MSG, DATA);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_COPY_ADDR_LO), ==, RAM_MSG);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_COPY_ADDR_HI), ==, 0);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_COPY_DATA), ==, DATA);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_COPY_VALID), ==, 0);
    g_assert_cmphex(copy_state(&t, 0), ==, 0);
    ims_fire(&t, IMS_TD_KIND_COPY, 0);
    assert_breach(&t, IMS_TD_BREACH_NO_MSG, IMS_TD_KIND_COPY, 0, 0);

    ims_write(&t, IMS_TD_REG_COPY_VALID, 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_COPY_VALID), ==, 1);
    g_assert_cmphex(copy_state(&t, last), ==, IMS_TD_SLOT_HAS_MSG);
    ims_fire(&t, IMS_TD_KIND_COPY, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    ims_write(&t, IMS_TD_REG_FIRE_DB(IMS_TD_KIND_COPY), last);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA + last);

    /* Neither half of the new message is used before the whole of it is */
    copy_store(&t, RAM_MSG + 8, ~0U);
    ims_fire(&t, IMS_TD_KIND_COPY, 3);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA + 3);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, 0);
    ims_write(&t, IMS_TD_REG_COPY_VALID, 1);
    ims_fire(&t, IMS_TD_KIND_COPY, 3);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, 2);

    /* Whatever else is written to VALID is a breach, and no more */
    ims_write(&t, IMS_TD_REG_COPY_VALID, 2);
    assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_COPY_VALID, 2);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_COPY_VALID), ==, 1);

    ims_write(&t, IMS_TD_REG_COPY_VALID, 0);
    g_assert_cmphex(copy_state(&t, 3), ==, 0);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_COPY_ADDR_LO), ==, RAM_MSG + 8);
    ims_fire(&t, IMS_TD_KIND_COPY, 3);
    assert_breach(&t, IMS_TD_BREACH_NO_MSG, IMS_TD_KIND_COPY, 3, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, 0);

    assert_kind(&t, IMS_TD_KIND_COPY, 6, 4, 0, 0, 0);
    g_assert_cmpuint(slot_read(&t, IMS_TD_KIND_COPY, 3, IMS_TD_REG_SLOT_FIRED),
                     ==, 3);
    g_assert_cmpuint(slot_read(&t, IMS_TD_KIND_COPY, 3, IMS_TD_REG_SLOT_SENT),
                     ==, 2);
    ims_end(&t);
}

/* The hazard: the device has no idea that the message is another one now */
static void test_copy_stale(void)
{
    ImsTest t;
    uint32_t i;

    ims_boot(&t);
    msi_set_msg(&t, 0, RAM_MSG, 0x1200);
    copy_set(&t, RAM_MSG, 0x1200);
    msi_enable(&t, true);
    msi_set_mask(&t, 0, true);
    for (i = 0; i < IMS_TD_COPY_SLOTS; i++) {
        ims_fire(&t, IMS_TD_KIND_COPY, i);
        g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0x1200 + i);
    }

    msi_enable(&t, false);
    msi_set_msg(&t, 0, RAM_MSG + 8, 0x3400);
    msi_enable(&t, true);
    ims_fire(&t, IMS_TD_KIND_MSI, 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, 0x3401);
    ims_fire(&t, IMS_TD_KIND_COPY, 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0x1201);
    copy_set(&t, RAM_MSG + 8, 0x3400);
    ims_fire(&t, IMS_TD_KIND_COPY, 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, 0x3401);
    assert_kind(&t, IMS_TD_KIND_COPY, IMS_TD_COPY_SLOTS + 2,
                IMS_TD_COPY_SLOTS + 2, 0, 0, 0);
    assert_breaches(&t, 0);

    /* All at once, in order: the last one is what is left */
    ims_write(&t, IMS_TD_REG_FIRE_KIND, IMS_TD_KIND_COPY);
    ims_write(&t, IMS_TD_REG_FIRE, IMS_TD_FIRE_ALL);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==,
                    0x3400 + IMS_TD_COPY_SLOTS - 1);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* Addresses and slots that are none, and a device that can't send */
static void test_copy_bad(void)
{
    static const uint64_t addr[] = { NOWHERE, RAM_MSG + 1, ~3ULL, ~0ULL };
    uint16_t command;
    ImsTest t;
    uint32_t i;

    ims_boot(&t);
    command = qpci_config_readw(t.dev, PCI_COMMAND);
    for (i = 0; i < ARRAY_SIZE(addr); i++) {
        copy_set(&t, addr[i], DATA);
        ims_fire(&t, IMS_TD_KIND_COPY, 2);
        assert_breach(&t, IMS_TD_BREACH_BUS, IMS_TD_KIND_COPY, 2, DATA + 2);
    }
    copy_set(&t, t.regs.addr + IMS_TD_REG_RESET, 1);
    ims_fire(&t, IMS_TD_KIND_COPY, 0);
    assert_breach(&t, IMS_TD_BREACH_BUS, IMS_TD_KIND_COPY, 0, 1);
    copy_set(&t, 0, DATA);
    ims_fire(&t, IMS_TD_KIND_COPY, 2);
    assert_breach(&t, IMS_TD_BREACH_NO_MSG, IMS_TD_KIND_COPY, 2, 0);

    copy_set(&t, RAM_MSG, DATA);
    ims_fire(&t, IMS_TD_KIND_COPY, IMS_TD_COPY_SLOTS);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_COPY, IMS_TD_COPY_SLOTS,
                  1);
    ims_fire_range(&t, IMS_TD_KIND_COPY, 1, IMS_TD_COPY_SLOTS);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_COPY, IMS_TD_COPY_SLOTS,
                  IMS_TD_COPY_SLOTS);
    ims_write(&t, IMS_TD_REG_FIRE_DB(IMS_TD_KIND_COPY), UINT32_MAX);
    assert_breach(&t, IMS_TD_BREACH_RANGE, IMS_TD_KIND_COPY, UINT32_MAX, 1);
    assert_kind(&t, IMS_TD_KIND_COPY, ARRAY_SIZE(addr) + 2, 0, 0, 0, 0);

    /* No bus master, no message */
    qpci_config_writew(t.dev, PCI_COMMAND, command & ~PCI_COMMAND_MASTER);
    ims_fire(&t, IMS_TD_KIND_COPY, 2);
    assert_breach(&t, IMS_TD_BREACH_BUS, IMS_TD_KIND_COPY, 2, DATA + 2);
    qpci_config_writew(t.dev, PCI_COMMAND, command);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    ims_fire(&t, IMS_TD_KIND_COPY, 2);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA + 2);
    assert_breaches(&t, 0);
    ims_end(&t);
}

static void assert_copy_forgotten(ImsTest *t)
{
    uint32_t reg;

    for (reg = IMS_TD_REG_COPY_ADDR_LO; reg <= IMS_TD_REG_COPY_VALID;
         reg += 4) {
        g_assert_cmphex(ims_read(t, reg), ==, 0);
    }
    g_assert_cmphex(copy_state(t, 0), ==, 0);
}

/* In D3hot it sends nothing; what resets the device makes it forget */
static void test_copy_reset(void)
{
    ImsTest t;

    ims_boot(&t);
    copy_set(&t, RAM_MSG, DATA);
    ims_fire(&t, IMS_TD_KIND_COPY, 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA + 1);

    ims_set_power(&t, 3);
    ims_write(&t, IMS_TD_REG_FIRE_DB(IMS_TD_KIND_COPY), 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    ims_set_power(&t, 0);
    ims_restore(&t);
    assert_breach(&t, IMS_TD_BREACH_POWER, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_FIRE_DB(IMS_TD_KIND_COPY), 0);
    assert_copy_forgotten(&t);
    assert_kind(&t, IMS_TD_KIND_COPY, 1, 1, 0, 0, 0);

    copy_set(&t, RAM_MSG, DATA);
    ims_flr(&t);
    ims_restore(&t);
    assert_copy_forgotten(&t);
    assert_kind(&t, IMS_TD_KIND_COPY, 1, 1, 0, 0, 0);

    copy_set(&t, RAM_MSG, DATA);
    ims_write(&t, IMS_TD_REG_RESET, 1);
    assert_copy_forgotten(&t);
    assert_kind(&t, IMS_TD_KIND_COPY, 0, 0, 0, 0, 0);
    assert_breaches(&t, 0);
    ims_end(&t);
}

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

    wide_set_msg(t, 3, RAM_MSG, DATA);
    wide_set_mask(t, 3, false);
    wide_write_addr(t, 3, RAM_MSG + 8);
    ims_fire(t, IMS_TD_KIND_WIDE, 4);

    mem_enable(t, true);
    mem_set_msg(t, 5, RAM_MSG + 16, DATA);
    mem_set_mask(t, 5, false);
    ims_fire(t, IMS_TD_KIND_MEM, MEM_SLOTS - 1);

    /* Slot 7 is pending, and the second command is to unmask it */
    cmd_enable(t, true);
    cmd_set_msg(t, 7, RAM_MSG + 24, DATA);
    ims_fire(t, IMS_TD_KIND_CMD, 7);
    ims_write(t, IMS_TD_REG_CMD_LATENCY, 1000);
    ims_write(t, IMS_TD_REG_CMD_FAIL, 1);
    cmd_submit(t, IMS_TD_CMD_OP_CTRL, 8, 0, 0, 0);
    cmd_submit(t, IMS_TD_CMD_OP_CTRL, 7, 0, 0, 0);
    qtest_clock_step(t->qts, 400);
    ram_take(t, RAM_MSG);

    ims_write(t, IMS_TD_REG_BREACH_SEL, 0);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_CODE), ==,
                     IMS_TD_BREACH_RANGE);
}

/* What FLR leaves nothing of */
static void assert_forgotten(ImsTest *t)
{
    uint32_t i, slot, reg;

    for (i = 0; i < ARRAY_SIZE(kinds); i++) {
        for (slot = 0; slot < kinds[i].nr_slots; slot++) {
            /* For MSI, nothing is masked after reset */
            g_assert_cmphex(slot_read(t, kinds[i].kind, slot,
                                      IMS_TD_REG_SLOT_STATE), ==,
                            kinds[i].kind == IMS_TD_KIND_MSI ? 0 :
                            IMS_TD_SLOT_MASKED);
        }
        g_assert_cmpuint(kind_read(t, kinds[i].kind, IMS_TD_REG_KIND_PENDING),
                         ==, 0);
    }
    for (slot = 0; slot < WIDE_SLOTS; slot++) {
        g_assert_cmphex(wide_read(t, slot, IMS_TD_WIDE_CTRL), ==, 0);
        g_assert_cmphex(wide_read(t, slot, IMS_TD_WIDE_DATA), ==, 0);
        g_assert_cmphex(wide_read_addr(t, slot), ==, 0);
    }
    for (slot = 0; slot < CMD_SLOTS; slot++) {
        g_assert_cmphex(cmd_peek(t, slot), ==, IMS_TD_SLOT_CTRL_MASK);
    }
    for (reg = IMS_TD_REG_MEM_BASE_LO; reg <= IMS_TD_REG_MEM_NOTIFY; reg += 4) {
        g_assert_cmphex(ims_read(t, reg), ==, 0);
    }
    for (reg = IMS_TD_REG_CMD_BASE_LO; reg <= IMS_TD_REG_CMD_HEAD; reg += 4) {
        g_assert_cmphex(ims_read(t, reg), ==, 0);
    }
    qtest_clock_step(t->qts, 1000000);
    g_assert_cmphex(ram_take(t, RAM_MSG + 24), ==, 0);
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
    for (reg = IMS_TD_REG_MEM_BASE_LO; reg <= IMS_TD_REG_MEM_NOTIFY; reg += 4) {
        g_assert_cmphex(ims_read(t, reg), ==, 0);
    }
    for (reg = IMS_TD_REG_CMD_BASE_LO; reg <= IMS_TD_REG_CMD_DONE; reg += 4) {
        g_assert_cmphex(ims_read(t, reg), ==, 0);
    }
    assert_breaches(t, 0);
    assert_kind(t, IMS_TD_KIND_TABLE, 0, 0, 0, 0, 0);
    assert_kind(t, IMS_TD_KIND_WIDE, 0, 0, 0, 0, 0);
    assert_kind(t, IMS_TD_KIND_MEM, 0, 0, 0, 0, 0);
    assert_kind(t, IMS_TD_KIND_CMD, 0, 0, 0, 0, 0);
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
    g_assert_cmphex(qpci_config_readw(t.dev, t.msix_cap + PCI_MSIX_FLAGS), ==,
                    PCI_MSIX_FLAGS_ENABLE | (MSIX_VECTORS - 1));
    msix_set_mask(&t, 6, false);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    msix_write(&t, 6, PCI_MSIX_ENTRY_VECTOR_CTRL, 1);
    msix_write(&t, 6, PCI_MSIX_ENTRY_LOWER_ADDR, 0);
    msix_enable(&t, false);
    assert_forgotten(&t);
    ims_write(&t, IMS_TD_REG_RESET, 1);

    make_state(&t);
    ims_set_power(&t, 3);
    response = qtest_qmp(t.qts, "{'execute': 'system_reset'}");
    qobject_unref(response);
    qtest_qmp_eventwait(t.qts, "RESET");
    g_assert_cmphex(ims_get_power(&t), ==, 0);
    g_free(t.dev);
    ims_map(&t, DEVFN);
    assert_table_reset(&t);
    assert_kind(&t, IMS_TD_KIND_MSIX, 0, 0, 0, 0, 0);
    g_assert_cmphex(msix_read(&t, 6, PCI_MSIX_ENTRY_DATA), ==, 0);
    assert_forgotten(&t);
    ims_end(&t);
}

/* Everything that is the judge's, as make_state() and what follows left it */
static void assert_records(ImsTest *t)
{
    assert_kind(t, IMS_TD_KIND_TABLE, 3, 1, 2, 1, 0);
    assert_kind(t, IMS_TD_KIND_MSIX, 1, 0, 1, 0, 0);
    assert_kind(t, IMS_TD_KIND_WIDE, 1, 0, 1, 0, 0);
    assert_kind(t, IMS_TD_KIND_MEM, 1, 0, 1, 0, 0);
    assert_kind(t, IMS_TD_KIND_CMD, 1, 0, 1, 0, 0);
    g_assert_cmpuint(slot_read(t, IMS_TD_KIND_TABLE, SLOTS - 1,
                               IMS_TD_REG_SLOT_FIRED), ==, 2);
    g_assert_cmpuint(slot_read(t, IMS_TD_KIND_TABLE, 1, IMS_TD_REG_SLOT_SENT),
                     ==, 1);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_CMD_LATENCY), ==, 1000);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_CMD_FAIL), ==, 1);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_CMD_HANG), ==, 5);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_CMD_DONE), ==, 1);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_LOGGED), ==,
                     ims_read(t, IMS_TD_REG_BREACH_COUNT));
    ims_write(t, IMS_TD_REG_BREACH_SEL, 0);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_CODE), ==,
                     IMS_TD_BREACH_RANGE);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_BREACH_WHERE), ==, SLOTS);
}

static void assert_pci_reset(ImsTest *t)
{
    uint32_t i;

    g_assert_cmphex(qpci_config_readw(t->dev, PCI_COMMAND), ==, 0);
    for (i = 0; i < 6; i++) {
        g_assert_cmphex(qpci_config_readl(t->dev, PCI_BASE_ADDRESS_0 + 4 * i),
                        ==, 0);
    }
    g_assert_cmphex(ims_get_power(t), ==, 0);
    g_assert_cmphex(qpci_config_readw(t->dev, t->msix_cap + PCI_MSIX_FLAGS), ==,
                    MSIX_VECTORS - 1);
    g_assert_cmphex(qpci_config_readw(t->dev, t->msi_cap + PCI_MSI_FLAGS) &
                    (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE), ==, 0);
    g_assert_cmphex(qpci_config_readl(t->dev, t->msi_cap + PCI_MSI_ADDRESS_LO),
                    ==, 0);
    g_assert_cmphex(qpci_config_readl(t->dev, t->msi_cap + PCI_MSI_MASK_64), ==,
                    0);
}

/* The registers that a function reset keeps, and values for them */
static const struct {
    uint32_t reg;
    uint32_t value;
} kept_regs[] = {
    { IMS_TD_REG_FIRE_KIND, 0x101 },
    { IMS_TD_REG_FIRE_FIRST, 0x102 },
    { IMS_TD_REG_FIRE_COUNT, 0x103 },
    { IMS_TD_REG_BREACH_SEL, 0x104 },
    { IMS_TD_REG_SEL_KIND, IMS_TD_KIND_WIDE },
    { IMS_TD_REG_SEL_SLOT, 11 },
};

static void make_records(ImsTest *t)
{
    uint32_t i;

    make_state(t);
    ims_write(t, IMS_TD_REG_CMD_HANG, 5);
    qpci_config_writel(t->dev, t->msi_cap + PCI_MSI_MASK_64, 0xff);
    msi_set_msg(t, 0, RAM_MSG, 0x1200);
    for (i = 0; i < ARRAY_SIZE(kept_regs); i++) {
        ims_write(t, kept_regs[i].reg, kept_regs[i].value);
    }
}

static void assert_function_reset(ImsTest *t, uint32_t breaches)
{
    uint32_t i;

    assert_pci_reset(t);
    ims_restore(t);
    for (i = 0; i < ARRAY_SIZE(kept_regs); i++) {
        g_assert_cmphex(ims_read(t, kept_regs[i].reg), ==, kept_regs[i].value);
    }
    assert_records(t);
    assert_forgotten(t);
    assert_records(t);
    assert_breaches(t, breaches);
    for (i = 0; i < SLOTS; i++) {
        g_assert_cmphex(table_read(t, i, IMS_TD_SLOT_CTRL), ==,
                        IMS_TD_SLOT_CTRL_MASK);
    }
    for (i = 0; i < MSIX_VECTORS; i++) {
        g_assert_cmphex(msix_read(t, i, PCI_MSIX_ENTRY_VECTOR_CTRL), ==,
                        PCI_MSIX_ENTRY_CTRL_MASKBIT);
    }
    g_assert_cmphex(msix_read(t, 6, PCI_MSIX_ENTRY_DATA), ==, 0);

    /* Setting a message up anew is none of a breach's business */
    msix_set_mask(t, 6, false);
    msix_set_msg(t, 6, RAM_MSG, DATA);
    assert_breaches(t, breaches);

    /* It is all there */
    msix_enable(t, true);
    ims_fire(t, IMS_TD_KIND_MSIX, 6);
    g_assert_cmphex(ram_take(t, RAM_MSG), ==, DATA);
    ims_write(t, IMS_TD_REG_CMD_FAIL, 0);
    ims_write(t, IMS_TD_REG_CMD_HANG, 0);
    cmd_enable(t, true);
    cmd_submit(t, IMS_TD_CMD_OP_SET, 3, RAM_MSG, DATA, 0);
    qtest_clock_step(t->qts, 1000);
    ims_fire(t, IMS_TD_KIND_CMD, 3);
    g_assert_cmphex(ram_take(t, RAM_MSG), ==, DATA);
    mem_enable(t, true);
    mem_set_msg(t, 3, RAM_MSG, DATA);
    mem_set_mask(t, 3, false);
    ims_fire(t, IMS_TD_KIND_MEM, 3);
    g_assert_cmphex(ram_take(t, RAM_MSG), ==, DATA);
    assert_breaches(t, breaches);
}

/* The device forgets, the judge does not */
static void test_flr(void)
{
    ImsTest t;

    ims_boot(&t);
    make_records(&t);
    ims_flr(&t);
    g_assert_cmphex(qpci_config_readw(t.dev, t.exp_cap + PCI_EXP_DEVCTL) &
                    PCI_EXP_DEVCTL_BCR_FLR, ==, 0);
    assert_function_reset(&t, 1);

    /* Writing the rest of the register is no reset */
    qpci_config_writew(t.dev, t.exp_cap + PCI_EXP_DEVCTL, 0x7fff);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_ID), ==, IMS_TD_ID);

    /* A reset by RESET keeps nothing, also after one that does */
    ims_write(&t, IMS_TD_REG_RESET, 1);
    assert_table_reset(&t);

    /* And FLR wakes the device */
    ims_set_power(&t, 3);
    ims_flr(&t);
    g_assert_cmphex(ims_get_power(&t), ==, 0);
    ims_restore(&t);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_ID), ==, IMS_TD_ID);
    ims_end(&t);
}

/* MSI live: what a reset does to the message isn't software's doing */
static void test_flr_live(void)
{
    ImsTest t;

    ims_boot(&t);
    msi_set_msg(&t, 0, RAM_MSG, 0x1200);
    msi_enable(&t, true);
    ims_fire(&t, IMS_TD_KIND_MSI, 3);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0x1203);
    ims_flr(&t);
    ims_restore(&t);
    assert_breaches(&t, 0);

    msi_set_msg(&t, 0, RAM_MSG, 0x1200);
    msi_enable(&t, true);
    ims_set_power(&t, 3);
    ims_set_power(&t, 0);
    ims_restore(&t);
    assert_breaches(&t, 0);
    ims_fire(&t, IMS_TD_KIND_MSI, 3);
    assert_breach(&t, IMS_TD_BREACH_NO_MSG, IMS_TD_KIND_MSI, 3, 0);
    assert_kind(&t, IMS_TD_KIND_MSI, 2, 1, 0, 0, 0);
    ims_end(&t);
}

static void test_d3hot(void)
{
    uint16_t on = PCI_MSIX_FLAGS_ENABLE;
    ImsTest t;

    ims_boot(&t);
    make_records(&t);

    /* The same again, D1 and D2 are nothing */
    ims_set_power(&t, 0);
    ims_set_power(&t, 1);
    g_assert_cmphex(ims_get_power(&t), ==, 0);
    ims_set_power(&t, 2);
    g_assert_cmphex(ims_get_power(&t), ==, 0);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_ID), ==, IMS_TD_ID);
    g_assert_cmphex(table_read(&t, 1, IMS_TD_SLOT_DATA), ==, DATA);

    ims_set_power(&t, 3);
    g_assert_cmphex(ims_get_power(&t), ==, 3);

    /* Configuration space works */
    g_assert_cmphex(qpci_config_readw(t.dev, PCI_VENDOR_ID), ==,
                    IMS_TD_PCI_VENDOR);
    g_assert_cmphex(qpci_config_readw(t.dev, PCI_COMMAND) &
                    PCI_COMMAND_MASTER, !=, 0);
    qpci_config_writeb(t.dev, PCI_INTERRUPT_LINE, 0x5a);
    g_assert_cmphex(qpci_config_readb(t.dev, PCI_INTERRUPT_LINE), ==, 0x5a);

    /* Nothing else does: breaches 2 to 5 */
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_ID), ==, UINT32_MAX);
    ims_write(&t, IMS_TD_REG_RESET, 1);
    ims_write(&t, IMS_TD_REG_FIRE_DB(IMS_TD_KIND_TABLE), 1);
    table_write(&t, SLOTS - 1, IMS_TD_SLOT_CTRL, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);

    /* The ring, whose commands were under way, */
    qtest_clock_step(t.qts, 1000000);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 24), ==, 0);
    g_assert_cmpuint(cmd_status(&t, 1), ==, 0);

    /* and the pending vector of MSI-X that can be unmasked from outside */
    qpci_config_writew(t.dev, t.msix_cap + PCI_MSIX_FLAGS,
                       on | PCI_MSIX_FLAGS_MASKALL);
    qpci_config_writew(t.dev, t.msix_cap + PCI_MSIX_FLAGS, on);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);

    /* The way back is by D0 alone */
    ims_set_power(&t, 1);
    g_assert_cmphex(ims_get_power(&t), ==, 3);
    ims_set_power(&t, 3);
    g_assert_cmphex(ims_get_power(&t), ==, 3);
    g_assert_cmphex(qpci_config_readw(t.dev, PCI_COMMAND) &
                    PCI_COMMAND_MASTER, !=, 0);
    ims_set_power(&t, 0);
    assert_function_reset(&t, 5);
    g_assert_cmpuint(ims_read(&t,
                              IMS_TD_REG_BREACH_BY_CODE(IMS_TD_BREACH_POWER)),
                     ==, 4);
    ims_end(&t);
}

/* Every access to every BAR is seen, and it is said which */
static void test_d3hot_bars(void)
{
    struct {
        QPCIBar bar;
        uint32_t offset;
        uint32_t kind;
        uint32_t where;
    } access[8];
    static const int sizes[] = { 1, 2, 4, 8 };
    uint32_t i, j;
    ImsTest t;

    ims_start(&t, "-device ims-testdev,addr=04.0,slots=3,wide-slots=3");
    ims_map(&t, DEVFN);
    for (i = 0; i < ARRAY_SIZE(access); i++) {
        access[i].offset = i % 2 ? 0xff0 : 0;
    }
    access[0].bar = access[1].bar = t.regs;
    access[0].kind = access[1].kind = IMS_TD_BREACH_KIND_REGS;
    access[0].where = 0;
    access[1].where = 0xff0;
    access[2].bar = access[3].bar = t.table;
    access[2].kind = access[3].kind = IMS_TD_KIND_TABLE;
    access[2].where = 0;
    access[3].where = 0xff;
    access[4].bar = access[5].bar = t.wide;
    access[4].kind = access[5].kind = IMS_TD_KIND_WIDE;
    access[4].where = 0;
    access[5].where = 0x7f;
    /* The table, and the pending bits */
    access[6].bar = access[7].bar = t.msix;
    access[6].kind = access[7].kind = IMS_TD_KIND_MSIX;
    access[6].where = 0;
    access[7].offset = MSIX_PBA;
    access[7].where = MSIX_PBA / 16;

    for (i = 0; i < ARRAY_SIZE(access); i++) {
        for (j = 0; j < ARRAY_SIZE(sizes); j++) {
            ims_set_power(&t, 3);
            g_assert_cmphex(read_sized(&t, access[i].bar, access[i].offset,
                                       sizes[j]), ==,
                            MAKE_64BIT_MASK(0, sizes[j] * 8));
            ims_set_power(&t, 0);
            ims_restore(&t);
            assert_breach(&t, IMS_TD_BREACH_POWER, access[i].kind,
                          access[i].where, 0);
            ims_set_power(&t, 3);
            write_sized(&t, access[i].bar, access[i].offset, sizes[j], 1);
            ims_set_power(&t, 0);
            ims_restore(&t);
            assert_breach(&t, IMS_TD_BREACH_POWER, access[i].kind,
                          access[i].where, 0);
        }
    }
    ims_end(&t);
}

/*
 * Messages that go to the device's own configuration space, or to the bridge
 * above, and reset the device or put it to sleep: the fires after it are none.
 */
static void test_own_reset(const void *opaque)
{
    const ImsKind *k = opaque;
    QPCIDevice *mch, *port;
    uint64_t own, reset[3];
    uint32_t i, data[3];
    ImsTest t;

    ims_start(&t, "-device pcie-root-port,id=rp,addr=04.0,chassis=1 "
              "-device ims-testdev,bus=rp");
    mch = qpci_device_find(t.bus, 0);
    qpci_config_writel(mch, MCH_PCIEXBAR, MMCFG | 1);
    g_free(mch);
    port = qpci_device_find(t.bus, DEVFN);
    qpci_config_writel(port, PCI_PRIMARY_BUS, 0x00010100);
    qpci_config_writel(port, PCI_MEMORY_BASE, 0xe000e000 | 0x0ff00000);
    qpci_device_enable(port);
    ims_map(&t, 1 << 8);
    own = MMCFG + (1 << 20);
    reset[0] = own + t.exp_cap + PCI_EXP_DEVCTL;
    data[0] = PCI_EXP_DEVCTL_BCR_FLR;
    reset[1] = own + t.pm_cap + PCI_PM_CTRL;
    data[1] = 3;
    reset[2] = MMCFG + (DEVFN << 12) + (PCI_BRIDGE_CONTROL & ~3);
    data[2] = PCI_BRIDGE_CTL_BUS_RESET << 16;

    for (i = 0; i < ARRAY_SIZE(reset); i++) {
        /* MSI has 16 bits of data, and its vector number is the low ones */
        uint32_t slot = data[i] % MSI_VECTORS;

        if (k->data(slot, data[i]) != data[i]) {
            continue;
        }
        kind_enable(&t, k);
        k->set_msg(&t, slot, reset[i], data[i]);
        k->set_mask(&t, slot, false);
        if (k->kind != IMS_TD_KIND_MSI) {
            k->set_msg(&t, slot + 1, RAM_MSG, DATA);
            k->set_mask(&t, slot + 1, false);
        }
        assert_breaches(&t, 0);
        ims_fire_range(&t, k->kind, slot, 3);
        if (i == 1) {
            g_assert_cmphex(ims_get_power(&t), ==, 3);
            ims_set_power(&t, 0);
        }
        g_assert_cmphex(qpci_config_readw(t.dev, PCI_COMMAND), ==, 0);
        qpci_config_writew(port, PCI_BRIDGE_CONTROL, 0);
        ims_restore(&t);

        /* All is gone after a bus reset: the record of that message too */
        assert_kind(&t, k->kind, i != 2, i != 2, 0, 0, 0);
        g_assert_cmpuint(slot_read(&t, k->kind, slot, IMS_TD_REG_SLOT_SENT),
                         ==, i != 2);
        g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
        assert_breaches(&t, 0);
        ims_write(&t, IMS_TD_REG_RESET, 1);
    }
    g_free(port);
    ims_end(&t);
}

/* The same from inside of a command, whose status is not written then */
static void test_own_reset_cmd(const void *opaque)
{
    uint32_t latency = GPOINTER_TO_UINT(opaque);
    uint64_t own = MMCFG + (DEVFN << 12);
    QPCIDevice *mch;
    uint32_t i;
    ImsTest t;

    ims_boot(&t);
    mch = qpci_device_find(t.bus, 0);
    qpci_config_writel(mch, MCH_PCIEXBAR, MMCFG | 1);
    g_free(mch);

    for (i = 0; i < 2; i++) {
        cmd_enable(&t, true);
        cmd_do(&t, IMS_TD_CMD_OP_SET, 1,
               i ? own + t.pm_cap + PCI_PM_CTRL : own + t.exp_cap +
               PCI_EXP_DEVCTL, i ? 3 : PCI_EXP_DEVCTL_BCR_FLR,
               IMS_TD_SLOT_CTRL_MASK);
        ims_fire(&t, IMS_TD_KIND_CMD, 1);
        cmd_store(&t, 1, IMS_TD_CMD_OP_CTRL, 1, 0, 0, 0);
        cmd_store(&t, 2, IMS_TD_CMD_OP_SET, 2, RAM_MSG, DATA, 0);
        ims_write(&t, IMS_TD_REG_CMD_LATENCY, latency);
        ims_write(&t, IMS_TD_REG_CMD_TAIL, 3);
        qtest_clock_step(t.qts, 10 * latency);
        g_assert_cmphex(ims_get_power(&t), ==, i ? 3 : 0);
        ims_set_power(&t, 0);
        ims_restore(&t);
        g_assert_cmpuint(cmd_status(&t, 1), ==, 0);
        g_assert_cmpuint(cmd_status(&t, 2), ==, 0);
        g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_CTRL), ==, 0);
        g_assert_cmphex(cmd_peek(&t, 1), ==, IMS_TD_SLOT_CTRL_MASK);
        g_assert_cmphex(cmd_peek(&t, 2), ==, IMS_TD_SLOT_CTRL_MASK);
        assert_kind(&t, IMS_TD_KIND_CMD, i + 1, i + 1, i + 1, 0, 0);
        ims_write(&t, IMS_TD_REG_CMD_LATENCY, 0);
    }

    /* And the status itself, where it is written to put the device to sleep */
    cmd_start(&t, own + t.pm_cap + PCI_PM_CTRL - IMS_TD_CMD_STATUS,
              RING_ENTRIES);
    ims_write(&t, IMS_TD_REG_CMD_LATENCY, latency);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 2);
    qtest_clock_step(t.qts, latency);
    /* What is there is no opcode, and BAD is D3hot */
    g_assert_cmphex(ims_get_power(&t), ==, 3);
    qtest_clock_step(t.qts, 10 * latency);
    ims_set_power(&t, 0);
    ims_restore(&t);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_CTRL), ==, 0);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 0);
    g_assert_cmpuint(ims_read(&t,
                              IMS_TD_REG_BREACH_BY_CODE(IMS_TD_BREACH_REG)),
                     ==, 1);
    assert_breaches(&t, 1);
    ims_end(&t);
}

/*
 * Vectors that one access to configuration space releases are sent one after
 * the other, and when the access is through.
 */
static void test_release_order(void)
{
    uint64_t own = MMCFG + (DEVFN << 12);
    QPCIDevice *mch;
    ImsTest t;

    ims_boot(&t);
    mch = qpci_device_find(t.bus, 0);
    qpci_config_writel(mch, MCH_PCIEXBAR, MMCFG | 1);
    g_free(mch);

    kind_enable(&t, &kinds[IMS_TD_KIND_MSI]);
    msi_set_msg(&t, 0, RAM_MSG, 0x1200);
    ims_fire(&t, IMS_TD_KIND_MSI, 31);
    ims_fire(&t, IMS_TD_KIND_MSI, 3);
    ims_fire(&t, IMS_TD_KIND_MSI, 17);
    assert_kind(&t, IMS_TD_KIND_MSI, 3, 0, 3, 0, 3);

    /* By a message of the table, which is dealt with before the next slot's */
    table_set_msg(&t, 0, own + t.msi_cap + PCI_MSI_MASK_64, 0x7fffffff & ~0x8);
    table_set_mask(&t, 0, false);
    table_set_msg(&t, 1, own + t.msi_cap + PCI_MSI_MASK_64, 0);
    table_set_mask(&t, 1, false);
    ims_fire(&t, IMS_TD_KIND_TABLE, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0x121f);
    assert_kind(&t, IMS_TD_KIND_MSI, 3, 2, 3, 0, 1);
    ims_fire(&t, IMS_TD_KIND_MSI, 16);
    ims_fire_range(&t, IMS_TD_KIND_TABLE, 0, 2);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0x1211);
    assert_kind(&t, IMS_TD_KIND_MSI, 4, 4, 4, 0, 0);

    /* What unmasks may change the message before: it is the new one then */
    qpci_config_writel(t.dev, t.msi_cap + PCI_MSI_MASK_64, UINT32_MAX);
    ims_fire(&t, IMS_TD_KIND_MSI, 2);
    msi_set_msg(&t, 0, RAM_MSG + 8, 0x1300);
    qpci_config_writel(t.dev, t.msi_cap + PCI_MSI_MASK_64, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, 0x1302);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/*
 * Vectors released at once, of which one makes the bridge above unplug the
 * device: there is a next one, but nothing that it could come from.
 */
static void test_release_unplug(void)
{
    /* Standard hot plug controller: slot 1 off, and its light */
    uint32_t off = 1 << 8 | 0xf, command = 0x14;
    QPCIDevice *bridge;
    QPCIBar shpc;
    ImsTest t;

    ims_start(&t, "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
              "-device pci-bridge,id=br,addr=04.0,chassis_nr=1,shpc=on "
              "-device ims-testdev,bus=br,addr=01.0,id=ims");
    bridge = qpci_device_find(t.bus, DEVFN);
    shpc = qpci_iomap(bridge, 0, NULL);
    qpci_config_writel(bridge, PCI_PRIMARY_BUS, 0x00010100);
    qpci_config_writel(bridge, PCI_MEMORY_BASE, 0xe000e010 | 0x0ff00000);
    qpci_device_enable(bridge);
    t.bus->mmio_alloc_ptr = 0xe0100000;
    ims_map(&t, 1 << 8 | QPCI_DEVFN(1, 0));
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_ID), ==, IMS_TD_ID);

    kind_enable(&t, &kinds[IMS_TD_KIND_MSI]);
    msi_set_msg(&t, 0, shpc.addr + command, off);
    ims_fire(&t, IMS_TD_KIND_MSI, off % MSI_VECTORS);
    ims_fire(&t, IMS_TD_KIND_MSI, off % MSI_VECTORS + 1);
    ims_fire(&t, IMS_TD_KIND_MSI, off % MSI_VECTORS + 5);
    assert_breaches(&t, 0);
    qpci_config_writel(t.dev, t.msi_cap + PCI_MSI_MASK_64, 0);

    qtest_qmp_eventwait(t.qts, "DEVICE_DELETED");
    g_assert_cmphex(qpci_config_readw(t.dev, PCI_VENDOR_ID), ==, 0xffff);
    g_free(bridge);
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

/* Let the device see @size bytes from @iova on as those at @addr */
static void vtd_map(ImsTest *t, uint64_t iova, uint64_t addr, uint64_t size,
                    uint64_t rights)
{
    /* One page for each level; all of @iova is in the first GiB */
    uint64_t entry = VTD_PAGES + 0x4000 + (iova >> 12) * 8;

    g_assert_cmphex(iova + size, <=, 2 * MiB);
    for (; size; size -= 4096, addr += 4096, entry += 8) {
        qtest_writeq(t->qts, entry, addr | rights);
    }
}

/* Remap the device's accesses, and those of no other requester id */
static void vtd_enable(ImsTest *t, uint32_t devfn)
{
    uint64_t root = VTD_PAGES, context = VTD_PAGES + 0x1000;
    uint64_t level3 = VTD_PAGES + 0x2000, level2 = VTD_PAGES + 0x3000;

    qtest_memset(t->qts, VTD_PAGES, 0, 0x5000);
    qtest_writeq(t->qts, root, context | VTD_PRESENT);
    qtest_writeq(t->qts, context + devfn * 16, level3 | VTD_PRESENT);
    qtest_writeq(t->qts, context + devfn * 16 + 8, 1 << 8 | VTD_3_LEVELS);
    qtest_writeq(t->qts, level3, level2 | VTD_READ | VTD_WRITE);
    qtest_writeq(t->qts, level2, (VTD_PAGES + 0x4000) | VTD_READ | VTD_WRITE);

    qtest_writeq(t->qts, VTD_BASE + VTD_RTADDR, root);
    qtest_writel(t->qts, VTD_BASE + VTD_GCMD, VTD_GCMD_SRTP);
    qtest_writel(t->qts, VTD_BASE + VTD_GCMD, VTD_GCMD_TE);
}

/* Slots in memory and the ring are where the IOMMU says, for this device */
static void test_remapped(void)
{
    uint64_t msg = 0x1000, slots = 0x10000, ring = 0x20000;
    ImsTest t;

    ims_start(&t, "-device intel-iommu,intremap=off "
              "-device ims-testdev,addr=04.0");
    ims_map(&t, DEVFN);
    vtd_enable(&t, DEVFN);
    vtd_map(&t, msg, RAM_MSG & ~0xfffULL, 0x1000, VTD_READ | VTD_WRITE);
    vtd_map(&t, slots, RAM_SLOTS, 0x1000, VTD_READ);
    vtd_map(&t, ring, RAM_RING, 0x1000, VTD_READ | VTD_WRITE);
    vtd_map(&t, ring + 0x1000, RAM_RING + 0x1000, 0x1000, VTD_READ);
    msg |= RAM_MSG & 0xfff;

    ims_write(&t, IMS_TD_REG_MEM_BASE_LO, slots);
    ims_write(&t, IMS_TD_REG_MEM_COUNT, MEM_SLOTS);
    mem_store_msg(&t, 7, msg, DATA);
    mem_notify(&t, 7);
    ims_fire(&t, IMS_TD_KIND_MEM, 7);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_breaches(&t, 0);
    /* Beyond the page that is mapped */
    ims_write(&t, IMS_TD_REG_MEM_NOTIFY, 256);
    assert_breach(&t, IMS_TD_BREACH_DMA, IMS_TD_KIND_MEM, 256, 0);

    /* The last command of the first page, and the first of one to be read */
    cmd_start(&t, ring, 256);
    cmd_store(&t, 0, IMS_TD_CMD_OP_SET, 1, msg, DATA, 0);
    cmd_store(&t, 1, IMS_TD_CMD_OP_CTRL, 2, 0, 0, 0);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 2);
    assert_cmds(&t, 0, 2, 2);
    ims_fire(&t, IMS_TD_KIND_CMD, 1);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    assert_breaches(&t, 0);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 129);
    /* What is carried out stays so, but it isn't completed */
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_BREACH_BY_CODE(IMS_TD_BREACH_REG)),
                     ==, 127);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_BREACH_BY_CODE(IMS_TD_BREACH_DMA)),
                     ==, 1);
    ims_write(&t, IMS_TD_REG_BREACH_CLEAR, 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 128);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_CTRL), ==, 0);

    cmd_start(&t, ring + 0x1000, RING_ENTRIES);
    cmd_store(&t, 128, IMS_TD_CMD_OP_CTRL, 3, 0, 0, 0);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 1);
    assert_breach(&t, IMS_TD_BREACH_DMA, IMS_TD_KIND_CMD, 0, 0);
    g_assert_cmphex(cmd_peek(&t, 3), ==, 0);
    g_assert_cmpuint(cmd_status(&t, 128), ==, 0);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 0);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_DONE), ==, 2);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_CMD_CTRL), ==, 0);
    ims_end(&t);

    /* The same tables for another device are none for this one */
    ims_start(&t, "-device intel-iommu,intremap=off "
              "-device ims-testdev,addr=04.0");
    ims_map(&t, DEVFN);
    vtd_enable(&t, DEVFN + 8);
    vtd_map(&t, slots, RAM_SLOTS, 0x1000, VTD_READ);
    ims_write(&t, IMS_TD_REG_MEM_BASE_LO, slots);
    ims_write(&t, IMS_TD_REG_MEM_COUNT, MEM_SLOTS);
    ims_write(&t, IMS_TD_REG_MEM_NOTIFY, 7);
    assert_breach(&t, IMS_TD_BREACH_DMA, IMS_TD_KIND_MEM, 7, 0);
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

    kind_enable(&t, k);
    k->set_msg(&t, 0, MMCFG + (DEVFN << 12) + exp + PCI_EXP_SLTCTL, off);
    /* All vectors of MSI have the one address */
    if (k->kind != IMS_TD_KIND_MSI) {
        k->set_msg(&t, 1, RAM_MSG, DATA);
        k->set_mask(&t, 1, false);
    }
    k->set_mask(&t, 0, false);
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

/* Save to a file that the caller removes, and quit */
static char *migrate_save(ImsTest *t)
{
    g_autofree char *uri = NULL;
    QDict *response;
    char *file;
    int fd;

    fd = g_file_open_tmp("ims-testdev-XXXXXX", &file, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(fd);

    uri = g_strdup_printf("exec:cat > %s", file);
    response = qtest_qmp(t->qts, "{'execute': 'migrate', "
                         "'arguments': {'uri': %s}}", uri);
    g_assert(qdict_haskey(response, "return"));
    qobject_unref(response);
    wait_migrated(t->qts);
    qtest_quit(t->qts);
    qpci_free_pc(t->bus);
    return file;
}

/* The same device, with its BARs where they were */
static void migrate_load(ImsTest *t, const char *file, const char *options)
{
    t->qts = qtest_initf("-machine q35 -nodefaults "
                         "-device ims-testdev,addr=04.0%s "
                         "-incoming \"exec:cat %s\"", options, file);
    t->bus = qpci_new_pc(t->qts, NULL);
    t->dev->bus = t->bus;
    wait_migrated(t->qts);
}

static void migrate(ImsTest *t)
{
    g_autofree char *file = migrate_save(t);

    migrate_load(t, file, "");
    unlink(file);
}

/* A vector that is pending: the bit is in configuration space */
static void test_migrate_msi(const void *opaque)
{
    const ImsMsiForm *f = opaque;
    g_autofree char *options = NULL;
    g_autofree char *file = NULL;
    uint8_t mask, pending;
    ImsTest t;

    options = g_strdup_printf(",msi-vectors=%u,msi-64bit=%s", f->nr,
                              f->is_64bit ? "on" : "off");
    ims_start(&t, "-device ims-testdev,addr=04.0%s", options);
    ims_map(&t, DEVFN);
    mask = t.msi_cap + (f->is_64bit ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);
    pending = mask + 4;
    qpci_config_writel(t.dev, t.msi_cap + PCI_MSI_ADDRESS_LO, RAM_MSG);
    qpci_config_writel(t.dev, mask, 1);
    msi_enable(&t, true);
    ims_fire(&t, IMS_TD_KIND_MSI, 0);
    g_assert_cmphex(qpci_config_readl(t.dev, pending), ==, 1);

    file = migrate_save(&t);
    migrate_load(&t, file, options);
    unlink(file);
    g_assert_cmphex(qpci_config_readl(t.dev, pending), ==, 1);
    assert_kind(&t, IMS_TD_KIND_MSI, 1, 0, 1, 0, 1);
    qpci_config_writel(t.dev, mask, 0);
    g_assert_cmphex(qpci_config_readl(t.dev, pending), ==, 0);
    assert_kind(&t, IMS_TD_KIND_MSI, 1, 1, 1, 0, 0);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* The message that is valid, and the one that is not yet */
static void test_migrate_copy(void)
{
    ImsTest t;

    ims_boot(&t);
    copy_set(&t, RAM_MSG, DATA);
    ims_fire(&t, IMS_TD_KIND_COPY, 1);
    copy_store(&t, RAM_MSG + 8, DATA + 0x100);
    migrate(&t);
    assert_kind(&t, IMS_TD_KIND_COPY, 1, 1, 0, 0, 0);
    ims_fire(&t, IMS_TD_KIND_COPY, 2);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA + 2);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, 0);
    ims_write(&t, IMS_TD_REG_COPY_VALID, 1);
    ims_fire(&t, IMS_TD_KIND_COPY, 2);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 8), ==, DATA + 0x102);
    assert_breaches(&t, 0);
    ims_end(&t);
}

static void test_migrate(void)
{
    ImsTest t;

    ims_boot(&t);
    make_state(&t);
    migrate(&t);
    qtest_clock_set(t.qts, 400);

    assert_kind(&t, IMS_TD_KIND_TABLE, 3, 1, 2, 1, 1);
    assert_kind(&t, IMS_TD_KIND_MSIX, 1, 0, 1, 0, 1);
    assert_kind(&t, IMS_TD_KIND_WIDE, 1, 0, 1, 0, 1);
    assert_kind(&t, IMS_TD_KIND_MEM, 1, 0, 1, 0, 1);
    assert_kind(&t, IMS_TD_KIND_CMD, 1, 0, 1, 0, 1);
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

    /* The message in effect, and the address that was only prepared */
    ims_fire(&t, IMS_TD_KIND_WIDE, 3);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);
    g_assert_cmphex(wide_read_addr(&t, 3), ==, RAM_MSG + 8);
    wide_write(&t, 3, IMS_TD_WIDE_DATA, DATA);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, IMS_TD_KIND_WIDE, 3, DATA);
    g_assert_cmphex(wide_read(&t, 4, IMS_TD_WIDE_CTRL), ==,
                    IMS_TD_WIDE_CTRL_PENDING);

    /* What it has read of memory, and where that is */
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_MEM_NOTIFY), ==, 5);
    g_assert_cmphex(slot_read(&t, IMS_TD_KIND_MEM, 5, IMS_TD_REG_SLOT_STATE),
                    ==, IMS_TD_SLOT_HAS_MSG);
    mem_set_msg(&t, 5, RAM_MSG, DATA + 1);
    assert_breach(&t, IMS_TD_BREACH_MSG_UNMASKED, IMS_TD_KIND_MEM, 5, DATA + 1);
    mem_set_msg(&t, MEM_SLOTS - 1, RAM_MSG, DATA + 2);
    mem_set_mask(&t, MEM_SLOTS - 1, false);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA + 2);

    /* The command under way needs as long as it did, and fails */
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_FAIL), ==, 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_DONE), ==, 1);
    qtest_clock_step(t.qts, 599);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 1);
    g_assert_cmpuint(cmd_status(&t, 1), ==, 0);
    qtest_clock_step(t.qts, 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 2);
    g_assert_cmpuint(cmd_status(&t, 1), ==, IMS_TD_CMD_FAILED);
    g_assert_cmphex(cmd_peek(&t, 7), ==,
                    IMS_TD_SLOT_CTRL_MASK | IMS_TD_SLOT_CTRL_PENDING);
    qtest_clock_step(t.qts, 1000);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 3);
    g_assert_cmpuint(cmd_status(&t, 2), ==, IMS_TD_CMD_OK);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 24), ==, DATA);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* A ring that hangs, and a device that sleeps */
static void test_migrate_still(void)
{
    ImsTest t;

    ims_boot(&t);
    make_state(&t);
    ims_write(&t, IMS_TD_REG_CMD_HANG, 2);
    qtest_clock_step(t.qts, 1000);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HANG), ==, 1);
    migrate(&t);
    qtest_clock_set(t.qts, 1000000);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HANG), ==, 1);
    ims_write(&t, IMS_TD_REG_CMD_TAIL, 4);
    qtest_clock_step(t.qts, 1000000);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, 1);
    cmd_stop(&t);

    ims_write(&t, IMS_TD_REG_RESET, 1);
    make_state(&t);
    ims_set_power(&t, 3);
    migrate(&t);
    qtest_clock_set(t.qts, 10000000);
    g_assert_cmphex(ims_get_power(&t), ==, 3);
    g_assert_cmphex(ims_read(&t, IMS_TD_REG_ID), ==, UINT32_MAX);
    g_assert_cmphex(ram_take(&t, RAM_MSG + 24), ==, 0);
    ims_set_power(&t, 0);
    ims_restore(&t);
    assert_forgotten(&t);
    assert_kind(&t, IMS_TD_KIND_CMD, 1, 0, 1, 0, 0);
    ims_write(&t, IMS_TD_REG_BREACH_SEL, 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_BREACH_CODE), ==,
                     IMS_TD_BREACH_POWER);
    ims_end(&t);
}

/*
 * What can't be is not loaded. The first words of the state that is searched
 * for are MEM_BASE_LO, MEM_BASE_HI and MEM_COUNT; what is before them are the
 * wide table's addresses, what there is of kind COPY, and the slots of kind CMD.
 */
typedef struct ImsBadState {
    const char *name;
    /* Words after MEM_BASE_LO, negative if before */
    int word;
    uint32_t value;
    /* What the error says that is wrong */
    const char *what;
} ImsBadState;

enum {
    STATE_MEM_COUNT = 2,
    STATE_CMD_ENTRIES = 6,
    STATE_CMD_CTRL,
    STATE_CMD_TAIL,
    STATE_CMD_HEAD,
    STATE_COPY_VALID = 17,
    STATE_FIRE_LEFT = 21,
    STATE_TABLE_MODE = 24,
    /* What kind COPY has: how many slots, and counters of them all and of each */
    STATE_COPY_WORDS = 5 + 2 * IMS_TD_COPY_SLOTS,
    /* The control word of the last slot, which is masked. PASIDs come after it */
    STATE_CTRL = -2 * WIDE_SLOTS - STATE_COPY_WORDS - 2 * CMD_SLOTS - 1,
};

static const ImsBadState bad_states[] = {
    { "mem-count", STATE_MEM_COUNT, MEM_SLOTS + 1,
      "MEM_COUNT" },
    { "cmd-entries", STATE_CMD_ENTRIES, 3,
      "command ring" },
    { "cmd-entries-huge", STATE_CMD_ENTRIES, 1U << 31,
      "command ring" },
    { "cmd-ctrl", STATE_CMD_CTRL, 3,
      "command ring" },
    { "cmd-tail", STATE_CMD_TAIL, RING_ENTRIES,
      "command ring" },
    { "cmd-head", STATE_CMD_HEAD, RING_ENTRIES,
      "command ring" },
    /* A timer for nothing, and nothing for a timer */
    { "cmd-idle", STATE_CMD_TAIL, 1,
      "command ring" },
    { "cmd-stopped", STATE_CMD_CTRL, 0,
      "command ring" },
    { "copy-valid", STATE_COPY_VALID, 2,
      "COPY_VALID" },
    { "slot-bits", STATE_CTRL, 5,
      "control word of a slot" },
    { "slot-pending", STATE_CTRL, 2,
      "control word of a slot" },
    { "fire-left", STATE_FIRE_LEFT, 1,
      "range to be fired" },
    { "table-mode", STATE_TABLE_MODE, 3,
      "TABLE_MODE" },
};

static void test_migrate_bad(const void *opaque)
{
    const ImsBadState *b = opaque;
    uint32_t base_lo = 0xdeadbeef, base_hi = 0x5a5aa5a5;
    g_autofree char *data = NULL;
    g_autofree char *uri = NULL;
    g_autofree char *file = NULL, *errors = NULL, *said = NULL, *what = NULL;
    QDict *response;
    uint8_t mark[8];
    char *found;
    gsize len;
    ImsTest t;
    int i;

    ims_boot(&t);
    cmd_enable(&t, true);
    cmd_set_mask(&t, 0, false);
    ims_write(&t, IMS_TD_REG_CMD_LATENCY, 1000);
    cmd_submit(&t, IMS_TD_CMD_OP_CTRL, 8, 0, 0, 0);
    ims_write(&t, IMS_TD_REG_MEM_BASE_LO, base_lo);
    ims_write(&t, IMS_TD_REG_MEM_BASE_HI, base_hi);
    g_free(t.dev);
    file = migrate_save(&t);

    g_assert(g_file_get_contents(file, &data, &len, NULL));
    stl_be_p(mark, base_lo);
    stl_be_p(mark + 4, base_hi);
    found = memmem(data, len, mark, sizeof(mark));
    g_assert_nonnull(found);
    stl_be_p(found + 4 * b->word, b->value);
    g_assert(g_file_set_contents(file, data, len, NULL));

    errors = g_strdup_printf("%s.errors", file);
    t.qts = qtest_initf("-machine q35 -nodefaults "
                        "-device ims-testdev,id=ims,addr=04.0 -incoming defer "
                        "2> %s", errors);
    uri = g_strdup_printf("exec:cat %s", file);
    response = qtest_qmp(t.qts, "{'execute': 'migrate-incoming', "
                         "'arguments': {'uri': %s}}", uri);
    g_assert(qdict_haskey(response, "return"));
    qobject_unref(response);
    qtest_set_expected_status(t.qts, EXIT_FAILURE);
    for (i = 0; i < 6000 && qtest_probe_child(t.qts); i++) {
        g_usleep(10 * 1000);
    }
    g_assert_cmpint(i, <, 6000);
    qtest_quit(t.qts);
    g_assert(g_file_get_contents(errors, &said, NULL, NULL));
    what = g_strdup_printf("ims: the state that is loaded has a wrong %s\n",
                           b->what);
    g_assert_nonnull(strstr(said, what));
    unlink(errors);
    unlink(file);
}

/*
 * "Limits": what one access may lead to, and what a change of the memory map
 * counts as
 */
#define LIMIT           16384
#define LIMIT_MAP       256
#define LIMIT_PAUSE     10000000

/* Many slots in memory, which send to a word of RAM each */
#define MANY            20000
#define RAM_MANY        0x1000000

static void many_start(ImsTest *t)
{
    g_autofree uint32_t *slots = g_new0(uint32_t, MANY * 4);
    uint32_t i;

    ims_start(t, "-device ims-testdev,addr=04.0,mem-slots=65536");
    ims_map(t, DEVFN);
    for (i = 0; i < MANY; i++) {
        slots[4 * i] = cpu_to_le32(RAM_MANY + 4 * i);
        slots[4 * i + 2] = cpu_to_le32(DATA + i);
    }
    qtest_bufwrite(t->qts, RAM_SLOTS, slots, MANY * 16);
    ims_write(t, IMS_TD_REG_MEM_BASE_LO, RAM_SLOTS);
    ims_write(t, IMS_TD_REG_MEM_COUNT, MANY);
    ims_fire_range(t, IMS_TD_KIND_MEM, 0, MANY);
}

/* @from to @to have sent, and no others have since the last look */
static void assert_many(ImsTest *t, uint32_t from, uint32_t to)
{
    g_autofree uint32_t *got = g_new0(uint32_t, MANY);
    uint32_t i;

    qtest_bufread(t->qts, RAM_MANY, got, 4 * MANY);
    for (i = 0; i < MANY; i++) {
        g_assert_cmphex(le32_to_cpu(got[i]), ==,
                        i >= from && i < to ? DATA + i : 0);
    }
    qtest_memset(t->qts, RAM_MANY, 0, 4 * MANY);
}

/* How many slots the first access has fired; the others are left */
static uint32_t many_fired(ImsTest *t)
{
    uint32_t fired = kind_read(t, IMS_TD_KIND_MEM, IMS_TD_REG_KIND_FIRED);

    g_assert_cmpuint(fired, >=, IMS_TD_FIRE_ONCE);
    g_assert_cmpuint(fired, <=, LIMIT / 2);
    g_assert_cmpuint(ims_read(t, IMS_TD_REG_FIRE), ==, MANY - fired);
    return fired;
}

/* A range that is too long for one access goes on later, also elsewhere */
static void test_limit_range(void)
{
    g_autofree char *file = NULL;
    uint32_t fired, then;
    ImsTest t;

    many_start(&t);
    fired = many_fired(&t);
    assert_many(&t, 0, fired);

    /* No other command meanwhile; a doorbell is none */
    ims_write(&t, IMS_TD_REG_FIRE, IMS_TD_FIRE_ONE);
    assert_breach(&t, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS,
                  IMS_TD_REG_FIRE, IMS_TD_FIRE_ONE);
    table_set_msg(&t, 0, RAM_MSG, DATA);
    table_set_mask(&t, 0, false);
    ims_write(&t, IMS_TD_REG_FIRE_DB(IMS_TD_KIND_TABLE), 0);
    g_assert_cmphex(ram_take(&t, RAM_MSG), ==, DATA);

    qtest_clock_step(t.qts, LIMIT_PAUSE - 1);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_FIRE), ==, MANY - fired);
    qtest_clock_step(t.qts, 1);
    then = kind_read(&t, IMS_TD_KIND_MEM, IMS_TD_REG_KIND_FIRED);
    g_assert_cmpuint(then, ==, 2 * fired);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_FIRE), ==, MANY - then);
    assert_many(&t, fired, then);

    file = migrate_save(&t);
    migrate_load(&t, file, ",mem-slots=65536");
    unlink(file);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_FIRE), ==, MANY - then);
    qtest_clock_set(t.qts, 3 * LIMIT_PAUSE);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_FIRE), ==, 0);
    assert_kind(&t, IMS_TD_KIND_MEM, MANY, MANY, 0, 0, 0);
    assert_many(&t, then, MANY);
    ims_fire(&t, IMS_TD_KIND_MEM, 0);
    assert_many(&t, 0, 1);
    assert_breaches(&t, 0);
    ims_end(&t);
}

/* What is left is forgotten by whatever forgets the slots */
static void test_limit_forget(void)
{
    uint32_t how, fired;
    ImsTest t;

    for (how = 0; how < 3; how++) {
        many_start(&t);
        fired = many_fired(&t);
        assert_many(&t, 0, fired);
        if (how == 0) {
            ims_write(&t, IMS_TD_REG_RESET, 1);
        } else if (how == 1) {
            ims_flr(&t);
            ims_restore(&t);
        } else {
            ims_set_power(&t, 3);
            qtest_clock_step(t.qts, 2 * LIMIT_PAUSE);
            ims_set_power(&t, 0);
            ims_restore(&t);
        }
        qtest_clock_step(t.qts, 2 * LIMIT_PAUSE);
        g_assert_cmpuint(ims_read(&t, IMS_TD_REG_FIRE), ==, 0);
        assert_kind(&t, IMS_TD_KIND_MEM, how ? fired : 0, how ? fired : 0, 0, 0,
                    0);
        assert_many(&t, 0, 0);
        assert_breaches(&t, 0);
        ims_end(&t);
    }
}

/* Where the command register of a function is, and what it is set to */
static uint64_t command_register(ImsTest *t, int devfn)
{
    QPCIDevice *mch = qpci_device_find(t->bus, 0);

    qpci_config_writel(mch, MCH_PCIEXBAR, MMCFG | 1);
    g_free(mch);
    return MMCFG + (devfn << 12) + PCI_COMMAND;
}

static uint32_t toggled(uint32_t i)
{
    return i % 2 ? PCI_COMMAND_MEMORY : 0;
}

/*
 * Each message changes the memory map: what replaces it is freed only after the
 * access, so there must not be many
 */
static void test_limit_map(void)
{
    const uint32_t devfn = QPCI_DEVFN(5, 0), nr = 200;
    uint32_t i, sent, steps = 0;
    uint64_t command;
    QPCIDevice *edu;
    ImsTest t;

    ims_start(&t, "-device ims-testdev,addr=04.0 -device edu,addr=05.0");
    ims_map(&t, DEVFN);
    command = command_register(&t, devfn);
    edu = qpci_device_find(t.bus, devfn);
    qpci_iomap(edu, 0, NULL);
    qpci_device_enable(edu);

    for (i = 0; i < nr; i++) {
        table_set_msg(&t, i, command, toggled(i));
        table_set_mask(&t, i, false);
    }
    ims_fire_range(&t, IMS_TD_KIND_TABLE, 0, nr);
    sent = kind_read(&t, IMS_TD_KIND_TABLE, IMS_TD_REG_KIND_SENT);
    g_assert_cmpuint(sent, >=, 32);
    g_assert_cmpuint(sent, <=, LIMIT / LIMIT_MAP);
    while (ims_read(&t, IMS_TD_REG_FIRE)) {
        qtest_clock_step(t.qts, LIMIT_PAUSE);
        steps++;
    }
    g_assert_cmpuint(steps, >=, nr / (LIMIT / LIMIT_MAP));
    assert_kind(&t, IMS_TD_KIND_TABLE, nr, nr, 0, 0, 0);

    /* The same by commands, each of which releases a slot */
    cmd_start(&t, RAM_RING, 256);
    for (i = 0; i < nr; i++) {
        ims_fire(&t, IMS_TD_KIND_CMD, i);
        cmd_store(&t, i, IMS_TD_CMD_OP_SET, i, command, toggled(i), 0);
    }
    ims_write(&t, IMS_TD_REG_CMD_TAIL, nr);
    sent = ims_read(&t, IMS_TD_REG_CMD_HEAD);
    g_assert_cmpuint(sent, >=, 32);
    g_assert_cmpuint(sent, <=, LIMIT / LIMIT_MAP);
    qtest_clock_step(t.qts, nr * LIMIT_PAUSE);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_HEAD), ==, nr);
    g_assert_cmpuint(ims_read(&t, IMS_TD_REG_CMD_DONE), ==, nr);
    assert_kind(&t, IMS_TD_KIND_CMD, nr, nr, nr, 0, 0);
    assert_breaches(&t, 0);
    g_free(edu);
    ims_end(&t);
}

/* Devices that fire each other share what one access may lead to */
static void test_limit_others(void)
{
    uint32_t i, n, sent = 0;
    ImsTest t[3];

    ims_start(&t[0], "-device ims-testdev,addr=04.0 "
              "-device ims-testdev,addr=05.0 -device ims-testdev,addr=06.0");
    t[1] = t[2] = t[0];
    for (n = 0; n < 3; n++) {
        ims_map(&t[n], QPCI_DEVFN(4 + n, 0));
        ims_write(&t[n], IMS_TD_REG_FIRE_KIND, IMS_TD_KIND_TABLE);
    }
    for (n = 0; n < 3; n++) {
        for (i = 0; i < SLOTS; i++) {
            table_set_msg(&t[n], i, n == 2 ? RAM_MSG :
                          t[n + 1].regs.addr + IMS_TD_REG_FIRE,
                          IMS_TD_FIRE_ALL);
            table_set_mask(&t[n], i, false);
        }
    }
    ims_write(&t[0], IMS_TD_REG_FIRE, IMS_TD_FIRE_ALL);
    for (n = 0; n < 3; n++) {
        sent += kind_read(&t[n], IMS_TD_KIND_TABLE, IMS_TD_REG_KIND_SENT);
    }
    g_assert_cmpuint(sent, >, SLOTS);
    g_assert_cmpuint(sent, <=, LIMIT);
    g_free(t[1].dev);
    g_free(t[2].dev);
    ims_end(&t[0]);
}

/* A device that has another one forget a million slots, again and again */
static void test_limit_reset(void)
{
    uint32_t i, sent;
    ImsTest a, b;

    ims_start(&a, "-device ims-testdev,addr=04.0 "
              "-device ims-testdev,addr=05.0,slots=1048576");
    b = a;
    ims_map(&a, DEVFN);
    ims_map(&b, QPCI_DEVFN(5, 0));
    for (i = 0; i < 100; i++) {
        table_set_msg(&a, i, b.regs.addr + IMS_TD_REG_RESET, 1);
        table_set_mask(&a, i, false);
    }
    ims_fire_range(&a, IMS_TD_KIND_TABLE, 0, 100);
    sent = kind_read(&a, IMS_TD_KIND_TABLE, IMS_TD_REG_KIND_SENT);
    g_assert_cmpuint(sent, >=, 1);
    g_assert_cmpuint(sent, <=, 2);
    qtest_clock_step(a.qts, 100 * LIMIT_PAUSE);
    g_assert_cmpuint(kind_read(&a, IMS_TD_KIND_TABLE, IMS_TD_REG_KIND_SENT),
                     >, sent);
    assert_breaches(&a, 0);
    g_free(b.dev);
    ims_end(&a);
}

/* Trace events tell the devices apart, with and without an id */
static void test_trace(void)
{
    g_autofree char *file = NULL, *text = NULL;
    ImsTest a, b;
    int fd;

    fd = g_file_open_tmp("ims-testdev-XXXXXX", &file, NULL);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    ims_start(&a, "-device ims-testdev,id=one,addr=04.0 "
              "-device ims-testdev,addr=05.0 -D %s "
              "-trace ims_testdev_reg_write", file);
    b = a;
    ims_map(&a, DEVFN);
    ims_map(&b, QPCI_DEVFN(5, 0));
    ims_write(&a, IMS_TD_REG_SEL_SLOT, 0x11);
    ims_write(&b, IMS_TD_REG_SEL_SLOT, 0x22);
    g_free(b.dev);
    ims_end(&a);
    g_assert(g_file_get_contents(file, &text, NULL, NULL));
    g_assert(g_regex_match_simple("reg_write one: reg 0x084 value 0x00000011\n",
                                  text, 0, 0));
    g_assert(g_regex_match_simple("reg_write device\\[\\d+\\]: reg 0x084 "
                                  "value 0x00000022\n", text, 0, 0));
    unlink(file);
}

/* Random use of a few slots, against a model of what the device must count */
static void test_model(const void *opaque)
{
    enum { MODEL_SLOTS = 8, STEPS = 10000 };
    const ImsKind *k = opaque;
    struct {
        uint64_t addr;
        uint32_t data, sent, fired;
        bool masked, pending;
    } model[MODEL_SLOTS] = {};
    uint32_t sent = 0, held = 0, merged = 0, fired = 0, changed = 0, no_msg = 0;
    GRand *rand = g_rand_new_with_seed(0x494d5332);
    uint32_t i, step;
    ImsTest t;

    kind_start(&t, k);
    for (i = 0; i < MODEL_SLOTS; i++) {
        model[i].masked = true;
    }

    for (step = 0; step < STEPS; step++) {
        uint32_t slot = g_rand_int_range(rand, 0, MODEL_SLOTS);
        uint32_t value = g_rand_int_range(rand, 0, 4);
        uint64_t addr = model[slot].addr;
        uint32_t data = model[slot].data;
        bool send = false;

        switch (g_rand_int_range(rand, 0, 8)) {
        case 0:
            addr = value ? RAM_MSG + 64 * slot + 8 * value : 0;
            /* fall through */
        case 1:
            data = g_rand_int_range(rand, 0, 4);
            if (!model[slot].masked) {
                bool new_addr = addr != model[slot].addr;
                bool new_data = data != model[slot].data;

                changed += k->whole ? new_addr || new_data :
                           new_addr + new_data;
            }
            model[slot].addr = addr;
            model[slot].data = data;
            k->set_msg(&t, slot, addr, data);
            break;
        case 2:
        case 3:
            model[slot].masked = value & 1;
            send = !model[slot].masked && model[slot].pending;
            k->set_mask(&t, slot, model[slot].masked);
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
            ims_write(&t, IMS_TD_REG_FIRE_DB(k->kind), slot);
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
        g_assert_cmpuint(slot_read(&t, k->kind, i, IMS_TD_REG_SLOT_SENT), ==,
                         model[i].sent);
        g_assert_cmpuint(slot_read(&t, k->kind, i, IMS_TD_REG_SLOT_FIRED), ==,
                         model[i].fired);
        g_assert_cmphex(slot_read(&t, k->kind, i, IMS_TD_REG_SLOT_STATE), ==,
                        model[i].masked * IMS_TD_SLOT_MASKED |
                        model[i].pending * IMS_TD_SLOT_PENDING |
                        !!model[i].addr * IMS_TD_SLOT_HAS_MSG);
    }
    assert_kind(&t, k->kind, fired, sent, held, merged, step);
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

    switch (r % 16) {
    case 0:
        return t->regs.addr + r / 16 % IMS_TD_REGS_SIZE;
    case 1:
        return t->table.addr + r / 16 % t->table_size;
    case 2:
        return t->msix.addr + r / 16 % 0x10000;
    case 3:
        return t->wide.addr + r / 16 % t->wide_size;
    case 4:
    case 5:
        /* Its own configuration space, beyond the BARs' addresses */
        return MMCFG + (DEVFN << 12) + 0x40 + r / 16 % (0x1000 - 0x40);
    case 6:
        return MMCFG + (DEVFN << 12) + t->exp_cap + PCI_EXP_DEVCTL;
    case 7:
        return MMCFG + (DEVFN << 12) + t->pm_cap + PCI_PM_CTRL;
    case 8:
        return 0;
    case 9:
        return UINT64_MAX - r / 16 % 256;
    default:
        return RAM_MSG + r / 16 % 0x10000;
    }
}

/* Slots and commands where the device looks for them, or about there */
static void fuzz_memory(ImsTest *t, GRand *rand)
{
    uint32_t slot = g_rand_int_range(rand, 0, 40);

    mem_store_msg(t, slot, fuzz_address(t, rand), g_rand_int(rand));
    mem_store_ctrl(t, slot, g_rand_int(rand));
    cmd_store(t, g_rand_int_range(rand, 0, RING_ENTRIES),
              g_rand_int_range(rand, 0, 5), g_rand_int_range(rand, 0, 40),
              fuzz_address(t, rand), g_rand_int(rand), g_rand_int(rand));
}

static void fuzz_setup(ImsTest *t, GRand *rand)
{
    bool sane = g_rand_int_range(rand, 0, 4);
    uint64_t base = sane ? RAM_RING : fuzz_address(t, rand);

    ims_write(t, IMS_TD_REG_MEM_BASE_LO,
              sane ? RAM_SLOTS : fuzz_address(t, rand));
    ims_write(t, IMS_TD_REG_MEM_COUNT, g_rand_int_range(rand, 0, 50));
    ims_write(t, IMS_TD_REG_CMD_LATENCY, g_rand_int_range(rand, 0, 3) * 10);
    ims_write(t, IMS_TD_REG_CMD_FAIL, g_rand_int_range(rand, 0, 3));
    ims_write(t, IMS_TD_REG_CMD_HANG, g_rand_int_range(rand, 0, 2));
    cmd_stop(t);
    cmd_start(t, base, 1U << g_rand_int_range(rand, 0, 8));
}

/* Whatever a guest does, QEMU and the device survive it */
static void test_fuzz(void)
{
    static const int sizes[] = { 1, 2, 4, 4, 4, 4, 4, 8 };
    GRand *rand = g_rand_new_with_seed(0x494d5331);
    uint32_t breaches = 0, code[IMS_TD_NR_BREACHES] = {};
    QPCIDevice *mch;
    uint32_t i, j;
    ImsTest t;

    ims_boot(&t);
    mch = qpci_device_find(t.bus, 0);
    qpci_config_writel(mch, MCH_PCIEXBAR, MMCFG | 1);
    g_free(mch);

    for (i = 0; i < 100000; i++) {
        int size = sizes[g_rand_int_range(rand, 0, ARRAY_SIZE(sizes))];
        uint32_t op = g_rand_int_range(rand, 0, 26);
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
            write_sized(&t, t.regs, off % 0x1f0, size, value);
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
        case 16:
            read_sized(&t, t.wide, off % (t.wide_size - 8), size);
            break;
        case 17:
            write_sized(&t, t.wide, off % (t.wide_size - 8), size, value);
            break;
        case 18:
            wide_write_addr(&t, slot, fuzz_address(&t, rand));
            wide_write(&t, slot, IMS_TD_WIDE_DATA, value);
            wide_write(&t, slot, IMS_TD_WIDE_CTRL, off << 31);
            break;
        case 19:
        case 20:
            fuzz_memory(&t, rand);
            ims_write(&t, IMS_TD_REG_MEM_NOTIFY, slot);
            break;
        case 21:
        case 22:
            fuzz_memory(&t, rand);
            ims_write(&t, IMS_TD_REG_CMD_TAIL, off % 130);
            break;
        case 23:
            qtest_clock_step(t.qts, off % 64);
            break;
        case 24:
            copy_set(&t, fuzz_address(&t, rand), value);
            break;
        case 25:
            ims_write(&t, IMS_TD_REG_SEL_KIND, off % (IMS_TD_NR_KINDS + 1));
            ims_write(&t, IMS_TD_REG_SEL_SLOT, slot);
            ims_write(&t, IMS_TD_REG_SLOT_EXPECT, IMS_TD_PASID_CHECK |
                      (value & (IMS_TD_PASID_EN | IMS_TD_PASID)));
            break;
        }

        /* A message may have turned the device off, reset it, or stopped it */
        if (i % 64 == 0) {
            if (off % 16 == 0) {
                ims_set_power(&t, value);
            }
            if (off % 16 == 1) {
                ims_flr(&t);
            }
            ims_set_power(&t, 0);
            ims_restore(&t);
            breaches += ims_read(&t, IMS_TD_REG_BREACH_COUNT);
            for (j = 0; j < IMS_TD_NR_BREACHES; j++) {
                code[j] += ims_read(&t, IMS_TD_REG_BREACH_BY_CODE(j));
            }
            ims_write(&t, IMS_TD_REG_BREACH_CLEAR, 1);
            fuzz_setup(&t, rand);
            ims_write(&t, IMS_TD_REG_FIRE_KIND, off / 4 % IMS_TD_NR_KINDS);
            ims_write(&t, IMS_TD_REG_FIRE, IMS_TD_FIRE_ALL);
        }
    }

    /* Alive, and as good as new. It has seen everything that there is. */
    g_assert_cmpuint(breaches, >, 1000);
    for (j = IMS_TD_BREACH_NONE + 1; j < IMS_TD_NR_BREACHES; j++) {
        g_assert_cmpuint(code[j], >, 10);
    }
    ims_set_power(&t, 0);
    ims_restore(&t);
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

static void add_for_kinds(const char *name, void (*fn)(const void *),
                          uint32_t first)
{
    uint32_t i;

    for (i = first; i < ARRAY_SIZE(kinds); i++) {
        g_autofree char *path = g_strdup_printf("/ims-testdev/%s/%s", name,
                                                kinds[i].name);

        qtest_add_data_func(path, &kinds[i], fn);
    }
}

int main(int argc, char **argv)
{
    static const uint32_t slots[] = { 1, 3, 300, 65536, 1000000, 1048576 };
    static const uint32_t stores[] = { 1, 129, 65536 };
    static const uint32_t latency[] = { 0, 1000 };
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
        if (msi_forms[i].has_mask) {
            g_autofree char *pending =
                g_strdup_printf("/ims-testdev/migrate-msi/%s",
                                msi_forms[i].name);

            qtest_add_data_func(pending, &msi_forms[i], test_migrate_msi);
        }
    }
    for (i = 0; i < ARRAY_SIZE(stores); i++) {
        g_autofree char *path = g_strdup_printf("/ims-testdev/store-sizes/%u",
                                                stores[i]);

        qtest_add_data_func(path, GUINT_TO_POINTER(stores[i]),
                            test_store_sizes);
    }
    for (i = 0; i < ARRAY_SIZE(latency); i++) {
        g_autofree char *inject = g_strdup_printf(
            "/ims-testdev/cmd-inject/%u", latency[i]);
        g_autofree char *reset = g_strdup_printf(
            "/ims-testdev/own-reset-cmd/%u", latency[i]);

        qtest_add_data_func(inject, GUINT_TO_POINTER(latency[i]),
                            test_cmd_inject);
        qtest_add_data_func(reset, GUINT_TO_POINTER(latency[i]),
                            test_own_reset_cmd);
    }
    for (i = 0; i < ARRAY_SIZE(bad_states); i++) {
        g_autofree char *path = g_strdup_printf("/ims-testdev/migrate-bad/%s",
                                                bad_states[i].name);

        qtest_add_data_func(path, &bad_states[i], test_migrate_bad);
    }
    qtest_add_func("/ims-testdev/absent", test_absent);
    qtest_add_func("/ims-testdev/several", test_several);
    qtest_add_func("/ims-testdev/bad-properties", test_bad_properties);
    add_for_kinds("fire-unmasked", test_fire_unmasked, IMS_TD_KIND_MSI);
    add_for_kinds("fire-masked", test_fire_masked, IMS_TD_KIND_MSI);
    add_for_kinds("msg-unmasked", test_msg_unmasked, IMS_TD_KIND_MSI);
    add_for_kinds("no-msg", test_no_msg, IMS_TD_KIND_MSI);
    add_for_kinds("bus", test_bus, IMS_TD_KIND_MSI);
    add_for_kinds("self", test_self, IMS_TD_KIND_MSI);
    add_for_kinds("pasid", test_pasid, IMS_TD_KIND_MSI);
    add_for_kinds("range", test_range, IMS_TD_KIND_MSI);
    add_for_kinds("requester-id", test_requester_id, IMS_TD_KIND_MSI);
    add_for_kinds("unplug", test_unplug, IMS_TD_KIND_MSI);
    add_for_kinds("own-reset", test_own_reset, IMS_TD_KIND_MSI);
    /* Vectors of MSI have one message for all of them */
    add_for_kinds("model", test_model, IMS_TD_KIND_MSIX);
    qtest_add_func("/ims-testdev/bad-kind", test_bad_kind);
    qtest_add_func("/ims-testdev/bad-register", test_bad_register);
    qtest_add_func("/ims-testdev/width", test_width);
    qtest_add_func("/ims-testdev/table-fields", test_table_fields);
    qtest_add_func("/ims-testdev/table-mode", test_table_mode);
    qtest_add_func("/ims-testdev/wide-width", test_wide_width);
    qtest_add_func("/ims-testdev/wide-fields", test_wide_fields);
    qtest_add_func("/ims-testdev/wide-order", test_wide_order);
    qtest_add_func("/ims-testdev/mem-registers", test_mem_registers);
    qtest_add_func("/ims-testdev/mem-remembered", test_mem_remembered);
    qtest_add_func("/ims-testdev/mem-pending", test_mem_pending);
    qtest_add_func("/ims-testdev/mem-dma", test_mem_dma);
    qtest_add_func("/ims-testdev/cmd-registers", test_cmd_registers);
    qtest_add_func("/ims-testdev/cmd-ops", test_cmd_ops);
    qtest_add_func("/ims-testdev/cmd-full", test_cmd_full);
    qtest_add_func("/ims-testdev/cmd-latency", test_cmd_latency);
    qtest_add_func("/ims-testdev/cmd-dma", test_cmd_dma);
    qtest_add_func("/ims-testdev/cmd-self", test_cmd_self);
    qtest_add_func("/ims-testdev/copy-latch", test_copy_latch);
    qtest_add_func("/ims-testdev/copy-stale", test_copy_stale);
    qtest_add_func("/ims-testdev/copy-bad", test_copy_bad);
    qtest_add_func("/ims-testdev/copy-reset", test_copy_reset);
    qtest_add_func("/ims-testdev/remapped", test_remapped);
    qtest_add_func("/ims-testdev/msix", test_msix);
    qtest_add_func("/ims-testdev/msi-allocated", test_msi_allocated);
    qtest_add_func("/ims-testdev/reset", test_reset);
    qtest_add_func("/ims-testdev/flr", test_flr);
    qtest_add_func("/ims-testdev/flr-live", test_flr_live);
    qtest_add_func("/ims-testdev/d3hot", test_d3hot);
    qtest_add_func("/ims-testdev/d3hot-bars", test_d3hot_bars);
    qtest_add_func("/ims-testdev/log-overflow", test_log_overflow);
    qtest_add_func("/ims-testdev/own-config", test_own_config);
    qtest_add_func("/ims-testdev/release-order", test_release_order);
    qtest_add_func("/ims-testdev/release-unplug", test_release_unplug);
    qtest_add_func("/ims-testdev/migrate", test_migrate);
    qtest_add_func("/ims-testdev/migrate-copy", test_migrate_copy);
    qtest_add_func("/ims-testdev/migrate-still", test_migrate_still);
    qtest_add_func("/ims-testdev/limit-range", test_limit_range);
    qtest_add_func("/ims-testdev/limit-forget", test_limit_forget);
    qtest_add_func("/ims-testdev/limit-map", test_limit_map);
    qtest_add_func("/ims-testdev/limit-others", test_limit_others);
    qtest_add_func("/ims-testdev/limit-reset", test_limit_reset);
    qtest_add_func("/ims-testdev/trace", test_trace);
    qtest_add_func("/ims-testdev/fuzz", test_fuzz);

    return g_test_run();
}
