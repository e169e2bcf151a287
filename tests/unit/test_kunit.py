# SPDX-License-Identifier: GPL-2.0
"""The verdict about a run of KUnit: what must not pass for one that is complete."""
import json
import tempfile
import unittest
from pathlib import Path

from imslib import kunit

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


class Suites(unittest.TestCase):
    IRQ, ATH, LIB = kunit.CONFIGS
    PLAIN = ('static struct kunit_suite x_suite = {\n\t.test_cases = x_cases,\n'
             '\t.name = "ath_x",\n};\nkunit_test_suite(x_suite);\n')

    def found(self, **files):
        """The suites of a tree with these files, `irq_NAME`, `ath_NAME` or `lib_NAME`"""
        with tempfile.TemporaryDirectory() as top:
            for name, text in files.items():
                where, name = name.split('_', 1)
                tops = {'irq': self.IRQ, 'ath': self.ATH, 'lib': self.LIB}
                path = Path(top) / tops[where] / f'{name}.c'
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding='utf-8')
            return kunit.suites(Path(top))

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
