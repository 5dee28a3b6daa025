"""The five acceptance stories on a real ledger, from the mail to the notice.  STANDING 7.3.

Each step of a story stands in a comment by its number. What a story tells of other programs (the MTA's queue, the
identity system, the reader's letter) is shown where it is promised; that the promise is kept is for their own tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import RefusedError
from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.about import EVERYTHING
from filterd.model.reply import Reply
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.pipeline.clockwork import Struck, begin, strike_account
from filterd.ports import Intake
from tests.kit.house import letter
from tests.pipeline.people import ALICE, BOB, CONFIG, Office

pytestmark = pytest.mark.slow

TABLES: dict[str, Any] = {
    "listener": [
        *CONFIG["listener"],
        {"name": "queue", "attribution": "xclient", "direction": "outbound", "after_queue": True, "port": 10030},
        {"name": "inbound", "direction": "inbound", "port": 10029},
    ],
    "notices": {**CONFIG["notices"], "object_url": "https://mail.provider.example/case/"},
    "effectors": {"mta_queue": {"enabled": True}, "credentials": {"command": ["/bin/true"]}},
}
DESK = ("appeals@provider.example", "postmaster@cust.example", "abuse@cust.example")
BURST, NEW, LINK, SPAM = "rate.burst.running", "rate.client.new", "link.feed.match", "content.spam.model"
STRANGERS, UNKNOWN = "rate.strangers.high", "rate.unknown.high"
ADVERT, BULK = "content.advertising.model", "rate.message.bulk"
GAMBLING = "content.gambling.model"
WEEK_D = 7


class Town(Office):
    """An office whose clock is said in days of the story."""

    sent = 0

    def day(self, day: float, hour: float = 0.0) -> None:
        """Put the clock to an hour of a day of the story; it never goes back."""
        then = self.begun + timedelta(days=day, hours=hour)
        assert then >= self.clock.now(), "a story goes forward"
        self.clock.set(then)

    async def begin(self) -> None:
        self.begun = self.clock.now()
        await self.hire("dana", role="admin")
        await self.hire("mo", "eva")

    async def has(self, login: str = ALICE) -> tuple[str, float]:
        """Say the standing and the points."""
        shown = await self.show(login)
        return shown["standing"], shown["points"]

    async def until(self, login: str = ALICE) -> datetime:
        return datetime.fromisoformat((await self.show(login))["until"])

    async def mail(
        self, *codes: str, to: int = 1, login: str = ALICE, text: str | None = None, fields: Iterable[str] = (),
        listener: str = "submission", first: int = 0,
    ) -> Reply | None:  # fmt: skip
        """Send one mail in which the checks find these; say what refuses it."""
        self.sent += 1
        self.script.codes = codes
        recipients = [f"p{n}@other.example" for n in range(first, first + to)]
        raw = letter(text or f"text {self.sent}", *fields, sender=login)
        answer = await self.send(raw, *recipients, login=login, listener=listener)
        self.script.codes = ()
        return answer.reply

    async def asked_by(self, stranger: str, login: str = ALICE) -> None:
        """Have somebody outside write first."""
        path, to = (parse_forward_path(f"<{x}>".encode()) for x in (stranger, login))
        session = Session(
            id="c_2", door=Door.SMTP, listener="inbound", peer_address="192.0.2.9", is_trusted_peer=False,
            login=None, login_source=None,
        )  # fmt: skip
        envelope = Envelope(reverse_path=path, forward_paths=(ForwardPath(path=to),))
        self.script.codes = ()
        answer = await self.gate.enforce(
            Intake(session=session, envelope=envelope, raw=letter("question", sender=stranger))
        )
        assert answer.reply is None
        await self.gate.flush()

    async def refuses(self, recipient: str, login: str = ALICE) -> Reply | None:
        """Say what an open session is told at RCPT."""
        session = Session(
            id="c_1", door=Door.SMTP, listener="submission", peer_address="127.0.0.1", is_trusted_peer=True,
            login=login, login_source="xclient",
        )  # fmt: skip
        return await self.gate.admit(session, None, parse_forward_path(f"<{recipient}>".encode()))

    def promised(self) -> list[str]:
        waiting = self.engine.run(lambda txn: txn.outbox.pending())
        return [n for item, _, _ in waiting for n in (item.payload.get("templates") or [item.payload.get("event", "")])]

    async def promises(self, topic: str) -> list[dict[str, Any]]:
        return [item.payload for item, _, _ in await self.engine.pending() if item.topic == topic]

    async def clocks(self, login: str = ALICE) -> list[str]:
        """Have the clocks strike for an account; say which did."""
        account_id = (await self.show(login))["account_id"]
        rules = self.rules
        struck: tuple[Struck, ...] = await self.engine.submit(
            lambda txn: strike_account(txn, account_id, rules, txn.now, since=begin(txn)), EVERYTHING
        )
        return [x.clock for x in struck]

    def of(self, kind: type[Any], login: str = ALICE) -> list[Any]:
        ref = self.engine.run(lambda txn: txn.find_account(login))
        assert ref is not None
        return [x for x in self.records(ref.account_id) if isinstance(x, kind)]

    def tenant_row(self, **more: str) -> dict[str, Any]:
        return {"line": 2, "name": "Cust", "domains": "cust.example", "contact": "admin@cust.example", **more}

    async def tasks(self) -> list[str]:
        return [row["what"] for row in await self.ledger.call("task.list", {})]


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    from filterd.config import Config

    opened = Town(tmp_path, Config.model_validate({**TABLES, "node": {"state_dir": str(tmp_path)}}))
    await opened.open()
    await opened.begin()
    yield opened
    await opened.close()


# --- S1 ---------------------------------------------------------------------------------------------------------------


async def stolen(town: Town) -> None:
    """A month-old tenant with an administrator; one account whose credentials somebody else has."""
    await town.act("dana", "tenant.import", rows=[town.tenant_row(seats="50")])
    await town.hire("ada", role="tenant_admin", tenant="cust.example")
    await town.hire("watcher", role="service")
    assert await town.mail() is None
    town.day(40)


async def run(town: Town, delivered: int = 3, queue: str = "queue") -> Reply | None:
    """The run as the queue's filter sees it: some are delivered before it shows, then the link is on the feed."""
    await town.act("watcher", "indicator.report", account=ALICE, indicator="auth.failures", reason="log")
    for _ in range(delivered):
        assert await town.mail(listener=queue) is None
    # Three templates in hand at the same moment: what comes after the lock is not looked at any more.
    town.script.codes = (BURST, NEW, LINK, SPAM)
    to = [f"{n}@other.example" for n in range(20)]
    run = [town.send(letter(f"t{town.sent}.{n}"), *to, login=ALICE, listener=queue) for n in range(3)]
    await asyncio.gather(*run)
    town.script.codes = ()
    return await town.mail()


