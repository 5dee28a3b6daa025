"""What is in a zip, read by hand so that a bomb costs no more than its budget.  PKWARE APPNOTE 4.3; FAULTS F19.

The standard library's reader builds an object for each entry before anybody can stop it, and takes overlapping entries
(CVE-2024-0450). Here the central directory is read entry by entry up to a number, sizes that a zip declares are never
believed, and inflating stops at the octet the caller allows.
"""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from typing import NamedTuple

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_END_MAGIC, _END_64_MAGIC, _LOCATOR_64_MAGIC = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY_MAGIC, _LOCAL_MAGIC = b"PK\x01\x02", b"PK\x03\x04"
_MAX_COMMENT = 65_535
_IN_64 = 0xFFFFFFFF

_ENCRYPTED_FLAG, _UTF8_FLAG = 0x0001, 0x0800
STORED, DEFLATED, _AES = 0, 8, 99
# Deflate at its worst adds 5 octets to each 16 KiB; who declares less than that is lying.
_MAX_GROWTH = 1.01
_SLACK_BYTES = 64


class Entry(NamedTuple):
    """One line of the directory. `offset` is that of its local header in the file; `declared` may be a lie."""

    name: str
    method: int
    packed_bytes: int
    declared_bytes: int
    offset: int
    is_encrypted: bool


class Directory(NamedTuple):
    """The entries, and what is wrong, in codes: `broken`, `entries`, `overlap`, `size`."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]


class Inflated(NamedTuple):
    """The octets of an entry, as many as were asked for; `is_whole` when that was all, `is_broken` when it failed."""

    content: bytes
    is_whole: bool
    is_broken: bool = False


def read(content: bytes, most: int) -> Directory:
    """Read the directory of a zip, at most so many entries. Never raises."""
    place = _directory_place(content)
    if place is None:
        return Directory((), ("broken",))
    at, end, shift = place
    entries: list[Entry] = []
    problems: dict[str, None] = {}
    while at + _ENTRY.size <= end and content[at : at + 4] == _ENTRY_MAGIC:
        if len(entries) >= most:
            problems["entries"] = None
            break
        fields = _ENTRY.unpack_from(content, at)
        flags, method, packed, declared = fields[3], fields[4], fields[8], fields[9]
        name_bytes, extra_bytes, comment_bytes = fields[10:13]
        extra_at = at + _ENTRY.size + name_bytes
        if _IN_64 in (packed, declared, fields[16]):
            extra = content[extra_at : extra_at + extra_bytes]
            declared, packed, offset = _sizes_64(extra, declared, packed, fields[16])
        else:
            offset = fields[16]
        name = _name(content[extra_at - name_bytes : extra_at], flags)
        is_encrypted = bool(flags & _ENCRYPTED_FLAG) or method == _AES
        entries.append(Entry(name, method, packed, declared, offset + shift, is_encrypted))
        if packed > declared * _MAX_GROWTH + _SLACK_BYTES:
            problems["size"] = None
        at = extra_at + extra_bytes + comment_bytes
    if not entries and content[:4] == _LOCAL_MAGIC:
        problems["broken"] = None
    if _is_overlapping(entries):
        problems["overlap"] = None
    return Directory(tuple(entries), tuple(problems))


def inflate(content: bytes, entry: Entry, most: int) -> Inflated:
    """Give the first octets of an entry, at most so many. Only stored and deflated ones can be read.

    Handed the packed octets whole, because empty blocks may stand before the first one that says something: linear over
    all entries only where they do not overlap.
    """
    begin = _data_place(content, entry)
    # To zlib a limit of nothing is no limit.
    if most <= 0:
        return Inflated(b"", is_whole=False)
    if begin is None or entry.is_encrypted or entry.method not in (STORED, DEFLATED):
        return Inflated(b"", is_whole=False, is_broken=begin is None)
    if entry.method == STORED:
        data = content[begin : begin + min(entry.packed_bytes, most)]
        return Inflated(data, is_whole=entry.packed_bytes <= most, is_broken=len(data) < min(entry.packed_bytes, most))
    packed = memoryview(content)[begin : begin + entry.packed_bytes]
    reader = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = reader.decompress(packed, most)
        is_whole = reader.eof or (len(data) < most and len(packed) == entry.packed_bytes)
    except zlib.error:
        return Inflated(b"", is_whole=False, is_broken=True)
    return Inflated(data, is_whole)


def is_behind(content: bytes) -> bool:
    """Say whether a file that does not begin like a zip ends like one."""
    place = _directory_place(content)
    return place is not None and content[place[0] : place[0] + 4] == _ENTRY_MAGIC


def _directory_place(content: bytes) -> tuple[int, int, int] | None:
    """Say where the directory begins and ends, and by how much all offsets are off (octets put in front)."""
    end = content.rfind(_END_MAGIC, max(0, len(content) - _MAX_COMMENT - _END.size))
    if end < 0:
        end = content.rfind(_END_MAGIC)
    if end < 0 or end + _END.size > len(content):
        return None
    *_, size, offset, _comment = _END.unpack_from(content, end)
    locator = end - _LOCATOR_64.size
    if locator >= 0 and content[locator : locator + 4] == _LOCATOR_64_MAGIC:
        end_64 = _LOCATOR_64.unpack_from(content, locator)[2]
        if content[end_64 : end_64 + 4] != _END_64_MAGIC or end_64 + _END_64.size > len(content):
            return None
        *_, size, offset = _END_64.unpack_from(content, end_64)
        end = end_64
    begin = end - size
    if begin < 0 or offset > begin:
        return None
    return begin, end, begin - offset


def _sizes_64(extra: bytes, declared: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Read the sizes that did not fit, in this order, from extra field 1.  APPNOTE 4.5.3."""
    at = 0
    values: list[int] = []
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            body = extra[at + 4 : at + 4 + size]
            values = [v for (v,) in struct.iter_unpack("<Q", body[: len(body) // 8 * 8])]
            break
        at += 4 + size
    wide = iter(values)
    declared, packed, offset = (
        next(wide, size) if size == _IN_64 else size for size in (declared, packed, offset)
    )
    return declared, packed, offset


def _name(octets: bytes, flags: int) -> str:
    # Without the flag it is the local code page of whoever packed it: in China GBK, elsewhere mostly UTF-8 by now.
    if flags & _UTF8_FLAG:
        return octets.decode("utf-8", "replace")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("gb18030", "replace")


def _is_overlapping(entries: list[Entry]) -> bool:
    places = sorted((entry.offset, entry.packed_bytes) for entry in entries)
    return any(
        offset + _LOCAL.size + packed > following
        for (offset, packed), (following, _) in pairwise(places)
    )


def _data_place(content: bytes, entry: Entry) -> int | None:
    if entry.offset + _LOCAL.size > len(content) or not content.startswith(_LOCAL_MAGIC, entry.offset):
        return None
    *_, name_bytes, extra_bytes = _LOCAL.unpack_from(content, entry.offset)
    return entry.offset + _LOCAL.size + int(name_bytes) + int(extra_bytes)
