"""The chain of rows: HMAC-SHA-256 over the previous row's hash and every column, each framed by type and length.

Sealed octets enter as their SHA-256, so that a row still verifies when they can no longer be opened. Keyed, because
whoever can write the file could otherwise compute a chain of his own (STANDING 5.8).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

GENESIS = b"\x00" * 32

Column = str | bytes | int | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row as it stands in the store, nothing interpreted. A tampered store may hold any type in any column."""

    writer: Column
    seq: Column
    written_at: Column
    kind: Column
    account_id: Column
    tenant_id: Column
    schema: Column
    body: Column
    sealed: Column
    prev_hash: Column
    row_hash: Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a writer's chain ends. `written_at` is that of its last row, None where there is none."""

    seq: int = 0
    row_hash: bytes = GENESIS
    written_at: datetime | None = None


def row_hash(key: bytes, row: Row, prev_hash: bytes) -> bytes:
    """Say what the row's hash must be after a row whose hash is `prev_hash`."""
    sealed = hashlib.sha256(row.sealed).digest() if isinstance(row.sealed, bytes) else row.sealed
    return row_hash_of(key, row, prev_hash, sealed)


def row_hash_of(key: bytes, row: Row, prev_hash: bytes, sealed: Column) -> bytes:
    """Say the same of a row whose sealed octets are not at hand. `sealed`: their SHA-256, None when there are none."""
    mac = hmac.new(key, prev_hash, hashlib.sha256)
    subjects = (row.account_id, row.tenant_id)
    for column in (row.writer, row.seq, row.written_at, row.kind, *subjects, row.schema, row.body, sealed):
        mac.update(framed(column))
    return mac.digest()


def framed(column: Column) -> bytes:
    """Write one column so that no two different rows give the same octets."""
    match column:
        case None:
            return _frame(b"n", b"")
        case bytes():
            return _frame(b"b", column)
        case str():
            return _frame(b"s", column.encode("utf-8", "surrogatepass"))
        case int():
            return _frame(b"i", str(column).encode("ascii"))
        case float():
            return _frame(b"f", repr(column).encode("ascii"))
        case _:
            assert_never(column)


def _frame(tag: bytes, octets: bytes) -> bytes:
    return tag + len(octets).to_bytes(8, "big") + octets
