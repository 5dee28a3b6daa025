"""Faults 35 and 36 by their number (tests/faults.toml): who wrote it, and who says so.  FAULTS §3.

A stranger's mail walks through the real gate with all four checks.
"""

from __future__ import annotations

from base64 import b64encode

import pytest

from filterd.mail.author import author
from filterd.mail.parse import parse
from tests.checks.forged import OURS, told


def word(text: str, charset: str = "utf-8") -> bytes:
    """Write an encoded word."""
    return b"=?%b?B?%b?=" % (charset.encode(), b64encode(text.encode(charset)))


REST = b"\r\nTo: b@house.example\r\nSubject: s\r\nDate: Mon, 2 Mar 2026 01:00:00 +0000\r\n\r\nhello\r\n"
# The sender's own domain passes everything; the one he borrows has a policy.
ZONE = {
    "evil.example": {"TXT": ["v=spf1 ip4:192.0.2.66 -all"]},
    "_dmarc.evil.example": {"TXT": ["v=DMARC1; p=reject"]},
    "bank.example": {"TXT": ["v=spf1 -all"]},
    "_dmarc.bank.example": {"TXT": ["v=DMARC1; p=reject"]},
}
FIFTY = b", ".join(b"a%d@evil.example" % number for number in range(50))
AMBIGUOUS = {
    "two fields": b"From: a@evil.example\r\nFrom: ceo@bank.example",
    "two fields, the same": b"From: a@evil.example\r\nFROM: a@evil.example",
    "blank before the colon": b"From : a@evil.example",
    "tab before the colon": b"From\t: a@evil.example",
    "folded between two": b"From:\r\n a@evil.example,\r\n\tceo@bank.example",
    "folded in the address": b"From: <a@\r\n evil.example>",
    "group": b"From: Staff: a@evil.example;",
    "group of nobody": b"From: undisclosed-recipients:;",
    "fifty addresses": b"From: " + FIFTY,
    "fifty names, folded": b"From: " + FIFTY.replace(b", ", b",\r\n "),
    "two addresses": b"From: a@evil.example, ceo@bank.example",
    "empty": b"From: ",
    "none": b"X-From: a@evil.example",
    "no address": b"From: Ann",
    "empty address": b"From: <>",
    "NUL in the address": b"From: a@evil.example\0",
    "NUL in the name": b"From: ceo@bank.example\0 <a@evil.example>",
    "NUL in the field name": b"From: a@evil.example\r\nFrom\0: ceo@bank.example",
    "route": b"From: <@bank.example:a@evil.example>",
    "route of two": b"From: <@bank.example,@b.example:a@evil.example>",
    "comment in the address": b"From: a@bank.example(x).evil.example",
    "comment that does not end": b"From: (a@evil.example",
    "brackets in a comment": b"From: (<ceo@bank.example>) a@evil.example",
    "address before the address": b"From: ceo@bank.example <a@evil.example>",
    "quoted, another behind it": b'From: "a"@evil.example ceo@bank.example',
    "encoded address": b"From: =?utf-8?q?a=40evil=2Eexample?=",
    "encoded word in the local part": b"From: =?utf-8?q?ceo=40bank.example=2C?=@evil.example",
    "decodes to an address and a comma": b"From: =?utf-8?q?ceo=40bank.example=2C?= <a@evil.example>",
    "decodes to a line end": b"From: =?utf-8?q?x=0D=0AFrom=3A_ceo=40bank.example?= <a@evil.example>",
    "octets of no charset": b"From: <a@evil\xff.example>",
    "address literal": b"From: <a@[192.0.2.66]>",
}
# Of these the octets alone have no other author than the one that passes: it is not trusted, and no policy is broken.
ONE_IN_OCTETS = {"brackets in a comment", "decodes to an address and a comma"}
OF_NOBODY = {"group of nobody", "empty", "none", "no address", "empty address"}
OF_NOBODY |= {"octets of no charset", "address literal"}
FAILING = {form for form, field in AMBIGUOUS.items() if b"bank.example" in field} - ONE_IN_OCTETS


@pytest.mark.parametrize("form", AMBIGUOUS)
async def test_fault_35_an_ambiguous_author_never_passes(form: str) -> None:
    seen = await told(AMBIGUOUS[form] + REST, ZONE, mail_from="a@evil.example")
    assert "spf=pass" in seen.methods
    # Who could be the author and objects is heard: two names are no way round a policy.
    expected = "dmarc=fail" if form in FAILING else "dmarc=permerror"
    assert [word for word in seen.methods if word.startswith("dmarc=")] == [expected]
    assert seen.says("author ambiguous")
    assert seen.says("header.from=bank.example policy.dmarc=reject") == (form in FAILING)


@pytest.mark.parametrize("form", AMBIGUOUS)
async def test_fault_35_nobody_escapes_a_policy_by_an_ambiguous_author(form: str) -> None:
    """What nobody vouches for and fails under one plain name fails under that name in any other spelling."""
    seen = await told(AMBIGUOUS[form] + REST, ZONE, mail_from="x@nobody.example")
    expected = "dmarc=permerror" if form in OF_NOBODY else "dmarc=fail"
    assert [word for word in seen.methods if word.startswith("dmarc=")] == [expected]


