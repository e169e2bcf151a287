# SPDX-License-Identifier: GPL-2.0
"""The folder of `make images`, with a QEMU that replays a log."""
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from imslib import boot, images, util, verdict

LOGS = util.ROOT / 'tests/logs'
# Says on each serial line what the log has of it, and ends as the log says.
REPLAY = '''\
#!{python}
import re, sys
ports = re.findall(r'path=(/dev/fd/\\d+)', ' '.join(sys.argv))
ended = 1
for line in open({log!r}, encoding='utf-8'):
    source, text = line[:6], line[8:]
    if source in ('kernel', 'tests '):
        with open(ports[source == 'tests '], 'w') as port:
            port.write(text)
    elif text.startswith('exit status '):
        ended = int(text.split()[2])
sys.exit(ended)
'''


class Imports(unittest.TestCase):
    def test_relative_ones_only(self):
        self.assertEqual(images.imports('import os\nfrom pathlib import Path\n'
                                        'from . import a, b as c\nfrom .d import e\n'),
                         {'a', 'b', 'd'})

    def test_stand_ins_are_used_and_stop_the_search(self):
        names = images.needed(images.CODE, images.OVERLAY / 'lib/imslib')
        self.assertLessEqual({'boot', 'verdict', 'util', 'devices', 'ntb'}, set(names))
        self.assertFalse({'kernel', 'initramfs', 'qemu', 'series', 'base'} & set(names))


class Libraries(unittest.TestCase):
    TEXT = ('\tlinux-vdso.so.1 (0x00007ffc)\n'
            '\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f36)\n'
            '\t/lib64/ld-linux-x86-64.so.2 (0x00007f36)\n')

    def test_paths(self):
        self.assertEqual(images.libraries(self.TEXT),
                         {'libz.so.1': '/lib/x86_64-linux-gnu/libz.so.1'})

    def test_missing(self):
        with self.assertRaisesRegex(util.Fail, 'libfdt.so.1'):
            images.libraries(self.TEXT + '\tlibfdt.so.1 => not found\n')


class Readme(unittest.TestCase):
    def test_numbers(self):
        text = ' '.join((images.OVERLAY / 'README').read_text('utf-8').split())
        self.assertEqual((boot.SILENCE, boot.TOTAL, boot.CPUS), (300, 1800, 8))
        self.assertIn('says nothing for five minutes, or lasts half an hour', text)
        self.assertIn('CPUS= sets the number of emulated CPUs, 8 without it', text)
        for name in images.KERNELS:
            self.assertIn(f' {name} ', text)


