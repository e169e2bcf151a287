/*
 * ims-ntb: one end of a non-transparent bridge (NTB) between two places of one
 * machine, for testing what copies interrupt messages across it
 *
 * docs/specs/ims-ntb.rst is the specification; comments here refer to its
 * sections by their titles.
 *
 * Words used here:
 *
 *   port      one end of the bridge: one instance of the device
 *   peer      the port at the other end
 *   window    a BAR; an access to a port's window leaves the peer as a bus
 *             master
 *   asleep    in D3hot
 *   nested    of an access: made on behalf of an access to a window
 *
 * What holds at any time:
 *
 *   - All state is protected by the big QEMU lock, as are all callbacks.
 *   - ImsNtb::peer is set on both ports or on none, and both point to each
 *     other.
 *   - What comes out of a window, and every message of a port's own, is an
 *     access by a port as a bus master.  It can end up anywhere: in either
 *     port's registers or configuration space, or in the register of a bridge
 *     that takes a port away.  Whatever runs after such an access holds a
 *     reference on the ports that it goes on to use, and looks at
 *     ImsNtb::peer again.
 *   - An access to a window ends at a bus, never in another window of the same
 *     pair: ImsNtb::in_window is set on both meanwhile.  All other ways back
 *     into a port's MMIO are refused by the memory core while it is in the
 *     port's registers; what runs at another time has to engage
 *     ims_ntb_enter().
 *   - While the PCI core deals with an access to configuration space, messages
 *     wait in ImsNtb::released: it walks its vectors then.
 *   - Nothing is sent while a port is being unplugged, as that is half gone
 *     then: ImsNtb::link_timer tells its peer later.
 *   - What one access leads to, here and in other devices, is bounded by
 *     ims-work.h.
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
#include "standard-headers/misc/ims_ntb_regs.h"
#include "ims-work.h"
#include "trace.h"

#define TYPE_IMS_NTB "ims-ntb"
OBJECT_DECLARE_SIMPLE_TYPE(ImsNtb, IMS_NTB)

#define IMS_NTB_PCIE_CAP            0xa0
#define IMS_NTB_PM_CAP              0xe0

/* Values of the power state in the PM capability; D1 and D2 don't exist */
#define IMS_NTB_D0                  0
#define IMS_NTB_D3HOT               3

/* Where things are in the MSI-X BAR, whatever the number of vectors */
#define IMS_NTB_MSIX_PBA            (32 * KiB)
#define IMS_NTB_MSIX_BAR_SIZE       (64 * KiB)
#define IMS_NTB_VECTORS_MAX         (PCI_MSIX_FLAGS_QSIZE + 1)

#define IMS_NTB_WINDOW_MIN          (4 * KiB)
#define IMS_NTB_WINDOW_MAX          (256 * MiB)

/* Where accesses to the peer's window come out */
typedef struct ImsNtbXlat {
    uint64_t addr;
    uint32_t size;
} ImsNtbXlat;

typedef struct ImsNtbWindow {
    ImsNtb *port;
    uint32_t index;
    MemoryRegion mr;
} ImsNtbWindow;

struct ImsNtb {
    PCIDevice parent_obj;

    MemoryRegion regs_mr;
    MemoryRegion msix_mr;
    ImsNtbWindow windows[IMS_NTB_NR_WINDOWS];

    /* For trace events and errors: where the port is in the machine */
    char *name;

    /* Properties */
    char *peer_id;
    uint32_t nr_vectors;
    uint32_t window_size;

    ImsNtb *peer;

    uint32_t link_ctrl;
    uint32_t link_vector;
    uint32_t db_vector;
    uint32_t db;
    uint32_t db_mask;
    uint32_t spads[IMS_NTB_NR_SPADS];
    ImsNtbXlat xlats[IMS_NTB_NR_WINDOWS];

    uint32_t writes;
    uint32_t reads;
    uint32_t errors[IMS_NTB_NR_ERRORS];

    /* Expires to tell that the link went down with the peer */
    QEMUTimer link_timer;

    /* An access to a window of the pair is under way */
    bool in_window;
    /* An access to configuration space is being dealt with */
    bool in_config;
    /* The messages, of type MSIMessage, that wait for its end */
    GArray *released;
};

static const char *const ims_ntb_error_names[IMS_NTB_NR_ERRORS] = {
    [IMS_NTB_ERROR_REG] = "no such register, or wrong width",
    [IMS_NTB_ERROR_LINK] = "link is down",
    [IMS_NTB_ERROR_RANGE] = "beyond the translation",
    [IMS_NTB_ERROR_NESTED] = "nested",
    [IMS_NTB_ERROR_BUS] = "refused by the bus",
};

