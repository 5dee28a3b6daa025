"""The human side: what named people do to standing.  STANDING 5.4-5.6, HOUSE rules 12, 13.

Every verb takes a JSON-safe dictionary with the person's `token` and gives a JSON-safe answer. An act without a person
is refused. Undo exists wherever there is a do: confirm, lift, annul, and the decision of an appeal.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.standing import History
from filterd.pipeline.desk import Desk, plain, reason_in
from filterd.pipeline.impose import Restriction, find_clauses, impose, read_features
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.ports import LedgerTxn


class ReviewVerbs:
    """The verbs people use through the command line (and later the console). One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "sanction.impose": self.sanction_impose,
            "sanction.confirm": self.sanction_confirm,
            "sanction.lift": self.sanction_lift,
            "sanction.annul": self.sanction_annul,
            "hold.release": self.hold_release,
            "task.list": self.task_list,
        }

    def task_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        rows = []
        for account in txn.accounts():
            history = txn.history(account.account_id)
            settled = _settled(history)
            # The newest task of an incident says all the older ones said.
            newest = {x.incident_id: x for x in txn.records(account.account_id) if isinstance(x, r.TaskOpened)}
            rows += [
                {"login": account.login, **plain(x), "overdue": x.due_at < txn.now}
                for x in newest.values()
                if x.incident_id not in settled or x.at > settled[x.incident_id]
            ]
        return rows

    # --- acting -------------------------------------------------------------------------------------------------------

    def sanction_impose(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Switch features of an account off for `hours`, under `clause`; nothing of it is automatic."""
        person, account = self._desk.person(txn, arguments), self._desk.account(txn, arguments["account"])
        terms = self._desk.terms(txn, account)
        wanted = Restriction(
            features=read_features(txn, arguments["features"]),
            hours=arguments["hours"],
            clauses=find_clauses(terms, arguments["clause"]),
            case=arguments.get("case"),
            by=person,
            reason=reason_in(arguments),
        )
        self._desk.mail.announce(txn, impose(txn, account, terms, wanted), account.tenant_id)
        return self._desk.result(txn, account) | {"features_off": [str(f) for f in self._desk.standing(txn, account).features]}

    def sanction_confirm(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        person, case = self._desk.person(txn, arguments), self._desk.case(txn, arguments["sanction"])
        self._desk.refuse_if_over(case, txn.now)
        self._desk.append(
            txn,
            case.account,
            r.SanctionConfirmed(
                at=txn.now,
                sanction_id=case.sanction.imposed.sanction_id,
                incident_id=case.sanction.imposed.incident_id,
                by=person,
                reason=reason_in(arguments),
            ),
        )
        self._desk.answer(txn, case, person)
        return self._desk.result(txn, case.account)

    def sanction_lift(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        person, case = self._desk.person(txn, arguments), self._desk.case(txn, arguments["sanction"])
        self._desk.refuse_if_over(case, txn.now)
        self._desk.append(
            txn,
            case.account,
            r.SanctionLifted(
                at=txn.now,
                sanction_id=case.sanction.imposed.sanction_id,
                incident_id=case.sanction.imposed.incident_id,
                by=person,
                reason=reason_in(arguments),
            ),
        )
        self._desk.answer(txn, case, person)
        return self._desk.result(txn, case.account)

    def sanction_annul(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        person, case = self._desk.person(txn, arguments), self._desk.case(txn, arguments["sanction"])
        if self._desk.annul(txn, case, person, reason_in(arguments)) == 0:
            raise RefusedError("this decision is annulled already")
        self._desk.answer(txn, case, person)
        return self._desk.result(txn, case.account)

    def hold_release(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """End a protective hold early: somebody has made sure that the account is in its owner's hands again."""
        person = self._desk.person(txn, arguments)
        account_id = txn.account_of(arguments["hold"])
        account = txn.account(account_id) if account_id is not None else None
        if account is None:
            raise UsageError(f"no hold {arguments['hold']}")
        active = [h for h in self._desk.standing(txn, account).holds if h.hold_id == arguments["hold"]]
        if not active:
            raise RefusedError("this hold is over")
        self._desk.append(
            txn,
            account,
            r.HoldReleased(at=txn.now, hold_id=active[0].hold_id, by=person, reason=reason_in(arguments)),
        )
        return self._desk.result(txn, account)


def _settled(history: History) -> dict[str, datetime]:
    """Say when a person last decided about an incident; what is asked later is open again, but for an annulled one."""
    acts = [
        (s.imposed.incident_id, at)
        for s in history.sanctions
        for at in (s.confirmed_at, s.lifted_at, s.annulled_at)
        if at is not None
    ]
    settled: dict[str, datetime] = {}
    for incident_id, at in acts:
        settled[incident_id] = max(at, settled.get(incident_id, at))
    never = datetime.max.replace(tzinfo=UTC)
    return settled | {i.opened.incident_id: never for i in history.incidents if i.is_annulled}
