"""In its default configuration filterd reaches out to nobody.  TX-4.2.3, AL-4.2, AL-5.2; HOUSE rule 11, CLAUSES 0.5.

The whole service runs in a network of its own in which only the machine itself is there, and the kernel counts who asks
for a way out (tests/e2e/alone.py). DNS is asked of the machine's resolvers, and of nobody else.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NO_SCANNER = "[clamd]\nenabled = false\n"


def alone(folder: Path, tables: str, workers: int) -> dict[str, Any]:
    """Run filterd where nothing but this machine can be reached; say what it asked for."""
    command = ["unshare", "--map-root-user", "--net", "--mount", sys.executable, "-m", "tests.e2e.alone"]
    ran = subprocess.run(
        [*command, str(folder), tables, str(workers)], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    log = folder / "filterd.log"
    assert ran.returncode == 0, ran.stderr + (log.read_text() if log.exists() else "")
    said: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return said


@pytest.mark.parametrize(("tables", "workers"), [("", 2), (NO_SCANNER, 2), (NO_SCANNER, 0)])
def test_no_connection_leaves_the_house(tmp_path: Path, tables: str, workers: int) -> None:
    said = alone(tmp_path, tables, workers)
    assert said["out"] == 0
    # The same two questions from a program that does ask outside are counted.
    assert said["proof"] >= 2
    # The mail was looked at, in every way that comes with filterd.
    assert {"arc", "attachments", "dkim", "dmarc", "links", "sender", "spam", "spf"} <= set(said["checks"])
    if tables:
        assert said["codes"] == [250] * 3
    else:
        assert set(said["codes"]) <= {250, 451}


def test_a_name_server_elsewhere_is_somebody_outside(tmp_path: Path) -> None:
    """That the test above can fail: who is told to ask elsewhere does."""
    said = alone(tmp_path, NO_SCANNER + '[dns]\nnameservers = ["198.51.100.53"]\n', 0)
    assert said["out"] > 0
