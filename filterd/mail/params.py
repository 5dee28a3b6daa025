"""Parameters of Content-Type and Content-Disposition: RFC 2045 §5.1 with RFC 2231, read with patience.

Linear in the length of the field; never raises. All readings are kept: a parameter given twice, in pieces
(`filename*0=`) or in a charset (`filename*=`) yields one value each, the one the standards prefer first.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from filterd.mail import charset
from filterd.mail.words import decode, literal

_PARAMETER = re.compile(r"""([^=;\s]++)\s*+(?>(?:=\s*+("(?>(?:[^"\\]|\\.)*)"?|[^;]*+))?)""", re.DOTALL)
_EXTENDED = re.compile(r"([^*]++)(?:\*([0-9]{1,5}))?(\*)?")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_TYPE = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]++/[!#$%&'*+.0-9A-Z^_`a-z{|}~-]++")
_NAMES = frozenset({"filename", "name"})
# Common values are few and short; hostile ones are cheap to read again.
_CACHED_BYTES = 200


class Value(NamedTuple):
    """A field value taken apart.

    `main` is what stands before the first semicolon, in lower case, without comments; `items` are (name in lower case,
    value); `is_odd` says that readers could differ: open quotes, comments around the type, pieces missing.
    """

    main: str
    items: tuple[tuple[str, str], ...]
    is_odd: bool = False

    def every(self, name: str) -> list[str]:
        """Give the different values of one parameter, the preferred one first."""
        return list(dict.fromkeys(value for key, value in self.items if key == name))

    @property
    def is_type(self) -> bool:
        """Say whether `main` is type/subtype."""
        return _TYPE.fullmatch(self.main) is not None


def parse(value: bytes) -> Value:
    """Take an unfolded field value apart."""
    return _parse_cached(value) if len(value) <= _CACHED_BYTES else _parse(value)


def _parse(value: bytes) -> Value:
    text = literal(value)
    main, semicolon, rest = text.partition(";")
    is_odd = "\0" in text
    if "(" in main:
        main, is_odd = _without_comments(main), True
    main = main.strip().strip("\"'").lower()
    # `Content-Type: text/plain charset=x`: without the semicolon some readers see the parameter and some do not.
    words = main.split()
    if len(words) > 1:
        main, is_odd = words[0], True
        rest = " ".join(text.partition(";")[0].split()[1:]) + semicolon + rest
    # `Content-Disposition: filename=x`: some readers see the parameter although the word before it is missing.
    if "=" in main and "/" not in main.partition("=")[0]:
        main, is_odd = "", True
        rest = text
    items: list[tuple[str, str]] = []
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in _PARAMETER.finditer(rest):
        raw = match[2] or ""
        if raw.startswith('"'):
            is_odd |= len(raw) < 2 or not raw.endswith('"')
            raw = _ESCAPE.sub(r"\1", raw[1:].removesuffix('"'))
        else:
            raw = raw.strip()
        name = match[1].lower()
        if "*" not in name:
            items.append((name, decode(raw.encode("utf-8")) if "=?" in raw else raw))
            first = raw.partition(" ")[0]
            if name in _NAMES and first != raw and "." in first and not (match[2] or "").startswith('"'):
                # RFC 2045 §5.1: a token ends at the blank, and a comment may follow; many read on.
                items.append((name, first))
        elif (extended := _EXTENDED.fullmatch(name)) is not None:
            piece = (raw, bool(extended[3]))
            if pieces.setdefault(extended[1], {}).setdefault(int(extended[2] or 0), piece) != piece:
                # Said twice: the other one is another reading.
                is_odd = True
                items.append((extended[1], _joined({0: piece})))
    joined = []
    for name, numbered in pieces.items():
        is_odd |= sorted(numbered) != list(range(len(numbered)))
        joined.append((name, _joined(numbered)))
    return Value(main, (*reversed(joined), *items), is_odd)


_parse_cached = lru_cache(maxsize=1024)(_parse)


def _joined(numbered: dict[int, tuple[str, bool]]) -> str:
    """Put the pieces of one parameter together; the first one names the charset.  RFC 2231 §3, §4."""
    octets: list[bytes] = []
    label: str | None = None
    for place, number in enumerate(sorted(numbered)):
        text, is_encoded = numbered[number]
        if is_encoded:
            if place == 0 and text.count("'") >= 2:
                label, _, text = text.split("'", 2)
            octets.append(unquote_to_bytes(text))
        else:
            octets.append(text.encode("utf-8", "replace"))
    whole = b"".join(octets)
    return charset.decode(whole, label) if label else literal(whole)


def _without_comments(text: str) -> str:
    out: list[str] = []
    depth = 0
    for character in text:
        if character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif not depth:
            out.append(character)
    return "".join(out)
