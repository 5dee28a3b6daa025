"""XFORWARD and XCLIENT commands: values in xtext (RFC 3461 §4), in commands of bounded length (Postfix XFORWARD_README,
XCLIENT_README)."""

from __future__ import annotations

from collections.abc import Mapping

# XFORWARD_README: at most 255 octets a value and 512 a command, CRLF included.
MAX_VALUE_BYTES = 255
MAX_COMMAND_BYTES = 510
UNAVAILABLE = "[UNAVAILABLE]"

# Whoever offers to take these by XFORWARD is not told: who logged in is no matter of a trace.
_ONLY_XCLIENT = frozenset({"LOGIN", "DESTADDR", "DESTPORT"})
# Of several commands each begins anew, so these two must be together, and last; they fit into one.
_LAST = ("LOGIN", "ADDR")
_XCLIENT_PROTOCOLS = frozenset({"SMTP", "ESMTP"})


def encode(value: str) -> bytes:
    """Write `value` as xtext: printable ASCII as it is, `+`, `=` and all else as `+XX`."""
    octets = value.encode("utf-8", "replace")
    return b"".join(
        bytes((octet,)) if 33 <= octet <= 126 and octet not in b"+=" else b"+%02X" % octet for octet in octets
    )


def xforward_commands(offered: str, attributes: Mapping[str, str]) -> list[bytes]:
    """Say the commands, without line ends, that hand on those attributes that are offered. None offered: none.

    A value too long for the protocol is handed on as unavailable: half a name is worse than none.
    """
    names = [name for name in offered.upper().split() if name in attributes and name not in _ONLY_XCLIENT]
    return _packed(b"XFORWARD", [_pair(name, attributes[name]) for name in names])


def xclient_commands(offered: str, attributes: Mapping[str, str]) -> list[bytes]:
    """Say the commands, without line ends, that make the next hop take us for the client. None offered: none.

    What is offered and not known is unavailable, since on a used connection the last client's value would stand; but a
    protocol other than the two that XCLIENT has is left to the EHLO that follows.
    """
    names = [name for name in offered.upper().split() if name != "PROTO" or _protocol(attributes) is not None]
    pairs = {name: _pair(name, attributes.get(name, UNAVAILABLE)) for name in names}
    last = b"".join(pairs.pop(name) for name in _LAST if name in pairs)
    return _packed(b"XCLIENT", [*pairs.values(), last] if last else list(pairs.values()))


def _protocol(attributes: Mapping[str, str]) -> str | None:
    protocol = attributes.get("PROTO", "")
    return protocol if protocol in _XCLIENT_PROTOCOLS else None


def _pair(name: str, text: str) -> bytes:
    value = encode(text)
    if not value or len(value) > MAX_VALUE_BYTES:
        value = UNAVAILABLE.encode("ascii")
    return b" " + name.encode("ascii", "replace") + b"=" + value


def _packed(verb: bytes, pairs: list[bytes]) -> list[bytes]:
    commands: list[bytes] = []
    for pair in pairs:
        if not commands or len(commands[-1]) + len(pair) > MAX_COMMAND_BYTES:
            commands.append(verb)
        commands[-1] += pair
    return commands
