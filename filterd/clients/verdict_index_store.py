"""Where the search index lies: a SQLite file of its own, or a schema of its own in PostgreSQL.

The SQLite file is opened by the ledger process, which writes, and by whoever looks for something: so no WAL, which
loses pages in many releases when two open it (LIBRARIES §12). It may be removed at any time: the next use makes a new
one. A damaged one, or one of another version, is removed: it is made of the event stream, and will be again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from filterd.clients.verdict_index_tables import META, METADATA, VERSION
from filterd.errors import ConfigError, PortError

FILE_NAME = "verdicts.sqlite3"
SCHEMA = "filterd_index"

# A search over everything holds a commit up for as long as it takes; a commit holds a search up for milliseconds.
_WAIT_S = 10.0
_STATEMENT_MS = 30_000
_PAGE_CACHE_KIB = 65_536
# An advisory lock of PostgreSQL's; any number that nobody else uses ("index" in ASCII).
_TABLES_LOCK = 0x696E646578


class IndexStore:
    """The open index. Used by one thread at a time.

    Args:
        file: of SQLite; its directory is there.
        url: of PostgreSQL, `postgresql://…`; then `file` is not used.
        may_create: make what is missing; otherwise that is a PortError.

    Raises:
        ConfigError: the URL is none.
    """

    def __init__(self, file: Path, url: str | None, *, may_create: bool):
        self._file = file if url is None else None
        self._may_create = may_create
        self._is_writing = False
        self._inode = 0
        self._connection: Connection | None = None
        self._engine = self._sqlite() if url is None else _postgres(url)
        self.place = str(file) if url is None else self._engine.url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def transaction(self, *, is_writing: bool) -> Iterator[Connection]:
        """Hold a transaction; it is undone when something is raised. Raises PortError for what the database does."""
        try:
            connection = self._open()
            self._is_writing = is_writing
            with connection.begin():
                yield connection
        except (SQLAlchemyError, sqlite3.Error, UnicodeError) as err:
            self.close()
            raise self._failure(err) from err
        except OSError as err:
            self.close()
            raise PortError(f"{err.filename or self.place}: {err.strerror}") from err
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go; the next use opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError, sqlite3.Error):
                connection.invalidate()
                connection.close()

    def destroy(self) -> None:
        """Take the index away, whatever state it is in. Raises PortError."""
        if self._file is None:
            with self.transaction(is_writing=True) as connection:
                _make_anew(connection)
            return
        self.close()
        with contextlib.suppress(FileNotFoundError):
            # The journal first: beside another file it would be played into that.
            Path(f"{self._file}-journal").unlink(missing_ok=True)
            self._file.unlink()

    # --- opening ------------------------------------------------------------------------------------------------------

    def _open(self) -> Connection:
        if self._connection is not None and self._file is not None and _inode(self._file) != self._inode:
            # Somebody removed the file: what we have open is nobody's any more.
            self.close()
        if self._connection is None:
            if self._file is not None and not self._file.exists():
                if not self._may_create:
                    raise PortError(f"{self._file}: there is no index here")
                os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._connection = self._engine.connect()
            self._inode = _inode(self._file) if self._file is not None else 0
            self._prepare(self._connection)
        return self._connection

    def _prepare(self, connection: Connection) -> None:
        self._is_writing = self._may_create
        with connection.begin():
            if self._may_create and self._file is None:
                # Nodes that start together make the tables once.
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_TABLES_LOCK})"))
                connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            names = set(inspect(connection).get_table_names(schema=None if self._file is not None else SCHEMA))
            found = connection.execute(select(META.c.value).where(META.c.key == "version")).scalar() if names else None
            if found == VERSION:
                return
            if not self._may_create:
                raise PortError(f"{self.place}: index version {found}, this program reads version {VERSION}")
            _make_anew(connection)

    def _sqlite(self) -> Engine:
        engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)
        event.listen(engine, "begin", self._begin)
        return engine

    def _connect(self) -> sqlite3.Connection:
        raw = sqlite3.connect(
            f"file:{self._file}?mode=rw", uri=True, isolation_level=None, check_same_thread=False, timeout=_WAIT_S
        )
        try:
            raw.execute("PRAGMA journal_mode = truncate")
            # A power cut may damage it: then it is made anew. What matters is durable elsewhere.
            raw.execute("PRAGMA synchronous = normal")
            raw.execute(f"PRAGMA cache_size = -{_PAGE_CACHE_KIB}")
        except BaseException:
            raw.close()
            raise
        return raw

    def _begin(self, connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if self._is_writing else "BEGIN")

    def _failure(self, err: BaseException) -> PortError:
        original = err.orig if isinstance(err, DBAPIError) else err
        # Not "busy" or "full", which are OperationalError, but "malformed" and "not a database".
        is_damaged = type(original) is sqlite3.DatabaseError
        if is_damaged and self._may_create:
            self.destroy()
            return PortError(f"{self.place}: was damaged and is made anew: {original}")
        said = str(original).strip().partition("\n")[0] if original is not None else type(err).__name__
        return PortError(f"{self.place}: {said}", temporary=isinstance(err, OperationalError))


def _postgres(url: str) -> Engine:
    kind, colon, rest = url.partition("://")
    if kind not in ("postgresql", "postgres") or not colon:
        raise ConfigError("is no URL of PostgreSQL, such as postgresql://user@host/database", key="index.url")
    options = f"-c search_path={SCHEMA} -c statement_timeout={_STATEMENT_MS} -c lock_timeout={_STATEMENT_MS}"
    arguments: dict[str, Any] = {"connect_timeout": 5, "application_name": "filterd index", "options": options}
    try:
        return create_engine(f"postgresql+psycopg://{rest}", poolclass=NullPool, connect_args=arguments)
    except (SQLAlchemyError, ValueError) as err:
        raise ConfigError("is no URL of PostgreSQL, such as postgresql://user@host/database", key="index.url") from err


def _make_anew(connection: Connection) -> None:
    METADATA.drop_all(connection)
    METADATA.create_all(connection)
    connection.execute(insert(META), [{"key": "version", "value": VERSION}])


def _inode(file: Path) -> int:
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return 0
