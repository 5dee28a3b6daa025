"""PostgreSQL: one database for several nodes, each with its own chain of rows.  HOUSE §5, LIBRARIES §18.

READ COMMITTED with locks taken before a group begins (ledger.locks): whoever has an account's lock sees all that was
committed about it. Commits are synchronous and go to a primary; a server set otherwise is refused, for a decision never
reads a replica and never stands on what a crash may take back. Waiting is bounded, on both sides of the wire.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from filterd.errors import ConfigError, LedgerUnavailable, ModelError, UsageError
from filterd.ledger.store import reason
from filterd.ledger.versions import prepare
from filterd.model.about import About
from filterd.model.entry import Entry

# Below the deadline of whoever waits for the ledger (10 s), so that one slow group does not fail the next one, too.
_STATEMENT_MS = 8_000
_LOCK_MS = 5_000
_NAME_MS = 1_500
_LOST_AFTER_MS = 5_000
# 40001 serialization_failure, 40P01 deadlock_detected, 55P03 lock_not_available.
_IN_THE_WAY = frozenset({"40001", "40P01", "55P03"})
# admin_shutdown, crash_shutdown, cannot_connect_now; class 08 are the other failures of a connection.
_ENDED = frozenset({"57P01", "57P02", "57P03"})
# All transactions share room for max_locks_per_transaction (64) times max_connections (100): a tenant with thousands of
# domains would fill it for everybody. Beyond this a group has the ledger to itself.
_LOCKS_AT_MOST = 1_000
# Two numbers an advisory lock: the first says what for ("filt" in ASCII, and one more for each use).
_FOR = 0x66696C74
_FOR_WRITER, FOR_TIMERS, _FOR_TABLES, _FOR_ALL = range(_FOR, _FOR + 4)

CHANNEL = "filterd_ledger"
# A notification holds less than 8000 octets; an id at most 80.
_NAMES_A_NOTE = 80

# What a setting must be for a commit to outlive a crash.
_NEEDED = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
}


def conninfo(url: str) -> str:
    """Say how to connect, with bounds on every wait. Raises ConfigError for what is no URL of PostgreSQL."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError as err:
        raise ConfigError("is no URL of PostgreSQL, such as postgresql://user@host/database", key="ledger.url") from err
    bounds: dict[str, Any] = {
        "application_name": "filterd",
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": _LOST_AFTER_MS,
        "target_session_attrs": "read-write",
    }
    return make_conninfo("", **(bounds | given))


def place_of(url: str) -> str:
    """Name a database without its password."""
    given = conninfo_to_dict(url)
    host = given.get("host", "local")
    return f"postgresql://{host}{':' + str(given['port']) if 'port' in given else ''}/{given.get('dbname', '')}"


def is_empty(url: str) -> bool:
    """Say whether a database holds no tables at all. Raises ModelError when it cannot be asked."""
    try:
        with psycopg.connect(conninfo(url), autocommit=True) as raw:
            found = raw.execute("SELECT 1 FROM pg_tables WHERE schemaname = current_schema() LIMIT 1").fetchone()
    except psycopg.Error as err:
        why = (str(err).strip().splitlines() or [type(err).__name__])[0]
        raise ModelError(f"{place_of(url)}: cannot be asked: {why}") from err
    return found is None


