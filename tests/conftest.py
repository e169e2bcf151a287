# SPDX-License-Identifier: GPL-2.0
"""Which tests a command runs, and what it prints.

Words
  tier    `quick`, `check` or `all`: the command that was given, `make quick`, `make
          check` or `make check-all`
  share   of the rare tests: `make check` runs one share of them, which the hash of the
          commit chooses, so that each has its turn sooner or later
  passed  an entry of the cache for a test that passed in this checkout, as it is now,
          with these tools and settings. `make check-all` does not run the test again, so
          that it can be stopped and started, and says so at the end. `make check` makes
          such entries, and does not use them
  moved   files that changed while the tests ran: no verdict on either state

A Fail is a failure in one line. What a test prints is shown if it fails.
"""
import os
import re
import shutil
import tempfile
import threading
import time

import pytest

from imslib import boot, cross, initramfs, qemu, series
from imslib.check import CHECK
from imslib.util import (ROOT, Fail, digest, entry, fresh_log, git_env, have_entry, run)

# What no test looks at but those that are in `make quick`
WORDS_ONLY = (':!README.md', ':!COPYING', ':!tests/steps.recorded')
# A share of the rare tests takes about as many minutes, if no single test takes more.
SHARE = 4
# The commands, beside compilers, that results depend on
TOOLS = (('gcc', '--version'), ('ld', '--version'), ('sparse', '--version'),
         ('spatch', '--version'), ('sphinx-build', '--version'))
# Seconds between two lines about what runs
PERIOD = 60


def pytest_addoption(parser):
    parser.addoption('--tier', choices=('quick', 'check', 'all'), default='all')
    parser.addoption('--rare', action='store_true', help='list the rare tests, with the reason')


# --- which tests -----------------------------------------------------------

def rare(item):
    mark = item.get_closest_marker('rare')
    return mark.kwargs['minutes'] if mark else 0


def shares(items):
    """The rare tests in shares that take about as long as each other."""
    found = []
    for item in sorted(items, key=lambda i: (-rare(i), i.nodeid)):
        share = next((s for s in found if sum(map(rare, s)) + rare(item) <= SHARE), None)
        if share is None:
            found.append([item])
        else:
            share.append(item)
    return found


def head():
    done = run(['git', 'rev-parse', 'HEAD'], cwd=ROOT, env=git_env(), check=False)
    return done.stdout.strip() or '0'


def changed():
    """The files of the commits that upstream lacks, or of the last commit where there is
    no upstream, those that differ from it, and those that build/linux has changed, by their
    place in the repository or in the kernel."""
    def ask(*args):
        return run(['git', *args], cwd=ROOT, env=git_env(), check=False).stdout.split()
    start = ask('merge-base', 'HEAD', '@{upstream}') or ['HEAD^']
    names = set(ask('diff', '--name-only', *start) or
                ask('diff-tree', '-r', '-m', '--root', '--name-only', '--no-commit-id', 'HEAD'))
    names |= set(ask('ls-files', '--others', '--exclude-standard'))
    if series.have_tree():
        names |= set(series.in_tree('diff', '--name-only', 'refs/ims/exported').split())
    touched = {path for name in names if name.endswith('.patch') and (ROOT / name).exists()
               for path in series.Patch(ROOT / name).touches}
    return names | touched | {name.removeprefix('linux/') for name in names}


def needed(item, names):
    """Whether its subject has changed, or the test itself. What is rare takes too long."""
    mark = item.get_closest_marker('needs')
    return not rare(item) and bool(mark) and (
        item.nodeid.partition('::')[0] in names or
        any(re.match(pattern, name) for pattern in mark.args for name in names))


def choose(items, tier):
    if tier == 'all':
        return items
    if tier == 'quick':
        names = changed()
        return [i for i in items if i.get_closest_marker('quick') or needed(i, names)]
    parts = shares([i for i in items if rare(i)])
    share = parts[int(head()[:12], 16) % len(parts)] if parts else []
    return [i for i in items if not rare(i) or i in share]


def pytest_collection_modifyitems(config, items):
    for item in items:
        if 'tests/unit/' in item.nodeid:
            item.add_marker('quick')
    # What is quick and breaks often first
    items.sort(key=lambda item: not item.get_closest_marker('quick'))
    tier = config.getoption('--tier')
    # A test that is named is wanted, whatever tier it is of.
    wanted = items if config.getoption('-k') else choose(items, tier)
    left = [i for i in items if i not in wanted]
    config.hook.pytest_deselected(items=left)
    items[:] = wanted
    if tier != 'quick' and not config.option.collectonly:
        here = state()
        for item in items:
            if not item.get_closest_marker('quick'):
                item.passed_key = digest(item.nodeid, here)


# --- what has passed before ------------------------------------------------

def packages():
    """The versions of what configs/packages and its like name"""
    lines = [line for path in sorted((ROOT / 'configs').glob('packages*'))
             for line in path.read_text('utf-8').splitlines()]
    names = [line.split()[0] for line in lines if line.strip() and not line.startswith('#')]
    return run(['dpkg-query', '-W', *names], check=False).stdout


