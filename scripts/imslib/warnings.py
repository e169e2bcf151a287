# SPDX-License-Identifier: GPL-2.0
"""What gcc W=1, sparse and kernel-doc say about the series and not about the base.

Words
  chunk     what make prints for one target: a line like `  CC      kernel/irq/msi.o`,
            then what its commands print. GROUP makes make keep chunks apart
  said      {object or file: {warning: count}}, without those that said nothing
  suspects  the objects or files that said something: only they are tried on the base

Only the chunks of the objects asked for count, and these are removed and compiled
again for the series and for the base. On the way, make compiles what else the O=
directory lacks, and prints the warnings of that on the first build alone. Counted,
they would be new in an empty directory and gone in a used one.

All but compile_objects(), collect() and added() are pure functions of texts:
tests/unit/test_warnings.py.
"""
import re

from . import kernel
from .util import Fail, locked, run, step

# Print all of a target at once, so that its warnings follow its name.
GROUP = '-Otarget'
# A warning is compared with the base's, so that it must not end the build. kernel-doc
# runs once for each file in collect(), not once for each object.
FLAGS = (GROUP, 'W=1', 'KCFLAGS=-Wno-error', 'cmd_checkdoc=')

TARGET = re.compile(r'  [A-Z][A-Z0-9]*(?: \[M\])? +(\S+)$')
PLACE = r'(?:\S*/kernel-src/[\w.-]+/)?'
WARNING = re.compile(PLACE + r'([\w./+-]+):(?:\d+:)*\s*((?:warning|error): .*)')
# Whether a directory is below O= depends on what was built there before.
NO_DIRECTORY = re.compile(r'\S+ warning: [^/].*: No such file or directory '
                          r'\[-Wmissing-include-dirs\]')


# Drivers that only these directories of arch/ can have: {beginning of the path: directories}
DRIVERS = {'drivers/iommu/arm/': ('arm64',), 'drivers/irqchip/irq-gic': ('arm', 'arm64')}

# {O= directory: (configuration, directory of arch/)}. What the first can build, no other
# one builds again.
BUILDS = {'warnings': ('warnings', 'x86'), 'arm64-warnings': ('arm64-lean', 'arm64')}


# --- texts -----------------------------------------------------------------

def belongs(path, directory):
    """Whether a .c file can be part of a kernel for this directory of arch/."""
    top = path.split('/')
    if not path.endswith('.c') or top[0] in ('tools', 'scripts', 'samples', 'Documentation'):
        return False
    for start, directories in DRIVERS.items():
        if path.startswith(start):
            return directory in directories
    return top[0] != 'arch' or top[1] == directory


def object_of(path):
    """The object that a target or the source in a line of sparse stands for"""
    return re.sub(r'\.c$', '.o', re.sub(rf'^{PLACE}', '', path))


def warnings_of(text):
    """{warning without numbers, which a change elsewhere moves: count}"""
    found = {}
    for line in text.splitlines():
        match = WARNING.match(line)
        if match and not NO_DIRECTORY.match(line):
            key = f'{match[1]}: {re.sub(r"[0-9]+", "N", match[2])}'
            found[key] = found.get(key, 0) + 1
    return found


def chunks(text):
    """(target, what its commands print) of the output of make"""
    target, lines = '', []
    for line in text.splitlines():
        match = TARGET.match(line)
        if match or re.match(r'make(?:\[\d+\])?: ', line):
            yield target, '\n'.join(lines)
            target, lines = match[1] if match else '', []
        else:
            lines.append(line)
    yield target, '\n'.join(lines)


def said(text, objects):
    """What make printed about these objects. One that is compiled twice, see rounds(), has
    said it once."""
    found = {}
    for target, lines in chunks(text):
        obj = object_of(target)
        if obj in objects:
            for key, count in warnings_of(lines).items():
                counts = found.setdefault(obj, {})
                counts[key] = max(count, counts.get(key, 0))
    return found


def new_warnings(new, old):
    """The warnings of `new` that `old` does not have as often for the same object"""
    return sorted({key for obj, counts in new.items() for key, count in counts.items()
                   if count > old.get(obj, {}).get(key, 0)})


def rounds(objects):
    """[(options, objects)] for one make each. make descends to arch/x86/pci and the like
    from two directories at once, where two compilers would write one object."""
    below = [o for o in objects if o.startswith('arch/')]
    rest = [o for o in objects if o not in below]
    return [(options, some) for options, some in (((), rest), (('-j1',), below)) if some]


# --- the series and the base -----------------------------------------------

def compile_objects(where, snapshot, objects, log):
    """With sparse and W=1, in an O= directory. Wants the kernel-src lock."""
    config, _ = BUILDS[where]
    out = kernel.objdir(where)
    with kernel.using(out):
        kernel.configure(config, *snapshot, 'warnings', log, where)
        for path in objects:
            (out / path).unlink(missing_ok=True)
        for options, some in rounds(objects):
            step('patches: sparse, W=1', kernel.make_cmd(where, *options, 'C=2', *FLAGS, *some),
                 log=log, env=kernel.make_env())
    for path in objects:
        if not (out / path).exists():
            raise Fail(f'{path} was not built; see {log}')


def collect(snapshot, files, log):
    """(what was said about those of the files that a tree has, number of objects). Wants
    the kernel-src lock."""
    kernel.checkout(*snapshot)
    here = [f for f in files if f.endswith(('.c', '.h')) and (kernel.src() / f).exists()]
    objects = []
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    start = log.stat().st_size
    for where, (_, directory) in BUILDS.items():
        some = sorted({f[:-2] + '.o' for f in here if belongs(f, directory)} - {*objects})
        if some:
            compile_objects(where, snapshot, some, log)
            objects += some
    with open(log, 'rb') as file:
        file.seek(start)
        found = said(file.read().decode(errors='replace'), objects)
    with open(log, 'a', encoding='utf-8') as file:
        for path in here:
            done = run(['perl', 'scripts/kernel-doc', '-none', '-v', path], check=False,
                       cwd=kernel.src())
            file.write(done.stdout + done.stderr)
            counts = warnings_of(done.stdout + done.stderr)
            if counts:
                found[path] = counts
    return found, len(objects)


def added(base, tree, objects, files, log):
    """(the warnings that a tree adds to those of the base, number of objects)"""
    with locked('kernel-src'):
        new, count = collect((base, tree, objects), files, log)
        suspects = sorted({re.sub(r'\.o$', '.c', path) for path in new})
        old, _ = collect((base, base.tree, objects), suspects, log) if suspects else ({}, 0)
    return new_warnings(new, old), count
