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
 *   store     a kind whose slots are the device's own: not MSI, not MSI-X
 *   forget    lose slots and rings, but not the records: what FLR does
 *   asleep    in D3hot
 *   breach    a rule that software has broken
 *
 * What holds at any time:
 *
 *   - All state is protected by the big QEMU lock, as are all callbacks.
 *   - Every message of every kind leaves through ims_testdev_send(), which
 *     does all the counting of messages and nothing else does.
 *   - Messages and DMA are accesses by the device as a bus master.  They can
 *     end up anywhere: in this device's configuration space, where they can
 *     reset it or put it to sleep, or in the register of a bridge that takes
 *     the device away.  ImsTestdev::epoch tells: whatever runs after such an
 *     access must stop if the epoch is another one than before.
 *   - Those that end up in one of the device's own BARs are refused, see
 *     "Messages"; so is any other way to come back into the device's MMIO.
 *     The memory core does this while it is in the device's MMIO; what runs at
 *     another time has to engage ims_testdev_enter().  So while one access is
 *     dealt with, software can't give the device more to do.
 *   - While an access to configuration space is dealt with, messages wait in
 *     ImsTestdev::released: the PCI core walks its vectors then, and a message
 *     could reset them under its feet.
 *   - The ring's timer is pending exactly while ims_testdev_cmd_ready(), that
 *     for firing while ImsTestdev::fire_left is not zero.
 *   - What one access leads to, here and in other devices, is bounded by
 *     ims-work.h.  Whatever sends or fires more than once for one access is
 *     within ims_work_begin() and ims_work_end().
 *
 * This work is licensed under the terms of the GNU GPL, version 2 or later.
 * See the COPYING file in the top-level directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/module.h"
#include "qemu/queue.h"
#include "qemu/timer.h"
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
#include "ims-work.h"
#include "trace.h"

#define TYPE_IMS_TESTDEV "ims-testdev"
OBJECT_DECLARE_TYPE(ImsTestdev, ImsTestdevClass, IMS_TESTDEV)

/* Base class "unassigned": no driver binds by class */
#define IMS_TESTDEV_PCI_CLASS           0xff00

#define IMS_TESTDEV_MSI_VECTORS_MAX     32
#define IMS_TESTDEV_MSIX_VECTORS_MAX    (PCI_MSIX_FLAGS_QSIZE + 1)
#define IMS_TESTDEV_SLOTS_MAX           (1 * MiB)
/* For each of the other stores */
#define IMS_TESTDEV_MORE_SLOTS_MAX      (64 * KiB)

/* Slots that are forgotten with the work of one access to the bus */
#define IMS_TESTDEV_FORGET_RATE         64

#define IMS_TESTDEV_PCIE_CAP            0xa0
#define IMS_TESTDEV_PM_CAP              0xe0

/* Values of the power state in the PM capability; D1 and D2 don't exist */
#define IMS_TESTDEV_D0                  0
#define IMS_TESTDEV_D3HOT               3

/* Where things are in the MSI-X BAR, whatever the number of vectors */
#define IMS_TESTDEV_MSIX_PBA            (32 * KiB)
#define IMS_TESTDEV_MSIX_BAR_SIZE       (64 * KiB)

/* A slot of a store */
typedef struct ImsTestdevSlot {
    MSIMessage msg;
    /* As software sees it, in the layout of the store */
    uint32_t ctrl;
} ImsTestdevSlot;

typedef struct ImsTestdevKind {
    /* Fixed at realize */
    uint32_t nr_slots;
    /* The same for a store, and zero for what the PCI core keeps */
    uint32_t nr_stored;

    uint32_t fired;
    uint32_t sent;
    uint32_t held;
    uint32_t merged;

    /* One for each slot */
    uint32_t *slot_fired;
    uint32_t *slot_sent;

    ImsTestdevSlot *slots;
    /* For each of these, SLOT_PASID and SLOT_EXPECT */
    uint32_t *slot_pasid;
    uint32_t *slot_expect;
    /* How many of them are pending */
    uint32_t pending;
} ImsTestdevKind;

typedef struct ImsTestdevBreach {
    uint32_t code;
    uint32_t kind;
    uint32_t where;
    uint32_t value;
} ImsTestdevBreach;

/* A message that waits until an access to configuration space is through */
typedef struct ImsTestdevReleased {
    uint32_t kind;
    uint32_t slot;
    MSIMessage msg;
    QSIMPLEQ_ENTRY(ImsTestdevReleased) next;
} ImsTestdevReleased;

/* What is in front of a BAR while the device is asleep, see "Power" */
typedef struct ImsTestdevCover {
    ImsTestdev *dev;
    /* Index in ims_testdev_bars[] */
    uint32_t index;
    MemoryRegion mr;
} ImsTestdevCover;

struct ImsTestdevClass {
    PCIDeviceClass parent_class;
    DeviceRealize parent_realize;
};

struct ImsTestdev {
    PCIDevice parent_obj;

    MemoryRegion regs_mr;
    MemoryRegion table_mr;
    MemoryRegion wide_mr;
    MemoryRegion msix_mr;
    MemoryRegion msix_table_mr;
    ImsTestdevCover covers[PCI_ROM_SLOT];

    /* For trace events and errors: where the device is in the machine */
    char *name;

    /* Properties */
    uint32_t nr_table;
    uint32_t nr_wide;
    uint32_t nr_mem;
    uint32_t nr_cmd;
    uint32_t nr_msi;
    uint32_t nr_msix;
    bool msi_64bit;
    bool msi_mask;
    uint32_t cmd_latency_default;

    /* Registers that only hold a value */
    uint32_t fire_kind;
    uint32_t fire_first;
    uint32_t fire_count;
    uint32_t sel_kind;
    uint32_t sel_slot;
    uint32_t breach_sel;

    /* What is left of a range that is being fired, and when that goes on */
    uint32_t fire_left;
    uint32_t fire_left_kind;
    uint32_t fire_left_first;
    QEMUTimer fire_timer;

    ImsTestdevKind kinds[IMS_TD_NR_KINDS];

    /* What writing PENDING in the slot table does */
    uint32_t table_mode;

    /* For each slot of the wide table, the address that DATA will take */
    uint64_t *wide_prepared;

    /* Slots in memory; kinds[] has what was read of them last */
    uint32_t mem_base_lo;
    uint32_t mem_base_hi;
    uint32_t mem_count;
    uint32_t mem_notify;

    /* The command ring */
    uint32_t cmd_base_lo;
    uint32_t cmd_base_hi;
    uint32_t cmd_entries;
    uint32_t cmd_ctrl;
    uint32_t cmd_tail;
    uint32_t cmd_head;
    uint32_t cmd_latency;
    uint32_t cmd_fail;
    uint32_t cmd_hang;
    uint32_t cmd_done;
    /* The command at the head is one that hangs */
    bool cmd_stuck;
    /* Expires when the command at the head is to be carried out */
    QEMUTimer cmd_timer;

    /* The copied message: registers, and what was valid when software said so */
    uint32_t copy_addr_lo;
    uint32_t copy_addr_hi;
    uint32_t copy_data;
    uint32_t copy_valid;
    MSIMessage copy_msg;

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

    /* Counts what ends all that is under way: see the top of this file */
    uint32_t epoch;
    /* A reset now is one that keeps the records */
    bool function_reset;
    /* An access to configuration space is being dealt with */
    bool in_config;
    QSIMPLEQ_HEAD(, ImsTestdevReleased) released;
};

/*
 * How the control word of a store's slots is laid out.
 *
 * @mask: the bit that masks the slot, or enables it
 * @masked: what this bit is in a masked slot.  A slot is masked after reset
 * @pending: the bit that shows that the slot is pending
 * @pasid: the PASID to send with
 * @pasid_en: the bit that says that there is one
 * @writable: the bits that software can change
 */
typedef struct ImsTestdevCtrl {
    uint32_t mask;
    uint32_t masked;
    uint32_t pending;
    uint32_t pasid;
    uint32_t pasid_en;
    uint32_t writable;
} ImsTestdevCtrl;

/*
 * A kind of storage.  Slots are in range when these are called.  Only
 * @fetch and @raise access the bus.
 *
 * @name: for trace events
 * @ctrl: for a store, the layout of its control words
 * @enabled: can the slot send at all? If not, firing it is a breach
 * @fetch: get the slot from where software keeps it, before it fires; optional.
 *         False if the epoch has changed
 * @masked: would the slot be held if it was fired?
 * @pending: is the slot waiting to be unmasked?
 * @get_msg: the slot's message, as it is stored
 * @raise: send the message, or make the slot pending if it is masked
 * @count_pending: how many slots are pending
 */
