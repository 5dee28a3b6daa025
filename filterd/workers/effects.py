"""Carries out what follows from sanctions and holds outside the ledger.  STANDING 5.7-17, 5.7-20.

On the node that keeps the timers, one promise after the other: two about the same queue never meet. Every act is on
record (EffectReported): what is put on hold before the MTA is told, so that a crash in between leaves nobody's mail on
hold unknown; how it went afterwards. Acting twice is harmless. A failure is written down once, tried again with growing
pauses for ever, counted and logged each time.

Whose a queued mail is: where the search index is kept, the event stream says it by queue id (the next hop's reply to
the mail); else the envelope sender does. Of short queue ids, which Postfix uses again, only what was heard since the
mail arrived counts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from filterd.errors import FilterdError, PortError
from filterd.mail.names import canonical_login
from filterd.markers import reach
from filterd.model.about import NOTHING, About, about
from filterd.model.found import MailQuery
from filterd.model.ids import derived_id
from filterd.model.records import EffectReported
from filterd.pipeline.effects import (
    APPLIED,
    BEGUN,
    DELETE,
    FAILED,
    IDS_A_ROW,
    LOOK,
    NOTHING_DONE,
    SETTLE,
    SYSTEM,
    EffectDesk,
    QueueOrder,
    look_again,
)
from filterd.pipeline.protecting import CREDENTIALS, EFFECT, HOLD, MTA_QUEUE, RELEASE, REVOKE
from filterd.ports import Clock, Credentials, LedgerTxn, MtaQueue, OutboxItem, QueuedMail, VerdictIndex
from filterd.workers.outbox import Submit, backoff

# postqueue says whole seconds, and clocks of two programs differ a little.
_CLOCK_S = timedelta(seconds=60)
# For how long mail stays in a queue (postconf(5): maximal_queue_lifetime, five days) and then some.
_QUEUED_AT_MOST = timedelta(days=10)
_MAILS_AT_MOST = 200_000


class EffectOutbox(Protocol):
    """The ledger's outbox, for one topic. Raises LedgerUnavailable."""

    async def lease(self, now: datetime, limit: int, *, only: Sequence[str]) -> Sequence[OutboxItem]: ...

    async def done(self, item_id: str, function: Callable[[LedgerTxn], object], about: About) -> bool: ...

    async def retry(self, item_id: str, due_at: datetime, error: str) -> bool: ...


def _ignore(*_: object) -> None:
    return None


