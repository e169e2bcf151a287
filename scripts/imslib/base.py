# SPDX-License-Identifier: GPL-2.0
"""The base: Linux 6.1 as a git repository in the cache, unchanged but for a line of
Debian's .gitignore that hides every new file.

It comes from Debian's linux-source-6.1 or from KERNEL_SRC= (a tarball or an
unpacked tree). The entry base/KEY holds the repository `git`, bare, with one
commit that depends on the content alone, and `info`.

patches/6.1/base is the record of what the series was made for: the version, and
the sha256 of every file that a patch changes. A base that has another version of
such a file is named, and taken as long as the patches apply.
"""
import hashlib
import json
import os
import re
from pathlib import Path

from .util import (ROOT, Fail, digest, entry, fresh_log, git,
                   git_env, have_entry, memo_sha256, run, say, step)

PACKAGE = 'linux-source-6.1'
TARBALL = Path(f'/usr/src/{PACKAGE}.tar.xz')
RECORD = ROOT / 'patches/6.1/base'
IGNORE_ALL = re.compile(r'(?:^#.*\n)*^/\*\n(?:^!.*\n)*', re.M)
# Part of the key: count it up when a change here changes what is made.
FORMAT = 'base 1'
DATE = '1670792400 +0000'


class Base:
    def __init__(self, path):
        info = json.loads((path / 'info').read_text(encoding='utf-8'))
        self.repo = path / 'git'
        self.commit = info['commit']
        self.tree = info['tree']
        self.kernel = info['kernel']
        self.package = info['package']

    def files(self):
        names = git('ls-tree', '-r', '--name-only', '-z', self.commit, repo=self.repo)
        return set(names.split('\0')[:-1])

    def sha256(self, paths):
        """{path: sha256 or None where the base has no such file}"""
        paths = sorted(paths)
        asked = ''.join(f'{self.commit}:{p}\n' for p in paths).encode()
        out = git('cat-file', '--batch', repo=self.repo, text=False, stdin=asked)
        result = {}
        for path in paths:
            head, out = out.split(b'\n', 1)
            if head.endswith(b' missing'):
                result[path] = None
                continue
            size = int(head.split()[2])
            result[path] = hashlib.sha256(out[:size]).hexdigest()
            out = out[size + 1:]
        return result


def source():
    given = os.environ.get('KERNEL_SRC')
    if given:
        path = Path(given).expanduser().resolve()
        if not path.exists():
            raise Fail(f'KERNEL_SRC={given} does not exist: name an unpacked Linux 6.1 '
                       'tree or its tarball')
        return path
    if not TARBALL.exists():
        raise Fail(f'{TARBALL} is missing: run `make deps`, or name a Linux 6.1 tree or '
                   'tarball with KERNEL_SRC=')
    return TARBALL


def listing(top):
    """A digest of a tree's names and stat data: changes when any file does."""
    total = hashlib.sha256()
    todo = [str(top)]
    while todo:
        with os.scandir(todo.pop()) as items:
            for item in sorted(items, key=lambda i: i.name):
                if item.name == '.git':
                    continue
                if item.is_dir(follow_symlinks=False):
                    todo.append(item.path)
                    continue
                stat = item.stat(follow_symlinks=False)
                total.update(repr((item.path, stat.st_mode, stat.st_size, stat.st_mtime_ns,
                                   stat.st_ctime_ns)).encode())
    return total.hexdigest()


def check_package_file(path):
    """dpkg knows what the tarball must be."""
    sums = Path(f'/var/lib/dpkg/info/{PACKAGE}.md5sums')
    if path != TARBALL or not sums.exists():
        return
    for line in sums.read_text(encoding='utf-8').splitlines():
        md5, name = line.split(None, 1)
        if name == str(TARBALL)[1:]:
            with open(path, 'rb') as file:
                if hashlib.file_digest(file, 'md5').hexdigest() != md5:
                    raise Fail(f'{path} is corrupt: as root, run '
                               f'apt-get install --reinstall {PACKAGE}')


