"""SMTP replies: octets to Reply values (RFC 5321 §4.2, RFC 2034, RFC 3463). No sockets here.

Strict, because a reply that is read wrongly shifts every later one by one: lines end with CRLF and nothing else, all
lines of a reply bear one code, and nothing may be endless. Raises PeerError for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from filterd.errors import PeerError
from filterd.model.reply import Reply

# RFC 5321 §4.5.3.1.5 says 512 octets; some servers quote long addresses.
MAX_LINE_BYTES = 4096
# An EHLO reply has some twenty lines; 100 is what no honest reply reaches.
MAX_LINES = 100

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")


class ReplyParser:
    """Collects octets and gives the replies that are whole."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._lines: list[tuple[bytes, bytes]] = []

    @property
    def is_empty(self) -> bool:
        """Nothing of an unfinished reply is here."""
        return not self._pending and not self._lines

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Say the replies that `data` completes, in order; those before a fault count. To be used up."""
        pending = self._pending
        pending += data
        start = 0
        while (end := pending.find(b"\n", start)) >= 0:
            reply = self._take(bytes(pending[start : end + 1]))
            start = end + 1
            if reply is not None:
                yield reply
        del pending[:start]
        if len(pending) > MAX_LINE_BYTES:
            raise PeerError(f"a reply line of more than {MAX_LINE_BYTES} octets")

    def _take(self, line: bytes) -> Reply | None:
        if len(line) > MAX_LINE_BYTES:
            raise PeerError(f"a reply line of more than {MAX_LINE_BYTES} octets")
        if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
            raise PeerError("a reply line with a stray CR, LF or NUL")
        match = _LINE.fullmatch(line[:-2])
        if match is None:
            raise PeerError("a line that is no reply")
        code, mark, text = match[1], match[2], match[3] or b""
        if self._lines and self._lines[0][0] != code:
            raise PeerError("two codes in one reply")
        self._lines.append((code, text))
        if mark == b"-":
            if len(self._lines) >= MAX_LINES:
                raise PeerError(f"a reply of more than {MAX_LINES} lines")
            return None
        texts = [text.decode("utf-8", "replace") for _, text in self._lines]
        self._lines = []
        return reply_of(int(code), texts)


def reply_of(code: int, texts: list[str]) -> Reply:
    """Make a Reply of the texts behind the code; an enhanced code that contradicts `code` stays where it is."""
    match = _ENHANCED.match(texts[0])
    if match is None or match[1][0] != str(code)[0]:
        return Reply(code=code, enhanced=None, text="\n".join(texts))
    enhanced = match[1]
    # RFC 2034 §4: every line of the reply bears the code; one that does not keeps its words.
    bare = ["" if text == enhanced else text.removeprefix(f"{enhanced} ") for text in texts]
    return Reply(code=code, enhanced=enhanced, text="\n".join(bare))
