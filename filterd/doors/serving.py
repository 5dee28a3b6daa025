"""What every door shares: listening sockets, open connections, work in hand, and the end of all that."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from filterd.doors.unix_sockets import bind, is_path, path_of, remove
from filterd.errors import PortError

OnError = Callable[[str, BaseException], None]
# After the grace, how long the last words may take to be written.
LAST_WORDS_S = 1.0


class Connected(Protocol):
    """A connection as draining sees it."""

    def wind_down(self) -> None:
        """Take no new work; end as soon as the work in hand is done."""
        ...

    def end_now(self) -> None:
        """End at once, with a word if there is one; work behind the end of data goes on without us."""
        ...


class Open:
    """The open connections and running tasks of one door."""

    def __init__(self) -> None:
        self.connections: set[Connected] = set()
        self.is_draining = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._changed = asyncio.Event()

    def add(self, connection: Connected) -> None:
        self.connections.add(connection)

    def discard(self, connection: Connected) -> None:
        self.connections.discard(connection)
        self._changed.set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start work that no client can stop by leaving."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._changed.set()

    async def drained(self, grace_s: float) -> int:
        """Let everybody finish; says how many tasks still run when the grace is over."""
        self.is_draining = True
        for connection in list(self.connections):
            connection.wind_down()
        await self._empty_within(grace_s)
        for connection in list(self.connections):
            connection.end_now()
        if self.connections:
            await self._empty_within(LAST_WORDS_S)
        return len(self._tasks)

    async def _empty_within(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                while self.connections or self._tasks:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass


class DoorServer(asyncio.AbstractServer):
    """A running door. Used like asyncio.Server, which under uvloop is another class; `drain` is what it adds."""

    def __init__(
        self, servers: Sequence[asyncio.AbstractServer], opened: Open, *, on_close: Callable[[], None] | None = None
    ) -> None:
        self._servers = tuple(servers)
        self._open = opened
        self._on_close = on_close
        self._is_closed = False

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        found: list[socket.socket] = []
        for server in self._servers:
            found += getattr(server, "sockets", None) or ()
        return tuple(found)

    @property
    def port(self) -> int:
        """The port of the first socket; where it was 0 in the settings, what the system chose. 0 at a UNIX socket."""
        name = self.sockets[0].getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    @property
    def connections(self) -> int:
        return len(self._open.connections)

    async def drain(self, grace_s: float) -> int:
        """Stop accepting, let work in hand finish for `grace_s` seconds, turn everybody else away.

        Says how many messages behind their end of data were still unfinished; nothing stops them but the end of the
        loop, and their clients have had no reply, so they will send them again.
        """
        self.close()
        return await self._open.drained(grace_s)

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for server in self._servers:
            server.close()
        if self._on_close is not None:
            self._on_close()

    async def wait_closed(self) -> None:
        await self._open.drained(0)

    async def start_serving(self) -> None:
        """Nothing to do: a door accepts from the moment it is made."""

    async def serve_forever(self) -> None:
        await asyncio.get_running_loop().create_future()

    def is_serving(self) -> bool:
        return not self._is_closed

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._servers[0].get_loop()


async def listen(
    factory: Callable[[], asyncio.BaseProtocol],
    opened: Open,
    *,
    host: str,
    port: int,
    sockets: Sequence[socket.socket] | None,
    reuse_port: bool,
    mode: int = 0o660,
) -> DoorServer:
    """Listen on `host` and `port`, or on `sockets` that somebody else has bound (and then only on these).

    Args:
        host: an address, or `unix:/path`.
        mode: permissions of a UNIX socket.
    Raises PortError for an address that cannot be had, ConfigError for a UNIX socket that somebody serves already, also
    another worker: two cannot share a path, unless `unix_sockets.hold` opened it for both.
    """
    loop = asyncio.get_running_loop()
    if sockets is None and is_path(host):
        made = bind(path_of(host), mode)
        server = await loop.create_unix_server(factory, sock=made.socket, backlog=1024)
        return DoorServer((server,), opened, on_close=lambda: remove(made))
    if sockets is not None:
        servers = [await _serve(factory, item) for item in sockets]
    else:
        try:
            servers = [await loop.create_server(factory, host, port, reuse_port=reuse_port or None, backlog=1024)]
        except OSError as err:
            # The event loop's own words, around the system's.
            why = os.strerror(err.errno) if err.errno else str(err)
            raise PortError(f"cannot listen on {host}:{port}: {why}", temporary=False) from err
    return DoorServer(servers, opened)


async def _serve(factory: Callable[[], asyncio.BaseProtocol], item: socket.socket) -> asyncio.AbstractServer:
    loop = asyncio.get_running_loop()
    if item.family is socket.AF_UNIX:
        return await loop.create_unix_server(factory, sock=item, backlog=1024)
    return await loop.create_server(factory, sock=item, backlog=1024)
