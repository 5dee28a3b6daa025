"""What counts against an enterprise, and how much?  STANDING 5.4 row 11, 5.7-15, TX-2.2.2, TX-3.6, AL-1.2.

A pure fold of the tenant's own rows: each incident counts once, its newest row says what it weighs; what was annulled
or is not attributable never counts; custody points do until they expire. Half-points throughout, as everywhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, sqrt

from filterd.agreement.sections_tenant import TenantScore
from filterd.model import records as r
from filterd.model.standing import History

# What a discharge of this kind also takes away is the tenant's own custody of the account (STANDING 5.7-14).
ANNULLED = "annulled"
NOT_ATTRIBUTABLE = "not_attributable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One incident as it counts for its tenant at an instant.

    Args:
        half_points: all of it, provisional points too. `final_half_points`: without those.
        a_half_points: of the final ones, what automation may use.
    """

    incident_id: str
    account_id: str
    half_points: int
    final_half_points: int
    a_half_points: int
    is_admin: bool = False
    is_successor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A tenant at an instant. `points`, `final`, `a_points`: sums by the root of the seats, in points."""

    counted: tuple[Counted, ...]
    points: float
    final: float
    a_points: float
    accounts: int
    accounts_needed: int

    @property
    def is_wide(self) -> bool:
        """Say whether it is the enterprise's matter at all, and not one user's."""
        return self.accounts >= self.accounts_needed or any(c.is_admin or c.is_successor for c in self.counted)

    @property
    def milli(self) -> int:
        return round(self.points * 1000)

    @property
    def incident_ids(self) -> tuple[str, ...]:
        return tuple(c.incident_id for c in self.counted)


def charges(rows: Iterable[r.Record]) -> dict[str, r.TenantCharged]:
    """Say what stands charged, by incident: the newest row of each, unless it was discharged."""
    found: dict[str, r.TenantCharged] = {}
    gone: set[str] = set()
    for row in rows:
        if isinstance(row, r.TenantCharged):
            found[row.incident_id] = row
        elif isinstance(row, r.TenantDischarged):
            # For good: neither a late row nor a second message of an annulled incident brings it back.
            gone.add(row.incident_id)
    return {key: row for key, row in found.items() if key not in gone}


def custodies(rows: Iterable[r.Record]) -> dict[str, r.CustodyCharged]:
    """Say the custody points that stand, by incident; an attestation that excused the user takes none of them away."""
    found: dict[str, r.CustodyCharged] = {}
    annulled: set[str] = set()
    for row in rows:
        if isinstance(row, r.CustodyCharged):
            found[row.incident_id] = row
        elif isinstance(row, r.TenantDischarged) and row.because == ANNULLED:
            annulled.add(row.incident_id)
    return {key: row for key, row in found.items() if key not in annulled}


def weigh(row: r.TenantCharged, at: datetime) -> Counted:
    """Say what a charge weighs at an instant: provisional points count for a warning only, then up to their cap."""
    half, a_half = row.half_points, row.a_half_points
    is_provisional = row.provisional_until is not None and at < row.provisional_until
    if row.provisional_until is not None and not is_provisional:
        half, a_half = min(half, row.provisional_cap), min(a_half, row.provisional_cap)
    return Counted(
        incident_id=row.incident_id,
        account_id=row.account_id,
        half_points=half,
        final_half_points=0 if is_provisional else half,
        a_half_points=0 if is_provisional else a_half,
        is_admin=row.is_admin,
        is_successor=row.is_successor,
    )


def counted_at(history: History, rules: TenantScore, at: datetime) -> tuple[Counted, ...]:
    """Say what counts at an instant, by incident id, so that the order of writing does not show."""
    window = timedelta(days=rules.window_days)
    found = {
        key: weigh(row, at) for key, row in charges(history.further).items() if row.at <= at < row.at + window
    }
    # In place of the charge, where both stand: an incident counts once.
    found |= {
        key: Counted(
            incident_id=key,
            account_id=row.account_id,
            half_points=row.half_points,
            final_half_points=row.half_points,
            # Nobody's conduct: a quota never follows by itself from careless custody.
            a_half_points=0,
        )
        for key, row in custodies(history.further).items()
        if row.at <= at < row.expires_at
    }
    return tuple(found[key] for key in sorted(found) if found[key].half_points)


def tenant_score(
    history: History, seats: int | None, active_seats: int | None, rules: TenantScore, at: datetime
) -> Score:
    """Say the score of a tenant.

    Args:
        history: the tenant's own.
        seats: bought; None where nobody has said: then those in use.
        active_seats: in use; None: those bought, and where nobody has said that either, enough for the full number of
            distinct accounts.
    """
    return score_of(counted_at(history, rules, at), seats, active_seats, rules)


def score_of(counted: tuple[Counted, ...], seats: int | None, active_seats: int | None, rules: TenantScore) -> Score:
    """Add up what counts."""
    size = max(seats or active_seats or 0, rules.seats_at_least)
    in_use = active_seats or seats
    # How many there are nobody has said: then one sender that is known is not the whole enterprise.
    needed = rules.distinct_accounts if in_use is None else ceil(max(in_use, 1) * rules.distinct_share)
    root = 2 * sqrt(size)
    return Score(
        counted=counted,
        points=sum(c.half_points for c in counted) / root,
        final=sum(c.final_half_points for c in counted) / root,
        a_points=sum(c.a_half_points for c in counted) / root,
        accounts=len({c.account_id for c in counted}),
        accounts_needed=min(rules.distinct_accounts, needed),
    )


def falls_below(
    history: History, seats: int | None, active_seats: int | None, rules: TenantScore, limit: float, at: datetime
) -> datetime:
    """Say from when on the score is below a limit, if nothing more is charged: a warning lasts that long."""
    window = timedelta(days=rules.window_days)
    ends = {row.at + window for row in charges(history.further).values()}
    ends |= {row.provisional_until for row in charges(history.further).values() if row.provisional_until is not None}
    ends |= {row.expires_at for row in custodies(history.further).values()}
    coming = sorted(end for end in ends if end > at)

    def is_below(end: datetime) -> bool:
        score = tenant_score(history, seats, active_seats, rules, end)
        return score.points < limit or not score.is_wide

    # Time alone only ever takes points and accounts away, so the first such end can be searched for by halves.
    first = bisect_left(coming, True, key=is_below)
    return coming[first] if first < len(coming) else at
