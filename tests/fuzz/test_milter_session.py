"""Whole milter sessions: every answer and every message that is judged are those of a naive filter (libmilter).

The naive filter is a table of states and knows nothing of filterd. The MTA may send anything at any time: what is out
of order ends the connection without a word, and the MTA's own milter_default_action counts. No sockets: octets in,
octets out.
"""

from __future__ import annotations

import asyncio
import re
import struct
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.config import MilterConfig
from filterd.doors.milter import MilterConnection, MilterDoor
from filterd.doors.smtp_settings import DEFAULT_BOUNDS
from filterd.errors import PeerError
from tests.dialogs.house import FakeGate
from tests.fuzz import naive
from tests.fuzz.runs import commands_in_memory, seed_left, with_seeds
from tests.fuzz.test_codecs import MILTER

# SMFIP_NR_*: the steps whose answer the MTA does not wait for, as far as the filter asks for them.
NO_REPLY = {"C": 0x1000, "H": 0x2000, "L": 0x80, "N": 0x40000}
LEADING_SPACE = 0x100000
# SMFIF_ADDHDRS, SMFIF_CHGHDRS: without them forged fields could not be taken out.
NEEDED = 0x11

Packet = tuple[str, bytes]


def packet(letter: str, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data) + 1) + letter.encode("latin-1") + data


@dataclass
class NaiveFilter:
    """The letters of all answers, in order, and the messages that are judged. `is_over`: it has hung up."""

    steps: int = 0
    is_negotiated: bool = False
    is_over: bool = False
    answers: list[str] = field(default_factory=list)
    message: list[Any] | None = None
    messages: list[tuple[int, bytes]] = field(default_factory=list)

    def hear(self, letter: str, data: bytes) -> None:
        if letter == "Q":
            self.is_over = True
        elif letter == "O":
            self.negotiate(data)
        elif not self.is_negotiated and letter != "K":
            self.is_over = True
        elif letter in "CAK":
            self.message = None
            if letter == "C":
                self.answer(letter)
        elif letter in "HTU":
            self.answer(letter)
        elif letter == "M":
            self.is_over = self.message is not None
            self.message = [0, b"", b""]
            self.answer(letter)
        elif letter in "RLNBE":
            self.in_message(letter, data)

    def negotiate(self, data: bytes) -> None:
        _, actions, steps = struct.unpack(">III", data)
        if actions & NEEDED != NEEDED:
            self.is_over = True
            return
        self.is_negotiated, self.steps = True, steps
        self.answer("O", "O")

    def in_message(self, letter: str, data: bytes) -> None:
        if self.message is None or (letter == "E" and not self.message[0]):
            self.is_over = True
            return
        match letter:
            case "R":
                self.message[0] += 1
            case "L":
                name, _, value = data[:-1].partition(b"\0")
                blank = b"" if self.steps & LEADING_SPACE or not value else b" "
                self.message[1] += name + b":" + blank + value + b"\r\n"
            case "B" | "E":
                self.message[2] += data
        if letter == "E":
            rcpts, header, body = self.message
            # CRLF is the only line end there is.
            raw = re.sub(rb"\r\n|\n", b"\n", header + b"\r\n" + body).replace(b"\r", b" ").replace(b"\n", b"\r\n")
            self.messages.append((rcpts, raw))
            self.message = None
            self.answer("E", "a")
        else:
            self.answer(letter)

    def answer(self, letter: str, said: str = "c") -> None:
        if not self.is_over and not NO_REPLY.get(letter, 0) & self.steps:
            self.answers.append(said)


_BODIES = st.lists(st.sampled_from([b"a", b"\r\n", b"\r", b"\n", b"\0", b"\xff", b".\r\n"]), max_size=5).map(b"".join)
_OFFERS = st.tuples(
    st.sampled_from([2, 6, 6, 6, 9]), st.sampled_from([0x1FF, 0x1FF, 0x1FF, 0x11, 0x1EF]),
    st.sampled_from([0x1FFFFF, 0x1FFFFF, 0, 0x7F, LEADING_SPACE, 0xFFFFFFFF]),
).map(lambda x: struct.pack(">III", *x))  # fmt: skip
_FIELDS = st.sampled_from([b"A\0 x\0", b"A\0x\0", b"Empty\0\0", b"Subject\0 a b\0"])
PACKETS = st.one_of(
    st.sampled_from([("M", b"<a@b>\0"), ("R", b"<c@d>\0"), ("M", b"<>\0SIZE=1\0"), ("R", b"<e@f>\0NOTIFY=NEVER\0")]),
    st.sampled_from([("T", b""), ("N", b""), ("A", b""), ("K", b""), ("Q", b""), ("U", b"X\0"), ("E", b"")]),
    st.sampled_from([("C", b"h\x004\x13\x88192.0.2.7\0"), ("C", b"h\0U"), ("H", b"helo\0"), ("D", b"Mi\x001\0")]),
    _FIELDS.map(lambda data: ("L", data)),
    _BODIES.map(lambda data: ("B", data)),
    _BODIES.map(lambda data: ("E", data)),
)
# What an MTA does comes often: else no message would ever end.
MAIL = st.tuples(st.lists(_FIELDS, max_size=3), _BODIES).map(
    lambda x: [
        ("M", b"<a@b>\0"),
        ("R", b"<c@d>\0"),
        *(("L", data) for data in x[0]),
        ("N", b""),
        ("B", x[1]),
        ("E", b""),
    ]
)
SESSIONS = st.tuples(
    st.one_of(_OFFERS.map(lambda data: [("O", data)]), st.just([])),
    st.lists(st.one_of(PACKETS.map(lambda one: [one]), MAIL, _OFFERS.map(lambda data: [("O", data)])), max_size=8),
).map(lambda x: [*x[0], *(one for some in x[1] for one in some)])


