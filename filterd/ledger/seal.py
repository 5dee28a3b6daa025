"""Sealing: AES-256-GCM with a random nonce; what the octets belong to is bound in as associated data.

Form: one octet of version (1), 12 of nonce, the ciphertext with its tag of 16. NIST SP 800-38D §8.3 bounds a key to
2^32 random nonces: every subject and every spool file has a key of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from filterd.errors import PortError

KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12


def seal(key: bytes, content: bytes, *bound_to: str | int) -> bytes:
    """Seal `content` under a key of 32 octets; it opens only with the same `bound_to`."""
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, content, _associated(bound_to))


def unseal(key: bytes, sealed: bytes, *bound_to: str | int) -> bytes:
    """Open what `seal` made. Raises PortError (not temporary), naming `bound_to`, when it was altered or moved."""
    nonce, content = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        if sealed[:1] == _VERSION:
            return AESGCM(key).decrypt(nonce, content, _associated(bound_to))
    except (InvalidTag, ValueError):
        pass
    raise PortError(f"{'|'.join(map(str, bound_to))}: sealed octets were altered, moved or cut", temporary=False)


def derived_key(key: bytes, *purpose: str) -> bytes:
    """Make a key for one use out of another: HMAC-SHA-256 over the length-prefixed purpose."""
    return hmac.new(key, _associated(purpose), hashlib.sha256).digest()


def _associated(parts: tuple[str | int, ...]) -> bytes:
    out = bytearray()
    for part in parts:
        octets = str(part).encode("utf-8", "backslashreplace")
        out += len(octets).to_bytes(4, "big") + octets
    return bytes(out)
