# SPDX-License-Identifier: GPL-2.0
"""Boots of the series: selftests, allocations that fail, make boot, and the ways to fail."""
import re
import shutil
from pathlib import Path

import cases
import pytest
from support import Checkout, each_or_rare, expect, passes

from imslib import arch, boot, initramfs, kernel, qemu, qmp, series, verdict
from imslib.check import CHECK
from imslib.util import locked, run

MACHINES = boot.machines()
X86 = {name: row for name, row in MACHINES.items() if row['arch'] == arch.HOST}
WITH_STORES = [name for name, row in X86.items() if 'ims_power' in row['required']]
ITS = ['arm-its', 'arm-its-smmu']
WITH_TESTS = [name for name, row in X86.items() if row['required']]


def each_way_to_fail():
    return [pytest.param(name, marks=[pytest.mark.quick] if name == 'pass' else [])
            for name in cases.CASES]


@pytest.fixture(scope='session')
def cases_initrd(tmp_path_factory):
    return cases.initrd(tmp_path_factory.mktemp('cases'))


@pytest.mark.parametrize('name', each_way_to_fail())
def test_verdict(name, snapshot, cases_initrd, log):
    """Each way to fail has its verdict."""
    image = kernel.get('lean', *snapshot[:3]) / 'bzImage'
    wrong = cases.complaint(name, cases.record(name, image, cases_initrd, log))
    expect(not wrong, f'{wrong}; see {log}')


# --- selftests -------------------------------------------------------------

@pytest.mark.quick
def test_selftests_quick(log, show, only):
    """Some, and in `make quick` those that have changed"""
    names = [name for name in MACHINES['intel-ir']['required']
             if name in ('ims_device', 'ims_view', 'pci_msi') or
             f'tools/testing/selftests/msi/{name}.c' in (only or ())]
    passes(boot.run('intel-ir', 'lean', ','.join(names), log), log, show)


@pytest.mark.parametrize('machine', each_or_rare(
    [name for name, row in MACHINES.items() if 'debug' in row['kernels']], ['intel-ir'], 4))
def test_selftests_debug(machine, log, show):
    # With eight CPUs it takes twice as long and finds no more.
    passes(boot.run(machine, 'debug', 'selftests', log,
                    runs=boot.engine({**MACHINES[machine], 'cpus': 4})), log, show)


# What they have on VT-d, the debug kernel has as well.
@pytest.mark.parametrize('machine', each_or_rare(
    [name for name, row in MACHINES.items() if 'lean' in row['kernels']],
    ['amd-ir', 'no-iommu', 'arm-its'], 5))
@pytest.mark.needs('drivers/irqchip/irq-gic', 'drivers/iommu/')
def test_selftests(machine, log, show):
    passes(boot.run(machine, 'lean', 'selftests', log), log, show)


@pytest.mark.parametrize('machine', WITH_STORES)
def test_late_sysfs(machine, log, show):
    """Directories of IMS interrupts in sysfs"""
    passes(boot.run(machine, 'lean', 'late_sysfs', log), log, show)


@pytest.mark.parametrize('machine', WITH_TESTS)
def test_device_vanishes(machine, log, show):
    """Before a reset, during suspend, between a reset and unbind. No driver for hot plug
    marks the device: the kernel has to find out."""
    passes(boot.run(machine, 'lean', 'lost', log, extra=('pcie_ports=compat',),
                    hardware=boot.behind_ports(5)), log, show)


PORTS = ('-global', 'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off', *boot.behind_ports(2),
         '-device', 'pcie-root-port,id=port3,chassis=3')
# The machine has others, and a device.
VMD_PORTS = ('-device', 'ims-testdev,id=vmd-dev4,bus=vmd-port4',
             '-device', 'pcie-root-port,id=port3,bus=vmd,chassis=3')


@pytest.mark.parametrize('machine', each_or_rare([*WITH_TESTS, 'vmd', 'vmd-bypass'],
                                                 [*WITH_TESTS, 'vmd'], 1))
