"""What strikes for an enterprise: the ends of its steps and locks, its termination, its appeals.  STANDING 5.4 row 11.

As agreement/due, for the rows of a tenant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from filterd.agreement.appeal_clock import decide_by
from filterd.agreement.due import Due, named, not_struck
from filterd.agreement.tenant_steps import PROPOSE
from filterd.agreement.tenant_termination import begun_at, standing_ones
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.standing import History

# The clock of the instant at which a termination takes effect.
TERMINATED = "tenant_termination.begun"


def of_tenant_steps(history: History, terms: Agreement, at: datetime, *, since: datetime) -> tuple[Due, ...]:
    """Say what strikes for the steps and locks against a tenant, and for its appeals against steps."""
    return not_struck(history, (x for x in _of_tenant(history, terms, at) if x.due_at >= since), at)


def numbers(clauses: Iterable[str], terms: Agreement) -> tuple[str, ...]:
    """Say clauses by the agreement's own numbers; one that it has no more is left out."""
    return tuple(terms.clause[key].number for key in clauses if key in terms.clause)


def _of_tenant(history: History, terms: Agreement, at: datetime) -> Iterator[Due]:
    yield from _ends(history)
    for step in standing_ones(history, at):
        begun = begun_at(history, step, terms, at)
        if begun is not None:
            yield Due(
                clock=TERMINATED,
                subject_id=history.account_id,
                object_id=step.step_id,
                due_at=begun,
                event="tenant_terminated",
                facts={"step_id": step.step_id, "at": begun, "clauses": numbers(step.clauses, terms)},
            )
    yield from _appeals(history, terms)


def _appeals(history: History, terms: Agreement) -> Iterator[Due]:
    """The appeals of the tenant's side that nobody has decided in time: no clock eases what people decided."""
    steps = {x.step_id: x for x in history.of(r.TenantStepTaken)}
    reopened = {x.appeal_id: x.at for x in history.of(r.AppealReopened)}
    for filed in history.of(r.ObjectionFiled):
        since = reopened.get(filed.appeal_id, filed.at)
        step = steps.get(filed.sanction_id)
        missed = decide_by(since, step.ends_at if step is not None else None, terms)
        if any(x.appeal_id == filed.appeal_id and since <= x.at < missed for x in history.of(r.AppealDecided)):
            continue
        yield Due(
            clock="appeal.overdue",
            subject_id=history.account_id,
            object_id=named(filed.sanction_id, missed),
            due_at=missed,
            is_alarm=True,
        )


def _ends(history: History) -> Iterator[Due]:
    """The ends of what had one."""
    ended = {x.step_id: x.at for x in history.of(r.TenantStepEnded)}
    for step in history.of(r.TenantStepTaken):
        end = step.ends_at
        if end is None or step.step == PROPOSE or ended.get(step.step_id, end) < end:
            continue
        yield Due(
            clock="tenant_step.ended",
            subject_id=history.account_id,
            object_id=named(step.step_id, end),
            due_at=end,
            event="tenant_step_ended",
            facts={"step_id": step.step_id, "step": step.step, "at": end, "because": "expired"},
        )
    confirmed = {x.lock_id for x in history.of(r.TenantLockConfirmed)}
    opened = {x.lock_id for x in history.of(r.TenantUnlocked)}
    for lock in history.of(r.TenantLocked):
        if lock.lock_id not in confirmed | opened:
            yield Due(
                clock="tenant_lock.opened",
                subject_id=history.account_id,
                object_id=named(lock.lock_id, lock.until),
                due_at=lock.until,
                event="tenant_unlocked",
                facts={"lock_id": lock.lock_id, "at": lock.until},
            )
