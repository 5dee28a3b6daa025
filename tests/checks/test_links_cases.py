"""Every folder of tests/cases/links: message.eml, what is protected and listed, and what the check says of it.

expect.toml: `why`; `protected`, `own` (domains) and `feed` (lines); `outcome`; and `findings`, each
"code where key=value …" in order.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from filterd.checks import links
from filterd.checks.links.feed import Feed
from filterd.checks.links.feed import parse as parse_feed
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.verdict import Finding
from tests.checks.contexts import context, transaction

CASES = Path(__file__).parent.parent / "cases" / "links"
FOLDERS = sorted(p for p in CASES.iterdir() if p.is_dir())


class Given:
    """A feed that is there."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def current(self) -> Feed:
        return self._feed


def shown(finding: Finding) -> str:
    return " ".join([finding.code, finding.where or "", *(f"{key}={value}" for key, value in finding.why)])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
async def test_case(folder: Path) -> None:
    said = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    raw, _ = canonical((folder / "message.eml").read_bytes())
    feed = parse_feed("\n".join(said.get("feed", [])).encode(), "feed.txt")
    check = links.make(Given(feed), protected_domains=said["protected"])
    verdict = await check.run(
        context(raw, message=parse(raw), transaction=transaction(raw), own_domains=tuple(said["own"]))
    )
    assert said["why"]
    assert [shown(f) for f in verdict.findings] == said["findings"]
    assert verdict.outcome.value == said["outcome"]


def test_there_are_cases() -> None:
    assert len(FOLDERS) >= 12
