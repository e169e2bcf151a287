# SPDX-License-Identifier: GPL-2.0
"""QEMU with the virtual devices, built from Debian's source package.

qemu-src/KEY    Debian's source, unpacked
qemu-work/KEY   a copy with our patches and files, configured; compiled in place, also
                when the files' content changes
qemu/KEY        what is used of it: the emulator, the devices' qtests, the header
                of TCG plugins
"""
import os
import re
import shutil
from pathlib import Path

from .base import listing
from .arch import ARCHES, HOST
from .kernel import compiler
from .util import (ROOT, Fail, clean_env, digest, digest_functions, entry, fresh_log,
                   have_entry, jobs, locked, run, say, scratch, step, version_of)

OURS = ROOT / 'qemu'
COPIED = ('hw', 'docs', 'tests', 'configs', 'include')
HEADER = ROOT / 'linux/drivers/misc/ims_testdev/ims_testdev_regs.h'
HEADERS = (HEADER, HEADER.parent / 'ims_platform_regs.h',
           ROOT / 'linux/drivers/ntb/hw/ims/ims_ntb_regs.h')
HEADERS_AT = 'include/standard-headers/misc'
VERSION = '7.2'
# With ASAN and UBSAN, for qtests. configure does not find UBSAN by itself: gcc warns about
# what its probe does.
SANITIZED = ('--enable-sanitizers', '--extra-cflags=-fsanitize=undefined',
             '--extra-ldflags=-fsanitize=undefined')
# The emulator that each runs on
QTESTS = {'tests/qtest/ims-testdev-test': ARCHES[HOST].emulator,
          'tests/qtest/ims-ntb-test': ARCHES[HOST].emulator,
          'tests/qtest/ims-vmd-test': ARCHES[HOST].emulator,
          'tests/qtest/ims-platform-test': ARCHES['arm64'].emulator}
ADVICE = f'try again, or unpack QEMU {VERSION} and name it with QEMU_SRC='


def archives(kind):
    """The machine's own Debian archives, in the one line format, as sources of `deb` or
    `deb-src`; third parties are left out."""
    lines = []
    etc = Path('/etc/apt')
    files = [etc / 'sources.list', *sorted((etc / 'sources.list.d').glob('*'))]
    for path in files:
        if not path.is_file():
            continue
        text = path.read_text(encoding='utf-8', errors='replace')
        if path.suffix == '.sources':
            lines += from_deb822(text)
        elif path.suffix == '.list':
            lines += from_one_line(text)
    return [f'{kind} {line}' for line in dict.fromkeys(lines)]


def is_debian(uri, suites):
    """An archive of Debian itself: has a suite that is one of Debian 12's."""
    return (uri.startswith(('http://', 'https://', 'file:', 'copy:', 'mirror'))
            and any(re.match(r'(bookworm|stable|oldstable)($|-updates|-security|/updates)', s)
                    for s in suites) and 'debian' in uri)


def from_one_line(text):
    found = []
    for line in text.splitlines():
        match = re.match(r'\s*deb(?:-src)?\s+(\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]*)', line)
        if not match or not is_debian(match[2], [match[3]]) or 'main' not in match[4].split():
            continue
        options = keep_options(match[1] or '')
        found.append(f'{options}{match[2]} {match[3]} main')
    return found


def keep_options(text):
    """Of `[a=b c=d]`, what says how to check signatures."""
    kept = re.findall(r'\b(signed-by=\S+|trusted=\S+)', text.strip('[] \n'))
    return f'[{" ".join(kept)}] ' if kept else ''


def from_deb822(text):
    found = []
    for stanza in re.split(r'\n\s*\n', text):
        fields, last = {}, None
        for line in stanza.splitlines():
            if line.startswith('#'):
                continue
            if line[:1] in ' \t' and last:
                fields[last] += ' ' + line.strip()
            elif ':' in line:
                last, value = line.split(':', 1)
                last = last.lower()
                fields[last] = value.strip()
        if fields.get('enabled', 'yes').lower() in ('no', 'false', '0'):
            continue
        suites = fields.get('suites', '').split()
        key = fields.get('signed-by', '')
        # A key inside the stanza does not fit a line; apt then takes its own keys.
        options = f'[signed-by={key}] ' if key.startswith('/') else ''
        for uri in fields.get('uris', '').split():
            if is_debian(uri, suites) and 'main' in fields.get('components', '').split():
                found += [f'{options}{uri} {suite} main' for suite in suites]
    return found


