"""A stolen account's mail in the queue after the attestation: its user's own goes out, the campaign does not.

STANDING 5.7-14 (queue and held mail on release), story s1 step 5 and 6. The queue is a dictionary; the ledger, its
outbox, the search index and the worker are real. With a real Postfix: tests/e2e/test_queue_effector.py.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.fold import apply
from filterd.app import desk_rules, load_agreements, verbs
from filterd.clients.verdict_index import StoredVerdictIndex, open_index
from filterd.config import Config
from filterd.errors import PortError
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.local import LocalLedger
from filterd.mail.fingerprint import text_fp
from filterd.model.decision import NO_TEXT
from filterd.model.found import JudgedMail, MailAnswer, StreamPosition
from filterd.model.principal import Account, Tenant
from filterd.model.records import HoldAttested, ViolationRecorded
from filterd.pipeline.campaign import summary
from filterd.pipeline.effects import EffectDesk, promises_of
from filterd.pipeline.reach import Reach
from filterd.ports import QueuedMail
from filterd.workers.effects import EffectsWorker
from tests.kit.clock import FrozenClock
from tests.kit.house import KEYS, START
from tests.pipeline.test_effects import ALICE, APPEALS, BELLA, Identity, Queue, Site

pytestmark = pytest.mark.slow

CAMPAIGN, OWN = "campaign-text", "own-text"
INCIDENT = "i_theft"
BOB, CAROL, DAVE = "bob@cust.example", "carol@cust.example", "dave@far.example"


@dataclass
class Post:
    """The letters about campaign copies. `error`: raised instead."""

    error: PortError | None = None
    letters: list[tuple[str, tuple[str, ...], bytes]] = field(default_factory=list)

    async def write(self, login: str, copies: Sequence[QueuedMail], letter_id: str) -> None:
        if self.error is not None:
            raise self.error
        raw = summary(
            login, copies, sender="desk@provider.example", sender_name=None, message_id=f"<{letter_id}@x>", at=START
        )
        self.letters.append((login, tuple(x.queue_id for x in copies), raw))


@dataclass
class Theft(Site):
    """A site with the index of its event stream, and somebody who uses Alice's account."""

    index: StoredVerdictIndex
    post: Post
    sent: int = 0

    def mail(
        self, text: str, *to: str, queue_id: str | None, account: str = ALICE, incident_id: str | None = None,
        at: datetime = START,
    ) -> str:  # fmt: skip
        """Have the event stream know a mail, in the queue under this id; None: the next hop has not taken it."""
        self.sent += 1
        at_us, tx = int(at.timestamp() * 1_000_000), f"t_{self.sent}"
        judged = JudgedMail(
            writer="w", seq=2 * self.sent, at_us=at_us, event="decided", tx=tx, disposition="accept",
            direction="outbound", listener="submission", account_id=self.ids[account], tenant_id="n_1",
            incident_id=incident_id, policy_digest=None, message_id=None, sender_hash=None,
            sender_domain="cust.example", reply_code=None, reply_enhanced=None, codes=(), reasons=(), checks=(),
            text_fp=text, recipients=tuple(f"hash of {x}" for x in to),
        )  # fmt: skip
        answer = MailAnswer(
            writer="w", seq=2 * self.sent + 1, at_us=at_us + 1, event="delivered" if queue_id else "refused", tx=tx,
            by=None, reply_code=250, reply_enhanced="2.0.0", queue_id=queue_id,
        )  # fmt: skip
        before = self.index.position("w")
        after = StreamPosition(seq=2 * self.sent + 1)
        assert self.index.add("w", before, after, 2 * self.sent, [judged, answer])
        return tx

    async def steal(self, *texts: str, incident_id: str = INCIDENT) -> None:
        """Have a campaign noticed by these texts, and the account locked."""
        for number, text in enumerate(texts):
            violation = ViolationRecorded(
                at=self.clock.now(), incident_id=INCIDENT, decision_id="d_1", transaction_id=f"t_v{number}",
                evidence_key=f"e{number}", text_fp=text, violations=(), delivery_keys=(), policy_digest="p",
            )  # fmt: skip
            await self.append(ALICE, violation)
        await self.hold(ALICE, "auth.failures", incident_id=incident_id)
        await self.work()

    async def attest(self) -> None:
        self.clock.advance(3600)
        now = self.clock.now()
        attested = HoldAttested(
            at=now, attestation_id="at_1", hold_id="h_a_1", account_id="a_1", incident_ids=(INCIDENT,), by="admin",
            number=1, is_verified=True, watch_until=now + timedelta(hours=72), watch_features=(),
        )  # fmt: skip
        await self.append(ALICE, attested)
        await self.work()

    async def warned(self) -> dict[str, Any]:
        """Say whom notices of a dangerous mail are promised to, and since when they have it."""
        pending = [item.payload for item, _, _ in await self.engine.pending()]
        told = [x for x in pending if x.get("event") == "recipient_warning"]
        return {x["account_id"]: [f["received_at"] for f in x["facts"]] for x in told}