typedef struct ImsTestdevKindOps {
    const char *name;
    const ImsTestdevCtrl *ctrl;
    bool (*enabled)(ImsTestdev *s, uint32_t kind, uint32_t slot);
    bool (*fetch)(ImsTestdev *s, uint32_t kind, uint32_t slot);
    bool (*masked)(ImsTestdev *s, uint32_t kind, uint32_t slot);
    bool (*pending)(ImsTestdev *s, uint32_t kind, uint32_t slot);
    MSIMessage (*get_msg)(ImsTestdev *s, uint32_t kind, uint32_t slot);
    void (*raise)(ImsTestdev *s, uint32_t kind, uint32_t slot);
    uint32_t (*count_pending)(ImsTestdev *s, uint32_t kind);
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
    [IMS_TD_BREACH_REG] = "no such register or command, or not now",
    [IMS_TD_BREACH_DMA] = "memory out of reach",
    [IMS_TD_BREACH_POWER] = "access while asleep",
    [IMS_TD_BREACH_PASID] = "message with another PASID than expected",
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
    trace_ims_testdev_breach(s->name, ims_testdev_breach_names[code], kind,
                             where, value);

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

/* "Power" */

static uint16_t ims_testdev_power_state(ImsTestdev *s)
{
    return pci_get_word(PCI_DEVICE(s)->config + IMS_TESTDEV_PM_CAP +
                        PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK;
}

static void ims_testdev_set_power_state(ImsTestdev *s, uint16_t state)
{
    pci_set_word(PCI_DEVICE(s)->config + IMS_TESTDEV_PM_CAP + PCI_PM_CTRL,
                 state);
}

static bool ims_testdev_asleep(ImsTestdev *s)
{
    return ims_testdev_power_state(s) != IMS_TESTDEV_D0;
}

/* What is under way ends here, and nothing more comes of it */
static void ims_testdev_abandon(ImsTestdev *s)
{
    ImsTestdevReleased *r, *next;

    s->epoch++;
    s->fire_left = 0;
    timer_del(&s->fire_timer);
    timer_del(&s->cmd_timer);
    QSIMPLEQ_FOREACH_SAFE(r, &s->released, next, next) {
        g_free(r);
    }
    QSIMPLEQ_INIT(&s->released);
}

/*
 * For work that begins outside of the device's MMIO: keep what it does on the
 * bus from coming back there, and keep the device alive even if that unplugs
 * it.  Returns what ims_testdev_leave() wants.
 */
static bool ims_testdev_enter(ImsTestdev *s)
{
    MemReentrancyGuard *guard = &DEVICE(s)->mem_reentrancy_guard;
    bool was_engaged = guard->engaged_in_io;

    object_ref(OBJECT(s));
    guard->engaged_in_io = true;
    return was_engaged;
}

static void ims_testdev_leave(ImsTestdev *s, bool was_engaged)
{
    DEVICE(s)->mem_reentrancy_guard.engaged_in_io = was_engaged;
    object_unref(OBJECT(s));
}

/*
 * Access memory as a bus master.  The requester id is what an IOMMU goes by.
 * False if that fails, and the epoch may have changed in either case.
 */
static bool ims_testdev_dma(ImsTestdev *s, uint64_t addr, void *buf,
                            uint32_t len, DMADirection dir)
{
    PCIDevice *dev = PCI_DEVICE(s);
    MemTxAttrs attrs = {};
    MemTxResult result = MEMTX_ERROR;

    attrs.requester_id = pci_requester_id(dev);
    ims_work_begin();
    if (ims_work_take(1)) {
        result = pci_dma_rw(dev, addr, buf, len, dir, attrs);
    }
    ims_work_end();
    if (dir == DMA_DIRECTION_TO_DEVICE) {
        trace_ims_testdev_dma_read(s->name, addr, len, result);
    } else {
        trace_ims_testdev_dma_write(s->name, addr, len, result);
    }
    return result == MEMTX_OK;
}

/* "Messages" */

/* Record the PASID that a message of a store is sent with, and judge it */
static void ims_testdev_use_pasid(ImsTestdev *s, uint32_t kind, uint32_t slot)
{
    const ImsTestdevCtrl *ctrl = ims_testdev_kind_ops[kind].ctrl;
    ImsTestdevKind *k = &s->kinds[kind];
    uint32_t word, expect, pasid = 0;

    if (!ctrl) {
        return;
    }
    word = k->slots[slot].ctrl;
    if (word & ctrl->pasid_en) {
        pasid = IMS_TD_PASID_EN | (word & ctrl->pasid) >> ctz32(ctrl->pasid);
    }
    k->slot_pasid[slot] = pasid;
    expect = k->slot_expect[slot];
    if ((expect & IMS_TD_PASID_CHECK) &&
        (expect & ~IMS_TD_PASID_CHECK) != pasid) {
        ims_testdev_breach(s, IMS_TD_BREACH_PASID, kind, slot, pasid);
    }
}

static void ims_testdev_send(ImsTestdev *s, uint32_t kind, uint32_t slot,
                             MSIMessage msg)
{
    PCIDevice *dev = PCI_DEVICE(s);
    ImsTestdevKind *k = &s->kinds[kind];
    MemTxResult result = MEMTX_DECODE_ERROR;
    MemTxAttrs attrs = {};
    uint32_t epoch = s->epoch;

    /* Configuration space can still release a vector then */
    if (ims_testdev_asleep(s)) {
        return;
    }
    if (!msg.address) {
        ims_testdev_breach(s, IMS_TD_BREACH_NO_MSG, kind, slot, 0);
        return;
    }

    /* Before it goes out: it may clear the counters, and has no part in them */
    k->sent++;
    k->slot_sent[slot]++;
    ims_testdev_use_pasid(s, kind, slot);

    /*
     * An address that is not a multiple of four is none that a message can
     * have: PCIe 6.1.4.
     */
    attrs.requester_id = pci_requester_id(dev);
    ims_work_begin();
    if (QEMU_IS_ALIGNED(msg.address, 4) && ims_work_take(1)) {
        address_space_stl_le(pci_get_address_space(dev), msg.address, msg.data,
                             attrs, &result);
    }
    ims_work_end();

    trace_ims_testdev_send(s->name, ims_testdev_kind_ops[kind].name, slot,
                           msg.address, msg.data, result);
    if (result != MEMTX_OK && s->epoch == epoch) {
        k->sent--;
        k->slot_sent[slot]--;
        ims_testdev_breach(s, IMS_TD_BREACH_BUS, kind, slot, msg.data);
    }
}

/* MSI and MSI-X: the PCI core has the state, and calls back to send */

static MSIMessage ims_testdev_prepare(ImsTestdev *s, uint32_t kind,
                                      uint32_t slot)
{
    s->notify_kind = kind;
    s->notify_slot = slot;
    return ims_testdev_kind_ops[kind].get_msg(s, kind, slot);
}

static MSIMessage ims_testdev_msi_prepare(PCIDevice *dev, unsigned vector)
{
    return ims_testdev_prepare(IMS_TESTDEV(dev), IMS_TD_KIND_MSI, vector);
}

static MSIMessage ims_testdev_msix_prepare(PCIDevice *dev, unsigned vector)
{
    return ims_testdev_prepare(IMS_TESTDEV(dev), IMS_TD_KIND_MSIX, vector);
}

static void ims_testdev_msi_trigger(PCIDevice *dev, MSIMessage msg)
{
    ImsTestdev *s = IMS_TESTDEV(dev);
    ImsTestdevReleased *r;

    if (!s->in_config) {
        ims_testdev_send(s, s->notify_kind, s->notify_slot, msg);
        return;
    }

    r = g_new0(ImsTestdevReleased, 1);
    r->kind = s->notify_kind;
    r->slot = s->notify_slot;
    r->msg = msg;
    QSIMPLEQ_INSERT_TAIL(&s->released, r, next);
}

/* A vector is released once: what is sent here can't add to it for ever */
static void ims_testdev_send_released(ImsTestdev *s)
{
    ImsTestdevReleased *r;

    ims_work_begin();
    while ((r = QSIMPLEQ_FIRST(&s->released))) {
        QSIMPLEQ_REMOVE_HEAD(&s->released, next);
        ims_testdev_send(s, r->kind, r->slot, r->msg);
        g_free(r);
    }
    ims_work_end();
}

/*
 * The guest can set Multiple Message Enable to anything, and the PCI core
 * limits it to what the device has only when MSI is enabled.
 */
static uint32_t ims_testdev_msi_allocated(ImsTestdev *s)
{
    return MIN(msi_nr_vectors_allocated(PCI_DEVICE(s)), s->nr_msi);
}

static bool ims_testdev_msi_enabled(ImsTestdev *s, uint32_t kind,
                                    uint32_t slot)
{
    return msi_enabled(PCI_DEVICE(s)) && slot < ims_testdev_msi_allocated(s);
}

static bool ims_testdev_msi_masked(ImsTestdev *s, uint32_t kind,
                                   uint32_t slot)
{
    return msi_is_masked(PCI_DEVICE(s), slot);
}

static uint32_t ims_testdev_msi_pending_offset(ImsTestdev *s)
{
    return PCI_DEVICE(s)->msi_cap +
           (s->msi_64bit ? PCI_MSI_PENDING_64 : PCI_MSI_PENDING_32);
}

static uint32_t ims_testdev_msi_pending_bits(ImsTestdev *s)
{
    PCIDevice *dev = PCI_DEVICE(s);

    /* The registers for it come with the mask bits */
    if (!s->msi_mask) {
        return 0;
    }
    return pci_get_long(dev->config + ims_testdev_msi_pending_offset(s));
}

static bool ims_testdev_msi_pending(ImsTestdev *s, uint32_t kind,
                                    uint32_t slot)
{
    return extract32(ims_testdev_msi_pending_bits(s), slot, 1);
}

static MSIMessage ims_testdev_msi_get_msg(ImsTestdev *s, uint32_t kind,
                                          uint32_t slot)
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

static void ims_testdev_msi_raise(ImsTestdev *s, uint32_t kind,
                                  uint32_t slot)
{
    msi_notify(PCI_DEVICE(s), slot);
}

static uint32_t ims_testdev_msi_count_pending(ImsTestdev *s, uint32_t kind)
{
    return ctpop32(ims_testdev_msi_pending_bits(s));
}

static uint8_t *ims_testdev_msix_entry(ImsTestdev *s, uint32_t slot)
{
    return PCI_DEVICE(s)->msix_table + slot * PCI_MSIX_ENTRY_SIZE;
}

static bool ims_testdev_msix_enabled(ImsTestdev *s, uint32_t kind,
                                     uint32_t slot)
{
    return msix_enabled(PCI_DEVICE(s));
}

/*
 * For the PCI core too, all vectors are masked while MSI-X is not enabled, but
 * it notices only with an access to configuration space: a reset is none.
 */
static bool ims_testdev_msix_masked(ImsTestdev *s, uint32_t kind,
                                    uint32_t slot)
{
    PCIDevice *dev = PCI_DEVICE(s);

    return !msix_enabled(dev) || msix_is_masked(dev, slot);
}

static bool ims_testdev_msix_pending(ImsTestdev *s, uint32_t kind,
                                     uint32_t slot)
{
    return PCI_DEVICE(s)->msix_pba[slot / 8] & (1 << (slot % 8));
}

static MSIMessage ims_testdev_msix_get_msg(ImsTestdev *s, uint32_t kind,
                                           uint32_t slot)
{
    const uint8_t *entry = ims_testdev_msix_entry(s, slot);

    return (MSIMessage) {
        .address = pci_get_quad(entry + PCI_MSIX_ENTRY_LOWER_ADDR),
        .data = pci_get_long(entry + PCI_MSIX_ENTRY_DATA),
    };
}

static void ims_testdev_msix_raise(ImsTestdev *s, uint32_t kind,
                                   uint32_t slot)
{
    msix_notify(PCI_DEVICE(s), slot);
}

static uint32_t ims_testdev_msix_count_pending(ImsTestdev *s, uint32_t kind)
{
    const uint8_t *pba = PCI_DEVICE(s)->msix_pba;
    uint32_t i, n = 0;

    for (i = 0; i < DIV_ROUND_UP(s->nr_msix, 8); i++) {
        n += ctpop8(pba[i]);
    }
    return n;
}

/* Stores */

static ImsTestdevSlot *ims_testdev_store_slot(ImsTestdev *s, uint32_t kind,
                                              uint32_t slot)
{
    return &s->kinds[kind].slots[slot];
}

static bool ims_testdev_store_enabled(ImsTestdev *s, uint32_t kind,
                                      uint32_t slot)
{
    return true;
}

static bool ims_testdev_store_masked(ImsTestdev *s, uint32_t kind,
                                     uint32_t slot)
{
    const ImsTestdevCtrl *ctrl = ims_testdev_kind_ops[kind].ctrl;

    return (ims_testdev_store_slot(s, kind, slot)->ctrl & ctrl->mask) ==
           ctrl->masked;
}

static bool ims_testdev_store_pending(ImsTestdev *s, uint32_t kind,
                                      uint32_t slot)
{
    return ims_testdev_store_slot(s, kind, slot)->ctrl &
           ims_testdev_kind_ops[kind].ctrl->pending;
}

static MSIMessage ims_testdev_store_get_msg(ImsTestdev *s, uint32_t kind,
                                            uint32_t slot)
{
    return ims_testdev_store_slot(s, kind, slot)->msg;
}

static void ims_testdev_store_set_pending(ImsTestdev *s, uint32_t kind,
                                          uint32_t slot, bool pending)
{
    if (pending == ims_testdev_store_pending(s, kind, slot)) {
        return;
    }
    ims_testdev_store_slot(s, kind, slot)->ctrl ^=
        ims_testdev_kind_ops[kind].ctrl->pending;
    s->kinds[kind].pending += pending ? 1 : -1;
}

static void ims_testdev_store_raise(ImsTestdev *s, uint32_t kind, uint32_t slot)
{
    if (ims_testdev_store_masked(s, kind, slot)) {
        ims_testdev_store_set_pending(s, kind, slot, true);
        return;
    }
    ims_testdev_send(s, kind, slot, ims_testdev_store_get_msg(s, kind, slot));
}

static uint32_t ims_testdev_store_count_pending(ImsTestdev *s, uint32_t kind)
{
    return s->kinds[kind].pending;
}

/* @value is what software has written, for the log */
static void ims_testdev_store_set_msg(ImsTestdev *s, uint32_t kind,
                                      uint32_t slot, MSIMessage msg,
                                      uint32_t value)
{
    MSIMessage *old = &ims_testdev_store_slot(s, kind, slot)->msg;

    if (!ims_testdev_store_masked(s, kind, slot) &&
        (old->address != msg.address || old->data != msg.data)) {
        ims_testdev_breach(s, IMS_TD_BREACH_MSG_UNMASKED, kind, slot, value);
    }
    *old = msg;
    if (!msg.address) {
        s->kinds[kind].slot_expect[slot] = 0;
    }
}

static void ims_testdev_store_mask(ImsTestdev *s, uint32_t kind, uint32_t slot)
{
    const ImsTestdevCtrl *ctrl = ims_testdev_kind_ops[kind].ctrl;
    uint32_t *word = &ims_testdev_store_slot(s, kind, slot)->ctrl;

    *word = (*word & ~ctrl->mask) | ctrl->masked;
}

/* Can send a message, which is the last thing that it does */
static void ims_testdev_store_set_ctrl(ImsTestdev *s, uint32_t kind,
                                       uint32_t slot, uint32_t value)
{
    uint32_t writable = ims_testdev_kind_ops[kind].ctrl->writable;
    uint32_t *word = &ims_testdev_store_slot(s, kind, slot)->ctrl;

    *word = (*word & ~writable) | (value & writable);
    if (!ims_testdev_store_masked(s, kind, slot) &&
        ims_testdev_store_pending(s, kind, slot)) {
        ims_testdev_store_set_pending(s, kind, slot, false);
        ims_testdev_store_raise(s, kind, slot);
    }
}

static void ims_testdev_store_forget(ImsTestdev *s, uint32_t kind)
{
    ImsTestdevKind *k = &s->kinds[kind];
    uint32_t slot;

    /* A message can make another device forget all of its slots */
    ims_work_take(k->nr_slots / IMS_TESTDEV_FORGET_RATE);
    for (slot = 0; slot < k->nr_stored; slot++) {
        k->slots[slot] = (ImsTestdevSlot) {
            .ctrl = ims_testdev_kind_ops[kind].ctrl->masked,
        };
    }
    k->pending = 0;
}

/* "Slots in memory" */

static bool ims_testdev_mem_enabled(ImsTestdev *s, uint32_t kind, uint32_t slot)
{
    return slot < s->mem_count;
}

static bool ims_testdev_mem_fetch(ImsTestdev *s, uint32_t kind, uint32_t slot)
{
    uint64_t base = deposit64(s->mem_base_lo, 32, 32, s->mem_base_hi);
    uint8_t buf[IMS_TD_SLOT_SIZE];
    uint32_t ctrl, epoch = s->epoch;
    MSIMessage msg;
    bool ok;

    ok = ims_testdev_dma(s, base + slot * IMS_TD_SLOT_SIZE, buf, sizeof(buf),
                         DMA_DIRECTION_TO_DEVICE);
    if (s->epoch != epoch) {
        return false;
    }
    if (!ok) {
        ims_testdev_breach(s, IMS_TD_BREACH_DMA, kind, slot, 0);
        ims_testdev_store_mask(s, kind, slot);
        return true;
    }

    msg.address = deposit64(ldl_le_p(buf + IMS_TD_SLOT_ADDR_LO), 32, 32,
                            ldl_le_p(buf + IMS_TD_SLOT_ADDR_HI));
    msg.data = ldl_le_p(buf + IMS_TD_SLOT_DATA);
    ctrl = ldl_le_p(buf + IMS_TD_SLOT_CTRL);
    trace_ims_testdev_mem_fetch(s->name, slot, msg.address, msg.data, ctrl);

    ims_testdev_store_set_msg(s, kind, slot, msg, msg.data);
    ims_testdev_store_set_ctrl(s, kind, slot, ctrl);
    return s->epoch == epoch;
}

/* "The copied message" */

static bool ims_testdev_copy_enabled(ImsTestdev *s, uint32_t kind,
                                     uint32_t slot)
{
    return s->copy_valid;
}

static bool ims_testdev_copy_never(ImsTestdev *s, uint32_t kind, uint32_t slot)
{
    return false;
}

static MSIMessage ims_testdev_copy_get_msg(ImsTestdev *s, uint32_t kind,
                                           uint32_t slot)
{
    MSIMessage msg = s->copy_msg;

    if (s->copy_valid) {
        msg.data += slot;
    }
    return msg;
}

static void ims_testdev_copy_raise(ImsTestdev *s, uint32_t kind, uint32_t slot)
{
    ims_testdev_send(s, kind, slot, ims_testdev_copy_get_msg(s, kind, slot));
}

static uint32_t ims_testdev_copy_count_pending(ImsTestdev *s, uint32_t kind)
{
    return 0;
}

static void ims_testdev_copy_forget(ImsTestdev *s)
{
    s->copy_addr_lo = 0;
    s->copy_addr_hi = 0;
    s->copy_data = 0;
    s->copy_valid = 0;
    s->copy_msg = (MSIMessage) {};
}

/* The layout of the slot table, which slots in memory and commands share */
static const ImsTestdevCtrl ims_testdev_slot_ctrl = {
    .mask = IMS_TD_SLOT_CTRL_MASK,
    .masked = IMS_TD_SLOT_CTRL_MASK,
    .pending = IMS_TD_SLOT_CTRL_PENDING,
    .pasid = IMS_TD_SLOT_CTRL_PASID,
    .pasid_en = IMS_TD_SLOT_CTRL_PASID_EN,
    .writable = IMS_TD_SLOT_CTRL_WRITABLE,
};

static const ImsTestdevCtrl ims_testdev_wide_ctrl = {
    .mask = IMS_TD_WIDE_CTRL_ENABLE,
    .masked = 0,
    .pending = IMS_TD_WIDE_CTRL_PENDING,
    .pasid = IMS_TD_WIDE_CTRL_PASID,
    .pasid_en = IMS_TD_WIDE_CTRL_PASID_EN,
    .writable = IMS_TD_WIDE_CTRL_WRITABLE,
};

#define IMS_TESTDEV_STORE                                       \
    .masked = ims_testdev_store_masked,                         \
    .pending = ims_testdev_store_pending,                       \
    .get_msg = ims_testdev_store_get_msg,                       \
    .raise = ims_testdev_store_raise,                           \
    .count_pending = ims_testdev_store_count_pending

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
        .ctrl = &ims_testdev_slot_ctrl,
        .enabled = ims_testdev_store_enabled,
        IMS_TESTDEV_STORE,
    },
    [IMS_TD_KIND_WIDE] = {
        .name = "wide",
        .ctrl = &ims_testdev_wide_ctrl,
        .enabled = ims_testdev_store_enabled,
        IMS_TESTDEV_STORE,
    },
    [IMS_TD_KIND_MEM] = {
        .name = "mem",
        .ctrl = &ims_testdev_slot_ctrl,
        .enabled = ims_testdev_mem_enabled,
        .fetch = ims_testdev_mem_fetch,
        IMS_TESTDEV_STORE,
    },
    [IMS_TD_KIND_CMD] = {
        .name = "cmd",
        .ctrl = &ims_testdev_slot_ctrl,
        .enabled = ims_testdev_store_enabled,
        IMS_TESTDEV_STORE,
    },
    [IMS_TD_KIND_COPY] = {
        .name = "copy",
        .enabled = ims_testdev_copy_enabled,
        .masked = ims_testdev_copy_never,
        .pending = ims_testdev_copy_never,
        .get_msg = ims_testdev_copy_get_msg,
        .raise = ims_testdev_copy_raise,
        .count_pending = ims_testdev_copy_count_pending,
    },
};

