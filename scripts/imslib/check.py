# SPDX-License-Identifier: GPL-2.0
"""`make check`: every test there is, one line each, and a count at the end.

Words
  test    a function here with the decorator @test, in the order in which they
          run: what is quick and breaks often first
  log     build/check/NAME.log, what a test's commands printed
  beside  of a test: it may run beside others that say so and stand next to it. An
          emulated machine keeps little more than one core busy

A test passes by returning, fails by raising, and is skipped by raising Skip,
which it may only do before it has looked at what it tests. Whatever a test
raises counts as its failure and nothing else stops the run.

ONLY= is a regular expression; tests whose name it does not match are left out.
"""
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import base as basemod
from . import (bench, boot, cocci, compare, cross, devices, docs, initramfs, kernel, kunit, ntb,
               profile, qemu, rules, series, verdict, warnings)
from .util import (BUILD, ROOT, Fail, cache, clean_env, digest, digest_code, entry,
                   fresh_log, git, git_env, have_entry, jobs, locked, run, say, scratch, step)

CHECK = BUILD / 'check'
TESTS = []

# Who posts the series signs it off, and the files that it adds are in directories
# that MAINTAINERS has already, which checkpatch does not look up.
CHECKPATCH_IGNORE = 'MISSING_SIGN_OFF,FILE_PATH_CHANGES'


class Skip(Exception):
    """Why a test cannot be done here."""


def test(name, beside=False):
    def add(func):
        TESTS.append((name, func, beside))
        return func
    return add


def log_of(name):
    return fresh_log(re.sub(r'[^A-Za-z0-9.-]+', '-', name), CHECK)


def check():
    only = os.environ.get('ONLY') or ''
    try:
        wanted = [entry for entry in TESTS if re.search(only, entry[0])]
    except re.error as err:
        raise Fail(f'ONLY={only} is no regular expression: {err}') from None
    if not wanted:
        raise Fail(f'ONLY={only} matches no test; there are: '
                   f'{", ".join(name for name, _, _ in TESTS)}')
    count = {'ok': 0, 'FAIL': 0, 'skip': 0}
    for beside, group in itertools.groupby(wanted, key=lambda entry: entry[2]):
        with ThreadPoolExecutor(min(2, jobs()) if beside else 1) as pool:
            for result in pool.map(lambda entry: one_test(*entry[:2]), group):
                count[result] += 1
    say(f'{count["ok"]} passed, {count["FAIL"]} failed, {count["skip"]} skipped')
    return 1 if count['FAIL'] else 0


def one_test(name, func):
    """'ok', 'FAIL' or 'skip'"""
    say(f'  ...  {name}')
    start = time.monotonic()
    log = log_of(name)
    why = ''
    try:
        func(log)
        result = 'ok'
    except Skip as err:
        result, why = 'skip', f': {err}'
    except (Fail, AssertionError) as err:
        result, why = 'FAIL', f': {err}'
    except Exception as err:  # pylint: disable=broad-except
        with open(log, 'a', encoding='utf-8') as file:
            traceback.print_exc(file=file)
        result, why = 'FAIL', f': {type(err).__name__}: {err}; see {log}'
    say(f'{result:4}  {name} ({time.monotonic() - start:.0f} s){why}')
    return result


def note(log, text):
    with open(log, 'a', encoding='utf-8') as file:
        file.write(text.rstrip('\n') + '\n')


def expect(condition, text):
    if not condition:
        raise Fail(text)


# --- the harness itself ----------------------------------------------------

@test('harness: unit tests')
def unit_tests(log):
    done = run([sys.executable, '-B', '-m', 'unittest', 'discover', '-v', '-s', ROOT / 'tests',
                '-t', ROOT / 'tests'], check=False, cwd=ROOT)
    note(log, done.stdout + done.stderr)
    ran = re.search(r'^Ran (\d+) tests?', done.stderr, re.M)
    expect(ran and int(ran[1]) > 0, f'no unit test ran; see {log}')
    if done.returncode:
        bad = re.findall(r'^(?:FAIL|ERROR): (\S+)', done.stderr, re.M)
        raise Fail(f'{", ".join(bad) or "unit tests failed"}; see {log}')


@test('harness: make help lists every target')
def help_lists(log):
    text = run(['make', '-s', 'help'], cwd=ROOT)
    note(log, text)
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    for name in ('help', 'deps', 'tree', 'export', 'mail', 'kernel', 'qemu', 'boot', 'stress',
                 'bench', 'bench-record', 'profile', 'check', 'paths', 'clean'):
        expect(re.search(rf'^{name}:', makefile, re.M), f'the Makefile has no target {name}')
        expect(re.search(rf'^  make {name}\s+\S', text, re.M),
               f'make help has no line for {name}')


