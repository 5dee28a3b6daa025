"""Who wants to know what was committed: told in order, on the loop they subscribed from or on the writer thread."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from filterd.ledger.trace import where

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Subscribers(Generic[T]):
    """The subscribers of one kind of news."""

    def __init__(self) -> None:
        self._all: tuple[tuple[Callable[[T], Awaitable[None] | None], asyncio.AbstractEventLoop | None], ...] = ()
        self._running: set[asyncio.Future[None]] = set()

    def add(self, callback: Callable[[T], Awaitable[None] | None]) -> Callable[[], None]:
        """Subscribe; say the function that ends it.

        Inside a running event loop the callback is called there, and what it returns is awaited; otherwise it is called
        on the writer thread, must be quick and plain. Errors are logged and change nothing.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        subscriber = (callback, loop)
        self._all = (*self._all, subscriber)

        def leave() -> None:
            self._all = tuple(other for other in self._all if other is not subscriber)

        return leave

    def tell(self, news: T) -> None:
        """Tell everybody. Called on the writer thread."""
        for callback, loop in self._all:
            if loop is None:
                self._call(callback, news)
                continue
            try:
                loop.call_soon_threadsafe(self._call, callback, news)
            except RuntimeError:
                # The loop is closed: nobody listens there any more.
                self._all = tuple(other for other in self._all if other[1] is not loop)

    def _call(self, callback: Callable[[T], Awaitable[None] | None], news: T) -> None:
        try:
            result = callback(news)
        except Exception as err:
            _log.error("a subscriber of the ledger failed: %s", where(err))
            return
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(result)
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (err := task.exception()) is not None:
            _log.error("a subscriber of the ledger failed: %s", where(err))
