"""The SPF check beside its case folders: how it waits, what it costs, and what hostile records cannot do."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from filterd.checks import clamd, spf
from filterd.checks.run import arrange, run
from filterd.checks.spec import Check
from filterd.checks.spf_query import MAX_QUESTIONS, Answer, Questions, check_host, read_client
from filterd.clients.keys import derive
from filterd.clients.resolver import DnsResolver
from filterd.clients.resolver_wire import Reply
from filterd.model.sanction import Preset
from filterd.model.session import Direction, Door, Envelope, Session
from filterd.model.verdict import FailMode, Outcome, Verdict
from filterd.pipeline.gate_rules import GateRules
from filterd.pipeline.reach import Reach
from filterd.pipeline.replies import ReplyStyle
from filterd.pipeline.scan import ScanOptions, scan
from filterd.ports import Asked, DnsAnswer, Lookups
from tests.checks.contexts import context, path, transaction
from tests.kit.clock import FrozenClock
from tests.kit.loops import settled
from tests.kit.scanner import ScriptedScanner, match
from tests.kit.terms import tencent
from tests.kit.waiting import PATIENCE_S
from tests.kit.zones import Mischief, Zone, ZoneLookups, ZoneResolver, ZoneServer, patient_resolver

TYPICAL: dict[str, dict[str, Any]] = {
    "example.org": {"TXT": ["v=spf1 include:_spf.example.net mx -all"], "MX": [[10, "mx.example.org"]]},
    "_spf.example.net": {"TXT": ["v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 ~all"]},
    "mx.example.org": {"A": ["192.0.2.1"]},
}


async def ask(dns: Lookups, client: str = "192.0.2.1", domain: str = "example.org", local_part: str = "ann") -> Answer:
    address = read_client(client)
    assert address is not None
    return await check_host(Questions(dns), address, domain, local_part=local_part, helo="mx.example.org")


async def verdict(dns: Lookups | None, *, check: Check | None = None, **session: Any) -> Verdict:
    said: dict[str, Any] = {"client_address": "192.0.2.1", "helo": "mx.example.org", **session}
    seen = context(
        transaction=transaction(
            session=Session(id="s_1", door=Door.SMTP, listener="smtp", peer_address="192.0.2.99", **said),
            envelope=Envelope(reverse_path=path("ann@example.org")),
        ),
        direction=Direction.INBOUND,
        dns=dns,
    )

    def on_error(_check: str, _transaction_id: str, error: BaseException) -> None:
        raise AssertionError from error

    return (await run((check or spf.make(deadline_s=PATIENCE_S),), seen, on_error=on_error)).verdicts[0]


class Slow:
    """Answers only after some turns of the loop, and never says at once what it knows."""

    def __init__(self, dns: Lookups):
        self._dns = dns

    async def query(self, name: str, rdtype: str) -> DnsAnswer:
        await settled()
        return await self._dns.query(name, rdtype)

    @property
    def asked(self) -> tuple[Asked, ...]:
        return self._dns.asked


async def test_the_answer_does_not_depend_on_what_is_known_before() -> None:
    for client in ("192.0.2.1", "198.51.100.9", "192.0.2.2"):
        quick, slow = ZoneLookups(TYPICAL), ZoneLookups(TYPICAL)
        assert await ask(quick, client) == await ask(Slow(slow), client)
        assert quick.asked == slow.asked


async def test_the_event_loop_goes_on_meanwhile() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await ask(Slow(ZoneLookups(TYPICAL)))
    ticking.cancel()
    assert ticks > 10


async def test_two_mails_at_once_do_not_mix() -> None:
    other = {"example.org": {"TXT": ["v=spf1 -all"]}}
    answers = await asyncio.gather(
        *(ask(Slow(ZoneLookups(TYPICAL if i % 2 else other))) for i in range(20)),
    )
    assert [answer.result for answer in answers] == ["fail", "pass"] * 10


async def test_the_bound_on_questions_holds_against_any_budget() -> None:
    zone: dict[str, dict[str, Any]] = {
        f"m{i}.example.org": {"MX": [[10, f"h{i}-{j}.example.org"] for j in range(10)]} for i in range(10)
    }
    zone |= {f"h{i}-{j}.example.org": {"A": ["198.51.100.1"]} for i in range(10) for j in range(10)}
    zone["example.org"] = {"TXT": ["v=spf1 " + " ".join(f"mx:m{i}.example.org" for i in range(10)) + " -all"]}
    dns = ZoneLookups(zone, budget=1000)
    assert await ask(dns) == Answer(result="temperror", problem="budget")
    assert len(dns.asked) == MAX_QUESTIONS


async def test_a_spent_message_budget_is_no_fail() -> None:
    answer = await ask(ZoneLookups(TYPICAL, budget=2))
    assert answer == Answer(result="temperror", problem="budget")


@pytest.mark.parametrize("error", [AssertionError, ValueError, IndexError, RecursionError, UnicodeError])
async def test_whatever_pyspf_raises_is_a_permanent_error(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("filterd.checks.spf_query._Evaluation.check", broken)
    actual = await verdict(ZoneLookups(TYPICAL))
    assert (actual.outcome, [f.code for f in actual.findings]) == (Outcome.FOUND, ["auth.spf.error"])
    assert (actual.results[0].result, actual.results[0].comment) == ("permerror", "exception")


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 ip4:1.2.3.4/" + "9" * 400,
        "v=spf1 a/" + "1" * 5000,
        "v=spf1 " + "ip4:1.2.3.4 " * 4000,
        "v=spf1 exists:%{l99999999999999999999}.example.org",
        "v=spf1 include:\udcff.example.org",
        "v=spf1 redirect=" + "a." * 200,
        "v=spf1 \0",
        "v=spf1 " + "%" * 300,
        "v=spf1 exists:" + "%{d}" * 100,
        # pyspf looks through the whole term once a dot.
        "v=spf1 exists:%{d}" + ".a" * 1_000_000,
    ],
)
@pytest.mark.timeout(120)
async def test_hostile_records_are_answered(record: str) -> None:
    answer = await ask(ZoneLookups({"example.org": {"TXT": [record]}}))
    assert answer.result in ("permerror", "none", "neutral", "fail")


async def test_records_of_chance_never_escape() -> None:
    dice = random.Random(20261006)
    terms = ["a", "mx", "ptr", "exists:", "include:", "redirect=", "exp=", "ip4:", "ip6:", "all"]
    for _ in range(300):
        record = "v=spf1 " + "".join(dice.choice([*terms, *" .1p/-%{}", "example.org"]) for _ in range(12))
        answer = await ask(ZoneLookups({"example.org": {"TXT": [record], "A": ["192.0.2.1"]}}))
        assert answer.result in ("pass", "fail", "softfail", "neutral", "permerror")


async def test_hostile_local_parts_are_answered() -> None:
    zone = {"example.org": {"TXT": ["v=spf1 exists:%{l}.%{s}.example.org -all"]}}
    for local_part in ("a" * 64, "\udcff", '"a@b"', "%{d}", "例", "a..b", ""):
        assert (await ask(ZoneLookups(zone), local_part=local_part)).result == "fail"


@pytest.mark.parametrize(
    ("local_part", "name"),
    [("ann.bee", "bee.ann"), ('"a@victim.example"', 'example"."a@victim'), ("postmaster", "postmaster")],
)
async def test_macros_see_the_whole_local_part(local_part: str, name: str) -> None:
    dns = ZoneLookups({"example.org": {"TXT": ["v=spf1 exists:%{lr}._spf.%{o} -all"]}})
    await ask(dns, local_part=local_part)
    assert [(asked, rdtype) for asked, rdtype, _ in dns.asked][1:] == [(f"{name}._spf.example.org", "A")]


async def test_ptr_without_an_answer_does_not_match() -> None:
    zone = {
        "example.org": {"TXT": ["v=spf1 ptr ip4:192.0.2.1 -all"]},
        "1.2.0.192.in-addr.arpa": {"FAIL": "timeout"},
    }
    assert await ask(ZoneLookups(zone)) == Answer(result="pass")


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ({"client_address": "192.0.2.1"}, "pass"),
        # Nobody in between: the peer is the client.
        ({"client_address": None}, "fail"),
    ],
)
async def test_which_address_is_the_client(session: dict[str, Any], expected: str) -> None:
    assert (await verdict(ZoneLookups(TYPICAL), **session)).results[0].result == expected


@pytest.mark.parametrize(
    ("dns", "session", "reason"),
    [
        (None, {}, "no_resolver"),
        (ZoneLookups({}), {"client_address": None, "is_trusted_peer": True}, "no_client_address"),
        # The door shows a trusted peer that names nobody by its own address: no pass, and no fail, by that.
        (ZoneLookups(TYPICAL), {"client_address": "192.0.2.99", "is_trusted_peer": True}, "no_client_address"),
        (ZoneLookups({}), {"client_address": "unknown"}, "no_client_address"),
    ],
)
async def test_what_is_skipped_says_why(dns: Lookups | None, session: dict[str, Any], reason: str) -> None:
    actual = await verdict(dns, **session)
    assert (actual.outcome, actual.reason) == (Outcome.SKIPPED, reason)


async def test_findings_hold_no_address() -> None:
    actual = await verdict(ZoneLookups({"example.org": {"TXT": ["v=spf1 -all"]}}))
    assert actual.findings
    assert "ann" not in repr(actual)


async def test_with_the_real_resolver() -> None:
    with ZoneServer(Zone(TYPICAL)) as server:
        resolver = patient_resolver(server)
        for _ in range(2):
            assert await ask(resolver.for_message()) == Answer(result="pass")


@pytest.mark.leaping
async def test_a_dead_domain_does_not_spend_what_dmarc_needs() -> None:
    policy = DnsAnswer(records=((b"v=DMARC1; p=reject",),))

    async def answer(labels: tuple[bytes, ...], rdtype: str) -> Reply:
        if labels[0] != b"_dmarc":
            await asyncio.Event().wait()
        # Of five seconds SPF may wait for three and a half.
        await asyncio.sleep(1.4)
        return Reply(answer=policy, ttl_s=60)

    resolver = DnsResolver(answer, deadline_s=5)
    dns = resolver.for_message()
    assert (await ask(dns)).problem == "dns"
    assert await dns.query("_dmarc.bank.example", "TXT") == policy
    await resolver.close()


async def test_cached_records_are_not_asked_for_again() -> None:
    zone = Zone(TYPICAL)
    responder = Mischief(zone, {})
    with ZoneServer(zone, responder=responder) as server:
        resolver = patient_resolver(server)
        assert (await ask(resolver.for_message())).result == "pass"
        asked = len(responder.seen)
        assert asked > 2
        for _ in range(20):
            assert (await ask(resolver.for_message())).result == "pass"
        assert len(responder.seen) == asked


@pytest.mark.parametrize(
    ("terms", "expected", "asked"),
    [
        ("exists:%{l}.x.example -all", "neutral", []),
        ("include:%{L1r-}.x.example -all", "neutral", []),
        ("redirect=%{s}.x.example", "neutral", []),
        ("exists:%{S}.x.example -all", "neutral", []),
        # Decided before the question would be asked; macros that tell nothing; and what only looks like one.
        ("ip4:192.0.2.1 exists:%{l}.x.example -all", "pass", []),
        ("exists:%{i}.%{o}.%{h}.x.example -all", "fail", ["192.0.2.1.example.org.mx.example.org.x.example"]),
        ("exists:%%{l}.x.example -all", "fail", ["%{l}.x.example"]),
    ],
)
async def test_the_local_part_is_told_to_nobody_where_it_is_not_to_be(
    terms: str, expected: str, asked: list[str]
) -> None:
    dns = ZoneLookups({"example.org": {"TXT": [f"v=spf1 {terms}"]}})
    actual = await verdict(dns, check=spf.make(check_helo=False, tells_local_part=False))
    assert actual.results[0].result == expected
    assert [name for name, rdtype, _ in dns.asked if rdtype == "A"] == asked
    assert "ann" not in repr(dns.asked)


async def test_an_explanation_of_a_stranger_is_neither_asked_for_nor_said() -> None:
    zone = {
        "example.org": {"TXT": ["v=spf1 exp=why.example.org -all"]},
        "why.example.org": {"TXT": ["\r\nX-Forged: yes; %{l} " + "x" * 5_000]},
    }
    dns = ZoneLookups(zone)
    actual = await verdict(dns)
    assert actual.results[0].result == "fail"
    assert "Forged" not in repr(actual)
    assert "why.example.org" not in [name for name, _, _ in dns.asked]


@pytest.mark.parametrize("record", ["v=spf1 +all", "v=spf1 -all", "v=spf1 ?all", "nothing"])
async def test_a_pass_clears_nothing(record: str) -> None:
    """Whatever SPF says, a virus is refused: a pass has no finding, no score, and takes none away."""
    checks = (
        spf.make(deadline_s=PATIENCE_S),
        clamd.make(
            ScriptedScanner([match("Win.Test.EICAR_HDB-1")]),
            max_bytes=10_000,
            timeout_s=PATIENCE_S,
            fail_mode=FailMode.DEFER,
        ),
    )
    options = ScanOptions(
        reverse_path=path("ann@example.org"),
        forward_paths=(path("bob@house.example"),),
        client_address="192.0.2.1",
        helo="mx.example.org",
    )
    appeals = "appeals@house.example"
    rules = GateRules(
        listeners={},
        reach=Reach(appeals_address=appeals),
        style=ReplyStyle(appeals_address=appeals),
        preset=Preset.SUPERVISED,
    )
    result = await scan(
        b"From: ann@example.org\r\n\r\nhi\r\n",
        options,
        arrange(checks),
        tencent(),
        rules=rules,
        clock=FrozenClock(),
        keys=derive(bytes(32)),
        resolver=ZoneResolver(Zone({"example.org": {"TXT": [record]}})),
    )
    assert result.disposition == "reject"
    (said,) = [one for one in result.verdicts if one["check"] == "spf"]
    assert (said["outcome"] == "clean") == (record != "v=spf1 -all")
