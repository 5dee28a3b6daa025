"""What is wrong with a wiring: a kind out of a table, where it stands, and the line to put there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filterd.cli.probes.finding import Finding, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One edit of one file.

    Args:
        line: 1-based; the line to replace, or the one below which `text` goes. None: the file is not known.
        last: the last line that is replaced.
        text: without a newline at its end; it may hold several lines.
    """

    file: Path
    line: int | None
    do: Literal["replace", "insert"]
    text: str
    last: int | None = None

    @property
    def where(self) -> str:
        return str(self.file) if self.line is None else f"{self.file}:{self.line}"

    @property
    def words(self) -> str:
        shown = " / ".join(line.strip() for line in self.text.splitlines() if line.strip())
        return f"put there: {shown}" if self.do == "replace" else f"add below it: {shown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One row of ops/docs/DOCTOR.md. `effect`: what happens to mail because of it."""

    name: str
    status: Status
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault found. `said`: what stands there, or what is missing."""

    kind: Kind
    said: str
    change: Change

    @property
    def finding(self) -> Finding:
        return Finding(
            status=self.kind.status,
            what=f"{self.change.where}: {self.said}: {self.kind.effect}",
            fix=self.change.words,
            fault=self.kind.name,
            change=self.change,
        )


def breaks(name: str, effect: str) -> Kind:
    return Kind(name=name, status=Status.BROKEN, effect=effect)


def warns(name: str, effect: str) -> Kind:
    return Kind(name=name, status=Status.WARNING, effect=effect)
