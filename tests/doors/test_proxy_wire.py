"""The PROXY protocol on the wire, with the examples of its own description (HAProxy, proxy-protocol.txt)."""

from __future__ import annotations

import contextlib
import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.doors.proxy_wire import MAX_V2_BYTES, V2_SIGNATURE, Proxied, parse
from filterd.errors import PeerError


def v2(command: int, family: int, body: bytes = b"") -> bytes:
    return V2_SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


def pair(source: str, target: str, source_port: int, target_port: int) -> bytes:
    packed = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    return packed + struct.pack(">HH", source_port, target_port)


TCP4 = pair("192.0.2.7", "198.51.100.1", 56_324, 25)
TCP6 = pair("2001:db8::7", "2001:db8::1", 1, 65_535)
HEADERS = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n", ("192.0.2.7", 56_324)),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ("255.255.255.255", 65_535)),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 25\r\n", ("2001:db8::7", 56_324)),
    (b"PROXY UNKNOWN\r\n", (None, None)),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", (None, None)),
    (v2(0x21, 0x11, TCP4), ("192.0.2.7", 56_324)),
    (v2(0x21, 0x21, TCP6), ("2001:db8::7", 1)),
    # TLVs behind the addresses are passed over.
    (v2(0x21, 0x11, TCP4 + b"\x04\x00\x03abc"), ("192.0.2.7", 56_324)),
    (v2(0x20, 0x00), (None, None)),
    (v2(0x20, 0x11, TCP4), (None, None)),
    (v2(0x21, 0x00), (None, None)),
]


@pytest.mark.parametrize(("octets", "client"), HEADERS)
def test_a_header_in_pieces(octets: bytes, client: tuple[str | None, int | None]) -> None:
    for cut in range(len(octets)):
        assert parse(octets[:cut]) is None
    assert parse(octets + b"EHLO x\r\n") == Proxied(size_bytes=len(octets), address=client[0], port=client[1])


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO client.example\r\n",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25 x\r\n",
        b"PROXY TCP4  192.0.2.7 198.51.100.1 56324 25\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
        b"PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n",
        b"PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 01 25\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 1 25\r\n",
        b"PROXY\r\n",
        b"PROXY TCP4 " + b"1" * 107,
        v2(0x11, 0x11, TCP4),
        v2(0x22, 0x11, TCP4),
        v2(0x21, 0x12, TCP4),
        v2(0x21, 0x31, b"\0" * 216),
        v2(0x21, 0x11, TCP4[:11]),
        v2(0x21, 0x21, TCP4),
        V2_SIGNATURE + struct.pack(">BBH", 0x21, 0x11, MAX_V2_BYTES),
    ],
    ids=repr,
)
def test_what_is_no_header(octets: bytes) -> None:
    with pytest.raises(PeerError):
        parse(octets)


@given(
    st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", V2_SIGNATURE, V2_SIGNATURE + b"\x21\x11"]), st.binary(max_size=200)
)
def test_any_octets_are_a_header_or_refused(start: bytes, rest: bytes) -> None:
    with contextlib.suppress(PeerError):
        found = parse(start + rest)
        assert found is None or found.size_bytes <= len(start + rest)
