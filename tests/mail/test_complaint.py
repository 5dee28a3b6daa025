"""Reports are read whatever is in them, and say no more than by what our own record of a mail is found."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.mail.complaint import LIMITS, Reported, read_complaint

TRACE = "X-Filterd-Id"
TX = "t_" + "0" * 25 + "1"

ARF = f"""From: "bob@other.example" <feedback@isp.example>
To: abuse@provider.example
Subject: FW: win
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is an email abuse report for 192.0.2.1, received by bob@other.example on 3 May.
--b
Content-Type: message/feedback-report

Feedback-Type: Abuse
User-Agent: Feedback/1
Version: 1
Original-Rcpt-To: <Bob@other.example>
Original-Rcpt-To: carol@other.example
Original-Mail-From: <alice@cust.example>

--b
Content-Type: message/rfc822

From: alice@cust.example
Message-ID: <one@cust.example>
X-Filterd-Id: {TX} fp=0123
Subject: win

Buy now
--b--
""".replace("\n", "\r\n").encode()

PLAIN = b"""From: Bob <bob@other.example>\r
To: abuse@provider.example\r
In-Reply-To: <one@cust.example>\r
References: <zero@cust.example> <one@cust.example>\r
\r
Please make THIS stop, 17 times now!\r
"""


def read(raw: bytes) -> Reported:
    return read_complaint(raw, TRACE)


def test_a_feedback_report_names_the_mail_and_whom_it_went_to() -> None:
    assert read(ARF) == Reported(
        feedback="abuse",
        transactions=(TX,),
        message_ids=("<one@cust.example>",),
        recipients=("bob@other.example", "carol@other.example"),
        author="feedback@isp.example",
        words="this is an email abuse report for received by on may",
    )


def test_the_header_alone_is_enough() -> None:
    cut = ARF.replace(b"message/rfc822", b"text/rfc822-headers")
    assert (read(cut).message_ids, read(cut).transactions) == (("<one@cust.example>",), (TX,))


def test_an_answer_in_words_names_the_mail_it_answers() -> None:
    said = read(PLAIN)
    assert (said.is_arf, said.author, said.recipients) == (False, "bob@other.example", ())
    assert said.message_ids == ("<one@cust.example>", "<zero@cust.example>")
    assert said.words == "please make this stop times now"


def test_a_mail_forwarded_as_an_attachment_names_itself_and_not_what_it_answers() -> None:
    mail = ARF.replace(b"message/feedback-report", b"text/x-note")
    said = read(mail)
    assert (said.is_arf, said.message_ids) == (False, ("<one@cust.example>",))


@pytest.mark.parametrize(
    ("kind", "feedback"), [("not-spam", "not-spam"), ("NOT-SPAM", "not-spam"), ("x-new", "other"), ("", "other")]
)
def test_a_kind_nobody_knows_is_other(kind: str, feedback: str) -> None:
    assert read(ARF.replace(b"Feedback-Type: Abuse", b"Feedback-Type: " + kind.encode())).feedback == feedback


def test_what_is_no_id_of_ours_names_no_transaction() -> None:
    for forged in (b"t_1", b"'; drop table", TX.encode() + b"x", b"a_" + TX.encode()[2:]):
        assert read(ARF.replace(TX.encode(), forged)).transactions == ()


def test_a_report_names_no_more_than_it_can_be_about() -> None:
    many = "".join(f"Original-Rcpt-To: u{n}@other.example\r\n" for n in range(5000)).encode()
    said = read(ARF.replace(b"Original-Mail-From:", many + b"Original-Mail-From:"))
    assert len(said.recipients) <= 100
    ids = b" ".join(b"<%d@x>" % n for n in range(5000))
    assert len(read(PLAIN.replace(b"<zero@cust.example>", ids)).message_ids) <= 6


def test_nested_reports_end_somewhere() -> None:
    inner = ARF
    for _ in range(LIMITS.depth + 5):
        inner = b"Content-Type: message/rfc822\r\n\r\n" + inner
    assert isinstance(read(inner), Reported)


@given(st.binary(max_size=400))
def test_any_octets_are_read(raw: bytes) -> None:
    assert isinstance(read(raw), Reported)


@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_a_report_with_any_octets_changed_is_read(dice: random.Random, number: int) -> None:
    raw = bytearray(ARF)
    for _ in range(number):
        raw[dice.randrange(len(raw))] = dice.randrange(256)
    said = read(bytes(raw))
    assert len(said.recipients) <= 100
    assert len(said.message_ids) <= 6
