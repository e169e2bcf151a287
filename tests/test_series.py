# SPDX-License-Identifier: GPL-2.0
"""Tree, export, fixup and mail, and what they do with bad input.

Words
  small base  a kernel of a few files that has the shape of the real one
  small series  steps on it of each kind: they add files, change some, or do both. Two
                parts, of three steps each

One round is on the real ones.
"""
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from support import Checkout, expect, git_in, note

from imslib import base as basemod
from imslib import series
from imslib.check import CHECK
from imslib.util import ROOT, git, run

MAKEFILE = '''\
# SPDX-License-Identifier: GPL-2.0
VERSION = 6
PATCHLEVEL = 1
SUBLEVEL = 192
EXTRAVERSION =
'''
IGNORE = '*.o\n\n#\n# Debian packaging\n#\n/*\n!/debian/\n'
# Enough lines that hunks have context, and places of their own
TEXT = {name: ''.join(f'/* {name}: line {n} */\n' for n in range(60)) for name in (
    'MAINTAINERS', 'kernel/fork.c', 'kernel/irq/chip.c', 'kernel/irq/msi.c', 'lib/Makefile',
    'drivers/pci/msi/msi.c', 'arch/x86/kernel/apic/msi.c', 'Documentation/core-api/index.rst',
    'include/linux/msi.h', 'scripts/tags.sh')}
# A step: (subject, {file: what it adds to line N of it, or the text of a new file})
STEPS = (
    ('genirq/msi: Change one file', {'kernel/irq/msi.c': 10}),
    ('PCI/MSI: Add a file', {'drivers/pci/msi/api.c': 'int api;\n'}),
    ('genirq/msi: Add a file and change two', {
        'kernel/irq/msi_store.c': 'int store;\n', 'kernel/irq/msi.c': 20,
        'include/linux/msi.h': 5}),
    ('x86/apic/msi: Change one file', {'arch/x86/kernel/apic/msi.c': 50}),
    ('lib: Add a program', {'lib/run.sh': '#!/bin/sh\n', 'lib/Makefile': 3}),
    ('genirq: Change a file again', {'kernel/irq/msi.c': 40, 'kernel/irq/chip.c': 1}),
)
PARTS = {'stores': 3, 'x86': 6}
BODY = 'A problem.\n\nA solution, with\n\n  - a list\n  - of two\n'


def change(tree, name, what):
    path = tree / name
    if isinstance(what, str):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(what, encoding='utf-8')
        path.chmod(0o755 if name.endswith('.sh') else 0o644)
        return
    lines = path.read_text(encoding='utf-8').splitlines(True)
    lines[what] = f'int changed_{what};\n'
    path.write_text(''.join(lines), encoding='utf-8')


def small_base(top, sublevel=192):
    tree = top / f'linux-6.1.{sublevel}'
    for name, text in {'Makefile': MAKEFILE.replace('192', str(sublevel)), '.gitignore': IGNORE,
                       **TEXT}.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text, encoding='utf-8')
    return tree


class Small(Checkout):
    """A checkout whose base and series are small, with a cache of its own."""

    def __init__(self, path, log):
        # Outside of the checkout, which `make clean` and others look at.
        self.top = path.with_name(f'{path.name}-base')
        shutil.rmtree(self.top, ignore_errors=True)
        self.source = small_base(self.top)
        super().__init__(path, log, KERNEL_SRC=str(self.source), IMS_CACHE=str(self.top / 'cache'))
        for name in ('patches', 'linux'):
            shutil.rmtree(self.path / name)
        (self.path / 'linux').mkdir()
        self.commit_all()
        self.must('tree')
        self.git('sparse-checkout', 'disable')
        for number, (subject, files) in enumerate(STEPS, 1):
            for name, what in files.items():
                change(self.tree, name, what)
            self.commit(f'{subject}\n\n{BODY}')
            for part, last in PARTS.items():
                if number == last:
                    self.git('branch', f'part/{part}')
        self.must('export')
        (self.path / 'patches/6.1/cover').write_text('A subject\n\nA text.\n', encoding='utf-8')
        git_in(self.path, 'add', '-A')
        git_in(self.path, 'commit', '-q', '-m', 'The series')
        shutil.rmtree(self.tree)
        self.must('tree')

    def __exit__(self, *args):
        super().__exit__(*args)
        shutil.rmtree(self.top, ignore_errors=True)

    @property
    def tree(self):
        return self.path / 'build/linux'

    def commit(self, message, *args):
        git_in(self.tree, 'add', '-A', '--sparse')
        git_in(self.tree, 'commit', '-q', '-m', message, *args)


