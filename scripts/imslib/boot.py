# SPDX-License-Identifier: GPL-2.0
"""Boot a kernel in QEMU on one of the machines, and judge what comes out."""
import os
import re
import selectors
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from . import arch, initramfs, kernel, qemu, series, verdict
from .util import BUILD, ROOT, Child, Fail, clean_env, digest, locked, say

MACHINES = ROOT / 'configs/machines.toml'
CPUS = 8
MEMORY = '1G'

# Bounds against a hang. Emulation is slow and other things run on the machine:
# they are far beyond what a run takes, and no measure of speed.
SILENCE = 300
TOTAL = 1800

# Rounds of the stress test in a second, at the very least
ROUNDS_PER_SECOND = 50

# Kernel options of every run. A panic ends QEMU (-no-reboot), as a warning does
# on the debug kernel.
COMMON = ('panic=-1', 'oops=panic', 'ignore_loglevel')
# Modules that only the program which is about them may load
NO_MODULES = {'devices': ('ims.modules=no',), 'full': ('ims.modules=no',)}
DEBUG = ('panic_on_warn=1', 'kmemleak=on', 'ims.kmemleak=1')

RESULT = '{0} allocated, {0} fired, {0} received, 0 lost, 0 spurious, 0 breaches'


def demo_lines(row):
    """How the demonstration ends."""
    return (f'ims: store table: {RESULT.format(row["demo_slots"])}',
            f'msi-x on the same device: {RESULT.format(64)}')


def machines():
    rows = tomllib.loads(MACHINES.read_text(encoding='utf-8'))

    def whole(row):
        return {**(whole(rows[row['as']]) if 'as' in row else {}), **row}
    return {name: whole(row) for name, row in rows.items()}


def machine_row(name):
    rows = machines()
    if name not in rows:
        raise Fail(f'MACHINE={name} is unknown: use one of {", ".join(rows)}')
    return rows[name]


def wanted_machine():
    return os.environ.get('MACHINE') or 'intel-ir'


def kind_of(row):
    return arch.ARCHES[row['arch']]


def engine(row):
    """QEMU's options for how the CPUs run, how many there are, and their memory."""
    return ('-accel', 'tcg,thread=multi', '-smp', cpus(row.get('cpus', CPUS)), '-m', MEMORY)


# The kernel's serial line, which each machine has
FIRST_LINE = ('-serial', 'chardev:{}')


def cpus_of(options):
    return options[options.index('-smp') + 1]


def command(row, binary, image, initrd, append, ports, hardware=(), runs=None):
    """QEMU's command line. ports are the file descriptors of the serial lines,
    hardware is what a test wants beside the machine's own, runs is what it wants for
    engine()."""
    cmd = [binary, '-nodefaults', '-no-user-config', *(runs or engine(row)),
           '-display', 'none', '-no-reboot', *row['qemu'], *row.get('hardware', ()), *hardware,
           '-device', 'ims-testdev']
    for number, (port, options) in enumerate(zip(ports, (FIRST_LINE, kind_of(row).serial))):
        cmd += ['-chardev', f'file,id=serial{number},path=/dev/fd/{port}',
                *(option.format(f'serial{number}') for option in options)]
    return [*cmd, '-kernel', image, '-initrd', initrd, '-append', append]


def behind_ports(count):
    """Options for so many more test devices, each behind a root port with a slot. The
    MSI-X table of one takes a part of a page."""
    return [word for number in range(1, count + 1) for word in (
        '-device', f'pcie-root-port,id=port{number},slot={number},chassis={number}',
        '-device', f'ims-testdev,id=dev{number},bus=port{number},msix-vectors=8')]


class Recorder:
    """Whole lines of several streams, marked, into one log."""

    def __init__(self, log, show):
        self.log, self.show = log, show
        self.rest = {}

    def feed(self, source, data):
        lines = (self.rest.get(source, b'') + data).split(b'\n')
        self.rest[source] = lines.pop()
        for line in lines:
            self.line(source, line.decode(errors='replace').rstrip('\r'))

    def line(self, source, text):
        self.log.write(f'{source:6}| {text}\n')
        if self.show:
            self.show(source, text)

    def flush(self):
        for source, rest in self.rest.items():
            if rest:
                self.line(source, rest.decode(errors='replace') + ' [cut]')


