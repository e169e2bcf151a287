# SPDX-License-Identifier: GPL-2.0
"""The series as files and as a git tree, and the way between the two.

As files: patches/6.1/PART/NAME.patch is what `git format-patch` makes of a step;
patches/6.1/series has their order in quilt's form, those of a part together. linux/
shows the files that the series adds as they are in the end. As a tree: build/linux,
one commit per step on the base's commit.

A step's commit is made of nothing but the patches, so the same patches give the
same commit ids everywhere. make_tip() makes them, refs/series/KEY in the base's
repository keeps them; export() writes the files and then makes the commits from
them to see that they hold what the tree holds.

In build/linux, the branch part/NAME is the last step of a part, and what is on top of
the last one belongs to that. `git rebase` takes them along (rebase.updateRefs).
refs/ims/base is the base and refs/ims/exported is the tip that the files stood for
when tree or export last ran. HEAD elsewhere, or a file that differs from HEAD, is
work that is not exported; nothing here throws that away without FORCE=1.
"""
import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from . import base as basemod
from . import kernel
from .util import (BUILD, ROOT, Fail, digest, git, git_env, locked, run, say, scratch,
                   write_atomic)

PATCHES = ROOT / 'patches/6.1'
LINUX = ROOT / 'linux'
TREE = BUILD / 'linux'
MAIL = BUILD / 'mail'
WRITTEN = BUILD / 'exported'
BRANCH = 'ims'
FORMAT = '3'

SERIES_HEAD = '''\
# SPDX-License-Identifier: GPL-2.0
#
# The patches in their order. Written by `make export`, which keeps comments.
'''


class Patch:
    """One file of patches/6.1. name is PART/FILE; touches is what it changes, adds or
    removes."""

    def __init__(self, path):
        self.path = path
        self.part = path.parent.name
        self.name = f'{self.part}/{path.name}'
        text = path.read_text(encoding='utf-8', errors='surrogateescape')
        lines = text.split('\n')
        if '---' not in lines:
            raise Fail(f'{rel(path)} has no `---` line: `make export` writes it anew')
        head = lines.index('---')
        match = re.search(r'^Subject: (.*(?:\n[ \t].*)*)', '\n'.join(lines[:head]), re.M)
        self.subject = re.sub(r'\n[ \t]', ' ', match.group(1)) if match else self.name
        self.touches = [diff_path(line, path) for line in lines[head + 1:]
                        if line.startswith('diff --git ')]


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


def read_series(top=PATCHES):
    """(the head's comment lines, [(comment lines before it, name)], lines at the end)"""
    path = top / 'series'
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


def patch_files(top=PATCHES):
    return sorted(top.glob('*/*.patch'))


def load(top=PATCHES):
    where = rel(top / 'series')
    names = [name for _, name in read_series(top)[1]]
    for name, count in Counter(names).items():
        if count > 1:
            raise Fail(f'{where} names {name} {count} times')
    for name in names:
        if not (top / name).is_file():
            raise Fail(f'{where} names {name}, which is missing: restore it '
                       'from git')
    for path in patch_files(top):
        if str(path.relative_to(top)) not in names:
            raise Fail(f'{rel(path)} is not named by {where}: restore the '
                       'series from git, or remove the patch')
    patches = [Patch(top / name) for name in names]
    for part, count in Counter(part for part, _ in groupby(p.part for p in patches)).items():
        if count > 1:
            raise Fail(f'{where} has patches of {part} in {count} places')
    return patches


def linux_files():
    return {str(p.relative_to(LINUX)): p
            for p in sorted(LINUX.rglob('*')) if not p.is_dir()}


def added(start, tip, **at):
    """{path: (mode, blob)} of the files that a tree has and its base has not"""
    out = git('diff-tree', '-r', '--no-renames', '--diff-filter=A', start, tip, **at)
    return {line.split('\t')[1]: tuple(line.split()[1:4:2]) for line in out.splitlines()}


def verify(base, patches, tip):
    """That patches, linux/ and the record fit together."""
    recorded = set(basemod.read_record()[2])
    touched = {path for patch in patches for path in patch.touches} & base.files()
    for path in sorted(recorded ^ touched):
        what = 'has a line for' if path in recorded else 'has no line for'
        raise Fail(f'patches/6.1/base {what} {path}: run `make export`')
    files, want = linux_files(), added(base.commit, tip, repo=base.repo)
    blobs = git('hash-object', '--no-filters', '--stdin-paths', repo=base.repo,
                stdin=''.join(f'{path}\n' for path in files.values())).split()
    have = {name: ('100755' if os.access(path, os.X_OK) else '100644', blob)
            for (name, path), blob in zip(files.items(), blobs)}
    for path in sorted(have.keys() | want.keys()):
        if path not in want:
            raise Fail(f'linux/{path} is named by no patch: add it to a step in build/linux and '
                       '`make export`, or remove it')
        if have.get(path) != want[path]:
            raise Fail(f'linux/{path} is not what the patches make: restore both from git, or '
                       'write them anew with `make export FORCE=1`')


