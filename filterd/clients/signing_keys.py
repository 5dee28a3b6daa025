"""Private keys for DKIM and ARC: PEM files that only their owner, or its group, may read."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from filterd.errors import ModelError

# 4096 bits in PEM are some 3.2 kB.
_AT_MOST_BYTES = 16_384
# RFC 8301 §3.2 wishes for 2048 at least, and larger ones do not fit into one UDP answer.
_NEW_RSA_BITS = 2048
# RFC 8301 §3.2: what a signer must not go below, and beyond which verifiers need not follow.
MIN_RSA_BITS, MAX_RSA_BITS = 1024, 4096

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


def load_private_key(file: Path) -> PrivateKey:
    """Read a private key.

    Raises:
        ModelError: missing, unreadable, open to everybody, encrypted, of another kind, or too short or too long; names
            the file and never the content.
    """
    return _private(file, _read(file))


def make_private_key(kind: str) -> bytes:
    """Make a key as PEM (PKCS#8). `kind`: "rsa" or "ed25519"."""
    private: PrivateKey
    if kind == "rsa":
        private = generate_private_key(public_exponent=65537, key_size=_NEW_RSA_BITS)
    else:
        private = Ed25519PrivateKey.generate()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_record(private: PrivateKey) -> str:
    """Write the TXT record of a key's public half.  RFC 6376 §3.6.1, RFC 8463 §4."""
    if isinstance(private, RSAPrivateKey):
        kind, octets = "rsa", private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, octets = "ed25519", private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode('ascii')}"


def _read(file: Path) -> bytes:
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as opened:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise ModelError(f"{file}: not a file")
            octets = opened.read(_AT_MOST_BYTES + 1)
    except OSError as err:
        raise ModelError(f"{file}: {err.strerror}") from err
    if found.st_mode & stat.S_IRWXO:
        raise ModelError(f"{file}: everybody may read this private key; chmod 640, or 600")
    if len(octets) > _AT_MOST_BYTES:
        raise ModelError(f"{file}: too large for a private key")
    return octets


def _private(file: Path, octets: bytes) -> PrivateKey:
    try:
        private = load_pem_private_key(octets, password=None)
    except TypeError as err:
        raise ModelError(f"{file}: the private key is encrypted, and there is nobody to ask for its password") from err
    except (ValueError, UnsupportedAlgorithm) as err:
        raise ModelError(f"{file}: not a private key in PEM") from err
    if isinstance(private, Ed25519PrivateKey):
        return private
    if not isinstance(private, RSAPrivateKey):
        raise ModelError(f"{file}: neither an RSA nor an Ed25519 key")
    if not MIN_RSA_BITS <= private.key_size <= MAX_RSA_BITS:
        # RFC 8301 §3.2.
        raise ModelError(f"{file}: {private.key_size} bits; DKIM takes {MIN_RSA_BITS} to {MAX_RSA_BITS}, 2048 is usual")
    return private
