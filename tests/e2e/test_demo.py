"""`filterd demo`: every mail of its table gets what the table claims, and the commands it prints work as printed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from filterd.demo.samples import samples
from tests.kit.waiting import PATIENCE_S

WITHIN_S = 280
DEMO = (sys.executable, "-m", "filterd", "demo")


@pytest.fixture
def folder() -> Iterator[Path]:
    # A short path: a socket's name holds 107 octets. One that a shell would take apart.
    above = Path(tempfile.mkdtemp(prefix="filterd-demo-"))
    yield above / "the state"
    shutil.rmtree(above, ignore_errors=True)


@pytest.mark.e2e
def test_it_ends_well_when_all_is_as_claimed(folder: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--once", "--check", "--json", "--state-dir", str(folder)],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    told = json.loads(done.stdout)
    assert (told["wrong"], done.returncode) == ([], 0)
    assert len(told["mails"]) == len(samples())
    assert {mail["language"] for mail in told["mails"]} == {"en", "zh"}
    assert any("no model" in mail["found"] for mail in told["mails"])


@pytest.mark.e2e
def test_it_stays_up_and_what_it_prints_works(folder: Path) -> None:
    process = subprocess.Popen([*DEMO, "--check", "--state-dir", str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        lines = list(_until(process, "filterd stays up"))
        text = "\n".join(lines)
        assert "NOT AS CLAIMED" not in text
        assert re.search(r"^All [0-9]+ expectations were met\.$", text, re.MULTILINE)
        said = [_run(line) for line in _part(lines, "Try next")]
        assert len(said) == 3
        assert "refused  550 5.7.1" in said[0]
        assert "standing  warned" in said[1]
        assert "F-ATTACHMENTS" in said[2]
        url = next(line.split()[1] for line in _part(lines, "Where things are") if line.startswith("metrics"))
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            assert b"filterd_" in answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def _until(process: subprocess.Popen[str], words: str) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.rstrip("\n")
        if words in line:
            return
    pytest.fail("it ended before it said that it stays up")


def _part(lines: list[str], title: str) -> list[str]:
    """Give the lines below a title, up to the next empty one."""
    start = lines.index(f"== {title}") + 2
    return lines[start : lines.index("", start)]


def _run(command: str) -> str:
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
