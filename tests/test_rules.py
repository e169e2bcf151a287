# SPDX-License-Identifier: GPL-2.0
"""Rules that the build enforces, or that a look at the sources can."""
import re

import pytest
from support import expect, note, nothing_wrong

from imslib import cocci, cross, docs, kernel, rules
from imslib.check import CHECK
from imslib.util import ROOT, locked, scratch

KERNEL = r'(?:linux/)?(?:drivers|include|kernel|arch|lib)/'


@pytest.mark.quick
def test_storage_ops_are_in_irqchip(snapshot, log):
    nothing_wrong(log, rules.misplaced(rules.sources(*snapshot[:3])))


@pytest.mark.needs('drivers/irqchip/', 'include/linux/irqchip/', 'scripts/imslib/rules')
def test_the_build_keeps_storage_ops_in_irqchip(snapshot, log):
    page = next(cross.tree_files(*snapshot[:3], f'Documentation/{docs.BOOK}.rst'))
    examples = docs.examples(page or '')
    expect(examples, f'Documentation/{docs.BOOK}.rst has no examples')
    with (locked('kernel-src'), scratch('kernel-src') as tmp,
          kernel.using(kernel.objdir('warnings'))):
        where = rules.configure(*snapshot[:3], log)
        nothing_wrong(log, rules.compiled(where, log, examples))
        nothing_wrong(log, rules.linked(where, log, tmp))


@pytest.mark.needs('drivers/irqchip/', 'scripts/imslib/rules')
def test_storage_ops_are_constant(snapshot, log, show):
    with locked('kernel-src'):
        wrong, count = rules.not_constant(*snapshot[:3], log)
    nothing_wrong(log, wrong)
    expect(count > 5, f'only {count} storage ops and templates were found')
    show(f'{count} storage ops and templates')


# --- the semantic patch ----------------------------------------------------

@pytest.mark.needs(r'tests/cocci/', r'.*\.cocci$', 'scripts/imslib/cocci')
def test_msi_desc_tells_good_code_from_bad(snapshot, log, show):
    wrong, count = cocci.check_tests(*snapshot[:3], CHECK / 'cocci')
    nothing_wrong(log, wrong)
    show(f'{count} lines of bad code')


@pytest.mark.needs(r'.*\.cocci$', 'Documentation/core-api/msi-desc-users')
def test_msi_desc_finds_what_the_page_explains(snapshot, log, show):
    wrong, count = cocci.check_tree(*snapshot[:3], CHECK / 'cocci-tree', log)
    nothing_wrong(log, wrong)
    expect(count, f'nothing is found; see {log}')
    show(f'{count} hits')


# --- documentation ---------------------------------------------------------

@pytest.mark.needs('Documentation/', KERNEL)
def test_pages_are_built_without_a_warning(snapshot, log):
    found, names = docs.build(*snapshot[:3], CHECK / 'docs')
    nothing_wrong(log, found)
    left = docs.undescribed(*snapshot[:3], names)
    expect(not left, f'no page describes {", ".join(left)}')


@pytest.mark.needs('tests/docs/', 'scripts/imslib/docs')
def test_what_is_wrong_with_a_page_is_noticed(snapshot, log):
    found, expected = docs.build_broken(*snapshot[:3], CHECK / 'docs-broken',
                                        ROOT / 'tests/docs/broken.rst')
    note(log, '\n'.join(found))
    missed = [pattern for pattern in expected if not any(re.search(pattern, f) for f in found)]
    expect(expected and not missed, f'{len(missed)} of {len(expected)} faults are not noticed: '
                                    f'{missed[:1]}; see {log}')


@pytest.mark.quick
def test_the_book_says_what_the_code_does(snapshot, log):
    nothing_wrong(log, docs.check(*snapshot[:3]))
