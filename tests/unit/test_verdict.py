# SPDX-License-Identifier: GPL-2.0
"""The verdict on recorded logs of each kind, and on what becomes of a good log when
a part of it is lost."""
import re
import unittest

import cases
from imslib import verdict

GOOD = '''\
kernel| [    0.000000] Linux version 6.1.192
tests | ims-init: plan 3
tests | ims-init: run 1 guest
tests | TAP version 13
tests | 1..1
tests | ok 1 8 CPUs are online
tests | ims-init: end 1 guest status 0
tests | ims-init: run 2 ims_table
tests | TAP version 13
tests | 1..2
tests | ok 1 table.alloc
tests | ok 2 table.free
tests | ims-init: end 2 ims_table status 0
tests | ims-init: run 3 aftermath
tests | TAP version 13
tests | 1..1
tests | ok 1 the kernel is not tainted
tests | ims-init: end 3 aftermath status 0
tests | ims-init: done 3
kernel| [    9.000000] reboot: Power down
runner| exit status 0
'''

COMPLAINTS = '''\
BUG: KASAN: slab-use-after-free in msi_store_free+0x1/0x2
BUG: unable to handle page fault for address: ffffc90000000000
BUG: sleeping function called from invalid context at kernel/locking/mutex.c:1
BUG: scheduling while atomic: ims_table/77/0x00000002
BUG: soft lockup - CPU#1 stuck for 26s!
WARNING: CPU: 1 PID: 77 at kernel/irq/msi.c:100 msi_x+0x1/0x2
WARNING: possible circular locking dependency detected
WARNING: inconsistent lock state
WARNING: suspicious RCU usage
kernel BUG at mm/slub.c:435!
Oops: 0000 [#1] PREEMPT SMP KASAN
general protection fault, probably for non-canonical address 0xdffffc0000000000
Kernel panic - not syncing: Fatal exception
INFO: task ims_table:77 blocked for more than 120 seconds.
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
refcount_t: underflow; use-after-free.
list_del corruption. prev->next should be ffff888004f6c8c8
ODEBUG: free active (active state 0) object type: timer_list
irq 24: nobody cared (try booting with the "irqpoll" option)
__common_interrupt: 1.35 No irq handler for vector
DMAR: [INTR-REMAP] Request device [00:03.0] fault index 0x8000 [fault reason 0x26]
DMAR: DRHD: handling fault status reg 2
traps: ims_table[77] general protection fault
ims_table[77]: segfault at 0 ip 0000000000401000
UBSAN: array-index-out-of-bounds in kernel/irq/msi.c:1:2
'''.splitlines()


def judge(text, required=('ims_table',)):
    return verdict.judge(text, required)


class Recorded(unittest.TestCase):
    """Logs that the runner wrote."""

    def test_each_kind_is_there(self):
        kinds = {row[5] for row in cases.CASES.values()}
        self.assertEqual(kinds, {verdict.PASS, verdict.FAIL, verdict.CRASH, verdict.HANG,
                                 verdict.TRUNCATED, verdict.NO_TESTS})

    def test_each_log(self):
        for name, row in cases.CASES.items():
            with self.subTest(name):
                text = (cases.LOGS / f'{name}.log').read_text(encoding='utf-8')
                self.assertEqual(cases.complaint(name, verdict.judge(text, row[1])), '')

    def test_debug_kernel(self):
        # What lockdep, KASAN and the like say of themselves is no complaint.
        text = (cases.LOGS / 'selftests-debug.log').read_text(encoding='utf-8')
        row = cases.boot.machine_row('intel-ir')
        result = verdict.judge(text, ('guest', *row['required'], 'aftermath'), row['may_skip'])
        self.assertTrue(result, str(result))
        self.assertIn('Lock dependency validator', text)
        self.assertIn(('aftermath', 'ok', 'no memory leaks'), result.tests())

    def test_good_log_cut_anywhere(self):
        text = (cases.LOGS / 'pass.log').read_text(encoding='utf-8')
        self.assertTrue(verdict.judge(text))
        start = text.index('tests |')
        for end in range(start, len(text) - 1):
            self.assertFalse(verdict.judge(text[:end]), f'cut after {end} bytes is a pass')

    def test_good_log_without_a_line(self):
        lines = (cases.LOGS / 'pass.log').read_text(encoding='utf-8').splitlines(True)
        for number, line in enumerate(lines):
            if not line.startswith(('tests ', 'runner')) or 'TAP version' in line:
                continue
            if line.startswith(('runner| run: ', 'runner| SPDX', 'tests | #')):
                continue
            rest = ''.join(lines[:number] + lines[number + 1:])
            self.assertFalse(verdict.judge(rest), f'a pass without {line!r}')


