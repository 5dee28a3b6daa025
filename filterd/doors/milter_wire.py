"""The milter protocol on the wire, versions 2 to 6: octets in, commands out; replies in, octets out (libmilter).

No sockets, no waiting, no policy. A packet is its length (four octets, big-endian), a command letter, and data. What
the MTA sends becomes one of the `Command`s; what breaks the protocol raises PeerError, and the door then hangs up and
the MTA does what its own `milter_default_action` says. Strings are octets: addresses may be of any charset.

    version 2      no DATA, no UNKNOWN, an answer to every header and body chunk
    version 3, 4   UNKNOWN, DATA
    version 6      SETSYMLIST, SKIP, NR_* (steps without an answer), HDR_LEADSPC
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntFlag

from filterd.errors import PeerError, UsageError
from filterd.model.reply import Reply

VERSION = 6
LEAST_VERSION = 2
# MILTER_MDS_1M of Sendmail 8.14, the most an MTA sends at once, and the letter. Postfix sends 65,535 octets.
MAX_PACKET_BYTES = 1_048_576 + 1
MAX_ARGUMENTS = 200
# smfi_setmlreply(3): 32 lines; 980 octets each.
MAX_REPLY_LINES = 32
MAX_REASON_BYTES = 100


class Action(IntFlag):
    """What a filter may do to a mail (SMFIF_*)."""

    ADDHDRS = 0x1
    CHGBODY = 0x2
    ADDRCPT = 0x4
    DELRCPT = 0x8
    CHGHDRS = 0x10
    QUARANTINE = 0x20
    CHGFROM = 0x40
    ADDRCPT_PAR = 0x80
    SETSYMLIST = 0x100


class Step(IntFlag):
    """What the MTA need not send, or need not wait for (SMFIP_*)."""

    NOCONNECT = 0x1
    NOHELO = 0x2
    NOMAIL = 0x4
    NORCPT = 0x8
    NOBODY = 0x10
    NOHDRS = 0x20
    NOEOH = 0x40
    NR_HDR = 0x80
    NOUNKNOWN = 0x100
    NODATA = 0x200
    SKIP = 0x400
    RCPT_REJ = 0x800
    NR_CONN = 0x1000
    NR_HELO = 0x2000
    NR_MAIL = 0x4000
    NR_RCPT = 0x8000
    NR_DATA = 0x10000
    NR_UNKN = 0x20000
    NR_EOH = 0x40000
    NR_BODY = 0x80000
    HDR_LEADSPC = 0x100000


# Stages of SETSYMLIST (SMFIM_*), by the letter of the command whose macros they are.
STAGES: Mapping[str, int] = {"C": 0, "H": 1, "M": 2, "R": 3, "T": 4, "E": 5, "N": 6}

# --- what the MTA sends -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Negotiate:
    """`O`: what the MTA can do. Comes first."""

    version: int
    actions: Action
    steps: Step


@dataclass(frozen=True, slots=True)
class Macros:
    """`D`: macros for the command that follows, whose letter `stage` is. Names without braces."""

    stage: str
    values: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Connect:
    """`C`. `family`: 4, 6, L (a UNIX socket) or U (unknown, without address and port)."""

    hostname: bytes
    family: str
    port: int
    address: bytes


@dataclass(frozen=True, slots=True)
class Helo:
    name: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """`M`: the reverse-path in brackets, then ESMTP parameters verbatim."""

    arguments: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Rcpt:
    """`R`: the forward-path in brackets, then ESMTP parameters verbatim."""

    arguments: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Data:
    pass


@dataclass(frozen=True, slots=True)
class Header:
    """`L`: one field. `value` has LF inside, where it is folded, and with HDR_LEADSPC begins behind the colon."""

    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class EndOfHeader:
    pass


@dataclass(frozen=True, slots=True)
class Body:
    octets: bytes


@dataclass(frozen=True, slots=True)
class EndOfMessage:
    """`E`: the dot. Old MTAs send the last of the body with it."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Abort:
    """`A`: forget the message, keep the connection and its macros."""


@dataclass(frozen=True, slots=True)
class Quit:
    """`Q`, or with `is_reused` `K`: the next client will come on the same connection."""

    is_reused: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """`U`: an SMTP command the MTA does not know."""

    octets: bytes


Command = (
    Negotiate | Macros | Connect | Helo | Mail | Rcpt | Data | Header | EndOfHeader | Body | EndOfMessage | Abort
    | Quit | Unknown
)  # fmt: skip


