"""The enterprise answerable for its users: what is charged to it, and the steps taken against it.  STANDING 5.4."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantCharged:
    """An incident of one of its accounts counts for the tenant with so many half-points; the newest row of an incident
    counts, so each incident counts once (STANDING 5.7-15).

    Args:
        at: when the strike was issued, also in a row written again because something of it changed.
        provisional_until, provisional_cap: as in StrikeIssued; None: the points are final.
        campaigns: fingerprints of its texts, for knowing a successor mailbox (STANDING 5.4 row 11).
        sanctioned_at: when the account was first sanctioned for it, None while it was not.
    """

    at: datetime
    tenant_id: str
    account_id: str
    incident_id: str
    half_points: int
    a_half_points: int
    is_admin: bool = False
    is_successor: bool = False
    provisional_until: datetime | None = None
    provisional_cap: int = 0
    campaigns: tuple[str, ...] = ()
    sanctioned_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantDischarged:
    """The incident counts for the tenant no more: annulled, or not attributable."""

    at: datetime
    tenant_id: str
    incident_id: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyCharged:
    """Points of an account taken over for the second time in the term: the tenant's own (AL-3.2, TX-3.6)."""

    at: datetime
    tenant_id: str
    account_id: str
    incident_id: str
    half_points: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStepTaken:
    """A step against the enterprise: `warn`, `quota` (external recipients a day) or `suspend` (STANDING 5.4 row 11);
    or `propose`, which does nothing by itself and asks people for one.

    Args:
        quota: recipients a day; None for the other steps.
        score_milli: the tenant's score then, in thousandths of a point; 0 where no score was asked.
        incident_ids: what it was made of.
        is_technical: protection by the platform, under no clause and without points (CLAUSES 0.15).
        proposes: what a `propose` asks for: `quota`, `suspend` or `notice` (a written one).
        statute: the law that a termination names as its ground, where it is no clause (STANDING 5.4 row 4).
        seats, active_seats: bought and in use then; None where nobody has said, or no score was asked.
    """

    at: datetime
    step_id: str
    decision_id: str
    tenant_id: str
    step: str
    quota: int | None
    starts_at: datetime
    ends_at: datetime | None
    score_milli: int
    incident_ids: tuple[str, ...]
    clauses: tuple[str, ...]
    is_automatic: bool
    by: str
    is_technical: bool = False
    proposes: str = ""
    reason: str = ""
    statute: str | None = None
    seats: int | None = None
    active_seats: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStepEnded:
    """`because`: lifted, annulled, replayed, cured; of a termination vetoed, annulled, reinstated."""

    at: datetime
    step_id: str
    tenant_id: str
    because: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantAppealNoted:
    """An appeal of one of its accounts about an incident that the tenant answers for is open, or is not any more: one
    whose grant would change the tenant's score keeps its termination from taking effect (STANDING 5.4 row 4)."""

    at: datetime
    tenant_id: str
    account_id: str
    appeal_id: str
    incident_id: str
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLocked:
    """One on-call person stops a whole tenant's outbound mail for at most `until`; a second confirms, or it opens."""

    at: datetime
    lock_id: str
    tenant_id: str
    until: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLockConfirmed:
    at: datetime
    lock_id: str
    tenant_id: str
    by: str
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantUnlocked:
    at: datetime
    lock_id: str
    tenant_id: str
    by: str
    reason: str


TenancyRecord = (
    TenantCharged
    | TenantDischarged
    | CustodyCharged
    | TenantStepTaken
    | TenantStepEnded
    | TenantAppealNoted
    | TenantLocked
    | TenantLockConfirmed
    | TenantUnlocked
)

KINDS: dict[str, type[TenancyRecord]] = {
    "tenant.charged": TenantCharged,
    "tenant.discharged": TenantDischarged,
    "custody.charged": CustodyCharged,
    "tenant.step_taken": TenantStepTaken,
    "tenant.step_ended": TenantStepEnded,
    "tenant.appeal_noted": TenantAppealNoted,
    "tenant.locked": TenantLocked,
    "tenant.lock_confirmed": TenantLockConfirmed,
    "tenant.unlocked": TenantUnlocked,
}
