"""SQLite: one file, one connection, in the ledger process alone.

The file is held with locking_mode EXCLUSIVE, foreign keys on, deleted content overwritten, every commit synced.
Releases with the WAL-reset bug get journal_mode TRUNCATE instead of WAL. All of it is read back and asserted, because
SQLite ignores what it does not like without a word (FAULTS F22).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from filterd.errors import LedgerUnavailable, ModelError
from filterd.ledger.store import FILE_NAME, reason
from filterd.ledger.versions import prepare
from filterd.model.about import About
from filterd.model.entry import Entry

_PAGE_CACHE_KIB = 65_536


def has_wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """Say whether this SQLite can lose pages when a WAL is reset.

    In 3.7.0 to 3.51.2, mended in 3.51.3 and brought back to 3.50.7 and 3.44.6 (https://sqlite.org/wal.html).
    """
    if version[:2] == (3, 44):
        return version < (3, 44, 6)
    if version[:2] == (3, 50):
        return version < (3, 50, 7)
    return (3, 7, 0) <= version <= (3, 51, 2)


def journal_mode(version: tuple[int, int, int]) -> str:
    """Say which journal this SQLite may use. Before 3.7.0 there was no WAL."""
    return "truncate" if version < (3, 7, 0) or has_wal_reset_bug(version) else "wal"


class SqliteStore:
    """The open file. Used by one thread at a time; `give_up` after anything that left the connection in doubt."""

    is_shared = False

    def __init__(self, file: Path):
        self.file = file
        self.place = str(file)
        self._engine = create_engine(
            "sqlite://",
            creator=self._connect,
            poolclass=NullPool,
            # `BEGIN` is ours (below): the driver's own comes too late for a savepoint.
        )
        event.listen(self._engine, "begin", _begin)
        self._connection: Connection | None = None

    @classmethod
    def open(cls, state_dir: Path, chain_key: bytes, *, may_create: bool = True) -> SqliteStore:
        """Open or create the store of a state directory whose lock we hold.

        Raises:
            ModelError: no store of ours, of another version, or of another master key; names file and reason.
        """
        file = state_dir / FILE_NAME
        if not file.exists():
            if not may_create:
                raise ModelError(f"{file}: there is no ledger here")
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        store = cls(file)
        try:
            with store.connection.begin():
                prepare(store.connection, store.place, chain_key, may_create=may_create)
        # SQLite quotes a broken schema in its messages, and Python cannot decode those.
        except (SQLAlchemyError, sqlite3.Error, UnicodeError) as err:
            store.close()
            raise ModelError(f"{file}: cannot be used as a ledger: {reason(err)}") from err
        except LedgerUnavailable as err:
            store.close()
            raise ModelError(str(err)) from err
        except BaseException:
            store.close()
            raise
        return store

    @property
    def connection(self) -> Connection:
        """The connection. Opens it again when the last one was given up; raises LedgerUnavailable when that fails."""
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
            except (SQLAlchemyError, sqlite3.Error, UnicodeError) as err:
                raise LedgerUnavailable(f"{self.file}: cannot be opened: {reason(err)}") from err
        return self._connection

    def lock(self, wanted: Sequence[About]) -> None:
        """Nothing: nobody else has the file open."""

    def announce(self, changed: Sequence[Entry], has_directory_changed: bool) -> None:
        """Nothing: there is no other node."""

    def may_try_again(self, error: BaseException) -> bool:
        """Say no: there is nobody to be in the way of."""
        return False

    def is_lost(self, error: BaseException) -> bool:
        """Say no: a file that fails once is not asked again for the same group."""
        return False

    def is_in_transaction(self) -> bool:
        """Say whether SQLite still has the transaction; a full disk or an I/O error ends it by itself."""
        raw = None if self._connection is None else self._connection.connection.dbapi_connection
        return bool(raw is not None and raw.in_transaction)

    def give_up(self) -> None:
        """Drop the connection with whatever it had open, so that the next one starts from what is on disk."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.invalidate()
                connection.close()
            except SQLAlchemyError:
                pass

    def close(self) -> None:
        self.give_up()
        self._engine.dispose()

    def _connect(self) -> sqlite3.Connection:
        raw = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False, cached_statements=256)
        try:
            mode = journal_mode(sqlite3.sqlite_version_info)
            _set(raw, "locking_mode", "exclusive")
            _set(raw, "journal_mode", mode)
            _set(raw, "synchronous", 2)
            _set(raw, "foreign_keys", 1)
            _set(raw, "secure_delete", 1)
            raw.execute(f"PRAGMA cache_size = -{_PAGE_CACHE_KIB}")
        except BaseException:
            raw.close()
            raise
        return raw


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _set(raw: sqlite3.Connection, pragma: str, value: str | int) -> None:
    raw.execute(f"PRAGMA {pragma} = {value}")
    now = raw.execute(f"PRAGMA {pragma}").fetchone()[0]
    if now != value:
        raise sqlite3.OperationalError(f"PRAGMA {pragma} stays {now}, wanted {value}")
