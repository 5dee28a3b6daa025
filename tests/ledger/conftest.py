"""One real engine a test, closed afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from filterd.ledger.engine import LedgerEngine
from tests.kit.clock import FrozenClock
from tests.ledger.rig import open_engine


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def engine(state_dir: Path, clock: FrozenClock) -> Iterator[LedgerEngine]:
    engine = open_engine(state_dir, clock)
    yield engine
    engine.stop()
