"""Signed mail out of other people's: most mails get a local From and an RSA-2048 signature of its domain.

What a mail was signed with before is dropped, since its keys are gone. The zone knows the domains' keys, SPF and DMARC
records; for every other name its answer is NXDOMAIN.
"""

from __future__ import annotations

import base64
import re
from typing import Any

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from filterd.demo.zone import Zone

CLIENT = "192.0.2.10"
_SIGNED_OF_FIVE = (0, 1, 3)
_DOMAINS = tuple(f"d{number:02}.bench.example" for number in range(6))
_SELECTOR = b"s1"
_OLD = re.compile(rb"(?i)(dkim-signature|arc-[a-z-]+|authentication-results|domainkey-signature):")
_NAME = re.compile(rb"[!-9;-~]+:")
_FIELDS = [b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type"]


class Signers:
    """Local domains with a key each. `domain_of(n)` says whose the n-th mail is, None where it stays unsigned."""

    def __init__(self) -> None:
        # Two keys for all: making one takes a tenth of a second, and verifying does not care.
        keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
        self._pems = [
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
            for key in keys
        ]
        self.tables = self._tables([_public(key) for key in keys])
        self.zone = Zone(self.tables)

    @staticmethod
    def domain_of(number: int) -> str | None:
        return _DOMAINS[number % len(_DOMAINS)] if number % 5 in _SIGNED_OF_FIVE else None

    def sign(self, raw: bytes, domain: str) -> bytes:
        """Give the mail a From of `domain` and a signature."""
        kept = [field for field in _fields(raw) if not _OLD.match(field) and not field.lower().startswith(b"from:")]
        _, _, body = raw.partition(b"\r\n\r\n")
        mail = b"From: Bench <sender@%s>\r\n%s\r\n%s" % (domain.encode(), b"".join(kept), body)
        pem = self._pems[_DOMAINS.index(domain) % len(self._pems)]
        both = (b"relaxed", b"relaxed")
        field = dkim.sign(mail, _SELECTOR, domain.encode(), pem, canonicalize=both, include_headers=_FIELDS)
        return bytes(field) + mail

    @staticmethod
    def _tables(publics: list[str]) -> dict[str, dict[str, Any]]:
        tables: dict[str, dict[str, Any]] = {}
        for number, domain in enumerate(_DOMAINS):
            key = publics[number % len(publics)]
            tables[domain] = {"TXT": [f"v=spf1 include:_spf.{domain} a mx -all"]}
            tables[f"_spf.{domain}"] = {"TXT": ["v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.0/24 -all"]}
            tables[f"mx.{domain}"] = {"A": [CLIENT], "TXT": ["v=spf1 a -all"]}
            tables[f"_dmarc.{domain}"] = {"TXT": ["v=DMARC1; p=reject; adkim=s; aspf=s"]}
            tables[f"{_SELECTOR.decode()}._domainkey.{domain}"] = {"TXT": [f"v=DKIM1; k=rsa; p={key}"]}
        return tables


def _fields(raw: bytes) -> list[bytes]:
    """Cut the header into fields, each with its folded lines; lines that are no field are left out."""
    head, _, _ = raw.partition(b"\r\n\r\n")
    fields: list[bytes] = []
    for line in head.split(b"\r\n"):
        if fields and line[:1] in (b" ", b"\t") and line.strip():
            fields[-1] += line + b"\r\n"
        elif _NAME.match(line):
            fields.append(line + b"\r\n")
    return fields


def _public(key: rsa.RSAPrivateKey) -> str:
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(der).decode()
