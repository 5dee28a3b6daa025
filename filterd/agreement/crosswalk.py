"""The agreement as one table: label, finding, category, ground, mode, severity, what happens to the mail.  CLAUSES §4.

Computed from the terms, so that the table people read is the one that is enforced. `rung_reach` says how high the real
ladder goes for one account that never stops, with nobody on duty, and `staff_reach` what people add (STANDING 5.9).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from filterd.agreement.category import LOCKED, Category, Rule
from filterd.agreement.fold import apply
from filterd.agreement.offence import Offence, commit_offence
from filterd.agreement.sections_tenant import TenantRegistration
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import Disposition
from filterd.model.sanction import Ground, Mode, Preset, Rung, Violation
from filterd.model.standing import History

# Long enough for every step of the ladder: each incident begins after the notice of the one before.
INCIDENTS = 12
APART = timedelta(hours=48)
# Any day will do; the agreement counts exact hours here.
START = datetime(2026, 3, 2, tzinfo=UTC)
# STANDING 5.9: what a standing order of two people may name at most, whatever an agreement says.
ORDER_MAY_NAME = frozenset({"malware", "phishing.known", "spam.outbound"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Args:
        label: what a classifier calls it (`gambling`, `pii`), None for what no classifier does.
        finding: None for a category no check leads to.
        category: None for protection and for advice, which stand on no ground.
        clauses: keys of the ground.
        mode: A, B, C1, C2, "B bulk, else C2", or "A agreeing, else B"; what else an agreement can say in between.
        severity: S1..S4, "S1-S3" by recipients, or "decider".
        mail: what happens to the message by default.
        when: the rule's condition on the mail, None where it has none.
    """

    label: str | None
    finding: str | None
    category: str | None = None
    clauses: tuple[str, ...] = ()
    mode: str = ""
    severity: str = ""
    mail: str
    when: str | None = None


def crosswalk(terms: Agreement) -> tuple[Row, ...]:
    """Say the whole table: categories in the order of the file, then protection, then advice."""
    out = []
    for category in terms.category:
        rules = [rule for rule in terms.rule if rule.category == category.id]
        out += [_row(category, rule) for rule in rules or (None,)]
    if terms.tenant is not None and terms.tenant.registration is not None:
        out.append(_registration(terms.tenant.registration))
    for item in terms.protection:
        mail = f"outbound {item.outbound.value}, internal {item.internal.value}"
        is_same = item.outbound is item.internal
        out.append(
            Row(
                label=label_of(item.finding),
                finding=item.finding,
                mode="protection",
                mail=item.outbound.value if is_same else mail,
            )
        )
    for code in terms.advisory:
        out.append(Row(label=label_of(code), finding=code, mode="advisory", mail=Disposition.ACCEPT.value))
    for code in terms.security.indicators:
        out.append(Row(label=label_of(code), finding=code, mode="indicator", mail=Disposition.ACCEPT.value))
    return tuple(out)


def _registration(rules: TenantRegistration) -> Row:
    """Whoever registers again after a termination: no mail leads there; held, and then a person's (TX-8.2.4)."""
    return Row(
        label=None,
        finding=None,
        category="reg.evasion",
        clauses=rules.ground,
        mode=f"{Mode.B.value} hold, person",
        severity="no points",
        mail=Disposition.DEFER.value,
    )


def label_of(code: str) -> str | None:
    """Say which classifier label a finding carries, None when it is no classifier's."""
    area, subject, _ = code.split(".")
    return subject if area == "content" else area if area == "pii" else None


def _row(category: Category, rule: Rule | None) -> Row:
    return Row(
        label=label_of(rule.finding) if rule is not None else None,
        finding=rule.finding if rule is not None else None,
        category=category.id,
        clauses=category.ground,
        mode=_mode(category, rule),
        severity=severity_text(category),
        mail=_mail(category, rule),
        when=rule.when if rule is not None else None,
    )


def _mode(category: Category, rule: Rule | None) -> str:
    if category.people_only:
        return f"{category.mode.value} (people)"
    if category.single is not None:
        return f"{category.mode.value} bulk, else {category.single}"
    if rule is None or category.agreeing_groups == 1:
        return category.mode.value
    alone = "B" if rule.alone == "B" else "nothing"
    return category.mode.value if alone == category.mode.value else f"{category.mode.value} agreeing, else {alone}"


def _mail(category: Category, rule: Rule | None) -> str:
    if rule is not None and rule.alone == "refuse":
        return Disposition.REJECT.value
    return category.disposition.value


def severity_text(category: Category) -> str:
    """Say the severity as people write it."""
    steps = [step.severity for step in category.severity_by_recipients]
    if steps:
        return f"S{min(steps)}-S{max(steps)}"
    return f"S{category.severity}" if category.fixed_severity is not None else "decider"


# --- how far it goes, with nobody on duty and with people -------------------------------------------------------------


