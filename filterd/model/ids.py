"""Identifiers. Random ones for transactions and subjects, derived ones wherever two nodes must agree (STANDING 5.7-10).

Random ids are 26 characters of Crockford base32 (48 bits of milliseconds, 80 random bits), so that they sort by time.
Derived ids are the first 20 bytes of SHA-256 over length-prefixed parts, in lower-case hex.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def random_id(prefix: str, at: datetime) -> str:
    """Make a fresh id such as `t_01j…`, ordered by `at` to the millisecond."""
    number = (int(at.timestamp() * 1000) << 80) | int.from_bytes(os.urandom(10), "big")
    digits = []
    for _ in range(26):
        number, rest = divmod(number, 32)
        digits.append(_ALPHABET[rest])
    return f"{prefix}_{''.join(reversed(digits))}"


def _framed(parts: tuple[str | bytes, ...]) -> bytes:
    out = bytearray()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        out += len(raw).to_bytes(4, "big") + raw
    return bytes(out)


def derived_id(prefix: str, *parts: str | bytes) -> str:
    """Make the id that every node makes from the same parts."""
    return f"{prefix}_{hashlib.sha256(_framed(parts)).hexdigest()[:40]}"


def keyed_hash(key: bytes, *parts: str | bytes) -> str:
    """HMAC-SHA-256 over length-prefixed parts, 32 hex digits: a pseudonym that outsiders cannot recompute."""
    return hmac.new(key, _framed(parts), hashlib.sha256).hexdigest()[:32]
