"""Chains that claim what nobody sealed."""

from __future__ import annotations

import dkim as dkimpy
import pytest

from tests.checks.dkim_oracle import rsa_pair
from tests.checks.forged import told

RAW = (
    b"Authentication-Results: relay.example; none\r\nFrom: a@example.org\r\nTo: b@house.example\r\n"
    b"Subject: s\r\nDate: Mon, 2 Mar 2026 01:00:00 +0000\r\n\r\nhello\r\n"
)


def sealed() -> tuple[bytes, dict[str, dict[str, object]]]:
    """A mail that a relay has sealed, and the relay's key."""
    pair = rsa_pair()
    fields = dkimpy.arc_sign(
        RAW, b"s", b"relay.example", pair.private, b"relay.example", include_headers=[b"from", b"subject", b"subject"]
    )
    return b"".join(fields) + RAW, {"s._domainkey.relay.example": {"TXT": [pair.record]}}


async def test_an_honest_chain_passes() -> None:
    assert "arc=pass" in (await told(*sealed())).methods


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"cv=none", b"cv=pass"),
        (b"i=1", b"i=2"),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=2"),
        (b"i=1; relay.example", b"i=1; other.example"),
        (b"Subject: s\r\n", b"Subject: s\r\nSubject: send money\r\n"),
        (b"Subject: s\r\n", b"Subject: s\r\n" + b"X: y\r\n" * 2_100 + b"Subject: send money\r\n"),
        (b"ARC-Authentication-Results", b"ARC-Seal: i=1; cv=none; a=rsa-sha256; d=x.example; s=s; b=YWJj\r\n"
         b"ARC-Authentication-Results"),
    ],
    ids=["status", "gap", "seal_of_another", "results", "field", "field_unread", "doubled"],
)  # fmt: skip
async def test_a_chain_that_was_touched_does_not_pass(old: bytes, new: bytes) -> None:
    raw, keys = sealed()
    assert old in raw
    assert "arc=fail" in (await told(raw.replace(old, new), keys)).methods
