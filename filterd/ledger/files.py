"""Files that are whole or not there: written beside, synced, renamed, directory synced; never through a link."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

TEMPORARY = ".tmp-"


def private_directory(directory: Path) -> None:
    """Make a directory, and those above it, that only its owner enters."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_beside(target: Path, content: bytes) -> Path:
    """Write `content` to a new file in the target's directory, not synced; say its path. Raises OSError."""
    beside = target.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        beside.unlink()
        raise
    finally:
        os.close(fd)
    return beside


def sync(path: Path) -> None:
    """Put a file's content, or a directory's names, on disk. Raises OSError; never tried twice (FAULTS row 18)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(target: Path, content: bytes) -> None:
    """Make `target` hold `content`, on disk when this returns. Raises OSError and leaves nothing behind."""
    beside = write_beside(target, content)
    try:
        sync(beside)
        beside.rename(target)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    sync(target.parent)


def read_plain(path: Path) -> bytes:
    """Read a file that is no symbolic link. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(fd, "rb") as file:
        return file.read()
