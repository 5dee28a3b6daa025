"""A real Dovecot as the next hop, over LMTP, and a real Postfix in front (ops/postfix/README.md; RFC 2033).

Each recipient is answered by himself behind the dot: one has the mail, one is full, one cannot be written to for now.
Nobody's mail is lost, and nobody gets it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import record_server
from tests.e2e import letters
from tests.e2e.services import add_services
from tests.e2e.site import ALICE, Site
from tests.kit.client import Letter, Sender, SmtpClient
from tests.kit.dovecot import PrivateDovecot
from tests.kit.node import Node
from tests.kit.postfix import PASSWORD
from tests.kit.servers import free_ports
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.e2e

ONE, TWO, FULL, GONE = (f"{name}@dove.example" for name in ("one", "two", "full", "gone"))
# One for each way in: it is locked once.
LOCKED = {door: f"locked-{door}@dove.example" for door in ("lmtp", "smtp")}


@dataclass(frozen=True)
class Doors:
    """filterd's two, in front of the same boxes."""

    lmtp: int
    smtp: int


@pytest.fixture(scope="module")
def dovecot(request: pytest.FixtureRequest) -> Iterator[PrivateDovecot]:
    dovecot = PrivateDovecot(addresses=(ONE, TWO, FULL, *LOCKED.values()), full=(FULL,))
    try:
        dovecot.start()
        record_server(request.config, "dovecot", dovecot.version)
        yield dovecot
    finally:
        dovecot.stop()


@pytest.fixture(scope="module")
def doors(site: Site) -> Doors:
    """As the README says it: over LMTP all recipients in one transaction, over SMTP one each."""
    doors = Doors(*free_ports(2))
    add_services(
        site.postfix,
        "dovelmtp  unix  -  -  n  -  -  lmtp\n"
        "  -o lmtp_tls_security_level=none\n"
        "  -o lmtp_discard_lhlo_keywords=dsn,smtputf8\n"
        "  -o lmtp_line_length_limit=0\n"
        "dovesmtp  unix  -  -  n  -  -  smtp\n"
        "  -o smtp_tls_security_level=none\n"
        "  -o smtp_discard_ehlo_keywords=dsn,smtputf8\n"
        "  -o smtp_line_length_limit=0\n",
    )
    main = site.postfix.etc / "main.cf"
    main.write_text(main.read_text() + "\ndovesmtp_destination_recipient_limit = 1\n")
    return doors


@pytest.fixture
def node(site: Site, make_node: Callable[..., Node], dovecot: PrivateDovecot, doors: Doors) -> Node:
    node = make_node(wiring="after-queue")
    node.config["next_hop"] |= {"address": f"127.0.0.1:{dovecot.port}", "protocol": "lmtp"}
    node.config["notices"]["relay"] = f"127.0.0.1:{site.ports.behind_after_queue}"
    ours = {"hostname": "filterd.example", "direction": "inbound", "attribution": "none"}
    node.config["listener"] = [
        {"name": "lmtp", "port": doors.lmtp, "protocol": "lmtp"} | ours,
        {"name": "smtp", "port": doors.smtp} | ours,
    ]
    return node


def lead_to(site: Site, where: str) -> None:
    """Turn Postfix's mail for these boxes to one of the doors."""
    transport = site.postfix.etc / "transport"
    kept = [line for line in transport.read_text().splitlines() if not line.startswith("dove.example ")]
    transport.write_text("\n".join([*kept, f"dove.example {where}", ""]))
    add_services(site.postfix, "")


@pytest.mark.parametrize("door", ["lmtp", "smtp"])
def test_each_recipient_gets_his_due(site: Site, node: Node, dovecot: PrivateDovecot, doors: Doors, door: str) -> None:
    service = f"dovelmtp:inet:127.0.0.1:{doors.lmtp}" if door == "lmtp" else f"dovesmtp:[127.0.0.1]:{doors.smtp}"
    lead_to(site, service)
    node.start()
    locked = LOCKED[door]
    dovecot.lock(locked)
    try:
        tag = f"dove-{door}"
        raw = letters.clean(ALICE, ONE, tag=tag, language="zh") + b"x" * 3000 + b"\r\n.\r\n..\r\n"
        sender = Sender(port=site.ports.plain, login=ALICE, password=PASSWORD)
        since = len(site.postfix.log())
        boxes = (ONE, locked, FULL, GONE, TWO)
        assert sender.send(Letter(sender=ALICE, recipients=boxes, raw=raw)).code == 250
        sender.close()
        said = {to: site.postfix.wait_log(rf"to=<{to}>, .*status=(\w+) \((.*)\)", since=since)[0] for to in boxes}
        assert {to: status for to, (status, _) in said.items()} == {
            ONE: "sent",
            TWO: "sent",
            locked: "deferred",
            FULL: "bounced",
            GONE: "bounced",
        }
        assert "from MTA(lmtp:[127.0.0.1]:" in said[ONE][1]
        assert "552 5.2.2" in said[FULL][1]
        assert "550 5.1.1" in said[GONE][1]
        assert "451 4.2.0" in said[locked][1]
    finally:
        dovecot.unlock(locked)
    site.postfix.flush()
    site.postfix.wait_empty()
    for box in (ONE, TWO, locked):
        (mine,) = [copy for copy in dovecot.delivered(box) if f"<{tag}@".encode() in copy]
        assert mine.endswith(raw), box
        assert mine.count(b"X-Filterd-Id: ") == 1
    # Over LMTP one judgement for all of them and one for the one tried again; over SMTP one for each.
    decided = node.events("decided")
    assert len(decided) >= (2 if door == "lmtp" else 4)
    fingerprints = {event["message"]["fp"] for event in decided}
    assert len(fingerprints) == 1


def test_a_client_without_patience_hears_452_for_all_but_one(site: Site, node: Node, doors: Doors) -> None:
    node.start()
    with SmtpClient(doors.smtp) as client:
        client.ehlo()
        assert client.ask("MAIL FROM:<a@example.com>").code == 250
        assert client.ask(f"RCPT TO:<{GONE}>").code == 550
        assert client.ask(f"RCPT TO:<{ONE}>").code == 250
        more = client.ask(f"RCPT TO:<{TWO}>")
        assert (more.code, more.enhanced) == (452, "4.5.3")


def test_while_dovecot_is_away_mail_waits(site: Site, node: Node, doors: Doors, dovecot: PrivateDovecot) -> None:
    lead_to(site, f"dovelmtp:inet:127.0.0.1:{doors.lmtp}")
    (closed,) = free_ports(1)
    node.config["next_hop"]["address"] = f"127.0.0.1:{closed}"
    node.start()
    since = len(site.postfix.log())
    sender = Sender(port=site.ports.plain, login=ALICE, password=PASSWORD)
    assert sender.send(letters.letter(ALICE, ONE, letters.clean(ALICE, ONE, tag="dove-away"))).code == 250
    sender.close()
    site.postfix.wait_log(rf"to=<{ONE}>, .*status=deferred .*451 4.4.1 Next hop cannot be reached", since=since)
    node.stop()
    node.config["next_hop"]["address"] = f"127.0.0.1:{dovecot.port}"
    node.start()
    site.postfix.flush()
    wait_until(lambda: any(b"<dove-away@" in copy for copy in dovecot.delivered(ONE)), "the mail is in its box")
    site.postfix.wait_empty()
    assert sum(b"<dove-away@" in copy for copy in dovecot.delivered(ONE)) == 1
