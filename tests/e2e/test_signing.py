"""What filterd signs still verifies after a real Postfix has handed it on, in front of the queue and by milter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dkim
import pytest

from tests.e2e import letters
from tests.e2e.services import milter_services
from tests.e2e.site import ALICE, CUSTOMER, Site
from tests.kit.client import Sender
from tests.kit.node import Node, merged, read_toml
from tests.kit.postfix import HOSTNAME, PASSWORD, SNIPPETS
from tests.kit.signing_keys import ed25519_key, record, rsa_key, write

pytestmark = pytest.mark.e2e

DOMAIN = ALICE.partition("@")[2]
KEYS = {"rsa": rsa_key(2048), "ed": ed25519_key()}
ZONE = {f"{name}._domainkey.{DOMAIN}.".encode(): record(key).encode() for name, key in KEYS.items()}


@pytest.fixture
def signing(tmp_path: Path) -> dict[str, object]:
    keys = [
        {"domain": DOMAIN, "selector": name, "file": str(write(tmp_path / name, key))} for name, key in KEYS.items()
    ]
    return {"signing": {"key": keys}}


def arrives_signed(site: Site, sender: Sender) -> None:
    raws = [
        letters.clean(ALICE, CUSTOMER, tag="signed", language="zh") + b"  blanks \t here \r\n..\r\n\r\n\r\n",
        letters.clean(ALICE, CUSTOMER, tag="signed-large") + b"0123456789abcde\r\n" * 20_000,
    ]
    for raw in raws:
        assert sender.send(letters.letter(ALICE, CUSTOMER, raw)).code == 250
    sender.close()
    for mail in site.postfix.elsewhere.wait(len(raws)):
        found = dkim.DKIM(mail.raw)
        said = [found.verify(idx=number, dnsfunc=lambda name, timeout=5: ZONE.get(name)) for number in (0, 1)]
        assert said == [True, True], mail.raw[:2000]


def test_in_front_of_the_queue(site: Site, make_node: Callable[..., Node], signing: dict[str, object]) -> None:
    node = make_node()
    node.config = merged(node.config, signing)
    node.start()
    arrives_signed(site, site.sender(ALICE))


def test_by_milter(site: Site, make_node: Callable[..., Node], signing: dict[str, object]) -> None:
    services = milter_services(site.postfix)
    ports = next(services)
    try:
        node = make_node()
        values = {"inet:127.0.0.1:10028": f"inet:127.0.0.1:{ports.milter}", "mail.example.com": HOSTNAME}
        values |= {"127.0.0.1:10026": f"127.0.0.1:{site.ports.behind}"}
        node.config = merged(merged(node.config, read_toml(SNIPPETS / "milter.toml", values)), signing)
        node.start()
        arrives_signed(site, Sender(port=ports.submission, login=ALICE, password=PASSWORD))
    finally:
        for _ in services:
            pass
