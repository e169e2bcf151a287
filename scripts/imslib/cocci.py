# SPDX-License-Identifier: GPL-2.0
"""The semantic patch about MSI descriptors: what it finds in good and bad code, and in
the whole tree.

Words
  hit    a line that the semantic patch reports
  word   which of its rules it is about: a key of WORDS
  mark   a comment /* BAD: WORD, ... */ in a file of tests/cocci, at the end of a line
         with a hit of each word
  row    of the table in PAGE: a file, functions, a word, and why they may stay

The marks are exactly the hits of that file, in each mode. Where it is below tests/cocci
is where it would be in the kernel, which matters for the core and parents. The rows are
exactly the hits of the tree, by function, so that a change elsewhere in a file moves
none.

A file is looked at if one of NAMES is in it: no rule matches without one. Each is looked
at alone, as coccicheck does it.
"""
import os
import re
import shutil

from . import kernel
from .cross import tree_files
from .util import ROOT, Fail, clean_env, jobs, locked, run

COCCI = 'scripts/coccinelle/api/msi_desc.cocci'
PAGE = 'Documentation/core-api/msi-desc-users.rst'
TESTS = ROOT / 'tests/cocci'

WORDS = {
    'inside': 'uses the inside of a MSI descriptor',
    'copy': 'copies a MSI message, msi_register_msg_notifier() keeps it current',
    'read': 'reads a MSI message from the device',
    'kept': 'keeps a MSI descriptor beyond the lock',
    'returned': 'returns a MSI descriptor beyond the lock',
    'used': 'uses a MSI descriptor beyond the lock',
    'loop': 'loops over MSI descriptors, msi_on_each_desc() does that',
    'search': 'looks for a MSI descriptor, msi_on_each_desc() does that',
}
NAMES = ('msi_desc', 'msi_msg', 'msi_for_each_desc', 'msi_first_desc', 'msi_next_desc',
         'PCI_MSI_ADDR', 'PCI_MSI_DATA', 'PCI_MSIX_ENTRY_')
# Neither what drivers are made of, nor the core itself
LEFT_OUT = re.compile(r'(?:Documentation|include|scripts|tools|usr|drivers/pci/msi|kernel/irq)/')


# --- spatch ----------------------------------------------------------------

def spatch(mode, cocci, *args, cwd):
    """What it prints"""
    flags = [] if mode in ('context', 'patch') else ['--no-show-diff']
    # In a tree of its own, paths are those of the kernel's.
    done = run(['spatch', '-D', mode, '--very-quiet', *flags, '--no-includes',
                '--include-headers', '--cocci-file', cocci, *args], check=False, cwd=cwd,
               env=clean_env(HOME='/nonexistent'))
    if done.returncode or re.search(r'error|exception|Traceback', done.stderr, re.I):
        raise Fail(f'spatch -D {mode} {args[-1]}: {done.stderr.strip()[-300:]}')
    return done.stdout


def word_of(message):
    for word, text in WORDS.items():
        if message == text:
            return word
    raise Fail(f'{COCCI} says "{message}", which is none of WORDS in cocci.py')


def reported(text):
    """{(file, line, word)} of a report"""
    return {(os.path.normpath(m[1]), int(m[2]), word_of(m[3])) for m in
            re.finditer(r'^(\S+?):(\d+):\d+-\d+: WARNING: (.*)$', text, re.M)}


def listed(text):
    """The same of what is printed in org mode"""
    return {(os.path.normpath(m[1]), int(m[2]), word_of(m[3])) for m in
            re.finditer(r'^\* TODO \[\[view:(\S+?)::\S*linb=(\d+)::\S*\]\[WARNING: (.*)\]\]$',
                        text, re.M)}


def removed(diff):
    """The numbers of the lines that a unified diff of one file takes away. In context
    mode, these are the hits."""
    lines, at = set(), 0
    for line in diff.splitlines():
        hunk = re.match(r'@@ -(\d+)', line)
        if hunk:
            at = int(hunk[1])
        elif at and line.startswith('-'):
            lines.add(at)
            at += 1
        elif at and not line.startswith('+'):
            at += 1
    return lines


# --- good and bad code -----------------------------------------------------

def marks(name, text):
    """{(file, line, word)} that a file of tests/cocci promises"""
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        match = re.search(r'/\* BAD: (.*?) \*/$', line)
        for word in re.split(r', ', match[1]) if match else ():
            if word not in WORDS:
                raise Fail(f'{name}:{number}: there is no "{word}"')
            found.add((name, number, word))
    return found


def differences(got, wanted, what):
    """What is in one of two sets of hits only, a line each"""
    return ([f'{":".join(map(str, hit))}: {what} and is not expected'
             for hit in sorted(got - wanted)] +
            [f'{":".join(map(str, hit))}: is expected, but not {what}'
             for hit in sorted(wanted - got)])


