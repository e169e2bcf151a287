# SPDX-License-Identifier: GPL-2.0
"""Errors, logged steps and the cache: what everything else stands on.

Words
  step    a command that may take long. Its output goes to a log, its progress to
          the terminal, and if it fails the error names both.
  entry   a directory of the cache, found by kind and key. The key is made of
          everything that the content depends on. An entry is built under another
          name, and renamed when it is complete: what has its name is complete.
  memo    the digest of a big file, remembered by the file's stat data.
"""
import contextlib
import errno
import fcntl
import hashlib
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / 'build'
LOGS = BUILD / 'log'

# An entry that nothing has used for so long goes when a sibling is made.
ENTRY_LIFE = 30 * 24 * 3600


class Fail(Exception):
    """One line that says what is wrong and what to do about it."""


def say(text):
    print(text, flush=True)


def jobs():
    return int(os.environ.get('JOBS') or len(os.sched_getaffinity(0)))


# --- cache -----------------------------------------------------------------

def cache():
    explicit = os.environ.get('IMS_CACHE')
    if explicit:
        return Path(explicit).resolve()
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'linux-ims'


def no_space():
    place = cache()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free >> 20
    return (f'no space left on device ({free} MB free in {cache()}): free some, '
            'or set IMS_CACHE to a directory on a bigger disk')


@contextlib.contextmanager
def locked(name):
    """One holder on this machine at a time; says so when it has to wait."""
    path = cache() / 'lock' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', encoding='ascii') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f'waiting for another run that holds {path}')
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def scratch(name):
    """An empty directory in the cache, gone afterwards. Wants name's lock held:
    what is left there by a run that was killed belongs to nobody."""
    path = cache() / 'tmp' / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def have_entry(kind, key):
    path = cache() / kind / key
    try:
        os.utime(path)
    except FileNotFoundError:
        return None
    return path


def entry(kind, key, build):
    """The cache's directory kind/key; build(directory) fills it if it is missing."""
    path, name = cache() / kind / key, f'{kind}-{key}'
    if have_entry(kind, key):
        return path
    with locked(name):
        if path.is_dir():
            return path
        with scratch(name) as tmp:
            build(tmp)
            run(['sync', '-f', tmp])
            path.parent.mkdir(parents=True, exist_ok=True)
            os.utime(tmp)
            os.rename(tmp, path)
    prune(path)
    return path


def prune(new):
    """Removes old entries, each at once: one that is half removed would be found."""
    for path in new.parent.iterdir():
        if path != new and time.time() - path.stat().st_mtime > ENTRY_LIFE:
            name = f'{path.parent.name}-{path.name}'
            with locked(name), scratch(name) as tmp, contextlib.suppress(FileNotFoundError):
                os.rename(path, tmp)


