"""Where the demonstration takes place: three tenants, their neighbours in DNS, and the embedded configuration."""

from __future__ import annotations

import base64
import socket
from dataclasses import dataclass
from pathlib import Path

from filterd.config import Config
from filterd.demo.post import Client
from filterd.demo.zone import Zone

APPEALS = "appeals@provider.example"
# Our name in Authentication-Results.
OWN_ID = "mx.provider.example"

# As `filterd tenant import` would read them from a file.
TENANTS = (
    {"name": "蓝海贸易", "domains": "lanhai.example", "language": "zh-Hans", "contact": "admin@lanhai.example"},
    {"name": "Northwind", "domains": "northwind.example", "language": "en", "contact": "admin@northwind.example"},
    {"name": "Meridian Bank", "domains": "meridian.example", "language": "en"},
)
HOME = {"en": "northwind.example", "zh": "lanhai.example"}
# Accounts come with their first mail; these are known before, for a person is to restrict them.
RESTRICTED = tuple(f"student@{domain}" for domain in HOME.values())

# A neighbour that signs and publishes what it does, one without a policy, and somebody who is neither.
PARTNER, STRANGER = "partner.example", "stranger.example"
OFFICE = f"office@{PARTNER}"
PARTNER_MX = Client(address="192.0.2.25", helo="mx.partner.example")
STRANGER_MX = Client(address="198.51.100.7", helo="mx.stranger.example")
FORGER = Client(address="203.0.113.9", helo="host9.nowhere.example")

_SELECTOR = "demo"
_SIGNED = (b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """The neighbour's DKIM key, made at start: `record` is what its DNS says of it."""

    private_pem: bytes
    record: str

    @classmethod
    def make(cls) -> Signer:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        info = serialization.PublicFormat.SubjectPublicKeyInfo
        public = key.public_key().public_bytes(serialization.Encoding.DER, info)
        traditional = serialization.PrivateFormat.TraditionalOpenSSL
        private = key.private_bytes(serialization.Encoding.PEM, traditional, serialization.NoEncryption())
        return cls(private_pem=private, record=f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}")

    def sign(self, raw: bytes) -> bytes:
        """Put the neighbour's signature on top (RFC 6376)."""
        # Only the demonstration signs: serving never loads this library.
        import dkim

        selector, domain = _SELECTOR.encode(), PARTNER.encode()
        signature: bytes = dkim.sign(raw, selector, domain, self.private_pem, include_headers=list(_SIGNED))
        return signature + raw


def zone(signer: Signer) -> Zone:
    """The DNS of this small world."""
    return Zone(
        {
            PARTNER: {"TXT": f"v=spf1 ip4:{PARTNER_MX.address} -all", "MX": [[10, PARTNER_MX.helo]]},
            PARTNER_MX.helo: {"A": PARTNER_MX.address, "TXT": "v=spf1 a -all"},
            f"_dmarc.{PARTNER}": {"TXT": "v=DMARC1; p=reject"},
            f"{_SELECTOR}._domainkey.{PARTNER}": {"TXT": signer.record},
            STRANGER: {"TXT": f"v=spf1 ip4:{STRANGER_MX.address} -all", "MX": [[10, STRANGER_MX.helo]]},
            STRANGER_MX.helo: {"A": STRANGER_MX.address},
        }
    )


def config_for(state_dir: Path, clamd: str, nameserver: str) -> Config:
    """The embedded defaults, with two listeners, a settable clock, and a short wait before notices go out."""
    listener = {"port": 0, "hostname": OWN_ID, "authserv_id": OWN_ID}
    return Config.model_validate(
        {
            "node": {"state_dir": str(state_dir), "clock": "settable"},
            "listener": [
                {**listener, "name": "submission", "attribution": "xclient", "direction": "outbound"},
                {**listener, "name": "inbound", "direction": "inbound"},
            ],
            "policy_service": {"port": 0},
            "http": {"port": _free_port()},
            "dns": {"nameservers": [nameserver]},
            "clamd": {"address": clamd},
            "notices": {
                "merge_s": 1,
                "sender": "Mail policy <policy@provider.example>",
                "appeals_address": APPEALS,
            },
        }
    )


def _free_port() -> int:
    """The page with the metrics is to be told of, and its door does not say which port it was given."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
