"""Authentication-Results: what is written can be read back, and what claims to be ours is known."""

from __future__ import annotations

import authres as reader
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.errors import UsageError
from filterd.mail import authres
from filterd.mail.edit import remove_where, render_field
from filterd.mail.fields import split
from filterd.model.verdict import Assessment, AuthResult, Outcome, Verdict

OURS = "mx.example.org"


def result(method: str, word: str, *properties: tuple[str, str], comment: str | None = None) -> AuthResult:
    return AuthResult(method=method, result=word, properties=properties, comment=comment)


# --- Writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], "mx.example.org; none"),
        ([result("dkim", "none")], "mx.example.org; dkim=none"),
        (
            [
                result("spf", "pass", ("smtp.mailfrom", "example.com")),
                result("dkim", "pass", ("header.d", "example.com"), ("header.s", "s1"), ("header.b", "aB+/=c12")),
            ],
            "mx.example.org; spf=pass smtp.mailfrom=example.com; "
            'dkim=pass header.d=example.com header.s=s1 header.b="aB+/=c12"',
        ),
        ([result("arc", "pass", comment="i=2 d=example.net")], "mx.example.org; arc=pass (i=2 d=example.net)"),
        ([result("x", "fail", comment="a) (b\\ \r\nc\0\u00e9")], "mx.example.org; x=fail (a b c)"),
        ([result("x", "fail", comment="()")], "mx.example.org; x=fail"),
        ([result("spf", "fail", ("smtp.helo", 'a b"c\\'))], 'mx.example.org; spf=fail smtp.helo="a b\\"c\\\\"'),
        ([result("spf", "fail", ("smtp.helo", ""))], "mx.example.org; spf=fail"),
        ([result("spf", "fail", ("smtp.helo", "x" * 300))], "mx.example.org; spf=fail"),
        ([result("spf", "fail", ("smtp.helo", "a\r\nBcc: x"))], 'mx.example.org; spf=fail smtp.helo="a__Bcc: x"'),
        ([result("x", "pass", ("header.d", "\u4f8b\u3048.jp"))], "mx.example.org; x=pass header.d=xn--r8jz45g.jp"),
        ([result("dkim", "pass", ("header.i", "@a.jp"))], "mx.example.org; dkim=pass header.i=@a.jp"),
        ([result("dkim", "pass", ("header.i", "@."))], 'mx.example.org; dkim=pass header.i="@."'),
        ([result("auth", "pass", ("smtp.auth", "ann@a.jp"))], "mx.example.org; auth=pass smtp.auth=ann@a.jp"),
        ([result("x", "pass", ("smtp.auth", "\u674e@\u4f8b.jp"))], "mx.example.org; x=pass smtp.auth=_@xn--fsq.jp"),
        ([result("spf", "fail", ("smtp.helo", "=?utf-8?q?x?="))], 'mx.example.org; spf=fail smtp.helo="=_utf-8?q?x?="'),
    ],
)
def test_values(results: list[AuthResult], expected: str) -> None:
    value = authres.value_of(OURS, results)
    assert value == expected
    # No encoded word, no line that may not be: the field says what the value says.
    field = render_field(authres.FIELD, value)
    assert field.replace(b"\r\n", b"") == f"{authres.FIELD}: {expected}".encode()


@pytest.mark.parametrize(
    ("authserv_id", "expected"),
    [("mx.example.org", "mx.example.org"), ("\u4f8b\u3048.jp", "xn--r8jz45g.jp"), ("mx 1", '"mx 1"')],
)
def test_authserv_ids(authserv_id: str, expected: str) -> None:
    assert authres.value_of(authserv_id, []) == f"{expected}; none"


@pytest.mark.parametrize("authserv_id", ["", " ", "a\r\nb", "x" * 300, "\u4f8b\0"])
def test_what_is_no_authserv_id(authserv_id: str) -> None:
    with pytest.raises(UsageError):
        authres.value_of(authserv_id, [])


@pytest.mark.parametrize(
    "wrong", [result("sp f", "pass"), result("spf", "pass;"), result("spf", "pass", ("helo", "x")), result("", "x")]
)
def test_what_no_check_may_say(wrong: AuthResult) -> None:
    with pytest.raises(UsageError):
        authres.value_of(OURS, [wrong])


