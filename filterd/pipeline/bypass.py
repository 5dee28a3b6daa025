"""All mail passes, marked and unjudged, for a while: a named person's order for the hour in which filterd itself is the
trouble.

While it is in force no check runs, nobody is sanctioned, nothing is refused, not even by standing. Every mail bears the
mark, has its event `bypassed`, and the alarm sounds once a minute. It ends by itself; nothing has to run for that.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from typing import Any

from filterd.errors import FilterdError, RefusedError
from filterd.mail.edit import prepend_fields
from filterd.model import records as r
from filterd.model.ids import random_id
from filterd.model.session import Door
from filterd.pipeline.headers import MARKS, TRACE, edits, without_claims
from filterd.pipeline.people import ROOT, Arguments, PlainVerb, acting_person
from filterd.ports import Answer, BypassOrder, HeaderEdits, Intake, LedgerTxn

MIN_MINUTES, MAX_MINUTES = 1, 24 * 60
MAX_REASON_CHARS = 500
# Who may stop all checks: not those who only look, and not those who only write policies.
ROLES = ("moderator", "approver", "admin")
BY_CLOCK = "clock"
MAX_HEADER_BYTES = 65_536

# At the start of a line, on one line, in brackets: what any program writes.
_MESSAGE_ID = re.compile(rb"(?:\A|\n)Message-ID:[ \t]{0,80}(<[!-;=?-~]{1,250}>)", re.IGNORECASE)


def table() -> dict[str, PlainVerb]:
    """The verbs, by name."""
    return {"bypass.on": bypass_on, "bypass.off": bypass_off}


def bypass_on(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Order it for `minutes` with a `reason`; a later order replaces the earlier one."""
    person = _person(txn, arguments)
    minutes = int(arguments.get("minutes") or 0)
    if not MIN_MINUTES <= minutes <= MAX_MINUTES:
        raise RefusedError(f"a bypass lasts {MIN_MINUTES} to {MAX_MINUTES} minutes")
    reason = reason_of(arguments.get("reason"))
    order = order_for(txn.now, timedelta(minutes=minutes), by=person, reason=reason)
    append(txn, order)
    return {"order_id": order.order_id, "until": order.until.isoformat(), "by": person}


def bypass_off(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Take back the order `order_id`."""
    person = _person(txn, arguments)
    closed = r.BypassClosed(at=txn.now, order_id=str(arguments.get("order_id") or ""), by=person)
    txn.append(closed, account_id=None, tenant_id=None)
    return {"order_id": closed.order_id, "by": person}


def order_for(now: datetime, length: timedelta, *, by: str, reason: str) -> BypassOrder:
    """Make an order that begins now."""
    return BypassOrder(
        order_id=random_id("b", now), since=now, until=now + length, by=by, reason=reason, is_recorded=False
    )


def append(txn: LedgerTxn, order: BypassOrder) -> None:
    """Write the order's ledger row."""
    opened = r.BypassOpened(
        at=txn.now, order_id=order.order_id, since=order.since, until=order.until, by=order.by, reason=order.reason
    )
    txn.append(opened, account_id=None, tenant_id=None)


def reason_of(given: object) -> str:
    """Say the reason as it will stand in the ledger. Raises RefusedError when there is none."""
    reason = str(given or "").strip()
    if not reason or len(reason) > MAX_REASON_CHARS or not reason.isprintable():
        raise RefusedError(f"a reason has 1 to {MAX_REASON_CHARS} printable characters; it goes into the ledger")
    return reason


def message_id(raw: bytes) -> str | None:
    """Say the Message-ID of a mail nobody parses, None when it is not plain to see; for finding it again."""
    found = _MESSAGE_ID.search(raw[:MAX_HEADER_BYTES])
    return found[1].decode("ascii") if found else None


def marked(
    intake: Intake, at: datetime, order: BypassOrder, *, remove: tuple[str, ...], authserv_id: str | None
) -> tuple[Answer, str]:
    """Say what goes on with the mark on top, and the SHA-256 of the canonical octets.

    Touches as little as can be: the mail may be just what breaks us. What cannot bear the mark passes without it.
    """
    transaction_id = random_id("t", at)
    # The next hop believes fields in our name: those of strangers go, as ever.
    names, mark = (TRACE, *MARKS, *remove), [(TRACE, f"{transaction_id} bypass={order.order_id}")]
    raw, changes = intake.raw, None
    try:
        if intake.session.door is Door.MILTER:
            changes = edits(intake.raw, mark, names, authserv_id, is_inbound=True)
        else:
            raw = prepend_fields(without_claims(intake.raw, names, authserv_id, is_inbound=True), mark)
    except (FilterdError, ValueError, IndexError):
        changes = HeaderEdits()
    digest = hashlib.sha256(intake.raw).hexdigest()
    return Answer(transaction_id=transaction_id, reply=None, raw=raw, edits=changes), digest


def _person(txn: LedgerTxn, arguments: Arguments) -> str:
    name, role = acting_person(txn, arguments)
    if role not in (*ROLES, ROOT):
        raise RefusedError(f"{name} has role {role}; a bypass is ordered by role {', '.join(ROLES)}")
    return name
