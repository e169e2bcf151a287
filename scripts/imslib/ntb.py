# SPDX-License-Identifier: GPL-2.0
"""The test `ntb`: two ports of a non-transparent bridge in one guest, and the kernel's
own clients of the NTB core on them. tests/guest/ntb is the program in the guest and has
the same addresses."""
from . import boot

# Bounds of the run, beyond those that the program has for its parts
SILENCE, TOTAL = 300, 1200

HARDWARE = (
    '-device', 'ims-ntb,id=ntb0,addr=16.0',
    '-device', 'ims-ntb,id=ntb1,addr=17.0,peer=ntb0',
)


def run(machine, log, hardware=HARDWARE):
    """A Verdict."""
    return boot.run(machine, 'devices', 'ntb', log, silence=SILENCE, total=TOTAL,
                    extra=('ims.end=reboot',), hardware=hardware)
