"""Other people's mail through each wiring, and what the same Postfix delivers without filterd.  MAIL-PATH 4j 1-3.

None is lost, none is doubled; the body and every field that filterd is not documented to write or take out are the same
octets; a DKIM signature that Postfix leaves whole is whole behind filterd as well; and queue ids, transactions and
verdict log fit one to one. Strangers' mail is only marked, and our own account's mail meets none of the checks that
refuse, so that everything is delivered.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.corpus import Essence, Specimen, by_pack, essence, specimens
from tests.e2e.services import MilterPorts, milter_services
from tests.e2e.site import ALICE, Site
from tests.kit.client import Letter, Sender, send_all
from tests.kit.dkim_keys import DkimKey
from tests.kit.mailbox import Arrived
from tests.kit.node import Node, merged, read_toml
from tests.kit.postfix import HOSTNAME, PASSWORD, SNIPPETS
from tests.kit.zones import Zone, ZoneServer

pytestmark = [pytest.mark.e2e, pytest.mark.data]

# In `make test`, and every night.
SIZES = (60, pytest.param(2000, marks=[pytest.mark.nightly, pytest.mark.timeout(7200)]))
SENDERS = 4
# Long enough for two thousand mails behind a queue on a machine that has other things to do.
PATIENCE_S = 3600.0

_ACTIONS = ("virus", "spam", "phishing", "attachments", "impersonation", "dmarc")
MARK_ONLY = {"inbound": dict.fromkeys(_ACTIONS, "tag")}
# Of our own account's mail: what would refuse another's words in its name. The house is walked all the same.
NOTHING_REFUSES = {
    name: {"enabled": False} for name in ("clamd", "spam", "content", "attachments", "links", "pii", "rate")
}
STRANGER = {"direction": "inbound", "attribution": "none"}


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """One of MAIL-PATH 4i.

    Args:
        through: the port of Postfix, by its name in Ports; `milter` is the one with the milter.
        received: the Received fields it puts on top.
        is_inbound: strangers' mail, which is marked.
    """

    name: str
    through: str
    received: int
    is_inbound: bool
    snippet: str = "before-queue"
    changes: dict[str, Any] = field(default_factory=lambda: MARK_ONLY)


WIRINGS = (
    Wiring(name="before-queue", through="mx", received=2, is_inbound=True),
    Wiring(
        name="policy-service-and-proxy", through="submission", received=2, is_inbound=False, changes=NOTHING_REFUSES
    ),
    Wiring(name="after-queue", through="after_queue", received=2, is_inbound=True, snippet="after-queue"),
    Wiring(name="milter", through="milter", received=1, is_inbound=True),
)


@pytest.fixture(scope="module")
def key() -> DkimKey:
    return DkimKey.make("corp.example")


@pytest.fixture(scope="module")
def names(key: DkimKey) -> Iterator[ZoneServer]:
    """A DNS that knows the one key and nobody else."""
    zone = Zone({f"{key.selector}._domainkey.{key.domain}": {"TXT": [key.record.decode()]}})
    with ZoneServer(zone) as server:
        yield server


@pytest.fixture(scope="module")
def milter_ports(site: Site) -> Iterator[MilterPorts]:
    yield from milter_services(site.postfix)


@dataclass
class Delivered:
    """What came of all specimens by one way: copies by number, and the recipient's queue id."""

    copies: dict[int, Arrived]
    queue_ids: dict[str, str]


@pytest.fixture(scope="module")
def without_us(site: Site, data_dir: Path, key: DkimKey) -> Callable[[int], tuple[list[Specimen], Delivered]]:
    """Say the specimens, and how the same Postfix delivers them without filterd; each size once."""
    known: dict[int, tuple[list[Specimen], Delivered]] = {}

    def delivered(size: int) -> tuple[list[Specimen], Delivered]:
        if size not in known:
            mails = specimens(data_dir, size, key)
            print(f"{size} mails: {dict(by_pack(mails))}")
            known[size] = mails, through(site, mails, port=site.ports.plain, login=ALICE)
        return known[size]

    return delivered


@pytest.mark.parametrize("wiring", WIRINGS, ids=lambda wiring: wiring.name)
@pytest.mark.parametrize("size", SIZES)
def test_everything_arrives_as_without_us(
    site: Site,
    make_node: Callable[..., Node],
    without_us: Callable[[int], tuple[list[Specimen], Delivered]],
    milter_ports: MilterPorts,
    key: DkimKey,
    names: ZoneServer,
    size: int,
    wiring: Wiring,
):
    mails, plain = without_us(size)
    node = wired(site, make_node, wiring, milter_ports, names)
    node.start()
    port = milter_ports.smtp if wiring.through == "milter" else getattr(site.ports, wiring.through)
    needs_login = wiring.through in ("submission", "after_queue")
    ours = through(site, mails, port=port, login=ALICE if needs_login else None)

    compare(mails, plain, ours, wiring)
    check_signatures(mails, plain, ours, key, wiring)
    check_logs(site, node, ours, wiring)