/* "Firing" */

static void ims_testdev_fire_slot(ImsTestdev *s, uint32_t kind, uint32_t slot)
{
    const ImsTestdevKindOps *ops = &ims_testdev_kind_ops[kind];
    ImsTestdevKind *k = &s->kinds[kind];

    trace_ims_testdev_fire(s->name, ops->name, slot);
    k->fired++;
    k->slot_fired[slot]++;

    if (!ops->enabled(s, kind, slot)) {
        ims_testdev_breach(s, IMS_TD_BREACH_NO_MSG, kind, slot, 0);
        return;
    }
    if (ops->fetch && !ops->fetch(s, kind, slot)) {
        return;
    }
    if (ops->masked(s, kind, slot)) {
        k->held++;
        k->merged += ops->pending(s, kind, slot);
    }
    ops->raise(s, kind, slot);
}

/* Fire what is left of a range, or as much of that as one access may */
static void ims_testdev_fire_more(ImsTestdev *s)
{
    ims_work_begin();
    while (s->fire_left && !ims_work_low()) {
        ims_work_take(1);
        s->fire_left--;
        ims_testdev_fire_slot(s, s->fire_left_kind, s->fire_left_first++);
    }
    if (s->fire_left) {
        timer_mod(&s->fire_timer, IMS_WORK_PAUSE +
                  qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL));
    }
    ims_work_end();
}

