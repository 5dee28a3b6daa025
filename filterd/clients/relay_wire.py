"""One connection to the next hop: octets out, replies in (RFC 5321 §4.2). No knowledge of mail transactions.

A protocol of our own instead of streams, because a kept connection must notice by itself that the next hop has closed
it or has said something unasked (a 421 before closing): either makes the connection useless, and a reply read one too
late would answer the wrong command.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from filterd.clients.smtp_reply import ReplyParser
from filterd.errors import PeerError, PortError
from filterd.model.reply import Reply

# Unread replies: a pipelined group has a handful; more is a peer that talks to itself.
MAX_UNREAD_REPLIES = 100


class RelayBroken(PortError):
    """The connection to the next hop is of no more use.

    Args:
        is_after_dot: the end of the message had been sent, so that nobody knows who has the mail (FAULTS 6). The door
            reads this attribute by its name, since doors do not import clients.
    """

    def __init__(self, message: str, *, is_after_dot: bool = False) -> None:
        super().__init__(message, temporary=True)
        self.is_after_dot = is_after_dot


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
            self._replies.extend(self._parser.feed(data))
            if len(self._replies) > MAX_UNREAD_REPLIES:
                raise PeerError("replies that nobody asked for")
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
