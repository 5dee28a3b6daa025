"""The reading text: the same for the same mail for ever, and nothing hidden between its letters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.parse import parse
from filterd.mail.prose import LIMIT, PROSE_VERSION, fold, prose

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("  a \t b\r\n\r\nc  ", "a b c"),
        ("a\xa0b\u3000c\u2028d", "a b c d"),
        ("ｆｒｅｅ　ｍｏｎｅｙ", "free money"),
        ("ﬁne ①", "fine 1"),
        ("cafe\u0301", "café"),
        ("f\u200br\u200ce\u200de", "free"),
        ("f\u00adr\ufeffe\u2060e", "free"),
        ("a\u202egpj.exe\u202c", "agpj.exe"),
        ("a\x00b\x07c\x1b[0m", "abc[0m"),
        ("微\u200b信\u034f号", "微信号"),
        ("x\ufe0f\U000e0041y", "xy"),
        ("a\u3164b\u115fc", "abc"),
        ("\ud800a", "a"),
        ("", ""),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


# Golden: who changes this raises PROSE_VERSION.
def test_the_prose_of_a_mail_does_not_change() -> None:
    assert PROSE_VERSION == 1
    raw = (
        b"Subject: =?utf-8?b?5rWL6K+V?=  now\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
        b"--b\r\n\r\nBuy  now\r\nor never\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Buy&nbsp;now or<br>never</p>\r\n"
        b"--b\r\nContent-Type: text/plain; charset=gb2312\r\n\r\n\xb2\xe2\xca\xd4\xa3\xac\xa3\xb1\r\n--b--\r\n"
    )
    assert prose(parse(raw)) == "测试 now\nBuy now or never\n测试,1"


def test_long_mail_is_cut_in_the_middle() -> None:
    text = prose(parse(b"Subject: s\r\n\r\n" + b"x " * LIMIT + b"the end"))
    assert len(text) <= LIMIT
    assert text.startswith("s\nx x")
    assert text.endswith("the end")
    assert prose(parse(b"Subject: s\r\n\r\nabcdefghij"), limit=4) == "s\nab"


@given(st.text(max_size=200), st.integers(1, 50))
@settings(deadline=None)
def test_folding_is_bounded_and_idempotent(text: str, limit: int) -> None:
    once = fold(text, limit)
    assert len(once) <= limit
    once.encode("utf-8")
    whole = fold(text)
    assert fold(whole) == whole


@pytest.mark.parametrize(
    "unit", ["\ufdfa", "a\u0301\u0327", "\u0327\u0301", "a\u200b", "中", "\x00", " ", "\u1100\u1161"]
)
@pytest.mark.timeout(120)
def test_folding_is_linear(unit: str) -> None:
    assert len(fold(unit * 1_200_000)) <= LIMIT
