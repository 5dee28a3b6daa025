"""The Received field a trusted Postfix put on top: who had logged in there?  MAIL-PATH §4b (2).

With `smtpd_sasl_authenticated_header = yes` smtpd writes, always in this order (smtpd.c, data_cmd):

    Received: from HELO (NAME [ADDRESS])
        (using TLSv1.3 with cipher X (256/256 bits) ...)       only with TLS
        (Client CN "X", Issuer "Y" (verified OK))              only with TLS
        (Authenticated sender: LOGIN)
        by HOST (Postfix) with ESMTPSA id QUEUEID              no id before a proxy filter
        for <RECIPIENT>; DATE                                  no for with several recipients

HELO, certificate names, LOGIN and RECIPIENT are chosen by the client. Current versions replace blanks and brackets in
HELO by `?` and balance the brackets of names; older or other programs do not. So the whole field must fit the form from
its first to its last octet, with nothing left over, and ` by HOST (` may stand in it once only: then it is Postfix's
own, and so is the comment right before it. On doubt None: an unattributed mail costs nobody points.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from filterd.mail.fields import unfold
from filterd.model.message import Message

# A top-level comment; Postfix balances brackets inside and replaces backslashes.
_COMMENT = rb"\((?>(?:[^()\\]|\([^()\\]*+\))*)\)"
_DATE = (
    rb"(?:[A-Z][a-z]{2}, )?[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}"
    rb"(?: \([A-Za-z0-9 +-]{1,40}\))?"
)
_FORM = re.compile(
    rb"from [^\s()<>;\"\\]++ \([^\s()<>;\"\\]++ \[[0-9A-Za-z:.%]++\]\)"
    rb"(?P<comments>(?>(?: " + _COMMENT + rb")*))"
    rb" by (?P<by>[^\s()<>;\"\\]++) \([^()\\]*+\) with (?P<protocol>[A-Z0-9]++)"
    rb"(?: id (?P<id>[0-9A-Za-z]++))?(?: for <[^\s<>]++>)?; " + _DATE
)
_LOGIN = b"(Authenticated sender: "
# RFC 3848, RFC 6531 §4.3: the protocols that say the client had authenticated.
_AUTHENTICATED = frozenset({"ESMTPA", "ESMTPSA", "UTF8SMTPA", "UTF8SMTPSA"})
_MAX_BYTES = 4_096


# A login that is named, but not as it was typed: somebody is answerable, and we cannot say who. No login looks so.
UNREADABLE = "?"


class Received(NamedTuple):
    """A Received field as Postfix writes it. `login` is None when none is named, UNREADABLE when it may be altered."""

    by: str
    protocol: str
    queue_id: str | None
    login: str | None


def parse(value: bytes) -> Received | None:
    """Take the value of a Received field apart; None unless it has exactly the form Postfix writes."""
    if len(value) > _MAX_BYTES:
        return None
    line = b" ".join(unfold(value).split())
    form = _FORM.fullmatch(line)
    if form is None or line.lower().count(b" by %b (" % form["by"].lower()) != 1:
        return None
    comments = re.findall(_COMMENT, form["comments"])
    queue_id = form["id"].decode("ascii") if form["id"] else None
    return Received(form["by"].decode("latin-1").lower(), form["protocol"].decode("ascii"), queue_id, _login(comments))


def authenticated_sender(message: Message, by_host: str, ignore: Collection[str] = ()) -> str | None:
    """Say which login the trusted host saw, from the very first field of the mail; None if it names none, UNREADABLE
    if it names one that may be altered.

    Args:
        by_host: `myhostname` of that Postfix; letter case does not matter.
        ignore: names of fields that may stand above it, because our own side puts them there.
    """
    ignored = {name.lower() for name in ignore}
    top = next((field for field in message.fields if field.key not in ignored), None)
    if top is None or not top.raw.lower().startswith(b"received:") or not by_host:
        return None
    # A `From ` line of a mailbox file would stand above it.
    if not message.raw.startswith(message.fields[0].raw):
        return None
    received = parse(top.raw.partition(b":")[2])
    if received is None or received.by != by_host.lower() or received.protocol not in _AUTHENTICATED:
        return None
    return received.login


def _login(comments: list[bytes]) -> str | None:
    """Read the login, which Postfix writes last. It replaces by `?` what it cannot write, and closes open brackets."""
    if not comments or not comments[-1].startswith(_LOGIN):
        return None
    login = comments[-1][len(_LOGIN) : -1]
    if not login.isascii() or any(c in login for c in b"?() \t"):
        return UNREADABLE
    return login.decode("ascii") or UNREADABLE
