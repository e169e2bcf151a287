# SPDX-License-Identifier: GPL-2.0
"""Rules for message stores that the build enforces, or that only a look at the
sources can.

Words
  rule    storage ops are in drivers/irqchip, constant, and out of reach of drivers:
          Documentation/core-api/msi-ims.rst of the series
  probe   a file that is compiled to see whether a rule is enforced. It is put into
          the O= directory, where the kernel's makefiles find it as if it were in the
          source tree

A driver outside of drivers/irqchip that includes the header must not compile. One
that declares the functions of the header itself must not link as a module, because
of the symbol namespace. What is built in is linked whatever it imports, so the
sources are searched for the names.
"""
import re
import shutil
import subprocess

from . import kernel
from .cross import changes, tree_files
from .util import run, step

IRQCHIP, PCI, CORE = 'drivers/irqchip/', 'drivers/pci/msi/', 'kernel/irq/'
HEADER = 'include/linux/irqchip/msi-storage.h'
MSI_H = 'include/linux/msi.h'

# What the series may say where: (regular expression, in words, where). It has to say
# it there, unless it may say it nowhere.
PLACES = (
    (r'\bMODULE_IMPORT_NS\(\s*MSI_STORAGE\s*\)', 'imports MSI_STORAGE', (IRQCHIP,)),
    (r'#\s*include\s*[<"](?:linux/irqchip/)?msi-storage\.h[>"]', 'includes msi-storage.h',
     (IRQCHIP, PCI)),
    (r'\bpci_create_ims_store\s*\(', 'has pci_create_ims_store()', (IRQCHIP, PCI, HEADER)),
    (r'\bmsi_create_store\s*\(', 'has msi_create_store()', (CORE, PCI, MSI_H)),
    (r'\bstruct\s+msi_storage_(?:ops|template)\b(?!\s*;)', 'has storage ops',
     (IRQCHIP, PCI, CORE, HEADER, MSI_H)),
    (r'#\s*define\s+MSI_STORAGE_PROVIDER\b|-D\s*MSI_STORAGE_PROVIDER\b',
     'may have storage ops', (IRQCHIP + 'Makefile', PCI + 'Makefile')),
)
SEARCHED = re.compile(r'\.[chS]$|(?:^|/)(?:Makefile|Kbuild)$')

# Storage ops that are wrong on purpose, in a place of their own, and those of the unit tests. Of
# platform devices there is one set for all default stores, and the test device's own.
MISUSE = ('drivers/misc/ims_testdev/Makefile', 'drivers/misc/ims_testdev/wrong_ops.c')
WRONG = (*MISUSE, 'kernel/irq/tests/', 'drivers/pci/msi/msi_test')
ELSEWHERE = (*MISUSE, 'drivers/base/platform-msi.c', 'drivers/misc/ims_testdev/ims_platform.c')

# It exports the functions of HEADER.
EXPORTER = 'drivers/pci/msi/api.o'

REFUSED = 'Message storage ops belong into drivers/irqchip'
NOT_IMPORTED = (r'module (\S+) uses symbol pci_create_ims_store from namespace MSI_STORAGE, '
                r'but does not import it')

INCLUDES = '''\
#include <linux/irqchip/msi-storage.h>
#include <linux/pci.h>

int ims_probe(struct pci_dev *pdev, const struct msi_storage_template *tmpl);

int ims_probe(struct pci_dev *pdev, const struct msi_storage_template *tmpl)
{
	return pci_create_ims_store(pdev, tmpl, 1, NULL);
}
'''

DECLARES = '''\
#include <linux/module.h>

struct pci_dev;
struct msi_storage_template;

int pci_create_ims_store(struct pci_dev *pdev, const struct msi_storage_template *tmpl,
			 unsigned int size, void *priv);

static int __init ims_probe_init(void)
{
	return pci_create_ims_store(NULL, NULL, 1, NULL);
}
module_init(ims_probe_init);

MODULE_LICENSE("GPL");
'''


# --- sources ---------------------------------------------------------------

def code(text):
    """C without comments, with the same lines"""
    return re.sub(r'/\*.*?\*/|//[^\n]*', lambda m: '\n' * m[0].count('\n'), text, flags=re.S)


