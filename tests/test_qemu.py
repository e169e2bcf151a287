# SPDX-License-Identifier: GPL-2.0
"""The virtual devices alone: their qtests."""
import re
from pathlib import Path

import pytest
from support import expect, note

from imslib import qemu
from imslib.util import clean_env, run


@pytest.mark.needs('qemu/', r'(?:linux/)?include/uapi/misc/')
@pytest.mark.parametrize('name', [Path(path).name for path in qemu.QTESTS])
def test_qtest(name, log):
    path = qemu.get()
    done = run([path / name, '--tap', '-k'], check=False,
               env=clean_env(QTEST_QEMU_BINARY=str(path / 'qemu-system-x86_64')))
    log.with_suffix('.tap').write_text(done.stdout, encoding='utf-8')
    note(log, done.stdout + done.stderr)
    passed = len(re.findall(r'^ok \d+', done.stdout, re.M))
    failed = re.findall(r'^not ok \d+ (\S+)', done.stdout, re.M)
    plan = re.search(r'^1\.\.(\d+)', done.stdout, re.M)
    expect(plan and passed + len(failed) == int(plan[1]) > 0, f'the plan is not met; see {log}')
    expect(not done.returncode and not failed, f'{failed or done.returncode}; see {log}')
