"""Has the mail store asked, once for each copy in a mailbox, to take a campaign copy back.  STANDING 5.7-14.

At least once: asking twice is harmless, for the request has the same effect id and what was moved is not there any
more. How it went is on record; a failure is written down once and tried again with growing pauses for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from filterd.errors import FilterdError
from filterd.model.about import NOTHING, about
from filterd.model.records import EffectReported
from filterd.pipeline.copies import APPLIED, CLAW_BACK, FAILED, NOTHING_DONE, UNAVAILABLE, CopiesDesk, mark_of
from filterd.ports import LedgerTxn, MailStore, OutboxItem
from filterd.workers.effect_rows import append_row, row_of
from filterd.workers.outbox import Again, Done, Submit

_WHAT = (CLAW_BACK, CLAW_BACK)


class ClawBacks:
    """Fulfils workers.outbox.Carrier for the topic CLAW_BACK. `store` None: it was configured once, and is no more.
    `on_report` hears every row written."""

    def __init__(
        self, submit: Submit, desk: CopiesDesk, store: MailStore | None, on_report: Callable[[EffectReported], None]
    ):
        self._submit, self._desk, self._store, self._on_report = submit, desk, store, on_report

    async def carry(self, item: OutboxItem, now: datetime) -> Done | Again:
        request = await self._submit(lambda txn: self._desk.request(txn, item.payload), NOTHING)
        if request is None:
            return Done(finish=lambda _: None)
        if self._store is None:
            row = self._row(item, now, UNAVAILABLE, detail="no effector configured: [effectors.claw_back]")
            return self._done(replace(row, count=1))
        try:
            moved = await self._store.take_back(request)
        except Exception as err:
            # Of what is none of ours, and may quote an address, only the kind.
            error = f"{type(err).__name__}: {err}" if isinstance(err, FilterdError) else type(err).__name__
            if item.attempts <= 1:
                await self._write(self._row(item, now, FAILED, detail=error))
            return Again(error=error)
        return self._done(replace(self._row(item, now, APPLIED if moved else NOTHING_DONE), count=moved))

    def _row(self, item: OutboxItem, now: datetime, outcome: str, *, detail: str = "") -> EffectReported:
        sender_id, hold_id = item.payload["sender_id"], item.payload["hold_id"]
        return row_of(item, now, sender_id, hold_id, _WHAT, outcome, (mark_of(item.payload),), detail)

    def _done(self, row: EffectReported) -> Done:
        def finish(txn: LedgerTxn) -> None:
            append_row(txn, row)
            self._on_report(row)

        return Done(finish=finish, about=about(accounts=(row.account_id,)))

    async def _write(self, row: EffectReported) -> None:
        await self._submit(lambda txn: append_row(txn, row), about(accounts=(row.account_id,)))
        self._on_report(row)
