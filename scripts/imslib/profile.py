# SPDX-License-Identifier: GPL-2.0
"""`make profile`: instructions per vector by function, for one of the benchmark's figures.

Words
  figure    what the benchmark prints under one name: T instructions for N vectors
  region    what the guest executed between two marks, as the plugin
            qemu/plugins/ims-profile.c counted it: each instruction on its own
  symbol    an address of the kernel's text with a name, and the file for a local one
  function  symbols which the compiler made of one: foo, foo.cold, foo.part.0, ...

A profile is true only if it adds up: the sum over all functions must be the figure
that the benchmark printed in the same run, read from the guest's TSC.

All but what builds and boots are pure functions:
tests/test_profile.py.
"""
import bisect
import functools
import operator
import os
import re
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from . import kernel, qemu, verdict
from .util import ROOT, Fail, digest, entry, fresh_log, run, say, step

SOURCE = ROOT / 'qemu/plugins/ims-profile.c'
PLUGIN = 'ims-profile.so'

WHERE = BUILD / 'profile'
CASE = 'msix-alloc.2048'

# How far the sum may be from the figure: a part of it, and the instructions between
# a mark and the read of the TSC next to it
TOLERANCE = 0.001
BETWEEN = 16

# How many functions have their callers shown, how many of these, and how many lines
# the table by inclusive cost has
CALLED = 40
CALLERS = 6
INCLUSIVE = 150

# Not in the kernel's text
USER = '(outside of the kernel)'
# A caller that was entered before the region began
BEFORE = '(what began before)'

# What a compiler appends to the name of a function of which it made several symbols
CLONE = re.compile(r'\.(cold|part|constprop|isra)(\.\d+)*(?=\.|$)')
PART = re.compile(r'\.(cold|part)\b')


@dataclass
class Region:
    number: int
    total: int
    insns: dict = field(default_factory=dict)
    funcs: dict = field(default_factory=dict)
    edges: dict = field(default_factory=dict)

    def __add__(self, other):
        """Both as one"""
        def both(one, two):
            out = dict(one)
            for key, value in two.items():
                old = out.get(key)
                if old is None:
                    out[key] = value
                elif isinstance(value, tuple):
                    out[key] = tuple(a + b for a, b in zip(old, value))
                else:
                    out[key] = old + value
            return out
        return Region(self.number, self.total + other.total, both(self.insns, other.insns),
                      both(self.funcs, other.funcs), both(self.edges, other.edges))


def parse(text):
    """[Region] of what the plugin wrote, or Fail if it is not complete."""
    regions, now, ended = [], None, None
    for line in text.splitlines():
        word, *rest = line.split()
        if word == 'error':
            raise Fail(f'the plugin says: {" ".join(rest)}: mend the marks of the benchmark')
        if ended is not None:
            raise Fail('the profile goes on after its end')
        if word == 'region' and now is None:
            now = Region(int(rest[0]), int(rest[1]))
        elif word == 'insn' and now:
            now.insns[int(rest[0], 16)] = int(rest[1])
        elif word == 'func' and now:
            now.funcs[int(rest[0], 16)] = (int(rest[1]), int(rest[2]))
        elif word == 'edge' and now:
            now.edges[int(rest[0], 16), int(rest[1], 16)] = (int(rest[2]), int(rest[3]))
        elif word == 'end' and now and int(rest[0]) == now.number:
            got = sum(now.insns.values())
            if got != now.total:
                raise Fail(f'region {now.number} has {got} instructions, not {now.total}')
            regions.append(now)
            now = None
        elif word == 'regions' and now is None:
            ended = int(rest[0])
        else:
            raise Fail(f'cannot read the profile\'s line "{line}"')
    if ended is None:
        raise Fail('the profile is not complete: the guest has not ended as it should')
    if ended != len(regions):
        raise Fail(f'{ended} regions were profiled, {len(regions)} are there')
    return regions


def elf_symbols(text):
    """{(address, name): (is it a function, file of a local one)} of `readelf -sW vmlinux`"""
    found, file = {}, ''
    for line in text.splitlines():
        words = line.split()
        if len(words) < 7 or not words[0].rstrip(':').isdecimal():
            continue
        _, value, _, kind, bind, _, _, *name = words
        if kind == 'FILE':
            file = ' '.join(name)
        elif name:
            found[int(value, 16), name[0]] = kind == 'FUNC', file if bind == 'LOCAL' else ''
    return found


