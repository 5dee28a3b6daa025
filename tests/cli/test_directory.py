"""Accounts, tenants and people through the command line, against a real ledger."""

from __future__ import annotations

import json
import sqlite3
import tomllib
from pathlib import Path
from unittest.mock import ANY

import pytest

from filterd.config import Config
from filterd.model.directory import FACTS
from tests.cli.rig import House, run

pytestmark = pytest.mark.slow


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_accounts_are_listed_shown_and_told_their_history(house: House) -> None:
    house.account("ann@corp.example")
    bob = house.account("bob@corp.example")
    _, decision = house.violate(bob)
    rows = house.run("account", "list", "--json").json
    assert [(r["login"], r["standing"]) for r in rows] == [("ann@corp.example", "good"), ("bob@corp.example", "warned")]
    assert set(rows[0]) >= {"account_id", "tenant_id", "login", "standing", "until", "points", "provisional_points"}
    assert [r["login"] for r in house.run("account", "list", "--sanctioned", "--json").json] == ["bob@corp.example"]
    lines = house.run("account", "list").out.splitlines()
    assert lines[0].split() == ["LOGIN", "STANDING", "UNTIL", "POINTS", "PROVISIONAL", "ID"]
    assert lines[2].split()[:4] == ["bob@corp.example", "warned", "-", "4"]
    for name in ("bob@corp.example", bob.account_id):
        shown = house.run("account", "show", name, "--json").json
        assert (shown["account_id"], shown["sanctions"][0]["rung"]) == (bob.account_id, "warn")
    text = house.run("account", "show", bob.account_id).out
    assert "standing  warned" in text
    assert decision.incident_id is not None
    assert decision.incident_id in text
    kinds = [r["kind"] for r in house.run("account", "history", "bob@corp.example", "--json").json]
    assert kinds[:4] == ["account.opened", "incident.opened", "violation.recorded", "strike.issued"]
    lines = house.run("account", "history", "bob@corp.example").out.splitlines()
    assert len(lines) == len(kinds)
    assert lines[3].startswith("2026-11-02 12:00:00Z  strike.issued")
    assert "a_points=4" in lines[3]


def test_tenants_and_accounts_come_in_by_list(house: House, tmp_path: Path) -> None:
    token = house.person("dana", "admin")
    env = {"FILTERD_TOKEN": token}
    tenants = write(tmp_path, "t.csv", "name,domains,seats,language\nAcme 公司,acme.example;acme.test,12,zh-Hans\n")
    said = house.run("tenant", "import", tenants, "--dry-run", env=env)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "create Acme 公司: agreement: tencent-exmail; domains: acme.example acme.test; language: zh-Hans; seats: 12",
        "1 tenant would be created, 0 would be changed, 0 unchanged",
    ]
    assert house.run("tenant", "list", "--json").json == []
    assert house.run("tenant", "import", tenants, env=env).out.splitlines()[-1].startswith("1 tenant created")
    assert house.run("tenant", "import", tenants, "--json", env=env).json["unchanged"] == 1
    accounts = write(
        tmp_path, "a.jsonl", '{"login": "ann@acme.example", "contact": "ann@home.example"}\n{"login": "bo@acme.test"}\n'
    )
    said = house.run("account", "import", accounts, "--json", "--token", token)
    assert (said.json["created"], said.json["dry_run"]) == (2, False)
    (row,) = house.run("tenant", "list", "--json").json
    assert (row["name"], row["accounts"], row["seats"]) == ("Acme 公司", 2, 12)
    table = house.run("tenant", "list").out.splitlines()
    assert table[1].startswith("Acme 公司  tencent-exmail  acme.example acme.test  2")
    shown = house.run("tenant", "show", "ACME.test").out.splitlines()
    assert "domains:            acme.example acme.test (declared)" in shown
    assert "terms in force:     tencent-exmail" in shown
    assert house.run("tenant", "show", "Acme 公司", "--json").json["tenant_id"] == row["tenant_id"]
    said = house.run("tenant", "show", "nobody.example")
    assert (said.code != 0, "nobody.example" in said.err) == (True, True)