def state():
    """What the result of a test depends on: this checkout, the base, tools, settings."""
    objects = run(['git', 'rev-parse', '--path-format=absolute', '--git-path', 'objects'],
                  cwd=ROOT, env=git_env()).strip()
    with tempfile.TemporaryDirectory() as tmp:
        env = git_env(GIT_INDEX_FILE=f'{tmp}/index', GIT_OBJECT_DIRECTORY=tmp,
                      GIT_ALTERNATE_OBJECT_DIRECTORIES=objects)
        run(['git', 'add', '-A', '.', *WORDS_ONLY], cwd=ROOT, env=env)
        files = run(['git', 'write-tree'], cwd=ROOT, env=env)
    base, tree, *_ = series.snapshot()
    return digest(files, base.commit, tree, packages(),
                  *(run(tool, check=False).stdout for tool in TOOLS), qemu.get().name,
                  str(boot.cpus()), boot.MEMORY, os.environ.get('ROUNDS', ''),
                  initramfs.HOST_BUSYBOX, *initramfs.tools('x86_64'),
                  *(v.compiler() for v in cross.variants()))


def passed_before(item):
    key = getattr(item, 'passed_key', None)
    return key and item.config.getoption('--tier') == 'all' and have_entry('passed', key)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if passed_before(pyfuncitem):
        pyfuncitem.user_properties.append(('cached', 'passed before'))
        return True
    return None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if call.excinfo and call.excinfo.errisinstance(Fail):
        report.longrepr = str(call.excinfo.value)
    key = getattr(item, 'passed_key', None)
    # Not for files that were edited meanwhile
    if key and call.when == 'call' and report.passed and key == digest(item.nodeid, state()):
        entry('passed', key, lambda out: (out / 'test').write_text(item.nodeid, 'utf-8'))


# --- what is printed -------------------------------------------------------

class Progress(threading.Thread):
    """A line now and then that says what runs, and since when."""

    def __init__(self, write):
        super().__init__(daemon=True)
        self.write, self.since = write, {}

    def run(self):
        while True:
            time.sleep(PERIOD)
            for name, start in sorted(self.since.items(), key=lambda i: i[1]):
                if time.monotonic() - start >= PERIOD:
                    self.write(f'  {name}: {time.monotonic() - start:.0f} s')


class Watch:
    def __init__(self, config):
        # The reporter is there later than this.
        self.progress = Progress(lambda text: config.pluginmanager.get_plugin(
            'terminalreporter').write_line(text))
        self.progress.start()
        self.before, self.moved = None, False

    @staticmethod
    def state(session):
        return None if session.config.option.collectonly else state()

    def pytest_sessionstart(self, session):
        self.before = self.state(session)

    def pytest_sessionfinish(self, session):
        self.moved = self.state(session) != self.before
        if self.moved and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_runtest_logstart(self, nodeid):
        self.progress.since[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid):
        self.progress.since.pop(nodeid, None)

    def pytest_terminal_summary(self, terminalreporter):
        reports = [r for r in terminalreporter.getreports('passed') if r.when == 'call']
        for name, title in (('cached', 'answered by the cache'), ('shows', 'shown')):
            lines = [f'{r.nodeid}: {value}' for r in reports for key, value in r.user_properties
                     if key == name]
            if lines:
                terminalreporter.section(title)
                for line in lines:
                    terminalreporter.write_line(line)
        if self.moved:
            terminalreporter.section('files changed while the tests ran: run them again')


def pytest_collection_finish(session):
    if session.config.getoption('--rare'):
        for line in sorted({f'| `{item.nodeid.partition("[")[0].removeprefix("tests/")}` | '
                            f'{mark.kwargs["minutes"]} | {mark.kwargs["why"]} |'
                            for item in session.items for mark in item.iter_markers('rare')}):
            print(line)


def pytest_configure(config):
    if not hasattr(config, 'workerinput'):
        config.pluginmanager.register(Watch(config))


# --- fixtures --------------------------------------------------------------

@pytest.fixture
def log(request):
    """build/check/NAME.log, empty, and neither NAME.tap nor NAME/"""
    name = re.sub(r'^tests/(?:test_)?|\.py|test_', '', request.node.nodeid)
    name = re.sub(r'[^A-Za-z0-9.-]+', '-', name).strip('-')
    if passed_before(request.node):
        return CHECK / f'{name}.log'
    (CHECK / f'{name}.tap').unlink(missing_ok=True)
    shutil.rmtree(CHECK / name, ignore_errors=True)
    return fresh_log(name, CHECK)


@pytest.fixture
def show(request):
    """show(text): a line about a test that passed, at the end of the run"""
    return lambda text: request.node.user_properties.append(('shows', text))


@pytest.fixture
def answered(request):
    """answered(text): what of a test was not done again, as the cache has the result"""
    return lambda text: request.node.user_properties.append(('cached', text))


def exported(config):
    """`make quick` is for work in build/linux as well, which is not exported yet."""
    work = series.unexported()
    if work and config.getoption('--tier') == 'quick':
        pytest.skip(f'build/linux {work}')


@pytest.fixture
def only(request):
    """The files that `make quick` looks at, those that changed; None for all of them"""
    return changed() if request.config.getoption('--tier') == 'quick' else None


@pytest.fixture(scope='session')
def snapshot():
    return series.snapshot()


@pytest.fixture(scope='session')
def steps(request):
    """(base, tip, commits) of the series as it is exported"""
    exported(request.config)
    base, tip = series.agree()
    return base, tip, series.commits(base.repo, base.commit, tip)
