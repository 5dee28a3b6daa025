"""A site with a stolen account: the ledger, its outbox, the search index and the workers are real, the programs of the
operator are lists and dictionaries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from filterd.agreement.fold import apply
from filterd.app import desk_rules, load_agreements, verbs
from filterd.app.effects import OnlyClawBacks
from filterd.clients.verdict_index import StoredVerdictIndex, open_index
from filterd.config import Config
from filterd.errors import PortError
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.local import LocalLedger
from filterd.model.found import JudgedMail, MailAnswer, StreamPosition
from filterd.model.principal import Account, Tenant
from filterd.model.records import EffectReported, HoldAttested, ViolationRecorded
from filterd.model.reply import Reply
from filterd.model.sanction import Violation
from filterd.pipeline.campaign import Sample, summary
from filterd.pipeline.copies import CLAW_BACK
from filterd.pipeline.effects import EffectDesk, promises_of
from filterd.pipeline.reach import Reach
from filterd.ports import QueuedMail
from filterd.workers.claw_back import ClawBacks
from filterd.workers.effects import EffectsWorker
from filterd.workers.outbox import OutboxWorker
from tests.kit.clock import FrozenClock
from tests.kit.house import KEYS, START
from tests.kit.mta_queue import Queue
from tests.pipeline.test_effects import ALICE, APPEALS, BELLA, Identity, Site

CAMPAIGN, OWN = "campaign-text", "own-text"
INCIDENT = "i_theft"
BOB, CAROL, DAVE = "bob@cust.example", "carol@cust.example", "dave@far.example"
IDS = {ALICE: "a_1", BELLA: "a_2", BOB: "a_3", CAROL: "a_4"}
BOSS = "boss@cust.example"


def hash_of(address: str) -> str:
    return f"hash of {address}"


@dataclass
class Store:
    """Implements ports.MailStore. `boxes`: logins that have a copy, by transaction; `asked`: every request."""

    boxes: set[tuple[str, str]] = field(default_factory=set)
    error: Exception | None = None
    asked: list[dict[str, str]] = field(default_factory=list)

    async def take_back(self, request: Mapping[str, str]) -> int:
        self.asked.append(dict(request))
        if self.error is not None:
            raise self.error
        copy = (request["login"], request["transaction_id"])
        moved = int(copy in self.boxes)
        self.boxes.discard(copy)
        return moved


@dataclass
class Log:
    """Implements ports.DeliveryLog."""

    lines: dict[str, frozenset[str]] = field(default_factory=dict)
    error: PortError | None = None
    asked: list[set[str]] = field(default_factory=list)

    async def recipients(self, queue_ids: Collection[str]) -> Mapping[str, frozenset[str]]:
        self.asked.append(set(queue_ids))
        if self.error is not None:
            raise self.error
        return {x: self.lines[x] for x in queue_ids if x in self.lines}


@dataclass
class Mail:
    """Implements ports.Mailer."""

    sent: list[tuple[str, bytes]] = field(default_factory=list)
    reply: Reply = field(default_factory=lambda: Reply(code=250, enhanced="2.0.0", text="queued"))

    async def send(self, raw: bytes, recipient: str, reverse_path: str | None = None) -> Reply:
        if self.reply.is_positive:
            self.sent.append((recipient, raw))
        return self.reply


@dataclass
class Post:
    """The letters about campaign copies. `error`: raised instead."""

    error: PortError | None = None
    letters: list[tuple[str, tuple[str, ...], bytes]] = field(default_factory=list)

    async def write(self, login: str, copies: Sequence[QueuedMail], sample: Sample | None, letter_id: str) -> None:
        if self.error is not None:
            raise self.error
        raw = summary(
            login, copies, sample, sender="desk@provider.example", sender_name=None, message_id=f"<{letter_id}@x>",
            at=START,
        )  # fmt: skip
        self.letters.append((login, tuple(x.queue_id for x in copies), raw))


@dataclass
class Theft(Site):
    """A site with the index of its event stream, and somebody who uses Alice's account."""

    index: StoredVerdictIndex
    post: Post
    store: Store
    log: Log
    mailer: Mail
    carrier: OutboxWorker
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

    async def steal(self, *texts: str, incident_id: str = INCIDENT, violations: tuple[Violation, ...] = ()) -> None:
        """Have a campaign noticed by these texts, and the account locked."""
        for number, text in enumerate(texts):
            violation = ViolationRecorded(
                at=self.clock.now(), incident_id=INCIDENT, decision_id="d_1", transaction_id=f"t_v{number}",
                evidence_key=f"e{number}", text_fp=text, violations=violations, delivery_keys=(), policy_digest="p",
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

    async def ask_back(self) -> None:
        """Have the mail store asked for whatever is due."""
        for _ in range(50):
            if not await self.carrier.drain_once(self.clock.now()):
                return
        raise AssertionError("it never ends")

    async def fates(self) -> list[tuple[str, int, tuple[str, ...]]]:
        """Say what rows tell of copies that were asked back: outcome, how many, which."""
        rows: list[EffectReported] = await self.reports(ALICE)
        return [(x.outcome, x.count, x.ids) for x in rows if x.effector == CLAW_BACK]


@asynccontextmanager
async def opened(folder: Path, **effectors: Any) -> AsyncIterator[Theft]:
    """Open a site with these effectors besides the queue."""
    clock = FrozenClock(START)
    tables = {"effectors": {"mta_queue": {"enabled": True}} | effectors, "node": {"state_dir": str(folder)}}
    config = Config.model_validate(tables)
    engine = LedgerEngine.open(
        state_dir=folder, node="t", keys=KEYS, clock=clock, apply=lambda h, x, _: apply(h, x),
        follow_up=promises_of(config.effectors.names),
    )  # fmt: skip
    rules = desk_rules(config, load_agreements(config))
    ledger = LocalLedger(engine, verbs(rules))
    queue, identity, errors, post = Queue(), Identity(), list[str](), Post()
    store, log, mailer = Store(), Log(), Mail()
    index = open_index(folder)
    desk = EffectDesk(lambda: rules, Reach(appeals_address=APPEALS), hash_of)
    worker = EffectsWorker(
        engine,
        engine.submit,
        desk,
        clock,
        queue=queue,
        index=index,
        write_letter=post.write,
        log=log if config.effectors.delivery_log.command else None,
        mailer=mailer,
        sender="Desk <desk@provider.example>",
        on_error=lambda item, error: errors.append(error),
    )
    has_store = CLAW_BACK in config.effectors.names
    claw_backs = ClawBacks(engine.submit, desk.copies, store if has_store else None, lambda row: None)
    carrier = OutboxWorker(
        OnlyClawBacks(engine), engine.submit, None, mailer, clock, carriers={CLAW_BACK: claw_backs},  # type: ignore[arg-type]
        on_error=lambda item, error: errors.append(error),
    )  # fmt: skip
    tenant = Tenant(tenant_id="n_1", name="Cust", agreement="tencent-exmail", domains=("cust.example",), contact=BOSS)

    def open_accounts(txn: Any) -> None:
        txn.put_tenant(tenant)
        for login, account_id in IDS.items():
            txn.put_account(Account(account_id=account_id, tenant_id="n_1", login=login))

    await engine.submit(open_accounts)
    token = (await ledger.call("person.add", {"name": "dana", "role": "moderator"}))["token"]
    yield Theft(
        engine, ledger, clock, worker, queue, identity, token, IDS, errors, index, post, store, log, mailer, carrier
    )
    index.close()
    await engine.close()
