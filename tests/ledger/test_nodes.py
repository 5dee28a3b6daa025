"""Two nodes, one record: every rung once, nothing lost, each hears of the other, timers on one of them.

HOUSE §5, STANDING 5.7-10. What a decision is, here: read the history, add what it lacks; the classic lost update.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from filterd.errors import LedgerUnavailable, ModelError, UsageError
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.postgres import numbers
from filterd.ledger.schema import STORE_VERSION
from filterd.model.about import EVERYTHING, NOTHING, About, about
from filterd.ports import LedgerTxn
from tests.kit.clock import NOON, FrozenClock
from tests.kit.postgres import Postgres
from tests.kit.waiting import PATIENCE_S, soon, wait_until
from tests.ledger.nodes import chain, climb, contend, nodes, open_node, together, whole
from tests.ledger.rig import TENANT, act, incident_id, people_the_directory

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


def test_eight_writers_on_two_nodes_lose_nothing(pair: list[LedgerEngine], postgres_server: Postgres) -> None:
    before = postgres_server.log_file.read_text().count("deadlock detected")
    contend(pair, accounts=6, keys=20, writers=4, seed=1)
    assert asyncio.run(pair[0].verify()).is_sound
    assert postgres_server.log_file.read_text().count("deadlock detected") == before


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_operations(pair: list[LedgerEngine], postgres_server: Postgres) -> None:
    before = postgres_server.log_file.read_text().count("deadlock detected")
    assert contend(pair, accounts=50, keys=250, writers=4, seed=2) == 100_000
    assert asyncio.run(pair[0].verify()).is_sound
    assert postgres_server.log_file.read_text().count("deadlock detected") == before


def test_locks_have_one_order() -> None:
    groups = [
        about(accounts=("a_2", "a_1"), tenants=("n_9",)),
        about(domains=("z.example",), logins=("x@z.example",)),
        about(tenants=("n_1",), others=("counters",)),
    ]
    ranks = [number >> 60 for number in numbers(groups)]
    assert ranks == sorted(ranks) == [0, 1, 1, 2, 2, 3, 4]
    assert all(0 <= number < 2**63 for number in numbers(groups))


def test_what_is_not_locked_is_not_written(pair: list[LedgerEngine]) -> None:
    for whose in (NOTHING, about(accounts=("a_2",))):
        with pytest.raises(UsageError, match="a_1 and has not locked"):
            pair[0].run(lambda txn: act(txn, "a_1"), whose)
    assert chain(pair[0], "node1.ledger") == []


def test_who_has_everything_waits_for_all_and_all_for_him(pair: list[LedgerEngine]) -> None:
    order: list[str] = []

    def noted(txn: LedgerTxn, name: str) -> None:
        order.append(f"{name} begins")
        act(txn, "a_1")
        order.append(f"{name} ends")

    def note(name: str, engine: LedgerEngine, whose: About, turns: int) -> None:
        for _ in range(turns):
            engine.run(lambda txn: noted(txn, name), whose)

    together(
        lambda: note("one", pair[0], EVERYTHING, 10),
        lambda: note("two", pair[1], about(accounts=("a_1",), tenants=("n_1",)), 10),
    )
    for begin, end in zip(order[::2], order[1::2], strict=True):
        assert begin.partition(" ")[0] == end.partition(" ")[0]


async def test_a_sanction_is_heard_of_at_the_other_node(pair: list[LedgerEngine]) -> None:
    one, two = pair
    told: list[str] = []
    two.on_history(lambda history: told.append(f"{history.account_id} {len(history.sanctions)}"))
    assert (await two.history("a_1")).sanctions == ()
    await one.submit(lambda txn: act(txn, "a_1"))
    await asyncio.to_thread(wait_until, lambda: told == ["a_1 1"])
    assert len((await two.history("a_1")).sanctions) == 1
    # Nobody there follows it: nothing is told before what comes after it.
    await one.submit(lambda txn: act(txn, "a_2"))
    await one.submit(lambda txn: act(txn, "a_1", 2))
    await soon(lambda: len(told) > 1)
    assert told == ["a_1 1", "a_1 2"]


async def test_a_directory_change_is_heard_of(pair: list[LedgerEngine]) -> None:
    told: list[int] = []
    for number, engine in enumerate(pair):
        engine.on_directory(lambda _, number=number: told.append(number))
    await pair[0].submit(people_the_directory)
    await soon(lambda: sorted(told) == [0, 1])
    # What is heard is not said again: the next that each says is the next that the other hears.
    for turn, engine in enumerate(reversed(pair), start=2):
        await engine.submit(lambda txn, turn=turn: txn.put_tenant(replace(TENANT, agreement=f"other{turn}")))
        await soon(lambda turn=turn: min(told.count(0), told.count(1)) == turn)
    assert told[2:] == [1, 0, 0, 1]


def test_clocks_that_disagree_do_not_change_the_order(tmp_path: Path, url: str) -> None:
    ahead, behind = FrozenClock(NOON + timedelta(hours=1)), FrozenClock(NOON)
    one, two = open_node(tmp_path, url, 1, clock=ahead), open_node(tmp_path, url, 2, clock=behind)
    try:
        for key in range(6):
            (one, two)[key % 2].run(lambda txn, key=key: climb(txn, "a_1", str(key)))
        for engine in (one, two):
            ids = [item.opened.incident_id for item in whole(engine, "a_1").incidents]
            assert ids == [incident_id("a_1", str(key)) for key in range(6)]
        assert asyncio.run(two.verify()).is_sound
    finally:
        one.stop()
        two.stop()


def test_two_ledgers_cannot_bear_one_name(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filterd.ledger.postgres._NAME_MS", 200)
    with nodes(tmp_path, url, 1), pytest.raises(UsageError, match=r"writes as node1\.ledger; each node needs its own"):
        open_node(tmp_path / "elsewhere", url, 1)
    open_node(tmp_path / "elsewhere", url, 1).stop()


async def test_timers_are_kept_by_one_and_move_when_it_ends(tmp_path: Path, url: str) -> None:
    one, two = open_node(tmp_path, url, 1), open_node(tmp_path, url, 2)
    try:
        assert (one.has_timers, two.has_timers) == (True, False)
        await two.submit(lambda txn: txn.post("notice", {"a": [1]}, due_at=txn.now))
        later = NOON + timedelta(minutes=1)
        assert await two.lease(later, 10) == ()
        assert len(await one.lease(later, 10)) == 1
        one.stop()
        await asyncio.to_thread(wait_until, lambda: two.has_timers)
        # What the dead one held comes again when its lease is over.
        assert await two.lease(later, 10) == ()
        assert len(await two.lease(later + timedelta(minutes=10), 10)) == 1
    finally:
        one.stop()
        two.stop()


async def test_timers_move_from_a_node_that_is_cut_off(pair: list[LedgerEngine], url: str) -> None:
    one, two = pair
    assert (one.has_timers, two.has_timers) == (True, False)
    weather: list[bool] = []
    one.on_weather(weather.append)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(l.pid) FROM pg_locks l"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.objid = 0 AND l.pid <> pg_backend_pid()"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    # It knows that it was cut off, and has none until it has taken them anew; so has whoever takes them first.
    await soon(lambda: False in weather)
    await soon(lambda: one.has_timers or two.has_timers)
    assert one.has_timers != two.has_timers


async def test_an_account_that_both_bring_into_being_is_one(pair: list[LedgerEngine]) -> None:
    from filterd.model.principal import Account, Tenant

    def bring(txn: LedgerTxn, node: str) -> str:
        found = txn.find_account("new@cust.example")
        if found is None:
            txn.put_tenant(Tenant(tenant_id=f"n_{node}", name="c", agreement="x", domains=("cust.example",)))
            txn.put_account(Account(account_id=f"a_{node}", tenant_id=f"n_{node}", login="new@cust.example"))
            return f"a_{node}"
        return found.account_id

    whose = about(domains=("cust.example",), logins=("new@cust.example",))
    for _ in range(5):
        ids = await asyncio.gather(
            *(engine.submit(lambda txn, n=n: bring(txn, str(n)), whose) for n, engine in enumerate(pair * 4))
        )
        assert len(set(ids)) == 1


# --- the database goes away -------------------------------------------------------------------------------------------


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """A server that this test may end."""
    with Postgres() as server:
        yield server


async def test_while_the_database_is_away_it_is_said_and_afterwards_nothing_is_missed(
    tmp_path: Path, own_server: Postgres
) -> None:
    url = own_server.new_database()
    weather: list[bool] = []
    with nodes(tmp_path, url) as (one, two):
        await two.history("a_1")
        two.on_weather(weather.append)
        own_server.crash()
        await asyncio.to_thread(wait_until, lambda: not two.is_store_there)
        for engine in (one, two):
            with pytest.raises(LedgerUnavailable):
                await engine.submit(lambda txn: act(txn, "a_1"))
        with pytest.raises(LedgerUnavailable):
            await two.history("a_1")
        assert two.warm_history("a_1") is not None
        assert await two.lease(NOON, 1) == () if not two.has_timers else True
        own_server.start()
        await asyncio.to_thread(wait_until, lambda: one.is_store_there and two.is_store_there)
        await one.submit(lambda txn: act(txn, "a_1"))
        await asyncio.to_thread(wait_until, lambda: len(whole(two, "a_1").sanctions) == 1)
        assert len((await two.history("a_1")).sanctions) == 1
        assert weather == [False, True]
        assert chain(one, "node1.ledger") == [1, 2, 3]


async def test_a_database_that_hangs_is_away(
    tmp_path: Path, own_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nodes(tmp_path, own_server.new_database(), 1) as (one,):
        await one.history("a_1")
        own_server.pause()
        try:
            with monkeypatch.context() as hurried:
                hurried.setattr("filterd.ledger.bulletin.AWAY_AFTER_S", 0.5)
                await asyncio.to_thread(wait_until, lambda: not one.is_store_there)
            with pytest.raises(LedgerUnavailable):
                await asyncio.wait_for(one.submit(lambda txn: act(txn, "a_1")), PATIENCE_S)
        finally:
            own_server.resume()
        await asyncio.to_thread(wait_until, lambda: one.is_store_there)
        assert await one.submit(lambda txn: act(txn, "a_1")) == 3


async def test_a_connection_cut_in_mid_group_costs_what_was_refused(pair: list[LedgerEngine], url: str) -> None:
    def cut(txn: LedgerTxn) -> None:
        act(txn, "a_1")
        backend = txn.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", (backend,))
        act(txn, "a_2")
        _ = txn.connection

    with pytest.raises(LedgerUnavailable, match="nothing was stored"):
        await pair[0].submit(cut)
    assert chain(pair[1], "node1.ledger") == []
    assert await pair[0].submit(lambda txn: act(txn, "a_1")) == 3
    assert (await pair[0].verify()).is_sound


async def test_a_group_in_somebodys_way_is_run_again(pair: list[LedgerEngine], url: str) -> None:
    """A deadlock made by hand: the functions' own locks cannot make one."""
    turns: list[int] = []
    blocker = psycopg.connect(url)
    blocker.execute("SELECT pg_advisory_xact_lock(4711)")

    def collide(txn: LedgerTxn) -> int:
        turns.append(1)
        seq = act(txn, "a_1")
        if len(turns) == 1:
            txn.connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$")
        return seq

    assert await pair[0].submit(collide) == 3
    assert len(turns) == 2
    assert chain(pair[0], "node1.ledger") == [1, 2, 3]
    blocker.close()


