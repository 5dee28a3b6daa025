"""A real Exim as the hop behind filterd, and as the one on both sides of it (ops/exim; MAIL-PATH 4c)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.conftest import record_server
from tests.e2e import letters
from tests.e2e.services import Tap
from tests.e2e.site import ALICE, BOB, CUSTOMER, DOMAINS, MALLORY, Site
from tests.kit.client import Sender, SmtpClient
from tests.kit.exim import SNIPPETS, PrivateExim
from tests.kit.node import Node, merged, read_toml
from tests.kit.postfix import HOSTNAME, PASSWORD
from tests.kit.servers import Taken, WireSink, free_ports
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.e2e

STRANGER = "who@elsewhere.example"
DSN = {
    "mail_parameters": "RET=HDRS ENVID=Case+2BKept",
    "rcpt_parameters": "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Old+2BName@elsewhere.example",
}


@pytest.fixture(scope="module")
def sink() -> Iterator[WireSink]:
    """Where Exim's mail arrives, octet by octet."""
    (port,) = free_ports(1)
    sink = WireSink(port)
    yield sink
    sink.close()


@pytest.fixture(scope="module", params=["smtp", "lmtp"])
def exim(request: pytest.FixtureRequest, sink: WireSink) -> Iterator[PrivateExim]:
    (filterd,) = free_ports(1)
    exim = PrivateExim(filterd=filterd, next_hop=sink.port, domains=DOMAINS, protocol=request.param)
    try:
        exim.start()
        record_server(request.config, "exim", exim.version)
        yield exim
    finally:
        exim.stop()


def settled(exim: PrivateExim, sink: WireSink) -> tuple[Taken, ...]:
    """What has arrived when Exim has nothing left to do."""
    wait_until(lambda: exim.queued() == 0, "Exim's queue is empty")
    return sink.taken


def for_customer(sink: WireSink) -> list[Taken]:
    return [mail for mail in sink.taken if any(CUSTOMER.encode() in rcpt for rcpt in mail.rcpts)]


def header(mail: Taken) -> str:
    return mail.data.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").lower()


# --- filterd in front -------------------------------------------------------------------------------------------------


@dataclass
class Front:
    node: Node
    port: int
    # Between filterd and Exim.
    tap: Tap

    def client(self) -> Sender:
        return Sender(port=self.port)


@pytest.fixture
def front(make_node: Callable[..., Node], exim: PrivateExim, sink: WireSink) -> Iterator[Front]:
    sink.forget()
    port, hop = free_ports(2)
    node = make_node()
    values = {"0.0.0.0": "127.0.0.1", "127.0.0.1:10023": f"127.0.0.1:{hop}", "mail.example.com": HOSTNAME}
    config = read_toml(SNIPPETS / "in-front.toml", values)
    config["listener"][0]["port"] = port
    node.config = merged(node.config, config)
    tap = Tap(hop, to=exim.behind_world)
    node.start()
    yield Front(node, port, tap)
    tap.close()


def test_in_front_clean_mail_arrives_once_with_its_wishes(front: Front, exim: PrivateExim, sink: WireSink) -> None:
    raw = letters.clean(STRANGER, BOB, tag="exim-front", language="zh") + b"\xe4\xb8\xad\r\n.\r\n..\r\n"
    client = front.client()
    assert client.send(letters.letter(STRANGER, BOB, raw, **DSN)).code == 250
    client.close()
    sink.wait(1)
    (mail,) = settled(exim, sink)
    assert mail.data.endswith(b"\r\n" + raw)
    assert mail.mail.startswith(f"MAIL FROM:<{STRANGER}>".encode())
    assert all(word.encode() in mail.mail for word in DSN["mail_parameters"].split())
    (rcpt,) = mail.rcpts
    assert rcpt.startswith(f"RCPT TO:<{BOB}>".encode())
    assert all(word.encode() in rcpt for word in DSN["rcpt_parameters"].split())
    # Exim's id stands in our log: the two can be laid side by side.
    wait_until(lambda: front.node.events("delivered"), "the delivery is told of")
    words = f"{front.node.events('delivered')[0]['queue_id']} => {BOB}"
    wait_until(lambda: words in exim.log(), words)


def test_in_front_nothing_is_sent_that_exim_does_not_offer(front: Front, exim: PrivateExim, sink: WireSink) -> None:
    client = front.client()
    raw = letters.clean(STRANGER, BOB, tag="exim-words")
    assert client.send(letters.letter(STRANGER, BOB, raw)).code == 250
    client.close()
    (heard,) = front.tap.heard
    assert b"XFORWARD" not in heard.told
    commands = [line.split(b" ")[0].upper() for line in heard.said.partition(b"\r\n\r\n")[0].split(b"\r\n")]
    assert b"XFORWARD" not in commands
    assert {b"EHLO", b"MAIL", b"RCPT", b"DATA"} <= set(commands)
    assert b" 500 " not in b" " + heard.told.replace(b"\r\n", b" ")