@test('series: tree, patches and linux/ agree')
def agree(_):
    series.agree()


# --- tree and export -------------------------------------------------------

class Checkout:
    """A copy of this checkout that can be spoilt. Shares the cache, if no other
    is named, and has a build directory of its own."""

    def __init__(self, path, log, **env):
        self.path, self.log = path, log
        self.env = clean_env(IMS_CACHE=str(cache()), **env)
        for name in ('KERNEL_SRC', 'QEMU_SRC'):
            if os.environ.get(name):
                self.env[name] = str(Path(os.environ[name]).expanduser().resolve())
        if os.environ.get('JOBS'):
            self.env['JOBS'] = os.environ['JOBS']
        shutil.rmtree(path, ignore_errors=True)
        names = run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                    cwd=ROOT, env=git_env()).split('\0')[:-1]
        for name in names:
            if (ROOT / name).is_file():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, path / name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def make(self, *words, **env):
        """(exit status, standard output, standard error)"""
        cmd = ['make', '-s', *words]
        done = subprocess.run(cmd, cwd=self.path, env={**self.env, **env}, check=False,
                              stdin=subprocess.DEVNULL, text=True, capture_output=True)
        note(self.log, f'$ {" ".join(cmd)} {env}\n{done.stdout}{done.stderr}'
                       f'exit {done.returncode}')
        return done.returncode, done.stdout, done.stderr

    def must(self, *words, **env):
        status, out, err = self.make(*words, **env)
        expect(status == 0, f'make {" ".join(words)}: {err.strip()[-300:]}; see {self.log}')
        return out

    def refuses(self, pattern, *words, **env):
        """The command fails with one line of error, which the pattern matches."""
        status, _, err = self.make(*words, **env)
        expect(status != 0, f'make {" ".join(words)} {env} did not fail; see {self.log}')
        lines = [l for l in err.splitlines() if l.strip() and not l.startswith('make')]
        expect(len(lines) == 1, f'make {" ".join(words)}: {len(lines)} lines of error, not '
                                f'one; see {self.log}')
        expect(re.search(pattern, lines[0]), f'make {" ".join(words)}: "{lines[0]}" does not '
                                             f'match "{pattern}"')

    def git(self, *args):
        return git('-C', self.path / 'build/linux', '-c', 'user.name=check',
                   '-c', 'user.email=check', *args)

    def files(self):
        """What export writes, by name."""
        found = {}
        for top in ('patches', 'linux'):
            for path in sorted((self.path / top).rglob('*')):
                if path.is_file():
                    found[str(path.relative_to(self.path))] = (path.stat().st_mode & 0o777,
                                                               path.read_bytes())
        return found

    def line(self):
        """The steps of build/linux: subject, message and content of each."""
        return self.git('log', '--reverse', '--format=%T %an <%ae> %at%n%B',
                        'refs/ims/base..HEAD')


def roll(todo, *args, checkout):
    """git rebase with a given todo list"""
    script = checkout.path / 'build/todo'
    script.write_text(todo, encoding='utf-8')
    checkout.git('-c', f'sequence.editor=cp {script}', '-c', 'core.editor=true', 'rebase', '-q',
                 '-i', *args)


def change_new_file(work):
    """The file, and a change folded into the step that adds it."""
    patch = next(p for p in series.load() if any(a.endswith('.c') for a in p.adds))
    name = next(a for a in patch.adds if a.endswith('.c'))
    path = work.path / 'build/linux' / name
    path.write_text(path.read_text(encoding='utf-8') + '/* edited */\n', encoding='utf-8')
    fold(work, name)
    return f'linux/{name}'


def fold(work, name):
    owner = work.git('log', '-1', '--format=%H', '--', name).strip()
    work.git('commit', '-q', '-a', f'--fixup={owner}')
    work.git('-c', 'sequence.editor=true', 'rebase', '-q', '-i', '--autosquash',
             'refs/ims/base')


def change_base_file(work):
    """A file of the base that just one step changes, and a change in that step."""
    counts = {}
    for patch in series.load():
        for name in patch.touches:
            counts.setdefault(name, []).append(patch)
    name = next(n for n, p in sorted(counts.items()) if len(p) == 1 and n.endswith('.c'))
    path = work.path / 'build/linux' / name
    path.write_text(path.read_text(encoding='utf-8') + '/* edited */\n', encoding='utf-8')
    fold(work, name)
    return f'patches/6.1/{counts[name][0].name}'