class PostgresStore:
    """The open database. Used by one thread at a time; `give_up` after anything that left the connection in doubt."""

    is_shared = True

    def __init__(self, url: str, writer: str | None):
        self.place = place_of(url)
        self._conninfo = conninfo(url)
        self._writer = writer
        self._engine = create_engine("postgresql+psycopg://", creator=self._connect, poolclass=NullPool)
        self._connection: Connection | None = None

    @classmethod
    def open(cls, url: str, chain_key: bytes, *, writer: str | None, may_create: bool = True) -> PostgresStore:
        """Open the database, making the tables where there are none; see store.open_store."""
        store = cls(url, writer)
        try:
            with store.connection.begin():
                # Nodes that start together make the tables once.
                store.connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_FOR_TABLES}, 0)")
                prepare(store.connection, store.place, chain_key, may_create=may_create)
        except SQLAlchemyError as err:
            store.close()
            raise ModelError(f"{store.place}: cannot be used as a ledger: {reason(err)}") from err
        except LedgerUnavailable as err:
            store.close()
            raise ModelError(str(err)) from err
        except BaseException:
            store.close()
            raise
        return store

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
            except (SQLAlchemyError, psycopg.Error) as err:
                why = str(err).strip().splitlines()[0] if isinstance(err, psycopg.Error) else reason(err)
                raise LedgerUnavailable(f"{self.place}: cannot be opened: {why}") from err
        return self._connection

    def lock(self, wanted: Sequence[About]) -> None:
        connection = self.connection
        named = numbers(wanted)
        if any(item.is_everything for item in wanted) or len(named) > _LOCKS_AT_MOST:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_FOR_ALL}, 0)")
            return
        if named:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_FOR_ALL}, 0)")
            # One row after the other, in the order of the array.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(n) FROM unnest(%s::bigint[]) AS n", (named,))

    def announce(self, changed: Sequence[Entry], has_directory_changed: bool) -> None:
        accounts = sorted({entry.subject_id for entry in changed})
        for start in range(0, max(len(accounts), 1), _NAMES_A_NOTE):
            note = {
                "by": self._writer,
                "accounts": accounts[start : start + _NAMES_A_NOTE],
                "directory": has_directory_changed,
            }
            self.connection.exec_driver_sql("SELECT pg_notify(%s, %s)", (CHANNEL, json.dumps(note)))

    def may_try_again(self, error: BaseException) -> bool:
        return sqlstate(error) in _IN_THE_WAY

    def is_lost(self, error: BaseException) -> bool:
        if not isinstance(error, (OperationalError, psycopg.OperationalError)):
            return False
        state = sqlstate(error)
        return state is None or state.startswith("08") or state in _ENDED

    def is_in_transaction(self) -> bool:
        raw = None if self._connection is None else self._connection.connection.dbapi_connection
        if raw is None:
            return False
        status = raw.info.transaction_status
        return status in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR, pq.TransactionStatus.ACTIVE)

    def give_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError, psycopg.Error):
                connection.invalidate()
                connection.close()

    def close(self) -> None:
        self.give_up()
        self._engine.dispose()

    def _connect(self) -> psycopg.Connection[Any]:
        raw = psycopg.connect(self._conninfo, autocommit=True)
        try:
            check_server(raw, self.place)
            notice_silence(raw)
            raw.execute(f"SET statement_timeout = {_STATEMENT_MS}")
            raw.execute(f"SET lock_timeout = {_NAME_MS}")
            raw.execute(f"SET idle_in_transaction_session_timeout = {2 * _STATEMENT_MS}")
            if self._writer is not None:
                self._be_the_only(raw)
            raw.execute(f"SET lock_timeout = {_LOCK_MS}")
            raw.autocommit = False
            raw.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        except BaseException:
            raw.close()
            raise
        return raw

    def _be_the_only(self, raw: psycopg.Connection[Any]) -> None:
        """Make sure that nobody else continues this chain. The server gives the lock back when the connection ends."""
        number = int.from_bytes(hashlib.sha256(str(self._writer).encode()).digest()[:4], "big", signed=True)
        try:
            # Waits a little: a connection given up a moment ago may not have ended on the other side.
            raw.execute("SELECT pg_advisory_lock(%s, %s)", (_FOR_WRITER, number))
        except psycopg.errors.LockNotAvailable as err:
            why = f"another ledger process writes as {self._writer}; each node needs its own node.name"
            raise UsageError(f"{self.place}: {why}") from err


def numbers(wanted: Iterable[About]) -> list[int]:
    """Say the numbers to lock for a group, in the one order: 60 bits of a hash of the name below its rank."""
    return sorted({_number(rank, name) for item in wanted for rank, name in item.names})


def _number(rank: int, name: str) -> int:
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).digest()
    return (rank << 60) | int.from_bytes(digest[:8], "big") >> 4


def sqlstate(error: BaseException | None) -> str | None:
    """Say PostgreSQL's five characters for an error, also where it was wrapped."""
    if isinstance(error, DBAPIError):
        return sqlstate(error.orig)
    if isinstance(error, psycopg.Error):
        return error.sqlstate
    return sqlstate(error.__cause__) if error is not None and error.__cause__ is not None else None


def notice_silence(raw: psycopg.Connection[Any]) -> None:
    """Have the server notice a node that lost its power, too: it would keep its locks for hours (tcp(7): 7200 s).

    Of no effect on a UNIX socket.
    """
    bounds = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "user_timeout": _LOST_AFTER_MS}
    for name, value in bounds.items():
        raw.execute(f"SET tcp_{name} = {value}")


def check_server(raw: psycopg.Connection[Any], place: str) -> None:
    """Refuse a replica, and a server whose commits are not durable."""
    row = raw.execute("SELECT pg_is_in_recovery()").fetchone()
    if row is None or row[0]:
        raise UsageError(f"{place}: is a replica; decisions need the primary")
    for name, allowed in _NEEDED.items():
        found = raw.execute("SELECT current_setting(%s)", (name,)).fetchone()
        if found is None or found[0] not in allowed:
            said = found[0] if found is not None else "unknown"
            raise UsageError(f"{place}: {name} is {said}: a commit would not be durable; it must be {allowed[0]}")
    if raw.info.server_version < 130000:
        raise UsageError(f"{place}: is PostgreSQL {raw.info.server_version // 10000}; 13 is the oldest that is tried")