async def test_story_s1_compromised_burst(town: Town) -> None:
    """TX-3.2.2, TX-3.5.2, AL-3.2: locked within the burst, attested in the morning, watched for a week."""
    await stolen(town)
    refused = await run(town)
    # 1. One incident although there are several templates and two categories; points provisional, a warning only.
    shown = await town.show(ALICE)
    assert (shown["standing"], shown["points"], shown["provisional_points"]) == ("warned", 4, 4)
    (incident,) = shown["incidents"]
    assert incident["messages"] == 3
    # 2. Every further recipient hears the hold's own words, in open sessions too; those who can help are reached.
    assert refused is not None
    assert (refused.code, refused.enhanced) == (550, "5.7.13")
    at_rcpt = await town.refuses(BOB)
    assert at_rcpt is not None
    assert "to protect this account" in at_rcpt.text
    assert "violation" not in at_rcpt.text
    assert [await town.refuses(x) for x in DESK] == [None] * 3
    # 3. The account's mail in the MTA's queue is held, once. 4. Notices, with no link to the mailbox.
    effects = await town.promises("effect")
    asked = sorted((x["effector"], x["act"]) for x in effects)
    assert asked == [("credentials", "revoke"), ("mailbox", "warn"), ("mta_queue", "settle")]
    assert {"hold", "warning"} <= set(town.promised())
    assert not any("http" in str(x) for x in await town.promises("notice"))
    # 6. 09:00: the administrator attests. The strike is nobody's, the incident stays, the tenant's score is as before.
    town.day(40, 7)
    said = await town.act("ada", "hold.attest", hold=ALICE, reason="password changed, sessions revoked")
    assert (said["number"], said["verified"], said["standing"], said["points"]) == (1, False, "good", 0)
    assert len((await town.show(ALICE))["incidents"]) == 1
    assert (await town.act("dana", "tenant.show", tenant="Cust"))["charges"] == []
    # 7. A watch of a week, for no hook has revoked anything: ten recipients a message.
    assert await town.mail() is None
    assert await town.mail(to=11) is not None
    town.day(46, 6)
    assert await town.mail(to=11) is not None
    town.day(47, 8)
    assert await town.mail(to=11) is None


