"""How much of a mail is kept as evidence, for how long, and what keeps it from being erased.  HOUSE §2, STANDING 5.6.

Five classes, each holding what the one before it holds:

    none      nothing; the entry speaks of the violation, and of no mail
    hash      the SHA-256 of the whole mail
    headers   and its header block
    excerpt   and the places that findings point to, with a bounded context
    full      the whole mail
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from filterd.model import records as r

EXCERPT_BYTES = 2048

# What a category says of mail that nobody may keep, whatever else it breaches (CLAUSES §4, child-abuse imagery).
HASH_ONLY = "hash_only"


# What the ids of sealed cases of locked categories begin with (model.ids): kept as evidence, and listed apart.
LOCKED_CASE = "lh"


class Kept(IntEnum):
    """A class, from nothing to everything."""

    NONE = 0
    HASH = 1
    HEADERS = 2
    EXCERPT = 3
    FULL = 4

    @property
    def word(self) -> str:
        return self.name.lower()


def kept(word: str) -> Kept:
    """Say which class a word means. Raises ValueError for none."""
    try:
        return Kept[word.upper()]
    except KeyError:
        raise ValueError(f"{word!r} is no class of evidence") from None


def strongest(words: Iterable[str], at_most: Kept) -> Kept:
    """Say what is kept of a mail whose categories say `words`: the most that one of them asks, never above `at_most`.

    One that says `hash_only` holds all others down. Without any category it is nothing.
    """
    named = set(words)
    if HASH_ONLY in named:
        return min(Kept.HASH, at_most)
    return min(max((kept(word) for word in named), default=Kept.NONE), at_most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """What of a mail is kept. `places` are findings' `where`; `around_bytes` is how much an excerpt has of each."""

    kept: Kept = Kept.FULL
    places: tuple[str, ...] = ()
    around_bytes: int = EXCERPT_BYTES


WHOLE = Portion()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is kept of one transaction. `digest` is the SHA-256 of the whole mail, in every class."""

    transaction_id: str
    account_id: str
    digest: str
    kept: Kept
    stored_at: datetime
    retention_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Why nothing of an account is erased: appeals that wait for a decision, legal holds."""

    appeals: tuple[str, ...]
    holds: tuple[r.EvidenceHeld, ...]

    def __bool__(self) -> bool:
        return bool(self.appeals or self.holds)


# The kinds of record that `frozen` looks at.
FREEZING = (
    r.ObjectionFiled,
    r.AppealDecided,
    r.AppealReopened,
    r.StrikeAnnulled,
    r.EvidenceHeld,
    r.EvidenceReleased,
)


def frozen(records: Iterable[r.Record]) -> Freeze:
    """Say what keeps the evidence of the account that these records are about, past its time (STANDING 5.7-16)."""
    filed: dict[str, str] = {}
    holds: dict[str, r.EvidenceHeld] = {}
    annulled: set[str] = set()
    for record in records:
        match record:
            case r.ObjectionFiled():
                filed[record.appeal_id] = record.incident_id
            case r.AppealDecided():
                filed.pop(record.appeal_id, None)
            case r.AppealReopened():
                filed[record.appeal_id] = record.incident_id
            case r.StrikeAnnulled():
                annulled.add(record.incident_id)
            case r.EvidenceHeld():
                holds[record.hold_id] = record
            case r.EvidenceReleased() if record.is_final:
                holds.pop(record.hold_id, None)
            case _:
                pass
    # What was objected to is gone: nothing is left to decide.
    waiting = tuple(appeal_id for appeal_id, incident_id in filed.items() if incident_id not in annulled)
    return Freeze(appeals=waiting, holds=tuple(holds.values()))
