"""The SMTP front door: a before- or after-queue proxy that enforces on the way (Postfix SMTPD_PROXY_README, RFC 5321).

With `protocol = "lmtp"` the same door speaks LMTP (lmtp); with a certificate it offers STARTTLS (smtp_tls).

Reading order: smtp_connection (one client), smtp_verbs (its commands), smtp_transaction (MAIL and RCPT, live at the
next hop), smtp_data (the message), smtp_finish (from the dot to the reply). serving holds what ends them all.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import cast

from filterd.doors import smtp_replies as replies
from filterd.doors.lmtp import LmtpProtocol
from filterd.doors.proxied import Announced, ClientOf
from filterd.doors.serving import DoorServer, OnError, listen
from filterd.doors.smtp_client import Peers
from filterd.doors.smtp_door import SmtpDoor
from filterd.doors.smtp_settings import DEFAULT_BOUNDS, Bounds, ListenerSettings
from filterd.doors.smtp_verbs import SmtpProtocol
from filterd.model.reply import Reply
from filterd.ports import Gate, Relay


async def start_smtp(
    listener: ListenerSettings,
    gate: Gate,
    relay: Relay,
    *,
    on_error: OnError,
    via: str = "next hop",
    bounds: Bounds = DEFAULT_BOUNDS,
    sockets: Sequence[socket.socket] | None = None,
    reuse_port: bool = False,
) -> DoorServer:
    """Open one listener; the result is already accepting. End it with `await server.drain(grace_s)`.

    Raises ConfigError for a certificate that cannot be used and a UNIX socket that somebody else serves.

    Args:
        on_error: called once for each error of ours or of the next hop, with the id of the session.
        via: the next hop in the words of a 250; `NextHopRelay.name`.
        sockets: bound sockets to listen on in place of `bind` and `port`.
        reuse_port: several processes share the port (SO_REUSEPORT).
    """
    door = SmtpDoor(listener, gate, relay, on_error=on_error, bounds=bounds, via=via)
    kind = LmtpProtocol if listener.protocol == "lmtp" else SmtpProtocol

    def accepted(client_of: ClientOf | None = None) -> asyncio.BaseProtocol:
        if door.opened.is_draining:
            return _TurnedAway(replies.SHUTTING_DOWN)
        if len(door.opened.connections) >= listener.max_connections:
            return _TurnedAway(replies.TOO_MANY_CONNECTIONS)
        return kind(door, client_of)

    def announced() -> asyncio.BaseProtocol:
        return Announced(door.opened, balancers, door.peers, accepted, door.report)

    balancers = Peers(listener.proxy_protocol)
    return await listen(
        announced if listener.proxy_protocol else accepted,
        door.opened,
        host=listener.bind,
        port=listener.port,
        sockets=sockets,
        reuse_port=reuse_port,
        mode=int(listener.socket_mode, 8),
    )


class _TurnedAway(asyncio.Protocol):
    """One reply in place of the greeting; costs next to nothing, so a flood costs little (row 23)."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writer = cast(asyncio.WriteTransport, transport)
        writer.write(f"{self._reply.lines()[0]}\r\n".encode("ascii"))
        writer.close()