@pytest.fixture
def small(log, request):
    name = re.sub(r'\W+', '-', request.node.name)
    with Small(CHECK / f'small-{name}', log) as work:
        yield work


# --- tree, patches and linux/ ----------------------------------------------

@pytest.mark.quick
def test_agree(steps):
    """The fixture has compared them."""
    expect(len(steps[2]) == len(series.load()), 'the series has other steps than patches')


def change_new_file(work):
    change(work.tree, 'kernel/irq/msi_store.c', 'int store, more;\n')
    work.must('fixup')
    return 'linux/kernel/irq/msi_store.c'


def change_base_file(work):
    change(work.tree, 'arch/x86/kernel/apic/msi.c', 51)
    work.must('fixup')
    return 'patches/6.1/x86/x86-apic-msi-Change-one-file.patch'


def insert_step(work):
    head = work.git('rev-parse', 'HEAD').strip()
    middle = series.commits(None, 'refs/ims/base', head, cwd=work.tree)[3]
    work.git('checkout', '-q', middle)
    change(work.tree, 'net/core/new.c', '/* a new file in a new directory */\n')
    change(work.tree, 'net/core/run.sh', '#!/bin/sh\n')
    change(work.tree, 'drivers/pci/msi/msi.c', 3)
    work.commit('net: A step in the middle\n\nWith a message:\n\n  - a list')
    work.git('rebase', '-q', '--onto', 'HEAD', middle, series.BRANCH)
    return 'patches/6.1/x86/net-A-step-in-the-middle.patch'


def edit_todo(work, script):
    """git rebase -i, with sed as the editor"""
    work.git('-c', f'sequence.editor=sed -i {shlex.quote(script)}', '-c', 'core.editor=true',
             'rebase', '-q', '-i', 'refs/ims/base')


def reorder(work):
    edit_todo(work, '2{h;d};3G')
    return 'patches/6.1/series'


def move_to_another_part(work):
    """The first step of the second part becomes the last one of the first"""
    edit_todo(work, '/^update-ref .*stores$/{h;d};/ x86.apic/G')
    return 'patches/6.1/stores/x86-apic-msi-Change-one-file.patch'


def grow(work):
    """A file that an earlier step adds"""
    change(work.tree, 'kernel/irq/msi_store.c', 'int store;\nint grown;\n')
    work.commit('genirq/msi: Let a file grow')
    return 'patches/6.1/x86/genirq-msi-Let-a-file-grow.patch'


def remove_new_file(work):
    work.git('rm', '-q', 'kernel/irq/msi_store.c')
    work.commit('genirq/msi: Remove what was added')
    return 'linux/kernel/irq/msi_store.c'


def remove_base_file(work):
    work.git('rm', '-q', 'kernel/fork.c')
    work.commit('fork: Remove it')
    return 'patches/6.1/x86/fork-Remove-it.patch'


def amend_the_last_step(work):
    change(work.tree, 'kernel/irq/chip.c', 30)
    work.git('commit', '-q', '-a', '--amend', '--no-edit')
    return 'patches/6.1/x86/fork-Remove-it.patch'


def empty_step(work):
    work.commit('An empty step', '--allow-empty')
    return 'patches/6.1/x86/An-empty-step.patch'


