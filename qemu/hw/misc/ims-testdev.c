/*
 * ims-testdev: a PCI device that keeps interrupt messages in every way that a
 * PCI device can, and judges how software handles them
 *
 * docs/specs/ims-testdev.rst is the specification; comments here refer to its
 * sections by their titles.
 *
 * Words used here:
 *
 *   kind      where a message is kept: MSI, MSI-X or one of the stores
 *   slot      the place of one message of a kind
 *   fire      ask a slot to send its message; a masked slot becomes pending
 *   release   what unmasking does to a pending slot: its message goes out
 *   breach    a rule that software has broken
 *
 * What holds at any time:
 *
 *   - All state is protected by the big QEMU lock, as are all callbacks.
 *   - Every message of every kind leaves through ims_testdev_send(), which
 *     does all the counting of messages and nothing else does.
 *   - A message is a write by the device as a bus master.  It can end up
 *     anywhere: in this device's configuration space, or in the register of a
 *     bridge that takes the device away.  Whatever runs after a message has
 *     gone out must not rely on anything that was looked up before.
 *   - A message that ends up in one of the device's own BARs is refused, see
 *     "Messages"; so is any other way to come back into the device's MMIO.
 *
 * This work is licensed under the terms of the GNU GPL, version 2 or later.
 * See the COPYING file in the top-level directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"
#include "qom/object.h"
#include "standard-headers/misc/ims_testdev_regs.h"
#include "trace.h"

#define TYPE_IMS_TESTDEV "ims-testdev"
OBJECT_DECLARE_TYPE(ImsTestdev, ImsTestdevClass, IMS_TESTDEV)

/* Base class "unassigned": no driver binds by class */
#define IMS_TESTDEV_PCI_CLASS           0xff00

#define IMS_TESTDEV_MSI_VECTORS_MAX     32
#define IMS_TESTDEV_MSIX_VECTORS_MAX    (PCI_MSIX_FLAGS_QSIZE + 1)
#define IMS_TESTDEV_SLOTS_MAX           (1 * MiB)

#define IMS_TESTDEV_PCIE_CAP            0xa0

/* Where things are in the MSI-X BAR, whatever the number of vectors */
#define IMS_TESTDEV_MSIX_PBA            (32 * KiB)
#define IMS_TESTDEV_MSIX_BAR_SIZE       (64 * KiB)

typedef struct ImsTestdevKind {
    /* Fixed at realize */
    uint32_t nr_slots;

    uint32_t fired;
    uint32_t sent;
    uint32_t held;
    uint32_t merged;

    /* One for each slot */
    uint32_t *slot_fired;
    uint32_t *slot_sent;
} ImsTestdevKind;

typedef struct ImsTestdevBreach {
    uint32_t code;
    uint32_t kind;
    uint32_t where;
    uint32_t value;
} ImsTestdevBreach;

/* A slot of the table as software sees it */
typedef struct ImsTestdevSlot {
    uint32_t word[IMS_TD_SLOT_SIZE / 4];
} ImsTestdevSlot;

struct ImsTestdevClass {
    PCIDeviceClass parent_class;
    DeviceRealize parent_realize;
};

struct ImsTestdev {
    PCIDevice parent_obj;

    MemoryRegion regs_mr;
    MemoryRegion table_mr;
    MemoryRegion msix_mr;
    MemoryRegion msix_table_mr;

    /* Properties */
    uint32_t nr_slots;
    uint32_t nr_msi;
    uint32_t nr_msix;
    bool msi_64bit;
    bool msi_mask;

    /* Registers that only hold a value */
    uint32_t fire_kind;
    uint32_t fire_first;
    uint32_t fire_count;
    uint32_t sel_kind;
    uint32_t sel_slot;
    uint32_t breach_sel;

    ImsTestdevKind kinds[IMS_TD_NR_KINDS];

    ImsTestdevSlot *table;
    /* How many of them are pending */
    uint32_t table_pending;

    uint32_t breach_count;
    uint32_t breach_logged;
    uint32_t breach_by_code[IMS_TD_NR_BREACHES];
    ImsTestdevBreach breaches[IMS_TD_BREACH_ENTRIES];

    /*
     * The message that the PCI core has taken last, for the purpose of sending
     * it at once: the core asks for a message by vector, but sends it without.
     */
    uint32_t notify_kind;
    uint32_t notify_slot;
};

/*
 * A kind of storage.  Slots are in range when these are called.  Only
 * @raise can make messages go out.
 *
 * @name: for trace events
 * @enabled: can the slot send at all? If not, firing it is a breach
 * @masked: would the slot be held if it was fired?
 * @pending: is the slot waiting to be unmasked?
 * @get_msg: the slot's message, as it is stored
 * @raise: send the message, or make the slot pending if it is masked
 * @count_pending: how many slots are pending
 */
typedef struct ImsTestdevKindOps {
    const char *name;
    bool (*enabled)(ImsTestdev *s, uint32_t slot);
    bool (*masked)(ImsTestdev *s, uint32_t slot);
    bool (*pending)(ImsTestdev *s, uint32_t slot);
    MSIMessage (*get_msg)(ImsTestdev *s, uint32_t slot);
    void (*raise)(ImsTestdev *s, uint32_t slot);
    uint32_t (*count_pending)(ImsTestdev *s);
} ImsTestdevKindOps;

static const ImsTestdevKindOps ims_testdev_kind_ops[IMS_TD_NR_KINDS];

/* "The breach log" */

static const char *const ims_testdev_breach_names[IMS_TD_NR_BREACHES] = {
    [IMS_TD_BREACH_NONE] = "none",
    [IMS_TD_BREACH_MSG_UNMASKED] = "message changed while unmasked",
    [IMS_TD_BREACH_NO_MSG] = "fired with no message",
    [IMS_TD_BREACH_WIDTH] = "access of the wrong width or alignment",
    [IMS_TD_BREACH_RANGE] = "kind or slot out of range",
    [IMS_TD_BREACH_BUS] = "message refused by the bus",
    [IMS_TD_BREACH_REG] = "no such register or command, or read only",
};

static void ims_testdev_count(uint32_t *count)
{
    if (*count != UINT32_MAX) {
        (*count)++;
    }
}

