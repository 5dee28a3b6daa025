"""filterd/checks/README.md names every check and every code there is, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from filterd import checks
from filterd.checks import ALL_CODES, CHECKS
from filterd.config import Config
from filterd.share import path

pytestmark = pytest.mark.slow

TEXT = (Path(checks.__file__).parent / "README.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"`([^`\n]+)`", TEXT)


def test_every_check_has_its_part_in_the_order_of_the_register() -> None:
    headings = re.findall(r"^## (`.+)$", TEXT, re.MULTILINE)
    assert [name for line in headings for name in re.findall(r"`([^`]+)`", line)] == [check.name for check in CHECKS]


def test_every_code_is_named_and_no_other() -> None:
    assert {word for word in QUOTED if re.fullmatch(r"[a-z]+\.[a-z_]+\.[a-z_]+", word)} == ALL_CODES


def test_a_code_stands_in_the_part_of_the_check_that_finds_it() -> None:
    parts = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    for check in CHECKS:
        part = next(part for part in parts if f"`{check.name}`" in part.splitlines()[0])
        assert {code.code for code in check.codes if f"`{code.code}`" not in part} == set(), check.name


def test_every_key_named_is_one_of_the_configuration() -> None:
    sections = Config.model_json_schema()["properties"]
    defaults = Config().model_dump()
    named = [word.split(".") for word in QUOTED if re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", word)]
    keys = [(section, key) for section, key in named if section in sections]
    assert [(section, key) for section, key in keys if key not in defaults[section]] == []
    assert len(keys) > 30


def test_every_key_of_a_check_is_named() -> None:
    of_checks = ("clamd", "spam", "content", "dns", "authentication", "attachments", "links", "pii", "terms", "rate")
    keys = {f"{section}.{key}" for section in of_checks for key in getattr(Config(), section).model_dump()}
    assert keys - set(QUOTED) == set()


def test_languages_are_those_of_the_model_that_comes_with_filterd() -> None:
    manifest = json.loads(path("models/default/manifest.json").read_text(encoding="utf-8"))
    present = {label["name"]: ", ".join(label["languages"]) for label in manifest["labels"] if label["languages"]}
    rows = re.findall(r"^\| `([a-z]+)` \| [^|]+ \| ([a-z, ]+) \| `content", TEXT, re.MULTILINE)
    assert len(rows) == 12
    assert rows == [(name, present.get(name, "none")) for name, _ in rows]
