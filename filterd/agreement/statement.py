"""The facts of a statement of reasons, before anybody words them.  STANDING 5.3-5.6, CLAUSES §7.

Pure: what was folded, the terms and an instant in, numbers and clauses out. Every clause comes out of the account's own
agreement: a notice cannot cite what the agreement lacks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from filterd.agreement.incident import is_after_notice, is_in_probation
from filterd.agreement.ladder import NO_STEP, Step, climb
from filterd.agreement.standing import earlier, standing_at, stretches
from filterd.agreement.statement_parts import (
    AutomatedDecision,
    CategoryName,
    CitedClause,
    Effect,
    Milder,
    NextStep,
    OtherEffect,
    Points,
    Protection,
    Received,
    Share,
    Statement,
    Undone,
)
from filterd.agreement.terms import Agreement, Category
from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.decision import Disposition
from filterd.model.sanction import Mode, Rung
from filterd.model.standing import CountingStrike, History, IncidentFile, SanctionFile, Standing

__all__ = ["Points", "Statement", "points_at", "statement"]

_MINUTE = timedelta(minutes=1)


def statement(
    history: History,
    terms: Agreement,
    at: datetime,
    *,
    incident_id: str,
    sanction_ids: Collection[str],
    records: Iterable[r.Record] = (),
) -> Statement:
    """Gather what may be said at `at` about one incident and some of its sanctions.

    Args:
        sanction_ids: those the notice is about; for an annulment also those of other cases that it changed.
        records: the account's. Without them `last_at` is when the last of the sanctions was imposed.

    Raises:
        UsageError: there is no such incident or sanction, or the terms lack a clause or category that it rests on.
    """
    incident = next((i for i in history.incidents if i.opened.incident_id == incident_id), None)
    if incident is None:
        raise UsageError(f"{history.account_id} has no incident {incident_id}")
    of_incident = [x for x in records if getattr(x, "incident_id", None) == incident_id]
    acts = [x for x in of_incident if isinstance(x, r.ViolationRecorded)]
    categories = _of_incident(incident, terms)
    files = [s for s in history.sanctions if s.imposed.sanction_id in sanction_ids]
    if unknown := set(sanction_ids) - {s.imposed.sanction_id for s in files}:
        raise UsageError(f"{history.account_id} has no sanction {min(unknown)}")
    own = sorted((s for s in files if s.imposed.incident_id == incident_id), key=lambda s: s.imposed.step, reverse=True)
    now = standing_at(history, terms, at)
    effects = tuple(_effect(s, incident, terms, at) for s in own)
    points = _points(history, terms, now, at, ends=_ends_suspension(effects))
    return Statement(
        incident_id=incident_id,
        account_id=history.account_id,
        grounds=_grounds(categories, own, terms),
        categories=tuple(CategoryName(en=c.en, zh=c.zh) for c in categories),
        message_count=incident.message_count,
        recipient_count=incident.delivery_count,
        first_at=incident.opened.at,
        last_at=max([incident.opened.at, *([act.at for act in acts] or [s.imposed.at for s in own])]),
        mode=Mode.A if incident.has_mode_a else Mode.B,
        is_after_notice=is_after_notice(history, incident),
        mail_refused=bool(categories)
        and all(
            c.effect(Mode.A if incident.has_mode_a else Mode.B) is Disposition.REJECT for c in categories
        ),
        automated_detection=_is_detected_by_machine(acts, own),
        automated_decision=_decided_by(own),
        effects=effects,
        hold=_hold(history, incident_id, at),
        half_points=points.half_points,
        shares=points.shares,
        due_step=points.due_step,
        next_step=points.next_step,
        probation_days=points.probation_days,
        after_suspension=points.after_suspension,
        others=_others(now, own),
        answer_hours=terms.incident.objection_hours,
        received=_received(own, terms, at),
        undone_at=_undone_at(incident, own, of_incident, at),
        undone=tuple(_undone(s, s.annulled_at, terms) for s in own if s.annulled_at is not None),
        milder=tuple(m for s in files if (m := _milder(s, terms, incident_id, at)) is not None),
    )


def points_at(history: History, terms: Agreement, at: datetime) -> Points:
    """Say an account's points at an instant, when each fades and what comes next."""
    now = standing_at(history, terms, at)
    ends = any(s.rung is Rung.SUSPEND and s.ends_at is not None for s in now.sanctions)
    return _points(history, terms, now, at, ends=ends)


