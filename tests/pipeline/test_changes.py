"""A change of function, price or use, and a stop for reasons of policy, are told before.

T-TX-4.1.4, T-TX-5.1, T-TX-8.2.9.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.due_service import of_service
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.standing import History
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notice_requests import read_request
from filterd.pipeline.notices import Audience, NoticeSettings, Templates
from filterd.share import path
from filterd.workers.clocks import ClockWorker
from tests.kit.terms import tencent
from tests.pipeline.people import Office, open_office

pytestmark = pytest.mark.slow

SETTINGS = NoticeSettings(sender="Mail <desk@provider.example>", appeals_address="appeals@provider.example")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin")
        row = {"line": 2, "name": "Cust", "domains": "cust.example", "contact": "boss@cust.example", "language": "en"}
        assert (await opened.act("dana", "tenant.import", rows=[row]))["errors"] == []
        await opened.mailbox()
        yield opened


async def announce(office: Office, what: str, on: str, **more: Any) -> Any:
    return await office.act("dana", "change.announce", what=what, effective_on=on, document="news-1", **more)


def letters(office: Office, event: str) -> list[str]:
    """Word what is promised of an event, as the tenant's contact reads it."""
    desk, out = NoticeDesk(office.rules, Templates(path("policies/notices")), SETTINGS), []
    for item, _, _ in office.engine.run(lambda txn: txn.outbox.pending()):
        if item.payload.get("event") == event:
            facts = office.engine.run(lambda txn, item=item: desk.gather(txn, read_request(item)))
            out += [x.text for a, x in desk.copies(facts, office.clock.now(), [Audience.TENANT]).items() if a]
    return out


@pytest.mark.parametrize("what", ["function", "price", "use", "terms"])
async def test_a_change_is_announced_before_it_takes_effect(office: Office, what: str) -> None:
    for late in ("2026-03-01", "2026-03-02"):
        with pytest.raises(RefusedError, match="told beforehand"):
            await announce(office, what, late)
    assert office.site(r.ChangeAnnounced) == []
    said = await announce(office, what, "2026-03-03")
    assert said["told"] == 1
    (text,) = letters(office, "service_change")
    assert "It takes effect for Cust on 2026-03-03 00:00" in text
    (row,) = await office.ledger.call("change.list", {})
    assert (row["in_effect"], row["received"]) == (False, 0)


async def test_what_was_announced_takes_effect_on_its_day_and_is_said_once(office: Office) -> None:
    change = (await announce(office, "price", "2026-03-05"))["change_id"]
    worker = ClockWorker(office.engine.submit, lambda: office.rules, lambda: True,
                         steady=lambda: office.clock.now().timestamp())  # fmt: skip
    office.clock.set(datetime.fromisoformat("2026-03-04T23:59:00+08:00"))
    assert (await worker.run_once(office.clock.now())).struck == ()
    office.clock.set(datetime.fromisoformat("2026-03-05T00:00:00+08:00"))
    assert [(x.clock, x.object_id) for x in (await worker.run_once(office.clock.now())).struck] == [
        ("change.effective", change)
    ]
    assert (await worker.run_once(office.clock.now())).struck == ()
    assert await office.ledger.call("change.list", {}) == []
    assert (await office.ledger.call("change.list", {"all": True}))[0]["in_effect"] is True


async def test_received_is_what_the_customer_has_received(office: Office) -> None:
    change = await announce(office, "use", "2026-03-09")
    tenant = (await office.mailbox()).tenant_id
    sent = r.NoticeSent(
        at=office.clock.now() + timedelta(minutes=1), notice_id="m_1", account_id="", tenant_id=tenant, incident_ids=(),
        template="service_change", languages=("en",), channel="tenant", outcome="accepted",
        deemed_at=office.clock.now(), body_digest="",
    )  # fmt: skip
    office.engine.run(lambda txn: txn.append(sent, account_id=None, tenant_id=tenant))
    (row,) = await office.ledger.call("change.list", {})
    assert (row["change_id"], row["received"]) == (change["change_id"], 1)


