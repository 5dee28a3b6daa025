"""Mail that is held: from a real Postfix, through filterd's quarantine, to a real Postfix or back to its sender.

STANDING 5.7-23, FAULTS §2. Killed at each place of its own, it is held once, and what is doubled bears one name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from filterd.mail.report import read_report
from filterd.markers import HELD_MARKERS
from tests.e2e import letters, terms
from tests.e2e.site import ALICE, BOB, CUSTOMER, Site
from tests.kit.client import Letter
from tests.kit.node import Node
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture
def node(make_node: Callable[..., Node], tmp_path: Path) -> Node:
    node = make_node(terms.holding(tmp_path))
    node.start()
    furnish(node, tmp_path)
    return node


def furnish(node: Node, folder: Path) -> None:
    """Have somebody who decides, and a tenant whose domains are known to be all."""
    node.tokens["dana"] = node.cli("person", "add", "dana", "--role", "moderator", "--json")["token"]
    tenants = folder / "tenants.csv"
    tenants.write_text("name,domains\ncorp.example,corp.example\n")
    said = node.cli("tenant", "import", str(tenants), "--json", person="dana")
    assert said["errors"] == []


def foreign(tag: str, to: str = CUSTOMER) -> bytes:
    """A harmless letter from an address that is not the organisation's."""
    return letters.clean("alice@private.example", to, tag=tag)


def submit(site: Site, raw: bytes, *to: str, login: str = ALICE, **parameters: str) -> Any:
    sender = site.sender(login)
    try:
        return sender.send(Letter(sender=login, recipients=to or (CUSTOMER,), raw=raw, **parameters))
    finally:
        sender.close()


def items(node: Node, *more: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = node.cli("quarantine", "list", "--json", *more)
    return listed


def state(node: Node, item: str) -> str:
    """Asked over the socket, for it is asked again and again."""
    return next(row["state"] for row in node.call("quarantine.list", all=True) if row["item_id"] == item)


def decide(node: Node, act: str, item: str, *more: str) -> Any:
    return node.cli("quarantine", act, item, "--reason", "looked at it", "--json", *more, person="dana")


def test_held_and_released_it_arrives_as_it_was(site: Site, node: Node) -> None:
    raw = foreign("held")
    reply = submit(site, raw, mail_parameters="RET=HDRS ENVID=QQ314159")
    assert (reply.code, reply.enhanced) == (250, "2.0.0"), reply
    (row,) = items(node)
    assert row["item_id"] in reply.text
    assert (row["state"], row["login"]) == ("held", ALICE)
    assert node.cli("account", "show", ALICE, "--json")["held_mails"][0]["item_id"] == row["item_id"]
    read = node.folder / "held.eml"
    node.cli("quarantine", "show", row["item_id"], "--reason", "r", "--raw", str(read), "--json", person="dana")
    # What stands above is Postfix's.
    assert read.read_bytes().endswith(raw)
    assert decide(node, "release", row["item_id"])["state"] == "released"
    (arrived,) = site.postfix.elsewhere.wait(1)
    assert arrived.below("received", "x-filterd-id") == raw
    (trace,) = arrived.fields("x-filterd-id")
    assert trace.split()[0] == row["transaction_id"]
    assert trace.endswith(f"held={row['item_id']}")
    wait_until(lambda: state(node, row["item_id"]) == "delivered", "the row says delivered")


def test_sent_back_it_is_in_the_senders_own_mailbox(site: Site, node: Node) -> None:
    raw = foreign("back", "two@customers.example")
    assert submit(site, raw, CUSTOMER, "two@customers.example").code == 250
    (row,) = items(node)
    decide(node, "return", row["item_id"])
    (mail,) = site.postfix.mailbox(ALICE).wait(1, of=lambda mail: b"multipart/report" in mail.raw)
    assert mail.sender == ""
    report = read_report(mail.raw)
    assert report is not None
    assert [(x.action, x.status) for x in report.outcomes] == [("failed", "5.7.1")] * 2
    assert raw.rstrip() in mail.raw
    wait_until(lambda: state(node, row["item_id"]) == "returned", "the row says returned")
    assert site.postfix.elsewhere.read() == []


def test_what_the_real_next_hop_refuses_comes_back(site: Site, node: Node) -> None:
    gone = "gone@wire.example"
    assert submit(site, foreign("gone", gone), gone, login=BOB).code == 250
    (row,) = items(node)
    site.wire.rcpt = {b"gone@": b"550 5.1.1 No such mailbox"}
    try:
        decide(node, "release", row["item_id"])
        # Postfix behind us takes it, and finds out later: its bounce goes to the envelope sender.
        (bounce,) = site.postfix.mailbox(BOB).wait(1, of=lambda mail: b"550 5.1.1" in mail.raw)
        assert bounce.sender == ""
    finally:
        site.wire.rcpt = {}
    assert state(node, row["item_id"]) == "delivered"


@pytest.mark.parametrize("marker", [name for name, _ in HELD_MARKERS])
def test_killed_at_each_of_its_places_nothing_is_lost_and_a_double_has_one_name(
    site: Site, make_node: Callable[..., Node], tmp_path: Path, marker: str
) -> None:
    node = make_node(terms.holding(tmp_path))
    clock = site.on_another_day(node)
    node.start(kill_at=marker)
    furnish(node, tmp_path)
    raw = foreign("killed")
    first = submit(site, raw)
    if marker == "gate.held":
        # The client has no 250: it tries again, and finds the mail held.
        assert first.code >= 400
        node.wait_dead()
        node.start()
        assert submit(site, raw).code == 250
    else:
        assert first.code == 250
    (row,) = items(node)
    act = "return" if marker == "return.sent" else "release"
    decide(node, act, row["item_id"])
    if marker != "gate.held":
        node.wait_dead()
        # The promise was leased by the process that died, for two minutes.
        clock.advance(minutes=3)
        node.start()
    end = "returned" if act == "return" else "delivered"
    wait_until(lambda: state(node, row["item_id"]) == end, f"it is {end}")
    box = site.postfix.mailbox(ALICE) if act == "return" else site.postfix.elsewhere
    copies = box.wait(1 if marker == "gate.held" else 2, of=lambda mail: b"killed" in mail.raw)
    names = {mail.fields("message-id" if act == "return" else "x-filterd-id")[0] for mail in copies}
    assert len(names) == 1
    assert len(copies) == (1 if marker == "gate.held" else 2)
