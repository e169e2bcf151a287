# SPDX-License-Identifier: GPL-2.0
"""What the page about message stores says, and how it is compared with the code."""
import unittest
from pathlib import Path

from imslib import docs
from imslib.util import Fail

DOMAIN = '''\
/*
 * Device MSI domains
 *
 *	device domain -> parent domain
 *
 *   irq_chip callback		store's part		parent's part
 *   -----------------		------------		-------------
 *   irq_mask			mask, unless		afterwards, if MSI_PARENT_MASK
 *				MSI_STORAGE_NO_MASK
 *   irq_ack			-			if MSI_PARENT_ACK
 *   irq_set_affinity		write_msg, unless	decides
 *				MSI_PARENT_STABLE_MSG
 *   the same with		write_msg, when		set_affinity_nomask, if
 *   MSI_STORAGE_NO_MASK	the parent says so	the parent has it
 *   irq_bus_lock		lock			first
 *
 * In a deferred store this is different:
 *
 *   irq_bus_lock		take the bus lock, lock	first
 *
 * Invariants:
 *
 *   - A rule of		no table		at all
 */
static const char *msi_template_error(const struct msi_storage_template *tmpl)
{
	if (!tmpl->name)
		return "it has no name";
	return NULL;
}

static const char *msi_template_place_error(const struct msi_storage_template *tmpl)
{
	return tmpl->owner ? "it has an owner" : NULL;
}

static const char *msi_parent_error(const struct msi_storage_template *tmpl)
{
	return "it cannot";
}
'''
CONTRACT = 'x = {\n\t[MSI_CONTRACT_SLEPT]\t\t= "slept",\n};\n'
HEADER = 'enum {\n\t/* Why */\n\tMSI_STORAGE_NO_MASK\t\t= (1 << 1),\n' \
         '\tMSI_STORAGE_FLAGS\t\t= (1 << 4) - 1,\n};\n'
TRACE = 'DEFINE_EVENT(msi_irq, msi_alloc,\n\tTP_PROTO(int a));\nTRACE_EVENT(msi_mask,\n'

PARENTS = '''
\t.lacks\t\t= "interrupt remapping",
'''
PAGE = '''\
Title
=====

=================================  =========================  ==================
irq_chip callback                  Store's part               Parent's part
=================================  =========================  ==================
irq_mask                           mask, unless               afterwards, if
                                   MSI_STORAGE_NO_MASK        MSI_PARENT_MASK
irq_ack                            \\-                         if MSI_PARENT_ACK
irq_set_affinity                   write_msg, unless          decides
                                   MSI_PARENT_STABLE_MSG
the same with MSI_STORAGE_NO_MASK  write_msg, when the        set_affinity_nomask,
                                   parent says so             if the parent has it
irq_bus_lock                       lock                       first
=================================  =========================  ==================

=================================  =========================  ==================
irq_chip callback                  Store's part               Parent's part
=================================  =========================  ==================
irq_bus_lock                       take the bus lock, lock    first
=================================  =========================  ==================

===========  ==============  ===================
Enforced by  Rule            Otherwise
===========  ==============  ===================
compiler     Something       is wrong
debug        Ops don't       slept [#m]_
             sleep
===========  ==============  ===================

.. [#m] Sometimes

======================  ====
Invalid message store:  Mend
======================  ====
it has no name          name
it has an owner         none
======================  ====

It is refused with one of these reasons:

 * this requires interrupt remapping
 * it cannot


Next
====

=======================  ====
Flag                     What
=======================  ====
``MSI_STORAGE_NO_MASK``  none
=======================  ====

=========  ====
Event      When
=========  ====
msi_alloc  now
msi_mask   then
=========  ====
'''


