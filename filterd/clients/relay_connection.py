"""Getting a connection to the next hop that has said EHLO (RFC 5321 §4.1.1.1), and what is known about it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from filterd.clients.relay_wire import RelayBroken, RelayWire
from filterd.errors import ConfigError
from filterd.model.reply import Reply


class NextHopSettings(Protocol):
    """The keys of `[next_hop]` that this client reads; what they mean stands in the configuration."""

    @property
    def address(self) -> str: ...
    @property
    def helo(self) -> str: ...
    @property
    def max_connections(self) -> int: ...
    @property
    def connect_timeout_s(self) -> float: ...
    @property
    def command_timeout_s(self) -> float: ...
    @property
    def data_timeout_s(self) -> float: ...
    @property
    def idle_s(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to connect: `host` with `port`, or a UNIX socket `path` when that is not None."""

    host: str = ""
    port: int = 0
    path: str | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `host:port`, `[v6]:port`, `unix:/path`; `inet:` or `smtp:` may stand before it, as in Postfix."""
        if text.startswith("unix:"):
            return cls(path=text.removeprefix("unix:"))
        bare = text.removeprefix("inet:").removeprefix("smtp:")
        host, _, port = bare.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ConfigError(f"{text!r} is neither host:port nor unix:/path", key="next_hop.address")
        return cls(host=host.removeprefix("[").removesuffix("]"), port=int(port))

    def __str__(self) -> str:
        """As our replies name it, in the manner of amavis: `smtp:[127.0.0.1]:10026`."""
        return f"smtp:[unix:{self.path}]" if self.path is not None else f"smtp:[{self.host}]:{self.port}"


@dataclass(slots=True, kw_only=True)
class Connection:
    """A connection that has said EHLO.

    `is_fresh` until the first transaction on it has ended. `refusals` counts negative replies since the last mail the
    next hop took: Postfix slows a session down after ten of them and closes it after twenty.
    """

    wire: RelayWire
    extensions: Mapping[str, str]
    is_fresh: bool = True
    refusals: int = 0
    idle_since: float = field(default=0.0)

    async def ask(self, line: bytes, timeout_s: float) -> Reply:
        """Send one command and take its reply. Raises RelayBroken, also when none comes in time."""
        self.wire.write(line + b"\r\n")
        return await self.answer(line.split(b" ", 1)[0].decode("ascii"), timeout_s)

    async def answer(self, verb: str, timeout_s: float) -> Reply:
        """Take the reply to a command sent before; `verb` is for the words of the error."""
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self.wire.reply()
        except TimeoutError:
            raise RelayBroken(f"no reply to {verb} within {timeout_s:g} s") from None
        if reply.code // 100 == 3 and verb != "DATA":
            raise RelayBroken(f"{verb} answered with {reply.code}")
        if not reply.is_positive:
            self.refusals += 1
        return reply

    def quit(self) -> None:
        """Part politely, without waiting for the answer."""
        if self.wire.is_quiet:
            self.wire.write(b"QUIT\r\n")
        self.wire.close()


async def connect(hop: NextHopSettings) -> Connection:
    """Connect, take the greeting, say EHLO (HELO where EHLO is unknown). Raises RelayBroken."""
    address = Address.parse(hop.address)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(hop.connect_timeout_s):
            if address.path is not None:
                _, wire = await loop.create_unix_connection(RelayWire, address.path)
            else:
                _, wire = await loop.create_connection(RelayWire, address.host, address.port)
    except TimeoutError:
        raise RelayBroken(f"{address}: no connection within {hop.connect_timeout_s:g} s") from None
    except OSError as err:
        raise RelayBroken(f"{address}: {err}") from err
    try:
        return await _greet(wire, hop)
    except BaseException:
        wire.abort()
        raise


async def _greet(wire: RelayWire, hop: NextHopSettings) -> Connection:
    connection = Connection(wire=wire, extensions={})
    greeting = await connection.answer("connect", hop.command_timeout_s)
    if greeting.code != 220:
        raise RelayBroken(f"greeted with {greeting.code}")
    helo = hop.helo.encode("ascii")
    reply = await connection.ask(b"EHLO " + helo, hop.command_timeout_s)
    if reply.code == 250:
        connection.extensions = _keywords(reply)
    elif reply.code >= 500:
        reply = await connection.ask(b"HELO " + helo, hop.command_timeout_s)
    if reply.code != 250:
        raise RelayBroken(f"EHLO answered with {reply.code}")
    connection.refusals = 0
    return connection


def _keywords(reply: Reply) -> dict[str, str]:
    rows = [row.partition(" ") for row in reply.text.split("\n")[1:]]
    return {keyword.upper(): arguments for keyword, _, arguments in rows if keyword}
