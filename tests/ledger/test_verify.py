"""Tampering: whatever is changed, removed, added, moved or cut off, `verify` names the row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import ModelError
from filterd.ledger import entries
from filterd.ledger.anchor import FILE_NAME as ANCHOR
from filterd.ledger.dump import read_dump
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.store import FILE_NAME
from filterd.ledger.verify import Fault, stored_rows, verify_rows, verify_store
from tests.kit.clock import FrozenClock
from tests.ledger.rig import KEYS, WRITER, act, incident, open_engine

# Twelve rows, the last two after the last sanction; the close anchors them too.
from tests.ledger.tampering import ROWS, dump_of, named, tamper

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
    found = verify_store(closed, KEYS.chain)
    assert (found.rows, found.unanchored, found.fault) == (ROWS, 0, None)
    # Looking changes nothing.
    assert verify_store(closed, KEYS.chain).is_sound


@pytest.mark.parametrize("seq", range(1, ROWS + 1))
@pytest.mark.parametrize("column", COLUMNS)
def test_an_edited_column_is_named(closed: Path, column: str, seq: int) -> None:
    tamper(closed, (f"UPDATE entry SET {column} = ? WHERE seq = ?", (COLUMNS[column], seq)))
    if column == "writer":
        assert named(closed) in [(WRITER, seq), ("node2.ledger", 1)]
    else:
        assert named(closed) == (WRITER, seq)


@pytest.mark.parametrize("column", [name for name in COLUMNS if name != "writer"])
def test_a_column_of_another_type_is_named(closed: Path, column: str) -> None:
    tamper(closed, (f"UPDATE entry SET {column} = CAST({column} AS BLOB) || x'ff' WHERE seq = 4", ()))
    assert named(closed) == (WRITER, 4)


@pytest.mark.parametrize("seq", range(1, ROWS + 1))
def test_a_removed_row_is_named(closed: Path, seq: int) -> None:
    tamper(closed, ("DELETE FROM entry WHERE seq = ?", (seq,)))
    assert named(closed) == (WRITER, seq)


@pytest.mark.parametrize("seq", range(1, ROWS))
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


@pytest.mark.parametrize("kept", range(ROWS))
def test_a_cut_tail_is_named(closed: Path, kept: int) -> None:
    tamper(closed, ("DELETE FROM entry WHERE seq > ?", (kept,)))
    fault = verify_store(closed, KEYS.chain).fault
    assert fault is not None
    assert (fault.writer, "the anchor of" in fault.what) == (WRITER, True)
    # Working on does not hide it: the anchors have seen other rows.
    engine = open_engine(closed)
    for account_id in ("a_7", "a_8", "a_9", "a_10"):
        engine.run(lambda txn, account_id=account_id: act(txn, account_id))
    engine.stop()
    assert not verify_store(closed, KEYS.chain).is_sound


def test_a_restored_old_store_is_noticed(closed: Path) -> None:
    old = (closed / FILE_NAME).read_bytes()
    engine = open_engine(closed)
    engine.run(lambda txn: act(txn, "a_5"))
    engine.stop()
    (closed / FILE_NAME).write_bytes(old)
    assert named(closed) == (WRITER, ROWS + 3)


def test_what_lies_behind_the_last_anchor_is_counted(state_dir: Path, engine: LedgerEngine) -> None:
    engine.run(lambda txn: act(txn, "a_1"))
    engine.run(lambda txn: txn.append(incident("a_1", 2), account_id="a_1", tenant_id=None))
    rows = engine.run(lambda txn: entries.after(txn.connection, WRITER, 0, 10))
    anchors = (state_dir / ANCHOR).read_text().splitlines()
    assert [f'"seq":{seq}' in line for seq, line in zip((0, 3), anchors, strict=True)] == [True, True]
    assert len(rows) == 4


def test_the_chain_needs_its_key(closed: Path) -> None:
    with pytest.raises(ModelError, match="another master key"):
        verify_store(closed, bytes(32))
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
    fault = verify_store(closed, KEYS.chain).fault
    assert fault is not None
    assert ANCHOR in fault.what


def test_half_an_anchor_line_after_a_crash_is_mended(closed: Path) -> None:
    with (closed / ANCHOR).open("ab") as file:
        file.write(b'{"at":"2026')
    assert verify_store(closed, KEYS.chain).is_sound
    engine = open_engine(closed)
    engine.run(lambda txn: act(txn, "a_5"))
    engine.stop()
    assert verify_store(closed, KEYS.chain) == replace(verify_store(closed, KEYS.chain), rows=ROWS + 3, fault=None)


async def test_a_working_ledger_verifies_itself(closed: Path) -> None:
    tamper(closed, ("UPDATE entry SET body = x'7b7d' WHERE seq = 6", ()))
    engine = open_engine(closed)
    try:
        assert str((await engine.verify()).fault) == f"{WRITER} row 6: was altered"
    finally:
        engine.stop()


def test_two_writers_are_two_chains(closed: Path) -> None:
    engine = LedgerEngine.open(
        state_dir=closed, node="node0", keys=KEYS, clock=FrozenClock(), apply=lambda history, *_: history
    )
    engine.run(lambda txn: act(txn, "a_1"))
    engine.stop()
    assert verify_store(closed, KEYS.chain).rows == ROWS + 3
    tamper(closed, ("DELETE FROM entry WHERE writer = 'node0.ledger' AND seq = 3", ()))
    assert named(closed) == ("node0.ledger", 3)


def test_pages_do_not_matter(closed: Path) -> None:
    from filterd.ledger.store import StateLock, Store

    lock = StateLock(closed)
    store = Store.open(closed, KEYS.chain)
    try:
        for at_once in (1, 5, ROWS, 100):
            assert len(list(stored_rows(store.connection, at_once))) == ROWS
    finally:
        store.close()
        lock.release()
