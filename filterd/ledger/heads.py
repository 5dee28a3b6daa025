"""Where the rows about each subject end, warm: which fold is fresh, and after which instant the next row comes.

Nodes have clocks of their own. A row about a subject is never dated before the one that was there, whoever wrote it, so
that the order of `written_at` is the order in which the subject's lock was held.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select, text

from filterd.ledger.codec import instant, instant_text, storable
from filterd.ledger.layers import Layers
from filterd.ledger.schema import SUBJECT_HEAD

_TICK = timedelta(microseconds=1)
_FIND = select(SUBJECT_HEAD).where(SUBJECT_HEAD.c.subject_id.in_(bindparam("ids", expanding=True)))
# SQLite and PostgreSQL both read this.
_WRITE = text(
    "INSERT INTO subject_head (subject_id, revision, last_at, writer)"
    " VALUES (:subject_id, :revision, :last_at, :writer) ON CONFLICT (subject_id)"
    " DO UPDATE SET revision = excluded.revision, last_at = excluded.last_at, writer = excluded.writer"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectHead:
    """The end of a subject's rows; revision 0 and no instant where there are none."""

    revision: int = 0
    last_at: datetime | None = None
    writer: str = ""


_NOTHING_YET = SubjectHead()


class Heads:
    """The ends, at most `bound` of them warm. `is_shared`: other nodes write to this store, too."""

    def __init__(self, writer: str, bound: int):
        self.layers: Layers[str, SubjectHead] = Layers(bound)
        self.is_shared = False
        self._writer = writer
        self._changed: dict[str, SubjectHead] = {}
        # Read anew since the group began, while their locks are held.
        self._seen: set[str] = set()

    def begin(self) -> None:
        """A group begins: what is warm may be old."""
        self._seen.clear()

    def look(self, connection: Connection, subject_ids: Iterable[str]) -> set[str]:
        """Read ends where another node may have moved them; say of which subjects the copies here are old."""
        if not self.is_shared:
            return set()
        unseen = [x for x in map(storable, subject_ids) if x not in self._seen]
        if not unseen:
            return set()
        found = dict.fromkeys(unseen, _NOTHING_YET)
        for row in connection.execute(_FIND, {"ids": unseen}):
            found[row.subject_id] = _head(row)
        self._seen.update(unseen)
        old = {subject_id for subject_id, head in found.items() if self.layers.inside(subject_id) != head}
        for subject_id in old:
            self.layers.warm(subject_id, found[subject_id])
        return old

    def next_at(self, connection: Connection, subject_id: str, now: datetime) -> datetime:
        """Say when the next row about a subject is written, `now` or just after the last one; it becomes the last."""
        head = self._find(connection, subject_id)
        at = now
        if head.last_at is not None:
            at = max(now, head.last_at if head.writer == self._writer else head.last_at + _TICK)
        self._set(subject_id, SubjectHead(revision=head.revision + 1, last_at=at, writer=self._writer))
        return at

    def touch(self, connection: Connection, subject_id: str, now: datetime) -> None:
        """Note a change that is no row, so that other nodes read the subject anew."""
        self.next_at(connection, subject_id, now)

    def write(self, connection: Connection) -> None:
        """Write what the running function changed."""
        if self._changed:
            changed, self._changed = self._changed, {}
            rows = [
                {"subject_id": key, "revision": x.revision, "last_at": instant_text(x.last_at), "writer": x.writer}
                for key, x in sorted(changed.items())
                if x.last_at is not None
            ]
            connection.execute(_WRITE, rows)

    def undo(self) -> None:
        """The function failed."""
        self._changed.clear()
        self.layers.undo()

    def clear(self) -> None:
        """Nobody knows what is stored."""
        self._changed.clear()
        self._seen.clear()
        self.layers.clear()

    def _set(self, subject_id: str, head: SubjectHead) -> None:
        self.layers.set(subject_id, head)
        self._changed[subject_id] = head

    def _find(self, connection: Connection, subject_id: str) -> SubjectHead:
        warm = self.layers.inside(subject_id)
        if warm is not None:
            return warm
        row = connection.execute(_FIND, {"ids": [subject_id]}).first()
        head = _NOTHING_YET if row is None else _head(row)
        self.layers.warm(subject_id, head)
        return head


def _head(row: object) -> SubjectHead:
    return SubjectHead(revision=row.revision, last_at=instant(row.last_at), writer=row.writer)  # type: ignore[attr-defined]
