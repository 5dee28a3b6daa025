"""The milter door: the MTA keeps the mail and asks us at each step (libmilter, Postfix MILTER_README; MAIL-PATH 4d).

It knows the login (`{auth_authen}`) before DATA, so a suspended account is refused at each RCPT, and the addresses that
are always open stay so. At the end of the message it walks through the house as in every other door, and the MTA is
told what to put on top, what to take out, or what to answer.

Mail that came by sendmail(1) is judged like mail behind the queue: nothing is refused at RCPT, and nothing bounces.
When something breaks, the MTA hears TEMPFAIL; when we no longer know where we are, it hears nothing and the connection
ends, and its `milter_default_action` counts.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from filterd.doors import milter_wire as wire
from filterd.doors import smtp_replies as replies
from filterd.doors.answer_time import AnswerTime
from filterd.doors.milter_finish import Outcome, finish, unheard
from filterd.doors.milter_hold import why_not_held
from filterd.doors.milter_message import MilterMessage, forward_path_of, reverse_path_of
from filterd.doors.milter_session import WANTED, MacroTable, Peer, session_of
from filterd.doors.milter_settings import MilterSettings
from filterd.doors.serving import DoorServer, OnError, Open, listen
from filterd.doors.smtp_client import UNIX, Peers, new_session_id
from filterd.doors.smtp_data import MemoryBudget
from filterd.doors.smtp_settings import DEFAULT_BOUNDS, Bounds
from filterd.errors import PeerError, PortError
from filterd.model.reply import Reply
from filterd.model.session import Session
from filterd.ports import Gate

# The listener's name in the log; mail of local programmes has one of its own, since it must not bounce.
LISTENER, LOCAL_LISTENER = "milter", "milter-local"
# libmilter gives an MTA 7,210 s before it takes it for dead; a client may dawdle as long as the MTA lets it.
IDLE_S = 7210.0
# Postfix and Sendmail wait anew after each PROGRESS.
PROGRESS_S = 5.0
_READ_BYTES = 65_536

_NEEDED = wire.Action.ADDHDRS | wire.Action.CHGHDRS
_WANTED_ACTIONS = _NEEDED | wire.Action.QUARANTINE | wire.Action.SETSYMLIST
# Steps we have nothing to say at. Body chunks are answered, which keeps the MTA from sending faster than we read.
_WANTED_STEPS = (
    wire.Step.HDR_LEADSPC
    | wire.Step.RCPT_REJ
    | wire.Step.SKIP
    | wire.Step.NOUNKNOWN
    | wire.Step.NODATA
    | wire.Step.NR_CONN
    | wire.Step.NR_HELO
    | wire.Step.NR_HDR
    | wire.Step.NR_EOH
)
# What the version says must not be asked for below it (libmilter's mfdef.h).
_SINCE_6 = wire.Action.SETSYMLIST


async def start_milter(
    config: MilterSettings,
    gate: Gate,
    *,
    on_error: OnError,
    bounds: Bounds = DEFAULT_BOUNDS,
    progress_s: float = PROGRESS_S,
    sockets: Sequence[socket.socket] | None = None,
    reuse_port: bool = False,
) -> DoorServer:
    """Open the milter door; the result is already accepting. Arguments as for `start_smtp`.

    Args:
        progress_s: how often the MTA hears that a message is still being looked at.
    """
    door = MilterDoor(config, gate, on_error=on_error, bounds=bounds, progress_s=progress_s)

    def accepted() -> asyncio.BaseProtocol:
        connection = MilterConnection(door)
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=_READ_BYTES), connection.talk)

    return await listen(
        accepted,
        door.opened,
        host=config.bind,
        port=config.port,
        sockets=sockets,
        reuse_port=reuse_port,
        mode=int(config.socket_mode, 8),
    )


class MilterDoor:
    """What the connections share."""

    def __init__(
        self, config: MilterSettings, gate: Gate, *, on_error: OnError, bounds: Bounds, progress_s: float
    ) -> None:
        self.config, self.gate, self.report = config, gate, on_error
        self.bounds, self.progress_s = bounds, progress_s
        self.opened = Open()
        self.budget = MemoryBudget(bounds.memory_bytes)
        self.client_of = Peers(config.trusted_peers).client


class MilterConnection:
    """One connection of an MTA: one client after the other, one message after the other."""

    def __init__(self, door: MilterDoor) -> None:
        self.door = door
        self._id = new_session_id()
        self._macros = MacroTable()
        self._peer = Peer(address=UNIX)
        self._message: MilterMessage | None = None
        self._actions, self._steps = wire.Action(0), wire.Step(0)
        self._is_negotiated = False
        # Behind the end of a message the MTA is owed an answer.
        self._is_busy = False
        self._has_said_why = False
        self._writer: asyncio.StreamWriter | None = None

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer commands until the MTA leaves or something is wrong."""
        self._writer, door = writer, self.door
        client = door.client_of(writer.get_extra_info("peername"))
        refused = None if client.is_trusted else f"milter connection from {client.address}, not in trusted_peers"
        if refused is None and len(door.opened.connections) >= door.config.max_connections:
            refused = f"milter connection from {client.address} beyond max_connections {door.config.max_connections}"
        if refused is not None:
            door.report(self._id, PeerError(refused))
        if refused is not None or door.opened.is_draining:
            writer.close()
            return
        self._peer = Peer(address=client.address)
        door.opened.add(self)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, TimeoutError, _Over):
            pass
        except Exception as err:
            # Theirs or ours: the MTA acts on silence, and the log says why there was some.
            door.report(self._id, err)
        finally:
            self._forget_message()
            door.opened.discard(self)
            writer.close()

    def wind_down(self) -> None:
        """Between two messages the connection is closed; the MTA connects anew for its next client."""
        if self._message is None and not self._is_busy:
            self.end_now()

    def end_now(self) -> None:
        if self._writer is not None:
            self._writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = wire.Decoder()
        while True:
            async with asyncio.timeout(IDLE_S):
                octets = await reader.read(_READ_BYTES)
            if not octets:
                return
            for command in decoder.feed(octets):
                answer = await self._obey(command)
                if answer:
                    await self._send(answer)
            if self.door.opened.is_draining and self._message is None:
                return

    async def _send(self, octets: bytes) -> None:
        if self._writer is None or self._writer.is_closing():
            raise _Over
        self._writer.write(octets)
        async with asyncio.timeout(IDLE_S):
            await self._writer.drain()

    async def _obey(self, command: wire.Command) -> bytes:
        """Say the answer to one command; empty where none is due."""
        if not self._is_negotiated and not isinstance(command, wire.Negotiate | wire.Quit):
            raise PeerError("a milter command before the negotiation")
        match command:
            case wire.Negotiate():
                return self._negotiate(command)
            case wire.Macros(stage=stage, values=values):
                self._macros.put(stage, values)
                return b""
            case wire.Connect():
                self._forget_message()
                self._peer = Peer(address=self._peer.address, connect=command)
                return self._due(wire.Step.NR_CONN)
            case wire.Helo(name=name):
                helo = "".join(c if c.isprintable() else "?" for c in name.decode("utf-8", "backslashreplace"))
                self._peer = Peer(address=self._peer.address, connect=self._peer.connect, helo=helo or None)
                return self._due(wire.Step.NR_HELO)
            case wire.Mail(arguments=arguments):
                return await self._mail(arguments)
            case wire.Rcpt(arguments=arguments):
                return await self._rcpt(arguments)
            case wire.Data():
                return self._due(wire.Step.NR_DATA)
            case wire.Unknown():
                return self._due(wire.Step.NR_UNKN)
            case wire.Header():
                message = self._needs_message()
                message.add_header(command, has_leading_space=wire.Step.HDR_LEADSPC in self._steps)
                return self._due(wire.Step.NR_HDR)
            case wire.EndOfHeader():
                self._needs_message()
                return self._due(wire.Step.NR_EOH)
            case wire.Body(octets=octets):
                return self._body(octets)
            case wire.EndOfMessage(octets=octets):
                return await self._end_of_message(octets)
            case wire.Abort():
                self._forget_message()
                return b""
            case wire.Quit(is_reused=is_reused):
                return self._quit(is_reused)

    # --- the session --------------------------------------------------------------------------------------------------

    def _negotiate(self, offer: wire.Negotiate) -> bytes:
        if _NEEDED & ~offer.actions:
            # Forged fields could not be taken out.
            raise PeerError("the MTA does not let a milter add and change header fields")
        version = min(offer.version, wire.VERSION)
        self._actions = _WANTED_ACTIONS & offer.actions
        if version < wire.VERSION:
            self._actions &= ~_SINCE_6
        self._steps = _WANTED_STEPS & offer.steps
        self._is_negotiated = True
        macros = WANTED if wire.Action.SETSYMLIST in self._actions else None
        return wire.negotiated(version, self._actions, self._steps, macros)

    def _due(self, unless: wire.Step) -> bytes:
        return b"" if unless in self._steps else wire.CONTINUE

    def _quit(self, is_reused: bool) -> bytes:
        self._forget_message()
        self._macros.end_session()
        if not is_reused:
            raise _Over
        self._peer = Peer(address=self._peer.address)
        return b""

    # --- the envelope -------------------------------------------------------------------------------------------------

    @property
    def _listener(self) -> str:
        return LOCAL_LISTENER if self._peer.is_local else LISTENER

    async def _mail(self, arguments: tuple[bytes, ...]) -> bytes:
        if self._message is not None:
            raise PeerError("a milter MAIL inside a transaction")
        if self.door.opened.is_draining:
            return wire.TEMPFAIL
        reverse_path = reverse_path_of(arguments)
        try:
            session = session_of(
                self._peer, self._macros, listener=self._listener, login_domain=self.door.config.login_domain
            )
        except PeerError as err:
            # Somebody has logged in and we cannot say who.
            self.door.report(self._id, err)
            return wire.TEMPFAIL
        refusal = None
        if not self._peer.is_local:
            try:
                refusal = await self.door.gate.admit_sender(session, reverse_path)
            except Exception as err:
                return self._failed(session, err)
        if refusal is not None:
            return wire.reply_code(refusal)
        self._message = MilterMessage(
            session,
            reverse_path,
            arguments[1:],
            limit_bytes=self.door.config.max_message_bytes,
            budget=self.door.budget,
        )
        return wire.CONTINUE

    async def _rcpt(self, arguments: tuple[bytes, ...]) -> bytes:
        message = self._needs_message()
        mailer, status = self._macros.get("rcpt_mailer"), self._macros.get("rcpt_host")
        self._macros.end_recipient()
        if mailer == "error":
            # The MTA has refused it itself, and takes no answer.
            message.note_refused(status)
            return wire.CONTINUE
        forward = forward_path_of(arguments)
        if not self._peer.is_local:
            accepted = len(message.forward_paths)
            if accepted >= self.door.config.max_recipients:
                # RFC 5321 §4.5.3.1.10: the client sends the rest in a transaction of its own.
                return wire.reply_code(replies.TOO_MANY_RECIPIENTS)
            try:
                refusal = await self.door.gate.admit(message.session, message.reverse_path, forward.path, accepted)
            except Exception as err:
                return self._failed(message.session, err)
            if refusal is not None:
                return wire.reply_code(refusal)
        message.forward_paths.append(forward)
        return wire.CONTINUE

    def _failed(self, session: Session, err: Exception) -> bytes:
        self.door.report(session.id, err)
        return wire.reply_code(replies.internal_error(session.id))

    # --- the message --------------------------------------------------------------------------------------------------

    def _body(self, octets: bytes) -> bytes:
        message = self._needs_message()
        message.add_body(octets)
        if message.refusal is not None and wire.Step.SKIP in self._steps:
            return wire.SKIP
        return self._due(wire.Step.NR_BODY)

    async def _end_of_message(self, octets: bytes) -> bytes:
        message = self._needs_message()
        if octets:
            message.add_body(octets)
        if not message.forward_paths:
            raise PeerError("a milter message without recipients")
        queue_id = self._macros.get("i")
        door = self.door
        self._is_busy, self._message = True, None
        # A task of its own: an MTA that leaves after the dot changes nothing (F12).
        holding_id = self._holding_id(queue_id)
        task = door.opened.spawn(
            finish(message, door.gate, max_hops=door.bounds.hops, report=door.report, queue_id=holding_id)
        )
        try:
            is_in_time = await self._told(task)
        except (_Over, ConnectionError, TimeoutError):
            # The MTA has gone: whether it has the answer nobody knows, and its client will be told to come again.
            door.opened.spawn(unheard(task, message, door.gate, "MtaLeft", is_unknown=True, report=door.report))
            raise
        finally:
            self._is_busy = False
            self._macros.end_message()
        if not is_in_time:
            door.report(message.session.id, PortError(f"not judged within {door.config.answer_timeout_s:g} s: 451"))
            door.opened.spawn(unheard(task, message, door.gate, "AnswerTimeout", is_unknown=False, report=door.report))
        elif task.result().is_accepted:
            await self._record(message, task.result(), queue_id)
        return b""

    def _holding_id(self, queue_id: str | None) -> str | None:
        """Say under which name the MTA is to hold this mail, if it is to; where it cannot, we hold it ourselves."""
        if self.door.config.hold_by != "mta":
            return None
        problem = why_not_held(self._actions, self._macros.get("v"), queue_id)
        if problem is not None and not self._has_said_why:
            self._has_said_why = True
            self.door.report(self._id, PeerError(f"hold_by = 'mta': {problem}; what is held, filterd holds itself"))
        return queue_id if problem is None else None

    async def _told(self, task: asyncio.Task[Outcome]) -> bool:
        """Wait, say now and then that we are still at it, then answer; says whether there was an answer in time."""
        time, door = AnswerTime(self.door.config.answer_timeout_s), self.door
        is_in_time = await time.wait(task, every_s=door.progress_s, meanwhile=lambda: self._send(wire.PROGRESS))
        await self._send(self._answer(task.result()) if is_in_time else wire.reply_code(replies.TOO_LATE))
        return is_in_time

    def _answer(self, outcome: Outcome) -> bytes:
        if outcome.reply is None:
            return outcome.edits_for(has_leading_space=wire.Step.HDR_LEADSPC in self._steps) + wire.ACCEPT
        # What we have on durable record needs no bounce and no second try: the MTA says 250 and drops it.
        return wire.DISCARD if outcome.reply.is_positive else wire.reply_code(outcome.reply)

    async def _record(self, message: MilterMessage, outcome: Outcome, queue_id: str | None) -> None:
        said = Reply(code=250, enhanced="2.0.0", text=f"queued as {queue_id}" if queue_id else "taken by the MTA")
        try:
            await self.door.gate.delivered(outcome.transaction_id, said, message.refused_recipients)
        except Exception as err:
            self.door.report(message.session.id, err)

    def _needs_message(self) -> MilterMessage:
        if self._message is None:
            raise PeerError("a milter command without a transaction")
        return self._message

    def _forget_message(self) -> None:
        message, self._message = self._message, None
        self._macros.end_message()
        if message is not None:
            message.release()


class _Over(Exception):
    """The connection has ended, and nobody is to blame."""
