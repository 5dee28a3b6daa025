"""The contractual axis and its clocks.  CLAUSES §6, STANDING 5.1, 5.7-16."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MxProbed:
    """One day's look at the tenant's MX: `good`, `bad` or `unknown` (TX-4.4.4). One a day and tenant."""

    at: datetime
    tenant_id: str
    day: date
    answer: str
    resolvers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsLooked:
    """What is wrong with the DNS records of a tenant's own domains has changed (TX-3.1.4): `faults` is all of it,
    `dns.spf:cust.example` for instance. Advice, and nothing of standing."""

    at: datetime
    tenant_id: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEnded:
    """The service ended for a reason that is no misconduct: `mx`, `refused_terms`, `insolvency`, `law_change`,
    `shutdown`, `policy`, `other`. `effective_at`: when it ends, where that is later than the act."""

    at: datetime
    tenant_id: str
    because: str
    by: str
    reason: str
    effective_at: datetime | None = None

    @property
    def ends_at(self) -> datetime:
        return self.effective_at or self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceResumed:
    """What had ended is in service again; everything comes back at once."""

    at: datetime
    tenant_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MxDeclared:
    """The tenant has said whether its mail comes here directly (TX-4.4.4): `hosts` are then the only good MX; none
    named, and any is good, as behind another filter. The newest row counts."""

    at: datetime
    tenant_id: str
    hosts: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionRead:
    """A clock said that data may be deleted. The second reading, a day later at least, lets it happen."""

    at: datetime
    subject_id: str
    clock: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectPurged:
    """What was kept of a subject is gone, under these counts and by these two people: the purge certificate."""

    at: datetime
    subject_id: str
    clock: str
    proposal_id: str
    by: str
    approver: str
    evidence: int
    held_mails: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceAnnounced:
    """A window in which mail waits with 451. `is_emergency`: without telling beforehand (AL-6.3)."""

    at: datetime
    window_id: str
    since: datetime
    until: datetime
    announced_at: datetime
    is_emergency: bool
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceEnded:
    at: datetime
    window_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAnnounced:
    """Customers were told beforehand of a change that takes effect at `effective_at` (TX-4.1.4, 5.1).

    Args:
        what: `function`, `price`, `use`, `terms`, or `stop`: the service ends for reasons of policy.
        tenant_id: None: every customer was told.
        document: where it is published.
        agreement: of terms, by id, which agreement has new ones; empty: nobody said, and it goes for each.
    """

    at: datetime
    change_id: str
    what: str
    tenant_id: str | None
    effective_at: datetime
    document: str
    by: str
    agreement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteDecommissioned:
    """Two people close this installation down (TX-8.2.8): from `closes_at` on no mail is taken, and at the latest at
    `erased_by` nothing personal is left. The newest row counts; with `is_off` it takes back the one before."""

    at: datetime
    proposal_id: str
    closes_at: datetime
    erased_by: datetime
    by: str
    approver: str
    is_off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStruck:
    """Time did something to a subject, and this tells of it: the change itself is computed (HOUSE rule 12).

    Args:
        clock: code: `sanction.expired`, `sanction.lapsed`, `sanction.stepped_down`, `hold.ended`, `renewal.due`,
            `service.stopped`, `deletion.eligible` and others.
        object_id: what it is about, with the instant as part of the id: a clock strikes once.
        due_at: when it should have struck.
    """

    at: datetime
    clock: str
    subject_id: str
    object_id: str
    due_at: datetime


LifecycleRecord = (
    MxProbed
    | MxDeclared
    | DnsLooked
    | ServiceEnded
    | ServiceResumed
    | DeletionRead
    | SubjectPurged
    | MaintenanceAnnounced
    | MaintenanceEnded
    | ChangeAnnounced
    | SiteDecommissioned
    | ClockStruck
)

KINDS: dict[str, type[LifecycleRecord]] = {
    "mx.probed": MxProbed,
    "mx.declared": MxDeclared,
    "dns.looked": DnsLooked,
    "service.ended": ServiceEnded,
    "service.resumed": ServiceResumed,
    "deletion.read": DeletionRead,
    "subject.purged": SubjectPurged,
    "maintenance.announced": MaintenanceAnnounced,
    "maintenance.ended": MaintenanceEnded,
    "change.announced": ChangeAnnounced,
    "site.decommissioned": SiteDecommissioned,
    "clock.struck": ClockStruck,
}
