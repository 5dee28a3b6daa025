"""From when on does a termination take effect?  STANDING 5.4 row 4 and row 8, 5.9.

Two people have decided it; then the cooling-off runs, on the agreement's calendar. It stands still while an appeal
against the termination itself is open, while one is whose grant would bring the points under what warrants it, and
under a security hold. And it takes effect only once its notice was accepted on as many channels as the agreement says.
All of that follows from records and an instant: nothing has to run for it, and nothing takes effect by a job's mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from filterd.agreement.cooling_off import Outlook as Outlook
from filterd.agreement.cooling_off import Span, accepted_on, earlier, look_out, open_spans
from filterd.agreement.cooling_off import cooling_off as cooling_off
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.sanction import Rung
from filterd.model.standing import History, SanctionFile

# The notice that tells of it beforehand; agreement/fold keeps those of this name.
NOTICE = "termination_proposed"

# Says the half-points of a history at an instant.
Points = Callable[[History, datetime], int]


def outlook(history: History, sanction: SanctionFile, terms: Agreement, at: datetime, points: Points) -> Outlook:
    """Say when a termination takes effect, by what is known at `at`."""
    imposed = sanction.imposed
    stops = [
        *(("appeal", span) for span in _appeals(history, sanction, at)),
        *(("appeal_on_points", span) for span in _decisive(history, sanction, terms, at, points)),
        *(("hold", (hold.starts_at, earlier(hold.ends_at, end))) for hold, end in history.holds),
    ]
    told = accepted_on(history, NOTICE, imposed.at)
    return look_out(terms, imposed.at, imposed.starts_at, stops, told, at)


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


def _appeals(history: History, sanction: SanctionFile, at: datetime) -> list[Span]:
    """Say when an appeal against a sanction was open."""
    if sanction.objected_at is None:
        return []
    return open_spans(history, sanction.appeal_id, sanction.objected_at, at)


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
