"""The second opinion: asked about ambiguous mail, never fed what it cannot stand, never believed to be right alone."""

from __future__ import annotations

import pytest

from filterd.mail import second
from filterd.mail.second import other_parts

HEAD = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
MAIL = HEAD + b"--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>two\r\n--b--\r\n"


def test_only_what_is_not_known_is_told() -> None:
    found = other_parts(MAIL, [b"one\r\n"], 10)
    assert [(p.content_type, p.content.strip()) for p in found] == [("text/html", b"<p>two")]
    assert all(p.path.startswith("~~") for p in found)
    assert other_parts(MAIL, [b"one", b"<p>two"], 10) == []


def test_there_is_a_limit() -> None:
    assert len(other_parts(MAIL, [], 1)) == 1


def test_its_errors_are_not_ours() -> None:
    broken = HEAD + b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n****\r\n--b--\r\n"
    assert other_parts(broken, [], 10) == []
    assert other_parts(b" \r\n" * 100, [], 10) == []


def test_what_it_cannot_stand_is_kept_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bytes] = []
    monkeypatch.setattr(second, "parse_email_tree", lambda raw, **_: calls.append(raw))
    assert other_parts(b"Subject: " + b"=?utf-8?q?=20?= " * 60_000 + b"\r\n\r\nx", [], 10) == []
    assert calls == []
    # What it can stand comes to it.
    other_parts(b"Subject: " + b"=?utf-8?q?=20?= " * 60 + b"\r\n\r\nx", [], 10)
    assert len(calls) == 1
