"""A signature field as octets → what it says.  RFC 6376 §3.5; for ARC-Message-Signature RFC 8617 §4.1.2.

What cannot be read becomes `Unread` with its fate, never an exception (FAULTS F8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from filterd.checks.dkim.fate import Fate
from filterd.checks.dkim.tags import base64, names, number, read, without_signature
from filterd.errors import PeerError
from filterd.mail.names import canonical_domain

# Long fields in real mail have some 2 kB, most of it h=.
MAX_FIELD_BYTES = 16_384
# RFC 1035 §2.3.4: text form without the root dot.
MAX_NAME = 253
# RFC 6008 §4: at least so many characters of b= in header.b.
SHOWN_CHARS = 8
# RFC 5321 §4.5.3.1.1.
_MAX_LOCAL_PART = 64

ALGORITHMS = {b"rsa-sha256": "rsa-sha256", b"ed25519-sha256": "ed25519-sha256", b"rsa-sha1": "rsa-sha1"}
_FORMS = {b"simple": "simple", b"relaxed": "relaxed"}
# Letters, digits, hyphens as RFC 6376 wants them, and the underscores that people use in selectors.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature that can be checked.

    Args:
        unsigned: the whole field with the value of b= taken out (§3.7), as octets of the mail.
        domain: d=, lower-case A-labels. `selector` likewise.
        identity: the domain in i=, d= when there is none.
        header_form: "simple" or "relaxed"; `body_form` likewise.
        signed: h= in lower case, in order.
        length: l= in octets of the canonical body, None when all of it is signed.
        signed_at: t=, `expires_at`: x=; seconds since 1970, None when absent.
        instance: i= of an ARC field, None for DKIM.
    """

    unsigned: bytes
    algorithm: str
    domain: str
    selector: str
    identity: str
    header_form: str
    body_form: str
    signed: tuple[str, ...]
    body_hash: bytes
    signature: bytes
    properties: tuple[tuple[str, str], ...]
    length: int | None = None
    signed_at: int | None = None
    expires_at: int | None = None
    instance: int | None = None

    @property
    def key_name(self) -> str:
        return key_name(self.selector, self.domain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A signature that cannot be checked, with as much of it for the record as could be read."""

    fate: Fate
    properties: tuple[tuple[str, str], ...] = ()


def key_name(selector: str, domain: str) -> str:
    """Say where the key is.  RFC 6376 §3.6.2.1."""
    return f"{selector}._domainkey.{domain}"


def domain_name(value: bytes) -> str | None:
    """Read a domain or selector: lower-case A-labels (RFC 8616 §4), or None when it cannot stand in DNS."""
    try:
        text = value.decode()
        name = text.lower() if value.isascii() else canonical_domain(text)
    except (UnicodeDecodeError, PeerError):
        return None
    return name if len(name) <= MAX_NAME and _DOMAIN.fullmatch(name) else None


def read_dkim(raw: bytes) -> Signature | Unread:
    """Read a DKIM-Signature field."""
    value, start = _tags(raw)
    if value is None:
        return Unread(fate=Fate.SYNTAX)
    if value.get(b"v") != b"1":
        return Unread(fate=Fate.SYNTAX, properties=_Values(value).properties)
    if b"q" in value and "dns/txt" not in names(value[b"q"]):
        return Unread(fate=Fate.QUERY, properties=_Values(value).properties)
    return _read(raw, start, value, forms=b"simple/simple", identity=value.get(b"i"))


def read_arc(raw: bytes) -> Signature | Unread:
    """Read an ARC-Message-Signature field: no v=, and i= is the instance."""
    value, start = _tags(raw)
    instance = arc_instance(value) if value else None
    if value is None or instance is None:
        return Unread(fate=Fate.SYNTAX)
    # RFC 8617 §4.1.2 says nothing of c=, and sealers took the silence for relaxed/relaxed.
    return _read(raw, start, value, forms=b"relaxed/relaxed", instance=instance)


def arc_instance(value: dict[bytes, bytes]) -> int | None:
    """Say i= of an ARC field, 1 to 50 (RFC 8617 §4.2.1); None when it is not that."""
    said = value.get(b"i", b"")
    instance = number(said) if len(said) <= 2 else None
    return instance if instance is not None and 1 <= instance <= 50 else None


def _tags(raw: bytes) -> tuple[dict[bytes, bytes] | None, int]:
    """Give the tags of a field, and where in it the tag list starts."""
    start = raw.find(b":") + 1
    return (read(raw[start:]) if len(raw) <= MAX_FIELD_BYTES else None), start


class _Values:
    """The tags that name a signature, each None when it is absent or unsound."""

    def __init__(self, value: dict[bytes, bytes]):
        self.domain = domain_name(value.get(b"d", b""))
        self.selector = domain_name(value.get(b"s", b""))
        self.algorithm = ALGORITHMS.get(value.get(b"a", b""))
        self.signature = base64(value.get(b"b", b""))
        said = (
            ("header.d", self.domain),
            ("header.i", _told_identity(value.get(b"i", b""), self.domain)),
            ("header.s", self.selector),
            ("header.a", self.algorithm),
            # RFC 6008: enough of the signature to tell it from others.
            ("header.b", b"".join(value[b"b"].split())[:SHOWN_CHARS].decode("ascii") if self.signature else None),
        )
        self.properties = tuple((name, text) for name, text in said if text is not None)


def _read(
    raw: bytes,
    start: int,
    value: dict[bytes, bytes],
    *,
    forms: bytes,
    identity: bytes | None = None,
    instance: int | None = None,
) -> Signature | Unread:
    named = _Values(value)
    domain, selector, signature = named.domain, named.selector, named.signature
    if not value.keys() >= {b"a", b"b", b"bh", b"d", b"h", b"s"}:
        return Unread(fate=Fate.SYNTAX, properties=named.properties)
    if named.algorithm is None:
        return Unread(fate=Fate.ALGORITHM, properties=named.properties)
    if named.algorithm == "rsa-sha1":
        # RFC 8301 §3.1: MUST NOT be taken as valid.
        return Unread(fate=Fate.SHA1, properties=named.properties)
    numbers = {name: number(value[name]) for name in (b"t", b"x", b"l") if name in value}
    signed_at, expires_at, length = numbers.get(b"t"), numbers.get(b"x"), numbers.get(b"l")
    body_hash, both_forms = base64(value[b"bh"]), _forms(value.get(b"c", forms))
    of = domain if identity is None else _identity(identity)
    if (
        domain is None
        or selector is None
        or len(key_name(selector, domain)) > MAX_NAME
        or of is None
        or body_hash is None
        or signature is None
        or both_forms is None
        or None in numbers.values()
        # RFC 6376 §3.5, x=: greater than t= when both are there.
        or (signed_at is not None and expires_at is not None and expires_at < signed_at)
    ):
        return Unread(fate=Fate.SYNTAX, properties=named.properties)
    if of != domain and not of.endswith(f".{domain}"):
        return Unread(fate=Fate.IDENTITY, properties=named.properties)
    return Signature(
        unsigned=raw[:start] + without_signature(raw[start:]),
        algorithm=named.algorithm,
        domain=domain,
        selector=selector,
        identity=of,
        header_form=both_forms[0],
        body_form=both_forms[1],
        signed=names(value[b"h"]),
        body_hash=body_hash,
        signature=signature,
        properties=named.properties,
        length=length,
        signed_at=signed_at,
        expires_at=expires_at,
        instance=instance,
    )


def _identity(value: bytes) -> str | None:
    """Say the domain of i=, which may have nothing before its `@`."""
    _, at, domain = value.rpartition(b"@")
    return domain_name(domain) if at else None


def _told_identity(value: bytes, domain: str | None) -> str | None:
    """Say i= for the record (RFC 8601 §2.7.1); None where it says no more than d= does, or is unsound."""
    local_part = value.rpartition(b"@")[0]
    of = _identity(value)
    if of is None or domain is None or (of != domain and not of.endswith(f".{domain}")):
        return None
    if not (local_part or of != domain) or len(local_part) > _MAX_LOCAL_PART or not local_part.isascii():
        return None
    return f"{local_part.decode('ascii')}@{of}"


def _forms(value: bytes) -> tuple[str, str] | None:
    """Read c=: one word is for the header, and the body is then simple."""
    header, slash, body = value.partition(b"/")
    if header not in _FORMS or (slash and body not in _FORMS):
        return None
    return _FORMS[header], _FORMS[body] if slash else "simple"
