# SPDX-License-Identifier: GPL-2.0
"""What the tests of several subjects use."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from imslib import qemu
from imslib.util import ROOT, Fail, cache, git, git_env, run


def note(log, text):
    with open(log, 'a', encoding='utf-8') as file:
        file.write(text.rstrip('\n') + '\n')


def expect(condition, text):
    if not condition:
        raise Fail(text)


def passes(result, log, show):
    expect(result, f'{result}; see {log}')
    show(result.summary())


def nothing_wrong(log, wrong):
    note(log, '=== wrong\n' + '\n'.join(wrong))
    expect(not wrong, f'{len(wrong)}: {wrong[0] if wrong else ""}; see {log}')


def packages(name):
    """Those of configs/packages-NAME. A test is skipped if one is missing that only root can
    install."""
    done = run([ROOT / 'scripts/deps', name], check=False,
               env={**qemu.apt_env(), **own_setting('KERNEL_SRC')})
    if done.returncode:
        why = (done.stderr or done.stdout).strip().splitlines()[-1]
        if os.geteuid() == 0:
            raise Fail(why)
        pytest.skip(why)


def each_or_rare(names, each, minutes):
    """Parameters for pytest: `make check` has those in `each`, the others are rare."""
    left = ', '.join(name for name in names if name not in each)
    why = f'on {left}: each check has {", ".join(name for name in names if name in each)}'
    return [pytest.param(name, marks=[] if name in each else
                         [pytest.mark.rare(minutes=minutes, why=why)]) for name in names]


def git_in(tree, *args):
    return run(['git', '-C', tree, '-c', 'user.name=A Developer',
                '-c', 'user.email=developer@example.org', *args], env={
                    **git_env(), 'GIT_AUTHOR_NAME': 'A Developer',
                    'GIT_AUTHOR_EMAIL': 'developer@example.org'})


class Checkout:
    """A copy of this checkout that can be spoilt. Shares the cache, if no other
    is named, and has a build directory of its own, whose logs outlive it beside `log`."""

    def __init__(self, path, log, **env):
        self.path, self.log = path, log
        self.env = {**qemu.apt_env(), 'IMS_CACHE': str(cache())}
        for name in ('KERNEL_SRC', 'QEMU_SRC', 'JOBS'):
            self.env.update(own_setting(name))
        self.env.update(env)
        shutil.rmtree(path, ignore_errors=True)
        names = run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                    cwd=ROOT, env=git_env()).split('\0')[:-1]
        for name in names:
            if (ROOT / name).is_file():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, path / name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in ('bench', 'boot', 'stress', 'log'):
            if (self.path / 'build' / name).is_dir():
                shutil.copytree(self.path / 'build' / name, self.log.with_suffix('') / name,
                                dirs_exist_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def commit_all(self):
        """Make a repository of it, so that nothing in it is somebody's only copy."""
        for args in (('init', '-q'), ('add', '-A'), ('commit', '-q', '-m', 'The project')):
            git_in(self.path, *args)

    def make(self, *words, **env):
        """(exit status, standard output, standard error)"""
        cmd = ['make', '-s', *words]
        done = subprocess.run(cmd, cwd=self.path, env={**self.env, **env}, check=False,
                              stdin=subprocess.DEVNULL, text=True, capture_output=True)
        note(self.log, f'$ {" ".join(cmd)} {env}\n{done.stdout}{done.stderr}'
                       f'exit {done.returncode}')
        return done.returncode, done.stdout, done.stderr

    def must(self, *words, **env):
        status, out, err = self.make(*words, **env)
        why = err.strip()[-300:].replace(str(self.path / 'build'), str(self.log.with_suffix('')))
        expect(status == 0, f'make {" ".join(words)}: {why}; see {self.log}')
        return out

    def refuses(self, pattern, *words, **env):
        """The command fails with one line of error, which the pattern matches."""
        status, _, err = self.make(*words, **env)
        expect(status != 0, f'make {" ".join(words)} {env} did not fail; see {self.log}')
        lines = [l for l in err.splitlines() if l.strip() and not l.startswith('make')]
        expect(len(lines) == 1, f'make {" ".join(words)}: {len(lines)} lines of error, not '
                                f'one; see {self.log}')
        expect(re.search(pattern, lines[0]), f'make {" ".join(words)}: "{lines[0]}" does not '
                                             f'match "{pattern}"')

    def git(self, *args):
        return git('-C', self.path / 'build/linux', '-c', 'user.name=check',
                   '-c', 'user.email=check', *args)

    def files(self):
        """What export writes, by name."""
        found = {}
        for top in ('patches', 'linux'):
            for path in sorted((self.path / top).rglob('*')):
                if path.is_file():
                    found[str(path.relative_to(self.path))] = (path.stat().st_mode & 0o777,
                                                               path.read_bytes())
        return found

    def line(self):
        """The steps of build/linux: subject, message and content of each."""
        return self.git('log', '--reverse', '--format=%T %an <%ae> %at%n%B',
                        'refs/ims/base..HEAD')


def own_setting(name):
    """{name: value} of what the user has set, as another directory needs it"""
    value = os.environ.get(name)
    if not value:
        return {}
    return {name: value if name == 'JOBS' else str(Path(value).expanduser().resolve())}
