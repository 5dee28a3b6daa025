"""Which appeal is late, what can still be contested, and what one decision may settle.  STANDING 5.6, CLAUSES §6."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from filterd.agreement.appeal import (
    AppealFile,
    State,
    Target,
    Window,
    alike,
    appeals,
    contestable,
    is_alarm,
    is_contested,
    targets,
)
from filterd.agreement.appeal_clock import end_of, unanswered_at
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Rung
from filterd.model.standing import SanctionFile
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history, incident, notice, objection, sanction, strike

TERMS = shipped()
# A suspension of seven days: looked at within a day, decided within half of the week.
LOOK, DECIDE = T0 + 24 * HOUR, T0 + 84 * HOUR


def decided(at: datetime, outcome: str = "denied", about: str = "s_i_1") -> r.AppealDecided:
    return r.AppealDecided(at=at, appeal_id=f"p_{about}", incident_id="i_1", outcome=outcome, by="ann", reason="x")


def reopened(at: datetime, about: str = "s_i_1") -> r.AppealReopened:
    return r.AppealReopened(at=at, appeal_id=f"p_{about}", incident_id="i_1", by="ann", reason="new")


def assigned(at: datetime, reviewer: str = "ann", by: str = "ann") -> r.AppealAssigned:
    return r.AppealAssigned(at=at, appeal_id="p_s_i_1", incident_id="i_1", reviewer=reviewer, by=by)


def asked(at: datetime) -> r.AppealQuestioned:
    return r.AppealQuestioned(at=at, appeal_id="p_s_i_1", incident_id="i_1", by="ben")


def annulled(incident_id: str = "i_1") -> r.StrikeAnnulled:
    return r.StrikeAnnulled(at=T0 + DAY, strike_id="k_1", incident_id=incident_id, by="ann", reason="x")


def of(*rows: r.Record) -> AppealFile:
    """The appeal that was filed at T0, with what happened to it."""
    return appeals((objection(T0), *rows))[0]


# --- targets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "at", "missed"),
    [
        ((), LOOK - SECOND, ()),
        ((), LOOK, ("look",)),
        ((), DECIDE - SECOND, ("look",)),
        ((), DECIDE, ("look", "decide")),
        ((assigned(LOOK - SECOND),), DECIDE - SECOND, ()),
        ((assigned(LOOK),), LOOK, ("look",)),
        ((assigned(LOOK - SECOND),), DECIDE, ("decide",)),
        # A question is a look.
        ((asked(LOOK - SECOND),), DECIDE, ("decide",)),
        # Given to somebody else it was not looked at; by that person, it is.
        ((assigned(T0, "ann", "ben"),), LOOK, ("look",)),
        ((assigned(T0, "ann", "ben"), assigned(T0 + HOUR)), LOOK, ()),
        # A decision is a look, too, and what was decided in time stays so for ever.
        ((decided(LOOK - SECOND),), DECIDE + DAY, ()),
        ((decided(LOOK),), DECIDE + DAY, ("look",)),
        ((decided(DECIDE),), DECIDE, ("look", "decide")),
        # What is annulled without it is nobody's to answer.
        ((annulled(),), DECIDE + DAY, ()),
        ((annulled("i_2"),), DECIDE + DAY, ("look", "decide")),
    ],
)
def test_which_target_was_missed(rows: tuple[r.Record, ...], at: datetime, missed: tuple[str, ...]) -> None:
    found = targets(of(*rows), sanction(), TERMS, at)
    assert (found.look_by, found.decide_by, found.missed) == (LOOK, DECIDE, missed)


def test_reopened_its_targets_begin_anew() -> None:
    again = T0 + 3 * DAY
    found = targets(of(assigned(T0 + HOUR), decided(T0 + DAY), reopened(again)), sanction(), TERMS, again + DAY)
    assert (found.look_by, found.decide_by, found.missed) == (again + DAY, again + 48 * HOUR, ("look",))


def test_about_a_strike_alone_there_is_a_week() -> None:
    assert targets(of(), None, TERMS, T0).decide_by == T0 + 7 * DAY


def test_an_unconfirmed_sanction_ends_with_its_lapse_where_that_comes_first() -> None:
    lapsing: dict[str, Any] = {"lapses_at": T0 + 72 * HOUR}
    assert end_of(sanction(**lapsing)) == T0 + 72 * HOUR
    assert end_of(sanction(**lapsing, confirmed_at=T0)) == T0 + 7 * DAY
    assert end_of(sanction(**lapsing, ends_at=T0 + DAY)) == T0 + DAY
    assert end_of(sanction(ends_at=None)) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"objected_at": T0}, LOOK),
        ({"objected_at": T0, "looked_at": LOOK - SECOND}, DECIDE),
        ({"objected_at": T0, "looked_at": LOOK}, LOOK),
        ({"objected_at": T0, "answered_at": LOOK - SECOND}, None),
        ({"objected_at": T0, "answered_at": LOOK}, LOOK),
        ({"objected_at": T0, "looked_at": T0 + HOUR, "answered_at": DECIDE - SECOND}, None),
        ({"objected_at": T0, "looked_at": T0 + HOUR, "answered_at": DECIDE}, DECIDE),
    ],
)
def test_case_objection_unanswered_from_the_second_it_was_due(
    changes: dict[str, Any], expected: datetime | None
) -> None:
    assert unanswered_at(sanction(**changes), TERMS) == expected


@pytest.mark.parametrize(
    ("file", "rows", "is_one"),
    [
        (sanction(), (), False),
        (sanction(is_automatic=False), (), True),
        (sanction(confirmed_at=T0), (), True),
        (sanction(confirmed_at=T0 + SECOND), (), False),
        (None, (), True),
        (sanction(), (decided(T0 + HOUR), reopened(T0 + HOUR)), True),
        (sanction(is_automatic=False), (assigned(T0 + HOUR),), False),
        (sanction(is_automatic=False), (decided(LOOK),), False),
    ],
    ids=[
        "a clock answers it",
        "a person's",
        "confirmed before",
        "confirmed after",
        "a strike alone",
        "reopened",
        "looked at",
        "decided late",
    ],
)
def test_a_missed_target_is_an_alarm_where_no_clock_answers_it(
    file: SanctionFile | None, rows: tuple[r.Record, ...], is_one: bool
) -> None:
    assert is_alarm(of(*rows), file, TERMS, T0 + 30 * HOUR) is is_one
    assert not is_alarm(of(*rows), file, TERMS, LOOK - SECOND)


# --- its states -------------------------------------------------------------------------------------------------------


def test_an_acknowledgement_is_one_of_its_own_case_and_the_first_counts() -> None:
    ack: dict[str, Any] = {"template": "hold+objection_received"}
    rows = (
        notice(T0 + HOUR, "i_1", template="warning"),
        notice(T0 + HOUR, "i_2", **ack),
        notice(T0 + 2 * HOUR, "i_1", **ack),
        notice(T0 + 3 * HOUR, "i_1", template="appeal_acknowledged"),
    )
    assert [of(*rows[:n]).state for n in range(4)] == [State.FILED] * 3 + [State.ACKNOWLEDGED]
    assert of(*rows).acknowledged_at == T0 + 2 * HOUR


def test_one_appeal_s_rows_leave_the_others_as_they_are() -> None:
    rows = (objection(T0), objection(T0, "s_2", incident_id="i_2"), annulled("i_2"), decided(T0, about="s_9"))
    assert [x.state for x in appeals(rows)] == [State.FILED, State.MOOT]


def test_a_decision_is_made_once_until_it_is_reopened() -> None:
    twice = of(decided(T0 + HOUR), decided(T0 + 2 * HOUR, "granted"))
    assert (twice.outcome, twice.state) == ("denied", State.DECIDED)
    again = of(assigned(T0 + HOUR), decided(T0 + HOUR), reopened(T0 + 2 * HOUR))
    assert (again.state, again.reviewer, again.looked_at) == (State.FILED, None, None)
    assert (again.earlier, again.begins_at) == (decided(T0 + HOUR), T0 + 2 * HOUR)
    granted = of(decided(T0 + HOUR, "granted"), reopened(T0 + 2 * HOUR))
    assert (granted.state, granted.can_reopen, granted.reopened) == (State.DECIDED, False, None)
    assert [of(decided(T0, x)).can_reopen for x in ("denied", "partially_granted", "granted")] == [True, True, False]
    assert (of().can_reopen, of(decided(T0), reopened(T0), decided(T0)).can_reopen) == (False, False)


def test_a_question_waits_for_the_account_until_somebody_adds_decides_or_takes_over() -> None:
    added = r.AppealAdded(at=T0 + 2 * HOUR, appeal_id="p_s_i_1", incident_id="i_1", channel="mail")
    question = asked(T0 + HOUR)
    assert [of(question, *more).state for more in ((), (added,), (assigned(T0 + 2 * HOUR),))] == [
        State.INFO_REQUESTED,
        State.ASSIGNED,
        State.ASSIGNED,
    ]
    found = of(question, added, asked(T0 + 3 * HOUR))
    assert (found.questions, found.additions, found.reviewer, found.looked_at) == (2, 1, "ben", T0 + HOUR)
    # Who has it keeps it when another one asks.
    assert of(assigned(T0), question).reviewer == "ann"


# --- may one be filed? ------------------------------------------------------------------------------------------------


def contested(*files: Any, at: datetime = T0 + DAY, **more: Any) -> list[tuple[str, str]]:
    found = contestable(history(*files), TERMS, at, **more)
    return [(x.incident.opened.incident_id, x.sanction_id) for x in found]


def test_what_can_be_contested_is_every_sanction_and_every_strike_that_brought_none() -> None:
    assert contested(incident(), sanction()) == [("i_1", "s_i_1")]
    assert contested(incident()) == [("i_1", "")]
    assert contested(incident(strike=None)) == []
    # Annulled, it is out of the world; the others are not.
    assert contested(incident(is_annulled=True), incident("i_2"), sanction()) == [("i_2", "")]
    assert contested(incident(), sanction(annulled_at=T0)) == [("i_1", "")]
    assert contested(incident("i_1"), incident("i_2"), sanction(incident_id="i_2")) == [("i_1", ""), ("i_2", "s_i_2")]


def test_out_of_time_it_is_at_the_reviewer_s_discretion() -> None:
    late = T0 + 400 * DAY
    told = incident(notices=(T0,))
    assert contested(told, sanction(), at=late) == []
    assert contested(told, sanction(), at=late, is_late_taken=True) == [("i_1", "s_i_1")]
    # One that is out of time hides none that is not.
    young = incident("i_2", late, notices=(late,))
    assert contested(told, young, at=late) == [("i_2", "")]


def test_a_window_is_open_until_its_last_second_and_before_anybody_was_told() -> None:
    assert [Window(closes_at=LOOK).is_open(at) for at in (LOOK - SECOND, LOOK)] == [True, False]
    assert Window(closes_at=None).is_open(LOOK)


def test_a_target_has_one_appeal_and_it_is_known_by_its_name() -> None:
    alone = Target(incident=incident(), sanction=None)
    whole = Target(incident=incident(), sanction=sanction())
    assert (alone.appeal_id, whole.appeal_id) == (derived_id("p", "i_1"), derived_id("p", "s_i_1"))
    known = appeals((objection(T0, appeal_id=whole.appeal_id),))
    assert (is_contested(whole, known), is_contested(alone, known)) == (True, False)
    assert not is_contested(whole, ())


def test_case_5_6_a_batch_is_of_one_incident_or_of_a_row_of_like_ones() -> None:
    spam, more, virus = incident("i_1"), incident("i_2"), incident("i_3", families=frozenset({"malware"}))
    files = history(spam, more, virus)
    rows = (
        objection(T0, "s_1"),
        objection(T0, "s_1b"),
        objection(T0, "s_2", incident_id="i_2"),
        objection(T0, "s_3", incident_id="i_3"),
        objection(T0, "s_4", incident_id="i_gone"),
        objection(T0, "s_5", incident_id="i_2"),
        decided(T0 + HOUR, about="s_5"),
    )
    known = appeals(rows)
    said = {x.filed.sanction_id: [y.filed.sanction_id for y in alike(known, x, files)] for x in known}
    assert said["s_1"] == ["s_1b", "s_2"]
    assert said["s_3"] == []
    # Of an incident that is not there only its own appeals are like it.
    assert said["s_4"] == []


def test_a_sanction_of_a_strike_that_faded_can_be_contested_while_its_window_is_open() -> None:
    faded = incident(strike=strike(expires_at=T0 + DAY), notices=(T0,))
    assert contested(faded, sanction(Rung.RESTRICT), at=T0 + 100 * DAY) == [("i_1", "s_i_1")]
    assert contested(faded, at=T0 + 20 * DAY) == []
    assert contested(replace(faded, strike=strike()), at=T0 + 20 * DAY) == [("i_1", "")]
