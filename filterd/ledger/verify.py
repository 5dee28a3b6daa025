"""Does the chain hold?  Names the first row of a store or a dump that was changed, removed, added or moved.

The anchors say how far a chain went, so that rows cut off its end are missed. What was added after the last anchor and
then cut off again cannot be seen (STANDING 5.8). An erased subject changes nothing: sealed octets count by their hash.
Without the key of the chain only the rows' hashes can be followed, from checkpoint to checkpoint: what the rows say is
then not proven, and `Verification.has_read_contents` says so. Who can do what, and what answers it: ops/docs/LEDGER.md.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from filterd.ledger.anchor import FILE_NAME, AnchorFile
from filterd.ledger.chain import GENESIS, Row, row_hash
from filterd.ledger.checkpoint import Checkpoint
from filterd.ledger.codec import Undecodable
from filterd.ledger.loss import bridges, lost_before
from filterd.ledger.store import StateLock, open_store, reason
from filterd.ports import Keys

_COLUMNS = tuple(Row.__slots__)
# Typed columns would refuse, or mend, what somebody put there by hand.
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM entry"  # noqa: S608
# The first page has no lower bound: a row before all others would be folded, and so it must be seen.
_FIRST = text(f"{_SELECT} ORDER BY writer, seq LIMIT :limit")
_NEXT = text(f"{_SELECT} WHERE (writer, seq) > (:writer, :seq) ORDER BY writer, seq LIMIT :limit")
# A view, a rule or row security would show one reader other rows than another.
_TABLE = text(
    "SELECT relkind::text, relrowsecurity, relhasrules FROM pg_catalog.pg_class WHERE oid = 'entry'::regclass"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first thing wrong. `writer` and `seq` name the row, None where the fault is no row's."""

    writer: str | None = None
    seq: int | None = None
    what: str

    def __str__(self) -> str:
        return self.what if self.writer is None else f"{self.writer} row {self.seq}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a walk found.

    `rows` hold; `unanchored` of them lie behind the last anchor of their writer. `unseen_writers` are those that no
    anchor knows, for example other nodes. `has_read_contents` False: only the hashes of rows were followed. `lost`: how
    many are missing that a person accepted as lost, in a row of its own.
    """

    rows: int
    unanchored: int
    fault: Fault | None
    unseen_writers: tuple[str, ...] = ()
    has_read_contents: bool = True
    lost: int = 0

    @property
    def is_sound(self) -> bool:
        return self.fault is None


class Walk:
    """One walk. Give it every row, ordered by writer and seq, then ask for `result`.

    `chain_key` None follows the rows' hashes only. `anchors` None leaves them out of account, as for a dump that came
    without.
    """

    def __init__(self, chain_key: bytes | None, anchors: Sequence[Checkpoint] | None):
        self._key = chain_key
        # Every one of them: when a cut chain grew again, a later anchor has seen another row at the same place.
        self._anchors: dict[tuple[str, int], list[Checkpoint]] = {}
        for anchor in anchors or ():
            if anchor.seq > 0:
                self._anchors.setdefault((anchor.writer, anchor.seq), []).append(anchor)
        self._unseen = set(self._anchors)
        self._anchored_writers = {anchor.writer for anchor in anchors or ()}
        # How far the chain of each was followed.
        self._writers: dict[str, int] = {}
        self._rows = 0
        self._lost = 0
        self._unanchored = 0
        self._behind = 0
        self.writer = ""
        self.seq = 0
        self._prev_hash = GENESIS
        self.fault: Fault | None = None

    def step(self, row: Row) -> bool:
        """Take the next row; say whether all is well so far."""
        if self.fault is None:
            self.fault = self._judge(row)
        return self.fault is None

    def break_off(self, what: str) -> None:
        """Note that the next row could not even be read."""
        if self.fault is None:
            self.fault = Fault(writer=self.writer or None, seq=self.seq + 1, what=what)

    def result(self) -> Verification:
        """Say what was found, once there are no more rows."""
        fault = self.fault
        if fault is None and self._unseen:
            writer, seq = min(self._unseen)
            what = f"is missing; the anchor of {self._anchors[writer, seq][0].at} has seen row {seq}"
            fault = Fault(writer=writer, seq=self._writers.get(writer, 0) + 1, what=what)
        return Verification(
            rows=self._rows,
            unanchored=self._unanchored,
            fault=fault,
            unseen_writers=tuple(name for name in self._writers if name not in self._anchored_writers),
            has_read_contents=self._key is not None,
            lost=self._lost,
        )

    def _judge(self, row: Row) -> Fault | None:
        if not isinstance(row.writer, str) or not isinstance(row.seq, int):
            return Fault(writer=self.writer or None, seq=self.seq + 1, what="is no row of a ledger")
        if row.writer != self.writer or not self._writers:
            if row.writer in self._writers:
                what = "stands behind the rows of another writer"
                return Fault(writer=row.writer, seq=self._writers[row.writer] + 1, what=what)
            self.writer, self.seq, self._prev_hash, self._behind = row.writer, 0, GENESIS, 0
            self._writers[row.writer] = 0
        expected = self.seq + 1
        # Only the key of the chain proves that a row which accounts for missing ones is ours.
        is_bridge = bridges(row, self.seq)
        if row.seq != expected and not (self._key is not None and is_bridge):
            what = "is missing" if row.seq > expected else f"is followed by row {row.seq}"
            if is_bridge:
                what = f"is missing; row {row.seq} says it was lost, which only the master key can prove"
            return Fault(writer=row.writer, seq=expected, what=what)
        if row.prev_hash != self._prev_hash:
            return Fault(writer=row.writer, seq=row.seq, what="does not follow the row before it")
        if not isinstance(row.row_hash, bytes) or len(row.row_hash) != len(GENESIS):
            return Fault(writer=row.writer, seq=row.seq, what="was altered")
        if self._key is not None and not hmac.compare_digest(row.row_hash, row_hash(self._key, row, self._prev_hash)):
            return Fault(writer=row.writer, seq=row.seq, what="was altered")
        anchors = self._anchors.get((row.writer, row.seq), ())
        for anchor in anchors:
            if anchor.row_hash != row.row_hash:
                what = f"is not the row that the anchor of {anchor.at} has seen"
                return Fault(writer=row.writer, seq=row.seq, what=what)
        self._unanchored += -self._behind if anchors else 1
        self._behind = 0 if anchors else self._behind + 1
        if row.seq != expected:
            # Of rows whose loss this one puts on record, anchors may know.
            self._unseen -= {(name, seq) for name, seq in self._unseen if name == row.writer and seq < row.seq}
            self._lost += lost_before(row, self.seq)
        self._unseen.discard((row.writer, row.seq))
        self._rows, self.seq, self._prev_hash = self._rows + 1, row.seq, row.row_hash
        self._writers[row.writer] = row.seq
        return None


def verify_rows(
    rows: Iterable[Row], chain_key: bytes | None, anchors: Sequence[Checkpoint] | None = None
) -> Verification:
    """Walk rows from anywhere, for example `dump.read_dump`. A row that cannot be read is a fault."""
    walk = Walk(chain_key, anchors)
    try:
        for row in rows:
            if not walk.step(row):
                break
    except Undecodable as err:
        walk.break_off(str(err))
    except (SQLAlchemyError, sqlite3.Error, UnicodeError) as err:
        walk.break_off(f"cannot be read: {reason(err)}")
    return walk.result()


def verify_store(
    state_dir: Path, keys: Keys, more_anchors: Sequence[Checkpoint] = (), *, url: str | None = None
) -> Verification:
    """Walk the store of a stopped ledger, or the database at `url` beside the nodes that use it.

    Args:
        more_anchors: of copies of the anchor file.

    Raises:
        UsageError: the ledger of this state directory is running.
        ModelError: no store of ours.
    """
    with ExitStack() as stack:
        if url is None:
            stack.callback(StateLock(state_dir).release)
        store = open_store(state_dir, keys.chain, url=url, may_create=False)
        stack.callback(store.close)
        anchors, wrong = AnchorFile(state_dir / FILE_NAME, keys).read()
        found = verify_rows(stored_rows(store.connection), keys.chain, [*anchors, *more_anchors])
        return with_fault(found, wrong or (damage(store.connection) if found.is_sound else None))


def with_fault(found: Verification, what: str | None) -> Verification:
    """Add what is wrong with something else than a row, unless a row is worse."""
    return found if what is None or found.fault is not None else replace(found, fault=Fault(what=what))


def damage(connection: Connection) -> str | None:
    """Say what is wrong with the store beyond its rows, None when nothing is.

    SQLite: an index that leaves a row out hides it from its account, though it stands in the table. PostgreSQL: only a
    plain table with its key shows everybody the same rows, each once.
    """
    try:
        with connection.begin():
            if connection.dialect.name == "sqlite":
                said = str(connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar())
                return None if said == "ok" else f"the file is damaged: {' '.join(said.split())}"
            table = connection.execute(_TABLE).first()
            has_key = inspect(connection).get_pk_constraint("entry")["constrained_columns"] == ["writer", "seq"]
    except (SQLAlchemyError, sqlite3.Error, UnicodeError) as err:
        return f"the store is damaged: {reason(err)}"
    is_plain = table is not None and tuple(table) == ("r", False, False)
    return None if is_plain and has_key else "`entry` is no longer a plain table with its key"


def page(connection: Connection, writer: str, seq: int, limit: int) -> list[Row]:
    """Say the next rows after (`writer`, `seq`) as they stand; begin with "" and 0."""
    if (writer, seq) == ("", 0):
        found = connection.execute(_FIRST, {"limit": limit})
    else:
        found = connection.execute(_NEXT, {"writer": writer, "seq": seq, "limit": limit})
    return [_row(columns) for columns in found]


def stored_rows(connection: Connection, at_once: int = 1000) -> Iterator[Row]:
    """Say every row as it stands, by writer and seq."""
    writer, seq = "", 0
    while True:
        try:
            with connection.begin():
                rows = page(connection, writer, seq, at_once)
        except (SQLAlchemyError, UnicodeError):
            if at_once == 1:
                raise
            # Somewhere in this page: go up to it row by row, so that it gets its name.
            at_once = 1
            continue
        if not rows:
            return
        yield from rows
        writer, seq = str(rows[-1].writer), int(str(rows[-1].seq))


def _row(columns: Iterable[Any]) -> Row:
    # Some drivers give octets as a view of theirs.
    plain = (bytes(column) if isinstance(column, memoryview | bytearray) else column for column in columns)
    return Row(**dict(zip(_COLUMNS, plain, strict=True)))
