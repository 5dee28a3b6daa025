"""What an SMTP client sends, octet-strict: command lines and whole messages (RFC 5321 §2.3.8, §4.1.1, §4.5.3).

A command ends with CRLF; a lone LF, a lone CR or a NUL in it ends the session, because two programs that part such a
line differently see two different dialogues (FAULTS F10, row 30).

A StreamReader by name, since aiosmtpd's protocol feeds one and its command loop asks one for lines; but with a buffer
of its own, so that octets are looked at where they arrive and the session wakes once a line or a message instead of
once a packet, and with one timer for the connection instead of one a read. Only what is defined here works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, SupportsIndex, cast

from filterd.doors import smtp_replies as replies
from filterd.doors.smtp_data import MessageBuffer
from filterd.doors.smtp_refused import HangUp, Refused
from filterd.markers import reach
from filterd.model.reply import Reply

# Postfix hands on lines up to 2048 octets (line_length_limit); RFC 5321 §4.5.3.1.4 has 512 and more by extensions.
MAX_LINE_BYTES = 4096
# Beyond this without a line end nobody is talking SMTP (FAULTS 27).
MAX_UNENDED_BYTES = 65_536
# What may wait here while a command is carried out; then the kernel's buffers fill and the client waits.
MAX_AHEAD_BYTES = 131_072
# Browsers and attacks that go through them (FAULTS 32); Postfix: smtpd_forbidden_commands.
_HTTP = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE", b"PATCH", b"PRI"})
_TLS_HELLO = b"\x16\x03"


class ClientReader(asyncio.StreamReader):
    """Reads for one connection.

    Args:
        line_timeout_s: for a whole command line, so that one octet every ten seconds gains nothing.
    """

    def __init__(self, *, loop: asyncio.AbstractEventLoop, line_timeout_s: float) -> None:
        super().__init__(loop=loop)
        self._event_loop = loop
        self._line_timeout_s = line_timeout_s
        self._octets = bytearray()
        self._message: MessageBuffer | None = None
        self._has_message = False
        self._waiter: asyncio.Future[None] | None = None
        self._client: asyncio.Transport | None = None
        self._is_paused = False
        self._is_ended = False
        self._is_over = False
        self._last_words: Reply | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expires_at = self._last_at = 0.0
        self._pause_s: float | None = None
        self._ends_at = self._grace_until = 0.0
        self._octets_per_s = 1.0
        self._received = 0

    # --- for the session --------------------------------------------------------------------------------------------

    async def readuntil(self, separator: object = b"\n") -> bytes:
        """Give the next command line with its CRLF; called by aiosmtpd's loop, which passes no separator.

        Raises Refused (not a command, too slow, or the session was cut), HangUp at the end of input.
        """
        self._check_cut()
        octets = self._octets
        end = octets.find(b"\n")
        if end < 0:
            self._last_at = self._event_loop.time() + self._line_timeout_s
            while end < 0:
                if octets.startswith(_TLS_HELLO):
                    raise Refused(replies.NOT_SMTP, is_final=True)
                if len(octets) > MAX_UNENDED_BYTES:
                    raise Refused(replies.LINE_TOO_LONG, is_final=True)
                searched = len(octets)
                await self._fed(self._last_at)
                end = octets.find(b"\n", searched)
        line = bytes(octets[: end + 1])
        del octets[: end + 1]
        if self._is_paused and len(octets) <= MAX_AHEAD_BYTES:
            self._resume()
        _check_line(line)
        return line

    async def read_into(
        self, message: MessageBuffer, *, pause_s: float, total_s: float, grace_s: float, octets_per_s: float
    ) -> None:
        """Feed `message` until it is whole; what came behind its end stays here. Raises as `readuntil`.

        Args:
            pause_s: the longest wait for the next octet.
            total_s: for the whole message, however steady its client.
            grace_s: from then on the message must have come with at least `octets_per_s` on the average.
        """
        self._check_cut()
        self._received = len(self._octets)
        is_done = message.feed(self._octets)
        self._octets.clear()
        if self._is_paused:
            self._resume()
        now = self._event_loop.time()
        self._pause_s, self._ends_at = pause_s, now + total_s
        self._grace_until, self._octets_per_s = now + grace_s, octets_per_s
        self._last_at = self._due()
        self._message = message
        try:
            while not (is_done or message.is_whole or message.is_absurd):
                reach("smtp.in_data")
                await self._fed(now + pause_s)
        finally:
            self._message = self._pause_s = None
            self._has_message = False
        # More may have come since the end was found.
        self._octets[:0] = message.rest()

    @property
    def has_ahead(self) -> bool:
        """Something has come that nobody has asked for yet."""
        return bool(self._octets)

    @property
    def has_message(self) -> bool:
        """The end of a message has come, and whoever waits for it has just not run yet."""
        return self._has_message

    def cut(self, last_words: Reply) -> None:
        """End the session with this reply as soon as it waits for its client, now if it does."""
        self._last_words = last_words
        self._fail(Refused(last_words, is_final=True))

    def uncut(self) -> None:
        self._last_words = None

    def hang_up(self) -> None:
        """Read no further command, not even one that is here already."""
        self._is_over = True
        self._disarm()

    # --- for asyncio's protocol -------------------------------------------------------------------------------------

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        super().set_transport(transport)
        self._client = cast(asyncio.Transport, transport)

    def secure(self) -> None:
        """A handshake begins: what comes from now on comes through TLS, or not at all."""
        self._octets.clear()
        self._is_paused, self._client = False, None

    def begin_again(self, transport: asyncio.BaseTransport) -> None:
        """Go on with what came through TLS; the first of it may be here already."""
        cast(Any, self)._transport = transport
        self._client = cast(asyncio.Transport, transport)

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        octets = cast(bytes, data)
        if self._message is not None:
            if self._pause_s is not None:
                self._received += len(octets)
                self._last_at = self._due()
                self._expires_at = min(self._event_loop.time() + self._pause_s, self._last_at)
            if self._message.feed(octets):
                self._has_message = self._message.is_whole
                self._message = None
                self._wake()
            return
        self._octets += octets
        if self._waiter is not None:
            # Half a line wakes too: it may be too long already, or no line at all.
            self._wake()
        elif len(self._octets) > MAX_AHEAD_BYTES and not self._is_paused and self._client is not None:
            self._is_paused = True
            self._client.pause_reading()

    def feed_eof(self) -> None:
        self._is_ended = True
        self._fail(HangUp())

    def set_exception(self, exc: Exception) -> None:
        """The connection broke."""
        self.feed_eof()
        self._disarm()

    # --- waiting ----------------------------------------------------------------------------------------------------

    async def _fed(self, until: float) -> None:
        """Wait for octets. Raises Refused at `until` (moved on by `feed_data` in a message), HangUp at the end."""
        if self._is_ended:
            raise HangUp
        self._expires_at = min(until, self._last_at)
        if self._timer is None or self._timer.when() > self._expires_at:
            self._arm()
        self._waiter = self._event_loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _due(self) -> float:
        """Say until when more of the message must have come."""
        return min(self._ends_at, self._grace_until + self._received / self._octets_per_s)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def _arm(self) -> None:
        self._disarm()
        self._timer = self._event_loop.call_at(self._expires_at, self._expired)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        # A timer is not put back whenever something arrives; it looks when it rings.
        if self._event_loop.time() < self._expires_at:
            self._arm()
        else:
            self._fail(Refused(replies.TIMEOUT, is_final=True))

    def _check_cut(self) -> None:
        if self._is_over:
            raise HangUp
        if self._last_words is not None:
            raise Refused(self._last_words, is_final=True)

    def _resume(self) -> None:
        self._is_paused = False
        if self._client is not None:
            self._client.resume_reading()


def _check_line(line: bytes) -> None:
    if line.startswith(_TLS_HELLO) or line.partition(b" ")[0].upper() in _HTTP:
        raise Refused(replies.NOT_SMTP, is_final=True)
    if not line.endswith(b"\r\n") or line.find(b"\r") != len(line) - 2 or b"\0" in line:
        raise Refused(replies.STRAY_OCTET, is_final=True)
    if len(line) > MAX_LINE_BYTES:
        raise Refused(replies.LINE_TOO_LONG)
