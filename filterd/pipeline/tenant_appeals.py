"""Appeals of a tenant's side against a step: reviewed and decided.  STANDING 5.5, 5.6, 5.4 rows 4 and 11.

The rules are those of an account's appeal, another reviewer above all; one against a termination keeps that from taking
effect. Rows stand in the tenant's own history. What differs: there are no points, so a grant ends the step and runs no
ladder, and partially granted means that it is lifted. The verbs are in pipeline/appeals, which asks here where an
appeal is a tenant's; filing one is in tenant_objections.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from filterd.agreement.appeal import (
    GRANTED,
    OUTCOMES,
    PARTIALLY,
    WITHDRAWN,
    AppealFile,
    Targets,
    appeals,
    targets_until,
)
from filterd.agreement.appeal_review import Review, may_review
from filterd.agreement.proposal import staffing_of
from filterd.agreement.tenant_termination import ANNULLED, TERMINATE, begun_at
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.principal import Tenant
from filterd.model.standing import History
from filterd.pipeline.desk import iso, plain, reason_in
from filterd.pipeline.notice_events import announce_event
from filterd.pipeline.people import Actor, Arguments
from filterd.pipeline.roles import deciders, permitted, refuse_unless_reached
from filterd.pipeline.tenant_acts import end_tenant_step
from filterd.pipeline.tenant_end import end_termination
from filterd.pipeline.tenant_objections import call_desk
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantAppeal:
    """An appeal against a step, with everything around it."""

    tenant: Tenant
    terms: Agreement
    history: History
    records: tuple[r.Record, ...]
    appeal: AppealFile
    step: r.TenantStepTaken

    @property
    def subject_id(self) -> str:
        """Whose history has its rows."""
        return self.tenant.tenant_id

    def targets(self, at: datetime) -> Targets:
        return targets_until(self.appeal, self.step.ends_at, self.terms, at)


def find(rules: DeskRules, txn: LedgerTxn, appeal_id: str) -> TenantAppeal | None:
    """Find a tenant's appeal by its id; None for one that is no tenant's."""
    tenant = txn.tenant(txn.account_of(appeal_id) or "")
    found = cases_of(rules, txn, tenant) if tenant is not None else ()
    return next((x for x in found if x.appeal.appeal_id == appeal_id), None)


def cases_of(rules: DeskRules, txn: LedgerTxn, tenant: Tenant) -> tuple[TenantAppeal, ...]:
    """Say every appeal of a tenant's side, the oldest first."""
    records = txn.records(tenant.tenant_id)
    files = appeals(records)
    if not files:
        return ()
    history, terms = txn.history(tenant.tenant_id), rules.terms_for(tenant, txn.now)
    steps = {x.step_id: x for x in history.of(r.TenantStepTaken)}
    return tuple(
        TenantAppeal(
            tenant=tenant,
            terms=terms,
            history=history,
            records=records,
            appeal=x,
            step=steps[x.filed.sanction_id],
        )
        for x in files
        if x.filed.sanction_id in steps
    )


# --- looking ----------------------------------------------------------------------------------------------------------


def row_of(txn: LedgerTxn, case: TenantAppeal) -> dict[str, Any]:
    """Say an appeal in JSON, with the names an account's has."""
    appeal = case.appeal
    due = case.targets(txn.now)
    return {
        "appeal_id": appeal.appeal_id,
        "login": case.tenant.name,
        "account_id": None,
        "tenant_id": case.tenant.tenant_id,
        "sanction_id": case.step.step_id,
        "incident_id": case.step.step_id,
        "filed_at": iso(appeal.filed.at),
        "channel": appeal.filed.channel,
        "state": appeal.state.value,
        "reviewer": appeal.reviewer,
        "look_by": iso(due.look_by),
        "decide_by": iso(due.decide_by),
        "missed": list(due.missed),
        # No clock eases a step against a tenant: people have to.
        "is_alarm": appeal.is_open and bool(due.missed),
        "outcome": appeal.outcome,
    }


def show(txn: LedgerTxn, case: TenantAppeal) -> dict[str, Any]:
    """Say what whoever decides needs to see: the step, what it rests on, what was said. No mail."""
    step = case.step
    return row_of(txn, case) | {
        "standing": None,
        "step": plain(step),
        "begun_at": iso(begun_at(case.history, step, case.terms, txn.now)) if step.step == TERMINATE else None,
        "agreement": case.terms.id,
        "version": case.terms.version,
        "said": [
            {
                "at": iso(row.record.at),
                "side": "reviewer" if isinstance(row.record, r.AppealQuestioned) else "account",
                "text": row.personal.get("text", "") if row.personal is not None else None,
            }
            for row in txn.opened_entries(case.tenant.tenant_id)
            if isinstance(row.record, (r.ObjectionFiled, r.AppealAdded, r.AppealQuestioned))
            and row.record.appeal_id == case.appeal.appeal_id
        ],
    }


# --- the steps of its review ------------------------------------------------------------------------------------------


