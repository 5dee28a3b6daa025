"""Faults of who is answerable: logins that get lost, and ports that go past filterd.  MAIL-PATH 4b. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from filterd.cli.probes.wiring.case import Case, Feed
from filterd.cli.probes.wiring.fault import Change, Fault, breaks, warns
from filterd.cli.probes.wiring.postfix import OFF, ON, Service

LOGIN_HEADER = breaks("login-header", "filterd never learns logins: nobody is answerable, suspended accounts send on")
RECEIVED_BY = breaks("received-by", "filterd believes no login: nobody is answerable, suspended accounts send on")
LOGINS_UNREAD = breaks(
    "logins-unread", "logins come to a listener that reads none: nobody is answerable, suspended accounts send on"
)
PORT_PAST_US = breaks("port-past-us", "accounts log in there and send past filterd: unjudged, suspended ones too")
BARE_NEWLINE = warns(
    "bare-newline", "a mail with LF . LF inside becomes two: one may forge a mail of somebody else (SMTP smuggling)"
)
KINDS = (LOGIN_HEADER, RECEIVED_BY, LOGINS_UNREAD, PORT_PAST_US, BARE_NEWLINE)

_HEADER = "smtpd_sasl_authenticated_header"
_BARE = "smtpd_forbid_bare_newline"


def received(case: Case) -> Iterator[Fault]:
    """Does the Received field tell the login, and by whom does filterd expect it?"""
    myhostname = case.postfix.value("myhostname")
    for feed in case.fed:
        listener = case.listener_of(feed)
        if listener is None or feed.listener is None or listener.attribution != "received":
            continue
        if case.takes_logins(feed.service) and not case.postfix.is_on(_HEADER, feed.service):
            change = case.postfix.set_option(feed.service, _HEADER, ON)
            yield Fault(kind=LOGIN_HEADER, said=f"{feed.service.name} lacks {_HEADER}=yes", change=change)
        name = case.postfix.value("myhostname", feed.service) or myhostname
        if (listener.received_by or "").lower() != name.lower():
            change = case.own.set(("listener", feed.listener), "received_by", f'"{name}"')
            said = f"listener {listener.name!r}: received_by is {listener.received_by}, Postfix writes {name}"
            yield Fault(kind=RECEIVED_BY, said=said, change=change)


def unread(case: Case) -> Iterator[Fault]:
    """Do logins come to a listener that reads them as Postfix shows them?"""
    for feed in case.fed:
        listener = case.listener_of(feed)
        if listener is None or feed.listener is None or not case.takes_logins(feed.service):
            continue
        # Postfix never sends XCLIENT (MAIL-PATH 4b).
        if listener.attribution in ("received", "header"):
            continue
        said = (
            f"{feed.service.name} takes logins, listener {listener.name!r} has attribution = {listener.attribution!r}"
        )
        yield Fault(kind=LOGINS_UNREAD, said=said, change=_read(case, feed))


def _read(case: Case, feed: Feed) -> Change:
    """Point to a listener that reads them, or have this one do so."""
    for number, (place, listener) in enumerate(case.listeners):
        if listener.attribution == "received" and number != feed.listener and feed.asked is not None:
            before, _, _ = feed.address.partition(":")
            to = place.text if feed.way == "proxy" else f"{before}:{place.text}"
            return case.postfix.set_words(feed.service, feed.parameter, feed.address, to)
    number = feed.listener or 0
    name = case.postfix.value("myhostname", feed.service)
    more = "" if case.config.listener[number].received_by else f'\nreceived_by = "{name}"'
    return case.own.set(("listener", number), "attribution", f'"received"{more}')


def past_us(case: Case) -> Iterator[Fault]:
    """Does a port take logins, and give filterd nothing?"""
    wired = [feed for feed in case.fed if case.takes_logins(feed.service)]
    named = {feed.service.name for feed in case.feeds if feed.is_ours} | {case.behind.name if case.behind else ""}
    meant = {feed.service.name for feed in case.feeds if feed.way != "milter"}
    if not wired:
        return
    for service in case.smtpds:
        if service.name in named | meant or not case.takes_logins(service):
            continue
        said = f"{service.name} takes logins and has no {wired[0].parameter}"
        yield Fault(kind=PORT_PAST_US, said=said, change=_wire(case, service, wired[0]))


def _wire(case: Case, service: Service, like: Feed) -> Change:
    if like.way == "filter" and case.takes_strangers(service):
        # Behind the queue only accounts' mail may come; logins belong on the other port.
        return case.postfix.set_option(service, "smtpd_sasl_auth_enable", OFF)
    setting = case.postfix.raw(like.parameter, like.service)
    return case.postfix.set_option(service, like.parameter, setting.value if setting else like.address)


def bare_newline(case: Case) -> Iterator[Fault]:
    """Can one mail be made two in front of filterd?"""
    services = {feed.service.name: feed.service for feed in case.fed}
    for service in services.values():
        if case.postfix.value(_BARE, service) == OFF:
            change = case.postfix.set_option(service, _BARE, "normalize")
            yield Fault(kind=BARE_NEWLINE, said=f"{service.name}: {_BARE}=no", change=change)


JUDGES = (received, unread, past_us, bare_newline)
