"""What every act of a person on standing begins and ends with: who acts, on what, and what is so afterwards.

`Desk` finds the account, the case and the terms that people mean by an id they quote, appends rows, and undoes an
incident with everything that follows. STANDING 5.4-5.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum, IntEnum
from typing import Any

from filterd.agreement.annul import Annulment, annul
from filterd.agreement.standing import standing_at
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.decision import NoticeDue
from filterd.model.ids import derived_id
from filterd.model.principal import Account
from filterd.model.standing import History, SanctionFile, Standing
from filterd.pipeline.enterprise import settle_tenant
from filterd.pipeline.people import Actor, Arguments, acting_person
from filterd.pipeline.roles import permitted, refuse_unless_reached
from filterd.pipeline.verbs import DeskRules, MailVerbs, surroundings
from filterd.ports import LedgerTxn

# Roles that may act on an account's standing (STANDING 5.5); the others look, or look after the system.
DECIDING = ("moderator", "approver", "appeals_reviewer")


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionCase:
    """A sanction a person is looking at, with everything around it."""

    account: Account
    terms: Agreement
    history: History
    sanction: SanctionFile


class Desk:
    """What the verbs of people share. One instance a ledger process."""

    def __init__(self, rules: DeskRules, mail: MailVerbs):
        self.rules, self.mail = rules, mail

    # --- finding ------------------------------------------------------------------------------------------------------

    def person(self, txn: LedgerTxn, arguments: Arguments) -> str:
        """Say who decides. Raises RefusedError for nobody, and for a role that does not decide about accounts."""
        name, role = acting_person(txn, arguments)
        if role not in DECIDING:
            raise RefusedError(f"{name} has role {role}; deciding about accounts takes one of {', '.join(DECIDING)}")
        return name

    def permit(self, txn: LedgerTxn, arguments: Arguments, verb: str, account: Account) -> Actor:
        """Say who acts on an account. Raises RefusedError for a role that may not, outside their scope, for their own
        case, and for what is another party's to decide (pipeline/roles)."""
        actor = permitted(txn, arguments, verb)
        self.refuse_unless_reached(txn, actor, verb, account)
        return actor

    def refuse_unless_reached(self, txn: LedgerTxn, actor: Actor, verb: str, account: Account) -> None:
        """Refuse what is out of somebody's reach, or too near to them."""
        party = self.terms(txn, account).enforcing_party
        refuse_unless_reached(txn, actor, verb, txn.tenant(account.tenant_id), account, enforcing_party=party)

    def find_account(self, txn: LedgerTxn, text: str) -> Account | None:
        if text.startswith("a_"):
            return txn.account(text)
        ref = txn.find_account(text)
        return txn.account(ref.account_id) if ref is not None else None

    def account(self, txn: LedgerTxn, text: str) -> Account:
        account = self.find_account(txn, text)
        if account is None:
            raise UsageError(f"no account {text}")
        return account

    def terms(self, txn: LedgerTxn, account: Account) -> Agreement:
        tenant = txn.tenant(account.tenant_id)
        return self.rules.terms_for(tenant, txn.now)

    def standing(self, txn: LedgerTxn, account: Account) -> Standing:
        around = surroundings(txn, account.account_id, account.tenant_id)
        return standing_at(txn.history(account.account_id), self.terms(txn, account), txn.now, around)

    def case(self, txn: LedgerTxn, text: str) -> SanctionCase:
        """Find the sanction meant by a sanction id, or the highest one of an incident or case id."""
        account_id = txn.account_of(text)
        account = txn.account(account_id) if account_id is not None else None
        if account is None:
            raise UsageError(f"no sanction or case {text}")
        history = txn.history(account.account_id)
        prefix = text.split("_", 1)[-1]
        found = [
            s
            for s in history.sanctions
            if s.imposed.sanction_id == text or s.imposed.incident_id.split("_", 1)[-1].startswith(prefix)
        ]
        if not found:
            raise UsageError(f"{text} owns no sanction")
        terms = self.terms(txn, account)
        active = {s.sanction_id for s in standing_at(history, terms, txn.now).sanctions}
        # Of a case that climbed, what is in force counts, and of that the highest step.
        sanction = max(found, key=lambda s: (s.imposed.sanction_id in active, s.imposed.step))
        terms = self.rules.terms_with(sanction.imposed.clauses, terms)
        return SanctionCase(account=account, terms=terms, history=history, sanction=sanction)

    def refuse_if_over(self, case: SanctionCase, now: datetime) -> None:
        active = standing_at(case.history, case.terms, now).sanctions
        if all(s.sanction_id != case.sanction.imposed.sanction_id for s in active):
            raise RefusedError("this sanction is over; annul it if it was wrong")

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(
        self, txn: LedgerTxn, account: Account, record: r.Record, personal: Mapping[str, str] | None = None
    ) -> None:
        """Add a row about an account; `personal` is sealed under its key."""
        txn.append(record, account_id=account.account_id, tenant_id=account.tenant_id, personal=personal)

    def answer(self, txn: LedgerTxn, case: SanctionCase, person: str) -> None:
        """A person has looked: an objection that waited for one is answered."""
        if case.sanction.objected_at is not None and case.sanction.answered_at is None:
            imposed = case.sanction.imposed
            answered = r.ObjectionAnswered(
                at=txn.now,
                appeal_id=case.sanction.appeal_id or derived_id("p", imposed.sanction_id),
                sanction_id=imposed.sanction_id,
                by=person,
            )
            self.append(txn, case.account, answered)

    def annul(self, txn: LedgerTxn, case: SanctionCase, person: str, reason: str) -> int:
        """Annul the incident that owns the sanction, replay the rest, promise the notice. Says how many rows."""
        incident_id = case.sanction.imposed.incident_id
        undone = self._annulment(txn, case, person, reason)
        for record in undone.records:
            self.append(txn, case.account, record)
        settle_tenant(txn, case.account, case.terms)
        if undone.records:
            owned = tuple(s.imposed.sanction_id for s in case.history.sanctions if s.imposed.incident_id == incident_id)
            notice = NoticeDue(
                template="annulled",
                account_id=case.account.account_id,
                incident_id=incident_id,
                sanction_ids=(*owned, *undone.changed_sanctions),
            )
            self.mail.announce(txn, notice, case.account.tenant_id)
        return len(undone.records)

    def _annulment(self, txn: LedgerTxn, case: SanctionCase, person: str, reason: str) -> Annulment:
        imposed = case.sanction.imposed
        incident = next((i for i in case.history.incidents if i.opened.incident_id == imposed.incident_id), None)
        if incident is not None and incident.strike is None and not incident.is_annulled:
            # A person's act without points: no ladder has to be replayed without it.
            ended = r.StrikeAnnulled(
                at=txn.now,
                strike_id=derived_id("k", imposed.incident_id),
                incident_id=imposed.incident_id,
                by=person,
                reason=reason,
            )
            return Annulment(records=(ended,), changed_sanctions=())
        return annul(
            case.account.account_id,
            txn.records(case.account.account_id),
            case.terms,
            self.rules.preset,
            incident_id=imposed.incident_id,
            at=txn.now,
            by=person,
            reason=reason,
            packs=self.rules.by_digest.get,
        )

    def result(self, txn: LedgerTxn, account: Account) -> dict[str, Any]:
        """Say how an account stands after an act."""
        return standing_row(account, self.standing(txn, account))


# --- JSON-safe answers ------------------------------------------------------------------------------------------------


def standing_row(account: Account, standing: Standing) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "tenant_id": account.tenant_id,
        "login": account.login,
        "retired_at": iso(account.retired_at),
        "standing": standing.conduct.value,
        "until": iso(standing.until),
        "points": standing.half_points / 2,
        "provisional_points": (standing.half_points - standing.final_half_points) / 2,
    }


def reason_in(arguments: Arguments) -> str:
    """Say why. Raises RefusedError where nobody said."""
    reason = str(arguments.get("reason") or "").strip()
    if not reason:
        raise RefusedError("say why: --reason")
    return reason


def iso(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at is not None else None


def plain(value: Any) -> Any:
    """Turn records into JSON-safe values, points and ids as they are."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, (tuple, list, frozenset)):
        return [plain(v) for v in value]
    return value
