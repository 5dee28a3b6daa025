"""An enterprise's service ends for breach: two people, a cooling-off, and only then.  TX-4.3.1, TX-8.2.4, STANDING 5.5.

Proposed while its sending is suspended. Until the cooling-off is over any moderator stops it alone. From then on nobody
of it sends, and whoever registers again under another name is found by its fingerprints (pipeline/registration).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from filterd.agreement.proposal import ProposalFile
from filterd.agreement.registration import TERMINATE
from filterd.agreement.tenant_steps import SUSPEND, running_steps
from filterd.agreement.termination import cooling_off
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Tenant
from filterd.pipeline.desk import Desk, iso
from filterd.pipeline.enterprise import write_tenant_rows
from filterd.pipeline.impose import find_clauses
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.people import Arguments
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.pipeline.registration_files import mark_step
from filterd.pipeline.tenant_acts import end_tenant_step, taken
from filterd.ports import LedgerTxn


def _prepare(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Mapping[str, Any]:
    """Say under which `clause`; left out, those under which the agreement ends a service."""
    tenant, terms = _known(subject)
    section = terms.termination
    if terms.tenant is None or section is None or terms.ground_kind not in section.grounds:
        raise RefusedError(f"agreement {terms.id} ends no enterprise's service for breach")
    said = str(arguments.get("clause") or "")
    clauses = find_clauses(terms, said) if said else section.clauses or terms.sanction_ground
    if not clauses:
        raise RefusedError(f"agreement {terms.id} gives no ground for this by itself; name a clause of it: --clause")
    if _ending(txn, tenant):
        raise RefusedError(f"the service of {tenant.tenant_id} ends already")
    if not _suspensions(txn, tenant):
        raise RefusedError(f"{tenant.tenant_id} is not suspended; only a suspended enterprise is terminated")
    return {"clauses": list(clauses)}


def _rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, terms: Mapping[str, Any]) -> Mapping[str, Any]:
    tenant, agreement = _known(subject)
    return {
        "agreement": agreement.digest,
        "suspensions": _suspensions(txn, tenant),
        "terminations": [x.step_id for x in _ending(txn, tenant)],
    }


def _carry_out(desk: Desk, txn: LedgerTxn, decided: Decided) -> Mapping[str, Any]:
    """Write the step that begins after the cooling-off, keep the fingerprints, and tell."""
    tenant, terms = _known(decided.subject)
    clauses = tuple(map(str, decided.terms["clauses"]))
    step = taken(
        txn,
        tenant,
        terms,
        TERMINATE,
        decision_id=derived_id("d", decided.proposal.proposal_id),
        by=decided.proposal.by,
        clauses=clauses,
        hours=None,
        reason=decided.proposal.reason,
    )
    step = replace(step, starts_at=cooling_off(terms, txn.now))
    write_tenant_rows(txn, [step], tenant.tenant_id, terms)
    mark_step(txn, tenant, terms, step)
    facts: Facts = {
        "step_id": step.step_id,
        "starts_at": step.starts_at,
        "ends_at": None,
        "clauses": tuple(terms.clause[key].number for key in clauses if key in terms.clause),
    }
    # What it does to them, from when, and that it has no end.
    announce_event(txn, "tenant_suspended", tenant.tenant_id, facts)
    return {"tenant_id": tenant.tenant_id, "step_id": step.step_id, "earliest_at": iso(step.starts_at)}


def _stop(desk: Desk, txn: LedgerTxn, file: ProposalFile, subject: Subject, ended: r.ProposalEnded) -> None:
    """A veto, or a second person's no: what was to come does not."""
    tenant, terms = _known(subject)
    step_id = derived_id("ts", derived_id("d", file.proposed.proposal_id), TERMINATE)
    taken_already = [x for x in txn.history(tenant.tenant_id).of(r.TenantStepTaken) if x.step_id == step_id]
    if not taken_already:
        return
    coming = [x for x in _ending(txn, tenant) if x.step_id == step_id and x.starts_at > txn.now]
    if not coming:
        raise RefusedError("this termination is in effect or over; a step in force is lifted, not vetoed")
    end_tenant_step(txn, tenant, terms, coming[0], because="lifted", by=ended.by, reason=ended.reason)


def _ending(txn: LedgerTxn, tenant: Tenant) -> list[r.TenantStepTaken]:
    """Say the terminations that stand, those still in their cooling-off too."""
    history = txn.history(tenant.tenant_id)
    over = {x.step_id for x in history.of(r.TenantStepEnded)}
    return [x for x in history.of(r.TenantStepTaken) if x.step == TERMINATE and x.step_id not in over]


def _suspensions(txn: LedgerTxn, tenant: Tenant) -> list[str]:
    steps = running_steps(txn.history(tenant.tenant_id), txn.now)
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
