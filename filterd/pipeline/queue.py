"""What waits for a person, the most urgent first, and taking it in hand.  STANDING 5.3, 5.5, 5.11; §6 no. 5.

Tasks, proposals that want a second person, cures and objections, in one list. A task is claimed for a while, decided
about (which acts on its sanction and closes it), closed with a reason, or handed back. The newest task of an incident
says all the older ones said; what people have decided about since is no task any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from filterd.agreement.cure import cures
from filterd.agreement.proposal import proposals
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.principal import Account, Tenant
from filterd.model.standing import History
from filterd.pipeline.desk import Desk, iso, plain, reason_in
from filterd.pipeline.locked_cases import LockedCaseVerbs
from filterd.pipeline.people import Actor, Arguments, PlainVerb
from filterd.pipeline.relook import WHAT as RELOOK
from filterd.pipeline.roles import is_tenants_side, permitted, reaches, refuse_unless_reached
from filterd.pipeline.urgent import is_kept_from_tenant, is_urgent
from filterd.ports import LedgerTxn

DONE, NOT_NEEDED, HANDED_BACK = "done", "not_needed", "handed_back"

# What the ids of tasks, proposals, cures and appeals begin with (model.ids).
_TASK, _PROPOSAL, _CURE, _APPEAL = "w", "q", "u", "p"
# In this order within the list: what is urgent, then what is late, then by when it is due.
URGENT, LATE, DUE = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTask:
    """A task nobody has dealt with. `account` None: it is about a tenant. `claimed`: who has it in hand now."""

    task: r.TaskOpened
    account: Account | None
    tenant: Tenant | None
    claimed: r.TaskClaimed | None

    def priority(self, now: datetime) -> int:
        if is_urgent(self.task):
            return URGENT
        return LATE if self.task.due_at < now else DUE


class QueueVerbs:
    """The verbs of the queue. `verbs`: the acts on sanctions that a decision is made of, by name."""

    def __init__(self, desk: Desk, verbs: dict[str, PlainVerb]):
        self._desk, self._verbs, self._locked = desk, verbs, LockedCaseVerbs(desk)

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "task.list": self.task_list,
            "task.close": self.review_close,
            "review.list": self.review_list,
            "review.claim": self.review_claim,
            "review.hand_back": self.review_hand_back,
            "review.decide": self.review_decide,
            "review.close": self.review_close,
        }

    # --- looking ------------------------------------------------------------------------------------------------------

    def task_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the open tasks."""
        return [self._row(task, txn.now) for task in self._seen(txn, arguments)]

    def review_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say all that waits for a person, the most urgent first; with `mine`, what the asking person has in hand."""
        actor = permitted(txn, arguments, "look") if arguments.get("token") else None
        rows = [
            {"kind": "task", "id": task.task.task_id, "priority": task.priority(txn.now), **self._row(task, txn.now)}
            for task in self._seen(txn, arguments)
        ]
        rows += self._others(txn, actor)
        rows += self._locked.rows(txn, actor, LATE, DUE)
        if arguments.get("mine"):
            if actor is None:
                raise RefusedError("this needs a named person: give --token or FILTERD_TOKEN")
            rows = [row for row in rows if row.get("claimed_by") == actor.name]
        return sorted(rows, key=lambda row: (row["priority"], str(row["due_at"])))

    # --- acting -------------------------------------------------------------------------------------------------------

    def review_claim(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Take a task in hand for a while; nobody else can until then."""
        actor, task = self._acting(txn, arguments, "review.claim")
        self._refuse_if_taken(task, actor)
        claimed = r.TaskClaimed(
            at=txn.now,
            task_id=task.task.task_id,
            by=actor.name,
            lease_until=txn.now + timedelta(minutes=self._desk.rules.staffing.lease_minutes),
        )
        self._append(txn, task, claimed)
        return self._row(self._find(txn, task.task.task_id), txn.now)

    def review_hand_back(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Give a task back to everybody before its time is over."""
        actor, task = self._acting(txn, arguments, "review.hand_back")
        if task.claimed is None or task.claimed.by != actor.name:
            raise RefusedError(f"{actor.name} does not have it in hand")
        self._close(txn, task, actor, HANDED_BACK, str(arguments.get("reason") or ""))
        return self._row(self._find(txn, task.task.task_id), txn.now)

    def review_decide(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Decide about a task: `confirm`, `lift` or `annul` what was imposed, or `step_up` to another rung.

        `step_up` takes what `sanction.impose` takes; the sanction joins the task's incident.
        """
        actor, task = self._acting(txn, arguments, "review.decide")
        self._refuse_if_taken(task, actor)
        if task.account is None:
            raise RefusedError("this task is about a tenant; act on the tenant and close the task")
        decision = str(arguments.get("decision") or "")
        wanted = dict(arguments)
        if decision == "step_up":
            verb = "sanction.impose"
            wanted |= {"account": task.account.account_id, "case": self._case_of(txn, task)}
        elif f"sanction.{decision}" in self._verbs and decision != "impose":
            verb = f"sanction.{decision}"
            wanted |= {"sanction": task.task.incident_id}
        else:
            raise RefusedError("decide confirm, lift, annul or step_up; or close the task with a reason")
        said = self._verbs[verb](txn, wanted)
        self._close(txn, task, actor, DONE, reason_in(arguments))
        return {"task_id": task.task.task_id, "decision": decision, **said}

    def review_close(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Close a task with a reason and nothing else: it was looked at, and nothing is to be done."""
        actor, task = self._acting(txn, arguments, "review.close")
        self._refuse_if_taken(task, actor)
        self._close(txn, task, actor, NOT_NEEDED, reason_in(arguments))
        return {"task_id": task.task.task_id, "closed": True, "by": actor.name}

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _acting(self, txn: LedgerTxn, arguments: Arguments, verb: str) -> tuple[Actor, OpenTask]:
        actor = permitted(txn, arguments, verb)
        task = self._find(txn, str(arguments.get("task") or ""))
        if task.account is not None:
            self._desk.refuse_unless_reached(txn, actor, verb, task.account)
        else:
            party = self._desk.rules.terms_for(task.tenant, txn.now).enforcing_party
            refuse_unless_reached(txn, actor, verb, task.tenant, enforcing_party=party)
        return actor, task

    def _find(self, txn: LedgerTxn, task_id: str) -> OpenTask:
        owner = txn.account_of(task_id)
        found = [task for task in self._of(txn, owner) if task.task.task_id == task_id] if owner is not None else []
        if not found:
            if owner is not None and any(
                isinstance(x, r.TaskOpened) and x.task_id == task_id for x in txn.records(owner)
            ):
                raise RefusedError("this task is over: decided about, closed, or replaced by a newer one")
            raise UsageError(f"no task {task_id}")
        return found[0]

    def _seen(self, txn: LedgerTxn, arguments: Arguments) -> list[OpenTask]:
        actor = permitted(txn, arguments, "look") if arguments.get("token") else None
        found = [task for owner in txn.bearing(_TASK) for task in self._of(txn, owner)]
        # What is to be looked at again in its time waits for nobody before that.
        due = [task for task in found if task.task.what != RELOOK or task.task.due_at <= txn.now]
        return [task for task in due if actor is None or self._may_see(txn, actor, task)]

    def _may_see(self, txn: LedgerTxn, actor: Actor, task: OpenTask) -> bool:
        party = self._desk.rules.terms_for(task.tenant, txn.now).enforcing_party
        is_hidden = is_tenants_side(actor, party) and is_kept_from_tenant(task.task)
        return reaches(txn, actor, task.tenant) and not is_hidden

    def _of(self, txn: LedgerTxn, subject_id: str) -> list[OpenTask]:
        """Say the open tasks of an account or a tenant."""
        records = txn.records(subject_id)
        newest = {x.incident_id or x.task_id: x for x in records if isinstance(x, r.TaskOpened)}
        if not newest:
            return []
        history = txn.history(subject_id)
        settled = _settled(history)
        ended = {x.task_id for x in records if isinstance(x, r.TaskClosed) and x.outcome != HANDED_BACK}
        account = txn.account(subject_id)
        tenant = txn.tenant(account.tenant_id if account is not None else subject_id)
        return [
            OpenTask(task=task, account=account, tenant=tenant, claimed=_claim(records, task.task_id, txn.now))
            for task in newest.values()
            if task.task_id not in ended and _is_open(task, history, settled)
        ]

    def _others(self, txn: LedgerTxn, actor: Actor | None) -> list[dict[str, Any]]:
        """Say what waits besides tasks: second persons, cures, objections and appeals."""
        rows: list[dict[str, Any]] = []
        for subject_id in txn.bearing(_PROPOSAL, _CURE, _APPEAL):
            history = txn.history(subject_id)
            account = txn.account(subject_id) if subject_id != SITE else None
            tenant = None
            if subject_id != SITE:
                tenant = txn.tenant(account.tenant_id if account is not None else subject_id)
            if actor is not None and not reaches(txn, actor, tenant):
                continue
            terms = self._desk.rules.terms_for(tenant, txn.now)
            is_theirs = actor is not None and is_tenants_side(actor, terms.enforcing_party)
            hours = terms.incident.objection_hours
            for kind, found_id, what, due_at in _waiting(history, txn.now, objection_hours=hours):
                if kind == "proposal" and is_theirs:
                    # What two people weigh; of what an authority keeps secret not even that there is such a thing.
                    continue
                rows.append(
                    {
                        "kind": kind,
                        "id": found_id,
                        "subject_id": subject_id,
                        "login": account.login if account is not None else None,
                        "what": what,
                        "due_at": iso(due_at),
                        "overdue": due_at < txn.now,
                        "priority": LATE if due_at < txn.now else DUE,
                        "claimed_by": None,
                    }
                )
        return rows

    def _case_of(self, txn: LedgerTxn, task: OpenTask) -> str | None:
        """Say the incident a step up joins; a restore's task has none of its own."""
        history = txn.history(task.task.account_id)
        known = {i.opened.incident_id for i in history.incidents}
        return task.task.incident_id if task.task.incident_id in known else None

    def _refuse_if_taken(self, task: OpenTask, actor: Actor) -> None:
        if task.claimed is not None and task.claimed.by != actor.name:
            raise RefusedError(f"{task.claimed.by} has it in hand until {iso(task.claimed.lease_until)}")

    def _close(self, txn: LedgerTxn, task: OpenTask, actor: Actor, outcome: str, reason: str) -> None:
        closed = r.TaskClosed(
            at=txn.now, task_id=task.task.task_id, by=actor.name, outcome=outcome, reason=reason
        )
        self._append(txn, task, closed)

    def _append(self, txn: LedgerTxn, task: OpenTask, record: r.Record) -> None:
        txn.append(
            record,
            account_id=task.account.account_id if task.account is not None else None,
            tenant_id=task.tenant.tenant_id if task.tenant is not None else None,
        )

    def _row(self, task: OpenTask, now: datetime) -> dict[str, Any]:
        login = task.account.login if task.account is not None else None
        claimed = task.claimed
        return {
            "login": login,
            **plain(task.task),
            "overdue": task.task.due_at < now,
            "claimed_by": claimed.by if claimed is not None else None,
            "claimed_until": iso(claimed.lease_until) if claimed is not None else None,
        }


def _waiting(
    history: History, now: datetime, *, objection_hours: int
) -> Iterable[tuple[str, str, str, datetime]]:
    """Say (kind, id, what, due) of what waits in a history besides tasks."""
    for file in proposals(history.further):
        if file.state(now) == "open":
            yield "proposal", file.proposed.proposal_id, file.proposed.act, file.proposed.expires_at
    for cure in cures(history):
        if cure.state(now) == "open":
            yield "cure", cure.filed.cure_id, "cure", cure.filed.due_at
    decided = {x.appeal_id for x in history.of(r.AppealDecided)}
    for sanction in history.sanctions:
        if sanction.objected_at is None or sanction.appeal_id in decided or sanction.annulled_at is not None:
            continue
        kind = "appeal" if sanction.answered_at is not None else "objection"
        due_at = sanction.objected_at + timedelta(hours=objection_hours)
        yield kind, sanction.appeal_id or "", sanction.imposed.rung.word, due_at


def _is_open(task: r.TaskOpened, history: History, settled: Mapping[str, datetime]) -> bool:
    """Say whether nobody has decided about its incident since; what is to be looked at again is a decision's own."""
    if task.what == RELOOK:
        mine = [s for s in history.sanctions if s.imposed.incident_id == task.incident_id]
        return any(s.imposed.ends_at is None and s.lifted_at is None and s.annulled_at is None for s in mine)
    return task.incident_id not in settled or task.at > settled[task.incident_id]


def _claim(records: Iterable[r.Record], task_id: str, now: datetime) -> r.TaskClaimed | None:
    """Say who has a task in hand, None when nobody does."""
    claim = None
    for record in records:
        if isinstance(record, r.TaskClaimed) and record.task_id == task_id:
            claim = record
        elif isinstance(record, r.TaskClosed) and record.task_id == task_id:
            claim = None
    return claim if claim is not None and now < claim.lease_until else None


def _settled(history: History) -> dict[str, datetime]:
    """Say when a person last decided about an incident; what is asked later is open again, but for an annulled one."""
    acts = [
        (s.imposed.incident_id, at)
        for s in history.sanctions
        for at in (s.confirmed_at, s.lifted_at, s.annulled_at)
        if at is not None
    ]
    settled: dict[str, datetime] = {}
    for incident_id, at in acts:
        settled[incident_id] = max(at, settled.get(incident_id, at))
    never = datetime.max.replace(tzinfo=UTC)
    return settled | {i.opened.incident_id: never for i in history.incidents if i.is_annulled}
