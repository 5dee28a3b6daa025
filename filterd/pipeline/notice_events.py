"""Promise a general notice: one call inside the transaction that makes it true.  CLAUSES §7, HOUSE §4 (later).

The facts are checked against the register here, so that a mistake fails the act and not the letter. What is promised
stands or falls with the transaction; workers/outbox carries it out. The same promise twice is one, until it has gone
out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from filterd.errors import UsageError
from filterd.model.ids import derived_id
from filterd.model.sanction import feature
from filterd.pipeline.notice_table import ACCOUNT, EVENTS, NOBODY, TENANT, Audience, Event
from filterd.ports import LedgerTxn

Fact = str | int | bool | date | datetime | tuple[str, ...] | None
Facts = Mapping[str, Fact]

TOPIC = "notice"

_CODE = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,79}")
_ID = re.compile(r"[a-z]{1,4}_[0-9a-zA-Z._-]{1,80}")
# The one that names an address has its keyed hash (model.sanction.RECIPIENT).
_FEATURE = re.compile(r"[a-z_]{1,40}(?::[0-9a-f]{1,64})?")
_CLAUSE = re.compile(r"S?[0-9]+(?:\.[0-9]+)*(?: (?:\([0-9]+\)|tail-[a-z]))?")


def announce_event(
    txn: LedgerTxn,
    event: str,
    subject_id: str | None,
    facts: Facts,
    *,
    to: Collection[Audience] | None = None,
    recipient: str | None = None,
) -> str:
    """Put one general notice into the outbox; say the item's id, "" when there is nobody to tell any more.

    Args:
        event: a name of EVENTS.
        subject_id: whom it is about, an account or a tenant of the directory; None for an event about nobody.
        facts: every fact the register names for the event, and no other.
        to: only these of the event's audiences; None: all.
        recipient: the address of Audience.OTHER, which no directory has.

    Raises:
        UsageError: no such event, a fact that is missing, unknown or of another type, an audience it does not have.
    """
    row = EVENTS.get(event)
    if row is None:
        raise UsageError(f"no notice is called {event!r}")
    checked = check_facts(event, facts)
    audiences = tuple(x for x in row.to if to is None or x in to)
    if to is not None and set(to) - set(row.to):
        raise UsageError(f"notice {event} is not for {', '.join(sorted(set(to) - set(row.to)))}")
    if (recipient is not None) != (Audience.OTHER in audiences):
        raise UsageError(f"notice {event} {'needs' if recipient is None else 'takes no'} recipient")
    account_id, tenant_id = _subject(txn, event, row, subject_id)
    if account_id is None and tenant_id is None and row.about != NOBODY:
        return ""
    payload: dict[str, Any] = {
        "event": event,
        "account_id": account_id,
        "tenant_id": tenant_id,
        "audiences": [x.value for x in audiences],
        "facts": [checked],
    }
    if recipient is not None:
        payload["recipient"] = recipient
    key = [event, account_id or "", tenant_id or "", recipient or ""]
    due_at = txn.now
    if row.every is not None:
        due_at = _end_of_period(txn.now, row.every)
        key.append(due_at.isoformat())
        if to is not None:
            # What is for some of them must not reach the others with what is for all.
            key.append(",".join(sorted(x.value for x in audiences)))
    else:
        key.append(json.dumps(checked, sort_keys=True))
    return txn.post(TOPIC, payload, due_at=due_at, merge_key=derived_id("y", *key))


def announce_to_all(txn: LedgerTxn, event: str, facts: Facts) -> int:
    """Promise one notice to every tenant, maintenance for instance; say how many there are."""
    return sum(bool(announce_event(txn, event, tenant.tenant_id, facts)) for tenant in txn.tenants())


def check_facts(event: str, facts: Facts) -> dict[str, Any]:
    """Say the facts as JSON has them. Raises UsageError for one that is missing, unknown or of another type."""
    wanted = EVENTS[event].facts
    if odd := sorted(set(wanted) ^ set(facts)):
        raise UsageError(f"notice {event}: {odd[0]} is {'missing' if odd[0] in wanted else 'no fact of it'}")
    return {name: _checked(event, name, kind, facts[name]) for name, kind in wanted.items()}


def read_facts(event: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Read facts back from JSON: instants, dates and features as what they are."""
    return {name: _read(kind.rstrip("?"), facts[name]) for name, kind in EVENTS[event].facts.items()}


def _subject(txn: LedgerTxn, event: str, row: Event, subject_id: str | None) -> tuple[str | None, str | None]:
    """Say (account id, tenant id); both None when the directory does not have it any more."""
    if row.about == NOBODY:
        if subject_id is not None:
            raise UsageError(f"notice {event} is about nobody of ours")
        return None, None
    if not subject_id:
        raise UsageError(f"notice {event} needs to be about somebody")
    account = txn.account(subject_id) if row.about != TENANT else None
    if account is not None:
        return account.account_id, account.tenant_id
    tenant = txn.tenant(subject_id) if row.about != ACCOUNT else None
    return None, tenant.tenant_id if tenant is not None else None


def _end_of_period(now: datetime, every: timedelta) -> datetime:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    return start + ((now - start) // every + 1) * every


def _checked(event: str, name: str, kind: str, value: Any) -> Any:
    if value is None and kind.endswith("?"):
        return None
    match kind.rstrip("?"), value:
        case ("flag", bool()) | ("number", int()) if isinstance(value, bool) == kind.startswith("flag"):
            return value
        case ("instant", datetime()) if value.tzinfo is not None:
            return value.isoformat()
        case ("date", date()) if not isinstance(value, datetime):
            return value.isoformat()
        case ("code" | "id") as one, str() if _is_one(one, value):
            return str(value)
        case ("codes" | "ids" | "clauses" | "features") as several, tuple() | list():
            if all(isinstance(x, str) and _is_one(several.removesuffix("s"), x) for x in value):
                return [str(x) for x in value]
    raise UsageError(f"notice {event}: {name} is no {kind}")


def _is_one(kind: str, text: str) -> bool:
    match kind:
        case "code":
            return _CODE.fullmatch(text) is not None
        case "id":
            return _ID.fullmatch(text) is not None
        case "clause":
            return _CLAUSE.fullmatch(text) is not None
    return _FEATURE.fullmatch(text) is not None


def _read(kind: str, value: Any) -> Any:
    if value is None:
        return None
    match kind:
        case "instant":
            return datetime.fromisoformat(value)
        case "date":
            return date.fromisoformat(value)
        case "features":
            return tuple(feature(x) for x in value)
        case "codes" | "ids" | "clauses":
            return tuple(value)
    return value
