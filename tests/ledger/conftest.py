"""One real engine a test, closed afterwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from filterd.ledger.engine import LedgerEngine
from tests.kit.clock import FrozenClock
from tests.kit.postgres import Postgres
from tests.kit.waiting import PATIENCE_S
from tests.ledger.link_house import House
from tests.ledger.rig import act, incident, open_engine, opened, url_file

# How long the ledger waits for its database, and the ends of its link for each other. A test in which somebody hangs
# says less, and holds him back for ever.
PATIENT = {
    "filterd.ledger.bulletin.AWAY_AFTER_S": PATIENCE_S,
    "filterd.ledger.engine._LISTENING_WITHIN_S": PATIENCE_S,
    "filterd.ledger.postgres._STATEMENT_MS": int(PATIENCE_S * 1000),
    "filterd.ledger.postgres._LOCK_MS": int(PATIENCE_S * 1000),
    "filterd.ledger.postgres._NAME_MS": int(PATIENCE_S * 1000),
    "filterd.ledger.remote._HELLO_WITHIN_S": PATIENCE_S,
    "filterd.ledger.server._HELLO_WITHIN_S": PATIENCE_S,
}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PATIENT.items():
        monkeypatch.setattr(name, value)


# Every test of a ledger runs on both stores, unless its module, or its marker `one_store`, says which one it is about.
STORES = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("one_store")
        wanted = marker.args if marker is not None else STORES
        marks = {"sqlite": (), "postgresql": (pytest.mark.database,)}
        metafunc.parametrize("store", [pytest.param(name, marks=marks[name]) for name in wanted])


# Syncing to memory is quick, and what these tests ask does not depend on the medium.
MEMORY = Path("/dev/shm")


@pytest.fixture
def state_dir(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    memory = MEMORY if os.access(MEMORY, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(prefix="filterd-", dir=memory) as directory:
        state = Path(directory, "state")
        if store == "sqlite":
            yield state
            return
        server: Postgres = request.getfixturevalue("postgres_server")
        url = server.new_database()
        url_file(state).write_text(url)
        yield state
        server.drop(url)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def engine(state_dir: Path, clock: FrozenClock) -> Iterator[LedgerEngine]:
    engine = open_engine(state_dir, clock)
    yield engine
    engine.stop()


@pytest.fixture
def closed(state_dir: Path, engine: LedgerEngine) -> Path:
    """A closed store of twelve rows, the last two after the last sanction."""
    for account_id in ("a_1", "a_2", "a_3"):
        engine.run(lambda txn, account_id=account_id: act(txn, account_id))
    engine.run(lambda txn: txn.append(opened("a_4"), account_id="a_4", tenant_id="n_1", personal={"login": "x"}))
    engine.run(lambda txn: txn.append(incident("a_4"), account_id="a_4", tenant_id=None))
    engine.run(lambda txn: txn.append(incident("a_4", 2), account_id="a_4", tenant_id=None))
    engine.stop()
    return state_dir


@pytest.fixture
async def house(state_dir: Path) -> AsyncIterator[House]:
    house = House(state_dir)
    await house.open()
    yield house
    for remote in house.remotes:
        await remote.close()
    await house.close()
