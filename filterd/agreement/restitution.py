"""How long was somebody wrongly kept from something?  To the minute, for the notice and for claims.  STANDING 5.7-3.

Pure: the sanctions as they were, the instant they were undone. Concurrent ones overlap, so the whole is the length of
their union and not their sum; a warning keeps nobody from anything.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from filterd.agreement.standing import stretches
from filterd.agreement.terms import Agreement
from filterd.model.sanction import Rung
from filterd.model.standing import History, SanctionFile

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One sanction's time in force: its stretches above a warning, and its minutes, begun ones whole."""

    sanction_id: str
    rung: Rung
    spans: tuple[tuple[datetime, datetime], ...]
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restitution:
    """What was served in error: each sanction, and all of them as one."""

    served: tuple[Served, ...] = ()
    minutes: int = 0
    since: datetime | None = None


def restitution(history: History, sanction_ids: Collection[str], terms: Agreement, at: datetime) -> Restitution:
    """Say how long these sanctions were in force until `at`, as `history` had them before they were undone."""
    files = [s for s in history.sanctions if s.imposed.sanction_id in sanction_ids]
    served = tuple(x for x in (_served(s, terms, at) for s in files) if x.spans)
    spans = sorted(span for x in served for span in x.spans)
    return Restitution(
        served=served,
        minutes=_minutes(_union(spans)),
        since=spans[0][0] if spans else None,
    )


def _served(file: SanctionFile, terms: Agreement, at: datetime) -> Served:
    pieces = [
        (x.since, min(x.until or at, at)) for x in stretches(file, terms, at) if x.rung > Rung.WARN and x.since < at
    ]
    spans = tuple((since, until) for since, until in pieces if since < until)
    imposed = file.imposed
    return Served(sanction_id=imposed.sanction_id, rung=imposed.rung, spans=spans, minutes=_minutes(list(spans)))


def _union(spans: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    out: list[tuple[datetime, datetime]] = []
    for since, until in spans:
        if out and since <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], until))
        else:
            out.append((since, until))
    return out


def _minutes(spans: list[tuple[datetime, datetime]]) -> int:
    # A minute begun counts in the account's favour.
    return -(-sum(((until - since) for since, until in spans), timedelta()) // _MINUTE)
