# SPDX-License-Identifier: GPL-2.0
"""`make profile`: instructions per vector by function, for one of the benchmark's figures.

Words
  figure    what the benchmark prints under one name: T instructions for N vectors
  region    what the guest executed between two reads of its TSC which are marked, as the
            plugin qemu/plugins/ims-profile.c counted it: each instruction on its own
  symbol    an address of the kernel's text with a name, and the file for a local one
  function  symbols which the compiler made of one: foo, foo.cold, foo.part.0, ...

A profile is true only if it adds up: the sum over all functions must be the figure
that the benchmark printed in the same run, read from the guest's TSC.

All but what builds and boots are pure functions: tests/unit/test_profile.py.
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

from . import arch, bench, boot, kernel, qemu, verdict
from .util import (BUILD, ROOT, Fail, digest, digest_functions, entry, fresh_log, run, say,
                   step, write_atomic)

SOURCE = ROOT / 'qemu/plugins/ims-profile.c'
PLUGIN = 'ims-profile.so'

WHERE = BUILD / 'profile'
CASE = 'msix-alloc.2048'
MACHINE = 'intel-ir'

# How far the sum may be from the figure. Only what faults and is executed again makes
# them differ.
TOLERANCE = 0.001

# What of the whole is left out of the tree of calls; how many functions have their
# callers shown, and how many of these
SMALL = 0.002
CALLED = 40
CALLERS = 6

# Not in the kernel's text
USER = '(outside of the kernel)'
# A caller that was entered before the region began
BEFORE = '(what began before)'

# What a compiler appends to the name of a function of which it made several symbols
CLONE = re.compile(r'\.(cold|part|constprop|isra)(\.\d+)*(?=\.|$)')
PART = re.compile(r'\.(cold|part)\b')


@dataclass
class Region:
    """Counts of instructions by address; and the calls, with the instructions until the
    return, by the addresses of all functions that led there and the function's own."""
    number: int
    total: int
    insns: dict = field(default_factory=dict)
    calls: dict = field(default_factory=dict)

    def __add__(self, other):
        """Both as one"""
        insns, calls = Counter(self.insns), dict(self.calls)
        insns.update(other.insns)
        for path, more in other.calls.items():
            calls[path] = add(calls.get(path, (0, 0)), more)
        return Region(self.number, self.total + other.total, dict(insns), calls)


def add(one, two):
    return tuple(map(operator.add, one, two))


def paths(nodes):
    """{path: (calls, inclusive)} of {id: (parent's id, address, calls, inclusive)}"""
    known = {0: ()}

    def path(number):
        todo = []
        while number not in known:
            todo.append(number)
            number = nodes[number][0]
        for number in reversed(todo):
            parent, address, *_ = nodes[number]
            known[number] = (*known[parent], address)
        return known[todo[0] if todo else number]
    return {path(number): node[2:] for number, node in nodes.items()}


def parse(text):
    """[Region] of what the plugin wrote, or Fail if it is not complete."""
    regions, now, nodes, ended = [], None, {}, None
    for line in text.splitlines():
        word, *rest = line.split()
        if word == 'error':
            raise Fail(f'the plugin says: {" ".join(rest)}: mend the marks of the benchmark')
        if ended is not None:
            raise Fail('the profile goes on after its end')
        if word == 'region' and now is None:
            now, nodes = Region(int(rest[0]), int(rest[1])), {}
        elif word == 'insn' and now:
            now.insns[int(rest[0], 16)] = int(rest[1])
        elif word == 'node' and now:
            number, parent, address, calls, inclusive = rest
            nodes[int(number)] = (int(parent), int(address, 16), int(calls), int(inclusive))
        elif word == 'end' and now and int(rest[0]) == now.number:
            got = sum(now.insns.values())
            if got != now.total:
                raise Fail(f'region {now.number} has {got} instructions, not {now.total}')
            now.calls = paths(nodes)
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
        underscores = len(name) - len(name.lstrip('_'))
        found = not function, 'TtWw'.index(kind), underscores, name, file
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
    return abs(total - want) <= want * TOLERANCE


