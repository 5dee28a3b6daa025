"""The notice goes out once, to the right people, or its failure is on record.  TX-6.1, TX-6.2, FAULTS rows 55 and 56.

The ledger is the real engine; only the mail system is a double.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.fold import apply
from filterd.agreement.terms import Agreement
from filterd.clients.keys import derive
from filterd.errors import LedgerUnavailable, PeerError, PortError
from filterd.ledger.engine import LedgerEngine
from filterd.model.about import About
from filterd.model.principal import Account, Tenant
from filterd.model.records import NoticeSent
from filterd.model.reply import Reply
from filterd.model.sanction import Preset
from filterd.pipeline.notice_mail import NoticeDesk, NoticeFacts, NoticeRequest, addresses
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn, OutboxItem
from filterd.workers import outbox
from filterd.workers.outbox import BACKOFF, GIVE_UP_AFTER, OutboxWorker, backoff
from tests.kit.clock import FrozenClock
from tests.kit.terms import tencent
from tests.workers.rig import ACCOUNT, SETTINGS, TENANT, VIRUS, Story, at, first_virus, templates, three_bursts

pytestmark = pytest.mark.slow

OK = Reply(code=250, enhanced="2.0.0", text="queued")
BUSY = Reply(code=451, enhanced="4.3.0", text="later, dave@corp.example")
GONE = Reply(code=550, enhanced="5.1.1", text="no such user dave@corp.example")
DOWN = PortError("connection refused")


@dataclass
class Postbox:
    """Implements ports.Mailer. `answers` by recipient: replies or errors in turn, the last one for ever; else OK."""

    answers: dict[str, list[Reply | Exception]] = field(default_factory=dict)
    sent: list[tuple[str, EmailMessage]] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    paths: list[str | None] = field(default_factory=list)

    async def send(self, raw: bytes, recipient: str, reverse_path: str | None = None) -> Reply:
        await asyncio.sleep(0)
        self.tried.append(recipient)
        self.paths.append(reverse_path)
        turn = self.answers.get(recipient, [OK])
        answer = turn.pop(0) if len(turn) > 1 else turn[0]
        if isinstance(answer, Exception):
            raise answer
        if answer.is_positive:
            message = email.message_from_bytes(raw, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.sent.append((recipient, message))
        return answer


@dataclass
class House:
    """A ledger, a worker on it, and everything it tells."""

    engine: LedgerEngine
    clock: FrozenClock
    postbox: Postbox
    worker: OutboxWorker
    notices: list[NoticeSent]
    ages: list[float]
    errors: list[tuple[str, str]]

    async def promise(self, story: Story, *templates: str, topic: str = "notice", **more: Any) -> str:
        """Put the story into the ledger and promise a notice about its latest incident."""

        def work(txn: LedgerTxn) -> str:
            for record in story.records[len(txn.records(story.account_id)) :]:
                txn.append(record, account_id=story.account_id, tenant_id=TENANT.tenant_id)
            payload = {
                "account_id": story.account_id,
                "tenant_id": TENANT.tenant_id,
                "incident_id": story.incident_id,
                "templates": list(templates),
                "sanction_ids": list(story.sanction_ids()),
                **more,
            }
            return txn.post(topic, payload, due_at=self.clock.now())

        return await self.engine.submit(work)

    async def directory(self, account: Account | None = ACCOUNT, tenant: Tenant = TENANT) -> None:
        def work(txn: LedgerTxn) -> None:
            txn.put_tenant(tenant)
            if account is not None:
                txn.put_account(account)

        await self.engine.submit(work)

    async def drain(self, **after: float) -> int:
        return await self.worker.drain_once(self.clock.advance(**after))

    async def records(self) -> list[NoticeSent]:
        found = await self.engine.submit(lambda txn: txn.records(ACCOUNT.account_id))
        return [x for x in found if isinstance(x, NoticeSent)]

    async def noticed(self) -> tuple[Any, ...]:
        history = await self.engine.submit(lambda txn: txn.history(ACCOUNT.account_id))
        return history.incidents[-1].notices


def desk(*earlier: Agreement) -> NoticeDesk:
    """With the agreement in force and, by digest, earlier ones."""
    terms = tencent()
    rules = DeskRules(
        terms={terms.id: terms},
        by_digest={x.digest: x for x in (terms, *earlier)},
        preset=Preset.SUPERVISED,
        default_agreement=terms.id,
        auto_create_per_day=500,
        notice_merge=timedelta(seconds=60),
    )
    return NoticeDesk(rules, templates(), SETTINGS)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(at(0.1))


@pytest.fixture
def house(tmp_path: Path, clock: FrozenClock) -> Iterator[House]:
    engine = LedgerEngine.open(
        state_dir=tmp_path / "state",
        node="node1",
        keys=derive(bytes(range(32))),
        clock=clock,
        apply=lambda history, record, account_id: apply(history, record),
    )
    house = make_house(engine, clock, Postbox())
    yield house
    engine.stop()


def make_house(engine: LedgerEngine, clock: FrozenClock, postbox: Postbox, port: Any = None, **options: Any) -> House:
    notices: list[NoticeSent] = []
    ages: list[float] = []
    errors: list[tuple[str, str]] = []
    worker = OutboxWorker(
        port or engine,
        engine.submit,
        desk(),
        postbox,
        clock,
        on_notice=notices.append,
        on_oldest_age=ages.append,
        on_error=lambda item, error: errors.append((item, error)),
        **options,
    )
    return House(engine, clock, postbox, worker, notices, ages, errors)


def text_of(message: EmailMessage) -> str:
    return str(message.get_content()).replace("\r\n", "\n")


def text_of_letter(known: NoticeDesk, facts: NoticeFacts) -> str:
    return known.letters(facts, at(1))[0].notice.text


def untold() -> Story:
    """Two messages with a virus whose notice has not gone out: a warning and a hold."""
    story = first_virus()
    story.records = [x for x in story.records if not isinstance(x, NoticeSent)]
    return story


# --- it arrives -------------------------------------------------------------------------------------------------------


async def test_a_notice_goes_to_mailbox_contact_and_tenant_and_counts_from_the_first_acceptance(house: House) -> None:
    await house.directory(replace(ACCOUNT, contact="dave@private.example", language="en"))
    await house.promise(untold(), "warning", "hold")
    assert await house.drain() == 1
    assert [to for to, _ in house.postbox.sent] == [
        "dave@corp.example",
        "dave@private.example",
        "admin@corp.example",
    ]
    [record] = await house.records()
    assert house.notices == [record]
    assert (record.template, record.languages, record.outcome) == ("warning+hold", ("en",), "accepted")
    assert (record.channel, record.deemed_at) == ("account+contact+tenant", at(0.1))
    assert await house.noticed() == (at(0.1),)
    assert await house.drain(days=4) == 0
    assert len(house.postbox.sent) == 3


async def test_a_notice_mail_is_marked_as_automatic_and_answers_go_to_the_appeals_address(house: House) -> None:
    await house.directory(replace(ACCOUNT, language="en"))
    await house.promise(untold(), "warning", "hold")
    await house.drain()
    [(_, message), (_, copy)] = house.postbox.sent
    assert message["From"] == "Mail policy <policy@filterd.example>"
    assert message["To"] == "dave@corp.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Reply-To"] == "appeals@filterd.example"
    assert message["Message-ID"].endswith(".account@filterd.example>")
    assert copy["Message-ID"].endswith(".tenant@filterd.example>")
    assert message["Subject"].startswith("Warning about mail from dave@corp.example (case ")
    assert text_of(message).startswith("Hello,\n")
    assert text_of(copy).startswith("Copy for Corp Ltd, ")


async def test_chinese_survives_the_way_into_the_mail(house: House) -> None:
    await house.directory(replace(ACCOUNT, language="zh-Hans"))
    await house.promise(untold(), "warning", "hold")
    await house.drain()
    message = house.postbox.sent[0][1]
    assert message["Subject"].startswith("关于 dave@corp.example 发信的警告（案件编号 ")
    assert "【依据】\n《腾讯企业邮箱服务协议》" in text_of(message)


async def test_what_was_sealed_says_to_which_address_and_what_it_answered(house: House) -> None:
    await house.directory()
    await house.promise(untold(), "warning")
    await house.drain()
    [opened] = [x for x in await house.engine.opened_entries(ACCOUNT.account_id) if isinstance(x.record, NoticeSent)]
    assert opened.personal is not None
    sealed = dict(opened.personal)
    assert sealed.pop("account") == "dave@corp.example 250 2.0.0"
    assert sealed.pop("tenant") == "admin@corp.example 250 2.0.0"
    # The letters as they went out, and what it takes to tell again.
    assert set(sealed) == {"letter.account", "letter.tenant", "request"}
    text = text_of(next(mail for recipient, mail in house.postbox.sent if recipient == "dave@corp.example"))
    assert sealed["letter.account"].partition("\n\n")[2].split() == text.split()


@pytest.mark.parametrize("topic", ["notice", "annulled"])
async def test_an_annulment_is_told(house: House, topic: str) -> None:
    story = three_bursts()
    ids = story.annul(97, story.incident_id)
    house.clock.set(at(97.5))
    await house.directory(replace(ACCOUNT, language="en"))
    await house.promise(story, *(["annulled"] if topic == "notice" else []), topic=topic, sanction_ids=list(ids))
    await house.drain()
    assert "it was in force for 60 minutes" in text_of(house.postbox.sent[0][1])
    assert (await house.records())[-1].template == "annulled"


async def test_a_notice_overtaken_by_an_annulment_is_not_sent_and_the_record_says_why(house: House) -> None:
    story = untold()
    story.annul(0.09, story.incident_id)
    await house.directory()
    await house.promise(story, "warning", "hold")
    await house.drain()
    assert house.postbox.tried == []
    [record] = await house.records()
    assert (record.outcome, record.deemed_at, record.template) == ("superseded", None, "warning+hold")


async def test_an_objection_is_acknowledged_even_when_the_case_was_annulled_since(house: House) -> None:
    story = three_bursts()
    main = story.sanction_ids()[-1]
    story.object(97, main, story.incident_id)
    story.annul(97.1, story.incident_id)
    house.clock.set(at(97.2))
    await house.directory()
    await house.promise(story, "objection_received", sanction_ids=[main])
    await house.drain()
    assert (await house.records())[-1].outcome == "accepted"


async def test_the_terms_cited_are_those_the_case_was_decided_under(house: House) -> None:
    old = tencent().model_copy(update={"version": "2019-01", "digest": "0" * 64})
    story = Story(terms=old)
    story.mail(0, VIRUS, noticed=False)
    await house.directory(replace(ACCOUNT, language="en"))
    await house.promise(story, "warning")
    request = NoticeRequest.read((await house.engine.lease(house.clock.now(), 1))[0])
    for known, version in ((desk(old), "2019-01"), (desk(), tencent().version)):
        facts = await house.engine.submit(lambda txn, known=known: known.gather(txn, request))
        assert facts is not None
        assert f"Agreement, version {version};" in text_of_letter(known, facts)


# --- it does not arrive -----------------------------------------------------------------------------------------------


async def test_a_temporary_failure_is_tried_again_at_growing_distances(house: House) -> None:
    house.postbox.answers = {"dave@corp.example": [BUSY], "admin@corp.example": [DOWN]}
    await house.directory()
    item_id = await house.promise(untold(), "warning")
    await house.drain()
    for wait in (*BACKOFF, BACKOFF[-1]):
        tried = len(house.postbox.tried)
        assert await house.drain(seconds=wait.total_seconds() - 1) == 0
        assert len(house.postbox.tried) == tried
        assert await house.drain(seconds=1) == 1
        assert len(house.postbox.tried) == tried + 2
    assert await house.records() == []
    assert set(house.errors) == {(item_id, "account: 451 4.3.0; tenant: PortError")}


async def test_after_three_days_it_has_failed_and_was_never_received(house: House) -> None:
    house.postbox.answers = {"dave@corp.example": [BUSY], "admin@corp.example": [DOWN]}
    await house.directory()
    await house.promise(untold(), "warning")
    await house.drain()
    assert await house.drain(seconds=GIVE_UP_AFTER.total_seconds() - 1) == 1
    assert await house.records() == []
    await house.drain(hours=1)
    [record] = await house.records()
    assert (record.outcome, record.deemed_at, record.channel) == ("failed", None, "account+tenant")
    assert await house.noticed() == ()
    assert await house.engine.pending() == ()


async def test_a_refusal_for_good_on_every_channel_is_a_failure_at_once(house: House) -> None:
    house.postbox.answers = {"dave@corp.example": [GONE], "admin@corp.example": [PeerError("no address")]}
    await house.directory()
    await house.promise(untold(), "warning")
    await house.drain()
    [record] = await house.records()
    assert (record.outcome, record.deemed_at) == ("failed", None)
    assert await house.engine.pending() == ()


async def test_one_refusal_does_not_keep_the_other_channel_from_counting(house: House) -> None:
    house.postbox.answers = {"dave@corp.example": [GONE]}
    await house.directory()
    await house.promise(untold(), "warning")
    await house.drain()
    [record] = await house.records()
    assert (record.outcome, record.channel, record.deemed_at) == ("accepted", "tenant", at(0.1))


async def test_a_channel_that_accepted_is_not_used_again_for_one_that_waits(house: House) -> None:
    house.postbox.answers = {"admin@corp.example": [BUSY, BUSY, OK]}
    await house.directory()
    await house.promise(untold(), "warning", "hold")
    await house.drain()
    assert [(x.channel, x.deemed_at) for x in await house.records()] == [("account", at(0.1))]
    await house.drain(seconds=30)
    await house.drain(seconds=30)
    assert [to for to, _ in house.postbox.sent] == ["dave@corp.example", "admin@corp.example"]
    first, second = await house.records()
    # One notice: the same id, and received when the first channel accepted it.
    assert (second.channel, second.outcome) == ("tenant", "accepted")
    assert (second.notice_id, second.deemed_at, second.template) == (first.notice_id, at(0.1), "warning+hold")
    assert set(await house.noticed()) == {at(0.1)}
    assert await house.engine.pending() == ()


async def test_a_channel_that_never_accepts_gives_up_without_undoing_the_receipt(house: House) -> None:
    house.postbox.answers = {"admin@corp.example": [BUSY]}
    await house.directory()
    await house.promise(untold(), "warning")
    for hours in (0, 1, 1, 70, 1):
        await house.drain(hours=hours)
    assert house.postbox.tried.count("dave@corp.example") == 1
    assert [(x.channel, x.outcome) for x in await house.records()] == [("account", "accepted"), ("tenant", "failed")]
    assert {x.deemed_at for x in await house.records()} == {at(0.1)}
    assert await house.engine.pending() == ()


async def test_a_mail_system_that_hangs_is_a_temporary_failure(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(raw: bytes, recipient: str, reverse_path: str | None = None) -> Reply:
        await asyncio.sleep(3600)
        return OK

    monkeypatch.setattr(outbox, "SEND_TIMEOUT_S", 0.05)
    monkeypatch.setattr(house.postbox, "send", hang)
    await house.directory()
    item_id = await house.promise(untold(), "warning")
    await house.drain()
    assert await house.records() == []
    assert house.errors == [(item_id, "account: TimeoutError; tenant: TimeoutError")]


@pytest.mark.parametrize(
    ("account", "tenant"),
    [(None, replace(TENANT, contact=None)), (replace(ACCOUNT, login="dave"), replace(TENANT, contact=None))],
    ids=["gone from the directory", "a login that is no address"],
)
async def test_nobody_to_write_to_is_a_failure_on_record(house: House, account: Account | None, tenant: Tenant) -> None:
    await house.directory(account, tenant)
    item_id = await house.promise(untold(), "warning")
    await house.drain()
    [record] = await house.records()
    assert (record.outcome, record.channel, record.deemed_at) == ("failed", "none", None)
    assert house.errors == [(item_id, "the directory has no address to write to")]


# --- at least once ----------------------------------------------------------------------------------------------------


class ForgetfulOutbox:
    """The engine's outbox, whose first `lost` calls of `done` do not come through."""

    def __init__(self, engine: LedgerEngine, *, may_retry: bool, lost: int = 1):
        self._engine, self._lost, self._may_retry = engine, lost, may_retry
        self.lease = engine.lease

    async def done(self, item_id: str, function: Callable[[LedgerTxn], object], about: About) -> bool:
        if self._lost:
            self._lost -= 1
            raise LedgerUnavailable("gone")
        return await self._engine.done(item_id, function, about)

    async def retry(self, item_id: str, due_at: Any, error: str) -> bool:
        if not self._may_retry:
            raise LedgerUnavailable("gone")
        return await self._engine.retry(item_id, due_at, error)


