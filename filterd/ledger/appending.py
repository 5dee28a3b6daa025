"""Adding rows: sealed, chained and folded at once, written to the store together when the function ends.

Written sooner when somebody is about to look: whoever asks the transaction for its connection gets one that has seen
every row added so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from filterd.errors import UsageError
from filterd.ledger import entries, references
from filterd.ledger.chain import Head, Row, row_hash
from filterd.ledger.codec import canonical, encode_record, escaped, instant_text, storable
from filterd.ledger.equipment import Equipment
from filterd.ledger.seal import seal
from filterd.model.entry import SCHEMA_VERSION, SITE, Entry
from filterd.model.records import Record


class Appending:
    """The rows of one function. `head` is where the chain ends with them; `entries` are they, in order."""

    def __init__(self, equipment: Equipment, connection: Connection, head: Head):
        self.head = head
        self.entries: list[Entry] = []
        self._equipment = equipment
        self._connection = connection
        self._unwritten: list[Row] = []
        self._brought = references.Brought()

    def add(
        self,
        record: Record,
        now: datetime,
        *,
        account_id: str | None,
        tenant_id: str | None,
        personal: Mapping[str, str] | None,
    ) -> Entry:
        """Add a row; see Txn.append."""
        kind, body, record = encode_record(record)
        account_id = None if account_id is None else storable(account_id)
        tenant_id = None if tenant_id is None else storable(tenant_id)
        seq = self.head.seq + 1
        at = now if self.head.written_at is None else max(now, self.head.written_at)
        subject_id = account_id or tenant_id
        whose = subject_id or SITE
        self._equipment.freshen(self._connection, (whose,))
        at = self._equipment.heads.next_at(self._connection, whose, at)
        written_at = instant_text(at)
        row = Row(
            writer=self._equipment.writer,
            seq=seq,
            written_at=written_at,
            kind=kind,
            account_id=account_id,
            tenant_id=tenant_id,
            schema=SCHEMA_VERSION,
            body=body,
            sealed=self._sealed(personal, subject_id, seq, kind) if personal else None,
            prev_hash=self.head.row_hash,
            row_hash=None,
        )
        entry = entries.entry_of(row, row_hash(self._equipment.keys.chain, row, self.head.row_hash))
        # Found before the row is written: a history that is not warm is folded from the store.
        before = self._equipment.histories.find(self._connection, entry.subject_id)
        self._equipment.histories.add(before, record)
        self._brought.note(self._connection, record, entry.subject_id)
        self.head = Head(seq=seq, row_hash=entry.row_hash, written_at=entry.written_at)
        self.entries.append(entry)
        self._unwritten.append(entries.row_of(entry))
        return entry

    def write(self) -> None:
        """Write what is not written yet."""
        if self._unwritten:
            rows, self._unwritten = self._unwritten, []
            entries.add(self._connection, rows)
            self._brought.write(self._connection)

    def end(self) -> None:
        """The function is over: write all it has changed."""
        self.write()
        self._equipment.heads.write(self._connection)

    def _sealed(self, personal: Mapping[str, str], subject_id: str | None, seq: int, kind: str) -> bytes | None:
        if subject_id is None:
            raise UsageError(f"{kind}: personal fields, but neither an account nor a tenant")
        key = self._equipment.subjects.find_or_make(self._connection, subject_id)
        content = canonical({escaped(name): escaped(value) for name, value in personal.items()})
        return None if key is None else seal(key, content, self._equipment.writer, seq, kind)
