# SPDX-License-Identifier: GPL-2.0
"""Kernels, built once for each tree, configuration and compiler.

The entry kernel/CONFIG-KEY holds bzImage, vmlinux, System.map, the final config
and the modules, if it has any. What is not there is built from one source tree of
the cache, kernel/src, that is moved from commit to commit, in one O= directory per
configuration, so that only what differs is compiled. The tree holds exactly the git
tree that is asked for, whatever was there before. One lock guards tree and directories.
"""
import contextlib
import re
import shutil
from pathlib import Path

from . import arch
from .util import (ROOT, Fail, cache, clean_env, digest, digest_functions, entry, fresh_log,
                   git, git_env, have_entry, jobs, locked, run, say, step)

CONFIGS = {
    'bench': ('lean.config', 'bench.config'),
    'lean': ('lean.config',),
    'debug': ('lean.config', 'debug.config'),
    'devices': ('lean.config', 'devices.config', 'leaks.config'),
    'fixes': ('lean.config', 'fixes.config'),
    'full': ('lean.config', 'debug.config', 'devices.config'),
    'rules': ('lean.config', 'rules.config'),
    'warnings': ('lean.config', 'drivers.config', 'warnings.config'),
}
# What they have of the series beyond series.config, if it is not series.CONFIG.config.
MORE = {'full': 'series.devices.config', 'warnings': 'series.all.config'}
# What of a tree, and of its tools, goes into no kernel. Documentation/Kconfig does, and
# objtool.
IDLE = ('Documentation', 'MAINTAINERS', 'tools', 'testing')
KEPT = {'vmlinux': 'vmlinux', 'System.map': 'System.map', '.config': 'config'}
# What is booted, whatever the architecture calls it
IMAGE = 'bzImage'


def src():
    return cache() / 'kernel-src' / 'linux'


def objdir(config):
    return cache() / 'kernel-src' / config


def fragments(config):
    """The files of a configuration. The part of NAME.config that only one architecture has
    is NAME.ARCH.config."""
    name = config.rpartition('-')[2]
    kind = arch.of_config(config).kernel
    return [file for shared in CONFIGS[name]
            for file in (shared, f'{shared.removesuffix(".config")}.{kind}.config')
            if (ROOT / 'configs' / file).exists()]


def kept(config):
    return {arch.of_config(config).image: IMAGE, **KEPT}


def fragment(name):
    """{symbol: its line} of a file in configs/"""
    lines = {}
    for line in (ROOT / 'configs' / name).read_text(encoding='utf-8').splitlines():
        match = re.match(r'(?:# )?(CONFIG_\w+)(?:=| is not set)', line)
        if match:
            lines[match.group(1)] = line
    return lines


def wanted(config, base, tree, objects):
    """The lines that the final .config must have. The series' own symbols are asked for
    where the tree's Kconfig files know them: the early steps do not. Those of series.config
    select each other: where they have no prompt, they are asked for together."""
    lines = {}
    for name in fragments(config):
        lines.update(fragment(name))
    env = git_env(GIT_ALTERNATE_OBJECT_DIRECTORIES=str(objects))
    together = fragment('series.config')
    name = config.rpartition('-')[2]
    more = MORE.get(name, f'series.{name}.config')
    prompts = fragment(more) if (ROOT / 'configs' / more).exists() else {}
    own = together | prompts
    names = '|'.join(name[len('CONFIG_'):] for name in own)
    found = git('grep', '-hE', f'^[[:space:]]*(menu)?config ({names})$', tree, '--',
                'drivers/Kconfig', 'drivers/irqchip/Kconfig', 'drivers/misc/*Kconfig',
                'drivers/pci/Kconfig', 'drivers/ntb/*Kconfig', 'drivers/net/*/ath11k/Kconfig',
                'kernel/irq/Kconfig', 'lib/*Kconfig*',
                repo=base.repo, env=env, check=False).stdout
    known = {f'CONFIG_{line.split()[1]}' for line in found.splitlines()}
    if not together.keys() <= known:
        known -= together.keys() - prompts.keys()
    return lines | {symbol: line for symbol, line in own.items() if symbol in known}


