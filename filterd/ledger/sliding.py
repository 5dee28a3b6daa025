"""Numbers by the minute, and their sums over the minutes that end at one of them.

"Ten minutes" is a minute and the nine before it: up to a minute less than its name says, in the sender's favour. The
sums stand at one minute and move along with the question: a minute later costs two look-ups a span, a longer way, back
or forth, at most one walk through what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

# Messages, recipients, unknown recipients, strangers.
Numbers = tuple[int, int, int, int]
ZERO: Numbers = (0, 0, 0, 0)


def plus(one: Numbers, other: Numbers) -> Numbers:
    return (one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3])


def minus(one: Numbers, other: Numbers) -> Numbers:
    return (one[0] - other[0], one[1] - other[1], one[2] - other[2], one[3] - other[3])


class Sliding:
    """Sums over several spans. `minutes` are minutes since 1970; `at` is where the sums stand."""

    __slots__ = ("_spans", "_sums", "at", "minutes")

    def __init__(self, spans: tuple[int, ...]):
        self.at = 0
        self.minutes: dict[int, Numbers] = {}
        self._spans = spans
        self._sums: list[Numbers] = [ZERO] * len(spans)

    def add(self, minute: int, change: Numbers) -> None:
        self.minutes[minute] = plus(self.minutes.get(minute, ZERO), change)
        age = self.at - minute
        for place, span in enumerate(self._spans):
            if 0 <= age < span:
                self._sums[place] = plus(self._sums[place], change)

    def look(self, now: int) -> Sequence[Numbers]:
        """Say the sums at `now`, one a span."""
        if now != self.at:
            if 2 * len(self._spans) * abs(now - self.at) > len(self.minutes):
                self._recount(now)
            else:
                self._step(now)
            self.at = now
        return self._sums

    def forget(self, now: int, beyond: int) -> None:
        """Drop what is more than `beyond` minutes, no less than any span, away from `now`."""
        self.look(now)
        for minute in [minute for minute in self.minutes if abs(now - minute) > beyond]:
            del self.minutes[minute]

    def _recount(self, now: int) -> None:
        sums = [ZERO] * len(self._spans)
        for minute, numbers in self.minutes.items():
            age = now - minute
            for place, span in enumerate(self._spans):
                if 0 <= age < span:
                    sums[place] = plus(sums[place], numbers)
        self._sums = sums

    def _step(self, now: int) -> None:
        early, late = min(self.at, now), max(self.at, now)
        for place, span in enumerate(self._spans):
            # What is only in the later, and only in the earlier of both windows.
            newer = range(max(early, late - span) + 1, late + 1)
            older = range(early - span + 1, min(early, late - span) + 1)
            entering, leaving = (newer, older) if now == late else (older, newer)
            total = self._sums[place]
            for minute in entering:
                if (numbers := self.minutes.get(minute)) is not None:
                    total = plus(total, numbers)
            for minute in leaving:
                if (numbers := self.minutes.get(minute)) is not None:
                    total = minus(total, numbers)
            self._sums[place] = total
