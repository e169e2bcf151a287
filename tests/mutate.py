# SPDX-License-Identifier: GPL-2.0
"""Mutants of C source: what one change at one place makes of it.

Words
  kind    what is changed: see KINDS
  name    of a mutant: file, function, kind, and the changed lines before and after. No
          line number is in it, so that a change elsewhere in the file moves none
  accepted  a mutant that need not be noticed, with the reason, see accepted()

A mutant has as many lines as the source has, and uses what the source uses: what is left
out becomes dead code. So none has a warning that the source has not.

Coccinelle is in Debian and could make them, but its patches name no single place, and
it reformats what it changes; what makes mutants of C by the tree of a compiler (mull,
dextool) is not in Debian 12.
"""
import random
import re
from dataclasses import dataclass

KINDS = ('negate', 'bound', 'call', 'lock', 'barrier', 'error', 'errno')

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*', re.S)
# Comments, literals and preprocessor lines are no code.
NO_CODE = re.compile(COMMENT.pattern + r'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+\''''
                     r'|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.S | re.M)
FUNCTION = re.compile(r'^\{\n(.*?)^\}', re.S | re.M)
CALL = re.compile(r'(?<=\t)(\w+)\(')
BARRIER = re.compile(r'(?:(?:smp|dma)_)?(?:mb|rmb|wmb)$|barrier$|smp_mb__\w+$')
LOCK = re.compile(r'(?:^|(?<=_))lock(?=_|$)')
# What is left out without that a correct kernel does anything else
NO_CALLS = re.compile(r'(?:if|for|while|switch|return|sizeof)$|lockdep_|BUILD_|BUG_|WARN|'
                      r'might_|cond_resched|trace_|(?:dev|pci|pr|netdev)_(?:\w+_)?'
                      r'(?:emerg|crit|err|warn|notice|info|dbg)')
# What ends an error path
ERROR = re.compile(r'(?:goto \w+|return (?:-E|PTR_ERR|ERR_|NULL\b|ret\b|err(?:or)?\b)[^;]*);$')
BOUNDS = {'<': '<=', '<=': '<', '>': '>=', '>=': '>'}


@dataclass(frozen=True)
class Mutant:
    """edits are (start, end, text) of what is replaced in the source, in their order."""
    name: str
    kind: str
    path: str
    edits: tuple

    def apply(self, text):
        for start, end, new in reversed(self.edits):
            text = text[:start] + new + text[end:]
        return text


def blank(text):
    """The source with spaces in the place of what is no code"""
    return NO_CODE.sub(lambda m: re.sub(r'[^\n]', ' ', m[0]), text)


def closing(code, start):
    """Where the bracket ends that starts there"""
    depth = 0
    for at in range(start, len(code)):
        depth += (code[at] in '({') - (code[at] in ')}')
        if not depth:
            return at
    raise ValueError(f'no end of {code[start:start + 40]}')


def functions(code):
    """[(name, what is before it in its declaration, start, end)] of each body"""
    found = []
    for match in FUNCTION.finditer(code):
        head = re.split(r'\n[ \t]*\n|[;}]', code[:match.start()])[-1]
        name = re.search(r'(\w+)\s*\(', head)
        if name:
            found.append((name[1], head[:name.start()].split(), match.start(1), match.end(1)))
    return found


def conditions(code, start, end):
    """[(start, end, whether an error path depends on it)] of those of if and while"""
    found = []
    for match in re.finditer(r'\b(?:if|while) \(', code[start:end]):
        begin = start + match.end()
        stop = closing(code, begin - 1)
        rest = code[stop + 1:end]
        first = re.match(r'\s*', rest).end()
        body = rest[first:closing(rest, first)] if rest[first:first + 1] == '{' else \
            rest[:rest.find(';') + 1]
        # A single statement, or the last one of a block
        last = re.split(r'(?<=[;{}])\s', body.strip())[-1].strip()
        error = match[0] == 'if (' and ERROR.match(last) and 'WARN_' not in code[begin:stop]
        found.append((begin, stop, bool(error)))
    return found


def calls(code, start, end):
    """[(name, first argument, start, end)] of the statements that are calls"""
    found = []
    for match in CALL.finditer(code, start, end):
        stop = closing(code, match.end() - 1)
        before = code[:match.start()].rstrip()
        if code[stop + 1:stop + 2] == ';' and not NO_CALLS.match(match[1]) and (
                before[-1] in ';{}:)' or before.endswith('else')):
            argument = code[match.end():stop].partition(',')[0]
            found.append((match[1], argument, match.start(), stop + 2))
    return found


def left_out(text, start, end):
    return start, end, f'do {{ if (0) {text[start:end]} }} while (0);'


def edits(text, code, head, start, end):
    """Yield (kind, edits) of the mutants of one function."""
    for begin, stop, error in conditions(code, start, end):
        yield 'negate', [(begin, stop, f'!({text[begin:stop]})')]
        if error:
            yield 'error', [(begin, stop, f'({text[begin:stop]}) && 0')]
    if 'bool' in head:
        for match in re.finditer(r'\breturn ([^;]+);', code[start:end]):
            begin, stop = start + match.start(1), start + match.end(1)
            yield 'negate', [(begin, stop, f'!({text[begin:stop]})')]
    for match in re.finditer(r'(?<= )(?:[<>]=?)(?= )', code[start:end]):
        yield 'bound', [(start + match.start(), start + match.end(), BOUNDS[match[0]])]
    for match in re.finditer(r'(?<= [-+] )1\b', code[start:end]):
        yield 'bound', [(start + match.start(), start + match.end(), '0')]
    for match in re.finditer(r'-E[A-Z]\w+', code[start:end]):
        new = '-ENOMEM' if match[0] == '-EINVAL' else '-EINVAL'
        yield 'errno', [(start + match.start(), start + match.end(), new)]
    found = calls(code, start, end)
    for name, argument, begin, stop in found:
        if BARRIER.match(name):
            yield 'barrier', [left_out(text, begin, stop)]
        elif LOCK.search(name):
            back = LOCK.sub('unlock', name, count=1).replace('irqsave', 'irqrestore')
            yield 'lock', [left_out(text, begin, stop), *(
                left_out(text, *other[2:]) for other in found
                if other[:2] == (back, argument) and other[2] > begin)]
        elif not LOCK.search(name.replace('unlock', 'lock')):
            yield 'call', [left_out(text, begin, stop)]


def words(text):
    return ' '.join(COMMENT.sub(' ', text).split())


def mutants(path, text):
    """The mutants of a file"""
    code, found, seen = blank(text), [], {}
    for function, head, start, end in functions(code):
        for kind, changes in edits(text, code, head, start, end):
            begin, stop, new = changes[0]
            if kind in ('call', 'lock', 'barrier'):
                what = words(text[begin:stop])
            else:
                first, last = text.rfind('\n', 0, begin) + 1, text.find('\n', stop)
                what = (f'{words(text[first:last])} -> '
                        f'{words(text[first:begin] + new + text[stop:last])}')
            name = f'{path}: {function}(): {kind}: {what}'
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                name += f' #{seen[name]}'
            found.append(Mutant(name, kind, path, tuple(changes)))
    return found


def accepted(text):
    """{name: reason} of a file with names, each followed by a line with a tab and the
    reason. A name with * at its end is that of all mutants that begin so."""
    found, name = {}, None
    for line in text.splitlines():
        if line.startswith('\t') and name:
            found[name], name = line.strip(), None
        elif name or line.startswith('\t'):
            raise ValueError(f'no reason, or no name: {line}')
        elif line and not line.startswith('#'):
            name = line
    if name:
        raise ValueError(f'no reason: {name}')
    return found


def matches(pattern, name):
    return name.startswith(pattern[:-1]) if pattern.endswith('*') else name == pattern


def draw(found, patterns, count, seed):
    """`count` mutants that are not accepted, the same ones for the same seed"""
    left = sorted((m for m in found if not any(matches(p, m.name) for p in patterns)),
                  key=lambda m: m.name)
    return random.Random(str(seed)).sample(left, min(count, len(left)))
