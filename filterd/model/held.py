"""Mail that is held: what is known of it, and what may become of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class HeldState(StrEnum):
    """Held: nobody has decided. Released: on its way. The others are ends."""

    HELD = "held"
    RELEASED = "released"
    DELIVERED = "delivered"
    RETURNED = "returned"
    DELETED = "deleted"

    @property
    def is_end(self) -> bool:
        return self in ENDS


ENDS = (HeldState.DELIVERED, HeldState.RETURNED, HeldState.DELETED)

# From each state, where it can go.
NEXT: dict[HeldState, tuple[HeldState, ...]] = {
    HeldState.HELD: (HeldState.RELEASED, HeldState.DELETED),
    HeldState.RELEASED: ENDS,
    HeldState.DELIVERED: (),
    HeldState.RETURNED: (),
    HeldState.DELETED: (),
}


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