@pytest.mark.quick
def test_round_trip(small, log):
    with Checkout(CHECK / 'mirror', log, **{name: small.env[name] for name in
                                            ('KERNEL_SRC', 'IMS_CACHE')}) as mirror:
        for edit in (None, change_new_file, change_base_file, insert_step, reorder,
                     move_to_another_part, grow, remove_base_file, amend_the_last_step,
                     empty_step, remove_new_file):
            before = small.files()
            touched = edit and edit(small)
            line = small.line()
            small.must('export')
            after = small.files()
            differing = {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}
            name = edit and edit.__name__
            note(log, f'{name}: {sorted(differing)}')
            expect(touched in differing if edit else not differing,
                   f'{name}: export changes {sorted(differing)}')
            expect(small.line() == line, f'{name}: export loses something; see {log}')
            for top in ('patches', 'linux'):
                shutil.rmtree(mirror.path / top)
                shutil.copytree(small.path / top, mirror.path / top)
            mirror.must('tree')
            expect(mirror.line() == line, f'{name}: tree does not give back what was exported; '
                                          f'see {log}')
        script = mirror.path / 'build/linux/net/core/run.sh'
        expect(script.stat().st_mode & 0o111, 'a file that can be executed loses that')


def test_round_trip_of_the_series(log):
    with Checkout(CHECK / 'real', log) as work:
        work.must('tree')
        before, line = work.files(), work.line()
        work.must('export')
        expect(work.line() == line, f'export after tree changes commits; see {log}')
        after = work.files()
        # On another base, hunks move and the record is written anew: once.
        if basemod.moved(basemod.get()):
            before, _, after = after, work.must('export'), work.files()
        differing = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
        expect(not differing, f'export after tree changes {differing[:3]}; see {log}')


def apply_with_git(where, patches):
    git_in(where, 'am', '-q', *patches)


def apply_with_quilt(where, _):
    run(['quilt', 'push', '-a', '-q'], cwd=where, env={
        **os.environ, 'QUILT_PATCHES': str(series.PATCHES), 'QUILT_PC': str(where / '.git/pc')})


@pytest.mark.parametrize('way', [apply_with_git, apply_with_quilt])
def test_no_tool_of_ours_is_needed(way, steps, tmp_path):
    """A tree of the files that the patches change"""
    base, tip, _ = steps
    paths = sorted({path for patch in series.load() for path in patch.touches} & base.files())
    git('init', '-q', '--template=', tmp_path)
    with open(tmp_path / '.git/base.tar', 'wb') as file:
        file.write(git('archive', base.commit, *paths, repo=base.repo, text=False))
    run(['tar', '-x', '-f', file.name, '-C', tmp_path])
    git_in(tmp_path, 'add', '-A', '-f')
    git_in(tmp_path, 'commit', '-q', '-m', 'Base')
    names = [line for line in (series.PATCHES / 'series').read_text('utf-8').splitlines()
             if line and not line.startswith('#')]
    way(tmp_path, [series.PATCHES / name for name in names])
    git_in(tmp_path, 'add', '-A', '-f')
    tree = git('-C', tmp_path, 'write-tree')
    want = git('ls-tree', '-r', tip, repo=base.repo)
    have = git('-C', tmp_path, 'ls-tree', '-r', tree.strip())
    wanted = {*paths, *series.linux_files()}
    expect([line for line in want.splitlines() if line.partition('\t')[2] in wanted] ==
           have.splitlines(), 'that gives another tree than make tree')


