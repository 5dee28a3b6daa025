"""One connection to the next hop: octets out, replies in (RFC 5321 §4.2). No knowledge of mail transactions.

A protocol of our own instead of streams, because a kept connection must notice by itself that the next hop has closed
it or has said something unasked (a 421 before closing): either makes the connection useless, and a reply read one too
late would answer the wrong command.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import cast

from filterd.clients.smtp_reply import ReplyParser
from filterd.errors import PeerError, PortError
from filterd.model.reply import Reply

# Unread replies: a pipelined group has a handful; more is a peer that talks to itself.
MAX_UNREAD_REPLIES = 100
# What the peer's close_notify is waited for.
GOODBYE_S = 2.0


class RelayBroken(PortError):
    """The connection to the next hop is of no more use.

    Args:
        is_after_dot: the end of the message had been sent, so that nobody knows who has the mail (FAULTS 6). The door
            reads this attribute by its name, since doors do not import clients.
        replies: what the first recipients were answered behind the dot before it broke (LMTP); the others are unknown.
    """

    def __init__(self, message: str, *, is_after_dot: bool = False, replies: tuple[Reply, ...] = ()) -> None:
        super().__init__(message, temporary=True)
        self.is_after_dot, self.replies = is_after_dot, replies


class HandshakeFailed(RelayBroken):
    """TLS came to nothing, and the connection with it."""


class RelayWire(asyncio.Protocol):
    """Replies arrive in the order of the commands; whoever sends a command takes exactly one reply."""

    def __init__(self) -> None:
        self._parser = ReplyParser()
        self._replies: deque[Reply] = deque()
        self._transport: asyncio.Transport | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._is_choked = False
        self._lost: str | None = None
        # How many replies may come at once, besides a pipelined group: LMTP has one for each recipient.
        self.owed = 0

    # --- for the session --------------------------------------------------------------------------------------------

    @property
    def is_quiet(self) -> bool:
        """The connection stands and nothing unasked has been said: fit for a new command."""
        return self._lost is None and not self._replies and self._parser.is_empty

    @property
    def has_reply(self) -> bool:
        return bool(self._replies)

    def write(self, data: bytes) -> None:
        """Send octets as they are. Raises RelayBroken when the connection is gone."""
        if self._lost is not None or self._transport is None:
            raise RelayBroken(self._lost or "not connected")
        self._transport.write(data)

    async def flushed(self) -> None:
        """Wait while the next hop takes nothing more; a reply or the loss of the connection ends the wait too."""
        while self._is_choked and self._lost is None and not self._replies:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer

    async def reply(self) -> Reply:
        """Take the next reply. Raises RelayBroken."""
        while not self._replies:
            if self._lost is not None:
                raise RelayBroken(self._lost)
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._replies.popleft()

    async def start_tls(self, context: ssl.SSLContext, name: str | None, timeout_s: float) -> None:
        """Go over to TLS, right behind the reply to STARTTLS (RFC 3207 §4).

        Args:
            name: whom the certificate must be of, where the context looks, and whom we ask for (SNI); None: nobody.

        Raises HandshakeFailed; RelayBroken when more has been said in clear text, by whoever sits on the line: it would
        be read as an answer inside TLS.
        """
        if not self.is_quiet or self._transport is None:
            raise RelayBroken(self._lost or "words in clear text behind the reply to STARTTLS")
        try:
            # Up to its first wait this reads nothing, so nothing in clear text comes in between.
            secured = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                context,
                server_hostname=name,
                ssl_handshake_timeout=timeout_s,
                ssl_shutdown_timeout=GOODBYE_S,
            )
        except OSError as err:
            # ssl.SSLError is one, and so is what the certificate does not say.
            raise HandshakeFailed(f"TLS with the next hop: {err}") from err
        if secured is None:
            raise HandshakeFailed("TLS with the next hop: it closed the connection")
        self._transport, self._is_choked = secured, False

    def close(self) -> None:
        """Close after what has been written."""
        if self._transport is not None:
            self._transport.close()
        self._lost = self._lost or "closed by us"

    def abort(self) -> None:
        """Drop the connection, so that an unfinished message is never taken for a whole one."""
        if self._transport is not None:
            self._transport.abort()
        self._lost = self._lost or "dropped by us"

    # --- for asyncio ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            for reply in self._parser.feed(data):
                if len(self._replies) >= MAX_UNREAD_REPLIES + self.owed:
                    raise PeerError("replies that nobody asked for")
                self._replies.append(reply)
        except PeerError as err:
            self._lose(f"the next hop broke SMTP: {err}")
            self.abort()
        self._wake()

    def eof_received(self) -> None:
        self._lose("the next hop closed the connection")
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(f"the connection broke: {exc}" if exc else "the next hop closed the connection")
        self._wake()

    def pause_writing(self) -> None:
        self._is_choked = True

    def resume_writing(self) -> None:
        self._is_choked = False
        self._wake()

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or reason

    def _wake(self) -> None:
        for waiter in (self._reader, self._writer):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        self._reader = self._writer = None
