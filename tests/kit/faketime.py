"""A process that believes it is another day, while everything around it keeps real time.  faketime(1), libfaketime.

Only the wall clock moves, and the times of files with it (one made on day 0 seems made today); timers run on the
monotonic clock and stay true (measured with asyncio, uvloop, threading and sqlite; for Python some things are mended in
faketime_python). The offset stands in a file that is read at every call, so a running process can be sent on to the
next day.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

_MENDED = Path(__file__).with_name("faketime_python")


class FakeTime:
    """The clock of the processes started with `env`. Without a `set` it is the real one."""

    def __init__(self, file: Path):
        self._file = file
        self.offset = timedelta()
        self._write()

    @property
    def env(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Debian switches this on; with it, CPython's threads wait seconds for each other.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "PYTHONPATH": os.pathsep.join([str(_MENDED), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def set(self, instant: datetime) -> None:
        """From now on it is `instant` and going on from there."""
        self.offset = instant - datetime.now(UTC)
        self._write()

    def advance(self, **by: float) -> None:
        """Arguments as for timedelta."""
        self.offset += timedelta(**by)
        self._write()

    def _write(self) -> None:
        # In one go: the file is read without a lock.
        beside = self._file.with_suffix(".new")
        beside.write_text(f"{self.offset.total_seconds():+.3f}\n")
        beside.rename(self._file)


def library() -> Path:
    """Say where libfaketime for programs with threads is. Raises FileNotFoundError."""
    for folder in (Path("/usr/lib"), Path("/usr/local/lib"), Path("/lib")):
        for found in sorted(folder.glob("*/faketime/libfaketimeMT.so.1")) + sorted(
            folder.glob("faketime/libfaketimeMT.so.1")
        ):
            return found
    raise FileNotFoundError("no libfaketimeMT.so.1 (Debian: apt-get install faketime)")
