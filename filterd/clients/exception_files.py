"""The operator's allow and deny lists and exceptions: TOML files, read at start and again when one of them has changed.

ops/docs/EXCEPTIONS.md. Refused, with file, line and key: what has no condition, what would take forged mail (a sender
or a From domain that nothing vouches for), what would pass a virus on, what would clear an account of ours, and a
suspension by another name. A faulty change leaves in force what was, and is said once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from filterd.clients.exception_entries import read_entries
from filterd.clients.watched import Watched
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


class ExceptionFiles(Watched, Generic[T]):
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
        super().__init__(recheck_s)
        self._files, self._clock, self._made, self._on_reading = tuple(files), clock, made, on_reading
        self._entries: tuple[ExceptionEntry, ...] = ()
        self._table = made(())

    async def current(self) -> T:
        """Say what is in force: the same object until a file has changed."""
        await self._refresh()
        return self._table

    @property
    def entries(self) -> tuple[ExceptionEntry, ...]:
        return self._entries

    def _read(self) -> None:
        entries = load_exceptions(self._files)
        table = self._made(entries)
        self._entries, self._table = entries, table
        now = self._clock.now()
        ended = tuple(x.id for x in entries if x.until is not None and now >= x.until)
        self._on_reading(ExceptionReading(in_force=len(entries) - len(ended), ended=ended))

    def _kept(self, error: str) -> None:
        self._on_reading(ExceptionReading(in_force=len(self._entries), error=error))

    def _state(self) -> tuple[object, ...]:
        return tuple(_stat(file) for file in self._files)


def _stat(file: Path) -> object:
    try:
        found = file.stat()
    except OSError as err:
        return err.errno
    return (found.st_ino, found.st_size, found.st_mtime_ns)
