"""Encoded words: RFC 2047 read with patience and written strictly.

Reading is linear and never raises: each `=?` is looked at once. Words that stand side by side in the same charset are
joined before they are decoded, because mailers cut multi-byte characters in two (§5 forbids it, many do it).
"""

from __future__ import annotations

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, a2b_qp, b2a_base64

from filterd.mail import charset
from filterd.mail.transfer import lenient_base64

# Label, encoding and text of a well-formed word; and the beginning of any.
_WORD = re.compile(rb"=\?([^?\s]{0,80})\?([bBqQ])\?([^?\s]*+)\?=")
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
    parts = _WORD.split(value)
    if any(b"=?" in between for between in parts[::4]):
        parts = _patiently_split(value)
    return _put_together(parts)


def _patiently_split(value: bytes) -> list[bytes]:
    """Do what `_WORD.split` does, also for words with blanks or question marks in them. Looks at each `=?` once."""
    parts: list[bytes] = []
    start = position = 0
    while (head := _HEAD.search(value, position)) is not None:
        tail = value.find(b"?=", head.end())
        if tail < 0:
            break
        inner = value.rfind(b"=?", head.end(), tail + 1)
        if inner >= 0 and inner + 1 < tail:
            # Another word starts before this one ends: this was none.
            position = inner
            continue
        parts += [value[start : head.start()], head[1], head[2], value[head.end() : tail]]
        start = position = tail + 2
    return [*parts, value[start:]]


def _put_together(parts: list[bytes]) -> str:
    """Decode text, label, encoding, word, text and so on. Blanks between two words are not shown (§6.2)."""
    out: list[str] = []
    run: list[bytes] = []
    last = b""
    for between, label, encoding, text in zip(parts[0::4], parts[1::4], parts[2::4], parts[3::4], strict=False):
        is_apart = bool(between) and not (run and between.isspace())
        if run and (is_apart or label != last):
            out.append(_decoded(run, last))
            run = []
        if is_apart:
            out.append(literal(between))
        last = label
        run.append(_octets(text, encoding))
    if run:
        out.append(_decoded(run, last))
    out.append(literal(parts[-1]))
    return "".join(out)


def _decoded(run: list[bytes], label: bytes) -> str:
    # RFC 2231 §5: a language may follow the charset.
    return charset.decode(b"".join(run), label.partition(b"*")[0].decode("ascii", "replace"))


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
    if encoding in b"qQ":
        return a2b_qp(text, header=True)
    try:
        return a2b_base64(text, strict_mode=True)
    except BinasciiError:
        return lenient_base64(text)
