"""What a probe says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filterd.agreement.terms import Agreement
from filterd.config import Config


class Status(StrEnum):
    """`broken` fails the run; `skipped` could not be looked at, and says why."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer. `what` is how it is, `fix` what to do about it, None where nothing is to be done."""

    status: Status
    what: str
    fix: str | None = None


def ok(what: str) -> Finding:
    return Finding(status=Status.OK, what=what)


def warning(what: str, fix: str) -> Finding:
    return Finding(status=Status.WARNING, what=what, fix=fix)


def broken(what: str, fix: str) -> Finding:
    return Finding(status=Status.BROKEN, what=what, fix=fix)


def skipped(what: str) -> Finding:
    return Finding(status=Status.SKIPPED, what=what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is examined.

    Args:
        file: the configuration file, None for the embedded one.
        agreements: by id; empty when they could not be read.
    """

    config: Config
    file: Path | None
    agreements: dict[str, Agreement]


Probe = Callable[[Patient], AsyncIterator[Finding]]