static void ims_testdev_fire_timer(void *opaque)
{
    ImsTestdev *s = opaque;
    bool was_engaged = ims_testdev_enter(s);

    ims_testdev_fire_more(s);
    ims_testdev_leave(s, was_engaged);
}

/*
 * All of the slots must be in range, or none is fired.  @reg is the register
 * whose write asks for it.
 */
static bool ims_testdev_can_fire(ImsTestdev *s, hwaddr reg, uint32_t kind,
                                 uint32_t first, uint32_t count)
{
    uint32_t nr_slots;

    if (kind >= IMS_TD_NR_KINDS) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                           reg, kind);
        return false;
    }

    nr_slots = s->kinds[kind].nr_slots;
    if (first > nr_slots || count > nr_slots - first) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, kind, MAX(first, nr_slots),
                           count);
        return false;
    }
    return true;
}

static void ims_testdev_fire(ImsTestdev *s, hwaddr reg, uint32_t kind,
                             uint32_t first, uint32_t count)
{
    if (ims_testdev_can_fire(s, reg, kind, first, count)) {
        s->fire_left_kind = kind;
        s->fire_left_first = first;
        s->fire_left = count;
        ims_testdev_fire_more(s);
    }
}

/* "The command ring" */

typedef struct ImsTestdevCmd {
    uint32_t word[IMS_TD_CMD_SIZE / 4];
} ImsTestdevCmd;

static uint32_t ims_testdev_cmd_word(const ImsTestdevCmd *cmd, uint32_t field)
{
    return le32_to_cpu(cmd->word[field / 4]);
}

static MSIMessage ims_testdev_cmd_msg(const ImsTestdevCmd *cmd)
{
    return (MSIMessage) {
        .address = deposit64(ims_testdev_cmd_word(cmd, IMS_TD_CMD_ADDR_LO),
                             32, 32,
                             ims_testdev_cmd_word(cmd, IMS_TD_CMD_ADDR_HI)),
        .data = ims_testdev_cmd_word(cmd, IMS_TD_CMD_DATA),
    };
}

static void ims_testdev_cmd_set_msg(ImsTestdev *s, uint32_t slot,
                                    const ImsTestdevCmd *cmd)
{
    MSIMessage msg = ims_testdev_cmd_msg(cmd);

    ims_testdev_store_set_msg(s, IMS_TD_KIND_CMD, slot, msg, msg.data);
}

static void ims_testdev_cmd_set_ctrl(ImsTestdev *s, uint32_t slot,
                                     const ImsTestdevCmd *cmd)
{
    ims_testdev_store_set_ctrl(s, IMS_TD_KIND_CMD, slot,
                               ims_testdev_cmd_word(cmd, IMS_TD_CMD_CTRL_WORD));
}

/* Masked in between, so this is no breach whatever the slot was before */
static void ims_testdev_cmd_set(ImsTestdev *s, uint32_t slot,
                                const ImsTestdevCmd *cmd)
{
    ims_testdev_store_mask(s, IMS_TD_KIND_CMD, slot);
    ims_testdev_cmd_set_msg(s, slot, cmd);
    ims_testdev_cmd_set_ctrl(s, slot, cmd);
}

typedef void ImsTestdevCmdFn(ImsTestdev *s, uint32_t slot,
                             const ImsTestdevCmd *cmd);

static ImsTestdevCmdFn *const ims_testdev_cmd_ops[] = {
    [IMS_TD_CMD_OP_MSG] = ims_testdev_cmd_set_msg,
    [IMS_TD_CMD_OP_CTRL] = ims_testdev_cmd_set_ctrl,
    [IMS_TD_CMD_OP_SET] = ims_testdev_cmd_set,
};

/* Returns the command's status */
static uint32_t ims_testdev_cmd_execute(ImsTestdev *s, const ImsTestdevCmd *cmd)
{
    uint32_t opcode = ims_testdev_cmd_word(cmd, IMS_TD_CMD_OPCODE);
    uint32_t slot = ims_testdev_cmd_word(cmd, IMS_TD_CMD_SLOT);

    if (opcode >= ARRAY_SIZE(ims_testdev_cmd_ops) ||
        !ims_testdev_cmd_ops[opcode]) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_KIND_CMD, s->cmd_head,
                           opcode);
        return IMS_TD_CMD_BAD;
    }
    if (slot >= s->nr_cmd) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_KIND_CMD, slot,
                           s->cmd_head);
        return IMS_TD_CMD_BAD;
    }

    ims_testdev_cmd_ops[opcode](s, slot, cmd);
    return IMS_TD_CMD_OK;
}

static bool ims_testdev_cmd_running(ImsTestdev *s)
{
    return s->cmd_ctrl & IMS_TD_CMD_CTRL_RUN;
}

static void ims_testdev_cmd_stop(ImsTestdev *s)
{
    trace_ims_testdev_cmd_stop(s->name, s->cmd_head, s->cmd_tail);
    timer_del(&s->cmd_timer);
    s->cmd_ctrl &= ~IMS_TD_CMD_CTRL_RUN;
    s->cmd_stuck = false;
}

/*
 * Access the entry at the head.  False if that was the end of the ring, for
 * this or for another reason.
 */
static bool ims_testdev_cmd_dma(ImsTestdev *s, uint32_t field, void *buf,
                                uint32_t len, DMADirection dir)
{
    uint64_t base = deposit64(s->cmd_base_lo, 32, 32, s->cmd_base_hi);
    uint32_t epoch = s->epoch;
    bool ok;

    ok = ims_testdev_dma(s, base + s->cmd_head * IMS_TD_CMD_SIZE + field, buf,
                         len, dir);
    if (s->epoch != epoch) {
        return false;
    }
    if (!ok) {
        ims_testdev_breach(s, IMS_TD_BREACH_DMA, IMS_TD_KIND_CMD, s->cmd_head,
                           0);
        ims_testdev_cmd_stop(s);
    }
    return ok;
}

/* The command at the head has had its time */
static void ims_testdev_cmd_complete(ImsTestdev *s)
{
    uint32_t status, le_status, epoch = s->epoch;
    ImsTestdevCmd cmd;

    if (s->cmd_hang) {
        s->cmd_hang--;
        s->cmd_stuck = true;
        trace_ims_testdev_cmd_hang(s->name, s->cmd_head);
        return;
    }

    if (!ims_testdev_cmd_dma(s, 0, &cmd, sizeof(cmd),
                             DMA_DIRECTION_TO_DEVICE)) {
        return;
    }
    trace_ims_testdev_cmd_begin(s->name, s->cmd_head,
                                ims_testdev_cmd_word(&cmd, IMS_TD_CMD_OPCODE),
                                ims_testdev_cmd_word(&cmd, IMS_TD_CMD_SLOT));
    if (s->cmd_fail) {
        s->cmd_fail--;
        status = IMS_TD_CMD_FAILED;
    } else {
        status = ims_testdev_cmd_execute(s, &cmd);
    }
    /* What it has released may have reset the device */
    if (s->epoch != epoch) {
        return;
    }

    le_status = cpu_to_le32(status);
    if (!ims_testdev_cmd_dma(s, IMS_TD_CMD_STATUS, &le_status,
                             sizeof(le_status), DMA_DIRECTION_FROM_DEVICE)) {
        return;
    }
    trace_ims_testdev_cmd_end(s->name, s->cmd_head, status);
    s->cmd_done += status == IMS_TD_CMD_OK;
    s->cmd_head = (s->cmd_head + 1) & (s->cmd_entries - 1);
}

/* Is there a command to be carried out, and will it be? */
static bool ims_testdev_cmd_ready(ImsTestdev *s)
{
    return ims_testdev_cmd_running(s) && !s->cmd_stuck &&
           s->cmd_head != s->cmd_tail && !ims_testdev_asleep(s);
}

/*
 * Let time begin for the command at the head, if it hasn't.  Without latency,
 * all that is in the ring is carried out here, or as much of that as one access
 * may.  The tail can't move meanwhile.
 */
static void ims_testdev_cmd_kick(ImsTestdev *s)
{
    ims_work_begin();
    while (ims_testdev_cmd_ready(s) && !timer_pending(&s->cmd_timer)) {
        if (s->cmd_latency || ims_work_low()) {
            timer_mod(&s->cmd_timer, (s->cmd_latency ?: IMS_WORK_PAUSE) +
                      qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL));
        } else {
            ims_testdev_cmd_complete(s);
        }
    }
    if (!ims_testdev_cmd_ready(s)) {
        timer_del(&s->cmd_timer);
    }
    ims_work_end();
}

static void ims_testdev_cmd_timer(void *opaque)
{
    ImsTestdev *s = opaque;
    bool was_engaged = ims_testdev_enter(s);

    ims_work_begin();
    ims_testdev_cmd_complete(s);
    ims_testdev_cmd_kick(s);
    ims_work_end();
    ims_testdev_leave(s, was_engaged);
}

/* "Power": what FLR and the way out of D3hot leave nothing of */
static void ims_testdev_forget(ImsTestdev *s)
{
    int kind;

    trace_ims_testdev_forget(s->name);
    ims_testdev_abandon(s);

    /* MSI and MSI-X belong to PCI */
    for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
        ims_testdev_store_forget(s, kind);
    }
    if (s->nr_wide) {
        memset(s->wide_prepared, 0, s->nr_wide * sizeof(*s->wide_prepared));
    }

    s->mem_base_lo = 0;
    s->mem_base_hi = 0;
    s->mem_count = 0;
    s->mem_notify = 0;

    s->cmd_base_lo = 0;
    s->cmd_base_hi = 0;
    s->cmd_entries = 0;
    s->cmd_ctrl = 0;
    s->cmd_tail = 0;
    s->cmd_head = 0;
    s->cmd_stuck = false;

    ims_testdev_copy_forget(s);
}

