"""A real Postfix that hands its mail to filterd only through TLS (smtp_tls_security_level=encrypt).  RFC 3207."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dialogs.tls import write_certificate
from tests.e2e import letters
from tests.e2e.services import add_services
from tests.e2e.site import ALICE, CUSTOMER, Site
from tests.kit.client import Sender, SmtpClient
from tests.kit.node import Node, NodeError
from tests.kit.postfix import PASSWORD, SNIPPETS, replaced
from tests.kit.servers import free_ports

pytestmark = pytest.mark.e2e

# Postfix's word for a certificate that bears the right name and hangs on the right root.
BETWEEN = r"postfix/scan/smtp\[\d+\]: Verified TLS connection established to 127\.0\.0\.1\S+ (\S+) with"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Certificates; Postfix reads one of them."""
    folder = Path(tempfile.mkdtemp(prefix="filterd-tls-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def ports(site: Site, folder: Path) -> tuple[int, int]:
    """Postfix's submission port, and filterd's listener that it leads to: the snippet, with TLS and the certificate
    checked in place of smtp_tls_security_level=none."""
    write_certificate(folder, name="filterd.example")
    front, door = free_ports(2)
    tls = "\n  -o ".join(
        (
            "smtp_tls_security_level=secure",
            f"smtp_tls_CAfile={folder}/tls.crt",
            "smtp_tls_secure_cert_match=filterd.example",
            "smtp_tls_loglevel=1",
        )
    )
    after = replaced(
        (SNIPPETS / "after-queue.master.cf").read_text(),
        {
            "\nsubmission  ": f"\n127.0.0.1:{front} ",
            "content_filter=scan:127.0.0.1:10025": f"content_filter=scantls:127.0.0.1:{door}",
            "\nscan   ": "\nscantls   ",
            "smtp_tls_security_level=none": tls,
        },
    )
    add_services(site.postfix, after[: after.index("# Back from filterd")], ports=(front,))
    return front, door


def test_through_tls_or_not_at_all(site: Site, make_node: Callable[..., Node], folder: Path, ports: tuple[int, int]):
    front, door = ports
    node = make_node(wiring="after-queue")
    listener = node.config["listener"][0]
    listener["port"] = door
    node.start()
    # No certificate, no STARTTLS: Postfix keeps the mail.
    sender = Sender(port=front, login=ALICE, password=PASSWORD)
    raw = letters.clean(ALICE, CUSTOMER, tag="tls", language="zh")
    known = len(site.postfix.log())
    assert sender.send(letters.letter(ALICE, CUSTOMER, raw)).code == 250
    site.postfix.wait_log(r"TLS is required, but was not offered by host 127\.0\.0\.1", since=known)
    assert site.postfix.elsewhere.read() == []
    node.stop()
    listener |= {
        "tls_certificate": str(folder / "tls.crt"),
        "tls_key": str(folder / "tls.key"),
        "tls_required": True,
    }
    node.start()
    site.postfix.flush()
    (arrived,) = site.postfix.elsewhere.wait(1)
    assert arrived.below("received", "x-filterd-id") == raw
    assert site.postfix.wait_log(BETWEEN)[-1].startswith("TLSv1.")
    # In clear text nobody gets a mail in, loopback or not.
    with SmtpClient(door) as client:
        assert "STARTTLS" in client.ehlo().text
        assert client.ask("MAIL FROM:<a@example.com>").code == 530
        assert client.starttls().code == 220
        assert "STARTTLS" not in client.ehlo().text
        assert client.ask("MAIL FROM:<a@example.com>").code == 250
    sender.close()


def test_many_mails_through_it(site: Site, make_node: Callable[..., Node], folder: Path, ports: tuple[int, int]):
    front, door = ports
    node = make_node(wiring="after-queue")
    node.config["listener"][0] |= {
        "port": door,
        "tls_certificate": str(folder / "tls.crt"),
        "tls_key": str(folder / "tls.key"),
        "tls_required": True,
    }
    node.start()
    sender = Sender(port=front, login=ALICE, password=PASSWORD)
    sent = {}
    for n in range(15):
        to = f"tls{n}@customers.example"
        sent[to] = letters.clean(ALICE, to, tag=f"tls{n}") + b"x" * (n * 10_000) + b"\r\n"
        assert sender.send(letters.letter(ALICE, to, sent[to])).code == 250
    sender.close()
    arrived = site.postfix.elsewhere.wait(len(sent))
    assert {mail.recipient: mail.below("received", "x-filterd-id") for mail in arrived} == sent


def test_a_start_without_the_certificate_is_refused_and_says_which(make_node: Callable[..., Node], folder: Path):
    node = make_node(wiring="after-queue")
    node.config["listener"][0]["tls_certificate"] = str(folder / "none.crt")
    with pytest.raises(NodeError, match=r"none\.crt: tls_certificate: cannot be read: No such file"):
        node.start()