def test_a_list_names_the_cell_of_a_supplement_that_is_wrong(house: House, tmp_path: Path) -> None:
    env = {"FILTERD_TOKEN": house.person("dana", "admin")}
    head = "name,supplement,supplement_document,supplement_signed_by_provider\n"
    file = write(tmp_path, "t.csv", head + "Acme,aliyun-supplement,C-17,2026-02-01\n")
    said = house.run("tenant", "import", file, env=env)
    assert said.code != 0
    assert f"{file}:2" in said.err
    assert "supplement" in said.err
    assert "'tencent-exmail' has none" in said.err


def test_every_wrong_row_is_a_line_and_nothing_is_taken(house: House, tmp_path: Path) -> None:
    env = {"FILTERD_TOKEN": house.person("dana", "admin")}
    file = write(tmp_path, "t.csv", "name,domains,seats\nA,a.example,1\n\nB,a.example,x\nC,c..example,2\n")
    said = house.run("tenant", "import", file, env=env)
    assert (said.code, said.out) == (2, "")
    assert [line.rsplit(": ", 1)[0] for line in said.err.splitlines()] == [
        f"filterd: {file}:4: seats",
        f"filterd: {file}:5: domains: 'c..example'",
    ]
    assert house.run("tenant", "list", "--json").json == []
    said = house.run("account", "import", write(tmp_path, "a.csv", "login,nome\nx,y\n"), env=env)
    assert (said.code, said.err.startswith(f"filterd: {tmp_path}/a.csv:1: nome: unknown column")) == (2, True)


def test_a_list_comes_from_standard_input_too(house: House) -> None:
    env = {"FILTERD_TOKEN": house.person("dana", "admin")}
    assert house.run("tenant", "import", "-", "--json", stdin=b"name\nA\n", env=env).json["created"] == 1
    said = house.run("tenant", "import", "-", stdin=b"name,seats\nA,0\n", env=env)
    assert said.err.startswith("filterd: standard input:2: seats: ")


def test_a_list_needs_a_person(house: House, tmp_path: Path) -> None:
    said = house.run("tenant", "import", write(tmp_path, "t.csv", "name\nA\n"))
    assert (said.code, said.out) == (1, "")
    assert "named person" in said.err


def test_the_first_person_is_free_and_the_token_is_said_once(house: House) -> None:
    said = house.run("person", "add", "dana", "--role", "admin")
    assert said.code == 0
    token = next(line.removeprefix("token: ") for line in said.out.splitlines() if line.startswith("token: "))
    assert token.startswith("ft_")
    assert token not in house.run("person", "list", "--json").out
    said = house.run("person", "add", "bob", "--role", "moderator")
    assert (said.code, "named person" in said.err) == (1, True)
    assert house.run("person", "add", "bob", "--role", "moderator", "--token", token).code == 0
    assert house.run("person", "list", "--json").json == [
        # Whoever an administrator adds is nobody's second person for a day.
        {"name": "bob", "role": "moderator", "added_by": "dana", "waits_until": ANY},
        {"name": "dana", "role": "admin"},
    ]
    assert house.run("person", "list").out.splitlines()[1].split()[:2] == ["bob", "moderator"]


def test_adding_as_root_is_loud_and_on_record(house: House) -> None:
    house.person("dana", "admin")
    said = house.run("person", "add", "eve", "--role", "admin", "--as-root", "--json")
    assert (said.code, said.json["by"]) == (0, "root")
    assert said.err.startswith("filterd: WARNING: adding a person as root")
    (entry,) = house.run("log", "tail", "-n", "1", "--json").objects
    assert (entry["kind"], entry["body"]["by"]) == ("person.added", "root")


def test_an_unknown_role_is_refused(house: House) -> None:
    said = house.run("person", "add", "eve", "--role", "emperor")
    assert (said.code, "role is one of" in said.err) == (1, True)


def test_the_token_can_lie_in_a_file_of_its_owner(house: House, tmp_path: Path) -> None:
    file = tmp_path / "filterd" / "token"
    file.parent.mkdir()
    file.write_text(house.person("dana", "admin") + "\n")
    file.chmod(0o600)
    env = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert house.run("person", "add", "bob", "--role", "viewer", env=env).code == 0
    file.chmod(0o644)
    said = house.run("person", "add", "bob", "--role", "viewer", env=env)
    assert (said.code, said.err) == (2, f"filterd: {file}: others can read this token; chmod 0600\n")


