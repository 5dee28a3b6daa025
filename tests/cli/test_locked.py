"""`filterd terms locked`, and sealed cases in `filterd review`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.clients.locked_lists import read_locked
from filterd.model import records as r
from tests.cli.rig import House
from tests.cli.test_people_acts import staffed
from tests.cli.test_terms import examined
from tests.clients.test_locked_lists import GOOD

pytestmark = pytest.mark.slow

BOB = "bob@corp.example"
CASE = "lh_" + "a" * 40
WORDS = b"Subject: the velvet teapot\r\n\r\nHello\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "locked"
    made.mkdir()
    ends = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    (made / "kites.toml").write_text(GOOD.replace("2027-03-01", ends), encoding="utf-8")
    return made


def config_of(house: House, folder: Path) -> Path:
    file = folder.parent / "filterd.toml"
    text = f'[node]\nstate_dir = "{house.state_dir}"\n\n[terms]\nlocked_folder = "{folder}"\n'
    file.write_text(text, encoding="utf-8")
    return file


def both(house: House, people: dict[str, dict[str, str]], *command: Any) -> dict[str, Any]:
    """Have one person propose and another one approve."""
    said = house.run(*command, "--json", env=people["dana"])
    assert said.code == 0, said.err
    made: dict[str, Any] = said.json
    approve = ("proposal", "approve", made["proposal_id"], "--digest", made["digest"][:12])
    alone = house.run(*approve, env=people["dana"])
    assert (alone.code, "another person approves" in alone.err) == (1, True)
    done = house.run(*approve, env=people["erin"])
    assert done.code == 0, done.err
    return made


def state(house: House, file: Path) -> str:
    said = house.run("terms", "locked", "list", "--config", file, "--json")
    assert said.code == 0, said.err
    (row,) = said.json["lists"]
    return str(row["state"])


def test_two_people_switch_them_on_and_one_switches_them_off(house: House, folder: Path) -> None:
    people, file = staffed(house), config_of(house, folder)
    assert state(house, file) == "disabled"
    assert "such lists do not run" in house.run("terms", "locked", "list", "--config", file).out
    enable = ("terms", "locked", "enable", "--legal-basis", "Kite Act", "--reason", "an order")
    both(house, people, *enable)
    assert state(house, file) == "off"
    ((status, what, _),) = [x for x in examined(file) if "locked" in x[1]]
    assert (status, "two people have not approved it" in what) == ("warning", True)
    both(house, people, "terms", "locked", "propose", folder / "kites.toml", "--reason", "looked at")
    assert state(house, file) == "in_force"
    shown = house.run("terms", "locked", "list", "--config", file).out
    assert "dana and erin" in shown
    assert "teapot" not in shown
    (folder / "kites.toml").write_text((folder / "kites.toml").read_text("utf-8").replace("velvet", "woollen"), "utf-8")
    assert state(house, file) == "held_back"
    off = house.run("terms", "locked", "off", "--reason", "enough", env=people["erin"])
    assert (off.code, off.out) == (0, "lists of locked categories are off\n")
    assert state(house, file) == "disabled"
    again = house.run("terms", "locked", "off", "--reason", "enough", env=people["erin"])
    assert (again.code, "do not run" in again.err) == (1, True)


def test_a_faulty_list_is_not_proposed(house: House, folder: Path) -> None:
    people = staffed(house)
    kites = folder / "kites.toml"
    kites.write_text(kites.read_text("utf-8").replace("terms", 'on_hit = "reject"\nterms', 1), "utf-8")
    said = house.run("terms", "locked", "propose", kites, "--reason", "r", env=people["dana"])
    assert (said.code, "no file can give it one" in said.err) == (2, True)


def test_two_people_see_that_a_list_is_to_hold_mail(house: House, folder: Path) -> None:
    people = staffed(house)
    kites = folder / "kites.toml"
    kites.write_text(kites.read_text("utf-8").replace("terms", 'on_hit = "hold_for_person"\nterms', 1), "utf-8")
    made = house.run("terms", "locked", "propose", kites, "--reason", "r", "--json", env=people["dana"]).json
    shown = house.run("proposal", "show", made["proposal_id"], env=people["erin"])
    assert "hold_for_person" in shown.out


def sealed(house: House, folder: Path) -> None:
    """Have a case, as the worker hands it over."""
    account_id, one = house.account(BOB).account_id, read_locked(folder / "kites.toml", datetime.now(UTC))
    lists = [{"list": one.id, "digest": one.digest, "category": one.category, "entries": ["t2"]}]
    head = {"transaction_id": "t_1", "at": "2026-11-02T12:00:00+00:00", "kept": "full", "lists": lists}
    house.engine.spool.put(CASE, json.dumps(head).encode() + b"\n" + WORDS)
    until = house.clock.now() + timedelta(days=30)
    house.engine.run(lambda txn: txn.promote_evidence(CASE, account_id, until))


def test_a_person_reads_a_sealed_case_and_is_done_with_it(house: House, folder: Path, tmp_path: Path) -> None:
    people = staffed(house)
    sealed(house, folder)
    assert CASE not in house.run("review", "list").out
    (row,) = house.run("review", "list", "--json", env=people["dana"]).json
    assert (row["kind"], row["id"], row["what"], row["login"]) == ("sealed", CASE, "sealed case", None)
    unread = house.run("review", "settle", CASE, "nothing", "--reason", "r", env=people["dana"])
    assert (unread.code, "has not read it" in unread.err) == (1, True)
    mail = tmp_path / "mail.eml"
    read = ("review", "read", CASE, "--reason", "my turn", "--mail", mail)
    said = house.run(*read, env=people["dana"])
    assert said.code == 0, said.err
    assert "pol.security: list kites" in said.out
    assert "entries t2" in said.out
    assert (mail.read_bytes(), mail.stat().st_mode & 0o777) == (WORDS, 0o600)
    rows = house.engine.run(lambda txn: txn.history("site").of(r.LockedCaseOpened))
    assert [(x.by, x.reason) for x in rows] == [("dana", "my turn")]
    done = house.run("review", "settle", CASE, "nothing", "--reason", "a kettle", env=people["dana"])
    assert (done.code, done.out) == (0, f"{CASE} is closed by dana: nothing\n")
    assert house.run("review", "list", "--json", env=people["dana"]).json == []


def test_nobody_reads_a_sealed_case_without_a_name_and_a_role(house: House, folder: Path) -> None:
    staffed(house)
    sealed(house, folder)
    nobody = house.run("review", "read", CASE, "--reason", "r")
    assert (nobody.code, "named person" in nobody.err) == (1, True)
    auditor = {"FILTERD_TOKEN": house.person("otto", role="auditor")}
    refused = house.run("review", "read", CASE, "--reason", "r", env=auditor)
    assert (refused.code, "has role auditor" in refused.err) == (1, True)
