# SPDX-License-Identifier: GPL-2.0
"""make images: kernels, initramfs, QEMU and a `run` in build/images, which boots them
where neither this checkout nor its cache is.

The run is judged by boot.py and verdict.py themselves. scripts/images/ is laid over them:
in place of each module that looks into the cache it has one that looks into the folder.
The same inputs give the same bytes.
"""
import ast
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from . import base as basemod
from . import boot, initramfs, kernel, qemu, series
from .util import BUILD, ROOT, Fail, clean_env, run, say

IMAGES = BUILD / 'images'
OVERLAY = ROOT / 'scripts/images'
CODE = Path(__file__).parent
KERNELS = ('lean', 'debug', 'devices')
FILES = ('bzImage', 'config', 'System.map')
# The firmware that QEMU's machines load
FIRMWARE = ('bios-256k.bin', 'kvmvapic.bin', 'linuxboot_dma.bin')
# glibc has to be the loader's, and its parts have to fit each other.
GLIBC = 'libc6'
# In /tests, but nothing to run by its name: a list, a program without TAP, and what wants
# hardware, kernel options or files of its own
NOT_ALONE = {'list', 'ims_demo', 'devices', 'its', 'kdump', 'ntb', 'lost', 'no_msi',
             'virtio_net'}
# Of each file, so that archives of the folder are the same as well
TIME = 1670792400


def imports(text):
    """The modules of its own package that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {name.name for name in node.names}
    return found


def needed(here, there):
    """The modules that those in the directory there need and do not have, of here."""
    have = {path.stem for path in there.glob('*.py')}
    todo = set().union(*(imports(path.read_text('utf-8')) for path in there.glob('*.py')))
    found = {'__init__'}
    while todo := todo - have - found:
        found |= todo
        todo = set().union(*(imports((here / f'{name}.py').read_text('utf-8'))
                             for name in todo))
    return sorted(found)


def put_code(out):
    """run, and what it consists of."""
    shutil.copytree(OVERLAY, out)
    lib = out / 'lib/imslib'
    for name in needed(CODE, lib):
        shutil.copy(CODE / f'{name}.py', lib)
    (out / 'configs').mkdir()
    shutil.copy(boot.MACHINES, out / 'configs')


def put_kernels(out, built, names):
    plain = initramfs.get(*built[:3]) / 'initramfs.cpio.gz'
    for config in names:
        found, place = kernel.get(config, *built[:3]), out / 'kernels' / config
        place.mkdir(parents=True)
        for name in FILES:
            shutil.copy(found / name, place)
        initrd = plain
        with tempfile.TemporaryDirectory(prefix='ims-images-') as tmp:
            if (found / 'modules').is_dir():
                shutil.copytree(found / 'modules', place / 'modules')
                initrd = initramfs.with_folder(plain, found / 'modules', Path(tmp),
                                               Path(tmp) / 'log')
            shutil.copy(initrd, place / 'initramfs.cpio.gz')
    listed = run(['bash', '-euo', 'pipefail', '-c', 'gzip -dc "$1" | cpio -t --quiet', 'list',
                  plain], env=clean_env())
    alone = {Path(line).name for line in listed.splitlines() if line.startswith('tests/')}
    (out / 'programs').write_text('\n'.join(sorted(alone - NOT_ALONE)) + '\n', encoding='ascii')


def libraries(text):
    """{name: path} of what ldd says."""
    missing = re.findall(r'^\s*(\S+) => not found', text, re.M)
    if missing:
        raise Fail(f'QEMU has no {", ".join(missing)} here: run `make deps`')
    return dict(re.findall(r'^\s*(\S+) => (/\S+) \(0x', text, re.M))


def package(path):
    """The Debian package of a file, which dpkg may know by its name before /usr was
    merged."""
    for name in (path, f'/usr{path}', os.path.realpath(path)):
        found = run(['dpkg-query', '-S', name], check=False).stdout
        if found:
            return found.split(':')[0]
    raise Fail(f'{path} is of no Debian package, so that its licence is unknown: '
               'reinstall what it came from with apt-get')


def firmware():
    """{name: path}"""
    option, = (line for line in qemu.options() if line.startswith('--firmwarepath='))
    places = [Path(place) for place in option.partition('=')[2].split(':')]
    found = {}
    for name in FIRMWARE:
        paths = [place / name for place in places if (place / name).exists()]
        if not paths:
            raise Fail(f'{name} is in none of {", ".join(map(str, places))}: run `make deps`')
        found[name] = str(paths[0])
    return found


def put_qemu(out):
    """QEMU with what it needs, and Debian's licences of that. Returns words
    that say what it is."""
    binary = qemu.get() / 'qemu-system-x86_64'
    (out / 'qemu/bin').mkdir()
    shutil.copy(binary, out / 'qemu/bin')
    for place, files in (('lib', libraries(run(['ldd', binary]))), ('firmware', firmware())):
        (out / 'qemu' / place).mkdir()
        for name, path in files.items():
            owner = package(path)
            if owner != GLIBC:
                shutil.copy(path, out / 'qemu' / place / name)
                (out / 'licences').mkdir(exist_ok=True)
                shutil.copy(f'/usr/share/doc/{owner}/copyright', out / 'licences' / owner)
    return f'{run([binary, "--version"]).splitlines()[0]}, source {qemu.source()[1].strip()}'


def version(out, built, emulator):
    """VERSION's text"""
    base, tree, *_ = built
    package = f', {basemod.PACKAGE} {base.package}' if base.package else ''
    made = f'Linux {base.kernel}{package}'
    lines = ['# Device MSI storage for Linux 6.1, as built by `make images`',
             f'# tree    {tree}', f'# base    {made}', f'# qemu    {emulator}']
    for path in sorted(path for path in out.rglob('*') if path.is_file()):
        with open(path, 'rb') as file:
            total = hashlib.file_digest(file, 'sha256').hexdigest()
        lines.append(f'{total}  {path.relative_to(out)}')
    return '\n'.join(lines) + '\n'


def level(out):
    """Of each file and directory, the mode and the time that do not depend on who made it."""
    for path in [out, *out.rglob('*')]:
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (TIME, TIME))


def make(out, built, names=KERNELS):
    """Fill the directory out, of a snapshot. VERSION is written last: without it, a folder
    is not complete."""
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    put_code(out)
    put_kernels(out, built, names)
    emulator = put_qemu(out)
    (out / 'VERSION').write_text(version(out, built, emulator), encoding='utf-8')
    level(out)


def images():
    """make images"""
    built = series.snapshot()
    say(f'images: {built[3]}')
    make(IMAGES, built)
    size = sum(path.stat().st_size for path in IMAGES.rglob('*') if path.is_file())
    say(f'images: {IMAGES}, {size >> 20} MB')
