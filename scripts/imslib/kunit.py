# SPDX-License-Identifier: GPL-2.0
"""The KUnit tests of the series, run by the kernel's own kunit.py.

Words
  suite     a group of tests in the kernel: MSI_TEST_SUITE() or a struct kunit_suite in
            the sources of the directories CONFIGS
  platform  where suites run: UML, one CPU, interrupt numbers from an array, and devices
            behind readl(); x86_64 in our QEMU, several CPUs and interrupt numbers from a
            table
  result    what kunit.py makes of the kernel's output, as JSON

A platform has each suite that is in the sources, except one whose Kconfig symbol
depends on what PLATFORMS says that the platform lacks. A run has passed when kunit.py
says so, each suite that the platform has ran and has a test that passed, none failed,
none was skipped - each directory's .kunitconfig has what its tests need -, the console
shows that the platform is what it claims to be, and the kernel complained about nothing
but what tests provoke. judge() is a pure function of texts: tests/unit/test_kunit.py.

kunit.py keeps a .config that has all that it wants, whatever else is in there. forget()
removes it before each run, so that a run depends on nothing but the sources.
"""
import json
import os
import re
import shutil
from dataclasses import dataclass
from fnmatch import fnmatchcase

from . import kernel, qemu, series, verdict
from .util import Fail, cache, fresh_log, jobs, locked, say, step

CONFIGS = ('kernel/irq/tests', 'drivers/net/wireless/ath/ath11k', 'lib/hbitmap')
# Where suites are: those without a .kunitconfig of their own come with kernel/irq/tests
SOURCES = (*CONFIGS, 'drivers/pci/msi')
CPUS = 4
# Seconds that a run may take. kunit.py asks the kernel to end then, and who does not
# listen is killed somewhat later.
BOUND, GRACE = 1800, 15


@dataclass(frozen=True)
class Platform:
    """configs are more files than the .kunitconfig of CONFIGS, args more arguments of
    kunit.py. lacks are symbols that the platform cannot have, shows what its console
    has."""
    configs: tuple = ()
    args: tuple = ()
    lacks: tuple = ()
    shows: tuple = ()
    qemu: bool = False


PLATFORMS = {
    'um': Platform(lacks=('SMP', 'SPARSE_IRQ')),
    'x86_64': Platform(
        configs=('kernel/irq/tests/smp.kunitconfig',), qemu=True, lacks=('INDIRECT_IOMEM',),
        args=('--arch=x86_64', f'--qemu_args=-M q35 -smp {CPUS}'),
        # With SPARSE_IRQ only are interrupts preallocated.
        shows=(rf'smp: Brought up 1 node, {CPUS} CPUs',
               r'NR_IRQS: \d+, nr_irqs: \d+, preallocated irqs: \d+')),
}
SUITE = re.compile(r'^MSI_TEST_SUITE\((\w+),|'
                   r'^(?:static )?struct kunit_suite \w+ = \{[^}]*?\.name\s*= "(\w+)"', re.M)

# What some tests do on purpose ends in WARN_ON_ONCE() in one of these, or is a WARN_ON()
# that only one test may cause.
PROVOKED = re.compile(r'WARNING: CPU: \d+ PID: \d+ at kernel/irq/msi(?:_store)?\.c:\d+ '
                      r'(?:msi_store_find_irq|msi_store_free_irqs?|msi_remove_store|'
                      r'msi_free_desc|msi_store_del_desc|msi_store_free_descs)|'
                      r'WARNING: CPU: \d+ PID: \d+ at kernel/irq/irqdomain\.c:\d+ '
                      r'irq_domain_remove\+(?s:.*)\bdomain_in_use\+')
# The PCI bus of UML has no device, and says so.
NO_DEVICE = re.compile(r'WARNING: CPU: \d+ PID: \d+ at arch/um/drivers/virt-pci\.c')
BLOCK = re.compile(r'-+\[ cut here \]-+\n(.*?)---\[ end trace [^\n]*\n', re.S)


def build_dir(platform):
    return cache() / 'kernel-src' / f'kunit-{platform}'


