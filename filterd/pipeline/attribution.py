"""Which login answers for this mail?  HOUSE rule 7, MAIL-PATH §4b.

Each listener names exactly one source; the default is none. A source is believed only from a trusted peer. What the
mail itself says (From, any Received below the first, a field the client wrote) attributes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from filterd.errors import PeerError
from filterd.mail.address import canonical_login
from filterd.mail.received import UNREADABLE, authenticated_sender
from filterd.model.message import Message
from filterd.model.principal import Basis
from filterd.model.session import Path, Session

# In `senders`: the address itself.
OWN_ADDRESS = "="

Source = Literal["none", "sasl", "xclient", "received", "header", "sender"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionRule:
    """What a listener believes. `received_by`, `header_name` and `senders` belong to their source only.

    Args:
        senders: reverse-paths of this machine's programmes, or `@domain`, to the login that answers for their mail;
            `=` where the address is the login.
    """

    source: Source = "none"
    received_by: str | None = None
    header_name: str | None = None
    login_domain: str | None = None
    senders: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A login and by which credential it was shown; None when a credential was shown that cannot be read."""

    login: str | None
    basis: Basis


def attribute(
    rule: AttributionRule, session: Session, message: Message, reverse_path: Path | None = None
) -> Claim | None:
    """Say whose credential submitted the mail, or None. Every claim made here is strong, but that of a reverse-path,
    which any programme of the machine can write."""
    if not session.is_trusted_peer:
        return None
    match rule.source:
        case "none":
            return None
        case "sasl":
            # The MTA says it beside the mail (milter macro {auth_authen}).
            return _claim(session.login, Basis.SASL, rule) if session.login_source == "sasl" else None
        case "xclient":
            if session.login_source != "xclient":
                return None
            return _claim(session.login, Basis.XCLIENT, rule)
        case "received":
            login = authenticated_sender(message, rule.received_by or "")
            if login == UNREADABLE:
                return Claim(login=None, basis=Basis.RECEIVED)
            return _claim(login, Basis.RECEIVED, rule)
        case "header":
            return _claim(_own_header(message, rule.header_name or ""), Basis.HEADER, rule)
        case "sender":
            return _by_sender(rule, reverse_path)


def _by_sender(rule: AttributionRule, reverse_path: Path | None) -> Claim | None:
    if reverse_path is None:
        return None
    address = reverse_path.address
    login = rule.senders.get(address) or rule.senders.get(f"@{reverse_path.domain}")
    claim = _claim(address if login == OWN_ADDRESS else login, Basis.SENDER, rule)
    # What cannot be a login is nobody's: nothing was shown that somebody would have to answer for.
    return claim if claim is not None and claim.login is not None else None


def _claim(login: str | None, basis: Basis, rule: AttributionRule) -> Claim | None:
    if not login:
        return None
    try:
        return Claim(login=canonical_login(login, rule.login_domain), basis=basis)
    except PeerError:
        return Claim(login=None, basis=basis)


def _own_header(message: Message, name: str) -> str | None:
    """Read the field the trusted peer put above its own Received; the same name further down was written by others."""
    for one in message.fields:
        if one.key == "received":
            return None
        if one.key == name.lower():
            return one.value.strip()
    return None