class Compare(unittest.TestCase):
    def differs(self, page=PAGE, domain=DOMAIN, contract=CONTRACT, header=HEADER, trace=TRACE,
                parents=PARENTS):
        return docs.compare(page, domain, contract, header, trace, parents)

    def test_the_same(self):
        self.assertEqual(self.differs(), [])

    def test_a_cell_differs(self):
        for old, new in (('irq_ack   ', 'irq_eoi   '), ('MSI_PARENT_ACK', 'MSI_PARENT_EOI'),
                         ('take the bus lock, lock', 'lock, take the bus lock'),
                         ('the parent has it', 'the parent lacks it')):
            self.assertEqual(len(self.differs(page=PAGE.replace(old, new, 1))), 2, old)

    def test_a_row_is_missing(self):
        page = PAGE.replace('irq_ack                            \\-                         if '
                            'MSI_PARENT_ACK\n', '')
        self.assertEqual(len(self.differs(page)), 1)

    def test_each_other_list(self):
        for name, text, old, new in (
                ('domain', DOMAIN, '"it has no name"', '"it has none"'),
                ('domain', DOMAIN, '"it has an owner"', '"it has two"'),
                ('domain', DOMAIN, '"it cannot"', '"it can"'),
                ('contract', CONTRACT, 'slept', 'woke up'),
                ('header', HEADER, 'MSI_STORAGE_NO_MASK', 'MSI_STORAGE_OTHER'),
                ('trace', TRACE, 'msi_alloc', 'msi_other'),
                ('trace', TRACE, 'msi_mask', 'msi_other')):
            self.assertEqual(len(self.differs(**{name: text.replace(old, new)})), 2, new)

    def test_the_table_is_gone(self):
        with self.assertRaises(Fail):
            self.differs(domain=DOMAIN.replace('irq_chip callback', 'something'))
        with self.assertRaises(Fail):
            self.differs(domain=DOMAIN.replace('msi_parent_error', 'parent_error'))


class Pages(unittest.TestCase):
    def test_what_is_pulled_in(self):
        text = ('.. kernel-doc:: a/b.c\n   :export:\n\n'
                '.. literalinclude:: ../../c/d.h\n   :language: c\n\n'
                '.. literalinclude:: e.txt\n')
        self.assertEqual(docs.pulled_in('core-api/page', text),
                         {'a/b.c', 'c/d.h', 'Documentation/core-api/e.txt'})

    def test_names(self):
        text = ('Call some_call() with a struct some_type, ``CONFIG_SOME`` or ``not this``.\n'
                'See Documentation/some/page.rst, drivers/some/file.c and\n'
                '<linux/some.h>, but not /sys/kernel/debug/irq, like this::\n\n'
                '   printed_call() in Documentation/no.rst\n\n'
                '.. code-block:: c\n\n   foo_call();\n\n   bar_call();\n\nAnd last_call().\n')
        words, paths = docs.named(text)
        self.assertEqual(words, {'some_call', 'some_type', 'CONFIG_SOME', 'last_call'})
        self.assertEqual(paths, {'Documentation/some/page.rst', 'drivers/some/file.c',
                                 'include/linux/some.h'})

    def test_examples(self):
        text = ('.. code-block:: c\n\n   int a;\n\n   int b;\n\nText::\n\n   no code\n\n'
                '.. code-block:: c\n\n   int c;\n')
        self.assertEqual(docs.examples(text).split(), 'int a; int b; int c;'.split())

    def test_exported(self):
        text = ('/**\n * one - It\n */\nEXPORT_SYMBOL(one);\n'
                '/**\n * two - It\n */\nEXPORT_SYMBOL_NS_GPL(two, NS);\n'
                'EXPORT_SYMBOL_GPL(three);\n')
        self.assertEqual(docs.exported(text), {'one', 'two'})

    def test_complaints(self):
        text = 'Using classic theme\n\n/x/Documentation/a.rst:1: WARNING: b\n'
        self.assertEqual(docs.complaints(text, Path('/x')),
                         ['Documentation/a.rst:1: WARNING: b'])
