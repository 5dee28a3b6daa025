"""What one account sent lately, in memory: minutes, days for the baseline, keys against double counting.

Windows are made of whole minutes: "ten minutes" is the running one and the nine before, so up to a minute less than
its name says, in the sender's favour. Everything is measured from the instant asked about, which may lie before or
after the last one; what is more than a day away from it, either way, is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TypeVar

from filterd.model.decision import Counts
from filterd.ports import CountRequest

_HOUR_MINUTES = 60
DAY_MINUTES = 1440
BASELINE_DAYS = 30
# A sender beyond this in a day is far above every limit; a repeated recipient may then count twice.
_KEYS_AT_MOST = 20_000
_CORRESPONDENTS_AT_MOST = 20_000
T = TypeVar("T")

_EPOCH_ORDINAL = datetime(1970, 1, 1, tzinfo=UTC).toordinal()


def minute_of(at: datetime) -> int:
    """Say the minute since 1970."""
    return int(at.timestamp() // 60)


def day_of(at: datetime) -> int:
    """Say the UTC day as a date ordinal."""
    return minute_of(at) // DAY_MINUTES + _EPOCH_ORDINAL


@dataclass(slots=True)
class Minute:
    messages: int = 0
    recipients: int = 0
    unknown: int = 0
    strangers: int = 0


@dataclass(slots=True)
class Day:
    messages: int = 0
    recipients: int = 0


@dataclass(slots=True)
class Window:
    """One account. `opened_day` None until its first mail, where nobody said how old it is.

    `days` and `correspondents` (recipient to the day of first contact) come from the store; `deliveries` says in which
    minute a delivery key was counted, for the day and last for the hour; `messages` the same for evidence keys, with
    the unknown recipients of the message. `again` holds what is tried again, for the hour and not for the day.
    """

    opened_day: int | None = None
    days: dict[int, Day] = field(default_factory=dict)
    correspondents: dict[int, int] = field(default_factory=dict)
    minutes: dict[int, Minute] = field(default_factory=dict)
    again: dict[int, Minute] = field(default_factory=dict)
    deliveries: dict[int, tuple[int, int]] = field(default_factory=dict)
    messages: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    last_day: int | None = None

    @property
    def weight(self) -> int:
        """Say roughly how many dictionary slots this takes."""
        keys = len(self.deliveries) + len(self.messages) + len(self.correspondents)
        return 10 + len(self.days) + len(self.minutes) + len(self.again) + keys

    def resume(self, at: datetime) -> None:
        """After a restart: what was sent today counts from midnight on, so that it stays in the day's window."""
        today = self.days.get(day_of(at))
        if today is not None:
            midnight = (day_of(at) - _EPOCH_ORDINAL) * DAY_MINUTES
            self.minutes[midnight] = Minute(messages=today.messages, recipients=today.recipients)

    def add(self, request: CountRequest) -> list[str]:
        """Take in a submission; say the recipient hashes met for the first time."""
        now, today = minute_of(request.at), day_of(request.at)
        if self.opened_day is None:
            self.opened_day = today
        minute = self.minutes.setdefault(now, Minute())
        day = self.days.setdefault(today, Day())
        unknown = request.unknown
        seen = self.messages.get(key := hash(request.evidence_key))
        if seen is None or abs(now - seen[0]) >= DAY_MINUTES:
            minute.messages += 1
            day.messages += 1
            self.messages[key] = (now, now, unknown)
        else:
            unknown = max(0, unknown - seen[2])
            self.messages[key] = (seen[0], self._tried(seen[1], now, "messages"), seen[2] + unknown)
        minute.unknown += unknown
        both = (now, now)
        for name in request.delivery_keys:
            delivery = hash(name)
            then = self.deliveries.get(delivery)
            if then is None or abs(now - then[0]) >= DAY_MINUTES:
                minute.recipients += 1
                day.recipients += 1
                self.deliveries[delivery] = both
            else:
                self.deliveries[delivery] = (then[0], self._tried(then[1], now, "recipients"))
        met = []
        for name in request.recipient_hashes:
            if (recipient := hash(name)) not in self.correspondents:
                self.correspondents[recipient] = today
                minute.strangers += 1
                met.append(name)
        self._forget(now, today)
        return met

    def _tried(self, then: int, now: int, what: str) -> int:
        """Say in which minute one that is tried again counts for the hour: the one it is tried in, an hour later.

        Otherwise a limit an hour would let everything pass that was refused an hour ago. For the day it stays where it
        was first: what waits would else keep a limit a day used up for as long as it is tried, and nothing would pass.
        """
        if now - then < _HOUR_MINUTES:
            return then
        fresh = self.again.setdefault(now, Minute())
        setattr(fresh, what, getattr(fresh, what) + 1)
        return now

    def counts(self, at: datetime) -> Counts:
        """Say what the windows that end at `at` hold."""
        now, today = minute_of(at), day_of(at)
        ten, hour, day = Minute(), Minute(), Minute()
        for then, minute in self.minutes.items():
            age = now - then
            if 0 <= age < DAY_MINUTES:
                for total in (day, hour, ten) if age < 10 else (day, hour) if age < 60 else (day,):
                    total.messages += minute.messages
                    total.recipients += minute.recipients
                    total.unknown += minute.unknown
                    total.strangers += minute.strangers
        for then, minute in self.again.items():
            age = now - then
            if 0 <= age < _HOUR_MINUTES:
                for total in (hour, ten) if age < 10 else (hour,):
                    total.messages += minute.messages
                    total.recipients += minute.recipients
        return Counts(
            messages_10min=ten.messages,
            messages_hour=hour.messages,
            messages_day=day.messages,
            recipients_10min=ten.recipients,
            recipients_hour=hour.recipients,
            recipients_day=day.recipients,
            unknown_hour=hour.unknown,
            strangers_hour=hour.strangers,
            baseline_recipients_day=self._baseline(today),
        )

    def _baseline(self, today: int) -> float:
        """Mean recipients a day over the 30 days before today, or over the account's age where that is less."""
        opened = today if self.opened_day is None else self.opened_day
        begin = min(max(today - BASELINE_DAYS, opened), today - 1)
        return sum(day.recipients for then, day in self.days.items() if begin <= then < today) / (today - begin)

    def _forget(self, now: int, today: int) -> None:
        is_full = (
            len(self.minutes) > 2 * DAY_MINUTES
            or max(len(self.deliveries), len(self.messages)) > _KEYS_AT_MOST
            or len(self.correspondents) > _CORRESPONDENTS_AT_MOST
        )
        if today == self.last_day and not is_full:
            return
        self.last_day = today
        for then in [then for then in self.minutes if abs(now - then) > DAY_MINUTES]:
            del self.minutes[then]
        for then in [then for then in self.again if abs(now - then) > DAY_MINUTES]:
            del self.again[then]
        for day in [day for day in self.days if abs(today - day) > BASELINE_DAYS]:
            del self.days[day]
        for key in [key for key, seen in self.deliveries.items() if abs(now - seen[0]) >= DAY_MINUTES]:
            del self.deliveries[key]
        for key in [key for key, seen in self.messages.items() if abs(now - seen[0]) >= DAY_MINUTES]:
            del self.messages[key]
        _keep_newest(self.deliveries, _KEYS_AT_MOST)
        _keep_newest(self.messages, _KEYS_AT_MOST)
        _keep_newest(self.correspondents, _CORRESPONDENTS_AT_MOST)


def _keep_newest(slots: dict[int, T], at_most: int) -> None:
    # A tenth at a time, so that a full dictionary is not gone through at every submission.
    excess = len(slots) - at_most
    if excess > 0:
        for key in list(islice(slots, excess + at_most // 10)):
            del slots[key]
