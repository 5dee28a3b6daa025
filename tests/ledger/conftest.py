"""One real engine a test, closed afterwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from filterd.ledger.engine import LedgerEngine
from tests.kit.clock import FrozenClock
from tests.ledger.link_house import House
from tests.ledger.rig import act, incident, open_engine, opened

# Syncing to memory is quick, and what these tests ask does not depend on the medium.
MEMORY = Path("/dev/shm")


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path / "state"
        return
    with tempfile.TemporaryDirectory(prefix="filterd-", dir=MEMORY) as directory:
        yield Path(directory, "state")


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
