"""Faults 11 to 15 of mail authentication, by their number (tests/faults.toml).  FAULTS §3.

A stranger's mail walks through the real gate with all four checks, and DNS does its worst.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import spf as pyspf

from filterd.clients.resolver import BUDGET, DEADLINE_S, DnsResolver, MessageLookups, make_resolver
from filterd.clients.resolver_wire import NameServers, Reply
from filterd.demo.zone import Responder
from filterd.ports import DnsAnswer
from tests.checks.forged import Told, told
from tests.kit.loops import now_s
from tests.kit.waiting import PATIENCE_S
from tests.kit.zones import Mischief, Zone, ZoneServer, patient_resolver

pytestmark = pytest.mark.slow

SIGNED = (
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=%s; s=s%d; h=from:subject; "
    b"bh=g3zLYH4xKxcPrHOD18z9YfpQcnk/GaJedfustWU5uGs=; b=YWJj\r\n"
)
SET = (
    b"ARC-Seal: i=%(i)d; a=rsa-sha256; cv=%(cv)s; d=relay%(i)d.example; s=s; b=YWJj\r\n"
    b"ARC-Message-Signature: i=%(i)d; a=rsa-sha256; c=relaxed/relaxed; d=relay%(i)d.example; s=s; h=from:subject; "
    b"bh=g3zLYH4xKxcPrHOD18z9YfpQcnk/GaJedfustWU5uGs=; b=YWJj\r\n"
    b"ARC-Authentication-Results: i=%(i)d; relay%(i)d.example; spf=pass\r\n"
)
BODY = b"From: Ann <ann@bank.example>\r\nSubject: s\r\n\r\ntest\r\n"


def sets(count: int) -> bytes:
    """ARC sets, the newest on top."""
    return b"".join(SET % {b"i": i, b"cv": b"none" if i == 1 else b"pass"} for i in range(count, 0, -1))


# Asks for something in each of the four methods.
MAIL = sets(1) + SIGNED % (b"bank.example", 1) + BODY


class Counting:
    """`ports.Resolver` that keeps the questions of its one message."""

    def __init__(self, resolver: DnsResolver):
        self._resolver = resolver
        self.lookups: MessageLookups | None = None

    def for_message(self) -> MessageLookups:
        self.lookups = self._resolver.for_message()
        return self.lookups

    @property
    def asked(self) -> list[tuple[str, str]]:
        """What was asked; what the budget refused was not."""
        assert self.lookups is not None
        return [(name, rdtype) for name, rdtype, said in self.lookups.asked if said != "the message has asked too much"]


async def judged(resolver: Any, raw: bytes = MAIL) -> Told:
    return await told(raw, mail_from="ann@bank.example", helo="mail.bank.example", resolver=resolver)


@contextmanager
def silent() -> Iterator[str]:
    """A socket that never answers; gives its address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{hole.getsockname()[1]}"


# --- 11: a black hole -------------------------------------------------------------------------------------------------


async def test_fault_11_a_black_hole_is_temporary_for_all_four(monkeypatch: pytest.MonkeyPatch) -> None:
    def blocking(*_: object, **__: object) -> None:
        raise AssertionError("a look-up that blocks the loop")

    monkeypatch.setattr(pyspf, "DNSLookup", blocking)
    monkeypatch.setattr(socket, "getaddrinfo", blocking)
    with silent() as address:
        resolver = make_resolver([address], patience_s=0.05, deadline_s=0.3)
        seen = await judged(resolver)
        await resolver.close()
    # ARC has no word for it (RFC 8601 §2.7): it says nothing. Nothing is invented.
    assert sorted(seen.methods) == ["dkim=temperror", "dmarc=temperror", "spf=temperror", "spf=temperror"]


@pytest.mark.leaping
async def test_fault_11_all_four_together_take_the_deadline_at_most() -> None:
    async def never(labels: tuple[bytes, ...], rdtype: str) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    many = sets(5) + b"".join(SIGNED % (b"h%d.example" % n, n) for n in range(10)) + BODY
    resolver = DnsResolver(never)
    seen = await judged(resolver, many)
    assert DEADLINE_S == 5.0
    assert now_s() <= DEADLINE_S
    assert {method.partition("=")[2] for method in seen.methods} == {"temperror"}
    await resolver.close()


# --- 12: answers that are none ----------------------------------------------------------------------------------------

HARD = "v=spf1 -all"
ODD = Zone(
    {
        "cut.example": {"TXT": [HARD], "FAIL": "truncate"},
        "big.example": {"TXT": ["v=spf1 " + "a" * 64_000]},
        "loop.example": {"CNAME": ["pool.example"]},
        "pool.example": {"CNAME": ["loop.example"]},
        "id.example": {"TXT": [HARD]},
        "question.example": {"TXT": [HARD]},
        "garbage.example": {"TXT": [HARD]},
    }
)
SPOILED = {"id.example": "wrong_id", "question.example": "other_question", "garbage.example": "garbage"}


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("cut.example", "fail"),
        ("big.example", "permerror"),
        ("loop.example", "none"),
        ("id.example", "fail"),
        ("question.example", "fail"),
        ("garbage.example", "fail"),
    ],
)
async def test_fault_12_odd_answers_are_survived_and_forged_ones_not_believed(domain: str, expected: str) -> None:
    with ZoneServer(ODD, responder=Mischief(ODD, SPOILED, forged="v=spf1 +all")) as server:
        seen = await told(BODY, mail_from=f"ann@{domain}", resolver=patient_resolver(server))
    assert f"spf={expected}" in seen.methods
    assert "spf=pass" not in seen.methods


