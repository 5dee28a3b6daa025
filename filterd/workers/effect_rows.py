"""What effectors did, on record: in a transaction of its own, or in the one that ends the work.  HOUSE rule 5."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from filterd.model.about import About, about
from filterd.model.ids import derived_id
from filterd.model.records import EffectReported
from filterd.pipeline.effects import SYSTEM
from filterd.pipeline.protecting import MTA_QUEUE
from filterd.ports import Clock, LedgerTxn, OutboxItem
from filterd.workers.outbox import Submit


class EffectOutbox(Protocol):
    """The ledger's outbox, for one topic. Raises LedgerUnavailable."""

    async def lease(self, now: datetime, limit: int, *, only: Sequence[str]) -> Sequence[OutboxItem]: ...

    async def done(self, item_id: str, function: Callable[[LedgerTxn], object], about: About) -> bool: ...

    async def retry(self, item_id: str, due_at: datetime, error: str) -> bool: ...


class EffectRows:
    """The writing half of the worker. `on_report` hears every row written."""

    def __init__(self, outbox: EffectOutbox, submit: Submit, clock: Clock, on_report: Callable[[EffectReported], None]):
        self._outbox, self._submit, self._clock, self._on_report = outbox, submit, clock, on_report

    async def _done(self, item: OutboxItem, account_id: str, rows: Sequence[EffectReported]) -> None:
        """End an item with its rows, or leave both to whoever has ended it."""

        def finish(txn: LedgerTxn) -> None:
            for row in rows:
                self._append(txn, row)

        if await self._outbox.done(item.item_id, finish, about(accounts=(account_id,))):
            for row in rows:
                self._on_report(row)

    async def _write(self, account_id: str, rows_of: Callable[[LedgerTxn], Sequence[EffectReported]]) -> None:
        def write(txn: LedgerTxn) -> Sequence[EffectReported]:
            rows = rows_of(txn)
            for row in rows:
                self._append(txn, row)
            return rows

        for row in await self._submit(write, about(accounts=(account_id,))):
            self._on_report(row)

    def _append(self, txn: LedgerTxn, row: EffectReported) -> None:
        append_row(txn, row)

    def _row(
        self,
        item: OutboxItem,
        account_id: str,
        owner_id: str,
        act: str,
        outcome: str,
        ids: tuple[str, ...],
        *,
        detail: str = "",
        effector: str = MTA_QUEUE,
    ) -> EffectReported:
        return row_of(item, self._clock.now(), account_id, owner_id, (effector, act), outcome, ids, detail)


def row_of(
    item: OutboxItem,
    now: datetime,
    account_id: str,
    owner_id: str,
    what: tuple[str, str],
    outcome: str,
    ids: tuple[str, ...] = (),
    detail: str = "",
) -> EffectReported:
    """Say what was done for a promise. `what`: effector and act; `ids` count as so many mails."""
    effector, act = what
    first = ids[0] if ids else ""
    return EffectReported(
        at=now,
        effect_id=derived_id("e", item.item_id, account_id, act, outcome, first, now.isoformat()),
        account_id=account_id,
        owner_id=owner_id,
        effector=effector,
        act=act,
        outcome=outcome,
        count=len(ids),
        detail=detail,
        ids=ids,
        by=by_whom(item),
    )


def append_row(txn: LedgerTxn, row: EffectReported) -> None:
    """Put it on record."""
    account = txn.account(row.account_id)
    txn.append(row, account_id=row.account_id, tenant_id=account.tenant_id if account is not None else None)


def by_whom(item: OutboxItem) -> str:
    return str(item.payload.get("by") or SYSTEM)
