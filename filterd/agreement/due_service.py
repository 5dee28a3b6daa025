"""What strikes for a service: its term, its end, the readings before a deletion.  CLAUSES §6, AL-2.2, TX-4.4.

As agreement/due, for an account or a tenant with a last day of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from filterd.agreement.clocks import keep_until, of, renewal_notice_at
from filterd.agreement.deletion import Kept, readings, run_out, wants_reading
from filterd.agreement.due import Due, named, not_struck
from filterd.agreement.lifecycle import RENEWAL_DUE, notice_received, renewal_id, renewal_notices, service_at
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.evidence import Freeze
from filterd.model.lifecycle import EXPIRY, Lifecycle, Service
from filterd.model.standing import History, Surroundings


def of_service(
    history: History, expires_on: date | None, terms: Agreement, at: datetime
) -> tuple[Due, ...]:
    """Say what strikes for the service of one subject."""
    if terms.lifecycle is None:
        return ()
    return not_struck(history, _of_service(history, expires_on, terms, at), at)


def _of_service(history: History, expires_on: date | None, terms: Agreement, at: datetime) -> Iterator[Due]:
    life = service_at(history, expires_on, terms, at)
    if life.state is Service.DELETED:
        return
    if expires_on is not None and (life.because in (None, EXPIRY)):
        yield from _renewal(history, expires_on, life, terms)
    if life.is_over and life.over_at is not None and life.because is not None:
        yield _over(history, life, life.because, life.over_at, terms)


def _renewal(history: History, expires_on: date, life: Lifecycle, terms: Agreement) -> Iterator[Due]:
    """The notice before the last day: once a term, and again only for one that failed."""
    asked_at = renewal_notice_at(expires_on, terms)
    is_owed = of(terms).owes_renewal_notice
    # Afterwards it is only of use where keeping data depends on it.
    if asked_at is None or (life.is_over and not is_owed):
        return
    facts = {"expires_on": expires_on, "kept_until": _kept_on(expires_on, terms)}
    name = renewal_id(expires_on)
    struck = next((x for x in history.of(r.ClockStruck) if (x.clock, x.object_id) == (RENEWAL_DUE, name)), None)
    if struck is None:
        yield Due(
            clock=RENEWAL_DUE,
            subject_id=history.account_id,
            object_id=name,
            due_at=asked_at,
            event="renewal_due",
            facts=facts,
        )
        return
    sent = renewal_notices(history, struck.at)
    if is_owed and sent and notice_received(history, expires_on) is None:
        last = sent[-1]
        # What failed is tried again a day later, for as long as it takes: data is kept until one can be proved.
        yield Due(
            clock="renewal.again",
            subject_id=history.account_id,
            object_id=f"{name}/{last.notice_id}",
            due_at=last.at + timedelta(days=1),
            event="renewal_due",
            facts=facts,
            is_alarm=True,
        )


def _over(history: History, life: Lifecycle, because: str, over_at: datetime, terms: Agreement) -> Due:
    is_stop = because == EXPIRY and of(terms).at_expiry == "stopped"
    over_on = life.expires_on if because == EXPIRY and life.expires_on else terms.calendar.day_of(over_at)
    kept_on = _kept_on(over_on, terms)
    return Due(
        clock="service.stopped" if is_stop else "service.ended",
        subject_id=history.account_id,
        object_id=named(because, over_at),
        due_at=over_at,
        event="service_stopped" if is_stop else "service_ended",
        facts={"stopped_on": over_on, "kept_until": kept_on}
        if is_stop
        else {
            "because": because,
            "ended_on": over_on,
            "cleared_from": kept_on + timedelta(days=1),
            "copy_until": kept_on,
        },
    )


def _kept_on(over_on: date, terms: Agreement) -> date:
    """Say the last day on which data is kept, if nothing but the plain term counts."""
    until = keep_until(over_on, None, terms, is_expiry=False)
    return over_on if until is None else terms.calendar.day_of(until - timedelta(seconds=1))


# --- before a deletion ------------------------------------------------------------------------------------------------


def of_deletion(
    history: History, expires_on: date | None, freeze: Freeze, terms: Agreement, at: datetime
) -> tuple[tuple[Due, ...], r.DeletionRead | None]:
    """Say what strikes before a deletion, and the reading that is taken now; None: none is.

    A freeze is said once, and while it lasts nothing is read (STANDING 5.7-16).
    """
    kept = run_out(history, terms, at, Surroundings(expires_on=expires_on))
    if kept is None:
        return (), None
    if freeze:
        held = Due(
            clock="deletion.held",
            subject_id=history.account_id,
            object_id=named(kept.clock, kept.due_at),
            due_at=kept.due_at,
        )
        return not_struck(history, iter([held]), at), None
    if not wants_reading(history, kept, terms, at):
        return (), None
    reading = r.DeletionRead(at=at, subject_id=history.account_id, clock=kept.clock, due_at=kept.due_at)
    return not_struck(history, iter([_reading_due(history, kept, terms, at)]), at), reading


def _reading_due(history: History, kept: Kept, terms: Agreement, at: datetime) -> Due:
    is_second = bool(readings(history, kept))
    name = named(kept.clock, kept.due_at)
    if is_second:
        return Due(clock="deletion.eligible", subject_id=history.account_id, object_id=name, due_at=kept.due_at)
    apart = timedelta(hours=of(terms).reading_hours)
    return Due(
        clock="deletion.imminent",
        subject_id=history.account_id,
        object_id=name,
        due_at=kept.due_at,
        event="deletion_imminent",
        # The day after the second reading can be: two people still have to order it.
        facts={"because": kept.clock, "delete_on": terms.calendar.day_of(at + apart) + timedelta(days=1)},
    )
