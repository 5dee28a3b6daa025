"""One mail transaction with the next hop (RFC 5321 §3.3, RFC 2033; XFORWARD and XCLIENT as Postfix defines them).

Octets of addresses, parameters and content go out as they came in. The opening (RSET on a used connection, XFORWARD,
MAIL) is one write where PIPELINING is offered (RFC 2920); behind an XCLIENT the session begins anew, so there it is one
step after the other. Only the opening is ever repeated, and only when a used connection turns out to be dead: from an
accepted MAIL on, what the next hop knows belongs to this one connection.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from filterd.clients.relay_connection import Address, Connection, NextHopSettings, hello
from filterd.clients.relay_wire import RelayBroken
from filterd.clients.relay_words import TakenWords
from filterd.clients.xtext import UNAVAILABLE, xclient_commands, xforward_commands
from filterd.mail.lines import dot_stuff
from filterd.markers import reach
from filterd.model.reply import Reply
from filterd.model.session import ForwardPath, Path

GiveBack = Callable[[Connection, bool], None]

# RFC 8689 §5.
NO_REQUIRETLS = Reply(code=550, enhanced="5.7.30", text="REQUIRETLS support required")
# What may stand behind EHLO in a client's name: domains and address literals (RFC 5321 §4.1.1.1).
_HELO = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")

# A line end in an address would be a command of its own. Those of SMTP hold none; a milter can be told any.
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
BAD_ADDRESS = Reply(code=553, enhanced="5.1.3", text="control character in an address")

_T = TypeVar("_T")


class NextHopSession:
    """Fulfils ports.RelaySession.

    Args:
        started_at: when it was asked for, by the loop's clock; with its MAIL it takes at most `data_timeout_s`.
        renew: makes a fresh connection.
        give_back: takes the connection back at the end; the flag says that a transaction is still open on it.
        words: in which this next hop says that it has taken a mail.
    """

    def __init__(
        self,
        connection: Connection,
        hop: NextHopSettings,
        *,
        started_at: float,
        renew: Callable[[], Awaitable[Connection]],
        give_back: GiveBack,
        words: TakenWords,
    ) -> None:
        self._connection = connection
        self._hop = hop
        self._until = started_at + hop.data_timeout_s
        self._renew = renew
        self._give_back = give_back
        self._attributes: Mapping[str, str] = {}
        self._words = words
        self._accepted: list[bytes] = []
        self._is_open = False
        self._is_closed = False

    @property
    def extensions(self) -> Mapping[str, str]:
        return self._connection.extensions

    @property
    def is_secured(self) -> bool:
        """What is said goes through TLS."""
        return self._connection.is_secured

    async def speak_for(self, attributes: Mapping[str, str]) -> None:
        """Keep the attributes for the opening. A refused XFORWARD costs attribution in a log, never the mail; a refused
        XCLIENT stops it, since the next hop would take the mail for our own and apply our own rights."""
        self._attributes = dict(attributes)

    async def mail(self, reverse_path: Path | None, parameters: tuple[bytes, ...]) -> Reply:
        raw = reverse_path.raw if reverse_path is not None else b""
        if _CONTROL.search(b" ".join((raw, *parameters))):
            return BAD_ADDRESS
        try:
            async with asyncio.timeout_at(self._until):
                return await self._mail(b"MAIL FROM:<" + raw + b">", parameters)
        except TimeoutError:
            raise RelayBroken(f"no reply to MAIL within {self._hop.data_timeout_s:g} s") from None

    async def rcpt(self, forward: ForwardPath) -> Reply:
        line = b" ".join((b"RCPT TO:<" + forward.path.raw + b">", *forward.parameters))
        if _CONTROL.search(line):
            return BAD_ADDRESS
        reply = self._heard(await self._guarded(self._connection.ask(line, self._hop.command_timeout_s)))
        if reply.is_positive:
            self._accepted.append(forward.path.raw)
        return reply

    async def data(self, raw: bytes, *, within_s: float | None = None) -> tuple[Reply, ...]:
        """Send the message. `RelayBroken.is_after_dot` says whether the next hop may have taken it, and `replies` whom
        it has answered before it broke."""
        limit_s = self._hop.data_timeout_s
        said = await self._guarded(self._data(raw, limit_s if within_s is None else min(within_s, limit_s)))
        for reply in said:
            if reply.is_positive:
                self._words.hear(reply, raw, self._accepted)
                break
        return tuple(self._heard(reply) for reply in said)

    def taken(self, raw: bytes) -> tuple[Reply, ...]:
        """Say what `data` would have said, without sending."""
        if self._hop.protocol == "lmtp":
            return tuple(self._words.say(raw, recipient) for recipient in self._accepted)
        return (self._words.say(raw, b""),) * max(1, len(self._accepted))

    async def close(self) -> None:
        """Hand the connection back. Never raises, may be called twice."""
        if not self._is_closed:
            self._is_closed = True
            self._give_back(self._connection, self._is_open)

    async def _guarded(self, exchange: Awaitable[_T]) -> _T:
        """Whatever interrupts an exchange leaves a reply owing, so the connection must not be used again."""
        try:
            return await exchange
        except BaseException:
            self._connection.wire.abort()
            raise

    def _heard(self, reply: Reply) -> Reply:
        if reply.code == 421:
            self._connection.wire.close()
        return reply

    # --- the opening ------------------------------------------------------------------------------------------------

    async def _mail(self, line: bytes, parameters: tuple[bytes, ...]) -> Reply:
        try:
            reply = await self._guarded(self._open(line, parameters))
        except RelayBroken:
            if self._connection.is_fresh:
                raise
        else:
            # A 421 on a used connection is the next hop's idle timeout, not an answer about this mail.
            if reply.code != 421 or self._connection.is_fresh:
                return self._heard(reply)
        self._connection.wire.abort()
        self._connection = await self._renew()
        return self._heard(await self._guarded(self._open(line, parameters)))

    async def _open(self, mail: bytes, parameters: tuple[bytes, ...]) -> Reply:
        connection = self._connection
        if self._hop.xclient and self._attributes:
            if "XCLIENT" not in connection.extensions:
                # Without it a stranger's mail would have our own rights there.
                raise RelayBroken("next_hop.xclient, and the next hop offers no XCLIENT")
            refusal = await self._become()
            if refusal is not None:
                # The next hop wants none of this client's mail; what it thinks of the next one is another session's.
                connection.wire.close()
                return refusal
        elif connection.is_another:
            raise RelayBroken("the next hop takes us for a client, and this mail is not that client's")
        if any(parameter.upper() == b"REQUIRETLS" for parameter in parameters) and not self._may_require_tls():
            return NO_REQUIRETLS
        if self._hop.protocol == "lmtp" and "SIZE" not in connection.extensions:
            # Dovecot has none and refuses the word, which everybody says whom we offer it. It is a hint about what we
            # got, not a wish that is lost (RFC 1870 §5).
            parameters = tuple(parameter for parameter in parameters if not parameter.upper().startswith(b"SIZE="))
        reply = await self._in_order(b" ".join((mail, *parameters)))
        self._is_open = reply.is_positive
        return reply

    async def _in_order(self, mail: bytes) -> Reply:
        """Say what goes before MAIL, and MAIL."""
        connection, limit = self._connection, self._hop.command_timeout_s
        lines: list[bytes] = []
        if not connection.is_another:
            lines += [] if connection.is_fresh else [b"RSET"]
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
        return await (connection.answer("MAIL", limit) if is_pipelined else connection.ask(mail, limit))

    async def _become(self) -> Reply | None:
        """Say XCLIENT and begin anew (XCLIENT_README: back to the greeting); says the refusal of this client, if any.

        Raises RelayBroken when the next hop does not let us.
        """
        connection = self._connection
        greeting = await self._xclient(self._attributes)
        if greeting.code == 501:
            # Postfix without IPv6 knows no such address. A client of no address has no rights by it.
            greeting = await self._xclient({**self._attributes, "ADDR": UNAVAILABLE, "DESTADDR": UNAVAILABLE})
        if greeting.code == 554:
            # RFC 5321 §3.1: how a host greets that takes no mail from this client.
            return greeting
        if greeting.code != 220:
            raise RelayBroken(f"XCLIENT answered with {greeting.code}")
        name = self._attributes.get("HELO", "")
        # As nginx does: the next hop knows by EHLO what the client calls itself.
        reply = await hello(connection, self._hop, name if _HELO.fullmatch(name) else self._hop.helo)
        if reply.code == 421:
            raise RelayBroken("EHLO answered with 421")
        return None if reply.code == 250 else reply

    async def _xclient(self, attributes: Mapping[str, str]) -> Reply:
        """Say the commands; says the last reply, or the first that is no greeting."""
        connection = self._connection
        connection.is_another = True
        greeting = Reply(code=501, enhanced=None, text="it offers XCLIENT and no attribute that can be said")
        for line in xclient_commands(connection.extensions["XCLIENT"], attributes):
            greeting = await connection.ask(line, self._hop.command_timeout_s)
            if greeting.code != 220:
                break
        return greeting

    def _may_require_tls(self) -> bool:
        """Whether REQUIRETLS can be handed on: over verified TLS, to who offers it (RFC 8689 §4.2.1). Where the way
        does not leave this machine and no TLS is configured, the next hop is the one to answer."""
        connection = self._connection
        if self._hop.tls == "none" and Address.parse(self._hop.address).is_local:
            return True
        return connection.is_verified and "REQUIRETLS" in connection.extensions

    # --- the message ------------------------------------------------------------------------------------------------

    async def _data(self, raw: bytes, limit_s: float) -> tuple[Reply, ...]:
        connection, wire = self._connection, self._connection.wire
        # RFC 2033 §4.2: one reply for each recipient that was accepted. SMTP has one for all of them.
        everybody = max(1, len(self._accepted))
        count = everybody if self._hop.protocol == "lmtp" else 1
        wire.owed = count
        said: list[Reply] = []
        is_after_dot = False
        try:
            async with asyncio.timeout(limit_s):
                refusal = await self._content(raw)
                if refusal is not None:
                    return (refusal,) * everybody
                is_after_dot = True
                while len(said) < count:
                    reply = await wire.reply()
                    if 300 <= reply.code < 400:
                        raise RelayBroken(f"the message was answered with {reply.code}")
                    said.append(reply)
        except TimeoutError:
            text = f"the message was not answered within {limit_s:g} s"
            raise RelayBroken(text, is_after_dot=is_after_dot, replies=tuple(said)) from None
        except RelayBroken as err:
            raise RelayBroken(str(err), is_after_dot=is_after_dot, replies=tuple(said)) from err
        self._is_open = False
        connection.is_fresh = False
        connection.refusals = 0 if any(reply.is_positive for reply in said) else connection.refusals + 1
        return tuple(said) if count == everybody else tuple(said) * everybody

    async def _content(self, raw: bytes) -> Reply | None:
        """Send DATA, the message and its end; says the refusal that came before the end."""
        wire = self._connection.wire
        reply = await self._connection.ask(b"DATA", self._hop.command_timeout_s)
        if reply.code != 354:
            if reply.is_positive:
                raise RelayBroken(f"DATA answered with {reply.code}")
            return reply
        reach("relay.data")
        wire.write(dot_stuff(raw))
        await wire.flushed()
        if wire.has_reply:
            return await self._early_refusal()
        reach("smtp.relaying")
        # The last line needs its CRLF (RFC 5321 §4.1.1.4); canonical mail from a door always has it.
        wire.write(b".\r\n" if not raw or raw.endswith(b"\r\n") else b"\r\n.\r\n")
        return None

    async def _early_refusal(self) -> Reply:
        """The next hop answered before the end; only a refusal makes sense, and the message stays unfinished."""
        reply = await self._connection.wire.reply()
        self._connection.wire.abort()
        if reply.is_positive:
            raise RelayBroken(f"{reply.code} before the end of the message")
        return reply
