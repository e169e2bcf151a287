# SPDX-License-Identifier: GPL-2.0
"""The series as files and as a git tree, and the way between the two.

As files: patches/6.1/series names the patches in their order; a patch is what
`git format-patch` makes of a step, with hunks only for files of the base, and one
line `Adds: path` below its `---` for each file that it takes from linux/. As a
tree: build/linux, one commit per step on the base's commit.

A step's commit is made of nothing but the files, so the same files give the same
commit ids everywhere. make_tip() makes them, refs/series/KEY in the base's
repository keeps them; export() writes the files and then makes the commits from
them to see that they hold what the tree holds.

In build/linux, refs/ims/base is the base and refs/ims/exported is the tip that
the files stood for when tree or export last ran. HEAD elsewhere, or a file that
differs from HEAD, is work that is not exported; nothing here throws that away
without FORCE=1.
"""
import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from . import base as basemod
from .util import (BUILD, ROOT, Fail, digest, git, git_env, locked, say,
                   scratch, write_atomic)

PATCHES = ROOT / 'patches/6.1'
LINUX = ROOT / 'linux'
TREE = BUILD / 'linux'
MAIL = BUILD / 'mail'
WRITTEN = BUILD / 'exported'
BRANCH = 'ims'
FORMAT = '2'

SERIES_HEAD = '''\
# SPDX-License-Identifier: GPL-2.0
#
# The steps in their order. Written by `make export`, which keeps comments.
'''


class Patch:
    """One file of patches/6.1."""

    def __init__(self, path):
        self.path = path
        self.name = path.name
        text = path.read_text(encoding='utf-8', errors='surrogateescape')
        lines = text.split('\n')
        if '---' not in lines:
            raise Fail(f'{rel(path)} has no `---` line: `make export` writes it anew')
        head = lines.index('---')
        self.adds, self.touches = [], []
        match = re.search(r'^Subject: (.*(?:\n[ \t].*)*)', '\n'.join(lines[:head]), re.M)
        self.subject = re.sub(r'\n[ \t]', ' ', match.group(1)) if match else self.name
        below = True
        for line in lines[head + 1:]:
            if line.startswith('diff --git '):
                below = False
                self.touches.append(diff_path(line, path))
            elif below and line.startswith('Adds: '):
                self.adds.append(line[6:])


def rel(path):
    try:
        return Path(path).relative_to(ROOT)
    except ValueError:
        return path


def diff_path(line, where):
    """The path of a `diff --git a/X b/X` line (no renames, so both are X)."""
    names = line[len('diff --git '):]
    half = len(names) // 2
    if names[:2] != 'a/' or names[half] != ' ' or names[2:half] != names[half + 3:]:
        raise Fail(f'{rel(where)}: cannot read "{line}": write it with `make export`')
    return names[2:half]


def read_series():
    """(the head's comment lines, [(comment lines before it, name)], lines at the end)"""
    path = PATCHES / 'series'
    if not path.exists():
        return SERIES_HEAD.splitlines(), [], []
    head, steps, comments = None, [], []
    for line in path.read_text(encoding='utf-8').splitlines():
        if line.startswith('#') or not line.strip():
            comments.append(line)
            continue
        if head is None:
            head, comments = comments, []
        steps.append((comments, line.strip()))
        comments = []
    if head is None:
        head, comments = comments, []
    return head, steps, comments


def load():
    names = [name for _, name in read_series()[1]]
    for name, count in Counter(names).items():
        if count > 1:
            raise Fail(f'patches/6.1/series names {name} {count} times')
    for name in names:
        if not (PATCHES / name).is_file():
            raise Fail(f'patches/6.1/series names {name}, which is missing: restore it '
                       'from git')
    for path in sorted(PATCHES.glob('*.patch')):
        if path.name not in names:
            raise Fail(f'{rel(path)} is not named by patches/6.1/series: restore the '
                       'series from git, or remove the patch')
    return [Patch(PATCHES / name) for name in names]


def linux_files():
    return {str(p.relative_to(LINUX)): p
            for p in sorted(LINUX.rglob('*')) if not p.is_dir()}