def test_hot_plug(machine, log, show):
    """By the kernel's own driver, with interrupts in use, on request and by surprise. A slot
    does not stay empty for long. One more device is behind a PCIe-to-PCI bridge."""
    def plug(event, data):
        device = data.get('device')
        return [('device_add', {'driver': 'ims-testdev', 'id': device, 'msix-vectors': 8,
                                'bus': device.replace('dev', 'port')})
                ] if event == 'DEVICE_DELETED' and device else []

    vmd = 'behind' in MACHINES[machine]
    with qmp.answers(plug) as answered:
        passes(boot.run(machine, 'devices' if vmd else 'lean', 'lost', log,
                        extra=('pcie_ports=native',), hardware=(
                            *(VMD_PORTS if vmd else PORTS), *answered,
                            '-device', 'pcie-pci-bridge,bus=port3,id=bridge',
                            '-device', 'ims-testdev,bus=bridge,addr=1')), log, show)


def test_no_msi(log, show):
    """A machine without a local APIC, and so without any MSI domain"""
    passes(boot.run('no-iommu', 'lean', 'no_msi', log, extra=('nolapic',),
                    runs=('-accel', 'tcg', '-smp', '1', '-m', boot.MEMORY)), log, show)


def test_msi_without_mask_bits(log, show):
    """Nothing protects its message when it moves from CPU to CPU."""
    passes(boot.run('no-iommu', 'lean', 'pci_msi', log,
                    hardware=('-global', 'ims-testdev.msi-mask=off')), log, show)


def test_beside_virtio_net(log, show):
    """lockdep knows the order of locks of a driver that asks for its vectors from CPU
    hotplug callbacks."""
    passes(boot.run('intel-ir', 'debug', 'virtio_net', log,
                    hardware=('-device', 'virtio-net-pci,romfile=')), log, show)


@pytest.mark.rare(minutes=4, why='every check has the same program with fewer slots')
def test_store_of_2_20_slots(log, show):
    result = boot.run('intel-ir', 'lean', 'ims_store', log,
                      hardware=('-global', f'ims-testdev.slots={1 << 20}'))
    passes(result, log, show)
    expect(f'{1 << 20} slots' in log.read_text('utf-8', 'replace'),
           f'the device has not as many slots; see {log}')


# Two devices behind a bridge to conventional PCI have one DeviceID.
BRIDGE = ('-global', 'ims-testdev.slots=65536', '-device', 'i82801b11-bridge,id=bridge',
          '-device', 'ims-testdev,bus=bridge,addr=1', '-device', 'ims-testdev,bus=bridge,addr=2')


@pytest.mark.rare(minutes=3, why='every check has the selftests on arm-its')
def test_one_table_of_events(log, show):
    """What has the same DeviceID shares a table, and all devices share the LPIs. Behind a
    SMMU, Linux 6.1 refuses the second device with the StreamID of the bridge."""
    passes(boot.run('arm-its', 'lean', 'its', log, hardware=BRIDGE), log, show)


@pytest.mark.parametrize('machine', each_or_rare(['arm-its', 'arm-its-smmu', 'arm-its-no-ims',
                                                  'arm-v2m'], ['arm-its'], 2))
@pytest.mark.needs('drivers/irqchip/irq-gic', 'drivers/base/', '.*ims.platform',
                   'tests/guest/platform/')
def test_platform_msi(machine, log, show, config='lean'):
    """Devices that are not PCI devices, each with a DeviceID of its own"""
    passes(boot.run(machine, config, 'platform', log, hardware=(
        '-device', 'ims-platform,device-id=0xff00', '-device', 'ims-platform,device-id=0xff08')),
        log, show)


@pytest.mark.rare(minutes=3, why='test_platform_msi with KASAN and lockdep')
def test_platform_msi_debug(log, show):
    test_platform_msi('arm-its', log, show, 'debug')


