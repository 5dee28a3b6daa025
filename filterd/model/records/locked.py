"""Locked categories (C1): what people do about an operator's own lists, and about what these found.  STANDING 5.5, 5.8.

There is no row for a hit: it lies sealed in the vault, and in no record, event or metric. Every row here is an act of a
named person.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedListsEnabled:
    """Two people let lists of locked categories run at all; ending the entry switches all of them off."""

    at: datetime
    entry_id: str
    legal_basis: str
    by: str
    approver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedListAdopted:
    """Two people stand behind one content of a list of a locked category; of a list's rows the last one counts.

    Args:
        list_id, digest: the list and the SHA-256 of its file, hex.
        category: what whoever judges a hit judges it by.
        until: the end the list itself names.
        on_hit: deliver, or hold_for_person: what it finds waits some hours for a person.
    """

    at: datetime
    entry_id: str
    list_id: str
    digest: str
    category: str
    until: datetime
    by: str
    approver: str
    on_hit: str = "deliver"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedCaseOpened:
    """Somebody read a sealed case. It names neither account nor category, for rows of the site stand in the clear."""

    at: datetime
    case_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedCaseClosed:
    """Somebody who had read it is done with it.

    Args:
        outcome: nothing (what was kept is erased), or acted (it is kept).
        decision: the id of what a person decided because of it, "" for nothing.
        mail: what became of mail that was held for it: release, return or delete; "" where none was.
    """

    at: datetime
    case_id: str
    outcome: str
    decision: str
    by: str
    reason: str
    mail: str = ""


LockedRecord = LockedListsEnabled | LockedListAdopted | LockedCaseOpened | LockedCaseClosed

KINDS: dict[str, type[LockedRecord]] = {
    "locked_lists.enabled": LockedListsEnabled,
    "locked_list.adopted": LockedListAdopted,
    "locked_case.opened": LockedCaseOpened,
    "locked_case.closed": LockedCaseClosed,
}
