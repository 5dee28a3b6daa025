"""Very many delivered copies: work that grows with them, transactions that do not, and nothing lost on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import LedgerUnavailable, PortError
from filterd.ledger.txn import Txn
from filterd.model.about import NOTHING
from filterd.pipeline import copies
from filterd.pipeline.copies import CLAW_BACK, mark_of
from tests.pipeline.test_effects import ALICE
from tests.pipeline.theft import BOB, CAMPAIGN, CAROL, Theft, opened

pytestmark = pytest.mark.slow

MANY, AT_ONCE = 30, 8


@pytest.fixture
async def theft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Theft]:
    monkeypatch.setattr(copies, "AT_ONCE", AT_ONCE)
    async with opened(tmp_path, claw_back={"command": ["/bin/true"]}) as theft:
        yield theft


def deliver(theft: Theft, *to: str, count: int = MANY) -> list[str]:
    sent = [theft.mail(CAMPAIGN, *to, queue_id=f"G{n:05}") for n in range(count)]
    theft.store.boxes = {(login, tx) for login in to for tx in sent}
    return sent


async def notice(theft: Theft) -> None:
    await theft.steal(CAMPAIGN)
    theft.clock.advance(120)
    await theft.work()


async def promised(theft: Theft) -> Counter[str]:
    """Say of which copies in mailboxes the mail store is to be asked, and how often."""
    pending = [item.payload for item, _, _ in await theft.engine.pending() if item.topic == CLAW_BACK]
    return Counter(mark_of(copy) for payload in pending for copy in payload["copies"])


async def test_no_transaction_grows_with_the_copies(theft: Theft, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = deliver(theft, BOB, CAROL)
    posts: Counter[int] = Counter()
    asked: list[int] = []
    transactions: list[Txn] = []
    post = Txn.post

    def counted(txn: Txn, topic: str, payload: Mapping[str, Any], **more: Any) -> str:
        # Kept, so that no two have one id.
        transactions.append(txn)
        posts[id(txn)] += 1
        asked.append(len(payload.get("copies", ())))
        return post(txn, topic, payload, **more)

    monkeypatch.setattr(Txn, "post", counted)
    await notice(theft)
    # The copies of a portion as one promise, its two readers, and the letter to come.
    assert max(posts.values()) <= 1 + 2 + 1
    assert max(asked) <= AT_ONCE
    assert await promised(theft) == Counter(
        mark_of({"tx": tx, "account_id": account_id}) for tx in sent for account_id in ("a_3", "a_4")
    )


async def test_one_copy_for_very_many_readers_is_told_in_portions(
    theft: Theft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "AT_ONCE", 1)
    (tx,) = deliver(theft, BOB, CAROL, count=1)
    await notice(theft)
    assert set(await theft.warned()) == {"a_3", "a_4"}
    assert len(await promised(theft)) == 2
    # On record once it is complete.
    assert [x.ids for x in await theft.reports(ALICE) if x.act == "warn"] == [(tx,)]
    await theft.ask_back()
    assert theft.store.boxes == set()


async def test_asking_reads_no_rows_of_the_sender_and_writes_few(theft: Theft, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = deliver(theft, BOB)
    await notice(theft)
    read: list[str] = []
    records = Txn.records
    monkeypatch.setattr(Txn, "records", lambda txn, account_id: read.append(account_id) or records(txn, account_id))
    await theft.ask_back()
    monkeypatch.undo()
    assert read == []
    assert len(theft.store.asked) == MANY
    fates = await theft.fates()
    assert len(fates) <= MANY // AT_ONCE + 1
    assert sum(count for _, count, _ in fates) == MANY
    assert {x for _, _, ids in fates for x in ids} == {mark_of({"tx": tx, "account_id": "a_3"}) for tx in sent}


async def test_a_ledger_that_goes_away_in_between_has_nothing_promised_twice(
    theft: Theft, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = deliver(theft, BOB)
    submit, writes = theft.worker._submit, [0]

    async def away_at_the_third(function: Any, about: Any) -> Any:
        writes[0] += about != NOTHING
        if about != NOTHING and writes[0] == 3:
            raise LedgerUnavailable("away")
        return await submit(function, about)

    await theft.steal(CAMPAIGN)
    monkeypatch.setattr(theft.worker, "_submit", away_at_the_third)
    theft.clock.advance(120)
    await theft.work()
    assert 0 < len(await promised(theft)) < MANY
    theft.clock.advance(hours=2)
    await theft.work()
    assert await promised(theft) == Counter(mark_of({"tx": tx, "account_id": "a_3"}) for tx in sent)


async def test_a_mailbox_that_fails_keeps_no_other_waiting(theft: Theft) -> None:
    first, *others = deliver(theft, BOB, count=AT_ONCE)
    take_back = theft.store.take_back

    async def all_but_the_first(request: Mapping[str, str]) -> int:
        if request["transaction_id"] == first:
            raise PortError("no")
        return await take_back(request)

    theft.store.take_back = all_but_the_first  # type: ignore[method-assign]
    await notice(theft)
    for _ in range(3):
        await theft.ask_back()
        theft.clock.advance(hours=2)
    assert theft.store.boxes == {(BOB, first)}
    assert [(outcome, count) for outcome, count, _ in await theft.fates()] == [("applied", len(others)), ("failed", 1)]
    assert len(await promised(theft)) == 1


async def test_a_mail_store_that_is_down_is_not_asked_about_every_copy_and_each_has_its_turn(theft: Theft) -> None:
    deliver(theft, BOB, count=AT_ONCE)
    theft.store.error = PortError("down")
    await notice(theft)
    await theft.ask_back()
    assert len(theft.store.asked) == 3
    for _ in range(7):
        theft.clock.advance(hours=2)
        await theft.ask_back()
    assert len({x["transaction_id"] for x in theft.store.asked}) == AT_ONCE
    assert [outcome for outcome, _, _ in await theft.fates()] == ["failed"]


async def test_what_was_moved_when_the_ledger_went_away_counts_as_moved(
    theft: Theft, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(theft, BOB, count=3)
    await notice(theft)
    done, outages = theft.engine.done, [LedgerUnavailable("away")]

    async def away_once(*given: Any) -> bool:
        if outages:
            raise outages.pop()
        return await done(*given)

    monkeypatch.setattr(theft.engine, "done", away_once)
    await theft.ask_back()
    assert await theft.fates() == []
    theft.clock.advance(hours=2)
    await theft.ask_back()
    assert [(outcome, count) for outcome, count, _ in await theft.fates()] == [("applied", 3)]


async def test_a_mail_store_down_for_days_and_then_the_ledger_loses_no_copy(
    theft: Theft, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(theft, BOB, count=1)
    theft.store.error = PortError("down")
    await notice(theft)
    await theft.ask_back()
    carrier = theft.carrier._carriers[CLAW_BACK]
    theft.clock.advance(days=4)

    async def away(function: Any, about: Any) -> Any:
        raise LedgerUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(carrier, "_submit", away)
        await theft.ask_back()
    assert len(await promised(theft)) == 1
    theft.store.error = None
    theft.clock.advance(hours=2)
    await theft.ask_back()
    assert theft.store.boxes == set()
