# SPDX-License-Identifier: GPL-2.0
"""The table of what scripts/ims can do."""

from . import arch
from . import base as base_kernel
from . import bench, boot, check, images, initramfs, kernel, kunit, profile, qemu, series, steps
from .util import say


def build_kernel():
    base, tree, objects, words = series.snapshot()
    say(f'kernel: {words}')
    say(f'kernel: {kernel.get("lean", base, tree, objects)}/bzImage')
    kernel.bring_back('lean', base, tree, objects)


def build_qemu():
    say(f'qemu: {qemu.get()}/qemu-system-x86_64')


def paths():
    """NAME=path of what is built for MACHINE; what is not there is left out."""
    if not base_kernel.have():
        return
    kind = boot.machine_row(boot.wanted_machine())['arch']
    built = series.snapshot()[:3]
    lean = arch.config_for(kind, 'lean')
    found = {}
    for name, config in (('KERNEL', lean), ('KERNEL_DEBUG', arch.config_for(kind, 'debug'))):
        path = kernel.find(config, *built)
        found[name] = path and path / kernel.IMAGE
    found['KERNEL_TREE'], found['KERNEL_BUILD'] = kernel.where_built(lean, *built)
    path = qemu.find()
    found['QEMU'] = path and path / arch.ARCHES[kind].emulator
    path = initramfs.find(*built, kind)
    found['INITRAMFS'] = path and path / 'initramfs.cpio.gz'
    for name, path in found.items():
        if path:
            print(f'{name}={path}')


TABLE = {
    'tree': series.tree,
    'export': series.export,
    'fixup': series.fixup,
    'mail': series.mail,
    'kernel': build_kernel,
    'qemu': build_qemu,
    'boot': boot.boot,
    'kunit': kunit.kunit,
    'stress': boot.stress,
    'bench': bench.bench,
    'bench-record': bench.record,
    'profile': profile.profile,
    'quick': check.quick,
    'check': check.check,
    'check-all': check.check_all,
    'record-steps': steps.record,
    'images': images.images,
    'paths': paths,
    'clean': series.clean,
}
