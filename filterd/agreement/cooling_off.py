"""When is a cooling-off over that stands still now and then?  STANDING 5.4 row 4.

Of an account's termination and of an enterprise's alike: a term that stands still during some stops, and that is over
only once its notice was accepted on as many channels as the agreement says. Arithmetic of instants; what stops it is
said in termination and tenant_termination.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.standing import History

# From when until when; None: it has no end yet.
Span = tuple[datetime, datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Where a termination stands at an instant.

    Args:
        begins_at: when it takes effect, or took; None: nobody can say while something holds it up.
        held_up_by: what does: `appeal`, `appeal_on_points`, `hold`, `notice`.
        channels: on which its notice was accepted.
    """

    begins_at: datetime | None
    held_up_by: tuple[str, ...]
    channels: tuple[str, ...]


def cooling_off(terms: Agreement, decided_at: datetime) -> datetime:
    """Say when the cooling-off of a termination decided now is over. Raises ValueError where the file has none."""
    if terms.lifecycle is None:
        raise ValueError(f"agreement {terms.id} has no [lifecycle], so no cooling-off")
    return terms.calendar.term_end(decided_at, terms.lifecycle.cooling_off_days)


def look_out(
    terms: Agreement,
    decided_at: datetime,
    ends_at: datetime,
    stops: list[tuple[str, Span]],
    told: list[tuple[str, datetime]],
    at: datetime,
) -> Outlook:
    """Say when a termination decided at `decided_at`, whose cooling-off would be over at `ends_at`, takes effect.

    Args:
        stops: by what it is held up, each from when until when.
        told: the channels that accepted its notice and when, the first first.
    """
    wanted = terms.termination.channels if terms.termination is not None else 1
    spans = [span for _, span in stops]
    begins_at = _after(ends_at, spans, since=decided_at)
    if begins_at is not None and len(told) >= wanted:
        begins_at = _free(max(begins_at, told[wanted - 1][1]), spans)
    now = [name for name, (since, until) in stops if since <= at and (until is None or at < until)]
    if len(told) < wanted:
        begins_at = None
        now.append("notice")
    return Outlook(
        begins_at=begins_at, held_up_by=tuple(dict.fromkeys(now)), channels=tuple(name for name, _ in told)
    )


def accepted_on(history: History, template: str, since: datetime) -> list[tuple[str, datetime]]:
    """Say on which channels a notice was accepted and when, the first first; each once. One that came back by our own
    fault was not (TX-6.2)."""
    bounced = {(x.notice_id, x.audience) for x in history.of(r.NoticeBounced) if not x.is_theirs}
    first: dict[str, datetime] = {}
    for notice in history.of(r.NoticeSent):
        if notice.at < since or notice.outcome != "accepted" or template not in notice.template.split("+"):
            continue
        for name in notice.channel.split("+"):
            if (notice.notice_id, name) not in bounced:
                first.setdefault(name, notice.deemed_at or notice.at)
    return sorted(first.items(), key=lambda item: item[1])


def open_spans(history: History, appeal_id: str | None, filed_at: datetime, at: datetime) -> list[Span]:
    """Say when an appeal was open: since it was filed, and again since it was reopened."""
    ends = sorted(x.at for x in history.of(r.AppealDecided) if x.appeal_id == appeal_id and x.at <= at)
    begins = [filed_at, *(x.at for x in history.of(r.AppealReopened) if x.appeal_id == appeal_id)]
    return [(begin, next((end for end in ends if end >= begin), None)) for begin in begins if begin <= at]


def _after(end: datetime, stops: Iterable[Span], *, since: datetime) -> datetime | None:
    """Say when a term that ends at `end` is over, if it stands still during `stops`; None while one has no end."""
    for first, last in _merged(stops):
        if first >= end:
            break
        if last is None:
            return None
        end += max(last - max(first, since), timedelta())
    return end


def _free(at: datetime, stops: Iterable[Span]) -> datetime | None:
    """Say the first instant from `at` on that lies in none of them."""
    for first, last in _merged(stops):
        if first <= at and (last is None or at < last):
            if last is None:
                return None
            at = last
    return at


def _merged(stops: Iterable[Span]) -> list[Span]:
    out: list[Span] = []
    for first, last in sorted(stops, key=lambda span: span[0]):
        if out and (out[-1][1] is None or first <= out[-1][1]):
            out[-1] = (out[-1][0], later(out[-1][1], last))
        else:
            out.append((first, last))
    return out


def later(left: datetime | None, right: datetime | None) -> datetime | None:
    """Say the later of two ends, where None never ends."""
    return None if left is None or right is None else max(left, right)


def earlier(left: datetime | None, right: datetime | None) -> datetime | None:
    """Say the earlier of two ends, where None never ends."""
    return (left or right) if left is None or right is None else min(left, right)
