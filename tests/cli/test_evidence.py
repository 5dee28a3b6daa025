"""Evidence and quarantine through the command line, against a real ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from filterd.cli.entry import Entry
from filterd.cli.evidence import evidence
from filterd.cli.quarantine import quarantine
from filterd.ledger.link import Verb
from filterd.model.records import ViolationRecorded
from filterd.pipeline import evidence as evidence_verbs
from filterd.pipeline import quarantine as quarantine_verbs
from tests.cli.rig import House, Ran, open_house
from tests.ledger.evidence_rig import DIGEST, ENVELOPE, RAW

pytestmark = pytest.mark.slow

app = typer.Typer(cls=Entry)
app.add_typer(evidence, name="evidence")
app.add_typer(quarantine, name="quarantine")


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house that knows these verbs, whichever others it has."""
    plain = evidence_verbs.table() | quarantine_verbs.table()
    mine = {name: Verb(request=None, response=None, run=run) for name, run in plain.items()}
    real = House.open

    def opened(self: House) -> None:
        self.verbs |= mine
        real(self)

    monkeypatch.setattr(House, "open", opened)
    with open_house() as house:
        yield house


def run(house: House, *arguments: object, token: str = "") -> Ran:
    clean = {"FILTERD_TOKEN": token, "FILTERD_CONFIG": "", "XDG_CONFIG_HOME": "/nonexistent", "COLUMNS": "160"}
    said = CliRunner().invoke(app, [*map(str, arguments), "--state-dir", str(house.state_dir)], env=clean)
    if said.exception is not None and not isinstance(said.exception, SystemExit):
        raise said.exception
    return Ran(said.exit_code, said.stdout, said.stderr)


def caught(house: House) -> tuple[Any, str]:
    """Have an account send a mail that is kept; say the account and the transaction's id."""
    account = house.account("alice@cust.example")
    spool = house.engine.spool
    put = spool.put
    real = house.mail.decide

    def decide(txn: Any, case: Any) -> Any:
        put(case.transaction_id, RAW)
        return real(txn, case)

    house.mail.decide = decide  # type: ignore[method-assign]
    case, _ = house.violate(account)
    return account, case.transaction_id


def viewed(house: House, account_id: str) -> list[Any]:
    known = house.engine.run(lambda txn: txn.records(account_id))
    return [item for item in known if type(item).__name__ == "EvidenceViewed"]


def held(house: House, account: Any) -> str:
    house.engine.spool.put("t_held", RAW)
    due_at = house.clock.now() + timedelta(days=7)
    item_id: str = house.engine.run(
        lambda txn: txn.hold_mail("t_held", account.account_id, account.tenant_id, "virus.x.y", ENVELOPE, due_at)
    )
    return item_id


def test_evidence_is_listed_and_handed_out(house: House, tmp_path: Any) -> None:
    account, transaction_id = caught(house)
    token = house.person("Rui", "reviewer")
    said = run(house, "evidence", "show", transaction_id, "--reason", "appeal", token=token)
    assert said.code == 0, said.err
    assert transaction_id in said.out
    assert DIGEST in said.out
    assert "secret offer" not in said.out
    file = tmp_path / "mail.eml"
    said = run(house, "evidence", "show", transaction_id, "--raw", file, "--reason", "appeal", token=token)
    assert said.code == 0, said.err
    assert file.read_bytes() == RAW
    assert file.stat().st_mode & 0o777 == 0o600
    assert said.out == ""
    assert [item.has_content for item in viewed(house, account.account_id)] == [False, True]


def test_a_file_that_is_there_is_not_written_over(house: House, tmp_path: Any) -> None:
    account, transaction_id = caught(house)
    token = house.person("Rui", "reviewer")
    file = tmp_path / "mail.eml"
    file.write_text("mine")
    said = run(house, "evidence", "show", transaction_id, "--raw", file, "--reason", "x", token=token)
    assert said.code == 2
    assert "new file" in said.err
    assert file.read_text() == "mine"
    assert viewed(house, account.account_id) == []


