"""What an account's incident does to its enterprise: charges, steps, and their undoing.  STANDING 5.4 row 11, 5.7-15.

`charge` is called in the transaction that records the incident, after the account's own ladder; `settle` after a strike
was annulled or excused. Both only say rows to append about the tenant. No step without a new incident or a person, and
none twice for the same incident; undoing never raises anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from filterd.agreement.fold import apply
from filterd.agreement.sections_tenant import TenantScore, TenantSection
from filterd.agreement.standing import strike_at
from filterd.agreement.tenant_score import (
    ANNULLED,
    NOT_ATTRIBUTABLE,
    Score,
    charges,
    falls_below,
    score_of,
    tenant_score,
    weigh,
)
from filterd.agreement.tenant_steps import PROPOSE, QUOTA, SUSPEND, WARN, open_proposals, running_steps, task_of
from filterd.agreement.tenant_termination import coming
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import NO_TEXT
from filterd.model.ids import derived_id
from filterd.model.records.tenancy import TenancyRecord
from filterd.model.standing import History, IncidentFile, Surroundings

SYSTEM = "system"
# Enough to know a campaign again; each new text of an incident beyond the first costs a row.
MAX_CAMPAIGNS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """The message that an account's ladder has just weighed, as far as its tenant is concerned."""

    at: datetime
    tenant_id: str
    incident_id: str
    decision_id: str
    text_fp: str


def is_about_tenant(record: r.Record) -> bool:
    """Say whether a row of a decision is the tenant's own and not the account's."""
    if isinstance(record, r.TaskOpened):
        return not record.account_id
    return isinstance(record, TenancyRecord | r.StreamNoticed)


# --- charging ---------------------------------------------------------------------------------------------------------


def charge(account: History, around: Surroundings, terms: Agreement, act: Act) -> tuple[r.Record, ...]:
    """Say the rows that an incident adds to its tenant's history: what it weighs, then the steps that follow.

    Args:
        account: its history with the incident in it.
    """
    tenant, rules = around.tenant, terms.tenant.score if terms.tenant is not None else None
    if tenant is None or rules is None or terms.tenant is None or not act.tenant_id:
        return ()
    rows: list[r.Record] = []
    on_record, gone = charges(tenant.further), {x.incident_id for x in tenant.of(r.TenantDischarged)}
    for incident in account.incidents:
        # What is from before the account came to this tenant was another one's to answer for (STANDING 5.7-19).
        is_anothers = incident.opened.tenant_id not in ("", act.tenant_id)
        if incident.opened.incident_id in gone or is_anothers:
            continue
        row = _charged(incident, account, on_record, around, rules, act)
        if row is not None:
            rows.append(row)
            tenant = apply(tenant, row)
    if not rows:
        return ()
    score = tenant_score(tenant, around.seats, around.active_seats, rules, act.at)
    return (*rows, *_steps(tenant, score, around, terms.tenant, rules, terms, act))


def _charged(
    incident: IncidentFile,
    account: History,
    on_record: Mapping[str, r.TenantCharged],
    around: Surroundings,
    rules: TenantScore,
    act: Act,
) -> r.TenantCharged | None:
    """Say the row of one incident, None when nothing of it has changed for the tenant.

    Args:
        on_record: what stands charged to the tenant, by incident.
    """
    incident_id = incident.opened.incident_id
    row = _worth(incident, account, act.tenant_id, act.at)
    if row is None:
        return None
    known = on_record.get(incident_id)
    campaigns = known.campaigns if known is not None else ()
    is_mine = incident_id == act.incident_id
    if is_mine and act.text_fp not in (*campaigns, NO_TEXT, "") and len(campaigns) < MAX_CAMPAIGNS:
        campaigns = (*campaigns, act.text_fp)
    row = replace(
        row,
        campaigns=campaigns,
        is_admin=around.is_admin or (known is not None and known.is_admin),
        is_successor=(known is not None and known.is_successor)
        or (is_mine and _is_successor(incident, on_record, around, rules, account.account_id)),
    )
    if known is not None and not _says_more(row, known, act.at):
        return None
    return row


def _worth(incident: IncidentFile, account: History, tenant_id: str, at: datetime) -> r.TenantCharged | None:
    """Say what an incident weighs for the tenant now, None when it does not count for the account either."""
    incident_id, strike = incident.opened.incident_id, incident.strike
    counting = strike_at(incident, account, at)
    if strike is None or counting is None or _undone(account, incident_id) is not None:
        return None
    imposed = [s.imposed.at for s in account.sanctions if s.imposed.incident_id == incident_id]
    until = strike.provisional_until if counting.is_provisional else None
    return r.TenantCharged(
        at=strike.at,
        tenant_id=tenant_id,
        account_id=account.account_id,
        incident_id=incident_id,
        half_points=counting.half_points,
        a_half_points=strike.a_half_points if counting.is_provisional else counting.a_half_points,
        provisional_until=until,
        provisional_cap=strike.provisional_cap if until is not None else 0,
        sanctioned_at=min(imposed, default=None),
    )


