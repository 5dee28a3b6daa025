"""The event stream: one file a writer, one JSON object a line, `seq` without a gap.  HOUSE rule 15.

`append` is one write(2) with O_APPEND: lines of a killed process are whole or missing, but for the last one. It is not
fsynced (HOUSE rule 2). A line torn by a crash or a full disk is closed before the next one, and counted in an event
`stream.torn`. A file that was renamed or removed (logrotate) is followed at the next event; `seq` goes on. A file that
was cut under us (logrotate's `copytruncate`, which loses lines) is not what we support: an event `stream.cut` says so.

Temporary: the volume takes nothing (PortError); the event is then not counted as written.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from filterd.errors import PortError, UsageError
from filterd.log.read import event_of, pieces_backwards, stream_files
from filterd.log.safe import TEXT_MAX, json_line

FORMAT = 1
# The operator's log reader belongs to the group; nobody else reads along.
MODE = 0o640

_WRITER = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


class EventStream:
    """One writer's file, `<writer>.jsonl` in `directory`. Safe to use from several threads of one process.

    Args:
        directory: made if need be.
        writer: unique among all processes of all nodes, for example `node1.w2`.
        now: the clock.

    Attributes:
        seq: of the last event written, 0 before the first.

    Raises:
        UsageError: another process writes as `writer`, or it is no name.
        PortError: the file cannot be opened.
    """

    def __init__(self, directory: Path, writer: str, now: Callable[[], datetime]):
        if not _WRITER.fullmatch(writer):
            raise UsageError(f"{writer!r} is no name for a writer")
        self.writer, self.path = writer, directory / f"{writer}.jsonl"
        self._directory, self._now = directory, now
        self._lock = threading.Lock()
        self._fd = -1
        self._inode = (0, 0)
        self._torn_bytes = 0
        self._end = 0
        self._cut_bytes = 0
        try:
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._open()
            noted, self._ledger = self._read_note()
            self.seq = max(self._find_seq(), noted)
            with self._lock:
                self._mend()
                self._keep()
        except OSError as err:
            raise self._failure(err) from err

    def append(self, event: str, tx: str | None, fields: Mapping[str, Any], *, is_capped: bool = True) -> None:
        """Write one event.

        Args:
            tx: the transaction id, None where it is about none.
            is_capped: False for text that is ours and must stay whole.

        Raises:
            PortError: nothing, or only part of a line, could be written.
        """
        with self._lock:
            try:
                if self._is_rotated():
                    self._reopen()
                self._mend()
                self._say_cut()
                self._write(event, tx, fields, is_capped=is_capped)
            except OSError as err:
                raise self._failure(err) from err

    def note_ledger(self, ledger_writer: str, seq: int) -> None:
        """Remember that the stream holds this entry, for `last_ledger_seq` after all files were rotated away."""
        self._ledger[ledger_writer] = seq

    def last_ledger_seq(self, ledger_writer: str) -> int:
        """Say the last ledger entry that this stream holds, 0 when none: later ones were lost in a crash.

        Reads backwards until it meets one, so entries belong into a stream without much else.
        """
        noted = self._ledger.get(ledger_writer, 0)
        for line in self._lines_backwards():
            if b'"event":"entry"' in line and (event := event_of(line)) is not None:
                ledger = event.get("ledger", {})
                if ledger.get("writer") == ledger_writer:
                    return max(int(ledger["seq"]), noted)
        return noted

    def reopen(self) -> None:
        """Open the file anew, after it was renamed. Not needed for correctness: `append` notices by itself."""
        with self._lock:
            try:
                self._reopen()
            except OSError as err:
                raise self._failure(err) from err

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._keep()
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        # Not kept by children: one of them would hold the lock for ever.
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            os.close(fd)
            raise UsageError(f"{self.path}: another process writes it") from err
        if self._fd >= 0:
            os.close(self._fd)
        status = os.fstat(fd)
        self._fd, self._inode, self._end = fd, (status.st_dev, status.st_ino), status.st_size

    def _reopen(self) -> None:
        # Whole on disk before the new file begins: a power cut must not leave the later lines without the earlier.
        os.fdatasync(self._fd)
        self._open()
        self._torn_bytes = 0
        self._cut_bytes = 0
        self._write_note()

    def _keep(self) -> None:
        """Write the note, which must never have seen more than the disk has."""
        os.fdatasync(self._fd)
        self._write_note()

    def _is_rotated(self) -> bool:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return True
        if (status.st_dev, status.st_ino) != self._inode:
            return True
        if status.st_size < self._end:
            self._cut_bytes += self._end - status.st_size
            # What was torn is gone with the rest.
            self._torn_bytes = 0
        self._end = status.st_size
        return False

    def _write(self, event: str, tx: str | None, fields: Mapping[str, Any], *, is_capped: bool = True) -> None:
        head = {"v": FORMAT, "event": event, "writer": self.writer, "seq": self.seq + 1, "at": self._now(), "tx": tx}
        line = json_line(head | dict(fields), TEXT_MAX if is_capped else None)
        written = os.write(self._fd, line)
        self._end += written
        if written < len(line):
            self._torn_bytes += written
            raise OSError(errno.ENOSPC, "only part of an event could be written")
        self.seq += 1

    def _mend(self) -> None:
        """Close a torn line and say so, before anything else is written."""
        if self._torn_bytes:
            self._end += os.write(self._fd, b"\n")
            octets = self._torn_bytes
            self._write("stream.torn", None, {"octets": octets})
            self._torn_bytes -= octets

    def _say_cut(self) -> None:
        if self._cut_bytes:
            octets = self._cut_bytes
            self._write("stream.cut", None, {"octets": octets})
            self._cut_bytes -= octets

    def _find_seq(self) -> int:
        """The last `seq` in the newest file that has one. Notes how much of a torn line the current file ends with."""
        self._torn_bytes = len(next(pieces_backwards(self.path)))
        return next((int(event["seq"]) for line in self._lines_backwards() if (event := event_of(line)) is not None), 0)

    def _lines_backwards(self) -> Iterator[bytes]:
        """All lines of this writer, the newest first, out of rotated files too."""
        for path in reversed(stream_files(self._directory, self.writer)):
            # A file that is being packed or taken away this very moment; the note beside the stream stands in for it.
            with contextlib.suppress(OSError, EOFError, zlib.error):
                yield from pieces_backwards(path)

    @property
    def _note(self) -> Path:
        return self._directory / f"{self.writer}.seq"

    def _read_note(self) -> tuple[int, dict[str, int]]:
        """Say what `_write_note` wrote, or zero and nothing: a note only ever helps."""
        try:
            note = orjson.loads(self._note.read_bytes())
            return int(note["seq"]), {str(writer): int(seq) for writer, seq in note["ledger"].items()}
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return 0, {}

    def _write_note(self) -> None:
        """Keep `seq` beside the file, for a start after all rotated files were packed or taken away."""
        fresh = self._note.with_suffix(".seq.new")
        fresh.write_bytes(orjson.dumps({"seq": self.seq, "ledger": self._ledger}))
        os.replace(fresh, self._note)

    def _failure(self, err: OSError) -> PortError:
        return PortError(f"event stream {self.path}: {err.strerror or type(err).__name__}")
