"""Delivery reports: what became of a mail of ours, for each recipient.  RFC 3464, RFC 6522, RFC 3463.

Reads octets, never raises. Only multipart/report with a message/delivery-status part counts: a mail in words, or one
that answers by itself (RFC 3834), says nothing we could rely on. Text of the other side is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from filterd.mail.parse import parse

_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")
# RFC 3464 §2.3.3.
ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_NO_ADDRESS = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1"})
# More groups than recipients of any notice of ours.
_MOST_GROUPS = 100
_MOST_LINES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened for one recipient.

    Args:
        status: an enhanced code such as 5.1.1.
        recipients: the address that it was sent to, and the one it was for in the end, in small letters, where the
            report names them: the same twice is one.
    """

    action: str
    status: str
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A delivery report. `envelope_id`: the Original-Envelope-Id field, None when there is none."""

    envelope_id: str | None
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> Outcome | None:
        """The first recipient that it was not delivered to for good."""
        return next((x for x in self.outcomes if x.action == "failed"), None)


def read_report(raw: bytes) -> Report | None:
    """Read a mail as a delivery report, None when it is none."""
    message = parse(raw)
    content_type = (message.first("content-type") or "").partition(";")[0].strip().lower()
    part = next((x for x in message.parts if x.content_type in _TYPES and not x.path.startswith("~")), None)
    if content_type != "multipart/report" or part is None:
        return None
    groups = list(_groups(part.content.decode("utf-8", "replace")))
    if not groups:
        return None
    outcomes = tuple(x for group in groups[1:] if (x := _outcome(group)) is not None)
    return Report(envelope_id=groups[0].get("original-envelope-id"), outcomes=outcomes)


def is_their_fault(status: str) -> bool:
    """Say whether the address we were given is at fault (5.1.x: no such address; 5.2.1: mailbox switched off), so that
    a notice still counts as received (TX-6.2)."""
    return status.startswith("5.1.") or status == "5.2.1"


def has_no_address(status: str) -> bool:
    """Say whether there is no such address at all, as far as an enhanced code tells (RFC 3463 §3.2, RFC 7505 §4.2):
    what an old or a bought list of addresses is full of. What is wrong with a sender's address is not among them."""
    return status in _NO_ADDRESS


def _outcome(group: dict[str, str]) -> Outcome | None:
    action = group.get("action", "").strip().lower()
    found = _STATUS.match(group.get("status", "").strip())
    if action not in ACTIONS or found is None:
        return None
    named = (group.get(name, "") for name in ("original-recipient", "final-recipient"))
    addresses = (x.partition(";")[2].strip().strip("<>").lower() for x in named)
    return Outcome(
        action=action,
        status=".".join(str(int(x)) for x in found.groups()),
        recipients=tuple(dict.fromkeys(x for x in addresses if "@" in x)),
    )


def _groups(text: str) -> Iterator[dict[str, str]]:
    """Take the groups of fields apart: that of the message, then one a recipient (RFC 3464 §2.1)."""
    fields: dict[str, str] = {}
    count, name = 0, ""
    for line in [*text.splitlines()[:_MOST_LINES], ""]:
        if not line.strip():
            if fields:
                yield fields
                count += 1
            fields, name = {}, ""
            if count == _MOST_GROUPS:
                return
        elif line[0] in " \t" and name:
            fields[name] += " " + line.strip()
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields.setdefault(name, value.strip())
