"""LMTP with a real Postfix: as a filter after the queue (ops/postfix/after-queue-lmtp.master.cf), and in the place of
the mailbox server, as Dovecot would stand there.  RFC 2033, MAIL-PATH 4c.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import letters
from tests.e2e.services import add_services
from tests.e2e.site import ALICE, CUSTOMER, MALLORY, Site
from tests.kit.client import Letter, Sender
from tests.kit.node import Node, merged, read_toml
from tests.kit.postfix import HOSTNAME, PASSWORD, SNIPPETS, replaced
from tests.kit.servers import free_ports

pytestmark = pytest.mark.e2e

BOX = "box.example"


@pytest.fixture(scope="module")
def socket_file() -> Iterator[Path]:
    """Where filterd listens: a folder of Postfix's group, as the snippet says."""
    folder = Path(tempfile.mkdtemp(prefix="filterd-lmtp-", dir="/tmp"))
    shutil.chown(folder, group="postfix")
    folder.chmod(0o2750)
    yield folder / "lmtp.sock"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def port(site: Site, socket_file: Path) -> int:
    """A submission port of Postfix that is wired through it."""
    (port,) = free_ports(1)
    service = replaced(
        (SNIPPETS / "after-queue-lmtp.master.cf").read_text(),
        {
            "\nsubmission  ": f"\n127.0.0.1:{port} ",
            "content_filter=scan:unix:/run/filterd/lmtp.sock": f"content_filter=scanlmtp:unix:{socket_file}",
            "\nscan   ": "\nscanlmtp   ",
        },
    )
    # As Debian has it; the snippet's own belongs to the filter.
    service += "lmtp       unix  -  -  n  -  -  lmtp\n"
    add_services(site.postfix, service, transport=f"{BOX} lmtp:unix:{socket_file}\n", ports=(port,))
    return port


def lmtp_node(site: Site, make: Callable[..., Node], socket_file: Path, next_hop: int) -> Node:
    """A node with the operator's file of this wiring."""
    node = make(wiring="after-queue")
    values = {"unix:/run/filterd/lmtp.sock": f"unix:{socket_file}", "mail.example.com": HOSTNAME}
    values |= {"10027": str(site.ports.policy), "127.0.0.1:10026": f"127.0.0.1:{next_hop}"}
    theirs = read_toml(SNIPPETS / "after-queue-lmtp.toml", values)
    node.config = merged(node.config, theirs)
    return node


def test_as_a_filter_after_the_queue(
    site: Site, make_node: Callable[..., Node], socket_file: Path, port: int
) -> None:
    node = lmtp_node(site, make_node, socket_file, site.ports.behind_after_queue)
    node.start()
    assert socket_file.stat().st_mode & 0o777 == 0o660
    assert socket_file.group() == "postfix"
    sender = Sender(port=port, login=ALICE, password=PASSWORD)
    others = tuple(f"lmtp{n}@customers.example" for n in range(5))
    raw = letters.clean(ALICE, CUSTOMER, tag="lmtp", language="zh") + b"x" * 3000 + b"\r\n.\r\n..\r\n"
    assert sender.send(Letter(sender=ALICE, recipients=(CUSTOMER, *others), raw=raw)).code == 250
    arrived = site.postfix.elsewhere.wait(6)
    assert {mail.recipient for mail in arrived} == {CUSTOMER, *others}
    assert {mail.below("received", "x-filterd-id") for mail in arrived} == {raw}
    # One message for filterd, one reply a recipient for Postfix.
    (decided,) = node.events("decided")
    assert decided["principal"]["account_id"] == node.account_id(ALICE)
    assert decided["principal"]["basis"] == "received"
    assert decided["client"]["helo"] == "client.example"
    said = r"postfix/scan/lmtp\[\d+\]: \w+: to=<(\S+)>.*status=sent \((250 2.0.0 from MTA.*)\)"
    lines = site.postfix.wait_log(said, count=6)
    assert sorted(to for to, _ in lines) == sorted((CUSTOMER, *others))
    assert len({reply for _, reply in lines}) == 1
    sender.close()
    node.stop()
    assert not socket_file.exists()