def apt_env():
    """clean_env() and how the caller gets at archives."""
    names = [p + '_proxy' for p in ('http', 'https', 'ftp', 'all', 'no')] + ['apt_config']
    keep = {n: os.environ[n] for name in names for n in (name, name.upper()) if n in os.environ}
    return clean_env(**keep)


def from_archives(what, sources, options, words, out, log, advice):
    """Run apt-get with words in out/, with lists of its own, which apt checks."""
    if not sources:
        raise Fail(f'no Debian archive in /etc/apt to get {what} from: {advice}')
    with scratch(f'{what}-apt') as state:
        for name in ('lists/partial', 'cache/archives/partial', 'parts'):
            (state / name).mkdir(parents=True)
        (state / 'sources.list').write_text('\n'.join(sources) + '\n', encoding='utf-8')
        apt = ['apt-get', '-o', f'Dir::Etc::SourceList={state}/sources.list',
               '-o', f'Dir::Etc::SourceParts={state}/parts',
               '-o', f'Dir::State::Lists={state}/lists',
               '-o', f'Dir::Cache={state}/cache', '-o', 'Acquire::Languages=none',
               '-o', 'Acquire::Retries=3', '-o', 'APT::Sandbox::User=root', *options]
        # An archive that has no such packages is no reason to give up yet.
        trouble = None
        try:
            step(f'{what}: package lists', [*apt, 'update'], log=log, env=apt_env())
        except Fail as err:
            trouble = err
        try:
            step(f'{what}: download', [*apt, *words], log=log, cwd=out, env=apt_env())
        except Fail as err:
            raise Fail(f'{trouble or err}: {advice}') from None


def foreign_package(out, name, kind, log):
    """Debian's package `name` of another architecture, downloaded into out/"""
    from_archives(f'{name}-{kind}', archives('deb'),
                  ('-o', f'APT::Architecture={kind}', '-o', f'APT::Architectures::={kind}'),
                  ('download', name), out, log, 'try again')
    found = list(out.glob(f'{name}_*.deb'))
    if len(found) != 1:
        raise Fail(f'the download of {name} has no package; see {log}: try again')
    return found[0]


def download(out, log):
    """Debian's source package into out/"""
    from_archives('qemu', archives('deb-src'), (), ('source', '--download-only', 'qemu'), out,
                  log, ADVICE)
    dsc = list(out.glob('qemu_*.dsc'))
    if len(dsc) != 1:
        raise Fail(f'the download of QEMU has no .dsc file; see {log}: {ADVICE}')
    return dsc[0]


def fetch(out):
    log = fresh_log('qemu-source')
    say("qemu: Debian's source package")
    dsc = download(out, log)
    found = re.search(r'^Version: (?:\d+:)?(.*)$',
                      dsc.read_text(encoding='utf-8', errors='replace'), re.M)
    if not found:
        raise Fail(f'the download of QEMU is corrupt: {dsc.name} names no version: {ADVICE}')
    version = found[1]
    if not version.startswith(VERSION + '+') and not version.startswith(VERSION + '.'):
        raise Fail(f'qemu: this system has QEMU {version}, the device is for {VERSION}: unpack '
                   f'QEMU {VERSION} and name it with QEMU_SRC=')
    step('qemu: unpack', ['dpkg-source', '--no-check', '-x', dsc, out / 'src'], log=log,
         advice=f'the download of QEMU is corrupt: {ADVICE}')
    for path in out.glob('qemu_*'):
        path.unlink()
    (out / 'version').write_text(version + '\n', encoding='ascii')


def source_key():
    """Of the same source package as what is installed"""
    return f'{VERSION}-{version_of("qemu-system-data")}'


