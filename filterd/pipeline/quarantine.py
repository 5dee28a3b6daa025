"""What people do with held mail: list it, see to whom it was to go, delete it.  HOUSE rule 1.

Letting a mail go is not among them, as long as nothing carries it out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.held import HeldMail, HeldState
from filterd.pipeline.evidence import HOLDING, VIEWING, person_for, reason_of
from filterd.pipeline.people import Arguments, PlainVerb
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
    states = tuple(HeldState) if arguments.get("all") else (HeldState.HELD, HeldState.RELEASED)
    return [_row(txn, held) for held in txn.held_mails(states, limit=LISTED)]


def quarantine_show(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say who wanted to send a held mail to whom; a row says who saw that."""
    person, reason = person_for(txn, arguments, VIEWING, "looking at held mail"), reason_of(arguments)
    held = _find(txn, arguments["item"])
    envelope = txn.held_envelope(held.item_id)
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
    shown = _row(txn, held) | {"envelope": None}
    if envelope is not None:
        reverse = envelope.reverse_path
        shown["envelope"] = {
            "reverse_path": reverse.address if reverse is not None else None,
            "forward_paths": [to.path.address for to in envelope.forward_paths],
        }
    return shown


def quarantine_delete(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Delete a held mail: it will never be delivered, and its sender was told that it was taken."""
    person, reason = person_for(txn, arguments, HOLDING, "deleting held mail"), reason_of(arguments)
    held = _find(txn, arguments["item"])
    txn.move_held(held.item_id, HeldState.HELD, HeldState.DELETED, by=person, reason=reason)
    return _row(txn, _find(txn, held.item_id))


def _find(txn: LedgerTxn, item_id: str) -> HeldMail:
    held = txn.held_mail(item_id)
    if held is None:
        raise UsageError(f"no held mail {item_id}")
    return held


def _row(txn: LedgerTxn, held: HeldMail) -> dict[str, Any]:
    account = txn.account(held.account_id)
    return {
        "item_id": held.item_id,
        "transaction_id": held.transaction_id,
        "account_id": held.account_id,
        "login": account.login if account is not None else None,
        "reason": held.reason,
        "state": held.state.value,
        "held_at": _iso(held.held_at),
        "due_at": _iso(held.due_at),
        "overdue": held.state is HeldState.HELD and held.due_at <= txn.now,
        "settled_at": _iso(held.settled_at) if held.settled_at is not None else None,
        "digest": held.digest,
    }


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
