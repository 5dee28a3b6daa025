"""Fingerprints: what a hop does leaves them, what the author does changes them."""

from __future__ import annotations

import pytest

from filterd.mail.fingerprint import delivery_key, distance, evidence_key, message_fp, text_fp
from filterd.mail.parse import parse
from filterd.model.session import Direction

KEY = b"k" * 32
MAIL = (
    b"From: A <a@b.example>\r\nTo: c@d.example\r\nSubject: one two three\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    b"Message-ID: <1@b.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=utf-8\r\n\r\n"
    b"Hello  there\r\n\r\nBye\r\n"
)


def fp(raw: bytes) -> str:
    return message_fp(parse(raw), KEY)


@pytest.mark.parametrize(
    "changed",
    [
        b"Received: from x by y; Mon\r\n" + MAIL,
        b"DKIM-Signature: v=1; b=x\r\nX-Filterd-Id: t\r\nReturn-Path: <>\r\n" + MAIL,
        MAIL.replace(b"To: c@d.example\r\n", b""),
        MAIL.replace(b"Subject: one two three", b"Subject:  one\r\n\ttwo \r\n three"),
        MAIL.replace(b"Subject:", b"SUBJECT:"),
        MAIL.replace(b"text/plain;\r\n charset", b"text/plain; charset"),
        MAIL.replace(b"Hello  there\r\n", b"Hello \t there \t\r\n"),
        MAIL + b"\r\n\r\n",
        MAIL.removesuffix(b"\r\n"),
        MAIL.replace(b"From: A <a@b.example>\r\n", b"").replace(
            b"\r\n\r\nHello", b"\r\nFrom: A <a@b.example>\r\n\r\nHello"
        ),
    ],
)
def test_what_a_hop_does_changes_nothing(changed: bytes) -> None:
    assert changed != MAIL
    assert fp(changed) == fp(MAIL)


@pytest.mark.parametrize(
    "changed",
    [
        MAIL.replace(b"one two", b"one  2"),
        MAIL.replace(b"<1@", b"<2@"),
        MAIL.replace(b"1 Jan", b"2 Jan"),
        MAIL.replace(b"a@b", b"a@c"),
        MAIL.replace(b"utf-8", b"us-ascii"),
        MAIL.replace(b"Bye", b"bye"),
        MAIL.replace(b"Hello  there", b"Hellothere"),
        b"Subject: one two three\r\n" + MAIL,
        MAIL.replace(b"Subject: one two three\r\n", b""),
        b"Content-ID: <x>\r\n" + MAIL,
    ],
)
def test_what_the_author_does_changes_it(changed: bytes) -> None:
    assert changed != MAIL
    assert fp(changed) != fp(MAIL)


def test_outsiders_cannot_compute_it() -> None:
    assert len(fp(MAIL)) == 32
    assert message_fp(parse(MAIL), b"other") != fp(MAIL)


def test_values_cannot_flow_into_each_other() -> None:
    one = fp(b"Subject: a\r\nMessage-ID: b\r\n\r\nx")
    other = fp(b"Subject: a b\r\n\r\nx")
    assert one != other


def test_keys_are_derived_and_apart() -> None:
    keys = {
        evidence_key("acct", Direction.OUTBOUND.value, "f"),
        evidence_key("acct", Direction.INTERNAL.value, "f"),
        evidence_key("other", Direction.OUTBOUND.value, "f"),
        delivery_key("f", "a@b.example"),
        delivery_key("f", "c@b.example"),
    }
    assert len(keys) == 5
    assert evidence_key("acct", "outbound", "f") == evidence_key("acct", Direction.OUTBOUND.value, "f")


TEXT = (
    "Dear customer, your account has been limited. To restore access please confirm your details within the next day "
    "by following the secure link below, otherwise the account will be closed for good. Our support team is at your "
    "service. "
)


@pytest.mark.parametrize(
    "other",
    [
        TEXT.upper(),
        TEXT.replace(" ", "\n  "),
        TEXT + "http://a.example/unsubscribe?id=829131 ",
        "Ref 812931. " + TEXT,
        TEXT.replace("customer", "Alice"),
    ],
)
def test_campaign_mails_are_near(other: str) -> None:
    assert distance(text_fp(TEXT), text_fp(other)) <= 8


def test_other_texts_are_far() -> None:
    other = (
        "The committee met on Tuesday to discuss the new schedule of the library and the heating of the reading room. "
        * 2
    )
    assert distance(text_fp(TEXT), text_fp(other)) > 16
    chinese = "免费领取会员资格，点击链接确认您的账户信息，否则账户将被关闭。"
    assert distance(text_fp(chinese), text_fp(chinese + "客服电话")) < distance(
        text_fp(chinese), text_fp("今天天气很好，我们去公园散步吧，晚上一起吃饭。")
    )


@pytest.mark.parametrize("text", ["", "1 2 3", "!?", "\n"])
def test_a_text_without_letters_has_no_campaign(text: str) -> None:
    assert text_fp(text) == "0" * 16


def test_short_and_odd_texts_have_one() -> None:
    prints = {text_fp(text) for text in ("a", "ab", "abcdefg", "abcdefgh", "abcdefghi", "中", "\ud800x")}
    assert len(prints) == 7
    assert all(len(p) == 16 for p in prints)


def test_it_does_not_change() -> None:
    # Golden values: stored fingerprints must stay comparable.
    assert fp(MAIL) == "0ee7f5174798db092970af7ae3f25c40"
    assert text_fp(TEXT) == "ed9c9dbef91ae463"
    assert text_fp("免费领取会员资格，点击链接确认您的账户信息。") == "905fc1ee33f8512d"
