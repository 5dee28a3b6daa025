"""A hostile name server and hostile mail against the resolver: what they may cost is bounded."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress

import dns.message
import pytest

from filterd.clients import resolver as resolver_module
from filterd.clients import resolver_sockets
from filterd.clients.resolver import DnsResolver
from filterd.clients.resolver_sockets import MAX_RECORDS
from filterd.clients.resolver_wire import Reply
from filterd.demo.zone import Responder
from filterd.errors import PortError
from filterd.ports import DnsAnswer
from tests.kit.loops import now_s, settled, turn
from tests.kit.waiting import PATIENCE_S, soon
from tests.kit.zones import Zone, ZoneServer, patient_resolver

pytestmark = pytest.mark.slow

POLICY = DnsAnswer(records=((b"v=DMARC1; p=reject",),))
# A name of as many labels as fit: parsing one costs the most.
DEEP = ".".join(["a"] * 100) + ".example"


class Many(Responder):
    """Answers everything with `count` tiny TXT records, over UDP truncated unless `also_udp`."""

    def __init__(self, count: int, *, also_udp: bool = False):
        super().__init__(Zone({}))
        self._count, self._also_udp = count, also_udp

    def replies(self, wire: bytes, *, is_udp: bool) -> list[bytes]:
        query = dns.message.from_wire(wire)
        end = wire.index(b"\0", 12) + 5
        is_cut = is_udp and not self._also_udp
        count = 0 if is_cut else self._count
        head = struct.pack(">HHHHHH", query.id, 0x8380 if is_cut else 0x8180, 1, count, 0, 0)
        records = (b"\xc0\x0c" + struct.pack(">HHIHBH", 16, 1, 60, 3, 2, i) for i in range(count))
        return [head + wire[12:end] + b"".join(records)]


@pytest.mark.turned
@pytest.mark.parametrize("also_udp", [False, True])
async def test_a_reply_of_very_many_records_is_not_parsed(monkeypatch: pytest.MonkeyPatch, also_udp: bool) -> None:
    parsed: list[int] = []
    immodest: list[bytes] = []
    true = dns.message.from_wire

    def from_wire(wire: bytes, *args: object, **options: object) -> dns.message.Message:
        parsed.append(len(wire))
        return true(wire, *args, **options)  # type: ignore[arg-type]

    def is_modest(head: bytes) -> bool:
        if not (said := true_look(head)):
            immodest.append(head)
        return said

    true_look = resolver_sockets.is_modest
    monkeypatch.setattr(dns.message, "from_wire", from_wire)
    monkeypatch.setattr(resolver_sockets, "is_modest", is_modest)
    with ZoneServer(Zone({}), responder=Many(4_300, also_udp=also_udp)) as server:
        lookups = patient_resolver(server).for_message()
        asking = asyncio.create_task(lookups.query(DEEP, "TXT"))
        if also_udp:
            # Passed over as noise, and waited on; twice, for a lone server is asked again.
            for tried in (1, 2):
                await soon(lambda tried=tried: len(immodest) == tried)
                await settled()
                await turn(PATIENCE_S)
        with pytest.raises(PortError, match="no answer in time" if also_udp else "broken answer"):
            await asking
    assert len(immodest) == 2
    # The questions, which the server reads, and replies without records. The loop was once held for 1.6 s.
    assert parsed
    assert max(parsed) < 1_000


async def test_as_many_records_as_allowed_are_read() -> None:
    with ZoneServer(Zone({}), responder=Many(MAX_RECORDS)) as server:
        answer = await patient_resolver(server).for_message().query("a.example", "TXT")
    assert len(answer.records) == MAX_RECORDS


class Hole:
    """Names below `hole` are silent until `opened`; all others have a policy."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.asked: list[bytes] = []

    async def ask(self, labels: tuple[bytes, ...], rdtype: str) -> Reply:
        self.asked.append(b".".join(labels))
        if labels[-1] == b"hole":
            await self.opened.wait()
        return Reply(answer=POLICY, ttl_s=60)


async def _flood(resolver: DnsResolver, mails: int) -> None:
    async def one(mail: int) -> None:
        lookups = resolver.for_message()
        names = [f"s{key}.m{mail}.hole" for key in range(10)]
        await asyncio.gather(*(lookups.query(name, "TXT") for name in names), return_exceptions=True)

    await asyncio.gather(*(one(mail) for mail in range(mails)))


