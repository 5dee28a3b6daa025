"""A whole tenant's sending is suspended: two people of whoever enforces its agreement.  STANDING 5.4 row 11, 5.5.

Plain functions of one transaction, and the act that proposals carry out. Receiving goes on, and so does writing to the
appeals desk and the tenant's own administrator (5.7-15).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from filterd.agreement.proposal import ProposalFile
from filterd.agreement.tenancy import end_step
from filterd.agreement.tenant_score import tenant_score
from filterd.agreement.tenant_steps import QUOTA, SUSPEND, open_proposals, running_steps, task_of
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Tenant
from filterd.pipeline.desk import Desk, iso
from filterd.pipeline.enterprise import tenant_surroundings, write_tenant_rows
from filterd.pipeline.grounds import given_for, terms_of_given
from filterd.pipeline.impose import MAX_HOURS, find_clauses
from filterd.pipeline.notice_events import announce_event
from filterd.pipeline.people import Arguments
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.ports import LedgerTxn


def suspend_tenant(
    txn: LedgerTxn,
    tenant: Tenant,
    terms: Agreement,
    *,
    decision_id: str,
    by: str,
    clauses: tuple[str, ...],
    hours: int | None,
    reason: str,
) -> r.TenantStepTaken:
    """Write down that a whole tenant's sending is suspended, and have it told to its administrator and users.

    Args:
        decision_id: of the approved proposal; the same one twice is one step.
        clauses: keys of the agreement; at least one, for there is no step without a ground.
        hours: None: until it is ended.

    Raises:
        RefusedError: no clause, one the agreement lacks, or hours out of range.
    """
    if not clauses or any(key not in terms.clause for key in clauses):
        raise RefusedError(f"agreement {terms.id} gives no ground for this; no ground, no step")
    step = taken(
        txn, tenant, terms, SUSPEND, decision_id=decision_id, by=by, clauses=clauses, hours=hours, reason=reason
    )
    if any(x.step_id == step.step_id for x in txn.history(tenant.tenant_id).of(r.TenantStepTaken)):
        return step
    _write(txn, tenant, terms, step)
    return step


def set_quota(
    txn: LedgerTxn,
    tenant: Tenant,
    terms: Agreement,
    *,
    by: str,
    hours: int,
    quota: int | None,
    reason: str,
    is_technical: bool,
) -> r.TenantStepTaken:
    """Limit a tenant's external recipients a day: a step under its agreement, or the platform's protection, which
    answers nobody's proposal. `quota` None: as the agreement says."""
    clauses = terms.tenant.ground if terms.tenant is not None and not is_technical else ()
    decision_id = derived_id("d", tenant.tenant_id, by, txn.now.isoformat())
    step = taken(
        txn, tenant, terms, QUOTA, decision_id=decision_id, by=by, clauses=clauses, hours=hours, reason=reason
    )
    return _write(txn, tenant, terms, replace(step, quota=quota, is_technical=is_technical))


def end_tenant_step(
    txn: LedgerTxn, tenant: Tenant, terms: Agreement, step: r.TenantStepTaken, *, because: str, by: str, reason: str
) -> None:
    """End a step, or answer a proposal with no."""
    rows = end_step(step, txn.now, because=because, by=by, reason=reason)
    write_tenant_rows(txn, rows, tenant.tenant_id, terms)


def taken(
    txn: LedgerTxn,
    tenant: Tenant,
    terms: Agreement,
    step: str,
    *,
    decision_id: str,
    by: str,
    clauses: tuple[str, ...],
    hours: int | None,
    reason: str,
) -> r.TenantStepTaken:
    """Make the row of a step by a person, with the score of the hour."""
    if hours is not None and not 1 <= hours <= MAX_HOURS:
        raise RefusedError(f"a step lasts 1 to {MAX_HOURS} hours")
    around, rules = tenant_surroundings(txn, tenant), terms.tenant.score if terms.tenant is not None else None
    score = None
    if rules is not None and around.tenant is not None:
        score = tenant_score(around.tenant, around.seats, around.active_seats, rules, txn.now)
    return r.TenantStepTaken(
        at=txn.now,
        step_id=derived_id("ts", decision_id, step),
        decision_id=decision_id,
        tenant_id=tenant.tenant_id,
        step=step,
        quota=None,
        starts_at=txn.now,
        ends_at=txn.now + timedelta(hours=hours) if hours is not None else None,
        score_milli=score.milli if score is not None else 0,
        incident_ids=score.incident_ids if score is not None else (),
        clauses=clauses,
        is_automatic=False,
        by=by,
        reason=reason,
        seats=around.seats,
        active_seats=around.active_seats,
    )


