"""Decide, then evaluate once more from nothing but what the event keeps of DNS: the verdict is the same."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dns.rcode
import pytest

from filterd.checks import arc, dkim, dmarc, spf
from filterd.checks.run import arrange, run
from filterd.checks.spec import Context
from filterd.clients import resolver, resolver_wire
from filterd.clients.resolver import published
from filterd.errors import DnsBudgetSpent, PortError
from filterd.log.dns import ANSWER_MAX, CHARACTERS_MAX, dns_facts
from filterd.log.safe import json_line
from filterd.mail.parse import parse
from filterd.model.session import Direction, Envelope
from filterd.model.verdict import Assessment, Verdict
from filterd.pipeline.kept_dns import KeptLookups
from filterd.ports import Asked, DnsAnswer, Lookups
from tests.checks.auth_cases import folders, read_case
from tests.checks.contexts import context, path, transaction
from tests.checks.dkim_oracle import rsa_pair, sign
from tests.checks.dkim_oracle import zone as keys
from tests.kit.zones import ZoneLookups

pytestmark = pytest.mark.slow

KEY = b"k" * 32
# What the resolver raises: the texts in its own code, and each code that a server may answer with.
FAILURES = {
    word
    for module in (resolver, resolver_wire)
    for found in re.findall(
        r'(?:PortError|DnsBudgetSpent)\("DNS: ([a-z ]+)"|(?:return|problem =) "([a-z]+ answer[a-z ]*)"',
        Path(str(module.__file__)).read_text(encoding="utf-8"),
    )
    for word in found
    if word
} | {dns.rcode.to_text(dns.rcode.Rcode(code)).lower() for code in (*range(1, 3), *range(4, 12), 16, 23, 3841)}
CHECKS = arrange((spf.make(), dkim.make(), dmarc.make(), arc.make()))
MAIL = b"From: ann@example.org\r\nTo: bob@example.com\r\nSubject: hi\r\nDate: Mon, 5 Oct 2026 12:00:00 +0000\r\n\r\n"
FOLDERS = [folder for check in ("spf", "dkim", "dmarc", "arc") for folder in folders(check)]


async def assess(seen: Context, dns: Lookups) -> Assessment:
    def on_error(_check: str, _transaction_id: str, error: BaseException) -> None:
        raise AssertionError from error

    return await run(CHECKS, replace(seen, dns=dns), on_error=on_error)


def kept(seen: Context, found: Assessment, asked: tuple[Asked, ...]) -> tuple[KeptLookups, dict[str, Any]]:
    """Give what the event says, off its line of JSON."""
    event = json.loads(json_line(dns_facts(KEY, seen.transaction, found, asked)))
    return KeptLookups(event["dns"], KEY), event


def words(found: Assessment) -> list[Verdict]:
    return [replace(verdict, elapsed_ms=0.0) for verdict in found.verdicts]


async def decided_twice(seen: Context, dns: Lookups) -> tuple[Assessment, dict[str, Any]]:
    """Decide, and decide again from the event; says the first and the event."""
    first = await assess(seen, dns)
    again, event = kept(seen, first, dns.asked)
    assert words(await assess(seen, again)) == words(first)
    # What is cut may tell another story; that it is cut is never hidden.
    assert again.missing == [(row["name"], row["type"]) for row in event["dns"] if row.get("is_cut")]
    return first, event


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
async def test_every_case_comes_out_the_same(folder: Path) -> None:
    seen = read_case(folder).context
    assert seen.dns is not None
    await decided_twice(seen, seen.dns)


def inbound(raw: bytes, mail_from: str = "ann@example.org") -> Context:
    envelope = Envelope(reverse_path=path(mail_from))
    # dkimpy signs with the time of today.
    mail = transaction(raw, envelope=envelope, received_at=datetime.now(UTC))
    return context(raw, message=parse(raw), transaction=mail, direction=Direction.INBOUND)


@pytest.mark.parametrize("bits", [2048, 4096])
async def test_long_keys_and_records_are_kept_whole(bits: int) -> None:
    # Beyond what the stream takes of one text, and beyond what fits into one character string.
    networks = " ".join(f"ip4:203.0.{n}.0/24" for n in range(100))
    zone = {
        **keys(big=rsa_pair(bits).record),
        "example.org": {"TXT": [f"v=spf1 {networks} ip4:192.0.2.7 -all", "site-verification=" + "x" * 500]},
        "_dmarc.example.org": {"TXT": ["v=DMARC1; p=reject; rua=mailto:dmarc@example.org"]},
    }
    first, event = await decided_twice(inbound(sign(MAIL, pair=rsa_pair(bits), selector=b"big")), ZoneLookups(zone))
    assert [first.result(method) for method in ("spf", "dkim", "dmarc", "arc")] == ["pass", "pass", "pass", "none"]
    assert "site-verification" not in str(event)
    assert "dmarc@" not in str(event)


async def test_names_made_of_the_local_part_are_found_again() -> None:
    zone = {
        "example.org": {"TXT": ["v=spf1 ip4:198.51.100.7 exists:%{l}._spf.%{d} include:%{l1}.example.net -all"]},
        "smith.example.net": {"TXT": ["v=spf1 ip4:192.0.2.7 -all"]},
    }
    first, event = await decided_twice(inbound(MAIL, "ann.smith@example.org"), ZoneLookups(zone))
    assert first.result("spf") == "pass"
    assert "smith" not in str(event)


async def test_numbers_of_a_local_part_spoil_no_address() -> None:
    zone = {"example.org": {"TXT": ["v=spf1 ip4:192.0.2.7 -all"]}}
    first, _ = await decided_twice(inbound(MAIL, "bounce-192-7@example.org"), ZoneLookups(zone))
    assert first.result("spf") == "pass"


@pytest.mark.parametrize("budget", [1, 3, 6])
async def test_what_was_refused_is_refused_again(budget: int) -> None:
    class Refusing(ZoneLookups):
        """Writes down what it refuses, as the resolver does."""

        refused: tuple[Asked, ...] = ()

        def known(self, name: str, rdtype: str) -> DnsAnswer:
            try:
                return super().known(name, rdtype)
            except DnsBudgetSpent:
                self.refused += ((name, rdtype, "the message has asked too much"),)
                raise

        @property
        def asked(self) -> tuple[Asked, ...]:
            return super().asked + self.refused

    zone = {**keys(), "example.org": {"TXT": ["v=spf1 a mx a:x.example.org ip4:192.0.2.7 -all"], "A": ["192.0.2.1"]}}
    first, _ = await decided_twice(inbound(sign(MAIL)), Refusing(zone, budget=budget))
    assert "temperror" in (first.result("spf"), first.result("dmarc"))


async def test_the_bounds_hold_and_what_they_cost_is_said() -> None:
    zone = {"example.org": {"TXT": ["v=spf1 " + f"include:{'a' * 40}.example " * 1500]}}
    zone |= {f"_dmarc.{name}": {"TXT": ["v=DMARC1; p=none; " + "x=y; " * 5000]} for name in ("example.org", "org")}
    seen, dns = inbound(MAIL), ZoneLookups(zone)
    first = await assess(seen, dns)
    again, event = kept(seen, first, dns.asked)
    assert len(json.dumps(event)) < CHARACTERS_MAX * 2
    assert max(len("".join(map("".join, row.get("records", ())))) for row in event["dns"]) <= ANSWER_MAX
    # Too long to be evaluated, then and now; and the replay knows that it has not seen all.
    assert (first.result("spf"), (await assess(seen, again)).result("spf")) == ("permerror", "permerror")
    assert ("example.org", "TXT") in again.missing


def test_half_a_mailbox_is_not_said() -> None:
    seen = inbound(MAIL)
    record = "v=DMARC1; p=none; rua=mailto:" + "secret" * ANSWER_MAX + "@example.org"
    _, event = kept(seen, Assessment(verdicts=()), (("_dmarc.example.org", "TXT", (record,)),))
    assert event["dns"] == [
        {
            "name": event["dns"][0]["name"],
            "type": "TXT",
            "records": ["v=DMARC1; p=none; rua=mailto:"],
            "is_cut": True,
        }
    ]


@pytest.mark.parametrize("octets", [b"\xff\x00\\x41 \r\n\t", "中".encode(), b"back\\slash\\", b"\\u0041"])
def test_octets_come_back_as_they_were(octets: bytes) -> None:
    seen = inbound(MAIL)
    answer = DnsAnswer(records=((b"v=spf1 " + octets,),))
    again, _ = kept(seen, Assessment(verdicts=()), (("example.org", "TXT", published(answer)),))
    assert again.known("example.org", "TXT") == answer


def test_a_word_is_not_a_record() -> None:
    seen = inbound(MAIL)
    asked: tuple[Asked, ...] = (
        ("s._domainkey.example.org", "TXT", ("nodata",)),
        ("a.example.org", "A", "nodata"),
        ("b.example.org", "A", "nxdomain"),
        ("c.example.org", "A", "servfail"),
        ("example.org", "MX", ("10 mx.example.org", "0 ")),
    )
    again, _ = kept(seen, Assessment(verdicts=()), asked)
    assert again.known("s._domainkey.example.org", "TXT").records == ((b"nodata",),)
    assert again.known("a.example.org", "A") == DnsAnswer()
    assert again.known("b.example.org", "A") == DnsAnswer(exists=False)
    assert again.known("example.org", "MX").records == ((10, "mx.example.org"), (0, ""))
    with pytest.raises(PortError, match="servfail"):
        again.known("c.example.org", "A")
    with pytest.raises(PortError, match="not kept"):
        again.known("d.example.org", "A")
    assert again.missing == [("d.example.org", "A")]


@pytest.mark.parametrize(
    ("answer", "is_known"),
    [
        ('"v=spf1 ip4:192.0.2.7 -all"', False),
        ("v=spf1 ip4:192.0.2.7 -all", False),
        ("10 mx.example.org", False),
        ("192.0.2.7", False),
        ("nodata", True),
        ("nxdomain", True),
        ("refused", True),
        ("rcode23", True),
        ("no answer in time", True),
        ("the message has waited too long", True),
        ("the message has asked too much", True),
    ],
)
def test_an_event_that_kept_records_as_an_answer_does_not_know_them(answer: str, is_known: bool) -> None:
    """Events had the records in `answer` once, in a text that was cut: nothing is promised of these."""
    again = KeptLookups([{"name": "example.org", "type": "TXT", "answer": answer}], KEY)
    with suppress(PortError):
        again.known("example.org", "TXT")
    assert again.missing == ([] if is_known else [("example.org", "TXT")])


@pytest.mark.parametrize("word", sorted(FAILURES))
def test_every_word_of_the_resolver_is_known(word: str) -> None:
    again = KeptLookups([{"name": "example.org", "type": "TXT", "answer": word}], KEY)
    with pytest.raises(PortError, match=word):
        again.known("example.org", "TXT")
    assert again.missing == []
