"""The table of the suites (`python -m tests.conformance`) says what is wrong, and ends with 1 for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import __main__ as runner
from tests.conformance.__main__ import Row, row, table


def test_a_row_tells_what_is_argued_from_what_is_wrong() -> None:
    one = row("suite", ["a", "b", "c", "d"], ["a", "b"], ["b", "x"], "file.toml")
    assert (one.passed, one.total, one.argued, one.wrong) == (2, 4, 1, ("a",))
    said = table([one, Row(suite="other", total=3)]).splitlines()
    assert said[1].split() == ["suite", "2/4", "1", "1", "tests/conformance/file.toml"]
    assert said[2].split() == ["other", "3/3", "0", "0"]
    assert said[3] == "wrong: suite: a"


async def test_a_case_passes_when_its_test_does() -> None:
    async def test(case: int, least: int) -> None:
        assert case >= least

    assert await runner.holding(test, [1, 2, 3], 2) == [1]


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Row(suite="s", total=2, argued=1), 0),
        (Row(suite="s", total=2, wrong=("a",)), 1),
        # A suite that was not read.
        (Row(suite="s", total=0), 1),
    ],
)
@pytest.mark.data
def test_the_end_of_it(
    found: Row, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def suite(_: Path) -> list[Row]:
        return [found]

    monkeypatch.setattr(runner, "SUITES", (suite,))
    assert runner.main() == code
    assert f"{found.passed}/{found.total}" in capsys.readouterr().out


def test_without_the_data_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(runner, "find_data", lambda: None)
    assert runner.main() == 1
    assert "FILTERD_DATA" in capsys.readouterr().err