async def test_a_crash_between_mail_and_ledger_sends_again_under_the_same_message_id(house: House) -> None:
    crashed = make_house(house.engine, house.clock, house.postbox, ForgetfulOutbox(house.engine, may_retry=False))
    await crashed.directory()
    await crashed.promise(untold(), "warning")
    assert await crashed.drain() == 1
    assert await crashed.records() == []
    assert await house.drain(seconds=60) == 0
    assert await house.drain(seconds=61) == 1
    ids = [message["Message-ID"] for to, message in house.postbox.sent if to == "dave@corp.example"]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert len(await house.records()) == 1


@pytest.mark.parametrize("may_retry", [True, False])
async def test_a_ledger_that_was_away_for_a_moment_causes_no_second_mail(house: House, may_retry: bool) -> None:
    port = ForgetfulOutbox(house.engine, may_retry=may_retry, lost=2)
    fragile = make_house(house.engine, house.clock, house.postbox, port)
    await fragile.directory()
    await fragile.promise(untold(), "warning")
    await fragile.drain()
    await fragile.drain(days=3)
    await fragile.drain(hours=1)
    assert [to for to, _ in house.postbox.sent] == ["dave@corp.example", "admin@corp.example"]
    [record] = await fragile.records()
    assert (record.outcome, record.deemed_at) == ("accepted", at(0.1))
    assert fragile.notices == [record]


