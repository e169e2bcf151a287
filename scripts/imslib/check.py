# SPDX-License-Identifier: GPL-2.0
"""`make quick`, `make check` and `make check-all`: pytest with tests/, which says more.

Two tests run at a time: an emulated machine keeps little more than one core busy. The
log of each test is build/check/NAME.log, junit.xml and NAME.tap of each boot are for
other programs.

ONLY= is what pytest takes as -k: words of the names of tests, with `and`, `or`, `not`.
"""
import fcntl
import os
import sys

from . import base, qemu, series
from .util import BUILD, ROOT, Fail, cache, git_env, jobs, run, say

PYTHON = '/usr/bin/python3'
CHECK = BUILD / 'check'
SETTINGS = ('IMS_CACHE', 'XDG_CACHE_HOME', 'KERNEL_SRC', 'QEMU_SRC', 'JOBS', 'ROUNDS', 'CPUS',
            'CI')


def command(tier, only=''):
    return [PYTHON, '-B', '-m', 'pytest', '-v', f'--tier={tier}', '-n', str(min(2, jobs())),
            '--dist=loadgroup', '-rs', '--durations=10', '--durations-min=1',
            f'--junitxml={CHECK / "junit.xml"}', *(('-k', only) if only else ())]


def start(tier):
    """Run the tests in place of this program. The base and QEMU are made before them, with
    progress, as all of them want these."""
    place = cache()
    if place.is_relative_to(ROOT) and not run(['git', 'check-ignore', place], cwd=ROOT,
                                              env=git_env(), check=False).stdout:
        raise Fail(f'the cache {place} would be a part of the checkout: set IMS_CACHE to another '
                   'place')
    series.make_tip(base.get())
    if tier != 'quick':
        qemu.get()
    # Held by pytest and its workers, whose directories in build/check another run removes
    CHECK.mkdir(parents=True, exist_ok=True)
    lock = os.open(CHECK / 'lock', os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Fail('another check runs in this checkout: wait for it') from None
    os.set_inheritable(lock, True)
    env = {**qemu.apt_env(), 'PYTHONUNBUFFERED': '1', 'PYTHONDONTWRITEBYTECODE': '1',
           **{name: os.environ[name] for name in SETTINGS if name in os.environ}}
    cmd = command(tier, os.environ.get('ONLY') or '')
    say(f'{tier}: {" ".join(cmd[3:])}')
    if not os.access(PYTHON, os.X_OK):
        raise Fail(f'{PYTHON} is missing: run `make deps`')
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execve(PYTHON, cmd, env)


def quick():
    start('quick')


def check():
    start('check')


def check_all():
    start('all')
