/*
 * ims-platform: a device of the system bus that keeps interrupt messages, and
 * judges how software handles them
 *
 * docs/specs/ims-platform.rst is the specification; comments here refer to its
 * sections by their titles.  Words are those of ims-testdev.rst.
 *
 * What holds at any time:
 *
 *   - All state is protected by the big QEMU lock, as are all callbacks.
 *   - Every message leaves through ims_platform_send(), while one of the device's
 *     registers is accessed.  It can end up anywhere but in these: the memory
 *     core's reentrancy guard refuses that.  So nothing else changes the device's
 *     state meanwhile.
 *   - What one access leads to, here and in other devices, is bounded by
 *     ims-work.h.
 *
 * This work is licensed under the terms of the GNU GPL, version 2 or later.
 * See the COPYING file in the top-level directory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/module.h"
#include "exec/address-spaces.h"
#include "hw/misc/ims-platform.h"
#include "hw/qdev-properties.h"
#include "hw/sysbus.h"
#include "migration/vmstate.h"
#include "qom/object.h"
#include "standard-headers/misc/ims_platform_regs.h"
#include "ims-work.h"
#include "trace.h"

OBJECT_DECLARE_SIMPLE_TYPE(ImsPlatform, IMS_PLATFORM)

typedef struct ImsPlatformSlot {
    uint64_t addr;
    uint32_t data;
    /* As software sees it; always 0 of a slot without a mask bit */
    uint32_t ctrl;
    uint32_t sent;
    /* The address has been written, the data that goes with it not yet */
    bool half;
} ImsPlatformSlot;

struct ImsPlatform {
    SysBusDevice parent_obj;

    MemoryRegion mr;

    /* For trace events */
    char *name;

    /* Property */
    uint16_t device_id;

    ImsPlatformSlot slots[IMS_PLAT_NR_SLOTS];

    /* Registers from IMS_PLAT_REG_FIRED on */
    uint32_t counts[IMS_PLAT_NR_COUNTS];
    uint32_t breach_count;
    uint32_t breach_by_code[IMS_TD_NR_BREACHES];
};

#define IMS_PLATFORM_COUNT(s, reg) \
    (&(s)->counts[((reg) - IMS_PLAT_REG_FIRED) / 4])

static void ims_platform_count(uint32_t *count)
{
    if (*count != UINT32_MAX) {
        (*count)++;
    }
}

/* "Breaches" */
static void ims_platform_breach(ImsPlatform *s, uint32_t code, uint32_t where,
                                uint32_t value)
{
    trace_ims_platform_breach(s->name, code, where, value);
    ims_platform_count(&s->breach_count);
    ims_platform_count(&s->breach_by_code[code]);
}

static bool ims_platform_has_msg(const ImsPlatformSlot *slot)
{
    return slot->addr && !slot->half;
}

/* "Messages" */
static void ims_platform_send(ImsPlatform *s, uint32_t n)
{
    ImsPlatformSlot *slot = &s->slots[n];
    MemTxAttrs attrs = { .requester_id = s->device_id };
    MemTxResult result = MEMTX_DECODE_ERROR;

    if (!ims_platform_has_msg(slot)) {
        ims_platform_breach(s, IMS_TD_BREACH_NO_MSG, n, 0);
        return;
    }

    ims_work_begin();
    if (QEMU_IS_ALIGNED(slot->addr, 4) && ims_work_take(1)) {
        address_space_stl_le(&address_space_memory, slot->addr, slot->data,
                             attrs, &result);
    }
    ims_work_end();

    trace_ims_platform_send(s->name, n, slot->addr, slot->data, result);
    if (result == MEMTX_OK) {
        ims_platform_count(IMS_PLATFORM_COUNT(s, IMS_PLAT_REG_SENT));
        ims_platform_count(&slot->sent);
    } else {
        ims_platform_breach(s, IMS_TD_BREACH_BUS, n, slot->data);
    }
}

/* "Firing" */
static void ims_platform_fire(ImsPlatform *s, uint32_t n)
{
    ImsPlatformSlot *slot;

    if (n >= IMS_PLAT_NR_SLOTS) {
        ims_platform_breach(s, IMS_TD_BREACH_RANGE, IMS_PLAT_REG_FIRE, n);
        return;
    }
    slot = &s->slots[n];
    ims_platform_count(IMS_PLATFORM_COUNT(s, IMS_PLAT_REG_FIRED));
    if (!(slot->ctrl & IMS_TD_SLOT_CTRL_MASK)) {
        ims_platform_send(s, n);
        return;
    }
    ims_platform_count(IMS_PLATFORM_COUNT(s, IMS_PLAT_REG_HELD));
    if (slot->ctrl & IMS_TD_SLOT_CTRL_PENDING) {
        ims_platform_count(IMS_PLATFORM_COUNT(s, IMS_PLAT_REG_MERGED));
    }
    slot->ctrl |= IMS_TD_SLOT_CTRL_PENDING;
}

