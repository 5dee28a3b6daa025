"""What an account may do, to the second: the life of a sanction, the highest of all.  STANDING 5.1-5.4, 5.6, 5.9."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from filterd.agreement.standing import Stretch, earlier, in_effect, standing_at, stretches, was_cut
from filterd.model import records as r
from filterd.model.sanction import Conduct, Feature, Rung
from filterd.model.standing import SanctionFile, Surroundings
from tests.agreement.contract import shipped
from tests.agreement.rows import (
    BULK,
    DAY,
    HOUR,
    LINKS,
    SECOND,
    SENDING,
    T0,
    history,
    hold,
    imposed,
    incident,
    notice,
    replayed,
    sanction,
    strike,
)

TERMS = shipped()
LATE = T0 + 400 * DAY
WARN, RESTRICT, SUSPEND = Rung.WARN, Rung.RESTRICT, Rung.SUSPEND
# A life in short: from which hour to which, with what rung. None: open-ended.
Life = list[tuple[float, float | None, Rung]]


def hours(at: datetime | None) -> float | None:
    return None if at is None else (at - T0) / HOUR


def life(file: SanctionFile, known_at: datetime = LATE) -> Life:
    out = []
    for piece in stretches(file, TERMS, known_at):
        since = hours(piece.since)
        assert since is not None
        out.append((since, hours(piece.until), piece.rung))
    return out


# --- the life of a sanction -------------------------------------------------------------------------------------------


def test_a_sanction_is_in_force_from_its_start_to_its_end_the_first_instant_included_and_the_last_not() -> None:
    piece = Stretch(since=T0, until=T0 + HOUR, rung=SUSPEND, features=())
    instants = (T0 - SECOND, T0, T0 + HOUR - SECOND, T0 + HOUR)
    assert [piece.covers(at) for at in instants] == [False, True, True, False]
    assert replace(piece, until=None).covers(LATE)


LAPSING: dict[str, Any] = {"lapses_at": T0 + 72 * HOUR}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (sanction(), [(0, 168, SUSPEND)]),
        (sanction(**LAPSING), [(0, 72, SUSPEND)]),
        (sanction(**LAPSING, confirmed_at=T0 + 72 * HOUR - SECOND), [(0, 168, SUSPEND)]),
        (sanction(**LAPSING, confirmed_at=T0 + 72 * HOUR), [(0, 72, SUSPEND)]),
        (sanction(lifted_at=T0 + 5 * HOUR), [(0, 5, SUSPEND)]),
        (sanction(annulled_at=T0 + 5 * HOUR), [(0, 5, SUSPEND)]),
        (sanction(lifted_at=T0 + 9 * HOUR, annulled_at=T0 + 5 * HOUR), [(0, 5, SUSPEND)]),
        (sanction(lifted_at=T0 + 5 * HOUR, annulled_at=T0 + 9 * HOUR), [(0, 5, SUSPEND)]),
        (sanction(lifted_at=T0), []),
        (sanction(lifted_at=T0 + 200 * HOUR), [(0, 168, SUSPEND)]),
        (sanction(lifted_at=T0 + 168 * HOUR), [(0, 168, SUSPEND)]),
    ],
    ids=[
        "its own end",
        "nobody confirmed",
        "confirmed a second before the lapse",
        "confirmed too late",
        "lifted",
        "annulled",
        "annulled before it was to be lifted",
        "annulled after it was lifted",
        "lifted as it began",
        "lifted after its end",
        "lifted at its end",
    ],
)
def test_case_5_4_05_what_ends_a_sanction(file: SanctionFile, expected: Life) -> None:
    assert life(file) == expected


OBJECTED: dict[str, Any] = {"objected_at": T0 + HOUR}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (sanction(**OBJECTED), [(0, 25, SUSPEND), (25, 168, RESTRICT)]),
        (sanction(**OBJECTED, answered_at=T0 + 25 * HOUR - SECOND), [(0, 168, SUSPEND)]),
        (sanction(**OBJECTED, is_automatic=False), [(0, 168, SUSPEND)]),
        (sanction(**OBJECTED, confirmed_at=T0 + HOUR), [(0, 168, SUSPEND)]),
        (sanction(**OBJECTED, confirmed_at=T0 + HOUR + SECOND), [(0, 25, SUSPEND), (25, 168, RESTRICT)]),
        (sanction(**OBJECTED, ends_at=None), [(0, 25, SUSPEND), (25, None, RESTRICT)]),
        (
            sanction(**OBJECTED, ends_at=None, answered_at=T0 + 40 * HOUR),
            [(0, 25, SUSPEND), (25, 40, RESTRICT)],
        ),
        # Answered in the very instant it stepped down, there is nothing left to ease.
        (sanction(**OBJECTED, ends_at=None, answered_at=T0 + 25 * HOUR), [(0, 25, SUSPEND)]),
        (sanction(RESTRICT, **OBJECTED), [(0, 25, RESTRICT)]),
        (sanction(WARN, **OBJECTED), [(0, 25, WARN)]),
        (sanction(**OBJECTED, ends_at=T0 + 20 * HOUR), [(0, 20, SUSPEND)]),
        (sanction(**OBJECTED, lifted_at=T0 + 30 * HOUR), [(0, 25, SUSPEND), (25, 30, RESTRICT)]),
        (sanction(**OBJECTED, lifted_at=T0 + 20 * HOUR), [(0, 20, SUSPEND)]),
        (sanction(**OBJECTED, lifted_at=T0 + 25 * HOUR), [(0, 25, SUSPEND)]),
    ],
    ids=[
        "unanswered",
        "answered a second before",
        "a person's",
        "confirmed before the objection",
        "confirmed after the objection",
        "open-ended",
        "open-ended and answered late",
        "open-ended and answered as it steps down",
        "a restriction",
        "a warning",
        "over before",
        "lifted after it stepped down",
        "lifted before",
        "lifted as it steps down",
    ],
)
def test_case_5_6_an_unanswered_objection_takes_an_automatic_sanction_one_rung_down(
    file: SanctionFile, expected: Life
) -> None:
    assert life(file) == expected


def test_case_5_6_a_step_down_that_has_yet_to_come_is_not_foretold() -> None:
    """A person may still answer."""
    file, due = sanction(**OBJECTED), T0 + 25 * HOUR
    assert life(file, due - SECOND) == [(0, 168, SUSPEND)]
    assert life(file, due) == [(0, 25, SUSPEND), (25, 168, RESTRICT)]


def test_case_5_6_what_a_suspension_steps_down_to_is_the_scope_of_its_category() -> None:
    whole, eased = stretches(sanction(**OBJECTED), TERMS, LATE)
    assert (whole.features, eased.features) == ((SENDING,), (LINKS,))


def test_what_is_off_is_all_sending_from_a_suspension_on_and_the_scope_below() -> None:
    said = [stretches(sanction(rung, features=(BULK,)), TERMS, LATE)[0].features for rung in Rung if rung]
    assert said == [(BULK,), (BULK,), (SENDING,), (SENDING,)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((replayed(T0 + 5 * HOUR, RESTRICT, ends_at=T0 + 24 * HOUR),), [(0, 5, SUSPEND), (5, 24, RESTRICT)]),
        ((replayed(T0 + 5 * HOUR, RESTRICT),), [(0, 5, SUSPEND), (5, 168, RESTRICT)]),
        ((replayed(T0 + 5 * HOUR, SUSPEND, ends_at=T0 + 900 * HOUR),), [(0, 5, SUSPEND), (5, 168, SUSPEND)]),
        ((replayed(T0 + 5 * HOUR, Rung.TERMINATE),), [(0, 5, SUSPEND), (5, 168, SUSPEND)]),
        ((replayed(T0 + 5 * HOUR, WARN),), [(0, 5, SUSPEND), (5, 168, WARN)]),
        ((replayed(T0 + 5 * HOUR, Rung.NONE),), [(0, 5, SUSPEND)]),
        ((replayed(T0, RESTRICT, ends_at=T0 + 24 * HOUR),), [(0, 24, RESTRICT)]),
        ((replayed(T0 + 200 * HOUR, RESTRICT),), [(0, 168, SUSPEND)]),
        (
            (
                replayed(T0 + 5 * HOUR, SUSPEND, ends_at=T0 + 48 * HOUR),
                replayed(T0 + 6 * HOUR, RESTRICT, ends_at=T0 + 24 * HOUR),
            ),
            [(0, 5, SUSPEND), (5, 6, SUSPEND), (6, 24, RESTRICT)],
        ),
    ],
    ids=[
        "a milder rung",
        "its own end stays",
        "never longer",
        "never higher",
        "a warning",
        "nothing",
        "at its start",
        "after its end",
        "twice",
    ],
)
def test_case_5_7_03_a_replay_leaves_the_lesser_of_both(rows: tuple[r.SanctionReplayed, ...], expected: Life) -> None:
    assert life(sanction(replayed=rows)) == expected


def test_case_5_7_03_a_shorter_suspension_is_still_one_of_all_sending() -> None:
    _, rest = stretches(sanction(replayed=(replayed(T0 + HOUR, SUSPEND, ends_at=T0 + DAY),)), TERMS, LATE)
    assert rest.features == (SENDING,)
    _, rest = stretches(sanction(replayed=(replayed(T0 + HOUR, RESTRICT),)), TERMS, LATE)
    assert rest.features == (BULK,)
    # A restriction that stays one has the scope that the replay gives it.
    narrower = sanction(RESTRICT, features=(BULK, LINKS), replayed=(replayed(T0 + HOUR, RESTRICT),))
    assert stretches(narrower, TERMS, LATE)[-1].features == (BULK,)


@pytest.mark.parametrize(
    ("at", "ends_at", "expected"),
    [
        # Before the step-down: what then steps down is what the replay left.
        (24, 100, [(0, 24, SUSPEND), (24, 25, SUSPEND), (25, 100, RESTRICT)]),
        # In the same instant, and after it: the replay has seen what stepped down.
        (25, 100, [(0, 25, SUSPEND), (25, 100, RESTRICT)]),
        (26, 100, [(0, 25, SUSPEND), (25, 26, RESTRICT), (26, 100, RESTRICT)]),
    ],
)
def test_case_5_7_03_a_replay_and_a_step_down_in_the_order_of_time(at: float, ends_at: float, expected: Life) -> None:
    row = replayed(T0 + at * HOUR, SUSPEND, ends_at=T0 + ends_at * HOUR)
    assert life(sanction(**OBJECTED, replayed=(row,))) == expected


def test_case_5_7_03_what_was_undone_before_a_replay_stays_undone() -> None:
    row = replayed(T0 + 30 * HOUR, RESTRICT)
    assert life(sanction(replayed=(row,), lifted_at=T0 + 20 * HOUR)) == [(0, 20, SUSPEND)]


def test_whether_time_alone_ended_it_is_known() -> None:
    """An end by an unanswered objection or by a replay leaves no probation and is told of in other words."""
    plain, stepped = sanction(), sanction(**OBJECTED)
    eased = sanction(replayed=(replayed(T0 + 5 * HOUR, RESTRICT),))
    assert [was_cut(plain, T0 + 7 * DAY, TERMS), was_cut(plain, T0 + 25 * HOUR, TERMS)] == [False, False]
    assert [was_cut(stepped, T0 + at * HOUR, TERMS) for at in (24, 25, 168)] == [False, True, False]
    assert [was_cut(eased, T0 + at * HOUR, TERMS) for at in (5, 168)] == [True, False]


def test_of_two_ends_the_earlier_counts_and_none_is_no_end() -> None:
    first, second = T0, T0 + HOUR
    assert [earlier(first, second), earlier(second, first)] == [first, first]
    assert [earlier(None, second), earlier(first, None), earlier(None, None)] == [second, first, None]


# --- standing ---------------------------------------------------------------------------------------------------------


def test_case_5_1_a_warning_lasts_as_long_as_a_strike_counts_and_has_no_end_of_its_own() -> None:
    files = history(incident())
    end = T0 + 90 * DAY
    said = [standing_at(files, TERMS, at) for at in (T0 - SECOND, T0, end - SECOND, end)]
    assert [s.conduct for s in said] == [Conduct.GOOD, Conduct.WARNED, Conduct.WARNED, Conduct.GOOD]
    assert [s.until for s in said] == [None] * 4
    warned = standing_at(history(incident(), sanction(WARN)), TERMS, T0)
    assert (warned.conduct, warned.until, [s.rung for s in warned.sanctions]) == (Conduct.WARNED, None, [WARN])


def test_case_5_7_01_standing_is_the_highest_rung_in_force_until_the_latest_of_its_ends() -> None:
    files = history(
        sanction(RESTRICT, incident_id="i_1", ends_at=T0 + 9 * DAY),
        sanction(SUSPEND, incident_id="i_2", ends_at=T0 + 2 * DAY),
        sanction(SUSPEND, incident_id="i_3", ends_at=T0 + 4 * DAY),
    )
    now = standing_at(files, TERMS, T0)
    assert (now.rung, now.conduct, now.until) == (SUSPEND, Conduct.SUSPENDED, T0 + 4 * DAY)
    then = standing_at(files, TERMS, T0 + 4 * DAY)
    assert (then.rung, then.conduct, then.until) == (RESTRICT, Conduct.RESTRICTED, T0 + 9 * DAY)
    open_ended = replace(files, sanctions=(*files.sanctions, sanction(SUSPEND, incident_id="i_4", ends_at=None)))
    assert standing_at(open_ended, TERMS, T0).until is None


def test_what_is_in_force_says_whose_it_is_and_whether_a_person_looked() -> None:
    file = sanction(RESTRICT, confirmed_at=T0 + HOUR)
    (active,) = standing_at(history(file), TERMS, T0).sanctions
    assert (active.sanction_id, active.incident_id, active.category) == ("s_i_1", "i_1", "spam.outbound")
    assert (active.rung, active.features, active.clauses) == (RESTRICT, (BULK,), ("3.6",))
    assert (active.ends_at, active.is_automatic, active.is_confirmed) == (T0 + 7 * DAY, True, True)
    (other,) = standing_at(history(sanction(RESTRICT, is_automatic=False)), TERMS, T0).sanctions
    assert (other.is_automatic, other.is_confirmed) == (False, False)


def test_case_5_2_restrictions_are_the_union_of_scopes_and_of_two_limits_the_stricter() -> None:
    def with_features(*sets: tuple[Feature, ...]) -> tuple[Feature, ...]:
        files = [sanction(RESTRICT, incident_id=f"i_{n}", features=item) for n, item in enumerate(sets)]
        return standing_at(history(*files), TERMS, T0).features

    twenty, ten = Feature(name="messages_per_hour", limit=20), Feature(name="messages_per_hour", limit=10)
    one, two = Feature(name="recipient", value="a"), Feature(name="recipient", value="b")
    assert with_features((BULK, twenty), (LINKS,)) == (BULK, LINKS, twenty)
    assert with_features((twenty,), (ten,)) == (ten,)
    assert with_features((ten,), (twenty,)) == (ten,)
    assert with_features((one,), (two,), (one,)) == (one, two)


def test_case_5_1_what_the_three_axes_and_the_tenant_take_away_is_taken_together() -> None:
    quota = r.TenantStepTaken(
        at=T0,
        step_id="ts_1",
        decision_id="d_1",
        tenant_id="n_1",
        step="quota",
        quota=200,
        starts_at=T0,
        ends_at=T0 + 3 * DAY,
        score_milli=5000,
        incident_ids=("i_9",),
        clauses=("3.6",),
        is_automatic=True,
        by="system",
    )
    around = Surroundings(tenant=replace(history(further=(quota,)), account_id="n_1"))
    said = standing_at(history(sanction(RESTRICT), hold(features=(LINKS,))), TERMS, T0, around)
    assert [f.name for f in said.features] == ["bulk", "links", "tenant_external_per_day"]
    assert said.conduct is Conduct.RESTRICTED


def test_final_points_leave_the_provisional_ones_out() -> None:
    doubtful = strike("i_2", a_half_points=8, provisional_until=T0 + 72 * HOUR, provisional_cap=4)
    said = standing_at(history(incident(), incident("i_2", strike=doubtful)), TERMS, T0)
    assert (said.half_points, said.final_half_points, len(said.strikes)) == (12, 4, 2)


# --- terminations and cures -------------------------------------------------------------------------------------------


TERMINATION = imposed(Rung.TERMINATE, sanction_id="s_end", starts_at=T0 + 7 * DAY, ends_at=None)
TOLD = tuple(
    notice(T0 + HOUR, template="termination_proposed", channel=name, notice_id=f"m_{name}") for name in ("mail", "sms")
)


def conduct(files: tuple[SanctionFile, ...], at: datetime) -> Conduct:
    end = SanctionFile(imposed=TERMINATION)
    return standing_at(history(*files, end, further=TOLD), TERMS, at).conduct


def test_case_5_9_a_termination_by_order_begins_only_while_its_suspension_runs_as_it_was() -> None:
    begins = T0 + 7 * DAY
    running = sanction(ends_at=None)
    assert conduct((running,), begins - SECOND) is Conduct.SUSPENDED
    assert conduct((running,), begins) is Conduct.TERMINATED
    for less in (
        (),
        (sanction(ends_at=T0 + 60 * DAY),),
        (sanction(ends_at=None, lifted_at=begins),),
        (sanction(ends_at=None, objected_at=T0 + HOUR),),
        (sanction(ends_at=None, incident_id="i_2"),),
        (sanction(RESTRICT, ends_at=None),),
    ):
        assert conduct(less, begins) is not Conduct.TERMINATED


def test_case_5_4_04_what_two_people_decided_needs_no_suspension() -> None:
    decided = SanctionFile(imposed=replace(TERMINATION, is_automatic=False))
    files = history(decided, further=TOLD)
    assert standing_at(files, TERMS, T0 + 7 * DAY).conduct is Conduct.TERMINATED
    assert standing_at(files, TERMS, T0 + 7 * DAY - SECOND).conduct is Conduct.GOOD


def test_case_5_4_06_a_cure_ends_what_it_cured_and_nothing_lifted_before_it() -> None:
    filed = r.CureFiled(
        at=T0 + HOUR,
        cure_id="u_1",
        sanction_id="s_i_1",
        has_stopped=True,
        has_measures=True,
        has_compensation=False,
        has_waiver=True,
        by="Chief",
        due_at=T0 + 3 * DAY,
    )

    def ends(file: SanctionFile, known_at: datetime) -> timedelta | None:
        (found,) = in_effect(history(file, further=(filed,)), TERMS, known_at)
        return found.lifted_at - T0 if found.lifted_at is not None else None

    assert ends(sanction(), T0 + 3 * DAY - SECOND) is None
    assert ends(sanction(), T0 + 3 * DAY) == 3 * DAY
    assert ends(sanction(lifted_at=T0 + 2 * DAY), T0 + 4 * DAY) == 2 * DAY
    assert ends(sanction(lifted_at=T0 + 5 * DAY), T0 + 6 * DAY) == 3 * DAY
    assert ends(sanction(incident_id="i_2"), T0 + 6 * DAY) is None