def pipe():
    """Both ends of one: what is read from, what is written to."""
    ends = os.pipe()
    return os.fdopen(ends[0], 'rb', 0), os.fdopen(ends[1], 'wb', 0)


def execute(cmd_for, log, show=None, silence=SILENCE, total=TOTAL):
    """Run QEMU, record its serial lines and its messages until it ends or hangs.
    cmd_for(file descriptors) gives its command line."""
    names = ('kernel', 'tests ')
    # A pipe holds as good as all that a run says. Of a socket, where QEMU writes single
    # bytes, some hundred fill it, and then the guest would have to wait for us.
    pairs = [pipe() for _ in names]
    theirs = [pair[1] for pair in pairs]
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'w', encoding='utf-8') as file, selectors.DefaultSelector() as wait:
        recorder = Recorder(file, show)
        cmd = cmd_for([port.fileno() for port in theirs])
        recorder.line('runner', 'run: ' + ' '.join(str(c) for c in cmd))
        with Child(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean_env(),
                   pass_fds=[port.fileno() for port in theirs]) as proc:
            for port in theirs:
                port.close()
            for name, (ours, _) in zip(names, pairs):
                wait.register(ours, selectors.EVENT_READ, name)
            wait.register(proc.stdout, selectors.EVENT_READ, 'qemu')
            why = follow(wait, recorder, silence, total)
            if not why:
                try:
                    proc.wait(silence)
                except subprocess.TimeoutExpired:
                    why = f'QEMU has closed its output and not ended for {silence} s'
            recorder.flush()
            recorder.line('runner', f'hang: {why}' if why else f'exit status {proc.returncode}')
        for ours, _ in pairs:
            ours.close()
    return log.read_text(encoding='utf-8')


def follow(wait, recorder, silence, total):
    """Record until all streams end: ''; or the reason to call it a hang."""
    start = last = time.monotonic()
    while wait.get_map():
        for key, _ in wait.select(1):
            data = os.read(key.fileobj.fileno(), 65536)
            if not data:
                wait.unregister(key.fileobj)
                continue
            last = time.monotonic()
            recorder.feed(key.data, data)
        now = time.monotonic()
        if now - last > silence:
            return f'no output for {silence} s'
        if now - start > total:
            return f'not over after {total} s'
    return ''


class Shower:
    """A run on the terminal: a line now and then, or the programs' own output."""

    def __init__(self, label, echo):
        self.label, self.echo = label, echo
        self.shown = time.monotonic()
        self.inside = False

    def __call__(self, source, text):
        if source == 'tests ':
            match = re.match(r'ims-init: (run|end) \d+ (\S+)', text)
            if match:
                self.inside = match[1] == 'run' and match[2] not in ('guest', 'aftermath')
            elif self.inside and self.echo:
                say(text)
        if not self.echo or not self.inside:
            now = time.monotonic()
            if now - self.shown >= 10:
                self.shown = now
                say(f'  {self.label}: {text.strip()[:70]}')


def number(name, default, least, most):
    """What is asked for with NAME= on the command line"""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise Fail(f'{name}={text} is no number from {least} to {most}')
    return int(text)


def stress_rounds():
    """ROUNDS= for the stress test, or 0 to leave it to that"""
    return number('ROUNDS', 0, 0, 1 << 30)


def cpus(default=CPUS):
    """CPUS= of the machine. Emulated ones that are many more than the real ones mostly
    wait for each other."""
    return number('CPUS', default, 1, 64)