def test_in_front_a_virus_is_refused_and_so_are_others_domains(front: Front, exim: PrivateExim, sink: WireSink) -> None:
    client = front.client()
    virus = letters.virus(STRANGER, BOB, tag="exim-virus")
    refused = client.send(letters.letter(STRANGER, BOB, virus))
    assert (refused.code, refused.enhanced, refused.after) == (550, "5.7.1", ".")
    # Exim's own word, while the client is there to hear it.
    relayed = client.send(letters.letter(STRANGER, CUSTOMER, letters.clean(STRANGER, CUSTOMER, tag="exim-relay")))
    assert (relayed.code, relayed.after.split()[0]) == (550, "RCPT")
    clean = letters.clean(STRANGER, BOB, tag="exim-after")
    assert client.send(letters.letter(STRANGER, BOB, clean)).code == 250
    client.close()
    sink.wait(1)
    (mail,) = settled(exim, sink)
    assert mail.data.endswith(clean)


# --- filterd behind Exim's queue --------------------------------------------------------------------------------------


@pytest.fixture
def behind(site: Site, make_node: Callable[..., Node], exim: PrivateExim, sink: WireSink) -> Node:
    sink.forget()
    node = make_node()
    values = {"127.0.0.1:10026": f"127.0.0.1:{exim.behind}", "filterd.mail.example.com": f"filterd.{HOSTNAME}"}
    config = read_toml(SNIPPETS / "content-filter.toml", values)
    config["listener"][0] |= {"port": exim.filterd, "protocol": exim.protocol}
    node.config = merged(node.config, config)
    node.start()
    return node


@contextmanager
def logged_in(exim: PrivateExim, login: str) -> Iterator[SmtpClient]:
    with SmtpClient(exim.smtp) as client:
        assert client.ehlo().is_positive
        assert client.login(login, PASSWORD).code == 235
        yield client


def test_behind_the_queue_clean_mail_arrives_once_and_is_its_accounts(
    behind: Node, exim: PrivateExim, sink: WireSink
) -> None:
    forged = f"X-Filterd-Login: {MALLORY}\r\n".encode()
    raw = letters.clean(ALICE, CUSTOMER, tag="exim-behind", language="zh")
    raw += b"".join(b"line %d of many, with \xe4\xb8\xad\r\n.\r\n..\r\n" % n for n in range(5_000))
    with logged_in(exim, ALICE) as client:
        assert client.deliver(letters.letter(ALICE, CUSTOMER, forged + raw, **DSN)).code == 250
    sink.wait(1)
    (mail,) = settled(exim, sink)
    assert mail.data.endswith(b"\r\n" + raw)
    assert "x-filterd-login" not in header(mail)
    assert "x-filterd-id: t_" in header(mail)
    assert all(word.encode() in mail.mail for word in DSN["mail_parameters"].split())
    assert all(word.encode() in mail.rcpts[0] for word in DSN["rcpt_parameters"].split())
    (decided,) = behind.events("decided")
    assert decided["principal"]["basis"] == "header"
    assert decided["principal"]["account_id"] == behind.account_id(ALICE)


def test_behind_the_queue_a_virus_is_kept_and_does_not_bounce(behind: Node, exim: PrivateExim, sink: WireSink) -> None:
    virus = letters.virus(MALLORY, CUSTOMER, tag="exim-behind-virus")
    clean = letters.clean(ALICE, CUSTOMER, tag="exim-behind-after")
    with logged_in(exim, MALLORY) as client:
        assert client.deliver(letters.letter(MALLORY, CUSTOMER, virus)).code == 250
    wait_until(lambda: behind.events("decided"), "the virus is judged")
    wait_until(lambda: exim.queued() == 0, "Exim's queue is empty")
    with logged_in(exim, ALICE) as client:
        assert client.deliver(letters.letter(ALICE, CUSTOMER, clean)).code == 250
    # Notices come as well, each in its time.
    wait_until(lambda: for_customer(sink), "the clean one arrives")
    assert [mail.data.endswith(clean) for mail in for_customer(sink)] == [True]
    # Exim has nothing to tell the sender.
    bounces = [mail for mail in settled(exim, sink) if b"X-Failed-Recipients:" in mail.data]
    assert bounces == []
    assert len(behind.wait_rows("strike.issued")) == 1


def test_behind_the_queue_while_filterd_is_away_mail_waits(behind: Node, exim: PrivateExim, sink: WireSink) -> None:
    raw = letters.clean(ALICE, CUSTOMER, tag="exim-away")
    behind.stop()
    with logged_in(exim, ALICE) as client:
        assert client.deliver(letters.letter(ALICE, CUSTOMER, raw)).code == 250
    wait_until(lambda: "Connection refused" in exim.log(), "Exim has tried")
    assert sink.taken == ()
    behind.start()
    exim.flush()
    sink.wait(1)
    (mail,) = settled(exim, sink)
    assert mail.data.endswith(b"\r\n" + raw)
