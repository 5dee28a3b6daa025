"""Sample mail written for the demonstration: words, and what hangs on them, made into octets.

Nothing in it is anybody's: numbers of people are counted up and get a valid check digit, the virus is the EICAR test
file, which every scanner knows and which does nothing, and the program is the two letters a program begins with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from filterd.clients.clamd_private import EICAR
from filterd.demo import texts_en, texts_zh

TEXTS = {"en": texts_en.TEXTS, "zh": texts_zh.TEXTS}
ADVERTS = {"en": texts_en.advert, "zh": texts_zh.advert}

# Enough of a PDF to be one; MS-DOS executables begin with their author's initials.
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
_PROGRAM = b"MZ" + bytes(510)

_PEOPLE, _CARDS = 200, 40
_FIRST_BIRTH = date(1970, 1, 1)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Who writes to whom, and when. `sender` is the From address; `fields` go on top of the rest."""

    sender: str
    to: str
    at: datetime
    tag: str
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def message_id(self) -> str:
        return f"<{self.tag}.{self.at:%Y%m%d}@{self.sender.rpartition('@')[2]}>"


def plain(name: str, language: str, head: Header) -> bytes:
    """A letter of the text called `name`."""
    return _mail(TEXTS[language][name], head).as_bytes()


def page(language: str, head: Header) -> bytes:
    """The phishing letter with a page beside it, whose link shows one address and leads to another."""
    subject, text = TEXTS[language]["phishing"]
    mail = _mail((subject, text), head)
    link = '<p><a href="http://203.0.113.9/login">https://www.meridian.example/login</a></p>'
    paragraphs = "".join(f"<p>{line}</p>\n" for line in text.splitlines() if line)
    mail.add_alternative(f"<html><body>\n{paragraphs}{link}\n</body></html>\n", subtype="html", cte="8bit")
    return mail.as_bytes()


def advert(number: int, language: str, head: Header) -> bytes:
    return _mail(ADVERTS[language](number), head).as_bytes()


def virus(language: str, head: Header) -> bytes:
    return _with_file("drawings", language, head, EICAR, "drawings.dat" if language == "en" else "图纸.dat")


def drawings(language: str, head: Header) -> bytes:
    """A harmless letter with a file."""
    name = "drawings.pdf" if language == "en" else "图纸.pdf"
    return _with_file("drawings", language, head, _PDF, name, "pdf")


def program(language: str, head: Header) -> bytes:
    """A program under the name of a document."""
    return _with_file("drawings", language, head, _PROGRAM, "drawings.pdf.exe" if language == "en" else "图纸.pdf.exe")


def numbers(language: str, head: Header) -> bytes:
    """A table of numbers of many people: resident ids in Chinese (GB 11643), cards in English (ISO/IEC 7812)."""
    rows = [_resident_id(n) for n in range(_PEOPLE)] if language == "zh" else [_card(n) for n in range(_CARDS)]
    name = "工资.csv" if language == "zh" else "refunds.csv"
    return _with_file("numbers", language, head, "\n".join(rows).encode(), name, "csv")


def report(language: str, head: Header) -> bytes:
    """A phishing mail, forwarded as an attachment to whoever has to see it."""
    mail = _mail(TEXTS[language]["report"], head)
    inner = Header(sender="security@stranger.example", to=head.sender, at=head.at, tag=f"reported-{head.tag}")
    mail.add_attachment(_mail(TEXTS[language]["phishing"], inner))
    return mail.as_bytes()


def _with_file(name: str, language: str, head: Header, content: bytes, filename: str, kind: str = "") -> bytes:
    mail = _mail(TEXTS[language][name], head)
    mail.add_attachment(content, maintype="application", subtype=kind or "octet-stream", filename=filename)
    return mail.as_bytes()


def _mail(words: tuple[str, str], head: Header) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    for name, value in head.fields:
        mail[name] = value
    mail["From"], mail["To"] = f"<{head.sender}>", f"<{head.to}>"
    mail["Subject"], mail["Date"], mail["Message-ID"] = words[0], format_datetime(head.at), head.message_id
    mail.set_content(words[1], cte="8bit")
    return mail


def _resident_id(number: int) -> str:
    born = _FIRST_BIRTH + timedelta(days=61 * number)
    digits = f"110101{born:%Y%m%d}{number % 1000:03d}"
    rest = sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)) % 11
    return digits + "10X98765432"[rest]


def _card(number: int) -> str:
    digits = f"453201{number * 7919:09d}"
    # Luhn: every second digit from the right, the check digit not counted, is doubled.
    doubled = (int(d) * (2 - place % 2) for place, d in enumerate(reversed(digits)))
    return digits + str(-sum(n - 9 if n > 9 else n for n in doubled) % 10)