static void ims_ntb_error(ImsNtb *s, uint32_t reason, uint64_t where)
{
    trace_ims_ntb_error(s->name, ims_ntb_error_names[reason],
                        where);
    if (s->errors[reason] != UINT32_MAX) {
        s->errors[reason]++;
    }
}

/* "Power" */

static uint16_t ims_ntb_power_state(ImsNtb *s)
{
    return pci_get_word(PCI_DEVICE(s)->config + IMS_NTB_PM_CAP + PCI_PM_CTRL) &
           PCI_PM_CTRL_STATE_MASK;
}

static void ims_ntb_set_power_state(ImsNtb *s, uint16_t state)
{
    pci_set_word(PCI_DEVICE(s)->config + IMS_NTB_PM_CAP + PCI_PM_CTRL, state);
}

static bool ims_ntb_asleep(ImsNtb *s)
{
    return ims_ntb_power_state(s) != IMS_NTB_D0;
}

/*
 * For work that begins outside of the port's MMIO: keep what it does on the bus
 * from coming back to the registers, and keep the port alive even if that
 * unplugs it.  Returns what ims_ntb_leave() wants.
 */
static bool ims_ntb_enter(ImsNtb *s)
{
    MemReentrancyGuard *guard = &DEVICE(s)->mem_reentrancy_guard;
    bool was_engaged = guard->engaged_in_io;

    object_ref(OBJECT(s));
    guard->engaged_in_io = true;
    return was_engaged;
}

static void ims_ntb_leave(ImsNtb *s, bool was_engaged)
{
    DEVICE(s)->mem_reentrancy_guard.engaged_in_io = was_engaged;
    object_unref(OBJECT(s));
}

/* "Messages" */

static void ims_ntb_notify(ImsNtb *s, uint32_t vector)
{
    PCIDevice *dev = PCI_DEVICE(s);

    if (vector >= s->nr_vectors || !msix_enabled(dev) || ims_ntb_asleep(s)) {
        return;
    }
    trace_ims_ntb_notify(s->name, vector);
    ims_work_begin();
    if (ims_work_take(1)) {
        msix_notify(dev, vector);
    } else {
        ims_ntb_error(s, IMS_NTB_ERROR_BUS, vector);
    }
    ims_work_end();
}

static void ims_ntb_send_later(PCIDevice *dev, MSIMessage msg)
{
    g_array_append_val(IMS_NTB(dev)->released, msg);
}

/* A vector is released once: what is sent here can't add to it for ever */
static void ims_ntb_send_released(ImsNtb *s)
{
    PCIDevice *dev = PCI_DEVICE(s);
    uint32_t i;

    ims_work_begin();
    for (i = 0; i < s->released->len; i++) {
        if (!DEVICE(s)->realized || ims_ntb_asleep(s)) {
            break;
        }
        if (ims_work_take(1)) {
            dev->msi_trigger(dev, g_array_index(s->released, MSIMessage, i));
        } else {
            ims_ntb_error(s, IMS_NTB_ERROR_BUS, i);
        }
    }
    ims_work_end();
    g_array_set_size(s->released, 0);
}

/* "Link" */

static bool ims_ntb_link_enabled(ImsNtb *s)
{
    return s->link_ctrl & IMS_NTB_LINK_CTRL_ENABLE && !ims_ntb_asleep(s);
}

static bool ims_ntb_link_up(ImsNtb *s)
{
    return s->peer && ims_ntb_link_enabled(s) && ims_ntb_link_enabled(s->peer);
}

static uint32_t ims_ntb_link_status(ImsNtb *s)
{
    uint32_t status = 0;

    if (s->link_ctrl & IMS_NTB_LINK_CTRL_ENABLE) {
        status |= IMS_NTB_LINK_STATUS_ENABLED;
    }
    if (s->peer) {
        status |= IMS_NTB_LINK_STATUS_PRESENT;
        if (ims_ntb_link_enabled(s->peer)) {
            status |= IMS_NTB_LINK_STATUS_PEER;
        }
    }
    if (ims_ntb_link_up(s)) {
        status |= IMS_NTB_LINK_STATUS_UP;
    }
    return status;
}

