"""An operator's own lists of locked (C1) categories: a folder of TOML files apart from all others.  CLAUSES §1, §5.

filterd ships none. A file has the keys of any list (term_lists) but for two: in place of `label` it has `category`, one
of the agreement's own that only people judge, and there is no `confidence`, for nothing is computed of a hit. A legal
basis, a scope in words and an end within 180 days have to be there. `on_hit` is "deliver", which is also what it is
when it is left out: mail goes on as if nothing had been found; or "hold_for_person": it waits some hours for a person
and goes on then. Nothing else loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from filterd.clients.term_lists import Entries, ListFolder, load_lists, read_entries

# Where the copies of approved ones lie, in the state directory.
LOCKED_FOLDER = "locked-lists"
# CLAUSES §1.
DELIVER, HOLD_FOR_PERSON = "deliver", "hold_for_person"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedList:
    """One list; implements checks.locked.LockedList. It has no label and no confidence: no check can take it.

    Args:
        scope: whose mail it is for and why, in the operator's words, for whoever approves it.
        file: where it was read.
    """

    id: str
    category: str
    digest: str
    expires_at: datetime
    at_least: int
    terms: tuple[str, ...]
    patterns: tuple[str, ...]
    legal_basis: str
    scope: str
    file: Path
    on_hit: str = DELIVER


class _File(Entries):
    """The keys of a file."""

    category: str = Field(pattern=r"^[a-z_]+(\.[a-z_]+)?$", max_length=80)
    scope: str = Field(min_length=10, max_length=1_000)
    on_hit: Literal["deliver", "hold_for_person"] = "deliver"

    @field_validator("on_hit", mode="before")
    @classmethod
    def _has_no_effect(cls, said: Any) -> Any:
        if said not in (DELIVER, HOLD_FOR_PERSON):
            raise ValueError(
                f"on_hit is {DELIVER!r} or {HOLD_FOR_PERSON!r}: a locked category has no effect on mail; no file can"
                " give it one"
            )
        return said


def read_locked(file: Path, now: datetime) -> LockedList:
    """Read one list, an expired one too. Raises ConfigError with file, line and key."""
    one = read_entries(_File, file, now)
    said = one.said
    return LockedList(
        id=said.id,
        category=said.category,
        digest=one.digest,
        expires_at=one.expires_at,
        at_least=said.at_least,
        terms=said.terms,
        patterns=said.patterns,
        legal_basis=said.legal_basis,
        scope=said.scope,
        file=file,
        on_hit=said.on_hit,
    )


def load_locked(folder: Path, now: datetime) -> tuple[LockedList, ...]:
    """Read every list of a folder, expired ones too, in the order of their ids. Raises ConfigError."""
    return load_lists(folder, now, read_locked)


class LockedFolder(ListFolder[LockedList]):
    """Those of a folder that have not expired; which of them act is adopted_lists' matter."""
