# SPDX-License-Identifier: GPL-2.0
"""The profile: that nothing gets lost between the plugin's counts and the table."""
import unittest

from imslib import profile
from imslib.util import Fail

MAP = '''\
0000000000000100 A not_text
ffffffff81000000 T _stext
ffffffff81000000 T first
ffffffff81000100 t twice
ffffffff81000200 t twice
ffffffff81000300 T parent
ffffffff81000400 t parent.part.0
ffffffff81000500 t clone.constprop.0.isra.0
ffffffff81000600 T __section_start
ffffffff81000600 t by_name
ffffffff81000700 t parent.cold
ffffffff81000800 D data
'''
ELF = '''\
Symbol table '.symtab' contains 12 entries:
   Num:    Value          Size Type    Bind   Vis      Ndx Name
     0: 0000000000000000     0 NOTYPE  LOCAL  DEFAULT  UND
     1: 0000000000000000     0 FILE    LOCAL  DEFAULT  ABS one.c
     2: ffffffff81000100    16 FUNC    LOCAL  DEFAULT    1 twice
     3: ffffffff81000400    16 FUNC    LOCAL  DEFAULT    1 parent.part.0
     4: ffffffff81000500    16 FUNC    LOCAL  DEFAULT    1 clone.constprop.0.isra.0
     5: 0000000000000000     0 FILE    LOCAL  DEFAULT  ABS two.c
     6: ffffffff81000200    16 FUNC    LOCAL  DEFAULT    1 twice
     7: ffffffff81000600    16 FUNC    LOCAL  DEFAULT    1 by_name
     8: ffffffff81000000    16 FUNC    GLOBAL DEFAULT    1 first
     9: ffffffff81000000     0 NOTYPE  GLOBAL DEFAULT    1 _stext
    10: ffffffff81000300    16 FUNC    GLOBAL DEFAULT    1 parent
    11: ffffffff81000600     0 NOTYPE  GLOBAL DEFAULT    1 __section_start
'''
TOP = 0xffffffff81000000
RAW = '''\
region 1 30
insn ffffffff81000000 10
insn ffffffff81000104 15
insn 0 5
node 3 2 ffffffff81000000 1 10
node 2 1 ffffffff81000100 1 15
node 1 0 ffffffff81000000 1 25
end 1
region 2 1000
insn ffffffff81000300 600
insn ffffffff81000404 300
insn ffffffff81000704 100
node 1 0 ffffffff81000300 4 1000
node 2 1 ffffffff81000400 2 350
node 3 2 ffffffff81000600 3 1
end 2
regions 2
'''


def names():
    return profile.Names(profile.symbols(MAP, profile.elf_symbols(ELF)))


class Parse(unittest.TestCase):
    def refuses(self, words, text):
        with self.assertRaisesRegex(Fail, words):
            profile.parse(text)

    def test_complete(self):
        one, two = profile.parse(RAW)
        self.assertEqual((one.total, one.insns[0]), (30, 5))
        self.assertEqual(one.calls, {(TOP,): (1, 25), (TOP, TOP + 0x100): (1, 15),
                                     (TOP, TOP + 0x100, TOP): (1, 10)})
        self.assertEqual(two.total, 1000)

    def test_truncated(self):
        self.refuses('is not complete', RAW.replace('regions 2\n', ''))

    def test_a_region_without_end(self):
        self.refuses('cannot read', RAW.replace('end 1\n', ''))

    def test_a_region_is_missing(self):
        self.refuses('3 regions were profiled, 2 are there',
                     RAW.replace('regions 2', 'regions 3'))

    def test_something_is_not_counted(self):
        self.refuses('region 1 has 29 instructions, not 30', RAW.replace('104 15', '104 14'))

    def test_marks_that_do_not_match(self):
        self.refuses('region 2 has not ended', 'error region 2 has not ended\n' + RAW)

    def test_more_after_the_end(self):
        self.refuses('goes on after its end', RAW + 'region 3 1\n')


class Symbols(unittest.TestCase):
    def test_inside_of_a_function(self):
        self.assertEqual(names()[TOP + 0x1c], 'first')

    def test_a_function_goes_before_the_start_of_a_section(self):
        self.assertEqual(names()[TOP + 0x600], 'by_name')

    def test_two_files_have_one_name(self):
        self.assertEqual(names()[TOP + 0x100], 'twice (one.c)')
        self.assertEqual(names()[TOP + 0x2ff], 'twice (two.c)')

    def test_parts_go_with_their_parent(self):
        self.assertEqual({names()[TOP + at] for at in (0x300, 0x401, 0x702)}, {'parent'})

    def test_a_clone_has_the_name_of_its_function(self):
        self.assertEqual(names()[TOP + 0x500], 'clone')

    def test_outside(self):
        self.assertEqual(names()[0], profile.USER)

    def test_only_functions_are_entered(self):
        functions = profile.callable_at(profile.elf_symbols(ELF), MAP)
        self.assertEqual([address - TOP for address in functions],
                         [0, 0x100, 0x200, 0x300, 0x400, 0x500, 0x600])