def verify(patches, base):
    """That series, patches, linux/ and the record fit together."""
    owner = {}
    files = linux_files()
    present = base.files()
    for patch in patches:
        for path in patch.adds:
            if path in owner:
                raise Fail(f'{patch.name} and {owner[path]} both add {path}: a file belongs '
                           'to one step')
            owner[path] = patch.name
            if path not in files:
                raise Fail(f'{patch.name} adds {path}, which linux/ does not have: restore '
                           'it from git')
            if path in present:
                raise Fail(f'{patch.name} adds {path}, which the base has')
        for path in patch.touches:
            if path not in present:
                raise Fail(f'{patch.name} has hunks for {path}, which is no file of the '
                           'base: run `make export`')
    for path in files:
        if path not in owner:
            raise Fail(f'linux/{path} is named by no patch: add it to a step in '
                       'build/linux and `make export`, or remove it')
    recorded = set(basemod.read_record()[2])
    touched = {path for patch in patches for path in patch.touches}
    for path in sorted(recorded ^ touched):
        what = 'has a line for' if path in recorded else 'has no line for'
        raise Fail(f'patches/6.1/base {what} {path}: run `make export`')


def series_key(base, patches):
    parts = [FORMAT, base.commit]
    for patch in patches:
        parts += [patch.path]
        for path in patch.adds:
            parts += [path, LINUX / path]
    return digest(*parts)


def make_tip(base):
    """The commit of the last step, made from the files; refs/series/KEY."""
    patches = load()
    basemod.report_moved(base)
    verify(patches, base)
    key = series_key(base, patches)
    ref = f'refs/series/{key}'
    known = git('rev-parse', '-q', '--verify', ref, repo=base.repo, check=False).stdout
    if known:
        return known.strip()
    with locked(f'series-{key}'), scratch(f'series-{key}') as tmp:
        apply_all(base, patches, tmp, ref)
    return git('rev-parse', ref, repo=base.repo).strip()


def apply_all(base, patches, tmp, ref):
    """Commit the steps to ref. The index holds only what they change, so that a step
    costs what it changes; git fast-import puts that into the trees of the base."""
    at = {'repo': base.repo, 'env': git_env(GIT_INDEX_FILE=str(tmp / 'index'))}
    touched = sorted({path for patch in patches for path in patch.touches})
    if touched:
        git('update-index', '--index-info', stdin=git('ls-tree', base.commit, '--', *touched,
                                                      repo=base.repo), **at)
    added = [path for patch in patches for path in patch.adds]
    blobs = dict(zip(added, git('hash-object', '-w', '--no-filters', '--stdin-paths', **at,
                                stdin=''.join(f'{LINUX / path}\n' for path in added)).split()))
    stream, parent = [], base.commit
    for mark, patch in enumerate(patches, 1):
        entries = [f'M {"100755" if os.access(LINUX / path, os.X_OK) else "100644"} '
                   f'{blobs[path]} {path}' for path in patch.adds]
        if patch.touches:
            done = git('apply', '--cached', '--whitespace=nowarn', patch.path, check=False, **at)
            if done.returncode:
                raise Fail(conflict(base, patch, done.stderr))
            left = {line.split('\t')[1]: line.split() for line in
                    git('ls-files', '-s', '--', *patch.touches, **at).splitlines()}
            entries += [f'M {left[path][0]} {left[path][1]} {path}' if path in left
                        else f'D {path}' for path in patch.touches]
        who, message = read_mail(patch, tmp)
        data = message.encode('utf-8', 'surrogateescape')
        by = f'{who.get("Author", "")} <{who.get("Email", "")}> {who.get("Date", "")}'
        head = f'commit {ref}\nmark :{mark}\nauthor {by}\ncommitter {by}\ndata {len(data)}\n'
        stream += [head.encode('utf-8', 'surrogateescape'), data,
                   f'\nfrom {parent}\n{"".join(line + chr(10) for line in entries)}\n'.encode()]
        parent = f':{mark}'
    if not patches:
        git('update-ref', ref, base.commit, repo=base.repo)
    else:
        git('fast-import', '--quiet', '--date-format=rfc2822', repo=base.repo, text=False,
            stdin=b''.join(stream))


