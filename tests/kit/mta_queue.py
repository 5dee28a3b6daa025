"""A mail server's queue that is a dictionary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from filterd.errors import PortError
from filterd.ports import QueuedMail
from tests.kit.house import START


@dataclass
class Queue:
    """Implements ports.MtaQueue. `error`: raised instead of an answer; `calls`: what was asked of it."""

    mails_by_id: dict[str, QueuedMail] = field(default_factory=dict)
    error: PortError | None = None
    calls: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    async def mails(self) -> tuple[QueuedMail, ...]:
        if self.error is not None:
            raise self.error
        return tuple(self.mails_by_id.values())

    async def change(self, act: str, queue_ids: Iterable[str]) -> None:
        ids = tuple(sorted(queue_ids))
        if not ids:
            return
        self.calls.append((act, ids))
        for queue_id in ids:
            if act == "delete":
                self.mails_by_id.pop(queue_id, None)
            elif queue_id in self.mails_by_id:
                self.mails_by_id[queue_id] = replace(self.mails_by_id[queue_id], is_held=act == "hold")

    def put(self, queue_id: str, sender: str, *recipients: str, at: datetime = START, is_held: bool = False) -> None:
        to = recipients or ("bob@other.example",)
        self.mails_by_id[queue_id] = QueuedMail(
            queue_id=queue_id, is_held=is_held, arrived_at=at, sender=sender, recipients=to
        )

    @property
    def held(self) -> set[str]:
        return {m.queue_id for m in self.mails_by_id.values() if m.is_held}
