"""Content-Transfer-Encoding: octets as sent to octets as meant.  RFC 2045 §6.

Never raises. Where decoders in the field differ, the most common reading is `content` and the rest are `others`:
base64 that goes on after its padding (stop, or decode on), text that only claims to be base64 (leave, decode), and an
unknown encoding (leave, base64, quoted-printable).
"""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))
_NOT_BASE64_OR_PAD = bytes(set(range(256)) - set(_BASE64) - {ord("=")})
_BLANKS = b" \t\r\n"
# Where more than every tenth octet is foreign to base64, it is text that only claims to be encoded.
_FOREIGN_SHARE = 10
_IDENTITY = frozenset({"", "7bit", "8bit", "binary"})
# Seen in the wild for what they plainly mean.
_SPELLINGS = {"7-bit": "7bit", "8-bit": "8bit", "quotedprintable": "quoted-printable", "base-64": "base64"}
_UUENCODE = frozenset({"uuencode", "x-uuencode", "uue", "x-uue"})
_COMMENT = re.compile(r"\([^()]*+\)")
_UU_BEGIN = re.compile(rb"(?m)^begin [^\r\n]*+")
_UU_LINE = re.compile(rb"[^\r\n]++")
# Two octets can announce a line of 63, whose missing letters count as zeros: 50 MB would become 1.5 GB. What is whole
# shrinks; small files may have lost the blanks, that is zeros, at the ends of their lines.
_UU_FREE_BYTES = 1 << 20
# Lines that hold nothing; a whole file has one.
_MOST_IDLE_LINES = 10_000


class Decoded(NamedTuple):
    """What an encoding hides: the reading, the other readings, and codes of what was wrong."""

    content: bytes
    others: tuple[bytes, ...] = ()
    defects: tuple[str, ...] = ()


def name(value: str) -> tuple[str, bool]:
    """Give the encoding a field value names, and whether the value is written oddly.

    Comments, quotes, semicolons and encoded words are what makes decoders differ; blanks and letter case are not odd.
    """
    plain = value.strip().lower()
    if plain in _IDENTITY or plain in ("base64", "quoted-printable"):
        return plain, False
    bare = _COMMENT.sub("", plain).partition(";")[0].strip(" \t\"'\x00")
    if bare in _SPELLINGS:
        return _SPELLINGS[bare], plain != bare
    return bare, plain.rstrip("; ") != bare


def is_identity(encoding: str) -> bool:
    """Say whether the encoding leaves the octets as they are."""
    return encoding in _IDENTITY


def is_known(encoding: str) -> bool:
    """Say whether `decode` knows what to do for a name that `name` gave."""
    return encoding in _IDENTITY or encoding in _UUENCODE or encoding in ("base64", "quoted-printable")


def decode(data: bytes, encoding: str) -> Decoded:
    """Undo one encoding."""
    if encoding in _IDENTITY:
        return Decoded(data)
    if encoding == "base64":
        return _base64(data)
    if encoding == "quoted-printable":
        return Decoded(binascii.a2b_qp(data))
    if encoding in _UUENCODE:
        return _uuencode(data)
    return _unknown(data)


def lenient_base64(data: bytes) -> bytes:
    """Decode whatever letters of the alphabet there are, each run up to a padding by itself."""
    runs = data.translate(None, _NOT_BASE64_OR_PAD).split(b"=")
    return b"".join(_run(run) for run in runs if run)


def _run(letters: bytes) -> bytes:
    # One letter over is six bits: no octet.
    whole = letters[:-1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(whole + b"=" * (-len(whole) % 4))


def _base64(data: bytes) -> Decoded:
    letters = data.translate(None, _BLANKS)
    try:
        return Decoded(binascii.a2b_base64(letters, strict_mode=True))
    except binascii.Error:
        pass
    if len(letters.translate(None, _BASE64 + b"=")) * _FOREIGN_SHARE > len(letters):
        return Decoded(data, (lenient_base64(letters),), ("mime.base64.absent",))
    head, pad, tail = letters.partition(b"=")
    rest = tail.lstrip(b"=").translate(None, _NOT_BASE64)
    content = _run(head.translate(None, _NOT_BASE64))
    if not (pad and rest):
        return Decoded(content, (), ("mime.base64.broken",))
    return Decoded(content, (lenient_base64(letters),), ("mime.base64.continued",))


def _uuencode(data: bytes) -> Decoded:
    begin = _UU_BEGIN.search(data)
    if begin is None:
        return Decoded(data, (), ("mime.uuencode.broken",))
    out: list[bytes] = []
    size = idle = 0
    is_broken = False
    for found in _UU_LINE.finditer(data, begin.end()):
        if found[0].strip() == b"end":
            break
        octets, is_odd = _uu_line(found[0])
        is_broken |= is_odd
        size += len(octets)
        idle += not octets
        if size > max(len(data), _UU_FREE_BYTES) or idle > _MOST_IDLE_LINES:
            is_broken = True
            break
        out.append(octets)
    return Decoded(b"".join(out), (data,), ("mime.uuencode.broken",) if is_broken else ())


def _uu_line(line: bytes) -> tuple[bytes, bool]:
    """Decode one line; also whether something is wrong with it."""
    try:
        return binascii.a2b_uu(line), False
    except binascii.Error:
        pass
    try:
        # As uudecode programs do: take the announced length and ignore what stands behind it.
        return binascii.a2b_uu(line[: (((line[0] - 32) & 63) * 4 + 5) // 3]), True
    except binascii.Error:
        return b"", True


def _unknown(data: bytes) -> Decoded:
    others: list[bytes] = []
    letters = data.translate(None, _BLANKS + b"=")
    if len(letters) >= 16 and not letters.translate(None, _BASE64):
        others.append(lenient_base64(data))
    if b"=" in data:
        others.append(binascii.a2b_qp(data))
    return Decoded(data, tuple(o for o in others if o != data), ("mime.encoding.unknown",))
