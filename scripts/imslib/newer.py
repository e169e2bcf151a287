# SPDX-License-Identifier: GPL-2.0
"""Linux 6.12, as Debian has it: to compare figures with, and for the fixes of the series that
it needs too, which patches/6.12 has.

A kernel of it is kept as kernel.get() keeps one. The source is only there while it is built.
"""
import shutil
from pathlib import Path

from . import arch, boot, initramfs, kernel, overlay, series
from .util import (ROOT, Fail, clean_env, digest, digest_functions, entry, fresh_log,
                   memo_sha256, run, say, step)

VERSION = '6.12'
PACKAGE = f'linux-source-{VERSION}'
TARBALL = Path(f'/usr/src/{PACKAGE}.tar.xz')
PATCHES = ROOT / 'patches' / VERSION


def source():
    if not TARBALL.exists():
        raise Fail(f'{TARBALL} is missing: as root, run: apt-get update && apt-get install -y '
                   f'--no-install-recommends {PACKAGE}')
    return TARBALL


def lines_of(config):
    """The configuration, whose symbols 6.12 has too"""
    lines = {}
    for name in kernel.fragments(config):
        lines |= kernel.fragment(name)
    return lines


def get(config, files, additions, patches=()):
    """The directory of a kernel with patches, and with files and additions, see overlay"""
    def build(out):
        kind, label = arch.of_config(config), f'kernel ({config}, {VERSION})'
        say(f'{label}: building')
        log = fresh_log(f'kernel-{config}-{VERSION}')
        tree = out / 'source'
        tree.mkdir()
        step(f'{label}: unpack', ['tar', '-C', tree, '--strip-components=1', '-xJf', source()],
             log=log)
        for patch in patches:
            step(f'{label}: {patch.name}', ['git', '-C', tree, 'apply', patch], log=log,
                 env=clean_env(GIT_CEILING_DIRECTORIES=str(out)))
        overlay.unpacked(tree, files, additions)
        # Inside of the source, so that nothing depends on where that is.
        obj = tree / 'obj'
        kernel.configure_in(tree, obj, lines_of(config), label, log,
                            ', '.join(kernel.fragments(config)), kind)
        step(label, kernel.make_in(tree, 'obj', Path(kind.image).name, kind=kind), log=log,
             env=kernel.make_env())
        for path, name in kernel.kept(config).items():
            shutil.copy2(obj / path, out / name)
        run(['rm', '-rf', tree])
    key = digest(memo_sha256(source()), overlay.key(files, additions), *patches,
                 '\n'.join(lines_of(config).values()),
                 kernel.compiler(arch.of_config(config).kernel), repr(kernel.kept(config)),
                 digest_functions(get, overlay.unpacked, *kernel.make_functions()))
    return entry('kernel', kernel.name_of(f'{config}-{VERSION}', key), build)


def boot_fixed(machine, log):
    """Boot 6.12 with its fixes. Returns a Verdict."""
    row = boot.machine_row(machine)
    base, tree, objects, _ = series.snapshot()
    image = get(arch.config_for(row['arch'], 'fixes'), {}, {},
                [patch.path for patch in series.load(PATCHES)]) / kernel.IMAGE
    initrd = initramfs.get(base, tree, objects, kind=row['arch']) / 'initramfs.cpio.gz'
    return boot.boot_image(row, image, initrd, 'nothing', log, label=f'{VERSION} on {machine}')
