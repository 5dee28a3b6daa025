"""Keeps ledger, file and alarm of the bypass together.  pipeline/bypass says what a bypass is.

The row comes first, then the file that the workers see. An order given while the ledger was away gets its row as soon
as the ledger is back; one whose time is over gets its closing row, and its file goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from filterd import metrics
from filterd.log import Log
from filterd.model import records as r
from filterd.pipeline.bypass import BY_CLOCK, append
from filterd.ports import BypassOrder, BypassStore, Clock, LedgerTxn

ALARM_EVERY_S = 60.0

Submit = Callable[[Callable[[LedgerTxn], Any]], Awaitable[Any]]


class BypassWatch:
    """Run by the ledger process. Not for two threads at once."""

    def __init__(self, submit: Submit, store: BypassStore, clock: Clock, log: Log):
        self._submit, self._store, self._clock, self._log = submit, store, clock, log
        self._alarmed_at = float("-inf")

    def committed(self, record: r.Record) -> None:
        """Carry out a row that is durable: put the order in force, or take it back."""
        match record:
            case r.BypassOpened(order_id=order_id, since=since, until=until, by=by, reason=reason):
                order = BypassOrder(
                    order_id=order_id, since=since, until=until, by=by, reason=reason, is_recorded=True
                )
                self._store.write(order)
                self._alarmed_at = float("-inf")
            case r.BypassClosed(order_id=order_id):
                found = self._store.stored()
                if found is not None and found.order_id == order_id:
                    self._store.end()
            case _:
                pass

    async def look(self) -> None:
        """Mend what is behind, and sound the alarm; called every few seconds. Raises ConfigError for a broken file."""
        order = self._store.stored()
        now = self._clock.now()
        is_active = order is not None and order.since <= now < order.until
        metrics.observe_bypass(is_active=is_active)
        if order is None:
            return
        if not order.is_recorded:
            await self._submit(lambda txn: append(txn, order))
            self._store.write(replace(order, is_recorded=True))
        if is_active:
            monotonic = asyncio.get_running_loop().time()
            if monotonic - self._alarmed_at >= ALARM_EVERY_S:
                self._alarmed_at = monotonic
                self._log.alarm(order.order_id, by=order.by, until=order.until.isoformat())
        elif now >= order.until:
            closed = r.BypassClosed(at=now, order_id=order.order_id, by=BY_CLOCK)
            await self._submit(lambda txn: txn.append(closed, account_id=None, tenant_id=None))
            self._store.end()
            self._log.alarm_over(order.order_id, by=BY_CLOCK)
