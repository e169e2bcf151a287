# SPDX-License-Identifier: GPL-2.0
"""The KUnit tests of the series pass where they are: on UML, with one CPU and an array
of interrupt descriptors, and on x86_64, with several and a table."""
import re

import pytest
from support import expect, note

from imslib import kernel, kunit
from imslib.util import locked, step

PLAIN, STALE = 'CONFIG_LOCALVERSION=""', 'CONFIG_LOCALVERSION="-stale"'
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


def spoil(platform, snapshot, log):
    """Leave a .config that kunit.py would take as it is, as it has all that it wants."""
    config = kunit.build_dir(platform) / '.config'
    with locked('kernel-src'):
        if not config.exists() or PLAIN not in config.read_text(encoding='ascii'):
            kernel.checkout(*snapshot[:3])
            step(f'kunit on {platform}: config', kunit.command(platform, 'config'), log=log,
                 env=kernel.make_env())
        text = config.read_text(encoding='ascii')
        expect(PLAIN in text, f'{config} has no {PLAIN}')
        config.write_text(text.replace(PLAIN, STALE), encoding='ascii')


@pytest.mark.parametrize(('platform', 'suite'), RUNS)
def test_suites(platform, suite, snapshot, log, show):
    spoil(platform, snapshot, log)
    show(f'{kunit.run(*snapshot[:3], log, platform, suite)} passed')
    config = (kunit.build_dir(platform) / '.config').read_text(encoding='ascii')
    note(log, '=== the configuration\n' + config)
    expect(STALE not in config, f'a stale .config is used for {platform}; see {log}')
    if suite:
        ran = re.findall(r'^ {4}# Subtest: (\w+)$',
                         log.with_suffix('.tap').read_text('utf-8', 'replace'), re.M)
        expect(set(ran) == SEVERAL, f'{suite} means {", ".join(ran)}')
