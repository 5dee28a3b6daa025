"""What we sign: good for our own verifier and for dkimpy, on any mail; and nobody can add what counts."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import given
from hypothesis import strategies as st

from filterd.checks.dkim.canonical import Canonical
from filterd.checks.dkim.sign import FIELD, MAX_NAMES, SigningKey, dkim_value, signed_names
from filterd.mail.edit import prepend_fields
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from tests.checks.dkim_oracle import DOMAIN, ours, words
from tests.kit.signing_keys import ed25519_key, record, rsa_key

pytestmark = pytest.mark.slow

NOW = int(datetime.now(UTC).timestamp())
KEYS = (
    SigningKey(domain=DOMAIN, selector="rsa", private=rsa_key()),
    SigningKey(domain=DOMAIN, selector="ed", private=ed25519_key()),
)
ZONE = {f"{key.selector}._domainkey.{DOMAIN}": {"TXT": [record(key.private)]} for key in KEYS}
LETTER = (
    b"From: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: =?utf-8?q?a_b?= c\r\n  folded\ttwice \r\n"
    b"Date: Mon, 02 Nov 2026 11:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nList-Unsubscribe: <https://example.org/u>\r\n"
    b"X-Tag: one\r\n\r\nHello  world \r\n\t tabs\t\r\n\r\nbye\r\n\r\n\r\n"
)


def signed(raw: bytes, *keys: SigningKey) -> bytes:
    message = parse(raw)
    mail = Canonical(message)
    names = signed_names(mail)
    assert names is not None
    return prepend_fields(raw, [(FIELD, dkim_value(mail, key, names, NOW)) for key in keys])


def theirs(raw: bytes) -> bool:
    zone = {name.encode() + b".": said["TXT"][0].encode() for name, said in ZONE.items()}
    return bool(dkimpy.verify(raw, dnsfunc=lambda name, timeout=5: zone.get(name)))


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.selector)
async def test_both_verifiers_take_what_we_sign(key: SigningKey) -> None:
    raw = signed(LETTER, key)
    assert (words(await ours(raw, ZONE)), theirs(raw)) == (["pass"], True)
    assert all(len(line) <= 78 for line in raw.partition(b"X-Tag")[0].split(b"\r\n"))


async def test_one_signature_a_key() -> None:
    assert words(await ours(signed(LETTER, *KEYS), ZONE)) == ["pass", "pass"]


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=90).map(str.encode)
_NAME = st.sampled_from((b"To", b"Cc", b"SUBJECT", b"Date", b"x-other", b"Reply-To", b"References", b"Content-Type"))


@given(
    fields=st.lists(st.tuples(_NAME, _TEXT, st.sampled_from((b"\r\n", b"\r\n\t\r\n", b" \r\n  x\r\n"))), max_size=8),
    body=st.lists(_TEXT, max_size=6).map(b"\r\n".join),
    key=st.sampled_from(KEYS),
)
async def test_any_mail_is_signed_so_that_it_verifies(
    fields: list[tuple[bytes, bytes, bytes]], body: bytes, key: SigningKey
) -> None:
    head = b"From: ann@example.org\r\n" + b"".join(name + b": " + text + end for name, text, end in fields)
    raw, _ = canonical(head + b"\r\n" + body)
    assert words(await ours(signed(raw, key), ZONE)) == ["pass"]


@pytest.mark.parametrize("name", ["From", "To", "Cc", "Subject", "Reply-To", "Date", "Message-ID", "List-Unsubscribe"])
async def test_a_field_put_in_front_breaks_it(name: str) -> None:
    """RFC 6376 §8.15: also one that the mail did not have."""
    raw = f"{name}: <eve@example.net>\r\n".encode() + signed(LETTER, KEYS[0])
    assert words(await ours(raw, ZONE)) == ["fail"]
    assert not theirs(raw)


@pytest.mark.parametrize("name", ["Date", "Message-ID", "MIME-Version"])
async def test_what_mail_servers_write_where_it_is_missing_breaks_nothing(name: str) -> None:
    without = re.sub(rb"%b: [^\r]+\r\n" % name.encode(), b"", LETTER)
    assert without != LETTER
    raw = f"{name}: 1.0\r\n".encode() + signed(without, KEYS[0])
    assert words(await ours(raw, ZONE)) == ["pass"]


async def test_trace_fields_break_nothing() -> None:
    raw = b"X-Filterd-Id: t_1\r\nReceived: by mx.example.net\r\n" + signed(LETTER, KEYS[0])
    assert words(await ours(raw, ZONE)) == ["pass"]


def test_a_mail_of_very_many_fields_is_not_signed() -> None:
    many = b"To: bob@example.net\r\n" * (MAX_NAMES + 1)
    assert signed_names(Canonical(parse(many + LETTER))) is None
    assert signed_names(Canonical(parse(many[: -len(many) // 2] + LETTER))) is not None


def test_the_signer_s_key_decides_the_algorithm() -> None:
    assert [key.algorithm for key in KEYS] == ["rsa-sha256", "ed25519-sha256"]
    assert isinstance(KEYS[0].private, RSAPrivateKey)
    assert isinstance(KEYS[1].private, Ed25519PrivateKey)