@pytest.mark.quick
def test_export_refuses(small):
    before = small.git('rev-parse', 'part/stores').strip()
    small.git('branch', '-f', 'part/stores', 'refs/ims/base')
    small.refuses('the branch part/stores of .* is none of its steps', 'export')
    small.git('branch', '-f', 'part/stores', before)
    for part in PARTS:
        small.git('branch', '-m', f'part/{part}', part)
    small.refuses('has no parts', 'export')
    for part in PARTS:
        small.git('branch', '-m', part, f'part/{part}')
    stray = small.path / 'linux/lib/stray.c'
    stray.write_text('/* of no step */\n', encoding='utf-8')
    for words, env in ((('export',), {}), (('tree',), {'FORCE': '1'})):
        small.refuses(r'linux/lib/stray\.c is named by no patch', *words, **env)
        expect(stray.exists(), 'a file that no step has named is removed')
    stray.unlink()
    small.must('export')
    shown = small.path / 'linux/lib/run.sh'
    shown.chmod(0o644)
    small.refuses(r'linux/lib/run\.sh is not what the patches make', 'tree')
    shown.chmod(0o755)
    change(small.tree, 'kernel/irq/msi.c', 55)
    for what in ('export', 'clean'):
        small.refuses('uncommitted changes', what)
    small.git('stash', '-q')
    small.refuses('has a stash', 'clean')
    small.git('stash', 'pop', '-q')
    small.git('commit', '-q', '-a', '--fixup=HEAD')
    small.refuses('is not folded in', 'export')
    small.refuses('commits that are not exported', 'clean')
    small.git('checkout', '-q', 'refs/ims/exported')
    small.refuses('branch ims, with commits that are not exported', 'clean')
    path = small.path / 'patches/6.1/x86/lib-Add-a-program.patch'
    path.write_text(path.read_text('utf-8').replace('A problem.', 'A need.'), encoding='utf-8')
    small.refuses('branch ims, with commits that are not exported', 'tree')
    small.must('tree', FORCE='1')
    small.must('clean')


# --- fixup -----------------------------------------------------------------

@pytest.mark.quick
def test_fixup(small):
    before = small.files()
    expect('nothing is changed' in small.must('fixup'), 'fixup does something about nothing')
    # Lines of three steps, one of them in a file that it adds
    for name, what in (('kernel/irq/msi.c', 10), ('kernel/irq/msi.c', 20),
                       ('drivers/pci/msi/api.c', 'int api, more;\n')):
        if isinstance(what, int):
            path = small.tree / name
            path.write_text(path.read_text('utf-8').replace(f'changed_{what};', f'mended_{what};'),
                            encoding='utf-8')
        else:
            change(small.tree, name, what)
    small.must('fixup')
    small.must('export')
    after = small.files()
    differing = {n.rpartition('/')[2] for n in before if before[n] != after.get(n)}
    # The last of these has a hunk whose heading is a line of another step.
    expect(differing == {'genirq-msi-Change-one-file.patch', 'api.c', 'PCI-MSI-Add-a-file.patch',
                         'genirq-msi-Add-a-file-and-change-two.patch',
                         'genirq-Change-a-file-again.patch'},
           f'fixup changes {sorted(differing)}')
    expect(before.keys() == after.keys(), 'fixup makes steps')


@pytest.mark.quick
def test_fixup_says_what_is_left(small):
    # Of no step: a line of the base, far from all that the series changes
    path = small.tree / 'Documentation/core-api/index.rst'
    small.git('sparse-checkout', 'disable')
    path.write_text('/* new */\n' + path.read_text('utf-8'), encoding='utf-8')
    small.refuses('no step owns all that is changed in Documentation/core-api/index.rst', 'fixup')
    expect(path.read_text('utf-8').startswith('/* new */'), 'fixup loses a change')
    small.git('checkout', '-q', 'HEAD', '--', '.')
    # A fold that later steps contradict
    change(small.tree, 'kernel/irq/msi.c', 10)
    path = small.tree / 'kernel/irq/msi.c'
    path.write_text(path.read_text('utf-8').replace('int changed_20', 'int other_20'), 'utf-8')
    first = series.commits(None, 'refs/ims/base', 'HEAD', cwd=small.tree)[0]
    small.git('commit', '-q', '-a', f'--fixup={first}')
    small.refuses(r'a fold conflicts in kernel/irq/msi\.c: .*git rebase --continue', 'fixup')
    small.refuses('in the middle of something', 'fixup')
    small.refuses('in the middle of something', 'export')
    small.git('rebase', '--abort')


