"""The arguments of MAIL and RCPT as this door takes them (RFC 5321 §4.1.2, §4.1.1.2-3; RFC 1870; RFC 6531).

The grammar itself is in mail/address. Arguments arrive from aiosmtpd as text with surrogates and are octets from here
on. All raise Refused.
"""

from __future__ import annotations

from filterd.doors import smtp_replies as replies
from filterd.doors.smtp_refused import Refused
from filterd.errors import PeerError
from filterd.mail.address import mail_arguments, rcpt_arguments
from filterd.model.session import ForwardPath, Path

# RFC 1870 §4: up to 20 digits.
MAX_SIZE_DIGITS = 20


def octets_of(arg: str | None) -> bytes:
    """Undo aiosmtpd's decoding: UTF-8 with surrogates gives back every octet."""
    return (arg or "").encode("utf-8", "surrogateescape")


def read_mail(arg: str | None) -> tuple[Path | None, tuple[bytes, ...]]:
    """Read the argument of MAIL: the reverse-path, None for the null sender, and the parameters verbatim."""
    try:
        reverse_path, parameters = mail_arguments(_bracketed(octets_of(arg), b"FROM:"))
    except PeerError as err:
        raise Refused(replies.bad_address(str(err), is_sender=True)) from err
    _check_once(parameters)
    return reverse_path, parameters


def read_rcpt(arg: str | None, *, is_utf8: bool) -> ForwardPath:
    """Read the argument of RCPT."""
    try:
        path, parameters = rcpt_arguments(_bracketed(octets_of(arg), b"TO:"), smtputf8=is_utf8)
    except PeerError as err:
        raise Refused(replies.bad_address(str(err), is_sender=False)) from err
    _check_once(parameters)
    return ForwardPath(path=path, parameters=parameters)


def declared_size(parameters: tuple[bytes, ...]) -> int:
    """Say what SIZE= promises, 0 when it is not there."""
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.upper() == b"SIZE":
            if not value.isdigit() or len(value) > MAX_SIZE_DIGITS:
                raise Refused(replies.BAD_SIZE)
            return int(value)
    return 0


def _bracketed(argument: bytes, keyword: bytes) -> bytes:
    """Put `<>` around a bare address (`RCPT TO: a@b`), which Postfix takes and hands on as it came.

    The grammar for what stands between them stays the strict one, so there is one reading of the address only.
    """
    head, rest = argument[: len(keyword)], argument[len(keyword) :].lstrip(b" ")
    if head.upper() != keyword or not rest or rest.startswith((b"<", b'"')):
        return argument
    address, blank, parameters = rest.partition(b" ")
    return head + b"<" + address + b">" + blank + parameters


def _check_once(parameters: tuple[bytes, ...]) -> None:
    names = [parameter.partition(b"=")[0].upper() for parameter in parameters]
    if len(set(names)) < len(names):
        raise Refused(replies.TWICE)
