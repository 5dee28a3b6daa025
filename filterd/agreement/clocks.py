"""Every clock of the two agreements, each a pure function of dates, terms and an instant.  CLAUSES §6, STANDING 5.11.

Hours are exact, days are natural days of the agreement's calendar. A function says when its clock ends; what follows is
computed where it is asked for, so that nothing depends on a job having run (HOUSE rule 12). The table: clock_table.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

from filterd.agreement.calendar import years_after
from filterd.agreement.maintenance import Window, working_end
from filterd.agreement.sections_lifecycle import LifecycleSection
from filterd.agreement.terms import Agreement
from filterd.errors import UsageError
from filterd.model.sanction import Rung
from filterd.model.standing import IncidentFile, SanctionFile

# CLAUSES §1: so long at most a sealed hit is kept that nobody opened.
LOCKED_HIT_DAYS = 30

# --- service ----------------------------------------------------------------------------------------------------------


def renewal_notice_at(expires_on: date, terms: Agreement) -> datetime | None:
    """Say from when on the renewal is asked for, so that whole days of notice are left (AL-2.2); None: never."""
    days = of(terms).renewal_notice_days
    return None if days is None else terms.calendar.start_of(terms.calendar.days_before(expires_on, days))


def stops_at(expires_on: date, terms: Agreement) -> datetime:
    """Say when the service stops for want of renewal: at 24:00 of the last day (AL-2.2, TX-4.4.2)."""
    return terms.calendar.end_of(expires_on)


def keep_until(
    over_on: date, noticed_at: datetime | None, terms: Agreement, *, is_expiry: bool = True
) -> datetime | None:
    """Say until when data is kept after a service ended on a day (AL-2.2, TX-4.4.3).

    Args:
        noticed_at: when the first provable renewal notice of this term was received, None: there is none yet.
        is_expiry: the term was not renewed; after any other end no renewal notice was owed.

    Returns:
        None where a notice is owed and none can be proved: the clock begins with the first that can.
    """
    rules, calendar = of(terms), terms.calendar
    last = calendar.last_day(over_on, rules.keep_days, moves=True)
    if is_expiry and rules.owes_renewal_notice and rules.keep_after_notice_days is not None:
        if noticed_at is None:
            return None
        last = max(last, calendar.last_day(noticed_at, rules.keep_after_notice_days, moves=True))
    return calendar.end_of(last)


def law_change_end(deemed_at: datetime, terms: Agreement) -> datetime | None:
    """Say from when on the agreement may end after a change of law or policy (TX-8.2.7); None: no such clock."""
    days = of(terms).law_change_days
    return None if days is None else terms.calendar.term_end(deemed_at, days)


def shutdown_end(notice_at: datetime, terms: Agreement) -> datetime:
    """Say the earliest instant at which a whole installation may stop taking mail (TX-8.2.8)."""
    return terms.calendar.term_end(notice_at, of(terms).shutdown_notice_days)


def termination_keep_until(terminated_at: datetime, appeal_until: datetime | None, terms: Agreement) -> datetime:
    """Say until when data is kept after a termination for breach (CLAUSES 0.14): no clause allows less, and nothing
    goes while it can still be appealed."""
    kept = terms.calendar.term_end(terminated_at, of(terms).termination_keep_days, moves=True)
    return kept if appeal_until is None else max(kept, appeal_until)


def registration_kept_until(terminated_at: datetime, terms: Agreement) -> datetime:
    """Say until when the fingerprint of a terminated registration is kept (TX-8.2.4)."""
    day = terms.calendar.day_of(terminated_at)
    return terms.calendar.end_of(years_after(day, of(terms).registration_years))


def locked_hit_kept_until(hit_at: datetime, terms: Agreement) -> datetime:
    """Say until when a sealed hit is kept that nobody opened a case for, to the minute (CLAUSES §1): to the end of its
    last day would be longer than said. A file may say more than CLAUSES allows: it loads, and counts for no more."""
    return hit_at + timedelta(days=min(of(terms).locked_hit_days, LOCKED_HIT_DAYS))


# --- conduct ----------------------------------------------------------------------------------------------------------


def suspension_from(notice_deemed_at: datetime, terms: Agreement) -> datetime:
    """Say from when on an incident may suspend after the first written notice (AL-7.1)."""
    return notice_deemed_at + timedelta(hours=terms.incident.suspension_notice_hours or 0)


def cure_answer_until(filed_at: datetime, terms: Agreement) -> datetime:
    """Say until when a cure is to be answered; unanswered, it counts as accepted on probation (AL-7.1).

    A holiday moves nothing: it is our time to answer, and more of it is not in the user's favour.
    """
    return terms.calendar.term_end(filed_at, of(terms).cure_answer_days)


def review_until(starts_at: datetime, terms: Agreement) -> datetime:
    """Say until when a person looks at an automatic sanction; then it alarms, and ends nothing."""
    return starts_at + timedelta(hours=terms.incident.task_due_hours)


def appeal_until(incident: IncidentFile, rung: Rung, terms: Agreement) -> datetime | None:
    """Say until when a sanction can be appealed: while its strike counts, and for a term from when it was known, by the
    notice and by the first refusal that showed the case (TX-6.2).

    Returns:
        None while nobody was told: nothing closes before it was opened. An agreement without `[lifecycle]` has no term
        of its own: then the strike's end is all there is, and what gives no points can always be contested.
    """
    told = [at for at in (incident.noticed_at, incident.shown_at) if at is not None]
    if not told:
        return None
    rules = terms.lifecycle
    if rules is None:
        return incident.strike.expires_at if incident.strike is not None else None
    days = rules.appeal_days if rung >= Rung.RESTRICT else rules.appeal_warning_days
    end = terms.calendar.term_end(max(told), days, moves=True)
    return end if incident.strike is None else max(end, incident.strike.expires_at)


def relooks(sanction: SanctionFile, at: datetime, terms: Agreement) -> int:
    """Say how often, by now, a person was due to look at an open-ended suspension again (AL-7.1, STANDING 5.11)."""
    return _times(sanction.imposed.starts_at, of(terms).relook_days, at, terms)


# --- held mail and complaints -----------------------------------------------------------------------------------------


def hold_decision_until(held_at: datetime, terms: Agreement, windows: Collection[Window] = ()) -> datetime:
    """Say until when a person decides about held outbound mail: 2 h from the hold, not from a complaint (CLAUSES 0.11).
    Announced maintenance does not count."""
    return working_end(held_at, timedelta(hours=of(terms).hold_decision_hours), windows)


def hold_returned_at(held_at: datetime, terms: Agreement) -> datetime:
    """Say when held outbound mail goes back to its sender; no maintenance delays that."""
    return held_at + timedelta(hours=of(terms).outbound_hold_hours)


def inbound_hold_until(held_at: datetime, terms: Agreement) -> datetime:
    """Say until when held inbound mail is kept."""
    return terms.calendar.term_end(held_at, of(terms).inbound_hold_days, moves=True)


def inbound_last_digest_at(held_at: datetime, terms: Agreement) -> datetime:
    """Say when its recipient is told of it for the last time: whole days before it is removed."""
    last = terms.calendar.last_day(held_at, of(terms).inbound_hold_days, moves=True)
    return terms.calendar.start_of(terms.calendar.days_before(last, of(terms).inbound_digest_days))


def complaint_until(
    received_at: datetime, terms: Agreement, windows: Collection[Window] = (), *, held_at: datetime | None = None
) -> datetime:
    """Say until when trouble with sending or receiving is solved (AL-2.1).

    Args:
        held_at: since when our own hold is what the complaint is about: then the time runs from there.
    """
    start = received_at if held_at is None else min(received_at, held_at)
    return working_end(start, timedelta(hours=of(terms).complaint_hours), windows)


def of(terms: Agreement) -> LifecycleSection:
    """Say the numbers. Raises UsageError for an agreement without them."""
    if terms.lifecycle is None:
        raise UsageError(f"agreement {terms.id} has no [lifecycle]")
    return terms.lifecycle


def _times(start: datetime, days: int, at: datetime, terms: Agreement) -> int:
    """Say how many whole terms of so many natural days have passed."""
    passed = (terms.calendar.day_of(at) - terms.calendar.day_of(start)).days
    return max(0, passed - 1) // days
