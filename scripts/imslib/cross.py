# SPDX-License-Identifier: GPL-2.0
"""Objects of the changed files, compiled for the architectures that matter.

Words
  architecture  a row of ARCHES
  variant       an architecture with one configuration: allnoconfig plus
                configs/cross/ARCH.config plus ARCH.VARIANT.config. Every line must
                be in the final .config. One variant at least has PCI_MSI, one not
  users         files that the series does not change, but whose headers or callees
                it does: the table USERS, with the reason for each

A variant's objects are those of the changed files and the users whose symbols in
the Makefiles are on. A changed file that the architecture could have, as
allyesconfig shows, has to be among them.

Three things can be wrong with a variant: an object does not build, gcc W=1 says
something that it does not say for the base, or an object needs a function of a
changed file that the variant leaves out: what the linker of a whole kernel would
say, and what a missing stub comes down to. Those of the series' objects that were
not silent are built for the base as well, so that the base's own faults are told
apart. Only what is said about objects counts: warnings.py says why. kernel-doc is
left to that, as it says the same for every variant.

All variants are built by one make with a common job server, in one O= directory
per architecture. What was found is kept in the cache, as cross/ARCH.VARIANT-KEY and
cross-base/ARCH.VARIANT-KEY.
"""
import contextlib
import json
import re
import shlex
import shutil

from . import kernel, warnings
from .util import (ROOT, Fail, cache, digest, digest_code, digest_functions, entry, git,
                   git_env, have_entry, jobs, locked, run, say, step)
from .warnings import belongs

CONFIGS = ROOT / 'configs/cross'
STUBS = ROOT / 'tests/kernel'

# Not covered: arm and loongarch, which have MSI domains as well, and what else there is.
# i386 and um are built by the native compiler.
# name: (ARCH= of the kernel, directory in arch/, prefix of the compiler)
ARCHES = {
    'x86_64': ('x86_64', 'x86', ''),
    'arm64': ('arm64', 'arm64', 'aarch64-linux-gnu-'),
    'powerpc64le': ('powerpc', 'powerpc', 'powerpc64le-linux-gnu-'),
    'i386': ('i386', 'x86', ''),
    'riscv64': ('riscv', 'riscv', 'riscv64-linux-gnu-'),
    's390x': ('s390', 's390', 's390x-linux-gnu-'),
    'um': ('um', 'um', ''),
}

