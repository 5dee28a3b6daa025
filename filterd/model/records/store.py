"""What happened to the ledger itself: erasure and restore."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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


StoreRecord = (
    SubjectErased
    | LedgerRestored
)

KINDS: dict[str, type[StoreRecord]] = {
    "subject.erased": SubjectErased,
    "ledger.restored": LedgerRestored,
}
