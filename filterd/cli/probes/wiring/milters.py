"""Faults of a Postfix that asks filterd by milter.  MAIL-PATH 4d. Pure.

That {auth_authen} was taken out of milter_mail_macros is none: filterd asks for the macros it needs (version 6).
"""

from __future__ import annotations

from collections.abc import Iterator

from filterd.cli.probes.wiring.case import Case
from filterd.cli.probes.wiring.fault import Fault, breaks, warns
from filterd.cli.probes.wiring.places import asked_place
from filterd.cli.probes.wiring.text import braced, items, seconds
from filterd.doors.milter import PROGRESS_S
from filterd.doors.milter_wire import VERSION

MILTER_PORT = breaks("milter-port", "filterd's milter is not there: mail is put off, or passes unjudged")
MILTER_ACTION = breaks(
    "milter-action",
    "while filterd is away mail is not put off: it passes unjudged (accept), or is refused for good (reject)",
)
MILTER_PROTOCOL = warns(
    "milter-protocol", "filterd is not told what it asks for: logins, refused recipients, white space that DKIM counts"
)
MILTER_TIMEOUT = warns(
    "milter-timeout", "Postfix does not wait for filterd's signs of life; mail is put off for nothing"
)
MILTER_LOCAL = warns("milter-local", "mail of sendmail(1), cron and webmail on this host passes by filterd unjudged")
MILTER_TWICE = breaks(
    "milter-twice", "before a proxy a milter sees commands and no content; mail is judged twice, once of them empty"
)
KINDS = (MILTER_PORT, MILTER_ACTION, MILTER_PROTOCOL, MILTER_TIMEOUT, MILTER_LOCAL, MILTER_TWICE)

_TEMPFAIL = "tempfail"
# Three signs of life.
_LEAST_S = 3 * PROGRESS_S
_TIMEOUTS = {"command_timeout": "30s", "content_timeout": "90s"}


def port(case: Case) -> Iterator[Fault]:
    """Does anybody ask our milter, and who means to?"""
    if case.milter is None:
        return
    for feed in case.feeds:
        if feed.way != "milter" or feed.is_ours or feed.service is case.behind:
            continue
        is_meant = case.is_like_ours(feed.address, feed.service, "smtpd_milters", feed.asked)
        has_ours = any(other.is_ours and other.service is feed.service for other in case.feeds if other.way == "milter")
        if is_meant and not has_ours and not case.is_hidden_by_chroot(feed.address):
            new = case.milter.text if case.milter.is_socket else f"inet:{case.milter.text}"
            change = case.postfix.set_words(feed.service, "smtpd_milters", feed.address, new)
            said = f"{feed.service.name} asks {feed.address}, filterd's milter is on {case.config.milter.address}"
            yield Fault(kind=MILTER_PORT, said=said, change=change)


def action(case: Case) -> Iterator[Fault]:
    """What does Postfix do while filterd is away?"""
    for feed in case.fed:
        if feed.way != "milter":
            continue
        own = dict(feed.attributes).get("default_action")
        found = own or case.postfix.value("milter_default_action", feed.service)
        if found not in ("accept", "reject"):
            continue
        change = (
            case.postfix.set_where_set(feed.service, "milter_default_action", _TEMPFAIL) if own is None
            else case.postfix.set_words(
                feed.service, "smtpd_milters", f"default_action={own}", f"default_action={_TEMPFAIL}"
            )
        )  # fmt: skip
        yield Fault(kind=MILTER_ACTION, said=f"default_action={found} for filterd's milter", change=change)


def protocol(case: Case) -> Iterator[Fault]:
    """Is the version one in which filterd can ask for what it needs?"""
    for feed in case.fed:
        said = dict(feed.attributes).get("protocol") or case.postfix.value("milter_protocol", feed.service)
        if feed.way == "milter" and said.isdigit() and int(said) < VERSION:
            change = case.postfix.set_where_set(feed.service, "milter_protocol", str(VERSION))
            yield Fault(kind=MILTER_PROTOCOL, said=f"milter_protocol={said}", change=change)


def timeouts(case: Case) -> Iterator[Fault]:
    """Does Postfix wait long enough?"""
    for feed in case.fed:
        if feed.way != "milter":
            continue
        for name, usual in _TIMEOUTS.items():
            own = dict(feed.attributes).get(name)
            limit = seconds(own or case.postfix.value(f"milter_{name}", feed.service))
            if limit is None or limit >= _LEAST_S:
                continue
            change = (
                case.postfix.set_where_set(feed.service, f"milter_{name}", usual) if own is None
                else case.postfix.set_words(feed.service, "smtpd_milters", f"{name}={own}", f"{name}={usual}")
            )  # fmt: skip
            yield Fault(kind=MILTER_TIMEOUT, said=f"{name}={limit}s for filterd's milter", change=change)


def local(case: Case) -> Iterator[Fault]:
    """Does mail that was not sent by SMTP come by?"""
    fed = [feed for feed in case.fed if feed.way == "milter"]
    others = (braced(item)[0] for item in items(case.postfix.value("non_smtpd_milters")))
    places = [asked_place(address, case.postfix, is_chrooted=False) for address in others]
    if fed and case.milter is not None and not any(place and case.milter.serves(place) for place in places):
        setting = case.postfix.raw("smtpd_milters", fed[0].service)
        value = setting.value if setting is not None else fed[0].address
        change = case.postfix.set_main("non_smtpd_milters", value)
        yield Fault(kind=MILTER_LOCAL, said="non_smtpd_milters has no filterd", change=change)


def twice(case: Case) -> Iterator[Fault]:
    """Do milter and proxy stand on the same port?"""
    proxied = {feed.service.name for feed in case.fed if feed.way == "proxy"}
    for feed in case.fed:
        if feed.way == "milter" and feed.service.name in proxied:
            change = case.postfix.set_option(feed.service, "smtpd_milters", "")
            said = f"{feed.service.name} has filterd as smtpd_proxy_filter and in smtpd_milters"
            yield Fault(kind=MILTER_TWICE, said=said, change=change)


JUDGES = (port, action, protocol, timeouts, local, twice)