def insert_step(work):
    head = work.git('rev-parse', 'HEAD').strip()
    middle = series.commits(None, 'refs/ims/base', head, cwd=work.path / 'build/linux')[4]
    work.git('checkout', '-q', middle)
    tree = work.path / 'build/linux'
    (tree / 'lib/ims_check_new.c').write_text('/* a new file */\n', encoding='utf-8')
    (tree / 'lib/ims_check_run.sh').write_text('#!/bin/sh\n', encoding='utf-8')
    (tree / 'lib/ims_check_run.sh').chmod(0o755)
    with open(tree / 'lib/Makefile', 'a', encoding='utf-8') as file:
        file.write('# ims check\n')
    work.git('add', '-A', 'lib')
    work.git('commit', '-q', '-m', 'lib: A step in the middle\n\nWith a message:\n\n  - a list')
    work.git('rebase', '-q', '--onto', 'HEAD', middle, series.BRANCH)
    return 'patches/6.1/lib-A-step-in-the-middle.patch'


def reorder(work):
    """Two neighbours change places. They must not touch the same files."""
    tree = work.path / 'build/linux'
    steps = series.commits(None, 'refs/ims/base', 'HEAD', cwd=tree)
    files = [set(work.git('diff-tree', '-r', '--name-only', '--no-commit-id', c).split())
             for c in steps]
    at = next(i for i in range(len(steps) - 1) if not files[i] & files[i + 1])
    steps[at], steps[at + 1] = steps[at + 1], steps[at]
    roll(''.join(f'pick {c}\n' for c in steps), 'refs/ims/base', checkout=work)
    return 'patches/6.1/series'


@test('series: round trip')
def round_trip(log):
    with Checkout(CHECK / 'work', log) as work, Checkout(CHECK / 'mirror', log) as mirror:
        work.must('tree')
        before, line = work.files(), work.line()
        work.must('export')
        expect(work.files() == before, f'export after tree changes files; see {log}')
        expect(work.line() == line, f'export after tree changes commits; see {log}')
        mirror.must('tree')
        for edit in (change_new_file, change_base_file, insert_step, reorder):
            before = work.files()
            touched = edit(work)
            line = work.line()
            work.must('export')
            after = work.files()
            changed = {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}
            note(log, f'{edit.__name__}: {sorted(changed)}')
            expect(touched in changed, f'{edit.__name__}: export does not change {touched}')
            expect(work.line() == line, f'{edit.__name__}: export loses something; see {log}')
            for top in ('patches', 'linux'):
                shutil.rmtree(mirror.path / top)
                shutil.copytree(work.path / top, mirror.path / top)
            mirror.must('tree')
            expect(mirror.line() == line, f'{edit.__name__}: tree does not give back what was '
                                          f'exported; see {log}')
        script = mirror.path / 'build/linux/lib/ims_check_run.sh'
        expect(script.stat().st_mode & 0o111, 'a file that can be executed loses that')

        # What export must refuse.
        path = work.path / 'build/linux/lib/ims_check_new.c'
        path.write_text('/* changed by another step */\n', encoding='utf-8')
        work.git('commit', '-q', '-a', '-m', 'lib: Change a new file')
        work.refuses(r'lib/ims_check_new\.c.*belongs to one step', 'export')
        work.git('reset', '-q', '--hard', 'HEAD^')
        (work.path / 'linux/lib/stray.c').write_text('/* of no step */\n', encoding='utf-8')
        work.refuses(r'linux/lib/stray\.c is named by no patch', 'export')
        expect((work.path / 'linux/lib/stray.c').exists(), 'export removes a file that no step '
                                                           'has named')
        work.refuses(r'linux/lib/stray\.c is named by no patch', 'tree', FORCE='1')
        (work.path / 'linux/lib/stray.c').unlink()
        path.write_text('/* not committed */\n', encoding='utf-8')
        work.refuses(r'uncommitted changes', 'export')
        work.refuses(r'uncommitted changes', 'clean')
        work.git('stash', '-q')
        work.refuses(r'has a stash', 'clean')
        work.git('stash', 'pop', '-q')
        work.git('commit', '-q', '-a', '--fixup=HEAD')
        work.refuses(r'is not folded in', 'export')
        work.refuses(r'commits that are not exported', 'clean')
        work.git('checkout', '-q', 'refs/ims/exported')
        work.refuses(r'branch ims, with commits that are not exported', 'clean')
        for name in ('patches', 'linux'):
            shutil.rmtree(work.path / name)
            shutil.copytree(ROOT / name, work.path / name)
        work.refuses(r'branch ims, with commits that are not exported', 'tree')