static void ims_testdev_breach(ImsTestdev *s, uint32_t code, uint32_t kind,
                               uint32_t where, uint32_t value)
{
    trace_ims_testdev_breach(ims_testdev_breach_names[code], kind, where,
                             value);

    ims_testdev_count(&s->breach_count);
    ims_testdev_count(&s->breach_by_code[code]);

    if (s->breach_logged < IMS_TD_BREACH_ENTRIES) {
        s->breaches[s->breach_logged++] = (ImsTestdevBreach) {
            .code = code,
            .kind = kind,
            .where = where,
            .value = value,
        };
    }
}

static void ims_testdev_breach_clear(ImsTestdev *s)
{
    s->breach_count = 0;
    s->breach_logged = 0;
    memset(s->breach_by_code, 0, sizeof(s->breach_by_code));
    memset(s->breaches, 0, sizeof(s->breaches));
}

/* "Messages" */

static void ims_testdev_send(ImsTestdev *s, uint32_t kind, uint32_t slot,
                             MSIMessage msg)
{
    PCIDevice *dev = PCI_DEVICE(s);
    ImsTestdevKind *k = &s->kinds[kind];
    MemTxResult result = MEMTX_DECODE_ERROR;
    MemTxAttrs attrs = {};

    if (!msg.address) {
        ims_testdev_breach(s, IMS_TD_BREACH_NO_MSG, kind, slot, 0);
        return;
    }

    /*
     * The requester id is what an IOMMU goes by.  An address that is not a
     * multiple of four is none that a message can have: PCIe 6.1.4.
     */
    attrs.requester_id = pci_requester_id(dev);
    if (QEMU_IS_ALIGNED(msg.address, 4)) {
        address_space_stl_le(pci_get_address_space(dev), msg.address, msg.data,
                             attrs, &result);
    }

    trace_ims_testdev_send(ims_testdev_kind_ops[kind].name, slot, msg.address,
                           msg.data, result);
    if (result != MEMTX_OK) {
        ims_testdev_breach(s, IMS_TD_BREACH_BUS, kind, slot, msg.data);
        return;
    }

    k->sent++;
    k->slot_sent[slot]++;
}

/* MSI and MSI-X: the PCI core has the state, and calls back to send */

static MSIMessage ims_testdev_msi_prepare(PCIDevice *dev, unsigned vector)
{
    ImsTestdev *s = IMS_TESTDEV(dev);

    s->notify_kind = IMS_TD_KIND_MSI;
    s->notify_slot = vector;
    return ims_testdev_kind_ops[IMS_TD_KIND_MSI].get_msg(s, vector);
}

static MSIMessage ims_testdev_msix_prepare(PCIDevice *dev, unsigned vector)
{
    ImsTestdev *s = IMS_TESTDEV(dev);

    s->notify_kind = IMS_TD_KIND_MSIX;
    s->notify_slot = vector;
    return ims_testdev_kind_ops[IMS_TD_KIND_MSIX].get_msg(s, vector);
}

static void ims_testdev_msi_trigger(PCIDevice *dev, MSIMessage msg)
{
    ImsTestdev *s = IMS_TESTDEV(dev);

    ims_testdev_send(s, s->notify_kind, s->notify_slot, msg);
}

/*
 * The guest can set Multiple Message Enable to anything, and the PCI core
 * limits it to what the device has only when MSI is enabled.
 */
static uint32_t ims_testdev_msi_allocated(ImsTestdev *s)
{
    return MIN(msi_nr_vectors_allocated(PCI_DEVICE(s)), s->nr_msi);
}

static bool ims_testdev_msi_enabled(ImsTestdev *s, uint32_t slot)
{
    return msi_enabled(PCI_DEVICE(s)) && slot < ims_testdev_msi_allocated(s);
}

static bool ims_testdev_msi_masked(ImsTestdev *s, uint32_t slot)
{
    return msi_is_masked(PCI_DEVICE(s), slot);
}

static uint32_t ims_testdev_msi_pending_bits(ImsTestdev *s)
{
    PCIDevice *dev = PCI_DEVICE(s);

    /* The registers for it come with the mask bits */
    if (!s->msi_mask) {
        return 0;
    }
    return pci_get_long(dev->config + dev->msi_cap +
                        (s->msi_64bit ? PCI_MSI_PENDING_64 :
                         PCI_MSI_PENDING_32));
}

static bool ims_testdev_msi_pending(ImsTestdev *s, uint32_t slot)
{
    return extract32(ims_testdev_msi_pending_bits(s), slot, 1);
}

static MSIMessage ims_testdev_msi_get_msg(ImsTestdev *s, uint32_t slot)
{
    PCIDevice *dev = PCI_DEVICE(s);
    const uint8_t *cap = dev->config + dev->msi_cap;
    uint32_t allocated = ims_testdev_msi_allocated(s);
    MSIMessage msg = {};

    if (slot < allocated) {
        if (s->msi_64bit) {
            msg.address = pci_get_quad(cap + PCI_MSI_ADDRESS_LO);
            msg.data = pci_get_word(cap + PCI_MSI_DATA_64);
        } else {
            msg.address = pci_get_long(cap + PCI_MSI_ADDRESS_LO);
            msg.data = pci_get_word(cap + PCI_MSI_DATA_32);
        }
        msg.data = (msg.data & ~(allocated - 1)) | slot;
    }
    return msg;
}

static void ims_testdev_msi_raise(ImsTestdev *s, uint32_t slot)
{
    msi_notify(PCI_DEVICE(s), slot);
}

static uint32_t ims_testdev_msi_count_pending(ImsTestdev *s)
{
    return ctpop32(ims_testdev_msi_pending_bits(s));
}

static uint8_t *ims_testdev_msix_entry(ImsTestdev *s, uint32_t slot)
{
    return PCI_DEVICE(s)->msix_table + slot * PCI_MSIX_ENTRY_SIZE;
}

static bool ims_testdev_msix_enabled(ImsTestdev *s, uint32_t slot)
{
    return msix_enabled(PCI_DEVICE(s));
}

/* For the PCI core, all vectors are masked while MSI-X is not enabled */
static bool ims_testdev_msix_masked(ImsTestdev *s, uint32_t slot)
{
    return msix_is_masked(PCI_DEVICE(s), slot);
}

