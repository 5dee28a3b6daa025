"""A real Postfix as the next hop: TLS with certificates looked at on both sides, and XCLIENT (XCLIENT_README).

filterd stands in front, where clients come first: a proxy (nginx) tells it by XCLIENT who they are; it tells Postfix.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.dialogs.tls import write_certificate
from tests.e2e import letters
from tests.e2e.services import add_services
from tests.e2e.site import ALICE, CUSTOMER, Site
from tests.kit.client import SmtpClient
from tests.kit.node import Node
from tests.kit.servers import free_ports

pytestmark = pytest.mark.e2e

# What Postfix does not want to hear of, and from whom.
UNWANTED = "192.0.2.66"


@dataclass(frozen=True)
class Hop:
    """Postfix's ports, and a folder with `hop/tls.crt` (Postfix's, for hop.example) and `us/tls.crt` (filterd's)."""

    tls: int
    plain: int
    folder: Path


@pytest.fixture(scope="module")
def hop(site: Site) -> Iterator[Hop]:
    folder = Path(tempfile.mkdtemp(prefix="filterd-hop-", dir="/tmp"))
    folder.chmod(0o755)
    for name in ("hop", "us"):
        (folder / name).mkdir()
        write_certificate(folder / name, name=f"{name}.example")
    hop = Hop(*free_ports(2), folder)
    both = (
        "  -o mynetworks=127.0.0.0/8\n"
        "  -o smtpd_authorized_xclient_hosts=127.0.0.0/8\n"
        "  -o smtpd_authorized_xforward_hosts=127.0.0.0/8\n"
        f"  -o smtpd_client_restrictions=inline:{{{UNWANTED}=REJECT}}\n"
        "  -o smtpd_relay_restrictions=permit_mynetworks,permit_sasl_authenticated,reject\n"
        "  -o smtpd_recipient_restrictions=\n"
    )
    add_services(
        site.postfix,
        f"127.0.0.1:{hop.tls} inet n - n - - smtpd\n"
        "  -o syslog_name=postfix/hop\n"
        "  -o smtpd_tls_security_level=encrypt\n"
        f"  -o smtpd_tls_cert_file={folder}/hop/tls.crt\n"
        f"  -o smtpd_tls_key_file={folder}/hop/tls.key\n"
        f"  -o smtpd_tls_CAfile={folder}/us/tls.crt\n"
        "  -o smtpd_tls_req_ccert=yes\n"
        "  -o smtpd_tls_loglevel=1\n" + both + f"127.0.0.1:{hop.plain} inet n - n - - smtpd\n"
        "  -o syslog_name=postfix/open\n"
        "  -o smtpd_tls_security_level=none\n"
        "  -o smtpd_sasl_auth_enable=yes\n" + both,
        ports=(hop.tls, hop.plain),
    )
    yield hop
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def front(site: Site, make_node: Callable[..., Node]) -> Callable[..., Node]:
    """Make a node whose listener believes XCLIENT, in front of a port."""

    def make(port: int, **keys: Any) -> Node:
        node = make_node(wiring="after-queue")
        node.config["next_hop"] |= {"address": f"127.0.0.1:{port}"} | keys
        node.config["notices"]["relay"] = f"127.0.0.1:{site.ports.behind_after_queue}"
        listener = node.config["listener"][0]
        listener |= {"attribution": "xclient", "direction": "auto", "after_queue": False}
        del listener["received_by"]
        return node

    return make


def talk(site: Site, client: str, *, recipient: str = CUSTOMER, tag: str, login: str = ALICE) -> list[int]:
    """One mail of a client whom a proxy names; says the codes from MAIL on, of which the last is the dot's."""
    with SmtpClient(site.ports.filterd_submission) as door:
        door.ehlo("proxy.example")
        assert (
            door.ask(f"XCLIENT NAME=laptop.example ADDR={client} PORT=4711 LOGIN={login.replace('@', '+40')}").code
            == 220
        )
        door.ehlo("laptop")
        codes = [door.ask(f"MAIL FROM:<{ALICE}>").code, door.ask(f"RCPT TO:<{recipient}>").code]
        if codes == [250, 250]:
            codes += [door.data(letters.clean(ALICE, recipient, tag=tag)).code]
        return codes


def tls_keys(hop: Hop, **keys: Any) -> dict[str, Any]:
    given = {
        "tls": "verify",
        "tls_name": "hop.example",
        "tls_ca_file": str(hop.folder / "hop/tls.crt"),
        "tls_certificate": str(hop.folder / "us/tls.crt"),
        "tls_key": str(hop.folder / "us/tls.key"),
    }
    return {key: value for key, value in (given | keys).items() if value is not None}


def test_tls_on_both_sides_looked_at(site: Site, front: Callable[..., Node], hop: Hop) -> None:
    node = front(hop.tls, **tls_keys(hop))
    node.start()
    since = len(site.postfix.log())
    for number in range(3):
        assert talk(site, "192.0.2.7", tag=f"hop-tls{number}") == [250, 250, 250]
    arrived = site.postfix.elsewhere.wait(3)
    assert all("with ESMTPS" in mail.fields("received")[0] for mail in arrived)
    # One connection for the three, and Postfix knows who is at the other end of it.
    assert len(re.findall(r"postfix/hop/smtpd\[\d+\]: connect from", site.postfix.log()[since:])) == 1
    site.postfix.wait_log(r"postfix/hop/smtpd\[\d+\]: Trusted TLS connection established from localhost", since=since)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tls_name": "other.example"},
        {"tls_ca_file": None},
        {"tls": "none", "tls_name": None, "tls_ca_file": None, "tls_certificate": None, "tls_key": None},
        {"tls_certificate": None, "tls_key": None},
    ],
    ids=["name", "root", "clear text", "no certificate of ours"],
)
def test_else_no_mail_goes_out(site: Site, front: Callable[..., Node], hop: Hop, wrong: dict[str, Any]) -> None:
    node = front(hop.tls, **tls_keys(hop, **wrong))
    node.start()
    (code, *_) = talk(site, "192.0.2.7", tag="hop-no")
    # In clear text it is Postfix that refuses, for good: 530.
    assert code == (530 if wrong.get("tls") == "none" else 451)
    assert site.postfix.elsewhere.read() == []


