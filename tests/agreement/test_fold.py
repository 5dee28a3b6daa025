"""What a bounced notice takes back, and what is written twice.  STANDING 5.2, 5.3; TX-6.2."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from filterd.agreement.fold import MAX_LINKS, fold
from filterd.model import records as r
from filterd.model.sanction import Rung

START = datetime(2026, 3, 2, tzinfo=UTC)


def hour(number: float) -> datetime:
    return START + timedelta(hours=number)


def opened(name: str) -> r.IncidentOpened:
    return r.IncidentOpened(
        at=START,
        incident_id=name,
        account_id="a_1",
        tenant_id="n_1",
        family="spam",
        evidence_key="e_1",
        is_after_notice=False,
        is_first=True,
        is_in_probation=False,
    )


def sent(at: float, notice_id: str = "m_1", **changes: Any) -> r.NoticeSent:
    notice = r.NoticeSent(
        at=hour(at),
        notice_id=notice_id,
        account_id="a_1",
        incident_ids=("i_1",),
        template="warning",
        languages=("en",),
        channel="account",
        outcome="accepted",
        deemed_at=hour(at),
        body_digest="",
    )
    return replace(notice, **changes)


def bounced(notice_id: str = "m_1", channel: str = "account", *, is_theirs: bool = False) -> r.NoticeBounced:
    return r.NoticeBounced(
        at=hour(50), notice_id=notice_id, account_id="a_1", audience=channel, status="5.1.1", is_theirs=is_theirs
    )


# (notices and what came back, the hours at which the incident counts as noticed)
NOTICES: list[tuple[str, tuple[r.Record, ...], list[float]]] = [
    ("one", (sent(1),), [1]),
    ("two", (sent(1), sent(3, "m_2")), [1, 3]),
    ("its address is wrong, and that is the tenant's matter", (sent(1), bounced(is_theirs=True)), [1]),
    ("its only channel failed", (sent(1), bounced()), []),
    ("another notice failed", (sent(1), sent(3, "m_2"), bounced("m_2")), [1]),
    ("the first of two failed", (sent(1), sent(3, "m_2"), bounced("m_1")), [3]),
    (
        "one of two channels failed, and the other counts from its own time",
        (sent(2, channel="account+tenant", deemed_at=hour(1)), bounced()),
        [2],
    ),
    (
        "beside one that did not fail, which keeps its deemed time",
        (sent(2, deemed_at=hour(1)), sent(4, "m_2", channel="account+tenant", deemed_at=hour(3)), bounced("m_2")),
        [1, 4],
    ),
    (
        "both channels failed",
        (sent(2, channel="account+tenant", deemed_at=hour(1)), bounced(), bounced(channel="tenant")),
        [],
    ),
    ("nobody accepted it", (sent(1, deemed_at=None, outcome="failed"),), []),
    ("nobody accepted it, and another failed", (sent(1, deemed_at=None), sent(3, "m_2"), bounced("m_2")), []),
    ("an acknowledgement is no warning", (sent(1, template="appeal_received"),), []),
    ("a renewal is no warning, and a bounce does not make it one", (sent(1, template="renewal_due"), bounced()), []),
    (
        "a renewal beside a warning that failed",
        (sent(1, template="renewal_due"), sent(3, "m_2"), bounced("m_2")),
        [],
    ),
    ("merged with a suspension", (sent(1, template="hold+suspension"),), [1]),
    ("of another incident", (sent(1, incident_ids=("i_2",)),), []),
    ("of another incident, and that one failed", (sent(1), sent(3, "m_2", incident_ids=("i_2",)), bounced("m_2")), [1]),
]


@pytest.mark.parametrize(("records", "noticed"), [n[1:] for n in NOTICES], ids=[n[0] for n in NOTICES])
def test_case_tx_6_2_a_warning_counts_as_received_unless_every_channel_failed_by_our_fault(
    records: tuple[r.Record, ...], noticed: list[float]
) -> None:
    first, second = fold("a_1", (opened("i_1"), opened("i_2"), *records)).incidents
    assert first.notices == tuple(hour(number) for number in noticed)
    assert first.noticed_at == (hour(noticed[0]) if noticed else None)
    assert second.opened.incident_id == "i_2"


IMPOSED = r.SanctionImposed(
    at=START,
    sanction_id="s_1",
    incident_id="i_1",
    decision_id="d_1",
    account_id="a_1",
    rung=Rung.SUSPEND,
    step=3,
    features=(),
    category="malware",
    clauses=(),
    starts_at=START,
    ends_at=None,
    lapses_at=None,
    step_down_features=(),
    is_automatic=True,
    by="system",
    warranted=Rung.SUSPEND,
)


def _confirmed(at: float) -> r.Record:
    return r.SanctionConfirmed(at=hour(at), sanction_id="s_1", incident_id="i_1", by="ana", reason="x")


def _lifted(at: float) -> r.Record:
    return r.SanctionLifted(at=hour(at), sanction_id="s_1", incident_id="i_1", by="ana", reason="x")


def _objected(at: float) -> r.Record:
    return r.ObjectionFiled(
        at=hour(at), appeal_id=f"p_{at}", sanction_id="s_1", incident_id="i_1", account_id="a_1", channel="mail"
    )


def _answered(at: float) -> r.Record:
    return r.ObjectionAnswered(at=hour(at), appeal_id="p_1", sanction_id="s_1", by="ana")


@pytest.mark.parametrize(
    ("act", "field"),
    [
        (_confirmed, "confirmed_at"),
        (_lifted, "lifted_at"),
        (_objected, "objected_at"),
        (_answered, "answered_at"),
    ],
)
def test_what_is_done_to_a_sanction_twice_was_done_the_first_time(act: Any, field: str) -> None:
    other = replace(IMPOSED, sanction_id="s_2")
    first, second = fold("a_1", (opened("i_1"), IMPOSED, other, act(1), act(2))).sanctions
    assert getattr(first, field) == hour(1)
    assert getattr(second, field) is None
    assert second.appeal_id is None


def test_an_annulled_incident_takes_its_own_sanctions_and_holds_and_no_others() -> None:
    hold = r.HoldPlaced(
        at=START,
        hold_id="h_1",
        incident_id="i_1",
        account_id="a_1",
        features=(),
        starts_at=START,
        ends_at=None,
    )
    others = (replace(IMPOSED, sanction_id="s_2", incident_id="i_2"), replace(hold, hold_id="h_2", incident_id="i_2"))
    annulled = r.StrikeAnnulled(at=hour(1), strike_id="k_1", incident_id="i_1", by="ana", reason="error")
    found = fold("a_1", (opened("i_1"), opened("i_2"), IMPOSED, hold, *others, annulled, replace(annulled, at=hour(2))))
    assert [i.is_annulled for i in found.incidents] == [True, False]
    assert [s.annulled_at for s in found.sanctions] == [hour(1), None]
    assert [end for _, end in found.holds] == [hour(1), None]


def test_an_excuse_ends_what_the_machine_imposed_and_leaves_what_a_person_did() -> None:
    by_person = replace(IMPOSED, sanction_id="s_2", is_automatic=False, by="ana")
    elsewhere = replace(IMPOSED, sanction_id="s_3", incident_id="i_2")
    excused = r.StrikeExcused(at=hour(1), strike_id="k_1", incident_id="i_1", attestation_id="at_1", by="ana")
    rows = (opened("i_1"), opened("i_2"), IMPOSED, by_person, elsewhere, excused, replace(excused, at=hour(2)))
    found = fold("a_1", rows)
    assert [i.excused_at for i in found.incidents] == [hour(1), None]
    assert [s.annulled_at for s in found.sanctions] == [hour(1), None, None]


def test_a_hold_that_was_released_stays_released_at_its_first_instant() -> None:
    hold = r.HoldPlaced(
        at=START, hold_id="h_1", incident_id="", account_id="a_1", features=(), starts_at=START, ends_at=None
    )
    released = r.HoldReleased(at=hour(1), hold_id="h_1", by="ana", reason="x")
    found = fold("a_1", (hold, replace(hold, hold_id="h_2"), released, replace(released, at=hour(2))))
    assert [end for _, end in found.holds] == [hour(1), None]


def test_of_a_long_run_the_first_marks_are_kept_and_every_message_counts() -> None:
    messages = [
        r.ViolationRecorded(
            at=hour(0),
            incident_id="i_1",
            decision_id=f"d_{n}",
            transaction_id=f"t_{n}",
            evidence_key=f"e_{n}",
            text_fp=f"x_{n}",
            violations=(),
            delivery_keys=(f"k_{n}", f"l_{n}"),
            policy_digest="",
        )
        for n in range(MAX_LINKS)
    ]
    (incident,) = fold("a_1", (opened("i_1"), *messages)).incidents
    half = MAX_LINKS // 2
    assert incident.links == {f"{kind}_{n}" for kind in "ex" for n in range(half)}
    assert (incident.message_count, incident.delivery_count) == (MAX_LINKS, 2 * MAX_LINKS)


def test_the_task_of_a_request_is_kept_and_that_of_a_case_is_its_incidents() -> None:
    said: dict[str, Any] = {
        "at": START,
        "incident_id": "i_1",
        "account_id": "a_1",
        "warranted": "none",
        "imposed": "none",
        "due_at": hour(2),
    }
    request = r.TaskOpened(task_id="w_1", what="question", alert_at=hour(1), **said)
    case = r.TaskOpened(task_id="w_2", what="review", **said)
    found = fold("a_1", [opened("i_1"), request, case])
    assert found.of(r.TaskOpened) == (request,)
    assert [i.tasks for i in found.incidents] == [frozenset({"w_2"})]
