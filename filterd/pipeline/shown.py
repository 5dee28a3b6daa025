"""Which refusal told a sending client the case for the first time?  STANDING 5.6, CLAUSES §6, TX-6.2.

The time to appeal runs from the notice, or from that refusal where it came later: whoever never got the notice learns
of the case when mail is refused. One row an incident, for the first refusal alone; what is refused after it writes
nothing. The row has ids and an instant, nothing of the mail.

Two halves. `Shown` is the worker's; `note_shown` is the ledger's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from filterd.errors import LedgerUnavailable
from filterd.model import records as r
from filterd.model.reply import Reply
from filterd.pipeline.author import Known
from filterd.pipeline.people import Arguments
from filterd.pipeline.replies import case_id
from filterd.ports import Ledger, LedgerTxn

VERB = "case.shown"
# Until the ledger's own word comes back: so many incidents are not asked about twice.
_REMEMBERED = 10_000


class Shown:
    """One a process. `on_error` hears what kept a row from being written; the next refusal of the case tries again."""

    def __init__(self, ledger: Ledger, on_error: Callable[[BaseException], None]):
        self._ledger, self._on_error = ledger, on_error
        self._noted: OrderedDict[str, None] = OrderedDict()

    async def note(
        self, known: Known | None, reply: Reply | None, at: datetime, incident_ids: Iterable[str | None] = ()
    ) -> None:
        """Have it written down that a refusal names a case, where it is the first that does. What is put off tells its
        sender nothing, and while the ledger is away nothing is kept waiting.

        Args:
            known: whose mail it is.
            incident_ids: cases that are newer than what is known.
        """
        if known is None or reply is None or reply.code < 500 or known.is_last_word:
            return
        told = {i.opened.incident_id for i in known.history.incidents if i.shown_at is not None}
        new = dict.fromkeys([*incident_ids, *(i.opened.incident_id for i in known.history.incidents)])
        named = [
            x for x in new if x and x not in told and x not in self._noted and case_id(x, "") in reply.text
        ]
        if not named:
            return
        account = known.account.account_id
        try:
            await self._ledger.call(VERB, {"account_id": account, "incident_ids": named, "at": at.isoformat()})
        except LedgerUnavailable as err:
            self._on_error(err)
            return
        for incident_id in named:
            self._noted[incident_id] = None
            if len(self._noted) > _REMEMBERED:
                self._noted.popitem(last=False)


# --- the ledger's side ------------------------------------------------------------------------------------------------


def note_shown(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Write down for an account's incidents that a refusal has shown them, once for each; say for which it did."""
    account_id, at = str(arguments["account_id"]), datetime.fromisoformat(str(arguments["at"]))
    account = txn.account(account_id)
    if account is None:
        return []
    wanted = set(map(str, arguments["incident_ids"]))
    new = [
        i.opened.incident_id
        for i in txn.history(account_id).incidents
        if i.opened.incident_id in wanted and i.shown_at is None
    ]
    for incident_id in new:
        row = r.CaseShown(at=min(at, txn.now), account_id=account_id, incident_id=incident_id)
        txn.append(row, account_id=account_id, tenant_id=account.tenant_id)
    return new