def conflict(base, patch, stderr):
    """What of a patch does not apply: file and hunk, as git apply names them."""
    hit = re.search(r'^error: patch failed: (.*):(\d+)$', stderr, re.M)
    where = stderr.strip()[-200:].removeprefix('error: ')
    if hit:
        text = patch.path.read_text(encoding='utf-8', errors='surrogateescape')
        part = text.partition(f'\ndiff --git a/{hit[1]} ')[2].partition('\ndiff --git ')[0]
        hunk = re.search(rf'^@@ -{hit[2]}\b.*', part, re.M)
        where = f'{hit[1]}: hunk {hunk[0] if hunk else "at line " + hit[2]}'
    return (f'{rel(patch.path)} does not apply to Linux {base.kernel}: {where}: restore patches/ '
            'and linux/ from git, mend the patch, or name the base that patches/6.1/base names '
            'with KERNEL_SRC=')


def read_mail(patch, tmp):
    """({Author, Email, Date}, message) of a step"""
    text = patch.path.read_text(encoding='utf-8', errors='surrogateescape')
    info = git('mailinfo', '-k', tmp / 'msg', tmp / 'patch', stdin=text)
    who = dict(line.split(': ', 1) for line in info.splitlines() if ': ' in line)
    body = (tmp / 'msg').read_text(encoding='utf-8', errors='surrogateescape').strip('\n')
    return who, who.get('Subject', '') + (f'\n\n{body}' if body else '') + '\n'


def commits(repo, start, tip, cwd=None):
    out = git('rev-list', '--reverse', f'{start}..{tip}', repo=repo, cwd=cwd)
    return out.split()


def describe(start, tip, repo=None, cwd=None):
    """What counts in a line of commits: each one's tree, author, date, message."""
    return git('log', '--reverse', '--format=%T %an <%ae> %at%n%B%x00', f'{start}..{tip}',
               repo=repo, cwd=cwd)


def content(commit, **at):
    """A commit's files without .gitignore, which a base made elsewhere has whole."""
    lines = git('ls-tree', '-r', commit, **at).split('\n')
    return digest('\n'.join(l for l in lines if not l.endswith('\t.gitignore')))


def describe_foreign(start, tip, **at):
    """describe() for trees whose base is not a commit of ours."""
    head = git('log', '--reverse', '--format=%an <%ae> %at%n%B%x00', f'{start}..{tip}', **at)
    listed = git('rev-list', '--reverse', f'{start}..{tip}', **at).split()
    return [head, *(content(commit, **at) for commit in [start, *listed])]


# --- build/linux -----------------------------------------------------------

def in_tree(*args, **kw):
    return git('-C', TREE, *args, **kw)


def have_tree():
    return (TREE / '.git').exists()


def tree_ref(name):
    return in_tree('rev-parse', '-q', '--verify', name, check=False).stdout.strip()


def busy():
    for name in ('rebase-merge', 'rebase-apply', 'CHERRY_PICK_HEAD', 'MERGE_HEAD'):
        if (TREE / '.git' / name).exists():
            return name
    return ''


def dirty():
    return in_tree('status', '--porcelain', '--untracked-files=all')


def unexported():
    """Why build/linux holds work that patches/ and linux/ do not; '' if it does not."""
    if not have_tree():
        return ''
    if busy():
        return f'is in the middle of something ({busy()})'
    exported = tree_ref('refs/ims/exported')
    head = tree_ref('HEAD')
    if head != exported:
        start = tree_ref('refs/ims/base')
        if not exported or (describe(start, head, cwd=TREE) !=
                            describe(start, exported, cwd=TREE)):
            return 'has commits that are not exported'
    changes = dirty()
    if changes:
        return f'has uncommitted changes ({changes.splitlines()[0].strip()})'
    return ''


def aside(*names):
    """Why these branches hold work that is neither in HEAD nor exported; '' if not."""
    start, exported = tree_ref('refs/ims/base'), tree_ref('refs/ims/exported')
    for name in names:
        tip = tree_ref(f'refs/heads/{name}')
        if tip and tip not in (tree_ref('HEAD'), exported) and (
                describe(start, tip, cwd=TREE) != describe(start, exported, cwd=TREE)):
            return f'has a branch {name}, with commits that are not exported'
    return ''