class Staff(StrEnum):
    """Who is on duty."""

    NOBODY = "nobody"
    ONE = "one"
    TEAM = "team"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The highest step one category reaches.

    Args:
        preset: None where it plays no part, because a person decides.
        hours: None: open-ended, or no step with a length at all.
        by_order: a signed standing order may terminate beyond it (STANDING 5.9); without one nothing does.
    """

    category: str
    preset: Preset | None
    rung: Rung
    hours: float | None = None
    staff: Staff = Staff.NOBODY
    by_order: bool = False

    @property
    def text(self) -> str:
        if self.rung is Rung.NONE:
            return "nothing"
        if self.rung in (Rung.WARN, Rung.TERMINATE):
            return self.rung.word
        return f"{self.rung.word} {self.hours:g} h" if self.hours is not None else f"{self.rung.word} open-ended"


def rung_reach(terms: Agreement) -> tuple[Reach, ...]:
    """Say how far each category goes with no staff, under each preset; the ladder itself is asked, act by act.

    Mode A as if its groups agreed every time, mode B in bulk. Categories for people only, C1 and C2 reach nothing, a
    raised C2 a warning.
    """
    return tuple(_reach(terms, category, preset) for category in terms.category for preset in Preset)


def staff_reach(terms: Agreement) -> tuple[Reach, ...]:
    """Say how far each category goes where one person decides, and where a second one agrees.

    One person goes to the end of the ladder, for a locked category too: it is the person who decides. Two can
    terminate, where the agreement's own clauses allow it; under a supplement that is no rung (STANDING 5.9).
    """
    return tuple(one for category in terms.category for one in _with_people(terms, category.id))


def _with_people(terms: Agreement, category_id: str) -> tuple[Reach, Reach]:
    top = terms.ladder[-1]
    one = Reach(category=category_id, preset=None, rung=top.as_rung, hours=top.hours, staff=Staff.ONE)
    if can_terminate(terms):
        return one, Reach(category=category_id, preset=None, rung=Rung.TERMINATE, staff=Staff.TEAM)
    return one, replace(one, staff=Staff.TEAM)


def can_terminate(terms: Agreement) -> bool:
    """Say whether two people may terminate an account for a breach of this very text."""
    return terms.termination is not None and terms.ground_kind == "clause" and "clause" in terms.termination.grounds


def _reach(terms: Agreement, category: Category, preset: Preset) -> Reach:
    best = Reach(category=category.id, preset=preset, rung=Rung.NONE)
    if category.people_only or (category.mode in LOCKED and not category.raised):
        return best
    history = History(account_id="a_reach")
    for number in range(INCIDENTS):
        offence = _offence(terms, category, START + number * APART, number)
        outcome = commit_offence(history, offence, terms, preset)
        for record in outcome.records:
            if isinstance(record, r.SanctionImposed):
                best = max(best, _said(record, category, preset), key=_height)
        history = apply(outcome.history, _noticed(outcome.incident_id, offence.at + timedelta(minutes=30)))
    is_endless = best.rung is Rung.SUSPEND and best.hours is None and preset is Preset.STANDING_ORDER
    return replace(best, by_order=is_endless and category.id in ORDER_MAY_NAME and can_terminate(terms))


def _said(record: r.SanctionImposed, category: Category, preset: Preset) -> Reach:
    ends = [end for end in (record.ends_at, record.lapses_at) if end is not None]
    hours = (min(ends) - record.starts_at) / timedelta(hours=1) if ends and record.rung > Rung.WARN else None
    return Reach(category=category.id, preset=preset, rung=record.rung, hours=hours)


def _height(reach: Reach) -> tuple[int, float]:
    return reach.rung, float("inf") if reach.hours is None else reach.hours


def _offence(terms: Agreement, category: Category, at: datetime, number: int) -> Offence:
    recipients = max((step.recipients for step in category.severity_by_recipients), default=1)
    violation = Violation(
        category=category.id,
        family=category.family,
        mode=category.mode,
        severity=category.fixed_severity,
        ground=Ground(kind=terms.ground_kind, ids=category.ground),
        finding_codes=(),
        is_burst=category.mode is Mode.A,
    )
    return Offence(
        at=at,
        tenant_id="n_reach",
        transaction_id=f"t_reach{number}",
        decision_id=f"d_reach{number}",
        evidence_key=f"e_reach{number}",
        text_fp=f"x_reach{number}",
        violations=(violation,),
        delivery_keys=tuple(f"r{number}.{n}" for n in range(recipients)),
        policy_digest="",
    )


def _noticed(incident_id: str, at: datetime) -> r.NoticeSent:
    return r.NoticeSent(
        at=at,
        notice_id=f"m_{incident_id}",
        account_id="a_reach",
        incident_ids=(incident_id,),
        template="warning",
        languages=("en",),
        channel="mail",
        outcome="accepted",
        deemed_at=at,
        body_digest="",
    )
