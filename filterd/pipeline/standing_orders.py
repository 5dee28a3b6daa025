"""Termination by standing order, carried out by the clock; and the veto that stops it.  STANDING 5.9.

The order is two people's act (pipeline/register_acts). What the clock writes is a termination that has yet to begin; it
tells the account and its tenant seven days before. One click of any moderator, or of either signer, ends it. So does
whatever ends the suspension it rests on, before it begins: then the clock takes back what was announced
(ops/decisions/0022).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from filterd.agreement.orders import BY_ORDER, by_order, fallen
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.principal import Account
from filterd.model.sanction import Rung
from filterd.model.standing import SanctionFile
from filterd.pipeline.desk import Desk, reason_in
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.register_acts import required
from filterd.pipeline.verbs import surroundings
from filterd.ports import LedgerTxn


def order_termination(
    txn: LedgerTxn, account: Account, terms: Agreement, at: datetime, *, is_dry: bool
) -> r.SanctionImposed | None:
    """Write the termination that an order in force makes due, and promise its notice; None when none is due."""
    around = surroundings(txn, account.account_id, account.tenant_id)
    imposed = by_order(txn.history(account.account_id), around, terms, at).imposed
    if imposed is None or is_dry:
        return imposed
    txn.append(imposed, account_id=account.account_id, tenant_id=account.tenant_id)
    announce_event(
        txn,
        "termination_proposed",
        account.account_id,
        {
            "incident_id": imposed.incident_id,
            "proposal_id": imposed.by.removeprefix(BY_ORDER),
            "proposed_at": at,
            "earliest_at": imposed.starts_at,
            "is_by_order": True,
        },
    )
    return imposed


def withdraw_fallen(
    txn: LedgerTxn, account: Account, terms: Agreement, at: datetime, *, by: str, is_dry: bool
) -> tuple[SanctionFile, ...]:
    """Put on record which announced terminations do not come any more, and promise to say so to whoever was told."""
    found = fallen(txn.history(account.account_id), terms, at)
    for file in () if is_dry else found:
        _withdraw(txn, account, file, by=by, reason="the suspension it rests on is over", because="void")
    return found


def _withdraw(
    txn: LedgerTxn, account: Account, file: SanctionFile, *, by: str, reason: str, because: str
) -> None:
    imposed = file.imposed
    lifted = r.SanctionLifted(
        at=txn.now, sanction_id=imposed.sanction_id, incident_id=imposed.incident_id, by=by, reason=reason
    )
    txn.append(lifted, account_id=account.account_id, tenant_id=account.tenant_id)
    facts: Facts = {
        "incident_id": imposed.incident_id,
        "proposal_id": imposed.by.removeprefix(BY_ORDER),
        "at": txn.now,
        "because": because,
    }
    announce_event(txn, "termination_withdrawn", account.account_id, facts)


class OrderVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {"order.veto": self.veto}

    def veto(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Stop a termination by order, alone; it is not made again for the same suspension."""
        sanction_id = required(arguments, "sanction")
        owner = txn.account_of(sanction_id)
        account = txn.account(owner) if owner is not None else None
        if account is None:
            raise UsageError(f"no sanction {sanction_id}")
        person = self._desk.permit(txn, arguments, "proposal.veto", account).name
        history = txn.history(account.account_id)
        file = next((s for s in history.sanctions if s.imposed.sanction_id == sanction_id), None)
        if file is None or file.imposed.rung is not Rung.TERMINATE or not file.imposed.by.startswith(BY_ORDER):
            raise RefusedError(f"{sanction_id} is no termination by order")
        if file.lifted_at is not None or file.annulled_at is not None:
            raise RefusedError("this termination was stopped already")
        if self._desk.standing(txn, account).rung is Rung.TERMINATE:
            raise RefusedError("this termination is in effect; reinstating takes two people")
        _withdraw(txn, account, file, by=person, reason=reason_in(arguments), because="vetoed")
        return self._desk.result(txn, account)
