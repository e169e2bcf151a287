# SPDX-License-Identifier: GPL-2.0
"""What a run's log says, as a pure function of its text.

A log has one line of output per line, marked with where it came from:

    kernel| the first serial line: the kernel's console
    tests | the second one: scripts/guest/init and the programs that it runs
    qemu  | QEMU's own messages
    runner| what the runner saw: `exit status N`, or `hang: why`

A run has passed when every part of it says so: QEMU ended with status 0, the
kernel complained about nothing, /init announced its plan, each planned program
ran to its end with status 0, the TAP of each has its plan met, at least one test
in it that passed, and none that did not, each required program ran and skipped no
test but for a reason that is allowed, and /init's last line came. Whatever is missing
makes it something else than a pass; nothing is a pass by default.
"""
import re
from dataclasses import dataclass, field

PASS = 'pass'
FAIL = 'test failure'
CRASH = 'kernel crash'
HANG = 'hang'
TRUNCATED = 'truncated output'
NO_TESTS = 'no tests ran'
QEMU = 'qemu failed'

# What a healthy kernel never says.
COMPLAINT = re.compile('|'.join((
    r'Kernel panic', r'\bBUG: ', r'\bBUG\b.* at ', r'\bOops\b', r'\bWARNING: ',
    r'INFO: (?:task .* blocked|rcu_|lockdep|trying to register)', r'rcu: INFO: ',
    r'general protection fault', r'unable to handle', r'Call Trace', r'divide error',
    r'double fault', r'invalid opcode', r'stack segment', r'\bKASAN\b(?!.*(?:init|enabled))',
    r'\bUBSAN\b', r'\bODEBUG\b', r'kmemleak: \d+ new suspected', r'kmemleak: .*disabled',
    r'refcount_t: ', r'list_(?:add|del) corruption', r'DEBUG_LOCKS_WARN_ON',
    r'\[ INFO: .* \]', r'nobody cared', r'No irq handler for vector',
    r'(?:soft|hard) lockup', r'unexpected IRQ trap', r'DMAR: .*[Ff]ault',
    r'DRHD: handling fault', r'Out of memory', r'oom-kill', r'segfault at', r'traps: ',
    r'scheduling while atomic',
    r'sleeping function called from invalid context', r'bad: scheduling',
)))


# A program's own first line, in place of which its document here has one
HEADER = re.compile(r'K?TAP version \d+')


@dataclass
class Program:
    """One program's output between its `run` and its `end`."""
    number: int
    name: str
    plain: bool = False
    status: int | None = None
    plan: int | None = None
    plan_skips: bool = False                       # `1..0 # SKIP`
    results: list = field(default_factory=list)    # (number, 'ok'|'not ok'|'skip', text)
    trouble: str = ''
    output: list = field(default_factory=list)
    remark: str = ''                               # the last `# text` since a result
    bad: str | None = None                         # the first that is not ok, with its remark

    def count(self, what):
        return sum(1 for _, result, _ in self.results if result == what)


@dataclass
class Verdict:
    kind: str
    why: str
    programs: list = field(default_factory=list)

    def __bool__(self):
        return self.kind == PASS

    def __str__(self):
        return self.kind if self.kind == PASS else f'{self.kind}: {self.why}'

    def tests(self):
        """[(program, result, text)]"""
        return [(p.name, result, text) for p in self.programs for _, result, text in p.results]

    def summary(self):
        count = {what: sum(p.count(what) for p in self.programs)
                 for what in ('ok', 'not ok', 'skip')}
        return f'{count["ok"]} ok, {count["not ok"]} not ok, {count["skip"]} skipped'


def split(text):
    """{source: lines}. A last line without its end is not a line: it was cut off."""
    sources = {'kernel': [], 'tests': [], 'qemu': [], 'runner': []}
    for line in text.split('\n')[:-1]:
        match = re.match(r'(kernel|tests |qemu  |runner)\| ?(.*)', line)
        if match:
            sources[match[1].strip()].append(match[2].rstrip('\r'))
    return sources


def read_tap(program, line):
    """Take one line of a program's output into account."""
    program.output.append(line)
    if program.plain:
        return
    match = re.fullmatch(r'1\.\.(\d+)(\s*#.*)?', line)
    if match:
        if program.plan is not None:
            program.trouble = program.trouble or 'has two plans'
        program.plan = int(match[1])
        program.plan_skips = program.plan == 0 and 'skip' in (match[2] or '').lower()
        return
    match = re.match(r'(ok|not ok)\b\s*(\d+)?\s*(.*)', line)
    if not match:
        # The reason stays, whatever is said after it.
        if line.startswith('# ') and not program.remark.startswith('failed:'):
            program.remark = line[2:].strip()
        return
    number = int(match[2]) if match[2] else len(program.results) + 1
    if number != len(program.results) + 1:
        program.trouble = program.trouble or f'has result {number} out of order'
    result = match[1]
    if result == 'ok' and re.search(r'#\s*skip\b', match[3], re.I):
        result = 'skip'
    text = match[3].strip()
    if result == 'not ok' and program.bad is None:
        program.bad = text or '(no description)'
        if program.remark:
            program.bad += f' ({program.remark})'
    program.remark = ''
    program.results.append((number, result, text))


