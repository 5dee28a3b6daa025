"""Who is told by which channel, and what is done when one fails.  TX-6.1, TX-6.2, CLAUSES §7.

The ledger is the real engine; only the mail system is a double.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.fold import apply
from filterd.agreement.load import read
from filterd.checks import ALL_CODES
from filterd.clients.keys import derive
from filterd.clients.webhook import Endpoint
from filterd.errors import RefusedError, UsageError
from filterd.ledger.engine import LedgerEngine
from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Account, Tenant
from filterd.model.reply import Reply
from filterd.model.sanction import Preset, Rung
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.model.session import Path as Path_
from filterd.pipeline.notice_events import Fact, announce_event
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notice_paths import read_reverse_path
from filterd.pipeline.notice_reports import Bounce, ReportReader, read_bounce
from filterd.pipeline.notice_samples import sample_facts
from filterd.pipeline.notice_table import Audience
from filterd.pipeline.notice_verbs import NoticeVerbs
from filterd.pipeline.verbs import DeskRules
from filterd.ports import Intake, LedgerTxn
from filterd.share import path
from filterd.workers.outbox import OutboxWorker
from filterd.workers.webhook import TOPIC, Webhooks
from tests.kit.clock import FrozenClock
from tests.kit.terms import tencent
from tests.mail.test_report import dsn
from tests.workers.rig import ACCOUNT, SETTINGS, SPAM, TENANT, Story, at, templates, three_bursts

pytestmark = pytest.mark.slow

REPORTS = "notices@filterd.example"
OK = Reply(code=250, enhanced="2.0.0", text="queued")
GONE = Reply(code=550, enhanced="5.1.1", text="no such user")
HOLDER = replace(ACCOUNT, contact="dave@elsewhere.example", language="en")
OWNER = replace(TENANT, second_contact="boss@corp.example", language="en")
FILE = path("policies/agreements/house-aup.toml")
HOUSE = read(FILE.read_bytes(), str(FILE), ALL_CODES)


@dataclass
class Postbox:
    """Implements ports.Mailer: all is accepted but what `refused` names."""

    refused: set[str] = field(default_factory=set)
    sent: list[tuple[str, str | None, EmailMessage]] = field(default_factory=list)

    async def send(self, raw: bytes, recipient: str, reverse_path: str | None = None) -> Reply:
        if recipient in self.refused:
            return GONE
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.sent.append((recipient, reverse_path, message))
        return OK

    @property
    def readers(self) -> list[str]:
        return [recipient for recipient, _, _ in self.sent]

    def text(self, reader: str) -> str:
        return next(str(m.get_content()) for x, _, m in self.sent if x == reader).replace("\r\n", "\n")


@dataclass
class House:
    engine: LedgerEngine
    clock: FrozenClock
    postbox: Postbox
    worker: OutboxWorker
    desk: NoticeDesk

    async def tell(self, event: str, subject: str, **change: Any) -> None:
        """Promise an event with made-up facts about what the directory has, and carry it out."""
        facts: dict[str, Fact] = {**sample_facts(event, self.clock.now(), tencent()), **change}
        await self.engine.submit(lambda txn: announce_event(txn, event, subject, facts))
        await self.drain()

    async def drain(self, **after: float) -> None:
        for _ in range(3):
            await self.worker.drain_once(self.clock.advance(**after))
            after = {"seconds": 1}

    async def warn(self, story: Story | None = None, *templates_: str) -> Story:
        """Put a story into the ledger and tell of its latest incident."""
        told = story or untold()

        def work(txn: LedgerTxn) -> None:
            for record in told.records:
                txn.append(record, account_id=told.account_id, tenant_id=TENANT.tenant_id)
            payload = {
                "account_id": told.account_id,
                "tenant_id": TENANT.tenant_id,
                "incident_id": told.incident_id,
                "templates": list(templates_ or ("warning",)),
                "sanction_ids": list(told.sanction_ids()),
            }
            txn.post("notice", payload, due_at=self.clock.now())

        await self.engine.submit(work)
        await self.drain()
        return told

    async def records(self, subject: str = ACCOUNT.account_id) -> list[r.NoticeSent]:
        found = await self.engine.submit(lambda txn: txn.records(subject))
        return [x for x in found if isinstance(x, r.NoticeSent)]

    async def received(self) -> tuple[Any, ...]:
        history = await self.engine.submit(lambda txn: txn.history(ACCOUNT.account_id))
        return history.incidents[-1].notices

    async def call(self, verb: str, **arguments: Any) -> Any:
        run = NoticeVerbs(lambda: self.desk).table()[verb]
        return await self.engine.submit(lambda txn: run(txn, arguments))

    async def bounce(self, notice_id: str, audience: str, status: str) -> Any:
        return await self.call("notice.bounced", notice=notice_id, audience=audience, status=status)


def untold() -> Story:
    story = Story()
    story.mail(0, SPAM, recipients=3, noticed=False)
    return story


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock, postbox, terms = FrozenClock(at(0.1)), Postbox(), tencent()
    engine = LedgerEngine.open(
        state_dir=tmp_path,
        node="node1",
        keys=derive(bytes(32)),
        clock=clock,
        apply=lambda history, record, account_id: apply(history, record),
    )
    rules = DeskRules(
        terms={terms.id: terms, HOUSE.id: HOUSE},
        by_digest={terms.digest: terms},
        preset=Preset.SUPERVISED,
        default_agreement=terms.id,
        auto_create_per_day=500,
        notice_merge=timedelta(seconds=60),
    )
    desks = {"Jiang Ltd": "orders@jiang.example"}
    settings = replace(
        SETTINGS, report_address=REPORTS, desk_address="desk@filterd.example", reseller_desks=desks
    )
    desk = NoticeDesk(rules, templates(), settings)
    worker = OutboxWorker(engine, engine.submit, desk, postbox, clock)

    def directory(txn: LedgerTxn) -> None:
        txn.put_tenant(OWNER)
        txn.put_account(HOLDER)

    await engine.submit(directory)
    yield House(engine, clock, postbox, worker, desk)
    await engine.close()


# --- general notices --------------------------------------------------------------------------------------------------


async def test_a_general_notice_goes_to_the_user_and_the_tenant_and_is_on_record(house: House) -> None:
    await house.tell("reinstated", ACCOUNT.account_id)
    assert house.postbox.readers == ["dave@corp.example", "dave@elsewhere.example", "admin@corp.example"]
    [record] = await house.records()
    assert (record.template, record.template_version, record.outcome) == ("reinstated", "1.2", "accepted")
    assert record.channel == "account+contact+tenant"
    assert record.deemed_at is not None
    assert await house.engine.pending() == ()


async def test_a_security_notice_also_goes_to_the_second_contact_and_others_do_not(house: House) -> None:
    await house.tell("security_hold", ACCOUNT.account_id)
    assert "boss@corp.example" in house.postbox.readers
    assert "http" not in house.postbox.text("dave@corp.example")
    await house.tell("reinstated", ACCOUNT.account_id)
    assert house.postbox.readers.count("boss@corp.example") == 1


async def test_a_notice_about_a_tenant_is_on_the_tenants_own_record(house: House) -> None:
    await house.tell("renewal_due", TENANT.tenant_id)
    [record] = await house.records(TENANT.tenant_id)
    assert (record.account_id, record.tenant_id, record.template) == ("", TENANT.tenant_id, "renewal_due")
    shown = await house.call("notice.show", notice=record.notice_id)
    assert "Corp Ltd" in shown["letters"]["tenant"]


async def test_co_users_are_told_and_who_caused_it_is_not(house: House) -> None:
    def directory(txn: LedgerTxn) -> None:
        for name in ("amy", "ben"):
            login = f"{name}@corp.example"
            txn.put_account(Account(account_id=f"a_{name}", tenant_id=TENANT.tenant_id, login=login, language="en"))
        txn.put_tenant(Tenant(tenant_id="n_other", name="Other", agreement="tencent-exmail", domains=("o.example",)))
        txn.put_account(Account(account_id="a_zoe", tenant_id="n_other", login="zoe@o.example"))

    await house.engine.submit(directory)
    await house.tell("co_user", TENANT.tenant_id, except_ids=(ACCOUNT.account_id,))
    assert sorted(house.postbox.readers) == ["amy@corp.example", "ben@corp.example"]
    assert "your own standing is good" in house.postbox.text("amy@corp.example")
    for reader in house.postbox.readers:
        assert "dave" not in house.postbox.text(reader)


async def test_a_complainant_is_answered_and_stands_in_nobodys_file(house: House) -> None:
    facts: dict[str, Fact] = {"complaint_id": "c_1", "received_at": house.clock.now()}
    who = "zoe@outside.example"
    await house.engine.submit(lambda txn: announce_event(txn, "complaint_acknowledged", None, facts, recipient=who))
    await house.drain()
    assert house.postbox.readers == [who]
    # The ledger's own transaction has more looks than the port.
    rows = await house.engine.submit(lambda txn: txn.recent_entries(50))  # type: ignore[attr-defined]
    [row] = [x for x in rows if isinstance(x.record, r.NoticeSent)]
    assert not row.personal
    assert b"zoe" not in row.entry.body


async def test_the_desk_reads_what_waits_for_a_person(house: House) -> None:
    await house.tell("desk_task", ACCOUNT.account_id)
    await house.drain(hours=1)
    assert house.postbox.readers == ["desk@filterd.example"]


async def test_an_authority_may_delay_a_notice_and_it_goes_out_afterwards(house: House) -> None:
    until = house.clock.now() + timedelta(days=30)

    def delay(txn: LedgerTxn) -> None:
        row = r.NoticeDelayed(
            at=txn.now,
            entry_id="g_1",
            account_id=ACCOUNT.account_id,
            ground="investigation",
            document="D1",
            until=until,
            by="mei",
            approver="lin",
        )
        txn.append(row, account_id=ACCOUNT.account_id, tenant_id=TENANT.tenant_id)

    await house.engine.submit(delay)
    await house.tell("reinstated", ACCOUNT.account_id)
    assert (house.postbox.readers, await house.records()) == ([], [])
    await house.drain(days=29)
    assert house.postbox.readers == []
    await house.drain(days=1, hours=1)
    assert len(house.postbox.readers) == 3


# --- what the tenant's side reads -------------------------------------------------------------------------------------


def decided_by_a_person(category: str, *, is_automatic: bool) -> Story:
    """A sanction in a category only people may judge, imposed by a person, or by a machine (which cannot be)."""
    story = Story()
    incident = derived_id("i", category)
    opened = r.IncidentOpened(
        at=at(0),
        incident_id=incident,
        account_id=ACCOUNT.account_id,
        tenant_id=TENANT.tenant_id,
        family="x",
        evidence_key="e",
        is_after_notice=False,
        is_first=True,
    )
    imposed = r.SanctionImposed(
        at=at(0),
        sanction_id=derived_id("s", category),
        incident_id=incident,
        decision_id="d_1",
        account_id=ACCOUNT.account_id,
        rung=Rung.WARN,
        step=0,
        features=(),
        category=category,
        clauses=("3.6",),
        starts_at=at(0),
        ends_at=at(500),
        lapses_at=None,
        step_down_features=(),
        is_automatic=is_automatic,
        by="system" if is_automatic else "mei",
        warranted=Rung.WARN,
    )
    story.take(opened, imposed)
    return story


@pytest.mark.parametrize("category", ["pol.rumour", "abuse.insult"])
async def test_of_what_only_people_may_judge_the_tenant_reads_one_line(house: House, category: str) -> None:
    story = await house.warn(decided_by_a_person(category, is_automatic=False))
    text = house.postbox.text("admin@corp.example")
    assert f"Case {story.incident_id.removeprefix('i_')[:12]}" in text
    assert "dave" not in text
    assert "3.6" not in text
    assert "3.6" in house.postbox.text("dave@corp.example")


async def test_before_a_person_has_decided_the_tenant_reads_nothing_of_it(house: House) -> None:
    await house.warn(decided_by_a_person("pol.rumour", is_automatic=True))
    assert "admin@corp.example" not in house.postbox.readers


async def test_of_other_cases_the_tenant_reads_the_whole(house: House) -> None:
    await house.warn()
    assert "dave@corp.example" in house.postbox.text("admin@corp.example")


# --- the second channel -----------------------------------------------------------------------------------------------


async def test_when_nobody_can_be_reached_the_second_contact_and_the_desk_are_told(house: House) -> None:
    house.postbox.refused = {"dave@corp.example", "dave@elsewhere.example", "admin@corp.example"}
    await house.warn()
    assert house.postbox.readers == ["boss@corp.example", "desk@filterd.example"]
    first, second = await house.records()
    assert (first.outcome, first.deemed_at) == ("failed", None)
    assert (second.outcome, second.channel) == ("accepted", "second+party")
    assert await house.received() == (second.deemed_at,)


async def test_t_tx_2_1_3_what_cannot_reach_the_contact_goes_through_the_dealer(house: House) -> None:
    sold = replace(OWNER, channel="dealer", reseller="Jiang Ltd", second_contact=None)
    await house.engine.submit(lambda txn: txn.put_tenant(sold))
    await house.tell("renewal_due", sold.tenant_id)
    assert house.postbox.readers == ["admin@corp.example"]
    house.postbox.sent.clear()
    house.postbox.refused = {"admin@corp.example"}
    await house.tell("service_renewed", sold.tenant_id)
    assert "orders@jiang.example" in house.postbox.readers
    told = [x for x in await house.records(sold.tenant_id) if x.template == "service_renewed"]
    assert [(x.outcome, x.channel) for x in told] == [("failed", "tenant"), ("accepted", "party+dealer")]
    # Whoever bought directly has no dealer, whatever name stands in the record.
    house.postbox.sent.clear()
    await house.engine.submit(lambda txn: txn.put_tenant(replace(sold, channel="direct")))
    await house.tell("deletion_imminent", sold.tenant_id)
    assert house.postbox.readers == ["desk@filterd.example"]


async def test_the_dealer_reads_one_line_of_a_case_for_people(house: House) -> None:
    """TX-2.1.3 gives the dealer no more than the tenant itself reads (CLAUSES §7)."""
    sold = replace(OWNER, channel="dealer", reseller="Jiang Ltd", contact=None, second_contact=None)
    await house.engine.submit(lambda txn: txn.put_tenant(sold))
    house.postbox.refused = {"dave@corp.example", "dave@elsewhere.example"}
    await house.warn()
    assert "Copy for Corp Ltd" in house.postbox.text("orders@jiang.example")


async def test_a_fallback_that_fails_too_is_the_end(house: House) -> None:
    house.postbox.refused = {
        "dave@corp.example",
        "dave@elsewhere.example",
        "admin@corp.example",
        "boss@corp.example",
        "desk@filterd.example",
    }
    await house.warn()
    assert [x.outcome for x in await house.records()] == ["failed", "failed"]
    assert await house.engine.pending() == ()


# --- what comes back --------------------------------------------------------------------------------------------------


async def test_the_reverse_path_says_which_copy_it_is(house: House) -> None:
    await house.warn()
    [record] = await house.records()
    paths = {recipient: back for recipient, back, _ in house.postbox.sent}
    assert all(back is not None and len(back.partition("@")[0]) <= 64 for back in paths.values())
    back = paths["admin@corp.example"]
    assert back is not None
    assert read_reverse_path(back, REPORTS) == (record.notice_id, Audience.TENANT)
    assert read_reverse_path("notices+m_1.t@filterd.example", REPORTS) is None
    assert read_reverse_path(back, "other@filterd.example") is None


@pytest.mark.parametrize("way", ["envelope", "envelope_id", "message_id"])
async def test_a_report_leads_back_to_its_copy(house: House, way: str) -> None:
    await house.warn()
    [record] = await house.records()
    _, back, mail = next(x for x in house.postbox.sent if x[0] == "dave@corp.example")
    group = "Action: failed\nStatus: 5.1.1"
    raw = {
        "envelope": dsn(group),
        "envelope_id": dsn(group, envelope_id=f"{record.notice_id}.a"),
        "message_id": dsn(group, returned=f"Message-ID: {mail['Message-ID']}\n"),
    }[way]
    recipients = (back or "",) if way == "envelope" else ("postmaster@filterd.example",)
    expected = Bounce(notice_id=record.notice_id, audience=Audience.ACCOUNT, status="5.1.1")
    assert read_bounce(raw, recipients, REPORTS) == expected
    assert read_bounce(dsn("Action: delayed\nStatus: 4.4.1"), recipients, REPORTS) is None


async def test_a_wrong_address_given_to_us_leaves_the_notice_received(house: House) -> None:
    await house.warn()
    [record] = await house.records()
    for audience in ("account", "contact", "tenant"):
        answer = await house.bounce(record.notice_id, audience, "5.1.1")
        assert answer["is_theirs"] is True
    assert await house.received() == (record.deemed_at,)
    # Nobody is left who has it: the others are told.
    await house.drain()
    assert house.postbox.readers[-2:] == ["boss@corp.example", "desk@filterd.example"]


async def test_our_own_failure_takes_the_receipt_back_until_the_next_channel_accepts(house: House) -> None:
    """case_deemed_withdrawn_on_our_failure"""
    await house.warn()
    [record] = await house.records()
    await house.bounce(record.notice_id, "account", "5.7.1")
    assert await house.received() == (record.at,)
    for audience in ("contact", "tenant"):
        await house.bounce(record.notice_id, audience, "5.7.1")
    assert await house.received() == ()
    await house.drain(hours=5)
    later = (await house.records())[-1]
    assert (later.outcome, later.channel) == ("accepted", "second+party")
    assert await house.received() == (later.deemed_at,)


async def test_the_same_report_twice_adds_nothing(house: House) -> None:
    await house.warn()
    [record] = await house.records()
    assert (await house.bounce(record.notice_id, "account", "5.1.1"))["recorded"] is True
    assert (await house.bounce(record.notice_id, "account", "5.1.1"))["recorded"] is False
    [shown] = await house.call("notice.list", subject="dave@corp.example")
    assert shown["came_back"] == [{"audience": "account", "status": "5.1.1", "is_theirs": True}]


async def test_a_report_about_nothing_of_ours_is_refused(house: House) -> None:
    with pytest.raises(RefusedError):
        await house.bounce("m_" + "00" * 20, "account", "5.1.1")
    await house.warn()
    [record] = await house.records()
    with pytest.raises(RefusedError):
        await house.bounce(record.notice_id, "party", "5.1.1")
    with pytest.raises(UsageError):
        await house.bounce(record.notice_id, "account", "2.0.0")


# --- other systems ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [False, True])
async def test_a_webhook_is_told_and_counts_only_where_its_operator_says_so(house: House, counts: bool) -> None:
    bodies: list[bytes] = []

    async def post(endpoint: object, webhook_id: str, when: object, body: bytes) -> int:
        bodies.append(body)
        return 200

    endpoint = Endpoint(name="desk", url="https://x.example/", secrets=str, counts_as_notice=counts)
    hooks = Webhooks([endpoint], post, house.clock, source="filterd/node1")
    house.worker = OutboxWorker(
        house.engine, house.engine.submit, house.desk, house.postbox, house.clock, carriers={TOPIC: hooks}, herald=hooks
    )
    house.postbox.refused = {"dave@corp.example", "dave@elsewhere.example", "admin@corp.example"}
    house.postbox.refused |= {"boss@corp.example", "desk@filterd.example"}
    await house.warn()
    assert len(bodies) == 2
    assert all(b"@" not in body for body in bodies)
    by_hook = [x for x in await house.records() if x.channel == "webhook:desk"]
    assert {x.outcome for x in by_hook} == {"accepted" if counts else "posted"}
    assert (len(await house.received()) > 0) is counts


class Telling:
    """Implements the part of ports.Ledger that a report reader uses."""

    def __init__(self, house: House):
        self._house = house

    async def call(self, verb: str, arguments: Any) -> Any:
        return await self._house.call(verb, **arguments)


async def test_a_report_that_comes_by_mail_is_heeded_and_a_forged_one_is_not(house: House) -> None:
    await house.warn()
    [record] = await house.records()
    reader = ReportReader(Telling(house), REPORTS)  # type: ignore[arg-type]
    raw = dsn("Action: failed\nStatus: 5.7.1")

    def intake(tag: str, reverse: Path_ | None = None) -> Intake:
        address = ForwardPath(path=parse_forward_path(f"<notices+{tag}@filterd.example>".encode(), smtputf8=False))
        envelope = Envelope(reverse_path=reverse, forward_paths=(address,))
        session = Session(id="c_1", door=Door.SMTP, listener="in", peer_address="192.0.2.1")
        return Intake(session=session, envelope=envelope, raw=raw)

    for wrong in (intake("m_" + "00" * 20 + ".a"), intake(f"{record.notice_id}.x"), intake("x")):
        await reader.note(wrong)
    sender = parse_forward_path(b"<x@y.example>", smtputf8=False)
    await reader.note(intake(f"{record.notice_id}.a", sender))
    [shown] = await house.call("notice.list", subject="dave@corp.example")
    assert shown["came_back"] == []
    await reader.note(intake(f"{record.notice_id}.a"))
    [shown] = await house.call("notice.list", subject="dave@corp.example")
    assert [x["status"] for x in shown["came_back"]] == ["5.7.1"]


# --- looking ----------------------------------------------------------------------------------------------------------


async def test_the_letters_are_shown_as_they_went_out(house: House) -> None:
    await house.warn(three_bursts(), "suspension")
    [*_, record] = await house.records()
    shown = await house.call("notice.show", notice=record.notice_id)
    for audience, reader in (("account", "dave@corp.example"), ("tenant", "admin@corp.example")):
        text = shown["letters"][audience].partition("\n\n")[2]
        assert text.split() == house.postbox.text(reader).split()
    assert "dave@elsewhere.example" not in str(shown)


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
async def test_a_preview_sends_nothing_and_reads_as_the_reader_would(house: House, language: str) -> None:
    shown = await house.call("notice.preview", event="renewal_due", agreement="house-aup", language=language)
    assert (shown["agreement"], shown["version"]) == ("house-aup", "1.2")
    assert shown["copies"]["tenant"]["languages"] == [language]
    mine = await house.call("notice.preview", event="stepped_down", account="dave@corp.example")
    assert "dave@corp.example" in mine["copies"]["account"]["text"]
    assert house.postbox.sent == []
    assert await house.engine.pending() == ()


async def test_a_preview_of_nothing_names_what_there_is(house: House) -> None:
    with pytest.raises(UsageError, match="renewal_due"):
        await house.call("notice.preview", event="no_such")
    with pytest.raises(UsageError, match="tencent-exmail"):
        await house.call("notice.preview", event="renewal_due", agreement="no-such")
