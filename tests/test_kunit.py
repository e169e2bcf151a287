# SPDX-License-Identifier: GPL-2.0
"""The KUnit tests of the series pass where they are: on UML, with one CPU and an array
of interrupt descriptors, and on x86_64, with several and a table."""
import pytest
from support import expect, note

from imslib import kunit
from imslib.util import locked

STALE = 'CONFIG_LOCALVERSION="-stale"'
# UML is there in seconds.
PLATFORMS = [pytest.param(name, marks=[pytest.mark.quick] if name == 'um' else [])
             for name in kunit.PLATFORMS]


def spoil(platform):
    """Leave a .config that kunit.py would take as it is, as it has all that it wants."""
    config = kunit.build_dir(platform) / '.config'
    with locked('kernel-src'):
        if config.exists():
            config.write_text(config.read_text(encoding='ascii').replace(
                'CONFIG_LOCALVERSION=""', STALE), encoding='ascii')


@pytest.mark.parametrize('platform', PLATFORMS)
def test_suites(platform, snapshot, log, show):
    spoil(platform)
    show(f'{kunit.run(*snapshot[:3], log, platform)} passed')
    config = (kunit.build_dir(platform) / '.config').read_text(encoding='ascii')
    note(log, '=== the configuration\n' + config)
    expect(STALE not in config, f'a stale .config is used for {platform}; see {log}')
