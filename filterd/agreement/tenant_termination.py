"""From when on does the termination of an enterprise take effect?  STANDING 5.4 rows 4, 8 and 11, 5.5; TX-4.3.1, 8.2.3.

The same safeguards as for an account (agreement/termination). Two people have decided it; the cooling-off stands still
while an appeal of the tenant's side against it is open, while one of an account is whose grant would bring the tenant's
score under what warrants it, and under an emergency lock or a registration nobody has looked at. And it takes effect
only once its notice was accepted on as many channels as the agreement says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from filterd.agreement.cooling_off import Outlook, Span, accepted_on, look_out, open_spans
from filterd.agreement.sections_tenant import TenantScore
from filterd.agreement.tenant_score import tenant_score
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.standing import History

TERMINATE = "terminate"
# The notice that tells of it beforehand; agreement/fold keeps those of this name.
NOTICE = "tenant_termination_proposed"
# Why one ended: two people gave it back, an appeal was granted, or one person stopped it before it took effect.
REINSTATED, ANNULLED, VETOED = "reinstated", "annulled", "vetoed"


def outlook(history: History, step: r.TenantStepTaken, terms: Agreement, at: datetime) -> Outlook:
    """Say when a termination takes effect, by what is known at `at`.

    Args:
        history: the tenant's own.
    """
    stops = [
        *(("appeal", span) for span in _appeals(history, step, at)),
        *(("appeal_on_points", span) for span in _decisive(history, step, terms, at)),
        *(("hold", span) for span in _holds(history)),
    ]
    return look_out(terms, step.at, step.starts_at, stops, accepted_on(history, NOTICE, step.at), at)


def begun_at(history: History, step: r.TenantStepTaken, terms: Agreement, at: datetime) -> datetime | None:
    """Say since when a termination is in effect; None while it is not. What ended it is not asked here."""
    begins_at = outlook(history, step, terms, at).begins_at
    return begins_at if begins_at is not None and begins_at <= at else None


def coming(history: History, terms: Agreement, at: datetime) -> tuple[tuple[r.TenantStepTaken, Outlook], ...]:
    """Say the terminations that two people have decided and that have not taken effect, with what holds them up."""
    found = ((step, outlook(history, step, terms, at)) for step in standing_ones(history, at))
    return tuple((step, seen) for step, seen in found if seen.begins_at is None or seen.begins_at > at)


def standing_ones(history: History, at: datetime) -> tuple[r.TenantStepTaken, ...]:
    """Say the terminations that nobody has ended, those still in their cooling-off too."""
    over = {x.step_id for x in history.of(r.TenantStepEnded) if x.at <= at}
    return tuple(x for x in history.of(r.TenantStepTaken) if x.step == TERMINATE and x.step_id not in over)


def _appeals(history: History, step: r.TenantStepTaken, at: datetime) -> Iterator[Span]:
    """Say when an appeal of the tenant's side against it was open."""
    for filed in history.of(r.ObjectionFiled):
        if filed.sanction_id == step.step_id:
            yield from open_spans(history, filed.appeal_id, filed.at, at)


def _decisive(history: History, step: r.TenantStepTaken, terms: Agreement, at: datetime) -> Iterator[Span]:
    """Say when an appeal of one of its accounts was open whose grant would bring the score under what warrants it."""
    rules = terms.tenant.score if terms.tenant is not None else None
    if rules is None:
        return
    for noted in history.of(r.TenantAppealNoted):
        if noted.at > at or not noted.is_open:
            continue
        closed = (
            x.at
            for x in history.of(r.TenantAppealNoted)
            if x.appeal_id == noted.appeal_id and not x.is_open and noted.at <= x.at <= at
        )
        seen_at = max(noted.at, step.at)
        granted = replace(
            history,
            further=(
                *history.further,
                r.TenantDischarged(
                    at=noted.at, tenant_id=step.tenant_id, incident_id=noted.incident_id, because=ANNULLED
                ),
            ),
        )
        before = _score(history, step, rules, seen_at)
        if _score(granted, step, rules, seen_at) < min(rules.propose_at, before):
            yield noted.at, min(closed, default=None)


def _score(history: History, step: r.TenantStepTaken, rules: TenantScore, at: datetime) -> float:
    """Say what counts against the tenant as a whole, with the seats of the hour in which it was decided: 0 where it is
    no matter of the whole."""
    score = tenant_score(history, step.seats, step.active_seats, rules, at)
    return score.final if score.is_wide else 0.0


def _holds(history: History) -> Iterator[Span]:
    """Say when the tenant was locked for its protection, or waited for a person to look at its registration."""
    opened = {x.lock_id: x.at for x in reversed(history.of(r.TenantUnlocked))}
    confirmed = {x.lock_id: x for x in history.of(r.TenantLockConfirmed)}
    for lock in history.of(r.TenantLocked):
        until: datetime | None = lock.until
        second = confirmed.get(lock.lock_id)
        if second is not None and second.at < lock.until:
            until = second.until
        ends = [end for end in (until, opened.get(lock.lock_id)) if end is not None]
        yield lock.at, min(ends, default=None)
    settled = {x.match_id: x.at for x in reversed(history.of(r.RegistrationSettled))}
    for match in history.of(r.RegistrationMatched):
        yield match.at, settled.get(match.match_id)
