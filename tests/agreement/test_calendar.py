"""Natural days: TX-9.3, CLAUSES 0.7, STANDING 5.7-16 and prop_natural_days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.agreement.calendar import Calendar, years_after
from filterd.agreement.sections_lifecycle import HolidaysSection

pytestmark = pytest.mark.slow

SHANGHAI = Calendar(zone="Asia/Shanghai")
# Havana and Beirut skip or repeat midnight, Kathmandu is off by 5:45, Apia has left out a whole day.
ZONES = ("UTC", "Asia/Shanghai", "America/Havana", "Asia/Beirut", "Asia/Kathmandu", "Pacific/Apia")
DAYS = st.dates(min_value=date(1990, 1, 1), max_value=date(2090, 1, 1))
INSTANTS = st.datetimes(
    min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.just(UTC)
)
LENGTHS = st.integers(min_value=1, max_value=400)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        # The day it begins on is not counted, whatever the hour.
        ("2026-03-01T00:00:00+08:00", 1, "2026-03-03T00:00:00+08:00"),
        ("2026-03-01T23:59:59+08:00", 1, "2026-03-03T00:00:00+08:00"),
        # Still the evening before in UTC, and a day later in Shanghai.
        ("2026-02-28T16:30:00+00:00", 1, "2026-03-03T00:00:00+08:00"),
        # Month ends and leap days.
        ("2026-01-31T12:00:00+08:00", 30, "2026-03-03T00:00:00+08:00"),
        ("2028-02-28T12:00:00+08:00", 1, "2028-03-01T00:00:00+08:00"),
        ("2028-01-31T12:00:00+08:00", 30, "2028-03-02T00:00:00+08:00"),
        ("2026-12-31T12:00:00+08:00", 30, "2027-01-31T00:00:00+08:00"),
    ],
)
def test_t_tx_9_3_a_term_of_natural_days_ends_at_midnight_of_its_last_day(start: str, days: int, end: str) -> None:
    assert SHANGHAI.term_end(at(start), days) == at(end)


def test_a_last_day_that_is_a_holiday_moves_only_where_that_is_asked_for() -> None:
    # The holiday of 1 to 7 October 2026; Saturday the 10th is worked in exchange.
    golden = Calendar(
        zone="Asia/Shanghai",
        holidays=frozenset(date(2026, 10, d) for d in range(1, 8)),
        working=frozenset({date(2026, 10, 10)}),
    )
    start = date(2026, 9, 1)
    assert golden.last_day(start, 30) == date(2026, 10, 1)
    assert golden.last_day(start, 30, moves=True) == date(2026, 10, 8)
    assert golden.last_day(start, 29, moves=True) == date(2026, 9, 30)


def test_a_holiday_before_a_weekend_ends_on_the_next_day_that_is_worked() -> None:
    friday = date(2026, 5, 1)
    plain = Calendar(zone="UTC", holidays=frozenset({friday}))
    assert plain.last_day(friday - timedelta(days=5), 5, moves=True) == date(2026, 5, 4)
    worked = Calendar(zone="UTC", holidays=frozenset({friday}), working=frozenset({date(2026, 5, 2)}))
    assert worked.last_day(friday - timedelta(days=5), 5, moves=True) == date(2026, 5, 2)


def test_a_plain_weekend_moves_only_where_the_agreement_says_so() -> None:
    saturday = date(2026, 5, 9)
    start = saturday - timedelta(days=3)
    assert Calendar(zone="UTC").last_day(start, 3, moves=True) == saturday
    assert Calendar(zone="UTC", is_weekend_holiday=True).last_day(start, 3, moves=True) == date(2026, 5, 11)


@pytest.mark.parametrize(
    ("day", "years", "expected"),
    [
        (date(2026, 3, 31), 3, date(2029, 3, 31)),
        (date(2028, 2, 29), 3, date(2031, 2, 28)),
        (date(2028, 2, 29), 4, date(2032, 2, 29)),
    ],
)
def test_years_end_on_the_same_day_or_on_the_last_of_its_month(day: date, years: int, expected: date) -> None:
    assert years_after(day, years) == expected


def test_holidays_are_a_list_or_a_table() -> None:
    listed = HolidaysSection.model_validate(["2026-10-01", date(2026, 10, 2)])
    table = HolidaysSection.model_validate({"days": ["2026-10-01"], "working": ["2026-10-10"], "weekends_count": True})
    assert listed.calendar("UTC").holidays == {date(2026, 10, 1), date(2026, 10, 2)}
    assert table.calendar("UTC").working == {date(2026, 10, 10)}
    with pytest.raises(ValueError, match="2026-10-01 is a holiday and a working day"):
        HolidaysSection.model_validate({"days": ["2026-10-01"], "working": ["2026-10-01"]})


@pytest.mark.parametrize("zone", ZONES)
@given(day=DAYS)
def test_prop_natural_days_the_days_of_a_zone_follow_one_another_without_a_gap(zone: str, day: date) -> None:
    calendar = Calendar(zone=zone)
    assert calendar.end_of(day) == calendar.start_of(day + timedelta(days=1))
    assert calendar.start_of(day) <= calendar.end_of(day)
    # The first moment of a day belongs to it, the last one before it does not; a day left out has none.
    if calendar.start_of(day) < calendar.end_of(day):
        assert calendar.day_of(calendar.start_of(day)) == day
        assert calendar.day_of(calendar.end_of(day) - timedelta(microseconds=1)) == day


@pytest.mark.parametrize("zone", ZONES)
@given(start=INSTANTS, days=LENGTHS)
def test_prop_natural_days_nobody_gets_less_than_the_whole_days(zone: str, start: datetime, days: int) -> None:
    calendar = Calendar(zone=zone)
    end = calendar.term_end(start, days)
    local = end.astimezone(ZoneInfo(zone))
    assert calendar.day_of(end - timedelta(microseconds=1)) <= calendar.last_day(start, days)
    assert end > start
    # Between so many and one more of days, but for the hours that the zone itself adds or takes.
    assert days * 24 - 25 <= (end - start) / timedelta(hours=1) <= (days + 1) * 24 + 25
    assert local.minute in (0, 30, 45, 15)


@given(start=DAYS, days=LENGTHS, holidays=st.frozensets(DAYS, max_size=5), weekends=st.booleans(), data=st.data())
def test_prop_natural_days_a_holiday_only_ever_gives_time(
    start: date, days: int, holidays: frozenset[date], weekends: bool, data: st.DataObject
) -> None:
    last = start + timedelta(days=days)
    near = data.draw(st.frozensets(st.integers(0, 9).map(lambda n: last + timedelta(days=n)), max_size=9))
    calendar = Calendar(zone="Asia/Shanghai", holidays=holidays | near, is_weekend_holiday=weekends)
    moved = calendar.last_day(start, days, moves=True)
    assert moved >= last == calendar.last_day(start, days)
    assert moved not in calendar.holidays
    if last not in calendar.holidays and not (weekends and last.weekday() >= 5):
        assert moved == last


@given(start=INSTANTS, days=LENGTHS, later_s=st.integers(min_value=0, max_value=10**8))
def test_prop_natural_days_who_begins_later_never_ends_earlier(start: datetime, days: int, later_s: int) -> None:
    later = min(start + timedelta(seconds=later_s), datetime(2089, 1, 1, tzinfo=UTC))
    first, second = sorted((start, later))
    assert SHANGHAI.term_end(first, days) <= SHANGHAI.term_end(second, days)
