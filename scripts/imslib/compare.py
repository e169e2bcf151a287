# SPDX-License-Identifier: GPL-2.0
"""That base and series behave alike: one program on both kernels, line by line.

Words
  requester  tests/kernel: a driver that issues PCI interrupt calls for a program.
             It is laid over a tree when a kernel is built, and part of neither.
  program    tests/compare/msi_compare.c: goes through the combinations and writes
             one line for each, a case, with a field for each thing that it saw
  expected   a difference between the two that is right, with the reason

differences() and judge() are pure functions of text: tests/unit/test_compare.py.
"""
import re
from dataclasses import dataclass
from pathlib import Path

from . import arch, boot, initramfs, kernel, overlay, qemu, series, verdict
from .util import ROOT, Fail, git

OVERLAY = ROOT / 'tests/kernel'
AT = 'drivers/misc/msi_compare'
SOURCE = ROOT / 'tests/compare/msi_compare.c'
PROGRAM = 'msi_compare'

# Where it is compared, of the machines that there are.
X86 = ('no-iommu', 'intel-ir', 'amd-ir')
MACHINES = (*X86, 'arm-its', 'vmd')
REMAPPED = ('intel-ir', 'amd-ir', 'arm-its')

# Beside the ims-testdev that every machine has: each form of the MSI capability
# that PCI allows, and MSI-X tables of few entries.
DEVICES = (
    'addr=10.0,msi-vectors=1,msi-64bit=off,msi-mask=off,msix-vectors=1',
    'addr=11.0,msi-vectors=2,msi-64bit=off,msi-mask=on,msix-vectors=2',
    'addr=12.0,msi-vectors=4,msi-64bit=on,msi-mask=off,msix-vectors=3',
    'addr=13.0,msi-vectors=8,msi-64bit=on,msi-mask=on,msix-vectors=64',
    'addr=14.0,msi-vectors=16,msi-64bit=off,msi-mask=off,msix-vectors=8',
    'addr=15.0,msi-vectors=32,msi-64bit=on,msi-mask=off,msix-vectors=65',
)
# They are behind a VMD on the machine that has one, and nothing else is. It runs the handlers
# of all their interrupts for each message.
VMD = ('-device', 'ims-vmd,id=vmd,addr=18.0', '-device', 'pcie-root-port,bus=vmd,id=vmd-port',
       '-device', 'pcie-pci-bridge,bus=vmd-port,id=bridge')


@dataclass(frozen=True)
class Expected:
    """A difference that is right. Patterns match whole texts, and what `same` (a
    pattern and its replacement) makes of the series' value is the base's value."""
    case: str
    field: str
    base: str
    series: str
    reason: str
    machines: tuple = X86
    same: tuple | None = None

    def covers(self, difference):
        case, field, old, new = difference
        return (field == self.field and re.fullmatch(self.case, case)
                and re.fullmatch(self.base, old) and re.fullmatch(self.series, new)
                and (not self.same or re.sub(*self.same, new) == old))


# What the base has of the series, because without it little can be compared: once a device
# had an odd number of MSI, the ITS of the base gives it no more.
FIXED = {'arm-its': ('irqchip/gic-v3-its: Free the events of an odd number of interrupts',
                     'drivers/irqchip/irq-gic-v3-its.c')}

KEPT = ('with multiple MSI the base clears the one message that all have when the first interrupt '
        'is freed; the series keeps it as long as one of them needs it')
MOVED = ('the VMD does not move its vector for a device behind it; the base takes a new mask and '
         'forgets it')