def put_aside():
    """Why build/linux holds work beside HEAD, on a branch or in the stash."""
    if not have_tree():
        return ''
    if tree_ref('refs/stash'):
        return 'has a stash (git stash list)'
    return aside(*in_tree('for-each-ref', '--format=%(refname:short)', 'refs/heads').split())


def tree():
    """build/linux on the series; says what it did."""
    base = basemod.get()
    tip = make_tip(base)
    force = os.environ.get('FORCE') == '1'
    if have_tree():
        head = tree_ref('HEAD')
        work = unexported()
        if work and not force:
            if head == tip and not busy():
                say(f'tree: build/linux is the series, and {work}')
                return
            raise Fail(f'build/linux {work}: `make export` (after a commit) keeps that, '
                       '`make tree FORCE=1` throws it away')
        if head == tip and not work:
            return
        if work:
            keep = f'refs/ims/thrown-{int(time.time())}'
            in_tree('update-ref', keep, head)
            say(f'tree: the old HEAD of build/linux is kept as {keep}')
            for what in ('rebase', 'am', 'cherry-pick', 'merge'):
                in_tree(what, '--abort', check=False)
    else:
        say(f'tree: {rel(TREE)} on Linux {base.kernel}')
        shutil.rmtree(TREE, ignore_errors=True)
        tmp = TREE.with_name('.linux.new')
        shutil.rmtree(tmp, ignore_errors=True)
        tmp.parent.mkdir(parents=True, exist_ok=True)
        git('clone', '-q', '--no-checkout', '--template=', base.repo, tmp)
        git('-C', tmp, 'remote', 'remove', 'origin')
        git('-C', tmp, 'config', 'core.untrackedCache', 'true')
        git('-C', tmp, 'symbolic-ref', 'HEAD', f'refs/heads/{BRANCH}')
        git('-C', tmp, 'sparse-checkout', 'set', '--cone')
        tmp.rename(TREE)
    work = aside(BRANCH)
    if work and not force:
        raise Fail(f'build/linux {work}, and another HEAD: `git checkout {BRANCH}` there and '
                   '`make export` keep it, `make tree FORCE=1` throws it away')
    in_tree('fetch', '-q', base.repo, tip)
    show_directories(load())
    in_tree('-c', 'checkout.workers=0', 'checkout', '-q', '-f', '-B', BRANCH, tip)
    if force:
        in_tree('clean', '-fdq')
    in_tree('update-ref', 'refs/ims/base', base.commit)
    in_tree('update-ref', 'refs/ims/exported', tip)
    count = len(commits(None, base.commit, tip, cwd=TREE))
    say(f'tree: build/linux is Linux {base.kernel} + {count} steps, {tip[:12]}')


def show_directories(patches):
    """Have the work tree hold the directories that the series has files in, and not
    all of the kernel, if nobody has asked for that (git sparse-checkout disable)."""
    if in_tree('config', '--bool', 'core.sparseCheckout', check=False).stdout.strip() != 'true':
        return
    wanted = {path.rpartition('/')[0] for patch in patches for path in
              (*patch.touches, *patch.adds)} - {''}
    if not wanted <= set(in_tree('sparse-checkout', 'list').split()):
        in_tree('sparse-checkout', 'add', *sorted(wanted))


# --- export ----------------------------------------------------------------

