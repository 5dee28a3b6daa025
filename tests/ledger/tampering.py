"""Hands that change a ledger: a list of rows, as a dump holds them, or the table of a real store.

Rows first: `bit_flips`, `retypings` and `rearrangements` make every changed list there is of its kind, each with the
first place at which it differs. `TamperedStore` does the same to a table and puts it right again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from filterd.ledger.chain import Column, Row, row_hash
from filterd.ledger.checkpoint import Checkpoint
from filterd.ledger.dump import write_dump
from filterd.ledger.store import FILE_NAME
from filterd.ledger.verify import Verification, page, stored_rows, verify_rows, verify_store
from tests.ledger.rig import KEYS, open_engine, url_of

# Twelve rows, the last two after the last sanction; the close anchors them too.
ROWS = 12
COLUMNS = tuple(Row.__slots__)


# --- rows ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Rows that somebody touched. `at` is the index of the first that is not what it was."""

    name: str
    rows: Sequence[Row]
    at: int


def bit_flips(row: Row) -> Iterator[tuple[str, Row]]:
    """Flip every bit of every column; None and zero-length octets have none."""
    for column in COLUMNS:
        value = getattr(row, column)
        match value:
            case int():
                for bit in range(63):
                    yield f"{column} bit {bit}", replace(row, **{column: value ^ (1 << bit)})
            case str():
                # Octets that are no UTF-8 any more come in as surrogates, as they do from SQLite.
                for flipped in _flipped(value.encode()):
                    yield column, replace(row, **{column: flipped.decode("utf-8", "surrogateescape")})
            case bytes():
                for flipped in _flipped(value):
                    yield column, replace(row, **{column: flipped})


def _flipped(octets: bytes) -> Iterator[bytes]:
    for position in range(len(octets)):
        for bit in range(8):
            changed = bytearray(octets)
            changed[position] ^= 1 << bit
            yield bytes(changed)


def retypings(row: Row) -> Iterator[tuple[str, Row]]:
    """Put something of another type, nothing, and something longer or shorter in every column."""
    for column in COLUMNS:
        value: Column = getattr(row, column)
        others: list[Column] = [None, "", b"", 0, 1.0]
        if isinstance(value, str):
            others += [value.encode(), value + "\x00", value[:-1]]
        elif isinstance(value, bytes):
            others += [value.decode("latin-1"), value + b"\x00", value[:-1]]
        elif isinstance(value, int):
            others += [str(value), float(value), -value, value + 1]
        for other in others:
            if (type(other), other) != (type(value), value):
                yield f"{column} = {other!r}", replace(row, **{column: other})


def rearrangements(rows: Sequence[Row], foreign: Sequence[Row], forged_key: bytes) -> Iterator[Changed]:
    """Remove, swap, repeat, insert, forge, cut and graft rows, in every place.

    Args:
        foreign: rows of another ledger, or of another writer.
        forged_key: what somebody without the key of the chain would chain with.
    """
    number = len(rows)
    for at in range(number):
        yield _changed("removed", rows, [*rows[:at], *rows[at + 1 :]])
        yield _changed("removed, gap closed", rows, [*rows[:at], *_renumbered(rows[at + 1 :], -1)])
        yield _changed("cut", rows, rows[:at])
        for other in range(at + 1, number):
            swapped = [*rows]
            swapped[at], swapped[other] = swapped[other], swapped[at]
            yield _changed("swapped", rows, swapped)
            renumbered = [replace(row, seq=old.seq) for row, old in zip(swapped, rows, strict=True)]
            yield _changed("swapped and renumbered", rows, renumbered)
    for at in range(number + 1):
        for source in (*rows, *foreign):
            for name, row in (
                ("inserted", source),
                ("inserted, renumbered", replace(source, writer=rows[0].writer, seq=at + 1)),
                ("forged", forged(replace(source, writer=rows[0].writer, seq=at + 1), rows[:at], forged_key)),
            ):
                yield _changed(name, rows, [*rows[:at], row, *rows[at:]])
                yield _changed(f"{name}, gap made", rows, [*rows[:at], row, *_renumbered(rows[at:], 1)])
                yield _changed(f"{name} instead", rows, [*rows[:at], row, *rows[at + 1 :]])
        grafted = [replace(row, writer=rows[0].writer) for row in foreign]
        yield _changed("grafted", rows, [*rows[:at], *grafted[at:]])
        yield _changed("grafted as it was", rows, [*rows[:at], *foreign[at:]])
        # A whole chain of his own from here on, sound but for its key.
        chained, before = [*rows[:at]], rows[:at]
        for row in rows[at:]:
            chained.append(forged(replace(row, body=b'{"at":"2026"}'), before, forged_key))
            before = chained
        yield _changed("chained anew", rows, chained)


