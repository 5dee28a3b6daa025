"""Group commit: each function whole or not at all, results after the disk, nothing lost to threads or to kill -9."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import LedgerUnavailable, RefusedError, UsageError
from filterd.ledger import entries
from filterd.ledger.engine import LedgerEngine
from filterd.model.standing import History
from filterd.ports import LedgerTxn
from tests.kit.clock import NOON, FrozenClock
from tests.ledger.rig import KEYS, WRITER, act, incident, incident_id, open_engine, sanction, strike


def rows(engine: LedgerEngine) -> tuple[Any, ...]:
    return engine.run(lambda txn: entries.after(txn.connection, WRITER, 0, 1_000_000))


def refold(engine: LedgerEngine, account_id: str) -> History:
    return engine.run(lambda txn: txn.equipment.histories.fold(txn.connection, account_id))


def fail(txn: LedgerTxn, account_id: str) -> None:
    act(txn, account_id, "lost")
    txn.post("notice", {"a": [1]}, due_at=txn.now)
    raise RefusedError("no")


class Held:
    """Holds the writer thread, so that what is submitted meanwhile becomes one group."""

    def __init__(self, engine: LedgerEngine):
        self._go, begun = threading.Event(), threading.Event()

        def hold(txn: LedgerTxn) -> None:
            begun.set()
            self._go.wait(10)

        self._engine = engine
        self._thread = threading.Thread(target=engine.run, args=(hold,))
        self._thread.start()
        begun.wait(10)

    def release(self) -> None:
        self._go.set()
        self._thread.join(10)


async def in_one_group(engine: LedgerEngine, functions: list[Any]) -> list[Any]:
    held = Held(engine)
    tasks = [asyncio.create_task(engine.submit(function)) for function in functions]
    await asyncio.sleep(0.05)
    commits = engine.tally.commits
    held.release()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert engine.tally.commits <= commits + 2
    return done


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


async def test_rows_of_this_function_are_seen_by_it(engine: LedgerEngine) -> None:
    def look(txn: LedgerTxn) -> tuple[int, str | None, int]:
        act(txn, "a_1")
        return len(txn.records("a_1")), txn.account_of("x_a_1_1"), len(txn.history("a_1").sanctions)

    assert await engine.submit(look) == (3, "a_1", 1)


async def test_ids_lead_to_their_account(engine: LedgerEngine) -> None:
    for account_id in ("a_1", "a_2"):
        await engine.submit(lambda txn, account_id=account_id: act(txn, account_id))

    def owners(txn: LedgerTxn) -> list[str | None]:
        full = incident_id("a_2")
        digits = full.partition("_")[2]
        quoted = [full, "s_a_1_1", digits[:12], digits[:12].upper(), f"i_{digits[:20]}", digits[:11], "", "%", "0" * 12]
        return [txn.account_of(text) for text in quoted]

    assert await engine.submit(owners) == ["a_2", "a_1", "a_2", "a_2", "a_2", None, None, None, None]


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
    async def explode_later(history: History) -> None:
        raise ValueError("later")

    def explode(found: object) -> None:
        raise ValueError("now")

    engine.on_history(explode_later)
    engine.on_entries(explode)
    assert await engine.submit(lambda txn: act(txn, "a_1")) == 3
    await asyncio.sleep(0.01)


async def test_a_coroutine_is_no_ledger_function(engine: LedgerEngine) -> None:
    async def wait(txn: LedgerTxn) -> None:
        act(txn, "a_1")

    with pytest.raises(UsageError, match="plain"):
        await engine.submit(wait)
    assert rows(engine) == ()


async def test_a_transaction_cannot_be_kept(engine: LedgerEngine) -> None:
    kept = await engine.submit(lambda txn: txn)
    for use in (
        lambda: kept.history("a_1"),
        lambda: kept.append(incident("a_1"), account_id="a_1", tenant_id=None),
        lambda: kept.find_account("x"),
        lambda: kept.new_deliveries("a", None, ["k"]),
        lambda: kept.post("t", {}, due_at=NOON),
    ):
        with pytest.raises(UsageError, match="over"):
            use()


async def test_written_at_never_goes_back(engine: LedgerEngine, clock: FrozenClock) -> None:
    nows = []

    def note(txn: LedgerTxn) -> None:
        nows.append(txn.now)
        act(txn, "a_1", len(nows))

    for jump_s in (0.0, 86_400.0, -90_000.0, 1.0):
        clock.advance(jump_s)
        await engine.submit(note)
    day = NOON.replace(day=3)
    written = [entry.written_at for entry in rows(engine)]
    assert written == [NOON] * 3 + [day] * 9
    assert [(now - NOON).total_seconds() for now in nows] == [0, 86_400, -3_600, -3_599]


async def test_order_survives_a_restart_with_the_clock_set_back(state_dir: Path) -> None:
    clock = FrozenClock()
    for jump_s in (0, -3600):
        engine = open_engine(state_dir, clock)
        clock.advance(jump_s)
        await engine.submit(lambda txn, jump_s=jump_s: act(txn, "a_1", jump_s))
        history = engine.warm_history("a_1")
        written = [entry.written_at for entry in rows(engine)]
        engine.stop()
    assert history is not None
    assert [file.opened.evidence_key for file in history.incidents] == ["e0", "e-3600"]
    assert written == sorted(written)


async def test_given_up_before_its_group_it_is_not_run(engine: LedgerEngine) -> None:
    held = Held(engine)
    task = asyncio.create_task(engine.submit(lambda txn: act(txn, "a_1")))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
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
        return [engine.run(hit) for _ in range(200)]

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


KILLED = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tests.ledger.rig import act, open_engine

engine = open_engine(Path(sys.argv[1]))

def whole(txn, name):
    for part in range(5):
        act(txn, name, part)

def work(worker):
    for turn in range(100_000):
        name = f"a_{worker}_{turn}"
        engine.run(lambda txn: whole(txn, name))
        os.write(1, f"{name}\\n".encode())

with ThreadPoolExecutor(8) as pool:
    list(pool.map(work, range(8)))
"""


