"""Tampering: whatever is changed, removed, added, moved or cut off, `verify` names the row."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from filterd.clients.keys import derive
from filterd.errors import ModelError
from filterd.ledger import entries
from filterd.ledger.anchor import FILE_NAME as ANCHOR
from filterd.ledger.anchor import AnchorFile
from filterd.ledger.dump import read_dump
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.store import FILE_NAME, StateLock, open_store
from filterd.ledger.verify import Fault, stored_rows, verify_rows, verify_store
from tests.ledger.rig import KEYS, WRITER, act, incident, open_engine, url_of
from tests.ledger.tampering import ROWS, dump_of, named, tamper, verified

pytestmark = pytest.mark.slow


@contextmanager
def opened_store(state_dir: Path) -> Iterator[Connection]:
    lock = StateLock(state_dir)
    store = open_store(state_dir, KEYS.chain, url=url_of(state_dir))
    try:
        yield store.connection
    finally:
        store.close()
        lock.release()


COLUMNS: dict[str, Any] = {
    "writer": "node2.ledger",
    "written_at": "2026-11-02T12:00:00.000001Z",
    "kind": "hold.placed",
    "account_id": "a_9",
    "tenant_id": "n_9",
    "schema": 2,
    "body": b"{}",
    "sealed": b"\x01",
    "prev_hash": b"\x02" * 32,
    "row_hash": b"\x03" * 32,
}


def test_an_untouched_store_is_sound(closed: Path) -> None:
    found = verified(closed)
    assert (found.rows, found.unanchored, found.fault) == (ROWS, 0, None)
    # Looking changes nothing.
    assert verified(closed).is_sound


# Every bit of every column: test_tampered_rows and test_tampered_stores.
@pytest.mark.parametrize("seq", [1, 6, ROWS])
@pytest.mark.parametrize("column", COLUMNS)
def test_an_edited_column_is_named(closed: Path, column: str, seq: int) -> None:
    tamper(closed, (f"UPDATE entry SET {column} = ? WHERE seq = ?", (COLUMNS[column], seq)))
    if column == "writer":
        assert named(closed) in [(WRITER, seq), ("node2.ledger", 1)]
    else:
        assert named(closed) == (WRITER, seq)


# PostgreSQL keeps each column to its type.
@pytest.mark.one_store("sqlite")
@pytest.mark.parametrize("column", [name for name in COLUMNS if name != "writer"])
def test_a_column_of_another_type_is_named(closed: Path, column: str) -> None:
    tamper(closed, (f"UPDATE entry SET {column} = CAST({column} AS BLOB) || x'ff' WHERE seq = 4", ()))
    assert named(closed) == (WRITER, 4)


@pytest.mark.parametrize("seq", [1, 6, 11, ROWS])
def test_a_removed_row_is_named(closed: Path, seq: int) -> None:
    tamper(closed, ("DELETE FROM entry WHERE seq = ?", (seq,)))
    assert named(closed) == (WRITER, seq)


@pytest.mark.parametrize("seq", [1, 6, ROWS - 1])
def test_a_removed_row_with_the_gap_closed_is_named(closed: Path, seq: int) -> None:
    tamper(
        closed,
        ("DELETE FROM entry WHERE seq = ?", (seq,)),
        ("UPDATE entry SET seq = -seq WHERE seq > ?", (seq,)),
        ("UPDATE entry SET seq = -seq - 1 WHERE seq < 0", ()),
    )
    assert named(closed) == (WRITER, seq)


def test_moved_rows_are_named(closed: Path) -> None:
    swap = ((-1, 4), (4, 7), (7, -1))
    tamper(closed, *[("UPDATE entry SET seq = ? WHERE seq = ?", pair) for pair in swap])
    assert named(closed) == (WRITER, 4)


def test_an_added_row_is_named(closed: Path) -> None:
    columns = ", ".join(COLUMNS)
    copy = f"INSERT INTO entry (seq, {columns}) SELECT {ROWS + 1}, {columns} FROM entry WHERE seq = {ROWS}"
    tamper(closed, (copy, ()))
    assert named(closed) == (WRITER, ROWS + 1)


@pytest.mark.parametrize("kept", [0, 1, 8, 9, 10, ROWS - 1])
def test_a_cut_tail_is_named(closed: Path, kept: int) -> None:
    tamper(closed, ("DELETE FROM entry WHERE seq > ?", (kept,)))
    fault = verified(closed).fault
    assert fault is not None
    assert (fault.writer, "the anchor of" in fault.what) == (WRITER, True)
    # Nor does working on hide it, could anybody make the ledger do so: the anchors have seen other rows.
    anchors = (closed / ANCHOR).read_bytes()
    (closed / ANCHOR).unlink()
    engine = open_engine(closed)
    for account_id in ("a_7", "a_8", "a_9", "a_10"):
        engine.run(lambda txn, account_id=account_id: act(txn, account_id))
    engine.stop()
    assert verified(closed).is_sound
    (closed / ANCHOR).write_bytes(anchors)
    assert not verified(closed).is_sound


@pytest.mark.one_store("sqlite")
def test_a_restored_old_store_is_noticed(closed: Path) -> None:
    old = (closed / FILE_NAME).read_bytes()
    engine = open_engine(closed)
    engine.run(lambda txn: act(txn, "a_5"))
    engine.stop()
    (closed / FILE_NAME).write_bytes(old)
    assert named(closed) == (WRITER, ROWS + 1)


def test_what_lies_behind_the_last_anchor_is_counted(state_dir: Path, engine: LedgerEngine) -> None:
    engine.run(lambda txn: act(txn, "a_1"))
    engine.run(lambda txn: txn.append(incident("a_1", 2), account_id="a_1", tenant_id=None))
    rows = engine.run(lambda txn: entries.after(txn.connection, WRITER, 0, 10))
    anchors = (state_dir / ANCHOR).read_text().splitlines()
    assert [f'"seq":{seq}' in line for seq, line in zip((0, 3), anchors, strict=True)] == [True, True]
    assert len(rows) == 4


def test_the_chain_needs_its_key(closed: Path) -> None:
    with pytest.raises(ModelError, match="another master key"):
        verify_store(closed, derive(bytes(32)), url=url_of(closed))
    rows = read_dump(dump_of(closed))
    assert verify_rows(rows, bytes(32)).fault == Fault(writer=WRITER, seq=1, what="was altered")


@pytest.mark.parametrize("change", ["remove", "empty", "edit", "forge"])
def test_a_touched_anchor_is_noticed(closed: Path, change: str) -> None:
    file = closed / ANCHOR
    lines = file.read_text().splitlines()
    match change:
        case "remove":
            file.unlink()
        case "empty":
            file.write_text("")
        case "edit":
            file.write_text("\n".join([lines[0].replace('"seq":0', '"seq":1'), *lines[1:]]) + "\n")
        case "forge":
            file.write_text("\n".join([*lines, '{"at":"x","mac":"00","row_hash":"00","seq":3,"writer":"w"}']) + "\n")
    fault = verified(closed).fault
    assert fault is not None
    assert ANCHOR in fault.what


def test_half_an_anchor_line_after_a_crash_is_mended(closed: Path) -> None:
    with (closed / ANCHOR).open("ab") as file:
        file.write(b'{"at":"2026')
    assert verified(closed).is_sound
    engine = open_engine(closed)
    engine.run(lambda txn: act(txn, "a_5"))
    engine.stop()
    assert verified(closed) == replace(verified(closed), rows=ROWS + 3, fault=None)


async def test_a_working_ledger_verifies_itself(closed: Path) -> None:
    tamper(closed, ("UPDATE entry SET body = ? WHERE seq = 6", (b"{}",)))
    engine = open_engine(closed)
    try:
        assert str((await engine.verify()).fault) == f"{WRITER} row 6: was altered"
    finally:
        engine.stop()


def test_two_writers_are_two_chains(closed: Path) -> None:
    engine = open_engine(closed, node="node0")
    engine.run(lambda txn: act(txn, "a_1"))
    engine.stop()
    assert verified(closed).rows == ROWS + 3
    tamper(closed, ("DELETE FROM entry WHERE writer = 'node0.ledger' AND seq = 3", ()))
    assert named(closed) == ("node0.ledger", 3)


def test_pages_do_not_matter(closed: Path) -> None:
    with opened_store(closed) as connection:
        for at_once in (1, 5, ROWS, 100):
            assert len(list(stored_rows(connection, at_once))) == ROWS


# A row before all others stands on no page that begins behind something, and yet the account's history would have it.
@pytest.mark.parametrize(("writer", "seq"), [("", 0), ("", -1), ("", 1), ("a", 0), (WRITER, 0), (WRITER, -5)])
def test_a_row_before_all_others_is_seen(closed: Path, writer: str, seq: int) -> None:
    columns = ", ".join(name for name in COLUMNS if name != "writer")
    copy = f"INSERT INTO entry (writer, seq, {columns}) SELECT ?, ?, {columns} FROM entry WHERE seq = 3"
    tamper(closed, (copy, (writer, seq)))
    assert named(closed)[0] in (writer, WRITER)


@pytest.mark.one_store("sqlite")
def test_an_index_that_hides_a_row_is_noticed(closed: Path) -> None:
    # The table is whole, the chain holds, and the account's history lacks a row.
    raw = sqlite3.connect(closed / FILE_NAME)
    page_size = raw.execute("PRAGMA page_size").fetchone()[0]
    root = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entry_of_account'").fetchone()[0]
    raw.close()
    file = closed / FILE_NAME
    octets = bytearray(file.read_bytes())
    start = (root - 1) * page_size
    cells = int.from_bytes(octets[start + 3 : start + 5], "big")
    assert octets[start] == 10
    octets[start + 3 : start + 5] = (cells - 1).to_bytes(2, "big")
    file.write_bytes(octets)
    fault = verified(closed).fault
    assert fault is not None
    assert "the file is damaged" in fault.what


def test_writers_without_an_anchor_are_said_and_no_fault(closed: Path) -> None:
    rows = list(read_dump(dump_of(closed)))
    found = verify_rows(rows, KEYS.chain, ())
    assert (found.is_sound, found.unseen_writers, found.unanchored) == (True, (WRITER,), len(rows))
    anchors, _ = AnchorFile(closed / ANCHOR, KEYS).read()
    assert verify_rows(rows, KEYS.chain, anchors).unseen_writers == ()


def test_an_erased_subject_changes_nothing_for_old_dumps_and_new_ones(closed: Path) -> None:
    before = dump_of(closed)
    engine = open_engine(closed)
    assert asyncio.run(engine.opened_entries("a_4"))[0].personal == {"login": "x"}
    assert asyncio.run(engine.erase_subject("a_4"))
    assert asyncio.run(engine.opened_entries("a_4"))[0].personal is None
    engine.stop()
    after = dump_of(closed)
    assert verified(closed).is_sound
    anchors, wrong = AnchorFile(closed / ANCHOR, KEYS).read()
    assert wrong is None
    assert verify_rows(read_dump(after), KEYS.chain, anchors).is_sound
    # Anchors of before the old dump, for the later ones have seen more.
    seen = [anchor for anchor in anchors if anchor.seq <= len(before)]
    assert verify_rows(read_dump(before), KEYS.chain, seen).is_sound
    assert after[: len(before)] == before