def export():
    given = os.environ.get('TREE')
    where = Path(given).resolve() if given else TREE
    if not (where / '.git').exists():
        raise Fail(f'{where} is no git tree: run `make tree`' if not given else
                   f'TREE={given} is no git tree')
    at = {'cwd': where}
    if not given and busy():
        raise Fail(f'build/linux is in the middle of something ({busy()}): finish that first')
    changes = git('status', '--porcelain', '--untracked-files=all', **at)
    if changes:
        raise Fail(f'{rel(where)} has uncommitted changes '
                   f'({changes.splitlines()[0].strip()}): commit them, or put them aside with '
                   'git stash -u')
    base = basemod.get()
    if not given:
        check_current(base)
    head = git('rev-parse', 'HEAD', **at).strip()
    start = tree_ref('refs/ims/base') if not given else (
        git('rev-list', '--max-parents=0', 'HEAD', **at).split()[-1])
    if content(start, **at) != content(base.commit, repo=base.repo):
        raise Fail(f'{rel(where)} stands on another base than Linux {base.kernel} '
                   f'({basemod.source()}): name its base with KERNEL_SRC=')
    if git('merge-base', start, head, check=False, **at).stdout.strip() != start:
        raise Fail(f'HEAD of {rel(where)} does not stand on the base {start[:12]}: '
                   '`git rebase` it onto refs/ims/base')
    if git('rev-list', '--merges', f'{start}..{head}', **at):
        raise Fail(f'{rel(where)} has merge commits: a series is a line; `git rebase` it')

    present = base.files()
    out, names, touched, owner = {}, [], set(), {}
    for step in read_steps(where, start, head):
        name, text, adds, touches = export_step(where, step, present, owner)
        stem, number = name, 2
        while name in out:
            name = stem.replace('.patch', f'-{number}.patch')
            number += 1
        out[name] = text
        names.append(name)
        touched |= touches
        for path in adds:
            owner[path] = (step.commit, name)
    blobs = export_files(where, head, owner)

    series, steps, end = read_series()
    comments = {name: lines for lines, name in steps}
    for name in names:
        series += comments.get(name, []) + [name]
    out['series'] = '\n'.join(series + end) + '\n'
    out['base'] = basemod.format_record(base, touched)
    changed = write_files(out, blobs)

    # The proof: the commits made from the files hold what the tree holds.
    tip = make_tip(base)
    same = describe_foreign if given else describe
    if same(base.commit, tip, repo=base.repo) != same(start, head, **at):
        raise Fail('the exported files do not give back the tree they came from: compare '
                   f'{tip[:12]} in {base.repo} with {head[:12]} in {rel(where)}')
    if not given:
        if tip != head:
            in_tree('fetch', '-q', base.repo, tip)
            in_tree('update-ref', '-m', 'make export', 'HEAD', tip, head)
        # On no branch, HEAD has left the branch behind: it has nothing that is not exported.
        branch = tree_ref(f'refs/heads/{BRANCH}')
        if branch and branch == tree_ref('refs/ims/exported'):
            in_tree('update-ref', f'refs/heads/{BRANCH}', tip, branch)
        in_tree('update-ref', 'refs/ims/exported', tip)
    say(f'export: {len(names)} steps, {len(blobs)} files in linux/, {len(touched)} files of '
        f'the base changed; {changed} files written')


@dataclass(frozen=True)
class Step:
    """A commit: files are [(path, mode, status)], mail is what git format-patch makes"""
    commit: str
    subject: str
    stem: str
    files: list
    mail: str


def read_steps(where, start, head):
    """The commits of build/linux, in two calls of git for all of them."""
    listed = git('log', '--reverse', '--raw', '-z', '-r', '--no-renames', '--no-abbrev',
                 '--format=%x01%H%x02%s%x02%f%x02', f'{start}..{head}', cwd=where)
    with tempfile.TemporaryDirectory() as tmp:
        git('format-patch', '-q', '-k', '-o', tmp, '--zero-commit', '--no-signature', '--no-stat',
            '--no-renames', '--no-attach', '--no-thread', '--always', '--encode-email-headers',
            f'{start}..{head}', cwd=where)
        mails = [path.read_text(encoding='utf-8', errors='surrogateescape')
                 for path in sorted(Path(tmp).iterdir())]
    steps = []
    for text, mail_text in zip(listed.split('\x01')[1:], mails, strict=True):
        commit, subject, stem, raw = text.split('\x02')
        items = raw.strip('\0\n').split('\0')
        files = [(path, info.split()[1], info.split()[4]) for info, path in
                 zip(items[::2], items[1::2])]
        steps.append(Step(commit, subject, stem, files, mail_text))
    return steps


