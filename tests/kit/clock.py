"""A clock that stands still until told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


class FrozenClock:
    """Implements ports.Clock."""

    def __init__(self, at: datetime = NOON):
        self._at = at

    def now(self) -> datetime:
        return self._at

    def advance(self, seconds: float = 0.0, *, hours: float = 0.0, days: float = 0.0) -> datetime:
        """Move on (or back, for clocks that jump) and say the new instant."""
        self._at += timedelta(days=days, hours=hours, seconds=seconds)
        return self._at

    def set(self, at: datetime) -> None:
        self._at = at
