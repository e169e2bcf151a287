# SPDX-License-Identifier: GPL-2.0
"""The tests notice what is wrong."""
import sys
import time
from pathlib import Path

import conftest
import mutants
import mutate
import pytest
from support import expect, note

from imslib import util

# How many, and the minutes after which `make check` begins no other one
COUNT, MINUTES = 20, 5


@pytest.mark.rare(minutes=30, why='each mutant is a build and a run of the tests')
def test_mutants_are_noticed(log, show, answered, request):
    minutes = MINUTES if request.config.getoption('--tier') == 'check' else 0
    found = mutants.judge_some(log, COUNT, conftest.head(), minutes=minutes)
    note(log, repr(found))
    for name in found['survived']:
        show(f'survived: {name}')
    if minutes:
        # Some of them are no answer to who asks for all.
        request.node.passed_key = None
    expect(minutes or found['noticed'], f'no mutant was judged; see {log}')
    expect(len(found['survived']) <= COUNT * (100 - mutants.GOAL) / 100,
           f'not noticed: {found["survived"]}')
    if found['judged before']:
        answered(f'{len(found["judged before"])} mutants')
    show(', '.join(f'{len(names)} {word}' for word, names in found.items()))


@pytest.mark.needs('tests/mut', 'kernel/irq/msi', 'drivers/pci/msi/', 'drivers/irqchip/')
def test_what_is_accepted_is_there(snapshot, log):
    """A mutant of a line that has changed has to be looked at again."""
    judging = mutants.Judging(*snapshot[:3], log)
    names = [m.name for m in judging.mutants()]
    expect(len(names) > 1000, f'{len(names)} mutants only')
    gone = [p for p in mutants.known() if not any(mutate.matches(p, name) for name in names)]
    expect(not gone, f'no mutant is any of these in mutants.accepted: {gone}')


def state_of(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text('ascii').rpartition(')')[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return 'Z'


def test_a_program_that_does_not_listen_ends(log):
    """So does what it has started."""
    child = 'import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)\n'
    parent = ('import subprocess, sys\nchild = subprocess.Popen([sys.executable, "-c", '
              f'{child!r}])\nprint(child.pid, flush=True)\nchild.wait()\n')
    start = time.monotonic()
    with pytest.raises(util.Fail, match='stuck: not over after 2 s'):
        util.step('stuck', [sys.executable, '-c', parent], log=log, bound=2)
    expect(time.monotonic() - start < 30, 'it took too long')
    pid = log.read_text(encoding='utf-8').split()[-1]
    # It was killed, which takes effect when it runs next.
    end = time.monotonic() + 10
    while (left := state_of(pid)) not in 'XZ' and time.monotonic() < end:
        time.sleep(0.1)
    expect(left in 'XZ', f'process {pid} is {left}')