def export_step(where, step, present, owner):
    """(file name, text, files it adds, files of the base that it changes)"""
    short = f'{step.commit[:12]} ("{step.subject}")'
    if re.match(r'(fixup|squash|amend)! ', step.subject):
        raise Fail(f'{short} is not folded in: `make fixup` does that')
    adds, touches = [], []
    for path, mode, status in step.files:
        if path in present:
            touches.append(path)
        elif status == 'A' and path not in owner:
            if mode not in ('100644', '100755'):
                raise Fail(f'{short} adds {path} as mode {mode}: only plain files can be in '
                           'linux/')
            if '\n' in path or path != path.strip():
                raise Fail(f'{short} adds a file with an impossible name: {path!r}')
            adds.append(path)
        else:
            first, name = owner.get(path, ('?', '?'))
            raise Fail(f'{short} changes {path}, which {first[:12]} ({name}) adds: a new file '
                       f'belongs to one step; fold the change in with git commit '
                       f'--fixup={first[:12]} and `make fixup`')
    head = step.mail.split('\ndiff --git ', 1)[0]
    body, mark, _ = head.rpartition('\n---\n')
    if not mark:
        # Nothing below the message: an empty commit.
        body = head.rstrip('\n')
    if '---' in body.split('\n'):
        raise Fail(f'{short} has a line `---` in its message, where git am would stop '
                   'reading: take it out')
    text = body.rstrip('\n') + '\n\n---\n'
    text += ''.join(f'Adds: {path}\n' for path in sorted(adds))
    if touches:
        diff = git('diff-tree', '--no-commit-id', '--no-renames', '--no-color', '--no-ext-diff',
                   '--no-textconv', '--diff-algorithm=myers', '--src-prefix=a/', '--dst-prefix=b/',
                   '--stat=78', '-p', '-U3', step.commit, '--', *touches, cwd=where)
        if re.search(r'^(GIT binary patch|Binary files )', diff, re.M):
            raise Fail(f'{short} changes a binary file, which no patch here can hold')
        text += ('\n' if adds else '') + drop_index(diff)
    return step.stem[:64].rstrip('-.') + '.patch', text, adds, set(touches)


def drop_index(diff):
    """Without blob ids, which change whenever an earlier step does."""
    out, header = [], False
    for line in diff.split('\n'):
        if line.startswith('diff --git '):
            header = True
        elif line.startswith('@@ '):
            header = False
        if not (header and line.startswith('index ')):
            out.append(line)
    return '\n'.join(out)


def export_files(where, head, owner):
    """{path: (mode, bytes)} of the files that the steps add."""
    if not owner:
        return {}
    listed = git('ls-tree', '-z', head, '--', *owner, cwd=where).split('\0')[:-1]
    entries = {path: info.split() for info, path in (line.split('\t') for line in listed)}
    data = git('cat-file', '--batch', cwd=where, text=False,
               stdin=''.join(f'{entries[path][2]}\n' for path in owner).encode())
    files = {}
    for path in owner:
        size = int(data.split(b'\n', 1)[0].split()[2])
        data = data.split(b'\n', 1)[1]
        files[path] = (0o755 if entries[path][0] == '100755' else 0o644, data[:size])
        data = data[size + 1:]
    return files


def check_current(base):
    """The tree was made from, or last exported as, the files that are there now:
    otherwise an export would undo what came in since."""
    if os.environ.get('FORCE') == '1':
        return
    exported = tree_ref('refs/ims/exported')
    try:
        tip = make_tip(base)
    except Fail as err:
        raise Fail(f'{err} (or `make export FORCE=1` to write all anew from '
                   'build/linux)') from None
    if tip != exported:
        raise Fail('patches/ or linux/ changed since build/linux was made from them: take that '
                   f'over with: cd build/linux && git fetch {base.repo} {tip} && git rebase '
                   f'--onto {tip[:12]} {exported[:12]} && git update-ref refs/ims/exported '
                   f'{tip[:12]} (or `make export FORCE=1` to undo it)')


