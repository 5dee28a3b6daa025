"""Mail that we write ourselves: notices and reports.  RFC 5322, 2045, 3834.

One text part, and mails attached to it. No value can add a field: what goes into the header is checked here and again
when it is written (FAULTS 55). Time and ids are given by the caller.
"""

from __future__ import annotations

import hashlib
import re
from base64 import encodebytes
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime

from filterd.errors import PeerError, UsageError
from filterd.mail.address import parse_forward_path
from filterd.mail.edit import render_field
from filterd.mail.words import encode

_MESSAGE_ID = re.compile(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,200}@[A-Za-z0-9.\[\]:-]{1,255}>")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_LINE_ENDS = re.compile("\r\n|[\r\n\v\f\x85\u2028\u2029]")
# RFC 5322 §2.1.1, in octets without the line end.
_MAX_LINE_BYTES = 998
# Fields this function writes itself.
_OWN = frozenset(
    {"from", "to", "subject", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding"}
)


def compose(
    *,
    sender: str,
    sender_name: str | None = None,
    to: Sequence[str],
    subject: str,
    text: str,
    message_id: str,
    date: datetime,
    auto_submitted: str = "auto-generated",
    fields: Sequence[tuple[str, str]] = (),
    attached: Sequence[bytes] = (),
) -> bytes:
    """Write a plain-text mail with CRLF line ends.

    Args:
        sender: address of From, without angle brackets; `sender_name` the display name.
        to: addresses.
        subject: line ends and other controls become blanks.
        text: any line ends; control characters but tabs are dropped.
        message_id: with angle brackets.
        date: aware.
        auto_submitted: RFC 3834 §5: auto-generated, auto-replied or no.
        fields: further (name, value), for example List-Unsubscribe or In-Reply-To.
        attached: parts behind the text, made by `mail_part`.

    Raises:
        UsageError: an address, a name or a value that cannot stand in a header.
    """
    head = letterhead(
        sender=sender,
        sender_name=sender_name,
        to=to,
        subject=subject,
        message_id=message_id,
        date=date,
        auto_submitted=auto_submitted,
        fields=fields,
    )
    if not attached:
        return head + text_part(text)
    return head + multipart(b"multipart/mixed", message_id, [text_part(text), *attached])


def letterhead(
    *,
    sender: str,
    sender_name: str | None,
    to: Sequence[str],
    subject: str,
    message_id: str,
    date: datetime,
    auto_submitted: str,
    fields: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Write the header of a mail up to its type, as `compose` does."""
    if date.tzinfo is None:
        raise UsageError("the date of a mail needs a time zone")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise UsageError(f"not a message id: {message_id!r}")
    if not to:
        raise UsageError("a mail needs a recipient")
    own = {name.lower() for name, _ in fields} & _OWN
    if own:
        raise UsageError(f"written from arguments, not from fields: {', '.join(sorted(own))}")
    header = [
        _addresses("From", [_mailbox(sender, sender_name)]),
        _addresses("To", [_checked(address) for address in to]),
        render_field("Subject", " ".join(_CONTROLS.sub(" ", _LINE_ENDS.sub(" ", subject)).split())),
        render_field("Date", format_datetime(date)),
        render_field("Message-ID", message_id),
        render_field("Auto-Submitted", auto_submitted),
        *(render_field(name, value) for name, value in fields),
        render_field("MIME-Version", "1.0"),
    ]
    return b"".join(header)


def text_part(text: str) -> bytes:
    """Write a text with the fields that say what it is."""
    body, encoding = _body(text)
    fields = render_field("Content-Type", "text/plain; charset=utf-8") + render_field(
        "Content-Transfer-Encoding", encoding
    )
    return fields + b"\r\n" + body


def mail_part(raw: bytes, *, is_whole: bool, is_utf8: bool) -> bytes:
    """Write a part that is another mail, or its header alone where `is_whole` is False. RFC 2046 §5.2, 3462, 6532."""
    if is_whole:
        return part(b"message/global" if is_utf8 else b"message/rfc822", raw)
    return part(b"message/global-headers" if is_utf8 else b"text/rfc822-headers", raw)


def part(kind: bytes, content: bytes) -> bytes:
    """Write a part as it is; nothing in it is encoded."""
    encoding = b"7bit" if content.isascii() else b"8bit"
    return b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + content


def multipart(kind: bytes, message_id: str, parts: Sequence[bytes]) -> bytes:
    """Write parts with the field that names their boundary. `kind`: with its parameters but that."""
    mark = _boundary(message_id, parts)
    kind_line = b"Content-Type: " + kind + b';\r\n boundary="' + mark + b'"\r\n'
    body = b"".join(b"--" + mark + b"\r\n" + each.removesuffix(b"\r\n") + b"\r\n" for each in parts)
    return kind_line + b"\r\n" + body + b"--" + mark + b"--\r\n"


def _boundary(message_id: str, parts: Sequence[bytes]) -> bytes:
    """Say a line that no part holds."""
    number = 0
    while True:
        mark = hashlib.sha256(f"{message_id} {number}".encode()).hexdigest()[:32].encode("ascii")
        if not any(mark in each for each in parts):
            return mark
        number += 1


def _body(text: str) -> tuple[bytes, str]:
    lines = [_CONTROLS.sub("", line).encode("utf-8", "replace") for line in _LINE_ENDS.split(text)]
    body = b"\r\n".join(lines).rstrip(b"\r\n") + b"\r\n"
    if any(len(line) > _MAX_LINE_BYTES for line in lines):
        return encodebytes(body).replace(b"\n", b"\r\n"), "base64"
    return body, "7bit" if body.isascii() else "8bit"


def _addresses(name: str, mailboxes: list[bytes]) -> bytes:
    """Write a field of addresses, one a line. Addresses of RFC 6531 stay UTF-8: no other form exists."""
    return name.encode("ascii") + b": " + b",\r\n ".join(mailboxes) + b"\r\n"


def _mailbox(address: str, display_name: str | None) -> bytes:
    checked = _checked(address)
    if not display_name:
        return checked
    if _CONTROLS.search(display_name) or _LINE_ENDS.search(display_name):
        raise UsageError("a control character in a display name")
    if display_name.isascii() and "=?" not in display_name:
        quoted = display_name.replace("\\", "\\\\").replace('"', '\\"')
        phrase = display_name if _ATOMS.fullmatch(display_name) else f'"{quoted}"'
    else:
        phrase = encode(display_name).replace(" ", "\r\n ")
    return f"{phrase} <".encode("ascii") + checked + b">"


def _checked(address: str) -> bytes:
    try:
        return parse_forward_path(f"<{address}>".encode(), smtputf8=True).raw
    except (PeerError, UnicodeEncodeError) as err:
        raise UsageError(f"not a mail address: {address!r}") from err
