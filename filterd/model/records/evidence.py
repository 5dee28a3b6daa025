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
class EvidenceExported:
    """Two people let evidence go out to an authority (STANDING 5.5, AL-4.2, TX-3.5.5); who took it is a row each.

    Args:
        order_id: the entry of the register that holds the authority's request.
        order_digest: SHA-256 of that request's document, hex.
        recipient: who gets it, by name.
        transaction_ids, digests: the mails, and the SHA-256 of each whole mail.
        until: afterwards nobody takes anything under this approval.
    """

    at: datetime
    proposal_id: str
    account_id: str
    order_id: str
    order_digest: str
    recipient: str
    transaction_ids: tuple[str, ...]
    digests: tuple[str, ...]
    until: datetime
    by: str
    approver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceTaken:
    """Octets of one mail went out under an export. `digest`, `size_bytes`: of what is kept, which may be an excerpt."""

    at: datetime
    proposal_id: str
    account_id: str
    transaction_id: str
    digest: str
    size_bytes: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailHeld:
    """A mail is in quarantine, and whoever sent it may be told so. `reason` is a code; inbound mail is held for the
    account it was to go to."""

    at: datetime
    item_id: str
    transaction_id: str
    account_id: str
    reason: str
    digest: str
    size_bytes: int
    recipients: int
    due_at: datetime
    direction: str = "outbound"
    incident_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldMailMoved:
    """What became of a held mail: `state` is model.held.HeldState. `by`: a person's name, "system", or "system:clock".
    """

    at: datetime
    item_id: str
    transaction_id: str
    account_id: str
    state: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailRefused:
    """A recipient was refused because of what the account may not do: for the list that an annulment owes (CLAUSES §7).
    The address, and the mail system's queue id where one is known, are in the sealed part. Of a day only the first ones
    are kept.

    Args:
        transaction_id: of the mail, or of the session where it was refused before the dot.
        is_last: no more of that day is kept.
    """

    at: datetime
    account_id: str
    transaction_id: str
    is_last: bool = False


EvidenceRecord = (
    EvidenceHeld
    | EvidenceReleased
    | EvidenceViewed
    | EvidenceExported
    | EvidenceTaken
    | MailHeld
    | HeldMailMoved
    | MailRefused
)

KINDS: dict[str, type[EvidenceRecord]] = {
    "evidence.held": EvidenceHeld,
    "evidence.released": EvidenceReleased,
    "evidence.viewed": EvidenceViewed,
    "evidence.exported": EvidenceExported,
    "evidence.taken": EvidenceTaken,
    "mail.held": MailHeld,
    "mail.moved": HeldMailMoved,
    "mail.refused": MailRefused,
}
