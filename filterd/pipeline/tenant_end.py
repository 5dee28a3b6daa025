"""An enterprise's service ends for breach, and comes back: two people each.  STANDING 5.4 rows 4, 8, 11, 5.5; TX-4.3.1.

Proposed while its sending is suspended, approved by another person, then the cooling-off, and only then in effect
(agreement/tenant_termination says when, from the records). Until then any moderator stops it alone. From then on nobody
of it sends, and whoever registers again under another name is found by its fingerprints (pipeline/registration). Its
administrator appeals as against any step (pipeline/tenant_appeals).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from filterd.agreement.cooling_off import cooling_off
from filterd.agreement.due_tenant import numbers
from filterd.agreement.proposal import ProposalFile
from filterd.agreement.tenancy import end_step
from filterd.agreement.tenant_steps import SUSPEND, running_steps
from filterd.agreement.tenant_termination import REINSTATED, TERMINATE, VETOED, begun_at, standing_ones
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Tenant
from filterd.pipeline.desk import Desk, iso
from filterd.pipeline.enterprise import write_tenant_rows
from filterd.pipeline.grounds import given_for, terms_of_given
from filterd.pipeline.impose import find_clauses
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.people import Arguments
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.pipeline.registration_files import mark_step
from filterd.pipeline.tenant_acts import taken
from filterd.pipeline.terminations import STATUTE, is_purged, named_statute
from filterd.ports import LedgerTxn


def _prepare(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Mapping[str, Any]:
    """Say under which `clause`, or which `statute`; both left out, the clauses under which the agreement ends a
    service."""
    tenant, terms = _known(subject)
    section, statute = terms.termination, named_statute(arguments)
    kind = STATUTE if statute else terms.ground_kind
    if section is None or kind not in section.grounds:
        raise RefusedError(f"agreement {terms.id} ends no enterprise's service for breach on a {kind}")
    said = str(arguments.get("clause") or "")
    clauses = () if statute else find_clauses(terms, said) if said else section.clauses or terms.sanction_ground
    if not clauses and not statute:
        raise RefusedError(f"agreement {terms.id} gives no ground for this by itself; name a clause of it: --clause")
    if standing_ones(txn.history(tenant.tenant_id), txn.now):
        raise RefusedError(f"the service of {tenant.tenant_id} ends already")
    if not _suspensions(txn, tenant, terms):
        raise RefusedError(f"{tenant.tenant_id} is not suspended; only a suspended enterprise is terminated")
    given = given_for(txn, terms, clauses, arguments, tenant_id=tenant.tenant_id)
    return {"clauses": list(clauses), "statute": statute or None, **terms_of_given(given)}


def _rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, terms: Mapping[str, Any]) -> Mapping[str, Any]:
    tenant, agreement = _known(subject)
    return {
        "agreement": agreement.digest,
        "suspensions": _suspensions(txn, tenant, agreement),
        "terminations": [x.step_id for x in standing_ones(txn.history(tenant.tenant_id), txn.now)],
    }


def _carry_out(desk: Desk, txn: LedgerTxn, decided: Decided) -> Mapping[str, Any]:
    """Write the step that begins after the cooling-off, keep the fingerprints, and tell."""
    tenant, terms = _known(decided.subject)
    proposal, clauses = decided.proposal, tuple(map(str, decided.terms["clauses"]))
    step = taken(
        txn,
        tenant,
        terms,
        TERMINATE,
        decision_id=derived_id("d", proposal.proposal_id),
        by=proposal.by,
        clauses=clauses,
        hours=None,
        reason=proposal.reason,
    )
    step = replace(step, starts_at=cooling_off(terms, txn.now), statute=decided.terms.get("statute"))
    write_tenant_rows(txn, [step], tenant.tenant_id, terms)
    if clauses:
        # Fingerprints are kept of whoever breached the agreement (TX-8.2.4).
        mark_step(txn, tenant, terms, step)
    facts: Facts = {
        "step_id": step.step_id,
        "proposal_id": proposal.proposal_id,
        "proposed_at": proposal.at,
        "earliest_at": step.starts_at,
        "clauses": numbers(clauses, terms),
    }
    announce_event(txn, "tenant_termination_proposed", tenant.tenant_id, facts)
    return {"tenant_id": tenant.tenant_id, "step_id": step.step_id, "earliest_at": iso(step.starts_at)}


def _stop(desk: Desk, txn: LedgerTxn, file: ProposalFile, subject: Subject, ended: r.ProposalEnded) -> None:
    """A veto, or a second person's no: what was to come does not, and whoever was told of it is told."""
    tenant, terms = _known(subject)
    step_id = derived_id("ts", derived_id("d", file.proposed.proposal_id), TERMINATE)
    history = txn.history(tenant.tenant_id)
    if all(x.step_id != step_id for x in history.of(r.TenantStepTaken)):
        return
    found = next((x for x in standing_ones(history, txn.now) if x.step_id == step_id), None)
    if found is None:
        raise RefusedError("this termination was stopped already, or is over")
    if begun_at(history, found, terms, txn.now) is not None:
        raise RefusedError("this termination is in effect; reinstating takes two people: tenant.reinstate")
    end_termination(txn, found, terms, because=VETOED, by=ended.by, reason=ended.reason)


