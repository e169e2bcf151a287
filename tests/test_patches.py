# SPDX-License-Identifier: GPL-2.0
"""What maintainers' tools say of the patches."""
import inspect
import re
from functools import partial

import pytest
from support import expect, note, nothing_wrong

from imslib import cross, kernel, warnings
from imslib.util import Fail, clean_env, digest, entry, git, have_entry, locked, run

# Who posts the series signs it off, and the files that it adds are in directories
# that MAINTAINERS has already, which checkpatch does not look up.
# The base has no history that a Fixes: could be looked up in.
CHECKPATCH_IGNORE = 'MISSING_SIGN_OFF,FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID'


def check_patch(text, log, out):
    """An entry for a patch that checkpatch does not complain of"""
    patch = out / 'patch'
    patch.write_text(text, encoding='utf-8')
    done = run(['perl', 'scripts/checkpatch.pl', '--strict', '--show-types', '--color=never',
                '--ignore', CHECKPATCH_IGNORE, patch], check=False, cwd=kernel.src(),
               env=clean_env(HOME='/nonexistent'))
    subject = re.search(r'^Subject: (?:\[PATCH\] )?(.*)', text, re.M)[1]
    note(log, f'=== {subject}\n{done.stdout}{done.stderr}')
    clean = re.search(r'^total: 0 errors, 0 warnings, 0 checks', done.stdout, re.M)
    if done.returncode or not clean or 'Traceback' in done.stderr:
        raise Fail(subject)


@pytest.mark.needs('patches/', 'linux/')
def test_checkpatch(steps, log, answered):
    base, tip, commits = steps
    bad, known = [], 0
    with locked('kernel-src'):
        kernel.checkout(base, f'{tip}^{{tree}}', base.repo / 'objects')
        for commit in commits:
            text = git('format-patch', '-1', '--stdout', '--no-renames', '--signature=', commit,
                       repo=base.repo)
            # The first line has the id of the commit.
            key = digest(text.partition('\n')[2], base.commit, CHECKPATCH_IGNORE,
                         inspect.getsource(check_patch))
            known += bool(have_entry('checkpatch', key))
            try:
                entry('checkpatch', key, partial(check_patch, text, log))
            except Fail as err:
                bad.append(str(err))
    if known:
        answered(f'{known} of {len(commits)} steps')
    expect(not bad, f'{len(bad)} of {len(commits)} steps: {bad[:3]}; see {log}')


@pytest.mark.needs('patches/', r'(?:linux/)?(?:arch|drivers|include|kernel|lib)/')
def test_no_new_warning(snapshot, log, only, show):
    """of gcc W=1, sparse or kernel-doc"""
    files = [path for path in cross.changes(*snapshot[:3]) if only is None or path in only]
    added, count = warnings.added(*snapshot[:3], files, log)
    expect(only is not None or count > 5, f'only {count} objects were checked; see {log}')
    show(f'{count} objects')
    nothing_wrong(log, added)