# Files outside of the series that have to go on building, and why. A file is built
# where its symbols are on; configs/cross says where that has to be.
USERS = {
    'every architecture': {
        'kernel/irq/chip.c': 'composes messages, irq_chip hierarchy helpers',
        'kernel/irq/irqdomain.c': 'struct irq_domain, kernel/irq/internals.h',
        'kernel/irq/manage.c': 'kernel/irq/internals.h',
        'kernel/softirq.c': 'has the weak arch_early_irq_init()',
        'drivers/base/core.c': 'struct device, its MSI data',
        'drivers/base/platform-msi.c': 'platform MSI: descriptors and domains',
        'drivers/pci/probe.c': 'finds the MSI domain of a device',
        'drivers/pci/pci.c': 'MSI state over suspend and reset',
        'drivers/pci/pcie/portdrv_core.c': 'vectors of the port services',
        'drivers/pci/pcie/aer.c': 'AER: interrupt of a port service',
        'drivers/pci/hotplug/pciehp_hpc.c': 'pciehp: interrupt of a port service',
        'drivers/ntb/test/ntb_msi_test.c': 'its client',
        'drivers/vfio/pci/vfio_pci_intrs.c': 'allocates and writes MSI back',
        'drivers/virtio/virtio_pci_common.c': 'a driver with MSI-X, and without',
    },
    'x86': {
        'arch/x86/kernel/apic/vector.c': 'vector domain',
        'arch/x86/kernel/apic/io_apic.c': 'sibling of MSI on the vector domain',
        'arch/x86/kernel/hpet.c': 'HPET/MSI on the vector or remapping domain',
        'arch/x86/kernel/x86_init.c': 'asm/msi.h, hooks for MSI',
        'arch/x86/pci/common.c': 'sets the MSI domain of a device',
        'arch/x86/pci/xen.c': 'Xen has MSI of its own: dom0, HVM, PV',
        'arch/x86/platform/uv/uv_irq.c': 'irq_alloc_info',
        'arch/x86/hyperv/irqdomain.c': 'MSI of the Hyper-V root partition',
        'drivers/pci/xen-pcifront.c': 'MSI of a Xen PV guest',
        'drivers/xen/events/events_base.c': 'binds MSI to event channels',
        'drivers/pci/controller/pci-hyperv.c': 'MSI domain of its own, on the vector domain',
        'drivers/pci/controller/vmd.c': 'MSI domain of its own, shares vectors',
        'drivers/iommu/hyperv-iommu.c': 'remapping domain',
        'drivers/iommu/irq_remapping.c': 'remapping domains, asm/msi.h',
        'drivers/iommu/intel/irq_remapping.c': 'remapping domain',
        'drivers/iommu/intel/dmar.c': 'DMAR/MSI',
        'drivers/iommu/amd/iommu.c': 'remapping domain',
        'drivers/iommu/amd/init.c': 'MSI and x2APIC interrupt of the IOMMU itself',
    },
    'arm64': {
        'drivers/irqchip/irq-gic-v3-its.c': 'the MSI controller',
        'drivers/irqchip/irq-gic-v3-its-pci-msi.c': 'PCI/MSI domain on it',
        'drivers/irqchip/irq-gic-v3-its-platform-msi.c': 'platform MSI domain on it',
        'drivers/irqchip/irq-gic-v3-its-fsl-mc-msi.c': 'fsl-mc MSI domain on it',
        'drivers/irqchip/irq-gic-v3-mbi.c': 'PCI and platform MSI domains',
        'drivers/irqchip/irq-gic-v2m.c': 'PCI and platform MSI domains',
        'drivers/irqchip/irq-alpine-msi.c': 'PCI/MSI domain',
        'drivers/irqchip/irq-ls-scfg-msi.c': 'PCI/MSI domain',
        'drivers/irqchip/irq-mbigen.c': 'platform MSI device domain',
        'drivers/irqchip/irq-mvebu-gicp.c': 'platform MSI, level capable',
        'drivers/irqchip/irq-mvebu-icu.c': 'platform MSI device domain',
        'drivers/irqchip/irq-mvebu-odmi.c': 'platform MSI domain',
        'drivers/irqchip/irq-mvebu-sei.c': 'platform MSI domain',
        'drivers/irqchip/irq-ti-sci-inta.c': 'MSI domain with descriptors of its own',
        'drivers/soc/ti/ti_sci_inta_msi.c': 'MSI domain with descriptors of its own',
        'drivers/bus/fsl-mc/fsl-mc-msi.c': 'a bus with MSI that is not PCI',
        'drivers/bus/fsl-mc/fsl-mc-allocator.c': 'its interrupts',
        'drivers/acpi/arm64/iort.c': 'finds MSI domains',
        'drivers/of/irq.c': 'finds MSI domains',
        'drivers/iommu/dma-iommu.c': 'maps and changes messages',
        'drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c': 'platform MSI',
        'drivers/pci/controller/dwc/pcie-designware-host.c': 'MSI domain of its own',
        'drivers/pci/controller/dwc/pci-keystone.c': 'MSI domain of its own',
        'drivers/pci/controller/pci-aardvark.c': 'MSI domain of its own',
        'drivers/pci/controller/pci-tegra.c': 'MSI domain of its own',
        'drivers/pci/controller/pci-xgene-msi.c': 'MSI domain of its own',
        'drivers/pci/controller/pcie-altera-msi.c': 'MSI domain of its own',
        'drivers/pci/controller/pcie-apple.c': 'MSI domain of its own',
        'drivers/pci/controller/pcie-brcmstb.c': 'MSI domain of its own',
        'drivers/pci/controller/pcie-iproc-msi.c': 'MSI domain of its own',
        'drivers/pci/controller/pcie-mediatek.c': 'MSI domain of its own',
        'drivers/pci/controller/pcie-mediatek-gen3.c': 'MSI domain of its own',
        'drivers/pci/controller/pcie-rcar-host.c': 'MSI domain of its own',
        'drivers/pci/controller/pcie-xilinx-nwl.c': 'MSI domain of its own',
        'drivers/pci/controller/pcie-xilinx.c': 'MSI domain of its own',
    },
    'powerpc': {
        'arch/powerpc/kernel/msi.c': 'legacy hooks',
        'arch/powerpc/platforms/pseries/msi.c': 'PCI/MSI domain of each host bridge',
        'arch/powerpc/platforms/powernv/pci-ioda.c': 'PCI/MSI domain of each host bridge',
        'arch/powerpc/sysdev/xics/xics-common.c': 'parent of these',
        'arch/powerpc/sysdev/xive/common.c': 'parent of these',
    },
    's390': {
        'arch/s390/pci/pci_irq.c': 'legacy hooks: no domains at all',
    },
    'riscv': {
        'drivers/pci/controller/dwc/pcie-designware-host.c': 'MSI domain of its own',
        'drivers/pci/controller/pcie-microchip-host.c': 'MSI domain of its own',
        'drivers/pci/controller/pcie-xilinx.c': 'MSI domain of its own',
        'drivers/irqchip/irq-sifive-plic.c': 'hierarchical domain, no MSI',
    },
    'um': {
        'arch/um/drivers/virt-pci.c': 'PCI/MSI domain',
    },
}

