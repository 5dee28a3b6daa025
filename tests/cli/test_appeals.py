"""`filterd appeal`, `automation`, `breaker`, `recall`, on a real ledger.  STANDING 5.6, 5.7-8, 5.7-21."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.cli.rig import House

pytestmark = pytest.mark.slow

BOB = "bob@corp.example"


def test_an_appeal_is_shown_claimed_and_decided_in_part(house: House) -> None:
    account = house.account(BOB)
    house.violate(account)
    env = {"FILTERD_TOKEN": house.person("dana")}
    house.run(
        *("sanction", "impose", BOB, "--rung", "restrict", "--feature", "links", "--hours", "48"),
        *("--clause", "4.3.1", "--reason", "complaint"),
        env=env,
    )
    said = house.run("appeal", "file", BOB, env=env)
    assert said.out.splitlines()[0] == "1 objection filed"
    (appeal,) = house.run("appeal", "list", "--json").json
    other = {"FILTERD_TOKEN": house.person("erin")}
    assert "assigned" in house.run("appeal", "claim", appeal["appeal_id"], env=other).out
    said = house.run("appeal", "add", appeal["appeal_id"], "--text", "we agreed on \x1b[31mthat", env=env)
    assert said.code == 0, said.err
    shown = house.run("appeal", "show", appeal["appeal_id"], env=other)
    assert "bob@corp.example is now restricted" in shown.out
    assert "we agreed on \\x1b[31mthat" in shown.out
    assert house.run("appeal", "show", appeal["appeal_id"], "--json", env=other).json["reviewer"] == "erin"
    decide = ("appeal", "decide", appeal["appeal_id"], "--reason", "half of it", "--outcome", "partially_granted")
    assert "say what becomes milder" in house.run(*decide, env=other).err
    assert house.run(*decide, "--lift", env=other).out.startswith("bob@corp.example is now warned")
    reopen = ("appeal", "reopen", appeal["appeal_id"], "--reason", "a contract turned up")
    assert house.run(*reopen, env=other).code == 0


def test_automation_is_stopped_and_goes_on(house: House) -> None:
    env = {"FILTERD_TOKEN": house.person("dana")}
    assert "why" in house.run("automation", "freeze", "--reason", " ", env=env).err
    said = house.run("automation", "freeze", "--hours", "2", "--reason", "odd verdicts", env=env)
    assert "automatic sanctions of the site are stopped until" in said.out
    account = house.account(BOB)
    house.violate(account)
    assert house.run("account", "show", BOB, "--json").json["sanctions"] == []
    assert "odd verdicts" in house.run("automation", "show").out
    assert house.run("automation", "thaw", env=env).out == "1 freeze ended\n"
    assert house.run("breaker", "list").out == "(none)\n"
    assert "no open breaker" in house.run("breaker", "reset", "g_1", "--reason", "x", env=env).err


def test_a_recall_is_previewed_proposed_and_approved_by_another(house: House) -> None:
    account = house.account(BOB)
    house.violate(account)
    house.clock.advance(3600)
    env = {"FILTERD_TOKEN": house.person("dana")}
    now = house.clock.now()
    since, until = (now - timedelta(days=1)).isoformat(), now.isoformat()
    wrong = ("--rule", "virus.signature.match", "--since", since, "--until", until)
    said = house.run("recall", "preview", *wrong, env=env)
    assert said.out.splitlines()[0] == "1 incident of 1 account to annul, 0 for a person to look at again"
    proposal = house.run("recall", "propose", *wrong, "--reason", "a false positive", "--json", env=env).json
    approve = ("proposal", "approve", proposal["proposal_id"], "--digest", proposal["digest"])
    erin = {"FILTERD_TOKEN": house.person("erin")}
    assert "another person" in house.run(*approve, env=env).err
    assert house.run(*approve, env=erin).code == 0
    assert house.run("account", "show", BOB, "--json").json["points"] == 0
