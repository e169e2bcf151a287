# SPDX-License-Identifier: GPL-2.0
"""The guest's file system: busybox, the selftests of the tree, our own programs,
/init."""
import os
import re
import shutil
from pathlib import Path

from . import arch, kernel
from .qemu import foreign_package
from .util import (ROOT, Fail, clean_env, digest, digest_code, entry, fresh_log, git,
                   git_env, have_entry, jobs, locked, run, say, step, memo_sha256, version_of)

HOST_BUSYBOX = Path('/bin/busybox')
INIT = ROOT / 'scripts/guest/init'
TESTS = 'tools/testing/selftests/msi'
DRIVER = 'drivers/misc/ims_testdev'
# What a program shares with the selftests: the calls of the test driver
SHARED = {name: (f'{TESTS}/msi_test.c',)
          for name in ('its', 'kdump', 'late_sysfs', 'lost', 'no_msi', 'platform',
                       'virtio_net', 'vmd')}
# A directory is a program of the same name.
PROGRAMS = tuple(ROOT / 'tests/guest' / name for name in ('devices', 'ntb', *SHARED))
HEADERS = (ROOT / 'tests/guest/scenes.h',)
# What of the tree goes into the selftests.
PARTS = (TESTS, 'tools/testing/selftests/lib.mk', 'tools/testing/selftests/kselftest.h',
         'tools/testing/selftests/kselftest_harness.h', 'tools/include', DRIVER)


def tools(kind):
    """What programs and archives are made with: compiler, the library that is linked, and
    the packages of the headers and of cpio and gzip"""
    gcc = arch.ARCHES[kind].tool('gcc')
    libc = run([gcc, '-print-file-name=libc.a']).strip()
    if not Path(libc).is_absolute():
        raise Fail(f'{gcc} has no static libc: run `make deps`')
    headers = ('libc6-dev', 'linux-libc-dev') if kind == arch.HOST else (
        f'libc6-dev-{kind}-cross', f'linux-libc-dev-{kind}-cross')
    packages = run(['dpkg-query', '-W', '-f', '${Package} ${Version}\n', 'cpio', 'gzip', *headers])
    return kernel.compiler(kind), memo_sha256(libc), packages


def busybox(kind):
    """busybox, linked statically. That of another architecture is Debian's package, which is
    unpacked and not installed."""
    if kind == arch.HOST:
        if not HOST_BUSYBOX.exists():
            raise Fail(f'{HOST_BUSYBOX} is missing: run `make deps`')
        return HOST_BUSYBOX

    def fetch(out):
        log = fresh_log(f'busybox-{kind}')
        say(f"initramfs: Debian's busybox for {kind}")
        package = foreign_package(out, 'busybox-static', kind, log)
        step('initramfs: busybox', ['dpkg-deb', '-x', package, out / 'root'], log=log)
        shutil.copy2(out / 'root/bin/busybox', out / 'busybox')
        shutil.rmtree(out / 'root')
        package.unlink()
    return entry('busybox', f'{kind}-{version_of("busybox-static")}', fetch) / 'busybox'


def initramfs_key(base, tree, objects, kind):
    env = git_env(GIT_ALTERNATE_OBJECT_DIRECTORIES=str(objects))
    parts = git('rev-parse', *(f'{tree}:{part}' for part in PARTS), repo=base.repo, env=env,
                check=False).stdout
    own = [part for top in PROGRAMS for path in sorted(top.iterdir())
           for part in (path.name, path)]
    return digest(parts, INIT, *HEADERS, *own, busybox(kind), *tools(kind),
                  digest_code('initramfs'))


def find(base, tree, objects, kind):
    return have_entry('initramfs', initramfs_key(base, tree, objects, kind))


def get(base, tree, objects, kind=arch.HOST):
    def build(out):
        say(f'initramfs ({kind}): building')
        log = fresh_log(f'initramfs-{kind}')
        root = out / 'root'
        (root / 'bin').mkdir(parents=True)
        (root / 'tests').mkdir()
        shutil.copyfile(INIT, root / 'init')
        shutil.copyfile(busybox(kind), root / 'bin/busybox')
        with locked('kernel-src'):
            kernel.checkout(base, tree, objects)
            selftests(root / 'tests', out / 'obj', kind, log)
            programs(root / 'tests', kind, log)
        pack(root, out, log)
        shutil.rmtree(out / 'obj', ignore_errors=True)
        shutil.rmtree(root)
    return entry('initramfs', initramfs_key(base, tree, objects, kind), build)


