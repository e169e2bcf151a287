# SPDX-License-Identifier: GPL-2.0
"""The cache: an entry is whole or it is not there."""
import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from imslib import util
from imslib.util import ROOT

# A run that starts an entry and never ends it.
STUCK = '''
import sys, time
sys.path.insert(0, {scripts!r})
from imslib import util
def build(out):
    (out / 'half').write_text('half')
    print('started', flush=True)
    time.sleep(1000)
util.entry('kind', 'key', build)
'''


class Entry(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.cache = Path(holder.name)
        patch = mock.patch.dict(os.environ, {'IMS_CACHE': holder.name})
        patch.start()
        self.addCleanup(patch.stop)
        self.calls = 0

    def good(self, out):
        self.calls += 1
        self.assertEqual(list(out.iterdir()), [])
        (out / 'file').write_text('whole', encoding='ascii')

    def nothing_left(self):
        self.assertFalse((self.cache / 'kind/key').exists())
        self.assertEqual(list((self.cache / 'tmp').iterdir()), [])

    def test_built_once(self):
        for _ in range(3):
            path = util.entry('kind', 'key', self.good)
            self.assertEqual((path / 'file').read_text(encoding='ascii'), 'whole')
        self.assertEqual(self.calls, 1)

    def test_failure_leaves_nothing(self):
        def bad(out):
            (out / 'half').write_text('half', encoding='ascii')
            raise util.Fail('no')
        for _ in range(2):
            with self.assertRaises(util.Fail):
                util.entry('kind', 'key', bad)
            self.nothing_left()
        util.entry('kind', 'key', self.good)

    def test_killed_run_leaves_nothing_that_counts(self):
        code = STUCK.format(scripts=str(ROOT / 'scripts'))
        with subprocess.Popen([sys.executable, '-B', '-c', code], stdout=subprocess.PIPE,
                              env=dict(os.environ)) as proc:
            self.assertEqual(proc.stdout.readline(), b'started\n')
            proc.send_signal(signal.SIGKILL)
        self.assertTrue((self.cache / 'tmp/kind-key/half').exists())
        self.assertIsNone(util.have_entry('kind', 'key'))
        self.assertEqual([p.name for p in util.entry('kind', 'key', self.good).iterdir()],
                         ['file'])

    def test_a_second_run_waits(self):
        code = STUCK.format(scripts=str(ROOT / 'scripts')).replace('sleep(1000)', 'sleep(1)')
        with subprocess.Popen([sys.executable, '-B', '-c', code], stdout=subprocess.PIPE,
                              env=dict(os.environ)) as proc:
            self.assertEqual(proc.stdout.readline(), b'started\n')
            with mock.patch.object(util, 'say') as said:
                path = util.entry('kind', 'key', self.good)
            self.assertIn('waiting for another run', said.call_args_list[0].args[0])
        self.assertEqual(self.calls, 0)
        self.assertTrue((path / 'half').exists())

    def test_prune(self):
        old = util.entry('kind', 'old', self.good)
        past = time.time() - util.ENTRY_LIFE - 10
        os.utime(old, (past, past))
        util.entry('kind', 'new', self.good)
        self.assertEqual([p.name for p in (self.cache / 'kind').iterdir()], ['new'])

    def test_prune_that_is_killed_leaves_no_half(self):
        def killed(path, **_):
            if (path / 'file').exists():
                (path / 'file').unlink()
                raise KeyboardInterrupt

        old, new = (util.entry('kind', key, self.good) for key in ('old', 'new'))
        past = time.time() - util.ENTRY_LIFE - 10
        os.utime(old, (past, past))
        with mock.patch.object(util.shutil, 'rmtree', killed), \
                self.assertRaises(KeyboardInterrupt):
            util.prune(new)
        self.assertIsNone(util.have_entry('kind', 'old'))

    def test_what_is_used_is_not_old(self):
        past = time.time() - util.ENTRY_LIFE - 10
        os.utime(util.entry('kind', 'old', self.good), (past, past))
        self.assertTrue(util.have_entry('kind', 'old'))
        util.entry('kind', 'new', self.good)
        self.assertTrue(util.have_entry('kind', 'old'))

    def test_digest_tells_apart(self):
        self.assertNotEqual(util.digest('ab', 'c'), util.digest('a', 'bc'))
        path = self.cache / 'file'
        path.write_text('x', encoding='ascii')
        plain = util.digest(path)
        path.chmod(0o755)
        self.assertNotEqual(plain, util.digest(path))

    def test_digest_of_functions(self):
        keys = {util.digest_functions(f) for f in (util.run, util.git, util.step)}
        self.assertEqual(len(keys), 3)
        before = util.digest_functions(util.run), util.digest_code('util')
        text = util.SCRIPTS['util']
        for edit, changed in ((text.replace('def git(', 'def got('), [False, True]),
                              (text.replace("errors='surrogate", "errors='x"), [True, True])):
            with mock.patch.dict(util.SCRIPTS, util=edit):
                after = util.digest_functions(util.run), util.digest_code('util')
                self.assertEqual([a != b for a, b in zip(before, after)], changed)

    def test_memo(self):
        path = self.cache / 'big'
        path.write_bytes(b'one')
        first = util.memo_sha256(path)
        self.assertEqual(first, util.memo_sha256(path))
        path.write_bytes(b'two')
        self.assertNotEqual(first, util.memo_sha256(path))


class Step(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.log = Path(holder.name) / 'log'

    def fails(self, script):
        with self.assertRaises(util.Fail) as caught:
            util.step('name', ['sh', '-c', script], log=self.log)
        return str(caught.exception)

    def test_log(self):
        util.step('name', ['echo', 'hello'], log=self.log)
        self.assertIn('hello\n', self.log.read_text(encoding='ascii'))

    def test_failure_names_step_reason_and_log(self):
        message = self.fails('echo a.c:1: error: no such thing; echo more; exit 2')
        self.assertEqual(message, f'name: a.c:1: error: no such thing; see {self.log}')

    def test_failure_without_a_word(self):
        self.assertEqual(self.fails('exit 3'), f'name: exit 3; see {self.log}')

    def test_full_disk(self):
        self.assertIn('IMS_CACHE', self.fails(
            f'echo "tar: write: {os.strerror(errno.ENOSPC)}"; exit 2'))

    def test_missing_program(self):
        with self.assertRaisesRegex(util.Fail, 'no-such-program is missing: run `make deps`'):
            util.step('name', ['no-such-program'], log=self.log)

    def test_caller_environment_stays_out(self):
        bad = {'MAKEFLAGS': 'k', 'CFLAGS': '-O0', 'ARCH': 'arm', 'V': '1', 'O': 'x',
               'GIT_DIR': '/nowhere'}
        with mock.patch.dict(os.environ, bad):
            for env in (util.clean_env(), util.git_env()):
                self.assertFalse(bad.keys() & env.keys())
