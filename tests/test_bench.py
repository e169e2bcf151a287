# SPDX-License-Identifier: GPL-2.0
"""Figures, against the recorded ones."""
import re

import pytest
from support import Checkout, expect, note, packages

from imslib import bench, profile
from imslib.check import CHECK


# One process has the figures that these two are about.
@pytest.mark.xdist_group('figures')
@pytest.mark.needs('bench/', 'scripts/imslib/bench')
def test_no_figure_is_above_the_recorded_one(log, show):
    for line in bench.gate(CHECK, lambda text: note(log, text)):
        show(line)


@pytest.mark.xdist_group('figures')
@pytest.mark.needs('bench/', 'scripts/imslib/bench')
def test_a_figure_above_the_recorded_one_is_noticed(log, show):
    now = bench.short_runs(CHECK)
    for machine, values in now.items():
        for name in values:
            # Each alone, as if the record had been made of a faster kernel.
            found = bench.judge(now, bench.lowered(now, machine, name))
            note(log, f'{found.above}')
            expect(len(found.above) == 1 and found.above == found.wrong()
                   and found.above[0].startswith(f'{machine}: {name}: '),
                   f'{machine}: {name} 3 % above the record is not noticed; see {log}')
    show(f'{sum(len(values) for values in now.values())} figures')


@pytest.mark.rare(minutes=6, why='it builds two kernels that nothing else has')
def test_make_bench(log):
    packages('bench')
    with Checkout(CHECK / 'bench', log) as work:
        out = work.must('bench', ONLY='msix-alloc.64')
        for which in bench.KERNELS:
            expect(re.search(rf'^{re.escape(which)}: Linux \d', out, re.M),
                   f'make bench has no {which}; see {log}')
        expect(re.search(r'^msix-alloc\.64( +[\d,.]+){3}( +[\d.]+){2}$', out, re.M),
               f'make bench has no line of the figure; see {log}')
        expect((work.path / 'build/bench/table.json').exists(), 'make bench leaves no table.json')


@pytest.mark.rare(minutes=3, why='it tests make profile, and nothing depends on that')
def test_the_profile_adds_up(log, show):
    case = 'msix-alloc.64'
    found = profile.take('series', profile.MACHINE, [case], log.with_suffix('.guest.log'))[case]
    note(log, found.text)
    counted = sum(line.own for line in found.lines.values())
    expect(profile.agree(counted, found.want),
           f'{counted} instructions by function, {found.want} in the figure; see {log}')
    whole = found.lines['pci_alloc_irq_vectors_affinity'].inclusive
    expect(profile.agree(whole, found.want),
           f'{whole} instructions below what is called, {found.want} in the figure; see {log}')
    for name in ('__irq_domain_alloc_irqs', 'intel_irq_remapping_alloc'):
        line = found.lines.get(name)
        expect(line and line.own and line.calls, f'{name} is not in the profile; see {log}')
    show(f'{counted} instructions in {len(found.lines)} functions')
