"""`filterd terms`, and what doctor and `policy check` say of what takes two people."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.load import load
from filterd.checks import ALL_CODES
from filterd.cli.probes import house as house_probes
from filterd.cli.probes.finding import Patient
from filterd.clients.adopted_lists import FOLDER, TermCopies
from filterd.clients.term_lists import read_list
from filterd.config import Config
from filterd.model import records as r
from tests.cli.rig import House, run
from tests.cli.test_people_acts import staffed
from tests.cli.test_policy import raised
from tests.clients.test_term_lists import GOOD
from tests.kit.clock import NOON

pytestmark = pytest.mark.slow


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "kites.toml").write_text(GOOD, encoding="utf-8")
    return folder


def config_of(house: House, folder: Path, lists: Path | None = None) -> Path:
    file = folder / "filterd.toml"
    terms = f'\n[terms]\nfolder = "{lists}"\n' if lists is not None else ""
    file.write_text(f'[node]\nstate_dir = "{house.state_dir}"\n{terms}', encoding="utf-8")
    return file


def states(house: House, file: Path) -> list[str]:
    said = house.run("terms", "list", "--config", file, "--json")
    assert said.code == 0, said.err
    return [row["state"] for row in said.json]


def approve(house: House, people: dict[str, dict[str, str]], list_file: Path) -> None:
    said = house.run("terms", "propose", list_file, "--reason", "looked at", "--json", env=people["dana"])
    assert said.code == 0, said.err
    made = said.json
    assert f"filterd proposal approve {made['proposal_id']}" in said.err
    digest = ("--digest", made["digest"][:12])
    alone = house.run("proposal", "approve", made["proposal_id"], *digest, env=people["dana"])
    assert (alone.code, "another person approves" in alone.err) == (1, True)
    both = house.run("proposal", "approve", made["proposal_id"], *digest, env=people["erin"])
    assert both.code == 0, both.err


def examined(file: Path, *texts: Any) -> list[tuple[str, str, str | None]]:
    from filterd.cli.places import load_config

    patient = Patient(config=load_config(file), file=file, agreements={x.id: x for x in texts})

    async def ask() -> list[tuple[str, str, str | None]]:
        return [(x.status.value, x.what, x.fix) async for x in house_probes.two_people(patient)]

    return asyncio.run(ask())


def test_a_list_is_off_until_two_people_have_approved_it(house: House, tmp_path: Path, lists: Path) -> None:
    people, file = staffed(house), config_of(house, tmp_path, lists)
    assert states(house, file) == ["off"]
    ((status, what, fix),) = examined(file)
    assert (status, "the list is off" in what) == ("warning", True)
    assert fix is not None
    assert f"filterd terms propose {lists / 'kites.toml'}" in fix
    approve(house, people, lists / "kites.toml")
    assert states(house, file) == ["in_force"]
    assert [x[0] for x in examined(file)] == ["ok"]


def test_an_edited_list_is_held_back_while_its_copy_is_there(house: House, tmp_path: Path, lists: Path) -> None:
    people, file = staffed(house), config_of(house, tmp_path, lists)
    approve(house, people, lists / "kites.toml")
    copies = TermCopies(house.state_dir / FOLDER, read_list)
    copies.keep(read_list(lists / "kites.toml", NOON))
    (lists / "kites.toml").write_text(GOOD.replace("teapot", "kettle"), encoding="utf-8")
    assert states(house, file) == ["held_back"]
    assert "acts in its place" in examined(file)[0][1]
    (copy,) = (house.state_dir / FOLDER).glob("*.toml")
    copy.unlink()
    assert states(house, file) == ["off"]


def test_policy_check_warns_of_lists_and_needs_no_ledger(house: House, tmp_path: Path, lists: Path) -> None:
    file = config_of(house, tmp_path, lists)
    said = run("policy", "check", raised(tmp_path), "--config", file)
    assert said.code == 0
    assert "WARNING: term list kites: two people have not approved" in said.err
    house.close()
    assert [row["state"] for row in run("terms", "list", "--config", file, "--json").json] == ["unknown"]
    said = run("policy", "check", raised(tmp_path), "--config", file)
    assert (said.code, said.err) == (0, "")
    assert "is raised; that takes two people and a rehearsal, and nobody can be asked" in said.out


def test_a_raised_category_is_said_until_two_people_stand_behind_this_text(house: House, tmp_path: Path) -> None:
    file, text = config_of(house, tmp_path), raised(tmp_path)
    terms = load(text.read_bytes(), str(text), ALL_CODES)
    said = run("policy", "check", text, "--config", file)
    assert "until then it acts as not raised" in said.out
    ((status, what, fix),) = examined(file, terms)
    assert (status, "abuse.insult" in what) == ("warning", True)
    assert fix is not None
    assert "filterd proposal make category.raise" in fix
    row = r.CategoryRaised(
        at=house.clock.now(),
        entry_id="g_1",
        agreement=terms.id,
        policy_digest=terms.digest,
        category="abuse.insult",
        by="dana",
        approver="erin",
    )
    house.engine.run(lambda txn: txn.append(row, account_id=None, tenant_id=None))
    assert [x[0] for x in examined(file, terms)] == ["ok"]
    assert "is raised" not in run("policy", "check", text, "--config", file).out


def test_without_lists_there_is_nothing_to_approve(tmp_path: Path) -> None:
    file = tmp_path / "filterd.toml"
    file.write_text(f'[node]\nstate_dir = "{tmp_path}"\n', encoding="utf-8")
    assert [x[0] for x in examined(file)] == ["ok"]
    assert run("terms", "list", "--config", file, "--json").json == []


def test_a_faulty_list_is_not_proposed(house: House, lists: Path) -> None:
    (lists / "kites.toml").write_text(GOOD.replace('"gambling"', '"political"'), encoding="utf-8")
    people = staffed(house)
    said = house.run("terms", "propose", lists / "kites.toml", "--reason", "x", env=people["dana"])
    assert (said.code, "terms.locked_folder" in said.err) == (2, True)
    assert Config().terms.folder is None
