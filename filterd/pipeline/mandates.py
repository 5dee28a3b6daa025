"""A reseller lets the platform's people decide in its name, for a time.  CLAUSES 0.15, STANDING 5.5.

By a person of that reseller; or by an administrator of the platform who names the document that says so.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.ids import random_id
from filterd.pipeline.desk import iso, reason_in
from filterd.pipeline.people import RESELLER, Actor, Arguments, PlainVerb
from filterd.pipeline.roles import LOOK, dealer_hash, dealer_of, is_scoped, mandates, permitted
from filterd.ports import LedgerTxn

MAX_DOCUMENT_CHARS = 120


def table() -> dict[str, PlainVerb]:
    """Say every verb by name."""
    return {"mandate.give": mandate_give, "mandate.end": mandate_end, "mandate.list": mandate_list}


def mandate_give(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Put a mandate of the reseller `dealer` on record, with the `document` it stands in, `until` an instant or for
    good."""
    actor = permitted(txn, arguments, "mandate.give")
    name = " ".join(str(arguments.get("dealer") or "").split())
    if dealer_hash(txn, name) not in {dealer_of(txn, tenant) for tenant in txn.tenants()}:
        raise UsageError(f"no tenant has a reseller called {name!r}")
    document = str(arguments.get("document") or "").strip()
    if not document or len(document) > MAX_DOCUMENT_CHARS or not document.isprintable():
        raise RefusedError(f"say where it stands, in 1 to {MAX_DOCUMENT_CHARS} printable characters: --document")
    until = _instant(arguments.get("until"))
    if until is not None and until <= txn.now:
        raise RefusedError("a mandate ends in the future")
    given = r.MandateGiven(
        at=txn.now,
        mandate_id=random_id("g", txn.now),
        dealer=dealer_hash(txn, name),
        document=document,
        until=until,
        by=actor.name,
    )
    _refuse_others(actor, given.dealer)
    txn.append(given, account_id=None, tenant_id=None)
    return _shown(given)


def mandate_end(txn: LedgerTxn, arguments: Arguments) -> Any:
    """End a `mandate` now."""
    actor = permitted(txn, arguments, "mandate.end")
    found = next((m for m in mandates(txn) if m.mandate_id == arguments.get("mandate")), None)
    if found is None:
        raise UsageError(f"no mandate {arguments.get('mandate')} is in force")
    _refuse_others(actor, found.dealer)
    ended = r.MandateEnded(at=txn.now, mandate_id=found.mandate_id, by=actor.name, reason=reason_in(arguments))
    txn.append(ended, account_id=None, tenant_id=None)
    return _shown(found) | {"ended_at": iso(txn.now)}


def mandate_list(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say the mandates in force; a reseller is named by a keyed hash, and sees their own."""
    actor = permitted(txn, arguments, LOOK) if arguments.get("token") else None
    is_all = actor is None or not is_scoped(actor)
    return [_shown(x) for x in mandates(txn) if is_all or (actor is not None and actor.scope == f"dealer:{x.dealer}")]


def _refuse_others(actor: Actor, dealer: str) -> None:
    if actor.role == RESELLER and actor.scope != f"dealer:{dealer}":
        raise RefusedError(f"{actor.name} gives no mandate for another reseller")


def _shown(mandate: r.MandateGiven) -> dict[str, Any]:
    return {
        "mandate_id": mandate.mandate_id,
        "dealer": mandate.dealer,
        "document": mandate.document,
        "since": iso(mandate.at),
        "until": iso(mandate.until),
        "by": mandate.by,
    }


def _instant(said: object) -> datetime | None:
    if not said:
        return None
    try:
        found = datetime.fromisoformat(str(said))
    except ValueError as err:
        raise RefusedError(f"{said!r} is no instant like 2027-01-31T00:00:00+08:00") from err
    if found.tzinfo is None:
        raise RefusedError(f"{said!r} needs its zone, as in 2027-01-31T00:00:00+08:00")
    return found
