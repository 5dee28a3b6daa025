"""A client that says exactly the octets it is told to, and reads replies."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from types import TracebackType


class Dialog:
    """One connection. `async with Dialog(port) as talk:`; no wait ends by itself, but with the test's time (pytest).

    Args:
        path: a UNIX socket in place of host and port.
    """

    def __init__(self, port: int = 0, *, host: str = "127.0.0.1", path: str | None = None) -> None:
        self._port, self._host, self._path = port, host, path
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> Dialog:
        if self._path is not None:
            self.reader, self.writer = await asyncio.open_unix_connection(self._path, limit=1 << 20)
        else:
            self.reader, self.writer = await asyncio.open_connection(self._host, self._port, limit=1 << 20)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def send(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def line(self) -> str:
        """The next line without CRLF; "" at the end of the connection."""
        return (await self.reader.readline()).decode("utf-8", "replace").removesuffix("\r\n")

    async def reply(self) -> str:
        """The next reply, its lines parted by LF."""
        lines = [await self.line()]
        while lines[-1][3:4] == "-":
            lines.append(await self.line())
        return "\n".join(lines)

    async def ask(self, line: str | bytes) -> str:
        await self.send((line.encode("utf-8") if isinstance(line, str) else line) + b"\r\n")
        return await self.reply()

    async def greeted(self, helo: str = "EHLO client.example") -> str:
        """Take the greeting and say EHLO; says the reply to it."""
        assert (await self.reply()).startswith("220 ")
        return await self.ask(helo)

    async def start_tls(self, context: ssl.SSLContext) -> str:
        """STARTTLS and the handshake; says the reply to the command, and does no handshake when that is a refusal."""
        said = await self.ask("STARTTLS")
        if said.startswith("220 "):
            await self.writer.start_tls(context, server_hostname=self._host)
        return said

    async def envelope(self, sender: str = "<a@example.com>", *rcpts: str) -> list[str]:
        """MAIL and RCPTs; says the replies."""
        replies = [await self.ask(f"MAIL FROM:{sender}")]
        for rcpt in rcpts or ("<b@example.org>",):
            replies.append(await self.ask(f"RCPT TO:{rcpt}"))
        return replies

    async def data(self, octets: bytes) -> str:
        """DATA and a message as it goes over the wire, already stuffed, without the end; says the reply to the dot."""
        assert (await self.ask("DATA")).startswith("354 ")
        await self.send(octets + (b"" if not octets or octets.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        return await self.reply()

    async def ended(self) -> bool:
        """Whether the other side closes without another word."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionResetError:
            return True
