"""What a suspension does to mail that is in the MTA's queue already.  STANDING 5.7-14, 5.7-17, 5.7-20.

The queue is a dictionary; the ledger, its outbox and the worker are real. With a real Postfix: tests/e2e.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd import app
from filterd.agreement.fold import apply
from filterd.config import Config
from filterd.errors import PortError, RefusedError
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.local import LocalLedger
from filterd.model.principal import Account, Tenant
from filterd.model.records import (
    EffectReported,
    HoldAttested,
    HoldPlaced,
    HoldReleased,
    SanctionImposed,
    SanctionLifted,
)
from filterd.model.sanction import Feature, Rung
from filterd.pipeline.effects import EffectDesk, promises_of
from filterd.pipeline.protecting import EFFECT, follow_hold
from filterd.pipeline.reach import Reach
from filterd.ports import Revoked
from filterd.workers.effects import EffectsWorker
from tests.kit.clock import FrozenClock
from tests.kit.house import KEYS, START
from tests.kit.mta_queue import Queue

pytestmark = pytest.mark.slow

ALICE, BELLA = "alice@cust.example", "bella@cust.example"
APPEALS = "appeals@provider.example"
SENDING = (Feature(name="sending"),)


@dataclass
class Identity:
    """Implements ports.Credentials."""

    is_verified: bool = True
    error: PortError | None = None
    asked: list[dict[str, str]] = field(default_factory=list)

    async def revoke(self, request: Any) -> Revoked:
        self.asked.append(dict(request))
        if self.error is not None:
            raise self.error
        return Revoked(is_verified=self.is_verified)


@dataclass
class Site:
    """A ledger with two accounts, and effectors."""

    engine: LedgerEngine
    ledger: LocalLedger
    clock: FrozenClock
    worker: EffectsWorker
    queue: Queue
    identity: Identity
    token: str
    ids: dict[str, str]
    errors: list[str]

    async def append(self, login: str, record: Any) -> None:
        account_id = self.ids[login]
        await self.engine.submit(lambda txn: txn.append(record, account_id=account_id, tenant_id="n_1"))

    async def suspend(self, login: str, hours: int | None = 48, number: int = 1) -> str:
        now, account_id = self.clock.now(), self.ids[login]
        sanction_id = f"s_{account_id}_{number}"
        imposed = SanctionImposed(
            at=now,
            sanction_id=sanction_id,
            incident_id=f"i_{account_id}_{number}",
            decision_id="d_1",
            account_id=account_id,
            rung=Rung.SUSPEND,
            step=3,
            features=SENDING,
            category="spam.outbound",
            clauses=("4.3.1",),
            starts_at=now,
            ends_at=now + timedelta(hours=hours) if hours is not None else None,
            lapses_at=None,
            step_down_features=(),
            is_automatic=False,
            by="dana",
            warranted=Rung.SUSPEND,
        )
        await self.append(login, imposed)
        return sanction_id

    async def lift(self, login: str, sanction_id: str) -> None:
        lifted = SanctionLifted(
            at=self.clock.now(), sanction_id=sanction_id, incident_id="i_1", by="dana", reason="looked at it"
        )
        await self.append(login, lifted)

    async def hold(
        self, login: str, *indicators: str, because: str = "compromise", incident_id: str = ""
    ) -> None:
        now, account_id = self.clock.now(), self.ids[login]
        placed = HoldPlaced(
            at=now,
            hold_id=f"h_{account_id}",
            incident_id=incident_id,
            account_id=account_id,
            features=SENDING,
            starts_at=now,
            ends_at=None,
            because=because,
            indicators=indicators,
        )

        def place(txn: Any) -> None:
            txn.append(placed, account_id=account_id, tenant_id="n_1")
            follow_hold(txn, placed)

        await self.engine.submit(place)

    async def work(self) -> None:
        """Carry out what is due."""
        for _ in range(50):
            if not await self.worker.drain_once():
                return
        raise AssertionError("it never ends")

    async def show(self, login: str) -> dict[str, Any]:
        shown: dict[str, Any] = await self.ledger.call("account.show", {"account": login})
        return shown

    async def act(self, verb: str, **arguments: Any) -> Any:
        return await self.ledger.call(verb, {"token": self.token, "reason": "looked at it"} | arguments)

    async def reports(self, login: str) -> list[EffectReported]:
        account_id = self.ids[login]
        rows = await self.engine.submit(lambda txn: txn.records(account_id))
        return [x for x in rows if isinstance(x, EffectReported)]

    async def waiting(self) -> list[str]:
        items = [item for item, _, _ in await self.engine.pending() if item.topic == EFFECT]
        return [f"{item.payload['effector']}.{item.payload['act']}" for item in items]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    clock = FrozenClock(START)
    config = Config.model_validate(
        {
            "node": {"state_dir": str(tmp_path)},
            "effectors": {"mta_queue": {"enabled": True}, "credentials": {"command": ["/bin/true"]}},
        }
    )
    names = config.effectors.names
    engine = LedgerEngine.open(
        state_dir=tmp_path,
        node="t",
        keys=KEYS,
        clock=clock,
        apply=lambda h, x, _: apply(h, x),
        follow_up=promises_of(names),
    )
    rules = app.desk_rules(config, app.load_agreements(config))
    ledger = LocalLedger(engine, app.verbs(rules))
    queue, identity, errors = Queue(), Identity(), list[str]()
    worker = EffectsWorker(
        engine,
        engine.submit,
        EffectDesk(lambda: rules, Reach(appeals_address=APPEALS)),
        clock,
        queue=queue,
        credentials=identity,
        on_error=lambda item, error: errors.append(error),
    )
    ids = {ALICE: "a_1", BELLA: "a_2"}

    def open_accounts(txn: Any) -> None:
        txn.put_tenant(Tenant(tenant_id="n_1", name="Cust", agreement="tencent-exmail", domains=("cust.example",)))
        for login, account_id in ids.items():
            aliases = ("sales@cust.example",) if login == ALICE else ()
            txn.put_account(Account(account_id=account_id, tenant_id="n_1", login=login, aliases=aliases))

    await engine.submit(open_accounts)
    token = (await ledger.call("person.add", {"name": "dana", "role": "moderator"}))["token"]
    yield Site(engine, ledger, clock, worker, queue, identity, token, ids, errors)
    await engine.close()


def fill(queue: Queue) -> None:
    queue.put("AAAAAA01", ALICE)
    queue.put("AAAAAA02", "Sales@CUST.example")
    queue.put("BBBBBB01", BELLA)
    queue.put("CCCCCC01", ALICE, APPEALS)
    queue.put("DDDDDD01", ALICE, is_held=True)
    queue.put("EEEEEE01", "MAILER-DAEMON", ALICE)


async def test_a_suspension_holds_the_accounts_mail_and_nobody_elses_and_a_lift_lets_it_go(site: Site) -> None:
    fill(site.queue)
    sanction_id = await site.suspend(ALICE)
    assert (await site.show(ALICE))["sanctions"][0]["enforcement"] == "pending"
    await site.work()
    assert site.queue.calls == [("hold", ("AAAAAA01", "AAAAAA02"))]
    assert (await site.show(ALICE))["sanctions"][0]["enforcement"] == "applied"
    await site.lift(ALICE, sanction_id)
    await site.work()
    # What somebody else had put on hold stays there.
    assert site.queue.held == {"DDDDDD01"}
    said = [(x.act, x.outcome, x.count, x.owner_id) for x in await site.reports(ALICE)]
    assert said == [
        ("hold", "begun", 2, sanction_id),
        ("hold", "applied", 2, sanction_id),
        ("release", "applied", 2, ""),
    ]


async def test_what_comes_into_the_queue_later_is_held_at_the_next_look_and_the_end_of_the_term_lets_all_go(
    site: Site,
) -> None:
    site.queue.put("AAAAAA01", ALICE)
    await site.suspend(ALICE, hours=1)
    await site.work()
    site.queue.put("AAAAAA03", ALICE)
    site.clock.advance(300)
    await site.work()
    assert site.queue.held == {"AAAAAA01", "AAAAAA03"}
    rows = len(await site.reports(ALICE))
    for _ in range(5):
        site.clock.advance(300)
        await site.work()
    assert len(await site.reports(ALICE)) == rows
    # No row says that it is over: the look does.
    site.clock.advance(hours=1)
    await site.work()
    assert site.queue.held == set()
    assert await site.waiting() == []


async def test_promises_in_any_order_and_twice_do_the_same(site: Site) -> None:
    fill(site.queue)
    for number in (1, 2, 3):
        await site.lift(ALICE, await site.suspend(ALICE, number=number))
    await site.work()
    assert site.queue.calls == []
    first, second = await site.suspend(ALICE, number=4), await site.suspend(ALICE, number=5)
    await site.work()
    await site.lift(ALICE, first)
    await site.work()
    assert site.queue.held == {"AAAAAA01", "AAAAAA02", "DDDDDD01"}
    assert [call[0] for call in site.queue.calls] == ["hold"]
    await site.lift(ALICE, second)
    await site.work()
    assert site.queue.held == {"DDDDDD01"}


async def test_a_crash_after_the_mta_was_told_leaves_no_mail_on_hold_for_ever(site: Site) -> None:
    site.queue.put("AAAAAA01", ALICE)
    told = site.queue.change

    async def told_and_died(act: str, queue_ids: Iterable[str]) -> None:
        await told(act, queue_ids)
        raise KeyboardInterrupt

    site.queue.change = told_and_died  # type: ignore[method-assign]
    sanction_id = await site.suspend(ALICE)
    with pytest.raises(KeyboardInterrupt):
        await site.work()
    site.queue.change = told  # type: ignore[method-assign]
    assert site.queue.held == {"AAAAAA01"}
    await site.lift(ALICE, sanction_id)
    await site.work()
    assert site.queue.held == set()


async def test_a_failure_is_shown_said_once_tried_again_and_mended(site: Site) -> None:
    fill(site.queue)
    site.queue.error = PortError("postqueue ended with 69: fatal: Queue report unavailable")
    await site.suspend(ALICE)
    for _ in range(4):
        await site.work()
        site.clock.advance(hours=1)
    assert len(site.errors) == 4
    (row,) = await site.reports(ALICE)
    assert (row.act, row.outcome) == ("hold", "failed")
    assert "Queue report unavailable" in row.detail
    assert (await site.show(ALICE))["sanctions"][0]["enforcement"] == "failed"
    site.queue.error = None
    await site.work()
    assert (await site.show(ALICE))["sanctions"][0]["enforcement"] == "applied"
    assert "AAAAAA01" in site.queue.held


async def test_a_stolen_accounts_mail_stays_held_through_the_trickle_and_after_an_attestation_until_a_person_says(
    site: Site,
) -> None:
    site.queue.put("AAAAAA01", ALICE)
    await site.hold(ALICE, "auth.failures")
    await site.work()
    assert site.queue.held == {"AAAAAA01"}
    site.clock.advance(days=4)
    await site.work()
    assert (await site.show(ALICE))["features_off"] == ["messages_per_day:20", "strangers"]
    assert site.queue.held == {"AAAAAA01"}
    attested = HoldAttested(
        at=site.clock.now(),
        attestation_id="at_1",
        hold_id="h_a_1",
        account_id="a_1",
        incident_ids=(),
        by="admin",
        number=1,
        is_verified=True,
        watch_until=site.clock.now() + timedelta(hours=72),
        watch_features=(),
    )
    await site.append(ALICE, attested)
    await site.work()
    assert site.queue.held == {"AAAAAA01"}
    with pytest.raises(RefusedError, match="nothing of bella"):
        await site.act("effect.queue", account=BELLA, act="delete")
    with pytest.raises(RefusedError, match="neither"):
        await site.act("effect.queue", account=ALICE, act="hold")
    assert (await site.act("effect.queue", account=ALICE, act="delete"))["held"] == 1
    await site.work()
    assert site.queue.mails_by_id == {}
    last = (await site.reports(ALICE))[-1]
    assert (last.act, last.outcome, last.count, last.by) == ("delete", "applied", 1, "dana")


async def test_a_hold_that_a_moderator_releases_lets_the_queue_go(site: Site) -> None:
    site.queue.put("AAAAAA01", ALICE)
    await site.hold(ALICE, "auth.failures")
    await site.work()
    await site.append(ALICE, HoldReleased(at=site.clock.now(), hold_id="h_a_1", by="dana", reason="false alarm"))
    await site.work()
    assert site.queue.held == set()


async def test_the_identity_system_is_asked_once_and_its_word_is_on_record(site: Site) -> None:
    site.identity.error = PortError("the identity system answered 503")
    await site.hold(ALICE, "auth.failures")
    await site.work()
    assert (await site.reports(ALICE))[0].outcome in ("failed", "nothing")
    site.identity.error = None
    site.clock.advance(hours=1)
    await site.work()
    site.clock.advance(hours=1)
    await site.work()
    assert len(site.identity.asked) == 2
    assert site.identity.asked[1].items() >= {"login": ALICE, "act": "revoke", "hold_id": "h_a_1"}.items()
    rows = [x for x in await site.reports(ALICE) if x.effector == "credentials"]
    assert [(x.outcome, x.detail) for x in rows] == [
        ("failed", "PortError: the identity system answered 503"),
        ("applied", "verified"),
    ]


@pytest.mark.parametrize("because", ["registration", "person"])
async def test_no_credentials_are_revoked_where_nobody_may_have_them(site: Site, because: str) -> None:
    await site.hold(ALICE, because=because)
    await site.work()
    assert site.identity.asked == []


async def test_a_warning_a_restriction_and_a_site_without_effectors_promise_nothing(site: Site) -> None:
    imposed = SanctionImposed(
        at=START, sanction_id="s_1", incident_id="i_1", decision_id="d_1", account_id="a_1", rung=Rung.RESTRICT, step=1,
        features=(Feature(name="links"),), category="", clauses=(), starts_at=START, ends_at=None, lapses_at=None,
        step_down_features=(), is_automatic=True, by="system", warranted=Rung.RESTRICT,
    )  # fmt: skip
    follow = promises_of({"mta_queue", "credentials"})
    assert list(follow(imposed, "a_1", "n_1")) == []
    assert len(list(follow(replace(imposed, rung=Rung.SUSPEND), "a_1", "n_1"))) == 1
    assert list(promises_of(frozenset())(replace(imposed, rung=Rung.TERMINATE), "a_1", "n_1")) == []
