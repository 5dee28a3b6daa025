"""What is in a winmail.dat: text and files that Outlook packs into one part.  MS-OXTNEF §2.1.

Only the attributes of the outer stream are read: subject, plain body, names and contents of files. What stands in its
MAPI properties (rich text, long file names) is not. Never raises; a length that is a lie ends the reading.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

TYPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
_SIGNATURE = b"\x78\x9f\x3e\x22"
_HEADER_BYTES = 6
_ATTRIBUTE = struct.Struct("<BHHL")
_CHECKSUM_BYTES = 2
_SUBJECT, _BODY, _DATA, _TITLE = 0x8004, 0x800C, 0x800F, 0x8010
# Nobody packs more by hand.
_MOST = 2_000


class Piece(NamedTuple):
    """Text of the mail (`is_text`), a file's name, or a file's contents."""

    content: bytes
    is_text: bool
    is_name: bool


def is_tnef(content: bytes) -> bool:
    """Say whether octets begin like a TNEF stream."""
    return content.startswith(_SIGNATURE)


def pieces(content: bytes) -> Iterator[Piece]:
    """Give what can be read of a TNEF stream, in order."""
    if not is_tnef(content):
        return
    at = _HEADER_BYTES
    for _ in range(_MOST):
        if at + _ATTRIBUTE.size > len(content):
            return
        _level, number, _type, size = _ATTRIBUTE.unpack_from(content, at)
        begin = at + _ATTRIBUTE.size
        data = content[begin : begin + size]
        if len(data) < size:
            return
        if number in (_SUBJECT, _BODY, _TITLE, _DATA):
            is_name = number == _TITLE
            yield Piece(
                data if number == _DATA else data.rstrip(b"\0"), is_text=number in (_SUBJECT, _BODY), is_name=is_name
            )
        at = begin + size + _CHECKSUM_BYTES