def make_tip(base):
    """The commit of the last step, made from the files; refs/series/KEY."""
    patches = load()
    basemod.report_moved(base)
    tip = commit_all(base, patches)
    verify(base, patches, tip)
    return tip


def commit_all(base, patches):
    key = digest(FORMAT, base.commit, *(patch.path for patch in patches))
    ref = f'refs/series/{key}'
    known = git('rev-parse', '-q', '--verify', ref, repo=base.repo, check=False).stdout
    if not known:
        with locked(f'series-{key}'), scratch(f'series-{key}') as tmp:
            apply_all(base, patches, tmp, ref)
        known = git('rev-parse', ref, repo=base.repo)
    return known.strip()


def apply_all(base, patches, tmp, ref):
    """Commit the steps to ref. The index holds only what they change, so that a step
    costs what it changes; git fast-import puts that into the trees of the base."""
    at = {'repo': base.repo, 'env': git_env(GIT_INDEX_FILE=str(tmp / 'index'))}
    touched = sorted({path for patch in patches for path in patch.touches})
    if touched:
        git('update-index', '--index-info', stdin=git('ls-tree', base.commit, '--', *touched,
                                                      repo=base.repo), **at)
    stream, parent = [], base.commit
    for mark, patch in enumerate(patches, 1):
        entries = []
        if patch.touches:
            done = git('apply', '--cached', '--whitespace=nowarn', patch.path, check=False, **at)
            if done.returncode:
                raise Fail(conflict(base, patch, done.stderr))
            left = {line.split('\t')[1]: line.split() for line in
                    git('ls-files', '-s', '--', *patch.touches, **at).splitlines()}
            entries = [f'M {left[path][0]} {left[path][1]} {path}' if path in left
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
        if tip and in_tree('rev-list', '-n1', tip, '--not', 'HEAD', exported) and (
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
        git('-C', tmp, 'config', 'rebase.updateRefs', 'true')
        git('-C', tmp, 'symbolic-ref', 'HEAD', f'refs/heads/{BRANCH}')
        git('-C', tmp, 'sparse-checkout', 'set', '--cone')
        tmp.rename(TREE)
    work = aside(BRANCH)
    if work and not force:
        raise Fail(f'build/linux {work}, and another HEAD: `git checkout {BRANCH}` there and '
                   '`make export` keep it, `make tree FORCE=1` throws it away')
    in_tree('fetch', '-q', base.repo, tip)
    patches = load()
    show_directories(patches)
    in_tree('-c', 'checkout.workers=0', 'checkout', '-q', '-f', '-B', BRANCH, tip)
    if force:
        in_tree('clean', '-fdq')
    in_tree('update-ref', 'refs/ims/base', base.commit)
    in_tree('update-ref', 'refs/ims/exported', tip)
    mark_parts(patches, base.commit, tip)
    count = len(patches)
    say(f'tree: build/linux is Linux {base.kernel} + {count} steps, {tip[:12]}')


def mark_parts(patches, start, tip):
    """Have a branch for each part, and no others"""
    last = {patch.part: commit for patch, commit in
            zip(patches, commits(None, start, tip, cwd=TREE), strict=True)}
    for name in part_branches(cwd=TREE).keys() - last.keys():
        in_tree('branch', '-q', '-D', f'part/{name}')
    for name, commit in last.items():
        in_tree('update-ref', f'refs/heads/part/{name}', commit)


def part_branches(**at):
    """{part: its last commit}"""
    out = git('for-each-ref', '--format=%(refname:lstrip=3) %(objectname)', 'refs/heads/part/',
              **at)
    return dict(line.split() for line in out.splitlines())


def parts_of(start, head, where):
    """[part of each step], as the branches part/NAME say. The last part ends with HEAD,
    wherever its branch is."""
    steps = commits(None, start, head, cwd=where)
    at = {commit: name for name, commit in part_branches(cwd=where).items()}
    named = [name.partition('/')[0] for _, name in read_series()[1][-1:]]
    at = {head if name in named and commit not in steps else commit: name
          for commit, name in at.items()}
    astray = sorted(name for commit, name in at.items() if commit not in steps)
    if astray:
        raise Fail(f'the branch part/{astray[0]} of {rel(where)} is none of its steps: '
                   f'git branch -f part/{astray[0]} COMMIT, the last one of that part')
    if steps and not at:
        raise Fail(f'{rel(where)} has no parts: git branch part/NAME COMMIT, the last one of each')
    parts = []
    for commit in reversed(steps):
        parts.append(at.get(commit) or (parts[-1] if parts else at[max(at, key=steps.index)]))
    return parts[::-1]


def show_directories(patches):
    """Have the work tree hold the directories that the series has files in, and not
    all of the kernel, if nobody has asked for that (git sparse-checkout disable)."""
    if in_tree('config', '--bool', 'core.sparseCheckout', check=False).stdout.strip() != 'true':
        return
    wanted = {path.rpartition('/')[0] for patch in patches for path in patch.touches} - {''}
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

    out, touched = {}, set()
    parts = parts_of(start, head, where)
    for step, part in zip(read_steps(where, start, head), parts, strict=True):
        name = stem = f'{part}/{step.stem[:64].rstrip("-.")}'
        number = 2
        while f'{name}.patch' in out:
            name = f'{stem}-{number}'
            number += 1
        out[f'{name}.patch'] = export_step(where, step)
        touched |= {path for path, _ in step.files}
    touched &= base.files()
    blobs = export_files(where, start, head)

    series, steps, end = read_series()
    comments = {name: lines for lines, name in steps}
    names = list(out)
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
        mark_parts(load(), start, tip)
    say(f'export: {len(names)} steps, {len(blobs)} files in linux/, {len(touched)} files of '
        f'the base changed; {changed} files written')


@dataclass(frozen=True)
class Step:
    """A commit: files are [(path, mode)], mail is what git format-patch makes"""
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
        files = [(path, info.split()[1]) for info, path in
                 zip(items[::2], items[1::2])]
        steps.append(Step(commit, subject, stem, files, mail_text))
    return steps


def export_step(where, step):
    """The text of its patch"""
    short = f'{step.commit[:12]} ("{step.subject}")'
    if re.match(r'(fixup|squash|amend)! ', step.subject):
        raise Fail(f'{short} is not folded in: `make fixup` does that')
    for path, mode in step.files:
        if mode not in ('100644', '100755', '000000'):
            raise Fail(f'{short} has {path} as mode {mode}: only plain files can be in a patch')
        if '\n' in path or path != path.strip():
            raise Fail(f'{short} has a file with an impossible name: {path!r}')
    head = step.mail.split('\ndiff --git ', 1)[0]
    body, mark, _ = head.rpartition('\n---\n')
    if not mark:
        # Nothing below the message: an empty commit.
        body = head.rstrip('\n')
    if '---' in body.split('\n'):
        raise Fail(f'{short} has a line `---` in its message, where git am would stop '
                   'reading: take it out')
    text = body.rstrip('\n') + '\n\n---\n'
    if step.files:
        diff = git('diff-tree', '--no-commit-id', '--no-renames', '--no-color', '--no-ext-diff',
                   '--no-textconv', '--diff-algorithm=myers', '--src-prefix=a/', '--dst-prefix=b/',
                   '--stat=78', '-p', '-U3', step.commit, cwd=where)
        if re.search(r'^(GIT binary patch|Binary files )', diff, re.M):
            raise Fail(f'{short} changes a binary file, which no patch here can hold')
        text += drop_index(diff)
    return text


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


def export_files(where, start, head):
    """{path: (mode, bytes)} of the files that the series adds"""
    entries = added(start, head, cwd=where)
    data = git('cat-file', '--batch', cwd=where, text=False,
               stdin=''.join(f'{blob}\n' for _, blob in entries.values()).encode())
    files = {}
    for path, (mode, _) in entries.items():
        line, data = data.split(b'\n', 1)
        size = int(line.split()[2])
        files[path] = (0o755 if mode == '100755' else 0o644, data[:size])
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
    for path in [*patch_files(), PATCHES / 'series', PATCHES / 'base',
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
    for path in patch_files():
        if str(path.relative_to(PATCHES)) not in texts:
            remove(path, PATCHES)
    for name, text in texts.items():
        written += write_changed(PATCHES / name, 0o644,
                                 text.encode('utf-8', 'surrogateescape'))
    for path, file in linux_files().items():
        if path not in blobs:
            remove(file, LINUX)
    for path, (mode, data) in blobs.items():
        written += write_changed(LINUX / path, mode, data)
    return written


def remove(path, top):
    """A file, and the directories below top that are empty without it"""
    path.unlink()
    for parent in path.parents:
        if parent == top or any(parent.iterdir()):
            break
        parent.rmdir()


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
    """One part as mails in build/mail, with its cover, to whom get_maintainer.pl names."""
    base, tip = exported_series()
    patches = load()
    parts = list(dict.fromkeys(patch.part for patch in patches))
    part, since = os.environ.get('PART', ''), os.environ.get('SINCE')
    if part not in parts:
        raise Fail(f'PART={part} is none: name one of {", ".join(parts)}')
    signoff = re.fullmatch(r'\s*([^<>\n]+?)\s*<([^<>@\s]+@[^<>@\s]+)>\s*',
                           os.environ.get('SIGNOFF', ''))
    if not signoff:
        raise Fail(f'SIGNOFF={os.environ.get("SIGNOFF", "")}: a part is mailed and signed off by '
                   'somebody: "Name <address>"')
    version = os.environ.get('V') or '1'
    if not re.fullmatch(r'[1-9]\d*', version):
        raise Fail(f'V={version}: the version of the posting is a number, 1 or more')
    subject, body = read_cover(part)
    env = git_env() | {f'GIT_{role}_{what}': value for role in ('AUTHOR', 'COMMITTER')
                       for what, value in zip(('NAME', 'EMAIL'), signoff.groups())}
    args = ['--numbered', '--no-renames', '--signature=', '--signoff', '--cover-letter',
            f'--base={base.commit}']
    if version != '1':
        args += ['-v', version]
    if since:
        args += [f'--range-diff={part_at(base, since, part, env)}']
    posted = part_of(base, patches, tip, part, env)
    shutil.rmtree(MAIL, ignore_errors=True)
    MAIL.mkdir(parents=True)

    def write(*more):
        git('format-patch', '-q', '-o', MAIL, *args, *more, posted, repo=base.repo, env=env)
        return sorted(MAIL.glob('*.patch'))
    write(*recipients(base, tip, write()[1:]))
    for path in sorted(MAIL.glob('*.patch')):
        text = path.read_text(encoding='utf-8')
        text = text.replace('*** SUBJECT HERE ***', subject)
        text = text.replace('*** BLURB HERE ***', body)
        path.write_text(text, encoding='utf-8')
    say(f'mail: {part}: {len(list(MAIL.glob("*.patch"))) - 1} patches in {rel(MAIL)}')


def read_cover(part):
    """(subject, text) of a part; {MACHINE FIGURE} is what make bench-record measured."""
    path = PATCHES / part / 'cover'
    if not path.exists():
        raise Fail(f'{rel(path)} is missing: a subject, an empty line, and what the part is about')
    figures = tomllib.loads((ROOT / 'bench/recorded.toml').read_text(encoding='utf-8'))

    def figure(hit):
        value = figures.get(hit[1], {}).get(hit[2])
        if value is None:
            raise Fail(f'{rel(path)}: {hit[0]} is no figure of bench/recorded.toml')
        return f'{value:,.0f}'
    text = re.sub(r'\{([\w-]+) ([\w.-]+)\}', figure, path.read_text(encoding='utf-8'))
    subject, _, body = text.partition('\n')
    return subject.strip(), body.strip()


def part_of(base, patches, tip, part, env):
    """A part as a range of commits by whom env names, as the author of a step is nobody."""
    steps = commits(base.repo, base.commit, tip)
    numbers = [number for number, patch in enumerate(patches) if patch.part == part]
    if not numbers:
        raise Fail(f'there was no part {part}')
    start = end = steps[numbers[0] - 1] if numbers[0] else base.commit
    for number in numbers:
        date, message = git('log', '-1', '--format=%aI%n%B', steps[number],
                            repo=base.repo).split('\n', 1)
        end = git('commit-tree', '-p', end, f'{steps[number]}^{{tree}}', repo=base.repo,
                  stdin=message, env=env | {'GIT_AUTHOR_DATE': date}).strip()
    return f'{start}..{end}'


def part_at(base, tag, part, env):
    """part_of() the series as a tag of this repository has it"""
    with tempfile.TemporaryDirectory() as tmp:
        data = git('archive', tag, 'patches/6.1', cwd=ROOT, text=False)
        run(['tar', '-x', '-C', tmp], stdin=data, text=False)
        patches = load(Path(tmp) / 'patches/6.1')
        return part_of(base, patches, commit_all(base, patches), part, env)


def recipients(base, tip, mails):
    """Options for git format-patch: maintainers and reviewers, and the lists"""
    with locked('kernel-src'):
        kernel.checkout(base, f'{tip}^{{tree}}', base.repo / 'objects')

        def ask(*less):
            return run(['perl', 'scripts/get_maintainer.pl', '--no-git', '--no-git-fallback',
                        '--no-rolestats', *less, *mails], cwd=kernel.src()).splitlines()
        to, lists = ask('--no-l'), ask('--no-m', '--no-r')
    return [*(f'--to={who}' for who in to), *(f'--cc={who}' for who in lists)]


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
