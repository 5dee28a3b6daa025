"""A real Sendmail 8.17 that asks filterd by milter (ops/sendmail/filterd.mc; MAIL-PATH 4d, 4j)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import record_server
from tests.e2e import letters
from tests.e2e.site import ALICE, APPEALS, BOB, CUSTOMER, MALLORY, Site
from tests.kit.client import Letter, Reply, Sender, SmtpClient
from tests.kit.node import Node, merged, read_toml
from tests.kit.postfix import HOSTNAME, PASSWORD
from tests.kit.sendmail import SNIPPETS, PrivateSendmail
from tests.kit.servers import Taken, WireSink, free_ports
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.e2e

STRANGER = "who@elsewhere.example"


@pytest.fixture(scope="module")
def sink() -> Iterator[WireSink]:
    """Where Sendmail's mail arrives, octet by octet."""
    (port,) = free_ports(1)
    sink = WireSink(port)
    yield sink
    sink.close()


@pytest.fixture(scope="module")
def sendmail(pytestconfig: pytest.Config, sink: WireSink) -> Iterator[PrivateSendmail]:
    (milter,) = free_ports(1)
    sendmail = PrivateSendmail(milter=milter, next_hop=sink.port, logins=(ALICE, MALLORY))
    try:
        sendmail.start()
        record_server(pytestconfig, "sendmail", sendmail.version)
        yield sendmail
    finally:
        sendmail.stop()


@pytest.fixture
def node(site: Site, make_node: Callable[..., Node], sendmail: PrivateSendmail, sink: WireSink) -> Node:
    sink.forget()
    # Notices go at once: nobody waits a minute for more of the same.
    node = make_node({"notices": {"merge_s": 0}})
    values = {"inet:10028@127.0.0.1": f"inet:{sendmail.milter}@127.0.0.1", "mail.example.com": HOSTNAME}
    values |= {"127.0.0.1:10026": f"127.0.0.1:{sendmail.behind}"}
    node.config = merged(node.config, read_toml(SNIPPETS / "filterd.toml", values))
    node.start()
    return node


@contextmanager
def logged_in(sendmail: PrivateSendmail, login: str) -> Iterator[SmtpClient]:
    with SmtpClient(sendmail.smtp) as client:
        assert client.greeting.is_positive
        assert client.ehlo().is_positive
        assert client.login(login, PASSWORD).code == 235
        yield client


def by_stranger(sendmail: PrivateSendmail, raw: bytes, to: str = BOB) -> Reply:
    client = Sender(port=sendmail.smtp)
    reply = client.send(letters.letter(STRANGER, to, raw))
    client.close()
    return reply


def values(mail: Taken, name: str) -> list[str]:
    """The fields of this name, unfolded."""
    header = mail.data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    lines = header.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n")
    found = (line.partition(":") for line in lines)
    return [value.strip() for field, _, value in found if field.lower() == name]


def tags_for(sink: WireSink, recipient: str) -> list[str]:
    """The Message-IDs of what has arrived for somebody."""
    mine = [mail for mail in sink.taken if any(f"<{recipient}>".encode() in rcpt for rcpt in mail.rcpts)]
    return [tag for mail in mine for tag in values(mail, "message-id")]


def test_an_accounts_clean_mail(sendmail: PrivateSendmail, node: Node, sink: WireSink) -> None:
    raw = letters.clean(ALICE, CUSTOMER, tag="sendmail", language="zh")
    raw += b"".join(b"line %d of many, with \xe4\xb8\xad\r\n.\r\n..\r\n" % n for n in range(5_000))
    with logged_in(sendmail, ALICE) as client:
        for _ in range(2):
            assert client.deliver(letters.letter(ALICE, CUSTOMER, raw)).code == 250
    arrived = sink.wait(2)
    decided = node.events("decided")
    assert [event["principal"]["basis"] for event in decided] == ["sasl", "sasl"]
    assert {event["principal"]["account_id"] for event in decided} == {node.account_id(ALICE)}
    assert {values(mail, "x-filterd-id")[0].split()[0] for mail in arrived} == {event["tx"] for event in decided}
    assert all(mail.data.endswith(b"\r\n" + raw) for mail in arrived)
    # The queue id is Sendmail's own: it stands in its Received field, and the two logs can be laid side by side.
    wait_until(lambda: len(node.events("delivered")) == 2, "both are told of")
    received = " ".join(values(mail, "received")[0] for mail in arrived)
    assert all(f" id {event['queue_id']} " in received for event in node.events("delivered"))


