# SPDX-License-Identifier: GPL-2.0
"""The rules that the sources of the series have to keep."""
import unittest

from imslib import rules

GOOD = {
    'drivers/irqchip/irq-a.c': '#include <linux/irqchip/msi-storage.h>\n'
                               'static const struct msi_storage_ops ops = {\n'
                               'pci_create_ims_store(pdev, &tmpl, 1, NULL);\n'
                               'MODULE_IMPORT_NS(MSI_STORAGE);\n',
    'drivers/irqchip/Makefile': 'ccflags-y := -DMSI_STORAGE_PROVIDER\n',
    'drivers/pci/msi/api.c': '#include <linux/irqchip/msi-storage.h>\n'
                             'msi_create_store(dev);\n',
    'kernel/irq/msi.c': 'int msi_create_store(struct device *dev)\n',
    'include/linux/pci.h': 'struct msi_storage_template;\n',
}

OBJECT = '''
a.o:     file format elf64-x86-64

SYMBOL TABLE:
0000000000000000 l    df *ABS*\t0000000000000000 a.c
0000000000000040 l     O .rodata\t0000000000000050 a_ops
0000000000000000 g     O .data\t0000000000000050 b_ops
0000000000000000 g     O .rodata.str1\t0000000000000050 .hidden c_ops
0000000000000000         *UND*\t0000000000000000 d_ops
'''


class Places(unittest.TestCase):
    def test_good(self):
        self.assertEqual(rules.misplaced(GOOD), [])

    def test_elsewhere(self):
        for line in ('MODULE_IMPORT_NS(MSI_STORAGE);', 'MODULE_IMPORT_NS( MSI_STORAGE );',
                     '#include <linux/irqchip/msi-storage.h>', '# include "msi-storage.h"',
                     'ret = pci_create_ims_store(pdev, tmpl, 1, NULL);',
                     'ret = msi_create_store(dev, tmpl, 1, NULL);',
                     'struct msi_storage_ops ops = { };',
                     'const struct msi_storage_template *tmpl;', '#define MSI_STORAGE_PROVIDER',
                     'CFLAGS_a.o := -DMSI_STORAGE_PROVIDER=1'):
            wrong = rules.misplaced({**GOOD, 'drivers/misc/b.c': f'\n{line}\n'})
            self.assertEqual(len(wrong), 1, line)
            self.assertTrue(wrong[0].startswith('drivers/misc/b.c:2 '), wrong)

    def test_not_even_at_home(self):
        wrong = rules.misplaced({**GOOD,
                                 'drivers/irqchip/irq-b.c': '#define MSI_STORAGE_PROVIDER 1\n'})
        self.assertEqual(len(wrong), 1)

    def test_nothing_to_see(self):
        left = {path: text for path, text in GOOD.items() if 'irqchip' not in path}
        self.assertIn('nothing in drivers/irqchip/ imports MSI_STORAGE: mend PLACES in rules.py',
                      rules.misplaced(left))

    def test_comments_do_not_count(self):
        text = rules.code('/* See\n * pci_create_ims_store() */\nint a; '
                          '// struct msi_storage_ops\n')
        self.assertEqual(text.count('\n'), 3)
        self.assertEqual(rules.misplaced({**GOOD, 'drivers/misc/b.c': text}), [])

    def test_searched(self):
        for path in ('a/b.c', 'a/b.h', 'a/b.S', 'a/Makefile', 'Kbuild'):
            self.assertTrue(rules.SEARCHED.search(path), path)
        for path in ('a/b.rst', 'a/Kconfig', 'a/Makefile.txt'):
            self.assertFalse(rules.SEARCHED.search(path), path)


class Definitions(unittest.TestCase):
    def test_names(self):
        names, wrong = rules.definitions(
            'struct msi_storage_template;\n'
            'struct msi_storage_ops {\n'
            'static const struct msi_storage_ops a_ops = {\n'
            'const struct msi_storage_template b_template =\n'
            'static const struct msi_storage_template c_templates[2] = {\n'
            'static void f(const struct msi_storage_template *tmpl)\n'
            '\tconst struct msi_storage_ops *ops = tmpl->ops;\n'
            '\tsize = sizeof(struct msi_storage_ops);\n')
        self.assertEqual(names, ['a_ops', 'b_template', 'c_templates'])
        self.assertEqual(wrong, [])

    def test_wrong(self):
        for line in ('static struct msi_storage_ops a = {', 'struct msi_storage_template a = {',
                     'static struct msi_storage_ops a;', '\tstruct msi_storage_ops ops;',
                     'const struct msi_storage_template TEMPLATE(a);'):
            names, wrong = rules.definitions(line + '\n')
            self.assertEqual((names, len(wrong)), ([], 1), line)

    def test_section(self):
        for name, section in (('a_ops', '.rodata'), ('b_ops', '.data'), ('c_ops', '.rodata.str1'),
                              ('d_ops', '*UND*'), ('e_ops', None), ('ops', None)):
            self.assertEqual(rules.section_of(OBJECT, name), section, name)
