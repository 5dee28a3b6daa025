"""The socketmap door: account state as a table that Postfix looks up (socketmap_table(5); MAIL-PATH 4e).

    state    login             good, restricted, locked, suspended, terminated or unserved
    access   login             the refusal of an account that may not send, as access(5) takes it; else not found
    owner    sender address    the login that may use it (smtpd_sender_login_maps)

A login that is nobody's is not found. Where standing cannot be known the answer is TEMP, and Postfix puts the mail off.
The policy service knows more: it leaves the desks open, recipient by recipient, while `access` refuses all of them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Protocol

from filterd.doors import socketmap_wire as wire
from filterd.doors.serving import DoorServer, OnError, Open, listen
from filterd.doors.smtp_client import new_session_id
from filterd.errors import PeerError, PortError
from filterd.mail.names import canonical_login
from filterd.ports import AccountStates

# Postfix keeps a lookup connection for 10 s and lets go of it after 100 s.
IDLE_S = 600.0
MAX_CONNECTIONS = 1000
_READ_BYTES = 4096


class SocketmapSettings(Protocol):
    """The keys of `[socketmap]` that this door reads."""

    @property
    def bind(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def socket_mode(self) -> str: ...
    @property
    def login_domain(self) -> str | None: ...


async def start_socketmap(
    config: SocketmapSettings,
    accounts: AccountStates,
    *,
    on_error: OnError,
    sockets: Sequence[socket.socket] | None = None,
    reuse_port: bool = False,
) -> DoorServer:
    """Open the socketmap door; the result is already accepting. Arguments as for `start_smtp`."""
    opened = Open()

    def accepted() -> asyncio.BaseProtocol:
        connection = SocketmapConnection(config, accounts, opened, on_error)
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), connection.talk)

    return await listen(
        accepted,
        opened,
        host=config.bind,
        port=config.port,
        sockets=sockets,
        reuse_port=reuse_port,
        mode=int(config.socket_mode, 8),
    )


class SocketmapConnection:
    """One process of Postfix, asking again and again."""

    def __init__(self, config: SocketmapSettings, accounts: AccountStates, opened: Open, report: OnError) -> None:
        self._config, self._accounts = config, accounts
        self._open, self._report = opened, report
        self._id = new_session_id()
        self._writer: asyncio.StreamWriter | None = None
        self._is_waiting = False

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer questions until Postfix leaves or something is wrong."""
        self._writer = writer
        if self._open.is_draining or len(self._open.connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._open.add(self)
        held = b""
        try:
            while not self._open.is_draining:
                question = wire.parse_request(held)
                if question is None:
                    self._is_waiting = not held
                    async with asyncio.timeout(IDLE_S):
                        octets = await reader.read(_READ_BYTES)
                    self._is_waiting = False
                    if not octets:
                        return
                    held += octets
                    continue
                name, key, size = question
                held = held[size:]
                writer.write(wire.reply(await self._answer(name, key)))
                async with asyncio.timeout(IDLE_S):
                    await writer.drain()
        except (ConnectionError, TimeoutError):
            pass
        except Exception as err:
            # Theirs or ours: Postfix puts the mail off, and the log says why.
            self._report(self._id, err)
        finally:
            self._open.discard(self)
            writer.close()

    def wind_down(self) -> None:
        """Between two questions the connection is closed: Postfix asks again on a new one."""
        if self._is_waiting:
            self.end_now()

    def end_now(self) -> None:
        if self._writer is not None:
            self._writer.close()

    async def _answer(self, name: str, key: str) -> bytes:
        if name not in ("state", "access", "owner"):
            return wire.never("no such map; there are state, access and owner")
        try:
            login = canonical_login(key, self._config.login_domain)
        except PeerError:
            # What cannot be a login is nobody's.
            return wire.NOT_FOUND
        try:
            state = await self._accounts.account_state(login)
        except PortError as err:
            self._report(self._id, err)
            return wire.later("standing cannot be known now")
        if state is None:
            return wire.NOT_FOUND
        if name == "state":
            return wire.found(state.state)
        if name == "owner":
            return wire.found(state.login)
        return wire.found(state.refusal.one_line()) if state.refusal is not None else wire.NOT_FOUND
