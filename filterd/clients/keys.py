"""The node's keys: one master key, everything else derived from it with HKDF-SHA-256 (RFC 5869).

A master key is 32 random octets, raw or as 64 hex digits. This module keeps it in a file that only its owner may read;
`key_source` knows other places. Without it the ledger can be neither verified nor read: back it up apart from the state
directory. Nobody overwrites keys in memory: Python gives no promise about the copies it made.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from filterd.errors import ModelError
from filterd.ports import Keys

_MASTER_BYTES = 32
_HEX = re.compile(rb"[0-9a-fA-F]{64}\r?\n?")


def load_keys(file: Path, *, may_create: bool = True) -> Keys:
    """Read the master key, making one when there is none, and derive the node's keys.

    Args:
        may_create: False where a missing file must not be healed, for example beside an existing ledger.

    Raises:
        ModelError: missing, unreadable, of the wrong size, or open to group or others; names the file.
    """
    return derive(load_master(file, may_create=may_create))


def load_master(file: Path, *, may_create: bool = True) -> bytes:
    """Read the master key itself, as `load_keys` does: only to put it away elsewhere."""
    if may_create and not file.exists():
        _create(file)
    return _read(file)


def derive(master: bytes) -> Keys:
    """Derive one key a purpose. The purposes' names are part of the format and never change."""
    if len(master) != _MASTER_BYTES:
        raise ModelError(f"a master key has {_MASTER_BYTES} octets, this one {len(master)}")
    return Keys(
        fingerprint=_derived(master, "fingerprint"),
        pseudonym=_derived(master, "pseudonym"),
        chain=_derived(master, "chain"),
        spool=_derived(master, "spool"),
        wrap=_derived(master, "wrap"),
        token=_derived(master, "token"),
        checkpoint=_derived(master, "checkpoint"),
    )


def _derived(master: bytes, purpose: str) -> bytes:
    # The master is uniformly random already, so that no salt is needed (RFC 5869 §3.1).
    return HKDF(SHA256(), length=32, salt=None, info=f"filterd 1 {purpose}".encode("ascii")).derive(master)


def _read(file: Path) -> bytes:
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as opened:
            mode = os.fstat(fd).st_mode
            octets = opened.read(4096)
    except OSError as err:
        raise ModelError(f"{file}: the master key cannot be read: {err.strerror}") from err
    if not stat.S_ISREG(mode):
        raise ModelError(f"{file}: the master key must be a regular file")
    if mode & 0o077:
        raise ModelError(f"{file}: mode {stat.S_IMODE(mode):04o} lets others read the master key; chmod 0600")
    return master_of(octets, str(file))


def master_of(octets: bytes, place: str) -> bytes:
    """Read a master key: 32 octets, or 64 hex digits with or without a line end.

    Raises:
        ModelError: anything else; names the place and the length, never the content.
    """
    if len(octets) == _MASTER_BYTES:
        return octets
    if _HEX.fullmatch(octets):
        return bytes.fromhex(octets.decode("ascii"))
    raise ModelError(f"{place}: {len(octets)} octets; a master key is {_MASTER_BYTES} octets or 64 hex digits")


def _create(file: Path) -> None:
    """Make a key file, whole on disk or not at all; another process may win, and then its key counts."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, secrets.token_hex(_MASTER_BYTES).encode("ascii") + b"\n")
            os.fsync(fd)
        finally:
            os.close(fd)
        try:
            # Unlike rename, link never replaces a key that came into being meanwhile.
            os.link(beside, file)
        except FileExistsError:
            pass
        finally:
            beside.unlink()
        directory = os.open(file.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as err:
        raise ModelError(f"{file}: the master key cannot be made: {err.strerror}") from err