async def test_story_s1_variant_nobody_attests(town: Town) -> None:
    """8. Three days later the points are final at two, the hold stays, and a trickle goes to who wrote first."""
    await stolen(town)
    await run(town)
    town.day(42, 23)
    assert (await town.show(ALICE))["provisional_points"] == 4
    assert await town.mail() is not None
    town.day(43, 1)
    shown = await town.show(ALICE)
    assert (shown["standing"], shown["points"], shown["provisional_points"]) == ("warned", 2, 0)
    assert await town.mail() is not None
    await town.asked_by("p0@other.example")
    assert await town.mail() is None
    # For weeks it is told of again, and never opens by itself.
    town.day(60)
    assert (await town.ledger.call("security.show", {"account": ALICE}))["security"] == "hold"


async def test_story_s1_variant_the_second_time(town: Town) -> None:
    """9. Taken over again in 90 days: the tenant answers with the points, and is warned."""
    await stolen(town)
    await run(town)
    await town.act("ada", "hold.attest", hold=ALICE, reason="done")
    town.day(60)
    await run(town)
    said = await town.act("ada", "hold.attest", hold=ALICE, reason="done again")
    assert (said["number"], said["points"]) == (2, 0)
    tenant_id = (await town.show(ALICE))["tenant_id"]
    (charged,) = [x for x in town.records(tenant_id) if isinstance(x, r.CustodyCharged)]
    assert charged.half_points == 8
    assert "custody_warning" in town.promised()


# --- S2 ---------------------------------------------------------------------------------------------------------------

NEWSLETTER = (
    "List-Id: News <news.cust.example>",
    "List-Unsubscribe: <https://cust.example/out>",
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
)


async def test_story_s2_newsletter(town: Town) -> None:
    """TX-3.3.2 tail-c: advice, a declaration, a condition that fails, and what an undeclared run costs then."""
    # 1. The first undeclared run: held with advice how to declare it, no points.
    first = await town.mail(ADVERT, BULK, to=60, fields=NEWSLETTER)
    assert first is not None
    assert first.code == 250
    assert [x["state"] for x in await town.ledger.call("quarantine.list", {})] == ["held"]
    assert await town.has() == ("good", 0)
    assert "advice" in town.promised()
    # 2. Declared within two hours: all goes out.
    town.day(0, 2)
    tenant = (await town.show(ALICE))["tenant_id"]
    await town.hire("ada", role="tenant_admin", tenant=tenant)
    await town.act(
        "ada", "register.declare", account=ALICE, consent="signup", list_id="news.cust.example", opt_out_works=True,
        reason="customers who signed up",
    )  # fmt: skip
    assert await town.mail(ADVERT, BULK, to=60, fields=NEWSLETTER) is None
    town.day(1)
    assert await town.mail(ADVERT, BULK, to=60, fields=NEWSLETTER) is None
    # 3. A condition fails: on notice, with a week to mend it, and the mail still passes.
    town.day(7)
    assert await town.mail(ADVERT, BULK, to=60, fields=NEWSLETTER[:1]) is None
    (noticed,) = [x for x in town.records(tenant) if isinstance(x, r.StreamNoticed)]
    assert (noticed.condition, noticed.repair_by) == ("missing_header", town.clock.now() + timedelta(days=7))
    assert "stream_on_notice" in town.promised()
    # 4. Not mended: undeclared again. One group of signals is mode B: stopped, warned, half a point.
    town.day(30)
    assert await town.mail(ADVERT, BULK, to=60, fields=NEWSLETTER[:1]) is not None
    assert await town.has() == ("warned", 0.5)
    await town.notice_received()
    # 5. After notice: both count whole, 1 + 2; a restriction is warranted and waits for a person.
    town.day(60)
    assert await town.mail(ADVERT, BULK, to=60, fields=NEWSLETTER[:1]) is not None
    assert await town.has() == ("warned", 3)
    assert "held back: mode B" in await town.tasks()
    await town.notice_received()
    # 6. The third after notice: bulk is off for a day, letters from person to person work, and nobody had to act.
    town.day(90)
    assert await town.mail(ADVERT, BULK, to=60, fields=NEWSLETTER[:1]) is not None
    shown = await town.show(ALICE)
    assert (shown["standing"], shown["features_off"]) == ("restricted", ["bulk"])
    assert await town.mail() is None
    assert await town.mail(to=60) is not None
    town.day(91, 0.1)
    assert await town.has() == ("warned", 5)
    assert await town.mail(to=60) is None