def test_a_mail_goes_to_a_terminal_only_when_told_to(house: House) -> None:
    _, transaction_id = caught(house)
    token = house.person("Rui", "reviewer")
    arguments = ("evidence", "show", transaction_id, "--raw", "-", "--reason", "x", "--state-dir", house.state_dir)
    said = CliRunner().invoke(app, [str(a) for a in arguments], env={"FILTERD_TOKEN": token, "FILTERD_CONFIG": ""})
    assert said.stdout_bytes == RAW


def test_whoever_is_refused_leaves_no_file(house: House, tmp_path: Any) -> None:
    _, transaction_id = caught(house)
    file = tmp_path / "mail.eml"
    for token in ("", house.person("Eve", "viewer")):
        said = run(house, "evidence", "show", transaction_id, "--raw", file, "--reason", "x", token=token)
        assert said.code == 1, said.out
        assert not file.exists()


def test_a_legal_hold_and_its_end(house: House) -> None:
    account, transaction_id = caught(house)
    ana, bo = house.person("Ana"), house.person("Bo")
    said = run(house, "evidence", "hold", "--case", transaction_id, "--reason", "court", "--json", token=ana)
    assert json.loads(said.out)["account_id"] == account.account_id
    shown = run(house, "evidence", "show", transaction_id, "--reason", "x", token=ana)
    assert "legal hold" in shown.out
    first = run(house, "evidence", "release", "--case", transaction_id, "--reason", "over", token=ana)
    assert "second person" in first.out
    again = run(house, "evidence", "release", "--case", transaction_id, "--reason", "over", token=ana)
    assert again.code == 1
    last = run(house, "evidence", "release", "--case", transaction_id, "--reason", "over", token=bo)
    assert "has ended" in last.out


def test_held_mail_is_listed_shown_and_deleted(house: House) -> None:
    account = house.account("alice@cust.example")
    item_id = held(house, account)
    token = house.person("Ana")
    listed = run(house, "quarantine", "list")
    assert listed.code == 0, listed.err
    assert item_id in listed.out
    assert [row["overdue"] for row in run(house, "quarantine", "list", "--json").json] == [False]
    house.clock.advance(days=8)
    assert [row["overdue"] for row in run(house, "quarantine", "list", "--json").json] == [True]
    shown = run(house, "quarantine", "show", item_id, "--reason", "x", token=token)
    assert "Bertha@other.example" in shown.out
    assert [item.has_content for item in viewed(house, account.account_id)] == [False]
    gone = run(house, "quarantine", "delete", item_id, "--reason", "virus", token=token)
    assert gone.code == 0, gone.err
    assert run(house, "quarantine", "list").out.strip() == "(none)"
    assert item_id in run(house, "quarantine", "list", "--all").out
    again = run(house, "quarantine", "delete", item_id, "--reason", "virus", token=token)
    assert again.code == 1
    assert "deleted by now" in again.err


def test_nobody_without_a_name_looks_at_held_mail_or_deletes_it(house: House) -> None:
    item_id = held(house, house.account("alice@cust.example"))
    for command in ("show", "delete"):
        for token in ("", house.person(f"Eve-{command}", "viewer")):
            assert run(house, "quarantine", command, item_id, "--reason", "x", token=token).code == 1


def test_an_item_that_is_not_there_is_said(house: House) -> None:
    token = house.person("Mo", "moderator")
    for act in ("release", "return", "confirm", "delete"):
        said = run(house, "quarantine", act, "q_1", "--reason", "x", token=token)
        assert (said.code, "no held mail q_1" in said.err) == (1, True), act


def test_the_entry_of_a_decision_says_what_was_kept(house: House) -> None:
    account, _ = caught(house)
    records = house.engine.run(lambda txn: txn.records(account.account_id))
    (said,) = (item for item in records if isinstance(item, ViolationRecorded))
    assert (said.evidence_kept, said.evidence_digest) == ("full", DIGEST)
