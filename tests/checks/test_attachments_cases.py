"""Every folder of tests/cases/attachments: message.eml and what the check says of it.

expect.toml: `why`, `outcome`, and `findings`, each "code where key=value …" in order.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from filterd.checks import attachments
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.verdict import Finding
from tests.checks.test_attachments import RULES

CASES = Path(__file__).parent.parent / "cases" / "attachments"
FOLDERS = sorted(p for p in CASES.iterdir() if p.is_dir())


def shown(finding: Finding) -> str:
    return " ".join([finding.code, finding.where or "", *(f"{key}={value}" for key, value in finding.why)])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_case(folder: Path) -> None:
    said = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    raw, _ = canonical((folder / "message.eml").read_bytes())
    verdict = attachments.judge(parse(raw), RULES)
    assert said["why"]
    assert [shown(f) for f in verdict.findings] == said["findings"]
    assert verdict.outcome.value == said["outcome"]


def test_there_are_cases() -> None:
    assert len(FOLDERS) >= 12
