/*
 * ims-vmd: a Volume Management Device (VMD), whose own few interrupts carry the
 * messages of all devices behind it
 *
 * docs/specs/ims-vmd.rst is the specification; comments here refer to its
 * sections by their titles.
 *
 * Words used here:
 *
 *   child     a device behind the VMD
 *   message   a write of a child to the range of interrupt messages
 *   window    the part of a BAR in which BARs of children can be
 *
 * What holds at any time:
 *
 *   - All state is protected by the big QEMU lock, as are all callbacks.
 *   - The VMD is never unplugged; a child can be, by whatever is accessed on its
 *     behalf.
 *   - The bus addresses of ImsVmd::mem are those of the CPU: an alias in a BAR
 *     shows the part of it that begins at the address of the BAR.
 *   - A child sends messages while its configuration space is accessed by way
 *     of the VMD.  So the region that messages arrive in does without QEMU's
 *     guard against reentrancy; ImsVmd::in_message ends what comes back here
 *     because of a message.  CFGBAR has the guard.
 *   - What one access to configuration space leads to, here and in other devices,
 *     is bounded by ims-work.h.  A message leads to one other at most.
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
#include "hw/misc/ims_vmd_regs.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_host.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_host.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"
#include "qom/object.h"
#include "ims-work.h"
#include "trace.h"

#define TYPE_IMS_VMD "ims-vmd"
OBJECT_DECLARE_SIMPLE_TYPE(ImsVmd, IMS_VMD)

/* The bus behind the VMD is a root bus, which QEMU wants to be a host bridge's */
#define TYPE_IMS_VMD_HOST "ims-vmd-host"

#define IMS_VMD_MSIX_CAP            0x80
#define IMS_VMD_PCIE_CAP            0x90

#define IMS_VMD_BUSES_MAX           256
#define IMS_VMD_WINDOW_MIN          (1 * MiB)
#define IMS_VMD_WINDOW_MAX          (1 * GiB)

struct ImsVmd {
    PCIDevice parent_obj;

    PCIHostState host;
    PCIBus *bus;

    /* BARs: MEMBAR1 is nothing but its window */
    MemoryRegion cfgbar;
    MemoryRegion membar2;
    MemoryRegion window1;
    MemoryRegion window2;

    /* What children's BARs are in, and what their DMA goes through */
    MemoryRegion mem;
    MemoryRegion io;
    MemoryRegion dma;
    MemoryRegion upstream;
    MemoryRegion messages;
    AddressSpace dma_as;

    /* For trace events, and the name of the bus */
    char *name;

    /* Properties */
    uint32_t nr_vectors;
    uint32_t nr_buses;
    uint32_t membar1_size;
    uint32_t membar2_size;
    bool bypass;

    /* A message is being dealt with */
    bool in_message;
};

/* "Messages" */

static void ims_vmd_count(ImsVmd *s, uint32_t reg)
{
    uint8_t *count = PCI_DEVICE(s)->config + reg;

    if (pci_get_long(count) != UINT32_MAX) {
        pci_set_long(count, pci_get_long(count) + 1);
    }
}

/* As the VMD's own: an IOMMU goes by the requester id */
static MemTxResult ims_vmd_forward(ImsVmd *s, hwaddr offset, uint32_t data)
{
    PCIDevice *dev = PCI_DEVICE(s);
    MemTxAttrs attrs = { .requester_id = pci_requester_id(dev) };
    MemTxResult result;

    address_space_stl_le(pci_get_address_space(dev), IMS_VMD_MSI_BASE + offset,
                         data, attrs, &result);
    return result;
}

static MemTxResult ims_vmd_notify(ImsVmd *s, hwaddr offset, uint32_t data)
{
    PCIDevice *dev = PCI_DEVICE(s);
    uint32_t vector = offset >> IMS_VMD_MSI_VECTOR_SHIFT;

    if (offset != (hwaddr)vector << IMS_VMD_MSI_VECTOR_SHIFT || data ||
        vector >= s->nr_vectors || !msix_enabled(dev) ||
        !(pci_get_word(dev->config + PCI_COMMAND) & PCI_COMMAND_MASTER)) {
        return MEMTX_ERROR;
    }
    msix_notify(dev, vector);
    return MEMTX_OK;
}

