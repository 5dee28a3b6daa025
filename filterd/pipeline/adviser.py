"""Advice about mail that leaves no row: a From address that is not the tenant's, personal numbers of many people.

TX-2.2.1 and 3.1.1 refuse the one and CLAUSES tail-g delivers the other, both without points; who sent it is told what
to mend, at most once a day. Of personal numbers the administrator learns how many mails held which kind, and neither
whose nor which.

Two halves. `Adviser` is the worker's: it gathers, and hands over together; what a crash loses is advice. `table` is the
ledger's: it promises the notices.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from filterd.errors import FilterdError, LedgerUnavailable
from filterd.model.decision import Case, Decision
from filterd.model.session import Direction
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.notice_table import Audience
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.ports import Ledger, LedgerTxn

VERB = "advice.note"
SENDER_FOREIGN, PII = "sender.foreign", "pii.bulk"
# Refusals that are no violation, and what there is to do about them.
_REFUSED = {"protection.sender.from.foreign": SENDER_FOREIGN}
_PII, _BULK = "pii.", ".bulk"
# Notices of advice go out once a day: there is no hurry, and few rows are better than many.
_FLUSH_S = 600.0
_AT_ONCE = 500
# Beyond so many accounts and codes, what comes new is not gathered: that many need no advice but a person.
_AT_MOST = 20_000

# Account, tenant, what is advised; the tenant's copy has no account.
Key = tuple[str, str, str]


class Adviser:
    """One a process. `on_error` hears what kept advice from being handed over; it is tried again."""

    def __init__(self, ledger: Ledger, on_error: Callable[[BaseException], None]):
        self._ledger, self._on_error = ledger, on_error
        self._waiting: Counter[Key] = Counter()
        self._since: dict[Key, datetime] = {}
        self._flushing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def note(self, case: Case, decision: Decision) -> None:
        """Remember what a mail of ours gives advice about."""
        account_id, tenant_id = case.principal.account_id, case.principal.tenant_id
        if account_id is None or case.direction is Direction.INBOUND or decision.is_retry:
            return
        found = {code for reason in decision.reasons if (code := _REFUSED.get(reason.code)) is not None}
        kinds = _kinds(case)
        for code in (*sorted(found), *((PII,) if kinds else ())):
            self._take((account_id, tenant_id or "", code), case.at)
        for code in kinds if tenant_id is not None else ():
            self._take(("", tenant_id or "", code), case.at)

    def _take(self, key: Key, at: datetime) -> None:
        if key not in self._waiting and len(self._waiting) >= _AT_MOST:
            return
        self._waiting[key] += 1
        self._since.setdefault(key, at)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._later())

    async def _later(self) -> None:
        await asyncio.sleep(_FLUSH_S)
        self._flushing = None
        await self.flush()

    async def flush(self) -> None:
        """Hand over what is waiting; what cannot be handed over now waits on, and what never can is given up."""
        async with self._lock:
            while self._waiting:
                taken = [(key, self._waiting[key]) for key in list(self._waiting)[:_AT_ONCE]]
                rows = [[*key, count, self._since[key].isoformat()] for key, count in taken]
                try:
                    await self._ledger.call(VERB, {"rows": rows})
                except LedgerUnavailable as err:
                    self._on_error(err)
                    return
                except FilterdError as err:
                    self._on_error(err)
                for key, count in taken:
                    self._waiting[key] -= count
                    if self._waiting[key] <= 0:
                        del self._waiting[key], self._since[key]


def _kinds(case: Case) -> tuple[str, ...]:
    """Say which kinds of personal numbers the mail holds many of: `pii.card` for `pii.card.bulk`."""
    found = (f.code for f in case.assessment.findings if f.code.startswith(_PII) and f.code.endswith(_BULK))
    return tuple(dict.fromkeys(code.removesuffix(_BULK) for code in found))


# --- the ledger's side ------------------------------------------------------------------------------------------------


def table() -> dict[str, PlainVerb]:
    """Say every verb by name."""
    return {VERB: _note}


def _note(txn: LedgerTxn, arguments: Arguments) -> int:
    """Promise what `rows` tell of: [account id, tenant id, code, how many mails, since when]. A day's are one notice.

    Of personal numbers, the account's notice is for whoever sent the mail alone; the tenant's has no account.
    """
    rows = [(str(a), str(t), str(c), int(n), datetime.fromisoformat(since)) for a, t, c, n, since in arguments["rows"]]
    for account_id, tenant_id, code, count, since in rows:
        facts: Facts = {"code": code, "count": count, "since": since}
        to = (Audience.ACCOUNT, Audience.CONTACT) if code == PII else None
        announce_event(txn, "advice", account_id or tenant_id, facts, to=to)
    return len(rows)
