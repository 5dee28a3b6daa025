"""A small SMTP client for the demonstration: what a mail server in front of filterd would say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from filterd.mail.lines import dot_stuff


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The stranger a mail server speaks for, told by XFORWARD."""

    address: str
    helo: str


class Post:
    """One connection to the proxy.

    `login` is shown by XCLIENT, as a mail server that authenticated the user would. A program of today asks for
    SMTPUTF8 (RFC 6531), and so can be answered in Chinese.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int, login: str | None = None, client: Client | None = None) -> Post:
        post = cls(*await asyncio.open_connection("127.0.0.1", port))
        await post._reply()
        await post.say(b"EHLO mx.provider.example")
        if login is not None:
            await post.say(b"XCLIENT ADDR=192.0.2.7 LOGIN=" + login.encode().replace(b"@", b"+40"))
            await post.say(b"EHLO mx.provider.example")
        if client is not None:
            await post.say(f"XFORWARD NAME={client.helo} ADDR={client.address} PROTO=ESMTP HELO={client.helo}".encode())
        return post

    async def say(self, line: bytes) -> str:
        """Say one command; gives the whole reply."""
        self._writer.write(line + b"\r\n")
        await self._writer.drain()
        return await self._reply()

    async def send(self, sender: str, recipients: Sequence[str], raw: bytes) -> str:
        """Send one mail; gives the last reply, which is the first refusal if there is one."""
        reply = await self.say(f"MAIL FROM:<{sender}> BODY=8BITMIME SMTPUTF8".encode())
        for recipient in recipients:
            if reply[0] == "2":
                reply = await self.say(f"RCPT TO:<{recipient}>".encode())
        if reply[0] == "2":
            reply = await self.say(b"DATA")
        if reply[0] != "3":
            await self.say(b"RSET")
            return reply
        self._writer.write(dot_stuff(raw) + b".\r\n")
        return await self._reply()

    async def close(self) -> None:
        await self.say(b"QUIT")
        self._writer.close()

    async def _reply(self) -> str:
        lines = []
        while True:
            line = (await self._reader.readline()).decode("utf-8", "replace").rstrip("\r\n")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)