@test('series: mail')
def mail(log):
    with Checkout(CHECK / 'mail', log) as work:
        work.must('mail', SIGNOFF='A Poster <poster@example.org>', V='3')
        steps = [p for p in sorted((work.path / 'build/mail').glob('v3-*.patch'))
                 if not p.name.startswith('v3-0000')]
        expect(len(steps) == len(series.load()), f'{len(steps)} mails for '
                                                 f'{len(series.load())} steps')
        for path in steps:
            text = path.read_text(encoding='utf-8')
            expect(re.search(rf'^Subject: \[PATCH v3 \d+/{len(steps)}\]', text, re.M),
                   f'{path.name}: the subject has no [PATCH v3 n/m]')
            expect(text.count('\nSigned-off-by: A Poster <poster@example.org>\n') == 1,
                   f'{path.name} is not signed off')
        cover = (work.path / 'build/mail/v3-0000-cover-letter.patch').read_text('utf-8')
        subject, _, body = (series.PATCHES / 'cover').read_text('utf-8').partition('\n')
        expect(f'] {subject}\n' in cover and body.strip() in cover and '***' not in cover,
               'the cover letter is not patches/6.1/cover')
        expect(re.search(rf'^ +\d* *-? *{len(steps)}\t', body, re.M),
               f'the list of steps in the cover letter does not end with {len(steps)}')
        added = {a for p in series.load() for a in p.adds}
        mails = ''.join(p.read_text(encoding='utf-8') for p in steps)
        for name in added:
            expect(f'\n+++ b/{name}\n' in mails, f'no mail brings {name}')
        work.must('mail')
        for path in (work.path / 'build/mail').glob('*.patch'):
            expect('\nSigned-off-by:' not in path.read_text(encoding='utf-8'),
                   f'{path.name} is signed off by nobody')
        work.refuses(r'SIGNOFF=nobody: write it as', 'mail', SIGNOFF='nobody')


# --- bad input -------------------------------------------------------------

@test('bad input: MACHINE')
def bad_machine(log):
    with Checkout(CHECK / 'bad', log) as work:
        work.refuses(r'MACHINE=toaster.*intel-ir.*no-iommu', 'boot', MACHINE='toaster')


@test('bad input: a missing package without root')
def missing_package(log):
    if os.geteuid():
        raise Skip('only root can become somebody else')
    # Somebody else may not be able to read this checkout.
    with tempfile.TemporaryDirectory() as tmp:
        top = Path(tmp)
        for name in ('scripts/deps', 'configs/packages', 'configs/packages-bench'):
            (top / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, top / name)
        # dpkg-query as it answers where these are not installed.
        (top / 'dpkg-query').write_text(
            '#!/bin/sh\n/usr/bin/dpkg-query "$@" | '
            'grep -v -e "installed sparse$" -e "installed linux-source-6.12$"\n',
            encoding='ascii')
        for path in (top, *top.rglob('*')):
            path.chmod(0o755)
        for extra, missing in (((), 'sparse'), (('bench',), 'sparse linux-source-6.12')):
            done = run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'env',
                        f'PATH={top}:{os.environ["PATH"]}', 'bash', top / 'scripts/deps',
                        *extra], check=False, cwd='/')
            note(log, done.stdout + done.stderr)
            expect(done.returncode != 0, f'deps does not fail; see {log}')
            lines = done.stderr.strip().splitlines()
            expect(len(lines) == 1 and re.search(rf'apt-get install [^ ]+ [^ ]+ {missing}$',
                                                 lines[0]),
                   f'deps does not print the apt-get line; see {log}')


@test('bad input: a patch that does not apply')
def bad_patch(log):
    with Checkout(CHECK / 'bad', log) as work:
        patch = next(p for p in series.load() if p.touches)
        path = work.path / 'patches/6.1' / patch.name
        good = path.read_text(encoding='utf-8')
        bad = re.sub(r'^ (\S)', r' spoilt \1', good.split('\n@@', 1)[1], flags=re.M)
        path.write_text(good.split('\n@@', 1)[0] + '\n@@' + bad, encoding='utf-8')
        work.refuses(rf'{re.escape(patch.name)} does not apply', 'tree')
        expect(not (work.path / 'build/linux').exists(), 'half a tree is left')
        path.write_text(good, encoding='utf-8')
        work.must('tree')


@test('bad input: a corrupt tarball')
def bad_tarball(log):
    src = basemod.source()
    if not src.is_file():
        raise Skip('KERNEL_SRC= is no tarball')
    with Checkout(CHECK / 'bad', log) as work:
        half = work.path / 'half.tar.xz'
        with open(src, 'rb') as file:
            half.write_bytes(file.read(16 << 20))
        known = set((cache() / 'base').iterdir())
        for _ in range(2):
            work.refuses(r'half\.tar\.xz is corrupt', 'tree', KERNEL_SRC=str(half))
        expect(set((cache() / 'base').iterdir()) == known, 'the cache holds a half made base')
        work.refuses(r'does not exist', 'tree', KERNEL_SRC='/nowhere')
        work.must('tree')


