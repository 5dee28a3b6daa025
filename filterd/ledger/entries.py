"""Rows of the ledger: written once, read in order, and opened for whoever may see personal fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, select

from filterd.ledger.chain import Head, Row
from filterd.ledger.codec import Undecodable, decode_json, decode_record, instant, instant_text
from filterd.ledger.schema import ENTRY
from filterd.ledger.seal import unseal
from filterd.ledger.subjects import SubjectKeys
from filterd.model.entry import Entry
from filterd.model.records import Record

_ALL = select(ENTRY)
_INSERT = insert(ENTRY)
_AFTER = _ALL.where(ENTRY.c.writer == bindparam("writer"), ENTRY.c.seq > bindparam("seq")).order_by(ENTRY.c.seq)
_RECENT = _ALL.order_by(ENTRY.c.written_at.desc(), ENTRY.c.writer.desc(), ENTRY.c.seq.desc())
_IN_ORDER = (ENTRY.c.written_at, ENTRY.c.writer, ENTRY.c.seq)
_OF_ACCOUNT = _ALL.where(ENTRY.c.account_id == bindparam("subject_id")).order_by(*_IN_ORDER)
# What is about itself and not about one of its accounts.
_OF_TENANT = _ALL.where(ENTRY.c.account_id.is_(None), ENTRY.c.tenant_id == bindparam("subject_id")).order_by(*_IN_ORDER)
_TENANT_PREFIX = "n_"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEntry:
    """A row with its record, and its personal fields in clear.

    `personal` is empty when there are none, None when the subject's key is destroyed.
    """

    entry: Entry
    record: Record
    personal: Mapping[str, str] | None


def head(connection: Connection, writer: str) -> Head:
    """Say where a writer's chain ends."""
    columns = (ENTRY.c.seq, ENTRY.c.row_hash, ENTRY.c.written_at)
    last = select(*columns).where(ENTRY.c.writer == writer).order_by(ENTRY.c.seq.desc())
    row = connection.execute(last.limit(1)).first()
    if row is None:
        return Head()
    return Head(seq=row.seq, row_hash=row.row_hash, written_at=instant(row.written_at))


def add(connection: Connection, rows: Sequence[Row]) -> None:
    """Write rows."""
    connection.execute(_INSERT, [{name: getattr(row, name) for name in Row.__slots__} for row in rows])


def after(connection: Connection, writer: str, seq: int, limit: int) -> tuple[Entry, ...]:
    """Say at most `limit` rows of a writer beyond `seq`, in order."""
    return _entries(connection, _AFTER.limit(limit), writer=writer, seq=seq)


def recent(connection: Connection, limit: int) -> tuple[Entry, ...]:
    """Say the latest rows, newest first."""
    return _entries(connection, _RECENT.limit(limit))


def of_account(connection: Connection, account_id: str) -> tuple[Entry, ...]:
    """Say all rows of an account, or a tenant's own, oldest first."""
    query = _OF_TENANT if account_id.startswith(_TENANT_PREFIX) else _OF_ACCOUNT
    return _entries(connection, query, subject_id=account_id)


def opened(connection: Connection, subjects: SubjectKeys, entry: Entry) -> OpenedEntry:
    """Decode a row and open its personal fields. Raises Undecodable or PortError for a row that was tampered with."""
    record = decode_record(entry.kind, entry.body)
    if entry.sealed is None:
        return OpenedEntry(entry=entry, record=record, personal={})
    subject_id = entry.account_id or entry.tenant_id
    key = subjects.find(connection, subject_id) if subject_id else None
    if key is None:
        return OpenedEntry(entry=entry, record=record, personal=None)
    personal = decode_json(unseal(key, entry.sealed, entry.writer, entry.seq, entry.kind))
    return OpenedEntry(entry=entry, record=record, personal=personal)


def entry_of(row: Row, row_hash: bytes) -> Entry:
    """Read a row of ours, with its hash."""
    columns: dict[str, Any] = {name: getattr(row, name) for name in Row.__slots__}
    return Entry(**{**columns, "written_at": instant(columns["written_at"]), "row_hash": row_hash})


def row_of(entry: Entry) -> Row:
    """Say how an entry stands in the store."""
    columns = {name: getattr(entry, name) for name in Entry.__slots__}
    return Row(**{**columns, "written_at": instant_text(entry.written_at)})


def _entries(connection: Connection, query: Select[Any], **arguments: Any) -> tuple[Entry, ...]:
    found = []
    for row in connection.execute(query, arguments).mappings():
        try:
            found.append(Entry(**{**row, "written_at": instant(row["written_at"])}))
        except Undecodable as err:
            raise Undecodable(f"{row['writer']} {row['seq']}: written_at: {err}") from err
    return tuple(found)
