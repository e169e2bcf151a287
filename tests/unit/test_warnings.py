# SPDX-License-Identifier: GPL-2.0
"""What counts as a new warning of the series."""
import unittest

from imslib import warnings

LOG = '''\
/cache/kernel-src/linux/kernel/irq/msi.c: In function 'f':
/cache/kernel-src/linux/kernel/irq/msi.c:12:3: warning: unused variable 'x' [-Wunused-variable]
/cache/kernel-src/linux/kernel/irq/msi.c:80:3: warning: unused variable 'x' [-Wunused-variable]
/cache/kernel-src/linux/kernel/irq/msi.c:80:3: note: it is here
../include/linux/msi.h:7: warning: array of 16 bytes
/cache/kernel-src/cross-um/stubs/stubs.c:5:9: error: no such thing
'''
UNUSED = "kernel/irq/msi.c: warning: unused variable 'x' [-Wunused-variable]"

# What make prints for um in an empty O= directory, and in one that was used. The first
# line of make is about what it makes on the way, the last about an object that nobody
# asked for.
PREPARED = '''\
  SYNC    include/config/auto.conf.cmd
  CC      arch/x86/um/user-offsets.s
/c/kernel-src/linux/arch/x86/um/user-offsets.c:17:6: warning: no previous prototype for 'foo' [-W]
   17 | void foo(void)
      |      ^~~
  HOSTCC  scripts/kallsyms
/c/kernel-src/linux/scripts/kallsyms.c:3:1: warning: of a host tool [-W]
  CC      arch/um/kernel/asm-offsets.s
In file included from /c/kernel-src/linux/arch/um/kernel/asm-offsets.c:3:
/c/kernel-src/linux/arch/x86/um/shared/sysdep/kernel-offsets.h:9:6: warning: no previous [-W]
  CALL    /c/kernel-src/linux/scripts/checksyscalls.sh
'''
ASKED = '''\
  CC      kernel/irq/msi.o
/c/kernel-src/linux/kernel/irq/msi.c:17:6: warning: of the object [-W]
  CHECK   /c/kernel-src/linux/kernel/irq/msi.c
/c/kernel-src/linux/kernel/irq/msi.c:18:6: warning: of sparse
make[2]: Leaving directory '/c/kernel-src/cross-um'
/c/kernel-src/linux/kernel/irq/late.c:1:1: warning: of nothing [-W]
  CC [M]  /c/kernel-src/cross-um/stubs/stubs.o
/c/kernel-src/cross-um/stubs/stubs.c:5: warning: of the stubs [-W]
'''
OBJECTS = ['kernel/irq/chip.o', 'kernel/irq/msi.o', 'stubs/stubs.o']
SAID = {'kernel/irq/msi.o': {'kernel/irq/msi.c: warning: of the object [-W]': 1,
                             'kernel/irq/msi.c: warning: of sparse': 1},
        'stubs/stubs.o': {'stubs/stubs.c: warning: of the stubs [-W]': 1}}


class Texts(unittest.TestCase):
    def test_read(self):
        self.assertEqual(warnings.warnings_of(LOG), {
            UNUSED: 2, '../include/linux/msi.h: warning: array of N bytes': 1,
            'stubs/stubs.c: error: no such thing': 1})

    def test_first_build_and_later_ones_say_the_same(self):
        self.assertEqual(warnings.said(PREPARED + ASKED, OBJECTS), SAID)
        self.assertEqual(warnings.said(ASKED, OBJECTS), SAID)

    def test_an_object_that_is_compiled_twice_counts_once(self):
        self.assertEqual(warnings.said(ASKED + ASKED, OBJECTS), SAID)

    def test_what_two_directories_lead_to_is_built_alone(self):
        self.assertEqual(warnings.rounds(['arch/x86/pci/xen.o', 'kernel/irq/msi.o']),
                         [((), ['kernel/irq/msi.o']), (('-j1',), ['arch/x86/pci/xen.o'])])
        self.assertEqual(warnings.rounds(['kernel/irq/msi.o']), [((), ['kernel/irq/msi.o'])])
        self.assertEqual(warnings.rounds([]), [])

    def test_directories_that_only_a_used_directory_has(self):
        line = 'cc1: warning: {}: No such file or directory [-Wmissing-include-dirs]'
        self.assertEqual(warnings.warnings_of(line.format('./arch/x86/generated')), {})
        self.assertEqual(len(warnings.warnings_of(line.format('/src/arch/x86/mistyped'))), 1)

    def test_architecture(self):
        for path, where in (('arch/x86/kernel/apic/msi.c', 'x86'), ('kernel/irq/msi.c', 'x86'),
                            ('kernel/irq/msi.c', 's390'),
                            ('drivers/irqchip/irq-gic-v3-its.c', 'arm64')):
            self.assertTrue(warnings.belongs(path, where))
        for path, where in (('arch/x86/kernel/apic/msi.c', 'um'), ('include/linux/msi.h', 'x86'),
                            ('drivers/irqchip/irq-gic-v3-its.c', 'x86'),
                            ('tools/testing/selftests/msi/msi_test.c', 'x86')):
            self.assertFalse(warnings.belongs(path, where))


class New(unittest.TestCase):
    def new(self, series, base):
        series, base = ({'kernel/irq/msi.o': warnings.warnings_of(text)} if text else {}
                        for text in (series, base))
        return warnings.new_warnings(series, base)

    def test_the_same_line_elsewhere_is_not_new(self):
        self.assertEqual(self.new(LOG.replace(':12:3:', ':99:1:').replace('16', '24'), LOG), [])

    def test_one_more_of_the_same_is_new(self):
        self.assertEqual(self.new(LOG + LOG.splitlines()[1], LOG), [UNUSED])

    def test_what_the_base_does_not_say_is_new(self):
        self.assertIn(UNUSED, self.new(LOG, ''))
        self.assertEqual(self.new('', LOG), [])

    def test_what_another_object_says_is_no_excuse(self):
        old = {'kernel/irq/chip.o': warnings.warnings_of(LOG)}
        self.assertIn(UNUSED, warnings.new_warnings(
            {'kernel/irq/msi.o': warnings.warnings_of(LOG)}, old))
