"""What people do to standing, through the command line, against a real ledger."""

from __future__ import annotations

import pytest

from filterd.model.records import HoldPlaced
from filterd.model.sanction import Feature
from tests.cli.rig import House

pytestmark = pytest.mark.slow


def sanctioned(house: House) -> tuple[str, str]:
    """An account with a warning; says its sanction and its case id."""
    _, decision = house.violate(house.account("bob@corp.example"))
    (sanction,) = house.run("account", "show", "bob@corp.example", "--json").json["sanctions"]
    assert decision.incident_id is not None
    return sanction["sanction_id"], decision.incident_id[2:14]


@pytest.mark.parametrize("verb", ["confirm", "lift", "annul"])
def test_a_sanction_needs_a_person_and_a_reason(house: House, verb: str) -> None:
    sanction, _ = sanctioned(house)
    said = house.run("sanction", verb, sanction, "--reason", "looked at it")
    assert (said.code, "named person" in said.err) == (1, True)
    said = house.run("sanction", verb, sanction, "--reason", " ", "--token", house.person("dana"))
    assert (said.code, said.err) == (1, "filterd: say why: --reason\n")


@pytest.mark.parametrize(
    ("verb", "standing", "kind"),
    [
        ("confirm", "warned", "sanction.confirmed"),
        ("lift", "warned", "sanction.lifted"),
        ("annul", "good", "strike.annulled"),
    ],
)
def test_a_person_acts_on_a_sanction_by_its_case_id(house: House, verb: str, standing: str, kind: str) -> None:
    _, case = sanctioned(house)
    env = {"FILTERD_TOKEN": house.person("dana")}
    said = house.run("sanction", verb, case, "--reason", "looked at it", "--json", env=env)
    assert (said.code, said.json["standing"], said.json["login"]) == (0, standing, "bob@corp.example")
    record = next(r for r in house.run("account", "history", "bob@corp.example", "--json").json if r["kind"] == kind)
    assert (record["by"], record["reason"]) == ("dana", "looked at it")


def test_a_person_switches_features_off_and_the_account_is_told(house: House) -> None:
    house.account("bob@corp.example")
    env = {"FILTERD_TOKEN": house.person("dana")}
    impose = ("sanction", "impose", "bob@corp.example", "--hours", "24", "--reason", "complaint of the 3rd")
    said = house.run(*impose, "--feature", "links", "--clause", "4.3.1")
    assert (said.code, "named person" in said.err) == (1, True)
    features = ("--feature", "links", "--feature", "recipient:someone@x.example")
    said = house.run(*impose, *features, "--clause", "9.9", env=env)
    assert (said.code, "no clause '9.9'" in said.err) == (1, True)
    said = house.run(*impose, *features, "--clause", "4.3.1", env=env)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("bob@corp.example is now restricted until ")
    shown = house.run("account", "show", "bob@corp.example", "--json")
    first, second = shown.json["features_off"]
    assert first == "links"
    assert second.startswith("recipient:")
    assert "someone" not in shown.out
    kinds = {r["kind"]: r for r in house.run("account", "history", "bob@corp.example", "--json").json}
    assert (kinds["sanction.imposed"]["by"], kinds["sanction.imposed"]["clauses"]) == ("dana", ["4.3.1"])
    assert kinds["sanction.confirmed"]["reason"] == "complaint of the 3rd"
    house.run("appeal", "file", "bob@corp.example", env=env)
    (appeal,) = house.run("appeal", "list", "--json").json
    grant = ("appeal", "decide", appeal["appeal_id"], "--outcome", "granted", "--reason", "right")
    assert "another person" in house.run(*grant, env=env).err
    said = house.run(*grant, "--token", house.person("erin"))
    assert said.out == "bob@corp.example is now good with 0 points\n"


def test_the_standing_afterwards_is_said(house: House) -> None:
    sanction, _ = sanctioned(house)
    said = house.run("sanction", "annul", sanction, "--reason", "our error", "--token", house.person("dana"))
    assert said.out == "bob@corp.example is now good with 0 points\n"


def test_an_appeal_is_filed_listed_and_decided(house: House) -> None:
    sanction, _ = sanctioned(house)
    env = {"FILTERD_TOKEN": house.person("dana")}
    said = house.run("appeal", "file", "bob@corp.example", env=env)
    assert said.out.splitlines()[0] == "1 objection filed"
    said = house.run("appeal", "file", sanction, env=env)
    assert (said.code, "already" in said.err) == (1, True)
    (appeal,) = house.run("appeal", "list", "--json").json
    assert (appeal["sanction_id"], appeal["channel"], appeal["outcome"]) == (sanction, "cli", None)
    assert appeal["appeal_id"] in house.run("appeal", "list").out
    decide = ("appeal", "decide", appeal["appeal_id"], "--reason", "the list was solicited")
    said = house.run(*decide, "--outcome", "perhaps", env=env)
    assert (said.code, "granted" in said.err) == (1, True)
    said = house.run(*decide, "--outcome", "granted", env=env)
    assert (said.code, said.out) == (0, "bob@corp.example is now good with 0 points\n")
    assert house.run("appeal", "list").out == "(none)\n"
    assert [a["outcome"] for a in house.run("appeal", "list", "--all", "--json").json] == ["granted"]


def test_who_confirmed_cannot_decide_the_appeal(house: House) -> None:
    sanction, _ = sanctioned(house)
    env = {"FILTERD_TOKEN": house.person("dana")}
    house.run("sanction", "confirm", sanction, "--reason", "right", env=env)
    house.run("appeal", "file", sanction, env=env)
    (appeal,) = house.run("appeal", "list", "--json").json
    said = house.run("appeal", "decide", appeal["appeal_id"], "--outcome", "denied", "--reason", "no", env=env)
    assert (said.code, "another person" in said.err) == (1, True)


def test_tasks_are_listed_until_somebody_acted(house: House) -> None:
    sanction, _ = sanctioned(house)
    (task,) = house.run("task", "list", "--json").json
    assert (task["login"], task["overdue"]) == ("bob@corp.example", False)
    house.clock.advance(days=2)
    assert "OVERDUE" in house.run("task", "list").out
    house.run("sanction", "annul", sanction, "--reason", "our error", "--token", house.person("dana"))
    assert house.run("task", "list", "--json").json == []


def test_a_hold_is_released_by_a_person(house: House) -> None:
    bob = house.account("bob@corp.example")
    house.engine.run(
        lambda txn: txn.append(
            HoldPlaced(
                at=txn.now,
                hold_id="h_1",
                incident_id="i_" + "0" * 40,
                account_id=bob.account_id,
                features=(Feature(name="sending"),),
                starts_at=txn.now,
                ends_at=None,
            ),
            account_id=bob.account_id,
            tenant_id=bob.tenant_id,
        )
    )
    (hold,) = house.run("account", "show", bob.account_id, "--json").json["holds"]
    assert hold["hold_id"] in house.run("account", "show", bob.account_id).out
    release = ("hold", "release", hold["hold_id"], "--reason", "password changed")
    assert house.run(*release).code == 1
    assert house.run(*release, "--token", house.person("dana")).code == 0
    assert house.run("account", "show", bob.account_id, "--json").json["holds"] == []


def test_an_unknown_id_is_refused(house: House) -> None:
    said = house.run("sanction", "lift", "s_none", "--reason", "x", "--token", house.person("dana"))
    assert (said.code, said.err) == (1, "filterd: no sanction or case s_none\n")
