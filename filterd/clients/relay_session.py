"""One mail transaction with the next hop (RFC 5321 §3.3, XFORWARD as Postfix defines it).

Octets of addresses, parameters and content go out as they came in. The opening (RSET on a used connection, XFORWARD,
MAIL) is one write where PIPELINING is offered (RFC 2920). Only the opening is ever repeated, and only when a used
connection turns out to be dead: from an accepted MAIL on, what the next hop knows belongs to this one connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from filterd.clients.relay_connection import Connection, NextHopSettings
from filterd.clients.relay_wire import RelayBroken
from filterd.clients.xtext import xforward_commands
from filterd.mail.lines import dot_stuff
from filterd.markers import reach
from filterd.model.reply import Reply
from filterd.model.session import ForwardPath, Path

GiveBack = Callable[[Connection, bool], None]


class NextHopSession:
    """Fulfils ports.RelaySession.

    Args:
        renew: makes a fresh connection.
        give_back: takes the connection back at the end; the flag says that a transaction is still open on it.
    """

    def __init__(
        self,
        connection: Connection,
        hop: NextHopSettings,
        *,
        renew: Callable[[], Awaitable[Connection]],
        give_back: GiveBack,
    ) -> None:
        self._connection = connection
        self._hop = hop
        self._renew = renew
        self._give_back = give_back
        self._attributes: Mapping[str, str] = {}
        self._is_open = False
        self._is_closed = False

    @property
    def extensions(self) -> Mapping[str, str]:
        return self._connection.extensions

    async def xforward(self, attributes: Mapping[str, str]) -> None:
        """Keep the attributes for the opening; a refusal of theirs costs attribution in a log, never the mail."""
        self._attributes = dict(attributes)

    async def mail(self, reverse_path: Path | None, parameters: tuple[bytes, ...]) -> Reply:
        raw = reverse_path.raw if reverse_path is not None else b""
        line = b" ".join((b"MAIL FROM:<" + raw + b">", *parameters))
        try:
            reply = await self._guarded(self._open(line))
        except RelayBroken:
            if self._connection.is_fresh:
                raise
        else:
            # A 421 on a used connection is the next hop's idle timeout, not an answer about this mail.
            if reply.code != 421 or self._connection.is_fresh:
                return reply
        self._connection.wire.abort()
        self._connection = await self._renew()
        return await self._guarded(self._open(line))

    async def rcpt(self, forward: ForwardPath) -> Reply:
        line = b" ".join((b"RCPT TO:<" + forward.path.raw + b">", *forward.parameters))
        return await self._guarded(self._connection.ask(line, self._hop.command_timeout_s))

    async def data(self, raw: bytes) -> Reply:
        """Send the message. `RelayBroken.is_after_dot` says whether the next hop may have taken it."""
        return await self._guarded(self._data(raw))

    async def close(self) -> None:
        """Hand the connection back. Never raises, may be called twice."""
        if not self._is_closed:
            self._is_closed = True
            self._give_back(self._connection, self._is_open)

    async def _guarded(self, exchange: Awaitable[Reply]) -> Reply:
        """Whatever interrupts an exchange leaves a reply owing, so the connection must not be used again."""
        try:
            reply = await exchange
        except BaseException:
            self._connection.wire.abort()
            raise
        if reply.code == 421:
            self._connection.wire.close()
        return reply

    async def _open(self, mail: bytes) -> Reply:
        connection, limit = self._connection, self._hop.command_timeout_s
        lines = [] if connection.is_fresh else [b"RSET"]
        lines += xforward_commands(connection.extensions.get("XFORWARD", ""), self._attributes)
        lines.append(mail)
        is_pipelined = "PIPELINING" in connection.extensions
        if is_pipelined:
            connection.wire.write(b"".join(line + b"\r\n" for line in lines))
        for line in lines[:-1]:
            verb = line.split(b" ", 1)[0].decode("ascii")
            reply = await (connection.answer(verb, limit) if is_pipelined else connection.ask(line, limit))
            if reply.code == 421 or (verb == "RSET" and reply.code != 250):
                raise RelayBroken(f"{verb} answered with {reply.code}")
        reply = await (connection.answer("MAIL", limit) if is_pipelined else connection.ask(mail, limit))
        self._is_open = reply.is_positive
        return reply

    async def _data(self, raw: bytes) -> Reply:
        connection = self._connection
        reply = await connection.ask(b"DATA", self._hop.command_timeout_s)
        if reply.code != 354:
            if reply.is_positive:
                raise RelayBroken(f"DATA answered with {reply.code}")
            return reply
        reach("relay.data")
        wire, is_after_dot = connection.wire, False
        try:
            async with asyncio.timeout(self._hop.data_timeout_s):
                wire.write(dot_stuff(raw))
                await wire.flushed()
                if wire.has_reply:
                    return await self._early_refusal()
                reach("smtp.relaying")
                # The last line needs its CRLF (RFC 5321 §4.1.1.4); canonical mail from a door always has it.
                tail = b".\r\n" if not raw or raw.endswith(b"\r\n") else b"\r\n.\r\n"
                wire.write(tail)
                is_after_dot = True
                reply = await wire.reply()
        except TimeoutError:
            text = f"the message was not answered within {self._hop.data_timeout_s:g} s"
            raise RelayBroken(text, is_after_dot=is_after_dot) from None
        except RelayBroken as err:
            raise RelayBroken(str(err), is_after_dot=is_after_dot) from err
        self._is_open = False
        connection.is_fresh = False
        connection.refusals = 0 if reply.is_positive else connection.refusals + 1
        if 300 <= reply.code < 400:
            raise RelayBroken(f"the message was answered with {reply.code}", is_after_dot=True)
        return reply

    async def _early_refusal(self) -> Reply:
        """The next hop answered before the end; only a refusal makes sense, and the message stays unfinished."""
        reply = await self._connection.wire.reply()
        self._connection.wire.abort()
        if reply.is_positive:
            raise RelayBroken(f"{reply.code} before the end of the message")
        return reply
