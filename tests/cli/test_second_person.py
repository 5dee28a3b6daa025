"""`filterd person add|list|vouch`, and what the doctor says of who is there.  STANDING 5.5."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from filterd.cli.probes import state
from filterd.cli.probes.finding import Patient
from filterd.config import Config
from tests.cli.rig import House
from tests.kit.terms import tencent

pytestmark = pytest.mark.slow


def added(house: House, name: str, role: str, token: str) -> dict[str, Any]:
    said = house.run("person", "add", name, "--role", role, "--json", env={"FILTERD_TOKEN": token})
    assert said.code == 0, said.err
    found: dict[str, Any] = said.json
    return found


def examined(house: House) -> list[str]:
    config = Config.model_validate({"node": {"state_dir": str(house.state_dir)}})
    patient = Patient(config=config, file=None, agreements={"tencent-exmail": tencent()})

    async def ask() -> list[str]:
        return [f"{x.status.value}: {x.what} -> {x.fix}" async for x in state.ledger(patient)]

    return asyncio.run(ask())


def test_who_was_added_by_one_person_waits_is_shown_and_is_vouched_for(house: House) -> None:
    first = house.run("person", "add", "mal", "--role", "admin", "--json")
    token = first.json["token"]
    one = {"FILTERD_TOKEN": added(house, "one", "moderator", token)["token"]}
    house.clock.advance(days=2)
    said = house.run("person", "add", "two", "--role", "moderator", env={"FILTERD_TOKEN": token})
    assert "counts as the second of two not until one who decides has vouched" in said.out
    listed = house.run("person", "list").out.splitlines()
    assert [line.split()[-1] for line in listed if line.startswith("two")] == ["vouched"]
    assert any(
        "two, added by mal, is nobody's second person yet -> filterd person vouch two" in x for x in examined(house)
    )
    alone = house.run("person", "vouch", "two", "--reason", "I did", env={"FILTERD_TOKEN": token})
    assert alone.code == 1
    said = house.run("person", "vouch", "two", "--reason", "met", env=one)
    assert (said.code, said.out) == (0, "one vouches for two\n")
    assert not [x for x in examined(house) if "second person" in x]


def test_the_doctor_says_which_promises_so_few_people_cannot_keep(house: House) -> None:
    house.person("ana")
    assert any(x.startswith("warning: solo staffing: lists of locked categories") for x in examined(house))
    house.person("bo")
    assert [x for x in examined(house) if "pair staffing: an appeal against a termination" in x]
    house.person("cy")
    assert not [x for x in examined(house) if "staffing" in x]


def test_an_account_s_service_stands_beside_its_standing(house: House) -> None:
    house.account("bob@corp.example")
    mo = {"FILTERD_TOKEN": house.person("mo")}
    assert "service " not in house.run("account", "show", "bob@corp.example").out
    wanted = ("service", "end", "corp.example", "--because", "insolvency", "--reason", "gone")
    said = house.run(*wanted, env=mo)
    assert said.code == 0, said.err
    shown = house.run("account", "show", "bob@corp.example").out
    (line,) = [x for x in shown.splitlines() if x.startswith("service ")]
    assert "because of insolvency" in line