static uint32_t ims_platform_pending(ImsPlatform *s)
{
    uint32_t i, n = 0;

    for (i = 0; i < IMS_PLAT_NR_SLOTS; i++) {
        n += !!(s->slots[i].ctrl & IMS_TD_SLOT_CTRL_PENDING);
    }
    return n;
}

/* "Slots" */

static uint32_t ims_platform_slot_read(ImsPlatform *s, hwaddr offset)
{
    const ImsPlatformSlot *slot = &s->slots[offset / IMS_TD_SLOT_SIZE];

    switch (offset % IMS_TD_SLOT_SIZE) {
    case IMS_TD_SLOT_ADDR_LO:
        return slot->addr;
    case IMS_TD_SLOT_ADDR_HI:
        return slot->addr >> 32;
    case IMS_TD_SLOT_DATA:
        return slot->data;
    default:
        return slot->ctrl;
    }
}

static void ims_platform_ctrl_write(ImsPlatform *s, uint32_t n, uint32_t value)
{
    ImsPlatformSlot *slot = &s->slots[n];
    uint32_t pending = slot->ctrl & ~value & IMS_TD_SLOT_CTRL_PENDING;

    if (n < IMS_PLAT_NR_PLAIN) {
        return;
    }
    if (value & IMS_TD_SLOT_CTRL_MASK) {
        slot->ctrl = pending | IMS_TD_SLOT_CTRL_MASK;
        return;
    }
    slot->ctrl = 0;
    if (pending) {
        ims_platform_send(s, n);
    }
}

static void ims_platform_slot_write(ImsPlatform *s, hwaddr offset, uint32_t value)
{
    uint32_t n = offset / IMS_TD_SLOT_SIZE, field = offset % IMS_TD_SLOT_SIZE;
    ImsPlatformSlot *slot = &s->slots[n];
    bool ok = slot->ctrl & IMS_TD_SLOT_CTRL_MASK;

    if (field == IMS_TD_SLOT_CTRL) {
        ims_platform_ctrl_write(s, n, value);
        return;
    }
    if (n < IMS_PLAT_NR_PLAIN) {
        ok = !ims_platform_has_msg(slot) ||
             (!value && field != IMS_TD_SLOT_DATA);
    }
    if (ims_platform_slot_read(s, offset) != value) {
        if (!ok) {
            ims_platform_breach(s, IMS_TD_BREACH_MSG_UNMASKED, n, value);
        }
        slot->half = true;
    }
    switch (field) {
    case IMS_TD_SLOT_ADDR_LO:
        slot->addr = deposit64(slot->addr, 0, 32, value);
        break;
    case IMS_TD_SLOT_ADDR_HI:
        slot->addr = deposit64(slot->addr, 32, 32, value);
        break;
    default:
        slot->data = value;
        slot->half = false;
        break;
    }
}

/* "Registers" */

static void ims_platform_forget(ImsPlatform *s)
{
    uint32_t i;

    trace_ims_platform_reset(s->name);
    memset(s->slots, 0, sizeof(s->slots));
    for (i = IMS_PLAT_NR_PLAIN; i < IMS_PLAT_NR_SLOTS; i++) {
        s->slots[i].ctrl = IMS_TD_SLOT_CTRL_MASK;
    }
    memset(s->counts, 0, sizeof(s->counts));
    s->breach_count = 0;
    memset(s->breach_by_code, 0, sizeof(s->breach_by_code));
}

static bool ims_platform_width_ok(ImsPlatform *s, hwaddr addr, unsigned size)
{
    if (size == 4 && QEMU_IS_ALIGNED(addr, 4)) {
        return true;
    }
    ims_platform_breach(s, IMS_TD_BREACH_WIDTH, addr, size);
    return false;
}

static uint64_t ims_platform_read(void *opaque, hwaddr addr, unsigned size)
{
    ImsPlatform *s = opaque;

    if (!ims_platform_width_ok(s, addr, size)) {
        return UINT64_MAX;
    }
    switch (addr) {
    case IMS_PLAT_REG_ID:
        return IMS_PLAT_ID;
    case IMS_PLAT_REG_VERSION:
        return IMS_PLAT_VERSION;
    case IMS_PLAT_REG_FIRED ... IMS_PLAT_REG_MERGED:
        return *IMS_PLATFORM_COUNT(s, addr);
    case IMS_PLAT_REG_PENDING:
        return ims_platform_pending(s);
    case IMS_PLAT_REG_SLOT_SENT(0) ... IMS_PLAT_REG_SLOT_SENT(IMS_PLAT_NR_SLOTS - 1):
        return s->slots[(addr - IMS_PLAT_REG_SLOT_SENT(0)) / 4].sent;
    case IMS_PLAT_REG_BREACH_COUNT:
        return s->breach_count;
    case IMS_PLAT_REG_BREACH_BY_CODE(0) ...
         IMS_PLAT_REG_BREACH_BY_CODE(IMS_TD_NR_BREACHES - 1):
        return s->breach_by_code[(addr - IMS_PLAT_REG_BREACH_BY_CODE(0)) / 4];
    case IMS_PLAT_SLOT(0) ... IMS_PLAT_SLOT(IMS_PLAT_NR_SLOTS) - 1:
        return ims_platform_slot_read(s, addr - IMS_PLAT_SLOT(0));
    default:
        ims_platform_breach(s, IMS_TD_BREACH_REG, addr, 0);
        return 0;
    }
}

