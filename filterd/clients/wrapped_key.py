"""A master key put away in a backup: wrapped under a passphrase (scrypt, RFC 7914) or under a recovery key.

One JSON object: how the wrapping key is made, and the sealed master key (AES-256-GCM behind a nonce of 12 octets).
A recovery key is 32 octets or 64 hex digits in a file of its own, like a master key.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from filterd.errors import ConfigError, ModelError

# 128 MiB and some tenths of a second: what OWASP's password storage sheet asks for at least.
_N, _R, _P = 2**17, 8, 1
# A file that asks for more would be an attack on whoever reads it.
_N_MAX = 2**20
_PASSPHRASE_CHARACTERS = 12
_BOUND = b"filterd backup: master key"
_RECOVERY = b"filterd backup 1 recovery"
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """What a master key is wrapped under: one of both."""

    passphrase: str | None = None
    recovery_key: bytes | None = None


def wrap(master: bytes, under: Wrapping) -> bytes:
    """Say the wrapped key as a JSON object. Raises ConfigError for a passphrase that is too short."""
    salt = os.urandom(16)
    how = {"v": 1, "kdf": "hkdf"}
    if under.passphrase is not None:
        if len(under.passphrase) < _PASSPHRASE_CHARACTERS:
            raise ConfigError(f"a passphrase has at least {_PASSPHRASE_CHARACTERS} characters", key="passphrase")
        how = {"v": 1, "kdf": "scrypt", "n": _N, "r": _R, "p": _P}
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + AESGCM(_key(how, salt, under)).encrypt(nonce, master, _BOUND)
    return json.dumps(how | {"salt": salt.hex(), "sealed": sealed.hex()}, sort_keys=True).encode("ascii") + b"\n"


def unwrap(wrapped: bytes, under: Wrapping, place: str) -> bytes:
    """Say the master key. Raises ModelError, naming the place, for a file that is none or another passphrase or key."""
    try:
        how = json.loads(wrapped)
        salt, sealed = bytes.fromhex(how["salt"]), bytes.fromhex(how["sealed"])
        is_ours = how["v"] == 1 and how["kdf"] in ("scrypt", "hkdf")
        is_ours = is_ours and (how["kdf"] == "hkdf" or (0 < how["n"] <= _N_MAX and how["r"] == _R and how["p"] == _P))
    except (ValueError, KeyError, TypeError) as err:
        raise ModelError(f"{place}: holds no wrapped master key") from err
    if not is_ours:
        raise ModelError(f"{place}: wrapped in a way that this program does not know")
    if (how["kdf"] == "scrypt") != (under.passphrase is not None):
        needed = "a passphrase" if how["kdf"] == "scrypt" else "a recovery key"
        raise ModelError(f"{place}: the master key is wrapped under {needed}")
    nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(_key(how, salt, under)).decrypt(nonce, content, _BOUND)
    except (InvalidTag, ValueError):
        raise ModelError(f"{place}: the master key does not open; another passphrase or recovery key?") from None


def _key(how: dict[str, object], salt: bytes, under: Wrapping) -> bytes:
    if under.passphrase is not None:
        cost = int(str(how["n"]))
        return Scrypt(salt=salt, length=32, n=cost, r=_R, p=_P).derive(under.passphrase.encode("utf-8"))
    if under.recovery_key is None:
        raise ConfigError("neither a passphrase nor a recovery key is given", key="passphrase")
    return HKDF(SHA256(), length=32, salt=salt, info=_RECOVERY).derive(under.recovery_key)
