"""What named people do: tasks, proposals and approvals, cures, mandates.  STANDING 5.4, 5.5."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAdded:
    """Somebody who may act by name. The token itself is never stored.

    Args:
        scope: what a tenant's or a dealer's people are limited to: `tenant:ID`, or `dealer:` and a keyed hash. For
            anybody else it names the tenant they belong to themselves, about which they decide nothing.
        account_id: their own mailbox, where they have one here: recused as well.
        needs_second: they are nobody's second person until somebody who is one has vouched for them.
        second_from: or until then, where there was nobody who could; None: from the start.
    """

    at: datetime
    person: str
    role: str
    by: str
    scope: str | None = None
    account_id: str | None = None
    needs_second: bool = False
    second_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonVouched:
    """Somebody who decides says that another one is a person of their own (STANDING 5.5)."""

    at: datetime
    person: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateGiven:
    """A reseller lets the platform's people decide in its name about its tenants (CLAUSES 0.15). `dealer`: keyed
    hash."""

    at: datetime
    mandate_id: str
    dealer: str
    document: str
    until: datetime | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateEnded:
    at: datetime
    mandate_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOpened:
    """What the incident warrants and automation may not do: a person looks by `due_at`, never silence. `alert_at`: from
    when on the desk is reminded; None: not before it is late."""

    at: datetime
    task_id: str
    incident_id: str
    account_id: str
    what: str
    warranted: str
    imposed: str
    due_at: datetime
    alert_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskClaimed:
    """Somebody has it in hand until `lease_until`; afterwards it is anybody's again."""

    at: datetime
    task_id: str
    by: str
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskClosed:
    """`outcome`: done, not_needed, handed_back."""

    at: datetime
    task_id: str
    by: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """An act that takes two people (STANDING 5.5). `act` and `digest` fix what is proposed: any edit makes another.

    Args:
        act: code, such as `account.terminate`, `tenant.suspend`, `register.authorise`.
        subject_id: the account or tenant it is about; empty for the site.
        terms: what exactly, canonical JSON text of codes, ids, numbers and instants.
        incident_ids: what it rests on.
    """

    at: datetime
    proposal_id: str
    act: str
    subject_id: str
    terms: str
    digest: str
    by: str
    reason: str
    expires_at: datetime
    incident_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """The second person; `is_self_review`: the same one, a day later, where nobody else is (solo staffing)."""

    at: datetime
    proposal_id: str
    digest: str
    by: str
    is_self_review: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalEnded:
    """`because`: withdrawn, refused, vetoed, expired, void, carried_out."""

    at: datetime
    proposal_id: str
    because: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReinstated:
    """A terminated account is back (STANDING 5.4 row 8). `sanction_id`: the termination that ends."""

    at: datetime
    account_id: str
    sanction_id: str
    proposal_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CureFiled:
    """A tenant, or its user, says that a breach was cured, in three parts (AL-7.1). Each part: given or not; its words
    are in the sealed part. `waiver`: the compensation was waived in writing."""

    at: datetime
    cure_id: str
    sanction_id: str
    has_stopped: bool
    has_measures: bool
    has_compensation: bool
    has_waiver: bool
    by: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CureAnswered:
    """`outcome`: accepted (lifted, on probation) or refused (a decision, which can be appealed)."""

    at: datetime
    cure_id: str
    sanction_id: str
    outcome: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RootActed:
    """Somebody used the socket as the system's administrator, without naming themself: always worth an alarm."""

    at: datetime
    verb: str
    reason: str


PeopleRecord = (
    PersonAdded
    | PersonVouched
    | MandateGiven
    | MandateEnded
    | TaskOpened
    | TaskClaimed
    | TaskClosed
    | Proposed
    | Approved
    | ProposalEnded
    | AccountReinstated
    | CureFiled
    | CureAnswered
    | RootActed
)

KINDS: dict[str, type[PeopleRecord]] = {
    "person.added": PersonAdded,
    "person.vouched": PersonVouched,
    "mandate.given": MandateGiven,
    "mandate.ended": MandateEnded,
    "task.opened": TaskOpened,
    "task.claimed": TaskClaimed,
    "task.closed": TaskClosed,
    "proposal.made": Proposed,
    "proposal.approved": Approved,
    "proposal.ended": ProposalEnded,
    "account.reinstated": AccountReinstated,
    "cure.filed": CureFiled,
    "cure.answered": CureAnswered,
    "root.acted": RootActed,
}
