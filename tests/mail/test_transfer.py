"""Content-Transfer-Encoding: lenient where decoders are, and every reading where they differ."""

from __future__ import annotations

from base64 import b64encode, encodebytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.transfer import Decoded, decode, is_known, name

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7bit", ("7bit", False)),
        (" BASE64 ", ("base64", False)),
        ("Quoted-Printable", ("quoted-printable", False)),
        ("7-bit", ("7bit", False)),
        ("base64;", ("base64", False)),
        ("base64 (comment)", ("base64", True)),
        ("(comment) base64", ("base64", True)),
        ('"base64"', ("base64", True)),
        ("base64; x=y", ("base64", True)),
        ("base64\0", ("base64", True)),
        ("=?utf-8?q?base64?=", ("=?utf-8?q?base64?=", False)),
        ("", ("", False)),
    ],
)
def test_names(value: str, expected: tuple[str, bool]) -> None:
    assert name(value) == expected


@pytest.mark.parametrize(
    ("data", "encoding", "expected"),
    [
        (b"a=41", "7bit", Decoded(b"a=41")),
        (b"a=41 =\r\nb", "quoted-printable", Decoded(b"aA b")),
        (b"=ZZ=4", "quoted-printable", Decoded(b"=ZZ=4")),
        (b"aGVs\r\nbG8=\r\n", "base64", Decoded(b"hello")),
        (b"aGVsbG8gd2*9ybGQ=", "base64", Decoded(b"hello world", (), ("mime.base64.broken",))),
        (b"aGVsbG8", "base64", Decoded(b"hello", (), ("mime.base64.broken",))),
        (b"aGVsbG8gd29ybGQ=!", "base64", Decoded(b"hello world", (), ("mime.base64.broken",))),
        (
            b"Buy, now! Or: never.",
            "base64",
            Decoded(b"Buy, now! Or: never.", (b"\x06\xec\xa7\xa3\x03\xab\x9d\xeb\xde",), ("mime.base64.absent",)),
        ),
        (b"aGVsbG8hA", "base64", Decoded(b"hello!", (), ("mime.base64.broken",))),
        (b"aGVsbG8=d29ybGQ=", "base64", Decoded(b"hello", (b"helloworld",), ("mime.base64.continued",))),
        (b"", "base64", Decoded(b"")),
        (b"=", "base64", Decoded(b"", (), ("mime.base64.broken",))),
        (b"plain text", "x-unknown", Decoded(b"plain text", (), ("mime.encoding.unknown",))),
        (
            b"aGVsbG8gd29ybGQh\r\n",
            "x-unknown",
            Decoded(b"aGVsbG8gd29ybGQh\r\n", (b"hello world!",), ("mime.encoding.unknown",)),
        ),
        (b"a=41", "base64-ish", Decoded(b"a=41", (b"aA",), ("mime.encoding.unknown",))),
        (
            b"begin 644 x\r\n%:&5L;&\\\r\n`\r\nend\r\n",
            "x-uuencode",
            Decoded(b"hello", (b"begin 644 x\r\n%:&5L;&\\\r\n`\r\nend\r\n",)),
        ),
        (b"no begin", "uuencode", Decoded(b"no begin", (), ("mime.uuencode.broken",))),
    ],
)
def test_reading(data: bytes, encoding: str, expected: Decoded) -> None:
    assert decode(data, encoding) == expected


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_base64_as_written_reads_without_a_defect(data: bytes) -> None:
    for written in (b64encode(data), encodebytes(data), encodebytes(data).replace(b"\n", b"\r\n")):
        assert decode(written, "base64") == Decoded(data)


@given(st.binary(max_size=200), st.sampled_from(["base64", "quoted-printable", "uuencode", "x-nothing", ""]))
@settings(deadline=None)
def test_any_octets_are_read(data: bytes, encoding: str) -> None:
    decode(data, encoding)
    decode(b"begin 644 x\n" + data, encoding)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "uuencode", "x-nothing"])
@pytest.mark.parametrize("unit", [b"=", b"A=", b"QQ==\r\n", b"*", b"=\r\n", b"\n", b"begin \n", b"M\n"])
@pytest.mark.timeout(120)
def test_reading_is_linear(encoding: str, unit: bytes) -> None:
    decode(unit * (1_200_000 // len(unit)), encoding)


def test_known_encodings() -> None:
    assert all(map(is_known, ("", "7bit", "8bit", "binary", "base64", "quoted-printable", "x-uuencode")))
    assert not is_known("x-yenc")
