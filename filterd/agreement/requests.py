"""Until when is a customer's request answered, and when is the desk reminded of it?  AL-2.1, TX-4.1.3, CLAUSES §6.

A question is answered in the hours that the agreement promises, trouble with sending or receiving solved in others. At
three quarters of the time the desk is told, at its end an alarm sounds. Announced maintenance stops both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from filterd.agreement.clocks import of
from filterd.agreement.due import Due
from filterd.agreement.maintenance import Window, working_end
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.standing import History

QUESTION, TROUBLE = "question", "mail_trouble"
KINDS = (QUESTION, TROUBLE)
# CLAUSES AL-2.1.
ALERT_AT = Fraction(3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`due_at`: when it is to be answered; `alert_at`: when three quarters of the time are over."""

    due_at: datetime
    alert_at: datetime


def answer_of(
    kind: str,
    received_at: datetime,
    terms: Agreement,
    windows: Collection[Window] = (),
    *,
    held_at: datetime | None = None,
) -> Answer:
    """Say until when a request is answered.

    Args:
        kind: one of KINDS. Where nobody promised hours for a question, it has those of any task.
        held_at: since when our own hold is what it is about: then the time runs from there (CLAUSES 0.11).
    """
    start = received_at if held_at is None else min(received_at, held_at)
    hours = of(terms).complaint_hours if kind == TROUBLE else of(terms).question_hours or terms.incident.task_due_hours
    whole = timedelta(hours=hours)
    part = whole * ALERT_AT.numerator / ALERT_AT.denominator
    return Answer(due_at=working_end(start, whole, windows), alert_at=working_end(start, part, windows))


def of_requests(history: History, windows: Collection[Window]) -> Iterator[Due]:
    """Say what strikes for the requests of a tenant that nobody has answered."""
    over = {x.task_id for x in history.of(r.TaskClosed) if x.outcome != "handed_back"}
    for task in history.of(r.TaskOpened):
        if task.task_id in over or task.alert_at is None:
            continue
        # What was announced since stops the time that was left then; the rest is in the instants already.
        later = [w for w in windows if w.announced_at > task.at]
        alert_at = working_end(task.at, task.alert_at - task.at, later)
        due_at = working_end(task.at, task.due_at - task.at, later)
        yield Due(
            clock="request.three_quarters",
            subject_id=history.account_id,
            object_id=task.task_id,
            due_at=alert_at,
            event="desk_task",
            facts={"task_id": task.task_id, "what": task.what, "due_at": due_at},
            is_alarm=True,
        )
        yield Due(
            clock="request.overdue",
            subject_id=history.account_id,
            object_id=task.task_id,
            due_at=due_at,
            is_alarm=True,
        )
