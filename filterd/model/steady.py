"""Does the wall clock go with one that nobody sets?  STANDING 5.7-16: what jumped must not decide what is erased.

The clock that is compared with counts since the machine started, also while it slept. A jump is believed when the new
time has stood for `settle_s`; one that is taken back is forgotten at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

JUMP_S = 300.0


def since_boot() -> float:
    """Say the seconds since the machine started, those it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ClockWatch:
    """Looks at the wall clock now and then. What it says at the first look is believed."""

    def __init__(self, *, settle_s: float, steady: Callable[[], float] = since_boot):
        self._settle_s = settle_s
        self._steady = steady
        self._believed: float | None = None
        # Another offset that was seen since, and when first.
        self._seen: tuple[float, float] | None = None

    def jumped_s(self, now: datetime) -> float:
        """Say by how many seconds the wall clock is away from where it should be; 0 when that is no jump."""
        steady = self._steady()
        offset = now.timestamp() - steady
        if self._believed is None or abs(offset - self._believed) <= JUMP_S:
            self._believed = offset if self._believed is None else self._believed
            self._seen = None
            return 0.0
        if self._seen is None or abs(offset - self._seen[0]) > JUMP_S:
            self._seen = (offset, steady)
        if steady - self._seen[1] >= self._settle_s:
            self._believed, self._seen = offset, None
            return 0.0
        return offset - self._believed
