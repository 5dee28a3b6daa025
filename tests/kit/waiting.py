"""How tests wait: for something to be so, never for a time to pass.

Nothing here, and no test, may depend on how quick a machine is: it may stand still for seconds at any point. What must
come is given PATIENCE_S; what must not come in time is held back for ever; and that nothing more comes is shown by
something that comes after it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

# Longer than any machine stands still; below the timeout of a test (pyproject.toml).
PATIENCE_S = 120.0


def wait_until(is_so: Callable[[], object], what: str = "it", patience_s: float = PATIENCE_S) -> None:
    """Wait until something is so. Raises TimeoutError."""
    until_s = time.monotonic() + patience_s
    while not _look(is_so, what, until_s):
        time.sleep(0.005)


async def soon(is_so: Callable[[], object], what: str = "it", patience_s: float = PATIENCE_S) -> None:
    """The same, while the event loop goes on."""
    until_s = time.monotonic() + patience_s
    while not _look(is_so, what, until_s):
        await asyncio.sleep(0)
        # Not asyncio.sleep, which would not end where the loop's time stands still (tests/kit/loops.py).
        time.sleep(0.001)


def must(event: threading.Event) -> None:
    """Wait for an event that another thread sets. Raises TimeoutError."""
    if not event.wait(PATIENCE_S):
        raise TimeoutError(f"not set after {PATIENCE_S:g} s")


def stop_processes(pids: Iterable[int]) -> None:
    """SIGSTOP; returns when all of them stand still, every thread of them. One that has ended stands still, too."""
    stopped = list(pids)
    for pid in stopped:
        _signal(pid, signal.SIGSTOP)
    for pid in stopped:
        wait_until(lambda pid=pid: _states(pid) <= {"T", "Z", "X"}, f"process {pid} stands still")


def continue_processes(pids: Iterable[int]) -> None:
    """SIGCONT."""
    for pid in pids:
        _signal(pid, signal.SIGCONT)


def _look(is_so: Callable[[], object], what: str, until_s: float) -> bool:
    # The clock first: what came while the machine stood still has come.
    is_late = time.monotonic() > until_s
    if is_so():
        return True
    if is_late:
        raise TimeoutError(f"not in time: {what}")
    return False


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _states(pid: int) -> set[str]:
    """Say the states of a process's threads.  proc(5)."""
    found = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            found.add(stat.read_text().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
