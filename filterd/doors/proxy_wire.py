"""The PROXY protocol, versions 1 and 2: whom a load balancer speaks for (HAProxy, proxy-protocol.txt).

Pure. The header comes once, before anything else of the connection. Who may send it is the listener's matter; what does
not begin with one raises PeerError, and the connection is closed without a word: a client that could talk past the
balancer would bear the balancer's address.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from filterd.errors import PeerError

V1_PREFIX = b"PROXY "
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
# §2.1: with all the longest addresses and ports.
MAX_V1_BYTES = 107
# §2.2: the length is two octets; TLVs beyond a few hundred octets are nobody's.
MAX_V2_BYTES = 16 + 4096
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6, _UNSPEC = 0x11, 0x21, 0x00


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxied:
    """What the header says.

    Args:
        size_bytes: of the header; what follows is the client's.
        address, port: of the client; None: the balancer speaks for itself (LOCAL, a health check), or does not know.
    """

    size_bytes: int
    address: str | None = None
    port: int | None = None


def parse(data: bytes) -> Proxied | None:
    """Read the header at the start of `data`, None while it is not whole. Raises PeerError for anything else."""
    if V2_SIGNATURE.startswith(data[: len(V2_SIGNATURE)]):
        return _version_2(data)
    if V1_PREFIX.startswith(data[: len(V1_PREFIX)]):
        return _version_1(data)
    raise PeerError("no PROXY header")


def _version_1(data: bytes) -> Proxied | None:
    end = data.find(b"\r\n", 0, MAX_V1_BYTES)
    if end < 0:
        if len(data) >= MAX_V1_BYTES:
            raise PeerError("a PROXY line without end")
        return None
    size = end + 2
    words = data[:end].split(b" ")
    if words[1:2] == [b"UNKNOWN"]:
        return Proxied(size_bytes=size)
    version = {b"TCP4": 4, b"TCP6": 6}.get(words[1])
    if version is None or len(words) != 6:
        raise PeerError("a PROXY line that is none")
    source, _ = (_address(word.decode("ascii", "replace"), version) for word in words[2:4])
    port, _ = (_port(word) for word in words[4:6])
    return Proxied(size_bytes=size, address=source, port=port)


def _version_2(data: bytes) -> Proxied | None:
    if len(data) < 16:
        return None
    command, family, length = struct.unpack_from(">BBH", data, 12)
    size = 16 + length
    if command not in (_LOCAL, _PROXY) or size > MAX_V2_BYTES:
        raise PeerError("a PROXY header of another version, or without end")
    if len(data) < size:
        return None
    if command == _LOCAL or family == _UNSPEC:
        return Proxied(size_bytes=size)
    width = {_TCP4: 4, _TCP6: 16}.get(family)
    if width is None or length < 2 * width + 4:
        raise PeerError(f"a PROXY header for address family {family:#04x}")
    source = ipaddress.ip_address(data[16 : 16 + width])
    (port,) = struct.unpack_from(">H", data, 16 + 2 * width)
    return Proxied(size_bytes=size, address=str(source), port=port)


def _address(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise PeerError("a PROXY line with an address that is none") from None
    if address.version != version or "%" in text:
        raise PeerError("a PROXY line with an address of another family")
    return str(address)


def _port(octets: bytes) -> int:
    if not (octets.isdigit() and len(octets) <= 5 and int(octets) <= 65_535) or octets != str(int(octets)).encode():
        raise PeerError("a PROXY line with a port that is none")
    return int(octets)
