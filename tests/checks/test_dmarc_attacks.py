"""A stranger with a domain of his own shows another author than the one DMARC has looked at."""

from __future__ import annotations

import pytest

from tests.checks.dkim_oracle import sign, zone
from tests.checks.forged import told

REST = b"To: b@house.example\r\nSubject: s\r\nDate: Mon, 2 Mar 2026 01:00:00 +0000\r\n\r\nhello\r\n"
ZONE = {
    "evil.example": {"TXT": ["v=spf1 ip4:192.0.2.66 -all"]},
    "_dmarc.evil.example": {"TXT": ["v=DMARC1; p=reject"]},
    "bank.example": {"TXT": ["v=spf1 -all"]},
    "_dmarc.bank.example": {"TXT": ["v=DMARC1; p=reject"]},
}


@pytest.mark.parametrize(
    "header",
    [
        # Looks like the first line of a mailbox file; whoever reads the stored mail sees a From field.
        b"From : ceo@bank.example\r\nFrom: a@evil.example",
        b">From\t: x\r\nFrom : ceo@bank.example\r\nFrom: a@evil.example",
        b"From : <ceo@bank.example>\r\nFrom: a@evil.example",
        # Some step over a line that is no field.
        b"From: a@evil.example\r\nno field\r\nFrom: ceo@bank.example",
        b"From: a@evil.example\r\nno field\r\nX: y\r\nFROM : ceo@bank.example",
        # NUL and other octets that some drop from a name.
        b"From: a@evil.example\r\nFrom\x00: ceo@bank.example",
        b"From: a@evil.example\r\nX: y\r\nFr\x00om: ceo@bank.example",
        b"From: a@evil.example\r\nno field\r\n\xef\xbb\xbfFrom: ceo@bank.example",
        b"From\x00: ceo@bank.example\r\nFrom: a@evil.example",
        # An address that whoever decodes first sees before the true one.
        b"From: =?utf-8?q?ceo=40bank=2Eexample=2C?= <a@evil.example>",
        b"From: =?utf-8?q?ceo=40bank=2Eexample=3B?= <a@evil.example>",
        # Brackets within the name that are no address by the grammar.
        b'From: "<ceo@bank.example >" <a@evil.example>',
        b'From: "<ceo@bank.example" <a@evil.example>',
        b'From: "<ceo@x@bank.example>" <a@evil.example>',
        b"From: =?utf-8?q?=3Cceo=40bank=2Eexample=20=3E?= <a@evil.example>",
        b"From: =?utf-8?q?=3Cceo=40bank=2Eexample?= <a@evil.example>",
    ],
)
async def test_another_author_for_some_readers_is_never_a_pass(header: bytes) -> None:
    seen = await told(header + b"\r\n" + REST, ZONE, mail_from="a@evil.example")
    assert "spf=pass" in seen.methods
    # Where it is a second From to somebody, the bank's policy is heard, too.
    is_second = header.lower().replace(b"\0", b"").count(b"from") > 1
    assert ("dmarc=fail" if is_second else "dmarc=permerror") in seen.methods


async def test_a_second_author_before_a_signed_mail_takes_its_pass() -> None:
    signed = sign(b"From: a@example.org\r\n" + REST)
    keys = zone() | {"_dmarc.example.org": {"TXT": ["v=DMARC1; p=reject"]}}
    assert "dmarc=pass" in (await told(signed, keys)).methods
    assert "dmarc=permerror" in (await told(b"From : ceo@bank.example\r\n" + signed, keys)).methods


@pytest.mark.parametrize(
    "header",
    [
        b"From a@evil.example Mon Mar  2 01:00:00 2026\r\nFrom: a@evil.example",
        b"From: a@evil.example\r\nno field\r\nDear Bob",
        b"From: a@evil.example\r\nno field\r\nX-From\x00: b",
        b"From: =?utf-8?q?a=40evil.example?= <a@evil.example>",
        b"From: =?utf-8?q?Boss_=28ceo=40bank=2Eexample=29?= <a@evil.example>",
        b'From: "a@evil.example" <a@evil.example>',
        b'From: "<a@evil.example>" <a@evil.example>',
        b'From: "a < b" <a@evil.example>',
    ],
)
async def test_what_only_looks_like_it_still_passes(header: bytes) -> None:
    assert "dmarc=pass" in (await told(header + b"\r\n" + REST, ZONE, mail_from="a@evil.example")).methods


@pytest.mark.parametrize(
    ("mail_from", "helo"),
    [(None, "mail.evil.example"), ("x@mail.evil.example", "bank.example"), ("x@[192.0.2.66]", "evil.example")],
)
async def test_the_pass_of_a_stranger_is_not_lent(mail_from: str | None, helo: str) -> None:
    names = ZONE | {"mail.evil.example": {"TXT": ["v=spf1 +all"]}}
    seen = await told(b"From: ceo@bank.example\r\n" + REST, names, mail_from=mail_from, helo=helo)
    assert "dmarc=fail" in seen.methods


@pytest.mark.parametrize(
    "header",
    [
        b"From: ceo@bank.example",
        b"From: =?utf-8?q?Boss_=28x=40other=2Eexample=29?= <ceo@bank.example>",
        b"From: =?utf-8?q?x=40other=2Eexample=2C?= <ceo@bank.example>",
        b'From: "<x@other.example>" <ceo@bank.example>',
        b"From: x@evil.example, ceo@bank.example",
        b"From: x@evil.example\r\nFrom: ceo@bank.example",
        b"From: ceo@bank.example\r\nFrom: x@evil.example",
        b"From : ceo@bank.example",
        b"From: ceo@bank.example;",
        b"From: Staff: ceo@bank.example;",
        b"From: ceo@bank.example\0",
        b"From: <ceo@bank.example",
        b"From: =?utf-8?q?x?= =?utf-8?q?ceo=40bank=2Eexample?=",
        b"From: " + b", ".join(b"a@a%d.evil.example" % n for n in range(9)) + b", ceo@bank.example",
    ],
)
async def test_no_spelling_of_the_author_is_less_than_a_failure(header: bytes) -> None:
    seen = await told(header + b"\r\n" + REST, ZONE, mail_from="a@evil.example")
    assert "dmarc=fail" in seen.methods
    assert seen.says("header.from=bank.example policy.dmarc=reject")
