"""Work promised is done at least once: leased, done with its outcome, given back, or leased again after a crash."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import RefusedError, UsageError
from filterd.ledger.engine import LedgerEngine
from filterd.model.about import NOTHING
from filterd.ports import OutboxItem
from tests.kit.clock import NOON, FrozenClock
from tests.ledger.rig import act, incident, open_engine

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)


def post(engine: LedgerEngine, payload: dict[str, Any], *, due_s: float = 0, key: str | None = None) -> str:
    due_at = NOON + timedelta(seconds=due_s)
    return engine.run(lambda txn: txn.post("notice", payload, due_at=due_at, merge_key=key))


async def test_due_items_come_in_order_and_once(engine: LedgerEngine) -> None:
    ids = [post(engine, {"n": n}, due_s=due_s) for n, due_s in enumerate([30, 0, 10, 90])]
    assert await engine.lease(NOON - MINUTE, 10) == ()
    first = await engine.lease(NOON + timedelta(seconds=20), 1)
    assert first == (OutboxItem(item_id=ids[1], topic="notice", payload={"n": 1}, attempts=1, created_at=NOON),)
    rest = await engine.lease(NOON + MINUTE, 10)
    assert [item.item_id for item in rest] == [ids[2], ids[0]]
    assert await engine.lease(NOON + MINUTE, 10) == ()


async def test_done_takes_it_out_with_its_outcome(engine: LedgerEngine) -> None:
    item_id = post(engine, {"n": 1})
    await engine.lease(NOON, 1)

    def outcome(txn: Any) -> None:
        txn.append(incident("a_1"), account_id="a_1", tenant_id=None)

    def failing_outcome(txn: Any) -> None:
        outcome(txn)
        raise RefusedError("no")

    with pytest.raises(RefusedError):
        await engine.done(item_id, failing_outcome)
    assert [item.item_id for item, _, _ in await engine.pending()] == [item_id]
    assert await engine.done(item_id, outcome) is True
    assert await engine.done(item_id, outcome) is False
    assert await engine.pending() == ()
    assert len(await engine.entries_after(0)) == 1


async def test_given_back_it_waits_for_its_time(engine: LedgerEngine) -> None:
    item_id = post(engine, {"n": 1})
    await engine.lease(NOON, 1)
    assert await engine.retry(item_id, NOON + 5 * MINUTE, "451 try <bob@example.org> later") is True
    assert await engine.lease(NOON + MINUTE, 1) == ()
    ((item, due_at, error),) = await engine.pending()
    assert (item.attempts, due_at, error) == (1, NOON + 5 * MINUTE, "451 try <bob@example.org> later")
    (again,) = await engine.lease(NOON + 5 * MINUTE, 1)
    assert (again.attempts, again.payload) == (2, {"n": 1})
    assert await engine.retry("o_none", NOON, "x") is False


async def test_a_lease_runs_out(engine: LedgerEngine, state_dir: Path) -> None:
    item_id = post(engine, {"n": 1})
    assert len(await engine.lease(NOON, 1, lease_s=60)) == 1
    engine.stop()
    # The worker is gone; a new process finds the item again when the lease is over, and not before.
    again = open_engine(state_dir, FrozenClock())
    try:
        assert await again.lease(NOON + timedelta(seconds=59), 1) == ()
        (item,) = await again.lease(NOON + timedelta(seconds=60), 1)
        assert (item.item_id, item.attempts) == (item_id, 2)
        assert await again.done(item_id, lambda txn: act(txn, "a_1")) is True
    finally:
        again.stop()


async def test_a_lease_from_the_future_is_none(engine: LedgerEngine) -> None:
    post(engine, {"n": 1})
    await engine.lease(NOON + timedelta(days=30), 1)
    assert len(await engine.lease(NOON, 1)) == 1


async def test_the_same_key_joins_a_waiting_item(engine: LedgerEngine) -> None:
    first = post(engine, {"incidents": ["i1"], "account": "a_1"}, due_s=60, key="a_1")
    assert post(engine, {"incidents": ["i2", "i1"], "account": "a_2", "more": True}, due_s=300, key="a_1") == first
    assert post(engine, {"incidents": ["i3"]}, due_s=60, key="a_2") != first
    assert engine.run(lambda txn: txn.post("webhook", {"x": []}, due_at=NOON, merge_key="a_1")) != first
    united = {"incidents": ["i1", "i2"], "account": "a_1", "more": True}
    assert {item.item_id: (item.payload, due_at) for item, due_at, _ in await engine.pending()}[first] == (
        united,
        NOON + MINUTE,
    )
    with pytest.raises(UsageError, match="incidents is a list"):
        post(engine, {"incidents": "i4"}, key="a_1")


async def test_items_are_counted_by_topic_and_the_beginning_of_their_key(engine: LedgerEngine) -> None:
    for n, key in enumerate(("n_1:a", "n_1:b", "n_1:a", "nx1:a", "n_12:a", None)):
        post(engine, {}, due_s=n - 60, key=key)
    engine.run(lambda txn: txn.post("webhook", {}, due_at=NOON, merge_key="n_1:a"))
    assert engine.run(lambda txn: txn.count_posted("notice", "n_1:")) == 2
    # Somebody who is at one is not done with it.
    (item,) = await engine.lease(NOON, 1)
    assert engine.run(lambda txn: txn.count_posted("notice", "n_1:")) == 2
    assert await engine.done(item.item_id, lambda _: None, NOTHING)
    assert engine.run(lambda txn: txn.count_posted("notice", "n_1:")) == 1


async def test_what_a_worker_holds_is_not_joined(engine: LedgerEngine) -> None:
    first = post(engine, {"incidents": ["i1"]}, key="a_1")
    await engine.lease(NOON, 10, lease_s=60)
    second = post(engine, {"incidents": ["i2"]}, key="a_1")
    assert second != first
    # Run out is not given back: the slow worker may still finish with what it read.
    assert post(engine, {"incidents": ["i3"]}, due_s=100, key="a_1") == second
    await engine.retry(first, NOON, "busy")
    await engine.done(second, lambda txn: None)
    assert post(engine, {"incidents": ["i4"]}, key="a_1") == first
    ((item, _, _),) = await engine.pending()
    assert item.payload == {"incidents": ["i1", "i4"]}
