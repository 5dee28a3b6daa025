"""XFORWARD commands: values in xtext (RFC 3461 §4), in commands of bounded length (Postfix XFORWARD_README)."""

from __future__ import annotations

from collections.abc import Mapping

# XFORWARD_README: at most 255 octets a value and 512 a command, CRLF included.
MAX_VALUE_BYTES = 255
MAX_COMMAND_BYTES = 510
UNAVAILABLE = "[UNAVAILABLE]"


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
    names = [name for name in offered.upper().split() if name in attributes]
    commands: list[bytes] = []
    for name in names:
        value = encode(attributes[name])
        if not value or len(value) > MAX_VALUE_BYTES:
            value = UNAVAILABLE.encode("ascii")
        pair = b" " + name.encode("ascii", "replace") + b"=" + value
        if not commands or len(commands[-1]) + len(pair) > MAX_COMMAND_BYTES:
            commands.append(b"XFORWARD")
        commands[-1] += pair
    return commands