static bool ims_testdev_msix_pending(ImsTestdev *s, uint32_t slot)
{
    return PCI_DEVICE(s)->msix_pba[slot / 8] & (1 << (slot % 8));
}

static MSIMessage ims_testdev_msix_get_msg(ImsTestdev *s, uint32_t slot)
{
    const uint8_t *entry = ims_testdev_msix_entry(s, slot);

    return (MSIMessage) {
        .address = pci_get_quad(entry + PCI_MSIX_ENTRY_LOWER_ADDR),
        .data = pci_get_long(entry + PCI_MSIX_ENTRY_DATA),
    };
}

static void ims_testdev_msix_raise(ImsTestdev *s, uint32_t slot)
{
    msix_notify(PCI_DEVICE(s), slot);
}

static uint32_t ims_testdev_msix_count_pending(ImsTestdev *s)
{
    const uint8_t *pba = PCI_DEVICE(s)->msix_pba;
    uint32_t i, n = 0;

    for (i = 0; i < DIV_ROUND_UP(s->nr_msix, 8); i++) {
        n += ctpop8(pba[i]);
    }
    return n;
}

/* The slot table */

static uint32_t *ims_testdev_table_word(ImsTestdev *s, uint32_t slot,
                                        uint32_t field)
{
    return &s->table[slot].word[field / 4];
}

static bool ims_testdev_table_enabled(ImsTestdev *s, uint32_t slot)
{
    return true;
}

static bool ims_testdev_table_masked(ImsTestdev *s, uint32_t slot)
{
    return *ims_testdev_table_word(s, slot, IMS_TD_SLOT_CTRL) &
           IMS_TD_SLOT_CTRL_MASK;
}

static bool ims_testdev_table_pending(ImsTestdev *s, uint32_t slot)
{
    return *ims_testdev_table_word(s, slot, IMS_TD_SLOT_CTRL) &
           IMS_TD_SLOT_CTRL_PENDING;
}

static MSIMessage ims_testdev_table_get_msg(ImsTestdev *s, uint32_t slot)
{
    uint32_t hi = *ims_testdev_table_word(s, slot, IMS_TD_SLOT_ADDR_HI);
    uint32_t lo = *ims_testdev_table_word(s, slot, IMS_TD_SLOT_ADDR_LO);

    return (MSIMessage) {
        .address = deposit64(lo, 32, 32, hi),
        .data = *ims_testdev_table_word(s, slot, IMS_TD_SLOT_DATA),
    };
}

static void ims_testdev_table_set_pending(ImsTestdev *s, uint32_t slot,
                                          bool pending)
{
    uint32_t *ctrl = ims_testdev_table_word(s, slot, IMS_TD_SLOT_CTRL);

    if (pending == !!(*ctrl & IMS_TD_SLOT_CTRL_PENDING)) {
        return;
    }
    *ctrl ^= IMS_TD_SLOT_CTRL_PENDING;
    s->table_pending += pending ? 1 : -1;
}

static void ims_testdev_table_raise(ImsTestdev *s, uint32_t slot)
{
    if (ims_testdev_table_masked(s, slot)) {
        ims_testdev_table_set_pending(s, slot, true);
        return;
    }
    ims_testdev_send(s, IMS_TD_KIND_TABLE, slot,
                     ims_testdev_table_get_msg(s, slot));
}

static uint32_t ims_testdev_table_count_pending(ImsTestdev *s)
{
    return s->table_pending;
}

static void ims_testdev_table_reset(ImsTestdev *s)
{
    uint32_t slot;

    memset(s->table, 0, s->nr_slots * sizeof(*s->table));
    for (slot = 0; slot < s->nr_slots; slot++) {
        *ims_testdev_table_word(s, slot, IMS_TD_SLOT_CTRL) =
            IMS_TD_SLOT_CTRL_MASK;
    }
    s->table_pending = 0;
}

static const ImsTestdevKindOps ims_testdev_kind_ops[IMS_TD_NR_KINDS] = {
    [IMS_TD_KIND_MSI] = {
        .name = "msi",
        .enabled = ims_testdev_msi_enabled,
        .masked = ims_testdev_msi_masked,
        .pending = ims_testdev_msi_pending,
        .get_msg = ims_testdev_msi_get_msg,
        .raise = ims_testdev_msi_raise,
        .count_pending = ims_testdev_msi_count_pending,
    },
    [IMS_TD_KIND_MSIX] = {
        .name = "msix",
        .enabled = ims_testdev_msix_enabled,
        .masked = ims_testdev_msix_masked,
        .pending = ims_testdev_msix_pending,
        .get_msg = ims_testdev_msix_get_msg,
        .raise = ims_testdev_msix_raise,
        .count_pending = ims_testdev_msix_count_pending,
    },
    [IMS_TD_KIND_TABLE] = {
        .name = "table",
        .enabled = ims_testdev_table_enabled,
        .masked = ims_testdev_table_masked,
        .pending = ims_testdev_table_pending,
        .get_msg = ims_testdev_table_get_msg,
        .raise = ims_testdev_table_raise,
        .count_pending = ims_testdev_table_count_pending,
    },
};

/* "Firing" */

static void ims_testdev_fire_slot(ImsTestdev *s, uint32_t kind, uint32_t slot)
{
    const ImsTestdevKindOps *ops = &ims_testdev_kind_ops[kind];
    ImsTestdevKind *k = &s->kinds[kind];

    trace_ims_testdev_fire(ops->name, slot);
    k->fired++;
    k->slot_fired[slot]++;

    if (!ops->enabled(s, slot)) {
        ims_testdev_breach(s, IMS_TD_BREACH_NO_MSG, kind, slot, 0);
        return;
    }
    if (ops->masked(s, slot)) {
        k->held++;
        k->merged += ops->pending(s, slot);
    }
    ops->raise(s, slot);
}

/*
 * All of the slots must be in range, or none is fired.  @reg is the register
 * whose write asks for it.
 */
