"""Many callers at once: no lost update, nothing half given up, an end that keeps its promises."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from filterd.errors import LedgerUnavailable
from filterd.ledger.engine import LedgerEngine
from filterd.model.about import about
from filterd.ports import LedgerTxn
from tests.kit.waiting import soon
from tests.ledger.groups import Held, refold, rows
from tests.ledger.nodes import contend
from tests.ledger.rig import act, incident, incident_id, open_engine, strike

# Long enough to leave out of `make check`.
pytestmark = pytest.mark.slow


async def test_given_up_before_its_group_it_is_not_run(engine: LedgerEngine) -> None:
    held = Held(engine)
    task = asyncio.create_task(engine.submit(lambda txn: act(txn, "a_1")))
    await soon(lambda: engine.waiting == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    held.release()
    assert await engine.submit(lambda txn: act(txn, "a_2")) == 3


async def test_a_closed_ledger_says_so(state_dir: Path) -> None:
    engine = open_engine(state_dir)
    results = [asyncio.ensure_future(engine.submit(lambda txn: act(txn, "a_1"))) for _ in range(1)]
    await asyncio.sleep(0)
    await engine.close()
    assert [await result for result in results] == [3]
    with pytest.raises(LedgerUnavailable, match="closed"):
        await engine.submit(lambda txn: None)


def test_eight_threads_lose_nothing(engine: LedgerEngine) -> None:
    # Read, add one, write: the classic lost update.
    def hit(txn: LedgerTxn) -> int:
        count = len(txn.history("a_1").incidents)
        txn.append(incident("a_1", count), account_id="a_1", tenant_id=None)
        return count

    def work(_: int) -> list[int]:
        return [engine.run(hit, about(accounts=("a_1",))) for _ in range(200)]

    with ThreadPoolExecutor(8) as pool:
        counts = [count for found in pool.map(work, range(8)) for count in found]
    assert sorted(counts) == list(range(1600))
    assert [entry.seq for entry in rows(engine)] == list(range(1, 1601))
    assert engine.warm_history("a_1") == refold(engine, "a_1")
    assert engine.tally.commits < 1600


async def test_eight_tasks_lose_nothing(engine: LedgerEngine) -> None:
    async def work(number: int) -> None:
        for hit in range(200):
            key = f"k{hit}"

            def once(txn: LedgerTxn, key: str = key) -> None:
                if txn.new_deliveries("a_1", None, [key]):
                    txn.mark_deliveries("a_1", incident_id("a_1"), [key], txn.now)
                    txn.append(strike("a_1"), account_id="a_1", tenant_id=None)

            await engine.submit(once)

    await asyncio.gather(*(work(number) for number in range(8)))
    assert len(rows(engine)) == 200


@pytest.mark.one_store("sqlite")
def test_eight_writers_climb_each_rung_once(engine: LedgerEngine) -> None:
    """The same on several nodes: test_nodes."""
    contend([engine], accounts=6, keys=20, writers=8, seed=1)


@pytest.mark.one_store("sqlite")
@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_operations_on_one_node(engine: LedgerEngine) -> None:
    assert contend([engine], accounts=50, keys=250, writers=8, seed=2) == 100_000
