# SPDX-License-Identifier: GPL-2.0
"""Every step of the series builds without a warning and boots by itself. What it changes
and the lean kernel lacks is compiled, and a step of a GIC boots on one as well.

Words
  change    what a step changes, wherever its lines are: a digest of its diff. A changelog
            builds nothing
  recorded  the changes that `make record-steps` has built and booted, in RECORD. `make
            check` takes these for granted, but for the last step of each part and some in turn
"""
import os
import re

from . import arch, boot, initramfs, kernel, qemu, series, warnings
from .util import (ROOT, Fail, digest, digest_code, entry, git, have_entry, run, say,
                   write_atomic)

# {beginning of a path: machine with more of it than intel-ir}
MACHINES = {'drivers/irqchip/irq-gic': 'arm-its'}
# Why `make check` does not build every step
WHY = 'the change of the step is in tests/steps.recorded'
RECORD = ROOT / 'tests/steps.recorded'
HEAD = '''\
# SPDX-License-Identifier: GPL-2.0
#
# The steps that were built and booted, each by itself. Written by `make record-steps`.

'''


def change(patch):
    text = patch.path.read_text('utf-8', 'surrogateescape')
    diff = text[text.index('\ndiff --git '):]
    return digest(re.sub(r'^@@ .* @@.*$', '@@', diff, flags=re.M)
                  .encode('utf-8', 'surrogateescape'))


def recorded():
    """{change: name}"""
    if not RECORD.exists():
        return {}
    lines = RECORD.read_text(encoding='utf-8').splitlines()
    return dict(line.split() for line in lines if line and not line.startswith('#'))


def unrecorded(patches):
    """The names of the patches that are to be built whatever else is: those that are not
    recorded, and the last one of each part."""
    known = recorded()
    return {p.name for p in patches if change(p) not in known} | {
        *{p.part: p.name for p in patches}.values()}


def try_step(base, tip, commits, number, log):
    """Build and boot a step. Whether the cache had the result. All steps boot with the
    programs of the last one, as what they do is only to boot."""
    objects = base.repo / 'objects'
    ramfs = (base, git('rev-parse', f'{tip}^{{tree}}', repo=base.repo).strip(), objects)
    tree = git('rev-parse', f'{commits[number]}^{{tree}}', repo=base.repo).strip()
    label = f'step {number + 1}/{len(commits)}'
    built = (base, tree, objects, label)
    files = series.load()[number].touches
    machines = ['intel-ir', *(machine for start, machine in MACHINES.items()
                              if any(path.startswith(start) for path in files))]
    rows = [boot.machine_row(machine) for machine in machines]
    configs = [arch.config_for(row['arch'], 'lean') for row in rows]
    key = digest(*(kernel.kernel_key(config, *built[:3]) for config in
                   (*configs, *(config for config, _ in warnings.BUILDS.values()))), *files,
                 initramfs.INIT, *(initramfs.busybox(row['arch']) for row in rows),
                 boot.MACHINES, *(str(word) for row in rows for word in boot.engine(row)),
                 qemu.get().name, run(['sparse', '--version'], check=False).stdout,
                 digest_code('boot', 'steps', 'verdict', 'warnings'))
    if have_entry('step', key):
        return True
    for config in configs:
        kernel.get(config, *built[:3], label=label, log=log.with_suffix('.build.log'))

    def build(_):
        new, _ = warnings.added(*built[:3], files, log.with_suffix('.build.log'))
        if new:
            raise Fail(f'{label}: {new[0]}; see {log.with_suffix(".build.log")}')
        for machine in machines:
            its = log if machine == machines[0] else log.with_suffix(f'.{machine}.log')
            result = boot.run(machine, 'lean', 'nothing', its, built=built, ramfs=ramfs)
            if not result:
                raise Fail(f'{label} on {machine}: {result}; see {its}')
    entry('step', key, build)
    return False


def record():
    """make record-steps: those that are not recorded, and with FORCE=1 all"""
    base, tip = series.agree()
    commits = series.commits(base.repo, base.commit, tip)
    patches = series.load()
    known = {} if os.environ.get('FORCE') == '1' else recorded()
    for number, patch in enumerate(patches):
        if change(patch) in known:
            continue
        say(f'step {number + 1}/{len(patches)}: {patch.subject}')
        try_step(base, tip, commits, number, series.BUILD / f'steps/{number + 1}.log')
        known[change(patch)] = patch.name
        write_record(patches, known)
    write_record(patches, known)
    say(f'record-steps: {len(patches)} steps in {series.rel(RECORD)}')


def write_record(patches, known):
    write_atomic(RECORD, HEAD + ''.join(f'{change(p)} {p.name}\n' for p in patches
                                        if change(p) in known))