static void ims_testdev_reset_state(ImsTestdev *s)
{
    int kind;

    trace_ims_testdev_reset(s->name);

    ims_testdev_forget(s);
    ims_testdev_breach_clear(s);

    for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
        ImsTestdevKind *k = &s->kinds[kind];

        k->fired = 0;
        k->sent = 0;
        k->held = 0;
        k->merged = 0;
        if (k->nr_slots) {
            memset(k->slot_fired, 0, k->nr_slots * sizeof(*k->slot_fired));
            memset(k->slot_sent, 0, k->nr_slots * sizeof(*k->slot_sent));
        }
        if (k->nr_stored) {
            memset(k->slot_pasid, 0, k->nr_stored * sizeof(*k->slot_pasid));
            memset(k->slot_expect, 0, k->nr_stored * sizeof(*k->slot_expect));
        }
    }
    s->table_mode = IMS_TD_TABLE_RO;

    s->fire_kind = 0;
    s->fire_first = 0;
    s->fire_count = 0;
    s->sel_kind = 0;
    s->sel_slot = 0;
    s->breach_sel = 0;

    s->cmd_latency = s->cmd_latency_default;
    s->cmd_fail = 0;
    s->cmd_hang = 0;
    s->cmd_done = 0;
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
    };

    return ident[reg / 4];
}

static uint32_t ims_testdev_kinds_read(ImsTestdev *s, hwaddr reg)
{
    uint32_t kind, present = 0;

    for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
        present = deposit32(present, kind, 1, s->kinds[kind].nr_slots != 0);
    }
    return present;
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
    if (s->fire_left) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, reg,
                           value);
        return;
    }
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
    uint32_t kind = (reg - IMS_TD_REG_FIRE_DB(0)) / 4;

    if (ims_testdev_can_fire(s, reg, kind, value, 1)) {
        ims_testdev_fire_slot(s, kind, value);
    }
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
        return ims_testdev_kind_ops[kind].count_pending(s, kind);
    default:
        g_assert_not_reached();
    }
}

static uint32_t ims_testdev_slot_state(ImsTestdev *s, uint32_t kind,
                                       uint32_t slot)
{
    const ImsTestdevKindOps *ops = &ims_testdev_kind_ops[kind];
    uint32_t state = 0;

    if (ops->masked(s, kind, slot)) {
        state |= IMS_TD_SLOT_MASKED;
    }
    if (ops->pending(s, kind, slot)) {
        state |= IMS_TD_SLOT_PENDING;
    }
    if (ops->get_msg(s, kind, slot).address) {
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

/* Of the selected slot, which is one of a store. NULL after a breach */
static uint32_t *ims_testdev_pasid_reg(ImsTestdev *s, hwaddr reg)
{
    uint32_t kind = s->sel_kind;
    uint32_t slot = s->sel_slot;

    if (kind >= IMS_TD_NR_KINDS || !ims_testdev_kind_ops[kind].ctrl) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                           reg, kind);
        return NULL;
    }
    if (slot >= s->kinds[kind].nr_stored) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, kind, slot, 0);
        return NULL;
    }
    return reg == IMS_TD_REG_SLOT_PASID ? &s->kinds[kind].slot_pasid[slot] :
                                          &s->kinds[kind].slot_expect[slot];
}

static uint32_t ims_testdev_pasid_read(ImsTestdev *s, hwaddr reg)
{
    uint32_t *value = ims_testdev_pasid_reg(s, reg);

    return value ? *value : 0;
}

static void ims_testdev_expect_write(ImsTestdev *s, hwaddr reg, uint32_t value)
{
    uint32_t *expect;

    if (value & ~(IMS_TD_PASID_CHECK | IMS_TD_PASID_EN | IMS_TD_PASID)) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, reg,
                           value);
        return;
    }
    expect = ims_testdev_pasid_reg(s, reg);
    if (expect) {
        *expect = value;
    }
}

static void ims_testdev_table_mode_write(ImsTestdev *s, hwaddr reg,
                                         uint32_t value)
{
    if (value > IMS_TD_TABLE_RW) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, reg,
                           value);
        return;
    }
    s->table_mode = value;
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

/* "Slots in memory" */

static void ims_testdev_mem_base_write(ImsTestdev *s, hwaddr reg,
                                       uint32_t value)
{
    *ims_testdev_value(s, reg) = value;
    ims_testdev_store_forget(s, IMS_TD_KIND_MEM);
}

static void ims_testdev_mem_count_write(ImsTestdev *s, hwaddr reg,
                                        uint32_t value)
{
    if (value > s->nr_mem) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                           reg, value);
        return;
    }
    s->mem_count = value;
    ims_testdev_store_forget(s, IMS_TD_KIND_MEM);
}

static void ims_testdev_mem_notify_write(ImsTestdev *s, hwaddr reg,
                                         uint32_t value)
{
    if (value >= s->mem_count) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_KIND_MEM, value,
                           value);
        return;
    }
    s->mem_notify = value;
    ims_testdev_mem_fetch(s, IMS_TD_KIND_MEM, value);
}

/* "The command ring" */

static void ims_testdev_cmd_setup_write(ImsTestdev *s, hwaddr reg,
                                        uint32_t value)
{
    if (ims_testdev_cmd_running(s)) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, reg,
                           value);
        return;
    }
    *ims_testdev_value(s, reg) = value;
}

static bool ims_testdev_cmd_entries_ok(ImsTestdev *s)
{
    return is_power_of_2(s->cmd_entries) &&
           s->cmd_entries >= IMS_TD_CMD_ENTRIES_MIN &&
           s->cmd_entries <= IMS_TD_CMD_ENTRIES_MAX;
}

static void ims_testdev_cmd_ctrl_write(ImsTestdev *s, hwaddr reg,
                                       uint32_t value)
{
    if (value & ~IMS_TD_CMD_CTRL_RUN) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, reg,
                           value);
        return;
    }
    if (value == s->cmd_ctrl) {
        return;
    }
    if (!value) {
        ims_testdev_cmd_stop(s);
        return;
    }
    if (!ims_testdev_cmd_entries_ok(s)) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                           reg, s->cmd_entries);
        return;
    }

    trace_ims_testdev_cmd_start(s->name, s->cmd_entries);
    s->cmd_head = 0;
    s->cmd_tail = 0;
    s->cmd_ctrl = value;
}

static void ims_testdev_cmd_tail_write(ImsTestdev *s, hwaddr reg,
                                       uint32_t value)
{
    if (!ims_testdev_cmd_running(s)) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, reg,
                           value);
        return;
    }
    if (value >= s->cmd_entries) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                           reg, value);
        return;
    }
    s->cmd_tail = value;
    ims_testdev_cmd_kick(s);
}

static uint32_t ims_testdev_cmd_peek_read(ImsTestdev *s, hwaddr reg)
{
    if (s->sel_kind != IMS_TD_KIND_CMD) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_BREACH_KIND_REGS,
                           reg, s->sel_kind);
        return 0;
    }
    if (s->sel_slot >= s->nr_cmd) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_KIND_CMD,
                           s->sel_slot, 0);
        return 0;
    }
    return ims_testdev_store_slot(s, IMS_TD_KIND_CMD, s->sel_slot)->ctrl;
}

/* "The copied message": half of a new one is never sent with half of the old */
static void ims_testdev_copy_valid_write(ImsTestdev *s, hwaddr reg,
                                         uint32_t value)
{
    if (value > 1) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, reg,
                           value);
        return;
    }
    s->copy_valid = value;
    s->copy_msg = (MSIMessage) {};
    if (value) {
        s->copy_msg.address = deposit64(s->copy_addr_lo, 32, 32,
                                        s->copy_addr_hi);
        s->copy_msg.data = s->copy_data;
    }
    trace_ims_testdev_copy(s->name, value, s->copy_msg.address,
                           s->copy_msg.data);
}

#define IMS_TESTDEV_REG_VALUE_CHECKED(_field, _write) { \
    .read = ims_testdev_value_read,                     \
    .write = _write,                                    \
    .offset = offsetof(ImsTestdev, _field),             \
}

#define IMS_TESTDEV_REG_VALUE(_field)                   \
    IMS_TESTDEV_REG_VALUE_CHECKED(_field, ims_testdev_value_write)

#define IMS_TESTDEV_REG_VALUE_RO(_field)                \
    IMS_TESTDEV_REG_VALUE_CHECKED(_field, NULL)

static const ImsTestdevReg ims_testdev_regs[IMS_TD_REGS_SIZE / 4] = {
    [IMS_TD_REG_ID / 4 ... IMS_TD_REG_VERSION / 4] = {
        .read = ims_testdev_ident_read,
    },
    [IMS_TD_REG_KINDS / 4] = {
        .read = ims_testdev_kinds_read,
    },
    [IMS_TD_REG_RESET / 4] = {
        .write = ims_testdev_reset_write,
    },

    [IMS_TD_REG_FIRE_KIND / 4] = IMS_TESTDEV_REG_VALUE(fire_kind),
    [IMS_TD_REG_FIRE_FIRST / 4] = IMS_TESTDEV_REG_VALUE(fire_first),
    [IMS_TD_REG_FIRE_COUNT / 4] = IMS_TESTDEV_REG_VALUE(fire_count),
    [IMS_TD_REG_FIRE / 4] =
        IMS_TESTDEV_REG_VALUE_CHECKED(fire_left, ims_testdev_fire_write),
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

    [IMS_TD_REG_SLOT_PASID / 4] = {
        .read = ims_testdev_pasid_read,
    },
    [IMS_TD_REG_SLOT_EXPECT / 4] = {
        .read = ims_testdev_pasid_read,
        .write = ims_testdev_expect_write,
    },
    [IMS_TD_REG_TABLE_MODE / 4] =
        IMS_TESTDEV_REG_VALUE_CHECKED(table_mode, ims_testdev_table_mode_write),

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

    [IMS_TD_REG_MEM_BASE_LO / 4] =
        IMS_TESTDEV_REG_VALUE_CHECKED(mem_base_lo, ims_testdev_mem_base_write),
    [IMS_TD_REG_MEM_BASE_HI / 4] =
        IMS_TESTDEV_REG_VALUE_CHECKED(mem_base_hi, ims_testdev_mem_base_write),
    [IMS_TD_REG_MEM_COUNT / 4] =
        IMS_TESTDEV_REG_VALUE_CHECKED(mem_count, ims_testdev_mem_count_write),
    [IMS_TD_REG_MEM_NOTIFY / 4] =
        IMS_TESTDEV_REG_VALUE_CHECKED(mem_notify, ims_testdev_mem_notify_write),

    [IMS_TD_REG_CMD_BASE_LO / 4] =
        IMS_TESTDEV_REG_VALUE_CHECKED(cmd_base_lo, ims_testdev_cmd_setup_write),
    [IMS_TD_REG_CMD_BASE_HI / 4] =
        IMS_TESTDEV_REG_VALUE_CHECKED(cmd_base_hi, ims_testdev_cmd_setup_write),
    [IMS_TD_REG_CMD_ENTRIES / 4] =
        IMS_TESTDEV_REG_VALUE_CHECKED(cmd_entries, ims_testdev_cmd_setup_write),
    [IMS_TD_REG_CMD_CTRL / 4] =
        IMS_TESTDEV_REG_VALUE_CHECKED(cmd_ctrl, ims_testdev_cmd_ctrl_write),
    [IMS_TD_REG_CMD_TAIL / 4] =
        IMS_TESTDEV_REG_VALUE_CHECKED(cmd_tail, ims_testdev_cmd_tail_write),
    [IMS_TD_REG_CMD_HEAD / 4] = IMS_TESTDEV_REG_VALUE_RO(cmd_head),
    [IMS_TD_REG_CMD_LATENCY / 4] = IMS_TESTDEV_REG_VALUE(cmd_latency),
    [IMS_TD_REG_CMD_FAIL / 4] = IMS_TESTDEV_REG_VALUE(cmd_fail),
    [IMS_TD_REG_CMD_HANG / 4] = IMS_TESTDEV_REG_VALUE(cmd_hang),
    [IMS_TD_REG_CMD_DONE / 4] = IMS_TESTDEV_REG_VALUE_RO(cmd_done),
    [IMS_TD_REG_CMD_PEEK / 4] = {
        .read = ims_testdev_cmd_peek_read,
    },

    [IMS_TD_REG_COPY_ADDR_LO / 4] = IMS_TESTDEV_REG_VALUE(copy_addr_lo),
    [IMS_TD_REG_COPY_ADDR_HI / 4] = IMS_TESTDEV_REG_VALUE(copy_addr_hi),
    [IMS_TD_REG_COPY_DATA / 4] = IMS_TESTDEV_REG_VALUE(copy_data),
    [IMS_TD_REG_COPY_VALID / 4] =
        IMS_TESTDEV_REG_VALUE_CHECKED(copy_valid, ims_testdev_copy_valid_write),
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
    trace_ims_testdev_reg_read(s->name, addr, value);
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

    trace_ims_testdev_reg_write(s->name, addr, value);
    reg = &ims_testdev_regs[addr / 4];
    if (!reg->write) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_BREACH_KIND_REGS, addr,
                           value);
        return;
    }
    reg->write(s, addr, value);
}