async def test_what_was_merged_in_meanwhile_is_told_too(house: House) -> None:
    fragile = make_house(house.engine, house.clock, house.postbox, ForgetfulOutbox(house.engine, may_retry=True))
    await fragile.directory()
    story = untold()

    def promise(template: str) -> Callable[[LedgerTxn], str]:
        payload = {
            "account_id": story.account_id,
            "tenant_id": TENANT.tenant_id,
            "incident_id": story.incident_id,
            "templates": [template],
            "sanction_ids": list(story.sanction_ids()) if template == "warning" else [],
        }
        return lambda txn: txn.post("notice", payload, due_at=house.clock.now(), merge_key="m")

    await fragile.promise(story, "warning", topic="other")
    await fragile.engine.submit(promise("warning"))
    await fragile.drain()
    await fragile.engine.submit(promise("hold"))
    await fragile.drain(seconds=30)
    [record] = await fragile.records()
    assert record.template == "warning+hold"
    assert [to for to, _ in house.postbox.sent].count("dave@corp.example") == 2


async def test_two_workers_on_one_ledger_send_one_notice(house: House) -> None:
    other = make_house(house.engine, house.clock, house.postbox)
    await house.directory()
    await house.promise(untold(), "warning")
    await asyncio.gather(house.drain(), other.drain(), house.drain(), other.drain())
    assert [to for to, _ in house.postbox.sent] == ["dave@corp.example", "admin@corp.example"]
    assert len(await house.records()) == 1