@pytest.mark.quick
def test_fixup_elsewhere(small, log):
    """New files, squash! commits, no branch"""
    change(small.tree, 'kernel/irq/new.c', 'int new;\n')
    small.refuses('no step owns all that is changed in kernel/irq/new.c', 'fixup')
    (small.tree / 'kernel/irq/new.c').unlink()
    change(small.tree, 'arch/x86/kernel/apic/msi.c', 51)
    owner = small.git('log', '-1', '--format=%H', '--', 'arch/x86/kernel/apic/msi.c').strip()
    small.git('commit', '-q', '-a', f'--squash={owner}', '-m', 'More words')
    small.must('fixup')
    small.must('export')
    patch = small.path / 'patches/6.1/x86/x86-apic-msi-Change-one-file.patch'
    expect('changed_51' in patch.read_text('utf-8'), f'the change is not in its step; see {log}')
    small.git('checkout', '-q', '--detach')
    change(small.tree, 'arch/x86/kernel/apic/msi.c', 52)
    small.refuses('is on no branch', 'fixup')
    small.git('commit', '-q', '-a', '--amend', '--no-edit')
    small.must('export')
    small.git('checkout', '-q', series.BRANCH)
    small.must('tree')
    small.must('export')
    expect(any('changed_52' in path.read_text('utf-8') for path in
               (small.path / 'patches/6.1').rglob('*.patch')), f'an export is undone; see {log}')


# --- a base that moves -----------------------------------------------------

def moved_base(small, **lines):
    """A newer base, with lines of kernel/irq/msi.c that differ"""
    newer = small_base(small.top, 200)
    path = newer / 'kernel/irq/msi.c'
    text = path.read_text('utf-8').splitlines(True)
    for at, line in lines.items():
        text[int(at[1:])] = f'{line}\n'
    path.write_text(''.join(text), encoding='utf-8')
    shutil.rmtree(small.tree)
    return {'KERNEL_SRC': str(newer)}


@pytest.mark.quick
def test_base_moves(small, log):
    """What differs does not matter to the patches, but moves their hunks."""
    env = moved_base(small, L0='/* one */\n/* two */\n/* three */')
    out = small.must('tree', **env)
    expect(re.search(r'base: 1 of \d+ files .*6\.1\.192.*6\.1\.200: kernel/irq/msi\.c\n', out),
           f'tree does not say which files differ; see {log}')
    text = (small.tree / 'kernel/irq/msi.c').read_text('utf-8')
    expect('/* two */' in text and 'int changed_10;' in text and '/* kernel/irq/msi.c: line 10 */'
           not in text, f'the patches do not change what they are about; see {log}')
    line = small.line()
    small.must('export', **env)
    record = (small.path / 'patches/6.1/base').read_text('utf-8')
    expect('kernel 6.1.200\n' in record, 'export does not record the new base')
    expect(small.line() == line, 'export loses something')
    shutil.rmtree(small.tree)
    expect('base: ' not in small.must('tree', **env), 'the new base still differs from the record')


@pytest.mark.quick
def test_base_conflicts(small):
    """A line next to a change of the third step: no fuzz."""
    env = moved_base(small, L21='/* another line */')
    small.refuses(r'genirq-msi-Add-a-file-and-change-two\.patch does not apply to Linux 6\.1\.200: '
                  r'kernel/irq/msi\.c: hunk @@ -18,7 \+18,7 @@', 'tree', **env)
    expect(not small.tree.exists(), 'half a tree is left')


@pytest.mark.quick
def test_base_loses_a_file(small):
    env = moved_base(small)
    (small.top / 'linux-6.1.200/kernel/irq/chip.c').unlink()
    small.refuses(r'genirq-Change-a-file-again\.patch.*kernel/irq/chip\.c', 'tree', **env)


