"""A loopback SMTP server that takes all mail and keeps the last of it: next hop of demonstrations and tests.

Not for the Internet: it checks no address and knows no limits but the number of kept messages. It reads DATA as
strictly as the door (only CRLF.CRLF ends it), so what it holds is what was sent, octet for octet.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from filterd.clients.sink_wire import SinkConnection, SinkScript


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkMessage:
    """One mail as it arrived. `mail` and `rcpts` are the arguments of the commands verbatim (`FROM:<a@b> SIZE=9`)."""

    number: int
    mail: bytes
    rcpts: tuple[bytes, ...]
    raw: bytes
    xforward: tuple[bytes, ...] = ()


class Sink:
    """A running sink. `script` may be changed at any time; `commands` are the last command lines of all connections.

    `counts`: "messages", "refused", "connections", and how often each phase was reached.
    """

    def __init__(self, *, keep: int, directory: Path | None, script: SinkScript) -> None:
        self.script = script
        self.messages: deque[SinkMessage] = deque(maxlen=keep)
        self.counts: Counter[str] = Counter()
        self.commands: deque[bytes] = deque(maxlen=10_000)
        self.connections: set[SinkConnection] = set()
        self._directory = directory
        self._server: asyncio.AbstractServer | None = None

    @property
    def address(self) -> str:
        """`host:port`, as the configuration of a next hop wants it."""
        server = cast(asyncio.Server, self._server)
        host, port = server.sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SinkConnection(self), host, port, backlog=1024)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Close every connection without a word, as a restart of the next hop does."""
        for connection in list(self.connections):
            connection.drop()

    def opened(self, connection: SinkConnection) -> None:
        self.connections.add(connection)
        self.counts["connections"] += 1

    def closed(self, connection: SinkConnection) -> None:
        self.connections.discard(connection)

    def saw(self, phase: str) -> None:
        self.counts[phase] += 1

    def heard(self, line: bytes) -> None:
        self.commands.append(line)

    def keep(self, mail: bytes, rcpts: tuple[bytes, ...], raw: bytes, xforward: tuple[bytes, ...]) -> int:
        """Store one mail; says its number, from 1."""
        self.counts["messages"] += 1
        number = self.counts["messages"]
        self.messages.append(SinkMessage(number=number, mail=mail, rcpts=rcpts, raw=raw, xforward=xforward))
        if self._directory is not None:
            (self._directory / f"{number:06d}.eml").write_bytes(raw)
        return number


async def start_sink(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    keep: int = 1000,
    directory: Path | None = None,
    script: SinkScript | None = None,
) -> Sink:
    """Start a sink; port 0 lets the system choose one.

    Args:
        keep: how many messages stay in memory.
        directory: an existing folder that gets each mail as `000001.eml`, exactly as it arrived; None: none.
    """
    sink = Sink(keep=keep, directory=directory, script=script or SinkScript())
    await sink.start(host, port)
    return sink
