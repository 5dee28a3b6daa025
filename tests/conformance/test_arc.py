"""The ValiMail suite for validating ARC chains: RFC 8617, all cases."""

from __future__ import annotations

from collections import Counter

import pytest

from filterd.checks import arc
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.session import Direction
from filterd.model.verdict import Outcome
from tests.checks.contexts import context
from tests.conformance.arc_suite import ArcCase, read_suite
from tests.conftest import find_data
from tests.kit.zones import ZoneLookups

SUITE = "conformance/arc/arc-draft-validation-tests.yml"
_DATA = find_data()
CASES = read_suite(_DATA / SUITE) if _DATA else []

pytestmark = pytest.mark.data


async def verdict_of(case: ArcCase) -> tuple[str, str]:
    raw, _ = canonical(case.message)
    zone = {name: {"TXT": [text]} for name, text in case.zone.items()}
    seen = context(raw, message=parse(raw), direction=Direction.INBOUND, dns=ZoneLookups(zone))
    verdict = await arc.make().run(seen)
    assert (verdict.outcome is Outcome.FOUND) == bool(verdict.findings)
    return verdict.results[0].result, dict(verdict.findings[0].why)["reason"] if verdict.findings else ""


async def differing() -> list[tuple[str, str, str, str]]:
    """Say which cases end otherwise than the suite says: name, what it says, what we say and why."""
    # An empty status is a chain whose sealer already wrote cv=fail. The suite's answer is "no further seal"; RFC 8617
    # §5.2 step 2 calls it fail, and so do we, with a reason of its own.
    expected = {"Pass": "pass", "Fail": "fail", "None": "none", "": "fail"}
    wrong = []
    for case in CASES:
        result, reason = await verdict_of(case)
        if result != expected[case.status] or (reason == "ended") != (case.status == ""):
            wrong.append((case.name, case.status, result, reason))
    return wrong


async def test_every_chain_has_the_status_the_suite_gives_it() -> None:
    assert await differing() == []


def test_the_suite_was_read_whole() -> None:
    assert len({case.name for case in CASES}) == 171
    assert Counter(case.status for case in CASES) == {"Fail": 109, "Pass": 58, "None": 5, "": 3}