# --- what is not a notice ---------------------------------------------------------------------------------------------


async def test_work_of_an_unknown_kind_is_kept_and_told(house: House) -> None:
    await house.directory()
    item_id = await house.promise(untold(), "warning", topic="webhook")
    await house.drain()
    assert house.postbox.tried == []
    [(item, due_at, _)] = await house.engine.pending()
    assert (item.item_id, due_at) == (item_id, at(1.1))
    assert house.errors == [(item_id, "nobody carries out 'webhook'")]


class Stumbling:
    """A carrier that raises whatever goes wrong, as none should."""

    async def carry(self, item: Any, now: Any) -> Any:
        raise LedgerUnavailable("away")


@pytest.mark.parametrize("carriers", [{"webhook": Stumbling()}, {}])
async def test_what_is_no_notice_is_never_given_up_by_an_error(house: House, carriers: dict[str, Any]) -> None:
    await house.directory()
    item_id = await house.promise(untold(), "warning", topic="webhook")
    other = make_house(house.engine, house.clock, house.postbox, carriers=carriers)
    for _ in range(3):
        await other.drain(days=4)
        assert [item.item_id for item, _, _ in await house.engine.pending()] == [item_id]
    assert len(other.errors) == 3


async def test_a_payload_that_is_none_is_given_up_in_the_end(house: House) -> None:
    await house.directory()
    await house.engine.submit(lambda txn: txn.post("notice", {"templates": ["warning"]}, due_at=house.clock.now()))
    await house.drain()
    assert len(await house.engine.pending()) == 1
    await house.drain(days=3)
    assert await house.engine.pending() == ()
    assert "is no notice" in house.errors[-1][1]


