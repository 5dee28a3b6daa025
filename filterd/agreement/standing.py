"""What may this account do at an instant?  STANDING 5.1, 5.2, 5.4 rows 5-7, 5.6.

A pure function of the folded records and the instant: expiry, lapse, step-down and the end of provisional points happen
because time passed, not because a job ran (HOUSE rule 12).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from filterd.agreement.appeal_clock import unanswered_at
from filterd.agreement.cure import cured_at
from filterd.agreement.lifecycle import lifecycle_at
from filterd.agreement.security import security_at
from filterd.agreement.tenant_steps import tenant_limits
from filterd.agreement.termination import begun
from filterd.agreement.terms import Agreement
from filterd.model.sanction import Conduct, Feature, Rung
from filterd.model.standing import (
    ALONE,
    ActiveSanction,
    CountingStrike,
    History,
    IncidentFile,
    SanctionFile,
    Standing,
    Surroundings,
)

SENDING = (Feature(name="sending"),)
_CONDUCT = {
    Rung.NONE: Conduct.GOOD,
    Rung.WARN: Conduct.WARNED,
    Rung.RESTRICT: Conduct.RESTRICTED,
    Rung.SUSPEND: Conduct.SUSPENDED,
    Rung.TERMINATE: Conduct.TERMINATED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A stretch of a sanction's life with one rung. `until` None: open-ended."""

    since: datetime
    until: datetime | None
    rung: Rung
    features: tuple[Feature, ...]

    def covers(self, at: datetime) -> bool:
        return self.since <= at and (self.until is None or at < self.until)


def stretches(sanction: SanctionFile, terms: Agreement, known_at: datetime) -> tuple[Stretch, ...]:
    """Say what a sanction is over its life, in order; nothing for the time after it ended, lapsed or was undone.

    A step-down that has yet to come at `known_at` is left out: a person may still answer.
    """
    imposed = sanction.imposed
    features = SENDING if imposed.rung >= Rung.SUSPEND else imposed.features
    life = [Stretch(since=imposed.starts_at, until=imposed.ends_at, rung=imposed.rung, features=features)]
    if imposed.lapses_at is not None and not _before(sanction.confirmed_at, imposed.lapses_at):
        life = _cut(life, imposed.lapses_at, None)
    down_at = _steps_down_at(sanction, terms)
    # In the order of time: what steps down is what a replay left until then, and a replay has seen what stepped down.
    for x in sanction.replayed:
        if down_at is not None and down_at <= min(x.at, known_at):
            life, down_at = _stepped_down(life, sanction, down_at), None
        after = Stretch(since=x.at, until=x.ends_at, rung=x.rung, features=x.features) if x.rung > Rung.NONE else None
        life = _cut(life, x.at, after)
    if down_at is not None and down_at <= known_at:
        life = _stepped_down(life, sanction, down_at)
    for end in (sanction.lifted_at, sanction.annulled_at):
        if end is not None:
            life = _cut(life, end, None)
    return tuple(life)


def _steps_down_at(sanction: SanctionFile, terms: Agreement) -> datetime | None:
    """Say when an objection no person answered in time takes an unconfirmed automatic sanction one rung down (STANDING
    5.6), or one that somebody took up and did not decide in time; None when it does not."""
    if not sanction.imposed.is_automatic or sanction.objected_at is None:
        return None
    was_confirmed = sanction.confirmed_at is not None and sanction.confirmed_at <= sanction.objected_at
    return None if was_confirmed else unanswered_at(sanction, terms)


def _stepped_down(life: list[Stretch], sanction: SanctionFile, at: datetime) -> list[Stretch]:
    """Take what runs at `at` one rung down: a suspension to a restriction for the time left, a restriction ends."""
    running = next((piece for piece in life if piece.covers(at)), None)
    if running is None or running.rung is not Rung.SUSPEND:
        return _cut(life, at, None)
    # One imposed open-ended goes on until a person has answered, also when a replay has given it an end since.
    imposed = sanction.imposed
    until = imposed.ends_at or sanction.answered_at
    return _cut(life, at, Stretch(since=at, until=until, rung=Rung.RESTRICT, features=imposed.step_down_features))


