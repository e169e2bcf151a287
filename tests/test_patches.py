# SPDX-License-Identifier: GPL-2.0
"""What maintainers' tools say of the patches."""
import fnmatch
import inspect
import re
from functools import partial

import pytest
from support import expect, note, nothing_wrong

from imslib import cross, kernel, series, warnings
from imslib.util import (ROOT, Fail, clean_env, digest, entry, git, have_entry, locked, run)

CONF = ROOT / '.checkpatch.conf'


def check_patch(text, log, out):
    """An entry for a patch that checkpatch does not complain of"""
    patch = out / 'patch'
    patch.write_text(text, encoding='utf-8')
    done = run(['perl', 'scripts/checkpatch.pl', '--color=never', patch], check=False,
               cwd=kernel.src(), env=clean_env(HOME=str(CONF.parent)))
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
            key = digest(text.partition('\n')[2], base.commit, CONF,
                         inspect.getsource(check_patch))
            known += bool(have_entry('checkpatch', key))
            try:
                entry('checkpatch', key, partial(check_patch, text, log))
            except Fail as err:
                bad.append(str(err))
    if known:
        answered(f'{known} of {len(commits)} steps')
    expect(not bad, f'{len(bad)} of {len(commits)} steps: {bad[:3]}; see {log}')


@pytest.mark.needs('patches/', 'linux/')
def test_every_new_file_has_a_maintainer(steps):
    """Other than those of everything, F: */ and *"""
    base, tip, _ = steps
    text = git('cat-file', 'blob', f'{tip}:MAINTAINERS', repo=base.repo)
    patterns = set(re.findall(r'^F:\t(\S+)', text, re.M)) - {'*', '*/'}

    def covers(pattern, path):
        if pattern.endswith('/'):
            return path.startswith(pattern) or fnmatch.fnmatch(path, f'{pattern}*')
        return fnmatch.fnmatch(path, pattern) and path.count('/') == pattern.count('/')
    left = [path for path in series.linux_files() if not any(covers(p, path) for p in patterns)]
    expect(not left, f'MAINTAINERS has no entry for {left}')


@pytest.mark.needs('patches/', r'(?:linux/)?(?:arch|drivers|include|kernel|lib)/')
def test_no_new_warning(snapshot, log, only, show):
    """of gcc W=1, sparse or kernel-doc"""
    files = [path for path in cross.changes(*snapshot[:3]) if only is None or path in only]
    added, count = warnings.added(*snapshot[:3], files, log)
    expect(only is not None or count > 5, f'only {count} objects were checked; see {log}')
    show(f'{count} objects')
    nothing_wrong(log, added)
