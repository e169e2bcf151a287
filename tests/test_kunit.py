# SPDX-License-Identifier: GPL-2.0
"""KUnit, where a platform has the suites."""
import pytest

from imslib import kunit

# UML is there in seconds.
PLATFORMS = [pytest.param(name, marks=[pytest.mark.quick] if name == 'um' else [])
             for name in kunit.PLATFORMS]


@pytest.mark.parametrize('platform', PLATFORMS)
def test_suites(platform, snapshot, log, show):
    show(f'{kunit.run(*snapshot[:3], log, platform)} passed')
