"""The canonical forms of a mail: what exactly was signed.  RFC 6376 §3.4, on the octets as they came.

Wants canonical mail (mail/lines): CRLF is the only line end. Linear; each form is made once, when first asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from filterd.model.message import Message

_CRLF = b"\r\n"
_UNREAD = frozenset({"header.fields.exceeded", "header.bytes.exceeded"})


class Canonical:
    """One mail, for as many signatures as it has. `is_whole`: its header was read to the end."""

    def __init__(self, message: Message):
        self._message = message
        # A name takes the lowest fields there are (§5.4.2); with the lowest ones unread, it would take others.
        self.is_whole = _UNREAD.isdisjoint(message.defects)
        self._fields: dict[str, list[bytes]] = {}
        for field in message.fields:
            self._fields.setdefault(field.key, []).append(field.raw)
        self._relaxed: dict[bytes, bytes] = {}
        self._bodies: dict[str, bytes] = {}
        self._hashes: dict[tuple[str, int | None], bytes] = {}

    def count(self, name: str) -> int:
        """Say how many fields of a name (lower case) there are."""
        return len(self._fields.get(name, ()))

    def header_hash(self, names: Iterable[str], form: str, unsigned: bytes, own: bytes) -> bytes:
        """Hash the named fields and the signature field itself, SHA-256 (§3.7).

        Args:
            names: h= in lower case. A name said n times takes n fields, from the bottom up (§5.4.2); one that is not
                there adds nothing.
            unsigned: the signature's own field without the value of b=.
            own: the signature's own field, which no name takes.
        """
        hashed = hashlib.sha256()
        write = self._relax if form == "relaxed" else simple_field
        left: dict[str, int] = {}
        for name in names:
            fields = self._fields.get(name, ())
            at = left.get(name, len(fields)) - 1
            if at >= 0 and fields[at] is own:
                at -= 1
            left[name] = max(at, 0)
            if at >= 0:
                hashed.update(write(fields[at]))
        hashed.update((relaxed_field if form == "relaxed" else simple_field)(unsigned)[:-2])
        return hashed.digest()

    def body_length(self, form: str) -> int:
        """Say how many octets the canonical body has."""
        return len(self._body(form))

    def body_hash(self, form: str, length: int | None) -> bytes:
        """Hash the body, or its first `length` octets, SHA-256."""
        key = (form, length)
        if key not in self._hashes:
            self._hashes[key] = hashlib.sha256(memoryview(self._body(form))[:length]).digest()
        return self._hashes[key]

    def _body(self, form: str) -> bytes:
        if form not in self._bodies:
            body = self._message.raw[self._message.body_offset :]
            self._bodies[form] = relaxed_body(body) if form == "relaxed" else simple_body(body)
        return self._bodies[form]

    def _relax(self, raw: bytes) -> bytes:
        # Several signatures name the same fields.
        if raw not in self._relaxed:
            self._relaxed[raw] = relaxed_field(raw)
        return self._relaxed[raw]


def simple_field(raw: bytes) -> bytes:
    """§3.4.1: as it is. The last field of a mail without a body may lack its line end."""
    return raw if raw.endswith(_CRLF) else raw + _CRLF


def relaxed_field(raw: bytes) -> bytes:
    """§3.4.2: name in lower case, no folds, each run of blanks one space, none around the colon or at the end."""
    name, _, value = raw.partition(b":")
    if b"\x0b" in value or b"\x0c" in value:
        # Blanks to Python, not to the standard.
        words = value.replace(_CRLF, b"").replace(b"\t", b" ").split(b" ")
        value = b" ".join(filter(None, words))
    else:
        value = b" ".join(value.split())
    return name.rstrip(b" \t").lower() + b":" + value + _CRLF


def simple_body(body: bytes) -> bytes:
    """§3.4.3: no empty lines at the end; an empty body is one line end."""
    return _without_last_lines(body) + _CRLF


def relaxed_body(body: bytes) -> bytes:
    """§3.4.4: each run of blanks one space, none at line ends, no empty lines at the end; empty stays empty."""
    if b"\t" in body:
        body = body.replace(b"\t", b" ")
    # Halves the longest run each time: some twenty rounds at most, one for ordinary text.
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    body = _without_last_lines(body.replace(b" \r\n", _CRLF).removesuffix(b" "))
    return body + _CRLF if body else body


def _without_last_lines(body: bytes) -> bytes:
    """Take the line ends off the end, pair by pair."""
    kept = body.rstrip(_CRLF)
    tail = body[len(kept) :]
    if tail.count(_CRLF) * 2 == len(tail):
        return kept
    # Stray CR or LF before the last pairs; not in canonical mail.
    end = len(body)
    while body.endswith(_CRLF, 0, end):
        end -= 2
    return body[:end]
