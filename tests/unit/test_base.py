# SPDX-License-Identifier: GPL-2.0
"""What is taken as a base, on a kernel of four files."""
import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from imslib import base, util

MAKEFILE = 'VERSION = 6\nPATCHLEVEL = {}\nSUBLEVEL = {}\nEXTRAVERSION =\n'


class Small(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.top = Path(holder.name)
        self.tree = self.kernel('linux', 192)
        for what in (mock.patch.object(base, 'RECORD', self.top / 'base'),
                     mock.patch.object(util, 'LOGS', self.top / 'log'),
                     mock.patch.dict(os.environ, {'IMS_CACHE': str(self.top / 'cache'),
                                                  'KERNEL_SRC': str(self.tree)}),
                     mock.patch.object(base, 'say'), mock.patch.object(util, 'say')):
            what.start()
            self.addCleanup(what.stop)

    def kernel(self, name, sublevel, patchlevel=1):
        tree = self.top / name
        (tree / 'kernel/irq').mkdir(parents=True)
        (tree / 'Makefile').write_text(MAKEFILE.format(patchlevel, sublevel), encoding='ascii')
        (tree / 'kernel/irq/msi.c').write_text('int msi;\n', encoding='ascii')
        (tree / 'kernel/fork.c').write_text('int fork;\n', encoding='ascii')
        (tree / '.gitignore').write_text('*.o\n\n#\n# Debian packaging\n#\n/*\n!/debian/\n',
                                         encoding='ascii')
        return tree

    def use(self, path):
        os.environ['KERNEL_SRC'] = str(path)
        return base.get()

    def pack(self, tree, name='linux.tar.xz'):
        path = self.top / name
        subprocess.run(['tar', '-cJf', path, '-C', tree.parent, tree.name], check=True)
        return path

    def entries(self):
        top = self.top / 'cache/base'
        return sorted(top.iterdir()) if top.exists() else []

    def record(self):
        text = base.format_record(base.get(), ['kernel/irq/msi.c'])
        base.RECORD.write_text(text, encoding='ascii')
        return text


class Source(Small):
    def test_tree_and_tarball_are_the_same(self):
        self.assertEqual(self.use(self.tree).commit, self.use(self.pack(self.tree)).commit)

    def test_new_files_show_up(self):
        made = base.get()
        text = util.git('cat-file', 'blob', f'{made.commit}:.gitignore', repo=made.repo)
        self.assertEqual(text, '*.o\n\n')
        self.assertIn('/*', (self.tree / '.gitignore').read_text(encoding='ascii'))

    def test_a_changed_tree_is_another_base(self):
        first = base.get()
        (self.tree / 'kernel/fork.c').write_text('int spoon;\n', encoding='ascii')
        self.assertNotEqual(first.tree, base.get().tree)

    def test_not_linux(self):
        for path in (self.kernel('newer', 3, patchlevel=6), self.top / 'nowhere', self.top):
            with self.assertRaisesRegex(util.Fail, 'KERNEL_SRC='):
                self.use(path)
        self.assertEqual(self.entries(), [])

    def test_built_in(self):
        (self.tree / '.config').touch()
        with self.assertRaisesRegex(util.Fail, 'mrproper'):
            base.get()

    def test_broken_tarball(self):
        path = self.pack(self.tree)
        good = path.read_bytes()
        for bad in (good[:len(good) // 2], b'', b'no tarball\n', good[:60] + b'x' + good[61:]):
            path.write_bytes(bad)
            with self.assertRaisesRegex(util.Fail, 'corrupt|is no Linux 6.1'):
                self.use(path)
            self.assertEqual(self.entries(), [])
        path.write_bytes(good)
        self.assertEqual(self.use(path).kernel, '6.1.192')


class Record(Small):
    def test_same_base(self):
        self.record()
        self.assertEqual(base.moved(base.get()), [])

    def test_other_files_may_change(self):
        before = self.record()
        newer = self.kernel('newer', 200)
        (newer / 'kernel/fork.c').write_text('int spoon;\n', encoding='ascii')
        made = self.use(newer)
        self.assertEqual(base.moved(made), [])
        self.assertEqual(base.format_record(made, ['kernel/irq/msi.c']), before)

    def test_a_recorded_file_changed(self):
        self.record()
        newer = self.kernel('newer', 200)
        (newer / 'kernel/irq/msi.c').write_text('long msi;\n', encoding='ascii')
        self.assertEqual(base.moved(self.use(newer)), ['kernel/irq/msi.c'])
        text = base.format_record(base.get(), ['kernel/irq/msi.c'])
        self.assertIn('kernel 6.1.200\n', text)

    def test_a_recorded_file_is_gone(self):
        self.record()
        newer = self.kernel('newer', 200)
        (newer / 'kernel/irq/msi.c').unlink()
        self.assertEqual(base.moved(self.use(newer)), ['kernel/irq/msi.c'])
