"""The vault: evidence, sealed under its subject's key and named by a keyed digest of subject and content.

The same mail of one account is one file; of two accounts it is two, so that erasing one leaves the other. A file is
written beside, and synced, renamed and its directory synced before the transaction that speaks of it commits. What a
rolled-back transaction leaves is collected by `sweep`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from filterd.errors import PortError, UsageError
from filterd.ledger.files import private_directory, read_plain, sync, write_beside
from filterd.ledger.seal import seal, unseal
from filterd.model.ids import keyed_hash

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A file written beside its place and not yet synced."""

    beside: Path
    file: Path

    def drop(self) -> None:
        self.beside.unlink(missing_ok=True)


class Vault:
    """The vault directory; the ledger process owns it."""

    def __init__(self, directory: Path, pseudonym_key: bytes):
        self.directory = directory
        self._pseudonym_key = pseudonym_key
        private_directory(directory)

    def address(self, digest: str, account_id: str) -> str:
        """Say the name of the file. Raises UsageError for anything but a SHA-256 in lower-case hex."""
        if not _DIGEST.fullmatch(digest):
            raise UsageError(f"not a SHA-256: {digest!r}")
        return keyed_hash(self._pseudonym_key, "vault", account_id, digest)

    def file_of(self, address: str) -> Path:
        return self.directory / address[:2] / address

    def stage(self, raw: bytes, account_id: str, subject_key: bytes) -> tuple[str, Staged | None]:
        """Write sealed evidence beside its place; say its digest, and nothing to settle when it is there already.

        Raises PortError when the volume cannot take it (a full disk is temporary).
        """
        digest = hashlib.sha256(raw).hexdigest()
        address = self.address(digest, account_id)
        file = self.file_of(address)
        try:
            if file.is_file() and not file.is_symlink():
                return digest, None
            if not file.parent.is_dir():
                private_directory(file.parent)
                sync(self.directory)
            return digest, Staged(beside=write_beside(file, seal(subject_key, raw, "vault", address)), file=file)
        except OSError as err:
            raise PortError(f"{file}: cannot keep evidence: {err.strerror}", temporary=True) from err

    def read(self, digest: str, account_id: str, subject_key: bytes) -> bytes | None:
        """Say the evidence, None when there is none. Raises PortError when it was altered."""
        address = self.address(digest, account_id)
        file = self.file_of(address)
        try:
            sealed = read_plain(file)
        except FileNotFoundError:
            return None
        except OSError as err:
            raise PortError(f"{file}: cannot be read: {err.strerror}", temporary=True) from err
        raw = unseal(subject_key, sealed, "vault", address)
        if hashlib.sha256(raw).hexdigest() != digest:
            raise PortError(f"{file}: holds something else than {digest}", temporary=False)
        return raw


def settle(staged: Staged) -> Path:
    """Put one staged file on disk and in its place; say the directory that must be synced. Raises OSError."""
    sync(staged.beside)
    staged.beside.rename(staged.file)
    return staged.file.parent
