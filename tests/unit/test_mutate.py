# SPDX-License-Identifier: GPL-2.0
"""Mutants of C source."""
import unittest

import mutate

# One of each kind, and what must be left alone
SOURCE = '''\
/* if (x) goto y; */
#define TWICE(x)	do { if (x) twice(x); \\
			} while (0)

static struct ops ops = {
	.call = call(1),
};

static bool fits(unsigned int nr,
		 unsigned int size)
{
	return nr < size && size <= 1;
}

/* { */
int make(struct store *store, unsigned int nr)
{
	unsigned long flags;
	int ret = -ENOMEM, i;

	lockdep_assert_held(&store->mutex);
	if (!fits(nr, store->size) ||
	    WARN_ON(!nr))
		return -EINVAL;

	ret = prepare(store, /* why */ nr - 1);
	if (ret) {
		dev_err(store->dev, "prepare(); }\\n");
		goto out;
	}

	raw_spin_lock_irqsave(&store->lock, flags);
	for (i = 0; i < nr; i++)
		set(store,
		    i);
	smp_wmb();
	raw_spin_unlock_irqrestore(&store->lock, flags);
	if (nr > 1)
		tell(store);
	else
		tell(store);
	return store->x->y;
out:
	undo(store);
	return ret;
}
'''
NAMES = {
    'fits(): negate: return nr < size && size <= 1; -> return !(nr < size && size <= 1);',
    'fits(): bound: return nr < size && size <= 1; -> return nr <= size && size <= 1;',
    'fits(): bound: return nr < size && size <= 1; -> return nr < size && size < 1;',
    'make(): negate: if (!fits(nr, store->size) || WARN_ON(!nr)) -> '
    'if (!(!fits(nr, store->size) || WARN_ON(!nr)))',
    'make(): negate: if (ret) { -> if (!(ret)) {',
    'make(): negate: if (nr > 1) -> if (!(nr > 1))',
    'make(): error: if (ret) { -> if ((ret) && 0) {',
    'make(): errno: int ret = -ENOMEM, i; -> int ret = -EINVAL, i;',
    'make(): errno: return -EINVAL; -> return -ENOMEM;',
    'make(): bound: ret = prepare(store, nr - 1); -> ret = prepare(store, nr - 0);',
    'make(): bound: for (i = 0; i < nr; i++) -> for (i = 0; i <= nr; i++)',
    'make(): bound: if (nr > 1) -> if (nr >= 1)',
    'make(): lock: raw_spin_lock_irqsave(&store->lock, flags);',
    'make(): barrier: smp_wmb();',
    'make(): call: set(store, i);',
    'make(): call: tell(store);',
    'make(): call: tell(store); #2',
    'make(): call: undo(store);',
}


class Mutants(unittest.TestCase):
    def setUp(self):
        self.found = {m.name: m for m in mutate.mutants('x.c', SOURCE)}

    def lines(self, name):
        """What the mutant has in the place of which lines"""
        before = SOURCE.splitlines()
        after = self.found[f'x.c: {name}'].apply(SOURCE).splitlines()
        self.assertEqual(len(before), len(after))
        return [new.strip() for old, new in zip(before, after) if old != new]

    def test_names(self):
        self.assertEqual(set(self.found), {f'x.c: {name}' for name in NAMES})
        self.assertEqual({m.kind for m in self.found.values()}, set(mutate.KINDS))

    def test_what_is_left_out_is_still_there(self):
        self.assertEqual(self.lines('make(): call: set(store, i);'),
                         ['do { if (0) set(store,', 'i); } while (0);'])
        self.assertEqual(self.lines('make(): call: tell(store); #2'),
                         ['do { if (0) tell(store); } while (0);'])

    def test_a_lock_is_left_out_with_its_unlock(self):
        lock = 'raw_spin_lock_irqsave(&store->lock, flags);'
        self.assertEqual(self.lines(f'make(): lock: {lock}'),
                         [f'do {{ if (0) {lock} }} while (0);',
                          'do { if (0) raw_spin_unlock_irqrestore(&store->lock, flags); }'
                          ' while (0);'])

    def test_names_do_not_depend_on_the_place(self):
        moved = mutate.mutants('x.c', '\nint x(void)\n{\n\tif (y)\n\t\tz();\n}\n' + SOURCE)
        self.assertEqual({m.name for m in moved if 'x():' not in m.name},
                         set(self.found))

    def test_draw(self):
        found = list(self.found.values())

        def drawn(*args):
            return [m.name for m in mutate.draw(*args)]
        self.assertEqual(drawn(found, (), 5, 1), drawn(found[::-1], (), 5, '1'))
        self.assertNotEqual(drawn(found, (), 5, 1), drawn(found, (), 5, 2))
        self.assertEqual(len(set(drawn(found, (), 99, 1))), len(NAMES))
        self.assertEqual(set(drawn(found, ('x.c: make(): *', 'x.c: fits(): bound'), 99, 1)),
                         {name for name in self.found if 'fits():' in name})


class Accepted(unittest.TestCase):
    def test_each_has_a_reason(self):
        self.assertEqual(mutate.accepted('# Head\n\nx.c: f(): *\n\tWhy\nx.c: g(): call: h();\n'
                                         '\tBecause\n'),
                         {'x.c: f(): *': 'Why', 'x.c: g(): call: h();': 'Because'})
        for text in ('x.c: f(): *\n', 'x.c: f(): *\ny.c: g(): *\n\tWhy\n', '\tWhy\n',
                     'x.c: f(): *\n\tWhy\n\tand\n'):
            with self.assertRaisesRegex(ValueError, '^no reason'):
                mutate.accepted(text)
