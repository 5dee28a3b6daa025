"""Where does a URL lead, whatever its spelling?  WHATWG URL §4.4, §3.5; RFC 3986 §6.2.

Two URLs that a browser opens at the same place have the same `Place`: letter case, A-labels, full-width letters, user
names, default ports, percent-encoding (of percent-encoding), dots and slashes in the path, fragments, and IPv4
addresses written as one number, in octal or in hex. Linear; never raises.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

from filterd.errors import PeerError
from filterd.mail.names import canonical_domain

# Of path and query so much is compared; the host is read whatever stands around it.
MAX_PATH_CHARS = 4_096
_MAX_ADDRESS_CHARS = 64
_DEFAULT_PORTS = {"http": "80", "https": "443", "ftp": "21"}

_SCHEME = re.compile(r"\s*+(?>(?:([A-Za-z][A-Za-z0-9+.\-]*+):)?)[/\\]{2,}+")
_AUTHORITY = re.compile(r"[^/?#\\]*+")
# WHATWG URL §3.1, forbidden host code points.
_FORBIDDEN = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|%\x7f]")
_PORT = re.compile(r":([0-9]{0,5})$")
_UNSEEN = str.maketrans("", "", "\t\r\n")
# What may stand in a path or query as it is (RFC 3986 §3.3); `%` is encoded anew.
_KEPT = "/:@!$&'()*+,;=-._~?"
_PLAIN = re.compile(r"[A-Za-z0-9/:@!$&'()*+,;=\-._~?]*+")
_MOST_ROUNDS = 4


class Place(NamedTuple):
    """A URL, read.

    Args:
        host: A-labels in small letters, a dotted IPv4 or a compressed IPv6 address.
        port: empty where it is the scheme's own.
        path: decoded and resolved, "/" at least; query: without `?`, decoded as well.
        raw_query: as written, for what is nested in it.
        userinfo: what stands before the last `@`, None when nothing does.
        notation: how an address was written (dotted, decimal, octal, hex, short, ipv6); empty for a name.
    """

    host: str
    port: str
    path: str
    query: str
    raw_query: str
    userinfo: str | None
    notation: str

    @property
    def authority(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


def read(url: str) -> Place | None:
    """Read a URL with or without scheme; None when it names no host a browser could open."""
    url = url.translate(_UNSEEN)
    scheme = _SCHEME.match(url)
    start = scheme.end() if scheme else 0
    authority = _AUTHORITY.match(url, start)
    end = authority.end() if authority else start
    userinfo, at, rest = url[start:end].rpartition("@")
    port = _PORT.search(rest)
    name = rest[: port.start()] if port else rest
    host, notation = _host(name)
    if not host:
        return None
    default = _DEFAULT_PORTS.get((scheme[1] or "http").lower() if scheme else "http")
    number = port[1].lstrip("0") if port else ""
    path, _, query = url[end : end + MAX_PATH_CHARS].partition("#")[0].partition("?")
    return Place(
        host=host,
        port="" if number == default else number,
        path=_path(path.replace("\\", "/")),
        query=_recoded(query),
        raw_query=query,
        userinfo=userinfo if at else None,
        notation=notation,
    )


def _host(written: str) -> tuple[str, str]:
    """Give a host in its one spelling, and the notation when it is an address; empty when it is neither."""
    if written.startswith("["):
        return _ipv6(written)
    if "%" in written:
        written = unquote_to_bytes(written).decode("utf-8", "replace")
    try:
        host = canonical_domain(written)
    except PeerError:
        return "", ""
    if _FORBIDDEN.search(host):
        return "", ""
    last = host.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        return _ipv4(host) if len(host) <= _MAX_ADDRESS_CHARS else ("", "")
    return host, ""


def _ipv4(host: str) -> tuple[str, str]:
    """Read an address of one to four numbers, the last of which fills what is left.  WHATWG URL §3.5."""
    parts = host.split(".")
    if len(parts) > 4:
        return "", ""
    numbers: list[int] = []
    notation = "dotted" if len(parts) == 4 else "decimal" if len(parts) == 1 else "short"
    for part in parts:
        base, digits = 10, part
        if part.startswith("0x"):
            base, digits, notation = 16, part[2:] or "0", "hex"
        elif len(part) > 1 and part.startswith("0"):
            base, digits, notation = 8, part[1:], "octal"
        # int() also takes signs and underscores, which no browser does; and a sign can make the sum negative.
        if not digits.isalnum():
            return "", ""
        try:
            numbers.append(int(digits, base))
        except ValueError:
            return "", ""
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (5 - len(numbers)):
        return "", ""
    value = last + sum(number << (8 * (3 - place)) for place, number in enumerate(first))
    return str(ipaddress.IPv4Address(value)), notation


def _ipv6(written: str) -> tuple[str, str]:
    try:
        address = ipaddress.IPv6Address(written[1:_MAX_ADDRESS_CHARS].partition("]")[0].partition("%")[0])
    except ValueError:
        return "", ""
    return str(address.ipv4_mapped or address.compressed), "ipv6"


def _path(written: str) -> str:
    """Resolve dots and double slashes of a path, after decoding."""
    kept: list[str] = []
    segments = _recoded(written).split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    path = "/" + "/".join(kept)
    return f"{path}/" if kept and segments[-1] in ("", ".", "..") else path


def _recoded(written: str) -> str:
    """Decode until nothing changes, at most so many times, then encode in the one way."""
    if _PLAIN.fullmatch(written):
        return written
    octets = written.encode("utf-8", "surrogatepass")
    for _ in range(_MOST_ROUNDS):
        decoded = unquote_to_bytes(octets)
        if decoded == octets:
            break
        octets = decoded
    return quote_from_bytes(octets, safe=_KEPT)
