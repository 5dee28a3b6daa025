"""One agreement, readable: `filterd policy show ID`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from filterd.share import path
from tests.cli.rig import run

pytestmark = pytest.mark.slow

SHIPPED = path("policies/agreements/tencent-exmail.toml")


def two_versions(folder: Path) -> Path:
    """A configuration whose folder has the shipped text and a version that is still to come."""
    text = SHIPPED.read_text(encoding="utf-8")
    (folder / "a.toml").write_text(text, encoding="utf-8")
    later = re.sub(r"^effective_from = .*$", "effective_from = 2096-01-01T00:00:00+08:00", text, count=1, flags=re.M)
    later = re.sub(r"^version = .*$", 'version = "2096-01"', later, count=1, flags=re.M)
    (folder / "b.toml").write_text(later, encoding="utf-8")
    config = folder / "filterd.conf"
    config.write_text(f'[agreement]\ndirectory = "{folder}"\n')
    return config


def test_it_has_clauses_crosswalk_ladder_presets_digest_and_versions() -> None:
    said = run("policy", "show", "tencent-exmail", "--json").json
    assert (said["id"], said["is_default"], len(said["digest"])) == ("tencent-exmail", True, 64)
    clause = next(x for x in said["clauses"] if x["id"] == "7.1")
    assert (clause["number"], clause["in_mail"]) == ("7.1", True)
    assert clause["en"]
    assert clause["zh"]
    assert {"crosswalk", "ladder", "rung_reach", "effective_from", "points", "incident"} <= set(said)
    assert set(said["presets"]) == {"attended", "supervised", "standing_order"}
    assert said["presets"]["supervised"]["suspend_max_hours"] == 168
    assert [x["is_in_force"] for x in said["versions"]] == [True]


def test_people_can_read_it() -> None:
    text = run("policy", "show", "aliyun-supplement").out
    assert "supplements aliyun-mail; binds who has signed it, both sides" in text
    for part in ("Versions", "Clauses, in our own words", "From findings to mail", "Ladder", "Presets: "):
        assert any(line.startswith(part) for line in text.splitlines()), part
    assert re.search(r"^  POINTS +RUNG +PROPOSES TERMINATION$", text, re.M)
    assert re.search(r"^ +ATTENDED +SUPERVISED \(CONFIGURED\) +STANDING_ORDER$", text, re.M)
    assert re.search(r"^  suspend max hours +", text, re.M)


def test_a_version_still_to_come_is_shown_and_not_in_force(tmp_path: Path) -> None:
    config = two_versions(tmp_path)
    said = run("policy", "show", "tencent-exmail", "--config", config, "--json").json
    assert [x["is_in_force"] for x in said["versions"]] == [True, False]
    assert said["versions"][1]["version"] == "2096-01"
    assert said["version"] == said["versions"][0]["version"]
    text = run("policy", "show", "tencent-exmail", "--config", config).out
    assert re.search(r"^  2096-01 +2096-01-01T00:00:00\+08:00 +[0-9a-f]{12} +-$", text, re.M)


def test_an_agreement_there_is_not_is_an_error_that_names_those_there_are() -> None:
    said = run("policy", "show", "nobody-knows")
    assert (said.code, said.out) == (1, "")
    assert "tencent-exmail" in said.err
