"""A backup in one file: an uncompressed tar of the folder, for where files are kept more easily than folders.

Sealed octets do not compress. Only plain files and folders with names of ours are ever unpacked.
"""

from __future__ import annotations

import os
import re
import secrets
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filterd.errors import ModelError, UsageError
from filterd.ledger.files import TEMPORARY, private_directory, sync

SUFFIX = ".tar"
_NAME = re.compile(r"[a-z0-9_.]+(/[a-z0-9_.]+){0,2}")


def pack(folder: Path, target: Path) -> None:
    """Make one file of a set, whole on disk or not at all. Raises OSError, UsageError."""
    if target.exists():
        raise UsageError(f"{target}: is there already; a backup is never written over another one")
    beside = target.parent / f"{TEMPORARY}backup-{secrets.token_hex(8)}"
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as opened:
            with tarfile.open(fileobj=opened, mode="w") as tar:
                for file in sorted(x for x in folder.rglob("*") if x.is_file()):
                    tar.add(file, str(file.relative_to(folder)), recursive=False)
            opened.flush()
            os.fsync(opened.fileno())
        beside.rename(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync(target.parent)


@contextmanager
def as_folder(place: Path) -> Iterator[Path]:
    """Have a set as a folder, unpacked into a private one where it is a file. Raises ModelError."""
    if place.is_dir():
        yield place
        return
    if not place.exists():
        raise ModelError(f"{place}: there is no backup here")
    with tempfile.TemporaryDirectory(prefix="filterd-backup-") as unpacked:
        try:
            with tarfile.open(place, mode="r:") as tar:
                for member in tar:
                    _unpack(tar, member, Path(unpacked), place)
        except (tarfile.TarError, EOFError) as err:
            raise ModelError(f"{place}: is no backup in one file: {err}") from err
        yield Path(unpacked)


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, place: Path) -> None:
    names = Path(member.name).parts
    if not member.isreg() or ".." in names or not _NAME.fullmatch(member.name):
        raise ModelError(f"{place}: holds {member.name!r}, which is no part of a backup")
    target = folder / member.name
    private_directory(target.parent)
    source = tar.extractfile(member)
    if source is None:
        raise ModelError(f"{place}: {member.name} cannot be read")
    with source, target.open("xb") as file:
        while some := source.read(1 << 20):
            file.write(some)
