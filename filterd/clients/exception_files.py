"""The operator's allow and deny lists and exceptions: TOML files, read at start and again when one of them has changed.

ops/docs/EXCEPTIONS.md. Refused, with file, line and key: what has no condition, what would take forged mail (a sender
or a From domain that nothing vouches for), what would pass a virus on, what would clear an account of ours, and a
suspension by another name. A faulty change leaves in force what was, and is said once.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from filterd.clients.exception_entries import read_entries
from filterd.errors import ConfigError
from filterd.model.exception import ExceptionEntry
from filterd.ports import Clock

MAX_FILE_BYTES = 64 << 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionReading:
    """What became of one reading, for the service log. `error`: why a change was not taken; None: it was."""

    in_force: int
    ended: tuple[str, ...] = ()
    error: str | None = None


def load_exceptions(files: Sequence[Path]) -> tuple[ExceptionEntry, ...]:
    """Read every entry of some files, ended ones too. Raises ConfigError for the first thing wrong."""
    found: dict[str, ExceptionEntry] = {}
    for rank, file in enumerate(files):
        try:
            if file.stat().st_size > MAX_FILE_BYTES:
                raise ConfigError(f"larger than {MAX_FILE_BYTES} octets", file=file)
            octets = file.read_bytes()
        except OSError as err:
            raise ConfigError(f"cannot be read: {err.strerror}", file=file) from err
        for entry in read_entries(octets, str(file), rank):
            other = found.setdefault(entry.id, entry)
            if other is not entry:
                where = f"{other.file}:{other.line}"
                raise ConfigError(f"{entry.id!r} stands at {where} already", file=file, line=entry.line, key="id")
    return tuple(found.values())


class ExceptionFiles(Generic[T]):
    """What is in force of the files; implements pipeline.exceptions.ExceptionSource.

    Args:
        made: makes of entries what is asked; runs in a thread after the first reading.
        recheck_s: how long a look at the files is good for.
        on_reading: told of each reading; runs in a thread after the first one.
    """

    def __init__(
        self,
        files: Sequence[Path],
        clock: Clock,
        made: Callable[[tuple[ExceptionEntry, ...]], T],
        *,
        recheck_s: float = 5.0,
        on_reading: Callable[[ExceptionReading], None],
    ) -> None:
        self._files, self._clock, self._made = tuple(files), clock, made
        self._recheck_s, self._on_reading = recheck_s, on_reading
        self._entries: tuple[ExceptionEntry, ...] = ()
        self._table = made(())
        self._seen: tuple[object, ...] | None = None
        self._looked_at = 0.0
        self._lock = asyncio.Lock()
        # Whoever waits for a reading can be cancelled, and its thread goes on: two never read at once.
        self._reading = threading.Lock()

    def open(self) -> None:
        """Read for the first time. Raises ConfigError: filterd does not start on a faulty list."""
        self._seen = self._state()
        self._looked_at = time.monotonic()
        self._put(load_exceptions(self._files))

    async def current(self) -> T:
        """Say what is in force: the same object until a file has changed."""
        if time.monotonic() - self._looked_at >= self._recheck_s and not self._lock.locked():
            async with self._lock:
                await asyncio.to_thread(self._look)
        return self._table

    @property
    def entries(self) -> tuple[ExceptionEntry, ...]:
        return self._entries

    def _look(self) -> None:
        with self._reading:
            self._look_alone()

    def _look_alone(self) -> None:
        self._looked_at = time.monotonic()
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            entries = load_exceptions(self._files)
        except Exception as err:
            # Of what nobody foresaw, too, the operator must hear that the lists are as they were.
            said = str(err) if isinstance(err, ConfigError) else f"cannot be read: {type(err).__name__}"
            self._on_reading(ExceptionReading(in_force=len(self._entries), error=said))
            return
        self._put(entries)

    def _put(self, entries: tuple[ExceptionEntry, ...]) -> None:
        self._entries, self._table = entries, self._made(entries)
        now = self._clock.now()
        ended = tuple(x.id for x in entries if x.until is not None and now >= x.until)
        self._on_reading(ExceptionReading(in_force=len(entries) - len(ended), ended=ended))

    def _state(self) -> tuple[object, ...]:
        """Say what would differ if a file had changed."""
        return tuple(_stat(file) for file in self._files)


def _stat(file: Path) -> object:
    try:
        found = file.stat()
    except OSError as err:
        return err.errno
    return (found.st_ino, found.st_size, found.st_mtime_ns)