static void ims_testdev_fire(ImsTestdev *s, hwaddr reg, uint32_t kind,
                             uint32_t first, uint32_t count)
{
    uint32_t i, nr_slots;

    if (kind >= IMS_TD_NR_KINDS) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                           reg, kind);
        return;
    }

    nr_slots = s->kinds[kind].nr_slots;
    if (first > nr_slots || count > nr_slots - first) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, kind, MAX(first, nr_slots),
                           count);
        return;
    }

    for (i = 0; i < count; i++) {
        /* The message before this one may have unplugged the device */
        if (!DEVICE(s)->realized) {
            return;
        }
        ims_testdev_fire_slot(s, kind, first + i);
    }
}

/* Only what the device itself holds: MSI and MSI-X belong to PCI */
static void ims_testdev_reset_state(ImsTestdev *s)
{
    int kind;

    trace_ims_testdev_reset();

    ims_testdev_table_reset(s);
    ims_testdev_breach_clear(s);

    for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
        ImsTestdevKind *k = &s->kinds[kind];

        k->fired = 0;
        k->sent = 0;
        k->held = 0;
        k->merged = 0;
        memset(k->slot_fired, 0, k->nr_slots * sizeof(*k->slot_fired));
        memset(k->slot_sent, 0, k->nr_slots * sizeof(*k->slot_sent));
    }

    s->fire_kind = 0;
    s->fire_first = 0;
    s->fire_count = 0;
    s->sel_kind = 0;
    s->sel_slot = 0;
    s->breach_sel = 0;
}

/*
 * "Registers"
 *
 * A register has a @read, a @write or both.  One that has no @write is read
 * only, and writing it is a breach; one that has no @read reads as zero.
 */
typedef struct ImsTestdevReg {
    uint32_t (*read)(ImsTestdev *s, hwaddr reg);
    void (*write)(ImsTestdev *s, hwaddr reg, uint32_t value);
    /* For ims_testdev_value_read() and ims_testdev_value_write() */
    size_t offset;
} ImsTestdevReg;

static const ImsTestdevReg ims_testdev_regs[IMS_TD_REGS_SIZE / 4];

static uint32_t *ims_testdev_value(ImsTestdev *s, hwaddr reg)
{
    return (void *)s + ims_testdev_regs[reg / 4].offset;
}

static uint32_t ims_testdev_value_read(ImsTestdev *s, hwaddr reg)
{
    return *ims_testdev_value(s, reg);
}

static void ims_testdev_value_write(ImsTestdev *s, hwaddr reg, uint32_t value)
{
    *ims_testdev_value(s, reg) = value;
}

static uint32_t ims_testdev_ident_read(ImsTestdev *s, hwaddr reg)
{
    static const uint32_t ident[] = {
        [IMS_TD_REG_ID / 4] = IMS_TD_ID,
        [IMS_TD_REG_VERSION / 4] = IMS_TD_VERSION,
        [IMS_TD_REG_KINDS / 4] = MAKE_64BIT_MASK(0, IMS_TD_NR_KINDS),
    };

    return ident[reg / 4];
}

/* For registers to which software writes 1 to make something happen */
static bool ims_testdev_is_trigger(ImsTestdev *s, hwaddr reg, uint32_t value)
{
    if (value > 1) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, reg,
                           value);
    }
    return value == 1;
}

static void ims_testdev_reset_write(ImsTestdev *s, hwaddr reg, uint32_t value)
{
    if (ims_testdev_is_trigger(s, reg, value)) {
        ims_testdev_reset_state(s);
    }
}

static void ims_testdev_fire_write(ImsTestdev *s, hwaddr reg, uint32_t value)
{
    switch (value) {
    case IMS_TD_FIRE_ONE:
        ims_testdev_fire(s, reg, s->fire_kind, s->fire_first, 1);
        break;
    case IMS_TD_FIRE_RANGE:
        ims_testdev_fire(s, reg, s->fire_kind, s->fire_first, s->fire_count);
        break;
    case IMS_TD_FIRE_ALL:
        ims_testdev_fire(s, reg, s->fire_kind, 0,
                         s->fire_kind < IMS_TD_NR_KINDS ?
                         s->kinds[s->fire_kind].nr_slots : 0);
        break;
    default:
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, reg,
                           value);
        break;
    }
}

static void ims_testdev_doorbell_write(ImsTestdev *s, hwaddr reg,
                                       uint32_t value)
{
    ims_testdev_fire(s, reg, (reg - IMS_TD_REG_FIRE_DB(0)) / 4, value, 1);
}

static uint32_t ims_testdev_kind_read(ImsTestdev *s, hwaddr reg)
{
    uint32_t kind = s->sel_kind;
    const ImsTestdevKind *k;

    if (kind >= IMS_TD_NR_KINDS) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                           reg, kind);
        return 0;
    }

    k = &s->kinds[kind];
    switch (reg) {
    case IMS_TD_REG_KIND_SLOTS:
        return k->nr_slots;
    case IMS_TD_REG_KIND_FIRED:
        return k->fired;
    case IMS_TD_REG_KIND_SENT:
        return k->sent;
    case IMS_TD_REG_KIND_HELD:
        return k->held;
    case IMS_TD_REG_KIND_MERGED:
        return k->merged;
    case IMS_TD_REG_KIND_PENDING:
        return ims_testdev_kind_ops[kind].count_pending(s);
    default:
        g_assert_not_reached();
    }
}

static uint32_t ims_testdev_slot_state(ImsTestdev *s, uint32_t kind,
                                       uint32_t slot)
{
    const ImsTestdevKindOps *ops = &ims_testdev_kind_ops[kind];
    uint32_t state = 0;

    if (ops->masked(s, slot)) {
        state |= IMS_TD_SLOT_MASKED;
    }
    if (ops->pending(s, slot)) {
        state |= IMS_TD_SLOT_PENDING;
    }
    if (ops->get_msg(s, slot).address) {
        state |= IMS_TD_SLOT_HAS_MSG;
    }
    return state;
}

