"""Is the client known?  One answer for SPF, lists and counters (Session.known_client): whom a trusted peer does not
name has no address, the peer's own least of all."""

from __future__ import annotations

import pytest

from filterd.checks import spf
from filterd.checks.run import arrange, run
from filterd.doors.smtp_client import Client
from filterd.doors.xforward import XCLIENT_NAMES, XFORWARD_NAMES, attributes
from filterd.model.session import Direction, Envelope, Session
from filterd.model.verdict import Outcome, Verdict
from filterd.pipeline.client import client_id
from filterd.pipeline.exceptions import _client as listed_client
from tests.checks.contexts import context, path, transaction
from tests.kit.waiting import PATIENCE_S
from tests.kit.zones import ZoneLookups

UNNAMED = [
    (),
    (("XFORWARD", b"ADDR=[UNAVAILABLE]"),),
    (("XFORWARD", b"NAME=mx.example HELO=mx.example"),),
    (("XCLIENT", b"ADDR=[TEMPUNAVAIL] NAME=mx.example"),),
    (("XCLIENT", b"LOGIN=alice@example.com"),),
    # By its own address it speaks of everybody behind it.
    (("XFORWARD", b"ADDR=198.51.100.9"),),
    (("XCLIENT", b"ADDR=192.0.2.7"), ("XFORWARD", b"ADDR=[UNAVAILABLE]")),
]


def speaking(*said: tuple[str, bytes], is_trusted: bool = True) -> Session:
    who = Client(address="198.51.100.9", port=4000, is_trusted=is_trusted, helo="peer.example", protocol="ESMTP")
    for verb, argument in said:
        if verb == "XCLIENT":
            who.add_xclient(attributes(argument, XCLIENT_NAMES), None)
        else:
            who.add_xforward(attributes(argument, XFORWARD_NAMES))
    return who.session("smtp")


@pytest.mark.parametrize("said", UNNAMED)
async def test_a_client_that_a_trusted_peer_does_not_name_is_nobody_anywhere(
    said: tuple[tuple[str, bytes], ...],
) -> None:
    session = speaking(*said)
    assert session.known_client is None
    assert client_id(bytes(32), session) is None
    assert listed_client(session) is None
    verdict = await judged(session)
    assert (verdict.outcome, verdict.reason) == (Outcome.SKIPPED, "no_client_address")


@pytest.mark.parametrize(
    ("session", "address"),
    [
        (speaking(is_trusted=False), "198.51.100.9"),
        (speaking(("XFORWARD", b"ADDR=192.0.2.7")), "192.0.2.7"),
        (speaking(("XCLIENT", b"ADDR=192.0.2.7")), "192.0.2.7"),
        (speaking(("XCLIENT", b"ADDR=192.0.2.7"), ("XCLIENT", b"HELO=laptop")), "192.0.2.7"),
    ],
)
async def test_a_client_that_is_named_is_that_everywhere(session: Session, address: str) -> None:
    assert session.known_client == address
    assert client_id(bytes(32), session) is not None
    assert str(listed_client(session)) == address
    assert (await judged(session)).results[0].result == ("pass" if address == "192.0.2.7" else "fail")


async def judged(session: Session) -> Verdict:
    """Say the verdict of SPF on a mail of example.org, which sends from 192.0.2.7 alone."""
    zone = {"example.org": {"TXT": ["v=spf1 ip4:192.0.2.7 -all"]}}
    mail = transaction(session=session, envelope=Envelope(reverse_path=path("ann@example.org")))
    seen = context(transaction=mail, direction=Direction.INBOUND, dns=ZoneLookups(zone))

    def on_error(_check: str, _transaction_id: str, error: BaseException) -> None:
        raise AssertionError from error

    checks = arrange([spf.make(deadline_s=PATIENCE_S, check_helo=False)])
    return (await run(checks, seen, on_error=on_error)).verdicts[0]
