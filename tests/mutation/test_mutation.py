"""Faults are put where they mean something, the tests that reach them notice, and the numbers add up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.mutants import Mutant, difference, mutants_of, mutated
from tests.mutation.reach import Reach
from tests.mutation.report import interval, scores
from tests.mutation.trial import Outcome, in_child

pytestmark = pytest.mark.slow

SOURCE = '''\
@dataclass(frozen=True)
class Rule:
    limit: int | None = 3

@cache
def over(points: int, rule: Rule | None) -> bool | None:
    return points >= 8
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "rule.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def test_faults_stand_in_what_the_code_does_and_not_in_what_it_says_of_types(tree: Path) -> None:
    found = [
        difference(SOURCE, changed) for m in mutants_of(tree, "rule.py") if (changed := mutated(SOURCE, m)) is not None
    ]
    assert sorted(found) == [
        "@dataclass(frozen=True)  →  (nothing)",
        "limit: int | None = 3  →  limit: int | None = 2",
        "limit: int | None = 3  →  limit: int | None = 4",
        "return points >= 8  →  return points < 8",
        "return points >= 8  →  return points > 8",
        "return points >= 8  →  return points >= 7",
        "return points >= 8  →  return points >= 9",
    ]


def mutant(line: int) -> Mutant:
    return Mutant(path="filterd/agreement/rule.py", line=line, operator="NumberReplacer", occurrence=0)


REACH = Reach(
    seconds={"slow": 3.0, "quick": 1.0, "beside": 2.0, "elsewhere": 0.5},
    failed=frozenset(),
    lines={
        "filterd/agreement/rule.py": {3: frozenset({""}), 7: frozenset({"slow", "quick"}), 8: frozenset({"beside"})}
    },
    branches={},
    modules=(),
)


@pytest.mark.parametrize(
    ("line", "cpu_s", "expected"),
    [
        (7, 60.0, ("quick", "slow", "beside")),
        (7, 4.5, ("quick", "slow")),
        (7, 0.0, ("quick",)),
        (8, 60.0, ("beside", "quick", "slow")),
        # What runs when the file is read can change any test.
        (3, 60.0, ("elsewhere", "quick", "beside", "slow")),
        (3, 1.6, ("elsewhere", "quick")),
    ],
)
def test_who_runs_the_line_is_asked_first_and_the_quickest_of_them(
    line: int, cpu_s: float, expected: tuple[str, ...]
) -> None:
    assert REACH.tests_for(mutant(line), cpu_s) == expected


def test_nobody_is_asked_about_a_file_that_no_test_runs() -> None:
    assert REACH.tests_for(Mutant(path="other.py", line=1, operator="AddNot", occurrence=0), 60.0) == ()


def test_what_never_ends_is_ended() -> None:
    def endless() -> int:
        while True:
            pass

    assert in_child(endless, 1) is None
    assert in_child(lambda: 0, 5) == 0
    assert in_child(lambda: 1, 5) == 1


@pytest.mark.parametrize(
    ("killed", "tried", "expected"), [(0, 0, (0.0, 1.0)), (90, 100, (0.826, 0.945)), (10, 10, (0.722, 1.0))]
)
def test_the_interval_is_wilson_s(killed: int, tried: int, expected: tuple[float, float]) -> None:
    assert interval(killed, tried) == pytest.approx(expected, abs=0.001)


def test_an_endless_mutant_is_a_dead_one() -> None:
    outcomes = [(mutant(7), Outcome.KILLED), (mutant(7), Outcome.TIMEOUT), (mutant(8), Outcome.SURVIVED)]
    _, *rows = scores(outcomes, {"filterd/agreement/rule.py": 9})
    assert [row.split()[1:6] for row in rows] == [["9", "3", "2", "1", "66.7%"]] * 2
