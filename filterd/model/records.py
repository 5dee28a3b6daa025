"""The typed bodies of ledger entries. State is a fold over them, so none is ever changed or removed (STANDING 5.2).

A new field needs a default, so that old rows still read. A new kind goes into KINDS at the end of this file.
`at` is when the act counts; the row's own time is when it was written. Half-points throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from filterd.model.principal import Supplement
from filterd.model.sanction import Feature, Rung, Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantOpened:
    """`supplement`: the record it came with. Domains are those known then."""

    at: datetime
    tenant_id: str
    agreement: str
    source: str
    domains: tuple[str, ...] = ()
    supplement: Supplement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantChanged:
    """A list, or the operator's directory, changed a known tenant. `by`: a person's name, or `directory:` and which.

    `fields` names all that changed. Of those, the values that name nobody are said as they are now: `agreement`,
    `domains`, `domains_declared`, `language`, `seats`, `supplement`, `plan`, `expires_on`. A field that `fields` does
    not name says nothing.
    """

    at: datetime
    tenant_id: str
    by: str
    fields: tuple[str, ...]
    agreement: str | None = None
    domains: tuple[str, ...] = ()
    domains_declared: bool = False
    language: str | None = None
    seats: int | None = None
    supplement: Supplement | None = None
    plan: str | None = None
    expires_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened:
    at: datetime
    account_id: str
    tenant_id: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChanged:
    """A list, or the operator's directory, changed a known account. `by` and `fields` as in TenantChanged; `tenant_id`
    is whose it is now. A new login and the one before are in the sealed part."""

    at: datetime
    account_id: str
    tenant_id: str
    by: str
    fields: tuple[str, ...]
    language: str | None = None
    expires_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRetired:
    """The account keeps its id, its record and what is in force, and loses its login (STANDING 5.7-19).

    `because`: `reused`, another person has the address; `transferred`, the person has a mailbox at another tenant.
    """

    at: datetime
    account_id: str
    tenant_id: str
    by: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentOpened:
    """One account, one act. `is_after_notice`: an earlier strike of the family counts and its notice was received."""

    at: datetime
    incident_id: str
    account_id: str
    tenant_id: str
    family: str
    evidence_key: str
    is_after_notice: bool
    is_first: bool
    is_in_probation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationRecorded:
    """One message that breached something, inside its incident.

    `delivery_keys` are the recipients not counted before for this account; a message without any adds nothing.
    """

    at: datetime
    incident_id: str
    decision_id: str
    transaction_id: str
    evidence_key: str
    text_fp: str
    violations: tuple[Violation, ...]
    delivery_keys: tuple[str, ...]
    policy_digest: str
    evidence_digest: str | None = None
    is_strong: bool = True
    # How much of the mail was kept (model.evidence.Kept), None where nobody said, as before there were classes.
    evidence_kept: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StrikeIssued:
    """The strike of an incident; issued again under the same id when the incident's points rise (maximum, never sum).

    The newest row counts. After an annulment elsewhere a replay may issue it again with fewer points, never with more.

    `a_half_points` comes from mode-A categories with strong attribution, at full weight.
    `b_half_points` comes from mode-B categories at full weight; it counts half until confirmed.
    `provisional_until`: the points count for a warning only until then, afterwards min(points, `provisional_cap`).
    """

    at: datetime
    strike_id: str
    incident_id: str
    decision_id: str
    category: str
    severity: int
    a_half_points: int
    b_half_points: int
    provisional_until: datetime | None
    provisional_cap: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionImposed:
    """A rung in force from `starts_at` to `ends_at` (None: open-ended), owned by one decision.

    `step` is its place on the ladder, from 0; a step is imposed once an incident.

    `lapses_at`: unless a person confirms before then it lapses (preset attended). `step_down_features` are what
    a suspension becomes when an objection stays unanswered (STANDING 5.6). `by` is "system" or a person's name.
    """

    at: datetime
    sanction_id: str
    incident_id: str
    decision_id: str
    account_id: str
    rung: Rung
    step: int
    features: tuple[Feature, ...]
    category: str
    clauses: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime | None
    lapses_at: datetime | None
    step_down_features: tuple[Feature, ...]
    is_automatic: bool
    by: str
    warranted: Rung


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced:
    """Protection without points on the security axis (STANDING 5.7-14)."""

    at: datetime
    hold_id: str
    incident_id: str
    account_id: str
    features: tuple[Feature, ...]
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOpened:
    """What the incident warrants and automation may not do: a person looks by `due_at`, never silence."""

    at: datetime
    task_id: str
    incident_id: str
    account_id: str
    what: str
    warranted: str
    imposed: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSent:
    """The outcome of one notice. `deemed_at` is when it counts as received (TX-6.1), None when every channel failed."""

    at: datetime
    notice_id: str
    account_id: str
    incident_ids: tuple[str, ...]
    template: str
    languages: tuple[str, ...]
    channel: str
    outcome: str
    deemed_at: datetime | None
    body_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionConfirmed:
    at: datetime
    sanction_id: str
    incident_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionLifted:
    """Clemency: this sanction ends now, the strike stays."""

    at: datetime
    sanction_id: str
    incident_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StrikeAnnulled:
    """Our error: the strike never counted, and the sanctions its incident owns end now (STANDING 5.7-3)."""

    at: datetime
    strike_id: str
    incident_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionReplayed:
    """A later automatic sanction after replay without an annulled strike: min(old, replayed), never more.

    `rung` NONE ends it now; otherwise it goes on as `rung` with `features` until `ends_at`. `step` is the ladder step
    it should have been, -1 for none; it is written for a sanction that is over, too, so that history is right.
    """

    at: datetime
    sanction_id: str
    incident_id: str
    because: str
    rung: Rung
    step: int
    features: tuple[Feature, ...]
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased:
    at: datetime
    hold_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionFiled:
    """By the user or the tenant admin, one a sanction; opens an appeal. Unanswered for 24 h it steps an automatic
    sanction down one rung. `channel`: mail, cli."""

    at: datetime
    appeal_id: str
    sanction_id: str
    incident_id: str
    account_id: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionAnswered:
    at: datetime
    appeal_id: str
    sanction_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealDecided:
    """`outcome`: granted, partially_granted, denied, inadmissible, withdrawn."""

    at: datetime
    appeal_id: str
    incident_id: str
    outcome: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BypassOpened:
    """All mail passes unjudged from `since` to `until`. `by`: a person's name, or "root" where the ledger was away."""

    at: datetime
    order_id: str
    since: datetime
    until: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BypassClosed:
    """The order is over: taken back by a person, or "clock" when its time had come."""

    at: datetime
    order_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceHeld:
    """A legal hold: nothing that is kept of the account is erased while it lasts. `case` is what it was ordered for."""

    at: datetime
    hold_id: str
    account_id: str
    case: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReleased:
    """Somebody wants a legal hold to end; with `is_final` it has. `is_self_review`: nobody else could be asked."""

    at: datetime
    hold_id: str
    account_id: str
    by: str
    reason: str
    is_final: bool
    is_self_review: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceViewed:
    """A person was shown what is kept of these mails, and why. `has_content`: their octets, not only what is known."""

    at: datetime
    account_id: str
    transaction_ids: tuple[str, ...]
    digests: tuple[str, ...]
    by: str
    reason: str
    has_content: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MailHeld:
    """A mail is in quarantine, and whoever sent it may be told so. `reason` is a code."""

    at: datetime
    item_id: str
    transaction_id: str
    account_id: str
    reason: str
    digest: str
    size_bytes: int
    recipients: int
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldMailMoved:
    """What became of a held mail: `state` is model.held.HeldState. `by`: a person's name, or "system"."""

    at: datetime
    item_id: str
    transaction_id: str
    account_id: str
    state: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAdded:
    """Somebody who may act by name. The token itself is never stored."""

    at: datetime
    person: str
    role: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectErased:
    """The key of an account or tenant was destroyed: what was personal about it can never be read again.

    The row is about nobody, so that it is on no file of the subject's; a backup from before is put right by it.
    """

    at: datetime
    subject_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRange:
    """Rows of one writer, first and last included. `last` None: nobody knows how many there were."""

    writer: str
    first: int
    last: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRestored:
    """A backup, or an old copy of the store, took the place of what was lost, and a person answers for it.

    Its own number may leave a gap behind `after_seq`, the row of its writer that it follows: the numbers between are
    those of rows that were lost. `missing` rows nobody has any more; the rows of `again` follow this one under new
    numbers, as event streams had kept them, without their sealed fields.

    Args:
        taken_at: when the backup was made; None: the store was found older than its anchors.
        accounts: those known to be affected by what is missing.
    """

    at: datetime
    restore_id: str
    taken_at: datetime | None
    by: str
    reason: str
    after_seq: int
    missing: tuple[RowRange, ...] = ()
    again: tuple[RowRange, ...] = ()
    accounts: tuple[str, ...] = ()


