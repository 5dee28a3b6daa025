"""Maintenance windows: when mail waits and the clocks of people stand still.  TX-5.2, AL-6.3, STANDING 5.11."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from filterd.model.records import MaintenanceAnnounced, MaintenanceEnded
from filterd.model.standing import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window, as long as it was: `until` is when somebody ended it, if that was earlier."""

    window_id: str
    since: datetime
    until: datetime
    announced_at: datetime
    is_emergency: bool
    by: str

    def covers(self, at: datetime) -> bool:
        return self.since <= at < self.until


def windows(site: History | None) -> tuple[Window, ...]:
    """Say every window of the site, also those to come, by their beginning; one ended before it began is none."""
    if site is None:
        return ()
    ended: dict[str, datetime] = {}
    for record in site.of(MaintenanceEnded):
        ended.setdefault(record.window_id, record.at)
    found = (
        Window(
            window_id=x.window_id,
            since=x.since,
            until=min(x.until, ended.get(x.window_id, x.until)),
            announced_at=x.announced_at,
            is_emergency=x.is_emergency,
            by=x.by,
        )
        for x in site.of(MaintenanceAnnounced)
    )
    return tuple(sorted((w for w in found if w.since < w.until), key=lambda w: (w.since, w.window_id)))


def window_at(site: History | None, at: datetime) -> Window | None:
    """Say the window that is open, the one that ends last; None when there is none."""
    return max((w for w in windows(site) if w.covers(at)), key=lambda w: w.until, default=None)


def working_end(start: datetime, length: timedelta, closed: Collection[Window]) -> datetime:
    """Say when so much time has passed outside of all windows."""
    at, left = start, length
    for window in sorted(closed, key=lambda w: w.since):
        if window.until <= at:
            continue
        if window.since > at:
            if window.since - at >= left:
                break
            left -= window.since - at
        at = window.until
    return at + left