static uint32_t ims_testdev_slot_read(ImsTestdev *s, hwaddr reg)
{
    uint32_t kind = s->sel_kind;
    uint32_t slot = s->sel_slot;

    if (kind >= IMS_TD_NR_KINDS) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                           reg, kind);
        return 0;
    }
    if (slot >= s->kinds[kind].nr_slots) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, kind, slot, 0);
        return 0;
    }

    switch (reg) {
    case IMS_TD_REG_SLOT_FIRED:
        return s->kinds[kind].slot_fired[slot];
    case IMS_TD_REG_SLOT_SENT:
        return s->kinds[kind].slot_sent[slot];
    case IMS_TD_REG_SLOT_STATE:
        return ims_testdev_slot_state(s, kind, slot);
    default:
        g_assert_not_reached();
    }
}

/* Reading the log is never a breach: it must not change what it shows */
static uint32_t ims_testdev_log_read(ImsTestdev *s, hwaddr reg)
{
    const ImsTestdevBreach *breach;

    if (s->breach_sel >= s->breach_logged) {
        return 0;
    }

    breach = &s->breaches[s->breach_sel];
    switch (reg) {
    case IMS_TD_REG_BREACH_CODE:
        return breach->code;
    case IMS_TD_REG_BREACH_KIND:
        return breach->kind;
    case IMS_TD_REG_BREACH_WHERE:
        return breach->where;
    case IMS_TD_REG_BREACH_VALUE:
        return breach->value;
    default:
        g_assert_not_reached();
    }
}

static uint32_t ims_testdev_by_code_read(ImsTestdev *s, hwaddr reg)
{
    return s->breach_by_code[(reg - IMS_TD_REG_BREACH_BY_CODE(0)) / 4];
}

static void ims_testdev_breach_clear_write(ImsTestdev *s, hwaddr reg,
                                           uint32_t value)
{
    if (ims_testdev_is_trigger(s, reg, value)) {
        ims_testdev_breach_clear(s);
    }
}

#define IMS_TESTDEV_REG_VALUE(_field) {         \
    .read = ims_testdev_value_read,             \
    .write = ims_testdev_value_write,           \
    .offset = offsetof(ImsTestdev, _field),     \
}

#define IMS_TESTDEV_REG_VALUE_RO(_field) {      \
    .read = ims_testdev_value_read,             \
    .offset = offsetof(ImsTestdev, _field),     \
}

static const ImsTestdevReg ims_testdev_regs[IMS_TD_REGS_SIZE / 4] = {
    [IMS_TD_REG_ID / 4 ... IMS_TD_REG_KINDS / 4] = {
        .read = ims_testdev_ident_read,
    },
    [IMS_TD_REG_RESET / 4] = {
        .write = ims_testdev_reset_write,
    },

    [IMS_TD_REG_FIRE_KIND / 4] = IMS_TESTDEV_REG_VALUE(fire_kind),
    [IMS_TD_REG_FIRE_FIRST / 4] = IMS_TESTDEV_REG_VALUE(fire_first),
    [IMS_TD_REG_FIRE_COUNT / 4] = IMS_TESTDEV_REG_VALUE(fire_count),
    [IMS_TD_REG_FIRE / 4] = {
        .write = ims_testdev_fire_write,
    },
    [IMS_TD_REG_FIRE_DB(0) / 4 ...
     IMS_TD_REG_FIRE_DB(IMS_TD_NR_KINDS - 1) / 4] = {
        .write = ims_testdev_doorbell_write,
    },

    [IMS_TD_REG_SEL_KIND / 4] = IMS_TESTDEV_REG_VALUE(sel_kind),
    [IMS_TD_REG_SEL_SLOT / 4] = IMS_TESTDEV_REG_VALUE(sel_slot),
    [IMS_TD_REG_KIND_SLOTS / 4 ... IMS_TD_REG_KIND_PENDING / 4] = {
        .read = ims_testdev_kind_read,
    },
    [IMS_TD_REG_SLOT_FIRED / 4 ... IMS_TD_REG_SLOT_STATE / 4] = {
        .read = ims_testdev_slot_read,
    },

    [IMS_TD_REG_BREACH_COUNT / 4] = IMS_TESTDEV_REG_VALUE_RO(breach_count),
    [IMS_TD_REG_BREACH_LOGGED / 4] = IMS_TESTDEV_REG_VALUE_RO(breach_logged),
    [IMS_TD_REG_BREACH_SEL / 4] = IMS_TESTDEV_REG_VALUE(breach_sel),
    [IMS_TD_REG_BREACH_CODE / 4 ... IMS_TD_REG_BREACH_VALUE / 4] = {
        .read = ims_testdev_log_read,
    },
    [IMS_TD_REG_BREACH_CLEAR / 4] = {
        .write = ims_testdev_breach_clear_write,
    },
    [IMS_TD_REG_BREACH_BY_CODE(0) / 4 ...
     IMS_TD_REG_BREACH_BY_CODE(IMS_TD_NR_BREACHES - 1) / 4] = {
        .read = ims_testdev_by_code_read,
    },
};

/*
 * The regions below accept every access, so that a wrong one is seen and
 * recorded here and not dropped by the memory core.
 */
static bool ims_testdev_width_ok(hwaddr addr, unsigned size)
{
    return size == 4 && QEMU_IS_ALIGNED(addr, 4);
}

static uint64_t ims_testdev_regs_read(void *opaque, hwaddr addr, unsigned size)
{
    ImsTestdev *s = opaque;
    const ImsTestdevReg *reg;
    uint32_t value = 0;

    if (!ims_testdev_width_ok(addr, size)) {
        ims_testdev_breach(s, IMS_TD_BREACH_WIDTH, IMS_TD_BREACH_KIND_REGS,
                           addr, size);
        return UINT64_MAX;
    }

    reg = &ims_testdev_regs[addr / 4];
    if (reg->read) {
        value = reg->read(s, addr);
    } else if (!reg->write) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, addr,
                           0);
    }
    trace_ims_testdev_reg_read(addr, value);
    return value;
}

static void ims_testdev_regs_write(void *opaque, hwaddr addr, uint64_t value,
                                   unsigned size)
{
    ImsTestdev *s = opaque;
    const ImsTestdevReg *reg;

    if (!ims_testdev_width_ok(addr, size)) {
        ims_testdev_breach(s, IMS_TD_BREACH_WIDTH, IMS_TD_BREACH_KIND_REGS,
                           addr, size);
        return;
    }

    trace_ims_testdev_reg_write(addr, value);
    reg = &ims_testdev_regs[addr / 4];
    if (!reg->write) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, addr,
                           value);
        return;
    }
    reg->write(s, addr, value);
}