@pytest.mark.rare(minutes=3, why='every check has the selftests on arm-its')
def test_msi_map_with_an_offset(log, show, tmp_path):
    """The root bus is bus 1 for the kernel and bus 0 for the ITS, as msi-map says."""
    row, dtb, node = MACHINES['arm-its'], tmp_path / 'dtb', '/pcie@10000000'
    name, options, *rest = row['qemu']
    run([qemu.get() / 'qemu-system-aarch64', '-nodefaults', name, f'{options},dumpdtb={dtb}',
         *rest, *boot.engine(row)])
    _, its, *_ = run(['fdtget', '-t', 'x', dtb, node, 'msi-map']).split()
    run(['fdtput', '-t', 'x', dtb, node, 'bus-range', '1', 'ff'])
    run(['fdtput', '-t', 'x', dtb, node, 'msi-map', '100', its, '0', 'ff00'])
    passes(boot.run('arm-its', 'lean', 'pci_msi,ims_device', log, hardware=('-dtb', dtb)),
           log, show)
    expect('ims_testdev 0000:01:' in log.read_text('utf-8', 'replace'),
           f'no device is on bus 1; see {log}')


@pytest.mark.rare(minutes=3, why='every check has the selftests on arm-its')
@pytest.mark.parametrize('machine', ITS)
def test_firmware_tables(machine, log, show):
    """ACPI's IORT says what the ITS and the SMMU know a device by, not a device tree."""
    passes(boot.run(machine, 'devices', 'pci_msi,ims_device', log,
                    hardware=('-bios', '/usr/share/qemu-efi-aarch64/QEMU_EFI.fd')), log, show)
    expect('ACPI: IORT' in log.read_text('utf-8', 'replace'), f'no IORT was used; see {log}')


@pytest.mark.rare(minutes=2, why='KUnit covers the messages that an earlier kernel leaves')
@pytest.mark.parametrize('machine', [*WITH_STORES, *ITS])
def test_kdump(machine, snapshot, log, show, tmp_path):
    """The kernel that takes over after a crash finds slots with messages."""
    row, crash = MACHINES[machine], tmp_path / 'crash'
    image = kernel.get(arch.config_for(row['arch'], 'devices'), *snapshot[:3]) / kernel.IMAGE
    initrd = initramfs.get(*snapshot[:3], row['arch']) / 'initramfs.cpio.gz'
    crash.mkdir()
    shutil.copy(image, crash / 'Image')
    shutil.copy(initrd, crash / 'initrd')

    def kernels_of(text):
        return re.split(r'(?m)^kernel\| .*Linux version', text)
    result = boot.boot_image(
        row, image, initramfs.with_folder(initrd, crash, tmp_path, tmp_path / 'log'), 'kdump', log,
        extra=('crashkernel=256M',), required=('kdump',), part=lambda text: kernels_of(text)[-1])
    kernels = kernels_of(log.read_text('utf-8', 'replace'))
    expect(len(kernels) == 3, f'{len(kernels) - 1} kernels were started; see {log}')
    first = '\n'.join(verdict.split(kernels[1])['tests'])
    expect('\nok 8 ' in first and 'not ok' not in first, f'the first kernel failed; see {log}')
    passes(result, log, show)


def more_selftests(machine, programs, log, show, *reasons, extra=(), **more):
    """Programs on the kernel that has what single tests of them need. Elsewhere the
    lack of that is a reason to leave them out; here nothing would be left."""
    result = boot.run(machine, 'devices', programs, log, extra=('ims.end=reboot', *extra),
                      **more)
    text = log.read_text('utf-8', 'replace')
    for reason in reasons:
        expect(reason not in text, f'{reason}; see {log}')
    passes(result, log, show)


@pytest.mark.parametrize('machine', each_or_rare([*WITH_TESTS, *ITS, 'vmd'], ['intel-ir'], 2))
def test_each_allocation_fails_in_turn(machine, log, show):
    # The machine's second device is the one behind the VMD, which lacks no vectors.
    behind = {'extra': ['IMS_TESTDEV=/dev/ims_testdev1'],
              'hardware': ('-global', 'ims-vmd.vectors=64')}
    more_selftests(machine, 'msi_fault', log, show, 'SKIP the kernel has no fault injection',
                   **(behind if 'behind' in MACHINES[machine] else {}))