def symbols(system_map, elf):
    """Sorted [(address, name, file)] of the text in a System.map, one for an address: of
    several names a function's, a global one, the one with fewer underscores."""
    best = {}
    for line in system_map.splitlines():
        address, kind, name = line.split()
        if kind not in 'TtWw':
            continue
        address = int(address, 16)
        function, file = elf.get((address, name), (False, ''))
        found = (not function, 'TtWw'.index(kind), len(name) - len(name.lstrip('_')), name, file)
        best[address] = min(best.get(address, found), found)
    return [(address, *found[-2:]) for address, found in sorted(best.items())]


def callable_at(elf, system_map):
    """Sorted addresses of what can be called: functions in the text."""
    text = {int(line.split()[0], 16) for line in system_map.splitlines()
            if line.split()[1] in 'TtWw'}
    return sorted({address for (address, _), (function, _) in elf.items()
                   if function and address in text})


def fold(found):
    """[name of the function] for the symbols: parts and clones go with their parent, and
    local functions of one name but of several files are told apart."""
    there = {(name, file) for _, name, file in found}
    owner = []
    for _, name, file in found:
        base = CLONE.sub('', name)
        if base != name and (base, file) not in there and (base, '') in there:
            file = ''
        owner.append((base, file))
    many = Counter(name for name, _ in set(owner))
    return [f'{name} ({file})' if file and many[name] > 1 else name for name, file in owner]


class Names:
    """Addresses to functions"""

    def __init__(self, found):
        self.starts = [address for address, _, _ in found]
        self.names = fold(found)
        self.parts = {address for address, name, _ in found if PART.search(name)}

    def __getitem__(self, address):
        at = bisect.bisect_right(self.starts, address) - 1
        return self.names[at] if address and at >= 0 else USER


def agree(total, want):
    return abs(total - want) <= max(want * TOLERANCE, BETWEEN)


def choose(regions, want, name):
    """What the figure was measured in: the last region that agrees with it or, if it is
    the sum of several, the last ones next to each other that together do."""
    for region in reversed(regions):
        if agree(region.total, want):
            return region
    for end in range(len(regions), 0, -1):
        total = 0
        for start in range(end - 1, -1, -1):
            total += regions[start].total
            if agree(total, want):
                return functools.reduce(operator.add, regions[start:end])
            if total > want:
                break
    raise Fail(f'{name}: no region has its {want} instructions; there are '
               f'{", ".join(str(r.total) for r in regions[-8:]) or "none"}')


@dataclass
class Line:
    """A function in a region: instructions of its own and with all that it calls, and how
    often it was entered."""
    own: int = 0
    inclusive: int = 0
    calls: int = 0


def count(region, names):
    """{function: Line}"""
    lines = defaultdict(Line)
    for address, times in region.insns.items():
        lines[names[address]].own += times
    for address, (calls, inclusive) in region.funcs.items():
        # A part is entered from its parent, which has all that it takes already.
        if address not in names.parts:
            line = lines[names[address]]
            line.calls += calls
            line.inclusive += inclusive
    return dict(lines)


def callers(region, names):
    """{function: {caller: (calls, inclusive)}}"""
    out = defaultdict(dict)
    for (caller, callee), (calls, inclusive) in region.edges.items():
        one, two = names[caller] if caller else BEFORE, names[callee]
        if one != two:
            old = out[two].get(one, (0, 0))
            out[two][one] = (old[0] + calls, old[1] + inclusive)
    return dict(out)


def figure(text, name):
    """(N, T) of a figure in a boot's log"""
    for line in verdict.split(text)['tests']:
        found = re.fullmatch(rf'figure {re.escape(name)} n=(\d+) total=(\d+)', line)
        if found:
            return int(found[1]), int(found[2])
        if line.startswith(f'absent {name} '):
            raise Fail(f'{name} is absent: {line.split(" ", 2)[2]}: choose another CASE=')
    raise Fail(f'the benchmark has no figure {name}: choose one of the names in the table of '
               '`make bench`')


