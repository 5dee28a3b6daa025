"""Delivery reports read: RFC 3464, RFC 6522."""

from __future__ import annotations

import pytest

from filterd.mail.report import Outcome, has_no_address, is_their_fault, read_report


def dsn(
    *groups: str,
    kind: str = "multipart/report; report-type=delivery-status",
    envelope_id: str | None = None,
    returned: str = "",
) -> bytes:
    """A report as a mail system writes one: words, the machine's part, what came back."""
    first = "Reporting-MTA: dns; mx.example.net\n" + (f"Original-Envelope-Id: {envelope_id}\n" if envelope_id else "")
    status = "\n".join([first, *(f"{group}\n" for group in groups)])
    text = (
        "From: MAILER-DAEMON@mx.example.net\nTo: <notices@filterd.example>\nSubject: Undelivered\n"
        f'MIME-Version: 1.0\nContent-Type: {kind}; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nIt did not work.\n\n"
        f"--b\nContent-Type: message/delivery-status\n\n{status}\n"
        f"--b\nContent-Type: text/rfc822-headers\n\n{returned}\n--b--\n"
    )
    return text.replace("\n", "\r\n").encode()


FAILED = "Final-Recipient: rfc822; x@corp.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no"


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (FAILED, Outcome(action="failed", status="5.1.1", recipients=("x@corp.example",))),
        (
            "Original-Recipient: rfc822; List@corp.example\n" + FAILED,
            Outcome(action="failed", status="5.1.1", recipients=("list@corp.example", "x@corp.example")),
        ),
        ("Action: FAILED\nStatus: 5.2.2 (full)", Outcome(action="failed", status="5.2.2")),
        ("Action: delayed\nStatus: 4.4.1", Outcome(action="delayed", status="4.4.1")),
        ("action:delivered\nstatus:2.0.0", Outcome(action="delivered", status="2.0.0")),
        ("Action:\n  failed\nStatus: 5.007.1", Outcome(action="failed", status="5.7.1")),
    ],
)
def test_each_recipient_has_an_action_and_a_status(group: str, expected: Outcome) -> None:
    report = read_report(dsn(group))
    assert report is not None
    assert report.outcomes == (expected,)
    assert report.failed == (expected if expected.action == "failed" else None)


def test_the_envelope_id_is_read() -> None:
    report = read_report(dsn(FAILED, envelope_id="m_1.a"))
    assert report is not None
    assert report.envelope_id == "m_1.a"


def test_of_several_recipients_the_first_that_failed_counts() -> None:
    report = read_report(dsn("Action: delivered\nStatus: 2.0.0", "Action: failed\nStatus: 5.7.1", FAILED))
    assert report is not None
    assert report.failed == Outcome(action="failed", status="5.7.1")


@pytest.mark.parametrize(
    "group",
    ["Action: gone\nStatus: 5.1.1", "Action: failed\nStatus: 250", "Status: 5.1.1", "nonsense", "Action: failed"],
)
def test_what_is_no_outcome_is_none(group: str) -> None:
    report = read_report(dsn(group))
    assert report is not None
    assert report.outcomes == ()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff" * 50,
        b"Subject: out of office\r\nAuto-Submitted: auto-replied\r\n\r\nBack on Monday. Status: 5.1.1\r\n",
        dsn(FAILED, kind="multipart/mixed"),
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nAction: failed\r\n--b--\r\n",
    ],
)
def test_what_is_no_report_says_nothing(raw: bytes) -> None:
    assert read_report(raw) is None


@pytest.mark.parametrize(
    ("status", "expected"), [("5.1.1", True), ("5.1.10", True), ("5.2.1", True), ("5.2.2", False), ("5.7.1", False)]
)
def test_whose_fault_a_failure_is(status: str, expected: bool) -> None:
    assert is_their_fault(status) is expected


@pytest.mark.parametrize("status", ["5.1.1", "5.1.2", "5.1.10", "5.2.1"])
def test_an_address_that_does_not_exist_is_told_by_its_code(status: str) -> None:
    assert has_no_address(status)


@pytest.mark.parametrize("status", ["", "5.0.0", "5.1.7", "5.1.8", "5.2.2", "5.7.1", "4.1.1"])
def test_a_full_mailbox_a_refusal_or_a_bad_sender_is_no_such_address(status: str) -> None:
    assert not has_no_address(status)
