"""`filterd bypass on, off, status`, with the ledger and without it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.rig import House, run

pytestmark = pytest.mark.slow


def test_on_by_a_named_person_says_until_when(house: House) -> None:
    token = house.person("dana", "approver")
    said = house.run("bypass", "on", "--for", "30m", "--reason", "model refuses all mail", "--token", token, "--json")
    assert said.code == 0, said.err
    until = datetime.fromisoformat(said.json["until"])
    assert (said.json["by"], until - house.clock.now()) == ("dana", timedelta(minutes=30))


def test_on_needs_a_person_and_a_sensible_length(house: House) -> None:
    assert house.run("bypass", "on", "--for", "30m", "--reason", "x").code != 0
    token = house.person("dana", "approver")
    for length in ("30", "m", "2d", "-5m", "25h"):
        said = house.run("bypass", "on", f"--for={length}", "--reason", "x", "--token", token)
        assert said.code != 0, length
    assert "no length such as 30m" in house.run("bypass", "on", "--for", "2d", "--reason", "x", "--token", token).err


def test_without_a_ledger_root_can_and_is_named(tmp_path: Path) -> None:
    failed = run("bypass", "on", "--for", "1h", "--reason", "x", "--state-dir", tmp_path)
    assert failed.code != 0
    done = run("bypass", "on", "--for", "1h", "--reason", "dead", "--without-ledger", "--state-dir", tmp_path)
    assert done.code == 0
    assert "root" in done.err
    status = run("bypass", "status", "--json", "--state-dir", tmp_path)
    assert (status.json["is_active"], status.json["by"], status.json["reason"]) == (True, "root", "dead")
    assert "ALL MAIL PASSES UNJUDGED" in run("bypass", "status", "--state-dir", tmp_path).out
    assert run("bypass", "off", "--without-ledger", "--state-dir", tmp_path).code == 0
    assert run("bypass", "status", "--json", "--state-dir", tmp_path).json == {"is_active": False}
    assert run("bypass", "off", "--without-ledger", "--state-dir", tmp_path).code != 0
