# SPDX-License-Identifier: GPL-2.0
"""The QEMU of the folder, in place of that of the cache."""
from .util import ROOT


def get():
    return ROOT / 'qemu'
