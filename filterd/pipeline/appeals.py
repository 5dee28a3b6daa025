"""Objections and appeals: filing one, listing, looking, and the steps of its review.  STANDING 5.6.

Verbs as in `pipeline/review`: a JSON-safe dictionary with the person's `token` in, a JSON-safe answer out. Deciding is
in appeal_decide, what the reviewer sees in appeal_show, the page behind the signed link in appeal_page.
"""

from __future__ import annotations

from typing import Any

from filterd.agreement.appeal import is_alarm
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.principal import Account, Tenant
from filterd.pipeline import tenant_appeals
from filterd.pipeline.appeal_decide import decide, decide_batch
from filterd.pipeline.appeal_desk import (
    AppealCase,
    acting_on,
    call_desk,
    cases_of,
    file,
    find,
    open_targets,
    reviewer,
    text_in,
)
from filterd.pipeline.appeal_online import file_online, look_online
from filterd.pipeline.appeal_show import show
from filterd.pipeline.desk import Desk, iso, reason_in
from filterd.pipeline.enterprise import note_appeal
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.people import Actor, Arguments, PlainVerb
from filterd.pipeline.roles import permitted, reaches, refuse_unless_reached
from filterd.pipeline.tenant_appeals import TenantAppeal
from filterd.pipeline.tenant_objections import file_step, in_force, open_steps
from filterd.ports import LedgerTxn

# What the ids of appeals begin with (model.ids).
_APPEAL = "p"


