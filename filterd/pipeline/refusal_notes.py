"""Which mail did an account's standing refuse, and to whom was it to go?  CLAUSES §7 (annulled), STANDING 5.7-3.

Whoever was restricted by our error is told which of their mails were refused. So each such refusal leaves a row, with
the address and the queue id sealed under the account's own key: nobody else reads it, and it goes when the account is
erased. Of a day only the first ones are kept, for whoever goes on sending against a closed door is not to fill the
ledger.

Two halves. `RefusalNotes` is the worker's: it gathers, and hands over together; what a crash loses is a line of that
list. `table` is the ledger's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from filterd.errors import FilterdError, LedgerUnavailable
from filterd.model import records as r
from filterd.model.reply import Reply
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.ports import Ledger, LedgerTxn, OpenedRow

VERB = "refusal.note"
# Of one account, on one day.
KEPT_A_DAY = 200
# In one letter.
LISTED = 100
_FLUSH_S = 5.0
_AT_ONCE = 200
_ACCOUNTS = 20_000
# Reasons of a decision by what the account may not do.
BY_STANDING = ("standing.", "feature.")
_RECIPIENT, _QUEUE_ID = "recipient", "queue_id"
_REFUSED = 500

# Account, transaction or session, recipient, queue id ("" unknown), when.
Row = tuple[str, str, str, str, str]


class RefusalNotes:
    """One a process. `on_error` hears what kept rows from being handed over; it is tried again."""

    def __init__(self, ledger: Ledger, on_error: Callable[[BaseException], None]):
        self._ledger, self._on_error = ledger, on_error
        self._waiting: list[Row] = []
        self._noted: dict[tuple[str, str], int] = {}
        self._flushing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def note(
        self, account_id: str | None, transaction_id: str, recipients: Iterable[str], reply: Reply, at: datetime
    ) -> None:
        """Remember who could not be written to. What waits with a 4xx is tried again and is no refusal."""
        if account_id is None or reply.code < _REFUSED:
            return
        day = (account_id, at.date().isoformat())
        for recipient in recipients:
            if day not in self._noted and len(self._noted) >= _ACCOUNTS:
                self._noted.clear()
            if self._noted.get(day, 0) >= KEPT_A_DAY:
                return
            self._noted[day] = self._noted.get(day, 0) + 1
            self._waiting.append((account_id, transaction_id, recipient, "", at.isoformat()))
        if self._waiting and self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._later())

    async def _later(self) -> None:
        await asyncio.sleep(_FLUSH_S)
        self._flushing = None
        await self.flush()

    async def flush(self) -> None:
        """Hand over what is waiting; what cannot be handed over now waits on, and what never can is given up."""
        async with self._lock:
            while self._waiting:
                taken = self._waiting[:_AT_ONCE]
                try:
                    await self._ledger.call(VERB, {"rows": [list(row) for row in taken]})
                except LedgerUnavailable as err:
                    self._on_error(err)
                    del self._waiting[: -_ACCOUNTS or None]
                    return
                except FilterdError as err:
                    self._on_error(err)
                del self._waiting[: len(taken)]


# --- the ledger's half ------------------------------------------------------------------------------------------------


def table() -> dict[str, PlainVerb]:
    """Say every verb by name."""
    return {VERB: note}


def note(txn: LedgerTxn, arguments: Arguments) -> int:
    """Write down who could not be written to; say how many rows that made."""
    written = 0
    room: dict[tuple[str, str], int] = {}
    for account_id, transaction_id, recipient, queue_id, at in arguments["rows"]:
        account = txn.account(account_id)
        if account is None:
            continue
        when = datetime.fromisoformat(at)
        day = (account_id, when.date().isoformat())
        if day not in room:
            room[day] = KEPT_A_DAY - sum(
                isinstance(x, r.MailRefused) and x.at.date() == when.date() for x in txn.records(account_id)
            )
        if room[day] <= 0:
            continue
        room[day] -= 1
        row = r.MailRefused(at=when, account_id=account_id, transaction_id=transaction_id, is_last=room[day] == 0)
        personal = {_RECIPIENT: recipient} | ({_QUEUE_ID: queue_id} if queue_id else {})
        txn.append(row, account_id=account_id, tenant_id=account.tenant_id, personal=personal)
        written += 1
    return written


# --- the list ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedMail:
    """One line. `queue_id`: the mail system's own, else ours; "" where neither is known."""

    at: datetime
    recipient: str
    queue_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedList:
    """The first lines; `more`: how many follow. `is_capped`: on some day there were more than are kept."""

    rows: tuple[RefusedMail, ...] = ()
    more: int = 0
    is_capped: bool = False


def refused_between(
    opened: Iterable[OpenedRow], spans: Iterable[tuple[datetime, datetime]], *, listed: int = LISTED
) -> RefusedList:
    """Say which mails were refused while something was in force that should not have been.

    Args:
        opened: rows of the account, with what only its own key opens.
        spans: from when to when (see Undone).
    """
    times = tuple(spans)
    found: list[RefusedMail] = []
    is_capped = False
    for item in opened:
        row, known = item.record, item.personal
        if not isinstance(row, r.MailRefused) or not known or _RECIPIENT not in known:
            continue
        # A refusal comes within a moment of what it rests on.
        if any(since - timedelta(seconds=1) <= row.at <= until for since, until in times):
            is_capped |= row.is_last
            found.append(
                RefusedMail(at=row.at, recipient=known[_RECIPIENT], queue_id=known.get(_QUEUE_ID) or row.transaction_id)
            )
    found.sort(key=lambda x: (x.at, x.recipient))
    return RefusedList(rows=tuple(found[:listed]), more=max(0, len(found) - listed), is_capped=is_capped)