def _write(txn: LedgerTxn, tenant: Tenant, terms: Agreement, step: r.TenantStepTaken) -> r.TenantStepTaken:
    """Append a step, and close the tasks it answers."""
    answered = [] if step.is_technical else open_proposals(txn.history(tenant.tenant_id))
    closed = [
        r.TaskClosed(at=txn.now, task_id=task_of(x), by=step.by, outcome="done", reason=step.reason) for x in answered
    ]
    written = write_tenant_rows(txn, [step, *closed], tenant.tenant_id, terms)
    return next(x for x in written if isinstance(x, r.TenantStepTaken))


# --- the act that two people carry out --------------------------------------------------------------------------------


def _prepare(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Mapping[str, Any]:
    """Say under which `clause`, and for how many `hours` (none: until it is ended)."""
    tenant, terms = _known(subject)
    clause = str(arguments.get("clause") or "")
    clauses = find_clauses(terms, clause) if clause else terms.tenant.ground if terms.tenant is not None else ()
    if not clauses:
        raise RefusedError(f"agreement {terms.id} gives no ground for this by itself; name a clause of it: --clause")
    given = given_for(txn, terms, clauses, arguments, tenant_id=tenant.tenant_id)
    hours = arguments.get("hours")
    if hours is not None and (not isinstance(hours, int) or not 1 <= hours <= MAX_HOURS):
        raise RefusedError(f"a suspension lasts 1 to {MAX_HOURS} hours")
    if _suspensions(txn, tenant, terms):
        raise RefusedError(f"{tenant.tenant_id} is suspended already")
    counted = taken(
        txn, tenant, terms, SUSPEND, decision_id="", by="", clauses=clauses, hours=hours, reason=""
    )
    return {
        "clauses": list(clauses),
        "hours": hours,
        **terms_of_given(given),
        "score_milli": counted.score_milli,
        "incident_ids": sorted(counted.incident_ids),
    }


def _rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, terms: Mapping[str, Any]) -> Mapping[str, Any]:
    # Not the score, which fades by the hour and says nothing new.
    tenant, agreement = _known(subject)
    now = taken(txn, tenant, agreement, SUSPEND, decision_id="", by="", clauses=(), hours=None, reason="")
    return {
        "agreement": agreement.digest,
        "incident_ids": sorted(now.incident_ids),
        "suspensions": sorted(_suspensions(txn, tenant, agreement)),
    }


def _carry_out(desk: Desk, txn: LedgerTxn, decided: Decided) -> Mapping[str, Any]:
    tenant, terms = _known(decided.subject)
    hours = decided.terms["hours"]
    step = suspend_tenant(
        txn,
        tenant,
        terms,
        decision_id=derived_id("d", decided.proposal.proposal_id),
        by=decided.proposal.by,
        clauses=tuple(map(str, decided.terms["clauses"])),
        hours=int(hours) if hours is not None else None,
        reason=decided.proposal.reason,
    )
    return {"tenant_id": tenant.tenant_id, "step_id": step.step_id, "until": iso(step.ends_at)}


def _tell_proposed(desk: Desk, txn: LedgerTxn, file: ProposalFile, subject: Subject) -> None:
    tenant, terms = _known(subject)
    announce_event(
        txn,
        "tenant_suspension_proposed",
        tenant.tenant_id,
        {
            "proposal_id": file.proposed.proposal_id,
            "proposed_at": file.proposed.at,
            "score_milli": int(file.terms["score_milli"]),
            "clauses": tuple(terms.clause[key].number for key in file.terms["clauses"] if key in terms.clause),
        },
    )


def _suspensions(txn: LedgerTxn, tenant: Tenant, terms: Agreement) -> tuple[str, ...]:
    steps = running_steps(txn.history(tenant.tenant_id), terms, txn.now)
    return tuple(x.step_id for x in steps if x.step == SUSPEND)


def _known(subject: Subject) -> tuple[Tenant, Agreement]:
    if subject.tenant is None or subject.terms is None:
        raise UsageError(f"no tenant {subject.subject_id}")
    return subject.tenant, subject.terms


SUSPEND_TENANT = Act(
    name="tenant.suspend",
    about="tenant",
    prepare=_prepare,
    rests_on=_rests_on,
    carry_out=_carry_out,
    on_proposed=_tell_proposed,
)
