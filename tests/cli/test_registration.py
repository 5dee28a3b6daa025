"""`filterd tenant registration`: a tenant that answers to a terminated one, against a real ledger.  TX-8.2.4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from filterd.model import records as r
from tests.cli.rig import House

pytestmark = pytest.mark.slow

TENANT = "corp.example"


def matched(house: House) -> None:
    """Have a match wait for a person."""
    account = house.account("bob@corp.example")

    def write(txn: Any) -> None:
        found = r.RegistrationMatched(
            at=txn.now,
            match_id="rm_1",
            tenant_id=account.tenant_id,
            file_ids=("f_1",),
            matched_tenant_ids=("n_old",),
            kinds=("contact", "payment"),
            clauses=("8.2.4",),
        )
        txn.append(found, account_id=None, tenant_id=account.tenant_id)

    house.engine.run(write)


def env(house: House, person: str) -> dict[str, str]:
    return {"FILTERD_TOKEN": house.person(person)}


def test_what_matched_is_shown_by_kind_and_dismissed_by_one_person(house: House) -> None:
    matched(house)
    dana = env(house, "dana")
    assert "contact payment" in house.run("tenant", "registration", "show", TENANT, env=dana).out
    (row,) = house.run("tenant", "registration", "list", "--json", env=dana).json
    assert row["matches"][0]["matched_tenant_ids"] == ["n_old"]
    said = house.run("tenant", "registration", "dismiss", TENANT, "--reason", "others", "--json", env=dana)
    assert (said.code, said.json["is_held"], said.json["matches"][0]["state"]) == (0, False, "dismissed")
    assert house.run("tenant", "registration", "list", "--json", env=dana).json == []


def test_confirming_is_proposed_by_one_and_approved_by_another(house: House) -> None:
    matched(house)
    said = house.run(
        "tenant", "registration", "confirm", TENANT, "--reason", "the same", "--json", env=env(house, "dana")
    )
    assert (said.code, said.json["act"]) == (0, "tenant.registration")
    number, digest = said.json["proposal_id"], said.json["digest"]
    said = house.run("proposal", "approve", number, "--digest", digest, env=env(house, "eva"))
    assert said.code == 0, said.err
    shown = house.run("tenant", "show", TENANT, "--json").json
    assert [(x["step"], x["clauses"]) for x in shown["steps"]] == [("suspend", ["8.2.4"])]


@pytest.mark.parametrize("command", ["show", "dismiss", "confirm"])
def test_it_takes_a_named_person(house: House, command: str) -> None:
    matched(house)
    more = () if command == "show" else ("--reason", "looked at it")
    said = house.run("tenant", "registration", command, TENANT, *more)
    assert (said.code, "named person" in said.err) == (1, True)


def test_a_list_brings_keys_and_keeps_none_in_clear(house: House, tmp_path: Path) -> None:
    file = tmp_path / "tenants.csv"
    file.write_text("name,domains,registration_keys\nBeta,beta.example,payment:77-31\n", encoding="utf-8")
    said = house.run("tenant", "import", str(file), env=env(house, "dana"))
    assert said.code == 0, said.err
    shown = house.run("tenant", "registration", "show", "Beta", "--json", env=env(house, "dana")).json
    assert (shown["kept_kinds"], shown["is_held"]) == (["payment"], False)
