"""Natural days on an agreement's own calendar.  TX-9.3, CLAUSES 0.7, STANDING 5.7-16.

The day something happens on is not counted, and a term ends at 24:00 of its last day, whatever the clock did that day.
A last day that is a statutory holiday moves to the next working day where that is in the user's favour; who asks says
so. Days go in and come out as dates, ends as instants, aware and UTC: the first one that no longer belongs to the term.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_ONE_DAY = timedelta(days=1)
_SATURDAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """One zone with its holidays.

    Args:
        holidays: statutory holidays; none known: no last day ever moves.
        working: days at a weekend that are worked, as China swaps them around its long holidays.
        is_weekend_holiday: a last day at a weekend moves, too.
    """

    zone: str
    holidays: frozenset[date] = frozenset()
    working: frozenset[date] = frozenset()
    is_weekend_holiday: bool = False

    def day_of(self, at: datetime) -> date:
        """Say which day it is in the zone at an instant."""
        return at.astimezone(ZoneInfo(self.zone)).date()

    def start_of(self, day: date) -> datetime:
        """Say when a day begins: 24:00 of the day before."""
        # Where midnight does not exist, the clock goes on from it: that instant. Where it comes twice, the first one.
        return datetime.combine(day, time(), tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    def end_of(self, day: date) -> datetime:
        """Say when a day is over: its 24:00."""
        return self.start_of(day + _ONE_DAY)

    def last_day(self, start: date | datetime, days: int, *, moves: bool = False) -> date:
        """Say the last day of a term of natural days.

        Args:
            start: the day it begins on, or an instant of it; that day is not counted.
            moves: a holiday as the last day moves the end to the next working day.
        """
        first = self.day_of(start) if isinstance(start, datetime) else start
        last = first + days * _ONE_DAY
        return self.next_working(last) if moves and self._is_off(last) else last

    def term_end(self, start: date | datetime, days: int, *, moves: bool = False) -> datetime:
        """Say when such a term is over."""
        return self.end_of(self.last_day(start, days, moves=moves))

    def days_before(self, day: date, days: int) -> date:
        """Say the day from which on so many natural days end with `day`, that one not counted."""
        return day - days * _ONE_DAY

    def next_working(self, day: date) -> date:
        """Say the first day from `day` on that people work."""
        while self._is_off(day) or (day.weekday() >= _SATURDAY and day not in self.working):
            day += _ONE_DAY
        return day

    def _is_off(self, day: date) -> bool:
        if day in self.working:
            return False
        return day in self.holidays or (self.is_weekend_holiday and day.weekday() >= _SATURDAY)


def years_after(day: date, years: int) -> date:
    """Say the same day so many years on; of a leap day in a year that has none, the last day of its month."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, day.month, 28)


def months_after(day: date, months: int) -> date:
    """Say the same day so many months on; in a shorter month its last day."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