@test('bad input: a corrupt download of QEMU')
def bad_download(log):
    with Checkout(CHECK / 'bad', log) as work:
        # apt-get whose connection breaks in the middle of the first file.
        fake = work.path / 'build/fake'
        fake.mkdir(parents=True)
        (fake / 'apt-get').write_text('#!/bin/sh\necho "Format: 3.0" >qemu_7.2+dfsg-0.dsc\n',
                                      encoding='ascii')
        (fake / 'apt-get').chmod(0o755)
        small = work.path / 'cache'
        work.env.pop('QEMU_SRC', None)
        for _ in range(2):
            work.refuses(r'QEMU.*try again.*QEMU_SRC=', 'qemu', IMS_CACHE=str(small),
                         PATH=f'{fake}:{work.env["PATH"]}')
        expect(not list(small.glob('qemu*/*')), 'the cache holds half a source of QEMU')


@test('bad input: a full disk')
def full_disk(log):
    if os.geteuid():
        raise Skip('only root can mount a small file system')
    with Checkout(CHECK / 'bad', log) as work:
        small = work.path / 'small'
        small.mkdir()
        done = run(['mount', '-t', 'tmpfs', '-o', 'size=200m', 'tmpfs', small], check=False)
        if done.returncode:
            raise Skip(f'cannot mount a tmpfs: {done.stderr.strip()}')
        try:
            work.refuses(r'no space left', 'tree', IMS_CACHE=str(small))
            run(['mount', '-o', 'remount,size=4g', small])
            work.must('tree', IMS_CACHE=str(small))
        finally:
            run(['umount', '-l', small], check=False)


# --- the patches -----------------------------------------------------------

def steps_of_series():
    base, tip = series.agree()
    return base, tip, series.commits(base.repo, base.commit, tip)


@test('patches: checkpatch --strict')
def checkpatch(log):
    base, tip, steps = steps_of_series()
    bad = []
    with locked('kernel-src'):
        kernel.checkout(base, f'{tip}^{{tree}}', base.repo / 'objects')
        for commit in steps:
            mail_text = git('format-patch', '-1', '--stdout', '--no-renames', '--signature=', commit,
                            repo=base.repo)
            patch = CHECK / 'checkpatch.patch'
            patch.write_text(mail_text, encoding='utf-8')
            done = run(['perl', 'scripts/checkpatch.pl', '--strict', '--show-types', '--color=never',
                        '--ignore', CHECKPATCH_IGNORE, patch], check=False, cwd=kernel.src(),
                       env=clean_env(HOME='/nonexistent'))
            subject = git('log', '-1', '--format=%s', commit, repo=base.repo).strip()
            note(log, f'=== {subject}\n{done.stdout}{done.stderr}')
            clean = re.search(r'^total: 0 errors, 0 warnings, 0 checks', done.stdout, re.M)
            if done.returncode or not clean or 'Traceback' in done.stderr:
                bad.append(subject)
    expect(not bad, f'{len(bad)} of {len(steps)} steps: {bad[:3]}; see {log}')


@test('patches: no new warning of gcc W=1, sparse or kernel-doc')
def new_warnings(log):
    base, tip, _ = steps_of_series()
    added, count = warnings.added(base, tip, log)
    note(log, '=== new\n' + '\n'.join(added))
    expect(count > 5, f'only {count} objects were checked; see {log}')
    expect(not added, f'{len(added)} new: {added[0] if added else ""}; see {log}')


@test('cross: changed files build for every architecture, with and without MSI')
def other_architectures(log):
    base, tree, objects, _ = series.snapshot()
    wrong, results = cross.check(base, tree, objects, log)
    note(log, '=== wrong\n' + '\n'.join(wrong))
    expect(not wrong, f'{len(wrong)}: {wrong[0] if wrong else ""}; see {log}')
    say(f'        {sum(len(r["objects"]) for r in results.values())} objects, '
        f'{len(results)} configurations of {len(cross.ARCHES)} architectures')
    for name, result in results.items():
        if result['without']:
            say(f'        {name} cannot have {", ".join(result["without"])}')


# --- KUnit -----------------------------------------------------------------

@test('kunit: the core on UML')
def kunit_on_uml(log):
    base, tree, objects, _ = series.snapshot()
    say(f'        {kunit.run(base, tree, objects, log)} passed')


# --- rules that the build enforces -----------------------------------------

