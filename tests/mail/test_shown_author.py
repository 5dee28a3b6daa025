"""Who wrote a mail, for people to read: one line that can be nothing but a name and an address."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.author import shown
from filterd.mail.parse import parse

RLO, ZWSP = chr(0x202E), chr(0x200B)


def of(field: bytes | str) -> str:
    raw = field if isinstance(field, bytes) else field.encode("utf-8")
    return shown(parse(raw + b"\r\nSubject: secret\r\n\r\nbody\r\n"))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("From: Bob <bob@x.example>", "Bob <bob@x.example>"),
        ("From: bob@x.example", "<bob@x.example>"),
        ("From: bob@x.example (Bob)", "<bob@x.example>"),
        ('From: "O\'Neil, Jean-Luc" <j@x.example>', "O'Neil Jean-Luc <j@x.example>"),
        ("From: =?utf-8?B?546L5bCP5piO?= <wang@x.example>", "王小明 <wang@x.example>"),
        # Neither another address nor a link stands in a name.
        ('From: "ceo@bank.example" <x@x.example>', "ceo bank example <x@x.example>"),
        ("From: <real@bank.example> via <x@x.example>", "real bank example via <x@x.example>"),
        ("From: http://evil.example/a?b <x@x.example>", "http evil example a b <x@x.example>"),
        ("From: =?utf-8?Q?A=0D=0A=0D=0ABcc:_v=40x?= <x@x.example>", "A Bcc v x <x@x.example>"),
        (f"From: {RLO}evil{ZWSP} <x{RLO}@x.example>", "evil <x@x.example>"),
        (f"From: {'n' * 500} <x@x.example>", f"{'n' * 60}… <x@x.example>"),
        ("From: Bob", ""),
        ("From:", ""),
        ("To: bob@x.example", ""),
    ],
)
def test_what_is_shown(field: str, expected: str) -> None:
    assert of(field) == expected


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_it_is_one_short_line_whatever_comes(value: bytes) -> None:
    said = of(b"From: " + value.replace(b"\r", b"").replace(b"\n", b""))
    assert len(said) <= 60 + 1 + 1 + 256 + 2
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in said)
    assert said == "" or (said.endswith(">") and said.count("<") == 1)
    assert "://" not in said.partition("<")[0]