def test_a_replica_is_refused(tmp_path: Path, url: str, postgres_server: Postgres) -> None:
    database = url.partition("@/")[2].partition("?")[0]
    postgres_server.execute("postgres", f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with pytest.raises((ModelError, UsageError), match=r"read-only|replica"):
        open_node(tmp_path, url, 1)


@pytest.mark.parametrize("value", ["off"])
def test_a_server_that_forgets_commits_is_refused(
    tmp_path: Path, url: str, postgres_server: Postgres, value: str
) -> None:
    database = url.partition("@/")[2].partition("?")[0]
    postgres_server.execute("postgres", f"ALTER DATABASE {database} SET synchronous_commit = {value}")
    with pytest.raises(UsageError, match="synchronous_commit is off: a commit would not be durable"):
        open_node(tmp_path, url, 1)
    assert not (tmp_path / "node1" / "ledger.sqlite3").exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "cannot be opened"),
        ("postgresql://filterd@/none?host=/nowhere", "cannot be opened"),
    ],
)
def test_a_database_that_is_not_there_is_named_without_its_password(tmp_path: Path, url: str, words: str) -> None:
    secret = url.replace("@", ":s3cret@", 1)
    with pytest.raises(ModelError, match=words) as caught:
        open_node(tmp_path, secret, 1)
    assert "s3cret" not in str(caught.value)
    assert "/none" in str(caught.value)