# The functions that a driver calls, with stubs for a kernel that lacks them.
HEADERS = ('include/linux/pci.h', 'include/linux/msi.h', 'include/linux/msi_api.h',
           'include/linux/msi_notify.h', 'include/linux/irqchip/irq-ims-generic.h')


# --- which objects ---------------------------------------------------------

def users(directory):
    return {**USERS['every architecture'], **USERS.get(directory, {})}


ASSIGN = re.compile(r'([\w-]+?)-(?:\$\((?:subst m,y,\$\()?(CONFIG_\w+)\)+|y|m|objs)'
                    r'\s*[:+]?=\s*(.*)')


def makefile_lines(text):
    """(name, symbols, words) of each list of objects: obj, or a composite object."""
    around = []
    for line in text.replace('\\\n', ' ').splitlines():
        line = line.split('#')[0].strip()
        match = re.match(r'ifdef\s+(CONFIG_\w+)$|ifeq\s*\(\$\((CONFIG_\w+)\),\s*[ym]\)$', line)
        if match:
            around.append(match[1] or match[2])
        elif re.match(r'if(n?def|n?eq)\b', line):
            around.append(None)
        elif re.match(r'else\b', line):
            around[-1:] = [None]
        elif re.match(r'endif\b', line):
            around[-1:] = []
        match = ASSIGN.match(line)
        if match:
            symbols = {s for s in (match[2], *around) if s}
            yield match[1], symbols, match[3].split()


def ways(read, directory, word, seen=()):
    """What has to be on for an object or subdirectory: sets, one of which will do."""
    found = []
    for name, symbols, words in makefile_lines(read(directory)):
        if word not in words or name in seen:
            continue
        if name in ('obj', 'lib'):
            found.append(symbols)
        else:
            found += [symbols | way for way in ways(read, directory, f'{name}.o',
                                                    (*seen, name))]
    return found