def build(src, out):
    log = fresh_log('base')
    say(f'base: {src}')
    tree = src
    if src.is_file():
        check_package_file(src)
        tree = out / 'tree'
        tree.mkdir()
        step('base: unpack', ['tar', '-x', '--strip-components=1', '-f', src, '-C', tree],
             log=log, advice=f'{src} is corrupt or no tarball: get it again')
    makefile = tree / 'Makefile'
    text = makefile.read_text(encoding='utf-8') if makefile.exists() else ''
    found = dict(re.findall(r'^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(\S*)$', text,
                            re.M))
    kernel = '.'.join(found.get(k, '?') for k in ('VERSION', 'PATCHLEVEL', 'SUBLEVEL'))
    kernel += found.get('EXTRAVERSION', '')
    if not kernel.startswith('6.1.'):
        raise Fail(f'{src} is no Linux 6.1 (its Makefile says {kernel}): name another one '
                   'with KERNEL_SRC=')
    if (tree / '.config').exists() or (tree / 'include/config').exists():
        raise Fail(f'{src} has been built in: run `make mrproper` there first')
    package = ''
    if src == TARBALL:
        package = run(['dpkg-query', '-W', '-f', '${Version}', PACKAGE])

    # One pack instead of 78,000 loose objects.
    repo = out / 'git'
    git('init', '-q', '--bare', '--template=', repo)
    stream = ['-c', 'core.bigFileThreshold=1', '-c', 'core.compression=1',
              '-c', 'core.autocrlf=false']
    step('base: store', ['git', '--git-dir', repo, '--work-tree', tree, *stream, 'add',
                         '-A', '-f', '.'], log=log, env=git_env())
    ignore = tree / '.gitignore'
    if ignore.exists():
        # Debian's kernel ignores every new file, which git would then not show.
        mended = IGNORE_ALL.sub('', ignore.read_text(encoding='utf-8'))
        blob = git('hash-object', '-w', '--stdin', repo=repo, stdin=mended).strip()
        git('update-index', '--cacheinfo', f'100644,{blob},.gitignore', repo=repo)
    sha = git('write-tree', repo=repo).strip()
    env = git_env()
    env.update(GIT_AUTHOR_DATE=DATE, GIT_COMMITTER_DATE=DATE)
    commit = git('commit-tree', '-m', f'Linux {kernel}\n\nThe base, as it came.', sha,
                 repo=repo, env=env).strip()
    git('update-ref', 'refs/heads/base', commit, repo=repo)
    git('fsck', '--connectivity-only', '--no-dangling', repo=repo)
    (repo / 'index').unlink(missing_ok=True)
    info = {'commit': commit, 'tree': sha, 'kernel': kernel, 'package': package}
    (out / 'info').write_text(json.dumps(info), encoding='utf-8')
    if src.is_file():
        run(['rm', '-rf', tree])


def source_key(src):
    if src.is_file():
        return digest(memo_sha256(src), FORMAT)
    return digest(listing(src), FORMAT)


def get():
    src = source()
    return Base(entry('base', source_key(src), lambda out: build(src, out)))


def have():
    """Whether get() has nothing to do."""
    try:
        return have_entry('base', source_key(source())) is not None
    except Fail:
        return False


# --- the record ------------------------------------------------------------

HEAD = '''\
# SPDX-License-Identifier: GPL-2.0
#
# What the series was made for: the version, and the sha256 of each file of the
# base that a patch changes. Written by `make export`.
'''


def read_record():
    """(package version, kernel version, {path: sha256})"""
    package, kernel, sums = '', '', {}
    if not RECORD.exists():
        return package, kernel, sums
    for line in RECORD.read_text(encoding='utf-8').splitlines():
        if not line or line.startswith('#'):
            continue
        left, right = line.split(None, 1)
        if left == PACKAGE:
            package = right
        elif left == 'kernel':
            kernel = right
        else:
            sums[right] = left
    return package, kernel, sums


def format_record(base, paths):
    """The record's text. The versions only change when the sums do: a newer base
    with the same files is no reason for a new record."""
    package, kernel, sums = read_record()
    new = base.sha256(paths)
    if new != sums or not kernel:
        package, kernel = base.package, base.kernel
    text = HEAD + '\n'
    if package:
        text += f'{PACKAGE} {package}\n'
    text += f'kernel {kernel}\n\n'
    return text + ''.join(f'{new[p]}  {p}\n' for p in sorted(new))


def moved(base):
    """The files that a patch changes and that are not those of the record. Whether that
    matters is for git apply to find out."""
    sums = read_record()[2]
    now = base.sha256(sums)
    return sorted(path for path in sums if now[path] != sums[path])


def report_moved(base):
    package, kernel, sums = read_record()
    found = moved(base)
    if found:
        made = f'{PACKAGE} {package}' if package else f'Linux {kernel}'
        here = f'{PACKAGE} {base.package}' if base.package else f'Linux {base.kernel}'
        say(f'base: {len(found)} of {len(sums)} files that the series changes differ between '
            f'{made}, that it was made for, and {here}: {", ".join(found)}')
