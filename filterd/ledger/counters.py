"""The counters: how much each account sends, in memory in the ledger process, so that all workers share one count.

Not of the durable class: what came in since the last `flush` is lost in a crash; a check that used counts writes them
down itself. Bounded: accounts that sent nothing for longest are put away first. One event loop uses this; only loading
and saving go through the writer thread.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from filterd.ledger import volumes
from filterd.ledger.txn import Txn
from filterd.ledger.windows import Day, Window, day_of
from filterd.model.decision import Counts
from filterd.ports import CountRequest

# Slots of all windows together; a slot takes about 100 octets.
_WEIGHT_AT_MOST = 4_000_000
_SAVED_AT_ONCE = 500
# First contacts waiting for a flush; beyond this they are not written down (and may be strangers again).
_MET_AT_MOST = 500_000

Submit = Callable[[Callable[[Txn], Any]], Awaitable[Any]]


class Counters:
    """All accounts' windows. `_days` and `_met` are what changed since the last flush, by account."""

    def __init__(self, submit: Submit, *, weight_at_most: int = _WEIGHT_AT_MOST):
        self._submit = submit
        self._weight_at_most = weight_at_most
        self._windows: OrderedDict[str, Window] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._weight = 0
        self._loading: dict[str, asyncio.Future[Window]] = {}
        self._days: dict[str, dict[int, Day]] = {}
        self._met: dict[str, dict[str, int]] = {}
        self._met_count = 0
        self._flushing = asyncio.Lock()

    async def count(self, request: CountRequest) -> Counts:
        """Take in a submission and say the counts with it. Raises LedgerUnavailable for an account not warm."""
        account_id = request.account_id
        window = self._windows.get(account_id)
        if window is None:
            window = await self._load(request)
        today = day_of(request.at)
        met = window.add(request)
        if met and self._met_count < _MET_AT_MOST:
            self._met.setdefault(account_id, {}).update(dict.fromkeys(met, today))
            self._met_count += len(met)
        self._days.setdefault(account_id, {})[today] = window.days[today]
        self._remember(account_id, window)
        return window.counts(request.at)

    async def flush(self) -> None:
        """Write what changed until now. Raises LedgerUnavailable and keeps what was not written."""
        async with self._flushing:
            await self._flush()

    async def _flush(self) -> None:
        waiting = list(self._days)
        for start in range(0, len(waiting), _SAVED_AT_ONCE):
            some = waiting[start : start + _SAVED_AT_ONCE]
            days = {(name, day): replace(was) for name in some for day, was in self._days[name].items()}
            met = {(name, who): day for name in some for who, day in self._met.get(name, {}).items()}
            await self._submit(partial(_save, days, met))
            for (name, day), written in days.items():
                if self._days[name][day] == written:
                    del self._days[name][day]
            for name, who in met:
                del self._met[name][who]
            for name in some:
                if not self._days[name]:
                    del self._days[name]
                if name in self._met and not self._met[name]:
                    del self._met[name]
            self._met_count = sum(map(len, self._met.values()))

    async def _load(self, request: CountRequest) -> Window:
        account_id = request.account_id
        loading = self._loading.get(account_id)
        if loading is None:
            loading = asyncio.ensure_future(self._loaded(request))
            self._loading[account_id] = loading
            loading.add_done_callback(lambda _: self._loading.pop(account_id, None))
        # Whoever gives up waiting must not take the others' load with them.
        return await asyncio.shield(loading)

    async def _loaded(self, request: CountRequest) -> Window:
        account_id, at = request.account_id, request.at
        window: Window = await self._submit(lambda txn: volumes.load(txn.connection, account_id, at))
        window.days.update(self._days.get(account_id, {}))
        window.correspondents.update((hash(who), day) for who, day in self._met.get(account_id, {}).items())
        window.resume(at)
        self._remember(account_id, window)
        return window

    def _remember(self, account_id: str, window: Window) -> None:
        self._windows[account_id] = window
        self._windows.move_to_end(account_id)
        self._weight += window.weight - self._weights.get(account_id, 0)
        self._weights[account_id] = window.weight
        while self._weight > self._weight_at_most and len(self._windows) > 1:
            oldest, _ = self._windows.popitem(last=False)
            self._weight -= self._weights.pop(oldest)


def _save(days: dict[tuple[str, int], Day], met: dict[tuple[str, str], int], txn: Txn) -> None:
    volumes.save(txn.connection, days, met)
