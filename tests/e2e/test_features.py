"""A restricted account behind a real Postfix: each feature refuses itself, recipient by recipient, and says so.

Postfix asks the policy service at each RCPT (MAIL-PATH §4e), hands the message through the proxy, and passes our words
on to the client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e import letters
from tests.e2e.site import ALICE, APPEALS, BOB, CAROL, CUSTOMER, Site
from tests.kit.client import Reply, SmtpClient
from tests.kit.node import Node

CLAUSE = "4.3.1"


@pytest.fixture(scope="module")
def node(site: Site, make_module_node: Callable[..., Node]) -> Node:
    node = make_module_node()
    node.start()
    sender = site.sender(ALICE)
    assert sender.send(letters.letter(ALICE, BOB, letters.clean(ALICE, BOB, tag="known"))).code == 250
    sender.close()
    node.tokens["dana"] = node.cli("person", "add", "dana", "--role", "moderator", "--json")["token"]
    return node


@pytest.fixture
def restrict(node: Node) -> Iterator[Callable[..., None]]:
    """Switch features off as a person does; all is lifted again afterwards."""

    def impose(*features: str) -> None:
        options = [part for name in features for part in ("--feature", name)]
        command = ["sanction", "impose", ALICE, *options, "--hours", "24", "--clause", CLAUSE, "--reason", "test"]
        node.cli(*command, "--json", person="dana")

    yield impose
    for sanction in node.standing(ALICE)["sanctions"]:
        node.cli("sanction", "lift", sanction["sanction_id"], "--reason", "test is over", "--json", person="dana")


def _envelope(client: SmtpClient, *to: str) -> list[Reply]:
    return client.envelope(letters.letter(ALICE, to, b"Subject: x\r\n\r\n"))[1:]


def _said(replies: list[Reply]) -> list[tuple[int, str]]:
    """Say code and short code of each; nothing for what passed."""
    return [(r.code, r.text.split("F-")[1].split()[0] if "F-" in r.text else "") for r in replies]


def test_outside_and_locked_recipients_are_refused_alone(site: Site, restrict: Callable[..., None]) -> None:
    restrict("external_recipients", f"recipient:{CAROL}")
    sender = site.sender(ALICE)
    replies = _envelope(sender.connect(), BOB, CUSTOMER, CAROL, APPEALS, "postmaster@corp.example")
    assert _said(replies) == [(250, ""), (550, "EXTERNAL"), (550, "ADDRESS"), (250, ""), (250, "")]
    for reply in replies[1:3]:
        assert reply.enhanced == "5.7.1"
        for words in (" is off until ", f"under {CLAUSE}; mail ", " still works", "Object free of charge: https://"):
            assert words in reply.text
    sender.close()


def test_recipients_beyond_the_limit_of_each_message_are_asked_for_in_another(
    site: Site, restrict: Callable[..., None]
) -> None:
    restrict("recipients_per_message:2")
    sender = site.sender(ALICE)
    client = sender.connect()
    for _ in range(2):
        replies = _envelope(client, BOB, CAROL, CUSTOMER, ALICE)
        assert _said(replies) == [(250, ""), (250, ""), (452, "RECIPIENTS"), (452, "RECIPIENTS")]
        assert replies[2].enhanced == "4.5.3"
        client.ask("RSET")
    sender.close()


def test_a_link_is_refused_after_the_dot_and_a_letter_without_passes(site: Site, restrict: Callable[..., None]) -> None:
    restrict("links")
    sender = site.sender(ALICE)
    plain = letters.clean(ALICE, BOB, tag="plain")
    linked = letters.text(ALICE, BOB, "page", "See https://www.example.com/page\n", tag="linked")
    assert sender.send(letters.letter(ALICE, BOB, plain)).code == 250
    refused = sender.send(letters.letter(ALICE, BOB, linked))
    assert (refused.code, refused.enhanced) == (550, "5.7.1")
    assert "F-LINKS Sending links is off until " in refused.text
    appeal = letters.text(ALICE, APPEALS, "appeal", "It was https://www.example.com/page\n", tag="appeal")
    assert sender.send(letters.letter(ALICE, APPEALS, appeal)).code == 250
    sender.close()
