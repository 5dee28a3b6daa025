"""A customer's question has five hours and trouble with mail two; the desk is told at three quarters.  T-AL-2.1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.maintenance import Window
from filterd.agreement.requests import QUESTION, TROUBLE, answer_of
from filterd.errors import FilterdError
from filterd.workers.clocks import ClockWorker
from tests.kit.house import START, letter
from tests.pipeline.people import ANN, Office, open_office

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana")
        await opened.reselling("dana")
        await opened.hire("jiang", role="reseller", dealer="Jiang Ltd")
        await opened.hire("anna", role="tenant_admin", tenant="acme.example")
        yield opened


def clock_job(office: Office) -> ClockWorker:
    return ClockWorker(
        office.engine.submit, lambda: office.rules, lambda: True, steady=lambda: office.clock.now().timestamp()
    )


async def struck(office: Office, job: ClockWorker, after: timedelta) -> list[tuple[str, bool]]:
    office.clock.set(START + after)
    return [(x.clock, x.is_alarm) for x in (await job.run_once(office.clock.now())).struck]


def window(since: datetime, until: datetime) -> Window:
    return Window(window_id="mw_1", since=since, until=until, announced_at=START, is_emergency=False, by="dana")


def test_t_al_2_1_five_hours_for_a_question_two_for_trouble_three_quarters_of_both(office: Office) -> None:
    terms = office.agreements["aliyun-mail"]
    question, trouble = answer_of(QUESTION, START, terms), answer_of(TROUBLE, START, terms)
    assert (question.due_at - START, question.alert_at - START) == (5 * HOUR, 3.75 * HOUR)
    assert (trouble.due_at - START, trouble.alert_at - START) == (2 * HOUR, 1.5 * HOUR)
    # Maintenance stops both; our own hold began before the complaint.
    closed = [window(START + HOUR, START + 3 * HOUR)]
    paused = answer_of(TROUBLE, START, terms, closed)
    assert (paused.due_at - START, paused.alert_at - START) == (4 * HOUR, 3.5 * HOUR)
    held = answer_of(TROUBLE, START, terms, held_at=START - HOUR)
    assert (held.due_at - START, held.alert_at - START) == (HOUR, 0.5 * HOUR)


async def test_the_desk_is_told_at_three_quarters_and_an_alarm_sounds_at_the_end(office: Office) -> None:
    said = await office.act("anna", "request.open", tenant="Acme", kind="question")
    job = clock_job(office)
    assert await struck(office, job, 3.74 * HOUR) == []
    assert await struck(office, job, 3.75 * HOUR) == [("request.three_quarters", True)]
    (told,) = [
        item.payload
        for item, _, _ in office.engine.run(lambda txn: txn.outbox.pending())
        if item.payload.get("event") == "desk_task"
    ]
    assert (told["facts"][0]["task_id"], told["facts"][0]["what"]) == (said["task_id"], "question")
    assert await struck(office, job, 4.9 * HOUR) == []
    assert await struck(office, job, 5 * HOUR) == [("request.overdue", True)]
    assert await struck(office, job, 30 * HOUR) == []
    (row,) = await office.act("jiang", "review.list")
    assert (row["id"], row["overdue"]) == (said["task_id"], True)


async def test_what_was_answered_in_time_is_told_to_nobody(office: Office) -> None:
    said = await office.act("anna", "request.open", tenant="Acme", kind="question", account=ANN)
    await office.act("jiang", "review.close", task=said["task_id"], reason="answered by telephone")
    assert await struck(office, clock_job(office), 40 * HOUR) == []
    assert await office.ledger.call("review.list", {}) == []


async def test_maintenance_announced_since_stops_what_was_left(office: Office) -> None:
    await office.act("anna", "request.open", tenant="Acme", kind="mail_trouble")
    office.clock.advance(1)
    since, until = START + HOUR, START + 6 * HOUR
    await office.act("dana", "maintenance.announce", since=since.isoformat(), until=until.isoformat())
    job = clock_job(office)
    assert await struck(office, job, 6.4 * HOUR) == []
    assert await struck(office, job, 6.5 * HOUR) == [("request.three_quarters", True)]
    assert await struck(office, job, 7 * HOUR) == [("request.overdue", True)]


async def test_trouble_with_mail_we_hold_runs_from_the_hold(office: Office) -> None:
    from filterd.model.session import Envelope

    account = await office.mailbox(ANN)
    office.engine.spool.put("t_1", letter())
    item = office.engine.run(
        lambda txn: txn.hold_mail(
            "t_1", account.account_id, account.tenant_id, "r", Envelope(reverse_path=None), START + 24 * HOUR
        )
    )
    office.clock.advance(hours=1)
    await office.mailbox("alice@cust.example")
    with pytest.raises(FilterdError, match=f"^no held mail {item}$"):
        await office.act("dana", "request.open", tenant="cust.example", kind="mail_trouble", held=item)
    said = await office.act("anna", "request.open", tenant="Acme", kind="mail_trouble", held=item)
    assert datetime.fromisoformat(said["due_at"]) == START + 2 * HOUR


@pytest.mark.parametrize(
    ("who", "given", "says"),
    [
        ("anna", {"kind": "song"}, "kind is one of"),
        ("anna", {"kind": "question", "held": "x"}, "no held mail"),
        ("anna", {"kind": "question", "tenant": "cust.example"}, "only act for the tenants of"),
        ("anna", {"kind": "question", "account": "alice@cust.example"}, "not of this tenant"),
    ],
)
async def test_a_wrong_request_is_refused(office: Office, who: str, given: dict[str, Any], says: str) -> None:
    await office.mailbox("alice@cust.example")
    with pytest.raises(FilterdError, match=says):
        await office.act(who, "request.open", **{"tenant": "Acme", **given})
