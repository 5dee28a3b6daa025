"""The human side: what named people do to standing, and what they can look at.  STANDING 5.4-5.6, HOUSE rules 12, 13.

Every verb takes a JSON-safe dictionary with the person's `token` and gives a JSON-safe answer. An act without a person
is refused. Undo exists wherever there is a do: confirm, lift, annul, and the decision of an appeal.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
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
from filterd.pipeline.directory_rows import account_facts
from filterd.pipeline.impose import Restriction, find_clauses, impose, read_features
from filterd.pipeline.people import Arguments, PlainVerb, acting_person
from filterd.pipeline.verbs import DeskRules, MailVerbs
from filterd.ports import LedgerTxn

OUTCOMES = ("granted", "partially_granted", "denied", "inadmissible", "withdrawn")

# Roles that may act on an account's standing (STANDING 5.5); the others look, or look after the system.
DECIDING = ("moderator", "approver", "appeals_reviewer")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A sanction a person is looking at, with everything around it."""

    account: Account
    terms: Agreement
    history: History
    sanction: SanctionFile


class ReviewVerbs:
    """The verbs people use through the command line (and later the console). One instance a ledger process."""

    def __init__(self, rules: DeskRules, mail: MailVerbs):
        self._rules, self._mail = rules, mail

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "account.list": self.account_list,
            "account.show": self.account_show,
            "account.history": self.account_history,
            "sanction.impose": self.sanction_impose,
            "sanction.confirm": self.sanction_confirm,
            "sanction.lift": self.sanction_lift,
            "sanction.annul": self.sanction_annul,
            "hold.release": self.hold_release,
            "appeal.file": self.appeal_file,
            "appeal.list": self.appeal_list,
            "appeal.decide": self.appeal_decide,
            "task.list": self.task_list,
        }

    # --- looking ------------------------------------------------------------------------------------------------------

    def account_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        rows = []
        for account in txn.accounts():
            standing = self._standing(txn, account)
            if arguments.get("only_sanctioned") and not standing.strikes and not standing.sanctions:
                continue
            rows.append(_row(account, standing))
        return rows

    def account_show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        account = self._account(txn, arguments["account"])
        history = txn.history(account.account_id)
        standing = self._standing(txn, account)
        shown = _row(account, standing)
        shown |= account_facts(account, txn.tenant(account.tenant_id))
        shown["features_off"] = [str(f) for f in standing.features]
        shown["sanctions"] = [
            {
                "sanction_id": s.sanction_id,
                "incident_id": s.incident_id,
                "rung": s.rung.word,
                "features": [str(f) for f in s.features],
                "category": s.category,
                "clauses": list(s.clauses),
                "ends_at": _iso(s.ends_at),
                "automatic": s.is_automatic,
                "confirmed": s.is_confirmed,
            }
            for s in standing.sanctions
        ]
        shown["holds"] = [
            {
                "hold_id": h.hold_id,
                "incident_id": h.incident_id,
                "features": [str(f) for f in h.features],
                "ends_at": _iso(h.ends_at),
            }
            for h in standing.holds
        ]
        shown["strikes"] = [
            {
                "strike_id": s.strike_id,
                "incident_id": s.incident_id,
                "points": s.half_points / 2,
                "provisional": s.is_provisional,
                "fades_at": _iso(s.expires_at),
            }
            for s in standing.strikes
        ]
        shown["incidents"] = [
            {
                "incident_id": i.opened.incident_id,
                "began_at": _iso(i.opened.at),
                "families": sorted(i.families),
                "messages": i.message_count,
                "recipients": i.delivery_count,
                "points": (max(i.strike.a_half_points, i.strike.b_half_points) / 2) if i.strike else 0,
                "noticed_at": _iso(i.noticed_at),
                "annulled": i.is_annulled,
            }
            for i in history.incidents
        ]
        return shown

    def account_history(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        account = self._account(txn, arguments["account"])
        return [{"kind": r.KIND_OF[type(x)], **_plain(x)} for x in txn.records(account.account_id)]

    def task_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        rows = []
        for account in txn.accounts():
            history = txn.history(account.account_id)
            settled = _settled(history)
            # The newest task of an incident says all the older ones said.
            newest = {x.incident_id: x for x in txn.records(account.account_id) if isinstance(x, r.TaskOpened)}
            rows += [
                {"login": account.login, **_plain(x), "overdue": x.due_at < txn.now}
                for x in newest.values()
                if x.incident_id not in settled or x.at > settled[x.incident_id]
            ]
        return rows

    # --- acting -------------------------------------------------------------------------------------------------------

    def sanction_impose(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Switch features of an account off for `hours`, under `clause`; nothing of it is automatic."""
        person, account = self._person(txn, arguments), self._account(txn, arguments["account"])
        terms = self._terms(txn, account)
        wanted = Restriction(
            features=read_features(txn, arguments["features"]),
            hours=arguments["hours"],
            clauses=find_clauses(terms, arguments["clause"]),
            case=arguments.get("case"),
            by=person,
            reason=_reason(arguments),
        )
        self._mail.announce(txn, impose(txn, account, terms, wanted), account.tenant_id)
        return self._result(txn, account) | {"features_off": [str(f) for f in self._standing(txn, account).features]}

    def sanction_confirm(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        person, case = self._person(txn, arguments), self._case(txn, arguments["sanction"])
        self._refuse_if_over(case, txn.now)
        self._append(
            txn,
            case.account,
            r.SanctionConfirmed(
                at=txn.now,
                sanction_id=case.sanction.imposed.sanction_id,
                incident_id=case.sanction.imposed.incident_id,
                by=person,
                reason=_reason(arguments),
            ),
        )
        self._answer(txn, case, person)
        return self._result(txn, case.account)

    def sanction_lift(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        person, case = self._person(txn, arguments), self._case(txn, arguments["sanction"])
        self._refuse_if_over(case, txn.now)
        self._append(
            txn,
            case.account,
            r.SanctionLifted(
                at=txn.now,
                sanction_id=case.sanction.imposed.sanction_id,
                incident_id=case.sanction.imposed.incident_id,
                by=person,
                reason=_reason(arguments),
            ),
        )
        self._answer(txn, case, person)
        return self._result(txn, case.account)

    def sanction_annul(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        person, case = self._person(txn, arguments), self._case(txn, arguments["sanction"])
        if self._annul(txn, case, person, _reason(arguments)) == 0:
            raise RefusedError("this decision is annulled already")
        self._answer(txn, case, person)
        return self._result(txn, case.account)

    def hold_release(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """End a protective hold early: somebody has made sure that the account is in its owner's hands again."""
        person = self._person(txn, arguments)
        account_id = txn.account_of(arguments["hold"])
        account = txn.account(account_id) if account_id is not None else None
        if account is None:
            raise UsageError(f"no hold {arguments['hold']}")
        active = [h for h in self._standing(txn, account).holds if h.hold_id == arguments["hold"]]
        if not active:
            raise RefusedError("this hold is over")
        self._append(
            txn,
            account,
            r.HoldReleased(at=txn.now, hold_id=active[0].hold_id, by=person, reason=_reason(arguments)),
        )
        return self._result(txn, account)

    def _annul(self, txn: LedgerTxn, case: _Case, person: str, reason: str) -> int:
        """Annul the incident that owns the sanction, replay the rest, promise the notice. Says how many rows."""
        incident_id = case.sanction.imposed.incident_id
        undone = self._annulment(txn, case, person, reason)
        for record in undone.records:
            self._append(txn, case.account, record)
        if undone.records:
            owned = tuple(s.imposed.sanction_id for s in case.history.sanctions if s.imposed.incident_id == incident_id)
            notice = NoticeDue(
                template="annulled",
                account_id=case.account.account_id,
                incident_id=incident_id,
                sanction_ids=(*owned, *undone.changed_sanctions),
            )
            self._mail.announce(txn, notice, case.account.tenant_id)
        return len(undone.records)

    def _annulment(self, txn: LedgerTxn, case: _Case, person: str, reason: str) -> Annulment:
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
            self._rules.preset,
            incident_id=imposed.incident_id,
            at=txn.now,
            by=person,
            reason=reason,
        )

    def appeal_file(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """File an objection for somebody who asked for it: against one sanction, or all in force of an account."""
        self._person(txn, arguments)
        target = arguments["target"]
        account = self._find_account(txn, target)
        if account is not None:
            filed = self._mail.object_to_all(txn, account, channel="cli")
        else:
            case = self._case(txn, target)
            account = case.account
            if case.sanction.objected_at is not None:
                raise RefusedError("this sanction has been objected to already; one objection a sanction")
            imposed = case.sanction.imposed
            self._mail.file_objection(txn, account, imposed.sanction_id, imposed.incident_id, channel="cli")
            filed = 1
        if filed == 0:
            raise RefusedError("nothing is in force that has not been objected to already")
        return {"filed": filed, "appeals": self._appeals(txn, account)}

    def appeal_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        rows = [row for account in txn.accounts() for row in self._appeals(txn, account)]
        return rows if arguments.get("all") else [row for row in rows if row["outcome"] is None]

    def appeal_decide(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Decide an appeal. Whoever confirmed the sanction cannot decide about it (STANDING 5.5, 5.6)."""
        person = self._person(txn, arguments)
        outcome = arguments["outcome"]
        if outcome not in OUTCOMES:
            raise RefusedError(f"outcome is one of {', '.join(OUTCOMES)}")
        account_id = txn.account_of(arguments["appeal"])
        account = txn.account(account_id) if account_id else None
        rows = self._appeals(txn, account) if account else []
        row = next((x for x in rows if x["appeal_id"] == arguments["appeal"]), None)
        if row is None or account is None:
            raise UsageError(f"no appeal {arguments['appeal']}")
        if row["outcome"] is not None:
            raise RefusedError(f"this appeal is decided: {row['outcome']}")
        case = self._case(txn, row["sanction_id"])
        deciders = {
            x.by
            for x in txn.records(account.account_id)
            if isinstance(x, r.SanctionConfirmed) and x.sanction_id == row["sanction_id"]
        }
        if not case.sanction.imposed.is_automatic:
            deciders.add(case.sanction.imposed.by)
        if person in deciders:
            raise RefusedError(f"{person} decided this sanction; another person decides the appeal")
        reason = _reason(arguments)
        self._append(
            txn,
            account,
            r.AppealDecided(
                at=txn.now,
                appeal_id=row["appeal_id"],
                incident_id=case.sanction.imposed.incident_id,
                outcome=outcome,
                by=person,
                reason=reason,
            ),
        )
        self._answer(txn, case, person)
        if outcome == "granted":
            self._annul(txn, case, person, reason)
        return self._result(txn, account)

    def _answer(self, txn: LedgerTxn, case: _Case, person: str) -> None:
        """A person has looked: an objection that waited for one is answered."""
        if case.sanction.objected_at is not None and case.sanction.answered_at is None:
            imposed = case.sanction.imposed
            answered = r.ObjectionAnswered(
                at=txn.now,
                appeal_id=case.sanction.appeal_id or derived_id("p", imposed.sanction_id),
                sanction_id=imposed.sanction_id,
                by=person,
            )
            self._append(txn, case.account, answered)

    # --- finding ------------------------------------------------------------------------------------------------------

    def _person(self, txn: LedgerTxn, arguments: Arguments) -> str:
        name, role = acting_person(txn, arguments)
        if role not in DECIDING:
            raise RefusedError(f"{name} has role {role}; deciding about accounts takes one of {', '.join(DECIDING)}")
        return name

    def _find_account(self, txn: LedgerTxn, text: str) -> Account | None:
        if text.startswith("a_"):
            return txn.account(text)
        ref = txn.find_account(text)
        return txn.account(ref.account_id) if ref is not None else None

    def _account(self, txn: LedgerTxn, text: str) -> Account:
        account = self._find_account(txn, text)
        if account is None:
            raise UsageError(f"no account {text}")
        return account

    def _terms(self, txn: LedgerTxn, account: Account) -> Agreement:
        tenant = txn.tenant(account.tenant_id)
        return self._rules.terms_for(tenant, txn.now)

    def _standing(self, txn: LedgerTxn, account: Account) -> Standing:
        return standing_at(txn.history(account.account_id), self._terms(txn, account), txn.now)

    def _case(self, txn: LedgerTxn, text: str) -> _Case:
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
        terms = self._terms(txn, account)
        active = {s.sanction_id for s in standing_at(history, terms, txn.now).sanctions}
        # Of a case that climbed, what is in force counts, and of that the highest step.
        sanction = max(found, key=lambda s: (s.imposed.sanction_id in active, s.imposed.step))
        terms = self._rules.terms_with(sanction.imposed.clauses, terms)
        return _Case(account=account, terms=terms, history=history, sanction=sanction)

    def _refuse_if_over(self, case: _Case, now: datetime) -> None:
        active = standing_at(case.history, case.terms, now).sanctions
        if all(s.sanction_id != case.sanction.imposed.sanction_id for s in active):
            raise RefusedError("this sanction is over; annul it if it was wrong")

    def _appeals(self, txn: LedgerTxn, account: Account) -> list[dict[str, Any]]:
        records = txn.records(account.account_id)
        outcomes = {x.appeal_id: x.outcome for x in records if isinstance(x, r.AppealDecided)}
        annulled = {x.incident_id for x in records if isinstance(x, r.StrikeAnnulled)}
        return [
            {
                "appeal_id": x.appeal_id,
                "login": account.login,
                "sanction_id": x.sanction_id,
                "incident_id": x.incident_id,
                "filed_at": _iso(x.at),
                "channel": x.channel,
                # What was objected to is gone: nothing is left to decide.
                "outcome": outcomes.get(x.appeal_id) or ("moot" if x.incident_id in annulled else None),
            }
            for x in records
            if isinstance(x, r.ObjectionFiled)
        ]

    def _append(self, txn: LedgerTxn, account: Account, record: r.Record) -> None:
        txn.append(record, account_id=account.account_id, tenant_id=account.tenant_id)

    def _result(self, txn: LedgerTxn, account: Account) -> dict[str, Any]:
        return _row(account, self._standing(txn, account))


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


def _row(account: Account, standing: Standing) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "tenant_id": account.tenant_id,
        "login": account.login,
        "retired_at": _iso(account.retired_at),
        "standing": standing.conduct.value,
        "until": _iso(standing.until),
        "points": standing.half_points / 2,
        "provisional_points": (standing.half_points - standing.final_half_points) / 2,
    }


def _reason(arguments: Arguments) -> str:
    reason = str(arguments.get("reason") or "").strip()
    if not reason:
        raise RefusedError("say why: --reason")
    return reason


def _iso(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at is not None else None


def _plain(value: Any) -> Any:
    """Turn records into JSON-safe values, points and ids as they are."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, (tuple, list, frozenset)):
        return [_plain(v) for v in value]
    return value
