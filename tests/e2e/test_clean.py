"""Clean mail arrives as without filterd, to the octet below the added fields.  HOUSE rule 10, MAIL-PATH 4j 2 and 3.

Every mail goes twice through the same Postfix: by the port without a filter, and by the one with filterd before the
queue.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from tests.e2e import letters
from tests.e2e.site import ALICE, CUSTOMER, Site
from tests.kit.client import Letter
from tests.kit.dkim_keys import DkimKey
from tests.kit.mailbox import Arrived
from tests.kit.node import Node

# What Postfix and filterd put on top.
ADDED = ("received", "x-filterd-id")


@pytest.fixture(scope="module")
def node(make_module_node: Callable[..., Node]) -> Node:
    node = make_module_node()
    node.start()
    return node


@pytest.fixture(scope="module")
def key() -> DkimKey:
    return DkimKey.make("corp.example")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A sort of mail: the octets, what stands behind MAIL, and the recipient."""

    name: str
    raw: bytes
    parameters: str = ""
    to: str = CUSTOMER
    sender: str = ALICE


def _mail(body: bytes, *fields: bytes, tag: str) -> bytes:
    head = [
        b"From: <alice@corp.example>",
        b"To: <customer@customers.example>",
        b"Subject: Quotation",
        b"Date: Sun, 22 Nov 2026 10:00:00 +0800",
        b"Message-ID: <" + tag.encode() + b"@corp.example>",
        b"MIME-Version: 1.0",
    ]
    return b"\r\n".join([*head, *(fields or (b"Content-Type: text/plain; charset=us-ascii",)), b"", body])


UTF8 = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit"
GBK = b"Content-Type: text/plain; charset=gbk\r\nContent-Transfer-Encoding: 8bit"
KINDS = (
    Kind(name="ascii", raw=_mail(b"Dear all,\r\nsee you on Tuesday.\r\n", tag="ascii")),
    Kind(name="utf-8", raw=_mail("您好！周二见。\r\n".encode(), UTF8, tag="utf8"), parameters="BODY=8BITMIME"),
    Kind(name="gbk", raw=_mail("您好！周二见。\r\n".encode("gbk"), GBK, tag="gbk"), parameters="BODY=8BITMIME"),
    Kind(name="8-bit unannounced", raw=_mail(b"caf\xe9 \xff\xfe\r\n", tag="raw8")),
    Kind(name="dots", raw=_mail(b".\r\n..\r\n.start\r\nmiddle.\r\n...\r\n\r\n.\r\n", tag="dots")),
    Kind(name="white space", raw=_mail(b" \t trailing \t \r\n\r\n\r\n\t\r\nend\r\n\r\n\r\n", tag="white")),
    Kind(
        name="long lines", raw=_mail(b"x" * 998 + b"\r\n" + b"y" * 2048 + b"\r\n" + b"z" * 70_000 + b"\r\n", tag="long")
    ),
    Kind(name="empty body", raw=_mail(b"", tag="empty")),
    Kind(
        name="folded fields",
        raw=_mail(b"a\r\n", b"X-Folded: one\r\n\ttwo\r\n  three", b"x-CASE:no space", b"X-Empty:", tag="folded"),
    ),
    Kind(name="null sender", raw=_mail(b"I am away.\r\n", tag="null"), sender=""),
    Kind(
        name="smtputf8",
        raw=_mail("周二见。\r\n".encode(), "X-Name: 爱丽丝".encode(), UTF8, tag="eai"),
        parameters="SMTPUTF8 BODY=8BITMIME",
        to="中文@例子.example",
        sender="爱丽丝@corp.example",
    ),
    Kind(name="english letter", raw=letters.clean(ALICE, CUSTOMER, tag="letter-en"), parameters="BODY=8BITMIME"),
    Kind(
        name="chinese letter",
        raw=letters.clean(ALICE, CUSTOMER, tag="letter-zh", language="zh"),
        parameters="BODY=8BITMIME",
    ),
)


