"""What has time done that nobody has been told of yet?  STANDING 5.4 row 5, 5.7-16; CLAUSES §6.

The change itself is computed elsewhere and needs none of this: here it becomes known. Each clock strikes once for each
object, for an object's name holds the instant; what has struck stands in the history, so that a job that slept for days
neither leaves out nor repeats anything. `since`: when this ledger began to keep clocks; older ends are not told of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from filterd.agreement import security
from filterd.agreement.appeal_clock import unanswered_at
from filterd.agreement.clocks import relooks, review_until, termination_keep_until
from filterd.agreement.incident import is_in_probation
from filterd.agreement.maintenance import Window, working_end
from filterd.agreement.standing import Stretch, in_effect, stretches, was_cut
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Rung
from filterd.model.standing import History, SanctionFile

Facts = Mapping[str, Any]

# What people do every so often: nobody stays suspended without an end because nobody looked again (STANDING 5.11).
RELOOK = "relook: an open-ended suspension"
# The clock of the instant at which a termination takes effect.
TERMINATED = "termination.begun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One clock that strikes.

    Args:
        event: the notice that tells of it, with its facts (pipeline/notice_table); None: nobody is written to.
        is_alarm: somebody on duty must look.
        task: what a person is asked to do.
    """

    clock: str
    subject_id: str
    object_id: str
    due_at: datetime
    event: str | None = None
    facts: Facts = field(default_factory=dict)
    is_alarm: bool = False
    task: r.TaskOpened | None = None

    @property
    def struck(self) -> tuple[str, str]:
        return self.clock, self.object_id


def named(object_id: str, at: datetime) -> str:
    """Say the name of something that happens to an object at an instant."""
    return f"{object_id}@{at.isoformat()}"


def not_struck(history: History, found: Iterator[Due], at: datetime) -> tuple[Due, ...]:
    """Say which of these strike now: due, and never struck before."""
    known = {(x.clock, x.object_id) for x in history.of(r.ClockStruck)}
    return tuple(sorted((x for x in found if x.due_at <= at and x.struck not in known), key=lambda x: x.due_at))


def of_account(
    history: History, terms: Agreement, at: datetime, *, since: datetime, windows: Collection[Window] = ()
) -> tuple[Due, ...]:
    """Say what strikes for an account's conduct and security."""
    return not_struck(history, (x for x in _of_account(history, terms, at, windows) if x.due_at >= since), at)


def _of_account(history: History, terms: Agreement, at: datetime, windows: Collection[Window]) -> Iterator[Due]:
    for sanction in in_effect(history, terms, at):
        life = stretches(sanction, terms, at)
        yield from _steps(history, sanction, life, terms)
        yield from _reviews(history, sanction, life, terms, at, windows)
        yield from _appeals(history, sanction, terms)
        yield from _terminated(history, sanction, life, terms)
    yield from _holds(history, terms, at)


def _steps(history: History, sanction: SanctionFile, life: tuple[Stretch, ...], terms: Agreement) -> Iterator[Due]:
    """Every end that time brought: an unanswered objection, a lapse, the end of the term. What people did is theirs to
    tell of."""
    if not life:
        return
    imposed = sanction.imposed
    replayed = {x.at for x in sanction.replayed}
    for piece, after in zip(life, (*life[1:], None), strict=True):
        end = piece.until
        if end is None or end in (sanction.lifted_at, sanction.annulled_at) or end in replayed:
            continue
        common: dict[str, Any] = {
            "incident_id": imposed.incident_id,
            "sanction_id": imposed.sanction_id,
            "at": end,
        }
        if was_cut(sanction, end, terms):
            clock, event = "sanction.stepped_down", "stepped_down"
            facts = common | {
                "from_rung": piece.rung.word,
                "to_rung": (after.rung if after is not None else Rung.WARN).word,
                "until": after.until if after is not None else None,
                "features": tuple(str(f) for f in after.features) if after is not None else (),
            }
        elif imposed.lapses_at == end and imposed.ends_at != end:
            clock, event, facts = "sanction.lapsed", "sanction_lapsed", common | {"rung": piece.rung.word}
        else:
            clock, event = "sanction.expired", "sanction_expired"
            # A moment later: the end itself belongs to the suspension.
            is_watched = is_in_probation(history, terms, end + timedelta(seconds=1))
            until = end + timedelta(days=terms.probation_days) if is_watched and piece.rung >= Rung.SUSPEND else None
            facts = common | {"rung": piece.rung.word, "probation_until": until}
        yield Due(
            clock=clock,
            subject_id=history.account_id,
            object_id=named(imposed.sanction_id, end),
            due_at=end,
            event=event,
            facts=facts,
        )


