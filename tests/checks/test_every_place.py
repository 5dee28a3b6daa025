"""One marker in every place of a mail is found there.  TX-3.3.1: content is text, header fields, attachments, the rest.

The marker is a word of an operator's list; for what runs, it is a program in the same containers.
"""

from __future__ import annotations

import base64
import io
import struct
import zipfile
from collections.abc import Callable
from email.header import Header
from email.message import EmailMessage
from urllib.parse import quote

import pytest

from filterd.checks import attachments, terms
from filterd.checks.terms_book import Book
from filterd.config import AttachmentsConfig
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.verdict import Outcome
from tests.checks.contexts import context
from tests.checks.test_terms import AT, kites
from tests.checks.test_terms_cases import Lists

pytestmark = pytest.mark.slow

MARK = "蓝色风筝"
MS = "application/ms-tnef"
BOOK = Book((kites(MARK),))


def zipped(content: bytes, name: str = "a.txt") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def tnef(*attributes: tuple[int, bytes]) -> bytes:
    """A winmail.dat of these attributes (MS-OXTNEF §2.1.3)."""
    body = b"".join(
        struct.pack("<BHHL", 1, number, 6, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)
        for number, data in attributes
    )
    return b"\x78\x9f\x3e\x22\x01\x00" + body


def letter(text: str = "see you\n") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@cust.example", "b@far.example", "hello"
    mail.set_content(text)
    return mail


def headed(name: str, value: str) -> bytes:
    raw = letter().as_bytes()
    if name.lower() in ("from", "subject", "to"):
        raw = b"\n".join(line for line in raw.split(b"\n") if not line.lower().startswith(name.lower().encode() + b":"))
    return f"{name}: {value}\n".encode() + raw


def word(text: str, charset: str = "utf-8") -> str:
    """An encoded word of RFC 2047."""
    return Header(text, charset).encode()


def attached(content: bytes, name: str, kind: str = "application/octet-stream") -> bytes:
    mail = letter()
    main, _, sub = kind.partition("/")
    mail.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return mail.as_bytes()


def html(markup: str) -> bytes:
    mail = letter()
    mail.add_alternative(f"<html><body>{markup}</body></html>", subtype="html")
    return mail.as_bytes()


def forwarded(inner: EmailMessage | bytes) -> bytes:
    """A mail passed on as an attachment."""
    head = b"From: a@cust.example\nSubject: fwd\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n"
    return head + (inner if isinstance(inner, bytes) else inner.as_bytes())


def rfc2231(name: str) -> bytes:
    disposition = f"attachment; filename*0*=utf-8''{quote(name[:2])}; filename*1*={quote(name[2:])}.bin"
    body = base64.b64encode(b"\0\1\2").decode()
    head = "From: a@cust.example\nMIME-Version: 1.0\nContent-Type: application/octet-stream\n"
    return f"{head}Content-Disposition: {disposition}\nContent-Transfer-Encoding: base64\n\n{body}\n".encode()


def auto_reply(m: str) -> bytes:
    mail = letter(f"I am away. You wrote: {m}\n")
    mail["Auto-Submitted"], mail["In-Reply-To"] = "auto-replied", "<1@far.example>"
    return mail.as_bytes()


def signed(m: str) -> bytes:
    return letter(f"see you\n\n-- \nAlice, {m} Ltd.\n").as_bytes()


def document(m: str) -> bytes:
    xml = f"<w:document><w:t>{m[:2]}</w:t><w:t>{m[2:]}</w:t></w:document>".encode()
    return attached(zipped(xml, "word/document.xml"), "a.docx")


