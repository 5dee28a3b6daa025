"""XFORWARD and XCLIENT: what a trusted peer says of the client it speaks for (Postfix XFORWARD_README, XCLIENT_README).

Pure: text of a command to attributes. Values are xtext (RFC 3461 §4); those of old Postfix are not encoded and read the
same unless they hold a `+`. Unavailable values become None. Raises PeerError with a text that may be shown.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from filterd.errors import PeerError

XFORWARD_NAMES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
XCLIENT_NAMES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")
# XFORWARD_README: octets of a value as sent, and of a whole command with its CRLF.
MAX_VALUE_BYTES = 255
MAX_COMMAND_BYTES = 512

_ABSENT = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_XTEXT_HEX = re.compile(rb"\+([0-9A-Fa-f]{2})")
# What Postfix masks, too: characters that would change the meaning of a trace header (smtpd NEUTER_CHARACTERS).
_MASKED = re.compile(r"[\s<>()\\\";@]|[^\x21-\x7e\u00a0-\U0010ffff]")


def attributes(argument: bytes, allowed: tuple[str, ...]) -> dict[str, str | None]:
    """Read `NAME=value ...`; names in upper case, the last of two equal names counts, as in Postfix."""
    pairs = argument.split()
    if not pairs:
        raise PeerError("attribute=value expected")
    if len(argument) > MAX_COMMAND_BYTES - len(b"XFORWARD \r\n"):
        raise PeerError("command too long")
    found: dict[str, str | None] = {}
    for pair in pairs:
        octets, equals, value = pair.partition(b"=")
        name = octets.decode("ascii", "replace").upper()
        if not equals or not value:
            raise PeerError("attribute=value expected")
        if name not in allowed:
            raise PeerError("bad attribute name")
        if len(value) > MAX_VALUE_BYTES:
            raise PeerError("attribute value too long")
        found[name] = _value(name, value)
        if allowed is XCLIENT_NAMES and name == "PROTO" and found[name] not in {None, "SMTP", "ESMTP"}:
            # XCLIENT_README knows these two; XFORWARD hands on the protocols of other systems, too.
            raise PeerError("bad PROTO")
    return found


def without_login(known: Mapping[str, str | None], new: Mapping[str, str | None]) -> dict[str, str | None]:
    """Merge the attributes of one more XCLIENT into those known.

    LOGIN is forgotten when the command names another client without saying who that is: a mail without account costs a
    finding, a mail under the wrong account costs somebody a strike.
    """
    merged = {**known, **new}
    if "LOGIN" not in new and not new.keys().isdisjoint({"ADDR", "NAME", "PORT"}):
        merged.pop("LOGIN", None)
    return merged


def encoded_address(address: str) -> str:
    """Write an address as both commands want it: IPv6 with the prefix `IPV6:`."""
    return f"IPV6:{address}" if ":" in address else address


def _value(name: str, octets: bytes) -> str | None:
    if octets.decode("ascii", "replace").upper() in _ABSENT:
        return None
    plain = _XTEXT_HEX.sub(lambda match: bytes((int(match[1], 16),)), octets)
    text = plain.decode("utf-8", "replace")
    match name:
        case "ADDR" | "DESTADDR":
            return _address(text)
        case "PORT" | "DESTPORT":
            if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
                raise PeerError(f"bad {name}")
            return str(int(text))
        case "PROTO":
            if text.upper() not in {"SMTP", "ESMTP"}:
                # The word is only ever shown.
                return _MASKED.sub("?", text)[:64]
            return text.upper()
        case "SOURCE":
            if text.upper() not in {"LOCAL", "REMOTE"}:
                raise PeerError("bad SOURCE")
            return text.upper()
        case "LOGIN":
            try:
                return plain.decode("utf-8")
            except UnicodeDecodeError:
                # Two logins must not become one because neither can be read.
                raise PeerError("bad LOGIN") from None
        case "NAME":
            return None if text.lower() == "unknown" else _MASKED.sub("?", text)
        case _:
            return _MASKED.sub("?", text)


def _address(text: str) -> str:
    bare = text[5:] if text[:5].upper() == "IPV6:" else text
    try:
        if "%" in bare:
            raise ValueError
        return str(ipaddress.ip_address(bare))
    except ValueError:
        raise PeerError("bad address") from None
