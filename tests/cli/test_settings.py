"""The configuration checked, and shown with its defaults marked."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from filterd.config import Config, load
from tests.cli.rig import run

FILE = """\
[node]
state_dir = "state"

[[listener]]
name = "submission"
attribution = "xclient"

[[listener]]
name = "inbound"
port = 10125
direction = "inbound"

[next_hop]
address = "127.0.0.1:10026"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "filterd.toml"
    file.write_text(FILE)
    return file


def test_a_right_file_is_right(file: Path) -> None:
    said = run("config", "check", file)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == f"{file}: right"
    assert set(run("config", "check", file, "--json").json) == {"file", "warnings"}


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ('name = "inbound"', 'nome = "inbound"', "9: listener.1.nome", "unknown key"),
        ("port = 10125", "port = 70000", "10: listener.1.port", "65535"),
        ('"127.0.0.1:10026"', '"nowhere"', "14: next_hop.address", "neither host:port nor unix:/path"),
        ('"127.0.0.1:10026"', '"sink"\n[notices]\nrelay = "x"', "16: notices.relay", "neither"),
        ('[next_hop]\naddress = "127.0.0.1:10026"', '[clamd]\naddress = "x"', "14: clamd.address", "unix:/path"),
        ("[next_hop]", "[next_hop", "13: ", "Expected"),
        ("[next_hop]", '[agreement]\ndefault = "x"\n[next_hop]', "14: agreement.default", "no agreement"),
    ],
)
def test_what_is_wrong_is_named(file: Path, old: str, new: str, where: str, words: str) -> None:
    file.write_text(FILE.replace(old, new))
    said = run("config", "check", file)
    assert (said.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert words in line
    assert f"{file}:{where}" in line


def test_what_nobody_would_want_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    warnings = run("config", "check", tmp_path / "empty.toml", "--json").json["warnings"]
    assert any("nobody can be held answerable" in w for w in warnings)
    assert any("sink" in w for w in warnings)
    assert any("notices.appeals_address" in w for w in warnings)


def test_the_text_shown_is_a_configuration_of_its_own(file: Path) -> None:
    text = run("config", "show", "--config", file).out
    assert Config.model_validate(tomllib.loads(text)) == load(file)
    lines = text.splitlines()
    assert 'name = "submission"' in lines
    assert "port = 10025  # default" in lines
    assert "port = 10125" in lines
    assert "# header_name is not set  # default" in lines


def test_without_a_file_everything_is_a_default() -> None:
    text = run("config", "show").out
    assert Config.model_validate(tomllib.loads(text)) == Config()
    assert all(line.endswith("# default") for line in text.splitlines() if line and not line.startswith("["))


def test_json_marks_defaults_too(file: Path) -> None:
    said = run("config", "show", "--config", file, "--json").json
    assert said["next_hop"]["address"] == {"value": "127.0.0.1:10026", "default": False}
    assert said["listener"][1]["direction"] == {"value": "inbound", "default": False}
    assert said["http"]["port"] == {"value": 10080, "default": True}


def test_the_file_can_come_from_the_environment(file: Path) -> None:
    said = run("config", "show", "--json", env={"FILTERD_CONFIG": str(file)}).json
    assert said["node"]["state_dir"] == {"value": "state", "default": False}
