"""By when is an appeal looked at, and by when decided?  STANDING 5.6, CLAUSES §6 (objection).

Exact hours from its receipt. A missed target takes an automatic sanction that nobody has confirmed one rung down
(agreement/standing); on a person's own it is an alarm.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from filterd.agreement.terms import Agreement
from filterd.model.standing import SanctionFile


def look_by(filed_at: datetime, terms: Agreement) -> datetime:
    """Say by when a person has taken it up."""
    return filed_at + timedelta(hours=terms.incident.objection_hours)


def decide_by(filed_at: datetime, ends_at: datetime | None, terms: Agreement) -> datetime:
    """Say by when it is decided: in days, or in half of the time left where that is less, but never in less than a day.

    Args:
        ends_at: the end that the sanction had when the appeal came; None: open-ended, or over already.
    """
    longest = timedelta(hours=terms.appeal.decide_hours)
    shortest = timedelta(hours=terms.appeal.decide_min_hours)
    left = longest if ends_at is None or ends_at <= filed_at else (ends_at - filed_at) / 2
    return filed_at + max(shortest, min(longest, left))


def end_of(sanction: SanctionFile) -> datetime | None:
    """Say when a sanction ends by itself: its own end, or its lapse where nobody has confirmed it; None: never."""
    imposed = sanction.imposed
    lapse = imposed.lapses_at if sanction.confirmed_at is None else None
    return min((x for x in (imposed.ends_at, lapse) if x is not None), default=None)


def unanswered_at(sanction: SanctionFile, terms: Agreement) -> datetime | None:
    """Say when an objection became one that nobody answered; None when it has not been filed, or was answered in time.

    Taking it up keeps the first target, and leaves the second: a decision. To ask the account something does not stop
    the clock, or a question would be worth a day of somebody's mail.
    """
    filed_at = sanction.objected_at
    if filed_at is None:
        return None
    due = look_by(filed_at, terms)
    if sanction.looked_at is not None and sanction.looked_at < due:
        due = decide_by(filed_at, end_of(sanction), terms)
    return None if sanction.answered_at is not None and sanction.answered_at < due else due
