# SPDX-License-Identifier: GPL-2.0
"""The KUnit tests of the series pass where they are: on UML, with one CPU and an array
of interrupt descriptors, and on x86_64, with several and a table."""
import re

import pytest
from support import expect, note

from imslib import kunit
from imslib.util import locked

STALE = 'CONFIG_LOCALVERSION="-stale"'
# UML is there in seconds.
NEEDS = pytest.mark.needs('kernel/irq/', 'scripts/imslib/kunit')
# Those that CPUs and the table make a difference to, and a glob that has no others. So they
# do to msi_run, that takes as long as the three together.
SEVERAL, GLOB = {'msi_lock', 'msi_walk', 'irq_desc'}, '*[kc]'
# Not at once, as they have one O= directory
ALONE = pytest.mark.xdist_group('kunit-x86_64')
RUNS = [pytest.param('um', '', id='um', marks=pytest.mark.quick),
        pytest.param('x86_64', GLOB, id='x86_64', marks=[ALONE, NEEDS]),
        pytest.param('x86_64', '', id='x86_64-all', marks=[ALONE, pytest.mark.rare(
            minutes=6,
            why='each check has all suites on UML, and irq_desc, msi_lock, msi_walk here')])]


def spoil(platform):
    """Leave a .config that kunit.py would take as it is, as it has all that it wants."""
    config = kunit.build_dir(platform) / '.config'
    with locked('kernel-src'):
        config.parent.mkdir(parents=True, exist_ok=True)
        text = config.read_text(encoding='ascii') if config.exists() else ''
        config.write_text(text.replace('CONFIG_LOCALVERSION=""', STALE) or STALE + '\n',
                          encoding='ascii')


@pytest.mark.parametrize(('platform', 'suite'), RUNS)
def test_suites(platform, suite, snapshot, log, show):
    spoil(platform)
    show(f'{kunit.run(*snapshot[:3], log, platform, suite)} passed')
    config = (kunit.build_dir(platform) / '.config').read_text(encoding='ascii')
    note(log, '=== the configuration\n' + config)
    expect(STALE not in config, f'a stale .config is used for {platform}; see {log}')
    if suite:
        ran = re.findall(r'^ {4}# Subtest: (\w+)$',
                         log.with_suffix('.tap').read_text('utf-8', 'replace'), re.M)
        expect(set(ran) == SEVERAL, f'{suite} means {", ".join(ran)}')
