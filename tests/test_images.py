# SPDX-License-Identifier: GPL-2.0
"""The folder of `make images` where nothing else is, and the LAVA job that uses it."""
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from support import expect, note, packages

from imslib import boot, images, qemu, util, verdict

JOB = util.ROOT / 'ci/lava-job.yaml'
SCHEMA = '/usr/share/lava-common/lava-schema.py'
REQUIRED = ('job_name', 'device_type', 'timeouts', 'priority', 'visibility', 'actions')
MINIMAL = 'minbase'


def mirror():
    """(options, URI, suite) of the machine's own Debian archive that can be reached; or a
    reason to skip."""
    why = 'no archive of Debian in /etc/apt'
    for line in qemu.archives('deb'):
        options, uri, suite = re.fullmatch(r'deb (\[.*\] )?(\S+) (\S+) main', line).groups()
        if re.search(r'[-/]', suite):
            continue
        try:
            with urllib.request.urlopen(f'{uri.rstrip("/")}/dists/{suite}/InRelease', timeout=30):
                return options or '', uri, suite
        except (OSError, urllib.error.URLError) as err:
            why = f'the package mirror {uri} cannot be reached: {err}'
    pytest.skip(why)
    return None


class Minimal:
    """A minimal Debian to run commands in, without the host's network once it is made."""

    def __init__(self, top, log):
        self.top, self.log = top, log

    def run(self, script, network=False):
        """The exit status, standard output and standard error. Where / is no mount point, as
        in a plain chroot, nothing can be made private, and others see the mount."""
        done = subprocess.run(
            ['unshare', '--mount', '--propagation=unchanged', '--pid', '--fork',
             *(() if network else ('--net',)), 'bash', '-euc',
             'mount --make-rprivate / 2>/dev/null || :; mount -t proc proc "$1/proc"; '
             'trap "umount \'$1/proc\'" EXIT; chroot "$1" /bin/bash -c "$2"', 'chroot',
             self.top, script], env=qemu.apt_env(), text=True, stdin=subprocess.DEVNULL,
            capture_output=True, check=False)
        note(self.log, f'=== {script}: {done.returncode}\n{done.stdout}{done.stderr}')
        return done.returncode, done.stdout, done.stderr


def debootstrap(top, archive, log):
    options, uri, suite = archive
    key = re.search(r'signed-by=(\S+?)[,\]\s]', options)
    util.step('images: debootstrap', ['debootstrap', f'--variant={MINIMAL}',
                                      *([f'--keyring={key[1]}'] if key else ()), suite, top, uri],
              log=log, env=qemu.apt_env())
    (top / 'etc/apt/sources.list').write_text(f'deb {options}{uri} {suite} main\n', 'utf-8')
    return Minimal(top, log)


def code_lines(path):
    """What a README shows to type"""
    return [line.strip() for line in path.read_text('utf-8').splitlines()
            if line.startswith('    ')]


def contents(top):
    return {str(path.relative_to(top)): (path.stat().st_mode, path.stat().st_mtime_ns,
                                         path.read_bytes() if path.is_file() else b'')
            for path in top.rglob('*')}


def kunit_parse(base, text, top):
    """What the kernel's own parser makes of a KTAP document"""
    tools = top / 'tools'
    tools.mkdir()
    path = tools / 'tap'
    path.write_text(text, 'utf-8')
    archive = util.git('archive', base.commit, 'tools/testing/kunit', repo=base.repo, text=False)
    util.run(['tar', '-x', '-C', tools], stdin=archive, text=False)
    parser = tools / 'tools/testing/kunit/kunit.py'
    done = util.run([sys.executable, parser, 'parse', path], check=False)
    return re.sub(r'\x1b\[[\d;]*m', '', done.stdout)


@pytest.mark.rare(minutes=6, why='it makes a minimal Debian')
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can make a minimal Debian')
def test_folder_alone(log, snapshot):
    """The folder runs where Debian's minimal system and its README's packages are all."""
    packages('images')
    archive = mirror()
    top = util.BUILD / 'check/images'
    shutil.rmtree(top, ignore_errors=True)
    folder = top / 'images'
    images.make(folder, snapshot)
    first = contents(folder)
    images.make(folder, snapshot)
    expect(contents(folder) == first, 'two runs of make images differ')

    minimal = debootstrap(top / 'root', archive, log)
    install, = (line for line in code_lines(folder / 'README') if 'apt-get install' in line)
    status, _, _ = minimal.run(f'export DEBIAN_FRONTEND=noninteractive; {install}', network=True)
    expect(status == 0, f'the packages of README cannot be installed; see {log}')
    shutil.copytree(folder, minimal.top / 'srv/images', symlinks=True)
    status, out, err = minimal.run('cd /srv/images && sha256sum -c --quiet VERSION')
    expect((status, out, err) == (0, '', ''), f'VERSION does not fit the folder; see {log}')

    command, = (line for line in code_lines(folder / 'README') if 'selftests' in line)
    command = command.partition('  ')[0]
    row = boot.machine_row(command.split()[1])
    status, out, err = minimal.run(f'cd /srv/images && {command}')
    expect(status == 0 and err.splitlines()[-1].startswith('run: PASS'),
           f'{command}: exit status {status}; see {log}')
    passed = re.findall(r'^ok \d+ (\w+)$', out, re.M)
    expect(out.startswith('KTAP version 1\n') and 'lean on' not in out
           and {*row['required'], 'verdict'} <= set(passed),
           f'{command} shows more or less than KTAP of {", ".join(row["required"])}; see {log}')
    parsed = kunit_parse(snapshot[0], out, top)
    note(log, parsed)
    tests = len(re.findall(r'^ +ok \d+ |^ok \d+ (?:verdict$|.* # SKIP)', out, re.M))
    expect(re.search(rf'Ran {tests} tests: passed: \d+, skipped: \d+$', parsed.strip()),
           f'the kernel\'s kunit.py does not find {tests} tests that pass; see {log}')

    status, out, err = minimal.run('cd /srv/images && ./run intel-ir lean ims_nothing')
    expect(status == 2 and not out and 'program ims_nothing is unknown' in err
           and len(err.splitlines()) == 1, f'an unknown program is not refused; see {log}')
    spoilt = minimal.top / 'srv/images/kernels/lean/initramfs.cpio.gz'
    spoilt.write_bytes(spoilt.read_bytes()[:4096])
    status, out, err = minimal.run('cd /srv/images && ./run intel-ir lean nothing')
    expect(status == 1 and re.search(r'^not ok 1 verdict # ', out, re.M)
           and re.match(rf'run: FAIL: ({verdict.CRASH}|{verdict.TRUNCATED}): ',
                        err.splitlines()[-1]),
           f'a spoilt initramfs is not noticed; see {log}')
    status, _, _ = minimal.run('cd /srv/images && sha256sum -c --quiet VERSION')
    expect(status, f'VERSION fits a folder that is spoilt; see {log}')
    shutil.rmtree(minimal.top)


