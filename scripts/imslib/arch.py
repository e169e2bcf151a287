# SPDX-License-Identifier: GPL-2.0
"""The architectures of the machines: what is different to build and to boot on each."""
from typing import NamedTuple


class Arch(NamedTuple):
    """kernel       ARCH= of the kernel's makefiles
    cross        prefix of the compiler and its tools, '' for the machine's own
    image        the bootable image in an O= directory
    emulator     QEMU's program
    uart, tests  the devices of the two serial lines: the kernel's, and the programs'
    append       kernel options of every run
    serial       QEMU's options for the second serial line, {} is its character device
    """
    kernel: str
    cross: str
    image: str
    emulator: str
    uart: str
    tests: str
    append: tuple
    serial: tuple

    def tool(self, name):
        return f'{self.cross}{name}'


ARCHES = {
    'x86_64': Arch(
        kernel='x86_64', cross='', image='arch/x86/boot/bzImage',
        emulator='qemu-system-x86_64', uart='ttyS0', tests='ttyS1',
        # The test of the timer interrupt panics on a busy host: it wants some of them
        # within a time that an emulated CPU may not even run in.
        append=('intel_iommu=on', 'no_timer_check'),
        serial=('-serial', 'chardev:{}')),
    # The machine has one UART only.
    'arm64': Arch(
        kernel='arm64', cross='aarch64-linux-gnu-', image='arch/arm64/boot/Image',
        emulator='qemu-system-aarch64', uart='ttyAMA0', tests='ttyS0', append=(),
        serial=('-device', 'pci-serial,chardev={}')),
}
HOST = 'x86_64'


def of_config(config):
    """The architecture of a kernel: those that are not the host's have it in their name."""
    name, _, rest = config.partition('-')
    return ARCHES[name if rest else HOST]


def config_for(arch, config):
    return config if arch == HOST else f'{arch}-{config}'
