"""The security axis at an instant: what protects an account, without points.  STANDING 5.1, 5.7-14.

`History` has what was written; `agreement.security` computes this of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from filterd.model.records import HoldPlaced
from filterd.model.sanction import Feature


class Protection(StrEnum):
    """What the axis says (STANDING 5.1)."""

    CLEAR = "clear"
    HOLD = "hold"
    WATCH = "watch"


# `because` of what goes on as low caps after a hold.
WATCHED = "watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityState:
    """An account on the security axis.

    Args:
        reason: why it is held or watched, a code; empty when clear.
        scope: what is switched off, the union over all holds and the watch.
        since, until: of what runs now; `until` None: open until somebody attests or releases.
        is_trickle: an unattested hold goes on with a few messages a day.
        holds: what is in force, each with the features it has now; a watch stands among them as one with `because`
            "watch" and the id of what began it.
    """

    kind: Protection = Protection.CLEAR
    reason: str = ""
    scope: tuple[Feature, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    is_trickle: bool = False
    holds: tuple[HoldPlaced, ...] = ()


CLEAR = SecurityState()
