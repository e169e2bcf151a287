# SPDX-License-Identifier: GPL-2.0
"""What a kernel is found by, on git trees of a few files."""
import os
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

from imslib import boot, kernel, util

FILES = ('Makefile', 'MAINTAINERS', 'kernel/fork.c', 'Documentation/Kconfig',
         'Documentation/core-api/msi.rst', 'tools/objtool/check.c',
         'tools/testing/selftests/msi/ims.c')


class Sources(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.top = Path(holder.name)
        self.base = types.SimpleNamespace(repo=self.top / '.git')
        util.git('init', '-q', self.top)

    def sources(self, files):
        """The digest of a tree with these {path: text}"""
        util.git('-C', self.top, 'read-tree', '--empty')
        for path, text in files.items():
            blob = util.git('-C', self.top, 'hash-object', '-w', '--stdin', stdin=text).strip()
            util.git('-C', self.top, 'update-index', '--add', '--cacheinfo',
                     f'100644,{blob},{path}')
        tree = util.git('-C', self.top, 'write-tree').strip()
        return kernel.sources(self.base, tree, self.top / '.git/objects')

    def test_what_counts(self):
        files = {path: 'old' for path in FILES}
        before = self.sources(files)
        self.assertEqual(self.sources(files), before)
        counts = {path for path in FILES if self.sources({**files, path: 'new'}) != before}
        self.assertEqual(counts, {'Makefile', 'kernel/fork.c', 'Documentation/Kconfig',
                                  'tools/objtool/check.c'})

    def test_without_tools_and_documents(self):
        self.assertNotEqual(self.sources({'Makefile': 'a'}), self.sources({'Makefile': 'b'}))


class Using(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.out = Path(holder.name) / 'out'

    def build(self, error=None):
        """What the O= directory holds when the build begins"""
        with kernel.using(self.out):
            found = sorted(p.name for p in self.out.iterdir() if p.name != '.ims-busy')
            (self.out / 'half.o').touch()
            if error:
                raise error
        return found

    def test_what_ended_stays(self):
        self.assertEqual(self.build(), [])
        with self.assertRaises(util.Fail):
            self.build(util.Fail('it does not compile'))
        self.assertEqual(self.build(), ['half.o'])

    def test_what_was_killed_is_built_anew(self):
        for error in (KeyboardInterrupt(), SystemExit(143)):
            with self.assertRaises(type(error)):
                self.build(error)
            self.assertEqual(self.build(), [])


class Numbers(unittest.TestCase):
    def test_number(self):
        for text, value in (('', 8), ('1', 1), ('64', 64)):
            with mock.patch.dict(os.environ, {'CPUS': text}):
                self.assertEqual(boot.cpus(), value)
        for text in ('0', '65', '-1', 'four', '1.5'):
            with mock.patch.dict(os.environ, {'CPUS': text}), self.assertRaises(util.Fail):
                boot.cpus()
