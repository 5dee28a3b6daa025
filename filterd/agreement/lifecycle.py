"""What the contract says of a service at an instant.  CLAUSES §6, STANDING 5.1, AL-2.2, TX-4.4.

A pure function of dates, records and the instant. A renewal changes the last day and thereby everything at once; no
job has to undo anything. None of it is conduct.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from filterd.agreement.clocks import keep_until, renewal_notice_at, stops_at
from filterd.agreement.fold import RENEWAL
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.evidence import frozen
from filterd.model.lifecycle import EXPIRY, IN_SERVICE, Lifecycle, Service
from filterd.model.standing import ALONE, History, Surroundings

# The clock that asks for the renewal, once a term; a notice counts for the term whose clock struck before it.
RENEWAL_DUE = "renewal.due"


def lifecycle_at(history: History, terms: Agreement, at: datetime, around: Surroundings = ALONE) -> Lifecycle:
    """Say what the service of an account is at `at`: its own term and its tenant's, whichever is over first."""
    own = service_at(history, around.expires_on, terms, at)
    if around.tenant is None and around.tenant_expires_on is None:
        return own
    tenant = around.tenant or History(account_id="")
    its = service_at(tenant, around.tenant_expires_on, terms, at)
    if own.state is Service.DELETED or _order(own) <= _order(its):
        return own
    return replace(its, is_held=own.is_held or its.is_held)


def service_at(history: History, expires_on: date | None, terms: Agreement, at: datetime) -> Lifecycle:
    """Say what the service of one subject is, by its own records and its own last day.

    Args:
        history: an account's, or a tenant's own.
        expires_on: the last day of its term; None: it has none.
    """
    if terms.lifecycle is None or (expires_on is None and not history.further):
        return IN_SERVICE
    is_held = bool(frozen(history.further).holds)
    purged = next(iter(history.of(r.SubjectPurged)), None)
    if purged is not None:
        return Lifecycle(state=Service.DELETED, since=purged.at, expires_on=expires_on, because=purged.clock)
    over_at, because = end_of_service(history, expires_on, terms)
    if over_at is None or because is None:
        return Lifecycle(expires_on=expires_on, is_held=is_held) if is_held or expires_on else IN_SERVICE
    if at < over_at:
        asked_at = renewal_notice_at(expires_on, terms) if expires_on is not None and because == EXPIRY else None
        is_due = asked_at is not None and at >= asked_at
        return Lifecycle(
            state=Service.RENEWAL_DUE if is_due else Service.ACTIVE,
            since=asked_at if is_due else None,
            expires_on=expires_on,
            over_at=over_at,
            is_held=is_held,
        )
    is_expiry = because == EXPIRY and expires_on is not None
    over_on = expires_on if is_expiry and expires_on is not None else terms.calendar.day_of(over_at)
    noticed_at = notice_received(history, expires_on) if expires_on is not None else None
    kept = keep_until(over_on, noticed_at, terms, is_expiry=is_expiry)
    is_kept = kept is None or at < kept
    over = Service(terms.lifecycle.at_expiry) if is_expiry else Service.ENDED
    return Lifecycle(
        state=over if is_kept else Service.DELETION_ELIGIBLE,
        since=over_at if is_kept else kept,
        expires_on=expires_on,
        over_at=over_at,
        because=because,
        keep_until=kept,
        is_held=is_held,
    )


def end_of_service(
    history: History, expires_on: date | None, terms: Agreement
) -> tuple[datetime | None, str | None]:
    """Say when the service is over, or will be, and why; (None, None) when nothing says that it ever is."""
    ends: list[tuple[datetime, str]] = []
    ended: r.ServiceEnded | None = None
    for record in history.further:
        if isinstance(record, r.ServiceEnded):
            # What has ended does not end again; a later act may bring the end forward.
            ended = record if ended is None or record.ends_at < ended.ends_at else ended
        elif isinstance(record, r.ServiceResumed):
            ended = None
    if ended is not None:
        ends.append((ended.ends_at, ended.because))
    if expires_on is not None:
        ends.append((stops_at(expires_on, terms), EXPIRY))
    return min(ends, default=(None, None))


def renewal_id(expires_on: date) -> str:
    """Say the object of the clock that asks for the renewal of a term."""
    return f"renewal:{expires_on.isoformat()}"


def notice_received(history: History, expires_on: date) -> datetime | None:
    """Say when the first provable renewal notice of this term was received, None while there is none.

    One that came back by our own fault proves nothing (TX-6.2 withdraws its time).
    """
    asked_at = next((x.at for x in _asked(history) if x.object_id == renewal_id(expires_on)), None)
    if asked_at is None:
        return None
    received = (x.deemed_at for x in renewal_notices(history, asked_at) if x.deemed_at is not None)
    return min(received, default=None)


def renewal_notices(history: History, asked_at: datetime) -> tuple[r.NoticeSent, ...]:
    """Say what became of the renewal notices of the term whose clock struck at `asked_at`, those that prove nothing
    without their time."""
    later = min((x.at for x in _asked(history) if x.at > asked_at), default=None)
    failed = {x.notice_id for x in history.of(r.NoticeBounced) if not x.is_theirs}
    return tuple(
        replace(x, deemed_at=None) if x.notice_id in failed else x
        for x in history.of(r.NoticeSent)
        if RENEWAL in x.template.split("+") and asked_at <= x.at and (later is None or x.at < later)
    )


def _asked(history: History) -> tuple[r.ClockStruck, ...]:
    return tuple(x for x in history.of(r.ClockStruck) if x.clock == RENEWAL_DUE)


def _order(life: Lifecycle) -> tuple[bool, bool, float]:
    """Put first what is over, among these what was over first; then what asks for a renewal."""
    end = life.over_at.timestamp() if life.over_at is not None else float("inf")
    return not life.is_over, life.state is not Service.RENEWAL_DUE, end
