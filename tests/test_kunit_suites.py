# SPDX-License-Identifier: GPL-2.0
"""The KUnit tests of the series pass where they are: on UML, with one CPU and an array
of interrupt descriptors, and on x86_64, with several and a table."""
import pytest
from support import expect, note

from imslib import kunit
from imslib.util import locked, say

STALE = 'CONFIG_LOCALVERSION="-stale"'


def spoil(platform):
    """Leave a .config that kunit.py would take as it is, as it has all that it wants."""
    config = kunit.build_dir(platform) / '.config'
    with locked('kernel-src'):
        if config.exists():
            config.write_text(config.read_text(encoding='ascii').replace(
                'CONFIG_LOCALVERSION=""', STALE), encoding='ascii')


def passes(platform, log, snapshot):
    base, tree, objects, _ = snapshot
    spoil(platform)
    count = kunit.run(base, tree, objects, log, platform)
    config = (kunit.build_dir(platform) / '.config').read_text(encoding='ascii')
    note(log, '=== the configuration\n' + config)
    expect(STALE not in config, f'a stale .config is used for {platform}; see {log}')
    say(f'        {count} passed')


@pytest.mark.quick
def test_um(log, snapshot):
    passes('um', log, snapshot)


def test_x86_64(log, snapshot):
    passes('x86_64', log, snapshot)
