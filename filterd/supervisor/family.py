"""A ledger process and N workers: forked, watched, started again when they die or hang, ended in order.

It has no event loop and no thread of its own, so that a fork is clean. It reads the policy before it forks, and every
child inherits it: one that is started again decides by what is in force, whatever the files say by then.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from filterd import app, metrics, systemd
from filterd.app.mail_half import SOCKETMAP_DOOR
from filterd.clients.sink import start_sink
from filterd.config import Config
from filterd.doors import milter, unix_sockets
from filterd.errors import PortError
from filterd.log import service_log
from filterd.supervisor import control
from filterd.supervisor.channel import Channel
from filterd.supervisor.child import be_child, say
from filterd.supervisor.children import Child, Half, Start
from filterd.supervisor.control import Outcome
from filterd.supervisor.patience import Patience
from filterd.supervisor.reloading import reload

_TURN_S = 0.1


class Family:
    """Parent of all. `run` returns when everybody has ended."""

    def __init__(
        self,
        config: Config,
        workers: int,
        ready: Callable[[], None],
        *,
        file: Path | None,
        sockets: Mapping[str, Sequence[socket.socket]],
        patience: Patience,
    ):
        app.check_names(config, tuple(sockets))
        state = config.node.state_dir
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._policy = app.read_policy(config, app.make_clock(config))
        self._ready, self._file, self._sockets, self._patience = ready, file, sockets, patience
        self._signals: list[int] = []
        self._failing: tuple[str, ...] = ()
        self._askers: list[socket.socket] = []
        self._told_pid = 0
        self._turned_at = time.monotonic()
        self._watchdog_s, self._fed_at = systemd.watchdog_s(), 0.0
        hop = config.next_hop
        self._sink: list[Child] = []
        if hop.address == "sink":
            port = _free_port()
            hop = hop.model_copy(update={"address": f"127.0.0.1:{port}"})
            folder = state / "sink"
            folder.mkdir(parents=True, exist_ok=True)
            self._sink.append(Child(name="sink", role="sink", start=_sink(folder, port)))

        async def ledger(stack: AsyncExitStack, _: asyncio.Event) -> Half:
            return await app.run_ledger(self._policy, stack, hop)

        def worker(number: int) -> Start:
            async def start(stack: AsyncExitStack, hurry: asyncio.Event) -> Half:
                return await app.run_worker(self._policy, stack, hop, number, sockets=sockets, hurry=hurry)

            return start

        self._ledger = Child(name="ledger", role="ledger", start=ledger)
        self._workers = [Child(name=f"w{n}", role="worker", start=worker(n)) for n in range(workers)]

    @property
    def _children(self) -> tuple[Child, ...]:
        return (*self._sink, self._ledger, *self._workers)

    @property
    def _is_stopping(self) -> bool:
        return any(number != signal.SIGHUP for number in self._signals)

    def run(self) -> int:
        """Start everybody, watch, end everybody; says the exit code."""
        config = self._policy.config
        # Before the forks: workers share a UNIX socket by inheriting it, as they share a port by SO_REUSEPORT.
        for listener in config.listener:
            if listener.name not in self._sockets:
                unix_sockets.hold(listener.bind, int(listener.socket_mode, 8))
        if config.socketmap.enabled and SOCKETMAP_DOOR not in self._sockets:
            unix_sockets.hold(config.socketmap.bind, int(config.socketmap.socket_mode, 8))
        if config.milter.enabled and milter.LISTENER not in self._sockets:
            unix_sockets.hold(config.milter.bind, int(config.milter.socket_mode, 8))
        self._control = control.listen(config.node.state_dir)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: self._signals.append(number))
        for child in self._children:
            self._fork(child)
            if not self._wait_ready(child) and not self._is_stopping:
                say(f"{child.name} did not start")
                self._end()
                return 1
        if not self._is_stopping:
            self._ready()
            systemd.notify("READY=1", self._status())
        while not self._is_stopping:
            self._turn()
        systemd.notify("STOPPING=1", systemd.status("mail in hand is being finished"))
        self._end()
        return 0

    # --- one turn -----------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Hear everybody, notice deaths, start again what is due, answer who asks, feed the watchdog."""
        self._listen(_TURN_S)
        self._excuse()
        self._bury()
        for child in self._children:
            # As of this turn: we may have been asleep again since.
            if child.is_silent(self._patience, self._turned_at):
                if not child.has_hung:
                    service_log().error("process_hangs", process=child.name, pid=child.pid)
                    say(f"{child.name} (pid {child.pid}) gives no sign of life: it is killed")
                child.kill_hung()
            elif not child.pid and time.monotonic() >= child.not_before and not self._is_stopping:
                self._fork(child)
        self._judge()
        if self._askers or signal.SIGHUP in self._signals:
            self._reload()
        self._feed()

    def _excuse(self) -> None:
        """Blame nobody for silence while we were asleep ourselves, as after SIGSTOP or in a machine that paused."""
        now, before = time.monotonic(), self._turned_at
        self._turned_at = now
        if now - before > self._patience.beat:
            for child in self._children:
                child.heard_at += now - before

    def _listen(self, wait_s: float) -> None:
        """Wait until somebody says something, and hear it."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        speaking = {c.channel.socket.fileno(): c for c in self._children if c.channel is not None}
        for fd in speaking:
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(wait_s * 1000):
            if fd in speaking:
                speaking[fd].hear()
            elif (asker := control.accept(self._control)) is not None:
                self._askers.append(asker)

    def _bury(self) -> None:
        """Notice who has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            metrics.mark_dead(pid)
            child = next((c for c in self._children if c.pid == pid), None)
            if child is None:
                continue
            metrics.observe_process_end(child.role, has_hung=child.has_hung)
            child.hang_up()
            pause = child.ended(self._patience)
            what = os.waitstatus_to_exitcode(status)
            say(f"{child.name} (pid {pid}) ended with {what}, again in {pause:.1f} s")

    def _judge(self) -> None:
        """Say aloud who ends again and again, and who has come round."""
        for child in self._children:
            child.come_round(self._patience)
        failing = tuple(c.name for c in self._children if c.failures >= self._patience.loud_after)
        if self._ledger.is_ready and (failing, self._ledger.pid) != (self._failing, self._told_pid):
            self._told_pid = self._ledger.pid
            self._ledger.tell({"do": "failing", "names": failing})
        if failing == self._failing:
            return
        for name in set(failing) - set(self._failing):
            service_log().error("process_failing", process=name, times=self._patience.loud_after)
            say(f"{name} has ended {self._patience.loud_after} times in a row; the rest goes on without it")
        self._failing = failing
        metrics.observe_processes_failing(len(failing))
        systemd.notify(self._status())

    def _feed(self) -> None:
        """Tell systemd that all goes on; not while a child is silent: our own watchdog should have ended that."""
        now = time.monotonic()
        if self._watchdog_s is None or now < self._fed_at + self._watchdog_s:
            return
        if not any(child.is_silent(self._patience, now) for child in self._children):
            systemd.notify("WATCHDOG=1")
            self._fed_at = now

    def _status(self) -> str:
        names = ", ".join(self._policy.digests)
        said = f"{len(self._workers)} workers; {names}"
        return systemd.status(f"{said}; FAILING: {', '.join(self._failing)}" if self._failing else said)

    # --- reload -------------------------------------------------------------------------------------------------------

    def _reload(self) -> None:
        """Take another policy, or keep the one there is; either way tell everybody who should know."""
        self._signals = [number for number in self._signals if number != signal.SIGHUP]
        askers, self._askers = self._askers, []
        systemd.notify(*systemd.reloading(), systemd.status("reading the configuration again"))
        outcome = reload(self._policy, self._file, self._ledger, self._workers, self._wait, self._adopt)
        tell(outcome)
        if outcome.fault is not None:
            fault = outcome.fault
            self._ledger.tell({"do": "refused", "file": fault.file, "line": fault.line, "key": fault.key})
        systemd.notify("READY=1", self._status())
        for asker in askers:
            control.reply(asker, outcome)

    def _wait(self, asked: Sequence[tuple[Child, int]]) -> None:
        """Wait until all of these have answered or are gone, or our patience is at its end."""
        deadline = time.monotonic() + self._patience.reload
        while time.monotonic() < deadline and any(c.channel and n not in c.answers for c, n in asked):
            self._listen(_TURN_S)
            self._feed()

    def _adopt(self, policy: app.Policy) -> None:
        self._policy = policy

    # --- births and deaths --------------------------------------------------------------------------------------------

    def _fork(self, child: Child) -> None:
        ours, theirs = socket.socketpair()
        child.born_at = child.heard_at = time.monotonic()
        child.hang_up()
        child.pid = os.fork()
        if child.pid == 0:
            ours.close()
            self._control.close()
            for other in (*self._askers, *(c.channel.socket for c in self._children if c.channel is not None)):
                other.close()
            os._exit(be_child(child.name, child.start, theirs, self._file, self._patience))
        theirs.close()
        child.channel = Channel(ours)

    def _wait_ready(self, child: Child) -> bool:
        deadline = time.monotonic() + self._patience.ready
        while not child.is_ready and child.channel is not None and not self._is_stopping:
            if time.monotonic() > deadline:
                return False
            self._listen(0.02)
        return child.is_ready

    def _end(self) -> None:
        """Close the doors, end the workers, then what they lean on. Another signal hurries."""
        unix_sockets.release()
        for one in (s for group in self._sockets.values() for s in group):
            one.close()
        self._control.close()
        (self._policy.config.node.state_dir / control.FILE_NAME).unlink(missing_ok=True)
        self._signals = []
        for group in (self._workers, [self._ledger], self._sink):
            for child in group:
                child.signal(signal.SIGTERM)
            self._see_off(group)

    def _see_off(self, group: Sequence[Child]) -> None:
        deadline = time.monotonic() + self._patience.stop
        while living := [child for child in group if child.pid]:
            for child in living:
                try:
                    pid, _ = os.waitpid(child.pid, os.WNOHANG)
                except ChildProcessError:
                    pid = child.pid
                if pid:
                    child.pid = 0
                elif self._is_stopping:
                    child.signal(signal.SIGTERM)
                elif time.monotonic() > deadline:
                    child.signal(signal.SIGKILL)
            self._signals = []
            if self._watchdog_s is not None:
                systemd.notify("WATCHDOG=1")
            time.sleep(0.02)


def tell(outcome: Outcome) -> None:
    """Say the outcome of a reload in the service log and the metrics."""
    metrics.observe_reload(is_taken=outcome.is_taken)
    if outcome.fault is not None:
        service_log().error("reload_refused", error=outcome.fault.text)
    else:
        service_log().info("reload_taken", **outcome.changed)


def _sink(folder: Path, port: int) -> Start:
    async def start(stack: AsyncExitStack, _: asyncio.Event) -> None:
        try:
            sink = await start_sink("127.0.0.1", port, directory=folder)
        except OSError as err:
            raise PortError(f"the sink cannot listen on port {port}: {err.strerror}", temporary=False) from err
        stack.push_async_callback(sink.close)

    return start


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