PLACES: dict[str, Callable[[str], bytes]] = {
    "subject": lambda m: headed("Subject", word(m)),
    "subject in gb18030": lambda m: headed("Subject", word(m, "gb18030")),
    "display name of From": lambda m: headed("From", f"{word(m)} <a@cust.example>"),
    "display name of To": lambda m: headed("To", f"{word(m)} <b@far.example>"),
    "display name of Reply-To": lambda m: headed("Reply-To", f"{word(m)} <a@cust.example>"),
    "Comments": lambda m: headed("Comments", word(m)),
    "Organization": lambda m: headed("Organization", word(m)),
    "text": lambda m: letter(f"fly the {m}!\n").as_bytes(),
    "signature": signed,
    "html": lambda m: html(f"<p>fly the {m}</p>"),
    "html, cut by tags": lambda m: html(f"<p>{m[:2]}<b>{m[2:]}</b></p>"),
    "alt of a picture": lambda m: html(f'<img src="cid:1" alt="{m}">'),
    "address of a link": lambda m: html(f'<a href="https://far.example/{quote(m)}">here</a>'),
    "name of a file": lambda m: attached(b"\0\1", f"{m}.bin"),
    "name of a file, RFC 2231 in parts": lambda m: rfc2231(m),
    "attached text": lambda m: attached(m.encode(), "a.txt", "text/plain"),
    "attached table": lambda m: attached(m.encode() + b",1\n", "a.csv"),
    "attached page": lambda m: attached(f"<p>{m[:1]}<i>{m[1:]}</i></p>".encode(), "a.html", "application/x-html"),
    "zip": lambda m: attached(zipped(m.encode()), "a.zip"),
    "zip in a zip": lambda m: attached(zipped(zipped(m.encode()), "b.zip"), "a.zip"),
    "name in a zip": lambda m: attached(zipped(b"x", f"{m}.txt"), "a.zip"),
    "document": document,
    "subject in winmail.dat": lambda m: attached(
        tnef((0x8004, m.encode() + b"\0")), "winmail.dat", "application/ms-tnef"
    ),
    "body in winmail.dat": lambda m: attached(tnef((0x800C, m.encode() + b"\0")), "winmail.dat", MS),
    "name in winmail.dat": lambda m: attached(tnef((0x8010, f"{m}.doc\0".encode())), "winmail.dat"),
    "file in winmail.dat": lambda m: attached(tnef((0x8010, b"a.txt\0"), (0x800F, m.encode())), "winmail.dat"),
    "zip in winmail.dat": lambda m: attached(tnef((0x8010, b"a.zip\0"), (0x800F, zipped(m.encode()))), "winmail.dat"),
    "subject of a forwarded mail": lambda m: forwarded(headed("Subject", word(m))),
    "name in a forwarded mail": lambda m: forwarded(headed("From", f"{word(m)} <x@far.example>")),
    "text of a forwarded mail": lambda m: forwarded(letter(f"fly the {m}\n")),
    "zip in a forwarded mail": lambda m: forwarded(attached(zipped(m.encode()), "a.zip")),
    "automatic answer": auto_reply,
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_word_is_found_wherever_it_stands(place: str) -> None:
    raw, _ = canonical(PLACES[place](MARK))
    check = terms.make(Lists((kites(MARK),)), timeout_s=30)
    verdict = await check.run(context(raw, message=parse(raw)))
    assert [f.code for f in verdict.findings] == ["content.gambling.terms"]
    assert MARK not in repr(verdict)


@pytest.mark.parametrize("place", PLACES)
def test_and_nowhere_else(place: str) -> None:
    """The same mail with another word there: what is found is the marker, not the place."""
    raw, _ = canonical(PLACES[place]("红色气球"))
    assert terms.judge(parse(raw), BOOK, AT).outcome is Outcome.CLEAN


def test_an_address_is_nobodys_words() -> None:
    raw = headed("To", "marmalade@far.example")
    assert terms.judge(parse(canonical(raw)[0]), Book((kites("marmalade"),)), AT).outcome is Outcome.CLEAN


PROGRAM = b"MZ" + b"\0" * 58 + struct.pack("<L", 64) + b"PE\0\0" + b"\0" * 200
HOLDERS: dict[str, Callable[[], bytes]] = {
    "as it is": lambda: attached(PROGRAM, "a.exe"),
    "zip": lambda: attached(zipped(PROGRAM, "a.exe"), "a.zip"),
    "zip in a zip": lambda: attached(zipped(zipped(PROGRAM, "a.exe"), "b.zip"), "a.zip"),
    "winmail.dat": lambda: attached(tnef((0x8010, b"a.exe\0"), (0x800F, PROGRAM)), "winmail.dat"),
    "zip in winmail.dat": lambda: attached(
        tnef((0x8010, b"a.zip\0"), (0x800F, zipped(PROGRAM, "a.exe"))), "winmail.dat"
    ),
    "forwarded mail": lambda: forwarded(attached(PROGRAM, "a.exe")),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_program_is_found_in_whatever_holds_it(holder: str) -> None:
    message = parse(canonical(HOLDERS[holder]())[0])
    verdict = attachments.judge(message, attachments.Rules(AttachmentsConfig()))
    assert "attachment.type.blocked" in [f.code for f in verdict.findings]


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_a_winmail_dat_that_ends_anywhere_or_lies_is_read_as_far_as_it_goes(cut: int) -> None:
    whole = tnef((0x8010, b"a.txt\0"), (0x800F, MARK.encode()), (0x8004, b"x" * 20))
    lying = whole.replace(struct.pack("<L", len(MARK.encode())), b"\xff\xff\xff\xff", 1)
    for content in (whole[:cut], lying[:cut]):
        raw = canonical(attached(content, "winmail.dat"))[0]
        terms.judge(parse(raw), BOOK, AT)
        attachments.judge(parse(raw), attachments.Rules(AttachmentsConfig()))