# --- S3 ---------------------------------------------------------------------------------------------------------------

CASINO = (GAMBLING, SPAM, STRANGERS, BURST)


async def test_story_s3_gambling(town: Town) -> None:
    """TX-3.3.2 (7), tail-a: warned, restricted, suspended, and in probation a proposal; a hotel is left alone."""
    # 1. Two categories, one incident: the most of both and never their sum; provisional, held for a day, warned.
    assert await town.mail(*CASINO, to=400, text="casino") is not None
    shown = await town.show(ALICE)
    assert (shown["standing"], shown["points"], shown["provisional_points"]) == ("warned", 2, 2)
    assert {"links", "external_recipients", "bulk", "messages_per_hour:20"} <= set(shown["features_off"])
    await town.notice_received()
    # 2. The same campaign after notice: a new incident of three, and the first one is still in doubt.
    town.day(2)
    await town.mail(*CASINO, to=400, text="casino again", first=400)
    assert await town.has() == ("restricted", 5)
    assert len((await town.show(ALICE))["incidents"]) == 2
    await town.notice_received()
    # 3. Eight: suspended for a week, somebody looks.
    town.day(4)
    await town.mail(*CASINO, to=400, first=800)
    assert await town.has() == ("suspended", 8)
    assert await town.until() == town.clock.now() + timedelta(days=7)
    assert "review" in await town.tasks()
    await town.notice_received()
    # 4. In probation eight is as twelve: open-ended is warranted, a week imposed, the end of the account proposed.
    town.day(11, 1)
    assert await town.has() == ("warned", 8)
    await town.mail(*CASINO, to=400, first=1200)
    assert await town.has() == ("suspended", 11)
    assert "held back: points automation may not use; termination proposed" in await town.tasks()
    await town.notice_received()
    town.day(18, 2)
    assert (await town.show(ALICE))["standing"] == "warned"


async def test_story_s3_a_casino_hotel_is_no_case(town: Town) -> None:
    """6. A booking confirmation: contextual, delivered, nobody is asked."""
    assert await town.mail(GAMBLING, to=2) is None
    assert (await town.has(), (await town.show(ALICE))["incidents"], await town.tasks()) == (("good", 0), [], [])