def misplaced(texts):
    """What the files {path: text} say where they may not, and what none of them says,
    a line each"""
    wrong = []
    for pattern, words, where in PLACES:
        there = False
        for path, text in sorted(texts.items()):
            match = re.search(pattern, text)
            if match and path.startswith(where):
                there = True
            elif match and path not in ELSEWHERE:
                line = text.count('\n', 0, match.start()) + 1
                wrong.append(f'{path}:{line} {words}')
        if where and not there:
            wrong.append(f'nothing in {where[0]} {words}: mend PLACES in rules.py')
    return wrong


def sources(base, tree, objects):
    """{path: text} of what the series changes and SEARCHED knows, without comments"""
    paths = sorted(p for p in changes(base, tree, objects) if SEARCHED.search(p) and
                   not p.startswith(('tools/', 'Documentation/')))
    return {path: code(text) for path, text in
            zip(paths, tree_files(base, tree, objects, *paths))}


def definitions(text):
    """(names of the storage ops and templates that a source defines, what is wrong)"""
    names, wrong = [], []
    for match in re.finditer(r'^(.*?)\bstruct\s+msi_storage_(ops|template)\b\s*(.*)$', text, re.M):
        before, kind, after = match.groups()
        # A declaration, the type itself, a pointer, or the size of one
        if re.match(r';|\{$|\*|\)', after):
            continue
        name = re.match(r'(\w+)(?:\[\w*\])?\s*=', after)
        if not name:
            wrong.append(f'cannot tell what "{match[0].strip()}" is')
        elif not re.search(r'\bconst\s*$', before):
            wrong.append(f'{name[1]} is not const')
        else:
            names.append(name[1])
    return names, wrong


# --- objects ---------------------------------------------------------------

def section_of(table, name):
    """The section of a variable in what objdump -t prints, None if it is not there"""
    match = re.search(rf'^[0-9a-f]+ [a-zA-Z !]{{7}} (\S+)\t[0-9a-f]+ +(?:\.hidden )?{name}$', table,
                      re.M)
    return match[1] if match else None


def configure(base, tree, objects, log):
    """The O= directory of the warnings, with modules. Wants the kernel-src lock."""
    kernel.checkout(base, tree, objects)
    kernel.configure('rules', base, tree, objects, 'rules', log, where='warnings')
    return kernel.objdir('warnings')


def not_constant(base, tree, objects, log):
    """What of the storage ops and templates is not in read only memory, a line each;
    and how many there are. Wants the kernel-src lock."""
    texts = {path: text for path, text in sources(base, tree, objects).items()
             if path.endswith('.c') and path.startswith((IRQCHIP, PCI, CORE))}
    found = {path: definitions(text) for path, text in texts.items()
             if not path.startswith(WRONG)}
    wrong = [f'{path}: {line}' for path, (_, lines) in found.items() for line in lines]
    found = {path: names for path, (names, _) in found.items() if names}
    tops = sorted({path[:path.rindex('/') + 1] for path in found})
    with kernel.using(kernel.objdir('warnings')):
        where = configure(base, tree, objects, log)
        # Only what the configuration has is built again.
        for path in found:
            (where / path).with_suffix('.o').unlink(missing_ok=True)
        step('rules: storage ops', kernel.make_cmd('warnings', *tops), log=log,
             env=kernel.make_env())
    count = 0
    for path, names in found.items():
        obj = (where / path).with_suffix('.o')
        if not obj.exists():
            wrong.append(f'{path} is not built: mend configs/series.config')
            continue
        table = run(['objdump', '-t', obj])
        for name in names:
            section = section_of(table, name)
            count += 1
            if not section or not section.startswith('.rodata'):
                wrong.append(f'{path}: {name} is in {section or "no section"}, not in .rodata')
    return wrong, count


# --- probes ----------------------------------------------------------------

