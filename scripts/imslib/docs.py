# SPDX-License-Identifier: GPL-2.0
"""The pages about message stores: built by Sphinx, and compared with the code.

Words
  page       a file of PAGES, without .rst, below Documentation/
  complaint  a line that Sphinx or kernel-doc has to say about a page

The pages are built with the kernel's own conf.py and extensions, as a book that has
nothing else in it. That takes seconds, where all of Documentation/ takes long and
complains a lot. Among them is the one that has the other calls of PCI/MSI, so that
a function that two of them describe is noticed.

Sphinx takes a name that it does not know for plain text, and a table for what it
says. So what the page BOOK says about the code is compared with the code here.
"""
import io
import re
import shutil
import tarfile

from .cross import tree_files
from .util import Fail, clean_env, git, git_env, run

BOOK = 'core-api/msi-ims'
PAGES = (BOOK, 'core-api/msi-desc-users', 'PCI/msi-howto', 'driver-api/pci/pci')
TOOLS = ('Documentation/conf.py', 'Documentation/sphinx', 'Documentation/sphinx-static',
         'scripts/kernel-doc')

# kfigure looks for programs that only pages with pictures need, and complains if it
# does not find them. A page that had a picture would fail.
CONF = "extensions.remove('kfigure')\n"
# What conf.py says of itself.
NOISE = {'Using classic theme'}

DOMAIN = 'kernel/irq/msi_device_domain.c'
STORE = 'kernel/irq/msi_store.c'
CONTRACT = 'kernel/irq/msi_storage_debug.c'
HEADER = 'include/linux/msi.h'
TRACE = 'include/trace/events/msi.h'
PARENTS = ('arch/x86/kernel/apic/msi.c', 'drivers/irqchip/irq-gic-v3-its.c',
           'drivers/irqchip/irq-gic-v2m.c', 'drivers/pci/controller/vmd.c')
CALLS = ('drivers/pci/msi/api.c', 'drivers/irqchip/irq-ims-generic.c', 'kernel/irq/msi_notify.c')
# Where the words come from that the page uses.
SOURCES = ('arch/x86/kernel/apic', 'arch/x86/pci', 'drivers/base', 'drivers/iommu',
           'drivers/irqchip', 'drivers/pci', 'include', 'kernel/irq')
# What other interfaces have to which the page compares.
FOREIGN = {'ims_array_info', 'ims_queue_info', 'irq_set_auxdata', 'pci_create_ims_domain',
           'prepare_desc', 'queue_sync_unlock'}


# --- Sphinx ----------------------------------------------------------------

def pulled_in(name, text):
    """The files that a page is made of, beside itself"""
    found = set(re.findall(r'^\.\. kernel-doc:: (\S+)$', text, re.M))
    for path in re.findall(r'^\.\. literalinclude:: (\S+)$', text, re.M):
        up = f'Documentation/{name}'.split('/')[:-1]
        while path.startswith('../'):
            up.pop()
            path = path[3:]
        found.add('/'.join([*up, path]))
    return found


def take(base, tree, objects, paths, where):
    """Put files and directories of a git tree into a new directory."""
    env = git_env(GIT_ALTERNATE_OBJECT_DIRECTORIES=str(objects))
    data = git('archive', '--format=tar', tree, '--', *sorted(paths), repo=base.repo, env=env,
               text=False)
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(where)


def complaints(text, where):
    """The lines that are none of NOISE, with names that don't depend on the place"""
    return [line for line in text.replace(f'{where}/', '').splitlines()
            if line.strip() and line not in NOISE]


def sphinx(where, pages):
    """The complaints about pages {name: text}, which are built in where/html. What they
    pull in is there already."""
    top = where / 'Documentation'
    for name, text in pages.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / f'{name}.rst').write_text(text, encoding='utf-8')
    (top / 'index.rst').write_text('Pages\n=====\n\n.. toctree::\n\n' +
                                   ''.join(f'   {name}\n' for name in pages), encoding='utf-8')
    (where / 'conf').write_text(CONF, encoding='ascii')
    env = clean_env(PYTHONDONTWRITEBYTECODE='1', DOCS_THEME='classic',
                    SPHINX_CONF=str(where / 'conf'))
    done = run(['sphinx-build', '-q', '-b', 'html', '-d', where / 'doctrees', '-D', 'version=6.1',
                '-D', 'release=6.1', '-D', f'kerneldoc_srctree={where}',
                '-D', f'kerneldoc_bin={where / "scripts/kernel-doc"}', top, where / 'html'],
               check=False, env=env)
    found = complaints(done.stderr, where)
    if done.returncode and not found:
        raise Fail(f'sphinx-build: exit {done.returncode} and no message')
    return found


