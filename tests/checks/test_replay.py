"""One signature, many recipients, many networks: a replay is found, ordinary mail is not, and memory has an end."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from filterd.checks import dkim, replay, spf
from filterd.checks.run import arrange, run
from filterd.mail.parse import parse
from filterd.model.session import Direction, Envelope, ForwardPath
from filterd.model.verdict import Outcome, Verdict
from tests.checks.contexts import context, path, transaction
from tests.checks.dkim_oracle import DOMAIN, sign, sign_by_hand, zone
from tests.kit.zones import ZoneLookups

RAW = b"From: Ann <ann@example.org>\r\nTo: you@example.com\r\nSubject: Offer\r\nDate: x\r\n\r\nBuy this.\r\n"
SIGNED = sign(RAW)
RECIPIENTS, NETWORKS = 100, 5
# The signer's own servers, and somebody who sends from the same addresses under a name of his own.
RECORDS = zone() | {DOMAIN: {"TXT": ["v=spf1 ip4:192.0.0.0/16 -all"]}, "spammer.example": {"TXT": ["v=spf1 +all"]}}
# dkimpy writes when it signed.
AT = datetime.now(UTC)


class Site:
    """The checks of one process, and the mail that comes to it."""

    def __init__(self, **limits: int):
        self.sightings = replay.Sightings(**({"recipients": RECIPIENTS, "networks": NETWORKS} | limits))
        self._checks = arrange([spf.make(check_helo=False), dkim.make(), replay.make(self.sightings, deadline_s=60)])
        self.at: datetime = AT
        self.direction = Direction.INBOUND
        self.dead: dict[str, dict[str, Any]] = {}

    async def takes(
        self,
        raw: bytes,
        client: str | None,
        *,
        to: range = range(1),
        sender: str = "bounce@spammer.example",
    ) -> Verdict:
        of = replace(transaction().session, peer_address="127.0.0.1", is_trusted_peer=True, client_address=client)
        forwards = tuple(ForwardPath(path=path(f"u{n}@here.example")) for n in to)
        envelope = Envelope(reverse_path=path(sender), forward_paths=forwards)
        seen = context(
            raw,
            message=parse(raw),
            direction=self.direction,
            transaction=transaction(raw, received_at=self.at, session=of, envelope=envelope),
            dns=ZoneLookups(RECORDS | self.dead),
        )
        said = await run(self._checks, seen, on_error=_never)
        return next(v for v in said.verdicts if v.check == replay.NAME)


def _never(check: str, transaction_id: str, err: BaseException) -> None:
    raise AssertionError(check) from err


def rewritten(raw: bytes, number: int) -> bytes:
    """The same signature, written with its blanks elsewhere."""
    return re.sub(rb"(?s)( b=)(.{%d})" % (1 + number % 40), rb"\1\2 ", raw, count=1)


def why(verdict: Verdict) -> dict[str, str]:
    (finding,) = verdict.findings
    assert finding.code == replay.REPLAYED
    return dict(finding.why)


async def test_fault_38_one_signed_mail_to_ten_thousand_recipients_from_new_addresses() -> None:
    site = Site()
    said = [
        await site.takes(rewritten(SIGNED, n), f"100.64.{n}.7", to=range(100 * n, 100 * n + 100)) for n in range(100)
    ]
    assert [v.outcome for v in said] == [Outcome.CLEAN] * (NETWORKS - 1) + [Outcome.FOUND] * (101 - NETWORKS)
    assert why(said[-1]) | {"signature": ""} == {
        "domain": DOMAIN, "signature": "", "recipients": str(RECIPIENTS), "networks": str(NETWORKS),
    }  # fmt: skip
    assert len(site.sightings) == 1


@pytest.mark.parametrize(
    ("clients", "sender", "to"),
    [
        # The signer's own servers, however many.
        ([f"192.0.{n}.9" for n in range(20)], "news@example.org", 100),
        ([f"192.0.{n}.9" for n in range(20)], "bounce@example.org", 100),
        # A list: many members, few servers, all in one place.
        ([f"100.64.1.{n}" for n in range(20)], "list@spammer.example", 100),
        # Somebody whose mail many forward to few.
        ([f"100.64.{n}.9" for n in range(20)], "x@spammer.example", 4),
    ],
)
async def test_what_only_looks_like_it_is_clean(clients: list[str], sender: str, to: int) -> None:
    site = Site()
    for n, client in enumerate(clients):
        verdict = await site.takes(SIGNED, client, to=range(n * to, n * to + to), sender=sender)
        assert verdict.outcome is Outcome.CLEAN


async def test_a_mail_that_is_tried_again_is_no_second_one() -> None:
    site = Site()
    for n in range(20):
        assert (await site.takes(SIGNED, f"100.64.{n}.9", to=range(RECIPIENTS - 1))).outcome is Outcome.CLEAN
    assert (await site.takes(SIGNED, "100.64.0.9", to=range(RECIPIENTS))).outcome is Outcome.FOUND


async def test_the_signer_s_own_copies_do_not_speak_for_it_and_another_mail_of_his_is_another() -> None:
    site, other = Site(), sign(RAW.replace(b"Offer", b"Minutes"))
    await site.takes(SIGNED, "192.0.2.9", to=range(500), sender="news@example.org")
    for n in range(4):
        assert (await site.takes(SIGNED, f"100.64.{n}.9", to=range(RECIPIENTS))).outcome is Outcome.CLEAN
        assert (await site.takes(other, f"100.65.{n}.9", to=range(RECIPIENTS))).outcome is Outcome.CLEAN
    assert (await site.takes(SIGNED, "2001:db8:1::1", to=range(1))).outcome is Outcome.FOUND
    assert len(site.sightings) == 2


async def test_of_several_signatures_each_is_counted_and_only_those_that_hold() -> None:
    site = Site()
    broken = re.sub(rb"(?s)^DKIM-Signature:.*? bh=", b"DKIM-Signature: bh=AAAA", SIGNED, count=1)
    for n in range(20):
        assert (await site.takes(broken, f"100.64.{n}.9", to=range(200))).outcome is Outcome.CLEAN
    assert len(site.sightings) == 0
    both = sign(SIGNED, algorithm=b"ed25519-sha256")
    last = [await site.takes(both, f"100.64.{n}.9", to=range(RECIPIENTS)) for n in range(NETWORKS)][-1]
    assert why(last)["domain"] == DOMAIN
    assert len(site.sightings) == 2


async def test_a_signature_that_leaves_part_of_the_body_unsigned_is_none_that_holds() -> None:
    site = Site()
    appended = sign_by_hand(RAW, f"v=1; d={DOMAIN}; s=rsa; l=4")
    await site.takes(appended, "100.64.1.9")
    assert len(site.sightings) == 0


async def test_after_a_day_counting_begins_anew() -> None:
    site = Site()
    for n in range(NETWORKS - 1):
        await site.takes(SIGNED, f"100.64.{n}.9", to=range(RECIPIENTS))
    site.at = AT + timedelta(days=1, seconds=1)
    assert (await site.takes(SIGNED, "100.64.99.9", to=range(RECIPIENTS))).outcome is Outcome.CLEAN


async def test_it_says_where_it_does_not_apply() -> None:
    site = Site()
    assert (await site.takes(SIGNED, None)).reason == "no_client_address"
    site.dead = {DOMAIN: {"FAIL": "timeout"}, f"news.{DOMAIN}": {"FAIL": "timeout"}}
    for domain in (DOMAIN, f"news.{DOMAIN}"):
        assert (await site.takes(SIGNED, "100.64.1.9", sender=f"bounce@{domain}")).reason == "spf"
    site.direction = Direction.OUTBOUND
    assert (await site.takes(SIGNED, "100.64.1.9")).reason == "outbound"
    assert len(site.sightings) == 0


async def test_whoever_makes_a_name_of_his_own_silent_is_counted_all_the_same() -> None:
    site = Site()
    site.dead = {"spammer.example": {"FAIL": "timeout"}}
    said = [await site.takes(SIGNED, f"100.64.{n}.9", to=range(RECIPIENTS)) for n in range(NETWORKS)]
    assert [v.outcome for v in said] == [Outcome.CLEAN] * (NETWORKS - 1) + [Outcome.FOUND]


def test_memory_has_an_end_and_what_goes_on_stays() -> None:
    seen = replay.Sightings(recipients=3, networks=2, most=10)
    for n in range(1000):
        seen.add(b"replayed", [b"%d" % n], f"n{n}", AT)
        seen.add(b"%d" % n, [b"x"], "n", AT)
        assert len(seen) <= 10
    assert seen.add(b"replayed", [b"y"], "n", AT) == (3, 2)
    kept = seen._kept[b"replayed"]
    assert (len(kept.recipients), len(kept.networks)) == (3, 2)
