"""Groups of functions in one transaction.  HOUSE §6 rules 2 and 5.

Each function runs inside a savepoint: one that raises is undone alone. Evidence the group staged is synced, then one
commit makes the whole group durable. When anything of the store fails (disk full, I/O error, even while committing) the
whole group is undone, the connection and every warm copy are dropped, and the next group starts from what is on disk:
an fsync that failed is never tried again and called a success (FAULTS row 18). A group that another node was in the way
of is run again from its beginning: functions do nothing outside the store.
"""

from __future__ import annotations

import inspect
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from filterd.errors import FilterdError, LedgerUnavailable, UsageError
from filterd.ledger import entries, loss
from filterd.ledger.anchor import AnchorFile
from filterd.ledger.chain import Head
from filterd.ledger.equipment import Equipment
from filterd.ledger.files import sync
from filterd.ledger.store import Store, reason
from filterd.ledger.trace import where
from filterd.ledger.txn import Txn
from filterd.ledger.vault import Staged, settle
from filterd.markers import reach
from filterd.model.about import EVERYTHING, About
from filterd.model.entry import SITE, Entry
from filterd.model.standing import History
from filterd.ports import Clock

_log = logging.getLogger(__name__)

# Files of evidence synced at once; a journalling file system commits them together.
_SYNCS_AT_ONCE = 8
# Rows told again in one go after a commit whose outcome was unknown; a group is smaller.
_RETOLD_AT_MOST = 100_000
# Each try waits for a lock at most five seconds; locks are taken in one order, so that a second one is rare already.
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A function, and whose matters it is about."""

    function: Callable[[Txn], Any]
    about: About = EVERYTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one function: its value, or what it raised. `is_counted`: among the transactions in metrics."""

    value: Any = None
    error: BaseException | None = None
    is_counted: bool = True


@dataclass(slots=True, kw_only=True)
class Group:
    """A group that is on disk, or on its way there. `has_directory_changed`: by it; `is_directory_old`: by anybody."""

    outcomes: list[Outcome] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)
    has_directory_changed: bool = False
    is_directory_old: bool = False
    staged: list[Staged] = field(default_factory=list)
    after_commit: list[Callable[[], None]] = field(default_factory=list)