class Decoder:
    """Octets as they come, in pieces of any size, to commands."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, octets: bytes) -> list[Command]:
        """Say the commands that are whole now. Raises PeerError; nothing can be read afterwards."""
        held = self._held
        held += octets
        found: list[Command] = []
        at = 0
        while len(held) - at >= 4:
            (length,) = struct.unpack_from(">I", held, at)
            if not 1 <= length <= MAX_PACKET_BYTES:
                raise PeerError(f"a milter packet of {length} octets")
            if len(held) - at < 4 + length:
                break
            letter, data = chr(held[at + 4]), bytes(held[at + 5 : at + 4 + length])
            found.append(_command(letter, data))
            at += 4 + length
        del held[:at]
        return found


def _command(letter: str, data: bytes) -> Command:
    match letter:
        case "O":
            return _negotiate(data)
        case "D":
            return _macros(data)
        case "C":
            return _connect(data)
        case "H":
            return Helo(_strings(data, 1, 1)[0])
        case "M":
            return Mail(_strings(data, 1))
        case "R":
            return Rcpt(_strings(data, 1))
        case "L":
            return _header(data)
        case "T":
            return Data()
        case "N":
            return EndOfHeader()
        case "B":
            return Body(data)
        case "E":
            return EndOfMessage(data)
        case "A":
            return Abort()
        case "Q" | "K":
            return Quit(is_reused=letter == "K")
        case "U":
            return Unknown(data.removesuffix(b"\0"))
        case _:
            raise PeerError(f"milter command {letter!r}")


def _negotiate(data: bytes) -> Negotiate:
    # Sendmail sends 12 octets; what may come behind them is of a later version.
    if len(data) < 12:
        raise PeerError("a milter negotiation that is too short")
    version, actions, steps = struct.unpack_from(">III", data)
    if version < LEAST_VERSION:
        raise PeerError(f"milter version {version}")
    return Negotiate(version, Action(actions & sum(Action)), Step(steps & sum(Step)))


def _macros(data: bytes) -> Macros:
    if not data:
        raise PeerError("milter macros without a stage")
    rest = _strings(data[1:], 0) if len(data) > 1 else ()
    if len(rest) % 2:
        raise PeerError("a milter macro without a value")
    values = {_bare(name): value for name, value in zip(rest[::2], rest[1::2], strict=True)}
    return Macros(chr(data[0]), values)


def _bare(name: bytes) -> str:
    """Postfix writes `{name}`, Sendmail writes single letters without braces, and both have done otherwise."""
    text = name.decode("ascii", "replace")
    return text[1:-1] if text.startswith("{") and text.endswith("}") else text


def _connect(data: bytes) -> Connect:
    hostname, nul, rest = data.partition(b"\0")
    if not nul or not rest:
        raise PeerError("a milter CONNECT that is too short")
    family = chr(rest[0])
    if family == "U":
        return Connect(hostname, family, 0, b"")
    if family not in "46L" or len(rest) < 3:
        raise PeerError(f"milter CONNECT with address family {family!r}")
    (port,) = struct.unpack_from(">H", rest, 1)
    return Connect(hostname, family, port, _strings(rest[3:], 1, 1)[0])


def _header(data: bytes) -> Header:
    name, nul, value = data.partition(b"\0")
    if not nul or not name or not value.endswith(b"\0"):
        raise PeerError("a milter header that is no name and value")
    # A value may hold NUL where the mail does.
    return Header(name, value[:-1])


def _strings(data: bytes, least: int, most: int = MAX_ARGUMENTS) -> tuple[bytes, ...]:
    if data and not data.endswith(b"\0"):
        raise PeerError("a milter string without its end")
    parts = tuple(data[:-1].split(b"\0")) if data else ()
    if not least <= len(parts) <= most:
        raise PeerError(f"{len(parts)} milter arguments")
    return parts


# --- what the filter answers ------------------------------------------------------------------------------------------


def _packet(letter: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data) + 1) + letter + data


CONTINUE = _packet(b"c")
ACCEPT = _packet(b"a")
DISCARD = _packet(b"d")
TEMPFAIL = _packet(b"t")
SKIP = _packet(b"s")
PROGRESS = _packet(b"p")
# 421 and the end of the client's session.
SHUTDOWN = _packet(b"4")
CONNECTION_FAILED = _packet(b"f")


def negotiated(version: int, actions: Action, steps: Step, macros: Mapping[str, Iterable[str]] | None = None) -> bytes:
    """Answer a negotiation.

    Args:
        macros: by the letter of a command, the macros wanted at it; only with SETSYMLIST among the actions.
    """
    lists = b"".join(
        struct.pack(">I", STAGES[stage]) + " ".join(_spelled(name) for name in names).encode("ascii") + b"\0"
        for stage, names in (macros or {}).items()
    )
    return _packet(b"O", struct.pack(">III", version, actions, steps) + lists)


def _spelled(name: str) -> str:
    return name if len(name) == 1 else f"{{{name}}}"


def reply_code(reply: Reply) -> bytes:
    """Refuse with our own words: `y`, in one line or several.

    Raises UsageError for a reply that is no refusal: the protocol carries 4xx and 5xx only.
    """
    if reply.is_positive:
        raise UsageError(f"a milter cannot answer {reply.code}")
    lines = reply.lines()
    if len(lines) > MAX_REPLY_LINES:
        lines = [*lines[: MAX_REPLY_LINES - 1], lines[-1]]
    # smfi_setreply(3): the text is a format for the MTA, so each percent sign is doubled.
    text = "\r\n".join(lines).replace("%", "%%")
    return _packet(b"y", text.encode("ascii", "replace") + b"\0")


def insert_header(index: int, name: bytes, value: bytes, *, has_leading_space: bool) -> bytes:
    """Put a field before the one at `index`; 0 is the top.

    Args:
        value: what stands behind the colon in the mail, folds as LF.
        has_leading_space: HDR_LEADSPC was negotiated; without it the MTA puts the blank itself.
    """
    return _packet(b"i", struct.pack(">I", index) + name + b"\0" + _value(value, has_leading_space) + b"\0")


def delete_header(name: bytes, nth: int) -> bytes:
    """Take out the `nth` field of this name, counted from 1 among those of the name as the MTA has them now."""
    return _packet(b"m", struct.pack(">I", nth) + name + b"\0\0")


def quarantine(reason: str) -> bytes:
    """Have the MTA hold the mail (Postfix: the hold queue, Sendmail: quarantined). Goes before the last answer."""
    return _packet(b"q", reason.encode("ascii", "replace").replace(b"\0", b" ")[:MAX_REASON_BYTES] + b"\0")


def _value(value: bytes, has_leading_space: bool) -> bytes:
    if b"\0" in value or b"\r" in value:
        raise UsageError("CR or NUL in a header for a milter")
    return value if has_leading_space else value.removeprefix(b" ")
