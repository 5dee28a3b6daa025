"""Carries out what follows from sanctions and holds outside the ledger.  STANDING 5.7-17, 5.7-20.

On the node that keeps the timers, one promise after the other: two about the same queue never meet. Every act is on
record (EffectReported): what is put on hold before the MTA is told, so that a crash in between leaves nobody's mail on
hold unknown; how it went afterwards. Acting twice is harmless. A failure is written down once, tried again with growing
pauses for ever, counted and logged each time.

Whose a queued mail is, and which campaign it belongs to, says workers/queued; letters about campaign copies are in
workers/campaign_letters.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from filterd.errors import FilterdError, PeerError, PortError
from filterd.markers import reach
from filterd.model.about import NOTHING, about
from filterd.model.ids import derived_id
from filterd.model.records import EffectReported
from filterd.pipeline.copies import APPLIED, FAILED, MAILBOX, NOTHING_DONE, REPORT, WARN
from filterd.pipeline.effects import (
    BEGUN,
    DELETE,
    IDS_A_ROW,
    LOOK,
    RETURN,
    SETTLE,
    SUMMARY,
    SYSTEM,
    EffectDesk,
    QueueOrder,
    look_again,
    summarise,
)
from filterd.pipeline.protecting import CREDENTIALS, EFFECT, HOLD, MTA_QUEUE, RELEASE, REVOKE
from filterd.pipeline.queue_return import batches, report_of
from filterd.ports import (
    Clock,
    Credentials,
    DeliveryLog,
    LedgerTxn,
    Mailer,
    MtaQueue,
    OutboxItem,
    QueuedMail,
    VerdictIndex,
)
from filterd.workers.campaign_letters import CampaignLetters, WriteLetter
from filterd.workers.effect_rows import EffectOutbox, by_whom
from filterd.workers.outbox import Submit, backoff
from filterd.workers.queued import QueuedMails


def _ignore(*_: object) -> None:
    return None


class EffectsWorker(CampaignLetters):
    """One a ledger. `on_report` hears every row written, `on_error` an item's id and what went wrong. `mailer`,
    `sender` and `appeals` are for reports of mail that is returned; without them it stays held. `log` says who got
    delivered copies."""

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
        write_letter: WriteLetter | None = None,
        log: DeliveryLog | None = None,
        mailer: Mailer | None = None,
        sender: str = "",
        appeals: str = "",
        look_s: float = 300,
        on_report: Callable[[EffectReported], None] = _ignore,
        on_error: Callable[[str, str], None] = _ignore,
        poll_s: float = 1.0,
    ):
        super().__init__(
            outbox,
            submit,
            desk,
            clock,
            queue=queue,
            whose=QueuedMails(index, clock.now),
            write_letter=write_letter,
            log=log,
            mailer=mailer,
            sender=sender,
            on_report=on_report,
            on_error=on_error,
        )
        self._credentials, self._appeals = credentials, appeals
        self._look, self._poll_s = timedelta(seconds=look_s), poll_s

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
            case (effector, act) if effector == MTA_QUEUE and act == SUMMARY:
                await self._summarise(item)
            case (effector, act) if effector == MAILBOX and act == WARN:
                await self._warn(item)
            case (effector, act) if effector == MAILBOX and act == REPORT:
                await self._tell_contact(item)
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
        if effector == MTA_QUEUE and act != SUMMARY and not _is_persons(item):
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
        letters: list[QueueOrder] = []
        for account_id in accounts:
            order = await self._order(account_id)
            if order is None:
                continue
            if _is_persons(item):
                rows += await self._let_go(item, order, item.payload["act"], order.held)
            elif order.is_stopped:
                rows += await self._hold(item, order, mails)
                if order.is_ended:
                    rows += await self._return(item, account_id)
                looks.append((order, self._again_at(order)))
            else:
                copies, others = await asyncio.to_thread(self._whose.parted, order, mails)
                rows += await self._let_go(item, order, RELEASE, (order.held - order.kept) | others)
                if copies - order.summed:
                    letters.append(order)

        def finish(txn: LedgerTxn) -> None:
            for row in rows:
                self._append(txn, row)
            for order, due_at in looks:
                now = self._desk.order(txn, order.account_id)
                # It may have been let go while its mail was put on hold.
                due = due_at if now is not None and now.is_stopped else txn.now
                work = look_again(order.account_id, order.tenant_id, due)
                txn.post(work.topic, work.payload, due_at=due, merge_key=work.merge_key)
            for work in map(summarise, letters):
                txn.post(work.topic, work.payload, due_at=txn.now, merge_key=work.merge_key)

        if await self._outbox.done(item.item_id, finish, about(accounts=accounts)):
            for row in rows:
                self._on_report(row)

    def _again_at(self, order: QueueOrder) -> datetime:
        due = self._clock.now() + self._look
        return due if order.until is None else min(due, max(order.until, self._clock.now()))

    async def _hold(self, item: OutboxItem, order: QueueOrder, mails: Sequence[QueuedMail]) -> list[EffectReported]:
        """Put on hold what is the account's and not held yet; say how it went."""
        mine = await asyncio.to_thread(self._whose.of_account, order, mails)
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

    async def _let_go(self, item: OutboxItem, order: QueueOrder, act: str, ids: frozenset[str]) -> list[EffectReported]:
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

    async def _return(self, item: OutboxItem, account_id: str) -> list[EffectReported]:
        """Report what filterd holds of an account whose service has ended, and only then take it out of the queue.

        Where nobody takes the report it stays held; an id that Postfix has used again is somebody else's, and stays.
        """
        order = await self._order(account_id)
        if self._queue is None or self._mailer is None or order is None or not order.is_ended:
            return []
        mails = [m for m in await self._queue.mails() if m.is_held and m.queue_id in order.held - order.kept]
        mine = await asyncio.to_thread(self._whose.of_account, order, mails)
        if not mine:
            return []
        if not order.contacts:
            row = self._row(item, account_id, order.owner_id, RETURN, FAILED, (), detail="the tenant has no contact")
            self._on_error(item.item_id, f"{account_id}: {row.detail}, so that mail stays held")
            return [] if order.has_failed else [replace(row, count=len(mine))]
        for lot in batches(mine):
            await self._report(order, lot)
            ids = tuple(m.queue_id for m in lot)
            gone = await self._told(DELETE, ids, is_gone=True)
            row = replace(self._row(item, account_id, order.owner_id, RETURN, APPLIED, ids), count=len(gone))
            await self._write(account_id, partial(_these, (row,)))
        return []

    async def _report(self, order: QueueOrder, mails: Sequence[QueuedMail]) -> None:
        """Have one of the tenant's contacts told. Raises PortError when none takes it."""
        if self._mailer is None:
            raise PortError("nobody sends reports here")
        for to in order.contacts:
            raw = report_of(
                order.login,
                order.owner_id,
                mails,
                sender=self._sender,
                to=to,
                appeals=self._appeals,
                at=self._clock.now(),
            )
            with contextlib.suppress(PeerError):
                if (await self._mailer.send(raw, to)).is_positive:
                    return
        raise PortError("no contact of the tenant takes the report about its mail")

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

        await self._done(item, account_id, rows)


def _these(rows: Sequence[EffectReported], _: LedgerTxn) -> Sequence[EffectReported]:
    return rows


def _is_persons(item: OutboxItem) -> bool:
    """Say whether a person asked for just this; what the system asks for follows from standing."""
    return by_whom(item) != SYSTEM


def _named(err: BaseException) -> str:
    """Say what went wrong. Our own texts name ids and files; of others, which may quote an address, only the kind."""
    return f"{type(err).__name__}: {err}" if isinstance(err, FilterdError) else type(err).__name__