class Book:
    """The store with all that is warm about it. Only one thread at a time uses it."""

    def __init__(self, store: Store, equipment: Equipment, anchor: AnchorFile, clock: Clock):
        self.equipment = equipment
        self._store = store
        self._anchor = anchor
        self._clock = clock
        equipment.heads.is_shared = store.is_shared
        self._head = Head()
        self._told_seq = 0
        self._is_in_doubt = True
        self._is_anchor_due = False
        self._is_committing = False
        self._syncs = ThreadPoolExecutor(_SYNCS_AT_ONCE, thread_name_prefix="ledger-sync")

    @property
    def is_shared(self) -> bool:
        return self._store.is_shared

    @property
    def head(self) -> Head:
        return self._head

    def start(self) -> None:
        """Find where the chain ends and anchor it there. Raises LedgerLost when anchors have seen more."""
        self._told_seq = -1
        self.carry_out(())
        last = self._anchor.seen(self.equipment.writer)
        loss.check(self._store.connection, self._store.place, self.equipment.writer, self._head.seq, last)
        self._anchor_head()

    def carry_out(self, works: Sequence[Work]) -> Group:
        """Run a group and make it durable. Raises LedgerUnavailable when nothing of it is."""
        tries, connections = 0, 1
        while True:
            tries += 1
            group = Group()
            self._is_committing = False
            try:
                self._carry_out(works, group)
            except BaseException as err:
                again = tries < _TRIES and self._store.may_try_again(err)
                # The connection broke, as after a restart of the database, before anything could have been stored.
                anew = not again and connections == 1 and not self._is_committing and self._store.is_lost(err)
                self._abandon(group, keeps_connection=again)
                if again or anew:
                    connections += anew
                    _log.warning("%s: once more: %s", self._store.place, _why(err))
                    continue
                if isinstance(err, LedgerUnavailable):
                    raise
                raise LedgerUnavailable(f"{self._store.place}: nothing was stored: {_why(err)}") from err
            self._finish(group)
            return group

    def _carry_out(self, works: Sequence[Work], group: Group) -> None:
        connection = self._store.connection
        transaction = connection.begin()
        wanted = [work.about for work in works]
        self.equipment.heads.begin()
        self._store.lock(wanted)
        if self._is_in_doubt:
            self._resume(group)
        self.equipment.freshen(connection, {SITE, *(name for item in wanted for name in item.subjects)})
        for work in works:
            group.outcomes.append(self._one(work, group))
        self._settle(group.staged)
        if group.entries or group.has_directory_changed:
            self._store.announce(group.entries, group.has_directory_changed)
        if group.entries:
            reach("ledger.committing")
        self._is_committing = True
        transaction.commit()

    def keep(self) -> None:
        """Once a minute: anchor what was added since, and put the anchors on disk."""
        now_s = time.monotonic()
        if self._is_in_doubt or not self._anchor.is_due(now_s):
            return
        try:
            self._anchor.keep(self.equipment.writer, self._head, self._clock.now(), now_s)
        # The disk, or a clock somebody broke: neither undoes what is committed.
        except Exception as err:
            _log.error("ledger anchor not kept: %s", where(err))

    def close(self) -> None:
        """Anchor the end and let go of the store."""
        if not self._is_in_doubt:
            self._anchor_head()
        try:
            self._anchor.close()
        except OSError as err:
            _log.error("ledger anchor not synced: %s", err.strerror)
        self._syncs.shutdown()
        self._store.close()

    def _one(self, work: Work, group: Group) -> Outcome:
        try:
            now = self._clock.now()
        except Exception as err:
            return Outcome(error=err)
        connection = self._store.connection
        txn = Txn(self.equipment, connection, now, self._head, work.about)
        # Plain statements: SQLAlchemy's savepoints cost more than the rest of a small function.
        connection.exec_driver_sql("SAVEPOINT one")
        try:
            try:
                value = work.function(txn)
            except StopIteration as err:
                # A future cannot carry one: its waiter would wait for ever.
                raise RuntimeError("StopIteration in a ledger function") from err
            if inspect.iscoroutine(value):
                value.close()
                raise UsageError("a ledger function must be plain: nothing is awaited inside a transaction")
            txn.appending.end()
        except Exception as err:
            self.equipment.undo()
            for staged in txn.staged:
                staged.drop()
            if _is_of_the_store(err) or not self._store.is_in_transaction():
                raise
            connection.exec_driver_sql("ROLLBACK TO one")
            connection.exec_driver_sql("RELEASE one")
            return Outcome(error=err, is_counted=not txn.is_uncounted)
        finally:
            txn.end()
        group.staged += txn.staged
        if not self._store.is_in_transaction():
            raise LedgerUnavailable(f"{self._store.place}: the store ended the transaction by itself")
        connection.exec_driver_sql("RELEASE one")
        self.equipment.keep()
        self._head = txn.appending.head
        group.entries += txn.appending.entries
        group.after_commit += txn.after_commit
        group.has_directory_changed |= txn.has_directory_changed
        group.is_directory_old |= txn.is_directory_old or txn.has_directory_changed
        return Outcome(value=value, is_counted=not txn.is_uncounted)

    def _settle(self, staged: Sequence[Staged]) -> None:
        if len(staged) == 1:
            sync(settle(staged[0]))
        elif staged:
            for _ in self._syncs.map(sync, set(self._syncs.map(settle, staged))):
                pass

    def _resume(self, group: Group) -> None:
        """Start from what is on disk. A commit that failed may have come through: its rows are told with this group."""
        connection = self._store.connection
        self._head = entries.head(connection, self.equipment.writer)
        if self._told_seq < 0:
            self._told_seq = self._head.seq
        # A replica that lacked the last commits took over: rows of the same numbers would say something else.
        if self._told_seq > self._head.seq:
            said = f"{self.equipment.writer} ends at row {self._head.seq}, and row {self._told_seq} was written"
            raise loss.LedgerLost(f"{self._store.place}: {said}: an old state took its place")
        untold = entries.after(connection, self.equipment.writer, self._told_seq, _RETOLD_AT_MOST)
        group.entries += untold
        for subject_id in {entry.subject_id for entry in untold}:
            histories = self.equipment.histories
            histories.layers.set(subject_id, histories.fold(connection, subject_id))
            histories.layers.keep()
        group.is_directory_old = True

    def _abandon(self, group: Group, *, keeps_connection: bool) -> None:
        # First of all: whatever fails below, nobody goes on with what is not stored.
        self.equipment.clear()
        self._is_in_doubt = True
        for staged in group.staged:
            staged.drop()
        try:
            if keeps_connection:
                self._store.connection.rollback()
                return
        except SQLAlchemyError as err:
            _log.warning("%s: cannot be rolled back: %s", self._store.place, reason(err))
        self._store.give_up()

    def _finish(self, group: Group) -> None:
        """The group is on disk: nothing after this may make it look as if it were not."""
        if group.entries:
            reach("ledger.committed")
        self._is_in_doubt = False
        group.histories = list(self.equipment.histories.layers.commit().values())
        self.equipment.subjects.layers.commit()
        self.equipment.heads.layers.commit()
        if group.entries:
            self._told_seq = group.entries[-1].seq
        if self._is_anchor_due or any(entry.kind.startswith("sanction.") for entry in group.entries):
            self._anchor_head()
        for act in group.after_commit:
            try:
                act()
            except Exception as err:
                _log.warning("after a ledger commit: %s", where(err))

    def _anchor_head(self) -> None:
        try:
            self._anchor.append(self.equipment.writer, self._head, self._clock.now())
            self._is_anchor_due = False
            reach("ledger.anchored")
        # The disk, or a clock somebody broke: neither undoes what is committed.
        except Exception as err:
            self._is_anchor_due = True
            _log.error("ledger anchor not written: %s", where(err))


def _is_of_the_store(err: BaseException) -> bool:
    """Say whether the store failed, rather than the function: full, unreadable, malformed."""
    return isinstance(err, OperationalError) or type(err) is DatabaseError


def _why(err: BaseException) -> str:
    match err:
        case SQLAlchemyError() | sqlite3.Error():
            return reason(err)
        case FilterdError():
            return str(err)
        case OSError():
            return err.strerror or type(err).__name__
        case _:
            return type(err).__name__
