"""The milter protocol on the wire: packets in pieces, every command, and what breaks the protocol (libmilter)."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.doors import milter_wire as wire
from filterd.errors import PeerError, UsageError
from filterd.model.reply import Reply


def packet(letter: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data) + 1) + letter + data


OFFER = struct.pack(">III", 6, 0x1FF, 0x1FFFFF)
COMMANDS = [
    (packet(b"O", OFFER), wire.Negotiate(6, wire.Action(0x1FF), wire.Step(0x1FFFFF))),
    (packet(b"D", b"Mi\x004XyZ\0{auth_authen}\0a@b\0"), wire.Macros("M", {"i": b"4XyZ", "auth_authen": b"a@b"})),
    # Some write long names without braces, and some short ones with them.
    (packet(b"D", b"Cdaemon_name\0x\0{j}\0y\0"), wire.Macros("C", {"daemon_name": b"x", "j": b"y"})),
    (packet(b"D", b"H"), wire.Macros("H", {})),
    (packet(b"C", b"c.example\x004\x9c\x40192.0.2.7\0"), wire.Connect(b"c.example", "4", 40_000, b"192.0.2.7")),
    (packet(b"C", b"[IPv6]\x006\0\x19IPv6:2001:db8::1\0"), wire.Connect(b"[IPv6]", "6", 25, b"IPv6:2001:db8::1")),
    (packet(b"C", b"localhost\0L\0\0/run/x\0"), wire.Connect(b"localhost", "L", 0, b"/run/x")),
    (packet(b"C", b"localhost\0U"), wire.Connect(b"localhost", "U", 0, b"")),
    (packet(b"H", b"there\0"), wire.Helo(b"there")),
    (packet(b"M", b"<a@b.example>\0SIZE=5\0"), wire.Mail((b"<a@b.example>", b"SIZE=5"))),
    (packet(b"R", b"<\xe4\xb8\xad@b.example>\0"), wire.Rcpt((b"<\xe4\xb8\xad@b.example>",))),
    (packet(b"T"), wire.Data()),
    (packet(b"L", b"Subject\0 x\n\ty\0"), wire.Header(b"Subject", b" x\n\ty")),
    (packet(b"L", b"X-Nul\0a\0b\0"), wire.Header(b"X-Nul", b"a\0b")),
    (packet(b"L", b"Empty\0\0"), wire.Header(b"Empty", b"")),
    (packet(b"N"), wire.EndOfHeader()),
    (packet(b"B", b"octets\0\xff"), wire.Body(b"octets\0\xff")),
    (packet(b"E"), wire.EndOfMessage(b"")),
    (packet(b"E", b"rest"), wire.EndOfMessage(b"rest")),
    (packet(b"A"), wire.Abort()),
    (packet(b"Q"), wire.Quit(is_reused=False)),
    (packet(b"K"), wire.Quit(is_reused=True)),
    (packet(b"U", b"BOO\0"), wire.Unknown(b"BOO")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("octets", "command"), COMMANDS, ids=[type(c).__name__ + str(i) for i, (_, c) in enumerate(COMMANDS)]
)
def test_each_command(octets: bytes, command: wire.Command) -> None:
    assert wire.Decoder().feed(octets) == [command]


@given(st.lists(st.integers(1, 7), min_size=1, max_size=200))
def test_pieces_of_any_size(sizes: list[int]) -> None:
    octets = b"".join(o for o, _ in COMMANDS)
    decoder, at, found = wire.Decoder(), 0, []
    for size in sizes:
        found += decoder.feed(octets[at : at + size])
        at += size
    found += decoder.feed(octets[at:])
    assert found == [command for _, command in COMMANDS]


@pytest.mark.parametrize(
    "octets",
    [
        struct.pack(">I", 0),
        struct.pack(">I", wire.MAX_PACKET_BYTES + 1),
        packet(b"Z"),
        packet(b"O", OFFER[:11]),
        packet(b"O", struct.pack(">III", 1, 0, 0)),
        packet(b"D"),
        packet(b"D", b"Ci\0"),
        packet(b"D", b"Ci\0x"),
        packet(b"C", b"host"),
        packet(b"C", b"host\0"),
        packet(b"C", b"host\x004\0"),
        packet(b"C", b"host\x009\0\0x\0"),
        packet(b"C", b"host\x004\0\0192.0.2.1"),
        packet(b"H", b"no end"),
        packet(b"M", b""),
        packet(b"R", b"<a@b>"),
        packet(b"R", b"x\0" * (wire.MAX_ARGUMENTS + 1)),
        packet(b"L", b"Name"),
        packet(b"L", b"\0value\0"),
        packet(b"L", b"Name\0value"),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=repr,
)
def test_what_breaks_the_protocol(octets: bytes) -> None:
    with pytest.raises(PeerError):
        wire.Decoder().feed(octets)


@given(st.binary(max_size=300))
def test_any_octets_are_commands_or_a_broken_protocol(octets: bytes) -> None:
    with contextlib.suppress(PeerError):
        wire.Decoder().feed(octets)


@given(st.sampled_from("ODCHMRTLNBEAQKU"), st.binary(max_size=300))
def test_any_data_of_a_command_is_read_or_a_broken_protocol(letter: str, data: bytes) -> None:
    with contextlib.suppress(PeerError):
        assert len(wire.Decoder().feed(packet(letter.encode(), data))) == 1


def test_the_negotiation_asks_for_macros_by_stage() -> None:
    said = wire.negotiated(6, wire.Action.SETSYMLIST, wire.Step.SKIP, {"M": ("i", "auth_authen"), "E": ("i",)})
    assert said == packet(
        b"O", struct.pack(">III", 6, 0x100, 0x400) + b"\0\0\0\x02i {auth_authen}\0" + b"\0\0\0\x05i\0"
    )


def test_a_refusal_in_one_line() -> None:
    said = wire.reply_code(Reply(code=550, enhanced="5.7.1", text="No"))
    assert said == packet(b"y", b"550 5.7.1 No\0")


def test_percent_signs_are_doubled_since_the_mta_reads_the_text_as_a_format() -> None:
    said = wire.reply_code(Reply(code=451, enhanced="4.7.1", text="see https://x.example/%41 100%"))
    assert said == packet(b"y", b"451 4.7.1 see https://x.example/%%41 100%%\0")


def test_a_refusal_in_many_lines_is_cut_at_what_the_protocol_bears() -> None:
    said = wire.reply_code(Reply(code=550, enhanced="5.7.1", text="\n".join(f"line {i}" for i in range(50))))
    lines = said[5:-1].split(b"\r\n")
    assert len(lines) == wire.MAX_REPLY_LINES
    assert all(line.startswith(b"550-5.7.1 ") for line in lines[:-1])
    assert lines[-1] == b"550 5.7.1 line 49"


def test_no_line_of_a_refusal_can_be_made_by_what_somebody_wrote() -> None:
    said = wire.reply_code(Reply(code=550, enhanced="5.7.1", text="a\r250 Ok\0b"))
    assert said == packet(b"y", b"550 5.7.1 a 250 Ok b\0")


def test_a_milter_cannot_say_250() -> None:
    with pytest.raises(UsageError):
        wire.reply_code(Reply(code=250, enhanced="2.0.0", text="Ok"))


@pytest.mark.parametrize(("has_leading_space", "value"), [(True, b" x\n y"), (False, b"x\n y")])
def test_a_field_on_top(has_leading_space: bool, value: bytes) -> None:
    said = wire.insert_header(0, b"X-A", b" x\n y", has_leading_space=has_leading_space)
    assert said == packet(b"i", b"\0\0\0\0X-A\0" + value + b"\0")


@pytest.mark.parametrize("value", [b"a\rb", b"a\0b"])
def test_a_field_that_would_be_two(value: bytes) -> None:
    with pytest.raises(UsageError):
        wire.insert_header(0, b"X-A", value, has_leading_space=True)


def test_a_field_is_taken_out_by_an_empty_value() -> None:
    assert wire.delete_header(b"X-A", 3) == packet(b"m", b"\0\0\0\x03X-A\0\0")


def test_the_reason_of_a_quarantine_is_cut() -> None:
    assert wire.quarantine("x" * 200) == packet(b"q", b"x" * 100 + b"\0")
