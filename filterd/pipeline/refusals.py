"""Which mail of an account did its standing refuse, and how many recipients?  STANDING 5.6, 5.7-3.

Read from the search index over the event stream, where there is one: the ledger holds no row for mail refused by
standing alone. A recipient refused before DATA is an event of its own, so those of a minute are one row here. A mail
refused whole after DATA counts as one recipient, for the index does not know how many there were.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from filterd.model.found import MailQuery
from filterd.pipeline.appeal_page import Refusal, Refusals
from filterd.pipeline.refusal_notes import BY_STANDING
from filterd.ports import VerdictIndex

# More than anybody reads; the count of a page is that of its rows.
_AT_MOST = 2000


def refusals_in(opened: Callable[[], VerdictIndex]) -> Refusals:
    """Make the look-up. `opened` opens the index for one use; it raises PortError where there is none."""

    async def look(account_id: str, since: datetime) -> tuple[Refusal, ...]:
        return await asyncio.to_thread(_look, opened, account_id, since)

    return look


def _look(opened: Callable[[], VerdictIndex], account_id: str, since: datetime) -> tuple[Refusal, ...]:
    index = opened()
    since_us = int(since.timestamp() * 1_000_000)
    minutes: Counter[datetime] = Counter()
    try:
        for disposition in ("denied", "reject"):
            query = MailQuery(since_us=since_us, account_id=account_id, disposition=disposition, limit=_AT_MOST)
            for found in index.find(query):
                if disposition == "denied" or any(x.startswith(BY_STANDING) for x in found.judged.reasons):
                    at = datetime.fromtimestamp(found.judged.at_us / 1_000_000, UTC)
                    minutes[at.replace(second=0, microsecond=0)] += 1
    finally:
        index.close()
    return tuple(Refusal(at=at, recipients=minutes[at]) for at in sorted(minutes, reverse=True))
