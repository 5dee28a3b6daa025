"""Every folder of tests/cases/terms: message.eml and expect.toml.

    why = "…"                        # why this answer, in a sentence
    direction = "outbound"           # the default
    outcome = "found"
    codes = ["content.gambling.terms"]
    entries = [["t1", "t3"]]         # for each finding, the entries it names
    [[list]]                         # the lists in force; terms are placeholders that offend nobody
    id = "kites"
    label = "gambling"
    terms = ["…"]
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from filterd.checks import terms
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.session import Direction
from tests.checks.contexts import context

FOLDERS = sorted(p for p in (Path(__file__).parent.parent / "cases" / "terms").iterdir() if p.is_dir())


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Implements checks.terms_book.TermList."""

    id: str
    label: str
    terms: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    digest: str = "0" * 64
    expires_at: datetime = datetime(2027, 1, 1, tzinfo=UTC)
    confidence: float = 0.5
    at_least: int = 1


class Lists:
    """Implements checks.terms.TermLists."""

    def __init__(self, lists: tuple[Listed, ...]):
        self._lists = lists

    async def current(self) -> tuple[Listed, ...]:
        return self._lists


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
async def test_case(folder: Path) -> None:
    said = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    raw, _ = canonical((folder / "message.eml").read_bytes())
    lists = tuple(
        Listed(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()})
        for row in said.get("list", [])
    )
    check = terms.make(Lists(lists), timeout_s=5)
    verdict = await check.run(
        context(raw, message=parse(raw), direction=Direction(said.get("direction", "outbound")))
    )  # fmt: skip
    entries = [[value for key, value in f.why if key == "entry"] for f in verdict.findings]
    assert said["why"]
    assert (verdict.outcome.value, [f.code for f in verdict.findings]) == (said["outcome"], said.get("codes", []))
    assert entries == said.get("entries", [])
    assert (verdict.reason or "") == said.get("reason", "")


def test_there_are_cases() -> None:
    assert len(FOLDERS) >= 12
