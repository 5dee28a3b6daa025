"""What is kept no longer than promised: the steps of the retention worker, in small transactions, an account each.

Nothing of an account is erased while an appeal of it waits or a legal hold lasts; that is looked up under the account's
lock, so that nobody can set one in between. Rows go here; the objects go with the sweep behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection, func, select

from filterd.ledger import evidence, quarantine
from filterd.ledger.codec import instant
from filterd.ledger.equipment import Equipment
from filterd.ledger.schema import ENTRY
from filterd.ledger.sweep import AGE_S, NOTHING_SWEPT, Submit, Swept, sweep, sweep_spool
from filterd.ledger.txn import Txn
from filterd.model.about import NOTHING, about
from filterd.model.steady import ClockWatch

_log = logging.getLogger(__name__)

# Rows a transaction: a decision that waits behind one waits for some milliseconds.
_ROWS_AT_ONCE = 200
_ACCOUNTS_AT_ONCE = 500

_Look = Callable[[Connection, str, int], list[str]]
_Erase = Callable[[Connection, str, int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How many rows went, and how many accounts keep theirs because of an appeal or a legal hold."""

    rows: int
    frozen_accounts: int


class Retention:
    """The steps. Each may be stopped at any time, and begun again."""

    def __init__(self, submit: Submit, equipment: Equipment):
        self._submit = submit
        self._equipment = equipment
        # What was on its way when the clock jumped is no longer after the longest way.
        self._clock = ClockWatch(settle_s=AGE_S)

    async def last_written_at(self) -> datetime | None:
        """Say when the latest row of any writer was written, None for an empty ledger."""
        latest = select(func.max(ENTRY.c.written_at))
        found: str | None = await self._submit(lambda txn: txn.connection.execute(latest).scalar(), NOTHING)
        return None if found is None else instant(found)

    async def expire(self, at: datetime) -> Erased:
        """Forget evidence kept no longer than before `at`."""
        return await self._by_account(
            lambda connection, after, limit: evidence.accounts_with_old(connection, at, after, limit),
            lambda connection, account_id, limit: evidence.expire(connection, account_id, at, limit),
        )

    async def prune(self, settled_before: datetime) -> Erased:
        """Forget held mail that was delivered, returned or deleted before then."""
        return await self._by_account(
            lambda connection, after, limit: quarantine.accounts_with_settled(connection, settled_before, after, limit),
            lambda connection, account_id, limit: quarantine.prune(connection, account_id, settled_before, limit),
        )

    async def forget_destroyed(self) -> int:
        """Forget evidence that nobody can read, because its subject's key is destroyed; say how many rows."""
        rows = 0
        while gone := await self._submit(
            lambda txn: evidence.forget_destroyed(txn.connection, _ROWS_AT_ONCE), NOTHING
        ):
            rows += gone
        return rows

    async def sweep(self, age_s: float = AGE_S) -> Swept:
        """Erase what nobody needs, after a look at every object of the vault; see sweep."""
        if self._has_jumped():
            return NOTHING_SWEPT
        return await sweep(self._submit, self._equipment.spool, self._equipment.vault, age_s=age_s)

    async def sweep_spool(self, age_s: float = AGE_S) -> Swept:
        """Erase spooled mail nobody needs."""
        if self._has_jumped():
            return NOTHING_SWEPT
        return await sweep_spool(self._submit, self._equipment.spool, age_s=age_s)

    def _has_jumped(self) -> bool:
        """Say whether the system's clock says nothing of how old a file is."""
        jumped_s = self._clock.jumped_s(datetime.now(UTC))
        if jumped_s:
            _log.error("the clock jumped by %d s: nothing is swept for %d s", jumped_s, AGE_S)
        return bool(jumped_s)

    async def _by_account(self, look: _Look, erase: _Erase) -> Erased:
        rows, kept_back, after = 0, 0, ""
        while names := await self._submit(partial(_looked, look, after), NOTHING):
            for account_id in names:
                step, whose = partial(_erased, erase, account_id), about(accounts=[account_id])
                while (gone := await self._submit(step, whose)) > 0:
                    rows += gone
                kept_back += gone < 0
            after = names[-1]
        return Erased(rows=rows, frozen_accounts=kept_back)


def _looked(look: _Look, after: str, txn: Txn) -> list[str]:
    return look(txn.connection, after, _ACCOUNTS_AT_ONCE)


def _erased(erase: _Erase, account_id: str, txn: Txn) -> int:
    """Erase some rows of an account; -1 when they must stay."""
    return -1 if evidence.freeze_of(txn.connection, account_id) else erase(txn.connection, account_id, _ROWS_AT_ONCE)
