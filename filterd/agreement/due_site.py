"""What strikes for the whole site: reports and complaints nobody has settled, changes that begin, the last day of all.

TX-4.1.3, 4.3.2, 4.1.4, 8.2.8. As agreement/due, for the rows of the site.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from filterd.agreement.due import Due, named, not_struck
from filterd.agreement.shutdown import decommission
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import derived_id
from filterd.model.standing import History

CHANGED = "change.effective"
CLOSED, ERASED = "site.closed", "site.erased"


def reminder_of(complaint_id: str, *, is_contested: bool = False) -> str:
    """Say the id of the task by which people are reminded of a complaint whose time is over."""
    return derived_id("w", complaint_id, "contested") if is_contested else derived_id("w", complaint_id)


def of_site(history: History, at: datetime) -> tuple[Due, ...]:
    """Say what strikes for the site at `at`."""
    return not_struck(history, _of_site(history), at)


def _of_site(history: History) -> Iterator[Due]:
    settled = {x.report_id for x in history.of(r.ReportSettled)}
    for report in history.of(r.ReportOpened):
        if report.report_id not in settled:
            yield Due(
                clock="report.overdue",
                subject_id=SITE,
                object_id=report.report_id,
                due_at=report.due_at,
                is_alarm=True,
            )
    for case in history.of(r.ComplaintFiled):
        yield Due(
            clock="complaint.overdue",
            subject_id=SITE,
            # Opened again it has a clock of its own.
            object_id=named(case.complaint_id, case.due_at) if case.contested else case.complaint_id,
            due_at=case.due_at,
            is_alarm=True,
            task=r.TaskOpened(
                at=case.due_at,
                task_id=reminder_of(case.complaint_id, is_contested=bool(case.contested)),
                incident_id="",
                account_id="",
                what=f"complaint {case.complaint_id} is overdue",
                warranted="none",
                imposed="none",
                due_at=case.due_at,
            ),
        )
    for change in history.of(r.ChangeAnnounced):
        yield Due(clock=CHANGED, subject_id=SITE, object_id=change.change_id, due_at=change.effective_at)
    order = decommission(history)
    if order is not None:
        yield Due(
            clock=CLOSED, subject_id=SITE, object_id=named(order.proposal_id, order.closes_at), due_at=order.closes_at
        )
        yield Due(
            clock=ERASED,
            subject_id=SITE,
            object_id=named(order.proposal_id, order.erased_by),
            due_at=order.erased_by,
            is_alarm=True,
        )
