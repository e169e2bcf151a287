# SPDX-License-Identifier: GPL-2.0
"""Other architectures, by compilation."""
import pytest
from support import nothing_wrong

from imslib import cross


@pytest.mark.needs('scripts/imslib/(?:cross|warnings)', 'configs/cross/', 'tests/kernel/stubs')
def test_changed_files_build(snapshot, log, show, answered):
    """for every architecture, with and without MSI"""
    wrong, results, built = cross.check(*snapshot[:3], log)
    every = len(cross.variants())
    if built < every:
        answered(f'{every - built} of {every} configurations')
    nothing_wrong(log, wrong)
    show(f'{sum(len(r["objects"]) for r in results.values())} objects, '
         f'{len(results)} configurations of {len(cross.ARCHES)} architectures')
    for name, result in results.items():
        if result['without']:
            show(f'{name} cannot have {", ".join(result["without"])}')
