"""Which client do the counters know a mail by?  A keyed hash of its network; the address itself stays out of the store.

An IPv4 address by itself, of IPv6 the /64: whoever has one IPv6 address has all of those (RFC 4291 §2.5.4).
"""

from __future__ import annotations

import ipaddress

from filterd.model.ids import keyed_hash
from filterd.model.session import Session

_IPV6_PREFIX = 64


def client_id(key: bytes, session: Session) -> str | None:
    """Say the id, None where the address says nothing of who sends: the loopback, a UNIX socket, or a peer that speaks
    for others and does not say for whom."""
    network = _network(session.known_client or "")
    return None if network is None else f"c_{keyed_hash(key, 'client', network)}"


def _network(text: str) -> bytes | None:
    """Say the octets by which an address is counted: 4, or the first 8 of 16."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return None if address.is_loopback else address.packed[: _IPV6_PREFIX // 8]
        address = address.ipv4_mapped
    return None if address.is_loopback else address.packed
