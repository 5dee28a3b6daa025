"""Postfix's socketmap on the wire: netstrings, `name key` in; `OK data`, `NOTFOUND ` or trouble out.

socketmap_table(5). Pure, octets in, octets out. Raises PeerError for what is no request; the door then hangs up, and
Postfix puts the mail off.
"""

from __future__ import annotations

from filterd.errors import PeerError

# socketmap_table(5): a reply has at most 100,000 octets, a request is a name and an address.
MAX_REPLY_BYTES = 100_000
MAX_REQUEST_BYTES = 4096
_MAX_DIGITS = len(str(MAX_REQUEST_BYTES))

NOT_FOUND = b"NOTFOUND "


def parse_request(held: bytes) -> tuple[str, str, int] | None:
    """Read the request at the start of `held`: map, key, and how many octets it took; None while it is not whole."""
    digits, colon, _ = held.partition(b":")
    if not (digits.isdigit() or not held) or len(digits) > _MAX_DIGITS:
        raise PeerError("no netstring")
    if not colon:
        return None
    size = int(digits)
    if size > MAX_REQUEST_BYTES or digits != str(size).encode():
        raise PeerError("a netstring without end")
    start, end = len(digits) + 1, len(digits) + 1 + size
    if len(held) <= end:
        return None
    if held[end : end + 1] != b",":
        raise PeerError("a netstring that does not end where it says")
    name, blank, key = held[start:end].partition(b" ")
    if not blank or not name.isascii() or not name:
        raise PeerError("a socketmap request without a map")
    return name.decode("ascii"), key.decode("utf-8", "backslashreplace"), end + 1


def found(value: str) -> bytes:
    return b"OK " + _line(value)


def later(reason: str) -> bytes:
    """The map cannot be asked now."""
    return b"TEMP " + _line(reason)


def never(reason: str) -> bytes:
    """The question itself is wrong."""
    return b"PERM " + _line(reason)


def reply(said: bytes) -> bytes:
    said = said[:MAX_REPLY_BYTES]
    return b"%d:%b," % (len(said), said)


def _line(text: str) -> bytes:
    return "".join(c if c.isprintable() else " " for c in text).encode("utf-8", "replace")