class EffectsWorker:
    """One a ledger. `on_report` hears every row written, `on_error` an item's id and what went wrong."""

    def __init__(
        self,
        outbox: EffectOutbox,
        submit: Submit,
        desk: EffectDesk,
        clock: Clock,
        *,
        queue: MtaQueue | None = None,
        credentials: Credentials | None = None,
        index: VerdictIndex | None = None,
        look_s: float = 300,
        on_report: Callable[[EffectReported], None] = _ignore,
        on_error: Callable[[str, str], None] = _ignore,
        poll_s: float = 1.0,
    ):
        self._outbox, self._submit, self._desk, self._clock = outbox, submit, desk, clock
        self._queue, self._credentials, self._index = queue, credentials, index
        self._look, self._poll_s = timedelta(seconds=look_s), poll_s
        self._on_report, self._on_error = on_report, on_error

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; what is under way is finished first. No error ends it."""
        while not stop.is_set():
            handled = 0
            try:
                handled = await self.drain_once()
            except Exception as err:
                self._on_error("", _named(err))
            if not handled:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._poll_s)

    async def drain_once(self) -> int:
        """Try what is due, one after the other; say how many there were."""
        items = await self._outbox.lease(self._clock.now(), 1, only=(EFFECT,))
        for item in items:
            try:
                await self._carry_out(item)
            except Exception as err:
                await self._stumble(item, _named(err))
        return len(items)

    async def _carry_out(self, item: OutboxItem) -> None:
        match item.payload["effector"], item.payload["act"]:
            case (effector, act) if effector == MTA_QUEUE and act in (SETTLE, LOOK, HOLD, RELEASE, DELETE):
                await self._see_to_queue(item)
            case (effector, act) if effector == CREDENTIALS and act == REVOKE:
                await self._revoke(item)
            case (effector, act):
                raise PortError(f"nobody carries out {act!r} of {effector!r}")

    async def _stumble(self, item: OutboxItem, error: str) -> None:
        """Say once that it failed, and try again later."""
        self._on_error(item.item_id, error)
        account_id = item.payload["account_id"]
        try:
            if account_id:
                await self._write(account_id, lambda txn: self._failed(txn, item, error))
            await self._outbox.retry(item.item_id, self._clock.now() + backoff(item.attempts), error)
        except Exception as err:
            # The lease runs out by itself and the item comes again.
            self._on_error(item.item_id, _named(err))

    def _failed(self, txn: LedgerTxn, item: OutboxItem, error: str) -> tuple[EffectReported, ...]:
        order = self._desk.order(txn, item.payload["account_id"])
        effector, act = item.payload["effector"], item.payload["act"]
        is_told = order is not None and (order.has_failed if effector == MTA_QUEUE else item.attempts > 1)
        if order is None or is_told:
            return ()
        if effector == MTA_QUEUE and not _is_persons(item):
            act = HOLD if order.is_stopped else RELEASE
        owner = item.payload["owner_id"] or order.owner_id
        return (self._row(item, order.account_id, owner, act, FAILED, (), detail=error, effector=effector),)

    # --- the queue ----------------------------------------------------------------------------------------------------

    async def _see_to_queue(self, item: OutboxItem) -> None:
        if self._queue is None:
            # `account show` says that there is none.
            await self._outbox.done(item.item_id, _ignore, NOTHING)
            return
        alone = await self._order(item.payload["account_id"]) if item.payload["account_id"] else None
        if alone is not None and not alone.is_stopped and not alone.held:
            # Nearly always: what ended had kept nothing in the queue.
            await self._outbox.done(item.item_id, _ignore, NOTHING)
            return
        mails = await self._queue.mails()
        senders = {mail.sender for mail in mails}
        accounts = await self._submit(lambda txn: self._desk.accounts(txn, item.payload, senders), NOTHING)
        rows: list[EffectReported] = []
        looks: list[tuple[QueueOrder, datetime]] = []
        for account_id in accounts:
            order = await self._order(account_id)
            if order is None:
                continue
            if _is_persons(item):
                rows += await self._let_go(item, order, item.payload["act"], order.held)
            elif order.is_stopped:
                rows += await self._hold(item, order, mails)
                looks.append((order, self._again_at(order)))
            else:
                rows += await self._let_go(item, order, RELEASE, order.held - order.kept)

        def finish(txn: LedgerTxn) -> None:
            for row in rows:
                self._append(txn, row)
            for order, due_at in looks:
                now = self._desk.order(txn, order.account_id)
                # It may have been let go while its mail was put on hold.
                due = due_at if now is not None and now.is_stopped else txn.now
                work = look_again(order.account_id, order.tenant_id, due)
                txn.post(work.topic, work.payload, due_at=due, merge_key=work.merge_key)

        if await self._outbox.done(item.item_id, finish, about(accounts=accounts)):
            for row in rows:
                self._on_report(row)

    async def _order(self, account_id: str) -> QueueOrder | None:
        return await self._submit(lambda txn: self._desk.order(txn, account_id), NOTHING)

    def _again_at(self, order: QueueOrder) -> datetime:
        due = self._clock.now() + self._look
        return due if order.until is None else min(due, max(order.until, self._clock.now()))

    async def _hold(self, item: OutboxItem, order: QueueOrder, mails: Sequence[QueuedMail]) -> list[EffectReported]:
        """Put on hold what is the account's and not held yet; say how it went."""
        mine = await asyncio.to_thread(self._of_account, order, mails)
        wanted = [m.queue_id for m in mine if not m.is_held and not self._desk.is_reachable(m, order.domains)]
        if not wanted:
            if order.is_told:
                return []
            return [self._row(item, order.account_id, order.owner_id, HOLD, NOTHING_DONE, ())]
        begun = [
            self._row(item, order.account_id, order.owner_id, HOLD, BEGUN, tuple(wanted[at : at + IDS_A_ROW]))
            for at in range(0, len(wanted), IDS_A_ROW)
        ]
        await self._write(order.account_id, lambda txn: begun)
        reach("effect.begun")
        held = await self._told(HOLD, wanted)
        row = self._row(item, order.account_id, order.owner_id, HOLD, APPLIED, ())
        return [replace(row, count=len(held))]

    async def _let_go(
        self, item: OutboxItem, order: QueueOrder, act: str, ids: frozenset[str]
    ) -> list[EffectReported]:
        """Release or delete what filterd holds; what is not on hold any more is none of our business."""
        if not ids:
            return []
        still = await self._told(act, sorted(ids), is_gone=True)
        gone = sorted(ids)
        return [
            replace(
                self._row(item, order.account_id, "", act, APPLIED, tuple(gone[at : at + IDS_A_ROW])),
                count=sum(1 for queue_id in gone[at : at + IDS_A_ROW] if queue_id in still),
            )
            for at in range(0, len(gone), IDS_A_ROW)
        ]

    async def _told(self, act: str, ids: Sequence[str], *, is_gone: bool = False) -> frozenset[str]:
        """Tell the MTA, look again, and say which it did it to. Raises PortError when it did not."""
        if self._queue is None:
            raise PortError("no effector configured: [effectors.mta_queue]")
        before = {m.queue_id for m in await self._queue.mails() if m.is_held} & set(ids) if is_gone else set()
        # Only what is on hold is let go: of what is not, somebody else has decided.
        await self._queue.change(act, before if is_gone else ids)
        reach("effect.told")
        after = {m.queue_id for m in await self._queue.mails() if m.is_held} & set(ids)
        if is_gone and after:
            raise PortError(f"{len(after)} mails are still on hold")
        return frozenset(before if is_gone else after)

    def _of_account(self, order: QueueOrder, mails: Sequence[QueuedMail]) -> list[QueuedMail]:
        """Say which queued mails are the account's."""
        since_us = _micros(self._clock.now() - _QUEUED_AT_MOST)
        known: dict[str, int] = {}
        if self._index is not None:
            query = MailQuery(account_id=order.account_id, since_us=since_us, limit=_MAILS_AT_MOST)
            for found in self._index.find(query):
                if found.answer is not None and found.answer.queue_id is not None:
                    known[found.answer.queue_id] = max(found.answer.at_us, known.get(found.answer.queue_id, 0))
        return [m for m in mails if self._is_mine(m, order, known)]

    def _is_mine(self, mail: QueuedMail, order: QueueOrder, known: dict[str, int]) -> bool:
        arrived_us = _micros(mail.arrived_at - _CLOCK_S)
        if known.get(mail.queue_id, 0) >= arrived_us:
            return True
        if not _is_own(mail.sender, order.addresses):
            return False
        if self._index is None:
            return True
        # Whoever was authenticated counts, not whose address stands in the envelope.
        others = self._index.find(MailQuery(queue_id=mail.queue_id, since_us=arrived_us, limit=1))
        return all(found.judged.account_id in (None, order.account_id) for found in others)

    # --- credentials --------------------------------------------------------------------------------------------------

    async def _revoke(self, item: OutboxItem) -> None:
        if self._credentials is None:
            await self._outbox.done(item.item_id, _ignore, NOTHING)
            return
        account_id, hold_id = item.payload["account_id"], item.payload["owner_id"]
        login = await self._submit(lambda txn: self._desk.login(txn, account_id, hold_id), NOTHING)
        rows: list[EffectReported] = []
        if login is not None:
            request = {
                "version": "1",
                "act": REVOKE,
                "effect_id": derived_id("e", hold_id, REVOKE),
                "hold_id": hold_id,
                "account_id": account_id,
                "tenant_id": item.payload["tenant_id"] or "",
                "login": login,
            }
            answer = await self._credentials.revoke(request)
            detail = "verified" if answer.is_verified else ""
            row = self._row(item, account_id, hold_id, REVOKE, APPLIED, (), detail=detail, effector=CREDENTIALS)
            rows.append(replace(row, count=1))

        def finish(txn: LedgerTxn) -> None:
            for row in rows:
                self._append(txn, row)

        if await self._outbox.done(item.item_id, finish, about(accounts=(account_id,))):
            for row in rows:
                self._on_report(row)

    # --- rows ---------------------------------------------------------------------------------------------------------

    async def _write(self, account_id: str, rows_of: Callable[[LedgerTxn], Sequence[EffectReported]]) -> None:
        def write(txn: LedgerTxn) -> Sequence[EffectReported]:
            rows = rows_of(txn)
            for row in rows:
                self._append(txn, row)
            return rows

        for row in await self._submit(write, about(accounts=(account_id,))):
            self._on_report(row)

    def _append(self, txn: LedgerTxn, row: EffectReported) -> None:
        account = txn.account(row.account_id)
        txn.append(row, account_id=row.account_id, tenant_id=account.tenant_id if account is not None else None)

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
        now = self._clock.now()
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
            by=_by(item),
        )


def _by(item: OutboxItem) -> str:
    return str(item.payload.get("by") or SYSTEM)


def _is_persons(item: OutboxItem) -> bool:
    """Say whether a person asked for just this; what the system asks for follows from standing."""
    return _by(item) != SYSTEM


def _is_own(sender: str, addresses: frozenset[str]) -> bool:
    try:
        return canonical_login(sender) in addresses
    except FilterdError:
        return False


def _micros(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


def _named(err: BaseException) -> str:
    """Say what went wrong. Our own texts name ids and files; of others, which may quote an address, only the kind."""
    return f"{type(err).__name__}: {err}" if isinstance(err, FilterdError) else type(err).__name__
