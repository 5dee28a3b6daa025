"""Everything in one process (`--workers 0`). Its watchdog is systemd's: a loop that hangs feeds nobody."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from filterd import app, systemd
from filterd.config import Config
from filterd.supervisor import control
from filterd.supervisor.channel import Fault
from filterd.supervisor.child import on_signals
from filterd.supervisor.control import Outcome
from filterd.supervisor.family import tell
from filterd.supervisor.patience import Patience


def run(
    config: Config,
    ready: Callable[[], None],
    *,
    file: Path | None,
    sockets: Mapping[str, Sequence[socket.socket]],
    patience: Patience,
) -> int:
    """Run until SIGTERM or SIGINT, then end everything in reverse order; says the exit code."""
    app.check_names(config, tuple(sockets))
    config.node.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    policy = app.read_policy(config, app.make_clock(config))
    import uvloop

    uvloop.run(_main(policy, ready, file, sockets))
    return 0


async def _main(
    policy: app.Policy, ready: Callable[[], None], file: Path | None, sockets: Mapping[str, Sequence[socket.socket]]
) -> None:
    stop, hurry = on_signals(signal.SIGTERM, signal.SIGINT)
    async with AsyncExitStack() as stack:
        halves = await app.run_both(policy, stack, sockets=sockets, hurry=hurry)
        asked = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
        one = _Reloads(halves, file)
        await one.listen(stack, policy.config.node.state_dir)
        tasks = [asyncio.create_task(one.on_signal(asked))]
        if (every_s := systemd.watchdog_s()) is not None:
            tasks.append(asyncio.create_task(_feed(every_s)))
        ready()
        systemd.notify("READY=1", one.status())
        await stop.wait()
        systemd.notify("STOPPING=1", systemd.status("mail in hand is being finished"))
        tasks[0].cancel()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _feed(every_s: float) -> None:
    while True:
        systemd.notify("WATCHDOG=1")
        await asyncio.sleep(every_s)


class _Reloads:
    """Reloads of both halves, one after the other."""

    def __init__(self, halves: app.Halves, file: Path | None):
        self._halves, self._file = halves, file
        self._turn = asyncio.Lock()

    async def listen(self, stack: AsyncExitStack, state_dir: Path) -> None:
        """Hear `filterd reload` until the stack ends."""
        server = await asyncio.start_unix_server(self._answer, sock=control.listen(state_dir))
        stack.callback((state_dir / control.FILE_NAME).unlink, missing_ok=True)
        stack.callback(server.close)

    async def on_signal(self, asked: asyncio.Event) -> None:
        while True:
            await asked.wait()
            asked.clear()
            await self.reload()

    async def reload(self) -> Outcome:
        """Take another policy, or keep the one there is."""
        async with self._turn:
            systemd.notify(*systemd.reloading(), systemd.status("reading the configuration again"))
            outcome = await self._outcome()
            tell(outcome)
            if outcome.fault is not None:
                self._halves.ledger.refused(outcome.fault.file, outcome.fault.line, outcome.fault.key)
            systemd.notify("READY=1", self.status())
            return outcome

    def status(self) -> str:
        return systemd.status(f"all in one process; {', '.join(self._halves.ledger.policy.digests)}")

    async def _outcome(self) -> Outcome:
        ledger, mail = self._halves.ledger, self._halves.mail
        old = ledger.policy
        try:
            new = await asyncio.to_thread(app.reread, self._file, old, app.make_clock(old.config))
            await ledger.prepare(new)
            await mail.prepare(new)
            await ledger.take()
        except Exception as err:
            # What nobody raised on purpose, too: whatever it is, what was in force stays.
            ledger.drop()
            mail.drop()
            return Outcome(fault=Fault.of(err), policies=old.digests)
        await mail.take()
        return Outcome(policies=new.digests, changed=app.changes(old, new))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(control.ASK_WITHIN_S):
                line = await reader.readline()
            if control.is_own(writer.get_extra_info("socket")) and control.is_request(line):
                writer.write(control.answer(await self.reload()))
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            # Whoever asked is gone, or never did.
            return
        finally:
            writer.close()
