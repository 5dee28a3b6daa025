"""Several nodes on one database: engines with a name and a state directory of their own each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filterd.ledger.engine import LedgerEngine
from tests.kit.clock import NOON, FrozenClock
from tests.ledger.rig import open_engine


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


def wait_until(is_so: Callable[[], bool], patience_s: float = 10) -> float:
    """Wait until something is so; say how long that took. Raises TimeoutError."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > patience_s:
            raise TimeoutError(f"not so after {patience_s:g} s")
        time.sleep(0.005)
    return time.monotonic() - began


def together(*works: Callable[[], None]) -> None:
    """Run all at once; raise what the first of them raised."""
    failures: list[BaseException] = []
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        try:
            gate.wait(20)
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
