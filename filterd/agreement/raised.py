"""What a raised C2 category does by itself: one warning an incident, no points, a person asked.  STANDING 5.3, 5.9.

Two people have raised it (STANDING 5.5); what its mail suffers is the category's disposition, with the ceiling of
`category.RAISED_CEILING`. No strike follows, so nothing here is ever counted, repeated or built upon.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from filterd.agreement.terms import Agreement, Category
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Mode, Rung, Violation
from filterd.model.standing import History, IncidentFile


def warning(
    history: History,
    incident: IncidentFile,
    violations: tuple[Violation, ...],
    terms: Agreement,
    at: datetime,
    decision_id: str,
) -> tuple[r.Record, ...]:
    """Say the records of the warning; none where the incident has a strike or a sanction, or nothing was raised."""
    incident_id = incident.opened.incident_id
    raised = [c for v in violations if v.mode is Mode.C2 and (c := terms.find_category(v.category)) and c.raised]
    has_sanction = any(s.imposed.incident_id == incident_id for s in history.sanctions)
    if not raised or incident.strike is not None or has_sanction or terms.ladder[0].as_rung is not Rung.WARN:
        return ()
    ground = dict.fromkeys(key for category in raised for key in category.ground)
    imposed = r.SanctionImposed(
        at=at,
        sanction_id=derived_id("s", incident_id, "0"),
        incident_id=incident_id,
        decision_id=decision_id,
        account_id=history.account_id,
        rung=Rung.WARN,
        step=0,
        features=(),
        category=raised[0].id,
        clauses=tuple(dict.fromkeys((*ground, *terms.sanction_ground))),
        starts_at=at,
        ends_at=at + terms.counts_for(_severity(raised[0])),
        lapses_at=None,
        step_down_features=(),
        is_automatic=True,
        by="system",
        warranted=Rung.WARN,
    )
    task = r.TaskOpened(
        at=at,
        task_id=derived_id("w", incident_id, "raised"),
        incident_id=incident_id,
        account_id=history.account_id,
        what="review",
        warranted=Rung.WARN.word,
        imposed=Rung.WARN.word,
        due_at=at + timedelta(hours=terms.incident.task_due_hours),
    )
    return (imposed, task)


def _severity(category: Category) -> int:
    # What nobody has weighed yet is told of for the shortest time.
    return max(1, category.severity_of(1))
