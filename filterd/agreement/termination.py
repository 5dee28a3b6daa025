"""From when on does a termination take effect?  STANDING 5.4 row 4 and row 8, 5.9.

Two people have decided it; then the cooling-off runs, on the agreement's calendar. It stands still while an appeal
against the termination itself is open, while one is whose grant would bring the points under what warrants it, and
under a security hold. And it takes effect only once its notice was accepted on as many channels as the agreement says.
All of that follows from records and an instant: nothing has to run for it, and nothing takes effect by a job's mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.sanction import Rung
from filterd.model.standing import History, SanctionFile

# The notice that tells of it beforehand; agreement/fold keeps those of this name.
NOTICE = "termination_proposed"

# Says the half-points of a history at an instant.
Points = Callable[[History, datetime], int]

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


def outlook(history: History, sanction: SanctionFile, terms: Agreement, at: datetime, points: Points) -> Outlook:
    """Say when a termination takes effect, by what is known at `at`."""
    imposed = sanction.imposed
    told = _channels(history, imposed.at)
    wanted = terms.termination.channels if terms.termination is not None else 1
    stops = [
        *(("appeal", span) for span in _appeals(history, sanction, at)),
        *(("appeal_on_points", span) for span in _decisive(history, sanction, terms, at, points)),
        *(("hold", (hold.starts_at, _earlier(hold.ends_at, end))) for hold, end in history.holds),
    ]
    begins_at = _after(imposed.starts_at, [span for _, span in stops], since=imposed.at)
    if begins_at is not None and len(told) >= wanted:
        begins_at = _free(max(begins_at, told[wanted - 1][1]), [span for _, span in stops])
    now = [name for name, (since, until) in stops if since <= at and (until is None or at < until)]
    if len(told) < wanted:
        begins_at = None
        now.append("notice")
    return Outlook(
        begins_at=begins_at, held_up_by=tuple(dict.fromkeys(now)), channels=tuple(name for name, _ in told)
    )


def begun(
    history: History, sanction: SanctionFile, terms: Agreement, at: datetime, points: Points
) -> SanctionFile | None:
    """Say a sanction as standing sees it: a termination with the start it really has and the end a reinstatement gave
    it; None for one that has not begun. Any other sanction is what it is."""
    if sanction.imposed.rung is not Rung.TERMINATE:
        return sanction
    begins_at = outlook(history, sanction, terms, at, points).begins_at
    if begins_at is None or begins_at > at:
        return None
    back = [x.at for x in history.of(r.AccountReinstated) if x.sanction_id == sanction.imposed.sanction_id]
    lifted_at = min([*back, *([sanction.lifted_at] if sanction.lifted_at is not None else [])], default=None)
    return replace(sanction, imposed=replace(sanction.imposed, starts_at=begins_at), lifted_at=lifted_at)


def threshold(terms: Agreement) -> int:
    """Say from how many half-points on a termination is warranted."""
    proposing = [step.at for step in terms.ladder if step.propose_termination]
    return round(min(proposing, default=terms.ladder[-1].at) * 2)


def _channels(history: History, since: datetime) -> list[tuple[str, datetime]]:
    """Say on which channels the notice was accepted and when, the first first; each once."""
    bounced = {(x.notice_id, x.audience) for x in history.of(r.NoticeBounced) if not x.is_theirs}
    first: dict[str, datetime] = {}
    for notice in history.of(r.NoticeSent):
        if notice.at < since or notice.outcome != "accepted" or NOTICE not in notice.template.split("+"):
            continue
        for name in notice.channel.split("+"):
            if (notice.notice_id, name) not in bounced:
                first.setdefault(name, notice.deemed_at or notice.at)
    return sorted(first.items(), key=lambda item: item[1])


def _appeals(history: History, sanction: SanctionFile, at: datetime) -> list[Span]:
    """Say when an appeal against a sanction was open."""
    if sanction.objected_at is None or sanction.objected_at > at:
        return []
    mine = sanction.appeal_id
    ends = sorted(x.at for x in history.of(r.AppealDecided) if x.appeal_id == mine and x.at <= at)
    begins = [sanction.objected_at, *(x.at for x in history.of(r.AppealReopened) if x.appeal_id == mine)]
    return [(begin, next((end for end in ends if end >= begin), None)) for begin in begins if begin <= at]


def _decisive(
    history: History, sanction: SanctionFile, terms: Agreement, at: datetime, points: Points
) -> list[Span]:
    """Say when an appeal was open whose grant would bring the points under what warrants a termination."""
    spans = []
    least = threshold(terms)
    for other in history.sanctions:
        incident_id = other.imposed.incident_id
        if other.imposed.sanction_id == sanction.imposed.sanction_id:
            continue
        for since, until in _appeals(history, other, at):
            seen_at = max(since, sanction.imposed.at)
            granted = replace(
                history,
                incidents=tuple(
                    replace(i, is_annulled=True) if i.opened.incident_id == incident_id else i
                    for i in history.incidents
                ),
            )
            if points(granted, seen_at) < min(least, points(history, seen_at)):
                spans.append((since, until))
    return spans


def _after(end: datetime, stops: list[Span], *, since: datetime) -> datetime | None:
    """Say when a term that ends at `end` is over, if it stands still during `stops`; None while one has no end."""
    for first, last in _merged(stops):
        if first >= end:
            break
        if last is None:
            return None
        end += max(last - max(first, since), timedelta())
    return end


def _free(at: datetime, stops: list[Span]) -> datetime | None:
    """Say the first instant from `at` on that lies in none of them."""
    for first, last in _merged(stops):
        if first <= at and (last is None or at < last):
            if last is None:
                return None
            at = last
    return at


def _merged(stops: list[Span]) -> list[Span]:
    out: list[Span] = []
    for first, last in sorted(stops, key=lambda span: span[0]):
        if out and (out[-1][1] is None or first <= out[-1][1]):
            out[-1] = (out[-1][0], _later(out[-1][1], last))
        else:
            out.append((first, last))
    return out


def _later(left: datetime | None, right: datetime | None) -> datetime | None:
    return None if left is None or right is None else max(left, right)


def _earlier(left: datetime | None, right: datetime | None) -> datetime | None:
    return (left or right) if left is None or right is None else min(left, right)