def test_forged_marks_of_strangers_go(sendmail: PrivateSendmail, node: Node, sink: WireSink) -> None:
    innocent = letters.clean(STRANGER, BOB, tag="sendmail-marked")
    kept = b"Authentication-Results: other.example; dkim=fail\r\n"
    results = b"Authentication-Results: " + HOSTNAME.encode() + b"; dkim=pass\r\n"
    forged = b"X-Spam-Flag: YES\r\nX-Spam-Flag: YES\r\n" + results + kept + results + b"X-Spam-Status: No\r\n"
    assert by_stranger(sendmail, forged + innocent).code == 250
    (mail,) = sink.wait(1)
    assert values(mail, "x-spam-flag") == []
    assert "No" not in values(mail, "x-spam-status")
    ours, theirs = values(mail, "authentication-results")
    assert ours.startswith(f"{HOSTNAME};")
    assert "dkim=pass" not in ours
    assert theirs == "other.example; dkim=fail"
    assert mail.data.endswith(kept + innocent)
    assert node.rows() == []


def test_spam_of_strangers_is_marked(sendmail: PrivateSendmail, node: Node, sink: WireSink) -> None:
    assert by_stranger(sendmail, letters.advert(STRANGER, BOB, number=1, seed="milter", language="zh")).code == 250
    (mail,) = sink.wait(1)
    assert values(mail, "x-spam-flag") == ["YES"]


def test_a_virus_is_refused_and_the_ladder_climbs(sendmail: PrivateSendmail, node: Node, sink: WireSink) -> None:
    with logged_in(sendmail, MALLORY) as client:
        raw = letters.virus(MALLORY, CUSTOMER, tag="sendmail-virus")
        refused = client.deliver(letters.letter(MALLORY, CUSTOMER, raw))
        assert (refused.code, refused.enhanced, refused.after) == (550, "5.7.1", ".")
        assert len(node.wait_rows("strike.issued")) == 1
        # What comes after it on the connection is judged for itself.
        after = letters.clean(MALLORY, CUSTOMER, tag="sendmail-after-virus")
        assert client.deliver(letters.letter(MALLORY, CUSTOMER, after)).code == 250
    # Notices come as well, each in its time.
    wait_until(lambda: tags_for(sink, CUSTOMER), "the second one arrives")
    assert tags_for(sink, CUSTOMER) == ["<sendmail-after-virus@corp.example>"]
    # What filterd itself writes goes by a port without a milter, and is not judged.
    wait_until(lambda: tags_for(sink, MALLORY), "the notice arrives")
    assert len(node.events("decided")) == 2


def test_a_suspended_account_is_refused_at_rcpt_and_reaches_the_desk(
    sendmail: PrivateSendmail, node: Node, sink: WireSink
) -> None:
    with logged_in(sendmail, MALLORY) as client:
        first = letters.letter(MALLORY, CUSTOMER, letters.clean(MALLORY, CUSTOMER, tag="sendmail-before"))
        assert client.deliver(first).code == 250
        node.tokens["dana"] = node.cli("person", "add", "dana", "--role", "moderator", "--json")["token"]
        command = ["sanction", "impose", MALLORY, "--rung", "suspend", "--hours", "24", "--clause", "4.3.1"]
        node.cli(*command, "--reason", "test", "--json", person="dana")
        # The session is the one that was open before.
        mail, customer, desk = client.envelope(Letter(sender=MALLORY, recipients=(CUSTOMER, APPEALS), raw=b""))
        assert mail.code == 250
        assert (customer.code, customer.enhanced, customer.after) == (550, "5.7.13", "RCPT")
        assert desk.code == 250
        assert client.data(letters.clean(MALLORY, APPEALS, tag="sendmail-appeal")).code == 250
    wait_until(
        lambda: (
            [mail.rcpts for mail in sink.taken if b"<sendmail-appeal@corp.example>" in mail.data]
            == [(f"RCPT To:<{APPEALS}>".encode(),)]
        ),
        "the desk has it, and nobody else",
    )


def test_while_filterd_is_away_nothing_is_taken_and_nothing_refused_for_good(
    sendmail: PrivateSendmail, node: Node, sink: WireSink
) -> None:
    raw = letters.clean(STRANGER, BOB, tag="sendmail-away")
    node.stop()
    assert by_stranger(sendmail, raw).code // 100 == 4
    node.start()
    client = Sender(port=sendmail.smtp)
    client.send_until_settled(letters.letter(STRANGER, BOB, raw))
    client.close()
    (mail,) = sink.wait(1)
    assert values(mail, "message-id") == ["<sendmail-away@elsewhere.example>"]
