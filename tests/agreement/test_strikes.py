"""What a strike weighs at an instant, and when a contestable one counts whole.  STANDING 5.2, 5.3."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from filterd.agreement.standing import half_points_at, strike_at
from filterd.model.sanction import Rung
from filterd.model.standing import CountingStrike, IncidentFile, SanctionFile
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history, incident, sanction, strike


def weighed(file: IncidentFile, at: datetime, *more: IncidentFile | SanctionFile) -> tuple[int, int, bool] | None:
    """Half-points, those that automation may use, and whether they are provisional."""
    found = strike_at(file, history(file, *more), at)
    return None if found is None else (found.half_points, found.a_half_points, found.is_provisional)


def test_case_5_3_a_strike_counts_from_its_act_until_it_fades_whole() -> None:
    file = incident()
    end = T0 + 90 * DAY
    assert [weighed(file, at) for at in (T0 - SECOND, T0, end - SECOND, end)] == [
        None,
        (4, 4, False),
        (4, 4, False),
        None,
    ]
    found = strike_at(file, history(file), T0)
    assert found == CountingStrike(
        strike_id="k_i_1",
        incident_id="i_1",
        half_points=4,
        a_half_points=4,
        is_provisional=False,
        expires_at=end,
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"strike": None}, None),
        ({"is_annulled": True}, None),
        ({"excused_at": T0 + HOUR}, None),
        ({"strike": strike(a_half_points=0, b_half_points=4)}, (2, 0, False)),
        # Half of three half-points is one, rounded in the account's favour.
        ({"strike": strike(a_half_points=0, b_half_points=3)}, (1, 0, False)),
        ({"strike": strike(a_half_points=0, b_half_points=1)}, None),
        ({"strike": strike(a_half_points=0, b_half_points=4), "is_confirmed": True}, (4, 0, False)),
        # The greater of both modes, never their sum.
        ({"strike": strike(a_half_points=4, b_half_points=6)}, (4, 4, False)),
        ({"strike": strike(a_half_points=2, b_half_points=8)}, (4, 2, False)),
    ],
)
def test_case_5_3_points_of_an_incident(changes: dict[str, Any], expected: tuple[int, int, bool] | None) -> None:
    assert weighed(incident(**changes), T0 + HOUR) == expected


def test_case_5_3_provisional_points_become_the_few_that_were_promised() -> None:
    until = T0 + 72 * HOUR
    file = incident(strike=strike(a_half_points=8, b_half_points=0, provisional_until=until, provisional_cap=4))
    assert weighed(file, until - SECOND) == (8, 0, True)
    assert weighed(file, until) == (4, 4, False)
    small = incident(strike=strike(a_half_points=2, b_half_points=6, provisional_until=until, provisional_cap=4))
    assert weighed(small, until) == (3, 2, False)
    # A strike that was never in doubt has no cap, whatever stands in its row.
    assert weighed(incident(strike=strike(a_half_points=8, provisional_cap=4)), until) == (8, 8, False)


def in_b(incident_id: str, at: datetime, **changes: Any) -> IncidentFile:
    given = strike(incident_id, at=at, a_half_points=0, b_half_points=4, expires_at=at + 90 * DAY)
    said: dict[str, Any] = {"strike": given, "b_families": frozenset({"spam"}), "notices": (at + HOUR,)}
    return incident(incident_id, at, **(said | changes))


FIRST, AGAIN = in_b("i_1", T0), in_b("i_2", T0 + 2 * DAY)


def test_case_b_half_then_whole_both_count_whole_from_the_second_on() -> None:
    at = T0 + 2 * DAY
    assert weighed(FIRST, at - SECOND, AGAIN) == (2, 0, False)
    assert weighed(FIRST, at, AGAIN) == (4, 0, False)
    assert weighed(AGAIN, at, FIRST) == (4, 0, False)
    assert half_points_at(history(FIRST, AGAIN), at) == 8
    assert half_points_at(history(FIRST, AGAIN), at - SECOND) == 2


@pytest.mark.parametrize(
    "again",
    [
        replace(AGAIN, b_families=frozenset({"adult"})),
        replace(AGAIN, is_annulled=True),
        replace(AGAIN, excused_at=T0 + 3 * DAY),
        # Begun before the first one's notice, in the instant of it, and before the first one itself.
        in_b("i_2", T0 + HOUR - SECOND),
        in_b("i_2", T0 + HOUR),
        in_b("i_2", T0 - DAY, notices=()),
        # Begun when the first one had faded.
        in_b("i_2", T0 + 90 * DAY),
    ],
    ids=["family", "annulled", "excused", "before notice", "with notice", "before it", "faded"],
)
def test_case_b_half_then_whole_what_does_not_confirm(again: IncidentFile) -> None:
    at = max(again.opened.at, T0)
    assert (weighed(FIRST, at, again) or (2, 0, False)) == (2, 0, False)
    if not again.is_void:
        assert weighed(again, again.opened.at, FIRST) == (2, 0, False)


def test_case_b_half_then_whole_a_second_after_the_notice_and_a_second_before_it_fades() -> None:
    for at in (T0 + HOUR + SECOND, T0 + 90 * DAY - SECOND):
        assert weighed(FIRST, at, in_b("i_2", at)) == (4, 0, False)


@pytest.mark.parametrize("first", [replace(FIRST, notices=()), replace(FIRST, strike=None)], ids=["unnoticed", "none"])
def test_case_b_half_then_whole_takes_a_first_one_that_counts_and_was_told(first: IncidentFile) -> None:
    assert weighed(AGAIN, T0 + 2 * DAY, first) == (2, 0, False)


@pytest.mark.parametrize(
    ("changes", "is_whole"),
    [
        ({"objected_at": T0 + DAY}, False),
        ({"objected_at": T0 + 2 * DAY}, False),
        ({"objected_at": T0 + 2 * DAY + SECOND}, True),
        ({"objected_at": T0 + DAY, "answered_at": T0 + 2 * DAY - SECOND}, True),
        ({"objected_at": T0 + DAY, "answered_at": T0 + 2 * DAY}, False),
        ({"objected_at": T0 + DAY, "incident_id": "i_2"}, True),
        ({}, True),
    ],
    ids=["objection", "as it begins", "later", "answered", "answered as it begins", "another's", "none"],
)
def test_case_b_half_then_whole_not_by_repetition_under_objection(changes: dict[str, Any], is_whole: bool) -> None:
    about = sanction(Rung.WARN, **changes)
    assert weighed(FIRST, T0 + 2 * DAY, AGAIN, about) == ((4 if is_whole else 2), 0, False)
