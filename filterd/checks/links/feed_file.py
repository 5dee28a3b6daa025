"""The feed in a file that changes under us: looked at now and then, read again in a thread.

A file that is wrong at start stops the start. One that becomes wrong, or goes away, is reported once with file and
line, and the last good one stays in force (FAULTS row 22; CLAUSES TX-3.5.2: an outage degrades, it does not block).
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from filterd.checks.links.feed import Feed, load
from filterd.errors import ConfigError
from filterd.log.service import service_log

# Between two looks at the file; a look is one stat.
LOOK_EVERY_S = 5.0

_Mark = tuple[int, int, int]


class FeedFile:
    """A feed that follows its file.

    Args:
        file: read at once.
        look_every_s: on the monotonic clock.

    Raises:
        ConfigError: the file cannot be read or is wrong, with the line.
    """

    def __init__(self, file: Path, look_every_s: float = LOOK_EVERY_S) -> None:
        self._file = file
        self._look_every_s = look_every_s
        self._mark = _mark(file)
        self._feed = load(file)
        self._next_look = time.monotonic() + look_every_s

    async def current(self) -> Feed:
        """Give the feed in force. While one mail reads a changed file, the others go on with the last one."""
        if time.monotonic() < self._next_look:
            return self._feed
        self._next_look = time.monotonic() + self._look_every_s
        mark = _mark(self._file)
        if mark == self._mark:
            return self._feed
        # Taken before reading: what is written while we read is seen at the next look.
        self._mark = mark
        try:
            self._feed = await asyncio.to_thread(load, self._file)
        except ConfigError as err:
            service_log().error("link_feed_kept", file=str(err.file), line=err.line, problem=err.message)
        else:
            service_log().info("link_feed_read", file=str(self._file), entries=len(self._feed))
        return self._feed


def _mark(file: Path) -> _Mark | None:
    """Say what changes when the file does; None when it is not there."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
