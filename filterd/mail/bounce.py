"""A report that a mail was not delivered, with the mail itself.  RFC 3464, 6522, 6533, 3462; read by `report`.

For whoever sent it with their own credential; never for whom an envelope names. What came from outside stands in it as
octets of the attached mail, or is checked: a recipient cannot add a field.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from filterd.mail.compose import letterhead, mail_part, multipart, part, text_part

# A person reads no more of a list, and the text says how many there were.
MOST_RECIPIENTS = 1000

_XTEXT = re.compile(rb"\+([0-9A-F]{2})")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """One recipient. `status` is an enhanced code, `original` what ORCPT said, still in xtext, None where it said
    nothing."""

    address: str
    status: str
    original: bytes | None = None


def compose_report(
    *,
    sender: str,
    sender_name: str | None,
    to: str,
    subject: str,
    text: str,
    message_id: str,
    date: datetime,
    reporting_mta: str,
    arrived_at: datetime,
    recipients: Sequence[Undelivered],
    envelope_id: bytes | None,
    original: bytes | None,
    is_whole: bool,
    is_utf8: bool,
) -> bytes:
    """Write a report.

    Args:
        text: for people.
        reporting_mta: our name in DNS.
        envelope_id: ENVID as the client gave it, in xtext; None: none.
        original: octets of the mail, or of its header where `is_whole` is False; None: nothing of it is attached.
        is_utf8: the mail came with SMTPUTF8.

    Raises UsageError for what cannot stand in a header.
    """
    head = letterhead(
        sender=sender,
        sender_name=sender_name,
        to=[to],
        subject=subject,
        message_id=message_id,
        date=date,
        # RFC 3834 §5: it answers nothing, but it follows from what its reader did.
        auto_submitted="auto-replied",
    )
    status, is_global = _status(reporting_mta, arrived_at, recipients, envelope_id)
    kind = b"message/global-delivery-status" if is_global else b"message/delivery-status"
    parts = [text_part(text), part(kind, status)]
    if original is not None:
        parts.append(mail_part(original, is_whole=is_whole, is_utf8=is_utf8))
    return head + multipart(b"multipart/report; report-type=delivery-status", message_id, parts)


def parameter(parameters: Sequence[bytes], name: bytes) -> bytes | None:
    """Say the value of an ESMTP parameter, None where it is not among them."""
    return next((x[len(name) + 1 :] for x in parameters if x.upper().startswith(name + b"=")), None)


def _status(
    reporting_mta: str, arrived_at: datetime, recipients: Sequence[Undelivered], envelope_id: bytes | None
) -> tuple[bytes, bool]:
    """Write the part for machines; say also whether it holds more than ASCII (RFC 6533 §4)."""
    groups = [
        [
            *([f"Original-Envelope-Id: {_clear(envelope_id)}"] if envelope_id is not None else []),
            f"Reporting-MTA: dns; {_printable(reporting_mta)}",
            f"Arrival-Date: {format_datetime(arrived_at)}",
        ]
    ]
    for item in recipients[:MOST_RECIPIENTS]:
        address = _printable(item.address)
        group = [] if item.original is None else [f"Original-Recipient: {_clear(item.original)}"]
        kind = "rfc822" if address.isascii() else "utf-8"
        groups.append([*group, f"Final-Recipient: {kind}; {address}", "Action: failed", f"Status: {item.status}"])
    text = "\r\n".join("\r\n".join(group) + "\r\n" for group in groups)
    return text.encode("utf-8", "replace"), not text.isascii()


def _clear(xtext: bytes) -> str:
    """Undo xtext (RFC 3461 §4)."""
    return _printable(_XTEXT.sub(lambda m: bytes([int(m[1], 16)]), xtext).decode("utf-8", "replace"))


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("?", text)
