# SPDX-License-Identifier: GPL-2.0
"""The kernels of the folder, in place of those of the cache."""
from .util import ROOT

IMAGE = 'bzImage'


def get(config, *_):
    return ROOT / 'kernels' / config
