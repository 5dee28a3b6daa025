"""Opening the store: alone, with the settings that make a commit durable, or not at all."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import ModelError, UsageError
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.schema import STORE_VERSION
from filterd.ledger.sqlite import has_wal_reset_bug, journal_mode
from filterd.ledger.store import FILE_NAME, open_store
from tests.kit.clock import FrozenClock
from tests.ledger.rig import KEYS, NODE, TENANT, WRITER, act, fold, open_engine, people_the_directory

pytestmark = [pytest.mark.one_store("sqlite"), pytest.mark.slow]


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_wal_reset_bug(version: tuple[int, int, int], is_affected: bool) -> None:
    assert has_wal_reset_bug(version) is is_affected
    assert journal_mode(version) == ("truncate" if is_affected or version < (3, 7, 0) else "wal")


def test_settings_are_in_force(engine: LedgerEngine) -> None:
    def pragmas(txn: Any) -> dict[str, object]:
        connection = txn.connection
        names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "locking_mode")
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}

    assert engine.run(pragmas) == {
        "journal_mode": journal_mode(sqlite3.sqlite_version_info),
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "locking_mode": "exclusive",
    }


def test_nobody_else_can_open_it(engine: LedgerEngine, state_dir: Path) -> None:
    with pytest.raises(UsageError, match=rf"ledger\.lock.*pid {os.getpid()}"):
        open_engine(state_dir)
    code = (
        "import sys; from pathlib import Path; from tests.ledger.rig import open_engine\nopen_engine(Path(sys.argv[1]))"
    )
    other = subprocess.run([sys.executable, "-c", code, str(state_dir)], capture_output=True, text=True, check=False)
    assert other.returncode != 0
    assert "another ledger process" in other.stderr
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite3.connect(state_dir / FILE_NAME, timeout=0).execute("SELECT count(*) FROM entry")


def test_the_lock_ends_with_the_engine(engine: LedgerEngine, state_dir: Path) -> None:
    engine.stop()
    engine.stop()
    open_engine(state_dir).stop()


@pytest.mark.parametrize("version", ["0", "7", "none", ""])
def test_another_version_is_refused(engine: LedgerEngine, state_dir: Path, version: str) -> None:
    engine.stop()
    with sqlite3.connect(state_dir / FILE_NAME) as raw:
        raw.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (version,))
        raw.execute("UPDATE meta SET value = '7' WHERE key = 'oldest_reader'")
    with pytest.raises(ModelError, match=rf"schema version {version}, this program reads version {STORE_VERSION}"):
        open_engine(state_dir)
    # A refusal leaves nothing locked.
    with pytest.raises(ModelError):
        open_engine(state_dir)


FIRST_TABLES = Path(__file__).with_name("first_tables.sql")


def first_version(state_dir: Path) -> None:
    """Put a store of the first version in the place: its tables as they were, its rows out of the present one."""
    with sqlite3.connect(state_dir / FILE_NAME) as raw:
        raw.execute("ATTACH ':memory:' AS kept")
        old = sqlite3.connect(":memory:")
        old.executescript(FIRST_TABLES.read_text())
        tables = [name for (name,) in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {name: [row[1] for row in old.execute(f"PRAGMA table_info({name})")] for name in tables}
        rows = {}
        for name in tables:
            if name == "volume_day":
                found = raw.execute("SELECT subject_id, day, messages, recipients FROM count_day").fetchall()
            else:
                found = raw.execute(f"SELECT {', '.join(columns[name])} FROM {name}").fetchall()
            rows[name] = found
    (state_dir / FILE_NAME).unlink()
    with sqlite3.connect(state_dir / FILE_NAME) as raw:
        raw.executescript(FIRST_TABLES.read_text())
        for name, found in rows.items():
            marks = ", ".join("?" for _ in columns[name])
            raw.executemany(f"INSERT INTO {name} VALUES ({marks})", found)
        raw.execute("UPDATE meta SET value = '1' WHERE key = 'schema_version'")
        raw.execute("DELETE FROM meta WHERE key = 'oldest_reader'")
    (state_dir / FILE_NAME).chmod(0o600)


def shape(file: Path | str) -> dict[str, Any]:
    """Say the tables, columns and indexes of a store, whatever their order."""
    with sqlite3.connect(file) as raw:
        tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found: dict[str, Any] = {}
        for table in tables:
            found[table] = {row[1:4] + row[5:] for row in raw.execute(f"PRAGMA table_info({table})")}
            for index in raw.execute(f"PRAGMA index_list({table})").fetchall():
                names = tuple(row[2] for row in raw.execute(f"PRAGMA index_info({index[1]})"))
                found[f"{table} {names}"] = bool(index[2])
    return found


async def test_a_store_of_the_first_version_is_brought_up_to_date(engine: LedgerEngine, state_dir: Path) -> None:
    engine.run(people_the_directory)
    engine.run(lambda txn: act(txn, "a_1"))
    history = engine.run(lambda txn: txn.history("a_1"))
    engine.stop()
    fresh = shape(state_dir / FILE_NAME)
    first_version(state_dir)
    assert shape(state_dir / FILE_NAME) != fresh
    for _ in range(2):
        again = open_engine(state_dir)
        assert again.run(lambda txn: txn.tenants()) == (TENANT,)
        assert again.run(lambda txn: txn.history("a_1")) == history
        assert (await again.verify()).is_sound
        changed = replace(TENANT, domains_declared=True)
        again.run(lambda txn, changed=changed: txn.put_tenant(changed))
        again.run(lambda txn: txn.put_tenant(TENANT))
        again.stop()
    assert shape(state_dir / FILE_NAME) == fresh
    with sqlite3.connect(state_dir / FILE_NAME) as raw:
        assert raw.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == (str(STORE_VERSION),)
        assert raw.execute("SELECT subject_id, revision, writer FROM subject_head").fetchall() == [("a_1", 3, WRITER)]


def test_an_upgrade_that_cannot_finish_changes_nothing(engine: LedgerEngine, state_dir: Path) -> None:
    engine.stop()
    first_version(state_dir)
    with sqlite3.connect(state_dir / FILE_NAME) as raw:
        # In the way of the last step, after the others have been done.
        raw.execute("CREATE TABLE alias (name TEXT)")
    before = shape(state_dir / FILE_NAME)
    with pytest.raises(ModelError, match="alias already exists"):
        open_engine(state_dir)
    assert shape(state_dir / FILE_NAME) == before


def test_the_next_version_is_read_where_it_says_so(engine: LedgerEngine, state_dir: Path) -> None:
    engine.run(lambda txn: act(txn, "a_1"))
    engine.stop()
    with sqlite3.connect(state_dir / FILE_NAME) as raw:
        raw.execute("ALTER TABLE account ADD COLUMN of_tomorrow TEXT")
        raw.execute(f"UPDATE meta SET value = '{STORE_VERSION + 1}' WHERE key = 'schema_version'")
    again = open_engine(state_dir)
    again.run(people_the_directory)
    assert again.run(lambda txn: act(txn, "a_1", 2)) == 6
    again.stop()
    with sqlite3.connect(state_dir / FILE_NAME) as raw:
        assert raw.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == (
            str(STORE_VERSION + 1),
        )
        raw.execute(f"UPDATE meta SET value = '{STORE_VERSION + 1}' WHERE key = 'oldest_reader'")
    with pytest.raises(ModelError, match=f"schema version {STORE_VERSION + 1}, this program reads version"):
        open_engine(state_dir)


def test_a_store_under_another_key_is_not_touched(engine: LedgerEngine, state_dir: Path) -> None:
    engine.stop()
    with sqlite3.connect(state_dir / FILE_NAME) as raw:
        raw.execute("UPDATE meta SET value = '1' WHERE key = 'schema_version'")
    with pytest.raises(ModelError, match="another master key"):
        LedgerEngine.open(
            state_dir=state_dir, node=NODE, keys=replace(KEYS, chain=bytes(32)), clock=FrozenClock(), apply=fold
        )
    with sqlite3.connect(state_dir / FILE_NAME) as raw:
        assert raw.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == ("1",)


def test_another_master_key_is_refused(engine: LedgerEngine, state_dir: Path) -> None:
    engine.stop()
    with pytest.raises(ModelError, match="another master key"):
        LedgerEngine.open(
            state_dir=state_dir, node=NODE, keys=replace(KEYS, chain=bytes(32)), clock=FrozenClock(), apply=fold
        )


@pytest.mark.parametrize("content", [b"hello" * 1000, b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_file_that_is_no_store_is_refused(state_dir: Path, content: bytes) -> None:
    state_dir.mkdir()
    (state_dir / FILE_NAME).write_bytes(content)
    with pytest.raises(ModelError, match=r"ledger\.sqlite3: "):
        open_engine(state_dir)
    assert (state_dir / FILE_NAME).read_bytes() == content


def test_somebody_elses_database_is_refused(state_dir: Path) -> None:
    state_dir.mkdir()
    with sqlite3.connect(state_dir / FILE_NAME) as raw:
        raw.execute("CREATE TABLE holiday (day TEXT)")
    with pytest.raises(ModelError, match="not a ledger"):
        open_engine(state_dir)


def test_nothing_is_made_where_nothing_may_be(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no ledger here"):
        open_store(tmp_path, KEYS.chain, may_create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="file"):
        open_engine(tmp_path / "file")
    (tmp_path / "state" / "ledger.anchor").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"ledger\.anchor: Is a directory"):
            open_engine(tmp_path / "state")


def test_only_the_owner_reads_the_files(engine: LedgerEngine, state_dir: Path) -> None:
    assert state_dir.stat().st_mode & 0o777 == 0o700
    for file in state_dir.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
