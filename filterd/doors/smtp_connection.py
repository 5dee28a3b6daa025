"""One SMTP connection: aiosmtpd's protocol and command loop, with everything that touches the client made strict.

What aiosmtpd 1.4 keeps doing: accept, the command loop, the dispatch by verb. What is replaced, and why, stands at each
method; the faults are those of FAULTS F10-F14 and rows 21-33.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from functools import lru_cache
from typing import Any, cast

from aiosmtpd.smtp import SMTP

from filterd.doors import smtp_replies as replies
from filterd.doors.proxied import ClientOf
from filterd.doors.smtp_client import Client, new_session_id
from filterd.doors.smtp_door import SmtpDoor
from filterd.doors.smtp_reader import MAX_LINE_BYTES, ClientReader
from filterd.doors.smtp_refused import HangUp, Refused
from filterd.doors.smtp_tls import secured
from filterd.doors.smtp_transaction import MailTransaction
from filterd.model.reply import Reply

# aiosmtpd writes commands with their addresses into this log (HOUSE rule 6.11).
logging.getLogger("mail.log").disabled = True

_BAD_COMMAND = frozenset({500, 501, 502, 503, 504, 555})


@lru_cache(maxsize=256)
def _encoded(reply: Reply, is_utf8: bool) -> bytes:
    # RFC 6531 §3.7.4.2: UTF-8 only to those who asked for SMTPUTF8.
    charset = "utf-8" if is_utf8 else "ascii"
    return b"".join(line.encode(charset, "replace") + b"\r\n" for line in reply.lines(is_utf8=is_utf8))


class _AnyVerb(dict[str, int]):
    """The same limit for every verb. aiosmtpd's own table keeps each unknown verb it ever saw."""

    def __missing__(self, key: str) -> int:
        return MAX_LINE_BYTES


