"""DKIM: tags, names, keys and canonical forms by table; caps, budgets and costs."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from filterd.checks import dkim, psl
from filterd.checks.dkim import canonical, tags
from filterd.checks.dkim.fate import Fate
from filterd.checks.dkim.keys import Key, parse
from filterd.checks.dkim.signature import Signature, Unread, domain_name, read_dkim
from filterd.mail.parse import parse as parse_mail
from filterd.model.session import Direction
from filterd.model.verdict import Outcome
from tests.checks.contexts import context, transaction
from tests.checks.dkim_oracle import DOMAIN, ed25519_pair, ours, rsa_pair, sign, sign_by_hand, words, zone
from tests.kit.zones import ZoneLookups

pytestmark = pytest.mark.slow

LETTER = (
    b"From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Minutes\r\n"
    b"Date: Mon, 02 Nov 2026 11:00:00 +0000\r\n\r\nDear Bob,\r\n\r\nplease find them below.\r\n"
)
SOUND = b"v=1; a=rsa-sha256; d=example.org; s=s1; h=from:to; bh=AAAA; b=AAAA"


def field(text: bytes) -> bytes:
    return b"DKIM-Signature: " + text + b"\r\n"


# --- What a field says ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a=1", {b"a": b"1"}),
        (b" a = 1 ;\r\n\tb=x\r\n y ; ", {b"a": b"1", b"b": b"x\r\n y"}),
        (b"a=;b==;", {b"a": b"", b"b": b"="}),
        (b"A=1;a=2", {b"A": b"1", b"a": b"2"}),
        (b"a=\xe4\xbe\x8b", {b"a": b"\xe4\xbe\x8b"}),
        (b"", None),
        (b";", None),
        (b"a=1;;b=2", None),
        (b"a=1;;", None),
        (b"a", None),
        (b"a=1;b", None),
        (b"=1", None),
        (b"1a=1", None),
        (b"a-b=1", None),
        (b"a b=1", None),
        (b"a=1;a=1", None),
        (b"a=\x00", None),
        (b"a=\x0b1", None),
    ],
)
def test_tag_lists(text: bytes, expected: dict[bytes, bytes] | None) -> None:
    assert tags.read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a=1; b=AB\r\n C ; c=2", b"a=1; b=; c=2"),
        (b"b=AB;bh=CD", b"b=;bh=CD"),
        (b"bh=b=;\r\n b\r\n = AB", b"bh=b=;\r\n b\r\n ="),
    ],
)
def test_the_value_of_b_goes_with_its_blanks(text: bytes, expected: bytes) -> None:
    assert tags.without_signature(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Example.ORG", "example.org"),
        (b"s2024_a.mail", "s2024_a.mail"),
        ("\u4f8b\u3048.jp".encode(), "xn--r8jz45g.jp"),
        (b"xn--r8jz45g.jp", "xn--r8jz45g.jp"),
        (b"org", "org"),
        (b"", None),
        (b".", None),
        (b"example.org.", None),
        (b"exa mple.org", None),
        (b"exa\0mple.org", None),
        (b"example..org", None),
        (b"-example.org", None),
        (b"\xff\xfe.org", None),
        (b"a" * 64 + b".org", None),
        (b"a." * 130 + b"org", None),
        (b"example.org\n", None),
    ],
)
def test_names_that_may_go_to_dns(value: bytes, expected: str | None) -> None:
    assert domain_name(value) == expected


@pytest.mark.parametrize(
    ("change", "fate"),
    [
        ((b"v=1", b"v=2"), Fate.SYNTAX),
        ((b"v=1; ", b""), Fate.SYNTAX),
        ((b"s=s1; ", b""), Fate.SYNTAX),
        ((b"bh=AAAA", b"bh=AAA"), Fate.SYNTAX),
        ((b"b=AAAA", b"b="), Fate.SYNTAX),
        ((b"b=AAAA", b"b=A\xc3\xa9AA"), Fate.SYNTAX),
        ((b"h=", b"c=relaxed/other; h="), Fate.SYNTAX),
        ((b"h=", b"c=; h="), Fate.SYNTAX),
        ((b"h=", b"l=-1; h="), Fate.SYNTAX),
        ((b"h=", b"t=" + b"9" * 5000 + b"; h="), Fate.SYNTAX),
        ((b"h=", b"t=20; x=10; h="), Fate.SYNTAX),
        ((b"h=", b"i=ann; h="), Fate.SYNTAX),
        ((b"h=", b"i=@exa\0mple.org; h="), Fate.SYNTAX),
        ((b"d=example.org", b"d=exa\0mple.org"), Fate.SYNTAX),
        ((b"s=s1", b"s=" + b"a" * 63 + b".a" * 95), Fate.SYNTAX),
        ((b"h=", b"i=@example.net; h="), Fate.IDENTITY),
        ((b"h=", b"i=@notexample.org; h="), Fate.IDENTITY),
        ((b"rsa-sha256", b"rsa-sha512"), Fate.ALGORITHM),
        ((b"rsa-sha256", b"rsa-sha1"), Fate.SHA1),
        ((b"h=", b"q=dns/other; h="), Fate.QUERY),
        ((b"h=from", b"h=" + b"x:" * 9000 + b"from"), Fate.SYNTAX),
    ],
)
def test_what_cannot_be_checked_is_a_value(change: tuple[bytes, bytes], fate: Fate) -> None:
    assert change[0] in SOUND
    read = read_dkim(field(SOUND.replace(*change, 1)))
    assert isinstance(read, Unread)
    assert read.fate is fate


@pytest.mark.parametrize(
    ("change", "attribute", "expected"),
    [
        ((b"", b""), "identity", "example.org"),
        ((b"h=", b"i=a@b@News.Example.ORG; h="), "identity", "news.example.org"),
        ((b"h=", b"c=relaxed; h="), "header_form", "relaxed"),
        ((b"h=", b"c=relaxed; h="), "body_form", "simple"),
        ((b"", b""), "header_form", "simple"),
        ((b"h=", b"q=dns/other : dns/txt; h="), "algorithm", "rsa-sha256"),
        ((b"from:to", b"From :\r\n TO"), "signed", ("from", "to")),
        ((b"h=", b"l=0; h="), "length", 0),
        ((b"h=", b"zz=1; h="), "key_name", "s1._domainkey.example.org"),
    ],
)
def test_what_a_sound_signature_says(change: tuple[bytes, bytes], attribute: str, expected: Any) -> None:
    read = read_dkim(field(SOUND.replace(*change, 1)))
    assert isinstance(read, Signature)
    assert getattr(read, attribute) == expected


@given(st.binary(max_size=200))
def test_no_octets_make_reading_raise(text: bytes) -> None:
    read_dkim(field(text))
    read_dkim(field(SOUND + b";" + text))
    parse(text)
    parse(b"v=DKIM1; p=" + text)


# --- What a record says -----------------------------------------------------------------------------------------------


def elliptic() -> str:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


RSA = rsa_pair().record.partition("p=")[2]
ED = ed25519_pair().record.partition("p=")[2]


@pytest.mark.parametrize(
    ("record", "fate"),
    [
        (f"v=DKIM1; k=rsa; p={RSA[:40]} {RSA[40:]}", None),
        (f"p={RSA}", None),
        (f"v=DKIM1; h=sha1:sha256; s=email; p={RSA};", None),
        (f"v=DKIM1; k=ed25519; p={ED}", None),
        (f"v=DKIM1; n=note; x=1; p={RSA}", None),
        ("v=DKIM1; p=", Fate.KEY_REVOKED),
        ("v=DKIM1; k=rsa", Fate.KEY_SYNTAX),
        (f"k=rsa; v=DKIM1; p={RSA}", Fate.KEY_SYNTAX),
        (f"v=DKIM2; p={RSA}", Fate.KEY_SYNTAX),
        ("v=spf1 -all", Fate.KEY_SYNTAX),
        ("", Fate.KEY_SYNTAX),
        (f"v=DKIM1; p={RSA[:-8]}", Fate.KEY_SYNTAX),
        ("v=DKIM1; p=!!!!", Fate.KEY_SYNTAX),
        (f"v=DKIM1; k=ed25519; p={RSA}", Fate.KEY_SYNTAX),
        (f"v=DKIM1; p={elliptic()}", Fate.KEY_TYPE),
        (f"v=DKIM1; k=dsa; p={RSA}", Fate.KEY_TYPE),
        (f"v=DKIM1; h=sha1; p={RSA}", Fate.KEY_TYPE),
        (f"v=DKIM1; s=tlsrpt; p={RSA}", Fate.KEY_SERVICE),
        ("v=DKIM1; p=" + "A" * 1_600, Fate.KEY_LARGE),
        (f"v=DKIM1; n={'x' * 5_000}; p={RSA}", Fate.KEY_LARGE),
    ],
    # Keys are made anew in every process, and the processes must agree on the names of the tests.
    ids=[f"record{number}" for number in range(20)],
)
def test_key_records(record: str, fate: Fate | None) -> None:
    read = parse(record.encode())
    assert (read if isinstance(read, Fate) else None) == fate


def test_a_long_exponent_is_not_computed_with() -> None:
    # A modulus of any odd number will do: nothing is verified.
    modulus, exponent = (1 << 3071) + 1, (1 << 3000) + 1
    assert parse(f"p={rsa_record(modulus, exponent)}".encode()) is Fate.KEY_LARGE
    assert isinstance(parse(f"p={rsa_record(modulus, 65537)}".encode()), Key)


def rsa_record(modulus: int, exponent: int) -> str:
    body = b"".join(der(2, n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in (modulus, exponent))
    return base64.b64encode(der(0x30, body)).decode()


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


# --- What exactly was signed ------------------------------------------------------------------------------------------


def test_the_example_of_the_standard() -> None:
    # RFC 6376 §3.4.5.
    body = b" C \r\nD \t E\r\n\r\n\r\n"
    assert canonical.relaxed_field(b"A: X\r\n") == b"a:X\r\n"
    assert canonical.relaxed_field(b"B : Y\t\r\n\tZ  \r\n") == b"b:Y Z\r\n"
    assert canonical.simple_field(b"B : Y\t\r\n\tZ  \r\n") == b"B : Y\t\r\n\tZ  \r\n"
    assert canonical.relaxed_body(body) == b" C\r\nD E\r\n"
    assert canonical.simple_body(body) == b" C \r\nD \t E\r\n"


@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        (b"", b"\r\n", b""),
        (b"\r\n\r\n", b"\r\n", b""),
        (b" \t\r\n", b" \t\r\n", b""),
        (b"a", b"a\r\n", b"a\r\n"),
        (b"a ", b"a \r\n", b"a\r\n"),
        (b"a\r\n \r\n", b"a\r\n \r\n", b"a\r\n"),
        (b"\r\na\t \tb\r\n\r\nc\r\n\r\n", b"\r\na\t \tb\r\n\r\nc\r\n", b"\r\na b\r\n\r\nc\r\n"),
        (b"a\n\r\n", b"a\n\r\n", b"a\n\r\n"),
        (b"a\x0b \r\n", b"a\x0b \r\n", b"a\x0b\r\n"),
    ],
)
def test_bodies(body: bytes, simple: bytes, relaxed: bytes) -> None:
    assert canonical.simple_body(body) == simple
    assert canonical.relaxed_body(body) == relaxed


def test_names_take_fields_from_the_bottom_up_and_never_the_signature_itself() -> None:
    raw = b"DKIM-Signature: own\r\nX: 1\r\nx: 2\r\nDKIM-Signature: other\r\n\r\n"
    message = parse_mail(raw)
    own = message.fields[0].raw
    form = canonical.Canonical(message)

    def digest(*names: str) -> bytes:
        return form.header_hash(names, "relaxed", b"DKIM-Signature: own\r\n", own)

    assert digest("x", "x", "x", "y") == digest("x", "x")
    assert len({digest(), digest("x"), digest("x", "x"), digest("dkim-signature")}) == 4
    assert digest("dkim-signature", "dkim-signature") == digest("dkim-signature")


# --- The whole check --------------------------------------------------------------------------------------------------


async def test_octets_appended_to_a_pass_with_l_are_seen() -> None:
    signed = sign(LETTER, length=True)
    assert words(await ours(signed)) == ["pass"]
    verdict = await ours(signed + b"<html>pay here</html>\r\n")
    assert [f.code for f in verdict.findings] == ["auth.dkim.partial"]
    assert words(verdict) == ["policy"]


async def test_a_body_shorter_than_l_fails() -> None:
    assert words(await ours(sign_by_hand(LETTER, f"v=1; d={DOMAIN}; s=rsa; l=9999"))) == ["fail"]


async def test_an_international_domain_is_looked_up_by_its_a_labels() -> None:
    raw = sign_by_hand(LETTER, "v=1; d=\u4f8b\u3048.jp; s=rsa")
    verdict = await ours(raw, {"rsa._domainkey.xn--r8jz45g.jp": {"TXT": [rsa_pair().record]}})
    assert words(verdict) == ["pass"]
    assert ("header.d", "xn--r8jz45g.jp") in verdict.results[0].properties


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dns": None}, "no_resolver"),
        ({"direction": Direction.OUTBOUND}, "outbound"),
        ({"direction": Direction.INTERNAL}, "internal"),
    ],
)
async def test_where_it_does_not_apply_it_says_so(changes: dict[str, Any], reason: str) -> None:
    verdict = await ours(sign(LETTER), **changes)
    assert (verdict.outcome, verdict.reason, verdict.results) == (Outcome.SKIPPED, reason, ())


async def test_outbound_mail_is_verified_on_request() -> None:
    raw = sign(LETTER)
    seen = context(raw, message=parse_mail(raw), dns=ZoneLookups(zone()))
    verdict = await dkim.make(inbound_only=False).run(seen)
    # Signed today, and the mail of the context came earlier.
    assert verdict.outcome is not Outcome.SKIPPED


async def test_a_spent_budget_is_temporary_and_said() -> None:
    verdict = await ours(sign(LETTER), dns=ZoneLookups(zone(), budget=0))
    assert (verdict.outcome, verdict.reason) == (Outcome.TEMPERROR, "dns_budget")
    assert [finding.code for finding in verdict.findings] == ["dns.budget.spent"]


async def test_no_more_than_ten_keys_are_asked_for_and_each_once() -> None:
    heads = b"".join(field(SOUND.replace(b"s1", b"s%d" % (n // 2))) for n in range(1_000))
    dns = ZoneLookups({})
    verdict = await ours(heads + LETTER, dns=dns)
    assert [name for name, _, _ in dns.asked] == [f"s{n}._domainkey.example.org" for n in range(5)]
    assert len(verdict.results) == dkim.MAX_SIGNATURES
    assert dict(verdict.findings[0].why)["unseen"] == "990"


async def test_what_cannot_pass_asks_nothing() -> None:
    dns = ZoneLookups({})
    raw = sign_by_hand(LETTER, f"v=1; d={DOMAIN}; s=rsa; t=10; x=20")
    assert words(await ours(raw, dns=dns)) == ["fail"]
    assert dns.asked == ()


async def test_a_public_suffix_signs_for_nobody() -> None:
    raw = sign_by_hand(LETTER, "v=1; d=co.uk; s=rsa")
    records = {"rsa._domainkey.co.uk": {"TXT": [rsa_pair().record]}}
    seen = context(raw, message=parse_mail(raw), direction=Direction.INBOUND, dns=ZoneLookups(records))
    assert words(await dkim.make().run(seen)) == ["pass"]
    strict = dkim.make(is_public_suffix=psl.load().is_public_suffix)
    assert words(await strict.run(seen)) == ["policy"]


@pytest.mark.parametrize(
    "raw",
    [
        b"".join(field(b"v=1;" * 4_000) for _ in range(50)) + LETTER,
        b"".join(field(SOUND.replace(b"from:to", b"from" + b":x" * 8_000)) for _ in range(10)) + LETTER,
        sign(LETTER).replace(b"Dear", b" " * 2_000_000),
        sign(LETTER) + b"\r\n" * 1_000_000,
        sign(LETTER) + b" \t\r\n" * 500_000 + b"\n" * 500_000,
        b"DKIM-Signature: " + b";\r\n " * 300_000 + LETTER,
    ],
    ids=["tags", "names", "blanks", "empty-lines", "odd-lines", "long-field"],
)
@pytest.mark.timeout(120)
async def test_hostile_mail_is_linear(raw: bytes) -> None:
    now = transaction(raw, received_at=datetime.now(UTC))
    seen = context(
        raw, message=parse_mail(raw), transaction=now, direction=Direction.INBOUND, dns=ZoneLookups(zone())
    )
    await dkim.make().run(seen)
