"""What people see of an enterprise: its score, what it is made of, steps, proposals, locks.  STANDING 5.5, AL-4.2.

Ids, clauses and counts; no mail, no excerpt and no address. A tenant's administrator and a reseller see the same of
their own tenants, and nothing of others.
"""

from __future__ import annotations

from typing import Any

from filterd.agreement.cooling_off import Outlook
from filterd.agreement.tenant_score import Score, tenant_score
from filterd.agreement.tenant_steps import open_proposals, running_locks, running_steps, task_of, tenant_limits
from filterd.agreement.tenant_termination import coming
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.principal import Tenant
from filterd.model.standing import History
from filterd.pipeline.desk import iso
from filterd.pipeline.enterprise import tenant_surroundings
from filterd.ports import LedgerTxn


def tenancy_facts(txn: LedgerTxn, tenant: Tenant, terms: Agreement) -> dict[str, Any]:
    """Say how an enterprise stands; `score` is None where its agreement gives no ground for one."""
    around = tenant_surroundings(txn, tenant)
    history = around.tenant or History(account_id=tenant.tenant_id)
    rules = terms.tenant.score if terms.tenant is not None else None
    score = None
    if rules is not None:
        score = tenant_score(history, around.seats, around.active_seats, rules, txn.now)
    confirmed = {x.lock_id: x.by for x in history.of(r.TenantLockConfirmed)}
    return {
        "enforcing_party": terms.enforcing_party,
        "seats_in_use": around.active_seats,
        "score": _score(score) if score is not None else None,
        "charges": _charges(score, history) if score is not None else [],
        "steps": [_step(x) for x in running_steps(history, terms, txn.now)],
        "coming": [coming_row(step, seen) for step, seen in coming(history, terms, txn.now)],
        "proposals": [_step(x) | {"task_id": task_of(x)} for x in open_proposals(history)],
        "locks": [
            {
                "lock_id": lock.lock_id,
                "since": iso(lock.at),
                "until": iso(until),
                "by": lock.by,
                "confirmed_by": confirmed.get(lock.lock_id),
                "reason": lock.reason,
            }
            for lock, until in running_locks(history, txn.now)
        ],
        "features_off": sorted({str(f) for x in tenant_limits(history, terms, txn.now) for f in x.features}),
    }


def _score(score: Score) -> dict[str, Any]:
    return {
        "points": round(score.points, 3),
        "final_points": round(score.final, 3),
        "a_points": round(score.a_points, 3),
        "accounts": score.accounts,
        "accounts_needed": score.accounts_needed,
        "counts": score.is_wide,
    }


def _charges(score: Score, history: History) -> list[dict[str, Any]]:
    custody = {x.incident_id for x in history.of(r.CustodyCharged)}
    return [
        {
            "incident_id": c.incident_id,
            "account_id": c.account_id,
            "points": c.half_points / 2,
            "provisional": c.final_half_points == 0,
            "custody": c.incident_id in custody,
            "admin": c.is_admin,
            "successor": c.is_successor,
        }
        for c in score.counted
    ]


def coming_row(step: r.TenantStepTaken, seen: Outlook) -> dict[str, Any]:
    """Say a termination that has not taken effect, and what holds it up."""
    return {
        "step_id": step.step_id,
        "decided_at": iso(step.at),
        "earliest_at": iso(step.starts_at),
        "begins_at": iso(seen.begins_at),
        "held_up_by": list(seen.held_up_by),
        "channels": list(seen.channels),
    }


def _step(step: r.TenantStepTaken) -> dict[str, Any]:
    return {
        "step_id": step.step_id,
        "step": step.step,
        "proposes": step.proposes or None,
        "quota": step.quota,
        "since": iso(step.starts_at),
        "until": iso(step.ends_at),
        "score": step.score_milli / 1000,
        "incident_ids": list(step.incident_ids),
        "clauses": list(step.clauses),
        "statute": step.statute,
        "automatic": step.is_automatic,
        "technical": step.is_technical,
        "by": step.by,
    }