async def test_no_service_stops_for_reasons_of_policy_unannounced(office: Office) -> None:
    end = {"tenant": "Cust", "because": "policy", "reason": "the ministry's notice"}
    with pytest.raises(RefusedError, match="announce it first"):
        await office.act("dana", "service.end", **end)
    # A price is no stop, and another customer's stop is not this one's.
    await announce(office, "price", "2026-03-20")
    await office.mailbox("eve@else.example")
    await announce(office, "stop", "2026-03-20", tenant="else.example")
    with pytest.raises(RefusedError, match="announce it first"):
        await office.act("dana", "service.end", **end)
    # As long before as after a change of law: fifteen natural days.
    with pytest.raises(RefusedError, match="told beforehand"):
        await announce(office, "stop", "2026-03-17", tenant="Cust")
    await announce(office, "stop", "2026-03-18", tenant="Cust")
    said = await office.act("dana", "service.end", **end)
    assert said["ends_at"] == "2026-03-17T16:00:00Z"
    office.clock.set(datetime.fromisoformat("2026-03-17T23:59:00+08:00"))
    assert (await office.ledger.call("service.show", {"tenant": "Cust"}))["state"] == "active"
    office.clock.set(datetime.fromisoformat("2026-03-18T00:00:00+08:00"))
    assert (await office.ledger.call("service.show", {"tenant": "Cust"}))["state"] == "ended"


async def test_the_notice_of_an_end_names_the_last_day_for_a_copy(office: Office) -> None:
    """T-TX-8.2.9: that day is the last on which nothing can be cleared yet."""
    await office.act("dana", "service.end", tenant="Cust", because="insolvency", reason="r")
    worker = ClockWorker(office.engine.submit, lambda: office.rules, lambda: True,
                         steady=lambda: office.clock.now().timestamp())  # fmt: skip
    await worker.run_once(office.clock.now())
    (text,) = letters(office, "service_ended")
    tenant = (await office.mailbox()).tenant_id
    kept = (await office.ledger.call("service.show", {"tenant": "Cust"}))["kept_until"]
    last = tencent().calendar.day_of(datetime.fromisoformat(kept) - timedelta(seconds=1))
    assert f"The last day for a copy of your data is {last.isoformat()}" in text
    assert f"From {(last + timedelta(days=1)).isoformat()} on data can be cleared" in text
    assert tenant


def test_every_end_names_it() -> None:
    for because in ("refused_terms", "insolvency", "policy", "other"):
        at = datetime.fromisoformat("2026-03-02T09:00:00+08:00")
        ended = r.ServiceEnded(at=at, tenant_id="n_1", because=because, by="dana", reason="r")
        (due,) = of_service(History(account_id="n_1", further=(ended,)), None, tencent(), at)
        assert due.event == "service_ended"
        assert due.facts["copy_until"] == date(2026, 4, 1)


# --- whose terms are new ----------------------------------------------------------------------------------------------


async def test_where_one_agreement_binds_all_its_terms_are_meant(office: Office) -> None:
    assert (await announce(office, "terms", "2026-03-03"))["told"] == 1
    await announce(office, "price", "2026-03-03")
    assert [x.agreement for x in office.site(r.ChangeAnnounced)] == [office.terms().id, ""]


async def test_where_several_bind_an_announcement_says_whose_terms_are_new(office: Office) -> None:
    await office.reselling("dana")
    with pytest.raises(RefusedError, match="--agreement aliyun-mail or tencent-exmail"):
        await announce(office, "terms", "2026-03-03")
    # One customer has one.
    await announce(office, "terms", "2026-03-03", tenant="acme.example")
    said = await announce(office, "terms", "2026-03-04", agreement="tencent-exmail")
    assert said["told"] == 1
    assert [x.agreement for x in office.site(r.ChangeAnnounced)] == ["aliyun-mail", "tencent-exmail"]
    # A price is everybody's.
    assert (await announce(office, "price", "2026-03-03"))["told"] == 2


@pytest.mark.parametrize(
    ("what", "more", "says"),
    [
        ("terms", {"agreement": "nobody-s"}, "is no agreement here"),
        ("terms", {"agreement": "aliyun-supplement"}, "which both sides sign"),
        ("terms", {"agreement": "aliyun-mail", "tenant": "cust.example"}, "is bound by tencent-exmail"),
        ("price", {"agreement": "tencent-exmail"}, "for terms alone"),
    ],
)
async def test_an_agreement_that_cannot_be_meant_is_refused(
    office: Office, what: str, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(RefusedError, match=says):
        await announce(office, what, "2026-03-03", **more)
    assert office.site(r.ChangeAnnounced) == []
