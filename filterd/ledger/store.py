"""What the ledger stands on: a store behind one connection, and the lock that keeps its state directory to one process.

Two kinds, one schema: `sqlite` for one node, `postgres` for several.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from filterd.errors import UsageError
from filterd.model.about import About
from filterd.model.entry import Entry

FILE_NAME = "ledger.sqlite3"
LOCK_NAME = "ledger.lock"


class Store(Protocol):
    """The open store; one thread uses it. `place` names it in errors; `is_shared`: other nodes write to it, too."""

    place: str
    is_shared: bool

    @property
    def connection(self) -> Connection:
        """The connection. Opens it again when the last one was given up; raises LedgerUnavailable when that fails."""
        ...

    def lock(self, wanted: Sequence[About]) -> None:
        """Lock what a group of functions is about, at the beginning of its transaction."""
        ...

    def announce(self, changed: Sequence[Entry], has_directory_changed: bool) -> None:
        """Tell the other nodes, when the open transaction commits, what they must read anew."""
        ...

    def may_try_again(self, error: BaseException) -> bool:
        """Say whether the transaction failed only because another one was in the way."""
        ...

    def is_lost(self, error: BaseException) -> bool:
        """Say whether the connection broke, so that another one may do."""
        ...

    def is_in_transaction(self) -> bool:
        """Say whether the store still has the transaction; a full disk or an I/O error may end it by itself."""
        ...

    def give_up(self) -> None:
        """Drop the connection with whatever it had open, so that the next one starts from what is stored."""
        ...

    def close(self) -> None: ...


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


def reason(err: BaseException) -> str:
    """Say what the database said, without the statement and its parameters."""
    if isinstance(err, DatabaseError) and err.orig is not None:
        # PostgreSQL puts context, and sometimes values, on further lines.
        return (str(err.orig).strip().splitlines() or [""])[0]
    return type(err).__name__


def open_store(
    state_dir: Path, chain_key: bytes, *, url: str | None = None, writer: str | None = None, may_create: bool = True
) -> Store:
    """Open or create a store: the file in a state directory whose lock we hold, or the database at `url`.

    Args:
        writer: who will write to the database; nobody else may write as that. None only to read.

    Raises:
        ModelError: no store of ours, of another version or master key, or not to be reached; names place and reason.
        UsageError: another process writes as `writer`.
    """
    if url is None:
        from filterd.ledger.sqlite import SqliteStore

        return SqliteStore.open(state_dir, chain_key, may_create=may_create)
    from filterd.ledger.postgres import PostgresStore

    return PostgresStore.open(url, chain_key, writer=writer, may_create=may_create)
