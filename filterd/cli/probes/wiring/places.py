"""Where something listens, as filterd and as Postfix write it. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from filterd.cli.probes.wiring.postfix import Postfix, Service

_UNIX = "unix:"
_EVERYWHERE = ("", "0.0.0.0", "::", "*")  # noqa: S104
# A network that holds this much of the world is nobody's own.
_WIDEST_V4, _WIDEST_V6 = 8, 16


@dataclass(frozen=True, slots=True)
class Place:
    """A port of a host, or the path of a socket (then port is 0)."""

    host: str
    port: int

    @property
    def is_socket(self) -> bool:
        return self.host.startswith("/")

    @property
    def is_loopback(self) -> bool:
        return self.is_socket or is_loopback(self.host)

    @property
    def text(self) -> str:
        if self.is_socket:
            return f"{_UNIX}{self.host}"
        host = "127.0.0.1" if self.host in _EVERYWHERE else self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def serves(self, asked: Place) -> bool:
        """Say whether who connects to `asked` comes here. A name that is not known could be any host's."""
        if self.is_socket or asked.is_socket:
            return self == asked
        if self.port != asked.port:
            return False
        is_known = _is_address(self.host) and _is_address(asked.host)
        is_same = self.host in _EVERYWHERE or self.host == asked.host or (self.is_loopback and asked.is_loopback)
        return is_same or not is_known


def own_place(bind: str, port: int) -> Place:
    """Read a place of filterd's configuration."""
    return Place(bind.removeprefix(_UNIX), 0) if bind.startswith(_UNIX) else Place(bind, port)


def asked_place(text: str, postfix: Postfix, *, is_chrooted: bool) -> Place | None:
    """Read an address as Postfix writes it, seen from a service of it. None for what is no port and no socket."""
    kind, _, rest = text.partition(":")
    if kind in ("unix", "local"):
        queue = postfix.effective.get("queue_directory", "/var/spool/postfix").rstrip("/")
        return Place(f"{queue}/{rest.lstrip('/')}" if is_chrooted or not rest.startswith("/") else rest, 0)
    rest = rest if kind in ("inet", "inet6") else text
    host, _, port = rest.rpartition(":")
    return Place(host.strip("[]") or "127.0.0.1", int(port)) if port.isascii() and port.isdigit() else None


def listens(service: Service) -> Place | None:
    """Say where a service of Postfix listens."""
    place = service.place
    return None if place is None else Place(*place)


def is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_believed(place: Place, peers: tuple[str, ...]) -> bool:
    """Say whether a mail server on this machine that connects there is among `peers`."""
    if place.is_socket:
        return "unix" in peers
    host = ipaddress.ip_address("::1" if ":" in place.host else "127.0.0.1")
    return any(peer != "unix" and host in ipaddress.ip_network(peer) for peer in peers)


def too_wide(networks: tuple[str, ...] | list[str]) -> str | None:
    """Say the first of these networks that holds half the world. What is no network is passed over."""
    for text in networks:
        try:
            network = ipaddress.ip_network(text.replace("[", "").replace("]", ""))
        except ValueError:
            continue
        if network.prefixlen < (_WIDEST_V4 if network.version == 4 else _WIDEST_V6):
            return text
    return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host in _EVERYWHERE
    return True