def boot_image(row, image, initrd, programs, log, extra=(), label='guest', echo=False,
               required=(), silence=SILENCE, total=TOTAL, hardware=(), runs=None,
               part=lambda text: text):
    """Boot a kernel image, run programs (see scripts/guest/init), judge the log, or that
    part() of it. hardware and runs are command()'s."""
    kind = kind_of(row)
    append = ' '.join((f'console={kind.uart},115200', *COMMON, *kind.append,
                       *row.get('append', ()), *extra,
                       f'ims.run={programs}', f'ims.expect={row["expect"]}',
                       f'ims.cpus={cpus_of(runs or engine(row))}', f'ims.tty={kind.tests}'))
    rounds = stress_rounds()
    if rounds:
        append += f' ims.rounds={rounds}'
        total += rounds // ROUNDS_PER_SECOND
    binary = qemu.get() / kind.emulator
    with locked(f'log-{digest(str(log.resolve()))}'):
        text = execute(lambda ports: command(row, binary, image, initrd, append, ports,
                                             hardware, runs), log,
                       show=Shower(label, echo), silence=silence, total=total)
    result = verdict.judge(part(text), ('guest', *required, 'aftermath'), row.get('may_skip', ()))
    log.with_suffix('.tap').write_text(verdict.tap(result) + '\n', encoding='utf-8')
    return result


def run(machine, config, programs, log, echo=False, built=None, ramfs=None, extra=(), **more):
    """Boot config ('lean', 'debug') of the tree on machine, with programs ('selftests',
    'nothing', or names with commas). built is a snapshot, of the tree as it is if
    it is left out; ramfs one whose programs are taken; extra are kernel options, and the
    rest is boot_image()'s. Returns a Verdict: true for a pass, str() says why not."""
    row = machine_row(machine)
    base, tree, objects, _ = built or series.snapshot()
    built = kernel.get(arch.config_for(row['arch'], config), base, tree, objects)
    initrd = initramfs.get(*(ramfs or (base, tree, objects))[:3],
                           kind=row['arch']) / 'initramfs.cpio.gz'
    required = row['required'] if programs == 'selftests' else [
        name for name in programs.split(',') if name not in ('nothing', 'ims_demo')]
    with tempfile.TemporaryDirectory(prefix='ims-initrd-') as tmp:
        if (built / 'modules').is_dir():
            initrd = initramfs.with_folder(initrd, built / 'modules', Path(tmp),
                                           Path(tmp) / 'log')
        return boot_image(row, built / kernel.IMAGE, initrd, programs, Path(log),
                          extra=(*(() if config == 'lean' else DEBUG),
                                 *NO_MODULES.get(config, ()), *extra), echo=echo,
                          label=f'{config} on {machine}', required=required, **more)


def boot():
    """make boot"""
    machine = wanted_machine()
    row = machine_row(machine)
    log = BUILD / f'boot/{machine}.log'
    stage = 'tree'
    try:
        if not series.have_tree() or not series.unexported():
            series.tree()
        built = series.snapshot()
        say(f'boot: {built[3]}')
        stage = 'kernel'
        config = arch.config_for(row['arch'], 'lean')
        kernel.get(config, *built[:3])
        kernel.bring_back(config, *built[:3])
        stage = 'qemu'
        qemu.get()
        stage = 'initramfs'
        initramfs.get(*built[:3], kind=row['arch'])
        stage = f'guest on {machine}'
        say(f'boot: {row["about"]}; {row["demo"]}')
        result = run(machine, 'lean', row['demo'], log, echo=True, built=built)
    except Fail as err:
        raise Fail(f"step '{stage}' failed: {err}") from None
    if result and row['demo'] == 'ims_demo':
        output = [l for p in result.programs if p.plain for l in p.output]
        if tuple(l for l in output if l.strip())[-2:] != demo_lines(row):
            result = verdict.Verdict(verdict.FAIL, 'the demonstration does not end with the '
                                     'numbers that it must have')
    if result:
        say('boot: PASS')
        return 0
    print(f"boot: FAIL: step '{stage}': {result}; see {log}", file=sys.stderr)
    return 1


def stress():
    """make stress"""
    machine = wanted_machine()
    if 'ims_stress' not in machine_row(machine)['required']:
        raise Fail(f'MACHINE={machine} has no stores for the stress test')
    log = BUILD / f'stress/{machine}.log'
    result = run(machine, 'lean', 'ims_stress', log, echo=True)
    if result:
        say('stress: PASS')
        return 0
    print(f'stress: FAIL: {result}; see {log}', file=sys.stderr)
    return 1
