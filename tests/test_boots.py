# SPDX-License-Identifier: GPL-2.0
"""Boots of the series: selftests, allocations that fail, make boot, and the ways to fail."""
import re
import shutil
from pathlib import Path

import cases
import pytest
from support import Checkout, each_or_rare, expect

from imslib import boot, kernel
from imslib.check import CHECK

MACHINES = boot.machines()
WITH_STORES = [name for name, row in MACHINES.items() if 'ims_power' in row['required']]
WITH_TESTS = [name for name, row in MACHINES.items() if row['required']]


def passes(result, log, show):
    expect(result, f'{result}; see {log}')
    show(result.summary())


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
def test_selftests_quick(log, show):
    passes(boot.run('intel-ir', 'lean', 'ims_device,ims_view,pci_msi', log), log, show)


@pytest.mark.parametrize('machine', each_or_rare(
    [name for name, row in MACHINES.items() if 'debug' in row['kernels']], ['intel-ir'], 10))
def test_selftests_debug(machine, log, show):
    passes(boot.run(machine, 'debug', 'selftests', log), log, show)


# What they have on VT-d, the debug kernel has as well.
@pytest.mark.parametrize('machine', each_or_rare(
    [name for name, row in MACHINES.items() if 'lean' in row['kernels']],
    ['amd-ir', 'no-iommu'], 5))
def test_selftests(machine, log, show):
    passes(boot.run(machine, 'lean', 'selftests', log), log, show)


@pytest.mark.parametrize('machine', WITH_STORES)
def test_late_sysfs(machine, log, show):
    """Directories of IMS interrupts in sysfs"""
    passes(boot.run(machine, 'lean', 'late_sysfs', log), log, show)


@pytest.mark.rare(minutes=4, why='every check has the same program with fewer slots')
def test_store_of_2_20_slots(log, show):
    result = boot.run('intel-ir', 'lean', 'ims_store', log,
                      hardware=('-global', f'ims-testdev.slots={1 << 20}'))
    passes(result, log, show)
    expect(f'{1 << 20} slots' in log.read_text('utf-8', 'replace'),
           f'the device has not as many slots; see {log}')


def more_selftests(machine, programs, log, show, *reasons):
    """Programs on the kernel that has what single tests of them need. Elsewhere the
    lack of that is a reason to leave them out; here nothing would be left."""
    result = boot.run(machine, 'devices', programs, log, extra=('ims.end=reboot',))
    text = log.read_text('utf-8', 'replace')
    for reason in reasons:
        expect(reason not in text, f'{reason}; see {log}')
    passes(result, log, show)


@pytest.mark.parametrize('machine', each_or_rare(WITH_TESTS, ['intel-ir', 'no-iommu'], 3))
def test_each_allocation_fails_in_turn(machine, log, show):
    more_selftests(machine, 'msi_fault', log, show, 'SKIP the kernel has no fault injection')


@pytest.mark.parametrize('machine', WITH_STORES)
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
TOTALS = r'\n# Totals: pass:\d+ fail:0 '
SHOWS = {'intel-ir': SHOWN.format('INTEL'), 'amd-ir': SHOWN.format('AMD'), 'no-iommu': TOTALS}


@pytest.mark.parametrize('machine', SHOWS)
def test_make_boot(machine, log):
    with Checkout(CHECK / f'boot-{machine}', log) as work:
        lines = work.must('boot', MACHINE=machine).splitlines()
        shutil.copy(work.path / f'build/boot/{machine}.tap', log.with_suffix('.tap'))
        row = boot.machine_row(machine)
        want = [*(boot.demo_lines(row) if row['demo'] == 'ims_demo' else ()), 'boot: PASS']
        expect(lines[-len(want):] == want, f'make boot does not end as it should; see {log}')
        expect(re.search(SHOWS[machine], '\n'.join(lines), re.S),
               f'make boot does not show {SHOWS[machine]}; see {log}')
        listed = dict(line.split('=', 1) for line in work.must('paths').splitlines())
        for name in ('KERNEL', 'QEMU', 'INITRAMFS', 'KERNEL_TREE', 'KERNEL_BUILD'):
            expect(name in listed and Path(listed[name]).exists(),
                   f'make paths has no {name} that exists; see {log}')
