"""A cache that is never ahead of the store: what a function set, what its group set, what is committed.

The writer thread sets and keeps; anybody may look at what is committed. What was used longest ago is thrown out.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Layers(Generic[K, V]):
    """Three layers: the running function's, the running group's, the committed ones (at most `bound`)."""

    def __init__(self, bound: int):
        self._bound = bound
        self._function: dict[K, V] = {}
        self._group: dict[K, V] = {}
        self._committed: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def inside(self, key: K) -> V | None:
        """Say what the running function sees."""
        if key in self._function:
            return self._function[key]
        if key in self._group:
            return self._group[key]
        return self.committed(key)

    def committed(self, key: K) -> V | None:
        """Say what is committed and warm, from any thread."""
        with self._lock:
            value = self._committed.get(key)
            if value is not None:
                self._committed.move_to_end(key)
            return value

    def set(self, key: K, value: V) -> None:
        """Note what the running function changed."""
        self._function[key] = value

    def warm(self, key: K, value: V) -> None:
        """Note what was read from the store and is changed by nobody in this group."""
        with self._lock:
            self._committed[key] = value
            self._committed.move_to_end(key)
            while len(self._committed) > self._bound:
                self._committed.popitem(last=False)

    def forget(self, key: K) -> None:
        """Somebody else has changed it."""
        self._function.pop(key, None)
        self._group.pop(key, None)
        with self._lock:
            self._committed.pop(key, None)

    def keep(self) -> None:
        """The function succeeded: its changes are the group's."""
        self._group.update(self._function)
        self._function.clear()

    def undo(self) -> None:
        """The function failed: its changes never were."""
        self._function.clear()

    def commit(self) -> dict[K, V]:
        """The group is on disk; say what it changed."""
        changed, self._group = self._group, {}
        for key, value in changed.items():
            self.warm(key, value)
        return changed

    def cool(self) -> None:
        """Forget what is committed, from any thread: somebody else may have changed it."""
        with self._lock:
            self._committed.clear()

    def clear(self) -> None:
        """Forget everything: nobody knows what is on disk."""
        self._function.clear()
        self._group.clear()
        with self._lock:
            self._committed.clear()
