"""A checkpoint: how far a writer's chain went and with what hash, signed, on one line.  RFC 8032 (Ed25519).

The line is canonical JSON; the signature covers the line without it, behind a name that no other signature bears.
`prev` is the SHA-256 of the line before, so that a line cut out of the middle shows. Lines of the form before this one
carry an HMAC instead and are read as long as the master key is there. Octet by octet: ops/docs/LEDGER.md.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from filterd.ledger.chain import Head
from filterd.ledger.codec import Undecodable, canonical, decode_json, instant_text
from filterd.ledger.seal import derived_key
from filterd.ports import Keys

VERSION = 2
# `prev` of the first line of a file.
FIRST = "0" * 64

_SIGNED_AS = b"filterd checkpoint\n"
_KEYS = frozenset(("at", "key", "prev", "row_hash", "seq", "sig", "v", "writer"))
_KEYS_BEFORE = frozenset(("at", "mac", "row_hash", "seq", "writer"))
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What one line says. `at` is the clock when it was taken; seq 0 is the empty chain."""

    writer: str
    seq: int
    row_hash: bytes
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What whoever verifies goes by. `chain_key` None: the master key is not at hand."""

    public_key: bytes
    chain_key: bytes | None = None


@dataclass(slots=True, kw_only=True)
class Reading:
    """What lines said: the checkpoints in order, what is wrong (None when nothing is), and how many lines only the
    master key could prove."""

    checkpoints: list[Checkpoint] = field(default_factory=list)
    wrong: str | None = None
    unproven: int = 0


class Signer:
    """Writes checkpoints. `public_key` is the raw 32 octets."""

    def __init__(self, seed: bytes):
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()
        self._key_id = key_id(self.public_key)

    def line(self, writer: str, head: Head, at: datetime, prev: str) -> bytes:
        """Write a line, with its line end, behind the line whose digest is `prev`."""
        tree: dict[str, Any] = {
            "at": instant_text(at),
            "key": self._key_id,
            "prev": prev,
            "row_hash": head.row_hash.hex(),
            "seq": head.seq,
            "v": VERSION,
            "writer": writer,
        }
        return canonical({**tree, "sig": self._key.sign(_SIGNED_AS + canonical(tree)).hex()}) + b"\n"


def trust_of(keys: Keys) -> Trust:
    """Say what the holder of the master key goes by."""
    return Trust(public_key=Signer(keys.checkpoint).public_key, chain_key=keys.chain)


def key_id(public_key: bytes) -> str:
    """Say which key a line is signed with: the beginning of the key's SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def digest(line: bytes) -> str:
    """Say what the next line's `prev` must be."""
    return hashlib.sha256(line.removesuffix(b"\n")).hexdigest()


def read(lines: Iterable[bytes], trust: Trust, name: str) -> Reading:
    """Read whole lines as far as they hold. `name` says whose they are in what is wrong.

    A line that came before is passed over: a copy may hold one twice, and leaving one out cannot be hidden so.
    """
    kept = list(lines)
    # Who signs a line has verified the one before it: of linked lines the last signature proves them all. Only when
    # something is wrong is every line looked at, so that the first one gets its name.
    found = _read(kept, trust, name, proves_each=False)
    return found if found.wrong is None else _read(kept, trust, name, proves_each=True)


def is_sound(line: bytes, trust: Trust) -> bool:
    """Say whether one line is what it was when it was written, wherever it stands."""
    try:
        _prove(_parsed(line.removesuffix(b"\n"), trust), trust)
    except _NO_LINE:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """What a line says, None when only the master key can tell; the digest it follows and its signature, None for a
    line of the form before."""

    said: Checkpoint | None
    follows: str | None = None
    signature: bytes | None = None
    signed: bytes = b""


# What reading a tree of another shape than ours raises.
_NO_LINE = (Undecodable, ArithmeticError, AttributeError, KeyError, TypeError, ValueError)


def _read(lines: Sequence[bytes], trust: Trust, name: str, *, proves_each: bool) -> Reading:
    found, prev, seen = Reading(), FIRST, set[str]()
    last: _Line | None = None
    number = 0
    try:
        for octets in lines:
            number += 1
            own = digest(octets)
            if own in seen:
                continue
            line = _parsed(octets.removesuffix(b"\n"), trust)
            if line.follows is None and last is not None:
                _prove(last, trust)
            if proves_each:
                _prove(line, trust)
            if line.follows not in (None, prev):
                raise Undecodable("lines before it are missing")
            seen.add(own)
            prev, last = own, line
            if line.said is None:
                found.unproven += 1
            else:
                found.checkpoints.append(line.said)
        if last is not None:
            _prove(last, trust)
    except _NO_LINE as err:
        found.wrong = f"{name}:{number}: {err if isinstance(err, Undecodable) else 'was altered'}"
        return found
    if not found.checkpoints:
        found.wrong = f"{name}: {'only the master key can prove its lines' if found.unproven else 'is empty'}"
    return found


def _parsed(line: bytes, trust: Trust) -> _Line:
    """Read a line; its signature is still to be proven. Raises one of _NO_LINE."""
    tree = decode_json(line)
    # Another spelling of the same tree is no line of ours: every octet counts.
    if not isinstance(tree, dict) or canonical(tree) != line:
        raise Undecodable("was altered")
    if tree.keys() == _KEYS_BEFORE:
        mac = tree.pop("mac")
        if trust.chain_key is None:
            return _Line(said=None)
        key = derived_key(trust.chain_key, "anchor")
        if not hmac.compare_digest(_octets(mac), hmac.digest(key, canonical(tree), hashlib.sha256)):
            raise Undecodable("was altered")
        return _Line(said=_checkpoint(tree))
    if tree.keys() != _KEYS or tree["v"] != VERSION:
        raise Undecodable("was altered, or written by a later version")
    if tree["key"] != key_id(trust.public_key):
        raise Undecodable("was altered, or signed with another key")
    signature = _octets(tree.pop("sig"))
    signed = _SIGNED_AS + canonical(tree)
    return _Line(said=_checkpoint(tree), follows=tree["prev"], signature=signature, signed=signed)


def _prove(line: _Line, trust: Trust) -> None:
    if line.signature is None:
        return
    try:
        Ed25519PublicKey.from_public_bytes(trust.public_key).verify(line.signature, line.signed)
    except InvalidSignature:
        raise Undecodable("was altered") from None


def _checkpoint(tree: dict[str, Any]) -> Checkpoint:
    row_hash, seq = _octets(tree["row_hash"]), tree["seq"]
    if type(seq) is not int or seq < 0 or len(row_hash) != _HASH_BYTES or not isinstance(tree["writer"], str):
        raise Undecodable("is no checkpoint")
    return Checkpoint(writer=tree["writer"], seq=seq, row_hash=row_hash, at=str(tree["at"]))


def _octets(digits: str) -> bytes:
    octets = bytes.fromhex(digits)
    # Capitals and spaces say the same and are not what was written.
    if octets.hex() != digits:
        raise Undecodable("was altered")
    return octets
