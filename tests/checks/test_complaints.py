"""Complaints speak above the bound of the agreement, by numbers alone.  STANDING 5.11."""

from __future__ import annotations

import pytest

from filterd.checks import complaints
from filterd.checks.complaints import RATE, judge, make, stopped
from filterd.model.complaints import Complained
from filterd.model.session import Direction
from filterd.model.verdict import Outcome
from tests.checks.contexts import context


def said(complainants: int, delivered: int) -> Complained:
    return Complained(
        complainants=complainants, delivered=delivered, least_delivered=500, least_complainants=5, percent=0.1
    )


@pytest.mark.parametrize(
    ("complainants", "delivered", "is_above"),
    [
        # The story's newsletter: lower bound 0.14 %.
        (72, 40_000, True),
        # 0.1 % itself is not above it; nor is a share whose lower bound is below.
        (40, 40_000, False),
        (49, 40_000, False),
        (5, 500, True),
        (4, 500, False),
        (400, 499, False),
        (0, 0, False),
        (5, 0, False),
        (5, 5_000, False),
    ],
)
def test_the_bound(complainants: int, delivered: int, is_above: bool) -> None:
    verdict = judge(said(complainants, delivered))
    assert [f.code for f in verdict.findings] == ([RATE] if is_above else [])
    assert verdict.outcome is (Outcome.FOUND if is_above else Outcome.CLEAN)


def test_the_number_of_the_story() -> None:
    assert f"{100 * said(72, 40_000).lower_bound:.2f}" == "0.14"


def test_a_finding_is_of_the_group_of_complaints_and_has_numbers_only() -> None:
    (finding,) = judge(said(72, 40_000)).findings
    assert finding.signal == "complaints"
    assert [name for name, _ in finding.why] == ["complainants", "delivered", "lower_bound_percent", "above_percent"]
    assert [f.signal for f in stopped().findings] == ["complaints"]
    assert {code.signal for code in complaints.CODES} == {"complaints"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"direction": Direction.INBOUND, "complained": said(72, 40_000)}, "inbound"), ({}, "unattributed")],
)
async def test_it_does_not_apply_to_strangers(changes: dict[str, object], reason: str) -> None:
    verdict = await make().run(context(**changes))
    assert (verdict.outcome, verdict.reason) == (Outcome.SKIPPED, reason)


async def test_it_judges_what_is_known_of_the_account() -> None:
    verdict = await make().run(context(complained=said(72, 40_000)))
    assert [f.code for f in verdict.findings] == [RATE]
