"""`filterd security`, against a real ledger: what people say and what they get to read."""

from __future__ import annotations

import pytest

from tests.cli.rig import House

pytestmark = pytest.mark.slow

BOB = "bob@corp.example"


@pytest.fixture
def env(house: House) -> dict[str, str]:
    house.account(BOB)
    return {"FILTERD_TOKEN": house.person("mo", "moderator")}


def test_a_person_locks_looks_and_unlocks(house: House, env: dict[str, str]) -> None:
    said = house.run("security", "hold", BOB, "--reason", "odd mail", "--json", env=env)
    assert (said.code, said.json["security"], said.json["locked"]) == (0, "hold", ["sending"])
    shown = house.run("security", "show", BOB)
    assert shown.out.startswith(f"{BOB}: hold: sending locked; good with 0 points\n")
    assert said.json["hold_id"] in shown.out
    released = house.run("security", "release", said.json["hold_id"], "--reason", "all is well", env=env)
    assert (released.code, released.out) == (0, f"{BOB}: clear; good with 0 points\n")


def test_a_stolen_account_is_attested(house: House, env: dict[str, str]) -> None:
    hold = ("security", "hold", BOB, "--indicator", "auth.failures", "--reason", "log of 02:10")
    assert house.run(*hold, env=env).code == 0
    assert "attestation 1 in the term; the tenant's administrator or a moderator may attest" in (
        house.run("security", "show", BOB).out
    )
    said = house.run("security", "attest", BOB, "--reason", "password reset", "--json", env=env)
    assert (said.code, said.json["security"], said.json["number"]) == (0, "watch", 1)
    again = house.run("security", "attest", BOB, "--reason", "password reset", env=env)
    assert (again.code, "nothing to attest" in again.err) == (1, True)


def test_the_old_command_still_releases(house: House, env: dict[str, str]) -> None:
    hold_id = house.run("security", "hold", BOB, "--reason", "odd", "--json", env=env).json["hold_id"]
    assert house.run("hold", "release", hold_id, "--reason", "fine", env=env).code == 0
    assert house.run("security", "show", BOB, "--json").json["security"] == "clear"


def test_a_watcher_reports_and_an_unknown_code_is_named(house: House, env: dict[str, str]) -> None:
    report = ("security", "report", "--account", BOB, "--indicator")
    said = house.run(*report, "auth.failures", "--json", env=env)
    assert (said.code, said.json["recorded"]) == (0, True)
    wrong = house.run(*report, "auth.typo", env=env)
    assert (wrong.code, "no indicator 'auth.typo'; it has auth.failures" in wrong.err) == (1, True)


def test_whose_doing_it_was_is_settled_by_the_case_id(house: House, env: dict[str, str]) -> None:
    _, decision = house.violate(house.account(BOB))
    assert decision.incident_id is not None
    settle = ("security", "settle", decision.incident_id[2:14], "--as")
    said = house.run(*settle, "malicious", "--reason", "same as last week", "--json", env=env)
    assert (said.code, said.json["provisional_points"]) == (0, 0)
    wrong = house.run(*settle, "evil", "--reason", "x", env=env)
    assert (wrong.code, "hypothesis is one of" in wrong.err) == (1, True)


@pytest.mark.parametrize(
    "command",
    [
        ("hold", BOB, "--reason", "x"),
        ("release", BOB, "--reason", "x"),
        ("attest", BOB, "--reason", "x"),
        ("report", "--account", BOB, "--indicator", "auth.failures"),
    ],
)
def test_an_act_needs_a_person(house: House, env: dict[str, str], command: tuple[str, ...]) -> None:
    house.run("security", "hold", BOB, "--indicator", "auth.failures", "--reason", "x", env=env)
    said = house.run("security", *command)
    assert (said.code, "named person" in said.err) == (1, True)
