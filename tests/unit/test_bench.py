# SPDX-License-Identifier: GPL-2.0
"""The benchmark's figures: what of a log is taken, and what the tables and the gate say."""
import unittest

from imslib import bench
from imslib.bench import Measured
from imslib.util import Fail

EXPECTED = {'boot': 'figure', 'msix-alloc.64': 'figure', 'ims-single-alloc.64': 'figure',
            'msix.2048': 'memory', 'ims.65280': 'memory'}
LINES = ['figure boot n=1 total=1000000000',
         'figure msix-alloc.64 n=64 total=1344000',
         'absent ims-single-alloc.64 no-ims',
         'memory msix.2048 n=2048 cache=kmalloc-96 bytes=196608',
         'memory msix.2048 n=2048 cache=percpu bytes=-4096',
         'absent ims.65280 no-ims']


def log(lines=None):
    return ('kernel| [    0.000000] Linux version 6.1.1 (ims@ims) (gcc)\n'
            'kernel| figure not n=1 total=1\n'
            + ''.join(f'tests | {line}\n' for line in LINES if lines is None)
            + ''.join(f'tests | {line}\n' for line in lines or ()))


class Parse(unittest.TestCase):
    def refuses(self, words, lines):
        with self.assertRaisesRegex(Fail, words):
            bench.parse(log(lines), EXPECTED)

    def test_complete(self):
        found = bench.parse(log(), EXPECTED)
        self.assertEqual(found.values, {'boot': 1e9, 'msix-alloc.64': 21000.0,
                                        'memory msix.2048': 94.0})
        self.assertEqual(found.caches,
                         {'memory msix.2048': {'kmalloc-96': 96.0, 'percpu': -2.0}})
        self.assertEqual(found.absent, {'ims-single-alloc.64': 'no-ims',
                                        'memory ims.65280': 'no-ims'})
        self.assertEqual(found.version, '6.1.1')

    def test_each_line_is_needed(self):
        for number, line in enumerate(LINES):
            # A cache more or less is no figure more or less.
            if 'cache=percpu' in line or 'cache=kmalloc' in line:
                continue
            self.refuses('1 are not there: ' + line.split()[1],
                         LINES[:number] + LINES[number + 1:])
        self.refuses('msix.2048', [line for line in LINES if 'cache=' not in line])

    def test_nothing_twice(self):
        for line in LINES:
            self.refuses(r'is there twice', [*LINES, line])

    def test_not_in_two_forms(self):
        self.refuses('msix-alloc.64 is there twice', [*LINES, 'absent msix-alloc.64 no-space'])
        self.refuses('ims.65280 is there twice',
                     [*LINES, 'memory ims.65280 n=65280 cache=pages bytes=4096'])
        self.refuses('msix.2048 is there twice', [*LINES, 'absent msix.2048 no-space'])

    def test_unknown(self):
        self.refuses('figure other is not expected', [*LINES, 'figure other n=1 total=1'])
        self.refuses('absent other is not expected', [*LINES, 'absent other no-ims'])
        self.refuses('memory boot is not expected',
                     [*LINES[1:], 'memory boot n=1 cache=pages bytes=1'])

    def test_spoilt(self):
        for line in ('figure boot n=0 total=1', 'figure boot n=1 total=', 'figure boot n=1',
                     'absent boot', 'memory msix.2048 n=1 bytes=1',
                     'figure boot n=1 total=1 x'):
            self.refuses('cannot read', [line, *LINES[1:]])

    def test_cut_line(self):
        with self.assertRaisesRegex(Fail, 'ims.65280'):
            bench.parse(log().rstrip('\n'), EXPECTED)


class Differ(unittest.TestCase):
    def test_same(self):
        self.assertEqual(bench.differ(Measured({'a': 1000.0}), Measured({'a': 1000.9})), [])

    def test_more_than_it_may(self):
        self.assertEqual(bench.differ(Measured({'a': 1000.0, 'b': 1}),
                                      Measured({'a': 1001.1, 'b': 1})),
                         ['a: 1000.00 and 1001.10'])
        self.assertEqual(len(bench.differ(Measured({'a': 1001.1}), Measured({'a': 1000.0}))), 1)
        self.assertEqual(len(bench.differ(Measured({'a': 0.0}), Measured({'a': 1.0}))), 1)

    def test_only_one(self):
        self.assertEqual(bench.differ(Measured({'a': 1.0, 'b': 2.0}), Measured({'b': 2.0})),
                         ['a: only one run has it'])


def runs(**series):
    """Three kernels; all of what series is given stands beside what they have."""
    base = {'msix-alloc.2048': 42000.0, 'mask-unmask-msix': 60.0, 'mask-unmask-overhead': 9.0,
            'memory msix.2048': 1000.0}
    newer = {'msix-alloc.2048': 65000.0, 'msix-dyn-alloc.64': 20000.0,
             'msix-dyn-free.64': 20000.0}
    ours = {'msix-alloc.2048': 18900.0, 'mask-unmask-table': 60.0, 'mask-unmask-overhead': 9.0,
            'ims-single-alloc.64': 16000.0, 'ims-single-free.64': 16000.0}
    return {'base': Measured(base, {'memory msix.2048': {'kmalloc-96': 1000.0}},
                             {'ims-single-alloc.64': 'no-ims'}),
            '6.12': Measured(newer), 'series': Measured({**ours, **series})}


