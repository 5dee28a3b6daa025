"""The reader of mail: trees, texts, links, and what two readers could see differently."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.defects import AMBIGUOUS, DEFECTS, FAILED
from filterd.mail.parse import Limits, parse
from filterd.model.message import Message

pytestmark = pytest.mark.slow


def mail(*lines: str) -> bytes:
    return "\r\n".join(lines).encode() + b"\r\n"


def shape(message: Message) -> list[tuple[str, str]]:
    return [(part.path, part.content_type) for part in message.parts]


def part(content_type: str, *body: str) -> list[str]:
    return [f"Content-Type: {content_type}", "", *body]


ALTERNATIVE = mail(
    "From: a@b.example",
    "Subject: =?utf-8?q?caf=C3=A9?=",
    "Content-Type: multipart/mixed; boundary=outer",
    "",
    "preamble",
    "--outer",
    *part("multipart/alternative; boundary=inner"),
    "--inner",
    *part("text/plain; charset=utf-8", "see http://a.example/"),
    "--inner",
    *part("text/html", '<p>see <a href="http://b.example/">b</a></p>'),
    "--inner--",
    "--outer",
    "Content-Type: application/pdf; name=x.pdf",
    "Content-Disposition: attachment; filename=report.pdf",
    "Content-Transfer-Encoding: base64",
    "",
    "JVBERi0=",
    "--outer",
    *part("message/rfc822", "Subject: inner", *part("text/plain", "attached text")),
    "--outer--",
    "epilogue",
)


def test_an_ordinary_mail() -> None:
    message = parse(ALTERNATIVE)
    assert message.raw is ALTERNATIVE
    assert message.subject == "café"
    assert message.defects == ()
    assert shape(message) == [
        ("1.1", "text/plain"),
        ("1.2", "text/html"),
        ("2", "application/pdf"),
        ("3", "message/rfc822"),
        ("3.1", "text/plain"),
    ]
    assert message.texts == ("see http://a.example/", "see b", "attached text")
    assert message.links == ("http://a.example/", "http://b.example/")
    pdf = message.parts[2]
    assert (pdf.filename, pdf.disposition, pdf.content, pdf.is_attachment) == (
        "report.pdf",
        "attachment",
        b"%PDF-",
        True,
    )
    assert message.parts[0].charset == "utf-8"
    assert ALTERNATIVE[message.body_offset :].startswith(b"preamble\r\n")


@pytest.mark.parametrize(
    ("raw", "texts", "defects"),
    [
        (b"", ("",), ()),
        (b"body only", ("body only",), ("lines.ends.stray",)),
        (b"A: b\r\n\r\n", ("",), ()),
        (b"A: b\r\n\r\nbody", ("body",), ()),
    ],
)
def test_small_mails(raw: bytes, texts: tuple[str, ...], defects: tuple[str, ...]) -> None:
    message = parse(raw)
    assert message.texts == texts
    if raw != b"body only":
        assert message.defects == defects


def test_the_type_of_a_part_without_one_is_text_and_a_message_in_a_digest() -> None:
    plain = parse(mail("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "text", "--b--"))
    assert (shape(plain), plain.texts) == ([("1", "text/plain")], ("text",))
    digest = parse(mail("Content-Type: multipart/digest; boundary=b", "", "--b", "", "Subject: x", "", "text", "--b--"))
    assert (shape(digest), digest.texts) == ([("1", "message/rfc822"), ("1.1", "text/plain")], ("text",))


def test_a_page_without_a_type_is_read_as_a_page() -> None:
    assert parse(b"\r\n<html><body>x<b>y</b>").texts == ("xy",)
    assert parse(b"Content-Type: text/plain\r\n\r\n<html>x<b>y</b>").texts == ("<html>x<b>y</b>",)


# Each mail hides the word EVIL from one kind of reader. It must be in a text, and the mail must be ambiguous.
BASE64 = "RVZJTCB3b3JkcyBpbiBiYXNlIHNpeHR5IGZvdXI="
AMBIGUOUS_MAILS = {
    "two types, the last is the one": mail(
        "Content-Type: text/plain",
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        *part("text/html", "E<b>VIL</b>"),
        "--b--",
    ),
    "two types, the first is the one": mail(
        "Content-Type: multipart/mixed; boundary=b",
        "Content-Type: text/plain",
        "",
        "--b",
        *part("text/html", "E<b>VIL</b>"),
        "--b--",
    ),
    "two boundary parameters, the first": mail(
        "Content-Type: multipart/mixed; boundary=a; boundary=b",
        "",
        "--b",
        "",
        "x",
        "--b--",
        "--a",
        *part("text/html", "E<b>VIL</b>"),
        "--a--",
    ),
    "two boundary parameters, the last": mail(
        "Content-Type: multipart/mixed; boundary=a; boundary=b",
        "",
        "--a",
        "",
        "x",
        "--a--",
        "--b",
        *part("text/html", "E<b>VIL</b>"),
        "--b--",
    ),
    "a boundary in RFC 2231 pieces": mail(
        "Content-Type: multipart/mixed; boundary=a; boundary*0=b; boundary*1=c",
        "",
        "--a",
        "",
        "x",
        "--a--",
        "--bc",
        *part("text/html", "E<b>VIL</b>"),
        "--bc--",
    ),
    "two encodings, the last": mail("Content-Transfer-Encoding: 7bit", "Content-Transfer-Encoding: base64", "", BASE64),
    "two encodings, the first": mail(
        "Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: 7bit", "", BASE64
    ),
    "an unknown encoding": mail("Content-Transfer-Encoding: x-base64", "", BASE64),
    "an encoding with a comment": mail("Content-Transfer-Encoding: base64 (really)", "", BASE64),
    "an encoding with a blank before the colon": mail("Content-Transfer-Encoding : base64", "", BASE64),
    "an encoding as an encoded word": mail("Content-Transfer-Encoding: =?utf-8?q?base64?=", "", BASE64),
    "text that claims to be base64": mail("Content-Transfer-Encoding: base64", "", "EVIL, no? EVIL! (really)"),
    "base64 after its padding": mail("Content-Transfer-Encoding: base64", "", "eA==", BASE64),
    "an encoded multipart": mail(
        "Content-Type: multipart/mixed; boundary=b",
        "Content-Transfer-Encoding: base64",
        "",
        "LS1iDQoNCkVWSUwNCi0tYi0tDQo=",
    ),
    "an encoded attached message": mail(
        "Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "", "U3ViamVjdDogeA0KDQpFVklMDQo="
    ),
    "an attached message that only claims to be encoded": mail(
        "Content-Type: message/rfc822",
        "Content-Transfer-Encoding: base64",
        "",
        "Content-Type: text/html",
        "",
        "E<b>VIL</b>",
    ),
    "a multipart without a boundary": mail(
        "Content-Type: multipart/mixed", "", "--b", *part("text/html", "E<b>VIL</b>"), "--b--"
    ),
    "a boundary that does not occur": mail(
        "Content-Type: multipart/mixed; boundary=other", "", "--b", *part("text/html", "E<b>VIL</b>"), "--b--"
    ),
    "a part behind the last delimiter": mail(
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "x",
        "--b--",
        "--b",
        *part("text/html", "E<b>VIL</b>"),
        "--b--",
    ),
    "text behind a delimiter": mail(
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "",
        "x",
        "--b really",
        *part("text/html", "E<b>VIL</b>"),
        "--b--",
    ),
    "an open quote in a boundary": mail(
        'Content-Type: multipart/mixed; boundary="b', "", "--b", *part("text/html", "E<b>VIL</b>"), "--b--"
    ),
    "a boundary that ends in a blank": mail(
        'Content-Type: multipart/mixed; boundary="b "', "", "--b", *part("text/html", "E<b>VIL</b>"), "--b--"
    ),
    "a missing semicolon": mail(
        "Content-Type: multipart/mixed boundary=b", "", "--b", *part("text/html", "E<b>VIL</b>"), "--b--"
    ),
    "a comment in the type": mail(
        "Content-Type: multipart/(x)mixed; boundary=b", "", "--b", *part("text/html", "E<b>VIL</b>"), "--b--"
    ),
    "a broken line in the header": mail("Subject: x", "broken", "Content-Type: text/html", "", "E<b>VIL</b>"),
    "a broken line in the header of a part": mail(
        "Content-Type: multipart/mixed; boundary=b", "", "--b", "broken", *part("text/html", "E<b>VIL</b>"), "--b--"
    ),
    "a header that starts with a fold": mail(" folded", "Content-Type: text/html", "", "E<b>VIL</b>"),
    "a line of blanks in the header": mail("Content-Type: text/html", " ", " E<b>VIL</b>", "", "y"),
    "two charsets, the last": mail("Content-Type: text/plain; charset=us-ascii; charset=utf-7", "", "+AEUAVgBJAEw-"),
    "two charsets, the first": mail("Content-Type: text/plain; charset=utf-7; charset=us-ascii", "", "+AEUAVgBJAEw-"),
}


@pytest.mark.parametrize("name", AMBIGUOUS_MAILS)
def test_every_reading_of_an_ambiguous_mail_is_read(name: str) -> None:
    message = parse(AMBIGUOUS_MAILS[name])
    assert AMBIGUOUS in message.defects
    assert any("EVIL" in text for text in message.texts), (message.texts, shape(message))


@pytest.mark.parametrize(
    "raw",
    [
        mail("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "x"),
        mail("Content-Type: text/plain; charset=nope", "", "x"),
        mail("Content-Type: text", "", "x"),
        mail("Content-Type: text/plain", "Content-Type: text/plain", "", "x"),
        mail("From x@y Mon", "Subject: x", "", "x"),
        mail("Content-Transfer-Encoding: base64", "", "eA"),
        mail("Content-Transfer-Encoding: 7-bit", "", "x"),
        mail("X-Mailer: a\0b", "", "x"),
    ],
)
def test_what_every_reader_reads_alike_is_not_ambiguous(raw: bytes) -> None:
    assert AMBIGUOUS not in parse(raw).defects


def test_other_readings_come_last_and_are_marked() -> None:
    message = parse(AMBIGUOUS_MAILS["two types, the first is the one"])
    assert [path.startswith("~") for path, _ in shape(message)] == [False, True]


@pytest.mark.parametrize(
    ("disposition", "content_type", "filenames", "is_ambiguous"),
    [
        ("attachment; filename=a.exe", "application/octet-stream", ["a.exe"], False),
        ("attachment", "application/octet-stream; name=a.exe", ["a.exe"], False),
        ("attachment; filename=a.txt", "text/plain; name=b.txt", ["a.txt"], False),
        ("attachment; filename=a.txt", "text/plain; name=a.exe", ["a.txt", "a.exe"], True),
        ("attachment; filename=a.txt; filename*=utf-8''a.exe", "text/plain", ["a.exe", "a.txt"], True),
        ("attachment; filename=a.txt; filename=a.exe", "text/plain", ["a.txt", "a.exe"], True),
        ("attachment; filename*0=a.; filename*1=e; filename*2=xe", "text/plain", ["a.exe"], False),
        ("attachment;\r\n filename*0=a.tx;\r\n filename*1=t.exe", "text/plain", ["a.txt.exe"], False),
        ('attachment; filename="a.exe. "', "text/plain; name=b.exe", ["a.exe. "], False),
        ('attachment; filename="a.exe', "text/plain", ["a.exe"], True),
        ("attachment; filename=gpj.\u202eexe", "text/plain", ["gpj.\u202eexe"], False),
    ],
)
def test_every_file_name_is_seen(disposition: str, content_type: str, filenames: list[str], is_ambiguous: bool) -> None:
    message = parse(mail(f"Content-Disposition: {disposition}", *part(content_type, "x")))
    assert [p.filename for p in message.parts] == filenames
    assert (AMBIGUOUS in message.defects) is is_ambiguous


def test_a_long_file_name_keeps_its_end() -> None:
    message = parse(mail(f"Content-Disposition: attachment; filename={'x' * 10_000}.exe", *part("text/plain", "x")))
    name = message.parts[0].filename
    assert name is not None
    assert (len(name), name[-4:]) == (512, ".exe")
    assert "mime.filename.long" in message.defects


def nested(depth: int) -> bytes:
    heads = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(depth))
    return heads.encode() + b"\r\ndeep text\r\n"


@pytest.mark.parametrize(("depth", "is_exceeded"), [(1, False), (50, False), (51, True), (100, True), (1000, True)])
def test_nesting_beyond_the_limit_is_read_as_text(depth: int, is_exceeded: bool) -> None:
    message = parse(nested(depth))
    assert ("mime.depth.exceeded" in message.defects) is is_exceeded
    assert any("deep text" in text for text in message.texts)


def test_attached_messages_count_as_depth() -> None:
    message = parse(b"Content-Type: message/rfc822\r\n\r\n" * 60 + b"deep text")
    assert "mime.depth.exceeded" in message.defects
    assert any("deep text" in text for text in message.texts)


def test_limits_are_told() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 20 + b"--b--\r\n"
    few = parse(raw, Limits(parts=10))
    assert "mime.parts.exceeded" in few.defects
    assert len(few.parts) == 9
    small = parse(raw, Limits(content_bytes=5))
    assert "mime.content.exceeded" in small.defects
    assert sum(len(p.content) for p in small.parts) <= 5
    short = parse(b"\r\n" + b"x" * 100, Limits(text_chars=10))
    assert ("text.size.exceeded" in short.defects, short.texts) == (True, ("x" * 10,))
    linked = parse(b"\r\n" + b" ".join(b"http://a%d.example" % n for n in range(9)), Limits(links=3))
    assert len(linked.links) == 3


def test_stray_line_ends_are_read_and_told() -> None:
    for end in (b"\n", b"\r"):
        message = parse(ALTERNATIVE.replace(b"\r\n", end))
        assert message.texts == parse(ALTERNATIVE).texts
        assert message.defects == ("lines.ends.stray",)
        assert message.raw[message.body_offset :].startswith(b"preamble")


def test_a_failure_of_the_reader_keeps_the_mail_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr("filterd.mail.parse._parse", fail)
    message = parse(b"Subject: x\r\n\r\nbody")
    assert message.defects == (FAILED, AMBIGUOUS)
    assert message.texts == ("Subject: x\r\n\r\nbody",)
    assert message.parts[0].content == message.raw


TOKENS = [
    b"Content-Type: ", b"Content-Transfer-Encoding: ", b"Content-Disposition: ", b"multipart/mixed",
    b"multipart/digest", b"message/rfc822", b"text/html", b"text/plain", b"; boundary=b", b'; boundary="',
    b"; charset=utf-7", b"; charset=", b"; filename*0*=", b"base64", b"quoted-printable", b"x-uuencode",
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"--b", b"--b--", b"--", b" ", b"\t", b"\0", b"=", b"QUJD",
    b"=?utf-8?q?", b"?=", b"<a href=http://x.y>", b"From ", b":", b"begin 644 x", b"\xff", b"\xe4\xb8\xad",
    b"X-A: b\r\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join) | st.binary(max_size=200))
@settings(deadline=None, max_examples=400)
def test_any_octets_are_read_and_can_be_stored(raw: bytes) -> None:
    message = parse(raw)
    assert message.raw is raw
    assert FAILED not in message.defects
    assert set(message.defects) <= set(DEFECTS)
    assert len(set(message.defects)) == len(message.defects)
    assert 0 <= message.body_offset <= len(raw)
    for text in (
        *message.texts,
        *message.links,
        *(f.value for f in message.fields),
        *(p.filename or "" for p in message.parts),
    ):
        text.encode("utf-8")
    assert parse(raw) == message


@given(st.lists(st.sampled_from(TOKENS), max_size=12).map(b"".join), st.integers(0, len(ALTERNATIVE)))
@settings(deadline=None, max_examples=300)
def test_a_damaged_mail_is_read(damage: bytes, at: int) -> None:
    message = parse(ALTERNATIVE[:at] + damage + ALTERNATIVE[at:])
    assert FAILED not in message.defects


def test_a_message_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse(b"").raw = b""  # type: ignore[misc]