def test_a_node_of_the_version_before_goes_on_beside_upgraded_tables(tmp_path: Path, url: str) -> None:
    with nodes(tmp_path, url, 1) as (one,):
        one.run(lambda txn: act(txn, "a_1"))
        with psycopg.connect(url, autocommit=True) as admin:
            # What a node of the next version does at its start: steps only add.
            admin.execute("ALTER TABLE account ADD COLUMN of_tomorrow text")
            admin.execute("ALTER TABLE entry ADD COLUMN of_tomorrow text")
            admin.execute("CREATE TABLE tomorrow (day text)")
            admin.execute(f"UPDATE meta SET value = '{STORE_VERSION + 1}' WHERE key = 'schema_version'")
        one.run(people_the_directory)
        assert one.run(lambda txn: act(txn, "a_1", 2)) == 6
        two = open_node(tmp_path, url, 2)
        assert two.run(lambda txn: act(txn, "a_2")) == 3
        assert asyncio.run(two.verify()).is_sound
        two.stop()
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"UPDATE meta SET value = '{STORE_VERSION + 1}' WHERE key = 'oldest_reader'")
        with pytest.raises(ModelError, match=f"schema version {STORE_VERSION + 1}, this program reads version"):
            open_node(tmp_path, url, 2)


def test_somebody_elses_database_is_refused(tmp_path: Path, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("CREATE TABLE holiday (day text)")
    with pytest.raises(ModelError, match="not a ledger"):
        open_node(tmp_path, url, 1)
