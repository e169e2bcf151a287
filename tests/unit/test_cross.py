# SPDX-License-Identifier: GPL-2.0
"""Which objects are built for an architecture, and what is wrong with them."""
import re
import unittest

from imslib import cross, kernel

# Makefiles as the kernel has them.
MAKEFILES = {
    'drivers/pci': 'obj-$(CONFIG_PCI) += access.o probe.o \\\n\t\tmsi/\n'
                   'ifdef CONFIG_PCI\nobj-$(CONFIG_SYSFS) += slot.o\nelse\n'
                   'obj-y += none.o\nendif\n',
    'drivers/pci/msi': '# a comment with irqdomain.o\n'
                       'obj-$(CONFIG_PCI_MSI) += msi.o\n'
                       'obj-$(CONFIG_PCI_MSI_IRQ_DOMAIN) += irqdomain.o\n',
    'drivers': 'obj-y += pci/\nobj-$(CONFIG_NTB) += ntb/\n',
    'drivers/ntb': 'obj-$(CONFIG_NTB) += ntb.o\nntb-y := core.o\n'
                   'ntb-$(CONFIG_NTB_MSI) += msi.o\n',
    'arch/x86': 'obj-$(subst m,y,$(CONFIG_HYPERV)) += hyperv/\n',
    'arch/x86/hyperv': 'obj-y := hv_init.o\nobj-$(CONFIG_A) += two.o\nobj-$(CONFIG_B) += two.o\n',
}


def read(directory):
    return MAKEFILES.get(directory, '')


class Files(unittest.TestCase):
    def needs(self, path, *ways):
        self.assertEqual(sorted(map(sorted, cross.needs(read, path))), sorted(map(sorted, ways)))

    def test_symbols_of_directories_count(self):
        self.needs('drivers/pci/msi/irqdomain.c', {'CONFIG_PCI', 'CONFIG_PCI_MSI_IRQ_DOMAIN'})
        self.needs('drivers/pci/probe.c', {'CONFIG_PCI'})

    def test_part_of_a_composite_object(self):
        self.needs('drivers/ntb/msi.c', {'CONFIG_NTB', 'CONFIG_NTB_MSI'})
        self.needs('drivers/ntb/core.c', {'CONFIG_NTB'})

    def test_conditionals(self):
        self.needs('drivers/pci/slot.c', {'CONFIG_PCI', 'CONFIG_SYSFS'})
        self.needs('drivers/pci/none.c', set())

    def test_module_that_counts_as_built_in(self):
        self.needs('arch/x86/hyperv/hv_init.c', {'CONFIG_HYPERV'})

    def test_two_ways(self):
        self.needs('arch/x86/hyperv/two.c', {'CONFIG_HYPERV', 'CONFIG_A'},
                   {'CONFIG_HYPERV', 'CONFIG_B'})

    def test_a_file_that_no_makefile_names_is_expected(self):
        self.needs('lib/odd.c', set())
        self.assertEqual(cross.expected(read, ['lib/odd.c'], set()), ['lib/odd.c'])

    def test_expected(self):
        paths = ['drivers/pci/msi/msi.c', 'drivers/pci/msi/irqdomain.c', 'drivers/ntb/msi.c']
        on = cross.enabled('CONFIG_PCI=y\nCONFIG_PCI_MSI=m\n# CONFIG_NTB is not set\n'
                           'CONFIG_PCI_MSI_IRQ_DOMAIN="y"\n')
        self.assertEqual(cross.expected(read, paths, on), ['drivers/pci/msi/msi.c'])


class Reasons(unittest.TestCase):
    def test_reason(self):
        text = "x.c:1:2: error: other\nmake: *** No rule to make target 'a/b.o'.\n"
        self.assertIn("No rule to make target 'a/b.o'", cross.reason('a/b.o', text))
        self.assertIn('other', cross.reason('c/d.o', text))
        self.assertIn('no message', cross.reason('c/d.o', ''))


NM = '''\
kernel/irq/msi.o: msi_alloc T 0 1c
kernel/irq/msi.o: weak_one W 1c 1c
kernel/irq/msi.o: kmalloc U
kernel/irq/msi.o: maybe w
kernel/irq/msi.o: local t 38 10
drivers/a.o: msi_alloc U
'''


