"""What is in force against an enterprise at an instant: steps and locks, from its own rows.  STANDING 5.4 rows 9, 11.

Computed at read time like everything of standing: a quota ends, and a lock nobody confirmed opens, because time passed
(HOUSE rule 12). A registration that matches a terminated one locks sending until a person has looked (row 13).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from filterd.agreement.registration import open_matches
from filterd.agreement.tenant_termination import TERMINATE, begun_at
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Feature
from filterd.model.standing import History, TenantLimit

WARN, QUOTA, SUSPEND, PROPOSE = "warn", "quota", "suspend", "propose"
LOCK, REGISTRATION = "lock", "registration"
# A task given back to everybody is no answer (model/records/people.TaskClosed).
HANDED_BACK = "handed_back"
EXTERNAL_DAY = "tenant_external_per_day"
_SENDING = (Feature(name="sending"),)
_IN_FORCE = frozenset(
    {
        r.RegistrationMatched,
        r.RegistrationSettled,
        r.TenantStepTaken,
        r.TenantStepEnded,
        r.TenantLocked,
        r.TenantLockConfirmed,
        r.TenantUnlocked,
    }
)


def tenant_limits(history: History, terms: Agreement, at: datetime) -> tuple[TenantLimit, ...]:
    """Say what every account of the tenant is kept to at an instant."""
    # Asked for every mail: what was charged, which is most of it, says nothing here, but of a termination.
    rows = tuple(x for x in history.further if type(x) in _IN_FORCE)
    if not any(isinstance(x, r.TenantStepTaken) and x.step == TERMINATE for x in rows):
        history = replace(history, further=rows)
    out = []
    for step in running_steps(history, terms, at):
        if step.step == QUOTA:
            limit = step.quota or (terms.tenant.quota_floor if terms.tenant is not None else None)
            features = (Feature(name=EXTERNAL_DAY, limit=limit),) if limit is not None else ()
        elif step.step in (SUSPEND, TERMINATE):
            features = _SENDING
        else:
            continue
        out.append(
            TenantLimit(
                limit_id=step.step_id,
                # Once its service has ended it is suspended for good.
                kind=SUSPEND if step.step == TERMINATE else step.step,
                features=features,
                ends_at=step.ends_at,
                clauses=() if step.is_technical else step.clauses,
            )
        )
    out += [
        TenantLimit(limit_id=lock.lock_id, kind=LOCK, features=_SENDING, ends_at=end)
        for lock, end in running_locks(history, at)
    ]
    # Protection until somebody has looked: under no clause, and nobody's misconduct.
    out += [
        TenantLimit(limit_id=match.match_id, kind=REGISTRATION, features=_SENDING, ends_at=None)
        for match in open_matches(history, at)
    ]
    return tuple(out)


def running_steps(history: History, terms: Agreement, at: datetime) -> tuple[r.TenantStepTaken, ...]:
    """Say the steps in force; proposals are none. A termination starts when nothing holds it up any more."""
    ended = {x.step_id for x in history.of(r.TenantStepEnded) if x.at <= at}
    out = []
    for step in history.of(r.TenantStepTaken):
        if step.step == PROPOSE or step.step_id in ended:
            continue
        since: datetime | None = step.starts_at
        if step.step == TERMINATE:
            since = begun_at(history, step, terms, at)
        if since is not None and since <= at and (step.ends_at is None or at < step.ends_at):
            out.append(replace(step, starts_at=since))
    return tuple(out)


def open_proposals(history: History) -> tuple[r.TenantStepTaken, ...]:
    """Say the proposals nobody has answered: neither ended them, nor closed their task, nor taken a step since."""
    out: list[r.TenantStepTaken] = []
    for row in history.further:
        if isinstance(row, r.TenantStepTaken) and row.step == PROPOSE:
            out.append(row)
        elif isinstance(row, r.TenantStepTaken) and not row.is_automatic and not row.is_technical:
            # What a person of the enforcing party did answers all that was asked until then.
            out = []
        elif isinstance(row, r.TenantStepEnded):
            out = [x for x in out if x.step_id != row.step_id]
        elif isinstance(row, r.TaskClosed) and row.outcome != HANDED_BACK:
            out = [x for x in out if task_of(x) != row.task_id]
    return tuple(out)


def task_of(proposal: r.TenantStepTaken) -> str:
    """Say the id of the task that a proposal is."""
    return derived_id("w", proposal.step_id, proposal.proposes)


def is_idle(history: History, terms: Agreement, at: datetime) -> bool:
    """Say whether the enforcing party has left a proposal unanswered for so long that the platform may protect itself
    (STANDING 5.7-15)."""
    if terms.tenant is None:
        return False
    patience = timedelta(hours=terms.tenant.idle_hours)
    return any(at >= x.at + patience for x in open_proposals(history))


def running_locks(history: History, at: datetime) -> tuple[tuple[r.TenantLocked, datetime | None], ...]:
    """Say the emergency locks in force, each with its end; None: until somebody unlocks it."""
    opened = {x.lock_id: x.at for x in reversed(history.of(r.TenantUnlocked))}
    confirmed = {x.lock_id: x for x in history.of(r.TenantLockConfirmed)}
    out = []
    for lock in history.of(r.TenantLocked):
        until: datetime | None = lock.until
        second = confirmed.get(lock.lock_id)
        # A second person's word counts only while the lock was still there to confirm.
        if second is not None and second.at < lock.until:
            until = second.until
        is_over = lock.lock_id in opened and opened[lock.lock_id] <= at
        if lock.at <= at and not is_over and (until is None or at < until):
            out.append((lock, until))
    return tuple(out)
