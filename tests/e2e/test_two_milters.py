"""filterd and somebody else's milter on one port of Postfix, in either order.  MAIL-PATH 4j 5."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e import letters
from tests.e2e.services import MilterPorts, add_services, milter_services
from tests.e2e.site import BOB, Site
from tests.kit.client import Sender
from tests.kit.node import Node, merged, read_toml
from tests.kit.other_milter import OtherMilter
from tests.kit.postfix import HOSTNAME, SNIPPETS
from tests.kit.servers import free_ports

pytestmark = pytest.mark.e2e

STRANGER = "who@elsewhere.example"


@pytest.fixture(scope="module")
def ports(site: Site) -> Iterator[MilterPorts]:
    yield from milter_services(site.postfix)


@pytest.fixture(scope="module")
def other() -> Iterator[OtherMilter]:
    milter = OtherMilter(free_ports(1)[0])
    yield milter
    milter.close()


@pytest.mark.parametrize("is_first", [True, False], ids=["filterd first", "filterd second"])
def test_both_do_their_work_once(
    site: Site, make_node: Callable[..., Node], ports: MilterPorts, other: OtherMilter, is_first: bool
) -> None:
    node = make_node()
    values = {"inet:127.0.0.1:10028": f"inet:127.0.0.1:{ports.milter}", "mail.example.com": HOSTNAME}
    values |= {"127.0.0.1:10026": f"127.0.0.1:{site.ports.behind}"}
    node.config = merged(node.config, read_toml(SNIPPETS / "milter.toml", values))
    node.start()
    both = ["$filterd_milter", f"inet:127.0.0.1:{other.port}"]
    (port,) = free_ports(1)
    milters = ",".join(both if is_first else both[::-1])
    add_services(site.postfix, f"127.0.0.1:{port} inet n - n - - smtpd\n  -o smtpd_milters={milters}\n", ports=(port,))
    raw = letters.clean(STRANGER, BOB, tag=f"two-milters-{is_first}", language="zh") + b"x" * 70_000 + b"\r\n"
    before = other.ended
    client = Sender(port=port)
    for _ in range(3):
        assert client.send(letters.letter(STRANGER, BOB, raw)).code == 250
    # One that neither the other milter nor Postfix minds is refused by filterd all the same.
    virus = letters.virus(STRANGER, BOB, tag=f"two-milters-virus-{is_first}")
    refused = client.send(letters.letter(STRANGER, BOB, virus))
    assert (refused.code, refused.enhanced) == (550, "5.7.1"), refused
    client.close()
    arrived = site.postfix.mailbox(BOB).wait(3)
    header, _, body = raw.partition(b"\r\n\r\n")
    for mail in arrived:
        assert len(mail.fields("x-filterd-id")) == 1
        assert mail.fields("x-other-milter") == ["was here"]
        assert header in mail.raw
        assert mail.raw.endswith(body)
    assert len({mail.fields("x-filterd-id")[0].split()[0] for mail in arrived}) == 3
    assert len(arrived) == 3
    assert len(node.events("decided")) == 4
    # The second hears nothing of a mail that the first has refused.
    assert other.ended - before == (3 if is_first else 4)