def was_cut(sanction: SanctionFile, at: datetime, terms: Agreement) -> bool:
    """Say whether the end at `at` came from an unanswered objection or a replay, not from time alone."""
    return _steps_down_at(sanction, terms) == at or any(x.at == at for x in sanction.replayed)


def _cut(life: list[Stretch], at: datetime, then: Stretch | None) -> list[Stretch]:
    """End whatever runs at `at`, drop what would begin later, and go on with `then` if it is milder than what ran."""
    out = []
    running = None
    for piece in life:
        if piece.covers(at):
            running = piece
            if piece.since < at:
                out.append(replace(piece, until=at))
        elif piece.until is not None and piece.until <= at:
            out.append(piece)
    if running is not None and then is not None:
        rung = min(running.rung, then.rung)
        until = earlier(running.until, then.until)
        if until is None or until > at:
            features = running.features if rung is running.rung and rung >= Rung.SUSPEND else then.features
            out.append(Stretch(since=at, until=until, rung=rung, features=features))
    return out


def earlier(left: datetime | None, right: datetime | None) -> datetime | None:
    """Say the earlier of two ends, where None never ends."""
    if left is None or right is None:
        return left or right
    return min(left, right)


def _before(at: datetime | None, limit: datetime) -> bool:
    return at is not None and at < limit


def strike_at(incident: IncidentFile, history: History, at: datetime) -> CountingStrike | None:
    """Say what an incident's strike weighs at an instant, or None when it does not count."""
    strike = incident.strike
    if strike is None or incident.is_void or not incident.opened.at <= at < strike.expires_at:
        return None
    weight_b = strike.b_half_points if is_b_whole(incident, history, at) else strike.b_half_points // 2
    points, a_points = max(strike.a_half_points, weight_b), strike.a_half_points
    is_provisional = strike.provisional_until is not None and at < strike.provisional_until
    if strike.provisional_until is not None and not is_provisional:
        points, a_points = min(points, strike.provisional_cap), min(a_points, strike.provisional_cap)
    if points == 0:
        return None
    return CountingStrike(
        strike_id=strike.strike_id,
        incident_id=incident.opened.incident_id,
        half_points=points,
        a_half_points=0 if is_provisional else a_points,
        is_provisional=is_provisional,
        expires_at=strike.expires_at,
    )


def is_b_whole(incident: IncidentFile, history: History, at: datetime) -> bool:
    """A mode-B strike counts half until a person confirms it or a second B incident of the family begins after its
    notice; then both count whole. An incident under objection is not confirmed by repetition (STANDING 5.3)."""
    if incident.is_confirmed:
        return True
    others = [i for i in history.incidents if i is not incident and i.opened.at <= at]
    return any(repeats(incident, i, history) or repeats(i, incident, history) for i in others)


def repeats(first: IncidentFile, second: IncidentFile, history: History) -> bool:
    """Say whether `second` confirms `first`: both in mode B in one family, the first still counting and noticed before
    the second began, and not under objection then."""
    if first.is_void or second.is_void or not first.b_families & second.b_families:
        return False
    if first.strike is None or not first.opened.at <= second.opened.at < first.strike.expires_at:
        return False
    if first.noticed_at is None or first.noticed_at >= second.opened.at:
        return False
    return not any(
        s.imposed.incident_id == first.opened.incident_id
        and s.objected_at is not None
        and s.objected_at <= second.opened.at
        and not _before(s.answered_at, second.opened.at)
        for s in history.sanctions
    )


