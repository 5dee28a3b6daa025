"""What is made of files and made anew when they have changed: the looking, which all kinds of lists share."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod

from filterd.errors import ConfigError


class Watched(ABC):
    """Files that are looked at now and then. A faulty change leaves in force what was, and is told once.

    Args:
        recheck_s: how long a look is good for.
    """

    def __init__(self, recheck_s: float) -> None:
        self._recheck_s = recheck_s
        self._seen: tuple[object, ...] | None = None
        self._looked_at = 0.0
        self._lock = asyncio.Lock()
        # Whoever waits for a reading can be cancelled, and its thread goes on: two never read at once, or what is old
        # could be put over what is new.
        self._reading = threading.Lock()

    def open(self) -> None:
        """Read for the first time. Raises ConfigError: filterd does not start on faulty files."""
        self._seen = self._state()
        self._looked_at = time.monotonic()
        self._read()

    async def _refresh(self) -> None:
        """Read again, in a thread, what has changed since the last look."""
        if time.monotonic() - self._looked_at >= self._recheck_s and not self._lock.locked():
            async with self._lock:
                await asyncio.to_thread(self._look)

    def _look(self) -> None:
        with self._reading:
            self._looked_at = time.monotonic()
            state = self._state()
            if state == self._seen:
                return
            # Kept before reading: what is written meanwhile is seen at the next look.
            self._seen = state
            try:
                self._read()
            except Exception as err:
                # Of what nobody foresaw, too, the operator must hear that all is as it was.
                self._kept(str(err) if isinstance(err, ConfigError) else f"cannot be read: {type(err).__name__}")

    @abstractmethod
    def _state(self) -> tuple[object, ...]:
        """Say what would differ if something had changed."""

    @abstractmethod
    def _read(self) -> None:
        """Read, and put it in force. Raises ConfigError."""

    @abstractmethod
    def _kept(self, error: str) -> None:
        """Tell why a change was not taken."""