@pytest.mark.rare(minutes=2, why='the debug kernel has most of it')
@pytest.mark.parametrize('machine', [*WITH_STORES, *ITS])
def test_suspend_and_wrong_ops(machine, log, show):
    more_selftests(machine, 'ims_power,ims_wrong', log, show, 'SKIP the kernel has no alarm clock',
                   'SKIP the kernel does not check storage ops',
                   'this kernel would not get over it')


# --- make boot -------------------------------------------------------------

@pytest.mark.rare(minutes=8, why='every check has fewer rounds')
def test_long_stress(log):
    with Checkout(CHECK / 'long-stress', log) as work:
        out = work.must('stress', MACHINE='amd-ir', ROUNDS='100000', CPUS='4')
        expect(re.search(r'rounds=1\d{5} .*: 0 lost, 0 spurious, 0 breaches\n', out),
               f'no verdict; see {log}')


def test_make_stress(log):
    with Checkout(CHECK / 'stress', log) as work:
        out = work.must('stress', MACHINE='intel-ir', ROUNDS='2000', CPUS='2')
        expect(re.search(r'rounds=2\d\d\d workers=\d+ cpus=2 .*: 0 lost, 0 spurious, 0 breaches\n'
                         r'(?:.*\n)*stress: PASS$', out.strip()), f'no verdict; see {log}')
        work.refuses('ROUNDS=many is no number', 'stress', ROUNDS='many')
        work.refuses('MACHINE=no-iommu has no stores', 'stress', MACHINE='no-iommu')


# One interrupt in /proc/interrupts, fired once, and its domains in debugfs.
SHOWN = (r'\n *\d+:[ 0]* 1 [ 0]* IR-PCI-IMS\.1-\S+ .*ims_testdev0-table-.*'
         r'domain:  IR-PCI-IMS\.1-.*domain:  {}-IR-0\n.*domain:  VECTOR\n')
ARM_SHOWN = (r'\n *\d+:[ 0]* 1 [ 0]* ITS-PCI-IMS\.1-\S+ .*ims_testdev0-table-.*'
             r'domain:  ITS-PCI-IMS\.1-.*domain:  :intc@\S+:its@')
TOTALS = r'\n# Totals: pass:\d+ fail:0 '
SHOWS = {'intel-ir': SHOWN.format('INTEL'), 'amd-ir': SHOWN.format('AMD'), 'no-iommu': TOTALS,
         'arm-its': ARM_SHOWN, 'arm-its-smmu': ARM_SHOWN, 'arm-its-no-ims': TOTALS,
         'arm-v2m': TOTALS}


@pytest.mark.parametrize('machine', each_or_rare(
    list(SHOWS), ['intel-ir', 'amd-ir', 'no-iommu', 'arm-its'], 1))
def test_make_boot(machine, log):
    with Checkout(CHECK / f'boot-{machine}', log) as work:
        lines = work.must('boot', MACHINE=machine).splitlines()
        row = boot.machine_row(machine)
        want = [*(boot.demo_lines(row) if row['demo'] == 'ims_demo' else ()), 'boot: PASS']
        expect(lines[-len(want):] == want, f'make boot does not end as it should; see {log}')
        expect(re.search(SHOWS[machine], '\n'.join(lines), re.S),
               f'make boot does not show {SHOWS[machine]}; see {log}')
        # Other tests may have used the tree and the O= directory since.
        with locked('kernel-src'):
            kernel.bring_back_locked(arch.config_for(row['arch'], 'lean'), *series.snapshot()[:3])
            listed = dict(line.split('=', 1)
                          for line in work.must('paths', MACHINE=machine).splitlines())
        for name in ('KERNEL', 'QEMU', 'INITRAMFS', 'KERNEL_TREE', 'KERNEL_BUILD'):
            expect(name in listed and Path(listed[name]).exists(),
                   f'make paths has no {name} that exists; see {log}')
