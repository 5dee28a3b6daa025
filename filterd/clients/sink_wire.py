"""One client of the sink: the least SMTP that a next hop must speak (RFC 5321 §4.1), and scripted misbehaviour."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

from filterd.mail.lines import dot_unstuff

EXTENSIONS = (
    "PIPELINING",
    "SIZE 104857600",
    "8BITMIME",
    "SMTPUTF8",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkScript:
    """How the sink misbehaves. Phases: banner, ehlo, xforward, rset, mail, rcpt, data (the command), dot.

    Args:
        replies: phase to the reply given in place of the usual one. For `dot` the mail is then kept only with a 2xx.
        recipients: address without brackets to the reply its RCPT gets.
        hang_up: phases at which the connection is closed in place of a reply.
        stall: phases that are never answered.
        extensions: what EHLO offers.
    """

    replies: Mapping[str, str] = field(default_factory=dict)
    recipients: Mapping[bytes, str] = field(default_factory=dict)
    hang_up: frozenset[str] = frozenset()
    stall: frozenset[str] = frozenset()
    extensions: tuple[str, ...] = EXTENSIONS


class SinkStore(Protocol):
    """What a connection needs of its sink."""

    script: SinkScript

    def opened(self, connection: SinkConnection) -> None: ...
    def closed(self, connection: SinkConnection) -> None: ...
    def saw(self, phase: str) -> None: ...
    def heard(self, line: bytes) -> None: ...
    def keep(self, mail: bytes, rcpts: tuple[bytes, ...], raw: bytes, xforward: tuple[bytes, ...]) -> int: ...


class SinkConnection(asyncio.Protocol):
    """One client of the sink."""

    def __init__(self, sink: SinkStore) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._searched = 0
        self._transport: asyncio.Transport | None = None
        self._in_data = False
        self._is_stalled = False
        self._forget()
        self._xforward: list[bytes] = []

    def say(self, line: str) -> None:
        """Say something unasked."""
        if self._transport is not None:
            self._transport.write(line.encode("utf-8") + b"\r\n")

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._sink.opened(self)
        self._answer("banner", "220 sink.invalid ESMTP filterd sink")

    def connection_lost(self, exc: Exception | None) -> None:
        self._sink.closed(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while not self._is_stalled and (self._take_message() if self._in_data else self._take_line()):
            pass

    def _forget(self) -> None:
        self._mail: bytes | None = None
        self._rcpts: list[bytes] = []

    def _take_line(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        self._sink.heard(line)
        self._command(*line.partition(b" ")[::2])
        return True

    def _command(self, verb: bytes, argument: bytes) -> None:
        match verb.upper():
            case b"EHLO" | b"HELO":
                self._forget()
                rows = ["sink.invalid", *self._sink.script.extensions] if verb.upper() == b"EHLO" else ["sink.invalid"]
                lines = [f"250{'-' if n < len(rows) - 1 else ' '}{row}" for n, row in enumerate(rows)]
                self._answer("ehlo", "\r\n".join(lines))
            case b"XFORWARD":
                self._xforward += argument.split()
                self._answer("xforward", "250 2.0.0 Ok")
            case b"RSET":
                self._forget()
                self._xforward = []
                self._answer("rset", "250 2.0.0 Ok")
            case b"MAIL":
                if self._answer("mail", "250 2.1.0 Ok").startswith("2"):
                    self._mail = argument
            case b"RCPT":
                self._rcpt(argument)
            case b"DATA" if self._rcpts:
                self._in_data = self._answer("data", "354 End data with <CR><LF>.<CR><LF>").startswith("354")
            case b"NOOP":
                self._answer("noop", "250 2.0.0 Ok")
            case b"QUIT":
                self._answer("quit", "221 2.0.0 Bye")
                if self._transport is not None:
                    self._transport.close()
            case _:
                self._answer("unknown", "503 5.5.1 Bad sequence of commands")

    def _rcpt(self, argument: bytes) -> None:
        address = argument.partition(b"<")[2].partition(b">")[0]
        usual = "250 2.1.5 Ok" if self._mail is not None else "503 5.5.1 Need MAIL"
        if self._answer("rcpt", self._sink.script.recipients.get(address, usual)).startswith("2"):
            self._rcpts.append(argument)

    def _take_message(self) -> bool:
        # The CRLF before the dot may be the one that ended the DATA command.
        end = 0
        if not self._buffer.startswith(b".\r\n"):
            end = self._buffer.find(b"\r\n.\r\n", self._searched) + 2
            if end < 2:
                self._searched = max(0, len(self._buffer) - 4)
                return False
        raw = dot_unstuff(bytes(self._buffer[:end]))
        del self._buffer[: end + 3]
        self._searched = 0
        self._in_data = False
        mail, rcpts = self._mail or b"", tuple(self._rcpts)
        self._forget()
        xforward, self._xforward = tuple(self._xforward), []
        if self._sink.script.replies.get("dot", "250").startswith("2") and "dot" not in self._sink.script.hang_up:
            number = self._sink.keep(mail, rcpts, raw, xforward)
            self._answer("dot", f"250 2.0.0 Ok: queued as {number:06d}")
        else:
            self._sink.saw("refused")
            self._answer("dot", "")
        return True

    def _answer(self, phase: str, usual: str) -> str:
        """Reply as the script says, else as usual; says what was replied, "" for nothing."""
        script, transport = self._sink.script, self._transport
        self._sink.saw(phase)
        if transport is None or transport.is_closing():
            return ""
        if phase in script.hang_up:
            transport.close()
            return ""
        if phase in script.stall:
            self._is_stalled = True
            return ""
        reply = script.replies.get(phase, usual)
        transport.write(reply.encode("utf-8") + b"\r\n")
        if reply.startswith("421"):
            transport.close()
        return reply
