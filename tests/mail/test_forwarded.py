"""Which mail was made or sent on by a rule: by the traces that programs leave, and by nothing a person writes."""

from __future__ import annotations

import pytest

from filterd.mail.forwarded import is_by_rule
from filterd.mail.parse import parse


def mail(*fields: str) -> bytes:
    return "\r\n".join([*fields, "From: <a@cust.example>", "Subject: x", "", "text", ""]).encode()


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: auto-replied (vacation)",
        "AUTO-SUBMITTED: Auto-Generated; owner-email=a@cust.example",
        "Auto-Submitted: auto-notified",
        "Auto-Submitted:",
        "Autoforwarded: true",
        "X-Sieve-Redirected-From: a@cust.example",
        "X-Forwarded-To: b@other.example",
        "X-Forwarded-For: a@cust.example b@other.example",
        "X-MS-Exchange-Inbox-Rules-Loop: a@cust.example",
        "Delivered-To: a@cust.example",
        "Resent-From: <a@cust.example>",
        "Resent-Sender: <a@cust.example>",
    ],
)
def test_a_trace_of_a_rule_is_one(field: str) -> None:
    assert is_by_rule(parse(mail(field)))


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: no",
        "Auto-Submitted: NO (written by hand)",
        "Autoforwarded: false",
        "List-Id: <club.cust.example>",
        "Precedence: bulk",
        "In-Reply-To: <x@y>",
        "X-Forwarded-Message-Id: <x@y>",
        "Subject: Fwd: Resent-From: me",
    ],
)
def test_what_a_persons_own_mail_may_bear_is_none(field: str) -> None:
    assert not is_by_rule(parse(mail(field)))


def test_a_trace_in_the_body_or_in_an_attached_message_is_none() -> None:
    raw = (
        b"From: <a@cust.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nDelivered-To: me\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
        b"Delivered-To: a@cust.example\r\nFrom: <c@other.example>\r\n\r\nforwarded by hand\r\n--b--\r\n"
    )
    assert not is_by_rule(parse(raw))
