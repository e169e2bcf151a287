# SPDX-License-Identifier: GPL-2.0
"""patches/6.12: the fixes that Linux 6.12 needs too."""
import pytest
from support import expect, packages

from imslib import newer, series


@pytest.mark.rare(minutes=15, why='it builds a kernel that nothing else has')
@pytest.mark.parametrize('machine', ('intel-ir', 'arm-its'))
def test_fixes_build_and_boot(machine, log):
    """Without a warning: lean.config has WERROR."""
    packages('bench')
    result = newer.boot_fixed(machine, log)
    expect(result, f'{result}; see {log}')


@pytest.mark.needs('patches/', 'scripts/imslib/newer')
def test_fixes_are_those_of_the_series():
    ours = {patch.subject for patch in series.load() if patch.part.startswith('fixes-')}
    patches = series.load(newer.PATCHES)
    expect(patches, 'no fix')
    for patch in patches:
        expect(patch.subject in ours, f'{patch.name}: no fix of the series has its subject')
