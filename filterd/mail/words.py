"""Encoded words: RFC 2047 read with patience and written strictly.

Reading is linear and never raises: each `=?` is looked at once. Words that stand side by side in the same charset are
joined before they are decoded, because mailers cut multi-byte characters in two (§5 forbids it, many do it).
"""

from __future__ import annotations

import re
from binascii import a2b_qp, b2a_base64

from filterd.mail import charset
from filterd.mail.transfer import lenient_base64

_HEAD = re.compile(rb"=\?([^?\s]{0,80})\?([bBqQ])\?")
# RFC 2047 §2: 75 characters for a word; 45 octets in base64 are 60, and `=?utf-8?B?` with `?=` are 12.
_WORD_OCTETS = 45


def decode(value: bytes) -> str:
    """Read an unfolded field value: encoded words, then UTF-8, GB18030 or Latin-1 for what stands between them."""
    if b"=?" not in value:
        try:
            return value.decode()
        except UnicodeDecodeError:
            return literal(value)
    pieces: list[tuple[str | None, bytes]] = []
    position = 0
    while (head := _HEAD.search(value, position)) is not None:
        tail = value.find(b"?=", head.end())
        if tail < 0:
            break
        inner = value.rfind(b"=?", head.end(), tail + 1)
        if inner >= 0 and inner + 1 < tail:
            # Another word starts before this one ends: this was none.
            pieces.append((None, value[position:inner]))
            position = inner
            continue
        gap = value[position : head.start()]
        if gap and not (gap.isspace() and pieces and pieces[-1][0] is not None):
            pieces.append((None, gap))
        # RFC 2231 §5: a language may follow the charset.
        label = head[1].partition(b"*")[0].decode("ascii", "replace").lower()
        octets = _octets(value[head.end() : tail], head[2])
        if pieces and pieces[-1][0] == label:
            pieces[-1] = (label, pieces[-1][1] + octets)
        else:
            pieces.append((label, octets))
        position = tail + 2
    pieces.append((None, value[position:]))
    return "".join(literal(octets) if label is None else charset.decode(octets, label) for label, octets in pieces)


def literal(octets: bytes) -> str:
    """Read octets that say nothing of their charset: ASCII, UTF-8, GB18030, Latin-1, whichever fits first."""
    for codec in ("utf-8", "gb18030"):
        try:
            return octets.decode(codec)
        except UnicodeDecodeError:
            continue
    return octets.decode("latin-1")


def encode(text: str) -> str:
    """Write text for a header: as it is when it is printable ASCII without `=?`, else UTF-8 words parted by blanks."""
    if text.isascii() and text.isprintable() and "=?" not in text:
        return text
    words: list[str] = []
    chunk = b""
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(chunk) + len(octets) > _WORD_OCTETS:
            words.append(_word(chunk))
            chunk = b""
        chunk += octets
    words.append(_word(chunk))
    return " ".join(words)


def _word(chunk: bytes) -> str:
    return f"=?utf-8?B?{b2a_base64(chunk, newline=False).decode('ascii')}?="


def _octets(text: bytes, encoding: bytes) -> bytes:
    if encoding in b"bB":
        return lenient_base64(text)
    return a2b_qp(text, header=True)
