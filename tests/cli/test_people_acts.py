"""`filterd review`, `proposal`, `cure`, `mandate`, `incident`: what people do, from the command line."""

from __future__ import annotations

from typing import Any

import pytest

from filterd.model.records import NoticeSent
from tests.cli.rig import House

pytestmark = pytest.mark.slow

BOB = "bob@corp.example"


def staffed(house: House) -> dict[str, dict[str, str]]:
    """Two people; say the environment of each."""
    return {name: {"FILTERD_TOKEN": house.person(name)} for name in ("dana", "erin")}


def suspended(house: House, env: dict[str, str]) -> dict[str, Any]:
    house.account(BOB)
    wanted = ("sanction", "impose", BOB, "--rung", "suspend", "--clause", "4.3.1", "--reason", "for cause", "--json")
    said = house.run(*wanted, env=env)
    assert said.code == 0, said.err
    found: dict[str, Any] = said.json
    return found


def test_a_person_suspends_without_an_end(house: House) -> None:
    people = staffed(house)
    said = suspended(house, people["dana"])
    assert (said["standing"], said["until"], said["features_off"]) == ("suspended", None, ["sending"])
    assert house.run("account", "show", BOB).out.count("suspend") >= 2


def test_two_people_end_an_account_from_the_command_line(house: House) -> None:
    people = staffed(house)
    suspended(house, people["dana"])
    made = house.run("proposal", "make", "account.terminate", BOB, "--reason", "again", env=people["dana"])
    assert made.code == 0, made.err
    (row,) = house.run("proposal", "list", "--json").json
    assert row["act"] == "account.terminate"
    shown = house.run("proposal", "show", row["proposal_id"]).out
    assert f"digest      {row['digest']}" in shown
    approve = ("proposal", "approve", row["proposal_id"], "--digest")
    said = house.run(*approve, row["digest"][:12], env=people["dana"])
    assert (said.code, "another person approves" in said.err) == (1, True)
    said = house.run("review", "approve", row["proposal_id"], "--digest", row["digest"][:12], env=people["erin"])
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("account.terminate is decided by dana and erin; not before ")
    assert "coming:" in house.run("account", "show", BOB).out
    veto = ("proposal", "veto", row["proposal_id"], "--reason", "no")
    assert house.run(*veto, env=people["erin"]).out == "account.terminate is vetoed\n"
    assert house.run("account", "show", BOB, "--json").json["coming"] == []
    assert [x["state"] for x in house.run("proposal", "list", "--all", "--json").json] == ["vetoed"]


def test_a_task_is_claimed_and_decided(house: House) -> None:
    people = staffed(house)
    bob = house.account(BOB)
    house.violate(bob)
    house.clock.advance(days=2)
    house.violate(bob)
    (row, *_) = house.run("review", "list", "--json").json
    assert row["id"] in house.run("review", "list").out
    said = house.run("review", "claim", row["id"], env=people["dana"])
    assert said.out.startswith(f"{row['id']} is dana's until ")
    decide = ("review", "decide", row["id"], "annul", "--reason", "our error")
    said = house.run(*decide, env=people["erin"])
    assert (said.code, "dana has it in hand" in said.err) == (1, True)
    assert house.run("review", "hand-back", row["id"], env=people["dana"]).code == 0
    said = house.run(*decide, env=people["erin"])
    assert (said.code, said.out.startswith(f"{BOB} is now ")) == (0, True)
    assert row["id"] not in house.run("review", "list").out


def test_incidents_say_grounds_and_nothing_of_the_mail(house: House) -> None:
    bob = house.account(BOB)
    case, decision = house.violate(bob)
    (row,) = house.run("incident", "list", BOB, "--json").json
    assert row["incident_id"] == decision.incident_id
    shown = house.run("incident", "show", row["incident_id"], "--json").json
    assert (shown["transactions"], shown["categories"]) == ([case.transaction_id], ["malware"])
    assert shown["grounds"][0].startswith("clause ")
    text = house.run("incident", "show", row["incident_id"]).out
    assert "virus.signature.match" in text
    said = house.run("incident", "show", "i_none")
    assert (said.code, said.err) == (1, "filterd: no incident i_none\n")