async def test_a_notice_that_cannot_be_worded_is_tried_again_and_then_a_failure_on_record(house: House) -> None:
    await house.directory()
    await house.promise(untold(), "praise")
    await house.drain()
    assert await house.records() == []
    await house.drain(days=3)
    [record] = await house.records()
    assert (record.outcome, record.deemed_at, record.template) == ("failed", None, "praise")


# --- recipients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "contact", "tenant_contact", "expected"),
    [
        ("d@c.example", None, None, ["account d@c.example"]),
        ("d@c.example", "D@C.example", "d@c.EXAMPLE", ["account d@c.example"]),
        ("policy@filterd.example", None, "a@c.example", ["tenant a@c.example"]),
        ("d@c.example", None, "Appeals@filterd.example", ["account d@c.example"]),
        ("d@c.example\r\nBcc: x@y.example", "<>", "", []),
        ("d", "a b@c.example", "x@y.example> SIZE=1", []),
        ("李@例子.example", None, None, ["account 李@例子.example"]),
    ],
)
def test_only_addresses_of_the_directory_and_never_our_own(
    login: str, contact: str | None, tenant_contact: str | None, expected: list[str]
) -> None:
    account, tenant = replace(ACCOUNT, login=login, contact=contact), replace(TENANT, contact=tenant_contact)
    assert [f"{audience} {address}" for audience, address in addresses(account, tenant, SETTINGS)] == expected


