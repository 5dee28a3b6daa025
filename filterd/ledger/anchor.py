"""The anchor: a file beside the store to which checkpoints are added, at each sanction, each minute, at open and close.

A row cut off the end of the table leaves a chain that still fits; the anchor has seen the row. Who can write both can
cut both: `elsewhere` carries the lines to other places. A line is with the system at once, and on disk within a minute
and at close: one lost with the power only makes the stretch behind the last anchor longer.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from filterd.ledger import checkpoint
from filterd.ledger.chain import Head
from filterd.ledger.checkpoint import FIRST, Checkpoint, Reading, Signer, Trust, digest, trust_of
from filterd.ledger.codec import Undecodable, decode_json
from filterd.ledger.elsewhere import Elsewhere
from filterd.ledger.files import sync
from filterd.ports import Keys

_log = logging.getLogger(__name__)

FILE_NAME = "ledger.anchor"
EVERY_S = 60.0
# Some hundred lines: where a writer's last one is looked for.
_TAIL_BYTES = 65_536


class AnchorFile:
    """The file of a store. Only the ledger process writes it, from one thread at a time."""

    def __init__(self, file: Path, keys: Keys, elsewhere: Elsewhere | None = None):
        self.file = file
        self.trust = trust_of(keys)
        self._signer = Signer(keys.checkpoint)
        self._elsewhere = elsewhere
        self._prev: str | None = None
        self._last: tuple[str, Head] | None = None
        self._kept_s = time.monotonic()
        self._is_synced = True

    def append(self, writer: str, head: Head, at: datetime) -> None:
        """Add a checkpoint. Raises OSError, and then there is no part of it in the file."""
        prev = self._prev or self._last_digest()
        line = self._signer.line(writer, head, at, prev)
        fd = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(fd).st_size
            if os.write(fd, line) != len(line):
                os.ftruncate(fd, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.file))
        finally:
            os.close(fd)
        self._prev, self._last, self._is_synced = digest(line), (writer, head), False
        if self._elsewhere is not None:
            self._elsewhere.wake()

    def is_due(self, now_s: float) -> bool:
        """Say whether `keep` has not been called for a minute. `now_s`: the monotonic clock."""
        return now_s - self._kept_s >= EVERY_S

    def keep(self, writer: str, head: Head, at: datetime, now_s: float) -> None:
        """Add a checkpoint when the chain went on since the last, and put the file on disk. Raises OSError."""
        self._kept_s = now_s
        if self._last is None or (self._last[0], self._last[1].seq) != (writer, head.seq):
            self.append(writer, head, at)
        if not self._is_synced:
            self.sync()

    def mend(self) -> None:
        """Cut off half a line that a crash left at the end."""
        tail = self._tail()
        if tail and not tail.endswith(b"\n"):
            os.truncate(self.file, self.file.stat().st_size - len(tail) + tail.rfind(b"\n") + 1)

    def sync(self) -> None:
        """Put the file on disk. Raises OSError."""
        if self.file.exists():
            sync(self.file)
        self._is_synced = True

    def close(self) -> None:
        """Put the file on disk, and end what carries it elsewhere after a last try. Raises OSError."""
        try:
            self.sync()
        finally:
            if self._elsewhere is not None:
                self._elsewhere.close()

    def seen(self, writer: str) -> int:
        """Say how far the last lines have seen the writer's chain, 0 when none that holds is about it."""
        found: list[tuple[int, bytes]] = []
        for line in self._tail().split(b"\n"):
            try:
                tree = decode_json(line)
                if tree["writer"] == writer:
                    found.append((int(tree["seq"]), line))
            except (Undecodable, KeyError, TypeError, ValueError):
                continue
        # Nobody may keep a ledger from starting with a line of his own.
        return next((seq for seq, line in sorted(found, reverse=True) if checkpoint.is_sound(line, self.trust)), 0)

    def read(self) -> tuple[Sequence[Checkpoint], str | None]:
        """Say the checkpoints in order, and what is wrong with the file, None when nothing is."""
        found = read_file(self.file, self.trust)
        return found.checkpoints, found.wrong

    def _last_digest(self) -> str:
        lines = self._tail().splitlines()
        if not lines:
            return FIRST
        if not checkpoint.is_sound(lines[-1], self.trust):
            # What we sign vouches for the line before. The break stays to be seen.
            _log.error("the last line of %s was altered: run verify", self.file)
            return digest(b"")
        return digest(lines[-1])

    def _tail(self) -> bytes:
        try:
            with self.file.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL_BYTES))
                return file.read()
        except FileNotFoundError:
            return b""


def read_file(file: Path, trust: Trust) -> Reading:
    """Read an anchor file or a copy of one; half a line at the end is still being written and is left out."""
    try:
        lines = file.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return Reading(wrong=f"{file}: is missing")
    except OSError as err:
        return Reading(wrong=f"{file}: cannot be read: {err.strerror}")
    return checkpoint.read(lines, trust, str(file))


def read_files(files: Iterable[Path], trust: Trust) -> Reading:
    """Read several; what is wrong is that of the first that is."""
    found = Reading()
    for file in files:
        read = read_file(file, trust)
        found.checkpoints += read.checkpoints
        found.unproven += read.unproven
        found.wrong = found.wrong or read.wrong
    return found
