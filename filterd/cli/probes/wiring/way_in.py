"""Faults of the way to filterd: smtpd_proxy_filter and content_filter.  MAIL-PATH 4a, 4c. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from filterd.cli.probes.wiring.case import Case, Feed, Way
from filterd.cli.probes.wiring.fault import Fault, breaks, warns
from filterd.cli.probes.wiring.postfix import ON, Service
from filterd.cli.probes.wiring.text import items, seconds
from filterd.config import ListenerConfig

PROXY_PORT = breaks(
    "proxy-port", "no filterd listens there; clients read 451 `queue file write error`, and nothing comes in"
)
FILTER_PORT = breaks("filter-port", "no filterd listens there; all mail waits in the queue and bounces after days")
TRANSPORT_MISSING = breaks(
    "transport-missing", "master.cf has no such transport; all mail waits in the queue and bounces after days"
)
SPEED_ADJUST = breaks(
    "speed-adjust",
    "with speed_adjust it is too late to refuse one recipient; the others' mail is refused with it, or lost to them",
)
PROXY_TIMEOUT = breaks(
    "proxy-timeout", "Postfix gives up before filterd does; the client sends again what was delivered: doubled mail"
)
FILTER_TIMEOUT = breaks(
    "filter-timeout", "Postfix gives up before filterd does, and sends again what was delivered: doubled mail"
)
PROTOCOL = breaks(
    "protocol", "one side speaks LMTP and the other SMTP; no mail gets through, it waits in the queue and bounces"
)
FILTER_XFORWARD = warns(
    "filter-xforward", "filterd sees this host as the client of all mail: addresses in its log and its limits are wrong"
)
LONG_LINES = warns("long-lines", "Postfix breaks long lines on the way to filterd: DKIM signatures no longer hold")
BACKSCATTER = breaks(
    "backscatter", "strangers' mail comes here after 250; each refusal is a bounce to somebody who never wrote"
)
OWN_NAME = breaks(
    "own-name", "filterd greets Postfix with Postfix's own name; it believes in a loop and bounces all mail"
)
KINDS = (
    *(PROXY_PORT, FILTER_PORT, TRANSPORT_MISSING, SPEED_ADJUST, PROXY_TIMEOUT, FILTER_TIMEOUT, PROTOCOL),
    *(FILTER_XFORWARD, LONG_LINES, BACKSCATTER, OWN_NAME),
)

# README of ops/postfix: filterd's own limits lie this far below what Postfix waits.
_MARGIN_S = 5
_PROXY_S, _FILTER_S = 100, 1200


def wrong_ports(case: Case) -> Iterator[Fault]:
    """Who gives mail to nobody, while a listener of ours waits for it?"""
    for feed in case.feeds:
        address = feed.address.partition(":")[2] if feed.way == "filter" else feed.address
        if feed.way == "milter" or feed.is_ours or case.is_hidden_by_chroot(address):
            continue
        wanted = _waiting_listener(case, feed)
        if wanted is None:
            continue
        number, listener = wanted
        to = case.listeners[number][0].text
        said = f"{feed.parameter}={feed.address} ({feed.service.name}), but listener {listener.name!r} is on {to}"
        if feed.way == "proxy":
            change = case.postfix.set_words(feed.service, feed.parameter, feed.address, to)
            yield Fault(kind=PROXY_PORT, said=said, change=change)
        elif feed.transport is not None:
            # A transport's own next hop is written with brackets or without.
            new = f"{feed.transport.name}:{to}"
            change = case.postfix.set_words(feed.service, feed.parameter, feed.address, new)
            yield Fault(kind=FILTER_PORT, said=said, change=change)


def transport(case: Case) -> Iterator[Fault]:
    """Is the transport of content_filter there, and does it speak as the listener does?"""
    for feed in _of(case, "filter"):
        address = feed.address.partition(":")[2]
        listener = case.listener_of(feed)
        if feed.transport is None:
            carrier = _carrier(case)
            if carrier is not None:
                change = case.postfix.set_words(feed.service, feed.parameter, feed.address, f"{carrier.name}:{address}")
                yield Fault(kind=TRANSPORT_MISSING, said=f"content_filter={feed.address}", change=change)
            continue
        if listener is not None and feed.transport.program in ("smtp", "lmtp"):
            yield from _carried(case, feed, feed.transport, listener)


def _carried(case: Case, feed: Feed, carrier: Service, listener: ListenerConfig) -> Iterator[Fault]:
    postfix, speaks = case.postfix, carrier.program
    if listener.protocol != speaks and feed.listener is not None:
        change = case.own.set(("listener", feed.listener), "protocol", f'"{speaks}"')
        said = f"listener {listener.name!r} speaks {listener.protocol}, {carrier.name} of master.cf {speaks}"
        yield Fault(kind=PROTOCOL, said=said, change=change)
    if postfix.value(f"{speaks}_send_xforward_command", carrier) != ON:
        change = postfix.set_option(carrier, f"{speaks}_send_xforward_command", ON)
        said = f"{carrier.name} lacks {speaks}_send_xforward_command=yes"
        yield Fault(kind=FILTER_XFORWARD, said=said, change=change)
    if postfix.value(f"{speaks}_line_length_limit", carrier) != "0":
        change = postfix.set_option(carrier, f"{speaks}_line_length_limit", "0")
        said = f"{carrier.name}: {speaks}_line_length_limit={postfix.value(f'{speaks}_line_length_limit', carrier)}"
        yield Fault(kind=LONG_LINES, said=said, change=change)
    name = f"{speaks}_data_done_timeout"
    limit = seconds(postfix.value(name, carrier))
    if limit is not None and limit < _needed_s(case, listener) + _MARGIN_S:
        change = postfix.set_option(carrier, name, f"{_FILTER_S}s")
        yield Fault(kind=FILTER_TIMEOUT, said=f"{carrier.name}: {name}={limit}s", change=change)


def proxy_options(case: Case) -> Iterator[Fault]:
    """Does speed_adjust stand where recipients are refused one by one?"""
    for feed in _of(case, "proxy"):
        listener = case.listener_of(feed)
        options = items(case.postfix.value("smtpd_proxy_options", feed.service))
        if listener is not None and feed.listener is not None and "speed_adjust" in options and listener.selective_rcpt:
            change = case.own.set(("listener", feed.listener), "selective_rcpt", "false")
            said = f"listener {listener.name!r}: selective_rcpt = true, but {feed.service.name} has speed_adjust"
            yield Fault(kind=SPEED_ADJUST, said=said, change=change)


def proxy_timeout(case: Case) -> Iterator[Fault]:
    """Does Postfix wait longer than filterd may need?"""
    for feed in _of(case, "proxy"):
        needed = _needed_s(case, case.listener_of(feed)) + _MARGIN_S
        limit = seconds(case.postfix.value("smtpd_proxy_timeout", feed.service))
        if limit is not None and limit < needed:
            value = f"{max(_PROXY_S, int(needed + _MARGIN_S))}s"
            change = case.postfix.set_where_set(feed.service, "smtpd_proxy_timeout", value)
            said = f"smtpd_proxy_timeout={limit}s, filterd may need {needed:g} s"
            yield Fault(kind=PROXY_TIMEOUT, said=said, change=change)


def backscatter(case: Case) -> Iterator[Fault]:
    """Do strangers' mails come behind the queue to a listener that refuses?"""
    for feed in _of(case, "filter"):
        listener = case.listener_of(feed)
        if listener is None or feed.listener is None or listener.after_queue:
            continue
        if case.takes_strangers(feed.service):
            change = case.own.set(("listener", feed.listener), "after_queue", "true")
            said = f"listener {listener.name!r}: after_queue = false, but {feed.service.name} takes strangers' mail"
            yield Fault(kind=BACKSCATTER, said=said, change=change)