def test_many_results_end_somewhere() -> None:
    value = authres.value_of(OURS, [result("dkim", "fail")] * 500)
    assert value.count("dkim=fail") == authres.MAX_RESULTS


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)
# This reader leaves quoted pairs as they are; the table above has them.
UNESCAPED = PRINTABLE.map(lambda text: text.replace('"', "'").replace("\\", "/"))


@given(st.sampled_from(["header.d", "header.s", "header.b"]), UNESCAPED, PRINTABLE)
def test_the_reader_of_authres_reads_what_we_write(name: str, value: str, comment: str) -> None:
    # The quoted one comes last: this reader loses a quoted value that another property follows.
    said = result("dkim", "fail", ("header.i", "@example.com"), (name, value), comment=comment)
    read = reader.AuthenticationResultsHeader.parse_value(authres.value_of(OURS, [said, result("arc", "none")]))
    first = read.results[0]
    assert (read.authserv_id, first.method, first.result) == (OURS, "dkim", "fail")
    assert [(f"{p.type}.{p.name}", p.value) for p in first.properties] == [
        ("header.i", "@example.com"),
        (name, value.replace("=?", "=_")),
    ]
    assert len(read.results) == 2


def test_results_stand_in_one_order() -> None:
    def verdict(check: str, *results: AuthResult) -> Verdict:
        return Verdict(check=check, version="1", outcome=Outcome.CLEAN, results=results)

    one, two = result("dkim", "fail"), result("dkim", "pass")
    found = authres.results_of(
        Assessment(
            verdicts=(
                verdict("iprev", result("iprev", "pass")),
                verdict("arc", result("arc", "none")),
                verdict("spam"),
                verdict("dmarc", result("dmarc", "pass")),
                verdict("dkim", one, two),
                verdict("spf", result("spf", "pass")),
            )
        )
    )
    assert [r.method for r in found] == ["spf", "dkim", "dkim", "dmarc", "arc", "iprev"]
    assert found[1:3] == (one, two)


# --- Knowing our own --------------------------------------------------------------------------------------------------

# FAULTS 36 and beyond: how a forger may spell a field that some reader behind us would take for ours.
CLAIMS: dict[str, bytes] = {
    "plain": b"Authentication-Results: mx.example.org; dkim=pass\r\n",
    "letter case": b"AUTHENTICATION-results: MX.Example.ORG; dkim=pass\r\n",
    "comment before": b"Authentication-Results: (hop) mx.example.org; dkim=pass\r\n",
    "nested comments": b"Authentication-Results: (a (b\\) c;) d) mx.example.org (e); dkim=pass\r\n",
    "folds": b"Authentication-Results:\r\n\t\r\n mx.example.org\r\n ;\r\n dkim=pass\r\n",
    "quoted": b'Authentication-Results: "mx.example.org"; dkim=pass\r\n',
    "quoted pairs": b'Authentication-Results: "mx\\.exam\\ple.org"; dkim=pass\r\n',
    "version": b"Authentication-Results: mx.example.org 1; dkim=pass\r\n",
    "version after a slash": b"Authentication-Results: mx.example.org/1; dkim=pass\r\n",
    "dots at the end": b"Authentication-Results: mx.example.org..; dkim=pass\r\n",
    "eight-bit octets before": b"Authentication-Results: \xa0\xff\xfemx.example.org; dkim=pass\r\n",
    "another word before": b"Authentication-Results: x mx.example.org; dkim=pass\r\n",
    "comment inside": b"Authentication-Results: mx(.)(x).example.org; dkim=pass\r\n",
    "half quoted": b'Authentication-Results: mx."example".org; dkim=pass\r\n',
    "no semicolon": b"Authentication-Results: mx.example.org dkim=pass\r\n",
    "empty first": b"Authentication-Results: ; (x) ; mx.example.org; dkim=pass\r\n",
    "comment that does not end": b"Authentication-Results: (x; mx.example.org; dkim=pass\r\n",
    "quote that does not end": b'Authentication-Results: "x; mx.example.org; dkim=pass\r\n',
    "comment that did not begin": b"Authentication-Results: x) mx.example.org; dkim=pass\r\n",
    "blank before the colon": b"Authentication-Results : mx.example.org; dkim=pass\r\n",
    "encoded word": b"Authentication-Results: =?utf-8?q?mx=2Eexample=2Eorg?=; dkim=pass\r\n",
    "null and zero-width": b"Authentication-Results: mx.exa\0mple\xe2\x80\x8b.org; dkim=pass\r\n",
    "line feed alone": b"Authentication-Results:\n mx.example.org; dkim=pass\n",
    "an abyss of comments": b"Authentication-Results: " + b"(" * 40_000 + b"mx.example.org; dkim=pass\r\n",
}
# Others' fields, which stay.
FOREIGN: dict[str, bytes] = {
    "another": b"Authentication-Results: mx.example.net; dkim=pass\r\n",
    "a longer name": b"Authentication-Results: a.mx.example.org; dkim=pass\r\n",
    "a name that goes on": b"Authentication-Results: mx.example.org.example.net; dkim=pass\r\n",
    "a label that goes on": b"Authentication-Results: xmx.example.org; dkim=pass\r\n",
    "ours as a property": b"Authentication-Results: mx.example.net; spf=pass smtp.helo=mx.example.org\r\n",
    "ours in a comment": b"Authentication-Results: mx.example.net (for mx.example.org); dkim=pass\r\n",
    "another field": b"ARC-Authentication-Results: i=1; mx.example.org; dkim=pass\r\n",
    "yet another field": b"X-Authentication-Results: mx.example.org; dkim=pass\r\n",
    "a subject": b"Subject: Authentication-Results: mx.example.org; dkim=pass\r\n",
    "nothing": b"Authentication-Results:\r\n",
}


