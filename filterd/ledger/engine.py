"""The ledger of a node, opened: what the composition root holds and hands to the rest.

    engine = LedgerEngine.open(state_dir=..., node=..., keys=..., clock=..., apply=standing.apply)
    decision = await engine.submit(lambda txn: ...)

Everything here may be used from any thread or event loop, except `counters`, which belong to one loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar, cast

from filterd.errors import ModelError, PortError
from filterd.ledger import entries, evidence, verify
from filterd.ledger.anchor import FILE_NAME, AnchorFile
from filterd.ledger.book import Book, Group
from filterd.ledger.chain import Row
from filterd.ledger.counters import Counters
from filterd.ledger.equipment import SPOOL_NAME, Equipment, equip
from filterd.ledger.files import private_directory
from filterd.ledger.histories import Apply
from filterd.ledger.outbox import LEASE_S
from filterd.ledger.store import StateLock, Store
from filterd.ledger.subscribers import Subscribers
from filterd.ledger.sweep import AGE_S, Swept, sweep
from filterd.ledger.txn import Txn
from filterd.ledger.writer import Tally, Writer
from filterd.model.entry import Entry
from filterd.model.standing import History
from filterd.ports import Clock, Keys, LedgerTxn, OutboxItem

T = TypeVar("T")

_log = logging.getLogger(__name__)

_VERIFIED_AT_ONCE = 500

__all__ = ["SPOOL_NAME", "LedgerEngine"]


class LedgerEngine:
    """The open ledger. Made by `open`; there is one a state directory."""

    def __init__(self, lock: StateLock, store: Store, equipment: Equipment, anchor: AnchorFile, clock: Clock):
        self.writer_name = equipment.writer
        self.spool = equipment.spool
        self.counters = Counters(self._with_txn)
        self._equipment = equipment
        self._anchor = anchor
        self._lock = lock
        self._histories: Subscribers[History] = Subscribers()
        self._entries: Subscribers[tuple[Entry, ...]] = Subscribers()
        self._directory: Subscribers[None] = Subscribers()
        self._is_closed = False
        self._book = Book(store, equipment, anchor, clock)
        self._book.start()
        self._writer = Writer(self._book, self._tell)

    @classmethod
    def open(
        cls, *, state_dir: Path, node: str, keys: Keys, clock: Clock, apply: Apply, warm_accounts: int = 50_000
    ) -> LedgerEngine:
        """Open or create the ledger in `state_dir` and start its thread.

        Args:
            node: this machine's name; rows are written as `node.ledger`.
            apply: folds one record into a history (agreement.standing).
            warm_accounts: how many histories and subject keys stay in memory.

        Raises:
            UsageError: another process has this ledger open.
            ModelError: the store is of another version, another master key, no store, or cannot be reached; names file
                and reason.
        """
        try:
            private_directory(state_dir)
            lock = StateLock(state_dir)
        except OSError as err:
            raise ModelError(f"{err.filename or state_dir}: {err.strerror}") from err
        try:
            store = Store.open(state_dir, keys.chain)
            try:
                anchor = AnchorFile(state_dir / FILE_NAME, keys.chain)
                anchor.mend()
                return cls(lock, store, equip(state_dir, node, keys, apply, warm_accounts), anchor, clock)
            except OSError as err:
                store.close()
                raise ModelError(f"{err.filename or state_dir}: {err.strerror}") from err
            except BaseException:
                store.close()
                raise
        except BaseException:
            lock.release()
            raise

    # --- work -----------------------------------------------------------------------------------------------------

    async def submit(self, function: Callable[[LedgerTxn], T]) -> T:
        """Run a plain function in a transaction; its result comes when its effects are on disk.

        Raises what the function raises, with nothing of it stored, or LedgerUnavailable. Given up before its group
        began, it is not run; given up later, it is done all the same.
        """
        return await self._with_txn(function)

    def run(self, function: Callable[[LedgerTxn], T]) -> T:
        """The same for a thread without an event loop: blocks. Not to be called from inside such a function."""
        return cast(T, self._writer.put(function).result())

    async def _with_txn(self, function: Callable[[Txn], T]) -> T:
        return cast(T, await asyncio.wrap_future(self._writer.put(function)))

    # --- histories and entries ------------------------------------------------------------------------------------

    def warm_history(self, account_id: str) -> History | None:
        """Say the committed history if it is in memory."""
        return self._equipment.histories.layers.committed(account_id)

    async def history(self, account_id: str) -> History:
        """Say the committed history, never older than one told to a subscriber before."""
        while (history := self.warm_history(account_id)) is None:
            await self._with_txn(lambda txn: txn.history(account_id))
        return history

    def on_history(self, callback: Callable[[History], Awaitable[None] | None]) -> Callable[[], None]:
        """Be told every history that a commit changed, before its functions have their results; says how to leave."""
        return self._histories.add(callback)

    def on_entries(self, callback: Callable[[tuple[Entry, ...]], Awaitable[None] | None]) -> Callable[[], None]:
        """Be told the new rows of every commit, in seq order without gap; says how to leave."""
        return self._entries.add(callback)

    def on_directory(self, callback: Callable[[None], Awaitable[None] | None]) -> Callable[[], None]:
        """Be told when something known of an account or tenant was altered; says how to leave."""
        return self._directory.add(callback)

    async def entries_after(self, seq: int, limit: int = 1000) -> tuple[Entry, ...]:
        """Say at most `limit` rows of this writer beyond `seq`, to complete a stream that a crash cut short."""
        return await self._with_txn(lambda txn: entries.after(txn.connection, self.writer_name, seq, limit))

    async def opened_entries(self, account_id: str) -> tuple[entries.OpenedEntry, ...]:
        """Say all rows of an account with personal fields in clear."""
        return await self._with_txn(lambda txn: txn.opened_entries(account_id))

    async def recent_entries(self, limit: int = 100) -> tuple[entries.OpenedEntry, ...]:
        """Say the latest rows, newest first, with personal fields in clear."""
        return await self._with_txn(lambda txn: txn.recent_entries(limit))

    # --- the outbox -----------------------------------------------------------------------------------------------

    async def lease(self, now: datetime, limit: int, lease_s: float = LEASE_S) -> tuple[OutboxItem, ...]:
        """Take due items to work on; after `lease_s` without `done` or `retry` they are given out again."""
        return await self._with_txn(lambda txn: txn.outbox.lease(now, limit, lease_s))

    async def done(self, item_id: str, function: Callable[[LedgerTxn], object]) -> bool:
        """Take an item out and, in the same transaction, append its outcome; False when it was gone already."""

        def finish(txn: Txn) -> bool:
            if not txn.outbox.remove(item_id):
                return False
            function(txn)
            return True

        return await self._with_txn(finish)

    async def retry(self, item_id: str, due_at: datetime, error: str) -> bool:
        """Give an item back to be tried again at `due_at`; False when it was gone already."""
        return await self._with_txn(lambda txn: txn.outbox.put_back(item_id, due_at, error))

    async def pending(self) -> tuple[tuple[OutboxItem, datetime, str | None], ...]:
        """Say every item not yet done, with its due time and its last error."""
        return await self._with_txn(lambda txn: txn.outbox.pending())

    # --- evidence and subjects ------------------------------------------------------------------------------------

    async def read_evidence(self, digest: str, account_id: str) -> bytes | None:
        """Open evidence; None when it is gone or the subject is erased. Raises PortError when it was altered."""
        key = await self._with_txn(lambda txn: txn.equipment.subjects.find(txn.connection, account_id))
        if key is None:
            return None
        return await asyncio.to_thread(self._equipment.vault.read, digest, account_id, key)

    async def erase_subject(self, account_id: str) -> bool:
        """Destroy a subject's key; see Txn.erase_subject."""
        return await self._with_txn(lambda txn: txn.erase_subject(account_id))

    async def expire_evidence(self, at: datetime) -> int:
        """Forget evidence kept no longer than before `at`; the next sweep erases it. Never called by itself."""
        return await self._with_txn(lambda txn: evidence.expire(txn.connection, at))

    async def sweep(self, age_s: float = AGE_S) -> Swept:
        """Erase files nobody needs; see sweep."""
        return await sweep(self._with_txn, self._equipment.spool, self._equipment.vault, age_s=age_s)

    # --- upkeep ---------------------------------------------------------------------------------------------------

    @property
    def tally(self) -> Tally:
        return self._writer.tally

    @property
    def waiting(self) -> int:
        """How many functions are queued."""
        return self._writer.waiting

    async def verify(self) -> verify.Verification:
        """Walk the chain while the ledger works, a page at a time."""
        anchors, wrong = await asyncio.to_thread(self._anchor.read)
        walk = verify.Walk(self._equipment.keys.chain, anchors)
        while rows := await self.rows_after(walk.writer, walk.seq):
            if not all(walk.step(row) for row in rows):
                break
        return verify.with_anchor_fault(walk.result(), wrong)

    async def rows_after(self, writer: str, seq: int, limit: int = _VERIFIED_AT_ONCE) -> list[Row]:
        """Say the next rows as they stand, for a dump; begin with "" and 0."""
        return await self._with_txn(lambda txn: verify.page(txn.connection, writer, seq, limit))

    async def close(self) -> None:
        """Save the counters, carry out what is queued, anchor the end, let go. Doing it twice is harmless."""
        try:
            if not self._is_closed:
                await self.counters.flush()
        except PortError as err:
            _log.warning("counters not saved: %s", err)
        finally:
            await asyncio.to_thread(self.stop)

    def stop(self) -> None:
        """Close without the counters, from a thread without an event loop."""
        if self._is_closed:
            return
        self._is_closed = True
        self._writer.stop()
        self._book.close()
        self._lock.release()

    def _tell(self, group: Group) -> None:
        if group.entries:
            self._entries.tell(tuple(group.entries))
        for history in group.histories:
            self._histories.tell(history)
        if group.has_directory_changed:
            self._directory.tell(None)
