"""Whom one SMTP connection speaks for: the socket peer, or the client that a trusted peer names.

What a trusted peer says is never mixed with what the socket shows: from the first attribute about the client on, the
missing ones are unknown (XFORWARD_README).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from filterd.doors.xforward import XFORWARD_NAMES, encoded_address, without_login
from filterd.mail.names import canonical_login
from filterd.model.ids import random_id
from filterd.model.session import Door, Session

_UNAVAILABLE = "[UNAVAILABLE]"
_ADDRESSES = frozenset({"ADDR", "DESTADDR"})
# In place of the address of a peer at a UNIX socket, and in `trusted_peers`.
UNIX = "unix"


@dataclass(slots=True, kw_only=True)
class Client:
    """State of one connection.

    Args:
        xclient: lasts to the end of the connection.
        xforward: for the next transaction; None when nothing was sent since the last one.
        login: canonical, of XCLIENT LOGIN.
        helo: of our own EHLO, HELO or LHLO; None before.
        protocol: which of the three it was, in the words of XFORWARD's PROTO.
        server: where it has connected to; None: unknown, or a UNIX socket.
        tls: version and cipher; None in clear text.
    """

    address: str
    port: int | None
    is_trusted: bool
    xclient: dict[str, str | None] = field(default_factory=dict)
    xforward: dict[str, str | None] | None = None
    login: str | None = None
    helo: str | None = None
    protocol: Literal["SMTP", "ESMTP", "LMTP"] = "SMTP"
    tls: tuple[str, str] | None = None
    server: tuple[str, int] | None = None

    def add_xforward(self, new: dict[str, str | None]) -> None:
        self.xforward = {**dict.fromkeys(XFORWARD_NAMES), **(self.xforward or {}), **new}

    def add_xclient(self, new: dict[str, str | None], login_domain: str | None) -> None:
        """Take over what an XCLIENT says. Raises PeerError for a login that cannot be one, and then changes nothing."""
        merged = without_login(self.xclient, new)
        login = merged.get("LOGIN")
        self.login = canonical_login(login, login_domain) if login is not None else None
        self.xclient = merged

    def shown(self) -> dict[str, str | None]:
        """Say the attributes of the client, by the names of XFORWARD; None is unknown."""
        if self.xforward is not None:
            return self.xforward
        port = str(self.port) if self.port is not None else None
        address = self.address if self.address != UNIX else None
        own = {"NAME": None, "ADDR": address, "PORT": port, "PROTO": self.protocol, "HELO": self.helo}
        named = {name: value for name, value in self.xclient.items() if name in own}
        if not named.keys().isdisjoint({"NAME", "ADDR", "PORT"}):
            own |= {"NAME": None, "ADDR": None, "PORT": None}
        return {**own, **named}

    def forwarded(self) -> dict[str, str]:
        """Say the same for the next hop, and what XCLIENT has besides: who logged in, and where."""
        known = {**self.shown(), "LOGIN": self.login, **self._destination()}
        return {
            name: _UNAVAILABLE if value is None else encoded_address(value) if name in _ADDRESSES else value
            for name, value in known.items()
        }

    def _destination(self) -> dict[str, str | None]:
        """Where the client connected to: here, unless a peer speaks for it, who may say where."""
        if self.xforward is None and not self.xclient and self.server is not None:
            return {"DESTADDR": self.server[0], "DESTPORT": str(self.server[1])}
        return {name: self.xclient.get(name) for name in ("DESTADDR", "DESTPORT")}

    def session(self, listener: str) -> Session:
        """Make the noun, freshly for each transaction."""
        shown = self.shown()
        port = shown["PORT"]
        return Session(
            id=new_session_id(),
            door=Door.SMTP,
            listener=listener,
            peer_address=self.address,
            is_trusted_peer=self.is_trusted,
            client_address=shown["ADDR"],
            client_port=int(port) if port is not None else None,
            client_name=shown["NAME"],
            helo=shown["HELO"],
            protocol=shown["PROTO"],
            login=self.login,
            login_source="xclient" if self.login is not None else None,
            tls_version=self.tls[0] if self.tls is not None else None,
            tls_cipher=self.tls[1] if self.tls is not None else None,
        )


def new_session_id() -> str:
    return random_id("s", datetime.now(UTC))


class Peers:
    """Says who is at the other end of a socket.

    Args:
        trusted: networks; `unix` is whoever can open the UNIX socket, which its permissions say.
    """

    def __init__(self, trusted: tuple[str, ...]) -> None:
        self._trusted = tuple(ipaddress.ip_network(item) for item in trusted if item != UNIX)
        self._trusts_unix = UNIX in trusted
        # Mostly it is the same few mail servers that come.
        self._known = lru_cache(maxsize=1024)(self._look_up)

    def client(self, peername: Any) -> Client:
        if not isinstance(peername, tuple) or len(peername) < 2:
            return Client(address=UNIX, port=None, is_trusted=self._trusts_unix)
        address, is_trusted = self._known(str(peername[0]))
        return Client(address=address, port=int(peername[1]), is_trusted=is_trusted)

    def _look_up(self, host: str) -> tuple[str, bool]:
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        is_trusted = any(address.version == network.version and address in network for network in self._trusted)
        return str(address), is_trusted