def choose(regions, want, name):
    """What the figure was measured in: the region, or several next to each other, which
    together are nearest to it; the last of those that are the same."""
    best = None
    for end in range(len(regions), 0, -1):
        total = 0
        for start in range(end - 1, -1, -1):
            total += regions[start].total
            off = abs(total - want)
            if agree(total, want) and (not best or off < best[0]):
                best = off, regions[start:end]
            if total > want:
                break
    if best:
        return functools.reduce(operator.add, best[1])
    raise Fail(f'{name}: no region has its {want} instructions; there are '
               f'{", ".join(str(r.total) for r in regions[-8:]) or "none"}')


@dataclass
class Line:
    """A function in a region: instructions of its own and with all that it calls, and how
    often it was entered."""
    own: int = 0
    inclusive: int = 0
    calls: int = 0


def functions(path, names):
    """The path with names, where a part that its parent has entered is none of its own."""
    out = []
    for address in path:
        if address not in names.parts or out[-1:] != [names[address]]:
            out.append(names[address])
    return tuple(out)


def count(region, names):
    """{function: Line}, and {path of functions: (calls, inclusive)}"""
    lines = defaultdict(Line)
    for address, times in region.insns.items():
        lines[names[address]].own += times
    tree = defaultdict(lambda: (0, 0))
    for path, taken in region.calls.items():
        called = functions(path, names)
        # What a part takes that its parent has entered is in the parent's already.
        if path[-1] not in names.parts or called != functions(path[:-1], names):
            tree[called] = add(tree[called], taken)
    for path, (calls, inclusive) in tree.items():
        lines[path[-1]].calls += calls
        if path[-1] not in path[:-1]:
            lines[path[-1]].inclusive += inclusive
    return dict(lines), dict(tree)


def callers(tree):
    """{function: {caller: (calls, inclusive)}}"""
    out = defaultdict(lambda: defaultdict(lambda: (0, 0)))
    for path, taken in tree.items():
        caller = path[-2] if len(path) > 1 else BEFORE
        out[path[-1]][caller] = add(out[path[-1]][caller], taken)
    return out


def figure(text, name):
    """(N, T) of a figure in a boot's log"""
    for line in verdict.split(text)['tests']:
        found = re.fullmatch(rf'figure {re.escape(name)} n=(\d+) total=(\d+)', line)
        if found:
            return int(found[1]), int(found[2])
        if line.startswith(f'absent {name} '):
            raise Fail(f'{name} is absent: {line.split(" ", 2)[2]}: choose another CASE=')
    raise Fail(f'{name} was not measured: see whether the benchmark has it')


def table(title, lines, tree, number, want):
    """The text: what the figure is, the functions by their own cost, the tree of calls as
    far as they cost something, and who calls the dearest functions."""
    total = sum(line.own for line in lines.values())
    out = [title, f'{total} instructions counted, {want} measured by the benchmark '
           f'({(total - want) / want * 100:+.4f} %), {number} vectors or operations', '',
           f'{"per vector":>12} {"share":>7} {"calls":>9} {"inclusive":>12}  function']
    own = sorted(lines.items(), key=lambda item: (-item[1].own, item[0]))
    out += [f'{line.own / number:12.1f} {line.own / total * 100:6.2f}% '
            f'{line.calls / number:9.2f} {line.inclusive / number:12.1f}  {name}'
            for name, line in own if line.own]
    out += [f'{total / number:12.1f} 100.00% {"":9} {"":12}  total', '',
            'The tree of calls, as far as it costs something',
            f'{"inclusive":>12} {"own":>9} {"calls":>9}',
            *branches(tree, number, total * SMALL),
            '', 'Who calls the dearest functions', f'{"inclusive":>12} {"":9} {"calls":>9}']
    calling = callers(tree)
    for name, _ in own[:CALLED]:
        found = sorted(calling.get(name, {}).items(), key=lambda item: (-item[1][1], item[0]))
        if found:
            out.append(f'{"":34}{name}')
        out += [f'{inclusive / number:12.1f} {"":9} {calls / number:9.2f}    {caller}'
                for caller, (calls, inclusive) in found[:CALLERS]]
    return '\n'.join(out) + '\n'


