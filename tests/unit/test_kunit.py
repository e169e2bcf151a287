# SPDX-License-Identifier: GPL-2.0
"""The verdict about a run of KUnit: what must not pass for one that is complete."""
import json
import tempfile
import unittest
from pathlib import Path

from imslib import kunit, util

WARNING = ('------------[ cut here ]------------\n'
           'WARNING: CPU: 0 PID: 9 at {}+0x1/0x2\nCall Trace:\n [<6003>] ? x+0x1/0x2\n'
           '---[ end trace 0000000000000000 ]---\n')


def group(name, cases=(), subs=()):
    return {'name': name, 'test_cases': [{'name': n, 'status': s} for n, s in cases],
            'sub_groups': list(subs)}


def result(status='PASS'):
    return json.dumps(group('KUnit Test Group', subs=[
        group('msi_one', [('plain', 'PASS')], [group('each', [('a', 'PASS'), ('b', status)])]),
        group('msi_two', [('other', 'PASS')]),
    ]))


class Judge(unittest.TestCase):
    def says(self, words, text, console='', wanted=('msi_one', 'msi_two')):
        self.assertRegex(kunit.judge(text, console, wanted)[0], words)

    def test_pass(self):
        self.assertEqual(kunit.judge(result(), 'booted\n', ['msi_one', 'msi_two']), ('', 4))

    def test_status(self):
        self.says('^msi_one: b failed', result('FAIL'))
        self.says('^msi_one: b was skipped', result('SKIP'))
        self.says('^msi_one: b did not end', result('ERROR'))

    def test_missing(self):
        self.says('^msi_three did not run', result(), wanted=('msi_one', 'msi_three'))
        self.says('no suite', result(), wanted=())
        self.says('no result', '')
        self.says('no result', '{"name": 1}')

    def test_console(self):
        bad = WARNING.format('kernel/irq/msi.c:5 msi_store_alloc_irq')
        self.says('complains: WARNING', result(), bad)
        self.says('complains: BUG: KASAN', result(), 'BUG: KASAN: use-after-free in x\n')
        self.says('complains: .*Invalid wait', result(), '[ BUG: Invalid wait context ]\n')
        for place in ('kernel/irq/msi.c:5 msi_store_find_irq', 'arch/um/drivers/virt-pci.c:8 x'):
            self.assertEqual(kunit.judge(result(), WARNING.format(place), ['msi_one'])[0], '')
        only = WARNING.format('kernel/irq/irqdomain.c:5 irq_domain_remove')
        self.says('complains: WARNING', result(), only)
        self.assertEqual(kunit.judge(result(), only.replace('? x', '? domain_in_use'),
                                     ['msi_one'])[0], '')

    def test_shows(self):
        shows = kunit.PLATFORMS['x86_64'].shows
        one = 'NR_IRQS: 4352, nr_irqs: 440, preallocated irqs: 16\n'
        wanted = ['msi_one', 'msi_two']
        for console, wrong in (
                (one + 'smp: Brought up 1 node, 4 CPUs\n', ''),
                (one + 'smp: Brought up 1 node, 1 CPU\n', 'the console does not show "smp:'),
                ('NR_IRQS: 128\nsmp: Brought up 1 node, 4 CPUs\n',
                 'the console does not show "NR_IRQS:')):
            self.assertRegex(kunit.judge(result(), console, wanted, shows)[0],
                             f'^{wrong}' if wrong else '^$')


