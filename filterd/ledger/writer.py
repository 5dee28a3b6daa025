"""The writer thread: functions come in from anywhere and are carried out in groups, in order of arrival.

Group commit: a sync costs milliseconds whatever it covers, so all functions waiting share one. Reads take the same way:
a second connection would be one more that a SQLite with the WAL-reset bug must not have, would wait for the exclusive
lock, and could see a sanction later than the function that imposed it. A read waits for at most one commit.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from filterd.errors import LedgerUnavailable, UsageError
from filterd.ledger.book import Book, Group, Work
from filterd.ledger.trace import where
from filterd.ledger.txn import Txn
from filterd.markers import reach
from filterd.metrics import observe_commit
from filterd.model.about import EVERYTHING, About

_log = logging.getLogger(__name__)

# The first of a group waits for the last: at about a millisecond each, no longer than a few commits.
_GROUP_FUNCTIONS = 128
# How often the thread looks at the clock while nobody asks for anything.
_KEEP_S = 5.0
# Beyond this the disk is hopelessly behind: better refuse (451) than answer after every deadline has passed.
_WAITING_AT_MOST = 20_000


@dataclass(slots=True, kw_only=True)
class Tally:
    """What the thread has done so far; read by whoever exports metrics."""

    commits: int = 0
    functions: int = 0
    refused_functions: int = 0
    failed_groups: int = 0
    entries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """Work, who waits for it, and since when (monotonic)."""

    work: Work
    future: Future[Any]
    asked_s: float


# In the place of a job when none is waiting.
_LATER = _Job(work=Work(function=lambda txn: None), future=Future(), asked_s=0.0)


class Writer:
    """The thread. `tell` is called on it with every group after its commit and before its results are given out."""

    def __init__(self, book: Book, tell: Callable[[Group], None]):
        self.tally = Tally()
        self._book = book
        self._tell = tell
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._work, name="ledger-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return self._jobs.qsize()

    def put(self, function: Callable[[Txn], Any], about: About = EVERYTHING) -> Future[Any]:
        """Queue a function. Raises LedgerUnavailable when the thread was stopped or is too far behind.

        The future yields when the function's effects are on disk. Cancelling it before its group begins takes it back.
        Raises UsageError inside such a function, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            raise UsageError("a ledger function must not submit another one and wait for it")
        future: Future[Any] = Future()
        with self._lock:
            if self._is_stopped:
                raise LedgerUnavailable("the ledger is closed")
            if self._jobs.qsize() >= _WAITING_AT_MOST:
                raise LedgerUnavailable(f"more than {_WAITING_AT_MOST} functions wait for the ledger")
            work = Work(function=function, about=about)
            self._jobs.put(_Job(work=work, future=future, asked_s=time.monotonic()))
        return future

    def stop(self) -> None:
        """Carry out what is queued, then end. Doing it twice is harmless."""
        with self._lock:
            if not self._is_stopped:
                self._is_stopped = True
                self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        job = self._next()
        while job is not None:
            jobs = [job]
            try:
                job = self._jobs.get_nowait()
                while job is not None and len(jobs) < _GROUP_FUNCTIONS and self._may_join(jobs[-1], job):
                    jobs.append(job)
                    job = self._jobs.get_nowait()
            except queue.Empty:
                job = _LATER
            if wanted := [job for job in jobs if job.future.set_running_or_notify_cancel()]:
                self._carry_out(wanted)
                # Also where jobs never end.
                self._book.keep()
            if job is _LATER:
                job = self._next()

    def _next(self) -> _Job | None:
        """Wait for a job, and meanwhile keep what must be kept by the clock."""
        while True:
            self._book.keep()
            try:
                return self._jobs.get(timeout=_KEEP_S)
            except queue.Empty:
                continue

    def _may_join(self, last: _Job, more: _Job) -> bool:
        """Say whether two functions share a commit. One that has the whole ledger to itself keeps other nodes waiting
        no longer than it must."""
        is_alone = last.work.about.is_everything or more.work.about.is_everything
        return not (self._book.is_shared and is_alone)

    def _carry_out(self, jobs: list[_Job]) -> None:
        try:
            group = self._book.carry_out([job.work for job in jobs])
        except BaseException as err:
            self.tally.failed_groups += 1
            _log.error("ledger group of %d failed: %s", len(jobs), err)
            for job in jobs:
                failure = LedgerUnavailable(str(err))
                failure.__cause__ = err
                self._count(job, is_committed=False)
                job.future.set_exception(failure)
            return
        self.tally.commits += 1
        self.tally.functions += len(jobs)
        self.tally.entries += len(group.entries)
        try:
            self._tell(group)
        except Exception as err:
            _log.error("telling of a ledger commit failed: %s", where(err))
        if group.entries:
            reach("ledger.told")
        for job, outcome in zip(jobs, group.outcomes, strict=True):
            if outcome.is_counted:
                self._count(job, is_committed=outcome.error is None)
            if outcome.error is None:
                job.future.set_result(outcome.value)
            else:
                self.tally.refused_functions += 1
                job.future.set_exception(outcome.error)

    def _count(self, job: _Job, *, is_committed: bool) -> None:
        observe_commit(time.monotonic() - job.asked_s, is_committed=is_committed)
