# SPDX-License-Identifier: GPL-2.0
"""run: boot a kernel of the folder and print what its programs say as one KTAP document.

The boot and the verdict are boot.py's and verdict.py's. Standard output has the
document alone, standard error the progress and, as its last line, the verdict.
"""
import contextlib
import os
import sys
from pathlib import Path

from . import arch, boot, devices, ntb, util, verdict
from .util import ROOT, Fail

USAGE = 'usage: run MACHINE KERNEL PROGRAMS, or run --list'
# Tests with hardware of their own, and the kernel that has its drivers
SPECIAL = {'devices': devices.run, 'ntb': ntb.run}
SPECIAL_KERNEL = 'devices'
# Suspended once, this QEMU is slow to switch off.
EXTRA = {'devices': ('ims.end=reboot',)}


class Usage(Exception):
    """One line that says what is wrong with the arguments."""


def machines():
    """Those that the folder has kernels for"""
    return {name: row for name, row in boot.machines().items() if row['arch'] == arch.HOST}


def kernels():
    return sorted(path.name for path in (ROOT / 'kernels').iterdir())


def programs():
    return (ROOT / 'programs').read_text(encoding='ascii').split()


def one_of(what, name, names):
    if name not in names:
        raise Usage(f'{what} {name} is unknown: use one of {", ".join(names)}')


def check(machine, kernel, wanted):
    """Refuse what `make check` does not run either."""
    rows = machines()
    one_of('machine', machine, rows)
    one_of('kernel', kernel, kernels())
    names = wanted.split(',')
    whole = ['selftests', 'nothing', *SPECIAL] if len(names) == 1 else []
    for name in names:
        one_of('program', name, whole + programs())
    if wanted in SPECIAL and kernel != SPECIAL_KERNEL:
        raise Usage(f'{wanted} needs the kernel {SPECIAL_KERNEL}')
    if wanted == 'ntb' and machine not in ntb.WINDOWS:
        raise Usage(f'ntb runs on {", ".join(ntb.WINDOWS)}')
    able = [name for name, row in rows.items() if kernel in row['kernels']]
    if wanted == 'selftests' and machine not in able:
        raise Usage(f'selftests of the kernel {kernel} run on {", ".join(able) or "no machine"}')


def show_list():
    print('machines:')
    for name, row in machines().items():
        print(f'  {name:12}{row["about"]}')
    print('kernels:\n  ' + ' '.join(kernels()))
    print('programs:\n  selftests   all of them, where `make check` runs them\n'
          '  nothing     only the boot\n'
          f'  {" ".join(SPECIAL)}\n'
          f'              other devices, and a bridge; kernel {SPECIAL_KERNEL}\n'
          f'  {" ".join(programs())}\n'
          '              single ones, or several with commas')


def boots(machine, kernel, wanted):
    check(machine, kernel, wanted)
    log = Path(os.environ.get('LOG') or f'out/{machine}-{kernel}-{wanted}.log').resolve()
    # Where boot.py keeps its lock
    os.environ.setdefault('IMS_CACHE', str(log.parent))
    with contextlib.redirect_stdout(sys.stderr):
        if wanted in SPECIAL:
            result = SPECIAL[wanted](machine, log)
        else:
            result = boot.run(machine, kernel, wanted, log, extra=EXTRA.get(kernel, ()))
    print(verdict.tap(result), flush=True)
    why = 'PASS' if result else f'FAIL: {result}'
    print(f'run: {why}; see {log}', file=sys.stderr)
    return 0 if result else 1


def run(args):
    def call():
        if args == ['--list']:
            return show_list()
        if len(args) != 3:
            raise Usage(USAGE)
        if not (ROOT / 'VERSION').exists():
            raise Fail('this folder is incomplete: copy it again, with its VERSION')
        return boots(*args)
    try:
        util.main('run', call)
    except Usage as err:
        print(f'run: {err}', file=sys.stderr)
        sys.exit(2)