# --- bad input -------------------------------------------------------------

@pytest.mark.quick
def test_a_patch_that_does_not_apply(small):
    path = small.path / 'patches/6.1/x86/x86-apic-msi-Change-one-file.patch'
    good = path.read_text(encoding='utf-8')
    path.write_text(re.sub(r'^ (/\* arch.*line 4[89].*)', r' spoilt \1', good, flags=re.M), 'utf-8')
    shutil.rmtree(small.tree)
    small.refuses(r'x86-apic-msi-Change-one-file\.patch does not apply .*'
                  r'arch/x86/kernel/apic/msi\.c: hunk @@ -48,7 \+48,7 @@', 'tree')
    expect(not small.tree.exists(), 'half a tree is left')
    path.write_text(good, encoding='utf-8')
    small.must('tree')


@pytest.mark.quick
def test_a_corrupt_tarball(small):
    tarball = small.top / 'linux.tar.xz'
    run(['tar', '-cJf', tarball, '-C', small.top, small.source.name])
    half = small.top / 'half.tar.xz'
    half.write_bytes(tarball.read_bytes()[:tarball.stat().st_size // 2])
    shutil.rmtree(small.tree)
    known = set((small.top / 'cache/base').iterdir())
    for _ in range(2):
        small.refuses(r'half\.tar\.xz is corrupt', 'tree', KERNEL_SRC=str(half))
    expect(set((small.top / 'cache/base').iterdir()) == known, 'the cache holds a half made base')
    small.refuses('does not exist', 'tree', KERNEL_SRC='/nowhere')
    small.must('tree', KERNEL_SRC=str(tarball))


@pytest.mark.quick
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can mount a small file system')
def test_a_full_disk(small, log):
    """The disk is full in the middle of the base, then it is not."""
    shutil.rmtree(small.tree)
    with open(small.source / 'kernel/big.bin', 'wb') as file:
        file.write(os.urandom(4 << 20))
    tmp = small.top / 'disk'
    tmp.mkdir()
    done = run(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', tmp], check=False)
    if done.returncode:
        pytest.skip(f'cannot mount a tmpfs: {done.stderr.strip()}')
    try:
        small.refuses('no space left', 'tree', IMS_CACHE=str(tmp))
        run(['mount', '-o', 'remount,size=100m', tmp])
        small.must('tree', IMS_CACHE=str(tmp))
    finally:
        note(log, str(run(['umount', '-l', tmp], check=False)))


@pytest.mark.quick
def test_a_machine_that_is_unknown(small):
    small.refuses(r'MACHINE=toaster.*intel-ir.*no-iommu', 'boot', MACHINE='toaster')


@pytest.mark.quick
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can become somebody else')
def test_a_missing_package_without_root(log):
    # Somebody else may not be able to read this checkout.
    with tempfile.TemporaryDirectory(dir='/tmp') as tmp:
        deps_of_somebody(Path(tmp), log)


def deps_of_somebody(top, log):
    for name in ('scripts/deps', 'configs/packages', 'configs/packages-bench'):
        (top / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, top / name)
    # dpkg-query as it answers where these are not installed.
    (top / 'dpkg-query').write_text(
        '#!/bin/sh\n/usr/bin/dpkg-query "$@" | '
        'grep -v -e "installed sparse$" -e "installed linux-source-6.12$"\n', encoding='ascii')
    for path in (top, *top.rglob('*')):
        path.chmod(0o755)
    for extra, missing in (((), 'sparse'), (('bench',), 'sparse linux-source-6.12')):
        done = subprocess.run(
            ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'env',
             f'PATH={top}:{os.environ["PATH"]}', 'bash', top / 'scripts/deps', *extra],
            check=False, cwd='/', text=True, capture_output=True)
        note(log, done.stdout + done.stderr)
        expect(done.returncode != 0, f'deps does not fail; see {log}')
        lines = done.stderr.strip().splitlines()
        expect(len(lines) == 1 and re.search(rf'apt-get install [^ ]+ [^ ]+ {missing}$', lines[0]),
               f'deps does not print the apt-get line; see {log}')


@pytest.mark.quick
def test_a_corrupt_download_of_qemu(log):
    with Checkout(CHECK / 'bad-download', log) as work:
        # apt-get whose connection breaks in the middle of the first file.
        fake = work.path / 'build/fake'
        fake.mkdir(parents=True)
        (fake / 'apt-get').write_text('#!/bin/sh\necho "Format: 3.0" >qemu_7.2+dfsg-0.dsc\n',
                                      encoding='ascii')
        (fake / 'apt-get').chmod(0o755)
        own = work.path / 'cache'
        work.env.pop('QEMU_SRC', None)
        for _ in range(2):
            work.refuses(r'QEMU.*try again.*QEMU_SRC=', 'qemu', IMS_CACHE=str(own),
                         PATH=f'{fake}:{work.env["PATH"]}')
        expect(not list(own.glob('qemu*/*')), 'the cache holds half a source of QEMU')


# --- mail ------------------------------------------------------------------

def test_every_part_has_a_cover():
    for part in dict.fromkeys(patch.part for patch in series.load()):
        subject, body = series.read_cover(part)
        expect(0 < len(subject) <= 80 and body and max(map(len, body.splitlines())) <= 90,
               f'the cover of {part} is not what it should be')


def test_mail(log):
    who = 'A Poster <poster@example.org>'
    with Checkout(CHECK / 'mail', log) as work:
        # The version before has other words in one patch.
        work.commit_all()
        path = work.path / 'patches/6.1' / next(p.name for p in series.load() if p.part == 'ims')
        path.write_text(path.read_text('utf-8').replace('\n\n---\n', '\n\nOther words.\n\n---\n'),
                        'utf-8')
        work.must('mail', PART='ims', SIGNOFF=who, V='3', SINCE='HEAD')
        mails = sorted((work.path / 'build/mail').glob('v3-*.patch'))
        count = sum(p.part == 'ims' for p in series.load())
        expect(len(mails) == count + 1, f'{len(mails)} mails for {count} patches')
        for number, mail in enumerate(mails):
            text = mail.read_text(encoding='utf-8')
            expect(re.search(rf'^Subject: \[PATCH v3 0*{number}/{count}\]', text, re.M),
                   f'{mail.name}: the subject has no [PATCH v3 n/m]')
            expect(re.findall(r'^From: (.*)', text, re.M) == [who], f'{mail.name}: another sender')
            expect(re.search(r'^To: .*@', text, re.M) and
                   re.search(r'^Cc: (?:.*\n )*.*linux-pci@vger', text, re.M),
                   f'{mail.name} is not sent to those who maintain that')
            expect(not number or text.count(f'\nSigned-off-by: {who}\n') == 1,
                   f'{mail.name} is not signed off')
        cover = mails[0].read_text('utf-8')
        subject, body = series.read_cover('ims')
        expect(f'] {subject}\n' in cover and body in cover and '***' not in cover and
               f'A Poster ({count}):' in cover,
               'the cover letter is not that of the part')
        expect('base-commit: ' in cover and 'prerequisite-patch-id: ' in cover,
               'the cover letter does not say what the part is based on')
        expect(re.search(r'^Range-diff.*', cover, re.M) and '+    Other words.' in cover,
               'the cover letter does not say what has changed')
        work.must('mail', PART='dynamic-msix', SIGNOFF=who)
        names = sorted(mail.name for mail in (work.path / 'build/mail').iterdir())
        expect(names[0] == '0000-cover-letter.patch', f'the first version is {names}')
        work.refuses(r'SIGNOFF=nobody: ', 'mail', PART='ims', SIGNOFF='nobody')
        work.refuses(r'SIGNOFF=: ', 'mail', PART='ims')
        work.refuses(r'PART= is none: name one of .*ims', 'mail', SIGNOFF=who)
