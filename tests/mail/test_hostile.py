"""Mail made to hurt the reader (FAULTS 42-52): no megabyte of it keeps us busy, and something is said."""

from __future__ import annotations

import pytest

from filterd.mail.defects import FAILED
from filterd.mail.parse import parse
from filterd.mail.prose import LIMIT, prose

pytestmark = pytest.mark.slow

MEGABYTE = 1_000_000


def nested(depth: int) -> bytes:
    return (
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
        + b"\r\nx\r\n"
    )


def head(line: bytes) -> bytes:
    return line + b"\r\n\r\nbody\r\n"


def page(html: bytes) -> bytes:
    return b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html


def multipart(body: bytes, boundary: bytes = b"b") -> bytes:
    return b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n' % boundary + body


HOSTILE = {
    "multipart 10,000 deep": nested(10_000),
    "the same boundary at every depth": (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 20_000),
    "messages in messages": b"Content-Type: message/rfc822\r\n\r\n" * 30_000,
    "digests in digests": b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n" * 18_000,
    "100,000 parts": multipart(b"--b\r\n\r\nx\r\n" * 100_000),
    "100,000 empty parts": multipart(b"--b\r\n" * 200_000),
    "200,000 almost delimiters": multipart(b"--bx\r\n" * 160_000),
    "delimiters with text": multipart(b"--b x\r\n" * 140_000),
    "a boundary of dashes": multipart(b"-" * MEGABYTE, b"-" * 70),
    "100,000 fields": b"X: y\r\n" * 160_000 + b"\r\nbody",
    "100,000 broken lines": b"xxxxx\r\n" * 140_000,
    "fields and broken lines": b"X: y\r\nbroken\r\n" * 70_000,
    "a field of 1 MB": head(b"X: " + b"y" * MEGABYTE),
    "250,000 folds": b"X: y\r\n" + b" z\r\n" * 250_000 + b"\r\nbody",
    "lines of blanks": b"X: y\r\n" + b" \r\n" * 300_000 + b"\r\nbody",
    "a megabyte of line ends": b"\r\n" * 500_000,
    "a megabyte of colons": b":\r\n" * 300_000,
    "a megabyte of NUL": b"\0" * MEGABYTE,
    "brackets in To": head(b"To: " + b"(" * MEGABYTE),
    "a broken Message-ID": head(b"Message-ID: <["),
    "an encoded word and a sign": head(b"To: =?utf-8?q?=20?=@"),
    "60,000 encoded words": head(b"Subject: " + b"=?utf-8?q?=20?= " * 60_000),
    "160,000 heads of encoded words": head(b"Subject: " + b"=?a?q?" * 160_000),
    "encoded words and a broken line": b"Subject: " + b"=?utf-8?q?=20?= " * 60_000 + b"\r\nbroken\r\nA: b\r\n\r\nx",
    "5,000 pieces of a name": head(
        b"Content-Disposition: attachment" + b"".join(b";\r\n filename*%d=a" % n for n in range(60_000))
    ),
    "a megabyte of semicolons": head(b"Content-Type: text/plain" + b";" * MEGABYTE),
    "a megabyte of quotes": head(b"Content-Type: text/plain; a=" + b'"' * MEGABYTE),
    "10,000 boundaries": head(
        b"Content-Type: multipart/mixed" + b"".join(b"; boundary=b%d" % n for n in range(60_000))
    ),
    "10,000 types": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n" % n for n in range(20_000))
    + b"\r\n--b1\r\n\r\nx",
    "charset punycode": b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" * 500_000,
    "charset utf-7": b"Content-Type: text/plain; charset=utf-7\r\n\r\n" + b"+AAA" * 250_000,
    "charset hz": b"Content-Type: text/plain; charset=hz\r\n\r\n" + b"~{" * 500_000,
    "utf-16 without a mark": b"Content-Type: text/plain; charset=utf-16\r\n\r\n" + b"\xd8\x00" * 500_000,
    "base64 of padding": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QQ==" * 250_000,
    "an uuencode of nothing": b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n" + b"M\r\n" * 330_000,
    "an attached message that is one word": b"Content-Type: message/rfc822\r\n\r\n" + b"ABC" * 330_000,
    "60 kB of open tags": page(b"<a " * 330_000),
    "open comments": page(b"<!--" * 250_000),
    "nested tables": page(b"<table><tr><td>" * 66_000),
    "an attribute of 1 MB": page(b'<a href="' + b"x" * MEGABYTE),
    "100,000 attributes": page(b"<a " + b" ".join(b"a%d=1" % n for n in range(100_000)) + b">"),
    "formatting out of order": page(b"<a><div>" * 120_000),
    "combining marks": b"\r\n" + ("a" + "\u0301\u0327" * 250_000).encode(),
    "what NFKC makes long": b"\r\n" + "\ufdfa".encode() * 330_000,
    "zero-width characters": b"\r\n" + "a\u200b".encode() * 250_000,
    "URLs without end": b"\r\n" + b"http://a.b/" + b")" * MEGABYTE,
    "a subject of 1 MB": head(b"Subject: " + "中".encode() * 330_000),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(120)
def test_a_hostile_megabyte_is_read(name: str) -> None:
    message = parse(HOSTILE[name])
    text = prose(message)
    assert FAILED not in message.defects
    assert len(text) <= LIMIT
    for value in (text, *message.texts):
        value.encode("utf-8")
