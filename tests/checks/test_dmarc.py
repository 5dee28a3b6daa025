"""DMARC beside its case folders: records, tree walk, author, and what other checks have said."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from filterd.agreement.protection import InboundChoices, protect
from filterd.checks import dmarc, dmarc_record
from filterd.checks.dmarc_policy import Policies, targets
from filterd.checks.dmarc_record import Record, Request, read_record
from filterd.checks.psl import load
from filterd.checks.spec import Context
from filterd.mail.author import author
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.decision import Disposition
from filterd.model.session import Direction
from filterd.model.verdict import Assessment, AuthResult, Outcome, Verdict
from filterd.ports import Lookups
from tests.checks.contexts import context
from tests.kit.zones import Mischief, Zone, ZoneLookups, ZoneServer, patient_resolver

pytestmark = pytest.mark.slow

REJECT = {"_dmarc.example.org": {"TXT": ["v=DMARC1; p=reject"]}}


def result(method: str, word: str, **properties: str) -> AuthResult:
    named = tuple((key.replace("_", "."), value) for key, value in properties.items())
    return AuthResult(method=method, result=word, properties=named)


def said(check: str, *results: AuthResult, outcome: Outcome = Outcome.CLEAN, reason: str | None = None) -> Verdict:
    return Verdict(check=check, version="1", outcome=outcome, results=results, reason=reason)


NO_SPF = said("spf", result("spf", "none", smtp_mailfrom="other.example"))
NO_DKIM = said("dkim", result("dkim", "none"))


def mail(dns: Lookups | None, *earlier: Verdict, sender: str = "ann@example.org") -> Context:
    raw, _ = canonical(f"From: {sender}\r\n\r\nHello\r\n".encode())
    return context(raw, message=parse(raw), direction=Direction.INBOUND, dns=dns, earlier=earlier)


async def verdict(*earlier: Verdict, zone: object = REJECT, sender: str = "ann@example.org") -> Verdict:
    assert isinstance(zone, dict)
    return await dmarc.make().run(mail(ZoneLookups(zone), *earlier, sender=sender))


# --- Records ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v=DMARC1", Record()),
        ("V = DMARC1 ;p = Reject", Record(p=Request.REJECT)),
        ("v=DMARC1;t=y;p=quarantine;np=reject", Record(p=Request.QUARANTINE, np=Request.REJECT, is_test=True)),
        ("v=DMARC1; psd=y; adkim=s; aspf=S", Record(psd="y", is_strict_dkim=True, is_strict_spf=True)),
        ("v=DMARC1; p=reject; p=none", Record(p=Request.REJECT)),
        ("v=DMARC1; p=reject; pct=0", Record(p=Request.REJECT)),
        ("v=DMARC1; p=reject; psd=x; t=maybe; adkim=t", Record(p=Request.REJECT)),
        ("v=DMARC1; p=", Record(is_usable=False)),
        ("v=DMARC1; p=reject; sp=no; rua=mailto:d@example.org", Record()),
        ("v=DMARC1; p=reject; sp=no; rua=nobody", Record(is_usable=False)),
        ("v=DMARC1; ;;= ; p", Record()),
        ("v=dmarc1; p=reject", None),
        ("v=DMARC11; p=reject", None),
        ("p=reject; v=DMARC1", None),
        (" v=DMARC1; p=reject", None),
        ("v=DMARC2; p=reject", None),
        ("v=spf1 -all", None),
        ("", None),
        ("v=DMARC1; p=reject\xff", Record(is_usable=False)),
    ],
)
def test_records(text: str, expected: Record | None) -> None:
    assert read_record((text.encode("latin-1"),)) == expected


def test_strings_are_joined() -> None:
    assert read_record((b"v=DMA", b"RC1; p=rej", b"ect")) == Record(p=Request.REJECT)


def test_records_as_rfc_7489_read_them() -> None:
    assert read_record((b"v=DMARC1; rua=mailto:d@example.org",), rfc7489=True) == Record()
    assert read_record((b"v=DMARC1",), rfc7489=True) == Record(is_usable=False)
    assert read_record((b"v=DMARC1; p=reject; np=none; pct=0; t=n",), rfc7489=True) == Record(
        p=Request.REJECT, is_test=True
    )


# --- Tree walk --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("com", ("com",)),
        ("a.example.com", ("a.example.com", "example.com", "com")),
        ("a.b.c.d.e.f.example.com", ("a.b.c.d.e.f.example.com", "b.c.d.e.f.example.com", "c.d.e.f.example.com")),
        ("a.b.c.d.e.f.g.h.i.j.mail.example.com", ("a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com")),
    ],
)
def test_targets_of_the_standard(domain: str, expected: tuple[str, ...]) -> None:
    # RFC 9989 §4.10: the example with thirteen labels asks eight times.
    assert targets(domain)[: len(expected)] == expected
    assert len(targets(domain)) <= 8
    assert targets(domain)[-1] == "com"


@pytest.mark.parametrize(
    ("records", "domain", "expected"),
    [
        # The three examples of RFC 9989 §4.10.2.
        ({"mail.example.com": "", "example.com": ""}, "a.mail.example.com", "example.com"),
        ({"mail.example.com": "psd=n", "example.com": ""}, "a.mail.example.com", "mail.example.com"),
        ({"com": "psd=y"}, "a.mail.example.com", "example.com"),
        # A public suffix that does not say what it is is the organisation of all below it, but who says psd=n (§11.8).
        ({"com": "", "example.com": ""}, "a.mail.example.com", "com"),
        ({"com": "", "example.com": "psd=n"}, "a.mail.example.com", "example.com"),
        ({"com": "psd=u", "example.com": "psd=x"}, "a.mail.example.com", "com"),
        # A public suffix that sends mail of its own is its own organisation.
        ({"gov.example": "psd=y", "example": "psd=y"}, "gov.example", "gov.example"),
        ({}, "a.mail.example.com", "a.mail.example.com"),
    ],
)
async def test_organisations(records: dict[str, str], domain: str, expected: str) -> None:
    zone = {f"_dmarc.{name}": {"TXT": [f"v=DMARC1; {tags}"]} for name, tags in records.items()}
    assert await Policies(ZoneLookups(zone)).organisation(domain) == expected


async def test_organisations_by_the_list() -> None:
    policies = Policies(ZoneLookups({}), load())
    assert await policies.organisation("a.b.example.co.uk") == "example.co.uk"
    assert await policies.organisation("co.uk") == "co.uk"


async def test_a_policy_of_its_own_costs_one_question() -> None:
    dns = ZoneLookups(REJECT)
    spf = said("spf", result("spf", "pass", smtp_mailfrom="example.org"))
    seen = await dmarc.make().run(mail(dns, spf, NO_DKIM))
    assert (seen.results[0].result, len(dns.asked)) == ("pass", 1)


async def test_ten_strangers_signatures_cost_no_question() -> None:
    dns = ZoneLookups(REJECT)
    dkim = said("dkim", *(result("dkim", "pass", header_d=f"a.b.c.d{i}.evil.example") for i in range(10)))
    seen = await dmarc.make().run(mail(dns, NO_SPF, dkim))
    assert (seen.results[0].result, len(dns.asked)) == ("fail", 2)


# --- What others have said --------------------------------------------------------------------------------------------


async def test_only_pass_counts() -> None:
    for word in ("neutral", "policy", "softfail", "fail", "permerror", "none"):
        spf = said("spf", result("spf", word, smtp_mailfrom="example.org"))
        dkim = said("dkim", result("dkim", word, header_d="example.org"))
        assert (await verdict(spf, dkim)).results[0].result == "fail"


async def test_a_suffix_of_letters_is_not_a_subdomain() -> None:
    dns = ZoneLookups(REJECT)
    dkim = said("dkim", result("dkim", "pass", header_d="notexample.org"))
    assert (await dmarc.make().run(mail(dns, NO_SPF, dkim))).results[0].result == "fail"
    assert [name for name, _, _ in dns.asked] == ["_dmarc.example.org", "_dmarc.org"]


async def test_results_of_another_method_are_not_taken() -> None:
    strange = result("dkim", "pass", header_d="example.org"), result("iprev", "pass", smtp_mailfrom="example.org")
    spf = said("spf", *strange)
    assert (await verdict(spf, NO_DKIM)).results[0].result == "fail"


async def test_helo_beside_a_reverse_path_is_not_lent() -> None:
    # Even when the reverse-path was no domain and so has no property.
    spf = said("spf", result("spf", "none"), result("spf", "pass", smtp_helo="example.org"))
    assert (await verdict(spf, NO_DKIM)).results[0].result == "fail"


@pytest.mark.parametrize(
    ("spf", "dkim", "expected"),
    [
        # A check that was stopped has no results: it might have passed.
        (said("spf", outcome=Outcome.TEMPERROR, reason="deadline"), NO_DKIM, (Outcome.TEMPERROR, "identifier")),
        (NO_SPF, said("dkim", outcome=Outcome.TEMPERROR, reason="exception"), (Outcome.TEMPERROR, "identifier")),
        (said("spf", outcome=Outcome.SKIPPED, reason="no_client"), NO_DKIM, (Outcome.SKIPPED, "spf_no_client")),
        # What passes needs no second opinion.
        (
            said("spf", outcome=Outcome.TEMPERROR, reason="deadline"),
            said("dkim", result("dkim", "pass", header_d="example.org")),
            (Outcome.CLEAN, None),
        ),
    ],
)
async def test_a_check_that_said_nothing(spf: Verdict, dkim: Verdict, expected: tuple[Outcome, str | None]) -> None:
    actual = await verdict(spf, dkim)
    assert (actual.outcome, actual.reason) == expected


async def test_a_silent_check_does_not_matter_without_a_policy() -> None:
    spf = said("spf", outcome=Outcome.TEMPERROR, reason="deadline")
    actual = await verdict(spf, NO_DKIM, zone={})
    assert (actual.outcome, actual.results[0].result) == (Outcome.CLEAN, "none")


async def test_a_strangers_temperror_is_no_escape() -> None:
    dkim = said("dkim", result("dkim", "temperror", header_d="evil.example"), outcome=Outcome.TEMPERROR)
    actual = await verdict(NO_SPF, dkim)
    assert [f.code for f in actual.findings] == ["auth.dmarc.fail"]


async def test_a_spent_budget_is_temporary() -> None:
    seen = mail(ZoneLookups(REJECT, budget=0), NO_SPF, NO_DKIM)
    actual = await dmarc.make().run(seen)
    assert (actual.outcome, actual.reason) == (Outcome.TEMPERROR, "dns_budget")
    assert [finding.code for finding in actual.findings] == ["dns.budget.spent"]


async def test_our_own_mail_is_not_judged() -> None:
    seen = replace(mail(ZoneLookups(REJECT), NO_SPF, NO_DKIM), direction=Direction.OUTBOUND)
    actual = await dmarc.make().run(seen)
    assert (actual.outcome, actual.reason) == (Outcome.SKIPPED, "outbound")


async def test_a_silent_existence_gets_the_milder_policy() -> None:
    zone = {
        "_dmarc.example.org": {"TXT": ["v=DMARC1; p=none; sp=quarantine; np=reject"]},
        "sub.example.org": {"FAIL": {"A": "timeout"}},
    }
    actual = await verdict(NO_SPF, NO_DKIM, zone=zone, sender="a@sub.example.org")
    assert dict(actual.findings[0].why)["policy"] == "quarantine"


# --- The author -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ann@example.org", "example.org"),
        ("Ann Bee <ann@Example.ORG>", "example.org"),
        ('"Bee, Ann" <ann@example.org>', "example.org"),
        ("Ann A. Bee <ann@example.org>", "example.org"),
        ("<ann@example.org>", "example.org"),
        ("ann@example.org (Ann)", "example.org"),
        ("(a (nested) \\) comment) Ann <ann@example.org> (x)", "example.org"),
        ("=?utf-8?q?Ann?= <ann@example.org>", "example.org"),
        ("ann@example.org <ann@example.org>", "example.org"),
        ('"a@b"@example.org', "example.org"),
        ('"ann@other.example" <ann@example.org>', "example.org"),
        ("王 <wang@例子.example>", "xn--fsqu00a.example"),
        ("", "syntax"),
        ("Ann", "syntax"),
        ("ann@", "syntax"),
        ("@example.org", "syntax"),
        ("<>", "syntax"),
        ("<ann@example.org", "syntax"),
        ("ann@example.org>", "syntax"),
        ("<<ann@example.org>>", "syntax"),
        ("< ann@example.org>", "syntax"),
        ("<ann@example.org(x)>", "syntax"),
        ("<ann @example.org>", "syntax"),
        ("ann @example.org", "syntax"),
        ("ann@example.org(x).evil.example", "syntax"),
        ("any@bank.example(.evil.example", "syntax"),
        ("<@a.example,@b.example:ann@example.org>", "syntax"),
        ("undisclosed-recipients:;", "syntax"),
        ("Staff: ann@example.org;", "syntax"),
        ("ann@example.org;", "syntax"),
        ("ann@example.org,", "syntax"),
        ("ann@example.org bob@example.org", "syntax"),
        ("<ann@example.org> <bob@example.org>", "syntax"),
        ("<ann@example.org> bob@bank.example", "syntax"),
        ("boss@bank.example <ann@example.org>", "syntax"),
        ("boss@bank.example, <ann@example.org>", "syntax"),
        ("Ann <ann@example.org> Bee", "syntax"),
        ('"Ann <ann@example.org>', "syntax"),
        ("ann\\@bank.example@example.org", "syntax"),
        ("=?utf-8?q?boss=40bank.example=2C?=@example.org", "encoded"),
        ("=?utf-8?q?boss=40bank.example?=@example.org", "encoded"),
        ('"<boss@bank.example>" <ann@example.org>', "hidden"),
        ("(<boss@bank.example>) ann@example.org", "hidden"),
        ("=?utf-8?b?PGJvc3NAYmFuay5leGFtcGxlPg==?= <ann@example.org>", "hidden"),
        # An encoded word that decodes to an address and what parts it from the true one, whole or in part.
        ("=?utf-8?q?boss=40bank=2Eexample=2C?= <ann@example.org>", "hidden"),
        ("=?utf-8?b?Ym9zc0BiYW5rLmV4YW1wbGUs?= <ann@example.org>", "hidden"),
        ("=?utf-8?q?boss=40?= =?utf-8?q?bank.example=3B?= <ann@example.org>", "hidden"),
        ("=?utf-8?q?=3Cboss=40bank?=.example <ann@example.org>", "hidden"),
        ('"=?utf-8?q?boss=40bank.example=2C?=" <ann@example.org>', "hidden"),
        ("=?utf-8?q?boss=40bank.example=2C?= (boss@bank.example) <ann@example.org>", "hidden"),
        ("ann@example.org (=?utf-8?q?=29_boss_=40_bank.example?=)", "hidden"),
        ("=?utf-8?q?boss=40-bank-.example=2C?= <ann@example.org>", "hidden"),
        # A name that shows an address is a name.
        ("=?utf-8?q?boss=40bank=2Eexample?= <ann@example.org>", "example.org"),
        ("=?utf-8?q?Boss_=28boss=40bank=2Eexample=29?= <ann@example.org>", "example.org"),
        ('"=?utf-8?q?boss=40bank.example?=" <ann@example.org>', "example.org"),
        ("ann@example.org (=?utf-8?q?boss_=40_bank.example?=)", "example.org"),
        ("=?utf-8?q?Bee=2C_Ann?= <ann@example.org>", "example.org"),
        ("=?utf-8?q?Bee=2C_Ann_=28boss=40bank.example=29?= <ann@example.org>", "example.org"),
        ('"Bee, Ann" =?utf-8?q?boss=40bank.example=2C?= <ann@example.org>', "hidden"),
        ("=?utf-8?q?Bee=2C_boss=40bank.example=2C?= <ann@example.org>", "hidden"),
        ("=?utf-8?q?ann=40example=2Eorg?= <ann@example.org>", "example.org"),
        ("=?utf-8?q?Ann_=40_Work?= <ann@example.org>", "example.org"),
        ('=?utf-8?q?Ann?= "boss@bank.example" <ann@example.org>', "example.org"),
        ("ann@[192.0.2.1]", "literal"),
        ("ann@example.org.", "domain"),
        ("ann@example..org", "domain"),
        ("ann@-example.org", "domain"),
        ("ann@" + "a" * 64 + ".org", "domain"),
        ("=?utf-8?q?a=00b?= <ann@example.org>", "characters"),
        ("=?utf-8?q?boss=40bank.example=0A?= <ann@example.org>", "characters"),
        ("a" * 5000 + "@example.org", "long"),
    ],
)
def test_author(value: str, expected: str) -> None:
    found = author(parse(f"From: {value}\r\n\r\n".encode()))
    assert (found.domain or found.problem) == expected
    assert (found.domain is None) != (found.problem is None)
    # What the octets say is known beside what hides there.
    assert found.written == ("example.org" if expected == "hidden" else found.domain)


@pytest.mark.parametrize(
    ("raw", "claimed"),
    [
        (b"From: a@one.example\r\nFrom: b@two.example\r\n\r\n", ("one.example", "two.example")),
        (b"From: a@one.example, B <b@TWO.example>, c@one.example\r\n\r\n", ("one.example", "two.example")),
        (b"From: b@two.example <a@one.example>\r\n\r\n", ("two.example", "one.example")),
        (b"From: <@two.example:a@one.example>\r\n\r\n", ("two.example", "one.example")),
        (b"From: a@one.example\r\nno field\r\nFrom: b@two.example\r\n\r\n", ("one.example", "two.example")),
        (b"From\0: b@two.example\r\nFrom: a@one.example\r\n\r\n", ("two.example", "one.example")),
        (b"From : b@two.example\r\nFrom: a@one.example\r\n\r\n", ("one.example", "two.example")),
        (b"From: =?utf-8?q?a=40one=2Eexample?=\r\n\r\n", ("one.example",)),
        (b"From: =?utf-8?q?b=40two=2Eexample=2C?= <a@one.example>\r\n\r\n", ("one.example",)),
        (b"From: Bee, Ann <a@one.example>\r\n\r\n", ("one.example",)),
        (b"From: a@one.example;\r\n\r\n", ("one.example",)),
        # Of many: the first ones, and the last.
        (
            b"From: " + b", ".join(b"a@d%d.example" % n for n in range(9)) + b"\r\n\r\n",
            ("d0.example", "d1.example", "d2.example", "d3.example", "d8.example"),
        ),
        (b"From: Ann\r\n\r\n", ()),
        (b"Subject: x\r\n\r\n", ()),
    ],
)
def test_whose_an_ambiguous_mail_may_be(raw: bytes, claimed: tuple[str, ...]) -> None:
    found = author(parse(raw))
    assert found.problem is not None
    assert set(found.claimed) == set(claimed)
    assert found.claimed[:1] == claimed[:1] or b"From : " in raw or b"From\0" in raw


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"Subject: x\r\n\r\n", "missing"),
        (b"From: a@example.org\r\nfrom: a@example.org\r\n\r\n", "fields"),
        (b"To: b@example.org\r\nFROM : a@example.org\r\n\r\n", "spelling"),
        (b"From: a\xff@example.org\r\n\r\n", "domain"),
        (b"From: a@ex\xffample.org\r\n\r\n", "domain"),
        (b"From: a\x00@example.org\r\n\r\n", "characters"),
        (b"From: Ann\r\n <a@example.org>\r\n\r\n", "example.org"),
        (b"From:\r\n\ta@example.org\r\n\r\n", "example.org"),
        (b"From: Ann <a@\r\n example.org>\r\n\r\n", "syntax"),
        (b"From: \xcd\xf5 <a@example.org>\r\n\r\n", "example.org"),
    ],
)
def test_author_in_octets(raw: bytes, expected: str) -> None:
    found = author(parse(raw))
    assert (found.domain or found.problem) == expected


@pytest.mark.parametrize(
    "piece", ["(", ")", "<", '"', "\\", "a", "a ", "a@", "@a", ",", "=?", "=?utf-8?q?=3C?= ", "(a)", "<a@b>"]
)
@pytest.mark.timeout(120)
def test_author_is_linear(piece: str) -> None:
    for size in (4_000, 500_000):
        for end in ("", " <ann@example.org>"):
            author(parse(f"From: {piece * (size // len(piece))}{end}\r\n\r\n".encode()))


async def test_chance_never_makes_two_authors_pass() -> None:
    # A From field with the victim's address in brackets must not pass as somebody else's.
    dice = random.Random(20261006)
    victim, sender = "boss@bank.example", "ann@example.org"
    pieces = [*'<>()",;: \\', "Ann", victim, sender, f"<{victim}>", f"<{sender}>", f'"{victim}"', f"({victim})"]
    spf = said("spf", result("spf", "pass", smtp_mailfrom="example.org"))
    passed = 0
    for _ in range(3000):
        value = "".join(dice.choices(pieces, k=dice.randint(1, 5)))
        found = author(parse(f"From: {value}\r\n\r\n".encode()))
        if found.domain == "example.org" and "<boss@bank.example>" in value:
            raise AssertionError(value)
        if found.domain:
            passed += 1
            assert (await verdict(spf, NO_DKIM, sender=value)).results[0].result in ("pass", "none")
    assert passed > 20


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (("p=none", "p=reject"), ("fail", "two.example", "reject")),
        (("p=reject", "p=none"), ("fail", "one.example", "reject")),
        (("p=quarantine", "p=reject; t=y"), ("fail", "two.example", "quarantine")),
        (("p=none", None), ("fail", "one.example", "none")),
        ((None, None), ("permerror", None, None)),
    ],
)
async def test_of_two_authors_the_strictest_policy_counts(
    policies: tuple[str | None, str | None], expected: tuple[str, str | None, str | None]
) -> None:
    names = ("one.example", "two.example")
    zone = {f"_dmarc.{name}": {"TXT": [f"v=DMARC1; {p}"]} for name, p in zip(names, policies, strict=True) if p}
    found = await verdict(NO_SPF, NO_DKIM, zone=zone, sender="a@one.example, b@two.example")
    said = dict(found.results[0].properties)
    assert (found.results[0].result, said.get("header.from"), said.get("policy.dmarc")) == expected
    assert "auth.dmarc.ambiguous" in [finding.code for finding in found.findings]
    assert ("auth.dmarc.fail" in [finding.code for finding in found.findings]) == (expected[0] == "fail")


async def test_of_two_authors_a_silent_one_hides_no_failure() -> None:
    """Nobody escapes a policy by a dead DNS of his own; and what nobody answers for is looked at again."""
    silent = {"_dmarc.one.example": {"FAIL": {"TXT": "timeout"}}}
    both = {**silent, "_dmarc.two.example": {"TXT": ["v=DMARC1; p=reject"]}}
    found = await verdict(NO_SPF, NO_DKIM, zone=both, sender="a@one.example, b@two.example")
    assert (found.results[0].result, found.findings[0].code) == ("fail", "auth.dmarc.fail")
    found = await verdict(NO_SPF, NO_DKIM, zone=silent, sender="a@one.example, b@two.example")
    assert (found.outcome, found.results[0].result) == (Outcome.TEMPERROR, "temperror")


async def test_a_hidden_address_takes_the_pass_and_leaves_the_failure() -> None:
    sender = "=?utf-8?q?b=40two=2Eexample=2C?= <ann@example.org>"
    spf = said("spf", result("spf", "pass", smtp_mailfrom="example.org"))
    passed = await verdict(spf, NO_DKIM, zone=REJECT, sender=sender)
    failed = await verdict(NO_SPF, NO_DKIM, zone=REJECT, sender=sender)
    assert (passed.results[0].result, failed.results[0].result) == ("permerror", "fail")
    assert dict(failed.findings[0].why)["disposition"] == "reject"


@pytest.mark.parametrize(
    "sender",
    [
        "ann@example.org",
        "=?utf-8?q?Boss_=28ceo=40other=2Eexample=29?= <ceo@example.org>",
        "=?utf-8?q?ceo=40other=2Eexample=2C?= <ceo@example.org>",
        "x@other.example, ceo@example.org",
        "ceo@example.org;",
    ],
)
async def test_the_operator_s_choice_for_failures_is_done_however_the_author_is_written(sender: str) -> None:
    found = await verdict(NO_SPF, NO_DKIM, zone=REJECT, sender=sender)
    choices = InboundChoices(dmarc=Disposition.REJECT)
    (reason,) = protect(Assessment(verdicts=(found,)), Direction.INBOUND, choices)
    assert (reason.code, reason.disposition) == ("inbound.dmarc", Disposition.REJECT)


async def test_a_cached_policy_is_not_asked_for_again() -> None:
    zone = Zone(REJECT)
    responder = Mischief(zone, {})
    spf = said("spf", result("spf", "pass", smtp_mailfrom="example.org"))
    with ZoneServer(zone, responder=responder) as server:
        resolver = patient_resolver(server)
        for _ in range(20):
            seen = mail(resolver.for_message(), spf, NO_DKIM)
            assert (await dmarc.make().run(seen)).results[0].result == "pass"
    assert responder.seen == [("_dmarc.example.org", "TXT", True)]


async def test_a_cached_record_is_not_read_again() -> None:
    dmarc_record._read.cache_clear()
    for _ in range(20):
        assert (await verdict(NO_SPF, NO_DKIM)).results[0].result == "fail"
    assert dmarc_record._read.cache_info().misses == 1
