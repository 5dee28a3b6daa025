"""Who looked at evidence, and who took it out: the auditor's list.  STANDING 5.5.

In the composition root because it reads rows of all accounts by kind, which no verb of the pipeline can.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from filterd.errors import RefusedError
from filterd.ledger.lately import rows_since
from filterd.ledger.txn import Txn
from filterd.model.records import KIND_OF, EvidenceExported, EvidenceTaken, EvidenceViewed
from filterd.pipeline.desk import plain
from filterd.pipeline.roles import permitted
from filterd.ports import LedgerTxn

READS_VERB = "evidence.reads"
# A look is short: mail waits for it. Whoever needs more reads a dump (`filterd ledger dump`).
MAX_DAYS, MAX_ROWS = 366, 5000

_KINDS = tuple(KIND_OF[kind] for kind in (EvidenceViewed, EvidenceExported, EvidenceTaken))


def evidence_reads(txn: LedgerTxn, arguments: Mapping[str, Any]) -> Any:
    """Say the rows about evidence of the last `days`, the latest MAX_ROWS of them, and how many each person has.

    Mails are named by transaction and digest; of their content there is nothing.
    """
    permitted(txn, arguments, READS_VERB)
    days = int(arguments.get("days") or 30)
    if not 1 <= days <= MAX_DAYS:
        raise RefusedError(f"days is 1 to {MAX_DAYS}")
    found = rows_since(cast("Txn", txn).connection, txn.now - timedelta(days=days), _KINDS, MAX_ROWS)
    by = str(arguments.get("by") or "")
    rows = [{"kind": KIND_OF[type(x)], **plain(x)} for _, x in found]
    rows = [row for row in rows if by in ("", row["by"], row.get("approver"))]
    people: dict[str, dict[str, int]] = {}
    for row in rows:
        mine = people.setdefault(row["by"], {})
        mine[row["kind"]] = mine.get(row["kind"], 0) + 1
    return {"days": days, "is_cut": len(found) == MAX_ROWS, "rows": rows, "people": people}