@pytest.mark.parametrize("moment_s", [0.0, 0.013, 0.11])
def test_kill_in_mid_group(state_dir: Path, moment_s: float) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(state_dir)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    promised = [process.stdout.readline().strip() for _ in range(9)]
    time.sleep(moment_s)
    os.kill(process.pid, signal.SIGKILL)
    promised += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.wait()
    assert len(promised) >= 9
    engine = open_engine(state_dir)
    try:
        found = rows(engine)
        assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
        assert asyncio.run(engine.verify()).is_sound
        counts: dict[str, int] = {}
        for entry in found:
            counts[entry.account_id] = counts.get(entry.account_id, 0) + 1
        assert set(counts.values()) == {15}
        assert set(promised) <= set(counts)
    finally:
        engine.stop()


LIMITED = """
import json, resource, signal, sys
from pathlib import Path
from filterd.errors import LedgerUnavailable
from tests.ledger.rig import act, open_engine

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
engine = open_engine(Path(sys.argv[1]))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
size = (Path(sys.argv[1]) / "ledger.sqlite3").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40_000, hard))
stored, refused = [], 0
for turn in range(400):
    try:
        engine.run(lambda txn: act(txn, f"a_{turn}"))
        stored.append(turn)
    except LedgerUnavailable:
        refused += 1
        if refused == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
engine.stop()
print(json.dumps([stored, refused]))
"""


def test_a_full_disk_costs_what_was_refused_and_nothing_else(state_dir: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(state_dir)]
    stored, refused = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert refused == 3
    assert len(stored) == 397
    engine = open_engine(state_dir)
    try:
        found = rows(engine)
        assert [entry.account_id for entry in found] == [f"a_{turn}" for turn in stored for _ in range(3)]
        assert asyncio.run(engine.verify()).is_sound
    finally:
        engine.stop()


def test_rows_bear_the_record(engine: LedgerEngine) -> None:
    engine.run(lambda txn: act(txn, "a_1"))
    first = rows(engine)[0]
    assert (first.writer, first.seq, first.kind, first.schema) == (WRITER, 1, "incident.opened", 1)
    assert (first.account_id, first.tenant_id, first.prev_hash) == ("a_1", "n_1", bytes(32))
    assert first.sealed is not None
    assert b"example.org" not in first.sealed
    assert b"example.org" not in first.body
    assert KEYS.chain not in first.row_hash
    assert sanction("a_1") == rows_as_records(engine)[2]


def rows_as_records(engine: LedgerEngine) -> list[object]:
    return list(engine.run(lambda txn: txn.records("a_1")))
