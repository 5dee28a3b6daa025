"""Archives that are recognised but not opened: is it known that nobody but the recipient can?

Reads a few octets of the headers; None of it decodes anything. Sources: RAR 4 technical note (archive and file flags),
RAR 5 technical note (header types, extra records), 7zFormat.txt (signature header, coder identifiers).
"""

from __future__ import annotations

_RAR5 = b"Rar!\x1a\x07\x01\0"
_RAR4_BYTES = 7
_RAR4_ARCHIVE, _RAR4_FILE = 0x73, 0x74
_RAR4_HEADERS_ENCRYPTED, _RAR4_FILE_ENCRYPTED = 0x0080, 0x0004
_RAR5_FILE, _RAR5_ENCRYPTION = 2, 4
_RAR5_EXTRA, _RAR5_DATA = 0x0001, 0x0002
_7Z_HEADER_BYTES = 32
# The identifier of AES-256 with SHA-256, where a coder list names it in clear.
_7Z_AES = b"\x06\xf1\x07\x01"
# File headers that are looked at; a password covers all files or, rarely, some.
_MOST_HEADERS = 16


def is_encrypted(kind: str, content: bytes) -> bool:
    """Say whether the headers name a password; False also where they cannot be read."""
    if kind == "7z":
        return _is_7z_encrypted(content)
    if kind == "rar":
        return _is_rar5_encrypted(content) if content.startswith(_RAR5) else _is_rar4_encrypted(content)
    return False


def _is_7z_encrypted(content: bytes) -> bool:
    begin = _7Z_HEADER_BYTES + int.from_bytes(content[12:20], "little")
    size = min(int.from_bytes(content[20:28], "little"), 1 << 20)
    return _7Z_AES in content[begin : begin + size]


def _is_rar4_encrypted(content: bytes) -> bool:
    at = _RAR4_BYTES
    for _ in range(_MOST_HEADERS):
        header = content[at : at + 11]
        if len(header) < _RAR4_BYTES:
            return False
        kind, flags = header[2], int.from_bytes(header[3:5], "little")
        if kind == _RAR4_ARCHIVE and flags & _RAR4_HEADERS_ENCRYPTED:
            return True
        if kind == _RAR4_FILE and flags & _RAR4_FILE_ENCRYPTED:
            return True
        size = int.from_bytes(header[5:7], "little")
        packed = int.from_bytes(header[7:11], "little") if kind == _RAR4_FILE or flags & 0x8000 else 0
        if size < _RAR4_BYTES:
            return False
        at += size + packed
    return False


def _is_rar5_encrypted(content: bytes) -> bool:
    at = len(_RAR5)
    for _ in range(_MOST_HEADERS):
        # After a checksum of 4 octets: size, type, flags, then the sizes of the extra area and of the data, if any.
        size, begin = _number(content, at + 4)
        kind, next_at = _number(content, begin)
        flags, next_at = _number(content, next_at)
        if kind == _RAR5_ENCRYPTION:
            return True
        if not size or kind > _RAR5_ENCRYPTION:
            return False
        extra = data = 0
        if flags & _RAR5_EXTRA:
            extra, next_at = _number(content, next_at)
        if flags & _RAR5_DATA:
            data, next_at = _number(content, next_at)
        end = begin + size
        if kind == _RAR5_FILE and extra and _has_encryption_record(content, end - extra, end):
            return True
        at = end + data
    return False


def _has_encryption_record(content: bytes, at: int, end: int) -> bool:
    for _ in range(_MOST_HEADERS):
        size, begin = _number(content, at)
        kind, _ = _number(content, begin)
        if not size or begin >= end:
            return False
        if kind == 1:
            return True
        at = begin + size
    return False


def _number(content: bytes, at: int) -> tuple[int, int]:
    """Read a number of 7 bits an octet, low ones first; say it and where it ends."""
    value = 0
    for place, octet in enumerate(content[at : at + 10]):
        value |= (octet & 0x7F) << (7 * place)
        if octet < 0x80:
            return value, at + place + 1
    return 0, at + 1
