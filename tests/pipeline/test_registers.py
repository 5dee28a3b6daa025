"""Registers on a real ledger: who may enter what, what two people sign, what mail then does.  CLAUSES §2.2, §2.3."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from filterd.config import Config
from filterd.errors import RefusedError
from tests.kit.house import House, letter
from tests.pipeline.test_gate import CONFIG

pytestmark = pytest.mark.slow

LOGIN = "alice@cust.example"
ADVERT = ("content.advertising.model", "rate.message.bulk")
PHISH = ("link.feed.match",)


class Office:
    """A house with people in it."""

    def __init__(self, house: House):
        self.house = house
        self.tokens: dict[str, str] = {}

    async def hire(self, name: str, role: str, **more: Any) -> None:
        # Whom an administrator adds is nobody's second person for a day (test_second_person).
        by = {} if not self.tokens else {"as_root": True}
        said = await self.house.ledger.call("person.add", {"name": name, "role": role, **by, **more})
        self.tokens[name] = said["token"]

    async def asks(self, name: str, verb: str, **arguments: Any) -> Any:
        return await self.house.ledger.call(verb, {"token": self.tokens[name], **arguments})

    async def both(self, act: str, subject: str, **terms: Any) -> Any:
        made = await self.asks("Ana", "proposal.make", act=act, subject=subject, reason="because", **terms)
        return await self.asks("Bo", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])

    async def mails(self, *codes: str, raw: bytes | None = None, to: str = "bob@other.example") -> int | None:
        self.house.script.codes = codes
        number = self.house.script.asked
        answer = await self.house.send(raw or letter(f"n{number}"), to, login=LOGIN)
        return answer.reply.code if answer.reply is not None else None


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    house = await House(tmp_path, Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})).open()
    office = Office(house)
    for name, role in (("Root", "admin"), ("Ana", "moderator"), ("Bo", "moderator"), ("Cem", "approver")):
        await office.hire(name, role)
    assert await office.mails() is None
    yield office
    await house.close()


async def test_an_authorised_drill_passes_inside_its_scope_and_is_struck_outside(office: Office) -> None:
    tenant = (await office.house.show(LOGIN))["tenant_id"]
    terms = {"clauses": ["3.5.1", "3.5.3", "3.5.5"], "recipient_domains": ["partner.example"]}
    done = await office.both("register.authorise", tenant, days=30, document="D-7", **terms)
    assert [row["entry_id"] for row in await office.asks("Ana", "register.list")] == [done["entry_id"]]

    assert await office.mails(*PHISH, to="bob@partner.example") is None
    assert (await office.house.show(LOGIN))["incidents"] == []
    assert await office.mails(*PHISH, to="bob@other.example") == 550
    assert len((await office.house.show(LOGIN))["incidents"]) == 1

    await office.asks("Ana", "register.end", entry=done["entry_id"], reason="over")
    assert await office.asks("Ana", "register.list") == []
    assert await office.mails(*PHISH, to="bob@partner.example") == 550


async def test_what_cannot_be_authorised_is_said(office: Office) -> None:
    tenant = (await office.house.show(LOGIN))["tenant_id"]
    with pytest.raises(RefusedError, match=r"clause 3.3.2 tail-b cannot be authorised away"):
        await office.both("register.authorise", tenant, clauses=["3.3.2 tail-b"], days=3, document="D")
    with pytest.raises(RefusedError, match="at most 365 days"):
        await office.both("register.authorise", tenant, clauses=["3.5.1"], days=366, document="D")
    with pytest.raises(RefusedError, match="--document"):
        await office.both("register.authorise", tenant, clauses=["3.5.1"], days=3)


NEWSLETTER = (
    "List-Id: News <news.cust.example>",
    "List-Unsubscribe: <https://cust.example/out>",
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
)


async def test_a_declared_stream_passes_and_an_undeclared_one_is_advised_first(office: Office) -> None:
    assert await office.mails(*ADVERT, raw=letter("a", *NEWSLETTER)) == 250
    # Held, with advice and no points: the notice tells how to declare it.
    assert (await office.house.show(LOGIN))["points"] == 0
    told = [item.payload["event"] for item, _, _ in await office.house.engine.pending()]
    assert sorted(told) == ["advice", "message_held"]
    assert [x["state"] for x in await office.house.ledger.call("quarantine.list", {})] == ["held"]
    with pytest.raises(RefusedError, match="--opt-out-works"):
        await office.asks("Ana", "register.declare", account=LOGIN, consent="signup", list_id="news.cust.example")
    await office.asks(
        "Ana", "register.declare", account=LOGIN, consent="signup", list_id="<news.cust.example>", opt_out_works=True
    )
    office.house.clock.advance(3 * 86400)
    assert await office.mails(*ADVERT, raw=letter("b", *NEWSLETTER)) is None
    # Another mail of the same account is no part of it.
    assert await office.mails(*ADVERT, raw=letter("c")) == 250
    assert (await office.house.show(LOGIN))["points"] == 0.5


async def test_who_is_of_another_tenant_declares_nothing_here(office: Office) -> None:
    house = office.house
    await house.send(letter(sender="eve@rival.example"), "x@y.example", login="eve@rival.example")
    rival = (await house.show("eve@rival.example"))["tenant_id"]
    await office.hire("Chief", "tenant_admin", tenant=rival)
    with pytest.raises(RefusedError, match="may only act for the tenants of"):
        await office.asks(
            "Chief", "register.declare", account=LOGIN, consent="signup", list_id="x", opt_out_works=True
        )
    assert await office.asks("Chief", "register.list") == []


async def test_a_migration_window_gives_no_points_and_ends(office: Office) -> None:
    await office.asks("Ana", "register.migrate", tenant="cust.example", days=7)
    assert await office.mails("content.spam.model", "rate.burst.running") is None
    assert (await office.house.show(LOGIN))["incidents"] == []
    office.house.clock.advance(8 * 86400)
    assert await office.mails("content.spam.model", "rate.burst.running") == 550


async def test_a_protected_sender_opens_a_task_and_is_not_struck(office: Office) -> None:
    await office.both("register.protect", LOGIN, kind="hospital")
    assert await office.mails(*ADVERT) is None
    assert await office.mails(*ADVERT) is None
    tasks = await office.house.ledger.call("task.list", {})
    assert [row["what"] for row in tasks] == ["protected sender: its mail looks like a breach"]
    assert (await office.house.show(LOGIN))["points"] == 0


async def test_an_order_takes_two_people_and_names_what_it_may(office: Office) -> None:
    with pytest.raises(RefusedError, match=r"categories are of malware, phishing\.known, spam\.outbound"):
        await office.both("register.order", "", agreement="tencent-exmail", categories="illegal.gambling", days=30)
    with pytest.raises(RefusedError, match="at most 180 days"):
        await office.both("register.order", "", agreement="tencent-exmail", categories="malware", days=181)
    with pytest.raises(RefusedError, match="no termination by order"):
        await office.both("register.order", "", agreement="aliyun-mail", categories="malware", days=30)
    await office.both("register.order", "", agreement="tencent-exmail", categories="malware", days=30)
    assert [row["register"] for row in await office.asks("Ana", "register.list")] == ["standing_order.signed"]


async def test_content_goes_to_no_other_authority(office: Office) -> None:
    with pytest.raises(RefusedError, match=r"AL-4\.2"):
        await office.both("register.legal_request", LOGIN, authority_kind="tax_office", document="D", scope="all")
    order = {"authority_kind": "legal_process", "document": "D", "document_digest": "d" * 64, "scope": "mail of March"}
    done = await office.both("register.legal_request", LOGIN, **order)
    assert done["act"] == "register.legal_request"