def _says_more(row: r.TenantCharged, known: r.TenantCharged, at: datetime) -> bool:
    """Say whether a row differs from the one on record in what it weighs now, or in what it is known by."""
    same = (row.campaigns, row.is_admin, row.is_successor) == (known.campaigns, known.is_admin, known.is_successor)
    if not same or (known.sanctioned_at is None and row.sanctioned_at is not None):
        return True
    return weigh(row, at) != weigh(known, at)


def _is_successor(
    incident: IncidentFile,
    on_record: Mapping[str, r.TenantCharged],
    around: Surroundings,
    rules: TenantScore,
    account_id: str,
) -> bool:
    """Say whether the account was made soon after a sibling was sanctioned, and goes on with its campaign."""
    if around.opened_at is None:
        return False
    within = timedelta(days=rules.successor_days)
    return any(
        row.account_id != account_id
        and row.sanctioned_at is not None
        and row.sanctioned_at <= around.opened_at <= row.sanctioned_at + within
        and bool(incident.links & set(row.campaigns))
        for row in on_record.values()
    )


# --- steps ------------------------------------------------------------------------------------------------------------


def _steps(
    tenant: History,
    score: Score,
    around: Surroundings,
    section: TenantSection,
    rules: TenantScore,
    terms: Agreement,
    act: Act,
) -> list[r.Record]:
    """Say the steps the score asks for: the highest that may happen by itself, and a task for what takes people."""
    if not score.is_wide:
        return []
    taken = {(x.step, x.proposes) for x in tenant.of(r.TenantStepTaken) if x.incident_ids[:1] == (act.incident_id,)}
    out: list[r.Record] = []
    # The quota says all that a warning says; a warning in force is not said again.
    due = QUOTA if score.a_points >= rules.quota_at else WARN if score.points >= rules.warn_at else ""
    if due == WARN and any(s.step == WARN for s in running_steps(tenant, terms, act.at)):
        due = ""
    if due and (due, "") not in taken:
        until = act.at + timedelta(hours=section.quota_hours)
        if due == WARN:
            until = falls_below(tenant, around.seats, around.active_seats, rules, rules.warn_at, act.at)
        out.append(_step(act, due, score, section, ends_at=until))
    wanted = SUSPEND if score.final >= rules.propose_at else QUOTA if score.final >= rules.quota_at else ""
    if wanted == QUOTA and score.a_points >= rules.quota_at:
        wanted = ""
    if wanted and (PROPOSE, wanted) not in taken and not any(x.proposes == wanted for x in open_proposals(tenant)):
        out += propose(_step(act, PROPOSE, score, section, ends_at=None, proposes=wanted), terms)
    return out


def _step(
    act: Act, step: str, score: Score, section: TenantSection, *, ends_at: datetime | None, proposes: str = ""
) -> r.TenantStepTaken:
    # The incident it follows from comes first.
    rest = tuple(x for x in score.incident_ids if x != act.incident_id)
    return r.TenantStepTaken(
        at=act.at,
        step_id=derived_id("ts", act.tenant_id, act.incident_id, step, proposes),
        decision_id=act.decision_id,
        tenant_id=act.tenant_id,
        step=step,
        quota=None,
        starts_at=act.at,
        ends_at=ends_at,
        score_milli=score.milli,
        incident_ids=(act.incident_id, *rest),
        clauses=section.ground,
        is_automatic=True,
        by=SYSTEM,
        proposes=proposes,
    )


def propose(step: r.TenantStepTaken, terms: Agreement) -> list[r.Record]:
    """Say a proposal, with the task it is for people of the enforcing party."""
    due_at = step.at + timedelta(hours=terms.incident.task_due_hours)
    return [step, _task(step, task_of(step), f"tenant.{step.proposes}", step.at, due_at, imposed="none")]


def _task(
    step: r.TenantStepTaken, task_id: str, what: str, at: datetime, due_at: datetime, *, imposed: str
) -> r.TaskOpened:
    return r.TaskOpened(
        at=at,
        task_id=task_id,
        incident_id=next(iter(step.incident_ids), ""),
        account_id="",
        what=what,
        warranted=step.proposes or step.step,
        imposed=imposed,
        due_at=due_at,
    )


# --- undoing ----------------------------------------------------------------------------------------------------------