class Forger(asyncio.DatagramProtocol):
    """A name server beside which somebody else answers first, from another port."""

    def __init__(self, forger: asyncio.DatagramTransport):
        self._honest = Responder(Zone({"bank.example": {"TXT": [HARD]}}))
        self._forged = Responder(Zone({"bank.example": {"TXT": ["v=spf1 +all"]}}))
        self._forger = forger

    def connection_made(self, transport: Any) -> None:
        self._own = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        for reply in self._forged.replies(data, is_udp=True):
            self._forger.sendto(reply, addr)
        for reply in self._honest.replies(data, is_udp=True):
            self._own.sendto(reply, addr)


async def test_fault_12_an_answer_from_elsewhere_is_not_believed() -> None:
    loop, here = asyncio.get_running_loop(), ("127.0.0.1", 0)
    forger, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=here)
    server, _ = await loop.create_datagram_endpoint(lambda: Forger(forger), local_addr=here)
    port = server.get_extra_info("sockname")[1]
    resolver = DnsResolver(NameServers([f"127.0.0.1:{port}"], patience_s=PATIENCE_S).ask, deadline_s=10 * PATIENCE_S)
    seen = await told(BODY, mail_from="ann@bank.example", resolver=resolver)
    assert "spf=fail" in seen.methods
    forger.close()
    server.close()


async def test_fault_12_a_flood_of_names_that_are_not_there_does_not_grow() -> None:
    async def nobody(labels: tuple[bytes, ...], rdtype: str) -> Reply:
        return Reply(answer=DnsAnswer(exists=False), ttl_s=86_400)

    resolver = DnsResolver(nobody, max_entries=500)
    for mail in range(100):
        lookups = resolver.for_message()
        for number in range(30):
            await lookups.query(f"n{number}.m{mail}.example", "TXT")
    assert len(resolver._cache) == 500
    assert resolver._in_flight == {}


# --- 13, 14: SPF records that ask for more ----------------------------------------------------------------------------


async def test_fault_13_a_record_of_111_questions_asks_40_at_most() -> None:
    terms = [f"mx:m{i}.bank.example" for i in range(10)]
    zone: dict[str, Any] = {
        "bank.example": {"TXT": [" ".join(["v=spf1", *terms, "-all"])]},
        "mail.bank.example": {"TXT": [" ".join(["v=spf1", *terms[::-1], "-all"])]},
        "_dmarc.bank.example": {"TXT": ["v=DMARC1; p=reject"]},
    }
    for i in range(10):
        zone[f"m{i}.bank.example"] = {"MX": [[10, f"h{i}-{j}.bank.example"] for j in range(10)]}
        zone |= {f"h{i}-{j}.bank.example": {"A": ["198.51.100.1"]} for j in range(10)}
    with ZoneServer(Zone(zone)) as server:
        counting = Counting(patient_resolver(server))
        keys = b"".join(SIGNED % (b"h%d.example" % n, n) for n in range(10))
        seen = await judged(counting, sets(1) + keys + BODY)
    assert len(set(counting.asked)) <= BUDGET == 40
    # Never fail, and what the owner of the author domain wants is still heard.
    assert [method for method in seen.methods if method.startswith("spf")] == ["spf=temperror"] * 2
    assert ("_dmarc.bank.example", "TXT") in counting.asked


async def test_fault_14_the_third_void_lookup_ends_it() -> None:
    zone = {"bank.example": {"TXT": ["v=spf1 " + " ".join(f"a:v{n}.bank.example" for n in range(8)) + " +all"]}}
    with ZoneServer(Zone(zone)) as server:
        counting = Counting(patient_resolver(server))
        seen = await judged(counting, BODY)
    assert "spf=permerror" in seen.methods
    asked = [name for name, rdtype in counting.asked if rdtype == "A"]
    assert asked == [f"v{n}.bank.example" for n in range(3)]


# --- 15: a thousand signatures, a thousand seals ----------------------------------------------------------------------


async def test_fault_15_a_thousand_signatures_are_ten() -> None:
    raw = b"".join(SIGNED % (b"bank.example", n) for n in range(1000)) + BODY
    with ZoneServer(Zone({})) as server:
        counting = Counting(patient_resolver(server))
        seen = await judged(counting, raw)
    keys = [name for name, _ in counting.asked if "_domainkey" in name]
    assert keys == [f"s{n}._domainkey.bank.example" for n in range(10)]
    assert sum(method.startswith("dkim=") for method in seen.methods) == 10
    assert seen.says("990 more signatures not looked at")


async def test_fault_15_a_thousand_arc_sets_fail_without_a_question() -> None:
    with ZoneServer(Zone({})) as server:
        counting = Counting(patient_resolver(server))
        seen = await judged(counting, sets(1000) + BODY)
    assert "arc=fail" in seen.methods
    assert [name for name, _ in counting.asked if "relay" in name] == []
