"""The drill, as an operator does it: back up, lose, restore, answer for what is missing, go on."""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from filterd.cli.places import KEY_NAME
from filterd.clients.keys import load_keys
from filterd.ledger.anchor import FILE_NAME as ANCHOR
from filterd.ledger.backup_copy import COPY_NAME, NAMED_VERB, VERB, copy_store, still_named
from filterd.ledger.link import Verb
from filterd.ledger.loss import LedgerLost
from filterd.ledger.store import FILE_NAME
from filterd.model.records import LedgerRestored
from tests.cli.rig import House, open_ledger, run
from tests.kit.clock import FrozenClock

# The passphrase costs half a second each time, and should.
pytestmark = pytest.mark.slow

BOB, EVE, ZOE = (f"{name}@corp.example" for name in ("bob", "eve", "zoe"))
PHRASE = {"FILTERD_BACKUP_PASSPHRASE": "correct horse battery"}
LOST = ("--accept-loss", "--reason", "the disk burnt")


@contextmanager
def opened(state_dir: Path) -> Iterator[House]:
    house = House(state_dir)
    more = {VERB: copy_store, NAMED_VERB: still_named}
    house.verbs |= {name: Verb(request=None, response=None, run=verb) for name, verb in more.items()}
    try:
        house.open()
        yield house
    finally:
        house.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a socket's name holds 107 octets."""
    with tempfile.TemporaryDirectory(prefix="filterd-cli-") as made:
        yield Path(made)


def shown(house: House, *logins: str) -> dict[str, Any]:
    said = {login: house.run("account", "show", login, "--json") for login in logins}
    assert [x.code for x in said.values()] == [0] * len(logins)
    return {login: x.json for login, x in said.items()}


def past(house: House) -> str:
    """Two sanctioned accounts and two people; says a moderator's token."""
    token = house.person("Mia")
    house.person("Noor")
    for login in (BOB, EVE):
        house.violate(house.account(login))
    return token


def sanction_of(house: House, login: str) -> str:
    return str(shown(house, login)[login]["sanctions"][0]["sanction_id"])


def attic_of(folder: Path) -> tuple[object, ...]:
    """Lose the state directory; say what is known to have come after, as options."""
    shutil.move(folder / "state", folder / "attic")
    return ("--anchor", folder / "attic" / ANCHOR, "--events", folder / "attic" / "events")


def start_is_refused(state_dir: Path, why: str) -> None:
    with pytest.raises(LedgerLost, match=why):
        open_ledger(state_dir, load_keys(state_dir / KEY_NAME), FrozenClock())


@pytest.mark.parametrize("is_anybody_new", [False, True])
def test_the_drill(folder: Path, is_anybody_new: bool) -> None:
    state = folder / "state"
    with opened(state) as house:
        token = past(house)
        made = house.run("backup", "create", folder / "set", "--json", env=PHRASE)
        assert made.code == 0, made.err
        assert (made.json["has_key"], made.json["heads"]) == (True, {"node1.ledger": house.engine.tally.entries})
        assert 0 <= made.json["paused_seconds"] < 5
        assert not (state / COPY_NAME).exists()
        # After the backup: somebody new, more strikes, a clemency.
        zoe = house.account(ZOE).account_id if is_anybody_new else None
        house.violate(house.account(EVE))
        house.violate(house.account(EVE))
        lifted = house.run("sanction", "lift", sanction_of(house, BOB), "--reason", "mercy", "--token", token)
        assert lifted.code == 0, lifted.err
        before = shown(house, BOB, EVE)
        assert before[BOB]["sanctions"] == []
        assert before[EVE]["points"] > 0
    known = attic_of(folder)
    whole = run("backup", "verify", folder / "set", "--json", "--state-dir", state, env=PHRASE)
    assert (whole.code, whole.json["sound"], whole.json["proven"]) == (0, True, "contents")
    said = run("restore", folder / "set", *known, "--state-dir", state, "--json", env=PHRASE)
    assert said.code == is_anybody_new, said.err
    if is_anybody_new:
        # Her login was sealed, and so no stream has it: somebody must answer for that.
        assert "the ledger will not start" in said.err
        start_is_refused(state, "--accept-loss")
        said = run("restore", *LOST, "--by", "Mia", *known, "--state-dir", state, "--json")
        assert said.code == 0, said.err
        assert said.json["affected"] == {zoe: ["opened after the backup: its login is not known"]}
    assert (said.json["missing"], said.json["may_start"]) == ([], True)
    with opened(state) as house:
        assert shown(house, BOB, EVE) == before
        verified = house.run("ledger", "verify", "--anchor", folder / "attic" / ANCHOR, "--json")
        assert (verified.code, verified.json["sound"]) == (0, True)
        assert house.run("sanction", "lift", sanction_of(house, EVE), "--reason", "x", "--token", token).code == 0
        if zoe is not None:
            give_login_back(house, folder, zoe)