def forget(out):
    """Remove what kunit.py would take from an earlier run."""
    for name in ('.config', '.kunitconfig', 'last_used_kunitconfig', 'result.json', 'test.log'):
        (out / name).unlink(missing_ok=True)


def depends(src, path):
    """The text of what a source file depends on: the `depends on` lines of the symbol
    that its Makefile builds it for."""
    text = (path.parent / 'Makefile').read_text(encoding='utf-8').replace('\\\n', ' ')
    found = re.search(rf'^obj-\$\(CONFIG_(\w+)\)\s*\+=.*\b{path.stem}\.o\b', text, re.M)
    if not found:
        raise Fail(f'{path.parent.relative_to(src)}/Makefile has no symbol for {path.stem}.o')
    for where in path.parents:
        for file in sorted(where.glob('Kconfig*')):
            block = re.search(rf'^config {found[1]}\n((?:[ \t].*\n|\n)*)',
                              file.read_text(encoding='utf-8'), re.M)
            if block:
                return '\n'.join(re.findall(r'^\s+depends on (.*)', block[1], re.M))
        if where == src:
            break
    raise Fail(f'no Kconfig file has {found[1]}, which {path.relative_to(src)} is built for')


def suites(src, lacks=()):
    """The names of the suites in the sources that depend on nothing of lacks."""
    names = []
    for path in sorted(path for where in SOURCES for path in (src / where).glob('*test*.c')):
        text = path.read_text(encoding='utf-8')
        found = [match[1] or match[2] for match in SUITE.finditer(text)]
        if not found and re.search(r'^kunit_test_suites?\(', text, re.M):
            raise Fail(f'{path.relative_to(src)} has a suite whose name cannot be read')
        if found and not set(re.findall(r'\w+', depends(src, path))) & set(lacks):
            names += found
    return sorted(names)


def choose(names, glob):
    """Those of the suites that SUITE= means, which is a glob as kunit.py takes it:
    suite or suite.test."""
    chosen = [name for name in names if not glob or fnmatchcase(name, glob.split('.')[0])]
    if names and not chosen:
        raise Fail(f'SUITE={glob} matches none of the suites here: {", ".join(names)}')
    return chosen


def results(group, suite=''):
    """[(suite, test, status)] of a result"""
    found = [(suite or group['name'], case['name'], case['status'])
             for case in group['test_cases']]
    for sub in group['sub_groups']:
        found += results(sub, suite or sub['name'])
    return found


def complaint(console):
    """The first line in which the kernel complains about something."""
    def cut(match):
        return '' if PROVOKED.search(match[1]) or NO_DEVICE.search(match[1]) else match[0]
    for line in BLOCK.sub(cut, console).splitlines():
        if verdict.COMPLAINT.search(line):
            return line.strip()
    return ''


def judge(result, console, wanted, shows=()):
    """(what is wrong or '', number of tests that passed)"""
    if not wanted:
        return 'the kernel has no suite of KUnit tests', 0
    try:
        found = results(json.loads(result))
    except (ValueError, KeyError, TypeError):
        return 'kunit.py has left no result', 0
    passed = [row for row in found if row[2] == 'PASS']
    for suite, name, status in found:
        if status != 'PASS':
            word = {'SKIP': 'was skipped', 'ERROR': 'did not end'}.get(status, 'failed')
            return f'{suite}: {name} {word}', len(passed)
    for suite in wanted:
        if not any(row[0] == suite for row in passed):
            return f'{suite} did not run', len(passed)
    for pattern in shows:
        if not re.search(pattern, console):
            return f'the console does not show "{pattern}"', len(passed)
    line = complaint(console)
    return (f'the kernel complains: {line}' if line else ''), len(passed)


def lacking(config, lacks):
    """The symbols of lacks that a .config has nevertheless."""
    return [symbol for symbol in lacks if f'CONFIG_{symbol}=y' in config.splitlines()]


