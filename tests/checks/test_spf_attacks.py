"""Records and local parts that try to get a pass, or to keep us busy."""

from __future__ import annotations

import time

import pytest

from tests.checks.forged import told

ZONE = {
    "a.example": {"TXT": ["v=spf1 redirect=b.example"]},
    "b.example": {"TXT": ["v=spf1 redirect=a.example"]},
    "self.example": {"TXT": ["v=spf1 include:self.example -all"]},
    "two.example": {"TXT": ["v=spf1 +all", "v=spf1 -all"]},
    "ten.example": {"TXT": ["v=spf10 +all"]},
    "wide.example": {"TXT": ["v=spf1 ip4:192.0.2.66/33 +all"]},
    "octal.example": {"TXT": ["v=spf1 ip4:192.0.2.066 +all"]},
    "macro.example": {"TXT": ["v=spf1 exists:%{l}.%{d} -all"]},
    "yes.macro.example": {"A": ["127.0.0.2"]},
    "y.evil.example": {"A": ["127.0.0.2"]},
}
RAW = b"From: ceo@bank.example\r\n\r\nhello\r\n"


@pytest.mark.parametrize(
    ("mail_from", "expected"),
    [
        ("x@a.example", "permerror"),
        ("x@self.example", "permerror"),
        ("x@two.example", "permerror"),
        ("x@ten.example", "none"),
        ("x@wide.example", "permerror"),
        ("x@octal.example", "permerror"),
        ("yes@macro.example", "pass"),
        ("no@macro.example", "fail"),
        ("y.evil.example@x@macro.example", "fail"),
        ("%{h}@macro.example", "fail"),
        ("x." * 30 + "x@macro.example", "fail"),
    ],
)
async def test_a_stranger_gets_no_pass_and_little_time(mail_from: str, expected: str) -> None:
    started = time.monotonic()
    seen = await told(RAW, ZONE, mail_from=mail_from)
    assert seen.methods[0] == f"spf={expected}"
    assert time.monotonic() - started < 2
