"""When does the termination of an enterprise take effect, and what holds it up?  STANDING 5.4 rows 4, 8 and 11, 5.7-3.

tests/pipeline/test_tenant_end.py has the same from outside; here stand the orders in which the stops can come.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from filterd.agreement.cooling_off import cooling_off
from filterd.agreement.due_tenant import TERMINATED, of_tenant_steps
from filterd.agreement.fold import fold
from filterd.agreement.standing import standing_at
from filterd.agreement.tenancy import settle
from filterd.agreement.tenant_steps import running_steps, tenant_limits
from filterd.agreement.tenant_termination import TERMINATE, begun_at, coming, outlook
from filterd.model import records as r
from filterd.model.standing import History, Surroundings
from tests.agreement.contract import shipped
from tests.agreement.test_walks import day

TENANT = "n_1"
TX = shipped()
DECIDED, ENDS = day(0), day(7)
STEP = r.TenantStepTaken(
    at=DECIDED,
    step_id="ts_end",
    decision_id="d_1",
    tenant_id=TENANT,
    step=TERMINATE,
    quota=None,
    starts_at=ENDS,
    ends_at=None,
    score_milli=9000,
    incident_ids=("i_a", "i_b", "i_c"),
    clauses=("3.6", "4.3.1"),
    is_automatic=False,
    by="ana",
    seats=4,
    active_seats=4,
)


def told(at: float, channel: str, **changes: object) -> r.NoticeSent:
    notice = r.NoticeSent(
        at=day(at),
        notice_id=f"m_{channel}",
        account_id="",
        incident_ids=(),
        template="tenant_termination_proposed",
        languages=("en",),
        channel=channel,
        outcome="accepted",
        deemed_at=day(at),
        body_digest="",
    )
    return replace(notice, **changes)


TOLD = (told(0, "tenant"), told(0, "second"))


def charged(name: str, half: int, at: float = -2) -> r.TenantCharged:
    return r.TenantCharged(
        at=day(at),
        tenant_id=TENANT,
        account_id=f"a_{name}",
        incident_id=f"i_{name}",
        half_points=half,
        a_half_points=half,
    )


def noted(at: float, incident_id: str, *, is_open: bool) -> r.TenantAppealNoted:
    return r.TenantAppealNoted(
        at=day(at),
        tenant_id=TENANT,
        account_id="a_x",
        appeal_id=f"p_{incident_id}",
        incident_id=incident_id,
        is_open=is_open,
    )


def filed(at: float) -> r.ObjectionFiled:
    return r.ObjectionFiled(
        at=day(at), appeal_id="p_1", sanction_id="ts_end", incident_id="ts_end", account_id="", channel="mail"
    )


def denied(at: float) -> r.AppealDecided:
    return r.AppealDecided(
        at=day(at), appeal_id="p_1", incident_id="ts_end", outcome="denied", by="bo", reason="stands"
    )


def reopened(at: float) -> r.AppealReopened:
    return r.AppealReopened(at=day(at), appeal_id="p_1", incident_id="ts_end", by="bo", reason="new")


def begins(*rows: r.Record) -> datetime | None:
    return outlook(fold(TENANT, [STEP, *rows]), STEP, TX, day(90)).begins_at


def test_after_the_cooling_off_and_two_channels() -> None:
    assert cooling_off(TX, DECIDED) > DECIDED
    assert begins(*TOLD) == ENDS
    assert begins(told(0, "tenant")) is None
    assert begins(told(0, "tenant"), told(0, "tenant", notice_id="m_again")) is None
    assert begins(told(0, "tenant"), told(9, "second")) == day(9)
    assert begins(told(0, "tenant"), told(0, "second", outcome="failed", deemed_at=None)) is None
    bounced = r.NoticeBounced(
        at=day(1), notice_id="m_second", account_id="", audience="second", status="5.1.1", is_theirs=False
    )
    assert begins(*TOLD, bounced) is None
    # An address the tenant gave wrongly does not stop it (TX-6.2).
    assert begins(*TOLD, replace(bounced, is_theirs=True)) == ENDS


def test_a_notice_of_something_else_is_none_of_it() -> None:
    assert begins(*(replace(x, template="tenant_suspended") for x in TOLD)) is None
    assert begins(*(replace(x, template="termination_proposed") for x in TOLD)) is None


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((filed(2),), None),
        ((filed(2), denied(5)), day(10)),
        ((filed(-3), denied(5)), day(12)),
        ((filed(2), denied(3), reopened(4), denied(6)), day(10)),
        # Once it has taken effect an appeal stops nothing any more.
        ((filed(8),), ENDS),
    ],
)
def test_an_appeal_of_the_tenant_s_side_stops_the_clock(rows: tuple[r.Record, ...], expected: datetime | None) -> None:
    assert begins(*TOLD, *rows) == expected


def test_an_appeal_against_another_step_stops_nothing() -> None:
    """A tenant may contest its quota while its end is decided; only what is against the end holds that up."""
    quota = replace(STEP, step_id="ts_quota", step="quota", quota=200, starts_at=DECIDED, is_automatic=True)
    other = replace(filed(1), sanction_id="ts_quota", incident_id="ts_quota", appeal_id="p_2")
    rows = (quota, *TOLD, other)
    assert begins(*rows) == ENDS
    assert begins(*rows, filed(2)) is None
    # Neither does the answer to the one answer the other.
    assert begins(*rows, filed(2), replace(denied(3), appeal_id="p_2", incident_id="ts_quota")) is None


CHARGES = (charged("a", 12), charged("b", 12), charged("c", 12))


def test_an_appeal_of_an_account_that_could_take_the_score_away_stops_it() -> None:
    # 36 half-points by the root of 4 seats are 9 points; without 12 of them 6, and two accounts are not wide.
    assert begins(*TOLD, *CHARGES, noted(1, "i_a", is_open=True)) is None
    closed = noted(4, "i_a", is_open=False)
    assert begins(*TOLD, *CHARGES, noted(1, "i_a", is_open=True), closed) == day(10)
    history = fold(TENANT, [STEP, *TOLD, *CHARGES, noted(1, "i_a", is_open=True)])
    assert outlook(history, STEP, TX, day(2)).held_up_by == ("appeal_on_points",)


@pytest.mark.parametrize("section", ["tenant", "score"])
def test_an_agreement_without_a_score_has_none_that_an_appeal_could_bring_down(section: str) -> None:
    """Two people may end a tenant's service on a ground of its own; what its accounts did decided nothing."""
    assert TX.tenant is not None
    tenant = None if section == "tenant" else TX.tenant.model_copy(update={"score": None})
    terms = TX.model_copy(update={"tenant": tenant})
    history = fold(TENANT, [STEP, *TOLD, *CHARGES, noted(1, "i_a", is_open=True)])
    seen = outlook(history, STEP, terms, day(2))
    assert (seen.begins_at, seen.held_up_by) == (ENDS, ())
    # With a score the same appeal holds it up.
    assert outlook(history, STEP, TX, day(2)).begins_at is None


