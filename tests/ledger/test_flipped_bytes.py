"""Single bytes flipped, in a dump and in the file: noticed, or of no meaning."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from filterd.errors import ModelError
from filterd.ledger import entries
from filterd.ledger.anchor import FILE_NAME as ANCHOR
from filterd.ledger.anchor import AnchorFile
from filterd.ledger.chain import Row
from filterd.ledger.checkpoint import Checkpoint
from filterd.ledger.dump import read_dump
from filterd.ledger.store import FILE_NAME
from filterd.ledger.verify import damage, page, stored_rows, verify_rows
from tests.ledger.rig import KEYS, WRITER
from tests.ledger.tampering import ROWS, dump_of, rows_of, verified

# Long enough to leave out of `make check`.
pytestmark = pytest.mark.slow


@pytest.mark.one_store("sqlite")
def test_every_byte_of_a_dump_counts(closed: Path) -> None:
    lines = dump_of(closed)
    assert verify_rows(read_dump(lines), KEYS.chain).rows == ROWS
    for seq in (1, 7, ROWS):
        rows = list(read_dump(lines))
        for position in range(len(lines[seq - 1])):
            for flip in (0x01, 0x20):
                changed = bytearray(lines[seq - 1])
                changed[position] ^= flip
                damaged = [*lines[: seq - 1], bytes(changed), *lines[seq:]]
                fault = verify_rows(read_dump(damaged), KEYS.chain).fault
                if fault is None:
                    # Another spelling of the same row, for example a line end that became a tab.
                    assert list(read_dump(damaged)) == rows
                else:
                    assert (fault.writer, fault.seq) == (WRITER, seq) or fault.writer != WRITER


def pages_of_entry(file: Path, rows: list[Row]) -> tuple[int, list[int]]:
    """Say the size of a page, and which pages hold rows or lead to them: the table's and its indexes'."""
    raw = sqlite3.connect(file)
    size = raw.execute("PRAGMA page_size").fetchone()[0]
    pages = {root - 1 for (root,) in raw.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'entry'")}
    raw.close()
    octets = file.read_bytes()
    for row in rows:
        assert isinstance(row.row_hash, bytes)
        pages |= {at // size for at in range(len(octets)) if octets.startswith(row.row_hash, at)}
    return size, sorted(pages)


def is_sound(octets: bytes, anchors: Sequence[Checkpoint]) -> tuple[bool, Any]:
    """Verify a file held in memory; say whether it is sound, and what the ledger would read from it."""
    raw = sqlite3.connect(":memory:", isolation_level=None)
    raw.deserialize(octets)
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    try:
        with engine.connect() as connection:
            found = verify_rows(stored_rows(connection), KEYS.chain, anchors)
            if not found.is_sound or damage(connection) is not None:
                return False, None
            with connection.begin():
                return True, read_as_the_ledger_does(connection)
    except (SQLAlchemyError, sqlite3.Error, UnicodeError):
        return False, None
    finally:
        engine.dispose()
        raw.close()


def read_as_the_ledger_does(connection: Connection) -> Any:
    accounts = sorted({str(row.account_id) for row in page(connection, "", 0, 1000)})
    return [[entries.of_account(connection, name) for name in accounts], entries.after(connection, WRITER, 0, 1000)]


# Most octets, one bit of each, and by night every octet.
@pytest.mark.one_store("sqlite")
@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.nightly)])
def test_flipped_bytes_of_the_file_do_not_pass(closed: Path, every: int) -> None:
    file = closed / FILE_NAME
    anchors, _ = AnchorFile(closed / ANCHOR, KEYS).read()
    rows = list(read_dump(dump_of(closed)))
    anchors, _ = AnchorFile(closed / ANCHOR, KEYS).read()
    whole = file.read_bytes()
    size, pages = pages_of_entry(file, rows)
    passed, sound = is_sound(whole, anchors)
    assert passed
    tried = unnoticed = 0
    for number in pages:
        for at in range(number * size, (number + 1) * size, every):
            changed = bytearray(whole)
            changed[at] ^= 1 << (at // every % 8)
            tried += 1
            passed, found = is_sound(bytes(changed), anchors)
            if passed:
                # Space nobody uses: what the ledger reads must be what it was.
                unnoticed += 1
                assert found == sound, at
    assert unnoticed < tried


@pytest.mark.one_store("sqlite")
def test_flipped_bytes_of_other_pages_do_not_pass_either(closed: Path) -> None:
    file = closed / FILE_NAME
    whole = file.read_bytes()
    anchors = (closed / ANCHOR).read_bytes()
    sound = rows_of(closed)
    chance = random.Random(4)
    for _ in range(60):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        file.write_bytes(changed)
        (closed / ANCHOR).write_bytes(anchors)
        try:
            passed = verified(closed).is_sound
        except ModelError:
            continue
        if passed:
            assert rows_of(closed) == sound
