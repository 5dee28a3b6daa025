"""ARC seals of ours: a chain that we lengthen holds for our own check and for dkimpy.  RFC 8617 §5.1."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from filterd.checks.arc_seal import seal_fields
from filterd.checks.dkim.canonical import Canonical
from filterd.checks.dkim.sign import SigningKey
from filterd.mail.edit import prepend_fields
from filterd.mail.parse import parse
from tests.checks.test_arc import LETTER, SEALER, ZONE, ours, sealed, theirs
from tests.kit.signing_keys import ed25519_key, record, rsa_key

RSA = SigningKey(domain="mx.example.net", selector="r", private=rsa_key())
ED = SigningKey(domain="mx.example.net", selector="e", private=ed25519_key())
RESULTS = "mail.example.net; spf=pass smtp.mailfrom=example.org; dkim=none"
OURS = {f"{key.selector}._domainkey.{key.domain}": {"TXT": [record(key.private)]} for key in (RSA, ED)}


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, said in OURS.items():
        monkeypatch.setitem(ZONE, name, said)


def lengthened(raw: bytes, found: str, key: SigningKey = RSA) -> bytes:
    message = parse(raw)
    now = int(datetime.now(UTC).timestamp())
    return prepend_fields(raw, seal_fields(message, Canonical(message), key, found, RESULTS, now))


@pytest.mark.parametrize("hops", range(3))
async def test_a_chain_goes_on(hops: int) -> None:
    raw = lengthened(sealed(LETTER, hops), "pass" if hops else "none")
    verdict = await ours(raw)
    assert [(r.result, r.comment) for r in verdict.results] == [("pass", f"i={hops + 1} d={RSA.domain}")]
    assert theirs(raw) == "pass"


async def test_a_chain_of_our_own_goes_on_with_the_other_kind_of_key() -> None:
    raw = lengthened(lengthened(LETTER, "none"), "pass", ED)
    assert [r.result for r in (await ours(raw)).results] == ["pass"]


async def test_what_dkimpy_adds_to_ours_holds() -> None:
    raw = b"Authentication-Results: %b; arc=pass\r\n" % SEALER.encode() + lengthened(LETTER, "none")
    again = sealed(raw, 1)
    assert b"i=2" in again
    assert theirs(again) == "pass"
    assert [r.result for r in (await ours(again)).results] == ["pass"]


async def test_a_broken_chain_is_sealed_as_broken_once_and_no_more() -> None:
    broken = sealed(LETTER, 2).replace(b"Subject: Minutes", b"Subject: Hours")
    assert [r.result for r in (await ours(broken)).results] == ["fail"]
    raw = lengthened(broken, "fail")
    assert b"cv=fail" in raw[: raw.index(b"ARC-Message-Signature")]
    assert [(r.result, r.comment) for r in (await ours(raw)).results] == [("fail", "ended at i=3")]
    assert lengthened(raw, "fail") == raw


@pytest.mark.parametrize("found", ["none", "pass", "temperror"])
def test_nothing_is_added_where_finding_and_chain_disagree(found: str) -> None:
    raw = sealed(LETTER, 1 if found == "none" else 0)
    assert lengthened(raw, found) == raw


def test_a_chain_that_cannot_be_read_is_left_alone() -> None:
    raw = sealed(LETTER, 2).replace(b"ARC-Seal: i=2", b"ARC-Seal: i=7")
    assert lengthened(raw, "fail") == raw


async def test_what_the_seal_says_is_sealed() -> None:
    raw = lengthened(LETTER, "none")
    assert theirs(raw.replace(b"spf=pass", b"spf=fail")) == "fail"
    assert [r.result for r in (await ours(raw.replace(b"spf=pass", b"spf=fail"))).results] == ["fail"]


def test_a_chain_of_fifty_is_full() -> None:
    raw = LETTER
    for hop in range(50):
        raw = lengthened(raw, "pass" if hop else "none", ED)
    assert raw.count(b"ARC-Seal:") == 50
    assert lengthened(raw, "pass", ED) == raw