def branches(tree, number, least):
    """The lines of a tree of calls, for what costs at least so much"""
    below = defaultdict(list)
    for path, (calls, inclusive) in tree.items():
        below[path[:-1]].append((-inclusive, path, calls))

    def lines(top):
        for inclusive, path, calls in sorted(below[top]):
            if -inclusive >= least:
                own = -inclusive + sum(more for more, _, _ in below[path])
                yield (f'{-inclusive / number:12.1f} {own / number:9.1f} '
                       f'{calls / number:9.2f}  {"  " * len(top)}{path[-1]}')
                yield from lines(path)
    return list(lines(()))


# --- the plugin ------------------------------------------------------------

def plugin():
    """The plugin, built against the header of the QEMU that is used."""
    header = qemu.get() / 'qemu-plugin.h'
    flags = run(['pkg-config', '--cflags', '--libs', 'glib-2.0']).split()
    version = run(['pkg-config', '--modversion', 'glib-2.0'])

    def build(out):
        say('profile: building the plugin')
        step('profile: plugin',
             ['gcc', '-std=gnu11', '-O2', '-g0', '-fPIC', '-shared', '-fvisibility=hidden',
              '-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror', f'-I{header.parent}',
              '-o', out / PLUGIN, SOURCE, *flags], log=fresh_log('profile-plugin'))
    key = digest(SOURCE, header, version, *flags, kernel.compiler(), digest_functions(plugin))
    return entry('profile-plugin', key, build) / PLUGIN


# --- a profile -------------------------------------------------------------

@dataclass
class Profile:
    """A figure's: the text, {function: Line}, and what the benchmark has measured."""
    text: str
    lines: dict
    want: int


def take(which, machine, cases, log):
    """{case: Profile} of some of the benchmark's figures, from one boot."""
    known = bench.kinds(','.join(cases))
    for case in cases:
        if known.get(case) != 'figure':
            raise Fail(f'CASE={case} is no figure of the benchmark: choose one of those in the '
                       'table of `make bench`')
    built = bench.get(which)
    system_map = (built / 'System.map').read_text(encoding='ascii')
    elf = elf_symbols(run(['readelf', '-sW', built / 'vmlinux']))
    with tempfile.TemporaryDirectory(prefix='ims-profile-') as tmp:
        raw, called = Path(tmp) / 'raw', Path(tmp) / 'functions'
        called.write_text(''.join(f'{address:x}\n' for address in callable_at(elf, system_map)),
                          encoding='ascii')
        bench.boot_one(which, machine, log, only=','.join(cases), hardware=(
            '-plugin', f'{plugin()},out={raw},funcs={called}'))
        text = log.read_text(encoding='utf-8')
        figures = {case: figure(text, case) for case in cases}
        regions = parse(raw.read_text(encoding='ascii'))
    names = Names(symbols(system_map, elf))
    return {case: judge(f'{case} on {which}, {machine}', regions, names, *figures[case])
            for case in cases}


def judge(name, regions, names, number, want):
    """The Profile of a figure, or Fail if nothing adds up to it"""
    region = choose(regions, want, name)
    lines, tree = count(region, names)
    return Profile(table(f'{name}: instructions by function', lines, tree, number, want),
                   lines, want)


def head(text, most=45):
    """The beginning of a table, with its total"""
    rows = text.split('\n\nThe tree', 1)[0].splitlines()
    if len(rows) > most:
        rows[most - 1:-1] = [f'{"":12} {"":7} {"":9} {"":12}  {len(rows) - most} more']
    return '\n'.join(rows)


def profile():
    """make profile"""
    cases = (os.environ.get('CASE') or CASE).split(',')
    which = os.environ.get('KERNEL') or 'series'
    machine = os.environ.get('MACHINE') or MACHINE
    if boot.machine_row(machine)['arch'] != arch.HOST:
        raise Fail(f'MACHINE={machine}: only machines of {arch.HOST} have marks for a profiler')
    where = '' if machine == MACHINE else f'-{machine}'
    found = take(which, machine, cases, WHERE / f'{which}{where}.log')
    for case, one in found.items():
        path = WHERE / f'{which}-{case}{where}.txt'
        write_atomic(path, one.text)
        say(f'{head(one.text)}\n\nprofile: {path}')