class SmtpConnection(SMTP):
    """The connection without its verbs, which are in smtp_verbs.

    Args:
        door: what all connections of the listener share.
        client_of: says whom a load balancer speaks for; None: the socket's peer speaks for itself.
    """

    command_size_limit = MAX_LINE_BYTES
    command_size_limits = _AnyVerb()

    _reader: ClientReader
    client: Client

    def __init__(self, door: SmtpDoor, client_of: ClientOf | None = None) -> None:
        # aiosmtpd's own __init__ looks through every attribute by introspection: 0.3 ms a connection, which is more
        # than a small mail costs. The door has run it once, and here are its results.
        self.__dict__.update(door.aiosmtpd_state)
        loop = asyncio.get_running_loop()
        reader = ClientReader(loop=loop, line_timeout_s=door.listener.command_timeout_s)
        asyncio.StreamReaderProtocol.__init__(self, reader, self._cb_client_connected, loop)
        self.loop = loop
        self.door, self._announced = door, client_of
        self.transaction: MailTransaction | None = None
        # A whole message is being carried through; its reply is still owed.
        self.is_past_dot = False
        self._connection_id: str | None = None
        self._is_choked = False
        self._bad_commands = 0
        self._junk_commands = 0
        self._progress_at = 0.0
        self._is_lost = False
        self._parting: asyncio.TimerHandle | None = None
        self._envelope_timer: asyncio.TimerHandle | None = None
        self._client: asyncio.Transport | None = None

    @property
    def session_id(self) -> str:
        """The id under which our log knows what goes on here."""
        if self.transaction is not None:
            return self.transaction.session.id
        if self._connection_id is None:
            self._connection_id = new_session_id()
        return self._connection_id

    # --- replies ----------------------------------------------------------------------------------------------------

    async def answer(
        self, reply: Reply, *, is_final: bool = False, is_utf8: bool | None = None, times: int = 1
    ) -> None:
        """Send a reply; after a final one, and after too many errors, nothing more is read.

        Args:
            is_utf8: whether the client asked for SMTPUTF8; None: look at the open transaction.
            times: how often it is given, to one command (LMTP after a message).
        """
        if reply.code in _BAD_COMMAND:
            self._bad_commands += 1
            if self._bad_commands > self.door.bounds.bad_commands:
                reply, is_final = replies.TOO_MANY_ERRORS, True
        if is_utf8 is None:
            is_utf8 = self.transaction is not None and self.transaction.is_utf8
        await self.send(_encoded(reply, is_utf8) * times)
        if is_final:
            self._reader.hang_up()
            self._part()

    def _part(self) -> None:
        """Close when the last words are out; who does not read them holds no slot for it (row 24)."""
        self._writer.close()
        if self._parting is None and not self._is_lost and self._client is not None:
            self._parting = self.loop.call_later(self.door.bounds.part_s, self._client.abort)

    async def send(self, octets: bytes) -> None:
        """Write to a client that reads; one that does not is left after `command_timeout_s`."""
        if self._client is None or self._client.is_closing():
            raise HangUp
        self._client.write(octets)
        if self._is_choked:
            try:
                async with asyncio.timeout(self.door.listener.command_timeout_s):
                    await self._writer.drain()
            except TimeoutError:
                self._client.abort()
                raise HangUp from None

    async def push(self, status: str | bytes) -> None:
        """Send one of aiosmtpd's own replies: the greeting, and errors of its loop, which lack enhanced codes."""
        match bytes(status, "ascii", "replace") if isinstance(status, str) else status:
            case b"":
                pass
            case text if text.startswith(b"220"):
                await self.greet()
            case text if b"not recognized" in text:
                await self.answer(replies.UNKNOWN_COMMAND)
            case text if b"goodbye" in text:
                await self.answer(replies.TOO_MANY_ERRORS, is_final=True)
            case _:
                await self.answer(replies.SYNTAX)

    async def greet(self) -> None:
        await self.send(self.door.greeting)

    async def handle_exception(self, error: Exception) -> str:
        """Turn what a command raised into its reply. aiosmtpd answers 500 with the text of the exception (F13)."""
        if isinstance(error, Refused):
            await self.answer(error.reply, is_final=error.is_final)
        else:
            self.door.report(self.session_id, error)
            await self.answer(replies.internal_error(self.session_id))
        return ""

    # --- how far a session may go -----------------------------------------------------------------------------------

    def count_junk(self) -> None:
        """Called by commands that bring no mail nearer. Raises Refused after too many."""
        self._junk_commands += 1
        if self._junk_commands > self.door.bounds.junk_commands:
            raise Refused(replies.TOO_MUCH_JUNK, is_final=True)

    def made_progress(self) -> None:
        """A message has begun or ended: the session's time and counts begin anew."""
        self._bad_commands = self._junk_commands = 0
        self._progress_at = self.loop.time()
        if self.door.opened.is_draining and self.transaction is None:
            self._reader.cut(replies.SHUTTING_DOWN)
        else:
            self._reader.uncut()

    def _reset_timeout(self, duration: float | None = None) -> None:
        """aiosmtpd calls this at every command, which lets NOOPs hold a session for ever (row 24)."""
        if self._timeout_handle is None:
            self._progress_at = self.loop.time()
            self._timeout_handle = self.loop.call_later(self.door.listener.session_timeout_s, self._timeout_cb)

    def _timeout_cb(self) -> None:
        # Not put back at each progress; it looks when it rings.
        left_s = self._progress_at + self.door.listener.session_timeout_s - self.loop.time()
        if left_s > 0:
            self._timeout_handle = self.loop.call_later(left_s, self._timeout_cb)
        else:
            self._reader.cut(replies.SESSION_TOO_LONG)

    def limit_envelope(self, wait_s: float | None) -> None:
        """End the session when no DATA follows MAIL within this time: an open transaction holds a connection to the
        next hop, of which there are few. None: it has followed, or there is no transaction any more."""
        if self._envelope_timer is not None:
            self._envelope_timer.cancel()
            self._envelope_timer = None
        if wait_s is not None:
            self._envelope_timer = self.loop.call_later(wait_s, self._reader.cut, replies.ENVELOPE_TOO_LONG)

    def wind_down(self) -> None:
        if self.transaction is None:
            self._reader.cut(replies.SHUTTING_DOWN)

    def end_now(self) -> None:
        self._reader.cut(replies.SHUTTING_DOWN)

    def drop_transaction(self) -> None:
        """Forget what was begun; the next hop gets its RSET behind our back."""
        transaction, self.transaction = self.transaction, None
        self.client.xforward = None
        self.limit_envelope(None)
        if transaction is not None:
            self.door.opened.spawn(transaction.lease.close())

    # --- TLS --------------------------------------------------------------------------------------------------------

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Say 220 and go over to TLS; nothing the client said before is known afterwards (RFC 3207 §4.2).

        Raises HangUp when the handshake came to nothing.
        """
        plain = self._client
        if plain is None or plain.is_closing():
            raise HangUp
        # From here to the handshake's first wait nothing is read: no octet in clear text can come in between.
        self._reader.secure()
        plain.write(_encoded(replies.READY_FOR_TLS, False))
        transport = await secured(plain, self, context)
        if transport is None or self._is_lost:
            # Where the client left during the handshake, asyncio does not tell us.
            self.connection_lost(None)
            raise HangUp
        if self._is_choked:
            # The protocol in between has taken the transport's word that it has written.
            self.resume_writing()
        self._reader.begin_again(transport)
        self._client = self.transport = transport
        for part in (self, self._writer):
            cast(Any, part)._transport = transport
        # asyncio's name for it; a half-closed connection does not exist in TLS.
        cast(Any, self)._over_ssl = True
        self.client = self._client_of(transport)
        made = transport.get_extra_info("ssl_object")
        self.client.tls = (made.version(), made.cipher()[0])

    # --- for asyncio ------------------------------------------------------------------------------------------------

    def _client_of(self, transport: asyncio.BaseTransport) -> Client:
        if self._announced is not None:
            return self._announced()
        client = self.door.client_of(transport.get_extra_info("peername"))
        here = transport.get_extra_info("sockname")
        client.server = (here[0].partition("%")[0], here[1]) if isinstance(here, tuple) else None
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.client = self._client_of(transport)
        self._client = cast(asyncio.Transport, transport)
        self.door.opened.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """In place of aiosmtpd's, which would stop the command in hand between the end of data and its next step.

        uvloop says both, that the last octets are here and that the connection is gone, before any task runs.
        """
        if self._is_lost:
            return
        self._is_lost = True
        self.door.opened.discard(self)
        for timer in (self._timeout_handle, self._parting):
            if timer is not None:
                timer.cancel()
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        if self._handler_coroutine is not None and not self._reader.has_message:
            self._handler_coroutine.cancel()
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self._reader.feed_data(data)

    def eof_received(self) -> bool | None:
        """Carry out what came before the end: aiosmtpd would cancel the command in hand (F12).

        But when all input is used up and no message is whole, none can become so: whatever the next hop is being asked
        for this client is stopped.
        """
        reader = self._reader
        if self._handler_coroutine is not None and not (self.is_past_dot or reader.has_ahead or reader.has_message):
            self._handler_coroutine.cancel()
            # aiosmtpd's loop closes when it is stopped; one that has not begun yet would leave the connection open.
            self._writer.close()
        return asyncio.StreamReaderProtocol.eof_received(self)

    def pause_writing(self) -> None:
        self._is_choked = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self._is_choked = False
        super().resume_writing()

    def _cb_client_connected(self, reader: Any, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def _handle_client(self) -> None:
        try:
            await super()._handle_client()
        except ConnectionResetError:
            # HangUp, or the client's own reset: aiosmtpd has closed the writer.
            pass
        finally:
            self.drop_transaction()
            self._part()