/* The link was up if @was_up: tell both ports if that has changed */
static void ims_ntb_link_check(ImsNtb *s, bool was_up)
{
    ImsNtb *peer = s->peer;
    bool up = ims_ntb_link_up(s);

    if (up == was_up) {
        return;
    }
    trace_ims_ntb_link(s->name, up);
    ims_work_begin();
    if (peer) {
        object_ref(OBJECT(peer));
    }
    ims_ntb_notify(s, s->link_vector);
    if (peer) {
        ims_ntb_notify(peer, peer->link_vector);
        object_unref(OBJECT(peer));
    }
    ims_work_end();
}

static void ims_ntb_link_timer(void *opaque)
{
    ImsNtb *s = opaque;
    bool was_engaged = ims_ntb_enter(s);

    ims_ntb_notify(s, s->link_vector);
    ims_ntb_leave(s, was_engaged);
}

/* "Doorbells": @reg is one of the port's own */

static uint32_t ims_ntb_db_read(ImsNtb *s, uint32_t reg)
{
    return reg == IMS_NTB_REG_DB ? s->db : s->db_mask;
}

static void ims_ntb_db_write(ImsNtb *s, uint32_t reg, uint32_t bits)
{
    uint32_t rang = s->db & ~s->db_mask;

    switch (reg) {
    case IMS_NTB_REG_DB_SET:
        /* One that rings again is one event more */
        rang &= ~bits;
        s->db |= bits;
        break;
    case IMS_NTB_REG_DB_CLEAR:
        s->db &= ~bits;
        break;
    case IMS_NTB_REG_DB_MASK_SET:
        s->db_mask |= bits;
        break;
    case IMS_NTB_REG_DB_MASK_CLEAR:
        s->db_mask &= ~bits;
        break;
    }
    if (s->db & ~s->db_mask & ~rang) {
        ims_ntb_notify(s, s->db_vector);
    }
}

/* "Registers" */

typedef enum ImsNtbAccess {
    IMS_NTB_READ = 1 << 0,
    IMS_NTB_WRITE = 1 << 1,
} ImsNtbAccess;

/* What can be done to a register, without regard to what it needs; 0: none */
static uint32_t ims_ntb_reg_access(uint32_t reg)
{
    switch (reg) {
    case IMS_NTB_REG_ID:
    case IMS_NTB_REG_VERSION:
    case IMS_NTB_REG_WINDOW_SIZE:
    case IMS_NTB_REG_LINK_STATUS:
    case IMS_NTB_REG_DB:
    case IMS_NTB_REG_DB_MASK:
    case IMS_NTB_REG_PEER_DB:
    case IMS_NTB_REG_PEER_DB_MASK:
    case IMS_NTB_REG_WRITES:
    case IMS_NTB_REG_READS:
    case IMS_NTB_REG_ERRORS(0) ... IMS_NTB_REG_ERRORS(IMS_NTB_NR_ERRORS - 1):
        return IMS_NTB_READ;
    case IMS_NTB_REG_DB_SET:
    case IMS_NTB_REG_DB_CLEAR:
    case IMS_NTB_REG_DB_MASK_SET:
    case IMS_NTB_REG_DB_MASK_CLEAR:
    case IMS_NTB_REG_PEER_DB_SET:
    case IMS_NTB_REG_PEER_DB_CLEAR:
    case IMS_NTB_REG_PEER_DB_MASK_SET:
    case IMS_NTB_REG_PEER_DB_MASK_CLEAR:
    case IMS_NTB_REG_COUNT_CLEAR:
        return IMS_NTB_WRITE;
    case IMS_NTB_REG_XLAT_LO(0) ... IMS_NTB_REG_XLAT_LO(IMS_NTB_NR_WINDOWS) - 4:
        return (reg & 0xf) == 0xc ? 0 : IMS_NTB_READ | IMS_NTB_WRITE;
    case IMS_NTB_REG_LINK_CTRL:
    case IMS_NTB_REG_LINK_VECTOR:
    case IMS_NTB_REG_DB_VECTOR:
    case IMS_NTB_REG_SPAD(0) ... IMS_NTB_REG_SPAD(IMS_NTB_NR_SPADS - 1):
    case IMS_NTB_REG_PEER_SPAD(0) ...
         IMS_NTB_REG_PEER_SPAD(IMS_NTB_NR_SPADS - 1):
        return IMS_NTB_READ | IMS_NTB_WRITE;
    default:
        return 0;
    }
}

static bool ims_ntb_reg_of_peer(uint32_t reg)
{
    return (reg >= IMS_NTB_REG_PEER_DB &&
            reg <= IMS_NTB_REG_PEER_DB_MASK_CLEAR) ||
           reg >= IMS_NTB_REG_PEER_SPAD(0);
}

