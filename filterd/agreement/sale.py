"""How was the service bought, and when does its term begin and end?  TX-2.1.1, 2.2.3; TX-9.3.

Through a dealer the day agreed with it counts; bought directly, or where nobody has said a day, the one that our own
record has. Both are natural days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from filterd.agreement.calendar import months_after
from filterd.model.principal import DEALER

CONTRACT, RECORD = "contract", "record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """`by`: `contract`, as agreed with the dealer, or `record`, the day on record here. `last_day` None: no end."""

    first_day: date
    by: str
    last_day: date | None


def term_of(channel: str | None, agreed_on: date | None, recorded_on: date, months: int | None) -> Term:
    """Say the term that follows from how the service was bought.

    Args:
        agreed_on: the first day as agreed with a dealer, None: nobody has said.
        recorded_on: the day on which the enterprise came into our record.
        months: for how long it has bought; None: without an end that is known from here.
    """
    is_agreed = channel == DEALER and agreed_on is not None
    first = agreed_on if is_agreed and agreed_on is not None else recorded_on
    last = months_after(first, months) - timedelta(days=1) if months is not None else None
    return Term(first_day=first, by=CONTRACT if is_agreed else RECORD, last_day=last)
