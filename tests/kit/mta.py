"""The MTA's side of the milter protocol, for tests: sends commands as Postfix and Sendmail do, reads the replies.

Written from the protocol alone; it shares no code with filterd/doors/milter_wire.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

# What Postfix 3.7 offers at version 6: all actions and all steps but those that came later.
ALL_ACTIONS, ALL_STEPS = 0x1FF, 0x1FFFFF
PATIENCE_S = 60.0
# Replies that end the MTA's waiting; the others are edits and signs of life.
_FINAL = b"acdrtys4f"
# Which SMFIP_NR_* keeps the MTA from waiting.
_NO_REPLY = {b"C": 0x1000, b"H": 0x2000, b"M": 0x4000, b"R": 0x8000, b"T": 0x10000, b"U": 0x20000}
_NO_REPLY |= {b"L": 0x80, b"N": 0x40000, b"B": 0x80000}
_NOT_SENT = {b"C": 0x1, b"H": 0x2, b"M": 0x4, b"R": 0x8, b"B": 0x10, b"L": 0x20, b"N": 0x40, b"U": 0x100, b"T": 0x200}


class MilterClosed(Exception):
    """The filter has hung up."""


@dataclass
class Mta:
    """One connection to a filter.

    Args:
        version, actions, steps: what is offered.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    version: int = 6
    actions: int = ALL_ACTIONS
    steps: int = ALL_STEPS
    agreed_version: int = 0
    agreed_actions: int = 0
    agreed_steps: int = 0
    wanted_macros: dict[int, str] = field(default_factory=dict)
    progress: int = 0

    async def negotiate(self) -> None:
        await self.send(b"O", struct.pack(">III", self.version, self.actions, self.steps))
        letter, data = await self.read()
        assert letter == b"O", letter
        self.agreed_version, self.agreed_actions, self.agreed_steps = struct.unpack_from(">III", data)
        rest = data[12:]
        while rest:
            stage = int.from_bytes(rest[:4], "big")
            names, _, rest = rest[4:].partition(b"\0")
            self.wanted_macros[stage] = names.decode()

    async def connect(self, name: str = "client.example", address: str = "192.0.2.7", port: int = 40_000) -> bytes:
        family = b"6" if ":" in address else b"4"
        return await self.ask(b"C", _z(name) + family + struct.pack(">H", port) + _z(address))

    async def helo(self, name: str = "client.example") -> bytes:
        return await self.ask(b"H", _z(name))

    async def mail(self, *arguments: bytes, macros: Sequence[tuple[str, str]] = ()) -> bytes:
        if macros:
            await self.macros(b"M", macros)
        return await self.ask(b"M", b"".join(item + b"\0" for item in arguments))

    async def rcpt(self, *arguments: bytes, macros: Sequence[tuple[str, str]] = ()) -> bytes:
        if macros:
            await self.macros(b"R", macros)
        return await self.ask(b"R", b"".join(item + b"\0" for item in arguments))

    async def message(self, raw: bytes, *, queue_id: str = "4XyZ", chunk: int = 65_535) -> list[tuple[bytes, bytes]]:
        """Send a mail from DATA to its end; says the edits and, last, the answer."""
        final = await self.content(raw, chunk=chunk)
        if final is not None:
            return [final]
        await self.macros(b"E", [("i", queue_id)])
        return await self.end()

    async def content(self, raw: bytes, *, chunk: int = 65_535) -> tuple[bytes, bytes] | None:
        """Send header and body; says an answer other than continue, if there is one."""
        header, _, body = raw.partition(b"\r\n\r\n")
        steps = [(b"T", b"")] if self.agreed_version > 3 else []
        for line in _unfolded(header):
            name, _, value = line.partition(b":")
            if not self.agreed_steps & 0x100000:
                value = value.removeprefix(b" ")
            steps.append((b"L", name + b"\0" + value.replace(b"\r\n", b"\n") + b"\0"))
        steps.append((b"N", b""))
        steps += [(b"B", body[i : i + chunk]) for i in range(0, len(body), chunk)]
        for letter, data in steps:
            answer = await self.ask(letter, data)
            if answer[:1] == b"s":
                break
            if answer[:1] not in (b"", b"c"):
                return answer[:1], answer[1:]
        return None

    async def end(self) -> list[tuple[bytes, bytes]]:
        await self.send(b"E", b"")
        said = []
        while True:
            letter, data = await self.read()
            if letter == b"p":
                self.progress += 1
                continue
            said.append((letter, data))
            if letter in _FINAL:
                return said

    async def ask(self, letter: bytes, data: bytes) -> bytes:
        """Send a command; says the answer, empty where none was agreed on."""
        if self.agreed_steps & _NOT_SENT.get(letter, 0):
            return b""
        await self.send(letter, data)
        if self.agreed_steps & _NO_REPLY.get(letter, 0):
            return b""
        got, rest = await self.read()
        return got + rest

    async def macros(self, stage: bytes, values: Sequence[tuple[str, str]]) -> None:
        await self.send(b"D", stage + b"".join(_z(name) + _z(value) for name, value in values))

    async def send(self, letter: bytes, data: bytes = b"") -> None:
        self.writer.write(struct.pack(">I", len(data) + 1) + letter + data)
        await self.writer.drain()

    async def read(self) -> tuple[bytes, bytes]:
        try:
            async with asyncio.timeout(PATIENCE_S):
                length = int.from_bytes(await self.reader.readexactly(4), "big")
                packet = await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise MilterClosed from None
        return packet[:1], packet[1:]

    async def is_closed(self) -> bool:
        """Wait for the filter to hang up, and say whether it said nothing before."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.writer.close()


async def connect(port: int, *, version: int = 6, actions: int = ALL_ACTIONS, steps: int = ALL_STEPS) -> Mta:
    """Connect to a filter on loopback and negotiate."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    mta = Mta(reader, writer, version, actions, steps)
    await mta.negotiate()
    return mta


def apply(raw: bytes, said: Sequence[tuple[bytes, bytes]], *, has_leading_space: bool = True) -> bytes:
    """Edit a mail as Postfix does with what a filter said before its last word."""
    header, _, body = raw.partition(b"\r\n\r\n")
    lines = _unfolded(header)
    for letter, data in said[:-1]:
        index = int.from_bytes(data[:4], "big")
        name, value = data[4:].removesuffix(b"\0").split(b"\0", 1)
        if letter == b"i":
            blank = b"" if has_leading_space else b" "
            lines.insert(min(index, len(lines)), name + b":" + blank + value.replace(b"\n", b"\r\n"))
        elif letter == b"m":
            assert value == b"", "only removals are expected"
            named = [i for i, line in enumerate(lines) if line.partition(b":")[0].lower() == name.lower()]
            if index <= len(named):
                del lines[named[index - 1]]
        else:
            raise AssertionError(f"an edit nobody expects: {letter!r}")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _unfolded(header: bytes) -> list[bytes]:
    """Part a header into fields, folds left inside."""
    lines: list[bytes] = []
    for line in header.split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and lines:
            lines[-1] += b"\r\n" + line
        else:
            lines.append(line)
    return lines


def _z(text: str) -> bytes:
    return text.encode() + b"\0"
