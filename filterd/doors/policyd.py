"""The policy door: Postfix asks at each RCPT whether an account may send at all (SMTPD_POLICY_README; MAIL-PATH 4e).

It knows the SASL login before DATA, in any topology, so a suspended account is refused before it has sent its
message. Asked at MAIL it refuses only an account that people have ended. About mail without a login only the operator's
lists have a word, at RCPT; at another state there is nothing to say: DUNNO. When standing cannot be known the mail
waits (DEFER_IF_PERMIT). On any other trouble it says nothing and hangs up, and the `default_action` of the operator's
check_policy_service counts.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Protocol

from filterd.doors.policy_wire import (
    DUNNO,
    MAX_REQUEST_BYTES,
    WAIT,
    RequestReader,
    action,
    parse_request,
    recipient_of,
    sender_of,
    text_of,
)
from filterd.doors.serving import DoorServer, OnError, Open, listen
from filterd.doors.smtp_client import new_session_id
from filterd.errors import PeerError, PortError
from filterd.mail.names import canonical_login
from filterd.model.session import Door, Session
from filterd.ports import Gate

# Postfix lets go of an idle connection after 300 s (smtpd_policy_service_max_idle).
IDLE_S = 600.0
# One for each smtpd process; Postfix's default_process_limit is 100.
MAX_CONNECTIONS = 1000


class PolicySettings(Protocol):
    """The keys of `[policy_service]` that this door reads."""

    @property
    def bind(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def login_domain(self) -> str | None: ...


async def start_policyd(
    config: PolicySettings,
    gate: Gate,
    *,
    on_error: OnError,
    sockets: Sequence[socket.socket] | None = None,
    reuse_port: bool = False,
) -> DoorServer:
    """Open the policy door; the result is already accepting. Arguments as for `start_smtp`."""
    opened = Open()

    def accepted() -> asyncio.BaseProtocol:
        connection = PolicyConnection(config, gate, opened, on_error)
        reader = asyncio.StreamReader(limit=MAX_REQUEST_BYTES)
        return asyncio.StreamReaderProtocol(reader, connection.talk)

    return await listen(accepted, opened, host=config.bind, port=config.port, sockets=sockets, reuse_port=reuse_port)


class PolicyConnection:
    """One smtpd process of Postfix, asking again and again."""

    def __init__(self, config: PolicySettings, gate: Gate, opened: Open, report: OnError) -> None:
        self._config = config
        self._gate = gate
        self._open = opened
        self._report = report
        self._id = new_session_id()
        self._writer: asyncio.StreamWriter | None = None
        self._requests = RequestReader()
        self._is_waiting = False
        # Which message Postfix is asking about, and which of its recipients have passed: it asks about one as often as
        # its restriction lists name us.
        self._instance: bytes | None = None
        self._passed: set[bytes] = set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until Postfix leaves or something is wrong."""
        self._writer = writer
        if self._open.is_draining or len(self._open.connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._open.add(self)
        try:
            while not self._open.is_draining:
                self._is_waiting = True
                async with asyncio.timeout(IDLE_S):
                    block = await self._block(reader)
                self._is_waiting = False
                writer.write(await self._answer(parse_request(block)))
                async with asyncio.timeout(IDLE_S):
                    await writer.drain()
        except (ConnectionError, TimeoutError):
            pass
        except Exception as err:
            # Ours or theirs: Postfix acts on silence, and the log says why there was some.
            self._report(self._id, err)
        finally:
            self._open.discard(self)
            writer.close()

    async def _block(self, reader: asyncio.StreamReader) -> bytes:
        """Give the next request with its empty line. Raises PeerError as soon as it cannot become one."""
        while (block := self._requests.request()) is None:
            octets = await reader.read(MAX_REQUEST_BYTES)
            if not octets:
                raise ConnectionResetError
            self._requests.feed(octets)
        return block

    def wind_down(self) -> None:
        """Between two questions the connection is closed: Postfix asks again on a new one."""
        if self._is_waiting:
            self.end_now()

    def end_now(self) -> None:
        if self._writer is not None:
            self._writer.close()

    async def _answer(self, request: dict[str, bytes]) -> bytes:
        state = request.get("protocol_state")
        if state not in (b"MAIL", b"RCPT"):
            return DUNNO
        if not request.get("sasl_username"):
            return await self._screen(request) if state == b"RCPT" else DUNNO
        # Postfix's own recipient_count is 0 before DATA; an smtpd asks about one message after the other.
        instance = request.get("instance") or None
        if instance is None or instance != self._instance:
            self._instance, self._passed = instance, set()
        try:
            if state == b"MAIL":
                refusal = await self._gate.admit_sender(self._session(request), sender_of(request))
                return action(refusal) if refusal is not None else DUNNO
            session, recipient = self._session(request), recipient_of(request)
            others = len(self._passed - {recipient.raw})
            refusal = await self._gate.admit(session, sender_of(request), recipient, others)
        except (PortError, PeerError) as err:
            # Standing is unknown, or the login cannot be one of ours to know: either way not a word for it.
            self._report(self._id, err)
            return WAIT
        if refusal is not None:
            return action(refusal)
        self._passed.add(recipient.raw)
        return DUNNO

    async def _screen(self, request: dict[str, bytes]) -> bytes:
        """Answer about mail that nobody has signed in for: only the operator's lists have a word on it."""
        refusal = await self._gate.screen(self._session(request), sender_of(request), recipient_of(request))
        return action(refusal) if refusal is not None else DUNNO

    def _session(self, request: dict[str, bytes]) -> Session:
        login = request.get("sasl_username")
        address, port = text_of(request, "client_address"), text_of(request, "client_port")
        peer = self._writer.get_extra_info("peername") if self._writer is not None else None
        return Session(
            id=self._id,
            door=Door.POLICY,
            listener="policy",
            peer_address=str(peer[0]) if isinstance(peer, tuple) and peer else "unix",
            is_trusted_peer=True,
            client_address=address,
            client_port=int(port) if port is not None and port.isascii() and port.isdigit() else None,
            client_name=text_of(request, "client_name"),
            helo=text_of(request, "helo_name"),
            protocol=text_of(request, "protocol_name"),
            login=canonical_login(login, self._config.login_domain) if login else None,
            login_source="sasl" if login else None,
        )