async def test_story_s3_under_the_reseller_s_agreement(town: Town) -> None:
    """7. AL without a supplement: the mail is stopped or shaped, no points; with one: as TX, a written notice first."""
    bare = {"agreement": "aliyun-mail", "reseller": "Jiang Ltd"}
    await town.act("dana", "tenant.import", rows=[town.tenant_row(**bare)])
    for day in (0, 2, 4):
        town.day(day)
        await town.mail(*CASINO, to=400, first=400 * day)
        await town.notice_received()
        assert await town.has() == ("good", 0)
    signed = {
        "supplement": "aliyun-supplement", "supplement_document": "C-17", "supplement_signed_by_provider": "2026-03-01",
        "supplement_signed_by_tenant": "2026-03-01",
    }  # fmt: skip
    await town.act("dana", "tenant.import", rows=[town.tenant_row(**bare, **signed)])
    for day, standing in ((10, "warned"), (12, "restricted"), (14, "suspended")):
        town.day(day)
        await town.mail(*CASINO, to=400, first=400 * day)
        assert (await town.has())[0] == standing
        await town.notice_received()
    imposed = town.of(r.SanctionImposed)[-1]
    assert imposed.ends_at is None or imposed.ends_at <= imposed.starts_at + timedelta(days=7)


# --- S4 ---------------------------------------------------------------------------------------------------------------

ACME = [f"{name}@acme.example" for name in ("ann", "bob", "cat", "dan", "eve")]
SPAMMERS, INNOCENT = ACME[:3], ACME[4]
SIGNED = {
    "supplement": "aliyun-supplement", "supplement_document": "C-17", "supplement_signed_by_provider": "2026-02-01",
    "supplement_signed_by_tenant": "2026-02-20",
}  # fmt: skip


async def resold(town: Town, **more: str) -> None:
    """Fifty seats of a reseller's customer."""
    row = {
        "line": 2, "name": "Acme", "domains": "acme.example", "agreement": "aliyun-mail", "reseller": "Jiang Ltd",
        "seats": "50", "contact": "boss@elsewhere.example", **more,
    }  # fmt: skip
    await town.act("dana", "tenant.import", rows=[row])
    rows = [{"line": n, "login": login, "tenant": "Acme"} for n, login in enumerate(ACME, start=2)]
    await town.act("dana", "account.import", rows=rows)
    await town.hire("jiang", "rolf", role="reseller", dealer="Jiang Ltd")
    await town.hire("olga", role="reseller", dealer="Other Ltd")
    await town.hire("anna", role="tenant_admin", tenant="acme.example")


async def spams(town: Town, *logins: str) -> None:
    """A thousand strangers each, and every notice is received."""
    for login in logins:
        await town.mail(SPAM, "rate.recipients.high", to=1000, login=login, first=1000 * town.sent)
    await town.notice_received()


async def score(town: Town) -> tuple[float | None, list[str], list[str]]:
    """Say the points behind the tenant's score, its steps and its proposals."""
    shown = await town.act("jiang", "tenant.show", tenant="Acme")
    points = shown["score"]["points"] if shown["score"] is not None else None
    return points, [x["step"] for x in shown["steps"]], [x["proposes"] for x in shown["proposals"]]


async def test_story_s4_reseller_without_a_supplement(town: Town) -> None:
    """1. Messages stopped, holds, and nothing else: only a person of the reseller may write the notice."""
    await resold(town)
    for day in (0, 2, 4):
        town.day(day)
        await spams(town, *SPAMMERS)
    assert [await town.has(login) for login in SPAMMERS] == [("good", 0)] * 3
    assert await score(town) == (None, [], [])
    warn = {"account": SPAMMERS[0], "rung": "warn", "clause": "3.2", "reason": "ignored our advice three times"}
    for person in ("mo", "olga", "anna"):
        with pytest.raises(RefusedError):
            await town.act(person, "sanction.impose", **warn)
    await town.act("jiang", "sanction.impose", **warn)
    assert await town.has(SPAMMERS[0]) == ("warned", 0)
    assert "breach_notice" in town.promised()