def _renumbered(rows: Sequence[Row], by: int) -> list[Row]:
    return [replace(row, seq=int(str(row.seq)) + by) for row in rows]


def forged(row: Row, before: Sequence[Row], key: bytes) -> Row:
    """Chain a row behind others, with whatever key there is."""
    prev_hash = before[-1].row_hash if before else bytes(32)
    assert isinstance(prev_hash, bytes)
    row = replace(row, prev_hash=prev_hash)
    return replace(row, row_hash=row_hash(key, row, prev_hash))


def _changed(name: str, rows: Sequence[Row], changed: Sequence[Row]) -> Changed:
    at = next((i for i, (a, b) in enumerate(zip(rows, changed, strict=False)) if a != b), min(len(rows), len(changed)))
    return Changed(name=name, rows=changed, at=at)


# --- real stores ------------------------------------------------------------------------------------------------------

INSERT = text(
    f"INSERT INTO entry ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{column}' for column in COLUMNS)})"
)


class Refused(Exception):
    """The store does not take such a row: nobody can put it there."""


class TamperedStore:
    """The table of a store, and its rows as they were."""

    def __init__(self, connection: Connection, anchors: Sequence[Checkpoint]):
        self._connection = connection
        self._anchors = anchors
        self.rows = list(stored_rows(connection))
        # What the table held when it was verified last.
        self.stored_last: list[Row] = []

    def verified_with(self, rows: Sequence[Row]) -> Verification:
        """Put other rows in their place, verify the store, and put the old ones back. Raises Refused."""
        try:
            with self._connection.begin():
                self._put(rows, instead_of=self.rows)
        except (SQLAlchemyError, UnicodeError, OverflowError) as err:
            raise Refused from err
        try:
            found = verify_rows(stored_rows(self._connection), KEYS.chain, self._anchors)
            self.stored_last = list(stored_rows(self._connection)) if found.is_sound else []
            return found
        finally:
            with self._connection.begin():
                self._connection.execute(text("DELETE FROM entry"))
                self._put(self.rows, instead_of=())

    def _put(self, rows: Sequence[Row], *, instead_of: Sequence[Row]) -> None:
        # By what they are written as: 1 and 1.0 are equal, and not the same.
        before, after = {repr(row): row for row in instead_of}, {repr(row): row for row in rows}
        for gone in before.keys() - after.keys():
            self._connection.execute(DELETE, {"writer": before[gone].writer, "seq": before[gone].seq})
        for row in rows:
            if repr(row) not in before or rows.count(row) > 1:
                self._connection.execute(INSERT, {column: getattr(row, column) for column in COLUMNS})


DELETE = text("DELETE FROM entry WHERE writer = :writer AND seq = :seq")


def tamper(state_dir: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """Change the store of a stopped ledger as somebody would who can write it; a `?` stands for each argument."""
    url = url_of(state_dir)
    if url is not None:
        with psycopg.connect(url) as connection:
            for statement, arguments in statements:
                connection.execute(statement.replace("?", "%s"), arguments)
        return
    raw = sqlite3.connect(state_dir / FILE_NAME)
    with raw:
        for statement, arguments in statements:
            raw.execute(statement, arguments)
    raw.close()


def verified(state_dir: Path) -> Verification:
    """Verify a stopped ledger."""
    return verify_store(state_dir, KEYS, url=url_of(state_dir))


def named(state_dir: Path) -> tuple[str | None, int | None]:
    """Say which row `verify` names."""
    fault = verified(state_dir).fault
    assert fault is not None
    return fault.writer, fault.seq


def rows_of(state_dir: Path) -> list[Any]:
    """Say what the table holds, in table order and as each account's index finds it."""
    raw = sqlite3.connect(state_dir / FILE_NAME)
    try:
        found = raw.execute(f"SELECT {', '.join(COLUMNS)} FROM entry ORDER BY writer, seq").fetchall()
        for account_id in sorted({row[4] for row in found if row[4] is not None}):
            ordered = "SELECT seq, row_hash FROM entry WHERE account_id = ? ORDER BY written_at, writer, seq"
            found += raw.execute(ordered, (account_id,)).fetchall()
        return found
    finally:
        raw.close()


def dump_of(state_dir: Path) -> list[bytes]:
    """Say a dump of a stopped ledger."""
    engine = open_engine(state_dir)
    try:
        return list(write_dump(engine.run(lambda txn: page(txn.connection, "", 0, 1000))))  # type: ignore[attr-defined]
    finally:
        engine.stop()
