"""Encoded words: read whatever mailers write, write only what the standard allows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.words import decode, encode

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?Q?caf=C3=A9?=", "café"),
        (b"=?UTF-8?b?Y2Fmw6k=?=", "café"),
        (b"a =?utf-8?q?b?= c", "a b c"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?= =?iso-8859-1?q?=E9?=", "aé"),
        (b"=?utf-8?q?a?=  x  =?utf-8?q?b?=", "a  x  b"),
        (b"(=?utf-8?q?a?=)", "(a)"),
        (b"=?utf-8?q?a_b?=", "a b"),
        # A character cut in two, against §5.
        (b"=?utf-8?b?5rU=?= =?utf-8?b?iw==?=", "测"),
        (b"=?gb2312?q?=B2?= =?gb2312?q?=E2?=", "测"),
        (b"=?gb2312?B?suLK1A==?=", "测试"),
        (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?utf-8*en?q?a?=", "a"),
        # Broken in ways that are read all the same.
        (b"=?utf-8?b?Y2Fmw6k?=", "café"),
        (b"=?utf-8?b?Y2Fm w6k=?=", "café"),
        (b"=?utf-8?b?Y2F*mw6k=?=", "café"),
        (b"=?utf-8?q?a b?=", "a b"),
        (b"=?utf-8?q?what??=", "what?"),
        (b"=?nope?q?a?=", "a"),
        (b"=?zlib_codec?q?a?=", "a"),
        (b"=?utf-8?q??=", ""),
        (b"=?utf-8?q?=20?=@", " @"),
        # Not encoded words.
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        (b"=?=?=?", "=?=?=?"),
        (b"=?utf-8?q?a =?utf-8?q?b?=", "=?utf-8?q?a b"),
        (b"a?=b=?", "a?=b=?"),
        # A decoded line end is text, never a line.
        (b"=?utf-8?q?hi=0ABcc=3A_x?=", "hi\nBcc: x"),
    ],
)
def test_reading(value: bytes, text: str) -> None:
    assert decode(value) == text


@given(
    st.binary(max_size=120)
    | st.lists(st.sampled_from([b"=?", b"?=", b"?", b"q", b"utf-8", b"=", b" ", b"a"])).map(b"".join)
)
@settings(deadline=None)
def test_any_octets_are_read_and_yield_text_that_can_be_stored(value: bytes) -> None:
    decode(value).encode("utf-8")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=100))
@settings(deadline=None)
def test_what_is_written_reads_back(text: str) -> None:
    written = encode(text)
    assert written.isascii()
    assert written.isprintable()
    assert all(len(word) <= 75 for word in written.split(" ") if word.startswith("=?"))
    assert decode(written.encode("ascii")) == text


@pytest.mark.parametrize(
    "value",
    [
        b"=?utf-8?q?=20?= " * 72_000,
        b"=?a?q?" * 192_000,
        b"=?" * 600_000,
        b"=?utf-8?b?" + b"A" * 1_200_000,
        b"=?utf-8?b?" + b"A" * 1_200_000 + b"?=",
        b"=?utf-8?q?" + b"=" * 1_200_000 + b"?=",
        b"=?x?q?a?=" + b" " * 1_200_000 + b"=?x?q?a?=",
        b"=?utf-7?q?+AGE-?=" * 60_000,
        b"=?a?q?b?=" * 120_000,
    ],
)
@pytest.mark.timeout(120)
def test_reading_is_linear(value: bytes) -> None:
    decode(value)
