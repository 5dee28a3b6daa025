"""A suspension reaches mail that waits in a real Postfix's queue, and its end lets that mail go.  STANDING 5.7-20.

Mail to wire.example cannot be delivered while nobody listens there, so that it waits in the deferred queue.
"""

from __future__ import annotations

import email
import email.policy
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from filterd.clients.verdict_index import open_index
from tests.e2e import letters
from tests.e2e.site import ALICE, BOB, CAROL, Site
from tests.kit.mailbox import Arrived
from tests.kit.node import Node
from tests.kit.servers import WireSink
from tests.kit.waiting import PATIENCE_S, wait_until

PARTNER = "partner@wire.example"


@pytest.fixture
def node(site: Site, make_node: Callable[..., Node]) -> Iterator[Node]:
    """A node with the effector, while the partner's server is down."""
    programs = {name: [f"/usr/sbin/{name}", "-c", str(site.postfix.etc)] for name in ("postqueue", "postsuper")}
    effector = {"enabled": True, "look_s": 5, **programs}
    node = make_node({"effectors": {"mta_queue": effector}, "index": {"enabled": True}})
    node.start()
    node.tokens["dana"] = node.cli("person", "add", "dana", "--role", "moderator", "--json")["token"]
    site.wire.close()
    yield node
    if not is_listening(site):
        site.wire = WireSink(site.ports.wire)


def is_listening(site: Site) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", site.ports.wire)) == 0


def queue(site: Site) -> list[dict[str, Any]]:
    said = subprocess.run(
        ["/usr/sbin/postqueue", "-c", str(site.postfix.etc), "-j"], capture_output=True, check=True, timeout=PATIENCE_S
    ).stdout
    return [json.loads(line) for line in said.splitlines()]


def held(site: Site) -> set[str]:
    """Say whose mail is on hold, by envelope sender."""
    return {mail["sender"] for mail in queue(site) if mail["queue_name"] == "hold"}


def send(site: Site, author: str, tag: str) -> None:
    sender = site.sender(author)
    assert sender.send(letters.letter(author, PARTNER, letters.clean(author, PARTNER, tag=tag))).code == 250
    sender.close()


def enforcement(node: Node, login: str) -> list[str]:
    return [s["enforcement"] for s in node.standing(login)["sanctions"]]


def test_queued_mail_of_a_suspended_account_is_held_and_a_lift_delivers_it(site: Site, node: Node) -> None:
    for number in range(3):
        send(site, ALICE, f"alice{number}")
    send(site, CAROL, "carol")
    wait_until(lambda: len(queue(site)) == 4, "the mail waits in the queue")
    command = ["sanction", "impose", ALICE, "--rung", "suspend", "--hours", "24", "--clause", "4.3.1"]
    imposed = node.cli(*command, "--reason", "test", "--json", person="dana")
    assert imposed["standing"] == "suspended"
    wait_until(lambda: enforcement(node, ALICE) == ["applied"], "the queue is told")
    assert held(site) == {ALICE}
    assert [mail["sender"] for mail in queue(site) if mail["queue_name"] == "hold"] == [ALICE] * 3
    site.wire = WireSink(site.ports.wire)
    site.postfix.flush()
    (carols,) = site.wire.wait(1)
    assert CAROL.encode() in carols.mail
    # What is on hold stays there, whoever flushes the queue.
    site.postfix.flush()
    assert held(site) == {ALICE}
    sanction_id = node.standing(ALICE)["sanctions"][0]["sanction_id"]
    node.cli("sanction", "lift", sanction_id, "--reason", "looked at it", "--json", person="dana")
    wait_until(lambda: held(site) == set(), "the mail is released")
    site.postfix.flush()
    taken = site.wire.wait(4)
    assert len(taken) == 4
    site.postfix.wait_empty()
    rows = [row.body for row in node.wait_rows("effect.reported", count=3)]
    said = [(row["act"], row["outcome"], row["count"]) for row in rows]
    assert said == [("hold", "begun", 3), ("hold", "applied", 3), ("release", "applied", 3)]


def test_who_was_authenticated_counts_not_whose_address_stands_in_the_envelope(site: Site, node: Node) -> None:
    """What alice sent under bob's address is alice's: bob's suspension does not touch it."""
    send(site, BOB, "bob")
    sender = site.sender(ALICE)
    forged = letters.letter(BOB, PARTNER, letters.clean(ALICE, PARTNER, tag="forged"))
    assert sender.send(forged).code == 250
    sender.close()
    wait_until(lambda: len(queue(site)) == 2, "the mail waits in the queue")
    # The index follows the event stream.
    index = open_index(node.state_dir)
    wait_until(lambda: index.status().answers == 2, "the index has followed")
    index.close()
    command = ["sanction", "impose", BOB, "--rung", "suspend", "--hours", "24", "--clause", "4.3.1"]
    node.cli(*command, "--reason", "test", "--json", person="dana")
    wait_until(lambda: enforcement(node, BOB) == ["applied"], "the queue is told")
    assert len([mail for mail in queue(site) if mail["queue_name"] == "hold"]) == 1
    site.postfix.empty()