/* The port that has what an access to @s is about; NULL if there is none */
static ImsNtb *ims_ntb_reg_owner(ImsNtb *s, uint32_t *reg, unsigned size,
                                 ImsNtbAccess access)
{
    if (size != 4 || *reg % 4 || !(ims_ntb_reg_access(*reg) & access)) {
        ims_ntb_error(s, IMS_NTB_ERROR_REG, *reg);
        return NULL;
    }
    if (!ims_ntb_reg_of_peer(*reg)) {
        return s;
    }
    if (!ims_ntb_link_up(s)) {
        ims_ntb_error(s, IMS_NTB_ERROR_LINK, *reg);
        return NULL;
    }
    if (*reg < IMS_NTB_REG_PEER_SPAD(0)) {
        *reg -= IMS_NTB_REG_PEER_DB - IMS_NTB_REG_DB;
    } else {
        *reg -= IMS_NTB_REG_PEER_SPAD(0) - IMS_NTB_REG_SPAD(0);
    }
    return s->peer;
}

static uint32_t ims_ntb_xlat_read(ImsNtb *s, uint32_t reg)
{
    const ImsNtbXlat *xlat = &s->xlats[(reg - IMS_NTB_REG_XLAT_LO(0)) / 0x10];

    switch (reg & 0xf) {
    case 0x0:
        return xlat->addr;
    case 0x4:
        return xlat->addr >> 32;
    default:
        return xlat->size;
    }
}

static void ims_ntb_xlat_write(ImsNtb *s, uint32_t reg, uint32_t value)
{
    ImsNtbXlat *xlat = &s->xlats[(reg - IMS_NTB_REG_XLAT_LO(0)) / 0x10];

    switch (reg & 0xf) {
    case 0x0:
        value &= ~(s->window_size - 1);
        xlat->addr = deposit64(xlat->addr, 0, 32, value);
        break;
    case 0x4:
        xlat->addr = deposit64(xlat->addr, 32, 32, value);
        break;
    default:
        xlat->size = MIN(value, s->window_size);
        break;
    }
}

static uint32_t ims_ntb_reg_read(ImsNtb *s, uint32_t reg)
{
    switch (reg) {
    case IMS_NTB_REG_ID:
        return IMS_NTB_ID;
    case IMS_NTB_REG_VERSION:
        return IMS_NTB_VERSION;
    case IMS_NTB_REG_WINDOW_SIZE:
        return s->window_size;
    case IMS_NTB_REG_LINK_CTRL:
        return s->link_ctrl;
    case IMS_NTB_REG_LINK_STATUS:
        return ims_ntb_link_status(s);
    case IMS_NTB_REG_LINK_VECTOR:
        return s->link_vector;
    case IMS_NTB_REG_DB_VECTOR:
        return s->db_vector;
    case IMS_NTB_REG_DB:
    case IMS_NTB_REG_DB_MASK:
        return ims_ntb_db_read(s, reg);
    case IMS_NTB_REG_WRITES:
        return s->writes;
    case IMS_NTB_REG_READS:
        return s->reads;
    case IMS_NTB_REG_ERRORS(0) ... IMS_NTB_REG_ERRORS(IMS_NTB_NR_ERRORS - 1):
        return s->errors[(reg - IMS_NTB_REG_ERRORS(0)) / 4];
    case IMS_NTB_REG_SPAD(0) ... IMS_NTB_REG_SPAD(IMS_NTB_NR_SPADS - 1):
        return s->spads[(reg - IMS_NTB_REG_SPAD(0)) / 4];
    default:
        return ims_ntb_xlat_read(s, reg);
    }
}

static void ims_ntb_reg_write(ImsNtb *s, uint32_t reg, uint32_t value)
{
    bool was_up;

    switch (reg) {
    case IMS_NTB_REG_LINK_CTRL:
        was_up = ims_ntb_link_up(s);
        s->link_ctrl = value & IMS_NTB_LINK_CTRL_ENABLE;
        ims_ntb_link_check(s, was_up);
        break;
    case IMS_NTB_REG_LINK_VECTOR:
        s->link_vector = value;
        break;
    case IMS_NTB_REG_DB_VECTOR:
        s->db_vector = value;
        break;
    case IMS_NTB_REG_DB_SET:
    case IMS_NTB_REG_DB_CLEAR:
    case IMS_NTB_REG_DB_MASK_SET:
    case IMS_NTB_REG_DB_MASK_CLEAR:
        ims_ntb_db_write(s, reg, value);
        break;
    case IMS_NTB_REG_COUNT_CLEAR:
        if (value & 1) {
            s->writes = 0;
            s->reads = 0;
            memset(s->errors, 0, sizeof(s->errors));
        }
        break;
    case IMS_NTB_REG_SPAD(0) ... IMS_NTB_REG_SPAD(IMS_NTB_NR_SPADS - 1):
        s->spads[(reg - IMS_NTB_REG_SPAD(0)) / 4] = value;
        break;
    default:
        ims_ntb_xlat_write(s, reg, value);
        break;
    }
}

