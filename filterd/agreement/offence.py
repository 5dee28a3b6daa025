"""What one violating message does to an account: records, in order.  STANDING 5.3, 5.7-14.

Used by `decide` for live mail and by `annul` for replay, so that both are the same ladder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from filterd.agreement import raised
from filterd.agreement.breaker import TRIPPED
from filterd.agreement.draft import Draft
from filterd.agreement.incident import (
    categories_of,
    find_open,
    is_after_notice,
    is_first,
    is_zero_tolerance,
    open_incident,
    scope_of,
)
from filterd.agreement.ladder import NO_STEP, Evaluation, ends_at, evaluate
from filterd.agreement.lockout import place_hold
from filterd.agreement.standing import SENDING
from filterd.agreement.takeover import is_malicious, is_stolen, reported
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import NO_TEXT
from filterd.model.ids import derived_id
from filterd.model.sanction import Feature, Mode, Preset, Rung, Violation
from filterd.model.standing import COMPROMISED, MALICIOUS, UNKNOWN, History, IncidentFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Offence:
    """One message's violations, ready to be weighed. `delivery_keys` are the recipients not counted before.

    `incident_id` forces the incident, for replay; None finds or opens one. `indicators` are what in this mail speaks
    for a stolen account, `hypothesis` whose doing it is taken for before anybody has looked (STANDING 5.7-14).
    """

    at: datetime
    tenant_id: str
    transaction_id: str
    decision_id: str
    evidence_key: str
    text_fp: str
    violations: tuple[Violation, ...]
    delivery_keys: tuple[str, ...]
    policy_digest: str
    evidence_digest: str | None = None
    is_strong: bool = True
    incident_id: str | None = None
    indicators: tuple[str, ...] = ()
    hypothesis: str = UNKNOWN
    # What was behind the findings, and of the recipients enough to know them again; for the row only.
    signals: tuple[str, ...] = ()
    recipient_marks: tuple[str, ...] = ()
    # Somebody has stopped automation: what is warranted waits for a person (STANDING 5.7-21).
    is_frozen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The records an offence adds, the history with them, and which incident it is part of."""

    records: tuple[r.Record, ...]
    history: History
    incident_id: str
    evaluation: Evaluation | None


def commit_offence(history: History, offence: Offence, terms: Agreement, preset: Preset) -> Outcome:
    """Weigh one message: open or join an incident, raise its strike, impose what is warranted and allowed."""
    ledger = Draft(history)
    incident_id = _join_or_open(ledger, offence, terms)
    seen = ledger.incident(incident_id).links
    ledger.add(
        r.ViolationRecorded(
            at=offence.at,
            incident_id=incident_id,
            decision_id=offence.decision_id,
            transaction_id=offence.transaction_id,
            evidence_key=offence.evidence_key,
            text_fp=offence.text_fp,
            violations=offence.violations,
            delivery_keys=offence.delivery_keys,
            policy_digest=offence.policy_digest,
            evidence_digest=offence.evidence_digest,
            is_strong=offence.is_strong,
            indicators=_indicators(history, offence, terms),
            hypothesis=_hypothesis(ledger, incident_id, offence),
            signals=offence.signals,
            recipient_marks=offence.recipient_marks,
        )
    )
    incident = ledger.incident(incident_id)
    # An act recorded late weighs from the incident's beginning on: nothing is imposed before it.
    offence = replace(offence, at=max(offence.at, incident.opened.at))
    evaluation = None
    if not incident.is_void:
        strike = _strike(ledger.history, incident, offence, terms)
        mine = offence.violations if offence.is_strong else ()
        place_hold(ledger, incident, mine, offence.at, terms, is_new_message=offence.evidence_key not in seen)
        if strike is not None:
            ledger.add(strike)
            incident = ledger.incident(incident_id)
            evaluation = evaluate(ledger.history, incident, terms, preset, offence.at, is_frozen=offence.is_frozen)
            _impose(ledger, incident, offence, terms, preset, evaluation)
        elif offence.is_strong and not offence.is_frozen:
            acts = tuple(v for v in offence.violations if not v.is_shadow)
            decision_id = offence.decision_id
            for record in raised.warning(ledger.history, incident, acts, terms, offence.at, decision_id):
                ledger.add(record)
        if any(v.is_shadow for v in offence.violations):
            # Somebody sees what the breaker keeps from counting.
            shadow = Evaluation(warranted=NO_STEP, imposed=NO_STEP, held_back=TRIPPED)
            _open_task(ledger, incident_id, offence, terms, shadow)
    return Outcome(
        records=tuple(ledger.records), history=ledger.history, incident_id=incident_id, evaluation=evaluation
    )


