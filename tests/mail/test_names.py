"""Logins and domains: every spelling leads to one account, and none to a neighbour's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.errors import PeerError
from filterd.mail.address import canonical_domain, canonical_login


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ("alice@example.com", "alice@example.com"),
        ("  Alice@Example.COM ", "alice@example.com"),
        ("ALICE@EXAMPLE.COM.", "alice@example.com"),
        ("ａｌｉｃｅ@example.com", "alice@example.com"),
        ("alice＠example.com", "alice@example.com"),
        ("alice@ｅｘａｍｐｌｅ。com", "alice@example.com"),
        ("alice@münchen.example", "alice@xn--mnchen-3ya.example"),
        ("alice@XN--MNCHEN-3YA.example", "alice@xn--mnchen-3ya.example"),
        ("alice+tag@example.com", "alice+tag@example.com"),
        ("a.l.i.c.e@example.com", "a.l.i.c.e@example.com"),
        ("Straße@example.com", "strasse@example.com"),
        (b"Alice@example.com", "alice@example.com"),
        ("王伟@example.com", "王伟@example.com"),
    ],
)
def test_spellings_of_a_login(login: str | bytes, expected: str) -> None:
    assert canonical_login(login) == expected


def test_a_bare_login_gets_the_default_domain() -> None:
    assert canonical_login("Alice", "Example.COM") == "alice@example.com"
    assert canonical_login("Alice") == "alice"
    assert canonical_login("alice@other.example", "example.com") == "alice@other.example"


@pytest.mark.parametrize(
    "login",
    [
        *("", "   ", "@example.com", "a@", "a@..", "a@b@c.example", "a@b c.example"),
        *("a\0b", "a\nb", "al\u200bice@x.example", "a\u202eb", "\ud800", b"\xff"),
        *("x" * 321, "漢" * 110, "a@" + "d" * 330, "a@" + "ü" * 70 + ".example"),
    ],
)
def test_what_cannot_be_a_login_is_refused(login: str | bytes) -> None:
    with pytest.raises(PeerError):
        canonical_login(login)


def test_sharp_s_and_double_s_are_two_domains() -> None:
    assert canonical_domain("straße.example") != canonical_domain("strasse.example")
    assert canonical_domain("STRAẞE.example") == canonical_domain("straße.example")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("my_host.example", "my_host.example"),
        ("[192.0.2.1]", "[192.0.2.1]"),
    ],
)
def test_spellings_of_a_domain(text: str, expected: str) -> None:
    assert canonical_domain(text) == expected


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a..b", "a b", "a@b", "a\0b", "x" * 300, "ü" * 200, "a\u200db.example"]
)
def test_what_cannot_be_a_domain_is_refused(text: str) -> None:
    with pytest.raises(PeerError):
        canonical_domain(text)


@given(st.text(max_size=40), st.sampled_from([None, "example.com"]))
@settings(deadline=None)
def test_canonical_logins_are_their_own_canonical_form(login: str, default: str | None) -> None:
    try:
        once = canonical_login(login, default)
    except PeerError:
        return
    assert canonical_login(once, default) == once
    assert canonical_login(once.encode(), default) == once


@given(st.text(max_size=40))
@settings(deadline=None)
def test_canonical_domains_are_their_own_canonical_form(text: str) -> None:
    try:
        once = canonical_domain(text)
    except PeerError:
        return
    assert canonical_domain(once) == once
    assert once.isascii()