@pytest.fixture
async def theft(tmp_path: Path) -> AsyncIterator[Theft]:
    clock = FrozenClock(START)
    tables = {"effectors": {"mta_queue": {"enabled": True}}, "node": {"state_dir": str(tmp_path)}}
    config = Config.model_validate(tables)
    engine = LedgerEngine.open(
        state_dir=tmp_path, node="t", keys=KEYS, clock=clock, apply=lambda h, x, _: apply(h, x),
        follow_up=promises_of(config.effectors.names),
    )  # fmt: skip
    rules = desk_rules(config, load_agreements(config))
    ledger = LocalLedger(engine, verbs(rules))
    queue, identity, errors, post = Queue(), Identity(), list[str](), Post()
    index = open_index(tmp_path)
    worker = EffectsWorker(
        engine,
        engine.submit,
        EffectDesk(lambda: rules, Reach(appeals_address=APPEALS), lambda address: f"hash of {address}"),
        clock,
        queue=queue,
        index=index,
        write_letter=post.write,
        on_error=lambda item, error: errors.append(error),
    )
    ids = {ALICE: "a_1", BELLA: "a_2", BOB: "a_3", CAROL: "a_4"}

    def open_accounts(txn: Any) -> None:
        txn.put_tenant(Tenant(tenant_id="n_1", name="Cust", agreement="tencent-exmail", domains=("cust.example",)))
        for login, account_id in ids.items():
            txn.put_account(Account(account_id=account_id, tenant_id="n_1", login=login))

    await engine.submit(open_accounts)
    token = (await ledger.call("person.add", {"name": "dana", "role": "moderator"}))["token"]
    yield Theft(engine, ledger, clock, worker, queue, identity, token, ids, errors, index, post)
    index.close()
    await engine.close()


def fill(theft: Theft) -> None:
    """Two copies of the campaign, one of them before anything was noticed; two mails of hers; one nobody knows."""
    for queue_id in ("C00001", "C00002", "D00001", "D00002", "E00001"):
        theft.queue.put(queue_id, ALICE, f"{queue_id.lower()}@far.example")
    theft.mail(CAMPAIGN, DAVE, queue_id="C00001")
    theft.mail("another template", DAVE, queue_id="C00002", incident_id=INCIDENT)
    theft.mail(OWN, DAVE, queue_id="D00001")
    theft.mail("a second text of hers", DAVE, queue_id="D00002")


async def test_after_an_attestation_her_own_mail_goes_out_and_the_campaign_stays_and_comes_back_as_one_letter(
    theft: Theft,
) -> None:
    fill(theft)
    await theft.steal(CAMPAIGN)
    assert theft.queue.held == {"C00001", "C00002", "D00001", "D00002", "E00001"}
    await theft.attest()
    # What nobody knows stays, too, and is in no letter.
    assert theft.queue.held == {"C00001", "C00002", "E00001"}
    assert set(theft.queue.mails_by_id) == {"C00001", "C00002", "D00001", "D00002", "E00001"}
    ((login, copies, raw),) = theft.post.letters
    assert (login, set(copies)) == (ALICE, {"C00001", "C00002"})
    letter = email.message_from_bytes(raw, policy=email.policy.default)
    assert "2 messages" in str(letter["subject"])
    body = str(letter.get_content())  # type: ignore[attr-defined]
    assert all(f"{x}@far.example" in body for x in ("c00001", "c00002"))
    assert not any(f"{x}@far.example" in body for x in ("d00001", "d00002", "e00001"))
    rows = [(x.act, x.outcome, x.count, set(x.ids)) for x in await theft.reports(ALICE)][-2:]
    assert rows == [
        ("release", "applied", 2, {"D00001", "D00002"}),
        ("summary", "applied", 2, {"C00001", "C00002"}),
    ]
    # A person says what becomes of the rest; each copy is on record.
    said = await theft.act("effect.queue", account=ALICE, act="delete")
    assert said["held"] == 3
    await theft.work()
    assert set(theft.queue.mails_by_id) == {"D00001", "D00002"}
    last = (await theft.reports(ALICE))[-1]
    assert (last.act, set(last.ids)) == ("delete", {"C00001", "C00002", "E00001"})


