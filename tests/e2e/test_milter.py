"""A real Postfix that asks filterd by milter (ops/postfix/milter.*.cf; MAIL-PATH 4d, 4j)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.e2e import letters
from tests.e2e.services import MilterPorts, milter_services
from tests.e2e.site import ALICE, APPEALS, BOB, CUSTOMER, MALLORY, Site
from tests.kit.client import Letter, Sender
from tests.kit.node import Node, merged, read_toml
from tests.kit.postfix import HOSTNAME, PASSWORD, SNIPPETS
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def ports(site: Site) -> Iterator[MilterPorts]:
    yield from milter_services(site.postfix)


@pytest.fixture
def node(site: Site, make_node: Callable[..., Node], ports: MilterPorts) -> Node:
    return milter_node(site, make_node, ports, {})


def milter_node(site: Site, make_node: Callable[..., Node], ports: MilterPorts, more: dict[str, object]) -> Node:
    node = make_node()
    values = {"inet:127.0.0.1:10028": f"inet:127.0.0.1:{ports.milter}", "mail.example.com": HOSTNAME}
    values |= {"127.0.0.1:10026": f"127.0.0.1:{site.ports.behind}"}
    node.config = merged(merged(node.config, read_toml(SNIPPETS / "milter.toml", values)), more)
    node.start()
    return node


def sender(ports: MilterPorts, login: str | None) -> Sender:
    port = ports.submission if login else ports.smtp
    return Sender(port=port, login=login, password=PASSWORD if login else "")


def test_an_accounts_clean_mail(site: Site, node: Node, ports: MilterPorts) -> None:
    raw = letters.clean(ALICE, CUSTOMER, tag="milter", language="zh") + b"x" * 70_000 + b"\r\n.\r\n..\r\n"
    client = sender(ports, ALICE)
    for _ in range(2):
        assert client.send(letters.letter(ALICE, CUSTOMER, raw)).code == 250
    client.close()
    arrived = site.postfix.elsewhere.wait(2)
    decided = node.events("decided")
    assert [event["principal"]["basis"] for event in decided] == ["sasl", "sasl"]
    assert {event["principal"]["account_id"] for event in decided} == {node.account_id(ALICE)}
    # Each copy bears the id of its own transaction, and nothing else has changed below it.
    ids = {mail.fields("x-filterd-id")[0].split()[0] for mail in arrived}
    assert ids == {event["tx"] for event in decided}
    assert all(mail.raw.endswith(raw) for mail in arrived)
    wait_until(lambda: len(node.events("delivered")) == 2, "both deliveries are told of")
    # The queue id is Postfix's own: the two logs can be laid side by side.
    for event in node.events("delivered"):
        site.postfix.wait_log(f" {event['queue_id']}: message-id=")


def test_strangers_spam_is_marked_and_forged_marks_go(site: Site, node: Node, ports: MilterPorts) -> None:
    stranger = "who@elsewhere.example"
    spam = letters.advert(stranger, BOB, number=1, seed="milter", language="zh")
    forged = (
        b"X-Spam-Flag: YES\r\nX-Spam-Flag: YES\r\nAuthentication-Results: " + HOSTNAME.encode() + b"; dkim=pass\r\n"
    )
    innocent = letters.clean(stranger, BOB, tag="milter-marked")
    clean = forged + innocent
    client = sender(ports, None)
    for raw in (spam, clean):
        assert client.send(letters.letter(stranger, BOB, raw)).code == 250
    client.close()
    site.postfix.wait_empty()
    arrived = {mail.fields("message-id")[0]: mail for mail in site.postfix.mailbox(BOB).read()}
    marked = arrived["<advert.milter.1@elsewhere.example>"]
    plain = arrived["<milter-marked@elsewhere.example>"]
    assert marked.fields("x-spam-flag") == ["YES"]
    assert plain.fields("x-spam-flag") == []
    (results,) = plain.fields("authentication-results")
    assert results.startswith(f"{HOSTNAME};")
    assert "dkim=pass" not in results
    # On top of what Postfix writes: a reader looks from above.
    assert plain.raw.startswith(b"Authentication-Results:")
    assert plain.raw.endswith(innocent)
    assert node.rows() == []


def test_a_virus_is_refused_and_the_ladder_climbs(site: Site, node: Node, ports: MilterPorts) -> None:
    client = sender(ports, MALLORY)
    refused = client.send(letters.letter(MALLORY, CUSTOMER, letters.virus(MALLORY, CUSTOMER, tag="milter-virus")))
    assert (refused.code, refused.enhanced) == (550, "5.7.1")
    assert len(node.wait_rows("strike.issued")) == 1
    client.close()
    assert site.postfix.elsewhere.read() == []


def test_a_suspended_account_is_refused_at_rcpt_and_reaches_the_desk(
    site: Site, node: Node, ports: MilterPorts
) -> None:
    client = sender(ports, MALLORY)
    first = client.send(letters.letter(MALLORY, CUSTOMER, letters.clean(MALLORY, CUSTOMER, tag="milter-before")))
    assert first.code == 250
    node.tokens["dana"] = node.cli("person", "add", "dana", "--role", "moderator", "--json")["token"]
    command = ["sanction", "impose", MALLORY, "--rung", "suspend", "--hours", "24", "--clause", "4.3.1"]
    node.cli(*command, "--reason", "test", "--json", person="dana")
    # The session is the one that was open before.
    after = client.send(letters.letter(MALLORY, CUSTOMER, letters.clean(MALLORY, CUSTOMER, tag="milter-after")))
    assert (after.code, after.enhanced, after.after.split()[0]) == (550, "5.7.13", "RCPT")
    desk = Letter(sender=MALLORY, recipients=(APPEALS,), raw=letters.clean(MALLORY, APPEALS, tag="milter-appeal"))
    assert client.send(desk).code == 250
    client.close()
    assert site.postfix.mailbox(APPEALS).wait(1)


def test_mail_of_a_local_programme_is_judged_and_never_bounced(site: Site, node: Node, ports: MilterPorts) -> None:
    """sendmail(1) has no login; what is refused there stays off the network without a bounce."""
    clean = letters.clean("www@corp.example", CUSTOMER, tag="milter-local")
    virus = letters.virus("www@corp.example", CUSTOMER, tag="milter-local-virus")
    for raw in (clean, virus):
        subprocess.run(
            ["sendmail", "-C", str(site.postfix.etc), "-oi", "-f", "www@corp.example", CUSTOMER],
            input=raw.replace(b"\r\n", b"\n"),
            check=True,
            timeout=60,
        )
    (arrived,) = site.postfix.elsewhere.wait(1)
    assert arrived.fields("message-id") == ["<milter-local@corp.example>"]
    wait_until(lambda: len(node.events("decided")) == 2, "both are judged")
    assert {event["listener"] for event in node.events("decided")} == {"milter-local"}
    assert [event["principal"]["basis"] for event in node.events("decided")] == ["none", "none"]


def test_a_local_programme_sends_no_mail_of_a_suspended_account(
    site: Site, make_node: Callable[..., Node], ports: MilterPorts
) -> None:
    """MAIL-PATH 4j.6: a webmail that calls sendmail(1). It stays in Postfix's queue until the time is over."""
    web = "webmail@corp.example"
    node = milter_node(site, make_node, ports, {"milter": {"local_senders": {web: MALLORY}}})
    client = sender(ports, MALLORY)
    assert client.send(letters.letter(MALLORY, CUSTOMER, letters.clean(MALLORY, CUSTOMER, tag="web-known"))).code == 250
    client.close()
    site.postfix.elsewhere.wait(1)
    node.tokens["dana"] = node.cli("person", "add", "dana", "--role", "moderator", "--json")["token"]
    command = ["sanction", "impose", MALLORY, "--rung", "suspend", "--hours", "24", "--clause", "4.3.1"]
    node.cli(*command, "--reason", "test", "--json", person="dana")
    raw = letters.clean(web, CUSTOMER, tag="web-suspended").replace(b"\r\n", b"\n")
    by_programme = ["sendmail", "-C", str(site.postfix.etc), "-oi", "-f", web, CUSTOMER]
    subprocess.run(by_programme, input=raw, check=True, timeout=60)
    wait_until(lambda: node.events("denied"), "it is put off")
    assert node.events("denied")[0]["reply"]["code"] == 451
    (sanction,) = node.standing(MALLORY)["sanctions"]
    node.cli("sanction", "lift", sanction["sanction_id"], "--reason", "test is over", "--json", person="dana")
    site.postfix.flush()
    assert len(site.postfix.elsewhere.wait(2)) == 2


def test_while_filterd_is_away_nothing_is_taken_and_nothing_refused_for_good(
    site: Site, node: Node, ports: MilterPorts
) -> None:
    stranger = "who@elsewhere.example"
    mail = letters.letter(stranger, BOB, letters.clean(stranger, BOB, tag="milter-away"))
    node.stop()
    client = sender(ports, None)
    away = client.send(mail)
    client.close()
    assert away.code // 100 == 4
    node.start()
    client = sender(ports, None)
    client.send_until_settled(mail)
    client.close()
    (arrived,) = site.postfix.mailbox(BOB).wait(1)
    assert arrived.fields("message-id") == ["<milter-away@elsewhere.example>"]