RUN = r'''#!/bin/sh
[ "$*" = "intel-ir lean selftests" ] || exit 2
mkdir -p out && echo 'kernel| hello' >out/raw.log
cat <<-'END'
	KTAP version 1
	1..3
	  KTAP version 1
	  # Subtest: pci_msi
	  1..3
	  ok 1 one vector: it's there
	  ok 2 many # SKIP there is one MSI vector only
	  not ok 3 more (64)
	not ok 1 pci_msi # pci_msi: not ok: more (64)
	ok 2 aftermath
	not ok 3 verdict # test failure: pci_msi: not ok: more (64)
END
exit {status}
'''
CASES = ['pci_msi.one_vector_it_s_there --result pass', 'pci_msi.many --result skip',
         'pci_msi.more_64 --result fail', 'pci_msi --result fail', 'aftermath --result pass',
         'verdict --result fail']


@pytest.mark.needs('ci/', 'scripts/images/', 'scripts/imslib/images')
def test_lava_job(log, tmp_path):
    """LAVA takes the job, and its steps tell LAVA what run says."""
    import yaml  # pylint: disable=import-outside-toplevel
    text = JOB.read_text('utf-8')
    job = yaml.safe_load(text)
    for key in REQUIRED:
        expect(job.get(key), f'{JOB.name} has no {key}')
    head = text[:text.index('\njob_name:')]
    for action in job['actions']:
        for image in action.get('deploy', {}).get('images', {}).values():
            expect(f'#   {image["url"]} ' in head, f'{JOB.name} does not explain {image["url"]}')
    for change, wrong in (('', 0), ('priority: medium', 1), ('    to: tmpfs\n', 1)):
        path = tmp_path / 'job.yaml'
        path.write_text(text.replace(change, change.replace('m', 'M')), 'utf-8')
        done = util.run(['/usr/bin/python3', SCHEMA, 'job', '--strict', path], check=False)
        note(log, f'=== {change}\n{done.stdout}{done.stderr}')
        expect(done.returncode == wrong, f'LAVA\'s schema: {done.returncode} for "{change}"; '
                                         f'see {log}')

    test = job['actions'][-1]['test']['definitions'][0]['repository']
    named, = (line for line in code_lines(images.OVERLAY / 'README') if 'apt-get install' in line)
    expect(named.endswith(' '.join(['--no-install-recommends', *test['install']['deps']])),
           f'{JOB.name} does not install what README names')
    images.put_code(tmp_path / 'images')
    for name in re.findall(r'\./(\w+)', text):
        expect((tmp_path / 'images' / name).exists() or name == 'run', f'no {name} in the folder')
    for _, machine, kernel, _ in (words.split() for words in
                                  re.findall(r'- (\./run .*?) >', text)):
        expect(kernel in boot.machine_row(machine)['kernels'] and kernel in images.KERNELS,
               f'{JOB.name} has no machine {machine} with a kernel {kernel}')

    steps = '\n'.join(test['run']['steps']).replace('/dev/disk/by-id/virtio-folder', 'folder.tar')
    (tmp_path / 'bin').mkdir()
    case = tmp_path / 'bin/lava-test-case'
    case.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/cases\n', 'utf-8')
    case.chmod(0o755)
    for status, result in ((0, 'pass'), (1, 'fail')):
        shutil.rmtree(tmp_path / 'images', ignore_errors=True)
        (tmp_path / 'cases').unlink(missing_ok=True)
        images.put_code(tmp_path / 'images')
        (tmp_path / 'images/run').write_text(RUN.replace('{status}', str(status)), 'utf-8')
        util.run(['bash', '-ec', 'sha256sum run >VERSION'], cwd=tmp_path / 'images')
        util.run(['tar', '-C', tmp_path, '-cf', tmp_path / 'folder.tar', 'images'])
        env = util.clean_env()
        env['PATH'] = f'{tmp_path}/bin:{env["PATH"]}'
        util.run(['sh', '-c', f'set -e\n{steps}'], cwd=tmp_path, env=env)
        told = (tmp_path / 'cases').read_text('utf-8').splitlines()
        note(log, '\n'.join(told))
        expect(told == [*CASES, f'run --result {result}'], f'LAVA is told otherwise; see {log}')