def build(base, tree, objects, where):
    """(complaints, {name of a function or a type that they describe}) of PAGES"""
    paths = [f'Documentation/{name}.rst' for name in PAGES]
    pages = dict(zip(PAGES, tree_files(base, tree, objects, *paths)))
    for name, text in pages.items():
        if text is None:
            raise Fail(f'there is no Documentation/{name}.rst')
    wanted = set(TOOLS).union(*(pulled_in(*page) for page in pages.items()))
    take(base, tree, objects, wanted, where)
    found = sphinx(where, pages)
    names = set()
    for path in (where / 'html').rglob('*.html'):
        names |= set(re.findall(r'id="c\.(\w+)"', path.read_text(encoding='utf-8')))
    return found, names


def build_broken(base, tree, objects, where, page):
    """(complaints, what is expected) of a page with one fault after the other, each
    after a comment `.. expect: REGEX`. What it pulls in is beside it."""
    text = page.read_text(encoding='utf-8')
    take(base, tree, objects, {*TOOLS, 'kernel/irq/msi.c'}, where)
    for path in page.parent.glob('*.h'):
        shutil.copy(path, where)
    return sphinx(where, {'broken': text}), re.findall(r'^\.\. expect: (.*)$', text, re.M)


# --- what a page says ------------------------------------------------------

def tables(text):
    """The simple tables of a page, as lists of rows, which are tuples of cells"""
    found = []
    lines = text.splitlines()
    rules = [i for i, line in enumerate(lines) if re.fullmatch(r'=+( +=+)+', line)]
    while len(rules) >= 3:
        start, head, end = rules[:3]
        columns = [m.start() for m in re.finditer(r'=+', lines[start])]
        rows = []
        for line in lines[start + 1:head] + lines[head + 1:end]:
            cells = [line[a:b].strip() for a, b in zip(columns, [*columns[1:], None])]
            if cells[0]:
                rows.append(cells)
            else:
                rows[-1] = [f'{old} {new}'.strip() for old, new in zip(rows[-1], cells)]
        found.append([tuple(row) for row in rows])
        rules = rules[3:]
    return found


def table(text, head):
    """The rows of the tables that have this first cell in their head, one after the
    other, without the head"""
    return [row for t in tables(text) if t[0][0] == head for row in t[1:]]


def composition(source):
    """The rows of the tables in the comment at the top of DOMAIN, as table() gives
    them"""
    lines = source.partition('*/')[0].expandtabs().splitlines()
    at = next((i for i, line in enumerate(lines) if 'irq_chip callback' in line), None)
    if at is None:
        raise Fail(f'{DOMAIN} has no table of the composition any more')
    columns = [lines[at].index(word) for word in ('irq_chip', 'store', 'parent')]
    rows = []
    for line in lines[at + 2:]:
        if line == ' * Invariants:':
            break
        # Other text begins further to the left.
        if line[:columns[0]].strip(' *') or not line[columns[0]:].strip():
            continue
        cells = [line[a:b].strip() for a, b in zip(columns, [*columns[1:], None])]
        if cells[0] and not (rows and rows[-1][0] == 'the same with'):
            rows.append(cells)
        else:
            rows[-1] = [f'{old} {new}'.strip() for old, new in zip(rows[-1], cells)]
    return [tuple(row) for row in rows]


def cell(text):
    return re.sub(r'\s+', ' ', text.replace('\\-', '-')).strip()


def differences(what, page, code):
    """A line for each that only one of the two has"""
    return [f'{what}: only the page has "{x}"' for x in page if x not in code] + \
           [f'{what}: only the code has "{x}"' for x in code if x not in page]


def strings(text, *functions):
    """What these functions can return, if they return strings"""
    found = []
    for name in functions:
        match = re.search(rf'^(?:static )?const char \*{name}\(.*?^}}\n', text, re.M | re.S)
        if not match:
            raise Fail(f'{STORE} has no {name}() any more')
        found += re.findall(r'"([^"]+)"', match[0])
    return found


def named(text):
    """What a page names that has to be there: (words of the code, paths)"""
    # Examples have names of their own, and what was printed is no name.
    plain = re.sub(r'(?:^\.\. code-block:: c|::)\n\n(?:(?: +.*)?\n)+', '\n', text, flags=re.M)
    words = set(re.findall(r'\b([A-Za-z_]\w*)\(\)', plain))
    words |= set(re.findall(r'\b(?:struct|union|enum)\s+(\w+)', plain))
    for literal in re.findall(r'``([^`]+)``', plain):
        words |= set(re.findall(r'(?<![\w-])([A-Za-z]+_\w+)', literal))
    paths = set(re.findall(r'\bDocumentation/[\w/.-]*\w', plain))
    paths |= set(re.findall(r'(?<![\w/<.])(?:drivers|kernel|include|arch)/[\w/.-]*\w', plain))
    paths |= {f'include/{p}' for p in re.findall(r'<(linux/[\w/.-]+\.h)>', plain)}
    return words, paths