static uint64_t ims_testdev_table_read(void *opaque, hwaddr addr, unsigned size)
{
    ImsTestdev *s = opaque;
    uint32_t slot = addr / IMS_TD_SLOT_SIZE;
    uint32_t field = addr % IMS_TD_SLOT_SIZE;
    uint32_t value;

    if (!ims_testdev_width_ok(addr, size)) {
        ims_testdev_breach(s, IMS_TD_BREACH_WIDTH, IMS_TD_KIND_TABLE, slot,
                           size);
        return UINT64_MAX;
    }
    if (slot >= s->nr_slots) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_KIND_TABLE, slot, 0);
        return 0;
    }

    value = *ims_testdev_table_word(s, slot, field);
    trace_ims_testdev_table_read(slot, field, value);
    return value;
}

/* "The slot table" */
static void ims_testdev_table_write(void *opaque, hwaddr addr, uint64_t value,
                                    unsigned size)
{
    ImsTestdev *s = opaque;
    uint32_t slot = addr / IMS_TD_SLOT_SIZE;
    uint32_t field = addr % IMS_TD_SLOT_SIZE;
    uint32_t *word;

    if (!ims_testdev_width_ok(addr, size)) {
        ims_testdev_breach(s, IMS_TD_BREACH_WIDTH, IMS_TD_KIND_TABLE, slot,
                           size);
        return;
    }
    if (slot >= s->nr_slots) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_KIND_TABLE, slot,
                           value);
        return;
    }

    trace_ims_testdev_table_write(slot, field, value);
    word = ims_testdev_table_word(s, slot, field);

    if (field != IMS_TD_SLOT_CTRL) {
        if (!ims_testdev_table_masked(s, slot) && *word != (uint32_t)value) {
            ims_testdev_breach(s, IMS_TD_BREACH_MSG_UNMASKED,
                               IMS_TD_KIND_TABLE, slot, value);
        }
        *word = value;
        return;
    }

    *word &= ~IMS_TD_SLOT_CTRL_WRITABLE;
    *word |= value & IMS_TD_SLOT_CTRL_WRITABLE;
    if (!ims_testdev_table_masked(s, slot) &&
        ims_testdev_table_pending(s, slot)) {
        ims_testdev_table_set_pending(s, slot, false);
        ims_testdev_table_raise(s, slot);
    }
}

/*
 * The MSI-X table: the PCI core's own handlers neither see a wrong width nor a
 * message that changes while it is in use, so these stand in front of them.
 * PCIe 7.7.2 allows aligned accesses of four and of eight bytes.
 */
static bool ims_testdev_msix_width_ok(hwaddr addr, unsigned size)
{
    return (size == 4 || size == 8) && QEMU_IS_ALIGNED(addr, size);
}

static uint64_t ims_testdev_msix_read(void *opaque, hwaddr addr, unsigned size)
{
    ImsTestdev *s = opaque;
    const uint8_t *table = PCI_DEVICE(s)->msix_table;
    uint32_t slot = addr / PCI_MSIX_ENTRY_SIZE;
    uint64_t value;

    if (!ims_testdev_msix_width_ok(addr, size)) {
        ims_testdev_breach(s, IMS_TD_BREACH_WIDTH, IMS_TD_KIND_MSIX, slot,
                           size);
        return UINT64_MAX;
    }

    value = size == 8 ? pci_get_quad(table + addr) : pci_get_long(table + addr);
    trace_ims_testdev_msix_read(slot, addr % PCI_MSIX_ENTRY_SIZE, value);
    return value;
}

static void ims_testdev_msix_write_word(ImsTestdev *s, hwaddr addr,
                                        uint32_t value)
{
    uint32_t slot = addr / PCI_MSIX_ENTRY_SIZE;
    uint32_t field = addr % PCI_MSIX_ENTRY_SIZE;
    uint8_t *word = ims_testdev_msix_entry(s, slot) + field;

    if (field == PCI_MSIX_ENTRY_VECTOR_CTRL) {
        msix_set_mask(PCI_DEVICE(s), slot,
                      value & PCI_MSIX_ENTRY_CTRL_MASKBIT);
        return;
    }

    if (!ims_testdev_msix_masked(s, slot) && pci_get_long(word) != value) {
        ims_testdev_breach(s, IMS_TD_BREACH_MSG_UNMASKED, IMS_TD_KIND_MSIX,
                           slot, value);
    }
    pci_set_long(word, value);
}

static void ims_testdev_msix_write(void *opaque, hwaddr addr, uint64_t value,
                                   unsigned size)
{
    ImsTestdev *s = opaque;
    uint32_t slot = addr / PCI_MSIX_ENTRY_SIZE;

    if (!ims_testdev_msix_width_ok(addr, size)) {
        ims_testdev_breach(s, IMS_TD_BREACH_WIDTH, IMS_TD_KIND_MSIX, slot,
                           size);
        return;
    }

    trace_ims_testdev_msix_write(slot, addr % PCI_MSIX_ENTRY_SIZE, value);
    /* In an aligned pair, the control word is the second: nothing follows it */
    ims_testdev_msix_write_word(s, addr, value);
    if (size == 8) {
        ims_testdev_msix_write_word(s, addr + 4, value >> 32);
    }
}

#define IMS_TESTDEV_ACCESS_ALL {                \
    .min_access_size = 1,                       \
    .max_access_size = 8,                       \
    .unaligned = true,                          \
}

static const MemoryRegionOps ims_testdev_regs_ops = {
    .read = ims_testdev_regs_read,
    .write = ims_testdev_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = IMS_TESTDEV_ACCESS_ALL,
    .impl = IMS_TESTDEV_ACCESS_ALL,
};

static const MemoryRegionOps ims_testdev_table_ops = {
    .read = ims_testdev_table_read,
    .write = ims_testdev_table_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = IMS_TESTDEV_ACCESS_ALL,
    .impl = IMS_TESTDEV_ACCESS_ALL,
};

static const MemoryRegionOps ims_testdev_msix_ops = {
    .read = ims_testdev_msix_read,
    .write = ims_testdev_msix_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = IMS_TESTDEV_ACCESS_ALL,
    .impl = IMS_TESTDEV_ACCESS_ALL,
};