def own_name(case: Case) -> Iterator[Fault]:
    """Is Postfix's client greeted with its own name?"""
    own = case.postfix.value("myhostname")
    for feed in _of(case, "filter"):
        listener = case.listener_of(feed)
        if listener is not None and feed.listener is not None and listener.hostname.lower() == own.lower():
            change = case.own.set(("listener", feed.listener), "hostname", f'"filterd.{own}"')
            said = f"listener {listener.name!r}: hostname is Postfix's myhostname"
            yield Fault(kind=OWN_NAME, said=said, change=change)


def _needed_s(case: Case, listener: ListenerConfig | None) -> float:
    """Say how long filterd may take for its answer to MAIL, or to a message."""
    of_messages = listener.answer_timeout_s if listener is not None else 0.0
    return max(case.config.next_hop.data_timeout_s, of_messages)


JUDGES = (wrong_ports, transport, proxy_options, proxy_timeout, backscatter, own_name)


def _of(case: Case, way: Way) -> Iterator[Feed]:
    return (feed for feed in case.fed if feed.way == way)


def _carrier(case: Case) -> Service | None:
    """Say which transport of master.cf was made for a filter: one that hands on what XFORWARD says."""
    return next(
        (
            service
            for service in case.postfix.services
            if service.type == "unix"
            and service.program in ("smtp", "lmtp")
            and f"{service.program}_send_xforward_command" in service.options
        ),
        None,
    )


def _waiting_listener(case: Case, feed: Feed) -> tuple[int, ListenerConfig] | None:
    """Say which listener that nobody feeds this one is meant for: for logins one that believes them, or any."""
    if feed.service is case.behind:
        return None
    busy = {other.listener for other in case.fed}
    # One that is open to the world has other clients.
    places = enumerate(case.listeners)
    waiting = [(number, item) for number, (place, item) in places if number not in busy and place.is_loopback]
    if feed.way == "filter" and feed.transport is not None:
        waiting = [(n, item) for n, item in waiting if item.protocol == feed.transport.program] or waiting
    believing = [(n, item) for n, item in waiting if (item.attribution != "none") == case.takes_logins(feed.service)]
    return next(iter(believing or waiting), None)
