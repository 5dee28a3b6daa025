"""The next hop of the campaign: a program that writes every mail down, on disk, before it says 250.

    python -m tests.chaos.sink PORT FILE WEATHER

FILE gets one JSON line a transaction: when the dot came, what was answered, by whom and to whom, which ids it bears,
its header, the digest of its body, and which mails of the campaign it carries. WEATHER is a JSON file, looked at for
every message: `slow_s` before the answer, and how often (0 to 1) the connection is dropped after the dot, with the mail
kept (`drop`) or not (`cut`; a next hop may do either), or the dot is answered with 451 (`refuse`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

_WORDS = ("PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
_FIELDS = (b"message-id", b"x-filterd-id")
_CARRIED = re.compile(rb"<([^<>@\s]+)@campaign\.example>")


class Sink:
    """One sink; `serve` never ends."""

    def __init__(self, file: Path, weather: Path):
        self._fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._weather_file = weather
        self._weather: dict[str, float] = {}
        self._mark = 0
        self._dice = random.Random(4)

    def weather(self) -> dict[str, float]:
        """Say how it is now."""
        try:
            mark = self._weather_file.stat().st_mtime_ns
            if mark != self._mark:
                self._weather, self._mark = json.loads(self._weather_file.read_text()), mark
        except FileNotFoundError:
            self._weather = {}
        return self._weather

    def note(self, **facts: Any) -> None:
        """Write one line, on disk."""
        os.write(self._fd, json.dumps(facts).encode() + b"\n")
        os.fdatasync(self._fd)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender = ""
        recipients: list[str] = []
        writer.write(b"220 sink.example ESMTP\r\n")
        while line := await reader.readline():
            verb = line.split(b" ")[0].strip().upper()
            match verb:
                case b"EHLO":
                    said = "".join(f"250-{word}\r\n" for word in _WORDS)
                    writer.write(b"250-sink.example\r\n" + said.encode() + b"250 HELP\r\n")
                case b"MAIL":
                    sender, recipients = _path(line), []
                    writer.write(b"250 2.1.0 Ok\r\n")
                case b"RCPT":
                    recipients.append(_path(line))
                    writer.write(b"250 2.1.5 Ok\r\n")
                case b"DATA":
                    writer.write(b"354 Go on\r\n")
                    raw = await _data(reader)
                    if not await self._answer(writer, sender, recipients, raw):
                        return
                case b"QUIT":
                    writer.write(b"221 2.0.0 Bye\r\n")
                    return
                case _:
                    writer.write(b"250 2.0.0 Ok\r\n")

    async def _answer(self, writer: asyncio.StreamWriter, sender: str, recipients: list[str], raw: bytes) -> bool:
        """Write the message down and answer its dot; False to hang up instead."""
        came_at, weather = time.time(), self.weather()
        if slow_s := weather.get("slow_s", 0.0):
            await asyncio.sleep(slow_s * self._dice.random())
        chance = self._dice.random()
        answer = "250"
        for name, said in (("drop", "dropped"), ("cut", "cut"), ("refuse", "451")):
            chance -= weather.get(name, 0.0)
            if chance < 0:
                answer = said
                break
        head, _, body = raw.partition(b"\r\n\r\n")
        found = _fields(head)
        self.note(
            came_at=came_at,
            answered_at=time.time(),
            answer=answer,
            sender=sender,
            recipients=recipients,
            message_id=found.get(b"message-id", ""),
            trace=found.get(b"x-filterd-id", ""),
            body=hashlib.sha256(body).hexdigest(),
            head=head[:4096].decode("ascii", "replace"),
            about=sorted({ident.decode("ascii", "replace") for ident in _CARRIED.findall(body)}),
        )
        match answer:
            case "250":
                writer.write(b"250 2.0.0 Ok\r\n")
            case "451":
                writer.write(b"451 4.3.0 Later\r\n")
            case _:
                return False
        return True


async def _data(reader: asyncio.StreamReader) -> bytes:
    """Read up to the line that is a single dot (RFC 5321 §4.5.2). Raises IncompleteReadError when it never comes."""
    lines: list[bytes] = []
    while True:
        line = await reader.readuntil(b"\r\n")
        if line == b".\r\n":
            return b"".join(lines)
        lines.append(line[1:] if line.startswith(b".") else line)


def _path(line: bytes) -> str:
    return line.partition(b"<")[2].partition(b">")[0].decode("ascii", "replace")


def _fields(head: bytes) -> dict[bytes, str]:
    """Say the fields that name a message; of several the first, marked when there is another."""
    found: dict[bytes, str] = {}
    for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        if (key := name.strip().lower()) in _FIELDS:
            found[key] = "twice" if key in found else value.strip().decode("ascii", "replace")
    return found


async def _serve(port: int, file: Path, weather: Path) -> None:
    sink = Sink(file, weather)
    server = await asyncio.start_server(sink.talk, "127.0.0.1", port, limit=1 << 20, backlog=200)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
