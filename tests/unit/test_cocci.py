# SPDX-License-Identifier: GPL-2.0
"""What the semantic patch about MSI descriptors reports, and how it is compared with marks
in test files and with rows of a page."""
import re
import unittest

from imslib import cocci
from imslib.util import ROOT, Fail

SOURCE = '''\
#include <linux/msi.h>

static int first(struct msi_desc *desc)
{
	return desc->irq;
}

static int
second(struct device *dev,
       struct msi_desc *desc)
{
	if (desc)
		use(desc->irq);
	return 0;
}

struct outside {
	struct msi_desc *desc;
};

struct table tables[] = {
	{ .size = sizeof(struct msi_desc) },
};
'''

PAGE = '''\
Page
====

.. list-table::
   :header-rows: 1

   * - File
     - Functions
     - Word
     - Why it may stay
   * - drivers/a.c
     - first(), second()
     - inside
     - A reason of
       two lines.
   * - drivers/b.c
     - third()
     - loop
     - Another.

The end
'''


class Output(unittest.TestCase):
    def test_report(self):
        text = ('./drivers/a.c:5:14-17: WARNING: uses the inside of a MSI descriptor\n'
                '61 files match\n'
                'drivers/b.h:70:1-22: WARNING: reads a MSI message from the device\n')
        self.assertEqual(cocci.reported(text), {('drivers/a.c', 5, 'inside'),
                                                ('drivers/b.h', 70, 'read')})

    def test_org(self):
        text = ('* TODO [[view:a.c::face=ovl-face1::linb=6::colb=10::cole=11][WARNING: keeps a '
                'MSI descriptor beyond the lock]]\n')
        self.assertEqual(cocci.listed(text), {('a.c', 6, 'kept')})

    def test_unknown_message(self):
        with self.assertRaisesRegex(Fail, 'none of WORDS'):
            cocci.reported('a.c:5:1-2: WARNING: does something\n')

    def test_messages_of_the_semantic_patch(self):
        text = (ROOT / 'linux' / cocci.COCCI).read_text(encoding='utf-8')
        for call in ('coccilib.report.print_report', 'coccilib.org.print_todo'):
            said = re.findall(rf'{call}\(p\[0\], "WARNING: (.*)"\)', text)
            self.assertEqual(set(said), set(cocci.WORDS.values()))

    def test_context(self):
        diff = ('--- a.c\n+++ /tmp/a.c\n@@ -3,4 +3,3 @@ x\n a\n-b\n c\n d\n'
                '@@ -20,3 +19,1 @@\n-e\n-f\n g\n')
        self.assertEqual(cocci.removed(diff), {4, 20, 21})
        self.assertEqual(cocci.removed(''), set())


class Marks(unittest.TestCase):
    def test_marks(self):
        text = 'a;\nb; /* BAD: inside */\nc; /* BAD: kept, used */\n/* BAD in words */\n'
        self.assertEqual(cocci.marks('x.c', text), {('x.c', 2, 'inside'), ('x.c', 3, 'kept'),
                                                    ('x.c', 3, 'used')})

    def test_unknown_word(self):
        with self.assertRaisesRegex(Fail, r'x\.c:1: there is no "wrong"'):
            cocci.marks('x.c', 'a; /* BAD: wrong */\n')

    def test_differences(self):
        self.assertEqual(cocci.differences({('x.c', 2, 'inside')}, {('x.c', 3, 'kept')}, 'found'),
                         ['x.c:2:inside: found and is not expected',
                          'x.c:3:kept: is expected, but not found'])
        self.assertEqual(cocci.differences({1}, {1}, 'found'), [])


class Functions(unittest.TestCase):
    def test_inside(self):
        self.assertEqual(cocci.function_at(SOURCE, 3), 'first')
        self.assertEqual(cocci.function_at(SOURCE, 5), 'first')
        self.assertEqual(cocci.function_at(SOURCE, 12), 'second')
        self.assertEqual(cocci.function_at(SOURCE, 13), 'second')

    def test_outside(self):
        self.assertEqual(cocci.function_at(SOURCE, 7), '')
        self.assertEqual(cocci.function_at(SOURCE, 18), '')
        self.assertEqual(cocci.function_at(SOURCE, 22), '')


class Rows(unittest.TestCase):
    WANTED = {('drivers/a.c', 'first', 'inside'), ('drivers/a.c', 'second', 'inside'),
              ('drivers/b.c', 'third', 'loop')}

    def test_rows(self):
        self.assertEqual(cocci.rows(PAGE), self.WANTED)

    def test_no_reason(self):
        with self.assertRaisesRegex(Fail, r'row of drivers/b\.c is no'):
            cocci.rows(PAGE.replace('Another.', ''))

    def test_no_such_word(self):
        with self.assertRaisesRegex(Fail, r'row of drivers/b\.c is no'):
            cocci.rows(PAGE.replace('- loop', '- loops'))

    def test_a_cell_less(self):
        with self.assertRaisesRegex(Fail, r'row of drivers/b\.c is no'):
            cocci.rows(PAGE.replace('     - third()\n', ''))

    def test_twice(self):
        with self.assertRaisesRegex(Fail, 'drivers/a.c first inside twice'):
            cocci.rows(PAGE.replace('second()', 'first()'))

    def test_explained(self):
        texts = {'drivers/a.c': SOURCE, 'drivers/b.c': 'void third(void)\n{\n\tloop();\n}\n',
                 'drivers/ntb/msi.c': ''}
        hits = {('drivers/a.c', 5, 'inside'), ('drivers/a.c', 12, 'inside'),
                ('drivers/a.c', 13, 'inside'), ('drivers/b.c', 3, 'loop')}
        self.assertEqual(cocci.unexplained(hits, PAGE, texts.get), [])

        wrong = cocci.unexplained(hits | {('drivers/a.c', 5, 'kept')}, PAGE, texts.get)
        self.assertEqual(len(wrong), 1)
        self.assertIn('drivers/a.c:5: first() keeps a MSI descriptor', wrong[0])

        wrong = cocci.unexplained(hits - {('drivers/b.c', 3, 'loop')}, PAGE, texts.get)
        self.assertEqual(len(wrong), 1)
        self.assertIn('drivers/b.c, third(), loop: there is no such hit', wrong[0])