def test_without_the_right_to_tell_the_mta_it_is_said_and_tried_again(
    site: Site, make_node: Callable[..., Node]
) -> None:
    programs = {"postqueue": ["/usr/sbin/postqueue", "-c", str(site.postfix.etc)], "postsuper": ["/bin/false"]}
    node = make_node({"effectors": {"mta_queue": {"enabled": True, **programs}}})
    node.start()
    node.tokens["dana"] = node.cli("person", "add", "dana", "--role", "moderator", "--json")["token"]
    site.wire.close()
    try:
        send(site, ALICE, "alice")
        command = ["sanction", "impose", ALICE, "--rung", "suspend", "--hours", "24", "--clause", "4.3.1"]
        node.cli(*command, "--reason", "test", "--json", person="dana")
        wait_until(lambda: enforcement(node, ALICE) == ["failed"], "it is said to have failed")
        wait_until(lambda: "false ended with 1" in node.log(), "the log says why")
    finally:
        site.postfix.empty()
        site.wire = WireSink(site.ports.wire)


def test_after_an_attestation_her_own_mail_leaves_and_the_campaign_comes_back_as_one_letter(
    site: Site, node: Node
) -> None:
    """STANDING 5.7-14: two copies went into the queue before a third was found to carry a virus; two mails are hers."""
    words = (
        "Dear Mr Petrov,\n\nthe workshop has sent its quotation for the new window frames. It is a little more than "
        "the one of last year, because the price of oak has gone up. I have put the drawings into the folder.\n\nAnna\n"
    )
    sender = site.sender(ALICE)
    for tag in ("copy1", "copy2"):
        raw = letters.text(ALICE, PARTNER, "Quotation for the window frames", words, tag=tag)
        assert sender.send(letters.letter(ALICE, PARTNER, raw)).code == 250
    sender.close()
    for tag in ("own1", "own2"):
        send(site, ALICE, tag)
    wait_until(lambda: len(queue(site)) == 4, "the mail waits in the queue")
    index = open_index(node.state_dir)
    wait_until(lambda: index.status().answers == 4, "the index has followed")
    index.close()
    own = {m["queue_id"] for m in queue(site)} - copies_of(site, "Quotation for the window frames")
    node.cli("security", "report", "--account", ALICE, "--indicator", "auth.failures", "--json", person="dana")
    sender = site.sender(ALICE)
    infected = with_text(letters.virus(ALICE, PARTNER, tag="found"), words)
    assert sender.send(letters.letter(ALICE, PARTNER, infected)).code == 550
    sender.close()
    wait_until(lambda: len([m for m in queue(site) if m["queue_name"] == "hold"]) == 4, "the queue is told")
    node.cli("security", "attest", ALICE, "--reason", "password reset, sessions revoked", "--json", person="dana")
    wait_until(lambda: held_ids(site).isdisjoint(own), "her own mail was not released")
    assert len(held_ids(site)) == 2
    rows = node.wait_rows("effect.reported", count=4)
    wait_until(lambda: "summary" in [x.body["act"] for x in node.rows("effect.reported")], "no letter was written")
    assert rows

    def letters_to_her() -> list[Arrived]:
        return [x for x in site.postfix.mailbox(ALICE).read() if "were stopped" in str(x.message["subject"])]

    wait_until(lambda: len(letters_to_her()) == 1, "the letter did not come")
    # The sample carries a virus: its header alone is attached.
    (letter,) = letters_to_her()
    assert [part.get_content_type() for part in letter.message.iter_parts()] == ["text/plain", "text/rfc822-headers"]
    assert b"Subject: Quotation for the window frames" in letter.raw
    site.postfix.empty()


def held_ids(site: Site) -> set[str]:
    return {m["queue_id"] for m in queue(site) if m["queue_name"] == "hold"}


def copies_of(site: Site, subject: str) -> set[str]:
    """Say which queued mails have a subject."""
    found = set()
    for mail in queue(site):
        said = subprocess.run(
            ["/usr/sbin/postcat", "-c", str(site.postfix.etc), "-hq", mail["queue_id"]],
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        if f"Subject: {subject}".encode() in said:
            found.add(mail["queue_id"])
    return found


def with_text(raw: bytes, words: str) -> bytes:
    """Give a mail with an attachment another text."""
    mail = email.message_from_bytes(raw, policy=email.policy.SMTP)
    part = next(x for x in mail.walk() if x.get_content_type() == "text/plain" and not x.get_filename())
    part.set_content(words + "\r\n")  # type: ignore[attr-defined]
    mail.replace_header("Subject", "Quotation for the window frames")
    return mail.as_bytes()
