"""Octets on the wire, read by us and by a naive reader of the same description: the same, or refused by both."""

from __future__ import annotations

import ipaddress
import itertools
import struct
from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.doors import milter_wire, policy_wire, proxy_wire, socketmap_wire
from filterd.doors.smtp_data import MemoryBudget, MessageBuffer
from filterd.errors import PeerError
from filterd.mail.address import parse_reverse_path
from tests.fuzz import naive
from tests.fuzz.runs import octets_of_a_codec, seed_left, with_seeds

pytestmark = pytest.mark.slow

T = TypeVar("T")
REFUSED = "refused"


def both(ours: Callable[[], T], theirs: Callable[[], T]) -> None:
    """The same from both, or a refusal from both; nothing else is ever raised."""
    assert _said(ours, PeerError) == _said(theirs, naive.Broken)


def _said(read: Callable[[], T], broken: type[Exception]) -> T | str:
    try:
        return read()
    except broken:
        return REFUSED


def pieces_of(octets: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    return [octets[start:end] for start, end in itertools.pairwise(edges)]


CUTS = st.lists(st.integers(0, 1 << 16), max_size=5)

# --- milter -----------------------------------------------------------------------------------------------------------

_TEXT = st.sampled_from([b"", b"a", b"i", b"{auth_authen}", b"<a@b>", b"SIZE=1", b"4", b"U", b"\0", b"\xff{", b"}"])
_DATA = st.one_of(
    st.binary(max_size=40),
    st.lists(_TEXT, max_size=6).map(lambda words: b"".join(word + b"\0" for word in words)),
    st.tuples(_TEXT, st.sampled_from([b"4", b"6", b"L", b"U", b"x"]), st.binary(max_size=3), _TEXT).map(
        lambda x: x[0] + b"\0" + x[1] + x[2] + x[3] + b"\0"
    ),
    st.tuples(*[st.integers(0, 2**32 - 1)] * 3).map(lambda x: struct.pack(">III", *x)),
)
_LETTERS = st.sampled_from([bytes((octet,)) for octet in b"ODCHMRTLNBEAQKUoZ\0\xff"])
_PACKET = st.tuples(_LETTERS, _DATA, st.sampled_from([0, 0, 0, 0, 0, 0, -1, 1, 1 << 30])).map(
    lambda x: struct.pack(">I", max(0, len(x[1]) + 1 + x[2])) + x[0] + x[1]
)
MILTER = st.one_of(st.lists(_PACKET, max_size=5).map(b"".join), st.binary(max_size=60))


def plain(command: milter_wire.Command) -> tuple[object, ...]:
    """A command as the naive reader says it."""
    match command:
        case milter_wire.Negotiate(version, actions, steps):
            return "O", version, int(actions), int(steps)
        case milter_wire.Macros(stage, values):
            return "D", stage, tuple(sorted(values.items()))
        case milter_wire.Connect(hostname, family, port, address):
            return "C", hostname, family, port, address
        case milter_wire.Helo(name):
            return "H", name
        case milter_wire.Mail(arguments):
            return "M", *arguments
        case milter_wire.Rcpt(arguments):
            return "R", *arguments
        case milter_wire.Data():
            return ("T",)
        case milter_wire.Header(name, value):
            return "L", name, value
        case milter_wire.EndOfHeader():
            return ("N",)
        case milter_wire.Body(octets):
            return "B", octets
        case milter_wire.EndOfMessage(octets):
            return "E", octets
        case milter_wire.Abort():
            return ("A",)
        case milter_wire.Quit(is_reused):
            return ("K",) if is_reused else ("Q",)
        case milter_wire.Unknown(octets):
            return "U", octets


def read_milter(octets: bytes, cuts: list[int]) -> None:
    def ours() -> list[tuple[object, ...]]:
        decoder = milter_wire.Decoder()
        return [plain(command) for piece in pieces_of(octets, cuts) for command in decoder.feed(piece)]

    with seed_left("milter", octets):
        both(ours, lambda: naive.milter(octets))


@octets_of_a_codec
@given(MILTER, CUTS)
def test_milter(octets: bytes, cuts: list[int]) -> None:
    read_milter(octets, cuts)


@with_seeds("milter")
def test_milter_seeds(seed: bytes) -> None:
    read_milter(seed, [])
    read_milter(seed, list(range(len(seed))))


# --- the end of data --------------------------------------------------------------------------------------------------

LINES = st.lists(
    st.sampled_from([b"\r\n", b".", b"..", b"\r", b"\n", b"\0", b"x", b"\r\n.", b"\r\n.\r\n", b".\r\n", b"\xff"]),
    max_size=14,
).map(b"".join)


def read_data(octets: bytes, cuts: list[int]) -> None:
    with seed_left("data", octets):
        message = MessageBuffer(limit_bytes=1 << 20, budget=MemoryBudget(1 << 30))
        pieces = pieces_of(octets, cuts)
        behind = b""
        while pieces and not message.is_whole:
            message.feed(pieces.pop(0))
        behind = b"".join(pieces)
        ours = (message.content(), message.rest() + behind) if message.is_whole else None
        assert ours == naive.data(octets)


@octets_of_a_codec
@given(LINES, CUTS)
def test_data(octets: bytes, cuts: list[int]) -> None:
    read_data(octets, cuts)


@with_seeds("data")
def test_data_seeds(seed: bytes) -> None:
    read_data(seed, [])
    read_data(seed, list(range(len(seed))))


# --- paths ------------------------------------------------------------------------------------------------------------

_PATH_PARTS = (
    *(
        b"a",
        b"B.c",
        b".",
        b"@",
        b'"',
        b"\\",
        b'"a b"',
        b"<",
        b">",
        b"-",
        b"_",
        b"[",
        b"]",
        b"192.0.2.1",
        b"IPv6:",
        b"%1",
    ),
    *(b"2001:db8::1", b" ", b"\t", b"\0", b"\x7f", b"\xe9", b",", b":", b"x" * 63, b"y" * 64, b"example."),
)
PATHS = st.one_of(
    st.lists(
        st.sampled_from(_PATH_PARTS),
        max_size=9,
    ).map(lambda parts: b"<" + b"".join(parts) + b">"),
    st.binary(max_size=30),
)


def read_path(octets: bytes) -> None:
    def ours() -> tuple[str, str]:
        path = parse_reverse_path(octets)
        # The null sender, and the one spelling of what may be written in several ways.
        return ("", "") if path is None else ("ok", path.domain.replace("[ipv6:", "["))

    def theirs() -> tuple[str, str]:
        if octets == b"<>":
            return "", ""
        domain = naive.mailbox(octets)[1]
        if domain.startswith("["):
            domain = f"[{ipaddress.ip_address(domain[1:-1].removeprefix('ipv6:')).compressed}]"
        return "ok", domain

    with seed_left("path", octets):
        both(ours, theirs)


@octets_of_a_codec
@given(PATHS)
def test_path(octets: bytes) -> None:
    read_path(octets)


@with_seeds("path")
def test_path_seeds(seed: bytes) -> None:
    read_path(seed)


# --- PROXY, socketmap, policy -----------------------------------------------------------------------------------------

_ADDRESSES = st.sampled_from([b"192.0.2.7", b"2001:db8::7", b"192.0.2.07", b"fe80::1%1", b"", b"1.2.3", b"\xff"])
_PORTS = st.sampled_from([b"25", b"0", b"65535", b"65536", b"025", b"-1", b"", "٣".encode(), b"2 5"])
PROXY = st.one_of(
    st.tuples(
        st.sampled_from([b"PROXY TCP4", b"PROXY TCP6", b"PROXY UNKNOWN", b"PROXY UDP4", b"PROXY", b"PROXY UNKNOWNX"]),
        _ADDRESSES,
        _ADDRESSES,
        _PORTS,
        _PORTS,
        st.sampled_from([b"\r\n", b"\r\nEHLO x\r\n", b"\n", b"", b" \r\n"]),
    ).map(lambda x: b" ".join(x[:5]) + x[5]),
    st.tuples(
        st.sampled_from([0x20, 0x21, 0x11, 0x22]), st.sampled_from([0, 0x11, 0x21, 0x12, 0x31]), st.binary(max_size=60),
        st.sampled_from([0, 0, 0, 1, -1, 5000]),
    ).map(
        lambda x: proxy_wire.V2_SIGNATURE + struct.pack(">BBH", x[0], x[1], max(0, len(x[2]) + x[3])) + x[2]
    ),
    st.tuples(st.sampled_from([b"", b"PROXY ", proxy_wire.V2_SIGNATURE]), st.binary(max_size=120)).map(b"".join),
)  # fmt: skip


def read_proxy(octets: bytes) -> None:
    def ours() -> tuple[int, str | None, int | None] | None:
        found = proxy_wire.parse(octets)
        return None if found is None else (found.size_bytes, found.address, found.port)

    with seed_left("proxy", octets):
        both(ours, lambda: naive.proxy(octets))


@octets_of_a_codec
@given(PROXY)
def test_proxy(octets: bytes) -> None:
    read_proxy(octets)


@with_seeds("proxy")
def test_proxy_seeds(seed: bytes) -> None:
    read_proxy(seed)


SOCKETMAP = st.one_of(
    st.tuples(
        st.sampled_from([b"state a@b.example", b"owner ", b" x", b"access", b"state \xff", b"\xe9 x", b""]),
        st.sampled_from([0, 0, 0, 1, -1, 4096]),
        st.sampled_from([b"%d", b"0%d", b" %d", b"+%d"]),
        st.sampled_from([b",", b",5:next", b"", b";"]),
    ).map(lambda x: (x[2] % max(0, len(x[0]) + x[1])) + b":" + x[0] + x[3]),
    st.binary(max_size=30),
    st.text("0123456789:, a٣²", max_size=12).map(str.encode),
)


def read_socketmap(octets: bytes) -> None:
    def theirs() -> tuple[str, str, int] | None:
        found = naive.socketmap(octets)
        return None if found is None else (found[0].decode(), found[1].decode("utf-8", "backslashreplace"), found[2])

    with seed_left("socketmap", octets):
        both(lambda: socketmap_wire.parse_request(octets), theirs)


@octets_of_a_codec
@given(SOCKETMAP)
def test_socketmap(octets: bytes) -> None:
    read_socketmap(octets)


@with_seeds("socketmap")
def test_socketmap_seeds(seed: bytes) -> None:
    read_socketmap(seed)


_POLICY_LINES = (
    *(b"request=smtpd_access_policy", b"request=x", b"sender=a@b", b"sender==", b"=x", b"x", b"", b"\xe9=1", b"size=9"),
    *(b"recipient=\xff", b"a\0=1", b"protocol_state=RCPT", b" =", b"request=smtpd_access_policy\r"),
)
POLICY = st.tuples(
    st.lists(
        st.sampled_from(_POLICY_LINES),
        max_size=8,
    ),
    st.sampled_from([b"\n\n", b"\n", b"", b"\n\n\n"]),
).map(lambda x: b"\n".join(x[0]) + x[1])


def read_policy(octets: bytes) -> None:
    with seed_left("policy", octets):
        both(lambda: policy_wire.parse_request(octets), lambda: naive.policy(octets))
        if octets.endswith(b"\n\n") and _said(lambda: policy_wire.parse_request(octets), PeerError) != REFUSED:
            # Nobody who is saying a request is hung up on before its end, whatever pieces it comes in.
            for size in (1, 2, 7, len(octets)):
                assert cut(octets, size) == [octets]


def cut(octets: bytes, size: int) -> list[bytes]:
    """Say the requests of a connection on which octets come in pieces of that size."""
    reader = policy_wire.RequestReader()
    found = []
    for start in range(0, len(octets), size):
        reader.feed(octets[start : start + size])
        while (request := reader.request()) is not None:
            found.append(request)
    return found


@octets_of_a_codec
@given(POLICY)
def test_policy(octets: bytes) -> None:
    read_policy(octets)


@with_seeds("policy")
def test_policy_seeds(seed: bytes) -> None:
    read_policy(seed)