def sources(base, tree, objects):
    """A digest of what of a git tree a kernel can be made of, so that one that differs
    in its tests and documents alone has no kernels of its own."""
    env = git_env(GIT_ALTERNATE_OBJECT_DIRECTORIES=str(objects))
    parts = [*git('ls-tree', tree, repo=base.repo, env=env).splitlines(),
             *git('ls-tree', f'{tree}:tools', repo=base.repo, env=env,
                  check=False).stdout.splitlines(),
             git('rev-parse', f'{tree}:Documentation/Kconfig', repo=base.repo, env=env,
                 check=False).stdout]
    return digest('\n'.join(line for line in parts
                            if line.partition('\t')[2] not in IDLE))


def compiler(kind=arch.HOST):
    tools = arch.ARCHES[kind].tool('gcc'), arch.ARCHES[kind].tool('ld')
    return ''.join(run([tool, '--version']).splitlines()[0] + '\n' for tool in tools)


def kernel_key(config, base, tree, objects):
    lines = wanted(config, base, tree, objects)
    return digest(sources(base, tree, objects), '\n'.join(lines.values()),
                  compiler(arch.of_config(config).kernel), repr(kept(config)),
                  digest_functions(*make_functions(), build_in_place, copy_modules))


def make_functions():
    """What decides how a kernel is made, for the key of what is made with it"""
    return configure_in, make_in, make_env


def name_of(config, key):
    return f'{config}-{key}'


def find(config, base, tree, objects):
    return have_entry('kernel', name_of(config, kernel_key(config, base, tree, objects)))


def get(config, base, tree, objects, label='', log=None):
    """The directory of the kernel for this git tree."""
    key = kernel_key(config, base, tree, objects)
    label = label or f'kernel ({config})'

    def build(out):
        say(f'{label}: building')
        with locked('kernel-src'):
            where = log or fresh_log(f'kernel-{config}')
            build_in_place(config, base, tree, objects, label, where, key)
            for path, name in kept(config).items():
                shutil.copy2(objdir(config) / path, out / name)
                if not (out / name).stat().st_size:
                    raise Fail(f'{label}: {path} is empty; see {where}')
            if has_modules(config):
                copy_modules(config, out / 'modules')
    return entry('kernel', name_of(config, key), build)


def has_modules(config):
    return '\nCONFIG_MODULES=y\n' in (objdir(config) / '.config').read_text(encoding='ascii')


def copy_modules(config, out):
    """The modules, and `order`, which names them so that each one follows those that
    it needs."""
    top, out = objdir(config), Path(out)
    out.mkdir()
    needs = {}
    for name in (top / 'modules.order').read_text(encoding='ascii').split():
        path = top / name
        shutil.copy2(path, out / path.name)
        found = run(['/sbin/modinfo', '-F', 'depends', path]).strip()
        needs[path.stem.replace('-', '_')] = (
            path.name, found.replace('-', '_').split(',') if found else [])

    order = []

    def add(name):
        file, before = needs[name]
        for other in before:
            add(other)
        if file not in order:
            order.append(file)

    for name in sorted(needs):
        add(name)
    (out / 'order').write_text('\n'.join(order) + '\n', encoding='ascii')


def checkout(base, tree, objects):
    """Make kernel/src hold this git tree. Wants the kernel-src lock."""
    index = cache() / 'kernel-src' / 'index'
    state = cache() / 'kernel-src' / 'tree'
    src().mkdir(parents=True, exist_ok=True)
    state.unlink(missing_ok=True)
    env = git_env(GIT_INDEX_FILE=str(index), GIT_ALTERNATE_OBJECT_DIRECTORIES=str(objects))
    # A leftover of a run that was killed: nobody else is here.
    index.with_name('index.lock').unlink(missing_ok=True)
    at = {'repo': base.repo, 'env': env, 'cwd': src()}
    worktree = ['--work-tree', src()]

    def here(*args, **kw):
        return git(*worktree, *args, **at, **kw)
    if here('update-index', '-q', '--refresh', check=False).returncode not in (0, 1):
        index.unlink(missing_ok=True)
    here('-c', 'checkout.workers=0', 'read-tree', '--reset', '-u', tree)
    for path in here('ls-files', '-z', '--others').split('\0')[:-1]:
        (src() / path).unlink()
    if here('diff-files', '--name-only'):
        index.unlink()
        raise Fail(f'{src()} is not what git put there: try again')
    state.write_text(tree, encoding='ascii')


def make_cmd(config, *targets):
    return make_in(src(), objdir(config), *targets, kind=arch.of_config(config))


