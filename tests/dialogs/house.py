"""A whole mail path in one process: door, a gate that does as it is told, relay, sink. All sockets are real.

Nothing in it is in a hurry: a time limit is either the configuration's own, minutes long, or said by the test, which
then turns the time itself (tests/kit/loops.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from filterd.clients.relay import NextHopRelay
from filterd.clients.sink import Sink, SinkScript, start_sink
from filterd.config import ListenerConfig, NextHopConfig
from filterd.doors.serving import DoorServer
from filterd.doors.smtp import start_smtp
from filterd.doors.smtp_settings import Bounds
from filterd.doors.smtp_verbs import SmtpProtocol
from filterd.model.reply import Reply
from filterd.model.session import Path, Session
from filterd.ports import Answer, HeaderEdits, Intake
from tests.dialogs.client import Dialog
from tests.kit.loops import let_run
from tests.kit.waiting import PATIENCE_S, soon


@dataclass
class FakeGate:
    """Accepts all mail unchanged and writes down what it is asked.

    `refusals` maps recipient addresses to replies; `sender_refusal` answers every MAIL; `reply` answers every message;
    `hold` is why an MTA that can is to hold it; `is_plain`: `reply` is told as the next hop's; `on_enforce` is awaited
    first; `edit` changes what is relayed; `admit_error`, `enforce_error` and `delivered_error` are raised.
    """

    refusals: dict[str, Reply] = field(default_factory=dict)
    reply: Reply | None = None
    on_enforce: Callable[[], Awaitable[Any]] | None = None
    edit: Callable[[bytes], bytes] = bytes
    edits: HeaderEdits = field(default_factory=HeaderEdits)
    hold: str | None = None
    is_plain: bool = False
    admit_error: Exception | None = None
    enforce_error: Exception | None = None
    delivered_error: Exception | None = None
    admitted: list[tuple[Session, Path | None, Path]] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    screened: list[tuple[Session, Path | None, Path]] = field(default_factory=list)
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

    async def screen(self, session: Session, reverse_path: Path | None, forward: Path) -> Reply | None:
        self.screened.append((session, reverse_path, forward))
        return self.refusals.get(forward.address)

    async def enforce(self, intake: Intake) -> Answer:
        self.intakes.append(intake)
        if self.on_enforce is not None:
            await self.on_enforce()
        if self.enforce_error is not None:
            raise self.enforce_error
        transaction_id = f"t_{len(self.intakes)}"
        if self.hold is not None and intake.queue_id is None:
            # So the gate, where the MTA cannot: it has it then, and the MTA drops it.
            return Answer(transaction_id=transaction_id, reply=Reply(code=250, enhanced="2.0.0", text=self.hold))
        return Answer(
            transaction_id=transaction_id,
            reply=self.reply,
            raw=self.edit(intake.raw),
            edits=self.edits,
            hold=self.hold,
            is_plain=self.is_plain,
        )

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

    def dialog(self) -> Dialog:
        return Dialog(self.port)

    @property
    def connection(self) -> SmtpProtocol:
        """The door's side of the one connection there is."""
        (connection,) = self.server._open.connections
        assert isinstance(connection, SmtpProtocol)
        return connection

    @property
    def is_waiting(self) -> bool:
        """The door has carried out what it was told and waits for its clients; so it does when there is none."""
        waiters = [cast(SmtpProtocol, one)._reader._waiter for one in self.server._open.connections]
        return all(waiter is not None and not waiter.done() for waiter in waiters)

    async def heard(self, octets: int) -> None:
        """Wait until so many octets of a line, or of a message, that has no end yet are with the door."""

        def has_come() -> bool:
            reader = self.connection._reader
            return octets == (reader._received if reader._message is not None else len(reader._octets))

        await soon(has_come)

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
    """Open everything, close everything. Any port."""
    gate = gate or FakeGate()
    errors: list[tuple[str, BaseException]] = []
    sink = await start_sink(script=script)
    hop = {"address": sink.address, "connect_timeout_s": PATIENCE_S} | (next_hop or {})
    relay = NextHopRelay(NextHopConfig.model_validate(hop))
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
        let_run()
        await server.drain(1)
        await relay.close()
        await sink.close()