static uint64_t ims_ntb_regs_read(void *opaque, hwaddr addr, unsigned size)
{
    ImsNtb *s = opaque, *owner;
    uint32_t reg = addr, value = UINT32_MAX;

    if (ims_ntb_asleep(s)) {
        return UINT64_MAX;
    }
    owner = ims_ntb_reg_owner(s, &reg, size, IMS_NTB_READ);
    if (owner) {
        value = ims_ntb_reg_read(owner, reg);
    }
    trace_ims_ntb_reg_read(s->name, addr, value);
    return owner ? value : UINT64_MAX;
}

static void ims_ntb_regs_write(void *opaque, hwaddr addr, uint64_t value,
                               unsigned size)
{
    ImsNtb *s = opaque, *owner;
    uint32_t reg = addr;

    if (ims_ntb_asleep(s)) {
        return;
    }
    trace_ims_ntb_reg_write(s->name, addr, value);
    owner = ims_ntb_reg_owner(s, &reg, size, IMS_NTB_WRITE);
    if (owner) {
        object_ref(OBJECT(owner));
        ims_ntb_reg_write(owner, reg, value);
        object_unref(OBJECT(owner));
    }
}

/* "Windows" */

/* The bytes of an access to a window, on the bus that the peer is on */
static MemTxResult ims_ntb_through(ImsNtbWindow *window, hwaddr offset,
                                   uint8_t *buf, unsigned size,
                                   DMADirection dir)
{
    ImsNtb *s = window->port, *peer = s->peer;
    const ImsNtbXlat *xlat;
    MemTxResult result = MEMTX_ERROR;
    MemTxAttrs attrs = {};

    if (s->in_window) {
        ims_ntb_error(s, IMS_NTB_ERROR_NESTED, offset);
        return MEMTX_ERROR;
    }
    if (!ims_ntb_link_up(s)) {
        ims_ntb_error(s, IMS_NTB_ERROR_LINK, offset);
        return MEMTX_ERROR;
    }
    xlat = &peer->xlats[window->index];
    if (offset + size > xlat->size) {
        ims_ntb_error(s, IMS_NTB_ERROR_RANGE, offset);
        return MEMTX_ERROR;
    }

    object_ref(OBJECT(s));
    object_ref(OBJECT(peer));
    s->in_window = true;
    peer->in_window = true;

    /* The requester id is what an IOMMU goes by */
    attrs.requester_id = pci_requester_id(PCI_DEVICE(peer));
    ims_work_begin();
    if (ims_work_take(1)) {
        result = pci_dma_rw(PCI_DEVICE(peer), xlat->addr + offset, buf, size,
                            dir, attrs);
    }
    ims_work_end();
    trace_ims_ntb_through(s->name,
                          dir == DMA_DIRECTION_TO_DEVICE ? "read" : "write",
                          window->index, offset, size, result);
    if (result != MEMTX_OK) {
        ims_ntb_error(s, IMS_NTB_ERROR_BUS, offset);
    } else if (dir == DMA_DIRECTION_TO_DEVICE) {
        s->reads++;
    } else {
        s->writes++;
    }

    peer->in_window = false;
    s->in_window = false;
    object_unref(OBJECT(peer));
    object_unref(OBJECT(s));
    return result;
}

static uint64_t ims_ntb_window_read(void *opaque, hwaddr addr, unsigned size)
{
    ImsNtbWindow *window = opaque;
    uint8_t buf[8] = {};

    if (ims_ntb_asleep(window->port) ||
        ims_ntb_through(window, addr, buf, size,
                        DMA_DIRECTION_TO_DEVICE) != MEMTX_OK) {
        return UINT64_MAX;
    }
    return ldn_le_p(buf, size);
}

static void ims_ntb_window_write(void *opaque, hwaddr addr, uint64_t value,
                                 unsigned size)
{
    ImsNtbWindow *window = opaque;
    uint8_t buf[8];

    if (!ims_ntb_asleep(window->port)) {
        stn_le_p(buf, size, value);
        ims_ntb_through(window, addr, buf, size, DMA_DIRECTION_FROM_DEVICE);
    }
}

