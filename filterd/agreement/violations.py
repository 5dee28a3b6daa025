"""Which clauses did this mail breach? Assessment and terms to violations (HOUSE §4 step 4, CLAUSES §1).

Nobody's mail breaches anything: only a mail with an attributed account, outbound or internal, can (HOUSE rule 7).
Only `found` verdicts count: an error is not a finding (HOUSE rule 3). A category that needs agreeing signal groups is
mode A when enough groups agree, otherwise what its rules say one group alone is worth.
"""

from __future__ import annotations

from filterd.agreement.terms import Agreement, Category, Rule
from filterd.model.sanction import Ground, Mode, Violation
from filterd.model.session import Direction
from filterd.model.verdict import Assessment, Finding, Outcome

BURST = "rate.burst.running"


def matches(terms: Agreement, assessment: Assessment) -> list[tuple[Category, list[tuple[Rule, Finding]]]]:
    """Say which categories were touched by which findings, in the order of the file."""
    findings = [f for v in assessment.verdicts if v.outcome is Outcome.FOUND for f in v.findings]
    out = []
    for category in terms.category:
        hits = [
            (rule, finding)
            for rule in terms.rule
            if rule.category == category.id
            for finding in findings
            if finding.code == rule.finding and finding.confidence >= rule.min_confidence
        ]
        if hits and (category.requires is None or any(f.code == category.requires for _, f in hits)):
            out.append((category, hits))
    return out


def violations(
    terms: Agreement, assessment: Assessment, direction: Direction, *, is_attributed: bool
) -> tuple[Violation, ...]:
    """Say what the mail breached; empty for clean mail, for strangers' mail and for mail nobody answers for."""
    if not is_attributed or direction is Direction.INBOUND:
        return ()
    out = []
    for category, hits in matches(terms, assessment):
        mode = _mode(category, hits)
        if mode is None:
            continue
        out.append(
            Violation(
                category=category.id,
                family=category.family,
                mode=mode,
                severity=category.severity,
                ground=Ground(kind="clause", ids=category.ground),
                finding_codes=tuple(dict.fromkeys(f.code for _, f in hits)),
                is_burst=any(f.code == BURST for _, f in hits),
            )
        )
    return tuple(out)


def is_refused_without_points(terms: Agreement, assessment: Assessment) -> tuple[Category, ...]:
    """Say which categories refuse the message although they are no violation yet (`alone = "refuse"`)."""
    return tuple(
        category
        for category, hits in matches(terms, assessment)
        if _mode(category, hits) is None and any(rule.alone == "refuse" for rule, _ in hits)
    )


def _mode(category: Category, hits: list[tuple[Rule, Finding]]) -> Mode | None:
    if category.agreeing_groups == 1:
        return category.mode
    # A finding below its model card's gate for mode A (STANDING 5.7-24) speaks, but does not help to reach A.
    strong = {f.signal for _, f in hits if f.signal is not None and ("gate", "B") not in f.why}
    if len(strong) >= category.agreeing_groups:
        return category.mode
    return Mode.B if any(rule.alone == "B" for rule, _ in hits) else None
