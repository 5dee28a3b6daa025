"""Signed mail of our own making, and what dkimpy says of it: the second opinion on filterd/checks/dkim.

Keys are made once a run and are in no DNS.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import dkim as dkimpy
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from dkim.canonicalization import CanonicalizationPolicy

from filterd.checks import dkim
from filterd.mail.parse import parse
from filterd.model.session import Direction
from filterd.model.verdict import Verdict
from tests.checks.contexts import context, transaction
from tests.kit.zones import ZoneLookups

DOMAIN = "example.org"


class Pair(NamedTuple):
    """A private key as dkimpy wants it, and the record of the public one."""

    private: bytes
    record: str


@lru_cache
def rsa_pair(bits: int = 1024, exponent: int = 65537) -> Pair:
    key = rsa.generate_private_key(public_exponent=exponent, key_size=bits)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Pair(private, f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}")


@lru_cache
def ed25519_pair() -> Pair:
    key = Ed25519PrivateKey.generate()
    seed = key.private_bytes(
        serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return Pair(base64.b64encode(seed), f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}")


def zone(**changes: str) -> dict[str, dict[str, list[str]]]:
    """The keys under `rsa` and `ed` of example.org; selectors given by name replace or add records."""
    records = {"rsa": rsa_pair().record, "ed": ed25519_pair().record} | changes
    return {f"{selector}._domainkey.{DOMAIN}": {"TXT": [record]} for selector, record in records.items()}


def sign(
    raw: bytes,
    *,
    forms: tuple[bytes, bytes] = (b"relaxed", b"relaxed"),
    names: tuple[bytes, ...] = (b"from", b"to", b"subject", b"date"),
    algorithm: bytes = b"rsa-sha256",
    pair: Pair | None = None,
    selector: bytes | None = None,
    **more: Any,
) -> bytes:
    """Put a signature of dkimpy on top."""
    is_rsa = algorithm.startswith(b"rsa")
    chosen = pair or (rsa_pair() if is_rsa else ed25519_pair())
    field: bytes = dkimpy.sign(
        raw,
        selector or (b"rsa" if is_rsa else b"ed"),
        DOMAIN.encode(),
        chosen.private,
        canonicalize=forms,
        include_headers=list(names),
        signature_algorithm=algorithm,
        **more,
    )
    return field + raw


def sign_by_hand(raw: bytes, tags: str, *, pair: Pair | None = None, own_names: str = "from:to:subject:date") -> bytes:
    """Put an rsa-sha256, relaxed/relaxed signature on top with tags that dkimpy would not write.

    Args:
        tags: all but a, c, h, bh and b; `l=` cuts the body that is hashed.
    """
    headers, body = dkimpy.rfc822_parse(raw)
    policy = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
    length = re.search(r"\bl=(\d+)", tags)
    hashed = policy.canonicalize_body(body)[: int(length[1]) if length else None]
    bh = base64.b64encode(hashlib.sha256(hashed).digest()).decode()
    value = f" {tags}; a=rsa-sha256; c=relaxed/relaxed; h={own_names}; bh={bh}; b=".encode()
    hasher = hashlib.sha256()
    names = [name.strip().encode() for name in own_names.lower().split(":")]
    dkimpy.hash_headers(
        hasher, policy, policy.canonicalize_headers(headers), names, (b"DKIM-Signature", value + b"\r\n"), {}
    )
    private = dkimpy.parse_pem_private_key((pair or rsa_pair()).private)
    signature = base64.b64encode(bytes(dkimpy.RSASSA_PKCS1_v1_5_sign(hasher, private)))
    lines = b"\r\n ".join(signature[at : at + 72] for at in range(0, len(signature), 72))
    return b"DKIM-Signature:" + value + lines + b"\r\n" + raw


async def ours(raw: bytes, records: Any = None, **changes: Any) -> Verdict:
    """Say what the check says of an inbound mail that comes now."""
    seen = context(
        raw,
        message=parse(raw),
        transaction=transaction(raw, received_at=changes.pop("at", None) or datetime.now(UTC)),
        **({"direction": Direction.INBOUND, "dns": ZoneLookups(zone() if records is None else records)} | changes),
    )
    return await dkim.make().run(seen)


def words(verdict: Verdict) -> list[str]:
    return [result.result for result in verdict.results]


def theirs(raw: bytes, records: Any = None) -> list[bool]:
    """Say for each signature whether dkimpy passes it. What it raises is a no."""
    known = zone() if records is None else records

    def lookup(name: bytes, timeout: int = 5) -> bytes | None:
        found = known.get(name.decode("latin-1").rstrip(".").lower())
        return found["TXT"][0].encode() if found else None

    try:
        seen = dkimpy.DKIM(raw)
    except Exception:
        return []
    count = sum(name.lower() == b"dkim-signature" for name, _ in seen.headers)
    return [_passes(raw, index, lookup) for index in range(count)]


def _passes(raw: bytes, index: int, lookup: Any) -> bool:
    try:
        return bool(dkimpy.DKIM(raw).verify(idx=index, dnsfunc=lookup))
    except Exception:
        return False
