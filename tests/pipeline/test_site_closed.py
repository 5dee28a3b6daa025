"""A site that is given up: keys and webhooks closed the same day, and on the stated date nothing personal is left.

T-TX-8.2.8.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.app.paging import follow_ups
from filterd.config import Config
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.session import Envelope
from filterd.pipeline import site_clock
from filterd.workers.clocks import ClockWorker
from filterd.workers.outbox import Done
from filterd.workers.webhook import CLOSED_TYPE, Webhooks
from tests.kit.house import letter
from tests.pipeline.people import ALICE, Office, open_office

pytestmark = pytest.mark.slow

CLOSES, ERASED = "2026-04-10", "2026-04-20"


class Receiver:
    name = "crm"
    counts_as_notice = False


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    # As the ledger's half gives it to the ledger.
    hook = {"name": "crm", "url": "https://crm.example/", "secret_file": str(tmp_path / "s")}
    promised = follow_ups(Config.model_validate({"webhook": [hook]}))
    async with open_office(tmp_path, follow_up=promised) as opened:
        await opened.hire("dana", "erin")
        await opened.hire("robot", role="service")
        await opened.spread()
        opened.script.codes = ()
        await opened.mailbox("bob@cust.example")
        yield opened


async def order(office: Office) -> Any:
    make = {"act": "site.decommission", "subject": "site", "closes_on": CLOSES, "erased_on": ERASED, "reason": "sold"}
    made = await office.act("dana", "proposal.make", **make)
    return await office.act("erin", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])


def job(office: Office) -> ClockWorker:
    return ClockWorker(
        office.engine.submit, lambda: office.rules, lambda: True, steady=lambda: office.clock.now().timestamp()
    )


def to(office: Office, text: str) -> None:
    office.clock.set(datetime.fromisoformat(f"{text}:00+08:00"))


async def run(office: Office, worker: ClockWorker, clock: str) -> list[str]:
    ran = await worker.run_once(office.clock.now())
    return [x.clock for x in ran.struck if x.clock == clock]


async def test_on_the_day_intake_ends_the_keys_of_programs_are_worth_nothing(office: Office) -> None:
    await order(office)
    worker = job(office)
    to(office, f"{CLOSES} 00:00")
    office.clock.advance(seconds=-1)
    assert await run(office, worker, "site.closed") == []
    assert (await office.act("robot", "account.list")) != []
    office.clock.advance(seconds=1)
    assert await run(office, worker, "site.closed") == ["site.closed"]
    with pytest.raises(RefusedError, match="named person"):
        await office.act("robot", "account.list")
    # People stay: appeals are still decided until the last day.
    assert await office.act("dana", "account.list") != []
    assert await run(office, worker, "site.closed") == []


async def test_webhooks_get_a_last_event_the_same_day_and_nothing_after_it(office: Office) -> None:
    posted: list[str] = []

    async def post(endpoint: Any, webhook_id: str, at: datetime, body: bytes) -> int:
        posted.append(body.decode())
        return 200

    hooks = Webhooks([Receiver()], post, office.clock, source="filterd/node1")
    await order(office)
    to(office, f"{CLOSES} 00:00")
    await run(office, job(office), "site.closed")
    items = [x for x, _, _ in office.engine.run(lambda txn: txn.outbox.pending()) if x.topic == "webhook"]
    assert [x.payload["event"]["type"] for x in items] == [CLOSED_TYPE]
    assert isinstance(await hooks.carry(items[0], office.clock.now()), Done)
    assert len(posted) == 1
    assert CLOSED_TYPE in posted[0]
    # A retry of something older is dropped, and nothing new is promised, after a restart neither.
    assert isinstance(await hooks.carry(items[0], office.clock.now()), Done)
    assert len(posted) == 1
    fresh = Webhooks([Receiver()], post, office.clock, source="filterd/node1")
    before = len(office.engine.run(lambda txn: txn.outbox.pending()))
    sent = r.NoticeSent(
        at=office.clock.now(), notice_id="m_1", account_id="", tenant_id="", incident_ids=(), template="x",
        languages=(), channel="tenant", outcome="accepted", deemed_at=None, body_digest="",
    )  # fmt: skip
    office.engine.run(lambda txn: fresh.herald(txn, sent, None))  # type: ignore[arg-type]
    assert len(office.engine.run(lambda txn: txn.outbox.pending())) == before


async def test_on_the_stated_date_everything_is_shredded_who_is_held_too(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await office.mailbox()
    await office.act("dana", "evidence.hold", case=ALICE, reason="a court asks")
    office.engine.spool.put("t_held", letter("sealed words"))
    office.engine.run(
        lambda txn: txn.hold_mail(
            "t_held", alice.account_id, alice.tenant_id, "r", Envelope(reverse_path=None), txn.now + timedelta(days=99)
        )
    )
    await order(office)
    worker = job(office)
    monkeypatch.setattr(site_clock, "PAGE", 1)
    to(office, f"{CLOSES} 00:00")
    await run(office, worker, "site.closed")
    to(office, f"{ERASED} 23:59")
    assert await run(office, worker, "site.erased") == []
    assert await office.ledger.call("account.list", {}) != []
    to(office, "2026-04-21 00:00")
    assert await run(office, worker, "site.erased") == ["site.erased"]
    assert await office.ledger.call("account.list", {}) == []
    left = office.engine.run(lambda txn: txn.tenants())
    # Domains go with the names: whose they were is in no table of what is in force.
    assert {(x.name, x.domains, x.contact) for x in left} == {("", (), None)}
    assert office.engine.run(lambda txn: txn.tenant_of_domain("cust.example")) is None
    # Nothing that was sealed can be opened any more, and the chain of rows is whole.
    rows = office.engine.run(lambda txn: list(txn.opened_entries(alice.account_id)))
    assert [x.personal for x in rows if x.personal] == []
    assert office.engine.run(lambda txn: txn.evidence_of(alice.account_id)) == ()
    assert (await office.engine.verify()).fault is None
    certificates = [x for x in office.records(alice.account_id) if isinstance(x, r.SubjectPurged)]
    assert [(x.clock, x.by, x.approver) for x in certificates] == [("site.erased", "dana", "erin")]
    # Who is under a legal hold comes last.
    gone = [x.subject_id for x in office.site(r.SubjectErased)]
    assert gone[-1] == alice.account_id
    assert (await worker.run_once(office.clock.now())).struck == ()


async def test_taken_back_nothing_of_it_happens(office: Office) -> None:
    done = await order(office)
    await office.act("dana", "proposal.veto", proposal=done["proposal_id"], reason="not sold")
    worker = job(office)
    to(office, "2026-05-01 00:00")
    ran = await worker.run_once(office.clock.now())
    assert not {"site.closed", "site.erased"} & {x.clock for x in ran.struck}
    assert await office.act("robot", "account.list") != []


async def test_a_clock_that_has_just_jumped_shreds_nothing(office: Office) -> None:
    await order(office)
    steady = {"s": 0.0}
    worker = ClockWorker(office.engine.submit, lambda: office.rules, lambda: True, steady=lambda: steady["s"])
    await worker.run_once(office.clock.now())
    to(office, "2026-04-21 00:00")
    # The first run notices; ten minutes later things strike again, and nothing is erased for a day.
    for seconds in (0.0, 700.0):
        steady["s"] += seconds
        office.clock.advance(seconds=seconds)
        await worker.run_once(office.clock.now())
    assert await office.ledger.call("account.list", {}) != []
    steady["s"] += 90_000.0
    office.clock.advance(seconds=90_000)
    ran = await worker.run_once(office.clock.now())
    assert "site.erased" in {x.clock for x in ran.struck}


async def test_a_person_who_runs_the_clocks_shreds_nothing(office: Office) -> None:
    await order(office)
    to(office, "2026-04-25 00:00")
    said = await office.act("dana", "clock.run", dry_run=True)
    assert "site.erased" in {x["clock"] for x in said["struck"]}
    await office.act("dana", "clock.run")
    assert await office.ledger.call("account.list", {}) != []
