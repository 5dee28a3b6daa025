"""What an operator pastes: the snippets of ops/postfix, and what Postfix does while nobody answers.  MAIL-PATH 4i."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from filterd.config import load
from tests.e2e import letters
from tests.e2e.site import ALICE, BOB, CUSTOMER, Site
from tests.kit.node import Node
from tests.kit.postfix import SNIPPETS

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("name", ["before-queue", "after-queue"])
def test_the_files_for_filterd_load_as_they_are(name: str):
    config = load(SNIPPETS / f"{name}.toml")
    believed = {listener.name: listener.attribution for listener in config.listener}
    assert believed["submission"] == "received"
    assert believed.get("mx", "none") == "none"


@pytest.mark.parametrize("file", sorted(SNIPPETS.glob("*.cf")), ids=lambda file: file.name)
def test_the_ports_of_both_sides_are_the_same(file: Path):
    """policy.main.cf goes with `before-queue`; every other file goes with the one of its own name."""
    wiring = file.name.split(".")[0]
    toml = (SNIPPETS / f"{'before-queue' if wiring == 'policy' else wiring}.toml").read_text()
    ports = set(re.findall(r":(100\d\d)\b", file.read_text()))
    assert ports
    assert {port for port in ports if port not in toml} == set()


@pytest.mark.parametrize("file", sorted(SNIPPETS.glob("*.*")), ids=lambda file: file.name)
def test_the_readme_names_every_file(file: Path):
    assert file.name == "README.md" or f"`{file.name}`" in (SNIPPETS / "README.md").read_text()


def test_postfix_has_nothing_to_complain_of(site: Site):
    """A parameter it does not know, or one nobody uses, is a warning of postconf."""
    said = site.postfix.check()
    assert said == ""


def test_while_filterd_is_away_nothing_is_taken_and_nothing_refused_for_good(
    site: Site, make_node: Callable[..., Node]
):
    """Both ports, before and after: 4xx, and the mail arrives when filterd is back."""
    node = make_node()
    ours = letters.letter(ALICE, CUSTOMER, letters.clean(ALICE, CUSTOMER, tag="away-out"))
    strangers = letters.letter("who@elsewhere.example", BOB, letters.clean("who@elsewhere.example", BOB, tag="away-in"))
    for login, through, mail in ((ALICE, "submission", ours), (None, "mx", strangers)):
        sender = site.sender(login, through=through)
        away = sender.send(mail)
        sender.close()
        assert away.code // 100 == 4, away
        print(f"{through}, filterd away: {away}")
    node.start()
    for login, through, mail in ((ALICE, "submission", ours), (None, "mx", strangers)):
        sender = site.sender(login, through=through)
        sender.send_until_settled(mail)
        sender.close()
    site.postfix.wait_empty()
    assert [mail.recipient for mail in site.postfix.elsewhere.read()] == [CUSTOMER]
    assert [mail.recipient for mail in site.postfix.mailbox(BOB).read()] == [BOB]


def test_strangers_spam_is_marked_and_delivered(site: Site, make_node: Callable[..., Node]):
    """Inbound: no login, so nobody is answerable; a mark that Sieve can act on, and forged marks are taken out."""
    node = make_node()
    node.start()
    stranger = "who@elsewhere.example"
    spam = letters.advert(stranger, BOB, number=1, seed="inbound", language="zh")
    clean = b"X-Spam-Flag: YES\r\n" + letters.clean(stranger, BOB, tag="marked")
    sender = site.sender(None, through="mx")
    for raw in (spam, clean):
        assert sender.send(letters.letter(stranger, BOB, raw)).code == 250
    sender.close()
    site.postfix.wait_empty()
    marks = {mail.fields("message-id")[0]: mail.fields("x-spam-flag") for mail in site.postfix.mailbox(BOB).read()}
    assert marks == {"<advert.inbound.1@elsewhere.example>": ["YES"], "<marked@elsewhere.example>": []}
    assert node.rows() == []
