"""The facts of a statement of reasons, one by one, from histories written by hand.  STANDING 5.2-5.7, CLAUSES §7."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from filterd.agreement.restitution import restitution
from filterd.agreement.statement import Statement, points_at, statement
from filterd.agreement.statement_parts import AutomatedDecision, NextStep, Undone
from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.sanction import Ground, Mode, Rung, Violation
from filterd.model.standing import History, SanctionFile
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
    incident,
    replayed,
    sanction,
    strike,
)

TERMS = shipped()
END = T0 + 7 * DAY


def said(
    files: History,
    *sanction_ids: str,
    at: datetime = T0 + HOUR,
    records: tuple[r.Record, ...] = (),
    incident_id: str = "i_1",
) -> Statement:
    return statement(files, TERMS, at, incident_id=incident_id, sanction_ids=sanction_ids, records=records)


def one(*files: Any, at: datetime = T0 + HOUR, **more: Any) -> Statement:
    """About the first sanction of the incident."""
    return said(history(incident(**more), *files), "s_i_1", at=at)


def act(at: datetime, *codes: str, incident_id: str = "i_1") -> r.ViolationRecorded:
    violation = Violation(
        category="spam.outbound",
        family="spam",
        mode=Mode.A,
        severity=2,
        ground=Ground(kind="clause", ids=("3.3.2",)),
        finding_codes=codes,
    )
    return r.ViolationRecorded(
        at=at,
        incident_id=incident_id,
        decision_id="d_1",
        transaction_id="t_1",
        evidence_key="e_1",
        text_fp="x_1",
        violations=(violation,),
        delivery_keys=("k_1",),
        policy_digest="",
    )


# --- what is in force -------------------------------------------------------------------------------------------------


def test_a_running_sanction_says_its_end_and_that_an_objection_steps_it_down() -> None:
    (effect,) = one(sanction()).effects
    assert (effect.sanction_id, effect.rung, effect.features) == ("s_i_1", Rung.SUSPEND, (SENDING,))
    assert (effect.starts_at, effect.ends_at, effect.is_over) == (T0, END, False)
    assert (effect.lapses_at, effect.stands_until, effect.eased_to, effect.steps_down) == (None, None, None, True)


@pytest.mark.parametrize(
    ("file", "steps_down"),
    [
        (sanction(Rung.RESTRICT), True),
        (sanction(Rung.WARN), False),
        (sanction(is_automatic=False), False),
        (sanction(confirmed_at=T0), False),
        (sanction(answered_at=T0), False),
        (sanction(lifted_at=T0 + SECOND), False),
        (sanction(replayed=(replayed(T0 + SECOND, Rung.RESTRICT),)), False),
    ],
    ids=["restriction", "warning", "a person's", "confirmed", "answered", "over", "eased"],
)
def test_what_an_objection_would_still_step_down(file: SanctionFile, steps_down: bool) -> None:
    assert one(file).effects[0].steps_down is steps_down


@pytest.mark.parametrize(
    ("changes", "lapses", "ends_at"),
    [
        ({"lapses_at": T0 + 3 * DAY}, (T0 + 3 * DAY, END), T0 + 3 * DAY),
        ({"lapses_at": T0 + 3 * DAY, "ends_at": None}, (T0 + 3 * DAY, None), T0 + 3 * DAY),
        # A lapse that comes with the end, or after it, is none.
        ({"lapses_at": END}, (None, None), END),
        ({"lapses_at": END + DAY}, (None, None), END),
        ({"lapses_at": T0 + 3 * DAY, "confirmed_at": T0}, (None, None), END),
        # Over by then, it does not lapse any more; made shorter by a replay, it ends before.
        ({"lapses_at": T0 + HOUR}, (None, None), T0 + HOUR),
        (
            {
                "lapses_at": T0 + 3 * DAY,
                "replayed": (replayed(T0 + SECOND, Rung.SUSPEND, ends_at=T0 + DAY),),
            },
            (None, None),
            T0 + DAY,
        ),
    ],
)
def test_when_it_lapses_and_how_long_it_stands_if_a_person_confirms(
    changes: dict[str, Any], lapses: tuple[datetime | None, datetime | None], ends_at: datetime
) -> None:
    (effect,) = one(sanction(**changes)).effects
    assert ((effect.lapses_at, effect.stands_until), effect.ends_at) == (lapses, ends_at)


def test_a_warning_lasts_as_long_as_its_strike_which_may_have_grown() -> None:
    grown = strike(expires_at=T0 + 365 * DAY)
    assert one(sanction(Rung.WARN), strike=grown).effects[0].ends_at == T0 + 365 * DAY
    assert one(sanction(Rung.WARN), strike=None).effects[0].ends_at == END
    assert one(sanction(Rung.RESTRICT), strike=grown).effects[0].ends_at == END
    # A warning that was undone is over, however long its strike would count.
    assert one(sanction(Rung.WARN, annulled_at=T0 + SECOND), strike=grown).effects[0].ends_at == T0 + SECOND


def test_eased_it_says_what_is_off_now_and_undone_at_once_what_would_have_been() -> None:
    eased = one(sanction(objected_at=T0), at=T0 + DAY).effects[0]
    assert (eased.features, eased.eased_to, eased.is_over, eased.ends_at) == ((SENDING,), (LINKS,), False, END)
    gone = one(sanction(Rung.RESTRICT, annulled_at=T0)).effects[0]
    assert (gone.features, gone.ends_at, gone.is_over, gone.eased_to) == ((BULK,), T0, True, None)


def test_the_highest_rung_comes_first_and_other_cases_are_said_beside() -> None:
    files = history(
        incident(),
        incident("i_2"),
        sanction(Rung.WARN, step=0),
        sanction(Rung.RESTRICT, step=1, sanction_id="s_b"),
        sanction(Rung.SUSPEND, incident_id="i_2", ends_at=END),
        sanction(Rung.WARN, incident_id="i_2", sanction_id="s_w"),
    )
    found = said(files, "s_i_1", "s_b")
    assert [e.rung for e in found.effects] == [Rung.RESTRICT, Rung.WARN]
    assert [(o.incident_id, o.rung, o.features, o.ends_at) for o in found.others] == [
        ("i_2", Rung.SUSPEND, (SENDING,), END)
    ]


# --- who found it, and who decided ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (("content.spam.model",), True),
        (("complaint.rate.high",), False),
        (("complaint.rate.high", "content.spam.model"), True),
        ((), False),
    ],
)
def test_only_checks_detect_by_machine(codes: tuple[str, ...], expected: bool) -> None:
    files = history(incident(), sanction())
    assert said(files, "s_i_1", records=(act(T0, *codes),)).automated_detection is expected


def test_what_rests_on_no_mail_was_found_by_people_where_they_imposed_it() -> None:
    assert one(sanction()).automated_detection is True
    assert one(sanction(is_automatic=False)).automated_detection is False
    assert said(history(incident())).automated_detection is True
    # The mail of another case says nothing about this one.
    other = act(T0, "content.spam.model", incident_id="i_2")
    files = history(incident(), sanction(is_automatic=False))
    assert said(files, "s_i_1", records=(other,)).automated_detection is False


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((), AutomatedDecision.FULLY),
        (({},), AutomatedDecision.FULLY),
        (({"confirmed_at": T0},), AutomatedDecision.PARTIALLY),
        (({"is_automatic": False},), AutomatedDecision.NOT_AUTOMATED),
        (({}, {"is_automatic": False}), AutomatedDecision.PARTIALLY),
        (({"is_automatic": False}, {"is_automatic": False}), AutomatedDecision.NOT_AUTOMATED),
    ],
)
def test_how_far_a_person_took_part(files: tuple[dict[str, Any], ...], expected: AutomatedDecision) -> None:
    rows = [sanction(sanction_id=f"s_{n}", **changes) for n, changes in enumerate(files)]
    found = said(history(incident(), *rows), *(x.imposed.sanction_id for x in rows))
    assert found.automated_decision is expected


def test_when_it_began_and_when_it_was_last_added_to() -> None:
    late = sanction(at=T0 + 5 * HOUR)
    files = history(incident(), late)
    assert (said(files, "s_i_1").first_at, said(files, "s_i_1").last_at) == (T0, T0 + 5 * HOUR)
    acts = (act(T0 + HOUR), act(T0 + 3 * HOUR))
    assert said(files, "s_i_1", records=acts).last_at == T0 + 3 * HOUR
    assert said(history(incident())).last_at == T0
    assert said(files, "s_i_1").mode is Mode.A
    assert said(history(incident(recipients=(("spam.outbound", 2, 0),)))).mode is Mode.B


def test_mail_was_refused_where_every_category_refuses() -> None:
    virus, spam = ("malware", 1, 1), ("spam.advert", 1, 0)
    assert [said(history(incident(recipients=x))).mail_refused for x in ((virus,), (virus, spam), ())] == [
        True,
        False,
        False,
    ]


def test_spam_that_only_one_sign_speaks_of_was_held_and_not_refused() -> None:
    """One category, refused in mode A and contestable in mode B: what is told is what was done."""
    recipients = [(("spam.outbound", 9, in_mode_a),) for in_mode_a in (9, 0)]
    assert [said(history(incident(recipients=x))).mail_refused for x in recipients] == [True, False]


def test_a_category_that_the_agreement_has_no_more_cannot_be_told_of() -> None:
    with pytest.raises(UsageError, match=r"has no category 'spam\.gone'"):
        said(history(incident(recipients=(("malware", 1, 1), ("spam.gone", 1, 1)))))


# --- holds ------------------------------------------------------------------------------------------------------------


def test_of_several_holds_of_a_case_the_one_that_lasts_longest_is_said() -> None:
    def held(*rows: r.HoldPlaced, at: datetime = T0 + HOUR) -> tuple[str, datetime | None, bool] | None:
        found = said(history(incident(), *rows), at=at).hold
        return None if found is None else (found.features[0].name, found.ends_at, found.is_over)

    short = hold("h_1", features=(LINKS,), ends_at=T0 + DAY)
    lock = hold("h_2")
    assert held() is None
    assert held(hold(incident_id="i_2")) is None
    assert held(short) == ("links", T0 + DAY, False)
    assert [held(short, at=T0 + DAY - SECOND), held(short, at=T0 + DAY)] == [
        ("links", T0 + DAY, False),
        ("links", T0 + DAY, True),
    ]
    assert held(short, lock) == held(lock, short) == ("sending", None, False)
    longer = hold("h_3", features=(BULK,), ends_at=T0 + 2 * DAY)
    assert held(short, longer) == held(longer, short) == ("bulk", T0 + 2 * DAY, False)


# --- points -----------------------------------------------------------------------------------------------------------


def test_the_next_step_is_the_first_point_that_reaches_one() -> None:
    found = points_at(history(incident(strike=strike(a_half_points=4))), TERMS, T0)
    assert (found.half_points, found.due_step) == (4, None)
    assert found.next_step == NextStep(rung=Rung.RESTRICT, hours=24, half_points=6, proposes_termination=False)
    top = points_at(history(incident(strike=strike(a_half_points=24))), TERMS, T0)
    assert top.next_step is None
    assert top.due_step == NextStep(rung=Rung.SUSPEND, hours=None, half_points=24, proposes_termination=True)
    last = points_at(history(incident(strike=strike(a_half_points=23))), TERMS, T0).next_step
    assert last == NextStep(rung=Rung.SUSPEND, hours=None, half_points=24, proposes_termination=True)
    # A rung that is in force is not due any more.
    assert points_at(history(incident(strike=strike(a_half_points=16)), sanction()), TERMS, T0).due_step is None


def test_behind_a_suspension_with_an_end_a_probation_begins() -> None:
    counting = incident(strike=strike(a_half_points=16))
    strict = NextStep(rung=Rung.SUSPEND, hours=None, half_points=16, proposes_termination=True)
    assert points_at(history(counting, sanction()), TERMS, T0).after_suspension == strict
    for file in (sanction(ends_at=None), sanction(Rung.RESTRICT)):
        assert points_at(history(counting, file), TERMS, T0).after_suspension is None
    without = TERMS.model_copy(update={"probation_days": 0})
    assert points_at(history(counting, sanction()), without, T0).after_suspension is None
    assert points_at(history(sanction()), TERMS, T0).after_suspension is None
    about = one(sanction(), strike=strike(a_half_points=16))
    assert (about.after_suspension, about.probation_days) == (strict, 30)
    assert one(sanction(lifted_at=T0 + SECOND)).after_suspension is None


def test_each_strike_s_share_with_what_it_will_be_and_when_it_fades() -> None:
    until = T0 + 72 * HOUR
    doubtful = strike("i_2", a_half_points=8, provisional_until=until, provisional_cap=4)
    half = strike("i_3", a_half_points=0, b_half_points=4)
    files = history(incident(), incident("i_2", strike=doubtful), incident("i_3", strike=half))
    shares = points_at(files, TERMS, T0).shares
    assert [(x.incident_id, x.half_points, x.final_half_points, x.provisional_until, x.is_half) for x in shares] == [
        ("i_1", 4, 4, None, False),
        ("i_2", 8, 4, until, False),
        ("i_3", 2, 2, None, True),
    ]
    assert [x.fades_at for x in shares] == [T0 + 90 * DAY] * 3
    after = points_at(files, TERMS, until).shares[1]
    assert (after.half_points, after.final_half_points, after.provisional_until) == (4, 4, None)


# --- objection, annulment, replay -------------------------------------------------------------------------------------


def test_the_first_objection_says_when_its_answer_is_due() -> None:
    files = history(
        incident(),
        sanction(objected_at=T0 + 2 * HOUR, answered_at=T0 + 3 * HOUR),
        sanction(Rung.RESTRICT, sanction_id="s_b", objected_at=T0 + HOUR),
        sanction(Rung.WARN, sanction_id="s_c"),
    )
    found = said(files, "s_i_1", "s_b", "s_c").received
    assert found is not None
    assert (found.at, found.answer_due_at, found.is_answered) == (T0 + HOUR, T0 + 25 * HOUR, False)
    alone = [said(files, "s_i_1", at=at).received for at in (T0 + 3 * HOUR - SECOND, T0 + 3 * HOUR)]
    assert [x.is_answered for x in alone if x is not None] == [False, True]
    assert said(files, "s_c").received is None


def test_an_annulment_says_what_was_served_with_begun_minutes_whole() -> None:
    def undone(file: SanctionFile) -> tuple[Undone, ...]:
        return said(history(incident(is_annulled=True), file), "s_i_1", at=T0 + 2 * DAY).undone

    at = T0 + HOUR
    assert undone(sanction(annulled_at=at)) == (Undone(rung=Rung.SUSPEND, since=T0, until=at, minutes=60),)
    assert undone(sanction(annulled_at=at + SECOND))[0].minutes == 61
    # A warning keeps nobody from anything; what was lifted before was served until then.
    assert undone(sanction(Rung.WARN, annulled_at=at))[0].minutes == 0
    lifted = undone(sanction(lifted_at=T0 + HOUR / 2, annulled_at=at))[0]
    assert (lifted.minutes, lifted.until) == (30, T0 + HOUR / 2)
    assert undone(sanction(annulled_at=T0)) == (Undone(rung=Rung.SUSPEND, since=T0, until=T0, minutes=0),)
    assert undone(sanction()) == ()


def test_when_it_was_undone_is_what_the_row_says() -> None:
    files = history(incident(is_annulled=True), sanction(annulled_at=T0 + 2 * HOUR))
    row = r.StrikeAnnulled(at=T0 + HOUR, strike_id="k_i_1", incident_id="i_1", by="ann", reason="x")
    assert said(files, "s_i_1", records=(row,)).undone_at == T0 + HOUR
    assert said(files, "s_i_1").undone_at == T0 + 2 * HOUR
    assert said(history(incident(is_annulled=True)), at=T0 + 3 * HOUR).undone_at == T0 + 3 * HOUR
    assert said(history(incident(), sanction()), "s_i_1", records=(row,)).undone_at is None


def test_what_a_replay_made_milder_of_other_cases() -> None:
    def milder(file: SanctionFile, at: datetime = T0 + DAY) -> list[tuple[Rung, Rung, datetime | None]]:
        files = history(incident(is_annulled=True), incident("i_2"), file)
        found = said(files, file.imposed.sanction_id, at=at).milder
        return [(x.imposed, x.rung, x.ends_at) for x in found]

    def other(*rows: r.SanctionReplayed, **more: Any) -> SanctionFile:
        return sanction(incident_id="i_2", replayed=rows, **more)

    assert milder(other()) == []
    assert milder(other(replayed(T0 + HOUR, Rung.RESTRICT))) == [(Rung.SUSPEND, Rung.RESTRICT, END)]
    assert milder(other(replayed(T0 + HOUR, Rung.NONE))) == [(Rung.SUSPEND, Rung.NONE, None)]
    # What was over before has nothing left to ease; nor has its own case's anything milder.
    assert milder(other(replayed(END + HOUR, Rung.NONE)), END + DAY) == []
    assert milder(other(replayed(T0 + HOUR, Rung.NONE), lifted_at=T0)) == []
    assert milder(sanction(replayed=(replayed(T0 + HOUR, Rung.RESTRICT),))) == []


def test_case_5_7_03_time_served_in_error_is_the_union_of_what_was_in_force() -> None:
    files = history(
        sanction(Rung.RESTRICT, incident_id="i_1", ends_at=T0 + 2 * HOUR),
        sanction(Rung.SUSPEND, incident_id="i_2", starts_at=T0 + HOUR, ends_at=T0 + 3 * HOUR),
        sanction(Rung.SUSPEND, incident_id="i_3", starts_at=T0 + 5 * HOUR, ends_at=T0 + 6 * HOUR),
        sanction(Rung.WARN, incident_id="i_4"),
    )
    ids = ("s_i_1", "s_i_2", "s_i_3", "s_i_4")

    def served(at: datetime) -> tuple[int, list[int]]:
        found = restitution(files, ids, TERMS, at)
        return found.minutes, [x.minutes for x in found.served]

    assert served(T0 + DAY) == (240, [120, 120, 60])
    assert served(T0 + 90 * SECOND) == (2, [2])
    assert served(T0) == (0, [])
    assert restitution(files, ids, TERMS, T0 + DAY).since == T0
    assert restitution(files, ("s_i_3",), TERMS, T0 + DAY).since == T0 + 5 * HOUR
    assert restitution(files, (), TERMS, T0 + DAY) == restitution(replace(files, sanctions=()), ids, TERMS, T0 + DAY)
    # One that lies within another adds nothing.
    inside = history(
        sanction(incident_id="i_1", ends_at=T0 + 5 * HOUR),
        sanction(incident_id="i_2", starts_at=T0 + HOUR, ends_at=T0 + 2 * HOUR),
    )
    assert restitution(inside, ids, TERMS, T0 + DAY).minutes == 300