# Vectors of which each has run its handler
RUN = r'\d+(-\d+)?:(virtual|[1-9]\d*/[1-9]\d*)'
EXPECTED = (
    Expected(r'.*', 'chip', r'.*PCI-MSI-edge.*', r'.*PCI-MSIX?-BDF-edge.*',
             'the base has one chip for all PCI devices; in the series each device has a domain '
             'and a chip of its own, which is named after it',
             machines=(*X86, 'vmd'), same=(r'PCI-MSIX?-BDF-edge', 'PCI-MSI-edge')),
    Expected(r'.*', 'chip', r'.*ITS-MSI-.*', r'.*ITS-PCI-MSIX?-BDF-.*',
             'as on x86', machines=('arm-its',), same=(r'ITS-PCI-MSIX?-BDF', 'ITS-MSI')),
    Expected(r'.*', 'chip', r'.*VMD-MSI-.*', r'.*VMD-PCI-MSIX?-BDF-.*',
             'as without a VMD', machines=('vmd',), same=(r'VMD-PCI-MSIX?-BDF', 'VMD-MSI')),
    Expected(r'.*/move-msix?-6', 'write', r'[-0-9]+:0', r'[-0-9]+:-EINVAL',
             MOVED, machines=('vmd',), same=(r':-EINVAL', ':0')),
    Expected(r'.*/move-msix?-6', 'smp', r'.*', r'[-0-9]+:ff', MOVED, machines=('vmd',)),
    Expected(r'.*', 'fired', f'{RUN}(,{RUN})*', f'{RUN}(,{RUN})*',
             'messages that a VMD has not passed on become one, so how often a handler runs for '
             'those of others depends on when they come', machines=('vmd',)),
    Expected(r'.*/together-msix?', 'ims', '-ENOTTY', '4',
             'the base has no IMS; in the series it works beside MSI and MSI-X',
             machines=REMAPPED),
    Expected(r'.*/together-msix?', 'ims', '-ENOTTY', '-EOPNOTSUPP',
             'the base has no IMS; the series refuses it without interrupt remapping',
             machines=('no-iommu', 'vmd')),
    Expected(r'.*/first-goes-msi-4', 'others', r'0:-ENOENT,1(-3)?:0/0', r'0:-ENOENT,1(-3)?:1/1',
             KEPT, machines=REMAPPED),
    Expected(r'.*/first-goes-msi-4', 'fired', r'0-[13]:1/1', r'0:1/1,1(-3)?:2/2',
             KEPT, machines=REMAPPED),
    # 1 is a message that changed while unmasked, 2 one that was sent without message
    Expected(r'.*/first-goes-msi-4', 'breach', r'1\*\d,2\*\d', r'0|1\*\d',
             KEPT, machines=REMAPPED),
)

ABSENT = '(absent)'


def parse(text):
    """{case: {field: value}} of a log, or Fail if it is not complete."""
    cases, count = {}, None
    for line in verdict.split(text)['tests']:
        total = re.fullmatch(r'cases: (\d+) on (\d+) devices', line)
        if total:
            count = int(total[1])
            if int(total[2]) != len(DEVICES) + 1:
                raise Fail(f'{total[2]} devices were gone through, not {len(DEVICES) + 1}')
        if not line.startswith('case '):
            continue
        words = line.split(' ')
        if count is not None:
            raise Fail(f'case {words[1]} comes after the last one')
        if words[1] in cases:
            raise Fail(f'case {words[1]} is there twice')
        fields = {}
        for word in words[2:]:
            name, sign, value = word.partition('=')
            if not sign or name in fields:
                raise Fail(f'case {words[1]}: cannot read "{word}"')
            fields[name] = value
        cases[words[1]] = fields
    if count is None:
        raise Fail('the cases have no end')
    if count != len(cases) or not count:
        raise Fail(f'{count} cases were gone through, {len(cases)} are there')
    return cases


def differences(base, other):
    """[(case, field, base's value, series' value)] of two parsed logs. A case that
    only one has differs in the field ''."""
    found = []
    for case in {**base, **other}:
        if case not in base or case not in other:
            found.append((case, '', 'there' if case in base else ABSENT,
                          'there' if case in other else ABSENT))
            continue
        old, new = base[case], other[case]
        found += [(case, field, old.get(field, ABSENT), new.get(field, ABSENT))
                  for field in {**old, **new} if old.get(field) != new.get(field)]
    return found


def judge(found, machine, expected=EXPECTED):
    """(differences that nothing expects, expectations that did not come true)"""
    here = [e for e in expected if machine in e.machines]
    wrong = [d for d in found if not any(e.covers(d) for e in here)]
    stale = [e for e in here if not any(e.covers(d) for d in found)]
    return wrong, stale


def forgive(text):
    """The log without the warnings that the program provokes on purpose.

    They are dropped where the program has announced them and as whole blocks. For
    them alone the kernel may be tainted in the end, and with nothing but a warning's
    taint. Each has been counted by the program and is compared like all else."""
    kept, block, inside, dropped = [], None, False, 0
    for line in text.split('\n'):
        if not line.startswith('kernel| '):
            kept.append(line)
            continue
        mark = re.search(r'\] msi_compare: misuse (begins|ends)$', line)
        if mark:
            inside = mark[1] == 'begins'
        if inside and line.endswith('------------[ cut here ]------------'):
            kept += block or []
            block = []
        if block is None:
            kept.append(line)
            continue
        block.append(line)
        if '---[ end trace ' in line:
            if re.search(r'\] WARNING: CPU: ', block[1]):
                dropped += 1
            else:
                kept += block
            block = None
    kept += block or []
    text = '\n'.join(kept)
    if dropped:
        text = text.replace(TAINTED_BY_WARNING, NOT_TAINTED)
    return text


