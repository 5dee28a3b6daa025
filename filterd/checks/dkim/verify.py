"""One signature, one mail, its key: what becomes of it?  RFC 6376 §6.1, RFC 8301, RFC 8463. Pure.

What needs no key comes first, so that a signature that cannot pass asks DNS nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from filterd.checks.dkim.canonical import Canonical
from filterd.checks.dkim.fate import Fate
from filterd.checks.dkim.fetch import KeyAnswer
from filterd.checks.dkim.keys import Key, parse
from filterd.checks.dkim.signature import Signature

# Clocks that take local time for UTC are hours off; a signature from farther ahead was made with intent.
FUTURE_S = 36_000
# An expiry is the signer's own bound against replay; it gets what two good clocks may differ.
EXPIRED_S = 300


class Checked(NamedTuple):
    """`is_testing`: the key says t=y."""

    fate: Fate
    is_testing: bool = False


def before_key(signature: Signature, canonical: Canonical, now: int) -> Fate | None:
    """Say what becomes of a signature whatever its key is, or None when that depends on the key.

    Args:
        now: seconds since 1970, when the mail came.
    """
    if not canonical.is_whole:
        return Fate.UNREAD
    signed = signature.signed.count("from")
    # An ARC field may leave From out (RFC 8617 §4.1.2 has no rule of its own for h=, and the conformance suite does).
    if not signed and signature.instance is None:
        return Fate.FROM_UNSIGNED
    # §8.15: a second From on top would be what the reader sees.
    if signed and canonical.count("from") > signed:
        return Fate.FROM_ADDED
    if signature.expires_at is not None and signature.expires_at < now - EXPIRED_S:
        return Fate.EXPIRED
    if signature.signed_at is not None and signature.signed_at > now + FUTURE_S:
        return Fate.FUTURE
    return None


def verify(signature: Signature, own: bytes, canonical: Canonical, answer: KeyAnswer) -> Checked:
    """Check a signature that `before_key` let through.

    Args:
        own: its field as it stands in the mail, the very object of `Message.fields`.
    """
    if answer.fate is not None:
        return Checked(answer.fate)
    keys = [parse(record) for record in answer.records]
    kind = signature.algorithm.partition("-")[0]
    fitting = [key for key in keys if isinstance(key, Key) and key.kind == kind]
    if not fitting:
        # Of several useless records the first one's trouble is told.
        return Checked(next((key for key in keys if isinstance(key, Fate)), Fate.KEY_TYPE))
    checked = [_with_key(signature, own, canonical, key) for key in fitting]
    return next((one for one in checked if one.fate in (Fate.PASS, Fate.PARTIAL)), checked[0])


def _with_key(signature: Signature, own: bytes, canonical: Canonical, key: Key) -> Checked:
    fate = _fate(signature, own, canonical, key)
    return Checked(fate, key.is_testing)


def _fate(signature: Signature, own: bytes, canonical: Canonical, key: Key) -> Fate:
    if key.is_strict and signature.identity != signature.domain:
        # §3.6.1, t=s.
        return Fate.IDENTITY
    form, length = signature.body_form, signature.length
    if length is not None and length > canonical.body_length(form):
        return Fate.LENGTH
    if canonical.body_hash(form, length) != signature.body_hash:
        return Fate.BODY_HASH
    digest = canonical.header_hash(signature.signed, signature.header_form, signature.unsigned, own)
    if not key.verifies(signature.signature, digest):
        return Fate.SIGNATURE
    if length is not None and length < canonical.body_length(form):
        # FAULTS F7: whatever was appended is nobody's word.
        return Fate.PARTIAL
    return Fate.PASS
