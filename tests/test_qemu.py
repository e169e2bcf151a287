# SPDX-License-Identifier: GPL-2.0
"""The virtual devices alone: their qtests; what is corrected in QEMU; the plugin."""
import json
import re
import subprocess
import time
from pathlib import Path

import pytest
from support import expect, note

from imslib import profile, qemu
from imslib.util import ROOT, clean_env, run

HERE = ROOT / 'tests/qemu'
DEVICES = {Path(path).name: emulator for path, emulator in qemu.QTESTS.items()}


def qtest(path, name, log, **env):
    done = run([path / name, '--tap', '-k'], check=False,
               env=clean_env(QTEST_QEMU_BINARY=str(path / DEVICES[name]), **env))
    log.with_suffix('.tap').write_text(done.stdout, encoding='utf-8')
    note(log, done.stdout + done.stderr)
    passed = len(re.findall(r'^ok \d+', done.stdout, re.M))
    failed = re.findall(r'^not ok \d+ (\S+)', done.stdout, re.M)
    plan = re.search(r'^1\.\.(\d+)', done.stdout, re.M)
    expect(plan and passed + len(failed) == int(plan[1]) > 0, f'the plan is not met; see {log}')
    expect(not done.returncode and not failed, f'{failed or done.returncode}; see {log}')
    return done.stderr


@pytest.mark.needs('qemu/', r'(?:linux/)?drivers/.*/ims_\w+_regs\.h')
@pytest.mark.parametrize('name', DEVICES)
def test_qtest(name, log):
    qtest(qemu.get(), name, log)


@pytest.mark.rare(minutes=10, why='it builds QEMU with ASAN and UBSAN')
@pytest.mark.parametrize('name', DEVICES)
def test_qtest_sanitized(name, log):
    path = qemu.get(qemu.SANITIZED)
    binary = (path / DEVICES[name]).read_bytes()
    expect(b'__asan_report' in binary and b'__ubsan_handle' in binary,
           'this compiler has no ASAN or no UBSAN')
    # QEMU leaves memory behind when it ends. A status that no test expects
    said = qtest(path, name, log, ASAN_OPTIONS='detect_leaks=0:exitcode=99')
    wrong = re.findall(r'^.*hw/misc/ims-.*runtime error: .*$|^.*AddressSanitizer: .*$', said, re.M)
    expect(not wrong, f'{wrong[:1]}; see {log}')


class Machine:
    """A machine with CPUs that change its memory map, see map.S"""

    def __init__(self, cpus, tmp):
        run(['gcc', '-m32', '-c', f'-DCPUS={cpus}', HERE / 'map.S', '-o', tmp / 'map.o'])
        run(['ld', '-m', 'elf_i386', '-Ttext', '0', '-e', '0', '--oformat', 'binary',
             '-o', tmp / 'map.bin', tmp / 'map.o'])
        self.process = subprocess.Popen(
            [qemu.get() / 'qemu-system-x86_64', '-M', 'q35', '-accel', 'tcg', '-smp', str(cpus),
             '-m', '64', '-nodefaults', '-display', 'none', '-qmp', 'stdio', '-bios',
             tmp / 'map.bin', '-device', 'edu,addr=5'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        self.ask('qmp_capabilities')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ask(self, command, **arguments):
        self.process.stdin.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
        self.process.stdin.flush()
        for line in self.process.stdout:
            answer = json.loads(line)
            if 'return' in answer:
                return answer['return']
            expect('error' not in answer, line)
        return expect(False, 'QEMU has died')

    def counts(self):
        words = self.ask('human-monitor-command', **{'command-line': 'xp/2xw 0x1000'})
        return [int(word, 16) for word in re.findall(r' 0x(\w+)', words)]

    def mib(self):
        status = Path(f'/proc/{self.process.pid}/status').read_text(encoding='ascii')
        return int(re.search(r'^VmRSS:\s+(\d+)', status, re.M)[1]) // 1024


def levels_off(seen, used):
    """Whether memory grows less with each change of the map than it has on average. It is
    proportional to their number if none is ever freed. How much waits to be freed depends on
    what else the machine has to do."""
    if len(used) < 5:
        return False
    changes = [counts[-1] for counts in seen]
    late = (used[-1] - used[-4]) / (changes[-1] - changes[-4])
    return late < used[-1] / changes[-1] / 2


def test_levels_off():
    maps = [[1000 * n] for n in range(1, 9)]
    expect(not levels_off(maps, [100 + 37 * n for n in range(1, 9)]), 'a leak')
    expect(levels_off(maps, [713, 725, 730, 757, 760, 765, 770, 771]), 'none')


@pytest.mark.needs('qemu/')
@pytest.mark.parametrize('cpus', [1, 2])
def test_map_changes(cpus, log, tmp_path):
    """A CPU that does nothing but change the memory map stops no other one, and the old
    maps are freed."""
    seen, used = [], []
    with Machine(cpus, tmp_path) as machine:
        while not levels_off(seen, used):
            time.sleep(1)
            seen.append(machine.counts()[:cpus])
            used.append(machine.mib())
            note(log, f'{seen[-1]} {used[-1]} MiB')
            expect(len(seen) < 2 or all(a < b for a, b in zip(*seen[-2:])),
                   f'a CPU stands still; see {log}')
            expect(len(seen) < 60 and used[-1] < 6000, f'old maps are not freed; see {log}')


@pytest.mark.needs('qemu/plugins/')
def test_profile_reads_long_lines(tmp_path):
    flags = run(['pkg-config', '--cflags', '--libs', 'glib-2.0']).split()
    (tmp_path / 'funcs').write_text(f'ffffffff81000000 {"x" * 100}\nffffffff81000010\n',
                                    encoding='ascii')
    # What the plugin calls of QEMU is not there, and not called.
    run(['gcc', f'-I{qemu.get()}', f'-I{profile.SOURCE.parent}', HERE / 'profile.c',
         '-Wl,--unresolved-symbols=ignore-all', '-no-pie', '-o', tmp_path / 'profile', *flags])
    said = run([tmp_path / 'profile', tmp_path / 'funcs'])
    expect(sorted(said.split()) == ['ffffffff81000000', 'ffffffff81000010'], said)
