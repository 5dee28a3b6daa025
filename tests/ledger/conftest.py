"""One real engine a test, closed afterwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from filterd.ledger.engine import LedgerEngine
from tests.kit.clock import FrozenClock
from tests.ledger.rig import open_engine

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