def needs(read, path):
    """The same for a file, with the directories that lead to it. read(directory) is
    the text of its Makefile. Where that is silent, nothing is needed: if that is
    wrong, the object will be missed."""
    *directory, name = path.split('/')
    found = ways(read, '/'.join(directory), name[:-2] + '.o') or [set()]
    while len(directory) > 1:
        *directory, name = directory
        up = ways(read, '/'.join(directory), f'{name}/') or [set()]
        found = [a | b for a in found for b in up]
    return found


def reader(top):
    def read(directory):
        for name in ('Kbuild', 'Makefile'):
            path = top / directory / name
            if path.is_file():
                return path.read_text(encoding='utf-8')
        return ''
    return read


def enabled(text):
    return set(re.findall(r'^(CONFIG_\w+)=[ym]$', text, re.M))


def is_on(alternatives, symbols):
    return any(way <= symbols for way in alternatives)


def expected(read, paths, symbols):
    return [p for p in paths if is_on(needs(read, p), symbols)]


# --- what went wrong -------------------------------------------------------

def reason(obj, text):
    """Why an object was not built, from what make said."""
    lines = [l.strip() for l in text.splitlines()
             if re.search(r'error:|ERROR:|No rule to make|\*\*\*', l)]
    own = [l for l in lines if obj[:-2] in l]
    return f'{obj} is not built: {(own or lines or ["no message"])[0][:200]}'


def symbols_of(text):
    """(defined, {object: undefined}) of what `nm -A -P` prints. A weak reference is
    none: it may stay undefined."""
    defined, undefined = set(), {}
    for line in text.splitlines():
        match = re.match(r'(.+?): (\S+) (\w)(?: |$)', line)
        if not match:
            continue
        path, name, kind = match.groups()
        if kind == 'U':
            undefined.setdefault(path, set()).add(name)
        elif kind.isupper() or kind == 'u':
            defined.add(name)
    return defined, undefined


def unresolved(results):
    """[(object, function)] for one variant of `results`, {variant: result}: what
    another variant of the architecture has in a changed file, and this one needs
    but does not have."""
    anywhere = set().union(*(r['provided'] for r in results.values()))
    found = {}
    for variant, result in results.items():
        lost = anywhere - set(result['defined'])
        found[variant] = sorted((obj, name) for obj, names in result['undefined'].items()
                                for name in names if name in lost)
    return found


def left_out(results):
    """The users that no variant of theirs builds, from {variant: objects}."""
    found = []
    for directory, table in USERS.items():
        mine = [set(objects) for name, objects in results.items()
                if directory in ('every architecture', ARCHES[name.split('.')[0]][1])]
        found += [p for p in table if f'{p[:-2]}.o' not in set().union(*mine)]
    return found


def stubs_of(text):
    """The functions that a header has for drivers of a kernel without MSI."""
    found, stack = set(), []
    text = re.sub(r'/\*.*?\*/', '', text, flags=re.S).replace('\\\n', ' ')
    # A prototype may go over several lines.
    text = re.sub(r'\n[ \t]*(?=\w+\s*\()', ' ', text)
    for line in text.splitlines():
        if re.match(r'#\s*if', line):
            stack.append(re.search(r'MSI|IMS', line) and ('if', line))
        elif re.match(r'#\s*el', line) and stack and stack[-1]:
            stack[-1] = ('else', stack[-1][1])
        elif re.match(r'#\s*endif', line) and stack:
            stack.pop()
        inner = next((s for s in reversed(stack) if s), None)
        if not inner or '_H' in inner[1] or 'MODULE' in inner[1]:
            continue
        match = re.match(r'static inline\b[^(=]*?\b(\w+)\s*\(', line)
        if match and inner[0] == 'else':
            found.add(match[1])
    return found


def without_stub(text):
    """Functions that pci.h declares with PCI_MSI and forgets without."""
    blocks = re.findall(r'\n#ifdef CONFIG_PCI_MSI\n([^#]*)\n#else\b([^#]*)\n#endif', text)
    return set().union(*(set(re.findall(r'\b(\w+)\s*\([^;{}]*\);', with_msi)) -
                         set(re.findall(r'\b(\w+)\s*\(', without))
                         for with_msi, without in blocks))


