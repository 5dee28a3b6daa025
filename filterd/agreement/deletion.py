"""May what is kept of a subject be deleted?  STANDING 5.4 row 12, 5.7-16; CLAUSES 0.14.

Two readings of the same clock, at least a day apart, while nothing freezes it: an appeal or a legal hold. Who deletes
(two people a batch) is another matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from filterd.agreement.clocks import appeal_until, of, termination_keep_until
from filterd.agreement.lifecycle import service_at
from filterd.agreement.standing import in_effect, stretches
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.evidence import Freeze
from filterd.model.lifecycle import Service
from filterd.model.sanction import Rung
from filterd.model.standing import ALONE, History, Surroundings

SERVICE, TERMINATION = "service.over", "termination.kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A clock that has run out: from `due_at` on the data may be deleted, if it is read twice."""

    clock: str
    due_at: datetime


def run_out(history: History, terms: Agreement, at: datetime, around: Surroundings = ALONE) -> Kept | None:
    """Say which clock lets the data of this subject be deleted, None while none does.

    Args:
        history: an account's, or a tenant's own; an account of a tenant whose service is over goes with its tenant.
        around: for an account, its own last day in `expires_on`; for a tenant, the tenant's.
    """
    if terms.lifecycle is None:
        return None
    life = service_at(history, around.expires_on, terms, at)
    if life.state is Service.DELETED:
        return None
    if life.state is Service.DELETION_ELIGIBLE and life.keep_until is not None:
        return Kept(clock=SERVICE, due_at=life.keep_until)
    end = _termination(history, terms, at)
    return Kept(clock=TERMINATION, due_at=end) if end is not None and end <= at else None


def _termination(history: History, terms: Agreement, at: datetime) -> datetime | None:
    """Say until when data is kept after a termination that is in force; None without one, and while nobody was told."""
    back = {x.sanction_id for x in history.of(r.AccountReinstated)}
    for sanction in in_effect(history, terms, at):
        if sanction.imposed.rung < Rung.TERMINATE or sanction.imposed.sanction_id in back:
            continue
        piece = next((p for p in stretches(sanction, terms, at) if p.covers(at) and p.rung >= Rung.TERMINATE), None)
        incident = next(
            (i for i in history.incidents if i.opened.incident_id == sanction.imposed.incident_id), None
        )
        if piece is None or incident is None:
            continue
        closed = appeal_until(incident, Rung.TERMINATE, terms)
        return None if closed is None else termination_keep_until(piece.since, closed, terms)
    return None


def readings(history: History, kept: Kept) -> tuple[datetime, ...]:
    """Say when this clock, with this end, was read; a renewal or a longer term begins anew."""
    found = (x for x in history.of(r.DeletionRead) if x.clock == kept.clock and x.due_at == kept.due_at)
    return tuple(sorted(x.at for x in found))


def wants_reading(history: History, kept: Kept, terms: Agreement, at: datetime) -> bool:
    """Say whether the clock is to be read now: for the first time, or for the second when enough time has passed."""
    seen = readings(history, kept)
    return not seen or (not is_confirmed(history, kept, terms) and at - seen[0] >= _apart(terms))


def is_confirmed(history: History, kept: Kept, terms: Agreement) -> bool:
    """Say whether it was read twice, far enough apart."""
    seen = readings(history, kept)
    return len(seen) > 1 and seen[-1] - seen[0] >= _apart(terms)


def why_not(history: History, kept: Kept | None, freeze: Freeze, terms: Agreement) -> str | None:
    """Say by code why a subject may not be deleted now: not_due, legal_hold, appeal, one_reading; None: it may."""
    if kept is None:
        return "not_due"
    if freeze.holds:
        return "legal_hold"
    if freeze.appeals:
        return "appeal"
    return None if is_confirmed(history, kept, terms) else "one_reading"


def _apart(terms: Agreement) -> timedelta:
    return timedelta(hours=of(terms).reading_hours)
