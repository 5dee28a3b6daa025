"""The human side: what named people do to sanctions.  STANDING 5.4-5.6, HOUSE rules 12, 13.

Every verb takes a JSON-safe dictionary with the person's `token` and gives a JSON-safe answer. An act without a person
is refused. Undo exists wherever there is a do: confirm, lift, annul, and the decision of an appeal.
"""

from __future__ import annotations

from typing import Any

from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.sanction import Rung
from filterd.pipeline.desk import Desk, SanctionCase, reason_in
from filterd.pipeline.grounds import given_for
from filterd.pipeline.impose import Wanted, find_clauses, impose, read_features, read_rung
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.relook import relook_task
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
        }

    def sanction_impose(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Impose `rung` (warn, restrict, suspend) on an account under `clause`; nothing of it is automatic.

        `features` are what a restriction switches off, `hours` how long, left out for a suspension without an end;
        `notice` is the written notice where the agreement asks for one; `provision`, `ground` and `rests_on` what the
        clause asks for (pipeline/grounds).
        """
        account = self._desk.account(txn, arguments["account"])
        person = self._desk.permit(txn, arguments, "sanction.impose", account).name
        terms = self._desk.terms(txn, account)
        rung = read_rung(arguments.get("rung"))
        features = arguments.get("features") or []
        clauses = find_clauses(terms, arguments["clause"])
        wanted = Wanted(
            rung=rung,
            features=read_features(txn, features) if features or rung is Rung.RESTRICT else (),
            hours=arguments.get("hours"),
            clauses=clauses,
            case=arguments.get("case"),
            notice=arguments.get("notice"),
            by=person,
            reason=reason_in(arguments),
            given=given_for(
                txn, terms, clauses, arguments, tenant_id=account.tenant_id, account_id=account.account_id
            ),
        )
        tenant = txn.tenant(account.tenant_id)
        sanction_id, notice = impose(
            txn, account, terms, wanted, lambda at: self._desk.rules.at_act(terms, tenant, at)
        )
        self._desk.mail.announce(txn, notice, account.tenant_id)
        said = self._desk.result(txn, account)
        features_off = [str(f) for f in self._desk.standing(txn, account).features]
        return said | {"sanction_id": sanction_id, "features_off": features_off}

    def sanction_confirm(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """A person has looked, and it is right. One without an end comes up again in its time."""
        case = self._desk.case(txn, arguments["sanction"])
        person = self._desk.permit(txn, arguments, "sanction.confirm", case.account).name
        self._desk.refuse_if_over(case, txn.now)
        imposed = case.sanction.imposed
        self._desk.append(
            txn,
            case.account,
            r.SanctionConfirmed(
                at=txn.now,
                sanction_id=imposed.sanction_id,
                incident_id=imposed.incident_id,
                by=person,
                reason=reason_in(arguments),
            ),
        )
        is_open_ended = imposed.rung is Rung.SUSPEND and imposed.ends_at is None
        again = relook_task(imposed, case.terms, txn.now) if is_open_ended else None
        if again is not None:
            self._desk.append(txn, case.account, again)
        self._desk.answer(txn, case, person)
        return self._desk.result(txn, case.account)

    def sanction_lift(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """End it now; the strike stays."""
        case = self._desk.case(txn, arguments["sanction"])
        person = self._desk.permit(txn, arguments, "sanction.lift", case.account).name
        self._desk.refuse_if_over(case, txn.now)
        _refuse_termination(case, "reinstating an account")
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
        """Undo our error, and replay what came after without it."""
        case = self._desk.case(txn, arguments["sanction"])
        person = self._desk.permit(txn, arguments, "sanction.annul", case.account).name
        if self._desk.annul(txn, case, person, reason_in(arguments)) == 0:
            raise RefusedError("this decision is annulled already")
        self._desk.answer(txn, case, person)
        return self._desk.result(txn, case.account)


def _refuse_termination(case: SanctionCase, what: str) -> None:
    if case.sanction.imposed.rung is Rung.TERMINATE:
        raise RefusedError(f"{what} takes two people: filterd proposal make account.reinstate")