def selftests(out, obj, kind, log):
    """Build and install the tree's selftests; out/list names those that run."""
    source = kernel.src() / TESTS
    if not (source / 'Makefile').exists():
        (out / 'list').write_text('', encoding='ascii')
        return
    obj.mkdir()
    make = ['make', '-C', source, f'-j{jobs()}', f'OUTPUT={obj}', 'LDFLAGS=-static',
            f'CC={arch.ARCHES[kind].tool("gcc")}']
    step('initramfs: selftests', [*make, 'all'], log=log)
    listed = run([*make, '-s', 'COLLECTION=msi', 'emit_tests'])
    names = re.findall(r'^msi:(\S+)$', listed, re.M)
    if not names:
        raise Fail(f'initramfs: {TESTS} names no test; see {log}')
    (out / 'list').write_text('\n'.join(names) + '\n', encoding='ascii')
    for path in obj.iterdir():
        if path.is_file() and os.access(path, os.X_OK):
            shutil.copyfile(path, out / path.name)
    for name in names:
        if not (out / name).exists():
            raise Fail(f'initramfs: {TESTS} did not build {name}; see {log}')


def programs(out, kind, log):
    """What runs in the guest and is no part of the series. A tree without the selftests
    has no use for a program that shares something with them."""
    for top in PROGRAMS:
        shared = [kernel.src() / path for path in SHARED.get(top.name, ())]
        if not all(path.exists() for path in shared):
            continue
        step(f'initramfs: {top.name}',
             [arch.ARCHES[kind].tool('gcc'), '-std=gnu11', '-O2', '-g0', '-Wall', '-Wextra',
              '-static', '-pthread',
              '-idirafter', kernel.src() / TESTS, '-idirafter', kernel.src() / DRIVER,
              '-o', out / top.name, *sorted(top.glob('*.c')), *shared], log=log)


def of_program(name, program, source, headers, kind=arch.HOST):
    """An entry with a program and an initramfs that has it as /tests/PROGRAM. source is
    its C file, headers are what it includes and no system has."""
    key = digest(source, *headers, INIT, busybox(kind), *tools(kind), program,
                 digest_code('initramfs'))
    gcc = arch.ARCHES[kind].tool('gcc')

    def build(out):
        log = fresh_log(f'{name}-initramfs')
        root = out / 'root'
        (root / 'bin').mkdir(parents=True)
        (root / 'tests').mkdir()
        shutil.copyfile(INIT, root / 'init')
        shutil.copyfile(busybox(kind), root / 'bin/busybox')
        step(f'{name}: program', [gcc, '-std=gnu11', '-static', '-O2', '-Wall', '-Wextra',
                                  '-Werror', *(f'-I{header.parent}' for header in headers),
                                  source, '-o', root / 'tests' / program], log=log)
        shutil.copy2(root / 'tests' / program, out / program)
        pack(root, out, log)
        shutil.rmtree(root)
    return entry(f'{name}-initramfs', key, build)


def with_folder(initrd, folder, out, log):
    """An initramfs with a folder in it, as a kernel's modules: the kernel unpacks what
    follows the first archive as well."""
    root = out / 'root'
    shutil.copytree(folder, root / folder.name)
    pack(root, out, log)
    whole = out / 'with-folder.cpio.gz'
    whole.write_bytes(Path(initrd).read_bytes() + (out / 'initramfs.cpio.gz').read_bytes())
    return whole


def pack(root, out, log):
    """The same bytes from the same files: sorted, root's, and from 1970."""
    for path in [root, *root.rglob('*')]:
        path.chmod(0o644 if path.name == 'list' else 0o755)
        os.utime(path, (0, 0))
    script = ('cd "$1" && find . -print0 | LC_ALL=C sort -z | '
              'cpio --null --create --format=newc --reproducible --quiet -R 0:0 | '
              'gzip -n -1 >"$2"')
    step('initramfs: pack', ['bash', '-euo', 'pipefail', '-c', script, 'pack', root,
                             out / 'initramfs.cpio.gz'], log=log, env=clean_env())
