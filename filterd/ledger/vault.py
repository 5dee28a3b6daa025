"""The vault: what is kept of mails, sealed under its subject's key and named by a keyed digest of subject and content.

The same octets of one account are one object; of two accounts they are two, so that erasing one leaves the other. What
was cut out of a mail is an object of its own, beside the whole. Two kinds of vault:

- Files, for a store of one node. A file is written beside, and synced, renamed and its directory synced before the
  transaction that speaks of it commits. What a rolled-back transaction leaves is collected by `sweep`.
- Rows of the database that several nodes share: written by the very transaction that speaks of them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, select, text

from filterd.errors import PortError, UsageError
from filterd.ledger.codec import instant_text
from filterd.ledger.files import private_directory, read_plain, sync, write_beside
from filterd.ledger.schema import VAULT_OBJECT
from filterd.ledger.seal import seal, unseal
from filterd.markers import reach
from filterd.model.ids import keyed_hash

_DIGEST = re.compile(r"[0-9a-f]{64}")
_INSERT_NEW = text(
    "INSERT INTO vault_object (address, stored_at, sealed) VALUES (:address, :stored_at, :sealed)"
    " ON CONFLICT (address) DO NOTHING"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A file written beside its place and not yet synced; `beside` None: it is in its place already."""

    beside: Path | None
    file: Path

    def drop(self) -> None:
        if self.beside is not None:
            self.beside.unlink(missing_ok=True)


class Vault(Protocol):
    """Where sealed objects are kept, by address. `directory`: None where they stand in the store itself."""

    @property
    def directory(self) -> Path | None: ...

    def put(self, connection: Connection, address: str, raw: bytes, key: bytes, now: datetime) -> Staged | None:
        """Seal and keep; say what must be settled before the commit, None when nothing must.

        Raises PortError when the volume cannot take it (a full disk is temporary).
        """
        ...

    def sealed(self, connection: Connection, address: str) -> bytes | None:
        """Say the sealed octets, None when there are none."""
        ...


class FileVault:
    """A directory; the ledger process owns it."""

    def __init__(self, directory: Path):
        self.directory = directory
        private_directory(directory)

    def file_of(self, address: str) -> Path:
        return self.directory / address[:2] / address

    def put(self, connection: Connection, address: str, raw: bytes, key: bytes, now: datetime) -> Staged | None:
        file = self.file_of(address)
        try:
            if _holds(file, raw, key, address):
                # Its directory is synced once more: whoever put it there may have failed to, or died before.
                return Staged(beside=None, file=file)
            if not file.parent.is_dir():
                private_directory(file.parent)
                sync(self.directory)
            return Staged(beside=write_beside(file, seal(key, raw, "vault", address)), file=file)
        except OSError as err:
            raise PortError(f"{file}: cannot keep evidence: {err.strerror}", temporary=True) from err

    def sealed(self, connection: Connection, address: str) -> bytes | None:
        file = self.file_of(address)
        try:
            return read_plain(file)
        except FileNotFoundError:
            return None
        except OSError as err:
            raise PortError(f"{file}: cannot be read: {err.strerror}", temporary=True) from err


class TableVault:
    """A table of the store."""

    directory = None

    def put(self, connection: Connection, address: str, raw: bytes, key: bytes, now: datetime) -> Staged | None:
        row = {"address": address, "stored_at": instant_text(now), "sealed": seal(key, raw, "vault", address)}
        connection.execute(_INSERT_NEW, row)
        reach("vault.staged")
        return None

    def sealed(self, connection: Connection, address: str) -> bytes | None:
        query = select(VAULT_OBJECT.c.sealed).where(VAULT_OBJECT.c.address == address)
        return connection.execute(query).scalar()


def address_of(pseudonym_key: bytes, digest: str, account_id: str) -> str:
    """Say the name of an object. Raises UsageError for anything but a SHA-256 in lower-case hex."""
    if not _DIGEST.fullmatch(digest):
        raise UsageError(f"not a SHA-256: {digest!r}")
    return keyed_hash(pseudonym_key, "vault", account_id, digest)


def opened(sealed: bytes, address: str, account_id: str, subject_key: bytes, pseudonym_key: bytes) -> bytes:
    """Open an object. Raises PortError when it was altered."""
    raw = unseal(subject_key, sealed, "vault", address)
    if address_of(pseudonym_key, hashlib.sha256(raw).hexdigest(), account_id) != address:
        raise PortError(f"vault|{address}: holds something else than its name says", temporary=False)
    return raw


def _holds(file: Path, raw: bytes, key: bytes, address: str) -> bool:
    """Say whether a file is there, no link, with this content under this key. Raises OSError.

    What a transaction that failed has left may be sealed under a key that was undone with it.
    """
    if file.is_symlink() or not file.is_file():
        return False
    try:
        return unseal(key, read_plain(file), "vault", address) == raw
    except PortError:
        return False


def settle(staged: Staged) -> Path:
    """Put one staged file on disk and in its place; say the directory that must be synced. Raises OSError."""
    if staged.beside is None:
        return staged.file.parent
    reach("vault.staged")
    sync(staged.beside)
    staged.beside.rename(staged.file)
    reach("vault.settled")
    return staged.file.parent
