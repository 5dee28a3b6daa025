"""Two filterds on one PostgreSQL: what one decides the other enforces, and what mail sees without the database."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from filterd.clients.clamd_private import PrivateClamd
from tests.conftest import record_server
from tests.e2e import letters
from tests.e2e.conftest import finish
from tests.kit.client import Reply, SmtpClient
from tests.kit.node import Node, new_folder, remove_folder
from tests.kit.postgres import Postgres
from tests.kit.servers import WireSink, free_ports
from tests.kit.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ALICE, BOB = "alice@corp.example", "bob@corp.example"
OUTSIDE = "customer@customers.example"


@pytest.fixture(scope="module")
def database(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A server that these tests end and start again."""
    with Postgres() as server:
        record_server(request.config, "postgresql", server.version)
        yield server


@pytest.fixture
def sink() -> Iterator[WireSink]:
    (port,) = free_ports(1)
    sink = WireSink(port)
    yield sink
    sink.close()


@pytest.fixture
def pair(database: Postgres, sink: WireSink, clamd_server: PrivateClamd) -> Iterator[list[Node]]:
    url = database.new_database()
    nodes = [_node(number, url, sink, clamd_server) for number in (1, 2)]
    try:
        nodes[0].start()
        # One master key for all nodes: it opens what the others have sealed.
        (nodes[1].state_dir).mkdir(mode=0o700, parents=True)
        key = nodes[1].state_dir / "master.key"
        key.touch(mode=0o600)
        key.write_bytes((nodes[0].state_dir / "master.key").read_bytes())
        nodes[1].start()
        yield nodes
        for node in nodes:
            finish(node)
    finally:
        for node in nodes:
            node.kill()
            remove_folder(node.folder)
        database.drop(url)


def _node(number: int, url: str, sink: WireSink, clamd: PrivateClamd) -> Node:
    smtp, http, policy = free_ports(3)
    listener = {
        "name": "submission",
        "port": smtp,
        "attribution": "xclient",
        "direction": "outbound",
        "trusted_peers": ["127.0.0.1/32"],
    }
    config: dict[str, Any] = {
        "node": {"name": f"node{number}"},
        "ledger": {"url": url},
        "listener": [listener],
        "next_hop": {"address": f"127.0.0.1:{sink.port}"},
        "clamd": {"address": f"unix:{clamd.socket_path}"},
        "content": {"enabled": False},
        "spam": {"enabled": False},
        "notices": {"merge_s": 0},
        "http": {"port": http},
        "policy_service": {"port": policy},
    }
    return Node(folder=new_folder(), config=config, workers=1 if number == 2 else 0)


def _session(node: Node, login: str) -> SmtpClient:
    client = SmtpClient(node.config["listener"][0]["port"])
    client.ehlo()
    said = client.ask(f"XCLIENT ADDR=192.0.2.7 LOGIN={login.replace('@', '+40')}")
    assert said.code == 220, said
    client.ehlo()
    return client


def _send(node: Node, login: str, *, virus: bool = False, tag: str = "t", to: str = OUTSIDE) -> Reply:
    raw = letters.virus(login, to, tag=tag) if virus else letters.clean(login, to, tag=tag)
    with _session(node, login) as client:
        replies = client.envelope(letters.letter(login, to, raw))
        if not replies[-1].is_positive:
            return replies[-1]
        said = client.ask("DATA")
        if said.code != 354:
            return said
        client.send(raw.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
        return client.reply("DATA")


def _impose(node: Node, login: str, feature: str) -> None:
    if "dana" not in node.tokens:
        node.tokens["dana"] = node.cli("person", "add", "dana", "--role", "moderator", "--json")["token"]
    command = ["sanction", "impose", login, "--feature", feature, "--hours", "24", "--clause", "4.3.1"]
    node.cli(*command, "--reason", "test", "--json", person="dana")


def test_what_one_node_decides_the_other_enforces(pair: list[Node]) -> None:
    one, two = pair
    assert [_send(node, ALICE, tag=f"clean{n}").code for n, node in enumerate(pair)] == [250, 250]
    accounts = [node.account_id(ALICE) for node in pair]
    assert accounts[0] == accounts[1] is not None
    with _session(two, ALICE) as open_session:
        assert open_session.envelope(letters.letter(ALICE, OUTSIDE, b""))[-1].code == 250
        _impose(one, ALICE, "external_recipients")
        # One transaction with ever more recipients: who begins anew too often is sent away.
        names = itertools.count()
        codes: list[int] = []

        def is_refused() -> bool:
            codes.append(open_session.ask(f"RCPT TO:<r{next(names)}@customers.example>").code)
            return codes[-1] == 550

        wait_until(lambda: two.standing(ALICE)["features_off"], "the other node knows")
        wait_until(is_refused, "the other node enforces it")
        assert set(codes[:-1]) <= {250}
    assert one.standing(ALICE)["features_off"] == two.standing(ALICE)["features_off"] == ["external_recipients"]


def test_a_run_through_both_nodes_is_one_incident_and_each_rung_once(pair: list[Node]) -> None:
    replies = [_send(pair[n % 2], BOB, virus=True, tag=f"v{n}").code for n in range(8)]
    assert set(replies) == {550}
    shown = [node.standing(BOB) for node in pair]
    assert len(shown[0]["incidents"]) == len(shown[1]["incidents"]) == 1
    issued = [row for node in pair for row in node.rows("strike.issued")]
    assert len({row.body["strike_id"] for row in issued}) == 1
    steps = [(row.body["incident_id"], row.body["step"]) for node in pair for row in node.rows("sanction.imposed")]
    assert len(steps) == len(set(steps))
    recorded = [row.body["evidence_key"] for node in pair for row in node.rows("violation.recorded")]
    assert len(recorded) == len(set(recorded)) == 8
    # Both nodes have written, each its own chain, and one of them keeps the timers: every notice went out once.
    assert all(node.rows("violation.recorded") for node in pair)


def test_without_the_database_good_accounts_pass_and_violations_wait(
    pair: list[Node], database: Postgres, sink: WireSink
) -> None:
    for node in pair:
        assert _send(node, ALICE, tag=f"known{node.folder.name}").code == 250
    known = [len(node.log()) for node in pair]
    database.crash()
    try:
        # The ledger of either, and the second one's worker.
        one, two = (lambda n=n: pair[n].log()[known[n] :] for n in range(2))
        wait_until(lambda: "ledger_store_away" in one() and "ledger_store_away" in two(), "they know")
        wait_until(lambda: "the ledger's database is away" in two(), "the worker knows")
        for node in pair:
            assert _send(node, ALICE, tag=f"clean{node.folder.name}").code == 250, node.log()[-3000:]
            assert _send(node, ALICE, tag=f"bad{node.folder.name}", virus=True).code == 451
            assert _send(node, "stranger@corp.example", tag="stranger").code == 451
    finally:
        database.start()
    for node in pair:
        wait_until(lambda node=node: _send(node, ALICE, tag=f"bad{node.folder.name}", virus=True).code == 550)
    recorded = [row.body["evidence_key"] for node in pair for row in node.rows("violation.recorded")]
    assert len(recorded) == len(set(recorded)) == 2


def test_a_node_that_dies_leaves_its_timers_to_the_other(pair: list[Node], sink: WireSink) -> None:
    one, two = pair
    assert _send(one, ALICE, tag="known").code == 250
    one.kill()
    assert _send(two, BOB, virus=True, tag="v").code == 550
    # The notice of the node that is left goes out by its own timers.
    two.wait_rows("notice.sent", count=1)
    one.start()
    assert _send(one, BOB, virus=True, tag="w").code == 550
