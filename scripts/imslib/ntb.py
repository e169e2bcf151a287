# SPDX-License-Identifier: GPL-2.0
"""The test `ntb`: two ports of a non-transparent bridge in one guest, and the kernel's
own clients of the NTB core on them. tests/guest/ntb is the program in the guest and has
the same addresses."""
from . import boot

# Bounds of the run, beyond those that the program has for its parts
SILENCE, TOTAL = 300, 1800

# Where a window is no larger than the range of all messages, it starts where some of
# them are. Others start below, at a multiple of the size of the window.
SMALL, LARGE = 1 << 20, 4 << 20
WINDOWS = {'intel-ir': LARGE, 'amd-ir': SMALL, 'no-iommu': SMALL}


def hardware(size):
    return ('-device', f'ims-ntb,id=ntb0,addr=16.0,window-size={size}',
            '-device', f'ims-ntb,id=ntb1,addr=17.0,window-size={size},peer=ntb0')


# What can be spoilt, and what the test that has to notice says of it
SPOILT = {'trigger': r'not ok: .*\(.*interrupt \d+ of \S+ does not arrive',
          'move': r'not ok: .*\(.*CPU',
          'content': r'not ok: .*\(.*wrong content at',
          'ring': r'not ok: .*\(after the last ring',
          'flap': r'not ok: .*\(.*does not bring its queue up'}

# How often the link flaps
FEW, FLAPS = 100, 1000


def run(machine, log, spoil='nothing', flaps=FEW, config='devices'):
    """A Verdict."""
    return boot.run(machine, config, 'ntb', log, silence=SILENCE, total=TOTAL,
                    extra=('ims.end=reboot', f'ntb.spoil={spoil}', f'ntb.flaps={flaps}'),
                    hardware=hardware(WINDOWS[machine]))
