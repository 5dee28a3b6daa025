"""The story in policies/README.md is what the code does.  STANDING 7.3."""

from __future__ import annotations

import pytest

from tests.agreement import year

pytestmark = pytest.mark.slow


def test_the_year_in_the_readme_is_what_the_agreements_do() -> None:
    hint = "run: python -m tests.agreement.year"
    assert year.written().splitlines() == year.year(year.shipped()), hint


def test_the_year_climbs_and_comes_down_again() -> None:
    table = year.year(year.shipped())
    cells = [[cell.strip() for cell in line.split("|")[3:-1]] for line in table[2:]]
    for column, name in enumerate(year.AGREEMENTS):
        told = " ".join(row[column] for row in cells)
        if name == "aliyun-mail":
            # No ground, no sanction (CLAUSES 0.1).
            assert "points" not in told
            assert "suspended" not in told
        else:
            for word in ("provisional", "warned", "restricted", "suspended", "appeal granted"):
                assert word in told, (name, word)