def one_test(result, wanted):
    """Of the suites wanted, those that a result has: SUITE= names tests, which may be
    in a part of the suites only."""
    try:
        have = {row[0] for row in results(json.loads(result))}
    except (ValueError, KeyError, TypeError):
        return wanted
    return [suite for suite in wanted if suite in have] or wanted


def attempt(name, cmd, log, env, bound=None):
    """What goes wrong with a step, which may have left a result all the same"""
    try:
        step(name, cmd, log=log, env=env, bound=bound)
    except Fail as err:
        return str(err)
    return ''


def command(platform, verb):
    """kunit.py, with what all of its verbs take, and `config` and `build` more"""
    what, made = PLATFORMS[platform], ()
    if verb != 'exec':
        made = [f'--kunitconfig={config}' for config in (*CONFIGS, *what.configs)]
        made += ['--make_options=CC=ccache gcc'] if shutil.which('ccache') else []
    return [kernel.src() / 'tools/testing/kunit/kunit.py', verb, *what.args,
            f'--build_dir={build_dir(platform)}', *made]


def run(base, tree, objects, log, platform='um', suite='', bound=BOUND, built=lambda: None):
    """The number of tests that passed; raises if one did not. built() is called between
    build and run, and may raise as well."""
    what = PLATFORMS[platform]
    env = kernel.make_env()
    if what.qemu:
        env['PATH'] = f'{qemu.get()}:{env["PATH"]}'
    out = build_dir(platform)
    result, console = out / 'result.json', out / 'test.log'
    # Others may have the source tree while the kernel runs.
    with locked(f'kunit-{platform}'):
        with locked('kernel-src'), kernel.using(out):
            kernel.checkout(base, tree, objects)
            wanted = choose(suites(kernel.src(), what.lacks), suite)
            forget(out)
            trouble = attempt(f'kunit on {platform}: build',
                              [*command(platform, 'build'), f'--jobs={jobs()}'], log, env)
            if not trouble:
                built()
        trouble = trouble or attempt(f'kunit on {platform}', [
            *command(platform, 'exec'), f'--timeout={bound}', f'--json={result}',
            *([suite] if suite else [])], log, env, bound + GRACE)
        said, text, config = (path.read_text(errors='replace') if path.exists() else ''
                              for path in (result, console, out / '.config'))
    with open(log, 'a', encoding='utf-8') as file:
        file.write('=== the console\n' + text)
    log.with_suffix('.tap').write_text(text, encoding='utf-8')
    if '.' in suite:
        wanted = one_test(said, wanted)
    wrong, passed = judge(said, text, wanted, what.shows)
    have = lacking(config, what.lacks)
    if have:
        wrong = wrong or f'{platform} has {have[0]}, which PLATFORMS says that it lacks'
    if trouble and not said:
        error = re.search(r'^(?:.*/linux/)?(\S+:\d+: error: .*)', log.read_text('utf-8', 'replace'),
                          re.M)
        raise Fail(f'kunit on {platform}: {error[1]}; see {log}' if error else trouble)
    if wrong or trouble:
        raise Fail(f'{wrong or trouble}; see {log}')
    return passed


def shown(text):
    """The lines of kunit.py's output that say what each test did."""
    lines = re.findall(r'^\[\d\d:\d\d:\d\d\] .*', text.partition('=== the console\n')[0], re.M)
    start = next((i for i, line in enumerate(lines) if 'Starting KUnit Kernel' in line), None)
    return [] if start is None else lines[start + 1:]


def kunit():
    """make kunit: suites of build/linux as it stands, on one platform."""
    platform, suite = os.environ.get('PLATFORM') or 'um', os.environ.get('SUITE', '')
    if platform not in PLATFORMS:
        raise Fail(f'PLATFORM={platform}: name one of {", ".join(PLATFORMS)}')
    base, tree, objects, words = series.snapshot()
    say(f'kunit: {words}, on {platform}')
    log = fresh_log(f'kunit-{platform}')
    try:
        passed = run(base, tree, objects, log, platform, suite)
    finally:
        text = log.read_text('utf-8', 'replace') if log.exists() else ''
        say('\n'.join(shown(text)))
    say(f'kunit: PASS, {passed} tests')
