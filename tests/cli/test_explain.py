"""`filterd explain`: the codes of refusals in words."""

from __future__ import annotations

import pytest

from filterd.pipeline.texts import CATALOGUE, Why
from tests.cli.rig import run


@pytest.mark.parametrize("code", ["F-LINKS", "f-links"])
def test_a_code_is_explained_in_both_languages(code: str) -> None:
    said = run("explain", code)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == "F-LINKS"
    assert "What still works: Mail without links, and receiving mail with or without them." in lines
    assert any(line.startswith("仍可使用：") for line in lines)
    assert "appeals@filterd.invalid" in said.out


def test_all_codes_are_listed_and_the_json_is_whole() -> None:
    assert [line.split()[0] for line in run("explain").out.splitlines()] == [why.value for why in Why]
    said = run("explain", "--json").json
    assert set(said) == {why.value for why in Why}
    assert said["M-VIRUS"]["works"] == {"en": CATALOGUE[Why.VIRUS].works.en, "zh-Hans": CATALOGUE[Why.VIRUS].works.zh}
    assert run("explain", "S-SUSPENDED", "--json").json["code"] == "S-SUSPENDED"


def test_an_unknown_code_is_refused() -> None:
    said = run("explain", "X-1")
    assert (said.code, said.err) == (1, "filterd: no code 'X-1'; `filterd explain` lists them\n")
