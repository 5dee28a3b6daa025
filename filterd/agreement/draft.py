"""A history while something is being weighed: each record added counts for what is weighed next."""

from __future__ import annotations

from filterd.agreement.fold import apply
from filterd.model import records as r
from filterd.model.standing import History, IncidentFile


class Draft:
    """The history so far, and the records added to it."""

    def __init__(self, history: History):
        self.history = history
        self.records: list[r.Record] = []

    def add(self, record: r.Record) -> None:
        self.records.append(record)
        self.history = apply(self.history, record)

    def incident(self, incident_id: str) -> IncidentFile:
        return next(i for i in self.history.incidents if i.opened.incident_id == incident_id)
