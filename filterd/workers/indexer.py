"""Keeps the search index behind the event streams of this node, by a second or two.  ports.VerdictIndex.

Reading and writing happen in a thread of their own, a batch at a time, with pauses three times as long as the work, so
that mail is never slower for it; nothing of the mail path waits for the index. Whatever fails is tried again: the
position stands in the index itself, with the rows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from filterd import metrics
from filterd.errors import FilterdError
from filterd.log import service_log
from filterd.log.follow import Follower
from filterd.log.read import stream_files, writer_of
from filterd.log.search import micros, searched
from filterd.model.found import JudgedMail, MailAnswer, StreamPosition
from filterd.ports import Clock, VerdictIndex

T = TypeVar("T")

BATCH_EVENTS = 500
LOOK_EVERY_S = 1.0
EXPIRE_EVERY_S = 3600.0
# Of work to rest, while there is much to catch up with.
_REST = 3.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0


class Indexer:
    """Reads streams into an index. Plain and blocking; one thread at a time.

    Args:
        directory: of the event streams.
        retention: what is older stays out, and is taken out.
    """

    def __init__(self, index: VerdictIndex, directory: Path, clock: Clock, *, retention: timedelta):
        self._index, self._directory, self._clock, self._retention = index, directory, clock, retention
        self._followers: dict[str, tuple[Follower, StreamPosition | None]] = {}
        self._kept_since_us: int | None = None

    def writers(self) -> list[str]:
        """Say whose streams are here."""
        return sorted({writer_of(path) for path in stream_files(self._directory)})

    def step(self, writer: str, limit: int = BATCH_EVENTS) -> int:
        """Take one batch of a stream in, and say how many events it had.

        Raises:
            PortError: the index takes nothing. OSError: the stream cannot be read. Nothing is lost: call it again.
        """
        try:
            return self._step(writer, limit)
        except BaseException:
            # Whether the batch is in is known to the index alone.
            self.forget()
            raise

    def catch_up(self) -> Iterator[int]:
        """Take in all there is, batch by batch; says the size of each. Raises what `step` raises."""
        for writer in self.writers():
            while events := self.step(writer):
                yield events

    def expire(self) -> int:
        """Take out what is too old, and say how many rows that were. Raises PortError."""
        before = self._clock.now() - self._retention
        gone = self._index.expire(before)
        self._kept_since_us = micros(before)
        return gone

    def forget(self) -> None:
        """Close what is open, and ask the index again how far it is."""
        for follower, _ in self._followers.values():
            follower.close()
        self._followers.clear()

    def _step(self, writer: str, limit: int) -> int:
        if self._kept_since_us is None:
            self.expire()
        if writer not in self._followers:
            position = self._index.position(writer)
            follower = Follower(self._directory, writer, position or StreamPosition(), _say_broken)
            self._followers[writer] = (follower, position)
        follower, before = self._followers[writer]
        batch = follower.read(limit)
        if batch.is_cut:
            service_log().warning("index_rewound", writer=writer)
            self._index.rewind(writer, follower.last_seq())
            self.forget()
            return self._step(writer, limit)
        if not batch.events:
            if self._index.position(writer) == before:
                return 0
            # Taken away, cleared, or fed by somebody else: go by what it says now.
            self.forget()
            return self._step(writer, limit)
        rows = [row for event in batch.events if (row := searched(event)) is not None and self._is_kept(row)]
        if not self._index.add(writer, before, batch.position, int(batch.events[0]["seq"]), rows):
            # As above; what was read is read again where it is wanted.
            self.forget()
            return len(batch.events)
        self._followers[writer] = (follower, batch.position)
        return len(batch.events)

    def _is_kept(self, row: JudgedMail | MailAnswer) -> bool:
        return self._kept_since_us is None or row.at_us >= self._kept_since_us


class IndexerTask:
    """Runs an indexer beside everything else, until it is told to stop."""

    def __init__(self, indexer: Indexer, close: Callable[[], None]):
        self._indexer, self._close = indexer, close
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="indexer")
        self._stop = asyncio.Event()
        self._pause_s = 0.0
        self._expired_at = float("-inf")

    async def run(self) -> None:
        while not self._stop.is_set():
            try:
                await self._look()
                self._pause_s = 0.0
            except Exception as err:
                # Whatever it is, mail goes on, and the index is tried again.
                self._complain(err)
            await self._rest(max(LOOK_EVERY_S, self._pause_s))
        await self._in_thread(self._indexer.forget)
        await self._in_thread(self._close)
        self._thread.shutdown()

    def stop(self) -> None:
        self._stop.set()

    async def _look(self) -> None:
        """Take in what there is, with rests."""
        if time.monotonic() - self._expired_at > EXPIRE_EVERY_S:
            await self._in_thread(self._indexer.expire)
            self._expired_at = time.monotonic()
        for writer in await self._in_thread(self._indexer.writers):
            while not self._stop.is_set():
                started = time.monotonic()
                events = await self._in_thread(partial(self._indexer.step, writer))
                if not events:
                    break
                await self._rest(_REST * (time.monotonic() - started))

    def _complain(self, err: Exception) -> None:
        if not self._pause_s:
            metrics.observe_trouble("index")
            text = str(err) if isinstance(err, FilterdError | OSError) else None
            service_log().warning("index_away", error=type(err).__name__, text=text)
        self._pause_s = min(max(_FIRST_PAUSE_S, 2 * self._pause_s), _LONGEST_PAUSE_S)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def start_indexer(
    stack: AsyncExitStack, index: VerdictIndex, directory: Path, clock: Clock, *, retention_days: float
) -> None:
    """Start keeping an index; the stack ends it. One process a node does this: the ledger's.

    Args:
        index: is closed at the end.
        directory: of this node's event streams.
    """
    indexer = Indexer(index, directory, clock, retention=timedelta(days=retention_days))
    runner = IndexerTask(indexer, index.close)
    task = asyncio.create_task(runner.run(), name="indexer")

    async def end() -> None:
        runner.stop()
        await task

    stack.push_async_callback(end)


def _say_broken(path: Path) -> None:
    service_log().warning("stream_unreadable", file=path.name)