def _terminated(
    history: History, sanction: SanctionFile, life: tuple[Stretch, ...], terms: Agreement
) -> Iterator[Due]:
    """The instant at which a termination takes effect, once whatever held it up is over (STANDING 5.4 row 4)."""
    imposed = sanction.imposed
    if imposed.rung is not Rung.TERMINATE or not life:
        return
    kept_until = termination_keep_until(imposed.starts_at, None, terms) if terms.lifecycle is not None else None
    yield Due(
        clock=TERMINATED,
        subject_id=history.account_id,
        object_id=imposed.sanction_id,
        due_at=imposed.starts_at,
        event="terminated",
        facts={
            "incident_id": imposed.incident_id,
            "sanction_id": imposed.sanction_id,
            "at": imposed.starts_at,
            "kept_until": terms.calendar.day_of(kept_until - timedelta(seconds=1)) if kept_until is not None else None,
        },
    )


def _appeals(history: History, sanction: SanctionFile, terms: Agreement) -> Iterator[Due]:
    """What people owe whoever objected to a person's decision: no clock eases that one (STANDING 5.6)."""
    imposed, filed_at = sanction.imposed, sanction.objected_at
    missed = unanswered_at(sanction, terms)
    if filed_at is None or missed is None or sanction.annulled_at is not None:
        return
    by_person = not imposed.is_automatic or (sanction.confirmed_at is not None and sanction.confirmed_at <= filed_at)
    if by_person:
        yield Due(
            clock="appeal.overdue",
            subject_id=history.account_id,
            object_id=named(imposed.sanction_id, missed),
            due_at=missed,
            is_alarm=True,
        )


def _reviews(
    history: History,
    sanction: SanctionFile,
    life: tuple[Stretch, ...],
    terms: Agreement,
    at: datetime,
    windows: Collection[Window],
) -> Iterator[Due]:
    """What people owe while it runs: the review of an automatic one, another look at an open-ended one."""
    running = next((piece for piece in life if piece.covers(at) and piece.rung >= Rung.RESTRICT), None)
    if running is None:
        return
    imposed = sanction.imposed
    has_answer = sanction.confirmed_at is not None or sanction.answered_at is not None
    if imposed.is_automatic and not has_answer:
        # Announced maintenance does not count against whoever should look.
        plain = review_until(imposed.starts_at, terms)
        yield Due(
            clock="review.overdue",
            subject_id=history.account_id,
            object_id=imposed.sanction_id,
            due_at=working_end(imposed.starts_at, plain - imposed.starts_at, windows),
            is_alarm=True,
        )
    if running.rung is Rung.SUSPEND and running.until is None and terms.lifecycle is not None:
        number = relooks(sanction, at, terms)
        if number:
            due_at = terms.calendar.term_end(imposed.starts_at, number * terms.lifecycle.relook_days)
            yield Due(
                clock="suspension.relook",
                subject_id=history.account_id,
                object_id=f"{imposed.sanction_id}#{number}",
                due_at=due_at,
                task=r.TaskOpened(
                    at=at,
                    task_id=derived_id("w", imposed.sanction_id, "relook", str(number)),
                    incident_id=imposed.incident_id,
                    account_id=history.account_id,
                    what=RELOOK,
                    warranted=imposed.rung.word,
                    imposed=running.rung.word,
                    due_at=at + timedelta(hours=terms.incident.task_due_hours),
                ),
            )


def _holds(history: History, terms: Agreement, at: datetime) -> Iterator[Due]:
    for hold, released_at in history.holds:
        end = hold.ends_at
        if end is not None and (released_at is None or released_at > end):
            yield Due(
                clock="hold.ended",
                subject_id=history.account_id,
                object_id=named(hold.hold_id, end),
                due_at=end,
                event="protection_ended",
                facts={
                    "hold_id": hold.hold_id,
                    "at": end,
                    "because": "expired",
                    "watch_until": None,
                    "watch_features": (),
                },
            )
    week = timedelta(days=terms.security.remind_days)
    for hold, released_at in history.holds:
        if hold.ends_at is not None or not security.covers(hold, released_at, at):
            continue
        missed = security.unanswered_at(hold, history, terms)
        if missed is not None:
            yield Due(
                clock="hold.objection_unanswered",
                subject_id=history.account_id,
                object_id=named(hold.hold_id, missed),
                due_at=missed,
                is_alarm=True,
            )
        # Of weeks that nobody told of only the last: one letter says it all.
        weeks = (at - hold.starts_at) // week
        if weeks > 0:
            yield Due(
                clock="hold.reminder",
                subject_id=history.account_id,
                object_id=f"{hold.hold_id}#{weeks}",
                due_at=hold.starts_at + weeks * week,
                event="security_hold",
                facts={
                    "hold_id": hold.hold_id,
                    "because": hold.because,
                    "starts_at": hold.starts_at,
                    "ends_at": hold.ends_at,
                    "features": tuple(str(f) for f in hold.features),
                    "is_reminder": True,
                },
            )
