"""What one incident leads to, and in which words the rest is held back.  STANDING 5.3 steps 1-5, 5.9."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from filterd.agreement.ladder import NO_STEP, Evaluation, evaluate
from filterd.agreement.terms import Agreement
from filterd.model.sanction import Preset, Rung
from filterd.model.standing import IncidentFile
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history, incident, sanction, strike

TERMS = shipped()
AT = T0 + 30 * DAY


def past(half: int, name: str = "i_0", at: datetime = T0, **changes: Any) -> IncidentFile:
    """An incident of long ago with so many half-points in mode A, noticed a day later."""
    given = strike(name, at=at, a_half_points=half, expires_at=at + 90 * DAY)
    return incident(name, at, **({"strike": given, "notices": (at + DAY,)} | changes))


def now(half: int = 4, **changes: Any) -> IncidentFile:
    given = strike("i_9", at=AT, a_half_points=half, expires_at=AT + 90 * DAY)
    return incident("i_9", AT, **({"strike": given} | changes))


def led(
    *files: Any, terms: Agreement = TERMS, preset: Preset = Preset.SUPERVISED, mine: IncidentFile | None = None
) -> Evaluation:
    one = mine or now()
    return evaluate(history(*files, one), one, terms, preset, AT)


def short(found: Evaluation) -> tuple[str, str, str | None]:
    return found.warranted.name(), found.imposed.name(), found.held_back


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (1, ("warn", "warn", None)),
        (2, ("restrict 24 h", "restrict 24 h", None)),
        (5, ("restrict 24 h", "restrict 24 h", None)),
        (6, ("restrict 168 h", "restrict 168 h", None)),
        (12, ("suspend 168 h", "suspend 168 h", None)),
        (20, ("suspend open-ended", "suspend 168 h", "preset")),
    ],
)
def test_each_incident_leads_to_what_its_total_warrants(points: int, expected: tuple[str, str, str | None]) -> None:
    assert short(led(past(points))) == expected


def test_case_first_incident_warns_only_whatever_its_points() -> None:
    assert short(led(mine=now(16))) == ("suspend 168 h", "warn", "first incident")
    assert short(led(mine=now(4))) == ("warn", "warn", None)
    # The user's own doing has no such cap.
    assert short(led(mine=now(16, hypothesis="malicious"))) == ("suspend 168 h", "suspend 168 h", None)
    # One whose strike has faded is none before it.
    assert short(led(past(16, at=AT - 90 * DAY), mine=now(16)))[2] == "first incident"
    assert short(led(past(16, at=AT - 90 * DAY + SECOND), mine=now(16)))[2] != "first incident"


def test_points_automation_may_not_use_are_left_to_a_person() -> None:
    in_b = past(0, strike=strike("i_0", a_half_points=0, b_half_points=8), b_families=frozenset({"spam"}))
    assert short(led(in_b, mine=now(4))) == ("restrict 24 h", "warn", "points automation may not use")
    provisional = strike("i_0", a_half_points=8, provisional_until=AT + DAY, provisional_cap=4)
    assert short(led(past(8, strike=provisional))) == ("restrict 168 h", "warn", "points automation may not use")


def test_case_grace_caps_at_what_was_notified() -> None:
    earlier = past(8, at=AT - DAY, notices=(AT - HOUR,))
    told = sanction(Rung.RESTRICT, incident_id="i_0", step=1, starts_at=AT - DAY)
    assert short(led(earlier, told)) == ("restrict 168 h", "restrict 24 h", "grace")
    assert short(led(earlier)) == ("restrict 168 h", "warn", "grace")
    # A cap that is no lower than what is allowed holds nothing back.
    high = sanction(Rung.RESTRICT, incident_id="i_0", step=2, starts_at=AT - DAY)
    assert short(led(earlier, high)) == ("restrict 168 h", "restrict 168 h", None)


def test_t_al_7_1_no_suspension_without_a_notice_a_day_before() -> None:
    section = TERMS.incident.model_copy(update={"suspension_notice_hours": 24})
    terms = TERMS.model_copy(update={"incident": section})
    late = past(12, notices=(AT - 23 * HOUR,))
    assert short(led(late, terms=terms)) == ("suspend 168 h", "restrict 168 h", "notice before a suspension")
    assert short(led(past(12), terms=terms)) == ("suspend 168 h", "suspend 168 h", None)
    assert short(led(past(6, notices=(AT - 23 * HOUR,)), terms=terms))[2] is None
    # On a ladder that begins with a suspension nothing is left to impose.
    steep = terms.model_copy(update={"ladder": TERMS.ladder[3:]})
    found = led(late, terms=steep)
    assert (found.imposed, found.held_back) == (NO_STEP, "notice before a suspension")


def in_mode_b(name: str, at: datetime) -> IncidentFile:
    given = strike(name, at=at, a_half_points=0, b_half_points=8, expires_at=at + 90 * DAY)
    said: dict[str, Any] = {"b_families": frozenset({"spam"}), "recipients": (("spam.advert", 60, 0),)}
    return incident(name, at, strike=given, notices=(at + HOUR,), **said)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(None, "warn"), (23, "warn"), (24, "restrict 24 h"), (167, "restrict 24 h"), (168, "restrict 168 h")],
)
def test_case_b_restrict_third_after_notice_of_the_hours_of_the_preset(hours: int | None, expected: str) -> None:
    rules = TERMS.preset[Preset.SUPERVISED].model_copy(update={"b_restrict_hours": hours})
    terms = TERMS.model_copy(update={"preset": {**TERMS.preset, Preset.SUPERVISED: rules}})
    third = in_mode_b("i_9", AT)
    chain = (in_mode_b("i_0", T0), in_mode_b("i_1", T0 + 5 * DAY))
    found = led(*chain, terms=terms, mine=third)
    assert (found.imposed.name(), found.held_back) == (expected, "mode B")
    # Of two there is no chain yet.
    assert led(chain[0], terms=terms, mine=third).imposed.name() == "warn"


def test_case_probation_asks_for_a_person_and_never_acts_by_itself() -> None:
    plain = now()
    strict = replace(plain, opened=replace(plain.opened, is_in_probation=True))
    found = led(past(6), mine=strict)
    assert short(found) == ("suspend 168 h", "restrict 168 h", "points automation may not use")
    assert short(led(past(6))) == ("restrict 168 h", "restrict 168 h", None)