/* The lowest vector that could send; as many as there are if none could */
static uint32_t ims_testdev_msi_first_live(ImsTestdev *s)
{
    uint32_t slot;

    for (slot = 0; slot < s->nr_msi; slot++) {
        if (ims_testdev_msi_enabled(s, slot) &&
            !ims_testdev_msi_masked(s, slot)) {
            break;
        }
    }
    return slot;
}

static void ims_testdev_config_write(PCIDevice *dev, uint32_t addr,
                                     uint32_t value, int len)
{
    ImsTestdev *s = IMS_TESTDEV(dev);
    MemReentrancyGuard *guard = &DEVICE(dev)->mem_reentrancy_guard;
    bool was_engaged = guard->engaged_in_io;
    uint32_t live = ims_testdev_msi_first_live(s);
    MSIMessage old = ims_testdev_msi_get_msg(s, 0);
    MSIMessage new;

    /*
     * Enabling or unmasking releases pending vectors, and a message must not
     * come back into the BARs from here either.
     */
    guard->engaged_in_io = true;
    pci_default_write_config(dev, addr, value, len);
    guard->engaged_in_io = was_engaged;

    if (live == s->nr_msi || !DEVICE(dev)->realized) {
        return;
    }
    new = ims_testdev_msi_get_msg(s, 0);
    if (new.address != old.address || new.data != old.data) {
        ims_testdev_breach(s, IMS_TD_BREACH_MSG_UNMASKED, IMS_TD_KIND_MSI,
                           live, value);
    }
}

static void ims_testdev_reset(DeviceState *qdev)
{
    ims_testdev_reset_state(IMS_TESTDEV(qdev));
}

static void ims_testdev_pci_realize(PCIDevice *dev, Error **errp)
{
    ImsTestdev *s = IMS_TESTDEV(dev);
    uint32_t nr_slots[IMS_TD_NR_KINDS] = {
        [IMS_TD_KIND_MSI] = s->nr_msi,
        [IMS_TD_KIND_MSIX] = s->nr_msix,
        [IMS_TD_KIND_TABLE] = s->nr_slots,
    };
    int i;

    if (s->nr_slots < 1 || s->nr_slots > IMS_TESTDEV_SLOTS_MAX) {
        error_setg(errp, "slots must be from 1 to %d",
                   (int)IMS_TESTDEV_SLOTS_MAX);
        return;
    }
    if (!is_power_of_2(s->nr_msi) || s->nr_msi > IMS_TESTDEV_MSI_VECTORS_MAX) {
        error_setg(errp, "msi-vectors must be a power of two from 1 to %d",
                   IMS_TESTDEV_MSI_VECTORS_MAX);
        return;
    }
    if (s->nr_msix < 1 || s->nr_msix > IMS_TESTDEV_MSIX_VECTORS_MAX) {
        error_setg(errp, "msix-vectors must be from 1 to %d",
                   IMS_TESTDEV_MSIX_VECTORS_MAX);
        return;
    }

    if (pci_bus_is_express(pci_get_bus(dev)) &&
        pcie_endpoint_cap_init(dev, IMS_TESTDEV_PCIE_CAP) < 0) {
        error_setg(errp, "failed to add the PCI Express capability");
        return;
    }

    memory_region_init_io(&s->regs_mr, OBJECT(s), &ims_testdev_regs_ops, s,
                          "ims-testdev-regs", IMS_TD_REGS_SIZE);
    memory_region_init_io(&s->table_mr, OBJECT(s), &ims_testdev_table_ops, s,
                          "ims-testdev-table",
                          MAX(pow2ceil(s->nr_slots * IMS_TD_SLOT_SIZE),
                              4 * KiB));
    memory_region_init(&s->msix_mr, OBJECT(s), "ims-testdev-msix",
                       IMS_TESTDEV_MSIX_BAR_SIZE);
    memory_region_init_io(&s->msix_table_mr, OBJECT(s), &ims_testdev_msix_ops,
                          s, "ims-testdev-msix-table",
                          s->nr_msix * PCI_MSIX_ENTRY_SIZE);

    if (msi_init(dev, 0, s->nr_msi, s->msi_64bit, s->msi_mask, errp)) {
        return;
    }
    if (msix_init(dev, s->nr_msix, &s->msix_mr, IMS_TD_BAR_MSIX, 0,
                  &s->msix_mr, IMS_TD_BAR_MSIX, IMS_TESTDEV_MSIX_PBA, 0,
                  errp)) {
        msi_uninit(dev);
        return;
    }
    for (i = 0; i < s->nr_msix; i++) {
        msix_vector_use(dev, i);
    }
    memory_region_add_subregion_overlap(&s->msix_mr, 0, &s->msix_table_mr, 1);

    pci_register_bar(dev, IMS_TD_BAR_REGS, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->regs_mr);
    pci_register_bar(dev, IMS_TD_BAR_TABLE, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->table_mr);
    pci_register_bar(dev, IMS_TD_BAR_MSIX, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->msix_mr);

    for (i = 0; i < IMS_TD_NR_KINDS; i++) {
        ImsTestdevKind *k = &s->kinds[i];

        k->nr_slots = nr_slots[i];
        k->slot_fired = g_new0(uint32_t, k->nr_slots);
        k->slot_sent = g_new0(uint32_t, k->nr_slots);
    }
    s->table = g_new0(ImsTestdevSlot, s->nr_slots);
    ims_testdev_reset_state(s);
}

/* The PCI core sets its way to send messages after all else */
static void ims_testdev_realize(DeviceState *qdev, Error **errp)
{
    ImsTestdevClass *c = IMS_TESTDEV_GET_CLASS(qdev);
    PCIDevice *dev = PCI_DEVICE(qdev);
    Error *local_err = NULL;

    c->parent_realize(qdev, &local_err);
    if (local_err) {
        error_propagate(errp, local_err);
        return;
    }

    dev->msi_prepare_message = ims_testdev_msi_prepare;
    dev->msix_prepare_message = ims_testdev_msix_prepare;
    dev->msi_trigger = ims_testdev_msi_trigger;
}

