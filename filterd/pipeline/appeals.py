"""Objections and appeals: filing one, listing, looking, and the steps of its review.  STANDING 5.6.

Verbs as in `pipeline/review`: a JSON-safe dictionary with the person's `token` in, a JSON-safe answer out. Deciding is
in appeal_decide, what the reviewer sees in appeal_show, the page behind the signed link in appeal_page.
"""

from __future__ import annotations

from typing import Any

from filterd.agreement.appeal import is_alarm
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.principal import Account
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
from filterd.pipeline.notice_events import announce_event
from filterd.pipeline.people import Actor, Arguments, PlainVerb
from filterd.pipeline.roles import permitted, reaches
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
        account = self._desk.find_account(txn, said)
        if account is not None:
            self._desk.refuse_unless_reached(txn, actor, "appeal.file", account)
            filed = self._desk.mail.object_to_all(txn, account, channel="cli")
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

    def _why_none(self, txn: LedgerTxn, account: Account, said: str) -> str:
        known = open_targets(self._desk, txn, account, case=said, is_late_taken=True)
        if known:
            return "the time to appeal is over; --late takes it all the same"
        return "this sanction has been objected to already; one objection a sanction. Reopen it on new evidence"

    def appeal_add(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Write down what the account's side added, in `text`; who was asked has answered."""
        _, case = self._open(txn, arguments, "appeal.file")
        text = text_in(arguments.get("text"))
        if text is None:
            raise RefusedError("say what was added: --text")
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
            account = txn.account(subject_id)
            if account is None:
                continue
            if actor is None or reaches(txn, actor, txn.tenant(account.tenant_id)):
                rows += appeals_of(self._desk, txn, account)
        wanted = rows if arguments.get("all") else [row for row in rows if row["outcome"] is None]
        return sorted(wanted, key=lambda row: (row["outcome"] is not None, str(row["decide_by"]), row["appeal_id"]))

    def appeal_show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say all that whoever decides needs to see, but no mail: `evidence read` shows that, and puts it on record."""
        actor, case = acting_on(self._desk, txn, arguments, "appeal.decide")
        return show(self._desk, txn, case, actor) | self._row(txn, case.appeal.appeal_id)

    def appeal_claim(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Take an appeal up: the first look. Whoever may not decide it cannot take it either."""
        actor, case = self._open(txn, arguments, "appeal.decide")
        reviewer(self._desk, txn, actor, case)
        if case.appeal.reviewer not in (None, actor.name):
            raise RefusedError(f"{case.appeal.reviewer} has it; --reviewer of appeal assign hands it over")
        return self._assign(txn, case, actor.name, by=actor.name)

    def appeal_assign(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Give an appeal to somebody else. It has been looked at when they claim it, not before."""
        actor, case = self._open(txn, arguments, "appeal.decide")
        name = str(arguments.get("reviewer") or "")
        if name not in dict(txn.people()):
            raise UsageError(f"nobody is called {name!r}")
        return self._assign(txn, case, name, by=actor.name)

    def appeal_ask(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Ask the account's side something, in `text`. The time to decide goes on."""
        actor, case = self._open(txn, arguments, "appeal.decide")
        reviewer(self._desk, txn, actor, case)
        text = text_in(arguments.get("text"))
        if text is None:
            raise RefusedError("say what is asked: --text")
        filed = case.appeal.filed
        asked = r.AppealQuestioned(
            at=txn.now, appeal_id=filed.appeal_id, incident_id=filed.incident_id, by=actor.name
        )
        self._desk.append(txn, case.account, asked, {"text": text})
        announce_event(
            txn,
            "appeal_info_requested",
            case.account.account_id,
            {
                "appeal_id": filed.appeal_id,
                "incident_id": filed.incident_id,
                "asked_at": txn.now,
                "answer_by": case.targets(txn.now).decide_by,
            },
        )
        return self._row(txn, filed.appeal_id)

    def appeal_decide(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Decide an appeal: see appeal_decide."""
        return decide(self._desk, txn, arguments)

    def appeal_decide_batch(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Decide an appeal and all open ones like it by one act: see appeal_decide."""
        return decide_batch(self._desk, txn, arguments)

    def appeal_reopen(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Open a decided appeal again, once, on new evidence."""
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

    def _assign(self, txn: LedgerTxn, case: AppealCase, name: str, *, by: str) -> Any:
        filed = case.appeal.filed
        assigned = r.AppealAssigned(
            at=txn.now, appeal_id=filed.appeal_id, incident_id=filed.incident_id, reviewer=name, by=by
        )
        self._desk.append(txn, case.account, assigned)
        return self._row(txn, filed.appeal_id)

    def _row(self, txn: LedgerTxn, appeal_id: str) -> dict[str, Any]:
        return row_of(txn, find(self._desk, txn, appeal_id))


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