/* Every access arrives as it is, to be judged here */
#define IMS_NTB_ACCESS_ALL {                    \
    .min_access_size = 1,                       \
    .max_access_size = 8,                       \
    .unaligned = true,                          \
}

static const MemoryRegionOps ims_ntb_regs_ops = {
    .read = ims_ntb_regs_read,
    .write = ims_ntb_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = IMS_NTB_ACCESS_ALL,
    .impl = IMS_NTB_ACCESS_ALL,
};

static const MemoryRegionOps ims_ntb_window_ops = {
    .read = ims_ntb_window_read,
    .write = ims_ntb_window_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = IMS_NTB_ACCESS_ALL,
    .impl = IMS_NTB_ACCESS_ALL,
};

/* "Reset and power" */

static void ims_ntb_reset_state(ImsNtb *s)
{
    timer_del(&s->link_timer);
    g_array_set_size(s->released, 0);
    s->link_ctrl = 0;
    s->link_vector = 0;
    s->db_vector = 0;
    s->db = 0;
    s->db_mask = UINT32_MAX;
    memset(s->spads, 0, sizeof(s->spads));
    memset(s->xlats, 0, sizeof(s->xlats));
    s->writes = 0;
    s->reads = 0;
    memset(s->errors, 0, sizeof(s->errors));
}

/*
 * Sends nothing: the PCI core goes on with a device that it resets, and when
 * the whole machine is reset, nobody is there to be told.
 */
static void ims_ntb_reset(DeviceState *qdev)
{
    ImsNtb *s = IMS_NTB(qdev);

    trace_ims_ntb_reset(s->name);
    ims_ntb_reset_state(s);
    ims_ntb_set_power_state(s, IMS_NTB_D0);
}

/* A state that the device doesn't have is not taken on: PCIe 7.5.2.2 */
static void ims_ntb_power_written(ImsNtb *s, uint16_t old)
{
    uint16_t new = ims_ntb_power_state(s);

    if (new == old) {
        return;
    }
    if (new != IMS_NTB_D0 && new != IMS_NTB_D3HOT) {
        ims_ntb_set_power_state(s, old);
        return;
    }
    trace_ims_ntb_power(s->name, old, new);
    if (new == IMS_NTB_D0) {
        pci_device_reset(PCI_DEVICE(s));
    }
}

static void ims_ntb_config_write(PCIDevice *dev, uint32_t addr, uint32_t value,
                                 int len)
{
    ImsNtb *s = IMS_NTB(dev);
    bool was_engaged = ims_ntb_enter(s);
    bool was_in_config = s->in_config;
    uint16_t power = ims_ntb_power_state(s);
    bool was_up = ims_ntb_link_up(s);
    MSITriggerFunc *trigger = dev->msi_trigger;

    s->in_config = true;
    dev->msi_trigger = ims_ntb_send_later;
    pci_default_write_config(dev, addr, value, len);
    dev->msi_trigger = trigger;

    ims_ntb_power_written(s, power);
    if (dev->exp.exp_cap) {
        pcie_cap_flr_write_config(dev, addr, value, len);
    }

    ims_work_begin();
    ims_ntb_link_check(s, was_up);
    /* A message that comes here again adds to those that this one sends */
    if (!was_in_config) {
        ims_ntb_send_released(s);
    }
    ims_work_end();
    s->in_config = was_in_config;
    ims_ntb_leave(s, was_engaged);
}

static bool ims_ntb_check_properties(ImsNtb *s, Error **errp)
{
    if (!s->nr_vectors || s->nr_vectors > IMS_NTB_VECTORS_MAX) {
        error_setg(errp, "vectors must be from 1 to %d", IMS_NTB_VECTORS_MAX);
        return false;
    }
    if (!is_power_of_2(s->window_size) ||
        s->window_size < IMS_NTB_WINDOW_MIN ||
        s->window_size > IMS_NTB_WINDOW_MAX) {
        error_setg(errp, "window-size must be a power of two from %u to %u",
                   (unsigned)IMS_NTB_WINDOW_MIN, (unsigned)IMS_NTB_WINDOW_MAX);
        return false;
    }
    return true;
}

