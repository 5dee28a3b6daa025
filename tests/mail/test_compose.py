"""Mail of our own: correct to the letter, and no value of a stranger's becomes a field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.errors import UsageError
from filterd.mail.compose import compose
from filterd.mail.lines import canonical
from filterd.mail.parse import parse

pytestmark = pytest.mark.slow

BASE: dict[str, Any] = {
    "sender": "postmaster@filterd.example",
    "to": ["alice@example.com"],
    "subject": "Your mail",
    "text": "Hello\n",
    "message_id": "<n1@filterd.example>",
    "date": datetime(2026, 11, 2, 9, 0, tzinfo=UTC),
}
OWN = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
]


def test_a_plain_notice() -> None:
    assert compose(**BASE) == (
        b"From: postmaster@filterd.example\r\n"
        b"To: alice@example.com\r\n"
        b"Subject: Your mail\r\n"
        b"Date: Mon, 02 Nov 2026 09:00:00 +0000\r\n"
        b"Message-ID: <n1@filterd.example>\r\n"
        b"Auto-Submitted: auto-generated\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"Hello\r\n"
    )


def test_chinese_text_and_names() -> None:
    message = parse(compose(**BASE | {"sender_name": "邮件管理员", "subject": "关于您的邮件" * 12, "text": "您好。\n"}))
    assert message.subject == "关于您的邮件" * 12
    assert message.first("from") == "邮件管理员 <postmaster@filterd.example>"
    assert message.first("content-transfer-encoding") == "8bit"
    assert message.texts == ("您好。\r\n",)
    assert message.defects == ()


@pytest.mark.parametrize(
    ("name", "phrase"),
    [("Mail Team", "Mail Team"), ('A "B", C', '"A \\"B\\", C"'), ("a@b", '"a@b"'), ("back\\slash", '"back\\\\slash"')],
)
def test_display_names_are_quoted(name: str, phrase: str) -> None:
    assert parse(compose(**BASE | {"sender_name": name})).first("from") == f"{phrase} <postmaster@filterd.example>"


def test_several_recipients_and_further_fields() -> None:
    message = parse(
        compose(
            **BASE
            | {"to": ["a@b.example", "ü@b.example"], "fields": [("In-Reply-To", "<x@y>"), ("X-Filterd-Notice", "n_1")]}
        )
    )
    assert message.first("to") == "a@b.example, ü@b.example"
    assert message.first("in-reply-to") == "<x@y>"


def test_long_lines_become_base64() -> None:
    text = "很长" * 600
    message = parse(compose(**BASE | {"text": text}))
    assert message.first("content-transfer-encoding") == "base64"
    assert message.texts[0].strip() == text
    assert all(len(line) <= 998 for line in message.raw.split(b"\r\n"))


@pytest.mark.parametrize(
    "change",
    [
        {"sender": "a@b\r\nBcc: x@y"},
        {"sender": "a b@c.example"},
        {"sender": ""},
        {"to": []},
        {"to": ["a@b.example>, <x@y.example"]},
        {"to": ["a@b.example\nBcc: x"]},
        {"sender_name": "a\r\nBcc: x"},
        {"sender_name": "a\x1cBcc: x"},
        {"sender_name": "a\u2028b"},
        {"message_id": "n1@x"},
        {"message_id": "<n1@x>\r\nBcc: y"},
        {"date": datetime(2026, 11, 2, 9, 0)},
        {"auto_submitted": "no\r\nBcc: x"},
        {"fields": [("X", "a\nb")]},
        {"fields": [("X\r\nBcc", "a")]},
        {"fields": [("bcc:", "a")]},
        {"fields": [("Subject", "twice")]},
        {"fields": [("content-type", "text/html")]},
    ],
)
def test_what_could_add_a_field_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        compose(**BASE | change)


@pytest.mark.parametrize(
    "quoted", ["hi\nBcc: x", "hi\r\nBcc: x", "a\x1cBcc: x", "a\x85Bcc: x", "a\u2028Bcc: x", "{0.__class__}", "a\0b"]
)
def test_a_quoted_subject_stays_a_subject(quoted: str) -> None:
    message = parse(compose(**BASE | {"subject": f"Re: {quoted}", "text": f"Re: {quoted}"}))
    assert [f.name for f in message.fields] == OWN
    assert message.first("bcc") is None


@given(st.text(max_size=80), st.text(max_size=200), st.text(max_size=30))
@settings(deadline=None)
def test_any_text_makes_one_mail(subject: str, text: str, name: str) -> None:
    try:
        raw = compose(**BASE | {"subject": subject, "text": text, "sender_name": name})
    except UsageError:
        assert not name.isprintable() or not name.isascii()
        return
    assert canonical(raw)[0] is raw
    assert b"\0" not in raw
    message = parse(raw)
    assert [f.name for f in message.fields] == OWN
    assert len(message.parts) == 1
    assert message.defects in ((), ("header.octets.eightbit",))