# --- configurations --------------------------------------------------------

class Variant:
    def __init__(self, arch, name):
        self.arch, self.name = arch, f'{arch}.{name}'
        self.make_arch, self.dir, self.prefix = ARCHES[arch]
        self.lines = {}
        for file in (f'{arch}.config', f'{self.name}.config'):
            self.lines.update(kernel.fragment(f'cross/{file}'))
        self.own, self.optional = {}, {}
        # Set while it is built.
        self.config = self.objects = self.able = self.key_of_base = None

    def wanted(self, own=True):
        return {**self.lines, **({**self.own, **self.optional} if own else {})}

    def needed(self, own=True):
        """wanted() without what this architecture cannot have"""
        return {symbol: line for symbol, line in self.wanted(own).items()
                if symbol not in self.optional or symbol in (self.able or ())}

    def cannot_have(self):
        """What of the series is not built, as this architecture cannot have it"""
        return sorted(symbol for symbol, line in self.optional.items()
                      if self.able is not None and symbol not in self.able and
                      line.endswith(('=y', '=m')))

    def compiler(self):
        return ''.join(run([f'{self.prefix}{tool}', '--version']).splitlines()[0] + '\n'
                       for tool in ('gcc', 'ld'))

    def key(self, sources, objects, own=True):
        return digest(*sources, '\n'.join(self.wanted(own).values()), self.compiler(),
                      '\n'.join(objects), STUBS / 'stubs.c', digest_code('cross', 'warnings'),
                      digest_functions(kernel.make_env))

    @property
    def out(self):
        return cache() / 'kernel-src' / f'cross-{self.arch}'

    def make(self, *args):
        gcc = f'{self.prefix}gcc'
        cmd = ['$(MAKE)', '-C', kernel.src(), f'O={self.out}', f'ARCH={self.make_arch}',
               'KBUILD_BUILD_USER=ims', 'KBUILD_BUILD_HOST=ims', 'KBUILD_BUILD_VERSION=1',
               'KBUILD_BUILD_TIMESTAMP=2022-12-11']
        if self.prefix:
            cmd += [f'CROSS_COMPILE={self.prefix}']
        if shutil.which('ccache'):
            cmd += [f'CC=ccache {gcc}', 'HOSTCC=ccache gcc']
        return ' '.join([cmd[0], *(shlex.quote(str(c)) for c in [*cmd[1:], *args])])

    def expects_msi(self):
        return self.lines.get('CONFIG_PCI_MSI') == 'CONFIG_PCI_MSI=y'


def variants():
    found = [Variant(arch, path.name.split('.')[1])
             for arch in ARCHES for path in sorted(CONFIGS.glob(f'{arch}.*.config'))]
    for arch in ARCHES:
        have = {v.lines.get('CONFIG_PCI_MSI') for v in found if v.arch == arch}
        if have != {'CONFIG_PCI_MSI=y', '# CONFIG_PCI_MSI is not set'}:
            raise Fail(f'configs/cross: {arch} needs a variant with PCI_MSI=y and one with '
                       '`# CONFIG_PCI_MSI is not set`')
    return found


def lost(lines, final):
    """The first of the wanted lines that a final .config has not, and what it has."""
    have = set(final.splitlines())
    for symbol, line in lines.items():
        got = re.findall(rf'^(?:# )?{symbol}[= ].*', final, re.M)
        if line not in have and not (line.endswith('not set') and not got):
            there = got[0] if got else 'no such symbol'
            return f'{line} is wanted, but the configuration has {there}'
    return ''


