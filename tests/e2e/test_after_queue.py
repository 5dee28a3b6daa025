"""The other wiring: Postfix says 250 first and asks filterd later (ops/postfix/after-queue.master.cf).  MAIL-PATH 4c.

Attribution, octets and parameters are as before the queue; what would be refused is held and never bounces, and a mail
that cannot be checked waits in the queue.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable, Iterator

import pytest

from tests.e2e import letters
from tests.e2e.services import Tap
from tests.e2e.site import ALICE, CUSTOMER, MALLORY, Site
from tests.kit.client import Letter
from tests.kit.dkim_keys import DkimKey
from tests.kit.node import Node
from tests.kit.servers import free_ports
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def tap(site: Site) -> Iterator[Tap]:
    """Where Postfix thinks filterd is; writes down what Postfix says."""
    (door,) = free_ports(1)
    tap = Tap(site.ports.filterd_submission, door)
    yield tap
    tap.close()


@pytest.fixture(scope="module")
def node(make_module_node: Callable[..., Node], tap: Tap) -> Node:
    node = make_module_node(wiring="after-queue")
    node.config["listener"][0]["port"] = tap.to
    node.start()
    return node


def test_clean_mail_arrives_as_it_was_and_still_verifies(site: Site, node: Node):
    key = DkimKey.make("corp.example")
    raw = key.sign(letters.clean(ALICE, CUSTOMER, tag="after", language="zh") + b"x" * 3000 + b"\r\n.\r\n..\r\n")
    sender = site.sender(ALICE, through="after_queue")
    reply = sender.send(Letter(sender=ALICE, recipients=(CUSTOMER,), raw=raw, mail_parameters="BODY=8BITMIME"))
    sender.close()
    assert reply.code == 250, reply
    (arrived,) = site.postfix.elsewhere.wait(1)
    assert arrived.below("received", "x-filterd-id") == raw
    assert key.verifies(arrived.raw)
    decided = node.events("decided")[-1]
    assert decided["principal"]["basis"] == "received"
    assert decided["principal"]["account_id"] == node.account_id(ALICE)
    # Postfix's client hands on who wrote, and under which queue id.
    assert decided["client"]["helo"] == "client.example"


def test_parameters_are_passed_as_they_are(site: Site, node: Node):
    site.wire.forget()
    raw = letters.clean(ALICE, "bob@wire.example", tag="after-dsn")
    sender = site.sender(ALICE, through="after_queue")
    mail = Letter(
        sender=ALICE,
        recipients=("bob@wire.example",),
        raw=raw,
        mail_parameters="RET=HDRS ENVID=QQ314159+2Bx",
        rcpt_parameters="NOTIFY=FAILURE,DELAY ORCPT=rfc822;Bob+2Btag@wire.example",
    )
    assert sender.send(mail).code == 250
    sender.close()
    (taken,) = site.wire.wait(1)
    words = taken.mail.split() + list(taken.rcpts[0].split())
    assert {b"RET=HDRS", b"ENVID=QQ314159+2Bx", b"ORCPT=rfc822;Bob+2Btag@wire.example"} <= set(words)
    assert {b"NOTIFY=FAILURE,DELAY"} <= set(words)
    assert taken.data.endswith(raw)


def test_many_mails_over_few_connections(site: Site, node: Node):
    """Postfix's client keeps connections and pipelines; each mail is its own transaction."""
    before = len(site.postfix.elsewhere.read())
    sender = site.sender(ALICE, through="after_queue")
    for n in range(30):
        to = f"many{n}@customers.example"
        assert sender.send(letters.letter(ALICE, to, letters.clean(ALICE, to, tag=f"many{n}"))).code == 250
    sender.close()
    arrived = site.postfix.elsewhere.wait(before + 30)
    ids = {mail.fields("x-filterd-id")[0].split(" ")[0] for mail in arrived}
    assert len(ids) == len(arrived)


def test_postfix_pipelines_and_keeps_its_connections(site: Site, node: Node, tap: Tap):
    """Whole groups in one packet, several mails on one connection, and the replies still fit."""
    count = 25
    sender = site.sender(ALICE, through="after_queue")
    for n in range(count):
        to = tuple(f"group{n}.{m}@customers.example" for m in range(4))
        mail = Letter(sender=ALICE, recipients=to, raw=letters.clean(ALICE, to[0], tag=f"group{n}"))
        assert sender.send(mail).code == 250
    sender.close()
    arrived = site.postfix.elsewhere.wait(4 * count, of=lambda mail: mail.recipient.startswith("group"))
    assert len({mail.fields("x-filterd-id")[0].split(" ")[0] for mail in arrived}) == count
    begun = [heard for heard in tap.heard if heard.packets]
    assert all(b"250-PIPELINING\r\n" in heard.told for heard in begun)
    # RFC 2920 §3.1: MAIL, every RCPT and DATA leave together, with the XFORWARD and RSET of Postfix before them.
    groups = [packet for heard in begun for packet in heard.packets if b"RCPT TO:<group" in packet]
    assert len(groups) == count
    for group in groups:
        assert group.splitlines()[-6][:10] == b"MAIL FROM:"
        assert [line[:4] for line in group.splitlines()[-5:]] == [*[b"RCPT"] * 4, b"DATA"]
    carried = [heard.said.count(b"MAIL FROM:") for heard in begun]
    print(f"mails on each of {len(carried)} connections: {carried}")
    assert max(carried) > 1


def text_of(raw: bytes) -> str:
    body = email.message_from_bytes(raw, policy=email.policy.default).get_body(("plain",))
    return body.get_content() if body is not None else ""


def test_a_virus_is_held_with_a_notice_and_does_not_bounce(site: Site, node: Node):
    sender = site.sender(MALLORY, through="after_queue")
    virus = letters.letter(MALLORY, CUSTOMER, letters.virus(MALLORY, CUSTOMER, tag="after-virus"))
    # The price of this wiring: the client hears 250.
    assert sender.send(virus).code == 250
    sender.close()
    (strike,) = node.wait_rows("strike.issued")
    assert strike.account_id == node.account_id(MALLORY)
    wait_until(lambda: [row["login"] for row in node.call("quarantine.list", all=False)] == [MALLORY], "it is held")
    # Whoever sent it is told.
    site.postfix.mailbox(MALLORY).wait(1, of=lambda mail: "is held until a person has looked" in text_of(mail.raw))
    site.postfix.wait_empty()
    mine = site.postfix.mailbox(MALLORY).read()
    assert [mail for mail in mine if b"multipart/report" in mail.raw] == []
    assert not [mail for mail in site.postfix.elsewhere.read() if b"after-virus" in mail.raw]


def test_while_the_scanner_is_away_mail_waits_in_the_queue(site: Site, node: Node):
    to = "waits@customers.example"
    sender = site.sender(ALICE, through="after_queue")
    site.stop_clamd()
    known = len(site.postfix.log())
    try:
        assert sender.send(letters.letter(ALICE, to, letters.clean(ALICE, to, tag="waits"))).code == 250
        site.postfix.wait_log(r"451 4\.7\.1", since=known)
        assert site.postfix.queued()
    finally:
        site.start_clamd()
        sender.close()
    site.postfix.flush()
    (arrived,) = site.postfix.elsewhere.wait(1, of=lambda mail: mail.recipient == to)
    site.postfix.wait_empty()
    assert arrived.sender == ALICE