def _arrivals(site: Site, through: str, letter: Letter) -> Arrived:
    sender = site.sender(ALICE, through=through)
    reply = sender.send(letter)
    sender.close()
    assert reply.code == 250, f"{through}: {reply}"
    site.postfix.wait_empty()
    (arrived,) = site.postfix.elsewhere.read()
    arrived.file.unlink()
    return arrived


@pytest.mark.e2e
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_clean_mail_is_the_same_with_and_without_us(site: Site, node: Node, key: DkimKey, kind: Kind):
    raw = key.sign(kind.raw)
    letter = Letter(sender=kind.sender, recipients=(kind.to,), raw=raw, mail_parameters=kind.parameters)
    plain = _arrivals(site, "plain", letter)
    ours = _arrivals(site, "submission", letter)

    assert ours.below(*ADDED) == plain.below(*ADDED) == raw
    assert (ours.sender, ours.recipient) == (plain.sender, plain.recipient) == (kind.sender, kind.to)
    assert key.verifies(plain.raw)
    assert key.verifies(ours.raw)
    # Ours: one trace field, between Postfix's two Received.
    assert re.findall(rb"^([A-Za-z-]+):", ours.raw[: -len(raw)], re.MULTILINE) == [
        b"Received",
        b"X-Filterd-Id",
        b"Received",
    ]


@pytest.mark.e2e
def test_what_arrived_is_in_the_event_stream_and_gave_nobody_anything(site: Site, node: Node):
    letter = letters.letter(ALICE, CUSTOMER, letters.clean(ALICE, CUSTOMER, tag="told"))
    arrived = _arrivals(site, "submission", letter)

    (trace,) = arrived.fields("x-filterd-id")
    tx = trace.split(" ")[0]
    told = {event["event"]: event for event in node.events() if event["tx"] == tx}
    assert sorted(told) == ["decided", "delivered"]
    assert told["decided"]["decision"]["disposition"] == "accept"
    assert told["decided"]["principal"]["basis"] == "received"
    assert told["decided"]["principal"]["account_id"] == node.account_id(ALICE)
    assert told["decided"]["message"]["fp"] == trace.split("fp=")[1]
    # Postfix's queue id, so that the two logs can be laid side by side.
    site.postfix.wait_log(f"{told['delivered']['queue_id']}: ")
    assert node.rows("violation.recorded", "strike.issued", "sanction.imposed") == []


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("mail", "rcpt"),
    [
        ("RET=HDRS ENVID=QQ314159+2Bx", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Btag@wire.example"),
        ("RET=FULL ENVID=lower+3Dcase BODY=8BITMIME", "NOTIFY=FAILURE"),
        ("", "NOTIFY=NEVER"),
        ("SMTPUTF8 BODY=8BITMIME", ""),
    ],
)
def test_parameters_are_passed_as_they_are(site: Site, node: Node, mail: str, rcpt: str):
    raw = _mail("周二见。\r\n".encode(), UTF8, tag="dsn")
    letter = Letter(sender=ALICE, recipients=("bob@wire.example",), raw=raw, mail_parameters=mail, rcpt_parameters=rcpt)
    taken = []
    for through in ("plain", "submission"):
        site.wire.forget()
        sender = site.sender(ALICE, through=through)
        assert sender.send(letter).code == 250
        sender.close()
        taken.append(site.wire.wait(1)[0])
    plain, ours = (replace(x, mail=re.sub(rb" SIZE=\d+", b"", x.mail), data=x.data[-len(raw) :]) for x in taken)

    assert ours == plain
    assert ours.data == raw
    for word in [w for w in (mail + " " + rcpt).split() if w != "SMTPUTF8"]:
        assert word.encode() in ours.mail + b" " + ours.rcpts[0]


@pytest.mark.e2e
def test_a_recipient_the_next_hop_refuses_is_refused_to_the_client(site: Site, node: Node):
    """The filter hands each RCPT on, and Postfix's own checks come first: nobody bounces anything."""
    sender = site.sender(ALICE)
    replies = sender.connect().envelope(
        Letter(sender=ALICE, recipients=("broken@@customers.example", CUSTOMER), raw=b"")
    )
    sender.close()
    assert [reply.code // 100 for reply in replies] == [2, 5, 2]