def commit_indicator(history: History, seen: r.IndicatorSeen, terms: Agreement) -> Outcome:
    """Take in what speaks for a stolen account: of its incident the points become provisional, and sending is locked.

    Without an incident it is written down, and speaks for the mail that follows (takeover.reported).
    """
    ledger = Draft(history)
    ledger.add(seen)
    incident_id = seen.incident_id or ""
    incident = next((i for i in ledger.history.incidents if i.opened.incident_id == incident_id), None)
    if incident is not None and not incident.is_void:
        _reissue(ledger, incident, seen.at, terms)
        place_hold(ledger, incident, (), seen.at, terms, is_new_message=False)
    return Outcome(records=tuple(ledger.records), history=ledger.history, incident_id=incident_id, evaluation=None)


def commit_hypothesis(history: History, settled: r.HypothesisSettled, terms: Agreement, preset: Preset) -> Outcome:
    """A person says whose doing an incident was. Malicious: its points are final at once, and the ladder is climbed
    without the cap of a first incident; that is the person's act, so it may impose (STANDING 5.3, 5.7-14)."""
    ledger = Draft(history)
    ledger.add(settled)
    incident = ledger.incident(settled.incident_id)
    evaluation = None
    if not incident.is_void and incident.strike is not None:
        _reissue(ledger, incident, settled.at, terms)
        incident = ledger.incident(settled.incident_id)
        if settled.hypothesis == MALICIOUS:
            decision_id = derived_id("d", settled.incident_id, settled.hypothesis, settled.at.isoformat())
            evaluation = evaluate(ledger.history, incident, terms, preset, settled.at)
            _impose(ledger, incident, _nothing_new(incident, settled.at, decision_id), terms, preset, evaluation)
    return Outcome(
        records=tuple(ledger.records), history=ledger.history, incident_id=settled.incident_id, evaluation=evaluation
    )


def _nothing_new(incident: IncidentFile, at: datetime, decision_id: str) -> Offence:
    """An incident seen in another light, without another message."""
    return Offence(
        at=at,
        tenant_id=incident.opened.tenant_id,
        transaction_id="",
        decision_id=decision_id,
        evidence_key=incident.opened.evidence_key,
        text_fp="",
        violations=(),
        delivery_keys=(),
        policy_digest="",
    )


def _indicators(history: History, offence: Offence, terms: Agreement) -> tuple[str, ...]:
    """What speaks for a stolen account: in this mail, and reported lately. Only where somebody logged in."""
    if not offence.is_strong:
        return ()
    return tuple(dict.fromkeys((*offence.indicators, *reported(history, terms, offence.at))))


def _hypothesis(ledger: Draft, incident_id: str, offence: Offence) -> str:
    """Once a person has settled it, no mail does."""
    is_settled = any(x.incident_id == incident_id for x in ledger.history.of(r.HypothesisSettled))
    return UNKNOWN if is_settled else offence.hypothesis


def _reissue(ledger: Draft, incident: IncidentFile, at: datetime, terms: Agreement) -> None:
    """Issue the strike again where what is known of the incident now makes it provisional, or final."""
    before = incident.strike
    if before is None:
        return
    until = _provisional_until(ledger.history, incident, before.at, terms)
    if until != before.provisional_until:
        ledger.add(replace(before, provisional_until=until))


def _provisional_until(
    history: History, incident: IncidentFile, issued_at: datetime, terms: Agreement
) -> datetime | None:
    """Say until when an incident's points are provisional: of a first zero-tolerance act, and of anything that a thief
    may have done; never of what is the user's own doing (STANDING 5.3 step 2)."""
    if is_malicious(incident):
        return None
    is_doubtful = is_stolen(incident, terms) or incident.hypothesis == COMPROMISED
    if not is_doubtful and not (is_first(history, incident) and is_zero_tolerance(incident, terms)):
        return None
    return issued_at + timedelta(hours=terms.points.provisional_hours)


def _join_or_open(ledger: Draft, offence: Offence, terms: Agreement) -> str:
    if offence.incident_id is None:
        links = frozenset({offence.evidence_key, offence.text_fp} - {NO_TEXT})
        found = find_open(ledger.history, terms, offence.at, offence.violations, links)
        if found is not None:
            return found.opened.incident_id
    elif any(i.opened.incident_id == offence.incident_id for i in ledger.history.incidents):
        return offence.incident_id
    opened = open_incident(
        ledger.history,
        terms,
        offence.at,
        offence.violations,
        tenant_id=offence.tenant_id,
        evidence_key=offence.evidence_key,
        first_delivery_key=offence.delivery_keys[0] if offence.delivery_keys else "",
        incident_id=offence.incident_id,
    )
    ledger.add(opened)
    return opened.incident_id


