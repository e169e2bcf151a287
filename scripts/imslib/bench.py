# SPDX-License-Identifier: GPL-2.0
"""`make bench`: what interrupts of devices cost, in instructions and bytes, on the
series, on the base and on Linux 6.12.

Words
  kernel    one of KERNELS. All are built from configs/lean.config and bench.config,
            with the driver bench/ims_bench.c laid over them
  figure    a line of the program in the guest (bench/run.c):
                figure NAME n=N total=T               T instructions for N operations
                memory NAME n=N cache=CACHE bytes=B   B bytes in that slab cache
                absent NAME REASON                    this kernel does not have it
            Its value is what one operation, or one vector, takes. A figure of memory
            is called `memory NAME`, its value is that of all caches together
  short     the figures of the gate: those that take little time
  record    bench/recorded.toml: the values that `make check` compares with, and what
            they were measured with

The guest has one CPU and a clock that counts its instructions (-icount shift=0), so
that neither the host nor what else it does changes a figure. parse(), table() and the
comparisons are pure functions: tests/unit/test_bench.py.
"""
import functools
import json
import os
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from . import arch, boot, initramfs, kernel, newer, overlay, qemu, series, verdict
from .util import BUILD, ROOT, Fail, jobs, run, say, write_atomic

SOURCE = ROOT / 'bench'
AT = 'drivers/misc/ims_bench'
PROGRAM = 'ims_bench'
RECORD = SOURCE / 'recorded.toml'
WHERE = BUILD / 'bench'

NEWER = newer.VERSION
KERNELS = ('base', NEWER, 'series')

# The first machine has all figures, the others those of the short form. MACHINE= is one
# more, which then has all figures alone.
MACHINES = ('intel-ir', 'amd-ir', 'no-iommu')
# Where the gate looks
GATE = ('intel-ir', 'amd-ir')

# The nvme has no driver in these kernels, and the benchmark takes it.
HARDWARE = ('-device', 'nvme,serial=bench,msix_qsize=2048,addr=10.0',
            '-global', 'ims-testdev.slots=65536')
# What makes two runs the same: instructions are time, idle time is skipped, there is
# no clock and no dice of the host.
RUNS = ('-accel', 'tcg,thread=single', '-icount', 'shift=0,sleep=off', '-smp', '1',
        '-m', '3G', '-rtc', 'base=2022-12-11,clock=vm', '-seed', '1')
OPTIONS = ('nokaslr', 'norandmaps', 'slab_nomerge')
# Bounds against a hang: far beyond what 65,280 interrupts take, which give no line of
# output meanwhile, and no measure of speed.
SILENCE, TOTAL = 1800, 7200

# How far two runs of one kernel may differ, and how far a figure may be above the
# recorded one.
SAME, ABOVE = 0.001, 0.02


# --- kernels ---------------------------------------------------------------

def files():
    """The driver, as it is laid over a kernel."""
    own = [path for path in sorted(SOURCE.iterdir())
           if path.name == 'Makefile' or path.suffix in ('.c', '.h')]
    return overlay.of(AT, [path for path in own if path.name != 'run.c'] + [qemu.HEADER])


def additions():
    return {overlay.MAKEFILE: f'obj-y += {Path(AT).name}/\n',
            overlay.KCONFIG: (SOURCE / 'Kconfig').read_text(encoding='utf-8')}


def get(which, kind=arch.HOST):
    """The directory of a kernel: its image, vmlinux, System.map."""
    config = arch.config_for(kind, 'bench')
    if which == NEWER:
        return newer.get(config, files(), additions())
    if which not in KERNELS:
        raise Fail(f'KERNEL={which} is unknown: use one of {", ".join(KERNELS)}')
    base, tree, objects, _ = series.snapshot()
    below = base.tree if which == 'base' else tree
    return kernel.get(config, base, overlay.tree(base, below, objects, files(), additions()),
                      objects, label=f'kernel ({config}, {which})')


def program(kind=arch.HOST):
    """The entry that holds the program and an initramfs with it."""
    return initramfs.of_program('bench', PROGRAM, SOURCE / 'run.c',
                                [SOURCE / 'ims_bench.h', qemu.HEADER], kind)


