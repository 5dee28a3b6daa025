"""Mail that is held: what is known of it, and what may become of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from filterd.model.session import Direction, Envelope


class HeldState(StrEnum):
    """Held: nobody has decided. Released: on its way to the next hop. Returning: on its way back to who sent it. The
    others are ends."""

    HELD = "held"
    RELEASED = "released"
    RETURNING = "returning"
    DELIVERED = "delivered"
    RETURNED = "returned"
    DELETED = "deleted"

    @property
    def is_end(self) -> bool:
        return self in ENDS


ENDS = (HeldState.DELIVERED, HeldState.RETURNED, HeldState.DELETED)
# Why a mail is held that a locked (C1) list has found: it goes on by itself (pipeline/locked_hold), and nobody finds it
# among other held mail.
FOR_PERSON = "hold.person"
# What is still in our hands.
WAITING = (HeldState.HELD, HeldState.RELEASED, HeldState.RETURNING)

# From each state, where it can go. What the next hop does not take for good comes back, or is held again.
NEXT: dict[HeldState, tuple[HeldState, ...]] = {
    HeldState.HELD: (HeldState.RELEASED, HeldState.RETURNING, HeldState.DELETED),
    HeldState.RELEASED: (*ENDS, HeldState.RETURNING, HeldState.HELD),
    HeldState.RETURNING: (HeldState.RETURNED, HeldState.DELETED),
    HeldState.DELIVERED: (),
    HeldState.RETURNED: (),
    HeldState.DELETED: (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueCopy:
    """A copy of a held mail that the MTA keeps on hold. `since`: when we heard of it: what came into the queue later
    under this id is another mail."""

    queue_id: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRequest:
    """What a decision needs besides the case to hold a mail, and what must be known again when it goes on.

    Args:
        listener: by which it came in.
        message_fp: its fingerprint, for our trace field.
        remove: fields that are taken out on the way, such as the one with the login.
        authserv_id: our name in Authentication-Results, None where there is none.
        is_after_queue: a refusal would be a bounce.
        author: of a stranger's mail, who it says has written it (mail/author.shown), for the recipient's digest.
        is_author_verified: DMARC has passed for the author's domain.
        fields: of a stranger's mail, name and value of what we found out, put on top when it is released.
        copies: in the MTA's queue: released, one of them goes on and we send nothing. Several where its client tried
            again without having heard that it was taken. None: we hold it ourselves, and deliver it.
        is_letting_go: the MTA has been told, or is about to be, to let `copies` go.
    """

    envelope: Envelope
    listener: str = ""
    message_fp: str = ""
    remove: tuple[str, ...] = ()
    authserv_id: str | None = None
    is_after_queue: bool = False
    author: str = ""
    is_author_verified: bool = False
    fields: tuple[tuple[str, str], ...] = ()
    copies: tuple[QueueCopy, ...] = ()
    is_letting_go: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFacts:
    """What tells a held mail from others.

    Args:
        direction: inbound mail is the recipient's, any other its sender's.
        campaign: the fingerprint of its text, "" for a text that says nothing.
        incident_id: the act it is part of, "" for none.
        message_key: the same for every try to send the same mail.
        is_harmful: its content does not go back to anybody.
    """

    direction: Direction = Direction.OUTBOUND
    campaign: str = ""
    incident_id: str = ""
    message_key: str = ""
    is_harmful: bool = False


NO_FACTS = HoldFacts()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldMail:
    """One held mail, without its envelope and octets, which are sealed.

    `reason` is a code; `due_at` is when somebody should have decided; `digest` is the SHA-256 of the octets.
    """

    item_id: str
    transaction_id: str
    account_id: str
    tenant_id: str | None
    reason: str
    state: HeldState
    held_at: datetime
    due_at: datetime
    settled_at: datetime | None
    digest: str
    facts: HoldFacts = HoldFacts()

    @property
    def is_inbound(self) -> bool:
        return self.facts.direction is Direction.INBOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundHold:
    """A stranger's mail to be held for our accounts.

    Args:
        accounts: whose each forward-path of the envelope is, in order.
        reason: a code.
        campaign: the fingerprint of its text.
    """

    transaction_id: str
    accounts: tuple[str, ...]
    reason: str
    request: HoldRequest
    campaign: str = ""
    is_harmful: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedHold:
    """A mail to be held for a person because of locked lists.

    Args:
        case_id: under which the hit lies in the spool.
        evidence_key: the same for every try to send the mail; of one without Message-ID and date, of this try alone.
        lists: id, digest and category of each list that has found it.
    """

    case_id: str
    account_id: str
    transaction_id: str
    evidence_key: str
    lists: tuple[tuple[str, str, str], ...]
    request: HoldRequest