# --- what for ---------------------------------------------------------------------------------------------------------


def _of_incident(incident: IncidentFile, terms: Agreement) -> tuple[Category, ...]:
    """Say the categories it holds, in the order they came."""
    known = {c.id: c for c in terms.category}
    names = [name for name, _, _ in incident.recipients]
    if missing := [name for name in names if name not in known]:
        raise UsageError(f"agreement {terms.id} {terms.version} has no category {missing[0]!r}")
    return tuple(known[name] for name in names)


def _grounds(categories: tuple[Category, ...], own: list[SanctionFile], terms: Agreement) -> tuple[CitedClause, ...]:
    keys = dict.fromkeys(
        [key for c in categories for key in c.ground] + [key for s in own for key in s.imposed.clauses]
    )
    if missing := [key for key in keys if key not in terms.clause]:
        raise UsageError(f"agreement {terms.id} {terms.version} has no clause {missing[0]!r}")
    cited = (terms.clause[key] for key in keys)
    return tuple(CitedClause(number=c.number, en=c.en, zh=c.zh) for c in cited)


def _is_detected_by_machine(acts: list[r.ViolationRecorded], own: list[SanctionFile]) -> bool:
    """Only checks write findings down; what rests on complaints alone, or on no message at all, was found by people."""
    codes = [code for act in acts for v in act.violations for code in v.finding_codes]
    if not acts:
        return not own or any(s.imposed.is_automatic for s in own)
    return any(not code.startswith("complaint.") for code in codes)


def _decided_by(own: list[SanctionFile]) -> AutomatedDecision:
    """A hold alone, with no sanction beside it, is always automatic."""
    if own and all(not s.imposed.is_automatic for s in own):
        return AutomatedDecision.NOT_AUTOMATED
    if any(not s.imposed.is_automatic or s.confirmed_at is not None for s in own):
        return AutomatedDecision.PARTIALLY
    return AutomatedDecision.FULLY


# --- what follows -----------------------------------------------------------------------------------------------------


def _effect(file: SanctionFile, incident: IncidentFile, terms: Agreement, at: datetime) -> Effect:
    imposed = file.imposed
    life = stretches(file, terms, at)
    running = next((piece for piece in life if piece.covers(at)), None)
    ends_at = life[-1].until if life else imposed.starts_at
    if running is not None and running.rung is Rung.WARN and incident.strike is not None:
        # A warning lasts as long as its strike counts, and the strike may have grown since (STANDING 5.1).
        ends_at = incident.strike.expires_at
    is_longer = imposed.ends_at is None or (imposed.lapses_at is not None and imposed.lapses_at < imposed.ends_at)
    may_lapse = running is not None and file.confirmed_at is None and is_longer and ends_at == imposed.lapses_at
    return Effect(
        sanction_id=imposed.sanction_id,
        rung=imposed.rung,
        features=life[0].features if life else imposed.features,
        starts_at=imposed.starts_at,
        ends_at=ends_at,
        is_over=running is None,
        lapses_at=imposed.lapses_at if may_lapse else None,
        stands_until=imposed.ends_at if may_lapse else None,
        eased_to=running.features if running is not None and running.rung < imposed.rung else None,
        steps_down=(
            running is not None
            and running.rung is imposed.rung
            and imposed.rung > Rung.WARN
            and imposed.is_automatic
            and file.confirmed_at is None
            and file.answered_at is None
        ),
    )


def _hold(history: History, incident_id: str, at: datetime) -> Protection | None:
    mine = [(h, earlier(h.ends_at, end)) for h, end in history.holds if h.incident_id == incident_id]
    if not mine:
        return None
    # The one that lasts longest: what a thief may have done locks sending, beside what locked a feature before.
    hold, end = max(mine, key=lambda x: (x[1] is None, x[1] or x[0].starts_at))
    return Protection(
        features=hold.features, starts_at=hold.starts_at, ends_at=end, is_over=end is not None and end <= at
    )


def _others(now: Standing, own: list[SanctionFile]) -> tuple[OtherEffect, ...]:
    ours = {s.imposed.sanction_id for s in own}
    return tuple(
        OtherEffect(incident_id=s.incident_id, rung=s.rung, features=s.features, ends_at=s.ends_at)
        for s in now.sanctions
        if s.rung > Rung.WARN and s.sanction_id not in ours
    )