def nothing_wrong(log, wrong):
    note(log, '=== wrong\n' + '\n'.join(wrong))
    expect(not wrong, f'{len(wrong)}: {wrong[0] if wrong else ""}; see {log}')


@test('rules: storage ops are in drivers/irqchip')
def places(log):
    base, tree, objects, _ = series.snapshot()
    nothing_wrong(log, rules.misplaced(rules.sources(base, tree, objects)))


@test('rules: the build keeps storage ops in drivers/irqchip')
def out_of_reach(log):
    base, tree, objects, _ = series.snapshot()
    page = next(cross.tree_files(base, tree, objects, f'Documentation/{docs.BOOK}.rst'))
    examples = docs.examples(page or '')
    expect(examples, f'Documentation/{docs.BOOK}.rst has no examples')
    with (locked('kernel-src'), scratch('kernel-src') as tmp,
          kernel.using(kernel.objdir('warnings'))):
        where = rules.configure(base, tree, objects, log)
        nothing_wrong(log, rules.compiled(where, log, examples))
        nothing_wrong(log, rules.linked(where, log, tmp))


@test('rules: storage ops are constant')
def constant(log):
    base, tree, objects, _ = series.snapshot()
    with locked('kernel-src'):
        wrong, count = rules.not_constant(base, tree, objects, log)
    nothing_wrong(log, wrong)
    expect(count > 5, f'only {count} storage ops and templates were found')
    say(f'        {count} storage ops and templates')


# --- the semantic patch ----------------------------------------------------

@test('cocci: msi_desc tells good code from bad')
def good_and_bad(log):
    base, tree, objects, _ = series.snapshot()
    wrong, count = cocci.check_tests(base, tree, objects, CHECK / 'cocci')
    nothing_wrong(log, wrong)
    say(f'        {count} lines of bad code')


@test('cocci: msi_desc finds what the page explains')
def explained(log):
    base, tree, objects, _ = series.snapshot()
    wrong, count = cocci.check_tree(base, tree, objects, CHECK / 'cocci-tree', log)
    nothing_wrong(log, wrong)
    expect(count, f'nothing is found; see {log}')
    say(f'        {count} hits')


# --- documentation ---------------------------------------------------------

@test('docs: the pages are built without a warning')
def pages(log):
    base, tree, objects, _ = series.snapshot()
    found, names = docs.build(base, tree, objects, CHECK / 'docs')
    nothing_wrong(log, found)
    left = docs.undescribed(base, tree, objects, names)
    expect(not left, f'no page describes {", ".join(left)}')


@test('docs: what is wrong with a page is noticed')
def broken_page(log):
    base, tree, objects, _ = series.snapshot()
    found, expected = docs.build_broken(base, tree, objects, CHECK / 'docs-broken',
                                        ROOT / 'tests/docs/broken.rst')
    note(log, '\n'.join(found))
    missed = [pattern for pattern in expected if not any(re.search(pattern, f) for f in found)]
    expect(expected and not missed, f'{len(missed)} of {len(expected)} faults are not noticed: '
                                    f'{missed[:1]}; see {log}')


@test('docs: msi-ims.rst says what the code does')
def book_is_true(log):
    base, tree, objects, _ = series.snapshot()
    nothing_wrong(log, docs.check(base, tree, objects))


# --- the device ------------------------------------------------------------

def qtest(name):
    def func(log):
        path = qemu.get()
        done = run([path / name, '--tap', '-k'], check=False,
                   env=clean_env(QTEST_QEMU_BINARY=str(path / 'qemu-system-x86_64')))
        note(log, done.stdout + done.stderr)
        passed = len(re.findall(r'^ok \d+', done.stdout, re.M))
        failed = re.findall(r'^not ok \d+ (\S+)', done.stdout, re.M)
        plan = re.search(r'^1\.\.(\d+)', done.stdout, re.M)
        expect(plan and passed + len(failed) == int(plan[1]) > 0,
               f'the plan is not met; see {log}')
        expect(not done.returncode and not failed, f'{failed or done.returncode}; see {log}')
    return func


for _path in qemu.QTESTS:
    _name = Path(_path).name
    test(f'qemu: qtest of {_name.removesuffix("-test")}')(qtest(_name))


# --- every step ------------------------------------------------------------

