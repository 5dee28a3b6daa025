"""Postfix with smtpd_proxy_options=speed_adjust: it takes the whole mail before it asks filterd, so that no recipient
can be refused by itself any more.  MAIL-PATH 4a; `selective_rcpt = false`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e import letters
from tests.e2e.services import add_services
from tests.e2e.site import ALICE, BOB, CUSTOMER, Site
from tests.kit.client import Letter, Reply, Sender
from tests.kit.node import Node
from tests.kit.servers import free_ports

pytestmark = pytest.mark.e2e

STRANGER = CUSTOMER
GONE = b"550 5.1.1 No such mailbox"


@pytest.fixture(scope="module")
def port(site: Site) -> int:
    """A port of Postfix for other servers, as in before-queue.master.cf, with that option."""
    (port,) = free_ports(1)
    service = (
        f"127.0.0.1:{port} inet n - n - 20 smtpd\n"
        "  -o smtpd_sasl_auth_enable=no\n"
        "  -o smtpd_forbid_bare_newline=normalize\n"
        f"  -o smtpd_proxy_filter=127.0.0.1:{site.ports.filterd_mx}\n"
        "  -o smtpd_proxy_options=speed_adjust\n"
    )
    add_services(site.postfix, service, ports=(port,))
    return port


@pytest.fixture
def node(site: Site, make_node: Callable[..., Node]) -> Iterator[Node]:
    """With the recording next hop behind it."""
    node = make_node({"next_hop": {"address": f"127.0.0.1:{site.ports.wire}"}, "spam": {"enabled": False}})
    node.config["listener"][0] |= {"selective_rcpt": False}
    node.start()
    site.wire.forget()
    yield node
    site.wire.rcpt = {}


def send(port: int, raw: bytes, *to: str) -> Reply:
    sender = Sender(port=port)
    try:
        return sender.send(Letter(sender=STRANGER, recipients=to, raw=raw))
    finally:
        sender.close()


def test_a_mail_arrives_for_all_its_recipients(site: Site, node: Node, port: int) -> None:
    raw = letters.clean(STRANGER, ALICE, tag="quick")
    assert send(port, raw, ALICE, BOB).code == 250
    (mail,) = site.wire.wait(1)
    assert [line.split()[1] for line in mail.rcpts] == [f"TO:<{ALICE}>".encode(), f"TO:<{BOB}>".encode()]
    assert mail.data.endswith(raw)


@pytest.mark.parametrize("gone", [b"alice@", b"bob@"], ids=["the first", "the last"])
def test_refused_for_one_it_is_refused_for_all_and_nobody_has_a_copy(
    site: Site, node: Node, port: int, gone: bytes
) -> None:
    """Else Postfix, which has said 250 to each RCPT, would lose the one or double the other."""
    site.wire.rcpt = {gone: GONE}
    reply = send(port, letters.clean(STRANGER, ALICE, tag="slow"), ALICE, BOB)
    assert reply.code == 550, reply
    assert site.wire.taken == ()
    site.wire.rcpt = {}
    assert send(port, letters.clean(STRANGER, ALICE, tag="again"), ALICE, BOB).code == 250
    assert len(site.wire.wait(1)) == 1
