# SPDX-License-Identifier: GPL-2.0
"""Boots that go wrong, each in its own way, and what the verdict has to be.

The programs are in tests/guest, the logs of one such run in tests/logs, made by
tests/record-logs. test_verdict.py judges those logs; `make check` also boots the
cases anew, so that the runner is tested on what happens, not on what once did.
"""
import re
import shutil

from imslib import boot, initramfs, verdict
from imslib.util import ROOT, run

LOGS = ROOT / 'tests/logs'

# name: (program, required programs, words in the reason, silence bound,
#        more kernel options, the verdict)
CASES = {
    'pass': ('nothing', (), '', 120, (), verdict.PASS),
    'crash': ('crash', (), 'sysrq', 120, (), verdict.CRASH),
    'no-init': ('nothing', (), 'panic', 120, ('rdinit=/none',), verdict.CRASH),
    'warns': ('warns', (), 'WARNING', 120, (), verdict.CRASH),
    'hang': ('hang', (), 'in hang', 20, (), verdict.HANG),
    'fails': ('fails', (), 'fails: not ok: two', 120, (), verdict.FAIL),
    'status': ('status', (), 'exit status 139', 120, (), verdict.FAIL),
    'skips': ('skips', ('skips',), 'requires it', 120, (), verdict.FAIL),
    'truncated': ('truncated', (), 'ends in truncated', 120, (), verdict.TRUNCATED),
    'tail': ('tail', ('tail',), '', 120, (), verdict.PASS),
    'short': ('short', (), '3 tests planned, 2 seen', 120, (), verdict.TRUNCATED),
    'silent': ('silent', (), 'no plan', 120, (), verdict.NO_TESTS),
    'not-run': ('nothing', ('absent',), 'did not run', 120, (), verdict.NO_TESTS),
}


def initrd(where):
    """An initramfs with tests/guest instead of the tree's selftests."""
    root = where / 'root'
    (root / 'bin').mkdir(parents=True)
    shutil.copyfile(initramfs.INIT, root / 'init')
    shutil.copyfile(initramfs.busybox('x86_64'), root / 'bin/busybox')
    shutil.copytree(ROOT / 'tests/guest', root / 'tests')
    run(['gcc', '-static', '-O2', '-Wall', '-Werror', '-o', root / 'tests/tail',
         ROOT / 'tests/guest/tail.c'])
    initramfs.pack(root, where, where / 'log')
    return where / 'initramfs.cpio.gz'


def record(name, image, ramfs, log):
    """Boot one case; its verdict."""
    program, required, _, silence, extra, _ = CASES[name]
    return boot.boot_image(boot.machine_row('no-iommu'), image, ramfs, program, log,
                           extra=extra, label=name, required=required, silence=silence)


def made_to_keep(log):
    """Make a log fit to be kept: a licence, and no directories of this machine."""
    head, rest = log.read_text(encoding='utf-8').split('\n', 1)
    head = re.sub(r'(?<= )/(?:[^/ ]+/)+', '', head)
    log.write_text(f'runner| SPDX-License-Identifier: GPL-2.0\n{head}\n{rest}',
                   encoding='utf-8')


def complaint(name, result):
    """What is wrong with the verdict on a case; '' if nothing."""
    words, kind = CASES[name][2], CASES[name][5]
    if result.kind != kind or words not in result.why:
        return f'expected {kind} with "{words}", got {result}'
    return ''
