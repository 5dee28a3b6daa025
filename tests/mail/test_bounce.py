"""A report with the mail attached: read again as what it says, whatever stood in the envelope.  RFC 3464, 6533."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest

from filterd.mail.bounce import MOST_RECIPIENTS, Undelivered, compose_report, parameter
from filterd.mail.report import read_report

AT = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
MAIL = b"Subject: hello\r\n\r\nbody \xff\r\n"


def report(
    *recipients: Undelivered, original: bytes = MAIL, is_whole: bool = True, is_utf8: bool = False, **more: object
) -> bytes:
    given: dict[str, object] = {"envelope_id": None, "text": "It comes back.", **more}
    return compose_report(
        sender="desk@provider.example",
        sender_name="Mail desk",
        to="alice@cust.example",
        subject="Your mail comes back",
        message_id="<m_1.return@provider.example>",
        date=AT,
        reporting_mta="mx.example",
        arrived_at=AT,
        recipients=recipients or (Undelivered(address="bob@other.example", status="5.7.1"),),
        original=original,
        is_whole=is_whole,
        is_utf8=is_utf8,
        **given,  # type: ignore[arg-type]
    )


def test_it_reads_as_what_it_says() -> None:
    raw = report(
        Undelivered(address="bob@other.example", status="5.7.1", original=b"rfc822;Bob+2Bx@other.example"),
        Undelivered(address="carol@other.example", status="4.4.7"),
        envelope_id=b"QQ+2B1",
    )
    said = read_report(raw)
    assert said is not None
    assert said.envelope_id == "QQ+1"
    assert [(x.action, x.status) for x in said.outcomes] == [("failed", "5.7.1"), ("failed", "4.4.7")]
    message = message_from_bytes(raw, policy=policy.default)
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "message/delivery-status",
        "message/rfc822",
    ]
    assert message["Auto-Submitted"] == "auto-replied"
    assert MAIL in raw
    assert b"Original-Recipient: rfc822;Bob+x@other.example\r\n" in raw


def test_only_the_header_is_attached_where_it_has_to_be() -> None:
    raw = report(original=b"Subject: hello\r\n\r\n", is_whole=False)
    assert b"Content-Type: text/rfc822-headers\r\n" in raw


def test_addresses_and_mail_in_utf8_have_the_types_for_it() -> None:
    raw = report(Undelivered(address="用户@例子.example", status="5.7.1"), is_utf8=True)
    assert b"Content-Type: message/global-delivery-status\r\n" in raw
    assert b"Content-Type: message/global\r\n" in raw
    assert "Final-Recipient: utf-8; 用户@例子.example".encode() in raw
    assert b"message/global-headers" in report(is_whole=False, is_utf8=True)


@pytest.mark.parametrize("bad", ["x\r\nAction: delivered", "x\nStatus: 2.0.0", "x\x00y", "x\u2028y"])
def test_no_recipient_can_add_a_field(bad: str) -> None:
    raw = report(Undelivered(address=bad, status="5.7.1", original=b"rfc822;a+0D+0AAction: delivered"))
    said = read_report(raw)
    assert said is not None
    assert [(x.action, x.status) for x in said.outcomes] == [("failed", "5.7.1")]


def test_a_mail_that_holds_the_boundary_gets_another_one() -> None:
    first = report()
    mark = first.split(b'boundary="')[1].split(b'"')[0]
    raw = report(original=b"Subject: x\r\n\r\n--" + mark + b"--\r\n")
    assert b'boundary="' + mark not in raw
    assert read_report(raw) is not None


def test_a_long_list_is_cut() -> None:
    many = [Undelivered(address=f"p{n}@x.example", status="5.7.1") for n in range(MOST_RECIPIENTS + 5)]
    assert report(*many).count(b"Final-Recipient:") == MOST_RECIPIENTS


def test_a_parameter_is_found_in_any_case() -> None:
    assert parameter((b"SIZE=9", b"envid=A=b"), b"ENVID") == b"A=b"
    assert parameter((b"ENVIDX=1",), b"ENVID") is None
