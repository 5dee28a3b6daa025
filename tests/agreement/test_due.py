"""What a clock tells of, with its facts, and what it keeps to itself.  STANDING 5.4 row 5, 5.6, 5.7-14, 5.7-16."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from filterd.agreement.clocks import relooks as times_due
from filterd.agreement.due import Due, of_account
from filterd.agreement.due_service import of_deletion, of_service
from filterd.agreement.due_tenant import of_tenant_steps
from filterd.agreement.maintenance import Window, window_at, windows
from filterd.model import records as r
from filterd.model.evidence import Freeze
from filterd.model.sanction import Rung
from filterd.model.standing import History, SanctionFile
from tests.agreement.contract import shipped
from tests.agreement.mutants import shipped as agreement
from tests.agreement.rows import BULK, DAY, HOUR, LINKS, SECOND, T0, history, hold, objection, replayed, sanction

TERMS = shipped()
END = T0 + 7 * DAY


def struck(file: History, at: datetime, *clocks: str, since: datetime = T0) -> list[Due]:
    found = of_account(file, TERMS, at, since=since)
    return [x for x in found if not clocks or x.clock in clocks]


def names(file: History, at: datetime) -> list[tuple[str, datetime]]:
    return [(x.clock, x.due_at) for x in struck(file, at)]


CONFIRMED: dict[str, Any] = {"confirmed_at": T0}


# --- the end of a sanction --------------------------------------------------------------------------------------------


def test_case_5_4_05_the_end_of_a_suspension_says_until_when_probation_runs() -> None:
    (found,) = struck(history(sanction(**CONFIRMED)), END)
    assert (found.clock, found.event, found.due_at) == ("sanction.expired", "sanction_expired", END)
    assert found.struck == ("sanction.expired", f"s_i_1@{END.isoformat()}")
    assert (found.subject_id, found.is_alarm, found.task) == ("a_1", False, None)
    assert found.facts == {
        "incident_id": "i_1",
        "sanction_id": "s_i_1",
        "at": END,
        "rung": "suspend",
        "probation_until": END + 30 * DAY,
    }


def test_case_5_4_05_the_end_of_a_restriction_begins_no_probation() -> None:
    (found,) = struck(history(sanction(Rung.RESTRICT, **CONFIRMED)), END)
    assert (found.facts["rung"], found.facts["probation_until"]) == ("restrict", None)
    # Nor does it while another one's probation runs.
    both = history(sanction(Rung.RESTRICT, **CONFIRMED), sanction(incident_id="i_2", ends_at=END - DAY, **CONFIRMED))
    said = {x.facts["rung"]: x.facts["probation_until"] for x in struck(both, END)}
    assert said == {"suspend": END + 29 * DAY, "restrict": None}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lapses_at": T0 + 3 * DAY}, ("sanction.lapsed", "sanction_lapsed", T0 + 3 * DAY)),
        ({"lapses_at": END}, ("sanction.expired", "sanction_expired", END)),
        ({"lapses_at": T0 + 3 * DAY, "ends_at": None}, ("sanction.lapsed", "sanction_lapsed", T0 + 3 * DAY)),
        ({"lapses_at": T0 + 3 * DAY, **CONFIRMED}, ("sanction.expired", "sanction_expired", END)),
    ],
    ids=["a lapse", "a lapse at its end", "open-ended", "confirmed"],
)
def test_case_5_4_05_whether_it_lapsed_or_ran_out(changes: dict[str, Any], expected: tuple[str, str, datetime]) -> None:
    (found,) = struck(history(sanction(**changes)), END, "sanction.lapsed", "sanction.expired")
    assert (found.clock, found.event, found.due_at) == expected
    assert found.facts["rung"] == "suspend"


def test_case_5_6_a_step_down_says_from_what_to_what_and_until_when() -> None:
    (found,) = struck(history(sanction(objected_at=T0)), T0 + DAY, "sanction.stepped_down")
    assert found.facts == {
        "incident_id": "i_1",
        "sanction_id": "s_i_1",
        "at": T0 + DAY,
        "from_rung": "suspend",
        "to_rung": "restrict",
        "until": END,
        "features": ("links",),
    }
    assert found.event == "stepped_down"
    # A restriction steps down to a warning, with nothing off and no end of its own.
    (found,) = struck(history(sanction(Rung.RESTRICT, objected_at=T0)), T0 + DAY, "sanction.stepped_down")
    assert (found.facts["to_rung"], found.facts["until"], found.facts["features"]) == ("warn", None, ())


@pytest.mark.parametrize(
    "file",
    [
        sanction(lifted_at=T0 + DAY, **CONFIRMED),
        sanction(annulled_at=T0 + DAY, **CONFIRMED),
        sanction(replayed=(replayed(T0 + DAY, Rung.NONE),), **CONFIRMED),
        # Lifted in the instant of its end, and as it began.
        sanction(lifted_at=END, **CONFIRMED),
        sanction(lifted_at=T0, **CONFIRMED),
        sanction(ends_at=None, **CONFIRMED),
    ],
    ids=["lifted", "annulled", "replayed", "lifted at its end", "lifted at once", "open-ended"],
)
def test_what_people_ended_and_what_has_no_end_is_not_told_by_the_clock(file: SanctionFile) -> None:
    assert struck(history(file), END, "sanction.expired", "sanction.lapsed", "sanction.stepped_down") == []


def test_what_a_replay_made_milder_still_runs_out() -> None:
    file = sanction(replayed=(replayed(T0 + DAY, Rung.RESTRICT, ends_at=T0 + 2 * DAY),), **CONFIRMED)
    (found,) = struck(history(file), END)
    assert (found.clock, found.due_at, found.facts["rung"]) == ("sanction.expired", T0 + 2 * DAY, "restrict")


def test_clocks_strike_in_the_order_of_time_and_those_from_before_not_at_all() -> None:
    files = history(
        sanction(incident_id="i_1", ends_at=T0 + 5 * DAY, **CONFIRMED),
        sanction(Rung.RESTRICT, incident_id="i_2", ends_at=T0 + 2 * DAY, **CONFIRMED),
    )
    assert [at for _, at in names(files, END)] == [T0 + 2 * DAY, T0 + 5 * DAY]
    assert [x.due_at for x in struck(files, END, since=T0 + 2 * DAY)] == [T0 + 2 * DAY, T0 + 5 * DAY]
    assert [x.due_at for x in struck(files, END, since=T0 + 2 * DAY + SECOND)] == [T0 + 5 * DAY]
    assert [x.due_at for x in struck(files, T0 + 5 * DAY - SECOND)] == [T0 + 2 * DAY]


# --- what people owe --------------------------------------------------------------------------------------------------


def test_an_objection_to_what_a_person_decided_alarms_when_nobody_decides() -> None:
    by_person = sanction(is_automatic=False, objected_at=T0)
    (found,) = struck(history(by_person), T0 + DAY, "appeal.overdue")
    assert (found.due_at, found.is_alarm, found.event, found.object_id) == (
        T0 + DAY,
        True,
        None,
        f"s_i_1@{(T0 + DAY).isoformat()}",
    )
    for quiet in (
        sanction(objected_at=T0),
        sanction(is_automatic=False),
        sanction(is_automatic=False, objected_at=T0, answered_at=T0 + DAY - SECOND),
        sanction(is_automatic=False, objected_at=T0, annulled_at=T0 + HOUR),
        sanction(objected_at=T0, confirmed_at=T0 + SECOND),
    ):
        assert struck(history(quiet), END, "appeal.overdue") == []
    assert struck(history(sanction(objected_at=T0, confirmed_at=T0)), END, "appeal.overdue") != []


@pytest.mark.parametrize(
    ("file", "is_owed"),
    [
        (sanction(), True),
        (sanction(Rung.RESTRICT), True),
        (sanction(Rung.WARN), False),
        (sanction(is_automatic=False), False),
        (sanction(confirmed_at=T0 + HOUR), False),
        (sanction(answered_at=T0 + HOUR), False),
        # What is over needs no review any more.
        (sanction(ends_at=T0 + DAY), False),
        (sanction(ends_at=T0 + DAY + SECOND), True),
    ],
)
def test_a_review_of_an_automatic_sanction_is_owed_within_a_day(file: SanctionFile, is_owed: bool) -> None:
    found = struck(history(file), T0 + DAY, "review.overdue")
    assert [(x.object_id, x.due_at, x.is_alarm, x.event) for x in found] == (
        [("s_i_1", T0 + DAY, True, None)] if is_owed else []
    )
    assert struck(history(file), T0 + DAY - SECOND, "review.overdue") == []


def relooks(file: SanctionFile, at: datetime) -> list[tuple[str, datetime]]:
    return [(x.object_id, x.due_at) for x in struck(history(file), at, "suspension.relook")]


def test_a_relook_is_due_when_its_whole_days_are_over_however_few() -> None:
    lifecycle = TERMS.lifecycle
    assert lifecycle is not None
    daily = TERMS.model_copy(update={"lifecycle": lifecycle.model_copy(update={"relook_days": 1})})
    assert [times_due(sanction(), T0 + n * DAY, daily) for n in range(4)] == [0, 0, 1, 2]


def test_case_5_11_a_person_looks_again_at_an_open_ended_suspension_every_thirty_days() -> None:
    file = sanction(ends_at=None, **CONFIRMED)
    # T0 is 08:00 of 2 March in Shanghai; the thirtieth day after it is over at 24:00 of 1 April.
    first = datetime(2026, 4, 1, 16, tzinfo=T0.tzinfo)
    assert relooks(file, first - SECOND) == []
    assert relooks(file, first) == [("s_i_1#1", first)]
    assert relooks(file, first + 30 * DAY - SECOND) == [("s_i_1#1", first)]
    assert relooks(file, first + 30 * DAY) == [("s_i_1#2", first + 30 * DAY)]
    for other in (sanction(**CONFIRMED), sanction(Rung.RESTRICT, ends_at=None, **CONFIRMED)):
        assert relooks(other, first) == []
    (found,) = struck(history(file), first, "suspension.relook")
    task = found.task
    assert task is not None
    assert (task.warranted, task.imposed, task.due_at, task.incident_id) == (
        "suspend",
        "suspend",
        first + DAY,
        "i_1",
    )


def test_an_agreement_without_clocks_asks_nobody_to_look_again() -> None:
    terms = TERMS.model_copy(update={"lifecycle": None})
    assert of_account(history(sanction(ends_at=None, **CONFIRMED)), terms, T0 + 90 * DAY, since=T0) == ()


# --- holds ------------------------------------------------------------------------------------------------------------


def test_the_end_of_a_hold_is_told_once() -> None:
    (found,) = struck(history(hold(ends_at=T0 + DAY)), END)
    assert (found.clock, found.event, found.due_at) == ("hold.ended", "protection_ended", T0 + DAY)
    assert found.facts == {
        "hold_id": "h_1",
        "at": T0 + DAY,
        "because": "expired",
        "watch_until": None,
        "watch_features": (),
    }
    (found,) = struck(history(hold(ends_at=T0 + DAY, features=(LINKS,))), END)


@pytest.mark.parametrize(("released_at", "is_told"), [(T0 + DAY + SECOND, True), (T0 + DAY, False), (T0, False)])
def test_the_end_of_a_hold_that_a_person_released_before_is_not_told(released_at: datetime, is_told: bool) -> None:
    file = replace(history(), holds=((hold(ends_at=T0 + DAY), released_at),))
    assert bool(struck(file, END)) is is_told


def test_case_5_7_14_of_weeks_that_nobody_told_of_only_the_last_is() -> None:
    file = history(hold(features=(BULK, LINKS)))
    assert struck(file, T0 + 7 * DAY - SECOND) == []
    (first,) = struck(file, T0 + 7 * DAY)
    assert (first.object_id, first.due_at, first.event) == ("h_1#1", T0 + 7 * DAY, "security_hold")
    assert first.facts == {
        "hold_id": "h_1",
        "because": "indicators",
        "starts_at": T0,
        "ends_at": None,
        "features": ("bulk", "links"),
        "is_reminder": True,
    }
    (third,) = struck(file, T0 + 22 * DAY)
    assert (third.object_id, third.due_at) == ("h_1#3", T0 + 21 * DAY)


def test_an_objection_to_a_hold_alarms_when_nobody_answers() -> None:
    file = history(hold(), further=(objection(T0 + HOUR, "h_1"),))
    (found,) = struck(file, T0 + 25 * HOUR)
    assert (found.clock, found.due_at, found.is_alarm) == ("hold.objection_unanswered", T0 + 25 * HOUR, True)
    assert struck(file, T0 + 25 * HOUR - SECOND) == []
    # One that is over does not hide another.
    two = replace(file, holds=((hold("h_0"), T0 + HOUR), *file.holds))
    assert [x.clock for x in struck(two, T0 + 25 * HOUR)] == ["hold.objection_unanswered"]


# --- a tenant ---------------------------------------------------------------------------------------------------------


def step(name: str = "quota", ends_at: datetime | None = T0 + 3 * DAY) -> r.TenantStepTaken:
    return r.TenantStepTaken(
        at=T0,
        step_id=f"ts_{name}",
        decision_id="d_1",
        tenant_id="n_1",
        step=name,
        quota=None,
        starts_at=T0,
        ends_at=ends_at,
        score_milli=0,
        incident_ids=(),
        clauses=("3.6",),
        is_automatic=True,
        by="system",
    )


def ended(at: datetime, name: str = "quota") -> r.TenantStepEnded:
    return r.TenantStepEnded(at=at, step_id=f"ts_{name}", tenant_id="n_1", because="lifted", by="mei", reason="x")


def of_tenant(*rows: r.Record, at: datetime = T0 + 3 * DAY) -> list[tuple[str, datetime]]:
    return [(x.clock, x.due_at) for x in of_tenant_steps(history(further=rows), TERMS, at, since=T0)]


def test_the_end_of_a_step_against_a_tenant_is_told_where_time_brought_it() -> None:
    over = [("tenant_step.ended", T0 + 3 * DAY)]
    assert of_tenant(step()) == over
    assert of_tenant(step(), at=T0 + 3 * DAY - SECOND) == []
    assert of_tenant(step(), ended(T0 + 3 * DAY)) == over
    assert of_tenant(step(), ended(T0 + 3 * DAY - SECOND)) == []
    # A step without an end, a proposal, and what ended before, hide none that has one.
    assert of_tenant(step("warn", None), step("propose"), step("suspend"), ended(T0, "suspend"), step()) == over


def test_a_lock_that_nobody_confirmed_opens_and_that_is_told() -> None:
    lock = r.TenantLocked(at=T0, lock_id="tl_1", tenant_id="n_1", until=T0 + 4 * HOUR, by="mei", reason="x")
    confirmed = r.TenantLockConfirmed(at=T0, lock_id="tl_1", tenant_id="n_1", by="bo", until=None)
    opened = r.TenantUnlocked(at=T0, lock_id="tl_1", tenant_id="n_1", by="bo", reason="x")
    assert of_tenant(lock) == [("tenant_lock.opened", T0 + 4 * HOUR)]
    assert [of_tenant(lock, confirmed), of_tenant(lock, opened)] == [[], []]


# --- a service --------------------------------------------------------------------------------------------------------


def test_an_agreement_without_clocks_tells_of_no_service_and_deletes_nothing() -> None:
    terms = TERMS.model_copy(update={"lifecycle": None})
    at = T0 + 900 * DAY
    assert of_service(history(), date(2026, 3, 5), terms, at) == ()
    assert of_deletion(history(), date(2026, 3, 5), Freeze(appeals=(), holds=()), terms, at) == ((), None)


def test_who_is_deleted_hears_of_nothing() -> None:
    gone = r.SubjectPurged(
        at=T0,
        subject_id="a_1",
        clock="service.over",
        proposal_id="pr_1",
        by="ann",
        approver="bo",
        evidence=0,
        held_mails=0,
    )
    for name in ("tencent-exmail", "aliyun-mail"):
        file = history(further=(gone,))
        assert of_service(file, date(2026, 3, 5), agreement(name), T0 + 90 * DAY) == ()


@pytest.mark.parametrize("name", ["tencent-exmail", "aliyun-mail"])
def test_t_al_2_2_the_renewal_notice_and_the_end_of_the_service_say_their_days(name: str) -> None:
    terms, last = agreement(name), date(2026, 4, 10)
    found = of_service(history(), last, terms, terms.calendar.end_of(last))
    said = {x.clock: x.facts for x in found}
    keep = terms.lifecycle.keep_days if terms.lifecycle is not None else 0
    kept = terms.calendar.last_day(last, keep, moves=True)
    tables: dict[str, dict[str, dict[str, object]]] = {
        "aliyun-mail": {
            "renewal.due": {"expires_on": last, "kept_until": kept},
            "service.stopped": {"stopped_on": last, "kept_until": kept},
        },
        "tencent-exmail": {
            "service.ended": {"because": "expiry", "ended_on": last, "cleared_from": kept + timedelta(days=1)}
        },
    }
    assert set(said) == set(tables[name])
    assert all(facts.items() <= said[clock].items() for clock, facts in tables[name].items())


# --- maintenance ------------------------------------------------------------------------------------------------------


def test_without_a_site_there_is_no_maintenance() -> None:
    assert windows(None) == ()
    assert window_at(None, T0) is None


def test_of_windows_that_overlap_the_one_that_ends_last_counts() -> None:
    def announced(name: str, since: float, until: float) -> r.MaintenanceAnnounced:
        return r.MaintenanceAnnounced(
            at=T0 - DAY,
            window_id=name,
            since=T0 + since * HOUR,
            until=T0 + until * HOUR,
            announced_at=T0 - DAY,
            is_emergency=False,
            by="mei",
        )

    def over(name: str, at: float) -> r.MaintenanceEnded:
        return r.MaintenanceEnded(at=T0 + at * HOUR, window_id=name, by="mei")

    def open_at(hours: float, *rows: r.Record) -> str | None:
        found: Window | None = window_at(history(further=rows), T0 + hours * HOUR)
        return None if found is None else found.window_id

    both = (announced("w_1", 0, 4), announced("w_2", 1, 3))
    assert [open_at(h, *both) for h in (-0.1, 0, 2, 3, 3.9, 4)] == [None, "w_1", "w_1", "w_1", "w_1", None]
    # Ended sooner, it is over sooner; the first word counts, and one called off before it began was none.
    assert [open_at(h, *both, over("w_1", 2), over("w_1", 4)) for h in (1.9, 2, 3)] == ["w_2", "w_2", None]
    assert open_at(0, both[0], over("w_1", 0)) is None
    assert [w.window_id for w in windows(history(further=(*reversed(both), over("w_2", 1))))] == ["w_1"]
