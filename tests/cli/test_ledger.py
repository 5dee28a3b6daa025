"""The chain verified and dumped: running, stopped, copied, and tampered with."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from filterd.model.records import PersonAdded
from filterd.ports import LedgerTxn
from tests.cli.rig import House, run

KEYS = {"sound", "rows", "unanchored", "fault", "ledger"}


@pytest.fixture
def used(house: House) -> House:
    house.violate(house.account("bob@corp.example"))
    return house


def test_a_running_ledger_is_verified_over_its_socket(used: House) -> None:
    said = used.run("ledger", "verify", "--json")
    assert said.code == 0
    assert set(said.json) == KEYS
    assert (said.json["sound"], said.json["rows"], said.json["fault"], said.json["ledger"]) == (
        True,
        7,
        None,
        "running",
    )
    assert used.run("ledger", "verify").out.startswith("the chain holds: 7 rows, ")


def test_more_rows_than_a_page_are_all_walked(house: House) -> None:
    def many(txn: LedgerTxn) -> None:
        for number in range(1100):
            person = PersonAdded(at=txn.now, person=f"p{number}", role="viewer", by="root")
            txn.append(person, account_id=None, tenant_id=None)

    house.engine.run(many)
    said = house.run("ledger", "verify", "--json").json
    assert (said["sound"], said["rows"]) == (True, 1100)
    assert len(house.run("ledger", "dump").out.splitlines()) == 1100


def test_a_stopped_ledger_and_a_copy_are_read_directly(used: House, tmp_path: Path) -> None:
    used.close()
    assert used.run("ledger", "verify", "--json").json["ledger"] == "stopped"
    copy = tmp_path / "copy"
    shutil.copytree(used.state_dir, copy, ignore=shutil.ignore_patterns("*.sock", "master.key"))
    said = run("ledger", "verify", "--state-dir", copy)
    assert (said.code, "master.key" in said.err) == (1, True)
    assert run("ledger", "verify", "--state-dir", copy, "--key", used.state_dir / "master.key").code == 0


def test_a_tampered_row_is_named_and_exit_1(used: House) -> None:
    used.close()
    with sqlite3.connect(used.state_dir / "ledger.sqlite3") as store:
        store.execute("UPDATE entry SET kind = 'sanction.lifted' WHERE kind = 'sanction.imposed'")
    said = used.run("ledger", "verify", "--json")
    assert said.code == 1
    assert (said.json["sound"], said.json["fault"]) == (False, "node1.ledger row 6: was altered")
    assert said.err == "filterd: the chain does not hold: node1.ledger row 6: was altered\n"


def test_a_dump_is_the_same_running_and_stopped_and_verifies_elsewhere(used: House, tmp_path: Path) -> None:
    running = used.run("ledger", "dump").out
    used.close()
    assert used.run("ledger", "dump", "-o", tmp_path / "dump.jsonl").out == ""
    assert (tmp_path / "dump.jsonl").read_text() == running
    assert [json.loads(line)["kind"] for line in running.splitlines()][:2] == ["tenant.opened", "account.opened"]
    key, anchor = used.state_dir / "master.key", used.state_dir / "ledger.anchor"
    verify = ("ledger", "verify", "--key", key, "--dump")
    assert run(*verify, tmp_path / "dump.jsonl", "--anchor", anchor, "--json").json["rows"] == 7
    assert run(*verify, "-", stdin=running.encode()).code == 0
    cut = "".join(line + "\n" for line in running.splitlines()[:-1])
    assert run(*verify, "-", stdin=cut.encode()).code == 0
    (tmp_path / "cut").write_text(cut)
    said = run(*verify, tmp_path / "cut", "--anchor", anchor)
    assert (said.code, "is missing; the anchor" in said.err) == (1, True)
    said = run(*verify, "-", stdin=b"nonsense\n")
    assert (said.code, "line 1 cannot be read" in said.err) == (1, True)
    assert run(*verify, tmp_path / "none").code == 2


def test_no_ledger_is_said(tmp_path: Path) -> None:
    said = run("ledger", "verify", "--state-dir", tmp_path)
    assert (said.code, "master key" in said.err) == (1, True)
    said = run("ledger", "dump", "--state-dir", tmp_path / "none")
    assert (said.code, "no state directory" in said.err) == (1, True)