@pytest.mark.parametrize(
    ("field", "domain"),
    [
        (b"From: a@evil.example", "evil.example"),
        (b"From:\r\n\tAnn\r\n <a@evil.example>", "evil.example"),
        (b"fROM: (x) Ann (y) <a@evil.example> (z)", "evil.example"),
        # A sign in a quoted local part is no second one.
        (b'From: "ceo@bank.example"@evil.example', "evil.example"),
        (b'From: "ceo@bank.example" <a@evil.example>', "evil.example"),
        (b"From: =?gb18030?b?zfXQocP3?= <a@evil.example>", "evil.example"),
        # Lists, calendars and freemail put another address into a name (RFC 2047 §5: it is none).
        (b"From: =?UTF-8?Q?=27alice=40corp.example=27_via_Team?= <team@evil.example>", "evil.example"),
        (b"From: " + word("José (jose@corp.example)") + b" <calendar-notification@evil.example>", "evil.example"),
        (b"From: " + word("王伟（wangwei@qq.com）") + b" <ww@evil.example>", "evil.example"),
        (b"From: " + word("123456@qq.com", "gb18030") + b" <me@evil.example>", "evil.example"),
        (b"From: " + word("Große Firma info@firma.example") + b" <info@mail.evil.example>", "mail.evil.example"),
        (b"From: " + word("Zoë @zoe.codes") + b" <news@evil.example>", "evil.example"),
        (b"From: " + word("小李@研发.上海") + b" <xl@evil.example>", "evil.example"),
        (b"From: =?utf-8?q?Boss_=28ceo=40bank=2Eexample=29?= <a@evil.example>", "evil.example"),
        (b"From: a@evil.example (" + word("Zoë zoe@corp.example") + b")", "evil.example"),
        ("From: 王小明 <a@evil.example>".encode(), "evil.example"),
        ("From: 王小明 <a@evil.example>".encode("gb18030"), "evil.example"),
        # Both forms of an internationalised domain are one author (RFC 9989 §5.3.1: A-labels).
        ("From: a@Bücher.example".encode(), "xn--bcher-kva.example"),
        (b"From: a@XN--BCHER-KVA.example", "xn--bcher-kva.example"),
    ],
)
def test_fault_35_one_author_in_any_honest_form(field: bytes, domain: str) -> None:
    assert author(parse(field + REST)).domain == domain


async def test_fault_35_the_author_is_asked_for_in_a_labels() -> None:
    names = {
        "xn--bcher-kva.example": {"TXT": ["v=spf1 ip4:192.0.2.66 -all"]},
        "_dmarc.xn--bcher-kva.example": {"TXT": ["v=DMARC1; p=reject"]},
    }
    seen = await told("From: a@Bücher.example".encode() + REST, names, mail_from="a@xn--bcher-kva.example")
    assert "dmarc=pass" in seen.methods
    assert seen.says("header.from=xn--bcher-kva.example")


# As a mail has them: all but the last claim our name, in the odd ways of FAULTS 36.
FORGED = (
    b"Authentication-Results: mx.house.example; dmarc=pass header.from=bank.example",
    b"AUTHENTICATION-RESULTS: MX.House.EXAMPLE; dkim=pass header.d=bank.example",
    b"Authentication-Results: (trusted (really)) mx.house.example (ours); spf=pass",
    b"Authentication-Results: mx.house.example 1; dmarc=pass",
    b"authentication-results:\r\n mx.house.example\r\n\t; dmarc=pass",
    b'Authentication-Results: "mx.house.example"; dmarc=pass',
    b"Authentication-Results: mx.house.example.; dmarc=pass",
    b"Authentication-Results : mx.(x)house(y).example; dmarc=pass",
)
OTHERS = (
    b"Authentication-Results: mx.elsewhere.example; dmarc=pass",
    b"Authentication-Results: a.mx.house.example; spf=pass",
    b"ARC-Authentication-Results: i=9; mx.house.example; spf=pass",
    b"Authentication-Results: mx.elsewhere.example (for mx.house.example); dkim=pass",
)


@pytest.mark.parametrize("start", range(len(FORGED)))
async def test_fault_36_all_forged_results_go_and_the_others_keep_their_order(start: int) -> None:
    forged = FORGED[start:] + FORGED[:start]
    rows = [row for pair in zip(forged, OTHERS * 2, strict=True) for row in pair]
    seen = await told(b"\r\n".join(rows) + b"\r\nFrom: ceo@bank.example" + REST, ZONE, mail_from="a@evil.example")
    # Ours is the only one with our name, and says what we found.
    assert len(seen.results) == 1
    assert "dmarc=fail" in seen.methods
    assert not any(row in seen.raw for row in FORGED)
    kept = [line for line in seen.raw.split(b"\r\n\r\n")[0].split(b"\r\n") if line in OTHERS]
    assert kept == list(OTHERS * 2)


@pytest.mark.parametrize("ours", ["bücher.example", "xn--bcher-kva.example"])
async def test_fault_36_both_forms_of_our_name_are_ours(ours: str) -> None:
    claims = ("Authentication-Results: BÜCHER.example; a=b", "Authentication-Results: xn--BCHER-kva.Example 1; a=b")
    seen = await told("\r\n".join(claims).encode() + b"\r\nFrom: ceo@bank.example" + REST, ZONE, authserv_id=ours)
    assert seen.raw.lower().count(b"authentication-results:") == 1
    assert b"\r\nAuthentication-Results: xn--bcher-kva.example;" in b"\r\n" + seen.raw
    assert OURS.encode() not in seen.raw
