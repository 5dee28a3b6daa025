"""Call whoever is on call, until a person has it in hand.  STANDING 5.3 (S4: first look within an hour), 5.7-25.

One outbox item an urgent task. It is sent again every so often; while somebody has claimed the task nobody is called,
and when that claim runs out without a decision they are again. Closing the task ends it, nothing else does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from filterd.errors import ConfigError, PortError
from filterd.model.about import NOTHING, About
from filterd.pipeline.urgent import State, state_of
from filterd.ports import LedgerTxn, OutboxItem, Pager
from filterd.workers.outbox import Again, Done

Submit = Callable[[Callable[[LedgerTxn], Any], About], Awaitable[Any]]

# What could not be sent is tried again soon: nobody knows of it yet.
FAILED_AFTER = timedelta(minutes=1)
SENT, FAILED = "sent", "failed"


class Paging:
    """Fulfils workers.outbox.Carrier. `on_page` hears how each attempt went."""

    def __init__(
        self,
        submit: Submit,
        pager: Pager,
        *,
        node: str,
        repeat: timedelta,
        on_page: Callable[[str], None] = lambda _: None,
    ):
        self._submit, self._pager, self._node, self._repeat, self._on_page = submit, pager, node, repeat, on_page

    async def carry(self, item: OutboxItem, now: datetime) -> Done | Again:
        task_id = str(item.payload["task_id"])
        state, until = await self._submit(lambda txn: state_of(txn, task_id), NOTHING)
        if state is State.CLOSED:
            return Done(finish=lambda _: None)
        if state is State.CLAIMED:
            return Again(error="somebody has it in hand", due_at=until)
        request = {
            "page_id": f"{item.item_id}.{item.attempts}",
            "task_id": task_id,
            "severity": "4",
            "node": self._node,
            "opened_at": str(item.payload["opened_at"]),
            "due_at": str(item.payload["due_at"]),
            "attempt": str(item.attempts),
            "do": f"filterd review claim {task_id}",
        }
        try:
            await self._pager.page(request)
        except (PortError, ConfigError) as err:
            self._on_page(FAILED)
            return Again(error=f"nobody could be called: {err}", due_at=now + FAILED_AFTER)
        self._on_page(SENT)
        return Again(error="called, and nobody has it in hand yet", due_at=now + self._repeat)
