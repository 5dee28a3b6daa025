"""How many people there are, and what that makes of acts that take two of them.  STANDING 5.5, 5.11."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Staffing(StrEnum):
    """Who is there. Alone, the second act is the same person's a day later, marked as such."""

    TEAM = "team"
    PAIR = "pair"
    SOLO = "solo"


# The defaults of `[staffing]`: an approval in 72 h, alone a second look after 24 h (STANDING 5.5, 5.11).
APPROVAL_HOURS = 72
SECOND_LOOK_HOURS = 24
# How long a task stays with who took it, before it is anybody's again. Our own number: no document has one.
LEASE_MINUTES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffingRules:
    """What the operator says of people. `mode` None: as the roster of people is."""

    mode: Staffing | None = None
    approval_hours: int = APPROVAL_HOURS
    second_look_hours: int = SECOND_LOOK_HOURS
    lease_minutes: int = LEASE_MINUTES


STAFFING = StaffingRules()
