"""The next hop: a pool of kept-alive SMTP or LMTP connections (RFC 5321 §4.1, §4.5.3.2). Fulfils ports.Relay.

A connection is leased for one transaction and used again, last one first, so that the pool shrinks to what the load
needs; one that has idled for `idle_s`, has been refused too often, or has said anything unasked is closed instead.
"""

from __future__ import annotations

import asyncio

from filterd.clients.relay_connection import Address, Connection, NextHopSettings, connect
from filterd.clients.relay_session import NextHopSession
from filterd.clients.relay_tls import HopTls
from filterd.clients.relay_wire import RelayBroken
from filterd.clients.relay_words import TakenWords
from filterd.errors import PortError

# Postfix sleeps from the 10th error of a session on (smtpd_soft_error_limit) and hangs up at the 20th.
MAX_REFUSALS = 8
# How long a RSET in the background may take before the connection is dropped.
RESET_TIMEOUT_S = 5.0


class NextHopRelay:
    """Connections to one next hop.

    Args:
        hop: `[next_hop]`; its address must not be `sink`, which `app` replaces by the address of a running sink.
    Raises ConfigError for an address or a certificate that cannot be read.
    """

    def __init__(self, hop: NextHopSettings) -> None:
        self._hop = hop
        self._address = Address.parse(hop.address)
        self._tls = HopTls(hop, self._address.host) if hop.tls != "none" else None
        self._words = TakenWords()
        self._slots = asyncio.Semaphore(hop.max_connections)
        self._idle: list[Connection] = []
        self._resets: set[asyncio.Task[None]] = set()
        self._reaper: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def name(self) -> str:
        """How replies name the next hop: `smtp:[127.0.0.1]:10026`."""
        return f"{self._hop.protocol}:{self._address}"

    @property
    def answers_each(self) -> bool:
        return self._hop.protocol == "lmtp"

    async def lease(self) -> NextHopSession:
        """Get a connection, waiting at most `connect_timeout_s` for one of the pool, and then for `connect`."""
        if self._is_closed:
            raise PortError("the relay is closed")
        started_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._hop.connect_timeout_s):
                await self._slots.acquire()
        except TimeoutError:
            text = f"all {self._hop.max_connections} connections to the next hop are in use"
            raise PortError(text, temporary=True) from None
        try:
            connection = self._take_idle() or await connect(self._hop, self._tls)
        except BaseException:
            self._slots.release()
            raise
        return NextHopSession(
            connection,
            self._hop,
            started_at=started_at,
            renew=self._renew,
            give_back=self._give_back,
            words=self._words,
        )

    async def close(self) -> None:
        """Part from the next hop. Leases still out drop their connection when they come back."""
        self._is_closed = True
        if self._reaper is not None:
            self._reaper.cancel()
        while self._idle:
            self._idle.pop().quit()
        await asyncio.gather(*self._resets, return_exceptions=True)

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.wire.is_quiet:
                return connection
            connection.wire.abort()
        return None

    async def _renew(self) -> Connection:
        """A fresh connection in the slot of a dead one; the others that idle are as old, so they go too."""
        while self._idle:
            self._idle.pop().wire.abort()
        return await connect(self._hop, self._tls)

    def _give_back(self, connection: Connection, is_open: bool) -> None:
        is_worn = connection.is_spent or connection.refusals >= MAX_REFUSALS
        if not connection.wire.is_quiet or self._is_closed or is_worn:
            # With a transaction open, dropping is as good as RSET: without a dot there is no mail.
            connection.quit()
            self._slots.release()
        elif is_open:
            task = asyncio.get_running_loop().create_task(self._reset(connection))
            self._resets.add(task)
            task.add_done_callback(self._resets.discard)
        else:
            self._keep(connection)
            self._slots.release()

    async def _reset(self, connection: Connection) -> None:
        """RSET in the background, so that the client behind the door need not wait for it."""
        try:
            reply = await connection.ask(b"RSET", RESET_TIMEOUT_S)
        except RelayBroken:
            connection.wire.abort()
        else:
            if reply.code == 250 and not self._is_closed:
                self._keep(connection)
            else:
                connection.quit()
        finally:
            self._slots.release()

    def _keep(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.is_fresh = False
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._reaper is None:
            self._reaper = loop.call_later(self._hop.idle_s, self._reap)

    def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        old = [c for c in self._idle if loop.time() - c.idle_since >= self._hop.idle_s - 0.001]
        for connection in old:
            self._idle.remove(connection)
            connection.quit()
        self._reaper = None
        if self._idle:
            wait_s = self._idle[0].idle_since + self._hop.idle_s - loop.time()
            self._reaper = loop.call_later(max(wait_s, 0.001), self._reap)
