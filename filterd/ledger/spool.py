"""The spool: sealed, short-lived copies of mail that may become evidence, one a transaction.  ports.EvidenceSpool.

Written by the workers, read by the ledger process. Each file is sealed under a key of its own, made from the spool key
and the transaction id; the name is the transaction id. What nobody promotes, `sweep` erases within minutes.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from filterd.errors import PortError, UsageError
from filterd.ledger.files import private_directory, read_plain, write_durably
from filterd.ledger.seal import derived_key, seal, unseal
from filterd.markers import reach

_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
# How long what the directory holds is taken for known; what this process adds meanwhile is added.
_MEASURED_FOR_S = 1.0


class Spool:
    """The spool directory of a node; it may be open in several processes.

    `quota_bytes`: above it nothing more is taken, so that a ledger that hangs cannot fill the volume; None: no bound.
    Each process measures at most once a second, so that N of them may together go beyond it by what comes in one.
    """

    def __init__(self, directory: Path, key: bytes, quota_bytes: int | None = None):
        self.directory = directory
        self.quota_bytes = quota_bytes
        self._key = key
        self._known_bytes = 0
        self._measured_at = float("-inf")
        private_directory(directory)

    def put(self, transaction_id: str, raw: bytes) -> None:
        """Write sealed and fsync. Blocks for a disk write; raises PortError when volume or quota cannot take it."""
        file = self.file_of(transaction_id)
        try:
            self._make_sure_of_room(len(raw))
            write_durably(file, seal(self._key_of(transaction_id), raw, "spool", transaction_id))
        except OSError as err:
            raise PortError(f"{file}: cannot spool: {err.strerror}", temporary=True) from err
        reach("spool.written")

    def discard(self, transaction_id: str) -> None:
        """Erase it; nothing happens when it is not there."""
        file = self.file_of(transaction_id)
        try:
            file.unlink(missing_ok=True)
        except OSError as err:
            raise PortError(f"{file}: cannot erase: {err.strerror}", temporary=True) from err

    def read(self, transaction_id: str) -> bytes | None:
        """Say the mail, None when there is none. Raises PortError when it cannot be read or was altered."""
        file = self.file_of(transaction_id)
        try:
            sealed = read_plain(file)
        except FileNotFoundError:
            return None
        except OSError as err:
            raise PortError(f"{file}: cannot be read: {err.strerror}", temporary=True) from err
        return unseal(self._key_of(transaction_id), sealed, "spool", transaction_id)

    def file_of(self, transaction_id: str) -> Path:
        """Say where a transaction's copy stands. Raises UsageError for what could lead elsewhere."""
        if not _ID.fullmatch(transaction_id):
            raise UsageError(f"not a transaction id: {transaction_id!r}")
        return self.directory / transaction_id

    def _make_sure_of_room(self, octets: int) -> None:
        """Raise PortError when that many more would be too many. Raises OSError."""
        if self.quota_bytes is None:
            return
        now = time.monotonic()
        if now - self._measured_at >= _MEASURED_FOR_S:
            self._known_bytes = measured(self.directory)
            self._measured_at = now
        if self._known_bytes + octets > self.quota_bytes:
            raise PortError(
                f"{self.directory}: {self._known_bytes >> 20} MB wait there, spool_mb allows {self.quota_bytes >> 20}",
                temporary=True,
            )
        self._known_bytes += octets

    def _key_of(self, transaction_id: str) -> bytes:
        return derived_key(self._key, "spool", transaction_id)


def measured(directory: Path) -> int:
    """Say how many octets the files of a directory have. Raises OSError."""
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                total += entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                # Promoted or erased meanwhile.
                continue
    return total
