"""`filterd explain`: the codes of refusals in words, and which entry of the lists decides."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from filterd.log import EventStream, Log
from filterd.model.exception import Applied
from filterd.model.reply import Reply
from filterd.model.session import Door, Session
from filterd.pipeline.texts import CATALOGUE, Why
from tests.cli.rig import run

pytestmark = pytest.mark.slow


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


# --- the operator's lists ---------------------------------------------------------------------------------------------

LISTS = """\
[[deny]]
id = "net"
by = "op"
reason = "spam run of May"
client = ["192.0.2.0/24"]

[[accept]]
id = "desk"
by = "op"
reason = "RFC 2142"
recipient = ["abuse@cust.example"]
skip = ["deny", "spam"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    lists, file = tmp_path / "lists.toml", tmp_path / "filterd.toml"
    lists.write_text(LISTS)
    file.write_text(f'[node]\nstate_dir = "{tmp_path}"\n[exceptions]\nfiles = ["{lists}"]\n')
    return file


def test_which_entry_would_be_followed_is_said_with_those_that_lose(config: Path) -> None:
    lists = config.parent / "lists.toml"
    said = run("explain", "--config", config, "--recipient", "Abuse@cust.example", "--client", "192.0.2.9")
    assert said.out.splitlines() == [
        f"listed deny: followed desk (accept), {lists}:7",
        f"listed deny: lost: net (reject), {lists}:1",
        f"listed spam: followed desk (accept), {lists}:7",
    ]
    said = run("explain", "--config", config, "--recipient", "bob@cust.example", "--client", "192.0.2.9", "--json")
    assert [(x["topic"], x["id"], x["is_followed"]) for x in said.json] == [("deny", "net", True)]
    assert run("explain", "--config", config, "--recipient", "bob@cust.example").out == "no entry is about it\n"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("--recipient", "nobody", "is no address"), ("--client", "x", "IPv4"), ("--passed", "dns=x", "METHOD=DOMAIN")],
)
def test_what_cannot_be_asked_is_refused(config: Path, option: str, value: str, words: str) -> None:
    said = run("explain", "--config", config, option, value)
    assert said.code == 1
    assert words in said.err


def test_a_mail_that_came_is_explained_from_its_events(config: Path) -> None:
    session = Session(id="c_7", door=Door.SMTP, listener="inbound", peer_address="192.0.2.9")
    stream = EventStream(config.parent / "events", "node1.w0", lambda: datetime(2026, 3, 2, tzinfo=UTC))
    followed = Applied(topic="deny", entry_id="net", file="l.toml", line=1, is_followed=True, choice="reject")
    lost = Applied(topic="deny", entry_id="wide", file="l.toml", line=9, is_followed=False, choice="defer")
    Log(stream, pseudonym_key=bytes(32)).denied(
        session, None, Reply(code=550, enhanced="5.7.1", text="no"), because=(followed, lost)
    )
    stream.close()
    lines = run("explain", "c_7", "--config", config).out.splitlines()
    assert [line.strip() for line in lines[1:]] == [
        "listed deny: followed net (reject), l.toml:1",
        "listed deny: lost: wide (defer), l.toml:9",
    ]
