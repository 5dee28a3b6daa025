"""Several nodes on one database: engines with a name and a state directory of their own each."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filterd.ledger import entries
from filterd.ledger.engine import LedgerEngine
from filterd.model.about import NOTHING, about
from filterd.model.standing import History
from filterd.ports import LedgerTxn
from tests.kit.clock import NOON, FrozenClock
from tests.kit.waiting import PATIENCE_S
from tests.ledger.rig import incident, incident_id, open_engine, sanction


@contextmanager
def nodes(folder: Path, url: str, count: int = 2, **options: Any) -> Iterator[list[LedgerEngine]]:
    """Open node1, node2, … on one database."""
    opened: list[LedgerEngine] = []
    try:
        for number in range(1, count + 1):
            opened.append(open_node(folder, url, number, **options))
        yield opened
    finally:
        for engine in opened:
            engine.stop()


def open_node(folder: Path, url: str, number: int, **options: Any) -> LedgerEngine:
    clock = options.pop("clock", None) or FrozenClock(NOON)
    return open_engine(folder / f"node{number}", clock, node=f"node{number}", url=url, **options)


def together(*works: Callable[[], None]) -> None:
    """Run all at once; raise what the first of them raised."""
    failures: list[BaseException] = []
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        try:
            gate.wait(PATIENCE_S)
            work()
        except BaseException as err:
            failures.append(err)

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    if failures:
        raise failures[0]
    assert not any(thread.is_alive() for thread in threads), "somebody still works"


# --- contention -------------------------------------------------------------------------------------------------------


def climb(txn: LedgerTxn, account_id: str, key: str) -> bool:
    """Open an incident with its sanction, once for each key; say whether it was this call that did."""
    name = f"k{key}"
    if not txn.new_deliveries(account_id, None, [name]):
        return False
    count = len(txn.history(account_id).incidents)
    txn.append(incident(account_id, key), account_id=account_id, tenant_id="n_1")
    txn.append(sanction(account_id, key), account_id=account_id, tenant_id="n_1")
    txn.mark_deliveries(account_id, incident_id(account_id, key), [name], txn.now)
    assert len(txn.history(account_id).incidents) == count + 1
    return True


def whole(engine: LedgerEngine, account_id: str) -> History:
    return engine.run(lambda txn: txn.equipment.histories.fold(txn.connection, account_id), NOTHING)


def chain(engine: LedgerEngine, writer: str) -> list[int]:
    found = engine.run(lambda txn: entries.after(txn.connection, writer, 0, 1_000_000), NOTHING)
    return [entry.seq for entry in found]


def contend(engines: list[LedgerEngine], accounts: int, keys: int, writers: int, seed: int) -> int:
    """Have `writers` threads a node try every key of every account, each in an order of its own; say how many tries."""
    names = [f"a_{number}" for number in range(accounts)]
    done: Counter[tuple[str, str]] = Counter()

    def work(engine: LedgerEngine, number: int) -> None:
        dice = random.Random(seed * 1000 + number)
        tries = [(name, str(key)) for name in names for key in range(keys)]
        dice.shuffle(tries)
        for name, key in tries:
            mine = about(accounts=(name,), tenants=("n_1" if dice.random() < 0.2 else None,))
            if engine.run(lambda txn, name=name, key=key: climb(txn, name, key), mine):
                done[name, key] += 1

    together(*(lambda e=e, n=n: work(e, n) for n, e in enumerate(engines * writers)))
    assert set(done.values()) == {1}
    assert len(done) == accounts * keys
    for name in names:
        folds = [whole(engine, name) for engine in engines]
        assert all(fold == folds[0] for fold in folds)
        assert len(folds[0].incidents) == len(folds[0].sanctions) == keys
        ids = [item.opened.incident_id for item in folds[0].incidents]
        assert len(set(ids)) == keys
    for engine in engines:
        seqs = chain(engine, engine.writer_name)
        assert seqs == list(range(1, len(seqs) + 1))
        assert engine.tally.failed_groups == 0
    return accounts * keys * writers * len(engines)
