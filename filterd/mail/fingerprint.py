"""Fingerprints: which mail is this, whatever the hops did to its header?  HOUSE rule 6; STANDING 5.7-10.

`message_fp` names one mail: a keyed hash over a closed list of fields, unfolded, white space collapsed, and the body in
the relaxed form of DKIM (RFC 6376 §3.4.4). What a hop adds (Received, DKIM-Signature, X-), refolds or appends in blank
lines leaves it as it is. `text_fp` names a campaign: near-equal texts have near-equal bits.
"""

from __future__ import annotations

import hashlib
import re

import numpy as np

from filterd.model.ids import derived_id, keyed_hash
from filterd.model.message import Message

# Closed: a field that is not named here cannot change the fingerprint. In alphabetical order.
FIELDS = (
    "content-description",
    "content-disposition",
    "content-id",
    "content-language",
    "content-location",
    "content-transfer-encoding",
    "content-type",
    "date",
    "from",
    "message-id",
    "mime-version",
    "subject",
)

# What campaigns vary besides words: URLs, digits, blanks, punctuation and letter case.
_URL = re.compile(r"https?://\S+")
_NOT_LETTERS = bytes(set(range(128)) - set(b"abcdefghijklmnopqrstuvwxyz"))
_SHINGLE_BYTES = 8
_SAMPLE = 1_024
_TRUE = np.array([True])
_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


def message_fp(message: Message, key: bytes) -> str:
    """Name a mail: 32 hex digits that outsiders cannot recompute."""
    values: dict[str, list[bytes]] = {name: [] for name in FIELDS}
    for field in message.fields:
        if (found := values.get(field.name.lower())) is not None:
            found.append(b" ".join(field.raw.partition(b":")[2].split()))
    parts: list[str | bytes] = []
    for name in FIELDS:
        parts += [name, str(len(values[name])), *values[name]]
    return keyed_hash(key, *parts, _relaxed(message.raw[message.body_offset :]))


def evidence_key(account_id: str, direction: str, fp: str) -> str:
    """Name one mail of one account in one direction: unique within an incident."""
    return derived_id("ev", account_id, direction, fp)


def delivery_key(fp: str, rcpt_address: str) -> str:
    """Name one mail to one recipient (`Path.address`): counts volume once."""
    return derived_id("dl", fp, rcpt_address)


def text_fp(prose: str) -> str:
    """Name the campaign of a text: a 64-bit simhash in 16 hex digits; all zeros for a text without letters."""
    text = prose.lower()
    if "://" in text:
        text = _URL.sub("", text)
    letters = text.encode("utf-8", "replace").translate(None, _NOT_LETTERS)
    if not letters:
        return "0" * 16
    if len(letters) < _SHINGLE_BYTES:
        return hashlib.sha256(letters).hexdigest()[:16]
    shingles = np.ndarray(len(letters) - _SHINGLE_BYTES + 1, dtype="<u8", buffer=letters, strides=(1,))
    hashes = shingles.astype(np.uint64) * _ODD
    hashes ^= hashes >> np.uint64(31)
    hashes *= _MIX
    # Of long texts a sample that depends on the text alone: hashes that end in zeros, which say nothing from here on.
    spare = (len(hashes) // _SAMPLE).bit_length()
    if spare:
        sample = hashes[(hashes & np.uint64((1 << spare) - 1)) == 0]
        # A text that repeats itself has few hashes, and perhaps none that ends so.
        hashes = sample if len(sample) else hashes
    hashes.sort()
    hashes = hashes[np.concatenate((_TRUE, hashes[1:] != hashes[:-1]))]
    hashes *= _ODD
    hashes ^= hashes >> np.uint64(29)
    bits = np.unpackbits(hashes.view(np.uint8)).reshape(-1, 64)
    majority = bits.sum(axis=0, dtype=np.uint32) * 2 > len(bits)
    return np.packbits(majority).tobytes().hex()


def distance(one: str, other: str) -> int:
    """Say in how many of 64 bits two campaign fingerprints differ; up to about 8 for texts that say the same."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def _relaxed(body: bytes) -> bytes:
    """Give the body with runs of blanks as one, no blanks at line ends, no empty lines at the end."""
    body = body.replace(b"\t", b" ")
    # Halves runs, so it ends soon; a pattern would stop at every run.
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    return body.replace(b" \r\n", b"\r\n").rstrip(b" \r\n")
