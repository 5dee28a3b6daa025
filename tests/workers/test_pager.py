"""Severity 4 and imminent harm: whoever is on call is called until a person has it in hand.  STANDING 5.3, 5.7-25.

case_s4_page_one_hour, case_5_7_25.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from filterd import metrics
from filterd.app.paging import UrgentWatch, follow_ups, make_pager
from filterd.cli.probes import house as probes
from filterd.cli.probes.finding import Patient, Status
from filterd.clients.pager import CommandPager
from filterd.config import Config
from filterd.errors import ConfigError, PortError, RefusedError
from filterd.model import records as r
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notice_requests import fallback, read_request
from filterd.pipeline.notices import Audience, Templates
from filterd.ports import OutboxItem
from filterd.share import path
from filterd.workers.outbox import Again, Done
from filterd.workers.pager import Paging
from tests.pipeline.people import ALICE, Office, open_office

pytestmark = pytest.mark.slow

PAGING = {
    "command": ["/usr/bin/page"],
    "repeat_s": 600,
    "hotline_en": "Call 12356 (China).",
    "hotline_zh": "请拨打 12356。",
}
REPEAT = timedelta(minutes=10)


class Pager:
    """Fulfils ports.Pager."""

    def __init__(self) -> None:
        self.pages: list[Mapping[str, str]] = []
        self.is_broken = False

    async def page(self, request: Mapping[str, str]) -> None:
        if self.is_broken:
            raise PortError("no network")
        self.pages.append(request)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    config = Config.model_validate({"paging": PAGING})
    async with open_office(tmp_path, follow_up=follow_ups(config), paging=PAGING) as opened:
        await opened.hire("dana", "erin")
        await opened.mailbox()
        yield opened


def waiting(office: Office, topic: str = "page") -> list[OutboxItem]:
    return [x for x, _, _ in office.engine.run(lambda txn: txn.outbox.pending()) if x.topic == topic]


async def urgent(office: Office, what: str = "illegal.terror", source: str = "report") -> Any:
    return await office.act("dana", "urgent.open", account=ALICE, what=what, source=source, reason="told by a reader")


def carrier(office: Office, pager: Pager) -> Paging:
    return Paging(office.engine.submit, pager, node="node1", repeat=REPEAT)


async def test_case_s4_page_one_hour(office: Office) -> None:
    said = await urgent(office)
    assert said["due_at"] == "2026-03-02T02:00:00Z"
    assert said["paged"] is True
    (row,) = await office.ledger.call("review.list", {})
    assert (row["id"], row["priority"]) == (said["task_id"], 0)
    (item,) = waiting(office)
    pager = Pager()
    paging, now = carrier(office, pager), office.clock.now()
    again = await paging.carry(item, now)
    assert isinstance(again, Again)
    assert again.due_at == now + REPEAT
    # Nobody has answered: called again, and again.
    office.clock.advance(600)
    assert isinstance(await paging.carry(item, office.clock.now()), Again)
    assert len(pager.pages) == 2
    # Somebody takes it in hand: nobody is called while they have it.
    await office.act("erin", "review.claim", task=said["task_id"])
    quiet = await paging.carry(item, office.clock.now())
    assert isinstance(quiet, Again)
    assert quiet.due_at is not None
    assert len(pager.pages) == 2
    # Their time is over and nothing was decided: called again. Closed: never again.
    office.clock.set(quiet.due_at)
    await paging.carry(item, office.clock.now())
    assert len(pager.pages) == 3
    await office.act("erin", "review.close", task=said["task_id"], reason="a lesson about history")
    assert isinstance(await paging.carry(item, office.clock.now()), Done)
    assert len(pager.pages) == 3


async def test_the_page_says_no_more_than_that_and_where(office: Office) -> None:
    said = await urgent(office)
    pager = Pager()
    await carrier(office, pager).carry(waiting(office)[0], office.clock.now())
    (page,) = pager.pages
    assert (page["task_id"], page["severity"], page["due_at"]) == (said["task_id"], "4", said["due_at"])
    account = await office.mailbox()
    assert not any(
        x in json.dumps(dict(page)) for x in (ALICE, "cust", "terror", account.account_id, account.tenant_id)
    )


async def test_nothing_follows_from_it_by_itself(office: Office) -> None:
    await urgent(office)
    shown = await office.show(ALICE)
    assert (shown["standing"], shown["points"], shown["sanctions"]) == ("good", 0, [])
    assert waiting(office, "notice") == []


async def test_a_page_that_cannot_be_sent_is_tried_again_soon(office: Office) -> None:
    await urgent(office)
    pager = Pager()
    pager.is_broken = True
    now = office.clock.now()
    again = await carrier(office, pager).carry(waiting(office)[0], now)
    assert isinstance(again, Again)
    assert again.due_at == now + timedelta(minutes=1)
    assert "no network" in again.error


@pytest.mark.parametrize(
    ("given", "says"),
    [({"source": "model"}, "what a model says alone waits"), ({"what": "spam.outbound"}, "what is one of")],
)
async def test_a_label_alone_calls_nobody(office: Office, given: dict[str, str], says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        await urgent(office, **given)
    assert waiting(office) == []


async def test_case_5_7_25_imminent_harm_is_one_persons_act_with_a_page_and_a_hotline(office: Office) -> None:
    said = await urgent(office, "self_harm")
    assert said["hotline"]["en"] == "Call 12356 (China)."
    assert len(waiting(office)) == 1
    (item,) = waiting(office, "notice")
    assert item.payload["audiences"] == ["account"]
    from filterd.app.parts import notice_settings

    desk = NoticeDesk(office.rules, Templates(path("policies/notices")), notice_settings(office.config))
    facts = office.engine.run(lambda txn: desk.gather(txn, read_request(item)))
    assert facts is not None
    copies = desk.copies(facts, office.clock.now(), [Audience.ACCOUNT, Audience.TENANT])  # type: ignore[arg-type]
    assert list(copies) == [Audience.ACCOUNT]
    assert "Call 12356 (China)." in copies[Audience.ACCOUNT].text
    assert "请拨打 12356。" in copies[Audience.ACCOUNT].text


async def test_whoever_threatens_others_is_not_told(office: Office) -> None:
    said = await urgent(office, "threat")
    assert said["hotline"]["zh-Hans"] == "请拨打 12356。"
    assert waiting(office, "notice") == []
    assert len(waiting(office)) == 1


async def test_nobody_of_the_tenant_learns_of_it(office: Office) -> None:
    said = await urgent(office, "self_harm")
    await office.hire("carl", role="tenant_admin", tenant="cust.example")
    assert await office.act("carl", "review.list") == []
    assert said["task_id"] not in str(await office.act("carl", "account.history", account=ALICE))
    # Where the mailbox takes nothing, nobody is told in its place.
    (item,) = waiting(office, "notice")
    known = frozenset(Audience)
    assert fallback(read_request(item), known, office.clock.now()) is None


async def test_without_a_pager_it_is_said_aloud_and_stands_in_a_metric(tmp_path: Path) -> None:
    async with open_office(tmp_path, follow_up=follow_ups(Config())) as bare:
        await bare.hire("dana")
        account = await bare.mailbox()
        watch = UrgentWatch(is_paged=False)
        said = await urgent(bare)
        assert said["paged"] is False
        assert waiting(bare) == []
        rows = [x for x in bare.records(account.account_id) if isinstance(x, r.TaskOpened)]
        with capture_logs() as logs:
            watch.committed(rows[-1])
        assert [(x["event"], x["log_level"], x["is_paged"]) for x in logs] == [("urgent", "error", False)]
        assert metrics.URGENT_WAITING._value.get() == 1
        # A process that begins anew knows it, too; taken in hand it is off the gauge.
        fresh = UrgentWatch(is_paged=False)
        bare.engine.run(fresh.begin)
        assert metrics.URGENT_WAITING._value.get() == 1
        await bare.act("dana", "review.claim", task=said["task_id"])
        claimed = [x for x in bare.records(account.account_id) if isinstance(x, r.TaskClaimed)]
        fresh.committed(claimed[-1])
        assert metrics.URGENT_WAITING._value.get() == 0


@pytest.mark.parametrize(
    ("paging", "status", "says"),
    [
        ({}, Status.WARNING, "nobody is called"),
        ({"command": ["/nowhere/page"]}, Status.BROKEN, "cannot be run"),
        ({"command": [sys.executable]}, Status.OK, "until somebody has it in hand"),
    ],
)
async def test_the_doctor_says_whether_anybody_is_called(paging: dict[str, Any], status: Status, says: str) -> None:
    patient = Patient(config=Config.model_validate({"paging": paging}), file=None, agreements={})
    found = [x async for x in probes.paging(patient)]
    assert found[0].status is status
    assert says in found[0].what
    assert "no hotline is named" in found[1].what


async def test_a_program_is_given_the_page_and_its_failure_is_an_error(tmp_path: Path) -> None:
    out = tmp_path / "page.json"
    script = f"import sys; open({str(out)!r}, 'w').write(sys.stdin.read())"
    pager = CommandPager([sys.executable, "-c", script], timeout_s=60)
    await pager.page({"page_id": "p", "task_id": "w_1"})
    assert json.loads(out.read_text()) == {"page_id": "p", "task_id": "w_1"}
    with pytest.raises(PortError, match="ended with 3"):
        await CommandPager([sys.executable, "-c", "raise SystemExit(3)"], timeout_s=60).page({})


def test_where_a_page_is_posted_it_is_signed() -> None:
    assert make_pager(Config()) is None
    with pytest.raises(ConfigError, match="a page that is posted is signed"):
        make_pager(Config.model_validate({"paging": {"url": "https://pager.example/"}}))
