"""Lifecycle: what the contract says of a service at an instant.  STANDING 5.1: never shown or counted as misconduct."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Service(StrEnum):
    """`stopped` and `ended` are the same in the mail path; agreements call it differently (AL-2.2, TX-4.4.2)."""

    ACTIVE = "active"
    RENEWAL_DUE = "renewal_due"
    STOPPED = "stopped"
    ENDED = "ended"
    DELETION_ELIGIBLE = "deletion_eligible"
    DELETED = "deleted"


# Why a service is over where no record names another reason: its term was not renewed.
EXPIRY = "expiry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """One subject's service at an instant.

    Args:
        since: when the state began; None for one that was never otherwise.
        expires_on: the last day of the term, None: it has no end.
        over_at: when the service stopped or ended, or will; None: nobody knows of an end.
        because: why it is over: `expiry`, or what ServiceEnded says; None while it is not.
        keep_until: until when data is kept; None while no clock of that runs, as before a notice that is owed.
        is_held: a legal hold is in force; it freezes deletion and nothing else.
    """

    state: Service = Service.ACTIVE
    since: datetime | None = None
    expires_on: date | None = None
    over_at: datetime | None = None
    because: str | None = None
    keep_until: datetime | None = None
    is_held: bool = False

    @property
    def is_over(self) -> bool:
        """Say whether no mail goes out and none comes in."""
        return self.state not in (Service.ACTIVE, Service.RENEWAL_DUE)


IN_SERVICE = Lifecycle()