def _strike(history: History, incident: IncidentFile, offence: Offence, terms: Agreement) -> r.StrikeIssued | None:
    """Make the strike, or make it again when this message raised it; None when nothing changed.

    The maximum over the incident's categories, never the sum. The severity of a category that goes by recipients
    follows all its recipients in the incident, for the mode-A part those of its mode-A messages.
    """
    before = incident.strike
    extra = is_after_notice(history, incident)
    a_points, b_points, severity, category = 0, 0, 0, ""
    for violation in offence.violations:
        if violation.mode not in (Mode.A, Mode.B) or violation.is_shadow:
            continue
        found = terms.find_category(violation.category)
        if found is None:
            continue
        level = found.severity_of(incident.recipients_of(found.id))
        if violation.mode is Mode.A and offence.is_strong:
            number_in_a = incident.recipients_of(found.id, only_a=True)
            in_a = found.severity_of(number_in_a)
            a_points = max(a_points, terms.half_points(in_a, is_after_notice=extra))
            if number_in_a < incident.recipients_of(found.id):
                # What came in mode B before is of the same run, and as large: the order changes no points.
                b_points = max(b_points, terms.half_points(level, is_after_notice=extra))
        else:
            b_points = max(b_points, terms.half_points(level, is_after_notice=extra))
        if level > severity:
            severity, category = level, found.id
    if before is not None:
        a_points, b_points = max(a_points, before.a_half_points), max(b_points, before.b_half_points)
        if severity <= before.severity:
            severity, category = before.severity, before.category
    if severity == 0:
        return None
    issued_at = before.at if before is not None else offence.at
    strike = r.StrikeIssued(
        at=issued_at,
        strike_id=derived_id("k", incident.opened.incident_id),
        incident_id=incident.opened.incident_id,
        decision_id=offence.decision_id,
        category=category,
        severity=severity,
        a_half_points=a_points,
        b_half_points=b_points,
        provisional_until=_provisional_until(history, incident, issued_at, terms),
        provisional_cap=round(terms.points.unattested_cap * 2),
        expires_at=issued_at + terms.counts_for(severity),
    )
    if before is not None and replace(strike, decision_id=before.decision_id) == before:
        return None
    return strike


def _impose(
    ledger: Draft,
    incident: IncidentFile,
    offence: Offence,
    terms: Agreement,
    preset: Preset,
    evaluation: Evaluation,
) -> None:
    """Impose the step if it is above what the incident imposed before, and leave the rest to a person.

    The key is (subject, incident, step), so that splitting a burst into messages changes nothing (STANDING 5.3 step 7).
    """
    step, incident_id, strike = evaluation.imposed, incident.opened.incident_id, incident.strike
    end, lapse = ends_at(terms, step, preset, offence.at)
    # The preset's B rule switches off the one feature used, not the whole row (STANDING 5.9).
    scope = scope_of(incident, terms) if incident.has_mode_a else scope_of(incident, terms)[:1]
    mine = [
        s.step
        for s in ledger.history.sanctions
        if s.imposed.incident_id == incident_id and (s.imposed.is_automatic or _covers(s.imposed, scope, end))
    ]
    is_new = strike is not None and step.index > max(mine, default=-1)
    if strike is not None and is_new:
        ledger.add(
            r.SanctionImposed(
                at=offence.at,
                sanction_id=derived_id("s", incident_id, str(step.index)),
                incident_id=incident_id,
                decision_id=offence.decision_id,
                account_id=ledger.history.account_id,
                rung=step.rung,
                step=step.index,
                features=SENDING if step.rung is Rung.SUSPEND else scope if step.rung is Rung.RESTRICT else (),
                category=strike.category,
                clauses=tuple(dict.fromkeys((*_ground(incident, terms), *terms.sanction_ground))),
                starts_at=offence.at,
                ends_at=strike.expires_at if step.rung is Rung.WARN else end,
                lapses_at=lapse,
                step_down_features=scope,
                is_automatic=True,
                by="system",
                warranted=evaluation.warranted.rung,
            )
        )
    if evaluation.held_back is not None or (is_new and step.rung >= Rung.RESTRICT):
        _open_task(ledger, incident_id, offence, terms, evaluation)


def _covers(imposed: r.SanctionImposed, scope: tuple[Feature, ...], end: datetime | None) -> bool:
    """Say whether a person's act takes all of this away for as long: a milder one stands beside what is warranted and
    not in its place (STANDING 5.3 step 7)."""
    is_as_long = imposed.ends_at is None or (end is not None and imposed.ends_at >= end)
    return is_as_long and set(scope) <= set(imposed.features)


def _open_task(ledger: Draft, incident_id: str, offence: Offence, terms: Agreement, evaluation: Evaluation) -> None:
    """Ask a person: for what automation held back, and to look at what it did."""
    what = "review" if evaluation.held_back is None else f"held back: {evaluation.held_back}"
    if evaluation.warranted.proposes_termination:
        what += "; termination proposed"
    task_id = derived_id("w", incident_id, evaluation.warranted.name(), evaluation.imposed.name())
    if task_id in ledger.incident(incident_id).tasks:
        return
    ledger.add(
        r.TaskOpened(
            at=offence.at,
            task_id=task_id,
            incident_id=incident_id,
            account_id=ledger.history.account_id,
            what=what,
            warranted=evaluation.warranted.name(),
            imposed=evaluation.imposed.name(),
            due_at=offence.at + timedelta(hours=terms.incident.task_due_hours),
        )
    )


def _ground(incident: IncidentFile, terms: Agreement) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for category in categories_of(incident, terms) for key in category.ground))