class Suites(unittest.TestCase):
    IRQ, ATH, LIB = kunit.CONFIGS
    PLAIN = ('static struct kunit_suite x_suite = {\n\t.test_cases = x_cases,\n'
             '\t.name\t= "ath_x",\n};\nkunit_test_suite(x_suite);\n')
    # An object may have one symbol, one line, and one of several Kconfig files.
    MAKEFILE = ('obj-y += irq.o\nobj-$(CONFIG_A_TEST) += msi_test.o \\\n\thbitmap_test.o\n'
                'obj-$(CONFIG_B_TEST) += smp_test.o\n')
    KCONFIG = ('config A\n\tdepends on NONSENSE\n\nconfig A_TEST\n\tbool "SMP"\n'
               '\tdepends on KUNIT=y && MSI\n\thelp\n\t  Depends on SMP, says who?\n\n'
               'config B_TEST\n\tbool\n\tdepends on KUNIT\n\tdepends on !M && SMP\n\n')

    def found(self, lacks=(), **files):
        """The suites of a tree with these files, `irq_NAME`, `ath_NAME` or `lib_NAME`"""
        with tempfile.TemporaryDirectory() as top:
            for config in kunit.CONFIGS:
                where = Path(top) / config
                where.mkdir(parents=True)
                (where / 'Makefile').write_text(self.MAKEFILE, encoding='utf-8')
            for where in (self.IRQ, self.ATH, 'lib'):
                (Path(top) / where / 'Kconfig.some').write_text(self.KCONFIG, encoding='utf-8')
            for name, text in files.items():
                where, name = name.split('_', 1)
                path = Path(top) / {'irq': self.IRQ, 'ath': self.ATH, 'lib': self.LIB}[where]
                (path / f'{name}.c').write_text(text, encoding='utf-8')
            return kunit.suites(Path(top), lacks)

    def test_both(self):
        self.assertEqual(self.found(irq_msi_test='MSI_TEST_SUITE(msi_two, a);\n'
                                                 'MSI_TEST_SUITE(msi_one, b);\n',
                                    ath_msi_test=self.PLAIN), ['ath_x', 'msi_one', 'msi_two'])
        self.assertEqual(self.found(lib_hbitmap_test=self.PLAIN), ['ath_x'])

    def test_none(self):
        self.assertEqual(self.found(), [])
        self.assertEqual(self.found(irq_msi='MSI_TEST_SUITE(msi_two, a);\n',
                                    ath_pci=self.PLAIN), [])

    def test_not_a_suite(self):
        self.assertEqual(self.found(
            irq_msi_test='#define MSI_TEST_SUITE(_name) \\\n'
                         '\tstatic struct kunit_suite _name = { .name = #_name }\n',
            ath_msi_test='struct kunit_case x = { .name = "ath_x" };\n'
                         'static struct kunit_suite y = {\n};\nz = { .name = "z" };\n'), [])

    def test_no_name(self):
        with self.assertRaisesRegex(util.Fail, 'msi_test.c has a suite whose name'):
            self.found(irq_msi_test='static struct kunit_suite x = {\n\t.name = NAME,\n};\n'
                                    'kunit_test_suite(x);\n')

    def test_lacks(self):
        files = {'irq_msi_test': 'MSI_TEST_SUITE(msi_one, a);\n', 'irq_smp_test': self.PLAIN}
        self.assertEqual(self.found(**files), ['ath_x', 'msi_one'])
        self.assertEqual(self.found(lacks=('SMP', 'OF'), **files), ['msi_one'])
        self.assertEqual(self.found(lacks=('SM', 'NONSENSE'), **files), ['ath_x', 'msi_one'])

    def test_not_built(self):
        with self.assertRaisesRegex(util.Fail, 'has no symbol for my_test.o'):
            self.found(irq_my_test=self.PLAIN)

    def test_platform_has_what_it_lacks(self):
        self.assertEqual(kunit.lacking('CONFIG_SMP=y\nCONFIG_OF_IRQ=y\n', ('OF', 'SMP')), ['SMP'])
        self.assertEqual(kunit.lacking('# CONFIG_SMP is not set\n', ('OF', 'SMP')), [])


class OneSuite(unittest.TestCase):
    NAMES = ('hbitmap', 'msi_one', 'msi_two')

    def test_choose(self):
        for glob, chosen in (('', self.NAMES), ('*', self.NAMES), ('msi_*', self.NAMES[1:]),
                             ('msi_one', ('msi_one',)), ('msi_*.plain', self.NAMES[1:])):
            self.assertEqual(kunit.choose(self.NAMES, glob), list(chosen))

    def test_nothing_matches(self):
        with self.assertRaisesRegex(util.Fail, '^SUITE=msi matches none .*: hbitmap, msi_one, '
                                               'msi_two$'):
            kunit.choose(self.NAMES, 'msi')

    def test_one_test(self):
        self.assertEqual(kunit.one_test(result(), ['msi_none', 'msi_two']), ['msi_two'])
        self.assertEqual(kunit.one_test(result(), ['msi_none']), ['msi_none'])
        self.assertEqual(kunit.one_test('', ['msi_two']), ['msi_two'])

    def test_shown(self):
        self.assertEqual(kunit.shown('$ kunit.py run\n[10:00:00] Building ...\nCC x.o\n'
                                     '[10:00:01] Starting KUnit Kernel (1/1)...\n'
                                     '[10:00:02] [PASSED] plain\n=== the console\n[10:00:03] x\n'),
                         ['[10:00:02] [PASSED] plain'])
        self.assertEqual(kunit.shown('[10:00:00] Building ...\nx.c:1: error: y\n'), [])


class Forget(unittest.TestCase):
    def test_what_is_left(self):
        with tempfile.TemporaryDirectory() as top:
            out = Path(top)
            for name in ('.config', 'last_used_kunitconfig', 'result.json', 'test.log', 'vmlinux'):
                (out / name).write_text('old', encoding='ascii')
            kunit.forget(out)
            self.assertEqual([path.name for path in out.iterdir()], ['vmlinux'])
