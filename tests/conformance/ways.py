"""Every way a message can come in over a socket, and a next hop as lenient as the worst.  MAIL-PATH 4a, 4c, 4d."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.dialogs.client import Dialog
from tests.dialogs.house import House, open_house
from tests.dialogs.tls import client_context, write_certificate

BALANCED = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n"


@dataclass(frozen=True, kw_only=True)
class Way:
    """One wiring of the SMTP door.

    Args:
        listener: its keys on top of the defaults.
        hello: the verb that begins a session.
        before: octets before the greeting.
        is_grouped: the client writes XFORWARD and its whole envelope at once, as Postfix does behind its queue.
    """

    name: str
    listener: dict[str, Any] = field(default_factory=dict)
    hello: str = "EHLO"
    before: bytes = b""
    is_grouped: bool = False
    is_tls: bool = False

    @asynccontextmanager
    async def open(self, folder: Path, **parts: Any) -> AsyncIterator[House]:
        """Open a house whose front is wired in this way; arguments as for `open_house`."""
        keys = self.listener | parts.pop("listener", {})
        if self.is_tls:
            chain, secret = write_certificate(folder)
            keys |= {"tls_certificate": str(chain), "tls_key": str(secret), "tls_required": True}
        async with open_house(listener=keys, **parts) as house:
            yield house

    async def ready(self, talk: Dialog, sender: str, *rcpts: str) -> None:
        """Bring a new connection to the 354."""
        await talk.send(self.before)
        await talk.greeted(f"{self.hello} client.example")
        if self.is_tls:
            await talk.start_tls(client_context())
            await talk.ask(f"{self.hello} client.example")
        group = [f"MAIL FROM:{sender}", *(f"RCPT TO:{rcpt}" for rcpt in rcpts), "DATA"]
        if self.is_grouped:
            group.insert(0, "XFORWARD NAME=mail.example ADDR=192.0.2.7 PROTO=ESMTP HELO=client.example")
            await talk.send("".join(f"{line}\r\n" for line in group).encode())
            said = [(await talk.reply())[:3] for _ in group]
        else:
            said = [(await talk.ask(line))[:3] for line in group]
        assert said == [*["250"] * (len(group) - 1), "354"], said


WAYS = (
    Way(name="before the queue"),
    Way(name="after the queue", is_grouped=True),
    Way(name="lmtp", listener={"protocol": "lmtp"}, hello="LHLO"),
    Way(name="behind a balancer", listener={"proxy_protocol": ("127.0.0.0/8",)}, before=BALANCED),
    Way(name="starttls", is_tls=True),
)


@dataclass
class LenientHop:
    """A next hop that believes in one more end of data than the standard has.

    Args:
        end: octets that end a message for it, beside CRLF.CRLF.
        messages: what it makes of what it is sent: envelope lines, content as it came over the wire.
    """

    end: bytes
    port: int = 0
    messages: list[tuple[tuple[bytes, ...], bytes]] = field(default_factory=list)
    _open: dict[asyncio.StreamWriter, asyncio.Event] = field(default_factory=dict)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[LenientHop]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer, is_over in self._open.items():
                writer.close()
                await is_over.wait()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_over = self._open[writer] = asyncio.Event()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._converse(reader, writer)
        writer.close()
        is_over.set()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hop.example ESMTP\r\n")
        envelope: list[bytes] = []
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                writer.write(b"354 Go on\r\n")
                self.messages.append((tuple(envelope), await self._content(reader)))
                envelope.clear()
            elif verb in (b"MAIL", b"RCPT"):
                envelope.append(line.strip())
            writer.write(b"250 2.0.0 Ok\r\n" if verb != b"QUIT" else b"221 2.0.0 Bye\r\n")

    async def _content(self, reader: asyncio.StreamReader) -> bytes:
        held = b"\r\n"
        while not held.endswith((b"\r\n.\r\n", self.end)):
            held += await reader.readexactly(1)
        return held[2:]
