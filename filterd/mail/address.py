"""Envelope paths: the strict grammar of RFC 5321 §4.1.2 on octets, with RFC 6531 §3.3 when SMTPUTF8 was asked for.

Refused, each with PeerError: a path without angle brackets, comments, source routes, NUL and other control characters,
octets that are not UTF-8, UTF-8 without SMTPUTF8, and paths over the limits of §4.5.3.1.
Source routes: the standard says SHOULD be ignored. They are refused, because a route that one program strips and
another keeps gives one mailbox two identities (FAULTS F14); nobody has sent them in earnest for decades.
Accepted beyond the letter: blanks after `FROM:` and `TO:` (Postfix accepts them, and hands its client's command on
as it came) and underscores in domains.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata

from filterd.errors import PeerError
from filterd.mail.names import canonical_domain, canonical_login
from filterd.model.session import Path

__all__ = [
    "canonical_domain",
    "canonical_login",
    "mail_arguments",
    "mailbox_as_given",
    "parse_forward_path",
    "parse_reverse_path",
    "rcpt_arguments",
]

# RFC 5321 §4.5.3.1.1, .2 and .3, in octets.
MAX_LOCAL_PART_BYTES = 64
MAX_DOMAIN_BYTES = 255
MAX_PATH_BYTES = 256

# The path ends at the first `>` outside a quoted string. Possessive: linear on any input.
_BRACKETED = re.compile(rb'<(?>(?:"(?>(?:[^"\\]|\\.)*)"|[^">])*)>')
_ATOM = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]++"
_DOT_STRING = re.compile(rb"%b(?>(?:\.%b)*)" % (_ATOM, _ATOM))
_QUOTED = re.compile(rb'"(?>(?:[\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\x20-\x7e])*)"')
_LABEL = rb"[A-Za-z0-9_\x80-\xff](?:[A-Za-z0-9_\x80-\xff-]{0,251}[A-Za-z0-9_\x80-\xff])?"
_DOMAIN = re.compile(rb"%b(?:\.%b)*" % (_LABEL, _LABEL))
_PARAMETER = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*+(?:=[^\x00-\x20\x7f]+)?")


def mail_arguments(argument: bytes) -> tuple[Path | None, tuple[bytes, ...]]:
    """Read what follows `MAIL `: the reverse-path (None for `<>`) and the parameters verbatim."""
    path, parameters = _split(argument, b"FROM:")
    smtputf8 = any(p.upper() == b"SMTPUTF8" for p in parameters)
    return parse_reverse_path(path, smtputf8=smtputf8), parameters


def rcpt_arguments(argument: bytes, *, smtputf8: bool = False) -> tuple[Path, tuple[bytes, ...]]:
    """Read what follows `RCPT `: the forward-path and the parameters verbatim."""
    path, parameters = _split(argument, b"TO:")
    return parse_forward_path(path, smtputf8=smtputf8), parameters


def parse_reverse_path(path: bytes, *, smtputf8: bool = False) -> Path | None:
    """Read `<local@domain>`; None is the null sender `<>`. Raises PeerError with a text that may be shown."""
    return None if path == b"<>" else _mailbox(path, smtputf8=smtputf8)


def parse_forward_path(path: bytes, *, smtputf8: bool = False) -> Path:
    """Read `<local@domain>` or `<Postmaster>` (RFC 5321 §4.1.1.3), whose `domain` is empty. Raises PeerError."""
    if path.lower() == b"<postmaster>":
        return Path(raw=path[1:-1], local_part="postmaster", domain="")
    return _mailbox(path, smtputf8=smtputf8)


def mailbox_as_given(octets: bytes) -> Path:
    """Read an address that an MTA has already taken, where the grammar here would not: Postfix says addresses in their
    internal form, without quotes, and local names without a domain.

    An internal form that can be written by the grammar is written so (RFC 5321 §4.1.2): `a b@x` is `"a b"@x` in every
    room, and a next hop takes it. Anything else stays as it came.
    """
    local_part, at, domain = octets.rpartition(b"@")
    if not at:
        local_part, domain = octets, b""
    elif (known := _from_internal(local_part, domain)) is not None:
        return known
    return Path(
        raw=octets,
        local_part=local_part.decode("utf-8", "backslashreplace"),
        domain=domain.decode("utf-8", "backslashreplace").lower(),
    )


def _from_internal(local_part: bytes, domain: bytes) -> Path | None:
    """Quote a local part. None where there is none, for what no quotes make an address of, for what has its quotes
    already, and for what might be a source route."""
    if not local_part or local_part.startswith(b"@") or _QUOTED.fullmatch(local_part):
        return None
    spelled = local_part if _DOT_STRING.fullmatch(local_part) else _quoted(local_part)
    try:
        _check_utf8(spelled + domain)
        return Path(raw=spelled + b"@" + domain, local_part=_local_part(spelled), domain=_domain(domain))
    except (PeerError, UnicodeDecodeError):
        return None


def _quoted(plain: bytes) -> bytes:
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", plain) + b'"'


def _split(argument: bytes, keyword: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    if argument[: len(keyword)].upper() != keyword:
        raise PeerError(f"expected {keyword.decode()}<address>")
    rest = argument[len(keyword) :].strip(b" ")
    bracketed = _BRACKETED.match(rest)
    if bracketed is None:
        raise PeerError("address must stand in angle brackets")
    tail = rest[bracketed.end() :]
    if tail and not tail.startswith(b" "):
        raise PeerError("no blank after the address")
    parameters = tuple(filter(None, tail.split(b" ")))
    if not all(_PARAMETER.fullmatch(p) for p in parameters):
        raise PeerError("syntax error in parameters")
    return bracketed[0], parameters


def _mailbox(path: bytes, *, smtputf8: bool) -> Path:
    if len(path) > MAX_PATH_BYTES:
        raise PeerError("address too long")
    inner = path[1:-1]
    if not (path.startswith(b"<") and path.endswith(b">")) or len(path) < 3:
        raise PeerError("address must stand in angle brackets")
    if inner.startswith(b"@"):
        raise PeerError("source routes are not accepted")
    if not inner.isascii():
        if not smtputf8:
            raise PeerError("non-ASCII address needs SMTPUTF8")
        _check_utf8(inner)
    local_part, at, domain = inner.rpartition(b"@")
    # A quoted local part may hold an `@`; an address literal holds none, so the last one parts them.
    if not at:
        raise PeerError("address has no domain")
    if len(local_part) > MAX_LOCAL_PART_BYTES or len(domain) > MAX_DOMAIN_BYTES:
        raise PeerError("address too long")
    return Path(raw=inner, local_part=_local_part(local_part), domain=_domain(domain))


def _check_utf8(octets: bytes) -> None:
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as err:
        raise PeerError("address is not UTF-8") from err
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text):
        raise PeerError("control character in address")


def _local_part(octets: bytes) -> str:
    """Give the one spelling of a local part: quoted only where it must be (RFC 5321 §4.1.2), in NFC."""
    if _DOT_STRING.fullmatch(octets):
        return unicodedata.normalize("NFC", octets.decode("utf-8"))
    if not _QUOTED.fullmatch(octets):
        raise PeerError("syntax error in local part")
    plain = re.sub(rb"\\(.)", rb"\1", octets[1:-1])
    spelled = plain if _DOT_STRING.fullmatch(plain) else _quoted(plain)
    return unicodedata.normalize("NFC", spelled.decode("utf-8"))


def _domain(octets: bytes) -> str:
    if octets.startswith(b"[") and octets.endswith(b"]"):
        return _literal(octets[1:-1])
    if not _DOMAIN.fullmatch(octets):
        raise PeerError("syntax error in domain")
    return canonical_domain(octets.decode("utf-8"))


def _literal(octets: bytes) -> str:
    """Give an address literal in the one spelling of the address.  RFC 5321 §4.1.3."""
    text = octets.decode("ascii", "replace")
    is_six = text[:5].lower() == "ipv6:"
    try:
        if is_six and "%" not in text:
            return f"[ipv6:{ipaddress.IPv6Address(text[5:]).compressed}]"
        return f"[{ipaddress.IPv4Address(text)}]"
    except ValueError as err:
        raise PeerError("syntax error in address literal") from err
