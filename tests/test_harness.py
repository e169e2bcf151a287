# SPDX-License-Identifier: GPL-2.0
"""The project's own commands, scripts and texts."""
import re
import subprocess

import pytest
from support import Checkout, expect, note

from imslib import steps
from imslib.check import CHECK, PYTHON
from imslib.util import ROOT, git_env, run


def tracked():
    listed = run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=ROOT,
                 env=git_env()).split('\0')[:-1]
    return [name for name in listed if (ROOT / name).is_file()]


def scripts(first):
    """The programs of ours with such a first line"""
    found = [name for name in tracked() if not name.startswith(('linux/', 'patches/')) and
             re.match(first, (ROOT / name).read_bytes()[:64])]
    expect(found, f'no program starts with {first}')
    return found


def lint(log, *cmd):
    done = subprocess.run(cmd, cwd=ROOT, check=False, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    note(log, done.stdout)
    first = next(iter(done.stdout.splitlines()), 'no message')
    expect(not done.returncode, f'{cmd[0]}: {first}; see {log}')


@pytest.mark.quick
def test_help_lists_every_target(log):
    text = run(['make', '-s', 'help'], cwd=ROOT)
    note(log, text)
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    targets = re.findall(r'^([a-z][a-z-]*):', makefile, re.M)
    phony = re.search(r'^\.PHONY: ((?:.*\\\n)*.*)', makefile, re.M)[1]
    phony = phony.replace('\\\n', ' ').split()
    expect(sorted(targets) == sorted(phony), 'targets and .PHONY of the Makefile differ')
    for name in targets:
        expect(re.search(rf'^  make {name}\s+\S', text, re.M), f'make help has no line for {name}')


@pytest.mark.quick
def test_shellcheck(log):
    lint(log, 'shellcheck', '--norc', *scripts(rb'#!/bin/(?:ba)?sh\b'))
    lint(log, 'shellcheck', '--norc', '-s', 'dash', *scripts(rb'#!/bin/busybox sh\b'))


@pytest.mark.quick
def test_python(log):
    names = [*scripts(rb'#!/usr/bin/env python3\b'),
             *(name for name in tracked() if name.endswith('.py'))]
    lint(log, PYTHON, '-B', '-m', 'flake8', '--max-line-length=100',
         # Names of one letter, operators at either end of a line, and C with tabs
         '--extend-ignore=E741,W503,W504,W191,E101', *names)


@pytest.mark.quick
def test_spelling(log):
    """Everything that people read: ours, and what the series adds or says."""
    names = [name for name in tracked() if not name.startswith('tests/logs/') and
             name != 'COPYING']
    lint(log, 'codespell', '-I', 'configs/spelling', *names)


@pytest.mark.quick
def test_readme_names_what_check_leaves_out():
    """and why"""
    row = re.compile(r'^\| `test_\w+\.py::\w+` \| \d+ \| .* \|$', re.M)
    found = set(row.findall(run([PYTHON, '-B', '-m', 'pytest', '--collect-only', '-q', '--rare'],
                                cwd=ROOT)))
    # Where no step or each of them is recorded
    found.add(f'| `test_steps.py::test_builds_and_boots` | 1 | {steps.WHY} |')
    named = set(row.findall((ROOT / 'README.md').read_text(encoding='utf-8')))
    expect(found == named, f'README.md and the marks differ: {sorted(found ^ named)}')


@pytest.mark.quick
def test_boot_names_the_step_that_failed(log):
    with Checkout(CHECK / 'bad-config', log) as work:
        with open(work.path / 'configs/lean.config', 'a', encoding='utf-8') as file:
            file.write('CONFIG_NO_SUCH_SYMBOL=y\n')
        work.refuses(r"step 'kernel' failed: .*CONFIG_NO_SUCH_SYMBOL=y is wanted", 'boot')


@pytest.mark.quick
def test_a_cache_that_git_sees_is_refused(log):
    with Checkout(CHECK / 'cache-inside', log) as work:
        work.commit_all()
        work.refuses('would be a part of the checkout', 'quick', IMS_CACHE=str(work.path / 'here'))


@pytest.mark.needs('HACKING.md')
def test_the_short_loop_of_hacking_md(log):
    """The commands as they stand, with an editor that changes one line"""
    text = (ROOT / 'HACKING.md').read_text(encoding='utf-8')
    commands = re.findall(r'^    (\S.*)$', text, re.M)
    expect(0 < len(commands) <= 4, f'HACKING.md has {len(commands)} commands')
    with Checkout(CHECK / 'loop', log) as work:
        work.commit_all()
        editor = work.path / 'build/editor'
        editor.parent.mkdir()
        editor.write_text('#!/bin/sh\n'
                          'sed -i "0,/^static/s//\\/* One line *\\/\\n&/" "$1"\n', 'ascii')
        editor.chmod(0o755)
        work.must('tree')
        for command in commands:
            done = subprocess.run(['bash', '-c', command], cwd=work.path, check=False, text=True,
                                  env={**work.env, 'EDITOR': str(editor)}, capture_output=True,
                                  stdin=subprocess.DEVNULL)
            note(log, f'$ {command}\n{done.stdout}{done.stderr}')
            expect(not done.returncode, f'{command}: exit {done.returncode}; see {log}')
        name = 'kernel/irq/msi_device_domain.c'
        old, new = (top.joinpath('linux', name).read_text('utf-8') for top in (ROOT, work.path))
        expect(new.replace('/* One line */\n', '', 1) == old != new,
               'the line is not in what is exported')
        expect(set(work.files()) == {str(path.relative_to(ROOT)) for top in ('patches', 'linux')
                                     for path in (ROOT / top).rglob('*') if path.is_file()},
               'the loop makes files')
