"""Key records, and what a key says of a hash.  RFC 6376 §3.6.1, RFC 8463 §3, RFC 8301 §3.2.

RSA and Ed25519 are OpenSSL's, through `cryptography`. Parsed records are kept: most mail comes from few signers.
Bounded: records, moduli and exponents beyond any real key are refused before anything is computed with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from filterd.checks.dkim.fate import Fate
from filterd.checks.dkim.tags import base64, names, read

# RFC 8301 §3.2: below 1024 bits MUST NOT pass; up to 4096 MUST be taken. 8192 costs four times as much and is the end.
MIN_RSA_BITS = 1024
MAX_RSA_BITS = 8192
# All exponents in use are 3, 17 and 65537; a long one makes a verification cost what a signature costs.
MAX_EXPONENT_BITS = 32
# 8192 bits in base64 are below 1,500 characters; notes (n=) and blanks have the rest.
MAX_KEY_CHARACTERS = 1_536
MAX_RECORD_BYTES = 4_096
# A thousand parsed keys are below 10 MB even when all are as large as they may be.
_KEPT = 1_024

# RFC 7748 §7, RFC 8032 §5.1: y of the eight points of small order on edwards25519, in every spelling below 2^255; the
# sign is left out. With such a key, the zeros of a placeholder too, anybody can write a signature that holds.
_P = 2**255 - 19
_ORDER_EIGHT = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER = frozenset({0, 1, _P - 1, _P, _P + 1, _ORDER_EIGHT, _P - _ORDER_EIGHT})

_PADDING, _PREHASHED = PKCS1v15(), Prehashed(SHA256())


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that can be used.

    Args:
        kind: "rsa" or "ed25519".
        is_testing: t=y, the signer is trying out.
        is_strict: t=s, i= must name d= itself.
    """

    kind: str
    public: RSAPublicKey | Ed25519PublicKey
    is_testing: bool = False
    is_strict: bool = False

    def verifies(self, signature: bytes, digest: bytes) -> bool:
        """Say whether `signature` is this key's over a SHA-256 digest (for Ed25519 the digest is the text)."""
        try:
            if isinstance(self.public, RSAPublicKey):
                self.public.verify(signature, digest, _PADDING, _PREHASHED)
            else:
                self.public.verify(signature, digest)
        except InvalidSignature:
            return False
        return True


def parse(record: bytes) -> Key | Fate:
    """Read the TXT record of a key, its strings already joined; the fate of the signature when it is of no use."""
    # Not kept: strangers' names can give a different 64 kB each time.
    return _parse(record) if len(record) <= MAX_RECORD_BYTES else Fate.KEY_LARGE


@lru_cache(maxsize=_KEPT)
def _parse(record: bytes) -> Key | Fate:
    value = read(record)
    # §3.6.1: v= comes first when it is there.
    if value is None or b"p" not in value or (b"v" in value and next(iter(value.items())) != (b"v", b"DKIM1")):
        return Fate.KEY_SYNTAX
    if not {"*", "email"} & set(names(value.get(b"s", b"*"))):
        return Fate.KEY_SERVICE
    if b"h" in value and "sha256" not in names(value[b"h"]):
        return Fate.KEY_TYPE
    if not value[b"p"]:
        return Fate.KEY_REVOKED
    if len(value[b"p"]) > MAX_KEY_CHARACTERS:
        return Fate.KEY_LARGE
    octets = base64(value[b"p"])
    if octets is None:
        return Fate.KEY_SYNTAX
    kind = value.get(b"k", b"rsa").lower()
    public = _rsa(octets) if kind == b"rsa" else _ed25519(octets) if kind == b"ed25519" else Fate.KEY_TYPE
    if isinstance(public, Fate):
        return public
    flags = names(value.get(b"t", b""))
    return Key(kind=kind.decode("ascii"), public=public, is_testing="y" in flags, is_strict="s" in flags)


def _rsa(octets: bytes) -> RSAPublicKey | Fate:
    """Read SubjectPublicKeyInfo, or the bare RSAPublicKey that RFC 6376 itself asks for (its erratum 3017)."""
    try:
        public = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        return Fate.KEY_SYNTAX
    if not isinstance(public, RSAPublicKey):
        return Fate.KEY_TYPE
    if public.key_size < MIN_RSA_BITS:
        return Fate.KEY_WEAK
    if public.key_size > MAX_RSA_BITS or public.public_numbers().e.bit_length() > MAX_EXPONENT_BITS:
        return Fate.KEY_LARGE
    return public


def _ed25519(octets: bytes) -> Ed25519PublicKey | Fate:
    # RFC 8463 §4: 32 octets without any wrapping.
    if len(octets) != 32 or int.from_bytes(octets, "little") & (2**255 - 1) in _SMALL_ORDER:
        return Fate.KEY_SYNTAX
    return Ed25519PublicKey.from_public_bytes(octets)
