"""What a signature is called in Authentication-Results: header.i and header.b.  RFC 8601 §2.7.1, RFC 6008 §4."""

from __future__ import annotations

from base64 import b64encode

import pytest

from filterd.checks import dkim
from filterd.mail.authres import value_of
from filterd.mail.parse import parse
from filterd.model.session import Direction
from filterd.model.verdict import AuthResult
from tests.checks.contexts import context, transaction
from tests.kit.zones import ZoneLookups

BODY_HASH = "g3zLYH4xKxcPrHOD18z9YfpQcnk/GaJedfustWU5uGs="


def field(signature: str, *, domain: str = "example.org", more: str = "") -> str:
    tags = f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=s1; h=from; bh={BODY_HASH}; {more}b={signature}"
    return f"DKIM-Signature: {tags}\r\n"


async def results(*fields: str) -> tuple[AuthResult, ...]:
    raw = ("".join(fields) + "From: a@example.org\r\n\r\ntest\r\n").encode()
    mail = context(
        raw,
        transaction=transaction(raw),
        message=parse(raw),
        direction=Direction.INBOUND,
        dns=ZoneLookups({}),
    )
    return (await dkim.make().run(mail)).results


async def called(*fields: str) -> list[str]:
    return [dict(result.properties)["header.b"] for result in await results(*fields)]


def text(octets: bytes) -> str:
    return b64encode(octets).decode()


async def test_eight_characters_do_for_one_signature_and_for_two_that_differ_in_them() -> None:
    assert await called(field(text(b"abcdefghijkl"))) == ["YWJjZGVm"]
    assert await called(field(text(b"abcdefghijkl")), field(text(b"bbcdefghijkl"))) == ["YWJjZGVm", "YmJjZGVm"]


async def test_more_are_said_where_eight_do_not_tell_two_apart() -> None:
    one, two, three = text(b"abcdefghijkl"), text(b"abcdefghXjkl"), text(b"abcdefgXijkl")
    said = await called(field(one), field(two), field(three))
    assert said == [one[:12], two[:12], three[:10]]
    assert len(set(said)) == 3
    assert all(whole.startswith(part) for whole, part in zip((one, two, three), said, strict=True))


async def test_a_copy_is_called_as_its_original() -> None:
    one = text(b"abcdefghijkl")
    assert await called(field(one), field(one)) == ["YWJjZGVm"] * 2


@pytest.mark.parametrize(
    ("identity", "told"),
    [
        ("", None),
        ("i=@example.org; ", None),
        ("i=@EXAMPLE.org; ", None),
        ("i=ann@example.org; ", "ann@example.org"),
        ("i=@mail.example.org; ", "@mail.example.org"),
        ("i=Ann.B@Mail.example.org; ", "Ann.B@mail.example.org"),
        # Not below d=, no address, too long.
        ("i=ann@example.com; ", None),
        ("i=ann; ", None),
        (f"i={'a' * 65}@example.org; ", None),
    ],
)
async def test_the_identity_is_said_where_it_says_more_than_the_domain(identity: str, told: str | None) -> None:
    (result,) = await results(field("YWJj", more=identity))
    assert dict(result.properties).get("header.i") == told
    assert (f" header.i={told} " in value_of("mx.example", [result])) == (told is not None)


async def test_an_identity_writes_no_result_of_its_own() -> None:
    (result,) = await results(field("YWJj", more='i=x"(dmarc=pass)@example.org; '))
    written = value_of("mx.example", [result])
    assert 'header.i="x\\"(dmarc=pass)@example.org"' in written