def test_an_appeal_that_changes_nothing_stops_nothing() -> None:
    # Three accounts and more than enough points remain.
    rows = (charged("a", 16), charged("b", 16), charged("c", 16), charged("d", 1))
    assert begins(*TOLD, *rows, noted(1, "i_d", is_open=True)) == ENDS
    assert begins(*TOLD, *CHARGES, noted(1, "i_strange", is_open=True)) == ENDS


def test_an_appeal_filed_before_it_was_decided_counts_from_then() -> None:
    assert begins(*TOLD, *CHARGES, noted(-1, "i_a", is_open=True), noted(3, "i_a", is_open=False)) == day(10)


def test_a_lock_and_an_open_registration_stop_it() -> None:
    lock = r.TenantLocked(at=day(1), lock_id="tl_1", tenant_id=TENANT, until=day(1.5), by="cy", reason="now")
    assert begins(*TOLD, lock) == day(7.5)
    confirmed = r.TenantLockConfirmed(at=day(1.2), lock_id="tl_1", tenant_id=TENANT, by="di", until=None)
    assert begins(*TOLD, lock, confirmed) is None
    opened = r.TenantUnlocked(at=day(3), lock_id="tl_1", tenant_id=TENANT, by="di", reason="over")
    assert begins(*TOLD, lock, confirmed, opened) == day(9)
    match = r.RegistrationMatched(
        at=day(2), match_id="rm_1", tenant_id=TENANT, file_ids=(), matched_tenant_ids=(), kinds=(), clauses=()
    )
    settled = r.RegistrationSettled(
        at=day(4), match_id="rm_1", tenant_id=TENANT, outcome="dismissed", by="bo", reason="no"
    )
    assert begins(*TOLD, match) is None
    assert begins(*TOLD, match, settled) == day(9)