async def test_story_s4_reseller(town: Town) -> None:
    """AL-1.2, AL-7.1, STANDING 5.7-15: the tenant's steps follow three accounts, and a cure nobody answers lifts."""
    await resold(town, **SIGNED)
    # 2. Each account is warned first, and then climbs.
    await spams(town, *SPAMMERS)
    assert [(await town.has(login))[0] for login in SPAMMERS] == ["warned"] * 3
    # 3. Three accounts: 22 points over the root of 50 seats is three, 36 five, 57 eight.
    town.day(2)
    await spams(town, *SPAMMERS[:1])
    assert (await score(town))[1:] == ([], [])
    await spams(town, *SPAMMERS[1:2])
    points, steps, _ = await score(town)
    assert (round((points or 0) * 50**0.5), steps) == (22, ["warn"])
    await spams(town, *SPAMMERS[2:])
    assert [(await town.has(login))[0] for login in SPAMMERS] == ["suspended"] * 3
    town.day(10)
    await spams(town, *SPAMMERS[:2])
    points, steps, _ = await score(town)
    assert (round((points or 0) * 50**0.5), steps) == (37, ["warn", "quota"])
    # 5. The others learn that they are limited, that they are in good standing, whom to ask, and of nobody.
    assert "co_user" in town.promised()
    limited = await town.mail(login=INNOCENT, to=210)
    assert limited is not None
    assert "own standing is good" in limited.text
    assert not any(login.partition("@")[0] in limited.text for login in SPAMMERS)
    town.day(18)
    await spams(town, *SPAMMERS[2:], *SPAMMERS[:2])
    town.day(26)
    await spams(town, SPAMMERS[2])
    points, _, proposals = await score(town)
    assert (round((points or 0) * 50**0.5), proposals) == (57, ["suspend"])
    # 4. The reseller does nothing for a day: the platform may set the quota, as protection.
    with pytest.raises(RefusedError, match="24 hours"):
        await town.act("mo", "tenant.quota", tenant="Acme", reason="idle")
    town.day(27, 1)
    assert (await town.act("mo", "tenant.quota", tenant="Acme", reason="idle"))["technical"] is True
    # 6. A cure in its three parts that nobody answers in three days: lifted, on probation.
    sanction = next(x for x in (await town.show(SPAMMERS[2]))["sanctions"] if x["rung"] == "suspend")
    parts = {"stopped": "it is off", "measures": "passwords changed", "waiver": "waived in writing"}
    await town.act("anna", "cure.file", sanction=sanction["sanction_id"], **parts)
    assert "cure_received" in town.promised()
    assert (await town.has(SPAMMERS[2]))[0] == "suspended"
    town.day(31)
    assert (await town.has(SPAMMERS[2]))[0] == "warned"
    await spams(town, SPAMMERS[2])
    assert town.of(r.IncidentOpened, SPAMMERS[2])[-1].is_in_probation
    # 8. A reseller sees its own tenants only.
    assert [x["name"] for x in await town.act("olga", "tenant.list")] == []
    assert [x["name"] for x in await town.act("jiang", "tenant.list")] == ["Acme"]


# --- S5 ---------------------------------------------------------------------------------------------------------------

FEES = {"to": 600}


async def test_story_s5_an_easy_school(town: Town) -> None:
    """1. Volume and stale addresses are one group of signals: mode B, one point, a warning; a person ends it there."""
    assert await town.mail(UNKNOWN, "rate.recipients.high", **FEES) is not None
    assert await town.has() == ("warned", 1)
    (sanction,) = (await town.show(ALICE))["sanctions"]
    said = await town.act("mo", "sanction.annul", sanction=sanction["sanction_id"], reason="fee notices")
    assert (said["standing"], said["points"]) == ("good", 0)