/* "The slot table" */

/* Can send a message, which is the last thing that it does */
static void ims_testdev_table_set_ctrl(ImsTestdev *s, uint32_t slot,
                                       uint32_t value)
{
    bool pending = value & IMS_TD_SLOT_CTRL_PENDING;

    if (s->table_mode == IMS_TD_TABLE_RW) {
        ims_testdev_store_set_pending(s, IMS_TD_KIND_TABLE, slot, pending);
    } else if (s->table_mode == IMS_TD_TABLE_W1C && pending) {
        ims_testdev_store_set_pending(s, IMS_TD_KIND_TABLE, slot, false);
    }
    ims_testdev_store_set_ctrl(s, IMS_TD_KIND_TABLE, slot, value);
}

static uint64_t ims_testdev_table_read(void *opaque, hwaddr addr, unsigned size)
{
    ImsTestdev *s = opaque;
    uint32_t slot = addr / IMS_TD_SLOT_SIZE;
    uint32_t field = addr % IMS_TD_SLOT_SIZE;
    const ImsTestdevSlot *entry;
    uint32_t value;

    if (!ims_testdev_width_ok(addr, size)) {
        ims_testdev_breach(s, IMS_TD_BREACH_WIDTH, IMS_TD_KIND_TABLE, slot,
                           size);
        return UINT64_MAX;
    }
    if (slot >= s->nr_table) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_KIND_TABLE, slot, 0);
        return 0;
    }

    entry = ims_testdev_store_slot(s, IMS_TD_KIND_TABLE, slot);
    switch (field) {
    case IMS_TD_SLOT_ADDR_LO:
        value = extract64(entry->msg.address, 0, 32);
        break;
    case IMS_TD_SLOT_ADDR_HI:
        value = extract64(entry->msg.address, 32, 32);
        break;
    case IMS_TD_SLOT_DATA:
        value = entry->msg.data;
        break;
    default:
        value = entry->ctrl;
        break;
    }
    trace_ims_testdev_table_read(s->name, slot, field, value);
    return value;
}

static void ims_testdev_table_write(void *opaque, hwaddr addr, uint64_t value,
                                    unsigned size)
{
    ImsTestdev *s = opaque;
    uint32_t slot = addr / IMS_TD_SLOT_SIZE;
    uint32_t field = addr % IMS_TD_SLOT_SIZE;
    MSIMessage msg;

    if (!ims_testdev_width_ok(addr, size)) {
        ims_testdev_breach(s, IMS_TD_BREACH_WIDTH, IMS_TD_KIND_TABLE, slot,
                           size);
        return;
    }
    if (slot >= s->nr_table) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_KIND_TABLE, slot,
                           value);
        return;
    }

    trace_ims_testdev_table_write(s->name, slot, field, value);
    msg = ims_testdev_store_get_msg(s, IMS_TD_KIND_TABLE, slot);
    switch (field) {
    case IMS_TD_SLOT_ADDR_LO:
        msg.address = deposit64(msg.address, 0, 32, value);
        break;
    case IMS_TD_SLOT_ADDR_HI:
        msg.address = deposit64(msg.address, 32, 32, value);
        break;
    case IMS_TD_SLOT_DATA:
        msg.data = value;
        break;
    default:
        ims_testdev_table_set_ctrl(s, slot, value);
        return;
    }
    ims_testdev_store_set_msg(s, IMS_TD_KIND_TABLE, slot, msg, value);
}

/* "The wide table" */

/* How wide the field is that a word of a slot belongs to; zero if to none */
static const uint8_t ims_testdev_wide_width[IMS_TD_WIDE_SIZE / 4] = {
    [IMS_TD_WIDE_CTRL / 4] = 4,
    [IMS_TD_WIDE_DATA / 4] = 4,
    [IMS_TD_WIDE_ADDR / 4 ... IMS_TD_WIDE_ADDR / 4 + 1] = 8,
};

/* Is this an access to a field? If not, @bad is what it reads as */
static bool ims_testdev_wide_ok(ImsTestdev *s, hwaddr addr, unsigned size,
                                uint32_t value, uint64_t *bad)
{
    uint32_t slot = addr / IMS_TD_WIDE_SIZE;
    uint8_t width = ims_testdev_wide_width[addr % IMS_TD_WIDE_SIZE / 4];

    *bad = 0;
    if (size < 4 || !QEMU_IS_ALIGNED(addr, size) || (width && size != width)) {
        ims_testdev_breach(s, IMS_TD_BREACH_WIDTH, IMS_TD_KIND_WIDE, slot,
                           size);
        *bad = UINT64_MAX;
        return false;
    }
    if (slot >= s->nr_wide) {
        ims_testdev_breach(s, IMS_TD_BREACH_RANGE, IMS_TD_KIND_WIDE, slot,
                           value);
        return false;
    }
    if (!width) {
        ims_testdev_breach(s, IMS_TD_BREACH_REG, IMS_TD_KIND_WIDE, slot,
                           value);
        return false;
    }
    return true;
}

static uint64_t ims_testdev_wide_read(void *opaque, hwaddr addr, unsigned size)
{
    ImsTestdev *s = opaque;
    uint32_t slot = addr / IMS_TD_WIDE_SIZE;
    uint32_t field = addr % IMS_TD_WIDE_SIZE;
    const ImsTestdevSlot *entry;
    uint64_t value;

    if (!ims_testdev_wide_ok(s, addr, size, 0, &value)) {
        return value;
    }

    entry = ims_testdev_store_slot(s, IMS_TD_KIND_WIDE, slot);
    switch (field) {
    case IMS_TD_WIDE_CTRL:
        value = entry->ctrl;
        break;
    case IMS_TD_WIDE_DATA:
        value = entry->msg.data;
        break;
    default:
        value = s->wide_prepared[slot];
        break;
    }
    trace_ims_testdev_wide_read(s->name, slot, field, value);
    return value;
}

