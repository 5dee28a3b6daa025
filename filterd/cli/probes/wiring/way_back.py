"""Faults of the way back into Postfix: the service that is filterd's next hop.  MAIL-PATH 4a. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from filterd.cli.probes.wiring.case import PARAMETER, Case, Way
from filterd.cli.probes.wiring.fault import Fault, Kind, breaks, warns
from filterd.cli.probes.wiring.places import is_loopback, listens, own_place, too_wide
from filterd.cli.probes.wiring.postfix import Service
from filterd.cli.probes.wiring.text import items

NEXT_HOP = breaks("next-hop", "Postfix does not listen there; filterd can hand on nothing, and all mail waits with 451")
LOOP_PROXY = breaks("loop-proxy", "what filterd hands on comes back to filterd, until too many hops refuse it")
LOOP_FILTER = breaks(
    "loop-filter", "what filterd hands on is queued and comes back to filterd, until too many hops bounce it"
)
LOOP_MILTER = breaks("loop-milter", "what filterd hands on is judged again; notices to suspended accounts are refused")
BEHIND_XFORWARD = warns(
    "behind-xforward", "Postfix's log and what stands behind show filterd as the client of all mail"
)
BEHIND_OPEN = breaks("behind-open", "the network reaches the port behind filterd, and sends past it unjudged")
BEHIND_NETWORKS = breaks(
    "behind-networks", "the port behind filterd relays for the whole world, as soon as anybody reaches it"
)
BEHIND_RESTRICTIONS = warns(
    "behind-restrictions", "what was judged is asked again with filterd as its client, and may be refused there"
)
MILTERS_TWICE = warns("milters-twice", "the other milters see each mail twice: it is signed or marked twice")
KINDS = (
    *(NEXT_HOP, LOOP_PROXY, LOOP_FILTER, LOOP_MILTER, BEHIND_XFORWARD, BEHIND_OPEN, BEHIND_NETWORKS),
    *(BEHIND_RESTRICTIONS, MILTERS_TWICE),
)

_LOOPS: dict[Way, Kind] = {"proxy": LOOP_PROXY, "filter": LOOP_FILTER, "milter": LOOP_MILTER}
_ASKED = ("client", "helo", "sender", "data", "end_of_data")
_OVERRIDES = "receive_override_options"


def next_hop(case: Case) -> Iterator[Fault]:
    """Is there a service where filterd hands on?"""
    place = case.next_hop
    if place is None or not place.is_loopback or case.behind is not None or not (case.fed or case.milter):
        return
    # LMTP is a mailbox server's, not Postfix's.
    if case.config.next_hop.protocol == "lmtp":
        return
    candidate = _behind_by_looks(case)
    if candidate is not None and (found := listens(candidate)) is not None:
        change = case.own.set(("next_hop",), "address", f'"{found.text}"')
        said = f"next_hop.address is {place.text}, but {candidate.name} of master.cf:{candidate.line} is the way back"
        yield Fault(kind=NEXT_HOP, said=said, change=change)


def loops(case: Case) -> Iterator[Fault]:
    """Does the way back lead to filterd again?"""
    behind = case.behind
    for feed in case.feeds:
        if behind is None or feed.service is not behind or not feed.is_ours:
            continue
        name = PARAMETER[feed.way]
        said = f"{behind.name} is filterd's next hop, and has {name}={feed.address}"
        yield Fault(kind=_LOOPS[feed.way], said=said, change=case.postfix.set_option(behind, name, ""))


def xforward(case: Case) -> Iterator[Fault]:
    """Does the way back believe who the client was?"""
    behind = case.behind
    if behind is None or case.config.next_hop.xclient or all(feed.way == "milter" for feed in case.fed):
        return
    if not items(case.postfix.value("smtpd_authorized_xforward_hosts", behind)):
        change = case.postfix.set_option(behind, "smtpd_authorized_xforward_hosts", "127.0.0.0/8")
        said = f"{behind.name} lacks smtpd_authorized_xforward_hosts"
        yield Fault(kind=BEHIND_XFORWARD, said=said, change=change)


def reach(case: Case) -> Iterator[Fault]:
    """Can anybody but filterd come in there?"""
    behind, place = case.behind, case.next_hop
    if behind is None or place is None:
        return
    own = listens(behind)
    interfaces = items(case.postfix.value("inet_interfaces", behind))
    is_everywhere = own is not None and not own.host and not all(_is_local(name) for name in interfaces)
    if is_everywhere and place.is_loopback:
        change = case.postfix.set_name(behind, place.text)
        yield Fault(kind=BEHIND_OPEN, said=f"{behind.name} listens on every address", change=change)
    if (network := too_wide(items(case.postfix.value("mynetworks", behind)))) is not None:
        change = case.postfix.set_option(behind, "mynetworks", "127.0.0.0/8")
        yield Fault(kind=BEHIND_NETWORKS, said=f"{behind.name}: mynetworks has {network}", change=change)


def restrictions(case: Case) -> Iterator[Fault]:
    """Is judged mail asked the questions of the front again? With XCLIENT it is meant to be: of the client itself."""
    behind = case.behind
    if behind is None or case.config.next_hop.xclient:
        return
    for stage in _ASKED:
        name = f"smtpd_{stage}_restrictions"
        words = items(case.postfix.value(name, behind))
        if any(word.startswith(("reject", "defer", "check_", "warn_if_reject")) for word in words):
            change = case.postfix.set_option(behind, name, "")
            yield Fault(kind=BEHIND_RESTRICTIONS, said=f"{behind.name} has {name} of the front", change=change)


def milters_twice(case: Case) -> Iterator[Fault]:
    """Behind the queue: do other milters run on the way in and on the way back?"""
    behind = case.behind
    if behind is None:
        return
    others = {
        feed.address for feed in case.feeds if feed.service is behind and feed.way == "milter" and not feed.is_ours
    }
    fronts = [feed.service for feed in case.fed if feed.way == "filter"]
    first = {feed.address for feed in case.feeds if feed.service in fronts and feed.way == "milter"}
    if both := sorted(others & first):
        words = [*items(case.postfix.value(_OVERRIDES, behind)), "no_milters"]
        change = case.postfix.set_option(behind, _OVERRIDES, ",".join(words))
        yield Fault(kind=MILTERS_TWICE, said=f"{behind.name} runs the milter {both[0]} again", change=change)


JUDGES = (next_hop, loops, xforward, reach, restrictions, milters_twice)


def _behind_by_looks(case: Case) -> Service | None:
    """Say which service looks like a way back: a port on loopback, no logins, no filter."""
    feeding = {feed.service.name for feed in case.feeds}
    doors = [own_place(item.bind, item.port) for item in case.config.listener]
    for service in case.smtpds:
        place = listens(service)
        if place is None or not place.host or not place.is_loopback or service.name in feeding:
            continue
        if not case.takes_logins(service) and not any(door.serves(place) for door in doors):
            return service
    return None


def _is_local(name: str) -> bool:
    return name == "loopback-only" or is_loopback(name)
