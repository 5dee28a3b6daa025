"""Group commit: each function whole or not at all, results after the disk, news before the results."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from filterd.errors import LedgerUnavailable, RefusedError
from filterd.ledger.engine import LedgerEngine
from filterd.model.standing import History
from filterd.ports import LedgerTxn
from tests.ledger.groups import in_one_group, refold, rows
from tests.ledger.rig import act, incident

pytestmark = pytest.mark.slow


def fail(txn: LedgerTxn, account_id: str) -> None:
    act(txn, account_id, "lost")
    txn.post("notice", {"a": [1]}, due_at=txn.now)
    raise RefusedError("no")


async def test_a_function_that_raises_is_undone_alone(engine: LedgerEngine) -> None:
    done = await in_one_group(
        engine,
        [
            lambda txn: act(txn, "a_1"),
            lambda txn: fail(txn, "a_1"),
            lambda txn: fail(txn, "a_2"),
            lambda txn: act(txn, "a_2"),
            lambda txn: (len(txn.history("a_1").incidents), len(txn.history("a_2").incidents)),
        ],
    )
    assert done[0] == 3
    assert [type(err) for err in done[1:3]] == [RefusedError, RefusedError]
    assert done[3:] == [6, (1, 1)]
    assert [entry.seq for entry in rows(engine)] == [1, 2, 3, 4, 5, 6]
    assert await engine.pending() == ()
    for account_id in ("a_1", "a_2"):
        assert engine.warm_history(account_id) == refold(engine, account_id)
    assert (await engine.verify()).is_sound


async def test_a_key_made_by_an_undone_function_is_not_used_again(engine: LedgerEngine) -> None:
    def append(txn: LedgerTxn) -> None:
        txn.append(incident("a_1"), account_id="a_1", tenant_id=None, personal={"recipient": "bob"})

    def append_and_fail(txn: LedgerTxn) -> None:
        append(txn)
        raise RefusedError("no")

    await in_one_group(engine, [append_and_fail, append])
    assert [found.personal for found in await engine.opened_entries("a_1")] == [{"recipient": "bob"}]


async def test_nobody_sees_what_is_not_committed(engine: LedgerEngine) -> None:
    seen: list[History | None] = []

    def look_from_outside(txn: LedgerTxn) -> None:
        act(txn, "a_1")
        thread = threading.Thread(target=lambda: seen.append(engine.warm_history("a_1")))
        thread.start()
        thread.join()

    await engine.submit(lambda txn: txn.history("a_1"))
    await engine.submit(look_from_outside)
    assert seen == [History(account_id="a_1")]
    assert len((await engine.history("a_1")).incidents) == 1


@pytest.mark.one_store("sqlite")
async def test_a_failing_commit_fails_the_whole_group(engine: LedgerEngine) -> None:
    await engine.submit(lambda txn: act(txn, "a_1"))
    before = engine.warm_history("a_1")

    def fill(txn: Any) -> None:
        txn.connection.exec_driver_sql("PRAGMA max_page_count = 1")
        for number in range(200):
            act(txn, "a_1", f"full{number}")

    done = await in_one_group(engine, [lambda txn: act(txn, "a_2"), fill, lambda txn: act(txn, "a_3")])
    assert [type(err) for err in done] == [LedgerUnavailable] * 3
    assert "database or disk is full" in str(done[0])
    assert engine.warm_history("a_1") is None
    # The connection is new, and starts from what is on disk.
    assert await engine.history("a_1") == before
    assert await engine.submit(lambda txn: act(txn, "a_2")) == 6
    assert (await engine.verify()).is_sound


async def test_a_commit_whose_outcome_nobody_knows(engine: LedgerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It came through, but an error was reported: the caller may try again, and subscribers are told its rows."""
    from sqlalchemy.engine import RootTransaction
    from sqlalchemy.exc import OperationalError

    seqs: list[int] = []
    told: dict[str, History] = {}
    engine.on_entries(lambda found: seqs.extend(entry.seq for entry in found))
    engine.on_history(lambda history: told.update({history.account_id: history}))
    commit = RootTransaction.commit

    def commit_and_fail(transaction: RootTransaction) -> None:
        commit(transaction)
        raise OperationalError("COMMIT", None, Exception("disk I/O error"))

    monkeypatch.setattr(RootTransaction, "commit", commit_and_fail)
    with pytest.raises(LedgerUnavailable, match="disk I/O error"):
        await engine.submit(lambda txn: act(txn, "a_1"))
    assert seqs == []
    monkeypatch.undo()
    assert await engine.submit(lambda txn: act(txn, "a_2")) == 6
    assert seqs == [1, 2, 3, 4, 5, 6]
    assert told["a_1"] == refold(engine, "a_1") == await engine.history("a_1")
    assert (await engine.verify()).fault is None


@pytest.mark.one_store("sqlite")
async def test_a_swallowed_disk_error_cannot_pass(engine: LedgerEngine) -> None:
    def swallow(txn: Any) -> int:
        txn.connection.exec_driver_sql("PRAGMA max_page_count = 1")
        try:
            for number in range(200):
                act(txn, "a_1", f"full{number}")
                _ = txn.connection
        except Exception:
            return 1
        return 2

    with pytest.raises(LedgerUnavailable):
        await engine.submit(swallow)
    assert rows(engine) == ()


async def test_told_before_results_and_in_order(engine: LedgerEngine) -> None:
    histories: list[History] = []
    seqs: list[int] = []
    engine.on_history(histories.append)
    leave = engine.on_entries(lambda found: seqs.extend(entry.seq for entry in found))

    async def submit_and_look(number: int) -> bool:
        last = await engine.submit(lambda txn: act(txn, f"a_{number}"))
        return last in seqs and any(history.account_id == f"a_{number}" for history in histories)

    assert all(await asyncio.gather(*(submit_and_look(number) for number in range(50))))
    assert seqs == list(range(1, 151))
    leave()
    await engine.submit(lambda txn: act(txn, "a_x"))
    assert len(seqs) == 150
    assert [entry.seq for entry in await engine.entries_after(150)] == [151, 152, 153]
    assert [entry.seq for entry in await engine.entries_after(0, limit=2)] == [1, 2]


async def test_a_subscriber_that_fails_changes_nothing(engine: LedgerEngine) -> None:
    exploded = asyncio.Event()

    async def explode_later(history: History) -> None:
        exploded.set()
        raise ValueError("later")

    def explode(found: object) -> None:
        raise ValueError("now")

    engine.on_history(explode_later)
    engine.on_entries(explode)
    assert await engine.submit(lambda txn: act(txn, "a_1")) == 3
    await exploded.wait()
    assert await engine.submit(lambda txn: act(txn, "a_1", 2)) == 6
