"""What cannot wait: severity 4 by a report, a hash or an order, and imminent harm.  STANDING 5.3, 5.7-25.

One person's act. It is a task that is looked at within the hour, whoever is on call is called until a person has it in
hand (workers/pager), and nothing follows from it by itself: no point, no rung. To whoever may harm themselves a letter
says where help is found.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from filterd.agreement.category import URGENT as SEVERITY_4
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.ids import random_id
from filterd.pipeline.desk import Desk, iso, reason_in
from filterd.pipeline.notice_events import announce_event
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.register_acts import required
from filterd.ports import FollowUp, LedgerTxn, Promise

# What a task begins with that is looked at within the hour (STANDING 5.3, S4).
WORDS = ("S4", "urgent")
FIRST_LOOK = timedelta(hours=1)
TOPIC = "page"
SELF_HARM, THREAT = "self_harm", "threat"
HARM = (SELF_HARM, THREAT)
# What may call somebody out of bed: a model's label alone may not.
SOURCES = ("report", "hash", "order")
CARE = "care"
# A task about a rights holder's notice, which only a person judges (TX-3.3.2 tail-f).
TO_JUDGE_RIGHTS = "rights notice"


class State(Enum):
    """How far people are with an urgent task."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    CLOSED = "closed"


def is_urgent(task: r.TaskOpened) -> bool:
    """Say whether a task is looked at within the hour."""
    return task.what.startswith(WORDS)


def is_kept_from_tenant(record: r.Record) -> bool:
    """Say whether a row is none of the tenant's side's: who may come to harm, what only people have to judge first."""
    match record:
        case r.TaskOpened():
            return is_urgent(record) or record.what == TO_JUDGE_RIGHTS
        case r.NoticeSent():
            return record.template == CARE
        case r.RightsNoticeFiled() | r.RightsNoticeAdded() | r.VerificationNoted():
            return True
        case _:
            return False


def promise_page(record: r.Record, account_id: str | None, tenant_id: str | None) -> Iterable[Promise]:
    """Fulfils ports.FollowUp: an urgent task calls whoever is on call."""
    if isinstance(record, r.TaskOpened) and is_urgent(record):
        payload = {"task_id": record.task_id, "opened_at": iso(record.at), "due_at": iso(record.due_at)}
        yield Promise(topic=TOPIC, payload=payload, merge_key=f"{TOPIC}:{record.task_id}")


def all_of(*follow_ups: FollowUp) -> FollowUp:
    """Put several together."""

    def follow_up(record: r.Record, account_id: str | None, tenant_id: str | None) -> Iterable[Promise]:
        for one in follow_ups:
            yield from one(record, account_id, tenant_id)

    return follow_up


def state_of(txn: LedgerTxn, task_id: str) -> tuple[State, datetime | None]:
    """Say whether somebody has an urgent task in hand, and until when."""
    owner = txn.account_of(task_id)
    state, until = State.WAITING, None
    for row in txn.records(owner) if owner is not None else ():
        match row:
            case r.TaskClaimed() if row.task_id == task_id:
                is_running = txn.now < row.lease_until
                state, until = (State.CLAIMED, row.lease_until) if is_running else (State.WAITING, None)
            case r.TaskClosed() if row.task_id == task_id:
                state, until = (State.WAITING if row.outcome == "handed_back" else State.CLOSED), None
            case _:
                pass
    # Of a task that is in no history any more nobody is called.
    return (State.CLOSED, None) if owner is None else (state, until)


class UrgentVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {"urgent.open": self.urgent_open}

    def urgent_open(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Have an `account` looked at within the hour: `what` is a category of severity 4, or imminent harm; `source`
        what it is known from."""
        account = self._desk.account(txn, required(arguments, "account"))
        actor = self._desk.permit(txn, arguments, "urgent.open", account)
        terms = self._desk.terms(txn, account)
        what, source = required(arguments, "what"), required(arguments, "source")
        grave = [c.id for c in terms.category if c.severity == SEVERITY_4]
        if what not in (*HARM, *grave):
            raise RefusedError(f"what is one of {', '.join((*HARM, *grave))}")
        if source not in SOURCES:
            raise RefusedError(f"source is one of {', '.join(SOURCES)}; what a model says alone waits in the queue")
        reason_in(arguments)
        task = r.TaskOpened(
            at=txn.now,
            task_id=random_id("w", txn.now),
            incident_id="",
            account_id=account.account_id,
            what=f"S4 {'imminent harm' if what in HARM else what}: {source}",
            warranted="none",
            imposed="none",
            due_at=txn.now + FIRST_LOOK,
        )
        self._desk.append(txn, account, task)
        if what == SELF_HARM:
            announce_event(txn, CARE, account.account_id, {"at": txn.now})
        has_pager = self._desk.rules.has_pager
        return {
            "task_id": task.task_id,
            "due_at": iso(task.due_at),
            "paged": has_pager,
            "hotline": dict(self._desk.rules.hotline) if what in HARM else {},
            "by": actor.name,
        }
