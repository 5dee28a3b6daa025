"""What is kept of mail: legal holds, looks, quarantine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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


EvidenceRecord = (
    EvidenceHeld
    | EvidenceReleased
    | EvidenceViewed
    | MailHeld
    | HeldMailMoved
)

KINDS: dict[str, type[EvidenceRecord]] = {
    "evidence.held": EvidenceHeld,
    "evidence.released": EvidenceReleased,
    "evidence.viewed": EvidenceViewed,
    "mail.held": MailHeld,
    "mail.moved": HeldMailMoved,
}