Record = (
    TenantOpened
    | AccountOpened
    | IncidentOpened
    | ViolationRecorded
    | StrikeIssued
    | SanctionImposed
    | HoldPlaced
    | TaskOpened
    | NoticeSent
    | SanctionConfirmed
    | SanctionLifted
    | StrikeAnnulled
    | SanctionReplayed
    | HoldReleased
    | ObjectionFiled
    | ObjectionAnswered
    | AppealDecided
    | PersonAdded
    | BypassOpened
    | BypassClosed
    | TenantChanged
    | AccountChanged
    | AccountRetired
    | SubjectErased
    | LedgerRestored
    | EvidenceHeld
    | EvidenceReleased
    | EvidenceViewed
    | MailHeld
    | HeldMailMoved
)

KINDS: dict[str, type[Record]] = {
    "tenant.opened": TenantOpened,
    "account.opened": AccountOpened,
    "incident.opened": IncidentOpened,
    "violation.recorded": ViolationRecorded,
    "strike.issued": StrikeIssued,
    "sanction.imposed": SanctionImposed,
    "hold.placed": HoldPlaced,
    "task.opened": TaskOpened,
    "notice.sent": NoticeSent,
    "sanction.confirmed": SanctionConfirmed,
    "sanction.lifted": SanctionLifted,
    "strike.annulled": StrikeAnnulled,
    "sanction.replayed": SanctionReplayed,
    "hold.released": HoldReleased,
    "objection.filed": ObjectionFiled,
    "objection.answered": ObjectionAnswered,
    "appeal.decided": AppealDecided,
    "person.added": PersonAdded,
    "bypass.opened": BypassOpened,
    "bypass.closed": BypassClosed,
    "tenant.changed": TenantChanged,
    "account.changed": AccountChanged,
    "account.retired": AccountRetired,
    "subject.erased": SubjectErased,
    "ledger.restored": LedgerRestored,
    "evidence.held": EvidenceHeld,
    "evidence.released": EvidenceReleased,
    "evidence.viewed": EvidenceViewed,
    "mail.held": MailHeld,
    "mail.moved": HeldMailMoved,
}

KIND_OF: dict[type[Record], str] = {v: k for k, v in KINDS.items()}
