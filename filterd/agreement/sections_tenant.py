"""`[tenant]` of an agreement file: when the enterprise answers for its users, and by what.  STANDING 5.4 rows 9 and 11.

Without the table nothing is ever charged to a tenant. Without `[tenant.score]` there is protection alone: no ground, no
step (CLAUSES 0.1, 0.15).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from filterd.agreement.sections import Hours, Points, Section

Days = Annotated[int, Field(ge=1, le=3660)]
# What a registration is known by, as notices name it.
RegistrationKind = Literal["domain", "payment", "organisation", "contact", "dkim_key", "client_net", "template"]


class TenantScore(Section):
    """`[tenant.score]`: what several accounts did adds up, by distinct accounts and seats (TX-2.2.2, TX-3.6).

    Args:
        window_days: how long an incident counts for the tenant.
        seats_at_least: the score is the sum of points by the root of the seats, of so many at the least.
        distinct_accounts, distinct_share: how many accounts it takes: so many, or this share of the seats in use where
            that is fewer, rounded up.
        successor_days: a mailbox made so soon after another one's sanction, with the same campaign, takes no others.
        warn_at, quota_at, propose_at: the scores of the three steps.
    """

    window_days: Days
    seats_at_least: Annotated[int, Field(ge=1, le=10_000)]
    distinct_accounts: Annotated[int, Field(ge=1, le=1000)]
    distinct_share: Annotated[float, Field(gt=0, le=1)]
    successor_days: Days
    warn_at: Points
    quota_at: Points
    propose_at: Points

    @model_validator(mode="after")
    def _rises(self) -> TenantScore:
        if not 0 < self.warn_at <= self.quota_at <= self.propose_at:
            raise ValueError("warn_at, quota_at and propose_at start above 0 and rise")
        return self


class TenantRegistration(Section):
    """`[tenant.registration]`: whoever registers again after a termination for breach (TX-8.2.4). Without the table
    nobody is compared with anybody. For how many years is `lifecycle.registration_years`.

    Args:
        ground: the clauses under which such an enterprise may be suspended.
        alone: kinds of keys of which one in common is enough.
        together, together_at_least: kinds of which it takes so many different ones. Never one: a contact person changes
            employers, and one office has one address for many.
    """

    ground: Annotated[tuple[str, ...], Field(min_length=1)]
    alone: tuple[RegistrationKind, ...]
    together: tuple[RegistrationKind, ...] = ()
    together_at_least: Annotated[int, Field(ge=2, le=7)] = 2

    @model_validator(mode="after")
    def _never_weak(self) -> TenantRegistration:
        if weak := {"contact", "client_net", "template"} & set(self.alone):
            raise ValueError(f"alone: {', '.join(sorted(weak))} in common never says enough by itself")
        return self


class TenantSection(Section):
    """`[tenant]`.

    Args:
        ground: the clauses under which the enterprise answers; needed where there is a score.
        lock_hours: how long one person alone may stop a whole tenant's mail.
        idle_hours: how long the enforcing party may leave a step unanswered before the platform may set the quota as
            protection.
        quota_hours, quota_times_median, quota_median_days, quota_floor: the quota of external recipients a day: so many
            times the tenant's daily median over so many days, and never less than the floor.
    """

    ground: tuple[str, ...] = ()
    lock_hours: Hours
    idle_hours: Hours
    quota_hours: Hours
    quota_times_median: Annotated[float, Field(gt=0, le=100)]
    quota_median_days: Days
    quota_floor: Annotated[int, Field(ge=1, le=1_000_000)]
    score: TenantScore | None = None
    registration: TenantRegistration | None = None

    @model_validator(mode="after")
    def _founded(self) -> TenantSection:
        if self.score is not None and not self.ground:
            raise ValueError("a score needs a ground: the clauses under which the enterprise answers for its users")
        return self

    def quota(self, daily_median: float) -> int:
        """Say the quota for a tenant that writes to so many external recipients on an ordinary day."""
        return max(self.quota_floor, round(self.quota_times_median * daily_median))