def exported(text):
    """The functions that a source exports and describes"""
    return {name for name in re.findall(r'^EXPORT_SYMBOL\w*\((\w+)', text, re.M)
            if re.search(rf'^ \* {name} - ', text, re.M)}


def examples(text):
    """The program that the examples of a page make up"""
    blocks = re.findall(r'^\.\. code-block:: c\n\n((?:(?:   .*)?\n)+)', text, re.M)
    return '\n'.join(re.sub(r'^   ', '', block, flags=re.M) for block in blocks)


# --- the page and the code -------------------------------------------------

def missing_words(base, tree, objects, words):
    env = git_env(GIT_ALTERNATE_OBJECT_DIRECTORIES=str(objects))
    wanted = {word[len('CONFIG_'):] if word.startswith('CONFIG_') else word for word in words}
    out = git('grep', '-ohwE', '|'.join(sorted(wanted)), tree, '--', *SOURCES, repo=base.repo,
              env=env, check=False).stdout
    there = set(out.split())
    return sorted(word for word in words if word.removeprefix('CONFIG_') not in there)


def missing_paths(base, tree, objects, paths):
    env = git_env(GIT_ALTERNATE_OBJECT_DIRECTORIES=str(objects))
    return sorted(path for path in paths
                  if git('cat-file', '-e', f'{tree}:{path}', repo=base.repo, env=env,
                         check=False).returncode)


def compare(page, domain, contract, header, trace, parents):
    """What the page BOOK says otherwise than the code, a line each"""
    wrong = differences('composition', [tuple(map(cell, row)) for row in
                                        table(page, 'irq_chip callback')],
                        [tuple(map(cell, row)) for row in composition(domain)])
    wrong += differences('refusals', [row[0] for row in table(page, 'Invalid message store:')],
                         strings(domain, 'msi_template_error', 'msi_template_place_error'))
    reasons = page.split('with one of these reasons:')[-1].split('\n\n\n')[0]
    reasons = re.findall(r'^ \* (.*)', reasons, re.M)
    lacks = re.findall(r'^\t\.lacks\t+= "([^"]+)",$', parents, re.M)
    wrong += differences('reasons of a parent', reasons,
                         [*(f'this requires {what}' for what in lacks),
                          *strings(domain, 'msi_parent_error')])
    rules = table(page, 'Enforced by')
    wrong += differences('debug', [row[2].split(' [#')[0] for row in rules if row[0] == 'debug'],
                         re.findall(r'^\t\[MSI_CONTRACT_\w+\]\s*= "([^"]+)"', contract, re.M))
    wrong += differences('flags', [row[0].strip('`') for row in table(page, 'Flag')],
                         re.findall(r'^\t(MSI_STORAGE_\w+)\t+= \(1 << \d+\),$', header, re.M))
    wrong += differences('tracepoints', [row[0] for row in table(page, 'Event')],
                         re.findall(r'^(?:DEFINE_EVENT\(msi_irq, |TRACE_EVENT\()(\w+),', trace,
                                    re.M))
    return wrong


def check(base, tree, objects):
    """What is wrong with BOOK, a line each"""
    page, domain, store, contract, header, trace, index, *parents = tree_files(
        base, tree, objects, f'Documentation/{BOOK}.rst', DOMAIN, STORE, CONTRACT, HEADER, TRACE,
        'Documentation/core-api/index.rst', *PARENTS)
    if None in (page, domain, store, contract, header, trace, *parents):
        raise Fail(f'Documentation/{BOOK}.rst or what it describes does not exist')
    wrong = compare(page, domain + store, contract, header, trace, ''.join(parents))
    if not re.search(r'^   msi-ims$', index, re.M):
        wrong.append('core-api/index.rst does not list msi-ims')
    words, paths = named(page)
    wrong += [f'the page names {x}, which is nowhere' for x in
              missing_words(base, tree, objects, words - FOREIGN)]
    wrong += [f'the page names {x}, which does not exist' for x in
              missing_paths(base, tree, objects, paths)]
    return wrong


def undescribed(base, tree, objects, names):
    """Exported functions that are in no page"""
    calls = set().union(*(exported(text or '') for text in
                          tree_files(base, tree, objects, *CALLS)))
    if not calls:
        raise Fail(f'{", ".join(CALLS)} export nothing')
    return sorted(calls - names)