def test_json_holds_what_was_printed_about_a_change(house: House, tmp_path: Path) -> None:
    env = {"FILTERD_TOKEN": house.person("dana", "admin")}
    house.account("ann@corp.example")
    file = write(tmp_path, "t.jsonl", json.dumps({"name": "Corp", "domains": ["corp.example"]}))
    (change,) = house.run("tenant", "import", file, "--json", env=env).json["changes"]
    assert change == {
        "line": 1,
        "what": "change",
        "name": "Corp",
        "fields": {
            "name": {"from": "corp.example", "to": "Corp"},
            "domains_declared": {"from": False, "to": True},
        },
    }


def test_a_rename_and_a_new_holder_are_told_and_shown(house: House, tmp_path: Path) -> None:
    env = {"FILTERD_TOKEN": house.person("dana", "admin")}
    tenants = "name,domains,plan,expires_on,dealer\nAcme,acme.example,gold,2028-01-01,Huaxin\n"
    house.run("tenant", "import", write(tmp_path, "t.csv", tenants), env=env)
    head = "login,external_id,aliases,expires_on,send_as\n"
    row = "ann@acme.example,7,a@acme.example boss@acme.example,2027-05-01,sales@acme.example\n"
    first = write(tmp_path, "a.csv", head + row)
    house.run("account", "import", first, env=env)
    shown = house.run("account", "show", "boss@acme.example").out.splitlines()
    assert shown[0].startswith("ann@acme.example  a_")
    assert shown[1:6] == [
        "tenant    Acme (plan gold, expires 2028-01-01)",
        "aliases   a@acme.example boss@acme.example",
        "send as   sales@acme.example",
        "external  7",
        "expires   2027-05-01",
    ]
    tenant = house.run("tenant", "show", "Acme").out.splitlines()
    assert {"plan:               gold", "expires:            2028-01-01"} <= set(tenant)
    said = house.run("account", "import", write(tmp_path, "b.csv", head + "ann@acme.example,8,,,\n"), env=env)
    assert said.out.splitlines()[0] == "retire ann@acme.example"
    assert said.out.splitlines()[-1] == "1 account created, 0 changed, 1 retired, 0 unchanged"
    table = house.run("account", "list").out
    assert table.count("ann@acme.example") == 2
    assert table.count("ann@acme.example (retired)") == 1


def test_what_the_sources_say_of_a_login_is_shown(tmp_path: Path) -> None:
    database = tmp_path / "people.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE people (id INTEGER, login TEXT, ends TEXT, seats TEXT)")
        connection.execute("INSERT INTO people VALUES (7, 'ann@acme.example', '2027-05-01', 'many')")
    columns = "id AS external_id, login, ends AS expires_on, seats, NULL AS contact"
    query = f"SELECT {columns} FROM people WHERE login = :login"
    config = write(
        tmp_path, "f.toml", f"[directory.sql]\nenabled = true\nurl = 'sqlite:///{database}'\nquery = \"{query}\"\n"
    )
    said = run("directory", "test", "Ann@acme.example", "--config", config)
    assert (said.code, said.out.splitlines()) == (
        0,
        [
            "sql:",
            "  external_id:        7",
            "  login:              ann@acme.example",
            "  contact:            -",
            "  expires_on:         2027-05-01",
            "  seats:              (cannot be read; what is known stays)",
        ],
    )
    answers = run("directory", "test", "ann@acme.example", "--config", config, "--json").json["answers"]
    assert answers[0]["facts"]["external_id"] == "7"
    said = run("directory", "test", "bea@acme.example", "--config", config)
    assert (said.code, said.out) == (1, "sql: there is no such login\n")
    database.unlink()
    said = run("directory", "test", "ann@acme.example", "--config", config)
    assert (said.code, "SQLITE_CANTOPEN" in said.out) == (1, True)
    said = run("directory", "test", "ann@acme.example")
    assert (said.code, "no source is switched on" in said.err) == (2, True)


def test_the_examples_of_the_guide_are_read() -> None:
    guide = (Path(__file__).resolve().parents[2] / "ops/docs/DIRECTORY.md").read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in guide.split("```toml\n")[1:]]
    assert len(blocks) == 2
    for block in blocks:
        Config.model_validate(tomllib.loads(block))
    rows = {word for line in guide.splitlines() if line.startswith("| `") for word in line.split("|")[1].split("`")}
    assert set(FACTS) <= rows