class Tables(unittest.TestCase):
    def test_ratios(self):
        rows = {line.split()[0]: line.split()
                for line in bench.table(runs()).splitlines() if line}
        self.assertEqual(rows['instructions'],
                         ['instructions', 'base', '6.12', 'series', 'series/base',
                          'series/6.12'])
        self.assertEqual(rows['msix-alloc.2048'],
                         ['msix-alloc.2048', '42,000.0', '65,000.0', '18,900.0', '0.450',
                          '0.291'])
        self.assertEqual(rows['ims-single-alloc.64'],
                         ['ims-single-alloc.64', 'no-ims', '-', '16,000.0', '-', '-'])
        self.assertEqual(rows['msix.2048'], ['msix.2048', '1,000.0', '-', '-', '-', '-'])
        self.assertEqual(rows['kmalloc-96'], ['kmalloc-96', '1,000.0', '0.0', '0.0'])

    def goal(self, start, **series):
        found = [row for row in bench.goals(runs(**series)) if row[0].startswith(start)]
        self.assertEqual(len(found), 1, start)
        return found[0]

    def test_goal_that_is_just_met(self):
        _, value, most, met = self.goal('MSI-X allocate at 2,048, of stock 6.1')
        self.assertEqual((value, most, met), (0.45, 0.45, True))

    def test_goal_that_is_missed(self):
        _, value, _, met = self.goal('MSI-X allocate at 2,048, of 6.12',
                                     **{'msix-alloc.2048': 19600.0})
        self.assertGreater(value, 0.30)
        self.assertFalse(met)

    def test_goal_without_figure(self):
        _, value, _, met = self.goal('memory of an IMS vector at 65,280')
        self.assertEqual((value, met), ('memory ims.65280 of series: not measured', False))

    def test_sum_of_figures(self):
        self.assertEqual(self.goal('IMS single allocate + free at 64')[1], 0.8)

    def test_overhead_is_taken_off(self):
        self.assertEqual(self.goal('mask + unmask of table')[1:], (1.0, 1.0, True))
        self.assertFalse(self.goal('mask + unmask of table', **{'mask-unmask-table': 60.1})[3])

    def test_goals_of_figures_that_there_are(self):
        """A goal about a figure that is called otherwise would never be met."""
        source = (bench.SOURCE / 'run.c').read_text(encoding='utf-8')
        for goal in bench.GOALS:
            for name in (*goal.ours, *goal.theirs):
                stem, _, count = name.removeprefix('memory ').partition('.')
                stem = stem.replace('-alloc', '').replace('-free', '')
                self.assertIn(f'"{stem}"', source)
                self.assertTrue(not count or f' {count}' in source, name)

    def test_table_of_goals(self):
        text = bench.goals_table([('one', 0.4512, 0.45, False),
                                  ('two', 'x: no-ims', 1.0, False), ('three', 0.2, 0.3, True)])
        self.assertEqual([line.split() for line in text.splitlines()],
                         [['goal', 'value', 'at', 'most'], ['one', '0.451', '0.45', 'missed'],
                          ['two', 'x:', 'no-ims', '1.00', 'missed'],
                          ['three', '0.200', '0.30', 'met']])


NOW = {'intel-ir': {'a': 1000.0, 'memory b': 96.5}, 'amd-ir': {'a': 50.0}}
TOOLS = {'compiler': 'gcc "12"', 'kernel': '6.1', 'qemu': 'QEMU 7'}


class Record(unittest.TestCase):
    def test_round_trip(self):
        self.assertEqual(bench.read_record(bench.format_record(TOOLS, NOW)), (TOOLS, NOW))

    def test_one_line_a_figure_sorted(self):
        lines = bench.format_record(TOOLS, {'m': {'b': 2.0, 'a.1': 1.005}}).splitlines()
        self.assertEqual(lines[-3:], ['[m]', '"a.1" = 1.00', '"b" = 2.00'])

    def test_spoilt(self):
        for text in ('', 'a = ', '[intel-ir]\n"a" = 1.0\n'):
            with self.assertRaisesRegex(Fail, 'bench-record'):
                bench.read_record(text)

    def judged(self, machine='intel-ir', **values):
        found = bench.judge({**NOW, machine: {**NOW[machine], **values}}, NOW)
        return [len(part) for part in (found.above, found.below, found.gone, found.new)]

    def test_same(self):
        self.assertEqual(self.judged(), [0, 0, 0, 0])
        self.assertEqual(self.judged(a=1020.0), [0, 0, 0, 0])
        self.assertEqual(self.judged(a=980.0), [0, 0, 0, 0])

    def test_above(self):
        self.assertEqual(self.judged(a=1020.1), [1, 0, 0, 0])
        self.assertEqual(self.judged('amd-ir', a=51.1), [1, 0, 0, 0])
        found = bench.judge(NOW, bench.lowered(NOW, 'amd-ir', 'a'))
        self.assertEqual(found.wrong(), ['amd-ir: a: 50.00, recorded 48.50'])

    def test_below_is_not_wrong(self):
        self.assertEqual(self.judged(a=979.9), [0, 1, 0, 0])
        found = bench.judge(NOW, {**NOW, 'amd-ir': {'a': 52.0}})
        self.assertEqual((len(found.below), found.wrong()), (1, []))

    def test_new_and_gone_are_wrong(self):
        self.assertEqual(self.judged(c=1.0), [0, 0, 0, 1])
        found = bench.judge({'intel-ir': NOW['intel-ir']}, NOW)
        self.assertEqual(found.wrong(), ['amd-ir: a is recorded and not there any more'])
        found = bench.judge(NOW, {'intel-ir': NOW['intel-ir']})
        self.assertEqual(found.wrong(), ['amd-ir: a is not recorded'])
