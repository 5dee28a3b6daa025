"""A next hop that does as it is told: SMTP or LMTP, STARTTLS, XCLIENT, and any misbehaviour.  RFC 5321, 2033, 3207.

The sink (filterd/clients/sink) is the plain one; this is for what a sink has no use for. It shares no code with it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Misbehave = Callable[["Talk"], Awaitable[None]]


@dataclass(frozen=True)
class Taken:
    """One copy for one recipient. `who`: what XCLIENT has said, by name, and `helo` the last EHLO."""

    mail: bytes
    rcpt: bytes
    raw: bytes
    who: Mapping[bytes, bytes]
    helo: bytes
    is_tls: bool


@dataclass
class Hop:
    """A running next hop.

    Args:
        is_lmtp: LHLO, and one reply a recipient behind the dot.
        context: for STARTTLS; None: not offered.
        extra: what is said in clear text in one breath with the 220 to STARTTLS.
        xclient: what EHLO offers to take by XCLIENT; None: nothing.
        tls_extensions: offered inside TLS only.
        replies: verb to the reply in place of the usual one, without CRLF.
        dots: recipient to its reply behind the dot; in SMTP the one of b"" is everybody's.
        misbehave: verb, or b"." behind the dot, or b"" for the greeting, to what is done in place of a reply.
    """

    is_lmtp: bool = False
    context: ssl.SSLContext | None = None
    extra: bytes = b""
    xclient: str | None = None
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES")
    tls_extensions: tuple[str, ...] = ()
    replies: dict[bytes, str] = field(default_factory=dict)
    dots: dict[bytes, str] = field(default_factory=dict)
    misbehave: dict[bytes, Misbehave] = field(default_factory=dict)
    heard: list[bytes] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    address: str = ""

    def verbs(self) -> list[bytes]:
        return [line.split(b" ", 1)[0] for line in self.heard]


class Talk:
    """One connection."""

    def __init__(self, hop: Hop, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hop, self.reader, self.writer = hop, reader, writer
        self.is_tls = False
        self.who: dict[bytes, bytes] = {}
        self.helo = b""
        self._forget()

    def say(self, *lines: str | bytes) -> None:
        for line in lines:
            self.writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")

    async def run(self) -> None:
        try:
            if not await self._instead(b""):
                self.say("220 hop.example ready")
            while not self.writer.is_closing() and (line := await self.reader.readline()):
                self.hop.heard.append(line.removesuffix(b"\r\n"))
                await self._command(*line.removesuffix(b"\r\n").partition(b" ")[::2])
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            self.writer.close()

    def _forget(self) -> None:
        self.mail = b""
        self.rcpts: list[bytes] = []

    async def _instead(self, verb: bytes) -> bool:
        misbehave = self.hop.misbehave.get(verb)
        if misbehave is not None:
            await misbehave(self)
        elif verb in self.hop.replies:
            self.say(self.hop.replies[verb])
        else:
            return False
        return True

    async def _command(self, verb: bytes, argument: bytes) -> None:
        if await self._instead(verb):
            return
        match verb:
            case b"EHLO" | b"LHLO" if (verb == b"LHLO") is self.hop.is_lmtp:
                self._forget()
                self.helo = argument
                self._offer()
            case b"STARTTLS" if self.hop.context is not None and not self.is_tls:
                self.writer.write(b"220 2.0.0 Go ahead\r\n" + self.hop.extra)
                await self.writer.start_tls(self.hop.context)
                self.is_tls = True
                self._forget()
            case b"XCLIENT" if self.hop.xclient is not None:
                self.who |= {name: value for name, _, value in (pair.partition(b"=") for pair in argument.split())}
                self._forget()
                self.helo = b""
                self.say("220 hop.example again")
            case b"XFORWARD" | b"NOOP":
                self.say("250 2.0.0 Ok")
            case b"RSET":
                self._forget()
                self.say("250 2.0.0 Ok")
            case b"MAIL" if self.helo and not self.mail:
                self.mail = argument
                self.say("250 2.1.0 Ok")
            case b"RCPT" if self.mail:
                self.rcpts.append(argument.partition(b"<")[2].partition(b">")[0])
                self.say("250 2.1.5 Ok")
            case b"DATA" if self.rcpts:
                self.say("354 Go ahead")
                await self._message()
            case b"QUIT":
                self.say("221 2.0.0 Bye")
                self.writer.close()
            case _:
                self.say("503 5.5.1 Not now")

    def _offer(self) -> None:
        rows = ["hop.example", *self.hop.extensions]
        if self.hop.context is not None and not self.is_tls:
            rows.append("STARTTLS")
        if self.is_tls:
            rows += self.hop.tls_extensions
        if self.hop.xclient is not None:
            rows.append(f"XCLIENT {self.hop.xclient}")
        self.say(*(f"250-{row}" for row in rows[:-1]), f"250 {rows[-1]}")

    async def _message(self) -> None:
        raw = b""
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                return
            raw += line.removeprefix(b".")
        mail, rcpts = self.mail, self.rcpts
        self._forget()
        if await self._instead(b"."):
            return
        everybody = self.hop.dots.get(b"", "250 2.0.0 Ok")
        said = [self.hop.dots.get(rcpt, everybody) if self.hop.is_lmtp else everybody for rcpt in rcpts]
        for rcpt, reply in zip(rcpts, said, strict=True):
            if reply.startswith("2"):
                self.hop.taken.append(Taken(mail, rcpt, raw, dict(self.who), self.helo, self.is_tls))
        self.say(*(said if self.hop.is_lmtp else said[:1]))


@asynccontextmanager
async def running(hop: Hop) -> AsyncIterator[Hop]:
    """Run it on a port of loopback."""
    talks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hop.connections += 1
        talks.add(asyncio.create_task(Talk(hop, reader, writer).run()))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1 << 20)
    hop.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield hop
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


# --- ways to misbehave ------------------------------------------------------------------------------------------------


def says(octets: bytes) -> Misbehave:
    """Say just this, whatever it is, and go on."""

    async def misbehave(talk: Talk) -> None:
        talk.writer.write(octets)

    return misbehave


def repeats(octets: bytes) -> Misbehave:
    """Say this without end, until the other side is gone."""

    async def misbehave(talk: Talk) -> None:
        while True:
            talk.writer.write(octets)
            await talk.writer.drain()

    return misbehave


async def hangs_up(talk: Talk) -> None:
    """Close without a word."""
    talk.writer.close()


async def is_silent(talk: Talk) -> None:
    """Say nothing for ever."""
    await asyncio.Event().wait()
