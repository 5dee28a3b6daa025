"""Parameters of Content- fields: RFC 2045 and 2231, and every reading of what is written twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.params import parse

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("value", "main", "items"),
    [
        (b"text/plain", "text/plain", ()),
        (b"TEXT/Plain; Charset=UTF-8", "text/plain", (("charset", "UTF-8"),)),
        (b'text/plain; charset="utf-8"; format=flowed', "text/plain", (("charset", "utf-8"), ("format", "flowed"))),
        (b'a/b; x="a;b\\"c"', "a/b", (("x", 'a;b"c'),)),
        (b"a/b;x=1;;y=2;", "a/b", (("x", "1"), ("y", "2"))),
        (b"a/b; x = 1 ; y", "a/b", (("x", "1"), ("y", ""))),
        (b"attachment; filename=report (1).pdf", "attachment", (("filename", "report (1).pdf"),)),
        (b"attachment; filename*=utf-8''caf%C3%A9.txt", "attachment", (("filename", "café.txt"),)),
        (b"attachment; filename*0=long; filename*1=name.exe", "attachment", (("filename", "longname.exe"),)),
        (b"attachment; filename*1=name.exe; filename*0=long", "attachment", (("filename", "longname.exe"),)),
        (
            b"attachment; filename*0*=gb2312''%B2%E2; filename*1*=%CA%D4; filename*2=.exe",
            "attachment",
            (("filename", "测试.exe"),),
        ),
        (
            b"attachment; filename=plain.txt; filename*=utf-8''other.exe",
            "attachment",
            (("filename", "other.exe"), ("filename", "plain.txt")),
        ),
        (b'attachment; filename="=?utf-8?b?5rWL6K+VLmV4ZQ==?="', "attachment", (("filename", "测试.exe"),)),
        (b"attachment; filename=\xb2\xe2\xca\xd4.txt", "attachment", (("filename", "测试.txt"),)),
    ],
)
def test_reading(value: bytes, main: str, items: tuple[tuple[str, str], ...]) -> None:
    found = parse(value)
    assert (found.main, found.items, found.is_odd) == (main, items, False)


@pytest.mark.parametrize(
    ("value", "main"),
    [
        (b'text/plain; x="open', "text/plain"),
        (b"text/plain (comment); x=1", "text/plain"),
        (b"text/(comment)plain", "text/plain"),
        (b"text/plain charset=x", "text/plain"),
        (b"attachment; filename*0=a; filename*2=c", "attachment"),
        (b"text/plain\0", "text/plain\0"),
    ],
)
def test_odd_writing_is_told(value: bytes, main: str) -> None:
    found = parse(value)
    assert (found.main, found.is_odd) == (main, True)


def test_a_parameter_given_twice_keeps_both_values() -> None:
    found = parse(b"multipart/mixed; boundary=a; Boundary=b; boundary=a")
    assert found.every("boundary") == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "is_type"), [(b"text/plain", True), (b"text", False), (b"", False), (b"a/b/c", False), (b"a/ b", False)]
)
def test_what_is_a_type(value: bytes, is_type: bool) -> None:
    assert parse(value).is_type is is_type


@given(
    st.binary(max_size=150)
    | st.lists(st.sampled_from([b";", b"=", b'"', b"\\", b"*", b"0", b"a", b"'", b"%", b" ", b"("])).map(b"".join)
)
@settings(deadline=None)
def test_any_octets_are_read(value: bytes) -> None:
    found = parse(value)
    for name, text in found.items:
        (name + text).encode("utf-8")


@pytest.mark.parametrize(
    "value",
    [
        b"a/b; " + b";" * 1_200_000,
        b"a/b; x=" + b'"' * 1_200_000,
        b'a/b; x="' + b"\\" * 1_200_000,
        b"a/b; " + b'x="\\";' * 180_000,
        b"a/b; " + b"".join(b"x*%d=a; " % n for n in range(72_000)),
        b"a/b; " + b"x" * 1_200_000,
        b"a/b; " + b"x " * 600_000,
        b"a/b; " + b"x= " * 360_000,
        b"a/b; x*=utf-8''" + b"%41" * 360_000,
        b"(" * 1_200_000,
        b"a/b; x*" + b"9" * 120_000 + b"=1",
    ],
)
@pytest.mark.timeout(120)
def test_reading_is_linear(value: bytes) -> None:
    parse(value)
