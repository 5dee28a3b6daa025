"""The signed link to the page where an account objects without a log-in.  STANDING 5.6.

`token` is the account, the incident and the instant it expires, and an HMAC-SHA-256 of them under the node's `token`
key: it says who may object to what, and allows nothing else. It is for one account and ends with the window. It goes
into notices only, and never into one to a mailbox under hold; replies of the mail path carry the case id alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from filterd.agreement.appeal import window
from filterd.agreement.terms import Agreement
from filterd.errors import PeerError
from filterd.model.ids import derived_id
from filterd.model.standing import History

PATH = "/appeal/"
_VERSION = "1"
_MAC_BYTES = 20
# Two ids, a number and the MAC.
MAX_TOKEN_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What a token stands for."""

    account_id: str
    incident_id: str
    expires_at: datetime


def link(base: str | None, key: bytes, *, account_id: str, incident_id: str, expires_at: datetime) -> str | None:
    """Say the address of the page; None where the operator serves none.

    Args:
        base: `[notices] object_url`, the page's address up to the token.
        key: ports.Keys.token.
        expires_at: when the window closes; while nobody was told yet, any instant after the strike's end will do.
    """
    if base is None:
        return None
    return base + sign(key, Bound(account_id=account_id, incident_id=incident_id, expires_at=expires_at))


def case_link(
    base: str | None,
    key: bytes,
    history: History,
    terms: Agreement,
    incident_id: str,
    at: datetime,
    in_force: Agreement | None = None,
) -> str | None:
    """Say the address for a notice about an incident: good until its window closes, and where nobody was told yet, for
    as long as the window will at least be open. None where nothing can be contested.

    Args:
        terms: those that the case was decided by. `in_force`: those of now, where they are others.
    """
    incident = next((i for i in history.incidents if i.opened.incident_id == incident_id), None)
    if incident is None:
        return None
    told = replace(incident, notices=incident.notices or (at,))
    expires_at = window(told, history, terms, in_force).closes_at
    if expires_at is None or expires_at <= at:
        return None
    return link(base, key, account_id=history.account_id, incident_id=incident_id, expires_at=expires_at)


def sign(key: bytes, bound: Bound) -> str:
    """Make the token: letters, digits, `-`, `_` and dots."""
    until = str(int(bound.expires_at.timestamp()))
    parts = (bound.account_id, bound.incident_id, until)
    return ".".join((_VERSION, *parts, _mac(key, *parts)))


def read(key: bytes, token: str, now: datetime) -> Bound:
    """Say what a token stands for. Raises PeerError for one that is not ours, or whose time is over."""
    parts = token.split(".")
    if len(token) > MAX_TOKEN_CHARS or not token.isascii() or len(parts) != 5 or parts[0] != _VERSION:
        raise PeerError("no token")
    account_id, incident_id, until, mac = parts[1:]
    # Compared in constant time, before anything of it is believed.
    if not hmac.compare_digest(mac, _mac(key, account_id, incident_id, until)):
        raise PeerError("a token that is not ours")
    expires_at = datetime.fromtimestamp(int(until), UTC)
    if now >= expires_at:
        raise PeerError("a token whose time is over")
    return Bound(account_id=account_id, incident_id=incident_id, expires_at=expires_at)


def form_mark(key: bytes, token: str) -> str:
    """Say the hidden value of the form on a token's page, so that no other page can send the form."""
    return _mac(key, "form", token)


def is_form_mark(key: bytes, token: str, mark: str) -> bool:
    """Say whether a form came from the token's own page."""
    return hmac.compare_digest(mark.encode("utf-8", "replace"), form_mark(key, token).encode())


def _mac(key: bytes, *parts: str) -> str:
    framed = derived_id("appeal", *parts)
    mac = hmac.new(key, framed.encode(), hashlib.sha256).digest()[:_MAC_BYTES]
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode("ascii")