static void ims_testdev_wide_write(void *opaque, hwaddr addr, uint64_t value,
                                   unsigned size)
{
    ImsTestdev *s = opaque;
    uint32_t slot = addr / IMS_TD_WIDE_SIZE;
    uint32_t field = addr % IMS_TD_WIDE_SIZE;
    uint64_t ignored;
    MSIMessage msg;

    if (!ims_testdev_wide_ok(s, addr, size, value, &ignored)) {
        return;
    }

    trace_ims_testdev_wide_write(s->name, slot, field, value);
    switch (field) {
    case IMS_TD_WIDE_CTRL:
        ims_testdev_store_set_ctrl(s, IMS_TD_KIND_WIDE, slot, value);
        break;
    case IMS_TD_WIDE_DATA:
        msg.address = s->wide_prepared[slot];
        msg.data = value;
        ims_testdev_store_set_msg(s, IMS_TD_KIND_WIDE, slot, msg, value);
        break;
    default:
        s->wide_prepared[slot] = value;
        break;
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
    trace_ims_testdev_msix_read(s->name, slot, addr % PCI_MSIX_ENTRY_SIZE,
                                value);
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

    if (!ims_testdev_msix_masked(s, IMS_TD_KIND_MSIX, slot) &&
        pci_get_long(word) != value) {
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

    trace_ims_testdev_msix_write(s->name, slot, addr % PCI_MSIX_ENTRY_SIZE,
                                 value);
    /* In an aligned pair, the control word is the second: nothing follows it */
    ims_testdev_msix_write_word(s, addr, value);
    if (size == 8) {
        ims_testdev_msix_write_word(s, addr + 4, value >> 32);
    }
}

/*
 * "Power": each BAR, and what is in it
 *
 * @bar: number of the BAR
 * @offset: of its region in ImsTestdev
 * @kind: for the breach log
 * @unit: what its addresses are divided by there
 */
static const struct {
    int bar;
    size_t offset;
    uint32_t kind;
    uint32_t unit;
} ims_testdev_bars[] = {
    {
        .bar = IMS_TD_BAR_REGS,
        .offset = offsetof(ImsTestdev, regs_mr),
        .kind = IMS_TD_BREACH_KIND_REGS,
        .unit = 1,
    }, {
        .bar = IMS_TD_BAR_TABLE,
        .offset = offsetof(ImsTestdev, table_mr),
        .kind = IMS_TD_KIND_TABLE,
        .unit = IMS_TD_SLOT_SIZE,
    }, {
        .bar = IMS_TD_BAR_WIDE,
        .offset = offsetof(ImsTestdev, wide_mr),
        .kind = IMS_TD_KIND_WIDE,
        .unit = IMS_TD_WIDE_SIZE,
    }, {
        .bar = IMS_TD_BAR_MSIX,
        .offset = offsetof(ImsTestdev, msix_mr),
        .kind = IMS_TD_KIND_MSIX,
        .unit = PCI_MSIX_ENTRY_SIZE,
    },
};

static MemoryRegion *ims_testdev_bar_mr(ImsTestdev *s, uint32_t i)
{
    return (void *)s + ims_testdev_bars[i].offset;
}

static uint64_t ims_testdev_cover_read(void *opaque, hwaddr addr, unsigned size)
{
    const ImsTestdevCover *cover = opaque;
    uint32_t kind = ims_testdev_bars[cover->index].kind;
    uint32_t where = addr / ims_testdev_bars[cover->index].unit;

    trace_ims_testdev_asleep_read(cover->dev->name, kind, where);
    ims_testdev_breach(cover->dev, IMS_TD_BREACH_POWER, kind, where, 0);
    return UINT64_MAX;
}

static void ims_testdev_cover_write(void *opaque, hwaddr addr, uint64_t value,
                                    unsigned size)
{
    const ImsTestdevCover *cover = opaque;
    uint32_t kind = ims_testdev_bars[cover->index].kind;
    uint32_t where = addr / ims_testdev_bars[cover->index].unit;

    trace_ims_testdev_asleep_write(cover->dev->name, kind, where, value);
    ims_testdev_breach(cover->dev, IMS_TD_BREACH_POWER, kind, where, 0);
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

static const MemoryRegionOps ims_testdev_wide_ops = {
    .read = ims_testdev_wide_read,
    .write = ims_testdev_wide_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = IMS_TESTDEV_ACCESS_ALL,
    .impl = IMS_TESTDEV_ACCESS_ALL,
};

static const MemoryRegionOps ims_testdev_cover_ops = {
    .read = ims_testdev_cover_read,
    .write = ims_testdev_cover_write,
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
        if (ims_testdev_msi_enabled(s, IMS_TD_KIND_MSI, slot) &&
            !ims_testdev_msi_masked(s, IMS_TD_KIND_MSI, slot)) {
            break;
        }
    }
    return slot;
}

/* "Power" */

static void ims_testdev_update_covers(ImsTestdev *s)
{
    bool asleep = ims_testdev_asleep(s);
    uint32_t i;

    memory_region_transaction_begin();
    for (i = 0; i < ARRAY_SIZE(ims_testdev_bars); i++) {
        if (s->covers[i].dev) {
            memory_region_set_enabled(&s->covers[i].mr, asleep);
        }
    }
    memory_region_transaction_commit();
}

/* A state that the device doesn't have is not taken on: PCIe 7.5.2.2 */
static void ims_testdev_power_written(ImsTestdev *s, uint16_t old)
{
    uint16_t new = ims_testdev_power_state(s);

    if (new == old) {
        return;
    }
    switch (new) {
    case IMS_TESTDEV_D0:
        trace_ims_testdev_power(s->name, old, new);
        pci_device_reset(PCI_DEVICE(s));
        break;
    case IMS_TESTDEV_D3HOT:
        trace_ims_testdev_power(s->name, old, new);
        ims_testdev_abandon(s);
        ims_testdev_update_covers(s);
        break;
    default:
        ims_testdev_set_power_state(s, old);
        break;
    }
}

static void ims_testdev_config_write(PCIDevice *dev, uint32_t addr,
                                     uint32_t value, int len)
{
    ImsTestdev *s = IMS_TESTDEV(dev);
    bool was_engaged = ims_testdev_enter(s);
    bool was_in_config = s->in_config;
    uint16_t power = ims_testdev_power_state(s);
    uint32_t live = ims_testdev_msi_first_live(s);
    MSIMessage old = ims_testdev_msi_get_msg(s, IMS_TD_KIND_MSI, 0);
    MSIMessage new;

    s->in_config = true;
    pci_default_write_config(dev, addr, value, len);

    new = ims_testdev_msi_get_msg(s, IMS_TD_KIND_MSI, 0);
    if (live != s->nr_msi &&
        (new.address != old.address || new.data != old.data)) {
        ims_testdev_breach(s, IMS_TD_BREACH_MSG_UNMASKED, IMS_TD_KIND_MSI,
                           live, value);
    }

    s->function_reset = true;
    ims_testdev_power_written(s, power);
    if (dev->exp.exp_cap) {
        pcie_cap_flr_write_config(dev, addr, value, len);
    }
    s->function_reset = false;

    /* A message that comes here again adds to those that this one sends */
    if (!was_in_config) {
        ims_testdev_send_released(s);
    }
    s->in_config = was_in_config;
    ims_testdev_leave(s, was_engaged);
}

static void ims_testdev_reset(DeviceState *qdev)
{
    ImsTestdev *s = IMS_TESTDEV(qdev);

    if (s->function_reset) {
        ims_testdev_forget(s);
    } else {
        ims_testdev_reset_state(s);
    }
    ims_testdev_set_power_state(s, IMS_TESTDEV_D0);
    ims_testdev_update_covers(s);
}

static bool ims_testdev_check_properties(ImsTestdev *s, Error **errp)
{
    const struct {
        const char *name;
        uint32_t value;
        uint32_t min;
        uint32_t max;
    } limits[] = {
        { "slots", s->nr_table, 1, IMS_TESTDEV_SLOTS_MAX },
        { "wide-slots", s->nr_wide, 0, IMS_TESTDEV_MORE_SLOTS_MAX },
        { "mem-slots", s->nr_mem, 0, IMS_TESTDEV_MORE_SLOTS_MAX },
        { "cmd-slots", s->nr_cmd, 0, IMS_TESTDEV_MORE_SLOTS_MAX },
        { "msix-vectors", s->nr_msix, 1, IMS_TESTDEV_MSIX_VECTORS_MAX },
    };
    uint32_t i;

    for (i = 0; i < ARRAY_SIZE(limits); i++) {
        if (limits[i].value < limits[i].min ||
            limits[i].value > limits[i].max) {
            error_setg(errp, "%s must be from %u to %u", limits[i].name,
                       limits[i].min, limits[i].max);
            return false;
        }
    }
    if (!is_power_of_2(s->nr_msi) || s->nr_msi > IMS_TESTDEV_MSI_VECTORS_MAX) {
        error_setg(errp, "msi-vectors must be a power of two from 1 to %d",
                   IMS_TESTDEV_MSI_VECTORS_MAX);
        return false;
    }
    return true;
}

/* PCI PM capability: PCIe 7.5.2 */
static bool ims_testdev_pm_init(PCIDevice *dev, Error **errp)
{
    int pos = pci_add_capability(dev, PCI_CAP_ID_PM, IMS_TESTDEV_PM_CAP,
                                 PCI_PM_SIZEOF, errp);

    if (pos < 0) {
        return false;
    }
    pci_set_word(dev->config + pos + PCI_PM_PMC, PCI_PM_CAP_VER_1_2);
    pci_set_word(dev->wmask + pos + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
    return true;
}

static void ims_testdev_pci_realize(PCIDevice *dev, Error **errp)
{
    ImsTestdev *s = IMS_TESTDEV(dev);
    uint32_t nr_slots[IMS_TD_NR_KINDS] = {
        [IMS_TD_KIND_MSI] = s->nr_msi,
        [IMS_TD_KIND_MSIX] = s->nr_msix,
        [IMS_TD_KIND_TABLE] = s->nr_table,
        [IMS_TD_KIND_WIDE] = s->nr_wide,
        [IMS_TD_KIND_MEM] = s->nr_mem,
        [IMS_TD_KIND_CMD] = s->nr_cmd,
        [IMS_TD_KIND_COPY] = IMS_TD_COPY_SLOTS,
    };
    int i;

    if (!ims_testdev_check_properties(s, errp)) {
        return;
    }
    g_free(s->name);
    s->name = g_strdup(object_get_canonical_path_component(OBJECT(s)));

    if (pci_bus_is_express(pci_get_bus(dev))) {
        if (pcie_endpoint_cap_init(dev, IMS_TESTDEV_PCIE_CAP) < 0) {
            error_setg(errp, "failed to add the PCI Express capability");
            return;
        }
        pcie_cap_flr_init(dev);
    }
    if (!ims_testdev_pm_init(dev, errp)) {
        return;
    }

    memory_region_init_io(&s->regs_mr, OBJECT(s), &ims_testdev_regs_ops, s,
                          "ims-testdev-regs", IMS_TD_REGS_SIZE);
    memory_region_init_io(&s->table_mr, OBJECT(s), &ims_testdev_table_ops, s,
                          "ims-testdev-table",
                          MAX(pow2ceil(s->nr_table * IMS_TD_SLOT_SIZE),
                              4 * KiB));
    if (s->nr_wide) {
        memory_region_init_io(&s->wide_mr, OBJECT(s), &ims_testdev_wide_ops, s,
                              "ims-testdev-wide",
                              MAX(pow2ceil(s->nr_wide * IMS_TD_WIDE_SIZE),
                                  4 * KiB));
    }
    memory_region_init(&s->msix_mr, OBJECT(s), "ims-testdev-msix",
                       IMS_TESTDEV_MSIX_BAR_SIZE);
    memory_region_init_io(&s->msix_table_mr, OBJECT(s), &ims_testdev_msix_ops,
                          s, "ims-testdev-msix-table",
                          s->nr_msix * PCI_MSIX_ENTRY_SIZE);

    if (msi_init(dev, 0, s->nr_msi, s->msi_64bit, s->msi_mask, errp)) {
        return;
    }
    if (s->msi_mask) {
        /* What is pending is state, not what the device is */
        pci_set_long(dev->cmask + ims_testdev_msi_pending_offset(s), 0);
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

    for (i = 0; i < ARRAY_SIZE(ims_testdev_bars); i++) {
        MemoryRegion *mr = ims_testdev_bar_mr(s, i);
        ImsTestdevCover *cover = &s->covers[i];

        if (!memory_region_size(mr)) {
            continue;
        }
        cover->dev = s;
        cover->index = i;
        memory_region_init_io(&cover->mr, OBJECT(s), &ims_testdev_cover_ops,
                              cover, "ims-testdev-asleep",
                              memory_region_size(mr));
        memory_region_set_enabled(&cover->mr, false);
        memory_region_add_subregion_overlap(mr, 0, &cover->mr, 2);
        pci_register_bar(dev, ims_testdev_bars[i].bar,
                         PCI_BASE_ADDRESS_SPACE_MEMORY, mr);
    }

    for (i = 0; i < IMS_TD_NR_KINDS; i++) {
        ImsTestdevKind *k = &s->kinds[i];

        k->nr_slots = nr_slots[i];
        k->slot_fired = g_new0(uint32_t, k->nr_slots);
        k->slot_sent = g_new0(uint32_t, k->nr_slots);
        if (ims_testdev_kind_ops[i].ctrl) {
            k->nr_stored = k->nr_slots;
            k->slots = g_new0(ImsTestdevSlot, k->nr_stored);
            k->slot_pasid = g_new0(uint32_t, k->nr_stored);
            k->slot_expect = g_new0(uint32_t, k->nr_stored);
        }
    }
    s->wide_prepared = g_new0(uint64_t, s->nr_wide);
    timer_init_ns(&s->fire_timer, QEMU_CLOCK_VIRTUAL, ims_testdev_fire_timer,
                  s);
    timer_init_ns(&s->cmd_timer, QEMU_CLOCK_VIRTUAL, ims_testdev_cmd_timer, s);
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
    uint32_t i;

    /* A message can unplug the device: the fires after it find nothing */
    ims_testdev_forget(s);

    for (i = 0; i < ARRAY_SIZE(ims_testdev_bars); i++) {
        if (s->covers[i].dev) {
            memory_region_del_subregion(ims_testdev_bar_mr(s, i),
                                        &s->covers[i].mr);
        }
    }
    memory_region_del_subregion(&s->msix_mr, &s->msix_table_mr);
    msix_uninit(dev, &s->msix_mr, &s->msix_mr);
    msi_uninit(dev);
}

static void ims_testdev_instance_init(Object *obj)
{
    ImsTestdev *s = IMS_TESTDEV(obj);

    /* A hybrid device has to say so itself, and before it is realized */
    PCI_DEVICE(obj)->cap_present |= QEMU_PCI_CAP_EXPRESS;
    QSIMPLEQ_INIT(&s->released);
}

/* Not in exit: a message can unplug the device while it is still at work */
static void ims_testdev_instance_finalize(Object *obj)
{
    ImsTestdev *s = IMS_TESTDEV(obj);
    int i;

    for (i = 0; i < IMS_TD_NR_KINDS; i++) {
        g_free(s->kinds[i].slot_fired);
        g_free(s->kinds[i].slot_sent);
        g_free(s->kinds[i].slots);
        g_free(s->kinds[i].slot_pasid);
        g_free(s->kinds[i].slot_expect);
    }
    g_free(s->wide_prepared);
    g_free(s->name);
}

/* What can't be, whatever software does, is refused */
static int ims_testdev_bad_state(ImsTestdev *s, const char *what)
{
    error_report("%s: the state that is loaded has a wrong %s", s->name, what);
    return -EINVAL;
}

static bool ims_testdev_load_store(ImsTestdev *s, uint32_t kind)
{
    const ImsTestdevCtrl *ctrl = ims_testdev_kind_ops[kind].ctrl;
    ImsTestdevKind *k = &s->kinds[kind];
    uint32_t slot;

    k->pending = 0;
    for (slot = 0; slot < k->nr_stored; slot++) {
        bool pending = ims_testdev_store_pending(s, kind, slot);

        if ((k->slots[slot].ctrl & ~(ctrl->writable | ctrl->pending)) ||
            (pending && !ims_testdev_store_masked(s, kind, slot))) {
            return false;
        }
        k->pending += pending;
    }
    return true;
}

static bool ims_testdev_cmd_state_ok(ImsTestdev *s)
{
    bool running = ims_testdev_cmd_running(s);

    if ((s->cmd_ctrl & ~IMS_TD_CMD_CTRL_RUN) || (s->cmd_stuck && !running)) {
        return false;
    }
    if (running && (!ims_testdev_cmd_entries_ok(s) ||
                    s->cmd_head >= s->cmd_entries ||
                    s->cmd_tail >= s->cmd_entries)) {
        return false;
    }
    return timer_pending(&s->cmd_timer) == ims_testdev_cmd_ready(s);
}

static bool ims_testdev_fire_state_ok(ImsTestdev *s)
{
    uint32_t nr_slots;

    if (timer_pending(&s->fire_timer) != (s->fire_left != 0)) {
        return false;
    }
    if (!s->fire_left) {
        return true;
    }
    if (s->fire_left_kind >= IMS_TD_NR_KINDS || ims_testdev_asleep(s)) {
        return false;
    }
    nr_slots = s->kinds[s->fire_left_kind].nr_slots;
    return s->fire_left_first <= nr_slots &&
           s->fire_left <= nr_slots - s->fire_left_first;
}

static int ims_testdev_post_load(void *opaque, int version_id)
{
    ImsTestdev *s = opaque;
    uint16_t power = ims_testdev_power_state(s);
    uint32_t kind;

    if (power != IMS_TESTDEV_D0 && power != IMS_TESTDEV_D3HOT) {
        return ims_testdev_bad_state(s, "power state");
    }
    if (s->breach_logged > IMS_TD_BREACH_ENTRIES) {
        return ims_testdev_bad_state(s, "BREACH_LOGGED");
    }
    if (s->mem_count > s->nr_mem) {
        return ims_testdev_bad_state(s, "MEM_COUNT");
    }
    if (s->copy_valid > 1) {
        return ims_testdev_bad_state(s, "COPY_VALID");
    }
    if (s->table_mode > IMS_TD_TABLE_RW) {
        return ims_testdev_bad_state(s, "TABLE_MODE");
    }
    if (!ims_testdev_cmd_state_ok(s)) {
        return ims_testdev_bad_state(s, "command ring");
    }
    if (!ims_testdev_fire_state_ok(s)) {
        return ims_testdev_bad_state(s, "range to be fired");
    }
    for (kind = 0; kind < IMS_TD_NR_KINDS; kind++) {
        if (!ims_testdev_load_store(s, kind)) {
            return ims_testdev_bad_state(s, "control word of a slot");
        }
    }

    ims_testdev_update_covers(s);
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

static const VMStateDescription vmstate_ims_testdev_slot = {
    .name = "ims-testdev/slot",
    .version_id = 2,
    .minimum_version_id = 2,
    .fields = (VMStateField[]) {
        VMSTATE_UINT64(msg.address, ImsTestdevSlot),
        VMSTATE_UINT32(msg.data, ImsTestdevSlot),
        VMSTATE_UINT32(ctrl, ImsTestdevSlot),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_ims_testdev_kind = {
    .name = "ims-testdev/kind",
    .version_id = 3,
    .minimum_version_id = 3,
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
        VMSTATE_STRUCT_VARRAY_POINTER_UINT32(slots, ImsTestdevKind, nr_stored,
                                             vmstate_ims_testdev_slot,
                                             ImsTestdevSlot),
        VMSTATE_VARRAY_UINT32(slot_pasid, ImsTestdevKind, nr_stored, 0,
                              vmstate_info_uint32, uint32_t),
        VMSTATE_VARRAY_UINT32(slot_expect, ImsTestdevKind, nr_stored, 0,
                              vmstate_info_uint32, uint32_t),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_ims_testdev = {
    .name = TYPE_IMS_TESTDEV,
    .version_id = 5,
    .minimum_version_id = 5,
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
        VMSTATE_STRUCT_ARRAY(kinds, ImsTestdev, IMS_TD_NR_KINDS, 3,
                             vmstate_ims_testdev_kind, ImsTestdevKind),
        VMSTATE_VARRAY_UINT32(wide_prepared, ImsTestdev, nr_wide, 0,
                              vmstate_info_uint64, uint64_t),
        VMSTATE_UINT32(mem_base_lo, ImsTestdev),
        VMSTATE_UINT32(mem_base_hi, ImsTestdev),
        VMSTATE_UINT32(mem_count, ImsTestdev),
        VMSTATE_UINT32(mem_notify, ImsTestdev),
        VMSTATE_UINT32(cmd_base_lo, ImsTestdev),
        VMSTATE_UINT32(cmd_base_hi, ImsTestdev),
        VMSTATE_UINT32(cmd_entries, ImsTestdev),
        VMSTATE_UINT32(cmd_ctrl, ImsTestdev),
        VMSTATE_UINT32(cmd_tail, ImsTestdev),
        VMSTATE_UINT32(cmd_head, ImsTestdev),
        VMSTATE_UINT32(cmd_latency, ImsTestdev),
        VMSTATE_UINT32(cmd_fail, ImsTestdev),
        VMSTATE_UINT32(cmd_hang, ImsTestdev),
        VMSTATE_UINT32(cmd_done, ImsTestdev),
        VMSTATE_UINT32(copy_addr_lo, ImsTestdev),
        VMSTATE_UINT32(copy_addr_hi, ImsTestdev),
        VMSTATE_UINT32(copy_data, ImsTestdev),
        VMSTATE_UINT32(copy_valid, ImsTestdev),
        VMSTATE_UINT64(copy_msg.address, ImsTestdev),
        VMSTATE_UINT32(copy_msg.data, ImsTestdev),
        VMSTATE_UINT32(fire_left, ImsTestdev),
        VMSTATE_UINT32(fire_left_kind, ImsTestdev),
        VMSTATE_UINT32(fire_left_first, ImsTestdev),
        VMSTATE_UINT32(table_mode, ImsTestdev),
        VMSTATE_TIMER(fire_timer, ImsTestdev),
        VMSTATE_BOOL(cmd_stuck, ImsTestdev),
        VMSTATE_TIMER(cmd_timer, ImsTestdev),
        VMSTATE_UINT32(breach_count, ImsTestdev),
        VMSTATE_UINT32(breach_logged, ImsTestdev),
        VMSTATE_UINT32_ARRAY(breach_by_code, ImsTestdev, IMS_TD_NR_BREACHES),
        VMSTATE_STRUCT_ARRAY(breaches, ImsTestdev, IMS_TD_BREACH_ENTRIES, 1,
                             vmstate_ims_testdev_breach, ImsTestdevBreach),
        VMSTATE_END_OF_LIST()
    }
};

static Property ims_testdev_properties[] = {
    DEFINE_PROP_UINT32("slots", ImsTestdev, nr_table, 2048),
    DEFINE_PROP_UINT32("wide-slots", ImsTestdev, nr_wide, 256),
    DEFINE_PROP_UINT32("mem-slots", ImsTestdev, nr_mem, 1024),
    DEFINE_PROP_UINT32("cmd-slots", ImsTestdev, nr_cmd, 1024),
    DEFINE_PROP_UINT32("cmd-latency-ns", ImsTestdev, cmd_latency_default, 0),
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