# CONFIG_WERROR makes a warning an error.
@test('steps: every one builds without a warning, and boots')
def every_step(log):
    base, tip, steps = steps_of_series()
    # All steps boot with the programs of the last one, as what they do is only to boot.
    ramfs = (base, git('rev-parse', f'{tip}^{{tree}}', repo=base.repo).strip(),
             base.repo / 'objects')
    qemu.get()
    initramfs.get(*ramfs)
    # One step boots while the next one is built.
    with ThreadPoolExecutor(1) as pool:
        boots = []
        for number, commit in enumerate(steps, 1):
            tree = git('rev-parse', f'{commit}^{{tree}}', repo=base.repo).strip()
            subject = git('log', '-1', '--format=%s', commit, repo=base.repo).strip()
            label = f'step {number}/{len(steps)}'
            built = (base, tree, base.repo / 'objects', label)
            key = digest(kernel.kernel_key('lean', *built[:3]), initramfs.INIT,
                         initramfs.BUSYBOX, boot.MACHINES, *map(str, boot.engine()),
                         qemu.get().name, digest_code('boot', 'verdict'))
            if not have_entry('step', key):
                say(f'  {label}: {subject}')
                kernel.get('lean', *built[:3], label=f'  {label}', log=log)
            boots.append(pool.submit(entry, 'step', key, lambda out, b=built, s=subject:
                                     boot_step(b, s, ramfs, out, log)))
            for done in boots:
                if done.done():
                    done.result()
        for done in boots:
            done.result()


def boot_step(built, subject, ramfs, out, log):
    label = built[3]
    result = boot.run('intel-ir', 'lean', 'nothing', out / 'boot.log', built=built,
                      ramfs=ramfs)
    note(log, f'=== {label}: {subject}\n' + (out / 'boot.log').read_text(encoding='utf-8'))
    expect(result, f'{label} ({subject}): {result}; see {log}')


# --- boots -----------------------------------------------------------------

@test('boots: each way to fail gets its verdict')
def live_verdicts(log):
    sys.path.insert(0, str(ROOT / 'tests'))
    cases = __import__('cases')
    base, tree, objects, _ = series.snapshot()
    image = kernel.get('lean', base, tree, objects) / 'bzImage'
    where = CHECK / 'cases'
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    ramfs = cases.initrd(where)
    for name in cases.CASES:
        wrong = cases.complaint(name, cases.record(name, image, ramfs, where / f'{name}.log'))
        note(log, f'{name}: {wrong or "as it should be"}')
        expect(not wrong, f'{name}: {wrong}; see {where}/{name}.log')


def passes(boots):
    """The test that boots(log), which returns a Verdict, passes."""
    def func(log):
        result = boots(log)
        expect(result, f'{result}; see {log}')
        say(f'        {result.summary()}')
    return func


def selftests(config, machine):
    return passes(lambda log: boot.run(machine, config, 'selftests', log))


for _config in ('lean', 'debug'):
    for _machine in (m for m, row in boot.machines().items() if _config in row['kernels']):
        test(f'boots: selftests on {_machine}, {_config} kernel',
             beside=True)(selftests(_config, _machine))


for _machine in ('intel-ir', 'amd-ir'):
    test(f'boots: sysfs directories of IMS interrupts on {_machine}', beside=True)(
        passes(lambda log, machine=_machine: boot.run(machine, 'lean', 'late_sysfs', log)))


@test('boots: a store with 2^20 slots', beside=True)
def largest_store(log):
    result = boot.run('intel-ir', 'lean', 'ims_store', log,
                      hardware=('-global', f'ims-testdev.slots={1 << 20}'))
    expect(result, f'{result}; see {log}')
    expect(f'{1 << 20} slots' in log.read_text('utf-8', 'replace'),
           f'the device has not as many slots; see {log}')
    say(f'        {result.summary()}')


def more_selftests(machine, programs, *reasons):
    """Programs on the kernel that has what single tests of them need. Elsewhere the
    lack of that is a reason to leave them out; here nothing would be left."""
    def boots(log):
        result = boot.run(machine, 'devices', programs, log, extra=('ims.end=reboot',))
        text = log.read_text('utf-8', 'replace')
        for reason in reasons:
            expect(reason not in text, f'{reason}; see {log}')
        return result
    return passes(boots)


for _machine in (m for m, row in boot.machines().items() if row['required']):
    test(f'boots: each allocation fails in turn on {_machine}', beside=True)(
        more_selftests(_machine, 'msi_fault', 'SKIP the kernel has no fault injection'))
for _machine in (m for m, row in boot.machines().items() if 'ims_power' in row['required']):
    test(f'boots: suspend to RAM, and storage ops that break rules, on {_machine}',
         beside=True)(
        more_selftests(_machine, 'ims_power,ims_wrong', 'SKIP the kernel has no alarm clock',
                       'SKIP the kernel does not check storage ops',
                       'this kernel would not get over it'))


def alike(machine):
    return lambda log: compare.compare(machine, CHECK, lambda text: note(log, text))


