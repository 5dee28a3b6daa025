"""Held mail that the MTA keeps: let it go there, or delete it there.  MAIL-PATH §4d, `[milter] hold_by`.

A milter can have mail put on hold and cannot have it released, so that goes by the MTA's own programs
(ports.MtaQueue). The order loses and doubles nothing: what is to go is on record before the MTA is told, further copies
of the same mail are promised away in the same transaction, and what is gone after that has been delivered. A copy that
nobody has let go and that is gone all the same was taken by somebody else: then the mail is held again, by us alone,
and a person is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from filterd.errors import FilterdError
from filterd.markers import reach
from filterd.model import records as r
from filterd.model.about import NOTHING, about
from filterd.model.held import HeldMail, HeldState, HoldRequest, QueueCopy
from filterd.model.ids import derived_id
from filterd.ports import LedgerTxn, MtaQueue, OutboxItem, QueuedMail
from filterd.workers.outbox import Again, Done, Submit

# The ledger promises it with the step (ledger/quarantine).
DROP_TOPIC = "drop"
BY = "system"
TASK = "released mail: the mail server has it no more, and nobody here let it go"
OFF = "effectors.mta_queue is off: the mail server cannot be told"
# postqueue says whole seconds, and clocks of two programs differ a little.
_CLOCK_S = timedelta(seconds=60)


class MtaHeld:
    """Lets held mail go in the MTA's queue. `queue` None: there is no way to tell the MTA."""

    def __init__(self, submit: Submit, queue: MtaQueue | None):
        self._submit, self._queue = submit, queue

    async def release(self, held: HeldMail, request: HoldRequest) -> Done | Again:
        """Have the MTA deliver one copy of a mail that people have released. Raises PortError; asked again it goes on
        where it was."""
        if self._queue is None:
            return Again(error=OFF)
        there = _those(await self._queue.mails(), request.copies)
        if not there:
            return _let_go(held) if request.is_letting_go else _missed(held)
        # One that is on its way already is the one; none is sent besides it.
        chosen = next((x for x in there if not x.is_held), there[0])
        if not request.is_letting_go:
            await self._submit(lambda txn: _begin(txn, held, request, chosen), about(accounts=(held.account_id,)))
        if chosen.is_held:
            await self._queue.change("release", (chosen.queue_id,))
            reach("release.sent")
            again = _those(await self._queue.mails(), request.copies)
            if any(x.is_held for x in again if x.queue_id == chosen.queue_id):
                return Again(error="the mail server still has it on hold")
        return _let_go(held)


class Drops:
    """Fulfils workers.outbox.Carrier for DROP_TOPIC: the MTA deletes its copies of what goes back or nowhere."""

    def __init__(self, queue: MtaQueue | None):
        self._queue = queue

    async def carry(self, item: OutboxItem, now: datetime) -> Done | Again:
        if self._queue is None:
            return Again(error=OFF)
        copies = tuple(
            QueueCopy(queue_id=x, since=datetime.fromisoformat(at)) for x, at in item.payload.get("copies") or ()
        )
        try:
            if there := _those(await self._queue.mails(), copies):
                await self._queue.change("delete", [x.queue_id for x in there])
                if _those(await self._queue.mails(), copies):
                    return Again(error="the mail server still has it")
        except FilterdError as err:
            return Again(error=f"{type(err).__name__}: {err}")
        return Done(finish=lambda _: None, about=NOTHING)


def _those(mails: Sequence[QueuedMail], copies: Collection[QueueCopy]) -> list[QueuedMail]:
    """Say which mails are copies of the held one. Short queue ids are used again: what came later is another mail."""
    since = {x.queue_id: x.since for x in copies}
    return [x for x in mails if x.queue_id in since and x.arrived_at <= since[x.queue_id] + _CLOCK_S]


def _begin(txn: LedgerTxn, held: HeldMail, request: HoldRequest, chosen: QueuedMail) -> None:
    kept = tuple(x for x in request.copies if x.queue_id == chosen.queue_id)
    others = [x for x in request.copies if x.queue_id != chosen.queue_id]
    txn.note_copies(held.item_id, kept, is_letting_go=True)
    if others:
        payload = {
            "item_id": held.item_id,
            "account_id": held.account_id,
            "copies": [[x.queue_id, x.since.isoformat()] for x in others],
        }
        txn.post(DROP_TOPIC, payload, due_at=txn.now)


def _let_go(held: HeldMail) -> Done:
    def finish(txn: LedgerTxn) -> None:
        now = txn.held_mail(held.item_id)
        if now is not None and now.state is HeldState.RELEASED:
            txn.move_held(held.item_id, HeldState.RELEASED, HeldState.DELIVERED, by=BY, reason="mta")

    return Done(finish=finish, about=about(accounts=(held.account_id,)))


def _missed(held: HeldMail) -> Done:
    """Somebody has released or deleted it by hand, or the MTA never kept it: whether it went out nobody here knows."""

    def finish(txn: LedgerTxn) -> None:
        now = txn.held_mail(held.item_id)
        if now is None or now.state is not HeldState.RELEASED:
            return
        txn.note_copies(held.item_id, ())
        txn.move_held(held.item_id, HeldState.RELEASED, HeldState.HELD, by=BY, reason="not in the MTA's queue")
        task = r.TaskOpened(
            at=txn.now,
            task_id=derived_id("w", held.item_id, "missed"),
            incident_id="",
            account_id=held.account_id,
            what=TASK,
            warranted="none",
            imposed="none",
            due_at=txn.now + timedelta(days=1),
        )
        txn.append(task, account_id=held.account_id, tenant_id=held.tenant_id)

    return Done(finish=finish, about=about(accounts=(held.account_id,)))
