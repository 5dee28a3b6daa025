"""`filterd policy test`: the examples of agreements as a table, and an exit code that a pipeline understands."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from filterd.share import path
from tests.cli.rig import run

pytestmark = pytest.mark.slow

POLICIES = path("policies")
SHIPPED = POLICIES / "agreements" / "tencent-exmail.toml"
FIRST = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))["example"]


def test_every_example_of_every_agreement_is_run_and_comes_out() -> None:
    said = run("policy", "test", POLICIES, "--json")
    assert (said.code, said.err) == (0, "")
    files = sorted((POLICIES / "agreements").glob("*.toml"))
    wanted = [(str(f), x["name"]) for f in files for x in tomllib.loads(f.read_text(encoding="utf-8"))["example"]]
    assert [(one["file"], one["name"]) for one in said.json] == wanted
    assert all(one["is_right"] and one["expected"] == one["actual"] for one in said.json)


def test_the_table_says_name_expected_and_actual(tmp_path: Path) -> None:
    text = run("policy", "test", SHIPPED).out.splitlines()
    assert text[0].split() == ["RESULT", "AGREEMENT", "NAME", "EXPECTED", "ACTUAL"]
    assert len(text) == len(FIRST) + 2
    assert text[1].startswith("ok  ")
    assert text[-1] == f"{len(FIRST)} examples, 0 failed"


def test_what_does_not_come_out_is_shown_beside_what_does_and_exits_1(tmp_path: Path) -> None:
    """All of them, not only the first: a changed number moves several at once."""
    file = tmp_path / "changed.toml"
    text = SHIPPED.read_text(encoding="utf-8")
    assert text.count("S3 = 4 }") == 1
    file.write_text(text.replace("S3 = 4 }", "S3 = 5 }"), encoding="utf-8")
    said = run("policy", "test", tmp_path, "--json")
    assert said.code == 1
    failed = [one for one in said.json if not one["is_right"]]
    assert 1 < len(failed) < len(said.json)
    assert all("points" in one["expected"] and one["expected"] != one["actual"] for one in failed)
    text = run("policy", "test", file).out
    assert sum(line.startswith("FAILED") for line in text.splitlines()) == len(failed)
    assert text.splitlines()[-1] == f"{len(FIRST)} examples, {len(failed)} failed"


def test_a_file_that_cannot_be_read_is_named_and_the_others_are_run(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("id ==\n")
    (tmp_path / "b.toml").write_bytes(SHIPPED.read_bytes())
    said = run("policy", "test", tmp_path, "--json")
    assert said.code == 2
    assert said.err.startswith(f"filterd: {tmp_path / 'a.toml'}:1: ")
    assert {one["agreement"] for one in said.json} == {"tencent-exmail"}


def test_a_folder_without_agreements_is_an_error(tmp_path: Path) -> None:
    said = run("policy", "test", tmp_path)
    assert (said.code, "holds no agreement file" in said.err) == (2, True)
    assert run("policy", "test", tmp_path / "none.toml").code == 2
