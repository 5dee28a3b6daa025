"""The outbox: work promised in a transaction, done after it, at least once.

A worker leases items, does the work, and says `done` with a function that appends the outcome: item and outcome change
in one transaction. A worker that dies in between leaves a lease that runs out, and the work is done again. Whoever
carries it out must stand a repetition. Payloads are sealed under a key of this node and removed when done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from filterd.errors import UsageError
from filterd.ledger.codec import canonical, decode_json, plain
from filterd.ledger.schema import OUTBOX
from filterd.ledger.seal import seal, unseal
from filterd.model.ids import random_id
from filterd.ports import OutboxItem

LEASE_S = 120.0


class Outbox:
    """The items, inside one transaction."""

    def __init__(self, connection: Connection, key: bytes):
        self._connection = connection
        self._key = key

    def post(
        self, topic: str, payload: Mapping[str, Any], *, now: datetime, due_at: datetime, merge_key: str | None = None
    ) -> str:
        """Put work in; say the item's id.

        With a `merge_key`, an item of the same topic and key that nobody holds takes the payload in: lists are united,
        keys it lacks are added, its due time stays. An item under lease, run out or not, is left alone: a worker may be
        doing it just now.
        """
        tree = plain(payload)
        if merge_key is not None:
            same = select(OUTBOX).where(
                OUTBOX.c.topic == topic, OUTBOX.c.merge_key == merge_key, OUTBOX.c.lease_until.is_(None)
            )
            # Locked: another node may be about to lease it, and what is merged then would be lost.
            query = same.order_by(OUTBOX.c.created_at).limit(1).with_for_update()
            row = self._connection.execute(query).first()
            if row is not None:
                pending, last_error = self._opened(row.item_id, row.sealed)
                self._change(row.item_id, sealed=self._sealed(row.item_id, _united(pending, tree), last_error))
                return str(row.item_id)
        item_id = random_id("o", now)
        values = {
            "item_id": item_id,
            "topic": topic,
            "merge_key": merge_key,
            "created_at": now,
            "due_at": due_at,
            "attempts": 0,
            "sealed": self._sealed(item_id, tree, None),
        }
        self._connection.execute(insert(OUTBOX), values)
        return item_id

    def lease(
        self,
        now: datetime,
        limit: int,
        lease_s: float = LEASE_S,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
    ) -> tuple[OutboxItem, ...]:
        """Take at most `limit` due items that nobody holds, the longest due first; each counts as an attempt.

        A lease from the future counts as run out: the clock was set back.
        """
        free = or_(OUTBOX.c.lease_until.is_(None), OUTBOX.c.lease_until <= now, OUTBOX.c.leased_at > now)
        due = select(OUTBOX).where(OUTBOX.c.due_at <= now, free).order_by(OUTBOX.c.due_at, OUTBOX.c.item_id)
        if only is not None:
            due = due.where(OUTBOX.c.topic.in_(sorted(only)))
        if without:
            due = due.where(OUTBOX.c.topic.not_in(sorted(without)))
        items = []
        for row in self._connection.execute(due.limit(limit).with_for_update(skip_locked=True)).all():
            until = now + timedelta(seconds=lease_s)
            self._change(row.item_id, leased_at=now, lease_until=until, attempts=row.attempts + 1)
            payload, _ = self._opened(row.item_id, row.sealed)
            items.append(
                OutboxItem(
                    item_id=row.item_id,
                    topic=row.topic,
                    payload=payload,
                    attempts=row.attempts + 1,
                    created_at=row.created_at,
                )
            )
        return tuple(items)

    def remove(self, item_id: str) -> bool:
        """Take an item out; say whether it was still there."""
        return bool(self._connection.execute(delete(OUTBOX).where(OUTBOX.c.item_id == item_id)).rowcount)

    def put_back(self, item_id: str, due_at: datetime, error: str) -> bool:
        """End the lease and try again at `due_at`; say whether the item was still there."""
        row = self._connection.execute(select(OUTBOX.c.sealed).where(OUTBOX.c.item_id == item_id)).first()
        if row is None:
            return False
        payload, _ = self._opened(item_id, row.sealed)
        sealed = self._sealed(item_id, payload, error)
        self._change(item_id, due_at=due_at, leased_at=None, lease_until=None, sealed=sealed)
        return True

    def next_due_at(self) -> datetime | None:
        """Say when the next item that nobody holds is due, None when there is none."""
        free = select(OUTBOX.c.due_at).where(OUTBOX.c.lease_until.is_(None))
        return self._connection.execute(free.order_by(OUTBOX.c.due_at).limit(1)).scalar()

    def count(self, topic: str, merge_prefix: str) -> int:
        """Say how many items of a topic are not done yet whose merge key begins so."""
        mine = (OUTBOX.c.topic == topic) & OUTBOX.c.merge_key.startswith(merge_prefix, autoescape=True)
        return int(self._connection.execute(select(func.count()).select_from(OUTBOX).where(mine)).scalar_one())

    def pending(self) -> tuple[tuple[OutboxItem, datetime, str | None], ...]:
        """Say every item not yet done, with its due time and what went wrong last, the longest due first."""
        found = []
        for row in self._connection.execute(select(OUTBOX).order_by(OUTBOX.c.due_at, OUTBOX.c.item_id)):
            payload, last_error = self._opened(row.item_id, row.sealed)
            item = OutboxItem(
                item_id=row.item_id,
                topic=row.topic,
                payload=payload,
                attempts=row.attempts,
                created_at=row.created_at,
            )
            found.append((item, row.due_at, last_error))
        return tuple(found)

    def _change(self, item_id: str, **values: Any) -> None:
        self._connection.execute(update(OUTBOX).where(OUTBOX.c.item_id == item_id).values(**values))

    def _sealed(self, item_id: str, payload: dict[str, Any], last_error: str | None) -> bytes:
        return seal(self._key, canonical({"error": last_error, "payload": payload}), "outbox", item_id)

    def _opened(self, item_id: str, sealed: bytes) -> tuple[dict[str, Any], str | None]:
        tree = decode_json(unseal(self._key, sealed, "outbox", item_id))
        return tree["payload"], tree["error"]


def _united(pending: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    united = dict(pending)
    for key, value in more.items():
        there = united.setdefault(key, value)
        if there is value:
            continue
        if isinstance(there, list) != isinstance(value, list):
            raise UsageError(f"outbox: {key} is a list in one payload and none in the other")
        if isinstance(there, list):
            united[key] = there + [item for item in value if item not in there]
    return united
