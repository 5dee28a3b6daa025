"""Sign a mail: the same hashes as in verifying, with a private key.  RFC 6376 §5, RFC 8301, RFC 8463. Pure.

Always relaxed/relaxed and SHA-256, never `l=`. What is signed is the mail as it came: none of the fields that we add or
take out afterwards is among the signed ones (pipeline/headers).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from filterd.checks.dkim.canonical import Canonical
from filterd.checks.dkim.signature import key_name

FIELD = "DKIM-Signature"
FORM = "relaxed"

# RFC 6376 §5.4.1, and what one-click unsubscribing asks for (RFC 8058 §4). Named once more than they occur, so that
# nobody can add another one in front (RFC 6376 §8.15) ...
_GUARDED = ("from", "to", "cc", "subject", "reply-to")
# ... these only where there is one: mail servers write what is missing of them.
_GUARDED_WHEN_THERE = (
    "date", "message-id", "sender", "mime-version", "content-type", "content-transfer-encoding",
    "list-unsubscribe", "list-unsubscribe-post",
)  # fmt: skip
_SIGNED = ("in-reply-to", "references", "list-id", "list-help", "list-subscribe", "list-post", "list-owner",
           "list-archive")  # fmt: skip
# Mail has some twenty of them. With more, what is signed is no longer what a reader sees.
MAX_NAMES = 100

# Long words are folded here: a line has at most 998 octets (RFC 5322 §2.1.1), and blanks mean nothing in these values.
_CHUNK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key and where its public half stands.

    Args:
        domain: d=, lower-case A-labels; `selector` likewise.
        private: RSA of at least 1024 bits, or Ed25519.
        since: the first day on which it signs; None: it always has.
    """

    domain: str
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey
    since: date | None = None

    @property
    def record_name(self) -> str:
        return key_name(self.selector, self.domain)

    @property
    def algorithm(self) -> str:
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"

    def signature(self, digest: bytes) -> bytes:
        """Sign a SHA-256 digest; for Ed25519 the digest is the text (RFC 8463 §3)."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(digest, PKCS1v15(), Prehashed(SHA256()))
        return self.private.sign(digest)


def signed_names(canonical: Canonical) -> tuple[str, ...] | None:
    """Say what h= names for a mail, in order; None when it has too many such fields to be worth a signature."""
    names = tuple(_names(canonical))
    return names if len(names) <= MAX_NAMES else None


def _names(canonical: Canonical) -> Iterator[str]:
    for name in (*_GUARDED, *_GUARDED_WHEN_THERE, *_SIGNED):
        count = canonical.count(name)
        guards = name in _GUARDED or (count > 0 and name in _GUARDED_WHEN_THERE)
        yield from [name] * min(count + guards, MAX_NAMES + 1)


def dkim_value(canonical: Canonical, key: SigningKey, names: tuple[str, ...], now: int) -> str:
    """Make the value of a DKIM-Signature field, folded nowhere, with blanks where it may be.

    Args:
        names: `signed_names` of the mail.
        now: seconds since 1970, for t=.
    """
    tags = {"v": "1", "a": key.algorithm, "c": f"{FORM}/{FORM}", "d": key.domain, "s": key.selector, "t": str(now)}
    return message_value(FIELD, canonical, key, tags, names)


def message_value(
    field: str, canonical: Canonical, key: SigningKey, tags: dict[str, str], names: tuple[str, ...]
) -> str:
    """Make the value of a field that signs a mail: `tags`, then h=, bh= and b=."""
    tags |= {"h": _listed(names), "bh": _spaced(canonical.body_hash(FORM, None))}
    unsigned = tag_list(tags) + "; b="
    digest = canonical.header_hash(names, FORM, f"{field}: {unsigned}\r\n".encode("ascii"), b"")
    return unsigned + _spaced(key.signature(digest))


def with_signature(unsigned: str, key: SigningKey, digest: bytes) -> str:
    """Put b= behind a tag list."""
    return unsigned + _spaced(key.signature(digest))


def tag_list(tags: dict[str, str]) -> str:
    """Write tags in their order."""
    return "; ".join(f"{name}={value}" for name, value in tags.items())


def _spaced(octets: bytes) -> str:
    text = base64.b64encode(octets).decode("ascii")
    return " ".join(text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK))


def _listed(names: Iterable[str]) -> str:
    """Write names parted by colons, with a blank behind one now and then."""
    written, length = "", 0
    for name in names:
        if written:
            written += ":"
            length += 1
        if length + len(name) > _CHUNK:
            written, length = written + " ", 0
        written, length = written + name, length + len(name)
    return written
