"""`filterd clock`, `filterd service` and `filterd maintenance`, beside a running ledger."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.rig import House

pytestmark = pytest.mark.slow


def tenant(house: House, **columns: str) -> str:
    """Import one tenant; say the token of who did."""
    token = house.person("mei", "admin")
    row = {"name": "Cust", "domains": "cust.example", **columns}
    file = Path(house.state_dir) / "tenants.csv"
    file.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
    said = house.run("tenant", "import", file, "--token", token, "--json")
    assert said.code == 0, said.err
    return token


def last_day(house: House, days: int) -> str:
    return (house.clock.now() + timedelta(days=days)).date().isoformat()


def test_the_table_of_clocks_is_listed(house: House) -> None:
    said = house.run("clock", "list", "--json")
    assert said.code == 0, said.err
    assert {"renewal.due", "mx.ended", "complaint.overdue"} <= {row["name"] for row in said.json}
    assert "AL-2.2" in house.run("clock", "list").out


def test_what_would_strike_is_said_and_only_a_person_carries_it_out(house: House) -> None:
    token = tenant(house, expires_on=last_day(house, 3))
    later = (house.clock.now() + timedelta(days=5)).isoformat()
    dry = house.run("clock", "run", "--at", later, "--dry-run", "--json")
    assert dry.code == 0, dry.err
    assert [x["clock"] for x in dry.json["struck"]] == ["service.ended"]
    assert house.run("clock", "run").code != 0
    assert "ahead of its time" in house.run("clock", "run", "--at", later, "--token", token).err
    done = house.run("clock", "run", "--token", token, "--json")
    assert [x["clock"] for x in done.json["struck"]] == ["renewal.due"]
    assert "0 clocks struck" in house.run("clock", "run", "--token", token).out
    assert house.run("clock", "run", "--at", "tomorrow", "--dry-run").code != 0


def test_a_service_is_shown_ended_resumed_and_renewed(house: House) -> None:
    token = tenant(house)
    shown = house.run("service", "show", "cust.example", "--json").json
    assert (shown["state"], shown["expires_on"], shown["why_not_deleted"]) == ("active", None, "not_due")
    why = ("--because", "insolvency", "--reason", "the court said so")
    assert house.run("service", "end", "Cust", *why).code != 0
    assert house.run("service", "end", "Cust", *why, "--token", token).code == 0
    assert "ended" in house.run("service", "show", "Cust").out
    assert house.run("service", "resume", "Cust", "--reason", "paid", "--token", token).code == 0
    until = last_day(house, 300)
    renewed = house.run("service", "renew", "Cust", "--until", until, "--token", token, "--json")
    assert (renewed.json["state"], renewed.json["expires_on"]) == ("active", until)
    forever = house.run("service", "renew", "Cust", "--until", "never", "--token", token, "--json")
    assert forever.json["expires_on"] is None
    hosts = house.run("service", "mx", "Cust", "--host", "MX.here.example", "--token", token, "--json")
    assert hosts.json["hosts"] == ["mx.here.example"]


def test_a_window_is_announced_listed_and_ended(house: House) -> None:
    token = house.person("bo", "moderator")
    until = (house.clock.now() + timedelta(hours=2)).isoformat()
    said = house.run("maintenance", "announce", "--until", until, "--token", token, "--json")
    assert said.code == 0, said.err
    listed = house.run("maintenance", "list", "--json").json
    assert [(row["window_id"], row["is_open"]) for row in listed] == [(said.json["window_id"], True)]
    assert datetime.fromisoformat(listed[0]["until"]) == datetime.fromisoformat(until)
    assert house.run("maintenance", "end", said.json["window_id"], "--token", token).code == 0
    assert house.run("maintenance", "list").out.strip() == "(none)"
    assert house.run("maintenance", "announce", "--until", "2026-01-01", "--token", token).code != 0


def test_a_batch_of_data_is_erased_by_two_people(house: House) -> None:
    token = tenant(house, expires_on=last_day(house, 3))
    first, second = house.person("bo", "moderator"), house.person("cy", "moderator")
    tenant_id = house.run("service", "show", "Cust", "--json").json["subject_id"]
    batch = ("data.purge", "site", "--set", f"subjects={tenant_id}", "--reason", "over")
    assert "not_due" in house.run("proposal", "make", *batch, "--token", first).err
    for days in (40, 2):
        house.clock.advance(days=days)
        assert house.run("clock", "run", "--token", token).code == 0
    made = house.run("proposal", "make", *batch, "--token", first, "--json")
    assert made.code == 0, made.err
    approve = ("proposal", "approve", made.json["proposal_id"], "--digest", made.json["digest"])
    assert house.run(*approve, "--token", first).code != 0
    done = house.run(*approve, "--token", second, "--json")
    assert done.json["purged"] == [tenant_id]
    assert house.run("service", "show", tenant_id, "--json").json["state"] == "deleted"
