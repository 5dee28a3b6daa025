"""`[staffing]`: how many people there are, and what that makes of acts that take two of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from filterd.config.section import Section
from filterd.model.staffing import APPROVAL_HOURS, LEASE_MINUTES, SECOND_LOOK_HOURS


class StaffingConfig(Section):
    """`[staffing]`: who decides, and who looks again (STANDING 5.5)."""

    mode: Literal["team", "pair", "solo"] | None = Field(
        None,
        description="`solo`: the second person of an act that takes two is the same one a day later, marked so; "
        "None: as many people with a deciding role as `person list` says.",
    )
    approval_hours: int = Field(APPROVAL_HOURS, ge=1, le=720, description="How long a proposal waits for the second.")
    second_look_hours: int = Field(
        SECOND_LOOK_HOURS, ge=24, le=720, description="Alone, so long after the first look comes the second."
    )
    lease_minutes: int = Field(
        LEASE_MINUTES, ge=1, le=1440, description="How long a task stays with who has taken it."
    )
