# SPDX-License-Identifier: GPL-2.0
"""The test `devices`: devices of QEMU that this project did not write, with their
drivers, on a kernel of its own. tests/guest/devices is the program in the guest and
has the same addresses."""
import os
import tempfile
from pathlib import Path

from . import boot, qmp

# Bind and unbind rounds, over all drivers: many, and those of `make check`
ROUNDS, FEW = 500, 50
# Bounds of the run, beyond those that the program has for its parts
SILENCE, TOTAL = 600, 2400
DISKS = ('nvme', 'virtio', 'ahci', 'usb')
DISK_SIZE = 16 << 20

# virtio-blk with fewer vectors than queues gets vectors whose affinity user space
# may change; the queues of nvme have managed ones. Everything is on bus 0.
HARDWARE = (
    '-device', 'nvme,drive=nvme,serial=nvme,max_ioqpairs=8,addr=10.0',
    '-device', 'virtio-blk-pci,drive=virtio,num-queues=2,vectors=2,queue-size=32,'
               'disable-legacy=on,iommu_platform=on,addr=11.0',
    '-netdev', 'hubport,id=net0,hubid=0', '-netdev', 'hubport,id=net1,hubid=0',
    '-device', 'virtio-net-pci,netdev=net0,romfile=,disable-legacy=on,iommu_platform=on,'
               'addr=12.0',
    '-device', 'e1000e,netdev=net1,romfile=,addr=13.0',
    '-device', 'qemu-xhci,id=xhci,addr=14.0',
    '-device', 'usb-storage,bus=xhci.0,drive=usb',
    '-device', 'edu,dma_mask=0xffffffff,addr=15.0',
    '-device', 'ich9-ahci,id=sata,addr=16.0', '-device', 'ide-hd,bus=sata.0,drive=ahci',
)
# The controllers are the machine's.
BEHIND_VMD = (
    '-device', 'nvme-ns,bus=vmd-nvme,drive=nvme', '-device', 'ide-hd,bus=vmd-ahci.0,drive=ahci',
    '-device', 'usb-storage,bus=vmd-xhci.0,drive=usb',
)


def disks(where):
    options = []
    for name in DISKS:
        path = where / name
        with open(path, 'wb') as file:
            os.truncate(file.fileno(), DISK_SIZE)
        options += ['-drive', f'if=none,id={name},file={path},format=raw']
    return options


def options(row, rounds):
    """Kernel options of the test on a machine."""
    # What makes a bind take seconds on emulated CPUs: many requests, and grace
    # periods of RCU.
    found = ['ims.end=reboot', 'usb-storage.delay_use=0', 'nvme.io_queue_depth=16',
             'rcupdate.rcu_expedited=1', f'devices.machine={row["devices"]}',
             f'devices.prefix={row["prefix"]}', f'devices.rounds={rounds}']
    if 'behind' in row:
        found.append(f'devices.behind={row["behind"]}')
    if row['arch'] == 'arm64':
        found.append('devices.suspend=freeze')
    if row['devices'] == 'direct':
        # VFIO without an IOMMU taints the kernel (TAINT_USER).
        found.append('ims.taint=64')
    return found


def wake(event, _):
    """Wake the machine whenever it has gone to sleep. An alarm of its own clock could
    go off before it sleeps."""
    return [('system_wakeup', {})] if event == 'SUSPEND' else []


def run(machine, log, rounds=FEW):
    """A Verdict."""
    row = boot.machine_row(machine)
    with tempfile.TemporaryDirectory(prefix='ims-devices-') as tmp, qmp.answers(wake) as more:
        return boot.run(machine, 'devices', 'devices', log, silence=SILENCE, total=TOTAL,
                        extra=options(row, rounds),
                        hardware=(*disks(Path(tmp)), *more,
                                  *(BEHIND_VMD if 'behind' in row else HARDWARE)))
