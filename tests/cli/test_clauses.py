"""The clause registers as a command shows them, and what it says when an agreement no longer fits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from filterd.cli.clauses import clauses
from filterd.cli.entry import Entry
from filterd.share import path

pytestmark = pytest.mark.slow

# The command alone, under the outermost one that turns errors into lines and exit codes.
TOOL = typer.Typer(cls=Entry, pretty_exceptions_enable=False)
TOOL.command("clauses")(clauses)


@TOOL.callback()
def _alone() -> None:
    pass


def run(*arguments: object) -> Result:
    env = {"FILTERD_CONFIG": "", "COLUMNS": "120"}
    return CliRunner().invoke(TOOL, ["clauses", *(str(a) for a in arguments)], env=env)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A configuration with a folder of agreements of its own."""
    shutil.copytree(path("policies/agreements"), tmp_path / "agreements")
    config = tmp_path / "c.toml"
    config.write_text(f'[agreement]\ndirectory = "{tmp_path / "agreements"}"\n', encoding="utf-8")
    return config


def test_the_shipped_registers_are_shown_whole_and_fit() -> None:
    ran = run("--json")
    assert (ran.exit_code, ran.stderr) == (0, "")
    said = json.loads(ran.stdout)
    assert said["faults"] == []
    assert [one["agreement"] for one in said["registers"]] == ["aliyun-mail", "tencent-exmail"]
    tencent = {entry["id"]: entry for entry in said["registers"][1]["clauses"]}
    assert (tencent["3.3.2 tail-b"]["mode"], tencent["3.3.2 tail-b"]["categories"]) == (["A"], ["malware"])
    assert tencent["3.3.2 tail-b"]["tests"]
    assert "3.4.1" in said["registers"][1]["not_actionable"]


def test_one_register_is_shown_as_a_table() -> None:
    ran = run("aliyun-mail")
    head, columns, *rows = ran.stdout.splitlines()
    assert head.startswith("aliyun-mail: 19 clauses, 16 of them actionable, ")
    assert columns.split() == ["CLAUSE", "MODE", "DUTIES", "CATEGORIES", "TESTS", "PENDING"]
    assert [row.split()[0] for row in rows][:3] == ["1.1", "1.2", "1.3"]
    assert len(rows) == 19


def test_an_agreement_without_a_register_is_named() -> None:
    ran = run("house-aup")
    assert ran.exit_code == 1
    assert ran.stderr == "filterd: no register for 'house-aup'; there is one for aliyun-mail, tencent-exmail\n"


def test_what_an_operator_changed_is_said_and_exit_1(own: Path) -> None:
    file = own.parent / "agreements" / "tencent-exmail.toml"
    text = file.read_text(encoding="utf-8")
    assert 'ground = ["3.3.2 tail-g"]' in text
    file.write_text(text.replace('ground = ["3.3.2 tail-g"]', 'ground = ["3.5.7"]'), encoding="utf-8")
    ran = run("--config", own)
    assert ran.exit_code == 1
    assert "filterd: tencent-exmail, clause 3.3.2 tail-g: has categories privacy.pii; by" in ran.stderr
    assert "clause 3.5.7: is not of mode C2, and category 'privacy.pii' is" in ran.stderr


def test_an_operator_with_fewer_agreements_has_fewer_registers(own: Path) -> None:
    for name in ("aliyun-mail", "aliyun-supplement", "house-aup"):
        (own.parent / "agreements" / f"{name}.toml").unlink()
    ran = run("--config", own, "--json")
    assert ran.exit_code == 0, ran.stderr
    assert [one["agreement"] for one in json.loads(ran.stdout)["registers"]] == ["tencent-exmail"]