def run_make(label, recipes, log):
    """recipes: {arch: [shell lines]}, one after the other, architectures at once."""
    path = cache() / 'kernel-src' / 'cross.mk'
    text = f'all: {" ".join(recipes)}\n'
    for arch, lines in recipes.items():
        text += f'{arch}:\n' + ''.join(f'\t+@{line}\n' for line in lines)
        text += f'.PHONY: {arch}\n'
    path.write_text(text, encoding='utf-8')
    # -k: what goes wrong for one architecture does not hide the others.
    step(label, ['make', '-k', f'-j{jobs()}', '-f', path], log=log, env=kernel.make_env())


def configure(todo, own, log):
    """v.config of each: the final .config, and v.able: what allyesconfig would have."""
    recipes = {}
    for v in todo:
        v.out.mkdir(parents=True, exist_ok=True)
        wanted = v.out / f'{v.name}.wanted'
        wanted.write_text('\n'.join(v.wanted(own).values()) + '\n', encoding='ascii')
        kinds = ['allyesconfig'] if own and v.expects_msi() else []
        for kind in [*kinds, 'allnoconfig']:
            recipes.setdefault(v.arch, []).append(
                f'{v.make(f"KCONFIG_ALLCONFIG={wanted}", kind)} && '
                f'mv {v.out}/.config {v.out}/{v.name}.{kind}')
    say('  cross: configure')
    run_make('cross: configure', recipes, log)
    for v in todo:
        v.config = (v.out / f'{v.name}.allnoconfig').read_text(encoding='ascii')
        if own and v.expects_msi():
            v.able = enabled((v.out / f'{v.name}.allyesconfig').read_text(encoding='ascii'))
        wrong = lost(v.needed(own), v.config)
        if wrong:
            raise Fail(f'cross: {v.name}: {wrong}: mend configs/cross/{v.arch}.config or '
                       f'configs/cross/{v.name}.config')


def build(todo, log, what):
    """Compile v.objects of each. Returns {variant name: its log's text}."""
    recipes = {}
    for v in todo:
        out = v.out / f'{v.name}.{what}.log'
        made = v.out / 'stubs'
        lines = recipes.setdefault(v.arch, [])
        lines.append(f'cp {v.out}/{v.name}.allnoconfig {v.out}/.config')
        objects = list(v.objects)
        stubs = 'stubs/stubs.o' in objects
        if stubs:
            objects.remove('stubs/stubs.o')
        lines.append(f'cd {v.out} && rm -rf stubs {" ".join(objects)} && : >{out}')
        for options, some in warnings.rounds(objects):
            lines.append(f'{v.make("-k", *options, *warnings.FLAGS, *some)} >>{out} 2>&1; '
                         f'echo "{v.name}: {len(some)} objects"')
        if stubs:
            lines.append(f'mkdir {made} && cp {STUBS}/stubs.c {made} && '
                         f'echo "obj-y := stubs.o" >{made}/Kbuild')
            lines.append(f'{v.make(*warnings.FLAGS, f"M={made}", "stubs.o")} '
                         f'>>{out} 2>&1 || true')
        # The objects' directory goes to the next variant of the architecture.
        keep = v.out / 'made' / v.name
        lines.append(f'rm -rf {keep} && mkdir -p {keep}')
        lines.append(f'cd {v.out} && for o in {" ".join(v.objects)}; do '
                     f'if [ -e $$o ]; then cp --parents $$o {keep}; fi; done')
    say(f'  cross: {what}: {sum(len(v.objects) for v in todo)} objects, {len(todo)} variants')
    run_make(f'cross: {what}', recipes, log)
    texts = {}
    for v in todo:
        texts[v.name] = (v.out / f'{v.name}.{what}.log').read_text(errors='replace')
        with open(log, 'a', encoding='utf-8') as file:
            file.write(f'=== {v.name}, {what}: {len(v.objects)} objects\n{texts[v.name]}')
    return texts


def missing(v):
    return [o for o in v.objects if not (v.out / 'made' / v.name / o).exists()]


# --- the whole -------------------------------------------------------------

