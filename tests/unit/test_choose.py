# SPDX-License-Identifier: GPL-2.0
"""Which tests a command runs."""
import types
import unittest
from unittest import mock

import conftest


def item(name, **marks):
    """A test: marks are {name: (args, kwargs)}"""
    found = {mark: types.SimpleNamespace(args=args, kwargs=kwargs)
             for mark, (args, kwargs) in marks.items()}
    return types.SimpleNamespace(nodeid=name, get_closest_marker=found.get)


def rare(name, minutes):
    return item(name, rare=((), {'minutes': minutes, 'why': 'x'}))


QUICK, PLAIN = item('quick', quick=((), {})), item('plain')
DOCS = item('docs', needs=(('Documentation/', r'.*\.rst$'), {}))
RARE = [rare(f'rare{n}', minutes) for n, minutes in enumerate([12, 6, 4, 3, 2, 2, 1, 1, 1])]
ALL = [QUICK, PLAIN, DOCS, *RARE]


class Shares(unittest.TestCase):
    def test_each_test_is_in_one_share(self):
        for items in (RARE, RARE[::-1], RARE[:1], []):
            parts = conftest.shares(items)
            self.assertEqual(sorted(i.nodeid for part in parts for i in part),
                             sorted(i.nodeid for i in items))
            for part in parts:
                self.assertTrue(len(part) == 1 or
                                sum(map(conftest.rare, part)) <= conftest.SHARE)

    def test_shares_do_not_depend_on_the_order(self):
        self.assertEqual([[i.nodeid for i in part] for part in conftest.shares(RARE)],
                         [[i.nodeid for i in part] for part in conftest.shares(RARE[::-1])])


class Choose(unittest.TestCase):
    def chosen(self, tier, commit='0' * 40, changed=()):
        with mock.patch.object(conftest, 'head', return_value=commit), \
                mock.patch.object(conftest, 'changed', return_value=set(changed)):
            return [i.nodeid for i in conftest.choose(ALL, tier)]

    def test_quick(self):
        self.assertEqual(self.chosen('quick'), ['quick'])
        self.assertEqual(self.chosen('quick', changed=['kernel/irq/msi.c']), ['quick'])
        for name in ('Documentation/x', 'README.rst'):
            self.assertEqual(self.chosen('quick', changed=[name]), ['quick', 'docs'])

    def test_all(self):
        self.assertEqual(self.chosen('all'), [i.nodeid for i in ALL])

    def test_check_leaves_no_rare_test_out_for_good(self):
        seen = set()
        for number in range(len(RARE)):
            found = self.chosen('check', f'{number:012x}' + 28 * '0')
            self.assertEqual(found[:3], ['quick', 'plain', 'docs'])
            self.assertLess(len(found), len(ALL))
            seen |= set(found[3:])
        self.assertEqual(seen, {i.nodeid for i in RARE})
