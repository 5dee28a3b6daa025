"""A stranger's Authentication-Results in our name, in spellings that a reader may map to it."""

from __future__ import annotations

import pytest

from filterd.mail.authres import is_own
from tests.checks.forged import OURS, told

REST = b"From: a@evil.example\r\nTo: b@house.example\r\nSubject: s\r\n\r\nhello\r\n"


@pytest.mark.parametrize(
    ("ours", "claimed"),
    [
        ("möbüs.example", "mÖbüs.example"),
        ("möbüs.example", "mo\u0308bu\u0308s.example"),
        ("möbüs.example", "XN--MBS-SNA5A.example"),
        ("邮件.example", "邮件。example"),
        (OURS, "ｍｘ.house.example"),
        (OURS, "mx。house．example"),
        (OURS, "mx.hou\u017fe.example"),
        (OURS, "=?utf-8?q?mx=E3=80=82house=2Eexample?="),
        (OURS, "(ü) ｍｘ.house.example"),
    ],
)
def test_a_name_that_maps_to_ours_is_ours(ours: str, claimed: str) -> None:
    assert is_own(f"Authentication-Results: {claimed}; dkim=pass header.d=bank.example\r\n".encode(), ours)


@pytest.mark.parametrize("claimed", ["möbus.example", "möbüs.example.evil.example", "邮局.example"])
def test_a_name_that_maps_to_another_is_not(claimed: str) -> None:
    assert not is_own(f"Authentication-Results: {claimed}; none\r\n".encode(), "möbüs.example")


@pytest.mark.parametrize(
    "helo",
    [
        "x.example\r\nAuthentication-Results: mx.house.example; dmarc=pass",
        'x";dmarc=pass header.from="bank.example',
        "x.example;dmarc=pass",
        "x.example(;dmarc=pass",
        "\\" * 60 + "." + "\\" * 60 + ".example",
        "=?utf-8?q?x=0D=0AX:y?=.example",
        "a" * 4_000 + ".example",
        "x\0.example",
    ],
)
async def test_what_a_client_calls_itself_writes_no_result(helo: str) -> None:
    seen = await told(REST, {}, mail_from="a@evil.example", helo=helo)
    assert len(seen.results) == 1
    assert not {"dmarc=pass", "spf=pass", "dkim=pass"} & set(seen.methods)
    assert max(map(len, seen.raw.split(b"\r\n"))) < 998
