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


# The feature that names one address; every other one is the same for everybody.
RECIPIENT = "recipient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A thing an account can lose by itself.

    Args:
        limit: where it is a number, what still works (`messages_per_hour`, 20).
        value: for RECIPIENT, the keyed hash of the one address that gets no more mail; the address is not kept.
    """

    name: str
    limit: int | None = None
    value: str | None = None

    def __str__(self) -> str:
        detail = self.value if self.limit is None else self.limit
        return self.name if detail is None else f"{self.name}:{detail}"


def feature(text: str) -> Feature:
    """Read `bulk`, `messages_per_hour:20` or `recipient:HASH`. Raises ValueError on anything else."""
    name, colon, detail = text.partition(":")
    if not name or (colon and not detail):
        raise ValueError(f"not a feature: {text!r}")
    if name == RECIPIENT:
        return Feature(name=name, value=detail or None)
    if colon and not (detail.isascii() and detail.isdigit()):
        raise ValueError(f"not a feature: {text!r}; a limit is a whole number")
    if colon and int(detail) == 0:
        raise ValueError(f"{text!r}: a limit is at least 1; what may not be used at all is a feature of its own")
    return Feature(name=name, limit=int(detail) if colon else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What allows us to act: a clause of the agreement, a signed supplement, or a named statute (HOUSE rule 8)."""

    kind: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A finding code under a ground of the agreement in force. `is_shadow`: it gives no points, a breaker is open."""

    category: str
    family: str
    mode: Mode
    severity: int | None
    ground: Ground
    finding_codes: tuple[str, ...]
    is_burst: bool = False
    is_shadow: bool = False
