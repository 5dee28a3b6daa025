"""A log-in by a script is told from one by a mail program; no mail program is ever taken for a script.  TX-3.4.3."""

from __future__ import annotations

from dataclasses import replace

import pytest

from filterd.checks import rate
from filterd.checks.rate_client import automated
from filterd.checks.spec import Context
from filterd.config.checks import RateConfig
from filterd.mail.parse import parse
from filterd.model.decision import Counts
from filterd.model.principal import NOBODY
from filterd.model.session import Direction
from filterd.model.verdict import Verdict
from tests.checks.contexts import context, transaction

HEAD = b"From: a@example.com\r\nDate: Mon, 2 Mar 2026 09:00:00 +0800\r\nMessage-ID: <1@example.com>\r\n"
BARE = b"From: a@example.com\r\nSubject: x\r\n\r\nx\r\n"

# As these programs write it, by field; None: they say nothing of themselves.
PROGRAMS = [
    ("User-Agent", "Mozilla Thunderbird"),
    ("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:102.0) Gecko/20100101 Thunderbird/102.15.1"),
    ("X-Mailer", "Microsoft Outlook 16.0"),
    ("X-Mailer", "Microsoft Office Outlook 12.0"),
    ("X-Mailer", "Microsoft Windows Live Mail 16.4.3528.331"),
    ("X-Mailer", "Apple Mail (2.3774.500.171.1.1)"),
    ("X-Mailer", "iPhone Mail (21E236)"),
    ("X-Mailer", "Foxmail 7.2.25.245[cn]"),
    ("X-Mailer", "QQMail 2.x"),
    ("X-Mailer", "Coremail Webmail Server Version XT5.0.14 build 20230109(dcb5de15)"),
    ("X-Mailer", "eM_Client/9.2.2157.0"),
    ("X-Mailer", "Evolution 3.50.3 (3.50.3-1.fc39)"),
    ("X-Mailer", "Claws Mail 4.2.0 (GTK 3.24.38; x86_64-pc-linux-gnu)"),
    ("X-Mailer", "The Bat! (v10.3.3) Professional"),
    ("X-Mailer", "Lotus Notes Release 9.0.1"),
    ("X-Mailer", "Zimbra 9.0.0_GA_4583 (ZimbraWebClient - GC121 (Win)/9.0.0_GA_4583)"),
    ("X-Mailer", "Open-Xchange Mailer v8.20.396"),
    ("User-Agent", "Roundcube Webmail/1.6.6"),
    ("User-Agent", "K-9 Mail for Android"),
    ("User-Agent", "Mutt/2.2.12 (2023-09-09)"),
    ("User-Agent", "NeoMutt/20231221"),
    ("User-Agent", "Alpine 2.26 (DEB 649 2022-06-02)"),
    ("User-Agent", "Gnus/5.13 (Gnus v5.13)"),
    ("User-Agent", "mu4e 1.10.8; emacs 29.1"),
    ("User-Agent", "aerc/0.17.0"),
    ("User-Agent", "KMail/5.24.5"),
    ("User-Agent", "SOGoMail 5.9.1"),
    ("User-Agent", "Horde Application Framework 5"),
    ("User-Agent", "SquirrelMail/1.4.23 [SVN]"),
    ("User-Agent", "Microsoft-MacOutlook/16.83.24031120"),
    # Names that only begin alike.
    ("X-Mailer", "Pythonic Mail 3"),
    ("X-Mailer", "Curly Mail"),
    (None, ""),
]
GREETINGS = [
    "[192.168.1.5]",
    "[127.0.0.1]",
    "DESKTOP-4F7K2PA",
    "smtpclient.apple",
    "localhost.localdomain",
    "pc.example",
]


def made(raw: bytes, helo: str | None = "pc.example") -> Context:
    session = replace(transaction().session, helo=helo)
    return context(raw, message=parse(raw), transaction=transaction(raw, session=session), counts=Counts())


def verdict(given: Context) -> Verdict:
    answer = rate.make(RateConfig(), timeout_s=5).run.at_once(given)  # type: ignore[attr-defined]
    assert isinstance(answer, Verdict)
    return answer


@pytest.mark.parametrize(("field", "name"), PROGRAMS)
def test_no_ordinary_mail_program_is_taken_for_a_script(field: str | None, name: str) -> None:
    raw = HEAD + (f"{field}: {name}\r\n".encode() if field is not None else b"") + b"\r\nx\r\n"
    for helo in (*GREETINGS, None):
        given = made(raw, helo)
        assert automated(given.message, given.transaction.session) is None
        assert verdict(given).findings == ()


@pytest.mark.parametrize("left_out", [b"Date", b"Message-ID"])
def test_one_field_left_out_is_no_sign(left_out: bytes) -> None:
    """Some programs leave the Message-ID to the server."""
    lines = [x for x in HEAD.splitlines(keepends=True) if not x.startswith(left_out)]
    given = made(b"".join(lines) + b"\r\nx\r\n")
    assert automated(given.message, given.transaction.session) is None


@pytest.mark.parametrize(
    ("raw", "helo", "sign"),
    [
        (
            HEAD + b"X-Mailer: PHPMailer 6.9.1 (https://github.com/PHPMailer/PHPMailer)\r\n\r\nx",
            "a",
            ("tool", "phpmailer"),
        ),
        (HEAD + b"X-Mailer: PHP/8.2.7\r\n\r\nx", "a", ("tool", "php")),
        (HEAD + b"X-Mailer: swaks v20201014.0 jetmore.org/john/code/swaks/\r\n\r\nx", "a", ("tool", "swaks")),
        (HEAD + b"X-Mailer: MIME::Lite 3.033 (F2.85; T2.17)\r\n\r\nx", "a", ("tool", "mime::lite")),
        (HEAD + b"X-Mailer: sendEmail-1.56\r\n\r\nx", "a", ("tool", "sendemail")),
        (HEAD + b"x-mailer:  Microsoft CDO for Windows 2000\r\n\r\nx", "a", ("tool", "microsoft cdo")),
        (HEAD + b"User-Agent: python\r\n\r\nx", "a", ("tool", "python")),
        (HEAD + b"\r\nx", "ylmf-pc", ("helo", "ylmf-pc")),
        (HEAD + b"\r\nx", "YLMF-PC", ("helo", "ylmf-pc")),
        (BARE, "a", ("fields", "none")),
    ],
)
def test_what_only_programs_do_is_found(raw: bytes, helo: str, sign: tuple[str, str]) -> None:
    (found,) = verdict(made(raw, helo)).findings
    # What it says of itself is one of our own words, never a word of the mail.
    assert (found.code, found.why) == ("rate.client.automated", (sign,))


def test_it_is_asked_of_accounts_of_ours_alone() -> None:
    given = made(BARE)
    assert verdict(replace(given, direction=Direction.INBOUND)).findings == ()
    assert verdict(replace(given, principal=NOBODY)).findings == ()
