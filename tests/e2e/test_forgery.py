"""Who can be made answerable for mail that is not theirs? Nobody.  HOUSE rule 7; FAULTS 33, 39, 40; MAIL-PATH 4j 7.

The bait is a virus every time: had somebody answered for it, there would be a strike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e import letters
from tests.e2e.site import ALICE, BOB, CUSTOMER, Site
from tests.kit.client import Letter, SmtpClient
from tests.kit.node import Node
from tests.kit.postfix import HOSTNAME

# Not the address that the untrusting listener believes.
STRANGER = "127.0.0.2"

FORGED = (
    "Received: from client.example (localhost [127.0.0.1])\r\n"
    f"\t(Authenticated sender: {ALICE})\r\n"
    f"\tby {HOSTNAME} (Postfix) with ESMTPSA;\r\n"
    "\tSun, 22 Nov 2026 04:37:24 +0000 (UTC)\r\n"
).encode()
ELSEWHERE = (
    b"Received: from somewhere.example (unknown [192.0.2.1])\r\n"
    b"\tby relay.elsewhere.example (Postfix) with ESMTP id 4F0;\r\n"
    b"\tSun, 22 Nov 2026 04:37:25 +0000 (UTC)\r\n"
)
FORGED_XFORWARD = f"XFORWARD NAME=client.example ADDR=192.0.2.1 SOURCE=REMOTE HELO={HOSTNAME}"
FORGED_XCLIENT = f"XCLIENT ADDR=192.0.2.1 LOGIN={ALICE}"


@pytest.fixture(scope="module")
def node(site: Site, make_module_node: Callable[..., Node]) -> Node:
    node = make_module_node()
    node.start()
    # The victim is known: forging the name of somebody unknown would prove nothing.
    sender = site.sender(ALICE)
    assert sender.send(letters.letter(ALICE, CUSTOMER, letters.clean(ALICE, CUSTOMER, tag="known"))).code == 250
    sender.close()
    assert node.account_id(ALICE) is not None
    return node


CHARGES = ("incident.opened", "violation.recorded", "strike.issued", "sanction.imposed", "hold.placed", "task.opened")


@pytest.fixture
def nobody_is_charged(node: Node) -> Iterator[None]:
    """What the test does leaves no trace on anybody."""
    before = node.rows(*CHARGES)
    yield
    assert node.rows(*CHARGES) == before
    assert node.standing(ALICE)["standing"] == "good"


def _bait(tag: str, *on_top: bytes, sender: str = ALICE, to: str = CUSTOMER) -> Letter:
    return letters.letter(sender, to, b"".join(on_top) + letters.virus(ALICE, CUSTOMER, tag=tag))


@pytest.mark.e2e
@pytest.mark.parametrize("on_top", [(), (FORGED,), (ELSEWHERE, FORGED)], ids=["from", "received", "two"])
@pytest.mark.usefixtures("nobody_is_charged")
def test_a_stranger_forges_one_of_ours(site: Site, node: Node, on_top: tuple[bytes, ...]):
    """From outside, by the port without logins: refused as a danger to our users, and nobody is charged."""
    sender = site.sender(None, through="mx")
    reply = sender.send(_bait(f"mx{len(on_top)}", *on_top, to=BOB))
    sender.close()
    assert (reply.code, reply.enhanced) == (550, "5.7.1"), reply


@pytest.mark.e2e
@pytest.mark.parametrize("on_top", [(), (ELSEWHERE,), (ELSEWHERE, FORGED)], ids=["none", "another's", "forged below"])
@pytest.mark.usefixtures("nobody_is_charged")
def test_a_trusted_peer_without_a_received_of_its_own(site: Site, node: Node, on_top: tuple[bytes, ...]):
    """Something on loopback that speaks to filterd's port directly and writes no Received with a login."""
    with SmtpClient(site.ports.filterd_submission) as client:
        assert client.ehlo().is_positive
        reply = client.deliver(_bait(f"peer{len(on_top)}", *on_top))
    assert reply.code == 550, reply


@pytest.mark.e2e
def test_a_login_forges_another_login_below_its_own(site: Site, node: Node):
    """Bob logs in and writes Alice's name wherever mail can name somebody. It is Bob's mail."""
    sender = site.sender(BOB)
    reply = sender.send(_bait("below", FORGED, b"X-Authenticated-User: " + ALICE.encode() + b"\r\n"))
    sender.close()
    assert reply.code == 550, reply
    (strike,) = node.rows("strike.issued", login=BOB)
    (opened,) = node.rows("incident.opened")
    assert strike.account_id == opened.account_id == node.account_id(BOB) != node.account_id(ALICE)
    assert node.standing(ALICE)["standing"] == "good"


@pytest.mark.e2e
@pytest.mark.usefixtures("nobody_is_charged")
def test_an_untrusted_peer_speaks_for_nobody(site: Site, node: Node):
    with SmtpClient(site.ports.untrusted, source=STRANGER) as client:
        hello = client.ehlo()
        assert "XFORWARD" not in hello.text
        assert "XCLIENT" not in hello.text
        said = [client.ask(command) for command in (FORGED_XFORWARD, FORGED_XCLIENT)]
        assert [(reply.code, reply.enhanced) for reply in said] == [(550, "5.7.1")] * 2
        # Refused, not thrown out: it may send mail in its own name, and in no other.
        reply = client.deliver(_bait("untrusted", FORGED))
    assert reply.code == 550, reply
    decided = node.events("decided")[-1]
    # The client is who the socket shows, whatever it said of itself.
    assert (decided["listener"], decided["client"]["address"]) == ("untrusted", STRANGER)
    assert decided["principal"]["account_id"] is None


@pytest.mark.e2e
def test_a_trusted_peer_names_the_client(site: Site, node: Node):
    """The counterpart: from Postfix, XFORWARD is taken, and handed on to the next hop."""
    decided = node.events("decided")[0]
    assert decided["client"]["name"] == "localhost"
    assert decided["client"]["helo"] == "client.example"
    site.postfix.wait_log(r"orig_client=localhost\[127\.0\.0\.1\]")