class Run(unittest.TestCase):
    def setUp(self):
        top = Path(tempfile.mkdtemp(prefix='ims-images-'))
        self.addCleanup(shutil.rmtree, top)
        self.images = top / 'images'
        images.put_code(self.images)
        for name in ('lean', 'devices'):
            (self.images / 'kernels' / name).mkdir(parents=True)
        (self.images / 'programs').write_text('ims_store\nmsi_fault\n', encoding='ascii')
        (self.images / 'VERSION').write_text('', encoding='ascii')
        self.work = top / 'work'
        self.work.mkdir()

    def replay(self, log):
        path = self.images / 'qemu/qemu-system-x86_64'
        path.write_text(REPLAY.format(python=sys.executable, log=str(log)), encoding='utf-8')

    def run_it(self, *args, **env):
        return subprocess.run([self.images / 'run', *args], cwd=self.work, text=True,
                              capture_output=True, check=False, stdin=subprocess.DEVNULL,
                              env=util.clean_env(**env))

    def refuses(self, what, *args):
        done = self.run_it(*args)
        self.assertEqual((done.returncode, done.stdout), (2, ''))
        self.assertRegex(done.stderr, rf'\Arun: [^\n]*{what}[^\n]*\n\Z')

    def test_usage(self):
        self.refuses('usage: run MACHINE KERNEL PROGRAMS')
        self.refuses('machine sparc is unknown: use one of intel-ir, ', 'sparc', 'lean', 'nothing')
        self.refuses('kernel fat is unknown: use one of devices, lean', 'intel-ir', 'fat',
                     'nothing')
        self.refuses('program ls is unknown: .*selftests.*ims_store', 'intel-ir', 'lean', 'ls')
        self.refuses('program nothing is unknown', 'intel-ir', 'lean', 'ims_store,nothing')
        self.refuses('ntb needs the kernel devices', 'intel-ir', 'lean', 'ntb')
        self.refuses('selftests of the kernel lean run on intel-ir, ', 'intel-dma', 'lean',
                     'selftests')
        self.refuses('ntb runs on ', 'intel-dma', 'devices', 'ntb')

    def test_list(self):
        done = self.run_it('--list')
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        for name in ('intel-ir', 'intel-dma', 'devices lean', 'selftests', 'ims_store msi_fault'):
            self.assertIn(name, done.stdout)

    def test_incomplete(self):
        (self.images / 'VERSION').unlink()
        done = self.run_it('intel-ir', 'lean', 'nothing')
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r'\Arun: error: this folder is incomplete: .*\n\Z')

    def test_verdicts(self):
        """Each recorded log ends as verdict.py says, and only a pass is 0."""
        seen = set()
        for log in sorted(LOGS.glob('*.log')):
            # There the log and not QEMU says that it is a hang.
            if 'runner| hang: ' in (text := log.read_text('utf-8')):
                continue
            with self.subTest(log.stem):
                self.replay(log)
                ran = 'nothing' if log.stem in ('pass', 'no-init') else 'ims_store'
                required = () if ran == 'nothing' else ('ims_store',)
                want = verdict.judge(text, ('guest', *required, 'aftermath'),
                                     boot.machine_row('no-iommu')['may_skip'])
                done = self.run_it('no-iommu', 'lean', ran)
                seen.add(want.kind)
                self.assertEqual(done.returncode, 0 if want else 1, done.stderr)
                last = done.stderr.splitlines()[-1]
                self.assertTrue(last.startswith('run: PASS; ' if want else
                                                f'run: FAIL: {want.kind}: '), last)
                tap = done.stdout.splitlines()
                results = [line for line in tap if re.match('(not )?ok ', line)]
                self.assertEqual(tap[:2], ['KTAP version 1', f'1..{len(results)}'])
                last = f'ok {len(results)} verdict'
                self.assertTrue(tap[-1].startswith(last if want else f'not {last} # '), tap[-1])
        self.assertLessEqual({verdict.PASS, verdict.FAIL, verdict.CRASH, verdict.TRUNCATED}, seen)

    def test_skipped_test_has_a_name(self):
        log = self.work / 'skip.log'
        log.write_text((LOGS / 'pass.log').read_text('utf-8').replace(
            'ok 2 the timer interrupt arrives',
            '#  RUN           ims.one ...\n'
            'tests | ok 2 # SKIP there are no stores on this machine'), 'utf-8')
        self.replay(log)
        done = self.run_it('no-iommu', 'lean', 'nothing')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('\n  ok 2 ims.one # SKIP there are no stores on this machine\n', done.stdout)

    def test_log_and_results(self):
        self.replay(LOGS / 'pass.log')
        done = self.run_it('no-iommu', 'lean', 'nothing')
        self.assertIn('\n  KTAP version 1\n  # Subtest: guest\n  1..3\n'
                      '  ok 1 8 CPUs are online\n', done.stdout)
        self.assertIn('\nok 1 guest\n', done.stdout)
        kept = (self.work / 'out/no-iommu-lean-nothing.log').read_text('utf-8')
        self.assertIn('kernel| ', kept)
        self.run_it('no-iommu', 'lean', 'nothing', LOG=str(self.work / 'elsewhere/raw.log'))
        self.assertTrue((self.work / 'elsewhere/raw.log').exists())