class Wire:
    """The filter's end of a connection, for writing."""

    def __init__(self) -> None:
        self.octets = b""
        self._is_closed = False

    def write(self, octets: bytes) -> None:
        self.octets += octets

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        self._is_closed = True

    def is_closing(self) -> bool:
        return self._is_closed

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        return ("127.0.0.1", 40_000) if name == "peername" else None


async def converse(octets: bytes) -> tuple[bytes, FakeGate, list[BaseException]]:
    """Say what the filter writes to an MTA that sends this and leaves."""
    gate, errors, wire = FakeGate(), [], Wire()
    config = MilterConfig.model_validate({"address": "inet:127.0.0.1:0"})
    door = MilterDoor(config, gate, on_error=lambda _, err: errors.append(err), bounds=DEFAULT_BOUNDS, progress_s=3600)
    reader = asyncio.StreamReader()
    reader.feed_data(octets)
    reader.feed_eof()
    await MilterConnection(door).talk(reader, cast(asyncio.StreamWriter, wire))
    assert wire.is_closing()
    assert door.budget.held_bytes == 0
    assert door.opened.connections == set()
    return wire.octets, gate, errors


def letters(octets: bytes) -> list[str]:
    found = []
    while octets:
        length = int.from_bytes(octets[:4], "big")
        assert 0 < length <= len(octets) - 4
        found.append(chr(octets[4]))
        octets = octets[4 + length :]
    return found


async def hold(packets: list[Packet]) -> None:
    naive_filter = NaiveFilter()
    for letter, data in packets:
        if not naive_filter.is_over:
            naive_filter.hear(letter, data)
    octets = b"".join(packet(*one) for one in packets)
    with seed_left("milter-session", octets):
        said, gate, errors = await converse(octets)
        assert letters(said) == naive_filter.answers
        judged = [(len(intake.envelope.forward_paths), intake.raw) for intake in gate.intakes]
        assert judged == naive_filter.messages
        assert [type(err) for err in errors if not isinstance(err, PeerError)] == []


@commands_in_memory
@given(SESSIONS)
async def test_a_session_is_that_of_the_naive_filter(packets: list[Packet]) -> None:
    await hold(packets)


async def bear(octets: bytes) -> None:
    with seed_left("milter-session", octets):
        said, gate, errors = await converse(octets)
        # Answers are whole packets; nothing is judged without an end of message; only the peer is ever to blame.
        ends = letters(said).count("a")
        assert ends == len(gate.intakes) <= octets.count(b"E")
        assert [type(err) for err in errors if not isinstance(err, PeerError)] == []
        try:
            naive.milter(octets)
        except naive.Broken:
            assert len(errors) <= 1


@commands_in_memory
@given(_OFFERS, MILTER)
async def test_any_packets_are_borne(offer: bytes, octets: bytes) -> None:
    await bear(packet("O", offer) + octets)


@with_seeds("milter-session")
async def test_seeds_are_borne(seed: bytes) -> None:
    await bear(seed)


def test_the_naive_filter_judges_a_mail() -> None:
    """It is no mirror of whatever comes: a whole mail is one message, a mail without recipients is the end."""
    one = NaiveFilter()
    for letter, data in [
        ("O", struct.pack(">III", 6, 0x1FF, 0)),
        ("M", b"<>\0"),
        ("R", b"<a@b>\0"),
        ("B", b"x\n"),
        ("E", b""),
    ]:
        one.hear(letter, data)
    assert (one.answers, one.messages, one.is_over) == (["O", "c", "c", "c", "a"], [(1, b"\r\nx\r\n")], False)
    one.hear("E", b"")
    assert one.is_over


@pytest.mark.parametrize("octets", [b"", b"\0\0\0\1Q"])
async def test_who_leaves_at_once_is_let_go(octets: bytes) -> None:
    assert await converse(octets) == (b"", FakeGate(), [])