def kinds(only=''):
    """{name: `figure` or `memory`} of what the program measures, as it says itself."""
    words = only.split(',') if only else []
    listed = run([program() / PROGRAM, 'list', *words]).splitlines()
    return {name: kind for kind, name in (line.split() for line in listed)}


# --- boots -----------------------------------------------------------------

def boot_one(which, machine, log, only='', hardware=()):
    """Boot a kernel on a machine and have figures measured: all, `short`, or names with
    commas. hardware are more options for QEMU. Returns Measured."""
    extra = (*OPTIONS, f'{PROGRAM}.only={only}') if only else OPTIONS
    row = boot.machine_row(machine)
    image = get(which, row['arch']) / kernel.IMAGE
    result = boot.boot_image(row, image, program(row['arch']) / 'initramfs.cpio.gz', PROGRAM, log,
                             label=f'{which} on {machine}', extra=extra, required=[PROGRAM],
                             silence=SILENCE, total=TOTAL, hardware=(*HARDWARE, *hardware),
                             runs=RUNS)
    if not result:
        raise Fail(f'{which} on {machine}: {result}; see {log}')
    try:
        return parse(log.read_text(encoding='utf-8'), kinds(only))
    except Fail as err:
        raise Fail(f'{which} on {machine}: {err}; see {log}') from None


def boot_all(wanted):
    """[Measured] of [(kernel, machine, log, only)], as many at once as there are cores,
    which changes no figure."""
    for which, machine, *_ in wanted:
        get(which, boot.machine_row(machine)['arch'])
    qemu.get()
    with ThreadPoolExecutor(min(2, jobs())) as pool:
        return list(pool.map(lambda args: boot_one(*args), wanted))


# --- what a run has measured -----------------------------------------------

@dataclass
class Measured:
    """values: {name: for one operation or vector}, of memory as `memory NAME`; caches:
    {`memory NAME`: {cache: bytes for one}}; absent: {name: reason}; version of the kernel"""
    values: dict = field(default_factory=dict)
    caches: dict = field(default_factory=dict)
    absent: dict = field(default_factory=dict)
    version: str = ''


LINES = {'figure': re.compile(r'figure (\S+) n=([1-9]\d*) total=(\d+)'),
         'memory': re.compile(r'memory (\S+) n=([1-9]\d*) cache=(\S+) bytes=(-?\d+)'),
         'absent': re.compile(r'absent (\S+) (\S+)')}


def parse(text, expected):
    """What a log holds, or Fail if it is not exactly what is expected, {name: `figure`
    or `memory`}."""
    found, sources = Measured(), verdict.split(text)
    for line in sources['kernel']:
        version = re.search(r'Linux version (\S+)', line)
        found.version = found.version or (version[1] if version else '')
    for line in sources['tests']:
        kind = line.partition(' ')[0]
        if kind not in LINES:
            continue
        match = LINES[kind].fullmatch(line)
        if not match:
            raise Fail(f'cannot read "{line}"')
        name = match[1]
        if expected.get(name) not in ((kind,) if kind != 'absent' else ('figure', 'memory')):
            raise Fail(f'{kind} {name} is not expected')
        full = name if expected[name] == 'figure' else f'memory {name}'
        if full in found.absent or (full in found.values and kind != 'memory'):
            raise Fail(f'{full} is there twice')
        if kind == 'absent':
            found.absent[full] = match[2]
        elif kind == 'figure':
            found.values[full] = int(match[3]) / int(match[2])
        else:
            caches = found.caches.setdefault(full, {})
            if match[3] in caches:
                raise Fail(f'{full}, cache {match[3]} is there twice')
            caches[match[3]] = int(match[4]) / int(match[2])
            found.values[full] = sum(caches.values())
    missing = [name for name, kind in expected.items()
               if not {name if kind == 'figure' else f'memory {name}'}
               & (found.values.keys() | found.absent.keys())]
    if missing:
        raise Fail(f'{len(missing)} are not there: {", ".join(missing[:5])}')
    return found


