"""What waits for a person: in order, taken in hand, decided about, closed, handed back.  STANDING 5.3, 5.5, 5.11."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from tests.pipeline.people import ALICE, Office, open_office

pytestmark = pytest.mark.slow

CAROL = "carol@cust.example"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin", "fritz")
        yield opened


async def tasked(office: Office, login: str = ALICE) -> str:
    """Have an account warrant more than automation may do; say the task."""
    await office.spread(login, subject=f"1 {login}")
    await office.notice_received()
    office.clock.advance(days=2)
    await office.spread(login, subject=f"2 {login}")
    mine = [row for row in await office.ledger.call("review.list", {}) if row["login"] == login]
    (task,) = [row for row in mine if row["kind"] == "task"][-1:]
    return str(task["id"])


async def open_ids(office: Office) -> list[str]:
    return [row["id"] for row in await office.ledger.call("review.list", {}) if row["kind"] == "task"]


async def opened(office: Office, login: str, what: str, hours: int) -> str:
    """Put a task of its own on record, as a restore does."""
    account = await office.mailbox(login)
    task = r.TaskOpened(
        at=office.clock.now(),
        task_id=f"w_{what[:2]}{hours}",
        incident_id=f"i_{what[:2]}{hours}",
        account_id=account.account_id,
        what=what,
        warranted="none",
        imposed="none",
        due_at=office.clock.now() + timedelta(hours=hours),
    )
    office.engine.run(lambda txn: txn.append(task, account_id=account.account_id, tenant_id=account.tenant_id))
    return task.task_id


async def test_urgent_first_then_late_then_by_when_it_is_due(office: Office) -> None:
    late = await opened(office, ALICE, "restored: see", 1)
    office.clock.advance(hours=2)
    later = await opened(office, ALICE, "review", 30)
    soon = await opened(office, CAROL, "review", 20)
    urgent = await opened(office, CAROL, "S4: a report", 1)
    rows = await office.ledger.call("review.list", {})
    assert [row["id"] for row in rows] == [urgent, late, soon, later]
    assert [row["overdue"] for row in rows] == [False, True, False, False]


async def test_taken_in_hand_it_is_nobody_elses_until_the_time_is_over(office: Office) -> None:
    task = await tasked(office)
    said = await office.act("dana", "review.claim", task=task)
    assert (said["claimed_by"], said["claimed_until"]) == ("dana", "2026-03-04T02:02:00Z")
    for verb, more in (
        ("review.claim", {}),
        ("review.close", {"reason": "r"}),
        ("review.decide", {"decision": "confirm", "reason": "r"}),
    ):
        with pytest.raises(RefusedError, match="dana has it in hand"):
            await office.act("erin", verb, task=task, **more)
    assert [row["id"] for row in await office.act("dana", "review.list", mine=True)] == [task]
    assert await office.act("erin", "review.list", mine=True) == []
    office.clock.advance(hours=1)
    assert (await office.act("erin", "review.claim", task=task))["claimed_by"] == "erin"


async def test_handed_back_it_is_anybodys(office: Office) -> None:
    task = await tasked(office)
    await office.act("dana", "review.claim", task=task)
    with pytest.raises(RefusedError, match="does not have it in hand"):
        await office.act("erin", "review.hand_back", task=task)
    assert (await office.act("dana", "review.hand_back", task=task))["claimed_by"] is None
    assert task in await open_ids(office)
    await office.act("erin", "review.claim", task=task)


@pytest.mark.parametrize(
    ("decision", "standing", "kind"),
    [
        ("confirm", "restricted", r.SanctionConfirmed),
        ("lift", "warned", r.SanctionLifted),
        ("annul", "warned", r.StrikeAnnulled),
    ],
)
async def test_deciding_acts_on_the_sanction_and_closes_the_task(
    office: Office, decision: str, standing: str, kind: type[Any]
) -> None:
    task = await tasked(office)
    said = await office.act("dana", "review.decide", task=task, decision=decision, reason="looked at it")
    assert (said["standing"], said["decision"]) == (standing, decision)
    records = office.records(said["account_id"])
    (done,) = [x for x in records if isinstance(x, kind)]
    (closed,) = [x for x in records if isinstance(x, r.TaskClosed)]
    assert (done.by, closed.by, closed.outcome, closed.reason) == ("dana", "dana", "done", "looked at it")
    assert task not in await open_ids(office)
    with pytest.raises(RefusedError, match="this task is over"):
        await office.act("erin", "review.claim", task=task)


async def test_a_step_up_joins_the_tasks_incident(office: Office) -> None:
    task = await tasked(office)
    said = await office.act(
        "dana", "review.decide", task=task, decision="step_up", rung="suspend", clause="4.3.1", hours=24, reason="worse"
    )
    assert said["standing"] == "suspended"
    records = office.records(said["account_id"])
    imposed = [x for x in records if isinstance(x, r.SanctionImposed)][-1]
    opened_task = next(x for x in records if isinstance(x, r.TaskOpened) and x.task_id == task)
    assert (imposed.incident_id, imposed.is_automatic) == (opened_task.incident_id, False)


async def test_another_word_is_no_decision(office: Office) -> None:
    task = await tasked(office)
    for word in ("impose", "", "forgive"):
        with pytest.raises(RefusedError, match="confirm, lift, annul or step_up"):
            await office.act("dana", "review.decide", task=task, decision=word, reason="r")


async def test_a_restores_task_can_be_closed_and_only_with_a_reason(office: Office) -> None:
    task = await opened(office, ALICE, "restored: see what is missing (ops/docs/BACKUP.md)", 24)
    with pytest.raises(RefusedError, match="say why"):
        await office.act("dana", "task.close", task=task, reason="")
    said = await office.act("dana", "task.close", task=task, reason="nothing is missing")
    assert said["closed"] is True
    assert await open_ids(office) == []
    (closed,) = [x for x in office.records((await office.mailbox()).account_id) if isinstance(x, r.TaskClosed)]
    assert closed.outcome == "not_needed"


async def test_an_unknown_task_is_named(office: Office) -> None:
    with pytest.raises(UsageError, match="no task w_none"):
        await office.act("dana", "review.claim", task="w_none")


async def test_proposals_and_objections_wait_in_the_same_list(office: Office) -> None:
    await office.suspend("dana", CAROL)
    proposal = await office.act("dana", "proposal.make", act="account.terminate", subject=CAROL, reason="r")
    await tasked(office)
    await office.act("dana", "appeal.file", target=ALICE)
    kinds = {row["kind"] for row in await office.ledger.call("review.list", {})}
    assert kinds == {"task", "proposal", "objection"}
    said = await office.act("erin", "review.approve", proposal=proposal["proposal_id"], digest=proposal["digest"])
    assert said["approver"] == "erin"
    assert "proposal" not in {row["kind"] for row in await office.ledger.call("review.list", {})}


async def test_a_suspension_without_an_end_comes_up_every_thirty_days_until_it_is_lifted(office: Office) -> None:
    """STANDING 5.11: nobody stays suspended because nobody looked again."""
    sanction = await office.suspend("dana")
    assert await open_ids(office) == []
    office.clock.advance(days=29)
    assert await open_ids(office) == []
    office.clock.advance(days=1)
    (task,) = await open_ids(office)
    await office.act("erin", "review.decide", task=task, decision="confirm", reason="it still goes on")
    assert await open_ids(office) == []
    office.clock.advance(days=30)
    (again,) = await open_ids(office)
    assert again != task
    await office.act("erin", "sanction.lift", sanction=sanction, reason="over")
    assert await open_ids(office) == []
    office.clock.advance(days=60)
    assert await open_ids(office) == []


async def test_one_with_an_end_does_not_come_up(office: Office) -> None:
    await office.suspend("dana", hours=2000)
    office.clock.advance(days=40)
    assert await open_ids(office) == []


async def test_the_newest_task_of_an_incident_says_it_all(office: Office) -> None:
    first = await opened(office, ALICE, "review", 5)
    account = await office.mailbox()
    second = r.TaskOpened(
        at=office.clock.now(), task_id="w_second", incident_id=first.replace("w_", "i_"),
        account_id=account.account_id, what="review", warranted="suspend", imposed="warn",
        due_at=office.clock.now() + timedelta(hours=9),
    )  # fmt: skip
    office.engine.run(lambda txn: txn.append(second, account_id=account.account_id, tenant_id=account.tenant_id))
    assert await open_ids(office) == ["w_second"]
    with pytest.raises(RefusedError, match="replaced by a newer one"):
        await office.act("dana", "review.close", task=first, reason="r")