async def test_the_letter_is_one_and_is_tried_until_it_is_taken(theft: Theft) -> None:
    fill(theft)
    theft.post.error = PortError("451", temporary=True)
    await theft.steal(CAMPAIGN)
    await theft.attest()
    assert (theft.post.letters, theft.queue.held) == ([], {"C00001", "C00002", "E00001"})
    theft.post.error = None
    for _ in range(4):
        theft.clock.advance(hours=2)
        await theft.work()
    assert len(theft.post.letters) == 1


async def test_where_nobody_knows_the_campaign_all_of_it_stays(theft: Theft) -> None:
    """A lock by indicators alone has no incident: what the other wrote is not known from what she did."""
    fill(theft)
    await theft.steal(incident_id="")
    await theft.attest()
    assert theft.queue.held == {"C00001", "C00002", "D00001", "D00002", "E00001"}
    assert theft.post.letters == []


async def test_a_copy_that_names_its_reader_is_a_copy_and_a_picture_alone_tells_nothing(theft: Theft) -> None:
    body = (
        "{}, your mailbox is over its limit and will be closed on Friday; log in at once to keep all of your messages. "
        "Our team has tried to reach you several times about the storage of this account. To confirm that you still "
        "use it, open the page below and enter your address and password there, then wait until it is done."
    )
    first, second = (text_fp(body.format(name)) for name in ("Dear Bob", "Dear Carol"))
    hers = text_fp("thank you for coming on Tuesday; we agreed to move the review to the second week of the month, Ann")
    assert first != second
    for queue_id, text in (("C00001", second), ("D00001", hers), ("E00001", NO_TEXT)):
        theft.queue.put(queue_id, ALICE, "x@far.example")
        theft.mail(text, DAVE, queue_id=queue_id)
    await theft.steal(first, NO_TEXT)
    await theft.attest()
    assert theft.queue.held == {"C00001", "E00001"}
    assert [copies for _, copies, _ in theft.post.letters] == [("C00001",)]


async def test_a_short_id_that_was_another_mail_s_tells_nothing(theft: Theft) -> None:
    theft.queue.put("D00001", ALICE, "x@far.example")
    # A week ago the id was a mail of hers; what is under it now the event stream does not know.
    theft.mail(OWN, DAVE, queue_id="D00001", at=START - timedelta(days=7))
    theft.queue.put("D00002", ALICE, "x@far.example")
    theft.mail(OWN, DAVE, queue_id="D00002", account=BELLA)
    await theft.steal(CAMPAIGN)
    held = set(theft.queue.held)
    await theft.attest()
    assert theft.queue.held == held


async def test_what_a_moderator_releases_is_told_apart_by_nobody(theft: Theft) -> None:
    """The lock was an error: then nothing of it is a campaign."""
    fill(theft)
    await theft.steal(CAMPAIGN)
    await theft.act("hold.release", hold=ALICE, clear=True)
    await theft.work()
    assert theft.queue.held == set()
    assert theft.post.letters == []


async def test_users_of_ours_who_got_a_copy_are_warned_once_and_nobody_else(theft: Theft) -> None:
    theft.mail(CAMPAIGN, BOB, DAVE, queue_id="G00001")
    theft.mail(OWN, CAROL, queue_id="G00002")
    theft.mail(CAMPAIGN, CAROL, queue_id=None)
    theft.mail(CAMPAIGN, BELLA, queue_id="H00001")
    # This one waits in the queue: nobody got it.
    theft.queue.put("H00001", ALICE, BELLA)
    await theft.steal(CAMPAIGN)
    assert await theft.warned() == {}
    theft.clock.advance(120)
    await theft.work()
    assert list(await theft.warned()) == ["a_3"]
    # A copy that the index learnt of later is told of at the attestation, and the first not again.
    theft.mail(CAMPAIGN, CAROL, queue_id="G00003")
    await theft.attest()
    assert {who: len(times) for who, times in (await theft.warned()).items()} == {"a_3": 1, "a_4": 1}
    rows = [x for x in await theft.reports(ALICE) if x.effector == "mailbox"]
    assert [(x.act, x.outcome, x.count) for x in rows] == [("warn", "applied", 1), ("warn", "applied", 1)]
