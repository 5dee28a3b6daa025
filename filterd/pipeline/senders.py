"""The ledger's side of who writes: to our users first, in numbers and keyed hashes only, and in whose name. Verbs of
workers."""

from __future__ import annotations

from datetime import date
from typing import Any

from filterd.pipeline.people import Arguments, PlainVerb
from filterd.ports import LedgerTxn


def table() -> dict[str, PlainVerb]:
    """Say every verb by name."""
    return {"senders.note": _note, "senders.known": _known, "senders.granted": _granted}


def _note(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Remember `rows`: [tenant id, keyed hash, day]."""
    rows = [(str(tenant), str(who), date.fromisoformat(day)) for tenant, who, day in arguments["rows"]]
    txn.note_senders(rows)
    return len(rows)


def _known(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say which of `senders` have written to `tenant_id` since the day `since`."""
    since = date.fromisoformat(arguments["since"])
    return sorted(txn.known_senders(arguments["tenant_id"], arguments["senders"], since))


def _granted(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say whether `account_id` may write from `address`, another mailbox's, canonical."""
    account = txn.account(str(arguments["account_id"]))
    return account is not None and str(arguments["address"]) in account.send_as
