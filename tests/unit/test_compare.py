# SPDX-License-Identifier: GPL-2.0
"""The comparison of two kernels' logs: what it must find, and must not let pass."""
import unittest

from imslib import compare, verdict
from imslib.util import Fail

DEVICES = len(compare.DEVICES) + 1
LINES = [
    'case msi4/alloc-msi-1-4-none ret=4 on=msi sys=0-3:msi fired=0-3:1/1 chip=0-3:PCI-MSI-edge',
    'case msi4/alloc-msi-5-5-none ret=-ENOSPC on=none sys=-',
    'case msi4/together-msix ret=3 ims=-ENOTTY',
]
EXPECTED = (
    compare.Expected(r'.*', 'chip', r'.*', r'.*BDF.*', 'a name', machines=('one', 'two'),
                     same=('-BDF', '')),
    compare.Expected(r'.*/together-.*', 'ims', '-ENOTTY', '4', 'no IMS', machines=('two',)),
)


def log(lines=None, count=None, devices=DEVICES, end=True):
    lines = LINES if lines is None else lines
    text = ''.join(f'tests | {line}\n' for line in lines)
    if end:
        text += f'tests | cases: {len(lines) if count is None else count} on {devices} devices\n'
    return text


def changed(number, old, new):
    assert old in LINES[number]
    lines = list(LINES)
    lines[number] = lines[number].replace(old, new)
    return lines


def found(lines):
    return compare.differences(compare.parse(log()), compare.parse(log(lines)))


class Parse(unittest.TestCase):
    def refuses(self, words, text):
        with self.assertRaisesRegex(Fail, words):
            compare.parse(text)

    def test_complete(self):
        cases = compare.parse(log())
        self.assertEqual(len(cases), 3)
        self.assertEqual(cases['msi4/alloc-msi-5-5-none'],
                         {'ret': '-ENOSPC', 'on': 'none', 'sys': '-'})

    def test_other_streams_do_not_count(self):
        text = log() + 'kernel| case of/the-kernel a=b\n'
        self.assertEqual(len(compare.parse(text)), 3)

    def test_truncated(self):
        self.refuses('have no end', log(end=False))

    def test_empty(self):
        self.refuses('have no end', '')
        self.refuses('0 cases', log([]))

    def test_lost_line(self):
        self.refuses('3 cases were gone through, 2 are there', log(LINES[:2], count=3))

    def test_cut_line(self):
        self.refuses('cannot read', log(changed(0, ' ret=4', ' re')))

    def test_case_twice(self):
        self.refuses('there twice', log([*LINES, LINES[0]]))

    def test_case_after_the_end(self):
        self.refuses('after the last one', log() + f'tests | {LINES[0]}x\n')

    def test_missing_device(self):
        self.refuses('devices were gone through', log(devices=DEVICES - 1))


class Differences(unittest.TestCase):
    def test_same(self):
        self.assertEqual(found(LINES), [])

    def test_order_is_no_difference(self):
        self.assertEqual(found(LINES[::-1]), [])

    def test_value(self):
        self.assertEqual(found(changed(1, '-ENOSPC', '-EINVAL')),
                         [('msi4/alloc-msi-5-5-none', 'ret', '-ENOSPC', '-EINVAL')])

    def test_part_of_a_value(self):
        self.assertEqual(found(changed(0, 'sys=0-3:msi', 'sys=0-2:msi')),
                         [('msi4/alloc-msi-1-4-none', 'sys', '0-3:msi', '0-2:msi')])

    def test_missing_and_new_field(self):
        self.assertEqual(found(changed(1, ' sys=-', '')),
                         [('msi4/alloc-msi-5-5-none', 'sys', '-', compare.ABSENT)])
        self.assertEqual(found(changed(1, ' sys=-', ' sys=- more=1')),
                         [('msi4/alloc-msi-5-5-none', 'more', compare.ABSENT, '1')])

    def test_missing_and_new_case(self):
        self.assertEqual(found(LINES[:2]),
                         [('msi4/together-msix', '', 'there', compare.ABSENT)])
        self.assertEqual(found([*LINES, 'case msi4/more a=b']),
                         [('msi4/more', '', compare.ABSENT, 'there')])


