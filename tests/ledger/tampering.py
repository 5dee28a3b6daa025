"""A closed store, and hands that change it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from filterd.ledger.dump import write_dump
from filterd.ledger.store import FILE_NAME
from filterd.ledger.verify import verify_store
from tests.ledger.rig import KEYS, open_engine

# Twelve rows, the last two after the last sanction; the close anchors them too.


ROWS = 12


def tamper(state_dir: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    raw = sqlite3.connect(state_dir / FILE_NAME)
    with raw:
        for statement, arguments in statements:
            raw.execute(statement, arguments)
    raw.close()


def named(state_dir: Path) -> tuple[str | None, int | None]:
    fault = verify_store(state_dir, KEYS.chain).fault
    assert fault is not None
    return fault.writer, fault.seq


def rows_of(state_dir: Path) -> list[Any]:
    raw = sqlite3.connect(state_dir / FILE_NAME)
    try:
        return raw.execute(
            "SELECT writer, seq, written_at, kind, account_id, tenant_id, schema, body, sealed, prev_hash, row_hash"
            " FROM entry ORDER BY writer, seq"
        ).fetchall()
    finally:
        raw.close()


def dump_of(state_dir: Path) -> list[bytes]:
    engine = open_engine(state_dir)
    try:
        return list(write_dump(engine.run(lambda txn: list(page_all(txn)))))
    finally:
        engine.stop()


def page_all(txn: Any) -> Any:
    from filterd.ledger.verify import page

    return page(txn.connection, "", 0, 1000)