class Made(unittest.TestCase):
    """One change to a good log at a time."""

    def assert_kind(self, kind, text, words='', required=('ims_table',)):
        result = judge(text, required)
        self.assertEqual(result.kind, kind, str(result))
        self.assertIn(words, result.why)

    def test_good(self):
        result = judge(GOOD)
        self.assertTrue(result, str(result))
        self.assertEqual(result.summary(), '4 ok, 0 not ok, 0 skipped')
        self.assertIn(('ims_table', 'ok', 'table.alloc'), result.tests())

    def test_tap(self):
        """One document, whose last test fails if the run did"""
        text = verdict.tap(judge(GOOD))
        self.assertEqual(re.findall(r'^\S.*', text, re.M), [
            'KTAP version 1', '1..4', 'ok 1 guest', 'ok 2 ims_table', 'ok 3 aftermath',
            'ok 4 verdict'])
        self.assertIn('  # Subtest: ims_table\n  1..2\n  ok 1 table.alloc\n', text)
        text = verdict.tap(judge(GOOD.replace('ok 2 table.free', 'not ok 2 table.free')))
        self.assertRegex(text, r'(?m)^not ok 2 ims_table # ims_table: not ok: table.free')
        self.assertRegex(text, r'(?m)^not ok 4 verdict # test failure: ')
        plain = GOOD.replace('run 2 ims_table', 'run 2 ims_table plain').replace(
            'ok 1 table.alloc', '1 of 2').replace('tests | 1..2\n', '')
        text = verdict.tap(judge(plain, ()))
        self.assertIn('  # Subtest: ims_table\n  # TAP version 13\n  # 1 of 2\n', text)

    def test_good_cut_anywhere(self):
        for end in range(len(GOOD) - 1):
            self.assertFalse(judge(GOOD[:end]), f'cut after {end} bytes')

    def test_good_without_a_line(self):
        lines = GOOD.splitlines(True)
        for number, line in enumerate(lines):
            if line.startswith('kernel') or 'TAP version' in line:
                continue
            rest = ''.join(lines[:number] + lines[number + 1:])
            self.assertFalse(judge(rest), f'a pass without {line!r}')

    def test_nothing(self):
        for text in ('', '\n', 'kernel| booting\n', 'runner| exit status 0\n'):
            self.assertFalse(judge(text, ()))

    def test_each_complaint(self):
        for line in COMPLAINTS:
            for at in ('kernel| [    0.0', 'tests | ims-init: run 2', 'runner|'):
                text = GOOD.replace(at, f'kernel| [    5.000000] {line}\n{at}', 1)
                self.assert_kind(verdict.CRASH, text, line)

    def test_no_complaint_in_tests(self):
        # What a test says about the log is not the log.
        self.assertTrue(judge(GOOD.replace('tests | ok 1 table',
                                           'tests | # no BUG: here\ntests | ok 1 table')))

    def test_crash_before_hang(self):
        text = GOOD.replace('runner| exit status 0', 'runner| hang: no output for 300 s')
        self.assert_kind(verdict.HANG, text)
        self.assert_kind(verdict.CRASH, 'kernel| Kernel panic - not syncing: x\n' + text)

    def test_hang_names_the_program(self):
        text = GOOD[:GOOD.index('tests | ok 2')] + 'runner| hang: no output for 300 s\n'
        self.assert_kind(verdict.HANG, text, 'in ims_table')

    def test_failure(self):
        self.assert_kind(verdict.FAIL, GOOD.replace('ok 2 table', 'not ok 2 table'),
                         'ims_table: not ok: table.free')

    def test_failure_says_what_the_test_said(self):
        text = GOOD.replace('ok 2 table', '# stays off CPU 2\ntests | not ok 2 table')
        self.assert_kind(verdict.FAIL, text, 'table.free (stays off CPU 2)')
        text = GOOD.replace('ok 2 table', '# failed: too late\ntests | # 14 s\n'
                                          'tests | not ok 2 table')
        self.assert_kind(verdict.FAIL, text, 'table.free (failed: too late)')
        text = GOOD.replace('ok 1 table', '# of the first\ntests | ok 1 table')
        text = text.replace('ok 2 table', 'not ok 2 table')
        self.assertNotIn('of the first', str(judge(text)))

    def test_failure_before_a_cut(self):
        text = GOOD.replace('ok 1 table', 'not ok 1 table')
        self.assert_kind(verdict.FAIL, text[:text.index('tests | ok 2')])

    def test_status(self):
        self.assert_kind(verdict.FAIL, GOOD.replace('ims_table status 0', 'ims_table status 1'))

    def test_plan_not_met(self):
        self.assert_kind(verdict.TRUNCATED, GOOD.replace('1..2', '1..3'), '3 tests planned')

    def test_more_than_planned(self):
        self.assert_kind(verdict.TRUNCATED, GOOD.replace('1..2', '1..1'), '1 tests planned')

    def test_two_plans(self):
        self.assert_kind(verdict.TRUNCATED, GOOD.replace('1..2', '1..2\ntests | 1..2'))

    def test_result_twice(self):
        self.assert_kind(verdict.TRUNCATED, GOOD.replace('ok 2 table', 'ok 1 table'))

    def test_required_skipped(self):
        text = GOOD.replace('ok 2 table.free', 'ok 2 # SKIP no device')
        self.assert_kind(verdict.FAIL, text, 'requires it')
        self.assertTrue(judge(text, ()))

    def test_empty_plan(self):
        text = re.sub(r'1\.\.2\n.*\n.*\n', '1..0\n', GOOD)
        self.assert_kind(verdict.NO_TESTS, text, 'ran no test', required=())

    def test_allowed_skip(self):
        text = GOOD.replace('ok 2 table.free', 'ok 2 # SKIP takes too long')
        self.assertTrue(verdict.judge(text, ('ims_table',), ('takes too long',)))
        self.assertFalse(verdict.judge(text, ('ims_table',), ('no device',)))
        # Not all of them, whatever the reason.
        text = text.replace('ok 1 table.alloc', 'ok 1 # SKIP takes too long')
        self.assertFalse(verdict.judge(text, ('ims_table',), ('takes too long',)))

    def test_all_skipped(self):
        text = re.sub(r'1\.\.2\n.*\n.*\n', '1..0 # SKIP no device\n', GOOD)
        text = text.replace('ims_table status 0', 'ims_table status 4')
        self.assert_kind(verdict.FAIL, text, 'was skipped')
        self.assertTrue(judge(text, ()))

    def test_required_not_run(self):
        self.assert_kind(verdict.NO_TESTS, GOOD, 'ims_refused', ('ims_refused',))

    def test_ran_nothing(self):
        self.assert_kind(verdict.NO_TESTS, 'tests | ims-init: plan 0\ntests | ims-init: done 0\n'
                         'runner| exit status 0\n', required=())

    def test_output_without_tests(self):
        text = re.sub(r'1\.\.2\n.*\n.*\n', 'all is well\n', GOOD)
        self.assert_kind(verdict.NO_TESTS, text, 'no plan')

    def test_results_without_plan(self):
        self.assert_kind(verdict.TRUNCATED, GOOD.replace('tests | 1..2\n', ''), 'no plan')

    def test_qemu(self):
        self.assert_kind(verdict.QEMU, 'qemu  | ims-testdev: slots must be 1 or more\n'
                         'runner| exit status 1\n', 'slots must be')
        self.assert_kind(verdict.QEMU, GOOD.replace('status 0\n', 'status 0\n')
                         .replace('runner| exit status 0', 'runner| exit status -6'), '-6')

    def test_plain_program(self):
        plain = GOOD.replace('run 2 ims_table', 'run 2 ims_demo plain').replace(
            'end 2 ims_table', 'end 2 ims_demo')
        self.assertTrue(judge(plain, ()))
        self.assert_kind(verdict.FAIL, plain.replace('ims_demo status 0', 'ims_demo status 4'),
                         required=())

    def test_after_the_end(self):
        self.assert_kind(verdict.TRUNCATED, GOOD.replace(
            'done 3\n', 'done 3\ntests | ims-init: run 4 more\n'))
