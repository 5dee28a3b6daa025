"""What one account, tenant or client sent lately: minutes for the rates, days for the baseline.

The sums are of all nodes. What the others have counted is kept beside them as last read, so that reading it again
changes nothing and our own share can be told apart. Everything is measured from the instant asked about, which may lie
before or after the last one; what is more than a day (of days: a month) away from it, either way, is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from filterd.ledger.seen import Change, Seen
from filterd.ledger.sliding import ZERO, Numbers, Sliding, minus, plus
from filterd.ports import CountRequest

DAY_MINUTES = 1440
BASELINE_DAYS = 30
_TEN, _HOUR = 10, 60
_EPOCH_ORDINAL = datetime(1970, 1, 1, tzinfo=UTC).toordinal()

# Messages and recipients.
Volume = tuple[int, int]


def minute_of(at: datetime) -> int:
    """Say the minute since 1970."""
    return int(at.timestamp() // 60)


def day_of(minute: int) -> int:
    """Say the UTC day of a minute as a date ordinal."""
    return minute // DAY_MINUTES + _EPOCH_ORDINAL


def midnight(day: int) -> int:
    """Say the first minute of a day."""
    return (day - _EPOCH_ORDINAL) * DAY_MINUTES


class Rates(NamedTuple):
    """What was sent within ten minutes, an hour and a day, and the mean of recipients a day before."""

    ten: Numbers
    hour: Numbers
    day: Numbers
    baseline: float


@dataclass(slots=True, weakref_slot=True)
class Window:
    """One subject. `opened_day` None until its first mail, where nobody said how old it is; `seen` for accounts only.

    `days` and `minutes` are of all nodes, `other_days` and `others` (by minute and node) what the others had of it.
    `again` is what was tried again, for the hour and not for the day: this process's alone. `unsaved`: minutes of ours
    that changed since they were last written. Of minutes up to `forgotten`, nobody knows any more what was heard.
    `baseline`: as it was last worked out, and for which day.
    """

    opened_day: int | None = None
    seen: Seen | None = None
    days: dict[int, Volume] = field(default_factory=dict)
    other_days: dict[int, Volume] = field(default_factory=dict)
    minutes: Sliding = field(default_factory=lambda: Sliding((_TEN, _HOUR, DAY_MINUTES)))
    others: dict[int, dict[str, Numbers]] = field(default_factory=dict)
    again: Sliding | None = None
    unsaved: set[int] = field(default_factory=set)
    last_day: int | None = None
    forgotten: int = 0
    baseline: tuple[int, float] | None = None

    @property
    def weight(self) -> int:
        """Say roughly how many dictionary slots this takes."""
        keys = self.seen.weight if self.seen is not None else 0
        again = len(self.again.minutes) if self.again is not None else 0
        return 10 + len(self.days) + len(self.minutes.minutes) + 2 * len(self.others) + again + keys

    # --- counting -------------------------------------------------------------------------------------------------

    def add(self, request: CountRequest, answered: Collection[str] = ()) -> Change:
        """Take in an account's submission; say what was new about it. Raises ValueError for a tenant or client."""
        if self.seen is None:
            raise ValueError("only an account knows what it has sent before")
        now = minute_of(request.at)
        change = self.seen.take(request, now, day_of(now), answered)
        self.take(now, change)
        return change

    def take(self, now: int, change: Change) -> None:
        """Add what was new about a submission to a minute."""
        today = day_of(now)
        if self.opened_day is None:
            self.opened_day = today
        if change.numbers != ZERO:
            self.minutes.add(now, change.numbers)
            self._raise(self.days, today, change.numbers)
            self.unsaved.add(now)
        if change.again != ZERO:
            if self.again is None:
                self.again = Sliding((_TEN, _HOUR))
            self.again.add(now, change.again)
        self._forget(now, today)

    def rates(self, now: int) -> Rates:
        """Say what the windows that end with a minute hold."""
        ten, hour, day = self.minutes.look(now)
        if self.again is not None:
            ten_again, hour_again = self.again.look(now)
            ten, hour = plus(ten, ten_again), plus(hour, hour_again)
        return Rates(ten, hour, day, self._baseline(day_of(now)))

    def recipients_month(self, now: int) -> int:
        """Say how many recipients were written to in the 30 days before today, and today."""
        today = day_of(now)
        return sum(volume[1] for day, volume in self.days.items() if today - BASELINE_DAYS <= day <= today)

    def _baseline(self, today: int) -> float:
        """Mean recipients a day over the 30 days before today, or over the subject's age where that is less."""
        if self.baseline is not None and self.baseline[0] == today:
            return self.baseline[1]
        opened = today if self.opened_day is None else self.opened_day
        begin = min(max(today - BASELINE_DAYS, opened), today - 1)
        mean = sum(volume[1] for then, volume in self.days.items() if begin <= then < today) / (today - begin)
        self.baseline = (today, mean)
        return mean

    def _forget(self, now: int, today: int) -> None:
        if today != self.last_day or len(self.minutes.minutes) > 3 * DAY_MINUTES:
            self.last_day, self.forgotten = today, now - DAY_MINUTES
            for sliding in (self.minutes, self.again):
                if sliding is not None:
                    sliding.forget(now, DAY_MINUTES)
            for minute in [minute for minute in self.others if minute not in self.minutes.minutes]:
                del self.others[minute]
            for days in (self.days, self.other_days):
                for day in [day for day in days if abs(today - day) > BASELINE_DAYS]:
                    del days[day]
            if self.seen is not None:
                self.seen.forget(now)
        elif self.seen is not None and self.seen.is_full:
            self.seen.forget(now)

    # --- what is stored -------------------------------------------------------------------------------------------

    def put_days(self, day: int, volume: Volume, *, is_ours: bool) -> None:
        """Take in a stored day of one node; once only, before anything else."""
        for days in (self.days,) if is_ours else (self.days, self.other_days):
            self._raise(days, day, (*volume, 0, 0))

    def put_minute(self, minute: int, numbers: Numbers, *, node: str | None) -> None:
        """Take in a stored minute of one node (None: our own), whose day is known already; once only."""
        self.minutes.add(minute, numbers)
        if node is not None:
            self.others.setdefault(minute, {})[node] = numbers

    def resume(self, now: int) -> None:
        """Have today's volume in the day's window, from midnight on, where no minutes were kept of it."""
        today = day_of(now)
        self.minutes.look(now)
        self.forgotten = now - DAY_MINUTES
        messages, recipients = self.days.get(today, (0, 0))
        for minute, numbers in self.minutes.minutes.items():
            if day_of(minute) == today:
                messages, recipients = messages - numbers[0], recipients - numbers[1]
        rest = (max(0, messages), max(0, recipients), 0, 0)
        if rest != ZERO:
            # Under the name of nobody's node, so that it is not taken for a minute of ours.
            self.put_minute(midnight(today), rest, node="")

    def hear(self, node: str, minute: int, numbers: Numbers) -> None:
        """Take in what another node says of a minute. Saying it again changes nothing."""
        if minute <= self.forgotten:
            return
        known = self.others.setdefault(minute, {})
        change = minus(numbers, known.get(node, ZERO))
        if change == ZERO:
            return
        known[node] = numbers
        self.minutes.add(minute, change)
        for days in (self.days, self.other_days):
            self._raise(days, day_of(minute), change)

    def ours(self, minutes: set[int]) -> tuple[dict[int, Numbers], dict[int, Volume]]:
        """Say our own share of some minutes, and of the days they lie in; nothing of what is forgotten."""
        found: dict[int, Numbers] = {}
        for minute in minutes & self.minutes.minutes.keys():
            numbers = self.minutes.minutes[minute]
            for others in self.others.get(minute, {}).values():
                numbers = minus(numbers, others)
            found[minute] = numbers
        days: dict[int, Volume] = {}
        for day in {day_of(minute) for minute in found} & self.days.keys():
            messages, recipients = self.days[day]
            other = self.other_days.get(day, (0, 0))
            days[day] = (messages - other[0], recipients - other[1])
        return found, days

    def _raise(self, days: dict[int, Volume], day: int, change: Numbers) -> None:
        messages, recipients = days.get(day, (0, 0))
        days[day] = (messages + change[0], recipients + change[1])
        if self.baseline is not None and day != self.baseline[0]:
            self.baseline = None
