"""The rung that follows, at each of its borders.  STANDING 5.3 step 5, 5.9."""

from __future__ import annotations

from datetime import timedelta

import pytest

from filterd.agreement.fold import apply, fold
from filterd.agreement.ladder import NO_STEP, Step, climb, ends_at, evaluate
from filterd.model import records as r
from filterd.model.sanction import Mode, Preset, Rung
from filterd.model.standing import History, IncidentFile
from tests.agreement.test_walks import START, TERMS, Account, day


@pytest.mark.parametrize(
    ("half_points", "plain", "in_probation"),
    [
        (0, -1, -1),
        (1, 0, 0),
        (5, 0, 0),
        (6, 1, 2),
        (9, 1, 2),
        (10, 2, 3),
        (15, 2, 3),
        (16, 3, 4),
        (23, 3, 4),
        (24, 4, 4),
        (99, 4, 4),
    ],
)
def test_each_threshold_is_reached_with_its_points_and_in_probation_one_step_before(
    half_points: int, plain: int, in_probation: int
) -> None:
    assert climb(TERMS, half_points).index == plain
    assert climb(TERMS, half_points, is_in_probation=True).index == in_probation


def test_a_step_is_that_of_the_file() -> None:
    assert climb(TERMS, 16) == Step(index=3, rung=Rung.SUSPEND, hours=168, proposes_termination=False)
    assert climb(TERMS, 24) == Step(index=4, rung=Rung.SUSPEND, hours=None, proposes_termination=True)
    assert (NO_STEP.index, NO_STEP.rung) == (-1, Rung.NONE)


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (NO_STEP, "none"),
        (Step(index=0, rung=Rung.WARN, hours=3), "warn"),
        (Step(index=1, rung=Rung.RESTRICT, hours=24), "restrict 24 h"),
        (Step(index=4, rung=Rung.SUSPEND), "suspend open-ended"),
    ],
)
def test_a_step_has_a_name_for_people(step: Step, name: str) -> None:
    assert step.name() == name


# --- what of it happens without a person ------------------------------------------------------------------------------


def last(account: Account) -> tuple[History, IncidentFile]:
    history = fold("a_1", account.records)
    return history, next(i for i in history.incidents if i.opened.incident_id == account.incidents[-1])


def climbed(preset: Preset, *days: float) -> Account:
    account = Account(preset)
    for number in days:
        account.breach(number, "malware")
    return account


@pytest.mark.parametrize(
    ("preset", "imposed", "hours", "held_back"),
    [
        (Preset.ATTENDED, 3, 168, "preset"),
        (Preset.SUPERVISED, 3, 168, "preset"),
        (Preset.STANDING_ORDER, 4, None, None),
    ],
)
def test_what_is_above_the_preset_waits_for_a_person(
    preset: Preset, imposed: int, hours: int | None, held_back: str | None
) -> None:
    account = climbed(preset, 0, 1, 8)
    history, incident = last(account)
    found = evaluate(history, incident, TERMS, preset, day(8))
    assert (found.warranted.index, found.warranted.proposes_termination) == (4, True)
    assert (found.imposed.index, found.imposed.hours, found.held_back) == (imposed, hours, held_back)


def test_a_preset_of_fewer_hours_than_any_suspension_goes_down_to_a_restriction() -> None:
    short = TERMS.preset[Preset.SUPERVISED].model_copy(update={"suspend_max_hours": 167})
    terms = TERMS.model_copy(update={"preset": {**TERMS.preset, Preset.SUPERVISED: short}})
    history, incident = last(climbed(Preset.SUPERVISED, 0, 1, 8))
    found = evaluate(history, incident, terms, Preset.SUPERVISED, day(8))
    assert (found.imposed.index, found.imposed.rung, found.held_back) == (2, Rung.RESTRICT, "preset")


def test_frozen_nothing_is_imposed_and_all_is_said() -> None:
    history, incident = last(climbed(Preset.SUPERVISED, 0, 1, 8))
    found = evaluate(history, incident, TERMS, Preset.SUPERVISED, day(8), is_frozen=True)
    assert (found.warranted.index, found.imposed, found.held_back) == (4, NO_STEP, "frozen")


@pytest.mark.parametrize("preset", list(Preset))
def test_an_incident_that_is_annulled_or_counts_no_more_warrants_nothing(preset: Preset) -> None:
    account = climbed(preset, 0, 1)
    history, incident = last(account)
    for number, at in ((1, day(1.5)), (1, day(400))):
        assert incident.strike is not None
        undone = r.StrikeAnnulled(
            at=at,
            strike_id=incident.strike.strike_id,
            incident_id=account.incidents[number],
            by="ana",
            reason="error",
        )
        after = apply(history, undone) if at < day(2) else history
        changed = next(i for i in after.incidents if i.opened.incident_id == account.incidents[number])
        found = evaluate(after, changed, TERMS, preset, at)
        assert (found.warranted, found.imposed, found.held_back) == (NO_STEP, NO_STEP, None)


@pytest.mark.parametrize(
    ("preset", "hours_off"), [(Preset.ATTENDED, None), (Preset.SUPERVISED, 24), (Preset.STANDING_ORDER, 168)]
)
def test_the_third_of_a_chain_in_mode_b_may_switch_its_feature_off(preset: Preset, hours_off: int | None) -> None:
    account = Account(preset)
    imposed = []
    for number in (0, 2, 4):
        account.breach(number, "illegal.gambling", Mode.B)
        history, incident = last(account)
        imposed.append(evaluate(history, incident, TERMS, preset, day(number)).imposed)
    assert [step.rung for step in imposed[:2]] == [Rung.WARN, Rung.WARN]
    assert (imposed[2].rung, imposed[2].hours) == (
        (Rung.WARN, None) if hours_off is None else (Rung.RESTRICT, hours_off)
    )


def test_two_of_one_family_and_one_of_another_are_no_chain() -> None:
    account = Account(Preset.SUPERVISED)
    for number, category in ((0, "spam.advert"), (2, "illegal.gambling"), (4, "illegal.gambling")):
        account.breach(number, category, Mode.B)
    history, incident = last(account)
    assert evaluate(history, incident, TERMS, Preset.SUPERVISED, day(4)).imposed.rung is Rung.WARN


# --- when it ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "rung", "hours", "ends", "lapses"),
    [
        (Preset.ATTENDED, Rung.RESTRICT, 24, 24, 72),
        (Preset.ATTENDED, Rung.SUSPEND, None, None, 72),
        (Preset.SUPERVISED, Rung.SUSPEND, 168, 168, None),
        (Preset.SUPERVISED, Rung.RESTRICT, 168, 168, None),
        (Preset.ATTENDED, Rung.WARN, None, None, None),
    ],
)
def test_a_step_ends_after_its_hours_and_lapses_after_the_preset_s(
    preset: Preset, rung: Rung, hours: int | None, ends: int | None, lapses: int | None
) -> None:
    found = ends_at(TERMS, Step(index=1, rung=rung, hours=hours), preset, START)
    assert found == tuple(None if x is None else START + timedelta(hours=x) for x in (ends, lapses))
