"""The files for systemd: does it take them, and do they fit what filterd does?"""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from filterd.app.mail_half import DRAIN_S
from filterd.config import load
from filterd.supervisor.patience import Patience

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "ops/systemd").glob("filterd.*"))


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ROOT / "ops/systemd" / name)
    return parser


@pytest.mark.server
def test_systemd_has_nothing_to_say_against_them(tmp_path: Path):
    verify = shutil.which("systemd-analyze")
    assert verify is not None, "apt-get install systemd"
    program = shutil.which("true") or sys.executable
    for file in UNITS:
        (tmp_path / file.name).write_text(file.read_text().replace("/usr/bin/filterd ", f"{program} "))
    copies = [str(tmp_path / file.name) for file in UNITS]
    said = subprocess.run([verify, "verify", *copies], capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    # It would have said something.
    wrong = tmp_path / "filterd.service"
    wrong.write_text(wrong.read_text().replace("WatchdogSec=", "WatchDogSec="))
    assert "WatchDogSec" in subprocess.run([verify, "verify", str(wrong)], capture_output=True, text=True).stderr


def test_the_service_waits_as_long_as_filterd_does():
    service = unit("filterd.service")["Service"]
    patience = Patience()
    assert service["Type"] == "notify"
    # A child that hangs is ended by its own supervisor first.
    assert int(service["WatchdogSec"]) > 2 * patience.silent
    # The workers, then the ledger.
    assert patience.stop > DRAIN_S
    assert int(service["TimeoutStopSec"]) >= 2 * patience.stop
    assert service["ExecReload"].split()[1:] == ["reload", *service["ExecStart"].split()[2:4]]


def test_the_socket_is_a_listener_of_the_shipped_configuration():
    door = unit("filterd.socket")["Socket"]
    (listener,) = [
        item
        for item in load(ROOT / "ops/postfix/before-queue.toml").listener
        if item.name == door["FileDescriptorName"]
    ]
    assert door["ListenStream"] == f"{listener.bind}:{listener.port}"
