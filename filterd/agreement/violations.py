"""Which clauses did this mail breach? Assessment and terms to violations (HOUSE §4 step 4, CLAUSES §1).

Nobody's mail breaches anything: only a mail with an attributed account, outbound or internal, can (HOUSE rule 7).
Only `found` verdicts count: an error is not a finding (HOUSE rule 3). A category that needs agreeing signal groups is
mode A when enough groups agree, otherwise what its rules say one group alone is worth. What comes out as C2 is no
violation but a hint for people, and C1 is not even that: nothing here tells of it (HOUSE rule 9).
"""

from __future__ import annotations

from dataclasses import dataclass

from filterd.agreement.category import LOCKED, Category, Rule
from filterd.agreement.terms import Agreement
from filterd.model.sanction import Ground, Mode, Violation
from filterd.model.session import Direction
from filterd.model.verdict import Assessment, Finding, Outcome

BURST = "rate.burst.running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """A category that findings lead to. `mode` None: too little for a violation of any mode."""

    category: Category
    hits: tuple[tuple[Rule, Finding], ...]
    mode: Mode | None

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(finding.code for _, finding in self.hits))


def touched(terms: Agreement, assessment: Assessment) -> tuple[Touched, ...]:
    """Say which categories were touched by which findings, in the order of the file."""
    found = _found(assessment)
    if not found:
        return ()
    codes = {finding.code for finding in found}
    speaking = [rule for rule in terms.rule if rule.finding in codes]
    meant = {rule.category for rule in speaking}
    is_bulk = not codes.isdisjoint(terms.bulk)
    out = []
    for category in terms.category:
        if category.id not in meant:
            continue
        rules = (rule for rule in speaking if rule.category == category.id)
        hits = tuple((rule, f) for rule in rules for f in found if rule.means(f.code, f.confidence))
        if hits and (category.requires is None or any(f.code == category.requires for _, f in hits)):
            out.append(Touched(category=category, hits=hits, mode=_mode(category, hits, is_bulk=is_bulk)))
    return tuple(out)


def violations(
    terms: Agreement, assessment: Assessment, direction: Direction, *, is_attributed: bool
) -> tuple[Violation, ...]:
    """Say what the mail breached; empty for clean mail, for strangers' mail and for mail nobody answers for."""
    if not is_attributed or direction is Direction.INBOUND:
        return ()
    bulk = [f.code for f in _found(assessment) if f.code in terms.bulk]
    out = []
    for item in touched(terms, assessment):
        if item.mode is None or item.mode in LOCKED:
            continue
        # What made it more than one letter is part of why.
        codes = (*item.codes, *(bulk if item.category.single is not None else ()))
        out.append(
            Violation(
                category=item.category.id,
                family=item.category.family,
                mode=item.mode,
                severity=item.category.fixed_severity,
                ground=Ground(kind=terms.ground_kind, ids=item.category.ground),
                finding_codes=tuple(dict.fromkeys(codes)),
                is_burst=BURST in codes,
            )
        )
    return tuple(out)


def advisory(
    terms: Agreement, assessment: Assessment, direction: Direction, *, has_account: bool, is_attributed: bool
) -> tuple[str, ...]:
    """Say what people are shown although nothing follows from it: ids of categories, then codes of findings.

    Categories are those touched in mode C2 and, for mail known only by its network, all (STANDING 5.7-12); of mail that
    nobody of ours answers for, none.
    """
    names: list[str] = []
    if has_account and direction is not Direction.INBOUND:
        names = [
            item.category.id
            for item in touched(terms, assessment)
            if item.category.mode is not Mode.C1 and (item.mode is Mode.C2 or (item.mode and not is_attributed))
        ]
    listed = [f.code for f in _found(assessment) if f.code in terms.advisory]
    return tuple(dict.fromkeys((*names, *listed)))


def is_refused_without_points(terms: Agreement, assessment: Assessment) -> tuple[Category, ...]:
    """Say which categories refuse the message although they are no violation yet (`alone = "refuse"`)."""
    return tuple(
        item.category
        for item in touched(terms, assessment)
        if item.mode is None and any(rule.alone == "refuse" for rule, _ in item.hits)
    )


def _found(assessment: Assessment) -> list[Finding]:
    return [f for v in assessment.verdicts if v.outcome is Outcome.FOUND for f in v.findings]


def _mode(category: Category, hits: tuple[tuple[Rule, Finding], ...], *, is_bulk: bool) -> Mode | None:
    # CLAUSES §1: whatever agrees with what, a locked category is never more than it is.
    if category.mode in LOCKED:
        return category.mode
    reached = _unlocked_mode(category, hits)
    if reached is not None and category.single is not None and not is_bulk:
        return Mode(category.single)
    return reached


def _unlocked_mode(category: Category, hits: tuple[tuple[Rule, Finding], ...]) -> Mode | None:
    if category.agreeing_groups == 1:
        return category.mode
    # A finding below its model card's gate for mode A (STANDING 5.7-24) speaks, but does not help to reach A.
    groups = {rule.group or f.signal for rule, f in hits if ("gate", "B") not in f.why} - {None}
    if len(groups) >= category.agreeing_groups:
        return category.mode
    return Mode.B if any(rule.alone == "B" for rule, _ in hits) else None
