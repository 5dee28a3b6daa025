"""What the checks say: Finding, Verdict, Assessment. Outcomes use the words of RFC 8601."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """`clean` and `found` are answers; `skipped` says the check did not apply; the errors are never findings."""

    CLEAN = "clean"
    FOUND = "found"
    SKIPPED = "skipped"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class FailMode(StrEnum):
    """What the operator wants when a check could not do its work (MAIL-PATH §4h)."""

    DEFER = "defer"
    QUARANTINE = "quarantine"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a check saw: `area.subject.state`, how sure (0 to 1), where, and why in codes, ids and numbers.

    `signal` names the group the finding belongs to for rules that need agreeing groups
    ("behaviour", "content", "complaints"; CLAUSES tail-a), None where that plays no part.
    """

    code: str
    confidence: float
    where: str | None = None
    why: tuple[tuple[str, str], ...] = ()
    signal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthResult:
    """One line of an Authentication-Results field (RFC 8601 §2.2): method, result word, and properties in order.

    `properties` are (ptype.property, value), such as ("header.d", "example.org"); domains and selectors, never a whole
    address. `comment` is ASCII, without parentheses.
    """

    method: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One check's whole answer. `scores` maps labels to probabilities; `reason` is the code of a skip or error.

    `results` is what a check of mail authentication has to say in the words of RFC 8601; empty for all others.
    """

    check: str
    version: str
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    scores: tuple[tuple[str, float], ...] = ()
    reason: str | None = None
    elapsed_ms: float = 0.0
    results: tuple[AuthResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """All verdicts of one transaction, the clean and the skipped too.

    `is_complete` is False when a check ended in an error; `fail_modes` then lists (check, what the operator chose).
    """

    verdicts: tuple[Verdict, ...]
    is_complete: bool = True
    fail_modes: tuple[tuple[str, FailMode], ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(f for v in self.verdicts for f in v.findings)

    def result(self, method: str) -> str | None:
        """Say the word a check found for an authentication method (RFC 8601 §2.7), or None."""
        return next((r.result for v in self.verdicts for r in v.results if r.method == method), None)

    def score(self, label: str) -> float | None:
        """Say the probability some check gave `label`, or None."""
        for verdict in self.verdicts:
            for name, value in verdict.scores:
                if name == label:
                    return value
        return None
