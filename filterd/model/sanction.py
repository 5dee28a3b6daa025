"""Rungs, points and the records of standing (STANDING 5.1-5.3).

Points are integers in half-points everywhere: one point is 2. Instants are aware UTC datetimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Rung(IntEnum):
    """The punitive axis, in order. NONE means good standing."""

    NONE = 0
    WARN = 1
    RESTRICT = 2
    SUSPEND = 3
    TERMINATE = 4

    @property
    def word(self) -> str:
        return self.name.lower()


class Mode(StrEnum):
    """How far a category may act without a person (CLAUSES §1)."""

    A = "A"
    B = "B"
    C1 = "C1"
    C2 = "C2"


class Preset(StrEnum):
    """How much is automatic (STANDING 5.9)."""

    ATTENDED = "attended"
    SUPERVISED = "supervised"
    STANDING_ORDER = "standing_order"


class Conduct(StrEnum):
    """What standing is called on the conduct axis (STANDING 5.1)."""

    GOOD = "good"
    WARNED = "warned"
    RESTRICTED = "restricted"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A thing an account can lose by itself: name and, where it is a rate, the limit (`messages_per_hour`, 20)."""

    name: str
    limit: int | None = None

    def __str__(self) -> str:
        return self.name if self.limit is None else f"{self.name}:{self.limit}"


def feature(text: str) -> Feature:
    """Read `bulk` or `messages_per_hour:20`. Raises ValueError on anything else."""
    name, _, limit = text.partition(":")
    if not name:
        raise ValueError(f"not a feature: {text!r}")
    return Feature(name=name, limit=int(limit) if limit else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What allows us to act: a clause of the agreement, a signed supplement, or a named statute (HOUSE rule 8)."""

    kind: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A finding code under a ground of the agreement in force."""

    category: str
    family: str
    mode: Mode
    severity: int | None
    ground: Ground
    finding_codes: tuple[str, ...]
    is_burst: bool = False
