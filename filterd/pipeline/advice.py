"""Advice: what a sender is told to mend before it counts.  CLAUSES TX-3.1.4, tail-c, TX-3.5.1.

No violation and no points; the notice says what to do.
"""

from __future__ import annotations

from datetime import datetime

from filterd.model import records as r
from filterd.model.decision import Decision
from filterd.pipeline.notice_events import announce_event
from filterd.ports import LedgerTxn

# What there is to do about a category; others are named as they are.
_WHAT_TO_DO = {"spam.advert": "stream.declare", "impersonation.exact": "sender.foreign"}


def give_advice(txn: LedgerTxn, decision: Decision, account_id: str, at: datetime) -> None:
    """Promise the notices of the advice in a decision, and of streams it has put on notice."""
    for code in decision.advice:
        what = _WHAT_TO_DO.get(code, code)
        announce_event(txn, "advice", account_id, {"code": what, "count": 1, "since": at})
    for record in decision.records:
        if isinstance(record, r.StreamNoticed):
            announce_event(
                txn,
                "stream_on_notice",
                account_id,
                {
                    "entry_id": record.entry_id,
                    "condition": record.condition,
                    "repair_by": record.repair_by,
                    "delivered": record.delivered,
                    "complainants": record.complainants,
                    "bounced": record.bounced,
                },
            )