for _machine in compare.machines():
    test(f'compare: base and series behave alike on {_machine}', beside=True)(alike(_machine))


def devices_on(machine):
    return passes(lambda log: devices.run(machine, log))


for _machine in boot.machines():
    test(f'devices: on {_machine}', beside=True)(devices_on(_machine))


def ntb_on(machine):
    return passes(lambda log: ntb.run(machine, log))


for _machine in (m for m, row in boot.machines().items() if row['required']):
    test(f'ntb: interrupts and traffic across a bridge on {_machine}', beside=True)(
        ntb_on(_machine))


def ntb_spoilt(what, says):
    def spoilt(log):
        result = ntb.run('no-iommu', log, spoil=what)
        expect(result.kind == verdict.FAIL and re.search(says, result.why),
               f'it ends with "{result}"; see {log}')
    return spoilt


for _what, _says in ntb.SPOILT.items():
    test(f'ntb: a spoilt {_what} is noticed', beside=True)(ntb_spoilt(_what, _says))


# --- figures ---------------------------------------------------------------

@test(f'bench: no figure is more than {bench.ABOVE * 100:.0f} % above the recorded one')
def figures(log):
    bench.gate(CHECK, lambda text: note(log, text))


@test('bench: a figure above the recorded one is noticed')
def higher_figures(log):
    now = bench.short_runs(CHECK)
    for machine, values in now.items():
        for name in values:
            # Each alone, as if the record had been made of a faster kernel.
            found = bench.judge(now, bench.lowered(now, machine, name))
            note(log, f'{found.above}')
            expect(len(found.above) == 1 and found.above == found.wrong()
                   and found.above[0].startswith(f'{machine}: {name}: '),
                   f'{machine}: {name} 3 % above the record is not noticed; see {log}')
    say(f'        {sum(len(values) for values in now.values())} figures')


@test('bench: the profile adds up')
def profile_adds_up(log):
    case = 'msix-alloc.64'
    found = profile.take('series', profile.MACHINE, [case], log.with_suffix('.guest.log'))[case]
    note(log, found.text)
    counted = sum(line.own for line in found.lines.values())
    expect(profile.agree(counted, found.want),
           f'{counted} instructions by function, {found.want} in the figure; see {log}')
    whole = found.lines['pci_alloc_irq_vectors_affinity'].inclusive
    expect(profile.agree(whole, found.want),
           f'{whole} instructions below what is called, {found.want} in the figure; see {log}')
    for name in ('__irq_domain_alloc_irqs', 'intel_irq_remapping_alloc'):
        line = found.lines.get(name)
        expect(line and line.own and line.calls, f'{name} is not in the profile; see {log}')
    say(f'        {counted} instructions in {len(found.lines)} functions')


def demo(machine, shows, lines):
    def func(log):
        with Checkout(CHECK / f'boot-{machine}', log) as work:
            out = work.must('boot', MACHINE=machine).splitlines()
            expect(out[-len(lines):] == lines, f'make boot does not end as it should; see {log}')
            text = '\n'.join(out)
            expect(re.search(shows, text, re.S), f'make boot does not show {shows}; see {log}')
            listed = dict(l.split('=', 1) for l in work.must('paths').splitlines())
            for name in ('KERNEL', 'QEMU', 'INITRAMFS', 'KERNEL_TREE', 'KERNEL_BUILD'):
                expect(name in listed and Path(listed[name]).exists(),
                       f'make paths has no {name} that exists; see {log}')
    return func


# One interrupt in /proc/interrupts, fired once, and its domains in debugfs.
SHOWN = (r'\n *\d+:[ 0]* 1 [ 0]* IR-PCI-IMS\.1-\S+ .*ims_testdev0-table-.*'
         r'domain:  IR-PCI-IMS\.1-.*domain:  {}-IR-0\n.*domain:  VECTOR\n')
for _machine in ('intel-ir', 'amd-ir'):
    test(f'boots: make boot on {_machine}')(
        demo(_machine, SHOWN.format(_machine.partition('-')[0].upper()), [
            *boot.demo_lines(boot.machine_row(_machine)), 'boot: PASS']))
test('boots: make boot on no-iommu')(demo('no-iommu', r'\n# Totals: pass:\d+ fail:0 ',
                                          ['boot: PASS']))


@test('boots: make boot names the step that failed')
def failing_boot(log):
    with Checkout(CHECK / 'bad', log) as work:
        with open(work.path / 'configs/lean.config', 'a', encoding='utf-8') as file:
            file.write('CONFIG_NO_SUCH_SYMBOL=y\n')
        work.refuses(r"step 'kernel' failed: .*CONFIG_NO_SUCH_SYMBOL=y is wanted", 'boot')
