"""A copy of a running SQLite ledger, made by the only process that may open it.

Made on the writer's thread, between two groups: the store's own connection, no transaction open, nothing half committed
in it. SQLite's backup interface copies page by page out of the cache and the file; the copy is synced by whoever asked
for it, so that the writer waits for no disk but for the reading. A store of 100 MB takes some tenths of a second.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from filterd.errors import RefusedError
from filterd.ledger.evidence import known_addresses
from filterd.ports import LedgerTxn

if TYPE_CHECKING:
    from filterd.ledger.txn import Txn

VERB = "backup.copy"
NAMED_VERB = "backup.named"
# One at a time: whoever asks holds a lock of its own on the state directory (cli.backup).
COPY_NAME = "ledger.copy.sqlite3"

_log = logging.getLogger(__name__)


def copy_store(txn: LedgerTxn, arguments: Mapping[str, Any]) -> str:
    """Have the store copied once this group is committed; say where, and the file is there when the answer is.

    Asked as root or as the user that filterd runs as, for the copy lies in the state directory. No file there: it
    failed, and the service log says why. Raises RefusedError for others, and where the store is no file.
    """
    if not arguments.get("as_root"):
        raise RefusedError("a copy of the ledger is made for root, or the user filterd runs as")
    inside = cast("Txn", txn)
    raw: Any = inside.connection.connection.dbapi_connection
    if not isinstance(raw, sqlite3.Connection):
        raise RefusedError("this ledger stands in a database that can be read beside it")
    copy = inside.equipment.spool.directory.parent / COPY_NAME
    copy.unlink(missing_ok=True)
    inside.after_commit.append(lambda: copy_file(raw, copy))
    return str(copy)


def still_named(txn: LedgerTxn, arguments: Mapping[str, Any]) -> list[str]:
    """Say which of these addresses rows speak of now: evidence that a copy names may have been erased since."""
    connection = cast("Txn", txn).connection
    return sorted(known_addresses(connection, [str(address) for address in arguments["addresses"]]))


def copy_file(raw: sqlite3.Connection, copy: Path) -> None:
    """Copy a database that has no transaction open; there is a whole file, or none."""
    beside = copy.with_suffix(".part")
    beside.unlink(missing_ok=True)
    try:
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with_target = sqlite3.connect(beside, isolation_level=None)
        try:
            # It is synced later, by another process; a copy that a crash cut short is never used.
            with_target.execute("PRAGMA synchronous = OFF")
            with_target.execute("PRAGMA journal_mode = OFF")
            raw.backup(with_target)
        finally:
            with_target.close()
        beside.rename(copy)
    except (OSError, sqlite3.Error) as err:
        beside.unlink(missing_ok=True)
        why = err.strerror if isinstance(err, OSError) else str(err)
        _log.error("%s: the ledger was not copied: %s", copy, why)
