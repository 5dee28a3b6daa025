"""Signatures that hold only because of what was not read, or because anybody can write them."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from filterd.checks.dkim.fate import Fate
from filterd.checks.dkim.keys import Key, parse
from tests.checks.dkim_oracle import ed25519_pair, sign, theirs, zone
from tests.checks.forged import told

RAW = (
    b"From: a@example.org\r\nTo: b@house.example\r\nSubject: s\r\nDate: Mon, 2 Mar 2026 01:00:00 +0000\r\n\r\nhello\r\n"
)
TWICE = (b"from", b"from", b"subject", b"subject")


JUNK = {"fields": b"X: y\r\n" * 2_100, "bytes": (b"X: " + b"y" * 900 + b"\r\n") * 1_300}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
async def test_a_field_below_what_is_read_does_not_escape_a_signature_that_forbids_it(junk: bytes) -> None:
    header, _, body = sign(RAW, names=TWICE).partition(b"\r\n\r\n")
    forged = header + b"\r\n" + junk + b"Subject: send money\r\n\r\n" + body
    assert theirs(forged) == [False]
    assert "dkim=policy" in (await told(forged, zone())).methods


async def test_the_same_signature_holds_for_what_was_signed() -> None:
    assert "dkim=pass" in (await told(sign(RAW, names=TWICE), zone())).methods


SMALL = [
    bytes(32),
    b"\x01" + bytes(31),
    b"\xec" + b"\xff" * 30 + b"\x7f",
    b"\xed" + b"\xff" * 30 + b"\x7f",
    b"\xee" + b"\xff" * 30 + b"\xff",
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes(31) + b"\x80",
]


def test_openssl_takes_what_anybody_can_sign_with_a_key_of_small_order() -> None:
    # R is the neutral point, S is zero: the reason for the test below.
    Ed25519PublicKey.from_public_bytes(SMALL[1]).verify(SMALL[1] + bytes(32), b"any mail")


@pytest.mark.parametrize("octets", SMALL, ids=[octets.hex()[:8] for octets in SMALL])
def test_a_key_of_small_order_is_none(octets: bytes) -> None:
    assert parse(b"k=ed25519; p=" + base64.b64encode(octets)) is Fate.KEY_SYNTAX


def test_an_honest_key_is_one() -> None:
    assert isinstance(parse(ed25519_pair().record.encode()), Key)
