"""FILTERD_KILL_PLAN: which process dies at which place, one token after the other.  filterd/markers.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
# Reaches places in the order of its arguments; says each it has survived.
CHILD = """
import sys
from filterd import markers
markers.become(sys.argv[1])
for name in sys.argv[2:]:
    markers.reach(name)
    print(name, flush=True)
"""


def reach(plan: Path | None, *places: str, role: str = "") -> tuple[int, list[str]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FILTERD_KILL")}
    environment |= {"PYTHONPATH": str(ROOT)} | ({"FILTERD_KILL_PLAN": str(plan)} if plan else {})
    done = subprocess.run(
        [sys.executable, "-c", CHILD, role, *places], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    return done.returncode, done.stdout.split()


def arm(plan: Path, *tokens: str) -> None:
    for token in tokens:
        (plan / token).touch()


def left(plan: Path) -> list[str]:
    return sorted(file.name.rpartition("+")[0] if "~" in file.name else file.name for file in plan.iterdir())


DIED = -signal.SIGKILL


def test_without_a_plan_nobody_dies():
    assert reach(None, "smtp.mail") == (0, ["smtp.mail"])


def test_the_armed_place_kills_and_says_so(tmp_path: Path):
    arm(tmp_path, "1+smtp.rcpt")
    assert reach(tmp_path, "smtp.mail", "smtp.rcpt", "smtp.in_data") == (DIED, ["smtp.mail"])
    assert left(tmp_path) == ["~1+smtp.rcpt"]
    # Whoever is started instead is not armed any more.
    assert reach(tmp_path, "smtp.rcpt") == (0, ["smtp.rcpt"])


def test_tokens_have_their_turn_in_their_order(tmp_path: Path):
    arm(tmp_path, "1+smtp.rcpt", "2+smtp.mail")
    assert reach(tmp_path, "smtp.mail", "smtp.rcpt") == (DIED, ["smtp.mail"])
    assert reach(tmp_path, "smtp.rcpt", "smtp.mail") == (DIED, ["smtp.rcpt"])
    assert left(tmp_path) == ["~1+smtp.rcpt", "~2+smtp.mail"]


def test_passes_are_counted_over_processes(tmp_path: Path):
    arm(tmp_path, "1+smtp.mail:3")
    assert reach(tmp_path, "smtp.mail") == (0, ["smtp.mail"])
    assert left(tmp_path) == ["1+smtp.mail:2"]
    assert reach(tmp_path, "smtp.mail", "smtp.mail") == (DIED, ["smtp.mail"])
    assert left(tmp_path) == ["~1+smtp.mail"]


@pytest.mark.parametrize(("role", "dies"), [("w0", True), ("w1", True), ("ledger", False), ("", True)])
def test_a_role_is_meant(tmp_path: Path, role: str, dies: bool):
    arm(tmp_path, "1+relay.data@w:2")
    reach(tmp_path, "relay.data", role=role)
    assert left(tmp_path) == ["1+relay.data@w:1" if dies else "1+relay.data@w:2"]
    assert reach(tmp_path, "relay.data", role=role)[0] == (DIED if dies else 0)


def test_a_plan_that_is_not_there_is_no_plan(tmp_path: Path):
    code, said = reach(tmp_path / "nowhere", "smtp.mail")
    assert (code, said) == (1, [])