def test_standing_knows_it_from_then_on_and_not_before() -> None:
    history = fold(TENANT, [STEP, *TOLD])
    for at, limits in ((day(6.9), 0), (day(7), 1), (day(300), 1)):
        assert len(tenant_limits(history, TX, at)) == limits
        around = Surroundings(tenant=history)
        assert standing_at(History(account_id="a_1"), TX, at, around).may_send is (limits == 0)
    untold = fold(TENANT, [STEP])
    assert tenant_limits(untold, TX, day(300)) == ()
    assert [x.step_id for x, _ in coming(untold, TX, day(300))] == ["ts_end"]
    assert coming(history, TX, day(8)) == ()


def test_whatever_ends_it_ends_it_at_once() -> None:
    for because in ("vetoed", "annulled", "reinstated"):
        over = r.TenantStepEnded(
            at=day(9), step_id="ts_end", tenant_id=TENANT, because=because, by="bo", reason="so"
        )
        history = fold(TENANT, [STEP, *TOLD, over])
        assert len(running_steps(history, TX, day(8))) == 1
        assert running_steps(history, TX, day(9)) == ()


def test_it_becomes_known_once_at_the_instant_it_takes_effect() -> None:
    history = fold(TENANT, [STEP, told(0, "tenant"), told(9, "second")])
    assert of_tenant_steps(history, TX, day(8), since=day(-9)) == ()
    (due,) = of_tenant_steps(history, TX, day(12), since=day(-9))
    assert (due.clock, due.due_at, due.event) == (TERMINATED, day(9), "tenant_terminated")
    struck = r.ClockStruck(
        at=day(12), clock=due.clock, subject_id=TENANT, object_id=due.object_id, due_at=due.due_at
    )
    assert of_tenant_steps(fold(TENANT, [STEP, *TOLD, struck]), TX, day(12), since=day(-9)) == ()


def test_an_appeal_that_nobody_decides_alarms_and_one_in_time_does_not() -> None:
    open_one = fold(TENANT, [STEP, *TOLD, filed(1)])
    assert of_tenant_steps(open_one, TX, day(7.9), since=day(-9)) == ()
    (due,) = of_tenant_steps(open_one, TX, day(8), since=day(-9))
    assert (due.clock, due.is_alarm) == ("appeal.overdue", True)
    clocks = [x.clock for x in of_tenant_steps(fold(TENANT, [STEP, filed(1), denied(3)]), TX, day(30), since=day(-9))]
    assert clocks == []
    again = fold(TENANT, [STEP, filed(1), denied(3), reopened(4)])
    assert [x.due_at for x in of_tenant_steps(again, TX, day(30), since=day(-9))] == [day(11)]


def test_what_it_rests_on_is_annulled_and_people_look_again_also_before_it_begins() -> None:
    """STANDING 5.7-3: what people decided is not lifted silently."""
    account = fold(
        "a_a",
        [
            r.IncidentOpened(
                at=day(-2),
                incident_id="i_a",
                account_id="a_a",
                tenant_id=TENANT,
                family="spam",
                evidence_key="e",
                is_after_notice=False,
                is_first=True,
            ),
            r.StrikeAnnulled(at=day(1), strike_id="k_1", incident_id="i_a", by="bo", reason="ours"),
        ],
    )
    for at in (day(1), day(20)):
        around = Surroundings(tenant=fold(TENANT, [*CHARGES, STEP, *TOLD]), seats=4, active_seats=4)
        rows = settle(account, around, TX, TENANT, at)
        assert [x.what for x in rows if isinstance(x, r.TaskOpened)] == ["tenant.reassess"]
        assert not any(isinstance(x, r.TenantStepEnded) for x in rows)


def test_begun_at_says_the_instant_it_really_had() -> None:
    history = fold(TENANT, [STEP, *TOLD, filed(2), denied(5)])
    assert begun_at(history, STEP, TX, day(9)) is None
    assert begun_at(history, STEP, TX, day(30)) == day(10)
