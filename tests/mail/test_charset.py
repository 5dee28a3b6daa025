"""Charsets: labels that mean more than they say, labels that lie, and labels that are none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.charset import codec_of, decode, decode_saying

pytestmark = pytest.mark.slow

CHINESE = "免费领取会员资格，点击链接确认您的账户信息。"
RUSSIAN = "Уважаемые клиенты, просим вас подтвердить данные."


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        (b"plain", None, "plain"),
        (b"plain", "us-ascii", "plain"),
        ("café".encode(), "utf-8", "café"),
        ("café".encode("cp1252"), "iso-8859-1", "café"),
        (b"\x93quoted\x94", "iso-8859-1", "“quoted”"),
        (CHINESE.encode("gb18030"), "gb2312", CHINESE),
        (CHINESE.encode("gb18030"), '"GB_2312-80"', CHINESE),
        ("镕€".encode("gb18030"), "gb2312", "镕€"),
        ("香港嘅事".encode("big5hkscs"), "Big5", "香港嘅事"),
        ("日本語①".encode("cp932"), "Shift_JIS", "日本語①"),
        ("日本語".encode("iso2022_jp"), "iso-2022-jp", "日本語"),
        ("한국어 똠".encode("cp949"), "ks_c_5601-1987", "한국어 똠"),
        (RUSSIAN.encode("koi8_r"), "koi8-r", RUSSIAN),
        (b"+ZeVnLIqe-", "utf-7", "日本語"),
        (b"~{<:Ky2;~}", "hz-gb-2312", "己所不"),
        ("abc".encode("utf-16"), "utf-16", "abc"),
        ("abc".encode("utf-16-be"), "utf-16", "abc"),
        ("abc".encode("utf-16-le"), "utf-16", "abc"),
        (b"\xef\xbb\xbfcaf\xc3\xa9", "utf-8", "café"),
        # The label is missing or a lie.
        ("café".encode(), None, "café"),
        ("café".encode(), "us-ascii", "café"),
        ("café".encode(), "iso-8859-1", "café"),
        (CHINESE.encode("gb18030"), None, CHINESE),
        (CHINESE.encode("gb18030"), "us-ascii", CHINESE),
        (CHINESE.encode("gb18030"), "iso-8859-1", CHINESE),
        (CHINESE.encode("gb18030"), "utf-8", CHINESE),
        (CHINESE.encode("gb18030"), "nope", CHINESE),
        (CHINESE.encode("utf-8"), "gb2312", CHINESE),
        (RUSSIAN.encode("cp1251"), None, RUSSIAN),
        ("abc def".encode("utf-16-le"), None, "abc def"),
        (b"caf\xc3\xa9 " * 10 + b"\xff", "utf-8", "café " * 10 + "\ufffd"),
    ],
)
def test_reading(data: bytes, declared: str | None, text: str) -> None:
    assert decode(data, declared) == text


NO_CHARSETS = "zlib_codec zlib base64 hex rot13 idna punycode undefined unicode_escape uu bz2 quopri oem"


@pytest.mark.parametrize(
    "label",
    [*NO_CHARSETS.split(), "nope", "", " ", "\0", "utf-8\0", "../utf_8", "aliases", "x" * 99_999, "é", "\ud800"],
)
def test_what_is_no_charset_is_never_looked_up(label: str) -> None:
    assert codec_of(label) is None
    assert decode(b"text", label) == "text"
    assert decode("café".encode(), label) == "café"


def test_the_label_is_judged() -> None:
    assert decode_saying(b"a", "nope") == ("a", "text.charset.unknown")
    assert decode_saying(b"a", None) == ("a", None)
    assert decode_saying("é".encode(), "utf-8") == ("é", None)
    assert decode_saying(b"\xe9" * 3, "utf-8")[1] == "text.charset.broken"


LABELS = st.sampled_from(
    [
        "utf-8",
        "utf-7",
        "utf-16",
        "utf-32",
        "gb2312",
        "big5",
        "hz",
        "iso-2022-jp",
        "iso-2022-kr",
        "euc-jp",
        "latin1",
        "nope",
        None,
    ]
)


@given(st.binary(max_size=60), LABELS)
@settings(deadline=None, max_examples=300)
def test_any_octets_yield_text_that_can_be_stored(data: bytes, label: str | None) -> None:
    decode(data, label).encode("utf-8")


@pytest.mark.parametrize(
    "label", ["utf-7", "utf-16", "hz", "iso-2022-jp", "iso-2022-kr", "gb2312", "big5", "euc-kr", "nope", None]
)
@pytest.mark.parametrize("unit", [b"\x1b$B", b"+AAA", b"~{", b"\xff", b"\x81", b"\x0e", b"\xd8\x00", b"\xe4\xbd"])
@pytest.mark.timeout(120)
def test_reading_is_linear(label: str | None, unit: bytes) -> None:
    decode(unit * (1_200_000 // len(unit)), label)
