"""Agreement files checked as start-up would, and the ones in force."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from filterd.share import path
from tests.cli.rig import run

pytestmark = pytest.mark.slow

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
    "preset",
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
    assert facts["preset"] == "supervised"
    assert reach["abuse.insult", "standing_order"] == "nothing"
    assert facts["warnings"] == []
    text = run("policy", "check", SHIPPED).out
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


def test_an_agreement_that_keeps_sealed_hits_too_long_loads_with_a_warning(tmp_path: Path) -> None:
    file = changed(tmp_path, "locked_hit_days = 30", "locked_hit_days = 90")
    said = run("policy", "check", file, "--json")
    assert said.code == 0
    assert "lifecycle.locked_hit_days: 90 counts as 30 (CLAUSES §1)" in said.json[0]["warnings"]


def test_the_agreements_in_force_are_shown(tmp_path: Path) -> None:
    said = run("policy", "show", "--json").json
    default = next(facts for facts in said if facts["is_default"])
    assert (default["id"], default["preset"]) == ("tencent-exmail", "supervised")
    assert "tencent-exmail" in run("policy", "show").out.splitlines()[0]
    config = tmp_path / "c.toml"
    config.write_text('[agreement]\ndefault = "nobody-knows"\n')
    said_wrong = run("policy", "show", "--config", config)
    assert (said_wrong.code, "nobody-knows" in said_wrong.err) == (2, True)


# --- how far each category goes (STANDING 5.9, case_rung_reach_table) -------------------------------------------------


def cells(text: str, category: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.split()[:1] == [category] and "suspend" in line]
    return re.split(r"  +", line.strip())[1:]


def test_the_rung_reach_table_has_no_staff_one_person_and_a_team() -> None:
    text = run("policy", "check", SHIPPED).out
    (head,) = [line for line in text.splitlines() if line.lstrip().startswith("CATEGORY ")]
    assert re.split(r"  +", head.strip()) == [
        "CATEGORY", "ATTENDED", "SUPERVISED (CONFIGURED)", "STANDING_ORDER", "ONE PERSON", "A TEAM",
    ]  # fmt: skip
    people = ["suspend open-ended", "terminate"]
    for category in ("malware", "phishing.known", "spam.outbound"):
        # Terminated with the order, and by nothing else.
        assert cells(text, category) == ["suspend 72 h", "suspend 168 h", "suspend open-ended +", *people]
    assert cells(text, "impersonation.exact") == ["suspend 72 h", "suspend 168 h", "suspend open-ended", *people]
    for category in ("spam.advert", "fraud.scam", "illegal.gambling", "adult.obscene"):
        assert cells(text, category) == ["warn", "restrict 24 h", "restrict 168 h", *people]
    (rest,) = [line for line in text.splitlines() if line.startswith("  nothing with no staff")]
    assert "(one person suspend open-ended, a team terminate)" in rest
    assert {"abuse.insult", "illegal.terror", "pol.honour", "rights.ip"} <= set(rest.split())
    assert "  + a standing order of two people may terminate; without one nothing does" in text.splitlines()


def test_the_configured_preset_is_the_one_marked(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[agreement]\npreset = "attended"\n')
    said = run("policy", "check", SHIPPED, "--config", config)
    assert re.search(r" ATTENDED \(CONFIGURED\) +SUPERVISED +STANDING_ORDER ", said.out)


def test_a_raised_c2_category_reaches_a_warning(tmp_path: Path) -> None:
    said = run("policy", "check", raised(tmp_path))
    assert said.code == 0, said.err
    assert re.search(r"^  abuse\.insult +warn +warn +warn +suspend open-ended +terminate$", said.out, re.M)
    warning = r"^  warning     category abuse\.insult of \S+ \S+: is raised; that takes two people"
    assert re.search(warning, said.out, re.M)


def raised(folder: Path) -> Path:
    """The shipped agreement with abuse.insult raised, and only one example, which is not about it."""
    text = SHIPPED.read_text(encoding="utf-8")
    tables = [x for x in re.split(r"^(?=\[)", text, flags=re.M) if not x.startswith("[[example]]")]
    one = '[[example]]\nname = "one"\nacts = []\npoints = 0\nrung = "none"\nat_hour = 0\ndisposition = "accept"\n'
    old = '[[category]]\nid = "abuse.insult"\n'
    file = folder / "raised.toml"
    file.write_text("".join([*tables, "\n", one]).replace(old, f"{old}raised = true\n"), encoding="utf-8")
    return file


def test_under_the_reseller_s_agreement_nothing_is_reached_and_under_its_supplement_no_termination() -> None:
    folder = SHIPPED.parent
    said = run("policy", "check", folder / "aliyun-mail.toml", "--json").json[0]
    assert said["rung_reach"] == []
    assert "  No category: whatever is found" in run("policy", "check", folder / "aliyun-mail.toml").out
    (supplement,) = run("policy", "check", folder / "aliyun-supplement.toml", "--json").json
    reaches = {one["reaches"] for one in supplement["rung_reach"]}
    assert "terminate" not in reaches
    assert {one["terminates_by_order"] for one in supplement["rung_reach"]} == {False}
    team = {one["reaches"] for one in supplement["rung_reach"] if one["staff"] == "team"}
    assert team == {"suspend open-ended"}


# --- a condition ------------------------------------------------------------------------------------------------------

RULE = '[[rule]]\nfinding = "content.weapons.model"\ncategory = "illegal.weapons"\n'


def test_a_condition_is_a_column_of_the_table(tmp_path: Path) -> None:
    file = changed(tmp_path, RULE, f"{RULE}when = 'recipients >= 50'\n")
    said = run("policy", "check", file)
    assert said.code == 0, said.err
    (line,) = [x for x in said.out.splitlines() if "content.weapons.model " in x]
    assert line.endswith("recipients >= 50")
    assert "WHEN" not in run("policy", "check", SHIPPED).out


def test_a_condition_over_standing_is_refused_with_file_line_and_key(tmp_path: Path) -> None:
    file = changed(tmp_path, RULE, f"{RULE}when = 'strikes_90d > 2'\n")
    line = file.read_text(encoding="utf-8").partition("when =")[0].count("\n") + 1
    said = run("policy", "check", file)
    assert said.code == 2
    assert said.err.startswith(f"filterd: {file}:{line}: ")
    assert "unknown name 'strikes_90d'" in said.err
    assert "rule." in said.err