def test_the_doctor_sees_it(front: Callable[..., Node], hop: Hop) -> None:
    node = front(hop.tls, **tls_keys(hop, tls_name="other.example"))
    node.start()
    said = node.run("doctor")
    assert "other.example" in said.stdout + said.stderr


def test_xclient_makes_postfix_see_the_client(site: Site, front: Callable[..., Node], hop: Hop) -> None:
    node = front(hop.plain, xclient=True)
    node.start()
    since = len(site.postfix.log())
    assert talk(site, "192.0.2.7", tag="xc-1") == [250, 250, 250]
    assert talk(site, "IPV6:2001:db8::7", tag="xc-2", login="bob@corp.example") == [250, 250, 250]
    # Its own rules hold for the client, not for filterd: this one may not.
    assert talk(site, UNWANTED, tag="xc-3") == [250, 554]
    assert talk(site, "192.0.2.7", tag="xc-4") == [250, 250, 250]
    arrived = site.postfix.elsewhere.wait(3)
    assert len(arrived) == 3
    tops = [mail.fields("received")[0] for mail in arrived]
    assert all(top.startswith("from laptop (laptop.example [") for top in tops)
    seen = site.postfix.wait_log(
        r"postfix/open/smtpd\[\d+\]: \w+: client=(\S+), sasl_method=XCLIENT, sasl_username=(\S+)", count=3, since=since
    )
    assert seen == [
        ("laptop.example[192.0.2.7]", ALICE),
        # This Postfix is without IPv6.
        ("laptop.example[unknown]", "bob@corp.example"),
        ("laptop.example[192.0.2.7]", ALICE),
    ]
    # It takes no second XCLIENT from who is a stranger now: each mail has a connection, parted from politely.
    site.postfix.wait_log(r"postfix/open/smtpd\[\d+\]: disconnect from laptop\.example\S+ .* quit=1 ", 4, since)


def test_without_it_postfix_sees_filterd(site: Site, front: Callable[..., Node], hop: Hop) -> None:
    node = front(hop.plain)
    node.start()
    since = len(site.postfix.log())
    # The mail passes by filterd's own right, and only the log has the client, from XFORWARD.
    assert talk(site, UNWANTED, tag="xf") == [250, 250, 250]
    seen = r"postfix/open/smtpd\[\d+\]: \w+: client=localhost\[127\.0\.0\.1\], orig_client=(\S+)"
    assert site.postfix.wait_log(seen, since=since) == [f"laptop.example[{UNWANTED}]"]
