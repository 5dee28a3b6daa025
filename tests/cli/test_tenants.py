"""`filterd tenant`: what counts against an enterprise, and what people do about it, against a real ledger."""

from __future__ import annotations

import pytest

from tests.cli.rig import House

pytestmark = pytest.mark.slow

TENANT = "corp.example"


def env(house: House, person: str) -> dict[str, str]:
    return {"FILTERD_TOKEN": house.person(person)}


def test_show_says_the_score_and_what_it_is_made_of(house: House) -> None:
    house.violate(house.account("bob@corp.example"))
    shown = house.run("tenant", "show", TENANT, "--json").json
    assert shown["score"]["points"] == 2.0
    assert [(x["points"], x["provisional"]) for x in shown["charges"]] == [(4.0, True)]
    text = house.run("tenant", "show", TENANT).out
    assert "score:" in text
    assert shown["charges"][0]["incident_id"] in text
    assert "bob" not in text.replace("corp.example", "")


def test_a_lock_takes_one_person_and_staying_locked_two(house: House) -> None:
    house.account("bob@corp.example")
    dana, eva = env(house, "dana"), env(house, "eva")
    said = house.run("tenant", "lock", TENANT, "--reason", "outbreak", "--json", env=dana)
    assert (said.code, said.json["features_off"]) == (0, ["sending"])
    said = house.run("tenant", "confirm", TENANT, env=dana)
    assert (said.code, "another person confirms" in said.err) == (1, True)
    assert house.run("tenant", "confirm", TENANT, "--hours", "12", env=eva).code == 0
    (lock,) = house.run("tenant", "show", TENANT, "--json").json["locks"]
    assert (lock["by"], lock["confirmed_by"], lock["reason"]) == ("dana", "eva", "outbreak")
    assert "locks:" in house.run("tenant", "show", TENANT).out
    said = house.run("tenant", "unlock", TENANT, "--reason", "over", "--json", env=dana)
    assert (said.code, said.json["locks"]) == (0, [])


@pytest.mark.parametrize("command", [("lock",), ("unlock",), ("quota",), ("lift-step", "ts_1")])
def test_acting_on_a_tenant_needs_a_person(house: House, command: tuple[str, ...]) -> None:
    house.account("bob@corp.example")
    said = house.run("tenant", command[0], TENANT, *command[1:], "--reason", "looked at it")
    assert (said.code, "named person" in said.err) == (1, True)


def test_a_quota_answers_a_proposal_and_nothing_else(house: House) -> None:
    house.account("bob@corp.example")
    said = house.run("tenant", "quota", TENANT, "--reason", "too much", env=env(house, "dana"))
    assert (said.code, "nothing was proposed" in said.err) == (1, True)
    said = house.run("tenant", "lift-step", TENANT, "ts_1", "--reason", "enough", env=env(house, "eva"))
    assert (said.code, "no step ts_1 in force" in said.err) == (1, True)
