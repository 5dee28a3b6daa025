"""ARC: against dkimpy on chains of our own making; structure by table; caps, budgets and costs."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dkim as dkimpy
import pytest

from filterd.checks import arc
from filterd.mail.parse import parse
from filterd.model.session import Direction
from filterd.model.verdict import Outcome, Verdict
from tests.checks.contexts import context, transaction
from tests.checks.dkim_oracle import rsa_pair
from tests.kit.zones import ZoneLookups

pytestmark = pytest.mark.slow

LETTER = (
    b"From: Ann <ann@example.org>\r\nTo: list@example.com\r\nSubject: Minutes\r\n"
    b"Date: Mon, 02 Nov 2026 11:00:00 +0000\r\n\r\nDear all,\r\n\r\nplease find  them below.\r\n"
)
NAMES = [b"from", b"to", b"subject", b"date"]
SEALER = "lists.example.com"
ZONE = {f"a._domainkey.{SEALER}": {"TXT": [rsa_pair().record]}}


def sealed(raw: bytes, hops: int = 1) -> bytes:
    """Let dkimpy seal a mail, as often as it is handed on."""
    for hop in range(hops):
        report = f"Authentication-Results: {SEALER}; spf=pass smtp.mailfrom=example.org"
        raw = f"{report}{'; arc=pass' if hop else ''}\r\n".encode() + raw
        fields = dkimpy.arc_sign(
            raw, b"a", SEALER.encode(), rsa_pair().private, SEALER.encode(), include_headers=list(NAMES)
        )
        raw = b"".join(fields) + raw
    return raw


async def ours(raw: bytes, **changes: Any) -> Verdict:
    said = {"direction": Direction.INBOUND, "dns": ZoneLookups(ZONE)} | changes
    now = transaction(raw, received_at=datetime.now(UTC))
    return await arc.make().run(context(raw, message=parse(raw), transaction=now, **said))


def theirs(raw: bytes) -> str:
    known = {name.encode() + b".": said["TXT"][0].encode() for name, said in ZONE.items()}
    status, _, _ = dkimpy.arc_verify(raw, dnsfunc=lambda name, timeout=5: known.get(name))
    return (status or b"fail").decode()


def _another(match: re.Match[bytes]) -> bytes:
    return match[1] + (b"B" if match[2] == b"A" else b"A")


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda raw: raw,
    "a trace field on top": lambda raw: b"Received: by mx.example.net\r\n" + raw,
    "blanks in the body": lambda raw: raw.replace(b"find  them", b"find \t them"),
    "the body": lambda raw: raw.replace(b"find  them", b"find their"),
    "the subject": lambda raw: raw.replace(b"Subject: M", b"Subject: m"),
    "a seal's signature": lambda raw: re.sub(rb"(?s)(ARC-Seal: .*? b=)(.)", _another, raw, count=1),
    "the first report": lambda raw: re.sub(rb"(?s)(Results: i=1;.*?spf=)pass", rb"\1fail", raw, count=1),
    "the case of a name": lambda raw: raw.replace(b"ARC-Seal:", b"arc-seal:"),
    "a fold in a report": lambda raw: raw.replace(b"Results: i=1; ", b"Results: i=1;\r\n "),
    "a second From": lambda raw: b"From: Boss <boss@example.com>\r\n" + raw,
    "the newest seal gone": lambda raw: re.sub(rb"(?s)ARC-Seal: i=\d.*?\r\n(?! )", b"", raw, count=1),
    "the order of the sets": lambda raw: raw.replace(b"i=1;", b"i=9;").replace(b"i=2;", b"i=1;"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("hops", [1, 2, 3])
async def test_both_judge_a_chain_alike(change: str, hops: int) -> None:
    raw = CHANGES[change](sealed(LETTER, hops))
    assert (await ours(raw)).results[0].result == theirs(raw)


@pytest.mark.parametrize("change", ["nothing", "blanks in the body", "the case of a name", "a fold in a report"])
async def test_a_chain_that_holds_is_clean_and_names_the_newest_sealer(change: str) -> None:
    verdict = await ours(CHANGES[change](sealed(LETTER, 2)))
    assert (verdict.outcome, verdict.results[0].result) == (Outcome.CLEAN, "pass")
    assert verdict.results[0].comment == f"i=2 d={SEALER}"


def chain(count: int, *, sealer: Callable[[int], str] = lambda i: f"h{i}.example.com") -> bytes:
    """Write a chain that is whole in form and signed by nobody."""
    return "".join(
        f"ARC-Seal: i={i}; a=rsa-sha256; cv={'none' if i == 1 else 'pass'}; d={sealer(i)}; s=s; b=AAAA\r\n"
        f"ARC-Message-Signature: i={i}; a=rsa-sha256; d={sealer(i)}; s=s; h=from; bh=AAAA; b=AAAA\r\n"
        f"ARC-Authentication-Results: i={i}; {sealer(i)}; spf=pass\r\n"
        for i in range(1, count + 1)
    ).encode()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((b"", b""), "message_no_key"),
        ((b"cv=none", b"cv=pass"), "status"),
        ((b"cv=none", b"cv=fail"), "ended"),
        ((b"cv=none", b"cv=maybe"), "syntax"),
        ((b"Seal: i=1", b"Seal: i=0"), "syntax"),
        ((b"Seal: i=1", b"Seal: i=51"), "syntax"),
        ((b"Seal: i=1", b"Seal: i=1e"), "syntax"),
        ((b"Seal: i=1", b"Seal: i=2"), "incomplete"),
        ((b"Seal: i=1", b"Seal: i=1; h=from"), "syntax"),
        ((b"h=from", b"h=from:arc-seal"), "syntax"),
        ((b"Results: i=1;", b"Results: h1.example.com; i=1;"), "syntax"),
        ((b"Results: i=1;", b"Results: (one) i = 1 (hop) ;"), "message_no_key"),
        ((b"d=h1.example.com; s=s; b", b"d=h1..com; s=s; b"), "syntax"),
        ((b"ARC-Auth", b"ARC-Authentication-Results: i=1; x\r\nARC-Auth"), "doubled"),
        ((b"h=from", b"t=1; x=2; h=from"), "expired"),
    ],
)
async def test_what_breaks_a_chain(change: tuple[bytes, bytes], reason: str) -> None:
    raw = chain(1).replace(*change, 1) + LETTER
    verdict = await ours(raw, dns=ZoneLookups({}))
    assert (verdict.outcome, [f.code for f in verdict.findings]) == (Outcome.FOUND, ["auth.arc.fail"])
    assert dict(verdict.findings[0].why)["reason"] == reason


@pytest.mark.parametrize(
    ("count", "asked", "reason"),
    [(10, 10, "message_no_key"), (11, 0, "keys"), (50, 0, "keys"), (51, 0, "too_many"), (400, 0, "too_many")],
)
async def test_how_much_a_chain_may_ask(count: int, asked: int, reason: str) -> None:
    dns = ZoneLookups({})
    verdict = await ours(chain(count) + LETTER, dns=dns)
    assert (len(dns.asked), dict(verdict.findings[0].why)["reason"]) == (asked, reason)


async def test_fifty_hops_of_one_sealer_are_judged() -> None:
    raw = chain(50, sealer=lambda _: SEALER) + LETTER
    verdict = await ours(raw, dns=ZoneLookups({f"s._domainkey.{SEALER}": {"TXT": [rsa_pair().record]}}))
    assert dict(verdict.findings[0].why)["reason"] == "message_body_hash"


async def test_dead_dns_is_no_finding_unless_the_chain_is_broken_anyway() -> None:
    dead = {f"a._domainkey.{SEALER}": {"FAIL": "timeout"}}
    lost = await ours(sealed(LETTER), dns=ZoneLookups(dead))
    assert (lost.outcome, lost.reason, lost.findings, lost.results) == (Outcome.TEMPERROR, "dns", (), ())
    spent = await ours(sealed(LETTER), dns=ZoneLookups(ZONE, budget=0))
    assert (spent.outcome, spent.reason) == (Outcome.TEMPERROR, "dns_budget")
    assert [finding.code for finding in spent.findings] == ["dns.budget.spent"]
    broken = await ours(sealed(LETTER).replace(b"cv=none", b"cv=pass"), dns=ZoneLookups(dead))
    assert broken.outcome is Outcome.FOUND


@pytest.mark.parametrize(
    ("changes", "reason"), [({"dns": None}, "no_resolver"), ({"direction": Direction.OUTBOUND}, "outbound")]
)
async def test_where_it_does_not_apply_it_says_so(changes: dict[str, Any], reason: str) -> None:
    verdict = await ours(sealed(LETTER), **changes)
    assert (verdict.outcome, verdict.reason) == (Outcome.SKIPPED, reason)


@pytest.mark.parametrize(
    "raw",
    [
        chain(1_000) + LETTER,
        chain(50, sealer=lambda _: SEALER).replace(b"spf=pass", b"x" * 16_000) + LETTER,
        b"ARC-Authentication-Results: " + b"(" * 15_000 + b"\r\n" + LETTER,
        b"ARC-Authentication-Results: " + b"(" * 500_000 + b"\r\n" + LETTER,
        b"ARC-Authentication-Results: " + b"( )" * 160_000 + b"\r\n" + LETTER,
        b"ARC-Seal: " + b";" * 500_000 + b"\r\n" + LETTER,
    ],
    ids=["thousand", "long-reports", "open-comments", "more-open-comments", "comments", "long-field"],
)
@pytest.mark.timeout(120)
async def test_hostile_chains_are_linear(raw: bytes) -> None:
    verdict = await ours(raw)
    assert verdict.outcome is Outcome.FOUND