def test_the_operator_may_keep_the_tenant_out() -> None:
    found = addresses(ACCOUNT, TENANT, replace(SETTINGS, copy_to_tenant=False))
    assert [address for _, address in found] == ["dave@corp.example"]


async def test_a_hostile_login_and_name_add_no_field_to_the_tenants_copy(house: House) -> None:
    evil = "x\r\nBcc: victim@example.net\r\n\r\n{{ 7 * 7 }}"
    await house.directory(replace(ACCOUNT, login=evil, language="en"), replace(TENANT, name=evil))
    await house.promise(untold(), "warning")
    await house.drain()
    [(to, message)] = house.postbox.sent
    assert to == "admin@corp.example"
    assert "Bcc" not in message
    assert "x Bcc: victim@example.net {{ 7 * 7 }} has received a warning." in text_of(message)


async def test_errors_told_name_no_address(house: House) -> None:
    house.postbox.answers = {"dave@corp.example": [GONE], "admin@corp.example": [ValueError("admin@corp.example")]}
    await house.directory()
    await house.promise(untold(), "warning")
    await house.drain()
    assert house.errors
    assert "@" not in str(house.errors)


# --- the loop ---------------------------------------------------------------------------------------------------------


async def test_the_oldest_age_is_that_of_what_is_not_done_yet(house: House) -> None:
    house.postbox.answers = {"dave@corp.example": [BUSY, BUSY, OK], "admin@corp.example": [BUSY, BUSY, OK]}
    await house.directory()
    await house.promise(untold(), "warning")
    await house.drain()
    await house.drain(seconds=10)
    await house.drain(seconds=20)
    await house.drain(seconds=120)
    assert house.ages == [0.0, 10.0, 30.0, 0.0]


async def test_the_loop_works_until_it_is_told_to_stop_and_no_error_ends_it(house: House) -> None:
    class Flaky:
        def __init__(self) -> None:
            self.calls = 0
            self.done, self.retry = house.engine.done, house.engine.retry

        async def lease(self, now: Any, limit: int) -> tuple[OutboxItem, ...]:
            self.calls += 1
            if self.calls == 1:
                raise LedgerUnavailable("not yet")
            return await house.engine.lease(now, limit)

    flaky = Flaky()
    looping = make_house(house.engine, house.clock, house.postbox, flaky, poll_s=0.01)
    await looping.directory()
    await looping.promise(untold(), "warning")
    stop = asyncio.Event()
    running = asyncio.create_task(looping.worker.run(stop))
    async with asyncio.timeout(60):
        while not looping.notices:
            await asyncio.sleep(0.01)
        stop.set()
        await running
    assert flaky.calls >= 2
    assert looping.errors[0] == ("", "LedgerUnavailable: not yet")
    assert [x.outcome for x in looping.notices] == ["accepted"]


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 30), (1, 30), (2, 120), (3, 600), (4, 3600), (99, 3600)])
def test_the_wait_grows_to_an_hour(attempts: int, seconds: int) -> None:
    assert backoff(attempts) == timedelta(seconds=seconds)


def test_a_request_survives_being_put_back_for_the_other_channels() -> None:
    item = OutboxItem(
        item_id="o_1",
        topic="notice",
        payload={"account_id": "a", "tenant_id": None, "incident_id": "i_1", "templates": ["warning"]},
        attempts=1,
        created_at=at(0),
    )
    request = NoticeRequest.read(item)
    again = NoticeRequest.read(
        replace(item, item_id="o_2", created_at=at(5), payload=dict(request.rest(request.audiences, at(1))))
    )
    assert again == replace(request, deemed_at=at(1))