def end_termination(
    txn: LedgerTxn, step: r.TenantStepTaken, terms: Agreement, *, because: str, by: str, reason: str
) -> None:
    """End a termination, whether or not it has taken effect, and tell the tenant which of both it was."""
    was_begun = begun_at(txn.history(step.tenant_id), step, terms, txn.now) is not None
    write_tenant_rows(
        txn, end_step(step, txn.now, because=because, by=by, reason=reason), step.tenant_id, terms
    )
    facts: Facts = {"step_id": step.step_id, "at": txn.now, "because": because}
    if was_begun:
        facts = {**facts, "is_empty": is_purged(txn, step.tenant_id)}
    announce_event(txn, "tenant_reinstated" if was_begun else "tenant_termination_withdrawn", step.tenant_id, facts)


# --- giving it back ---------------------------------------------------------------------------------------------------


def _prepare_reinstatement(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Mapping[str, Any]:
    tenant, terms = _known(subject)
    return {"step_id": _in_effect(txn, tenant, terms).step_id}


def _reinstatement_rests_on(
    desk: Desk, txn: LedgerTxn, subject: Subject, terms: Mapping[str, Any]
) -> Mapping[str, Any]:
    tenant, agreement = _known(subject)
    return {
        "steps": sorted(x.step_id for x in running_steps(txn.history(tenant.tenant_id), agreement, txn.now)),
        "is_purged": is_purged(txn, tenant.tenant_id),
    }


def _reinstate(desk: Desk, txn: LedgerTxn, decided: Decided) -> Mapping[str, Any]:
    tenant, terms = _known(decided.subject)
    step = _in_effect(txn, tenant, terms)
    by, reason = decided.approved.by, decided.proposal.reason
    end_termination(txn, step, terms, because=REINSTATED, by=by, reason=reason)
    return {
        "tenant_id": tenant.tenant_id,
        "step_id": step.step_id,
        "is_empty": is_purged(txn, tenant.tenant_id),
        # What was in force before it still is: the suspension, until a person lifts it.
        "suspensions": _suspensions(txn, tenant, terms),
    }


def _in_effect(txn: LedgerTxn, tenant: Tenant, terms: Agreement) -> r.TenantStepTaken:
    running = running_steps(txn.history(tenant.tenant_id), terms, txn.now)
    found = next((x for x in running if x.step == TERMINATE), None)
    if found is None:
        raise RefusedError(f"the service of {tenant.tenant_id} has not ended for breach")
    return found


# --- pieces -----------------------------------------------------------------------------------------------------------


def _suspensions(txn: LedgerTxn, tenant: Tenant, terms: Agreement) -> list[str]:
    steps = running_steps(txn.history(tenant.tenant_id), terms, txn.now)
    return sorted(x.step_id for x in steps if x.step == SUSPEND)


def _known(subject: Subject) -> tuple[Tenant, Agreement]:
    if subject.tenant is None or subject.terms is None:
        raise UsageError(f"no tenant {subject.subject_id}")
    return subject.tenant, subject.terms


TERMINATE_TENANT = Act(
    name="tenant.terminate",
    about="tenant",
    prepare=_prepare,
    rests_on=_rests_on,
    carry_out=_carry_out,
    on_ended=_stop,
)
REINSTATE_TENANT = Act(
    name="tenant.reinstate",
    about="tenant",
    prepare=_prepare_reinstatement,
    rests_on=_reinstatement_rests_on,
    carry_out=_reinstate,
)
