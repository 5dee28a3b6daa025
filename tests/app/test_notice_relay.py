"""Mail of our own to another server than the next hop: what it takes over from `[next_hop]`, and what not."""

from __future__ import annotations

from pathlib import Path

import pytest

from filterd.app.held import release_hop
from filterd.app.processes import notice_hop
from filterd.config import Config, NextHopConfig

HOP = {
    "address": "mail.example:10026",
    "protocol": "lmtp",
    "tls": "verify",
    "tls_ca_file": "/etc/ca.pem",
    "tls_name": "box.example",
    "xclient": True,
}


def config(relay: str | None, **hop: object) -> Config:
    return Config.model_validate({"next_hop": hop or HOP, "notices": {"relay": relay}})


def test_without_a_relay_it_is_the_next_hop_as_it_is() -> None:
    given = config(None)
    assert notice_hop(given, given.next_hop) is given.next_hop
    assert release_hop(given, given.next_hop) is given.next_hop


def test_a_relay_elsewhere_has_the_same_tls_for_its_own_name() -> None:
    given = config("relay.example:25")
    hop = notice_hop(given, given.next_hop)
    assert (hop.address, hop.protocol, hop.xclient) == ("relay.example:25", "smtp", False)
    assert (hop.tls, hop.tls_ca_file, hop.tls_name) == ("verify", Path("/etc/ca.pem"), None)
    # Released mail goes where accepted mail does.
    assert release_hop(given, given.next_hop).address == "mail.example:10026"


@pytest.mark.parametrize("address", ["127.0.0.1:10026", "[::1]:25", "localhost:25", "unix:/run/relay"])
def test_a_relay_on_this_machine_is_spoken_to_in_clear_text(address: str) -> None:
    given = config(address)
    hop = notice_hop(given, given.next_hop)
    assert (hop.address, hop.protocol, hop.tls) == (address, "smtp", "none")


def test_behind_a_milter_released_mail_goes_there_too() -> None:
    given = config("127.0.0.1:10026", address="sink")
    sink = NextHopConfig(address="127.0.0.1:4711")
    assert release_hop(given, sink).address == "127.0.0.1:10026"