def guard(new):
    """Refuse to write over, or remove, what nobody else has: a file may go if git
    has it, or if the last export wrote it. new is {path: bytes}."""
    if os.environ.get('FORCE') == '1':
        return
    ours = read_written()
    committed = set(git('ls-tree', '-r', 'HEAD', '--', 'linux', 'patches', cwd=ROOT,
                        check=False).stdout.splitlines())
    for path in [*PATCHES.glob('*.patch'), PATCHES / 'series', PATCHES / 'base',
                 *linux_files().values()]:
        if not path.exists():
            continue
        data, name = path.read_bytes(), str(rel(path))
        if new.get(name) == data or ours.get(name) == hashlib.sha256(data).hexdigest():
            continue
        blob = git('hash-object', '--stdin', stdin=data, text=False).decode().strip()
        if any(line.split()[2:] == [blob, name] for line in committed):
            continue
        raise Fail(f'export would {"overwrite" if name in new else "remove"} {name}, which '
                   'neither git nor an export made what it is: take it into the tree '
                   '(git add, git commit), or `make export FORCE=1`')


def read_written():
    """{path: sha256} of what the last export wrote."""
    try:
        return json.loads(WRITTEN.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}


def write_files(texts, blobs):
    """Make patches/6.1 and linux/ hold exactly this; the number of files written.
    A file that is somebody's work, and nowhere else, stays."""
    new = {f'patches/6.1/{name}': text.encode('utf-8', 'surrogateescape')
           for name, text in texts.items()}
    new.update({f'linux/{path}': data for path, (_, data) in blobs.items()})
    guard(new)
    written = 0
    PATCHES.mkdir(parents=True, exist_ok=True)
    write_atomic(WRITTEN, json.dumps({k: hashlib.sha256(v).hexdigest()
                                      for k, v in new.items()}))
    for path in PATCHES.glob('*.patch'):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        written += write_changed(PATCHES / name, 0o644,
                                 text.encode('utf-8', 'surrogateescape'))
    for path, file in linux_files().items():
        if path not in blobs:
            file.unlink()
            for parent in file.parents:
                if parent == LINUX or any(parent.iterdir()):
                    break
                parent.rmdir()
    for path, (mode, data) in blobs.items():
        written += write_changed(LINUX / path, mode, data)
    return written


def write_changed(path, mode, data):
    if path.is_file() and path.read_bytes() == data and path.stat().st_mode & 0o777 == mode:
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_name(f'.{path.name}.new')
    tmp.write_bytes(data)
    tmp.chmod(mode)
    tmp.rename(path)
    return 1


# --- fixup -----------------------------------------------------------------

def fixup():
    """Fold what is changed in build/linux, and fixup! commits that are there, into the
    steps that own the lines, as git absorb finds them."""
    if not have_tree():
        raise Fail('build/linux is not there: run `make tree`')
    if busy():
        raise Fail(f'build/linux is in the middle of something ({busy()}): finish that first')
    if not in_tree('symbolic-ref', '-q', 'HEAD', check=False).stdout:
        raise Fail(f'build/linux is on no branch: git checkout -B {BRANCH}')
    if in_tree('diff', 'HEAD', '--name-only'):
        in_tree('add', '-u')
        # Whoever wrote the steps
        in_tree('absorb', '--force', '--base', 'refs/ims/base')
    marked = in_tree('log', '--format=%s', '--grep=^\\(fixup\\|squash\\|amend\\)! ',
                     'refs/ims/base..HEAD').splitlines()
    if marked:
        done = in_tree('-c', 'sequence.editor=true', '-c', 'core.editor=true', 'rebase', '-q', '-i',
                       '--autosquash', '--autostash', 'refs/ims/base', check=False)
        if done.returncode:
            files = in_tree('diff', '--name-only', '--diff-filter=U').split()
            if not files:
                raise Fail(f'git rebase: {done.stderr.strip().splitlines()[-1]}')
            raise Fail(f'a fold conflicts in {", ".join(files)}: resolve that in build/linux, then '
                       'git add and git rebase --continue, or git rebase --abort')
    left = [line[3:] for line in dirty().splitlines()]
    if left:
        raise Fail(f'no step owns all that is changed in {", ".join(left)}: commit the rest with '
                   'git commit --fixup=STEP and `make fixup`, or as a step of its own')
    say('fixup: ' + ('; '.join(dict.fromkeys(marked)) or 'nothing is changed'))


# --- mail ------------------------------------------------------------------

