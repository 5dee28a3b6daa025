"""The one connection to the store, and the lock that keeps it the only one.

SQLite: the file is held with locking_mode EXCLUSIVE, foreign keys on, deleted content overwritten, every commit synced.
Releases with the WAL-reset bug get journal_mode TRUNCATE instead of WAL. All of it is read back and asserted, because
SQLite ignores what it does not like without a word (FAULTS F22).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, create_engine, event, insert, inspect, select, update
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from filterd.errors import LedgerUnavailable, ModelError, UsageError
from filterd.ledger.schema import META, METADATA, MIGRATIONS, STORE_VERSION
from filterd.model.ids import keyed_hash

FILE_NAME = "ledger.sqlite3"
LOCK_NAME = "ledger.lock"
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


class StateLock:
    """An exclusive lock on a state directory, given back by `release` or by the end of the process."""

    def __init__(self, state_dir: Path):
        """Take it. Raises UsageError when somebody has it."""
        self.file = state_dir / LOCK_NAME
        self._fd = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise UsageError(f"{self.file}: another ledger process (pid {holder}) owns this store") from err
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        os.close(self._fd)


class Store:
    """The open store. Used by one thread at a time; `reopen` after anything that left the connection in doubt."""

    def __init__(self, file: Path):
        self.file = file
        self._engine = create_engine(
            "sqlite://",
            creator=self._connect,
            poolclass=NullPool,
            # `BEGIN` is ours (below): the driver's own comes too late for a savepoint.
        )
        event.listen(self._engine, "begin", _begin)
        self._connection: Connection | None = None

    @classmethod
    def open(cls, state_dir: Path, chain_key: bytes, *, may_create: bool = True) -> Store:
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
            store._prepare(chain_key, may_create=may_create)
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

    def _prepare(self, chain_key: bytes, *, may_create: bool) -> None:
        """Make the tables of an empty file, or check that they are ours and bring older ones up to date."""
        connection = self.connection
        check = keyed_hash(chain_key, "filterd ledger")
        with connection.begin():
            names = set(inspect(connection).get_table_names())
            if not names and may_create:
                METADATA.create_all(connection)
                rows = [{"key": "schema_version", "value": str(STORE_VERSION)}, {"key": "key_check", "value": check}]
                connection.execute(insert(META), rows)
            elif "meta" not in names:
                raise ModelError(f"{self.file}: not a ledger: it has no table `meta`")
            found = {row.key: row.value for row in connection.execute(select(META))}
            if found.get("key_check") == check:
                found["schema_version"] = _migrated(connection, found.get("schema_version", "none"))
        if found.get("key_check") != check:
            raise ModelError(f"{self.file}: written under another master key")
        if found.get("schema_version") != str(STORE_VERSION):
            was = found.get("schema_version", "none")
            raise ModelError(f"{self.file}: schema version {was}, this program reads version {STORE_VERSION}")


def reason(err: BaseException) -> str:
    """Say what the database said, without the statement and its parameters."""
    return str(err.orig) if isinstance(err, DatabaseError) and err.orig is not None else type(err).__name__


def _migrated(connection: Connection, version: str) -> str:
    """Bring the tables up to date, step by step, in the open transaction; say the version they have then."""
    known = {str(number): steps for number, steps in MIGRATIONS.items()}
    before = version
    while version in known:
        for statement in known[version]:
            connection.exec_driver_sql(statement)
        version = str(int(version) + 1)
    if version != before:
        connection.execute(update(META).where(META.c.key == "schema_version").values(value=version))
    return version


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _set(raw: sqlite3.Connection, pragma: str, value: str | int) -> None:
    raw.execute(f"PRAGMA {pragma} = {value}")
    now = raw.execute(f"PRAGMA {pragma}").fetchone()[0]
    if now != value:
        raise sqlite3.OperationalError(f"PRAGMA {pragma} stays {now}, wanted {value}")
