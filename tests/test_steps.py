# SPDX-License-Identifier: GPL-2.0
"""Each step of the series builds without a warning, and boots, by itself."""
import pytest
from support import expect

from imslib import series
from imslib import steps as stepsmod


def every():
    patches = series.load()
    wanted = stepsmod.unrecorded(patches)
    for number, patch in enumerate(patches):
        marks = [] if patch.name in wanted else [pytest.mark.rare(minutes=1, why=stepsmod.WHY)]
        yield pytest.param(number, id=patch.path.stem[:48], marks=marks)


@pytest.mark.parametrize('number', every())
def test_builds_and_boots(number, steps, log, answered):
    if stepsmod.try_step(*steps, number, log):
        answered('built and booted before')


@pytest.mark.needs('scripts/imslib/steps')
def test_a_change_is_told_apart(tmp_path):
    """From one that only has moved, or has another changelog"""
    head = 'Subject: One\n\n---\n a | 1 +\n\ndiff --git a/a b/a\n'
    texts = [head + '@@ -1,3 +1,4 @@ a\n x\n+y\n', head + '@@ -7,3 +9,4 @@ b\n x\n+y\n',
             head + '@@ -1,3 +1,4 @@ a\n x\n+z\n', head.replace('One', 'Two') +
             '@@ -1,3 +1,4 @@ a\n x\n+y\n']
    found = []
    for number, text in enumerate(texts):
        path = tmp_path / f'{number}.patch'
        path.write_text(text, encoding='utf-8')
        found.append(stepsmod.change(series.Patch(path)))
    expect(found[0] == found[1] == found[3] != found[2], f'wrong: {found}')