class AppealVerbs:
    """The verbs about objections and appeals. One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "appeal.file": self.appeal_file,
            "appeal.list": self.appeal_list,
            "appeal.show": self.appeal_show,
            "appeal.claim": self.appeal_claim,
            "appeal.assign": self.appeal_assign,
            "appeal.ask": self.appeal_ask,
            "appeal.add": self.appeal_add,
            "appeal.decide": self.appeal_decide,
            "appeal.decide_batch": self.appeal_decide_batch,
            "appeal.reopen": self.appeal_reopen,
            # From the page behind the signed link; whoever serves it has checked the link.
            "appeal.look_online": lambda txn, arguments: look_online(self._desk, txn, arguments),
            "appeal.file_online": lambda txn, arguments: file_online(self._desk, txn, arguments),
        }

    # --- the account's side -------------------------------------------------------------------------------------------

    def appeal_file(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """File an objection for somebody who asked for it: against all in force of an account, or against a sanction,
        incident or case, in force or over. `text`: their words; `late`: out of time, and taken all the same."""
        actor = permitted(txn, arguments, "appeal.file")
        said = str(arguments["target"])
        if (tenant := txn.tenant(said) or txn.tenant(txn.account_of(said) or "")) is not None:
            return self._file_of_tenant(txn, actor, tenant, said, text_in(arguments.get("text")))
        account = self._desk.find_account(txn, said)
        if account is not None:
            self._desk.refuse_unless_reached(txn, actor, "appeal.file", account)
            filed = self._desk.mail.object_to_all(txn, account, channel="cli", tenant_id=account.tenant_id)
            if filed == 0:
                raise RefusedError("nothing is in force that has not been objected to already")
            return {"filed": filed, "appeals": appeals_of(self._desk, txn, account)}
        owner = txn.account_of(said)
        account = txn.account(owner) if owner is not None else None
        if account is None:
            raise UsageError(f"no account, sanction or case {said}")
        self._desk.refuse_unless_reached(txn, actor, "appeal.file", account)
        is_late = bool(arguments.get("late"))
        if is_late and actor.scope is not None:
            raise RefusedError("an appeal out of time is taken by the enforcing party's own people")
        found = open_targets(self._desk, txn, account, case=said, is_late_taken=is_late)
        if not found:
            raise RefusedError(self._why_none(txn, account, said))
        # Of a case that climbed the highest sanction stands for the whole; each has an objection of its own.
        target = max(found, key=lambda x: x.sanction.imposed.step if x.sanction is not None else -1)
        file(self._desk, txn, account, target, channel="cli", text=text_in(arguments.get("text")))
        return {"filed": 1, "appeals": appeals_of(self._desk, txn, account)}

    def _file_of_tenant(
        self, txn: LedgerTxn, actor: Actor, tenant: Tenant, said: str, text: str | None
    ) -> dict[str, Any]:
        """File one for a tenant's side: against all steps in force, or against the one `said` names."""
        terms = self._desk.rules.terms_for(tenant, txn.now)
        refuse_unless_reached(txn, actor, "appeal.file", tenant, enforcing_party=terms.enforcing_party)
        if said == tenant.tenant_id:
            steps = in_force(txn, tenant, terms)
        else:
            steps = tuple(x for x in open_steps(txn, tenant, terms) if x.step_id == said)
        if not steps:
            raise RefusedError("nothing of it can be contested, or it has been already; one objection a step")
        for step in steps:
            file_step(txn, tenant, terms, step, channel="cli", text=text)
            text = None
        found = tenant_appeals.cases_of(self._desk.rules, txn, tenant)
        return {"filed": len(steps), "appeals": [tenant_appeals.row_of(txn, x) for x in found]}

    def _why_none(self, txn: LedgerTxn, account: Account, said: str) -> str:
        known = open_targets(self._desk, txn, account, case=said, is_late_taken=True)
        if known:
            return "the time to appeal is over; --late takes it all the same"
        return "this sanction has been objected to already; one objection a sanction. Reopen it on new evidence"

    def appeal_add(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Write down what the account's side added, in `text`; who was asked has answered."""
        text = text_in(arguments.get("text"))
        if text is None:
            raise RefusedError("say what was added: --text")
        if (theirs := self._open_of_tenant(txn, arguments, "appeal.file")) is not None:
            ours = {"appeal_id": theirs[1].appeal.appeal_id, "incident_id": theirs[1].step.step_id}
            tenant_appeals.append(txn, theirs[1], r.AppealAdded(at=txn.now, channel="cli", **ours), text)
            return self._row(txn, theirs[1].appeal.appeal_id)
        _, case = self._open(txn, arguments, "appeal.file")
        added = r.AppealAdded(
            at=txn.now,
            appeal_id=case.appeal.appeal_id,
            incident_id=case.appeal.filed.incident_id,
            channel="cli",
        )
        self._desk.append(txn, case.account, added, {"text": text})
        return self._row(txn, case.appeal.appeal_id)

    # --- the reviewer's side ------------------------------------------------------------------------------------------

    def appeal_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the appeals that wait for a decision, or `all`; the one to be decided first comes first."""
        actor = permitted(txn, arguments, "look") if arguments.get("token") else None
        rows = []
        for subject_id in txn.bearing(_APPEAL):
            account, owner = txn.account(subject_id), txn.tenant(subject_id)
            if owner is not None and (actor is None or reaches(txn, actor, owner)):
                found = tenant_appeals.cases_of(self._desk.rules, txn, owner)
                rows += [tenant_appeals.row_of(txn, x) for x in found]
            if account is None:
                continue
            if actor is None or reaches(txn, actor, txn.tenant(account.tenant_id)):
                rows += appeals_of(self._desk, txn, account)
        wanted = rows if arguments.get("all") else [row for row in rows if row["outcome"] is None]
        return sorted(wanted, key=lambda row: (row["outcome"] is not None, str(row["decide_by"]), row["appeal_id"]))

    def appeal_show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say all that whoever decides needs to see, but no mail: `evidence read` shows that, and puts it on record."""
        theirs = tenant_appeals.acting_on(self._desk.rules, txn, arguments, "appeal.decide")
        if theirs is not None:
            return tenant_appeals.show(txn, theirs[1])
        actor, case = acting_on(self._desk, txn, arguments, "appeal.decide")
        return show(self._desk, txn, case, actor) | self._row(txn, case.appeal.appeal_id)

    def appeal_claim(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Take an appeal up: the first look. Whoever may not decide it cannot take it either."""
        actor, case = self._open_of_either(txn, arguments)
        self._refuse_unless_reviewer(txn, actor, case)
        if case.appeal.reviewer not in (None, actor.name):
            raise RefusedError(f"{case.appeal.reviewer} has it; --reviewer of appeal assign hands it over")
        return self._assign(txn, case, actor.name, by=actor.name)

    def appeal_assign(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Give an appeal to somebody else. It has been looked at when they claim it, not before."""
        actor, case = self._open_of_either(txn, arguments)
        name = str(arguments.get("reviewer") or "")
        if name not in dict(txn.people()):
            raise UsageError(f"nobody is called {name!r}")
        return self._assign(txn, case, name, by=actor.name)

    def appeal_ask(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Ask the account's side something, in `text`. The time to decide goes on."""
        actor, case = self._open_of_either(txn, arguments)
        self._refuse_unless_reviewer(txn, actor, case)
        text = text_in(arguments.get("text"))
        if text is None:
            raise RefusedError("say what is asked: --text")
        filed = case.appeal.filed
        asked = r.AppealQuestioned(
            at=txn.now, appeal_id=filed.appeal_id, incident_id=filed.incident_id, by=actor.name
        )
        self._append(txn, case, asked, text)
        facts: Facts = {
            "appeal_id": filed.appeal_id,
            "incident_id": filed.incident_id,
            "asked_at": txn.now,
            "answer_by": case.targets(txn.now).decide_by,
        }
        announce_event(txn, "appeal_info_requested", case.subject_id, facts)
        return self._row(txn, filed.appeal_id)

    def appeal_decide(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Decide an appeal: see appeal_decide, and tenant_appeals for a tenant's."""
        theirs = tenant_appeals.acting_on(self._desk.rules, txn, arguments, "appeal.decide")
        if theirs is not None:
            return tenant_appeals.decide(self._desk.rules, txn, *theirs, arguments)
        return decide(self._desk, txn, arguments)

    def appeal_decide_batch(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Decide an appeal and all open ones like it by one act: see appeal_decide."""
        return decide_batch(self._desk, txn, arguments)

    def appeal_reopen(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Open a decided appeal again, once, on new evidence."""
        theirs = tenant_appeals.acting_on(self._desk.rules, txn, arguments, "appeal.decide")
        if theirs is not None:
            tenant_appeals.reopen(self._desk.rules, txn, *theirs, reason_in(arguments))
            return self._row(txn, theirs[1].appeal.appeal_id)
        actor, case = acting_on(self._desk, txn, arguments, "appeal.decide")
        if not case.appeal.can_reopen or case.incident.is_void:
            why = "it is open" if case.appeal.is_open else "it was granted, or opened again before"
            raise RefusedError(f"this appeal is not reopened: {why}")
        filed = case.appeal.filed
        reopened = r.AppealReopened(
            at=txn.now,
            appeal_id=filed.appeal_id,
            incident_id=filed.incident_id,
            by=actor.name,
            reason=reason_in(arguments),
        )
        self._desk.append(txn, case.account, reopened)
        note_appeal(
            txn,
            case.account,
            case.incident.opened.tenant_id or case.account.tenant_id,
            appeal_id=filed.appeal_id,
            incident_id=filed.incident_id,
            is_open=True,
        )
        due = find(self._desk, txn, filed.appeal_id).targets(txn.now)
        announce_event(
            txn,
            "appeal_reopened",
            case.account.account_id,
            {
                "appeal_id": filed.appeal_id,
                "incident_id": filed.incident_id,
                "at": txn.now,
                "decide_by": due.decide_by,
            },
        )
        call_desk(txn, case.account, filed.appeal_id, "appeal_reopened", due.look_by)
        return self._row(txn, filed.appeal_id)

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _open(self, txn: LedgerTxn, arguments: Arguments, verb: str) -> tuple[Actor, AppealCase]:
        actor, case = acting_on(self._desk, txn, arguments, verb)
        if not case.appeal.is_open:
            raise RefusedError(f"this appeal is over: {case.appeal.outcome or case.appeal.state.value}")
        return actor, case

    def _open_of_tenant(
        self, txn: LedgerTxn, arguments: Arguments, verb: str
    ) -> tuple[Actor, TenantAppeal] | None:
        """Say who acts on an open appeal of a tenant's side; None where it is an account's."""
        theirs = tenant_appeals.acting_on(self._desk.rules, txn, arguments, verb)
        if theirs is not None and not theirs[1].appeal.is_open:
            raise RefusedError(f"this appeal is over: {theirs[1].appeal.outcome}")
        return theirs

    def _open_of_either(self, txn: LedgerTxn, arguments: Arguments) -> tuple[Actor, AppealCase | TenantAppeal]:
        theirs = self._open_of_tenant(txn, arguments, "appeal.decide")
        return theirs if theirs is not None else self._open(txn, arguments, "appeal.decide")

    def _refuse_unless_reviewer(self, txn: LedgerTxn, actor: Actor, case: AppealCase | TenantAppeal) -> None:
        if isinstance(case, TenantAppeal):
            tenant_appeals.reviewer(self._desk.rules, txn, actor, case)
        else:
            reviewer(self._desk, txn, actor, case)

    def _append(
        self, txn: LedgerTxn, case: AppealCase | TenantAppeal, record: r.Record, text: str | None = None
    ) -> None:
        if isinstance(case, TenantAppeal):
            tenant_appeals.append(txn, case, record, text)
        else:
            self._desk.append(txn, case.account, record, {"text": text} if text else None)

    def _assign(self, txn: LedgerTxn, case: AppealCase | TenantAppeal, name: str, *, by: str) -> Any:
        filed = case.appeal.filed
        assigned = r.AppealAssigned(
            at=txn.now, appeal_id=filed.appeal_id, incident_id=filed.incident_id, reviewer=name, by=by
        )
        self._append(txn, case, assigned)
        return self._row(txn, filed.appeal_id)

    def _row(self, txn: LedgerTxn, appeal_id: str) -> dict[str, Any]:
        theirs = tenant_appeals.find(self._desk.rules, txn, appeal_id)
        return tenant_appeals.row_of(txn, theirs) if theirs else row_of(txn, find(self._desk, txn, appeal_id))


def appeals_of(desk: Desk, txn: LedgerTxn, account: Account) -> list[dict[str, Any]]:
    """Say every appeal of an account, the decided ones too."""
    return [row_of(txn, case) for case in cases_of(desk, txn, account)]


def row_of(txn: LedgerTxn, case: AppealCase) -> dict[str, Any]:
    """Say an appeal in JSON."""
    appeal, due = case.appeal, case.targets(txn.now)
    return {
        "appeal_id": appeal.appeal_id,
        "login": case.account.login,
        "account_id": case.account.account_id,
        "sanction_id": appeal.filed.sanction_id,
        "incident_id": appeal.filed.incident_id,
        "filed_at": iso(appeal.filed.at),
        "channel": appeal.filed.channel,
        "state": appeal.state.value,
        "reviewer": appeal.reviewer,
        "look_by": iso(due.look_by),
        "decide_by": iso(due.decide_by),
        "missed": list(due.missed),
        "is_alarm": is_alarm(appeal, case.sanction, case.terms, txn.now),
        # What was objected to is gone: nothing is left to decide.
        "outcome": appeal.outcome or ("moot" if appeal.is_moot else None),
    }
