"""No sanction goes unheard: by a worker's copy, after a group that failed, after the store went and came back."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from filterd.errors import LedgerUnavailable
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.local import LocalLedger
from filterd.ledger.remote import RemoteLedger
from filterd.ledger.server import LinkServer
from filterd.model.about import NOTHING, about
from filterd.ports import LedgerTxn
from tests.kit.postgres import Postgres
from tests.kit.waiting import PATIENCE_S, must, soon, wait_until
from tests.ledger.nodes import chain, nodes
from tests.ledger.rig import act

pytestmark = pytest.mark.database


@pytest.fixture
def url(postgres_server: Postgres) -> Iterator[str]:
    url = postgres_server.new_database()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def pair(tmp_path: Path, url: str) -> Iterator[list[LedgerEngine]]:
    with nodes(tmp_path, url) as opened:
        yield opened


@contextlib.asynccontextmanager
async def worker_of(engine: LedgerEngine, folder: Path):  # type: ignore[no-untyped-def]
    server = LinkServer(LocalLedger(engine, {}), folder / "l.sock")
    await server.start()
    worker = RemoteLedger(folder / "l.sock", deadline_s=PATIENCE_S)
    await worker.start(wait_s=PATIENCE_S)
    try:
        yield worker
    finally:
        await worker.close()
        await server.close()


async def sanctions(worker: RemoteLedger, account_id: str, count: int) -> None:
    """Wait until a worker knows of so many."""
    async with asyncio.timeout(PATIENCE_S):
        while len((await worker.history(account_id)).sanctions) != count:
            await asyncio.sleep(0.01)


def fail(txn: LedgerTxn) -> None:
    txn.connection.exec_driver_sql("SET LOCAL statement_timeout = 20")  # type: ignore[attr-defined]
    txn.connection.exec_driver_sql("SELECT pg_sleep(3600)")  # type: ignore[attr-defined]


async def test_a_worker_hears_of_what_its_ledger_has_no_copy_of_any_more(
    pair: list[LedgerEngine], tmp_path: Path
) -> None:
    one, two = pair
    async with worker_of(two, tmp_path) as worker:
        await sanctions(worker, "a_1", 0)
        # Everything warm is dropped, and the worker is not told to forget.
        with pytest.raises(LedgerUnavailable):
            await two.submit(fail, NOTHING)
        assert two.warm_history("a_1") is None
        await one.submit(lambda txn: act(txn, "a_1"))
        await sanctions(worker, "a_1", 1)


async def test_a_note_whose_group_failed_is_not_lost(pair: list[LedgerEngine], tmp_path: Path) -> None:
    one, two = pair
    async with worker_of(two, tmp_path) as worker:
        await sanctions(worker, "a_1", 0)
        begun, go = threading.Event(), threading.Event()

        def hold(txn: LedgerTxn) -> None:
            begun.set()
            must(go)

        held = asyncio.ensure_future(two.submit(hold, NOTHING))
        await asyncio.to_thread(must, begun)
        failing = asyncio.ensure_future(two.submit(fail, NOTHING))
        await asyncio.sleep(0)
        before = two.waiting
        await one.submit(lambda txn: act(txn, "a_1"))
        await asyncio.to_thread(wait_until, lambda: two.waiting > before)
        go.set()
        await held
        with pytest.raises(LedgerUnavailable):
            await failing
        await sanctions(worker, "a_1", 1)


async def test_what_was_asked_while_the_store_went_and_came_is_still_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Postgres() as server, nodes(tmp_path, server.new_database()) as (one, two):
        async with worker_of(two, tmp_path) as worker:
            begun, go = threading.Event(), threading.Event()

            def hold(txn: LedgerTxn) -> None:
                begun.set()
                must(go)

            held = asyncio.ensure_future(two.submit(hold, NOTHING))
            await asyncio.to_thread(must, begun)
            asked = asyncio.ensure_future(worker.history("a_1"))
            await asyncio.to_thread(wait_until, lambda: two.waiting > 0)
            weather: list[bool] = []
            two.on_weather(weather.append)
            with monkeypatch.context() as hurried:
                hurried.setattr("filterd.ledger.bulletin.AWAY_AFTER_S", 0.5)
                server.pause()
                await soon(lambda: False in weather)
            server.resume()
            # Who follows whom was forgotten before we were told.
            await soon(lambda: weather and weather[-1])
            go.set()
            await held
            assert (await asked).sanctions == ()
            await asyncio.to_thread(wait_until, lambda: one.is_store_there)
            await one.submit(lambda txn: act(txn, "a_1"))
            await sanctions(worker, "a_1", 1)


async def test_the_last_word_outlives_a_group_that_fails(pair: list[LedgerEngine]) -> None:
    one, two = pair
    ledger = LocalLedger(two, {})
    await ledger.history("a_1")
    with pytest.raises(LedgerUnavailable):
        await two.submit(fail, NOTHING)
    await one.submit(lambda txn: act(txn, "a_1"))
    async with asyncio.timeout(PATIENCE_S):
        while len(ledger._said["a_1"].sanctions) != 1:
            await asyncio.sleep(0.01)


def test_a_rollback_that_fails_leaves_nothing_behind(pair: list[LedgerEngine], url: str) -> None:
    """In the way of somebody, and the connection ends before that can be undone."""
    one, two = pair
    begun, go = threading.Event(), threading.Event()

    def hold(txn: LedgerTxn) -> None:
        begun.set()
        must(go)

    def collide(txn: LedgerTxn) -> None:
        raw = txn.connection  # type: ignore[attr-defined]
        backend = raw.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        try:
            raw.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")
        finally:
            with psycopg.connect(url, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s)", (backend,))

    with ThreadPoolExecutor() as pool:
        # One group: what the first did is undone with the second.
        pool.submit(one.run, hold, NOTHING)
        must(begun)
        first = pool.submit(one.run, lambda txn: act(txn, "a_1"), about(accounts=("a_1",)))
        wait_until(lambda: one.waiting == 1)
        second = pool.submit(one.run, collide, NOTHING)
        wait_until(lambda: one.waiting == 2)
        go.set()
        for group in (first, second):
            with pytest.raises(LedgerUnavailable):
                group.result(PATIENCE_S)
    assert one.run(lambda txn: txn.history("a_1"), NOTHING).sanctions == ()
    one.run(lambda txn: act(txn, "a_2"))
    assert chain(two, "node1.ledger") == [1, 2, 3]
    assert asyncio.run(two.verify()).is_sound


def test_a_store_that_lost_rows_while_we_were_connected_is_not_gone_on_with(pair: list[LedgerEngine], url: str) -> None:
    """A failover to a replica that lacks the last commits."""
    one, _ = pair
    last = one.run(lambda txn: act(txn, "a_1"))
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("DELETE FROM entry WHERE writer = 'node1.ledger' AND seq = %s", (last,))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                      " AND datname = current_database()")
    for _ in range(3):
        with pytest.raises(LedgerUnavailable, match="ends at row 2, and row 3 was written"):
            one.run(lambda txn: act(txn, "a_2"))


def test_a_tenant_with_very_many_domains_does_not_fill_the_lock_table(pair: list[LedgerEngine]) -> None:
    domains = [f"d{number}.example" for number in range(30_000)]
    assert pair[0].run(lambda txn: act(txn, "a_1"), about(accounts=("a_1",), domains=domains)) == 3
