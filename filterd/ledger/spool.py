"""The spool: sealed, short-lived copies of mail that may become evidence, one a transaction.  ports.EvidenceSpool.

Written by the workers, read by the ledger process. Each file is sealed under a key of its own, made from the spool key
and the transaction id; the name is the transaction id. What nobody promotes, `sweep` erases within minutes.
"""

from __future__ import annotations

import re
from pathlib import Path

from filterd.errors import PortError, UsageError
from filterd.ledger.files import private_directory, read_plain, write_durably
from filterd.ledger.seal import derived_key, seal, unseal

_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")


class Spool:
    """The spool directory of a node; it may be open in several processes."""

    def __init__(self, directory: Path, key: bytes):
        self.directory = directory
        self._key = key
        private_directory(directory)

    def put(self, transaction_id: str, raw: bytes) -> None:
        """Write sealed and fsync. Blocks for a disk write; raises PortError when the volume cannot take it."""
        file = self.file_of(transaction_id)
        try:
            write_durably(file, seal(self._key_of(transaction_id), raw, "spool", transaction_id))
        except OSError as err:
            raise PortError(f"{file}: cannot spool: {err.strerror}", temporary=True) from err

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

    def _key_of(self, transaction_id: str) -> bytes:
        return derived_key(self._key, "spool", transaction_id)
