"""How submissions to count cross the link: all that wait, in one frame.

Those asked in the same turn of the event loop go together, and so do those asked while a frame is under way; whoever is
alone goes at once. The ledger answers every frame at once with the counts it has in memory, and with the others as they
are looked up, so that nobody waits for another one's look-up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from filterd.errors import FilterdError
from filterd.ledger.counters import Counters
from filterd.ledger.link import error_head, raise_error
from filterd.model.decision import Counts
from filterd.ports import CountRequest

# A frame of so many is some 100 kB, and takes a few milliseconds; of so many recipients, a few MB.
_REQUESTS_AT_MOST = 256
_RECIPIENTS_AT_MOST = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CountAnswer:
    """The answer to the request at `place` of its frame: counts, or the head of an error (link.error_head)."""

    place: int
    counts: Counts | None = None
    error: dict[str, Any] | None = None


# --- the worker's end -------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True, eq=False)
class _Asked:
    request: CountRequest
    answer: asyncio.Future[Counts]
    frame: _Frame | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class _Frame:
    """A frame under way; `waiting`: how many still wait for their part of it."""

    asked: list[_Asked]
    waiting: int
    number: int = field(default=0)


class CountBatches:
    """What one worker has asked. `send` writes a frame and says its number; it may raise."""

    def __init__(self, send: Callable[[tuple[CountRequest, ...]], int]):
        self._send = send
        self._queue: deque[_Asked] = deque()
        self._frames: dict[int, _Frame] = {}
        # The frame that nothing has been heard of yet; the next one waits for that.
        self._ahead: _Frame | None = None
        self._is_due = False

    async def count(self, request: CountRequest) -> Counts:
        """Ask, and wait for the answer. Raises what the ledger raised, or what `drop` was given."""
        asked = _Asked(request=request, answer=asyncio.get_running_loop().create_future())
        self._queue.append(asked)
        self._see()
        try:
            return await asked.answer
        finally:
            self._leave(asked)

    def awaits(self, number: int) -> bool:
        """Say whether anybody waits for an answer to this frame."""
        return number in self._frames

    def take(self, number: int, head: dict[str, Any], answers: Iterable[CountAnswer]) -> None:
        """Take in a frame from the ledger: a part of the answers to frame `number`, or that it failed as a whole."""
        frame = self._frames[number]
        if self._ahead is frame:
            self._ahead = None
            self._see()
        if "error" in head:
            answers = [CountAnswer(place=place, error=head) for place in range(len(frame.asked))]
        for answer in answers:
            _settle(frame.asked[answer.place].answer, answer)

    def drop(self, error: Callable[[], Exception]) -> None:
        """The connection broke: nobody gets an answer any more."""
        waiting = [*self._queue, *(asked for frame in self._frames.values() for asked in frame.asked)]
        self._queue.clear()
        self._frames.clear()
        self._ahead = None
        for asked in waiting:
            if not asked.answer.done():
                asked.answer.set_exception(error())

    def _see(self) -> None:
        """Send what waits when this turn is over, unless a frame is under way."""
        if self._queue and self._ahead is None and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._go)

    def _go(self) -> None:
        self._is_due = False
        going: list[_Asked] = []
        recipients = 0
        while self._queue and len(going) < _REQUESTS_AT_MOST:
            more = len(self._queue[0].request.delivery_keys)
            if going and recipients + more > _RECIPIENTS_AT_MOST:
                break
            asked = self._queue.popleft()
            # Nothing is counted for whoever has given up before.
            if not asked.answer.done():
                going.append(asked)
                recipients += more
        if not going:
            return
        frame = _Frame(asked=going, waiting=len(going))
        try:
            frame.number = self._send(tuple(asked.request for asked in going))
        except Exception as err:
            for asked in going:
                asked.answer.set_exception(err)
            self._see()
            return
        for asked in going:
            asked.frame = frame
        self._frames[frame.number] = self._ahead = frame

    def _leave(self, asked: _Asked) -> None:
        frame = asked.frame
        if frame is None:
            return
        frame.waiting -= 1
        if frame.waiting == 0 and self._frames.get(frame.number) is frame:
            del self._frames[frame.number]
            if self._ahead is frame:
                self._ahead = None
                self._see()


def _settle(future: asyncio.Future[Counts], answer: CountAnswer) -> None:
    if future.done():
        return
    if answer.counts is not None:
        future.set_result(answer.counts)
        return
    try:
        raise_error("count", answer.error or {"error": "internal"})
    except FilterdError as err:
        future.set_exception(err)


# --- the ledger's end -------------------------------------------------------------------------------------------------


async def answers(
    counters: Counters, requests: tuple[CountRequest, ...], on_error: Callable[[Exception], None]
) -> AsyncIterator[list[CountAnswer]]:
    """Count, and say the answers in parts: first, maybe empty, what is warm; then the others as they are ready."""
    warm: list[CountAnswer] = []
    cold: set[asyncio.Task[CountAnswer]] = set()

    async def look_up(place: int, request: CountRequest) -> CountAnswer:
        try:
            return CountAnswer(place=place, counts=await counters.count(request))
        except Exception as err:
            return failed(place, err)

    def failed(place: int, err: Exception) -> CountAnswer:
        on_error(err)
        return CountAnswer(place=place, error=error_head(0, err))

    for place, request in enumerate(requests):
        try:
            counts = counters.count_warm(request)
        except Exception as err:
            warm.append(failed(place, err))
            continue
        if counts is not None:
            warm.append(CountAnswer(place=place, counts=counts))
        else:
            cold.add(asyncio.create_task(look_up(place, request)))
    yield warm
    while cold:
        ready, cold = await asyncio.wait(cold, return_when=asyncio.FIRST_COMPLETED)
        yield [task.result() for task in ready]