def source():
    """(directory, what stands for its content)"""
    given = os.environ.get('QEMU_SRC')
    if given:
        path = Path(given).expanduser().resolve()
        if not (path / 'VERSION').is_file():
            raise Fail(f'QEMU_SRC={given} is no unpacked QEMU source: name one of version '
                       f'{VERSION}')
        version = (path / 'VERSION').read_text(encoding='ascii').strip()
        if not version.startswith(VERSION):
            raise Fail(f'QEMU_SRC={given} is QEMU {version}, the device is for {VERSION}')
        return path, listing(path)
    path = entry('qemu-src', source_key(), fetch)
    return path / 'src', (path / 'version').read_text(encoding='ascii')


def options():
    lines = (OURS / 'configure.args').read_text(encoding='utf-8').splitlines()
    return [l.strip() for l in lines if l.strip() and not l.startswith('#')]


def our_files():
    """{place in QEMU's source: file}"""
    files = {}
    for header in HEADERS:
        if not header.exists():
            raise Fail(f'{header} is missing: restore it from git')
        files[f'{HEADERS_AT}/{header.name}'] = header
    for name in COPIED:
        for path in sorted((OURS / name).rglob('*')):
            if path.is_file():
                files[str(path.relative_to(OURS))] = path
    return files


def patches():
    return sorted((OURS / 'patches').glob('*.patch'))


def libraries():
    return run(['pkg-config', '--modversion', 'glib-2.0', 'pixman-1', 'zlib'])


def work_key(mark, more):
    configs = [str(p.relative_to(OURS)) + p.read_text(encoding='utf-8')
               for p in sorted((OURS / 'configs').rglob('*')) if p.is_file()]
    # A file that is gone from here has to be gone from there.
    return digest(mark, *patches(), *configs, '\n'.join([*options(), *more]),
                  '\n'.join(our_files()),
                  compiler(), libraries(),
                  digest_functions(put, prepare, configure, compiled))


def qemu_key(mark, more=()):
    parts = [work_key(mark, more)]
    for place, path in our_files().items():
        parts += [place, path]
    return digest(*parts)


def put(files, tree):
    """Copy what differs, so that only that is compiled again."""
    for place, path in files.items():
        target = tree / place
        if target.is_file() and target.read_bytes() == path.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def prepare(src, out, log):
    step('qemu: copy', ['cp', '-a', '--reflink=auto', src, out / 'src'], log=log)
    put(our_files(), out / 'src')
    for patch in patches():
        step(f'qemu: {patch.name}', ['patch', '-p1', '-N', '--no-backup-if-mismatch', '-d',
                                     out / 'src', '-i', patch], log=log,
             advice=f'qemu/patches/{patch.name} does not apply to this QEMU: restore it from '
                    'git, or name a QEMU 7.2 with QEMU_SRC=')


def configure(out, more, log):
    build = out / 'build'
    if not (build / 'build.ninja').exists():
        shutil.rmtree(build, ignore_errors=True)
        build.mkdir()
        step('qemu: configure', ['../src/configure', *options(), *more], log=log, cwd=build)
    return build


def compiled(out, src, mark, more, log):
    """Compile in qemu-work and copy the results to out."""
    work = entry('qemu-work', work_key(mark, more), lambda tmp: prepare(src, tmp, log))
    with locked('qemu-work'):
        put(our_files(), work / 'src')
        build = configure(work, more, log)
        emulators = [kind.emulator for kind in ARCHES.values()]
        step('qemu: build', ['ninja', f'-j{jobs()}', *emulators, *QTESTS],
             log=log, cwd=build)
        for path in (*(build / name for name in (*emulators, *QTESTS)),
                     work / 'src/include/qemu/qemu-plugin.h'):
            shutil.copy2(path, out / path.name)
    for name in emulators:
        run([out / name, '--version'])


def get(more=()):
    """With more options for configure"""
    src, mark = source()

    def build(out):
        say(f'qemu: building {" ".join(more)}'.rstrip())
        compiled(out, src, mark, more, fresh_log('qemu'))
    return entry('qemu', qemu_key(mark, more), build)


def find():
    if not os.environ.get('QEMU_SRC') and not have_entry('qemu-src', source_key()):
        return None
    return have_entry('qemu', qemu_key(source()[1]))
