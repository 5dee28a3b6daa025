"""Every folder of tests/cases/prohibited: a mail, the check that is asked, and what it says with a shipped model.

expect.toml: `why` the case is there; `check`, `outcome`; `codes`, of which the finding bears one; `reason` of a skip;
`model`, by default the one that ships for service.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import pytest

from filterd.checks import prohibited
from filterd.checks.opinion import Reader
from filterd.clients.modelstore import load_model
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.share import path

CASES = sorted((Path(__file__).parents[1] / "cases" / "prohibited").iterdir())


@cache
def reader(name: str) -> Reader:
    return Reader(load_model(path(f"models/{name}")))


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_case(folder: Path) -> None:
    expected = tomllib.loads((folder / "expect.toml").read_text("utf-8"))
    message = parse(canonical((folder / "message.eml").read_bytes())[0])
    verdict = prohibited.judge(expected["check"], message, reader(expected.get("model", "default")))
    assert expected["why"]
    assert (verdict.outcome, verdict.reason) == (expected["outcome"], expected.get("reason")), verdict.scores
    if expected["codes"]:
        (finding,) = verdict.findings
        assert finding.code in expected["codes"], verdict.scores
    else:
        assert verdict.findings == ()


def test_the_cases_are_of_both_languages_and_all_outcomes() -> None:
    rows = [tomllib.loads((folder / "expect.toml").read_text("utf-8")) for folder in CASES]
    assert len(rows) >= 12
    assert {row["outcome"] for row in rows} == {"found", "clean", "skipped"}
