"""Agreement files checked as start-up would, and the ones in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from filterd.share import path
from tests.cli.rig import run

SHIPPED = path("policies/agreements/tencent-exmail.toml")
KEYS = {
    "file",
    "id",
    "version",
    "effective_from",
    "digest",
    "enforcing_party",
    "languages",
    "categories",
    "crosswalk",
    "rung_reach",
    "ladder",
    "advisory",
    "examples_passed",
    "unmapped",
    "warnings",
}


def changed(folder: Path, old: str, new: str) -> Path:
    text = SHIPPED.read_text(encoding="utf-8")
    assert old in text
    file = folder / "changed.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return file


def test_the_shipped_agreement_is_right_and_says_so() -> None:
    said = run("policy", "check", SHIPPED, "--json")
    assert (said.code, said.err) == (0, "")
    (facts,) = said.json
    assert set(facts) == KEYS
    assert (facts["id"], len(facts["digest"]), facts["unmapped"]) == ("tencent-exmail", 64, [])
    assert facts["examples_passed"]
    malware = next(c for c in facts["categories"] if c["id"] == "malware")
    assert (malware["mode"], malware["disposition"], malware["findings"]) == ("A", "reject", ["virus.signature.match"])
    assert "3.3.2" in malware["clauses"]
    assert (malware["severity"], malware["arf"], malware["xarf"]) == ("S3", "virus", "content/malware")
    row = next(row for row in facts["crosswalk"] if row["finding"] == "content.gambling.model")
    assert (row["label"], row["category"], row["mode"]) == ("gambling", "illegal.gambling", "B bulk, else C2")
    reach = {(one["category"], one["preset"]): one["reaches"] for one in facts["rung_reach"]}
    assert reach["malware", "supervised"] == "suspend 168 h"
    assert reach["abuse.insult", "standing_order"] == "nothing"
    assert facts["warnings"] == []
    text = run("policy", "check", SHIPPED).out
    assert "  malware                  suspend 72 h  suspend 168 h  suspend open-ended" in text.splitlines()
    assert any(line.startswith("  nothing: ") and " pol.honour " in line for line in text.splitlines())
    assert f"digest      {facts['digest']}" in text
    assert f"{len(facts['examples_passed'])} examples passed" in text


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("probation_days = 30", "probation_dais = 30", "probation_dais", "unknown key"),
        (
            'finding = "virus.signature.match"',
            'finding = "virus.signature.mach"',
            "rule.",
            "no check gives the finding",
        ),
        ("at = 0.5", "at = 99", "", "ladder"),
        ("id = ", "id == ", "", "Invalid"),
    ],
)
def test_an_error_names_file_line_and_key(tmp_path: Path, old: str, new: str, key: str, words: str) -> None:
    file = changed(tmp_path, old, new)
    said = run("policy", "check", file)
    assert (said.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert line.startswith(f"filterd: {file}:")
    assert key in line
    assert words in line


def test_an_example_that_does_not_come_out_refuses_the_file(tmp_path: Path) -> None:
    said = run("policy", "check", changed(tmp_path, "S3 = 4 }", "S3 = 5 }"))
    assert (said.code, "does not come out" in said.err) == (2, True)


def test_every_file_is_looked_at_and_every_error_said(tmp_path: Path) -> None:
    bad = changed(tmp_path, "probation_days = 30", "probation_dais = 30")
    said = run("policy", "check", bad, SHIPPED, tmp_path / "none.toml", "--json")
    assert said.code == 2
    assert [facts["file"] for facts in said.json] == [str(SHIPPED)]
    line = bad.read_text(encoding="utf-8").partition("probation_dais")[0].count("\n") + 1
    assert [line.split(": ")[1] for line in said.err.splitlines()] == [f"{bad}:{line}", str(tmp_path / "none.toml")]


def test_what_is_probably_not_meant_is_a_warning(tmp_path: Path) -> None:
    file = changed(tmp_path, "effective_from = 2026-01-01", "effective_from = 2096-01-01")
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text + '\n[clause.lonely]\nnumber = "9.9"\nen = "nothing stands on this"\nzh = "没有用处"\n', encoding="utf-8"
    )
    said = run("policy", "check", file, "--json")
    assert said.code == 0
    warnings = said.json[0]["warnings"]
    assert any("still to come" in w for w in warnings)
    assert "clause lonely: nothing stands on it" in warnings
    assert "  warning     clause lonely: nothing stands on it" in run("policy", "check", file).out


def test_the_agreements_in_force_are_shown(tmp_path: Path) -> None:
    said = run("policy", "show", "--json").json
    default = next(facts for facts in said if facts["is_default"])
    assert (default["id"], default["preset"]) == ("tencent-exmail", "supervised")
    assert "tencent-exmail" in run("policy", "show").out.splitlines()[0]
    config = tmp_path / "c.toml"
    config.write_text('[agreement]\ndefault = "nobody-knows"\n')
    said_wrong = run("policy", "show", "--config", config)
    assert (said_wrong.code, "nobody-knows" in said_wrong.err) == (2, True)