async def test_story_s5_innocent_school(town: Town) -> None:
    """TX-4.1.3, TX-6.1, STANDING 5.6, 5.7-3, 5.7-5: one click, nobody answers, a grant, and never again."""
    letters = (SPAM, UNKNOWN, BURST)
    # 2. A payment link trips the text model too: A. Bulk is held for a day, a warning, two points in doubt.
    assert await town.mail(*letters, **FEES) is not None
    shown = await town.show(ALICE)
    assert (shown["standing"], shown["points"], shown["provisional_points"]) == ("warned", 2, 2)
    assert "bulk" in shown["features_off"]
    await town.notice_received()
    # 3.
    town.day(2)
    await town.mail(*letters, **FEES, first=100)
    assert (await town.has())[0] == "restricted"
    await town.notice_received()
    # 4. Suspended for a week; the reply names page and case, and mail still comes in.
    town.day(5, 10)
    await town.mail(*letters, **FEES, first=50)
    assert await town.has() == ("suspended", 8)
    reply = await town.refuses(BOB)
    assert reply is not None
    assert (reply.code, reply.enhanced) == (550, "5.7.13")
    assert "https://mail.provider.example/case/" in reply.text
    assert "token" not in reply.text
    answer = await town.send(letter("hi", sender="mum@home.example"), ALICE, listener="inbound")
    assert answer.reply is None
    await town.notice_received()
    # 5. One click: acknowledged.
    town.day(5, 10.1)
    await town.act("mo", "appeal.file", target=ALICE)
    assert "objection_received" in town.promised()
    # 6. Nobody answers: a day later one rung down, and letters from person to person work.
    town.day(6, 10)
    assert (await town.has())[0] == "suspended"
    town.day(6, 10.2)
    shown = await town.show(ALICE)
    assert (shown["standing"], sorted(shown["features_off"])) == ("restricted", ["bulk", "messages_per_hour:20"])
    assert await town.until() == town.begun + timedelta(days=12, hours=10)
    assert await town.mail() is None
    # 7. A person grants the whole row: three strikes and what came of them are gone.
    town.day(6, 14)
    for incident in (await town.show(ALICE))["incidents"]:
        if incident["incident_id"] not in {x["incident_id"] for x in await town.ledger.call("appeal.list", {})}:
            await town.act("mo", "appeal.file", target=incident["incident_id"])
    (one, *_) = await town.ledger.call("appeal.list", {})
    said = await town.act(
        "eva", "appeal.decide_batch", appeal=one["appeal_id"], outcome="granted", reason="fee notices to parents"
    )
    assert (len(said["appeals"]), said["standing"], said["points"]) == (3, "good", 0)
    assert (await town.act("dana", "tenant.show", tenant="cust.example"))["charges"] == []
    # 8. What is said of it has the minutes.
    assert [x.minutes for x in town.of(r.AppealDecided) if x.minutes] != []
    assert "annulled" in town.promised()
    # 9. Next month's letter, another text to the same parents: no points, for half a year.
    town.day(36)
    await town.mail(*letters, **FEES)
    assert await town.has() == ("good", 0)
    given = town.of(r.ExculpationGranted)
    assert {x.kind for x in given} == {"evidence", "pattern"}
    assert all(x.until == datetime.fromisoformat(x.at.isoformat()) + timedelta(days=180) for x in given)


# --- a case beside the stories ----------------------------------------------------------------------------------------


async def test_case_payroll_200_ids(town: Town) -> None:
    """TX-3.3.2 tail-g: a payroll mail is delivered, breaches nothing and is in nobody's file."""
    assert await town.mail("pii.resident_id.bulk", to=3) is None
    assert (await town.has(), (await town.show(ALICE))["incidents"]) == (("good", 0), [])
    (decided,) = town.events("decided")
    assert decided["decision"]["disposition"] == "accept"
    # The sender is advised; the administrator learns kinds and numbers, and not whose mail it was.
    await town.mail("pii.resident_id.bulk", "pii.card.bulk", login="amy@cust.example")
    assert town.promised() == []
    await town.gate.flush()
    told = await town.promises("notice")
    tenant_id = (await town.show(ALICE))["tenant_id"]
    said = {
        (x["account_id"], tuple(x["audiences"])): sorted((f["code"], f["count"]) for f in x["facts"]) for x in told
    }
    assert said == {
        ((await town.show(ALICE))["account_id"], ("account", "contact")): [("pii.bulk", 1)],
        ((await town.show("amy@cust.example"))["account_id"], ("account", "contact")): [("pii.bulk", 1)],
        (None, ("account", "contact", "tenant")): [("pii.card", 1), ("pii.resident_id", 2)],
    }
    assert {x["tenant_id"] for x in told} == {tenant_id}
    # The same again is the same notice.
    await town.mail("pii.resident_id.bulk", to=3)
    await town.gate.flush()
    assert len(await town.promises("notice")) == 3