@pytest.mark.leaping
async def test_keys_in_a_black_hole_do_not_hide_the_policies_of_others() -> None:
    hole = Hole()
    resolver = DnsResolver(hole.ask, deadline_s=2.0)
    flood = asyncio.create_task(_flood(resolver, 60))
    await asyncio.sleep(0.1)
    assert await resolver.for_message().query("_dmarc.bank.example", "TXT") == POLICY
    flood.cancel()
    await resolver.close()


@pytest.mark.leaping
async def test_questions_whose_mail_has_given_up_do_not_stand_in_the_way() -> None:
    hole = Hole()
    resolver = DnsResolver(hole.ask, deadline_s=0.3)
    await _flood(resolver, 60)
    hole.opened.set()
    assert await resolver.for_message().query("late.example", "TXT") == POLICY
    # Those that had a slot were asked; the other 344 never.
    assert len(hole.asked) <= resolver_module.MAX_IN_FLIGHT + 1
    await resolver.close()


@pytest.mark.leaping
async def test_a_question_that_was_given_up_can_be_asked_again() -> None:
    hole = Hole()
    resolver = DnsResolver(hole.ask, deadline_s=0.3)
    flood = asyncio.create_task(_flood(resolver, 26))
    await asyncio.sleep(0.05)
    first = asyncio.create_task(resolver.for_message().query("key.example", "TXT"))
    await asyncio.sleep(0.01)
    first.cancel()
    second = asyncio.create_task(resolver.for_message().query("key.example", "TXT"))
    await asyncio.sleep(0)
    hole.opened.set()
    assert await second == POLICY
    with suppress(asyncio.CancelledError):
        await first
    await flood
    await resolver.close()


@pytest.mark.leaping
async def test_one_asker_that_goes_does_not_take_the_answer_from_the_other() -> None:
    hole = Hole()
    resolver = DnsResolver(hole.ask)
    first, second = (asyncio.create_task(resolver.for_message().query("k.hole", "TXT")) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    hole.opened.set()
    assert await second == POLICY
    assert hole.asked == [b"k.hole"]
    await resolver.close()


async def test_a_flood_of_questions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "MAX_IN_FLIGHT", 5)
    most = now = 0

    async def ask(labels: tuple[bytes, ...], rdtype: str) -> Reply:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return Reply(answer=DnsAnswer(exists=False), ttl_s=0)

    resolver = DnsResolver(ask)
    await asyncio.gather(*(resolver.for_message().query(f"n{i}.example.org", "A") for i in range(100)))
    assert most == 5


class BlackHole:
    """Never answers but for policies, and for these after `policy_after_s`. Writes down who is asked when."""

    def __init__(self, policy_after_s: float) -> None:
        self._policy_after_s = policy_after_s
        self.asked: dict[str, float] = {}

    async def ask(self, labels: tuple[bytes, ...], rdtype: str) -> Reply:
        self.asked[b".".join(labels).decode()] = now_s()
        if labels[0] != b"_dmarc":
            await asyncio.Event().wait()
        await asyncio.sleep(self._policy_after_s)
        return Reply(answer=DnsAnswer(exists=False), ttl_s=0)


@pytest.mark.leaping
async def test_a_black_hole_takes_the_deadline_and_no_more() -> None:
    hole = BlackHole(policy_after_s=10)
    resolver = DnsResolver(hole.ask, deadline_s=5)
    dns = resolver.for_message()
    for name in (*(f"n{i}.example.org" for i in range(20)), "_dmarc.example.org"):
        with pytest.raises(PortError):
            await dns.query(name, "TXT")
    # 70 % of the time is for all others, the rest for the policy, which was asked to the end.
    assert hole.asked == {"n0.example.org": 0.0, "_dmarc.example.org": 3.5}
    assert {what for name, _, what in dns.asked} == {"the message has waited too long"}
    assert now_s() == 5.0
    await resolver.close()


@pytest.mark.leaping
async def test_time_is_left_for_the_policy() -> None:
    hole = BlackHole(policy_after_s=1.4)
    resolver = DnsResolver(hole.ask, deadline_s=5)
    dns = resolver.for_message()
    for rdtype in ("A", "AAAA", "MX", "TXT"):
        with pytest.raises(PortError):
            await dns.query("dead.example", rdtype)
    assert (await dns.query("_dmarc.example.org", "TXT")).exists is False
    await resolver.close()