def make(log, *targets):
    """(whether it succeeded, what it said)"""
    cmd = [str(word) for word in kernel.make_cmd('warnings', '-k', *targets)]
    done = subprocess.run(cmd, check=False, text=True, errors='replace', env=kernel.make_env(),
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    with open(log, 'a', encoding='utf-8') as file:
        file.write(f'$ {" ".join(cmd)}\n{done.stdout}exit {done.returncode}\n')
    return not done.returncode, done.stdout


class Probes:
    """Files in the O= directory, that are gone afterwards"""

    def __init__(self, top, texts):
        self.top, self.texts = top, texts

    def __enter__(self):
        for path, text in self.texts.items():
            (self.top / path).parent.mkdir(parents=True, exist_ok=True)
            (self.top / path).write_text(text, encoding='utf-8')
        return [path[:-2] + '.o' for path in self.texts]

    def __exit__(self, *_):
        for path in self.texts:
            stem = path.rsplit('/', 1)[1][:-2]
            for left in (self.top / path).parent.glob(f'*{stem}*'):
                left.unlink()


def program(examples):
    """The examples of a page as a file that compiles without a warning"""
    return ('#pragma GCC diagnostic ignored "-Wunused-function"\n'
            '#pragma GCC diagnostic ignored "-Wunused-const-variable"\n' + examples)


def compiled(where, log, examples):
    """What is wrong with what compiles and what does not, a line each. Leaves an
    EXPORTER."""
    wrong = []
    # An older one would stand for one that does not build.
    (where / EXPORTER).unlink(missing_ok=True)
    with Probes(where, {'drivers/irqchip/ims-probe.c': INCLUDES,
                        'drivers/misc/ims-probe-page.c': program(examples)}) as objs:
        _, text = make(log, EXPORTER, *objs)
        for path in (EXPORTER, *objs):
            if not (where / path).exists():
                why = re.search(rf'{path[:-2]}\.c:\d+.*error: .*', text)
                wrong.append(f'{path} does not build: {why[0] if why else "see the log"}')
    outside = ('drivers/misc/ims-probe.c', 'drivers/pci/ims-probe.c',
               'drivers/irqchip-ims-probe.c')
    with Probes(where, {path: INCLUDES for path in outside}) as objs:
        _, text = make(log, *objs)
        wrong += [f'{path} builds, though it includes msi-storage.h'
                  for path in objs if (where / path).exists()]
        if text.count(f'error: #error "{REFUSED}"') != len(objs):
            wrong.append(f'not every probe is refused because "{REFUSED}"')
    return wrong


def exports(where, scratch):
    """A Module.symvers of what EXPORTER exports, and whether the namespace is in it. That
    of the whole kernel would take a whole kernel."""
    shutil.copy(where / EXPORTER, scratch / 'vmlinux.o')
    path = scratch / 'Module.symvers'
    run([where / 'scripts/mod/modpost', '-o', path, 'vmlinux.o'], cwd=scratch)
    return path, re.search(r'\tpci_create_ims_store\t.*\tMSI_STORAGE$',
                           path.read_text(encoding='ascii'), re.M)


def linked(where, log, scratch):
    """What is wrong with the modules that modpost takes and refuses, a line each"""
    symvers, there = exports(where, scratch)
    if not there:
        return ['pci_create_ims_store() is not exported in the namespace MSI_STORAGE']
    module = scratch / 'module'
    module.mkdir()
    (module / 'ims-imports.c').write_text(DECLARES + 'MODULE_IMPORT_NS(MSI_STORAGE);\n', 'ascii')
    (module / 'ims-does-not.c').write_text(DECLARES, 'ascii')
    (module / 'Kbuild').write_text('obj-m := ims-imports.o ims-does-not.o\n', 'ascii')
    # What the kernel exports beside is not known here.
    _, text = make(log, f'M={module}', f'KBUILD_EXTRA_SYMBOLS={symvers}',
                   'KBUILD_MODPOST_WARN=1', 'modules')
    wrong = [f'{name}.c does not compile' for name in ('ims-imports', 'ims-does-not')
             if not (module / f'{name}.o').exists()]
    refused = re.findall(f'ERROR: modpost: {NOT_IMPORTED}', text)
    if refused != ['ims-does-not']:
        wrong.append('modpost has to refuse the module that does not import the namespace, and '
                     f'no other, but refuses {", ".join(refused) or "none"}')
    return wrong
