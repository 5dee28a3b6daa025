"""What a probe says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from filterd.agreement.terms import Agreement
from filterd.config import Config

if TYPE_CHECKING:
    from filterd.cli.probes.wiring.fault import Change


class Status(StrEnum):
    """`broken` fails the run; `skipped` could not be looked at, and says why."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer. `what` is how it is, `fix` what to do about it, None where nothing is to be done.

    Args:
        fault: its name in ops/docs/DOCTOR.md, of faults of wiring only.
        change: the edit that mends it, of these.
    """

    status: Status
    what: str
    fix: str | None = None
    fault: str | None = None
    change: Change | None = None


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
        postfix, sendmail, exim: the mail server's files, None where not named; Postfix's is looked for.
    """

    config: Config
    file: Path | None
    agreements: dict[str, Agreement]
    postfix: Path | None = None
    sendmail: Path | None = None
    exim: Path | None = None


Probe = Callable[[Patient], AsyncIterator[Finding]]
