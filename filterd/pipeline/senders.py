"""The ledger's side of who wrote to our users first: two verbs of workers, in numbers and keyed hashes only."""

from __future__ import annotations

from datetime import date
from typing import Any

from filterd.pipeline.people import Arguments, PlainVerb
from filterd.ports import LedgerTxn


def table() -> dict[str, PlainVerb]:
    """Say every verb by name."""
    return {"senders.note": _note, "senders.known": _known}


def _note(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Remember `rows`: [tenant id, keyed hash, day]."""
    rows = [(str(tenant), str(who), date.fromisoformat(day)) for tenant, who, day in arguments["rows"]]
    txn.note_senders(rows)
    return len(rows)


def _known(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say which of `senders` have written to `tenant_id` since the day `since`."""
    since = date.fromisoformat(arguments["since"])
    return sorted(txn.known_senders(arguments["tenant_id"], arguments["senders"], since))