/* The port that the property names. Only to be called if it names one. */
static ImsNtb *ims_ntb_find_peer(ImsNtb *s, Error **errp)
{
    bool ambiguous = false;
    Object *obj = object_resolve_path_type(s->peer_id, TYPE_IMS_NTB,
                                           &ambiguous);
    ImsNtb *peer;

    if (!obj) {
        error_setg(errp, "peer '%s' is %s", s->peer_id,
                   ambiguous ? "ambiguous" : "no ims-ntb that is there yet");
        return NULL;
    }
    peer = IMS_NTB(obj);
    if (peer == s) {
        error_setg(errp, "peer '%s' is the device itself", s->peer_id);
        return NULL;
    }
    if (!DEVICE(peer)->realized) {
        error_setg(errp, "peer '%s' is not realized", s->peer_id);
        return NULL;
    }
    if (peer->peer) {
        error_setg(errp, "peer '%s' has a peer already", s->peer_id);
        return NULL;
    }
    if (peer->window_size != s->window_size) {
        error_setg(errp, "peer '%s' has another window-size", s->peer_id);
        return NULL;
    }
    return peer;
}

/* PCI PM capability: PCIe 7.5.2 */
static bool ims_ntb_pm_init(PCIDevice *dev, Error **errp)
{
    int pos = pci_add_capability(dev, PCI_CAP_ID_PM, IMS_NTB_PM_CAP,
                                 PCI_PM_SIZEOF, errp);

    if (pos < 0) {
        return false;
    }
    pci_set_word(dev->config + pos + PCI_PM_PMC, PCI_PM_CAP_VER_1_2);
    pci_set_word(dev->wmask + pos + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
    return true;
}

static void ims_ntb_realize(PCIDevice *dev, Error **errp)
{
    ImsNtb *s = IMS_NTB(dev), *peer = NULL;
    uint32_t i;

    if (!ims_ntb_check_properties(s, errp)) {
        return;
    }
    g_free(s->name);
    s->name = g_strdup(object_get_canonical_path_component(OBJECT(s)));
    if (s->peer_id && *s->peer_id) {
        peer = ims_ntb_find_peer(s, errp);
        if (!peer) {
            return;
        }
    }

    if (pci_bus_is_express(pci_get_bus(dev))) {
        if (pcie_endpoint_cap_init(dev, IMS_NTB_PCIE_CAP) < 0) {
            error_setg(errp, "failed to add the PCI Express capability");
            return;
        }
        pcie_cap_flr_init(dev);
    }
    if (!ims_ntb_pm_init(dev, errp)) {
        return;
    }

    memory_region_init(&s->msix_mr, OBJECT(s), "ims-ntb-msix",
                       IMS_NTB_MSIX_BAR_SIZE);
    if (msix_init(dev, s->nr_vectors, &s->msix_mr, IMS_NTB_BAR_MSIX, 0,
                  &s->msix_mr, IMS_NTB_BAR_MSIX, IMS_NTB_MSIX_PBA, 0, errp)) {
        return;
    }
    for (i = 0; i < s->nr_vectors; i++) {
        msix_vector_use(dev, i);
    }
    pci_register_bar(dev, IMS_NTB_BAR_MSIX, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->msix_mr);

    memory_region_init_io(&s->regs_mr, OBJECT(s), &ims_ntb_regs_ops, s,
                          "ims-ntb-regs", IMS_NTB_REGS_SIZE);
    pci_register_bar(dev, IMS_NTB_BAR_REGS, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->regs_mr);

    for (i = 0; i < IMS_NTB_NR_WINDOWS; i++) {
        ImsNtbWindow *window = &s->windows[i];

        window->port = s;
        window->index = i;
        memory_region_init_io(&window->mr, OBJECT(s), &ims_ntb_window_ops,
                              window, "ims-ntb-window", s->window_size);
        /* ims_ntb_through() refuses what comes back here, and counts it */
        window->mr.disable_reentrancy_guard = true;
        pci_register_bar(dev, IMS_NTB_BAR_WINDOW(i),
                         PCI_BASE_ADDRESS_SPACE_MEMORY, &window->mr);
    }

    timer_init_ns(&s->link_timer, QEMU_CLOCK_VIRTUAL, ims_ntb_link_timer, s);
    ims_ntb_reset_state(s);
    if (peer) {
        s->peer = peer;
        peer->peer = s;
    }
}

static void ims_ntb_exit(PCIDevice *dev)
{
    ImsNtb *s = IMS_NTB(dev), *peer = s->peer;
    bool was_up = ims_ntb_link_up(s);

    timer_del(&s->link_timer);
    s->peer = NULL;
    if (peer) {
        peer->peer = NULL;
    }
    if (was_up) {
        trace_ims_ntb_link(s->name, false);
        timer_mod(&peer->link_timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL));
    }
    msix_uninit(dev, &s->msix_mr, &s->msix_mr);
}

/* What can't be, whatever software does, is refused */
static int ims_ntb_bad_state(ImsNtb *s, const char *what)
{
    error_report("%s: the state that is loaded has a wrong %s", s->name, what);
    return -EINVAL;
}

