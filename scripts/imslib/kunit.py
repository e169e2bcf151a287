# SPDX-License-Identifier: GPL-2.0
"""The KUnit tests of the series, run by the kernel's own kunit.py on UML.

Words
  suite   a group of tests in the kernel: MSI_TEST_SUITE() or a struct kunit_suite in
          the sources of the directories CONFIGS
  result  what kunit.py makes of the kernel's output, as JSON

A run has passed when kunit.py says so, each suite that is in the sources ran and has
a test that passed, none failed, none was skipped - each directory's .kunitconfig has
what its tests need - and the kernel complained about nothing but what tests provoke. judge() is
a pure function of texts: tests/test_kunit.py.
"""
import json
import re
import shutil

from . import kernel, verdict
from .util import Fail, cache, jobs, locked, step

CONFIGS = ('kernel/irq', 'drivers/net/wireless/ath/ath11k', 'lib/hbitmap')
SUITE = re.compile(r'^MSI_TEST_SUITE\((\w+),|'
                   r'^(?:static )?struct kunit_suite \w+ = \{[^}]*?\.name = "(\w+)"', re.M)

# What some tests do on purpose ends in WARN_ON_ONCE() in one of these.
PROVOKED = re.compile(r'WARNING: CPU: \d+ PID: \d+ at kernel/irq/msi\.c:\d+ '
                      r'(?:msi_store_find_irq|msi_store_free_irqs?|msi_remove_store|'
                      r'msi_free_desc|msi_store_del_desc|msi_store_free_descs|'
                      r'msi_domain_free_irqs|walk_free)')
# The PCI bus of UML has no device, and says so.
NO_DEVICE = re.compile(r'WARNING: CPU: \d+ PID: \d+ at arch/um/drivers/virt-pci\.c')
BLOCK = re.compile(r'-+\[ cut here \]-+\n(.*?)---\[ end trace [^\n]*\n', re.S)


def build_dir():
    return cache() / 'kernel-src' / 'kunit'


def suites(src):
    """The names of the suites in the sources."""
    return sorted(match[1] or match[2] for config in CONFIGS
                  for path in (src / config).glob('*test*.c')
                  for match in SUITE.finditer(path.read_text(encoding='utf-8')))


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


def judge(result, console, wanted):
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
    line = complaint(console)
    return (f'the kernel complains: {line}' if line else ''), len(passed)


def run(base, tree, objects, log):
    """The number of tests that passed; raises if one did not."""
    with locked('kernel-src'):
        kernel.checkout(base, tree, objects)
        out = build_dir()
        result, console = out / 'result.json', out / 'test.log'
        cmd = [kernel.src() / 'tools/testing/kunit/kunit.py', 'run',
               *(f'--kunitconfig={config}' for config in CONFIGS), f'--build_dir={out}',
               f'--jobs={jobs()}', '--timeout=600', f'--json={result}']
        if shutil.which('ccache'):
            cmd += ['--make_options=CC=ccache gcc']
        try:
            with kernel.using(out):
                # kunit.py takes over a .config of another tree that has all it wants.
                for path in (result, console, out / '.config'):
                    path.unlink(missing_ok=True)
                step('kunit', cmd, log=log, env=kernel.make_env())
            trouble = ''
        except Fail as err:
            trouble = str(err)
        text = console.read_text(errors='replace') if console.exists() else ''
        with open(log, 'a', encoding='utf-8') as file:
            file.write('=== the console\n' + text)
        wrong, passed = judge(result.read_text(errors='replace') if result.exists() else '', text,
                              suites(kernel.src()))
    if wrong or trouble:
        raise Fail(f'{wrong or trouble}; see {log}')
    return passed