def settle(
    account: History, around: Surroundings, terms: Agreement, tenant_id: str, at: datetime
) -> tuple[r.Record, ...]:
    """Say what follows for the tenant when strikes of an account were annulled, excused or made milder.

    Discharges, milder charges, the ends of steps that the rest does not warrant, and a task for people about what
    people decided. Empty when nothing has changed; nothing is ever raised (STANDING 5.7-3).
    """
    tenant = around.tenant
    if tenant is None or terms.tenant is None:
        return ()
    out: list[r.Record] = []
    after = tenant
    for row in _milder(account, tenant, tenant_id, at):
        out.append(row)
        after = apply(after, row)
    touched = {x.incident_id for x in out if isinstance(x, (r.TenantCharged, r.TenantDischarged))}
    # A termination that is decided and has not begun is looked at again, too.
    ahead = (step for step, _ in coming(tenant, terms, at))
    for step in (*running_steps(tenant, terms, at), *ahead, *open_proposals(tenant)):
        if not touched & set(step.incident_ids):
            continue
        if not step.is_automatic:
            due_at = at + timedelta(hours=terms.incident.task_due_hours)
            task_id = derived_id("w", step.step_id, "reassess", at.isoformat())
            out.append(_task(step, task_id, "tenant.reassess", at, due_at, imposed=step.step))
        elif not _is_still_warranted(step, tenant, after, around, terms.tenant):
            out += end_step(step, at, because="replayed", by=SYSTEM, reason="")
    return tuple(out)


def end_step(step: r.TenantStepTaken, at: datetime, *, because: str, by: str, reason: str) -> list[r.Record]:
    """Say the end of a step; of a proposal, its task is over with it."""
    out: list[r.Record] = [
        r.TenantStepEnded(
            at=at, step_id=step.step_id, tenant_id=step.tenant_id, because=because, by=by, reason=reason
        )
    ]
    if step.step == PROPOSE:
        out.append(r.TaskClosed(at=at, task_id=task_of(step), by=by, outcome="not_needed", reason=reason))
    return out


def _milder(account: History, tenant: History, tenant_id: str, at: datetime) -> list[r.Record]:
    """Say the discharges, and the rows of what weighs less than is on record."""
    out: list[r.Record] = []
    # What has custody points and no charge any more can be annulled, too.
    ours = {row.incident_id for row in tenant.of(r.CustodyCharged) if row.account_id == account.account_id}
    known = {key: row for key, row in charges(tenant.further).items() if row.account_id == account.account_id}
    annulled = {x.incident_id for x in tenant.of(r.TenantDischarged) if x.because == ANNULLED}
    for incident in account.incidents:
        incident_id = incident.opened.incident_id
        if incident_id not in known and incident_id not in ours - annulled:
            continue
        because = _undone(account, incident_id)
        if because == ANNULLED or (because is not None and incident_id in known):
            out.append(r.TenantDischarged(at=at, tenant_id=tenant_id, incident_id=incident_id, because=because))
            continue
        row = _worth(incident, account, tenant_id, at)
        if row is None or incident_id not in known:
            continue
        old = known[incident_id]
        milder = replace(
            old,
            half_points=min(old.half_points, row.half_points),
            a_half_points=min(old.a_half_points, row.a_half_points),
            # Points in doubt are milder than final ones: without the error this may have been the first incident.
            provisional_until=row.provisional_until or old.provisional_until,
            provisional_cap=row.provisional_cap or old.provisional_cap,
        )
        if weigh(milder, at) != weigh(old, at):
            out.append(milder)
    return out


def _is_still_warranted(
    step: r.TenantStepTaken, before: History, after: History, around: Surroundings, section: TenantSection
) -> bool:
    """Say whether the step would have been taken at its time without what is gone: of each incident it rests on, the
    lesser of what it weighed then and what it weighs by the rows of today."""
    rules = section.score
    if rules is None:
        return False
    then = charges(_until(before, step))
    now = charges(after.further)
    custody = {x.incident_id for x in after.of(r.CustodyCharged)}
    kept = []
    for incident_id in step.incident_ids:
        if incident_id in then and incident_id in now:
            was, is_now = weigh(then[incident_id], step.at), weigh(now[incident_id], step.at)
            kept.append(
                replace(
                    was,
                    half_points=min(was.half_points, is_now.half_points),
                    final_half_points=min(was.final_half_points, is_now.final_half_points),
                    a_half_points=min(was.a_half_points, is_now.a_half_points),
                )
            )
        elif incident_id in custody:
            found = tenant_score(after, around.seats, around.active_seats, rules, step.at).counted
            kept += [c for c in found if c.incident_id == incident_id]
    score = score_of(tuple(kept), around.seats, around.active_seats, rules)
    if not score.is_wide:
        return False
    match step.step, step.proposes:
        case "warn", _:
            return score.points >= rules.warn_at
        case "quota", _:
            return score.a_points >= rules.quota_at
        case _, "quota":
            return score.final >= rules.quota_at
        case _:
            return score.final >= rules.propose_at


def _until(history: History, step: r.TenantStepTaken) -> tuple[r.Record, ...]:
    """Say the rows written before a step was."""
    rows = history.further
    index = next((i for i, x in enumerate(rows) if isinstance(x, r.TenantStepTaken) and x.step_id == step.step_id), 0)
    return rows[:index]


def _undone(account: History, incident_id: str) -> str | None:
    """Say why an incident counts for nobody, None when it does count."""
    incident = next((i for i in account.incidents if i.opened.incident_id == incident_id), None)
    if incident is None or not incident.is_void:
        return None
    return ANNULLED if incident.is_annulled else NOT_ATTRIBUTABLE
