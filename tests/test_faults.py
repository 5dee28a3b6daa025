"""Every fault of mail authentication has a test that bears its number: tests/faults.toml.  FAULTS §3, 11-15 and 33-40.

The numbers stand here once more, so that none can get lost in the table. What no test holds is said aloud.
"""

from __future__ import annotations

import pytest

from tests.kit import named

ROWS = [*range(11, 16), *range(33, 41)]


def rows() -> named.Rows:
    return named.read("tests/faults.toml")["fault"]


def test_every_fault_is_in_the_table_and_no_other() -> None:
    assert set(named.read("tests/faults.toml")) == {"fault"}
    assert sorted(rows(), key=int) == [str(number) for number in ROWS]


def test_every_test_that_a_fault_rests_on_is_there() -> None:
    named.check_tests(rows())


@pytest.mark.parametrize("number", ROWS)
def test_a_fault_has_a_test_of_its_number(number: int) -> None:
    row = rows()[str(number)]
    names = [test.rpartition("::")[2] for test in row.get("tests", ())]
    assert "missing" in row or any(name.startswith(f"test_fault_{number}_") for name in names)


def test_what_no_test_holds_is_said_aloud() -> None:
    named.say_missing(rows())