class Links(unittest.TestCase):
    def test_read(self):
        defined, undefined = cross.symbols_of(NM)
        self.assertEqual(defined, {'msi_alloc', 'weak_one'})
        self.assertEqual(undefined, {'kernel/irq/msi.o': {'kmalloc'},
                                     'drivers/a.o': {'msi_alloc'}})

    def test_unresolved(self):
        full = {'provided': ['msi_alloc'], 'defined': ['msi_alloc', 'other'],
                'undefined': {'drivers/a.o': ['msi_alloc', 'kmalloc']}}
        bare = {'provided': [], 'defined': [],
                'undefined': {'drivers/a.o': ['msi_alloc', 'kmalloc', 'other']}}
        self.assertEqual(cross.unresolved({'x.msi': full, 'x.nomsi': bare}),
                         {'x.msi': [], 'x.nomsi': [('drivers/a.o', 'msi_alloc')]})


HEADER = '''
#ifndef LINUX_MSI_H
#define LINUX_MSI_H
static inline void always(void) { }
#ifdef CONFIG_PCI_MSI
int pci_one(struct pci_dev *dev);
struct msi_map pci_two(struct pci_dev *dev,
		       int index);
static inline int pci_three(void) { return pci_one(NULL); }
#else
static inline int pci_one(struct pci_dev *dev) { return -ENOSYS; }
static inline struct msi_map
pci_two(struct pci_dev *dev,
	int index)
{
	return (struct msi_map){ };
}
#endif
#ifdef CONFIG_SYSFS
#else
static inline void sysfs(void) { }
#endif
#endif
'''


class Stubs(unittest.TestCase):
    def test_found(self):
        self.assertEqual(cross.stubs_of(HEADER), {'pci_one', 'pci_two'})

    def test_forgotten(self):
        self.assertEqual(cross.without_stub(HEADER), set())
        bad = HEADER.replace('int pci_one(struct pci_dev *dev);',
                             'int pci_one(struct pci_dev *dev);\nvoid pci_new(int a,\n\tint b);')
        self.assertEqual(cross.without_stub(bad), {'pci_new'})


class Configurations(unittest.TestCase):
    def test_lost(self):
        lines = {'CONFIG_A': 'CONFIG_A=y', 'CONFIG_B': '# CONFIG_B is not set'}
        self.assertEqual(cross.lost(lines, 'CONFIG_A=y\n'), '')
        self.assertEqual(cross.lost(lines, 'CONFIG_A=y\n# CONFIG_B is not set\n'), '')
        self.assertRegex(cross.lost(lines, '# CONFIG_A is not set\n'),
                         'CONFIG_A=y is wanted.*not set')
        self.assertRegex(cross.lost(lines, ''), 'CONFIG_A=y is wanted.*no such symbol')
        self.assertRegex(cross.lost(lines, 'CONFIG_A=y\nCONFIG_B=y\n'), 'has CONFIG_B=y')

    def test_every_file_is_one_of_a_variant(self):
        names = {v.name for v in cross.variants()} | set(cross.ARCHES)
        self.assertEqual({p.name[:-len('.config')] for p in cross.CONFIGS.iterdir()}, names)
        self.assertEqual({v.arch for v in cross.variants()}, set(cross.ARCHES))

    def test_variants_differ(self):
        for v in cross.variants():
            self.assertIn('CONFIG_PCI_MSI', v.lines, v.name)
            self.assertEqual(v.lines, {**kernel.fragment(f'cross/{v.arch}.config'),
                                       **kernel.fragment(f'cross/{v.name}.config')})

    def test_users_have_reasons_and_architectures(self):
        directories = {row[1] for row in cross.ARCHES.values()} | {'every architecture'}
        self.assertEqual(set(cross.USERS), directories)
        for directory, table in cross.USERS.items():
            for path, why in table.items():
                self.assertTrue(re.search(r'\w+', why), path)
                if directory in cross.USERS and directory != 'every architecture':
                    self.assertTrue(cross.belongs(path, directory), path)

    def test_left_out(self):
        objects = [p[:-2] + '.o' for table in cross.USERS.values() for p in table]
        results = {f'{arch}.msi': objects for arch in cross.ARCHES}
        self.assertEqual(cross.left_out(results), [])
        results['um.msi'] = [o for o in objects if not o.endswith('virt-pci.o')]
        self.assertEqual(cross.left_out(results), ['arch/um/drivers/virt-pci.c'])

    def test_cannot_have(self):
        v = cross.variants()[0]
        v.optional = {'CONFIG_A': 'CONFIG_A=y', 'CONFIG_B': 'CONFIG_B=y',
                      'CONFIG_C': '# CONFIG_C is not set'}
        self.assertEqual(v.cannot_have(), [])
        v.able = {'CONFIG_B'}
        self.assertEqual(v.cannot_have(), ['CONFIG_A'])
