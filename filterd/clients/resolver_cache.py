"""What DNS said not long ago: a bounded map from question to answer, each with its own end.  RFC 2308, RFC 9520.

Bounded twice, by entries and by octets, because one TXT answer may be 64 kB. What was not looked at longest goes first.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
Key = tuple[str, str]

# What one entry costs beside the octets of its records: keys, tuples and the map itself, measured with sys.getsizeof.
OVERHEAD_BYTES = 600


class Cache(Generic[T]):
    """A map whose entries end.

    Args:
        clock: monotonic seconds; another one in tests.
    """

    def __init__(self, *, max_entries: int, max_bytes: int, clock: Callable[[], float] = time.monotonic):
        self._max_entries, self._max_bytes, self._clock = max_entries, max_bytes, clock
        self._entries: OrderedDict[Key, tuple[float, int, T]] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> T | None:
        """Say what is known, or None when nothing is, or no longer."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry[2]

    def put(self, key: Key, value: T, *, ttl_s: float, content_bytes: int = 0) -> None:
        """Keep `value` for `ttl_s`; nothing is kept for no time, nor what would fill a tenth of the cache alone."""
        self._drop(key)
        size = OVERHEAD_BYTES + content_bytes
        if ttl_s <= 0 or size > self._max_bytes // 10:
            return
        self._entries[key] = (self._clock() + ttl_s, size, value)
        self.size_bytes += size
        while len(self._entries) > self._max_entries or self.size_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size_bytes -= entry[1]