def differ(one, two, by=SAME):
    """What two runs of one kernel do not agree about, as texts."""
    found = [f'{name}: only one run has it' for name in sorted(one.values.keys()
                                                               ^ two.values.keys())]
    for name in sorted(one.values.keys() & two.values.keys()):
        low, high = sorted((one.values[name], two.values[name]))
        if high - low > by * abs(low):
            found.append(f'{name}: {one.values[name]:.2f} and {two.values[name]:.2f}')
    return found


# --- tables ----------------------------------------------------------------

def number(value):
    return f'{value:,.1f}' if value < 1e6 else f'{value:,.0f}'


def cell(measured, name):
    if name in measured.values:
        return number(measured.values[name])
    return measured.absent.get(name, '-')


def ratio(measured, name, other):
    ours, theirs = measured.values.get(name), other.values.get(name)
    return f'{ours / theirs:.3f}' if ours is not None and theirs else '-'


def lines_up(rows):
    """Rows of cells as text: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return '\n'.join('  '.join(text.ljust(width) if not i else text.rjust(width)
                               for i, (text, width) in enumerate(zip(row, widths))).rstrip()
                     for row in rows)


def table(runs):
    """The text of {kernel: Measured}, all on one machine: figures, then memory."""
    base, newer_one, ours = (runs[which] for which in KERNELS)
    names = list(dict.fromkeys(name for each in runs.values()
                               for name in (*each.values, *each.absent)))
    head = [*KERNELS, 'series/base', f'series/{NEWER}']

    def row(name, label=None):
        return [label or name, *(cell(runs[which], name) for which in KERNELS),
                ratio(ours, name, base), ratio(ours, name, newer_one)]

    rows = [['instructions', *head], *(row(n) for n in names if not n.startswith('memory '))]
    stored = [name for name in names if name.startswith('memory ')]
    text = lines_up(rows)
    if stored:
        rows = [['bytes', *head]]
        for name in stored:
            rows.append(row(name, name.removeprefix('memory ')))
            caches = {cache for each in runs.values() for cache in each.caches.get(name, ())}
            for cache in sorted(caches):
                rows.append([f'    {cache}',
                             *(number(runs[which].caches.get(name, {}).get(cache, 0))
                               for which in KERNELS), '', ''])
        text += '\n\n' + lines_up(rows)
    return text


@dataclass(frozen=True)
class Goal:
    """That the sum of the series' figures `ours` is at most `most` of the sum of the
    figures `theirs` of a kernel. `less` is taken off each figure first."""
    text: str
    most: float
    ours: tuple
    other: str
    theirs: tuple
    less: str = ''

    def value(self, runs):
        """The quotient, or what is absent, as text."""
        sums = []
        for which, names in (('series', self.ours), (self.other, self.theirs)):
            values = runs[which].values
            for name in (*names, *([self.less] if self.less else [])):
                if name not in values:
                    reason = runs[which].absent.get(name, 'not measured')
                    return f'{name} of {which}: {reason}'
            sums.append(sum(values[name] - values.get(self.less, 0) for name in names))
        return sums[0] / sums[1] if sums[1] else f'{" + ".join(self.theirs)} is 0'


def both(stem, count):
    return (f'{stem}-alloc.{count}', f'{stem}-free.{count}')


GOALS = (
    Goal('MSI-X allocate at 2,048, of stock 6.1', 0.45,
         ('msix-alloc.2048',), 'base', ('msix-alloc.2048',)),
    Goal('MSI-X allocate at 2,048, of 6.12', 0.30,
         ('msix-alloc.2048',), NEWER, ('msix-alloc.2048',)),
    Goal('MSI-X allocate at 64, of stock 6.1', 0.95,
         ('msix-alloc.64',), 'base', ('msix-alloc.64',)),
    Goal('MSI-X allocate, growth from 64 to 2,048', 1.10,
         ('msix-alloc.2048',), 'series', ('msix-alloc.64',)),
    Goal('IMS single allocate, growth from 64 to 65,280', 1.10,
         ('ims-single-alloc.65280',), 'series', ('ims-single-alloc.64',)),
    Goal('IMS batch allocate, growth from 64 to 65,280', 1.10,
         ('ims-batch-alloc.65280',), 'series', ('ims-batch-alloc.64',)),
    # Dynamic MSI-X is added to one vector that is there before: 2,047 of 2,048 entries.
    *(Goal(f'IMS single allocate + free at {ours:,}, of dynamic MSI-X of 6.12', 0.80,
           both('ims-single', ours), NEWER, both('msix-dyn', theirs))
      for ours, theirs in ((1, 1), (64, 64), (2048, 2047))),
    *(Goal(f'IMS batch allocate at {count:,}, of single', 0.60,
           (f'ims-batch-alloc.{count}',), 'series', (f'ims-single-alloc.{count}',))
      for count in (64, 2048, 16384, 65280)),
    *(Goal(f'mask + unmask of {kind}, of MSI-X of stock 6.1', 1.00,
           (f'mask-unmask-{kind}',), 'base', ('mask-unmask-msix',), 'mask-unmask-overhead')
      for kind in ('msix', 'table', 'memory')),
    *(Goal(f'delivery of {kind}, of MSI-X of stock 6.1', 1.00, (f'delivery-{kind}',), 'base',
           ('delivery-msix',)) for kind in ('msix', 'table')),
    *(Goal(f'memory of an IMS vector at {count:,}, of MSI-X of stock 6.1', 0.60,
           (f'memory ims.{count}',), 'base', ('memory msix.2048',)) for count in (2048, 65280)),
)


def goals(runs, wanted=GOALS):
    """[(text, value or what is absent, most, whether it is met)]"""
    rows = [(goal.text, goal.value(runs), goal.most) for goal in wanted]
    return [(text, value, most, not isinstance(value, str) and value <= most)
            for text, value, most in rows]


def goals_table(found):
    rows = [['goal', 'value', 'at most', '']]
    for text, value, most, met in found:
        rows.append([text, value if isinstance(value, str) else f'{value:.3f}', f'{most:.2f}',
                     'met' if met else 'missed'])
    return lines_up(rows)


# --- the record ------------------------------------------------------------

HEAD = '''\
# SPDX-License-Identifier: GPL-2.0
#
# What the short form of the benchmark has measured on the series, for one operation or
# vector. `make check` fails for what is more than {above:.0f} % above it. Written by
# `make bench-record` and by nothing else.
'''


def made_with():
    """What figures depend on, beside the series"""
    base, *_ = series.snapshot()
    return {'compiler': '; '.join(kernel.compiler().splitlines()), 'kernel': base.kernel,
            'qemu': run([qemu.get() / 'qemu-system-x86_64', '--version']).splitlines()[0]}


def format_record(tools, machines):
    """The text of a record of {machine: {name: value}}"""
    text = HEAD.format(above=ABOVE * 100) + '\n[made-with]\n'
    text += ''.join(f'{name} = {json.dumps(tools[name])}\n' for name in sorted(tools))
    for machine in sorted(machines):
        text += f'\n[{machine}]\n'
        text += ''.join(f'{json.dumps(name)} = {machines[machine][name]:.2f}\n'
                        for name in sorted(machines[machine]))
    return text


def read_record(text):
    """(what it was made with, {machine: {name: value}})"""
    try:
        machines = tomllib.loads(text)
        return machines.pop('made-with'), machines
    except (tomllib.TOMLDecodeError, KeyError) as err:
        raise Fail(f'{RECORD} is no record ({err}): run `make bench-record`') from None


@dataclass
class Judged:
    """Figures that are above the record, or below it, that have gone, and that are new:
    lists of texts"""
    above: list = field(default_factory=list)
    below: list = field(default_factory=list)
    gone: list = field(default_factory=list)
    new: list = field(default_factory=list)

    def wrong(self):
        return [*self.above,
                *(f'{text} is recorded and not there any more' for text in self.gone),
                *(f'{text} is not recorded' for text in self.new)]


def judge(machines, recorded, by=ABOVE):
    """{machine: {name: value}} against what is recorded"""
    found = Judged()
    for machine in sorted({**machines, **recorded}):
        now, then = machines.get(machine, {}), recorded.get(machine, {})
        found.gone += [f'{machine}: {name}' for name in sorted(then.keys() - now.keys())]
        found.new += [f'{machine}: {name}' for name in sorted(now.keys() - then.keys())]
        for name in sorted(now.keys() & then.keys()):
            value, old = round(now[name], 2), then[name]
            text = f'{machine}: {name}: {value:.2f}, recorded {old:.2f}'
            if value > old + by * abs(old):
                found.above.append(text)
            elif value < old - by * abs(old):
                found.below.append(text)
    return found


def lowered(recorded, machine, name, by=0.03):
    """A record with one figure lower than it was"""
    return {m: {n: value - by * abs(value) if (m, n) == (machine, name) else value
                for n, value in values.items()} for m, values in recorded.items()}


@functools.cache
def short_runs(where):
    """{machine: {name: value}} of the series, in the short form"""
    found = boot_all([('series', machine, where / f'bench-{machine}.log', 'short')
                      for machine in GATE])
    return {machine: each.values for machine, each in zip(GATE, found)}


def gate(where, note):
    """The series against the record; what is worth to be said. note(text) takes what
    was found."""
    tools, recorded = read_record(RECORD.read_text(encoding='utf-8') if RECORD.exists() else '')
    found = judge(short_runs(where), recorded)
    now = made_with()
    others = [f'recorded with {tools.get(name)}, this is {now[name]}' for name in sorted(now)
              if tools.get(name) != now[name]]
    for text in (*others, *found.wrong(), *(f'below: {text}' for text in found.below)):
        note(text)
    wrong = found.wrong()
    if wrong:
        raise Fail(f'{len(wrong)} figures: {"; ".join(wrong[:4])}'
                   + (f' ({"; ".join(others)})' if others else ''))
    return [*others,
            *(f'lower, `make bench-record` would keep it so: {text}' for text in found.below),
            f'{sum(len(values) for values in recorded.values())} figures on {", ".join(GATE)}']


def record():
    """make bench-record"""
    machines = short_runs(WHERE)
    write_atomic(RECORD, format_record(made_with(), machines))
    say(f'bench-record: {RECORD.relative_to(ROOT)}: '
        f'{sum(len(values) for values in machines.values())} figures on {", ".join(GATE)}')


# --- make bench ------------------------------------------------------------

def bench():
    """make bench: everything, or what ONLY= names as the program's arguments do, on
    MACHINE= or on all of MACHINES"""
    newer.source()
    machines = [os.environ['MACHINE']] if os.environ.get('MACHINE') else MACHINES
    main, only = machines[0], os.environ.get('ONLY') or ''
    wanted = [(which, machine, WHERE / f'{which}-{machine}.log',
               only if machine == main else only or 'short')
              for machine in machines for which in KERNELS]
    found = boot_all([*wanted, ('series', main, WHERE / f'series-{main}-again.log', only)])
    again = found.pop()
    runs = {machine: {} for machine in machines}
    for (which, machine, *_), measured in zip(wanted, found):
        runs[machine][which] = measured
    unlike = differ(runs[main]['series'], again)
    if unlike:
        raise Fail(f'two runs of the series differ by more than {SAME:.1%}: '
                   f'{"; ".join(unlike[:4])}; see {WHERE}')
    reached = goals(runs[main])
    text = report(runs, reached, made_with())
    write_atomic(WHERE / 'table.txt', text)
    write_atomic(WHERE / 'table.json', json.dumps(as_json(runs, reached, made_with()), indent=1)
                 + '\n')
    print(text, end='')
    say(f'bench: {sum(met for *_, met in reached)} of {len(reached)} goals are met; '
        f'{WHERE.relative_to(ROOT)}/table.txt')


def report(runs, reached, tools):
    """All tables, as text"""
    first = next(iter(runs.values()))
    parts = ['\n'.join([*(f'{which}: Linux {first[which].version}' for which in KERNELS),
                        *(f'{name}: {tools[name]}' for name in ('compiler', 'qemu'))])]
    for machine, row in runs.items():
        parts.append(f'{machine}: {boot.machine_row(machine)["about"]}. For one vector or '
                     f'operation\n\n{table(row)}')
    parts.append(goals_table(reached))
    return '\n\n'.join(parts) + '\n'


def as_json(runs, reached, tools):
    return {'tools': tools,
            'machines': {machine: {which: vars(measured) for which, measured in row.items()}
                         for machine, row in runs.items()},
            'goals': [{'goal': text, 'value': value, 'most': most, 'met': met}
                      for text, value, most, met in reached]}
