"""What a locked list holds for a person survives kill -9 and goes on by itself, through a real Postfix.  CLAUSES §1."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e import letters, terms
from tests.e2e.site import ALICE, CUSTOMER, Site
from tests.e2e.test_holding import furnish, items, submit
from tests.kit.node import Node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

LIST = """\
id = "kites"
category = "pol.security"
languages = ["en"]
legal_basis = "Order 7 of the ministry of kites"
scope = "mail that leaves our tenants' domains"
expires_at = {expires:%Y-%m-%d}
terms = ["velvet teapot"]
on_hit = "hold_for_person"
"""


def approve(node: Node, *words: str) -> None:
    made = node.cli("terms", "locked", *words, "--reason", "an order", "--json", person="dana")
    node.cli("proposal", "approve", made["proposal_id"], "--digest", made["digest"], "--json", person="erin")


def test_killed_before_and_after_its_250_it_is_held_once_and_delivered_once(
    site: Site, make_node: Callable[..., Node], tmp_path: Path
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    file = folder / "kites.toml"
    node = make_node(terms.holding(tmp_path) | {"terms": {"locked_folder": str(folder)}})
    clock = site.on_another_day(node)
    file.write_text(LIST.format(expires=clock.now() + timedelta(days=60)), encoding="utf-8")
    node.start(kill_at="gate.held")
    furnish(node, tmp_path)
    node.tokens["erin"] = node.cli("person", "add", "erin", "--role", "moderator", "--as-root", "--json")["token"]
    approve(node, "enable", "--legal-basis", "Kite Act")
    approve(node, "propose", str(file))
    raw = letters.text(ALICE, CUSTOMER, "Tea on Tuesday", "Dear Bob,\n\nthe velvet teapot is here.\n", tag="teapot")
    # It is on disk, and its client has no 250: it tries again.
    assert submit(site, raw).code >= 400
    node.wait_dead()
    node.start()
    reply = submit(site, raw)
    assert reply.code == 250
    assert "queued as " in reply.text
    assert "q_" not in reply.text
    node.kill()
    node.start()
    assert items(node, "--all") == []
    assert site.postfix.elsewhere.read() == []
    node.kill()
    clock.advance(hours=4, minutes=1)
    node.start()
    (arrived,) = site.postfix.elsewhere.wait(1)
    assert arrived.below("received", "x-filterd-id") == raw
    (trace,) = arrived.fields("x-filterd-id")
    assert "held=" not in trace
