"""The counters: how much each account, tenant and client address sends, in memory in the ledger process, so that all
workers share one count.  ops/docs/COUNTERS.md

Not of the durable class: what came in since the last `flush` is lost in a crash; a check that used counts writes them
down itself. Each node writes what it counted and hears what the others wrote, once a flush: what they counted within
the last two may be missing, nothing of it is ever added twice. Bounded: who sent nothing for longest is put away first.
One event loop uses this; only loading and saving go through the writer thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol
from weakref import WeakValueDictionary

from filterd.errors import LedgerUnavailable
from filterd.ledger import volumes
from filterd.ledger.drips import Drips, of_others
from filterd.ledger.habits import CLIENT_PREFIX
from filterd.ledger.sliding import ZERO
from filterd.ledger.txn import Txn
from filterd.ledger.volumes import OUTSIDE, Heard, Pruned, Rows, outside
from filterd.ledger.windows import BASELINE_DAYS, DAY_MINUTES, Rates, Window, day_of, minute_of
from filterd.markers import reach
from filterd.model.about import NOTHING, About, about
from filterd.model.decision import Counts
from filterd.ports import CountRequest

# Slots of all windows together; a slot takes about 100 octets.
_WEIGHT_AT_MOST = 4_000_000
# A decision waits for no more than one such part.
_SAVED_AT_ONCE = 200
# First contacts waiting for a flush; beyond this they are not written down (and may be strangers again).
_MET_AT_MOST = 500_000
# So that nodes write in turn, and their stamps say in which.
_WRITERS = about(others=("counters",))


class Submit(Protocol):
    """Runs a function in the writer thread. Raises LedgerUnavailable."""

    def __call__(self, function: Callable[[Txn], Any], about: About = ...) -> Awaitable[Any]: ...


class Counters:
    """All windows, by account, tenant and client id. `_changed` and `_met` are what the store does not know yet."""

    def __init__(
        self, submit: Submit, *, node: str, is_shared: bool = False, weight_at_most: int = _WEIGHT_AT_MOST
    ):
        """
        Args:
            node: whose rows are ours.
            is_shared: whether other nodes write to the store, too.
        """
        self._submit = submit
        self._node = node
        self._is_shared = is_shared
        self._weight_at_most = weight_at_most
        # Every window that anybody holds, so that there is never a second one of the same subject.
        self._live: WeakValueDictionary[str, Window] = WeakValueDictionary()
        self._windows: OrderedDict[str, Window] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._weight = 0
        self._loading: dict[str, asyncio.Future[dict[str, Window]]] = {}
        self._changed: dict[str, Window] = {}
        self._met: dict[str, dict[str, int]] = {}
        self._met_count = 0
        self._heard_until: datetime | None = None
        self._pruned = Pruned()
        self._flushing = asyncio.Lock()

    # --- counting -------------------------------------------------------------------------------------------------

    async def count(self, request: CountRequest) -> Counts:
        """Take in a submission and say the counts with it. Raises LedgerUnavailable for an account not warm."""
        counts = self.count_warm(request)
        if counts is not None:
            return counts
        account = self._live.get(request.account_id)
        try:
            found = await self._load(request)
        except LedgerUnavailable:
            if account is None:
                raise
            # A tenant or client nobody can look up is no reason not to count an account that is warm.
            found = {request.account_id: account}
        if account is not None:
            # One just looked up has it from the store.
            await self._learn(request, account)
        return self._count(request, found, await self._answered(request, found[request.account_id]))

    async def _answered(self, request: CountRequest, window: Window) -> frozenset[str]:
        """Ask the store who of the first contacts wrote first. On doubt all: a reply is taken for no slow drip."""
        asked = window.seen.first_contacts(request) if window.seen is not None else ()
        tenant, since = request.tenant_id, request.wrote_since
        if not asked or tenant is None or since is None:
            return frozenset()
        try:
            found: frozenset[str] = await self._submit(lambda txn: txn.known_senders(tenant, asked, since), NOTHING)
        except LedgerUnavailable:
            return frozenset(asked)
        return found

    async def _learn(self, request: CountRequest, window: Window) -> None:
        """Ask the store for a network that is new here: another node may have known it for long."""
        client = request.client_id
        if not self._is_shared or client is None or window.seen is None or window.seen.clients.knows(client):
            return
        with contextlib.suppress(LedgerUnavailable):
            day = await self._submit(
                lambda txn: volumes.client_since(txn.connection, request.account_id, client), NOTHING
            )
            if day is not None:
                window.seen.clients.learn(client, day)

    def count_warm(self, request: CountRequest) -> Counts | None:
        """The same without waiting; None, and nothing counted, when something must be looked up first."""
        found = {}
        for subject in _subjects(request):
            window = self._live.get(subject)
            if window is None:
                return None
            found[subject] = window
        seen, client = found[request.account_id].seen, request.client_id
        if self._is_shared and client is not None and seen is not None and not seen.clients.knows(client):
            return None
        if seen is not None and seen.first_contacts(request):
            return None
        return self._count(request, found, frozenset())

    def _count(self, request: CountRequest, found: Mapping[str, Window], answered: frozenset[str]) -> Counts:
        account_id, now = request.account_id, minute_of(request.at)
        change = found[account_id].add(request, answered)
        if change.met and self._met_count < _MET_AT_MOST:
            self._met.setdefault(account_id, {}).update(dict.fromkeys(change.met, day_of(now)))
            self._met_count += len(change.met)
        for subject, window in found.items():
            if subject != account_id:
                window.take(now, change.outside if subject.startswith(OUTSIDE) else change)
            if window.unsaved:
                self._changed[subject] = window
            self._remember(subject, window)
        rates = {subject: window.rates(now) for subject, window in found.items()}
        counts = _counts(rates[account_id], rates.get(request.tenant_id or ""), rates.get(request.client_id or ""))
        return replace(
            counts,
            **_habits(found[account_id], request, now),
            external_day=rates.get(outside(account_id), _NONE).day[1],
            tenant_external_day=rates.get(outside(request.tenant_id or ""), _NONE).day[1],
            recipients_month=found[account_id].recipients_month(now),
            drip_strangers=change.drip,
        )

    def _remember(self, subject: str, window: Window) -> None:
        if subject in self._windows:
            self._windows.move_to_end(subject)
        else:
            self._live[subject] = self._windows[subject] = window
        self._weigh(subject, window)
        while self._weight > self._weight_at_most and len(self._windows) > 1:
            self._put_away(next(iter(self._windows)))

    def _weigh(self, subject: str, window: Window) -> None:
        weight = window.weight
        self._weight += weight - self._weights.get(subject, 0)
        self._weights[subject] = weight

    def _put_away(self, subject: str) -> None:
        del self._windows[subject]
        self._weight -= self._weights.pop(subject)

    # --- loading --------------------------------------------------------------------------------------------------

    async def _load(self, request: CountRequest) -> dict[str, Window]:
        """Say the windows of a request, those looked up that were not warm."""
        found = {subject: window for subject in _subjects(request) if (window := self._live.get(subject)) is not None}
        cold = tuple(subject for subject in _subjects(request) if subject not in found)
        if unasked := tuple(subject for subject in cold if subject not in self._loading):
            task: asyncio.Future[dict[str, Window]] = asyncio.ensure_future(self._loaded(unasked, request))
            self._loading.update(dict.fromkeys(unasked, task))
            task.add_done_callback(partial(self._ended, unasked))
        for loading in {self._loading[subject] for subject in cold}:
            # Whoever gives up waiting must not take the others' load with them.
            loaded = await asyncio.shield(loading)
            found.update((subject, loaded[subject]) for subject in cold if subject in loaded)
        return found

    def _ended(self, subjects: Iterable[str], task: asyncio.Future[dict[str, Window]]) -> None:
        for subject in subjects:
            del self._loading[subject]
        if not task.cancelled():
            # Nobody may be left to hear of it.
            task.exception()

    async def _loaded(self, subjects: tuple[str, ...], request: CountRequest) -> dict[str, Window]:
        now = minute_of(request.at)

        def look(txn: Txn) -> tuple[datetime | None, dict[str, Window]]:
            connection = txn.connection
            # Before the rows: whatever is written in between is heard later.
            stamp = volumes.last_stamp(connection) if self._is_shared else None
            return stamp or _LONG_AGO, {
                subject: volumes.load(
                    connection, subject, now, self._node, is_account=subject == request.account_id
                )
                for subject in subjects
            }

        stamp, loaded = await self._submit(look, NOTHING)
        if self._heard_until is None:
            self._heard_until = stamp
        for subject, window in loaded.items():
            if window.seen is not None:
                # Met here and put away before they were written.
                met = self._met.get(subject, {}).items()
                window.seen.correspondents.update((hash(x), day) for x, day in met if not x.startswith(CLIENT_PREFIX))
                for who, day in met:
                    if who.startswith(CLIENT_PREFIX):
                        window.seen.clients.learn(who, day)
            self._remember(subject, window)
        found: dict[str, Window] = loaded
        return found

    # --- saving, and hearing of the other nodes -------------------------------------------------------------------

    async def flush(self) -> None:
        """Write what changed until now; where nodes share the store, take in what the others wrote.

        Raises LedgerUnavailable and keeps what was not written.
        """
        async with self._flushing:
            waiting = list(self._changed)
            for start in range(0, max(1, len(waiting)), _SAVED_AT_ONCE):
                await self._save(waiting[start : start + _SAVED_AT_ONCE])
            if self._is_shared:
                await self._hear()

    async def _save(self, subjects: list[str]) -> None:
        taken = {subject: self._changed[subject].unsaved for subject in subjects}
        minutes, days = {}, {}
        for subject, unsaved in taken.items():
            window = self._changed[subject]
            window.unsaved = set()
            own_minutes, own_days = window.ours(unsaved)
            minutes.update({(subject, minute): numbers for minute, numbers in own_minutes.items()})
            days.update({(subject, day): volume for day, volume in own_days.items()})
        dripped = self._dripped(subjects)
        for subject, (drips, runs) in dripped.items():
            drips.unsaved = set()
            days.update(drips.ours(subject, runs))
        met = {(subject, who): day for subject in subjects for who, day in self._met.get(subject, {}).items()}
        try:
            rows = Rows(minutes=minutes, days=days, met=met)
            asked = tuple(dripped) if self._is_shared else ()
            write = partial(_write, self._node, rows, self._pruned, asked)
            self._pruned, others = await self._submit(write, _WRITERS)
        except BaseException:
            for subject, unsaved in taken.items():
                self._changed[subject].unsaved |= unsaved
            for drips, runs in dripped.values():
                drips.unsaved |= runs
            raise
        for subject, heard in others.items():
            dripped[subject][0].hear(heard)
        reach("counters.flushed")
        for subject in subjects:
            if not self._changed[subject].unsaved:
                del self._changed[subject]
        for subject, who in met:
            del self._met[subject][who]
            if not self._met[subject]:
                del self._met[subject]
        self._met_count = sum(map(len, self._met.values()))

    def _dripped(self, subjects: Iterable[str]) -> dict[str, tuple[Drips, set[tuple[int, int]]]]:
        """Say the accounts with runs that the store does not know yet, and which these are."""
        seen = {subject: self._changed[subject].seen for subject in subjects}
        return {subject: (x.drips, x.drips.unsaved) for subject, x in seen.items() if x is not None and x.drips.unsaved}

    async def _hear(self) -> None:
        is_more = self._heard_until is not None
        while is_more:
            look = partial(_changed_since, self._node, self._heard_until or _LONG_AGO)
            now, (self._heard_until, heard, is_more) = await self._submit(look, NOTHING)
            for subject, node, minute, numbers in heard:
                self._take_in(now, subject, node, minute, numbers)

    def _take_in(self, now: int, subject: str, node: str, minute: int, numbers: Any) -> None:
        window = self._live.get(subject)
        if window is None or abs(now - minute) >= DAY_MINUTES:
            # Looked up when somebody asks; a node whose clock is a day off says nothing of today.
            return
        window.hear(node, minute, numbers)
        if subject not in self._windows:
            return
        self._weigh(subject, window)
        if now - window.minutes.at >= DAY_MINUTES:
            # It sends elsewhere now; nobody here would ever tidy it.
            self._put_away(subject)


_LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00Z")


def _subjects(request: CountRequest) -> tuple[str, ...]:
    subjects = [request.account_id, request.tenant_id, request.client_id]
    if request.tenant_id and any(request.is_external):
        subjects.append(outside(request.tenant_id))
    if request.keeps_external:
        subjects.append(outside(request.account_id))
    return tuple(subject for subject in subjects if subject)


def _write(
    node: str, rows: Rows, pruned: Pruned, asked: Iterable[str], txn: Txn
) -> tuple[Pruned, dict[str, dict[int, dict[int, int]]]]:
    """Write rows; say how far was pruned, and what other nodes have of the runs of the accounts asked about."""
    volumes.save(txn.connection, node, txn.now, rows)
    today = day_of(minute_of(txn.now))
    others = {account: of_others(txn.connection, account, today, node) for account in asked}
    return volumes.prune(txn.connection, txn.now, pruned), others


def _changed_since(node: str, seen: datetime, txn: Txn) -> tuple[int, tuple[datetime, Iterable[Heard], bool]]:
    return minute_of(txn.now), volumes.changed(txn.connection, node, seen)


def _counts(account: Rates, tenant: Rates | None, client: Rates | None) -> Counts:
    tenant, client = tenant or _NONE, client or _NONE
    return Counts(
        messages_10min=account.ten[0],
        messages_hour=account.hour[0],
        messages_day=account.day[0],
        recipients_10min=account.ten[1],
        recipients_hour=account.hour[1],
        recipients_day=account.day[1],
        unknown_hour=account.hour[2],
        strangers_hour=account.hour[3],
        baseline_recipients_day=account.baseline,
        tenant_messages_10min=tenant.ten[0],
        tenant_messages_hour=tenant.hour[0],
        tenant_messages_day=tenant.day[0],
        tenant_recipients_10min=tenant.ten[1],
        tenant_recipients_hour=tenant.hour[1],
        tenant_recipients_day=tenant.day[1],
        tenant_baseline_recipients_day=tenant.baseline,
        client_messages_10min=client.ten[0],
        client_messages_hour=client.hour[0],
        client_messages_day=client.day[0],
        client_recipients_10min=client.ten[1],
        client_recipients_hour=client.hour[1],
        client_recipients_day=client.day[1],
        client_baseline_recipients_day=client.baseline,
    )


def _habits(account: Window, request: CountRequest, now: int) -> dict[str, Any]:
    """Say what is unlike the account, by name of a field of Counts."""
    seen, today = account.seen, day_of(now)
    if seen is None:
        return {}
    origin = seen.clients.origin(request.client_id, now, today, account.opened_day)
    return {
        "clients_hour": origin.clients_hour,
        "client_is_new": origin.is_new,
        "client_is_original": origin.is_original,
        "strangers_baseline_day": seen.strangers_a_day(today, account.opened_day, BASELINE_DAYS),
    }


_NONE = Rates(ZERO, ZERO, ZERO, 0.0)