def test_as_root_warns_and_the_ledger_says_so(house: House) -> None:
    house.account(BOB)
    warn = ("sanction", "impose", BOB, "--rung", "warn", "--clause", "4.3.1", "--reason", "at night")
    said = house.run(*warn)
    assert (said.code, "named person" in said.err) == (1, True)
    said = house.run(*warn, "--as-root")
    assert (said.code, "WARNING: acting as root" in said.err) == (0, True)
    found = [x.record for x in house.engine.run(lambda txn: txn.recent_entries(9))]
    assert [x.verb for x in found if type(x).__name__ == "RootActed"] == ["sanction.impose"]


def test_a_persons_scope_is_said_in_the_list(house: House) -> None:
    house.account(BOB)
    said = house.run("person", "add", "anna", "--role", "tenant_admin", "--tenant", "corp.example", "--as-root")
    assert said.code == 0, said.err
    assert "tenant_admin (tenant:n_" in house.run("person", "list").out
    said = house.run("person", "add", "otto", "--role", "tenant_admin", "--as-root")
    assert (said.code, "--tenant" in said.err) == (1, True)


def test_a_mandate_needs_a_reseller_that_there_is(house: House) -> None:
    env = {"FILTERD_TOKEN": house.person("ada", "admin")}
    said = house.run("mandate", "give", "Jiang Ltd", "--document", "C-1", env=env)
    assert (said.code, said.err) == (1, "filterd: no tenant has a reseller called 'Jiang Ltd'\n")
    assert house.run("mandate", "list").out == "(none)\n"


def test_a_cure_where_there_is_none_says_what_to_do_instead(house: House) -> None:
    people = staffed(house)
    sanction = suspended(house, people["dana"])["sanction_id"]
    said = house.run("cure", "file", sanction, "--stopped", "a", "--measures", "b", "--waiver", "c", env=people["erin"])
    assert (said.code, "filterd appeal file" in said.err) == (1, True)
    assert house.run("cure", "list").out == "(none)\n"


def test_the_notice_of_a_termination_lets_it_begin(house: House) -> None:
    people = staffed(house)
    suspended(house, people["dana"])
    made = house.run("proposal", "make", "account.terminate", BOB, "--reason", "r", "--json", env=people["dana"]).json
    approve = ("proposal", "approve", made["proposal_id"], "--digest", made["digest"])
    assert house.run(*approve, env=people["erin"]).code == 0
    bob = house.account(BOB)
    told = NoticeSent(
        at=house.clock.now(), notice_id="m_1", account_id=bob.account_id, incident_ids=(),
        template="termination_proposed", languages=("en",), channel="account+tenant", outcome="accepted",
        deemed_at=house.clock.now(), body_digest="",
    )  # fmt: skip
    house.engine.run(lambda txn: txn.append(told, account_id=bob.account_id, tenant_id=bob.tenant_id))
    house.clock.advance(days=8)
    assert house.run("account", "show", BOB, "--json").json["standing"] == "terminated"
    back = house.run("proposal", "make", "account.reinstate", BOB, "--reason", "r", "--json", env=people["erin"]).json
    approve = ("proposal", "approve", back["proposal_id"], "--digest", back["digest"])
    assert house.run(*approve, env=people["dana"]).code == 0
    assert house.run("account", "show", BOB, "--json").json["standing"] == "suspended"


def test_it_is_said_what_so_few_people_cannot_keep(house: House) -> None:
    assert house.run("person", "staffing").out.splitlines()[0] == "solo, as the roster is: nobody"
    house.person("robot", "service")
    house.person("dana")
    said = house.run("person", "staffing").out
    assert said.startswith("solo, as the roster is: dana\nwith so few: ")
    assert "standing orders" in said
    house.person("erin", "approver")
    assert house.run("person", "staffing", "--json").json["staffing"] == "pair"
    house.person("fritz", "appeals_reviewer")
    assert house.run("person", "staffing").out == "team, as the roster is: dana, erin, fritz\n"