static void ims_platform_write(void *opaque, hwaddr addr, uint64_t value,
                               unsigned size)
{
    ImsPlatform *s = opaque;

    trace_ims_platform_write(s->name, addr, value, size);
    if (!ims_platform_width_ok(s, addr, size)) {
        return;
    }
    switch (addr) {
    case IMS_PLAT_REG_RESET:
        if (value & 1) {
            ims_platform_forget(s);
        }
        break;
    case IMS_PLAT_REG_FIRE:
        ims_platform_fire(s, value);
        break;
    case IMS_PLAT_SLOT(0) ... IMS_PLAT_SLOT(IMS_PLAT_NR_SLOTS) - 1:
        ims_platform_slot_write(s, addr - IMS_PLAT_SLOT(0), value);
        break;
    default:
        ims_platform_breach(s, IMS_TD_BREACH_REG, addr, value);
        break;
    }
}

static const MemoryRegionOps ims_platform_ops = {
    .read = ims_platform_read,
    .write = ims_platform_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    /* Every access arrives as it is, to be judged here */
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
};

static void ims_platform_reset(DeviceState *dev)
{
    ims_platform_forget(IMS_PLATFORM(dev));
}

static void ims_platform_realize(DeviceState *dev, Error **errp)
{
    ImsPlatform *s = IMS_PLATFORM(dev);

    s->name = g_strdup(object_get_canonical_path_component(OBJECT(s)));
    memory_region_init_io(&s->mr, OBJECT(s), &ims_platform_ops, s,
                          TYPE_IMS_PLATFORM, IMS_PLAT_SIZE);
    sysbus_init_mmio(SYS_BUS_DEVICE(dev), &s->mr);
}

static void ims_platform_instance_finalize(Object *obj)
{
    g_free(IMS_PLATFORM(obj)->name);
}

static const VMStateDescription vmstate_ims_platform_slot = {
    .name = TYPE_IMS_PLATFORM "-slot",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_UINT64(addr, ImsPlatformSlot),
        VMSTATE_UINT32(data, ImsPlatformSlot),
        VMSTATE_UINT32(ctrl, ImsPlatformSlot),
        VMSTATE_UINT32(sent, ImsPlatformSlot),
        VMSTATE_BOOL(half, ImsPlatformSlot),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_ims_platform = {
    .name = TYPE_IMS_PLATFORM,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_STRUCT_ARRAY(slots, ImsPlatform, IMS_PLAT_NR_SLOTS, 1,
                             vmstate_ims_platform_slot, ImsPlatformSlot),
        VMSTATE_UINT32_ARRAY(counts, ImsPlatform, IMS_PLAT_NR_COUNTS),
        VMSTATE_UINT32(breach_count, ImsPlatform),
        VMSTATE_UINT32_ARRAY(breach_by_code, ImsPlatform, IMS_TD_NR_BREACHES),
        VMSTATE_END_OF_LIST()
    }
};

/* The default is no PCI device's, if there is no bus 255 */
static Property ims_platform_properties[] = {
    DEFINE_PROP_UINT16(IMS_PLATFORM_PROP_DEVICE_ID, ImsPlatform, device_id, 0xff00),
    DEFINE_PROP_END_OF_LIST(),
};

static void ims_platform_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    device_class_set_props(dc, ims_platform_properties);
    dc->desc = "Interrupt messages of a platform device, for tests";
    dc->realize = ims_platform_realize;
    dc->reset = ims_platform_reset;
    dc->vmsd = &vmstate_ims_platform;
    dc->hotpluggable = false;
    dc->user_creatable = true;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo ims_platform_types[] = {
    {
        .name = TYPE_IMS_PLATFORM,
        .parent = TYPE_SYS_BUS_DEVICE,
        .instance_size = sizeof(ImsPlatform),
        .instance_finalize = ims_platform_instance_finalize,
        .class_init = ims_platform_class_init,
    },
};

DEFINE_TYPES(ims_platform_types)
