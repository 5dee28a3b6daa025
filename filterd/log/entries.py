"""Every ledger row of this node in its event stream: none left out, in order, whatever failed between.  HOUSE rule 15.

A row is durable before it is an event. One that the stream could not take (a full disk) holds back those after it, for
a reader who finds row 7 believes that row 6 was before it; `complete` writes all of them from the ledger, once there is
room. The same mends what a crash cut short, so it is called at the start and every few seconds after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from filterd.errors import PortError
from filterd.log.events import Log
from filterd.model.entry import Entry

RowsAfter = Callable[[int], Awaitable[Sequence[Entry]]]


class EntryFeed:
    """Puts rows into a stream. Belongs to one event loop, and is the only one that calls `Log.entry`.

    Args:
        writer: of the rows; those of others are passed over, for every node's stream holds its own.
        rows_after: says the rows of this writer beyond a seq, in order; none when there are no more.
    """

    def __init__(self, log: Log, writer: str, rows_after: RowsAfter):
        self._log, self._writer, self._rows_after = log, writer, rows_after
        self._seq = log.stream.last_ledger_seq(writer)
        # The last row we heard of, written or not.
        self._told = self._seq
        # Until the ledger was asked, nobody knows what a crash kept back.
        self._is_behind = True
        self._lock = asyncio.Lock()

    @property
    def is_behind(self) -> bool:
        """Say whether rows are missing in the stream."""
        return self._is_behind

    def tell(self, entries: Iterable[Entry]) -> None:
        """Take rows just committed. Raises PortError when the stream cannot take one: it waits for `complete`."""
        for entry in entries:
            if entry.writer != self._writer or entry.seq <= self._seq:
                continue
            self._told = max(self._told, entry.seq)
            self._is_behind |= entry.seq != self._seq + 1
            if not self._is_behind:
                self._write(entry)

    async def complete(self) -> int:
        """Write what is missing, and say how many rows that were. Raises PortError: then they wait for the next time.

        Also raises what `rows_after` raises.
        """
        written = 0
        async with self._lock:
            while self._is_behind:
                rows = await self._rows_after(self._seq)
                for row in rows:
                    self._write(row)
                written += len(rows)
                # We may have been told of a row after the ledger said that there are none.
                self._is_behind = bool(rows) or self._told > self._seq
        return written

    def _write(self, entry: Entry) -> None:
        try:
            self._log.entry(entry)
        except PortError:
            self._is_behind = True
            raise
        self._seq = entry.seq