TAINTED_BY_WARNING = ('tests | # tainted: 512\n'
                      'tests | not ok 1 the kernel is not tainted\n'
                      'tests | ims-init: end 3 aftermath status 1\n')
NOT_TAINTED = ('tests | ok 1 the kernel is tainted by announced warnings alone\n'
               'tests | ims-init: end 3 aftermath status 0\n')


def laid_over(base, tree, objects, blobs=()):
    """The git tree with the requester on top."""
    files = {str(p.relative_to(OVERLAY)): p for p in sorted(OVERLAY.rglob('*')) if p.is_file()}
    files |= overlay.of(AT, [qemu.HEADER])
    return overlay.tree(base, tree, objects, files,
                        {overlay.MAKEFILE: f'obj-y += {Path(AT).name}/\n'}, blobs)


def initrd(kind):
    """The initramfs with the program, which is the same for both kernels."""
    return initramfs.of_program('compare', PROGRAM, SOURCE,
                                [OVERLAY / AT / 'msi_compare.h', qemu.HEADER], kind
                                ) / 'initramfs.cpio.gz'


def machines():
    return [name for name in MACHINES if name in boot.machines()]


def run_on(machine, which, base, tree, objects, log, blobs=()):
    """Boot one of the two; the parsed log."""
    row = boot.machine_row(machine)
    # On fewer CPUs than a case has sets of vectors, the base warns of that.
    bus = ',bus=bridge' if machine == 'vmd' else ''
    devices = [word for device in DEVICES for word in ('-device', f'ims-testdev{bus},{device}')]
    row = {**row, 'cpus': boot.CPUS, 'qemu': [*row['qemu'], *(VMD if bus else ()), *devices],
           'hardware': []}
    config = arch.config_for(row['arch'], 'devices' if bus else 'lean')
    image = kernel.get(config, base, laid_over(base, tree, objects, blobs), objects,
                       label=f'kernel ({config}, {which} with msi_compare)') / kernel.IMAGE
    result = boot.boot_image(row, image, initrd(row['arch']), PROGRAM, log, required=(PROGRAM,),
                             label=f'{which} on {machine}', part=forgive)
    if not result:
        raise Fail(f'{which}: {result}; see {log}')
    try:
        return parse(forgive(log.read_text(encoding='utf-8')))
    except Fail as err:
        raise Fail(f'{which}: {err}; see {log}') from None


def fixed(base, machine):
    """[(path, blob)] of what the base has of the series: a file as the step leaves it that
    is the first to change it"""
    if machine not in FIXED:
        return []
    subject, path = FIXED[machine]
    first, *_ = git('log', '--reverse', '--format=%H %s', f'{base.commit}..{series.make_tip(base)}',
                    '--', path, repo=base.repo).splitlines()
    step, found = first.split(' ', 1)
    if found != subject:
        raise Fail(f'{path}: the base would have {found!r} beside {subject!r}: make this the '
                   'first step that changes the file')
    return [(path, f'{step}:{path}')]


def compare(machine, where, note):
    """Boot both on a machine and compare: how much was the same, in words. note(text)
    takes what was found."""
    base, tree, objects, _ = series.snapshot()
    old = run_on(machine, 'base', base, base.tree, objects, where / f'compare-{machine}-base.log',
                 fixed(base, machine))
    new = run_on(machine, 'series', base, tree, objects,
                 where / f'compare-{machine}-series.log')
    found = differences(old, new)
    wrong, stale = judge(found, machine)
    for case, field, before, after in wrong:
        note(f'{case}: {field or "the case"}\n    base:   {before}\n    series: {after}')
    for item in stale:
        note(f'expected and not there: {item}')
    if wrong:
        case, field, before, after = wrong[0]
        raise Fail(f'{len(wrong)} differences that nothing expects: {case}: {field}: {before} '
                   f'became {after}')
    if stale:
        raise Fail(f'{len(stale)} expected differences are not there any more: '
                   f'{stale[0].field}: {stale[0].reason}')
    return (f'{len(old)} cases, {sum(len(f) for f in old.values())} values, {len(found)} '
            'expected differences')
