"""Reading one writer's stream from a position on, whatever rotation does to its files.

A file is known by its inode, so that it may be renamed while it is read; one that was packed or copied is found again
by the numbers in it. A file is left for the next one only when that has a line: the writer adds nothing to the old one
then. A stream that is not the one read before (lines lost in a power cut, numbers begun anew) is noticed: the event at
the position is another, or there is none so late (`Batch.is_cut`).
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from filterd.log.read import event_of, pieces_backwards, stream_files
from filterd.model.found import StreamPosition

# Octets before the position that are remembered as a digest.
_MARK_OCTETS = 64
# A batch ends here, too: rows of the ledger can be long.
_BATCH_OCTETS = 4 * 1024 * 1024

_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Events in order, and where to go on.

    Args:
        is_cut: the stream is not the one that was read before; whoever keeps something of it begins again.
    """

    events: list[dict[str, Any]]
    position: StreamPosition
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: Path
    inode: int
    first_seq: int


class Follower:
    """Reads on. Belongs to one thread.

    Args:
        on_broken: told of a packed file that cannot be read to its end; what follows it is read.

    Attributes:
        position: behind the last event that was read.
    """

    def __init__(
        self,
        directory: Path,
        writer: str,
        position: StreamPosition,
        on_broken: Callable[[Path], None] | None = None,
    ):
        self.writer, self.position = writer, position
        self._directory, self._on_broken = directory, on_broken
        self._file: BinaryIO | None = None
        self._path, self._inode, self._offset = Path(), 0, 0
        self._is_cut = False
        self._first_seqs: dict[tuple[Path, int, int], int] = {}

    def read(self, limit: int) -> Batch:
        """Read at most `limit` events. Raises OSError for a file that cannot be read."""
        events: list[dict[str, Any]] = []
        octets = 0
        if self._file is not None and not self._is_as_read():
            self.close()
        if self._file is None:
            self._locate()
        while self._file is not None and not self._is_cut and len(events) < limit and octets < _BATCH_OCTETS:
            line = self._line()
            if not line.endswith(b"\n"):
                following = self._next()
                if following is None:
                    break
                # Read once more after the next file had a line: then nothing more comes.
                line = self._line()
                if not line.endswith(b"\n"):
                    self._take(line, events)
                    self._open(following.path, 0)
                    continue
            octets += len(line)
            self._take(line, events)
        if self._is_cut:
            self.close()
        return Batch(events=[] if self._is_cut else events, position=self.position, is_cut=self._is_cut)

    def last_seq(self) -> int:
        """Say the greatest number that the files hold now, 0 for none."""
        return max((_last_seq(path) for path in stream_files(self._directory, self.writer)), default=0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self, line: bytes, events: list[dict[str, Any]]) -> None:
        """Move behind a line, and keep its event if it is a new one."""
        self._offset += len(line)
        event = event_of(line) if line else None
        if event is None or event["writer"] != self.writer:
            return
        at = self.position
        if event["seq"] > at.seq:
            events.append(event)
            self.position = StreamPosition(
                seq=event["seq"], inode=self._inode, offset=self._offset, mark=_mark(line[-_MARK_OCTETS:])
            )
        elif event["seq"] == at.seq and at.mark and not _ends_as(line, at.mark):
            self._is_cut = True

    def _line(self) -> bytes:
        """Say the next line, with its end when it has one by now; without, it will be read again."""
        file = cast(BinaryIO, self._file)
        try:
            line = file.readline()
            if line and not line.endswith(b"\n"):
                file.seek(self._offset)
        except _BROKEN:
            if self._on_broken is not None:
                self._on_broken(self._path)
                self._on_broken = None
            return b""
        return line

    # --- which file ---------------------------------------------------------------------------------------------------

    def _locate(self) -> None:
        """Open the file where the position is: by its inode, else by the numbers in it."""
        at = self.position
        files = sorted(self._files(), key=lambda file: file.first_seq)
        for file in files:
            # A packed file is read from its beginning anyway.
            if at.mark and file.inode == at.inode and file.path.suffix != ".gz" and self._open(file.path, at.offset):
                if self._is_as_read():
                    return
                self.close()
        if not files:
            return
        if self.last_seq() < at.seq:
            self._is_cut = True
            return
        before = [file for file in files if file.first_seq <= at.seq + 1]
        self._open((before[-1] if before else files[0]).path, 0)

    def _next(self) -> _File | None:
        """Say the file to go on with, once it has a line."""
        waiting = [f for f in self._files() if f.inode != self._inode and f.first_seq > self.position.seq]
        return min(waiting, key=lambda file: file.first_seq, default=None)

    def _open(self, path: Path, offset: int) -> bool:
        """Open a file; False when it was moved at this moment: the next look finds it."""
        self.close()
        try:
            plain = path.open("rb")
        except FileNotFoundError:
            return False
        self._path, self._offset, self._inode = path, offset, os.fstat(plain.fileno()).st_ino
        if path.suffix == ".gz":
            self._file = cast(BinaryIO, gzip.GzipFile(fileobj=plain))
        else:
            plain.seek(offset)
            self._file = plain
        return True

    def _is_as_read(self) -> bool:
        """Say whether the open file still has the last event where it was."""
        at, file = self.position, cast(BinaryIO, self._file)
        # Nobody writes into a packed file.
        if not at.mark or at.inode != self._inode or self._path.suffix == ".gz":
            return True
        octets = int(at.mark.partition(":")[0])
        return _mark(os.pread(file.fileno(), octets, max(0, at.offset - octets))) == at.mark

    def _files(self) -> list[_File]:
        """Say the files that hold an event."""
        known, self._first_seqs = self._first_seqs, {}
        files = []
        for path in stream_files(self._directory, self.writer):
            with contextlib.suppress(FileNotFoundError, *_BROKEN):
                status = path.stat()
                key = (path, status.st_ino, status.st_mtime_ns)
                first = known.get(key) or _first_seq(path)
                if first is not None:
                    self._first_seqs[key] = first
                    files.append(_File(path=path, inode=status.st_ino, first_seq=first))
        return files


def _first_seq(path: Path) -> int | None:
    with cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb") as file:
        return next((int(event["seq"]) for line in file if (event := event_of(line)) is not None), None)


def _last_seq(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError, *_BROKEN):
        return next((int(e["seq"]) for line in pieces_backwards(path) if (e := event_of(line)) is not None), 0)
    return 0


def _mark(octets: bytes) -> str:
    return f"{len(octets)}:{hashlib.blake2b(octets, digest_size=8).hexdigest()}"


def _ends_as(line: bytes, mark: str) -> bool:
    octets = int(mark.partition(":")[0])
    # A line that had no end when it was rotated away has one in a copy, or has not.
    return any(_mark(form[-octets:]) == mark for form in (line, line.rstrip(b"\n"), line + b"\n"))