def write_atomic(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        tmp.write_text(text, encoding='utf-8')
        os.rename(tmp, path)
    finally:
        tmp.unlink(missing_ok=True)


# --- digests ---------------------------------------------------------------

def digest(*parts):
    """A key made of parts: str, bytes or Path (of a file: its mode and content)."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            data = part.read_bytes()
            head = f'file {part.name} {part.stat().st_mode & 0o111:o}'
        else:
            data = part.encode() if isinstance(part, str) else part
            head = 'data'
        total.update(f'{head} {len(data)}\n'.encode())
        total.update(data)
    return total.hexdigest()[:32]


# As they are when a run begins: what it makes is not of scripts that are edited meanwhile.
SCRIPTS = {path.stem: path.read_text(encoding='utf-8')
           for path in sorted(Path(__file__).parent.glob('*.py'))}


def digest_code(*names):
    """A key for the scripts that an entry is made by."""
    return digest(*(SCRIPTS[name] for name in names))


def digest_functions(*functions):
    """The same for some functions of scripts."""
    return digest(*(''.join(inspect.getblock(
        SCRIPTS[f.__module__.rpartition('.')[2]].splitlines(True)[f.__code__.co_firstlineno - 1:]))
        for f in functions))


def memo_sha256(path):
    """sha256 of a big file, remembered as long as its stat data stay."""
    path = Path(path).resolve()
    stat = path.stat()
    mark = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    memo = cache() / 'memo' / digest(str(path))
    try:
        known, value = json.loads(memo.read_text(encoding='ascii'))
        if known == mark:
            return value
    except (OSError, ValueError):
        pass
    with open(path, 'rb') as file:
        value = hashlib.file_digest(file, 'sha256').hexdigest()
    write_atomic(memo, json.dumps([mark, value]))
    return value


# --- commands --------------------------------------------------------------

def clean_env(**extra):
    """What a build may see of the caller's environment: no MAKEFLAGS, ARCH,
    CFLAGS, V, ... that would change what comes out of it."""
    keep = ('PATH', 'HOME', 'TMPDIR', 'TERM', 'USER', 'LOGNAME')
    env = {k: os.environ[k] for k in keep if k in os.environ}
    env.update(LC_ALL='C.UTF-8', **extra)
    return env


def git_env(**extra):
    """git without the user's configuration, hooks and templates: the same
    commits come out everywhere."""
    return clean_env(GIT_CONFIG_NOSYSTEM='1', GIT_CONFIG_GLOBAL='/dev/null',
                     GIT_CONFIG_COUNT='3',
                     GIT_CONFIG_KEY_0='safe.directory', GIT_CONFIG_VALUE_0='*',
                     GIT_CONFIG_KEY_1='core.hooksPath', GIT_CONFIG_VALUE_1='/dev/null',
                     GIT_CONFIG_KEY_2='gc.auto', GIT_CONFIG_VALUE_2='0',
                     GIT_COMMITTER_NAME='linux-ims', GIT_COMMITTER_EMAIL='linux-ims',
                     GIT_AUTHOR_NAME='linux-ims', GIT_AUTHOR_EMAIL='linux-ims',
                     GIT_TERMINAL_PROMPT='0', TZ='UTC', **extra)


def run(cmd, check=True, env=None, cwd=None, stdin=None, text=True):
    """A command that is over at once: its standard output."""
    cmd = [str(c) for c in cmd]
    try:
        done = subprocess.run(cmd, env=env or clean_env(), cwd=cwd, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=text, errors='surrogateescape' if text else None,
                              stdin=None if stdin is not None else subprocess.DEVNULL)
    except FileNotFoundError:
        raise Fail(f'{cmd[0]} is missing: run `make deps`') from None
    if check and done.returncode:
        err = done.stderr if text else done.stderr.decode(errors='replace')
        if is_no_space(err):
            raise Fail(no_space())
        lines = [l for l in err.splitlines() if l.strip()] or ['no message']
        raise Fail(f'{" ".join(cmd[:4])} ...: exit {done.returncode}: {lines[-1]}')
    return done.stdout if check else done


def version_of(package):
    """The version of a package that is installed, as a name; 'none' if it is not"""
    found = run(['dpkg-query', '-W', '-f', '${Version}', package], check=False).stdout
    return re.sub(r'[^A-Za-z0-9.+~-]', '_', found) or 'none'


def git(*args, repo=None, env=None, **kw):
    where = ['--git-dir', repo] if repo else []
    return run(['git', *where, *args], env=env or git_env(), **kw)


def is_no_space(text):
    return any(words in text for words in (
        os.strerror(errno.ENOSPC), 'Disk quota exceeded', 'Out of diskspace'))


ERROR = re.compile(r'^E: |error:|Error \d|undefined reference|ERROR:|FAILED|fatal:|\*\*\*')


def tail(path, size=65536, start=0):
    """The last size bytes of a file, but nothing before start."""
    with open(path, 'rb') as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(start, file.tell() - size))
        return file.read().decode(errors='replace')


class Child:
    """A process in a group of its own that does not outlive us."""

    def __init__(self, cmd, **kw):
        try:
            self.proc = subprocess.Popen([str(c) for c in cmd], start_new_session=True,
                                         stdin=subprocess.DEVNULL, **kw)
        except FileNotFoundError:
            raise Fail(f'{cmd[0]} is missing: run `make deps`') from None

    def __enter__(self):
        return self.proc

    def __exit__(self, *_):
        if self.proc.poll() is None:
            for sig in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.proc.pid, sig)
                try:
                    self.proc.wait(5)
                    break
                except subprocess.TimeoutExpired:
                    continue
            # What it has started may live on, and does not listen to SIGTERM.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.proc.pid, signal.SIGKILL)


def step(name, cmd, log=None, env=None, cwd=None, quiet=False, advice=None, bound=None):
    """Run a command that may take long, but not longer than bound seconds. Output goes to
    a log, a line about every ten seconds to the terminal. Returns the log's path."""
    log = Path(log) if log else LOGS / (re.sub(r'[^\w.-]+', '-', name) + '.log')
    log.parent.mkdir(parents=True, exist_ok=True)
    start = shown = time.monotonic()
    with open(log, 'ab') as out:
        out.write(('$ ' + ' '.join(str(c) for c in cmd) + '\n').encode())
        out.flush()
        begin = out.tell()
        with Child(cmd, stdout=out, stderr=subprocess.STDOUT,
                   env=env or clean_env(), cwd=cwd) as proc:
            while True:
                try:
                    proc.wait(0.05 if time.monotonic() - start < 1 else 0.5)
                    break
                except subprocess.TimeoutExpired:
                    pass
                if bound and time.monotonic() - start > bound:
                    raise Fail(f'{name}: not over after {bound} s; see {log}')
                if not quiet and time.monotonic() - shown >= 10:
                    shown = time.monotonic()
                    last = ''.join(tail(log, 400, begin).strip().splitlines()[-1:]).strip()
                    last = f': {last[:60]}' if last else ''
                    say(f'  {name}: {shown - start:.0f} s{last}')
    if proc.returncode:
        text = tail(log, start=begin)
        if is_no_space(text):
            raise Fail(f'{name}: {no_space()}')
        hits = [l.strip() for l in text.splitlines() if ERROR.search(l)]
        what = advice or (hits[0][:200] if hits else f'exit {proc.returncode}')
        raise Fail(f'{name}: {what}; see {log}')
    if not quiet and time.monotonic() - start >= 10:
        say(f'  {name}: {time.monotonic() - start:.0f} s: done')
    return log


def fresh_log(name, where=LOGS):
    where.mkdir(parents=True, exist_ok=True)
    path = where / f'{name}.log'
    path.unlink(missing_ok=True)
    return path


def main(prog, call):
    """Run call(); whatever goes wrong becomes one line and an exit status."""
    def stop(signum, _):
        raise SystemExit(128 + signum)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    try:
        sys.exit(call())
    except Fail as err:
        message = str(err)
    except KeyboardInterrupt:
        print(f'{prog}: interrupted', file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(141)
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            message = no_space()
        elif err.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and err.filename:
            message = (f'cannot use {err.filename}: {err.strerror}: run as its owner, '
                       'or set IMS_CACHE to a directory of yours')
        else:
            raise
    sys.stdout.flush()
    print(f'{prog}: error: {message}', file=sys.stderr)
    sys.exit(1)
