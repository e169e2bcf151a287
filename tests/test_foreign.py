# SPDX-License-Identifier: GPL-2.0
"""Code that is not ours on the series: the base's behaviour, other devices, bridges."""
import re

import pytest
from support import each_or_rare, expect, note, passes

from imslib import boot, compare, devices, ntb, verdict
from imslib.check import CHECK

MACHINES = [name for name, row in boot.machines().items() if 'devices' in row]
VMD = [name for name in MACHINES if 'behind' in boot.machine_row(name)]


@pytest.mark.parametrize('machine', each_or_rare(compare.machines(), ['intel-ir'], 2))
@pytest.mark.needs('tests/compare/', 'tests/kernel/drivers/', 'scripts/imslib/compare')
def test_base_and_series_behave_alike(machine, log, show):
    show(compare.compare(machine, CHECK, lambda text: note(log, text)))


@pytest.mark.parametrize('machine', each_or_rare(list(MACHINES), ['intel-ir', 'vmd-ir'], 3))
@pytest.mark.needs('tests/guest/devices/', 'scripts/imslib/devices', 'drivers/pci/controller/')
def test_devices(machine, log, show):
    passes(devices.run(machine, log), log, show)


@pytest.mark.rare(minutes=6, why='ten times the rounds of test_devices')
@pytest.mark.parametrize('machine', MACHINES)
def test_devices_long(machine, log, show):
    passes(devices.run(machine, log, devices.ROUNDS), log, show)


@pytest.mark.parametrize('machine', each_or_rare(VMD, ['vmd-ir'], 2))
@pytest.mark.needs('tests/guest/vmd/', 'drivers/pci/controller/', 'qemu/hw/.*vmd')
def test_vmd(machine, log, show, config='devices'):
    """Test devices behind a VMD with few vectors, until the machine is reset. On four CPUs,
    xhci wants five and works with no fewer; nvme asks for nine."""
    passes(boot.run(machine, config, 'vmd', log, extra=('ims.end=reboot',
                                                        'nvme.write_queues=4'),
                    runs=boot.engine({**boot.machine_row(machine), 'cpus': 4}), hardware=(
                        '-global', 'ims-vmd.vectors=5', '-device', 'ims-testdev,bus=vmd-port4')),
           log, show)


@pytest.mark.rare(minutes=6, why='test_vmd with KASAN and lockdep')
def test_vmd_debug(log, show):
    test_vmd('vmd-ir', log, show, 'full')


@pytest.mark.parametrize('machine', each_or_rare(list(ntb.WINDOWS), ['intel-ir'], 1))
@pytest.mark.needs('drivers/ntb/', 'tests/guest/ntb/', 'qemu/hw/.*ntb', 'scripts/imslib/ntb')
def test_ntb(machine, log, show):
    """Interrupts and traffic across a bridge"""
    passes(ntb.run(machine, log), log, show)


@pytest.mark.rare(minutes=6, why='test_ntb with KASAN and lockdep, and ten times the flaps')
def test_ntb_debug(log, show):
    passes(ntb.run('no-iommu', log, flaps=ntb.FLAPS, config='full'), log, show)


@pytest.mark.rare(minutes=2, why='it tests test_ntb')
@pytest.mark.parametrize('what', ntb.SPOILT)
def test_ntb_spoilt(what, log):
    result = ntb.run('no-iommu', log, spoil=what)
    expect(result.kind == verdict.FAIL and re.search(ntb.SPOILT[what], result.why),
           f'it ends with "{result}"; see {log}')