def acting_on(rules: DeskRules, txn: LedgerTxn, arguments: Arguments, verb: str) -> tuple[Actor, TenantAppeal] | None:
    """Say who acts, and on which appeal; None where it is no tenant's. Raises RefusedError for who may not."""
    case = find(rules, txn, str(arguments.get("appeal") or ""))
    if case is None:
        return None
    actor = permitted(txn, arguments, verb)
    refuse_unless_reached(txn, actor, verb, case.tenant, enforcing_party=case.terms.enforcing_party)
    return actor, case


def reviewer(rules: DeskRules, txn: LedgerTxn, actor: Actor, case: TenantAppeal) -> Review:
    """Say that somebody may decide an appeal, and whether that is marked. Raises RefusedError for who may not."""
    staffing = staffing_of(rules.staffing, len(deciders(txn)))
    review = may_review(case.appeal, case.records, actor.name, txn.now, staffing, rules.staffing)
    if review.refusal is not None:
        raise RefusedError(review.refusal)
    return review


def append(txn: LedgerTxn, case: TenantAppeal, record: r.Record, text: str | None = None) -> None:
    """Add a row about an appeal."""
    personal = {"text": text} if text else None
    txn.append(record, account_id=None, tenant_id=case.tenant.tenant_id, personal=personal)


def told(txn: LedgerTxn, case: TenantAppeal, event: str, **facts: Any) -> None:
    """Promise a notice about an appeal to the tenant's side."""
    about = {"appeal_id": case.appeal.appeal_id, "incident_id": case.step.step_id}
    announce_event(txn, event, case.tenant.tenant_id, about | facts)


def reopen(rules: DeskRules, txn: LedgerTxn, actor: Actor, case: TenantAppeal, reason: str) -> None:
    """Open a decided appeal again, once, on new evidence."""
    appeal_id, step_id = case.appeal.appeal_id, case.step.step_id
    if not case.appeal.can_reopen:
        why = "it is open" if case.appeal.is_open else "it was granted, or opened again before"
        raise RefusedError(f"this appeal is not reopened: {why}")
    again = r.AppealReopened(at=txn.now, appeal_id=appeal_id, incident_id=step_id, by=actor.name, reason=reason)
    append(txn, case, again)
    by = (find(rules, txn, appeal_id) or case).targets(txn.now)
    told(txn, case, "appeal_reopened", at=txn.now, decide_by=by.decide_by)
    call_desk(txn, case.tenant, case.appeal.appeal_id, "appeal_reopened", by)


def decide(rules: DeskRules, txn: LedgerTxn, actor: Actor, case: TenantAppeal, arguments: Arguments) -> dict[str, Any]:
    """Decide an appeal with `outcome` and `reason`; say the appeal, and the minutes served in error."""
    outcome, appeal, step = str(arguments.get("outcome") or ""), case.appeal, case.step
    if outcome not in OUTCOMES:
        raise RefusedError(f"outcome is one of {', '.join(OUTCOMES)}")
    if not appeal.is_open:
        raise RefusedError(f"this appeal is over: {appeal.outcome or appeal.state.value}")
    review = reviewer(rules, txn, actor, case) if outcome != WITHDRAWN else Review()
    reason = reason_in(arguments)
    if outcome == PARTIALLY and step.step == TERMINATE:
        raise RefusedError("a termination ends by a grant, or as a reinstatement (two people)")
    minutes = _minutes(txn, case) if outcome == GRANTED else 0
    decided = r.AppealDecided(
        at=txn.now,
        appeal_id=appeal.appeal_id,
        incident_id=step.step_id,
        outcome=outcome,
        by=actor.name,
        reason=reason,
        is_self_review=review.is_self_review,
        minutes=minutes,
    )
    append(txn, case, decided)
    if outcome in (GRANTED, PARTIALLY):
        _undo(txn, case, ANNULLED if outcome == GRANTED else "lifted", actor.name, reason)
    if outcome != GRANTED:
        again = find(rules, txn, appeal.appeal_id) or case
        told(txn, case, "appeal_decided", outcome=outcome, decided_at=txn.now, can_reopen=again.appeal.can_reopen)
    return row_of(txn, find(rules, txn, appeal.appeal_id) or case) | {"minutes": minutes}


def _undo(txn: LedgerTxn, case: TenantAppeal, because: str, by: str, reason: str) -> None:
    """End the step, where it has not ended: the one letter says so."""
    if any(x.step_id == case.step.step_id for x in case.history.of(r.TenantStepEnded)):
        return
    if case.step.step == TERMINATE:
        end_termination(txn, case.step, case.terms, because=because, by=by, reason=reason)
    else:
        end_tenant_step(txn, case.tenant, case.terms, case.step, because=because, by=by, reason=reason)


def _minutes(txn: LedgerTxn, case: TenantAppeal) -> int:
    """Say how long the step was in force, for claims (STANDING 5.7-3)."""
    step = case.step
    since = begun_at(case.history, step, case.terms, txn.now) if step.step == TERMINATE else step.starts_at
    if since is None:
        return 0
    ended = [x.at for x in case.history.of(r.TenantStepEnded) if x.step_id == step.step_id]
    until = min([txn.now, *ended, *([step.ends_at] if step.ends_at is not None else [])])
    return max(until - since, timedelta()) // timedelta(minutes=1)
