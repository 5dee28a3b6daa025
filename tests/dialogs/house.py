"""A whole mail path in one process: door, a gate that does as it is told, relay, sink. All sockets are real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from filterd.clients.relay import NextHopRelay
from filterd.clients.sink import Sink, SinkScript, start_sink
from filterd.config import ListenerConfig, NextHopConfig
from filterd.doors.serving import DoorServer
from filterd.doors.smtp import start_smtp
from filterd.doors.smtp_settings import Bounds
from filterd.model.reply import Reply
from filterd.model.session import Path, Session
from filterd.ports import Answer, Intake
from tests.dialogs.client import Dialog


@dataclass
class FakeGate:
    """Accepts all mail unchanged and writes down what it is asked.

    `refusals` maps recipient addresses to replies; `sender_refusal` answers every MAIL; `reply` answers every message;
    `on_enforce` is awaited first; `edit` changes what is relayed; `admit_error`, `enforce_error` and `delivered_error`
    are raised.
    """

    refusals: dict[str, Reply] = field(default_factory=dict)
    reply: Reply | None = None
    on_enforce: Callable[[], Awaitable[Any]] | None = None
    edit: Callable[[bytes], bytes] = bytes
    admit_error: Exception | None = None
    enforce_error: Exception | None = None
    delivered_error: Exception | None = None
    admitted: list[tuple[Session, Path | None, Path]] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    sender_refusal: Reply | None = None
    senders: list[tuple[Session, Path | None]] = field(default_factory=list)
    intakes: list[Intake] = field(default_factory=list)
    deliveries: list[tuple[str, Reply, int]] = field(default_factory=list)
    failures: list[tuple[str, str, bool]] = field(default_factory=list)

    async def admit_sender(self, session: Session, reverse_path: Path | None) -> Reply | None:
        self.senders.append((session, reverse_path))
        return self.sender_refusal

    async def admit(
        self, session: Session, reverse_path: Path | None, forward: Path, accepted: int = 0
    ) -> Reply | None:
        self.admitted.append((session, reverse_path, forward))
        self.accepted.append(accepted)
        if self.admit_error is not None:
            raise self.admit_error
        return self.refusals.get(forward.address)

    async def enforce(self, intake: Intake) -> Answer:
        self.intakes.append(intake)
        if self.on_enforce is not None:
            await self.on_enforce()
        if self.enforce_error is not None:
            raise self.enforce_error
        transaction_id = f"t_{len(self.intakes)}"
        return Answer(transaction_id=transaction_id, reply=self.reply, raw=self.edit(intake.raw))

    async def delivered(self, transaction_id: str, reply: Reply, refused_recipients: int) -> None:
        self.deliveries.append((transaction_id, reply, refused_recipients))
        if self.delivered_error is not None:
            raise self.delivered_error

    async def failed(self, transaction_id: str, reason: str, *, is_unknown: bool) -> None:
        self.failures.append((transaction_id, reason, is_unknown))


@dataclass
class House:
    server: DoorServer
    gate: FakeGate
    relay: NextHopRelay
    sink: Sink
    errors: list[tuple[str, BaseException]]

    @property
    def port(self) -> int:
        return self.server.port

    def dialog(self, *, patience_s: float = 60) -> Dialog:
        return Dialog(self.port, patience_s=patience_s)

    @property
    def raws(self) -> list[bytes]:
        return [message.raw for message in self.sink.messages]

    def commands(self, verb: bytes) -> list[bytes]:
        """The sink's command lines that begin with `verb`."""
        return [line for line in self.sink.commands if line.startswith(verb)]


@asynccontextmanager
async def open_house(
    *,
    gate: FakeGate | None = None,
    script: SinkScript | None = None,
    listener: dict[str, Any] | None = None,
    next_hop: dict[str, Any] | None = None,
    bounds: Bounds | None = None,
) -> AsyncIterator[House]:
    """Open everything, close everything. Any port; short time limits unless said otherwise."""
    gate = gate or FakeGate()
    errors: list[tuple[str, BaseException]] = []
    sink = await start_sink(script=script)
    hop = {"address": sink.address, "connect_timeout_s": 2, "command_timeout_s": 2, "data_timeout_s": 2}
    relay = NextHopRelay(NextHopConfig.model_validate(hop | (next_hop or {})))
    settings = ListenerConfig.model_validate({"port": 0, "hostname": "door.example"} | (listener or {}))
    server = await start_smtp(
        settings,
        gate,
        relay,
        on_error=lambda session_id, err: errors.append((session_id, err)),
        via=relay.name,
        bounds=bounds or Bounds(),
    )
    try:
        yield House(server, gate, relay, sink, errors)
    finally:
        await server.drain(1)
        await relay.close()
        await sink.close()


async def eventually(claim: Callable[[], bool], *, patience_s: float = 60) -> None:
    """Wait until something that happens behind the client's back has happened."""
    async with asyncio.timeout(patience_s):
        while not claim():
            await asyncio.sleep(0.005)