static MemTxResult ims_vmd_message_write(void *opaque, hwaddr offset, uint64_t data,
                                         unsigned size, MemTxAttrs attrs)
{
    ImsVmd *s = opaque;
    MemTxResult result = MEMTX_ERROR;
    uint16_t config = pci_get_word(PCI_DEVICE(s)->config + IMS_VMD_VMCONFIG);

    if (!s->in_message && size == 4) {
        s->in_message = true;
        result = config & IMS_VMD_VMCONFIG_BYPASS ? ims_vmd_forward(s, offset, data) :
                                                    ims_vmd_notify(s, offset, data);
        s->in_message = false;
    }
    trace_ims_vmd_message(s->name, attrs.requester_id, offset, data, size, result);
    ims_vmd_count(s, result == MEMTX_OK ? IMS_VMD_ACCEPTED : IMS_VMD_REFUSED);
    return result;
}

static MemTxResult ims_vmd_message_read(void *opaque, hwaddr offset, uint64_t *data,
                                        unsigned size, MemTxAttrs attrs)
{
    *data = UINT64_MAX;
    ims_vmd_count(opaque, IMS_VMD_REFUSED);
    return MEMTX_ERROR;
}

static const MemoryRegionOps ims_vmd_message_ops = {
    .read_with_attrs = ims_vmd_message_read,
    .write_with_attrs = ims_vmd_message_write,
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

/* "Bus" */

static PCIDevice *ims_vmd_child(ImsVmd *s, hwaddr addr)
{
    return pci_find_device(s->bus, PCIE_MMCFG_BUS(addr), PCIE_MMCFG_DEVFN(addr));
}

static uint64_t ims_vmd_cfg_read(void *opaque, hwaddr addr, unsigned size)
{
    PCIDevice *child = ims_vmd_child(opaque, addr);

    if (!child) {
        return UINT64_MAX;
    }
    return pci_host_config_read_common(child, PCIE_MMCFG_CONFOFFSET(addr),
                                       pci_config_size(child), size);
}

static void ims_vmd_cfg_write(void *opaque, hwaddr addr, uint64_t value,
                              unsigned size)
{
    PCIDevice *child = ims_vmd_child(opaque, addr);

    if (child) {
        ims_work_begin();
        pci_host_config_write_common(child, PCIE_MMCFG_CONFOFFSET(addr),
                                     pci_config_size(child), value, size);
        ims_work_end();
    }
}

static const MemoryRegionOps ims_vmd_cfg_ops = {
    .read = ims_vmd_cfg_read,
    .write = ims_vmd_cfg_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
};

/* There is no way out for INTx */
static void ims_vmd_set_irq(void *opaque, int irq, int level)
{
}

static AddressSpace *ims_vmd_dma_as(PCIBus *bus, void *opaque, int devfn)
{
    ImsVmd *s = opaque;

    return &s->dma_as;
}

/* "Windows" */

static void ims_vmd_place_window(ImsVmd *s, MemoryRegion *window, int bar,
                                 hwaddr offset)
{
    pcibus_t addr = pci_get_bar_addr(PCI_DEVICE(s), bar);

    if (addr != PCI_BAR_UNMAPPED) {
        memory_region_set_alias_offset(window, addr + offset);
    }
}

static void ims_vmd_place_windows(ImsVmd *s)
{
    ims_vmd_place_window(s, &s->window1, IMS_VMD_BAR_MEM1, 0);
    ims_vmd_place_window(s, &s->window2, IMS_VMD_BAR_MEM2, IMS_VMD_MEM2_WINDOW);
}

static void ims_vmd_config_write(PCIDevice *dev, uint32_t addr, uint32_t value,
                                 int len)
{
    ims_work_begin();
    pci_default_write_config(dev, addr, value, len);
    ims_vmd_place_windows(IMS_VMD(dev));
    ims_work_end();
}

/* "Reset" */

static void ims_vmd_reset(DeviceState *qdev)
{
    PCIDevice *dev = PCI_DEVICE(qdev);

    trace_ims_vmd_reset(IMS_VMD(qdev)->name);
    pci_set_word(dev->config + IMS_VMD_VMCONFIG, 0);
    pci_set_long(dev->config + IMS_VMD_ACCEPTED, 0);
    pci_set_long(dev->config + IMS_VMD_REFUSED, 0);
}

static bool ims_vmd_check_window(const char *name, uint32_t size, Error **errp)
{
    if (!is_power_of_2(size) || size < IMS_VMD_WINDOW_MIN ||
        size > IMS_VMD_WINDOW_MAX) {
        error_setg(errp, "%s must be a power of two from %u to %u", name,
                   (unsigned)IMS_VMD_WINDOW_MIN, (unsigned)IMS_VMD_WINDOW_MAX);
        return false;
    }
    return true;
}

static bool ims_vmd_check_properties(ImsVmd *s, Error **errp)
{
    if (!s->nr_vectors || s->nr_vectors > IMS_VMD_VECTORS_MAX) {
        error_setg(errp, "vectors must be from 1 to %d", IMS_VMD_VECTORS_MAX);
        return false;
    }
    if (!is_power_of_2(s->nr_buses) || s->nr_buses > IMS_VMD_BUSES_MAX) {
        error_setg(errp, "buses must be a power of two from 1 to %d",
                   IMS_VMD_BUSES_MAX);
        return false;
    }
    return ims_vmd_check_window("membar1-size", s->membar1_size, errp) &&
           ims_vmd_check_window("membar2-size", s->membar2_size, errp);
}

/* "PCI interface": what Linux wants to know, and nothing that can be written */
static bool ims_vmd_init_config(ImsVmd *s, Error **errp)
{
    PCIDevice *dev = PCI_DEVICE(s);

    memset(dev->wmask + PCI_CONFIG_HEADER_SIZE, 0,
           IMS_VMD_MSIX_CAP - PCI_CONFIG_HEADER_SIZE);
    if (s->bypass) {
        pci_config_set_device_id(dev->config, IMS_VMD_PCI_DEVICE_BYPASS);
        pci_set_word(dev->wmask + IMS_VMD_VMCONFIG, IMS_VMD_VMCONFIG_BYPASS);
    }

    if (pcie_endpoint_cap_init(dev, IMS_VMD_PCIE_CAP) < 0) {
        error_setg(errp, "failed to add the PCI Express capability");
        return false;
    }
    pcie_add_capability(dev, PCI_EXT_CAP_ID_VNDR, 1, IMS_VMD_VSEC,
                        IMS_VMD_VSEC_SIZE);
    pci_set_long(dev->config + IMS_VMD_VSEC + PCI_VNDR_HEADER,
                 IMS_VMD_VSEC_SIZE << 20 | IMS_VMD_VSEC_ID);
    /* The counters are not the same on both sides of a migration */
    pci_set_long(dev->cmask + IMS_VMD_ACCEPTED, 0);
    pci_set_long(dev->cmask + IMS_VMD_REFUSED, 0);
    return true;
}

static void ims_vmd_init_bars(ImsVmd *s)
{
    Object *obj = OBJECT(s);
    PCIDevice *dev = PCI_DEVICE(s);

    memory_region_init(&s->mem, obj, "ims-vmd-mem", UINT64_MAX);
    memory_region_init(&s->io, obj, "ims-vmd-io", 64 * KiB);

    memory_region_init_io(&s->cfgbar, obj, &ims_vmd_cfg_ops, s, "ims-vmd-cfgbar",
                          s->nr_buses * MiB);
    pci_register_bar(dev, IMS_VMD_BAR_CFG, PCI_BASE_ADDRESS_MEM_TYPE_64,
                     &s->cfgbar);

    memory_region_init_alias(&s->window1, obj, "ims-vmd-window1", &s->mem, 0,
                             s->membar1_size);
    pci_register_bar(dev, IMS_VMD_BAR_MEM1, PCI_BASE_ADDRESS_SPACE_MEMORY,
                     &s->window1);

    memory_region_init_alias(&s->window2, obj, "ims-vmd-window2", &s->mem, 0,
                             s->membar2_size - IMS_VMD_MEM2_WINDOW);
    memory_region_add_subregion(&s->membar2, IMS_VMD_MEM2_WINDOW, &s->window2);
    pci_register_bar(dev, IMS_VMD_BAR_MEM2, PCI_BASE_ADDRESS_MEM_TYPE_64,
                     &s->membar2);
}

/* "DMA": by way of the VMD as a bus master, but for messages */
static void ims_vmd_init_dma(ImsVmd *s)
{
    Object *obj = OBJECT(s);

    memory_region_init(&s->dma, obj, "ims-vmd-dma", UINT64_MAX);
    memory_region_init_alias(&s->upstream, obj, "ims-vmd-upstream",
                             &PCI_DEVICE(s)->bus_master_container_region, 0,
                             UINT64_MAX);
    memory_region_add_subregion(&s->dma, 0, &s->upstream);
    memory_region_init_io(&s->messages, obj, &ims_vmd_message_ops, s,
                          "ims-vmd-messages", IMS_VMD_MSI_SIZE);
    s->messages.disable_reentrancy_guard = true;
    memory_region_add_subregion_overlap(&s->dma, IMS_VMD_MSI_BASE, &s->messages, 1);
    address_space_init(&s->dma_as, &s->dma, "ims-vmd-dma");
}

static void ims_vmd_realize(PCIDevice *dev, Error **errp)
{
    ImsVmd *s = IMS_VMD(dev);
    int i;

    if (!ims_vmd_check_properties(s, errp)) {
        return;
    }
    if (!pci_bus_is_root(pci_get_bus(dev)) || !pci_bus_is_express(pci_get_bus(dev))) {
        error_setg(errp, "a VMD must be on the machine's PCI Express root bus");
        return;
    }
    s->name = g_strdup(object_get_canonical_path_component(OBJECT(s)));
    if (!ims_vmd_init_config(s, errp)) {
        return;
    }
    memory_region_init(&s->membar2, OBJECT(s), "ims-vmd-membar2", s->membar2_size);
    if (msix_init(dev, s->nr_vectors, &s->membar2, IMS_VMD_BAR_MEM2,
                  IMS_VMD_MSIX_TABLE, &s->membar2, IMS_VMD_BAR_MEM2,
                  IMS_VMD_MSIX_PBA, IMS_VMD_MSIX_CAP, errp)) {
        return;
    }
    for (i = 0; i < s->nr_vectors; i++) {
        msix_vector_use(dev, i);
    }
    ims_vmd_init_bars(s);
    ims_vmd_init_dma(s);

    s->bus = pci_root_bus_new(DEVICE(&s->host), s->name, &s->mem, &s->io, 0,
                              TYPE_PCIE_BUS);
    /* With that, QEMU lets nothing but bridges be on the bus */
    s->bus->parent_dev = dev;
    s->host.bus = s->bus;
    pci_bus_irqs(s->bus, ims_vmd_set_irq, pci_swizzle_map_irq_fn, s, PCI_NUM_PINS);
    pci_setup_iommu(s->bus, ims_vmd_dma_as, s);
    /*
     * Not on the machine's system bus: so the VMD's reset is theirs, and a device
     * that is given no bus is not put behind the VMD.
     */
    qdev_realize(DEVICE(&s->host), qbus_new(TYPE_SYSTEM_BUS, DEVICE(s), NULL), errp);
}

/* Only if the option ROM can't be loaded: nothing is on the bus then */
static void ims_vmd_exit(PCIDevice *dev)
{
    ImsVmd *s = IMS_VMD(dev);

    pci_unregister_root_bus(s->bus);
    object_unparent(OBJECT(&s->host));
    address_space_destroy(&s->dma_as);
    msix_uninit(dev, &s->membar2, &s->membar2);
}

static int ims_vmd_post_load(void *opaque, int version_id)
{
    ims_vmd_place_windows(opaque);
    return 0;
}

static const VMStateDescription vmstate_ims_vmd = {
    .name = TYPE_IMS_VMD,
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = ims_vmd_post_load,
    .fields = (VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, ImsVmd),
        VMSTATE_MSIX(parent_obj, ImsVmd),
        VMSTATE_END_OF_LIST()
    }
};