@pytest.mark.parametrize("spelling", CLAIMS)
def test_a_field_that_claims_our_id_is_own(spelling: str) -> None:
    assert authres.is_own(CLAIMS[spelling], OURS)
    assert not authres.is_own(FOREIGN["another"], OURS)


@pytest.mark.parametrize("spelling", FOREIGN)
def test_a_field_of_others_is_not(spelling: str) -> None:
    assert not authres.is_own(FOREIGN[spelling], OURS)


@pytest.mark.parametrize("ours", ["\u4f8b\u3048.jp", "xn--r8jz45g.jp", "XN--R8JZ45G.jp."])
@pytest.mark.parametrize("theirs", ["\u4f8b\u3048.JP", "xn--r8jz45g.jp"])
def test_an_international_id_is_known_in_both_forms(ours: str, theirs: str) -> None:
    assert authres.is_own(f"Authentication-Results: {theirs}; dkim=pass\r\n".encode(), ours)


def test_what_we_write_is_own() -> None:
    for authserv_id in (OURS, "mx 1", "\u4f8b\u3048.jp", "mail-gateway"):
        value = authres.value_of(authserv_id, [result("dkim", "pass")])
        assert authres.is_own(render_field(authres.FIELD, value), authserv_id)


def test_every_forged_field_goes_and_the_others_stay_in_order() -> None:
    claims, foreign = list(CLAIMS.values()), list(FOREIGN.values())
    mixed = [field for pair in zip(claims, foreign * 3, strict=False) for field in pair]
    tail = b"From: a@example.com\r\n\r\nAuthentication-Results: mx.example.org; dkim=pass\r\n"
    raw = b"".join(mixed) + tail
    cleaned = remove_where(raw, lambda _, whole: authres.is_own(whole, OURS))
    assert cleaned == b"".join(field for field in mixed if field in foreign) + tail
    # CVE-2022-48521: what is looked at a second time is clean.
    assert not any(authres.is_own(whole, OURS) for whole, *_ in split(cleaned).fields)


@given(st.binary(max_size=300))
def test_no_octets_make_it_raise(octets: bytes) -> None:
    authres.is_own(b"Authentication-Results:" + octets, OURS)


@pytest.mark.parametrize("unit", [b"(", b")", b'"', b"\\", b";", b"mx.example.or ", b"=?", b"=?a?q?b", b"\xff", b"( )"])
@pytest.mark.timeout(120)
def test_hostile_fields_are_linear(unit: bytes) -> None:
    one = b"Authentication-Results: " + unit * (32_000 // len(unit)) + b"\r\n"
    long = b"Authentication-Results: " + unit * (3_000_000 // len(unit)) + b"\r\n"
    for field in (one, one * 40, long):
        authres.is_own(field, OURS)
