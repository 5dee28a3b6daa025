"""Which violations of a mail give no points, although nothing is wrong with what was found?  STANDING 5.7-5, 5.7-21.

Findings that an exculpation covers, and those behind an open breaker, are taken out of the assessment, and what is left
is judged again: a category that needs two signals is then worth what one of them is. The mail itself is dealt with by
all that was found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from filterd.agreement.breaker import is_shadowed, shadowed
from filterd.agreement.exculpation import spared_by
from filterd.agreement.registers import Relief
from filterd.agreement.signals import without
from filterd.agreement.terms import Agreement
from filterd.model.decision import Case
from filterd.model.sanction import Violation
from filterd.model.standing import History, Surroundings
from filterd.model.verdict import Assessment, Finding

# Says what a mail with this assessment breaches.
Judge = Callable[[Assessment], tuple[Violation, ...]]


def spare(
    relief: Relief, case: Case, terms: Agreement, history: History, around: Surroundings, judge: Judge
) -> Relief:
    """Say what counts after exculpations and breakers: what is exculpated is gone, what a breaker stops a shadow."""
    if not relief.counted:
        return relief
    assessment, counted, why = case.assessment, relief.counted, list(relief.why)
    given = {id(f): x for f in assessment.findings if (x := spared_by(f, case, history, terms)) is not None}
    if given:
        muted = [f for f in assessment.findings if id(f) in given]
        assessment = without(assessment, lambda f: id(f) in given)
        counted = _left(counted, judge(assessment), muted)
        why += [("exculpation", x) for x in dict.fromkeys(g.exculpation_id for g in given.values())]
    is_muted = is_shadowed(around.site, case.at)
    muted = [f for f in assessment.findings if is_muted(f)]
    if muted:
        left = _left(counted, judge(without(assessment, is_muted)), muted)
        counted = shadowed(counted, left)
        why.append(("breaker", ""))
    return replace(relief, counted=counted, why=tuple(why))


def _left(
    counted: tuple[Violation, ...], left: tuple[Violation, ...], muted: list[Finding]
) -> tuple[Violation, ...]:
    """Say what of `counted` is still a violation, and in which mode."""
    codes = {f.code for f in muted}
    by_category = {v.category: v for v in left}
    out = []
    for violation in counted:
        if codes.isdisjoint(violation.finding_codes):
            out.append(violation)
        elif (same := by_category.get(violation.category)) is not None:
            out.append(same)
    return tuple(out)
