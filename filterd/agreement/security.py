"""The security axis: what protects an account at an instant.  STANDING 5.1, 5.4 rows 9-10, 5.6, 5.7-14.

Pure, and no part of conduct: nothing here gives points or takes any away. A hold with an indicator stops sending until
somebody attests or a moderator releases it; unattested, it goes on as a trickle, because time passed and not because a
job ran. Afterwards low caps watch the account for some days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.sanction import Feature
from filterd.model.security import CLEAR, WATCHED, Protection, SecurityState
from filterd.model.standing import History

SENDING = Feature(name="sending")


# --- at an instant ----------------------------------------------------------------------------------------------------


def security_at(history: History, terms: Agreement, at: datetime) -> SecurityState:
    """Say what protects an account at `at` (aware UTC)."""
    if not history.holds:
        return CLEAR
    in_force = [(h, end) for h, end in history.holds if covers(h, end, at)]
    running = [_as_it_is(h, history, terms, at) for h, _ in in_force]
    watched = [w for w in watches(history) if covers(w, None, at)]
    if not running and not watched:
        return CLEAR
    # Of several, what stops sending speaks first.
    shown = sorted(running or watched, key=lambda h: SENDING not in h.features)
    ends = [h.ends_at for h in shown]
    return SecurityState(
        kind=Protection.HOLD if running else Protection.WATCH,
        reason=shown[0].because,
        scope=tuple(dict.fromkeys(f for h in (*running, *watched) for f in h.features)),
        since=min(h.starts_at for h in shown),
        until=None if None in ends else max(end for end in ends if end is not None),
        is_trickle=any(_is_trickling(h, history, terms, at) for h, _ in in_force),
        holds=(*running, *watched),
    )


def watches(history: History) -> tuple[r.HoldPlaced, ...]:
    """Say every watch there ever was, as a hold of low caps with the id of the hold it came after. Releasing that hold
    once more ends its watch."""
    out: dict[str, r.HoldPlaced] = {}
    placed = {h.hold_id: h for h, _ in history.holds}
    for record in history.further:
        if not isinstance(record, (r.HoldReleased, r.HoldAttested)):
            continue
        begun, hold = out.get(record.hold_id), placed.get(record.hold_id)
        if begun is not None:
            out[begun.hold_id] = replace(begun, ends_at=min(begun.ends_at or record.at, record.at))
        elif hold is not None and record.watch_until is not None:
            out[hold.hold_id] = replace(
                hold,
                at=record.at,
                features=record.watch_features,
                starts_at=record.at,
                ends_at=record.watch_until,
                because=WATCHED,
                by=record.by,
            )
    return tuple(out.values())


def trickle_at(hold: r.HoldPlaced, history: History, terms: Agreement) -> datetime | None:
    """Say from when an unattested hold lets a few messages a day through; None: never, for it is no hold of a stolen
    account, or ends by itself.

    An objection that nobody answers in time brings it forward, and opens nothing (STANDING 5.6).
    """
    if not hold.indicators or SENDING not in hold.features or hold.ends_at is not None:
        return None
    due = hold.starts_at + timedelta(hours=terms.points.provisional_hours)
    unanswered = unanswered_at(hold, history, terms)
    return due if unanswered is None else min(due, unanswered)


def unanswered_at(hold: r.HoldPlaced, history: History, terms: Agreement) -> datetime | None:
    """Say when the time to answer an objection to a hold was over; None: there is none, or a person answered."""
    filed = [x.at for x in history.of(r.ObjectionFiled) if x.sanction_id == hold.hold_id]
    if not filed:
        return None
    due = min(filed) + timedelta(hours=terms.incident.objection_hours)
    answers = (x.at for x in history.of(r.ObjectionAnswered) if x.sanction_id == hold.hold_id)
    return None if any(at < due for at in answers) else due


def _is_trickling(hold: r.HoldPlaced, history: History, terms: Agreement, at: datetime) -> bool:
    since = trickle_at(hold, history, terms)
    return since is not None and since <= at


def _as_it_is(hold: r.HoldPlaced, history: History, terms: Agreement, at: datetime) -> r.HoldPlaced:
    if not _is_trickling(hold, history, terms, at):
        return hold
    rest = tuple(f for f in hold.features if f != SENDING)
    return replace(hold, features=(*rest, *terms.security.trickle))


def covers(hold: r.HoldPlaced, ended_at: datetime | None, at: datetime) -> bool:
    """Say whether a hold is in force at `at`; `ended_at`: when a person's act ended it, None when none did."""
    return hold.starts_at <= at and all(end is None or at < end for end in (hold.ends_at, ended_at))


# --- what time brings -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What somebody has to hear about an open hold. `what`: `remind`, or an `objection` that nobody answered; `at`:
    since when it is due."""

    hold: r.HoldPlaced
    what: str
    at: datetime


def due(history: History, terms: Agreement, at: datetime, told_at: Mapping[str, datetime]) -> tuple[Due, ...]:
    """Say which open holds are to be told of again, weekly, and on which an objection found no answer in time.

    Args:
        told_at: by hold id, when it was last told of again; one that is not in it was told of when it was placed.
    """
    out = []
    week = timedelta(days=terms.security.remind_days)
    for hold, end in history.holds:
        if hold.ends_at is not None or not covers(hold, end, at):
            continue
        again = told_at.get(hold.hold_id, hold.starts_at) + week
        if again <= at:
            out.append(Due(hold=hold, what="remind", at=again))
        missed = unanswered_at(hold, history, terms)
        if missed is not None and missed <= at:
            out.append(Due(hold=hold, what="objection", at=missed))
    return tuple(out)
