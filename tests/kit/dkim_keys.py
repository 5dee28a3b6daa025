"""A DKIM key of our own, signing as a sender would, and verifying what arrived.  RFC 6376, by dkimpy.

The key is in no DNS: `verify` looks it up in a dictionary.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

# Signed with `simple` for both, so that a single space that moved breaks the signature.
SIGNED = (b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type")


@dataclass(frozen=True, kw_only=True)
class DkimKey:
    domain: str
    selector: str
    private_pem: bytes
    record: bytes

    @classmethod
    def make(cls, domain: str, selector: str = "e2e") -> DkimKey:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return cls(
            domain=domain,
            selector=selector,
            private_pem=key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            ),
            record=b"v=DKIM1; k=rsa; p=" + base64.b64encode(public),
        )

    def sign(self, raw: bytes) -> bytes:
        """Put a signature on top."""
        present = {line.split(b":")[0].lower() for line in raw.partition(b"\r\n\r\n")[0].split(b"\r\n")}
        signature = dkim.sign(
            raw,
            self.selector.encode(),
            self.domain.encode(),
            self.private_pem,
            include_headers=[name for name in SIGNED if name in present],
            canonicalize=(b"simple", b"simple"),
        )
        return signature + raw

    def verifies(self, raw: bytes) -> bool:
        """Say whether the signature in a mail is still good."""
        zone = {f"{self.selector}._domainkey.{self.domain}.".encode(): self.record}
        return bool(dkim.verify(raw, dnsfunc=lambda name, timeout=5: zone.get(name)))