def read_programs(lines):
    """(planned number or None, programs, number at `done` or None, trouble)"""
    plan, programs, done, trouble = None, [], None, ''
    current = None
    for line in lines:
        match = re.fullmatch(r'ims-init: (plan|run|end|done) (\d+)(?: (\S+))?(?: (.*))?', line)
        if not match:
            if current:
                read_tap(current, line)
            continue
        word, number, name, rest = match[1], int(match[2]), match[3], match[4]
        if done is not None:
            trouble = trouble or f'"{line}" after the end'
        if word == 'plan':
            trouble = trouble or ('two plans' if plan is not None else '')
            plan = number
        elif word == 'run':
            if current or plan is None or number != len(programs) + 1:
                trouble = trouble or f'"{line}" is out of order'
            current = Program(number, name or '', plain=rest == 'plain')
            programs.append(current)
        elif word == 'end':
            status = re.fullmatch(r'status (\d+)', rest or '')
            if not current or (number, name) != (current.number, current.name) or not status:
                trouble = trouble or f'"{line}" is out of order'
            else:
                current.status = int(status[1])
            current = None
        else:
            done = number
    return plan, programs, done, trouble


def judge_program(program, required, may_skip):
    """(kind, why) of one that ran to its end; (PASS, '') if it is good."""
    name, status = program.name, program.status
    if program.bad is not None:
        return FAIL, f'{name}: not ok: {program.bad}'
    if status not in (0, 4):
        return FAIL, f'{name}: exit status {status}'
    if program.plain:
        return (PASS, '') if status == 0 else (FAIL, f'{name}: exit status {status}')
    if program.trouble:
        return TRUNCATED, f'{name} {program.trouble}'
    if program.plan is None:
        return (NO_TESTS if not program.results else TRUNCATED), f'{name} has no plan'
    if program.plan != len(program.results):
        return TRUNCATED, f'{name}: {program.plan} tests planned, {len(program.results)} seen'
    if program.count('ok') == 0:
        if name in required:
            return FAIL, f'{name} was skipped, and this machine requires it'
        if program.count('skip') or program.plan_skips:
            return PASS, 'skip'
        return NO_TESTS, f'{name} ran no test'
    for _, result, text in program.results:
        if name in required and result == 'skip' and not any(r in text for r in may_skip):
            return FAIL, f'{name}: skipped on a machine that requires it: {text}'
    if status == 4:
        return FAIL, f'{name}: exit status 4 (skip), but tests passed'
    return PASS, ''


def judge(text, required=(), may_skip=()):
    """The verdict on a log. required are the programs that must have run; may_skip
    are the reasons for which one of their tests may have been skipped."""
    sources = split(text)
    plan, programs, done, trouble = read_programs(sources['tests'])

    def verdict(kind, why):
        return Verdict(kind, why, programs)

    for line in sources['kernel']:
        if COMPLAINT.search(line):
            return verdict(CRASH, line.strip())
    running = next((p.name for p in programs if p.status is None), None)
    for line in sources['runner']:
        if line.startswith('hang: '):
            return verdict(HANG, line[len('hang: '):] + (f', in {running}' if running else ''))
    exits = [line for line in sources['runner'] if line.startswith('exit status ')]
    if exits and exits != ['exit status 0']:
        said = sources['qemu'][-1] if sources['qemu'] else 'no message'
        return verdict(QEMU, f'{exits[-1]}: {said}')

    # A test that failed says more than the cut that may have come of it.
    for program in programs:
        if program.bad is not None:
            return verdict(FAIL, f'{program.name}: not ok: {program.bad}')
    if plan is None and not programs:
        if done is None:
            last = (sources['kernel'] or ['nothing'])[-1].strip()
            return verdict(TRUNCATED, f'/init never spoke; the kernel\'s last line: {last}')
        return verdict(NO_TESTS, '/init ran nothing')
    if done is None:
        return verdict(TRUNCATED, f'the output ends in {running}' if running else
                       'the output ends before /init was done')
    if trouble:
        return verdict(TRUNCATED, trouble)
    if running:
        return verdict(TRUNCATED, f'{running} has no end')
    if not exits:
        return verdict(TRUNCATED, 'the log ends before QEMU did')
    if not plan or not programs:
        return verdict(NO_TESTS, '/init ran nothing')
    if not plan == len(programs) == done:
        return verdict(TRUNCATED, f'{plan} programs planned, {len(programs)} seen, {done} done')
    for program in programs:
        kind, why = judge_program(program, required, may_skip)
        if kind != PASS:
            return verdict(kind, why)
    for name in required:
        if name not in [p.name for p in programs]:
            return verdict(NO_TESTS, f'{name} did not run, and this machine requires it')
    if not any(p.count('ok') for p in programs):
        return verdict(NO_TESTS, 'no test passed')
    return verdict(PASS, '')


def named(output):
    """The lines of a program. The harness of kselftest leaves out the name of a test that
    it skips, but has said which one it runs."""
    name = ''
    for line in output:
        if match := re.match(r'#\s+RUN\s+(\S+) \.\.\.', line):
            name = match[1]
        match = re.fullmatch(r'(ok \d+) (# SKIP.*)', line)
        yield f'{match[1]} {name} {match[2]}' if match and name else line


def tap(result):
    """A verdict as KTAP: a test for each program, with its own tests below it, and one
    for the verdict, so that what no program has seen is not lost."""
    lines = ['KTAP version 1', f'1..{len(result.programs) + 1}']
    for number, program in enumerate(result.programs, 1):
        own = (f'# {line}' for line in program.output) if program.plain else (
            line for line in named(program.output) if not HEADER.fullmatch(line))
        lines += [*(() if program.plain else ('  KTAP version 1',)),
                  f'  # Subtest: {program.name}', *(f'  {line}' for line in own)]
        kind, why = judge_program(program, (), ())
        if kind == PASS:
            lines.append(f'ok {number} {program.name}' + (' # SKIP' if why else ''))
        else:
            lines.append(f'not ok {number} {program.name} # {why}')
    number = len(result.programs) + 1
    lines.append(f'ok {number} verdict' if result else f'not ok {number} verdict # {result}')
    return '\n'.join(lines)
