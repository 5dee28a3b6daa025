"""Letters about campaign copies: to the sender, to users of ours who got one, to the contact.  STANDING 5.7-14.

The sender reads of the copies that were stopped in the queue (pipeline/campaign), with one sample. Users of ours who
got one are told, and the mail store is asked for it (workers/claw_back). The tenant's contact reads what was delivered
and to whom, a while later, when the mail store has been asked (pipeline/copies_letter).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from filterd.errors import PeerError, PortError
from filterd.model.about import NOTHING
from filterd.model.records import EffectReported
from filterd.pipeline.campaign import Sample
from filterd.pipeline.copies import (
    APPLIED,
    CLAW_BACK,
    FAILED,
    MAILBOX,
    REPORT,
    UNAVAILABLE,
    WARN,
    Delivered,
    Portion,
    name_readers,
)
from filterd.pipeline.copies_letter import letter
from filterd.pipeline.effects import IDS_A_ROW, SUMMARY, EffectDesk, QueueOrder, report_later
from filterd.ports import Clock, DeliveryLog, LedgerTxn, Mailer, MtaQueue, OutboxItem, QueuedMail
from filterd.workers.effect_rows import EffectOutbox, EffectRows
from filterd.workers.outbox import Submit
from filterd.workers.queued import QueuedMails

# Writes the sender of campaign copies: login, the copies, one of them, an id for the letter. Raises PortError.
WriteLetter = Callable[[str, Sequence[QueuedMail], Sample | None, str], Awaitable[None]]

# How often the mail server's log is asked before the letter goes without what it knows.
_LOG_TRIES = 3


class CampaignLetters(EffectRows):
    """Half of the effects worker. `log` None: nobody can say who got a copy elsewhere."""

    def __init__(
        self,
        outbox: EffectOutbox,
        submit: Submit,
        desk: EffectDesk,
        clock: Clock,
        *,
        queue: MtaQueue | None,
        whose: QueuedMails,
        write_letter: WriteLetter | None,
        log: DeliveryLog | None,
        mailer: Mailer | None,
        sender: str,
        on_report: Callable[[EffectReported], None],
        on_error: Callable[[str, str], None],
    ):
        super().__init__(outbox, submit, clock, on_report)
        self._desk, self._queue, self._whose, self._write_letter = desk, queue, whose, write_letter
        self._log, self._mailer, self._sender, self._on_error = log, mailer, sender, on_error

    async def _order(self, account_id: str) -> QueueOrder | None:
        return await self._submit(lambda txn: self._desk.order(txn, account_id), NOTHING)

    async def _summarise(self, item: OutboxItem) -> None:
        """Write the sender one letter about the copies that are held and that no letter has told of."""
        account_id = item.payload["account_id"]
        order = await self._order(account_id)
        rows: list[EffectReported] = []
        if order is not None and not order.is_stopped and self._queue is not None and self._write_letter is not None:
            mails = await self._queue.mails()
            found, _ = await asyncio.to_thread(self._whose.parted, order, mails)
            copies = sorted((m for m in mails if m.queue_id in found - order.summed), key=lambda m: m.arrived_at)
            if copies:
                sample = await self._submit(lambda txn: self._desk.sample(txn, order), NOTHING)
                await self._write_letter(order.login, copies, sample, item.item_id)
                rows = self._rows(item, SUMMARY, tuple(m.queue_id for m in copies))
        await self._done(item, account_id, rows)

    async def _warn(self, item: OutboxItem) -> None:
        """Have users of ours who got a copy told, and the copies asked back."""
        account_id, hold_id = item.payload["account_id"], item.payload["owner_id"]
        order = await self._order(account_id)
        if order is None or not order.campaign.is_known:
            await self._done(item, account_id, ())
            return
        got = await asyncio.to_thread(self._whose.delivered, order)
        copies, tenant_id = self._desk.copies, order.tenant_id
        # What has been told is on record with each portion: if one fails, the next try goes on there.
        for portion in await self._submit(lambda txn: copies.portions(txn, account_id, hold_id, got), NOTHING):
            await self._write(account_id, partial(self._warn_of, item, tenant_id, portion))
        await self._done(item, account_id, ())

    def _warn_of(
        self, item: OutboxItem, tenant_id: str | None, portion: Portion, txn: LedgerTxn
    ) -> Sequence[EffectReported]:
        account_id, hold_id = item.payload["account_id"], item.payload["owner_id"]
        told = self._desk.copies.warn(txn, account_id, hold_id, portion)
        rows = self._rows(item, WARN, told.copies, effector=MAILBOX)
        if told.in_mailboxes and not told.is_asked:
            detail = "no effector configured: [effectors.claw_back]"
            row = self._row(item, account_id, hold_id, CLAW_BACK, UNAVAILABLE, (), detail=detail, effector=CLAW_BACK)
            rows.append(replace(row, count=told.in_mailboxes))
        if told.copies:
            work = report_later(account_id, tenant_id, hold_id, txn.now, is_asked=told.is_asked)
            txn.post(work.topic, work.payload, due_at=work.due_at or txn.now, merge_key=work.merge_key)
        return rows

    async def _tell_contact(self, item: OutboxItem) -> None:
        """Write the tenant's contact what was delivered, to whom, and what was taken back."""
        account_id, hold_id = item.payload["account_id"], item.payload["owner_id"]
        order = await self._order(account_id)
        rows: list[EffectReported] = []
        if order is not None:
            got = await asyncio.to_thread(self._whose.delivered, order)
            told = await self._submit(lambda txn: self._desk.copies.delivered(txn, account_id, hold_id, got), NOTHING)
            if told.copies and not order.contacts:
                row = self._row(item, account_id, hold_id, REPORT, FAILED, (), effector=MAILBOX)
                rows = [replace(row, count=len(told.copies), detail="the tenant has no contact")]
                self._on_error(item.item_id, f"{account_id}: nobody reads what was delivered: {rows[0].detail}")
            elif told.copies:
                await self._write_contact(item, order, hold_id, told)
                rows = self._rows(item, REPORT, tuple(x.tx for x in told.copies), effector=MAILBOX)
        await self._done(item, account_id, rows)

    async def _write_contact(self, item: OutboxItem, order: QueueOrder, hold_id: str, told: Delivered) -> None:
        """Have one of the tenant's contacts told. Raises PortError when none takes it."""
        if self._mailer is None:
            raise PortError("nobody sends letters here")
        wanted = {x.queue_id for x in told.copies if x.queue_id is not None and told.outside[x.tx]}
        named, unnamed = name_readers(told, await self._got(item, wanted), self._desk.copies.hash_of)
        for to in order.contacts:
            raw = letter(
                order.login,
                told,
                named,
                unnamed,
                owner_id=hold_id,
                sender=self._sender,
                to=to,
                at=self._clock.now(),
            )
            with contextlib.suppress(PeerError):
                if (await self._mailer.send(raw, to)).is_positive:
                    return
        raise PortError("no contact of the tenant takes the letter about delivered copies")

    async def _got(self, item: OutboxItem, queue_ids: set[str]) -> Mapping[str, frozenset[str]]:
        """Say to whom the mail server delivered. Raises PortError; at the last try the letter goes without names."""
        if self._log is None or not queue_ids:
            return {}
        try:
            return await self._log.recipients(queue_ids)
        except PortError as err:
            if item.attempts < _LOG_TRIES:
                raise
            self._on_error(item.item_id, f"the letter goes without addresses: {err}")
            return {}

    def _rows(
        self, item: OutboxItem, act: str, ids: tuple[str, ...], *, effector: str | None = None
    ) -> list[EffectReported]:
        account_id, more = item.payload["account_id"], {"effector": effector} if effector is not None else {}
        return [
            self._row(item, account_id, "", act, APPLIED, ids[at : at + IDS_A_ROW], **more)
            for at in range(0, len(ids), IDS_A_ROW)
        ]
