"""Texts as plain octets, in which numbers can be looked for; and the mail addresses in them. Pure and linear."""

from __future__ import annotations

import re
import unicodedata

import re2

# A list with more has long been found to be one.
MAX_ADDRESSES = 10_000

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63"
_UNSEEN = "\u00ad\u034f\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_BLANKS = "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"


def _table() -> dict[int, str | None]:
    table: dict[int, str | None] = {0xFF00 + n: chr(0x20 + n) for n in range(1, 0x5F)}
    table |= dict.fromkeys(map(ord, _DASHES), "-") | dict.fromkeys(map(ord, _BLANKS), " ")
    table |= dict.fromkeys(map(ord, _UNSEEN))
    # The digits of other scripts, and styled ones. Raised and lowered digits are footnotes, not part of the number.
    for number in (*range(0x660, 0x1A9A), *range(0x2460, 0x24FF), *range(0xA620, 0xABFA), *range(0x1D7CE, 0x1D800)):
        if (digit := unicodedata.digit(chr(number), None)) is not None:
            table[number] = str(digit)
    return table


_TABLE = _table()
# Full-width commas are in every Chinese text and matter to no number; translating for them would cost a millisecond.
_DIGITS = "".join(chr(number) for number, plain in _TABLE.items() if plain and plain.isdigit())
_TO_MEND = re2.compile(f"[{_DIGITS}]|[0-9][{_DASHES}{_UNSEEN}{_BLANKS}]")
_AT = re.compile(rb"@[A-Za-z0-9][A-Za-z0-9.-]{1,254}+")
_DOMAIN = re.compile(rb"(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z][A-Za-z0-9-]{1,62}")
_LOCAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-"
_MAX_LOCAL = 64


def plain_octets(text: str) -> bytes:
    """Give a text in ASCII: full-width and other digits, dashes and blanks in their plain form, `?` for the rest."""
    if not text.isascii() and _TO_MEND.search(text.encode("utf-8", "replace")):
        text = text.translate(_TABLE)
    return text.encode("ascii", "replace")


def add_addresses(octets: bytes, addresses: set[bytes]) -> None:
    """Add the mail addresses in plain octets, in small letters."""
    for match in _AT.finditer(octets):
        if len(addresses) >= MAX_ADDRESSES:
            return
        before = octets[max(0, match.start() - _MAX_LOCAL) : match.start()]
        local = before[len(before.rstrip(_LOCAL)) :]
        domain = match[0][1:].rstrip(b".-")
        if local and _DOMAIN.fullmatch(domain):
            addresses.add((local + b"@" + domain).lower())
