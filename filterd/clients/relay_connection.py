"""Getting a connection to the next hop that has said EHLO, or LHLO (RFC 5321 §4.1.1.1, RFC 2033 §4.1), over TLS where
that is configured (RFC 3207), and what is known about it."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from filterd.clients.relay_tls import HopTls, TlsSettings
from filterd.clients.relay_wire import HandshakeFailed, RelayBroken, RelayWire
from filterd.errors import ConfigError
from filterd.model.reply import Reply

# A handshake is two round trips. At most half of the time for all of it, so that `may` can still go without.
HANDSHAKE_S = 20.0


class NextHopSettings(TlsSettings, Protocol):
    """The keys of `[next_hop]` that this client reads; what they mean stands in the configuration."""

    @property
    def address(self) -> str: ...
    @property
    def protocol(self) -> Literal["smtp", "lmtp"]: ...
    @property
    def helo(self) -> str: ...
    @property
    def xclient(self) -> bool: ...
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

    @property
    def is_local(self) -> bool:
        """What goes there does not leave this machine."""
        if self.path is not None or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        """As our replies name it behind the protocol, in the manner of amavis: `[127.0.0.1]:10026`."""
        return f"[unix:{self.path}]" if self.path is not None else f"[{self.host}]:{self.port}"


@dataclass(slots=True, kw_only=True)
class Connection:
    """A connection that has said EHLO.

    `is_fresh` until the first transaction on it has ended. `refusals` counts negative replies since the last mail the
    next hop took: Postfix slows a session down after ten of them and closes it after twenty. `is_secured`: TLS;
    `is_verified`: with a certificate of whom the configuration names. `is_another`: it has said XCLIENT, so that the
    next hop takes whatever comes for some client's.
    """

    wire: RelayWire
    extensions: Mapping[str, str]
    is_fresh: bool = True
    refusals: int = 0
    idle_since: float = field(default=0.0)
    is_secured: bool = False
    is_verified: bool = False
    is_another: bool = False

    @property
    def is_spent(self) -> bool:
        """It speaks for one client and may not say another: Postfix offers XCLIENT to whom we are then no more."""
        return self.is_another and "XCLIENT" not in self.extensions

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


async def connect(hop: NextHopSettings, tls: HopTls | None) -> Connection:
    """Connect, take the greeting, say EHLO, go over to TLS. Raises RelayBroken.

    All of it takes at most `command_timeout_s`, so that it and a MAIL fit into what Postfix waits for its proxy.

    Args:
        tls: None: clear text.
    """
    try:
        async with asyncio.timeout(hop.command_timeout_s):
            try:
                return await _connect(hop, tls)
            except HandshakeFailed:
                if tls is None or tls.is_required:
                    raise
                # As Postfix does with `may`: TLS that does not work must not be worse than none.
                return await _connect(hop, None)
    except TimeoutError:
        raise RelayBroken(f"{hop.address}: not ready within {hop.command_timeout_s:g} s") from None


async def hello(connection: Connection, hop: NextHopSettings, name: str) -> Reply:
    """Say EHLO (HELO where EHLO is unknown) or LHLO, and keep what the next hop offers. Raises RelayBroken."""
    octets = name.encode("ascii")
    verb = b"LHLO " if hop.protocol == "lmtp" else b"EHLO "
    connection.extensions = {}
    reply = await connection.ask(verb + octets, hop.command_timeout_s)
    if reply.code == 250:
        connection.extensions = _keywords(reply)
    elif reply.code >= 500 and hop.protocol == "smtp":
        reply = await connection.ask(b"HELO " + octets, hop.command_timeout_s)
    return reply


async def _connect(hop: NextHopSettings, tls: HopTls | None) -> Connection:
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
        return await _greet(wire, hop, tls)
    except BaseException:
        wire.abort()
        raise


async def _greet(wire: RelayWire, hop: NextHopSettings, tls: HopTls | None) -> Connection:
    connection = Connection(wire=wire, extensions={})
    greeting = await connection.answer("connect", hop.command_timeout_s)
    if greeting.code != 220:
        raise RelayBroken(f"greeted with {greeting.code}")
    await _introduce(connection, hop)
    if tls is not None:
        await _secure(connection, hop, tls)
    connection.refusals = 0
    return connection


async def _introduce(connection: Connection, hop: NextHopSettings) -> None:
    reply = await hello(connection, hop, hop.helo)
    if reply.code != 250:
        raise RelayBroken(f"{'LHLO' if hop.protocol == 'lmtp' else 'EHLO'} answered with {reply.code}")


async def _secure(connection: Connection, hop: NextHopSettings, tls: HopTls) -> None:
    said = "not offered"
    if "STARTTLS" in connection.extensions:
        reply = await connection.ask(b"STARTTLS", hop.command_timeout_s)
        said = f"answered with {reply.code}"
        if reply.code == 220:
            limit = min(HANDSHAKE_S, hop.command_timeout_s / 2)
            await connection.wire.start_tls(tls.context(), tls.name, limit)
            connection.is_secured, connection.is_verified = True, tls.is_verified
            # RFC 3207 §4.2: what was said before is forgotten on both sides.
            await _introduce(connection, hop)
            return
    if tls.is_required:
        # Whoever sits on the line can take STARTTLS out of a reply (RFC 3207 §6).
        raise RelayBroken(f"STARTTLS {said}, and next_hop.tls = {hop.tls!r}")


def _keywords(reply: Reply) -> dict[str, str]:
    rows = [row.partition(" ") for row in reply.text.split("\n")[1:]]
    return {keyword.upper(): arguments for keyword, _, arguments in rows if keyword}
