"""Clocks: the system's, and one that a person sets for a demonstration.  ports.Clock.

The settable clock is a file with two instants, RFC 3339: what it was set to, and when that was by the system's clock.
From there it runs on at the usual speed, in every process that looks at the file, and through restarts.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filterd.errors import ConfigError

FILE_NAME = "clock"


class SystemClock:
    """The wall clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SettableClock:
    """The wall clock moved by what the file says; without a file it is the system's.

    The file is looked at (stat) at every reading, so that setting it takes effect at once.
    """

    def __init__(self, file: Path):
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._offset = timedelta()

    def now(self) -> datetime:
        """Say the instant. Raises ConfigError, naming the file, for a file that holds anything else."""
        try:
            found = os.stat(self._file)
        except FileNotFoundError:
            self._seen, self._offset = None, timedelta()
        except OSError as err:
            raise ConfigError(f"cannot be read: {err.strerror}", file=self._file) from err
        else:
            version = (found.st_mtime_ns, found.st_ino, found.st_size)
            if version != self._seen:
                self._offset = _read_offset(self._file)
                self._seen = version
        return datetime.now(UTC) + self._offset


def set_clock(file: Path, instant: datetime) -> None:
    """Set the clock to an aware `instant`, from which it runs on. Raises ConfigError, naming the file."""
    if instant.tzinfo is None:
        raise ConfigError("the instant needs a zone, for example 2026-03-01T09:00:00Z", file=file)
    beside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(f"{_text(instant)} {_text(datetime.now(UTC))}\n", encoding="ascii")
        beside.rename(file)
    except OSError as err:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise ConfigError(f"cannot be written: {err.strerror}", file=file) from err


def unset_clock(file: Path) -> None:
    """Go back to the system's clock."""
    file.unlink(missing_ok=True)


def _read_offset(file: Path) -> timedelta:
    try:
        set_to, set_at = (datetime.fromisoformat(word) for word in file.read_text(encoding="ascii").split())
        return set_to - set_at
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", file=file) from err
    except (TypeError, ValueError) as err:
        raise ConfigError("holds something else than the two instants that `set_clock` writes", file=file) from err


def _text(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