def give_login_back(house: House, folder: Path, account_id: str) -> None:
    """As ops/docs/BACKUP.md says: by two lists, the first of which gives the account an external id."""
    token = house.person("Ada", "admin")
    for login in (account_id, ZOE):
        (folder / "list.csv").write_text(f"login,tenant,external_id\n{login},corp.example,e-77\n")
        said = house.run("account", "import", folder / "list.csv", "--token", token)
        assert said.code == 0, said.err + said.out
    assert house.run("account", "show", ZOE, "--json").json["account_id"] == account_id


def test_what_nobody_has_is_named_and_answered_for(folder: Path) -> None:
    state = folder / "state"
    with opened(state) as house:
        past(house)
        assert house.run("backup", "create", folder / "set", "--recovery-key", state / KEY_NAME).code == 0
        house.violate(house.account(ZOE))
    shutil.move(state, folder / "attic")
    anchor = ("--anchor", folder / "attic" / ANCHOR)
    key = ("--recovery-key", folder / "attic" / KEY_NAME)
    said = run("restore", folder / "set", *anchor, *key, "--state-dir", state)
    assert said.code == 1
    assert "missing: node1.ledger from row " in said.out
    assert said.out.endswith("the ledger does not start like this\n")
    for options, why in (
        (("--accept-loss", "--by", "Mia"), "needs --by PERSON and --reason"),
        (("--accept-loss", "--reason", "x"), "needs --by PERSON and --reason"),
        ((*LOST, "--by", "Somebody"), "'Somebody' is nobody of this ledger; there are Mia, Noor, or root"),
    ):
        refused = run("restore", *options, *anchor, "--state-dir", state)
        assert (refused.code, why in refused.err) == (1, True), refused.err
    said = run("restore", *LOST, "--by", "root", *anchor, "--state-dir", state)
    assert (said.code, "WARNING: the loss is accepted as root" in said.err) == (0, True)
    with opened(state) as house:
        record = next(
            x.record
            for x in house.engine.run(lambda txn: txn.recent_entries(100))
            if isinstance(x.record, LedgerRestored)
        )
        assert (record.by, record.reason, len(record.missing)) == ("root", "the disk burnt", 1)
        assert house.run("account", "show", ZOE).code == 1
    assert run("restore", *LOST, "--by", "root", "--state-dir", state).err.endswith("there is no loss to accept\n")


def test_an_old_file_copied_back_is_put_right_where_it_lies(folder: Path) -> None:
    state = folder / "state"
    with opened(state) as house:
        past(house)
    shutil.copy(state / FILE_NAME, folder / "old")
    with opened(state) as house:
        house.violate(house.account(BOB))
        before = shown(house, BOB)
    shutil.copy(folder / "old", state / FILE_NAME)
    start_is_refused(state, "an old state was put back")
    # Anchors and streams are where they were, and have all of it: nobody has to answer for anything.
    said = run("restore", "--state-dir", state)
    assert (said.code, said.out.startswith("3 rows put back in place")) == (0, True), said.out
    with opened(state) as house:
        assert shown(house, BOB) == before
        assert house.run("log", "verify").code == 0


def test_a_stopped_ledger_is_backed_up_and_one_file_is_enough(folder: Path) -> None:
    state = folder / "state"
    with opened(state) as house:
        past(house)
        before = shown(house, BOB)
    made = run("backup", "create", folder / "set.tar", "--state-dir", state, env=PHRASE)
    assert made.code == 0, made.err
    assert sorted(x.name for x in folder.iterdir()) == ["set.tar", "state"]
    shutil.move(state, folder / "attic")
    anchor = ("--anchor", folder / "attic" / ANCHOR)
    assert run("restore", folder / "set.tar", *anchor, "--state-dir", state, env=PHRASE).code == 0
    with opened(state) as house:
        assert shown(house, BOB) == before


