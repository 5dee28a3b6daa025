"""Claims about customers, taken in by people: verifications, rights holders' notices, reports to authorities.

TX-3.1.2: a verification that fails is a task for a person. TX-3.3.2 tail-f, 3.5.4: a notice that lacks something goes
back, and nothing can follow from it before it is complete. TX-4.3.2: what may be due to an authority is a list that
people work off; filterd sends nothing to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import random_id
from filterd.model.principal import Account
from filterd.pipeline.desk import Desk, iso, plain, reason_in
from filterd.pipeline.grounds import missing_of
from filterd.pipeline.notice_events import announce_event
from filterd.pipeline.people import Actor, Arguments, PlainVerb, find_tenant
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.pipeline.register_acts import names, required
from filterd.pipeline.roles import LOOK, is_scoped, permitted, reaches, refuse_unless_reached
from filterd.pipeline.urgent import TO_JUDGE_RIGHTS
from filterd.ports import LedgerTxn

MATTERS = ("name", "licence", "domain", "contact", "payment")
OUTCOMES = ("failed", "passed")
RIGHTS = ("reputation", "portrait", "ip", "secret")
# What a rights holder's notice must hold. `authority`: that whoever writes may act for the holder.
FIELDS = ("identity", "contact", "authority", "right", "location", "statement")
AUTHORITIES = ("public_security", "state_security", "telecom", "market", "data_protection", "other")
TO_VERIFY = "verification failed"


class ClaimVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "tenant.verify": self.verify,
            "rights.file": self.rights_file,
            "rights.add": self.rights_add,
            "rights.list": self.rights_list,
            "report.open": self.report_open,
            "report.list": self.report_list,
            "report.not_required": self.report_not_required,
        }

    # --- verification -------------------------------------------------------------------------------------------------

    def verify(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Note what came of verifying a `matter` of a `tenant`. A failure is a task for a person, and nothing else."""
        actor = permitted(txn, arguments, "tenant.verify")
        tenant = find_tenant(txn, required(arguments, "tenant"))
        terms = self._desk.rules.terms_for(tenant, txn.now)
        refuse_unless_reached(txn, actor, "tenant.verify", tenant, enforcing_party=terms.enforcing_party)
        matter, outcome = required(arguments, "matter"), required(arguments, "outcome")
        if matter not in MATTERS or outcome not in OUTCOMES:
            raise RefusedError(f"matter is one of {', '.join(MATTERS)}; outcome is {' or '.join(OUTCOMES)}")
        noted = r.VerificationNoted(
            at=txn.now,
            verification_id=random_id("vf", txn.now),
            tenant_id=tenant.tenant_id,
            matter=matter,
            outcome=outcome,
            document=required(arguments, "document"),
            by=actor.name,
        )
        txn.append(noted, account_id=None, tenant_id=tenant.tenant_id)
        said = {"verification_id": noted.verification_id, "tenant_id": tenant.tenant_id, "outcome": outcome}
        if outcome != "failed":
            return said | {"task_id": None}
        task = _task(txn, TO_VERIFY, "", terms.incident.task_due_hours)
        txn.append(task, account_id=None, tenant_id=tenant.tenant_id)
        return said | {"task_id": task.task_id}

    # --- rights -------------------------------------------------------------------------------------------------------

    def rights_file(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Take a rights holder's notice about an `account` in: its `right`, the `fields` it has, and where it is filed.

        `holder` is where what is missing is asked for; the address is in the letter alone, and in no row.
        """
        account, actor = self._account(txn, arguments, "rights.file")
        right = required(arguments, "right")
        if right not in RIGHTS:
            raise RefusedError(f"right is one of {', '.join(RIGHTS)}")
        missing = _missing(names(arguments, "fields"), FIELDS)
        holder = str(arguments.get("holder") or "")
        if missing and "@" not in holder:
            raise RefusedError(f"it lacks {', '.join(missing)}: say whom to ask for it: --holder ADDRESS")
        filed = r.RightsNoticeFiled(
            at=txn.now,
            rights_id=random_id("rn", txn.now),
            account_id=account.account_id,
            right=right,
            missing=missing,
            document=required(arguments, "document"),
            by=actor.name,
        )
        self._desk.append(txn, account, filed)
        return self._answered(txn, account, filed, missing, holder)

    def rights_add(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Note that a notice (`rights`) was completed by these `fields`, or in part."""
        wanted = required(arguments, "rights")
        owner = txn.account_of(wanted)
        account, actor = self._account(txn, {**arguments, "account": owner or ""}, "rights.file")
        records = txn.records(account.account_id)
        filed = next((x for x in records if isinstance(x, r.RightsNoticeFiled) and x.rights_id == wanted), None)
        if filed is None:
            raise UsageError(f"no notice {wanted}")
        before = missing_of(records, filed)
        if not before:
            raise RefusedError(f"{wanted} is complete already")
        missing = _missing(names(arguments, "fields"), before)
        added = r.RightsNoticeAdded(
            at=txn.now, rights_id=wanted, account_id=account.account_id, missing=missing, by=actor.name
        )
        self._desk.append(txn, account, added)
        return self._answered(txn, account, filed, missing, str(arguments.get("holder") or ""))

    def rights_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say every rights holder's notice, and what each lacks."""
        actor = permitted(txn, arguments, LOOK) if arguments.get("token") else None
        rows = []
        for subject_id in txn.bearing("rn"):
            account = txn.account(subject_id)
            tenant = txn.tenant(account.tenant_id) if account is not None else None
            if actor is not None and not reaches(txn, actor, tenant):
                continue
            records = txn.records(subject_id)
            filed = (x for x in records if isinstance(x, r.RightsNoticeFiled))
            rows += [plain(x) | {"missing": list(missing_of(records, x))} for x in filed]
        return rows

    def _answered(
        self, txn: LedgerTxn, account: Account, filed: r.RightsNoticeFiled, missing: tuple[str, ...], holder: str
    ) -> dict[str, Any]:
        """Ask the holder for what is missing; with nothing missing, ask a person to judge it."""
        said: dict[str, Any] = {"rights_id": filed.rights_id, "missing": list(missing), "task_id": None}
        if not missing:
            task = _task(
                txn, TO_JUDGE_RIGHTS, account.account_id, self._desk.terms(txn, account).incident.task_due_hours
            )
            self._desk.append(txn, account, task)
            return said | {"task_id": task.task_id}
        if holder:
            announce_event(
                txn,
                "rights_incomplete",
                None,
                {
                    "rights_id": filed.rights_id,
                    "right": filed.right,
                    "missing": missing,
                    "received_at": filed.at,
                },
                recipient=holder,
            )
        return said

    def _account(self, txn: LedgerTxn, arguments: Arguments, verb: str) -> tuple[Account, Actor]:
        account = self._desk.account(txn, required(arguments, "account"))
        return account, self._desk.permit(txn, arguments, verb, account)

    # --- reports ------------------------------------------------------------------------------------------------------

    def report_open(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Put on the list that a report may be due to an `authority`, under a `ground`, by the end of a day (`due`)."""
        actor = permitted(txn, arguments, "report.open")
        authority = required(arguments, "authority")
        if authority not in AUTHORITIES:
            raise RefusedError(f"authority is one of {', '.join(AUTHORITIES)}")
        account = self._desk.account(txn, str(arguments["account"])) if arguments.get("account") else None
        tenant = txn.tenant(account.tenant_id) if account is not None else None
        calendar = self._desk.rules.terms_for(tenant, txn.now).calendar
        try:
            due_at = calendar.end_of(date.fromisoformat(required(arguments, "due")))
        except ValueError:
            raise RefusedError("due is a day, YYYY-MM-DD") from None
        opened = r.ReportOpened(
            at=txn.now,
            report_id=random_id("rp", txn.now),
            account_id=account.account_id if account is not None else None,
            authority=authority,
            ground=required(arguments, "ground"),
            due_at=due_at,
            by=actor.name,
        )
        # Among the site's own rows: an account's are read by its tenant.
        txn.append(opened, account_id=None, tenant_id=None)
        return {"report_id": opened.report_id, "due_at": iso(opened.due_at)}

    def report_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the reports that nobody has settled, or `all`; to the platform's own people alone."""
        actor = permitted(txn, arguments, LOOK) if arguments.get("token") else None
        if actor is not None and is_scoped(actor):
            raise RefusedError("what may be due to an authority is for the platform's own people")
        settled = {x.report_id: x for x in _site(txn, r.ReportSettled)}
        return [
            plain(x)
            | {
                "overdue": x.report_id not in settled and x.due_at <= txn.now,
                "outcome": settled[x.report_id].outcome if x.report_id in settled else None,
                "decided_by": settled[x.report_id].by if x.report_id in settled else None,
            }
            for x in _site(txn, r.ReportOpened)
            if arguments.get("all") or x.report_id not in settled
        ]

    def report_not_required(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Close a `report` as not required, with a `reason`."""
        actor = permitted(txn, arguments, "report.settle")
        opened = _open_report(txn, required(arguments, "report"))
        settled = r.ReportSettled(
            at=txn.now,
            report_id=opened.report_id,
            account_id=opened.account_id,
            outcome="not_required",
            by=actor.name,
            reason=reason_in(arguments),
        )
        txn.append(settled, account_id=None, tenant_id=None)
        return {"report_id": opened.report_id, "outcome": settled.outcome, "by": actor.name}


# --- reported, by two people ------------------------------------------------------------------------------------------


def _prepare(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Mapping[str, Any]:
    """Say which `report` was made, and the `document` in which the two people made it."""
    opened = _open_report(txn, required(arguments, "report"))
    return {"report": opened.report_id, "document": required(arguments, "document")}


def _rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, said: Mapping[str, Any]) -> Mapping[str, Any]:
    settled = {x.report_id for x in _site(txn, r.ReportSettled)}
    return {"is_open": int(said["report"] not in settled)}


def _carry_out(desk: Desk, txn: LedgerTxn, decided: Decided) -> Mapping[str, Any]:
    opened = _open_report(txn, str(decided.terms["report"]))
    settled = r.ReportSettled(
        at=txn.now,
        report_id=opened.report_id,
        account_id=opened.account_id,
        outcome="reported",
        by=decided.proposal.by,
        reason=decided.proposal.reason,
        document=str(decided.terms["document"]),
        approver=decided.approved.by,
    )
    txn.append(settled, account_id=None, tenant_id=None)
    return {"report_id": opened.report_id, "outcome": settled.outcome}


REPORTED = Act(
    name="report.made",
    about="site",
    prepare=_prepare,
    rests_on=_rests_on,
    carry_out=_carry_out,
    can_be_alone=False,
    is_secret=True,
)


def _open_report(txn: LedgerTxn, report_id: str) -> r.ReportOpened:
    opened = next((x for x in txn.history(SITE).of(r.ReportOpened) if x.report_id == report_id), None)
    if opened is None:
        raise UsageError(f"no report {report_id}")
    if any(x.report_id == report_id for x in _site(txn, r.ReportSettled)):
        raise RefusedError(f"{report_id} is settled already")
    return opened


def _site(txn: LedgerTxn, kind: type[Any]) -> tuple[Any, ...]:
    return txn.history(SITE).of(kind)


def _missing(has: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    if strange := [x for x in has if x not in FIELDS]:
        raise RefusedError(f"{strange[0]!r} is no part of a notice; those are {', '.join(FIELDS)}")
    return tuple(x for x in wanted if x not in has)


def _task(txn: LedgerTxn, what: str, account_id: str, hours: int) -> r.TaskOpened:
    return r.TaskOpened(
        at=txn.now,
        task_id=random_id("w", txn.now),
        incident_id="",
        account_id=account_id,
        what=what,
        warranted="none",
        imposed="none",
        due_at=txn.now + timedelta(hours=hours),
    )
