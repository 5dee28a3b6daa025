"""Tables of names and of the tests they rest on: tests/standing.toml, tests/mail-path.toml.

A row has `tests`, `missing`, or both: what no test holds is said in one line. The names stand once more in the test
that compares a table, so that none can get lost in it.
"""

from __future__ import annotations

import ast
import tomllib
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

Rows = Mapping[str, Mapping[str, Any]]


@cache
def read(file: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Read a table, by kind and name."""
    return tomllib.loads((ROOT / file).read_text(encoding="utf-8"))


@cache
def functions(file: str) -> frozenset[str]:
    """Say which tests a file has, without running it."""
    if not (ROOT / file).is_file():
        return frozenset()
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in found if node.name.startswith("test_"))


def check_tests(rows: Rows) -> None:
    """Every row says something, and every test that a name rests on is there."""
    assert all(set(row) <= {"tests", "missing"} and any(row.values()) for row in rows.values())
    tests = [(name, test) for name, row in rows.items() for test in row.get("tests", ())]
    assert tests
    assert [x for x in tests if x[1].partition("::")[2] not in functions(x[1].partition("::")[0])] == []


def say_missing(rows: Rows) -> None:
    """What no test holds is said aloud."""
    for name, row in rows.items():
        if "missing" in row:
            held = "held in part" if row.get("tests") else "held by no test"
            warnings.warn(f"{name} is {held}: {row['missing']}", stacklevel=1)
            assert "\n" not in row["missing"]
