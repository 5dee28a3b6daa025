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

pytestmark = pytest.mark.slow

KEYS = {"sound", "rows", "unanchored", "unseen_writers", "lost", "proven", "fault", "ledger"}


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
        8,
        None,
        "running",
    )
    assert used.run("ledger", "verify").out.startswith("the chain holds: 8 rows, ")


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
    assert run(*verify, tmp_path / "dump.jsonl", "--anchor", anchor, "--json").json["rows"] == 8
    assert run(*verify, "-", stdin=running.encode()).code == 0
    cut = "".join(line + "\n" for line in running.splitlines()[:-1])
    assert run(*verify, "-", stdin=cut.encode()).code == 0
    (tmp_path / "cut").write_text(cut)
    said = run(*verify, tmp_path / "cut", "--anchor", anchor)
    assert (said.code, "is missing; the anchor" in said.err) == (1, True)
    said = run(*verify, "-", stdin=b"nonsense\n")
    assert (said.code, "line 1 cannot be read" in said.err) == (1, True)
    assert run(*verify, tmp_path / "none").code == 2


def test_what_was_proven_is_said(used: House, tmp_path: Path) -> None:
    public = used.run("ledger", "public-key").out.strip()
    assert used.run("ledger", "public-key", "--json").json["public_key"] == public
    dump, anchor = tmp_path / "dump.jsonl", used.state_dir / "ledger.anchor"
    used.close()
    used.run("ledger", "dump", "-o", dump)
    with_master = used.run("ledger", "verify", "--dump", dump, "--anchor", anchor)
    assert (with_master.code, "proven with the master key" in with_master.out) == (0, True)
    # No state directory, no master key: only what anybody may have.
    (tmp_path / "key").write_text(public + "\n")
    for given in (public, tmp_path / "key"):
        said = run("ledger", "verify", "--dump", dump, "--anchor", anchor, "--public-key", given)
        assert (said.code, "not proven: what the rows say" in said.out) == (0, True)
    signed = ("ledger", "verify", "--anchor", anchor, "--public-key", public, "--json", "--dump")
    assert run(*signed, dump).json["proven"] == "hashes"
    lines = dump.read_text().splitlines(keepends=True)
    (tmp_path / "cut").write_text("".join(lines[:-1]))
    said = run(*signed, tmp_path / "cut")
    assert (said.code, said.json["fault"][:29]) == (1, "node1.ledger row 8: is missin")
    changed = "".join(lines).replace('"kind":"sanction.imposed"', '"kind":"sanction.lifted"')
    (tmp_path / "changed").write_text(changed)
    # The hash of the row is what was signed: without the master key nobody can tell that it is another row's.
    assert run(*signed, tmp_path / "changed").code == 0
    assert used.run("ledger", "verify", "--dump", tmp_path / "changed").code == 1


def test_a_dump_without_anchors_says_what_it_cannot_show(used: House, tmp_path: Path) -> None:
    used.run("ledger", "dump", "-o", tmp_path / "dump.jsonl")
    said = used.run("ledger", "verify", "--dump", tmp_path / "dump.jsonl")
    assert (said.code, said.out.splitlines()[-1][:20]) == (0, "no anchor was given:")


def test_copies_of_the_anchors_count_too(used: House, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for running in (True, False):
        if not running:
            used.close()
        shutil.copy(used.state_dir / "ledger.anchor", copy)
        assert used.run("ledger", "verify", "--anchor", copy).code == 0
    # Store and anchors are cut together; only the copy knows.
    with sqlite3.connect(used.state_dir / "ledger.sqlite3") as store:
        store.execute("DELETE FROM entry WHERE seq > 3")
    kept = [line for line in copy.read_bytes().splitlines(keepends=True) if json.loads(line)["seq"] <= 3]
    (used.state_dir / "ledger.anchor").write_bytes(b"".join(kept))
    assert used.run("ledger", "verify").code == 0
    said = used.run("ledger", "verify", "--anchor", copy, "--json")
    assert (said.code, said.json["fault"][:31]) == (1, "node1.ledger row 4: is missing;")
    assert used.run("ledger", "verify", "--anchor", tmp_path / "none").code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--public-key", "0" * 64),
        ("--public-key", "0" * 64, "--dump", "x"),
        ("--public-key", "0" * 64, "--dump", "x", "--anchor", "y", "--key", "z"),
        ("--public-key", "x", "--dump", "x", "--anchor", "y"),
    ],
)
def test_a_public_key_goes_with_a_dump_and_anchors(arguments: tuple[str, ...], tmp_path: Path) -> None:
    said = run("ledger", "verify", *arguments, "--state-dir", tmp_path)
    assert (said.code != 0, "public" in said.err, "Traceback" in said.err) == (True, True, False)


def test_the_master_key_may_come_from_the_environment_or_a_command(used: House, tmp_path: Path) -> None:
    key = (used.state_dir / "master.key").read_text().strip()
    used.close()
    (used.state_dir / "master.key").rename(tmp_path / "key")
    said = used.run("ledger", "verify", "--key", "env:FILTERD_MASTER", env={"FILTERD_MASTER": key})
    assert said.code == 0, said.err
    assert used.run("ledger", "verify", "--key", f"command:/bin/cat {tmp_path / 'key'}").code == 0
    said = used.run("ledger", "verify", "--key", "command:/bin/false")
    assert (said.code, said.err) == (1, "filterd: command:/bin/false: exit status 1; no master key\n")


def test_no_ledger_is_said(tmp_path: Path) -> None:
    said = run("ledger", "verify", "--state-dir", tmp_path)
    assert (said.code, "master key" in said.err) == (1, True)
    said = run("ledger", "dump", "--state-dir", tmp_path / "none")
    assert (said.code, "no state directory" in said.err) == (1, True)
