"""Every folder of tests/cases/pii: message.eml and expect.toml.

    why = "…"                        # why this answer, in a sentence
    direction = "outbound"           # the default
    outcome = "found"
    codes = ["pii.card.bulk"]
    counts = { card = 12 }           # of the verdict's scores, exactly these
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from filterd.checks import pii
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.session import Direction
from tests.checks.contexts import context

FOLDERS = sorted(p for p in (Path(__file__).parent.parent / "cases" / "pii").iterdir() if p.is_dir())


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The defaults of `[pii]`."""

    resident_ids: int = 10
    cards: int = 10
    ibans: int = 10
    phones: int = 50
    ssns: int = 10


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
async def test_case(folder: Path) -> None:
    said = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    raw, _ = canonical((folder / "message.eml").read_bytes())
    check = pii.make(Limits(), timeout_s=5)
    verdict = await check.run(
        context(raw, message=parse(raw), direction=Direction(said.get("direction", "outbound")))
    )  # fmt: skip
    counts = {label.removeprefix("pii."): int(count) for label, count in verdict.scores}
    assert said["why"]
    assert (verdict.outcome.value, [f.code for f in verdict.findings]) == (said["outcome"], said.get("codes", []))
    assert counts == said.get("counts", {})


def test_there_are_cases() -> None:
    assert len(FOLDERS) >= 12