def mail():
    """The whole series as mails, new files and all, in build/mail."""
    base, tip = exported_series()
    steps = commits(base.repo, base.commit, tip)
    if not steps:
        raise Fail('the series is empty: nothing to mail')
    args = ['format-patch', '-q', '-o', MAIL, '--numbered', '--no-renames', '--signature=']
    env = git_env()
    version = os.environ.get('V')
    if version:
        if not re.fullmatch(r'[1-9]\d*', version):
            raise Fail(f'V={version}: the version of the posting is a number, 1 or more')
        args += ['-v', version]
    signoff = os.environ.get('SIGNOFF')
    if signoff:
        match = re.fullmatch(r'\s*([^<>\n]+?)\s*<([^<>@\s]+@[^<>@\s]+)>\s*', signoff)
        if not match:
            raise Fail(f'SIGNOFF={signoff}: write it as "Name <address>"')
        env.update(GIT_COMMITTER_NAME=match.group(1), GIT_COMMITTER_EMAIL=match.group(2))
        args += ['-s']
    cover = PATCHES / 'cover'
    if cover.exists():
        args += ['--cover-letter']
    shutil.rmtree(MAIL, ignore_errors=True)
    MAIL.mkdir(parents=True)
    git(*args, f'{base.commit}..{tip}', repo=base.repo, env=env)
    if cover.exists():
        subject, _, body = cover.read_text(encoding='utf-8').partition('\n')
        path = next(MAIL.glob('*0000-cover-letter.patch'))
        text = path.read_text(encoding='utf-8')
        text = text.replace('*** SUBJECT HERE ***', subject.strip())
        text = text.replace('*** BLURB HERE ***', body.strip())
        path.write_text(text, encoding='utf-8')
    say(f'mail: {len(steps)} steps in {rel(MAIL)}')


def clean():
    work = unexported() or put_aside()
    if work and os.environ.get('FORCE') != '1':
        raise Fail(f'build/linux {work}: `make export` keeps that, `make clean FORCE=1` throws '
                   'it away')
    shutil.rmtree(BUILD, ignore_errors=True)
    if BUILD.exists():
        raise Fail(f'cannot remove {BUILD}: remove it by hand')


def snapshot():
    """What a build takes: (tree id, object directory, words that say what it is).

    The tree in build/linux as it stands, uncommitted changes included; without
    one, the series as it is exported."""
    base = basemod.get()
    if not have_tree():
        tip = make_tip(base)
        tree_id = git('rev-parse', f'{tip}^{{tree}}', repo=base.repo).strip()
        return base, tree_id, base.repo / 'objects', f'the exported series, {tip[:12]}'
    head = tree_ref('HEAD')
    words = f'build/linux, HEAD {head[:12]}'
    if dirty():
        # Two tests may want it at the same time.
        index = TREE / f'.git/index.snapshot.{os.getpid()}.{threading.get_ident()}'
        shutil.copy(TREE / '.git/index', index)
        env = git_env(GIT_INDEX_FILE=str(index))
        try:
            in_tree('add', '-A', '--sparse', env=env)
            tree_id = in_tree('write-tree', env=env).strip()
        finally:
            index.unlink(missing_ok=True)
        words += ' and uncommitted changes'
    else:
        tree_id = in_tree('rev-parse', 'HEAD^{tree}').strip()
        if head == tree_ref('refs/ims/exported'):
            words += ', the exported series'
        else:
            words += ', not exported'
    return base, tree_id, TREE / '.git/objects', words


def exported_series():
    """(base, tip) of the files, which build/linux has nothing beyond."""
    base = basemod.get()
    tip = make_tip(base)
    work = unexported()
    if work:
        raise Fail(f'build/linux {work}: `make export` first')
    return base, tip


def agree():
    """For `make check`: tree, patches and linux/ say the same."""
    base, tip = exported_series()
    if have_tree() and tree_ref('HEAD') != tip:
        start = tree_ref('refs/ims/base')
        if describe(start, 'HEAD', cwd=TREE) != describe(base.commit, tip, repo=base.repo):
            raise Fail('build/linux is not what patches/ and linux/ give: `make tree`')
    return base, tip