static Property ims_vmd_properties[] = {
    DEFINE_PROP_UINT32("vectors", ImsVmd, nr_vectors, 33),
    DEFINE_PROP_UINT32("buses", ImsVmd, nr_buses, 32),
    DEFINE_PROP_SIZE32("membar1-size", ImsVmd, membar1_size, 32 * MiB),
    DEFINE_PROP_SIZE32("membar2-size", ImsVmd, membar2_size, 32 * MiB),
    DEFINE_PROP_BOOL("bypass", ImsVmd, bypass, false),
    DEFINE_PROP_END_OF_LIST(),
};

static void ims_vmd_instance_init(Object *obj)
{
    object_initialize_child(obj, "host", &IMS_VMD(obj)->host, TYPE_IMS_VMD_HOST);
}

static void ims_vmd_instance_finalize(Object *obj)
{
    g_free(IMS_VMD(obj)->name);
}

static void ims_vmd_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);

    device_class_set_props(dc, ims_vmd_properties);
    dc->desc = "Volume Management Device for tests";
    dc->reset = ims_vmd_reset;
    dc->vmsd = &vmstate_ims_vmd;
    dc->hotpluggable = false;
    set_bit(DEVICE_CATEGORY_BRIDGE, dc->categories);

    k->realize = ims_vmd_realize;
    k->exit = ims_vmd_exit;
    k->config_write = ims_vmd_config_write;
    k->vendor_id = PCI_VENDOR_ID_INTEL;
    k->device_id = IMS_VMD_PCI_DEVICE;
    k->class_id = PCI_CLASS_STORAGE_RAID;
}

static const TypeInfo ims_vmd_types[] = {
    {
        .name = TYPE_IMS_VMD,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(ImsVmd),
        .instance_init = ims_vmd_instance_init,
        .instance_finalize = ims_vmd_instance_finalize,
        .class_init = ims_vmd_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { },
        },
    },
    {
        .name = TYPE_IMS_VMD_HOST,
        .parent = TYPE_PCI_HOST_BRIDGE,
    },
};

DEFINE_TYPES(ims_vmd_types)
