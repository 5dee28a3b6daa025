"""What people see of held mail, and its deletion.  HOUSE rule 1. What else they decide: quarantine_acts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.held import FOR_PERSON, WAITING, HeldMail, HeldState
from filterd.model.principal import Tenant
from filterd.pipeline.evidence import named, reason_of
from filterd.pipeline.held import close_task
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.roles import LOOK, permitted, reaches, refuse_unless_reached
from filterd.ports import LedgerTxn

# As many as a person looks through; the first due come first.
LISTED = 1000


def table() -> dict[str, PlainVerb]:
    """Say every verb by name."""
    return {
        "quarantine.list": quarantine_list,
        "quarantine.show": quarantine_show,
        "quarantine.delete": quarantine_delete,
    }


def quarantine_list(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say what is held; with `all` what was, too."""
    states = tuple(HeldState) if arguments.get("all") else WAITING
    actor = permitted(txn, arguments, LOOK) if arguments.get("token") else None
    found = txn.held_mails(states, limit=LISTED)
    return [row(txn, x) for x in found if actor is None or reaches(txn, actor, _tenant_of(txn, x))]


def quarantine_show(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say who wanted to send a held mail to whom; a row says who saw that."""
    actor, reason = permitted(txn, arguments, "evidence.show"), reason_of(arguments)
    held = find(txn, arguments["item"])
    person = named(txn, actor, "evidence.show", held.account_id)
    request = txn.held_request(held.item_id)
    viewed = r.EvidenceViewed(
        at=txn.now,
        account_id=held.account_id,
        transaction_ids=(held.transaction_id,),
        digests=(held.digest,),
        by=person,
        reason=reason,
        has_content=False,
    )
    txn.append(viewed, account_id=held.account_id, tenant_id=held.tenant_id)
    shown = row(txn, held) | {"envelope": None, "queue_ids": []}
    if request is not None:
        envelope, reverse = request.envelope, request.envelope.reverse_path
        shown["queue_ids"] = [x.queue_id for x in request.copies]
        shown["envelope"] = {
            "reverse_path": reverse.address if reverse is not None else None,
            "forward_paths": [to.path.address for to in envelope.forward_paths],
        }
    return shown


def quarantine_delete(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Delete a held mail: it will never be delivered, and its sender was told that it was taken."""
    actor, reason = permitted(txn, arguments, "quarantine.delete"), reason_of(arguments)
    held = find(txn, arguments["item"])
    # Whose agreement it is changes nothing: it is the customer's own mail (AL-6.1).
    refuse_unless_reached(txn, actor, "quarantine.delete", _tenant_of(txn, held), enforcing_party="")
    txn.move_held(held.item_id, HeldState.HELD, HeldState.DELETED, by=actor.name, reason=reason)
    close_task(txn, held, actor.name, reason)
    return row(txn, find(txn, held.item_id))


def _tenant_of(txn: LedgerTxn, held: HeldMail) -> Tenant | None:
    return txn.tenant(held.tenant_id) if held.tenant_id is not None else None


def find(txn: LedgerTxn, item_id: str) -> HeldMail:
    """Say an item. Raises UsageError when there is none."""
    held = txn.held_mail(item_id)
    if held is None or held.reason == FOR_PERSON:
        raise UsageError(f"no held mail {item_id}")
    return held


def row(txn: LedgerTxn, held: HeldMail) -> dict[str, Any]:
    """Say what is known of an item without looking into it."""
    account = txn.account(held.account_id)
    return {
        "item_id": held.item_id,
        "transaction_id": held.transaction_id,
        "account_id": held.account_id,
        "login": account.login if account is not None else None,
        "reason": held.reason,
        "direction": held.facts.direction.value,
        "incident_id": held.facts.incident_id or None,
        "state": held.state.value,
        "held_at": _iso(held.held_at),
        "due_at": _iso(held.due_at),
        "overdue": held.state is HeldState.HELD and held.due_at <= txn.now,
        "settled_at": _iso(held.settled_at) if held.settled_at is not None else None,
        "digest": held.digest,
    }


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
