"""Faults of what both sides must agree on: who is believed, how large, where a socket lies.  MAIL-PATH 4b, 4h. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from filterd.cli.probes.wiring.case import Case, Feed
from filterd.cli.probes.wiring.fault import Fault, breaks, warns
from filterd.cli.probes.wiring.places import Place, asked_place, is_believed, own_place, too_wide
from filterd.cli.probes.wiring.postfix import Service

PEER_REFUSED = breaks(
    "peer-refused", "filterd does not believe this Postfix: no login, no client's address; a milter is hung up on"
)
PEERS_ANYBODY = breaks("peers-anybody", "whoever reaches the port is believed about logins: anybody sends as anybody")
SIZE = warns("size", "Postfix takes larger mail than filterd: refused after it was sent, behind the queue by a bounce")
CHROOT = breaks("chroot", "a chrooted service does not see that socket; mail is put off as if filterd were away")
SOCKET_MODE = breaks("socket-mode", "only filterd's own user may open the socket; mail is put off as if it were away")
KINDS = (PEER_REFUSED, PEERS_ANYBODY, SIZE, CHROOT, SOCKET_MODE)

_LOOPBACK = '["127.0.0.0/8"]'
_GROUP_OR_OTHERS_WRITE = 0o022


def peers(case: Case) -> Iterator[Fault]:
    """Is this Postfix believed, and nobody else?"""
    tables: dict[tuple[str | int, ...], Place | None] = {}
    for feed in case.fed:
        table = _table(feed)
        # A listener on an address of this host is reached from that address; only loopback can be told from here.
        if feed.asked is not None and feed.asked.is_loopback:
            tables.setdefault(table, feed.asked)
    for table, asked in tables.items():
        trusted = _peers_of(case, table)
        if asked is not None and not is_believed(asked, trusted):
            value = '["unix"]' if asked.is_socket else _LOOPBACK
            said = f"{_name(case, table)}: trusted_peers has not {'unix' if asked.is_socket else '127.0.0.1'}"
            yield Fault(kind=PEER_REFUSED, said=said, change=case.own.set(table, "trusted_peers", value))
    for table in _tables(case):
        if (network := too_wide(_peers_of(case, table))) is not None:
            said = f"{_name(case, table)}: trusted_peers has {network}"
            yield Fault(kind=PEERS_ANYBODY, said=said, change=case.own.set(table, "trusted_peers", _LOOPBACK))


def sizes(case: Case) -> Iterator[Fault]:
    """Does filterd take as large a mail as Postfix does?"""
    seen: set[tuple[str | int, ...]] = set()
    for feed in case.fed:
        text = case.postfix.value("message_size_limit", feed.service)
        ours, table = _limit(case, feed), _table(feed)
        if not text.isdigit() or table in seen or 0 < int(text) <= ours:
            continue
        seen.add(table)
        change = (
            case.own.set(table, "max_message_bytes", text) if int(text)
            else case.postfix.set_where_set(feed.service, "message_size_limit", str(ours))
        )  # fmt: skip
        size = "no limit" if text == "0" else f"message_size_limit={text}"
        said = f"{_name(case, table)}: max_message_bytes = {ours}, Postfix has {size}"
        yield Fault(kind=SIZE, said=said, change=change)


def chroot(case: Case) -> Iterator[Fault]:
    """Can a chrooted service see the sockets it is to open?"""
    for service, address in _sockets(case):
        if not case.postfix.is_chrooted(service):
            continue
        seen = asked_place(address, case.postfix, is_chrooted=True)
        if seen not in case.doors and case.is_hidden_by_chroot(address):
            change = case.postfix.set_chroot(service, "n")
            yield Fault(kind=CHROOT, said=f"{service.name} is chrooted and opens {address}", change=change)


def modes(case: Case) -> Iterator[Fault]:
    """May anybody but filterd open our sockets?"""
    for table in _tables(case):
        if table[0] == "milter":
            place, mode = case.milter, case.config.milter.socket_mode
        else:
            item = case.config.listener[int(table[1])]
            place, mode = own_place(item.bind, item.port), item.socket_mode
        if place is not None and place.is_socket and not int(mode, 8) & _GROUP_OR_OTHERS_WRITE:
            change = case.own.set(table, "socket_mode", '"0660"')
            yield Fault(kind=SOCKET_MODE, said=f"{_name(case, table)}: socket_mode = {mode}", change=change)


JUDGES = (peers, sizes, chroot, modes)


def _tables(case: Case) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = [("listener", number) for number in range(len(case.config.listener))]
    return [*found, ("milter",)] if case.milter is not None else found


def _table(feed: Feed) -> tuple[str | int, ...]:
    return ("milter",) if feed.listener is None else ("listener", feed.listener)


def _peers_of(case: Case, table: tuple[str | int, ...]) -> tuple[str, ...]:
    return (case.config.milter if len(table) == 1 else case.config.listener[int(table[1])]).trusted_peers


def _limit(case: Case, feed: Feed) -> int:
    return (case.listener_of(feed) or case.config.milter).max_message_bytes


def _name(case: Case, table: tuple[str | int, ...]) -> str:
    return "milter" if len(table) == 1 else f"listener {case.config.listener[int(table[1])].name!r}"


def _sockets(case: Case) -> Iterator[tuple[Service, str]]:
    """Say which services open which UNIX sockets."""
    for feed in case.feeds:
        address = feed.address.partition(":")[2] if feed.way == "filter" else feed.address
        opener = feed.transport if feed.way == "filter" else feed.service
        if opener is not None and address.startswith(("unix:", "local:")):
            yield opener, address
    for question in case.questions:
        if question.address.startswith("unix:"):
            yield question.service, question.address