def test_a_backup_says_what_becomes_of_the_master_key(folder: Path) -> None:
    state = folder / "state"
    with opened(state) as house:
        past(house)
        for options, env in (((), {}), (("--without-key",), PHRASE)):
            refused = house.run("backup", "create", folder / "set", *options, env=env)
            assert (refused.code, "or --without-key; not both" in refused.err) == (1, True)
        made = house.run("backup", "create", folder / "set", "--without-key")
        assert (made.code, "WARNING: the master key is NOT in this backup" in made.err) == (0, True)
    assert not (folder / "set" / "key.json").exists()
    shutil.move(state, folder / "attic")
    # Nobody has the key: digests and hashes, and no restore.
    said = run("backup", "verify", folder / "set", "--state-dir", state)
    assert (said.code, "without the master key" in said.out) == (0, True)
    assert run("restore", folder / "set", "--state-dir", state).code == 1
    refused = run("restore", folder / "set", "--state-dir", state, env=PHRASE)
    assert "was left out of this backup" in refused.err
    assert not (state / FILE_NAME).exists()
    # It is put where the node looks for it, and the backup fits it.
    state.mkdir(mode=0o700, exist_ok=True)
    shutil.copy(folder / "attic" / KEY_NAME, state / KEY_NAME)
    anchor = ("--anchor", folder / "attic" / ANCHOR)
    assert run("restore", folder / "set", *anchor, "--state-dir", state).code == 0


def test_another_passphrase_opens_nothing_and_leaves_nothing(folder: Path) -> None:
    state = folder / "state"
    with opened(state) as house:
        past(house)
        assert house.run("backup", "create", folder / "set", env=PHRASE).code == 0
        refused = house.run("restore", folder / "set", env=PHRASE)
        assert (refused.code, "a backup is restored into an empty directory" in refused.err) == (1, True)
    shutil.move(state, folder / "attic")
    wrong = run("restore", folder / "set", "--state-dir", state, env={"FILTERD_BACKUP_PASSPHRASE": "another one here"})
    assert (wrong.code, "the master key does not open" in wrong.err) == (1, True)
    assert not state.exists()


def test_the_first_thing_wrong_is_said(folder: Path) -> None:
    state = folder / "state"
    with opened(state) as house:
        past(house)
        assert house.run("backup", "create", folder / "set", env=PHRASE).code == 0
        table = folder / "set" / "tables" / "entry.jsonl"
        table.write_bytes(table.read_bytes().replace(b"strike.issued", b"strike.Issued", 1))
        said = house.run("backup", "verify", folder / "set", "--json", env=PHRASE)
        assert (said.code, said.json["sound"]) == (1, False)
        assert f"this backup is not whole: {table}: was altered" in said.err
        assert "is not restored" in run("restore", folder / "set", "--state-dir", folder / "new", env=PHRASE).err
        assert not (folder / "new" / FILE_NAME).exists()
    assert run("backup", "verify", folder / "nothing", "--state-dir", state).code == 1


def test_two_backups_at_once_are_one_too_many(folder: Path) -> None:
    with opened(folder / "state") as house:
        past(house)
        with (house.state_dir / "backup.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            said = house.run("backup", "create", folder / "set", env=PHRASE)
        assert (said.code, "another backup is being taken" in said.err) == (1, True)


def test_a_list_of_erased_subjects_is_read_line_by_line(folder: Path) -> None:
    state = folder / "state"
    with opened(state) as house:
        past(house)
        account_id = house.account(BOB).account_id
        assert house.run("backup", "create", folder / "set", env=PHRASE).code == 0
    shutil.move(state, folder / "attic")
    given = ("--anchor", folder / "attic" / ANCHOR, "--erased", folder / "erased", "--state-dir", state)
    (folder / "erased").write_text("bob@corp.example\n")
    refused = run("restore", folder / "set", *given, env=PHRASE)
    assert (refused.code, f"{folder / 'erased'}:1: --erased: is no id" in refused.err) == (2, True)
    shutil.rmtree(state, ignore_errors=True)
    (folder / "erased").write_text(f"# since Monday\n{account_id}  # by request\n")
    said = run("restore", folder / "set", *given, "--json", env=PHRASE)
    assert (said.code, said.json["erased"]) == (0, [account_id]), said.err
    with opened(state) as house:
        assert house.run("account", "show", BOB).code == 1
        assert json.loads(house.run("account", "list", "--json").out)[0]["login"] == EVE
