"""Watches how many accounts each rule and signal brings points, and opens its breaker when that runs wild.
STANDING 5.7-21.

Fed with the ledger's rows as they are committed; what it counts is in memory, and read from the ledger once at the
start. Each node counts what it wrote itself; a breaker that one of them opens counts for all. Opening one is a row of
the site, an error in the service log for the pager, and a metric (filterd_breakers_tripped).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from filterd.agreement.breaker import Hit, keys_of, tripped, tripping
from filterd.agreement.sections_breaker import BreakerSection
from filterd.agreement.signals import split
from filterd.log import service_log
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import derived_id
from filterd.ports import Clock, LedgerTxn

Submit = Callable[[Callable[[LedgerTxn], Any]], Awaitable[Any]]
Rules = Callable[[], BreakerSection]
# How many accounts sent anything within so many days; None where nobody can say.
Senders = Callable[[int], Awaitable[int | None]]

# Violations whose strike has not come by yet: they are rows of one transaction.
_PENDING = 1000
# Hits kept of one key; with more within a week it is no question of a mean.
_HITS = 20_000
_KEYS = 5000
_STRUCK = 200_000


class BreakerWatch:
    """Run by the ledger process. Not for two threads at once."""

    def __init__(self, submit: Submit, rules: Rules, senders: Senders, clock: Clock):
        self._submit, self._rules, self._senders, self._clock = submit, rules, senders, clock
        self._since = clock.now()
        # Of a decision: what it is counted under, and when it was.
        self._pending: OrderedDict[str, tuple[tuple[str, ...], datetime]] = OrderedDict()
        self._hits: OrderedDict[str, deque[Hit]] = OrderedDict()
        self._first: dict[str, datetime] = {}
        self._struck: set[tuple[str, str]] = set()
        self._hot: set[str] = set()
        # Of a breaker its key, and since when a key counts anew.
        self._breakers: dict[str, str] = {}
        self._anew: dict[str, datetime] = {}

    def remember(self, rows: Iterable[tuple[str | None, r.Record]], since: datetime) -> None:
        """Take in (account id, record) of the days before the start, so that a restart forgets no mean."""
        self._since = min(self._since, since)
        for account_id, record in rows:
            self._take(account_id, record)
        self._hot.clear()

    def committed(self, account_id: str | None, record: r.Record) -> None:
        """Take in a row that is durable, and page somebody for a breaker."""
        self._take(account_id, record)
        if isinstance(record, r.BreakerTripped):
            service_log().error(
                "breaker_tripped",
                finding=record.finding,
                signal=record.signal,
                subjects=record.subjects,
                effect="gives no points until a person resets it; messages and holds as before",
            )

    def _take(self, account_id: str | None, record: r.Record) -> None:
        match record:
            case r.ViolationRecorded():
                self._pending[record.decision_id] = (keys_of(record), record.at)
                while len(self._pending) > _PENDING:
                    self._pending.popitem(last=False)
            case r.StrikeIssued() if account_id is not None:
                keys, at = self._pending.pop(record.decision_id, ((), record.at))
                for key in keys:
                    self._count(key, account_id, record.incident_id, at)
            case r.BreakerTripped():
                self._breakers[record.breaker_id] = _key(record.finding, record.signal)
            case r.BreakerReset() if record.breaker_id in self._breakers:
                # What a person has looked at is not held against the rule again.
                self._anew[self._breakers.pop(record.breaker_id)] = record.at
            case _:
                pass

    def _count(self, key: str, account_id: str, incident_id: str, at: datetime) -> None:
        # An incident counts once for a key, however many of its mails raise it.
        if (key, incident_id) in self._struck:
            return
        self._struck.add((key, incident_id))
        self._hits.setdefault(key, deque(maxlen=_HITS)).append(Hit(at=at, key=key, account_id=account_id))
        self._hits.move_to_end(key)
        self._first.setdefault(key, at)
        self._hot.add(key)
        while len(self._hits) > _KEYS:
            gone, _ = self._hits.popitem(last=False)
            self._first.pop(gone, None)

    # --- looking ------------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Open what has to be opened; called every few seconds."""
        hot, self._hot = self._hot, set()
        if not hot:
            return
        rules, now = self._rules(), self._clock.now()
        self._forget(now - timedelta(days=rules.mean_days))
        # Signals first: where one of them is what runs wild, the rest of its rule goes on.
        wild = [key for key in sorted(hot, key=lambda x: ("=" not in x, x)) if self._lately(key) > rules.subjects]
        if not wild:
            return
        # Asked only where it matters: it reads the counters.
        active = await self._senders(rules.senders_days)
        for key in wild:
            hits = self._known(key)
            subjects = tripping(
                hits, rules, now, active_senders=active, since=self._since, first_seen=self._first.get(key)
            )
            if subjects is not None:
                await self._submit(partial(_trip, key, subjects, self._by_signal(key), rules.subjects))

    def _known(self, key: str) -> list[Hit]:
        anew = self._anew.get(key)
        return [x for x in self._hits.get(key, ()) if anew is None or x.at > anew]

    def _lately(self, key: str) -> int:
        return len(self._accounts(key))

    def _accounts(self, key: str) -> frozenset[str]:
        """Say which accounts a key hit within the window."""
        since = self._clock.now() - timedelta(hours=self._rules().window_hours)
        return frozenset(x.account_id for x in self._known(key) if x.at > since)

    def _by_signal(self, key: str) -> dict[str | None, frozenset[str]]:
        """Say the same for a rule and each signal behind it."""
        finding, _ = split(key)
        return {split(name)[1]: self._accounts(name) for name in self._hits if split(name)[0] == finding}

    def _forget(self, before: datetime) -> None:
        for hits in self._hits.values():
            while hits and hits[0].at < before:
                hits.popleft()
        if len(self._struck) > _STRUCK:
            # Whoever raises an incident this old again counts again: too much, never too little.
            self._struck.clear()


def _trip(
    key: str, subjects: int, accounts: dict[str | None, frozenset[str]], at_most: int, txn: LedgerTxn
) -> None:
    """Write the row, unless another node was quicker, or a signal that is stopped explains it all."""
    finding, signal = split(key)
    open_ones = {(x.finding, x.signal) for x in tripped(txn.history(SITE), txn.now)}
    if not open_ones.isdisjoint({(finding, signal), (finding, None)}):
        return
    stopped = [y for x, y in open_ones if x == finding and y is not None]
    if signal is None and stopped:
        explained = frozenset[str]().union(*(accounts.get(y, frozenset()) for y in stopped))
        if len(accounts.get(None, frozenset()) - explained) <= at_most:
            return
    row = r.BreakerTripped(
        at=txn.now,
        breaker_id=derived_id("g", key, txn.now.isoformat()),
        finding=finding,
        signal=signal,
        subjects=subjects,
    )
    txn.append(row, account_id=None, tenant_id=None)


def _key(finding: str, signal: str | None) -> str:
    return finding if signal is None else f"{finding}={signal}"
