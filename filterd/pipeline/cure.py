"""A breach was mended: filed in three parts, answered by a person, and believed where nobody answers.  AL-7.1.

A tenant's administrator files it, or a moderator on their behalf. What they say is theirs: the words go into the sealed
part of the row, the row itself says which parts there are. Refusing is a decision, with its reason, against which one
can appeal; and the cure can be filed again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from filterd.agreement.clocks import cure_answer_until
from filterd.agreement.cure import ACCEPTED, REFUSED, CureFile, cures, missing
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.ids import random_id
from filterd.model.principal import Account
from filterd.model.sanction import Rung
from filterd.pipeline.desk import Desk, iso, reason_in
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.roles import permitted, reaches
from filterd.ports import LedgerTxn

MAX_TEXT_CHARS = 4000
_TEXTS = ("stopped", "measures", "compensation", "waiver")


class CureVerbs:
    """The verbs about cures. One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {"cure.file": self.cure_file, "cure.answer": self.cure_answer, "cure.list": self.cure_list}

    def cure_file(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """File the cure of a `sanction`: `stopped`, `measures`, and `compensation` or its written `waiver`."""
        case = self._desk.case(txn, arguments["sanction"])
        actor = self._desk.permit(txn, arguments, "cure.file", case.account)
        terms = self._desk.terms(txn, case.account)
        if terms.cure is None or terms.lifecycle is None:
            raise RefusedError(f"agreement {terms.id} knows no cure; object instead (filterd appeal file)")
        sanction_id = case.sanction.imposed.sanction_id
        self._desk.refuse_if_over(case, txn.now)
        if case.sanction.imposed.rung <= Rung.WARN:
            raise RefusedError("a warning stops nothing; there is nothing to cure")
        if any(c.filed.sanction_id == sanction_id and c.state(txn.now) == "open" for c in cures(case.history)):
            raise RefusedError("a cure of this sanction waits for its answer already")
        texts = {name: _text(arguments, name) for name in _TEXTS}
        filed = r.CureFiled(
            at=txn.now,
            cure_id=random_id("u", txn.now),
            sanction_id=sanction_id,
            has_stopped=bool(texts["stopped"]),
            has_measures=bool(texts["measures"]),
            has_compensation=bool(texts["compensation"]),
            has_waiver=bool(texts["waiver"]),
            by=actor.name,
            due_at=cure_answer_until(txn.now, terms),
        )
        if lacking := missing(filed):
            raise RefusedError(
                "a cure has three parts, that it has stopped, what was done about it, and what was made good or its"
                f" written waiver; missing: {', '.join(lacking)}"
            )
        self._desk.append(txn, case.account, filed, {name: text for name, text in texts.items() if text})
        facts: Facts = {
            "cure_id": filed.cure_id,
            "sanction_id": sanction_id,
            "filed_at": txn.now,
            "answer_by": filed.due_at,
            "missing": (),
        }
        announce_event(txn, "cure_received", case.account.account_id, facts)
        return self._shown(txn, case.account, CureFile(filed=filed))

    def cure_answer(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Answer a `cure`, `accepted` or `refused`: accepted lifts the sanction, on probation."""
        account, cure = self._find(txn, str(arguments.get("cure") or ""))
        actor = self._desk.permit(txn, arguments, "cure.answer", account)
        outcome, reason = arguments.get("outcome"), reason_in(arguments)
        if outcome not in (ACCEPTED, REFUSED):
            raise RefusedError(f"outcome is {ACCEPTED} or {REFUSED}")
        if (state := cure.state(txn.now)) != "open":
            raise RefusedError(f"this cure is over: {state}")
        if actor.name == cure.filed.by:
            raise RefusedError(f"{actor.name} has filed it; another person answers")
        case = self._desk.case(txn, cure.filed.sanction_id)
        answered = r.CureAnswered(
            at=txn.now,
            cure_id=cure.filed.cure_id,
            sanction_id=cure.filed.sanction_id,
            outcome=outcome,
            by=actor.name,
            reason=reason,
        )
        self._desk.append(txn, account, answered)
        if outcome == ACCEPTED:
            lifted = r.SanctionLifted(
                at=txn.now,
                sanction_id=cure.filed.sanction_id,
                incident_id=case.sanction.imposed.incident_id,
                by=actor.name,
                reason=reason,
            )
            self._desk.append(txn, account, lifted)
        self._desk.answer(txn, case, actor.name)
        self._tell(txn, account, answered)
        return self._shown(txn, account, CureFile(filed=cure.filed, answered=answered))

    def cure_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the cures that wait for an answer, or `all`; the first due first. What they say is not in it."""
        actor = permitted(txn, arguments, "look") if arguments.get("token") else None
        rows = [
            self._shown(txn, account, cure)
            for account in txn.accounts()
            if actor is None or reaches(txn, actor, txn.tenant(account.tenant_id))
            for cure in cures(txn.history(account.account_id))
            if arguments.get("all") or cure.state(txn.now) == "open"
        ]
        return sorted(rows, key=lambda row: str(row["due_at"]))

    def _tell(self, txn: LedgerTxn, account: Account, answered: r.CureAnswered) -> None:
        facts: dict[str, Any] = {"cure_id": answered.cure_id, "sanction_id": answered.sanction_id, "at": txn.now}
        if answered.outcome == ACCEPTED:
            days = self._desk.terms(txn, account).probation_days
            facts["probation_until"] = txn.now + timedelta(days=days) if days else None
            announce_event(txn, "cure_accepted", account.account_id, facts)
        else:
            announce_event(txn, "cure_refused", account.account_id, facts | {"missing": ()})

    def _find(self, txn: LedgerTxn, cure_id: str) -> tuple[Account, CureFile]:
        owner = txn.account_of(cure_id)
        account = txn.account(owner) if owner is not None else None
        found = cures(txn.history(account.account_id)) if account is not None else ()
        cure = next((c for c in found if c.filed.cure_id == cure_id), None)
        if account is None or cure is None:
            raise UsageError(f"no cure {cure_id}")
        return account, cure

    def _shown(self, txn: LedgerTxn, account: Account, cure: CureFile) -> dict[str, Any]:
        filed = cure.filed
        return {
            "cure_id": filed.cure_id,
            "sanction_id": filed.sanction_id,
            "account_id": account.account_id,
            "tenant_id": account.tenant_id,
            "login": account.login,
            "filed_at": iso(filed.at),
            "by": filed.by,
            "due_at": iso(filed.due_at),
            "has_waiver": filed.has_waiver,
            "state": cure.state(txn.now),
            "standing": self._desk.standing(txn, account).conduct.value,
        }


def _text(arguments: Arguments, name: str) -> str:
    text = str(arguments.get(name) or "").strip()
    if len(text) > MAX_TEXT_CHARS:
        raise RefusedError(f"{name} has at most {MAX_TEXT_CHARS} characters")
    return text
