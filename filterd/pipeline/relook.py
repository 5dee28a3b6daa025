"""Nobody stays suspended without an end because nobody looked again: every 30 days a person does.  STANDING 5.11."""

from __future__ import annotations

from datetime import datetime, timedelta

from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.ids import derived_id

WHAT = "relook: an open-ended suspension"


def relook_task(imposed: r.SanctionImposed, terms: Agreement, now: datetime) -> r.TaskOpened | None:
    """Make the task to look again at a sanction without an end; None where the agreement sets no time for it."""
    if terms.lifecycle is None:
        return None
    return r.TaskOpened(
        at=now,
        task_id=derived_id("w", imposed.sanction_id, "relook", now.isoformat()),
        incident_id=imposed.incident_id,
        account_id=imposed.account_id,
        what=WHAT,
        warranted=imposed.rung.word,
        imposed=imposed.rung.word,
        due_at=now + timedelta(days=terms.lifecycle.relook_days),
    )
