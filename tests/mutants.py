#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""mutants.py [--count N] [--seed S] [--minutes M] [--judge NAME] [TEXT...]: whether the
tests notice what is wrong.

Builds mutants of the series, see mutate.py, runs the tests that should notice each, and
lists those that survive. --count mutants are drawn by --seed from those whose name has
one of the texts, if any; none is begun after --minutes. --judge is a part of the name of
the only judges that are asked. A mutant that was judged before with these sources is not
run again, so a run that was stopped goes on where it was.

Words
  judge     a kernel and what runs on it, see JUDGES
  noticed   a judge failed, or was not over in BOUND times what it takes without a mutant
  survived  each judge that has the code passed
  same      no judge has another object than without the mutant: the code is not built
            there, or the compiler makes the same of it
  unbuilt   it does not compile, and so is no mutant

Mutants are git trees. They are built in a cache of their own, `mutants` in the cache,
with a source tree and O= directories that nothing else uses. Each build starts with a
checkout, so that nothing has to be put back. What does not depend on a mutant is shared.
"""
import argparse
import contextlib
import fnmatch
import os
import shutil
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / 'scripts'), str(Path(__file__).parent)]

import mutate  # noqa: E402
from imslib import (arch, base as basemod, boot, cross, initramfs, kernel, kunit,  # noqa: E402
                    overlay, qemu, series)
from imslib.util import (BUILD, ROOT, Fail, cache, digest, digest_code, entry,  # noqa: E402
                         git, git_env, have_entry, locked, main, no_space, run, say, scratch)

ACCEPTED = ROOT / 'tests/mutants.accepted'
# Entries of the cache that depend on their content alone
SHARED = ('base', 'busybox', 'ccache', 'initramfs', 'memo', 'qemu', 'qemu-src')
# A mutant may take so many times what the tests take without one, or so many seconds.
BOUND, LEAST = 3, 60
GOAL = 95


class Same(Exception):
    """A judge has the same object as without the mutant."""


class Kunit:
    """Suites, on a platform"""

    def __init__(self, platform, suites):
        self.platform, self.suites = platform, suites
        self.name = f'kunit on {platform}'

    def build_dir(self):
        return kunit.build_dir(self.platform)

    def run(self, snapshot, log, bound, built):
        kunit.run(*snapshot, log, self.platform, self.suites, bound, built)


class Boot:
    """A kernel, with some selftests"""

    def __init__(self, programs, config='lean'):
        self.programs, self.config = programs, config
        self.name = f'{config} with {programs}'

    def build_dir(self):
        return kernel.objdir(self.config)

    def run(self, snapshot, log, bound, built):
        image = kernel.get(self.config, *snapshot, log=log)
        try:
            built()
            result = boot.run('intel-ir', self.config, self.programs, log,
                              built=(*snapshot, ''), silence=min(bound, boot.SILENCE), total=bound)
        finally:
            shutil.rmtree(image)
        if not result:
            raise Fail(f'{result}; see {log}')


KUNIT = Kunit('um', 'msi_*')
# What takes several CPUs to notice
SEVERAL = Kunit('x86_64', 'msi_lock')
STORES, PCI = Boot('ims_store,ims_device,ims_change,ims_view'), Boot('pci_msi,ims_power')
# Where each allocation fails in turn
FAILING = Boot('msi_fault', 'devices')
# Who should notice what is wrong in a file, first the one that is cheap. legacy.c is not
# built on x86.
JUDGES = (
    ('kernel/irq/tests/*', ()),
    ('kernel/irq/msi_storage_debug.c', (KUNIT,)),
    ('kernel/irq/msi*.c', (KUNIT, STORES, SEVERAL)),
    ('drivers/irqchip/irq-ims-generic.c', (KUNIT, STORES)),
    ('drivers/pci/msi/legacy.c', ()),
    ('drivers/pci/msi/*test*.c', ()),
    ('drivers/pci/msi/*.c', (KUNIT, PCI, FAILING)),
)


def judges_of(path, only=''):
    """Those for a file whose name has `only` in it"""
    judges = next((found for pattern, found in JUDGES if fnmatch.fnmatchcase(path, pattern)), ())
    return [judge for judge in judges if only in judge.name]


@contextlib.contextmanager
def own_cache():
    """Have the cache `mutants` in the place of the cache."""
    qemu.get()
    shared, before = cache(), os.environ.get('IMS_CACHE')
    own = shared / 'mutants'
    own.mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        (shared / name).mkdir(exist_ok=True)
        if not (own / name).is_symlink():
            (own / name).symlink_to(shared / name)
    os.environ['IMS_CACHE'] = str(own)
    try:
        with locked('mutants'):
            yield
    finally:
        del os.environ['IMS_CACHE']
        if before is not None:
            os.environ['IMS_CACHE'] = before


def object_of(judge, path):
    """A digest of an object without what is for debuggers; '' if the judge has none"""
    file = judge.build_dir() / Path(path).with_suffix('.o')
    if not file.exists():
        return ''
    with scratch('object') as tmp:
        run(['objcopy', '--strip-debug', file, tmp / 'object'])
        return digest((tmp / 'object').read_bytes())


class Judging:
    """Judges of mutants of one tree."""

    def __init__(self, base, tree, objects, log, only=''):
        self.snapshot, self.log, self.only = (base, tree, objects), log, only
        names = git('ls-tree', '-r', '--name-only', tree, repo=base.repo, env=git_env(
            GIT_ALTERNATE_OBJECT_DIRECTORIES=str(objects))).splitlines()
        self.paths = [path for path in names if judges_of(path, only)]
        self.texts = dict(zip(self.paths, cross.tree_files(base, tree, objects, *self.paths)))
        self.plain = {}

    def mutants(self):
        return [m for path in self.paths for m in mutate.mutants(path, self.texts[path])]

    def run(self, judge, snapshot, bound, built):
        self.log.unlink(missing_ok=True)
        judge.run(snapshot, self.log, bound, built)

    def without(self, judge):
        """(seconds that a run may take, {path: object}) of a judge without a mutant"""
        if judge not in self.plain:
            start, found = [], {}

            def built():
                start.append(time.monotonic())
                found.update((path, object_of(judge, path)) for path in self.paths)
            self.run(judge, self.snapshot, kunit.BOUND, built)
            seconds = time.monotonic() - start[0]
            say(f'{judge.name}: passes without a mutant, in {seconds:.0f} s')
            self.plain[judge] = max(LEAST, int(BOUND * seconds)), found
        return self.plain[judge]

    def mutated(self, mutant):
        """The git tree with the mutant"""
        base, tree, objects = self.snapshot
        with scratch('mutant') as tmp:
            (tmp / 'source').write_text(mutant.apply(self.texts[mutant.path]), encoding='utf-8')
            return overlay.tree(base, tree, objects, {mutant.path: tmp / 'source'}, {})

    def verdict(self, mutant):
        """(word, who or what says so)"""
        base, _, objects = self.snapshot
        tree, passed = self.mutated(mutant), []
        for judge in judges_of(mutant.path, self.only):
            bound, plain = self.without(judge)
            done = []

            def built():
                done.append(judge)
                if object_of(judge, mutant.path) == plain[mutant.path]:
                    raise Same
            try:
                if plain[mutant.path]:
                    self.run(judge, (base, tree, objects), bound, built)
                    passed.append(judge.name)
            except Same:
                continue
            except Fail as err:
                if not done and ' error: ' in str(err):
                    return 'unbuilt', str(err)
                if not done or no_space() in str(err):
                    raise
                return 'noticed', f'{judge.name}: {err}'
        return ('survived', ', '.join(passed)) if passed else ('same', '')

    def judge(self, mutant):
        """The same, from the cache if it is there, and whether it is"""
        def build(out):
            word, why = self.verdict(mutant)
            (out / 'verdict').write_text(f'{word}\n{why}\n{mutant.name}\n', encoding='utf-8')
        key = digest(
            mutant.name, kernel.sources(*self.snapshot), kernel.compiler(),
            initramfs.initramfs_key(*self.snapshot, arch.HOST), qemu.get().name, boot.MACHINES,
            *sorted((ROOT / 'configs').glob('*.config')), Path(mutate.__file__), Path(__file__),
            digest_code('boot', 'kernel', 'kunit', 'verdict'),
            *(judge.name for judge in judges_of(mutant.path, self.only)))
        before = bool(have_entry('mutant', key))
        path = entry('mutant', key, build)
        return (*(path / 'verdict').read_text(encoding='utf-8').split('\n')[:2], before)


def known():
    return mutate.accepted(ACCEPTED.read_text(encoding='utf-8'))


def judge_some(log, count, seed, texts=(), minutes=0, only=''):
    """{word: [name of a mutant]}; says each one"""
    found = {word: [] for word in ('noticed', 'survived', 'same', 'unbuilt', 'judged before')}
    built = series.snapshot()[:3]
    with own_cache():
        end = time.monotonic() + 60 * minutes
        judging = Judging(*built, log, only)
        mutants = [m for m in judging.mutants() if not texts or any(t in m.name for t in texts)]
        for number, mutant in enumerate(mutate.draw(mutants, known(), count, seed), 1):
            if minutes and time.monotonic() > end:
                break
            word, why, before = judging.judge(mutant)
            found[word].append(mutant.name)
            if before:
                found['judged before'].append(mutant.name)
            say(f'{number}: {word}: {mutant.name}' + (f'\n  {why}' if why else ''))
    return found


def share(found):
    """Of a hundred mutants, those that were noticed"""
    noticed, survived = len(found['noticed']), len(found['survived'])
    return 100 * noticed / (noticed + survived) if noticed + survived else 100


def program():
    parser = argparse.ArgumentParser(description='What do the tests notice?')
    parser.add_argument('--count', type=int, default=200)
    parser.add_argument('--seed', default='0')
    parser.add_argument('--minutes', type=float, default=0)
    parser.add_argument('--judge', default='')
    parser.add_argument('texts', nargs='*', metavar='TEXT')
    args = parser.parse_args()
    basemod.get()
    found = judge_some(BUILD / 'mutants/log', args.count, args.seed, args.texts,
                       args.minutes, args.judge)
    for name in found['survived']:
        say(f'survived: {name}')
    say(f'{share(found):.0f} % noticed; ' +
        ', '.join(f'{len(names)} {word}' for word, names in found.items()))
    return share(found) < GOAL


if __name__ == '__main__':
    main('mutants', program)
