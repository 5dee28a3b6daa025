"""How long an answer is kept, and how a server from before EDNS is asked.  RFC 2181 §8, 2308 §5, 6891 §7."""

from __future__ import annotations

import dns.message
import dns.name
import dns.rcode
import pytest

from filterd.clients.resolver import MAX_NEGATIVE_TTL_S, MAX_TTL_S, DnsResolver
from filterd.clients.resolver_wire import TYPES, Reply, read_response
from filterd.demo.zone import Responder
from filterd.errors import PortError
from filterd.ports import DnsAnswer
from tests.kit.zones import Zone, ZoneServer, patient_resolver


@pytest.mark.parametrize(
    ("ttl_s", "exists", "records", "kept_s"),
    [
        # A day, a week, and what RFC 2181 §8 calls no time: an hour at most for a yes, 15 minutes for a no.
        (86_400, True, ("192.0.2.1",), MAX_TTL_S),
        (2**31 - 1, True, ("192.0.2.1",), MAX_TTL_S),
        (86_400, False, (), MAX_NEGATIVE_TTL_S),
        (86_400, True, (), MAX_NEGATIVE_TTL_S),
        (30, True, ("192.0.2.1",), 30),
        (30, False, (), 30),
    ],
)
async def test_a_ttl_is_believed_within_bounds(ttl_s: int, exists: bool, records: tuple[str, ...], kept_s: int) -> None:
    now, asked = 0.0, 0

    async def ask(labels: tuple[bytes, ...], rdtype: str) -> Reply:
        nonlocal asked
        asked += 1
        return Reply(answer=DnsAnswer(records=records, exists=exists), ttl_s=ttl_s)

    resolver = DnsResolver(ask, clock=lambda: now)
    for at, expected in ((0, 1), (kept_s - 1, 1), (kept_s, 2)):
        now = at
        await resolver.for_message().query("example.org", "A")
        assert asked == expected


@pytest.mark.parametrize(
    ("soa", "kept_s"),
    [
        # RFC 2308 §5: the smaller of the SOA's own TTL and its minimum; without SOA not at all.
        (". 300 IN SOA ns. host. 1 2 3 4 60", 60),
        (". 20 IN SOA ns. host. 1 2 3 4 60", 20),
        (None, 0),
    ],
)
@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
def test_how_long_a_no_is_kept(rcode: str, soa: str | None, kept_s: int) -> None:
    question = dns.name.from_text("nobody.example.org.")
    lines = ["id 1", "opcode QUERY", f"rcode {rcode}", "flags QR", ";QUESTION", "nobody.example.org. IN A"]
    lines += [";ANSWER", ";AUTHORITY", *([soa] if soa else [])]
    reply = read_response(dns.message.from_text("\n".join(lines)), question, TYPES["A"])
    assert reply == Reply(answer=DnsAnswer(exists=rcode == "NOERROR"), ttl_s=kept_s)


class Old(Responder):
    """A server from before EDNS: says `rcode` to a question with it, with the question or with a bare head."""

    def __init__(self, rcode: str, *, is_bare: bool):
        super().__init__(Zone({"example.org": {"TXT": ["x" * 600, "y"]}}))
        self._rcode, self._is_bare = dns.rcode.from_text(rcode), is_bare
        self.edns: list[int] = []

    def replies(self, query: bytes, *, is_udp: bool) -> list[bytes]:
        asked = dns.message.from_wire(query)
        self.edns.append(asked.edns)
        if asked.edns < 0:
            return super().replies(query, is_udp=is_udp)
        no = dns.message.make_response(asked)
        no.use_edns(0 if self._rcode == dns.rcode.BADVERS else False)
        no.set_rcode(self._rcode)
        if self._is_bare:
            no.question = []
        return [no.to_wire()]


@pytest.mark.parametrize(
    ("rcode", "is_bare"), [("FORMERR", True), ("FORMERR", False), ("NOTIMP", False), ("BADVERS", False)]
)
async def test_a_server_without_edns_is_asked_without_it(rcode: str, is_bare: bool) -> None:
    old = Old(rcode, is_bare=is_bare)
    with ZoneServer(Zone({}), responder=old) as server:
        answer = await patient_resolver(server).for_message().query("example.org", "TXT")
    assert len(answer.records) == 2
    # With it, without it, and what 512 octets do not hold once more over TCP.
    assert old.edns == [0, -1, -1]


async def test_a_server_that_cannot_do_either_is_temporary() -> None:
    class Broken(Old):
        def replies(self, query: bytes, *, is_udp: bool) -> list[bytes]:
            self.edns.append(dns.message.from_wire(query).edns)
            no = dns.message.make_response(dns.message.from_wire(query))
            no.set_rcode(dns.rcode.FORMERR)
            return [no.to_wire()]

    broken = Broken("FORMERR", is_bare=False)
    with ZoneServer(Zone({}), responder=broken) as server, pytest.raises(PortError, match="formerr"):
        await patient_resolver(server).for_message().query("example.org", "TXT")
    # A lone server is asked twice.
    assert broken.edns == [0, -1] * 2
