"""Mail that a real Postfix holds for us, by milter, and what people decide about it (`[milter] hold_by`; MAIL-PATH 4d).

Killed in between it is one item and goes out once: the mail is Postfix's own all the while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import letters, terms
from tests.e2e.services import MilterPorts, milter_services
from tests.e2e.site import ALICE, BOB, CUSTOMER, Site
from tests.e2e.test_holding import decide, foreign, furnish, items, state
from tests.kit.client import Letter, Reply, Sender
from tests.kit.node import Node, merged, read_toml
from tests.kit.postfix import HOSTNAME, PASSWORD, SNIPPETS
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def ports(site: Site) -> Iterator[MilterPorts]:
    yield from milter_services(site.postfix)


@pytest.fixture
def make(site: Site, make_node: Callable[..., Node], ports: MilterPorts, tmp_path: Path) -> Callable[..., Node]:
    """Make a node behind the milter that holds mail; `hold_by` says who does."""

    def made(hold_by: str) -> Node:
        programs = {name: [f"/usr/sbin/{name}", "-c", str(site.postfix.etc)] for name in ("postqueue", "postsuper")}
        node = make_node(terms.holding(tmp_path))
        values = {"inet:127.0.0.1:10028": f"inet:127.0.0.1:{ports.milter}", "mail.example.com": HOSTNAME}
        values |= {"127.0.0.1:10026": f"127.0.0.1:{site.ports.behind}"}
        node.config = merged(node.config, read_toml(SNIPPETS / "milter.toml", values))
        mine = {"milter": {"hold_by": hold_by}, "effectors": {"mta_queue": {"enabled": True, **programs}}}
        node.config = merged(node.config, mine)
        return node

    return made


def submit(ports: MilterPorts, raw: bytes, *to: str, login: str = ALICE) -> Reply:
    sender = Sender(port=ports.submission, login=login, password=PASSWORD)
    try:
        return sender.send(Letter(sender=login, recipients=to or (CUSTOMER,), raw=raw))
    finally:
        sender.close()


def on_hold(site: Site) -> list[str]:
    return sorted(file.name for file in (site.postfix.queue / "hold").rglob("*") if file.is_file())


def ready(node: Node, folder: Path, *, kill_at: str | None = None) -> Node:
    node.start(kill_at=kill_at)
    furnish(node, folder)
    return node


def test_postfix_holds_it_and_lets_it_go(
    site: Site, make: Callable[..., Node], ports: MilterPorts, tmp_path: Path
) -> None:
    node = ready(make("mta"), tmp_path)
    raw = foreign("mta")
    reply = submit(ports, raw)
    assert reply.code == 250, reply
    (row,) = items(node)
    (queue_id,) = on_hold(site)
    assert queue_id in reply.text
    # Whoever finds it on hold knows who can release it, and whoever finds the item knows where it is.
    site.postfix.wait_log(f"{queue_id}: milter-hold: ")
    shown = node.cli("quarantine", "show", row["item_id"], "--reason", "r", "--json", person="dana")
    assert shown["queue_ids"] == [queue_id]
    assert [event["queue_id"] for event in node.events("held")] == [queue_id]
    decide(node, "release", row["item_id"])
    (arrived,) = site.postfix.elsewhere.wait(1)
    assert arrived.raw.endswith(raw)
    (trace,) = arrived.fields("x-filterd-id")
    assert trace.split()[0] == row["transaction_id"]
    assert trace.endswith(f"held={row['item_id']}")
    wait_until(lambda: state(node, row["item_id"]) == "delivered", "the row says delivered")
    site.postfix.wait_empty()
    assert len(site.postfix.elsewhere.read()) == 1


def test_deleted_it_is_gone_from_postfix_and_sent_back_as_well(
    site: Site, make: Callable[..., Node], ports: MilterPorts, tmp_path: Path
) -> None:
    node = ready(make("mta"), tmp_path)
    assert submit(ports, foreign("gone")).code == 250
    (row,) = items(node)
    node.cli("quarantine", "delete", row["item_id"], "--reason", "spam", "--json", person="dana")
    wait_until(lambda: on_hold(site) == [], "it is deleted there")
    # Of another account: about this text of hers somebody has decided.
    raw = foreign("back")
    assert submit(ports, raw, login=BOB).code == 250
    (row,) = items(node)
    decide(node, "return", row["item_id"])
    (report,) = site.postfix.mailbox(BOB).wait(1, of=lambda mail: b"multipart/report" in mail.raw)
    assert raw.rstrip() in report.raw
    wait_until(lambda: on_hold(site) == [], "it is deleted there")
    assert site.postfix.elsewhere.read() == []


@pytest.mark.parametrize("marker", ["gate.held", "release.sent"])
def test_killed_in_between_it_goes_out_once(
    site: Site, make: Callable[..., Node], ports: MilterPorts, tmp_path: Path, marker: str
) -> None:
    node = make("mta")
    clock = site.on_another_day(node)
    ready(node, tmp_path, kill_at=marker)
    raw = foreign("killed")
    first = submit(ports, raw)
    if marker == "gate.held":
        # Postfix has no answer and its client no 250: it tries again, and finds the item.
        assert first.code // 100 == 4
        node.wait_dead()
        node.start()
        assert on_hold(site) == []
        assert submit(ports, raw).code == 250
    (row,) = items(node)
    assert len(on_hold(site)) == 1
    decide(node, "release", row["item_id"])
    if marker == "release.sent":
        node.wait_dead()
        # The promise was leased by the process that died, for two minutes.
        clock.advance(minutes=3)
        node.start()
    wait_until(lambda: state(node, row["item_id"]) == "delivered", "it is delivered")
    site.postfix.elsewhere.wait(1)
    site.postfix.wait_empty()
    assert [mail.fields("message-id") for mail in site.postfix.elsewhere.read()] == [["<killed@private.example>"]]


def test_an_address_with_a_blank_is_one_address_everywhere_and_can_be_released(
    site: Site, make: Callable[..., Node], ports: MilterPorts, tmp_path: Path
) -> None:
    """Postfix tells a milter the internal form, `a b@x`; what we hold ourselves goes on by SMTP, with its quotes."""
    node = ready(make("filterd"), tmp_path)
    quoted = '"a b"@wire.example'
    site.wire.forget()
    assert submit(ports, foreign("quoted", quoted), quoted).code == 250
    (row,) = items(node)
    assert on_hold(site) == []
    shown = node.cli("quarantine", "show", row["item_id"], "--reason", "r", "--json", person="dana")
    assert shown["envelope"]["forward_paths"] == [quoted]
    decide(node, "release", row["item_id"])
    (taken,) = site.wire.wait(1)
    assert b'<"a b"@wire.example>' in taken.rcpts[0]
    wait_until(lambda: state(node, row["item_id"]) == "delivered", "the row says delivered")


def test_clean_mail_is_not_put_on_hold(
    site: Site, make: Callable[..., Node], ports: MilterPorts, tmp_path: Path
) -> None:
    node = ready(make("mta"), tmp_path)
    sender = Sender(port=ports.submission, login=ALICE, password=PASSWORD)
    assert sender.send(letters.letter(ALICE, CUSTOMER, letters.clean(ALICE, CUSTOMER, tag="clean"))).code == 250
    sender.close()
    site.postfix.elsewhere.wait(1)
    assert items(node) == []
    assert on_hold(site) == []
