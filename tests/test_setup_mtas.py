"""Mail servers that the tests need and that are not installed but unpacked: ops/install/other-mtas.sh."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.test_setup import ROOT, stub


def mtas_checkout(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A checkout with the script, and a Debian whose packages hold one setgid program each."""
    checkout, programs = tmp_path / "checkout", tmp_path / "bin"
    (checkout / "ops/install").mkdir(parents=True)
    shutil.copy(ROOT / "ops/install/other-mtas.sh", checkout / "ops/install")
    shutil.copy(ROOT / "pyproject.toml", checkout)
    fetch = f'shift; [ "$1" = download ] || exit 9; shift; for p; do echo "$p" >>{tmp_path}/fetched; : >"$p.deb"; done'
    stub(programs, "apt-get", fetch)
    unpack = 'n=$(basename "$2" .deb); mkdir -p "$3/usr/sbin"; echo "$n" >"$3/usr/sbin/$n"; chmod 2755 "$3/usr/sbin/$n"'
    stub(programs, "dpkg-deb", unpack)
    return checkout, os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}


def run_mtas(checkout: Path, environment: dict[str, str], *tiers: str) -> subprocess.CompletedProcess[str]:
    script = checkout / "ops/install/other-mtas.sh"
    return subprocess.run([script, *tiers], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_other_mail_servers_are_fetched_once_and_bear_no_right_of_their_own(tmp_path: Path) -> None:
    checkout, environment = mtas_checkout(tmp_path)
    place = checkout / ".venv/.filterd/mtas"
    outcome = run_mtas(checkout, environment, "run", "test")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    names = sorted(file.name for file in (place / "usr/sbin").iterdir())
    assert names == ["exim4-daemon-light", "sendmail-bin", "sendmail-cf"]
    assert {file.stat().st_mode & 0o7777 for file in (place / "usr/sbin").iterdir()} == {0o755}
    again = run_mtas(checkout, environment)
    assert (again.returncode, again.stdout) == (0, "")
    assert sorted((tmp_path / "fetched").read_text().split()) == names
    assert [file.name for file in place.parent.iterdir()] == ["mtas"]


def test_other_mail_servers_are_for_tests_only(tmp_path: Path) -> None:
    checkout, environment = mtas_checkout(tmp_path)
    outcome = run_mtas(checkout, environment, "run")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")
    assert not (checkout / ".venv").exists()


def test_other_mail_servers_that_cannot_be_fetched_are_said_and_leave_nothing(tmp_path: Path) -> None:
    checkout, environment = mtas_checkout(tmp_path)
    stub(tmp_path / "bin", "apt-get", "echo no network; exit 100")
    outcome = run_mtas(checkout, environment, "test")
    assert outcome.returncode == 1
    assert "no network" in outcome.stderr
    assert "could not fetch: sendmail-bin sendmail-cf exim4-daemon-light" in outcome.stderr
    assert list((checkout / ".venv/.filterd").iterdir()) == []