static int ims_ntb_post_load(void *opaque, int version_id)
{
    ImsNtb *s = opaque;
    uint16_t power = ims_ntb_power_state(s);
    uint32_t i;

    if (power != IMS_NTB_D0 && power != IMS_NTB_D3HOT) {
        return ims_ntb_bad_state(s, "power state");
    }
    if (s->link_ctrl & ~IMS_NTB_LINK_CTRL_ENABLE) {
        return ims_ntb_bad_state(s, "LINK_CTRL");
    }
    for (i = 0; i < IMS_NTB_NR_WINDOWS; i++) {
        if (s->xlats[i].size > s->window_size ||
            s->xlats[i].addr & (s->window_size - 1)) {
            return ims_ntb_bad_state(s, "translation of a window");
        }
    }
    return 0;
}

static const VMStateDescription vmstate_ims_ntb_xlat = {
    .name = "ims-ntb/xlat",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_UINT64(addr, ImsNtbXlat),
        VMSTATE_UINT32(size, ImsNtbXlat),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_ims_ntb = {
    .name = TYPE_IMS_NTB,
    .version_id = 2,
    .minimum_version_id = 2,
    .post_load = ims_ntb_post_load,
    .fields = (VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, ImsNtb),
        VMSTATE_MSIX(parent_obj, ImsNtb),
        VMSTATE_UINT32(link_ctrl, ImsNtb),
        VMSTATE_UINT32(link_vector, ImsNtb),
        VMSTATE_UINT32(db_vector, ImsNtb),
        VMSTATE_UINT32(db, ImsNtb),
        VMSTATE_UINT32(db_mask, ImsNtb),
        VMSTATE_UINT32_ARRAY(spads, ImsNtb, IMS_NTB_NR_SPADS),
        VMSTATE_STRUCT_ARRAY(xlats, ImsNtb, IMS_NTB_NR_WINDOWS, 1,
                             vmstate_ims_ntb_xlat, ImsNtbXlat),
        VMSTATE_UINT32(writes, ImsNtb),
        VMSTATE_UINT32(reads, ImsNtb),
        VMSTATE_UINT32_ARRAY(errors, ImsNtb, IMS_NTB_NR_ERRORS),
        VMSTATE_TIMER(link_timer, ImsNtb),
        VMSTATE_END_OF_LIST()
    }
};

static Property ims_ntb_properties[] = {
    DEFINE_PROP_STRING("peer", ImsNtb, peer_id),
    DEFINE_PROP_UINT32("vectors", ImsNtb, nr_vectors, 32),
    DEFINE_PROP_SIZE32("window-size", ImsNtb, window_size, 4 * MiB),
    DEFINE_PROP_END_OF_LIST(),
};

static void ims_ntb_instance_init(Object *obj)
{
    /* A hybrid device has to say so itself, and before it is realized */
    PCI_DEVICE(obj)->cap_present |= QEMU_PCI_CAP_EXPRESS;
    IMS_NTB(obj)->released = g_array_new(FALSE, FALSE, sizeof(MSIMessage));
}

/* Not in exit: a message can unplug the port while it is still at work */
static void ims_ntb_instance_finalize(Object *obj)
{
    ImsNtb *s = IMS_NTB(obj);

    g_array_free(s->released, TRUE);
    g_free(s->name);
}

static void ims_ntb_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);

    device_class_set_props(dc, ims_ntb_properties);
    dc->desc = "Port of a non-transparent bridge for tests";
    dc->reset = ims_ntb_reset;
    dc->vmsd = &vmstate_ims_ntb;
    set_bit(DEVICE_CATEGORY_BRIDGE, dc->categories);

    k->realize = ims_ntb_realize;
    k->exit = ims_ntb_exit;
    k->config_write = ims_ntb_config_write;
    k->vendor_id = IMS_NTB_PCI_VENDOR;
    k->device_id = IMS_NTB_PCI_DEVICE;
    k->revision = IMS_NTB_VERSION >> 16;
    k->class_id = PCI_CLASS_BRIDGE_OTHER;
}

static const TypeInfo ims_ntb_info = {
    .name = TYPE_IMS_NTB,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(ImsNtb),
    .instance_init = ims_ntb_instance_init,
    .instance_finalize = ims_ntb_instance_finalize,
    .class_init = ims_ntb_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { },
    },
};

static void ims_ntb_register_types(void)
{
    type_register_static(&ims_ntb_info);
}
type_init(ims_ntb_register_types)
