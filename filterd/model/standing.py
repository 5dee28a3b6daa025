"""Standing: what an account may do at an instant, on two axes so far (STANDING 5.1). Always computed, never stored.

`History` is the time-independent half: it is what the ledger keeps warm and pushes to workers, and what
`agreement.standing.at(history, instant)` turns into a `Standing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from filterd.model.lifecycle import IN_SERVICE, Lifecycle
from filterd.model.records import HoldPlaced, IncidentOpened, Record, SanctionImposed, SanctionReplayed, StrikeIssued
from filterd.model.sanction import Conduct, Feature, Rung
from filterd.model.security import CLEAR, SecurityState

R = TypeVar("R")

# Whose doing an incident was (STANDING 5.7-14).
UNKNOWN, COMPROMISED, MALICIOUS = "unknown", "compromised", "malicious"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFile:
    """One incident with everything that happened to it so far.

    `links` are the evidence keys and text fingerprints that join later mail to it (bounded; family always joins).
    `recipients` has (category, counted recipients, of these in mode A). `excused_at`: since when its strike is not
    attributable; the incident stays. `indicators`: what speaks for a stolen account. `hypothesis`: whose doing it was.
    `shown_at`: when a refusal first told the sending client the case; None while none did (TX-6.2).
    """

    opened: IncidentOpened
    families: frozenset[str] = frozenset()
    strike: StrikeIssued | None = None
    is_annulled: bool = False
    excused_at: datetime | None = None
    is_confirmed: bool = False
    recipients: tuple[tuple[str, int, int], ...] = ()
    b_families: frozenset[str] = frozenset()
    notices: tuple[datetime, ...] = ()
    delivery_count: int = 0
    message_count: int = 0
    links: frozenset[str] = frozenset()
    has_hold: bool = False
    has_burst: bool = False
    tasks: frozenset[str] = frozenset()
    indicators: frozenset[str] = frozenset()
    hypothesis: str = UNKNOWN
    shown_at: datetime | None = None

    @property
    def noticed_at(self) -> datetime | None:
        """When the first notice about it was received, None while none was."""
        return self.notices[0] if self.notices else None

    @property
    def is_void(self) -> bool:
        """Whether it counts for nothing: an error of ours, or not its user's doing."""
        return self.is_annulled or self.excused_at is not None

    @property
    def has_mode_a(self) -> bool:
        return any(in_a for _, _, in_a in self.recipients)

    def recipients_of(self, category: str, *, only_a: bool = False) -> int:
        """Say how many recipients counted for a category."""
        return next(((a if only_a else n) for name, n, a in self.recipients if name == category), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionFile:
    """One sanction with what people and replay did to it. `looked_at`: when a person took the objection up."""

    imposed: SanctionImposed
    confirmed_at: datetime | None = None
    lifted_at: datetime | None = None
    annulled_at: datetime | None = None
    replayed: tuple[SanctionReplayed, ...] = ()
    objected_at: datetime | None = None
    looked_at: datetime | None = None
    answered_at: datetime | None = None
    appeal_id: str | None = None

    @property
    def step(self) -> int:
        """The ladder step it stands for after every replay."""
        return min((self.imposed.step, *(x.step for x in self.replayed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All records of one subject, folded, without reference to any instant.

    Args:
        account_id: whose they are: an account, a tenant (what is about itself, not about its accounts) or the site
            (model.entry.SITE).
        further: in the order written, the records that another axis than conduct is computed from: security, tenancy,
            registers and what else agreement.fold names. Few, and read with `of`.
    """

    account_id: str
    incidents: tuple[IncidentFile, ...] = ()
    sanctions: tuple[SanctionFile, ...] = ()
    holds: tuple[tuple[HoldPlaced, datetime | None], ...] = ()
    further: tuple[Record, ...] = ()

    def of(self, kind: type[R]) -> tuple[R, ...]:
        """Say the further records of one kind, in the order written."""
        return tuple(x for x in self.further if isinstance(x, kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an account's standing depends on besides its own record.

    Args:
        tenant, site: their own histories; None where there is none, as in an example of an agreement file.
        tenant_expires_on, expires_on: the last days of service, the tenant's and the account's own.
        seats: of the tenant; None: nobody has said.
        plan: what the tenant has bought, by the operator's name for it.
        active_seats, is_admin, opened_at: asked only where an incident is about to be charged to the tenant: how many
            of its seats are in use, whether the account is its administrator's, and since when there is the account.
        tenant_opened_at: asked only where an incident may be the user's own from the first day on: when the tenant came
            to us; None: nobody can say.
    """

    tenant: History | None = None
    site: History | None = None
    tenant_expires_on: date | None = None
    expires_on: date | None = None
    seats: int | None = None
    plan: str | None = None
    active_seats: int | None = None
    is_admin: bool = False
    opened_at: datetime | None = None
    tenant_opened_at: datetime | None = None


ALONE = Surroundings()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveSanction:
    """A sanction in force at the instant asked for, with its effective rung, features and end."""

    sanction_id: str
    incident_id: str
    rung: Rung
    features: tuple[Feature, ...]
    category: str
    clauses: tuple[str, ...]
    ends_at: datetime | None
    is_automatic: bool
    is_confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingStrike:
    """A strike that counts at the instant asked for: what it weighs, what of it automation may use, when it fades."""

    strike_id: str
    incident_id: str
    half_points: int
    a_half_points: int
    is_provisional: bool
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLimit:
    """What is in force against the whole enterprise, and says nothing about the account (STANDING 5.7-15).

    Args:
        kind: `quota`, `suspend`, `lock` or `registration`.
        features: what it takes away from every account of the tenant.
        clauses: none for what protects only.
    """

    limit_id: str
    kind: str
    features: tuple[Feature, ...]
    ends_at: datetime | None
    clauses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An account at an instant. `features` is the union over active restrictions and holds, and over what is in force
    against its tenant."""

    account_id: str
    at: datetime
    conduct: Conduct
    rung: Rung
    until: datetime | None
    features: tuple[Feature, ...]
    sanctions: tuple[ActiveSanction, ...]
    strikes: tuple[CountingStrike, ...]
    holds: tuple[HoldPlaced, ...]
    half_points: int
    final_half_points: int
    tenant_limits: tuple[TenantLimit, ...] = ()
    security: SecurityState = CLEAR
    lifecycle: Lifecycle = IN_SERVICE

    @property
    def may_send(self) -> bool:
        return self.rung < Rung.SUSPEND and not any(f.name == "sending" for f in self.features)