def make_in(source, out, *targets, kind=arch.ARCHES[arch.HOST]):
    cmd = ['make', '-C', source, f'O={out}', f'-j{jobs()}',
           'KBUILD_BUILD_USER=ims', 'KBUILD_BUILD_HOST=ims', 'KBUILD_BUILD_VERSION=1',
           'KBUILD_BUILD_TIMESTAMP=2022-12-11']
    if kind.cross:
        cmd += [f'ARCH={kind.kernel}', f'CROSS_COMPILE={kind.cross}']
    if shutil.which('ccache'):
        cmd += [f'CC=ccache {kind.tool("gcc")}']
    return [*cmd, *targets]


def make_env():
    # Not CCACHE_DEPEND: with it, ccache does not see what .incbin takes in. The namespace is
    # for a cache that was filled with it.
    return clean_env(CCACHE_DIR=str(cache() / 'ccache'), CCACHE_MAXSIZE='3G',
                     CCACHE_NOHASHDIR='1', CCACHE_NAMESPACE='incbin')


def configure(config, base, tree, objects, label, log, where=None):
    """.config in the O= directory `where`, which is called as the configuration
    unless the caller wants one of its own."""
    configure_in(src(), objdir(where or config), wanted(config, base, tree, objects), label,
                 log, ', '.join(fragments(config)), arch.of_config(config))


def configure_in(source, out, lines, label, log, names, kind=arch.ARCHES[arch.HOST]):
    """.config in the O= directory `out` of any source tree. names are the files that
    the lines come from."""
    out.mkdir(parents=True, exist_ok=True)
    (out / 'wanted').write_text('\n'.join(lines.values()) + '\n', encoding='ascii')
    step(f'{label}: configure',
         make_in(source, out, f'KCONFIG_ALLCONFIG={out / "wanted"}', 'allnoconfig', kind=kind),
         log=log, env=make_env())
    final = (out / '.config').read_text(encoding='ascii').splitlines()
    have = set(final)
    for symbol, line in lines.items():
        got = [l for l in final if re.match(rf'(# )?{symbol}[= ]', l)]
        if line not in have and not (line.endswith('not set') and not got):
            raise Fail(f'{label}: {line} is wanted, but the configuration has '
                       f'{got[0] if got else "no such symbol"}: mend configs/ ({names})')


@contextlib.contextmanager
def using(out):
    """Build in the O= directory `out`, which starts empty if the last build in it was
    killed: make takes what that left half done for complete. A build that fails ends in
    good order, make removes its targets. Wants the kernel-src lock."""
    mark = out / '.ims-busy'
    if mark.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    mark.touch()
    try:
        yield
    except Fail:
        mark.unlink()
        raise
    mark.unlink()


def build_in_place(config, base, tree, objects, label, log, key):
    """Wants the kernel-src lock; leaves the O= directory as this build's."""
    checkout(base, tree, objects)
    with using(objdir(config)):
        stamp = objdir(config) / '.ims-key'
        stamp.unlink(missing_ok=True)
        configure(config, base, tree, objects, label, log)
        image = Path(arch.of_config(config).image).name
        targets = (image, 'modules') if has_modules(config) else (image,)
        step(label, make_cmd(config, *targets), log=log, env=make_env())
        stamp.write_text(key, encoding='ascii')


def bring_back(config, base, tree, objects):
    """Have the source tree and the O= directory stand for this kernel, which may
    have come from the cache after they were used for another."""
    with locked('kernel-src'):
        bring_back_locked(config, base, tree, objects)


def bring_back_locked(config, base, tree, objects):
    """Wants the kernel-src lock"""
    if None in where_built(config, base, tree, objects):
        label = f'kernel ({config})'
        say(f'{label}: source tree and O= directory')
        build_in_place(config, base, tree, objects, label, fresh_log(f'kernel-{config}'),
                       kernel_key(config, base, tree, objects))


def where_built(config, base, tree, objects):
    """(source tree, O= directory) if they are those of this kernel, else Nones."""
    key = kernel_key(config, base, tree, objects)
    state, stamp = cache() / 'kernel-src' / 'tree', objdir(config) / '.ims-key'
    out_is = stamp.exists() and stamp.read_text(encoding='ascii') == key
    src_is = state.exists() and state.read_text(encoding='ascii') == tree
    return (src() if src_is else None), (objdir(config) if out_is else None)
