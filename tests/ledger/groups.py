"""Groups on purpose: hold the writer thread, let functions gather behind it, look at what came of them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from filterd.ledger import entries
from filterd.ledger.engine import LedgerEngine
from filterd.model.about import NOTHING, about
from filterd.model.standing import History
from filterd.ports import LedgerTxn
from tests.kit.waiting import PATIENCE_S, must, soon
from tests.ledger.rig import WRITER


def rows(engine: LedgerEngine) -> tuple[Any, ...]:
    return engine.run(lambda txn: entries.after(txn.connection, WRITER, 0, 1_000_000))


def refold(engine: LedgerEngine, account_id: str) -> History:
    return engine.run(lambda txn: txn.equipment.histories.fold(txn.connection, account_id))


class Held:
    """Holds the writer thread, so that what is submitted meanwhile becomes one group."""

    def __init__(self, engine: LedgerEngine):
        self._go, begun = threading.Event(), threading.Event()

        def hold(txn: LedgerTxn) -> None:
            begun.set()
            must(self._go)

        self._engine = engine
        self._thread = threading.Thread(target=engine.run, args=(hold, NOTHING))
        self._thread.start()
        must(begun)

    def release(self) -> None:
        self._go.set()
        self._thread.join(PATIENCE_S)


SUBJECTS = about(accounts=("a_1", "a_2", "a_3"), tenants=("n_1",))


async def in_one_group(engine: LedgerEngine, functions: list[Any]) -> list[Any]:
    held = Held(engine)
    tasks = [asyncio.create_task(engine.submit(function, SUBJECTS)) for function in functions]
    await soon(lambda: engine.waiting >= len(functions))
    commits = engine.tally.commits
    held.release()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert engine.tally.commits <= commits + 2
    return done
