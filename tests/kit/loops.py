"""Event loops whose time is the test's, so that no time limit depends on how quick the machine is.

A mark on a test, or on its module, chooses one (tests/conftest.py):

    @pytest.mark.turned     Time stands still until the test says `await turn(seconds)`. Sockets, threads and programs
                            are as real as ever and take as long as they take: no limit is met before it is turned to.
    @pytest.mark.leaping    Time leaps to the next timer as soon as nothing is ready. Only for what waits for tasks and
                            timers alone: to a socket or a thread it leaves no time.

Whatever asks the operating system for the time is not deceived; `tests.kit.waiting.soon` waits by it, under any loop.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable


class TurnedLoop(asyncio.SelectorEventLoop):
    """Time stands still until it is turned, or until `let_run`."""

    def __init__(self) -> None:
        self._turned_s = 0.0
        self._runs_since: float | None = None
        super().__init__()

    def time(self) -> float:
        ran_s = 0.0 if self._runs_since is None else time.monotonic() - self._runs_since
        return self._turned_s + ran_s

    def turn(self, seconds: float) -> None:
        self._turned_s += seconds

    def let_run(self) -> None:
        if self._runs_since is None:
            self._runs_since = time.monotonic()


class LeapingLoop(asyncio.SelectorEventLoop):
    """Time leaps over every wait in which nothing happens."""

    def __init__(self) -> None:
        self._leapt_s = 0.0
        super().__init__(_Leaping(self._leap))

    def time(self) -> float:
        return self._leapt_s

    def _leap(self, seconds: float) -> None:
        self._leapt_s += seconds


class _Leaping(selectors.DefaultSelector):
    def __init__(self, leap: Callable[[float], None]) -> None:
        super().__init__()
        self._leap = leap

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # None: there is no timer to leap to.
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout is not None and timeout > 0:
            self._leap(timeout)
        return ready


# By mark.
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"turned": TurnedLoop, "leaping": LeapingLoop}


def now_s() -> float:
    """Say the time of the running loop."""
    return asyncio.get_running_loop().time()


async def turn(seconds: float) -> None:
    """Let so much time pass, all at once; what was to ring in it has rung."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TurnedLoop), "turn() wants @pytest.mark.turned"
    loop.turn(seconds)
    await settled()


def let_run() -> None:
    """For what comes after a test: time that stood still goes on by itself."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, TurnedLoop):
        loop.let_run()


async def settled(turns: int = 20) -> None:
    """Give every task that can go on without sockets, threads and timers its turn."""
    for _ in range(turns):
        await asyncio.sleep(0)
