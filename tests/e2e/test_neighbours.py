"""Next hop and scanner at their worst, as the client of the Postfix in front sees it.  FAULTS rows 3-6 and 8-10.

Whatever happens behind us, 250 means that the next hop has said 250, and nothing unscanned passes as clean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e import letters
from tests.e2e.site import ALICE, CUSTOMER, Site
from tests.kit.client import Letter, Reply
from tests.kit.node import Node, merged
from tests.kit.servers import OddScanner, WireSink, free_ports
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def hop() -> Iterator[WireSink]:
    hop = WireSink(free_ports(1)[0])
    yield hop
    hop.close()


@pytest.fixture(scope="module")
def scanner() -> Iterator[OddScanner]:
    scanner = OddScanner(free_ports(1)[0])
    yield scanner
    scanner.close()


@pytest.fixture(scope="module")
def module_node(make_module_node: Callable[..., Node], hop: WireSink, scanner: OddScanner) -> Node:
    """A node between odd neighbours."""
    node = make_module_node(
        {
            "next_hop": {"address": f"127.0.0.1:{hop.port}"},
            "clamd": {"address": f"tcp:127.0.0.1:{scanner.port}"},
        }
    )
    node.start()
    return node


@contextmanager
def _with(node: Node, changes: dict[str, Any]) -> Iterator[None]:
    """Start it anew with other settings, and as it was afterwards."""
    before = node.config
    node.stop()
    node.config = merged(before, changes)
    node.start()
    try:
        yield
    finally:
        node.stop()
        node.config = before
        node.start()


@pytest.fixture
def node(module_node: Node, hop: WireSink, scanner: OddScanner) -> Iterator[Node]:
    """The same, its neighbours well behaved to begin with."""
    hop.rcpt, hop.after_dot, hop.pause_s = {}, b"250 2.0.0 Ok", 0.0
    scanner.reply, scanner.is_cut, scanner.streams = b"stream: OK\0", False, 0
    hop.forget()
    yield module_node
    # An error of somebody else's is nobody's violation (HOUSE rule 3).
    assert module_node.rows("violation.recorded") == []


def _letter(tag: str, *recipients: str) -> Letter:
    to = recipients or (CUSTOMER,)
    return Letter(sender=ALICE, recipients=to, raw=letters.clean(ALICE, to[0], tag=tag))


def _send(site: Site, letter: Letter) -> Reply:
    sender = site.sender(ALICE)
    reply = sender.send(letter)
    sender.close()
    return reply


# --- the next hop -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["451 4.3.0 Not now", "452 4.3.1 Disk full", "554 5.6.0 Not this", "550 5.7.1 Never"])
def test_what_the_next_hop_says_to_the_dot_is_what_the_client_reads(site: Site, node: Node, hop: WireSink, said: str):
    hop.after_dot = said.encode()
    reply = _send(site, _letter(f"dot{said[:3]}"))
    assert str(reply) == f"{said} (after .)"
    (last,) = [e for e in node.events("refused", "delivered") if e["tx"] == node.events("decided")[-1]["tx"]]
    assert (last["event"], last["by"]) == ("refused", "next_hop")


def test_each_recipient_gets_its_own_answer(site: Site, node: Node, hop: WireSink):
    hop.rcpt = {b"gone": b"550 5.1.1 No such user", b"full": b"452 4.2.2 Mailbox full"}
    mail = _letter("each", "here@customers.example", "gone@customers.example", "full@customers.example")
    sender = site.sender(ALICE)
    replies = sender.connect().envelope(mail)
    last = sender.connect().data(mail.raw)
    sender.close()
    assert [reply.code for reply in replies] == [250, 250, 550, 452]
    assert [reply.enhanced for reply in replies[2:]] == ["5.1.1", "4.2.2"]
    assert last.code == 250
    (taken,) = hop.taken
    assert [rcpt.split(b"@")[0] for rcpt in taken.rcpts] == [b"RCPT TO:<here"]
    assert node.events("delivered")[-1]["refused_recipients"] == 1


def test_a_next_hop_that_hangs_up_after_the_dot(site: Site, node: Node, hop: WireSink):
    """Nobody knows whether it has the mail: 451, so that it is tried again, and the stream says so."""
    hop.after_dot = b""
    reply = _send(site, _letter("hangup"))
    assert reply.code == 451, reply
    assert len(hop.taken) == 1
    (failed,) = [e for e in node.events("relay_failed") if e["tx"] == node.events("decided")[-1]["tx"]]
    assert failed["is_unknown"] is True


def test_a_next_hop_that_stalls_after_the_dot(site: Site, node: Node, hop: WireSink):
    # Far longer than anybody waits: 250 would come from it alone.
    hop.pause_s = 3600
    with _with(node, {"next_hop": {"data_timeout_s": 10}}):
        reply = _send(site, _letter("stall"))
        assert reply.code == 451, reply
        # Once its dot is out, a mail is never sent a second time on our own account.
        assert len(hop.wait(1)) == 1
        hop.pause_s = 0
        assert _send(site, _letter("after")).code == 250
    assert len(hop.taken) == 2


def test_a_next_hop_that_is_not_there(site: Site, node: Node, hop: WireSink):
    with _with(node, {"next_hop": {"address": f"127.0.0.1:{free_ports(1)[0]}"}}):
        assert _send(site, _letter("absent")).code == 451
    assert _send(site, _letter("present")).code == 250


# --- the scanner ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [b"stream: Something else\0", b"stream: O", b"", b"\xff\xfe\0", b"stream: OK\n", b"UNKNOWN COMMAND\0"],
    ids=["garbage", "half", "nothing", "octets", "another end", "another command"],
)
def test_what_is_no_answer_is_not_clean(site: Site, node: Node, hop: WireSink, scanner: OddScanner, said: bytes):
    scanner.reply = said
    reply = _send(site, _letter(f"odd{len(said)}"))
    assert (reply.code, reply.enhanced) == (451, "4.7.1"), reply
    assert hop.taken == ()


def test_beyond_the_scanners_limit_is_said_so(site: Site, node: Node, hop: WireSink, scanner: OddScanner):
    """Neither clean nor an error: `virus.unscannable.size`, which the agreement makes advisory."""
    scanner.reply = b"INSTREAM size limit exceeded. ERROR\0"
    assert _send(site, _letter("size")).code == 250
    (clamd,) = [check for check in node.events("decided")[-1]["checks"] if check["check"] == "clamd"]
    assert (clamd["outcome"], [f["code"] for f in clamd["findings"]]) == ("found", ["virus.unscannable.size"])


def test_a_scanner_that_restarts_in_mid_stream_is_asked_once_more(
    site: Site, node: Node, hop: WireSink, scanner: OddScanner
):
    scanner.is_cut = True
    reply = _send(site, _letter("cut"))
    assert (reply.code, reply.enhanced) == (451, "4.7.1"), reply
    assert scanner.streams == 2
    assert hop.taken == ()


def test_a_silent_scanner_holds_up_nobody_else(site: Site, node: Node, hop: WireSink, scanner: OddScanner):
    """Mail waits for it; whoever only talks is answered meanwhile."""
    scanner.reply = None
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(_send, site, _letter(f"silent{n}")) for n in range(4)]
        wait_until(lambda: scanner.streams == 4, "all are with the scanner")
        talk = site.sender(ALICE)
        client = talk.connect()
        client.ask(f"MAIL FROM:<{ALICE}>")
        for n in range(20):
            assert client.ask(f"RCPT TO:<r{n}@customers.example>").code == 250
        talk.close()
        assert not any(future.done() for future in waiting)
        scanner.speak(b"stream: OK\0")
        assert {future.result().code for future in waiting} == {250}


def test_a_silent_scanner_is_not_clean(site: Site, node: Node, hop: WireSink, scanner: OddScanner):
    scanner.reply = None
    with _with(node, {"clamd": {"timeout_s": 1}}):
        reply = _send(site, _letter("silent"))
    assert (reply.code, reply.enhanced) == (451, "4.7.1"), reply
    assert hop.taken == ()