class Judge(unittest.TestCase):
    good = (('a/b', 'chip', '0:PCI-MSI-edge', '0:PCI-MSI-BDF-edge'),)
    ims = ('a/together-msi', 'ims', '-ENOTTY', '4')

    def judge(self, *differences, machine='one'):
        return compare.judge(differences, machine, EXPECTED)

    def test_expected(self):
        self.assertEqual(self.judge(*self.good), ([], []))
        self.assertEqual(self.judge(*self.good, self.ims, machine='two'), ([], []))

    def test_stale(self):
        self.assertEqual(self.judge(), ([], [EXPECTED[0]]))
        self.assertEqual(self.judge(*self.good, machine='two'), ([], [EXPECTED[1]]))

    def test_other_value(self):
        for new in ('0:none', '0:PCI-MSI-BDF-level', '0-1:PCI-MSI-BDF-edge'):
            wrong = ('a/b', 'chip', '0:PCI-MSI-edge', new)
            self.assertEqual(self.judge(*self.good, wrong), ([wrong], []))

    def test_other_field(self):
        wrong = ('a/b', 'eff', '0:PCI-MSI-edge', '0:PCI-MSI-BDF-edge')
        self.assertEqual(self.judge(*self.good, wrong), ([wrong], []))

    def test_other_machine(self):
        self.assertEqual(self.judge(*self.good, self.ims), ([self.ims], []))

    def test_patterns_match_whole_texts(self):
        wrong = ('a/together-msi', 'ims', '-ENOTTY', '40')
        self.assertEqual(self.judge(*self.good, self.ims, wrong, machine='two'), ([wrong], []))

    def test_missing_case_is_never_expected(self):
        wrong = ('a/b', '', 'there', compare.ABSENT)
        self.assertEqual(self.judge(*self.good, wrong), ([wrong], []))

    def test_real_table(self):
        for item in compare.EXPECTED:
            self.assertTrue(item.reason and item.field, item)
            self.assertTrue(set(item.machines) <= set(compare.MACHINES), item)


class Forgive(unittest.TestCase):
    """Warnings that are provoked on purpose, in a log that passes but for them."""
    warning = ('kernel| [ 9.1] ------------[ cut here ]------------\n'
               'kernel| [ 9.1] WARNING: CPU: 3 PID: 60 at drivers/pci/msi/msi.c:901 f+0x1/0x2\n'
               'kernel| [ 9.1] Call Trace:\n'
               'kernel| [ 9.1] ---[ end trace 0000000000000000 ]---\n')
    begins = 'kernel| [ 9.0] msi_compare: misuse begins\n'
    ends = 'kernel| [ 9.2] msi_compare: misuse ends\n'

    def judge(self, kernel, taint='512'):
        text = 'tests | ims-init: plan 3\n'
        for number, name in enumerate(('guest', 'msi_compare'), 1):
            text += (f'tests | ims-init: run {number} {name}\ntests | 1..1\ntests | ok 1 done\n'
                     f'tests | ims-init: end {number} {name} status 0\n')
        text += kernel + 'tests | ims-init: run 3 aftermath\ntests | 1..1\n'
        text += ('tests | ok 1 the kernel is not tainted\n'
                 'tests | ims-init: end 3 aftermath status 0\n' if taint == '0' else
                 f'tests | # tainted: {taint}\ntests | not ok 1 the kernel is not tainted\n'
                 'tests | ims-init: end 3 aftermath status 1\n')
        text += 'tests | ims-init: done 3\nrunner| exit status 0\n'
        return verdict.judge(compare.forgive(text), ('guest', 'msi_compare', 'aftermath'))

    def test_announced(self):
        self.assertTrue(self.judge(self.begins + self.warning * 2 + self.ends))

    def test_none(self):
        self.assertTrue(self.judge(self.begins + self.ends, taint='0'))

    def test_not_announced(self):
        for kernel in (self.warning, self.warning + self.begins + self.ends,
                       self.begins + self.ends + self.warning):
            self.assertEqual(self.judge(kernel).kind, verdict.CRASH)

    def test_cut_off(self):
        cut = self.warning.rsplit('kernel|', 1)[0]
        self.assertEqual(self.judge(self.begins + cut + self.ends).kind, verdict.CRASH)

    def test_worse_than_a_warning(self):
        worse = self.warning.replace('WARNING: CPU: 3 PID: 60', 'kernel BUG')
        self.assertEqual(self.judge(self.begins + worse + self.ends).kind, verdict.CRASH)
        inside = self.begins + 'kernel| [ 9.1] BUG: bad\n' + self.warning + self.ends
        self.assertEqual(self.judge(inside).kind, verdict.CRASH)

    def test_other_taint(self):
        announced = self.begins + self.warning + self.ends
        self.assertEqual(self.judge(announced, taint='640').kind, verdict.FAIL)
        self.assertEqual(self.judge(self.begins + self.ends).kind, verdict.FAIL)
