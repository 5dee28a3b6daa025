"""A table of any SQL database as the operator's directory; fulfils ports.DirectorySource.

One SELECT of the operator's, with the login as a bound parameter and never as text of the statement, in a transaction
that may only read and is always undone. SQLAlchemy speaks to the database, blocking, in threads of ours. Several rows
for one login are one answer when they differ only where a fact has several values: a join with a table of aliases.

Temporary: no database, no answer in time, a statement it does not take. Not temporary: two people for one login. Errors
say the kind of trouble and the database's code for it: its words may quote the statement's parameters.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection

from filterd.clients.directory_values import MAX_VALUES, facts_from
from filterd.errors import ConfigError, PortError
from filterd.model.directory import FACTS, DirectoryFacts


class SqlSettings(Protocol):
    """The keys of `[directory.sql]` that this client reads; what they mean stands in the configuration."""

    @property
    def url(self) -> str: ...
    @property
    def query(self) -> str: ...
    @property
    def columns(self) -> Mapping[str, str]: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def max_connections(self) -> int: ...


class SqlDirectory:
    """One database. Safe for any number of tasks of one event loop.

    Args:
        password: says the password each time a connection is made; None: as the URL says.

    Raises ConfigError for a URL that no driver knows.
    """

    name = "sql"

    def __init__(self, settings: SqlSettings, password: Callable[[], str] | None = None):
        self._settings = settings
        self._url = _read_url(settings.url)
        self._statement = text(settings.query)
        self._wanted = frozenset(self._statement.compile().params)
        self._engine = _engine(self._url, settings, password)
        self._threads = ThreadPoolExecutor(settings.max_connections, thread_name_prefix="sql")
        self._turns = asyncio.Semaphore(settings.max_connections)

    async def look_up(self, login: str) -> DirectoryFacts | None:
        """Say what the rows for a login say; None when there is none. Raises PortError."""
        try:
            login.encode("utf-8")
        except UnicodeEncodeError:
            # No text of a database can be this.
            return None
        local_part, _, domain = login.rpartition("@") if "@" in login else (login, "", "")
        known = {"login": login, "local_part": local_part, "domain": domain}
        rows = await self._ask({name: known[name] for name in self._wanted if name in known})
        if not rows:
            return None
        return facts_from(self.name, self._values(rows))

    async def ping(self) -> str:
        """Ask about nobody; say who answered. Raises PortError."""
        await self.look_up("nobody@invalid")
        return f"{self._where} takes the query"

    async def close(self) -> None:
        self._threads.shutdown(wait=False)
        self._engine.dispose()

    @property
    def _where(self) -> str:
        return f"database {self._url.render_as_string(hide_password=True)}"

    def _values(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """Say all values of each fact that the statement has a column for. Raises PortError for an unknown column."""
        facts = {self._settings.columns.get(fact, fact): fact for fact in FACTS}
        for column in self._settings.columns.values():
            if column not in rows[0]:
                raise PortError(f"{self._where}: the query has no column {column!r}")
        return {fact: [row[column] for row in rows] for column, fact in facts.items() if column in rows[0]}

    async def _ask(self, parameters: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        asked = _Asked()
        try:
            async with asyncio.timeout(self._settings.timeout_s), self._turns:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, self._select_twice, parameters, asked)
        except TimeoutError:
            raise PortError(f"{self._where}: no answer within {self._settings.timeout_s:g} s") from None
        except ConfigError as err:
            raise PortError(f"{self._where}: {err}") from err
        except (SQLAlchemyError, OSError) as err:
            raise PortError(f"{self._where}: {_why(err)}") from None
        finally:
            asked.give_up()

    def _select_twice(self, parameters: Mapping[str, str], asked: _Asked) -> Sequence[Mapping[str, Any]]:
        """Ask; once more where the database has closed the connection since it was last used."""
        try:
            return self._select(parameters, asked)
        except DBAPIError as err:
            if not err.connection_invalidated or asked.is_given_up:
                raise
            return self._select(parameters, asked)

    def _select(self, parameters: Mapping[str, str], asked: _Asked) -> Sequence[Mapping[str, Any]]:
        with self._engine.connect() as connection:
            asked.begin(connection)
            try:
                if connection.dialect.name in ("mysql", "mariadb"):
                    connection.exec_driver_sql("SET TRANSACTION READ ONLY")
                result = connection.execute(self._statement, parameters)
                rows = [dict(row) for row in result.mappings().fetchmany(MAX_VALUES + 1)]
            finally:
                asked.end()
                connection.rollback()
        if len(rows) > MAX_VALUES:
            raise PortError(f"{self._where}: more than {MAX_VALUES} rows for one login", temporary=False)
        return rows


class _Asked:
    """A statement under way, which another thread may give up."""

    def __init__(self) -> None:
        self.is_given_up = False
        self._raw: PoolProxiedConnection | None = None

    def begin(self, connection: Connection) -> None:
        self._raw = connection.connection

    def end(self) -> None:
        self._raw = None

    def give_up(self) -> None:
        """Stop the statement where it is still under way."""
        self.is_given_up = True
        raw, self._raw = self._raw, None
        driver: Any = raw.dbapi_connection if raw is not None else None
        with suppress(Exception):
            if hasattr(driver, "interrupt"):
                driver.interrupt()
            elif hasattr(driver, "fileno"):
                # Nothing is sent, for the other side may not be listening: whoever reads here finds the end.
                with socket.socket(fileno=os.dup(driver.fileno())) as copy:
                    copy.shutdown(socket.SHUT_RDWR)


def _read_url(said: str) -> URL:
    """Read a URL. Raises ConfigError, which does not repeat it: it may hold a password."""
    try:
        url = make_url(said)
        # postgresql:// is what people write; psycopg is the driver that comes with filterd.
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
        raise ConfigError("is no URL of a database that there is a driver for", key="directory.sql.url") from None
    return url


def _engine(url: URL, settings: SqlSettings, password: Callable[[], str] | None) -> Engine:
    arguments: dict[str, Any] = {}
    options: dict[str, Any] = {}
    patience_s = max(1, int(settings.timeout_s))
    match url.get_backend_name():
        case "postgresql":
            milliseconds = max(1, int(settings.timeout_s * 1000))
            arguments = {
                "connect_timeout": max(2, patience_s),
                "tcp_user_timeout": milliseconds,
                "application_name": "filterd directory",
                "options": f"-c statement_timeout={milliseconds} -c default_transaction_read_only=on",
            }
            options = {"postgresql_readonly": True}
        case "sqlite":
            # A file that is not there must not be made; SQLite's own words for that are a URI.
            url, arguments = _read_only_file(url), {"timeout": settings.timeout_s, "check_same_thread": False}
        case "mysql" | "mariadb":
            arguments = {"connect_timeout": patience_s, "read_timeout": patience_s}
    engine = create_engine(
        url,
        connect_args=arguments,
        execution_options=options,
        hide_parameters=True,
        pool_size=settings.max_connections,
        max_overflow=0,
        pool_timeout=settings.timeout_s,
    )
    if password is not None:
        secret = password

        def connecting(_dialect: Any, _record: Any, _positional: Any, named: dict[str, Any]) -> None:
            named["password"] = secret()

        event.listen(engine, "do_connect", connecting)
    return engine


def _read_only_file(url: URL) -> URL:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return url
    return url.set(database=f"file:{url.database}", query={**url.query, "mode": "ro", "uri": "true"})


def _why(err: Exception) -> str:
    """Say the kind of trouble. A database's own words may quote what was asked about."""
    if isinstance(err, DBAPIError) and err.orig is not None:
        code = getattr(err.orig, "sqlstate", None) or getattr(err.orig, "sqlite_errorname", None)
        return f"{type(err.orig).__name__}{f' ({code})' if code else ''}"
    return type(err).__name__
