"""`filterd serve`: which processes there are, and what becomes of them.  HOUSE §5.

`--workers 0` runs all in one process. With N workers one ledger process and N workers are forked before any of them
has a thread or an event loop; one that dies is started again with a growing pause; SIGTERM and SIGINT end the workers
first, so that mail in flight still finds its ledger.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from filterd.config import Config, NextHopConfig
from filterd.doors import unix_sockets

_READY = b"R"
_READY_WITHIN_S = 60.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
# Longer than a drain, so that no mail is cut off; then SIGKILL.
_STOP_WITHIN_S = 70.0


def serve(config: Config, workers: int, on_ready: Callable[[], None] | None = None) -> int:
    """Run until a signal; says the exit code. `on_ready` is called once when every port listens."""
    ready = on_ready or (lambda: print("filterd ready", file=sys.stderr, flush=True))
    if workers == 0:
        return _run(lambda stack: _all_in_one(config, stack), ready)
    return _Supervisor(config, workers, ready).run()


# --- one process ------------------------------------------------------------------------------------------------------

Start = Callable[[AsyncExitStack], Awaitable[None]]


def _run(start: Start, ready: Callable[[], None]) -> int:
    """Run one process's parts until SIGTERM or SIGINT, then end them in reverse order."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with AsyncExitStack() as stack:
            await start(stack)
            ready()
            await stop.wait()

    # Optional by platform only: it is a dependency on Linux.
    import uvloop

    uvloop.run(main())
    return 0


async def _all_in_one(config: Config, stack: AsyncExitStack) -> None:
    from filterd import app

    await app.run_all_in_one(config, stack)


async def _ledger(config: Config, stack: AsyncExitStack, hop: NextHopConfig) -> None:
    from filterd import app

    await app.run_ledger(config, stack, hop)


async def _worker(config: Config, stack: AsyncExitStack, hop: NextHopConfig, number: int) -> None:
    from filterd import app

    await app.run_worker(config, stack, hop, number)


async def _sink(folder: Path, port: int, stack: AsyncExitStack) -> None:
    from filterd.clients.sink import start_sink

    sink = await start_sink("127.0.0.1", port, directory=folder)
    stack.push_async_callback(sink.close)


# --- several processes ------------------------------------------------------------------------------------------------


@dataclass
class _Child:
    """One process and when it may be started again."""

    name: str
    start: Start
    pid: int = 0
    failures: int = 0
    born_at: float = 0.0
    not_before: float = 0.0
    ready: int = field(default=-1)


class _Supervisor:
    """Forks, watches and ends the processes. Has no event loop and no thread of its own, so that a fork is clean."""

    def __init__(self, config: Config, workers: int, ready: Callable[[], None]):
        # prometheus_client chooses its storage when it is first imported, in this process or its children.
        config.node.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        shared = config.node.state_dir / "metrics"
        shared.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared)
        from filterd import metrics

        metrics.prepare_dir(shared)
        self._mark_dead = metrics.mark_dead
        self._ready = ready
        self._stopping = False
        hop = config.next_hop
        self._helpers: list[_Child] = []
        if hop.address == "sink":
            port = _free_port()
            hop = hop.model_copy(update={"address": f"127.0.0.1:{port}"})
            folder = config.node.state_dir / "sink"
            folder.mkdir(parents=True, exist_ok=True)
            self._helpers.append(_Child(name="sink", start=lambda stack: _sink(folder, port, stack)))
        self._helpers.append(_Child(name="ledger", start=lambda stack: _ledger(config, stack, hop)))
        # Before the forks: workers share a UNIX socket by inheriting it, as they share a port by SO_REUSEPORT.
        for listener in config.listener:
            unix_sockets.hold(listener.bind, int(listener.socket_mode, 8))
        self._workers = [
            _Child(name=f"w{n}", start=lambda stack, n=n: _worker(config, stack, hop, n))  # type: ignore[misc]
            for n in range(workers)
        ]

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        for child in (*self._helpers, *self._workers):
            self._fork(child)
            if not self._stopping and not self._wait_ready(child):
                _say(f"{child.name} did not start")
                self._end()
                return 1
        if not self._stopping:
            self._ready()
        while not self._stopping:
            self._watch()
        self._end()
        return 0

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _fork(self, child: _Child) -> None:
        reading, writing = os.pipe()
        child.born_at = time.monotonic()
        child.pid = os.fork()
        if child.pid == 0:
            os.close(reading)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os._exit(_child_main(child, writing))
        os.close(writing)
        child.ready = reading

    def _wait_ready(self, child: _Child) -> bool:
        os.set_blocking(child.ready, False)
        deadline = time.monotonic() + _READY_WITHIN_S
        try:
            while time.monotonic() < deadline and not self._stopping:
                try:
                    said = os.read(child.ready, 1)
                except BlockingIOError:
                    time.sleep(0.02)
                    continue
                return said == _READY
            return self._stopping
        finally:
            os.close(child.ready)
            child.ready = -1

    def _watch(self) -> None:
        """Notice one death, and start again what is due."""
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pid, status = 0, 0
        children = (*self._helpers, *self._workers)
        dead = next((c for c in children if pid and c.pid == pid), None)
        if dead is not None:
            self._mark_dead(pid)
            lived_s = time.monotonic() - dead.born_at
            dead.failures = 0 if lived_s > _LONGEST_PAUSE_S else dead.failures + 1
            pause = min(_FIRST_PAUSE_S * 2**dead.failures, _LONGEST_PAUSE_S)
            dead.pid, dead.not_before = 0, time.monotonic() + pause
            what = os.waitstatus_to_exitcode(status)
            _say(f"{dead.name} (pid {pid}) ended with {what}, again in {pause:.1f} s")
        for child in children:
            if child.pid == 0 and time.monotonic() >= child.not_before and not self._stopping:
                self._fork(child)
                os.close(child.ready)
                child.ready = -1
        if not pid:
            time.sleep(0.1)

    def _end(self) -> None:
        """Workers first, then what they lean on."""
        for group in (self._workers, self._helpers[::-1]):
            for child in group:
                _signal(child, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_WITHIN_S
            for child in group:
                _reap(child, deadline)
        unix_sockets.release()


def _child_main(child: _Child, writing: int) -> int:
    """Be the child; says its exit code. A start that is refused says why on one line."""
    from filterd.errors import FilterdError

    def ready() -> None:
        os.write(writing, _READY)
        os.close(writing)

    _end_with_parent()
    # The parent may be gone by the time we are ready (a restart does not wait for it).
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        return _run(child.start, lambda: _tell(ready))
    except FilterdError as err:
        _say(str(err))
        return 1
    except BaseException:
        import traceback

        traceback.print_exc()
        return 1


def _say(text: str) -> None:
    print(f"filterd: {text}", file=sys.stderr, flush=True)


def _end_with_parent() -> None:
    """Have the kernel end this process when the supervisor is killed: nobody would restart or stop it any more."""
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _tell(ready: Callable[[], None]) -> None:
    try:
        ready()
    except BrokenPipeError:
        return


def _signal(child: _Child, number: signal.Signals) -> None:
    if child.pid:
        try:
            os.kill(child.pid, number)
        except ProcessLookupError:
            child.pid = 0


def _reap(child: _Child, deadline: float) -> None:
    while child.pid:
        try:
            pid, _ = os.waitpid(child.pid, os.WNOHANG)
        except ChildProcessError:
            pid = child.pid
        if pid:
            child.pid = 0
        elif time.monotonic() > deadline:
            _signal(child, signal.SIGKILL)
            deadline = time.monotonic() + 5
        else:
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
