"""A function that runs dry must not leave its caller waiting."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from filterd.agreement.fold import apply
from filterd.clients.clock import SystemClock
from filterd.clients.keys import derive
from filterd.ledger.engine import LedgerEngine


async def test_a_stop_iteration_reaches_the_caller(tmp_path: Path) -> None:
    engine = LedgerEngine.open(
        state_dir=tmp_path, node="t", keys=derive(bytes(32)), clock=SystemClock(), apply=lambda h, r, _: apply(h, r)
    )
    try:
        async with asyncio.timeout(60):
            with pytest.raises(RuntimeError, match="StopIteration"):
                await engine.submit(lambda txn: next(iter(())))
    finally:
        await engine.close()
