"""When is too many too many?  Windows, share and mean to the last account; freezes to the second.  STANDING 5.7-21."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from filterd.agreement.breaker import Hit, freeze, freezes, is_shadowed, shadowed, tripped, tripping
from filterd.agreement.sections_breaker import BreakerSection
from filterd.model import records as r
from filterd.model.sanction import Ground, Mode, Violation
from filterd.model.standing import Surroundings
from tests.agreement.cases import finding
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history

RULES = BreakerSection()
KEY = "virus.signature.match"
LONG_AGO = T0 - 60 * DAY


def hits(count: int, ago: timedelta = timedelta(), prefix: str = "now") -> list[Hit]:
    return [Hit(at=T0 - ago, key=KEY, account_id=f"{prefix}{n}") for n in range(count)]


def trips(
    known: list[Hit],
    *,
    active: int | None = None,
    since: datetime = LONG_AGO,
    first_seen: datetime | None = LONG_AGO,
) -> int | None:
    return tripping(known, RULES, T0, active_senders=active, since=since, first_seen=first_seen)


def usual(a_window: int, windows: int = 10) -> list[Hit]:
    """So many accounts in each of so many windows before the one that is looked at."""
    return [x for n in range(windows) for x in hits(a_window, (n + 1.5) * HOUR, f"w{n}.")]


# Hits are known for eleven hours: the window and ten before it.
ELEVEN = T0 - 11 * HOUR


# --- the window -------------------------------------------------------------------------------------------------------


def test_it_takes_more_than_ten_accounts_and_says_how_many() -> None:
    assert [trips(hits(n)) for n in (0, 10, 11, 12)] == [None, None, 11, 12]


def test_the_window_is_the_last_hour_without_its_first_instant() -> None:
    assert trips(hits(11, HOUR - SECOND)) == 11
    assert trips(hits(11, HOUR)) is None
    assert trips(hits(11, -SECOND)) is None


# --- share of who sends -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("active", "expected"), [(1099, 11), (1100, None), (1101, None), (None, None)])
def test_it_takes_more_than_one_percent_of_who_sends(active: int | None, expected: int | None) -> None:
    # Usually three a window: five times that is more than eleven.
    assert trips([*hits(11), *usual(3)], active=active, since=ELEVEN) == expected


# --- the mean ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "expected"), [(14, None), (15, None), (16, 16)])
def test_or_more_than_five_times_what_is_usual(count: int, expected: int | None) -> None:
    assert trips([*hits(count), *usual(3)], since=ELEVEN) == expected


def test_the_mean_is_of_different_accounts_a_window() -> None:
    known = usual(3)
    # The same accounts again in the same window change nothing; in another one they are others.
    assert trips([*hits(16), *known, *known], since=ELEVEN) == 16
    same = [replace(x, account_id=x.account_id.partition(".")[2]) for x in known]
    assert trips([*hits(15), *same], since=ELEVEN) is None
    assert trips([*hits(16), *same], since=ELEVEN) == 16


def test_the_mean_looks_back_seven_days_and_no_further_than_hits_are_known() -> None:
    older = hits(30, 8 * DAY, "old")
    assert trips([*hits(16), *usual(3), *older], since=ELEVEN) == 16
    # Over seven days thirty hits are few a window.
    assert trips([*hits(11), *usual(3)]) == 11
    # 167 windows of three, and the first instant of the seven days is one of them.
    steady = usual(3, 166) + hits(3, 7 * DAY, "first")
    assert trips([*hits(15), *steady]) is None
    assert trips([*hits(15), *steady[:-1]]) == 15
    assert trips([*hits(15), *steady[:-3], *hits(3, 7 * DAY + SECOND, "first")]) == 15


def test_the_last_instant_before_the_window_belongs_to_the_mean() -> None:
    known = [*usual(3, 9), *hits(3, HOUR, "last")]
    assert trips([*hits(15), *known], since=ELEVEN) is None
    assert trips([*hits(15), *known[:-1]], since=ELEVEN) == 15


@pytest.mark.parametrize(("since", "expected"), [(2 * HOUR - SECOND, 15), (2 * HOUR, None)])
def test_a_record_of_less_than_one_window_has_no_mean(since: timedelta, expected: int | None) -> None:
    assert trips([*hits(15), *hits(3, 1.5 * HOUR, "before")], since=T0 - since) == expected


# --- young ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first_seen", "is_young"), [(T0 - 7 * DAY, False), (T0 - 7 * DAY + SECOND, True), (T0, True), (None, True)]
)
def test_in_its_first_week_half_of_either_is_enough(first_seen: datetime | None, is_young: bool) -> None:
    known = [*hits(11), *usual(4)]
    assert trips(known, since=ELEVEN, first_seen=first_seen) == (11 if is_young else None)
    assert trips([*hits(11), *usual(6)], since=ELEVEN, first_seen=first_seen, active=2199) == (11 if is_young else None)
    assert trips([*hits(11), *usual(6)], since=ELEVEN, first_seen=first_seen, active=2200) is None


# --- the red button ---------------------------------------------------------------------------------------------------


def frozen(freeze_id: str, until: datetime, tenant_id: str | None = None) -> r.AutomationFrozen:
    return r.AutomationFrozen(at=T0, freeze_id=freeze_id, tenant_id=tenant_id, until=until, by="ann", reason="x")


def thawed(at: datetime, freeze_id: str = "z_1") -> r.AutomationThawed:
    return r.AutomationThawed(at=at, freeze_id=freeze_id, by="ann")


def test_a_freeze_holds_from_its_first_instant_until_its_end_or_a_person_s_word() -> None:
    row, end = frozen("z_1", T0 + DAY), T0 + DAY

    def in_force(at: datetime, *more: r.Record) -> bool:
        return bool(freezes(history(further=(row, *more)), at))

    assert [in_force(at) for at in (T0 - SECOND, T0, end - SECOND, end)] == [False, True, True, False]
    assert [in_force(at, thawed(T0 + HOUR)) for at in (T0 + HOUR - SECOND, T0 + HOUR)] == [True, False]
    assert in_force(T0 + HOUR, thawed(T0, "z_2"))


def test_of_a_site_s_and_a_tenant_s_freeze_the_longer_counts() -> None:
    site, tenant = history(further=(frozen("z_1", T0 + HOUR),)), history(further=(frozen("z_2", T0 + DAY, "n_1"),))
    for around, name in (
        (Surroundings(site=site, tenant=tenant), "z_2"),
        (Surroundings(site=tenant, tenant=site), "z_2"),
        (Surroundings(site=site), "z_1"),
        (Surroundings(tenant=tenant), "z_2"),
    ):
        found = freeze(around, T0)
        assert found is not None
        assert found.freeze_id == name
    assert freeze(Surroundings(), T0) is None


# --- the breakers -----------------------------------------------------------------------------------------------------


def trip(code: str = KEY, signal: str | None = None, at: datetime = T0) -> r.BreakerTripped:
    return r.BreakerTripped(at=at, breaker_id=f"g_{code}", finding=code, signal=signal, subjects=11)


def test_a_breaker_is_open_from_its_trip_until_a_person_resets_it() -> None:
    reset = r.BreakerReset(at=T0 + DAY, breaker_id=f"g_{KEY}", by="ann", reason="x")
    site = history(further=(trip(), trip("link.feed.match", at=T0 + HOUR), reset))
    said = [[x.finding for x in tripped(site, at)] for at in (T0 - SECOND, T0, T0 + HOUR, T0 + DAY - SECOND, T0 + DAY)]
    assert said == [[], [KEY], [KEY, "link.feed.match"], [KEY, "link.feed.match"], ["link.feed.match"]]
    assert tripped(None, T0) == ()


def test_a_rule_or_one_signal_of_it_is_shadowed() -> None:
    known, other = (finding(KEY, why=(("signature", name),)) for name in ("X", "Y"))
    strange = finding("link.feed.match", why=(("signature", "X"),))

    def is_muted(*rows: r.Record) -> list[bool]:
        found = is_shadowed(history(further=rows), T0)
        return [found(x) for x in (known, other, strange)]

    assert is_muted() == [False, False, False]
    assert is_muted(trip()) == [True, True, False]
    assert is_muted(trip(signal="signature:X")) == [True, False, False]
    assert is_muted(trip(signal="signature:X"), trip("link.feed.match")) == [True, False, True]


def violation(mode: Mode, *, burst: bool = False, category: str = "malware") -> Violation:
    ground = Ground(kind="clause", ids=("3.5.2",))
    return Violation(
        category=category,
        family="malware",
        mode=mode,
        severity=3,
        ground=ground,
        finding_codes=(KEY,),
        is_burst=burst,
    )


@pytest.mark.parametrize(
    ("found", "left", "shadow"),
    [
        (violation(Mode.A), violation(Mode.A), None),
        (violation(Mode.A), None, violation(Mode.A)),
        (violation(Mode.A), violation(Mode.B), violation(Mode.A)),
        (violation(Mode.A), violation(Mode.A, category="spam.outbound"), violation(Mode.A)),
        (violation(Mode.A, burst=True), violation(Mode.A), violation(Mode.A, burst=True)),
        (violation(Mode.A, burst=True), violation(Mode.A, burst=True), None),
        (violation(Mode.A), violation(Mode.A, burst=True), None),
    ],
)
def test_what_a_breaker_takes_away_is_there_to_see_and_to_protect(
    found: Violation, left: Violation | None, shadow: Violation | None
) -> None:
    rest = (left,) if left is not None else ()
    expected = (*rest, replace(shadow, is_shadow=True)) if shadow is not None else rest
    assert shadowed((found,), rest) == expected
