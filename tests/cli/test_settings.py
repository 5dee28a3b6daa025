"""The configuration checked, and shown with its defaults marked."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from filterd.cli.config_lint import listed
from filterd.cli.settings import warnings_about
from filterd.config import Config, load
from tests.cli.rig import run
from tests.kit.clock import NOON

pytestmark = pytest.mark.slow

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


# --- where each value comes from --------------------------------------------------------------------------------------


def test_effective_values_say_where_they_come_from(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LDAP_SECRET", "hunter2")
    file.write_text(
        FILE + '[directory.ldap]\nbind_dn = "cn=x"\npassword_env = "LDAP_SECRET"\n'
        '[ledger]\nurl = "postgresql://fd:hun@ter2@db/filterd?password=hunter2"\n'
    )
    said = run("config", "show", "--effective", "--config", file, "--json")
    assert said.json["from"] == f"{file} (from the command line)"
    assert said.json["listener"][1]["port"] == {"value": 10125, "default": False, "from": f"{file}:10"}
    assert said.json["listener"][0]["port"] == {"value": 10025, "default": True, "from": "default"}
    variable = said.json["directory"]["ldap"]["password_env"]
    assert variable["from"] == f"{file}:17, environment: LDAP_SECRET is set"
    assert said.json["ledger"]["url"]["value"] == "postgresql://fd:***@db/filterd?password=***"
    assert "ter2" not in said.out
    lines = run("config", "show", "--effective", env={"FILTERD_CONFIG": str(file)}).out.splitlines()
    assert lines[0] == f"# {file} (from the environment, FILTERD_CONFIG)"
    assert f"port = 10125  # {file}:10" in lines
    assert "port = 10025  # default" in lines


# --- what the file's own shape does not say ---------------------------------------------------------------------------

LISTS = """\
[[accept]]
id = "partner"
by = "op"
reason = "a contract"
client = ["11.0.0.0/7"]
skip = ["spam", "deny"]
until = 2020-01-01
"""


@pytest.mark.parametrize(
    ("more", "where", "words"),
    [
        ("[http]\nport = 10125\n", "10: listener.1.port", "listener 'inbound' is where http is already"),
        ('[milter]\nenabled = true\naddress = "inet:10027@0.0.0.0"\n', "policy_service.port", "milter"),
        (
            '[socketmap]\nenabled = true\nbind = "unix:/a"\n[milter]\nenabled = true\naddress = "unix:/a"\n',
            "17: socketmap.bind",
            "/a",
        ),
        ('[paging]\nurl = "https://p.example/"\nsecret_file = "/nowhere"\n', "17: paging.secret_file", "no such file"),
        ('[exceptions]\nfiles = ["/nowhere.toml"]\n', "", "/nowhere.toml: cannot be read"),
    ],
)
def test_places_taken_twice_and_files_that_are_not_there(file: Path, more: str, where: str, words: str) -> None:
    file.write_text(FILE + more)
    said = run("config", "check", file)
    assert said.code == 2
    assert where in said.err
    assert words in said.err


def test_mail_must_not_go_round(file: Path) -> None:
    file.write_text(FILE.replace("127.0.0.1:10026", "127.0.0.1:10125"))
    said = run("config", "check", file)
    assert said.code == 2
    assert f"{file}:14: next_hop.address" in said.err
    assert "a door of ours" in said.err


def test_the_lists_are_checked_by_line_and_doubts_are_warnings(file: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists.toml"
    lists.write_text(LISTS.replace("11.0.0.0/7", "10.0.0.0/7"))
    file.write_text(FILE + f'[exceptions]\nfiles = ["{lists}"]\n[authentication]\nenabled = false\n')
    warnings = run("config", "check", file, "--json").json["warnings"]
    mine = [w.removeprefix(f"{lists}:1: partner: ") for w in warnings if "partner" in w]
    assert mine == [
        "ended on 2020-01-01",
        "10.0.0.0/7 takes mail of very many",
        "takes its mail whatever else refuses it, for every recipient",
    ]
    lists.write_text(LISTS.replace('skip = ["spam", "deny"]', 'skip = ["virus"]'))
    said = run("config", "check", file)
    assert (said.code, f"{lists}:6: accept.0.skip" in said.err) == (2, True)


def test_an_lmtp_hop_without_a_way_for_notices_is_a_warning(file: Path) -> None:
    hop = '[next_hop]\naddress = "127.0.0.1:10026"\n'
    lmtp = hop + 'protocol = "lmtp"\n'

    def warned(text: str) -> bool:
        file.write_text(FILE.replace(hop, text))
        return any("without notices.relay" in w for w in warnings_about(load(file)))

    assert [warned(hop), warned(lmtp)] == [False, True]
    assert not warned(lmtp + '[notices]\nrelay = "127.0.0.1:10027"\n[policy_service]\nport = 10037\n')


def test_very_many_entries_by_from_domain_are_a_warning(file: Path, tmp_path: Path) -> None:
    """One after the other at each RCPT; the same domains in one entry are looked up."""
    entry = '[[accept]]\nid = "p{0}"\nby = "op"\nreason = "a contract"\nauthenticated = ["dmarc"]\nskip = ["deny"]\n'
    lists = tmp_path / "lists.toml"
    file.write_text(FILE + f'[exceptions]\nfiles = ["{lists}"]\n')

    def warned(text: str) -> list[str]:
        lists.write_text(text)
        return [w for w in listed(load(file), NOON) if "one by one" in w]

    each = [entry.format(n) + f'from_domain = ["d{n}.example"]\nrecipient = ["r{n}@x.example"]\n' for n in range(1001)]
    assert warned("".join(each)) == []
    each = [entry.format(n) + f'from_domain = ["d{n}.example"]\n' for n in range(1001)]
    assert warned("".join(each[:1000])) == []
    (word,) = warned("".join(each))
    assert "1001 entries" in word
    domains = ", ".join(f'"d{n}.example"' for n in range(1001))
    assert warned(entry.format(0) + f"from_domain = [{domains}]\n") == []
