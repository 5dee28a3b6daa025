"""A tenant's side objects to a step against it: what can be contested, and the row that says so.  STANDING 5.6.

One objection a step. It opens an appeal (pipeline/tenant_appeals) as long as the step is in force, and for a term from
its beginning besides. Used by the mail path too, where the administrator writes to the appeals address.
"""

from __future__ import annotations

from filterd.agreement.appeal import AppealFile, Targets, targets_until
from filterd.agreement.tenant_steps import PROPOSE, running_steps
from filterd.agreement.tenant_termination import ANNULLED, standing_ones
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Tenant
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.ports import LedgerTxn


def open_steps(txn: LedgerTxn, tenant: Tenant, terms: Agreement) -> tuple[r.TenantStepTaken, ...]:
    """Say the steps that can be contested now and have not been: what is in force or decided, and what was for as long
    as the agreement lets people appeal. Protection by the platform is no step under the agreement."""
    history = txn.history(tenant.tenant_id)
    contested = {x.sanction_id for x in history.of(r.ObjectionFiled)}
    undone = {x.step_id for x in history.of(r.TenantStepEnded) if x.because in (ANNULLED, "replayed")}
    now = {x.step_id for x in (*running_steps(history, terms, txn.now), *standing_ones(history, txn.now))}
    days = terms.lifecycle.appeal_days if terms.lifecycle is not None else 0
    return tuple(
        x
        for x in history.of(r.TenantStepTaken)
        if x.step != PROPOSE
        and not x.is_technical
        and x.step_id not in contested | undone
        and (x.step_id in now or txn.now < terms.calendar.term_end(x.at, days, moves=True))
    )


def in_force(txn: LedgerTxn, tenant: Tenant, terms: Agreement) -> tuple[r.TenantStepTaken, ...]:
    """Say which of these are in force, or are about to be."""
    history = txn.history(tenant.tenant_id)
    now = {x.step_id for x in (*running_steps(history, terms, txn.now), *standing_ones(history, txn.now))}
    return tuple(x for x in open_steps(txn, tenant, terms) if x.step_id in now)


def file_step(
    txn: LedgerTxn, tenant: Tenant, terms: Agreement, step: r.TenantStepTaken, *, channel: str, text: str | None = None
) -> str:
    """Record one objection of the tenant's side, which opens an appeal, and promise its acknowledgement; say its id.

    Args:
        text: their own words, sealed under the tenant's key; None: none, which is enough.
    """
    filed = r.ObjectionFiled(
        at=txn.now,
        appeal_id=derived_id("p", step.step_id),
        sanction_id=step.step_id,
        incident_id=step.step_id,
        account_id="",
        channel=channel,
    )
    personal = {"text": text} if text else None
    txn.append(filed, account_id=None, tenant_id=tenant.tenant_id, personal=personal)
    by = targets_until(AppealFile(filed=filed), step.ends_at, terms, txn.now)
    facts: Facts = {
        "appeal_id": filed.appeal_id,
        "incident_id": step.step_id,
        "filed_at": txn.now,
        "decide_by": by.decide_by,
    }
    announce_event(txn, "appeal_acknowledged", tenant.tenant_id, facts)
    call_desk(txn, tenant, filed.appeal_id, "appeal", by)
    return filed.appeal_id


def call_desk(txn: LedgerTxn, tenant: Tenant, owner_id: str, what: str, by: Targets) -> None:
    """Tell the enforcing party's own people that somebody waits for them."""
    facts: Facts = {"task_id": derived_id("w", owner_id, what), "what": what, "due_at": by.look_by}
    announce_event(txn, "desk_task", tenant.tenant_id, facts)
