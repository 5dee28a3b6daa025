"""A port behind a load balancer: the PROXY header first, then the protocol that the port speaks (HAProxy).

The client that the header names is the peer from then on: for the log, SPF and `trusted_peers`. One that the balancer
does not name is trusted by nobody. A connection from elsewhere than the balancers, or without the header, is closed
without a word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from filterd.doors.proxy_wire import Proxied, parse
from filterd.doors.serving import OnError, Open
from filterd.doors.smtp_client import Client, Peers, new_session_id
from filterd.errors import PeerError

# The balancer sends it with its first packet.
WAIT_S = 10.0

ClientOf = Callable[[], Client]


class Announced(asyncio.Protocol):
    """Waits for the header, then hands the connection over.

    Args:
        balancers: who may send it.
        clients: says who a client is and whether we trust it.
        make: gives the protocol for a client, which `connection_made` is then called of.
    """

    def __init__(
        self,
        opened: Open,
        balancers: Peers,
        clients: Peers,
        make: Callable[[ClientOf], asyncio.BaseProtocol],
        report: OnError,
        *,
        wait_s: float = WAIT_S,
    ) -> None:
        self._open, self._balancers, self._clients = opened, balancers, clients
        self._make, self._report, self._wait_s = make, report, wait_s
        self._held = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = self._balancers.client(transport.get_extra_info("peername"))
        if not peer.is_trusted:
            self._refuse(PeerError(f"connection from {peer.address}, which is not in proxy_protocol"))
            return
        self._open.add(self)
        self._timer = asyncio.get_running_loop().call_later(self._wait_s, self.end_now)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._held += data
        try:
            found = parse(self._held)
        except PeerError as err:
            self._refuse(err)
            return
        if found is not None:
            self._hand_over(transport, found)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()

    def wind_down(self) -> None:
        self.end_now()

    def end_now(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _hand_over(self, transport: asyncio.Transport, found: Proxied) -> None:
        self._forget()
        peername = transport.get_extra_info("peername")

        def client() -> Client:
            if found.address is not None:
                return self._clients.client((found.address, found.port))
            return replace(self._clients.client(peername), is_trusted=False)

        protocol = self._make(client)
        rest, self._held = self._held[found.size_bytes :], b""
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if rest:
            cast(asyncio.Protocol, protocol).data_received(rest)

    def _refuse(self, why: PeerError) -> None:
        self._report(new_session_id(), why)
        self.end_now()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._open.discard(self)