def table(title, lines, calling, number, want):
    """The text: what the figure is, functions by their own cost, who calls the dearest of
    them, and functions by their inclusive cost."""
    total = sum(line.own for line in lines.values())
    out = [title, f'{total} instructions counted, {want} measured by the benchmark '
           f'({(total - want) / want * 100:+.4f} %), {number} vectors or operations', '',
           f'{"per vector":>12} {"share":>7} {"calls":>9} {"inclusive":>12}  function']

    def row(line, name):
        return (f'{line.own / number:12.1f} {line.own / total * 100:6.2f}% '
                f'{line.calls / number:9.2f} {line.inclusive / number:12.1f}  {name}')
    own = sorted(lines.items(), key=lambda item: (-item[1].own, item[0]))
    out += [row(line, name) for name, line in own if line.own]
    out += [f'{total / number:12.1f} 100.00% {"":9} {"":12}  total', '',
            'Who calls the dearest: calls and inclusive instructions per vector']
    for name, _ in own[:CALLED]:
        found = sorted(calling.get(name, {}).items(), key=lambda item: (-item[1][1], item[0]))
        if found:
            out.append(f'  {name}')
        out += [f'{calls / number:12.2f} {inclusive / number:12.1f}    {caller}'
                for caller, (calls, inclusive) in found[:CALLERS]]
    out += ['', 'By inclusive cost: instructions per vector, until the function returns',
            f'{"inclusive":>12} {"share":>7} {"calls":>9} {"own":>12}  function']
    whole = sorted(lines.items(), key=lambda item: (-item[1].inclusive, item[0]))
    out += [f'{line.inclusive / number:12.1f} {line.inclusive / total * 100:6.2f}% '
            f'{line.calls / number:9.2f} {line.own / number:12.1f}  {name}'
            for name, line in whole[:INCLUSIVE] if line.inclusive]
    return '\n'.join(out) + '\n'


# --- the plugin ------------------------------------------------------------

def plugin():
    """The plugin, built against the header of the QEMU that is used."""
    header = qemu.get() / 'qemu-plugin.h'
    glib = run(['pkg-config', '--modversion', '--cflags', '--libs', 'glib-2.0'])
    _, flags, *_ = glib.splitlines()

    def build(out):
        say('profile: building the plugin')
        step('profile: plugin',
             ['gcc', '-std=gnu11', '-O2', '-g0', '-fPIC', '-shared', '-fvisibility=hidden',
              '-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror', f'-I{header.parent}',
              '-o', out / PLUGIN, SOURCE, *flags.split()], log=fresh_log('profile-plugin'))
    return entry('profile-plugin', digest(SOURCE, header, glib, kernel.compiler()),
                 build) / PLUGIN


# --- a profile -------------------------------------------------------------

@dataclass
class Profile:
    """What take() has found. count() of it adds up to total, the benchmark has measured
    want instructions for number vectors."""
    text: str
    lines: dict
    total: int
    want: int
    number: int


def take(which, machine, case, log):
    """The profile of one of the benchmark's figures, from one boot."""
    built = bench.get(which)
    system_map = (built / 'System.map').read_text(encoding='ascii')
    elf = elf_symbols(run(['readelf', '-sW', built / 'vmlinux']))
    names = Names(symbols(system_map, elf))
    with tempfile.TemporaryDirectory(prefix='ims-profile-') as tmp:
        raw, called = Path(tmp) / 'raw', Path(tmp) / 'functions'
        called.write_text(''.join(f'{address:x}\n' for address in callable_at(elf, system_map)),
                          encoding='ascii')
        text = bench.boot_one(which, machine, log, only=case, hardware=(
            '-plugin', f'{plugin()},out={raw},funcs={called}'))
        number, want = figure(text, case)
        regions = parse(raw.read_text(encoding='ascii'))
    region = choose(regions, want, case)
    lines = count(region, names)
    title = f'{case} on {which}, {machine}: instructions by function'
    return Profile(table(title, lines, callers(region, names), number, want), lines,
                   region.total, want, number)


def head(text, most=45):
    """The beginning of a table, with its total."""
    rows = text.split('\n\nWho calls', 1)[0].splitlines()
    if len(rows) > most:
        rows[most - 1:-1] = [f'{"":12} {"":7} {"":9} {"":12}  ... {len(rows) - most} more']
    return '\n'.join(rows)


def profile():
    """make profile"""
    case = os.environ.get('CASE') or CASE
    which = os.environ.get('KERNEL') or 'series'
    machine = os.environ.get('MACHINE') or 'intel-ir'
    suffix = '' if machine == 'intel-ir' else f'-{machine}'
    path = WHERE / f'{which}-{case}{suffix}.txt'
    found = take(which, machine, case, path.with_suffix('.log'))
    write_atomic(path, found.text)
    say(head(found.text))
    say(f'profile: {path}')
