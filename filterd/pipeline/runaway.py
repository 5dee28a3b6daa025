"""How many accounts does each rule and signal bring points, and is that too many?  STANDING 5.7-21.

Counted in memory from the ledger's rows; what is asked for is the row that opens a breaker (workers/breakers asks every
few seconds). An incident counts once for a key, a finding code or `code=signal`, however many of its mails raise it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from filterd.agreement.breaker import Hit, keys_of, tripped, tripping
from filterd.agreement.sections_breaker import BreakerSection
from filterd.agreement.signals import split
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import derived_id
from filterd.ports import Clock, LedgerTxn

Rules = Callable[[], BreakerSection]

# Violations whose strike has not come by yet: they are rows of one transaction.
_PENDING = 1000
# Hits kept of one key; with more within a week it is no question of a mean.
_HITS = 20_000
_KEYS = 5000
_STRUCK = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wild:
    """A key that wants its breaker: how many accounts it hit, and which, by the signals of its rule (None: all)."""

    key: str
    subjects: int
    accounts: Mapping[str | None, frozenset[str]]
    at_most: int


class Runaway:
    """The count of one node. Not for two threads at once."""

    def __init__(self, rules: Rules, clock: Clock):
        self._rules, self._clock = rules, clock
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

    @property
    def senders_days(self) -> int:
        return self._rules().senders_days

    def remember(self, rows: Iterable[tuple[str | None, r.Record]], since: datetime) -> None:
        """Take in (account id, record) of the days before the start, so that a restart forgets no mean."""
        self._since = min(self._since, since)
        for account_id, record in rows:
            self.take(account_id, record)
        self._hot.clear()

    def take(self, account_id: str | None, record: r.Record) -> None:
        """Take in a row that is durable."""
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

    def hot(self) -> tuple[str, ...]:
        """Say which keys hit more accounts within the window than any may, since this was asked last.

        Signals come first: where one of them is what runs wild, the rest of its rule goes on.
        """
        hot, self._hot = self._hot, set()
        if not hot:
            return ()
        rules = self._rules()
        self._forget(self._clock.now() - timedelta(days=rules.mean_days))
        ordered = sorted(hot, key=lambda key: ("=" not in key, key))
        return tuple(key for key in ordered if len(self._accounts(key)) > rules.subjects)

    def wild(self, key: str, active_senders: int | None) -> Wild | None:
        """Say that a key runs wild, None when that many are nothing unusual."""
        rules = self._rules()
        subjects = tripping(
            self._known(key),
            rules,
            self._clock.now(),
            active_senders=active_senders,
            since=self._since,
            first_seen=self._first.get(key),
        )
        if subjects is None:
            return None
        finding, _ = split(key)
        accounts = {split(name)[1]: self._accounts(name) for name in self._hits if split(name)[0] == finding}
        return Wild(key=key, subjects=subjects, accounts=accounts, at_most=rules.subjects)

    def _known(self, key: str) -> list[Hit]:
        anew = self._anew.get(key)
        return [x for x in self._hits.get(key, ()) if anew is None or x.at > anew]

    def _accounts(self, key: str) -> frozenset[str]:
        """Say which accounts a key hit within the window."""
        since = self._clock.now() - timedelta(hours=self._rules().window_hours)
        return frozenset(x.account_id for x in self._known(key) if x.at > since)

    def _forget(self, before: datetime) -> None:
        for hits in self._hits.values():
            while hits and hits[0].at < before:
                hits.popleft()
        if len(self._struck) > _STRUCK:
            # Whoever raises an incident this old again counts again: too much, never too little.
            self._struck.clear()


def trip(wild: Wild, txn: LedgerTxn) -> None:
    """Write the row, unless another node was quicker, or a signal that is stopped explains it all."""
    finding, signal = split(wild.key)
    open_ones = {(x.finding, x.signal) for x in tripped(txn.history(SITE), txn.now)}
    if not open_ones.isdisjoint({(finding, signal), (finding, None)}):
        return
    stopped = [y for x, y in open_ones if x == finding and y is not None]
    if signal is None and stopped:
        explained = frozenset[str]().union(*(wild.accounts.get(y, frozenset()) for y in stopped))
        if len(wild.accounts.get(None, frozenset()) - explained) <= wild.at_most:
            return
    row = r.BreakerTripped(
        at=txn.now,
        breaker_id=derived_id("g", wild.key, txn.now.isoformat()),
        finding=finding,
        signal=signal,
        subjects=wild.subjects,
    )
    txn.append(row, account_id=None, tenant_id=None)


def _key(finding: str, signal: str | None) -> str:
    return finding if signal is None else f"{finding}={signal}"
