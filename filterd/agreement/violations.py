"""Which clauses did this mail breach? Assessment and terms to violations (HOUSE §4 step 4, CLAUSES §1).

Nobody's mail breaches anything: only a mail with an attributed account, outbound or internal, can (HOUSE rule 7).
Only `found` verdicts count: an error is not a finding (HOUSE rule 3). A category that needs agreeing signal groups is
mode A when enough groups agree, otherwise what its rules say one group alone is worth. What comes out as C2 is no
violation but a hint for people, unless two people have raised the category to hold and warn; C1 is not even a hint:
nothing here tells of it (HOUSE rule 9).

A rule whose `when` cannot be computed has errored: it means nothing, and people are told (LIBRARIES §13).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from filterd.agreement.category import LOCKED, RAISED_FAMILY, Category, Rule
from filterd.agreement.terms import Agreement
from filterd.agreement.when import Mail, holds, names
from filterd.model.sanction import Ground, Mode, Violation
from filterd.model.session import Direction
from filterd.model.verdict import Assessment, Finding, Outcome

BURST = "rate.burst.running"
# What `advisory` says of a rule that could not be computed, before the rule's finding. Somebody has to look at it: the
# agreement does not do what it says (`asks_for_a_person`).
RULE_ERRORED = "rule.errored:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """A category that findings lead to. `mode` None: too little for a violation of any mode."""

    category: Category
    hits: tuple[tuple[Rule, Finding], ...]
    mode: Mode | None

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(finding.code for _, finding in self.hits))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """The rules that speak of the mail, with the findings they speak of, and the findings whose rules errored."""

    hits: tuple[tuple[Rule, Finding], ...] = ()
    errored: tuple[str, ...] = ()


def touched(terms: Agreement, assessment: Assessment, mail: Mail | None = None) -> tuple[Touched, ...]:
    """Say which categories were touched by which findings, in the order of the file.

    Args:
        mail: what else a rule may ask; None: nothing is known, and a rule with a `when` has errored.
    """
    found = _found(assessment)
    if not found:
        return ()
    codes = {finding.code for finding in found}
    speaking = _hear(terms, found, mail).hits
    meant = {rule.category for rule, _ in speaking}
    is_bulk = not codes.isdisjoint(terms.bulk)
    out = []
    for category in terms.category:
        if category.id not in meant:
            continue
        hits = tuple((rule, f) for rule, f in speaking if rule.category == category.id)
        if category.requires is None or any(f.code == category.requires for _, f in hits):
            out.append(Touched(category=category, hits=hits, mode=_mode(category, hits, is_bulk=is_bulk)))
    return tuple(out)


def violations(
    terms: Agreement,
    assessment: Assessment,
    direction: Direction,
    *,
    is_attributed: bool,
    mail: Mail | None = None,
) -> tuple[Violation, ...]:
    """Say what the mail breached; empty for clean mail, for strangers' mail and for mail nobody answers for."""
    if not is_attributed or direction is Direction.INBOUND:
        return ()
    bulk = [f.code for f in _found(assessment) if f.code in terms.bulk]
    out = []
    for item in touched(terms, assessment, mail):
        mode = _acting(item)
        if mode is None:
            continue
        # What made it more than one letter is part of why.
        out.append(violation_of(item, terms, mode, also=bulk if item.category.single is not None else ()))
    return tuple(out)


def violation_of(
    item: Touched, terms: Agreement, mode: Mode | None = None, *, also: Iterable[str] = ()
) -> Violation:
    """Make the violation of a touched category. `mode` None: the category's own; `also`: further codes behind it.

    What a raised C2 category finds by itself is a family of its own: it must never make one incident of two, or two of
    one, and so change what other acts cost.
    """
    codes = tuple(dict.fromkeys((*item.codes, *also)))
    return Violation(
        category=item.category.id,
        family=f"{RAISED_FAMILY}{item.category.family}" if mode is Mode.C2 else item.category.family,
        mode=mode or item.category.mode,
        severity=item.category.fixed_severity,
        ground=Ground(kind=terms.ground_kind, ids=item.category.ground),
        finding_codes=codes,
        is_burst=BURST in codes,
    )


def advisory(
    terms: Agreement,
    assessment: Assessment,
    direction: Direction,
    *,
    has_account: bool,
    is_attributed: bool,
    mail: Mail | None = None,
) -> tuple[str, ...]:
    """Say what people are shown although nothing follows from it: ids of categories, rules that errored, then codes.

    Categories are those touched in mode C2 and, for mail known only by its network, all (STANDING 5.7-12); of mail that
    nobody of ours answers for, none.
    """
    shown: list[str] = []
    if has_account and direction is not Direction.INBOUND:
        shown = [
            item.category.id
            for item in touched(terms, assessment, mail)
            if item.category.mode is not Mode.C1 and item.mode and not (is_attributed and _acting(item))
        ]
        shown += [RULE_ERRORED + code for code in _hear(terms, _found(assessment), mail).errored]
    listed = [f.code for f in _found(assessment) if f.code in terms.advisory]
    return tuple(dict.fromkeys((*shown, *listed)))


def asks_for_a_person(code: str) -> bool:
    """Say whether an advisory entry is a fault of the agreement that somebody has to repair."""
    return code.startswith(RULE_ERRORED)


def is_refused_without_points(
    terms: Agreement, assessment: Assessment, mail: Mail | None = None
) -> tuple[Category, ...]:
    """Say which categories refuse the message although they are no violation yet (`alone = "refuse"`)."""
    return tuple(
        item.category
        for item in touched(terms, assessment, mail)
        if item.mode is None and any(rule.alone == "refuse" for rule, _ in item.hits)
    )


def _found(assessment: Assessment) -> list[Finding]:
    return [f for v in assessment.verdicts if v.outcome is Outcome.FOUND for f in v.findings]


def _hear(terms: Agreement, found: list[Finding], mail: Mail | None) -> _Heard:
    codes = {finding.code for finding in found}
    speaking = [(rule, f) for rule in terms.rule if rule.finding in codes for f in found]
    meant = [(rule, f) for rule, f in speaking if rule.means(f.code, f.confidence)]
    if all(rule.when is None for rule, _ in meant):
        return _Heard(hits=tuple(meant))
    is_bulk = not codes.isdisjoint(terms.bulk)
    known = names(mail, dict.fromkeys(f.code for f in found), is_bulk=is_bulk) if mail is not None else {}
    hits, errored = [], []
    for rule, f in meant:
        says = rule.when is None or holds(rule.when, known, f.confidence)
        if says:
            hits.append((rule, f))
        # Nothing tells of a locked category, not even its own faults.
        elif says is None and not _is_c1(terms, rule):
            errored.append(f.code)
    return _Heard(hits=tuple(hits), errored=tuple(dict.fromkeys(errored)))


def _is_c1(terms: Agreement, rule: Rule) -> bool:
    category = terms.find_category(rule.category)
    return category is None or category.mode is Mode.C1


def _acting(item: Touched) -> Mode | None:
    """Say the mode in which it is a violation: A, B, or C2 where two people have raised it; None when it is none."""
    is_raised = item.mode is Mode.C2 and item.category.raised
    return item.mode if is_raised or item.mode not in LOCKED else None


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
