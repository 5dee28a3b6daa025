"""The ledger of a node, opened: what the composition root holds and hands to the rest.

    engine = LedgerEngine.open(state_dir=..., node=..., keys=..., clock=..., apply=standing.apply)
    decision = await engine.submit(lambda txn: ...)

Everything here may be used from any thread or event loop, except `counters`, which belong to one loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from filterd.errors import LedgerUnavailable, ModelError, PortError
from filterd.ledger import entries, evidence, verify
from filterd.ledger.anchor import FILE_NAME, AnchorFile
from filterd.ledger.book import Book, Group
from filterd.ledger.chain import Row
from filterd.ledger.counters import Counters
from filterd.ledger.elsewhere import Elsewhere, places_of
from filterd.ledger.equipment import SPOOL_NAME, Equipment, equip
from filterd.ledger.files import private_directory
from filterd.ledger.histories import Apply
from filterd.ledger.outbox import LEASE_S
from filterd.ledger.retention import Retention
from filterd.ledger.store import StateLock, Store, open_store
from filterd.ledger.subscribers import Subscribers
from filterd.ledger.sweep import AGE_S, Swept
from filterd.ledger.txn import Txn
from filterd.ledger.vault import address_of, opened
from filterd.ledger.writer import Tally, Writer
from filterd.model.about import EVERYTHING, NOTHING, About
from filterd.model.entry import Entry
from filterd.model.standing import History
from filterd.ports import Clock, FollowUp, Keys, LedgerTxn, OutboxItem

if TYPE_CHECKING:
    from filterd.ledger.bulletin import Bulletin, Note

T = TypeVar("T")

_log = logging.getLogger(__name__)

_VERIFIED_AT_ONCE = 500
_LISTENING_WITHIN_S = 10.0

__all__ = ["SPOOL_NAME", "LedgerEngine"]


class LedgerEngine:
    """The open ledger. Made by `open`; there is one a state directory."""

    def __init__(
        self,
        lock: StateLock,
        store: Store,
        equipment: Equipment,
        anchor: AnchorFile,
        clock: Clock,
        url: str | None = None,
    ):
        self.writer_name = equipment.writer
        self.spool = equipment.spool
        self.counters = Counters(
            self._with_txn, node=equipment.writer.rpartition(".")[0], is_shared=store.is_shared
        )
        self._equipment = equipment
        self.retention = Retention(self._with_txn, equipment)
        self._anchor = anchor
        self._lock = lock
        self._histories: Subscribers[History] = Subscribers()
        self._entries: Subscribers[tuple[Entry, ...]] = Subscribers()
        self._directory: Subscribers[None] = Subscribers()
        self._is_closed = False
        self._book = Book(store, equipment, anchor, clock)
        self._book.start()
        self._writer = Writer(self._book, self._tell)
        self._weather: Subscribers[bool] = Subscribers()
        self._bulletin = self._listening(url) if url is not None else None

    @classmethod
    def open(
        cls,
        *,
        state_dir: Path,
        node: str,
        keys: Keys,
        clock: Clock,
        apply: Apply,
        url: str | None = None,
        anchors: Sequence[Path] = (),
        anchor_command: Sequence[str] = (),
        warm_accounts: int = 50_000,
        follow_up: FollowUp | None = None,
    ) -> LedgerEngine:
        """Open or create the ledger in `state_dir` and start its thread.

        Args:
            node: this machine's name; rows are written as `node.ledger`.
            apply: folds one record into a history (agreement.standing).
            url: of the PostgreSQL database that several nodes share; None: SQLite in `state_dir`.
            anchors, anchor_command: where checkpoints go besides the file in `state_dir`; see elsewhere.
            warm_accounts: how many histories and subject keys stay in memory.
            follow_up: says what work each row promises; it goes into the outbox in the row's own transaction.

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
            store = open_store(state_dir, keys.chain, url=url, writer=f"{node}.ledger")
            try:
                file = state_dir / FILE_NAME
                anchor = AnchorFile(file, keys, Elsewhere(file, places_of(state_dir, anchors, anchor_command)))
                anchor.mend()
                more = {"follow_up": follow_up} if follow_up is not None else {}
                equipment = equip(state_dir, node, keys, apply, warm_accounts, url, **more)
                return cls(lock, store, equipment, anchor, clock, url)
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

    async def submit(self, function: Callable[[LedgerTxn], T], about: About = EVERYTHING) -> T:
        """Run a plain function in a transaction; its result comes when its effects are on disk.

        Args:
            about: whose matters it reads to decide, or changes; see model.about.

        Raises what the function raises, with nothing of it stored, or LedgerUnavailable. Given up before its group
        began, it is not run; given up later, it is done all the same.
        """
        return await self._with_txn(function, about)

    def run(self, function: Callable[[LedgerTxn], T], about: About = EVERYTHING) -> T:
        """The same for a thread without an event loop: blocks. Not to be called from inside such a function."""
        return cast(T, self._writer.put(function, about).result())

    async def _with_txn(self, function: Callable[[Txn], T], about: About = NOTHING) -> T:
        if not self.is_store_there and not self._is_closed:
            # At once: whoever asks has a deadline, and a database that hangs has none.
            raise LedgerUnavailable("the ledger's database is away")
        return cast(T, await asyncio.wrap_future(self._writer.put(function, about)))

    # --- histories and entries ------------------------------------------------------------------------------------

    def warm_history(self, account_id: str) -> History | None:
        """Say the committed history if it is in memory."""
        return self._equipment.histories.layers.committed(account_id)

    async def history(self, account_id: str) -> History:
        """Say the committed history, never older than one told to a subscriber before.

        Raises LedgerUnavailable also for a warm one while the store is away: another node may have added to it.
        """
        if not self.is_store_there:
            raise LedgerUnavailable("the ledger's database is away")
        while (history := self.warm_history(account_id)) is None:
            await self._with_txn(lambda txn: txn.history(account_id))
        return history

    # --- other nodes ----------------------------------------------------------------------------------------------

    @property
    def is_store_there(self) -> bool:
        """Say whether other nodes are heard; always so where there are none."""
        return self._bulletin is None or self._bulletin.is_there

    @property
    def has_neighbours(self) -> bool:
        """Say whether other nodes may write to this ledger."""
        return self._bulletin is not None

    @property
    def has_timers(self) -> bool:
        """Say whether this node is the one that acts by the clock for all of them."""
        return self._bulletin is None or self._bulletin.has_timers

    def on_weather(self, callback: Callable[[bool], Awaitable[None] | None]) -> Callable[[], None]:
        """Be told when the store goes away (False) and when it is back (True), after which every copy is old."""
        return self._weather.add(callback)

    def _listening(self, url: str) -> Bulletin:

        def take(note: Note) -> None:
            with contextlib.suppress(LedgerUnavailable):
                self._writer.put(
                    lambda txn: txn.reread(note.accounts, directory=note.has_directory_changed), NOTHING
                ).add_done_callback(taken)

        def taken(reread: Future[None]) -> None:
            # A note is heard once. One that could not be followed leaves nobody knowing what is old.
            if reread.exception() is not None:
                bulletin.doubt()

        # Only where it is needed: the driver takes a while to load.
        from filterd.ledger.bulletin import Bulletin

        bulletin = Bulletin(
            url,
            self.writer_name,
            on_note=take,
            on_away=lambda: self._weather.tell(False),
            on_back=self._equipment.cool,
            on_there=lambda: self._weather.tell(True),
        )
        if not bulletin.start(_LISTENING_WITHIN_S):
            bulletin.close()
            self._writer.stop()
            raise ModelError("the ledger's database does not let us listen to the other nodes")
        return bulletin

    # --- histories and entries, followed --------------------------------------------------------------------------

    def on_history(self, callback: Callable[[History], Awaitable[None] | None]) -> Callable[[], None]:
        """Be told every history that a commit changed, before its functions have their results; says how to leave."""
        return self._histories.add(callback)

    def follow(self, has_copy: Callable[[str], bool]) -> Callable[[], None]:
        """Be told by `on_history` also of what other nodes write, about every account that `has_copy`, on the writer
        thread, says yes to; says how to leave."""
        histories = self._equipment.histories
        histories.followers = (*histories.followers, has_copy)

        def leave() -> None:
            histories.followers = tuple(other for other in histories.followers if other is not has_copy)

        return leave

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

    async def lease(
        self,
        now: datetime,
        limit: int,
        lease_s: float = LEASE_S,
        *,
        only: Collection[str] | None = None,
        without: Collection[str] = (),
    ) -> tuple[OutboxItem, ...]:
        """Take due items to work on; after `lease_s` without `done` or `retry` they are given out again.

        Nothing on a node that does not keep the timers.

        Args:
            only, without: of these topics alone (None: of all), and of none of those.
        """
        if not self.has_timers:
            return ()
        return await self._with_txn(lambda txn: txn.outbox.lease(now, limit, lease_s, only=only, without=without))

    async def done(
        self, item_id: str, function: Callable[[LedgerTxn], object], about: About = EVERYTHING
    ) -> bool:
        """Take an item out and, in the same transaction, append its outcome; False when it was gone already."""

        def finish(txn: Txn) -> bool:
            if not txn.outbox.remove(item_id):
                return False
            function(txn)
            return True

        return await self._with_txn(finish, about)

    async def retry(self, item_id: str, due_at: datetime, error: str) -> bool:
        """Give an item back to be tried again at `due_at`; False when it was gone already."""
        return await self._with_txn(lambda txn: txn.outbox.put_back(item_id, due_at, error))

    async def pending(self) -> tuple[tuple[OutboxItem, datetime, str | None], ...]:
        """Say every item not yet done, with its due time and its last error."""
        return await self._with_txn(lambda txn: txn.outbox.pending())

    # --- evidence and subjects ------------------------------------------------------------------------------------

    async def read_evidence(self, digest: str, account_id: str) -> bytes | None:
        """Open the most that is kept of a mail; None when nothing is, or the subject is erased.

        Raises PortError when it was altered.
        """
        # Only to refuse what is no digest.
        address_of(self._equipment.keys.pseudonym, digest, account_id)

        def look(txn: Txn) -> tuple[bytes, str, str, bytes, bytes] | None:
            txn.equipment.freshen(txn.connection, (account_id,))
            key = txn.equipment.subjects.find(txn.connection, account_id)
            address = evidence.best_address(txn.connection, account_id, digest)
            if key is None or address is None:
                return None
            sealed = txn.equipment.vault.sealed(txn.connection, address)
            return None if sealed is None else (sealed, address, account_id, key, txn.equipment.keys.pseudonym)

        found = await self._with_txn(look)
        return None if found is None else await asyncio.to_thread(opened, *found)

    async def erase_subject(self, account_id: str) -> bool:
        """Destroy a subject's key; see Txn.erase_subject."""
        return await self._with_txn(lambda txn: txn.erase_subject(account_id), EVERYTHING)

    async def sweep(self, age_s: float = AGE_S) -> Swept:
        """Erase files nobody needs, after a look at every one of the vault; see sweep."""
        return await self.retention.sweep(age_s)

    async def sweep_spool(self, age_s: float = AGE_S) -> Swept:
        """Erase spooled mail nobody needs; for every minute."""
        return await self.retention.sweep_spool(age_s)

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
        return verify.with_fault(walk.result(), wrong)

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
        if self._bulletin is not None:
            self._bulletin.close()
        self._writer.stop()
        self._book.close()
        self._lock.release()

    def _tell(self, group: Group) -> None:
        if group.entries:
            self._entries.tell(tuple(group.entries))
        for history in group.histories:
            self._histories.tell(history)
        if group.is_directory_old:
            self._directory.tell(None)