def check_file(cocci, path, where):
    """What is wrong with the hits of a file of tests/cocci, a line each, and how many
    there are"""
    name = str(path.relative_to(TESTS))
    wanted = marks(name, path.read_text(encoding='utf-8'))
    wrong = differences(reported(spatch('report', cocci, name, cwd=TESTS)), wanted, 'reported')
    wrong += differences(listed(spatch('org', cocci, name, cwd=TESTS)), wanted, 'in org mode')
    lines = {(name, line) for line in removed(spatch('context', cocci, name, cwd=TESTS))}
    wrong += differences(lines, {hit[:2] for hit in wanted}, 'in context mode')

    out = where / name
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, out)
    spatch('patch', cocci, '--in-place', name, cwd=where)
    expected = path.with_suffix('.expected')
    if not expected.exists():
        expected = path
    if out.read_text(encoding='utf-8') != expected.read_text(encoding='utf-8'):
        wrong.append(f'{name}: patch mode does not make {expected.name} of it, but {out}')
    return wrong, len(wanted)


def check_tests(base, tree, objects, where):
    """What is wrong with the hits in tests/cocci, a line each, and how many hits there are"""
    cocci = take_cocci(base, tree, objects, where)
    wrong, count, words = [], 0, set()
    for path in sorted(TESTS.rglob('*.c')):
        found, hits = check_file(cocci, path, where)
        wrong += found
        count += hits
        words |= {word for _, _, word in marks(path.name, path.read_text(encoding='utf-8'))}
    wrong += [f'no file of tests/cocci has a line that is BAD: {word}'
              for word in WORDS if word not in words]
    return wrong, count


# --- the tree --------------------------------------------------------------

def take_cocci(base, tree, objects, where):
    text = next(tree_files(base, tree, objects, COCCI))
    if text is None:
        raise Fail(f'there is no {COCCI}')
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    path = where / 'msi_desc.cocci'
    path.write_text(text, encoding='utf-8')
    return path.resolve()


def take_sources(base, tree, objects, where):
    """Copy what can have a hit. Wants the kernel-src lock."""
    kernel.checkout(base, tree, objects)
    tops = sorted(path.name for path in kernel.src().iterdir()
                  if path.is_dir() and not path.is_symlink() and
                  not path.name.startswith('.') and not LEFT_OUT.match(f'{path.name}/'))
    found = run(['grep', '-rlF', '--include=*.c', '--include=*.h',
                 *(word for name in NAMES for word in ('-e', name)), *tops],
                cwd=kernel.src(), env=clean_env()).splitlines()
    for path in found:
        if not LEFT_OUT.match(path):
            (where / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(kernel.src() / path, where / path)


def function_at(text, line):
    """The name of the C function around a line, '' outside of any"""
    for before in reversed(text.splitlines()[:line]):
        match = re.match(r'(?!\s|#|/|\*)[^;={]*?\b(\w+)\([^;]*$', before)
        if match:
            return match[1]
        if before.startswith('}'):
            break
    return ''


def rows(page):
    """{(file, function, word)} of the list table in a page"""
    found = set()
    for row in re.findall(r'^   \* - (.*\n(?:     .*\n)*)', page, re.M):
        cells = [' '.join(cell.split()) for cell in re.split(r'^     - ', row, flags=re.M)]
        if cells[0] == 'File':
            continue
        if len(cells) != 4 or cells[2] not in WORDS or not cells[3]:
            raise Fail(f'{PAGE}: the row of {cells[0]} is no file, functions, word, reason')
        for name in re.split(r', ', cells[1]):
            key = (cells[0], name.removesuffix('()'), cells[2])
            if key in found:
                raise Fail(f'{PAGE} has {" ".join(key)} twice')
            found.add(key)
    return found


def unexplained(hits, page, texts):
    """What is wrong between the hits {(file, line, word)} and the rows of a page, a line
    each"""
    wanted, wrong = rows(page), []
    got = {}
    for path, line, word in sorted(hits):
        got[(path, function_at(texts(path), line), word)] = line
    for key in sorted(got.keys() - wanted):
        wrong.append(f'{key[0]}:{got[key]}: {key[1]}() {WORDS[key[2]]}: mend it, or say in '
                     f'{PAGE} why it may stay')
    for path, name, word in sorted(wanted - got.keys()):
        wrong.append(f'{PAGE}: {path}, {name}(), {word}: there is no such hit')
    return wrong


def check_tree(base, tree, objects, where, log):
    """What is wrong between the hits of the tree and the page, a line each, and the number
    of hits"""
    cocci = take_cocci(base, tree, objects, where)
    page = next(tree_files(base, tree, objects, PAGE))
    if page is None:
        raise Fail(f'there is no {PAGE}')
    top = where / 'tree'
    with locked('kernel-src'):
        take_sources(base, tree, objects, top)
    text = spatch('report', cocci, '--jobs', str(jobs()), '--dir', '.', cwd=top)
    hits = reported(text)
    with open(log, 'a', encoding='utf-8') as file:
        file.writelines(f'{path}:{line}: {word}\n' for path, line, word in sorted(hits))
    return unexplained(hits, page, lambda path: (top / path).read_text(encoding='utf-8')), len(hits)