def tree_files(base, tree, objects, *paths):
    """The text of files of a git tree; None for one that is not there."""
    env = git_env(GIT_ALTERNATE_OBJECT_DIRECTORIES=str(objects))
    for path in paths:
        done = git('cat-file', 'blob', f'{tree}:{path}', repo=base.repo, env=env, check=False)
        yield None if done.returncode else done.stdout


def changes(base, tree, objects):
    """{path: whether the series adds it}"""
    env = git_env(GIT_ALTERNATE_OBJECT_DIRECTORIES=str(objects))
    out = git('diff', '--name-status', '--no-renames', '--diff-filter=AM', base.tree, tree,
              repo=base.repo, env=env)
    return {line.split('\t')[1]: line[0] == 'A' for line in out.splitlines()}


def own_symbols(base, tree, objects):
    """The lines of series.config, and those of series.all.config and drivers.config, if
    the tree's Kconfig files know all of the former."""
    lines = kernel.wanted('lean', base, tree, objects)
    own = {s: line for s, line in kernel.fragment('series.config').items() if s in lines}
    more = {**kernel.fragment('series.all.config'), **kernel.fragment('drivers.config')}
    return own, more if own else {}


def check_stubs(base, tree, objects):
    """That tests/kernel/stubs.c calls what there is, and pci.h forgets nothing."""
    text = (STUBS / 'stubs.c').read_text(encoding='utf-8')
    called = set(re.findall(r'\b(\w+)\(', text))
    old = dict(zip(HEADERS, tree_files(base, base.tree, objects, *HEADERS)))
    new = dict(zip(HEADERS, tree_files(base, tree, objects, *HEADERS)))
    for path, content in new.items():
        left = stubs_of(content or '') - called
        if left:
            raise Fail(f'cross: {path} has a stub {sorted(left)[0]}(): call it in '
                       'tests/kernel/stubs.c')
    path = HEADERS[0]
    left = without_stub(new[path]) - without_stub(old[path])
    if left:
        raise Fail(f'cross: {path} declares {sorted(left)[0]}() with CONFIG_PCI_MSI and has '
                   'no stub without it')


def choose(todo, changed):
    read = reader(kernel.src())
    for v in todo:
        paths = sorted({p for p in changed if belongs(p, v.dir)} | set(users(v.dir)))
        gone = [p for p in paths if not (kernel.src() / p).exists()]
        if gone:
            raise Fail(f'cross: {gone[0]} is not in the kernel: mend USERS in cross.py')
        v.objects = [p[:-2] + '.o' for p in expected(read, paths, enabled(v.config))]
        for p in changed:
            if v.able and belongs(p, v.dir) and is_on(needs(read, p), v.able) and \
                    p[:-2] + '.o' not in v.objects:
                way = min(needs(read, p), key=len)
                raise Fail(f'cross: {p} can be built for {v.arch}, but is not: set '
                           f'{", ".join(sorted(way - enabled(v.config)))} in '
                           f'configs/cross/{v.arch}.config or {v.name}.config')
        # Without PCI, no driver of a PCI device is built.
        if 'CONFIG_PCI' in enabled(v.config):
            v.objects.append('stubs/stubs.o')


def base_says(todo, base, suspected, log):
    """{variant: [warnings, objects that do not build]} of the base, for suspected
    {variant: objects}. Kept in the cache: the base changes less than the series."""
    said, again = {}, []
    sources = [kernel.sources(base, base.tree, base.repo / 'objects')]
    for v in todo:
        v.objects = suspected[v.name]
        v.key_of_base = f'{v.name}-{v.key(sources, v.objects, own=False)}'
        path = have_entry('cross-base', v.key_of_base)
        if path:
            said[v.name] = json.loads((path / 'result').read_text(encoding='ascii'))
        elif v.objects:
            again.append(v)
        else:
            said[v.name] = [{}, []]
    if again:
        kernel.checkout(base, base.tree, base.repo / 'objects')
        configure(again, False, log)
        texts = build(again, log, 'base')
        for v in again:
            said[v.name] = [warnings.said(texts[v.name], v.objects), missing(v)]
            keep('cross-base', v.key_of_base, said[v.name])
    return said