def wired(site: Site, make_node: Callable[..., Node], wiring: Wiring, ports: MilterPorts, names: ZoneServer) -> Node:
    """Make the node of a wiring, from the operator's files."""
    dns = {"dns": {"nameservers": [names.address], "deadline_s": 60, "patience_s": 30}}
    node = make_node(merged(wiring.changes, dns), wiring=wiring.snippet)
    if wiring.through == "after_queue":
        node.config["listener"][0] |= STRANGER | {"authserv_id": HOSTNAME}
    if wiring.through == "milter":
        values = {"inet:127.0.0.1:10028": f"inet:127.0.0.1:{ports.milter}", "mail.example.com": HOSTNAME}
        values |= {"127.0.0.1:10026": f"127.0.0.1:{site.ports.behind}"}
        node.config = merged(node.config, read_toml(SNIPPETS / "milter.toml", values))
    return node


def through(site: Site, mails: list[Specimen], *, port: int, login: str | None) -> Delivered:
    """Send every mail to a recipient of its own; wait until the queue is empty; say what has arrived.

    Strangers' mail goes to a domain of ours, our account's to somebody outside.
    """
    since = len(site.postfix.log())
    domain = "corp.example" if login is None else "customers.example"
    senders = [Sender(port=port, login=login, password=PASSWORD if login else "") for _ in range(SENDERS)]
    letters = [
        Letter(
            sender=ALICE,
            recipients=(f"d{mail.number}@{domain}",),
            raw=mail.raw,
            mail_parameters="" if mail.raw.isascii() else "BODY=8BITMIME",
        )
        for mail in mails
    ]
    replies = send_all(senders, letters)
    for sender in senders:
        sender.close()
    refused = [(mail.name, str(reply)) for mail, reply in zip(mails, replies, strict=True) if reply.code != 250]
    assert refused == []
    site.postfix.wait_empty(PATIENCE_S)
    # Postfix's log comes after what it tells of.
    sent = r"virtual\[\d+\]: (\w+): to=<(\S+)>.* status=sent"
    queue_ids = {to: queue_id for queue_id, to in site.postfix.wait_log(sent, len(mails), since)}
    arrived = site.postfix.elsewhere.read()
    for mail in arrived:
        mail.file.unlink()
    copies = {int(mail.recipient.partition("@")[0][1:]): mail for mail in arrived}
    # None lost, none doubled, none made up.
    assert (len(arrived), sorted(copies)) == (len(mails), [mail.number for mail in mails])
    assert {mail.sender for mail in arrived} == {ALICE}
    return Delivered(copies=copies, queue_ids=queue_ids)


def compare(mails: list[Specimen], plain: Delivered, ours: Delivered, wiring: Wiring) -> None:
    """Body and fields are the same octets."""
    differ = []
    for mail in mails:
        without, with_us = (
            essence(way.copies[mail.number].raw, mail.raw, received=hops, is_inbound=wiring.is_inbound)
            for way, hops in ((plain, 1), (ours, wiring.received))
        )
        if digest(without) != digest(with_us):
            fields = [field for field in without.fields if field not in with_us.fields]
            differ.append((mail.name, fields[:3], without.body == with_us.body))
    print(f"{wiring.name}: {len(mails)} mails, {len(differ)} differ")
    assert differ == []


def digest(one: Essence) -> tuple[str, str]:
    fields = hashlib.sha256(b"".join(one.fields)).hexdigest()
    return fields, hashlib.sha256(one.body).hexdigest()


def check_signatures(mails: list[Specimen], plain: Delivered, ours: Delivered, key: DkimKey, wiring: Wiring) -> None:
    signed = [mail for mail in mails if mail.is_signed]
    whole = [mail for mail in signed if key.verifies(plain.copies[mail.number].raw)]
    broken = [mail.name for mail in whole if not key.verifies(ours.copies[mail.number].raw)]
    print(
        f"{wiring.name}: {len(signed)} signed, {len(whole)} whole without filterd, {len(broken)} of them broken by it"
    )
    assert broken == []
    # Most are: else nothing would be shown.
    assert len(whole) > len(mails) / 2
    if not wiring.is_inbound:
        return
    # filterd has found the same, under the name it was told to write.
    for mail in whole:
        said = [
            field.replace("\n", " ").replace("\r", " ")
            for field in ours.copies[mail.number].fields("authentication-results")
            if field.startswith(HOSTNAME)
        ]
        assert len(said) == 1, (mail.name, said)
        assert re.search(rf"dkim=pass[^;]*header\.d={re.escape(key.domain)}", said[0]), (
            mail.name,
            said,
        )


def check_logs(site: Site, node: Node, ours: Delivered, wiring: Wiring) -> None:
    """One transaction, one verdict, one delivery and one queue id a mail, and all four are of the same mail."""
    traced = {}
    for number, copy in ours.copies.items():
        (trace,) = copy.fields("x-filterd-id")
        traced[trace.split(" ")[0]] = number
    assert len(traced) == len(ours.copies)
    node_events = node.events("decided", "delivered", "refused", "troubled")
    decided = [event["tx"] for event in node_events if event["event"] == "decided"]
    delivered = {event["tx"]: event for event in node_events if event["event"] == "delivered"}
    assert sorted(decided) == sorted(traced)
    assert sorted(delivered) == sorted(traced)
    assert [event for event in node_events if event["event"] in ("refused", "troubled")] == []
    for tx, number in traced.items():
        assert delivered[tx]["queue_id"] == ours.queue_ids[ours.copies[number].recipient], wiring.name
