"""The resolver against a real DNS server on loopback: cache, budget, deadline, and servers that misbehave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from filterd.clients.resolver import DnsResolver, MessageLookups, make_resolver, published, wire_labels
from filterd.clients.resolver_wire import SUSPECT_AFTER, NameServers, read_address
from filterd.errors import ConfigError, DnsBudgetSpent, PortError, UsageError
from filterd.ports import DnsAnswer
from tests.kit.loops import settled, turn
from tests.kit.waiting import PATIENCE_S
from tests.kit.zones import Mischief, Zone, ZoneServer, patient_resolver

pytestmark = pytest.mark.slow

BIG = "v=spf1 " + "a" * 64_000
ZONE = Zone(
    {
        "example.org": {"A": ["192.0.2.1"], "TXT": ["one", ["two ", "parts"]], "MX": [[10, "MX.example.org"], [0, ""]]},
        "six.example.org": {"AAAA": ["2001:db8::1"]},
        "7.2.0.192.in-addr.arpa": {"PTR": ["mx.example.org."]},
        "www.example.org": {"CNAME": ["web.example.org"]},
        "web.example.org": {"CNAME": ["example.org"]},
        "here.loop.example": {"CNAME": ["there.loop.example"]},
        "there.loop.example": {"CNAME": ["here.loop.example"]},
        **{f"c{i}.chain.example": {"CNAME": [f"c{i + 1}.chain.example"]} for i in range(40)},
        "big.example": {"TXT": [BIG]},
        "cut.example": {"TXT": ["whole"], "FAIL": "truncate"},
        "now.example": {"A": ["192.0.2.2"], "TTL": 0},
        "short.example": {"A": ["192.0.2.3"], "TTL": 7},
        "dead.example": {"FAIL": "timeout"},
        "ill.example": {"FAIL": "servfail"},
        "no.example": {"FAIL": "refused"},
        "forged.example": {"TXT": ["honest"]},
        "other.example": {"TXT": ["honest"]},
        "noise.example": {"TXT": ["honest"]},
        "rubbish.example": {"TXT": ["honest"]},
    }
)
SPOILED = {
    "forged.example": "wrong_id",
    "other.example": "other_question",
    "noise.example": "garbage",
    "rubbish.example": "only_garbage",
}


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def mischief() -> Mischief:
    return Mischief(ZONE, SPOILED)


@pytest.fixture
def server(mischief: Mischief) -> Iterator[ZoneServer]:
    with ZoneServer(ZONE, responder=mischief) as running:
        yield running


@pytest.fixture
def dns(server: ZoneServer) -> MessageLookups:
    return patient_resolver(server).for_message()


@pytest.mark.parametrize(
    ("name", "rdtype", "expected"),
    [
        ("Example.ORG.", "A", DnsAnswer(records=("192.0.2.1",))),
        ("six.example.org", "AAAA", DnsAnswer(records=("2001:db8::1",))),
        ("7.2.0.192.in-addr.arpa", "PTR", DnsAnswer(records=("mx.example.org",))),
        ("www.example.org", "A", DnsAnswer(records=("192.0.2.1",))),
        ("www.example.org", "CNAME", DnsAnswer(records=("web.example.org",))),
        # NODATA: the name is there, or there are names below it.
        ("six.example.org", "A", DnsAnswer()),
        ("in-addr.arpa", "A", DnsAnswer()),
        ("nobody.example.org", "A", DnsAnswer(exists=False)),
        # Aliases that go round, and a chain longer than anybody follows, lead nowhere.
        ("here.loop.example", "A", DnsAnswer()),
        ("c0.chain.example", "A", DnsAnswer()),
        ("cut.example", "TXT", DnsAnswer(records=((b"whole",),))),
    ],
)
async def test_answers(dns: MessageLookups, name: str, rdtype: str, expected: DnsAnswer) -> None:
    assert await dns.query(name, rdtype) == expected


async def test_mx_with_the_null_exchange(dns: MessageLookups) -> None:
    assert sorted((await dns.query("example.org", "MX")).records) == [(0, ""), (10, "mx.example.org")]


async def test_txt_strings_are_not_joined(dns: MessageLookups) -> None:
    assert sorted((await dns.query("example.org", "TXT")).records) == [(b"one",), (b"two ", b"parts")]


async def test_64_kb_come_over_tcp(dns: MessageLookups, mischief: Mischief) -> None:
    (record,) = (await dns.query("big.example", "TXT")).records
    assert b"".join(record).decode() == BIG
    assert [is_udp for _, _, is_udp in mischief.seen] == [True, False]


@pytest.mark.parametrize("name", ["forged.example", "other.example", "noise.example"])
async def test_a_reply_that_is_not_ours_is_passed_over(dns: MessageLookups, name: str) -> None:
    assert (await dns.query(name, "TXT")).records == ((b"honest",),)


@pytest.mark.parametrize(
    ("name", "text", "patience_s"),
    [
        ("ill.example", "DNS: servfail", PATIENCE_S),
        ("no.example", "DNS: refused", PATIENCE_S),
        # An answer that is one never comes.
        ("dead.example", "DNS: no answer in time", 0.05),
        ("rubbish.example", "DNS: no answer in time", 0.05),
    ],
)
async def test_no_answer_is_temporary(server: ZoneServer, name: str, text: str, patience_s: float) -> None:
    dns = make_resolver([server.address], patience_s=patience_s, deadline_s=10 * PATIENCE_S).for_message()
    with pytest.raises(PortError) as caught:
        await dns.query(name, "TXT")
    assert (str(caught.value), caught.value.temporary) == (text, True)
    assert not isinstance(caught.value, DnsBudgetSpent)


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..example.org", ".org", "a" * 64 + ".org", "a\0b.org", "a\nb.org", "例子.org", "x." * 200, "\udcff.a"],
)
async def test_what_is_no_name_does_not_exist_and_is_not_asked(
    dns: MessageLookups, mischief: Mischief, name: str
) -> None:
    assert await dns.query(name, "A") == DnsAnswer(exists=False)
    assert mischief.seen == []


@pytest.mark.parametrize("name", ["a b.example.org", "a\\.b.example.org", 'a"b.example.org', "*.example.org"])
async def test_odd_octets_are_asked_as_they_are(dns: MessageLookups, name: str) -> None:
    assert await dns.query(name, "A") == DnsAnswer(exists=False)


async def test_unknown_type_is_our_mistake(dns: MessageLookups) -> None:
    with pytest.raises(UsageError):
        await dns.query("example.org", "ANY")


# --- Cache ------------------------------------------------------------------------------------------------------------


def cached(server: ZoneServer, clock: Clock, **limits: int) -> DnsResolver:
    return patient_resolver(server, clock=clock, **limits)


async def test_an_answer_is_kept_for_its_ttl(server: ZoneServer, mischief: Mischief) -> None:
    clock = Clock()
    resolver = cached(server, clock)
    for now, asked in ((0, 1), (6.9, 1), (7, 2)):
        clock.now = now
        await resolver.for_message().query("short.example", "A")
        assert len(mischief.seen) == asked


@pytest.mark.parametrize(("name", "rdtype"), [("nobody.example.org", "A"), ("six.example.org", "A")])
async def test_no_is_kept_too(server: ZoneServer, mischief: Mischief, name: str, rdtype: str) -> None:
    clock = Clock()
    resolver = cached(server, clock)
    for now, asked in ((0, 1), (59, 1), (60, 2)):
        clock.now = now
        await resolver.for_message().query(name, rdtype)
        assert len(mischief.seen) == asked


async def test_ttl_0_lasts_for_the_message(server: ZoneServer, mischief: Mischief) -> None:
    resolver = cached(server, Clock())
    for _ in range(2):
        dns = resolver.for_message()
        for _ in range(3):
            assert (await dns.query("now.example", "A")).records == ("192.0.2.2",)
    assert len(mischief.seen) == 2


async def test_a_failure_is_kept_for_a_moment(server: ZoneServer, mischief: Mischief) -> None:
    clock = Clock()
    resolver = cached(server, clock)
    for now, asked in ((0, 1), (4, 1), (5, 2)):
        clock.now = now
        with pytest.raises(PortError, match="servfail"):
            # A lone server that says SERVFAIL is asked twice.
            await resolver.for_message().query("ill.example", "A")
        assert len(mischief.seen) == asked * 2


async def test_the_cache_does_not_grow(server: ZoneServer) -> None:
    resolver = cached(server, Clock(), max_entries=10, max_bytes=1_000_000)
    for i in range(30):
        await resolver.for_message().query(f"n{i}.example.org", "A")
    assert len(resolver._cache) == 10
    # An answer of a tenth of all there is room for is not kept at all.
    small = cached(server, Clock(), max_bytes=600_000)
    await small.for_message().query("big.example", "TXT")
    assert (len(small._cache), small._cache.size_bytes) == (0, 0)


async def test_equal_questions_in_flight_are_one(server: ZoneServer, mischief: Mischief) -> None:
    resolver = patient_resolver(server)
    answers = await asyncio.gather(*(resolver.for_message().query("example.org", "A") for _ in range(50)))
    assert {answer.records for answer in answers} == {("192.0.2.1",)}
    assert len(mischief.seen) == 1
    assert resolver._in_flight == {}


async def test_who_asked_first_may_leave(server: ZoneServer, mischief: Mischief) -> None:
    resolver = patient_resolver(server)
    first = asyncio.create_task(resolver.for_message().query("example.org", "A"))
    second = asyncio.create_task(resolver.for_message().query("example.org", "A"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).records == ("192.0.2.1",)
    assert len(mischief.seen) == 1


# --- Budget and deadline ----------------------------------------------------------------------------------------------


async def test_the_budget_counts_questions_not_packets(server: ZoneServer) -> None:
    resolver = patient_resolver(server, budget=8)
    for _ in range(2):
        # The second time everything is cached, and nothing is different.
        dns = resolver.for_message()
        for i in range(6):
            await dns.query(f"n{i}.example.org", "A")
            await dns.query(f"n{i}.example.org", "A")
        with pytest.raises(DnsBudgetSpent):
            await dns.query("n6.example.org", "A")
        # The last two of eight are for policies.
        for i in range(2):
            await dns.query(f"_dmarc.n{i}.example.org", "TXT")
        with pytest.raises(DnsBudgetSpent):
            await dns.query("_dmarc.n2.example.org", "TXT")
        # What is answered already stays answered.
        assert (await dns.query("n0.example.org", "A")).exists is False


async def test_a_silent_server_costs_less_the_fourth_time() -> None:
    clock = Clock()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        servers = NameServers([f"127.0.0.1:{silent.getsockname()[1]}"], patience_s=0.05, clock=clock)
        tries = []
        for _ in range(3):
            tries.append(len(servers._order()))
            with pytest.raises(PortError):
                await servers.ask((b"example", b"org"), "A")
    assert tries == [2, 2, 1]


@pytest.mark.turned
async def test_the_second_server_answers(server: ZoneServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.setblocking(False)
        addresses = [f"127.0.0.1:{silent.getsockname()[1]}", server.address]
        servers = NameServers(addresses, patience_s=PATIENCE_S, clock=Clock())
        dns = DnsResolver(servers.ask, deadline_s=10 * PATIENCE_S).for_message()
        for i in range(5):
            asking = asyncio.create_task(dns.query(f"n{i}.example.org", "A"))
            if i < SUSPECT_AFTER:
                # Later it is asked last, and that is never.
                await asyncio.get_running_loop().sock_recv(silent, 512)
                await settled()
                await turn(PATIENCE_S)
            assert (await asking).exists is False
        with pytest.raises(BlockingIOError):
            silent.recv(512)


async def test_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
    with pytest.raises(PortError):
        await make_resolver([f"127.0.0.1:{port}"], patience_s=0.1).for_message().query("example.org", "A")


# --- Configuration, and the log ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
    ],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert read_address(text) == expected


@pytest.mark.parametrize(
    "text", ["", "ns.example.org", "192.0.2.1:0", "192.0.2.1:x", "192.0.2.1:70000", "[::1]x", "[::1"]
)
def test_what_is_no_address_is_refused_at_start(text: str) -> None:
    with pytest.raises(ConfigError):
        make_resolver([text])


def test_no_server_is_refused_at_start() -> None:
    with pytest.raises(ConfigError):
        make_resolver([])


async def test_asked_says_what_came(dns: MessageLookups) -> None:
    await dns.query("example.org", "A")
    await dns.query("nobody.example.org", "A")
    await dns.query("cut.example", "TXT")
    await dns.query("cut.example", "A")
    with pytest.raises(PortError):
        await dns.query("ill.example", "A")
    assert dns.asked == (
        ("example.org", "A", ("192.0.2.1",)),
        ("nobody.example.org", "A", "nxdomain"),
        ("cut.example", "TXT", ("whole",)),
        ("cut.example", "A", "nodata"),
        ("ill.example", "A", "servfail"),
    )


def test_records_are_published_whole_and_plain() -> None:
    octets = b"\x1b[31m\r\n\xff\\" + b"x" * 60_000
    (first, second) = published(DnsAnswer(records=((octets, b"y"), (b"z",))))
    assert first.isascii()
    assert first.isprintable()
    assert first.encode().decode("unicode_escape").encode("latin-1") == octets + b"y"
    assert second == "z"


def test_labels_are_octets_not_escapes() -> None:
    assert wire_labels("a\\.b") == (b"a\\", b"b")