def keep(kind, key, result):
    entry(kind, key, lambda out: (out / 'result').write_text(json.dumps(result),
                                                             encoding='ascii'))


def symbols(v, changed):
    """What the link check needs, of the objects just made."""
    made = v.out / 'made' / v.name
    ours = {p[:-2] + '.o' for p in changed}
    result = {'objects': v.objects, 'without': v.cannot_have()}
    nm = [f'{v.prefix}nm', '-A', '-P']
    defined, undefined = symbols_of(run([*nm, *v.objects], cwd=made))
    mine = [o for o in v.objects if o in ours]
    result['defined'] = sorted(defined)
    result['provided'] = sorted(symbols_of(run([*nm, *mine], cwd=made))[0] if mine else ())
    result['undefined'] = {o: sorted(names) for o, names in undefined.items()}
    return result


def build_all(todo, base, tree, objects, log):
    """{variant: result} of those that are as they should be, and what is wrong with
    the others. Wants the kernel-src lock."""
    changed = changes(base, tree, objects)
    kernel.checkout(base, tree, objects)
    configure(todo, True, log)
    choose(todo, changed)
    texts = build(todo, log, 'series')
    results, suspected, said, failed = {}, {}, {}, {}
    for v in todo:
        said[v.name] = warnings.said(texts[v.name], v.objects)
        failed[v.name] = missing(v)
        if not failed[v.name]:
            results[v.name] = symbols(v, changed)
        suspected[v.name] = sorted(o for o in {*said[v.name], *failed[v.name]}
                                   if not changed.get(o[:-2] + '.c') and o != 'stubs/stubs.o')
    before = base_says(todo, base, suspected, log)
    wrong = []
    for v in todo:
        old, broken = before[v.name]
        bad = []
        for obj in failed[v.name]:
            if obj in broken:
                bad.append(f'the base itself does not build {obj}')
            else:
                bad.append(reason(obj, texts[v.name]))
        built = {o: counts for o, counts in said[v.name].items() if o not in failed[v.name]}
        bad += warnings.new_warnings(built, old)
        if bad:
            results.pop(v.name, None)
            wrong += [f'{v.name}: {b}' for b in bad]
    return results, wrong


def check(base, tree, objects, log):
    """What is wrong, a line each; {variant: result}; and how many the cache did not have"""
    check_stubs(base, tree, objects)
    every = variants()
    own, optional = own_symbols(base, tree, objects)
    for v in every:
        if v.expects_msi():
            v.own, v.optional = own, optional
    sources = [kernel.sources(base, t, objects) for t in (tree, base.tree)]
    keys = {v.name: f'{v.name}-{v.key(sources, users(v.dir))}' for v in every}
    wrong = []
    todo = [v for v in every if not have_entry('cross', keys[v.name])]
    if todo:
        with locked('kernel-src'), contextlib.ExitStack() as stack:
            for out in dict.fromkeys(v.out for v in todo):
                stack.enter_context(kernel.using(out))
            made, wrong = build_all(todo, base, tree, objects, log)
        for name, result in made.items():
            keep('cross', keys[name], result)
    results = {}
    for v in every:
        path = have_entry('cross', keys[v.name])
        if path:
            results[v.name] = json.loads((path / 'result').read_text(encoding='ascii'))
    if len(results) == len(every):
        wrong += [f'{p} is in USERS of cross.py, but no configuration builds it'
                  for p in left_out({n: r['objects'] for n, r in results.items()})]
    for arch in ARCHES:
        mine = {n: r for n, r in results.items() if n.split('.')[0] == arch}
        for name, found in unresolved(mine).items() if mine else ():
            wrong += [f'{name}: {obj} needs {symbol}(), which this configuration lacks'
                      for obj, symbol in found]
    return wrong, results, len(todo)