def standing_at(history: History, terms: Agreement, at: datetime, around: Surroundings = ALONE) -> Standing:
    """Say the standing of an account at `at` (aware UTC): what its conduct, its security and its service allow, and
    what is in force against its tenant."""
    active = []
    for sanction in in_effect(history, terms, at):
        for piece in stretches(sanction, terms, at):
            if piece.covers(at) and piece.rung > Rung.NONE:
                imposed = sanction.imposed
                active.append(
                    ActiveSanction(
                        sanction_id=imposed.sanction_id,
                        incident_id=imposed.incident_id,
                        rung=piece.rung,
                        features=piece.features,
                        category=imposed.category,
                        clauses=imposed.clauses,
                        ends_at=piece.until,
                        is_automatic=imposed.is_automatic,
                        is_confirmed=sanction.confirmed_at is not None,
                    )
                )
    strikes = tuple(s for s in (strike_at(i, history, at) for i in history.incidents) if s is not None)
    security = security_at(history, terms, at)
    limits = tenant_limits(around.tenant, terms, at) if around.tenant is not None else ()
    # A warning lasts as long as a strike counts (STANDING 5.1), so it follows from the strikes, not from a clock.
    rung = max((s.rung for s in active), default=Rung.NONE)
    rung = max(rung, Rung.WARN) if strikes else rung
    return Standing(
        account_id=history.account_id,
        at=at,
        conduct=_CONDUCT[rung],
        rung=rung,
        until=_latest_end([s for s in active if s.rung is rung]) if rung > Rung.WARN else None,
        features=_union(
            [s.features for s in active] + [h.features for h in security.holds] + [x.features for x in limits]
        ),
        sanctions=tuple(active),
        strikes=strikes,
        holds=security.holds,
        security=security,
        half_points=sum(s.half_points for s in strikes),
        final_half_points=sum(s.half_points for s in strikes if not s.is_provisional),
        tenant_limits=limits,
        lifecycle=lifecycle_at(history, terms, at, around),
    )


def in_effect(history: History, terms: Agreement, at: datetime) -> tuple[SanctionFile, ...]:
    """Say the sanctions with what the rest of the history makes of them: a termination begins when nothing holds it up
    any more (agreement/termination), and a cure ends what it cured (agreement/cure)."""
    files = []
    for sanction in history.sanctions:
        file = begun(history, sanction, terms, at, half_points_at)
        if file is None:
            continue
        if file.imposed.rung is Rung.TERMINATE and not is_still_ordered(history, file, terms, file.imposed.starts_at):
            continue
        cured = cured_at(history, sanction.imposed.sanction_id, at)
        files.append(replace(file, lifted_at=earlier(file.lifted_at, cured)) if cured is not None else file)
    return tuple(files)


def is_still_ordered(history: History, termination: SanctionFile, terms: Agreement, at: datetime) -> bool:
    """Say whether a termination may begin at `at`: one that nobody decided about only while the suspension it rests on
    still runs as it was (STANDING 5.9). What ends that later ends no termination: two people do (5.4 row 8)."""
    if not termination.imposed.is_automatic:
        return True
    mine = [s for s in history.sanctions if s.imposed.incident_id == termination.imposed.incident_id]
    return any(
        piece.rung is Rung.SUSPEND and piece.until is None and piece.covers(at)
        for s in mine
        if s.imposed.rung is Rung.SUSPEND
        for piece in stretches(_as_known(s, at), terms, at)
    )


def _as_known(sanction: SanctionFile, at: datetime) -> SanctionFile:
    """Say a sanction without what became of it later."""
    return replace(
        sanction,
        lifted_at=sanction.lifted_at if _is_by(sanction.lifted_at, at) else None,
        annulled_at=sanction.annulled_at if _is_by(sanction.annulled_at, at) else None,
        replayed=tuple(x for x in sanction.replayed if x.at <= at),
    )


def _is_by(then: datetime | None, at: datetime) -> bool:
    return then is not None and then <= at


def half_points_at(history: History, at: datetime) -> int:
    """Say what all strikes weigh at an instant."""
    return sum(s.half_points for s in (strike_at(i, history, at) for i in history.incidents) if s is not None)


def _latest_end(sanctions: list[ActiveSanction]) -> datetime | None:
    ends = [s.ends_at for s in sanctions]
    if not ends or None in ends:
        return None
    return max(e for e in ends if e is not None)


def _union(groups: list[tuple[Feature, ...]]) -> tuple[Feature, ...]:
    """Join feature sets; of two limits of one rate the stricter counts, and two locked recipients are two."""
    strictest: dict[tuple[str, str], Feature] = {}
    for item in (f for group in groups for f in group):
        key = (item.name, item.value or "")
        known = strictest.get(key)
        if known is None or (item.limit is not None and known.limit is not None and item.limit < known.limit):
            strictest[key] = item
    return tuple(strictest[key] for key in sorted(strictest))
