"""Has the mail store asked, once for each copy in a mailbox, to take a campaign copy back.  STANDING 5.7-14.

A promise is about up to 200 copies (pipeline.copies.AT_ONCE). A run asks for one after the other, for three quarters of
a minute and until the mail store has failed three times; what came of them is one row an outcome, and what is left is a
promise of its own.

At least once: asking twice is harmless, for the request has the same effect id and what was moved is not there any
more. How it went is on record; a failure is written down once a promise and tried again with growing pauses for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from filterd.errors import FilterdError
from filterd.model.about import NOTHING, about
from filterd.model.records import EffectReported
from filterd.pipeline.copies import APPLIED, CLAW_BACK, FAILED, NOTHING_DONE, UNAVAILABLE, CopiesDesk, mark_of
from filterd.ports import LedgerTxn, MailStore, OutboxItem
from filterd.workers.effect_rows import append_row, row_of
from filterd.workers.outbox import Again, Done, Submit, backoff

_WHAT = (CLAW_BACK, CLAW_BACK)
# With one more request, well below the time a lease runs.
_RUN_S = 45.0
_FAILURES_A_RUN = 3
_REMEMBERED = 10_000

Copy = Mapping[str, str]


@dataclass(slots=True)
class _Run:
    """What a run has come to. `moved`: how many copies the mail store moved; `left`: not asked for yet."""

    moved: int = 0
    applied: list[Copy] = field(default_factory=list)
    gone: list[Copy] = field(default_factory=list)
    failed: list[Copy] = field(default_factory=list)
    left: list[Copy] = field(default_factory=list)
    moot: int = 0
    error: str = ""

    @property
    def has_settled(self) -> bool:
        return bool(self.applied or self.gone or self.moot)


class ClawBacks:
    """Fulfils workers.outbox.Carrier for the topic CLAW_BACK. `store` None: it was configured once, and is no more.
    `on_report` hears every row written."""

    def __init__(
        self, submit: Submit, desk: CopiesDesk, store: MailStore | None, on_report: Callable[[EffectReported], None]
    ):
        self._submit, self._desk, self._store, self._on_report = submit, desk, store, on_report
        # What the mail store has moved and the ledger may not have: asked once more, it finds nothing.
        self._moved: dict[str, int] = {}

    async def carry(self, item: OutboxItem, now: datetime) -> Done | Again:
        try:
            return await self._carry(item, now)
        except Exception as err:
            # Whatever it is, the promise stands: a copy that stays in a mailbox is on record.
            return Again(error=_named(err))

    async def _carry(self, item: OutboxItem, now: datetime) -> Done | Again:
        copies: list[Copy] = list(item.payload["copies"])
        # Each try begins with others: one mailbox that fails does not keep those behind it.
        first = (item.attempts - 1) * _FAILURES_A_RUN % len(copies)
        run = await self._ask(item, [*copies[first:], *copies[:first]])
        is_said = bool(item.payload.get("is_said")) or item.attempts > 1
        rows = self._rows(item, now, run)
        if run.failed and not is_said:
            rows.append(self._row(item, now, FAILED, run.failed, detail=run.error))
        if run.failed and not run.has_settled:
            for row in rows:
                await self._write(row)
            return Again(error=run.error)
        rest = {**item.payload, "copies": [*run.left, *run.failed], "is_said": is_said or bool(run.failed)}
        return self._done(item, rows, rest, now + backoff(1) if run.failed else now)

    async def _ask(self, item: OutboxItem, copies: Sequence[Copy]) -> _Run:
        sender_id, hold_id = item.payload["sender_id"], item.payload["hold_id"]
        run, loop = _Run(), asyncio.get_running_loop()
        until = loop.time() + _RUN_S
        for at, copy in enumerate(copies):
            if loop.time() >= until or len(run.failed) >= _FAILURES_A_RUN:
                run.left.extend(copies[at:])
                break
            # Before each: a moderator may have said meanwhile that nothing was stolen.
            asked = partial(self._desk.request, sender_id=sender_id, hold_id=hold_id, copy=copy)
            request = await self._submit(asked, NOTHING)
            if request is None:
                run.moot += 1
            elif self._store is None:
                run.gone.append(copy)
            else:
                await self._take_back(self._store, request, copy, run)
        return run

    async def _take_back(self, store: MailStore, request: Mapping[str, str], copy: Copy, run: _Run) -> None:
        try:
            moved = await store.take_back(request)
        except Exception as err:
            run.failed.append(copy)
            run.error = _named(err)
            return
        if moved:
            self._moved[mark_of(copy)] = moved
            while len(self._moved) > _REMEMBERED:
                del self._moved[next(iter(self._moved))]
        moved = self._moved.get(mark_of(copy), 0)
        run.moved += moved
        (run.applied if moved else run.gone).append(copy)

    def _rows(self, item: OutboxItem, now: datetime, run: _Run) -> list[EffectReported]:
        if self._store is None:
            row = self._row(item, now, UNAVAILABLE, run.gone, detail="no effector configured: [effectors.claw_back]")
            return [row] if run.gone else []
        rows = [replace(self._row(item, now, APPLIED, run.applied), count=run.moved)] if run.applied else []
        return rows + ([replace(self._row(item, now, NOTHING_DONE, run.gone), count=0)] if run.gone else [])

    def _row(
        self, item: OutboxItem, now: datetime, outcome: str, copies: Sequence[Copy], *, detail: str = ""
    ) -> EffectReported:
        sender_id, hold_id = item.payload["sender_id"], item.payload["hold_id"]
        return row_of(item, now, sender_id, hold_id, _WHAT, outcome, tuple(map(mark_of, copies)), detail)

    def _done(
        self, item: OutboxItem, rows: Sequence[EffectReported], rest: Mapping[str, object], due_at: datetime
    ) -> Done:
        def finish(txn: LedgerTxn) -> None:
            for row in rows:
                append_row(txn, row)
                self._on_report(row)
            if rest["copies"]:
                txn.post(CLAW_BACK, rest, due_at=due_at)

        return Done(finish=finish, about=about(accounts=(item.payload["sender_id"],)))

    async def _write(self, row: EffectReported) -> None:
        await self._submit(lambda txn: append_row(txn, row), about(accounts=(row.account_id,)))
        self._on_report(row)


def _named(err: BaseException) -> str:
    """Of what is none of ours, and may quote an address, only the kind."""
    return f"{type(err).__name__}: {err}" if isinstance(err, FilterdError) else type(err).__name__
