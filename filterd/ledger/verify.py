"""Does the chain hold?  Names the first row of a store or a dump that was changed, removed, added or moved.

The anchors say how far a chain went, so that rows cut off its end are missed. What was added after the last anchor and
then cut off again cannot be seen (STANDING 5.8). An erased subject changes nothing: sealed octets count by their hash.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from filterd.ledger.anchor import FILE_NAME, Anchor, AnchorFile
from filterd.ledger.chain import GENESIS, Row, row_hash
from filterd.ledger.codec import Undecodable
from filterd.ledger.store import StateLock, Store, reason

_COLUMNS = tuple(Row.__slots__)
# Typed columns would refuse, or mend, what somebody put there by hand.
_PAGE = text(
    f"SELECT {', '.join(_COLUMNS)} FROM entry"  # noqa: S608
    " WHERE writer > :writer OR (writer = :writer AND seq > :seq) ORDER BY writer, seq LIMIT :limit"
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
    """What a walk found. `rows` hold; `unanchored` of them lie behind the last anchor of their writer."""

    rows: int
    unanchored: int
    fault: Fault | None

    @property
    def is_sound(self) -> bool:
        return self.fault is None


class Walk:
    """One walk. Give it every row, ordered by writer and seq, then ask for `result`.

    `anchors` None leaves them out of account, as for a dump that came without.
    """

    def __init__(self, chain_key: bytes, anchors: Sequence[Anchor] | None):
        self._key = chain_key
        # Every one of them: when a cut chain grew again, a later anchor has seen another row at the same place.
        self._anchors: dict[tuple[str, int], list[Anchor]] = {}
        for anchor in anchors or ():
            if anchor.seq > 0:
                self._anchors.setdefault((anchor.writer, anchor.seq), []).append(anchor)
        self._unseen = set(self._anchors)
        self._rows = 0
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
            seen_at = self._anchors[writer, seq][0].at
            fault = Fault(writer=writer, seq=seq, what=f"is missing; the anchor of {seen_at} has seen it")
        return Verification(rows=self._rows, unanchored=self._unanchored, fault=fault)

    def _judge(self, row: Row) -> Fault | None:
        if not isinstance(row.writer, str) or not isinstance(row.seq, int):
            return Fault(writer=self.writer or None, seq=self.seq + 1, what="is no row of a ledger")
        if row.writer != self.writer:
            self.writer, self.seq, self._prev_hash, self._behind = row.writer, 0, GENESIS, 0
        expected = self.seq + 1
        if row.seq != expected:
            what = "is missing" if row.seq > expected else f"is followed by row {row.seq}"
            return Fault(writer=row.writer, seq=expected, what=what)
        computed = row_hash(self._key, row, self._prev_hash)
        if row.prev_hash != self._prev_hash:
            return Fault(writer=row.writer, seq=row.seq, what="does not follow the row before it")
        if not isinstance(row.row_hash, bytes) or not hmac.compare_digest(row.row_hash, computed):
            return Fault(writer=row.writer, seq=row.seq, what="was altered")
        anchors = self._anchors.get((row.writer, row.seq), ())
        for anchor in anchors:
            if anchor.row_hash != row.row_hash:
                what = f"is not the row that the anchor of {anchor.at} has seen"
                return Fault(writer=row.writer, seq=row.seq, what=what)
        self._unanchored += -self._behind if anchors else 1
        self._behind = 0 if anchors else self._behind + 1
        self._unseen.discard((row.writer, row.seq))
        self._rows, self.seq, self._prev_hash = self._rows + 1, row.seq, computed
        return None


def verify_rows(rows: Iterable[Row], chain_key: bytes, anchors: Sequence[Anchor] | None = None) -> Verification:
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


def verify_store(state_dir: Path, chain_key: bytes) -> Verification:
    """Walk the store of a stopped ledger. Raises UsageError when it is running, ModelError for no store of ours."""
    lock = StateLock(state_dir)
    try:
        store = Store.open(state_dir, chain_key, may_create=False)
        try:
            anchors, wrong = AnchorFile(state_dir / FILE_NAME, chain_key).read()
            found = verify_rows(stored_rows(store.connection), chain_key, anchors)
        finally:
            store.close()
    finally:
        lock.release()
    return with_anchor_fault(found, wrong)


def with_anchor_fault(found: Verification, wrong: str | None) -> Verification:
    """Add what is wrong with the anchor file, unless a row is worse."""
    if found.fault is not None or wrong is None:
        return found
    return Verification(rows=found.rows, unanchored=found.unanchored, fault=Fault(what=wrong))


def page(connection: Connection, writer: str, seq: int, limit: int) -> list[Row]:
    """Say the next rows after (`writer`, `seq`) as they stand."""
    found = connection.execute(_PAGE, {"writer": writer, "seq": seq, "limit": limit})
    return [Row(**dict(zip(_COLUMNS, row, strict=True))) for row in found]


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