# --- points -----------------------------------------------------------------------------------------------------------


def _points(history: History, terms: Agreement, now: Standing, at: datetime, *, ends: bool) -> Points:
    """`ends`: a suspension in force has an end, behind which a probation begins."""
    is_strict = is_in_probation(history, terms, at)
    reached = climb(terms, now.half_points, is_in_probation=is_strict)
    return Points(
        half_points=now.half_points,
        shares=tuple(_share(s, history) for s in now.strikes),
        due_step=_next_step(reached, now.half_points) if reached.rung > now.rung else None,
        next_step=_step_above(terms, now.half_points, reached, is_strict=is_strict),
        probation_days=terms.probation_days,
        after_suspension=_after_suspension(terms, now, ends=ends),
    )


def _share(counting: CountingStrike, history: History) -> Share:
    strike = next(
        i.strike for i in history.incidents if i.strike is not None and i.strike.strike_id == counting.strike_id
    )
    final = min(counting.half_points, strike.provisional_cap) if counting.is_provisional else counting.half_points
    return Share(
        incident_id=counting.incident_id,
        half_points=counting.half_points,
        fades_at=counting.expires_at,
        provisional_until=strike.provisional_until if counting.is_provisional else None,
        final_half_points=final,
        is_half=strike.provisional_until is None and strike.b_half_points > counting.half_points,
    )


def _next_step(step: Step, half_points: int) -> NextStep:
    return NextStep(
        rung=step.rung, hours=step.hours, half_points=half_points, proposes_termination=step.proposes_termination
    )


def _step_above(terms: Agreement, half_points: int, reached: Step, *, is_strict: bool) -> NextStep | None:
    top = round(terms.ladder[-1].at * 2)
    for more in range(half_points + 1, top + 1):
        step = climb(terms, more, is_in_probation=is_strict)
        if step.index > reached.index:
            return _next_step(step, more)
    return None


def _ends_suspension(effects: tuple[Effect, ...]) -> bool:
    return any(e.rung is Rung.SUSPEND and not e.is_over and e.ends_at is not None for e in effects)


def _after_suspension(terms: Agreement, now: Standing, *, ends: bool) -> NextStep | None:
    step = climb(terms, now.half_points, is_in_probation=True) if ends and terms.probation_days else NO_STEP
    return _next_step(step, now.half_points) if step is not NO_STEP else None


# --- objection and annulment ------------------------------------------------------------------------------------------


def _received(own: list[SanctionFile], terms: Agreement, at: datetime) -> Received | None:
    filed = [s for s in own if s.objected_at is not None]
    if not filed:
        return None
    first = min(s.objected_at for s in filed if s.objected_at is not None)
    return Received(
        at=first,
        answer_due_at=first + timedelta(hours=terms.incident.objection_hours),
        is_answered=all(s.answered_at is not None and s.answered_at <= at for s in filed),
    )


def _undone_at(
    incident: IncidentFile, own: list[SanctionFile], of_incident: list[r.Record], at: datetime
) -> datetime | None:
    if not incident.is_annulled:
        return None
    written = [x.at for x in of_incident if isinstance(x, r.StrikeAnnulled)]
    return min(written or [s.annulled_at for s in own if s.annulled_at is not None], default=at)


def _undone(file: SanctionFile, annulled_at: datetime, terms: Agreement) -> Undone:
    life = stretches(file, terms, annulled_at)
    served = sum(((p.until or annulled_at) - p.since for p in life if p.rung > Rung.WARN), timedelta())
    return Undone(
        rung=file.imposed.rung,
        since=file.imposed.starts_at,
        until=(life[-1].until or annulled_at) if life else file.imposed.starts_at,
        minutes=-(-served // _MINUTE),
    )


def _milder(file: SanctionFile, terms: Agreement, incident_id: str, at: datetime) -> Milder | None:
    """Say what became of a running sanction of another case; None when there was nothing left to ease."""
    if file.imposed.incident_id == incident_id or not file.replayed:
        return None
    life = stretches(file, terms, at)
    running = next((piece for piece in life if piece.covers(at)), None)
    if running is None and not (life and life[-1].until == file.replayed[-1].at):
        return None
    return Milder(
        incident_id=file.imposed.incident_id,
        imposed=file.imposed.rung,
        rung=running.rung if running is not None else Rung.NONE,
        features=running.features if running is not None else (),
        ends_at=running.until if running is not None else None,
    )