class Choose(unittest.TestCase):
    def regions(self, *totals):
        return [profile.Region(at, total, {TOP: total}, {(TOP,): (1, total)})
                for at, total in enumerate(totals, 1)]

    def test_the_nearest(self):
        found = profile.choose(self.regions(100005, 100002, 100006, 5000), 100000, 'x')
        self.assertEqual(found.number, 2)

    def test_the_last_of_the_nearest(self):
        found = profile.choose(self.regions(100002, 100002, 100006, 5000), 100000, 'x')
        self.assertEqual(found.number, 2)

    def test_the_sum_of_several(self):
        found = profile.choose(self.regions(9999, 50000, 30000, 20001, 777), 100000, 'x')
        self.assertEqual((found.total, found.insns[TOP]), (100001, 100001))
        self.assertEqual(found.calls, {(TOP,): (3, 100001)})

    def test_a_sum_that_is_nearer_than_its_part(self):
        found = profile.choose(self.regions(99950, 52, 99951), 100000, 'x')
        self.assertEqual(found.total, 100002)

    def test_one_that_differs_too_much(self):
        with self.assertRaisesRegex(Fail, 'no region has its 100000 instructions.* 100101'):
            profile.choose(self.regions(100101), 100000, 'x')

    def test_one_that_differs_just_not_too_much(self):
        self.assertEqual(profile.choose(self.regions(100100), 100000, 'x').number, 1)

    def test_none(self):
        with self.assertRaisesRegex(Fail, 'there are none'):
            profile.choose([], 100, 'x')


class Table(unittest.TestCase):
    def text(self):
        region = profile.parse(RAW)[1]
        return profile.table('title', *profile.count(region, names()), 10, 1000)

    def test_everything_is_counted(self):
        for region in profile.parse(RAW):
            lines, _ = profile.count(region, names())
            self.assertEqual(sum(line.own for line in lines.values()), region.total)

    def test_a_part_is_no_call_of_its_own(self):
        lines, tree = profile.count(profile.parse(RAW)[1], names())
        self.assertEqual(lines['parent'], profile.Line(1000, 1000, 4))
        self.assertEqual(tree, {('parent',): (4, 1000), ('parent', 'by_name'): (3, 1)})

    def test_a_part_that_another_function_enters(self):
        region = profile.parse(RAW.replace('node 1 0 ffffffff81000300 4 1000',
                                           'node 1 0 ffffffff81000000 4 1000'))[1]
        lines, tree = profile.count(region, names())
        self.assertEqual(lines['parent'], profile.Line(1000, 350, 2))
        self.assertEqual(tree['first', 'parent'], (2, 350))

    def test_what_calls_itself_is_inclusive_once(self):
        lines, _ = profile.count(profile.parse(RAW)[0], names())
        self.assertEqual(lines['first'], profile.Line(10, 25, 2))

    def test_callers(self):
        _, tree = profile.count(profile.parse(RAW)[0], names())
        found = profile.callers(tree)
        self.assertEqual(found['twice (one.c)'], {'first': (1, 15)})
        self.assertEqual(found['first'], {profile.BEFORE: (1, 25), 'twice (one.c)': (1, 10)})

    def test_the_tree_leaves_out_what_is_small(self):
        tree = {('a',): (10, 90), ('a', 'b'): (20, 60), ('c',): (1, 5)}
        lines = profile.branches(tree, 10, 6)
        self.assertEqual([line.split() for line in lines],
                         [['9.0', '3.0', '1.00', 'a'], ['6.0', '6.0', '2.00', 'b']])
        self.assertLess(lines[0].index('a'), lines[1].index('b'))

    def test_rows(self):
        self.assertRegex(self.text(), r'(?m)^ +100\.0 100\.00% +0\.40 +100\.0  parent$')
        self.assertRegex(self.text(), r'(?m)^ +100\.0 100\.00% +total$')

    def test_says_how_far_it_is_from_the_figure(self):
        self.assertIn('1000 instructions counted, 1000 measured by the benchmark (+0.0000 %)',
                      self.text())

    def test_dearest_first(self):
        region = profile.parse(RAW)[0]
        text = profile.table('title', *profile.count(region, names()), 1, 30)
        self.assertLess(text.index('twice (one.c)'), text.index('first'))


class Figure(unittest.TestCase):
    TEXT = ('tests | figure msix-alloc.64 n=64 total=1300000\n'
            'kernel| figure msix-free.64 n=64 total=1\n'
            'tests | absent ims-batch-alloc.64 no-ims\n')

    def test_there(self):
        self.assertEqual(profile.figure(self.TEXT, 'msix-alloc.64'), (64, 1300000))

    def test_absent(self):
        with self.assertRaisesRegex(Fail, 'ims-batch-alloc.64 is absent: no-ims'):
            profile.figure(self.TEXT, 'ims-batch-alloc.64')

    def test_another_stream_does_not_count(self):
        with self.assertRaisesRegex(Fail, 'msix-free.64'):
            profile.figure(self.TEXT, 'msix-free.64')
