"""Watches how many accounts each rule and signal brings points, and opens its breaker when that runs wild.
STANDING 5.7-21.

Fed with the ledger's rows as they are committed; the count is pipeline/runaway's. Each node counts what it wrote
itself; a breaker that one of them opens counts for all. Opening one is a row of the site, an error in the service log
for the pager, and a metric (filterd_breakers_tripped).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from filterd.log import service_log
from filterd.model import records as r
from filterd.pipeline.runaway import Runaway, trip
from filterd.ports import LedgerTxn

Submit = Callable[[Callable[[LedgerTxn], Any]], Awaitable[Any]]
# How many accounts sent anything within so many days; None where nobody can say.
Senders = Callable[[int], Awaitable[int | None]]


class BreakerWatch:
    """Run by the ledger process. Not for two threads at once."""

    def __init__(self, submit: Submit, runaway: Runaway, senders: Senders):
        self._submit, self._runaway, self._senders = submit, runaway, senders

    def committed(self, account_id: str | None, record: r.Record) -> None:
        """Take in a row that is durable, and page somebody for a breaker."""
        self._runaway.take(account_id, record)
        if isinstance(record, r.BreakerTripped):
            service_log().error(
                "breaker_tripped",
                finding=record.finding,
                signal=record.signal,
                subjects=record.subjects,
                effect="gives no points until a person resets it; messages and holds as before",
            )

    async def look(self) -> None:
        """Open what has to be opened; called every few seconds."""
        hot = self._runaway.hot()
        if not hot:
            return
        # Asked only where it matters: it reads the counters.
        active = await self._senders(self._runaway.senders_days)
        for key in hot:
            wild = self._runaway.wild(key, active)
            if wild is not None:
                await self._submit(partial(trip, wild))
