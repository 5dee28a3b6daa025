"""Registers: what somebody answered for beforehand.  STANDING 5.2, CLAUSES §2.2, §2.3."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorisationGiven:
    """In writing: acts under these clauses are no breach within the scope (TX-3.4, 3.5). It removes the violation,
    never the finding.

    Args:
        account_id: None: any of the tenant's.
        recipient_domains: only mail whose recipients are all there; empty: only mail that stays inside the tenant.
        max_recipients_day: no more recipients a day than this, None for no limit of its own.
    """

    at: datetime
    entry_id: str
    tenant_id: str
    account_id: str | None
    clauses: tuple[str, ...]
    recipient_domains: tuple[str, ...]
    max_recipients_day: int | None
    since: datetime
    until: datetime
    document: str
    by: str
    approver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDeclared:
    """Bulk mail that its tenant answers for: consent source and a working opt-out are attested (CLAUSES §2.2).

    Args:
        key: keyed hash of what its mails have in common; `key_kind`: list_id or from.
        consent: where the recipients agreed: a code, such as `signup`, `contract`, `members`.
    """

    at: datetime
    entry_id: str
    tenant_id: str
    account_id: str
    key: str
    key_kind: str
    consent: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamNoticed:
    """A condition failed: `missing_header`, `not_covered`, `bounces`, `complaints`, `opt_outs`. Until `repair_by`.

    Args:
        delivered, complainants: recipients and distinct complainants, where these are the condition.
        bounced: of the recipients, those whose address does not exist, where these are.
    """

    at: datetime
    entry_id: str
    tenant_id: str
    condition: str
    repair_by: datetime
    delivered: int | None = None
    complainants: int | None = None
    bounced: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderProtected:
    """A sender whose mail is held and looked at, never punished by itself (STANDING 5.7-25)."""

    at: datetime
    entry_id: str
    tenant_id: str
    account_id: str
    kind: str
    by: str
    approver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationOpened:
    """Old mail is brought in: findings are advisory and nothing gives points."""

    at: datetime
    entry_id: str
    tenant_id: str
    since: datetime
    until: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingOrderSigned:
    """Two people let accounts be terminated without a decision a case, under nine conditions (STANDING 5.9)."""

    at: datetime
    entry_id: str
    policy_digest: str
    categories: tuple[str, ...]
    until: datetime
    by: str
    approver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeDelayed:
    """An authority forbids telling for a while."""

    at: datetime
    entry_id: str
    account_id: str
    ground: str
    document: str
    until: datetime
    by: str
    approver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalRequestFiled:
    """An authority asks for content. `authority_kind`: state_security, public_security, legal_process (AL-4.2)."""

    at: datetime
    entry_id: str
    account_id: str
    authority_kind: str
    document: str
    scope: str
    by: str
    approver: str
    document_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermListAdopted:
    """Two people stand behind one content of a term list (STANDING 5.5); of a list's rows the last one counts.

    Args:
        list_id, digest: the list and the SHA-256 of its file, hex.
        until: the end the list itself names.
    """

    at: datetime
    entry_id: str
    list_id: str
    digest: str
    label: str
    until: datetime
    by: str
    approver: str
    is_self_review: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRaised:
    """Two people let a C2 category hold mail and warn, under one text of an agreement (STANDING 5.5, 5.9)."""

    at: datetime
    entry_id: str
    agreement: str
    policy_digest: str
    category: str
    by: str
    approver: str
    is_self_review: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Advised:
    """The account, or its tenant, was told what to mend before it counts (`code`: a category, or what advice says).

    What comes after it counts as a breach sooner: an undeclared run of advertising, the third wrong From address.
    """

    at: datetime
    account_id: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceIgnored:
    """A mail was refused for what the account had been advised about."""

    at: datetime
    account_id: str
    code: str
    transaction_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingNoted:
    """An address that we send from stands on a blocklist: operations, and never anybody's points (STANDING 5.2).

    Args:
        address: an IP address of ours.
        blocklist: its name or zone.
        pool: the pool of addresses it belongs to, as the mail server calls it; "" where there are none.
        moved_to: where mail that went out from there goes out since; "": nothing was moved.
    """

    at: datetime
    entry_id: str
    address: str
    blocklist: str
    pool: str
    moved_to: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryEnded:
    """An entry of a register holds no more."""

    at: datetime
    entry_id: str
    by: str
    reason: str


RegisterRecord = (
    AuthorisationGiven
    | StreamDeclared
    | StreamNoticed
    | SenderProtected
    | MigrationOpened
    | StandingOrderSigned
    | NoticeDelayed
    | LegalRequestFiled
    | TermListAdopted
    | CategoryRaised
    | Advised
    | AdviceIgnored
    | ListingNoted
    | EntryEnded
)

KINDS: dict[str, type[RegisterRecord]] = {
    "authorisation.given": AuthorisationGiven,
    "stream.declared": StreamDeclared,
    "stream.noticed": StreamNoticed,
    "sender.protected": SenderProtected,
    "migration.opened": MigrationOpened,
    "standing_order.signed": StandingOrderSigned,
    "notice.delayed": NoticeDelayed,
    "legal_request.filed": LegalRequestFiled,
    "term_list.adopted": TermListAdopted,
    "category.raised": CategoryRaised,
    "advice.given": Advised,
    "advice.ignored": AdviceIgnored,
    "listing.noted": ListingNoted,
    "register.ended": EntryEnded,
}