def test_a_virus_is_refused_for_each_of_its_recipients(
    site: Site, make_node: Callable[..., Node], socket_file: Path, port: int
) -> None:
    node = lmtp_node(site, make_node, socket_file, site.ports.behind_after_queue)
    # Behind the queue it would be held.
    node.config["listener"][0]["after_queue"] = False
    node.start()
    sender = Sender(port=port, login=MALLORY, password=PASSWORD)
    others = (CUSTOMER, "second@customers.example")
    raw = letters.virus(MALLORY, CUSTOMER, tag="lmtp-virus")
    assert sender.send(Letter(sender=MALLORY, recipients=others, raw=raw)).code == 250
    sender.close()
    (bounce,) = site.postfix.mailbox(MALLORY).wait(1, of=lambda mail: b"multipart/report" in mail.raw)
    assert bounce.raw.count(b"Diagnostic-Code: smtp; 550 5.7.1") == 2
    assert len(node.wait_rows("strike.issued")) == 1
    assert site.postfix.elsewhere.read() == []


def test_in_the_place_of_the_mailbox_server(
    site: Site, make_node: Callable[..., Node], socket_file: Path, port: int
) -> None:
    """Some recipients are refused at their RCPT, the others share one fate; a retry doubles nothing."""
    node = lmtp_node(site, make_node, socket_file, site.ports.wire)
    node.config["listener"][0] |= {"direction": "inbound", "attribution": "none"}
    node.start()
    site.wire.forget()
    site.wire.rcpt = {b"gone@": b"550 5.1.1 No such mailbox"}
    site.wire.after_dot = b"451 4.3.0 Disk full"
    try:
        sender = Sender(port=site.ports.plain, login=ALICE, password=PASSWORD)
        boxes = tuple(f"{name}@{BOX}" for name in ("one", "gone", "two"))
        raw = letters.clean(ALICE, boxes[0], tag="box")
        assert sender.send(Letter(sender=ALICE, recipients=boxes, raw=raw)).code == 250
        sender.close()
        site.wire.wait(1)
        (bounce,) = site.postfix.mailbox(ALICE).wait(1, of=lambda mail: b"multipart/report" in mail.raw)
        assert b"gone@box.example" in bounce.raw
        assert b"550 5.1.1 No such mailbox" in bounce.raw
        assert b"Final-Recipient: rfc822; one@" not in bounce.raw
        before = len(site.wire.accepted)
        site.wire.after_dot = b"250 2.0.0 Ok"
        site.postfix.flush()
        site.postfix.wait_empty()
        taken = site.wire.accepted[before:]
        # One copy each after the refusal, in however many transactions Postfix tries again.
        rcpts = sorted(line for mail in taken for line in mail.rcpts)
        names = [re.sub(rb"\ARCPT TO:<(\S+)>.*", rb"\1", line) for line in rcpts]
        assert names == [b"one@box.example", b"two@box.example"]
        assert all(mail.data.endswith(raw) and b"X-Spam-Status: No, " in mail.data for mail in taken)
    finally:
        site.wire.rcpt, site.wire.after_dot = {}, b"250 2.0.0 Ok"


def test_workers_share_the_socket(
    site: Site, make_node: Callable[..., Node], socket_file: Path, port: int
) -> None:
    """Opened before they are forked: one that dies takes nothing with it, and its successor listens on the same."""
    node = lmtp_node(site, make_node, socket_file, site.ports.behind_after_queue)
    node.workers = 2
    node.start()
    sender = Sender(port=port, login=ALICE, password=PASSWORD)
    for n in range(20):
        assert sender.send(letters.letter(ALICE, CUSTOMER, letters.clean(ALICE, CUSTOMER, tag=f"w{n}"))).code == 250
    site.postfix.elsewhere.wait(20)
    node.kill_child("worker")
    for n in range(20, 25):
        assert sender.send(letters.letter(ALICE, CUSTOMER, letters.clean(ALICE, CUSTOMER, tag=f"w{n}"))).code == 250
    site.postfix.elsewhere.wait(25)
    sender.close()
    assert node.stop() == 0
    assert not socket_file.exists()
