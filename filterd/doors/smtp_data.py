"""The octets between 354 and the end of data, in bulk (RFC 5321 §4.1.1.4, §4.5.2; FAULTS F10, rows 24-29).

Only CRLF.CRLF ends data, also at the edge of a block, and no line is looked at by itself, so lines may be of any
length and hold any octet. The CRLF that ended the DATA command is put before the content, so that an empty message (a
dot right after 354) is no special case. No sockets here.
"""

from __future__ import annotations

from filterd.doors import smtp_replies as replies
from filterd.mail.lines import dot_unstuff
from filterd.model.reply import Reply

_END = b"\r\n.\r\n"
# What starts the end, and every line that was stuffed.
_DOT = b"\r\n."
# A client that goes on so many times over the announced SIZE is cut off instead of heard out.
ABSURD_TIMES = 4


class MemoryBudget:
    """How many octets of messages this process holds at once, over all connections of a listener (FAULTS 25)."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self.held_bytes = 0

    def has_room(self, size_bytes: int) -> bool:
        return self.held_bytes + size_bytes <= self._limit


class MessageBuffer:
    """One message as it arrives, and its share of the memory until `release`.

    Args:
        limit_bytes: a larger message is heard to its end without being kept, and refused with 552 5.3.4.

    `refusal` is why the message is not kept (452 4.3.1 without room in memory), None when it is.
    `is_absurd`: the client has not ended and is not to be heard out.
    """

    def __init__(self, *, limit_bytes: int, budget: MemoryBudget) -> None:
        self.refusal: Reply | None = None
        self.is_whole = False
        self.is_absurd = False
        self._limit = limit_bytes
        self._budget = budget
        self._held = 0
        self._data = bytearray(b"\r\n")
        self._searched = 0
        self._end = 0
        self._dropped = 0
        self._is_stuffed = False

    def feed(self, octets: bytes | bytearray | memoryview) -> bool:
        """Take what has come; True when the end is here or will not be waited for."""
        data = self._data
        data += octets
        if self.refusal is None:
            if self._budget.has_room(len(octets)):
                self._budget.held_bytes += len(octets)
                self._held += len(octets)
            else:
                self.refusal = replies.NO_MEMORY
        while (at := data.find(_DOT, self._searched)) >= 0:
            if data.startswith(_END, at):
                self._end, self.is_whole = at, True
                break
            if at + len(_END) > len(data):
                # The end, cut by the edge of a block, or a stuffed line: the next block says.
                self._searched = at
                break
            self._is_stuffed = True
            self._searched = at + len(_DOT)
        else:
            self._searched = max(self._searched, len(data) - len(_DOT) + 1)
        self._weigh()
        return self.is_whole or self.is_absurd

    def content(self) -> bytes:
        """Give the message without the dots of the transport. Only of a whole message that is not refused."""
        with memoryview(self._data) as view, view[2 : self._end + 2] as part:
            content = bytes(part)
        return dot_unstuff(content) if self._is_stuffed else content

    def rest(self) -> bytes:
        """Give what the client sent behind the end: its next commands (RFC 2920 §3.1)."""
        return bytes(self._data[self._end + len(_END) :]) if self.is_whole else b""

    def drop(self) -> None:
        """Forget the octets; the share of the memory stays taken until `release`, for what was made of them."""
        self._data = bytearray()

    def release(self) -> None:
        self._budget.held_bytes -= self._held
        self._held = 0

    def _weigh(self) -> None:
        size = (self._end if self.is_whole else len(self._data) - len(_END)) + self._dropped
        if self.refusal is None and size > self._limit:
            self.refusal = replies.TOO_BIG
        if self.refusal is None or self.is_whole:
            return
        self.release()
        surplus = max(0, len(self._data) - len(_END) + 1)
        self._dropped += surplus
        del self._data[:surplus]
        self._searched = 0
        self.is_absurd = self._dropped > self._limit * ABSURD_TIMES
