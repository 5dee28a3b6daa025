"""A whole site on loopback: Postfix in front and behind, filterd between, clamd beside, and the people who write.

Two of the logins behave and one does not; who sits at which domain:
    corp.example        alice, bob, carol, mallory: our customers, with logins and mailboxes
    provider.example    appeals, policy: ourselves
    customers.example   everybody they write to; wire.example is recorded octet by octet
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from filterd.clients.clamd_private import PrivateClamd
from tests.kit.client import Sender
from tests.kit.faketime import FakeTime
from tests.kit.node import Node, merged, new_folder, read_toml
from tests.kit.postfix import HOSTNAME, PASSWORD, SNIPPETS, Ports, PrivatePostfix
from tests.kit.servers import WireSink

ALICE, BOB, CAROL, MALLORY = (f"{name}@corp.example" for name in ("alice", "bob", "carol", "mallory"))
APPEALS, POLICY = "appeals@provider.example", "policy@provider.example"
LOGINS = (ALICE, BOB, CAROL, MALLORY)
DOMAINS = ("corp.example", "provider.example")
CUSTOMER = "customer@customers.example"

# A peer that may speak for nobody: loopback, but not the address Postfix connects from.
TRUSTED_ELSEWHERE = "127.0.0.9/32"


@dataclass
class Site:
    """What stands still while nodes come and go."""

    postfix: PrivatePostfix
    clamd: PrivateClamd
    wire: WireSink
    ports: Ports
    nodes: list[Node] = field(default_factory=list)

    @classmethod
    def open(cls, clamd: PrivateClamd) -> Site:
        ports = Ports.choose()
        postfix = PrivatePostfix(ports=ports, logins=LOGINS, mailboxes=(APPEALS, POLICY), domains=DOMAINS)
        return cls(postfix=postfix, clamd=clamd, wire=WireSink(ports.wire), ports=ports)

    def close(self) -> None:
        self.wire.close()
        self.postfix.stop()

    # --- filterd ------------------------------------------------------------------------------------------------------

    def node(self, changes: dict[str, Any] | None = None, *, wiring: str = "before-queue", workers: int = 0) -> Node:
        """Make a node, not started yet, with the operator's file of that wiring and `changes` on top."""
        ports = self.ports
        values = {"10025": str(ports.filterd_submission), "10027": str(ports.policy), "mail.example.com": HOSTNAME}
        if wiring == "before-queue":
            values |= {"10024": str(ports.filterd_mx), "127.0.0.1:10026": f"127.0.0.1:{ports.behind}"}
        else:
            values |= {"127.0.0.1:10026": f"127.0.0.1:{ports.behind_after_queue}"}
        config = read_toml(SNIPPETS / f"{wiring}.toml", values)
        untrusted = config["listener"][-1] | {
            "name": "untrusted",
            "port": ports.untrusted,
            "trusted_peers": [TRUSTED_ELSEWHERE],
        }
        config["listener"].append(untrusted)
        config |= {
            "clamd": {"address": f"unix:{self.clamd.socket_path}"},
            "notices": {
                "sender": f"Mail policy <{POLICY}>",
                "appeals_address": APPEALS,
                "object_url": "https://provider.example/case/",
            },
            "http": {"port": ports.http},
        }
        node = Node(folder=new_folder(), config=merged(config, changes or {}), workers=workers)
        self.nodes.append(node)
        return node

    def on_another_day(self, node: Node) -> FakeTime:
        """Give a node that is not started yet a clock of its own."""
        clock = FakeTime(node.folder / "clock")
        node.env |= clock.env
        return clock

    # --- people -------------------------------------------------------------------------------------------------------

    def sender(self, login: str | None = None, *, through: str = "submission") -> Sender:
        """Somebody at one of Postfix's ports, by the name it has in Ports."""
        return Sender(port=getattr(self.ports, through), login=login, password=PASSWORD if login else "")

    # --- clamd --------------------------------------------------------------------------------------------------------

    def stop_clamd(self) -> None:
        _wait_for(self.clamd.stop())

    def start_clamd(self) -> None:
        _wait_for(self.clamd.start())


def _wait_for(work: Coroutine[Any, Any, Any]) -> None:
    # Not asyncio.run, which would take away the loop that pytest-asyncio has set.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()
