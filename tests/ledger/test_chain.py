"""The octets of ops/docs/LEDGER.md, written a second time from that page alone."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from filterd.ledger.chain import Row, row_hash
from filterd.ledger.seal import seal
from tests.ledger.rig import KEYS

ROW = Row(
    writer="node1.ledger",
    seq=7,
    written_at="2026-11-02T12:00:00.000000Z",
    kind="incident.opened",
    account_id="a_1",
    tenant_id=None,
    schema=1,
    body=b'{"at":"2026-11-02T12:00:00.000000Z"}',
    sealed=b"\x01noise",
    prev_hash=b"\x05" * 32,
    row_hash=None,
)


def frame(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(8, "big") + content


def test_the_hash_of_a_row_is_what_the_page_says() -> None:
    key = HKDF(SHA256(), length=32, salt=None, info=b"filterd 1 chain").derive(bytes(range(32)))
    octets = (
        b"\x05" * 32
        + frame(b"s", b"node1.ledger")
        + frame(b"i", b"7")
        + frame(b"s", b"2026-11-02T12:00:00.000000Z")
        + frame(b"s", b"incident.opened")
        + frame(b"s", b"a_1")
        + frame(b"n", b"")
        + frame(b"i", b"1")
        + frame(b"b", b'{"at":"2026-11-02T12:00:00.000000Z"}')
        + frame(b"b", hashlib.sha256(b"\x01noise").digest())
    )
    assert row_hash(KEYS.chain, ROW, b"\x05" * 32) == hmac.digest(key, octets, hashlib.sha256)
    # Every ledger in the world depends on it.
    assert row_hash(KEYS.chain, ROW, b"\x05" * 32).hex()[:16] == "42ba8e650afe1a0c"


@pytest.mark.parametrize(
    "others",
    [
        # What runs together without frames.
        ({"writer": "node1", "kind": "x"}, {"writer": "node", "kind": "1x"}),
        ({"account_id": "a", "tenant_id": None}, {"account_id": None, "tenant_id": "a"}),
        ({"account_id": ""}, {"account_id": None}),
        ({"seq": 7}, {"seq": "7"}),
        ({"schema": 1}, {"schema": 1.0}),
        ({"body": b"x"}, {"body": "x"}),
        ({"sealed": None}, {"sealed": b""}),
        ({"sealed": b""}, {"sealed": hashlib.sha256(b"").hexdigest()}),
    ],
)
def test_rows_that_look_alike_have_different_hashes(others: tuple[dict[str, object], dict[str, object]]) -> None:
    one, other = (replace(ROW, **change) for change in others)  # type: ignore[arg-type]
    assert row_hash(KEYS.chain, one, b"") != row_hash(KEYS.chain, other, b"")


def test_a_seal_is_what_the_page_says() -> None:
    key = bytes(range(32))
    sealed = seal(key, b"content", "node1.ledger", 7, "incident.opened")
    parts = (b"node1.ledger", b"7", b"incident.opened")
    bound_to = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert sealed[:1] == b"\x01"
    assert AESGCM(key).decrypt(sealed[1:13], sealed[13:], bound_to) == b"content"