static void ims_testdev_pci_exit(PCIDevice *dev)
{
    ImsTestdev *s = IMS_TESTDEV(dev);

    memory_region_del_subregion(&s->msix_mr, &s->msix_table_mr);
    msix_uninit(dev, &s->msix_mr, &s->msix_mr);
    msi_uninit(dev);
}

static void ims_testdev_instance_init(Object *obj)
{
    /* A hybrid device has to say so itself, and before it is realized */
    PCI_DEVICE(obj)->cap_present |= QEMU_PCI_CAP_EXPRESS;
}

/* Not in exit: a message can unplug the device while it is still at work */
static void ims_testdev_instance_finalize(Object *obj)
{
    ImsTestdev *s = IMS_TESTDEV(obj);
    int i;

    for (i = 0; i < IMS_TD_NR_KINDS; i++) {
        g_free(s->kinds[i].slot_fired);
        g_free(s->kinds[i].slot_sent);
    }
    g_free(s->table);
}

static int ims_testdev_post_load(void *opaque, int version_id)
{
    ImsTestdev *s = opaque;
    uint32_t slot;

    if (s->breach_logged > IMS_TD_BREACH_ENTRIES) {
        return -EINVAL;
    }

    s->table_pending = 0;
    for (slot = 0; slot < s->nr_slots; slot++) {
        s->table_pending += ims_testdev_table_pending(s, slot);
    }
    return 0;
}

static const VMStateDescription vmstate_ims_testdev_breach = {
    .name = "ims-testdev/breach",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_UINT32(code, ImsTestdevBreach),
        VMSTATE_UINT32(kind, ImsTestdevBreach),
        VMSTATE_UINT32(where, ImsTestdevBreach),
        VMSTATE_UINT32(value, ImsTestdevBreach),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_ims_testdev_kind = {
    .name = "ims-testdev/kind",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_UINT32_EQUAL(nr_slots, ImsTestdevKind,
                             "give both sides the same properties"),
        VMSTATE_UINT32(fired, ImsTestdevKind),
        VMSTATE_UINT32(sent, ImsTestdevKind),
        VMSTATE_UINT32(held, ImsTestdevKind),
        VMSTATE_UINT32(merged, ImsTestdevKind),
        VMSTATE_VARRAY_UINT32(slot_fired, ImsTestdevKind, nr_slots, 0,
                              vmstate_info_uint32, uint32_t),
        VMSTATE_VARRAY_UINT32(slot_sent, ImsTestdevKind, nr_slots, 0,
                              vmstate_info_uint32, uint32_t),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_ims_testdev_slot = {
    .name = "ims-testdev/slot",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_UINT32_ARRAY(word, ImsTestdevSlot, IMS_TD_SLOT_SIZE / 4),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_ims_testdev = {
    .name = TYPE_IMS_TESTDEV,
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = ims_testdev_post_load,
    .fields = (VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, ImsTestdev),
        VMSTATE_MSIX(parent_obj, ImsTestdev),
        VMSTATE_UINT32(fire_kind, ImsTestdev),
        VMSTATE_UINT32(fire_first, ImsTestdev),
        VMSTATE_UINT32(fire_count, ImsTestdev),
        VMSTATE_UINT32(sel_kind, ImsTestdev),
        VMSTATE_UINT32(sel_slot, ImsTestdev),
        VMSTATE_UINT32(breach_sel, ImsTestdev),
        VMSTATE_STRUCT_ARRAY(kinds, ImsTestdev, IMS_TD_NR_KINDS, 1,
                             vmstate_ims_testdev_kind, ImsTestdevKind),
        VMSTATE_STRUCT_VARRAY_POINTER_UINT32(table, ImsTestdev, nr_slots,
                                             vmstate_ims_testdev_slot,
                                             ImsTestdevSlot),
        VMSTATE_UINT32(breach_count, ImsTestdev),
        VMSTATE_UINT32(breach_logged, ImsTestdev),
        VMSTATE_UINT32_ARRAY(breach_by_code, ImsTestdev, IMS_TD_NR_BREACHES),
        VMSTATE_STRUCT_ARRAY(breaches, ImsTestdev, IMS_TD_BREACH_ENTRIES, 1,
                             vmstate_ims_testdev_breach, ImsTestdevBreach),
        VMSTATE_END_OF_LIST()
    }
};

static Property ims_testdev_properties[] = {
    DEFINE_PROP_UINT32("slots", ImsTestdev, nr_slots, 2048),
    DEFINE_PROP_UINT32("msi-vectors", ImsTestdev, nr_msi, 32),
    DEFINE_PROP_BOOL("msi-64bit", ImsTestdev, msi_64bit, true),
    DEFINE_PROP_BOOL("msi-mask", ImsTestdev, msi_mask, true),
    DEFINE_PROP_UINT32("msix-vectors", ImsTestdev, nr_msix, 2048),
    DEFINE_PROP_END_OF_LIST(),
};

static void ims_testdev_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);
    ImsTestdevClass *c = IMS_TESTDEV_CLASS(klass);

    device_class_set_parent_realize(dc, ims_testdev_realize,
                                    &c->parent_realize);
    device_class_set_props(dc, ims_testdev_properties);
    dc->desc = "Interrupt Message Store test device";
    dc->reset = ims_testdev_reset;
    dc->vmsd = &vmstate_ims_testdev;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);

    k->realize = ims_testdev_pci_realize;
    k->exit = ims_testdev_pci_exit;
    k->config_write = ims_testdev_config_write;
    k->vendor_id = IMS_TD_PCI_VENDOR;
    k->device_id = IMS_TD_PCI_DEVICE;
    k->revision = IMS_TD_VERSION >> 16;
    k->class_id = IMS_TESTDEV_PCI_CLASS;
}

static const TypeInfo ims_testdev_info = {
    .name = TYPE_IMS_TESTDEV,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(ImsTestdev),
    .instance_init = ims_testdev_instance_init,
    .instance_finalize = ims_testdev_instance_finalize,
    .class_size = sizeof(ImsTestdevClass),
    .class_init = ims_testdev_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    },
};

static void ims_testdev_register_types(void)
{
    type_register_static(&ims_testdev_info);
}
type_init(ims_testdev_register_types)
